//! Backups of a node that works, and data directories made of them: whole, to a moment, and refused when damaged.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tuplix::{Durability, Options, Session, Tuplix, sqlstate};
use tuplix_backup::{
    MANIFEST, Scope, Until, backup_to_directory, backup_to_tar, restore_directory, restore_tar, verify,
};
use tuplix_machine::{Disk, Machine};

fn options(directory: &Path) -> Options {
    Options {
        dir: Some(directory.to_owned()),
        partitions: 2,
        buckets: 4,
        log_segment_bytes: 32 << 10,
        durability: Durability {
            checkpoint_log_bytes: 20_000,
            log_retention_us: 3_600_000_000,
            spool_chunks: 1,
            ..Durability::default()
        },
        ..Options::default()
    }
}

fn disk(folder: &Path) -> Arc<dyn Disk> {
    Machine::linux().disk(folder.to_str().unwrap())
}

fn session(node: &Tuplix) -> Session {
    node.session(&Default::default()).unwrap()
}

/// Count and largest id, which are equal: rows come one after the other.
fn rows(directory: &Path) -> i64 {
    let node = Tuplix::open_with(&options(directory)).unwrap();
    assert!(node.recovery_report().damaged.is_empty());
    let mut session = session(&node);
    let rows = session.query("SELECT count(*), coalesce(max(a), 0) FROM t", &[]).unwrap();
    let value = |column| rows.get(0, column).unwrap().as_i64().unwrap();
    assert_eq!(value(0), value(1), "rows are missing in between");
    let spooled = "SELECT count(*) FROM pg_class WHERE relname = 'h'";
    if session.query(spooled, &[]).unwrap().get(0, 0).unwrap().as_i64() == Some(1) {
        let history = session.query("SELECT count(*), coalesce(max(a), 0) FROM h", &[]).unwrap();
        assert_eq!(history.get(0, 0), history.get(0, 1), "history is missing");
    }
    value(0)
}

/// Inserts rows one by one until told to stop; `acknowledged` is the last of them.
fn writer(
    node: &Tuplix,
    stop: &Arc<AtomicBool>,
    acknowledged: &Arc<AtomicI64>,
) -> tuplix_machine::JoinHandle<()> {
    let (mut session, stop, acknowledged) = (session(node), stop.clone(), acknowledged.clone());
    Machine::linux().spawn("writer", move || {
        for id in 1.. {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            session.execute(&format!("INSERT INTO t VALUES ({id}, repeat('x', 200))")).unwrap();
            acknowledged.store(id, Ordering::SeqCst);
        }
    })
}

#[test]
fn a_backup_of_a_working_node_has_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Tuplix::open_with(&options(&data)).unwrap();
    session(&node)
        .execute(
            "CREATE TABLE t (a bigint PRIMARY KEY, b text);
             CREATE TABLE h (a bigint, b text); SELECT spool_table('h')",
        )
        .unwrap();
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let writer = writer(&node, &stop, &acknowledged);
    for round in 0..6 {
        let scope = if round % 2 == 0 { Scope::Newest } else { Scope::Kept };
        let wanted = acknowledged.load(Ordering::SeqCst) + 40;
        let more = "INSERT INTO h SELECT n + i, 'history' FROM (SELECT count(*) FROM h) c(n), generate_series(1, 600) i";
        session(&node).execute(more).unwrap();
        while acknowledged.load(Ordering::SeqCst) < wanted {
            std::thread::yield_now();
        }
        let before = acknowledged.load(Ordering::SeqCst);
        let restored = folder.path().join(format!("restored-{round}"));
        std::fs::create_dir(&restored).unwrap();
        if round < 3 {
            let backup = folder.path().join(format!("backup-{round}"));
            std::fs::create_dir(&backup).unwrap();
            backup_to_directory(&Machine::linux(), &disk(&data), disk(&backup), scope).unwrap();
            restore_directory(&Machine::linux(), &disk(&backup), &disk(&restored), Until::End).unwrap();
        } else {
            let mut tar = Vec::new();
            backup_to_tar(&Machine::linux(), &disk(&data), &mut tar, scope).unwrap();
            restore_tar(&Machine::linux(), &tar[..], &disk(&restored), Until::End).unwrap();
        }
        let after = acknowledged.load(Ordering::SeqCst) + 1;
        let found = rows(&restored);
        assert!((before..=after).contains(&found), "{found} rows of {before} to {after}");
        let verified = verify(&Machine::linux(), &disk(&data)).unwrap();
        assert_eq!(verified.findings, Vec::<String>::new());
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    node.close().unwrap();
}

