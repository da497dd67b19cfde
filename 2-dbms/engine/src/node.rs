//! A node: its domains, its catalogue, its log, and what sessions share.

mod homes;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use tuplix_catalog::{Catalog, RoleId, TableId};
use tuplix_log::{Lane, Lanes, Log, LogStatistics};
use tuplix_machine::{DirectoryLock, Machine, Mutex};
use tuplix_storage::Memory;
use tuplix_types::{SqlError, sqlstate};

use crate::checkpoint::Checkpointer;
use crate::domain::DomainCell;
use crate::layout::{Domain, Layout};
use crate::lock_table::{TransactionId, WaitGraph};
use crate::notify::Listeners;
use crate::plans::Plans;
use crate::procedures::Procedures;
use crate::refusals::Refusals;
use crate::snapshots::{Snapshots, Watched};
use crate::statistics::Live;

pub(crate) use homes::{Home, Homes, StorageAccess};

/// Undistributed tables (and so domains) a node can have.
pub const MAX_DOMAINS: usize = 16_384;
/// Buckets a node can have.
pub const MAX_BUCKETS: u16 = 4096;
/// The number of the lane of sequences.
const SEQUENCES: Domain = Domain(MAX_DOMAINS as u32);
/// Calls that may wait for one partition unless [`Node::set_waiting_max`] says otherwise.
pub const WAITING_MAX: u64 = 256;
/// Partitions of the buckets a node can have.
pub const MAX_PARTITIONS: usize = 64;

/// The catalogue and the placement that follows from it, at one version.
#[derive(Debug)]
pub struct Schema {
    /// What exists.
    pub catalog: Catalog,
    /// Where it lies.
    pub layout: Layout,
    /// Goes up with each change.
    pub version: u64,
}

impl tuplix_types::EnumLabels for Schema {
    fn label(&self, value: tuplix_types::EnumValue) -> Option<ecow::EcoString> {
        self.catalog.label(value)
    }
}

/// A node of the embedded engine.
pub struct Node {
    pub(crate) machine: Machine,
    pub(crate) log: Log,
    domains: Arc<Domains>,
    bucket_domains: Box<[Domain]>,
    partitions: usize,
    schema: Mutex<Arc<Schema>>,
    version: AtomicU64,
    slots: Mutex<Slots>,
    /// The transaction that may change the catalogue.
    catalog_owner: Mutex<Option<TransactionId>>,
    next_private_version: AtomicU64,
    pub(crate) waits: WaitGraph,
    pub(crate) procedures: Mutex<Procedures>,
    pub(crate) plans: Arc<Plans>,
    pub(crate) sessions: Mutex<BTreeMap<u32, Arc<SessionFlags>>>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) listeners: Listeners,
    next_session: AtomicU32,
    pub(crate) closing: AtomicBool,
    /// `None` without a log.
    pub(crate) checkpointer: Option<Arc<Checkpointer>>,
    /// Given back after everything else has ended.
    pub(crate) directory: Option<Box<dyn DirectoryLock>>,
    /// Calls that may wait for one partition.
    waiting_max: AtomicU64,
    memory: Arc<Memory>,
    /// Those that are held.
    pub(crate) snapshots: Arc<Snapshots>,
    /// What each table has of it.
    table_memory: Mutex<BTreeMap<TableId, Weak<Memory>>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.refusals.stop();
        if let Some(checkpointer) = &self.checkpointer {
            // Who wants to know how it ended calls `close`.
            let _ = checkpointer.stop();
        }
    }
}

/// All domains. The log visits them to take their redo.
#[derive(Debug)]
pub(crate) struct Domains {
    cells: Box<[OnceLock<Box<DomainCell>>]>,
    count: AtomicU32,
    /// The lane of sequences: no rows, and latched last of all.
    sequences: DomainCell,
}

impl Domains {
    /// A domain, `None` when there is none of this number.
    pub(crate) fn cell(&self, domain: Domain) -> Option<&DomainCell> {
        self.cells.get(domain.0 as usize)?.get().map(|cell| &**cell)
    }
}

impl Lanes for Domains {
    fn visit(&self, visit: &mut dyn FnMut(&mut Lane)) {
        for number in 0..self.count.load(Ordering::Acquire) {
            if let Some(cell) = self.cells[number as usize].get() {
                visit(&mut cell.lock(Domain(number)).lane);
            }
        }
        visit(&mut self.sequences.lock(SEQUENCES).lane);
    }
}

/// What others may do to a session, and see of it.
#[derive(Debug, Default)]
pub struct SessionFlags {
    /// The secret that a cancel request must know.
    pub secret: i32,
    /// Cancel the running statement.
    pub cancel: AtomicBool,
    /// Its user.
    pub user: String,
    /// Its user's role.
    pub role: Option<RoleId>,
    /// The database it asked for.
    pub database: String,
    /// `application_name` when it began.
    pub application_name: String,
    /// When it began, `timestamptz` microseconds.
    pub started_us: i64,
}

