//! The one door to rows: latched domains, undo, an interactive transaction's private overlay, locks, redo.
//!
//! A [`Transaction`] is one run of a one-shot transaction, or of one statement of an interactive one. It latches
//! a domain when code first touches it: the first one by waiting, a further one only if it is free. When that
//! fails, or a row is locked by somebody else, the run stops with [`Stop::Restart`]; its driver undoes it, releases,
//! latches the larger set in order or waits, and runs it again. So nothing ever waits while it holds a latch out of order.
//!
//! ```text
//!   one-shot      changes rows in place, undo list in hand; commit appends one redo record
//!   interactive   changes go to a private overlay: per fragment a private Fragment of new versions, and the
//!                 set of committed rows that they hide; commit applies it in place as a one-shot does
//! ```

mod catalog;
mod change;
mod commit;
mod cursor;
mod generation;
mod growth;
mod history;
mod interactive;
mod locks;
mod read;

use std::cell::Cell;
use std::sync::Arc;

use arrayvec::ArrayVec;
use tuplix_checkpoint::SegmentBlock;
use tuplix_storage::{BATCH_ROWS, RowId};
use tuplix_types::{SqlError, Value, sqlstate};

use crate::domain::{DomainState, Guard};
use crate::history::BlockId;
use crate::layout::{Domain, Placement, TableAccess};
use crate::lock_table::TransactionId;
use crate::node::Node;
use crate::services::Services;
use crate::stop::{Run, Stop};

pub(crate) use catalog::{Entry as CatalogEntry, PrivateCatalog, State as CatalogState};
pub use change::Effects;
pub use commit::Committed;
pub(crate) use generation::Fragments;
pub(crate) use growth::refuse_growth;
pub use interactive::{FragmentKey, Interactive, Overlay};
pub use read::{KeyRange, RangeScan, Scan};

/// A row that a running statement found. It is good until the statement or the latch period ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowRef {
    /// The table's slot.
    pub slot: u32,
    /// Its fragment.
    pub bucket: u16,
    /// Which of the transaction's latched domains; [`SHARED_REFERENCE`] for a reference table read under another's latch.
    pub held: u16,
    /// A version of this transaction's own, in its overlay.
    pub private: bool,
    /// The row in the fragment.
    pub row: RowId,
}

/// The value of [`RowRef::held`] for reference tables.
pub const SHARED_REFERENCE: u16 = u16::MAX;

/// Rows of one batch.
pub type RowBatch = ArrayVec<RowRef, BATCH_ROWS>;

/// A place to roll back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    undo: usize,
    redo: usize,
    private_undo: usize,
    /// Changes of the catalogue.
    catalog: usize,
    notices: usize,
}

/// Buffers that a session reuses from run to run, so that a run allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    /// What to undo, oldest first.
    undo: Vec<Undo>,
    /// Old values of updated columns.
    undo_values: Vec<(usize, Value)>,
    /// Row changes in the log's form.
    redo: Vec<u8>,
    /// Domains that the next run latches before it starts, in order.
    pub(crate) wanted: Vec<Domain>,
    /// Buffered until commit.
    pub notices: Vec<SqlError>,
    /// Buffered until commit: channel and payload.
    pub notifications: Vec<(String, String)>,
    /// Checks of foreign keys that wait for the commit.
    deferred: Vec<crate::exec::Deferred>,
    /// Key values being looked up.
    key: Vec<Value>,
    /// Rows that an index gave.
    rows: Vec<RowId>,
    /// Blocks of history that a statement had to be restarted for.
    pub fetched: Vec<(BlockId, SegmentBlock)>,
    /// How often the statement has waited for room in memory.
    pub made_room: u32,
}

impl Scratch {
    /// A statement has ended: what it had fetched and waited for is not the next one's.
    #[inline(always)]
    pub(crate) fn forget_history(&mut self) {
        if self.made_room != 0 || !self.fetched.is_empty() {
            self.fetched = Vec::new();
            self.made_room = 0;
        }
    }
}

/// One thing to undo in place.
#[derive(Clone, Copy, Debug)]
enum Undo {
    Inserted(RowRef),
    /// Old values are `undo_values[first..first + count]`.
    Updated {
        row: RowRef,
        first: u32,
        count: u32,
    },
    Deleted(RowRef),
    /// A check was put off.
    Deferred,
}

