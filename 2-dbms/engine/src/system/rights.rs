//! Owners, what was granted, and policies as rows: `relacl` and its kin, `pg_policy`, the views of the information schema.

use tuplix_catalog::{
    Acl, AclItem, CLASS_RELATION, Holder, Owned, PolicyDef, Privileges, RightsKind, RoleId, TableDef, TableId,
};
use tuplix_types::{Result, Row, SqlError, TypeId, Value, sqlstate};

use super::deparse;
use super::information::catalog_name;
use super::relations::SystemRelation;
use super::view::{View, array, oid, text, truth, yes_or_no};
use crate::rights::THE_DATABASE;

/// The owner of an object.
pub(crate) fn owner(view: &View<'_>, class: u32, object: u32) -> Value {
    oid(view.catalog().owner(Owned { class, object }).0)
}

fn items(view: &View<'_>, acl: &[AclItem]) -> Value {
    array(TypeId::ACLITEM, acl.iter().map(|item| Value::text(view.catalog().acl_item_text(item))).collect())
}

/// What was granted on an object: NULL while nobody has said anything.
pub(crate) fn acl(view: &View<'_>, class: u32, object: u32) -> Value {
    let on = Owned { class, object };
    let rights = view.catalog().rights(on);
    match rights.and_then(|rights| rights.acl.as_ref()) {
        Some(acl) => items(view, acl),
        // These differ from their kind from the start.
        None if class == tuplix_catalog::CLASS_SCHEMA && (object == 11 || object == 2200) => {
            items(view, &view.catalog().acl(RightsKind::Schema, on))
        }
        None => Value::Null,
    }
}

/// What was granted on a column.
pub(crate) fn column_acl(view: &View<'_>, table: TableId, number: usize) -> Value {
    let rights = view.catalog().rights(Owned { class: CLASS_RELATION, object: table.0 });
    let acl = rights.and_then(|rights| rights.columns.get(&(number as u32 + 1)));
    acl.map_or(Value::Null, |acl| items(view, acl))
}

/// `pg_default_acl`
pub(crate) fn defaults(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for ((role, schema, kind), acl) in view.catalog().all_default_rights() {
        rows.push(relation.row(&[
            ("oid", oid(1 + rows.len() as u32)),
            ("defaclrole", oid(role.0)),
            ("defaclnamespace", oid(schema.unwrap_or(0))),
            ("defaclobjtype", text(&kind.letter().to_string())),
            ("defaclacl", items(view, acl)),
        ]));
    }
    rows
}

fn policies<'v>(view: &'v View<'_>) -> impl Iterator<Item = (&'v TableDef, &'v PolicyDef)> {
    let of = |table: &'v std::sync::Arc<TableDef>| {
        table.row_security.policies.iter().map(move |policy| (&**table, policy))
    };
    view.catalog().tables().flat_map(of)
}

fn shown(view: &View<'_>, table: &TableDef, written: Option<&String>) -> Value {
    written.map_or(Value::Null, |written| Value::text(deparse::policy_text(view, table, written)))
}

/// `pg_policy`
pub(crate) fn policy_rows(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |(table, policy): (&TableDef, &PolicyDef)| {
        relation.row(&[
            ("oid", oid(policy.id)),
            ("polname", text(&policy.name)),
            ("polrelid", oid(table.id.0)),
            ("polcmd", text(&policy.command.letter().to_string())),
            ("polpermissive", truth(policy.permissive)),
            ("polroles", array(TypeId::OID, policy.roles.iter().map(|role| oid(role.0)).collect())),
            ("polqual", shown(view, table, policy.using.as_ref())),
            ("polwithcheck", shown(view, table, policy.check.as_ref())),
        ])
    };
    policies(view).map(row).collect()
}

/// `pg_policies`
pub(crate) fn policy_view(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let role = |role: &RoleId| match *role {
        RoleId::PUBLIC => text("public"),
        role => Value::text(view.catalog().role_name(role)),
    };
    let row = |(table, policy): (&TableDef, &PolicyDef)| {
        relation.row(&[
            ("schemaname", text(&table.schema)),
            ("tablename", text(&table.name)),
            ("policyname", text(&policy.name)),
            ("permissive", text(if policy.permissive { "PERMISSIVE" } else { "RESTRICTIVE" })),
            ("roles", array(TypeId::NAME, policy.roles.iter().map(role).collect())),
            ("cmd", text(policy.command.name())),
            ("qual", shown(view, table, policy.using.as_ref())),
            ("with_check", shown(view, table, policy.check.as_ref())),
        ])
    };
    policies(view).map(row).collect()
}

