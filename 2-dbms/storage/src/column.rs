//! One column of a chunk: a typed vector and a bitmap of NULLs.

mod own;

use std::sync::Arc;

use arrayvec::ArrayVec;
use ecow::EcoString;
use tuplix_types::{TypeId, Value};

use crate::schema::CHUNK_ROWS;
use crate::vector::Vector;
pub(crate) use own::OwnColumn;

/// Bits for a chunk's rows.
pub type RowBits = [u64; CHUNK_ROWS / 64];

/// The values of one column in one chunk, by their type.
///
/// Versions of a chunk share a vector until one of them writes it. A vector is as long as the chunk's capacity; places that are NULL or hold no live row contain
/// leftovers that mean nothing.
#[derive(Clone, Debug)]
pub enum ColumnData {
    /// `boolean`
    Bool(Vector<bool>),
    /// `smallint`
    Int2(Vector<i16>),
    /// `integer`
    Int4(Vector<i32>),
    /// `bigint`
    Int8(Vector<i64>),
    /// `real`
    Float4(Vector<f32>),
    /// `double precision`
    Float8(Vector<f64>),
    /// `oid` and its aliases
    Oid(Vector<u32>),
    /// `date`
    Date(Vector<i32>),
    /// `time`
    Time(Vector<i64>),
    /// `timestamp`
    Timestamp(Vector<i64>),
    /// `timestamptz`
    Timestamptz(Vector<i64>),
    /// Everything kept as text.
    Text(Vector<EcoString>),
    /// `bytea`; each value is a reference-counted block of its own.
    Bytea(Vector<Option<Arc<[u8]>>>),
    /// Every other type.
    Other(Vector<Value>),
}

/// Runs `$body` with `$vector` bound to the vector of any variant.
macro_rules! with_vector {
    ($data:expr, $vector:ident => $body:expr) => {
        match $data {
            ColumnData::Bool($vector) => $body,
            ColumnData::Int2($vector) => $body,
            ColumnData::Int4($vector) | ColumnData::Date($vector) => $body,
            ColumnData::Int8($vector)
            | ColumnData::Time($vector)
            | ColumnData::Timestamp($vector)
            | ColumnData::Timestamptz($vector) => $body,
            ColumnData::Float4($vector) => $body,
            ColumnData::Float8($vector) => $body,
            ColumnData::Oid($vector) => $body,
            ColumnData::Text($vector) => $body,
            ColumnData::Bytea($vector) => $body,
            ColumnData::Other($vector) => $body,
        }
    };
}

impl ColumnData {
    /// An empty vector for values of the type.
    pub(crate) fn new(type_id: TypeId) -> ColumnData {
        match type_id {
            TypeId::BOOL => ColumnData::Bool(Vector::default()),
            TypeId::INT2 => ColumnData::Int2(Vector::default()),
            TypeId::INT4 => ColumnData::Int4(Vector::default()),
            TypeId::INT8 => ColumnData::Int8(Vector::default()),
            TypeId::FLOAT4 => ColumnData::Float4(Vector::default()),
            TypeId::FLOAT8 => ColumnData::Float8(Vector::default()),
            TypeId::OID | TypeId::REGPROC | TypeId::REGCLASS | TypeId::REGTYPE | TypeId::REGNAMESPACE => {
                ColumnData::Oid(Vector::default())
            }
            TypeId::DATE => ColumnData::Date(Vector::default()),
            TypeId::TIME => ColumnData::Time(Vector::default()),
            TypeId::TIMESTAMP => ColumnData::Timestamp(Vector::default()),
            TypeId::TIMESTAMPTZ => ColumnData::Timestamptz(Vector::default()),
            TypeId::TEXT
            | TypeId::VARCHAR
            | TypeId::BPCHAR
            | TypeId::NAME
            | TypeId::JSON
            | TypeId::JSONPATH => ColumnData::Text(Vector::default()),
            TypeId::BYTEA => ColumnData::Bytea(Vector::default()),
            _ => ColumnData::Other(Vector::default()),
        }
    }

    /// Bytes that one row takes in the vector.
    fn width(&self) -> usize {
        fn width_of<T>(_: &[T]) -> usize {
            size_of::<T>()
        }
        with_vector!(self, vector => width_of(vector))
    }

    /// How many places the vector has.
    pub(crate) fn places(&self) -> usize {
        with_vector!(self, vector => vector.len())
    }

