//! ALTER TABLE. All actions of a statement are one change: rows are read once.

use std::collections::BTreeSet;

use tuplix_catalog::{CatalogChange, ColumnDef, TableDef, TableId};
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::plan::{AlterTable, Constraint, ConstraintKind, QualifiedName, RelationKind};
use tuplix_types::{Result, SqlError, sqlstate};

use super::Work;
use super::alter_columns::rows_change;
use super::comment::{kind_name, kind_of, not_a};
use crate::bind::Binder;
use crate::exec::{ColumnSource, RowProgram, compile_rows};
use crate::layout::Layout;
use crate::node::Schema;
use crate::stop::Run;

/// A table on its way from one definition to another.
pub(super) struct Alteration {
    /// As it was.
    pub old: TableDef,
    /// As it is to be.
    pub table: TableDef,
    /// Where each column's values come from.
    pub sources: Vec<ColumnSource>,
    /// Columns that must not have NULLs, by name.
    pub not_null: Vec<String>,
    /// CHECKs to test, by name.
    pub checks: Vec<String>,
    /// New foreign keys by object id, and whether rows that are there are checked.
    pub foreign_keys: Vec<(u32, bool)>,
    /// Foreign keys to the table, with their tables, that its rows are to be checked against anew.
    pub referring: Vec<(TableId, u32)>,
}

