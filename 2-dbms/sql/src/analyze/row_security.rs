//! Row-level security: which conditions policies put on a statement (`rewrite/rowsecurity.c`).
//!
//! What a policy says of the rows that are there becomes a part of the relation ([`crate::plan::RelationAccess::security`]): the
//! scan of the table tests it before any condition of the statement, so that no function of a statement's condition sees
//! a row that the policy hides. What it says of new rows is a check like that of a view ([`ViewCheck`]). Which policies
//! there are depends on the role: [`super::AnalyzeContext::role_matters`] is told.

use std::sync::Arc;

use pg_query::protobuf::AlterTableType;
use tuplix_catalog::{Holder, PolicyCommand, PolicyDef, RoleId, TableDef};
use tuplix_functions::{Function, operators_named};
use tuplix_types::{Array, Result, SqlError, SqlState, TypeId, Value, sqlstate};

use super::Analyzer;
use super::equal::same;
use super::parameters::Parameters;
use super::scope::{Clause, Scope, ScopeItem, table_columns};
use super::updatable::all_of;
use crate::plan::{
    ConflictAction, Expr, ExprKind, MergeChange, OnConflict, PolicyCheck, RelationId, RowSecurityChange,
    ViewCheck,
};

/// The change that an ALTER TABLE action makes.
pub(super) fn change_of(kind: AlterTableType) -> RowSecurityChange {
    match kind {
        AlterTableType::AtEnableRowSecurity => RowSecurityChange::Enabled(true),
        AlterTableType::AtDisableRowSecurity => RowSecurityChange::Enabled(false),
        AlterTableType::AtForceRowSecurity => RowSecurityChange::Forced(true),
        _ => RowSecurityChange::Forced(false),
    }
}

/// The policies of a table that bind a role in a statement.
struct Bound {
    table: Arc<TableDef>,
    holder: Holder,
}

/// How a policy's check names itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckOf {
    /// WITH CHECK, of rows to be.
    New,
    /// USING where a row that is there must pass.
    Old,
    /// USING of SELECT, of rows to be.
    Seen,
    /// USING where a row that a MERGE has matched must pass.
    Matched,
}

