//! A few fixed seeds: each statement must go on the engine as on PostgreSQL.
#![allow(clippy::unwrap_used)]

use tuplix_generate::engines::Engines;
use tuplix_generate::program::Program;
use tuplix_generate::run::{self, Summary};

/// Seeds without a known difference; `docs/testing.md` says what to do when one shows one.
const SEEDS: [u64; 6] = [101, 102, 103, 104, 105, 106];

#[test]
fn the_engines_agree() {
    let mut engines = Engines::start().unwrap();
    let mut summary = Summary::default();
    let mut found = String::new();
    for seed in SEEDS {
        for finding in run::seed(&mut engines, seed, &mut summary).unwrap() {
            found.push_str(&finding.file);
        }
    }
    assert!(found.is_empty(), "{found}\n{}", summary.text());
    assert!(summary.same * 2 > summary.statements, "most statements succeed\n{}", summary.text());
}

#[test]
fn a_seed_says_the_same_each_time() {
    let texts = |seed| -> Vec<String> {
        let program = Program::of(seed);
        program.statements.iter().flat_map(|statement| statement.texts(0, false)).collect()
    };
    for seed in 0..50 {
        assert_eq!(texts(seed), texts(seed));
    }
    assert_ne!(texts(1), texts(2));
}
