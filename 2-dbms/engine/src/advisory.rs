//! Advisory locks of transactions: `pg_advisory_xact_lock` and its kin.
//!
//! In a one-shot they are no-ops unless an interactive transaction holds the lock: a one-shot is alone anyway.
//! Session-level ones are refused.

use tuplix_sql::plan::LockStrength;
use tuplix_types::{SqlError, Value};

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
    _services: &Services,
    symbol: &str,
    args: &[Value],
    tx: &mut Transaction<'_>,
) -> Run<Value> {
    let (strength, waits) = match symbol.trim_end_matches("_int4").trim_end_matches("_int8") {
        "pg_advisory_xact_lock" => (LockStrength::Update, true),
        "pg_advisory_xact_lock_shared" => (LockStrength::Share, true),
        "pg_try_advisory_xact_lock" => (LockStrength::Update, false),
        "pg_try_advisory_xact_lock_shared" => (LockStrength::Share, false),
        _ => {
            // By the name that users know it by.
            let name = tuplix_functions::find_symbol(symbol).map_or(symbol, |function| function.name);
            return Err(SqlError::unsupported(format_args!("function {name}")).into());
        }
    };
    let taken = tx.advisory_lock(domain_of(tx, args), key_of(args), strength, waits)?;
    Ok(if waits { Value::Null } else { Value::Bool(taken) })
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
