//! Prepared statements.

use std::sync::{Arc, Mutex, PoisonError};

use tuplix_types::{OutputColumn, TypeId};

/// The names of statements that nobody holds any more; the session closes them with its next message.
pub(crate) type Dropped = Arc<Mutex<Vec<String>>>;

/// A prepared statement of the session that prepared it. Cloning it is cheap; the server forgets it after the last clone.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) parameters: Vec<TypeId>,
    pub(crate) columns: Arc<[OutputColumn]>,
    /// The format asked for each column.
    pub(crate) formats: Vec<i16>,
    pub(crate) dropped: Dropped,
}

impl Prepared {
    /// The parameters' types.
    pub fn parameters(&self) -> &[TypeId] {
        &self.inner.parameters
    }

    /// The result's columns; none when it gives no rows.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.inner.columns
    }

    /// The statement's text.
    pub fn text(&self) -> &str {
        &self.inner.text
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.push(std::mem::take(&mut self.name));
    }
}