impl Analyzer<'_> {
    /// As whom the relation under way is looked at; `None`: as who runs the statement.
    pub(super) fn acting_role(&self) -> Option<RoleId> {
        self.acting.last().copied().flatten()
    }

    /// As whom the tables of a view are looked at.
    pub(super) fn role_inside(&self, view: &TableDef) -> Option<RoleId> {
        let invoker = view.query().is_some_and(|definition| definition.security_invoker);
        if invoker { self.acting_role() } else { Some(self.context.catalog.owner(view.owned())) }
    }

    /// Says that a relation of FROM shows only the rows that policies let through.
    pub(super) fn guard(&mut self, relation: RelationId, command: PolicyCommand) -> Result<()> {
        let Some(bound) = self.bound(relation)? else { return Ok(()) };
        let condition = self.as_role_of(relation, |analyzer| analyzer.quals(&bound, relation, command))?;
        let Some(access) = &mut self.relations[relation.0 as usize].access else { return Ok(()) };
        let parts = condition.into_iter().chain(access.security.take());
        access.security = all_of(parts.collect());
        Ok(())
    }

    /// Whether policies bind who looks at a relation.
    pub(super) fn is_guarded(&mut self, relation: RelationId) -> Result<bool> {
        Ok(self.bound(relation)?.is_some())
    }

    /// The checks that policies make of the rows of a statement; `over` is the relation that holds the row.
    pub(super) fn policy_checks(
        &mut self,
        relation: RelationId,
        over: RelationId,
        command: PolicyCommand,
        of: CheckOf,
    ) -> Result<Vec<ViewCheck>> {
        let Some(bound) = self.bound(relation)? else { return Ok(Vec::new()) };
        self.as_role_of(relation, |analyzer| analyzer.checks(&bound, over, command, of))
    }

    fn as_role_of<T>(
        &mut self,
        relation: RelationId,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let role = self.relation(relation).access.as_ref().and_then(|access| access.role);
        self.acting.push(role);
        let result = work(self);
        self.acting.pop();
        result
    }

    fn bound(&mut self, relation: RelationId) -> Result<Option<Bound>> {
        let Some(access) = &self.relation(relation).access else { return Ok(None) };
        let (table, role) = (access.table, access.role);
        let Some(table) = self.context.catalog.table(table).filter(|table| table.row_security.enabled) else {
            return Ok(None);
        };
        if role.is_none()
            && let Some(matters) = self.context.role_matters
        {
            matters.set(true);
        }
        let holder = Holder::new(self.context.catalog, role.unwrap_or(self.context.reader.role));
        let owns = holder.has_rights_of(self.context.catalog.owner(table.owned()));
        if holder.bypass_rls || (owns && !table.row_security.forced) {
            return Ok(None);
        }
        if !self.context.reader.row_security {
            let message =
                format!("query would be affected by row-level security policy for table \"{}\"", table.name);
            let error = SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message);
            let hint =
                "To disable the policy for the table's owner, use ALTER TABLE NO FORCE ROW LEVEL SECURITY.";
            return Err(if owns { error.hint(hint) } else { error });
        }
        Ok(Some(Bound { table: Arc::clone(table), holder }))
    }

    /// USING of all policies: each restrictive one, and one of the others.
    fn quals(&mut self, bound: &Bound, relation: RelationId, command: PolicyCommand) -> Result<Option<Expr>> {
        let (mut all, mut any) = (Vec::new(), Vec::new());
        for policy in policies(bound, command) {
            let condition = match &policy.using {
                Some(text) => self.policy_condition(bound, relation, text)?,
                None => constant(policy.command != PolicyCommand::Insert),
            };
            if policy.permissive { any.push(condition) } else { all.push(condition) }
        }
        all.push(any_of(any));
        Ok(all_of(all))
    }

    fn checks(
        &mut self,
        bound: &Bound,
        over: RelationId,
        command: PolicyCommand,
        of: CheckOf,
    ) -> Result<Vec<ViewCheck>> {
        let check = |name: Option<&str>, condition| ViewCheck {
            view: bound.table.name.clone(),
            condition,
            policy: Some(PolicyCheck {
                name: name.map(str::to_owned),
                using: matches!(of, CheckOf::Old | CheckOf::Matched),
                matched: of == CheckOf::Matched,
            }),
        };
        let (mut all, mut any) = (Vec::new(), Vec::new());
        for policy in policies(bound, command) {
            let text = match of {
                CheckOf::New => policy.check.as_ref().or(policy.using.as_ref()),
                CheckOf::Old | CheckOf::Seen | CheckOf::Matched => policy.using.as_ref(),
            };
            let condition = match text {
                Some(text) => self.policy_condition(bound, over, text)?,
                None => constant(true),
            };
            match policy.permissive {
                true => any.push(condition),
                false => all.push(check(Some(&policy.name), condition)),
            }
        }
        all.insert(0, check(None, any_of(any)));
        Ok(all)
    }

    /// An expression of a policy over a relation. It sees nothing of the statement around it.
    fn policy_condition(&mut self, bound: &Bound, relation: RelationId, text: &str) -> Result<Expr> {
        let table = &bound.table;
        if self.policies.contains(&table.id) {
            let message = format!("infinite recursion detected in policy for relation \"{}\"", table.name);
            return Err(SqlError::new(SqlState(*b"42P17"), message));
        }
        let source = self.source.take();
        let variables = self.variables.take();
        let recorder = self.recorder.take();
        let parameters = std::mem::replace(&mut self.parameters, Parameters::none());
        let hidden = || Scope { hidden: true, ..Scope::default() };
        let levels = (0..self.scopes.len()).map(|_| hidden()).collect();
        let scopes = std::mem::replace(&mut self.scopes, levels);
        self.policies.push(table.id);
        let result = self.in_scope(|analyzer| {
            let mut item = ScopeItem::of_relation(&table.name, relation, &table_columns(table));
            item.schema = Some(table.schema.clone());
            analyzer.scope().items.push(item);
            let value = analyzer.text_expression(text, Clause::Policy)?;
            analyzer.boolean(value, "POLICY")
        });
        self.policies.pop();
        self.scopes = scopes;
        self.parameters = parameters;
        self.recorder = recorder;
        self.variables = variables;
        self.source = source;
        result.map(|(condition, _)| condition)
    }

    /// Notes that a relation is the table below a view that the statement names, and which of its columns the statement reads.
    pub(super) fn reads_through(&mut self, relation: RelationId, read: &mut dyn Iterator<Item = &Expr>) {
        let mut columns = std::collections::BTreeSet::new();
        for expr in read {
            super::walk::map_columns(&mut expr.clone(), &mut |of, column| {
                if *of == relation {
                    columns.insert(*column);
                }
            });
        }
        let Some(access) = &mut self.relations[relation.0 as usize].access else { return };
        for view in &mut access.through {
            let shown = |(number, column): (usize, &Option<usize>)| {
                column.filter(|column| columns.contains(column)).map(|_| number)
            };
            view.read = view.columns.iter().enumerate().filter_map(shown).collect();
        }
    }
}

