//! MERGE: for each pair of the join it is decided what happens, and all values are computed; then the changes are made.

use std::collections::BTreeSet;

use tuplix_catalog::TriggerEvent;
use tuplix_sql::plan::{From, JoinKind, Merge, MergeChange};
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::builder::Builder;
use super::code::TestFn;
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet, unpack_row};
use super::from::RelationWish;
use super::hooks::Hooks;
use super::insert::InsertRows;
use super::query::QueryCode;
use super::rows::{Next, Rows, RowsBox, Yield};
use super::update::Change;
use super::view_check::{self, ViewChecks};
use crate::layout::TableAccess;
use crate::stop::Run;
use crate::transaction::RowRef;

enum Step {
    Nothing,
    Update(Box<Change>),
    Delete(Option<Hooks>),
    Insert(Box<InsertRows>),
}

struct Action {
    matched: bool,
    condition: Option<TestFn>,
    step: Step,
    /// What policies ask of the row that is there, and of what becomes of it.
    old: ViewChecks,
    new: ViewChecks,
}

struct MergeRows {
    source: RowsBox,
    access: TableAccess,
    /// The slot that says which row of the table matches, NULL for none.
    row: usize,
    /// The slot that says which action it is to be.
    chosen: usize,
    actions: Vec<Action>,
    /// What is kept of each pair until its action.
    saved: Vec<usize>,
    /// Functions are called that may have changed rows in between.
    recheck: bool,
}

impl Builder<'_> {
    /// Compiles a MERGE.
    pub(crate) fn merge(&mut self, merge: &Merge) -> Result<QueryCode> {
        let access = self.table(merge.table)?.clone();
        crate::history::refuse_change(&access.table, "MERGE")?;
        let checks = self.bound_checks(&access.table)?;
        for action in &merge.actions {
            if let MergeChange::Update(assignments) = &action.change {
                self.need_checks(merge.relation, assignments, &checks);
            }
        }
        let row = self.slot();
        self.relations.entry(merge.relation).or_default().row = Some(row);
        let target = From::Table { relation: merge.relation, table: merge.table };
        let inserts = merge.actions.iter().any(|action| !action.matched);
        let joined = From::Join {
            kind: if inserts { JoinKind::Left } else { JoinKind::Inner },
            left: Box::new(merge.source.clone()),
            right: Box::new(target),
            on: Some(merge.on.clone()),
        };
        let (source, _) = self.from(&[&joined], &[], &RelationWish::default())?;
        let mut saved = self.visible_slots(&[&joined]);
        let chosen = self.slot();
        saved.push(chosen);
        let mut actions = Vec::with_capacity(merge.actions.len());
        for action in &merge.actions {
            let condition = action.condition.as_ref().map(|test| self.test(test)).transpose()?;
            let step = match &action.change {
                MergeChange::Nothing => Step::Nothing,
                MergeChange::Delete => Step::Delete(self.hooks(&access, TriggerEvent::Delete, None, None)?),
                MergeChange::Update(assignments) => {
                    let change = self.change(merge.relation, &access, assignments, &checks)?;
                    saved.extend(change.first..change.first + change.len());
                    Step::Update(Box::new(change))
                }
                MergeChange::Insert(insert) => {
                    let insert = self.insert_rows(insert)?;
                    saved.extend(insert.targets());
                    Step::Insert(Box::new(insert))
                }
            };
            let (old, new) = (self.view_checks(&action.old_checks)?, self.view_checks(&action.new_checks)?);
            actions.push(Action { matched: action.matched, condition, step, old, new });
        }
        let triggers = actions.iter().filter_map(|action| action.hooks()).any(Hooks::has_before_rows);
        let recheck = self.user_calls || triggers;
        self.reads_more = true;
        let code = MergeRows { source, access, row, chosen, actions, saved, recheck };
        self.estimate = self.estimate.changing(true);
        Ok(QueryCode { rows: self.operator(code), first: chosen, width: 0, types: Vec::new() })
    }
}

impl Action {
    fn hooks(&self) -> Option<&Hooks> {
        match &self.step {
            Step::Nothing => None,
            Step::Update(change) => change.hooks.as_ref(),
            Step::Delete(hooks) => hooks.as_ref(),
            Step::Insert(insert) => insert.hooks(),
        }
    }
}

