//! WITH: common table expressions, stored at first use, recursive ones by rounds, changes once and first.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_sql::plan::{Cte, CteId, Query, RecursivePart, RelationId};
use tuplix_types::{Result, SqlError};

use super::builder::{Builder, CteCode};
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet, State};
use super::hash_table::Keys;
use super::query::QueryCode;
use super::rows::{Next, Rows, RowsBox};
use super::walk::{self, Facts};
use crate::stop::Run;

/// How a stored CTE is filled.
pub(crate) enum CteSource {
    /// By running a query.
    Query(QueryCode),
    /// By running `start`, then `repeat` over the rows of the last round until there are none.
    Recursive { start: QueryCode, repeat: QueryCode, working: usize, all: bool },
}

/// A stored CTE: its rows are in a state once it ran.
pub(crate) struct StoredCte {
    pub name: String,
    pub state: usize,
    pub source: CteSource,
}

/// What [`Builder::with_ctes`] leaves to its caller.
pub(crate) struct WithCtes {
    /// The CTEs in scope before.
    pub outer: BTreeMap<CteId, CteCode>,
    /// CTEs that change rows, to be run before the query.
    pub changes: Vec<Arc<StoredCte>>,
    /// States to forget before each run of the query.
    pub states: Vec<usize>,
}

impl Builder<'_> {
    /// Brings a query's CTEs into scope.
    pub(crate) fn with_ctes(&mut self, query: &Query) -> Result<WithCtes> {
        let outer = self.ctes.clone();
        let mut changes = Vec::new();
        let mut states = Vec::new();
        for cte in &query.ctes {
            let changing = walk::writes(&cte.query);
            let facts = Facts::of_query(&cte.query);
            if !facts.outer().is_empty() || !facts.ctes.is_disjoint(&self.changing_ctes) {
                self.changing_ctes.insert(cte.id);
            }
            let code = match &cte.recursive {
                None if !cte.materialized && !changing => CteCode::Inline(Arc::new(cte.query.clone())),
                None => {
                    let (code, state) = (self.query(&cte.query)?, self.state());
                    let stored = StoredCte { name: cte.name.clone(), state, source: CteSource::Query(code) };
                    CteCode::Stored(Arc::new(stored))
                }
                Some(part) => CteCode::Stored(Arc::new(self.recursive(cte, part)?)),
            };
            if let (true, CteCode::Stored(stored)) = (changing, &code) {
                changes.push(stored.clone());
            }
            if let CteCode::Stored(stored) = &code {
                states.push(stored.state);
            }
            self.ctes.insert(cte.id, code);
        }
        Ok(WithCtes { outer, changes, states })
    }

    fn recursive(&mut self, cte: &Cte, part: &RecursivePart) -> Result<StoredCte> {
        let (state, working) = (self.state(), self.state());
        let start = self.query(&cte.query)?;
        self.ctes.insert(cte.id, CteCode::Working { state: working, name: cte.name.clone() });
        let new = self.changing_ctes.insert(cte.id);
        let repeat = self.query(&part.query)?;
        if new && Facts::of_query(&cte.query).outer().is_empty() {
            self.changing_ctes.remove(&cte.id);
        }
        let source = CteSource::Recursive { start, repeat, working, all: part.all };
        Ok(StoredCte { name: cte.name.clone(), state, source })
    }

    /// A CTE in FROM.
    pub(crate) fn cte_rows(&mut self, relation: RelationId, cte: CteId) -> Result<RowsBox> {
        let code = self.ctes.get(&cte).cloned().ok_or_else(|| SqlError::internal("a CTE out of scope"))?;
        let (source, state, name) = match code {
            CteCode::Inline(query) => return self.subquery_rows(relation, &query),
            CteCode::Stored(stored) => {
                let (state, name) = (stored.state, stored.name.clone());
                (Some(stored), state, name)
            }
            CteCode::Working { state, name } => (None, state, name),
        };
        let width = self.width(relation);
        let slots = self.add_relation(relation, width).columns.clone();
        let columns =
            slots.iter().enumerate().filter_map(|(column, slot)| slot.map(|slot| (column, slot))).collect();
        Ok(self.operator(CteRows { name, source, state, columns }))
    }
}

