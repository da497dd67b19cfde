//! Whether indexes say what the rows say: each is compared with one that is built anew.

use std::sync::Arc;

use crate::fragment::Fragment;
use crate::index::Index;
use crate::memory::Charge;

impl Index {
    /// Rows in it, and whether its entries are those of `other`, an index of the same schema.
    fn agrees_with(&self, other: &Index) -> bool {
        match (self, other) {
            (Index::Hash(_, own), Index::Hash(_, other)) => own.contents() == other.contents(),
            (Index::Ordered(_, own), Index::Ordered(_, other)) => own.has_the_entries_of(other),
            _ => false,
        }
    }
}

impl Fragment {
    /// The numbers of the indexes whose entries are not those of the rows. Takes the memory of one index more for as long.
    pub fn damaged_indexes(&self) -> Vec<usize> {
        let numbers = (0..self.index_count()).filter(|number| {
            let Some(index) = self.index_at(*number) else { return false };
            let mut anew =
                Index::new(index.schema().clone(), self.column_types(), Charge::new(Arc::default()));
            anew.build(self.directory(), self.row_count());
            !index.agrees_with(&anew)
        });
        numbers.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tuplix_types::{TypeId, Value};

    use super::*;
    use crate::schema::{FragmentSchema, IndexColumn, IndexSchema, RowId};

    #[test]
    fn an_index_that_lost_or_kept_a_row_is_named() {
        let schema = FragmentSchema {
            columns: vec![TypeId::INT4, TypeId::TEXT],
            indexes: vec![
                Arc::new(IndexSchema::hash(true, &[0])),
                Arc::new(IndexSchema::hash(false, &[1])),
                Arc::new(IndexSchema::ordered(false, vec![IndexColumn::ascending(0)])),
                Arc::new(IndexSchema::ordered(false, vec![IndexColumn::descending(1)])),
            ],
            ..FragmentSchema::default()
        };
        let mut fragment = Fragment::new(&schema);
        for number in 0..2000 {
            fragment.insert(&[Value::Int4(number), Value::text(format!("text {}", number % 50))]).unwrap();
        }
        for row in 0..300 {
            fragment.update(RowId(row), &[(1, Value::text("another text"))]);
        }
        (500..900).for_each(|row| fragment.delete(RowId(row)));
        fragment.release_deleted();
        assert_eq!(fragment.damaged_indexes(), Vec::<usize>::new());
        fragment.forget_in_index(0, RowId(3));
        fragment.forget_in_index(3, RowId(77));
        assert_eq!(fragment.damaged_indexes(), [0, 3]);
    }
}
