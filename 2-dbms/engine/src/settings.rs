//! Session settings: PostgreSQL's names, the few that change what we do and those that clients expect to exist.

use std::collections::BTreeMap;

use tuplix_sql::parser::quote_ident;
use tuplix_sql::plan::Isolation;
use tuplix_types::datetime::{DateStyle, TimeZone};
use tuplix_types::{IoContext, Result, SqlError, sqlstate};

/// One setting: its name, default, whether clients are told of changes, and how values are checked.
struct Definition {
    name: &'static str,
    default: &'static str,
    reported: bool,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Bool,
    Milliseconds,
    Integer,
    OneOf(&'static [&'static str]),
    TimeZone,
    /// Style and order, of which a value may name one alone.
    DateStyle,
    /// Who the session is; RESET ALL leaves it alone.
    Role,
    ReadOnly,
}

const ISOLATION: &[&str] = &["read uncommitted", "read committed", "repeatable read", "serializable"];
const SYNCHRONOUS: &[&str] = &["on", "off", "local", "remote_write", "remote_apply"];

const fn setting(name: &'static str, default: &'static str, reported: bool, kind: Kind) -> Definition {
    Definition { name, default, reported, kind }
}

/// The version in `server_version`: the dialect is PostgreSQL 15's.
pub use tuplix_functions::SERVER_VERSION;

const INTERVAL_STYLES: &[&str] = &["postgres", "postgres_verbose", "sql_standard", "iso_8601"];

const DEFINITIONS: &[Definition] = &[
    setting("application_name", "", true, Kind::Text),
    setting("bytea_output", "hex", false, Kind::OneOf(&["hex", "escape"])),
    setting("client_encoding", "UTF8", true, Kind::OneOf(&["UTF8", "UNICODE", "utf8", "utf-8", "UTF-8"])),
    setting("client_min_messages", "notice", false, Kind::Text),
    setting("DateStyle", "ISO, MDY", true, Kind::DateStyle),
    setting("default_statistics_target", "100", false, Kind::Integer),
    setting("default_transaction_isolation", "read committed", false, Kind::OneOf(ISOLATION)),
    setting("default_transaction_read_only", "off", true, Kind::Bool),
    setting("extra_float_digits", "1", false, Kind::Integer),
    setting("idle_in_transaction_session_timeout", "0", false, Kind::Milliseconds),
    setting("idle_session_timeout", "0", false, Kind::Milliseconds),
    setting("in_hot_standby", "off", true, Kind::ReadOnly),
    setting("integer_datetimes", "on", true, Kind::ReadOnly),
    setting("IntervalStyle", "postgres", true, Kind::OneOf(INTERVAL_STYLES)),
    setting("is_superuser", "on", true, Kind::ReadOnly),
    setting("lock_timeout", "0", false, Kind::Milliseconds),
    setting("max_identifier_length", "63", false, Kind::ReadOnly),
    setting("max_index_keys", "32", false, Kind::ReadOnly),
    setting("role", "none", false, Kind::Role),
    setting("search_path", "\"$user\", public", false, Kind::Text),
    setting("server_encoding", "UTF8", true, Kind::ReadOnly),
    setting("server_version", SERVER_VERSION, true, Kind::ReadOnly),
    setting("server_version_num", "150018", false, Kind::ReadOnly),
    setting("session_authorization", "tuplix", true, Kind::Role),
    setting("standard_conforming_strings", "on", true, Kind::OneOf(&["on", "true", "1"])),
    setting("statement_timeout", "0", false, Kind::Milliseconds),
    setting("synchronous_commit", "on", false, Kind::OneOf(SYNCHRONOUS)),
    setting("TimeZone", "UTC", true, Kind::TimeZone),
    setting("transaction_isolation", "read committed", false, Kind::OneOf(ISOLATION)),
    setting("transaction_read_only", "off", false, Kind::Bool),
    setting("tuplix.automatic_statistics", "on", false, Kind::Bool),
    setting("tuplix.executor", "row", false, Kind::OneOf(&["row"])),
];

