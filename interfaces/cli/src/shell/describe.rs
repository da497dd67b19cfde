//! `\d` and its kin: questions about the catalogue. The SQL is in `sql/`, one question a file, those about lists of
//! relations with an end that they share; its parameters are the kinds of
//! relations, the patterns of schema and name, and whether the system's own objects are wanted.

use super::Shell;
use super::pattern::Pattern;
use crate::client::Answer;
use crate::render::{Expanded, Style};

/// A list: its title, and the question.
struct List {
    title: &'static str,
    sql: &'static str,
    kinds: &'static str,
    /// What was not found.
    what: &'static str,
}

/// The question in a file about the relations that match.
macro_rules! relations_of {
    ($file:literal) => {
        concat!(include_str!($file), include_str!("sql/relations_where.sql"))
    };
}

const fn relations(kinds: &'static str) -> List {
    List { title: "List of relations", sql: relations_of!("sql/relations.sql"), kinds, what: "relation" }
}

/// The list that a command asks for, `+` and `S` taken off.
fn list_of(command: &str) -> Option<List> {
    let list = |title, sql, what| Some(List { title, sql, kinds: "", what });
    match command {
        "d" => Some(relations("rvmSpf")),
        "dt" => Some(relations("rp")),
        "dv" => Some(relations("v")),
        "dm" => Some(relations("m")),
        "ds" => Some(relations("S")),
        "di" => Some(List { sql: relations_of!("sql/indexes.sql"), ..relations("i") }),
        "df" => list("List of functions", include_str!("sql/functions.sql"), "function"),
        "dT" => list("List of data types", include_str!("sql/types.sql"), "data type"),
        "dn" => list("List of schemas", include_str!("sql/schemas.sql"), "schema"),
        "du" | "dg" => list("List of roles", include_str!("sql/roles.sql"), "role"),
        "l" => list("List of databases", include_str!("sql/databases.sql"), "database"),
        _ => None,
    }
}

/// Runs `command` (`d`, `dt`, `df+`, ...) on a pattern; `None` when there is no such command.
///
/// # Errors
/// What the node says, and when nothing matches.
pub(super) fn run(shell: &mut Shell, command: &str, pattern: &str) -> Option<anyhow::Result<()>> {
    let system = command.contains('S') && command != "dT";
    let more = command.ends_with('+');
    let plain: String = command.chars().filter(|char| !matches!(char, 'S' | '+')).collect();
    if plain == "d" && !pattern.is_empty() {
        return Some(describe(shell, pattern, more));
    }
    let list = list_of(&plain)?;
    Some(show_list(shell, &list, pattern, system))
}

fn show_list(shell: &mut Shell, list: &List, pattern: &str, system: bool) -> anyhow::Result<()> {
    let matching = Pattern::of(pattern);
    // psql hides the system's own unless they are asked for by a pattern or an S.
    let system = system || !pattern.is_empty();
    let parameters = [Some(list.kinds.to_owned()), matching.schema, matching.name, Some(system.to_string())];
    let used = used(list.sql);
    let (sql, parameters) = renumbered(list.sql, &parameters, &used);
    let found = shell.ask(&sql, &parameters, list.title, None)?;
    if found > 0 || shell.shows_empty_lists() {
        return Ok(());
    }
    anyhow::ensure!(pattern.is_empty(), "Did not find any {} named \"{pattern}\".", list.what);
    shell.say(&format!("Did not find any {}s.", list.what))
}

/// Which of the four parameters a question has.
fn used(sql: &str) -> [bool; 4] {
    [1, 2, 3, 4].map(|number| sql.contains(&format!("${number}")))
}

/// A question with its parameters numbered from 1 without gaps: one that is not named has no type.
fn renumbered(
    sql: &str,
    parameters: &[Option<String>; 4],
    used: &[bool; 4],
) -> (String, Vec<Option<String>>) {
    let (mut text, mut kept) = (sql.to_owned(), Vec::new());
    for (index, parameter) in parameters.iter().enumerate().filter(|(index, _)| used[*index]) {
        kept.push(parameter.clone());
        text = text.replace(&format!("${}", index + 1), &format!("${}", kept.len()));
    }
    (text, kept)
}

