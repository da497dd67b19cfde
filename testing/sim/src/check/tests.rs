//! Handmade histories: good ones pass, each kind of bad one is found.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::history::{Event, IDS, Level, Seen};

#[derive(Clone)]
struct Story {
    history: History,
    lists: BTreeMap<i32, Vec<Id>>,
    before: BTreeMap<i32, Vec<Id>>,
}

/// The first id of a transaction.
fn id(number: u64, nth: u64) -> Id {
    number * IDS + nth
}

impl Story {
    fn new() -> Story {
        Story { history: History::default(), lists: BTreeMap::new(), before: BTreeMap::new() }
    }

    fn begin(&mut self, number: u64, level: Level) -> &mut Story {
        self.history.record(Event::Begin { number, client: number as u32, level });
        self
    }

    fn append(&mut self, id: Id, list: i32, position: u64) -> &mut Story {
        self.history.record(Event::Write { id });
        self.history.record(Event::Place { id, list, position });
        self
    }

    fn read(&mut self, number: u64, list: i32, ids: &[Id], durable: bool) -> &mut Story {
        self.history.record(Event::Read { number, list, seen: Seen::All(ids.to_vec()), durable });
        self
    }

    fn end(&mut self, number: u64, outcome: Outcome, durable: bool) -> &mut Story {
        self.history.record(Event::End { number, outcome, durable });
        self
    }

    fn found(&mut self, list: i32, ids: &[Id]) -> &mut Story {
        self.lists.insert(list, ids.to_vec());
        self
    }

    fn check(&self) -> Result<(), String> {
        let state = |lists: &BTreeMap<i32, Vec<Id>>| {
            let mut state = State::initial();
            for (list, ids) in lists {
                state.lists.insert(*list, (1..).zip(ids.iter().copied()).collect());
                state.lengths.insert(*list, ids.len() as u64);
            }
            state.past = state.kept();
            state
        };
        let (before, after) = (state(&self.before), state(&self.lists));
        Round { before: &before, history: &self.history, after: &after, closed: false }.check()
    }

    fn fails(&self, with: &str) {
        let error = self.check().unwrap_err();
        assert!(error.contains(with), "{error}");
    }
}

use Level::{OneShot, ReadCommitted, Serializable};
use Outcome::{Aborted, Committed, Unknown};

/// Two appends, one after the other, both durable, and a reader.
fn good() -> Story {
    let mut story = Story::new();
    story.begin(1, OneShot).append(id(1, 0), 0, 1).end(1, Committed, true);
    story.begin(2, OneShot).append(id(2, 0), 0, 2).end(2, Committed, true);
    story.begin(3, OneShot).read(3, 0, &[id(1, 0), id(2, 0)], true).end(3, Committed, true);
    story.found(0, &[id(1, 0), id(2, 0)]);
    story
}

#[test]
fn a_good_history_passes() {
    assert_eq!(good().check(), Ok(()));
}

#[test]
fn a_lost_acknowledged_commit_is_found() {
    let mut story = good();
    story.history.transactions.remove(&3);
    story.found(0, &[id(1, 0)]).fails("acknowledged as durable, but it is lost");
}

#[test]
fn an_unacknowledged_commit_may_be_lost_or_not() {
    let mut story = Story::new();
    story.begin(1, OneShot).append(id(1, 0), 0, 1).end(1, Committed, false);
    assert_eq!(story.check(), Ok(()));
    assert_eq!(story.found(0, &[id(1, 0)]).check(), Ok(()));
    let mut story = Story::new();
    story.begin(1, OneShot).append(id(1, 0), 0, 1).append(id(1, 1), 1, 1).end(1, Unknown, false);
    assert_eq!(story.check(), Ok(()));
    story.found(0, &[id(1, 0)]).fails("survived in part");
}

