//! `DECLARE` sections.

use tuplix_types::{Result, SqlError, sqlstate};

use super::Parser;
use super::ast::{CursorArgument, DataType, DataTypeKind, Declaration, DeclarationKind};
use super::scope::Known;
use super::sql::Span;
use crate::parser::lexer::Token;
use crate::parser::{self, position};

impl Parser<'_> {
    /// Everything after `DECLARE` up to `BEGIN`.
    pub(super) fn declarations(&mut self) -> Result<Vec<Declaration>> {
        let mut declarations = Vec::new();
        loop {
            if self.tokens.is_word(0, "begin")? {
                return Ok(declarations);
            }
            if self.tokens.take_word("declare")? {
                continue;
            }
            let offset = self.tokens.offset()?;
            if self.tokens.take_operator("<<")? {
                self.tokens.take_identifier()?;
                self.tokens.expect_operator(">>")?;
                let message = "block label must be placed before DECLARE, not after";
                return Err(self.tokens.error_plain(message, offset));
            }
            declarations.push(self.declaration(offset)?);
        }
    }

    fn declaration(&mut self, offset: usize) -> Result<Declaration> {
        let name = self.tokens.take_identifier()?;
        if !self.scopes.declare(&name, Known::Variable) {
            self.tokens.put_back();
            return Err(self.tokens.error("duplicate declaration"));
        }
        let kind = if self.tokens.is_word(0, "alias")? {
            self.alias()?
        } else if self.is_cursor()? {
            self.cursor_declaration(&name)?
        } else {
            self.variable(&name)?
        };
        Ok(Declaration { name, offset, line: self.tokens.line(offset), kind })
    }

    /// `ALIAS FOR target;`
    fn alias(&mut self) -> Result<DeclarationKind> {
        self.tokens.expect_word("alias")?;
        self.tokens.expect_word("for")?;
        let target = self.name()?;
        self.tokens.expect_char(';')?;
        Ok(DeclarationKind::Alias { target: target.parts, offset: target.offset })
    }

    fn is_cursor(&mut self) -> Result<bool> {
        Ok(self.tokens.word(0)?.is_some_and(|word| matches!(word, "cursor" | "scroll" | "no")))
    }

    /// `[NO] SCROLL CURSOR [(arguments)] {IS | FOR} query;`
    fn cursor_declaration(&mut self, name: &str) -> Result<DeclarationKind> {
        let scroll = self.scroll()?;
        self.tokens.expect_word("cursor")?;
        let mut arguments: Vec<CursorArgument> = Vec::new();
        if self.tokens.take_char('(')? {
            loop {
                let offset = self.tokens.offset()?;
                let name = self.tokens.take_identifier()?;
                if arguments.iter().any(|argument| argument.name == name) {
                    self.tokens.put_back();
                    return Err(self.tokens.error("duplicate declaration"));
                }
                let data_type = self.data_type()?;
                arguments.push(CursorArgument { name, offset, line: self.tokens.line(offset), data_type });
                if !self.tokens.take_char(',')? {
                    break;
                }
            }
            self.tokens.expect_char(')')?;
        }
        if !self.tokens.take_word("is")? {
            self.tokens.expect_word("for")?;
        }
        let query = self.query_until_semicolon()?;
        let names = arguments.iter().map(|argument| argument.name.clone()).collect();
        self.scopes.redeclare(name, Known::BoundCursor(names));
        Ok(DeclarationKind::Cursor { scroll, arguments, query })
    }

    /// `[[NO] SCROLL]`
    pub(super) fn scroll(&mut self) -> Result<Option<bool>> {
        if self.tokens.take_word("scroll")? {
            return Ok(Some(true));
        }
        if self.tokens.take_word("no")? {
            self.tokens.expect_word("scroll")?;
            return Ok(Some(false));
        }
        Ok(None)
    }

    /// `[CONSTANT] type [COLLATE name] [NOT NULL] [{DEFAULT | := | =} expression];`
    fn variable(&mut self, name: &str) -> Result<DeclarationKind> {
        let constant = self.tokens.take_word("constant")?;
        let data_type = self.data_type()?;
        if data_type.is_refcursor() {
            self.scopes.redeclare(name, Known::Cursor);
        }
        let collation = if self.tokens.take_word("collate")? { Some(self.name()?.parts) } else { None };
        let not_null_offset = self.tokens.offset()?;
        let not_null = self.tokens.take_word("not")?;
        if not_null {
            self.tokens.expect_word("null")?;
        }
        let default = if self.tokens.take_word("default")? || self.tokens.take_assign()? {
            Some(self.expression_until_semicolon()?)
        } else {
            self.tokens.expect_char(';')?;
            None
        };
        if not_null && default.is_none() {
            return Err(SqlError::new(
                sqlstate::NULL_VALUE_NOT_ALLOWED,
                format!("variable \"{name}\" must have a default value, since it's declared NOT NULL"),
            )
            .at(Some(position(self.tokens.body(), not_null_offset))));
        }
        Ok(DeclarationKind::Variable { data_type, constant, not_null, collation, default })
    }

    /// The type of a variable or of a cursor's argument, up to what may follow it.
    pub(super) fn data_type(&mut self) -> Result<DataType> {
        let start = self.tokens.offset()?;
        let names = self.tokens.name_length(0)?;
        if names > 0 && self.tokens.is_char(names, '%')? {
            let of_variable = self.tokens.is_word(names + 1, "type")?;
            if of_variable || self.tokens.is_word(names + 1, "rowtype")? {
                let parts = self.name()?.parts;
                self.tokens.take()?;
                let end = self.tokens.take()?.map_or(start, |lexeme| lexeme.end);
                let kind =
                    if of_variable { DataTypeKind::OfVariable(parts) } else { DataTypeKind::RowOf(parts) };
                return Ok(DataType {
                    text: self.slice(Span { start, end }).to_owned(),
                    offset: start,
                    kind,
                });
            }
        }
        let end = self.skip_type(start)?;
        let text = self.slice(Span { start, end }).to_owned();
        let name = parser::parse_type_name(&text)
            .map_err(|error| self.placed(error, start).context(format!("invalid type name \"{text}\"")))?;
        let kind = if text.eq_ignore_ascii_case("record") {
            DataTypeKind::Record
        } else {
            DataTypeKind::Named(Box::new(name))
        };
        Ok(DataType { text, offset: start, kind })
    }

    /// Takes the tokens of a type; where the last one ends.
    fn skip_type(&mut self, start: usize) -> Result<usize> {
        let mut depth = 0_usize;
        let mut end = start;
        loop {
            let Some(lexeme) = self.tokens.take()? else {
                let message =
                    if depth > 0 { "mismatched parentheses" } else { "incomplete data type declaration" };
                return Err(self.tokens.error(message));
            };
            let follows = match &lexeme.token {
                Token::Ident { name, quoted: false } => {
                    matches!(name.as_str(), "collate" | "not" | "default")
                }
                Token::Other(';' | '=') | Token::ColonEquals => true,
                Token::Other(',' | ')') => depth == 0,
                _ => false,
            };
            if follows {
                self.tokens.put_back();
                return if end == start {
                    Err(self.tokens.error("missing data type declaration"))
                } else {
                    Ok(end)
                };
            }
            match lexeme.token {
                Token::Other('(') => depth += 1,
                Token::Other(')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            end = lexeme.end;
        }
    }
}

impl DataType {
    /// Whether it is the type of cursor variables.
    pub fn is_refcursor(&self) -> bool {
        let text = self.text.trim().to_ascii_lowercase();
        matches!(text.as_str(), "refcursor" | "pg_catalog.refcursor")
    }
}
