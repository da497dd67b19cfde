#![allow(clippy::unwrap_used)]

use super::*;

/// What the parser says, written as in `testdata/bodies.txt`.
fn verdict(body: &str) -> String {
    match parse_body(body, "f") {
        Ok(_) => String::from("ok"),
        Err(error) => {
            let fields = error.fields();
            let position = fields.position.map_or(String::from("-"), |position| position.to_string());
            let context = fields.context.as_ref().map_or(String::new(), |c| format!(" | {}", c.replace('\n', " / ")));
            format!("{} {position} {}{context}", fields.sqlstate, fields.message)
        }
    }
}

#[test]
fn bodies_are_judged_as_by_postgresql_15() {
    let mut body = String::new();
    let mut expected: Option<&str> = None;
    let (mut checked, mut wrong) = (0, String::new());
    for line in include_str!("testdata/bodies.txt").lines().filter(|line| !line.starts_with("# ")).chain([""]) {
        if let Some(parser) = line.strip_prefix("=> parser: ") {
            expected = Some(parser);
        } else if let Some(postgresql) = line.strip_prefix("=> ") {
            expected = Some(postgresql);
        } else if line.is_empty() && let Some(expected) = expected.take() {
            let body = std::mem::take(&mut body);
            let body = body.trim_matches('\n');
            let ours = verdict(body);
            checked += 1;
            if ours != expected {
                wrong.push_str(&format!("{body}\n  expected {expected}\n  got      {ours}\n"));
            }
        } else {
            body.push_str(line);
            body.push('\n');
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(checked > 200, "{checked}");
}