/// Why a run asked to be restarted.
#[derive(Debug, Default)]
pub enum RestartCause {
    /// The wanted domains could not all be latched.
    #[default]
    Latch,
    /// Somebody holds a lock.
    Lock(TransactionId),
    /// The catalogue changed since the code was compiled.
    Catalog,
    /// The log's buffer is full.
    LogFull,
    /// A one-shot met what only an interactive transaction can do.
    NeedsBlock,
    /// Blocks of history are needed under a latch.
    Fetch(Vec<BlockId>),
    /// `pg_sleep`, until this moment.
    Sleep(u64),
    /// The limit on memory is reached, which a checkpoint may help.
    MemoryFull(SqlError),
}

/// One run. See the module.
pub struct Transaction<'n> {
    pub(crate) node: &'n Node,
    services: &'n Services,
    held: Held<'n>,
    pub(crate) scratch: &'n mut Scratch,
    interactive: Option<&'n mut Interactive>,
    pub(crate) cause: RestartCause,
    catalog_version: u64,
    /// The block's start, `None` in a one-shot: then the statement's.
    block_us: Option<i64>,
    /// The statement's start, read from the clock when it is first asked for: most statements never ask.
    statement_us: Cell<Option<i64>>,
    random_state: Cell<u64>,
    read_only: bool,
    /// Whether changes are noted for the log.
    logs: bool,
    /// The newest epoch of a sequence's record that this run depends on.
    sequence_epoch: u64,
    /// The run's record changes the catalogue.
    logs_catalog: bool,
    /// The statement reads rows by unique keys alone, and which epoch those that it has seen are of: what its reply waits for.
    rows_epoch: Option<u64>,
    /// A change in place has taken a key away from a row.
    takes_keys: bool,
}

/// Latched domains. The first one, mostly the only one, is a pointer away.
struct Held<'n> {
    first: Option<Guard<'n>>,
    /// Those behind it, numbered from 1.
    more: Vec<Guard<'n>>,
}

impl<'n> Held<'n> {
    #[inline]
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    #[inline]
    fn position(&self, domain: Domain) -> Option<u16> {
        match &self.first {
            None => None,
            Some(first) if first.domain == domain => Some(0),
            Some(_) => self.later_position(domain),
        }
    }

    #[inline(never)]
    fn later_position(&self, domain: Domain) -> Option<u16> {
        let position = self.iter().position(|guard| guard.domain == domain);
        position.and_then(|position| u16::try_from(position).ok())
    }

    #[inline]
    fn get(&self, held: u16) -> &Guard<'n> {
        match &self.first {
            Some(guard) if held == 0 => guard,
            _ => &self.more[usize::from(held).wrapping_sub(1)],
        }
    }

    #[inline]
    fn get_mut(&mut self, held: u16) -> &mut Guard<'n> {
        match &mut self.first {
            Some(guard) if held == 0 => guard,
            _ => &mut self.more[usize::from(held).wrapping_sub(1)],
        }
    }

    #[inline]
    fn release(&mut self) {
        self.first = None;
        if !self.more.is_empty() {
            self.more.clear();
        }
    }

    #[inline]
    fn push(&mut self, guard: Guard<'n>) -> u16 {
        if self.first.is_none() {
            self.first = Some(guard);
            return 0;
        }
        self.more.push(guard);
        self.more.len() as u16
    }

    fn iter(&self) -> impl Iterator<Item = &Guard<'n>> {
        self.first.iter().chain(self.more.iter())
    }

    #[inline]
    fn for_each_mut(&mut self, mut change: impl FnMut(&mut Guard<'n>)) {
        if let Some(first) = &mut self.first {
            change(first);
        }
        self.more.iter_mut().for_each(change);
    }

    /// The greatest of a number and those of the domains.
    #[inline]
    fn newest(&self, least: u64, number: impl Fn(&Guard<'n>) -> u64) -> u64 {
        let first = self.first.as_ref().map_or(least, |first| least.max(number(first)));
        if self.more.is_empty() { first } else { self.more.iter().map(number).fold(first, u64::max) }
    }
}

/// What a run is given at its start.
pub(crate) struct Start<'n> {
    pub node: &'n Node,
    pub services: &'n Services,
    pub scratch: &'n mut Scratch,
    pub interactive: Option<&'n mut Interactive>,
    /// The catalogue's version that the code was compiled under.
    pub catalog_version: u64,
    /// `now()` in a block: its start.
    pub block_us: Option<i64>,
    /// Seed of `random()`.
    pub random_seed: u64,
    /// READ ONLY
    pub read_only: bool,
}

