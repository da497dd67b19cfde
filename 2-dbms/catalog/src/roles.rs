//! Roles: who may connect, who is a member of whom, and the settings that their sessions begin with.
//!
//! A role is a user, a group, or both. Its memberships are its own: they say of which roles it is a member. A new
//! catalogue has [`RoleId::BOOTSTRAP`], which may do everything and cannot be dropped, and the predefined roles.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CLASS_ROLE, Catalog};

/// A role's object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoleId(pub u32);

impl RoleId {
    /// Everybody: no role, but what GRANT ... TO PUBLIC names.
    pub const PUBLIC: RoleId = RoleId(0);
    /// The role that every node has from its start, PostgreSQL's bootstrap superuser.
    pub const BOOTSTRAP: RoleId = RoleId(10);
}

/// The name of the bootstrap role until somebody renames it.
pub const BOOTSTRAP_NAME: &str = "tuplix";

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleDef {
    /// Object id.
    pub id: RoleId,
    /// Name.
    pub name: String,
    /// Nothing is refused to it.
    pub superuser: bool,
    /// It has the rights of the roles that it is a member of without SET ROLE.
    pub inherit: bool,
    /// It may create, change and drop roles that are no superusers.
    pub create_role: bool,
    /// It may create databases.
    pub create_db: bool,
    /// Sessions may begin as it.
    pub login: bool,
    /// It may ask for replication.
    pub replication: bool,
    /// Row-level security does not bind it.
    pub bypass_rls: bool,
    /// How many sessions it may have at a time; -1: any number.
    pub connection_limit: i32,
    /// Until when its password is good, `timestamptz` microseconds; `i64::MAX` is infinity. `None`: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<i64>,
    /// The password's SCRAM-SHA-256 verifier as PostgreSQL writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The roles that it is a member of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memberships: Vec<Membership>,
}

/// What makes a role a member of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The role that the member belongs to.
    pub of: RoleId,
    /// Who said so.
    pub grantor: RoleId,
    /// WITH ADMIN OPTION: the member may make others members.
    pub admin: bool,
}

/// Settings that sessions begin with: ALTER ROLE ... SET, ALTER DATABASE ... SET.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSettings {
    /// Whose sessions; [`RoleId::PUBLIC`]: everybody's.
    pub role: RoleId,
    /// Written for the database, and so stronger than what is written for all of them.
    pub in_database: bool,
    /// Names and values in the order in which they were set. None: there are no such settings any more.
    pub settings: Vec<(String, String)>,
}

impl RoleDef {
    /// A role that may nothing, as CREATE ROLE makes it.
    pub fn new(id: RoleId, name: impl Into<String>) -> RoleDef {
        RoleDef {
            id,
            name: name.into(),
            superuser: false,
            inherit: true,
            create_role: false,
            create_db: false,
            login: false,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            valid_until: None,
            password: None,
            memberships: Vec::new(),
        }
    }

    /// The role of a new catalogue.
    pub(crate) fn bootstrap() -> RoleDef {
        RoleDef {
            superuser: true,
            create_role: true,
            create_db: true,
            login: true,
            replication: true,
            bypass_rls: true,
            ..RoleDef::new(RoleId::BOOTSTRAP, BOOTSTRAP_NAME)
        }
    }
}

impl Catalog {
    /// The role with this id.
    pub fn role(&self, id: RoleId) -> Option<&Arc<RoleDef>> {
        self.roles.get(&id)
    }

    /// The role of this name.
    pub fn role_named(&self, name: &str) -> Option<&Arc<RoleDef>> {
        self.roles.values().find(|role| role.name == name)
    }

    /// A role's name, or its number when it is no longer there, as messages show it.
    pub fn role_name(&self, id: RoleId) -> String {
        self.role(id).map_or_else(|| id.0.to_string(), |role| role.name.clone())
    }

