//! ALTER ... OWNER TO, REASSIGN OWNED.

use tuplix_catalog::{
    CLASS_FUNCTION, CLASS_RELATION, CLASS_SCHEMA, CLASS_TYPE, CatalogChange, FunctionId, Owned, RoleId,
    SequenceId, TableId, with_owner,
};
use tuplix_sql::plan::{ObjectName, Role};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Work;
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn alter_owner(&mut self, target: &ObjectName, role: &Role) -> Run<&'static str> {
        let on = self.owned_by_name(target)?;
        let new = self.role(role)?.id;
        if let Some(on) = on {
            self.change_owner(on, new)?;
        }
        Ok(match target {
            ObjectName::Index(_) => "ALTER INDEX",
            ObjectName::Sequence(_) => "ALTER SEQUENCE",
            ObjectName::Type(_) => "ALTER TYPE",
            ObjectName::Domain(_) => "ALTER DOMAIN",
            ObjectName::Schema(_) => "ALTER SCHEMA",
            ObjectName::Database(_) => "ALTER DATABASE",
            ObjectName::Function(_, _, kind) => super::alter_routine::tag(*kind),
            _ => "ALTER TABLE",
        })
    }

    /// OWNER TO of a table, whose sequences go with it.
    pub(super) fn alter_table_owner(&mut self, table: TableId, role: &Role) -> Result<()> {
        let new = self.role(role)?.id;
        self.change_owner(Owned { class: CLASS_RELATION, object: table.0 }, new)
    }

    /// Gives an object to a role: the current one has to own it and to be a member of the new owner, who has to be permitted to
    /// create in its schema.
    fn change_owner(&mut self, on: Owned, new: RoleId) -> Result<()> {
        if self.catalog.owner(on) == new {
            return Ok(());
        }
        let holder = self.services.holder(&self.catalog);
        if !holder.superuser {
            if !self.catalog.is_member_of(holder.role, new) {
                let name = self.catalog.role_name(new);
                let message = format!("must be member of role \"{name}\"");
                let error = SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message);
                return Err(self.services.note_refusal(error, "MEMBER"));
            }
            if let Some(schema) = self.schema_of(on) {
                let new_owner = tuplix_catalog::Holder::new(&self.catalog, new);
                self.need_create_in(&new_owner, &schema)?;
            }
        }
        self.give(on, new);
        Ok(())
    }

    /// Makes a role the owner of an object and of the sequences that belong to it.
    pub(super) fn give(&mut self, on: Owned, new: RoleId) {
        let mut rights = self.catalog.rights_or_default(on);
        let old = std::mem::replace(&mut rights.owner, new);
        rights.acl = rights.acl.map(|acl| with_owner(&acl, old, new));
        rights.columns.values_mut().for_each(|acl| *acl = with_owner(acl, old, new));
        self.change(CatalogChange::PutRights(rights));
        if on.class == CLASS_RELATION {
            let sequences: Vec<u32> =
                self.catalog.sequences_of(TableId(on.object)).map(|sequence| sequence.id.0).collect();
            for object in sequences {
                self.give(Owned { class: CLASS_RELATION, object }, new);
            }
        }
    }

    /// The schema that an object is in.
    fn schema_of(&self, on: Owned) -> Option<String> {
        match on.class {
            CLASS_FUNCTION => self.catalog.function(FunctionId(on.object)).map(|found| found.schema.clone()),
            CLASS_TYPE => self.catalog.user_type(TypeId(on.object)).map(|found| found.schema.clone()),
            CLASS_RELATION => {
                let table = self.catalog.table(TableId(on.object)).map(|table| table.schema.clone());
                table.or_else(|| Some(self.catalog.sequence(SequenceId(on.object))?.schema.clone()))
            }
            CLASS_SCHEMA => None,
            _ => None,
        }
    }

    /// REASSIGN OWNED
    pub(super) fn reassign(&mut self, roles: &[Role], to: &Role) -> Result<()> {
        let new = self.role(to)?;
        let mut from = vec![new.clone()];
        for role in roles {
            from.push(self.role(role)?);
        }
        let holder = self.services.holder(&self.catalog);
        if from.iter().any(|role| !self.catalog.is_member_of(holder.role, role.id)) {
            let message = "permission denied to reassign objects";
            let error = SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message);
            return Err(self.services.note_refusal(error, "MEMBER"));
        }
        for old in &from[1..] {
            if old.id == RoleId::BOOTSTRAP {
                let message = format!(
                    "cannot reassign ownership of objects owned by role {} because they are required by the database system",
                    old.name
                );
                return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message));
            }
            let owned: Vec<Owned> = self
                .catalog
                .all_rights()
                .filter(|rights| rights.owner == old.id)
                .map(|rights| rights.on)
                .collect();
            owned.into_iter().for_each(|on| self.give(on, new.id));
        }
        Ok(())
    }
}
