//! GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, DROP OWNED (`aclchk.c`).

use tuplix_catalog::{
    Acl, AclItem, CLASS_RELATION, CatalogChange, DefaultRights, Holder, Owned, Privileges, Revocation,
    Rights, RightsKind, RoleId, TableDef, grant, revoke,
};
use tuplix_sql::plan::{
    Drop, DropKind, Grant, GrantObject, GrantObjects, Grantee, QualifiedName, RightsDdl, Role, RoutineKind,
};
use tuplix_types::{Result, Severity, SqlError, SqlState, sqlstate};

use super::alter::column_of;
use super::{Work, undefined_table};
use crate::exec::{Refused, relation_kind};
use crate::rights::{THE_DATABASE, schema as owned_schema, sequence as owned_sequence};
use crate::stop::Run;

/// `warning_privilege_not_granted`
const NOT_GRANTED: SqlState = SqlState(*b"01007");
/// `warning_privilege_not_revoked`
const NOT_REVOKED: SqlState = SqlState(*b"01006");

/// An object of GRANT.
struct Target {
    on: Owned,
    kind: RightsKind,
    /// What messages call it.
    word: &'static str,
    name: String,
    table: Option<std::sync::Arc<TableDef>>,
}

/// What a statement grants, and on which columns.
struct Wanted {
    whole: Privileges,
    /// Privileges with the columns' numbers.
    columns: Vec<(Privileges, u32)>,
}

