//! Rights: who owns an object, and what others may do with it (PostgreSQL's `acl.c`).
//!
//! The catalogue keeps [`Rights`] beside the objects, by the system table that lists them and their id. An object without an
//! entry belongs to [`RoleId::BOOTSTRAP`], the schema `public` to `pg_database_owner`, and has the rights that its kind has from the start: what a log wrote before there
//! were rights means the same as ever, and a node that has one role keeps nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{BitAnd, BitOr, Not};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::predefined::{first_owner, privileges_of_all};
use crate::{
    CLASS_DATABASE, CLASS_FUNCTION, CLASS_RELATION, CLASS_SCHEMA, CLASS_TYPE, Catalog, RoleId, SequenceId,
};

/// A set of privileges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Privileges(pub u16);

/// Every privilege: its letter in an aclitem, and its name.
const ALL: [(Privileges, char, &str); 12] = [
    (Privileges::INSERT, 'a', "INSERT"),
    (Privileges::SELECT, 'r', "SELECT"),
    (Privileges::UPDATE, 'w', "UPDATE"),
    (Privileges::DELETE, 'd', "DELETE"),
    (Privileges::TRUNCATE, 'D', "TRUNCATE"),
    (Privileges::REFERENCES, 'x', "REFERENCES"),
    (Privileges::TRIGGER, 't', "TRIGGER"),
    (Privileges::EXECUTE, 'X', "EXECUTE"),
    (Privileges::USAGE, 'U', "USAGE"),
    (Privileges::CREATE, 'C', "CREATE"),
    (Privileges::TEMPORARY, 'T', "TEMPORARY"),
    (Privileges::CONNECT, 'c', "CONNECT"),
];

impl Privileges {
    /// None.
    pub const NONE: Privileges = Privileges(0);
    /// INSERT
    pub const INSERT: Privileges = Privileges(1);
    /// SELECT
    pub const SELECT: Privileges = Privileges(1 << 1);
    /// UPDATE
    pub const UPDATE: Privileges = Privileges(1 << 2);
    /// DELETE
    pub const DELETE: Privileges = Privileges(1 << 3);
    /// TRUNCATE
    pub const TRUNCATE: Privileges = Privileges(1 << 4);
    /// REFERENCES
    pub const REFERENCES: Privileges = Privileges(1 << 5);
    /// TRIGGER
    pub const TRIGGER: Privileges = Privileges(1 << 6);
    /// EXECUTE
    pub const EXECUTE: Privileges = Privileges(1 << 7);
    /// USAGE
    pub const USAGE: Privileges = Privileges(1 << 8);
    /// CREATE
    pub const CREATE: Privileges = Privileges(1 << 9);
    /// TEMPORARY
    pub const TEMPORARY: Privileges = Privileges(1 << 10);
    /// CONNECT
    pub const CONNECT: Privileges = Privileges(1 << 11);
    /// What can be granted on columns.
    pub const OF_COLUMNS: Privileges = Privileges(1 | 1 << 1 | 1 << 2 | 1 << 5);

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are here.
    pub fn contains(self, other: Privileges) -> bool {
        self.0 & other.0 == other.0
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// The privilege of this name, in capitals.
    pub fn named(name: &str) -> Option<Privileges> {
        let name = if name == "TEMP" { "TEMPORARY" } else { name };
        ALL.iter().find(|(_, _, known)| *known == name).map(|(privilege, ..)| *privilege)
    }

    /// Each of them, with its letter and name.
    pub fn each(self) -> impl Iterator<Item = (Privileges, char, &'static str)> {
        ALL.into_iter().filter(move |(privilege, ..)| self.contains(*privilege))
    }
}

impl BitOr for Privileges {
    type Output = Privileges;
    fn bitor(self, other: Privileges) -> Privileges {
        Privileges(self.0 | other.0)
    }
}

impl BitAnd for Privileges {
    type Output = Privileges;
    fn bitand(self, other: Privileges) -> Privileges {
        Privileges(self.0 & other.0)
    }
}

impl Not for Privileges {
    type Output = Privileges;
    fn not(self) -> Privileges {
        Privileges(!self.0)
    }
}

/// What somebody has granted to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclItem {
    /// To whom; [`RoleId::PUBLIC`]: to everybody.
    pub grantee: RoleId,
    /// By whom.
    pub grantor: RoleId,
    /// What.
    pub privileges: Privileges,
    /// WITH GRANT OPTION: which of them the grantee may grant.
    #[serde(default, skip_serializing_if = "Privileges::is_empty_ref")]
    pub grantable: Privileges,
}