impl<'n> Transaction<'n> {
    /// Starts a run. It latches what an earlier run of the same transaction found that it needs.
    pub(crate) fn start(start: Start<'n>) -> Transaction<'n> {
        let mut transaction = Transaction::new(start);
        if !transaction.scratch.wanted.is_empty() {
            transaction.latch_wanted();
        }
        transaction
    }

    /// A run that [`Transaction::check_start`] starts.
    #[inline(always)]
    pub(crate) fn new(start: Start<'n>) -> Transaction<'n> {
        debug_assert!(start.scratch.undo.is_empty() && start.scratch.redo.is_empty());
        Transaction {
            node: start.node,
            services: start.services,
            held: Held { first: None, more: Vec::new() },
            interactive: start.interactive,
            cause: RestartCause::Latch,
            catalog_version: start.catalog_version,
            block_us: start.block_us,
            statement_us: Cell::new(None),
            random_state: Cell::new(start.random_seed | 1),
            read_only: start.read_only,
            logs: start.node.log.is_on(),
            sequence_epoch: 0,
            logs_catalog: false,
            rows_epoch: None,
            takes_keys: false,
            scratch: start.scratch,
        }
    }

    #[cold]
    fn latch_wanted(&mut self) {
        let mut wanted = std::mem::take(&mut self.scratch.wanted);
        wanted.sort_unstable();
        wanted.dedup();
        for &domain in &wanted {
            self.held.push(self.node.domain(domain).lock(domain));
        }
        wanted.clear();
        self.scratch.wanted = wanted;
    }

    /// Latches `domain`, and says under which number.
    #[inline(always)]
    pub(crate) fn hold(&mut self, domain: Domain) -> Run<u16> {
        match self.held.position(domain) {
            Some(held) => Ok(held),
            None => self.hold_another(domain),
        }
    }

    fn hold_another(&mut self, domain: Domain) -> Run<u16> {
        let cell = self.node.domain(domain);
        let held = if self.held.len() == 0 && self.interactive.is_none() {
            match cell.admit(domain, self.node.waiting_max()) {
                Some(guard) => self.held.push(guard),
                None => return Err(too_many_waiting(self.node.waiting_max()).into()),
            }
        } else if self.held.len() == 0 {
            // It may hold locks that others wait for.
            self.held.push(cell.lock(domain))
        } else if let Some(guard) = cell.try_lock(domain) {
            self.held.push(guard)
        } else {
            return Err(self.restart_with(&[domain]));
        };
        self.check_catalog()?;
        Ok(held)
    }

    /// Latches what the run is known to need, and checks that the code is still good.
    #[inline(always)]
    pub(crate) fn check_start(&mut self) -> Run<()> {
        if self.scratch.wanted.is_empty() {
            return Ok(());
        }
        self.latch_wanted();
        self.check_catalog()
    }

    /// DDL publishes with all latches held, so under any latch the version stands still.
    #[inline]
    fn check_catalog(&mut self) -> Run<()> {
        if self.node.catalog_version() != self.catalog_version {
            self.cause = RestartCause::Catalog;
            return Err(Stop::Restart);
        }
        Ok(())
    }

    /// Asks for a restart with more domains.
    #[cold]
    fn restart_with(&mut self, more: &[Domain]) -> Stop {
        self.cause = RestartCause::Latch;
        self.scratch.wanted.clear();
        self.scratch.wanted.extend(self.held.iter().map(|guard| guard.domain));
        self.scratch.wanted.extend_from_slice(more);
        Stop::Restart
    }

    /// Asks for a restart after the holder of a lock has ended, with the domains held now.
    #[cold]
    fn restart_after(&mut self, holder: TransactionId) -> Stop {
        self.restart_with(&[]);
        self.cause = RestartCause::Lock(holder);
        Stop::Restart
    }

    /// Latches every domain there is: what a write to a reference table and DDL need.
    pub(crate) fn hold_all(&mut self) -> Run<()> {
        let all = self.node.all_domains();
        if all.iter().all(|domain| self.held.position(*domain).is_some()) {
            return Ok(());
        }
        if self.held.len() == 0 {
            for domain in all {
                self.held.push(self.node.domain(domain).lock(domain));
            }
            return self.check_catalog();
        }
        for &domain in &all {
            if self.held.position(domain).is_none() {
                let Some(guard) = self.node.domain(domain).try_lock(domain) else {
                    return Err(self.restart_with(&all));
                };
                self.held.push(guard);
            }
        }
        self.check_catalog()
    }

    /// Latches where `bucket` of the table lies.
    #[inline(always)]
    pub(crate) fn place(&mut self, access: &TableAccess, bucket: u16) -> Run<u16> {
        // The usual one first: a comparison is less than a jump by a table.
        if let Placement::Hash { .. } = access.placement {
            return self.hold(self.node.domain_of_bucket(bucket));
        }
        self.place_whole(access)
    }

    /// Latches where a table lies that has no buckets.
    #[inline(never)]
    fn place_whole(&mut self, access: &TableAccess) -> Run<u16> {
        match access.placement {
            Placement::Hash { .. } => {
                Err(SqlError::internal("a bucket of a table is asked for as all of it").into())
            }
            Placement::Local(domain) => self.hold(domain),
            Placement::Reference if self.held.len() > 0 => {
                Ok(self.held.position(Domain::REFERENCE).unwrap_or(SHARED_REFERENCE))
            }
            Placement::Reference => self.hold(Domain::REFERENCE),
            Placement::Locked(holder) => Err(self.restart_after(holder)),
        }
    }

    /// Latches for a write: as [`Transaction::place`], and everything for a reference table.
    #[inline(always)]
    fn place_for_write(&mut self, access: &TableAccess, bucket: u16) -> Run<u16> {
        if access.placement == Placement::Reference {
            self.hold_all()?;
        }
        self.place(access, bucket)
    }

    /// Latches for a change of a row that was found: others read a reference table under any latch, so its writer needs all of them,
    /// also when it came with the table's own.
    #[inline]
    fn place_row_for_write(&mut self, access: &TableAccess, row: RowRef) -> Run<RowRef> {
        if access.placement != Placement::Reference {
            return Ok(row);
        }
        Ok(RowRef { held: self.place_for_write(access, row.bucket)?, ..row })
    }

    #[inline(always)]
    fn domain_state(&self, held: u16) -> &DomainState {
        match &self.held.first {
            Some(guard) if held == 0 => guard,
            _ => self.other_domain(held),
        }
    }

    #[inline(never)]
    fn other_domain(&self, held: u16) -> &DomainState {
        if held == SHARED_REFERENCE {
            assert!(self.held.len() > 0, "a reference table is read under some latch");
            // SAFETY: this transaction holds a latch, and reference tables are written with all latches held.
            return unsafe { self.node.domain(Domain::REFERENCE).shared() };
        }
        self.held.get(held)
    }

    /// Whether nobody else can have locked a row in the domains held, and no locks are taken.
    #[inline(always)]
    pub(crate) fn is_without_locks(&self) -> bool {
        !self.is_interactive()
            && self.held.more.is_empty()
            && self.held.first.as_ref().is_some_and(|one| one.locks.is_empty())
    }

    /// The bucket of a distribution column's value: itself when it is a bucket number (as `p_key` is), wrapped otherwise.
    #[inline(always)]
    pub fn bucket_of(&self, access: &TableAccess, value: &Value) -> u16 {
        bucket_of_value(access, value)
    }

    /// The transaction's start, `now()`.
    pub fn now_us(&self) -> i64 {
        self.block_us.unwrap_or_else(|| self.statement_us())
    }

    /// The statement's start.
    pub fn statement_us(&self) -> i64 {
        self.statement_us.get().unwrap_or_else(|| {
            let slept_since = self.services.sleeps.started_us();
            let now = slept_since.unwrap_or_else(|| self.node.machine().now_us());
            self.statement_us.set(Some(now));
            now
        })
    }

    /// The next 64 bits of the transaction's own random sequence (xorshift64*).
    pub fn random(&self) -> u64 {
        let mut state = self.random_state.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.random_state.set(state);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Says something to the client once the transaction has committed.
    pub fn notice(&mut self, notice: SqlError) {
        self.scratch.notices.push(notice);
    }

    /// Wakes the listeners of a channel once the transaction has committed.
    pub fn notify(&mut self, channel: String, payload: String) {
        let same = |(other, text): &(String, String)| *other == channel && *text == payload;
        if !self.scratch.notifications.iter().any(same) {
            self.scratch.notifications.push((channel, payload));
        }
    }

    /// The session's side: catalogue, compiled functions, settings, cancel.
    pub fn services(&self) -> &'n Services {
        self.services
    }

    /// The interactive transaction whose statement this is.
    pub(crate) fn id(&self) -> Option<TransactionId> {
        self.interactive.as_deref().map(|interactive| interactive.id)
    }

    /// Whether writes must stay private.
    #[inline]
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive.is_some()
    }

    #[inline(always)]
    pub(crate) fn refuse_read_only(&self, verb: &str) -> Run<()> {
        if self.read_only { Err(read_only(verb)) } else { Ok(()) }
    }

    /// A place to roll back to.
    pub fn mark(&mut self) -> Mark {
        Mark {
            undo: self.scratch.undo.len(),
            redo: self.scratch.redo.len(),
            private_undo: self.interactive.as_deref().map_or(0, |interactive| interactive.overlay.undo_len()),
            catalog: self.catalog_changes(),
            notices: self.scratch.notices.len(),
        }
    }

    /// Puts a check off until the transaction commits.
    pub(crate) fn defer(&mut self, check: crate::exec::Deferred) {
        match self.interactive.as_deref_mut() {
            Some(interactive) => interactive.overlay.defer(check),
            None => {
                self.scratch.deferred.push(check);
                self.scratch.undo.push(Undo::Deferred);
            }
        }
    }

    /// The checks that wait, of a block or a one-shot.
    pub(crate) fn waiting_checks(&self) -> impl Iterator<Item = &crate::exec::Deferred> {
        let block = self.interactive.as_deref().map(|interactive| interactive.overlay.deferred());
        block.into_iter().flatten().chain(&self.scratch.deferred)
    }

    /// Whether a one-shot has put checks off.
    #[inline]
    pub(crate) fn has_deferred(&self) -> bool {
        !self.scratch.deferred.is_empty()
    }

    /// The checks that a one-shot has put off.
    pub(crate) fn deferred_checks(&mut self) -> Vec<crate::exec::Deferred> {
        std::mem::take(&mut self.scratch.deferred)
    }

    /// Undoes everything since `mark`. Notices stay, as in PostgreSQL, where they are already sent.
    pub fn rollback_to(&mut self, mark: Mark) {
        debug_assert!(mark.notices <= self.scratch.notices.len());
        while self.scratch.undo.len() > mark.undo {
            if let Some(undo) = self.scratch.undo.pop() {
                self.undo_one(undo);
            }
        }
        self.scratch.redo.truncate(mark.redo);
        if let Some(interactive) = self.interactive.as_deref_mut() {
            interactive.overlay.rollback_to(mark.private_undo);
        }
        self.undo_catalog(mark.catalog);
    }

    fn undo_one(&mut self, undo: Undo) {
        match undo {
            Undo::Inserted(row) => self.base_mut(row).undo_insert(row.row),
            Undo::Deleted(row) => self.base_mut(row).undelete(row.row),
            Undo::Deferred => {
                self.scratch.deferred.pop();
            }
            Undo::Updated { row, first, count } => {
                let mut values = std::mem::take(&mut self.scratch.undo_values);
                let (first, end) = (first as usize, (first + count) as usize);
                self.base_mut(row).exchange(row.row, &mut values[first..end]);
                values.truncate(first);
                self.scratch.undo_values = values;
            }
        }
    }

    #[inline]
    fn base_mut(&mut self, row: RowRef) -> &mut tuplix_storage::Fragment {
        self.held.get_mut(row.held).fragment_mut(row.slot, row.bucket)
    }

    /// Undoes the whole run and releases the latches; says why, and leaves what the run learnt for the next one.
    pub(crate) fn take_cause_and_abandon(&mut self) -> RestartCause {
        self.undo_run();
        self.held.release();
        std::mem::take(&mut self.cause)
    }

    /// Ends a statement of an interactive transaction: latches go, private versions and locks stay.
    pub(crate) fn finish_statement(&mut self) -> Run<Committed> {
        assert!(
            self.scratch.undo.is_empty() && self.scratch.redo.is_empty(),
            "an interactive statement writes privately"
        );
        let epoch = self.seen_epoch();
        self.held.release();
        Ok(Committed { epoch })
    }

    fn undo_run(&mut self) {
        let private_undo = self.interactive.as_deref().map_or(0, |interactive| interactive.statement_start);
        let catalog = self.interactive.as_deref().map_or(0, |interactive| interactive.statement_catalog);
        self.rollback_to(Mark { undo: 0, redo: 0, private_undo, catalog, notices: 0 });
        self.scratch.undo_values.clear();
        self.scratch.notices.clear();
        self.scratch.notifications.clear();
    }

    /// Latches all domains in which the table has rows.
    pub fn require_all(&mut self, access: &TableAccess) -> Run<()> {
        if !matches!(access.placement, Placement::Hash { .. }) {
            return self.place(access, 0).map(|_| ());
        }
        let missing: ArrayVec<Domain, 64> = self
            .node
            .bucket_domains()
            .filter(|domain| self.held.position(*domain).is_none())
            .take(64)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        if self.held.len() == 0 {
            for domain in self.node.bucket_domains() {
                self.held.push(self.node.domain(domain).lock(domain));
            }
            return self.check_catalog();
        }
        Err(self.restart_with(&missing))
    }

    pub(crate) fn overlay(&self) -> Option<&Overlay> {
        self.interactive.as_deref().map(|interactive| &interactive.overlay)
    }

    fn fragment_key(&self, held: u16, slot: u32, bucket: u16) -> FragmentKey {
        let domain = if held == SHARED_REFERENCE { Domain::REFERENCE } else { self.held.get(held).domain };
        FragmentKey { domain, slot, bucket }
    }
}

impl Drop for Transaction<'_> {
    /// A run that ends without commit or abandon (a panic, an error on the way) leaves no trace.
    fn drop(&mut self) {
        if !self.scratch.undo.is_empty() || !self.scratch.redo.is_empty() {
            self.undo_run();
        }
    }
}

