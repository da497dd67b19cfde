//! What clients did and saw, event by event.
//!
//! Every write carries an id that occurs nowhere else, and an id names its transaction: so whatever is found in a reply or
//! after a recovery, it is known who wrote it, and whether that transaction may, must or must not be seen.

use std::collections::BTreeMap;

/// A write's name. `id / IDS` is its transaction's number.
pub type Id = u64;

/// Ids that a transaction has.
pub const IDS: u64 = 32;

/// The transaction that wrote under an id.
pub fn writer_of(id: Id) -> u64 {
    id / IDS
}

/// What the transaction was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// One statement or call by itself, or a text of several statements: serializable.
    OneShot,
    /// BEGIN ISOLATION LEVEL READ COMMITTED.
    ReadCommitted,
    /// BEGIN ISOLATION LEVEL REPEATABLE READ: the engine validates its reads, so it is serializable.
    RepeatableRead,
    /// BEGIN ISOLATION LEVEL SERIALIZABLE.
    Serializable,
}

impl Level {
    /// Whether what it read must fit the moment of its commit.
    pub fn is_serializable(self) -> bool {
        self != Level::ReadCommitted
    }
}

/// How a transaction ended, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply said so.
    Committed,
    /// The reply was an error, or the client rolled back.
    Aborted,
    /// The node went away before a reply, or said that it does not know.
    Unknown,
}

/// Something that happened at a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transaction is about to begin.
    Begin {
        /// Its number.
        number: u64,
        /// Who.
        client: u32,
        /// What it is promised.
        level: Level,
    },
    /// A statement that writes under this id is about to be sent.
    Write {
        /// The write.
        id: Id,
    },
    /// The write is without effect: the statement changed nothing, or it was rolled back to a savepoint.
    Undo {
        /// The write.
        id: Id,
    },
    /// A reply said at which position of which list the write is.
    Place {
        /// The write.
        id: Id,
        /// The list.
        list: i32,
        /// From 1.
        position: u64,
    },
    /// A reply showed a list.
    Read {
        /// The transaction that asked.
        number: u64,
        /// The list.
        list: i32,
        /// What was shown.
        seen: Seen,
        /// Whether the reply came after the wait for the disk.
        durable: bool,
    },
    /// The last reply.
    End {
        /// The transaction.
        number: u64,
        /// What it said.
        outcome: Outcome,
        /// Whether it came after the wait for the disk.
        durable: bool,
    },
    /// For the story only.
    Note {
        /// Who.
        client: u32,
        /// What.
        text: String,
    },
}

/// What a reply showed of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// All of it, in order.
    All(Vec<Id>),
    /// The last entry, `None` when it is empty.
    Last(Option<Id>),
}

impl Seen {
    /// The ids that were shown.
    pub fn ids(&self) -> &[Id] {
        match self {
            Seen::All(ids) => ids,
            Seen::Last(last) => last.as_slice(),
        }
    }
}

/// A list that a reply showed.
#[derive(Clone, Debug)]
pub struct Read {
    /// The list.
    pub list: i32,
    /// What was shown.
    pub seen: Seen,
    /// Whether the reply came after the wait for the disk.
    pub durable: bool,
}

/// A transaction as its client knows it.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its number.
    pub number: u64,
    /// Who.
    pub client: u32,
    /// What it was promised.
    pub level: Level,
    /// When it began, on the history's clock.
    pub began: u64,
    /// When its last reply came, unless that left the outcome open.
    pub ended: Option<u64>,
    /// What the last reply said.
    pub outcome: Outcome,
    /// Whether the last reply came after the wait for the disk.
    pub durable: bool,
    /// Its writes; false for those without effect.
    pub writes: BTreeMap<Id, bool>,
    /// List and position of its appends, as far as replies told them.
    pub places: BTreeMap<Id, (i32, u64)>,
    /// What it was shown.
    pub reads: Vec<Read>,
}

