//! FOREIGN KEY constraints: what they may refer to, whether the rows that are there keep them, and what depends on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tuplix_catalog::{
    Catalog, CatalogChange, Distribution, ForeignKeyDef, IndexDef, IndexId, OnCommit, ReferentialAction,
    TableDef, TableId,
};
use tuplix_sql::plan::{Constraint, ForeignKey};
use tuplix_types::{Result, Severity, SqlError, TypeId, Value, sqlstate};

use super::Work;
use super::names::{object_name, unused};
use crate::exec::{child_error, match_full_error, parent_key};
use crate::stop::Run;
use crate::transaction::{RowBatch, Scan};

impl Work<'_, '_> {
    /// Adds a foreign key to a table definition.
    pub(super) fn add_foreign_key(
        &mut self,
        table: &mut TableDef,
        constraint: &Constraint,
        key: &ForeignKey,
    ) -> Result<()> {
        let is_new = self.catalog.table(table.id).is_none();
        let own = is_new
            && key.parent.name == table.name
            && key.parent.schema.as_ref().is_none_or(|schema| *schema == table.schema);
        let found = if own { None } else { Some(self.find_table(&key.parent)?) };
        // As it is to be, when it refers to itself.
        let parent = found.filter(|found| found.id != table.id).unwrap_or_else(|| Arc::new(table.clone()));
        if parent.query().is_some() {
            let message = format!("referenced relation \"{}\" is not a table", parent.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
        }
        refuse_persistence(table, &parent)?;
        let column = |of: &TableDef, name: &String| {
            of.column(name).ok_or_else(|| {
                let message =
                    format!("column \"{name}\" referenced in foreign key constraint does not exist");
                SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
            })
        };
        let columns = key.columns.iter().map(|name| column(table, name)).collect::<Result<Vec<_>>>()?;
        let set_columns = key.set_columns.iter().map(|name| match column(table, name) {
            Ok(position) if columns.contains(&position) => Ok(position),
            Ok(_) => {
                let message = format!(
                    "column \"{name}\" referenced in ON DELETE SET action must be part of foreign key"
                );
                Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message))
            }
            Err(error) => Err(error),
        });
        let set_columns = set_columns.collect::<Result<Vec<_>>>()?;
        let (parent_index, parent_columns) = referenced_index(&parent, key)?;
        let name = self.foreign_key_name(table, constraint, key)?;
        if columns.len() != parent_columns.len() {
            let message = "number of referencing and referenced columns for foreign key disagree";
            return Err(SqlError::new(INVALID_FOREIGN_KEY, message));
        }
        let made = ForeignKeyDef {
            id: self.catalog.allocate_oid(),
            name,
            columns,
            parent: parent.id,
            parent_columns,
            parent_index,
            match_full: key.match_full,
            on_delete: key.on_delete,
            on_update: key.on_update,
            set_columns,
            deferrable: key.deferrable,
            deferred: key.deferred,
            valid: true,
        };
        check_key_types(&self.catalog, table, &made, &parent)?;
        refuse_generated(table, &made)?;
        check_places(table, &made, &parent)?;
        table.foreign_keys.push(made);
        Ok(())
    }

    fn foreign_key_name(
        &self,
        table: &TableDef,
        constraint: &Constraint,
        key: &ForeignKey,
    ) -> Result<String> {
        let taken = |name: &str| {
            table.checks.iter().any(|check| check.name == name)
                || table.indexes.iter().any(|index| index.name == name)
                || table.foreign_keys.iter().any(|key| key.name == name)
        };
        match &constraint.name {
            None => {
                let columns = key.columns.join("_");
                Ok(unused(object_name(&table.name, Some(&columns), "fkey"), taken))
            }
            Some(name) if taken(name) => {
                let message = format!("constraint \"{name}\" for relation \"{}\" already exists", table.name);
                Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message))
            }
            Some(name) => Ok(name.clone()),
        }
    }

    /// Whether the rows that are there keep a foreign key of `table`.
    ///
    /// # Errors
    /// 23503 for the first that does not.
    pub(super) fn check_foreign_rows(&mut self, table: &TableDef, key: &ForeignKeyDef) -> Run<()> {
        let Some(access) = self.access(table.id)? else { return Ok(()) };
        let parent = self.access(key.parent)?;
        let mut batch = RowBatch::new();
        for bucket in 0..access.buckets {
            let mut scan = Scan::default();
            loop {
                let more = self.tx.scan(&access, bucket, &mut scan, &[], &mut batch)?;
                for row in &batch {
                    let values: Vec<Value> =
                        key.columns.iter().map(|column| self.tx.read(*row, *column)).collect();
                    let nulls = values.iter().filter(|value| value.is_null()).count();
                    if nulls > 0 {
                        if key.match_full && nulls < values.len() {
                            return Err(match_full_error(table, key).into());
                        }
                        continue;
                    }
                    let found = match &parent {
                        Some(parent) => {
                            let place = parent_key(&parent.table, key, &values);
                            match place {
                                Some((index, key)) => {
                                    let bucket = crate::exec::parent_bucket(parent, index, &key);
                                    self.tx.lookup_unique(parent, bucket, index, &key)?.is_some()
                                }
                                None => false,
                            }
                        }
                        None => false,
                    };
                    if !found {
                        let parent = self.catalog.table(key.parent).map_or("", |parent| parent.name.as_str());
                        return Err(child_error(table, key, parent, &values).into());
                    }
                }
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Refuses to drop what others depend on, `(object, what it depends on)`, or says that they go too.
    pub(super) fn refuse_dependents(
        &mut self,
        what: &str,
        dependents: &[(String, String)],
        cascade: bool,
    ) -> Result<()> {
        if dependents.is_empty() {
            return Ok(());
        }
        if !cascade {
            let lines: Vec<String> =
                dependents.iter().map(|(object, on)| format!("{object} depends on {on}")).collect();
            let message = format!("cannot drop {what} because other objects depend on it");
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(lines.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let notice = match dependents {
            [(object, _)] => {
                SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, format!("drop cascades to {object}"))
            }
            several => {
                let lines: Vec<String> =
                    several.iter().map(|(object, _)| format!("drop cascades to {object}")).collect();
                let message = format!("drop cascades to {} other objects", several.len());
                SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, message).detail(lines.join("\n"))
            }
        };
        self.tx.notice(notice.severity(Severity::Notice));
        Ok(())
    }

    /// Drops the foreign keys of other tables that refer to `tables`, or to one index of a table.
    ///
    /// # Errors
    /// 2BP01 without CASCADE.
    pub(super) fn drop_references(
        &mut self,
        what: &str,
        tables: &[TableId],
        index: Option<&IndexDef>,
        cascade: bool,
    ) -> Result<()> {
        let mut lines = Vec::new();
        let mut keys = Vec::new();
        for id in tables {
            for (child, key) in self.catalog.references_to(*id) {
                let other = match index {
                    Some(index) => key.parent_index == index.id,
                    None => !tables.contains(&child.id) && !self.dropping.contains(&child.id),
                };
                if other {
                    let on = match index {
                        Some(index) => format!("index {}", index.name),
                        None => {
                            let table = self.catalog.table(*id).map_or("", |table| table.name.as_str());
                            format!("table {table}")
                        }
                    };
                    lines.push((format!("constraint {} on table {}", key.name, child.name), on));
                    keys.push((child.id, key.id));
                }
            }
        }
        self.refuse_dependents(what, &lines, cascade)?;
        for (child, key) in keys {
            let Some(child) = self.catalog.table(child) else { continue };
            let mut child = TableDef::clone(child);
            child.foreign_keys.retain(|other| other.id != key);
            self.change(CatalogChange::PutTable(child));
        }
        Ok(())
    }
}

const INVALID_FOREIGN_KEY: tuplix_types::SqlState = tuplix_types::SqlState(*b"42830");

/// The unique index that a key refers to, and the referenced columns.
fn referenced_index(parent: &TableDef, key: &ForeignKey) -> Result<(IndexId, Vec<usize>)> {
    if key.parent_columns.is_empty() {
        let Some(index) = parent.primary_key() else {
            let message = format!("there is no primary key for referenced table \"{}\"", parent.name);
            return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
        };
        return Ok((index.id, index.columns.iter().map(|column| column.column).collect()));
    }
    let mut columns = Vec::with_capacity(key.parent_columns.len());
    for name in &key.parent_columns {
        let Some(column) = parent.column(name) else {
            let message = format!("column \"{name}\" referenced in foreign key constraint does not exist");
            return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message));
        };
        if columns.contains(&column) {
            let message = "foreign key referenced-columns list must not contain duplicates";
            return Err(SqlError::new(INVALID_FOREIGN_KEY, message));
        }
        columns.push(column);
    }
    if columns.len() != key.columns.len() {
        let message = "number of referencing and referenced columns for foreign key disagree";
        return Err(SqlError::new(INVALID_FOREIGN_KEY, message));
    }
    let fits = |index: &&IndexDef| {
        index.unique
            && index.is_plain()
            && index.columns.len() == columns.len()
            && index.columns.iter().all(|column| columns.contains(&column.column))
    };
    match parent.indexes.iter().find(fits) {
        Some(index) => Ok((index.id, columns)),
        None => {
            let message = format!(
                "there is no unique constraint matching given keys for referenced table \"{}\"",
                parent.name
            );
            Err(SqlError::new(INVALID_FOREIGN_KEY, message))
        }
    }
}

