//! Text input and output, line by line of `data/text_io.txt`.

use tuplix_types::{IoContext, SqlError, Value, parse_text, text_io};

use crate::types::parse_type;

pub fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            _ => out.push(c),
        }
    }
    out
}

fn describe(error: &SqlError) -> String {
    let detail = error.fields().detail.as_ref().map_or(String::new(), |detail| format!(" | {detail}"));
    format!("!{} {}{detail}", error.sqlstate(), error.message())
}

#[test]
fn every_line_reads_and_shows_as_postgresql_does() {
    let ctx = IoContext::default();
    let mut wrong = Vec::new();
    for line in include_str!("data/text_io.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, input, expected] = fields[..] else { panic!("bad line {line}") };
        let (ty, typmod) = parse_type(name);
        let actual = match parse_text(ty, typmod, &unescape(input), &ctx) {
            // The file was made with casts to text: booleans are words there.
            Ok(Value::Bool(value)) => format!("={value}"),
            // Character columns drop their blanks on the way to text.
            Ok(value) if name.starts_with("char") => {
                format!("={}", text_io::to_text(ty, &value, &ctx).trim_end_matches(' '))
            }
            Ok(value) => format!("={}", text_io::to_text(ty, &value, &ctx)),
            Err(error) => describe(&error),
        };
        let expected = unescape(expected);
        if actual != expected {
            wrong.push(format!("{name} {input}\n    expected {expected}\n    actual   {actual}"));
        }
    }
    assert!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong.join("\n"));
}