/// `\d NAME`: every relation of that name.
fn describe(shell: &mut Shell, pattern: &str, more: bool) -> anyhow::Result<()> {
    let matching = Pattern::of(pattern);
    let (sql, parameters) = renumbered(
        include_str!("sql/find_relation.sql"),
        &[None, matching.schema, matching.name, None],
        &[false, true, true, false],
    );
    let found = shell.rows(&sql, &parameters)?;
    anyhow::ensure!(!found.is_empty(), "Did not find any relation named \"{pattern}\".");
    for relation in found {
        let field = |index: usize| relation.get(index).cloned().flatten().unwrap_or_default();
        describe_one(shell, &field(0), &format!("{}.{}", field(1), field(2)), &field(3), more)?;
    }
    Ok(())
}

fn describe_one(shell: &mut Shell, oid: &str, name: &str, kind: &str, more: bool) -> anyhow::Result<()> {
    let noun = match kind {
        "v" => "View",
        "m" => "Materialized view",
        "i" => "Index",
        "S" => "Sequence",
        "c" => "Composite type",
        _ => "Table",
    };
    let sql = match kind {
        "i" => include_str!("sql/index_columns.sql"),
        "S" => include_str!("sql/sequence.sql"),
        _ => include_str!("sql/columns.sql"),
    };
    let mut footers = Vec::new();
    for (heading, question) in sections(kind, more) {
        let lines = shell.rows(question, &[Some(oid.to_owned())])?;
        let lines: Vec<String> = lines.into_iter().flatten().flatten().collect();
        match heading {
            _ if lines.is_empty() => {}
            "" => footers.extend(lines),
            "View definition:" => footers.extend([heading.to_owned(), lines.concat()]),
            _ => {
                footers.push(heading.to_owned());
                footers.extend(lines.iter().map(|line| format!("    {line}")));
            }
        }
    }
    shell.ask(sql, &[Some(oid.to_owned())], &format!("{noun} \"{name}\""), Some(footers)).map(drop)
}

/// What is told below the columns, under which heading.
fn sections(kind: &str, more: bool) -> Vec<(&'static str, &'static str)> {
    match kind {
        "i" => vec![("", include_str!("sql/index_table.sql"))],
        "v" | "m" if more => vec![("View definition:", include_str!("sql/view_of.sql"))],
        "r" | "p" => vec![
            ("Indexes:", include_str!("sql/indexes_of.sql")),
            ("Check constraints:", include_str!("sql/checks_of.sql")),
            ("Foreign-key constraints:", include_str!("sql/foreign_keys_of.sql")),
            ("Referenced by:", include_str!("sql/references_to.sql")),
            ("Triggers:", include_str!("sql/triggers_of.sql")),
        ],
        _ => Vec::new(),
    }
}

impl Shell {
    /// Asks the node and prints its answer as a table with a title; how many rows there were.
    fn ask(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        title: &str,
        footers: Option<Vec<String>>,
    ) -> anyhow::Result<usize> {
        let (mut columns, mut rows) = (Vec::new(), Vec::new());
        self.questions(sql, parameters, &mut |answer| match answer {
            Answer::Columns(found) => columns = found,
            Answer::Row(row) => rows.push(row),
            _ => {}
        })?;
        let count = rows.len();
        if count == 0 && footers.is_none() && !self.shows_empty_lists() {
            return Ok(0);
        }
        // psql describes relations as tables always, but for sequences.
        let describes = footers.is_some() && !title.starts_with("Sequence");
        let expanded = if describes { Expanded::Off } else { self.style().expanded };
        let mut render = Style { expanded, ..self.style().clone() }.render();
        render.caption(title, footers);
        self.write(|out| {
            render.columns(out, columns)?;
            rows.into_iter().try_for_each(|row| render.row(out, row))?;
            render.complete(out, "")
        })?;
        Ok(count)
    }

    /// The rows of one of the shell's own questions.
    fn rows(&mut self, sql: &str, parameters: &[Option<String>]) -> anyhow::Result<Vec<Vec<Option<String>>>> {
        let mut rows = Vec::new();
        self.questions(sql, parameters, &mut |answer| {
            if let Answer::Row(row) = answer {
                rows.push(row);
            }
        })?;
        Ok(rows)
    }
}
