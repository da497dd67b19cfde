//! Isolation, in the manner of Elle (Kingsbury, Alvaro 2020): lists that are only appended to show the order of their writers.
//!
//! Edges of the graph: a list's entries in their order (ww), an entry and who saw it last (wr), who saw a list and who appended
//! next (rw), an end and a later begin (real time). Adya's mixing theorem says which must have no circle together when levels are mixed:
//! all of ww, wr and real time, and rw from serializable readers.

use std::collections::BTreeMap;

use super::graph::Graph;
use super::{Fates, Round};
use crate::history::{Id, Read, Seen, Transaction, writer_of};

/// Each list in the order that all replies agree on.
#[derive(Debug, Default)]
pub struct Orders {
    lists: BTreeMap<i32, BTreeMap<u64, Id>>,
    place: BTreeMap<Id, (i32, u64)>,
}

/// Checks a round.
///
/// # Errors
/// The first reply or order that no allowed execution gives.
pub fn check(round: &Round<'_>, fates: &Fates<'_>) -> Result<(), String> {
    let orders = Orders::of(round, fates)?;
    for transaction in round.history.transactions.values() {
        for read in &transaction.reads {
            orders.check_read(fates, transaction, read)?;
        }
    }
    check_graph(fates, &orders)
}

impl Orders {
    fn of(round: &Round<'_>, fates: &Fates<'_>) -> Result<Orders, String> {
        let mut orders = Orders::default();
        for state in [round.before, round.after] {
            for (list, entries) in &state.lists {
                for (position, id) in entries {
                    orders.put(*list, *position, *id, || "the recovered rows".to_owned())?;
                }
            }
        }
        for (number, fate) in &fates.committed {
            for (id, (list, position)) in &fate.transaction.places {
                if fate.transaction.writes.get(id) == Some(&true) {
                    orders.put(*list, *position, *id, || {
                        format!("the reply to transaction {number} that wrote it")
                    })?;
                }
            }
        }
        for transaction in round.history.transactions.values() {
            for read in &transaction.reads {
                let Seen::All(ids) = &read.seen else { continue };
                for (index, id) in ids.iter().enumerate() {
                    if writer_of(*id) != transaction.number {
                        let why = || format!("a reply to transaction {}", transaction.number);
                        orders.put(read.list, index as u64 + 1, *id, why)?;
                    }
                }
            }
        }
        Ok(orders)
    }

    fn put(&mut self, list: i32, position: u64, id: Id, why: impl Fn() -> String) -> Result<(), String> {
        let other = *self.lists.entry(list).or_default().entry(position).or_insert(id);
        if other != id {
            return Err(format!("list {list} has {id} at {position} by {}, elsewhere {other}", why()));
        }
        match *self.place.entry(id).or_insert((list, position)) {
            place if place == (list, position) => Ok(()),
            (other, at) => Err(format!(
                "{id} is at {position} of list {list} by {}, elsewhere at {at} of list {other}",
                why()
            )),
        }
    }

    /// How many entries of others the reader saw; `None` when the place of the last one is known to nobody.
    fn length_seen(&self, transaction: &Transaction, read: &Read) -> Option<u64> {
        match transaction.foreign(read).last() {
            None => Some(0),
            Some(last) => self.place.get(&last).map(|(_, position)| *position),
        }
    }

    fn check_read(&self, fates: &Fates<'_>, transaction: &Transaction, read: &Read) -> Result<(), String> {
        let number = transaction.number;
        let Some(last) = transaction.foreign(read).last() else { return Ok(()) };
        match self.place.get(&last) {
            Some((list, _)) if *list == read.list => {}
            // It was shown as the last entry, its writer's reply never came, and it is lost.
            None if fates.committed.get(&writer_of(last)).is_some_and(|fate| !fate.survived) => return Ok(()),
            _ => {
                return Err(format!(
                    "transaction {number} saw {last} in list {}, where it is not",
                    read.list
                ));
            }
        }
        if let Seen::All(ids) = &read.seen {
            let own = ids.iter().position(|id| writer_of(*id) == number).unwrap_or(ids.len());
            if ids[own..].iter().any(|id| writer_of(*id) != number) {
                return Err(format!(
                    "transaction {number} saw an entry of another after its own in list {}",
                    read.list
                ));
            }
        }
        // Half of a transaction: its last entry seen is not the last that it appended here.
        let Some(fate) = fates.committed.get(&writer_of(last)) else { return Ok(()) };
        let (_, position) = self.place[&last];
        let later = fate
            .transaction
            .effective()
            .filter_map(|id| self.place.get(&id))
            .find(|(list, at)| *list == read.list && *at > position);
        match later {
            Some(_) => Err(format!(
                "transaction {number} saw only a part of what transaction {} appended",
                writer_of(last)
            )),
            None => Ok(()),
        }
    }
}

