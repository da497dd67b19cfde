//! CREATE and REFRESH MATERIALIZED VIEW: tables that remember the query they were made of.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{CreateTableAsStmt, IntoClause, RefreshMatViewStmt};
use tuplix_types::{Result, SqlError, sqlstate};

use super::options::OptionsOf;
use super::scope::Found;
use super::{Analyzer, nodes};
use crate::plan::{Ddl, Refresh};

impl Analyzer<'_> {
    pub(super) fn create_materialized(&mut self, stmt: &CreateTableAsStmt, into: &IntoClause) -> Result<Ddl> {
        let table = into.rel.as_ref().ok_or_else(nodes::missing)?;
        let refused = [
            (!into.table_space_name.is_empty(), "TABLESPACE"),
            (!into.access_method.is_empty(), "CREATE MATERIALIZED VIEW ... USING"),
        ];
        if let Some((_, what)) = refused.iter().find(|(given, _)| *given) {
            return Err(self.unsupported(what, table.location));
        }
        let node = nodes::required(stmt.query.as_deref())?;
        let NodeEnum::SelectStmt(select) = node else {
            return Err(SqlError::unsupported("CREATE MATERIALIZED VIEW of anything but a query"));
        };
        super::views::refuse_changes(
            select,
            "materialized views must not use data-modifying statements in WITH",
        )?;
        let options = self.storage_options(&into.options, OptionsOf::Table)?;
        let (query, definition) = self.kept_query(node, &|text| super::views::materialized_body(text))?;
        self.new_table(into, Box::new(query), (stmt.if_not_exists, options, Some(definition)))
    }

    pub(super) fn refresh(&mut self, stmt: &RefreshMatViewStmt) -> Result<Ddl> {
        let name = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        if stmt.concurrent && stmt.skip_data {
            let message = "REFRESH options CONCURRENTLY and WITH NO DATA cannot be used together";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let position = self.at(name.location);
        let not_materialized = || {
            let message = format!("\"{}\" is not a materialized view", name.relname);
            SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
        };
        let Found::Table(table) =
            self.find_relation(nodes::non_empty(&name.schemaname), &name.relname, position)?
        else {
            return Err(not_materialized());
        };
        let table = table.clone();
        if table.materialized.is_none() {
            return Err(not_materialized());
        }
        let query = self.in_view(&table, |analyzer, node| analyzer.query(&NodeEnum::SelectStmt(node)))?;
        Ok(Ddl::Refresh(Refresh {
            table: table.id,
            query: Box::new(query),
            relations: self.relations.clone(),
            with_data: !stmt.skip_data,
            concurrently: stmt.concurrent,
        }))
    }
}
