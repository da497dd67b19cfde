//! Results as both engines give them.

use std::sync::Arc;

use crate::{TypeId, Value};

/// A column that a query or relation gives.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: TypeId,
    /// Type modifier, -1 for none.
    pub typmod: i32,
}

/// The result of one statement: rows in one flat vector that is reused from call to call.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Columns; none for a statement that gives no rows.
    pub columns: Arc<[OutputColumn]>,
    /// PostgreSQL's command tag: `SELECT 3`, `INSERT 0 1`.
    pub tag: Tag,
    values: Vec<Value>,
    count: usize,
}

/// A command tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// The command's name.
    pub command: &'static str,
    /// Rows it gave or changed, for commands that count.
    pub rows: Option<u64>,
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.rows {
            Some(rows) if self.command == "INSERT" => write!(f, "INSERT 0 {rows}"),
            Some(rows) => write!(f, "{} {rows}", self.command),
            None => f.write_str(self.command),
        }
    }
}

impl Rows {
    /// No rows.
    pub fn new() -> Rows {
        Rows::default()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// A row.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn row(&self, number: usize) -> &[Value] {
        assert!(number < self.count, "row {number} of {}", self.count);
        let width = self.columns.len();
        &self.values[number * width..(number + 1) * width]
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &[Value]> {
        (0..self.count).map(|number| self.row(number))
    }

    /// One value, `None` when there is no such row or column.
    pub fn get(&self, row: usize, column: usize) -> Option<&Value> {
        (row < self.count && column < self.columns.len()).then(|| &self.row(row)[column])
    }

    /// Rows given or changed.
    pub fn affected(&self) -> u64 {
        self.tag.rows.unwrap_or(0)
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.values.clear();
        self.count = 0;
    }

    /// Changes each value in place.
    pub fn change_values(&mut self, change: &mut dyn FnMut(&mut Value)) {
        self.values.iter_mut().for_each(change);
    }

    /// Adds a row of as many values as there are columns.
    #[inline]
    pub fn push(&mut self, row: &[Value]) {
        debug_assert_eq!(row.len(), self.columns.len(), "a row has a value for each column");
        for value in row {
            self.values.push(value.clone());
        }
        self.count += 1;
    }
}
