//! Where sequences stand, and `nextval` and its kin.
//!
//! A value once given is never given again: not after a rollback, since nothing here is undone, and not after a crash,
//! since the log says ahead of time how far a sequence may go. As in PostgreSQL a record covers the next 32 values, and
//! `log_cnt` counts those that are left; a restart goes on after them. Each sequence has a lock of its own. The log's
//! lane of sequences is taken only when a record is written, as the last of all latches, so nothing waits for it in a circle.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::{Privileges, SequenceDef, SequenceId};
use tuplix_machine::{Machine, Mutex};
use tuplix_types::{SqlError, Value, sqlstate};

use crate::services::Services;
use crate::stop::Run;
use crate::transaction::Transaction;

/// Values that a log record covers beyond those given (`SEQ_LOG_VALS`).
const LOGGED_AHEAD: i64 = 32;

/// Where a sequence stands.
#[derive(Debug)]
pub struct SequenceState {
    place: Mutex<Place>,
    /// What the log says of it: how far it may have gone, and whether that value was given. Written while the log's lane of sequences
    /// is latched, so that a checkpoint says the same as the log.
    logged: Mutex<(i64, bool)>,
}

/// The row of a sequence as a relation, and the epoch of its last record.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its last value, or its first when it was not called yet.
    pub last: i64,
    /// Values that the log covers after `last`.
    pub log_count: i64,
    /// Whether `last` was given.
    pub called: bool,
    /// What a reply with one of its values waits for.
    epoch: u64,
    /// Only the transaction that made it knows it, and nothing is logged.
    private: bool,
}

impl SequenceState {
    /// A sequence that nobody else knows yet: where it stands is logged when its transaction commits.
    pub fn private(machine: &Machine, last: i64, called: bool) -> SequenceState {
        let place = Place { last, log_count: 0, called, epoch: 0, private: true };
        SequenceState { place: Mutex::new(machine, place), logged: Mutex::new(machine, (last, called)) }
    }

    /// Everybody knows it from now on; the log has where it stands.
    pub fn publish(&self) {
        let mut place = self.place.lock();
        if std::mem::take(&mut place.private) {
            place.log_count = 0;
            *self.logged.lock() = (place.last, place.called);
        }
    }

    /// Its definition changed: what the log covers was counted by the old one.
    pub fn forget_log(&self) {
        self.place.lock().log_count = 0;
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        *self.place.lock()
    }

    /// Puts it elsewhere.
    pub fn set(&self, last: i64, called: bool) {
        let mut place = self.place.lock();
        (place.last, place.log_count, place.called) = (last, 0, called);
        *self.logged.lock() = (last, called);
    }

    /// What the log says of it.
    pub(crate) fn logged(&self) -> (i64, bool) {
        *self.logged.lock()
    }

    /// Notes what the log says of it from now on. The caller holds the lane of sequences.
    pub(crate) fn note_logged(&self, value: i64, called: bool) {
        *self.logged.lock() = (value, called);
    }
}

/// A sequence as running code finds it.
#[derive(Clone, Debug)]
pub struct SequenceAccess {
    /// Definition.
    pub def: Arc<SequenceDef>,
    /// Where it stands.
    pub state: Arc<SequenceState>,
}

/// What a session knows of a sequence that it has used.
#[derive(Clone, Copy, Debug)]
struct Used {
    /// The last value that `nextval` or `setval` gave here.
    last: i64,
    /// The last value of those that this session has taken for itself (CACHE).
    cached: i64,
    increment: i64,
    /// `currval` knows it.
    valid: bool,
}

/// The sequences that a session has used.
#[derive(Debug, Default)]
pub(crate) struct UsedSequences {
    used: BTreeMap<SequenceId, Used>,
    latest: Option<SequenceId>,
}

impl UsedSequences {
    /// DISCARD: values taken in advance are lost.
    pub(crate) fn clear(&mut self) {
        *self = UsedSequences::default();
    }
}

/// Calls the function with this `pg_proc.prosrc`; `None` when it is not one of sequences.
///
/// # Errors
/// PostgreSQL's: 2200H at a bound, 55000 for `currval` before `nextval`, 22003 for `setval` out of bounds.
#[inline]
pub(crate) fn call(
    services: &Services,
    symbol: &str,
    args: &[Value],
    tx: &mut Transaction<'_>,
) -> Run<Option<Value>> {
    let value = match symbol {
        // With a second argument it is the value of an identity column, which asks nothing of who inserts.
        "nextval_oid" => next_value(services, oid(args), args.len() > 1, tx)?,
        "currval_oid" => current_value(services, oid(args))?,
        "lastval" => last_value(services)?,
        "setval_oid" => set_value(services, args, true, tx)?,
        "setval3_oid" => {
            let called = args.get(2).and_then(Value::as_bool).unwrap_or(true);
            set_value(services, args, called, tx)?
        }
        _ => return Ok(None),
    };
    Ok(Some(Value::Int8(value)))
}

fn oid(args: &[Value]) -> u32 {
    match args.first() {
        Some(Value::Oid(oid)) => *oid,
        _ => 0,
    }
}

