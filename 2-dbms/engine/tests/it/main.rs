//! The engine's promises under threads and power failures, on the simulated machine.

#![allow(clippy::unwrap_used, missing_docs)]

mod admission;
mod foreign_keys;
mod history;
mod history_faults;
mod memory;
mod migrations;
mod refusals;
mod replies;
mod rights;
mod sequences;
mod session_locks;
mod system_tables;

use std::sync::Arc;

use tuplix_engine::{Durability, Node, Session, SessionOptions, Shape, open};
use tuplix_machine::Machine;

/// Opens the node in the simulated machine's folder.
fn open_node(machine: &Machine) -> Arc<Node> {
    let shape = Shape { partitions: 2, buckets: 8, log_segment_bytes: 1 << 20 };
    open(machine, machine.disk("/data"), &shape, &Durability::default()).unwrap().node
}

fn session(node: &Arc<Node>) -> Session {
    Session::new(node, &SessionOptions::default()).unwrap()
}

/// The integers in the first column of a query.
fn integers(session: &mut Session, sql: &str) -> Vec<i64> {
    let rows = session.query(sql, &[]).unwrap();
    rows.iter().map(|row| row[0].as_i64().unwrap()).collect()
}

/// A small generator of one's own: the simulation's is for the machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
