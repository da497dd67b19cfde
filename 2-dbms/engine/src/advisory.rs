//! Advisory locks: those of transactions (`pg_advisory_xact_lock` and its kin) and those of sessions (`pg_advisory_lock`,
//! `pg_advisory_unlock`, ...).
//!
//! A transaction's lock is held by the transaction. In a one-shot it is a no-op unless somebody else holds the lock: a
//! one-shot is alone anyway.
//!
//! A session's lock outlives transactions, also failed ones, and is counted. Each key that a session holds has a holder of
//! its own among the transactions of the wait graph, which ends when the key is given back: so who waits for it wakes up.
//! A statement that starts again must not count its locks twice: its block keeps what each call has answered, and a
//! second run gets the same answers ([`Calls`]).

use std::collections::BTreeMap;

use tuplix_sql::plan::LockStrength;
use tuplix_types::{Severity, SqlError, Value, sqlstate};

use crate::layout::Domain;
use crate::lock_table::{LockKey, TransactionId};
use crate::node::Node;
use crate::services::Services;
use crate::stop::Run;
use crate::transaction::Transaction;

/// The locks that a session holds beyond its transactions, by key.
#[derive(Debug, Default)]
pub(crate) struct SessionLocks(BTreeMap<(bool, i64), Lock>);

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Lock {
    /// Who holds it, in the lock tables.
    holder: TransactionId,
    domain: Domain,
    /// How often it was taken.
    exclusive: u32,
    shared: u32,
}

/// What the calls of the statement under way have answered: it may run again.
#[derive(Debug, Default)]
pub struct Calls {
    answered: Vec<(String, Vec<Value>, Value)>,
    /// How many of them the present run has made.
    made: usize,
    again: bool,
}

impl Calls {
    /// A run begins: another one of the same statement when [`Calls::run_again`] was called.
    #[inline]
    pub(crate) fn start(&mut self) {
        if !std::mem::take(&mut self.again) {
            self.answered.clear();
        }
        self.made = 0;
    }

    /// The statement is about to run again.
    pub(crate) fn run_again(&mut self) {
        self.again = true;
    }

    fn known(&mut self, symbol: &str, args: &[Value]) -> Option<Value> {
        let (name, of, answer) = self.answered.get(self.made)?;
        if name != symbol || of != args {
            // It goes another way now.
            self.answered.truncate(self.made);
            return None;
        }
        self.made += 1;
        Some(answer.clone())
    }

    fn note(&mut self, symbol: &str, args: &[Value], answer: &Value) {
        self.answered.push((symbol.to_owned(), args.to_vec(), answer.clone()));
        self.made = self.answered.len();
    }
}

impl SessionLocks {
    /// Everybody who holds a lock for the session.
    pub(crate) fn holders(&self) -> impl Iterator<Item = TransactionId> {
        self.0.values().map(|lock| lock.holder)
    }

    fn holder(&self, key: (bool, i64)) -> Option<TransactionId> {
        self.0.get(&key).map(|lock| lock.holder)
    }
}

/// Calls the advisory lock function with this symbol.
///
/// # Errors
/// 0A000 when the engine has no such function.
pub(crate) fn call(
    services: &Services,
    symbol: &str,
    args: &[Value],
    tx: &mut Transaction<'_>,
) -> Run<Value> {
    let name = symbol.trim_end_matches("_int4").trim_end_matches("_int8");
    let (strength, waits) = match name {
        "pg_advisory_xact_lock" => (LockStrength::Update, true),
        "pg_advisory_xact_lock_shared" => (LockStrength::Share, true),
        "pg_try_advisory_xact_lock" => (LockStrength::Update, false),
        "pg_try_advisory_xact_lock_shared" => (LockStrength::Share, false),
        _ => return session_call(services, symbol, name, args, tx),
    };
    let (domain, key) = (domain_of(tx.node, args), key_of(args));
    let own = services.advisory.borrow().holder(key);
    let taken = tx.advisory_lock(domain, lock_key(key), strength, waits, own)?;
    Ok(if waits { Value::Null } else { Value::Bool(taken) })
}

fn session_call(
    services: &Services,
    symbol: &str,
    name: &str,
    args: &[Value],
    tx: &mut Transaction<'_>,
) -> Run<Value> {
    let strength = match name.strip_suffix("_shared") {
        Some(_) => LockStrength::Share,
        None => LockStrength::Update,
    };
    let what = name.trim_end_matches("_shared");
    if !matches!(
        what,
        "pg_advisory_lock" | "pg_try_advisory_lock" | "pg_advisory_unlock" | "pg_advisory_unlock_all"
    ) {
        // By the name that users know it by.
        let name = tuplix_functions::find_symbol(symbol).map_or(symbol, |function| function.name);
        return Err(SqlError::unsupported(format_args!("function {name}")).into());
    }
    if let Some(answer) = tx.session_calls()?.known(symbol, args) {
        return Ok(answer);
    }
    let answer = match what {
        "pg_advisory_unlock" => Value::Bool(unlock(services, args, strength, tx)?),
        "pg_advisory_unlock_all" => {
            let all: Vec<_> = services.advisory.borrow().0.iter().map(|(key, lock)| (*key, *lock)).collect();
            for (_, lock) in &all {
                tx.hold(lock.domain)?;
            }
            for (key, lock) in all {
                tx.move_advisory_lock(lock.domain, lock_key(key), lock.holder, None)?;
                end(services, key, lock);
            }
            Value::Null
        }
        _ => {
            let waits = what == "pg_advisory_lock";
            let taken = lock(services, args, strength, waits, tx)?;
            if waits { Value::Null } else { Value::Bool(taken) }
        }
    };
    tx.session_calls()?.note(symbol, args, &answer);
    Ok(answer)
}