impl Work<'_, '_> {
    pub(super) fn alter_table(
        &mut self,
        name: &QualifiedName,
        if_exists: bool,
        actions: &[AlterTable],
        of: RelationKind,
    ) -> Run<&'static str> {
        let tag = match of {
            RelationKind::Table => "ALTER TABLE",
            RelationKind::View => "ALTER VIEW",
            RelationKind::MaterializedView => "ALTER MATERIALIZED VIEW",
        };
        let old = match self.find_table(name) {
            Ok(table) => table,
            Err(error) if if_exists => {
                self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{}, skipping", error.message()));
                return Ok(tag);
            }
            Err(error) => match self.alter_no_table(name, actions)? {
                true => return Ok(tag),
                false => return Err(error.into()),
            },
        };
        // ALTER TABLE knows them all.
        if of != RelationKind::Table && kind_of(&old) != of {
            return Err(not_a(&old.name, kind_name(of)).into());
        }
        self.refuse_altering_view(&old, actions)?;
        if old.view.is_some() {
            return self.alter_view(&old, actions).map(|()| tag);
        }
        if !actions.iter().all(only_names) {
            self.refuse_in_use(&old, "ALTER TABLE")?;
        }
        super::types::refuse_used_rows(&self.catalog, &old, actions)?;
        self.tx.lock_for_ddl(&[old.id])?;
        let old = TableDef::clone(&old);
        let mut change = Alteration {
            sources: (0..old.columns.len()).map(ColumnSource::Keep).collect(),
            table: old.clone(),
            old,
            not_null: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            referring: Vec::new(),
        };
        let mut ordered: Vec<&AlterTable> = actions.iter().collect();
        ordered.sort_by_key(|action| pass(action));
        let mut later: Vec<&Constraint> = Vec::new();
        for action in ordered {
            if pass(action) >= Pass::Constraints {
                self.add_later(&mut change, &mut later, pass(action))?;
            }
            self.alter(&mut change, action, &mut later)?;
        }
        self.add_later(&mut change, &mut later, Pass::Rest)?;
        let before = change.old.clone();
        self.finish_alteration(change)?;
        if let Some(after) = self.catalog.table(before.id).cloned() {
            // What gives a name stands alone.
            if actions.iter().all(only_names) {
                self.follow_names(&before, &after)?;
            }
            self.keep_names_apart(&after, actions)?;
        }
        Ok(tag)
    }

    /// The constraints of new columns come when all columns are there.
    fn add_later(&mut self, change: &mut Alteration, later: &mut Vec<&Constraint>, now: Pass) -> Result<()> {
        let (due, others): (Vec<_>, Vec<_>) =
            std::mem::take(later).into_iter().partition(|constraint| constraint_pass(constraint) <= now);
        *later = others;
        due.into_iter().try_for_each(|constraint| self.alter_constraint(change, constraint))
    }

    fn alter<'a>(
        &mut self,
        change: &mut Alteration,
        action: &'a AlterTable,
        later: &mut Vec<&'a Constraint>,
    ) -> Result<()> {
        let table = &mut change.table;
        match action {
            AlterTable::AddConstraint(constraint) => self.alter_constraint(change, constraint),
            AlterTable::DropConstraint { name, if_exists, cascade } => {
                self.drop_constraint(table, name, *if_exists, *cascade)
            }
            AlterTable::Identity { column, change } => self.alter_identity(table, column, change),
            AlterTable::DropExpression { column, if_exists } => {
                self.drop_expression(table, column, *if_exists)
            }
            AlterTable::EnableTrigger { name, all, enable } => {
                if *all {
                    table.keys_off = !enable;
                }
                super::trigger::enable(table, name.as_deref(), *enable)
            }
            AlterTable::Validate(name) => validate(change, name),
            AlterTable::SetNotNull { column, not_null } => set_not_null(change, column, *not_null),
            AlterTable::SetStatistics { column, target } => {
                let position = column_of(table, column)?;
                table.columns[position].statistics_target = self.statistics_target(*target)?;
                Ok(())
            }
            AlterTable::SetDefault { column, default } => {
                let position = column_of(table, column)?;
                refuse_default(table, position, default.is_some())?;
                table.columns[position].default.clone_from(default);
                Ok(())
            }
            AlterTable::AddColumn { column, constraints, sequence, if_not_exists } => {
                if self.add_column(change, column, sequence.as_deref(), *if_not_exists)? {
                    later.extend(constraints);
                }
                Ok(())
            }
            AlterTable::DropColumn { column, if_exists, cascade } => {
                self.drop_column(change, column, *if_exists, *cascade)
            }
            AlterTable::SetType { column, ty, typmod, using } => {
                self.set_type(change, column, (*ty, *typmod), using.as_deref())
            }
            AlterTable::Rename(name) => self.rename_table(table, name),
            AlterTable::RenameColumn { from, to } => rename_column(table, from, to),
            AlterTable::RenameConstraint { from, to } => self.rename_constraint(table, from, to),
            AlterTable::SetSchema(schema) => self.move_to_schema(table, schema),
            AlterTable::Owner(role) => self.alter_table_owner(table.id, role),
            AlterTable::RowSecurity(change) => {
                super::policy::change_row_security(table, *change);
                Ok(())
            }
            AlterTable::Options { set, reset } => {
                super::index::change_options(&mut table.options, set, reset);
                Ok(())
            }
        }
    }

    fn drop_expression(&mut self, table: &mut TableDef, column: &str, if_exists: bool) -> Result<()> {
        let position = column_of(table, column)?;
        if table.columns[position].generated.take().is_some() {
            return Ok(());
        }
        let message =
            format!("column \"{column}\" of relation \"{}\" is not a stored generated column", table.name);
        if !if_exists {
            return Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
        Ok(())
    }

    fn alter_constraint(&mut self, change: &mut Alteration, constraint: &Constraint) -> Result<()> {
        let table = &mut change.table;
        let (indexes, checks) = (table.indexes.len(), table.checks.len());
        let nullable: Vec<String> = table
            .columns
            .iter()
            .filter(|column| !column.not_null)
            .map(|column| column.name.clone())
            .collect();
        self.add_constraint(table, constraint)?;
        let made = match &constraint.kind {
            ConstraintKind::UsingIndex { .. } => table.indexes.iter().find(|index| index.primary),
            _ => table.indexes.get(indexes),
        };
        if let Some(index) = made.filter(|index| index.primary) {
            let names = index.columns.iter().map(|key| table.columns[key.column].name.clone());
            change.not_null.extend(names.filter(|name| nullable.contains(name)));
        }
        if let Some(check) = table.checks.get(checks).filter(|check| check.valid) {
            change.checks.push(check.name.clone());
        }
        if let (ConstraintKind::ForeignKey(_), Some(key)) = (&constraint.kind, table.foreign_keys.last_mut())
        {
            key.valid = !constraint.not_valid;
            change.foreign_keys.push((key.id, !constraint.not_valid));
        }
        debug_assert!(
            table.checks.len() > checks || !matches!(constraint.kind, ConstraintKind::Check { .. }),
            "a CHECK is added"
        );
        Ok(())
    }

    /// Makes the new definition the table's, and its rows what they become; then new foreign keys are checked.
    fn finish_alteration(&mut self, change: Alteration) -> Run<()> {
        let own = change.foreign_keys.iter().map(|(key, checks)| (change.table.id, *key, *checks));
        let others = change.referring.iter().map(|(child, key)| (*child, *key, true));
        let keys: BTreeSet<(TableId, u32, bool)> = own.chain(others).collect();
        self.check_types_of_keys(&change)?;
        self.finish_rows(change)?;
        for (child, key, checks) in keys {
            self.tx.lock_for_ddl(&[child])?;
            let Some(table) = self.catalog.table(child).cloned() else { continue };
            let Some(key) = table.foreign_keys.iter().find(|other| other.id == key) else { continue };
            // Who is deleting rows of the referenced table is waited for.
            self.tx.lock_for_ddl(&[key.parent])?;
            if checks {
                self.check_foreign_rows(&table, key)?;
            }
        }
        Ok(())
    }

    fn finish_rows(&mut self, change: Alteration) -> Run<()> {
        self.check_expressions(&change.table)?;
        let rewrites = rows_change(&change);
        if !rewrites && change.not_null.is_empty() && change.checks.is_empty() {
            return self.put_table(change.table);
        }
        let program = self.program(&change)?;
        if rewrites {
            return self.rewrite_table(change.table, &program);
        }
        if let Some(access) = self.access(change.table.id)? {
            self.each_row(&access, &program, &mut |_| Ok(()))?;
        }
        self.put_table(change.table)
    }

    fn program(&mut self, change: &Alteration) -> Result<RowProgram> {
        let mut catalog = self.catalog.clone();
        catalog.apply(CatalogChange::PutTable(change.table.clone()));
        let schema = Schema { catalog, layout: Layout::default(), version: 0 };
        let binder = Binder::new(&schema, &self.search_path);
        let table = &change.table;
        let not_null = change.not_null.iter().filter_map(|name| table.column(name)).collect::<Vec<_>>();
        let mut checks = Vec::new();
        for check in table.checks.iter().filter(|check| change.checks.contains(&check.name)) {
            let (expr, _) = binder.table_expression(table, &check.expression, TableExpression::Check)?;
            checks.push((check.name.clone(), expr));
        }
        binder.with_compiler(|compiler| {
            compile_rows(compiler, &change.old, table, &change.sources, &not_null, &checks)
        })
    }

    fn drop_constraint(
        &mut self,
        table: &mut TableDef,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        let count = |table: &TableDef| table.checks.len() + table.indexes.len() + table.foreign_keys.len();
        let before = count(table);
        let of_this = |index: &&tuplix_catalog::IndexDef| index.constraint && index.name == name;
        if let Some(index) = table.indexes.iter().find(of_this).cloned() {
            let what = format!("constraint {name} on table {}", table.name);
            self.drop_references(&what, &[table.id], Some(&index), cascade)?;
            // Its own foreign keys may have gone with it.
            if let Some(now) = self.catalog.table(table.id) {
                table.foreign_keys.retain(|key| now.foreign_keys.iter().any(|other| other.id == key.id));
            }
        }
        table.checks.retain(|check| check.name != name);
        table.foreign_keys.retain(|key| key.name != name);
        table.indexes.retain(|index| !(index.constraint && index.name == name));
        if count(table) < before {
            return Ok(());
        }
        let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
        if if_exists {
            self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
            return Ok(());
        }
        Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
    }
}

