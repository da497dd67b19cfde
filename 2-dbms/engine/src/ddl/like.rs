//! CREATE TABLE (LIKE ...): a copy of another table's columns, and what INCLUDING names.

use tuplix_catalog::{
    CLASS_RELATION, CatalogChange, CheckDef, Described, IndexColumn, IndexDef, IndexId, TableDef,
};
use tuplix_sql::plan::{ColumnSequence, CreateTable, Like, SequenceOption};
use tuplix_types::{Result, SqlError, sqlstate};

use super::Work;
use super::names::{called_function, object_name, relation_exists, unused};

/// A LIKE clause: the position of its first column in the new table, and the table that it copies.
type Source = (usize, Like, TableDef);

impl Work<'_, '_> {
    /// The statement with the columns of its LIKE clauses; and the tables to copy the rest from.
    pub(super) fn with_likes(&self, create: &CreateTable) -> Result<(CreateTable, Vec<Source>)> {
        let mut whole = create.clone();
        let mut sources = Vec::new();
        let mut before = 0;
        for (position, like) in std::mem::take(&mut whole.likes) {
            let source = TableDef::clone(&*self.find_table(&like.table)?);
            let at = position + before;
            for (number, column) in source.columns.iter().enumerate() {
                let mut column = column.clone();
                if !like.defaults {
                    column.default = None;
                }
                if !like.generated {
                    column.generated = None;
                }
                // The sequence is made by copy_like.
                column.identity = None;
                if whole.columns.iter().any(|other| other.name == column.name) {
                    let message = format!("column \"{}\" specified more than once", column.name);
                    return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
                }
                whole.columns.insert(at + number, column);
            }
            before += source.columns.len();
            sources.push((at, like, source));
        }
        Ok((whole, sources))
    }

    /// Copies constraints, indexes and comments of a table whose columns begin at position `first` of the new one.
    pub(super) fn copy_like(
        &mut self,
        table: &mut TableDef,
        first: usize,
        like: &Like,
        source: &TableDef,
    ) -> Result<()> {
        if like.identity {
            self.copy_identity(table, first, source)?;
        }
        if like.constraints {
            let checks = source.checks.iter().map(|check| CheckDef { valid: true, oid: 0, ..check.clone() });
            table.checks.extend(checks);
            // They may name the table that they come from.
            let new = table.name.clone();
            super::rename::in_whole_rows(table, &source.name, &new)?;
        }
        if like.indexes {
            for index in &source.indexes {
                let copy = self.copy_index(table, first, index, source);
                self.append_index(table, copy)?;
            }
        }
        if like.comments {
            let about = |table: &TableDef, column: usize| {
                let part = table.number(column) as u32;
                Described { class: CLASS_RELATION, object: table.id.0, part }
            };
            let comments: Vec<(usize, String)> = (0..source.columns.len())
                .filter_map(|column| Some((column, self.catalog.comment(about(source, column))?.to_owned())))
                .collect();
            for (column, text) in comments {
                let about = about(table, first + column);
                self.change(CatalogChange::Comment { about, text: Some(text) });
            }
        }
        Ok(())
    }

    /// Identity columns get sequences of their own, which begin as those of the source did.
    fn copy_identity(&mut self, table: &mut TableDef, first: usize, source: &TableDef) -> Result<()> {
        for (position, column) in source.columns.iter().enumerate() {
            let Some(identity) = column.identity else { continue };
            let Some(sequence) = self.catalog.identity_sequence(source.id, position).cloned() else {
                continue;
            };
            let options = vec![
                SequenceOption::As(sequence.ty),
                SequenceOption::Increment(sequence.increment),
                SequenceOption::Min(Some(sequence.min)),
                SequenceOption::Max(Some(sequence.max)),
                SequenceOption::Start(sequence.start),
                SequenceOption::Cache(sequence.cache),
                SequenceOption::Cycle(sequence.cycle),
            ];
            let column = table.columns[first + position].name.clone();
            let wanted = ColumnSequence { column, name: None, options, identity: Some(identity) };
            self.create_column_sequence(table, &wanted)?;
        }
        Ok(())
    }

    fn copy_index(
        &mut self,
        table: &mut TableDef,
        first: usize,
        index: &IndexDef,
        source: &TableDef,
    ) -> IndexDef {
        let name = |part: &IndexColumn| match &part.expression {
            Some(text) => called_function(text).unwrap_or_else(|| "expr".to_owned()),
            None => source.columns[part.column].name.clone(),
        };
        let names: Vec<String> = index.columns.iter().map(name).collect();
        let joined = names.join("_");
        let (columns, suffix) = match index {
            IndexDef { primary: true, .. } => (None, "pkey"),
            IndexDef { constraint: true, .. } => (Some(joined.as_str()), "key"),
            _ => (Some(joined.as_str()), "idx"),
        };
        let name = unused(object_name(&table.name, columns, suffix), |name| {
            name == table.name
                || table.indexes.iter().any(|other| other.name == name)
                || relation_exists(&self.catalog, &table.schema, name)
        });
        let mut copy = IndexDef { id: IndexId(self.catalog.allocate_oid()), name, ..index.clone() };
        copy.included.iter_mut().for_each(|column| *column += first);
        for part in &mut copy.columns {
            if part.expression.is_some() {
                continue;
            }
            part.column += first;
            if copy.primary {
                table.columns[part.column].not_null = true;
            }
        }
        copy
    }
}
