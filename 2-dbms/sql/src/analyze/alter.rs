//! ALTER TABLE: columns, renaming, SET SCHEMA.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{AlterObjectSchemaStmt, AlterTableCmd, ObjectType, RangeVar, RenameStmt};
use tuplix_types::{Result, SqlError};

use super::ddl::object_name;
use super::{Analyzer, nodes, text};
use crate::plan::{AlterTable, Ddl, RelationKind, RoleDdl};

impl Analyzer<'_> {
    pub(super) fn alter_add_column(
        &mut self,
        table: &RangeVar,
        command: &AlterTableCmd,
    ) -> Result<AlterTable> {
        let NodeEnum::ColumnDef(parsed) = nodes::required(command.def.as_deref())? else {
            return Err(nodes::missing());
        };
        let mut constraints = Vec::new();
        let column = self.column_definition(&table.relname, parsed, &mut constraints, &mut Vec::new())?;
        let sequence = self.column_sequences.pop().map(Box::new);
        Ok(AlterTable::AddColumn { column, constraints, sequence, if_not_exists: command.missing_ok })
    }

    pub(super) fn alter_column_type(&mut self, command: &AlterTableCmd) -> Result<AlterTable> {
        let NodeEnum::ColumnDef(parsed) = nodes::required(command.def.as_deref())? else {
            return Err(nodes::missing());
        };
        let type_name = parsed.type_name.as_ref().ok_or_else(nodes::missing)?;
        let (ty, typmod) = self.type_of_column(&command.name, type_name)?;
        if let Some(clause) = parsed.coll_clause.as_deref() {
            return Err(self.unsupported("COLLATE in ALTER COLUMN TYPE", clause.location));
        }
        let using = parsed.raw_default.as_deref().map(text::expression).transpose()?;
        Ok(AlterTable::SetType { column: command.name.clone(), ty, typmod, using })
    }

    pub(super) fn rename(&mut self, stmt: &RenameStmt) -> Result<Ddl> {
        let kind = ObjectType::try_from(stmt.rename_type).map_err(|_| nodes::missing())?;
        if let Some(ddl) = self.rename_routine(stmt)? {
            return Ok(ddl);
        }
        let relations = [ObjectType::ObjectTable, ObjectType::ObjectView, ObjectType::ObjectMatview];
        let of_relation = relations.iter().any(|kind| stmt.relation_type == *kind as i32);
        let to = stmt.newname.clone();
        if let (ObjectType::ObjectSequence, Some(name)) = (kind, &stmt.relation) {
            return Ok(Ddl::RenameSequence {
                name: self.qualified_name(name)?,
                if_exists: stmt.missing_ok,
                to,
            });
        }
        if let (ObjectType::ObjectTrigger, Some(table)) = (kind, &stmt.relation) {
            let name = stmt.subname.clone();
            return Ok(Ddl::RenameTrigger { name, table: self.qualified_name(table)?, to });
        }
        let action = match kind {
            ObjectType::ObjectSchema => return Ok(Ddl::RenameSchema { from: stmt.subname.clone(), to }),
            ObjectType::ObjectRole => {
                return Ok(Ddl::Role(RoleDdl::Rename { from: stmt.subname.clone(), to }));
            }
            ObjectType::ObjectIndex => {
                let name = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
                let index = self.qualified_name(name)?;
                return Ok(Ddl::RenameIndex { index, if_exists: stmt.missing_ok, to });
            }
            ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectMatview => {
                AlterTable::Rename(to)
            }
            ObjectType::ObjectTabconstraint => {
                AlterTable::RenameConstraint { from: stmt.subname.clone(), to }
            }
            ObjectType::ObjectColumn if of_relation => {
                AlterTable::RenameColumn { from: stmt.subname.clone(), to }
            }
            other => {
                return Err(SqlError::unsupported(format_args!("ALTER {} ... RENAME", object_name(other))));
            }
        };
        let name = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        let of = match kind {
            ObjectType::ObjectColumn => stmt.relation_type,
            _ => stmt.rename_type,
        };
        Ok(Ddl::AlterTable {
            table: self.qualified_name(name)?,
            if_exists: stmt.missing_ok,
            actions: vec![action],
            of: relation_kind(of),
        })
    }

    pub(super) fn set_schema(&mut self, stmt: &AlterObjectSchemaStmt) -> Result<Ddl> {
        let kind = ObjectType::try_from(stmt.object_type).map_err(|_| nodes::missing())?;
        if let Some(ddl) = self.move_routine(stmt)? {
            return Ok(ddl);
        }
        if let (ObjectType::ObjectSequence, Some(name)) = (kind, &stmt.relation) {
            let (if_exists, schema) = (stmt.missing_ok, stmt.newschema.clone());
            return Ok(Ddl::MoveSequence { name: self.qualified_name(name)?, if_exists, schema });
        }
        if !matches!(kind, ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectMatview) {
            let what = format!("ALTER {} ... SET SCHEMA", object_name(kind));
            return Err(SqlError::unsupported(what));
        }
        let name = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        Ok(Ddl::AlterTable {
            table: self.qualified_name(name)?,
            if_exists: stmt.missing_ok,
            actions: vec![AlterTable::SetSchema(stmt.newschema.clone())],
            of: relation_kind(stmt.object_type),
        })
    }
}

/// What kind of relation ALTER TABLE, ALTER VIEW, ... is about.
pub(super) fn relation_kind(kind: i32) -> RelationKind {
    match ObjectType::try_from(kind) {
        Ok(ObjectType::ObjectView) => RelationKind::View,
        Ok(ObjectType::ObjectMatview) => RelationKind::MaterializedView,
        _ => RelationKind::Table,
    }
}
