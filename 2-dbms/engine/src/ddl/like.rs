//! CREATE TABLE (LIKE ...): a copy of another table's columns, and what INCLUDING names.

use tuplix_catalog::{CLASS_RELATION, CatalogChange, CheckDef, Described, IndexDef, IndexId, TableDef};
use tuplix_sql::plan::{CreateTable, Like};
use tuplix_types::{Result, SqlError, sqlstate};

use super::Work;
use super::names::{object_name, relation_exists, unused};

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
        if like.constraints {
            let checks = source.checks.iter().map(|check| CheckDef { valid: true, ..check.clone() });
            table.checks.extend(checks);
            // They may name the table that they come from.
            super::rename::in_expressions(table, "", "")?;
        }
        if like.indexes {
            for index in &source.indexes {
                let copy = self.copy_index(table, first, index, source);
                self.append_index(table, copy)?;
            }
        }
        if like.comments {
            let comments: Vec<(u32, String)> = (0..source.columns.len() as u32)
                .filter_map(|column| {
                    let about = Described { class: CLASS_RELATION, object: source.id.0, part: column + 1 };
                    Some((column, self.catalog.comment(about)?.to_owned()))
                })
                .collect();
            for (column, text) in comments {
                let part = first as u32 + column + 1;
                let about = Described { class: CLASS_RELATION, object: table.id.0, part };
                self.change(CatalogChange::Comment { about, text: Some(text) });
            }
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
        let names: Vec<&str> =
            index.columns.iter().map(|part| source.columns[part.column].name.as_str()).collect();
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
        for part in &mut copy.columns {
            part.column += first;
            if copy.primary {
                table.columns[part.column].not_null = true;
            }
        }
        copy
    }
}