/// In what order the actions of one statement are done (`tablecmds.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pass {
    Drop,
    Type,
    Add,
    Attributes,
    Constraints,
    /// They may refer to keys of the same statement.
    ForeignKeys,
    Rest,
}

fn constraint_pass(constraint: &Constraint) -> Pass {
    match constraint.kind {
        ConstraintKind::ForeignKey(_) => Pass::ForeignKeys,
        _ => Pass::Constraints,
    }
}

fn pass(action: &AlterTable) -> Pass {
    match action {
        AlterTable::DropColumn { .. } | AlterTable::DropConstraint { .. } => Pass::Drop,
        AlterTable::Identity { .. } | AlterTable::DropExpression { .. } => Pass::Attributes,
        AlterTable::EnableTrigger { .. } | AlterTable::SetStatistics { .. } => Pass::Rest,
        AlterTable::SetNotNull { not_null: false, .. } | AlterTable::SetDefault { default: None, .. } => {
            Pass::Drop
        }
        AlterTable::SetType { .. } => Pass::Type,
        AlterTable::AddColumn { .. } => Pass::Add,
        AlterTable::SetNotNull { .. } | AlterTable::SetDefault { .. } => Pass::Attributes,
        AlterTable::AddConstraint(constraint) => constraint_pass(constraint),
        AlterTable::Validate(_)
        | AlterTable::Rename(_)
        | AlterTable::RenameColumn { .. }
        | AlterTable::RenameConstraint { .. }
        | AlterTable::Owner(_)
        | AlterTable::RowSecurity(_)
        | AlterTable::Options { .. }
        | AlterTable::SetSchema(_) => Pass::Rest,
    }
}