impl Work<'_, '_> {
    pub(super) fn rights_statement(&mut self, statement: &RightsDdl) -> Run<&'static str> {
        match statement {
            RightsDdl::Grant(grant) => {
                self.grant(grant)?;
                Ok(if grant.is_grant { "GRANT" } else { "REVOKE" })
            }
            RightsDdl::Defaults { roles, schemas, grant } => {
                self.default_privileges(roles, schemas, grant)?;
                Ok("ALTER DEFAULT PRIVILEGES")
            }
            RightsDdl::CreatePolicy(create) => self.create_policy(create).map(|()| "CREATE POLICY"),
            RightsDdl::AlterPolicy { name, table, roles, using, check } => {
                self.alter_policy(name, table, roles.as_deref(), using, check)?;
                Ok("ALTER POLICY")
            }
            RightsDdl::DropPolicy { name, table, if_exists } => {
                self.drop_policy(name, table, *if_exists)?;
                Ok("DROP POLICY")
            }
            RightsDdl::RenamePolicy { name, table, to } => {
                self.rename_policy(name, table, to)?;
                Ok("ALTER POLICY")
            }
            RightsDdl::Reassign { roles, to } => {
                self.reassign(roles, to)?;
                Ok("REASSIGN OWNED")
            }
            RightsDdl::DropOwned { roles, cascade } => {
                self.drop_owned(roles, *cascade)?;
                Ok("DROP OWNED")
            }
        }
    }

    /// The roles that a statement names; everybody is [`RoleId::PUBLIC`].
    pub(super) fn grantees(&self, list: &[Grantee]) -> Result<Vec<RoleId>> {
        let id = |grantee: &Grantee| match grantee {
            Grantee::Public => Ok(RoleId::PUBLIC),
            Grantee::Role(role) => self.role(role).map(|role| role.id),
        };
        list.iter().map(id).collect()
    }

    fn grant(&mut self, statement: &Grant) -> Result<()> {
        if let Some(grantor) = &statement.grantor
            && self.role(grantor)?.id != self.services.current_role()
        {
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, "grantor must be current user"));
        }
        let grantees = self.checked_grantees(statement)?;
        for target in self.targets(statement)? {
            let wanted = wanted(statement, &target)?;
            self.grant_on(statement, &target, &wanted, &grantees)?;
        }
        Ok(())
    }

    fn checked_grantees(&self, statement: &Grant) -> Result<Vec<RoleId>> {
        let grantees = self.grantees(&statement.grantees)?;
        if statement.is_grant && statement.option && grantees.contains(&RoleId::PUBLIC) {
            let message = "grant options can only be granted to roles";
            return Err(SqlError::new(sqlstate::INVALID_GRANT_OPERATION, message));
        }
        Ok(grantees)
    }

    fn targets(&self, statement: &Grant) -> Result<Vec<Target>> {
        match &statement.objects {
            GrantObjects::Named(list) => {
                list.iter().map(|object| self.target(statement.kind, object)).collect()
            }
            GrantObjects::AllIn(schemas, routines) => {
                let mut all = Vec::new();
                for schema in schemas {
                    if self.catalog.schema(schema).is_none() {
                        let message = format!("schema \"{schema}\" does not exist");
                        return Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message));
                    }
                    all.extend(self.all_in(schema, statement.kind, *routines));
                }
                Ok(all)
            }
        }
    }

    fn all_in(&self, schema: &str, kind: RightsKind, routines: Option<RoutineKind>) -> Vec<Target> {
        let catalog = &self.catalog;
        match kind {
            RightsKind::Sequence => {
                let found = catalog.sequences().filter(|sequence| sequence.schema == schema);
                found.map(|found| sequence_target(found)).collect()
            }
            RightsKind::Function => {
                let of_kind = |procedure: bool| match routines {
                    Some(RoutineKind::Function) => !procedure,
                    Some(RoutineKind::Procedure) => procedure,
                    _ => true,
                };
                let found = catalog.functions();
                let found = found.filter(|found| found.schema == schema && of_kind(found.is_procedure));
                found.map(|found| function_target(found)).collect()
            }
            _ => {
                let found = catalog.tables().filter(|table| table.schema == schema);
                found.map(table_target).collect()
            }
        }
    }

    fn target(&self, kind: RightsKind, object: &GrantObject) -> Result<Target> {
        if let GrantObject::Relation(name) | GrantObject::Function(name, ..) = object {
            self.check_usage(name)?;
        }
        match object {
            GrantObject::Relation(name) => match (self.find_table(name), self.find_sequence(name)) {
                (Ok(table), _) if kind == RightsKind::Table => Ok(table_target(&table)),
                (Ok(table), _) => {
                    let message = format!("\"{}\" is not a sequence", table.name);
                    Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message))
                }
                (Err(_), Ok(sequence)) => Ok(sequence_target(&sequence)),
                (Err(_), Err(_)) => Err(undefined_table(name)),
            },
            GrantObject::Function(name, types, kind) => {
                let id = self.find_function(name, types.as_deref(), *kind)?;
                let found = self.catalog.function(id);
                found.map(|found| function_target(found)).ok_or_else(|| undefined_table(name))
            }
            GrantObject::Schema(name) => match self.catalog.schema(name) {
                Some(found) => Ok(Target {
                    on: owned_schema(found.oid),
                    kind: RightsKind::Schema,
                    word: "schema",
                    name: name.clone(),
                    table: None,
                }),
                None => {
                    let message = format!("schema \"{name}\" does not exist");
                    Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message))
                }
            },
            GrantObject::Database(name) if *name == self.services.database => Ok(Target {
                on: THE_DATABASE,
                kind: RightsKind::Database,
                word: "database",
                name: name.clone(),
                table: None,
            }),
            GrantObject::Database(name) => {
                let message = format!("database \"{name}\" does not exist");
                Err(SqlError::new(sqlstate::UNDEFINED_DATABASE, message))
            }
        }
    }

    fn grant_on(
        &mut self,
        statement: &Grant,
        target: &Target,
        wanted: &Wanted,
        grantees: &[RoleId],
    ) -> Result<()> {
        let holder = self.services.holder(&self.catalog);
        let mut rights = self.catalog.rights_or_default(target.on);
        let acl = self.catalog.acl(target.kind, target.on);
        if !wanted.whole.is_empty() {
            let (grantor, options) = holder.grantor(&acl, rights.owner, wanted.whole);
            self.warn(&holder, statement, target, (wanted.whole, options), &acl)?;
            let mut changed = acl.clone();
            for grantee in grantees {
                change(&mut changed, rights.owner, statement, (*grantee, grantor), options)?;
            }
            if changed != acl {
                rights.acl = Some(changed);
            }
            // What is taken from a table is taken from its columns.
            if !statement.is_grant && target.kind == RightsKind::Table {
                for column in rights.columns.values_mut() {
                    for grantee in grantees {
                        let taken = options & Privileges::OF_COLUMNS;
                        change(column, rights.owner, statement, (*grantee, grantor), taken)?;
                    }
                }
            }
        }
        for (privileges, column) in &wanted.columns {
            let owner = rights.owner;
            let mut own = rights.columns.get(column).cloned().unwrap_or_default();
            let both: Acl = acl.iter().chain(&own).cloned().collect();
            let (grantor, options) = holder.grantor(&both, owner, *privileges);
            self.warn(&holder, statement, target, (*privileges, options), &both)?;
            for grantee in grantees {
                change(&mut own, owner, statement, (*grantee, grantor), options)?;
            }
            rights.columns.insert(*column, own);
        }
        rights.columns.retain(|_, acl| !acl.is_empty());
        self.change(CatalogChange::PutRights(rights));
        Ok(())
    }

    /// Refuses who has no right at all on the object; warns of what cannot be granted (`restrict_and_check_grant`).
    fn warn(
        &mut self,
        holder: &Holder,
        statement: &Grant,
        target: &Target,
        (wanted, options): (Privileges, Privileges),
        acl: &Acl,
    ) -> Result<()> {
        if options == wanted {
            return Ok(());
        }
        if options.is_empty() && holder.privileges_in(acl).is_empty() {
            return Err(self.services.refuse(Refused::new(
                holder,
                target.word,
                &target.name,
                "GRANT OPTION",
            )));
        }
        let name = &target.name;
        let (state, message) = match (statement.is_grant, options.is_empty()) {
            (true, true) => (NOT_GRANTED, format!("no privileges were granted for \"{name}\"")),
            (true, false) => (NOT_GRANTED, format!("not all privileges were granted for \"{name}\"")),
            (false, true) => (NOT_REVOKED, format!("no privileges could be revoked for \"{name}\"")),
            (false, false) => (NOT_REVOKED, format!("not all privileges could be revoked for \"{name}\"")),
        };
        // PostgreSQL says nothing of ALL of which a part can be granted.
        if options.is_empty() || !statement.privileges.is_empty() {
            self.tx.notice(SqlError::new(state, message).severity(Severity::Warning));
        }
        Ok(())
    }

    fn default_privileges(&mut self, roles: &[Role], schemas: &[String], statement: &Grant) -> Result<()> {
        let grantees = self.checked_grantees(statement)?;
        let current = self.services.current_role();
        let mut owners = Vec::new();
        for role in roles {
            let role = self.role(role)?;
            if !self.catalog.is_member_of(current, role.id) {
                let message = format!("must be member of role \"{}\"", role.name);
                let error = SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message);
                return Err(self.services.note_refusal(error, "MEMBER"));
            }
            owners.push(role.id);
        }
        if roles.is_empty() {
            owners.push(current);
        }
        let mut places = Vec::new();
        for schema in schemas {
            if statement.kind == RightsKind::Schema {
                let message = "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS";
                return Err(SqlError::new(sqlstate::INVALID_GRANT_OPERATION, message));
            }
            let Some(found) = self.catalog.schema(schema) else {
                let message = format!("schema \"{schema}\" does not exist");
                return Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message));
            };
            places.push(Some(found.oid));
        }
        if schemas.is_empty() {
            places.push(None);
        }
        let privileges = plain(statement, statement.kind, "")?;
        for role in owners {
            for schema in &places {
                self.change_defaults((role, *schema), statement, privileges, &grantees)?;
            }
        }
        Ok(())
    }

    fn change_defaults(
        &mut self,
        (role, schema): (RoleId, Option<u32>),
        statement: &Grant,
        privileges: Privileges,
        grantees: &[RoleId],
    ) -> Result<()> {
        let kind = statement.kind;
        let first = if schema.is_none() { kind.default_acl(role) } else { Acl::new() };
        let mut acl =
            self.catalog.default_rights(role, schema, kind).cloned().unwrap_or_else(|| first.clone());
        for grantee in grantees {
            change(&mut acl, role, statement, (*grantee, role), privileges)?;
        }
        let same = acl.len() == first.len() && acl.iter().all(|item| first.contains(item));
        let acl = (!same).then_some(acl);
        self.change(CatalogChange::PutDefaultRights(DefaultRights { role, schema, kind, acl }));
        Ok(())
    }

    /// DROP OWNED: what roles own goes, and what was granted to them.
    fn drop_owned(&mut self, roles: &[Role], cascade: bool) -> Run<()> {
        for role in roles {
            let role = self.role(role)?;
            if !self.catalog.has_rights_of(self.services.current_role(), role.id) {
                let message = "permission denied to drop objects";
                let error = SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message);
                return Err(self.services.note_refusal(error, "MEMBER").into());
            }
            if role.id == RoleId::BOOTSTRAP {
                let message = format!(
                    "cannot drop objects owned by role {} because they are required by the database system",
                    role.name
                );
                return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message).into());
            }
            self.drop_objects_of(role.id, cascade)?;
            self.revoke_all_of(role.id);
        }
        Ok(())
    }

    /// Refuses to drop a role that owns something, was granted something, or is named by a policy.
    pub(super) fn refuse_owner(&self, role: &tuplix_catalog::RoleDef) -> Result<()> {
        let id = role.id;
        let named = |acl: &Acl| acl.iter().any(|item| item.grantee == id || item.grantor == id);
        let of_rights = |rights: &Rights| {
            rights.owner == id || rights.acl.as_ref().is_some_and(named) || rights.columns.values().any(named)
        };
        let mut rights = self.catalog.all_rights();
        let mut defaults = self.catalog.all_default_rights();
        let mut policies = self.catalog.tables().flat_map(|table| &table.row_security.policies);
        let depends = rights.any(|rights| of_rights(rights))
            || defaults.any(|((owner, ..), acl)| *owner == id || named(acl))
            || policies.any(|policy| policy.roles.contains(&id));
        if !depends {
            return Ok(());
        }
        let message = format!("role \"{}\" cannot be dropped because some objects depend on it", role.name);
        Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .hint("Use REASSIGN OWNED and DROP OWNED to be rid of them."))
    }

    fn drop_objects_of(&mut self, role: RoleId, cascade: bool) -> Run<()> {
        let owned =
            |work: &Self, on: Owned| work.catalog.rights(on).is_some_and(|rights| rights.owner == role);
        let name = |schema: &str, name: &str| {
            (QualifiedName { schema: Some(schema.to_owned()), name: name.to_owned(), position: None }, None)
        };
        let tables: Vec<_> =
            self.catalog.tables().filter(|table| owned(self, table.owned())).cloned().collect();
        let mut drops: Vec<(DropKind, _)> = Vec::new();
        let functions = self.catalog.functions().filter(|function| owned(self, function.owned()));
        for table in &tables {
            let kind = match relation_kind(table) {
                "view" => DropKind::View,
                "materialized view" => DropKind::MaterializedView,
                _ => DropKind::Table,
            };
            drops.push((kind, name(&table.schema, &table.name)));
        }
        // Views before what they read.
        drops.sort_by_key(|(kind, _)| *kind == DropKind::Table);
        for function in functions {
            let types = function.inputs().map(|input| input.ty).collect();
            drops.push((DropKind::Routine, (name(&function.schema, &function.name).0, Some(types))));
        }
        let free = self.catalog.sequences().filter(|found| found.owner.is_none());
        drops.extend(
            free.filter(|found| owned(self, owned_sequence(found)))
                .map(|found| (DropKind::Sequence, name(&found.schema, &found.name))),
        );
        let schemas: Vec<_> = self
            .catalog
            .schemas()
            .filter(|schema| owned(self, owned_schema(schema.oid)))
            .map(|schema| schema.name.clone())
            .collect();
        drops.extend(
            schemas
                .into_iter()
                .map(|name| (DropKind::Schema, (QualifiedName { schema: None, name, position: None }, None))),
        );
        for (kind, name) in drops {
            let drop = Drop { kind, if_exists: true, cascade, concurrently: false, names: vec![name] };
            self.drop(&drop)?;
        }
        Ok(())
    }

    /// Takes all that was granted to a role.
    fn revoke_all_of(&mut self, role: RoleId) {
        let named = |acl: &Acl| acl.iter().any(|item| item.grantee == role || item.grantor == role);
        let all: Vec<Rights> = self.catalog.all_rights().map(|rights| Rights::clone(rights)).collect();
        for mut rights in all {
            let before = rights.clone();
            if let Some(acl) = &mut rights.acl {
                acl.retain(|item| item.grantee != role && item.grantor != role);
            }
            rights
                .columns
                .values_mut()
                .for_each(|acl| acl.retain(|item| item.grantee != role && item.grantor != role));
            rights.columns.retain(|_, acl| !acl.is_empty());
            if rights != before {
                self.change(CatalogChange::PutRights(rights));
            }
        }
        let bound = |table: &&std::sync::Arc<TableDef>| {
            table.row_security.policies.iter().any(|policy| policy.roles.contains(&role))
        };
        let tables: Vec<TableDef> =
            self.catalog.tables().filter(bound).map(|table| TableDef::clone(table)).collect();
        for mut table in tables {
            let policies = &mut table.row_security.policies;
            policies.iter_mut().for_each(|policy| policy.roles.retain(|bound| *bound != role));
            policies.retain(|policy| !policy.roles.is_empty());
            self.change(CatalogChange::PutTable(table));
        }
        let defaults: Vec<_> = self
            .catalog
            .all_default_rights()
            .filter(|((owner, ..), acl)| *owner == role || named(acl))
            .map(|(key, acl)| (*key, acl.clone()))
            .collect();
        for ((owner, schema, kind), mut acl) in defaults {
            acl.retain(|item| item.grantee != role);
            let acl = (owner != role).then_some(acl);
            self.change(CatalogChange::PutDefaultRights(DefaultRights { role: owner, schema, kind, acl }));
        }
    }
}

