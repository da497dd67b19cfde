//! Histories written by hand: the checkers must find what is wrong with them.

#![allow(clippy::unwrap_used)]

use adya::Valid;

use super::anomalies::{is_permitted, verdict};
use super::operation::{Operation, Seen};
use super::replay::replay;
use super::{Promise, Step, Transaction};

/// A committed transaction of client `client` that began, committed and returned at these ticks.
fn transaction(client: u64, times: (u64, u64, u64), steps: &[(Operation, Seen)]) -> Transaction {
    let steps =
        steps.iter().map(|(operation, seen)| Step::Operation(operation.clone(), seen.clone())).collect();
    Transaction {
        client,
        promise: Promise::Serializable,
        began: times.0,
        called: times.1,
        returned: times.2,
        number: None,
        committed: true,
        steps,
    }
}

fn list(k: i32, items: &[u64]) -> (Operation, Seen) {
    let seen = if items.is_empty() { Seen::None } else { Seen::Items(items.to_vec()) };
    (Operation::List((0, k)), seen)
}

fn append(k: i32, item: u64, items: &[u64]) -> (Operation, Seen) {
    (Operation::Append((0, k), item), Seen::Items(items.to_vec()))
}

fn get(k: i32, value: Option<i64>) -> (Operation, Seen) {
    (Operation::Get((0, k)), value.map_or(Seen::None, Seen::Number))
}

fn add(k: i32, by: i64, value: i64) -> (Operation, Seen) {
    (Operation::Add((0, k), by), Seen::Number(value))
}

fn put(k: i32, value: i64) -> (Operation, Seen) {
    (Operation::Put((0, k), value), Seen::Number(value))
}

#[track_caller]
fn refused(history: &[Transaction], part: &str) {
    let error = replay(history).unwrap_err();
    assert!(error.contains(part), "{error}");
}

#[track_caller]
fn anomalies(history: &[Transaction], model: &str) -> Vec<String> {
    let verdict = verdict(history, model).unwrap();
    assert_eq!(verdict.valid == Valid::True, verdict.anomaly_types.is_empty(), "{verdict:?}");
    verdict.anomaly_types
}

#[test]
fn what_is_right_passes() {
    let history = [
        transaction(1, (0, 0, 10), &[put(1, 5), append(0, 7, &[7])]),
        transaction(2, (11, 18, 20), &[add(1, 2, 7), list(0, &[7])]),
        transaction(1, (12, 12, 19), &[get(1, Some(5)), list(0, &[7])]),
        transaction(1, (21, 21, 22), &[get(1, Some(7)), (Operation::Sum(0), Seen::Total(1, 7))]),
    ];
    let replayed = replay(&history).unwrap();
    assert_eq!((replayed.order, replayed.answers), (vec![0, 2, 1, 3], 8));
    assert_eq!(anomalies(&history, "strict-serializable"), Vec::<String>::new());
}

#[test]
fn a_lost_update() {
    let first = transaction(1, (0, 0, 1), &[put(1, 5)]);
    let lost = [
        first,
        transaction(2, (2, 6, 8), &[get(1, Some(5)), add(1, 1, 6)]),
        transaction(3, (3, 7, 9), &[get(1, Some(5)), add(1, 1, 6)]),
    ];
    refused(&lost, "answered Number(5), but the model says Number(6)");
    let lists = [
        transaction(2, (2, 6, 8), &[list(0, &[]), append(0, 1, &[1])]),
        transaction(3, (3, 7, 9), &[list(0, &[]), append(0, 2, &[2])]),
        transaction(1, (10, 10, 11), &[list(0, &[2])]),
    ];
    refused(&lists, "1 of 3 transactions fit");
    assert!(!anomalies(&lists, "serializable").is_empty());
}

#[test]
fn write_skew() {
    let skew = [
        transaction(1, (0, 4, 6), &[list(0, &[]), list(1, &[]), append(0, 1, &[1])]),
        transaction(2, (1, 5, 7), &[list(0, &[]), list(1, &[]), append(1, 2, &[2])]),
        transaction(3, (8, 8, 9), &[list(0, &[1]), list(1, &[2])]),
    ];
    refused(&skew, "none of these could come next");
    let found = anomalies(&skew, "serializable");
    assert!(found.iter().any(|anomaly| is_permitted(anomaly)), "{found:?}");
    assert_eq!(anomalies(&skew, "snapshot-isolation"), Vec::<String>::new());
    let mut permitted = skew;
    permitted.iter_mut().for_each(|transaction| transaction.promise = Promise::ReadCommitted);
    replay(&permitted).unwrap();
}

