//! What a statement asks of who runs it: found once, when it is compiled, and checked when it runs.
//!
//! A check is one comparison for the role that has passed it before, and for the bootstrap role: what was compiled is good for one
//! version of the catalogue, and every GRANT, REVOKE or change of a role makes another. As in PostgreSQL it is made when
//! execution begins (`ExecCheckRTPerms`): a statement of a body that is never reached asks nothing.
//!
//! Tables that a view names are looked at as the view's owner, functions that it calls as who asks. What row-level security
//! reads of the guarded table itself asks nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use tuplix_catalog::{Catalog, FunctionId, Holder, Privileges, RightsKind, RoleId, TableDef, TableId};
use tuplix_sql::plan::{
    ConflictAction, Expr, ExprKind, From, Insert, MergeChange, Query, QueryBody, Relation, RelationAccess,
    RelationId, Requirement, TableAccess,
};
use tuplix_types::{Result, SqlError, sqlstate};

use super::frame::Exec;
use super::walk::{self, Node};
use crate::services::Services;
use crate::stop::Run;

/// The requirements of a statement.
#[derive(Debug)]
pub(crate) struct Rights {
    requirements: Vec<Requirement>,
    /// The role that was checked last and passed; 0: none yet.
    passed: AtomicU32,
}

impl Rights {
    /// Those of a query, `None` when everybody may run it.
    pub(crate) fn of_query(catalog: &Catalog, relations: &[Relation], query: &Query) -> Option<Box<Rights>> {
        let mut found = Found::new(catalog, relations);
        found.query(query);
        found.finish()
    }

    /// Those of an expression.
    pub(crate) fn of_exprs<'e>(
        catalog: &Catalog,
        relations: &[Relation],
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) -> Option<Box<Rights>> {
        let mut found = Found::new(catalog, relations);
        exprs.into_iter().for_each(|expr| found.expr(expr, None));
        found.finish()
    }

    /// That of CALL, with its arguments.
    pub(crate) fn of_call(
        catalog: &Catalog,
        relations: &[Relation],
        function: FunctionId,
        arguments: &[Expr],
    ) -> Option<Box<Rights>> {
        let mut found = Found::new(catalog, relations);
        found.function(function);
        arguments.iter().for_each(|expr| found.expr(expr, None));
        found.finish()
    }

    /// Whether the current role may run it.
    ///
    /// # Errors
    /// 42501
    #[inline(always)]
    pub(crate) fn check(&self, exec: &Exec<'_, '_>) -> Run<()> {
        Ok(self.check_for(exec.services)?)
    }

    /// The same where nothing runs yet.
    ///
    /// # Errors
    /// 42501
    #[inline(always)]
    pub(crate) fn check_for(&self, services: &Services) -> Result<()> {
        let role = services.current_role();
        if role == RoleId::BOOTSTRAP || role.0 == self.passed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.check_slowly(services, role)
    }

    #[cold]
    fn check_slowly(&self, services: &Services, role: RoleId) -> Result<()> {
        let schema = services.schema();
        let catalog = &schema.catalog;
        let holder = Holder::new(catalog, role);
        for requirement in &self.requirements {
            if let Err(refused) = holds(catalog, &holder, requirement) {
                return Err(services.refuse(refused));
            }
        }
        self.passed.store(role.0, Ordering::Relaxed);
        Ok(())
    }
}

/// Something that was not permitted.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// To whom.
    pub role: RoleId,
    /// `table`, `schema`, ...
    pub kind: &'static str,
    /// The object's name.
    pub object: String,
    /// What it lacks.
    pub privilege: &'static str,
}

impl Refused {
    /// A privilege that a role lacks.
    pub(crate) fn new(holder: &Holder, kind: &'static str, object: &str, privilege: &'static str) -> Refused {
        Refused { role: holder.role, kind, object: object.to_owned(), privilege }
    }

    /// The error.
    pub(crate) fn error(&self) -> SqlError {
        let message = match self.privilege {
            "OWNER" => format!("must be owner of {} {}", self.kind, self.object),
            _ => format!("permission denied for {} {}", self.kind, self.object),
        };
        SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message)
    }
}

/// What messages call a relation.
pub(crate) fn relation_kind(table: &TableDef) -> &'static str {
    match (&table.view, &table.materialized) {
        (Some(_), _) => "view",
        (None, Some(_)) => "materialized view",
        (None, None) => "table",
    }
}

/// The name of the first of some privileges.
fn first_name(privileges: Privileges) -> &'static str {
    privileges.each().next().map_or("", |(_, _, name)| name)
}

