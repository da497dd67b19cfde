//! What the current role may do, asked by code that is no compiled statement: DDL, sequences, functions of the system.

pub(crate) use tuplix_catalog::THE_DATABASE;
use tuplix_catalog::{
    CLASS_RELATION, CLASS_SCHEMA, Catalog, Holder, Owned, Privileges, RightsKind, RoleId, SequenceDef,
};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::exec::Refused;
use crate::services::Services;

/// A schema, as something that is owned.
pub(crate) fn schema(oid: u32) -> Owned {
    Owned { class: CLASS_SCHEMA, object: oid }
}

/// A sequence, as something that is owned.
pub(crate) fn sequence(def: &SequenceDef) -> Owned {
    Owned { class: CLASS_RELATION, object: def.id.0 }
}

/// Whether a role may connect to the database.
///
/// # Errors
/// 42501
pub(crate) fn check_connect(catalog: &Catalog, role: RoleId, database: &str) -> Result<()> {
    let holder = Holder::new(catalog, role);
    if holder.may(catalog, RightsKind::Database, THE_DATABASE, Privileges::CONNECT) {
        return Ok(());
    }
    let message = format!("permission denied for database \"{database}\"");
    Err(SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message)
        .detail("User does not have CONNECT privilege."))
}

impl Services {
    /// The schemas of the search path in which the current role may look things up.
    pub(crate) fn usable_path(&self) -> Vec<String> {
        let mut path = self.search_path();
        if self.current_role() == RoleId::BOOTSTRAP {
            return path;
        }
        self.with_catalog(|catalog| {
            let holder = self.holder(catalog);
            path.retain(|name| {
                let own = name.starts_with(crate::services::TEMPORARY_SCHEMA);
                let found = catalog.schema(name).filter(|_| !own);
                found.is_none_or(|found| {
                    holder.may(catalog, RightsKind::Schema, schema(found.oid), Privileges::USAGE)
                })
            });
        });
        path
    }

    /// The error of a refusal, which the node remembers whatever becomes of the transaction.
    #[cold]
    pub(crate) fn refuse(&self, refused: Refused) -> SqlError {
        let error = refused.error();
        self.remember(refused.role, refused.privilege, &error);
        error
    }

    /// The same for an error that is there already.
    #[cold]
    pub(crate) fn note_refusal(&self, error: SqlError, privilege: &'static str) -> SqlError {
        self.remember(self.current_role(), privilege, &error);
        error
    }

    fn remember(&self, role: RoleId, privilege: &'static str, error: &SqlError) {
        self.node.refuse(privilege, &self.role_name(role), None, error);
    }

    /// The current role with its rights.
    pub(crate) fn holder(&self, catalog: &Catalog) -> Holder {
        Holder::new(catalog, self.current_role())
    }

    /// Refuses who has not the rights of a role.
    ///
    /// # Errors
    /// 42501 with this message
    pub(crate) fn require_rights_of(&self, role: RoleId, message: &str) -> Result<()> {
        let current = self.current_role();
        if self.with_catalog(|catalog| catalog.has_rights_of(current, role)) {
            return Ok(());
        }
        let error = SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message);
        Err(self.note_refusal(error, "MEMBER"))
    }

    /// Refuses who has none of some privileges on a sequence.
    ///
    /// # Errors
    /// 42501
    pub(crate) fn require_sequence(&self, def: &SequenceDef, any: Privileges) -> Result<()> {
        if self.current_role() == RoleId::BOOTSTRAP {
            return Ok(());
        }
        self.with_catalog(|catalog| {
            let holder = self.holder(catalog);
            let has = holder.privileges_on(catalog, RightsKind::Sequence, sequence(def));
            if !(has & any).is_empty() {
                return Ok(());
            }
            Err(self.refuse(Refused::new(&holder, "sequence", &def.name, "USAGE")))
        })
    }
}