impl Privileges {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
    fn is_empty_ref(&self) -> bool {
        self.is_empty()
    }
}

/// A list of grants.
pub type Acl = Vec<AclItem>;

/// An object that can be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owned {
    /// The system table that lists it.
    pub class: u32,
    /// Its id.
    pub object: u32,
}

/// Who owns an object, and what was granted on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// The object.
    pub on: Owned,
    /// Who owns it.
    pub owner: RoleId,
    /// What was granted; `None`: what its kind has from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<Acl>,
    /// What was granted on single columns, by their numbers from 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<u32, Acl>,
}

/// What objects that a role creates are to have (ALTER DEFAULT PRIVILEGES).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRights {
    /// Whose objects.
    pub role: RoleId,
    /// In which schema; `None`: in all, in the place of what their kind has from the start.
    pub schema: Option<u32>,
    /// Of which kind.
    pub kind: RightsKind,
    /// What is granted; `None`: nothing is said any more.
    pub acl: Option<Acl>,
}

/// The kinds of objects, as far as rights differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RightsKind {
    /// Tables and views.
    Table,
    /// Sequences.
    Sequence,
    /// Functions and procedures.
    Function,
    /// Types.
    Type,
    /// Schemas.
    Schema,
    /// The database.
    Database,
}

impl RightsKind {
    /// What can be granted on it.
    pub fn privileges(self) -> Privileges {
        match self {
            RightsKind::Table => Privileges(0x7f),
            RightsKind::Sequence => Privileges::USAGE | Privileges::SELECT | Privileges::UPDATE,
            RightsKind::Function => Privileges::EXECUTE,
            RightsKind::Type => Privileges::USAGE,
            RightsKind::Schema => Privileges::USAGE | Privileges::CREATE,
            RightsKind::Database => Privileges::CREATE | Privileges::TEMPORARY | Privileges::CONNECT,
        }
    }

    /// What everybody may do with one when nobody has said anything.
    pub fn public(self) -> Privileges {
        match self {
            RightsKind::Table | RightsKind::Sequence | RightsKind::Schema => Privileges::NONE,
            RightsKind::Function => Privileges::EXECUTE,
            RightsKind::Type => Privileges::USAGE,
            RightsKind::Database => Privileges::TEMPORARY | Privileges::CONNECT,
        }
    }

    /// The letter in `pg_default_acl.defaclobjtype`.
    pub fn letter(self) -> char {
        match self {
            RightsKind::Table => 'r',
            RightsKind::Sequence => 'S',
            RightsKind::Function => 'f',
            RightsKind::Type => 'T',
            RightsKind::Schema => 'n',
            RightsKind::Database => 'd',
        }
    }

    /// What one has from the start.
    pub fn default_acl(self, owner: RoleId) -> Acl {
        let item = |grantee, privileges| AclItem {
            grantee,
            grantor: owner,
            privileges,
            grantable: Privileges::NONE,
        };
        let public = Some(self.public()).filter(|public| !public.is_empty());
        let public = public.map(|privileges| item(RoleId::PUBLIC, privileges));
        public.into_iter().chain([item(owner, self.privileges())]).collect()
    }
}

/// The schemas that everybody may look into from the start: `pg_catalog`, `public`.
const OPEN_SCHEMAS: [u32; 2] = [11, 2200];

/// A role with all whose rights it has: computed once for a role and a catalogue.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The role.
    pub role: RoleId,
    /// Nothing is refused to it.
    pub superuser: bool,
    /// Row-level security does not bind it.
    pub bypass_rls: bool,
    /// It, and the roles whose rights it has.
    pub roles: BTreeSet<RoleId>,
}

impl Holder {
    /// A role in a catalogue. A role that is no longer there has no rights.
    pub fn new(catalog: &Catalog, role: RoleId) -> Holder {
        let def = catalog.role(role);
        let superuser = def.is_some_and(|def| def.superuser);
        let bypass_rls = superuser || def.is_some_and(|def| def.bypass_rls);
        Holder { role, superuser, bypass_rls, roles: catalog.inherited_roles(role) }
    }

