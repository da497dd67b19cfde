//! A backup of a node that works and restores of it, cut short at every single disk operation: by a power failure, by an error, by a full
//! disk. The node loses nothing, what says that it succeeded is whole, and a restore that did not succeed leaves no data directory.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tuplix::{Durability, Machine, Options, Result, SqlError, Tuplix, sqlstate};
use tuplix_backup::{
    Scope, Until, backup_to_directory, backup_to_tar, restore_directory, restore_tar, verify,
};
use tuplix_machine::{DiskImage, Faults, Simulation};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Rows that are there before the backup begins.
const BEFORE: i64 = 12;

/// What is known outside of the machine.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Rows 1 to this one were acknowledged, and the next may be there.
    acknowledged: i64,
    /// Directories whose backup or restore said that it is done.
    done: BTreeSet<&'static str>,
    errors: Vec<SqlError>,
}

type Shared = Arc<Mutex<Known>>;

fn open(machine: &Machine, dir: &str) -> Result<Tuplix> {
    Tuplix::open_with(&Options {
        dir: Some(dir.into()),
        partitions: 2,
        buckets: 4,
        log_segment_bytes: 2 << 10,
        durability: Durability {
            checkpoint_log_bytes: 0,
            log_retention_us: i64::MAX / 2,
            ..Durability::default()
        },
        machine: Some(machine.clone()),
        ..Options::default()
    })
}

fn insert(node: &Tuplix, id: i64) -> Result<()> {
    let mut session = node.session(&Default::default())?;
    session.execute(&format!("INSERT INTO t VALUES ({id}, repeat('x', 200))")).map(drop)
}

/// A data directory with two checkpoints and log between and after them.
fn image() -> DiskImage {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        let node = open(&machine, "data").unwrap();
        let mut session = node.session(&Default::default()).unwrap();
        session.execute("CREATE TABLE t (a bigint PRIMARY KEY, b text)").unwrap();
        for id in 1..=BEFORE {
            insert(&node, id).unwrap();
            if id % 5 == 0 {
                node.checkpoint().unwrap();
            }
        }
        drop(session);
        node.close().unwrap();
    });
    outcome.disk
}

/// Backups of the node while it writes, and restores of them. An error ends only what it hits.
fn work(machine: &Machine, known: &Shared) -> Result<()> {
    let node = open(machine, "data")?;
    let disk = |folder: &str| machine.disk(folder);
    let note = |what: &'static str, outcome: Result<()>| {
        let mut known = known.lock().unwrap();
        match outcome {
            Ok(()) => drop(known.done.insert(what)),
            Err(error) => known.errors.push(error),
        }
    };
    let write = |id: i64| -> Result<()> {
        insert(&node, id)?;
        known.lock().unwrap().acknowledged = id;
        Ok(())
    };
    write(BEFORE + 1)?;
    let from = disk("data");
    let backed_up = backup_to_directory(machine, &from, disk("backup"), Scope::Newest);
    note("backup", backed_up.map(drop));
    write(BEFORE + 2)?;
    let mut tar = Vec::new();
    let streamed = backup_to_tar(machine, &from, &mut tar, Scope::Kept).map(drop);
    let is_whole = streamed.is_ok();
    note("tar", streamed);
    write(BEFORE + 3)?;
    if known.lock().unwrap().done.contains("backup") {
        let restored = restore_directory(machine, &disk("backup"), &disk("restored"), Until::End);
        note("restored", restored.map(drop));
    }
    if is_whole {
        let restored = restore_tar(machine, &tar[..], &disk("streamed"), Until::End);
        note("streamed", restored.map(drop));
    }
    // The history of the data directory itself, to the moment before the last row.
    let moment = Until::Epoch(node.durable_epoch() - 1);
    note("moment", restore_directory(machine, &from, &disk("moment"), moment).map(drop));
    note("verify", verify(machine, &from).and_then(|verified| found(&verified.findings)));
    node.checkpoint()?;
    node.close()
}

/// What cannot be read is found by name; nothing that is intact is called damaged.
fn found(findings: &[String]) -> Result<()> {
    match findings {
        [] => Ok(()),
        [one] if one.contains("(os error 5)") => Err(SqlError::new(sqlstate::IO_ERROR, one.clone())),
        [one] if one.contains("(os error 28)") => Err(SqlError::new(sqlstate::DISK_FULL, one.clone())),
        more => Err(SqlError::internal(format!("intact files are called damaged: {more:?}"))),
    }
}

