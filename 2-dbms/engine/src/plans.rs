//! The plan cache as rows: which statements and procedures are compiled, how often they ran and how long they took.
//!
//! A statement counts its own calls, without an atomic operation that others would wait for: only its session runs it. One
//! call in 64 is timed. What is counted moves to the totals of its text when the statement goes, or when its plan is asked
//! for in `tuplix.plans`; at [`MAX_TEXTS`] texts, the least called ones make room. A text is kept up to [`MAX_TEXT_BYTES`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tuplix_machine::{Machine, Mutex};

use crate::statement::{Code, Inner};

/// Texts of ended statements that are remembered.
const MAX_TEXTS: usize = 4096;
/// Bytes of a text that are kept; statements that begin alike are one plan.
const MAX_TEXT_BYTES: usize = 2048;
/// One call in so many is timed.
const SAMPLE: u64 = 64;

/// How often a statement was called, and how long the calls took that were timed.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    calls: AtomicU64,
    samples: AtomicU64,
    sampled_ns: AtomicU64,
}

impl Counter {
    /// Counts a call; true when it is to be timed.
    #[inline]
    pub(crate) fn count(&self) -> bool {
        let calls = self.calls.load(Ordering::Relaxed);
        self.calls.store(calls + 1, Ordering::Relaxed);
        calls.is_multiple_of(SAMPLE)
    }

    /// Adds the time of a call.
    pub(crate) fn add(&self, nanoseconds: u64) {
        self.samples.fetch_add(1, Ordering::Relaxed);
        self.sampled_ns.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// The mean of the calls that were timed.
    pub(crate) fn mean_ns(&self) -> Option<u64> {
        self.sampled_ns.load(Ordering::Relaxed).checked_div(self.samples.load(Ordering::Relaxed))
    }

    fn total(&self) -> Total {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Total { calls: get(&self.calls), samples: get(&self.samples), sampled_ns: get(&self.sampled_ns) }
    }
}

/// Calls and times that were added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total {
    /// Calls.
    pub calls: u64,
    samples: u64,
    sampled_ns: u64,
}

impl Total {
    pub(crate) fn add(&mut self, other: Total) {
        self.calls += other.calls;
        self.samples += other.samples;
        self.sampled_ns += other.sampled_ns;
    }

    /// The mean of the calls that were timed, in microseconds.
    pub(crate) fn mean_us(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.sampled_ns as f64 / self.samples as f64 / 1000.0)
    }
}

/// A plan of `tuplix.plans`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Sessions that have it prepared now.
    pub sessions: u64,
    /// Which partitions it goes to; `None` when nobody has it prepared any more.
    pub partitions: Option<String>,
    /// The procedure that it calls directly.
    pub procedure: Option<u32>,
    /// Calls and times.
    pub total: Total,
}

/// All plans of a node.
#[derive(Debug)]
pub(crate) struct Plans {
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: BTreeMap<u64, Weak<Inner>>,
    /// By text: the procedure and what ended statements came to.
    ended: BTreeMap<String, (Option<u32>, Total)>,
}

/// A statement's place among the plans, until it goes.
#[derive(Debug)]
pub(crate) struct Registration {
    plans: Arc<Plans>,
    number: u64,
}

impl Plans {
    pub(crate) fn new(machine: &Machine) -> Plans {
        Plans { next: AtomicU64::new(0), state: Mutex::new(machine, State::default()) }
    }

    /// A place for code that is about to become a statement; `None` for what is interpreted and has no plan.
    pub(crate) fn reserve(self: &Arc<Self>, code: &Code) -> Option<Registration> {
        let has_plan = !matches!(code, Code::Utility(_));
        let number = || self.next.fetch_add(1, Ordering::Relaxed);
        has_plan.then(|| Registration { plans: self.clone(), number: number() })
    }

    /// Puts the statement at its place, where it has one.
    pub(crate) fn put(&self, statement: &Arc<Inner>) {
        if let Some(place) = &statement.registration {
            self.state.lock().live.insert(place.number, Arc::downgrade(statement));
        }
    }

    /// All plans by text.
    pub(crate) fn all(&self) -> BTreeMap<String, Plan> {
        // A statement whose last owner lets go of it meanwhile ends here, which takes the lock: not while it is held.
        let (live, ended) = {
            let state = self.state.lock();
            let live: Vec<Arc<Inner>> = state.live.values().filter_map(Weak::upgrade).collect();
            (live, state.ended.clone())
        };
        let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
        for (text, (procedure, total)) in ended {
            plans.insert(text, Plan { procedure, total, ..Plan::default() });
        }
        for statement in &live {
            let plan = plans.entry(kept(statement.parsed.text()).to_owned()).or_default();
            plan.sessions += 1;
            plan.partitions = Some(partitions(&statement.bound.code));
            plan.procedure = procedure(&statement.bound.code);
            plan.total.add(statement.counter.total());
        }
        plans
    }

