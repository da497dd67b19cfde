//! The body's tokens with lookahead, and errors at them in PostgreSQL's words.

use tuplix_types::{Result, SqlError, sqlstate};

use super::keywords::{is_reserved, is_unreserved};
use crate::parser::lexer::{Lexeme, Lexer, Token};
use crate::parser::position;

/// The tokens of one body, scanned as far as they were asked for.
pub(super) struct Tokens<'a> {
    body: &'a str,
    lexer: Lexer<'a>,
    scanned: Vec<Lexeme>,
    /// Index of the next token.
    at: usize,
    /// Byte offsets where lines begin.
    lines: Vec<usize>,
}

impl<'a> Tokens<'a> {
    pub fn new(body: &'a str) -> Tokens<'a> {
        let newlines =
            body.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1);
        let lines = std::iter::once(0).chain(newlines).collect();
        Tokens { body, lexer: Lexer::new(body), scanned: Vec::new(), at: 0, lines }
    }

    pub fn body(&self) -> &'a str {
        self.body
    }

    /// The line of a byte offset, from 1.
    pub fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.lines.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// The line of the last token taken.
    pub fn line_taken(&self) -> u32 {
        let taken = self.at.checked_sub(1).and_then(|index| self.scanned.get(index));
        self.line(taken.map_or(0, |lexeme| lexeme.start))
    }

    /// The token `ahead` of the next one, `None` past the end.
    pub fn peek(&mut self, ahead: usize) -> Result<Option<&Lexeme>> {
        while self.scanned.len() <= self.at + ahead {
            match self.lexer.next_token()? {
                Some(lexeme) => self.scanned.push(lexeme),
                None => return Ok(None),
            }
        }
        Ok(self.scanned.get(self.at + ahead))
    }

    /// Takes the next token, `None` at the end.
    pub fn take(&mut self) -> Result<Option<Lexeme>> {
        let lexeme = self.peek(0)?.cloned();
        if lexeme.is_some() {
            self.at += 1;
        }
        Ok(lexeme)
    }

    /// Puts the last token taken back.
    pub fn put_back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// Byte offset of the next token, the body's length at the end.
    pub fn offset(&mut self) -> Result<usize> {
        let length = self.body.len();
        Ok(self.peek(0)?.map_or(length, |lexeme| lexeme.start))
    }

    /// The next token's key word or name, when it is an unquoted one.
    pub fn word(&mut self, ahead: usize) -> Result<Option<&str>> {
        Ok(match self.peek(ahead)? {
            Some(Lexeme { token: Token::Ident { name, quoted: false }, .. }) => Some(name),
            _ => None,
        })
    }

    pub fn is_word(&mut self, ahead: usize, word: &str) -> Result<bool> {
        Ok(self.word(ahead)? == Some(word))
    }

    pub fn is_char(&mut self, ahead: usize, character: char) -> Result<bool> {
        Ok(self.peek(ahead)?.is_some_and(|lexeme| lexeme.token == Token::Other(character)))
    }

    /// Takes the next token if it is this key word.
    pub fn take_word(&mut self, word: &str) -> Result<bool> {
        let found = self.is_word(0, word)?;
        self.at += usize::from(found);
        Ok(found)
    }

    /// Takes the next token if it is this character.
    pub fn take_char(&mut self, character: char) -> Result<bool> {
        let found = self.is_char(0, character)?;
        self.at += usize::from(found);
        Ok(found)
    }

    pub fn take_operator(&mut self, operator: &str) -> Result<bool> {
        let found = self.peek(0)?.is_some_and(|l| matches!(&l.token, Token::Operator(o) if o == operator));
        self.at += usize::from(found);
        Ok(found)
    }

    pub fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.take_word(word)? { Ok(()) } else { Err(self.syntax_error()) }
    }

    pub fn expect_char(&mut self, character: char) -> Result<()> {
        if self.take_char(character)? { Ok(()) } else { Err(self.syntax_error()) }
    }

    pub fn expect_operator(&mut self, operator: &str) -> Result<()> {
        if self.take_operator(operator)? { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// Takes `=` or `:=`.
    pub fn take_assign(&mut self) -> Result<bool> {
        let found = self.is_assign(0)?;
        self.at += usize::from(found);
        Ok(found)
    }

    pub fn is_assign(&mut self, ahead: usize) -> Result<bool> {
        Ok(self.peek(ahead)?.is_some_and(|l| matches!(l.token, Token::ColonEquals | Token::Other('='))))
    }

    /// Whether the token can name something: an identifier that is no reserved key word, or `$1`.
    pub fn is_name(&mut self, ahead: usize) -> Result<bool> {
        Ok(match self.peek(ahead)?.map(|lexeme| &lexeme.token) {
            Some(Token::Ident { name, quoted }) => *quoted || !is_reserved(name),
            Some(Token::Parameter(_)) => true,
            _ => false,
        })
    }

    /// How many tokens the dotted name beginning `ahead` has: 0 without one, else 1, 3 or 5.
    pub fn name_length(&mut self, ahead: usize) -> Result<usize> {
        Ok(self.path_length(ahead)?.min(5))
    }

    /// The same for a name of any number of parts: a variable and fields of fields of it.
    pub fn path_length(&mut self, ahead: usize) -> Result<usize> {
        if !self.is_name(ahead)? {
            return Ok(0);
        }
        let mut length = 1;
        while self.is_char(ahead + length, '.')? && self.is_ident(ahead + length + 1)? {
            length += 2;
        }
        Ok(length)
    }

    fn is_ident(&mut self, ahead: usize) -> Result<bool> {
        Ok(matches!(self.peek(ahead)?, Some(Lexeme { token: Token::Ident { .. }, .. })))
    }

    /// Takes an identifier that is no reserved key word.
    pub fn take_identifier(&mut self) -> Result<String> {
        match self.peek(0)?.map(|lexeme| &lexeme.token) {
            Some(Token::Ident { name, quoted }) if *quoted || !is_reserved(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// 42601 at the next token.
    pub fn syntax_error(&mut self) -> SqlError {
        self.error("syntax error")
    }

    /// 42601: `message` at the next token.
    pub fn error(&mut self, message: &str) -> SqlError {
        // A name that goes on after a dot is one token to PostgreSQL.
        let names = self.name_length(0).unwrap_or(0).max(1);
        let end = match self.peek(names - 1) {
            Ok(Some(last)) => last.end,
            Ok(None) => return self.error_at_end(message),
            Err(error) => return error,
        };
        let start = self.scanned.get(self.at).map_or(end, |lexeme| lexeme.start);
        let near = self.body.get(start..end).unwrap_or_default();
        self.error_plain(&format!("{message} at or near \"{near}\""), start)
    }

    fn error_at_end(&self, message: &str) -> SqlError {
        self.error_plain(&format!("{message} at end of input"), self.body.len())
    }

    /// 42601 with the message alone, placed at a byte offset.
    pub fn error_plain(&self, message: &str, offset: usize) -> SqlError {
        SqlError::new(sqlstate::SYNTAX_ERROR, message).at(Some(position(self.body, offset)))
    }

    /// Whether the next token is one of PL/pgSQL's own words.
    pub fn is_keyword(&mut self) -> Result<bool> {
        Ok(self.word(0)?.is_some_and(|word| is_reserved(word) || is_unreserved(word)))
    }
}