/// The grants of a list that the current role sees, a privilege a row.
fn rows_of(
    view: &View<'_>,
    relation: &SystemRelation,
    (acl, owner, with_owner_of): (&[AclItem], RoleId, bool),
    values: &[(&'static str, Value)],
) -> Vec<Row> {
    let holder = view.services.holder(view.catalog());
    let enabled = |role: RoleId| holder.roles.contains(&role) || holder.superuser;
    let mut rows = Vec::new();
    for item in acl {
        if item.grantee != RoleId::PUBLIC && !enabled(item.grantee) && !enabled(item.grantor) {
            continue;
        }
        let grantee = match item.grantee {
            RoleId::PUBLIC => "PUBLIC".to_owned(),
            role => view.catalog().role_name(role),
        };
        for (privilege, _, name) in item.privileges.each() {
            let grantable = item.grantable.contains(privilege) || item.grantee == owner;
            let mut values = values.to_vec();
            values.extend([
                ("grantor", Value::text(view.catalog().role_name(item.grantor))),
                ("grantee", text(&grantee)),
                ("privilege_type", text(name)),
                ("is_grantable", yes_or_no(grantable)),
            ]);
            if with_owner_of {
                values.push(("with_hierarchy", yes_or_no(privilege == Privileges::SELECT)));
            }
            rows.push(relation.row(&values));
        }
    }
    rows
}

fn table_names(view: &View<'_>, table: &TableDef) -> Vec<(&'static str, Value)> {
    vec![
        ("table_catalog", catalog_name(view)),
        ("table_schema", text(&table.schema)),
        ("table_name", text(&table.name)),
    ]
}

/// `table_privileges`, `role_table_grants`
pub(crate) fn table_privileges(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables() {
        let acl = view.catalog().acl(RightsKind::Table, table.owned());
        let owner = view.catalog().owner(table.owned());
        rows.extend(rows_of(view, relation, (&acl, owner, true), &table_names(view, table)));
    }
    rows
}

/// `column_privileges`, `role_column_grants`: those of the whole table are those of each column.
pub(crate) fn column_privileges(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables() {
        let whole = view.catalog().acl(RightsKind::Table, table.owned());
        let rights = view.catalog().rights(table.owned());
        let owner = view.catalog().owner(table.owned());
        for (number, column) in table.columns.iter().enumerate() {
            let own = rights.and_then(|rights| rights.columns.get(&(number as u32 + 1)));
            let mut acl = Acl::new();
            for item in whole.iter().chain(own.into_iter().flatten()) {
                let privileges = item.privileges & Privileges::OF_COLUMNS;
                let grantable = item.grantable & Privileges::OF_COLUMNS;
                if !privileges.is_empty() {
                    tuplix_catalog::grant(&mut acl, AclItem { privileges, grantable, ..item.clone() });
                }
            }
            let mut values = table_names(view, table);
            values.push(("column_name", text(&column.name)));
            rows.extend(rows_of(view, relation, (&acl, owner, false), &values));
        }
    }
    rows
}

/// The columns of a table whose values a role may know of: those that it may read, and none where policies hide rows from it.
pub(crate) fn seen_columns<'v>(
    view: &'v View<'_>,
    holder: &'v Holder,
    table: &'v TableDef,
) -> impl Fn(usize) -> bool + 'v {
    let catalog = view.catalog();
    let on = table.owned();
    let owns = holder.has_rights_of(catalog.owner(on));
    let hidden = table.row_security.enabled && !holder.bypass_rls && (!owns || table.row_security.forced);
    let whole = holder.may(catalog, RightsKind::Table, on, Privileges::SELECT);
    move |number| {
        let own = || holder.privileges_on_column(catalog, on, number as u32 + 1);
        !hidden && (whole || own().contains(Privileges::SELECT))
    }
}

/// What `has_..._privilege` asks.
pub(super) struct Question<'a> {
    /// Whose rights.
    pub role: RoleId,
    /// `table`, `column`, ...
    pub kind: &'a str,
    /// The object's id.
    pub object: u32,
    /// A column's number from 1.
    pub column: u32,
    /// `SELECT, INSERT WITH GRANT OPTION`: one of them is enough.
    pub privileges: &'a str,
}

/// Whether a role has one of some privileges.
pub(super) fn has(view: &View<'_>, question: &Question<'_>) -> Result<bool> {
    let catalog = view.catalog();
    let holder = Holder::new(catalog, question.role);
    for word in question.privileges.split(',') {
        let upper = word.trim().to_ascii_uppercase();
        let (name, option) = match upper.strip_suffix(" WITH GRANT OPTION") {
            Some(name) => (name, true),
            None => (upper.as_str(), false),
        };
        if name == "RULE" {
            continue;
        }
        let Some(wanted) = Privileges::named(name) else {
            let message = format!("unrecognized privilege type: \"{}\"", word.trim());
            return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
        };
        if holder.superuser || one(view, &holder, question, wanted, option) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn one(view: &View<'_>, holder: &Holder, question: &Question<'_>, wanted: Privileges, option: bool) -> bool {
    let catalog = view.catalog();
    let (class, kind) = match question.kind {
        "function" => (tuplix_catalog::CLASS_FUNCTION, RightsKind::Function),
        "schema" => (tuplix_catalog::CLASS_SCHEMA, RightsKind::Schema),
        "type" => (tuplix_catalog::CLASS_TYPE, RightsKind::Type),
        "database" => (THE_DATABASE.class, RightsKind::Database),
        "sequence" => (CLASS_RELATION, RightsKind::Sequence),
        "language" => return !option,
        "tablespace" => return false,
        _ => (CLASS_RELATION, RightsKind::Table),
    };
    let on = Owned { class, object: question.object };
    let kind = if class == CLASS_RELATION { catalog.rights_kind(on) } else { kind };
    let of = |acl: &Acl| match option {
        true => holder.grantable(acl, catalog.owner(on), kind),
        false => holder.privileges_in(acl),
    };
    // What the system has everybody may read and call.
    if class == CLASS_RELATION && super::relations::with_oid(question.object).is_some() {
        return wanted == Privileges::SELECT && !option;
    }
    let whole = match option {
        true => of(&catalog.acl(kind, on)),
        false => holder.privileges_on(catalog, kind, on),
    };
    if whole.contains(wanted) {
        return true;
    }
    let rights = catalog.rights(on);
    let columns = rights.iter().flat_map(|rights| &rights.columns);
    match question.kind {
        "column" => {
            columns.filter(|(number, _)| **number == question.column).any(|(_, acl)| of(acl).contains(wanted))
        }
        "any_column" => {
            let mut columns = columns;
            columns.any(|(_, acl)| of(acl).contains(wanted))
        }
        _ => false,
    }
}
