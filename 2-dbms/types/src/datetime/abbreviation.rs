//! Abbreviations of time zones (`CEST`, `MSK`): PostgreSQL's default set, from `data/abbreviations.tsv`.

use std::sync::LazyLock;

/// What an abbreviation stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A fixed offset.
    Offset {
        /// Seconds east of UTC.
        east_s: i32,
        /// Whether it is daylight saving time.
        is_dst: bool,
    },
    /// What it meant in the history of this zone.
    Zone(&'static str),
}

static TABLE: LazyLock<Vec<(&'static str, Meaning)>> = LazyLock::new(|| {
    let lines = include_str!("../../data/abbreviations.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut table: Vec<(&'static str, Meaning)> = lines
        .filter_map(|line| {
            let mut parts = line.split('\t');
            let (name, what) = (parts.next()?, parts.next()?);
            let meaning = match what.parse() {
                Ok(east_s) => Meaning::Offset { east_s, is_dst: parts.next() == Some("D") },
                Err(_) => Meaning::Zone(what),
            };
            Some((name, meaning))
        })
        .collect();
    table.sort_by_key(|(name, _)| *name);
    table
});

fn entry(name: &str) -> Option<&'static (&'static str, Meaning)> {
    let upper = name.to_ascii_uppercase();
    let found = TABLE.binary_search_by(|(known, _)| (*known).cmp(upper.as_str())).ok()?;
    TABLE.get(found)
}

/// What a name stands for, in whatever case it is written.
pub fn find(name: &str) -> Option<Meaning> {
    entry(name).map(|(_, meaning)| *meaning)
}

/// The abbreviation in upper case.
pub(super) fn upper(name: &str) -> Option<&'static str> {
    entry(name).map(|(name, _)| *name)
}

/// All of them.
pub fn all() -> impl Iterator<Item = (&'static str, Meaning)> {
    TABLE.iter().copied()
}
