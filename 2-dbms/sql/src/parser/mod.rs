//! PostgreSQL's own grammar: from text to its raw parse tree.
//!
//! The tree is that of PostgreSQL 18's `gram.y` (crate `pg_query`), minus what PostgreSQL 15 does
//! not take ([`newer`]). Nothing is looked up in a catalogue: names are names, types are their
//! spelling. Every `location` in a tree is a byte offset in the text that was parsed;
//! [`position`] makes of it what clients want.
//!
//! ```text
//! text -> C library (ffi) -> bytes -> decode -> tree -> newer -> caller
//! ```

mod columns;
mod decode;
mod errors;
mod ffi;
mod keywords;
pub(crate) mod lexer;
mod lexer_strings;
mod newer;
mod references;
mod relations;
mod text;
mod walk;

use std::ffi::CString;

pub use pg_query::NodeEnum;
pub use pg_query::protobuf;
use pg_query::protobuf::{ParseResult, PlAssignStmt, SelectStmt, TypeName};
use tuplix_types::{Result, SqlError, sqlstate};

pub(crate) use columns::column_names;
use ffi::Mode;
pub use references::rename_column;
pub use relations::{RelationEdit, edit_relation};
pub use text::{line, position, quote_ident, quote_literal};

/// The most levels that statements may nest, counted in nodes of the tree; deeper ones are 54001.
///
/// An operator is one level, a call two (itself and its place in a list of targets), a subquery
/// about four. Lists of any length and chains of AND or OR are one level.
pub const NESTING_MAX: usize = 400;

/// The longest text in bytes that is parsed; longer ones are 54000.
pub const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One statement of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedStatement {
    /// Its tree. Locations in it are byte offsets in the whole text.
    pub node: NodeEnum,
    /// Its own part of the text, without the semicolon.
    pub text: String,
    /// The byte offset of that part in the whole text.
    pub offset: usize,
}

/// The statements of `sql`, separated by semicolons. Empty ones are left out.
///
/// # Errors
/// 42601 with PostgreSQL's wording and position; 54001 when a statement nests more than
/// [`NESTING_MAX`] levels; 0A000 for what is newer than PostgreSQL 15.
pub fn parse(sql: &str) -> Result<Vec<ParsedStatement>> {
    let tree = raw_parse(sql, Mode::Default)?;
    let mut statements = Vec::with_capacity(tree.stmts.len());
    for raw in tree.stmts {
        let Some(node) = raw.stmt.and_then(|node| node.node) else { continue };
        let start = usize::try_from(raw.stmt_location).unwrap_or(0).min(sql.len());
        let length = usize::try_from(raw.stmt_len).unwrap_or(0);
        let end = if length == 0 { sql.len() } else { (start + length).min(sql.len()) };
        let slice =
            sql.get(start..end).ok_or_else(|| SqlError::internal("a statement begins inside a character"))?;
        let trimmed = slice.trim_start_matches(is_space);
        let offset = start + slice.len() - trimmed.len();
        statements.push(ParsedStatement {
            node,
            text: trimmed.trim_end_matches(is_space).to_owned(),
            offset,
        });
    }
    Ok(statements)
}

/// What may follow `SELECT`: usually one expression, but PL/pgSQL takes `x FROM t WHERE ...` as well.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_expression(text: &str) -> Result<SelectStmt> {
    match single(raw_parse(text, Mode::PlpgsqlExpression)?)? {
        NodeEnum::SelectStmt(select) => Ok(*select),
        other => Err(unexpected("an expression", &other)),
    }
}

/// PL/pgSQL's `target := expression`, where the target begins with `target_names` (1 to 3) names
/// joined by dots that together are the variable; further fields and subscripts may follow.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_assignment(text: &str, target_names: usize) -> Result<PlAssignStmt> {
    let mode = match target_names {
        1 => Mode::PlpgsqlAssign1,
        2 => Mode::PlpgsqlAssign2,
        3 => Mode::PlpgsqlAssign3,
        _ => return Err(SqlError::internal("unexpected number of names")),
    };
    match single(raw_parse(text, mode)?)? {
        NodeEnum::PlassignStmt(assignment) => Ok(*assignment),
        other => Err(unexpected("an assignment", &other)),
    }
}

/// The name of a type with its modifiers: `numeric(10,2)`, `timestamp with time zone`, `text[]`,
/// `setof int`, `interval hour to minute`.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_type_name(text: &str) -> Result<TypeName> {
    // PostgreSQL's own mode says whether the text is a type and where it is wrong; its tree is no
    // statement and does not survive serialization, so the tree comes from a cast.
    let input = c_string(text)?;
    ffi::parse(&input, Mode::TypeName, |_| ()).map_err(|error| errors::sql_error(error, text))?;
    let cast = format!("CAST(NULL AS {text}\n)");
    let mut select = parse_expression(&cast)?;
    let target = select.target_list.pop().and_then(|node| node.node);
    if let Some(NodeEnum::ResTarget(target)) = target
        && let Some(NodeEnum::TypeCast(cast)) = target.val.and_then(|node| node.node)
        && let Some(name) = cast.type_name
    {
        return Ok(name);
    }
    Err(SqlError::new(sqlstate::SYNTAX_ERROR, format!("invalid type name \"{text}\"")))
}

/// The one statement of a fragment.
fn single(tree: ParseResult) -> Result<NodeEnum> {
    let mut statements = tree.stmts.into_iter().filter_map(|raw| raw.stmt.and_then(|node| node.node));
    match (statements.next(), statements.next()) {
        (Some(node), None) => Ok(node),
        _ => Err(SqlError::internal("the grammar gave no single statement")),
    }
}

fn unexpected(what: &str, node: &NodeEnum) -> SqlError {
    let shown = format!("{node:?}");
    let kind = shown.split('(').next().unwrap_or_default();
    SqlError::internal(format!("the grammar gave {kind} instead of {what}"))
}

fn raw_parse(text: &str, mode: Mode) -> Result<ParseResult> {
    let input = c_string(text)?;
    let bytes = ffi::parse(&input, mode, decode::decode).map_err(|error| errors::sql_error(error, text));
    newer::check_numbers(text)?;
    let tree = bytes??;
    newer::check(&tree, text)?;
    Ok(tree)
}

/// The text for the C library, which takes no NUL bytes.
fn c_string(text: &str) -> Result<CString> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(SqlError::new(
            sqlstate::PROGRAM_LIMIT_EXCEEDED,
            format!("the statement has more than {TEXT_BYTES_MAX} bytes"),
        ));
    }
    CString::new(text).map_err(|error| {
        SqlError::new(
            sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        )
        .at(Some(position(text, error.nul_position())))
    })
}

/// What PostgreSQL's scanner takes for white space.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0C')
}

#[cfg(test)]
mod tests;