    fn end(&self, number: u64, statement: &Inner) {
        let total = statement.counter.total();
        let mut state = self.state.lock();
        state.live.remove(&number);
        if total.calls == 0 {
            return;
        }
        let text = kept(statement.parsed.text());
        if let Some((_, ended)) = state.ended.get_mut(text) {
            ended.add(total);
            return;
        }
        if state.ended.len() >= MAX_TEXTS {
            let mut calls: Vec<u64> = state.ended.values().map(|(_, total)| total.calls).collect();
            let half = calls.len() / 2;
            let median = *calls.select_nth_unstable(half).1;
            let mut room = MAX_TEXTS / 4;
            state.ended.retain(|_, (_, total)| {
                let goes = room > 0 && total.calls <= median;
                room -= usize::from(goes);
                !goes
            });
        }
        state.ended.insert(text.to_owned(), (procedure(&statement.bound.code), total));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(place) = &self.registration {
            place.plans.end(place.number, self);
        }
    }
}

/// What is kept of a text.
fn kept(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}

fn procedure(code: &Code) -> Option<u32> {
    match code {
        Code::Call(call) => Some(call.function),
        _ => None,
    }
}

/// Which partitions code goes to, as its plan says.
fn partitions(code: &Code) -> String {
    let query = match code {
        Code::Query(query) => query,
        Code::Copy(copy) => &copy.statement,
        Code::Call(_) | Code::Utility(_) => return "as the procedure finds".to_owned(),
    };
    let nodes = query.explain();
    let mut buckets = nodes
        .iter()
        .flat_map(|node| &node.notes)
        .filter_map(|(_, line)| line.strip_prefix("Buckets: ").or_else(|| line.strip_prefix("Bucket: ")));
    match buckets.next() {
        None => "none".to_owned(),
        Some(first) => match buckets.find(|other| *other != first) {
            Some(_) => "several".to_owned(),
            None => first.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tuplix_machine::Machine;
    use tuplix_types::{Rows, TypeId, Value};

    use crate::{Session, SessionOptions, Shape, open_in_memory};

    /// Calls are counted while a statement lives and kept when it is gone; a procedure has those of its callers.
    #[test]
    fn plans_are_rows() {
        let shape = Shape { partitions: 2, buckets: 8, log_segment_bytes: 64 << 20 };
        let node = open_in_memory(&Machine::linux_seeded(1), &shape).unwrap();
        let mut session = Session::new(&node, &SessionOptions::default()).unwrap();
        session
            .execute(
                "CREATE TABLE item (p_key integer PRIMARY KEY, v integer);
                 SELECT create_distributed_table('item', 'p_key');
                 CREATE FUNCTION twice(x integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RETURN 2 * x; END $$",
            )
            .unwrap();
        let by_key = session.prepare("SELECT v FROM item WHERE p_key = $1", &[TypeId::INT4]).unwrap();
        let twice = session.prepare("SELECT twice($1)", &[TypeId::INT4]).unwrap();
        for key in 0..100 {
            for statement in [&by_key, &twice] {
                session.call(statement, &[Value::Int4(key)], &mut Rows::new()).unwrap();
            }
        }
        let mut other = Session::new(&node, &SessionOptions::default()).unwrap();
        let mut plans = |what: &str| {
            let sql = format!(
                "SELECT partitions, sessions, calls, mean_us > 0 FROM tuplix.plans WHERE text LIKE '{what}%'"
            );
            let rows = other.query(&sql, &[]).unwrap();
            assert_eq!(rows.len(), 1, "{what}");
            rows.row(0).to_vec()
        };
        let row = |partitions: &str, sessions, calls| {
            let partitions = if partitions.is_empty() { Value::Null } else { Value::text(partitions) };
            vec![partitions, sessions, Value::Int8(calls), Value::Bool(true)]
        };
        assert_eq!(plans("SELECT v FROM item"), row("of $1", Value::Int8(1), 100));
        assert_eq!(plans("SELECT twice"), row("as the procedure finds", Value::Int8(1), 100));
        assert_eq!(plans("twice(integer)"), row("", Value::Null, 100));
        drop(by_key);
        assert_eq!(plans("SELECT v FROM item"), row("", Value::Int8(0), 100));
    }
}