/// Settings of PostgreSQL's planner, memory and storage that scripts and dumps set: accepted, checked for their type, shown, and
/// without effect.
const WITHOUT_EFFECT: &[Definition] = &[
    setting("allow_system_table_mods", "off", false, Kind::Bool),
    setting("backend_flush_after", "0", false, Kind::Text),
    setting("check_function_bodies", "on", false, Kind::Bool),
    setting("client_connection_check_interval", "0", false, Kind::Milliseconds),
    setting("compute_query_id", "auto", false, Kind::Text),
    setting("constraint_exclusion", "partition", false, Kind::Text),
    setting("cpu_index_tuple_cost", "0.005", false, Kind::Text),
    setting("cpu_operator_cost", "0.0025", false, Kind::Text),
    setting("cpu_tuple_cost", "0.01", false, Kind::Text),
    setting("debug_print_plan", "off", false, Kind::Bool),
    setting("default_table_access_method", "heap", false, Kind::Text),
    setting("default_tablespace", "", false, Kind::Text),
    setting("default_toast_compression", "pglz", false, Kind::Text),
    setting("default_transaction_deferrable", "off", false, Kind::Bool),
    setting("effective_cache_size", "4GB", false, Kind::Text),
    setting("enable_async_append", "on", false, Kind::Bool),
    setting("enable_bitmapscan", "on", false, Kind::Bool),
    setting("enable_gathermerge", "on", false, Kind::Bool),
    setting("enable_hashagg", "on", false, Kind::Bool),
    setting("enable_hashjoin", "on", false, Kind::Bool),
    setting("enable_incremental_sort", "on", false, Kind::Bool),
    setting("enable_indexonlyscan", "on", false, Kind::Bool),
    setting("enable_indexscan", "on", false, Kind::Bool),
    setting("enable_material", "on", false, Kind::Bool),
    setting("enable_memoize", "on", false, Kind::Bool),
    setting("enable_mergejoin", "on", false, Kind::Bool),
    setting("enable_nestloop", "on", false, Kind::Bool),
    setting("enable_parallel_append", "on", false, Kind::Bool),
    setting("enable_parallel_hash", "on", false, Kind::Bool),
    setting("enable_partition_pruning", "on", false, Kind::Bool),
    setting("enable_partitionwise_aggregate", "off", false, Kind::Bool),
    setting("enable_partitionwise_join", "off", false, Kind::Bool),
    setting("enable_seqscan", "on", false, Kind::Bool),
    setting("enable_sort", "on", false, Kind::Bool),
    setting("enable_tidscan", "on", false, Kind::Bool),
    setting("escape_string_warning", "on", false, Kind::Bool),
    setting("force_parallel_mode", "off", false, Kind::Text),
    setting("from_collapse_limit", "8", false, Kind::Integer),
    setting("geqo", "on", false, Kind::Bool),
    setting("geqo_threshold", "12", false, Kind::Integer),
    setting("gin_pending_list_limit", "4MB", false, Kind::Text),
    setting("hash_mem_multiplier", "2", false, Kind::Text),
    setting("jit", "on", false, Kind::Bool),
    setting("jit_above_cost", "100000", false, Kind::Integer),
    setting("jit_inline_above_cost", "500000", false, Kind::Integer),
    setting("jit_optimize_above_cost", "500000", false, Kind::Integer),
    setting("join_collapse_limit", "8", false, Kind::Integer),
    setting("lc_messages", "C", false, Kind::OneOf(&["C", "POSIX"])),
    setting("lc_monetary", "C", false, Kind::OneOf(&["C", "POSIX"])),
    setting("lc_numeric", "C", false, Kind::OneOf(&["C", "POSIX"])),
    setting("lc_time", "C", false, Kind::OneOf(&["C", "POSIX"])),
    setting("log_statement", "none", false, Kind::Text),
    setting("maintenance_work_mem", "64MB", false, Kind::Text),
    setting("max_parallel_maintenance_workers", "2", false, Kind::Integer),
    setting("max_parallel_workers", "8", false, Kind::Integer),
    setting("max_parallel_workers_per_gather", "2", false, Kind::Integer),
    setting("max_stack_depth", "2MB", false, Kind::Text),
    setting("min_parallel_index_scan_size", "512kB", false, Kind::Text),
    setting("min_parallel_table_scan_size", "8MB", false, Kind::Text),
    setting("parallel_leader_participation", "on", false, Kind::Bool),
    setting("parallel_setup_cost", "1000", false, Kind::Text),
    setting("parallel_tuple_cost", "0.1", false, Kind::Text),
    setting("plan_cache_mode", "auto", false, Kind::Text),
    setting("random_page_cost", "4", false, Kind::Text),
    setting("row_security", "on", false, Kind::Bool),
    setting("seq_page_cost", "1", false, Kind::Text),
    setting("synchronize_seqscans", "on", false, Kind::Bool),
    setting("tcp_keepalives_idle", "0", false, Kind::Integer),
    setting("temp_buffers", "8MB", false, Kind::Text),
    setting("track_functions", "none", false, Kind::Text),
    setting("track_io_timing", "off", false, Kind::Bool),
    setting("transaction_deferrable", "off", false, Kind::Bool),
    setting("vacuum_cost_delay", "0", false, Kind::Text),
    setting("work_mem", "4MB", false, Kind::Text),
    setting("xmloption", "content", false, Kind::Text),
];

