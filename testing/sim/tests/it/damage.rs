//! Damaged logs: a torn tail is cut and reported, damage in the middle is refused, and both say where.

use std::path::{Path, PathBuf};

use tuplix::{Tuplix, sqlstate};
use tuplix_sim::kill::prepare;

/// The log's only segment with data, after some transactions and a good end.
fn with_some_transactions(directory: &Path) -> PathBuf {
    prepare(directory).unwrap();
    let node = Tuplix::open(directory).unwrap();
    let mut session = node.session(&Default::default()).unwrap();
    for id in 1..=50 {
        session.execute(&format!("SELECT append(0, {id})")).unwrap();
    }
    drop(session);
    node.close().unwrap();
    drop(node);
    let mut segments: Vec<PathBuf> =
        std::fs::read_dir(directory.join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    segments.into_iter().next_back().unwrap()
}

/// Where the last epoch's footer of 16 bytes ends; its own last bytes may be zeros, as those after it are.
fn used(bytes: &[u8]) -> usize {
    bytes.windows(4).rposition(|word| word == b"EEND").unwrap() + 16
}

fn count(node: &Tuplix) -> i64 {
    let mut session = node.session(&Default::default()).unwrap();
    session.query("SELECT count(*) FROM item", &[]).unwrap().get(0, 0).unwrap().as_i64().unwrap()
}

#[test]
fn a_torn_tail_is_cut_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let segment = with_some_transactions(directory.path());
    let mut bytes = std::fs::read(&segment).unwrap();
    let end = used(&bytes);
    bytes.truncate(end);
    bytes.extend_from_slice(b"half a frame that was never finished");
    std::fs::write(&segment, &bytes).unwrap();
    let node = Tuplix::open(directory.path()).unwrap();
    let cut = node.recovery_report().cut.unwrap();
    assert!(segment.ends_with(&cut.segment), "{cut:?}");
    assert!(cut.offset >= end as u64 && cut.offset < end as u64 + 4096, "{cut:?}, the log ended at {end}");
    assert_eq!(count(&node), 50);
    node.close().unwrap();
    drop(node);
    let node = Tuplix::open(directory.path()).unwrap();
    assert_eq!(node.recovery_report().cut, None);
    assert_eq!(count(&node), 50);
}

#[test]
fn half_a_last_epoch_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let segment = with_some_transactions(directory.path());
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.truncate(used(&bytes) - 10);
    std::fs::write(&segment, &bytes).unwrap();
    let node = Tuplix::open(directory.path()).unwrap();
    assert!(node.recovery_report().cut.is_some());
    assert_eq!(count(&node), 49);
}

#[test]
fn a_flipped_bit_in_the_middle_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let segment = with_some_transactions(directory.path());
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = used(&bytes) / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&segment, &bytes).unwrap();
    let error = Tuplix::open(directory.path()).unwrap_err();
    assert_eq!(error.sqlstate(), sqlstate::DATA_CORRUPTED);
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(error.message().contains(name) && error.message().contains("at byte "), "{error}");
    assert!(error.fields().hint.is_some());
    // Refusing changed nothing: with the bit put right everything is there.
    bytes[middle] ^= 0x10;
    std::fs::write(&segment, &bytes).unwrap();
    assert_eq!(count(&Tuplix::open(directory.path()).unwrap()), 50);
}