    /// Whether it has the rights of a role.
    pub fn has_rights_of(&self, role: RoleId) -> bool {
        self.superuser || self.roles.contains(&role)
    }

    /// Which privileges a list of grants gives it.
    pub fn privileges_in(&self, acl: &[AclItem]) -> Privileges {
        let for_it = |item: &&AclItem| item.grantee == RoleId::PUBLIC || self.roles.contains(&item.grantee);
        acl.iter().filter(for_it).fold(Privileges::NONE, |all, item| all | item.privileges)
    }

    /// Whether it may do all of `wanted` with an object.
    pub fn may(&self, catalog: &Catalog, kind: RightsKind, on: Owned, wanted: Privileges) -> bool {
        self.superuser || self.privileges_on(catalog, kind, on).contains(wanted)
    }

    /// All that it may do with an object; a superuser has all there is.
    pub fn privileges_on(&self, catalog: &Catalog, kind: RightsKind, on: Owned) -> Privileges {
        if self.superuser {
            return kind.privileges();
        }
        let of = |role| self.roles.contains(&role);
        let of_all = privileges_of_all(kind, of(RoleId::READ_ALL_DATA), of(RoleId::WRITE_ALL_DATA));
        self.privileges_in(&catalog.acl(kind, on)) | of_all
    }

    /// What it may do with a column of a table, beside what it may do with the table.
    pub fn privileges_on_column(&self, catalog: &Catalog, table: Owned, column: u32) -> Privileges {
        let acl = catalog.rights(table).and_then(|rights| rights.columns.get(&column));
        acl.map_or(Privileges::NONE, |acl| self.privileges_in(acl))
    }

    /// Which of its privileges it may grant on.
    pub fn grantable(&self, acl: &[AclItem], owner: RoleId, kind: RightsKind) -> Privileges {
        if self.has_rights_of(owner) {
            return kind.privileges();
        }
        let for_it = |item: &&AclItem| self.roles.contains(&item.grantee);
        acl.iter().filter(for_it).fold(Privileges::NONE, |all, item| all | item.grantable)
    }

    /// As whom it grants: the owner when it has the owner's rights, else the role with the most options (`select_best_grantor`).
    pub fn grantor(&self, acl: &[AclItem], owner: RoleId, wanted: Privileges) -> (RoleId, Privileges) {
        if self.has_rights_of(owner) {
            return (owner, wanted);
        }
        let options = |role: RoleId| {
            let own = acl.iter().filter(|item| item.grantee == role);
            own.fold(Privileges::NONE, |all, item| all | item.grantable) & wanted
        };
        let mut best = (self.role, options(self.role));
        for role in &self.roles {
            let found = options(*role);
            if found.count() > best.1.count() {
                best = (*role, found);
            }
        }
        best
    }
}

/// Adds a grant to a list.
pub fn grant(acl: &mut Acl, given: AclItem) {
    let same = |item: &&mut AclItem| (item.grantee, item.grantor) == (given.grantee, given.grantor);
    match acl.iter_mut().find(same) {
        Some(item) => {
            item.privileges = item.privileges | given.privileges;
            item.grantable = item.grantable | given.grantable;
        }
        None => acl.push(given),
    }
}

/// What is taken away.
#[derive(Clone, Copy, Debug)]
pub struct Revocation {
    /// From whom.
    pub grantee: RoleId,
    /// As whom.
    pub grantor: RoleId,
    /// What.
    pub privileges: Privileges,
    /// GRANT OPTION FOR: the privileges themselves stay.
    pub option_only: bool,
    /// CASCADE
    pub cascade: bool,
}