fn holds(catalog: &Catalog, holder: &Holder, requirement: &Requirement) -> std::result::Result<(), Refused> {
    match requirement {
        Requirement::Table(access) => match access.role {
            Some(role) if role != holder.role => table_holds(catalog, &Holder::new(catalog, role), access),
            _ => table_holds(catalog, holder, access),
        },
        Requirement::Schema(oid) => {
            let on = tuplix_catalog::Owned { class: tuplix_catalog::CLASS_SCHEMA, object: *oid };
            if holder.may(catalog, RightsKind::Schema, on, Privileges::USAGE) {
                return Ok(());
            }
            let schema = catalog.schemas().find(|schema| schema.oid == *oid);
            let name = schema.map_or("", |schema| schema.name.as_str());
            Err(Refused::new(holder, "schema", name, "USAGE"))
        }
        Requirement::Function(id) => {
            let Some(function) = catalog.function(*id) else { return Ok(()) };
            if holder.may(catalog, RightsKind::Function, function.owned(), Privileges::EXECUTE) {
                return Ok(());
            }
            let kind = if function.is_procedure { "procedure" } else { "function" };
            Err(Refused::new(holder, kind, &function.name, "EXECUTE"))
        }
        Requirement::Sequence(oid) => {
            let Some(sequence) = catalog.sequence(tuplix_catalog::SequenceId(*oid)) else { return Ok(()) };
            let on = tuplix_catalog::Owned { class: tuplix_catalog::CLASS_RELATION, object: *oid };
            match holder.may(catalog, RightsKind::Sequence, on, Privileges::SELECT) {
                true => Ok(()),
                false => Err(Refused::new(holder, "sequence", &sequence.name, "SELECT")),
            }
        }
        Requirement::System(_) if holder.has_rights_of(RoleId::READ_ALL_STATS) => Ok(()),
        Requirement::System(name) => Err(Refused::new(holder, "table", name, "SELECT")),
    }
}

fn table_holds(catalog: &Catalog, holder: &Holder, access: &TableAccess) -> std::result::Result<(), Refused> {
    if holder.superuser {
        return Ok(());
    }
    let Some(table) = catalog.table(access.table) else { return Ok(()) };
    let on = table.owned();
    let refuse =
        |privilege| Err(Refused::new(holder, relation_kind(table), &table.name, first_name(privilege)));
    let privileges = holder.privileges_on(catalog, RightsKind::Table, on);
    if !privileges.contains(access.whole) {
        return refuse(access.whole & !privileges);
    }
    let on_column = |column: usize, privilege| {
        holder.privileges_on_column(catalog, on, column as u32 + 1).contains(privilege)
    };
    for (privilege, columns) in access.on_columns().filter(|(privilege, _)| !privileges.contains(*privilege))
    {
        let passes = match columns {
            [] => (0..table.columns.len()).any(|column| on_column(column, privilege)),
            columns => columns.iter().all(|column| on_column(*column, privilege)),
        };
        if !passes {
            return refuse(privilege);
        }
    }
    Ok(())
}

/// What was found so far.
struct Found<'a> {
    catalog: &'a Catalog,
    relations: &'a [Relation],
    tables: BTreeMap<(TableId, Option<RoleId>), TableAccess>,
    functions: BTreeSet<FunctionId>,
    schemas: BTreeSet<u32>,
    sequences: BTreeSet<u32>,
    system: BTreeSet<String>,
}

