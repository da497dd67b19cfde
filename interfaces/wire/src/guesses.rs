//! A bound on guessing passwords: one attempt at a time for an address and a name, each after a failure later than the one
//! before.
//!
//! Somebody else's guesses hold up nobody but those who come from the same address under the same name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

/// What the first failure costs; it doubles with each one.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The most that a failure costs: 12 guesses a minute.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// Pairs of address and name that are remembered; beyond it those are forgotten that nobody waits for.
const PAIRS_MAX: usize = 10_000;

type Key = (Option<String>, String);
type Failures = Arc<tokio::sync::Mutex<u32>>;

/// Failures since the last success, by address and name.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<BTreeMap<Key, Failures>>);

/// The right to try once.
pub(crate) struct Turn(OwnedMutexGuard<u32>);

impl Guesses {
    /// Waits until this address may try this name.
    pub(crate) async fn turn(&self, address: Option<String>, name: &str) -> Turn {
        let turn = self.next((address, name.to_owned())).await;
        tokio::time::sleep(turn.delay()).await;
        turn
    }

    async fn next(&self, key: Key) -> Turn {
        Turn(self.of(key).lock_owned().await)
    }

    fn of(&self, key: Key) -> Failures {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PAIRS_MAX && !all.contains_key(&key) {
            // Those that count nothing go first, then any that nobody waits for.
            all.retain(|_, failures| failures.try_lock().map_or(true, |count| *count > 0));
            if all.len() >= PAIRS_MAX {
                all.retain(|_, failures| Arc::strong_count(failures) > 1);
            }
        }
        Arc::clone(all.entry(key).or_default())
    }
}

impl Turn {
    fn delay(&self) -> Duration {
        match self.0.checked_sub(1) {
            None => Duration::ZERO,
            Some(doubled) => FIRST_DELAY.saturating_mul(1 << doubled.min(16)).min(DELAY_MAX),
        }
    }

    /// The password was right: failures before it count no more.
    pub(crate) fn succeeded(mut self) {
        *self.0 = 0;
    }

    /// It was wrong.
    pub(crate) fn failed(mut self) {
        *self.0 = self.0.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failures_cost_more_and_more_until_a_success() {
        let guesses = Guesses::default();
        let (ada, bob) = ((None, "ada".to_owned()), (None, "bob".to_owned()));
        let mut delays = Vec::new();
        for _ in 0..9 {
            let turn = guesses.next(ada.clone()).await;
            delays.push(turn.delay().as_millis());
            turn.failed();
        }
        assert_eq!(delays, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(guesses.next(bob).await.delay(), Duration::ZERO);
        guesses.next(ada.clone()).await.succeeded();
        assert_eq!(guesses.next(ada).await.delay(), Duration::ZERO);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let guesses = Guesses::default();
        for number in 0..2 * PAIRS_MAX {
            drop(guesses.of((None, number.to_string())));
        }
        assert!(guesses.0.lock().unwrap_or_else(PoisonError::into_inner).len() <= PAIRS_MAX);
    }
}
