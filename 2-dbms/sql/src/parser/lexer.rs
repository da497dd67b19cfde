//! PostgreSQL 15's tokens, by the rules of its `scan.l`.
//!
//! SQL itself is scanned by the C library. This scanner serves PL/pgSQL, whose statements are found
//! by their tokens, and finds places in a text. It borrows the text and yields one [`Lexeme`] after
//! the other.

use tuplix_types::{Result, SqlError, sqlstate};

use super::text::position;

/// The most bytes of a name; longer ones are cut there.
const NAME_BYTES_MAX: usize = 63;

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lexeme {
    pub token: Token,
    /// Byte offset of its first byte.
    pub start: usize,
    /// Byte offset after its last byte.
    pub end: usize,
}

/// What `scan.l` tells apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name or key word, in lower case unless it was quoted.
    Ident { name: String, quoted: bool },
    /// `'...'`, `E'...'` or `$$...$$`, decoded.
    String(String),
    /// `B'...'` or `X'...'`.
    Bits,
    /// `U&'...'` or `U&"..."`: SQL only, PL/pgSQL itself has no use for them.
    Unicode,
    /// A whole number that fits in an `integer`.
    Integer(i32),
    /// Any other number.
    Float,
    /// `$1`.
    Parameter(i32),
    /// Several operator characters, or one that has no other meaning.
    Operator(String),
    /// `::`
    TypeCast,
    /// `..`
    DotDot,
    /// `:=`
    ColonEquals,
    /// `<=`, `>=`, `<>`, `!=` and `=>`, which the grammar knows by name.
    Compare(&'static str),
    /// One of ``,()[].;:+-*/%^<>=`` or a character that begins nothing.
    Other(char),
}

