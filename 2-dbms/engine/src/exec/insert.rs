//! INSERT, with ON CONFLICT and RETURNING.
//!
//! The new row lies in slots that follow each other, a slot a column, from where the transaction takes it; CHECKs,
//! RETURNING and `excluded` read the same slots. One row of VALUES goes straight there; of more rows, or of a query, all
//! are found before the first is inserted.

use std::collections::BTreeSet;

use tuplix_catalog::TriggerEvent;
use tuplix_sql::plan::{
    COPY_SOURCE, ConflictAction, From, Insert, InsertSource, Query, QueryBody, ViewCheck,
};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::builder::Builder;
use super::code::{Code, TestFn, run_all};
use super::constraint::{BoundCheck, Constraints, violation};
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet};
use super::hooks::Hooks;
use super::query::QueryCode;
use super::rows::{Next, Rows, Yield};
use super::update::Change;
use super::view_check::{self, ViewChecks};
use crate::layout::TableAccess;
use crate::stop::Run;
use crate::transaction::RowRef;

/// Where rows come from.
pub(super) enum Source {
    /// One row, its values in the order of the target columns.
    One(Vec<Code>),
    /// Several rows.
    Many(Vec<Vec<Code>>),
    /// A query's.
    Query(QueryCode),
}

/// ON CONFLICT.
struct Conflict {
    /// The unique index that decides, by its number in the table.
    index: Option<usize>,
    update: Option<ConflictUpdate>,
}

struct ConflictUpdate {
    /// Columns of the row in place, with their slots.
    columns: Vec<(usize, usize)>,
    filter: Option<TestFn>,
    /// What policies ask of the row that is there.
    old: ViewChecks,
    /// What they ask of what it becomes.
    new: ViewChecks,
    change: Change,
}

/// Slots to copy from and to.
type Copies = Vec<(usize, usize)>;

pub(crate) struct InsertRows {
    access: TableAccess,
    source: Source,
    /// The new row.
    first: usize,
    /// Slots of the source's columns.
    targets: Vec<usize>,
    /// Slots of the other columns, with their defaults.
    defaults: Vec<(usize, Code)>,
    /// Slots of columns without value or default.
    unset: Vec<usize>,
    constraints: Constraints,
    /// Triggers, generated columns, foreign keys.
    hooks: Option<Hooks>,
    /// The rows are those of COPY FROM.
    is_copy: bool,
    conflict: Option<Conflict>,
    /// Slots that RETURNING reads the row from, when they are not the new row's own.
    copies: Copies,
    /// What policies ask of the row before anything else does.
    policies: Option<ViewChecks>,
    view_checks: ViewChecks,
    returning: Vec<Code>,
    out: usize,
}