/// Which slot and domain each table has.
#[derive(Debug, Default)]
struct Slots {
    of: Homes,
    hash: Vec<bool>,
    reference: Vec<bool>,
    /// The slots of the domains of undistributed tables: two while a table is being changed.
    local: BTreeMap<Domain, Vec<bool>>,
    free_domains: Vec<Domain>,
}

/// How many and what; see the public crate's options.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Partitions of the buckets.
    pub partitions: usize,
    /// Buckets.
    pub buckets: u16,
    /// Bytes after which the log begins a new segment; their space is reserved when it begins.
    pub log_segment_bytes: u64,
}

impl Node {
    /// A node without tables.
    ///
    /// # Errors
    /// 22023 when the shape is out of bounds.
    pub(crate) fn new(
        machine: Machine,
        shape: &Shape,
        log: Log,
        directory: Option<Box<dyn DirectoryLock>>,
    ) -> Result<Node, SqlError> {
        shape.check()?;
        let catalog = Catalog::new();
        let bucket_domains: Box<[Domain]> = (0..shape.buckets)
            .map(|bucket| Domain(1 + u32::from(bucket) % shape.partitions as u32))
            .collect();
        let cells: Vec<OnceLock<Box<DomainCell>>> =
            std::iter::repeat_with(OnceLock::new).take(MAX_DOMAINS).collect();
        let sequences = DomainCell::new(&machine, log.lane(SEQUENCES.0));
        let domains = Domains { cells: cells.into_boxed_slice(), count: AtomicU32::new(0), sequences };
        let domains = Arc::new(domains);
        let live = Live::new(&machine, domains.clone(), bucket_domains.clone());
        let schema = Schema { layout: Layout::with_live(Arc::new(live)), version: 1, catalog };
        let memory: Arc<Memory> = Arc::default();
        let node = Node {
            log,
            domains,
            bucket_domains,
            partitions: shape.partitions,
            schema: Mutex::new(&machine, Arc::new(schema)),
            version: AtomicU64::new(1),
            slots: Mutex::new(&machine, Slots::default()),
            catalog_owner: Mutex::new(&machine, None),
            next_private_version: AtomicU64::new(1 << 63),
            waits: WaitGraph::new(&machine),
            procedures: Mutex::new(&machine, Procedures::default()),
            plans: Arc::new(Plans::new(&machine)),
            sessions: Mutex::new(&machine, BTreeMap::new()),
            refusals: Arc::new(Refusals::new(&machine)),
            listeners: Listeners::new(&machine),
            next_session: AtomicU32::new(1),
            closing: AtomicBool::new(false),
            checkpointer: None,
            directory,
            waiting_max: AtomicU64::new(WAITING_MAX),
            snapshots: Arc::new(Snapshots::new(&machine, memory.clone())),
            memory,
            table_memory: Mutex::new(&machine, BTreeMap::new()),
            machine,
        };
        for _ in 0..=shape.partitions {
            node.add_domain()?;
        }
        Ok(node)
    }

