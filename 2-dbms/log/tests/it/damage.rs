//! Bytes that are not as they were written: damage is told from an interrupted write, and nothing is skipped.

use std::sync::Arc;

use tuplix_machine::{DiskImage, Faults, Simulation};
use tuplix_types::{Result, SqlError};

use crate::bank::{self, Ledger, Node, State, config};

/// A log of some segments, and its state.
fn written() -> (DiskImage, State) {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        let (node, ..) = Node::open(&machine, 2, config(), false).unwrap();
        for number in 1..=20 {
            node.commit(number, &node.domains_of(number)).unwrap();
            node.log.flush().unwrap();
        }
        node.log.close().unwrap();
        bank::read(&machine).unwrap()
    });
    (outcome.disk, outcome.value.unwrap())
}

fn open(disk: DiskImage) -> Result<(State, tuplix_log::RecoveryReport, DiskImage)> {
    let outcome = Simulation::new(2, Faults::none()).with_disk(disk).run(|machine| {
        let (_node, state, report) = Node::open(&machine, 2, config(), false)?;
        Ok((state, report))
    });
    let (state, report) = outcome.value.unwrap()?;
    Ok((state, report, outcome.disk))
}

fn names(disk: &DiskImage) -> Vec<String> {
    disk.paths().into_iter().map(str::to_owned).collect()
}

fn refused(disk: DiskImage, code: &str) -> SqlError {
    let error = open(disk).unwrap_err();
    assert_eq!(error.sqlstate().as_str(), code, "{error}");
    error
}

#[test]
fn a_flipped_bit_in_the_middle_is_an_error_that_says_where() {
    let (disk, _) = written();
    let names = names(&disk);
    assert!(names.len() >= 2);
    for (index, name) in names.iter().enumerate() {
        let length = disk.file(name).unwrap().len();
        let last_frame = disk.file(name).unwrap().windows(4).rposition(|bytes| bytes == b"EPOC").unwrap();
        for byte in (0..length).step_by(7) {
            let mut damaged = disk.clone();
            damaged.file_mut(name).unwrap()[byte] ^= 1 << (byte % 8);
            let is_last_frame = index == names.len() - 1 && byte >= last_frame;
            if is_last_frame {
                // It cannot be told from an interrupted write.
                let (state, report, _) = open(damaged).unwrap_or_else(|error| panic!("byte {byte}: {error}"));
                assert!(report.cut.is_some());
                assert_eq!(state.transactions.len(), 19);
                continue;
            }
            let before = damaged.clone();
            let error = refused(damaged.clone(), "XX001");
            assert!(error.message().contains(name.as_str()), "{error}");
            assert!(error.fields().hint.is_some());
            assert!(before == damaged, "nothing was changed");
        }
    }
}

#[test]
fn a_log_cut_anywhere_in_its_last_segment_opens_with_whole_epochs() {
    let (disk, all) = written();
    let last = names(&disk).pop().unwrap();
    let length = disk.file(&last).unwrap().len();
    let mut most = 0;
    for end in 0..length {
        let mut cut = disk.clone();
        cut.file_mut(&last).unwrap().truncate(end);
        let (state, report, after) = open(cut).unwrap_or_else(|error| panic!("cut at {end}: {error}"));
        assert!(state.transactions.is_subset(&all.transactions));
        assert!(state.transactions.len() >= most && state.transactions.len() < 20);
        most = state.transactions.len();
        if let Some(tail) = report.cut {
            let kept = after.file(&last).map_or(0, <[u8]>::len) as u64;
            // The file ends with the last whole epoch, or made way for one of the same name.
            assert!(kept == tail.offset || tail.offset == 0, "cut at {end}: kept {kept}, {tail:?}");
        }
    }
    assert_eq!(most, 19);
}

#[test]
fn bytes_after_the_end_of_an_earlier_segment_and_missing_segments_are_errors() {
    let (disk, _) = written();
    let names = names(&disk);
    let mut longer = disk.clone();
    longer.file_mut(&names[0]).unwrap().push(1);
    refused(longer, "XX001");
    let mut shorter = disk.clone();
    shorter.file_mut(&names[0]).unwrap().pop();
    refused(shorter, "XX001");
    let mut missing = disk.clone();
    missing.remove(&names[0]);
    let error = refused(missing, "XX001");
    assert!(error.fields().hint.as_deref().unwrap().contains("A segment was removed"));
    let mut renamed = disk.clone();
    let bytes = renamed.remove(&names[1]).unwrap();
    renamed.insert("data/log/00000000000000000999.log", bytes);
    refused(renamed, "XX001");
}

#[test]
fn other_files_in_the_folder_are_left_alone() {
    let (mut disk, all) = written();
    disk.insert("data/log/notes.txt", b"mine".to_vec());
    let (state, _, after) = open(disk).unwrap();
    assert_eq!(state, all);
    assert_eq!(after.file("data/log/notes.txt"), Some(&b"mine"[..]));
}

#[test]
fn other_format_versions_and_other_nodes_are_refused() {
    let (disk, _) = written();
    let first = names(&disk).remove(0);
    let with = |at: usize, byte: u8| {
        let mut changed = disk.clone();
        let header = changed.file_mut(&first).unwrap();
        header[at] = byte;
        let checksum = crc32c::crc32c(&header[..60]).to_le_bytes();
        header[60..64].copy_from_slice(&checksum);
        changed
    };
    let newer = refused(with(8, 2), "0A000");
    assert!(newer.fields().hint.as_deref().unwrap().contains("newer Tuplix"), "{newer:?}");
    let older = refused(with(8, 0), "0A000");
    assert!(older.fields().hint.as_deref().unwrap().contains("older Tuplix"), "{older:?}");
    let other = refused(with(16, 8), "55000");
    assert!(other.message().contains("belongs to node 0000000000000008"), "{other}");
}

#[test]
fn a_frame_stored_as_data_in_a_torn_frame_is_not_taken_for_a_later_epoch() {
    // A row that holds a piece of another log's file, in an epoch that was torn.
    let (other, _) = written();
    let stolen = other.file(&names(&other)[0]).unwrap().to_vec();
    let ledger = Ledger::default();
    let torn = Simulation::new(3, Faults::none()).run(|machine| {
        let (node, ..) = Node::open(&machine, 1, config(), false).unwrap();
        let lane = std::mem::replace(&mut node.bank.domains[0].lock().lane, node.log.lane(5));
        let mut lane = lane;
        let header = tuplix_log::RecordHeader { commit_ts: 1, ..Default::default() };
        let value = tuplix_types::Value::bytea(Arc::<[u8]>::from(stolen.as_slice()));
        lane.append(node.log.current_epoch(), &header, |record| record.insert(1, 0, 0, &[value])).unwrap();
        node.log.retire(lane);
        node.log.close().unwrap();
    });
    let mut disk = torn.disk;
    let name = names(&disk).remove(0);
    let file = disk.file_mut(&name).unwrap();
    let length = file.len();
    file.truncate(length - 3);
    let (state, report, _) = open(disk).unwrap();
    bank::check(&state, &ledger);
    assert_eq!(report.cut.unwrap().offset, 64);
}
