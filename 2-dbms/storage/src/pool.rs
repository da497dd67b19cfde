//! Memory for the vectors of whole chunks and the segments of hash indexes: blocks of a few sizes, cut from
//! [regions](tuplix_machine::map_region) that the kernel may back with one large page each.
//!
//! ```text
//! class of a size ── regions with room, one list
//! region: header | block | block | ...      its blocks are in use, free (a list), or fresh (never used yet)
//! ```
//!
//! A block that is given back is the next to be taken: a chunk that is copied for a snapshot gets memory that was touched before, often
//! that of the copy before. A region without a block in use goes back to the kernel while another one of its class has room.
//! Other lengths come from the global allocator. All nodes of a process share the pool.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

use tuplix_machine::{REGION_BYTES, map_region, unmap_region};

use crate::schema::CHUNK_ROWS;

/// What all blocks are aligned to.
const ALIGN: usize = 64;

/// The sizes of blocks: vectors of a chunk's rows of each width behind a header of 16 bytes, and a segment.
const SIZES: [usize; 7] = [
    vector_bytes(1),
    vector_bytes(2),
    vector_bytes(4),
    vector_bytes(8),
    vector_bytes(16),
    vector_bytes(24),
    crate::segment::SEGMENT_SLOTS * 8,
];

const fn vector_bytes(width: usize) -> usize {
    (16 + CHUNK_ROWS * width).next_multiple_of(ALIGN)
}

static CLASSES: [Mutex<Class>; SIZES.len()] =
    [const { Mutex::new(Class { open: ptr::null_mut() }) }; SIZES.len()];

/// Regions of blocks of one size.
struct Class {
    /// The first region that has room.
    open: *mut Region,
}

// SAFETY: the regions are reached by who has locked the class only.
unsafe impl Send for Class {}

/// What a region begins with.
#[repr(C, align(64))]
struct Region {
    used: u32,
    /// Blocks from here on were never used.
    fresh: u32,
    free: *mut Free,
    previous: *mut Region,
    next: *mut Region,
}

/// A block that was given back.
struct Free {
    next: *mut Free,
}

const _: () = assert!(size_of::<Region>() == ALIGN, "blocks lie behind the header, aligned");

const fn blocks_of(class: usize) -> u32 {
    ((REGION_BYTES - size_of::<Region>()) / SIZES[class]) as u32
}

fn class_of(layout: Layout) -> Option<usize> {
    let size = layout.size().next_multiple_of(ALIGN);
    SIZES.iter().position(|class| *class == size)
}

/// Memory for a layout that is not empty. What it holds is not defined.
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    debug_assert!(layout.size() > 0 && layout.align() <= ALIGN);
    let block = match class_of(layout) {
        Some(class) => take(class),
        // SAFETY: the layout is not empty.
        None => NonNull::new(unsafe { alloc(layout) }),
    };
    block.unwrap_or_else(|| handle_alloc_error(layout))
}

/// Gives memory back.
///
/// # Safety
/// It is of [`allocate`] for the same layout, and nobody uses it any more.
pub(crate) unsafe fn release(block: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's contract.
    unsafe {
        match class_of(layout) {
            Some(class) => give(class, block),
            None => dealloc(block.as_ptr(), layout),
        }
    }
}

/// Values with one owner, in memory from the pool.
pub(crate) struct Slab<T: Copy> {
    /// Dangling where there is no value.
    first: NonNull<T>,
    len: usize,
}

// SAFETY: the values are owned, as in a `Box`.
unsafe impl<T: Copy + Send> Send for Slab<T> {}
// SAFETY: as above.
unsafe impl<T: Copy + Sync> Sync for Slab<T> {}

impl<T: Copy> Slab<T> {
    /// So many copies of a value.
    pub(crate) fn new(len: usize, value: T) -> Slab<T> {
        if len == 0 {
            return Slab::default();
        }
        let first = allocate(Slab::<T>::layout(len)).cast::<T>();
        // SAFETY: the block is new and has room for so many.
        (0..len).for_each(|place| unsafe { first.add(place).write(value) });
        Slab { first, len }
    }

    fn layout(len: usize) -> Layout {
        match Layout::array::<T>(len) {
            Ok(layout) => layout,
            Err(_) => unreachable!("a segment fits into memory"),
        }
    }
}

impl<T: Copy> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { first: NonNull::dangling(), len: 0 }
    }
}

impl<T: Copy> Drop for Slab<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the block is of this layout and goes with its owner; values that are `Copy` need no drop.
            unsafe { release(self.first.cast(), Slab::<T>::layout(self.len)) };
        }
    }
}

impl<T: Copy> std::ops::Deref for Slab<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: so many values were written, and they are borrowed with their owner.
        unsafe { NonNull::slice_from_raw_parts(self.first, self.len).as_ref() }
    }
}

impl<T: Copy> std::ops::DerefMut for Slab<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and they are borrowed for writing.
        unsafe { NonNull::slice_from_raw_parts(self.first, self.len).as_mut() }
    }
}