    /// All roles by id.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<RoleDef>> {
        self.roles.values()
    }

    /// Whether nothing is refused to a role.
    pub fn is_superuser(&self, role: RoleId) -> bool {
        self.role(role).is_some_and(|role| role.superuser)
    }

    /// Whether `role` may act as `of` (SET ROLE): it is that role, a superuser, or a member by any path.
    pub fn is_member_of(&self, role: RoleId, of: RoleId) -> bool {
        role == of || self.is_superuser(role) || self.reaches(role, of, |_| true)
    }

    /// Whether `role` has the rights of `of` without SET ROLE: as [`Catalog::is_member_of`], by roles that inherit.
    pub fn has_rights_of(&self, role: RoleId, of: RoleId) -> bool {
        role == of || self.is_superuser(role) || self.reaches(role, of, |member| member.inherit)
    }

    /// Whether `member` is a member of `of` by any path, whatever else it may do.
    pub fn is_plain_member_of(&self, member: RoleId, of: RoleId) -> bool {
        member == of || self.reaches(member, of, |_| true)
    }

    /// Whether `role` may make others members of `of`: a superuser, or a member WITH ADMIN OPTION by any path.
    pub fn is_admin_of(&self, role: RoleId, of: RoleId) -> bool {
        if self.is_superuser(role) {
            return true;
        }
        let of_which = self.memberships_of(role, |_| true);
        let admin = |id: &RoleId| {
            let held = self.role(*id).map(|held| &held.memberships[..]).unwrap_or_default();
            held.iter().any(|membership| membership.of == of && membership.admin)
        };
        role != of && of_which.iter().any(admin)
    }

    /// `role` and all roles whose rights it has without SET ROLE.
    pub fn inherited_roles(&self, role: RoleId) -> BTreeSet<RoleId> {
        self.memberships_of(role, |member| member.inherit)
    }

    /// The settings that sessions of a role begin with, the strongest last.
    pub fn settings_of_role(&self, role: RoleId) -> impl Iterator<Item = &(String, String)> {
        let order = [(RoleId::PUBLIC, false), (RoleId::PUBLIC, true), (role, false), (role, true)];
        order.into_iter().filter_map(|key| self.role_settings.get(&key)).flat_map(|all| &all.settings)
    }

    /// All settings that sessions begin with.
    pub fn role_settings(&self) -> impl Iterator<Item = &Arc<RoleSettings>> {
        self.role_settings.values()
    }

    fn reaches(&self, role: RoleId, of: RoleId, through: impl Fn(&RoleDef) -> bool) -> bool {
        self.memberships_of(role, through).contains(&of)
    }

    /// `role` and what it is a member of by any path, going on from roles that `through` lets through.
    fn memberships_of(&self, role: RoleId, through: impl Fn(&RoleDef) -> bool) -> BTreeSet<RoleId> {
        let mut found = BTreeSet::from([role]);
        let mut waiting = vec![role];
        while let Some(next) = waiting.pop() {
            let Some(def) = self.role(next).filter(|def| through(def)) else { continue };
            let fresh =
                def.memberships.iter().map(|membership| membership.of).chain(self.implicit_role(next));
            waiting.extend(fresh.filter(|of| found.insert(*of)));
        }
        found
    }

    pub(crate) fn put_role(&mut self, role: RoleDef) {
        self.saw_oid(role.id.0);
        self.roles.insert(role.id, Arc::new(role));
    }

    pub(crate) fn drop_role(&mut self, id: RoleId) {
        self.forget_comments(CLASS_ROLE, id.0);
        self.roles.remove(&id);
        self.role_settings.retain(|(role, _), _| *role != id);
        for role in self.roles.values_mut() {
            if role.memberships.iter().any(|membership| membership.of == id) {
                Arc::make_mut(role).memberships.retain(|membership| membership.of != id);
            }
        }
    }

    pub(crate) fn put_role_settings(&mut self, settings: RoleSettings) {
        let key = (settings.role, settings.in_database);
        match settings.settings.is_empty() {
            true => self.role_settings.remove(&key),
            false => self.role_settings.insert(key, Arc::new(settings)),
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::CatalogChange;

    fn member(id: u32, inherit: bool, of: &[(u32, bool)]) -> RoleDef {
        let memberships = of.iter().map(|(of, admin)| Membership {
            of: RoleId(*of),
            grantor: RoleId::BOOTSTRAP,
            admin: *admin,
        });
        RoleDef { inherit, memberships: memberships.collect(), ..RoleDef::new(RoleId(id), format!("r{id}")) }
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog::new();
        let roles = [
            member(100, true, &[]),
            member(101, true, &[(100, true)]),
            member(102, false, &[(101, false)]),
            member(103, true, &[(102, false)]),
        ];
        roles.into_iter().for_each(|role| catalog.apply(CatalogChange::PutRole(role)));
        catalog
    }

    #[test]
    fn rights_end_at_a_role_that_does_not_inherit() {
        let catalog = catalog();
        let [a, b, c, d] = [100, 101, 102, 103].map(RoleId);
        assert!(catalog.is_member_of(d, a) && catalog.has_rights_of(d, c));
        assert!(!catalog.has_rights_of(d, b) && !catalog.has_rights_of(c, b) && catalog.has_rights_of(b, a));
        assert!(catalog.is_admin_of(b, a) && catalog.is_admin_of(c, a) && !catalog.is_admin_of(c, b));
        assert!(
            catalog.has_rights_of(RoleId::BOOTSTRAP, a) && !catalog.is_plain_member_of(RoleId::BOOTSTRAP, a)
        );
    }

    #[test]
    fn a_dropped_role_leaves_nothing() {
        let mut catalog = catalog();
        let settings = vec![("work_mem".to_owned(), "1MB".to_owned())];
        let change = RoleSettings { role: RoleId(101), in_database: false, settings };
        catalog.apply(CatalogChange::PutRoleSettings(change));
        assert_eq!(catalog.settings_of_role(RoleId(101)).count(), 1);
        catalog.apply(CatalogChange::DropRole(RoleId(101)));
        assert_eq!(catalog.role_settings().count(), 0);
        assert!(!catalog.is_member_of(RoleId(102), RoleId(101)));
    }

    #[test]
    fn roles_come_back_from_an_export() {
        let mut catalog = catalog();
        let settings = vec![("work_mem".to_owned(), "1MB".to_owned())];
        let change = RoleSettings { role: RoleId::PUBLIC, in_database: true, settings };
        catalog.apply(CatalogChange::PutRoleSettings(change));
        let renamed = RoleDef { name: "root".to_owned(), ..RoleDef::bootstrap() };
        catalog.apply(CatalogChange::PutRole(renamed));
        let json = serde_json::to_string(&catalog.export(|_| false)).unwrap();
        let back = Catalog::import(&serde_json::from_str(&json).unwrap());
        assert!(back.roles().eq(catalog.roles()));
        assert!(back.role_settings().eq(catalog.role_settings()));
        assert_eq!(back.role_name(RoleId::BOOTSTRAP), "root");
    }
}