/// Whether the columns of a key can be compared with those that they refer to.
///
/// # Errors
/// 42804
pub(super) fn check_key_types(
    catalog: &Catalog,
    child: &TableDef,
    key: &ForeignKeyDef,
    parent: &TableDef,
) -> Result<()> {
    for (column, referenced) in key.columns.iter().zip(&key.parent_columns) {
        let (column, referenced) = (&child.columns[*column], &parent.columns[*referenced]);
        let same = base_type(catalog, column.ty) == base_type(catalog, referenced.ty);
        if !same && !comparable(column.ty, referenced.ty) {
            let message = format!("foreign key constraint \"{}\" cannot be implemented", key.name);
            let detail = format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                column.name, referenced.name, column.ty, referenced.ty
            );
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).detail(detail));
        }
    }
    Ok(())
}

/// What a domain's values are.
fn base_type(catalog: &Catalog, ty: TypeId) -> TypeId {
    match catalog.user_type(ty).and_then(|found| found.domain()) {
        Some(domain) => base_type(catalog, domain.base),
        None => ty,
    }
}

/// Whether values of the two types are compared as they are, or as integers of another width.
fn comparable(child: TypeId, parent: TypeId) -> bool {
    let integer = |ty| matches!(ty, TypeId::INT2 | TypeId::INT4 | TypeId::INT8);
    let text = |ty| matches!(ty, TypeId::TEXT | TypeId::VARCHAR);
    child == parent
        || integer(child) && (integer(parent) || parent == TypeId::NUMERIC)
        || text(child) && text(parent)
}

