//! Statements that change the catalogue: schemas, indexes, ALTER, DROP, TRUNCATE.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, CreateSchemaStmt, DropBehavior, DropStmt, IndexElem,
    IndexStmt, Node, ObjectType, RangeVar, ReindexStmt, SortByDir, SortByNulls, TruncateStmt,
};
use tuplix_catalog::{IndexColumn, IndexMethod};
use tuplix_types::{Result, SqlError, sqlstate};

use super::alter_routine::role_of;
use super::options::OptionsOf;
use super::scope::Found;
use super::{Analyzer, nodes, text};
use crate::plan::{AlterTable, CreateIndex, Ddl, Drop, DropKind, ObjectName, QualifiedName};

impl Analyzer<'_> {
    /// A statement that changes the catalogue; `None` for any other.
    pub(super) fn ddl(&mut self, node: &NodeEnum) -> Result<Option<Ddl>> {
        if let Some(statement) = self.type_statement(node)? {
            return Ok(Some(Ddl::Type(statement)));
        }
        if let Some(statement) = self.rights_statement(node)? {
            return Ok(Some(statement));
        }
        if let Some(statement) = self.role_statement(node)? {
            return Ok(Some(statement));
        }
        Ok(Some(match node {
            NodeEnum::CreateSchemaStmt(stmt) => self.create_schema(stmt)?,
            NodeEnum::CreateStmt(stmt) => Ddl::CreateTable(self.create_table(stmt)?),
            NodeEnum::IndexStmt(stmt) => Ddl::CreateIndex(self.create_index(stmt)?),
            NodeEnum::CreateFunctionStmt(stmt) => Ddl::CreateFunction(self.create_function(stmt)?),
            NodeEnum::DropStmt(stmt) if stmt.remove_type == ObjectType::ObjectTrigger as i32 => {
                self.drop_trigger(stmt)?
            }
            NodeEnum::DropStmt(stmt) if stmt.remove_type == ObjectType::ObjectExtension as i32 => {
                self.drop_extension(stmt)?
            }
            NodeEnum::ViewStmt(stmt) => Ddl::CreateView(self.create_view(stmt)?),
            NodeEnum::DropStmt(stmt) => Ddl::Drop(self.drop_objects(stmt)?),
            NodeEnum::TruncateStmt(stmt) => self.truncate(stmt)?,
            NodeEnum::AlterTableStmt(stmt) => self.alter_table(stmt)?,
            NodeEnum::RenameStmt(stmt) => self.rename(stmt)?,
            NodeEnum::CreateSeqStmt(stmt) => self.create_sequence(stmt)?,
            NodeEnum::AlterSeqStmt(stmt) => self.alter_sequence(stmt)?,
            NodeEnum::CreateTrigStmt(stmt) => Ddl::CreateTrigger(self.create_trigger(stmt)?),
            NodeEnum::AlterObjectSchemaStmt(stmt) => self.set_schema(stmt)?,
            NodeEnum::CreateTableAsStmt(stmt) => self.create_table_as(stmt)?,
            NodeEnum::RefreshMatViewStmt(stmt) => self.refresh(stmt)?,
            NodeEnum::CommentStmt(stmt) => self.comment(stmt)?,
            NodeEnum::VacuumStmt(stmt) => Ddl::Analyze(self.vacuum(stmt)?),
            NodeEnum::CreateExtensionStmt(stmt) => {
                Ddl::Extension { name: stmt.extname.clone(), create: true, lenient: stmt.if_not_exists }
            }
            NodeEnum::LockStmt(stmt) => self.lock_tables(stmt)?,
            NodeEnum::AlterOwnerStmt(stmt) => self.alter_owner(stmt)?,
            NodeEnum::AlterFunctionStmt(stmt) => self.alter_routine(stmt)?,
            NodeEnum::ReindexStmt(stmt) => self.reindex(stmt)?,
            _ => return Ok(None),
        }))
    }

    /// A table's name as written.
    pub(super) fn qualified_name(&self, name: &RangeVar) -> Result<QualifiedName> {
        self.local_database(name)?;
        Ok(QualifiedName {
            schema: nodes::non_empty(&name.schemaname).map(str::to_owned),
            name: name.relname.clone(),
            position: self.at(name.location),
        })
    }

    /// A name given as a list of strings.
    pub(super) fn listed_name(&self, names: &[Node], location: i32) -> Result<QualifiedName> {
        let position = self.at(location);
        match nodes::strings(names)[..] {
            [name] => Ok(QualifiedName { schema: None, name: name.to_owned(), position }),
            [schema, name] => {
                Ok(QualifiedName { schema: Some(schema.to_owned()), name: name.to_owned(), position })
            }
            ref names => {
                let message = format!("improper qualified name (too many dotted names): {}", names.join("."));
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position))
            }
        }
    }

    fn create_schema(&self, stmt: &CreateSchemaStmt) -> Result<Ddl> {
        if let Some(role) = &stmt.authrole {
            return Err(self.unsupported("CREATE SCHEMA AUTHORIZATION", role.location));
        }
        if let Some(element) = stmt.schema_elts.first() {
            return Err(self.unsupported("CREATE SCHEMA with elements", nodes::location(element)));
        }
        Ok(Ddl::CreateSchema { name: stmt.schemaname.clone(), if_not_exists: stmt.if_not_exists })
    }

    fn create_index(&mut self, stmt: &IndexStmt) -> Result<CreateIndex> {
        let table = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        let location = table.location;
        let refused =
            [(!stmt.table_space.is_empty(), "TABLESPACE"), (stmt.nulls_not_distinct, "NULLS NOT DISTINCT")];
        if let Some((_, what)) = refused.iter().find(|(given, _)| *given) {
            return Err(self.unsupported(what, location));
        }
        let method = match stmt.access_method.as_str() {
            "" | "btree" => IndexMethod::Ordered,
            "hash" => IndexMethod::Hash,
            "gin" | "gist" | "brin" | "spgist" => {
                return Err(
                    self.unsupported(format_args!("access method \"{}\"", stmt.access_method), location)
                );
            }
            other => {
                let message = format!("access method \"{other}\" does not exist");
                return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
            }
        };
        let not_for_hash = |what: &str| {
            let message = format!("access method \"hash\" does not support {what}");
            SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
        };
        if method == IndexMethod::Hash && stmt.unique {
            return Err(not_for_hash("unique indexes"));
        }
        if method == IndexMethod::Hash && !stmt.index_including_params.is_empty() {
            let message = "access method \"hash\" does not support included columns";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        if method == IndexMethod::Hash && stmt.index_params.len() > 1 {
            return Err(not_for_hash("multicolumn indexes"));
        }
        let kind = if method == IndexMethod::Hash { OptionsOf::Hash } else { OptionsOf::Ordered };
        let options = self.storage_options(&stmt.options, kind)?;
        let included = included_columns(&stmt.index_including_params)?;
        let mut columns = Vec::with_capacity(stmt.index_params.len());
        for node in &stmt.index_params {
            let NodeEnum::IndexElem(element) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if method == IndexMethod::Hash && element.ordering > SortByDir::SortbyDefault as i32 {
                return Err(not_for_hash("ASC/DESC options"));
            }
            columns.push(self.index_column(element, location)?);
        }
        let predicate = stmt.where_clause.as_deref().map(text::expression).transpose()?;
        self.check_index_expressions(table, stmt)?;
        Ok(CreateIndex {
            name: nodes::non_empty(&stmt.idxname).map(str::to_owned),
            if_not_exists: stmt.if_not_exists,
            table: self.qualified_name(table)?,
            method,
            unique: stmt.unique,
            columns,
            included,
            options,
            predicate,
            concurrently: stmt.concurrent,
        })
    }

    fn index_column(&self, element: &IndexElem, location: i32) -> Result<(String, IndexColumn)> {
        if !element.collation.is_empty()
            && !matches!(nodes::strings(&element.collation).last(), Some(&"C" | &"POSIX"))
        {
            return Err(self.unsupported("COLLATE in an index", location));
        }
        if !element.opclassopts.is_empty() {
            return Err(self.unsupported("an operator class with parameters", location));
        }
        let class = nodes::strings(&element.opclass).last().map(|class| (*class).to_owned());
        let descending = element.ordering == SortByDir::SortbyDesc as i32;
        let nulls_first = match SortByNulls::try_from(element.nulls_ordering) {
            Ok(SortByNulls::SortbyNullsFirst) => true,
            Ok(SortByNulls::SortbyNullsLast) => false,
            _ => descending,
        };
        let expression = element.expr.as_deref().map(text::expression).transpose()?;
        Ok((element.name.clone(), IndexColumn { column: 0, descending, nulls_first, expression, class }))
    }

    fn reindex(&self, stmt: &ReindexStmt) -> Result<Ddl> {
        let mut concurrently = false;
        for node in &stmt.params {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            match option.defname.as_str() {
                "concurrently" => concurrently = true,
                "verbose" => {}
                other => {
                    return Err(SqlError::unsupported(format_args!("REINDEX ({})", other.to_uppercase())));
                }
            }
        }
        use pg_query::protobuf::ReindexObjectType as Of;
        let of_table = match Of::try_from(stmt.kind) {
            Ok(Of::ReindexObjectTable) => Some(true),
            Ok(Of::ReindexObjectIndex) => Some(false),
            _ => None,
        };
        let name = match &stmt.relation {
            Some(name) => self.qualified_name(name)?,
            None => QualifiedName { schema: None, name: stmt.name.clone(), position: None },
        };
        Ok(Ddl::Reindex { of_table, name, outside_blocks: concurrently || of_table.is_none() })
    }

    fn truncate(&self, stmt: &TruncateStmt) -> Result<Ddl> {
        let mut tables = Vec::with_capacity(stmt.relations.len());
        for node in &stmt.relations {
            let NodeEnum::RangeVar(name) = nodes::inner(node)? else { return Err(nodes::missing()) };
            tables.push(self.qualified_name(name)?);
        }
        let cascade = stmt.behavior == DropBehavior::DropCascade as i32;
        Ok(Ddl::Truncate { tables, restart: stmt.restart_seqs, cascade })
    }

    fn drop_extension(&self, stmt: &DropStmt) -> Result<Ddl> {
        let [object] = &stmt.objects[..] else {
            return Err(SqlError::unsupported("DROP EXTENSION of several extensions"));
        };
        let name = nodes::string(object).unwrap_or_default().to_owned();
        Ok(Ddl::Extension { name, create: false, lenient: stmt.missing_ok })
    }

    fn drop_objects(&mut self, stmt: &DropStmt) -> Result<Drop> {
        let kind = match ObjectType::try_from(stmt.remove_type) {
            Ok(ObjectType::ObjectTable) => DropKind::Table,
            Ok(ObjectType::ObjectView) => DropKind::View,
            Ok(ObjectType::ObjectMatview) => DropKind::MaterializedView,
            Ok(ObjectType::ObjectIndex) => DropKind::Index,
            Ok(ObjectType::ObjectSchema) => DropKind::Schema,
            Ok(ObjectType::ObjectSequence) => DropKind::Sequence,
            Ok(ObjectType::ObjectFunction) => DropKind::Function,
            Ok(ObjectType::ObjectProcedure) => DropKind::Procedure,
            Ok(ObjectType::ObjectRoutine) => DropKind::Routine,
            Ok(other) => return Err(SqlError::unsupported(format_args!("DROP {}", object_name(other)))),
            Err(_) => return Err(nodes::missing()),
        };
        let mut names = Vec::with_capacity(stmt.objects.len());
        for node in &stmt.objects {
            names.push(match nodes::inner(node)? {
                NodeEnum::List(list) => (self.listed_name(&list.items, -1)?, None),
                NodeEnum::String(name) => {
                    (QualifiedName { schema: None, name: name.sval.clone(), position: None }, None)
                }
                NodeEnum::ObjectWithArgs(object) => {
                    let name = self.listed_name(&object.objname, -1)?;
                    let mut types = Vec::with_capacity(object.objargs.len());
                    for argument in &object.objargs {
                        let NodeEnum::TypeName(argument) = nodes::inner(argument)? else {
                            return Err(nodes::missing());
                        };
                        types.push(self.type_name(argument)?.0);
                    }
                    (name, (!object.args_unspecified).then_some(types))
                }
                _ => return Err(nodes::missing()),
            });
        }
        let cascade = stmt.behavior == DropBehavior::DropCascade as i32;
        if stmt.concurrent && names.len() > 1 {
            let message = "DROP INDEX CONCURRENTLY does not support dropping multiple objects";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        if stmt.concurrent && cascade {
            let message = "DROP INDEX CONCURRENTLY does not support CASCADE";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        Ok(Drop { kind, if_exists: stmt.missing_ok, cascade, concurrently: stmt.concurrent, names })
    }

    fn alter_table(&mut self, stmt: &AlterTableStmt) -> Result<Ddl> {
        let name = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        match ObjectType::try_from(stmt.objtype) {
            Ok(ObjectType::ObjectIndex) => return self.alter_index(stmt, name),
            Ok(ObjectType::ObjectSequence) => {
                let target = ObjectName::Sequence(self.qualified_name(name)?);
                return self.alter_owner_of(stmt, target);
            }
            _ => {}
        }
        let known = [ObjectType::ObjectTable, ObjectType::ObjectView, ObjectType::ObjectMatview];
        if !known.iter().any(|kind| stmt.objtype == *kind as i32) {
            let kind = ObjectType::try_from(stmt.objtype).map_or("this object", object_name);
            return Err(self.unsupported(format_args!("ALTER {kind}"), name.location));
        }
        let known = self.find_relation(nodes::non_empty(&name.schemaname), &name.relname, None);
        let mut columns = match known {
            Ok(Found::Table(table)) => Some(table.columns.clone()),
            _ => None,
        };
        let mut actions = Vec::with_capacity(stmt.cmds.len());
        for node in &stmt.cmds {
            let NodeEnum::AlterTableCmd(command) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let action = self.alter_action(name, command)?;
            if let (AlterTable::AddColumn { column, .. }, Some(columns), Some(def)) =
                (&action, &mut columns, command.def.as_deref())
            {
                columns.retain(|other| other.name != column.name);
                columns.push(column.clone());
                self.check_generated(&name.relname, columns, std::slice::from_ref(def))?;
            }
            actions.push(action);
        }
        Ok(Ddl::AlterTable {
            table: self.qualified_name(name)?,
            if_exists: stmt.missing_ok,
            actions,
            of: super::alter::relation_kind(stmt.objtype),
        })
    }

    fn alter_action(&mut self, table: &RangeVar, command: &AlterTableCmd) -> Result<AlterTable> {
        let kind = AlterTableType::try_from(command.subtype).map_err(|_| nodes::missing())?;
        match kind {
            AlterTableType::AtAddColumn => self.alter_add_column(table, command),
            AlterTableType::AtAlterColumnType => self.alter_column_type(command),
            AlterTableType::AtDropColumn => {
                let cascade = DropBehavior::try_from(command.behavior) == Ok(DropBehavior::DropCascade);
                let (column, if_exists) = (command.name.clone(), command.missing_ok);
                Ok(AlterTable::DropColumn { column, if_exists, cascade })
            }
            AlterTableType::AtValidateConstraint => Ok(AlterTable::Validate(command.name.clone())),
            AlterTableType::AtAddConstraint => {
                let NodeEnum::Constraint(constraint) = nodes::required(command.def.as_deref())? else {
                    return Err(nodes::missing());
                };
                Ok(AlterTable::AddConstraint(self.table_constraint(constraint)?))
            }
            AlterTableType::AtDropConstraint => Ok(AlterTable::DropConstraint {
                name: command.name.clone(),
                if_exists: command.missing_ok,
                cascade: command.behavior == DropBehavior::DropCascade as i32,
            }),
            AlterTableType::AtAddIdentity
            | AlterTableType::AtSetIdentity
            | AlterTableType::AtDropIdentity => self.alter_identity(kind, command),
            AlterTableType::AtDropExpression => {
                Ok(AlterTable::DropExpression { column: command.name.clone(), if_exists: command.missing_ok })
            }
            AlterTableType::AtEnableTrig | AlterTableType::AtDisableTrig => Ok(AlterTable::EnableTrigger {
                name: Some(command.name.clone()),
                all: false,
                enable: kind == AlterTableType::AtEnableTrig,
            }),
            AlterTableType::AtEnableTrigAll
            | AlterTableType::AtEnableTrigUser
            | AlterTableType::AtDisableTrigAll
            | AlterTableType::AtDisableTrigUser => {
                let on = [AlterTableType::AtEnableTrigAll, AlterTableType::AtEnableTrigUser];
                let all = [AlterTableType::AtEnableTrigAll, AlterTableType::AtDisableTrigAll].contains(&kind);
                Ok(AlterTable::EnableTrigger { name: None, all, enable: on.contains(&kind) })
            }
            AlterTableType::AtSetStatistics => {
                let target = command.def.as_deref().and_then(super::types::integer).unwrap_or(-1);
                Ok(AlterTable::SetStatistics { column: command.name.clone(), target })
            }
            AlterTableType::AtChangeOwner => Ok(AlterTable::Owner(role_of(command.newowner.as_ref())?)),
            AlterTableType::AtEnableRowSecurity
            | AlterTableType::AtDisableRowSecurity
            | AlterTableType::AtForceRowSecurity
            | AlterTableType::AtNoForceRowSecurity => {
                Ok(AlterTable::RowSecurity(super::row_security::change_of(kind)))
            }
            AlterTableType::AtSetRelOptions => {
                let list = listed(command)?;
                let set = self.storage_options(list, OptionsOf::Table)?;
                Ok(AlterTable::Options { set, reset: Vec::new() })
            }
            AlterTableType::AtResetRelOptions => {
                Ok(AlterTable::Options { set: Vec::new(), reset: self.reset_options(listed(command)?)? })
            }
            AlterTableType::AtSetNotNull => {
                Ok(AlterTable::SetNotNull { column: command.name.clone(), not_null: true })
            }
            AlterTableType::AtDropNotNull => {
                Ok(AlterTable::SetNotNull { column: command.name.clone(), not_null: false })
            }
            AlterTableType::AtColumnDefault => {
                let default = match command.def.as_deref() {
                    Some(value) => {
                        self.check_new_default(table, &command.name, value)?;
                        Some(text::expression(value)?)
                    }
                    None => None,
                };
                Ok(AlterTable::SetDefault { column: command.name.clone(), default })
            }
            other => {
                Err(self.unsupported(format_args!("ALTER TABLE ... {}", alter_name(other)), table.location))
            }
        }
    }

    /// Refuses a default that does not fit the column of an existing table.
    fn check_new_default(&mut self, table: &RangeVar, column: &str, value: &Node) -> Result<()> {
        let schema = nodes::non_empty(&table.schemaname);
        let Ok(found) = self.find_relation(schema, &table.relname, None) else { return Ok(()) };
        let Some(def) = found.columns(self).into_iter().find(|def| def.name == column) else { return Ok(()) };
        self.check_default(value, column, def.ty, def.typmod)
    }
}

/// The list of SET and RESET (...).
pub(super) fn listed(command: &AlterTableCmd) -> Result<&[Node]> {
    match nodes::required(command.def.as_deref())? {
        NodeEnum::List(list) => Ok(&list.items),
        _ => Err(nodes::missing()),
    }
}

/// The columns of INCLUDE.
pub(super) fn included_columns(list: &[Node]) -> Result<Vec<String>> {
    let name = |node: &Node| match nodes::inner(node)? {
        NodeEnum::String(name) => Ok(name.sval.clone()),
        NodeEnum::IndexElem(element) if element.expr.is_some() => {
            let message = "expressions are not supported in included columns";
            Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
        }
        NodeEnum::IndexElem(element) => Ok(element.name.clone()),
        _ => Err(nodes::missing()),
    };
    list.iter().map(name).collect()
}

/// The word for a kind of object.
pub(super) fn object_name(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::ObjectView => "VIEW",
        ObjectType::ObjectMatview => "MATERIALIZED VIEW",
        ObjectType::ObjectSequence => "SEQUENCE",
        ObjectType::ObjectType => "TYPE",
        ObjectType::ObjectDomain => "DOMAIN",
        ObjectType::ObjectTrigger => "TRIGGER",
        ObjectType::ObjectEventTrigger => "EVENT TRIGGER",
        ObjectType::ObjectRule => "RULE",
        ObjectType::ObjectPolicy => "POLICY",
        ObjectType::ObjectExtension => "EXTENSION",
        ObjectType::ObjectRoutine => "ROUTINE",
        ObjectType::ObjectAggregate => "AGGREGATE",
        ObjectType::ObjectOperator => "OPERATOR",
        ObjectType::ObjectCast => "CAST",
        ObjectType::ObjectCollation => "COLLATION",
        ObjectType::ObjectLanguage => "LANGUAGE",
        ObjectType::ObjectPublication => "PUBLICATION",
        ObjectType::ObjectStatisticExt => "STATISTICS",
        ObjectType::ObjectForeignTable => "FOREIGN TABLE",
        ObjectType::ObjectForeignServer => "SERVER",
        ObjectType::ObjectIndex => "INDEX",
        ObjectType::ObjectSchema => "SCHEMA",
        ObjectType::ObjectFunction => "FUNCTION",
        ObjectType::ObjectProcedure => "PROCEDURE",
        ObjectType::ObjectTabconstraint => "TABLE ... CONSTRAINT",
        ObjectType::ObjectRole => "ROLE",
        ObjectType::ObjectDatabase => "DATABASE",
        _ => "this kind of object",
    }
}

/// The words of an ALTER TABLE action that is refused.
fn alter_name(kind: AlterTableType) -> &'static str {
    use AlterTableType as T;
    match kind {
        T::AtAddColumn => "ADD COLUMN",
        T::AtDropColumn => "DROP COLUMN",
        T::AtAlterColumnType => "ALTER COLUMN TYPE",
        T::AtDropConstraint => "DROP CONSTRAINT CASCADE",
        T::AtValidateConstraint => "VALIDATE CONSTRAINT",
        T::AtAlterConstraint => "ALTER CONSTRAINT",
        T::AtChangeOwner => "OWNER TO",
        T::AtSetTableSpace => "SET TABLESPACE",
        T::AtSetRelOptions | T::AtResetRelOptions => "SET (...)",
        T::AtSetStorage => "SET STORAGE",
        T::AtSetCompression => "SET COMPRESSION",
        T::AtSetLogged | T::AtSetUnLogged => "SET LOGGED or UNLOGGED",
        T::AtAddInherit | T::AtDropInherit => "INHERIT",
        T::AtEnableTrig | T::AtEnableTrigAll | T::AtEnableTrigUser => "ENABLE TRIGGER",
        T::AtDisableTrig | T::AtDisableTrigAll | T::AtDisableTrigUser => "DISABLE TRIGGER",
        T::AtAttachPartition | T::AtDetachPartition => "ATTACH or DETACH PARTITION",
        T::AtAddIdentity | T::AtSetIdentity | T::AtDropIdentity => "IDENTITY",
        T::AtSetExpression | T::AtDropExpression => "EXPRESSION",
        T::AtReplicaIdentity => "REPLICA IDENTITY",
        T::AtClusterOn | T::AtDropCluster => "CLUSTER",
        _ => "this action",
    }
}
