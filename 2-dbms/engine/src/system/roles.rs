//! Roles, who is a member of which, and the settings that their sessions begin with.

use std::collections::BTreeSet;
use std::net::IpAddr;

use tuplix_catalog::{HostRule, Network, RoleDef, RoleId};
use tuplix_types::{Result, Row, SqlError, TypeId, Value, sqlstate};

use super::relations::SystemRelation;
use super::view::{DATABASE, View, array, int, maybe_text, oid, text, truth, yes_or_no};

/// What only superusers may read, with the word for it.
const SECRET: &[(&str, &str)] =
    &[("pg_authid", "table"), ("pg_shadow", "view"), ("pg_hba_file_rules", "view"), ("refusals", "table")];

/// Whether the session may read a system table.
///
/// # Errors
/// 42501
pub(crate) fn check_secret(view: &View<'_>, name: &str) -> Result<()> {
    match SECRET.iter().find(|(secret, _)| *secret == name) {
        Some((_, kind)) if !may_read(view, name) => {
            let message = format!("permission denied for {kind} {name}");
            Err(SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message))
        }
        _ => Ok(()),
    }
}

/// Superusers may read all of them, who reads all data the verifiers too, as in PostgreSQL.
fn may_read(view: &View<'_>, name: &str) -> bool {
    let (catalog, role) = (view.catalog(), view.services.current_role());
    let verifiers = matches!(name, "pg_authid" | "pg_shadow");
    catalog.is_superuser(role) || (verifiers && catalog.has_rights_of(role, RoleId::READ_ALL_DATA))
}

fn valid_until(role: &RoleDef) -> Value {
    role.valid_until.map_or(Value::Null, Value::Timestamptz)
}

/// `pg_authid`, `pg_roles`
pub(crate) fn roles(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let public = relation.name == "pg_roles";
    let row = |role: &RoleDef| {
        let password = if public { text("********") } else { maybe_text(role.password.as_deref()) };
        let mut values = vec![
            ("oid", oid(role.id.0)),
            ("rolname", text(&role.name)),
            ("rolsuper", truth(role.superuser)),
            ("rolinherit", truth(role.inherit)),
            ("rolcreaterole", truth(role.create_role)),
            ("rolcreatedb", truth(role.create_db)),
            ("rolcanlogin", truth(role.login)),
            ("rolreplication", truth(role.replication)),
            ("rolbypassrls", truth(role.bypass_rls)),
            ("rolconnlimit", int(role.connection_limit)),
            ("rolpassword", password),
            ("rolvaliduntil", valid_until(role)),
        ];
        if public {
            values.push(("rolconfig", settings_of(view, role.id)));
        }
        relation.row(&values)
    };
    view.catalog().roles().map(|role| row(role)).collect()
}

/// `pg_user`, `pg_shadow`: the roles that may log in.
pub(crate) fn users(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let public = relation.name == "pg_user";
    let row = |role: &RoleDef| {
        let password = if public { text("********") } else { maybe_text(role.password.as_deref()) };
        relation.row(&[
            ("usename", text(&role.name)),
            ("usesysid", oid(role.id.0)),
            ("usecreatedb", truth(role.create_db)),
            ("usesuper", truth(role.superuser)),
            ("userepl", truth(role.replication)),
            ("usebypassrls", truth(role.bypass_rls)),
            ("passwd", password),
            ("valuntil", valid_until(role)),
            ("useconfig", settings_of(view, role.id)),
        ])
    };
    view.catalog().roles().filter(|role| role.login).map(|role| row(role)).collect()
}

/// `pg_group`: the roles that may not.
pub(crate) fn groups(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |group: &RoleDef| {
        let is_member = |role: &&std::sync::Arc<RoleDef>| {
            role.memberships.iter().any(|membership| membership.of == group.id)
        };
        let members = view.catalog().roles().filter(is_member).map(|role| oid(role.id.0)).collect();
        relation.row(&[
            ("groname", text(&group.name)),
            ("grosysid", oid(group.id.0)),
            ("grolist", array(TypeId::OID, members)),
        ])
    };
    view.catalog().roles().filter(|role| !role.login).map(|role| row(role)).collect()
}

/// `pg_auth_members`
pub(crate) fn members(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for member in view.catalog().roles() {
        rows.extend(member.memberships.iter().map(|membership| {
            relation.row(&[
                ("roleid", oid(membership.of.0)),
                ("member", oid(member.id.0)),
                ("grantor", oid(membership.grantor.0)),
                ("admin_option", truth(membership.admin)),
            ])
        }));
    }
    rows
}

fn settings_text(settings: &[(String, String)]) -> Value {
    array(TypeId::TEXT, settings.iter().map(|(name, value)| text(&format!("{name}={value}"))).collect())
}

/// `rolconfig`: what is kept for a role in all databases.
fn settings_of(view: &View<'_>, role: RoleId) -> Value {
    let kept = view.catalog().role_settings().find(|kept| kept.role == role && !kept.in_database);
    kept.map_or(Value::Null, |kept| settings_text(&kept.settings))
}