impl StoredCte {
    /// Runs it unless it ran already, and gives its rows.
    fn rows(&self, exec: &mut Exec<'_, '_>) -> Run<Arc<RowSet>> {
        if let State::Rows(rows) = exec.state(self.state) {
            return Ok(rows.clone());
        }
        let rows = Arc::new(match &self.source {
            CteSource::Query(code) => code.collect(exec)?,
            CteSource::Recursive { start, repeat, working, all } => {
                rounds(exec, start, repeat, (*working, *all), &mut |_, _| Ok(Flow::Continue))?
            }
        });
        exec.set_state(self.state, State::Rows(rows.clone()));
        Ok(rows)
    }
}

/// Computes round after round, each shown to `each`, which may end them.
fn rounds(
    exec: &mut Exec<'_, '_>,
    start: &QueryCode,
    repeat: &QueryCode,
    (working, all): (usize, bool),
    each: &mut dyn FnMut(&mut Exec<'_, '_>, &RowSet) -> Run<Flow>,
) -> Run<RowSet> {
    let mut seen = Keys::new(&start.types);
    let mut keep = |rows: RowSet| -> RowSet {
        if all {
            return rows;
        }
        let mut fresh = RowSet::new(rows.width);
        rows.rows().filter(|row| seen.insert(row).1).for_each(|row| fresh.push(row));
        fresh
    };
    let mut round = keep(start.collect(exec)?);
    let mut result = round.clone();
    while round.len > 0 {
        if each(exec, &round)? == Flow::Stop {
            break;
        }
        exec.check_interrupts()?;
        exec.set_state(working, State::Rows(Arc::new(round)));
        round = keep(repeat.collect(exec)?);
        result.values.extend_from_slice(&round.values);
        result.len += round.len;
    }
    exec.set_state(working, State::Empty);
    Ok(result)
}

/// The rows of a CTE.
struct CteRows {
    name: String,
    /// `None` for the working table of a recursive CTE.
    source: Option<Arc<StoredCte>>,
    state: usize,
    columns: Vec<(usize, usize)>,
}

impl CteRows {
    fn give(&self, rows: &RowSet, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        for row in rows.rows() {
            for (column, slot) in &self.columns {
                exec.set(*slot, row[*column].clone());
            }
            if next(exec)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    /// Gives each round's rows before the next round is computed: a LIMIT may end what has no end. Only one that came to its end
    /// is kept for another reader.
    fn run_rounds(&self, source: &StoredCte, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let CteSource::Recursive { start, repeat, working, all } = &source.source else {
            return Ok(Flow::Continue);
        };
        let mut flow = Flow::Continue;
        let result = rounds(exec, start, repeat, (*working, *all), &mut |exec, round| {
            flow = self.give(round, exec, next)?;
            Ok(flow)
        })?;
        if flow == Flow::Continue {
            exec.set_state(self.state, State::Rows(Arc::new(result)));
        }
        Ok(flow)
    }
}

impl Rows for CteRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let rows = match (&self.source, exec.state(self.state)) {
            (_, State::Rows(rows)) => rows.clone(),
            (Some(source), _) if matches!(source.source, CteSource::Recursive { .. }) => {
                return self.run_rounds(source, exec, next);
            }
            (Some(source), _) => source.rows(exec)?,
            (None, _) => return Ok(Flow::Continue),
        };
        self.give(&rows, exec, next)
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("CTE Scan on {}", self.name));
        if let Some(source) = &self.source {
            match &source.source {
                CteSource::Query(code) => out.child(&*code.rows),
                CteSource::Recursive { start, repeat, .. } => {
                    out.child(&*start.rows);
                    out.child(&*repeat.rows);
                }
            }
        }
    }
}

/// A query with stored CTEs: forgets their rows of an earlier run, runs those that change rows, whether or not somebody
/// reads them, then the query.
pub(crate) struct WithRows {
    pub states: Vec<usize>,
    pub changes: Vec<Arc<StoredCte>>,
    pub source: RowsBox,
}

impl Rows for WithRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        for state in &self.states {
            exec.set_state(*state, State::Empty);
        }
        for change in &self.changes {
            change.rows(exec)?;
        }
        self.source.run(exec, next)
    }

    fn explain(&self, out: &mut Explain) {
        self.source.explain(out);
    }
}
