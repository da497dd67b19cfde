//! Advisory locks, of transactions and of sessions: `pg_advisory_xact_lock`, `pg_advisory_lock` and their kin.
//!
//! Those of transactions are no-ops in a one-shot unless somebody holds the lock: a one-shot is alone anyway.

use tuplix_sql::plan::LockStrength;
use tuplix_types::{Severity, SqlError, Value, sqlstate};

use crate::layout::Domain;
use crate::lock_table::LockKey;
use crate::services::Services;
use crate::stop::Run;
use crate::transaction::Transaction;

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
    let (name, strength) = match name.strip_suffix("_shared") {
        Some(name) => (name, LockStrength::Share),
        None => (name, LockStrength::Update),
    };
    let (domain, key) = (domain_of(tx, args), key_of(args));
    match name {
        "pg_advisory_xact_lock" => {
            tx.advisory_lock(domain, key, strength, true)?;
            Ok(Value::Null)
        }
        "pg_try_advisory_xact_lock" => Ok(Value::Bool(tx.advisory_lock(domain, key, strength, false)?)),
        "pg_advisory_lock" => {
            tx.session_lock(domain, key, strength, true)?;
            Ok(Value::Null)
        }
        "pg_try_advisory_lock" => Ok(Value::Bool(tx.session_lock(domain, key, strength, false)?)),
        "pg_advisory_unlock" => {
            let owned = services.session_locks.borrow_mut().give_back(key, strength);
            if !owned {
                let mode = if strength == LockStrength::Share { "ShareLock" } else { "ExclusiveLock" };
                let message = format!("you don't own a lock of type {mode}");
                tx.notice(SqlError::new(sqlstate::WARNING, message).severity(Severity::Warning));
            }
            Ok(Value::Bool(owned))
        }
        "pg_advisory_unlock_all" => {
            services.session_locks.borrow_mut().give_back_all();
            Ok(Value::Null)
        }
        _ => {
            // By the name that users know it by.
            let name = tuplix_functions::find_symbol(symbol).map_or(symbol, |function| function.name);
            Err(SqlError::unsupported(format_args!("function {name}")).into())
        }
    }
}

fn key_of(args: &[Value]) -> LockKey {
    let number = |position: usize| args.get(position).and_then(Value::as_i64).unwrap_or(0);
    match args.len() {
        2 => LockKey::Advisory { two_keys: true, key: (number(0) << 32) | (number(1) & 0xffff_ffff) },
        _ => LockKey::Advisory { two_keys: false, key: number(0) },
    }
}

/// Where the lock is kept: with two keys in the partition of bucket `key2`, since services lock `(class, p)`; so a
/// single-partition procedure stays in its partition.
fn domain_of(tx: &Transaction<'_>, args: &[Value]) -> Domain {
    let key = args.last().and_then(Value::as_i64).unwrap_or(0);
    let bucket = key.rem_euclid(i64::from(tx.node.buckets())) as u16;
    tx.node.domain_of_bucket(bucket)
}
