//! A hash table over rows of values, in the order in which keys came: deterministic, unlike a map's iteration.

use hashbrown::HashTable;
use tuplix_types::compare::{equal_typed, hash_typed, mix};
use tuplix_types::{TypeId, Value};

/// Rows of key values, each once, numbered from 0 in the order of their first appearance.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    types: Box<[TypeId]>,
    values: Vec<Value>,
    len: usize,
    table: HashTable<u32>,
}

fn hash_key(types: &[TypeId], key: &[Value]) -> u64 {
    types.iter().zip(key).fold(0, |hash, (ty, value)| mix(hash, hash_typed(*ty, value)))
}

fn same(types: &[TypeId], left: &[Value], right: &[Value]) -> bool {
    types.iter().zip(left.iter().zip(right)).all(|(ty, (a, b))| equal_typed(*ty, a, b))
}

impl Keys {
    pub(crate) fn new(types: &[TypeId]) -> Keys {
        Keys { types: types.into(), values: Vec::new(), len: 0, table: HashTable::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The key with this number.
    pub(crate) fn key(&self, number: usize) -> &[Value] {
        let width = self.types.len();
        &self.values[number * width..(number + 1) * width]
    }

    /// The number of `key`, if it is there. NULL equals NULL.
    pub(crate) fn find(&self, key: &[Value]) -> Option<usize> {
        let hash = hash_key(&self.types, key);
        self.table
            .find(hash, |number| same(&self.types, self.key(*number as usize), key))
            .map(|number| *number as usize)
    }

    /// The number of `key`, and whether it is new.
    pub(crate) fn insert(&mut self, key: &[Value]) -> (usize, bool) {
        if let Some(number) = self.find(key) {
            return (number, false);
        }
        let number = self.len;
        self.values.extend_from_slice(key);
        self.len += 1;
        let (types, values) = (&self.types, &self.values);
        let width = types.len();
        let entry = u32::try_from(number).expect("fewer than 2^32 keys fit into memory");
        self.table.insert_unique(hash_key(types, key), entry, |number| {
            let first = *number as usize * width;
            hash_key(types, &values[first..first + width])
        });
        (number, true)
    }
}
