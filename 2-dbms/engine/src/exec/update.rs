//! UPDATE and DELETE: first all rows are found, then they are changed, so that no row is met twice.

use std::collections::BTreeSet;

use tuplix_catalog::TriggerEvent;
use tuplix_sql::plan::{Delete, Expr, From, RelationId, Update, ViewCheck};
use tuplix_types::{Result, SqlError, TypeId, Value};

use super::access_path::Wish;
use super::builder::Builder;
use super::code::Code;
use super::constraint::{BoundCheck, Constraints, Violation, violation};
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet, pack_row, unpack_row};
use super::from::RelationWish;
use super::hooks::Hooks;
use super::query::QueryCode;
use super::rows::{Next, Rows, RowsBox, Yield};
use super::scan::TableScan;
use super::view_check::{self, ViewChecks};
use super::walk;
use crate::layout::TableAccess;
use crate::stop::{Run, Stop};
use crate::transaction::{Effects, RowRef};

/// The assignments of an UPDATE or ON CONFLICT DO UPDATE.
pub(crate) struct Change {
    access: TableAccess,
    /// Assigned columns.
    columns: Vec<usize>,
    codes: Vec<Code>,
    /// The new values' first slot.
    pub first: usize,
    /// Slots of new values with the slots of the relation's columns that CHECKs and RETURNING read.
    write_back: Vec<(usize, usize)>,
    constraints: Constraints,
    effects: Effects,
    /// Triggers, generated columns, foreign keys.
    pub hooks: Option<Hooks>,
}

impl Change {
    /// How many columns are assigned.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Computes the new values.
    #[inline(always)]
    pub(crate) fn compute(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        for (number, code) in self.codes.iter().enumerate() {
            code.run_into(exec, self.first + number)?;
        }
        Ok(())
    }

    /// Changes a row to the new values; `None` when a trigger skips it.
    #[inline(always)]
    pub(crate) fn apply(&self, exec: &mut Exec<'_, '_>, row: RowRef) -> Run<Option<RowRef>> {
        if let Some(hooks) = &self.hooks {
            return self.apply_hooked(hooks, exec, row);
        }
        for (from, to) in &self.write_back {
            exec.copy_to(*from, *to);
        }
        if let Some(violated) = self.constraints.violated(exec)? {
            return Err(self.violation(exec, row, violated));
        }
        let (tx, values) = exec.tx_and_slots(self.first, self.columns.len());
        tx.update_columns(&self.access, row, &self.columns, values, &self.effects).map(Some)
    }

    #[cold]
    fn violation(&self, exec: &mut Exec<'_, '_>, row: RowRef, violated: Violation) -> Stop {
        let mut values: Vec<Value> =
            (0..self.access.table.columns.len()).map(|column| exec.tx.read(row, column)).collect();
        for (number, column) in self.columns.iter().enumerate() {
            values[*column] = exec.get(self.first + number).clone();
        }
        violation(exec, &self.access, violated, &values)
    }

    fn apply_hooked(&self, hooks: &Hooks, exec: &mut Exec<'_, '_>, row: RowRef) -> Run<Option<RowRef>> {
        let changes = self.columns.iter().enumerate();
        let changes: Vec<(usize, Value)> =
            changes.map(|(number, column)| (*column, exec.copy(self.first + number))).collect();
        hooks.update(exec, row, &changes)
    }
}

