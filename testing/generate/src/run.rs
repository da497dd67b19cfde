//! Programs on both engines, and what came of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use crate::compare::{Difference, Outcome, pattern, run};
use crate::engines::Engines;
use crate::program::Program;
use crate::{report, shrink};

/// What happened to all statements.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Programs.
    pub programs: u64,
    /// Statements.
    pub statements: u64,
    /// Succeeded on both alike.
    pub same: u64,
    /// Failed on both alike.
    pub same_errors: u64,
    /// PostgreSQL ran out of time or memory.
    pub given_up: u64,
    /// Refused by the engine: how often by what.
    pub refused: BTreeMap<String, u64>,
    /// Both right: how often by reason.
    pub open: BTreeMap<String, u64>,
    /// Differences by kind.
    pub different: BTreeMap<String, u64>,
    seen: BTreeMap<String, u64>,
}

/// A difference that was not seen before, shrunk.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind.
    pub kind: String,
    /// The file for testing/slt.
    pub file: String,
}

impl Summary {
    /// A few lines about it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let share =
            |part: u64| if self.statements == 0 { 0.0 } else { part as f64 * 100.0 / self.statements as f64 };
        let refused: u64 = self.refused.values().sum();
        let open: u64 = self.open.values().sum();
        let different: u64 = self.different.values().sum();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{} programs, {} statements", self.programs, self.statements);
        let parts = [
            ("succeeded alike", self.same),
            ("failed alike", self.same_errors),
            ("refused by the engine", refused),
            ("differ, both right", open),
            ("given up by PostgreSQL", self.given_up),
            ("different", different),
        ];
        for (name, count) in parts {
            let _ = writeln!(out, "  {name:<24}{count:>8}  {:>5.1} %", share(count));
        }
        for (title, map) in
            [("refused", &self.refused), ("both right", &self.open), ("different", &self.different)]
        {
            let mut lines: Vec<_> = map.iter().collect();
            lines.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (name, count) in lines.into_iter().take(40) {
                let _ = writeln!(out, "  {title:<12}{count:>6}  {name}");
            }
        }
        out
    }

    fn count(&mut self, outcome: &Outcome) {
        self.statements += 1;
        match outcome {
            Outcome::Same => self.same += 1,
            Outcome::SameError => self.same_errors += 1,
            Outcome::Refused(what) => *self.refused.entry(what.clone()).or_default() += 1,
            Outcome::GivenUp => self.given_up += 1,
            Outcome::Open(why) => *self.open.entry((*why).to_owned()).or_default() += 1,
            Outcome::Different(_) => {}
        }
    }

    /// How often a key has come, this time too.
    fn seen(&mut self, key: &str) -> u64 {
        let count = self.seen.entry(key.to_owned()).or_default();
        *count += 1;
        *count
    }
}

/// Runs the program of a seed; the differences that are new.
///
/// # Errors
/// When PostgreSQL does not answer.
pub fn seed(engines: &mut Engines, seed: u64, summary: &mut Summary) -> Result<Vec<Finding>> {
    let program = Program::of(seed);
    engines.reset()?;
    summary.programs += 1;
    let mut differences = Vec::new();
    for (number, statement) in program.statements.iter().enumerate() {
        let outcome = run(engines, statement, number);
        summary.count(&outcome);
        match outcome {
            Outcome::Different(found) => {
                let has_panicked = found.engine.contains("panic");
                differences.push((number, found));
                // What both hold differs from here on.
                if statement.changes || has_panicked || engines.in_transaction() || differences.len() > 3 {
                    break;
                }
            }
            Outcome::GivenUp => break,
            Outcome::Open(why) if statement.changes && why.contains("error") => break,
            _ => {}
        }
    }
    let mut findings = Vec::new();
    for (number, found) in differences {
        findings.extend(examine(engines, &program, number, &found, summary)?);
    }
    Ok(findings)
}

/// Shrinks a difference, unless one like it was seen.
fn examine(
    engines: &mut Engines,
    program: &Program,
    number: usize,
    found: &Difference,
    summary: &mut Summary,
) -> Result<Option<Finding>> {
    let key = if found.engine.starts_with("ERROR") || found.postgres.starts_with("ERROR") {
        let first = |text: &str| pattern(text.lines().next().unwrap_or_default());
        let ours = if found.engine.starts_with("ERROR") { first(&found.engine) } else { String::new() };
        let theirs = if found.postgres.starts_with("ERROR") { first(&found.postgres) } else { String::new() };
        Some(format!("{} / {ours} / {theirs}", found.kind))
    } else {
        None
    };
    // Most errors of values are no findings: a few of each are looked at.
    let often = if found.kind.contains("fails: 22") { 3 } else { 1 };
    if let Some(key) = &key
        && summary.seen(key) > often
    {
        *summary.different.entry(key.clone()).or_default() += 1;
        return Ok(None);
    }
    let mut start = program.clone();
    start.statements.truncate(number + 1);
    let Some((small, found)) = shrink::shrink(engines, start, &found.kind)? else {
        *summary.different.entry(format!("does not come again: {}", found.kind)).or_default() += 1;
        return Ok(Some(Finding {
            kind: "does not come again".to_owned(),
            file: format!("# seed {} statement {number}: {found:?}\n", program.seed),
        }));
    };
    let last = small.statements.last().map(|statement| statement.tree.sql()).unwrap_or_default();
    let all: String = small.statements.iter().map(|statement| statement.tree.sql()).collect();
    if may_be_skipped(&found, &all) {
        *summary.open.entry("an error of values where conditions decide".to_owned()).or_default() += 1;
        return Ok(None);
    }
    let key = key.unwrap_or_else(|| found.kind.clone());
    *summary.different.entry(key).or_default() += 1;
    if summary.seen(&format!("{} / {}", found.kind, pattern(&last))) > 1 {
        return Ok(None);
    }
    let file = report::file(engines, &small, &found)?;
    Ok(Some(Finding { kind: found.kind, file }))
}

/// Whether the engines may evaluate, or not evaluate, an expression that fails: PostgreSQL promises no order.
fn may_be_skipped(found: &Difference, sql: &str) -> bool {
    let deciding = [
        "WHERE", "JOIN", "CASE", "LIMIT", "HAVING", "COALESCE", " AND ", " OR ", "FILTER", "EXISTS", " ON ",
        "(SELECT", "LATERAL",
    ];
    // Constants of a function's statements are computed when it is planned, also those that no row needs.
    if found.kind.contains("only PostgreSQL fails: ")
        && sql.contains("LANGUAGE plpgsql")
        && !found.kind.contains("fails: 4")
    {
        return true;
    }
    if found.kind.contains("only the engine fails: 22") && sql.contains("NULL::") {
        return true;
    }
    found.kind.contains("fails: 22") && deciding.iter().any(|word| sql.contains(word))
}