impl Builder<'_> {
    pub(super) fn insert_source(&mut self, source: &InsertSource) -> Result<Source> {
        Ok(match source {
            InsertSource::Values(rows) => match &rows[..] {
                [row] => Source::One(self.exprs(row)?),
                rows => Source::Many(rows.iter().map(|row| self.exprs(row)).collect::<Result<_>>()?),
            },
            InsertSource::Query(query) => Source::Query(self.query(query)?),
            InsertSource::Defaults => Source::One(Vec::new()),
        })
    }

    /// Compiles an INSERT.
    pub(crate) fn insert(&mut self, insert: &Insert, columns: Vec<TypeId>) -> Result<QueryCode> {
        if insert.instead {
            return self.insert_into_view(insert, columns);
        }
        let code = self.insert_rows(insert)?;
        let out = code.out;
        self.estimate = self.estimate.changing(columns.is_empty());
        Ok(QueryCode { rows: self.operator(code), first: out, width: columns.len(), types: columns })
    }

    /// Compiles an INSERT but for what takes its rows.
    pub(crate) fn insert_rows(&mut self, insert: &Insert) -> Result<InsertRows> {
        let access = self.table(insert.table)?.clone();
        let width = access.table.columns.len();
        let source = self.insert_source(&insert.source)?;
        let is_copy = matches!(&insert.source, InsertSource::Query(query) if is_copy(query));
        let first = self.slots(width);
        let defaults = insert.defaults.iter().map(|(column, node)| Ok((first + column, self.expr(node)?)));
        let defaults = defaults.collect::<Result<Vec<_>>>()?;
        let targets: Vec<usize> = insert.columns.iter().map(|column| first + column).collect();
        let given: BTreeSet<usize> =
            targets.iter().copied().chain(defaults.iter().map(|(slot, _)| *slot)).collect();
        let unset = (first..first + width).filter(|slot| !given.contains(slot)).collect();
        let checks = self.bound_checks(&access.table)?;
        let slots: Vec<Option<usize>> = (first..first + width).map(Some).collect();
        let constraints = self.constraints(&access.table, &checks, &slots, None)?;
        let hooks = self.hooks(&access, TriggerEvent::Insert, Some(first), None)?;
        let (conflict, copies) = self.conflict(insert, &access, first, &checks)?;
        let view_checks = self.view_checks(&insert.view_checks)?;
        let policies =
            (!insert.policies.is_empty()).then(|| self.view_checks(&insert.policies)).transpose()?;
        let returning = self.exprs(&insert.returning)?;
        let out = self.slots(returning.len());
        Ok(InsertRows {
            access,
            source,
            first,
            targets,
            defaults,
            unset,
            constraints,
            hooks,
            is_copy,
            conflict,
            copies,
            policies,
            view_checks,
            returning,
            out,
        })
    }

    /// ON CONFLICT, and where RETURNING reads an inserted row: slots to copy from and to.
    fn conflict(
        &mut self,
        insert: &Insert,
        access: &TableAccess,
        first: usize,
        checks: &[BoundCheck],
    ) -> Result<(Option<Conflict>, Copies)> {
        let width = access.table.columns.len();
        let Some(conflict) = &insert.on_conflict else {
            self.add_relation_at(insert.relation, first, width);
            return Ok((None, Vec::new()));
        };
        self.reads_more = true;
        let position = |id| access.table.indexes.iter().position(|index| index.id == id);
        let index = match conflict.index {
            Some(id) => Some(
                position(id)
                    .ok_or_else(|| SqlError::internal("ON CONFLICT names an index that is not there"))?,
            ),
            None => None,
        };
        let ConflictAction::Update { excluded, assignments, filter, policies } = &conflict.action else {
            self.add_relation_at(insert.relation, first, width);
            return Ok((Some(Conflict { index, update: None }), Vec::new()));
        };
        self.add_relation_at(*excluded, first, width);
        let columns = self.change_relation(insert.relation, access, assignments, checks);
        let copies = columns.iter().map(|(column, slot)| (first + column, *slot)).collect();
        let filter = filter.as_ref().map(|filter| self.test(filter)).transpose()?;
        let change = self.change(insert.relation, access, assignments, checks)?;
        let is_old = |check: &&ViewCheck| check.policy.as_ref().is_some_and(|policy| policy.using);
        let (old, new): (Vec<&ViewCheck>, Vec<&ViewCheck>) = policies.iter().partition(is_old);
        let of = |checks: Vec<&ViewCheck>| checks.into_iter().cloned().collect::<Vec<_>>();
        let (old, new) = (self.view_checks(&of(old))?, self.view_checks(&of(new))?);
        let update = Some(ConflictUpdate { columns, filter, old, new, change });
        Ok((Some(Conflict { index, update }), copies))
    }
}

impl InsertRows {
    /// The slots that [`InsertRows::compute`] fills.
    pub(crate) fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// Triggers, generated columns, foreign keys.
    pub(crate) fn hooks(&self) -> Option<&Hooks> {
        self.hooks.as_ref()
    }

    /// Computes the values of an INSERT of one row.
    pub(crate) fn compute(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        if let Source::One(codes) = &self.source {
            for (number, code) in codes.iter().enumerate() {
                code.run_into(exec, self.targets[number])?;
            }
        }
        Ok(())
    }

    /// Inserts the row that [`InsertRows::compute`] has computed.
    pub(crate) fn insert_computed(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        self.insert(exec, None)
    }

