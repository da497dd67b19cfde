//! ALTER ... OWNER TO. There is one role, who asks: it owns everything already.

use tuplix_sql::plan::{ObjectName, Role};
use tuplix_types::{Result, SqlError, sqlstate};

use super::Work;
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn alter_owner(&mut self, target: &ObjectName, role: &Role) -> Run<&'static str> {
        self.described(target)?;
        self.check_role(role)?;
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

    /// Whether the role is there.
    pub(super) fn check_role(&self, role: &Role) -> Result<()> {
        match &role.0 {
            Some(name) if *name != self.services.user => {
                let message = format!("role \"{name}\" does not exist");
                Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
            }
            _ => Ok(()),
        }
    }
}
