//! CREATE TABLE and constraints.

use tuplix_catalog::{
    Catalog, CatalogChange, CheckDef, ColumnDef, Distribution, IndexColumn, IndexDef, IndexId, IndexMethod,
    SequenceId, TableDef, TableId,
};
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::plan::{Constraint, ConstraintKind, CreateTable, Expr, ExprKind};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::Work;
use super::names::{object_name, relation_exists, unused};
use super::texts::Text;
use crate::bind::Binder;
use crate::computed_index::ComputedKeys;
use crate::exec::visit_expr;
use crate::layout::Layout;
use crate::node::Schema;
use crate::services::TEMPORARY_SCHEMA;
use crate::stop::Run;

/// Columns of a table.
pub(super) const MAX_COLUMNS: usize = 1600;
/// Columns of an index.
const MAX_INDEX_COLUMNS: usize = 32;
/// Indexes of a table.
const MAX_INDEXES: usize = 64;

impl Work<'_, '_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Run<&'static str> {
        let schema = match create.temporary {
            Some(_) => self.temporary_schema(),
            None => self.target_schema(&create.name)?,
        };
        let name = &create.name.name;
        if relation_exists(&self.catalog, &schema, name) {
            if create.if_not_exists {
                self.skip(sqlstate::DUPLICATE_TABLE, format!("relation \"{name}\" already exists, skipping"));
                return Ok("CREATE TABLE");
            }
            let message = format!("relation \"{name}\" already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message).into());
        }
        if self.catalog.type_named(&schema, name).is_some_and(|ty| ty.element().is_none()) {
            let message = format!("type \"{name}\" already exists");
            let error = SqlError::new(sqlstate::DUPLICATE_OBJECT, message);
            return Err(error
                .hint("A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.")
                .into());
        }
        let (create, likes) = self.with_likes(create)?;
        if create.columns.len() > MAX_COLUMNS {
            let message = format!("tables can have at most {MAX_COLUMNS} columns");
            return Err(SqlError::new(sqlstate::SqlState(*b"54011"), message).into());
        }
        for (position, column) in create.columns.iter().enumerate() {
            if create.columns[..position].iter().any(|other| other.name == column.name) {
                let message = format!("column \"{}\" specified more than once", column.name);
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message).into());
            }
        }
        let id = TableId(self.catalog.allocate_oid());
        let mut table = TableDef {
            temporary: create.temporary,
            options: create.options.clone(),
            ..TableDef::new(id, schema, name.clone(), create.columns.clone())
        };
        for (first, like, source) in &likes {
            self.copy_like(&mut table, *first, like, source)?;
        }
        for sequence in &create.sequences {
            self.create_column_sequence(&mut table, sequence)?;
        }
        let (references, others): (Vec<_>, Vec<_>) = create
            .constraints
            .iter()
            .partition(|constraint| matches!(constraint.kind, ConstraintKind::ForeignKey(_)));
        // Keys first: a foreign key may refer to its own table's.
        for constraint in others.into_iter().chain(references) {
            self.add_constraint(&mut table, constraint)?;
        }
        self.check_expressions(&table)?;
        self.put_table(table)?;
        Ok("CREATE TABLE")
    }

    /// Adds a constraint to a table definition.
    pub(super) fn add_constraint(&mut self, table: &mut TableDef, constraint: &Constraint) -> Result<()> {
        match &constraint.kind {
            ConstraintKind::PrimaryKey(columns) => {
                if table.primary_key().is_some() {
                    let message =
                        format!("multiple primary keys for table \"{}\" are not allowed", table.name);
                    return Err(
                        SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message).at(constraint.position)
                    );
                }
                let key = self.key_columns(table, columns, constraint)?;
                for column in &key {
                    table.columns[column.column].not_null = true;
                }
                let name = self.constraint_name(table, constraint, None, "pkey")?;
                let included = self.included_columns(table, &constraint.included)?;
                self.push_index(table, name, (key, included), true)
            }
            ConstraintKind::Unique(columns) => {
                let key = self.key_columns(table, columns, constraint)?;
                let joined = [&columns[..], &constraint.included].concat().join("_");
                let name = self.constraint_name(table, constraint, Some(&joined), "key")?;
                let included = self.included_columns(table, &constraint.included)?;
                self.push_index(table, name, (key, included), false)
            }
            ConstraintKind::Check { expression, column } => {
                let name = self.constraint_name(table, constraint, column.as_deref(), "check")?;
                let valid = !constraint.not_valid;
                table.checks.push(CheckDef { name, expression: expression.clone(), valid, oid: 0 });
                Ok(())
            }
            ConstraintKind::ForeignKey(key) => self.add_foreign_key(table, constraint, key),
            ConstraintKind::UsingIndex { index, primary } => {
                self.key_of_index(table, constraint, index, *primary)
            }
        }
    }

    /// PRIMARY KEY and UNIQUE USING INDEX: the index is the constraint's from now on.
    fn key_of_index(
        &mut self,
        table: &mut TableDef,
        constraint: &Constraint,
        index: &str,
        primary: bool,
    ) -> Result<()> {
        let at = |error: SqlError| error.at(constraint.position);
        let Some(place) = table.indexes.iter().position(|other| other.name == index) else {
            let elsewhere = self.catalog.table_of_index(&table.schema, index).is_some();
            let (state, message) = if elsewhere {
                let message = format!("index \"{index}\" does not belong to table \"{}\"", table.name);
                (sqlstate::WRONG_OBJECT_TYPE, message)
            } else {
                (sqlstate::UNDEFINED_OBJECT, format!("index \"{index}\" does not exist"))
            };
            return Err(at(SqlError::new(state, message)));
        };
        let found = &table.indexes[place];
        if found.constraint {
            let message = format!("index \"{index}\" is already associated with a constraint");
            return Err(at(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)));
        }
        if primary && table.primary_key().is_some() {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
            return Err(at(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message)));
        }
        let refused = [
            (!found.unique, format!("\"{index}\" is not a unique index")),
            (
                found.columns.iter().any(|key| key.expression.is_some()),
                format!("index \"{index}\" contains expressions"),
            ),
            (found.predicate.is_some(), format!("\"{index}\" is a partial index")),
            (
                found.columns.iter().any(|key| key.descending || key.nulls_first || key.class.is_some()),
                format!("index \"{index}\" column number 1 does not have default sorting behavior"),
            ),
        ];
        if let Some((_, message)) = refused.into_iter().find(|(refused, _)| *refused) {
            return Err(at(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message)
                .detail("Cannot create a primary key or unique constraint using such an index.")));
        }
        if let Some(name) = constraint.name.as_ref().filter(|name| *name != index) {
            self.constraint_name(table, constraint, None, "key")?;
            let message = format!(
                "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{index}\" to \"{name}\""
            );
            self.skip(sqlstate::SUCCESSFUL_COMPLETION, message);
        }
        let columns: Vec<usize> = table.indexes[place].columns.iter().map(|key| key.column).collect();
        let found = &mut table.indexes[place];
        if let Some(name) = &constraint.name {
            name.clone_into(&mut found.name);
        }
        (found.constraint, found.primary) = (true, primary);
        for column in columns.into_iter().filter(|_| primary) {
            table.columns[column].not_null = true;
        }
        Ok(())
    }

    fn key_columns(
        &self,
        table: &TableDef,
        names: &[String],
        constraint: &Constraint,
    ) -> Result<Vec<IndexColumn>> {
        if names.len() > MAX_INDEX_COLUMNS {
            let message = format!("cannot use more than {MAX_INDEX_COLUMNS} columns in an index");
            return Err(SqlError::new(sqlstate::SqlState(*b"54011"), message));
        }
        let mut key: Vec<IndexColumn> = Vec::new();
        for name in names {
            let Some(column) = table.column(name) else {
                let message = format!("column \"{name}\" named in key does not exist");
                return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(constraint.position));
            };
            if key.iter().any(|other| other.column == column) {
                let what = match constraint.kind {
                    ConstraintKind::PrimaryKey(_) => "primary key",
                    _ => "unique",
                };
                let message = format!("column \"{name}\" appears twice in {what} constraint");
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message).at(constraint.position));
            }
            key.push(IndexColumn::plain(column));
        }
        Ok(key)
    }

    fn constraint_name(
        &self,
        table: &TableDef,
        constraint: &Constraint,
        column: Option<&str>,
        suffix: &str,
    ) -> Result<String> {
        let is_index = !matches!(constraint.kind, ConstraintKind::Check { .. });
        let in_table = |name: &str| {
            table.checks.iter().any(|check| check.name == name)
                || table.indexes.iter().any(|index| index.name == name)
                || table.foreign_keys.iter().any(|key| key.name == name)
        };
        let taken = |name: &str| {
            in_table(name)
                || (is_index && (name == table.name || relation_exists(&self.catalog, &table.schema, name)))
        };
        match &constraint.name {
            None => Ok(unused(object_name(&table.name, column, suffix), taken)),
            Some(name) if in_table(name) => {
                let message = format!("constraint \"{name}\" for relation \"{}\" already exists", table.name);
                Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message).at(constraint.position))
            }
            Some(name) if taken(name) => {
                let message = format!("relation \"{name}\" already exists");
                Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message).at(constraint.position))
            }
            Some(name) => Ok(name.clone()),
        }
    }

    fn push_index(
        &mut self,
        table: &mut TableDef,
        name: String,
        (columns, included): (Vec<IndexColumn>, Vec<usize>),
        primary: bool,
    ) -> Result<()> {
        check_distribution_in_key(table, &name, &columns)?;
        let id = IndexId(self.catalog.allocate_oid());
        let index = IndexDef {
            id,
            name,
            method: IndexMethod::Hash,
            columns,
            unique: true,
            primary,
            constraint: true,
            predicate: None,
            included,
            options: Vec::new(),
        };
        self.append_index(table, index)
    }

    pub(super) fn append_index(&mut self, table: &mut TableDef, index: IndexDef) -> Result<()> {
        if table.indexes.len() >= MAX_INDEXES {
            let message = format!("tables can have at most {MAX_INDEXES} indexes");
            return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
        }
        table.indexes.push(index);
        Ok(())
    }

    /// Binds all expressions of a table once, so that what is wrong in them is said now.
    pub(super) fn check_expressions(&self, table: &TableDef) -> Result<()> {
        let mut catalog = self.catalog.clone();
        catalog.apply(CatalogChange::PutTable(table.clone()));
        let schema = Schema { catalog, layout: Layout::default(), version: 0 };
        let binder = Binder::new(&schema, &self.search_path);
        let mut copy = table.clone();
        for (kind, text) in super::texts::texts_of(&mut copy) {
            // Those of indexes are bound under another search path.
            let of_index =
                matches!(kind, Text::Expression(TableExpression::Index | TableExpression::IndexPredicate));
            if !of_index {
                let expr = self.bind_text(&binder, table, kind, text)?;
                refuse_temporary_sequence(&schema.catalog, table, &expr)?;
            }
        }
        for index in &table.indexes {
            ComputedKeys::of(&schema.catalog, table, index)?;
        }
        refuse_temporary_rows(&schema.catalog, table)
    }
}

