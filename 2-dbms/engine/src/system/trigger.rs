//! Triggers: `pg_trigger`, `information_schema.triggers`, and their definitions as SQL.

use tuplix_catalog::{TableDef, TriggerDef, TriggerEvent, TriggerTiming};
use tuplix_sql::parser::quote_ident;
use tuplix_types::{Row, TypeId, Value};

use super::information::catalog_name;
use super::relations::SystemRelation;
use super::view::{View, column_number, int, maybe_text, oid, text, truth, vector};
use super::{deparse, names};

/// The words of events with their bits in `pg_trigger.tgtype`, in the order in which PostgreSQL writes them.
const EVENTS: [(TriggerEvent, &str, i64); 4] = [
    (TriggerEvent::Insert, "INSERT", 1 << 2),
    (TriggerEvent::Delete, "DELETE", 1 << 3),
    (TriggerEvent::Update, "UPDATE", 1 << 4),
    (TriggerEvent::Truncate, "TRUNCATE", 1 << 5),
];

fn each<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a TableDef, &'a TriggerDef)> {
    let of =
        |table: &'a std::sync::Arc<TableDef>| table.triggers.iter().map(move |trigger| (&**table, trigger));
    view.catalog().tables().flat_map(of)
}

/// `pg_trigger`
pub(crate) fn triggers(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |(table, trigger): (&TableDef, &TriggerDef)| {
        let events: i64 =
            EVENTS.iter().filter(|(event, ..)| trigger.events.contains(event)).map(|(.., bit)| bit).sum();
        let timing = match trigger.timing {
            TriggerTiming::Before => 1 << 1,
            TriggerTiming::Instead => 1 << 6,
            TriggerTiming::After => 0,
        };
        let kind = i64::from(trigger.row) | timing | events;
        let mut arguments = Vec::new();
        for argument in &trigger.arguments {
            arguments.extend_from_slice(argument.as_bytes());
            arguments.push(0);
        }
        let columns = trigger.columns.iter().map(|column| column_number(table, *column)).collect();
        let when = trigger.when.as_deref().map(|when| deparse::condition_text(view, table, when, false));
        relation.row(&[
            ("oid", oid(trigger.id)),
            ("tgrelid", oid(table.id.0)),
            ("tgname", text(&trigger.name)),
            ("tgfoid", oid(trigger.function.0)),
            ("tgtype", int(kind)),
            ("tgenabled", text(if trigger.enabled { "O" } else { "D" })),
            ("tgisinternal", truth(false)),
            ("tgnargs", int(trigger.arguments.len())),
            ("tgattr", vector(TypeId::INT2, columns)),
            ("tgargs", Value::bytea(arguments)),
            ("tgqual", when.map_or(Value::Null, Value::text)),
            ("tgoldtable", maybe_text(trigger.old_table.as_deref())),
            ("tgnewtable", maybe_text(trigger.new_table.as_deref())),
        ])
    };
    each(view).map(row).collect()
}

/// `CREATE TRIGGER ...`
pub(crate) fn definition(view: &View<'_>, id: u32, pretty: bool) -> Option<String> {
    let (table, trigger) = each(view).find(|(_, trigger)| trigger.id == id)?;
    let mut events = Vec::new();
    for (event, word, _) in EVENTS.iter().filter(|(event, ..)| trigger.events.contains(event)) {
        events.push(match event {
            TriggerEvent::Update if !trigger.columns.is_empty() => {
                let columns = trigger.columns.iter().map(|column| quote_ident(&table.columns[*column].name));
                format!("UPDATE OF {}", columns.collect::<Vec<_>>().join(", "))
            }
            _ => (*word).to_owned(),
        });
    }
    let timing = timing_of(trigger);
    let name = quote_ident(&table.name);
    let on = if pretty && names::is_visible(view, table) {
        name
    } else {
        format!("{}.{name}", quote_ident(&table.schema))
    };
    let mut referencing = String::new();
    for (word, table) in [("OLD", &trigger.old_table), ("NEW", &trigger.new_table)] {
        if let Some(table) = table {
            referencing += &format!("{word} TABLE AS {} ", quote_ident(table));
        }
    }
    if !referencing.is_empty() {
        referencing.insert_str(0, "REFERENCING ");
    }
    let level = if trigger.row { "ROW" } else { "STATEMENT" };
    let when = match &trigger.when {
        Some(when) => format!("WHEN ({}) ", deparse::condition_text(view, table, when, pretty)),
        None => String::new(),
    };
    Some(format!(
        "CREATE TRIGGER {} {timing} {} ON {on} {referencing}FOR EACH {level} {when}{}",
        quote_ident(&trigger.name),
        events.join(" OR "),
        statement(view, trigger)
    ))
}

fn timing_of(trigger: &TriggerDef) -> &'static str {
    match trigger.timing {
        TriggerTiming::Before => "BEFORE",
        TriggerTiming::After => "AFTER",
        TriggerTiming::Instead => "INSTEAD OF",
    }
}

/// `EXECUTE FUNCTION f('a')`
fn statement(view: &View<'_>, trigger: &TriggerDef) -> String {
    let arguments: Vec<String> =
        trigger.arguments.iter().map(|argument| tuplix_functions::quote_literal(argument)).collect();
    let function = names::function_name(view, trigger.function.0).unwrap_or_default();
    format!("EXECUTE FUNCTION {function}({})", arguments.join(", "))
}

/// `information_schema.triggers`: a row for each event.
pub(crate) fn standard(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for (table, trigger) in each(view) {
        for (event, word, _) in EVENTS.iter().filter(|(event, ..)| trigger.events.contains(event)) {
            if *event == TriggerEvent::Truncate {
                continue;
            }
            let before = |other: &&TriggerDef| {
                other.events.contains(event)
                    && other.row == trigger.row
                    && other.timing == trigger.timing
                    && other.name <= trigger.name
            };
            let order = table.triggers.iter().filter(before).count();
            let when = trigger.when.as_deref().map(|when| deparse::condition_text(view, table, when, false));
            let timing = timing_of(trigger);
            rows.push(relation.row(&[
                ("trigger_catalog", catalog_name(view)),
                ("trigger_schema", text(&table.schema)),
                ("trigger_name", text(&trigger.name)),
                ("event_manipulation", text(word)),
                ("event_object_catalog", catalog_name(view)),
                ("event_object_schema", text(&table.schema)),
                ("event_object_table", text(&table.name)),
                ("action_order", int(order)),
                ("action_condition", when.map_or(Value::Null, Value::text)),
                ("action_statement", Value::text(statement(view, trigger))),
                ("action_orientation", text(if trigger.row { "ROW" } else { "STATEMENT" })),
                ("action_timing", text(timing)),
                ("action_reference_old_table", maybe_text(trigger.old_table.as_deref())),
                ("action_reference_new_table", maybe_text(trigger.new_table.as_deref())),
            ]));
        }
    }
    rows
}