impl Builder<'_> {
    /// Gives the relation of a table to be changed its slots: what the statement reads, and what CHECKs read. Gives columns
    /// with their slots.
    pub(crate) fn change_relation(
        &mut self,
        relation: RelationId,
        access: &TableAccess,
        assignments: &[(usize, Expr)],
        checks: &[BoundCheck],
    ) -> Vec<(usize, usize)> {
        self.need_checks(relation, assignments, checks);
        self.add_table(relation, access);
        let slots = self.relations.get(&relation).cloned().unwrap_or_default().columns;
        slots.iter().enumerate().filter_map(|(column, slot)| slot.map(|slot| (column, slot))).collect()
    }

    pub(crate) fn need_checks(
        &mut self,
        relation: RelationId,
        assignments: &[(usize, Expr)],
        checks: &[BoundCheck],
    ) {
        for check in checks {
            if check.whole {
                self.needed.add_whole(relation);
            }
            if assignments.iter().any(|(column, _)| check.columns.contains(column)) {
                check.columns.iter().for_each(|column| self.needed.add(relation, *column));
            }
        }
    }

    /// Compiles assignments over a relation that has its slots.
    pub(crate) fn change(
        &mut self,
        relation: RelationId,
        access: &TableAccess,
        assignments: &[(usize, Expr)],
        checks: &[BoundCheck],
    ) -> Result<Change> {
        let codes = assignments.iter().map(|(_, value)| self.expr(value)).collect::<Result<Vec<_>>>()?;
        let columns: Vec<usize> = assignments.iter().map(|(column, _)| *column).collect();
        let first = self.slots(columns.len());
        let slots = self.relations.get(&relation).cloned().unwrap_or_default().columns;
        let write_back = columns.iter().enumerate();
        let write_back =
            write_back.filter_map(|(number, column)| slots[*column].map(|slot| (first + number, slot)));
        let write_back = write_back.collect();
        let assigned: BTreeSet<usize> = columns.iter().copied().collect();
        // NOT NULL looks at the new values themselves: their columns need no slot of their own.
        let mut new_slots = slots.clone();
        for (number, column) in columns.iter().enumerate() {
            new_slots[*column].get_or_insert(first + number);
        }
        let constraints = self.constraints(&access.table, checks, &new_slots, Some(&assigned))?;
        let effects = Effects::of(access, &columns);
        let hooks = self.update_hooks(relation, access, &assigned)?;
        Ok(Change { access: access.clone(), columns, codes, first, write_back, constraints, effects, hooks })
    }

    /// The rows of the table to change.
    fn rows_to_change(
        &mut self,
        target: &From,
        from: &[From],
        filter: Option<&Expr>,
        row: usize,
    ) -> Result<Found> {
        let From::Table { relation, table } = target else {
            return Err(SqlError::internal("a change of something that is no table"));
        };
        crate::history::refuse_change(&self.table(*table)?.table, "UPDATE or DELETE of rows")?;
        self.relations.entry(*relation).or_default().row = Some(row);
        let mut conditions = Vec::new();
        filter.iter().for_each(|filter| walk::conjuncts(filter, &mut conditions));
        if from.is_empty() {
            let (mut scan, _) = self.table_scan(*relation, *table, &conditions, &Wish::default())?;
            let single = scan.is_unique();
            // To be measured, the scan has to be an operator.
            let single = single && self.context.measure.is_none();
            if single {
                // The row goes from hand to hand.
                scan.row = None;
                return Ok(Found::One(Box::new(scan)));
            }
            return Ok(Found::Many(self.operator(scan)));
        }
        let items: Vec<&From> = std::iter::once(target).chain(from).collect();
        Ok(Found::Many(self.from(&items, &conditions, &RelationWish::default())?.0))
    }

    /// Compiles an UPDATE.
    pub(crate) fn update(&mut self, update: &Update, columns: Vec<TypeId>) -> Result<QueryCode> {
        if let Some(shown) = &update.instead {
            return self.update_view(update, shown, columns);
        }
        let access = self.table(update.table)?.clone();
        let checks = self.bound_checks(&access.table)?;
        self.need_checks(update.relation, &update.assignments, &checks);
        let row = self.slot();
        let target = From::Table { relation: update.relation, table: update.table };
        self.current_of.extend(update.current_of.clone().map(|cursor| (update.relation, cursor)));
        let source = self.rows_to_change(&target, &update.from, update.filter.as_ref(), row)?;
        let change = self.change(update.relation, &access, &update.assignments, &checks)?;
        let mut items = vec![&target];
        items.extend(&update.from);
        self.changing(ChangeParts {
            source,
            access,
            row,
            change: Some(change),
            hooks: None,
            items: &items,
            returning: &update.returning,
            view_checks: &update.view_checks,
            columns,
        })
    }

    /// Compiles a DELETE.
    pub(crate) fn delete(&mut self, delete: &Delete, columns: Vec<TypeId>) -> Result<QueryCode> {
        if let Some(shown) = &delete.instead {
            return self.delete_from_view(delete, shown, columns);
        }
        let access = self.table(delete.table)?.clone();
        let row = self.slot();
        let target = From::Table { relation: delete.relation, table: delete.table };
        self.current_of.extend(delete.current_of.clone().map(|cursor| (delete.relation, cursor)));
        let source = self.rows_to_change(&target, &delete.using, delete.filter.as_ref(), row)?;
        let hooks = self.hooks(&access, TriggerEvent::Delete, None, None)?;
        let mut items = vec![&target];
        items.extend(&delete.using);
        self.changing(ChangeParts {
            source,
            access,
            row,
            change: None,
            hooks,
            items: &items,
            returning: &delete.returning,
            view_checks: &[],
            columns,
        })
    }

    fn changing(&mut self, parts: ChangeParts<'_>) -> Result<QueryCode> {
        let ChangeParts { source, access, row, mut change, hooks, items, returning, view_checks, columns } =
            parts;
        let view_checks = self.view_checks(view_checks)?;
        let returning = self.exprs(returning)?;
        let out = self.slots(returning.len());
        let mut saved = vec![row];
        if let Some(change) = &change {
            saved.extend(change.first..change.first + change.len());
        }
        let reads_back = !returning.is_empty()
            || !view_checks.is_empty()
            || change.as_ref().is_some_and(|c| !c.constraints.checks.is_empty());
        if let Some(change) = change.as_mut().filter(|_| !reads_back) {
            change.write_back.clear();
        }
        let own = change.as_ref().and_then(|change| change.hooks.as_ref()).or(hooks.as_ref());
        let triggers = own.is_some_and(Hooks::has_before_rows);
        if reads_back {
            saved.extend(self.visible_slots(items).into_iter().filter(|slot| *slot != row));
        }
        let joins = items.len() > 1;
        let recheck = self.user_calls || triggers;
        let code = ChangeRows {
            source,
            access,
            row,
            change,
            hooks,
            saved,
            joins,
            recheck,
            view_checks,
            returning,
            out,
        };
        self.estimate = self.estimate.changing(columns.is_empty());
        Ok(QueryCode { rows: self.operator(code), first: out, width: columns.len(), types: columns })
    }
}