    /// Whether the vector can hold the value.
    #[inline]
    pub(crate) fn accepts(&self, value: &Value) -> bool {
        matches!(
            (self, value),
            (_, Value::Null)
                | (ColumnData::Bool(_), Value::Bool(_))
                | (ColumnData::Int2(_), Value::Int2(_))
                | (ColumnData::Int4(_), Value::Int4(_))
                | (ColumnData::Int8(_), Value::Int8(_))
                | (ColumnData::Float4(_), Value::Float4(_))
                | (ColumnData::Float8(_), Value::Float8(_))
                | (ColumnData::Oid(_), Value::Oid(_))
                | (ColumnData::Date(_), Value::Date(_))
                | (ColumnData::Time(_), Value::Time(_))
                | (ColumnData::Timestamp(_), Value::Timestamp(_))
                | (ColumnData::Timestamptz(_), Value::Timestamptz(_))
                | (ColumnData::Text(_), Value::Text(_))
                | (ColumnData::Bytea(_), Value::Bytea(_))
                | (ColumnData::Other(_), _)
        )
    }

    fn resize(&mut self, capacity: usize) {
        with_vector!(self, vector => vector.resize(capacity));
    }

    fn make_own(&mut self) {
        with_vector!(self, vector => vector.make_own());
    }
}

/// One column of a chunk.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// `None` until the first NULL.
    nulls: Option<Box<RowBits>>,
    data: ColumnData,
}

impl Column {
    /// A column without rows.
    pub(crate) fn new(type_id: TypeId) -> Column {
        Column { nulls: None, data: ColumnData::new(type_id) }
    }

    /// A column with these values.
    pub(crate) fn loaded(data: ColumnData, nulls: Option<Box<RowBits>>) -> Column {
        Column { nulls, data }
    }

    /// Makes place for `capacity` rows.
    pub(crate) fn resize(&mut self, capacity: usize) {
        self.data.resize(capacity);
    }

    /// How many versions of a chunk have the vector.
    pub(crate) fn references(&self) -> usize {
        with_vector!(&self.data, vector => vector.references())
    }

    /// Asks for the beginning of its vector, for who reads it soon.
    #[inline]
    pub(crate) fn ask_for(&self) {
        with_vector!(&self.data, vector => vector.ask_for());
    }

    pub(crate) fn data(&self) -> &ColumnData {
        &self.data
    }

    pub(crate) fn nulls(&self) -> Option<&RowBits> {
        self.nulls.as_deref()
    }

    /// Bytes that one row takes, without what a value has on the heap.
    pub(crate) fn width(&self) -> usize {
        self.data.width()
    }

    /// # Panics
    /// If the value is not of the column's type: statements are typed before they get here.
    #[inline]
    pub(crate) fn check(&self, value: &Value) {
        assert!(self.data.accepts(value), "a value of the column's type, not {value:?}");
    }

    #[inline]
    pub(crate) fn is_null(&self, place: usize) -> bool {
        match &self.nulls {
            None => false,
            Some(bits) => bits[place / 64] >> (place % 64) & 1 == 1,
        }
    }

    /// The value at a place. Keys and counters first, without a call.
    #[inline(always)]
    pub(crate) fn read(&self, place: usize) -> Value {
        match &self.data {
            ColumnData::Int4(v) if self.nulls.is_none() => Value::Int4(v[place]),
            ColumnData::Int8(v) if self.nulls.is_none() => Value::Int8(v[place]),
            _ => self.read_any(place),
        }
    }

    fn read_any(&self, place: usize) -> Value {
        if self.is_null(place) {
            return Value::Null;
        }
        match &self.data {
            ColumnData::Bool(v) => Value::Bool(v[place]),
            ColumnData::Int2(v) => Value::Int2(v[place]),
            ColumnData::Int4(v) => Value::Int4(v[place]),
            ColumnData::Int8(v) => Value::Int8(v[place]),
            ColumnData::Float4(v) => Value::Float4(v[place]),
            ColumnData::Float8(v) => Value::Float8(v[place]),
            ColumnData::Oid(v) => Value::Oid(v[place]),
            ColumnData::Date(v) => Value::Date(v[place]),
            ColumnData::Time(v) => Value::Time(v[place]),
            ColumnData::Timestamp(v) => Value::Timestamp(v[place]),
            ColumnData::Timestamptz(v) => Value::Timestamptz(v[place]),
            ColumnData::Text(v) => Value::Text(v[place].clone()),
            ColumnData::Bytea(v) => v[place].clone().map_or(Value::Null, Value::Bytea),
            ColumnData::Other(v) => v[place].clone(),
        }
    }