/// What settings were before a function with SET clauses began.
#[derive(Debug)]
pub(crate) struct FunctionSettings {
    /// Changes of the transaction before it.
    since: usize,
    before: Vec<(String, Option<String>)>,
}

/// A setting as `pg_settings` describes it.
pub(crate) struct Described {
    pub name: String,
    /// Its value, in `unit`s.
    pub value: String,
    pub unit: Option<&'static str>,
    /// Who may change it: `internal` nobody, `user` everybody.
    pub context: &'static str,
    /// `bool`, `integer`, `string` or `enum`.
    pub kind: &'static str,
    /// The values that it may have.
    pub options: Option<&'static [&'static str]>,
    pub default: Option<&'static str>,
    /// Whether the session has set it.
    pub changed: bool,
}

/// The settings of one session.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: BTreeMap<String, String>,
    /// What the session begins with, and RESET brings back: its role's settings.
    starting: BTreeMap<String, String>,
    /// `role` or `session_authorization` has changed.
    identity_changed: bool,
    changed: Vec<(String, String)>,
    /// Values to put back when the transaction ends: SET LOCAL, and SET when it rolls back.
    before: Vec<(String, Option<String>, bool)>,
    /// Grows whenever a value becomes another one.
    version: u64,
}

fn definitions() -> impl Iterator<Item = &'static Definition> {
    DEFINITIONS.iter().chain(WITHOUT_EFFECT)
}

fn definition(name: &str) -> Option<&'static Definition> {
    definitions().find(|definition| definition.name.eq_ignore_ascii_case(name))
}

/// Whether a setting says who the session is.
fn is_identity(key: &str) -> bool {
    matches!(key, "role" | "session_authorization")
}

fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl Settings {
    /// The value, `None` when there is no such setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        let key = key(name);
        let set = self.values.get(&key).or_else(|| self.starting.get(&key)).map(String::as_str);
        set.or_else(|| definition(name).map(|definition| definition.default))
    }

    /// Whether the session has set it.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(&key(name))
    }

    /// Makes a value what the session begins with.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub(crate) fn start_with(&mut self, name: &str, value: &str) -> Result<()> {
        let value = check(name, value, self.get(name))?;
        self.starting.insert(key(name), value);
        self.report(name);
        Ok(())
    }

    /// Changes what only the node may change.
    pub(crate) fn force(&mut self, name: &str, value: &str) {
        if self.get(name) != Some(value) {
            self.starting.insert(key(name), value.to_owned());
            self.report(name);
        }
    }

    /// Whether the session's role may be another since the last call.
    pub(crate) fn take_identity_changed(&mut self) -> bool {
        std::mem::take(&mut self.identity_changed)
    }

    /// The value, 42704 when there is no such setting.
    pub fn show(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| unknown(name))
    }

    /// All settings by name.
    pub fn all(&self) -> Vec<(String, String)> {
        let mut all: BTreeMap<String, String> = definitions()
            .map(|definition| {
                (definition.name.to_owned(), self.get(definition.name).unwrap_or_default().to_owned())
            })
            .collect();
        for (name, value) in self.values.iter().filter(|(name, _)| definition(name).is_none()) {
            all.insert(name.clone(), value.clone());
        }
        all.into_iter().collect()
    }

    /// All settings by name, with what is known of them.
    pub(crate) fn described(&self) -> Vec<Described> {
        let known = definitions().map(|definition| {
            let value = self.get(definition.name).unwrap_or_default();
            let (kind, options) = match definition.kind {
                Kind::ReadOnly if matches!(definition.default, "on" | "off") => ("bool", None),
                Kind::ReadOnly if definition.default.bytes().all(|b| b.is_ascii_digit()) => ("integer", None),
                Kind::Text | Kind::TimeZone | Kind::DateStyle | Kind::Role | Kind::ReadOnly => {
                    ("string", None)
                }
                Kind::Bool => ("bool", None),
                Kind::Milliseconds | Kind::Integer => ("integer", None),
                Kind::OneOf(options) => ("enum", Some(options)),
            };
            let in_milliseconds = definition.kind == Kind::Milliseconds;
            let milliseconds = parse_milliseconds(value).filter(|_| in_milliseconds);
            Described {
                name: definition.name.to_owned(),
                value: milliseconds.map_or_else(|| value.to_owned(), |ms| ms.to_string()),
                unit: in_milliseconds.then_some("ms"),
                context: if definition.kind == Kind::ReadOnly { "internal" } else { "user" },
                kind,
                options,
                default: Some(definition.default),
                changed: self.values.contains_key(&key(definition.name)),
            }
        });
        // Those of the form `prefix.name` that somebody made up.
        let own = self.values.iter().filter(|(name, _)| definition(name).is_none());
        let own = own.map(|(name, value)| Described {
            name: name.clone(),
            value: value.clone(),
            unit: None,
            context: "user",
            kind: "string",
            options: None,
            default: None,
            changed: true,
        });
        let mut all: Vec<Described> = known.chain(own).collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    /// A value as the setting would keep it.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub(crate) fn checked(&self, name: &str, value: &str) -> Result<String> {
        check(name, value, self.get(name))
    }

    /// How these settings have text read and written.
    pub(crate) fn io(&self) -> IoContext {
        IoContext::of_settings(|name| self.get(name).map(str::to_owned))
    }

    /// SET. `local`: until the transaction ends.
    ///
    /// # Errors
    /// 42704 for a name that is neither known nor of the form `prefix.name`; 22023 for a value that does not fit; 55P02
    /// for a read-only one.
    pub fn set(&mut self, name: &str, value: &str, local: bool, in_transaction: bool) -> Result<()> {
        let value = check(name, value, self.get(name))?;
        self.put(name, Some(value), local, in_transaction);
        Ok(())
    }

    /// RESET.
    ///
    /// # Errors
    /// 42704 for an unknown name.
    pub fn reset(&mut self, name: Option<&str>, in_transaction: bool) -> Result<()> {
        let names = match name {
            Some(name) if self.get(name).is_none() => return Err(unknown(name)),
            Some(name) => vec![name.to_owned()],
            None => self.values.keys().filter(|name| !is_identity(name)).cloned().collect(),
        };
        for name in names {
            self.put(&name, None, false, in_transaction);
        }
        Ok(())
    }

    fn put(&mut self, name: &str, value: Option<String>, local: bool, in_transaction: bool) {
        let key = key(name);
        let before = self.replace(key.clone(), value);
        self.identity_changed |= is_identity(&key);
        if in_transaction {
            self.before.push((key, before, local));
        }
        self.report(name);
    }

    fn replace(&mut self, key: String, value: Option<String>) -> Option<String> {
        self.version += 1;
        match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        }
    }

    /// The text of SET's values: names in quotes where they need them, in settings that list names.
    pub(crate) fn listed(name: &str, values: &[String]) -> String {
        match name {
            "search_path" | "session_preload_libraries" | "local_preload_libraries" | "temp_tablespaces" => {
                let quoted: Vec<String> = values.iter().map(|value| quote_ident(value)).collect();
                quoted.join(", ")
            }
            _ => values.join(", "),
        }
    }

    /// A setting's name as PostgreSQL writes it.
    ///
    /// # Errors
    /// As [`Settings::set`], which would take this value.
    pub(crate) fn checked_name(&self, name: &str, value: &str) -> Result<String> {
        check(name, value, self.get(name))?;
        Ok(definition(name).map_or_else(|| name.to_owned(), |definition| definition.name.to_owned()))
    }

    /// The values of a function's SET clauses, until [`Settings::leave_function`] gets back what this gives.
    ///
    /// # Errors
    /// As [`Settings::set`]; nothing has changed then.
    pub(crate) fn enter_function(&mut self, values: &[(String, String)]) -> Result<FunctionSettings> {
        let checked: Result<Vec<(String, String)>> =
            values.iter().map(|(name, value)| Ok((key(name), check(name, value, self.get(name))?))).collect();
        let since = self.before.len();
        let enter = |(key, value): (String, String)| (key.clone(), self.replace(key, Some(value)));
        Ok(FunctionSettings { since, before: checked?.into_iter().map(enter).collect() })
    }

    /// The function has ended: its values end with it, but for one that it has SET for the session.
    pub(crate) fn leave_function(&mut self, function: FunctionSettings) {
        for (key, before) in function.before.into_iter().rev() {
            let set = self.before.iter().skip(function.since).any(|(name, _, local)| *name == key && !local);
            if !set {
                self.replace(key, before);
            }
        }
    }

    /// Another number for each change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    fn report(&mut self, name: &str) {
        if let Some(definition) = definition(name).filter(|definition| definition.reported) {
            let value = self.get(name).unwrap_or_default().to_owned();
            self.changed.push((definition.name.to_owned(), value));
        }
    }

    /// The transaction ended: SET LOCAL ends with it, SET too when it rolled back.
    pub fn end_transaction(&mut self, committed: bool) {
        for (name, before, local) in std::mem::take(&mut self.before).into_iter().rev() {
            if committed && !local {
                continue;
            }
            self.replace(name.clone(), before);
            self.identity_changed |= is_identity(&name);
            self.report(&name);
        }
    }

    /// Settings whose changes clients are to be told of, since the last call.
    pub fn take_changed(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.changed)
    }

    /// All settings that clients are told of at the start.
    pub fn reported(&self) -> Vec<(String, String)> {
        let reported = DEFINITIONS.iter().filter(|definition| definition.reported);
        reported.map(|d| (d.name.to_owned(), self.get(d.name).unwrap_or_default().to_owned())).collect()
    }

    /// A time setting in nanoseconds; `None` for 0, which means no limit.
    pub fn nanoseconds(&self, name: &str) -> Option<u64> {
        let milliseconds = parse_milliseconds(self.get(name)?)?;
        (milliseconds > 0).then_some(milliseconds.saturating_mul(1_000_000))
    }

    /// An integer's value.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.get(name)?.trim().parse().ok()
    }

    /// Whether columns are sampled for plans that nobody has analysed.
    pub(crate) fn automatic_statistics(&self) -> bool {
        self.get("tuplix.automatic_statistics")
            .is_none_or(|value| matches!(value, "on" | "true" | "yes" | "1"))
    }

    /// Whether a reply waits for the disk.
    pub fn synchronous_commit(&self) -> bool {
        self.get("synchronous_commit") != Some("off")
    }

    /// The isolation level of the next transaction.
    pub fn default_isolation(&self) -> Isolation {
        parse_isolation(self.get("default_transaction_isolation").unwrap_or_default())
    }

    /// The schemas to look in, in order.
    pub fn search_path(&self, user: &str) -> Vec<String> {
        path_of(self.get("search_path").unwrap_or_default(), user)
    }
}

