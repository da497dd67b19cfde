//! Index keys as they lie in the chunks: hashed, compared and encoded without copying them out.

use std::sync::Arc;

use tuplix_types::compare::{self, hash_int, mix};
use tuplix_types::{TypeId, Value, encode_key, encode_key_typed, equal, equal_typed, hash, hash_typed};

use crate::chunk::Chunk;
use crate::column::{Column, ColumnData};
use crate::directory::Directory;
use crate::read::RowView;
use crate::schema::{IndexColumn, IndexKeys, IndexSchema, RowId};

/// Where an index takes its keys from. The first two are the common shapes, read without a loop.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// One column of integers, dates, times or oids.
    Integer(usize),
    /// Two such columns.
    IntegerPair(usize, usize),
    /// Any columns.
    Columns(Box<[(usize, TypeId)]>),
    /// Whatever the engine computes.
    Computed(Arc<dyn IndexKeys>),
}

fn is_integer(type_id: Option<&TypeId>) -> bool {
    type_id.is_some_and(|type_id| {
        matches!(
            ColumnData::new(*type_id),
            ColumnData::Int2(_)
                | ColumnData::Int4(_)
                | ColumnData::Int8(_)
                | ColumnData::Oid(_)
                | ColumnData::Date(_)
                | ColumnData::Time(_)
                | ColumnData::Timestamp(_)
                | ColumnData::Timestamptz(_)
        )
    })
}

impl KeySource {
    pub(crate) fn new(schema: &IndexSchema, types: &[TypeId]) -> KeySource {
        if let Some(computed) = &schema.computed {
            return KeySource::Computed(Arc::clone(computed));
        }
        match schema.columns[..] {
            [IndexColumn { column, .. }] if is_integer(types.get(column)) => KeySource::Integer(column),
            [IndexColumn { column: a, .. }, IndexColumn { column: b, .. }]
                if is_integer(types.get(a)) && is_integer(types.get(b)) =>
            {
                KeySource::IntegerPair(a, b)
            }
            _ => {
                KeySource::Columns(schema.columns.iter().map(|key| (key.column, types[key.column])).collect())
            }
        }
    }

    /// The table columns that a key depends on.
    pub(crate) fn columns(&self) -> Vec<usize> {
        match self {
            KeySource::Integer(a) => vec![*a],
            KeySource::IntegerPair(a, b) => vec![*a, *b],
            KeySource::Columns(columns) => columns.iter().map(|(column, _)| *column).collect(),
            KeySource::Computed(computed) => computed.columns().to_vec(),
        }
    }

    /// The hash of a row's key, `None` when the row has a NULL in it or is not in the index.
    #[inline]
    pub(crate) fn hash_row(&self, chunk: &Chunk, place: usize) -> Option<u32> {
        let columns = chunk.columns();
        match self {
            KeySource::Integer(a) => Some(hash_group(0, columns[*a].integer(place)?)),
            KeySource::IntegerPair(a, b) => {
                let (a, b) = (columns[*a].integer(place)?, columns[*b].integer(place)?);
                Some(hash_group(hash_int(a), b))
            }
            KeySource::Columns(key) => {
                let hashes = key.iter().map(|(c, type_id)| hash_column(&columns[*c], *type_id, place));
                combine(hashes)
            }
            KeySource::Computed(_) => self.hash_key(&self.computed_key(chunk, place)?),
        }
    }

    /// The hash of a key, `None` when it has a NULL in it.
    #[inline]
    pub(crate) fn hash_key(&self, key: &[Value]) -> Option<u32> {
        match (self, key) {
            (KeySource::Columns(columns), _) => combine(
                key.iter().zip(columns).map(|(v, (_, ty))| (!v.is_null()).then(|| hash_typed(*ty, v))),
            ),
            (KeySource::Integer(_), [a]) => Some(hash_group(0, integer_of(a)?)),
            (KeySource::IntegerPair(..), [a, b]) => {
                Some(hash_group(hash_int(integer_of(a)?), integer_of(b)?))
            }
            _ => combine(key.iter().map(hash_integer_or_value)),
        }
    }