/// The ids in a data directory, which have to be 1, 2, 3 and so on: how many there are.
fn rows(machine: &Machine, dir: &str) -> i64 {
    let node = open(machine, dir).unwrap_or_else(|error| panic!("{dir}: {error:?}"));
    assert_eq!(node.recovery_report().damaged, Vec::<String>::new(), "{dir}");
    let mut session = node.session(&Default::default()).unwrap();
    let found = session.query("SELECT count(*), max(a) FROM t", &[]).unwrap();
    let value = |column| found.get(0, column).unwrap().as_i64().unwrap();
    assert_eq!(value(0), value(1), "{dir}: rows are missing in between");
    value(0)
}

/// Opens all that is left and compares it with what is known.
fn judge(what: &str, disk: DiskImage, known: &Known) {
    let told = known.clone();
    let outcome = Simulation::new(2, Faults::none()).with_disk(disk).run(move |machine| {
        let data = rows(&machine, "data");
        assert!(data >= told.acknowledged.max(BEFORE) && data <= BEFORE + 3, "data: {data} of {told:?}");
        for (dir, least) in [("restored", 1), ("streamed", 2), ("moment", 2)] {
            let is_there = machine.disk(dir).exists("node.json").unwrap();
            assert!(is_there || !told.done.contains(dir), "{dir} was restored and is none");
            if is_there {
                let found = rows(&machine, dir);
                assert!(found >= BEFORE + least && found <= BEFORE + 3, "{dir}: {found} rows");
            }
        }
        if told.done.contains("backup") {
            let (from, to) = (machine.disk("backup"), machine.disk("again"));
            restore_directory(&machine, &from, &to, Until::End).unwrap();
            assert!(rows(&machine, "again") > BEFORE);
        }
        machine.disk("data").list("checkpoint").unwrap()
    });
    let checkpoints = outcome.value.unwrap_or_else(|| panic!("{what}: the machine ended"));
    assert!(checkpoints.iter().all(|name| !name.ends_with(".new")), "{what}: {checkpoints:?}");
}

/// Runs the work with one fault after the other until none fires: how often one did, and what errors there were.
fn sweep(what: &str, faults: impl Fn(u64) -> Faults) -> (u64, Vec<SqlError>) {
    let image = image();
    let mut errors = Vec::new();
    for io in 1.. {
        let known = Shared::default();
        let inside = known.clone();
        let run = move |machine: Machine| {
            if let Err(error) = work(&machine, &inside) {
                inside.lock().unwrap().errors.push(error);
            }
        };
        let outcome = Simulation::new(io, faults(io)).with_disk(image.clone()).run(run);
        let known = known.lock().unwrap().clone();
        let went_through = !outcome.crashed() && outcome.faults_fired == 0;
        judge(&format!("{what} at disk operation {io}"), outcome.disk, &known);
        if went_through {
            assert!(known.errors.is_empty() && known.done.len() == 6, "{known:?}");
            return (io - 1, errors);
        }
        errors.extend(known.errors);
    }
    unreachable!("the work has an end");
}

#[test]
fn the_power_fails_at_every_disk_operation_of_backups_and_restores() {
    for (what, reorder) in [("power", false), ("power, torn", true)] {
        let (hit, _) = sweep(what, |io| Faults { crash_at_io: Some(io), reorder, ..Faults::none() });
        assert!(hit > 250, "{what}: only {hit} operations");
    }
}

#[test]
fn every_disk_operation_of_backups_and_restores_fails_once() {
    for (errno, state) in [(EIO, "58030"), (ENOSPC, "53100")] {
        let (hit, errors) =
            sweep(&format!("error {errno}"), |io| Faults { fail_io: Some(io), errno, ..Faults::none() });
        assert!(hit > 250 && errors.len() > 200, "error {errno}: {hit} operations, {} errors", errors.len());
        // The disk's own error, with operation and file; no guess of damage or of what is missing.
        let others: Vec<&SqlError> =
            errors.iter().filter(|error| error.sqlstate().to_string() != state).collect();
        assert!(others.is_empty(), "error {errno}: {others:#?}");
    }
}
