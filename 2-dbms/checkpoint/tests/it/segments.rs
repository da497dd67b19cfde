//! Segments on a real disk: what was written comes back, and no flipped bit or cut goes unnoticed.

use std::sync::Arc;

use tuplix_checkpoint::{
    Header, OPEN_SEGMENTS_MAX, Part, Reader, SEGMENT_BLOCK_CHUNKS, Segment, SegmentFiles, SegmentHeader,
    SegmentName, SegmentRef, SegmentWriter, SpooledFragment, SpooledTable, Writer, list_segments,
    remove_unfinished_segments, segment_file_name,
};
use tuplix_machine::{Disk, Machine};
use tuplix_storage::SharedChunk;
use tuplix_types::{Result, TypeId, Value, sqlstate};

use super::{folder, fragment};

const NAME: SegmentName = SegmentName { table: 16_384, epoch: 42 };
const TYPES: [TypeId; 2] = [TypeId::INT4, TypeId::TEXT];

fn write(machine: &Machine, disk: &Arc<dyn Disk>, rows: i32) -> SegmentRef {
    write_as(NAME, machine, disk, rows)
}

fn write_as(name: SegmentName, machine: &Machine, disk: &Arc<dyn Disk>, rows: i32) -> SegmentRef {
    let header = SegmentHeader { node_id: 7, table: name.table, columns: 2, epoch: name.epoch };
    let mut writer = SegmentWriter::create(machine, disk.clone(), header).unwrap();
    for bucket in [0, 3] {
        let full: Vec<SharedChunk> = fragment(rows).snapshot().full_chunks().collect();
        for chunks in full.chunks(SEGMENT_BLOCK_CHUNKS) {
            writer.block(bucket, chunks).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn verify(disk: &dyn Disk) -> Result<()> {
    Segment::open(disk, NAME, 7)?.verify()
}

#[test]
fn what_was_written_comes_back() {
    let (_folder, machine, disk) = folder();
    let reference = write(&machine, &disk, 20_000);
    assert_eq!(list_segments(&*disk).unwrap(), [NAME]);
    let segment = Segment::open(&*disk, NAME, 7).unwrap();
    assert_eq!(segment.reference(), reference);
    assert_eq!(reference.rows, 2 * (20_000 / 512 * 512));
    assert!(segment.blocks().len() == 6 && segment.blocks()[5].bucket == 3);
    let block = segment.read(4).unwrap();
    let slots: Vec<u32> = (0..16).map(|chunk| 8192 + 512 * chunk).collect();
    assert_eq!(*segment.blocks()[4].slots, *slots);
    assert_eq!(segment.blocks()[4].bounds, [Some((8192, 16_383)), None].into());
    let chunks = segment.chunks(4, &block, &TYPES, &[true, true]).unwrap();
    let rows: Vec<_> = chunks.iter().flat_map(|chunk| chunk.view().rows().collect::<Vec<_>>()).collect();
    assert_eq!(rows.len(), 8192);
    for (number, (row, view)) in (8192..).zip(&rows) {
        assert_eq!((row.0, view.integer(0)), (number, Some(i64::from(number))));
        assert_eq!(view.text(1), Some(&*format!("row {number}")));
    }
    let chunks = segment.chunks(4, &block, &TYPES, &[true, false]).unwrap();
    assert_eq!(chunks[0].view().rows().next().unwrap().1.value(0), Value::Int4(8192));
    let error = segment.chunks(4, &block, &TYPES[..1], &[true]).unwrap_err();
    assert_eq!(error.sqlstate(), sqlstate::DATA_CORRUPTED);
    assert!(Segment::open(&*disk, NAME, 8).is_err(), "another node's");
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let (folder, machine, disk) = folder();
    write(&machine, &disk, 512);
    verify(&*disk).unwrap();
    let path = folder.path().join(segment_file_name(NAME));
    let intact = std::fs::read(&path).unwrap();
    for byte in 0..intact.len() {
        let mut damaged = intact.clone();
        damaged[byte] ^= 1 << (byte % 8);
        std::fs::write(&path, &damaged).unwrap();
        let error = verify(&*disk).expect_err(&format!("byte {byte}"));
        assert_eq!(error.sqlstate(), sqlstate::DATA_CORRUPTED, "byte {byte}: {error}");
        assert!(error.message().contains(" at byte "), "{error}");
    }
    for end in (0..intact.len()).step_by(7) {
        std::fs::write(&path, &intact[..end]).unwrap();
        assert!(verify(&*disk).is_err(), "cut at {end}");
    }
}

/// Files of the folder that this process has open.
fn open_files(folder: &std::path::Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter(|entry| {
        std::fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|to| to.starts_with(folder))
    })
    .count()
}

/// More segments than may be open at once, by several threads, all of them read again and again.
#[test]
fn few_files_are_open() {
    let (folder, machine, disk) = folder();
    let names: Vec<SegmentName> =
        (0..OPEN_SEGMENTS_MAX as u64 * 2).map(|epoch| SegmentName { epoch, ..NAME }).collect();
    for name in &names {
        write_as(*name, &machine, &disk, 512);
    }
    let files = SegmentFiles::new(&machine, disk.clone());
    let open = |name: &SegmentName| Segment::from_file(files.file(*name), *name, 7).unwrap();
    let segments: Vec<Segment> = names.iter().map(open).collect();
    assert!(open_files(folder.path()) <= OPEN_SEGMENTS_MAX);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope
                .spawn(|| (0..4).for_each(|_| segments.iter().for_each(|segment| segment.verify().unwrap())));
        }
    });
    assert!(open_files(folder.path()) <= OPEN_SEGMENTS_MAX);
    // One that cannot be read is asked for again, and one that is taken away does not stay open.
    let last = names[names.len() - 1];
    assert!(files.is_in_use(last));
    let path = folder.path().join(segment_file_name(last));
    let intact = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"").unwrap();
    assert!(segments[names.len() - 1].verify().is_err());
    files.close(last);
    std::fs::remove_file(&path).unwrap();
    assert!(segments[names.len() - 1].verify().is_err());
    std::fs::write(&path, intact).unwrap();
    segments[names.len() - 1].verify().unwrap();
    drop(segments);
    assert!(!files.is_in_use(last));
    names.iter().for_each(|name| files.remove(*name).unwrap());
    assert_eq!((open_files(folder.path()), list_segments(&*disk).unwrap()), (0, vec![]));
}