#[test]
fn a_restore_goes_to_any_moment_of_the_kept_log() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut moments = Vec::new();
    {
        let node = Tuplix::open_with(&options(&data)).unwrap();
        let mut session = session(&node);
        session.execute("CREATE TABLE t (a bigint PRIMARY KEY, b text)").unwrap();
        for id in 1..=120 {
            session.execute(&format!("INSERT INTO t VALUES ({id}, repeat('y', 300))")).unwrap();
            if id % 40 == 0 {
                node.checkpoint().unwrap();
            }
            // The row's epoch is on disk, and the next one's is a later one.
            moments.push((id, node.durable_epoch(), Machine::linux().now_us()));
        }
        node.close().unwrap();
    }
    let machine = Machine::linux();
    for (number, (id, epoch, us)) in moments.iter().step_by(13).enumerate() {
        let until = if number % 2 == 0 { Until::Epoch(*epoch) } else { Until::Time(*us) };
        let restored = folder.path().join(format!("to-{number}"));
        std::fs::create_dir(&restored).unwrap();
        let done = restore_directory(&machine, &disk(&data), &disk(&restored), until)
            .unwrap_or_else(|error| panic!("{until:?}: {error:?}"));
        assert!(done.epoch <= *epoch);
        assert_eq!(rows(&restored), *id, "{until:?}");
        // The new directory lives on.
        let node = Tuplix::open_with(&options(&restored)).unwrap();
        session(&node).execute(&format!("INSERT INTO t VALUES ({})", id + 1)).unwrap();
        node.checkpoint().unwrap();
        node.close().unwrap();
        drop(node);
        assert_eq!(rows(&restored), id + 1);
    }
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    for until in [Until::Epoch(u64::MAX), Until::Time(machine.now_us() + 1_000_000)] {
        let error = restore_directory(&machine, &disk(&data), &disk(&outside), until).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate::INVALID_PARAMETER_VALUE);
        assert!(error.fields().detail.as_ref().unwrap().contains("It reaches from"), "{error:?}");
        std::fs::remove_dir_all(&outside).unwrap();
        std::fs::create_dir(&outside).unwrap();
    }
}

/// A stopped node's directory and a backup of it as a tar stream.
fn stopped(folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let data = folder.join("data");
    let node = Tuplix::open_with(&options(&data)).unwrap();
    let mut session = session(&node);
    session.execute("CREATE TABLE t (a bigint PRIMARY KEY, b text)").unwrap();
    for id in 1..=30 {
        session.execute(&format!("INSERT INTO t VALUES ({id}, 'x')")).unwrap();
        if id == 20 {
            node.checkpoint().unwrap();
        }
    }
    drop(session);
    node.close().unwrap();
    let mut tar = Vec::new();
    backup_to_tar(&Machine::linux(), &disk(&data), &mut tar, Scope::Newest).unwrap();
    (data, tar)
}

fn restored(folder: &Path, name: &str) -> std::path::PathBuf {
    let to = folder.join(name);
    std::fs::create_dir(&to).unwrap();
    to
}

#[test]
fn what_is_damaged_or_cut_short_is_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    let (data, tar) = stopped(folder.path());
    let machine = Machine::linux();
    let good = restored(folder.path(), "good");
    restore_tar(&machine, &tar[..], &disk(&good), Until::End).unwrap();
    assert_eq!(rows(&good), 30);
    for number in 0..60 {
        let to = restored(folder.path(), &format!("cut-{number}"));
        // Behind the manifest there are only zeros.
        let end = (tar.len() - 2048) * number / 60;
        assert!(restore_tar(&machine, &tar[..end], &disk(&to), Until::End).is_err(), "cut at {end}");
        assert!(!to.join("node.json").exists());
    }
    let backup = restored(folder.path(), "backup");
    backup_to_directory(&machine, &disk(&data), disk(&backup), Scope::Newest).unwrap();
    let files: Vec<_> = ["node.json", "log", "checkpoint"]
        .iter()
        .flat_map(|name| {
            let path = backup.join(name);
            match path.is_dir() {
                true => std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect(),
                false => vec![path],
            }
        })
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for (number, file) in files.iter().enumerate() {
        let intact = std::fs::read(file).unwrap();
        let mut bytes = intact.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file, &bytes).unwrap();
        let to = restored(folder.path(), &format!("flipped-{number}"));
        let error = restore_directory(&machine, &disk(&backup), &disk(&to), Until::End).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate::DATA_CORRUPTED, "{error:?}");
        assert!(!to.join("node.json").exists());
        std::fs::write(file, &intact).unwrap();
    }
    std::fs::remove_file(backup.join(MANIFEST)).unwrap();
    let to = restored(folder.path(), "without");
    restore_directory(&machine, &disk(&backup), &disk(&to), Until::End).unwrap();
    assert_eq!(rows(&to), 30, "without its manifest it is a data directory");
}

#[test]
fn a_directory_with_something_in_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, tar) = stopped(folder.path());
    let machine = Machine::linux();
    let to = restored(folder.path(), "taken");
    std::fs::write(to.join("letter.txt"), "mine").unwrap();
    for error in [
        restore_tar(&machine, &tar[..], &disk(&to), Until::End).unwrap_err(),
        restore_directory(&machine, &disk(&data), &disk(&to), Until::End).unwrap_err(),
        backup_to_directory(&machine, &disk(&data), disk(&to), Scope::Newest).unwrap_err(),
    ] {
        assert!(error.message().contains("is not empty: it has \"letter.txt\""), "{error:?}");
    }
    let nothing = restored(folder.path(), "nothing");
    let other = restored(folder.path(), "other");
    let error = restore_directory(&machine, &disk(&nothing), &disk(&other), Until::End).unwrap_err();
    assert!(error.message().contains("is no data directory"), "{error:?}");
    let evil = tar_with("../outside", b"x");
    let error = restore_tar(&machine, &evil[..], &disk(&other), Until::End).unwrap_err();
    assert!(error.message().contains("is no backup"), "{error:?}");
}

/// A tar stream with one file, its path as it is.
fn tar_with(path: &str, content: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..108].copy_from_slice(b"0000600\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[148..156].fill(b' ');
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = block.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
    bytes
}