    /// Whether a row has this key.
    #[inline]
    pub(crate) fn row_has_key(&self, chunk: &Chunk, place: usize, key: &[Value]) -> bool {
        match self {
            KeySource::Integer(a) => same_integer(&chunk.columns()[*a], place, &key[0]),
            KeySource::IntegerPair(a, b) => {
                same_integer(&chunk.columns()[*b], place, &key[1])
                    && same_integer(&chunk.columns()[*a], place, &key[0])
            }
            KeySource::Columns(columns) => columns
                .iter()
                .zip(key)
                .all(|((c, type_id), value)| same_value(&chunk.columns()[*c], *type_id, place, value)),
            KeySource::Computed(_) => self.computed_key(chunk, place).is_some_and(|row_key| {
                row_key.len() == key.len()
                    && row_key.iter().zip(key).all(|(a, b)| !a.is_null() && equal(a, b))
            }),
        }
    }

    /// The hash of a key of one or two integers, as [`KeySource::hash_key`] of a source of so many.
    #[inline(always)]
    pub(crate) fn hash_integers<const N: usize>(key: [i64; N]) -> u32 {
        match key[..] {
            [a] => hash_group(0, a),
            [a, b] => hash_group(hash_int(a), b),
            _ => 0,
        }
    }

    /// Whether a row has this key of integers.
    #[inline(always)]
    pub(crate) fn row_has_integers<const N: usize>(
        &self,
        chunk: &Chunk,
        place: usize,
        key: [i64; N],
    ) -> bool {
        match (self, &key[..]) {
            (KeySource::Integer(a), [wanted]) => chunk.columns()[*a].integer(place) == Some(*wanted),
            (KeySource::IntegerPair(a, b), [first, second]) => {
                chunk.columns()[*b].integer(place) == Some(*second)
                    && chunk.columns()[*a].integer(place) == Some(*first)
            }
            _ => false,
        }
    }

    /// The hash of the key of a row of these values, one for each column of the table: as [`KeySource::hash_row`] once the
    /// row is there. The key must be one of columns.
    #[inline]
    pub(crate) fn hash_values(&self, values: &[Value]) -> Option<u32> {
        match self {
            KeySource::Integer(a) => Some(hash_group(0, integer_of(&values[*a])?)),
            KeySource::IntegerPair(a, b) => {
                Some(hash_group(hash_int(integer_of(&values[*a])?), integer_of(&values[*b])?))
            }
            KeySource::Columns(columns) => combine(columns.iter().map(|(column, type_id)| {
                let value = &values[*column];
                (!value.is_null()).then(|| hash_typed(*type_id, value))
            })),
            KeySource::Computed(_) => None,
        }
    }

    /// Whether a row has the key of these values, one for each column of the table.
    #[inline]
    pub(crate) fn row_has_values(&self, chunk: &Chunk, place: usize, values: &[Value]) -> bool {
        match self {
            KeySource::Integer(a) => same_integer(&chunk.columns()[*a], place, &values[*a]),
            KeySource::IntegerPair(a, b) => {
                same_integer(&chunk.columns()[*b], place, &values[*b])
                    && same_integer(&chunk.columns()[*a], place, &values[*a])
            }
            KeySource::Columns(columns) => columns
                .iter()
                .all(|(c, type_id)| same_value(&chunk.columns()[*c], *type_id, place, &values[*c])),
            KeySource::Computed(_) => false,
        }
    }

    /// Whether two rows have the same key.
    pub(crate) fn rows_agree(&self, directory: &Directory, a: RowId, b: RowId) -> bool {
        let (Some(chunk), Some(other)) = (directory.chunk(a), directory.chunk(b)) else { return false };
        let key: Option<Vec<Value>> = match self {
            KeySource::Computed(_) => self.computed_key(chunk, a.place()),
            _ => Some(self.columns().iter().map(|column| chunk.columns()[*column].read(a.place())).collect()),
        };
        key.is_some_and(|key| self.row_has_key(other, b.place(), &key))
    }

    /// The key that the engine computes for a row, `None` when the row is not in the index.
    fn computed_key(&self, chunk: &Chunk, place: usize) -> Option<Vec<Value>> {
        let KeySource::Computed(computed) = self else { return None };
        let mut key = Vec::new();
        computed.key(RowView::new(chunk, place), &mut key).then_some(key)
    }

    /// Appends the encoded key of a row, and says whether the row is in the index.
    pub(crate) fn encode_row(
        &self,
        order: &[OrderColumn],
        chunk: &Chunk,
        place: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        if let KeySource::Computed(_) = self {
            let Some(key) = self.computed_key(chunk, place) else { return false };
            encode_values(order, &key, out);
        } else {
            for column in order {
                let OrderColumn { column, type_id, descending, nulls_first } = *column;
                let value = chunk.columns()[column].read(place);
                match type_id {
                    Some(type_id) => encode_key_typed(type_id, &value, descending, nulls_first, out),
                    None => encode_key(&value, descending, nulls_first, out),
                }
            }
        }
        true
    }
}