impl<'a> Found<'a> {
    fn new(catalog: &'a Catalog, relations: &'a [Relation]) -> Found<'a> {
        let mut found = Found {
            catalog,
            relations,
            tables: BTreeMap::new(),
            functions: BTreeSet::new(),
            schemas: BTreeSet::new(),
            sequences: BTreeSet::new(),
            system: BTreeSet::new(),
        };
        for (number, relation) in relations.iter().enumerate() {
            if let Some(security) = relation.access.as_ref().and_then(|access| access.security.as_ref()) {
                found.expr(security, Some(RelationId(number as u32)));
            }
        }
        found
    }

    fn finish(self) -> Option<Box<Rights>> {
        let Found { catalog, tables, functions, schemas, sequences, system, .. } = self;
        // Everybody may what PUBLIC may, for as long as the catalogue stays as it is.
        let everybody = Holder {
            role: RoleId::PUBLIC,
            superuser: false,
            bypass_rls: false,
            roles: BTreeSet::from([RoleId::PUBLIC]),
        };
        let all = schemas.into_iter().map(Requirement::Schema);
        let all = all.chain(tables.into_values().map(Requirement::Table));
        let all = all.chain(functions.into_iter().map(Requirement::Function));
        let all = all.chain(sequences.into_iter().map(Requirement::Sequence));
        let all = all.chain(system.into_iter().map(Requirement::System));
        let requirements: Vec<Requirement> =
            all.filter(|requirement| holds(catalog, &everybody, requirement).is_err()).collect();
        (!requirements.is_empty()).then(|| Box::new(Rights { requirements, passed: AtomicU32::new(0) }))
    }

    fn access(&self, relation: RelationId) -> Option<&'a RelationAccess> {
        self.relations.get(relation.0 as usize)?.access.as_deref()
    }

    /// What is asked of a table, to be added to.
    fn table(&mut self, table: TableId, role: Option<RoleId>) -> &mut TableAccess {
        if role.is_none()
            && let Some(def) = self.catalog.table(table)
            && let Some(schema) = self.catalog.schema(&def.schema)
            && def.temporary.is_none()
        {
            self.schemas.insert(schema.oid);
        }
        self.tables.entry((table, role)).or_insert_with(|| TableAccess::new(table, role))
    }

    fn columns(
        &mut self,
        access: (TableId, Option<RoleId>),
        privilege: Privileges,
        columns: impl IntoIterator<Item = usize>,
    ) {
        let list = self.table(access.0, access.1).columns_mut(privilege).get_or_insert_with(Vec::new);
        for column in columns {
            if !list.contains(&column) {
                list.push(column);
            }
        }
    }

    fn select(&mut self, relation: RelationId, columns: impl IntoIterator<Item = usize>) {
        if let Some(access) = self.access(relation) {
            self.columns((access.table, access.role), Privileges::SELECT, columns);
        }
    }

    fn function(&mut self, id: FunctionId) {
        let id = self.catalog.known_function(id);
        self.functions.insert(id);
        let schema = self.catalog.function(id).and_then(|function| self.catalog.schema(&function.schema));
        self.schemas.extend(schema.map(|schema| schema.oid));
    }

    /// An expression; what it reads of `skipped` asks nothing.
    fn expr(&mut self, expr: &Expr, skipped: Option<RelationId>) {
        walk::expr(expr, &mut |node| self.node(&node, skipped));
    }

    fn query(&mut self, query: &Query) {
        let mut checks = Vec::new();
        let mut stripped = None;
        if has_checks(query) {
            let mut copy = query.clone();
            strip(&mut copy, &mut checks);
            stripped = Some(copy);
        }
        walk::query(stripped.as_ref().unwrap_or(query), &mut |node| self.node(&node, None));
        for (check, relations) in checks {
            let before = self.tables.clone();
            self.expr(&check, None);
            // The rows that it looks at are the statement's own.
            for relation in relations {
                let Some(access) = self.access(relation) else { continue };
                let key = (access.table, access.role);
                match before.get(&key) {
                    Some(access) => self.tables.insert(key, access.clone()),
                    None => self.tables.remove(&key),
                };
            }
        }
    }

    fn node(&mut self, node: &Node<'_>, skipped: Option<RelationId>) {
        match node {
            Node::Expr(expr) => match &expr.kind {
                ExprKind::Column { relation, column } if Some(*relation) != skipped => {
                    self.select(*relation, [*column]);
                }
                ExprKind::WholeRow(relation) if Some(*relation) != skipped => {
                    let width = self.relations.get(relation.0 as usize).map_or(0, |r| r.columns.len());
                    self.select(*relation, 0..width);
                }
                ExprKind::UserCall { function, .. } => self.function(*function),
                _ => {}
            },
            Node::From(From::Table { relation, .. } | From::Subquery { relation, .. }) => {
                self.select(*relation, []);
            }
            Node::From(From::System { schema, name, .. }) => self.system(schema, name),
            Node::From(_) => {}
            Node::Query(query) => self.target(query),
        }
    }

    fn system(&mut self, schema: &str, name: &str) {
        if let Some(sequence) = self.catalog.sequence_named(schema, name) {
            self.sequences.insert(sequence.id.0);
        } else if crate::system::is_confidential(schema, name) {
            self.system.insert(name.to_owned());
        }
    }

    /// What a query itself changes and locks.
    fn target(&mut self, query: &Query) {
        for relation in query.locking.iter().flat_map(|locking| &locking.relations) {
            if let Some(access) = self.access(*relation) {
                self.columns((access.table, access.role), Privileges::UPDATE, []);
            }
        }
        match &query.body {
            QueryBody::Insert(insert) => self.insert(insert),
            QueryBody::Update(update) => {
                let columns = update.assignments.iter().map(|(column, _)| *column).collect();
                self.change(update.relation, Privileges::UPDATE, columns);
            }
            QueryBody::Delete(delete) => self.change(delete.relation, Privileges::DELETE, Vec::new()),
            QueryBody::Merge(merge) => {
                self.select(merge.relation, []);
                for action in &merge.actions {
                    match &action.change {
                        MergeChange::Nothing => {}
                        MergeChange::Delete => {
                            self.change(merge.relation, Privileges::DELETE, Vec::new());
                        }
                        MergeChange::Update(assignments) => {
                            let columns = assignments.iter().map(|(column, _)| *column).collect();
                            self.change(merge.relation, Privileges::UPDATE, columns);
                        }
                        MergeChange::Insert(insert) => self.insert(insert),
                    }
                }
            }
            QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::SetOperation { .. } => {}
        }
    }

    fn insert(&mut self, insert: &Insert) {
        self.change(insert.relation, Privileges::INSERT, insert.columns.clone());
        let Some(conflict) = &insert.on_conflict else { return };
        let index = conflict.index.and_then(|id| self.catalog.table(insert.table)?.index(id));
        let columns = index.into_iter().flat_map(|index| &index.columns);
        let plain = columns.filter(|column| column.expression.is_none()).map(|column| column.column);
        let plain: Vec<usize> = plain.collect();
        if !plain.is_empty() {
            self.select(insert.relation, plain);
        }
        if let ConflictAction::Update { assignments, .. } = &conflict.action {
            let columns = assignments.iter().map(|(column, _)| *column).collect();
            self.change(insert.relation, Privileges::UPDATE, columns);
        }
    }

    /// A change of columns of a table, or of views over it, each as whom it is looked at.
    fn change(&mut self, relation: RelationId, privilege: Privileges, columns: Vec<usize>) {
        let Some(access) = self.access(relation) else { return };
        for view in &access.through {
            let key = (view.view, view.role);
            let shown = view.columns.iter().enumerate();
            let shown = shown.filter(|(_, below)| below.is_some_and(|below| columns.contains(&below)));
            self.one_change(key, privilege, shown.map(|(number, _)| number).collect());
            if !view.read.is_empty() {
                self.columns(key, Privileges::SELECT, view.read.iter().copied());
            }
        }
        self.one_change((access.table, access.role), privilege, columns);
    }

    fn one_change(&mut self, key: (TableId, Option<RoleId>), privilege: Privileges, columns: Vec<usize>) {
        if Privileges::OF_COLUMNS.contains(privilege) {
            return self.columns(key, privilege, columns);
        }
        let access = self.table(key.0, key.1);
        access.whole = access.whole | privilege;
    }
}

