//! Linux: clocks, randomness, sleeping, futexes.

// Here they are wrapped for everybody else.
#![allow(clippy::disallowed_methods)]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::thread::futex;

use crate::hand_off::sleeping;

/// Microseconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_2000_US: i64 = 946_684_800_000_000;

/// How long a waiting thread gives its core away by `sched_yield` before it sleeps in the kernel. A wake-up
/// within that time costs 3 us, one from the kernel 50 us (measured on 2 cores).
const YIELD_NS: u64 = 50_000;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) struct Linux {
    /// The state of a seeded generator; `None` asks the kernel.
    seeded: Option<AtomicU64>,
}

impl Linux {
    pub(crate) fn new(seed: Option<u64>) -> Linux {
        Linux { seeded: seed.map(AtomicU64::new) }
    }

    pub(crate) fn random_u64(&self) -> u64 {
        match &self.seeded {
            Some(state) => crate::simulation::random::mix(
                state.fetch_add(crate::simulation::random::STEP, Ordering::Relaxed),
            ),
            None => kernel_random(),
        }
    }
}

fn kernel_random() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: the pointer and length name `bytes`, which outlives the call.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    // The kernel never returns fewer than 256 bytes asked for once its pool is ready (getrandom(2)).
    assert!(filled == 8, "getrandom failed: {}", std::io::Error::last_os_error());
    u64::from_le_bytes(bytes)
}

#[inline]
pub(crate) fn now_us() -> i64 {
    let unix_us = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    };
    unix_us.saturating_sub(UNIX_TO_2000_US)
}

#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn sleep_until(deadline_ns: u64) {
    loop {
        let now = monotonic_ns();
        if now >= deadline_ns {
            return;
        }
        sleeping(|| std::thread::sleep(Duration::from_nanos(deadline_ns - now)));
    }
}

/// Waits while `word` is `expected`; returns false when the deadline passed first.
pub(crate) fn wait_while(word: &AtomicU32, expected: u32, deadline_ns: Option<u64>) -> bool {
    let start = monotonic_ns();
    let yield_until = deadline_ns.unwrap_or(u64::MAX).min(start + YIELD_NS);
    while word.load(Ordering::Acquire) == expected {
        if monotonic_ns() >= yield_until {
            return sleep_while(word, expected, deadline_ns);
        }
        std::thread::yield_now();
    }
    true
}

/// [`wait_while`] in the kernel at once.
pub(crate) fn sleep_while(word: &AtomicU32, expected: u32, deadline_ns: Option<u64>) -> bool {
    while word.load(Ordering::Acquire) == expected {
        let timeout = match deadline_ns {
            None => None,
            Some(deadline) => {
                let now = monotonic_ns();
                if now >= deadline {
                    return false;
                }
                let left = Duration::from_nanos(deadline - now);
                futex::Timespec::try_from(left).ok()
            }
        };
        // Woken, interrupted, timed out or the word changed: the loop looks at the word again.
        let _ = sleeping(|| futex::wait(word, futex::Flags::PRIVATE, expected, timeout.as_ref()));
    }
    true
}

/// Wakes up to `count` threads that sleep on `word`.
pub(crate) fn wake(word: &AtomicU32, count: u32) {
    // The kernel's count is signed, and a negative one wakes one thread only.
    let count = count.min(i32::MAX.unsigned_abs());
    // It fails only for an address that is not mapped; a reference is.
    let _ = futex::wake(word, futex::Flags::PRIVATE, count);
}
