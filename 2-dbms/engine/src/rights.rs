//! What the current role may do, asked by code that is no compiled statement: DDL, sequences, functions of the system.

use tuplix_catalog::{
    CLASS_DATABASE, CLASS_RELATION, CLASS_SCHEMA, Catalog, Holder, Owned, Privileges, RightsKind, SequenceDef,
};
use tuplix_types::Result;

use crate::exec::Refused;
use crate::services::Services;
use crate::system::DATABASE;

/// The database.
pub(crate) const THE_DATABASE: Owned = Owned { class: CLASS_DATABASE, object: DATABASE };

/// A schema, as something that is owned.
pub(crate) fn schema(oid: u32) -> Owned {
    Owned { class: CLASS_SCHEMA, object: oid }
}

/// A sequence, as something that is owned.
pub(crate) fn sequence(def: &SequenceDef) -> Owned {
    Owned { class: CLASS_RELATION, object: def.id.0 }
}

impl Services {
    /// The current role with its rights.
    pub(crate) fn holder(&self, catalog: &Catalog) -> Holder {
        Holder::new(catalog, self.current_role())
    }

    /// Refuses who is not a superuser.
    ///
    /// # Errors
    /// 42501
    pub(crate) fn require_superuser(&self, what: &str) -> Result<()> {
        let role = self.current_role();
        if self.with_catalog(|catalog| catalog.is_superuser(role)) {
            return Ok(());
        }
        let error = tuplix_types::SqlError::new(
            tuplix_types::sqlstate::INSUFFICIENT_PRIVILEGE,
            format!("must be superuser to {what}"),
        );
        Err(self.note_refusal(error, "node", what, "SUPERUSER"))
    }

    /// Refuses who has none of some privileges on a sequence.
    ///
    /// # Errors
    /// 42501
    pub(crate) fn require_sequence(&self, def: &SequenceDef, any: Privileges) -> Result<()> {
        if self.current_role() == tuplix_catalog::RoleId::BOOTSTRAP {
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
