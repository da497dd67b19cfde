//! The values of one column of a chunk, shared by the versions of the chunk until one of them writes the column.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// A typed vector of values by place. Whoever reads it sees a slice.
#[derive(Clone, Debug)]
pub struct Vector<T>(Arc<[T]>);

impl<T> Default for Vector<T> {
    fn default() -> Vector<T> {
        Vector(Arc::default())
    }
}

impl<T> From<Vec<T>> for Vector<T> {
    fn from(values: Vec<T>) -> Vector<T> {
        Vector(values.into())
    }
}

impl<T> std::ops::Deref for Vector<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Clone + Default> Vector<T> {
    /// Makes it as long as `capacity`, in memory of its own.
    pub(crate) fn resize(&mut self, capacity: usize) {
        // Collecting into the Arc would spare a copy, but goes value by value.
        let mut values = Vec::with_capacity(capacity);
        values.extend_from_slice(&self.0);
        values.resize(capacity, T::default());
        self.0 = values.into();
    }

    /// Copies the values unless nobody else has them.
    pub(crate) fn make_own(&mut self) {
        if Arc::strong_count(&self.0) == 1 {
            // Whatever a reader did before it dropped the last other reference comes before the writes that follow.
            fence(Ordering::Acquire);
        } else {
            self.0 = Arc::from(&self.0[..]);
        }
    }
}

impl<T> Vector<T> {
    /// How many versions of a chunk have it.
    pub(crate) fn references(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// The value at a place, for writing.
    ///
    /// # Safety
    /// Nobody else has the values: no other version of the chunk shares them.
    ///
    /// # Panics
    /// If the vector has no such place.
    #[inline]
    pub(crate) unsafe fn at(&mut self, place: usize) -> &mut T {
        debug_assert_eq!((Arc::strong_count(&self.0), Arc::weak_count(&self.0)), (1, 0));
        // SAFETY: this is the only reference, as the caller says, and it is borrowed for writing.
        let values = unsafe { &mut *Arc::as_ptr(&self.0).cast_mut() };
        &mut values[place]
    }
}
