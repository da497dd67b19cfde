//! ALTER ... OWNER TO. The bootstrap role owns everything: the role that is named has to be there, and nothing changes.

use tuplix_sql::plan::{ObjectName, Role};
use tuplix_types::Result;

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
        self.role(role).map(|_| ())
    }
}