    /// The integer, date, time or oid at a place, `None` for NULL and for columns of other types.
    #[inline(always)]
    pub(crate) fn integer(&self, place: usize) -> Option<i64> {
        match &self.data {
            ColumnData::Int4(v) if self.nulls.is_none() => Some(i64::from(v[place])),
            ColumnData::Int8(v) if self.nulls.is_none() => Some(v[place]),
            _ => self.any_integer(place),
        }
    }

    fn any_integer(&self, place: usize) -> Option<i64> {
        if self.is_null(place) {
            return None;
        }
        match &self.data {
            ColumnData::Int4(v) | ColumnData::Date(v) => Some(i64::from(v[place])),
            ColumnData::Int8(v)
            | ColumnData::Time(v)
            | ColumnData::Timestamp(v)
            | ColumnData::Timestamptz(v) => Some(v[place]),
            ColumnData::Int2(v) => Some(i64::from(v[place])),
            ColumnData::Oid(v) => Some(i64::from(v[place])),
            _ => None,
        }
    }

    /// Makes the vector the column's own. A copy of a column shares it.
    pub(crate) fn make_own(&mut self) {
        self.data.make_own();
    }

    /// Bytes that the value at a place has on the heap, shared or not.
    #[inline]
    pub(crate) fn heap_bytes(&self, place: usize) -> usize {
        match &self.data {
            ColumnData::Text(v) => text_heap_bytes(&v[place]),
            ColumnData::Bytea(v) => v[place].as_ref().map_or(0, |bytes| bytes.len() + 16),
            ColumnData::Other(v) => value_heap_bytes(&v[place]),
            _ => 0,
        }
    }
}

fn text_heap_bytes(text: &EcoString) -> usize {
    if text.len() <= EcoString::INLINE_LIMIT { 0 } else { text.len() + 16 }
}

/// Bytes that a value has on the heap: an estimate, deep enough to bound memory by.
pub(crate) fn value_heap_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text_heap_bytes(text),
        Value::Bytea(bytes) => bytes.len() + 16,
        Value::Interval(_) | Value::Uuid(_) => 32,
        Value::Numeric(_) => 56,
        Value::Jsonb(_) => 128,
        Value::Array(array) => {
            64 + array.elements.iter().map(|e| size_of::<Value>() + value_heap_bytes(e)).sum::<usize>()
        }
        Value::Record(fields) => {
            16 + fields.iter().map(|e| size_of::<Value>() + value_heap_bytes(e)).sum::<usize>()
        }
        _ => 0,
    }
}

/// The columns of a chunk: up to eight lie in the chunk itself, which saves each access of a row a cache miss.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "lying in the chunk is what the variant is for")]
pub(crate) enum Columns {
    Few(ArrayVec<Column, 8>),
    Many(Box<[Column]>),
}

const _: () = assert!(size_of::<Column>() == 32, "two columns are a cache line");

impl FromIterator<Column> for Columns {
    fn from_iter<I: IntoIterator<Item = Column>>(columns: I) -> Columns {
        let columns: Vec<Column> = columns.into_iter().collect();
        match columns.len() {
            0..=8 => Columns::Few(columns.into_iter().collect()),
            _ => Columns::Many(columns.into()),
        }
    }
}

impl Default for Columns {
    fn default() -> Columns {
        Columns::Few(ArrayVec::new())
    }
}

impl Columns {
    /// Its columns in a vector.
    pub(crate) fn into_vec(self) -> Vec<Column> {
        match self {
            Columns::Few(columns) => columns.into_iter().collect(),
            Columns::Many(columns) => columns.into_vec(),
        }
    }
}

impl std::ops::Deref for Columns {
    type Target = [Column];

    #[inline]
    fn deref(&self) -> &[Column] {
        match self {
            Columns::Few(columns) => columns,
            Columns::Many(columns) => columns,
        }
    }
}

impl std::ops::DerefMut for Columns {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Column] {
        match self {
            Columns::Few(columns) => columns,
            Columns::Many(columns) => columns,
        }
    }
}
