//! ALTER TABLE: columns that come, go, or change their type.

use std::collections::BTreeSet;

use tuplix_catalog::{CLASS_RELATION, CatalogChange, ColumnDef, Described, Distribution, TableDef};
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::plan::{ColumnSequence, Expr, ExprKind};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::Work;
use super::alter::{Alteration, column_of};
use super::table::MAX_COLUMNS;
use crate::bind::Binder;
use crate::exec::{ColumnSource, columns_read};
use crate::layout::Layout;
use crate::node::Schema;

/// Whether rows have other columns afterwards.
pub(super) fn rows_change(change: &Alteration) -> bool {
    let kept = |(position, source): (usize, &ColumnSource)| matches!(source, ColumnSource::Keep(from) if *from == position);
    change.sources.len() != change.old.columns.len() || !change.sources.iter().enumerate().all(kept)
}

impl Work<'_, '_> {
    /// ADD COLUMN; false when it is there already.
    pub(super) fn add_column(
        &mut self,
        change: &mut Alteration,
        column: &ColumnDef,
        sequence: Option<&ColumnSequence>,
        if_not_exists: bool,
    ) -> Result<bool> {
        let table = &mut change.table;
        if table.column(&column.name).is_some() {
            let message = format!("column \"{}\" of relation \"{}\" already exists", column.name, table.name);
            if if_not_exists {
                self.skip(sqlstate::DUPLICATE_COLUMN, format!("{message}, skipping"));
                return Ok(false);
            }
            return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
        }
        if table.columns_ever() >= MAX_COLUMNS {
            let message = format!("tables can have at most {MAX_COLUMNS} columns");
            return Err(SqlError::new(sqlstate::SqlState(*b"54011"), message));
        }
        table.columns.push(column.clone());
        if let Some(sequence) = sequence {
            self.create_column_sequence(table, sequence)?;
        }
        if column.not_null {
            change.not_null.push(column.name.clone());
        }
        let identity = self.catalog.identity_sequence(table.id, table.columns.len() - 1);
        let drawn = identity.map(|sequence| format!("nextval({}::oid::regclass)", sequence.id.0));
        let written = table.columns.last().and_then(|column| column.default.clone());
        let default = drawn.or(written).or_else(|| self.domain_default(column.ty));
        let source = match &default {
            None if column.generated.is_some() => {
                let purpose = TableExpression::Generated(table.columns.len() - 1);
                let text = column.generated.clone().unwrap_or_default();
                let value = self.bind_over(&change.table, &change.table, &text, purpose)?;
                refuse_generated(&change.table, &value)?;
                ColumnSource::Generate(value)
            }
            None => ColumnSource::Compute(null(column.ty)),
            Some(default) => {
                let purpose = TableExpression::Default(table.columns.len() - 1);
                ColumnSource::Compute(self.bind_over(&change.table, &change.table, default, purpose)?)
            }
        };
        change.sources.push(source);
        Ok(true)
    }

    /// An expression over the columns of `over`, bound where the catalogue has `table`.
    pub(super) fn bind_over(
        &self,
        table: &TableDef,
        over: &TableDef,
        text: &str,
        purpose: TableExpression,
    ) -> Result<Expr> {
        let mut catalog = self.catalog.clone();
        catalog.apply(CatalogChange::PutTable(table.clone()));
        let schema = Schema { catalog, layout: Layout::default(), version: 0 };
        let binder = Binder::new(&schema, &self.search_path);
        Ok(binder.table_expression(over, text, purpose)?.0)
    }

    /// DROP COLUMN, with its indexes and constraints.
    pub(super) fn drop_column(
        &mut self,
        change: &mut Alteration,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        let position = match column_of(&change.table, name) {
            Ok(position) => position,
            Err(error) if if_exists => {
                self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{}, skipping", error.message()));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        refuse_distribution_column(&change.table, position)?;
        self.drop_column_dependents(cascade, &change.table, position)?;
        self.drop_column_ties(&mut change.table, position, cascade)?;
        self.shift_dependencies(&change.table, position)?;
        let mut dropped = BTreeSet::new();
        for check in &change.table.checks {
            let expr =
                self.bind_over(&change.table, &change.table, &check.expression, TableExpression::Check)?;
            if columns_read(&expr).contains(&position) {
                dropped.insert(check.name.clone());
            }
        }
        let table = &mut change.table;
        table.checks.retain(|check| !dropped.contains(&check.name));
        change.checks.retain(|check| !dropped.contains(check));
        change.not_null.retain(|column| column != name);
        let plain = |part: &tuplix_catalog::IndexColumn| part.expression.is_some() || part.column != position;
        table.indexes.retain(|index| index.columns.iter().all(plain) && !index.included.contains(&position));
        for column in table.indexes.iter_mut().flat_map(|index| &mut index.included) {
            *column -= usize::from(*column > position);
        }
        for part in table.indexes.iter_mut().flat_map(|index| &mut index.columns) {
            part.column -= usize::from(part.column > position);
        }
        if let Distribution::Hash { column } = &mut table.distribution {
            *column -= usize::from(*column > position);
        }
        let part = table.number(position) as u32;
        table.remove_column(position);
        change.sources.remove(position);
        let about = Described { class: CLASS_RELATION, object: table.id.0, part };
        if self.catalog.comment(about).is_some() {
            self.change(CatalogChange::Comment { about, text: None });
        }
        self.shift_rights(about.object, position as u32 + 1);
        Ok(())
    }

    /// The rights on columns behind a dropped one move up.
    fn shift_rights(&mut self, table: u32, dropped: u32) {
        let on = tuplix_catalog::Owned { class: CLASS_RELATION, object: table };
        let Some(old) = self.catalog.rights(on).filter(|rights| !rights.columns.is_empty()) else { return };
        let mut rights = tuplix_catalog::Rights::clone(old);
        let kept = rights.columns.into_iter().filter(|(column, _)| *column != dropped);
        rights.columns = kept.map(|(column, acl)| (column - u32::from(column > dropped), acl)).collect();
        self.change(CatalogChange::PutRights(rights));
    }
}

/// A generated column is computed from columns that are not.
fn refuse_generated(table: &TableDef, value: &Expr) -> Result<()> {
    let read = columns_read(value).into_iter().map(|column| &table.columns[column]);
    match read.into_iter().find(|column| column.generated.is_some()) {
        Some(column) => {
            let name = &column.name;
            let message = format!("cannot use generated column \"{name}\" in column generation expression");
            Err(SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message)
                .detail("A generated column cannot reference another generated column."))
        }
        None => Ok(()),
    }
}

pub(super) fn refuse_distribution_column(table: &TableDef, position: usize) -> Result<()> {
    match table.distribution {
        Distribution::Hash { column } if column == position => {
            let message = "cannot execute ALTER TABLE command involving partition column";
            Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
        }
        _ => Ok(()),
    }
}

fn null(ty: TypeId) -> Expr {
    Expr::new(ExprKind::Constant(Value::Null), ty)
}