/// One column of an ordered index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderColumn {
    column: usize,
    /// The type, where the index is over table columns.
    type_id: Option<TypeId>,
    descending: bool,
    nulls_first: bool,
}

impl OrderColumn {
    pub(crate) fn new(key: &IndexColumn, is_computed: bool, types: &[TypeId]) -> OrderColumn {
        OrderColumn {
            column: key.column,
            type_id: if is_computed { None } else { Some(types[key.column]) },
            descending: key.descending,
            nulls_first: key.nulls_first,
        }
    }

    /// The longest encoded key, where there is a longest.
    pub(crate) fn longest(&self) -> Option<usize> {
        match ColumnData::new(self.type_id?) {
            ColumnData::Text(_) | ColumnData::Bytea(_) | ColumnData::Other(_) => None,
            _ => Some(1 + size_of::<u64>()),
        }
    }
}

/// Appends the encoded values of a key or of the first columns of one.
pub(crate) fn encode_values(order: &[OrderColumn], key: &[Value], out: &mut Vec<u8>) {
    for (column, value) in order.iter().zip(key) {
        match column.type_id {
            Some(type_id) => encode_key_typed(type_id, value, column.descending, column.nulls_first, out),
            None => encode_key(value, column.descending, column.nulls_first, out),
        }
    }
}

/// The hash of all columns, in order.
fn combine(mut hashes: impl Iterator<Item = Option<u64>>) -> Option<u32> {
    let first = hashes.next()??;
    let state = hashes.try_fold(first, |state, hash| hash.map(|hash| mix(state, hash)))?;
    Some(finish(state))
}

#[inline]
fn hash_integer_or_value(value: &Value) -> Option<u64> {
    match (integer_of(value), value) {
        (Some(integer), _) => Some(hash_int(integer)),
        (None, Value::Null) => None,
        (None, value) => Some(hash(value)),
    }
}

/// The hash of a key that ends in an integer: four keys that follow each other are neighbours in their segment
/// and share its cache line, so a queue read in order misses the cache a quarter as often.
#[inline]
fn hash_group(state: u64, last: i64) -> u32 {
    let group = mix(state, (last >> 2).cast_unsigned());
    (group >> 32) as u32 & !3 | last as u32 & 3
}

/// The 32 bits of a hash that the index keeps.
#[inline]
fn finish(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[inline]
fn hash_column(column: &Column, type_id: TypeId, place: usize) -> Option<u64> {
    if column.is_null(place) {
        return None;
    }
    Some(match column.data() {
        ColumnData::Text(v) if type_id != TypeId::BPCHAR => compare::hash_bytes(v[place].as_bytes()),
        ColumnData::Bytea(v) => compare::hash_bytes(v[place].as_deref()?),
        _ => match column.integer(place) {
            Some(integer) => hash_int(integer),
            None => hash_typed(type_id, &column.read(place)),
        },
    })
}

/// The integer, date, time or oid in a value. The usual types of keys first: two compares are less than a jump by a table.
#[inline(always)]
pub(crate) fn integer_of(value: &Value) -> Option<i64> {
    match value {
        Value::Int4(v) => Some(i64::from(*v)),
        Value::Int8(v) => Some(*v),
        _ => other_integer_of(value),
    }
}

#[inline(never)]
fn other_integer_of(value: &Value) -> Option<i64> {
    match value {
        Value::Int4(v) | Value::Date(v) => Some(i64::from(*v)),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => Some(*v),
        Value::Int2(v) => Some(i64::from(*v)),
        Value::Oid(v) => Some(i64::from(*v)),
        _ => None,
    }
}

#[inline]
fn same_integer(column: &Column, place: usize, value: &Value) -> bool {
    let wanted = integer_of(value);
    wanted.is_some() && column.integer(place) == wanted
}

/// Whether the value at a place equals another of its type in SQL's sense; a NULL equals nothing.
pub(crate) fn same_value(column: &Column, type_id: TypeId, place: usize, value: &Value) -> bool {
    if column.is_null(place) || value.is_null() {
        return false;
    }
    match (column.data(), value) {
        (ColumnData::Text(v), Value::Text(other)) if type_id != TypeId::BPCHAR => v[place] == *other,
        (ColumnData::Bytea(v), Value::Bytea(other)) => v[place].as_ref() == Some(other),
        _ => match column.integer(place) {
            Some(integer) => integer_of(value) == Some(integer),
            None => equal_typed(type_id, &column.read(place), value),
        },
    }
}
