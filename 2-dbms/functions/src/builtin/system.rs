//! What the session and the server say of themselves.

use ecow::EcoString;
use tuplix_types::Interval;
use tuplix_types::datetime::{TimeZone, abbreviation};
use tuplix_types::{Array, Result, SqlError, TypeId, Value, sqlstate};

use super::args::{array, boolean, from_array, int, int8, oid, text};
use super::generate::{Listed, single_column};
use super::{Scalars, Sets};
use crate::CallContext;
use crate::registry::SetRows;

macro_rules! server_version {
    () => {
        "15.18"
    };
}

/// The PostgreSQL whose dialect this is: what `server_version` shows.
pub const SERVER_VERSION: &str = server_version!();

/// What `version()` answers: clients read the number after the first word.
pub const VERSION: &str =
    concat!("PostgreSQL ", server_version!(), " (Tuplix ", env!("CARGO_PKG_VERSION"), ")");

fn setting(context: &CallContext<'_>, name: &str, missing_ok: bool) -> Result<Value> {
    match context.session.setting(name) {
        Some(value) => Ok(Value::Text(value)),
        None if missing_ok => Ok(Value::Null),
        None => {
            let message = format!("unrecognized configuration parameter \"{name}\"");
            Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
        }
    }
}

fn set_config(context: &CallContext<'_>, a: &[Value]) -> Result<Value> {
    if a[0].is_null() {
        return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name"));
    }
    let local = !a[2].is_null() && boolean(a, 2)?;
    Ok(Value::Text(context.session.set_setting(text(a, 0)?, a[1].as_str(), local)?))
}

/// The schemas of the search path, with the one that is always searched when asked for.
fn schemas(context: &CallContext<'_>, implicit: bool) -> Value {
    let mut path = context.session.search_path();
    if implicit && !path.iter().any(|name| name == "pg_catalog") {
        path.insert(0, EcoString::from("pg_catalog"));
    }
    from_array(Array::from_elements(TypeId::NAME, path.into_iter().map(Value::Text).collect()))
}

/// A type's name with its modifier, as `format_type` shows it.
fn format_type(context: &CallContext<'_>, a: &[Value]) -> Result<Value> {
    if a[0].is_null() {
        return Ok(Value::Null);
    }
    let id = TypeId(oid(a, 0)?);
    let typmod = if a[1].is_null() { None } else { Some(int(a, 1)? as i32) };
    Ok(Value::text(type_name(context, id, typmod)))
}

fn type_name(context: &CallContext<'_>, id: TypeId, typmod: Option<i32>) -> String {
    if id.0 == 0 {
        return "-".to_owned();
    }
    match (id.display_name(), typmod) {
        (None, _) => context.session.type_name(id).map_or_else(|| "???".to_owned(), String::from),
        (Some(name), None) => name.to_owned(),
        (Some(_), Some(typmod)) => tuplix_types::typmod::format_type(id, typmod),
    }
}

/// `8192 bytes`, `10 kB`, ...
fn size_pretty(size: i64) -> Value {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    // Each unit is used below 10 * 1024 of it, and halves are rounded up only from kB on.
    let (mut size, mut unit) = (size, 0);
    if size.unsigned_abs() < 10 * 1024 {
        return Value::text(format!("{size} {}", UNITS[0]));
    }
    size /= 512;
    loop {
        unit += 1;
        if unit == UNITS.len() - 1 || size.unsigned_abs() < 20 * 1024 - 1 {
            let rounded = (size + i64::from(size > 0) - i64::from(size < 0)) / 2;
            return Value::text(format!("{rounded} {}", UNITS[unit]));
        }
        size /= 1024;
    }
}

/// `name=value` texts as rows: `pg_options_to_table`.
fn options_to_table(options: &Array) -> Box<dyn SetRows> {
    let row = |option: &Value| {
        let text = option.as_str().unwrap_or_default();
        match text.split_once('=') {
            Some((name, value)) => vec![Value::text(name), Value::text(value)],
            None => vec![Value::text(text), Value::Null],
        }
    };
    let rows: Vec<_> = options.elements.iter().map(row).collect();
    Box::new(Listed(rows.into_iter()))
}

/// An offset from UTC as an interval.
fn offset(east_s: i32) -> Value {
    let microseconds = i64::from(east_s) * 1_000_000;
    Value::Interval(std::sync::Arc::new(Interval { microseconds, ..Interval::default() }))
}