impl MergeRows {
    /// Decides about the pair in the slots, and computes its values. False when nothing happens.
    fn decide(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        let matched = !exec.get(self.row).is_null();
        for (number, action) in
            self.actions.iter().enumerate().filter(|(_, action)| action.matched == matched)
        {
            if let Some(condition) = &action.condition
                && !condition(exec)?
            {
                continue;
            }
            if let Some(check) = action.old.broken(exec)? {
                return Err(view_check::broken(exec, &self.access, check, &[]));
            }
            match &action.step {
                Step::Nothing => return Ok(false),
                Step::Update(change) => change.compute(exec)?,
                Step::Delete(_) => {}
                Step::Insert(insert) => insert.compute(exec)?,
            }
            exec.set(self.chosen, Value::Int8(number as i64));
            return Ok(true);
        }
        Ok(false)
    }

    /// Does what was decided, and says whether a row was changed.
    fn act(&self, exec: &mut Exec<'_, '_>, touched: &mut BTreeSet<RowRef>) -> Run<bool> {
        let number = exec.get(self.chosen).as_i64().unwrap_or_default() as usize;
        let step = &self.actions[number].step;
        if let Step::Insert(insert) = step {
            return insert.insert_computed(exec);
        }
        let Some(row) = unpack_row(self.access.slot, exec.get(self.row)) else { return Ok(false) };
        if !touched.insert(row) {
            let message = "MERGE command cannot affect row a second time";
            return Err(SqlError::new(sqlstate::CARDINALITY_VIOLATION, message)
                .hint("Ensure that not more than one source row matches any one target row.")
                .into());
        }
        if self.recheck && !exec.tx.is_live(row) {
            return Ok(false);
        }
        match step {
            Step::Update(change) => {
                let changed = change.apply(exec, row)?.is_some();
                if changed && let Some(check) = self.actions[number].new.broken(exec)? {
                    return Err(view_check::broken(exec, &self.access, check, &[]));
                }
                Ok(changed)
            }
            Step::Delete(None) => exec.tx.delete(&self.access, row).map(|()| true),
            Step::Delete(Some(hooks)) => hooks.delete(exec, row),
            Step::Insert(_) | Step::Nothing => Ok(false),
        }
    }

    fn run_rows(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        let mut rows = RowSet { width: self.saved.len(), values: exec.take_buffer(), len: 0 };
        self.source.run(exec, &mut |exec| {
            if self.decide(exec)? {
                exec.gather(&self.saved, &mut rows.values);
                rows.len += 1;
            }
            Ok(Flow::Continue)
        })?;
        let (mut affected, mut touched) = (0, BTreeSet::new());
        for number in 0..rows.len {
            exec.scatter(&self.saved, rows.row(number));
            affected += u64::from(self.act(exec, &mut touched)?);
            if number % 64 == 63 {
                exec.check_interrupts()?;
            }
        }
        exec.give_buffer(rows.values);
        exec.affected = affected;
        Ok(())
    }
}

impl MergeRows {
    fn hooks_in(&self, events: [TriggerEvent; 3]) -> impl Iterator<Item = &Hooks> {
        let of =
            |event| self.actions.iter().filter_map(Action::hooks).filter(move |hooks| hooks.event() == event);
        events.into_iter().flat_map(of)
    }
}

impl Rows for MergeRows {
    fn run(&self, exec: &mut Exec<'_, '_>, _next: &mut Next<'_>) -> Run<Flow> {
        use TriggerEvent::{Delete, Insert, Update};
        // Not in the order of the actions: `fireBSTriggers` and `fireASTriggers` have these.
        for hooks in self.hooks_in([Insert, Update, Delete]) {
            hooks.begin(exec)?;
        }
        self.run_rows(exec)?;
        let affected = exec.affected;
        self.hooks_in([Delete, Update, Insert]).for_each(|hooks| hooks.end(exec));
        exec.affected = affected;
        Ok(Flow::Continue)
    }

    fn yields(&self) -> Yield {
        Yield::Many
    }

    fn one(&self, _exec: &mut Exec<'_, '_>) -> Run<bool> {
        Err(SqlError::internal("a MERGE gives no rows").into())
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("Merge on {}", self.access.table.name));
        out.child(&*self.source);
    }
}