/// Changes a list of grants as a statement says.
fn change(
    acl: &mut Acl,
    owner: RoleId,
    statement: &Grant,
    (grantee, grantor): (RoleId, RoleId),
    privileges: Privileges,
) -> Result<()> {
    if privileges.is_empty() {
        return Ok(());
    }
    if !statement.is_grant {
        let (option_only, cascade) = (statement.option, statement.cascade);
        return revoke(acl, owner, Revocation { grantee, grantor, privileges, option_only, cascade });
    }
    let grantable = if statement.option { privileges } else { Privileges::NONE };
    grant(acl, AclItem { grantee, grantor, privileges, grantable });
    Ok(())
}

fn table_target(table: &std::sync::Arc<TableDef>) -> Target {
    let (word, name) = (relation_kind(table), table.name.clone());
    Target { on: table.owned(), kind: RightsKind::Table, word, name, table: Some(table.clone()) }
}

fn sequence_target(found: &tuplix_catalog::SequenceDef) -> Target {
    let on = Owned { class: CLASS_RELATION, object: found.id.0 };
    Target { on, kind: RightsKind::Sequence, word: "sequence", name: found.name.clone(), table: None }
}

fn function_target(found: &tuplix_catalog::FunctionDef) -> Target {
    let word = if found.is_procedure { "procedure" } else { "function" };
    Target { on: found.owned(), kind: RightsKind::Function, word, name: found.name.clone(), table: None }
}

