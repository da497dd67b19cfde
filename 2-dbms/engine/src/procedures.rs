//! Functions and procedures that are compiled, of a node or of a transaction with a catalogue of its own.
//!
//! A body's bare names mean what the caller's search path makes of them, so a body is compiled once for each path, as
//! PostgreSQL plans it again; paths of which the same schemas exist are one. Code of an older catalogue goes when newer comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::FunctionId;

use crate::exec::CompiledProcedure;
use crate::layout::Layout;

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
    /// The code of a function under a version of the catalogue and a search path.
    pub(crate) fn get(
        &self,
        id: FunctionId,
        version: u64,
        path: &[String],
    ) -> Option<Arc<CompiledProcedure>> {
        let mut kept = self.kept.get(&id)?.iter();
        kept.find(|kept| kept.version == version && *kept.path == *path).map(|kept| kept.compiled.clone())
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
        kept.retain(|old| old.version == version && old.path != path);
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
