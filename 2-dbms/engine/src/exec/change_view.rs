//! INSERT, UPDATE and DELETE of a view by its INSTEAD OF triggers: all rows are found first, then each goes to the triggers.

use std::collections::BTreeSet;
use std::sync::Arc;

use tuplix_catalog::{TableDef, TableId, TriggerEvent, TriggerTiming};
use tuplix_sql::plan::{Delete, Expr, From, Insert, Query, RelationId, Update};
use tuplix_types::{Result, SqlError, TypeId, Value};

use super::builder::Builder;
use super::code::Code;
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet};
use super::from::RelationWish;
use super::hooks::{Hooks, wrong_structure};
use super::insert::Source;
use super::query::QueryCode;
use super::rows::{Next, Rows, RowsBox};
use super::trigger::TriggerCall;
use super::walk;
use crate::layout::{Placement, TableAccess};
use crate::stop::Run;

/// Where the rows come from.
enum Found {
    /// INSERT: values for these slots; the other columns are NULL.
    New(Source, Vec<usize>),
    /// UPDATE and DELETE: rows of the view, with what they are joined to.
    Shown(RowsBox),
}

struct ChangeView {
    view: Arc<TableDef>,
    event: TriggerEvent,
    found: Found,
    /// The row's slots, a column each.
    columns: Vec<usize>,
    /// What is kept of each found row until its triggers run.
    saved: Vec<usize>,
    /// UPDATE: columns, the slots of their new values, and what computes them.
    assigned: Vec<(usize, usize, Code)>,
    calls: Vec<TriggerCall>,
    /// Triggers of the whole statement.
    hooks: Option<Hooks>,
    returning: Vec<Code>,
    out: usize,
}

/// What UPDATE and DELETE have in common.
struct Change<'p> {
    event: TriggerEvent,
    view: TableId,
    relation: RelationId,
    shown: &'p Query,
    beside: &'p [From],
    filter: Option<&'p Expr>,
    assignments: &'p [(usize, Expr)],
    returning: &'p [Expr],
}

impl Builder<'_> {
    /// An INSERT into a view.
    pub(crate) fn insert_into_view(&mut self, insert: &Insert, columns: Vec<TypeId>) -> Result<QueryCode> {
        let view = self.view(insert.table)?;
        let source = self.insert_source(&insert.source)?;
        let width = view.columns.len();
        let first = self.slots(width);
        let targets = insert.columns.iter().map(|column| first + column).collect();
        self.add_relation_at(insert.relation, first, width);
        let hooks = self.view_hooks(&view, TriggerEvent::Insert, None)?;
        let returning = self.exprs(&insert.returning)?;
        let out = self.slots(returning.len());
        let code = ChangeView {
            calls: calls(&view, TriggerEvent::Insert),
            view,
            event: TriggerEvent::Insert,
            found: Found::New(source, targets),
            columns: (first..first + width).collect(),
            saved: Vec::new(),
            assigned: Vec::new(),
            hooks,
            returning,
            out,
        };
        Ok(QueryCode { rows: self.operator(code), first: out, width: columns.len(), types: columns })
    }

    /// An UPDATE of a view.
    pub(crate) fn update_view(
        &mut self,
        update: &Update,
        shown: &Query,
        columns: Vec<TypeId>,
    ) -> Result<QueryCode> {
        let change = Change {
            event: TriggerEvent::Update,
            view: update.table,
            relation: update.relation,
            shown,
            beside: &update.from,
            filter: update.filter.as_ref(),
            assignments: &update.assignments,
            returning: &update.returning,
        };
        self.change_view(&change, columns)
    }

    /// A DELETE of rows of a view.
    pub(crate) fn delete_from_view(
        &mut self,
        delete: &Delete,
        shown: &Query,
        columns: Vec<TypeId>,
    ) -> Result<QueryCode> {
        let change = Change {
            event: TriggerEvent::Delete,
            view: delete.table,
            relation: delete.relation,
            shown,
            beside: &delete.using,
            filter: delete.filter.as_ref(),
            assignments: &[],
            returning: &delete.returning,
        };
        self.change_view(&change, columns)
    }

    fn change_view(&mut self, change: &Change<'_>, columns: Vec<TypeId>) -> Result<QueryCode> {
        let view = self.view(change.view)?;
        self.needed.add_whole(change.relation);
        let shown = From::Subquery {
            relation: change.relation,
            query: Box::new(change.shown.clone()),
            lateral: false,
        };
        let items: Vec<&From> = std::iter::once(&shown).chain(change.beside).collect();
        let mut conditions = Vec::new();
        change.filter.iter().for_each(|filter| walk::conjuncts(filter, &mut conditions));
        let (rows, _) = self.from(&items, &conditions, &RelationWish::default())?;
        let slots = self.relations.get(&change.relation).cloned().unwrap_or_default().columns;
        let slots: Option<Vec<usize>> = slots.into_iter().take(view.columns.len()).collect();
        let slots = slots.ok_or_else(|| SqlError::internal("a column of a view has no slot"))?;
        let codes = change.assignments.iter().map(|(column, value)| Ok((*column, self.expr(value)?)));
        let codes = codes.collect::<Result<Vec<(usize, Code)>>>()?;
        let first = self.slots(codes.len());
        let assigned: Vec<_> = codes
            .into_iter()
            .enumerate()
            .map(|(number, (column, code))| (column, first + number, code))
            .collect();
        let sets: BTreeSet<usize> = assigned.iter().map(|(column, ..)| *column).collect();
        let hooks = self.view_hooks(&view, change.event, Some(&sets))?;
        let mut saved = self.visible_slots(&items);
        saved.extend(assigned.iter().map(|(_, slot, _)| *slot));
        let returning = self.exprs(change.returning)?;
        let out = self.slots(returning.len());
        let code = ChangeView {
            calls: calls(&view, change.event),
            view,
            event: change.event,
            found: Found::Shown(rows),
            columns: slots,
            saved,
            assigned,
            hooks,
            returning,
            out,
        };
        Ok(QueryCode { rows: self.operator(code), first: out, width: columns.len(), types: columns })
    }

    fn view(&mut self, id: TableId) -> Result<Arc<TableDef>> {
        self.fires = true;
        let view = self.context.catalog.table(id).cloned();
        view.ok_or_else(|| SqlError::internal(format!("view {} does not exist", id.0)))
    }

    /// The triggers of the whole statement. A view has no rows of its own, so it lies nowhere.
    fn view_hooks(
        &mut self,
        view: &Arc<TableDef>,
        event: TriggerEvent,
        assigned: Option<&BTreeSet<usize>>,
    ) -> Result<Option<Hooks>> {
        let access = TableAccess {
            table: view.clone(),
            slot: u32::MAX,
            placement: Placement::Reference,
            buckets: 0,
            computed: Default::default(),
            temporary: false,
        };
        self.hooks(&access, event, None, assigned)
    }
}

