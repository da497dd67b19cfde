//! The rows of tables as they were before a statement changed them.
//!
//! All parts of a statement see the rows of its start. Those parts that run after a change and read the changed table
//! (RETURNING, the query beside a WITH that changes rows) read a copy of the columns that they need, made before the first
//! change. A statement without such parts keeps nothing.

use std::collections::{BTreeMap, BTreeSet};

use tuplix_catalog::TableId;
use tuplix_sql::plan::{ConflictAction, Expr, From, InsertSource, MergeChange, Query, QueryBody, RelationId};
use tuplix_types::{Result, SqlError};

use super::access_path::Wish;
use super::builder::Builder;
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet, State};
use super::rows::{Next, Rows, RowsBox};
use super::scan::SpooledScan;
use super::walk::{self, Node};
use crate::stop::Run;

/// A kept table, as those see it who read it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Where its rows are.
    state: usize,
    /// The columns that are kept, in order.
    columns: Vec<usize>,
    name: String,
}

/// Fills a kept table.
pub(crate) struct Keeper {
    scan: RowsBox,
    slots: Vec<usize>,
    state: usize,
}

/// Relations to be read from copies, by table.
type Late = BTreeMap<TableId, Vec<RelationId>>;

impl Builder<'_> {
    /// Finds out which tables a statement must keep, and lets their late readers read the copies.
    pub(crate) fn keep_tables(&mut self, query: &Query) -> Result<Vec<Keeper>> {
        let mut late = Late::new();
        late_in_parts(query, &mut late)?;
        late_in_change(query, &mut late);
        query.ctes.iter().for_each(|cte| late_in_change(&cte.query, &mut late));
        let mut keepers = Vec::new();
        let locked = locked_relations(query);
        for (table, mut relations) in late {
            // Of a WITH query the whole statement has seen to already. Rows to be locked are those in place.
            relations.retain(|relation| !self.kept.contains_key(relation) && !locked.contains(relation));
            if relations.is_empty() {
                continue;
            }
            keepers.push(self.keep_table(table, &relations)?);
        }
        Ok(keepers)
    }

    fn keep_table(&mut self, table: TableId, relations: &[RelationId]) -> Result<Keeper> {
        let width = self.table(table)?.table.columns.len();
        let is_read =
            |column: &usize| relations.iter().any(|relation| self.needed.contains(*relation, *column));
        let columns: Vec<usize> = (0..width).filter(is_read).collect();
        // A relation of the statement's that nobody else has.
        let own = RelationId(u32::MAX - u32::try_from(self.kept.len()).unwrap_or(0));
        columns.iter().for_each(|column| self.needed.add(own, *column));
        let (scan, _) = self.table_scan(own, table, &[], &Wish::default())?;
        let slots = columns.iter().map(|column| self.column(own, *column)).collect::<Result<Vec<_>>>()?;
        let scan: RowsBox = match scan.access.table.spooled {
            true => Box::new(SpooledScan { scan }),
            false => Box::new(scan),
        };
        let state = self.state();
        let name = self.table(table)?.table.name.clone();
        for relation in relations {
            let kept = Kept { state, columns: columns.clone(), name: name.clone() };
            self.kept.insert(*relation, kept);
        }
        Ok(Keeper { scan, slots, state })
    }

    /// The copy that a relation reads, if it reads one.
    pub(crate) fn kept_rows(&mut self, relation: RelationId, table: TableId) -> Result<Option<RowsBox>> {
        let Some(kept) = self.kept.get(&relation).cloned() else { return Ok(None) };
        let width = self.table(table)?.table.columns.len();
        let slots = self.add_relation(relation, width).columns.clone();
        let slots = kept.columns.iter().map(|column| slots[*column]).collect();
        Ok(Some(self.operator(KeptRows { kept, slots })))
    }
}

/// What each WITH query and the main query read of tables that another part changes.
fn late_in_parts(query: &Query, late: &mut Late) -> Result<()> {
    let mut changed: Vec<BTreeSet<TableId>> =
        query.ctes.iter().map(|cte| walk::changed_tables(&cte.query)).collect();
    if changed.iter().all(BTreeSet::is_empty) {
        return Ok(());
    }
    changed.push(target(query).into_iter().map(|(table, _)| table).collect());
    for part in 0..changed.len() {
        let others: BTreeSet<TableId> = changed
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != part)
            .flat_map(|(_, tables)| tables.iter().copied())
            .collect();
        let mut note = |node: Node<'_>| note_late(&node, &others, late);
        let body = match query.ctes.get(part) {
            Some(cte) => {
                walk::query(&cte.query, &mut note);
                cte.recursive.iter().for_each(|part| walk::query(&part.query, &mut note));
                &cte.query
            }
            None => {
                walk::query_without_ctes(query, &mut note);
                query
            }
        };
        // Rows to be changed are looked for in place, where those of parts before must not be.
        if let Some((table, true)) = target(body)
            && changed[..part].iter().any(|before| before.contains(&table))
        {
            return Err(SqlError::unsupported("changing rows of a table in two parts of one statement"));
        }
    }
    Ok(())
}

