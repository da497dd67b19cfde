//! Refusals outlive a restart, cost a bounded part of the disk however many there are, and a disk that fails costs nothing else.

use tuplix_engine::{Node, REFUSALS_KEPT, close};
use tuplix_machine::{DiskImage, Faults, Machine, Simulation};
use tuplix_types::{SqlError, sqlstate};

use super::{integers, open_node, session};

const FILE: &str = "/data/refusals";
const OLD_FILE: &str = "/data/refusals.old";

fn refuse(node: &Node, user: &str) {
    let error = SqlError::new(sqlstate::INVALID_PASSWORD, format!("no, {user}"));
    node.refuse("login", user, Some("10.0.0.1".to_owned()), &error);
}

/// Those that a node remembers: number, who.
fn remembered(node: &std::sync::Arc<Node>) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', refusal, action, user_name, address, sqlstate, message) FROM tuplix.refusals ORDER BY refusal";
    let rows = session(node).query(sql, &[]).unwrap();
    rows.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
}

/// A node that refuses these and is closed; what it remembered when it began.
fn run(seed: u64, disk: DiskImage, users: &[&str]) -> (Vec<String>, DiskImage) {
    let outcome = Simulation::new(seed, Faults::none()).with_disk(disk).run(|machine| {
        let node = open_node(&machine);
        let before = remembered(&node);
        users.iter().for_each(|user| refuse(&node, user));
        close(&node).unwrap();
        before
    });
    (outcome.value.unwrap(), outcome.disk)
}

#[test]
fn refusals_outlive_a_restart() {
    let (before, disk) = run(1, DiskImage::default(), &["ann", "ben"]);
    assert!(before.is_empty());
    let (before, mut disk) = run(2, disk, &[]);
    let two = ["1 login ann 10.0.0.1 28P01 no, ann", "2 login ben 10.0.0.1 28P01 no, ben"];
    assert_eq!(before, two);
    // A kill in the middle of a line: what stands before it is whole, and what comes behind it, too.
    disk.file_mut(FILE).unwrap().extend_from_slice(b"{\"refusal\":3,\"at_us\"");
    let (before, disk) = run(3, disk, &["cid"]);
    assert_eq!(before, two);
    let (before, _) = run(4, disk, &[]);
    assert_eq!(before[2], "3 login cid 10.0.0.1 28P01 no, cid");
    assert_eq!(before.len(), 3);
}

/// One that nobody follows is written without waiting for the node's end.
#[test]
fn a_refusal_reaches_the_disk_by_itself() {
    Simulation::new(5, Faults::none()).run(|machine| {
        let node = open_node(&machine);
        refuse(&node, "ann");
        let disk = machine.disk("/data");
        while !disk.exists("refusals").unwrap() || disk.read("refusals").unwrap().is_empty() {
            machine.sleep_until(machine.monotonic_ns() + 1_000_000);
        }
        close(&node).unwrap();
    });
}

#[test]
fn a_flood_of_refusals_is_bounded() {
    let long = "x".repeat(5_000);
    let flood = |machine: Machine| {
        let node = open_node(&machine);
        for _ in 0..30 {
            for _ in 0..1_000 {
                refuse(&node, &long);
            }
            machine.sleep_until(machine.monotonic_ns() + 1_500_000_000);
        }
        let mut session = session(&node);
        let kept = integers(&mut session, "SELECT count(*) FROM tuplix.refusals");
        let last = integers(&mut session, "SELECT max(refusal) FROM tuplix.refusals");
        let longest =
            integers(&mut session, "SELECT max(length(user_name) + length(message)) FROM tuplix.refusals");
        close(&node).unwrap();
        (kept[0], last[0], longest[0])
    };
    let outcome = Simulation::new(6, Faults::none()).run(flood);
    let (kept, last, longest) = outcome.value.unwrap();
    assert_eq!((kept, last, longest), (REFUSALS_KEPT as i64, 30_000, 512));
    let bytes: Vec<usize> =
        [FILE, OLD_FILE].map(|file| outcome.disk.file(file).map_or(0, <[u8]>::len)).to_vec();
    // 30 writes of 256 KiB, in two files.
    assert!(
        bytes[0] + bytes[1] > 4 << 20 && bytes.iter().all(|&bytes| bytes <= (4 << 20) + (256 << 10)),
        "{bytes:?}"
    );
    let (before, _) = run(7, outcome.disk, &[]);
    assert!(before.len() > 5_000 && before.last().unwrap().starts_with("30000 login x"), "{}", before.len());
}
