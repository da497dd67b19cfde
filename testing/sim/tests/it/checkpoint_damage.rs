//! Damaged checkpoints: flipped bits, sectors that are lost or lie elsewhere, files cut short. The one before it and the log since then give
//! the same rows; when they cannot, the start ends and says why.

use tuplix::{Durability, Machine, Options, Result, SqlError, Tuplix, sqlstate};
use tuplix_machine::{DiskImage, Faults, Simulation};

fn open(machine: &Machine) -> Result<Tuplix> {
    Tuplix::open_with(&Options {
        dir: Some("data".into()),
        partitions: 2,
        buckets: 4,
        log_segment_bytes: 4 << 10,
        durability: Durability { checkpoint_log_bytes: 0, ..Durability::default() },
        machine: Some(machine.clone()),
        ..Options::default()
    })
}

/// A disk with two checkpoints and log after them, and how many rows there are.
fn image() -> (DiskImage, i64) {
    let outcome = Simulation::new(3, Faults::none()).run(|machine| {
        let node = open(&machine).unwrap();
        let mut session = node.session(&Default::default()).unwrap();
        session
            .execute(
                "CREATE TABLE t (p int, a int, b text, c numeric, PRIMARY KEY (p, a));
                 SELECT create_distributed_table('t', 'p')",
            )
            .unwrap();
        for round in 0..4 {
            let rows = format!(
                "INSERT INTO t SELECT i, {round}, repeat('b', i * 10), i / 3.0 FROM generate_series(1, 20) i"
            );
            session.execute(&rows).unwrap();
            if round < 3 {
                node.checkpoint().unwrap();
            }
        }
    });
    (outcome.disk, 80)
}

/// Paths of the checkpoints, the oldest first.
fn checkpoints(disk: &DiskImage) -> Vec<String> {
    let paths = disk.paths().into_iter().filter(|path| path.contains("/checkpoint/"));
    paths.map(str::to_owned).collect()
}

/// Opens the disk: rows and what was said of damage, or the error.
fn recover(disk: DiskImage) -> Result<(i64, Vec<String>)> {
    let outcome = Simulation::new(4, Faults::none()).with_disk(disk).run(|machine| {
        let node = open(&machine)?;
        let mut session = node.session(&Default::default())?;
        let rows = session.query("SELECT count(*), sum(length(b)) FROM t", &[])?;
        let damaged = node.recovery_report().damaged;
        Ok::<_, SqlError>((rows.get(0, 0).unwrap().as_i64().unwrap(), damaged))
    });
    outcome.value.unwrap()
}

#[test]
fn two_are_kept_and_the_log_after_the_older() {
    let (disk, rows) = image();
    assert_eq!(checkpoints(&disk).len(), 2);
    assert_eq!(recover(disk.clone()).unwrap(), (rows, vec![]));
    let first_segment = disk.paths().into_iter().find(|path| path.contains("/log/")).unwrap().to_owned();
    assert!(!first_segment.ends_with("00000000000000000001.log"), "the log before is gone: {first_segment}");
}

/// Damages the newest checkpoint in many ways; each time the older one must do.
#[test]
fn the_older_one_does_when_the_newest_is_damaged() {
    let (disk, rows) = image();
    let newest = checkpoints(&disk).pop().unwrap();
    let length = disk.file(&newest).unwrap().len();
    let mut damages: Vec<(String, DiskImage)> = Vec::new();
    let mut damage = |what: String, change: &dyn Fn(&mut Vec<u8>)| {
        let mut damaged = disk.clone();
        change(damaged.file_mut(&newest).unwrap());
        if damaged.file(&newest) != disk.file(&newest) {
            damages.push((what, damaged));
        }
    };
    for bit in (0..length * 8).step_by(211) {
        damage(format!("bit {bit} flipped"), &|bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    }
    for end in (0..length).step_by(331).chain([length - 1]) {
        damage(format!("cut at {end}"), &|bytes| bytes.truncate(end));
    }
    damage("bytes at the end".to_owned(), &|bytes| bytes.push(0));
    for sector in 0..length / 512 {
        let place = sector * 512..(sector + 1) * 512;
        damage(format!("sector {sector} lost"), &|bytes| bytes[place.clone()].fill(0));
        let other = (sector + 1) % (length / 512);
        let misdirected = format!("sector {sector} holds that of sector {other}");
        damage(misdirected, &|bytes| bytes.copy_within(other * 512..(other + 1) * 512, sector * 512));
    }
    assert!(damages.len() > 150, "{}", damages.len());
    for (what, damaged) in damages {
        let (found, said) = recover(damaged).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(found, rows, "{what}");
        assert!(said.len() == 1 && said[0].contains("damaged at byte"), "{what}: {said:?}");
    }
}

#[test]
fn without_an_intact_one_the_start_ends() {
    let (mut disk, _) = image();
    for path in checkpoints(&disk) {
        let bytes = disk.file_mut(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
    }
    let before = disk.clone();
    let error = recover(disk.clone()).unwrap_err();
    assert_eq!(error.sqlstate(), sqlstate::DATA_CORRUPTED);
    let fields = error.fields();
    assert!(fields.detail.as_ref().unwrap().contains("newest checkpoint could not be used"), "{error:?}");
    assert!(fields.hint.as_ref().unwrap().contains("tuplix restore"), "{error:?}");
    // Nothing was changed: with one of them put right everything is there.
    let oldest = checkpoints(&disk).remove(0);
    disk = before;
    let bytes = disk.file_mut(&oldest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    assert_eq!(recover(disk).unwrap().0, 80);
}

#[test]
fn a_log_that_is_missing_is_said() {
    let (disk, _) = image();
    let segments: Vec<String> =
        disk.paths().into_iter().filter(|path| path.contains("/log/")).map(str::to_owned).collect();
    let mut without = disk.clone();
    segments.iter().for_each(|path| drop(without.remove(path)));
    let error = recover(without).unwrap_err();
    assert!(error.message().contains("the log is missing"), "{error:?}");
    // One in the middle.
    let mut gap = disk;
    gap.remove(&segments[segments.len() - 2]);
    match recover(gap) {
        Ok((rows, _)) => assert_eq!(rows, 80, "the checkpoint has that segment's rows"),
        Err(error) => assert_eq!(error.sqlstate(), sqlstate::DATA_CORRUPTED),
    }
}

/// A format that this program does not know is no damage: nothing older is used in its place.
#[test]
fn another_format_is_refused() {
    let (mut disk, _) = image();
    let newest = checkpoints(&disk).pop().unwrap();
    let bytes = disk.file_mut(&newest).unwrap();
    bytes[8] = 9;
    let checksum = crc32c(&bytes[..60]).to_le_bytes();
    bytes[60..64].copy_from_slice(&checksum);
    let error = recover(disk).unwrap_err();
    assert_eq!(error.sqlstate(), sqlstate::FEATURE_NOT_SUPPORTED);
    assert!(error.message().contains("format version 9"), "{error:?}");
}

/// Castagnoli's, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}