/// The policies that bind a role in a statement, by name.
fn policies(bound: &Bound, command: PolicyCommand) -> impl Iterator<Item = &PolicyDef> {
    let of = |role: RoleId| bound.holder.roles.contains(&role);
    bound.table.row_security.policies.iter().filter(move |policy| policy.applies(command, of))
}

fn constant(value: bool) -> Expr {
    Expr::constant(Value::Bool(value), TypeId::BOOL)
}

/// OR of conditions; none of them lets nothing through. Conditions that are the same are one, and so are those that compare the same value with
/// constants: a hundred policies cost what one does.
fn any_of(given: Vec<Expr>) -> Expr {
    let mut conditions: Vec<Expr> = Vec::new();
    for condition in given {
        match &condition.kind {
            ExprKind::Constant(Value::Bool(true)) => return condition,
            ExprKind::Constant(Value::Bool(false) | Value::Null) => {}
            _ if conditions.iter().any(|known| same(known, &condition)) => {}
            _ => {
                if !conditions.iter_mut().any(|known| joined(known, &condition)) {
                    conditions.push(condition);
                }
            }
        }
    }
    match conditions.len() {
        0 => constant(false),
        1 => conditions.remove(0),
        _ => Expr::new(ExprKind::Or(conditions), TypeId::BOOL),
    }
}

/// `value = constant`, with its parts.
fn equality(condition: &Expr) -> Option<(&'static Function, &Expr, &Value, TypeId)> {
    let ExprKind::Call { function, arguments } = &condition.kind else { return None };
    let [left, Expr { kind: ExprKind::Constant(value), ty, .. }] = &arguments[..] else { return None };
    let is_equal = operators_named("=").iter().any(|operator| operator.function.oid == function.oid);
    (is_equal && !ty.is_user() && !value.is_null()).then_some((*function, left, value, *ty))
}

/// Makes `value = 1` and `value = 2` into `value = ANY ('{1,2}')`, whose constant grows with each further one; false when they are
/// not alike.
fn joined(known: &mut Expr, condition: &Expr) -> bool {
    let Some((function, left, value, ty)) = equality(condition) else { return false };
    let Some(array_type) = ty.array_of() else { return false };
    if let ExprKind::AnyAll { left: known, array, function: of, all: false } = &mut known.kind {
        let fits = of.oid == function.oid && array.ty == array_type && same(known, left);
        if let (true, ExprKind::Constant(Value::Array(array))) = (fits, &mut array.kind) {
            let mut elements = array.elements.clone();
            elements.push(value.clone());
            *array = Arc::new(Array::from_elements(ty, elements));
            return true;
        }
        return false;
    }
    let Some((of, other, first, of_type)) = equality(known) else { return false };
    if of.oid != function.oid || of_type != ty || !same(other, left) {
        return false;
    }
    let array = Value::Array(Arc::new(Array::from_elements(ty, vec![first.clone(), value.clone()])));
    let array = Box::new(Expr::constant(array, array_type));
    *known = Expr::new(
        ExprKind::AnyAll { left: Box::new(left.clone()), array, function, all: false },
        TypeId::BOOL,
    );
    true
}

