//! ALTER of functions, indexes, and the OWNER TO of all kinds of objects.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    AlterFunctionStmt, AlterObjectSchemaStmt, AlterOwnerStmt, AlterTableStmt, AlterTableType, Node,
    ObjectType, ObjectWithArgs, RangeVar, RenameStmt, RoleSpec, RoleSpecType,
};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::options::OptionsOf;
use super::{Analyzer, nodes};
use crate::plan::{AlterRoutine, Ddl, ObjectName, QualifiedName, Role, RoutineKind};

/// The kind of routine that a statement is about.
pub(super) fn routine_kind(kind: ObjectType) -> Option<RoutineKind> {
    match kind {
        ObjectType::ObjectFunction => Some(RoutineKind::Function),
        ObjectType::ObjectProcedure => Some(RoutineKind::Procedure),
        ObjectType::ObjectRoutine => Some(RoutineKind::Routine),
        _ => None,
    }
}

/// A role as written.
pub(super) fn role_of(role: Option<&RoleSpec>) -> Result<Role> {
    let role = role.ok_or_else(nodes::missing)?;
    Ok(match RoleSpecType::try_from(role.roletype) {
        Ok(RoleSpecType::RolespecCstring) => Role::Named(role.rolename.clone()),
        Ok(RoleSpecType::RolespecSessionUser) => Role::Session,
        Ok(RoleSpecType::RolespecPublic) => {
            let message = "role \"public\" does not exist";
            return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
        }
        _ => Role::Current,
    })
}