#[cold]
fn read_only(verb: &str) -> Stop {
    let message = format!("cannot execute {verb} in a read-only transaction");
    SqlError::new(sqlstate::READ_ONLY_SQL_TRANSACTION, message).into()
}

#[cold]
fn too_many_waiting(most: u64) -> SqlError {
    SqlError::new(sqlstate::TOO_MANY_CONNECTIONS, "too many calls are waiting for this partition")
        .detail(format!("{most} calls wait already, which is the limit. Nothing was done."))
        .hint("Try again in a while, or start the node with more --waiting-calls or more --partitions.")
}

impl Scratch {
    /// Domains that the next run latches before it starts.
    pub(crate) fn want(&mut self, domains: impl Iterator<Item = Domain>) {
        self.wanted.extend(domains);
    }
}

/// See [`Transaction::bucket_of`].
#[inline(always)]
pub(crate) fn bucket_of_value(access: &TableAccess, value: &Value) -> u16 {
    match value.as_i64() {
        // What `rem_euclid` gives for a power of two, without a division.
        Some(key) if access.buckets & access.buckets.wrapping_sub(1) == 0 => {
            key as u16 & access.buckets.wrapping_sub(1)
        }
        Some(key) => key.rem_euclid(i64::from(access.buckets)) as u16,
        None => 0,
    }
}