/// What the kinds of changes ask.
impl Analyzer<'_> {
    /// UPDATE: the rows that may be changed, and what they may become. `reads`: the statement reads columns.
    pub(super) fn guard_update(
        &mut self,
        relation: RelationId,
        reads: bool,
        view_checks: Vec<ViewCheck>,
    ) -> Result<Vec<ViewCheck>> {
        if !self.is_guarded(relation)? {
            return Ok(view_checks);
        }
        self.guard(relation, PolicyCommand::Update)?;
        let mut checks = self.policy_checks(relation, relation, PolicyCommand::Update, CheckOf::New)?;
        if reads {
            self.guard(relation, PolicyCommand::Select)?;
            checks.extend(self.policy_checks(relation, relation, PolicyCommand::Select, CheckOf::Seen)?);
        }
        checks.extend(view_checks);
        Ok(checks)
    }

    /// INSERT: what new rows may be. With DO UPDATE the row that was to be inserted is `excluded`.
    pub(super) fn insert_policies(
        &mut self,
        relation: RelationId,
        conflict: Option<&OnConflict>,
        returns: bool,
    ) -> Result<Vec<ViewCheck>> {
        if !self.is_guarded(relation)? {
            return Ok(Vec::new());
        }
        let over = match conflict.map(|conflict| &conflict.action) {
            Some(ConflictAction::Update { excluded, .. }) => *excluded,
            _ => relation,
        };
        let mut checks = self.policy_checks(relation, over, PolicyCommand::Insert, CheckOf::New)?;
        if returns || conflict.is_some_and(|conflict| conflict.index.is_some()) {
            checks.extend(self.policy_checks(relation, over, PolicyCommand::Select, CheckOf::Seen)?);
        }
        Ok(checks)
    }

    /// DO UPDATE: the row that is there has to pass, and what it becomes.
    pub(super) fn conflict_policies(&mut self, relation: RelationId) -> Result<Vec<ViewCheck>> {
        if !self.is_guarded(relation)? {
            return Ok(Vec::new());
        }
        let asked = [
            (PolicyCommand::Update, CheckOf::Old),
            (PolicyCommand::Select, CheckOf::Old),
            (PolicyCommand::Update, CheckOf::New),
            (PolicyCommand::Select, CheckOf::Seen),
        ];
        let mut checks = Vec::new();
        for (command, of) in asked {
            checks.extend(self.policy_checks(relation, relation, command, of)?);
        }
        Ok(checks)
    }

    /// WHEN MATCHED of a MERGE: what the row that is there has to pass, and what an UPDATE makes of it. A row that fails is an error:
    /// which rows there are to be matched is what SELECT lets through.
    pub(super) fn merge_policies(
        &mut self,
        relation: RelationId,
        change: &MergeChange,
    ) -> Result<[Vec<ViewCheck>; 2]> {
        let mut checks = [Vec::new(), Vec::new()];
        let command = match change {
            MergeChange::Update(_) => PolicyCommand::Update,
            MergeChange::Delete => PolicyCommand::Delete,
            MergeChange::Nothing | MergeChange::Insert(_) => return Ok(checks),
        };
        checks[0] = self.policy_checks(relation, relation, command, CheckOf::Matched)?;
        if command == PolicyCommand::Update {
            checks[1] = self.policy_checks(relation, relation, command, CheckOf::New)?;
            checks[1].extend(self.policy_checks(relation, relation, PolicyCommand::Select, CheckOf::Seen)?);
        }
        Ok(checks)
    }
}
