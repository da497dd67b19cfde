//! The SQL inside PL/pgSQL: found by its end, checked by PostgreSQL's grammar.

use tuplix_types::{Result, SqlError};

use super::Parser;
use super::ast::{Assignment, Expression, Into, Name, Query};
use crate::parser::lexer::{Lexeme, Token};
use crate::parser::{self, position};

/// What ends a piece of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Semicolon,
    Comma,
    RightParenthesis,
    DotDot,
    /// The end of the body.
    End,
    /// A reserved key word.
    Word(&'static str),
}

impl Stop {
    fn is(self, token: &Token) -> bool {
        match self {
            Stop::Semicolon => *token == Token::Other(';'),
            Stop::Comma => *token == Token::Other(','),
            Stop::RightParenthesis => *token == Token::Other(')'),
            Stop::DotDot => *token == Token::DotDot,
            Stop::End => false,
            Stop::Word(word) => matches!(token, Token::Ident { name, quoted: false } if name == word),
        }
    }
}

/// A piece of the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

impl Parser<'_> {
    /// Takes tokens up to one of `stops` outside parentheses, and that one too. `expected` names the
    /// stops in the complaint that none came.
    pub(super) fn read_until(&mut self, stops: &[Stop], expected: &str, what: &str) -> Result<(Span, Stop)> {
        let start = self.tokens.offset()?;
        let mut end = start;
        let mut depth = 0_usize;
        loop {
            let lexeme = self.tokens.take()?;
            let stop = match &lexeme {
                Some(lexeme) => stops.iter().copied().find(|stop| depth == 0 && stop.is(&lexeme.token)),
                // PostgreSQL takes the end for the stop where fewer than three are possible; what
                // is wrong then shows when the text is checked, or in the statement after it.
                None => (depth == 0 && stops.len() < 3).then_some(Stop::End),
            };
            if let Some(stop) = stop {
                if end == start {
                    if lexeme.is_some() {
                        self.tokens.put_back();
                    }
                    let missing =
                        if what == "expression" { "missing expression" } else { "missing SQL statement" };
                    return Err(self.tokens.error(missing));
                }
                return Ok((Span { start, end }, stop));
            }
            let Some(lexeme) = lexeme else { return Err(self.unfinished(depth, expected, what, true)) };
            match lexeme.token {
                Token::Other('(' | '[') => depth += 1,
                Token::Other(')' | ']') if depth == 0 => {
                    self.tokens.put_back();
                    return Err(self.tokens.error("mismatched parentheses"));
                }
                Token::Other(')' | ']') => depth -= 1,
                Token::Other(';') => return Err(self.unfinished(depth, expected, what, false)),
                _ => {}
            }
            end = lexeme.end;
        }
    }

    /// The complaint that a piece of SQL did not end as expected; the token that showed it was taken.
    fn unfinished(&mut self, depth: usize, expected: &str, what: &str, at_end: bool) -> SqlError {
        if !at_end {
            self.tokens.put_back();
        }
        if depth != 0 {
            return self.tokens.error("mismatched parentheses");
        }
        match self.tokens.offset() {
            Ok(offset) => {
                self.tokens.error_plain(&format!("missing \"{expected}\" at end of SQL {what}"), offset)
            }
            Err(error) => error,
        }
    }

    /// An expression up to one of the stops.
    pub(super) fn expression(&mut self, stops: &[Stop], expected: &str) -> Result<(Expression, Stop)> {
        let (span, stop) = self.read_until(stops, expected, "expression")?;
        Ok((self.checked_expression(span)?, stop))
    }

    pub(super) fn checked_expression(&self, span: Span) -> Result<Expression> {
        let text = self.slice(span);
        let select = parser::parse_expression(text).map_err(|error| self.placed(error, span.start))?;
        Ok(Expression {
            text: text.to_owned(),
            offset: span.start,
            line: self.tokens.line(span.start),
            select: Box::new(select),
        })
    }

    pub(super) fn expression_until_semicolon(&mut self) -> Result<Expression> {
        Ok(self.expression(&[Stop::Semicolon], ";")?.0)
    }

    /// `expression, ...` up to `last`.
    pub(super) fn expressions(&mut self, last: Stop, expected: &str) -> Result<Vec<Expression>> {
        let mut list = Vec::new();
        loop {
            let (expression, stop) = self.expression(&[Stop::Comma, last], expected)?;
            list.push(expression);
            if stop != Stop::Comma {
                return Ok(list);
            }
        }
    }

    /// A statement of SQL up to the semicolon.
    pub(super) fn query_until_semicolon(&mut self) -> Result<Query> {
        let (span, _) = self.read_until(&[Stop::Semicolon], ";", "statement")?;
        self.checked_query(self.slice(span).to_owned(), span.start)
    }

    /// Parses SQL text that stands at `offset` of the body.
    pub(super) fn checked_query(&self, text: String, offset: usize) -> Result<Query> {
        let mut statements = parser::parse(&text).map_err(|error| self.placed(error, offset))?.into_iter();
        let (Some(statement), None) = (statements.next(), statements.next()) else {
            return Err(self.tokens.error_plain("missing SQL statement", offset));
        };
        Ok(Query { text, offset, line: self.tokens.line(offset), node: Box::new(statement.node) })
    }

    /// `PERFORM ...;`, checked as the `SELECT` it stands for. The key word is still to come.
    pub(super) fn perform(&mut self) -> Result<Query> {
        let (span, _) = self.read_until(&[Stop::Semicolon], ";", "statement")?;
        // SELECT is one byte shorter, so it begins one byte later and all other offsets hold.
        let rest = Span { start: span.start + "perform".len(), end: span.end };
        self.checked_query(format!("SELECT{}", self.slice(rest)), span.start + 1)
    }

    /// `target := expression;`
    pub(super) fn assignment(&mut self) -> Result<Assignment> {
        let (span, _) = self.read_until(&[Stop::Semicolon], ";", "statement")?;
        let text = self.slice(span);
        let tree = parser::parse_assignment(text, 1).map_err(|error| self.placed(error, span.start))?;
        Ok(Assignment {
            text: text.to_owned(),
            offset: span.start,
            line: self.tokens.line(span.start),
            tree: Box::new(tree),
        })
    }

    /// Any statement of SQL up to its semicolon, with a PL/pgSQL `INTO` found and taken out.
    ///
    /// Semicolons in parentheses (CREATE RULE) and in a routine's own BEGIN ... END do not end it.
    pub(super) fn sql_statement(&mut self) -> Result<(Query, Option<Into>)> {
        let start = self.tokens.offset()?;
        let import = self.tokens.is_word(0, "import")?;
        let mut routine = RoutineDefinition::default();
        let mut previous: Option<Token> = None;
        let mut parentheses = 0_usize;
        let mut into: Option<(Into, Span)> = None;
        let end = loop {
            let Some(Lexeme { token, start: at, .. }) = self.tokens.take()? else {
                return Err(self.tokens.error("unexpected end of function definition"));
            };
            let blocks = routine.see(&token, parentheses == 0);
            match &token {
                Token::Other('(') => parentheses += 1,
                Token::Other(')') => parentheses = parentheses.saturating_sub(1),
                Token::Other(';') if parentheses == 0 && blocks == 0 => break at,
                Token::Ident { name, quoted: false } if name == "into" => {
                    let of_sql = import || is_word(&previous, "insert") || is_word(&previous, "merge");
                    if !of_sql {
                        if into.is_some() {
                            self.tokens.put_back();
                            return Err(self.tokens.error("INTO specified more than once"));
                        }
                        let target = self.target_of_into(true)?;
                        into = Some((target, Span { start: at, end: self.tokens.offset()? }));
                    }
                }
                _ => {}
            }
            previous = Some(token);
        };
        let mut text = self.slice(Span { start, end }).to_owned();
        if let Some((_, span)) = &into {
            let blanks = " ".repeat(span.end - span.start);
            text.replace_range(span.start - start..span.end - start, &blanks);
        }
        text.truncate(text.trim_end_matches([' ', '\t', '\n', '\r', '\x0C']).len());
        Ok((self.checked_query(text, start)?, into.map(|(into, _)| into)))
    }

    /// What follows `INTO`.
    pub(super) fn target_of_into(&mut self, strict_allowed: bool) -> Result<Into> {
        let strict = strict_allowed && self.tokens.take_word("strict")?;
        Ok(Into { strict, targets: self.names()? })
    }

    /// `name, ...`
    pub(super) fn names(&mut self) -> Result<Vec<Name>> {
        let mut names = vec![self.name()?];
        while self.tokens.take_char(',')? {
            names.push(self.name()?);
        }
        Ok(names)
    }

    /// A name of up to three parts joined by dots; the first may be `$1`.
    pub(super) fn name(&mut self) -> Result<Name> {
        let length = self.tokens.name_length(0)?;
        if length == 0 {
            return Err(self.tokens.syntax_error());
        }
        let offset = self.tokens.offset()?;
        let mut parts = Vec::new();
        for _ in 0..length {
            match self.tokens.take()?.map(|lexeme| lexeme.token) {
                Some(Token::Ident { name, .. }) => parts.push(name),
                Some(Token::Parameter(number)) => parts.push(format!("${number}")),
                _ => {}
            }
        }
        Ok(Name { parts, offset, line: self.tokens.line(offset) })
    }

    pub(super) fn slice(&self, span: Span) -> &str {
        self.tokens.body().get(span.start..span.end).unwrap_or_default()
    }

    /// An error about SQL at `offset` of the body, moved to its place in the body.
    pub(super) fn placed(&self, mut error: SqlError, offset: usize) -> SqlError {
        let base = position(self.tokens.body(), offset);
        let inside = error.fields().position.unwrap_or(1);
        error.fields_mut().position = Some(base + inside - 1);
        error
    }
}

fn is_word(token: &Option<Token>, word: &str) -> bool {
    matches!(token, Some(Token::Ident { name, quoted: false }) if name == word)
}

/// Recognizes `CREATE [OR REPLACE] {FUNCTION | PROCEDURE}` and counts the BEGIN and CASE in it.
#[derive(Default)]
struct RoutineDefinition {
    /// How many tokens were seen.
    seen: usize,
    /// The first tokens as letters: c(reate), o(r), r(eplace), f(unction or procedure).
    letters: String,
    depth: usize,
}

impl RoutineDefinition {
    /// Sees one more token; how many BEGIN and CASE are open after it.
    fn see(&mut self, token: &Token, outside_parentheses: bool) -> usize {
        let word = match token {
            Token::Ident { name, quoted: false } => name.as_str(),
            _ => "",
        };
        if self.seen < 4 {
            self.letters.push(match word {
                "create" => 'c',
                "or" => 'o',
                "replace" => 'r',
                "function" | "procedure" => 'f',
                _ => '-',
            });
            self.seen += 1;
        }
        let inside = self.letters.starts_with("cf") || self.letters == "corf";
        if inside && outside_parentheses {
            match word {
                "begin" | "case" => self.depth += 1,
                "end" => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        self.depth
    }
}
