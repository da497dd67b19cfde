//! Every file on every backend.
#![allow(clippy::unwrap_used)]

use tuplix_slt::backend::{Backend, Host};
use tuplix_slt::known::Known;

fn failures(backend: Backend) -> Vec<tuplix_slt::Failure> {
    let host = Host::start(backend).unwrap();
    let files = tuplix_slt::files().unwrap();
    assert!(!files.is_empty());
    files.iter().flat_map(|file| tuplix_slt::run_file(&host, file).unwrap()).collect()
}

fn check(backend: Backend) {
    let known = Known::read(&tuplix_slt::known_failures_path(), backend).unwrap();
    let report = known.check(&failures(backend));
    assert!(report.is_empty(), "{report}");
}

#[test]
fn postgres() {
    let report = Known::default().check(&failures(Backend::Postgres));
    assert!(report.is_empty(), "{report}");
}

#[test]
fn engine() {
    check(Backend::Engine);
}

#[test]
fn wire() {
    check(Backend::Wire);
}
