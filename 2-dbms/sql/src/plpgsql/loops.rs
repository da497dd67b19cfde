//! Loops.

use tuplix_types::Result;

use super::Parser;
use super::ast::{Expression, LoopBody, Name, Query, StatementKind};
use super::scope::{Known, ScopeKind};
use super::sql::{Span, Stop};
use crate::parser::lexer::Token;

/// What a `FOR` loop goes over; its body is still to come.
enum Over {
    Integers { reverse: bool, lower: Expression, upper: Expression, step: Option<Expression> },
    Query(Query),
    Execute { query: Expression, using: Vec<Expression> },
    Cursor { cursor: Name, arguments: Vec<Expression> },
}

const LOOP: Stop = Stop::Word("loop");

impl Parser<'_> {
    /// A loop; its label was taken already.
    pub(super) fn loop_statement(&mut self, label: Option<String>) -> Result<StatementKind> {
        self.scopes.push(ScopeKind::Loop, label.clone());
        let kind = if self.tokens.take_word("loop")? {
            StatementKind::Loop(self.loop_body(label)?)
        } else if self.tokens.take_word("while")? {
            let (condition, _) = self.expression(&[LOOP], "LOOP")?;
            StatementKind::While { condition, body: self.loop_body(label)? }
        } else if self.tokens.take_word("for")? {
            self.for_loop(label)?
        } else if self.tokens.take_word("foreach")? {
            self.foreach(label)?
        } else {
            return Err(self.tokens.syntax_error());
        };
        self.scopes.pop();
        Ok(kind)
    }

    /// `statements END LOOP [label];`
    fn loop_body(&mut self, label: Option<String>) -> Result<LoopBody> {
        let statements = self.statements()?;
        self.tokens.expect_word("end")?;
        self.tokens.expect_word("loop")?;
        self.end_label(&label)?;
        self.tokens.expect_char(';')?;
        Ok(LoopBody { label, statements })
    }

    fn for_loop(&mut self, label: Option<String>) -> Result<StatementKind> {
        let mut targets = self.names()?;
        self.tokens.expect_word("in")?;
        let over = if self.tokens.take_word("execute")? {
            self.over_execute()?
        } else if let Some(cursor) = self.over_cursor()? {
            cursor
        } else {
            self.over_integers_or_query()?
        };
        let own_variable = match over {
            Over::Integers { .. } => Some("integer"),
            Over::Cursor { .. } => Some("cursor"),
            Over::Query(_) | Over::Execute { .. } => None,
        };
        if let Some(kind) = own_variable {
            self.loop_variable(&targets, kind)?;
        }
        let body = self.loop_body(label)?;
        Ok(match over {
            Over::Integers { reverse, lower, upper, step } => StatementKind::ForInteger {
                variable: targets.swap_remove(0),
                reverse,
                lower,
                upper,
                step,
                body,
            },
            Over::Cursor { cursor, arguments } => {
                StatementKind::ForCursor { variable: targets.swap_remove(0), cursor, arguments, body }
            }
            Over::Query(query) => StatementKind::ForQuery { targets, query, body },
            Over::Execute { query, using } => StatementKind::ForExecute { targets, query, using, body },
        })
    }

    /// The one variable that the loop declares for itself.
    fn loop_variable(&mut self, targets: &[Name], kind: &str) -> Result<()> {
        if let [Name { parts, .. }] = targets
            && let [name] = parts.as_slice()
        {
            self.scopes.declare(name, Known::Variable);
            return Ok(());
        }
        let offset = targets.first().map_or(0, |name| name.offset);
        Err(self.tokens.error_plain(&format!("{kind} FOR loop must have only one target variable"), offset))
    }

    /// After `EXECUTE`.
    fn over_execute(&mut self) -> Result<Over> {
        let (query, stop) = self.expression(&[LOOP, Stop::Word("using")], "LOOP or USING")?;
        let using =
            if stop == Stop::Word("using") { self.expressions(LOOP, ", or LOOP")? } else { Vec::new() };
        Ok(Over::Execute { query, using })
    }

    /// A cursor that the body declares, if one comes.
    fn over_cursor(&mut self) -> Result<Option<Over>> {
        let Some((cursor, known)) = self.peek_cursor()? else { return Ok(None) };
        match known {
            Known::BoundCursor(parameters) => {
                self.name()?;
                let arguments = self.cursor_arguments(&cursor, &parameters, LOOP)?;
                Ok(Some(Over::Cursor { cursor, arguments }))
            }
            _ => {
                let message = "cursor FOR loop must use a bound cursor variable";
                Err(self.tokens.error_plain(message, cursor.offset))
            }
        }
    }

    /// `[REVERSE] a .. b [BY c] LOOP` or a query: the first `..` or LOOP tells.
    fn over_integers_or_query(&mut self) -> Result<Over> {
        let offset = self.tokens.offset()?;
        let reverse = self.tokens.take_word("reverse")?;
        let (span, stop) = self.read_until(&[Stop::DotDot, LOOP], "LOOP", "expression")?;
        if stop == Stop::DotDot {
            let lower = self.checked_expression(span)?;
            let (upper, stop) = self.expression(&[LOOP, Stop::Word("by")], "LOOP")?;
            let step =
                if stop == Stop::Word("by") { Some(self.expression(&[LOOP], "LOOP")?.0) } else { None };
            return Ok(Over::Integers { reverse, lower, upper, step });
        }
        if reverse {
            return Err(self.tokens.error_plain("cannot specify REVERSE in query FOR loop", offset));
        }
        let Span { start, .. } = span;
        Ok(Over::Query(self.checked_query(self.slice(span).to_owned(), start)?))
    }

    /// `FOREACH target [SLICE n] IN ARRAY expression LOOP`
    fn foreach(&mut self, label: Option<String>) -> Result<StatementKind> {
        let targets = self.names()?;
        let mut slice = 0;
        if self.tokens.take_word("slice")? {
            let Some(Token::Integer(number)) = self.tokens.peek(0)?.map(|lexeme| lexeme.token.clone()) else {
                return Err(self.tokens.syntax_error());
            };
            self.tokens.take()?;
            slice = number;
        }
        self.tokens.expect_word("in")?;
        self.tokens.expect_word("array")?;
        let (array, _) = self.expression(&[LOOP], "LOOP")?;
        Ok(StatementKind::ForEach { targets, slice, array, body: self.loop_body(label)? })
    }
}
