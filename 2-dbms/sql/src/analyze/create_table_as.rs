//! CREATE TABLE AS, SELECT INTO, LIKE, TEMPORARY.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    CreateTableAsStmt, IntoClause, ObjectType, OnCommitAction, RangeVar, SelectStmt, TableLikeClause,
};
use tuplix_catalog::{OnCommit, ViewDef};
use tuplix_types::{Result, SqlError, sqlstate};

use super::{Analyzer, nodes};
use crate::plan::{CreateTableAs, Ddl, Like, Query};

/// The bits of INCLUDING (`parsenodes.h`).
const LIKE_COMMENTS: u32 = 1;
const LIKE_CONSTRAINTS: u32 = 1 << 2;
const LIKE_DEFAULTS: u32 = 1 << 3;
const LIKE_GENERATED: u32 = 1 << 4;
const LIKE_IDENTITY: u32 = 1 << 5;
const LIKE_INDEXES: u32 = 1 << 6;

impl Analyzer<'_> {
    /// LIKE in CREATE TABLE.
    pub(super) fn like_clause(&self, like: &TableLikeClause) -> Result<Like> {
        let table = self.qualified_name(like.relation.as_ref().ok_or_else(nodes::missing)?)?;
        let given = |bit| like.options & bit != 0;
        Ok(Like {
            table,
            defaults: given(LIKE_DEFAULTS),
            constraints: given(LIKE_CONSTRAINTS),
            indexes: given(LIKE_INDEXES),
            comments: given(LIKE_COMMENTS),
            generated: given(LIKE_GENERATED),
            identity: given(LIKE_IDENTITY),
        })
    }

    /// Whether a new table is temporary, and what it does at COMMIT.
    pub(super) fn temporary(&self, table: &RangeVar, on_commit: i32) -> Result<Option<OnCommit>> {
        let on_commit = match OnCommitAction::try_from(on_commit) {
            Ok(OnCommitAction::OncommitDeleteRows) => Some(OnCommit::Delete),
            Ok(OnCommitAction::OncommitDrop) => Some(OnCommit::Drop),
            Ok(OnCommitAction::OncommitPreserveRows) => Some(OnCommit::Preserve),
            _ => None,
        };
        let in_temporary_schema = table.schemaname == "pg_temp";
        if table.relpersistence == "t" {
            if !table.schemaname.is_empty() && !in_temporary_schema {
                let message = "cannot create temporary relation in non-temporary schema";
                return Err(
                    SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message).at(self.at(table.location))
                );
            }
            return Ok(Some(on_commit.unwrap_or(OnCommit::Preserve)));
        }
        if in_temporary_schema {
            return Ok(Some(on_commit.unwrap_or(OnCommit::Preserve)));
        }
        match on_commit {
            None => Ok(None),
            Some(_) => {
                let message = "ON COMMIT can only be used on temporary tables";
                Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message))
            }
        }
    }

    /// CREATE TABLE AS
    pub(super) fn create_table_as(&mut self, stmt: &CreateTableAsStmt) -> Result<Ddl> {
        let into = stmt.into.as_deref().ok_or_else(nodes::missing)?;
        if stmt.objtype == ObjectType::ObjectMatview as i32 {
            return self.create_materialized(stmt, into);
        }
        let query = nodes::required(stmt.query.as_deref())?;
        if !matches!(query, NodeEnum::SelectStmt(_)) {
            return Err(SqlError::unsupported("CREATE TABLE AS EXECUTE"));
        }
        self.table_from_query(into, query, stmt.if_not_exists)
    }

    /// SELECT ... INTO table; `None` for a SELECT without.
    pub(super) fn select_into(&mut self, stmt: &SelectStmt) -> Result<Option<Ddl>> {
        let mut select = stmt.clone();
        // INTO belongs to the first of several SELECTs.
        let mut first = &mut select;
        while first.into_clause.is_none() {
            match first.larg.as_deref_mut() {
                Some(left) => first = left,
                None => return Ok(None),
            }
        }
        let Some(into) = first.into_clause.take() else { return Ok(None) };
        self.table_from_query(&into, &NodeEnum::SelectStmt(Box::new(select)), false).map(Some)
    }

    fn table_from_query(&mut self, into: &IntoClause, query: &NodeEnum, if_not_exists: bool) -> Result<Ddl> {
        let table = into.rel.as_ref().ok_or_else(nodes::missing)?;
        let refused = [
            (table.relpersistence == "u", "an unlogged table"),
            (!into.table_space_name.is_empty(), "TABLESPACE"),
            (!into.access_method.is_empty(), "CREATE TABLE ... USING"),
        ];
        if let Some((_, what)) = refused.iter().find(|(given, _)| *given) {
            return Err(self.unsupported(what, table.location));
        }
        let options = self.storage_options(&into.options, super::options::OptionsOf::Table)?;
        let query = Box::new(self.query(query)?);
        self.new_table(into, query, (if_not_exists, options, None))
    }

    /// The statement that makes a table of a query.
    pub(super) fn new_table(
        &mut self,
        into: &IntoClause,
        query: Box<Query>,
        (if_not_exists, options, materialized): (bool, Vec<String>, Option<ViewDef>),
    ) -> Result<Ddl> {
        let table = into.rel.as_ref().ok_or_else(nodes::missing)?;
        let columns: Vec<String> = nodes::strings(&into.col_names).into_iter().map(str::to_owned).collect();
        if columns.len() > query.columns.len() {
            let message = "too many column names were specified";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        Ok(Ddl::CreateTableAs(CreateTableAs {
            name: self.qualified_name(table)?,
            if_not_exists,
            temporary: self.temporary(table, into.on_commit)?,
            columns,
            query,
            relations: self.relations.clone(),
            with_data: !into.skip_data,
            materialized,
            options,
        }))
    }
}