fn find(services: &Services, oid: u32) -> Result<SequenceAccess, SqlError> {
    let found = services.with_layout(|layout| layout.sequence(SequenceId(oid)).cloned());
    found.ok_or_else(|| match crate::system::object_name(services, tuplix_types::TypeId::REGCLASS, oid) {
        Some(name) => SqlError::new(sqlstate::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a sequence")),
        None => {
            let message = format!("could not open relation with OID {oid}");
            SqlError::new(sqlstate::UNDEFINED_TABLE, message)
        }
    })
}

fn next_value(services: &Services, oid: u32, is_identity: bool, tx: &mut Transaction<'_>) -> Run<i64> {
    let sequence = find(services, oid)?;
    if !is_identity {
        services.require_sequence(&sequence.def, Privileges::USAGE | Privileges::UPDATE)?;
    }
    tx.refuse_read_only("nextval()")?;
    let mut used = services.sequences.borrow_mut();
    if let Some(known) = used.used.get_mut(&sequence.def.id)
        && known.last != known.cached
    {
        known.last += known.increment;
        let value = known.last;
        used.latest = Some(sequence.def.id);
        return Ok(value);
    }
    let (first, cached) = take_values(&sequence, tx)?;
    let increment = sequence.def.increment;
    used.used.insert(sequence.def.id, Used { last: first, cached, increment, valid: true });
    used.latest = Some(sequence.def.id);
    Ok(first)
}

/// Takes the next values, as many as the session may keep, and says which is the first and which the last
/// (`nextval_internal`).
fn take_values(sequence: &SequenceAccess, tx: &mut Transaction<'_>) -> Run<(i64, i64)> {
    let def = &sequence.def;
    let mut place = sequence.state.place.lock();
    let (mut next, mut last, mut first) = (place.last, place.last, place.last);
    let mut fetch = def.cache;
    let mut log = place.log_count;
    let mut given = 0;
    if !place.called {
        (given, fetch) = (1, fetch - 1);
    }
    let writes = log < fetch || !place.called;
    if writes {
        fetch += LOGGED_AHEAD;
        log = fetch;
    }
    while fetch > 0 {
        next = match step(def, next) {
            Some(next) => next,
            // Those that are left were not asked for.
            None if given > 0 => break,
            None => return Err(bound_reached(def).into()),
        };
        fetch -= 1;
        if given < def.cache {
            log -= 1;
            given += 1;
            last = next;
            if given == 1 {
                first = next;
            }
        }
    }
    log -= fetch;
    if writes && !place.private {
        place.epoch = tx.log_sequence(sequence, next, true)?;
    }
    tx.saw_epoch(place.epoch);
    (place.last, place.called, place.log_count) = (last, true, log);
    Ok((first, last))
}

/// The value after another one; `None` at the bound.
fn step(def: &SequenceDef, value: i64) -> Option<i64> {
    let next = value.checked_add(def.increment).filter(|next| (def.min..=def.max).contains(next));
    let again = if def.increment > 0 { def.min } else { def.max };
    next.or(def.cycle.then_some(again))
}

fn bound_reached(def: &SequenceDef) -> SqlError {
    let (which, bound) = if def.increment > 0 { ("maximum", def.max) } else { ("minimum", def.min) };
    let message = format!("nextval: reached {which} value of sequence \"{}\" ({bound})", def.name);
    SqlError::new(sqlstate::SqlState(*b"2200H"), message)
}

fn current_value(services: &Services, oid: u32) -> Run<i64> {
    let sequence = find(services, oid)?;
    services.require_sequence(&sequence.def, Privileges::USAGE | Privileges::SELECT)?;
    let used = services.sequences.borrow();
    match used.used.get(&sequence.def.id).filter(|used| used.valid) {
        Some(used) => Ok(used.last),
        None => {
            let message =
                format!("currval of sequence \"{}\" is not yet defined in this session", sequence.def.name);
            Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message).into())
        }
    }
}

fn last_value(services: &Services) -> Run<i64> {
    let used = services.sequences.borrow();
    let exists = |id: &SequenceId| services.with_layout(|layout| layout.sequence(*id).is_some());
    match used.latest.filter(exists).and_then(|id| Some((id, used.used.get(&id)?))) {
        Some((id, used)) => {
            let sequence = find(services, id.0)?;
            services.require_sequence(&sequence.def, Privileges::USAGE | Privileges::SELECT)?;
            Ok(used.last)
        }
        None => {
            let message = "lastval is not yet defined in this session";
            Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message).into())
        }
    }
}

fn set_value(services: &Services, args: &[Value], called: bool, tx: &mut Transaction<'_>) -> Run<i64> {
    let sequence = find(services, oid(args))?;
    let def = &sequence.def;
    services.require_sequence(def, Privileges::UPDATE)?;
    tx.refuse_read_only("setval()")?;
    let value = args.get(1).and_then(Value::as_i64).unwrap_or_default();
    if !(def.min..=def.max).contains(&value) {
        let message = format!(
            "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
            def.name, def.min, def.max
        );
        return Err(SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message).into());
    }
    let mut place = sequence.state.place.lock();
    if !place.private {
        place.epoch = tx.log_sequence(&sequence, value, called)?;
    }
    tx.saw_epoch(place.epoch);
    (place.last, place.called, place.log_count) = (value, called, 0);
    drop(place);
    let mut used = services.sequences.borrow_mut();
    let before = used.used.get(&def.id).copied();
    let kept = before.unwrap_or(Used { last: 0, cached: 0, increment: def.increment, valid: false });
    let known = match called {
        true => Used { last: value, cached: value, valid: true, ..kept },
        false => Used { cached: kept.last, ..kept },
    };
    used.used.insert(def.id, known);
    Ok(value)
}
