//! The tables of the schema `tuplix`: distribution, buckets, the log, checkpoints, memory, compiled plans.

use tuplix_catalog::{Distribution, TableDef};
use tuplix_types::{Row, Value};

use super::relations::{self, SystemRelation};
use super::view::{OWNER, View, int, oid, text};
use crate::checkpoint::{CheckpointStatus, SegmentStatus};
use crate::plans::Total;

/// The object id of the extension `tuplix`.
pub(crate) const EXTENSION: u32 = 9900;

/// `tuplix.tables`
pub(crate) fn tables(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    view.catalog()
        .tables()
        .filter(|table| table.view.is_none())
        .map(|table| table_row(view, relation, table))
        .collect()
}

fn table_row(view: &View<'_>, relation: &SystemRelation, table: &TableDef) -> Row {
    let memory = view.services.node.memory_of(table.id);
    let (kind, column) = match table.distribution {
        Distribution::Local => ("local", Value::Null),
        Distribution::Reference => ("reference", Value::Null),
        Distribution::Hash { column } => ("hash", text(&table.columns[column].name)),
    };
    relation.row(&[
        ("schema", text(&table.schema)),
        ("name", text(&table.name)),
        ("distribution", text(kind)),
        ("distribution_column", column),
        ("row_bytes", int(memory.used().saturating_sub(memory.index_bytes()))),
        ("index_bytes", int(memory.index_bytes())),
        ("spooled", Value::Bool(table.spooled)),
    ])
}

/// `tuplix.memory`
pub(crate) fn memory(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let node = &view.services.node;
    let (memory, snapshots) = (node.memory(), &node.snapshots);
    let no_limit = memory.limit() == u64::MAX;
    let bound = |bytes: u64| if no_limit { Value::Null } else { int(bytes) };
    let (used, indexes, limit) = (memory.used(), memory.index_bytes(), memory.limit());
    vec![relation.row(&[
        ("used_bytes", int(used)),
        ("row_bytes", int(used.saturating_sub(indexes))),
        ("index_bytes", int(indexes)),
        ("limit_bytes", bound(limit)),
        ("snapshots", int(snapshots.count() as u64)),
        ("snapshot_bytes", int(memory.held())),
        ("snapshot_limit_bytes", bound(snapshots.limit())),
    ])]
}

/// `tuplix.history`: the files in which rows of spooled tables lie, as of the newest checkpoint.
pub(crate) fn history(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let checkpointer = view.services.node.checkpointer.as_ref();
    let segments = checkpointer.map(|checkpointer| checkpointer.segments_of_history()).unwrap_or_default();
    let row = |(name, segment): (tuplix_checkpoint::SegmentName, tuplix_checkpoint::SegmentRef)| {
        let table = view.catalog().table(tuplix_catalog::TableId(name.table))?;
        Some(relation.row(&[
            ("schema", text(&table.schema)),
            ("name", text(&table.name)),
            ("epoch", int(segment.epoch)),
            ("rows", int(segment.rows)),
            ("bytes", int(segment.bytes)),
        ]))
    };
    segments.into_iter().filter_map(row).collect()
}

/// `tuplix.buckets`
pub(crate) fn buckets(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let node = &view.services.node;
    let row = |bucket: u16| {
        let partition = i64::from(node.domain_of_bucket(bucket).0) - 1;
        relation.row(&[("bucket", int(bucket)), ("partition", int(partition)), ("node", int(1))])
    };
    (0..node.buckets()).map(row).collect()
}

/// `tuplix.log`
pub(crate) fn log(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let log = &view.services.node.log;
    let statistics = log.statistics();
    vec![relation.row(&[
        ("epochs", int(statistics.epochs)),
        ("records", int(statistics.records)),
        ("bytes", int(statistics.bytes)),
        ("durable_epoch", int(log.durable_epoch())),
    ])]
}

