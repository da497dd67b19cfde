//! Checkpoints on a real disk: what was written comes back, and no flipped bit or cut goes unnoticed.

#![allow(clippy::unwrap_used, missing_docs)]

mod segments;

use std::sync::Arc;

use tuplix_checkpoint::{Header, Reader, Writer, file_name, list, remove, remove_unfinished};
use tuplix_machine::{Disk, Machine};
use tuplix_storage::{Fragment, FragmentSchema};
use tuplix_types::{Result, TypeId, Value, sqlstate};

const HEADER: Header = Header { node_id: 7, epoch: 42, last_commit: 99, created_us: 5, has_segments: false };

fn fragment(rows: i32) -> Fragment {
    let columns = vec![TypeId::INT4, TypeId::TEXT];
    let mut fragment = Fragment::new(&FragmentSchema { columns, ..FragmentSchema::default() });
    for number in 0..rows {
        fragment.insert(&[Value::Int4(number), Value::text(format!("row {number}"))]).unwrap();
    }
    fragment
}

/// A checkpoint of three fragments; the machine's seed makes its salt.
fn write(machine: &Machine, disk: &Arc<dyn Disk>, rows: i32) -> tuplix_checkpoint::Summary {
    let mut writer = Writer::create(machine, disk.clone(), HEADER).unwrap();
    writer.catalog(br#"{"what":"the engine's"}"#).unwrap();
    for (table, bucket) in [(16_384, 0), (16_384, 3), (16_390, 0)] {
        for chunk in fragment(rows).snapshot().into_chunks() {
            writer.chunk(table, bucket, 2, &chunk.view()).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn folder() -> (tempfile::TempDir, Machine, Arc<dyn Disk>) {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::linux_seeded(1);
    let disk = machine.disk(folder.path().to_str().unwrap());
    (folder, machine, disk)
}

fn verify(disk: &dyn Disk) -> Result<()> {
    Reader::open(disk, HEADER.epoch, Some(HEADER.node_id))?.verify()
}

#[test]
fn what_was_written_comes_back() {
    let (_folder, machine, disk) = folder();
    let summary = write(&machine, &disk, 30_000);
    assert_eq!(summary.rows, 90_000);
    assert_eq!(list(&*disk).unwrap(), [42]);
    let reader = Reader::open(&*disk, 42, None).unwrap();
    assert_eq!((reader.header(), reader.bytes(), reader.rows()), (&HEADER, summary.bytes, 90_000));
    assert_eq!(reader.catalog().unwrap(), br#"{"what":"the engine's"}"#);
    let fragments = reader.fragments().unwrap();
    let places: Vec<_> = fragments.iter().map(|fragment| (fragment.table, fragment.bucket)).collect();
    assert_eq!(places, [(16_384, 0), (16_384, 3), (16_390, 0)]);
    assert!(fragments[0].blocks.len() > 1, "a large fragment has several blocks");
    let mut loaded = fragment(0);
    for block in &fragments[1].blocks {
        let mut add = |chunk| loaded.load_chunk(chunk).map_err(|bad| bad.to_string());
        reader.chunks(block, &mut Vec::new(), &mut add).unwrap();
    }
    assert_eq!(loaded.row_count(), 30_000);
    reader.verify().unwrap();
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let (folder, machine, disk) = folder();
    write(&machine, &disk, 12);
    verify(&*disk).unwrap();
    let path = folder.path().join(file_name(42));
    let intact = std::fs::read(&path).unwrap();
    for bit in 0..intact.len() * 8 {
        let mut damaged = intact.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &damaged).unwrap();
        let error = verify(&*disk).expect_err(&format!("bit {bit}"));
        assert_eq!(error.sqlstate(), sqlstate::DATA_CORRUPTED, "bit {bit}: {error}");
        assert!(error.message().contains(" at byte "), "{error}");
    }
    for end in 0..intact.len() {
        std::fs::write(&path, &intact[..end]).unwrap();
        assert!(verify(&*disk).is_err(), "cut at {end}");
    }
}

/// Blocks of the same file in each other's place have the right checksums, and numbers that are wrong.
#[test]
fn blocks_in_another_order_are_noticed() {
    let (folder, machine, disk) = folder();
    write(&machine, &disk, 12);
    let path = folder.path().join(file_name(42));
    let mut bytes = std::fs::read(&path).unwrap();
    let starts: Vec<usize> = (0..bytes.len() - 4).filter(|at| &bytes[*at..*at + 4] == b"BLCK").collect();
    assert_eq!(starts.len(), 5);
    let (second, third) = (bytes[starts[1]..starts[2]].to_vec(), bytes[starts[2]..starts[3]].to_vec());
    assert_eq!(second.len(), third.len());
    bytes[starts[1]..starts[2]].copy_from_slice(&third);
    bytes[starts[2]..starts[3]].copy_from_slice(&second);
    std::fs::write(&path, &bytes).unwrap();
    assert!(verify(&*disk).unwrap_err().message().contains("lies where block 1 should be"));
}

#[test]
fn checkpoints_of_others_are_refused() {
    let (folder, machine, disk) = folder();
    write(&machine, &disk, 1);
    let error = Reader::open(&*disk, 42, Some(8)).unwrap_err();
    assert_eq!(error.sqlstate(), sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE);
    std::fs::rename(folder.path().join(file_name(42)), folder.path().join(file_name(43))).unwrap();
    assert!(Reader::open(&*disk, 43, None).unwrap_err().message().contains("does not fit its epoch 42"));
    remove(&*disk, &[43]).unwrap();
    assert_eq!(list(&*disk).unwrap(), Vec::<u64>::new());
}

#[test]
fn an_unfinished_one_is_none() {
    let (_folder, machine, disk) = folder();
    let mut writer = Writer::create(&machine, disk.clone(), HEADER).unwrap();
    writer.catalog(b"{}").unwrap();
    drop(writer);
    assert_eq!(list(&*disk).unwrap(), Vec::<u64>::new());
    assert_eq!(remove_unfinished(&*disk).unwrap(), 1);
    assert_eq!(disk.list("").unwrap(), Vec::<String>::new());
    assert_eq!(remove_unfinished(&*disk).unwrap(), 0);
}