/// The zones of the database, as they are now.
fn timezone_names(now_us: i64) -> Box<dyn SetRows> {
    let row = move |(name, zone): (&'static str, TimeZone)| {
        let moment = zone.moment(now_us);
        vec![
            Value::text(name),
            Value::text(moment.abbreviation),
            offset(moment.east_s),
            Value::Bool(moment.is_dst),
        ]
    };
    let rows: Vec<_> = TimeZone::names().map(row).collect();
    Box::new(Listed(rows.into_iter()))
}

/// The abbreviations that text may use, as they are now.
fn timezone_abbreviations(now_us: i64) -> Box<dyn SetRows> {
    let row = move |(name, meaning): (&'static str, abbreviation::Meaning)| {
        let (east_s, is_dst) = match meaning {
            abbreviation::Meaning::Offset { east_s, is_dst } => (east_s, is_dst),
            abbreviation::Meaning::Zone(_) => {
                let moment = TimeZone::from_abbreviation(name).unwrap_or_default().moment(now_us);
                (moment.east_s, moment.is_dst)
            }
        };
        vec![Value::text(name), offset(east_s), Value::Bool(is_dst)]
    };
    let rows: Vec<_> = abbreviation::all().map(row).collect();
    Box::new(Listed(rows.into_iter()))
}

/// Sets that say what the session and the server have. There are no partitions, and no full text search.
pub(crate) const SETS: Sets = &[
    ("pg_listening_channels", |ctx, _| {
        Ok(single_column(ctx.session.listening_channels().into_iter().map(Value::text)))
    }),
    ("pg_options_to_table", |_, a| Ok(options_to_table(array(a, 0)?))),
    ("pg_partition_ancestors", |_, _| Ok(single_column(std::iter::empty()))),
    ("pg_partition_tree", |_, _| Ok(single_column(std::iter::empty()))),
    ("pg_timezone_abbrevs", |ctx, _| Ok(timezone_abbreviations(ctx.moment.now_us()))),
    ("pg_timezone_names", |ctx, _| Ok(timezone_names(ctx.moment.now_us()))),
];

fn has_type_names(context: &CallContext<'_>) -> EcoString {
    context.session.search_path().first().cloned().unwrap_or_default()
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("pgsql_version", |_, _| Ok(Value::text(VERSION))),
    ("current_user", |ctx, _| Ok(Value::Text(ctx.session.current_user()))),
    ("session_user", |ctx, _| Ok(Value::Text(ctx.session.session_user()))),
    ("current_database", |ctx, _| Ok(Value::Text(ctx.session.current_database()))),
    ("current_schema", |ctx, _| {
        let first = has_type_names(ctx);
        Ok(if first.is_empty() { Value::Null } else { Value::Text(first) })
    }),
    ("current_schemas", |ctx, a| Ok(schemas(ctx, boolean(a, 0)?))),
    ("show_config_by_name", |ctx, a| setting(ctx, text(a, 0)?, false)),
    ("show_config_by_name_missing_ok", |ctx, a| setting(ctx, text(a, 0)?, boolean(a, 1)?)),
    ("set_config_by_name", |ctx, a| set_config(ctx, a)),
    ("pg_backend_pid", |ctx, _| Ok(Value::Int4(ctx.session.backend_pid()))),
    ("pg_client_encoding", |_, _| Ok(Value::text("UTF8"))),
    ("getdatabaseencoding", |_, _| Ok(Value::text("UTF8"))),
    ("PG_encoding_to_char", |_, a| Ok(Value::text(if int(a, 0)? == 6 { "UTF8" } else { "" }))),
    ("PG_char_to_encoding", |_, a| {
        let name: String = text(a, 0)?.chars().filter(char::is_ascii_alphanumeric).collect();
        let is_utf8 = name.eq_ignore_ascii_case("utf8") || name.eq_ignore_ascii_case("unicode");
        Ok(Value::Int4(if is_utf8 { 6 } else { -1 }))
    }),
    ("oidvectortypes", |_, a| {
        let types = array(a, 0)?.elements.iter();
        let name = |value: &Value| match value {
            Value::Oid(oid) => TypeId(*oid).to_string(),
            _ => String::new(),
        };
        Ok(Value::text(types.map(name).collect::<Vec<_>>().join(", ")))
    }),
    ("pg_is_in_recovery", |_, _| Ok(Value::Bool(false))),
    ("pg_my_temp_schema", |_, _| Ok(Value::Oid(0))),
    ("pg_is_other_temp_schema", |_, _| Ok(Value::Bool(false))),
    ("format_type", |ctx, a| format_type(ctx, a)),
    ("pg_size_pretty", |_, a| Ok(size_pretty(int8(a, 0)?))),
];
