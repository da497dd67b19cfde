//! kill -9 of the real process, and a directory that somebody has.

use std::path::Path;

use tuplix::{Tuplix, sqlstate};
use tuplix_sim::kill::{Working, kill_rounds, prepare};

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tuplix-sim"))
}

#[test]
fn killed_at_20_random_points() {
    let directory = tempfile::tempdir().unwrap();
    let summary = kill_rounds(program(), directory.path(), 1, 20).unwrap();
    assert_eq!((summary.kills, summary.backups), (20, 10));
    assert!(summary.committed > 100 && summary.unknown > 10 && summary.checkpoints > 10, "{summary:?}");
}

#[test]
fn a_directory_in_use_says_by_whom() {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path()).unwrap();
    let working = Working::start(program(), directory.path(), 1, 1).unwrap();
    let error = Tuplix::open(directory.path()).unwrap_err();
    assert_eq!(error.sqlstate(), sqlstate::OBJECT_IN_USE);
    let detail = error.fields().detail.clone().unwrap();
    assert!(detail.contains(&working.process_id().to_string()), "{detail}");
    assert!(error.message().contains(directory.path().to_str().unwrap()), "{error}");
    working.kill_after(0).unwrap();
    Tuplix::open(directory.path()).unwrap().close().unwrap();
}
