//! ALTER COLUMN TYPE: what it changes besides the values, and what forbids it (`ATExecAlterColumnType`).

use std::collections::BTreeSet;

use tuplix_catalog::{CatalogChange, TableDef};
use tuplix_sql::analyze::{TableExpression, analyze_trigger_condition};
use tuplix_sql::parser::quote_ident;
use tuplix_sql::plan::SequenceOption;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Work;
use super::alter::{Alteration, column_of};
use super::alter_columns::refuse_distribution_column;
use super::foreign_key::check_key_types;
use crate::bind::Binder;
use crate::exec::{ColumnSource, columns_read};

impl Work<'_, '_> {
    /// ALTER COLUMN TYPE
    pub(super) fn set_type(
        &mut self,
        change: &mut Alteration,
        name: &str,
        (ty, typmod): (TypeId, i32),
        using: Option<&str>,
    ) -> Result<()> {
        let position = column_of(&change.table, name)?;
        let column = column_of(&change.old, name)?;
        refuse_distribution_column(&change.table, position)?;
        self.refuse_type_of_viewed(&change.table, position)?;
        self.refuse_type_of_read(&change.table, position)?;
        let def = &change.table.columns[position];
        if def.generated.is_some() && using.is_some() {
            let message = "cannot specify USING when altering type of generated column";
            let detail = format!("Column \"{name}\" is a generated column.");
            return Err(SqlError::new(sqlstate::SqlState(*b"42611"), message).detail(detail));
        }
        self.set_identity_type(change, position, ty)?;
        let by_itself = quote_ident(name);
        let purpose = TableExpression::Type { column, ty, typmod, using: using.is_some() };
        let text = using.unwrap_or(&by_itself);
        let value = self.bind_over(&change.old, &change.old, text, purpose)?;
        let table = &mut change.table;
        table.columns[position].ty = ty;
        table.columns[position].typmod = typmod;
        self.check_default_type(change, position)?;
        change.sources[position] = ColumnSource::Compute(value);
        change.checks.extend(change.table.checks.iter().map(|check| check.name.clone()));
        if change.table.columns[position].not_null {
            change.not_null.push(name.to_owned());
        }
        self.recheck_keys(change, position);
        Ok(())
    }

    /// The rows must keep the foreign keys that the column is in, on either side.
    fn recheck_keys(&self, change: &mut Alteration, position: usize) {
        let table = &change.table;
        for key in table.foreign_keys.iter().filter(|key| key.columns.contains(&position)) {
            change.foreign_keys.push((key.id, true));
        }
        for (child, key) in self.catalog.references_to(table.id) {
            if key.parent_columns.contains(&position) {
                change.referring.push((child.id, key.id));
            }
        }
    }

    /// Foreign keys of the table and to it, whose columns may have other types now.
    ///
    /// # Errors
    /// 42804 for one that compares what cannot be compared.
    pub(super) fn check_types_of_keys(&self, change: &Alteration) -> Result<()> {
        let table = &change.table;
        for key in &table.foreign_keys {
            let parent = if key.parent == table.id { None } else { self.catalog.table(key.parent) };
            check_key_types(&self.catalog, table, key, parent.map_or(table, |parent| &**parent))?;
        }
        for (child, id) in change.referring.iter().filter(|(child, _)| *child != table.id) {
            let Some(child) = self.catalog.table(*child) else { continue };
            for key in child.foreign_keys.iter().filter(|key| key.id == *id) {
                check_key_types(&self.catalog, child, key, table)?;
            }
        }
        Ok(())
    }

    /// An identity column draws integers, and its sequence is of its type.
    fn set_identity_type(&mut self, change: &Alteration, position: usize, ty: TypeId) -> Result<()> {
        if change.table.columns[position].identity.is_none() {
            return Ok(());
        }
        if !matches!(ty, TypeId::INT2 | TypeId::INT4 | TypeId::INT8) {
            let message = "identity column type must be smallint, integer, or bigint";
            return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
        }
        if let Some(sequence) = self.catalog.identity_sequence(change.table.id, position).cloned() {
            self.change_sequence(&sequence, &[SequenceOption::As(ty)], true)?;
        }
        Ok(())
    }

    /// Refuses another type for a column that generated columns or triggers read.
    fn refuse_type_of_read(&self, table: &TableDef, position: usize) -> Result<()> {
        let refuse = |what: &str, detail: String| {
            let message = format!("cannot alter type of a column used {what}");
            Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).detail(detail))
        };
        let name = &table.columns[position].name;
        for (place, column) in table.columns.iter().enumerate() {
            if let Some(text) = &column.generated
                && self.columns_of(table, text, TableExpression::Generated(place))?.contains(&position)
            {
                let other = &column.name;
                return refuse(
                    "by a generated column",
                    format!("Column \"{name}\" is used by generated column \"{other}\"."),
                );
            }
        }
        let mut catalog = self.catalog.clone();
        catalog.apply(CatalogChange::PutTable(table.clone()));
        let schema = crate::node::Schema { catalog, ..self.changed_schema() };
        let binder = Binder::new(&schema, &self.search_path);
        for trigger in &table.triggers {
            let mut read: BTreeSet<usize> = trigger.columns.iter().copied().collect();
            if let Some(when) = &trigger.when {
                let (condition, _) = analyze_trigger_condition(&binder.context(), table, when)?;
                read.extend(columns_read(&condition));
            }
            if read.contains(&position) {
                let detail =
                    format!("trigger {} on table {} depends on column \"{name}\"", trigger.name, table.name);
                return refuse("in a trigger definition", detail);
            }
        }
        Ok(())
    }

    /// The columns of a table that an expression of it reads.
    fn columns_of(&self, table: &TableDef, text: &str, purpose: TableExpression) -> Result<BTreeSet<usize>> {
        Ok(columns_read(&self.bind_over(table, table, text, purpose)?))
    }

    /// A default is a value of the old type; it stays when the new type takes those without being told how.
    fn check_default_type(&self, change: &Alteration, position: usize) -> Result<()> {
        let column = &change.table.columns[position];
        if column.default.is_none() {
            return Ok(());
        }
        let old = column_of(&change.old, &column.name)?;
        let purpose =
            TableExpression::Type { column: old, ty: column.ty, typmod: column.typmod, using: false };
        match self.bind_over(&change.old, &change.old, &quote_ident(&column.name), purpose) {
            Err(error) if error.sqlstate() == sqlstate::DATATYPE_MISMATCH => {
                let message = format!(
                    "default for column \"{}\" cannot be cast automatically to type {}",
                    column.name, column.ty
                );
                Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message))
            }
            other => other.map(|_| ()),
        }
    }
}
