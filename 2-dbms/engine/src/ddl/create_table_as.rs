//! CREATE TABLE AS and SELECT INTO: the query's rows become the new table's without a detour.

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, ColumnDef, MaterializedDef, TableDef, TableId};
use tuplix_sql::plan::{CreateTableAs, Query, Relation, Statement, StatementKind};
use tuplix_storage::{Fragment, FragmentSchema, Memory};
use tuplix_types::{Result, SqlError, Tag, TypeId, Value, sqlstate};

use super::Work;
use super::names::relation_exists;
use crate::bind::Binder;
use crate::exec::{Exec, FrameStack, compile_statement};
use crate::stop::Run;
use crate::transaction::{Transaction, refuse_growth};

/// Executes the statement.
///
/// # Errors
/// Those of the query; 42P07 when the table is there.
pub(super) fn execute(tx: &mut Transaction<'_>, create: &CreateTableAs, arguments: &[Value]) -> Run<Tag> {
    from_rows(tx, create, |tx, each| run_query(tx, &create.query, &create.relations, arguments, each))
}

/// Gives the rows of a query that is part of a change of the catalogue.
///
/// # Errors
/// Those of the query.
pub(super) fn run_query(
    tx: &mut Transaction<'_>,
    query: &Query,
    relations: &[Relation],
    arguments: &[Value],
    each: &mut EachRow<'_>,
) -> Run<()> {
    let services = tx.services();
    let (schema, path) = (services.schema(), services.search_path());
    let statement = Statement {
        kind: StatementKind::Query(Box::new(query.clone())),
        parameters: vec![TypeId::UNKNOWN; arguments.len()],
        relations: relations.to_vec(),
    };
    let binder = Binder::new(&schema, &path);
    let compiled = binder.with_compiler(|compiler| compile_statement(compiler, &statement))?;
    let mut stack = FrameStack::default();
    compiled.run(&mut Exec::new(tx, &mut stack), arguments, each).map(|_| ())
}

/// Puts rows into a fragment without indexes, its memory counted apart until a table has it.
///
/// # Errors
/// Those of `query`; 53200.
pub(super) fn gather(
    tx: &mut Transaction<'_>,
    columns: &[ColumnDef],
    query: impl FnOnce(&mut Transaction<'_>, &mut EachRow<'_>) -> Run<()>,
) -> Run<(Fragment, Arc<Memory>)> {
    let node = tx.node;
    let memory = Arc::new(node.memory_part());
    let columns = columns.iter().map(|column| column.ty).collect();
    let mut fragment =
        Fragment::new(&FragmentSchema { columns, memory: memory.clone(), ..Default::default() });
    query(tx, &mut |row| {
        refuse_growth(node)?;
        fragment.insert(row).map_err(SqlError::from)?;
        Ok(())
    })?;
    Ok((fragment, memory))
}

/// Takes a row into the new table.
pub(crate) type EachRow<'e> = dyn FnMut(&[Value]) -> Run<()> + 'e;

/// Makes the table out of the rows that `query` gives.
///
/// # Errors
/// As [`execute`].
pub(crate) fn from_rows(
    tx: &mut Transaction<'_>,
    create: &CreateTableAs,
    query: impl FnOnce(&mut Transaction<'_>, &mut EachRow<'_>) -> Run<()>,
) -> Run<Tag> {
    let mut work = Work::start(tx)?;
    if let Some(tag) = work.is_there(create)? {
        return Ok(tag);
    }
    let mut table = work.table_of_query(create)?;
    // Its identifier comes with its definition, behind the rows.
    let node = tx.node;
    let (fragment, memory) =
        gather(tx, &table.columns, |tx, each| if create.with_data { query(tx, each) } else { Ok(()) })?;
    // The query may have called functions that changed the catalogue as well.
    let mut work = Work::start(tx)?;
    if work.is_there(create)?.is_some() {
        return Err(exists(&create.name.name).into());
    }
    table.id = TableId(work.catalog.allocate_oid());
    node.keep_memory_of(table.id, &memory);
    if create.temporary.is_some() {
        table.schema = work.temporary_schema();
    }
    if let Some(definition) = &create.materialized {
        table.materialized =
            Some(MaterializedDef { definition: definition.clone(), populated: create.with_data });
        work.check_text(&table)?;
    }
    let rows = fragment.row_count() as u64;
    work.fresh_table(&table, vec![Some(Box::new(fragment))])?;
    work.change(CatalogChange::PutTable(table));
    work.show()?;
    Ok(match create.with_data {
        true => Tag { command: "SELECT", rows: Some(rows) },
        false => Tag { command: tag(create), rows: None },
    })
}

impl Work<'_, '_> {
    /// The tag when IF NOT EXISTS has nothing to do.
    fn is_there(&mut self, create: &CreateTableAs) -> Result<Option<Tag>> {
        let schema = match create.temporary {
            Some(_) => self.services.temporary_schema(),
            None => self.target_schema(&create.name)?,
        };
        let name = &create.name.name;
        if !relation_exists(&self.catalog, &schema, name) {
            return Ok(None);
        }
        if !create.if_not_exists {
            return Err(exists(name));
        }
        self.skip(sqlstate::DUPLICATE_TABLE, format!("relation \"{name}\" already exists, skipping"));
        Ok(Some(Tag { command: tag(create), rows: None }))
    }

    fn table_of_query(&self, create: &CreateTableAs) -> Result<TableDef> {
        let mut columns: Vec<ColumnDef> = Vec::with_capacity(create.query.columns.len());
        for (position, column) in create.query.columns.iter().enumerate() {
            let name = create.columns.get(position).unwrap_or(&column.name);
            if columns.iter().any(|other| other.name == *name) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
            }
            if matches!(column.ty, TypeId::RECORD | TypeId::VOID | TypeId::UNKNOWN) {
                let message = format!("column \"{name}\" has pseudo-type {}", column.ty);
                return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message));
            }
            columns.push(ColumnDef::new(name.clone(), column.ty, column.typmod));
        }
        let schema = match create.temporary {
            Some(_) => String::new(),
            None => self.target_schema(&create.name)?,
        };
        let table = TableDef::new(TableId(0), schema, create.name.name.clone(), columns);
        if create.materialized.as_ref().is_some_and(|definition| self.reads_temporary(definition)) {
            let message = "materialized views must not use temporary tables or views";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        Ok(TableDef { temporary: create.temporary, options: create.options.clone(), ..table })
    }
}

fn tag(create: &CreateTableAs) -> &'static str {
    if create.materialized.is_some() { "CREATE MATERIALIZED VIEW" } else { "CREATE TABLE AS" }
}

fn exists(name: &str) -> SqlError {
    SqlError::new(sqlstate::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"))
}