/// Temporary tables refer to temporary ones, and permanent ones to permanent ones.
fn refuse_persistence(child: &TableDef, parent: &TableDef) -> Result<()> {
    let message = match (child.temporary, parent.temporary) {
        (None, None) => return Ok(()),
        (None, Some(_)) => "constraints on permanent tables may reference only permanent tables",
        (Some(_), None) => "constraints on temporary tables may reference only temporary tables",
        (Some(child), Some(OnCommit::Delete)) if child != OnCommit::Delete => {
            let message = "unsupported ON COMMIT and foreign key combination";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        (Some(_), Some(_)) => return Ok(()),
    };
    Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message))
}

fn refuse_generated(table: &TableDef, key: &ForeignKeyDef) -> Result<()> {
    use ReferentialAction::{Cascade, SetDefault, SetNull};
    if !key.columns.iter().any(|column| table.columns[*column].generated.is_some()) {
        return Ok(());
    }
    let which = match (key.on_delete, key.on_update) {
        (SetNull | SetDefault, _) => "DELETE",
        (_, SetNull | SetDefault | Cascade) => "UPDATE",
        _ => return Ok(()),
    };
    let message = format!("invalid ON {which} action for foreign key constraint containing generated column");
    Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
}

/// Whether a foreign key can be checked where the rows of both tables live.
///
/// # Errors
/// 0A000 that says what would work.
pub(crate) fn check_places(child: &TableDef, key: &ForeignKeyDef, parent: &TableDef) -> Result<()> {
    use ReferentialAction::{SetDefault, SetNull};
    let refuse = |detail: String, hint: &str| {
        let message = format!("cannot create foreign key constraint \"{}\"", key.name);
        Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).detail(detail).hint(hint))
    };
    match (&child.distribution, &parent.distribution) {
        (Distribution::Hash { column }, Distribution::Hash { column: other }) => {
            let mut pairs = key.columns.iter().zip(&key.parent_columns);
            if !pairs.any(|pair| pair == (column, other)) {
                return refuse(
                    format!(
                        "Both tables are distributed, but the key does not pair \"{}\" of \"{}\" with \"{}\" of \"{}\".",
                        child.columns[*column].name, child.name, parent.columns[*other].name, parent.name
                    ),
                    "Put both distribution columns into the key, or make the referenced table a reference table.",
                );
            }
        }
        (_, Distribution::Reference) | (Distribution::Local, Distribution::Local) => {}
        (Distribution::Local, Distribution::Hash { .. }) => {
            return refuse(
                format!("\"{}\" is local and \"{}\" is distributed.", child.name, parent.name),
                "Distribute the referencing table too and put both distribution columns into the key.",
            );
        }
        (_, Distribution::Local) => {
            return refuse(
                format!("\"{}\" is not local but \"{}\" is.", child.name, parent.name),
                "Make the referenced table a reference table with create_reference_table, or drop the foreign key and add it once both are distributed.",
            );
        }
        (Distribution::Reference, Distribution::Hash { .. }) => {
            return refuse(
                format!("\"{}\" is a reference table and \"{}\" is distributed.", child.name, parent.name),
                "Distribute the referencing table, or make the referenced one a reference table.",
            );
        }
    }
    if let Distribution::Hash { column } = child.distribution {
        let sets = matches!(key.on_delete, SetNull | SetDefault)
            && (key.set_columns.is_empty() || key.set_columns.contains(&column));
        let sets_on_update = matches!(key.on_update, SetNull | SetDefault);
        if key.columns.contains(&column) && (sets || sets_on_update) {
            return refuse(
                format!(
                    "SET NULL and SET DEFAULT would change the distribution column \"{}\".",
                    child.columns[column].name
                ),
                "Name the columns to set: ON DELETE SET NULL (column).",
            );
        }
    }
    Ok(())
}

