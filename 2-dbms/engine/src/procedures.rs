//! Functions and procedures that are compiled, of a node or of a transaction with a catalogue of its own.
//!
//! A body's bare names mean what the caller's search path makes of them, so a body is compiled once for each path, as
//! PostgreSQL plans it again; paths of which the same schemas exist are one. Code of an older catalogue goes when newer comes.
//! Statements that read tables with row-level security are good for one role: such a body is compiled once for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::FunctionId;
use tuplix_sql::analyze::Reader;

use crate::exec::CompiledProcedure;
use crate::layout::Layout;

/// Ways in which a function is kept; the oldest makes room.
const KEPT_MAX: usize = 64;
/// Plans are looked at once in so long.
const REST_NS: u64 = 100_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Procedures {
    kept: BTreeMap<FunctionId, Vec<Kept>>,
    looked_at_ns: u64,
}

#[derive(Debug)]
struct Kept {
    version: u64,
    path: Arc<[String]>,
    compiled: Arc<CompiledProcedure>,
}

impl Procedures {
    /// The code of a function under a version of the catalogue and a search path, if it is good for the role.
    pub(crate) fn get(
        &self,
        id: FunctionId,
        version: u64,
        path: &[String],
        fits: impl Fn(Option<Reader>) -> bool,
    ) -> Option<Arc<CompiledProcedure>> {
        let mut kept = self.kept.get(&id)?.iter();
        let good =
            |kept: &&Kept| kept.version == version && *kept.path == *path && fits(kept.compiled.bound_to);
        kept.find(good).map(|kept| kept.compiled.clone())
    }

    /// Code of a function, of whatever version and path.
    pub(crate) fn any(&self, id: FunctionId) -> Option<&Arc<CompiledProcedure>> {
        self.kept.get(&id)?.last().map(|kept| &kept.compiled)
    }

    /// Keeps code.
    pub(crate) fn put(
        &mut self,
        id: FunctionId,
        version: u64,
        path: Arc<[String]>,
        compiled: Arc<CompiledProcedure>,
    ) {
        let kept = self.kept.entry(id).or_default();
        let bound_to = compiled.bound_to;
        kept.retain(|old| old.version == version && (old.path != path || old.compiled.bound_to != bound_to));
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push(Kept { version, path, compiled });
    }

    /// Forgets a function.
    pub(crate) fn remove(&mut self, id: FunctionId) {
        self.kept.remove(&id);
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }

    /// All code, with the version of its catalogue.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (FunctionId, u64, &CompiledProcedure)> {
        let last = |(id, kept)| {
            let (id, kept): (&FunctionId, &Vec<Kept>) = (id, kept);
            kept.last().map(|kept| (*id, kept.version, &*kept.compiled))
        };
        self.kept.iter().filter_map(last)
    }

    /// Forgets code whose tables have outgrown its plans: who calls it next compiles it again.
    pub(crate) fn forget_outgrown(&mut self, layout: &Layout, now_ns: u64) {
        if now_ns.saturating_sub(self.looked_at_ns) < REST_NS {
            return;
        }
        self.looked_at_ns = now_ns;
        for kept in self.kept.values_mut() {
            kept.retain(|kept| !kept.compiled.planned.is_outgrown(layout, now_ns));
        }
    }
}
