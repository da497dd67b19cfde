//! Known failures: a list that may only shrink.
//!
//! A line is `backends <TAB> file <TAB> statement <TAB> reason`; backends is `engine`, `wire` or `engine,wire`. PostgreSQL
//! cannot be listed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::Failure;
use crate::backend::Backend;

/// File and statement of each known failure of a backend, with its reason.
#[derive(Debug, Default)]
pub struct Known {
    failures: BTreeMap<(String, String), String>,
}

impl Known {
    /// The failures of a backend in the list at `path`.
    ///
    /// # Errors
    /// When the list cannot be read or has a line of another shape.
    pub fn read(path: &Path, backend: Backend) -> Result<Known> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Known::parse(&text, backend)
    }

    fn parse(text: &str, backend: Backend) -> Result<Known> {
        let mut known = Known::default();
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let [backends, file, statement, reason] = line.split('\t').collect::<Vec<_>>()[..] else {
                bail!("line {}: not backends, file, statement and reason between tabs", number + 1);
            };
            for name in backends.split(',') {
                match Backend::parse(name) {
                    Some(Backend::Postgres) | None => {
                        bail!("line {}: {name} cannot have known failures", number + 1)
                    }
                    Some(listed) if listed == backend => {
                        let key = (file.to_owned(), statement.to_owned());
                        if known.failures.insert(key, reason.to_owned()).is_some() {
                            bail!("line {}: listed twice", number + 1);
                        }
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(known)
    }

    /// What is wrong with `failures`: those that are not listed, and what is listed and passes. Nothing when all is as
    /// listed.
    pub fn check(&self, failures: &[Failure]) -> String {
        let mut report = String::new();
        let mut failed = BTreeMap::new();
        for failure in failures {
            let key = (failure.file.clone(), failure.statement.clone());
            if !self.failures.contains_key(&key) {
                // Writing to a string cannot fail.
                let _ = writeln!(report, "FAILS  {}:{}\n{}", failure.file, failure.line, failure.message);
            }
            failed.insert(key, ());
        }
        for (file, statement) in self.failures.keys() {
            if !failed.contains_key(&(file.clone(), statement.clone())) {
                let _ = writeln!(report, "PASSES, take it off known-failures.txt  {file}\t{statement}");
            }
        }
        report
    }

    /// The reason given for a failure.
    pub fn reason(&self, failure: &Failure) -> Option<&str> {
        let key = (failure.file.clone(), failure.statement.clone());
        self.failures.get(&key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIST: &str = "# why\nengine,wire\ta.slt\tSELECT 1\tnot yet\nwire\ta.slt\t#2 SELECT 1\tnot yet\n";

    fn failure(statement: &str) -> Failure {
        Failure { file: "a.slt".into(), statement: statement.into(), line: 3, message: "no".into() }
    }

    #[test]
    fn the_list_may_only_shrink() {
        let engine = Known::parse(LIST, Backend::Engine).unwrap();
        assert_eq!(engine.check(&[failure("SELECT 1")]), "");
        assert!(engine.check(&[]).starts_with("PASSES"), "a listed one passes");
        assert!(
            engine.check(&[failure("SELECT 1"), failure("SELECT 2")]).starts_with("FAILS"),
            "an unlisted one fails"
        );
        let wire = Known::parse(LIST, Backend::Wire).unwrap();
        assert_eq!(wire.check(&[failure("SELECT 1"), failure("#2 SELECT 1")]), "");
    }

    #[test]
    fn the_oracle_is_never_wrong() {
        assert!(Known::parse("postgres\ta.slt\tSELECT 1\thm\n", Backend::Engine).is_err());
        assert!(Known::parse("engine a.slt SELECT 1\n", Backend::Engine).is_err());
    }
}
