//! Storage parameters: WITH (...) of tables and indexes, SET (...) and RESET (...).
//!
//! They are known by name, looked at as PostgreSQL looks at them (`reloptions.c`), kept and shown; nothing depends on them.

use pg_query::protobuf::Node;
use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_types::{Result, SqlError, sqlstate};

use super::{Analyzer, nodes};

/// What has storage parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptionsOf {
    Table,
    Ordered,
    Hash,
    /// ALTER INDEX, which does not say of what method the index is.
    Index,
}

/// The kinds of values.
#[derive(Clone, Copy)]
enum Kind {
    Truth,
    Integer(i64, i64),
    Real(f64, f64),
    Word(&'static [&'static str]),
}

const SCALE: Kind = Kind::Real(0.0, 100.0);
const ROWS: Kind = Kind::Integer(0, i32::MAX as i64);
const SWITCH: &[&str] = &["auto", "on", "off", "true", "false", "yes", "no", "1", "0"];

/// Parameters of tables, those of autovacuum without its name in front.
const TABLE: [(&str, Kind); 6] = [
    ("fillfactor", Kind::Integer(10, 100)),
    ("toast_tuple_target", Kind::Integer(128, 8160)),
    ("parallel_workers", Kind::Integer(0, 1024)),
    ("user_catalog_table", Kind::Truth),
    ("vacuum_index_cleanup", Kind::Word(SWITCH)),
    ("vacuum_truncate", Kind::Truth),
];
const AUTOVACUUM: [(&str, Kind); 14] = [
    ("enabled", Kind::Truth),
    ("vacuum_threshold", ROWS),
    ("vacuum_insert_threshold", Kind::Integer(-1, i32::MAX as i64)),
    ("analyze_threshold", ROWS),
    ("vacuum_scale_factor", SCALE),
    ("vacuum_insert_scale_factor", SCALE),
    ("analyze_scale_factor", SCALE),
    ("vacuum_cost_delay", SCALE),
    ("vacuum_cost_limit", Kind::Integer(1, 10_000)),
    ("freeze_min_age", Kind::Integer(0, 1_000_000_000)),
    ("freeze_max_age", Kind::Integer(100_000, 2_000_000_000)),
    ("freeze_table_age", Kind::Integer(0, 2_000_000_000)),
    ("multixact_freeze_max_age", Kind::Integer(10_000, 2_000_000_000)),
    ("multixact_freeze_table_age", Kind::Integer(0, 2_000_000_000)),
];

fn kind_of(of: OptionsOf, toast: bool, name: &str) -> Option<Kind> {
    let among = |list: &[(&str, Kind)], name: &str| {
        list.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    };
    match (of, name) {
        (OptionsOf::Table, "fillfactor" | "parallel_workers" | "user_catalog_table") if toast => None,
        (OptionsOf::Table, "log_autovacuum_min_duration") => Some(Kind::Integer(-1, i32::MAX as i64)),
        (OptionsOf::Table, _) => match name.strip_prefix("autovacuum_") {
            Some(rest) => among(&AUTOVACUUM, rest),
            None => among(&TABLE, name),
        },
        (_, "fillfactor") => Some(Kind::Integer(10, 100)),
        (OptionsOf::Ordered | OptionsOf::Index, "deduplicate_items") => Some(Kind::Truth),
        _ => None,
    }
}

impl Analyzer<'_> {
    /// `name=value` of each parameter.
    pub(super) fn storage_options(&self, list: &[Node], of: OptionsOf) -> Result<Vec<String>> {
        let mut options: Vec<(String, String)> = Vec::with_capacity(list.len());
        for node in list {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let toast = option.defnamespace == "toast";
            if !toast && !option.defnamespace.is_empty() {
                let message = format!("unrecognized parameter namespace \"{}\"", option.defnamespace);
                return Err(invalid(message));
            }
            let value = match option.arg.as_deref() {
                Some(value) => parameter_text(value)?,
                None => "true".to_owned(),
            };
            if of == OptionsOf::Table && option.defname == "oids" && !toast {
                if matches!(value.as_str(), "false" | "off" | "no" | "0") {
                    continue;
                }
                let message = "tables declared WITH OIDS are not supported";
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
            }
            let Some(kind) = kind_of(of, toast, &option.defname) else {
                return Err(invalid(format!("unrecognized parameter \"{}\"", option.defname)));
            };
            check(&option.defname, &value, kind)?;
            // There are no tables for long values that it could be a parameter of.
            if toast {
                continue;
            }
            let name = option.defname.clone();
            if options.iter().any(|(known, _)| *known == name) {
                return Err(invalid(format!("parameter \"{}\" specified more than once", option.defname)));
            }
            options.push((name, value));
        }
        Ok(options.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    /// The names of RESET.
    pub(super) fn reset_options(&self, list: &[Node]) -> Result<Vec<String>> {
        let name = |node: &Node| {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if option.arg.is_some() {
                let message = "RESET must not include values for parameters";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
            }
            Ok(match option.defnamespace.as_str() {
                "" => option.defname.clone(),
                space => format!("{space}.{}", option.defname),
            })
        };
        list.iter().map(name).collect()
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

fn parameter_text(value: &Node) -> Result<String> {
    Ok(match nodes::inner(value)? {
        NodeEnum::String(text) => text.sval.clone(),
        NodeEnum::Integer(number) => number.ival.to_string(),
        NodeEnum::Float(number) => number.fval.clone(),
        NodeEnum::Boolean(truth) => truth.boolval.to_string(),
        NodeEnum::TypeName(name) => {
            nodes::strings(&name.names).last().copied().unwrap_or_default().to_owned()
        }
        _ => return Err(nodes::missing()),
    })
}

fn check(name: &str, value: &str, kind: Kind) -> Result<()> {
    let bounds = |low: String, high: String| {
        Err(invalid(format!("value {value} out of bounds for option \"{name}\""))
            .detail(format!("Valid values are between \"{low}\" and \"{high}\".")))
    };
    match kind {
        Kind::Truth if matches!(value, "on" | "off" | "true" | "false" | "yes" | "no" | "1" | "0") => Ok(()),
        Kind::Truth => Err(invalid(format!("invalid value for boolean option \"{name}\": {value}"))),
        Kind::Integer(low, high) => match value.parse::<i64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(()),
            Ok(_) => bounds(low.to_string(), high.to_string()),
            Err(_) => Err(invalid(format!("invalid value for integer option \"{name}\": {value}"))),
        },
        Kind::Real(low, high) => match value.parse::<f64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(()),
            Ok(_) => bounds(format!("{low:.6}"), format!("{high:.6}")),
            Err(_) => Err(invalid(format!("invalid value for floating point option \"{name}\": {value}"))),
        },
        Kind::Word(words) if words.contains(&value) => Ok(()),
        Kind::Word(_) => Err(invalid(format!("invalid value for enum option \"{name}\": {value}"))
            .detail("Valid values are \"on\", \"off\", and \"auto\".")),
    }
}
