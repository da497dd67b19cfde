//! What the compiler knows while it turns a plan into closures: slots, scopes, and the code under way.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tuplix_catalog::{Catalog, TableDef, TableId};
use tuplix_machine::Machine;
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::plan::{CteId, CurrentOf, Expr, Query, Relation, RelationId};
use tuplix_types::{Result, SqlError, sqlstate};

use super::cost::{Asked, Estimate, Estimator};
use super::cte::StoredCte;
use super::walk::{Facts, Needed, Node};
use crate::layout::{Layout, Placement, TableAccess};
use crate::lock_table::TransactionId;
use crate::statistics::Statistics;

/// Binds SQL text of the catalogue (a CHECK, a default) over a table's columns.
pub type BindExpression<'a> = dyn Fn(&TableDef, &str, TableExpression) -> Result<(Expr, Vec<Relation>)> + 'a;
/// Binds a trigger's WHEN: OLD is relation 0, NEW relation 1.
pub type BindCondition<'a> = dyn Fn(&TableDef, &str) -> Result<(Expr, Vec<Relation>)> + 'a;

/// What compiling needs to know.
#[derive(Clone, Copy)]
pub struct CompileContext<'a> {
    /// The catalogue that the plan was bound under.
    pub catalog: &'a Catalog,
    /// Where its tables lie.
    pub layout: &'a Layout,
    /// Binds a CHECK or default: table, SQL text, type of the result.
    pub bind_expression: &'a BindExpression<'a>,
    /// Binds a trigger's WHEN: table, SQL text.
    pub bind_condition: &'a BindCondition<'a>,
    /// What is known of its tables.
    pub(crate) statistics: Statistics<'a>,
    /// The clock by which operators are measured: EXPLAIN and EXPLAIN ANALYZE.
    pub measure: Option<&'a Machine>,
}

/// Where the values of a relation lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct RelationSlots {
    /// The slot of each column; `None` for one that nobody reads.
    pub columns: Vec<Option<usize>>,
    /// The slot that tells which row it is, for tables whose rows are changed or locked.
    pub row: Option<usize>,
    /// The table, where it is one.
    pub table: Option<TableAccess>,
    /// A slot that is NULL exactly when an outer join made the row up; only where it is known.
    pub present: Option<usize>,
}

/// Where the values of the current group lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupScope {
    /// GROUP BY keys.
    pub keys: Vec<usize>,
    /// Aggregates.
    pub aggregates: Vec<usize>,
    /// Windows.
    pub windows: Vec<usize>,
    /// The number of the group's set, and which keys each set has; none without grouping sets.
    pub sets: Option<(usize, Arc<Vec<Vec<usize>>>)>,
}

/// A CTE in scope.
#[derive(Clone)]
pub(crate) enum CteCode {
    /// Read once only: compiled where it is read.
    Inline(Arc<Query>),
    /// Its rows are kept in a state.
    Stored(Arc<StoredCte>),
    /// The working table of a recursive CTE: the rows of the last round.
    Working { state: usize, name: String },
}

