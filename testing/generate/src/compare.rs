//! A statement on both engines: the same, or not.

use tuplix_types::{SqlError, TypeId};

use crate::engines::{Answer, Engines};
use crate::program::Statement;

/// How a statement went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both gave the same.
    Same,
    /// Both failed with the same SQLSTATE.
    SameError,
    /// The engine does not have it: what it named.
    Refused(String),
    /// PostgreSQL ran out of time or memory; what follows cannot be compared.
    GivenUp,
    /// Not the same, and both are right.
    Open(&'static str),
    /// Not the same.
    Different(Difference),
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What kind: the same while it is shrunk.
    pub kind: String,
    /// What the engine gave.
    pub engine: String,
    /// What PostgreSQL gave.
    pub postgres: String,
}

/// Errors of values, which one engine may meet before another or not at all, as it orders conditions and joins.
pub fn is_of_values(error: &SqlError) -> bool {
    matches!(&error.sqlstate().as_str()[..2], "22" | "21")
}

fn is_of_planning(error: &SqlError) -> bool {
    is_of_values(error) || matches!(error.sqlstate().as_str(), "0A000" | "XX000")
}

/// A message without what differs from case to case.
pub fn pattern(message: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    for letter in message.chars() {
        match letter {
            '"' | '\'' => quoted = !quoted,
            _ if quoted => {}
            '0'..='9' => {
                if !out.ends_with('#') {
                    out.push('#');
                }
            }
            letter => out.push(letter),
        }
    }
    out
}

/// Runs a statement on both.
pub fn run(engines: &mut Engines, statement: &Statement, number: usize) -> Outcome {
    for sql in statement.texts(number, false) {
        let outcome = run_text(engines, statement, &sql, number);
        if matches!(outcome, Outcome::Open(why) if why.contains("error")) && engines.in_transaction() {
            // Perhaps one transaction has failed and the other has not.
            let _ = (engines.engine("SELECT 1/0"), engines.postgres("SELECT 1/0"));
        }
        if outcome != Outcome::Same {
            return outcome;
        }
    }
    Outcome::Same
}

fn run_text(engines: &mut Engines, statement: &Statement, sql: &str, number: usize) -> Outcome {
    let ours = engines.engine(sql);
    if let Err(error) = &ours
        && error.sqlstate().as_str() == "0A000"
    {
        if engines.in_transaction() {
            // The engine's transaction has failed: so has PostgreSQL's.
            let _ = engines.postgres("SELECT 1/0");
        }
        return Outcome::Refused(pattern(error.message()));
    }
    let theirs = engines.postgres(sql);
    match (ours, theirs) {
        (_, Err(error)) if matches!(&error.sqlstate().as_str()[..2], "57" | "53" | "54" | "08") => {
            Outcome::GivenUp
        }
        (Err(ours), Err(theirs)) => both_failed(&ours, &theirs),
        (Err(ours), Ok(theirs)) => Outcome::Different(difference(
            &format!("only the engine fails: {}", shape(&ours)),
            &Err(ours),
            &Ok(theirs),
        )),
        // PostgreSQL computes constants before it knows whether a row needs them.
        (Ok(ours), Err(theirs))
            if is_of_planning(&theirs)
                && (ours.tag.ends_with(" 0")
                    || engines.in_transaction()
                    || engines.postgres(&format!("EXPLAIN {sql}")).is_err()) =>
        {
            Outcome::Open("an error of a constant that no row needs")
        }
        (Ok(ours), Err(theirs)) => Outcome::Different(difference(
            &format!("only PostgreSQL fails: {}", theirs.sqlstate().as_str()),
            &Ok(ours),
            &Err(theirs),
        )),
        (Ok(ours), Ok(theirs)) => {
            if statement.tree.is_limited() && !ours.columns.is_empty() {
                let all = statement.texts(number, true);
                let mut full = Ok(Answer::default());
                for sql in all {
                    full = engines.postgres(&sql);
                }
                return match full {
                    Ok(full) => limited(ours, theirs, full),
                    Err(_) => Outcome::Open("a limit before an error"),
                };
            }
            answers(statement, sql, ours, theirs)
        }
    }
}

fn shape(error: &SqlError) -> String {
    if error.message().starts_with("panic") {
        return pattern(error.message());
    }
    error.sqlstate().as_str().to_owned()
}

fn both_failed(ours: &SqlError, theirs: &SqlError) -> Outcome {
    if ours.sqlstate() == theirs.sqlstate() {
        return Outcome::SameError;
    }
    let of_rows = |error: &SqlError| is_of_values(error) || error.sqlstate().as_str().starts_with("23");
    let raised = matches!(theirs.sqlstate().as_str(), "P0001" | "U0001")
        || matches!(ours.sqlstate().as_str(), "P0001" | "U0001");
    if (of_rows(ours) && (of_rows(theirs) || is_of_planning(theirs)))
        || (raised && (of_rows(ours) || of_rows(theirs)))
    {
        return Outcome::Open("another error of values first");
    }
    let kind = format!("fails with {} instead of {}", shape(ours), theirs.sqlstate().as_str());
    Outcome::Different(difference(&kind, &Err(ours.clone()), &Err(theirs.clone())))
}