/// The schemas that a value of `search_path` lists, for a user.
pub(crate) fn path_of(text: &str, user: &str) -> Vec<String> {
    text.split(',')
        .map(|part| part.trim().trim_matches('"'))
        .filter(|part| !part.is_empty())
        .map(|part| if part == "$user" { user.to_owned() } else { part.to_owned() })
        .collect()
}

/// An isolation level as the settings spell it.
pub fn parse_isolation(text: &str) -> Isolation {
    match text.to_ascii_lowercase().as_str() {
        "serializable" => Isolation::Serializable,
        "repeatable read" => Isolation::RepeatableRead,
        "read uncommitted" => Isolation::ReadUncommitted,
        _ => Isolation::ReadCommitted,
    }
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(sqlstate::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

/// The value as it is shown, `before` being the one until now.
fn check(name: &str, value: &str, before: Option<&str>) -> Result<String> {
    let Some(definition) = definition(name) else {
        return if name.contains('.') { Ok(value.to_owned()) } else { Err(unknown(name)) };
    };
    let bad = || {
        let message = format!("invalid value for parameter \"{}\": \"{value}\"", definition.name);
        SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
    };
    match definition.kind {
        Kind::Text | Kind::Role => Ok(value.to_owned()),
        Kind::TimeZone => TimeZone::parse(value).map(|zone| zone.to_string()),
        Kind::DateStyle => {
            let before = before.and_then(|before| DateStyle::parse(before, Default::default()));
            let style = DateStyle::parse(value, before.unwrap_or_default());
            style.map(|(style, order)| style.show(order)).ok_or_else(bad)
        }
        Kind::Bool => parse_bool(value).map(|on| if on { "on" } else { "off" }.to_owned()).ok_or_else(bad),
        Kind::Milliseconds => parse_milliseconds(value).map(show_milliseconds).ok_or_else(bad),
        Kind::Integer => value.parse::<i64>().map(|number| number.to_string()).map_err(|_| bad()),
        Kind::OneOf(options) => {
            let found = options.iter().find(|option| option.eq_ignore_ascii_case(value));
            found
                .map(|option| (*option).to_owned())
                .ok_or_else(|| bad().hint(format!("Available values: {}.", options.join(", "))))
        }
        Kind::ReadOnly => {
            let message = format!("parameter \"{}\" cannot be changed", definition.name);
            Err(SqlError::new(sqlstate::SqlState(*b"55P02"), message))
        }
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Some(true),
        "off" | "false" | "no" | "0" | "f" | "n" => Some(false),
        _ => None,
    }
}

fn parse_milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor).filter(|ms| *ms <= i32::MAX as u64)
}

fn show_milliseconds(ms: u64) -> String {
    match ms {
        0 => "0".to_owned(),
        ms if ms % 60_000 == 0 => format!("{}min", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}
