//! What else a change of rows does where a table has generated columns, triggers or foreign keys.
//!
//! ```text
//!   statement begins   BEFORE STATEMENT triggers
//!     each row         BEFORE ROW triggers, generated columns, constraints; then the change itself
//!                      references are looked up at once; what must wait becomes an event (events.rs)
//!   statement ends     events in order: foreign keys, AFTER ROW triggers; then AFTER STATEMENT triggers
//! ```
//! Which of it applies is decided when the statement is compiled: a table without any has no hooks at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use tuplix_catalog::{TriggerEvent, TriggerTiming};
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::plan::{Expr, RelationId};
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::builder::{Builder, RelationSlots};
use super::code::Code;
use super::constraint::Constraints;
use super::deferred::Deferred;
use super::events::Rows2;
use super::foreign_key::{Reference, Referrer};
use super::frame::Exec;
use super::numbers::Numbers;
use super::trigger::TriggerCall;
use super::walk::{self, Node};
use crate::layout::TableAccess;
use crate::stop::Run;
use crate::transaction::{Effects, RowRef};

/// A row trigger with its condition.
struct RowTrigger {
    call: Arc<TriggerCall>,
    when: Option<Code>,
}

/// What happens after a row was changed, apart from any statement's frame.
pub(crate) struct AfterHooks {
    /// The table.
    pub access: TableAccess,
    /// Foreign keys of this table that new rows must keep.
    pub references: Vec<Reference>,
    /// Foreign keys to this table.
    pub referrers: Vec<Referrer>,
    /// AFTER ROW triggers, in the order of their names.
    pub rows: Vec<Arc<TriggerCall>>,
    /// How many of them fire before the foreign keys do, whose triggers PostgreSQL calls `RI_ConstraintTrigger`.
    pub first_rows: usize,
    /// AFTER STATEMENT triggers.
    pub statement: Vec<Arc<TriggerCall>>,
}

/// The hooks of one change of one table in one statement.
pub(crate) struct Hooks {
    event: TriggerEvent,
    width: usize,
    /// The new row's slots.
    new: usize,
    /// The old row's slots.
    old: usize,
    before_statement: Vec<Arc<TriggerCall>>,
    before: Vec<RowTrigger>,
    generated: Vec<(usize, Code)>,
    /// Conditions of the AFTER ROW triggers.
    after_when: Vec<Option<Code>>,
    after: Arc<AfterHooks>,
    /// Every row is kept for transition tables.
    captures: bool,
    /// An update: what holds of the whole new row.
    constraints: Option<Constraints>,
    /// An update: slots of the relation's columns, for RETURNING.
    relation: Vec<(usize, usize)>,
}

