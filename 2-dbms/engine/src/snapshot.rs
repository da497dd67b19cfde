//! A snapshot: all committed rows of a node as they were at one moment.
//!
//! It is taken under all latches, so no transaction is in it by halves, and costs one pointer for each 131,072 rows of each
//! fragment. From then on nobody waits for it: a chunk that is written is copied first (docs/adr/0002).

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::TableId;
use tuplix_machine::Mutex;
use tuplix_storage::FragmentSnapshot;
use tuplix_types::{Result, SqlError, sqlstate};

use crate::domain::Guard;
use crate::node::{Home, Node, Schema};
use crate::snapshots::Snapshots;

/// Fragments by bucket.
pub(crate) type Fragments = Vec<(u16, FragmentSnapshot)>;

/// All rows at one moment, and what there was.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    schema: Arc<Schema>,
    /// Fragments by bucket, those that ever had a row.
    tables: BTreeMap<TableId, Fragments>,
}

impl Moment {
    /// The catalogue at that moment.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The catalogue and the rows, to be let go of one by one.
    pub(crate) fn into_parts(self) -> (Arc<Schema>, BTreeMap<TableId, Fragments>) {
        (self.schema, self.tables)
    }
}

/// The rows of a snapshot, until it is cancelled.
#[derive(Debug)]
pub(crate) struct Held {
    tables: Mutex<Option<BTreeMap<TableId, Fragments>>>,
}

impl Held {
    /// Lets go of all rows.
    pub(crate) fn cancel(&self) {
        let tables = self.tables.lock().take();
        drop(tables);
    }
}

/// See the module. Chunks that were written since it was taken stay in memory until it is dropped, or cancelled because snapshots hold too
/// much (`snapshots.rs`).
#[derive(Clone, Debug)]
pub struct Snapshot {
    schema: Arc<Schema>,
    held: Arc<Held>,
    all: Arc<Snapshots>,
}

impl Snapshot {
    /// The catalogue at that moment.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The fragments of a table with their buckets; none for a table that is not there. They stay readable, and in memory, when the
    /// snapshot is cancelled meanwhile.
    ///
    /// # Errors
    /// 72000 when the snapshot was cancelled: too much was written since it was taken.
    pub fn fragments(&self, table: TableId) -> Result<Vec<(u16, FragmentSnapshot)>> {
        self.all.relieve();
        match &*self.held.tables.lock() {
            Some(tables) => Ok(tables.get(&table).cloned().unwrap_or_default()),
            None => Err(self.cancelled()),
        }
    }

    /// How many rows all its tables have.
    ///
    /// # Errors
    /// As [`Snapshot::fragments`].
    pub fn row_count(&self) -> Result<usize> {
        match &*self.held.tables.lock() {
            Some(tables) => Ok(tables.values().flatten().map(|(_, fragment)| fragment.row_count()).sum()),
            None => Err(self.cancelled()),
        }
    }

    #[cold]
    fn cancelled(&self) -> SqlError {
        let limit = self.all.limit();
        SqlError::new(sqlstate::SNAPSHOT_TOO_OLD, "snapshot too old")
            .detail(format!("Snapshots held more than {limit} bytes of rows that were written since."))
            .hint("Take a new one and read it faster, or start the node with more --memory: snapshots may hold an eighth of it.")
    }
}

impl Node {
    /// Takes a snapshot. Transactions wait for as long as that takes, which depends on the number of fragments.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshots.relieve();
        let Moment { schema, tables } = {
            let guards = self.hold_all_domains();
            self.snapshot_under(&guards)
        };
        let held = Arc::new(Held { tables: Mutex::new(self.machine(), Some(tables)) });
        self.snapshots.add(&held);
        Snapshot { schema, held, all: self.snapshots.clone() }
    }

    /// Latches everything: no transaction is in the middle of something.
    pub(crate) fn hold_all_domains(&self) -> Vec<Guard<'_>> {
        let mut guards: Vec<Guard<'_>> = Vec::new();
        // A domain that is new since the count was read comes behind the others, in latching order.
        while let Some(domain) = self.all_domains().get(guards.len()).copied() {
            guards.push(self.domain(domain).lock(domain));
        }
        guards
    }

    /// The snapshot of this moment, under all latches.
    pub(crate) fn snapshot_under(&self, guards: &[Guard<'_>]) -> Moment {
        // The catalogue and the homes change under all latches: these are the ones that the rows belong to. A table that a
        // transaction is changing still has its rows where they were.
        let schema = self.schema();
        let homes = self.homes();
        let tables = homes.iter().map(|(id, home)| (*id, self.snapshot_of(home, guards))).collect();
        Moment { schema, tables }
    }

    fn snapshot_of(&self, home: &Home, guards: &[Guard<'_>]) -> Fragments {
        let fragment = |bucket: u16| {
            let domain = self.domain_of(home, bucket);
            let guard = guards.get(domain.0 as usize)?;
            Some((bucket, guard.fragment(home.slot, bucket)?.snapshot()))
        };
        (0..self.fragments_of(&home.distribution) as u16).filter_map(fragment).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tuplix_machine::Machine;
    use tuplix_storage::RowView;

    use crate::{Session, SessionOptions, Shape, open_in_memory};

    /// The snapshot keeps what was there, whatever is written, dropped and added later, and holds no row of a transaction
    /// that had not committed.
    #[test]
    fn it_does_not_change() {
        let shape = Shape { partitions: 2, buckets: 8, log_segment_bytes: 64 << 20 };
        let node = open_in_memory(&Machine::linux_seeded(1), &shape).unwrap();
        let mut session = Session::new(&node, &SessionOptions::default()).unwrap();
        session
            .execute(
                "CREATE TABLE item (p_key integer, id integer, v integer, PRIMARY KEY (p_key, id));
                 SELECT create_distributed_table('item', 'p_key');
                 CREATE TABLE local (id integer);
                 INSERT INTO item SELECT p, i, 1 FROM generate_series(0, 7) p, generate_series(1, 1000) i;
                 INSERT INTO local VALUES (1), (2), (3)",
            )
            .unwrap();
        session.execute("BEGIN; INSERT INTO local VALUES (4)").unwrap();
        let snapshot = node.snapshot();
        session.execute("COMMIT").unwrap();
        session
            .execute(
                "UPDATE item SET v = 2; DELETE FROM item WHERE id > 10; DROP TABLE local; CREATE TABLE later (id integer)",
            )
            .unwrap();
        assert_eq!(snapshot.row_count().unwrap(), 8_003);
        let item = snapshot.schema().catalog.table_named("public", "item").unwrap();
        let fragments = snapshot.fragments(item.id).unwrap();
        assert_eq!(
            fragments.iter().map(|(bucket, _)| *bucket).collect::<Vec<_>>(),
            (0..8).collect::<Vec<_>>()
        );
        let is_old = |row: RowView<'_>| row.value(2).as_i64() == Some(1);
        assert!(fragments.iter().all(|(_, fragment)| fragment.rows().all(|(_, row)| is_old(row))));
        assert_eq!(node.snapshot().row_count().unwrap(), 80);
    }
}
