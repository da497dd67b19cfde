//! LOCK TABLE.

use pg_query::protobuf::LockStmt;
use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_types::Result;

use super::{Analyzer, nodes};
use crate::plan::{Ddl, LockTables};

/// SHARE UPDATE EXCLUSIVE (`lockdefs.h`): the weakest mode that one who changes rows is kept out by, or another of its kind.
const WEAKEST_EXCLUSIVE: i32 = 4;

impl Analyzer<'_> {
    pub(super) fn lock_tables(&mut self, stmt: &LockStmt) -> Result<Ddl> {
        let mut tables = Vec::with_capacity(stmt.relations.len());
        for node in &stmt.relations {
            let NodeEnum::RangeVar(name) = nodes::inner(node)? else { return Err(nodes::missing()) };
            tables.push(self.qualified_name(name)?);
        }
        Ok(Ddl::Lock(LockTables { tables, excludes: stmt.mode >= WEAKEST_EXCLUSIVE, no_wait: stmt.nowait }))
    }
}
