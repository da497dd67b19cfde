//! What was refused to whom (42501): kept outside of the transaction that failed, the newest [`MAX_REFUSALS`] of them.

use std::collections::VecDeque;

use tuplix_catalog::RoleId;
use tuplix_machine::{Machine, Mutex};
use tuplix_types::SqlError;

use crate::exec::Refused;
use crate::services::Services;

/// Refusals that are remembered.
pub(crate) const MAX_REFUSALS: usize = 1000;

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// Counts all of the node's refusals from 1.
    pub number: u64,
    /// When, `timestamptz` microseconds.
    pub time_us: i64,
    /// The session.
    pub session: u32,
    /// Who connected.
    pub user: String,
    /// Whose rights counted.
    pub role: String,
    /// `table`, `schema`, ...
    pub kind: &'static str,
    /// The object.
    pub object: String,
    /// What the role lacked.
    pub privilege: &'static str,
}

/// All that are remembered.
#[derive(Debug)]
pub(crate) struct Refusals(Mutex<(u64, VecDeque<Refusal>)>);

impl Refusals {
    pub(crate) fn new(machine: &Machine) -> Refusals {
        Refusals(Mutex::new(machine, (0, VecDeque::new())))
    }

    fn add(&self, mut refusal: Refusal) {
        let mut state = self.0.lock();
        state.0 += 1;
        refusal.number = state.0;
        if state.1.len() >= MAX_REFUSALS {
            state.1.pop_front();
        }
        state.1.push_back(refusal);
    }

    /// The oldest first.
    pub(crate) fn all(&self) -> Vec<Refusal> {
        self.0.lock().1.iter().cloned().collect()
    }
}

impl Services {
    /// The error of a refusal, which is remembered.
    pub(crate) fn refuse(&self, refused: Refused) -> SqlError {
        let error = refused.error();
        self.remember(refused);
        error
    }

    /// An error that is a refusal, remembered.
    #[cold]
    pub(crate) fn note_refusal(
        &self,
        error: SqlError,
        kind: &'static str,
        object: &str,
        privilege: &'static str,
    ) -> SqlError {
        let (role, object) = (self.current_role(), object.to_owned());
        self.remember(Refused { role, kind, object, privilege });
        error
    }

    fn remember(&self, refused: Refused) {
        let Refused { role, kind, object, privilege } = refused;
        let name = |role: RoleId| self.role_name(role);
        self.node.refusals.add(Refusal {
            number: 0,
            time_us: self.node.machine().now_us(),
            session: self.session_id,
            user: name(self.session_role()),
            role: name(role),
            kind,
            object,
            privilege,
        });
    }
}