/// A permanent table must not need what goes with the session.
fn refuse_temporary_rows(catalog: &Catalog, table: &TableDef) -> Result<()> {
    let of_temporary = |column: &&ColumnDef| {
        let ty = column.ty.element().unwrap_or(column.ty);
        catalog.table_of_type(ty).is_some_and(|other| other.temporary.is_some())
    };
    if table.temporary.is_none() && table.columns.iter().any(|column| of_temporary(&column)) {
        return Err(SqlError::unsupported("a column of a temporary table's row type in a permanent table"));
    }
    Ok(())
}

/// The same for the sequences that a default draws from.
fn refuse_temporary_sequence(catalog: &Catalog, table: &TableDef, expr: &Expr) -> Result<()> {
    if table.temporary.is_some() {
        return Ok(());
    }
    let mut found = false;
    visit_expr(expr, &mut |expr| {
        if let ExprKind::Constant(Value::Oid(oid)) = expr.kind {
            let sequence = catalog.sequence(SequenceId(oid));
            found |= expr.ty == TypeId::REGCLASS
                && sequence.is_some_and(|sequence| sequence.schema.starts_with(TEMPORARY_SCHEMA));
        }
    });
    if found {
        return Err(SqlError::unsupported("a default of a permanent table that names a temporary sequence"));
    }
    Ok(())
}

/// Citus's rule, which makes a unique key checkable inside one bucket.
pub(crate) fn check_distribution_in_key(table: &TableDef, name: &str, key: &[IndexColumn]) -> Result<()> {
    match table.distribution {
        Distribution::Hash { column }
            if !key.iter().any(|part| part.expression.is_none() && part.column == column) =>
        {
            let message = format!("cannot create constraint on \"{}\"", table.name);
            let detail = format!(
                "Distributed relations cannot have UNIQUE, EXCLUDE, or PRIMARY KEY constraints that do not include \
                 the partition column (with an equality operator if EXCLUDE): \"{name}\" leaves out \"{}\".",
                table.columns[column].name
            );
            Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).detail(detail))
        }
        _ => Ok(()),
    }
}
