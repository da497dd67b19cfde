//! 40 seeds, each run twice with equal bytes. `tuplix-sim --seed N --trace` replays one that fails.

use tuplix_sim::run::{ROUNDS, check_seed};

/// Runs some of the seeds; the test harness runs the groups beside each other.
fn run(first: u64) {
    let (mut committed, mut crashes, mut faults, mut cuts, mut unknown) = (0, 0, 0, 0, 0);
    for seed in first..first + 10 {
        match check_seed(seed, ROUNDS, 60) {
            Ok(report) => {
                committed += report.committed;
                crashes += report.crashes;
                faults += report.faults;
                cuts += report.cuts;
                unknown += report.unknown;
            }
            Err(failure) => panic!("{failure}"),
        }
    }
    // A suite in which nothing goes wrong on the disk shows nothing.
    assert!(
        committed > 1000 && crashes > 20 && faults > 0 && cuts > 0 && unknown > 20,
        "{committed} {crashes} {faults} {cuts} {unknown}"
    );
}

#[test]
fn seeds_0_to_9() {
    run(0);
}

#[test]
fn seeds_10_to_19() {
    run(10);
}

#[test]
fn seeds_20_to_29() {
    run(20);
}

#[test]
fn seeds_30_to_39() {
    run(30);
}
