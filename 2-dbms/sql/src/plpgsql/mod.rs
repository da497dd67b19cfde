//! PL/pgSQL: from the text of a body to its own tree.
//!
//! PostgreSQL's PL/pgSQL parser looks types and tables up while it parses, which is why the one in
//! libpg_query fails on everything user-defined. This parser follows `pl_gram.y` statement by
//! statement and looks nothing up: every piece of SQL is found by its end, checked by PostgreSQL's
//! grammar ([`crate::parser`]) and kept with its tree, and the [analyzer](crate) resolves the names.
//!
//! ```text
//! body -> tokens -> statements, loops, declarations ... -> ast::Body
//!                        | every expression, assignment, statement of SQL
//!                        v
//!                   crate::parser
//! ```
//!
//! Differences to PostgreSQL's parser, all because names are not resolved here: what is "not a known
//! variable" is said by the analyzer; a statement that begins with a word and `:=`, `=` or `[` is an
//! assignment whatever the word.

mod ast;
mod cursors;
mod declarations;
mod diagnostics;
mod errors;
mod keywords;
mod loops;
mod raise;
mod scope;
mod sql;
mod statements;
mod tokens;

pub use ast::*;
pub use errors::place_error;
use tuplix_types::Result;

use scope::Scopes;
use tokens::Tokens;

/// The most levels that blocks, loops and conditions may nest; deeper ones are 54001.
pub const NESTING_MAX: usize = 100;

/// The name that PostgreSQL gives the body of a `DO` statement.
pub const INLINE_NAME: &str = "inline_code_block";

/// Parses the body of a function, procedure or trigger, or of a `DO` statement ([`INLINE_NAME`]).
///
/// # Errors
/// 42601 and others with PostgreSQL's wording. An error about a place in the body has its position
/// there, in characters of the body from 1, which [`place_error`] moves to the statement around it;
/// any other has the context `compilation of PL/pgSQL function "name" near line n`.
pub fn parse_body(body: &str, function: &str) -> Result<Body> {
    let mut parser = Parser { tokens: Tokens::new(body), scopes: Scopes::default(), depth: 0 };
    parser.body().map_err(|error| {
        if error.fields().position.is_some() {
            return error;
        }
        let line = parser.tokens.line_taken();
        error.context(errors::near_line(function, line))
    })
}

/// What parsing a body needs to remember.
struct Parser<'a> {
    tokens: Tokens<'a>,
    scopes: Scopes,
    /// How many lists of statements are open.
    depth: usize,
}

impl Parser<'_> {
    /// `#options`, the outermost block, an optional semicolon, the end.
    fn body(&mut self) -> Result<Body> {
        let mut variable_conflict = VariableConflict::default();
        let mut print_strict_params = None;
        while self.tokens.take_operator("#")? {
            if self.tokens.take_word("variable_conflict")? {
                variable_conflict = match self.tokens.word(0)? {
                    Some("error") => VariableConflict::Error,
                    Some("use_variable") => VariableConflict::UseVariable,
                    Some("use_column") => VariableConflict::UseColumn,
                    _ => return Err(self.tokens.syntax_error()),
                };
                self.tokens.take()?;
            } else if self.tokens.take_word("print_strict_params")? {
                print_strict_params = Some(self.on_or_off()?);
            } else {
                // PostgreSQL's own debugging aid, which changes nothing that clients see.
                self.tokens.expect_word("option")?;
                self.tokens.expect_word("dump")?;
            }
        }
        let label = self.label()?;
        let block = self.block(label)?;
        self.tokens.take_char(';')?;
        if self.tokens.peek(0)?.is_some() {
            return Err(self.tokens.syntax_error());
        }
        Ok(Body { variable_conflict, print_strict_params, block })
    }

    fn on_or_off(&mut self) -> Result<bool> {
        let value = self.tokens.take_identifier()?;
        match value.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(tuplix_types::SqlError::internal(format!(
                "unrecognized print_strict_params option {value}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
