//! Threads that others share: what they do before they sleep.
//!
//! A thread that drives many connections runs short work itself, since handing each piece to another thread would cost more than the
//! work. Should the work turn out to wait for somebody, the thread first gives the connections to another: here it says how.

use std::cell::Cell;

/// Calls what it is given, which waits, after it has seen to those whom that would hold up.
pub type HandOff = fn(&mut dyn FnMut());

thread_local! {
    static HAND_OFF: Cell<Option<HandOff>> = const { Cell::new(None) };
}

/// Runs `work`; where it comes to sleep in one of this crate's waits, that goes through `hand_off`.
pub fn with_hand_off<T>(hand_off: HandOff, work: impl FnOnce() -> T) -> T {
    let _before = Before(HAND_OFF.replace(Some(hand_off)));
    work()
}

/// What there was, to be put back also when the work panics.
struct Before(Option<HandOff>);

impl Drop for Before {
    fn drop(&mut self) {
        HAND_OFF.set(self.0);
    }
}

/// Sleeps, by the thread's way of doing so.
pub(crate) fn sleeping<T>(sleep: impl FnOnce() -> T) -> T {
    let Some(hand_off) = HAND_OFF.get() else { return sleep() };
    // Another sleep within this one holds up nobody any more.
    let _before = Before(HAND_OFF.replace(None));
    let (mut sleep, mut value) = (Some(sleep), None);
    hand_off(&mut || value = sleep.take().map(|sleep| sleep()));
    match value {
        Some(value) => value,
        None => panic!("a hand-off must call what it is given"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Machine};

    thread_local! {
        static HANDED: Cell<u32> = const { Cell::new(0) };
    }

    fn count(sleep: &mut dyn FnMut()) {
        HANDED.set(HANDED.get() + 1);
        sleep();
    }

    #[test]
    fn only_a_sleep_is_handed_off() {
        let machine = Machine::linux();
        let event = Event::new(&machine);
        let sleep = || event.wait(event.sequence(), Some(machine.monotonic_ns() + 1_000_000));
        assert!(!sleep(), "nobody signals");
        assert_eq!(HANDED.get(), 0);
        with_hand_off(count, || {
            machine.yield_now();
            assert_eq!(HANDED.get(), 0);
            assert!(!sleep());
            assert_eq!(HANDED.get(), 1);
            machine.sleep_until(machine.monotonic_ns() + 1_000);
            assert_eq!(HANDED.get(), 2);
        });
        assert!(!sleep());
        assert_eq!(HANDED.get(), 2);
    }

    #[test]
    fn a_panic_leaves_no_hand_off_behind() {
        let outcome = std::panic::catch_unwind(|| with_hand_off(count, || panic!("on the way")));
        assert!(outcome.is_err());
        assert!(HAND_OFF.get().is_none());
    }
}