/// Where the rows to change come from.
enum Found {
    /// There is one at most: it is changed where it is found.
    One(Box<TableScan>),
    Many(RowsBox),
}

struct ChangeParts<'p> {
    source: Found,
    access: TableAccess,
    row: usize,
    change: Option<Change>,
    /// Those of a DELETE.
    hooks: Option<Hooks>,
    items: &'p [&'p From],
    returning: &'p [Expr],
    view_checks: &'p [ViewCheck],
    columns: Vec<TypeId>,
}

struct ChangeRows {
    source: Found,
    access: TableAccess,
    /// The slot that says which row.
    row: usize,
    /// `None` deletes.
    change: Option<Change>,
    /// Those of a DELETE.
    hooks: Option<Hooks>,
    /// What is kept of each found row until it is changed, the row itself first.
    saved: Vec<usize>,
    /// Other relations are joined: a row may be found several times and is changed once.
    joins: bool,
    /// Functions are called that may have changed rows in between.
    recheck: bool,
    view_checks: ViewChecks,
    returning: Vec<Code>,
    out: usize,
}

impl ChangeRows {
    /// Changes the row that the slots tell of, and says whether it did.
    #[inline]
    fn change(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        let Some(row) = unpack_row(self.access.slot, exec.get(self.row)) else { return Ok(false) };
        let Some(row) = self.change_row(exec, row)? else { return Ok(false) };
        exec.set(self.row, pack_row(row));
        Ok(true)
    }

