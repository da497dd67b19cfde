//! Statements about roles.

use super::{Role, SettingStatement};

/// CREATE, ALTER and DROP of roles, users and groups, which are one kind of thing; GRANT and REVOKE of membership.
#[derive(Clone, Debug)]
pub enum RoleDdl {
    /// CREATE ROLE, USER, GROUP
    Create {
        /// Name.
        name: String,
        /// What it may.
        options: Box<RoleOptions>,
        /// IN ROLE: what it becomes a member of.
        in_roles: Vec<Role>,
        /// ROLE: what becomes a member of it.
        members: Vec<Role>,
        /// ADMIN: as `members`, WITH ADMIN OPTION.
        admins: Vec<Role>,
    },
    /// ALTER ROLE, USER
    Alter {
        /// Which.
        role: Role,
        /// What changes.
        options: Box<RoleOptions>,
    },
    /// ALTER ROLE ... RENAME TO
    Rename {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// DROP ROLE
    Drop {
        /// Which.
        roles: Vec<String>,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ALTER ROLE ... SET and RESET, ALTER DATABASE ... SET and RESET
    Set {
        /// Whose; `None` for everybody's.
        role: Option<Role>,
        /// IN DATABASE
        database: Option<String>,
        /// What.
        change: SettingStatement,
        /// ALTER DATABASE
        of_database: bool,
    },
    /// GRANT and REVOKE role, ALTER GROUP ADD and DROP USER
    Member(Member),
}

/// GRANT and REVOKE of membership.
#[derive(Clone, Debug)]
pub struct Member {
    /// The roles that others become members of.
    pub of: Vec<String>,
    /// Who becomes a member.
    pub members: Vec<Role>,
    /// GRANT
    pub grant: bool,
    /// WITH ADMIN OPTION, ADMIN OPTION FOR
    pub admin: bool,
    /// GRANTED BY
    pub grantor: Option<Role>,
    /// The statement's tag.
    pub tag: &'static str,
}

/// The attributes that CREATE ROLE and ALTER ROLE name.
#[derive(Clone, Debug, Default)]
pub struct RoleOptions {
    /// SUPERUSER
    pub superuser: Option<bool>,
    /// INHERIT
    pub inherit: Option<bool>,
    /// CREATEROLE
    pub create_role: Option<bool>,
    /// CREATEDB
    pub create_db: Option<bool>,
    /// LOGIN
    pub login: Option<bool>,
    /// REPLICATION
    pub replication: Option<bool>,
    /// BYPASSRLS
    pub bypass_rls: Option<bool>,
    /// CONNECTION LIMIT
    pub connection_limit: Option<i32>,
    /// VALID UNTIL, as text.
    pub valid_until: Option<String>,
    /// PASSWORD: NULL takes it away.
    pub password: Option<Option<String>>,
    /// SYSID, which nothing depends on.
    pub sysid: bool,
}

impl RoleOptions {
    /// Whether it says nothing but PASSWORD, which everybody may say of himself.
    pub fn is_password_alone(&self) -> bool {
        let RoleOptions {
            superuser,
            inherit,
            create_role,
            create_db,
            login,
            replication,
            bypass_rls,
            connection_limit,
            valid_until,
            password,
            sysid: _,
        } = self;
        let flags = [superuser, inherit, create_role, create_db, login, replication, bypass_rls];
        password.is_some()
            && flags.iter().all(|flag| flag.is_none())
            && connection_limit.is_none()
            && valid_until.is_none()
    }
}
