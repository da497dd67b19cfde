//! MERGE (`parse_merge.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    CmdType, InsertStmt, List, MergeMatchKind, MergeStmt, MergeWhenClause, Node, SelectStmt,
};
use tuplix_catalog::{PolicyCommand, TableDef};
use tuplix_types::{Result, SqlError, sqlstate};

use super::scope::{Clause, Found, ScopeItem, table_columns};
use super::updatable::{Target, Verb};
use super::{Analyzer, nodes};
use crate::plan::{Merge, MergeAction, MergeChange, Query, QueryBody};

impl Analyzer<'_> {
    pub(super) fn merge_query(&mut self, stmt: &MergeStmt) -> Result<Query> {
        if let Some(with) = stmt.with_clause.as_ref().filter(|with| with.recursive) {
            let message = "WITH RECURSIVE is not supported for MERGE statement";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(with.location)));
        }
        if stmt.returning_clause.is_some() {
            return Err(SqlError::unsupported("MERGE ... RETURNING"));
        }
        let mut clauses = Vec::with_capacity(stmt.merge_when_clauses.len());
        for node in &stmt.merge_when_clauses {
            let NodeEnum::MergeWhenClause(clause) = nodes::inner(node)? else { return Err(nodes::missing()) };
            clauses.push(&**clause);
        }
        refuse_unreachable(&clauses)?;
        let (query, _) = self.in_scope(|analyzer| {
            let ctes = analyzer.with_clause(stmt.with_clause.as_ref())?;
            let merge = analyzer.merge(stmt, &clauses)?;
            let mut query = Query::plain(QueryBody::Merge(Box::new(merge)), Vec::new());
            query.ctes = ctes;
            analyzer.finish_ctes(&mut query);
            Ok(query)
        })?;
        Ok(query)
    }

    fn merge(&mut self, stmt: &MergeStmt, clauses: &[&MergeWhenClause]) -> Result<Merge> {
        let name = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        let found =
            self.find_relation(nodes::non_empty(&name.schemaname), &name.relname, self.at(name.location))?;
        if let Found::Table(table) = found
            && table.query().is_some()
        {
            let kind = if table.view.is_some() { "views" } else { "materialized views" };
            let message = format!("cannot execute MERGE on relation \"{}\"", table.name);
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
                .detail(format!("This operation is not supported for {kind}.")));
        }
        let Target { table, relation, item, .. } = self.target_table(name, Verb::Update)?;
        self.guard(relation, PolicyCommand::Select)?;
        let source = self.joined_item(stmt.source_relation.as_deref().ok_or_else(nodes::missing)?)?;
        let same = |other: &ScopeItem| {
            other.named && other.name == item.name && (other.schema.is_none() || other.schema == item.schema)
        };
        if source.items.iter().any(same) {
            let message =
                format!("name \"{}\" specified more than once", item.name.as_deref().unwrap_or_default());
            return Err(SqlError::new(sqlstate::DUPLICATE_ALIAS, message)
                .detail("The name is used both as MERGE target table and data source."));
        }
        let both: Vec<ScopeItem> = std::iter::once(item).chain(source.items.iter().cloned()).collect();
        self.scope().items = both.clone();
        let on =
            self.condition(stmt.join_condition.as_deref(), Clause::JoinOn)?.ok_or_else(nodes::missing)?;
        let mut actions = Vec::with_capacity(clauses.len());
        for clause in clauses {
            let matched = is_matched(clause)?;
            self.scope().items = if matched { both.clone() } else { source.items.clone() };
            let condition = self.condition(clause.condition.as_deref(), Clause::MergeWhen)?;
            let change = match CmdType::try_from(clause.command_type) {
                Ok(CmdType::CmdNothing) => MergeChange::Nothing,
                Ok(CmdType::CmdDelete) => MergeChange::Delete,
                Ok(CmdType::CmdUpdate) => MergeChange::Update(self.assignments(&table, &clause.target_list)?),
                Ok(CmdType::CmdInsert) => self.merge_insert(&table, clause)?,
                _ => return Err(nodes::missing()),
            };
            let [old_checks, new_checks] = self.merge_policies(relation, &change)?;
            actions.push(MergeAction { matched, condition, change, old_checks, new_checks });
        }
        Ok(Merge { table: table.id, relation, source: source.from, on, actions })
    }

    /// INSERT of a WHEN clause: one of a row of VALUES, which the source's columns stand in.
    fn merge_insert(&mut self, table: &TableDef, clause: &MergeWhenClause) -> Result<MergeChange> {
        let values = List { items: clause.values.clone() };
        let select = SelectStmt {
            values_lists: vec![Node { node: Some(NodeEnum::List(values)) }],
            ..SelectStmt::default()
        };
        let source = (!clause.values.is_empty())
            .then(|| Box::new(Node { node: Some(NodeEnum::SelectStmt(Box::new(select))) }));
        let stmt = InsertStmt {
            cols: clause.target_list.clone(),
            select_stmt: source,
            r#override: clause.r#override,
            ..InsertStmt::default()
        };
        let relation = self.add_relation(&table.name, table_columns(table), Some(table.id));
        let mut insert = self.insert_of(&stmt, table, relation)?;
        insert.policies = self.insert_policies(relation, None, false)?;
        Ok(MergeChange::Insert(Box::new(insert)))
    }
}

fn is_matched(clause: &MergeWhenClause) -> Result<bool> {
    match MergeMatchKind::try_from(clause.match_kind) {
        Ok(MergeMatchKind::MergeWhenMatched) => Ok(true),
        Ok(MergeMatchKind::MergeWhenNotMatchedByTarget) => Ok(false),
        _ => Err(SqlError::unsupported("WHEN NOT MATCHED BY SOURCE")),
    }
}

/// Nothing comes to a clause after one of its kind without a condition.
fn refuse_unreachable(clauses: &[&MergeWhenClause]) -> Result<()> {
    let mut ended = [false; 2];
    for clause in clauses {
        let kind = usize::from(is_matched(clause)?);
        if ended[kind] {
            let message = "unreachable WHEN clause specified after unconditional WHEN clause";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        ended[kind] = clause.condition.is_none();
    }
    Ok(())
}
