//! COPY (`DoCopy`, `BeginCopyFrom`, `BeginCopyTo`).
//!
//! COPY TO is a query whose rows the client gets in another form. COPY FROM is an INSERT ... SELECT from a relation that
//! holds the client's rows, so that defaults, constraints, triggers and partitions are those of INSERT.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{CopyStmt, RangeVar};
use tuplix_catalog::TableDef;
use tuplix_types::copy::{CopyDirection, CopyFormat, CopyRows};
use tuplix_types::{Result, SqlError, sqlstate};

use super::parameters::Parameters;
use super::scope::Found;
use super::{Analyzer, nodes};
use crate::parser::{self, quote_ident};
use crate::plan::{COPY_SOURCE, Copy, OutputColumn, Query, QueryBody, Statement, StatementKind};

impl Analyzer<'_> {
    pub(super) fn copy(&mut self, stmt: &CopyStmt) -> Result<StatementKind> {
        let target = match &stmt.relation {
            Some(name) => Some((name, self.copied_table(name, stmt)?)),
            None => None,
        };
        if stmt.is_program || !stmt.filename.is_empty() {
            let what = if stmt.is_program { "COPY with a program" } else { "COPY with a file of the server" };
            return Err(SqlError::unsupported(what)
                .hint("Use STDIN or STDOUT; psql's \\copy reads and writes the client's files."));
        }
        let copy = match target {
            Some((_, (table, columns))) if stmt.is_from => self.copy_from(stmt, table, columns)?,
            Some((_, (table, columns))) => self.copy_table(stmt, table, columns)?,
            None => self.copy_query(stmt)?,
        };
        Ok(StatementKind::Copy(Box::new(copy)))
    }

    /// The table of COPY and the columns that travel.
    fn copied_table(&self, name: &RangeVar, stmt: &CopyStmt) -> Result<(TableDef, Vec<OutputColumn>)> {
        let schema = nodes::non_empty(&name.schemaname);
        let found = self.find_relation(schema, &name.relname, None)?;
        let refuse = |kind: &str, hint: &str| {
            let verb = if stmt.is_from { "to" } else { "from" };
            let message = format!("cannot copy {verb} {kind} \"{}\"", name.relname);
            let error = SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message);
            Err(if hint.is_empty() { error } else { error.hint(hint) })
        };
        let table = match found {
            Found::Table(table) if table.view.is_none() => table,
            Found::Table(_) if stmt.is_from => {
                return refuse("view", "To enable copying to a view, provide an INSTEAD OF INSERT trigger.");
            }
            Found::Table(_) => return refuse("view", "Try the COPY (SELECT ...) TO variant."),
            Found::System { .. } => {
                return refuse("system table", "Try the COPY (SELECT ...) TO variant.");
            }
        };
        let column = |index: usize| {
            let def = &table.columns[index];
            OutputColumn { name: def.name.clone(), ty: def.ty, typmod: def.typmod }
        };
        let mut columns: Vec<OutputColumn> = Vec::with_capacity(table.columns.len());
        for node in &stmt.attlist {
            let name = nodes::string(node).ok_or_else(nodes::missing)?;
            let index = table.column(name).ok_or_else(|| no_column(table, name))?;
            if table.columns[index].generated.is_some() {
                let message = format!("column \"{name}\" is a generated column");
                return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message)
                    .detail("Generated columns cannot be used in COPY."));
            }
            if columns.iter().any(|column| column.name == name) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
            }
            columns.push(column(index));
        }
        if stmt.attlist.is_empty() {
            let given = |index: &usize| table.columns[*index].generated.is_none();
            columns.extend((0..table.columns.len()).filter(given).map(column));
        }
        Ok((table.as_ref().clone(), columns))
    }

    fn copy_from(&mut self, stmt: &CopyStmt, table: TableDef, columns: Vec<OutputColumn>) -> Result<Copy> {
        let format = self.copy_format(stmt, CopyDirection::From, &columns, Some(&table))?;
        let list = names(&columns);
        let list = if list.is_empty() { list } else { format!("({list}) OVERRIDING SYSTEM VALUE") };
        let star = if columns.is_empty() { "" } else { "*" };
        let text = format!(
            "INSERT INTO {}.{} {list} SELECT {star} FROM {} AS {}",
            quote_ident(&table.schema),
            quote_ident(&table.name),
            quote_ident(COPY_SOURCE),
            quote_ident(&table.name),
        );
        let mut node = parsed(&text)?;
        if let NodeEnum::InsertStmt(insert) = &mut node
            && let Some(NodeEnum::SelectStmt(select)) =
                insert.select_stmt.as_deref_mut().and_then(|select| select.node.as_mut())
        {
            select.where_clause.clone_from(&stmt.where_clause);
        }
        self.copy_source = Some(columns.clone());
        let query = self.query(&node)?;
        self.copy_source = None;
        if let QueryBody::Insert(insert) = &query.body
            && self.is_guarded(insert.relation)?
        {
            let message = "COPY FROM not supported with row-level security";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
                .hint("Use INSERT statements instead."));
        }
        let statement = self.inner_statement(query)?;
        let rows = CopyRows { direction: CopyDirection::From, format, columns };
        Ok(Copy { rows, statement, table: table.name })
    }

    fn copy_table(&mut self, stmt: &CopyStmt, table: TableDef, columns: Vec<OutputColumn>) -> Result<Copy> {
        let schema = quote_ident(&table.schema);
        let text = format!("SELECT {} FROM {schema}.{}", names(&columns), quote_ident(&table.name));
        let query = self.query(&parsed(&text)?)?;
        self.copy_to(stmt, query, Some(&table))
    }

    fn copy_query(&mut self, stmt: &CopyStmt) -> Result<Copy> {
        let refuse = |message: &str| Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        let node = nodes::required(stmt.query.as_deref())?;
        let returning = match node {
            NodeEnum::SelectStmt(select) if select.into_clause.is_some() => {
                return refuse("COPY (SELECT INTO) is not supported");
            }
            NodeEnum::InsertStmt(insert) => insert.returning_clause.is_some(),
            NodeEnum::UpdateStmt(update) => update.returning_clause.is_some(),
            NodeEnum::DeleteStmt(delete) => delete.returning_clause.is_some(),
            NodeEnum::MergeStmt(_) => return refuse("MERGE not supported in COPY"),
            _ => true,
        };
        if !returning {
            return refuse("COPY query must have a RETURNING clause");
        }
        let query = self.query(node)?;
        self.copy_to(stmt, query, None)
    }

    fn copy_to(&mut self, stmt: &CopyStmt, query: Query, table: Option<&TableDef>) -> Result<Copy> {
        let columns = query.columns.clone();
        let format = self.copy_format(stmt, CopyDirection::To, &columns, table)?;
        let statement = self.inner_statement(query)?;
        let rows = CopyRows { direction: CopyDirection::To, format, columns };
        Ok(Copy { rows, statement, table: String::new() })
    }

    /// A query with the parameters and relations of this statement.
    pub(super) fn inner_statement(&mut self, query: Query) -> Result<Statement> {
        let parameters = std::mem::replace(&mut self.parameters, Parameters::none()).settle()?;
        self.parameters = Parameters::inferred(&parameters);
        let relations = std::mem::take(&mut self.relations);
        Ok(Statement { kind: StatementKind::Query(Box::new(query)), parameters, relations })
    }

    fn copy_format(
        &self,
        stmt: &CopyStmt,
        direction: CopyDirection,
        columns: &[OutputColumn],
        table: Option<&TableDef>,
    ) -> Result<CopyFormat> {
        super::copy_options::format(stmt, direction, columns, table, &|location| self.at(location))
    }
}

pub(super) fn no_column(table: &TableDef, name: &str) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
    SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
}

fn names(columns: &[OutputColumn]) -> String {
    let names: Vec<String> = columns.iter().map(|column| quote_ident(&column.name)).collect();
    names.join(", ")
}

fn parsed(text: &str) -> Result<NodeEnum> {
    let statement = parser::parse(text)?.pop();
    statement.map(|statement| statement.node).ok_or_else(nodes::missing)
}