/// The queries of a statement that may change rows: it, and those of WITH.
fn has_checks(query: &Query) -> bool {
    let own = match &query.body {
        QueryBody::Insert(insert) => {
            let conflict = insert.on_conflict.as_ref().map(|conflict| &conflict.action);
            let policies = match conflict {
                Some(ConflictAction::Update { policies, .. }) => policies.len(),
                _ => 0,
            };
            insert.view_checks.len() + insert.policies.len() + policies > 0
        }
        QueryBody::Update(update) => !update.view_checks.is_empty(),
        QueryBody::Merge(merge) => merge.actions.iter().any(|action| match &action.change {
            MergeChange::Insert(insert) => !insert.policies.is_empty(),
            _ => action.checks().next().is_some(),
        }),
        _ => false,
    };
    own || query.ctes.iter().any(|cte| has_checks(&cte.query))
}

/// Takes the checks of new rows out of a query, each with the relations that hold such rows.
fn strip(query: &mut Query, checks: &mut Vec<(Expr, Vec<RelationId>)>) {
    match &mut query.body {
        QueryBody::Insert(insert) => {
            let mut relations = vec![insert.relation];
            let mut all = std::mem::take(&mut insert.view_checks);
            all.append(&mut insert.policies);
            if let Some(conflict) = &mut insert.on_conflict
                && let ConflictAction::Update { excluded, policies, .. } = &mut conflict.action
            {
                relations.push(*excluded);
                all.append(policies);
            }
            checks.extend(all.into_iter().map(|check| (check.condition, relations.clone())));
        }
        QueryBody::Update(update) => {
            let all = std::mem::take(&mut update.view_checks).into_iter();
            checks.extend(all.map(|check| (check.condition, vec![update.relation])));
        }
        QueryBody::Merge(merge) => {
            for action in &mut merge.actions {
                let mut all = std::mem::take(&mut action.old_checks);
                all.append(&mut action.new_checks);
                let mut relation = merge.relation;
                if let MergeChange::Insert(insert) = &mut action.change {
                    relation = insert.relation;
                    all.append(&mut insert.policies);
                }
                checks.extend(all.into_iter().map(|check| (check.condition, vec![relation])));
            }
        }
        _ => {}
    }
    query.ctes.iter_mut().for_each(|cte| strip(&mut cte.query, checks));
}