    fn add_domain(&self) -> Result<Domain, SqlError> {
        let number = self.domain_count();
        let Some(place) = self.domains.cells.get(number as usize) else {
            let message = format!("a node cannot have more than {MAX_DOMAINS} undistributed tables");
            return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message)
                .hint("Distribute tables with create_distributed_table, or drop some."));
        };
        place.get_or_init(|| Box::new(DomainCell::new(&self.machine, self.log.lane(number))));
        self.domains.count.store(number + 1, Ordering::Release);
        Ok(Domain(number))
    }

    /// A domain.
    ///
    /// # Panics
    /// When there is none of this number: it did not come from this node.
    #[inline]
    pub(crate) fn domain(&self, domain: Domain) -> &DomainCell {
        match self.domains.cells[domain.0 as usize].get() {
            Some(cell) => cell,
            None => panic!("{domain:?} does not exist"),
        }
    }

    /// The lane of sequences, latched. It is the last latch that anybody takes.
    pub(crate) fn sequence_lane(&self) -> crate::domain::Guard<'_> {
        self.domains.sequences.lock(SEQUENCES)
    }

    /// Which partition has a bucket.
    #[inline]
    pub(crate) fn domain_of_bucket(&self, bucket: u16) -> Domain {
        self.bucket_domains[usize::from(bucket)]
    }

    /// The partitions of the buckets.
    pub(crate) fn bucket_domains(&self) -> impl Iterator<Item = Domain> + use<> {
        (1..=self.partitions as u32).map(Domain)
    }

    /// All domains in latching order.
    pub(crate) fn all_domains(&self) -> Vec<Domain> {
        (0..self.domain_count()).map(Domain).collect()
    }

    /// How many domains there are.
    pub(crate) fn domain_count(&self) -> u32 {
        self.domains.count.load(Ordering::Acquire)
    }

    /// How many buckets.
    pub fn buckets(&self) -> u16 {
        self.bucket_domains.len() as u16
    }

    /// How many partitions of the buckets.
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// The machine it runs on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// How many one-shot calls may wait for one partition; one more is refused with 53300.
    #[inline]
    pub fn waiting_max(&self) -> u64 {
        self.waiting_max.load(Ordering::Relaxed)
    }

    /// Sets [`Node::waiting_max`].
    pub fn set_waiting_max(&self, calls: u64) {
        self.waiting_max.store(calls, Ordering::Relaxed);
    }

    /// What all rows and indexes have of memory, and the limit on it.
    #[inline]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What a table has of the memory, whatever becomes of its definition.
    pub(crate) fn memory_of(&self, table: TableId) -> Arc<Memory> {
        let known = self.table_memory.lock().get(&table).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let memory = Arc::new(self.memory_part());
            self.keep_memory_of(table, &memory);
            memory
        })
    }

    /// A part of the memory that is nobody's yet.
    pub(crate) fn memory_part(&self) -> Memory {
        self.memory.part()
    }

    /// Says whose a part of the memory is.
    pub(crate) fn keep_memory_of(&self, table: TableId, memory: &Arc<Memory>) {
        let mut tables = self.table_memory.lock();
        if tables.len().is_power_of_two() {
            tables.retain(|_, memory| memory.strong_count() > 0);
        }
        tables.insert(table, Arc::downgrade(memory));
    }

    /// The catalogue's version.
    #[inline]
    pub(crate) fn catalog_version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The catalogue and layout.
    pub fn schema(&self) -> Arc<Schema> {
        self.schema.lock().clone()
    }

    /// The epoch that commits go into now.
    #[inline]
    pub(crate) fn current_epoch(&self) -> u64 {
        self.log.current_epoch()
    }

    /// Gives a node that recovery has filled its log; commits go on after `last_commit`.
    pub(crate) fn adopt(mut self, log: Log, directory: Box<dyn DirectoryLock>, last_commit: u64) -> Node {
        for domain in self.all_domains() {
            let mut state = self.domain(domain).lock(domain);
            state.lane = log.lane(domain.0);
            state.last_commit = last_commit;
        }
        let mut state = self.sequence_lane();
        (state.lane, state.last_commit) = (log.lane(SEQUENCES.0), last_commit);
        drop(state);
        self.log = log;
        self.directory = Some(directory);
        self
    }

    /// Starts the log's writer.
    pub(crate) fn start_log(&self) {
        let lanes = Watched {
            domains: self.domains.clone(),
            snapshots: self.snapshots.clone(),
            alarm: self.log.alarm().clone(),
        };
        self.log.start(Arc::new(lanes), true);
    }

    /// Cancels the running statement of a session; false when there is none with this number and secret.
    pub fn cancel(&self, session_id: u32, secret: i32) -> bool {
        let flags = self.sessions.lock().get(&session_id).cloned();
        match flags.filter(|flags| flags.secret == secret) {
            Some(flags) => {
                flags.cancel.store(true, Ordering::Relaxed);
                self.waits.wake_all();
                true
            }
            None => false,
        }
    }

    /// The epoch up to which everything is on disk.
    pub fn durable_epoch(&self) -> u64 {
        self.log.durable_epoch()
    }

    /// What was written to the log since it was opened.
    pub fn log_statistics(&self) -> LogStatistics {
        self.log.statistics()
    }

    /// Whether commits and reads go on.
    ///
    /// # Errors
    /// The log's error when it stopped.
    pub fn check(&self) -> Result<(), SqlError> {
        self.log.check()
    }

    /// Waits until `epoch` is on disk.
    ///
    /// # Errors
    /// The log's error when it stopped.
    pub fn wait_durable(&self, epoch: u64) -> Result<(), SqlError> {
        self.log.wait_durable(epoch)
    }

    /// Calls `callback` once `epoch` is on disk or the log has stopped.
    pub fn on_durable(&self, epoch: u64, callback: Box<dyn FnOnce(Result<(), SqlError>) + Send>) {
        self.log.on_durable(epoch, callback);
    }

    pub(crate) fn new_session_id(&self) -> u32 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({} partitions, {} buckets)", self.partitions, self.buckets())
    }
}

impl Shape {
    fn check(&self) -> Result<(), SqlError> {
        let refuse = |message: String| Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
        if self.partitions == 0 || self.partitions > MAX_PARTITIONS {
            return refuse(format!("partitions must be 1 to {MAX_PARTITIONS}, not {}", self.partitions));
        }
        if self.buckets == 0 || self.buckets > MAX_BUCKETS || usize::from(self.buckets) < self.partitions {
            return refuse(format!(
                "buckets must be 1 to {MAX_BUCKETS} and not fewer than the partitions ({}), not {}",
                self.partitions, self.buckets
            ));
        }
        Ok(())
    }
}