impl Builder<'_> {
    /// The hooks of a change; none for a table that needs none. `new` are the slots of a row to be inserted, `assigned` the
    /// columns that an UPDATE sets.
    pub(crate) fn hooks(
        &mut self,
        access: &TableAccess,
        event: TriggerEvent,
        new: Option<usize>,
        assigned: Option<&BTreeSet<usize>>,
    ) -> Result<Option<Hooks>> {
        let table = &access.table;
        let makes_rows = event != TriggerEvent::Delete;
        let has_generated = makes_rows && table.columns.iter().any(|column| column.generated.is_some());
        let sets = |column: &usize| {
            assigned.is_none_or(|assigned| {
                assigned.contains(column) || table.columns[*column].generated.is_some()
            })
        };
        let fires = |trigger: &&tuplix_catalog::TriggerDef| {
            let of_columns = event != TriggerEvent::Update
                || trigger.columns.is_empty()
                || trigger.columns.iter().any(sets);
            trigger.enabled && trigger.events.contains(&event) && of_columns
        };
        let triggers: Vec<_> = table.triggers.iter().filter(fires).collect();
        let is = |row: bool, timing: TriggerTiming| {
            let of =
                move |trigger: &&&tuplix_catalog::TriggerDef| trigger.row == row && trigger.timing == timing;
            triggers.iter().filter(of).map(|trigger| Arc::new(TriggerCall::new(trigger, table)))
        };
        let before: Vec<_> = is(true, TriggerTiming::Before).collect();
        // A trigger may set what the statement does not.
        let may_set = |columns: &[usize]| !before.is_empty() || columns.iter().any(sets);
        let keys_on = !table.keys_off;
        let references =
            table.foreign_keys.iter().filter(|key| keys_on && makes_rows && may_set(&key.columns));
        let references = references
            .map(|key| Reference::new(self.context.layout, access, key))
            .collect::<Result<Vec<_>>>()?;
        let referrers = self.context.catalog.references_to(table.id).filter(|(_, key)| match event {
            _ if !keys_on => false,
            TriggerEvent::Delete => true,
            TriggerEvent::Update => may_set(&key.parent_columns),
            TriggerEvent::Insert | TriggerEvent::Truncate => false,
        });
        let referrers: Vec<_> = referrers.map(|(child, key)| Referrer::new(access, child, key)).collect();
        if triggers.is_empty() && !has_generated && references.is_empty() && referrers.is_empty() {
            return Ok(None);
        }
        let width = table.columns.len();
        let new = new.unwrap_or_else(|| self.slots(width));
        let old = self.slots(width);
        let mut generated = Vec::new();
        if has_generated {
            let slots: Vec<Option<usize>> = (new..new + width).map(Some).collect();
            for (column, def) in table.columns.iter().enumerate() {
                let Some(text) = &def.generated else { continue };
                let (expr, _) =
                    (self.context.bind_expression)(table, text, TableExpression::Generated(column))?;
                generated
                    .push((column, self.over_columns(&slots, &expr, |builder, expr| builder.expr(expr))?));
            }
        }
        let rows: Vec<_> = is(true, TriggerTiming::After).collect();
        let statement: Vec<_> = is(false, TriggerTiming::After).collect();
        let before_statement = is(false, TriggerTiming::Before).collect();
        let captures = rows.iter().chain(&statement).any(|call| call.has_transitions());
        let mut conditions = |calls: &[Arc<TriggerCall>]| {
            calls.iter().map(|call| self.when(call, old, new, width)).collect::<Result<Vec<_>>>()
        };
        let before_when = conditions(&before)?;
        let after_when = conditions(&rows)?;
        let before = before.into_iter().zip(before_when).map(|(call, when)| RowTrigger { call, when });
        let before = before.collect();
        self.fires = true;
        let first_rows = rows.partition_point(|call| call.def.name.as_str() < "RI_ConstraintTrigger_");
        let access = access.clone();
        let after = Arc::new(AfterHooks { access, references, referrers, rows, first_rows, statement });
        Ok(Some(Hooks {
            event,
            width,
            new,
            old,
            before_statement,
            before,
            generated,
            after_when,
            after,
            captures,
            constraints: None,
            relation: Vec::new(),
        }))
    }

    /// The hooks of an UPDATE's assignments over a relation that has its slots.
    pub(crate) fn update_hooks(
        &mut self,
        relation: RelationId,
        access: &TableAccess,
        assigned: &BTreeSet<usize>,
    ) -> Result<Option<Hooks>> {
        let Some(mut hooks) = self.hooks(access, TriggerEvent::Update, None, Some(assigned))? else {
            return Ok(None);
        };
        let checks = self.bound_checks(&access.table)?;
        let slots: Vec<Option<usize>> = (hooks.new..hooks.new + hooks.width).map(Some).collect();
        hooks.constraints = Some(self.constraints(&access.table, &checks, &slots, None)?);
        let columns = self.relations.get(&relation).cloned().unwrap_or_default().columns;
        let columns = columns.iter().enumerate();
        hooks.relation = columns.filter_map(|(column, slot)| slot.map(|slot| (column, slot))).collect();
        Ok(Some(hooks))
    }

    /// A trigger's WHEN over the slots of the old and the new row.
    fn when(&mut self, call: &TriggerCall, old: usize, new: usize, width: usize) -> Result<Option<Code>> {
        let Some(text) = &call.def.when else { return Ok(None) };
        let (expr, _) = (self.context.bind_condition)(&call.table, text)?;
        self.over_rows(&expr, &[(RelationId(0), old), (RelationId(1), new)], width).map(Some)
    }

    fn over_rows(&mut self, expr: &Expr, rows: &[(RelationId, usize)], width: usize) -> Result<Code> {
        let outer = std::mem::take(&mut self.relations);
        let mut needed = super::walk::Needed::default();
        walk::expr(expr, &mut |node: Node<'_>| needed.note(&node));
        let outer_needed = std::mem::replace(&mut self.needed, needed);
        for (relation, first) in rows {
            let columns = (*first..first + width).map(Some).collect();
            self.relations.insert(*relation, RelationSlots { columns, ..RelationSlots::default() });
        }
        let result = self.expr(expr);
        self.needed = outer_needed;
        self.relations = outer;
        result
    }
}

