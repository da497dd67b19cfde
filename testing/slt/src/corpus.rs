//! SQL that nobody here wrote: scripts of statements run on the engine and on PostgreSQL side by side, and counted.
//!
//! A script is what psql reads. Lines that are psql's own (`\d`, `\set`) are left out, as is the data after `COPY ... FROM
//! stdin`, and EXPLAIN, whose text is nobody's promise. Each statement runs on both; it agrees when both give the same rows (in any order, unless it says ORDER BY) or
//! both fail with the same SQLSTATE.
//!
//! A file whose name ends in `.test` has the records of SQLite's sqllogictest. Of a record only the statement is taken, and whether
//! its rows have an order: what it has to answer, PostgreSQL says. `skipif` and `onlyif` are read as PostgreSQL reads them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use sqllogictest::{DB as _, DBOutput};
use tuplix_types::SqlError;

use crate::Column;
use crate::backend::Host;

/// What a statement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The same on both.
    Same,
    /// The engine refuses it with 0A000, PostgreSQL does not.
    Refused,
    /// Anything else.
    Different,
}

/// A script's outcome.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Statements that agree.
    pub same: usize,
    /// Statements that the engine refuses.
    pub refused: usize,
    /// Statements whose answers differ.
    pub different: usize,
    /// What was refused, and how often.
    pub refusals: BTreeMap<String, usize>,
    /// Statements that do not agree, with both answers in a line each.
    pub log: Vec<String>,
}

impl Outcome {
    /// All statements.
    pub fn statements(&self) -> usize {
        self.same + self.refused + self.different
    }

    fn add(&mut self, verdict: Verdict, statement: &str, ours: &Answer, theirs: &Answer) {
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Refused => self.refused += 1,
            Verdict::Different => self.different += 1,
        }
        if verdict == Verdict::Same {
            return;
        }
        if let (Verdict::Refused, Err(error)) = (verdict, ours) {
            *self.refusals.entry(error.message().to_owned()).or_default() += 1;
        }
        self.log.push(format!("{statement}\n  ours: {}\n  PostgreSQL: {}", shown(ours), shown(theirs)));
    }
}

type Answer = std::result::Result<DBOutput<Column>, SqlError>;

/// Rows of an answer that are shown.
const SHOWN_ROWS: usize = 5;

fn shown(answer: &Answer) -> String {
    match answer {
        Err(error) => format!("{} {}", error.sqlstate().as_str(), error.message()),
        Ok(DBOutput::StatementComplete(rows)) => format!("{rows} rows changed"),
        Ok(DBOutput::Rows { rows, .. }) => {
            let first: Vec<String> = rows.iter().take(SHOWN_ROWS).map(|row| row.join("|")).collect();
            format!("{} rows: {}", rows.len(), first.join(" / "))
        }
        Ok(_) => "another answer".to_owned(),
    }
}

/// Runs a script on fresh databases, after the scripts that prepare for it, which do not count.
///
/// # Errors
/// When a script cannot be read or a database cannot be made; what statements do is in the outcome.
pub fn run(engine: &Host, postgres: &Host, before: &[&Path], script: &Path) -> Result<Outcome> {
    let (ours, theirs) = (engine.database("corpus")?, postgres.database("corpus")?);
    let mut clients = [ours.client()?, theirs.client()?];
    for client in &mut clients {
        client.run("SET statement_timeout = '10s'")?;
        client.run("SET lock_timeout = '2s'")?;
    }
    for script in before {
        for statement in statements(script)? {
            // Preparation that fails on one of them shows in what follows.
            clients.iter_mut().for_each(|client| drop(client.run(&statement)));
        }
    }
    let mut outcome = Outcome::default();
    for (statement, ordered) in records(script)? {
        let [ours, theirs] = &mut clients;
        let (ours, theirs) = (ours.run(&statement), theirs.run(&statement));
        outcome.add(verdict(ordered, &ours, &theirs), &statement, &ours, &theirs);
    }
    Ok(outcome)
}

/// The statements of a script, each with whether its rows have an order.
fn records(script: &Path) -> Result<Vec<(String, bool)>> {
    if script.extension().is_some_and(|extension| extension == "test") {
        let text = std::fs::read_to_string(script)
            .with_context(|| format!("{} cannot be read", script.display()))?;
        return Ok(sqlite_records(&text));
    }
    let ordered = |statement: &str| statement.to_ascii_uppercase().contains("ORDER BY");
    Ok(statements(script)?.into_iter().map(|statement| (statement.clone(), ordered(&statement))).collect())
}