#[test]
fn an_unfinished_one_is_removed() {
    let (_folder, machine, disk) = folder();
    let header = SegmentHeader { node_id: 7, table: 1, columns: 2, epoch: 3 };
    let writer = SegmentWriter::create(&machine, disk.clone(), header).unwrap();
    drop(writer);
    assert_eq!(list_segments(&*disk).unwrap(), []);
    assert_eq!(disk.list("").unwrap().len(), 1);
    remove_unfinished_segments(&*disk).unwrap();
    assert_eq!(disk.list("").unwrap().len(), 0);
}

#[test]
fn a_checkpoint_refers_to_segments() {
    let (_folder, machine, disk) = folder();
    let header = Header { has_segments: true, ..super::HEADER };
    let mut writer = Writer::create(&machine, disk.clone(), header).unwrap();
    let spooled = SpooledTable {
        table: 16_384,
        segments: vec![SegmentRef { epoch: 40, bytes: 1, rows: 2, checksum: 3 }],
        fragments: vec![SpooledFragment {
            bucket: 5,
            next_slot: 1024,
            parts: vec![Part { epoch: 40, first: 0, blocks: 2 }],
        }],
    };
    writer.catalog(b"{}").unwrap();
    writer.segments(std::slice::from_ref(&spooled)).unwrap();
    for chunk in fragment(100).snapshot().into_chunks() {
        writer.chunk(16_384, 5, 2, &chunk.view()).unwrap();
    }
    writer.finish().unwrap();
    let reader = Reader::open(&*disk, 42, None).unwrap();
    assert_eq!((reader.header(), reader.rows()), (&header, 100));
    assert_eq!(reader.segments().unwrap(), [spooled]);
    assert_eq!(reader.fragments().unwrap().len(), 1);
    reader.verify().unwrap();
}