    /// Changes a row, and says what it is called then; `None` when it was left alone.
    #[inline(always)]
    fn change_row(&self, exec: &mut Exec<'_, '_>, row: RowRef) -> Run<Option<RowRef>> {
        if self.recheck && !exec.tx.is_live(row) {
            return Ok(None);
        }
        match &self.change {
            Some(change) => {
                let Some(row) = change.apply(exec, row)? else { return Ok(None) };
                if !self.view_checks.is_empty()
                    && let Some(view) = self.view_checks.broken(exec)?
                {
                    let columns = 0..self.access.table.columns.len();
                    let values: Vec<Value> = columns.map(|column| exec.tx.read(row, column)).collect();
                    return Err(view_check::broken(exec, &self.access, view, &values));
                }
                Ok(Some(row))
            }
            None => match &self.hooks {
                None => exec.tx.delete(&self.access, row).map(|()| Some(row)),
                Some(hooks) => Ok(hooks.delete(exec, row)?.then_some(row)),
            },
        }
    }

    #[inline(always)]
    fn give(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        for (number, code) in self.returning.iter().enumerate() {
            code.run_into(exec, self.out + number)?;
        }
        Ok(())
    }

    /// Changes the one row there is, and says whether there is a row to give.
    #[inline(always)]
    fn change_one(&self, scan: &TableScan, exec: &mut Exec<'_, '_>) -> Run<bool> {
        exec.affected = 0;
        let Some(row) = scan.find(exec)? else { return Ok(false) };
        if let Some(change) = &self.change {
            change.compute(exec)?;
        }
        let changed = self.change_row(exec, row)?.is_some();
        exec.affected = u64::from(changed);
        if !changed || self.returning.is_empty() {
            return Ok(false);
        }
        self.give(exec)?;
        Ok(true)
    }

    fn hooks(&self) -> Option<&Hooks> {
        match &self.change {
            Some(change) => change.hooks.as_ref(),
            None => self.hooks.as_ref(),
        }
    }
}

impl ChangeRows {
    /// With what fires once a statement.
    fn run_hooked(&self, hooks: &Hooks, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        hooks.begin(exec)?;
        let flow = self.run_rows(exec, next)?;
        hooks.end(exec);
        Ok(flow)
    }

    #[inline]
    fn run_rows(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let source = match &self.source {
            Found::One(scan) => {
                return if self.change_one(scan, exec)? { next(exec) } else { Ok(Flow::Continue) };
            }
            Found::Many(source) => source,
        };
        let mut rows = RowSet { width: self.saved.len(), values: exec.take_buffer(), len: 0 };
        let mut met = BTreeSet::new();
        source.run(exec, &mut |exec| {
            if self.joins && !met.insert(exec.get(self.row).as_i64()) {
                return Ok(Flow::Continue);
            }
            if let Some(change) = &self.change {
                change.compute(exec)?;
            }
            exec.gather(&self.saved, &mut rows.values);
            rows.len += 1;
            Ok(Flow::Continue)
        })?;
        let mut affected = 0;
        let mut flow = Flow::Continue;
        for number in 0..rows.len {
            exec.scatter(&self.saved, rows.row(number));
            if self.change(exec)? {
                affected += 1;
                // A consumer that has enough does not end the change.
                if flow == Flow::Continue && !self.returning.is_empty() {
                    self.give(exec)?;
                    flow = next(exec)?;
                }
            }
            if number % 64 == 63 {
                exec.check_interrupts()?;
            }
        }
        exec.give_buffer(rows.values);
        exec.affected = affected;
        Ok(flow)
    }
}

impl Rows for ChangeRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        match self.hooks() {
            None => self.run_rows(exec, next),
            Some(hooks) => self.run_hooked(hooks, exec, next),
        }
    }

    fn yields(&self) -> Yield {
        match &self.source {
            Found::One(_) if self.hooks().is_none() => Yield::One,
            _ => Yield::Many,
        }
    }

    fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        match &self.source {
            Found::One(scan) => self.change_one(scan, exec),
            Found::Many(_) => Err(SqlError::internal("a change of many rows as one of one").into()),
        }
    }

    fn explain(&self, out: &mut Explain) {
        let verb = if self.change.is_some() { "Update" } else { "Delete" };
        out.line(format_args!("{verb} on {}", self.access.table.name));
        match &self.source {
            Found::One(scan) => out.child(&**scan),
            Found::Many(source) => out.child(&**source),
        }
    }
}
