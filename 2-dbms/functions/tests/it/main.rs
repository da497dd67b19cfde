//! Expressions and what PostgreSQL 15 answers: `tests/cases` are the questions, `tests/expected` the
//! answers, which `tests/record.sh` writes with a PostgreSQL. The test itself needs none.

#![allow(clippy::unwrap_used)]

mod evaluate;
mod parse;

use std::fmt::Write as _;

/// Evaluates every line of a topic and compares with the recorded answers.
fn check(topic: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let cases = std::fs::read_to_string(folder.join("cases").join(format!("{topic}.txt"))).unwrap();
    let expected = std::fs::read_to_string(folder.join("expected").join(format!("{topic}.txt"))).unwrap();
    let mut answers: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
    let mut current = "";
    for line in expected.lines() {
        match line.strip_prefix("  ") {
            Some(answer) => answers.entry(current).or_default().push(answer),
            None => current = line,
        }
    }
    let (mut differences, mut count) = (String::new(), 0);
    for case in cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        count += 1;
        let ours = evaluate::answer(case);
        let theirs = answers.get(case).cloned().unwrap_or_default();
        if ours != theirs {
            writeln!(
                differences,
                "{case}\n  ours   {}\n  theirs {}",
                ours.join("\n         "),
                theirs.join("\n         ")
            )
            .unwrap();
        }
    }
    assert!(differences.is_empty(), "{} of {count}\n{differences}", differences.matches("  ours ").count());
}

macro_rules! topics {
    ($($topic:ident)*) => {
        $(
            #[test]
            fn $topic() {
                check(stringify!($topic));
            }
        )*
    };
}

topics! { aggregates arrays bytes casts dates formatting hashes jsonb numbers regex resolution strings }