/// Takes a lock for the session; false when it was not to wait and somebody else holds it.
fn lock(
    services: &Services,
    args: &[Value],
    strength: LockStrength,
    waits: bool,
    tx: &mut Transaction<'_>,
) -> Run<bool> {
    let (domain, key) = (domain_of(tx.node, args), key_of(args));
    let known = services.advisory.borrow().0.get(&key).copied();
    let own = known.map(|lock| lock.holder);
    if !tx.may_lock_advisory(domain, lock_key(key), strength, waits, own)? {
        return Ok(false);
    }
    let new = || Lock { holder: tx.node.waits.begin(), domain, exclusive: 0, shared: 0 };
    let mut lock = known.unwrap_or_else(new);
    tx.move_advisory_lock(domain, lock_key(key), lock.holder, Some((lock.holder, strength)))?;
    match strength {
        LockStrength::Share => lock.shared += 1,
        _ => lock.exclusive += 1,
    }
    services.advisory.borrow_mut().0.insert(key, lock);
    Ok(true)
}

/// Gives a lock of the session back once; false, and a warning, when it has none of this kind.
fn unlock(
    services: &Services,
    args: &[Value],
    strength: LockStrength,
    tx: &mut Transaction<'_>,
) -> Run<bool> {
    let key = key_of(args);
    let known = services.advisory.borrow().0.get(&key).copied();
    let count = |lock: &Lock| if strength == LockStrength::Share { lock.shared } else { lock.exclusive };
    let Some(mut lock) = known.filter(|lock| count(lock) > 0) else {
        let kind = if strength == LockStrength::Share { "ShareLock" } else { "ExclusiveLock" };
        let message = format!("you don't own a lock of type {kind}");
        tx.notice(SqlError::new(sqlstate::WARNING, message).severity(Severity::Warning));
        return Ok(false);
    };
    match strength {
        LockStrength::Share => lock.shared -= 1,
        _ => lock.exclusive -= 1,
    }
    if (lock.exclusive, lock.shared) == (0, 0) {
        tx.move_advisory_lock(lock.domain, lock_key(key), lock.holder, None)?;
        end(services, key, lock);
    } else if strength == LockStrength::Update && lock.exclusive == 0 {
        // Others may share it now: whoever waits for the old holder is to look again.
        let weaker = tx.node.waits.begin();
        tx.move_advisory_lock(lock.domain, lock_key(key), lock.holder, Some((weaker, LockStrength::Share)))?;
        services.node.waits.end(lock.holder);
        services.advisory.borrow_mut().0.insert(key, Lock { holder: weaker, ..lock });
    } else {
        services.advisory.borrow_mut().0.insert(key, lock);
    }
    Ok(true)
}

/// A lock is nobody's any more in the lock tables: forgets it, and wakes who waits.
fn end(services: &Services, key: (bool, i64), lock: Lock) {
    services.advisory.borrow_mut().0.remove(&key);
    services.node.waits.end(lock.holder);
}

/// Gives all locks of the session back, outside of any transaction.
pub(crate) fn leave(services: &Services) {
    let all = std::mem::take(&mut services.advisory.borrow_mut().0);
    for (key, lock) in all {
        services.node.domain(lock.domain).lock(lock.domain).locks.release(lock_key(key), lock.holder);
        services.node.waits.end(lock.holder);
    }
}

fn lock_key((two_keys, key): (bool, i64)) -> LockKey {
    LockKey::Advisory { two_keys, key }
}

fn key_of(args: &[Value]) -> (bool, i64) {
    let number = |position: usize| args.get(position).and_then(Value::as_i64).unwrap_or(0);
    match args.len() {
        2 => (true, (number(0) << 32) | (number(1) & 0xffff_ffff)),
        _ => (false, number(0)),
    }
}

/// Where the lock is kept: with two keys in the partition of bucket `key2`, since services lock `(class, p)`; so a
/// single-partition procedure stays in its partition.
fn domain_of(node: &Node, args: &[Value]) -> Domain {
    let key = args.last().and_then(Value::as_i64).unwrap_or(0);
    let bucket = key.rem_euclid(i64::from(node.buckets())) as u16;
    node.domain_of_bucket(bucket)
}