impl Analyzer<'_> {
    /// A routine's name, and the types of its arguments when they are written.
    pub(super) fn routine_name(
        &mut self,
        object: &ObjectWithArgs,
    ) -> Result<(QualifiedName, Option<Vec<TypeId>>)> {
        let name = self.listed_name(&object.objname, -1)?;
        let types: Result<Vec<TypeId>> =
            object.objargs.iter().map(|argument| self.argument_type(argument)).collect();
        Ok((name, (!object.args_unspecified).then_some(types?)))
    }

    fn argument_type(&mut self, node: &Node) -> Result<TypeId> {
        match nodes::inner(node)? {
            NodeEnum::TypeName(name) => Ok(self.type_name(name)?.0),
            _ => Err(nodes::missing()),
        }
    }

    /// ALTER FUNCTION ... RENAME TO; `None` when it is about something else.
    pub(super) fn rename_routine(&mut self, stmt: &RenameStmt) -> Result<Option<Ddl>> {
        let kind = ObjectType::try_from(stmt.rename_type).ok().and_then(routine_kind);
        self.change_routine(kind, stmt.object.as_deref(), AlterRoutine::Rename(stmt.newname.clone()))
    }

    /// ALTER FUNCTION ... SET SCHEMA
    pub(super) fn move_routine(&mut self, stmt: &AlterObjectSchemaStmt) -> Result<Option<Ddl>> {
        let kind = ObjectType::try_from(stmt.object_type).ok().and_then(routine_kind);
        self.change_routine(kind, stmt.object.as_deref(), AlterRoutine::SetSchema(stmt.newschema.clone()))
    }

    fn change_routine(
        &mut self,
        kind: Option<RoutineKind>,
        object: Option<&Node>,
        change: AlterRoutine,
    ) -> Result<Option<Ddl>> {
        let Some(kind) = kind else { return Ok(None) };
        let NodeEnum::ObjectWithArgs(object) = nodes::required(object)? else { return Err(nodes::missing()) };
        let (name, types) = self.routine_name(object)?;
        Ok(Some(Ddl::AlterRoutine { name, types, kind, change }))
    }

    /// ALTER FUNCTION with attributes.
    pub(super) fn alter_routine(&mut self, stmt: &AlterFunctionStmt) -> Result<Ddl> {
        let kind =
            ObjectType::try_from(stmt.objtype).ok().and_then(routine_kind).ok_or_else(nodes::missing)?;
        let (name, types) = self.routine_name(stmt.func.as_ref().ok_or_else(nodes::missing)?)?;
        let change = self.routine_attributes(&stmt.actions)?;
        if let AlterRoutine::Attributes { volatility, strict, .. } = &change
            && kind == RoutineKind::Procedure
            && (volatility.is_some() || strict.is_some())
        {
            let message = "invalid attribute in procedure definition";
            return Err(SqlError::new(sqlstate::INVALID_FUNCTION_DEFINITION, message));
        }
        Ok(Ddl::AlterRoutine { name, types, kind, change })
    }

    /// ALTER INDEX
    pub(super) fn alter_index(&mut self, stmt: &AlterTableStmt, name: &RangeVar) -> Result<Ddl> {
        let (mut set, mut reset) = (Vec::new(), Vec::new());
        for node in &stmt.cmds {
            let NodeEnum::AlterTableCmd(command) = nodes::inner(node)? else { return Err(nodes::missing()) };
            match AlterTableType::try_from(command.subtype) {
                Ok(AlterTableType::AtSetRelOptions) => {
                    set.extend(self.storage_options(super::ddl::listed(command)?, OptionsOf::Index)?);
                }
                Ok(AlterTableType::AtResetRelOptions) => {
                    reset.extend(self.reset_options(super::ddl::listed(command)?)?);
                }
                Ok(AlterTableType::AtChangeOwner) => {
                    let target = ObjectName::Index(self.qualified_name(name)?);
                    return Ok(Ddl::Owner { target, role: role_of(command.newowner.as_ref())? });
                }
                _ => return Err(self.unsupported("this form of ALTER INDEX", name.location)),
            }
        }
        Ok(Ddl::IndexOptions { index: self.qualified_name(name)?, if_exists: stmt.missing_ok, set, reset })
    }

    /// ALTER SEQUENCE ... OWNER TO, which is an ALTER TABLE of one action to the parser.
    pub(super) fn alter_owner_of(&mut self, stmt: &AlterTableStmt, target: ObjectName) -> Result<Ddl> {
        if let [node] = &stmt.cmds[..]
            && let NodeEnum::AlterTableCmd(command) = nodes::inner(node)?
            && AlterTableType::try_from(command.subtype) == Ok(AlterTableType::AtChangeOwner)
        {
            return Ok(Ddl::Owner { target, role: role_of(command.newowner.as_ref())? });
        }
        Err(SqlError::unsupported("this form of ALTER SEQUENCE"))
    }

    /// ALTER ... OWNER TO of what is no relation.
    pub(super) fn alter_owner(&mut self, stmt: &AlterOwnerStmt) -> Result<Ddl> {
        let kind = ObjectType::try_from(stmt.object_type).map_err(|_| nodes::missing())?;
        let object = nodes::required(stmt.object.as_deref())?;
        let target = match (kind, object) {
            (ObjectType::ObjectSchema, NodeEnum::String(name)) => ObjectName::Schema(name.sval.clone()),
            (ObjectType::ObjectDatabase, NodeEnum::String(name)) => ObjectName::Database(name.sval.clone()),
            (ObjectType::ObjectType, NodeEnum::List(name)) => {
                ObjectName::Type(self.listed_name(&name.items, -1)?)
            }
            (ObjectType::ObjectDomain, NodeEnum::List(name)) => {
                ObjectName::Domain(self.listed_name(&name.items, -1)?)
            }
            (kind, NodeEnum::ObjectWithArgs(object)) if routine_kind(kind).is_some() => {
                let (name, types) = self.routine_name(object)?;
                ObjectName::Function(name, types, routine_kind(kind).ok_or_else(nodes::missing)?)
            }
            (other, _) => {
                let what = format!("ALTER {} ... OWNER TO", super::ddl::object_name(other));
                return Err(SqlError::unsupported(what));
            }
        };
        Ok(Ddl::Owner { target, role: role_of(stmt.newowner.as_ref())? })
    }
}
