//! The roles that every catalogue has from its start, PostgreSQL 15's by name and object id (manual chapter 22.5).
//!
//! Nobody logs in as one, changes or drops one. Members of `pg_read_all_data` and `pg_write_all_data` have privileges on everything
//! ([`crate::Holder::privileges_on`]), those of others may do what is asked for by name; those that PostgreSQL has for what a node
//! has not are there so that what grants them can be loaded.

use crate::{
    CLASS_DATABASE, CLASS_SCHEMA, Catalog, Membership, Owned, Privileges, RightsKind, RoleDef, RoleId,
};

/// The one database.
pub const THE_DATABASE: Owned = Owned { class: CLASS_DATABASE, object: 5 };
/// The schema `public`.
const PUBLIC_SCHEMA: Owned = Owned { class: CLASS_SCHEMA, object: 2200 };

impl RoleId {
    /// `pg_database_owner`: whoever owns the database is its member, and nobody else.
    pub const DATABASE_OWNER: RoleId = RoleId(6171);
    /// `pg_read_all_data`
    pub const READ_ALL_DATA: RoleId = RoleId(6181);
    /// `pg_write_all_data`
    pub const WRITE_ALL_DATA: RoleId = RoleId(6182);
    /// `pg_monitor`
    pub const MONITOR: RoleId = RoleId(3373);
    /// `pg_read_all_settings`
    pub const READ_ALL_SETTINGS: RoleId = RoleId(3374);
    /// `pg_read_all_stats`
    pub const READ_ALL_STATS: RoleId = RoleId(3375);
    /// `pg_stat_scan_tables`
    pub const STAT_SCAN_TABLES: RoleId = RoleId(3377);
    /// `pg_checkpoint`
    pub const CHECKPOINT: RoleId = RoleId(4544);

    /// Whether it is one of these.
    pub fn is_predefined(self) -> bool {
        PREDEFINED.iter().any(|(id, _)| *id == self)
    }
}

const PREDEFINED: [(RoleId, &str); 12] = [
    (RoleId::MONITOR, "pg_monitor"),
    (RoleId::READ_ALL_SETTINGS, "pg_read_all_settings"),
    (RoleId::READ_ALL_STATS, "pg_read_all_stats"),
    (RoleId::STAT_SCAN_TABLES, "pg_stat_scan_tables"),
    (RoleId(4200), "pg_signal_backend"),
    (RoleId::CHECKPOINT, "pg_checkpoint"),
    (RoleId(4569), "pg_read_server_files"),
    (RoleId(4570), "pg_write_server_files"),
    (RoleId(4571), "pg_execute_server_program"),
    (RoleId::DATABASE_OWNER, "pg_database_owner"),
    (RoleId::READ_ALL_DATA, "pg_read_all_data"),
    (RoleId::WRITE_ALL_DATA, "pg_write_all_data"),
];

/// The predefined roles of a new catalogue.
pub(crate) fn predefined() -> impl Iterator<Item = RoleDef> {
    PREDEFINED.iter().map(|(id, name)| {
        let mut role = RoleDef::new(*id, *name);
        if *id == RoleId::MONITOR {
            let of = [RoleId::READ_ALL_SETTINGS, RoleId::READ_ALL_STATS, RoleId::STAT_SCAN_TABLES];
            let member = |of| Membership { of, grantor: RoleId::BOOTSTRAP, admin: false };
            role.memberships = of.into_iter().map(member).collect();
        }
        role
    })
}

/// Who owns an object of which nobody has said anything.
pub(crate) fn first_owner(on: Owned) -> RoleId {
    if on == PUBLIC_SCHEMA { RoleId::DATABASE_OWNER } else { RoleId::BOOTSTRAP }
}

impl Catalog {
    /// The role that a role is a member of without anybody having said so.
    pub(crate) fn implicit_role(&self, member: RoleId) -> Option<RoleId> {
        (member == self.owner(THE_DATABASE)).then_some(RoleId::DATABASE_OWNER)
    }
}

/// What the roles that may read or write everything have on objects of a kind.
pub(crate) fn privileges_of_all(kind: RightsKind, reads: bool, writes: bool) -> Privileges {
    let of = |asked: bool, privileges: Privileges| if asked { privileges } else { Privileges::NONE };
    match kind {
        RightsKind::Table | RightsKind::Sequence => {
            let changes = Privileges::INSERT | Privileges::UPDATE | Privileges::DELETE;
            of(reads, Privileges::SELECT) | of(writes, changes)
        }
        RightsKind::Schema => of(reads || writes, Privileges::USAGE),
        RightsKind::Function | RightsKind::Type | RightsKind::Database => Privileges::NONE,
    }
}
