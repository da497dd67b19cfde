//! Compiled procedures, as all sessions share them.
//!
//! One whose statements read tables with row-level security is good for one role: those are kept beside the others, and at
//! [`BOUND_MAX`] of them all make room.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::{FunctionId, RoleId};
use tuplix_machine::{Machine, Mutex, MutexGuard};
use tuplix_sql::analyze::Reader;

use crate::exec::CompiledProcedure;

/// Procedures with the catalogue version they were compiled under.
pub(crate) type Compiled = BTreeMap<FunctionId, (u64, Arc<CompiledProcedure>)>;

/// Procedures that are kept for single roles.
const BOUND_MAX: usize = 4096;

/// What is kept for one role.
type BoundKey = (FunctionId, RoleId, bool);

/// See the module.
#[derive(Debug)]
pub(crate) struct ProcedureCache {
    shared: Mutex<Compiled>,
    bound: Mutex<BTreeMap<BoundKey, (u64, Arc<CompiledProcedure>)>>,
}

impl ProcedureCache {
    pub(crate) fn new(machine: &Machine) -> ProcedureCache {
        ProcedureCache {
            shared: Mutex::new(machine, BTreeMap::new()),
            bound: Mutex::new(machine, BTreeMap::new()),
        }
    }

    /// Those that are everybody's.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Compiled> {
        self.shared.lock()
    }

    /// Keeps one that is its reader's alone.
    pub(crate) fn keep_bound(&self, id: FunctionId, entry: (u64, Arc<CompiledProcedure>)) {
        let Some(reader) = entry.1.bound_to else { return };
        // It was everybody's under another catalogue.
        self.shared.lock().remove(&id);
        let mut bound = self.bound.lock();
        if bound.len() >= BOUND_MAX {
            bound.clear();
        }
        bound.insert(key(id, reader), entry);
    }

    /// One that is a reader's alone.
    pub(crate) fn bound(
        &self,
        id: FunctionId,
        version: u64,
        reader: impl FnOnce() -> Reader,
    ) -> Option<Arc<CompiledProcedure>> {
        let bound = self.bound.lock();
        if bound.is_empty() {
            return None;
        }
        let (of, compiled) = bound.get(&key(id, reader()))?;
        (*of == version).then(|| compiled.clone())
    }
}

fn key(id: FunctionId, reader: Reader) -> BoundKey {
    (id, reader.role, reader.row_security)
}
