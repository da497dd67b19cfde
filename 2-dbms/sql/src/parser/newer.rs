//! Constructs that PostgreSQL 18's grammar takes and PostgreSQL 15 does not.
//!
//! `server_version` says 15, and a service must run unchanged on a PostgreSQL 15, so what is newer
//! is refused here: with PostgreSQL 15's own error where that is easy to tell, otherwise with 0A000
//! and the construct's name. Newer functions (`any_value`) and options are unknown names, which the
//! analyzer refuses like any other.

use pg_query::protobuf::{AlterTableType, CoercionForm, ConstrType, MergeMatchKind, ParseResult};
use tuplix_types::{Result, SqlError, sqlstate};

use super::NESTING_MAX;
use super::decode::too_complex;
use super::lexer::{Lexer, Token};
use super::text::position;
use super::walk::{Visitor, walk};

/// Refuses a tree that is nested too deeply or has newer constructs.
pub(super) fn check(tree: &ParseResult, text: &str) -> Result<()> {
    let mut finder = Finder { open: Vec::new(), found: None };
    if !walk(tree, &mut finder, NESTING_MAX) {
        return Err(too_complex());
    }
    if let Some(found) = finder.found {
        return Err(found.error(text));
    }
    Ok(())
}

/// Refuses numbers that PostgreSQL 15 does not scan: `0x1F`, `0o17`, `0b1`, `1_000`, `$1a`.
pub(super) fn check_numbers(text: &str) -> Result<()> {
    let bytes = text.as_bytes();
    let junk = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80;
    let suspicious = bytes.windows(2).any(|pair| pair[0].is_ascii_digit() && junk(pair[1]));
    if !suspicious {
        return Ok(());
    }
    let mut lexer = Lexer::new(text);
    while lexer.next_token()?.is_some() {}
    Ok(())
}

/// The structs whose mere presence is too new, with their names for people.
const STRUCTS: &[(&str, &str)] = &[
    ("JsonTable", "JSON_TABLE"),
    ("JsonFuncExpr", "an SQL/JSON query function"),
    ("JsonParseExpr", "JSON()"),
    ("JsonScalarExpr", "JSON_SCALAR()"),
    ("JsonSerializeExpr", "JSON_SERIALIZE()"),
    ("JsonObjectConstructor", "JSON_OBJECT() with SQL/JSON syntax"),
    ("JsonArrayConstructor", "JSON_ARRAY()"),
    ("JsonArrayQueryConstructor", "JSON_ARRAY()"),
    ("JsonObjectAgg", "JSON_OBJECTAGG()"),
    ("JsonArrayAgg", "JSON_ARRAYAGG()"),
    ("JsonIsPredicate", "IS JSON"),
    ("MergeSupportFunc", "MERGE_ACTION()"),
    ("ReturningOption", "RETURNING WITH"),
];

/// Something too new.
struct Found {
    kind: Kind,
    /// Byte offset of the construct, or of something in it; negative when nothing has one.
    location: i64,
}

#[derive(Clone, Copy)]
enum Kind {
    Named(&'static str),
    /// A subquery in FROM without an alias; `true` for VALUES.
    NoAlias(bool),
}

impl Found {
    fn error(&self, text: &str) -> SqlError {
        let offset = usize::try_from(self.location).ok();
        match self.kind {
            Kind::Named(name) => SqlError::unsupported(format!("{name}, which is newer than PostgreSQL 15,"))
                .at(offset.map(|offset| position(text, offset))),
            Kind::NoAlias(values) => {
                let (what, example) =
                    if values { ("VALUES", "(VALUES ...)") } else { ("subquery", "(SELECT ...)") };
                let offset = offset.and_then(|offset| subquery_start(text, offset));
                SqlError::new(sqlstate::SYNTAX_ERROR, format!("{what} in FROM must have an alias"))
                    .hint(format!("For example, FROM {example} [AS] foo."))
                    .at(offset.map(|offset| position(text, offset)))
            }
        }
    }
}

/// The parenthesis that opens the subquery which the byte at `inside` is part of.
fn subquery_start(text: &str, inside: usize) -> Option<usize> {
    let mut open = Vec::new();
    let mut lexer = Lexer::new(text);
    let mut after_parenthesis = false;
    while let Ok(Some(lexeme)) = lexer.next_token() {
        if lexeme.start >= inside {
            break;
        }
        match &lexeme.token {
            Token::Other('(') => open.push((lexeme.start, false)),
            Token::Other(')') => {
                open.pop();
            }
            Token::Ident { name, quoted: false }
                if after_parenthesis && matches!(name.as_str(), "select" | "values" | "with" | "table") =>
            {
                if let Some(last) = open.last_mut() {
                    last.1 = true;
                }
            }
            _ => {}
        }
        after_parenthesis = lexeme.token == Token::Other('(');
    }
    open.iter().rev().find(|(_, subquery)| *subquery).map(|(start, _)| *start)
}

/// A struct that is being visited, with what of its fields the verdict needs.
struct Open {
    name: &'static str,
    parent: (&'static str, &'static str),
    /// The first location in it, negative so far.
    location: i64,
    /// What is wrong with it, so far.
    found: Option<Kind>,
    /// `contype` of a constraint, `funcformat` of a call.
    kind: i64,
    /// An alias of a subquery, keys of a constraint.
    named: bool,
    /// Of a constraint, whether it is enforced.
    enforced: bool,
    /// Of a subquery, whether it is VALUES.
    values: bool,
    /// Of a call, how many arguments it has.
    arguments: usize,
    /// Of a call, what its name means when SQL syntax made the call of it.
    meaning: Option<Meaning>,
}

/// A function whose SQL syntax may be too new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    SystemUser,
    TimeZone,
}

