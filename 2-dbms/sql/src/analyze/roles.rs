//! CREATE, ALTER and DROP of roles, GRANT and REVOKE of membership, ALTER ROLE and ALTER DATABASE ... SET.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    AlterDatabaseSetStmt, AlterRoleSetStmt, AlterRoleStmt, CreateRoleStmt, DefElem, DropRoleStmt,
    GrantRoleStmt, Node, RoleSpecType, RoleStmtType, VariableSetStmt,
};
use tuplix_types::{Result, SqlError, sqlstate};

use super::alter_routine::role_of;
use super::{Analyzer, nodes};
use crate::plan::{Ddl, Member, Role, RoleDdl, RoleOptions, SettingStatement, StatementKind};

impl Analyzer<'_> {
    /// A statement about roles; `None` for any other.
    pub(super) fn role_statement(&self, node: &NodeEnum) -> Result<Option<Ddl>> {
        let statement = match node {
            NodeEnum::CreateRoleStmt(stmt) => self.create_role(stmt)?,
            NodeEnum::AlterRoleStmt(stmt) => self.alter_role(stmt)?,
            NodeEnum::AlterRoleSetStmt(stmt) => self.alter_role_set(stmt)?,
            NodeEnum::AlterDatabaseSetStmt(stmt) => self.alter_database_set(stmt)?,
            NodeEnum::DropRoleStmt(stmt) => drop_role(stmt)?,
            NodeEnum::GrantRoleStmt(stmt) => self.grant_role(stmt)?,
            _ => return Ok(None),
        };
        Ok(Some(Ddl::Role(statement)))
    }

    fn create_role(&self, stmt: &CreateRoleStmt) -> Result<RoleDdl> {
        let mut given = GivenOptions::default();
        self.role_options(&stmt.options, &mut given)?;
        if stmt.stmt_type == RoleStmtType::RolestmtUser as i32 {
            given.options.login.get_or_insert(true);
        }
        Ok(RoleDdl::Create {
            name: stmt.role.clone(),
            options: Box::new(given.options),
            in_roles: given.in_roles,
            members: given.members,
            admins: given.admins,
        })
    }

    fn alter_role(&self, stmt: &AlterRoleStmt) -> Result<RoleDdl> {
        let mut given = GivenOptions::default();
        self.role_options(&stmt.options, &mut given)?;
        let role = role_of(stmt.role.as_ref())?;
        if !given.has_members {
            return Ok(RoleDdl::Alter { role, options: Box::new(given.options) });
        }
        // ALTER GROUP ... ADD and DROP USER.
        let Role::Named(group) = role else {
            return Err(SqlError::unsupported("ALTER GROUP of CURRENT_USER").hint("Name the role."));
        };
        Ok(RoleDdl::Member(Member {
            of: vec![group],
            members: given.members,
            grant: stmt.action > 0,
            admin: false,
            grantor: None,
            tag: "ALTER ROLE",
        }))
    }

    fn role_options(&self, list: &[Node], given: &mut GivenOptions) -> Result<()> {
        let mut seen: Vec<&str> = Vec::new();
        for node in list {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if seen.contains(&option.defname.as_str()) {
                let error = SqlError::new(sqlstate::SYNTAX_ERROR, "conflicting or redundant options");
                return Err(error.at(self.at(option.location)));
            }
            seen.push(&option.defname);
            self.role_option(option, given)?;
        }
        Ok(())
    }

    fn role_option(&self, option: &DefElem, given: &mut GivenOptions) -> Result<()> {
        let value = option.arg.as_deref();
        let flag = || match value.and_then(|value| value.node.as_ref()) {
            Some(NodeEnum::Boolean(truth)) => Ok(Some(truth.boolval)),
            Some(NodeEnum::Integer(number)) => Ok(Some(number.ival != 0)),
            _ => Err(nodes::missing()),
        };
        let text = || value.and_then(nodes::string).map(str::to_owned);
        let options = &mut given.options;
        match option.defname.as_str() {
            "superuser" => options.superuser = flag()?,
            "inherit" => options.inherit = flag()?,
            "createrole" => options.create_role = flag()?,
            "createdb" => options.create_db = flag()?,
            "canlogin" => options.login = flag()?,
            "isreplication" => options.replication = flag()?,
            "bypassrls" => options.bypass_rls = flag()?,
            "connectionlimit" => {
                let limit = value.and_then(super::types::integer).ok_or_else(nodes::missing)?;
                if limit < -1 {
                    let message = format!("invalid connection limit: {limit}");
                    return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
                }
                options.connection_limit = Some(limit);
            }
            "validUntil" => options.valid_until = text(),
            "password" => options.password = Some(text()),
            "sysid" => options.sysid = true,
            "addroleto" => given.in_roles = roles_of(value)?,
            "adminmembers" => given.admins = roles_of(value)?,
            "rolemembers" => {
                given.members = roles_of(value)?;
                given.has_members = true;
            }
            other => {
                let message = format!("unrecognized role option \"{other}\"");
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(option.location)));
            }
        }
        Ok(())
    }

    fn alter_role_set(&self, stmt: &AlterRoleSetStmt) -> Result<RoleDdl> {
        Ok(RoleDdl::Set {
            role: stmt.role.as_ref().map(|role| role_of(Some(role))).transpose()?,
            database: nodes::non_empty(&stmt.database).map(str::to_owned),
            change: self.kept_setting(stmt.setstmt.as_ref())?,
            of_database: false,
        })
    }

    fn alter_database_set(&self, stmt: &AlterDatabaseSetStmt) -> Result<RoleDdl> {
        Ok(RoleDdl::Set {
            role: None,
            database: Some(stmt.dbname.clone()),
            change: self.kept_setting(stmt.setstmt.as_ref())?,
            of_database: true,
        })
    }

    /// A SET or RESET whose value is kept.
    fn kept_setting(&self, stmt: Option<&VariableSetStmt>) -> Result<SettingStatement> {
        match self.set(stmt.ok_or_else(nodes::missing)?)? {
            StatementKind::Setting(change) => Ok(change),
            _ => Err(SqlError::unsupported("this form of SET for a role or database")),
        }
    }

    fn grant_role(&self, stmt: &GrantRoleStmt) -> Result<RoleDdl> {
        let mut of = Vec::with_capacity(stmt.granted_roles.len());
        for node in &stmt.granted_roles {
            let NodeEnum::AccessPriv(granted) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if !granted.cols.is_empty() || granted.priv_name.is_empty() {
                let message = "column names cannot be included in GRANT/REVOKE ROLE";
                return Err(SqlError::new(sqlstate::INVALID_GRANT_OPERATION, message));
            }
            of.push(granted.priv_name.clone());
        }
        let mut admin = false;
        for node in &stmt.opt {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            // INHERIT and SET OPTION are newer than 15.
            if option.defname != "admin" {
                let what = format!("GRANT ... WITH {} OPTION", option.defname.to_uppercase());
                return Err(self.unsupported(what, option.location));
            }
            admin = true;
        }
        let (members, grantor) = (role_list(&stmt.grantee_roles)?, stmt.grantor.as_ref());
        Ok(RoleDdl::Member(Member {
            of,
            members,
            grant: stmt.is_grant,
            admin,
            grantor: grantor.map(|grantor| role_of(Some(grantor))).transpose()?,
            tag: if stmt.is_grant { "GRANT ROLE" } else { "REVOKE ROLE" },
        }))
    }
}