    /// Inserts the row whose source columns are in place. False when a conflict made it nothing.
    #[inline(always)]
    fn insert(&self, exec: &mut Exec<'_, '_>, touched: Option<&mut BTreeSet<RowRef>>) -> Run<bool> {
        for (slot, default) in &self.defaults {
            default.run_into(exec, *slot)?;
        }
        for slot in &self.unset {
            exec.set(*slot, Value::Null);
        }
        if let Some(hooks) = &self.hooks
            && !hooks.before_insert(exec)?
        {
            return Ok(false);
        }
        let width = self.access.table.columns.len();
        if let Some(policies) = &self.policies
            && let Some(check) = policies.broken(exec)?
        {
            return Err(view_check::broken(exec, &self.access, check, &[]));
        }
        if let Some(violated) = self.constraints.violated(exec)? {
            return Err(violation(exec, &self.access, violated, exec.slots(self.first, width)));
        }
        if let Some(conflict) = &self.conflict {
            let (tx, values) = exec.tx_and_slots(self.first, width);
            if let Some(row) = tx.find_conflict(&self.access, values, conflict.index)? {
                return match &conflict.update {
                    None => Ok(false),
                    Some(update) => self.update(exec, row, update, touched),
                };
            }
        }
        let (tx, values) = exec.tx_and_slots(self.first, width);
        let row = tx.insert(&self.access, values)?;
        if let Some(touched) = touched {
            touched.insert(row);
        }
        if let Some(hooks) = &self.hooks {
            hooks.after_insert(exec)?;
        }
        for (from, to) in &self.copies {
            exec.copy_to(*from, *to);
        }
        if !self.view_checks.is_empty()
            && let Some(view) = self.view_checks.broken(exec)?
        {
            return Err(view_check::broken(exec, &self.access, view, exec.slots(self.first, width)));
        }
        Ok(true)
    }

    /// DO UPDATE.
    fn update(
        &self,
        exec: &mut Exec<'_, '_>,
        row: RowRef,
        update: &ConflictUpdate,
        touched: Option<&mut BTreeSet<RowRef>>,
    ) -> Run<bool> {
        if touched.as_ref().is_some_and(|touched| touched.contains(&row)) {
            let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
            let hint = "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.";
            return Err(SqlError::new(sqlstate::CARDINALITY_VIOLATION, message).hint(hint).into());
        }
        exec.read_row(row, &update.columns);
        if let Some(check) = update.old.broken(exec)? {
            return Err(view_check::broken(exec, &self.access, check, &[]));
        }
        if let Some(filter) = &update.filter
            && !filter(exec)?
        {
            return Ok(false);
        }
        update.change.compute(exec)?;
        let Some(row) = update.change.apply(exec, row)? else { return Ok(false) };
        if let Some(check) = update.new.broken(exec)? {
            return Err(view_check::broken(exec, &self.access, check, &[]));
        }
        if let Some(view) = self.view_checks.broken(exec)? {
            let columns = 0..self.access.table.columns.len();
            let values: Vec<Value> = columns.map(|column| exec.tx.read(row, column)).collect();
            return Err(view_check::broken(exec, &self.access, view, &values));
        }
        if let Some(touched) = touched {
            touched.insert(row);
        }
        Ok(true)
    }

    #[inline(always)]
    fn give(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        for (number, code) in self.returning.iter().enumerate() {
            code.run_into(exec, self.out + number)?;
        }
        Ok(())
    }

    /// Inserts the one row there is, and says whether there is a row to give.
    #[inline(always)]
    fn insert_one(&self, exec: &mut Exec<'_, '_>, codes: &[Code]) -> Run<bool> {
        for (number, code) in codes.iter().enumerate() {
            code.run_into(exec, self.targets[number])?;
        }
        let inserted = self.insert(exec, None)?;
        exec.affected = u64::from(inserted);
        if !inserted || self.returning.is_empty() {
            return Ok(false);
        }
        self.give(exec)?;
        Ok(true)
    }
}