struct Finder {
    open: Vec<Open>,
    found: Option<Found>,
}

impl Finder {
    fn mark(&mut self, kind: Kind) {
        if let Some(open) = self.open.last_mut() {
            open.found.get_or_insert(kind);
        }
    }
}

impl Visitor for Finder {
    fn enter(&mut self, name: &'static str, parent: (&'static str, &'static str)) {
        let found = match (name, parent) {
            ("ReturningClause", ("MergeStmt", _)) => Some(Kind::Named("MERGE ... RETURNING")),
            _ => STRUCTS.iter().find(|(newer, _)| *newer == name).map(|(_, what)| Kind::Named(what)),
        };
        self.open.push(Open {
            name,
            parent,
            location: -1,
            found,
            kind: 0,
            named: false,
            enforced: false,
            values: false,
            arguments: 0,
            meaning: None,
        });
    }

    fn number(&mut self, name: &'static str, field: &'static str, value: i64) {
        let Some(open) = self.open.last_mut() else { return };
        match (name, field) {
            (_, "location") if value >= 0 => open.location = value,
            ("MergeWhenClause", "match_kind")
                if value == MergeMatchKind::MergeWhenNotMatchedBySource as i64 =>
            {
                self.mark(Kind::Named("WHEN NOT MATCHED BY SOURCE"));
            }
            ("Constraint", "contype") | ("FuncCall", "funcformat") => {
                open.kind = value;
            }
            ("Constraint", "is_enforced") => open.enforced = value != 0,
            ("Constraint", "without_overlaps") if value != 0 => self.mark(Kind::Named("WITHOUT OVERLAPS")),
            ("Constraint", "fk_with_period" | "pk_with_period") if value != 0 => {
                self.mark(Kind::Named("PERIOD"))
            }
            ("AlterTableCmd", "subtype") if value == AlterTableType::AtSetExpression as i64 => {
                self.mark(Kind::Named("SET EXPRESSION"));
            }
            ("XmlSerialize", "indent") if value != 0 => self.mark(Kind::Named("INDENT")),
            _ => {}
        }
    }

    fn text(&mut self, name: &'static str, field: &'static str, value: &str) {
        match (name, field) {
            ("Constraint", "generated_kind") if value == "v" => {
                self.mark(Kind::Named("GENERATED ALWAYS AS without STORED"));
            }
            ("ColumnDef", "storage_name") if !value.is_empty() => {
                self.mark(Kind::Named("STORAGE in CREATE TABLE"))
            }
            // A name is a String node in the call's list.
            ("String", "sval") if self.in_function_name() => {
                let meaning = match value {
                    "system_user" => Some(Meaning::SystemUser),
                    "timezone" => Some(Meaning::TimeZone),
                    _ => None,
                };
                if let Some(call) = self.open.iter_mut().rev().nth(1) {
                    call.meaning = meaning;
                }
            }
            _ => {}
        }
    }

    fn present(&mut self, name: &'static str, field: &'static str, count: usize) {
        let Some(open) = self.open.last_mut() else { return };
        match (name, field) {
            ("RangeSubselect", "alias") | ("Constraint", "keys") => open.named = true,
            ("SelectStmt", "values_lists") => open.values = true,
            ("FuncCall", "args") => open.arguments = count,
            _ => {}
        }
    }

    fn leave(&mut self, _: &'static str) {
        let Some(mut left) = self.open.pop() else { return };
        left.found = left.found.or_else(|| verdict(&left));
        if self.found.is_none()
            && let Some(kind) = left.found
        {
            // Without a place of its own, the place of what it stands in.
            let outer = self.open.iter().rev().map(|open| open.location).find(|location| *location >= 0);
            let location = if left.location >= 0 { left.location } else { outer.unwrap_or(-1) };
            self.found = Some(Found { kind, location });
        }
        if let Some(outer) = self.open.last_mut() {
            if outer.location < 0 {
                outer.location = left.location;
            }
            if outer.name == "RangeSubselect" && left.name == "SelectStmt" {
                outer.values = left.values;
            }
        }
    }
}

impl Finder {
    fn in_function_name(&self) -> bool {
        self.open.last().is_some_and(|open| open.parent == ("FuncCall", "funcname"))
    }
}

/// What only the whole struct tells.
fn verdict(left: &Open) -> Option<Kind> {
    match left.name {
        "RangeSubselect" if !left.named => Some(Kind::NoAlias(left.values)),
        "Constraint" => constraint_verdict(left),
        "FuncCall" if left.kind == CoercionForm::CoerceSqlSyntax as i64 => match left.meaning {
            Some(Meaning::SystemUser) => Some(Kind::Named("SYSTEM_USER")),
            Some(Meaning::TimeZone) if left.arguments == 1 => Some(Kind::Named("AT LOCAL")),
            _ => None,
        },
        _ => None,
    }
}

fn constraint_verdict(left: &Open) -> Option<Kind> {
    let is = |kind: ConstrType| left.kind == kind as i64;
    if is(ConstrType::ConstrNotnull) && left.named {
        return Some(Kind::Named("NOT NULL as a table constraint"));
    }
    let attribute = is(ConstrType::ConstrAttrEnforced) || is(ConstrType::ConstrAttrNotEnforced);
    let checked = is(ConstrType::ConstrCheck) || is(ConstrType::ConstrForeign);
    (attribute || checked && !left.enforced).then_some(Kind::Named("ENFORCED"))
}