/// A scanner over `text`.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    /// The next token, `None` at the end.
    pub fn next_token(&mut self) -> Result<Option<Lexeme>> {
        self.skip_space()?;
        let start = self.at;
        let Some(first) = self.peek(0) else { return Ok(None) };
        let token = match first {
            b'\'' => self.quoted_string(start, 0, false)?,
            b'"' => self.quoted_identifier(start, 0)?,
            b'$' => self.dollar()?,
            b'0'..=b'9' => self.number()?,
            b'.' if self.peek(1).is_some_and(|b| b.is_ascii_digit()) => self.number()?,
            _ if is_ident_start(first) => self.word()?,
            _ => self.punctuation(first)?,
        };
        Ok(Some(Lexeme { token, start, end: self.at }))
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.text.len());
    }

    pub(super) fn error(&self, message: &str, start: usize, end: usize) -> SqlError {
        let near = self.text.get(start..end).unwrap_or_default();
        SqlError::new(sqlstate::SYNTAX_ERROR, format!("{message} at or near \"{near}\""))
            .at(Some(position(self.text, start)))
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) -> Result<()> {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0C, ..] => self.at += 1,
                [b'-', b'-', ..] => {
                    let length = self.rest().iter().position(|b| matches!(b, b'\n' | b'\r'));
                    self.at += length.unwrap_or(self.rest().len());
                }
                [b'/', b'*', ..] => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// Skips a comment with the comments nested in it.
    fn skip_comment(&mut self) -> Result<()> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.rest() {
                [b'/', b'*', ..] => {
                    depth += 1;
                    self.at += 2;
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                [_, ..] => self.at += 1,
                [] => return Err(self.error("unterminated /* comment", start, self.text.len())),
            }
        }
    }

    fn word(&mut self) -> Result<Token> {
        let start = self.at;
        match self.rest() {
            [b'e' | b'E', b'\'', ..] => return self.quoted_string(start, 1, true),
            [b'b' | b'B' | b'x' | b'X', b'\'', ..] => return self.bits(start),
            [b'u' | b'U', b'&', b'\'', ..] => {
                self.quoted_string(start, 2, false)?;
                return Ok(Token::Unicode);
            }
            [b'u' | b'U', b'&', b'"', ..] => {
                self.quoted_identifier(start, 2)?;
                return Ok(Token::Unicode);
            }
            // N'...' is the type nchar before a string.
            [b'n' | b'N', b'\'', ..] => self.at += 1,
            _ => self.skip_identifier(),
        }
        let mut name = self.text[start..self.at].to_ascii_lowercase();
        cut_name(&mut name);
        Ok(Token::Ident { name, quoted: false })
    }

    fn skip_identifier(&mut self) {
        let length = self.rest().iter().position(|b| !is_ident_continuation(*b)).unwrap_or(self.rest().len());
        self.at += length;
    }

    fn quoted_identifier(&mut self, start: usize, prefix: usize) -> Result<Token> {
        self.at += prefix + 1;
        let mut name = String::new();
        loop {
            let Some(length) = self.rest().iter().position(|b| *b == b'"') else {
                return Err(self.error("unterminated quoted identifier", start, self.text.len()));
            };
            name.push_str(&self.text[self.at..self.at + length]);
            self.at += length + 1;
            if self.peek(0) != Some(b'"') {
                break;
            }
            name.push('"');
            self.at += 1;
        }
        if name.is_empty() {
            return Err(self.error("zero-length delimited identifier", start, self.at));
        }
        cut_name(&mut name);
        Ok(Token::Ident { name, quoted: true })
    }

    fn bits(&mut self, start: usize) -> Result<Token> {
        let what = match self.peek(0) {
            Some(b'b' | b'B') => "unterminated bit string literal",
            _ => "unterminated hexadecimal string literal",
        };
        self.at += 2;
        loop {
            // Unlike in other strings, a doubled quote ends this one and begins another.
            let Some(length) = self.rest().iter().position(|b| *b == b'\'') else {
                return Err(self.error(what, start, self.text.len()));
            };
            self.at += length + 1;
            match self.continuation() {
                Some(length) => self.at += length,
                None => return Ok(Token::Bits),
            }
        }
    }

    fn number(&mut self) -> Result<Token> {
        let start = self.at;
        self.skip_digits();
        let mut whole = true;
        // `1..10` is a number and two dots.
        if self.peek(0) == Some(b'.') && self.peek(1) != Some(b'.') {
            whole = false;
            self.at += 1;
            self.skip_digits();
        }
        // The longest match wins: `1e3` is a number, `1e3$` a number with junk after it.
        let name_end = self.at + self.rest().iter().take_while(|b| is_ident_continuation(**b)).count();
        let junk_before_exponent = self.peek(0).is_some_and(is_ident_start);
        whole &= !self.skip_exponent(start)?;
        if junk_before_exponent && name_end > self.at || self.peek(0).is_some_and(is_ident_start) {
            self.skip_identifier();
            self.at = self.at.max(name_end);
            return Err(self.error("trailing junk after numeric literal", start, self.at));
        }
        let text = &self.text[start..self.at];
        Ok(if whole { text.parse().map_or(Token::Float, Token::Integer) } else { Token::Float })
    }

    fn skip_digits(&mut self) {
        while self.peek(0).is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// Skips `e10` and the like; whether there was one.
    fn skip_exponent(&mut self, start: usize) -> Result<bool> {
        if !matches!(self.peek(0), Some(b'e' | b'E')) {
            return Ok(false);
        }
        let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
        if self.peek(1 + sign).is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1 + sign;
            self.skip_digits();
            return Ok(true);
        }
        if sign == 1 {
            self.at += 2;
            return Err(self.error("trailing junk after numeric literal", start, self.at));
        }
        Ok(false)
    }

    fn dollar(&mut self) -> Result<Token> {
        let start = self.at;
        if self.peek(1).is_some_and(|b| b.is_ascii_digit()) {
            return self.parameter(start);
        }
        let tag =
            self.rest()[1..].iter().position(|b| !is_ident_start(*b) && !b.is_ascii_digit()).unwrap_or(0);
        if self.peek(1 + tag) != Some(b'$') {
            self.at += 1;
            return Ok(Token::Other('$'));
        }
        let quote = &self.text[start..start + tag + 2];
        let inside = start + quote.len();
        match self.text[inside..].find(quote) {
            Some(length) => {
                self.at = inside + length + quote.len();
                Ok(Token::String(self.text[inside..inside + length].to_owned()))
            }
            None => Err(self.error("unterminated dollar-quoted string", start, self.text.len())),
        }
    }

    fn parameter(&mut self, start: usize) -> Result<Token> {
        self.at += 1;
        while self.peek(0).is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        let number = self.text[start + 1..self.at].parse();
        if self.peek(0).is_some_and(is_ident_start) {
            self.skip_identifier();
            return Err(self.error("trailing junk after parameter", start, self.at));
        }
        number.map(Token::Parameter).map_err(|_| self.error("parameter number too large", start, self.at))
    }

    fn punctuation(&mut self, first: u8) -> Result<Token> {
        let fixed = match self.rest() {
            [b':', b':', ..] => Some(Token::TypeCast),
            [b'.', b'.', ..] => Some(Token::DotDot),
            [b':', b'=', ..] => Some(Token::ColonEquals),
            _ => None,
        };
        if let Some(token) = fixed {
            self.at += 2;
            return Ok(token);
        }
        if is_operator(first) {
            return self.operator();
        }
        let character = self.text[self.at..].chars().next().unwrap_or(char::from(first));
        self.at += character.len_utf8();
        Ok(Token::Other(character))
    }

    fn operator(&mut self) -> Result<Token> {
        let start = self.at;
        let rest = self.rest();
        let mut length = rest.iter().position(|b| !is_operator(*b)).unwrap_or(rest.len());
        // A comment ends the operator before it.
        if let Some(comment) = rest[..length].windows(2).position(|pair| pair == b"--" || pair == b"/*") {
            length = comment;
        }
        // A sign at the end belongs to the next operand unless SQL could not have made it.
        while length > 1
            && matches!(rest[length - 1], b'+' | b'-')
            && !rest[..length - 1].iter().any(|b| b"~!@#^&|`?%".contains(b))
        {
            length -= 1;
        }
        self.at += length;
        let text = &self.text[start..self.at];
        if length > NAME_BYTES_MAX {
            return Err(self.error("operator too long", start, self.at));
        }
        Ok(match text {
            "<=" => Token::Compare("<="),
            ">=" => Token::Compare(">="),
            "<>" | "!=" => Token::Compare("<>"),
            "=>" => Token::Compare("=>"),
            _ if length == 1 && b"+-*/%^<>=".contains(&rest[0]) => Token::Other(char::from(rest[0])),
            _ => Token::Operator(text.to_owned()),
        })
    }
}

fn is_ident_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_ident_continuation(byte: u8) -> bool {
    is_ident_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

/// Cuts a name that is too long at a character's end.
fn cut_name(name: &mut String) {
    if name.len() > NAME_BYTES_MAX {
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    }
}