fn difference(kind: &str, ours: &Result<Answer, SqlError>, theirs: &Result<Answer, SqlError>) -> Difference {
    Difference { kind: kind.to_owned(), engine: shown(ours), postgres: shown(theirs) }
}

/// An answer on a few lines.
pub fn shown(answer: &Result<Answer, SqlError>) -> String {
    match answer {
        Err(error) => format!("ERROR {} {}", error.sqlstate().as_str(), error.message()),
        Ok(answer) => {
            let types: Vec<String> = answer.columns.iter().map(ToString::to_string).collect();
            let mut lines = vec![format!("{} ({})", answer.tag, types.join(", "))];
            lines.extend(answer.rows.iter().take(20).map(|row| shown_row(row)));
            lines.join("\n")
        }
    }
}

/// A row on a line, as slt files show it.
pub fn shown_row(row: &[Option<String>]) -> String {
    let cells = row.iter().map(|cell| match cell {
        None => "NULL".to_owned(),
        Some(text) if text.is_empty() => "(empty)".to_owned(),
        Some(text) => text.replace('\n', "\\n"),
    });
    cells.collect::<Vec<_>>().join("|")
}

/// Results of mathematical libraries and sums in another order differ in the last digits of a float.
fn rounded(ty: TypeId, text: &str) -> String {
    let digits = match ty {
        TypeId::FLOAT8 => 11,
        TypeId::FLOAT4 => 5,
        _ => return text.to_owned(),
    };
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => format!("{number:.digits$e}"),
        _ => text.to_owned(),
    }
}

type Lines = Vec<Vec<Option<String>>>;

fn lines(answer: &Answer, cell: impl Fn(TypeId, &str) -> String) -> Lines {
    let row = |row: &Vec<Option<String>>| {
        let cells = row.iter().zip(&answer.columns);
        cells.map(|(text, ty)| text.as_deref().map(|text| cell(*ty, text))).collect()
    };
    answer.rows.iter().map(row).collect()
}

fn sorted(mut lines: Lines) -> Lines {
    lines.sort();
    lines
}

/// Equal values that look differently: which one stands for its group is open.
fn canonical(ty: TypeId, text: &str) -> String {
    match ty {
        TypeId::NUMERIC if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        TypeId::FLOAT8 | TypeId::FLOAT4 if text == "-0" => rounded(ty, "0"),
        TypeId::INTERVAL => "interval".to_owned(),
        TypeId::BPCHAR => text.trim_end().to_owned(),
        _ => rounded(ty, text),
    }
}

fn answers(statement: &Statement, sql: &str, ours: Answer, theirs: Answer) -> Outcome {
    let kind = if ours.columns != theirs.columns {
        "column types"
    } else if ours.tag != theirs.tag {
        "row count"
    } else {
        "rows"
    };
    let is_ordered = statement.tree.is_ordered();
    let compare = |cell: fn(TypeId, &str) -> String| {
        let (ours, theirs) = (lines(&ours, cell), lines(&theirs, cell));
        if is_ordered { ours == theirs } else { sorted(ours) == sorted(theirs) }
    };
    if kind == "rows" {
        if compare(rounded) {
            return Outcome::Same;
        }
        let one_of_equals =
            ["DISTINCT", "GROUP BY", "UNION", "INTERSECT", "EXCEPT", "min(", "max(", "LIMIT", "ORDER BY"];
        if one_of_equals.iter().any(|word| sql.contains(word)) && compare(canonical) {
            return Outcome::Open("one of equal values");
        }
    }
    let kind =
        if kind == "rows" && is_ordered && sorted(lines(&ours, rounded)) == sorted(lines(&theirs, rounded)) {
            "order of rows"
        } else {
            kind
        };
    Outcome::Different(difference(kind, &Ok(ours), &Ok(theirs)))
}

/// A LIMIT without order: as many rows as PostgreSQL's, all from its full result.
fn limited(ours: Answer, theirs: Answer, full: Answer) -> Outcome {
    let mut left = lines(&full, rounded);
    let contained =
        lines(&ours, rounded).into_iter().all(|row| match left.iter().position(|other| *other == row) {
            Some(at) => {
                left.swap_remove(at);
                true
            }
            None => false,
        });
    if ours.columns == theirs.columns && ours.rows.len() == theirs.rows.len() && contained {
        return Outcome::Same;
    }
    let kind = if contained { "row count under LIMIT" } else { "rows under LIMIT" };
    Outcome::Different(difference(kind, &Ok(ours), &Ok(full)))
}