impl Transaction {
    /// Its writes that have an effect if it commits.
    pub fn effective(&self) -> impl Iterator<Item = Id> + '_ {
        self.writes.iter().filter(|(_, effective)| **effective).map(|(id, _)| *id)
    }

    /// Entries by others in what it was shown.
    pub fn foreign<'a>(&'a self, read: &'a Read) -> impl Iterator<Item = Id> + 'a {
        read.seen.ids().iter().copied().filter(|id| writer_of(*id) != self.number)
    }
}

/// All that happened on one simulated machine.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By number.
    pub transactions: BTreeMap<u64, Transaction>,
    /// The events in order; an event's index is its time.
    pub events: Vec<Event>,
}

impl History {
    /// Adds an event.
    pub fn record(&mut self, event: Event) {
        let now = self.events.len() as u64;
        self.apply(&event, now);
        self.events.push(event);
    }

    /// The same, as it binds a copy of the rows that was begun after so many events: what was promised later may be missing there.
    #[must_use]
    pub fn as_of(&self, events: usize) -> History {
        let mut history = History::default();
        for (number, event) in self.events.iter().enumerate() {
            let mut event = event.clone();
            if let Event::Read { durable, .. } | Event::End { durable, .. } = &mut event {
                *durable &= number < events;
            }
            history.record(event);
        }
        history
    }

    fn apply(&mut self, event: &Event, now: u64) {
        match event {
            Event::Begin { number, client, level } => {
                let transaction = Transaction {
                    number: *number,
                    client: *client,
                    level: *level,
                    began: now,
                    ended: None,
                    outcome: Outcome::Unknown,
                    durable: false,
                    writes: BTreeMap::new(),
                    places: BTreeMap::new(),
                    reads: Vec::new(),
                };
                let before = self.transactions.insert(*number, transaction);
                assert!(before.is_none(), "a transaction begins once");
            }
            Event::Write { id } => self.of(writer_of(*id)).writes.extend([(*id, true)]),
            Event::Undo { id } => self.of(writer_of(*id)).writes.extend([(*id, false)]),
            Event::Place { id, list, position } => {
                self.of(writer_of(*id)).places.insert(*id, (*list, *position));
            }
            Event::Read { number, list, seen, durable } => {
                let read = Read { list: *list, seen: seen.clone(), durable: *durable };
                self.of(*number).reads.push(read);
            }
            Event::End { number, outcome, durable } => {
                let transaction = self.of(*number);
                // When an unknown one took effect, if it did, nobody knows.
                transaction.ended = (*outcome != Outcome::Unknown).then_some(now);
                transaction.outcome = *outcome;
                transaction.durable = *durable;
            }
            Event::Note { .. } => {}
        }
    }

    fn of(&mut self, number: u64) -> &mut Transaction {
        match self.transactions.get_mut(&number) {
            Some(transaction) => transaction,
            None => panic!("transaction {number} has not begun"),
        }
    }

    /// The last events, a line each.
    pub fn story(&self, lines: usize) -> String {
        let first = self.events.len().saturating_sub(lines);
        let shown = self.events[first..].iter().enumerate();
        shown.map(|(offset, event)| format!("  {:>6} {}\n", first + offset, describe(event))).collect()
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Begin { number, client, level } => {
            format!("client {client}: transaction {number} begins, {level:?}")
        }
        Event::Write { id } => format!("transaction {} writes {id}", writer_of(*id)),
        Event::Undo { id } => format!("transaction {}: {id} has no effect", writer_of(*id)),
        Event::Place { id, list, position } => format!("{id} is at {position} of list {list}"),
        Event::Read { number, list, seen, durable } => {
            format!(
                "transaction {number} sees list {list}: {seen:?}{}",
                if *durable { ", durable" } else { "" }
            )
        }
        Event::End { number, outcome, durable } => {
            format!("transaction {number}: {outcome:?}{}", if *durable { ", durable" } else { "" })
        }
        Event::Note { client, text } => format!("client {client}: {text}"),
    }
}