/// Takes a grant out of a list, and with CASCADE what depends on it.
///
/// # Errors
/// 2BP01 when others depend on it and are not to go.
pub fn revoke(acl: &mut Acl, owner: RoleId, taken: Revocation) -> Result<()> {
    let same = |item: &&mut AclItem| (item.grantee, item.grantor) == (taken.grantee, taken.grantor);
    let Some(item) = acl.iter_mut().find(same) else { return Ok(()) };
    let lost = item.grantable & taken.privileges;
    item.grantable = item.grantable & !taken.privileges;
    if !taken.option_only {
        item.privileges = item.privileges & !taken.privileges;
    }
    acl.retain(|item| !item.privileges.is_empty());
    if lost.is_empty() || taken.grantee == owner {
        return Ok(());
    }
    // What the grantee may still grant by others' grants stays.
    let own = acl.iter().filter(|item| item.grantee == taken.grantee);
    let lost = lost & !own.fold(Privileges::NONE, |all, item| all | item.grantable);
    let depends = |item: &&AclItem| item.grantor == taken.grantee && !(item.privileges & lost).is_empty();
    while let Some(item) = acl.iter().find(depends) {
        if !taken.cascade {
            return Err(SqlError::new(sqlstate::SqlState(*b"2BP01"), "dependent privileges exist")
                .hint("Use CASCADE to revoke them too."));
        }
        let next = Revocation {
            grantee: item.grantee,
            grantor: item.grantor,
            privileges: lost,
            option_only: false,
            cascade: true,
        };
        revoke(acl, owner, next)?;
    }
    Ok(())
}

/// A list of grants with one role in the place of another, as it is when an owner changes.
pub fn with_owner(acl: &[AclItem], old: RoleId, new: RoleId) -> Acl {
    let swap = |role: RoleId| if role == old { new } else { role };
    let mut result = Acl::new();
    for item in acl {
        let AclItem { grantee, grantor, .. } = *item;
        grant(&mut result, AclItem { grantee: swap(grantee), grantor: swap(grantor), ..item.clone() });
    }
    result
}

impl Catalog {
    /// What is kept of an object's rights.
    pub fn rights(&self, on: Owned) -> Option<&Arc<Rights>> {
        self.rights.get(&on)
    }

    /// All that is kept of rights.
    pub fn all_rights(&self) -> impl Iterator<Item = &Arc<Rights>> {
        self.rights.values()
    }

    /// Who owns an object.
    pub fn owner(&self, on: Owned) -> RoleId {
        self.rights(on).map_or_else(|| first_owner(on), |rights| rights.owner)
    }

    /// An object's rights, made up where none are kept.
    pub fn rights_or_default(&self, on: Owned) -> Rights {
        let made_up = || Rights { on, owner: first_owner(on), acl: None, columns: BTreeMap::new() };
        self.rights(on).map_or_else(made_up, |rights| Rights::clone(rights))
    }

    /// What is granted on an object, from the start or by somebody.
    pub fn acl(&self, kind: RightsKind, on: Owned) -> Acl {
        let rights = self.rights(on);
        match rights.and_then(|rights| rights.acl.as_ref()) {
            Some(acl) => acl.clone(),
            None => self.first_acl(kind, on, self.owner(on)),
        }
    }

    /// What an object has from the start.
    pub fn first_acl(&self, kind: RightsKind, on: Owned, owner: RoleId) -> Acl {
        let mut acl = kind.default_acl(owner);
        if kind == RightsKind::Schema && OPEN_SCHEMAS.contains(&on.object) {
            let (grantee, grantor, privileges) = (RoleId::PUBLIC, owner, Privileges::USAGE);
            grant(&mut acl, AclItem { grantee, grantor, privileges, grantable: Privileges::NONE });
        }
        acl
    }

    /// What is said about the objects that a role creates.
    pub fn default_rights(&self, role: RoleId, schema: Option<u32>, kind: RightsKind) -> Option<&Acl> {
        self.default_rights.get(&(role, schema, kind))
    }

    /// All that is said about objects to come.
    pub fn all_default_rights(&self) -> impl Iterator<Item = (&(RoleId, Option<u32>, RightsKind), &Acl)> {
        self.default_rights.iter()
    }

    /// What a new object is to have that a role creates in a schema; `None`: what its kind has from the start.
    pub fn acl_of_new(&self, role: RoleId, schema: Option<u32>, kind: RightsKind) -> Option<Acl> {
        let global = self.default_rights(role, None, kind);
        let local = schema.and_then(|schema| self.default_rights(role, Some(schema), kind));
        if global.is_none() && local.is_none() {
            return None;
        }
        let mut acl = global.cloned().unwrap_or_else(|| kind.default_acl(role));
        local.into_iter().flatten().for_each(|item| grant(&mut acl, item.clone()));
        Some(acl)
    }

