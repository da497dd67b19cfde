//! Writing a column.

use std::sync::Arc;

use ecow::EcoString;
use tuplix_types::Value;
use tuplix_types::encoding::{self, DecodeError};

use super::{Column, ColumnData, text_heap_bytes};

/// A column whose vector no other version of its chunk shares.
pub(crate) struct OwnColumn<'a>(&'a mut Column);

impl<'a> OwnColumn<'a> {
    /// # Safety
    /// Nobody else has the column's vector, and nobody gets it while this lives.
    #[inline]
    pub(crate) unsafe fn new(column: &'a mut Column) -> OwnColumn<'a> {
        OwnColumn(column)
    }

    /// Writes a value, and says by how much the bytes on the heap change.
    ///
    /// # Panics
    /// If the value is not of the column's type.
    #[inline(always)]
    pub(crate) fn write(&mut self, place: usize, value: &Value) -> isize {
        if self.0.nulls.is_some() {
            return self.write_any(place, value);
        }
        // SAFETY: the vector is the column's own, by the contract of `new`.
        unsafe {
            match (&mut self.0.data, value) {
                (ColumnData::Int4(v), Value::Int4(x)) => *v.at(place) = *x,
                (ColumnData::Int8(v), Value::Int8(x)) => *v.at(place) = *x,
                _ => return self.write_any(place, value),
            }
        }
        0
    }

    /// As [`OwnColumn::write`], for all types.
    fn write_any(&mut self, place: usize, value: &Value) -> isize {
        if let Some(nulls) = &mut self.0.nulls {
            nulls[place / 64] &= !(1 << (place % 64));
        }
        // SAFETY: the vector is the column's own, by the contract of `new`.
        unsafe {
            match (&mut self.0.data, value) {
                (ColumnData::Int4(v), Value::Int4(x)) | (ColumnData::Date(v), Value::Date(x)) => {
                    *v.at(place) = *x;
                }
                (ColumnData::Int8(v), Value::Int8(x))
                | (ColumnData::Time(v), Value::Time(x))
                | (ColumnData::Timestamp(v), Value::Timestamp(x))
                | (ColumnData::Timestamptz(v), Value::Timestamptz(x)) => *v.at(place) = *x,
                (ColumnData::Bool(v), Value::Bool(x)) => *v.at(place) = *x,
                (ColumnData::Int2(v), Value::Int2(x)) => *v.at(place) = *x,
                (ColumnData::Float4(v), Value::Float4(x)) => *v.at(place) = *x,
                (ColumnData::Float8(v), Value::Float8(x)) => *v.at(place) = *x,
                (ColumnData::Oid(v), Value::Oid(x)) => *v.at(place) = *x,
                (_, Value::Null) => return self.write_null(place),
                (_, value) => return self.write_heap(place, value),
            }
        }
        0
    }

    /// Writes a value and leaves the old one in its place; says by how much the bytes on the heap change.
    ///
    /// # Panics
    /// If the value is not of the column's type; nothing has changed then.
    #[inline(always)]
    pub(crate) fn exchange(&mut self, place: usize, value: &mut Value) -> isize {
        if self.0.nulls.is_none() && self.exchange_integer(place, value) {
            return 0;
        }
        self.exchange_any(place, value)
    }

    /// As [`OwnColumn::exchange`], for all types.
    fn exchange_any(&mut self, place: usize, value: &mut Value) -> isize {
        self.0.check(value);
        let old = self.0.read(place);
        let heap = self.write(place, value);
        *value = old;
        heap
    }

    /// Exchanges an integer in a column of its type, where nothing can be NULL; false if it is none.
    #[inline(always)]
    fn exchange_integer(&mut self, place: usize, value: &mut Value) -> bool {
        // SAFETY: the vector is the column's own, by the contract of `new`.
        unsafe {
            match (&mut self.0.data, value) {
                (ColumnData::Int4(v), Value::Int4(x)) => std::mem::swap(v.at(place), x),
                (ColumnData::Int8(v), Value::Int8(x))
                | (ColumnData::Timestamptz(v), Value::Timestamptz(x)) => {
                    std::mem::swap(v.at(place), x);
                }
                _ => return false,
            }
        }
        true
    }

    /// Takes the value from the front of bytes of [`tuplix_types::encoding`], and says by how much the bytes on the heap change; `None`
    /// if it is not of the column's type.
    ///
    /// # Errors
    /// When the bytes are no value.
    #[inline]
    pub(crate) fn load(&mut self, place: usize, bytes: &mut &[u8]) -> Result<Option<isize>, DecodeError> {
        if let Some(nulls) = &mut self.0.nulls {
            nulls[place / 64] &= !(1 << (place % 64));
        }
        // SAFETY: the vector is the column's own, by the contract of `new`.
        unsafe {
            match &mut self.0.data {
                ColumnData::Int4(v) => {
                    if let Some(x) = encoding::take_int4(bytes)? {
                        *v.at(place) = x;
                        return Ok(Some(0));
                    }
                }
                ColumnData::Int8(v) => {
                    if let Some(x) = encoding::take_int8(bytes)? {
                        *v.at(place) = x;
                        return Ok(Some(0));
                    }
                }
                ColumnData::Timestamptz(v) => {
                    if let Some(x) = encoding::take_timestamptz(bytes)? {
                        *v.at(place) = x;
                        return Ok(Some(0));
                    }
                }
                ColumnData::Text(v) => {
                    if let Some(x) = encoding::take_text_value(bytes)? {
                        let text = v.at(place);
                        let before = text_heap_bytes(text);
                        *text = EcoString::from(x);
                        return Ok(Some(text_heap_bytes(text).cast_signed() - before.cast_signed()));
                    }
                }
                _ => {}
            }
        }
        let value = encoding::decode(bytes)?;
        Ok(self.0.data.accepts(&value).then(|| self.write(place, &value)))
    }

    fn write_null(&mut self, place: usize) -> isize {
        let before = self.0.heap_bytes(place);
        let nulls = self.0.nulls.get_or_insert_with(Default::default);
        nulls[place / 64] |= 1 << (place % 64);
        self.drop_value(place);
        -before.cast_signed()
    }

    /// Writes a value that may have bytes on the heap.
    fn write_heap(&mut self, place: usize, value: &Value) -> isize {
        let before = self.0.heap_bytes(place);
        // SAFETY: the vector is the column's own, by the contract of `new`.
        unsafe {
            match (&mut self.0.data, value) {
                (ColumnData::Text(v), Value::Text(x)) => v.at(place).clone_from(x),
                (ColumnData::Bytea(v), Value::Bytea(x)) => *v.at(place) = Some(Arc::clone(x)),
                (ColumnData::Other(v), x) => v.at(place).clone_from(x),
                _ => panic!("a value of the column's type, not {value:?}"),
            }
        }
        self.0.heap_bytes(place).cast_signed() - before.cast_signed()
    }

    /// Lets go of what the value at a place has on the heap.
    pub(crate) fn drop_value(&mut self, place: usize) {
        // SAFETY: the vector is the column's own, by the contract of `new`.
        unsafe {
            match &mut self.0.data {
                ColumnData::Text(v) => *v.at(place) = EcoString::new(),
                ColumnData::Bytea(v) => *v.at(place) = None,
                ColumnData::Other(v) => *v.at(place) = Value::Null,
                _ => {}
            }
        }
    }
}