#[test]
fn a_synchronous_reply_that_depends_on_a_lost_commit_is_found() {
    let mut story = Story::new();
    story.begin(1, OneShot).append(id(1, 0), 0, 1).end(1, Committed, false);
    story.begin(2, ReadCommitted).read(2, 0, &[id(1, 0)], true).end(2, Aborted, false);
    story.fails("which is lost");
    let mut story = Story::new();
    story.begin(1, OneShot).append(id(1, 0), 0, 1).end(1, Committed, false);
    story.begin(2, OneShot).read(2, 0, &[id(1, 0)], false).end(2, Committed, false);
    assert_eq!(story.check(), Ok(()));
}

#[test]
fn what_is_lost_is_a_suffix() {
    let mut story = Story::new();
    story.begin(1, OneShot).append(id(1, 0), 0, 1).end(1, Committed, false);
    story.begin(2, OneShot).append(id(2, 0), 1, 1).end(2, Committed, false);
    story.found(1, &[id(2, 0)]).fails("acknowledged before it began, is lost");
    // Of two that ran at the same time either may be lost, unless one saw the other.
    let mut story = Story::new();
    story.begin(1, OneShot).begin(2, OneShot);
    story.append(id(1, 0), 0, 1).append(id(2, 0), 1, 1).end(1, Committed, false).end(2, Committed, false);
    assert_eq!(story.clone().found(1, &[id(2, 0)]).check(), Ok(()));
    story.read(2, 0, &[id(1, 0)], false).found(1, &[id(2, 0)]).fails("survived, but");
}

#[test]
fn earlier_survivors_stay() {
    let mut story = good();
    story.before.insert(1, vec![id(0, 1)]);
    story.fails("had survived an earlier recovery");
}

#[test]
fn dirty_reads_and_the_undead_are_found() {
    let mut story = Story::new();
    story.begin(1, ReadCommitted).append(id(1, 0), 0, 1);
    story.begin(2, OneShot).read(2, 0, &[id(1, 0)], false).end(2, Committed, false);
    story.end(1, Aborted, false).fails("dirty read");
    let mut story = Story::new();
    story.begin(1, ReadCommitted).append(id(1, 0), 0, 1).end(1, Aborted, false);
    story.found(0, &[id(1, 0)]).fails("rolled back, but it is there");
    let mut story = Story::new();
    story.begin(1, ReadCommitted).append(id(1, 0), 0, 1);
    story.history.record(Event::Undo { id: id(1, 0) });
    story.end(1, Committed, true);
    assert_eq!(story.check(), Ok(()));
    story.found(0, &[id(1, 0)]).fails("rolled back, but it is there");
    story.found(0, &[id(9, 0)]).fails("nobody wrote it");
}

#[test]
fn half_of_a_transaction_must_not_be_seen() {
    let mut story = Story::new();
    story.begin(1, ReadCommitted).append(id(1, 0), 0, 1).append(id(1, 1), 0, 2);
    story.begin(2, OneShot).read(2, 0, &[id(1, 0)], false).end(2, Committed, false);
    story.end(1, Committed, true).found(0, &[id(1, 0), id(1, 1)]).fails("saw only a part");
}

#[test]
fn a_lost_append_shows_as_two_at_one_place() {
    let mut story = Story::new();
    story.begin(1, ReadCommitted).begin(2, ReadCommitted);
    story.append(id(1, 0), 0, 1).append(id(2, 0), 0, 1).end(1, Committed, false).end(2, Committed, false);
    story.fails("elsewhere");
}

#[test]
fn replies_must_agree_on_the_order() {
    let mut story = good();
    story.begin(4, OneShot).read(4, 0, &[id(2, 0), id(1, 0)], false).end(4, Aborted, false);
    story.fails("list 0 has");
}

#[test]
fn a_stale_read_is_found_by_real_time() {
    let mut story = Story::new();
    story.begin(1, OneShot).append(id(1, 0), 0, 1).end(1, Committed, true);
    story.begin(2, OneShot).read(2, 0, &[], true).end(2, Committed, true);
    story.found(0, &[id(1, 0)]).fails("no serial order");
}