/// `tuplix.checkpoints`
pub(crate) fn checkpoints(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let Some(checkpointer) = &view.services.node.checkpointer else { return Vec::new() };
    let status = checkpointer.status();
    let seconds = |us: u64| Value::Float8(us as f64 / 1e6);
    let file = |state: &str, epoch: u64| match state {
        "kept" | "damaged" => text(&tuplix_checkpoint::file_name(epoch)),
        _ => Value::Null,
    };
    let row = |status: &CheckpointStatus| {
        relation.row(&[
            ("epoch", status.epoch.map_or(Value::Null, int)),
            ("made_at", status.at_us.map_or(Value::Null, Value::Timestamptz)),
            ("rows", status.rows.map_or(Value::Null, int)),
            ("bytes", status.bytes.map_or(Value::Null, int)),
            ("seconds", status.microseconds.map_or(Value::Null, seconds)),
            ("file", status.epoch.map_or(Value::Null, |epoch| file(status.state, epoch))),
            ("state", text(status.state)),
            ("cause", status.cause.map_or(Value::Null, text)),
            ("error", status.error.as_deref().map_or(Value::Null, text)),
        ])
    };
    status.iter().map(row).collect()
}

/// `tuplix.log_segments`
pub(crate) fn log_segments(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let node = &view.services.node;
    let Some(checkpointer) = &node.checkpointer else { return Vec::new() };
    let row = |SegmentStatus { place, kept_for }: SegmentStatus| {
        relation.row(&[
            ("name", text(&place.name)),
            ("first_epoch", int(place.first_epoch)),
            ("last_epoch", int(place.last_epoch)),
            ("bytes", int(place.bytes)),
            ("kept_for", text(&kept_for)),
        ])
    };
    checkpointer.segments(&node.log).into_iter().map(row).collect()
}

/// `tuplix.plans`
pub(crate) fn plans(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let node = &view.services.node;
    let plans = node.plans.all();
    let statements = plans.iter().map(|(text_of, plan)| {
        relation.row(&[
            ("kind", text("statement")),
            ("text", text(text_of)),
            ("partitions", plan.partitions.as_deref().map_or(Value::Null, text)),
            ("sessions", int(plan.sessions)),
            ("calls", int(plan.total.calls)),
            ("mean_us", plan.total.mean_us().map_or(Value::Null, Value::Float8)),
        ])
    });
    let mut rows: Vec<Row> = statements.collect();
    for (function, version, compiled) in node.procedures.lock().iter() {
        let Some(definition) = view.catalog().function(function) else { continue };
        let mut total = Total::default();
        let callers = plans.values().filter(|plan| plan.procedure == Some(function.0));
        callers.for_each(|plan| total.add(plan.total));
        let argument = definition.distribution_argument.and_then(|at| definition.arguments.get(at));
        rows.push(relation.row(&[
            ("kind", text("procedure")),
            ("text", text(compiled.signature())),
            ("partitions", argument.map_or(Value::Null, |argument| text(&format!("of {}", argument.name)))),
            ("calls", int(total.calls)),
            ("mean_us", total.mean_us().map_or(Value::Null, Value::Float8)),
            ("version", int(version)),
        ]));
    }
    rows
}

/// `pg_extension`: PostgreSQL's, and `tuplix`, of which the views of this file are part: a dump leaves them out.
pub(crate) fn extensions(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let own = relation.row(&[
        ("oid", oid(EXTENSION)),
        ("extname", text("tuplix")),
        ("extowner", oid(OWNER)),
        ("extnamespace", oid(view.schema_oid("tuplix"))),
        ("extversion", text(env!("CARGO_PKG_VERSION"))),
    ]);
    relations::own_rows("pg_extension").iter().cloned().chain([own]).collect()
}

/// The system tables of the extension.
pub(crate) fn extension_members() -> impl Iterator<Item = u32> {
    relations::all().filter(|relation| relation.schema == "tuplix").map(|relation| relation.oid)
}