/// See the module.
pub(crate) struct Builder<'a> {
    pub context: &'a CompileContext<'a>,
    pub relations: BTreeMap<RelationId, RelationSlots>,
    /// Columns read anywhere in the statement under way.
    pub needed: Needed,
    pub groups: Vec<GroupScope>,
    pub ctes: BTreeMap<CteId, CteCode>,
    /// Slots of the operands of the CASEs around, innermost last.
    pub case_operands: Vec<usize>,
    /// Slots of the values that domains' CHECKs look at, innermost last.
    pub domain_values: Vec<usize>,
    /// Slots of set-returning calls in the select list under way, by the call's address.
    pub set_calls: BTreeMap<usize, usize>,
    /// `$1` is this slot.
    pub first_parameter: usize,
    /// The slot of each PL/pgSQL variable.
    pub variables: Vec<usize>,
    /// CTEs whose rows change while the statement runs: of correlated subqueries, working tables.
    pub changing_ctes: BTreeSet<CteId>,
    /// The statement calls functions of the catalogue, which may change rows under its scans.
    pub user_calls: bool,
    /// Changes have consequences when the statement ends.
    pub fires: bool,
    /// Something is read that is no row by a unique key.
    pub reads_more: bool,
    /// Something in the code may change the catalogue.
    pub changes_catalog: bool,
    /// Relations that read a copy of their table, made before the statement changed it.
    pub kept: BTreeMap<RelationId, super::kept::Kept>,
    /// Who is changing one of the tables.
    pub locked_by: Cell<Option<TransactionId>>,
    /// What row-level security says of the rows of relations.
    pub security: BTreeMap<RelationId, Arc<Expr>>,
    /// Name and number of columns of each relation.
    pub names: BTreeMap<RelationId, (String, usize)>,
    /// The tables of relations, as far as FROM has been looked at.
    pub tables: BTreeMap<RelationId, TableId>,
    /// The cursors of relations of which the row that a cursor stands on is changed.
    pub current_of: BTreeMap<RelationId, CurrentOf>,
    /// Rows are locked in the order in which they are joined: the rules decide about it.
    pub locks_rows: bool,
    /// What the statistics said.
    pub asked: Asked,
    /// What the operator built last is estimated to do; kept up for EXPLAIN alone.
    pub estimate: Estimate,
    next_slot: usize,
    most_slots: usize,
    next_state: usize,
    most_states: usize,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(context: &'a CompileContext<'a>) -> Builder<'a> {
        Builder {
            context,
            relations: BTreeMap::new(),
            needed: Needed::default(),
            groups: Vec::new(),
            ctes: BTreeMap::new(),
            case_operands: Vec::new(),
            domain_values: Vec::new(),
            set_calls: BTreeMap::new(),
            first_parameter: 0,
            variables: Vec::new(),
            changing_ctes: BTreeSet::new(),
            user_calls: false,
            fires: false,
            reads_more: false,
            changes_catalog: false,
            kept: BTreeMap::new(),
            locked_by: Cell::new(None),
            security: BTreeMap::new(),
            names: BTreeMap::new(),
            tables: BTreeMap::new(),
            current_of: BTreeMap::new(),
            locks_rows: false,
            estimate: Estimate::default(),
            asked: Asked::default(),
            next_slot: 0,
            most_slots: 0,
            next_state: 0,
            most_states: 0,
        }
    }

    /// Fresh slots that follow each other.
    pub(crate) fn slots(&mut self, count: usize) -> usize {
        let first = self.next_slot;
        self.next_slot += count;
        self.most_slots = self.most_slots.max(self.next_slot);
        first
    }

    /// A fresh slot.
    pub(crate) fn slot(&mut self) -> usize {
        self.slots(1)
    }

    /// A fresh state.
    pub(crate) fn state(&mut self) -> usize {
        self.next_state += 1;
        self.most_states = self.most_states.max(self.next_state);
        self.next_state - 1
    }

    /// How large the window must be: slots and states.
    pub(crate) fn window(&self) -> (usize, usize) {
        (self.most_slots, self.most_states)
    }

    /// Compiles a statement of a procedure: its slots are free again afterwards, its relations forgotten. Gives the
    /// first state and the number of states that it uses.
    pub(crate) fn statement<T>(
        &mut self,
        relations: &[Relation],
        facts: &Facts,
        compile: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, usize, usize)> {
        let (slots, states) = (self.next_slot, self.next_state);
        let outer_relations = std::mem::take(&mut self.relations);
        let outer_names = std::mem::take(&mut self.names);
        let outer_tables = std::mem::take(&mut self.tables);
        let outer_security = std::mem::take(&mut self.security);
        let outer_ctes = std::mem::take(&mut self.ctes);
        let outer_needed = std::mem::replace(&mut self.needed, facts.needed.clone());
        self.changes_catalog |= facts.user_calls;
        let outer_calls = std::mem::replace(&mut self.user_calls, facts.user_calls);
        let outer_groups = std::mem::take(&mut self.groups);
        let outer_kept = std::mem::take(&mut self.kept);
        self.names = names_of(relations);
        self.note_security(relations);
        let result = compile(self);
        let used = self.next_state - states;
        (self.next_slot, self.next_state) = (slots, states);
        self.relations = outer_relations;
        self.names = outer_names;
        self.tables = outer_tables;
        self.security = outer_security;
        self.ctes = outer_ctes;
        self.needed = outer_needed;
        self.user_calls = outer_calls;
        self.groups = outer_groups;
        self.kept = outer_kept;
        Ok((result?, states, used))
    }

    /// Notes what row-level security says of a statement's relations, and what that reads.
    fn note_security(&mut self, relations: &[Relation]) {
        for (number, relation) in relations.iter().enumerate() {
            let security = relation.access.as_ref().and_then(|access| access.security.as_ref());
            let Some(security) = security else { continue };
            let mut facts = Facts::default();
            super::walk::expr(security, &mut |node: Node<'_>| {
                self.needed.note(&node);
                facts.note(&node);
            });
            self.user_calls |= facts.user_calls;
            self.changes_catalog |= facts.user_calls;
            self.security.insert(RelationId(number as u32), Arc::new(security.clone()));
        }
    }

    /// What row-level security says of the rows of a relation.
    pub(crate) fn security_of(&self, relation: RelationId) -> Option<Arc<Expr>> {
        self.security.get(&relation).cloned()
    }

    /// Compiles code over a table's columns that lie in `columns`: a CHECK or a default from the catalogue.
    pub(crate) fn over_columns<T>(
        &mut self,
        columns: &[Option<usize>],
        expr: &Expr,
        compile: impl FnOnce(&mut Self, &Expr) -> Result<T>,
    ) -> Result<T> {
        let outer = std::mem::take(&mut self.relations);
        let mut needed = Needed::default();
        super::walk::expr(expr, &mut |node: Node<'_>| needed.note(&node));
        let outer_needed = std::mem::replace(&mut self.needed, needed);
        for relation in self.needed.relations() {
            let slots = RelationSlots { columns: columns.to_vec(), ..RelationSlots::default() };
            self.relations.insert(relation, slots);
        }
        let result = compile(self, expr);
        self.needed = outer_needed;
        self.relations = outer;
        result
    }

    /// Gives slots to the columns of a relation that somebody reads.
    pub(crate) fn add_relation(&mut self, relation: RelationId, columns: usize) -> &mut RelationSlots {
        let slots =
            (0..columns).map(|column| self.needed.contains(relation, column).then(|| self.slot())).collect();
        let relation_slots = self.relations.entry(relation).or_default();
        relation_slots.columns = slots;
        relation_slots
    }

    /// Says that the columns of a relation lie in slots that follow each other.
    pub(crate) fn add_relation_at(&mut self, relation: RelationId, first: usize, columns: usize) {
        let columns = (first..first + columns).map(Some).collect();
        self.relations.insert(relation, RelationSlots { columns, ..RelationSlots::default() });
    }

    /// The slot of a column.
    pub(crate) fn column(&self, relation: RelationId, column: usize) -> Result<usize> {
        let slots =
            self.relations.get(&relation).and_then(|slots| slots.columns.get(column).copied().flatten());
        slots.ok_or_else(|| {
            SqlError::internal(format!("column {column} of relation {} has no slot", relation.0))
        })
    }

    /// A table of the statement.
    pub(crate) fn table(&self, table: TableId) -> Result<&'a TableAccess> {
        let access = self.context.layout.table(table);
        if let Some(TableAccess { placement: Placement::Locked(by), .. }) = access {
            self.locked_by.set(Some(*by));
        }
        let access = access.ok_or_else(|| SqlError::internal(format!("table {} has no place", table.0)))?;
        if access.table.materialized.as_ref().is_some_and(|made| !made.populated) {
            let message = format!("materialized view \"{}\" has not been populated", access.table.name);
            return Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                .hint("Use the REFRESH MATERIALIZED VIEW command."));
        }
        Ok(access)
    }

    /// The statistics.
    pub(crate) fn estimator(&self) -> Estimator<'_> {
        Estimator { statistics: self.context.statistics, tables: &self.tables, asked: &self.asked }
    }

    /// What EXPLAIN calls a relation.
    pub(crate) fn name(&self, relation: RelationId) -> String {
        self.names.get(&relation).map_or_else(|| format!("relation {}", relation.0), |(name, _)| name.clone())
    }

    /// How many columns a relation has.
    pub(crate) fn width(&self, relation: RelationId) -> usize {
        self.names.get(&relation).map_or_else(|| self.needed.width(relation), |(_, width)| *width)
    }
}

fn names_of(relations: &[Relation]) -> BTreeMap<RelationId, (String, usize)> {
    let names = relations.iter().enumerate();
    names.map(|(id, r)| (RelationId(id as u32), (r.name.clone(), r.columns.len()))).collect()
}
