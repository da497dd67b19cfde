//! What Tab offers: keywords, and the names of the catalogue that fit at the place.
//!
//! The catalogue is asked when Tab is pressed for the first time after a statement, over the shell's own connection, so that
//! tables made in an open transaction are there too.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use rustyline::completion::{Completer, FilenameCompleter};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::backslash::COMMANDS;
use super::link::Link;

/// Words behind which a table comes.
const BEFORE_TABLES: [&str; 10] =
    ["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "TRUNCATE", "REFERENCES", "ANALYZE", "VACUUM", "COPY"];
/// Words behind which a setting comes.
const BEFORE_SETTINGS: [&str; 3] = ["SET", "SHOW", "RESET"];
/// Words within statements.
const KEYWORDS: &str = include_str!("keywords.txt");
/// Words that statements begin with.
const STATEMENTS: [&str; 40] = [
    "ABORT",
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CHECKPOINT",
    "CLOSE",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DISCARD",
    "DO",
    "DROP",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "GRANT",
    "INSERT",
    "LISTEN",
    "LOCK",
    "MERGE",
    "MOVE",
    "NOTIFY",
    "PREPARE",
    "RELEASE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "TABLE",
    "TRUNCATE",
    "UPDATE",
];

/// A table, column, function, schema or setting.
#[derive(Debug)]
struct Name {
    /// `r`, `c`, `f`, `n`, `s`, as sql/names.sql has them.
    kind: char,
    schema: String,
    /// Of a column: its table's.
    name: String,
    visible: bool,
    /// A column's name; a relation's kind.
    more: String,
}

/// The line editor's helper.
pub(super) struct Assistant {
    link: Rc<RefCell<Link>>,
    place: Rc<Place>,
    names: RefCell<Vec<Name>>,
    files: FilenameCompleter,
}

/// What the shell tells the helper.
#[derive(Default)]
pub(super) struct Place {
    /// The lines of the statement before the one that is edited.
    pub(super) before: RefCell<String>,
    /// Something ran since the catalogue was read.
    pub(super) changed: Cell<bool>,
}

impl Assistant {
    pub(super) fn new(link: Rc<RefCell<Link>>, place: Rc<Place>) -> Assistant {
        place.changed.set(true);
        Assistant { link, place, names: RefCell::default(), files: FilenameCompleter::new() }
    }

    /// Reads the catalogue when it may have changed. In a failed transaction, or without a node, what was known has to do.
    fn refresh(&self) {
        let mut link = self.link.borrow_mut();
        if !self.place.changed.get() || !matches!(link.status(), Some(b'I' | b'T')) {
            return;
        }
        if let Ok(rows) = link.rows(include_str!("sql/names.sql"), &[]) {
            *self.names.borrow_mut() = rows.into_iter().filter_map(name).collect();
            self.place.changed.set(false);
        }
    }
}

fn name(row: Vec<Option<String>>) -> Option<Name> {
    let mut fields = row.into_iter().map(Option::unwrap_or_default);
    Some(Name {
        kind: fields.next()?.chars().next()?,
        schema: fields.next()?,
        name: fields.next()?,
        visible: fields.next()? == "t",
        more: fields.next()?,
    })
}

impl Helper for Assistant {}
impl Highlighter for Assistant {}
impl Validator for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..position];
        if self.place.before.borrow().is_empty() && typed.starts_with('\\') {
            let Some((command, argument)) = typed.split_once(' ') else {
                return Ok((0, commands(typed)));
            };
            if matches!(command, "\\i" | "\\ir" | "\\o" | "\\g" | "\\copy") && !argument.is_empty() {
                let (start, found) = self.files.complete(line, position, context)?;
                return Ok((start, found.into_iter().map(|pair| pair.replacement).collect()));
            }
        }
        self.refresh();
        let start = typed
            .rfind(|char: char| !in_name(char))
            .map_or(0, |at| at + typed[at..].chars().next().map_or(1, char::len_utf8));
        let text = format!("{} {typed}", self.place.before.borrow());
        let names = self.names.borrow();
        Ok((start, candidates(&names, &text[..text.len() - (position - start)], &typed[start..])))
    }
}

fn in_name(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '.' | '"' | '$')
}

fn commands(typed: &str) -> Vec<String> {
    let names = COMMANDS.iter().map(|(name, _, _)| format!("\\{name}"));
    names.filter(|name| name.starts_with(typed)).collect()
}