impl Work<'_, '_> {
    /// What ties a column that is about to go: foreign keys, the sequence that it owns, triggers, expressions.
    ///
    /// # Errors
    /// 2BP01 without CASCADE for foreign keys to it; 0A000 for expressions that read it.
    pub(super) fn drop_column_ties(
        &mut self,
        table: &mut TableDef,
        position: usize,
        cascade: bool,
    ) -> Result<()> {
        let name = table.columns[position].name.clone();
        self.refuse_expressions_over(table, position)?;
        let what = format!("column {name} of table {}", table.name);
        let keyed = |index: &&IndexDef| {
            index.included.contains(&position)
                || index.columns.iter().any(|part| part.expression.is_none() && part.column == position)
        };
        for index in table.indexes.iter().filter(keyed).cloned().collect::<Vec<_>>() {
            self.drop_references(&what, &[table.id], Some(&index), cascade)?;
        }
        let now: Vec<u32> = self
            .catalog
            .table(table.id)
            .map(|now| now.foreign_keys.iter().map(|key| key.id).collect())
            .unwrap_or_default();
        table.foreign_keys.retain(|key| now.contains(&key.id) && !key.columns.contains(&position));
        let shift = |column: &mut usize| *column -= usize::from(*column > position);
        let own = table.id;
        for key in &mut table.foreign_keys {
            key.columns.iter_mut().chain(&mut key.set_columns).for_each(shift);
            if key.parent == own {
                key.parent_columns.iter_mut().for_each(shift);
            }
        }
        for trigger in &mut table.triggers {
            trigger.columns.retain(|column| *column != position);
            trigger.columns.iter_mut().for_each(shift);
        }
        // A table with several keys comes several times.
        let children: BTreeSet<TableId> = self
            .catalog
            .references_to(own)
            .filter(|(child, _)| child.id != own)
            .map(|(child, _)| child.id)
            .collect();
        for child in children {
            let Some(child) = self.catalog.table(child) else { continue };
            let mut child = TableDef::clone(child);
            for key in child.foreign_keys.iter_mut().filter(|key| key.parent == own) {
                key.parent_columns.iter_mut().for_each(shift);
            }
            self.change(CatalogChange::PutTable(child));
        }
        for sequence in self.catalog.sequences_of(own).cloned().collect::<Vec<_>>() {
            let Some(mut owner) = sequence.owner else { continue };
            if owner.column == position {
                self.drop_defaults_with(&what, std::slice::from_ref(&sequence), &[own], cascade)?;
                self.change(CatalogChange::DropSequence(sequence.id));
            } else if owner.column > position {
                owner.column -= 1;
                let moved = tuplix_catalog::SequenceDef { owner: Some(owner), ..(*sequence).clone() };
                self.change(CatalogChange::PutSequence(moved));
            }
        }
        Ok(())
    }

    fn refuse_expressions_over(&self, table: &TableDef, position: usize) -> Result<()> {
        let reads =
            |index: &IndexDef| match crate::computed_index::ComputedKeys::of(&self.catalog, table, index) {
                Ok(Some(keys)) => keys.reads(position),
                _ => false,
            };
        let name = &table.columns[position].name;
        let generated = table.columns.iter().filter_map(|column| column.generated.as_deref());
        let when = table.triggers.iter().filter_map(|trigger| trigger.when.as_deref());
        let named = |text: &str| {
            text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '"'))
                .any(|word| word.trim_matches('"') == name)
        };
        let is_tied = table.indexes.iter().any(reads)
            || generated.chain(when).any(named)
            || table.triggers.iter().any(|trigger| trigger.columns == [position]);
        if is_tied {
            let what =
                format!("dropping column \"{name}\", which an index, a generated column or a trigger names,");
            return Err(SqlError::unsupported(what).hint("Drop those first."));
        }
        Ok(())
    }
}
