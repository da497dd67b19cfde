//! The values of one column of a chunk, shared by the versions of the chunk until one of them writes the column.

use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use crate::pool;

/// A typed vector of values by place. Whoever reads it sees a slice.
///
/// It is what `Arc<[T]>` would be, with memory from the [pool](crate::pool).
pub struct Vector<T> {
    /// The count of references, the values behind it; dangling where there is no value.
    block: NonNull<Header>,
    places: usize,
    owns: PhantomData<T>,
}

/// What the values lie behind.
#[repr(C, align(16))]
struct Header {
    references: AtomicUsize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks the processor for so many cache lines from an address on, without waiting for them.
#[inline(always)]
pub(crate) fn ask_for(start: *const u8, lines: usize) {
    for line in 0..lines {
        let address = start.wrapping_add(line * LINE);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: nothing is read by it, whatever the address.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _: *const u8 = address;
    }
}

// SAFETY: as `Arc<[T]>`, it shares values between threads, and whoever drops the last reference drops them.
unsafe impl<T: Send + Sync> Send for Vector<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Vector<T> {}

impl<T> Vector<T> {
    /// The block of a vector with so many places.
    fn layout(places: usize) -> Layout {
        const { assert!(align_of::<T>() <= align_of::<Header>()) };
        let bytes =
            places.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(size_of::<Header>()));
        let layout = bytes.and_then(|bytes| Layout::from_size_align(bytes, align_of::<Header>()).ok());
        layout.expect("a chunk's vector fits into memory")
    }

    /// A vector of so many values, of which `values` has at least as many. What came is lost, not dropped, if one panics.
    #[inline]
    fn filled(places: usize, values: impl Iterator<Item = T>) -> Vector<T> {
        if places == 0 {
            return Vector::default();
        }
        let block = pool::allocate(Vector::<T>::layout(places)).cast::<Header>();
        let mut written = 0;
        // SAFETY: the block is new and long enough for the header and so many values.
        unsafe {
            block.write(Header { references: AtomicUsize::new(1) });
            let first = block.add(1).cast::<T>();
            values.take(places).for_each(|value| {
                first.add(written).write(value);
                written += 1;
            });
        }
        assert_eq!(written, places, "a vector gets a value for each place");
        Vector { block, places, owns: PhantomData }
    }

    /// A vector of so many values, copied byte by byte.
    ///
    /// # Safety
    /// They lie from `first` on, and whoever had them does not drop them, or they have nothing to drop.
    #[inline]
    unsafe fn moved(first: NonNull<T>, places: usize) -> Vector<T> {
        if places == 0 {
            return Vector::default();
        }
        let block = pool::allocate(Vector::<T>::layout(places)).cast::<Header>();
        // SAFETY: the block is new and long enough for the header and so many values, which are the caller's to give.
        unsafe {
            block.write(Header { references: AtomicUsize::new(1) });
            block.add(1).cast::<T>().copy_from_nonoverlapping(first, places);
        }
        Vector { block, places, owns: PhantomData }
    }

    fn values(&self) -> NonNull<[T]> {
        let first = if self.places == 0 {
            NonNull::dangling()
        } else {
            // SAFETY: the values lie behind the header.
            unsafe { self.block.add(1).cast::<T>() }
        };
        NonNull::slice_from_raw_parts(first, self.places)
    }

    /// How many versions of a chunk have it.
    pub(crate) fn references(&self) -> usize {
        if self.places == 0 {
            return 1;
        }
        // SAFETY: this is a reference, so the header is there.
        unsafe { self.block.as_ref() }.references.load(Ordering::Relaxed)
    }

    /// Asks for its first cache lines, for who reads it soon: behind them the processor goes on by itself.
    #[inline]
    pub(crate) fn ask_for(&self) {
        if self.places > 0 {
            ask_for(self.block.as_ptr().cast(), 4);
        }
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
        debug_assert_eq!(self.references(), 1);
        assert!(place < self.places, "a vector of {} places has no place {place}", self.places);
        // SAFETY: this is the only reference, as the caller says, it is borrowed for writing, and the place is inside.
        unsafe { self.block.add(1).cast::<T>().add(place).as_mut() }
    }
}

impl<T: Clone + Default> Vector<T> {
    /// Makes it as long as `capacity`, in memory of its own.
    pub(crate) fn resize(&mut self, capacity: usize) {
        let more = capacity.saturating_sub(self.places);
        *self = Vector::filled(capacity, self.iter().cloned().chain(std::iter::repeat_n(T::default(), more)));
    }

    /// Copies the values unless nobody else has them.
    pub(crate) fn make_own(&mut self) {
        if self.references() == 1 {
            // Whatever a reader did before it dropped the last other reference comes before the writes that follow.
            fence(Ordering::Acquire);
        } else if std::mem::needs_drop::<T>() {
            *self = Vector::filled(self.places, self.iter().cloned());
        } else {
            // SAFETY: what has nothing to drop are numbers, which may be there twice.
            *self = unsafe { Vector::moved(self.values().cast(), self.places) };
        }
    }
}

impl<T> Default for Vector<T> {
    fn default() -> Vector<T> {
        Vector { block: NonNull::dangling(), places: 0, owns: PhantomData }
    }
}

impl<T> From<Vec<T>> for Vector<T> {
    fn from(mut values: Vec<T>) -> Vector<T> {
        // SAFETY: as many values lie there, and the `Vec` forgets them before anything else happens.
        unsafe {
            let vector = Vector::moved(NonNull::new_unchecked(values.as_mut_ptr()), values.len());
            values.set_len(0);
            vector
        }
    }
}

impl<T> Clone for Vector<T> {
    #[inline]
    fn clone(&self) -> Vector<T> {
        if self.places > 0 {
            // Whoever clones has a reference already, so no order is needed (as in `Arc`).
            // SAFETY: this is a reference, so the header is there.
            unsafe { self.block.as_ref() }.references.fetch_add(1, Ordering::Relaxed);
        }
        Vector { block: self.block, places: self.places, owns: PhantomData }
    }
}

impl<T> Drop for Vector<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is a reference, so the header is there.
        if self.places == 0 || unsafe { self.block.as_ref() }.references.fetch_sub(1, Ordering::Release) != 1
        {
            return;
        }
        // What others did with the values before they dropped theirs comes before this.
        fence(Ordering::Acquire);
        // SAFETY: it was the last reference; the block is of this layout.
        unsafe {
            ptr::drop_in_place(self.values().as_ptr());
            pool::release(self.block.cast(), Vector::<T>::layout(self.places));
        }
    }
}

impl<T> std::ops::Deref for Vector<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: this is a reference, so the values are there; who writes them has the only one, borrowed for writing.
        unsafe { self.values().as_ref() }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Vector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&**self).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Values are dropped once, with the last of the vectors that share them.
    #[test]
    fn values_are_dropped_once() {
        let counted = Arc::new(());
        for places in [0, 1, 3, 512] {
            let vector: Vector<Option<Arc<()>>> = vec![Some(counted.clone()); places].into();
            assert_eq!(Arc::strong_count(&counted), places + 1);
            let mut copy = vector.clone();
            assert_eq!(vector.references(), if places == 0 { 1 } else { 2 });
            copy.make_own();
            assert_eq!(Arc::strong_count(&counted), 2 * places + 1);
            copy.resize(places + 7);
            assert_eq!((copy.len(), copy.iter().flatten().count()), (places + 7, places));
            drop(vector);
            assert_eq!(Arc::strong_count(&counted), places + 1);
            drop(copy);
            assert_eq!(Arc::strong_count(&counted), 1);
        }
    }
}