/// What RETURNING and its kin, which run when rows have changed already, read of the changed table.
fn late_in_change(query: &Query, late: &mut Late) {
    let Some((table, _)) = target(query) else { return };
    let changed = BTreeSet::from([table]);
    let mut note = |nodes: &mut dyn Iterator<Item = &Expr>| {
        nodes.for_each(|node| walk::expr(node, &mut |node| note_late(&node, &changed, late)));
    };
    match &query.body {
        QueryBody::Insert(insert) => {
            let checks = insert.view_checks.iter().map(|check| &check.condition);
            note(&mut insert.returning.iter().chain(checks));
            let one = matches!(&insert.source, InsertSource::Values(rows) if rows.len() == 1);
            if let (false, Some(conflict)) = (one, &insert.on_conflict)
                && let ConflictAction::Update { assignments, filter, .. } = &conflict.action
            {
                note(&mut assignments.iter().map(|(_, value)| value).chain(filter));
            }
        }
        QueryBody::Update(update) => {
            let checks = update.view_checks.iter().map(|check| &check.condition);
            note(&mut update.returning.iter().chain(checks));
        }
        QueryBody::Delete(delete) => note(&mut delete.returning.iter()),
        QueryBody::Merge(merge) => {
            for action in &merge.actions {
                note(&mut action.checks().map(|check| &check.condition));
                if let MergeChange::Insert(insert) = &action.change {
                    note(&mut insert.defaults.iter().map(|(_, default)| default));
                }
            }
        }
        QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::SetOperation { .. } => {}
    }
}

fn note_late(node: &Node<'_>, changed: &BTreeSet<TableId>, late: &mut Late) {
    if let Node::From(From::Table { relation, table }) = node
        && changed.contains(table)
    {
        let relations = late.entry(*table).or_default();
        if !relations.contains(relation) {
            relations.push(*relation);
        }
    }
}

/// The relations of FOR UPDATE and its kin, anywhere in a query.
fn locked_relations(query: &Query) -> BTreeSet<RelationId> {
    let mut locked = BTreeSet::new();
    walk::query(query, &mut |node| {
        if let Node::Query(node) = node {
            locked.extend(node.locking.iter().flat_map(|locking| &locking.relations).copied());
        }
    });
    locked
}

/// The table that a query itself changes, and whether it looks for rows in it.
fn target(query: &Query) -> Option<(TableId, bool)> {
    match &query.body {
        QueryBody::Insert(insert) => Some((insert.table, false)),
        QueryBody::Update(update) => Some((update.table, true)),
        QueryBody::Delete(delete) => Some((delete.table, true)),
        QueryBody::Merge(merge) => Some((merge.table, true)),
        QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::SetOperation { .. } => None,
    }
}

/// Reads a copy.
struct KeptRows {
    kept: Kept,
    /// Where each kept column goes, if this reader wants it.
    slots: Vec<Option<usize>>,
}

impl Rows for KeptRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let State::Rows(rows) = exec.state(self.kept.state) else {
            return Err(SqlError::internal("a table was not kept").into());
        };
        let rows = rows.clone();
        for row in rows.rows() {
            for (slot, value) in self.slots.iter().zip(row) {
                if let Some(slot) = slot {
                    exec.set(*slot, value.clone());
                }
            }
            if next(exec)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("Seq Scan on {} as of the statement's start", self.kept.name));
    }
}

/// Keeps tables, then runs the statement.
pub(crate) struct KeepRows {
    pub keepers: Vec<Keeper>,
    pub source: RowsBox,
}

impl Rows for KeepRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        for keeper in &self.keepers {
            let mut rows = RowSet::new(keeper.slots.len());
            keeper.scan.run(exec, &mut |exec| {
                exec.gather(&keeper.slots, &mut rows.values);
                rows.len += 1;
                Ok(Flow::Continue)
            })?;
            exec.set_state(keeper.state, State::Rows(std::sync::Arc::new(rows)));
        }
        self.source.run(exec, next)
    }

    fn explain(&self, out: &mut Explain) {
        self.source.explain(out);
    }
}
