//! Schemas, the database, settings and sessions: what PostgreSQL keeps for a server.

use tuplix_types::datetime::{TimeZone, abbreviation};
use tuplix_types::{Interval, Row, TypeId, Value};

use super::relations::{self, SystemRelation};
use super::view::{DATABASE, OWNER, View, array, int, maybe_text, oid, text, truth};

/// The default tablespace.
const TABLESPACE: u32 = 1663;
/// UTF8
const ENCODING: i64 = 6;

/// `pg_namespace`
pub(crate) fn namespaces(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |(schema, name): (u32, String)| {
        relation.row(&[
            ("oid", oid(schema)),
            ("nspname", Value::text(name)),
            ("nspowner", super::rights::owner(view, tuplix_catalog::CLASS_SCHEMA, schema)),
            ("nspacl", super::rights::acl(view, tuplix_catalog::CLASS_SCHEMA, schema)),
        ])
    };
    view.schemas().into_iter().map(row).collect()
}

/// `pg_database`: the one database, under the name that the session asked for.
pub(crate) fn databases(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    vec![relation.row(&[
        ("oid", oid(DATABASE)),
        ("datname", text(&view.services.database)),
        ("datdba", oid(OWNER)),
        ("datacl", super::rights::acl(view, tuplix_catalog::CLASS_DATABASE, DATABASE)),
        ("encoding", int(ENCODING)),
        ("datlocprovider", text("c")),
        ("datallowconn", truth(true)),
        ("datconnlimit", int(-1)),
        ("dattablespace", oid(TABLESPACE)),
        ("datcollate", text("C.UTF-8")),
        ("datctype", text("C.UTF-8")),
    ])]
}

/// `pg_settings`
pub(crate) fn settings(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |setting: crate::settings::Described| {
        let options = match setting.options {
            Some(options) => array(TypeId::TEXT, options.iter().copied().map(text).collect()),
            None => Value::Null,
        };
        relation.row(&[
            ("name", text(&setting.name)),
            ("setting", text(&setting.value)),
            ("unit", maybe_text(setting.unit)),
            ("context", text(setting.context)),
            ("vartype", text(setting.kind)),
            ("enumvals", options),
            ("source", text(if setting.changed { "session" } else { "default" })),
            ("boot_val", maybe_text(setting.default)),
            ("reset_val", maybe_text(setting.default)),
            ("pending_restart", truth(false)),
        ])
    };
    view.services.settings.borrow().described().into_iter().map(row).collect()
}

/// `pg_timezone_names`: the zones of the database, as they are now.
pub(crate) fn timezone_names(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let now = view.services.node.machine().now_us();
    let row = |(name, zone): (&str, TimeZone)| {
        let moment = zone.moment(now);
        relation.row(&[
            ("name", text(name)),
            ("abbrev", text(&moment.abbreviation)),
            ("utc_offset", seconds(moment.east_s)),
            ("is_dst", truth(moment.is_dst)),
        ])
    };
    TimeZone::names().map(row).collect()
}

/// `pg_timezone_abbrevs`: the abbreviations that text may use, as they are now.
pub(crate) fn timezone_abbreviations(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let now = view.services.node.machine().now_us();
    let row = |(name, meaning): (&str, abbreviation::Meaning)| {
        let (east_s, is_dst) = match meaning {
            abbreviation::Meaning::Offset { east_s, is_dst } => (east_s, is_dst),
            abbreviation::Meaning::Zone(_) => {
                (TimeZone::from_abbreviation(name).unwrap_or_default().east_s(now), false)
            }
        };
        relation.row(&[("abbrev", text(name)), ("utc_offset", seconds(east_s)), ("is_dst", truth(is_dst))])
    };
    abbreviation::all().map(row).collect()
}

fn seconds(seconds: i32) -> Value {
    let microseconds = i64::from(seconds) * 1_000_000;
    Value::Interval(std::sync::Arc::new(Interval { microseconds, ..Interval::default() }))
}

/// `pg_stat_activity`: the sessions. What each is doing is not written down, so that statements stay cheap: as in
/// PostgreSQL with `track_activities` off, the state is `disabled`.
pub(crate) fn activity(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let sessions = view.services.node.sessions.lock();
    let row = |(pid, flags): (&u32, &std::sync::Arc<crate::node::SessionFlags>)| {
        relation.row(&[
            ("datid", oid(DATABASE)),
            ("datname", text(&flags.database)),
            ("pid", int(*pid)),
            ("usesysid", flags.role.map_or(Value::Null, |role| oid(role.0))),
            ("usename", text(&flags.user)),
            ("application_name", text(&flags.application_name)),
            ("backend_start", Value::Timestamptz(flags.started_us)),
            ("state", text("disabled")),
            ("query", text("")),
            ("backend_type", text("client backend")),
        ])
    };
    sessions.iter().map(row).collect()
}

/// `pg_prepared_statements`: what the session's PREPARE has prepared; the protocol's own are not listed.
pub(crate) fn prepared_statements(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let prepared = view.services.prepared.borrow();
    let row = |(name, info): (&String, &crate::services::PreparedInfo)| {
        let types = info.parameters.iter().map(|ty| oid(ty.0)).collect();
        relation.row(&[
            ("name", text(name)),
            ("statement", text(&info.text)),
            ("prepare_time", Value::Timestamptz(info.time_us)),
            ("parameter_types", array(TypeId::REGTYPE, types)),
            ("from_sql", truth(true)),
        ])
    };
    prepared.iter().map(row).collect()
}

/// `pg_cursors`
pub(crate) fn cursors(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let portals = view.services.portals.borrow();
    let row = |(name, portal): (&String, &crate::portal::Portal)| {
        relation.row(&[
            ("name", text(name)),
            ("statement", text(&portal.text)),
            ("is_holdable", truth(portal.hold)),
            ("is_binary", truth(false)),
            ("is_scrollable", truth(!portal.forward_only)),
            ("creation_time", Value::Timestamptz(portal.created_us)),
        ])
    };
    portals.iter().map(row).collect()
}

/// `pg_available_extensions`
pub(crate) fn available_extensions(_: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let extensions = relations::find("pg_catalog", "pg_extension").map_or(&[][..], |extensions| {
        debug_assert_eq!(extensions.column("extname"), 1);
        relations::own_rows("pg_extension")
    });
    let row = |extension: &Row| {
        let version = extension[5].clone();
        relation.row(&[
            ("name", extension[1].clone()),
            ("default_version", version.clone()),
            ("installed_version", version),
            ("comment", text("PL/pgSQL procedural language")),
        ])
    };
    extensions.iter().map(row).collect()
}