/// Whether an action changes nothing but names.
fn only_names(action: &AlterTable) -> bool {
    matches!(
        action,
        AlterTable::Rename(_)
            | AlterTable::RenameColumn { .. }
            | AlterTable::RenameConstraint { .. }
            | AlterTable::Owner(_)
            | AlterTable::Options { .. }
            | AlterTable::SetSchema(_)
    )
}

/// A column that makes its own values has no default to set.
fn refuse_default(table: &TableDef, column: usize, sets: bool) -> Result<()> {
    let def = &table.columns[column];
    let of = |kind: &str| {
        let message = format!("column \"{}\" of relation \"{}\" is {kind}", def.name, table.name);
        SqlError::new(sqlstate::SYNTAX_ERROR, message)
    };
    match (def.identity.is_some(), def.generated.is_some()) {
        (true, _) if sets => Err(of("an identity column")),
        (true, _) => {
            Err(of("an identity column").hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead."))
        }
        (_, true) if sets => Err(of("a generated column")),
        (_, true) => {
            Err(of("a generated column")
                .hint("Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead."))
        }
        _ => Ok(()),
    }
}

fn set_not_null(change: &mut Alteration, column: &str, not_null: bool) -> Result<()> {
    let table = &mut change.table;
    let position = column_of(table, column)?;
    let in_key =
        table.primary_key().is_some_and(|key| key.columns.iter().any(|part| part.column == position));
    if !not_null && in_key {
        let message = format!("column \"{column}\" is in a primary key");
        return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message));
    }
    if !not_null && table.columns[position].identity.is_some() {
        let message = format!("column \"{column}\" of relation \"{}\" is an identity column", table.name);
        return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
    }
    if not_null && !table.columns[position].not_null {
        change.not_null.push(column.to_owned());
    }
    table.columns[position].not_null = not_null;
    Ok(())
}

fn validate(change: &mut Alteration, name: &str) -> Result<()> {
    let table = &mut change.table;
    if let Some(check) = table.checks.iter_mut().find(|check| check.name == name) {
        if !check.valid {
            check.valid = true;
            change.checks.push(name.to_owned());
        }
        return Ok(());
    }
    if let Some(key) = table.foreign_keys.iter_mut().find(|key| key.name == name) {
        key.valid = true;
        change.foreign_keys.push((key.id, true));
        return Ok(());
    }
    if table.indexes.iter().any(|index| index.constraint && index.name == name) {
        let message = format!(
            "constraint \"{name}\" of relation \"{}\" is not a foreign key or check constraint",
            table.name
        );
        return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
    }
    let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
    Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
}

/// Names that no column can have.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"];

pub(super) fn rename_column(table: &mut TableDef, from: &str, to: &str) -> Result<()> {
    let position = column_of(table, from)?;
    if table.column(to).is_some() {
        let message = format!("column \"{to}\" of relation \"{}\" already exists", table.name);
        return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
    }
    if SYSTEM_COLUMNS.contains(&to) {
        let message = format!("column name \"{to}\" conflicts with a system column name");
        return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
    }
    super::rename::refuse_conditions(table)?;
    super::rename::in_expressions(table, from, to)?;
    let ColumnDef { name, .. } = &mut table.columns[position];
    to.clone_into(name);
    Ok(())
}

pub(super) fn column_of(table: &TableDef, name: &str) -> Result<usize> {
    table.column(name).ok_or_else(|| {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
        SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
    })
}
