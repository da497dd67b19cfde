//! Segments of the log, checkpoints and segments of history.

use std::path::Path;
use std::sync::LazyLock;

use tuplix_checkpoint::{Reader, Segment, SegmentName};
use tuplix_log::{dump, scan_segment, segment_name};
use tuplix_machine::{DiskImage, Faults, Machine, Simulation};
use tuplix_sim::fixture::{self, Fixture};
use tuplix_sim::fuzz::{mend_checkpoint, mend_log, mend_segment, paths_in, refer};

use crate::expected;

/// A data directory to put the changed file into.
static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/2");
    fixture::read(&folder).expect("the fixture")
});

/// A segment of the log.
pub fn log(bytes: &[u8]) {
    read_log(bytes);
    let mut mended = bytes.to_vec();
    mend_log(&mut mended);
    if mended != bytes && !read_log(&mended) {
        return;
    }
    let Some(first) = u64_at(&mended, 24) else { return };
    // Without checkpoints all of the log is replayed.
    let mut disk = FIXTURE.disk.clone();
    let checkpoints = paths_in(&disk, "/checkpoint/");
    checkpoints.iter().for_each(|path| drop(disk.remove(path)));
    disk.insert(&format!("{}/log/{}", fixture::DATA, segment_name(first)), mended);
    open(disk);
}

/// Reads a segment as dumps, backups and starts do; whether all of it was read.
fn read_log(bytes: &[u8]) -> bool {
    if let Err(error) = scan_segment(bytes, "segment") {
        expected("scan", &error);
    }
    let (first, previous) = (u64_at(bytes, 24).unwrap_or(1), u64_at(bytes, 32).unwrap_or(0));
    let mut disk = DiskImage::default();
    disk.insert(&format!("log/{}", segment_name(first)), bytes.to_vec());
    run(disk, move |machine| match dump(machine.disk("log"), previous, &mut |_| Ok(())) {
        Ok(()) => true,
        Err(error) => {
            expected("dump", &error);
            false
        }
    })
}

/// A checkpoint.
pub fn checkpoint(bytes: &[u8]) {
    read_checkpoint(bytes);
    let mut mended = bytes.to_vec();
    mend_checkpoint(&mut mended);
    if mended != bytes && !read_checkpoint(&mended) {
        return;
    }
    let Some(newest) = paths_in(&FIXTURE.disk, "/checkpoint/").pop() else { return };
    let mut disk = FIXTURE.disk.clone();
    disk.insert(&newest, mended);
    open(disk);
}

/// Reads a checkpoint as checks, backups and starts do; whether all of it was read.
fn read_checkpoint(bytes: &[u8]) -> bool {
    let epoch = u64_at(bytes, 24).unwrap_or(0);
    let mut disk = DiskImage::default();
    disk.insert(&format!("checkpoint/{}", tuplix_checkpoint::file_name(epoch)), bytes.to_vec());
    run(disk, move |machine| {
        let read = || {
            let reader = Reader::open(&*machine.disk("checkpoint"), epoch, None)?;
            reader.verify()?;
            reader.catalog()?;
            let (mut rows, mut payload) = (0, Vec::new());
            for fragment in reader.fragments()? {
                for block in &fragment.blocks {
                    reader.chunks(block, &mut payload, &mut |chunk| {
                        rows += chunk.live.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
                        Ok(())
                    })?;
                }
            }
            reader.check_rows(rows)
        };
        let read = read();
        if let Err(error) = &read {
            expected("checkpoint", error);
        }
        read.is_ok()
    })
}

/// A segment of history.
pub fn segment(bytes: &[u8]) {
    read_segment(bytes);
    let mut mended = bytes.to_vec();
    mend_segment(&mut mended);
    if mended != bytes && !read_segment(&mended) {
        return;
    }
    // In place of the one of its table, to which the checkpoints then refer.
    let Some(table) = u32_at(&mended, 32) else { return };
    let of_table = format!("/history/{table:010}-");
    for path in paths_in(&FIXTURE.disk, &of_table) {
        let Some(epoch) = FIXTURE.disk.file(&path).and_then(|was| was.get(16..32)) else { continue };
        let mut renamed = mended.clone();
        renamed[16..32].copy_from_slice(epoch);
        mend_segment(&mut renamed);
        let mut disk = FIXTURE.disk.clone();
        disk.insert(&path, renamed);
        refer(&mut disk, &FIXTURE.disk, &path);
        open(disk);
    }
}

/// Reads a segment as checks do; whether all of it was read.
fn read_segment(bytes: &[u8]) -> bool {
    let (Some(node), Some(epoch), Some(table)) = (u64_at(bytes, 16), u64_at(bytes, 24), u32_at(bytes, 32))
    else {
        return false;
    };
    let name = SegmentName { table, epoch };
    let mut disk = DiskImage::default();
    disk.insert(&format!("history/{}", tuplix_checkpoint::segment_file_name(name)), bytes.to_vec());
    run(disk, move |machine| {
        let read = Segment::open(&*machine.disk("history"), name, node).and_then(|segment| segment.verify());
        if let Err(error) = &read {
            expected("segment", error);
        }
        read.is_ok()
    })
}

/// Starts a node on the disk, looks at all rows and closes it.
fn open(disk: DiskImage) {
    run(disk, |machine| {
        let work = || {
            let node = fixture::open(&machine)?;
            let mut session = node.session(&Default::default())?;
            let history = FIXTURE.look.iter().filter(|sql| sql.contains(" past") || sql.contains("visit"));
            for sql in FIXTURE.look.iter().take(9).chain(history) {
                if let Err(error) = session.execute(sql) {
                    expected(sql, &error);
                }
            }
            drop(session);
            node.checkpoint()?;
            node.close()
        };
        if let Err(error) = work() {
            expected("open", &error);
        }
    });
}

fn run<R: Send>(disk: DiskImage, body: impl FnOnce(Machine) -> R + Send) -> R {
    let faults = Faults { max_steps: 3_000_000, ..Faults::none() };
    let outcome = Simulation::new(1, faults).with_disk(disk).run(body);
    outcome.value.expect("the machine did not end")
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