fn check_graph(fates: &Fates<'_>, orders: &Orders) -> Result<(), String> {
    let numbers: Vec<u64> = fates.committed.keys().copied().collect();
    let node: BTreeMap<u64, usize> =
        numbers.iter().enumerate().map(|(node, number)| (*number, node)).collect();
    let mut graph = Graph::new(numbers.len());
    for (list, entries) in &orders.lists {
        let mut before: Option<(u64, Id)> = None;
        for (position, id) in entries {
            if let (Some((_, earlier)), Some(to)) = (before, node.get(&writer_of(*id)))
                && let Some(from) = node.get(&writer_of(earlier))
            {
                graph.edge(*from, *to, || format!("appended {earlier} to list {list} before {id}"));
            }
            before = Some((*position, *id));
        }
    }
    for (number, fate) in &fates.committed {
        for read in &fate.transaction.reads {
            add_read(&mut graph, &node, orders, *number, fate.transaction, read);
        }
    }
    add_real_time(&mut graph, &node, fates);
    match graph.circle() {
        None => Ok(()),
        Some(circle) => Err(tell(&circle, &numbers)),
    }
}

fn add_read(
    graph: &mut Graph,
    node: &BTreeMap<u64, usize>,
    orders: &Orders,
    number: u64,
    transaction: &Transaction,
    read: &Read,
) {
    let reader = node[&number];
    let Some(length) = orders.length_seen(transaction, read) else { return };
    let list = read.list;
    let Some(entries) = orders.lists.get(&list) else { return };
    if let Some((_, id)) = entries.range(..=length).next_back()
        && let Some(writer) = node.get(&writer_of(*id))
    {
        graph.edge(*writer, reader, || format!("appended {id} to list {list}, which was seen by"));
    }
    if !transaction.level.is_serializable() {
        return;
    }
    let next = entries.range(length + 1..).find(|(_, id)| writer_of(**id) != number);
    if let Some((_, id)) = next
        && let Some(writer) = node.get(&writer_of(*id))
    {
        graph.edge(reader, *writer, || {
            format!("saw {length} entries of list {list}, to which {id} was appended later by")
        });
    }
}

/// A chain of moments, so that there are not as many edges as pairs.
fn add_real_time(graph: &mut Graph, node: &BTreeMap<u64, usize>, fates: &Fates<'_>) {
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (number, fate) in &fates.committed {
        moments.push((fate.transaction.began, false, node[number]));
        if let Some(ended) = fate.transaction.ended {
            moments.push((ended, true, node[number]));
        }
    }
    moments.sort_unstable();
    let mut last: Option<usize> = None;
    for (_, is_end, transaction) in moments {
        if !is_end {
            if let Some(moment) = last {
                graph.edge(moment, transaction, || "began later".to_owned());
            }
            continue;
        }
        let moment = graph.add_node();
        graph.edge(transaction, moment, || "ended".to_owned());
        if let Some(before) = last {
            graph.edge(before, moment, || "then".to_owned());
        }
        last = Some(moment);
    }
}

fn tell(circle: &[(usize, String)], numbers: &[u64]) -> String {
    let mut text = "no serial order explains the replies:".to_owned();
    for (node, why) in circle {
        match numbers.get(*node) {
            Some(number) => text.push_str(&format!("\n    transaction {number} {why}")),
            None => text.push_str(&format!("\n    (real time) {why}")),
        }
    }
    text
}