    /// The kind of an object, as far as rights differ.
    pub fn rights_kind(&self, on: Owned) -> RightsKind {
        match on.class {
            CLASS_SCHEMA => RightsKind::Schema,
            CLASS_FUNCTION => RightsKind::Function,
            CLASS_TYPE => RightsKind::Type,
            CLASS_DATABASE => RightsKind::Database,
            CLASS_RELATION if self.sequence(SequenceId(on.object)).is_some() => RightsKind::Sequence,
            _ => RightsKind::Table,
        }
    }

    pub(crate) fn put_rights(&mut self, rights: Rights) {
        let plain =
            rights.owner == first_owner(rights.on) && rights.acl.is_none() && rights.columns.is_empty();
        match plain {
            true => self.rights.remove(&rights.on),
            false => self.rights.insert(rights.on, Arc::new(rights)),
        };
    }

    pub(crate) fn put_default_rights(&mut self, rights: DefaultRights) {
        let key = (rights.role, rights.schema, rights.kind);
        match rights.acl {
            Some(acl) => self.default_rights.insert(key, acl),
            None => self.default_rights.remove(&key),
        };
    }

    pub(crate) fn forget_rights(&mut self, class: u32, object: u32) {
        self.rights.remove(&Owned { class, object });
    }

    /// An aclitem's text: `role=privileges/grantor`.
    pub fn acl_item_text(&self, item: &AclItem) -> String {
        let name = |role: RoleId| {
            let name = self.role_name(role);
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if plain { name } else { format!("\"{}\"", name.replace('"', "\"\"")) }
        };
        let mut text = if item.grantee == RoleId::PUBLIC { String::new() } else { name(item.grantee) };
        text.push('=');
        for (privilege, letter, _) in item.privileges.each() {
            text.push(letter);
            if item.grantable.contains(privilege) {
                text.push('*');
            }
        }
        text.push('/');
        text.push_str(&name(item.grantor));
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{CatalogChange, RoleDef};

    const A: RoleId = RoleId(101);
    const B: RoleId = RoleId(102);
    const C: RoleId = RoleId(103);
    const TABLE: Owned = Owned { class: CLASS_RELATION, object: 20_000 };

    fn item(grantee: RoleId, grantor: RoleId, privileges: Privileges, grantable: Privileges) -> AclItem {
        AclItem { grantee, grantor, privileges, grantable }
    }

    #[test]
    fn what_was_granted_on_goes_with_the_option() {
        let mut acl = RightsKind::Table.default_acl(A);
        let select = Privileges::SELECT;
        grant(&mut acl, item(B, A, select, select));
        grant(&mut acl, item(C, B, select, Privileges::NONE));
        let taken =
            Revocation { grantee: B, grantor: A, privileges: select, option_only: true, cascade: false };
        let before = acl.clone();
        assert_eq!(revoke(&mut acl, A, taken).unwrap_err().sqlstate().to_string(), "2BP01");
        acl = before;
        revoke(&mut acl, A, Revocation { cascade: true, ..taken }).unwrap();
        assert!(acl.iter().all(|item| item.grantee != C));
        assert!(acl.iter().any(|item| item.grantee == B && item.privileges == select));
    }

    #[test]
    fn who_has_what() {
        let mut catalog = Catalog::new();
        for (id, name) in [(A, "a"), (B, "b c")] {
            catalog.apply(CatalogChange::PutRole(RoleDef::new(id, name)));
        }
        let mut acl = RightsKind::Table.default_acl(A);
        grant(&mut acl, item(B, A, Privileges::SELECT, Privileges::SELECT));
        grant(&mut acl, item(RoleId::PUBLIC, A, Privileges::INSERT, Privileges::NONE));
        let texts: Vec<String> = acl.iter().map(|item| catalog.acl_item_text(item)).collect();
        assert_eq!(texts, ["a=arwdDxt/a", "\"b c\"=r*/a", "=a/a"]);
        let rights = Rights { on: TABLE, owner: A, acl: Some(acl), columns: BTreeMap::new() };
        catalog.apply(CatalogChange::PutRights(rights));
        let holder = Holder::new(&catalog, B);
        let may = |wanted| holder.may(&catalog, RightsKind::Table, TABLE, wanted);
        assert!(may(Privileges::SELECT) && may(Privileges::INSERT) && !may(Privileges::DELETE));
        assert!(Holder::new(&catalog, RoleId::BOOTSTRAP).superuser);
    }
}
