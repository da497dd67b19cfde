//! A few hundred cases of each fuzz target; `make fuzz` runs them for longer.

use tuplix_sim::fuzz::{Target, run};

#[test]
fn changed_files_do_not_panic() {
    for target in [Target::Log, Target::Checkpoint, Target::Segment] {
        let summary = run(target, 0, |summary| summary.cases < 300).unwrap();
        assert!(summary.accepted < summary.cases / 2, "{target:?}: too little was noticed in {summary:?}");
    }
}

#[test]
fn mixed_sql_does_not_panic() {
    run(Target::Sql, 0, |summary| summary.cases < 40).unwrap();
}