/// The types of a table's columns, as storage has them.
pub(crate) fn storage_types(table: &tuplix_catalog::TableDef) -> Vec<tuplix_types::TypeId> {
    table.columns.iter().map(|column| column.ty).collect()
}

/// The schema of the fragments of a table.
pub(crate) fn fragment_schema(
    table: &tuplix_catalog::TableDef,
    computed: &crate::computed_index::Computed,
    node: &Node,
) -> Arc<tuplix_storage::FragmentSchema> {
    use tuplix_catalog::IndexMethod;
    use tuplix_storage::{FragmentSchema, IndexColumn, IndexSchema};
    // Rows of a spooled table are found by the bounds of blocks, in memory by looking at them all.
    let kept = if table.spooled { &[][..] } else { &table.indexes[..] };
    let indexes = kept.iter().enumerate().map(|(number, index)| {
        let columns: Vec<IndexColumn> = index
            .columns
            .iter()
            .map(|key| IndexColumn {
                column: key.column,
                descending: key.descending,
                nulls_first: key.nulls_first,
            })
            .collect();
        let mut schema = match index.method {
            IndexMethod::Ordered => IndexSchema::ordered(index.unique, columns),
            IndexMethod::Hash => {
                let columns: Vec<usize> = columns.iter().map(|key| key.column).collect();
                IndexSchema::hash(index.unique, &columns)
            }
        };
        if let Some(Some(keys)) = computed.get(number) {
            schema.computed = Some(keys.clone());
        }
        Arc::new(schema)
    });
    Arc::new(FragmentSchema {
        columns: storage_types(table),
        indexes: indexes.collect(),
        memory: node.memory_of(table.id),
    })
}