/// What the options of a statement say.
#[derive(Default)]
struct GivenOptions {
    options: RoleOptions,
    in_roles: Vec<Role>,
    members: Vec<Role>,
    has_members: bool,
    admins: Vec<Role>,
}

fn drop_role(stmt: &DropRoleStmt) -> Result<RoleDdl> {
    let mut roles = Vec::with_capacity(stmt.roles.len());
    for node in &stmt.roles {
        let NodeEnum::RoleSpec(role) = nodes::inner(node)? else { return Err(nodes::missing()) };
        if role.roletype != RoleSpecType::RolespecCstring as i32 {
            let message = "cannot use special role specifier in DROP ROLE";
            return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
        }
        roles.push(role.rolename.clone());
    }
    Ok(RoleDdl::Drop { roles, if_exists: stmt.missing_ok })
}

fn roles_of(value: Option<&Node>) -> Result<Vec<Role>> {
    match nodes::required(value)? {
        NodeEnum::List(list) => role_list(&list.items),
        _ => Err(nodes::missing()),
    }
}

fn role_list(list: &[Node]) -> Result<Vec<Role>> {
    let role = |node: &Node| match nodes::inner(node)? {
        NodeEnum::RoleSpec(role) => role_of(Some(role)),
        _ => Err(nodes::missing()),
    };
    list.iter().map(role).collect()
}