impl Source {
    /// All rows, of so many columns.
    pub(super) fn rows(&self, exec: &mut Exec<'_, '_>, width: usize) -> Run<RowSet> {
        match self {
            Source::Query(code) => code.collect(exec),
            Source::One(codes) => {
                let mut rows = RowSet::new(codes.len());
                run_all(codes, exec, &mut rows.values)?;
                rows.len = 1;
                Ok(rows)
            }
            Source::Many(lists) => {
                let mut rows = RowSet::new(width);
                for codes in lists {
                    run_all(codes, exec, &mut rows.values)?;
                    rows.len += 1;
                }
                Ok(rows)
            }
        }
    }

    pub(super) fn explain(&self, out: &mut Explain) {
        if let Source::Query(code) = self {
            out.child(&*code.rows);
        }
    }
}

impl InsertRows {
    /// With what fires once a statement; ON CONFLICT DO UPDATE is an UPDATE too.
    fn run_hooked(&self, hooks: &Hooks, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let update = self.conflict.as_ref().and_then(|conflict| conflict.update.as_ref());
        let update = update.and_then(|update| update.change.hooks.as_ref());
        hooks.begin(exec)?;
        if let Some(update) = update {
            update.begin(exec)?;
        }
        let flow = self.run_rows(exec, next)?;
        let affected = exec.affected;
        if let Some(update) = update {
            update.end(exec);
        }
        hooks.end(exec);
        exec.affected = affected;
        Ok(flow)
    }

    #[inline]
    fn run_rows(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        if let Source::One(codes) = &self.source {
            return if self.insert_one(exec, codes)? { next(exec) } else { Ok(Flow::Continue) };
        }
        if self.is_copy {
            return self.run_copy(exec);
        }
        let rows = self.source.rows(exec, self.targets.len())?;
        let mut touched = BTreeSet::new();
        let tracks = self.conflict.as_ref().is_some_and(|conflict| conflict.update.is_some());
        let mut affected = 0;
        let mut flow = Flow::Continue;
        for (number, row) in rows.rows().enumerate() {
            exec.scatter(&self.targets, row);
            if self.insert(exec, tracks.then_some(&mut touched))? {
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
        exec.affected = affected;
        Ok(flow)
    }
}

impl InsertRows {
    /// COPY FROM, which notes whose error it is.
    fn run_copy(&self, exec: &mut Exec<'_, '_>) -> Run<Flow> {
        let Source::Query(code) = &self.source else { return Ok(Flow::Continue) };
        let (mut rows, mut numbers) = (RowSet::new(code.width), Vec::new());
        code.rows.run(exec, &mut |exec| {
            rows.values.extend_from_slice(exec.slots(code.first, code.width));
            rows.len += 1;
            numbers.push(exec.services.copy_progress.read.get());
            Ok(Flow::Continue)
        })?;
        let mut affected = 0;
        for (number, row) in numbers.into_iter().zip(rows.rows()) {
            exec.scatter(&self.targets, row);
            match self.insert(exec, None) {
                Ok(inserted) => affected += u64::from(inserted),
                Err(stop) => {
                    let triggered = self.hooks.as_ref().is_some_and(Hooks::has_before_rows);
                    exec.services.copy_progress.failed.set(Some((number, triggered)));
                    return Err(stop);
                }
            }
            if number % 64 == 63 {
                exec.check_interrupts()?;
            }
        }
        exec.affected = affected;
        Ok(Flow::Continue)
    }
}

/// Whether a query reads what a client sends.
fn is_copy(query: &Query) -> bool {
    let QueryBody::Select(select) = &query.body else { return false };
    matches!(&select.from[..], [From::System { schema, name, .. }] if schema.is_empty() && name == COPY_SOURCE)
}

impl Rows for InsertRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        match &self.hooks {
            None => self.run_rows(exec, next),
            Some(hooks) => self.run_hooked(hooks, exec, next),
        }
    }

    fn yields(&self) -> Yield {
        match &self.source {
            Source::One(_) if self.hooks.is_none() => Yield::One,
            _ => Yield::Many,
        }
    }

    fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        match &self.source {
            Source::One(codes) => self.insert_one(exec, codes),
            _ => Err(SqlError::internal("an INSERT of many rows as one of one").into()),
        }
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("Insert on {}", self.access.table.name));
        self.source.explain(out);
    }
}