/// `pg_db_role_setting`
pub(crate) fn kept_settings(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let kept = view.catalog().role_settings().map(|kept| {
        relation.row(&[
            ("setdatabase", oid(if kept.in_database { DATABASE } else { 0 })),
            ("setrole", oid(kept.role.0)),
            ("setconfig", settings_text(&kept.settings)),
        ])
    });
    kept.collect()
}

/// `pg_hba_file_rules`: the host rules, their numbers in the place of lines.
pub(crate) fn host_rules(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |rule: &HostRule| {
        let names = |names: &[String]| array(TypeId::TEXT, names.iter().map(|name| text(name)).collect());
        let (address, mask) = match &rule.address {
            None => (Value::Null, Value::Null),
            Some(Network::All) => (text("all"), Value::Null),
            Some(Network::Prefix(address, bits)) => {
                (Value::text(address.to_string()), Value::text(mask(*address, *bits).to_string()))
            }
        };
        relation.row(&[
            ("line_number", int(rule.number)),
            ("type", text(rule.connections.name())),
            ("database", names(&rule.databases)),
            ("user_name", names(&rule.users)),
            ("address", address),
            ("netmask", mask),
            ("auth_method", text(rule.method.name())),
        ])
    };
    view.catalog().host_rules().map(|rule| row(rule)).collect()
}

/// The bits of an address that count.
fn mask(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(_) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4(mask.into())
        }
        IpAddr::V6(_) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6(mask.into())
        }
    }
}

/// `tuplix.refusals`: who was not let in, or not permitted something.
pub(crate) fn refusals(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let refusals = view.services.node.refusals.all();
    let rows = refusals.iter().map(|(number, refusal)| {
        relation.row(&[
            ("refusal", int(*number)),
            ("refused_at", Value::Timestamptz(refusal.at_us)),
            ("action", text(&refusal.action)),
            ("user_name", text(&refusal.user)),
            ("address", maybe_text(refusal.address.as_deref())),
            ("sqlstate", text(&refusal.sqlstate)),
            ("message", text(&refusal.message)),
        ])
    });
    rows.collect()
}

/// `enabled_roles`: the current role and what it is a member of.
pub(crate) fn enabled(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let catalog = view.catalog();
    let current = view.services.current_role();
    let roles = catalog.roles().filter(|role| catalog.has_rights_of(current, role.id));
    roles.map(|role| relation.row(&[("role_name", text(&role.name))])).collect()
}

/// `applicable_roles`: who is a member of which, as far as the current role is one of them.
pub(crate) fn applicable(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let catalog = view.catalog();
    let of_current: BTreeSet<RoleId> = catalog.inherited_roles(view.services.current_role());
    let mut rows = Vec::new();
    for member in catalog.roles().filter(|role| of_current.contains(&role.id)) {
        rows.extend(member.memberships.iter().map(|membership| {
            relation.row(&[
                ("grantee", text(&member.name)),
                ("role_name", text(&catalog.role_name(membership.of))),
                ("is_grantable", yes_or_no(membership.admin)),
            ])
        }));
    }
    rows
}

/// The role of an argument, its name or its id.
///
/// # Errors
/// 42704 for a name that no role has.
pub(super) fn argument(view: &View<'_>, given: &Value) -> Result<RoleId> {
    match given {
        Value::Text(name) => match view.catalog().role_named(name) {
            Some(role) => Ok(role.id),
            None => Err(crate::identity::no_role(name)),
        },
        Value::Oid(oid) => Ok(RoleId(*oid)),
        _ => Err(SqlError::internal("a role is a name or an id")),
    }
}

/// `pg_has_role`
///
/// # Errors
/// 42704 for a name that no role has, 22023 for an unknown privilege.
pub(super) fn has_role(view: &View<'_>, symbol: &str, args: &[Value]) -> Result<Value> {
    let with_user = symbol.trim_start_matches("pg_has_role_").contains('_');
    let (user, rest) = match args {
        [user, rest @ ..] if with_user => (argument(view, user)?, rest),
        rest => (view.services.current_role(), rest),
    };
    let [role, privileges] = rest else { return Ok(Value::Null) };
    let role = argument(view, role)?;
    let catalog = view.catalog();
    let mut has = false;
    for word in privileges.as_str().unwrap_or_default().split(',') {
        let upper = word.trim().to_ascii_uppercase();
        has |= match upper.as_str() {
            "USAGE" => catalog.has_rights_of(user, role),
            "MEMBER" => catalog.is_member_of(user, role),
            _ if [" WITH ADMIN OPTION", " WITH GRANT OPTION"].iter().any(|with| {
                upper.strip_suffix(with).is_some_and(|what| matches!(what, "USAGE" | "MEMBER"))
            }) =>
            {
                catalog.is_admin_of(user, role) || (user == role && user == view.services.session_role())
            }
            _ => {
                let message = format!("unrecognized privilege type: \"{}\"", word.trim());
                return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
            }
        };
    }
    Ok(Value::Bool(has))
}