/// Privileges without columns.
fn plain(statement: &Grant, kind: RightsKind, word: &str) -> Result<Privileges> {
    let mut all = Privileges::NONE;
    if statement.privileges.is_empty() {
        return Ok(kind.privileges());
    }
    for (name, _) in statement.privileges.iter().filter(|(_, columns)| columns.is_empty()) {
        if name.is_empty() {
            all = all | kind.privileges();
            continue;
        }
        let Some(privilege) = Privileges::named(name) else {
            let message = format!("unrecognized privilege type \"{}\"", name.to_lowercase());
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        };
        if !kind.privileges().contains(privilege) {
            let of = if word.is_empty() { kind_word(kind) } else { word };
            let message = format!("invalid privilege type {name} for {of}");
            return Err(SqlError::new(sqlstate::INVALID_GRANT_OPERATION, message));
        }
        all = all | privilege;
    }
    Ok(all)
}

fn kind_word(kind: RightsKind) -> &'static str {
    match kind {
        RightsKind::Table => "relation",
        RightsKind::Sequence => "sequence",
        RightsKind::Function => "function",
        RightsKind::Type => "type",
        RightsKind::Schema => "schema",
        RightsKind::Database => "database",
    }
}

/// What a statement grants on an object.
fn wanted(statement: &Grant, target: &Target) -> Result<Wanted> {
    let mut columns = Vec::new();
    for (name, list) in statement.privileges.iter().filter(|(_, columns)| !columns.is_empty()) {
        let Some(table) = &target.table else {
            let message = "column privileges are only valid for relations";
            return Err(SqlError::new(sqlstate::INVALID_GRANT_OPERATION, message));
        };
        let privilege = match name.as_str() {
            "" => Privileges::OF_COLUMNS,
            name => Privileges::named(name).ok_or_else(|| {
                let message = format!("unrecognized privilege type \"{}\"", name.to_lowercase());
                SqlError::new(sqlstate::SYNTAX_ERROR, message)
            })?,
        };
        if !Privileges::OF_COLUMNS.contains(privilege) {
            let message = format!("invalid privilege type {name} for column");
            return Err(SqlError::new(sqlstate::INVALID_GRANT_OPERATION, message));
        }
        for column in list {
            columns.push((privilege, column_of(table, column)? as u32 + 1));
        }
    }
    let whole = match target.kind {
        // A sequence under the word TABLE, whose privileges it has.
        RightsKind::Sequence if statement.kind == RightsKind::Table => {
            let all = plain(statement, RightsKind::Table, "")? & RightsKind::Sequence.privileges();
            if statement.privileges.is_empty() { RightsKind::Sequence.privileges() } else { all }
        }
        kind => plain(statement, kind, "")?,
    };
    Ok(Wanted { whole, columns })
}