fn record(row: Option<&[Value]>) -> Value {
    row.map_or(Value::Null, |row| Value::Record(row.into()))
}

#[cold]
pub(super) fn wrong_structure() -> SqlError {
    let message = "returned row structure does not match the structure of the triggering table";
    SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
}

#[cold]
fn already_modified(verb: &str) -> SqlError {
    let message =
        format!("tuple to be {verb} was already modified by an operation triggered by the current command");
    SqlError::new(sqlstate::SqlState(*b"27000"), message).hint(
        "Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.",
    )
}

impl Hooks {
    /// Whether triggers run between the rows of a statement.
    pub(crate) fn has_before_rows(&self) -> bool {
        !self.before.is_empty()
    }

    /// BEFORE STATEMENT triggers.
    pub(crate) fn begin(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        if self.before_statement.is_empty() || !exec.events().begins(self.after.access.table.id, self.event) {
            return Ok(());
        }
        for call in &self.before_statement {
            call.call(exec, self.event, Value::Null, Value::Null, &[])?;
        }
        Ok(())
    }

    /// What kind of change it is.
    pub(crate) fn event(&self) -> TriggerEvent {
        self.event
    }

    /// AFTER STATEMENT triggers come when the whole statement ends.
    pub(crate) fn end(&self, exec: &mut Exec<'_, '_>) {
        if !self.after.statement.is_empty() {
            exec.events().push_end(&self.after, self.event);
        }
    }

    /// What comes before an insert of the row in the new row's slots. False: a trigger skips it.
    pub(crate) fn before_insert(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        if !self.before.is_empty() && !self.before_row(exec, None)? {
            return Ok(false);
        }
        self.generate(exec)?;
        Ok(true)
    }

    /// BEFORE ROW triggers over the new row's slots. False: skip it.
    fn before_row(&self, exec: &mut Exec<'_, '_>, old: Option<&[Value]>) -> Run<bool> {
        if let Some(old) = old {
            exec.fill(self.old, old);
        }
        for trigger in &self.before {
            if let Some(when) = &trigger.when
                && when.run(exec)?.as_bool() != Some(true)
            {
                continue;
            }
            let new = (self.event != TriggerEvent::Delete).then(|| exec.slots(self.new, self.width).to_vec());
            let given = trigger.call.call(exec, self.event, record(old), record(new.as_deref()), &[])?;
            match given {
                Value::Null => return Ok(false),
                Value::Record(_) if self.event == TriggerEvent::Delete => {}
                Value::Record(fields) if fields.len() == self.width => exec.fill(self.new, &fields),
                _ => return Err(wrong_structure().into()),
            }
        }
        Ok(true)
    }

    fn generate(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        for (column, code) in &self.generated {
            code.run_into(exec, self.new + column)?;
        }
        Ok(())
    }

    /// What comes after an insert of the row in the new row's slots.
    pub(crate) fn after_insert(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        let new: Arc<[Value]> = exec.slots(self.new, self.width).into();
        self.after_row(exec, None, Some(new))
    }