impl<T: Copy + std::fmt::Debug> std::fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&**self).finish()
    }
}

fn take(class: usize) -> Option<NonNull<u8>> {
    let mut regions = CLASSES[class].lock().unwrap_or_else(PoisonError::into_inner);
    if regions.open.is_null() {
        drop(regions);
        // Its first touch takes as long as zeroing all of it: nobody waits for that under the lock.
        let region = new_region()?;
        regions = CLASSES[class].lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the region is new, and the class is locked.
        unsafe { regions.link(region.as_ptr()) };
    }
    // SAFETY: regions of the list are the locked class's and have room; blocks lie behind the header, inside the region.
    unsafe {
        let open = regions.open;
        let region = &mut *open;
        let block = if region.free.is_null() {
            region.fresh += 1;
            open.byte_add(size_of::<Region>() + (region.fresh - 1) as usize * SIZES[class]).cast::<u8>()
        } else {
            let block = region.free;
            region.free = (*block).next;
            block.cast()
        };
        region.used += 1;
        if region.used == blocks_of(class) {
            regions.unlink(open);
        }
        NonNull::new(block)
    }
}

fn new_region() -> Option<NonNull<Region>> {
    let region = map_region()?.cast::<Region>();
    let header =
        Region { used: 0, fresh: 0, free: ptr::null_mut(), previous: ptr::null_mut(), next: ptr::null_mut() };
    // SAFETY: the region is new, aligned, and longer than its header.
    unsafe { region.write(header) };
    Some(region)
}

/// # Safety
/// The block is of [`take`] for the same class, and nobody uses it any more.
unsafe fn give(class: usize, block: NonNull<u8>) {
    let open = block.as_ptr().map_addr(|address| address & !(REGION_BYTES - 1)).cast::<Region>();
    let mut regions = CLASSES[class].lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: regions are aligned to their length, so this is the header of the block's; the class is locked.
    unsafe {
        let region = &mut *open;
        let freed = block.as_ptr().cast::<Free>();
        freed.write(Free { next: region.free });
        region.free = freed;
        region.used -= 1;
        if region.used + 1 == blocks_of(class) {
            regions.link(open);
        } else if region.used == 0 && !(region.previous.is_null() && region.next.is_null()) {
            regions.unlink(open);
            drop(regions);
            unmap_region(NonNull::new_unchecked(open.cast()));
        }
    }
}

impl Class {
    /// Puts a region in front of those that have room.
    ///
    /// # Safety
    /// It is this class's and not in the list.
    unsafe fn link(&mut self, region: *mut Region) {
        // SAFETY: the caller's contract; what is in the list is mapped.
        unsafe {
            (*region).previous = ptr::null_mut();
            (*region).next = self.open;
            if !self.open.is_null() {
                (*self.open).previous = region;
            }
        }
        self.open = region;
    }

    /// Takes a region out of the list.
    ///
    /// # Safety
    /// It is in the list.
    unsafe fn unlink(&mut self, region: *mut Region) {
        // SAFETY: the caller's contract; what is in the list is mapped.
        unsafe {
            let (previous, next) = ((*region).previous, (*region).next);
            if previous.is_null() {
                self.open = next;
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
            ((*region).previous, (*region).next) = (ptr::null_mut(), ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use super::*;

    /// Threads take and give back blocks of all sizes in an order of their own; nobody else ever writes into a block that is taken.
    #[test]
    fn blocks_belong_to_one_owner() {
        let run = |seed: u64| {
            let mut held: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
            let mut random = seed;
            for step in 0..30_000_u32 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed | 1);
                let draw = (random >> 33) as usize;
                // Up to some hundreds of blocks, then fewer, in turn: regions come and go.
                let most = if step / 3000 % 2 == 0 { 700 } else { 20 };
                if held.len() < most && !draw.is_multiple_of(3) {
                    let size = if draw.is_multiple_of(17) { 100 } else { SIZES[draw % SIZES.len()] };
                    let layout = Layout::from_size_align(size, 8).unwrap();
                    let block = allocate(layout);
                    // SAFETY: the block is this thread's.
                    unsafe { block.as_ptr().write_bytes(draw as u8, size) };
                    held.push((block, layout, draw as u8));
                } else if !held.is_empty() {
                    let (block, layout, byte) = held.swap_remove(draw % held.len());
                    // SAFETY: the block is this thread's, until it is given back.
                    unsafe {
                        let bytes = std::slice::from_raw_parts(block.as_ptr(), layout.size());
                        assert!(bytes.iter().all(|found| *found == byte));
                        release(block, layout);
                    }
                }
            }
            for (block, layout, _) in held {
                // SAFETY: nobody uses it any more.
                unsafe { release(block, layout) };
            }
        };
        std::thread::scope(|scope| {
            (1..=3).for_each(|seed| {
                scope.spawn(move || run(seed));
            });
        });
    }
}
