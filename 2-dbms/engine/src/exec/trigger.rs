//! Calling trigger functions: NEW, OLD and the `TG_` variables are their arguments.

use std::sync::{Arc, OnceLock};

use tuplix_catalog::{TableDef, TriggerDef, TriggerEvent, TriggerTiming};
use tuplix_sql::plan::Ddl;
use tuplix_types::{Array, ArrayDimension, TypeId, Value};

use super::frame::Exec;
use super::procedure::CompiledProcedure;
use crate::stop::Run;

/// A row that events and transition tables share.
type SharedRow = Arc<[Value]>;

/// A transition table: its name and its rows.
pub(crate) type Transition = (String, Vec<Arc<[Value]>>);

/// A trigger of a table, its function compiled when it first fires.
pub(crate) struct TriggerCall {
    pub def: TriggerDef,
    pub table: Arc<TableDef>,
    procedure: OnceLock<Arc<CompiledProcedure>>,
}

impl TriggerCall {
    pub(crate) fn new(def: &TriggerDef, table: &Arc<TableDef>) -> TriggerCall {
        TriggerCall { def: def.clone(), table: table.clone(), procedure: OnceLock::new() }
    }

    /// Whether it reads the statement's rows.
    pub(crate) fn has_transitions(&self) -> bool {
        self.def.old_table.is_some() || self.def.new_table.is_some()
    }

    /// An AFTER trigger; its result means nothing.
    pub(crate) fn after(
        &self,
        exec: &mut Exec<'_, '_>,
        event: TriggerEvent,
        (old, new): (Option<&SharedRow>, Option<&SharedRow>),
        group: u64,
    ) -> Run<()> {
        let mut transitions = Vec::new();
        for (name, is_new) in [(&self.def.old_table, false), (&self.def.new_table, true)] {
            if let Some(name) = name {
                transitions.push((name.clone(), exec.events().transition(group, is_new)));
            }
        }
        if self.has_transitions() {
            exec.events().close(group);
        }
        let record =
            |row: Option<&Arc<[Value]>>| row.map_or(Value::Null, |row| Value::Record(row.as_ref().into()));
        let (old, new) = if self.def.row { (record(old), record(new)) } else { (Value::Null, Value::Null) };
        self.call(exec, event, old, new, &transitions).map(|_| ())
    }

    /// Calls the function; its value is the row to go on with.
    pub(crate) fn call(
        &self,
        exec: &mut Exec<'_, '_>,
        event: TriggerEvent,
        old: Value,
        new: Value,
        transitions: &[Transition],
    ) -> Run<Value> {
        let procedure = match self.procedure.get() {
            Some(procedure) => procedure.clone(),
            None => {
                let compiled = Arc::new(exec.services.compile_trigger(&self.def, &self.table)?);
                self.procedure.get_or_init(|| compiled).clone()
            }
        };
        let arguments = self.arguments(event, old, new);
        if self.has_transitions() {
            exec.services.transitions.borrow_mut().push(transitions.to_vec());
        }
        // Its statements have queues of their own.
        let holds = std::mem::replace(&mut exec.events().holds, false);
        let affected = exec.affected;
        exec.services.firing.borrow_mut().push(self.table.id);
        let result = procedure.call_scalar(exec, &arguments);
        exec.services.firing.borrow_mut().pop();
        exec.affected = affected;
        exec.events().holds = holds;
        if self.has_transitions() {
            exec.services.transitions.borrow_mut().pop();
        }
        result
    }

    /// In the order in which the analyzer declares them.
    fn arguments(&self, event: TriggerEvent, old: Value, new: Value) -> [Value; 12] {
        let when = match self.def.timing {
            TriggerTiming::Before => "BEFORE",
            TriggerTiming::After => "AFTER",
            TriggerTiming::Instead => "INSTEAD OF",
        };
        let operation = match event {
            TriggerEvent::Insert => "INSERT",
            TriggerEvent::Update => "UPDATE",
            TriggerEvent::Delete => "DELETE",
            TriggerEvent::Truncate => "TRUNCATE",
        };
        let count = i32::try_from(self.def.arguments.len()).unwrap_or(i32::MAX);
        let given: Vec<Value> = self.def.arguments.iter().map(|text| Value::text(text.as_str())).collect();
        let arguments = match count {
            0 => Value::Array(Arc::new(Array::from_elements(TypeId::TEXT, given))),
            // The first one is TG_ARGV[0].
            _ => Value::Array(Arc::new(Array {
                element: TypeId::TEXT,
                dimensions: vec![ArrayDimension { length: count, lower: 0 }],
                elements: given,
            })),
        };
        let table = Value::text(self.table.name.as_str());
        [
            new,
            old,
            Value::text(self.def.name.as_str()),
            Value::text(when),
            Value::text(if self.def.row { "ROW" } else { "STATEMENT" }),
            Value::text(operation),
            Value::Oid(self.table.id.0),
            table.clone(),
            table,
            Value::text(self.table.schema.as_str()),
            Value::Int4(count),
            arguments,
        ]
    }
}

/// Fires the TRUNCATE triggers of the tables that a statement empties, by CASCADE too.
///
/// # Errors
/// Those of the triggers.
pub(crate) fn fire_truncate(exec: &mut Exec<'_, '_>, ddl: &Ddl, timing: TriggerTiming) -> Run<()> {
    let Ddl::Truncate { tables: names, cascade, .. } = ddl else { return Ok(()) };
    let schema = exec.services.schema();
    let path = exec.services.search_path();
    let mut tables: Vec<Arc<TableDef>> = Vec::new();
    let add = |tables: &mut Vec<Arc<TableDef>>, table: &Arc<TableDef>| {
        if !tables.iter().any(|other| other.id == table.id) {
            tables.push(table.clone());
        }
    };
    for name in names {
        let found = match &name.schema {
            Some(schema_name) => schema.catalog.table_named(schema_name, &name.name),
            None => schema.catalog.table_on_path(&path, &name.name),
        };
        found.iter().for_each(|table| add(&mut tables, table));
    }
    let mut place = 0;
    while let Some(parent) = tables.get(place).filter(|_| *cascade).map(|table| table.id) {
        place += 1;
        schema.catalog.references_to(parent).for_each(|(child, _)| add(&mut tables, child));
    }
    let fires = |trigger: &&TriggerDef| {
        trigger.enabled && trigger.timing == timing && trigger.events.contains(&TriggerEvent::Truncate)
    };
    for table in &tables {
        for trigger in table.triggers.iter().filter(fires) {
            let call = TriggerCall::new(trigger, table);
            call.call(exec, TriggerEvent::Truncate, Value::Null, Value::Null, &[])?;
        }
    }
    Ok(())
}