/// Two transactions that each see the lists before the other's append.
fn write_skew(level: Level) -> Story {
    let mut story = Story::new();
    story.begin(1, level).begin(2, level).read(1, 0, &[], false).read(2, 1, &[], false);
    story.append(id(1, 0), 1, 1).append(id(2, 0), 0, 1).end(1, Committed, true).end(2, Committed, true);
    story.found(1, &[id(1, 0)]).found(0, &[id(2, 0)]);
    story
}

#[test]
fn write_skew_is_forbidden_when_serializable() {
    write_skew(Serializable).fails("no serial order");
    assert_eq!(write_skew(ReadCommitted).check(), Ok(()));
}

#[test]
fn a_torn_view_of_two_lists_is_found() {
    let mut story = Story::new();
    story.begin(1, OneShot).begin(2, OneShot).append(id(1, 0), 0, 1).append(id(1, 1), 1, 1);
    story
        .read(2, 0, &[id(1, 0)], false)
        .read(2, 1, &[], false)
        .end(1, Committed, true)
        .end(2, Committed, true);
    story.found(0, &[id(1, 0)]).found(1, &[id(1, 1)]).fails("no serial order");
}

#[test]
fn invariants_of_the_rows() {
    let entry =
        |p_key, id, what: &str, subject, amount| Entry { p_key, id, what: what.to_owned(), subject, amount };
    let check = |change: &dyn Fn(&mut State)| {
        let mut state = State::initial();
        change(&mut state);
        state.check()
    };
    assert_eq!(check(&|_| ()), Ok(()));
    assert!(check(&|state| state.accounts.extend([(0, 7)])).unwrap_err().contains("balances"));
    assert!(check(&|state| state.accounts.extend([(0, -7)])).unwrap_err().contains("CHECK"));
    assert!(check(&|state| state.journal.push(entry(0, 1, "bank", 0, 5))).unwrap_err().contains("balances"));
    assert!(check(&|state| state.workers.extend([((0, 1), 1)])).unwrap_err().contains("worker 1"));
    assert!(check(&|state| state.tasks.extend([((0, 9), 1)])).unwrap_err().contains("tasks are"));
    assert!(
        check(&|state| state.journal.push(entry(0, 1, "take", 0, 5))).unwrap_err().contains("taken twice")
    );
    assert!(check(&|state| state.queue.extend([(0, 5)])).unwrap_err().contains("queues hold"));
    assert!(check(&|state| state.lengths.extend([(0, 5)])).unwrap_err().contains("its row says 5"));
    assert!(check(&|state| state.lists.extend([(5, vec![(2, 1)])])).unwrap_err().contains("position 2"));
    let listed = |state: &mut State| {
        state.lists.insert(5, vec![(1, 9)]);
        state.past = state.kept();
    };
    assert_eq!(check(&listed), Ok(()));
    for copies in [(99, 5050 - 7), (100, 5050 - 6), (101, 5051)] {
        let wrong = |state: &mut State| {
            listed(state);
            state.past.insert((5, 1, 9), copies);
        };
        assert!(check(&wrong).unwrap_err().contains("the copies of (5, 1, 9)"));
    }
    assert!(check(&|state| state.past.extend([((5, 1, 9), (1, 1))])).unwrap_err().contains("the copies of"));
    let scheduled = |state: &mut State| {
        state.journal.push(entry(0, 1, "schedule", 1, 1));
        state.tasks.insert((0, 1), 1);
        *state.workers.get_mut(&(0, 1)).unwrap() -= 1;
    };
    assert_eq!(check(&scheduled), Ok(()));
    let twice = |state: &mut State| {
        scheduled(state);
        state.journal.push(entry(0, 2, "schedule", 1, 1));
    };
    assert!(check(&twice).unwrap_err().contains("scheduled twice"));
}
