//! Concurrent histories, replayed in their commit order and shown to adya: on threads of this computer and on simulated ones.
//! `tuplix-sim histories --minutes 10` does the same for longer.

use tuplix_sim::serial::anomalies::is_permitted;
use tuplix_sim::serial::run::{Levels, Settings, Summary, check, run, simulate};

fn settings(seed: u64, levels: Levels) -> Settings {
    Settings { seed, clients: 6, transactions: 1500, partitions: 3, levels, dir: None }
}

/// A history in which nobody was in anybody's way shows nothing.
#[track_caller]
fn checked(history: Result<tuplix_sim::serial::run::History, String>, levels: Levels) -> Summary {
    let history = history.unwrap_or_else(|what| panic!("{what}"));
    check(&history, levels).unwrap_or_else(|what| panic!("{what}"))
}

#[test]
fn serializable_on_real_threads() {
    let summary = checked(run(&settings(1, Levels::Serializable)), Levels::Serializable);
    assert_eq!(summary.anomalies, Vec::<String>::new());
    assert!(summary.committed > 700 && summary.aborted > 50 && summary.answers > 1500, "{summary:?}");
}

#[test]
fn all_levels_on_real_threads_with_a_log() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { dir: Some(directory.path().join("data")), ..settings(2, Levels::All) };
    let summary = checked(run(&settings), Levels::All);
    assert!(summary.committed > 700 && summary.aborted > 50, "{summary:?}");
}

#[test]
fn simulated_threads_and_equal_seeds() {
    for seed in 0..6 {
        let levels = if seed % 2 == 0 { Levels::Serializable } else { Levels::All };
        let settings =
            Settings { transactions: 300, partitions: 1 + seed as usize % 4, ..settings(seed, levels) };
        let history = simulate(&settings);
        let summary = checked(history.clone(), levels);
        assert!(summary.committed > 150, "{summary:?}");
        if seed == 0 {
            assert_eq!(simulate(&settings), history);
        }
    }
}

#[test]
fn read_committed_has_the_anomalies_it_permits_and_no_others() {
    let mut seen = Vec::new();
    for seed in 0..4 {
        let settings = Settings { transactions: 500, ..settings(seed, Levels::ReadCommitted) };
        seen.extend(checked(simulate(&settings), Levels::ReadCommitted).anomalies);
    }
    assert!(seen.iter().all(|anomaly| is_permitted(anomaly)), "{seen:?}");
    // Which of them the seeds show depends on the schedule.
    assert!(
        seen.iter().any(|anomaly| anomaly.starts_with("G-single") || anomaly.starts_with("G2")),
        "{seen:?}"
    );
}