    /// Changes a row by an UPDATE: `None` when a trigger skips it.
    pub(crate) fn update(
        &self,
        exec: &mut Exec<'_, '_>,
        row: RowRef,
        changes: &[(usize, Value)],
    ) -> Run<Option<RowRef>> {
        let access = &self.after.access;
        let old = exec.tx.read_row(row);
        exec.fill(self.new, &old);
        for (column, value) in changes {
            exec.set(self.new + column, value.clone());
        }
        if !self.before.is_empty() {
            // They are computed afterwards: the triggers see NULLs.
            for (column, _) in &self.generated {
                exec.set(self.new + column, Value::Null);
            }
            if !self.before_row(exec, Some(&old))? {
                return Ok(None);
            }
            if !exec.tx.is_live(row) {
                return Err(already_modified("updated").into());
            }
        }
        self.generate(exec)?;
        if let Some(constraints) = &self.constraints
            && let Some(violated) = constraints.violated(exec)?
        {
            let row = exec.slots(self.new, self.width);
            return Err(super::constraint::violation(exec, access, violated, row));
        }
        let new: Arc<[Value]> = exec.slots(self.new, self.width).into();
        let differs = |column: &usize| {
            changes.iter().any(|(changed, _)| changed == column)
                || !tuplix_types::equal(&old[*column], &new[*column])
        };
        let columns: Vec<usize> = (0..self.width).filter(differs).collect();
        let changes: Vec<(usize, Value)> =
            columns.iter().map(|column| (*column, new[*column].clone())).collect();
        let effects = Effects::of(access, &columns);
        let changed = exec.tx.update(access, row, &changes, &effects)?;
        for (column, slot) in &self.relation {
            exec.set(*slot, new[*column].clone());
        }
        self.after_row(exec, Some(old.into()), Some(new))?;
        Ok(Some(changed))
    }

    /// Deletes a row. False: a trigger skips it.
    pub(crate) fn delete(&self, exec: &mut Exec<'_, '_>, row: RowRef) -> Run<bool> {
        let old = exec.tx.read_row(row);
        if !self.before.is_empty() {
            if !self.before_row(exec, Some(&old))? {
                return Ok(false);
            }
            if !exec.tx.is_live(row) {
                return Err(already_modified("deleted").into());
            }
        }
        exec.tx.delete(&self.after.access, row)?;
        self.after_row(exec, Some(old.into()), None)?;
        Ok(true)
    }

    fn after_row(
        &self,
        exec: &mut Exec<'_, '_>,
        old: Option<Arc<[Value]>>,
        new: Option<Arc<[Value]>>,
    ) -> Run<()> {
        let (mut references, mut referrers) = (Numbers::default(), Numbers::default());
        let mut triggers = Numbers::default();
        if let Some(new) = &new {
            for (number, reference) in self.after.references.iter().enumerate() {
                if reference.is_due(old.as_deref(), new) && !reference.holds(exec, new)? {
                    if exec.services.constraint_modes.borrow().is_deferred(reference.key()) {
                        exec.tx.defer(Deferred::reference(reference, new));
                    } else {
                        references.insert(number);
                    }
                }
            }
        }
        if let Some(old) = &old {
            for (number, referrer) in self.after.referrers.iter().enumerate() {
                if referrer.is_due(old, new.as_deref()) {
                    if referrer.may_wait(new.is_some())
                        && exec.services.constraint_modes.borrow().is_deferred(referrer.key())
                    {
                        exec.tx.defer(Deferred::referrer(referrer, old, new.as_ref()));
                    } else {
                        referrers.insert(number);
                    }
                }
            }
        }
        if self.after_when.iter().any(Option::is_some) {
            if let Some(old) = &old {
                exec.fill(self.old, old);
            }
            if let Some(new) = &new {
                exec.fill(self.new, new);
            }
        }
        for (number, when) in self.after_when.iter().enumerate() {
            let fires = match when {
                Some(when) => when.run(exec)?.as_bool() == Some(true),
                None => true,
            };
            if fires {
                triggers.insert(number);
            }
        }
        let has_consequences = !(references.is_empty() && referrers.is_empty() && triggers.is_empty());
        if has_consequences || self.captures {
            exec.events().push(&self.after, self.event, Rows2 { old, new, references, referrers, triggers });
        }
        Ok(())
    }
}
