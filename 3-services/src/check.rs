//! The services' invariants.

use tuplix::{Result, Session};

use crate::procedure::Fields;
use crate::service::SERVICES;

/// Something in the tables that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The service whose invariant it breaks.
    pub service: &'static str,
    /// The invariant, as `invariants.sql` names it.
    pub invariant: String,
    /// What breaks it.
    pub detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.service, self.invariant, self.detail)
    }
}

/// Checks the invariants of all services; nothing when all hold. Each service is checked in one snapshot.
///
/// # Errors
/// The database's.
pub fn check(session: &mut Session) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for service in SERVICES {
        let rows = session.query(service.invariants, &[])?;
        for row in rows.iter().map(Fields) {
            violations.push(Violation {
                service: service.name,
                invariant: row.text(0)?,
                detail: row.text(1)?,
            });
        }
    }
    Ok(violations)
}