/// The INSTEAD OF triggers of a kind of change, in the order of their names.
fn calls(view: &Arc<TableDef>, event: TriggerEvent) -> Vec<TriggerCall> {
    let fires = |trigger: &&tuplix_catalog::TriggerDef| {
        trigger.enabled && trigger.timing == TriggerTiming::Instead && trigger.events.contains(&event)
    };
    view.triggers.iter().filter(fires).map(|trigger| TriggerCall::new(trigger, view)).collect()
}

impl ChangeView {
    /// Calls the triggers with the row in its slots. False: one of them has left it alone.
    fn fire(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        let row: Vec<Value> = self.columns.iter().map(|slot| exec.get(*slot).clone()).collect();
        let record = |row: &[Value]| Value::Record(row.into());
        let (old, mut new) = match self.event {
            TriggerEvent::Insert => (Value::Null, row),
            TriggerEvent::Delete => (record(&row), Vec::new()),
            _ => {
                let mut new = row.clone();
                for (column, slot, _) in &self.assigned {
                    new[*column] = exec.get(*slot).clone();
                }
                (record(&row), new)
            }
        };
        for call in &self.calls {
            let given = if self.event == TriggerEvent::Delete { Value::Null } else { record(&new) };
            match call.call(exec, self.event, old.clone(), given, &[])? {
                Value::Null => return Ok(false),
                Value::Record(_) if self.event == TriggerEvent::Delete => {}
                Value::Record(fields) if fields.len() == self.columns.len() => new = fields.to_vec(),
                _ => return Err(wrong_structure().into()),
            }
        }
        for (slot, value) in self.columns.iter().zip(new) {
            exec.set(*slot, value);
        }
        Ok(true)
    }

    /// All rows, and the slots they go to.
    fn collect(&self, exec: &mut Exec<'_, '_>) -> Run<(RowSet, &[usize])> {
        match &self.found {
            Found::New(source, targets) => Ok((source.rows(exec, targets.len())?, targets)),
            Found::Shown(source) => {
                let mut rows = RowSet { width: self.saved.len(), values: exec.take_buffer(), len: 0 };
                source.run(exec, &mut |exec| {
                    for (_, slot, code) in &self.assigned {
                        code.run_into(exec, *slot)?;
                    }
                    exec.gather(&self.saved, &mut rows.values);
                    rows.len += 1;
                    Ok(Flow::Continue)
                })?;
                Ok((rows, &self.saved))
            }
        }
    }
}

impl Rows for ChangeView {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        if let Some(hooks) = &self.hooks {
            hooks.begin(exec)?;
        }
        let (rows, slots) = self.collect(exec)?;
        let (mut affected, mut flow) = (0, Flow::Continue);
        for number in 0..rows.len {
            if matches!(self.found, Found::New(..)) {
                self.columns.iter().for_each(|slot| exec.set(*slot, Value::Null));
            }
            exec.scatter(slots, rows.row(number));
            if self.fire(exec)? {
                affected += 1;
                if flow == Flow::Continue && !self.returning.is_empty() {
                    for (number, code) in self.returning.iter().enumerate() {
                        code.run_into(exec, self.out + number)?;
                    }
                    flow = next(exec)?;
                }
            }
            exec.check_interrupts()?;
        }
        if let Some(hooks) = &self.hooks {
            hooks.end(exec);
        }
        exec.affected = affected;
        Ok(flow)
    }

    fn explain(&self, out: &mut Explain) {
        let verb = match self.event {
            TriggerEvent::Insert => "Insert",
            TriggerEvent::Delete => "Delete",
            _ => "Update",
        };
        out.line(format_args!("{verb} on {}", self.view.name));
        match &self.found {
            Found::New(source, _) => source.explain(out),
            Found::Shown(source) => out.child(&**source),
        }
    }
}