/// The records of SQLite's format that PostgreSQL is to run: blocks of lines, the first of which says what they are.
fn sqlite_records(text: &str) -> Vec<(String, bool)> {
    let text = text.replace('\r', "");
    let mut records = Vec::new();
    for block in text.split("\n\n") {
        let mut lines =
            block.lines().filter(|line| !line.starts_with('#')).skip_while(|line| line.is_empty());
        let mut taken = true;
        let head = loop {
            let Some(line) = lines.next() else { break "" };
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("skipif"), database) => taken &= database != Some("postgresql"),
                (Some("onlyif"), database) => taken &= database == Some("postgresql"),
                _ => break line,
            }
        };
        if head.starts_with("halt") && taken {
            break;
        }
        if taken && (head.starts_with("statement") || head.starts_with("query")) {
            let statement: Vec<&str> = lines.take_while(|line| !line.starts_with("----")).collect();
            records.push((statement.join("\n"), head.contains("nosort")));
        }
    }
    records
}

fn verdict(ordered: bool, ours: &Answer, theirs: &Answer) -> Verdict {
    let same = match (ours, theirs) {
        (Err(ours), Err(theirs)) => ours.sqlstate() == theirs.sqlstate(),
        (Ok(DBOutput::StatementComplete(ours)), Ok(DBOutput::StatementComplete(theirs))) => ours == theirs,
        (Ok(DBOutput::Rows { rows: ours, .. }), Ok(DBOutput::Rows { rows: theirs, .. })) => {
            ours == theirs || (!ordered && sorted(ours) == sorted(theirs))
        }
        _ => false,
    };
    match ours {
        _ if same => Verdict::Same,
        Err(error) if error.sqlstate().as_str() == "0A000" => Verdict::Refused,
        _ => Verdict::Different,
    }
}

fn sorted(rows: &[Vec<String>]) -> Vec<&Vec<String>> {
    let mut rows: Vec<&Vec<String>> = rows.iter().collect();
    rows.sort();
    rows
}

/// The statements of a script.
fn statements(script: &Path) -> Result<Vec<String>> {
    let text = std::fs::read(script).with_context(|| format!("{} cannot be read", script.display()))?;
    let text = String::from_utf8_lossy(&text);
    let mut kept = String::new();
    let mut in_data = false;
    for line in text.lines() {
        if in_data {
            in_data = line != "\\.";
            continue;
        }
        // `SELECT ... \gset` ends a statement as a semicolon does.
        let line = match line.find(['\\']).filter(|at| is_command(line, *at)) {
            Some(at) if line[..at].trim().is_empty() => continue,
            Some(at) => format!("{};", &line[..at]),
            None => line.to_owned(),
        };
        let lower = line.to_ascii_lowercase();
        in_data = lower.trim_start().starts_with("copy ") && lower.contains("from stdin");
        kept.push_str(&line);
        kept.push('\n');
    }
    // What a scanner does not take, `1e` for one, is there to be refused: such a script is split at the ends of its lines.
    let statements =
        pg_query::split_with_scanner(&kept).unwrap_or_else(|_| kept.split(";\n").collect::<Vec<_>>());
    let counts = |statement: &&str| !statement.is_empty() && !is_explain(statement);
    Ok(statements.into_iter().map(without_comments).filter(counts).map(str::to_owned).collect())
}

/// A statement without the comments before it.
fn without_comments(statement: &str) -> &str {
    let mut rest = statement.trim();
    while let Some(comment) = rest.strip_prefix("--") {
        rest = comment.split_once('\n').map_or("", |(_, after)| after.trim_start());
    }
    rest
}

/// A plan's text is nobody's promise.
fn is_explain(statement: &str) -> bool {
    statement.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("explain"))
}

/// Whether a backslash begins one of psql's commands, and is not part of a string.
fn is_command(line: &str, at: usize) -> bool {
    let before = &line[..at];
    let quotes = before.matches('\'').count();
    let follows =
        line[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, ';' | '!' | '?'));
    quotes.is_multiple_of(2)
        && follows
        && (before.trim().is_empty() || line[at..].starts_with("\\g") || line[at..].starts_with("\\;"))
}

#[cfg(test)]
mod tests {
    use super::sqlite_records;

    #[test]
    fn sqlite_format() {
        let text = "# a comment\nhash-threshold 8\n\nstatement ok\nCREATE TABLE t(a)\n\nskipif postgresql\nstatement ok\nno\n\n\
                    onlyif mysql # why\nquery I rowsort\nno\n----\n1\n\nskipif mysql\nquery II nosort label-1\nSELECT a\nFROM t ORDER BY 1\n----\n\
                    8 values hashing to 1\n\nonlyif mysql\nhalt\n\nstatement error\nSELECT\n\nhalt\n\nstatement ok\nno\n";
        let expected =
            [("CREATE TABLE t(a)", false), ("SELECT a\nFROM t ORDER BY 1", true), ("SELECT", false)];
        assert_eq!(
            sqlite_records(text),
            expected.map(|(statement, ordered)| (statement.to_owned(), ordered))
        );
    }
}