#[test]
fn a_stale_read() {
    let stale = [
        transaction(1, (0, 0, 1), &[append(0, 1, &[1])]),
        transaction(2, (2, 2, 3), &[list(0, &[])]),
        transaction(3, (4, 4, 5), &[list(0, &[1])]),
    ];
    refused(&stale, "answered None, but the model says Items([1])");
    assert_eq!(anomalies(&stale, "serializable"), Vec::<String>::new());
    assert!(!anomalies(&stale, "strict-serializable").is_empty());
}

#[test]
fn a_dirty_read_and_half_of_a_transaction() {
    let mut rolled_back = transaction(1, (0, 0, 3), &[append(0, 1, &[1])]);
    rolled_back.committed = false;
    let dirty = [rolled_back, transaction(2, (1, 1, 2), &[list(0, &[1])])];
    refused(&dirty, "the model says None");
    assert!(anomalies(&dirty, "read-committed").contains(&"G1a".to_owned()));
    let torn = [
        transaction(1, (0, 0, 3), &[append(0, 1, &[1]), append(1, 2, &[2])]),
        transaction(2, (1, 1, 4), &[list(0, &[1]), list(1, &[])]),
        transaction(3, (5, 5, 6), &[list(0, &[1]), list(1, &[2])]),
    ];
    refused(&torn, "could come next");
    assert!(!anomalies(&torn, "serializable").is_empty());
}

#[test]
fn numbers_against_what_was_seen() {
    let mut first = transaction(1, (0, 0, 8), &[put(1, 5)]);
    let mut second = transaction(2, (1, 1, 9), &[get(1, None)]);
    (first.number, second.number) = (Some(2), Some(1));
    replay(&[first.clone(), second.clone()]).unwrap();
    (first.number, second.number) = (Some(1), Some(2));
    refused(&[first, second], "the model says Number(5)");
}

#[test]
fn a_phantom_and_what_a_savepoint_undid() {
    let sum = |count, sum| (Operation::Sum(0), Seen::Total(count, sum));
    let phantom = [
        transaction(1, (0, 8, 9), &[sum(0, 0), put(2, 1)]),
        transaction(2, (1, 6, 7), &[sum(0, 0), put(3, 1)]),
    ];
    refused(&phantom, "could come next");
    let mut undone = transaction(1, (0, 8, 9), &[put(2, 1)]);
    undone.steps.insert(0, Step::Savepoint);
    undone.steps.push(Step::RollbackTo);
    let seen = transaction(2, (10, 10, 11), &[sum(1, 1)]);
    refused(&[undone.clone(), seen], "the model says Total(0, 0)");
    replay(&[undone, transaction(2, (10, 10, 11), &[sum(0, 0)])]).unwrap();
}

#[test]
fn read_committed_loses_no_change() {
    let lost = [
        transaction(1, (0, 0, 1), &[put(1, 5)]),
        transaction(2, (2, 6, 8), &[add(1, 1, 6)]),
        transaction(3, (3, 7, 9), &[add(1, 1, 6)]),
    ];
    let mut lost = lost.to_vec();
    lost.iter_mut().for_each(|transaction| transaction.promise = Promise::ReadCommitted);
    refused(&lost, "the model says Number(7)");
}

#[test]
fn another_order_is_found_where_several_may_come_next() {
    // Two overlapping changes of which the later to return comes first.
    let history = [
        transaction(1, (0, 0, 1), &[put(1, 5)]),
        transaction(2, (2, 2, 9), &[(Operation::Copy((0, 1), (0, 1)), Seen::Number(5)), put(2, 9)]),
        transaction(3, (3, 3, 10), &[put(3, 9)]),
        transaction(4, (4, 4, 11), &[(Operation::Sum(0), Seen::Total(2, 14)), get(3, Some(9))]),
    ];
    let replayed = replay(&history).unwrap();
    assert_eq!(replayed.order, [0, 2, 3, 1]);
    assert!(replayed.steps_back > 0);
}