/// What may stand behind `before` and begins with `word`.
fn candidates(names: &[Name], before: &str, word: &str) -> Vec<String> {
    let words: Vec<String> = words(before);
    let last = words.last().map(|word| word.to_uppercase()).unwrap_or_default();
    let mut found = BTreeSet::new();
    let mut offer = |text: String| {
        if text.to_lowercase().starts_with(&word.to_lowercase()) {
            found.insert(text);
        }
    };
    let is_command = words.first().is_some_and(|word| word.starts_with('\\'));
    if let Some((qualifier, _)) = word.rsplit_once('.') {
        for name in
            names.iter().filter(|name| matches!(name.kind, 'r' | 'f') && quoted(&name.schema) == qualifier)
        {
            offer(format!("{qualifier}.{}", quoted(&name.name)));
        }
        let table = table_of(&words, qualifier);
        for column in names.iter().filter(|name| name.kind == 'c' && is_of(name, &table)) {
            offer(format!("{qualifier}.{}", quoted(&column.more)));
        }
    } else if is_command || BEFORE_TABLES.contains(&last.as_str()) {
        for name in names.iter().filter(|name| name.kind == 'r' && name.more != "i" && name.visible) {
            offer(quoted(&name.name));
        }
        for schema in names.iter().filter(|name| name.kind == 'n') {
            offer(format!("{}.", quoted(&schema.name)));
        }
    } else if BEFORE_SETTINGS.contains(&last.as_str()) {
        names.iter().filter(|name| name.kind == 's').for_each(|name| offer(name.name.clone()));
    } else if words.is_empty() {
        STATEMENTS.iter().for_each(|keyword| offer(cased(keyword, word)));
    } else {
        let tables = tables(&words);
        for column in
            names.iter().filter(|name| name.kind == 'c' && tables.iter().any(|table| is_of(name, table)))
        {
            offer(quoted(&column.more));
        }
        if !word.is_empty() {
            KEYWORDS.split_whitespace().for_each(|keyword| offer(cased(keyword, word)));
            for name in names.iter().filter(|name| name.kind == 'f' && name.visible) {
                offer(quoted(&name.name));
            }
        }
    }
    found.into_iter().collect()
}

/// The words of the statement that a text ends in; commas and parentheses are words too.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for char in text.chars().chain([' ']) {
        if in_name(char) || (char == '\\' && word.is_empty()) {
            word.push(char);
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        match char {
            ';' => words.clear(),
            ',' | '(' | ')' => words.push(char.to_string()),
            _ => {}
        }
    }
    words
}

/// The tables that a statement names.
fn tables(words: &[String]) -> Vec<String> {
    let pairs = words.windows(2);
    pairs
        .filter(|pair| BEFORE_TABLES.contains(&pair[0].to_uppercase().as_str()))
        .map(|pair| pair[1].clone())
        .collect()
}

/// The table that a qualifier means: an alias's, or itself.
fn table_of(words: &[String], qualifier: &str) -> String {
    let place = words.windows(2).position(|pair| pair[1] == qualifier && in_name_word(&pair[0]));
    match place {
        Some(at) if words[at].eq_ignore_ascii_case("as") && at > 0 => words[at - 1].clone(),
        Some(at) if !BEFORE_TABLES.contains(&words[at].to_uppercase().as_str()) => words[at].clone(),
        _ => qualifier.to_owned(),
    }
}

fn in_name_word(word: &str) -> bool {
    word.chars().all(in_name)
}

/// Whether a column is of a table that the statement calls so.
fn is_of(column: &Name, table: &str) -> bool {
    match table.rsplit_once('.') {
        Some((schema, name)) => quoted(&column.schema) == schema && quoted(&column.name) == name,
        None => {
            column.visible && quoted(&column.name) == table.to_lowercase() || quoted(&column.name) == table
        }
    }
}

/// A name as it is written in SQL.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name
            .chars()
            .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || matches!(char, '_' | '$'));
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A keyword in the case that the user writes.
fn cased(keyword: &str, word: &str) -> String {
    if word.starts_with(|first: char| first.is_lowercase()) {
        keyword.to_lowercase()
    } else {
        keyword.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Vec<Name> {
        let rows = [
            ('r', "public", "account", true, "r"),
            ('r', "os", "task", false, "r"),
            ('c', "public", "account", true, "balance"),
            ('c', "public", "account", true, "Odd Name"),
            ('c', "os", "task", false, "state"),
            ('n', "os", "os", true, ""),
            ('s', "", "search_path", true, ""),
            ('f', "public", "pay", true, ""),
        ];
        let name = |(kind, schema, name, visible, more): (char, &str, &str, bool, &str)| Name {
            kind,
            schema: schema.into(),
            name: name.into(),
            visible,
            more: more.into(),
        };
        rows.map(name).into_iter().collect()
    }

    #[test]
    fn names_fit_their_place() {
        for (text, expected) in [
            ("sel", "select"),
            ("SEL", "SELECT"),
            ("SELECT * FROM acc", "account"),
            ("SELECT * FROM ", "account os."),
            ("SELECT * FROM os.", "os.task"),
            ("SELECT * FROM account WHERE ba", "balance"),
            ("SELECT * FROM account whe", "when where"),
            ("SELECT * FROM account a WHERE a.", "a.\"Odd Name\" a.balance"),
            ("SELECT * FROM os.task AS t WHERE t.", "t.state"),
            ("UPDATE account SET ", "search_path"),
            ("SELECT pay", "pay"),
            ("SHOW sea", "search_path"),
            ("\\d acc", "account"),
            ("SELECT 1; sel", "select"),
        ] {
            let start = text.rfind(|char| !in_name(char)).map_or(0, |at| at + 1);
            assert_eq!(
                candidates(&catalogue(), &text[..start], &text[start..]).join(" "),
                expected,
                "{text}"
            );
        }
    }
}
