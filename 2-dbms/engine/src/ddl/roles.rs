//! CREATE, ALTER and DROP ROLE, GRANT and REVOKE of membership, settings of roles and of the database.
//!
//! The rules of who may are PostgreSQL 15's `user.c`: superusers everything; CREATEROLE everything with roles that are no
//! superusers; everybody their own password.

use std::num::NonZeroU32;
use std::sync::Arc;

use tuplix_catalog::{CatalogChange, Membership, RoleDef, RoleId, RoleSettings};
use tuplix_sql::plan::{Member, Role, RoleDdl, RoleOptions, SettingStatement};
use tuplix_types::text_io::parse_text;
use tuplix_types::{Result, Severity, SqlError, SqlState, TypeId, Value, sqlstate};

use super::Work;
use crate::identity::no_role;
use crate::password::{SALT_BYTES, SCRAM_ITERATIONS, Verifier, is_md5};
use crate::stop::Run;

/// `warning`
const WARNING: SqlState = SqlState(*b"01000");
/// `successful_completion`: what a NOTICE without a code of its own carries.
const SUCCESSFUL: SqlState = SqlState(*b"00000");

fn denied<T>(message: impl Into<String>) -> Result<T> {
    Err(SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message))
}

impl Work<'_, '_> {
    pub(super) fn role_statement(&mut self, statement: &RoleDdl) -> Run<&'static str> {
        match statement {
            RoleDdl::Create { name, options, in_roles, members, admins } => {
                self.create_role(name, options, in_roles, [(members, false), (admins, true)])?;
                Ok("CREATE ROLE")
            }
            RoleDdl::Alter { role, options } => {
                self.alter_role(role, options)?;
                Ok("ALTER ROLE")
            }
            RoleDdl::Rename { from, to } => {
                self.rename_role(from, to)?;
                Ok("ALTER ROLE")
            }
            RoleDdl::Drop { roles, if_exists } => {
                roles.iter().try_for_each(|name| self.drop_role(name, *if_exists))?;
                Ok("DROP ROLE")
            }
            RoleDdl::Set { role, database, change, of_database } => {
                self.keep_setting(role.as_ref(), database.as_deref(), change)?;
                Ok(if *of_database { "ALTER DATABASE" } else { "ALTER ROLE" })
            }
            RoleDdl::Member(change) => {
                self.change_members(change)?;
                Ok(change.tag)
            }
        }
    }

    /// The role that a statement names.
    ///
    /// # Errors
    /// 42704 when it is not there.
    pub(crate) fn role(&self, role: &Role) -> Result<Arc<RoleDef>> {
        match role {
            Role::Named(name) => self.named_role(name),
            Role::Current => self.role_by_id(self.services.current_role()),
            Role::Session => self.role_by_id(self.services.session_role()),
        }
    }

    fn named_role(&self, name: &str) -> Result<Arc<RoleDef>> {
        self.catalog.role_named(name).cloned().ok_or_else(|| no_role(name))
    }

    fn role_by_id(&self, id: RoleId) -> Result<Arc<RoleDef>> {
        self.catalog.role(id).cloned().ok_or_else(|| no_role(&id.0.to_string()))
    }

    fn is_superuser(&self) -> bool {
        self.catalog.is_superuser(self.services.current_role())
    }

    fn may_create_roles(&self) -> bool {
        let role = self.catalog.role(self.services.current_role());
        role.is_some_and(|role| role.superuser || role.create_role)
    }

    fn create_role(
        &mut self,
        name: &str,
        options: &RoleOptions,
        in_roles: &[Role],
        members: [(&Vec<Role>, bool); 2],
    ) -> Result<()> {
        if !self.is_superuser() {
            let asked = [
                (options.superuser, "must be superuser to create superusers"),
                (options.replication, "must be superuser to create replication users"),
                (options.bypass_rls, "must be superuser to create bypassrls users"),
            ];
            if let Some((_, message)) = asked.into_iter().find(|(asked, _)| *asked == Some(true)) {
                return denied(message);
            }
            if !self.may_create_roles() {
                return denied("permission denied to create role");
            }
        }
        refuse_reserved(name)?;
        if self.catalog.role_named(name).is_some() {
            return Err(already_there(name));
        }
        if options.sysid {
            self.skip(SUCCESSFUL, "SYSID can no longer be specified".to_owned());
        }
        let mut role = RoleDef::new(RoleId(self.catalog.allocate_oid()), name);
        self.apply_options(&mut role, options)?;
        let id = role.id;
        self.change(CatalogChange::PutRole(role));
        for of in in_roles {
            let of = self.role(of)?;
            let new = self.role_by_id(id)?;
            self.add_member(&of, &new, false)?;
        }
        for (list, admin) in members {
            for member in list {
                let member = self.role(member)?;
                let new = self.role_by_id(id)?;
                self.add_member(&new, &member, admin)?;
            }
        }
        Ok(())
    }

    fn apply_options(&mut self, role: &mut RoleDef, options: &RoleOptions) -> Result<()> {
        let flags = [
            (&mut role.superuser, options.superuser),
            (&mut role.inherit, options.inherit),
            (&mut role.create_role, options.create_role),
            (&mut role.create_db, options.create_db),
            (&mut role.login, options.login),
            (&mut role.replication, options.replication),
            (&mut role.bypass_rls, options.bypass_rls),
        ];
        for (flag, value) in flags {
            *flag = value.unwrap_or(*flag);
        }
        if let Some(limit) = options.connection_limit {
            role.connection_limit = limit;
        }
        if let Some(text) = &options.valid_until {
            let moment = parse_text(TypeId::TIMESTAMPTZ, -1, text, &self.services.settings.borrow().io())?;
            role.valid_until = match moment {
                Value::Timestamptz(moment) => Some(moment),
                _ => return Err(SqlError::internal("a timestamptz is a moment")),
            };
        }
        if let Some(password) = &options.password {
            role.password = self.verifier(password.as_deref())?;
        }
        Ok(())
    }

    /// What is kept of a password: a verifier as it was given, or one of the password.
    fn verifier(&mut self, password: Option<&str>) -> Result<Option<String>> {
        let Some(password) = password else { return Ok(None) };
        if is_md5(password) {
            let message = "passwords hashed with MD5 are not supported";
            let hint = "Give the password itself or its SCRAM-SHA-256 verifier.";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).hint(hint));
        }
        if let Some(given) = Verifier::parse(password) {
            // No password fits where an empty one does.
            if !given.fits("") {
                return Ok(Some(password.to_owned()));
            }
        }
        if password.is_empty() || Verifier::parse(password).is_some() {
            let message = "empty string is not a valid password, clearing password";
            self.skip(SUCCESSFUL, message.to_owned());
            return Ok(None);
        }
        let mut salt = [0; SALT_BYTES];
        self.tx.node.machine().random_bytes(&mut salt);
        let iterations = NonZeroU32::new(SCRAM_ITERATIONS).unwrap_or(NonZeroU32::MIN);
        Ok(Some(Verifier::of(password, &salt, iterations).to_string()))
    }

    fn alter_role(&mut self, role: &Role, options: &RoleOptions) -> Result<()> {
        refuse_altering(role)?;
        let old = self.role(role)?;
        if !self.is_superuser() {
            if old.superuser || options.superuser.is_some() {
                return denied("must be superuser to alter superuser roles or change superuser attribute");
            }
            if old.replication || options.replication.is_some() {
                return denied(
                    "must be superuser to alter replication roles or change replication attribute",
                );
            }
            if options.bypass_rls.is_some() {
                return denied("must be superuser to change bypassrls attribute");
            }
            let own = old.id == self.services.current_role() && options.is_password_alone();
            if !self.may_create_roles() && !own {
                return denied("permission denied");
            }
        }
        if old.id == RoleId::BOOTSTRAP && options.superuser == Some(false) {
            let error = SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, "permission denied to alter role");
            return Err(error.detail("The bootstrap superuser must have the SUPERUSER attribute."));
        }
        let mut role = RoleDef::clone(&old);
        self.apply_options(&mut role, options)?;
        self.change(CatalogChange::PutRole(role));
        Ok(())
    }

    fn rename_role(&mut self, from: &str, to: &str) -> Result<()> {
        let old = self.named_role(from)?;
        let unsupported = |message: &str| Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        if old.id == self.services.session_role() {
            return unsupported("session user cannot be renamed");
        }
        if old.id == self.services.current_role() {
            return unsupported("current user cannot be renamed");
        }
        refuse_reserved(from)?;
        refuse_reserved(to)?;
        if self.catalog.role_named(to).is_some() {
            return Err(already_there(to));
        }
        if old.superuser && !self.is_superuser() {
            return denied("must be superuser to rename superusers");
        }
        if !self.may_create_roles() {
            return denied("permission denied to rename role");
        }
        let renamed = RoleDef { name: to.to_owned(), ..RoleDef::clone(&old) };
        self.change(CatalogChange::PutRole(renamed));
        Ok(())
    }

    fn drop_role(&mut self, name: &str, if_exists: bool) -> Result<()> {
        if !self.may_create_roles() {
            return denied("permission denied to drop role");
        }
        let Some(role) = self.catalog.role_named(name).cloned() else {
            if if_exists {
                self.skip(SUCCESSFUL, format!("role \"{name}\" does not exist, skipping"));
                return Ok(());
            }
            return Err(no_role(name));
        };
        let in_use = |message: &str| Err(SqlError::new(sqlstate::OBJECT_IN_USE, message));
        if role.id == self.services.current_role() {
            return in_use("current user cannot be dropped");
        }
        if role.id == self.services.session_role() {
            return in_use("session user cannot be dropped");
        }
        if role.superuser && !self.is_superuser() {
            return denied("must be superuser to drop superusers");
        }
        self.refuse_owner(&role)?;
        if role.id == RoleId::BOOTSTRAP || role.id.is_predefined() {
            let message = format!("cannot drop role {name} because it is required by the database system");
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message));
        }
        self.change(CatalogChange::DropRole(role.id));
        Ok(())
    }

    fn change_members(&mut self, change: &Member) -> Result<()> {
        if let Some(grantor) = &change.grantor
            && self.role(grantor)?.id != self.services.current_role()
            && !self.is_superuser()
        {
            return denied("must be superuser to set grantor");
        }
        for name in &change.of {
            for member in &change.members {
                // Looked up each time: the one before may have changed them.
                let (of, member) = (self.named_role(name)?, self.role(member)?);
                if change.grant {
                    self.add_member(&of, &member, change.admin)?;
                } else {
                    self.remove_member(&of, &member, change.admin)?;
                }
            }
        }
        Ok(())
    }

    /// Whether who asks may say who is a member of a role.
    fn check_admin(&self, of: &RoleDef) -> Result<()> {
        if of.superuser && !self.is_superuser() {
            return denied("must be superuser to alter superusers");
        }
        let current = self.services.current_role();
        let own = of.id == current && current == self.services.session_role();
        if !self.may_create_roles() && !self.catalog.is_admin_of(current, of.id) && !own {
            return denied(format!("must have admin option on role \"{}\"", of.name));
        }
        Ok(())
    }

    fn add_member(&mut self, of: &RoleDef, member: &RoleDef, admin: bool) -> Result<()> {
        self.check_admin(of)?;
        for (role, is, cannot) in
            [(of, of.id, "have explicit members"), (member, member.id, "be a member of any role")]
        {
            if is == RoleId::DATABASE_OWNER {
                return Err(SqlError::internal(format!("role \"{}\" cannot {cannot}", role.name)));
            }
        }
        if self.catalog.is_plain_member_of(of.id, member.id) {
            let message = format!("role \"{}\" is a member of role \"{}\"", of.name, member.name);
            return Err(SqlError::new(sqlstate::INVALID_GRANT_OPERATION, message));
        }
        let grantor = self.services.current_role();
        let mut changed = RoleDef::clone(member);
        match changed.memberships.iter_mut().find(|held| held.of == of.id) {
            Some(held) if held.admin || !admin => {
                let message = format!("role \"{}\" is already a member of role \"{}\"", member.name, of.name);
                self.skip(SUCCESSFUL, message);
                return Ok(());
            }
            Some(held) => *held = Membership { of: of.id, grantor, admin },
            None => changed.memberships.push(Membership { of: of.id, grantor, admin }),
        }
        self.change(CatalogChange::PutRole(changed));
        Ok(())
    }

    fn remove_member(&mut self, of: &RoleDef, member: &RoleDef, admin_only: bool) -> Result<()> {
        self.check_admin(of)?;
        let mut changed = RoleDef::clone(member);
        let Some(position) = changed.memberships.iter().position(|held| held.of == of.id) else {
            let message = format!("role \"{}\" is not a member of role \"{}\"", member.name, of.name);
            self.tx.notice(SqlError::new(WARNING, message).severity(Severity::Warning));
            return Ok(());
        };
        if admin_only {
            changed.memberships[position].admin = false;
        } else {
            changed.memberships.remove(position);
        }
        self.change(CatalogChange::PutRole(changed));
        Ok(())
    }

    fn keep_setting(
        &mut self,
        role: Option<&Role>,
        database: Option<&str>,
        change: &SettingStatement,
    ) -> Result<()> {
        role.map_or(Ok(()), refuse_altering)?;
        let role = role.map(|role| self.role(role)).transpose()?;
        if let Some(role) = &role {
            if role.superuser && !self.is_superuser() {
                return denied("must be superuser to alter superusers");
            }
            if !self.may_create_roles() && role.id != self.services.current_role() {
                return denied("permission denied");
            }
        } else if !self.is_superuser() {
            return match database {
                Some(name) => denied(format!("must be owner of database {name}")),
                None => denied("must be superuser to alter settings globally"),
            };
        }
        if let Some(name) = database.filter(|name| *name != self.services.database) {
            let message = format!("database \"{name}\" does not exist");
            return Err(SqlError::new(sqlstate::UNDEFINED_DATABASE, message));
        }
        let (role, in_database) = (role.map_or(RoleId::PUBLIC, |role| role.id), database.is_some());
        let before =
            self.catalog.role_settings().find(|kept| (kept.role, kept.in_database) == (role, in_database));
        let mut settings = before.map(|kept| kept.settings.clone()).unwrap_or_default();
        match change {
            SettingStatement::Set { name, values, .. } => {
                let value = self.services.settings.borrow().checked(name, &values.join(", "))?;
                match settings.iter_mut().find(|(kept, _)| kept == name) {
                    Some((_, kept)) => *kept = value,
                    None => settings.push((name.clone(), value)),
                }
            }
            SettingStatement::Reset(Some(name)) => {
                self.services.settings.borrow().show(name)?;
                settings.retain(|(kept, _)| kept != name);
            }
            SettingStatement::Reset(None) => settings.clear(),
            SettingStatement::Show(_) => return Err(SqlError::internal("SHOW keeps nothing")),
        }
        self.change(CatalogChange::PutRoleSettings(RoleSettings { role, in_database, settings }));
        Ok(())
    }
}

fn refuse_reserved(name: &str) -> Result<()> {
    refuse_prefix(name, "Role names starting with \"pg_\" are reserved.")
}

fn refuse_altering(role: &Role) -> Result<()> {
    match role {
        Role::Named(name) => refuse_prefix(name, "Cannot alter reserved roles."),
        Role::Current | Role::Session => Ok(()),
    }
}

fn refuse_prefix(name: &str, why: &str) -> Result<()> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    Err(SqlError::new(sqlstate::RESERVED_NAME, format!("role name \"{name}\" is reserved")).detail(why))
}

fn already_there(name: &str) -> SqlError {
    SqlError::new(sqlstate::DUPLICATE_OBJECT, format!("role \"{name}\" already exists"))
}
