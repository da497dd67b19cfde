//! Memory in regions that the kernel may back with one large page each: what is touched at random then misses the processor's
//! table of pages 512 times less often, and 512 pages are zeroed by one fault.

use std::ptr::{self, NonNull};

/// Length of a region and what its address is a multiple of: a large page of x86-64 and of most others.
pub const REGION_BYTES: usize = 2 << 20;

/// A region of zeros, `None` when the kernel has no memory left. It takes memory when it is touched.
pub fn map_region() -> Option<NonNull<u8>> {
    let start = map(REGION_BYTES)?;
    if start.addr().get().is_multiple_of(REGION_BYTES) {
        return Some(advised(start));
    }
    // Newer kernels align by themselves; for the others, of twice as much the aligned part stays.
    // SAFETY: the mapping was just made, and nobody knows of it.
    unsafe { unmap(start, REGION_BYTES) };
    let start = map(2 * REGION_BYTES)?;
    let before = start.addr().get().next_multiple_of(REGION_BYTES) - start.addr().get();
    // SAFETY: these are parts of a mapping that was just made, in front of the region and behind it.
    unsafe {
        let region = start.byte_add(before);
        unmap(start, before);
        unmap(region.byte_add(REGION_BYTES), REGION_BYTES - before);
        Some(advised(region))
    }
}

/// Gives a region back.
///
/// # Safety
/// It is one of [`map_region`], and nobody uses it any more.
pub unsafe fn unmap_region(region: NonNull<u8>) {
    // SAFETY: the caller's contract.
    unsafe { unmap(region, REGION_BYTES) };
}

fn map(bytes: usize) -> Option<NonNull<u8>> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping where the kernel likes, which concerns nobody else's memory.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
    if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
}

/// Asks for a large page. Where the kernel has none, small ones do.
fn advised(region: NonNull<u8>) -> NonNull<u8> {
    // SAFETY: the advice changes nothing of what the memory holds.
    unsafe { libc::madvise(region.as_ptr().cast(), REGION_BYTES, libc::MADV_HUGEPAGE) };
    region
}

/// # Safety
/// The bytes are of a mapping of [`map`], and nobody uses them any more.
unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    if bytes > 0 {
        // SAFETY: the caller's contract. It fails for bytes that are no mapping only.
        unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn regions_are_aligned_zero_and_writable() {
        let regions: Vec<NonNull<u8>> = (0..9).map(|_| map_region().unwrap()).collect();
        for region in &regions {
            assert_eq!(region.addr().get() % REGION_BYTES, 0);
            // SAFETY: the region is this test's.
            let bytes = unsafe { std::slice::from_raw_parts_mut(region.as_ptr(), REGION_BYTES) };
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
        }
        for region in regions {
            // SAFETY: nobody uses it any more.
            unsafe { unmap_region(region) };
        }
    }
}
