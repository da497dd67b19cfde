//! The base: buckets, users, settings, counters.

use tuplix::{Result, Session, Value};

use crate::ids::Bucket;
use crate::procedure::Fields;
use crate::service::{Service, service};

/// The base's SQL.
pub const SERVICE: Service = service!("os", 1, ["bucket", "home", "setting", "set_setting", "next_ids"]);

/// The home bucket of a user; of a name without a row, the bucket of the name.
///
/// # Errors
/// The database's.
pub fn home(session: &mut Session, user: &str) -> Result<Bucket> {
    let rows = session.query("SELECT os.home($1)", &[Value::text(user)])?;
    Ok(Bucket(Fields(rows.row(0)).int4(0)?))
}

/// The first of `count` new identifiers of a kind in a bucket; the others follow in steps of 64.
///
/// # Errors
/// `TXO01` for a bucket that is none.
pub fn next_ids(session: &mut Session, bucket: Bucket, kind: &str, count: i32) -> Result<i64> {
    let arguments = [bucket.value(), Value::text(kind), Value::Int4(count)];
    let rows = session.query("SELECT os.next_ids($1, $2, $3)", &arguments)?;
    Fields(rows.row(0)).int(0)
}

/// Sets a setting; the README of each service lists its own.
///
/// # Errors
/// The database's.
pub fn set(session: &mut Session, name: &str, value: i64) -> Result<()> {
    session.query("SELECT os.set_setting($1, $2)", &[Value::text(name), Value::Int8(value)])?;
    Ok(())
}
