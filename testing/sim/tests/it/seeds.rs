//! 40 seeds, each run twice with equal bytes. `tuplix-sim --seed N --trace` replays one that fails.

use tuplix_sim::run::{ROUNDS, Report, check_seed};

const SEEDS: u64 = 40;
const GROUPS: u64 = 4;

#[test]
fn forty_seeds_twice() {
    let group =
        |group: u64| (0..SEEDS).filter(move |seed| seed % GROUPS == group).map(one).collect::<Vec<_>>();
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let groups: Vec<_> = (0..GROUPS).map(|index| scope.spawn(move || group(index))).collect();
        groups.into_iter().flat_map(|group| group.join().unwrap()).collect()
    });
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    let (committed, unknown) = (sum(|report| report.committed), sum(|report| report.unknown));
    let (crashes, faults, cuts) =
        (sum(|report| report.crashes), sum(|report| report.faults), sum(|report| report.cuts));
    let checkpoints = sum(|report| report.checkpoints);
    let segments = sum(|report| report.segments);
    // A suite in which nothing goes wrong on the disk shows nothing.
    assert!(
        committed > 4000
            && crashes > 80
            && faults > 10
            && cuts > 0
            && unknown > 80
            && checkpoints > 80
            && segments > 80,
        "{committed} committed, {crashes} crashes, {faults} faults, {cuts} torn tails, {unknown} unknown, \
         {checkpoints} checkpoints read, {segments} segments of history"
    );
}

fn one(seed: u64) -> Report {
    check_seed(seed, ROUNDS, 60).unwrap_or_else(|failure| panic!("{failure}"))
}
