//! The JSON reader, with the errors, details and context lines of PostgreSQL's `jsonapi.c`.

use ecow::EcoString;

use super::{Jsonb, MAX_DEPTH};
use crate::error::{Result, SqlError};
use crate::numeric::Numeric;
use crate::sqlstate;

/// Reads all of `text`. Without `build` it only checks, and the value is meaningless.
pub(super) fn parse(text: &str, build: bool) -> Result<Jsonb> {
    let mut parser = Parser { text, build, token: Token::End, start: 0, end: 0 };
    parser.advance()?;
    let value = parser.value(0)?;
    match parser.token {
        Token::End => Ok(value),
        _ => Err(parser.expected("end of input")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Punctuation(u8),
    String(EcoString),
    Number,
    True,
    False,
    Null,
    End,
}

struct Parser<'a> {
    text: &'a str,
    build: bool,
    /// The current token and where it lies.
    token: Token,
    start: usize,
    end: usize,
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl Parser<'_> {
    /// The value at the current token, and on to the token after it.
    fn value(&mut self, depth: usize) -> Result<Jsonb> {
        let value = match &mut self.token {
            Token::Punctuation(b'{') => return self.object(depth),
            Token::Punctuation(b'[') => return self.array(depth),
            Token::String(text) => Jsonb::String(std::mem::take(text)),
            Token::Number if self.build => Jsonb::Number(Numeric::parse(&self.text[self.start..self.end])?),
            Token::True => Jsonb::Bool(true),
            Token::False => Jsonb::Bool(false),
            Token::Number | Token::Null => Jsonb::Null,
            Token::Punctuation(_) | Token::End => return Err(self.expected("JSON value")),
        };
        self.advance()?;
        Ok(value)
    }

    fn check_depth(&self, depth: usize) -> Result<()> {
        if depth < MAX_DEPTH {
            return Ok(());
        }
        Err(SqlError::new(sqlstate::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
            .hint(format!("JSON values may be nested {MAX_DEPTH} deep.")))
    }

    fn array(&mut self, depth: usize) -> Result<Jsonb> {
        self.check_depth(depth)?;
        self.advance()?;
        let mut items = Vec::new();
        if self.token != Token::Punctuation(b']') {
            loop {
                let item = self.value(depth + 1)?;
                if self.build {
                    items.push(item);
                }
                match self.token {
                    Token::Punctuation(b',') => self.advance()?,
                    Token::Punctuation(b']') => break,
                    _ => return Err(self.expected("\",\" or \"]\"")),
                }
            }
        }
        self.advance()?;
        Ok(Jsonb::Array(items))
    }

    fn object(&mut self, depth: usize) -> Result<Jsonb> {
        self.check_depth(depth)?;
        self.advance()?;
        let mut members = Vec::new();
        if self.token != Token::Punctuation(b'}') {
            let mut first = true;
            loop {
                let Token::String(key) = &mut self.token else {
                    return Err(self.expected(if first { "string or \"}\"" } else { "string" }));
                };
                let key = std::mem::take(key);
                first = false;
                self.advance()?;
                if self.token != Token::Punctuation(b':') {
                    return Err(self.expected("\":\""));
                }
                self.advance()?;
                let item = self.value(depth + 1)?;
                if self.build {
                    members.push((key, item));
                }
                match self.token {
                    Token::Punctuation(b',') => self.advance()?,
                    Token::Punctuation(b'}') => break,
                    _ => return Err(self.expected("\",\" or \"}\"")),
                }
            }
        }
        self.advance()?;
        Ok(if self.build { Jsonb::object(members) } else { Jsonb::Null })
    }

    /// Reads the next token.
    fn advance(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let mut at = self.end;
        while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        (self.start, self.end) = (at, at);
        self.token = match bytes.get(at) {
            None => Token::End,
            Some(b'"') => return self.string(),
            Some(byte @ (b'{' | b'}' | b'[' | b']' | b',' | b':')) => {
                self.end = at + 1;
                Token::Punctuation(*byte)
            }
            Some(b'-' | b'0'..=b'9') => return self.number(),
            Some(_) => {
                let length = bytes[at..].iter().take_while(|b| is_word_byte(**b)).count();
                self.end = at + length.max(1);
                match &bytes[at..at + length] {
                    b"true" => Token::True,
                    b"false" => Token::False,
                    b"null" => Token::Null,
                    _ => return Err(self.invalid_token()),
                }
            }
        };
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut at = self.start + usize::from(bytes[self.start] == b'-');
        let integer = digits(at);
        // A leading zero stands alone.
        let mut valid = integer == 1 || (integer > 1 && bytes[at] != b'0');
        at += if integer > 1 && bytes[at] == b'0' { 1 } else { integer };
        if valid && bytes.get(at) == Some(&b'.') {
            let fraction = digits(at + 1);
            valid &= fraction > 0;
            at += 1 + fraction;
        }
        if valid && matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = bytes.get(at..).map_or(0, |_| digits(at));
            valid &= exponent > 0;
            at += exponent;
        }
        let rest = bytes[at..].iter().take_while(|b| is_word_byte(**b)).count();
        self.end = at + rest;
        if !valid || rest > 0 {
            return Err(self.invalid_token());
        }
        self.token = Token::Number;
        Ok(())
    }

    fn string(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let mut value = EcoString::new();
        // What was not yet copied to the value begins here.
        let mut copied = self.start + 1;
        let mut at = copied;
        let mut high = None;
        loop {
            match bytes.get(at) {
                None => {
                    self.end = at;
                    return Err(self.invalid_token());
                }
                Some(b'\\') => {
                    if self.build {
                        value.push_str(&self.text[copied..at]);
                    }
                    if bytes.get(at + 1) == Some(&b'u') {
                        let unit = self.unicode_unit(at)?;
                        at += 6;
                        if self.build {
                            self.push_unit(unit, &mut high, &mut value, at)?;
                        }
                    } else {
                        self.no_pending(high, at)?;
                        value.push(self.simple_escape(at)?);
                        at += 2;
                    }
                    copied = at;
                    continue;
                }
                Some(b'"') => break,
                Some(control @ 0..0x20) => {
                    self.end = at;
                    let detail = format!("Character with value 0x{control:02x} must be escaped.");
                    return Err(self.error(detail));
                }
                Some(_) => {}
            }
            self.no_pending(high, at)?;
            at += 1;
        }
        self.no_pending(high, at)?;
        self.end = at + 1;
        if self.build {
            value.push_str(&self.text[copied..at]);
        }
        self.token = Token::String(value);
        Ok(())
    }

    /// A high surrogate must be followed by a low one at once.
    fn no_pending(&mut self, high: Option<u32>, at: usize) -> Result<()> {
        match high {
            Some(_) => Err(self.surrogate_error("Unicode low surrogate must follow a high surrogate.", at)),
            None => Ok(()),
        }
    }

    fn surrogate_error(&mut self, detail: &str, at: usize) -> SqlError {
        self.end = at;
        self.error(detail.to_owned())
    }

    /// The four hexadecimal digits of the escape at `at`.
    fn unicode_unit(&mut self, at: usize) -> Result<u32> {
        let mut unit = 0;
        for place in at + 2..at + 6 {
            match self.text.as_bytes().get(place).and_then(|b| char::from(*b).to_digit(16)) {
                Some(digit) => unit = unit << 4 | digit,
                None => {
                    let next = self.text[place.min(self.text.len())..].chars().next();
                    self.end = place + next.map_or(0, char::len_utf8);
                    if next.is_none() {
                        return Err(self.invalid_token());
                    }
                    return Err(self.error("\"\\u\" must be followed by four hexadecimal digits.".into()));
                }
            }
        }
        Ok(unit)
    }

    /// Takes a UTF-16 unit; `end` is where its escape ends.
    fn push_unit(
        &mut self,
        unit: u32,
        high: &mut Option<u32>,
        value: &mut EcoString,
        end: usize,
    ) -> Result<()> {
        match (unit, high.take()) {
            (0, _) => {
                self.end = end;
                let mut error = self.error("\\u0000 cannot be converted to text.".into());
                let fields = error.fields_mut();
                fields.sqlstate = sqlstate::UNTRANSLATABLE_CHARACTER;
                fields.message = "unsupported Unicode escape sequence".into();
                Err(error)
            }
            (0xd800..0xdc00, Some(_)) => {
                Err(self.surrogate_error("Unicode high surrogate must not follow a high surrogate.", end))
            }
            (0xd800..0xdc00, None) => {
                *high = Some(unit);
                Ok(())
            }
            (0xdc00..0xe000, Some(first)) => {
                let code = 0x10000 + ((first - 0xd800) << 10) + (unit - 0xdc00);
                value.extend(char::from_u32(code));
                Ok(())
            }
            (0xdc00..0xe000, None) | (_, Some(_)) => {
                Err(self.surrogate_error("Unicode low surrogate must follow a high surrogate.", end))
            }
            (_, None) => {
                value.extend(char::from_u32(unit));
                Ok(())
            }
        }
    }

    fn simple_escape(&mut self, at: usize) -> Result<char> {
        let Some(escaped) = self.text[at + 1..].chars().next() else {
            self.end = at + 1;
            return Err(self.invalid_token());
        };
        Ok(match escaped {
            '"' | '\\' | '/' => escaped,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            _ => {
                self.end = at + 1 + escaped.len_utf8();
                return Err(self.error(format!("Escape sequence \"\\{escaped}\" is invalid.")));
            }
        })
    }

    fn invalid_token(&self) -> SqlError {
        self.error(format!("Token \"{}\" is invalid.", &self.text[self.start..self.end]))
    }

    fn expected(&self, what: &str) -> SqlError {
        if self.token == Token::End {
            return self.error("The input string ended unexpectedly.".into());
        }
        let found = &self.text[self.start..self.end];
        self.error(format!("Expected {what}, but found \"{found}\"."))
    }

    /// 22P02 with the detail, and a context line that shows the input up to the token's end.
    fn error(&self, detail: String) -> SqlError {
        let before = &self.text[..self.end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let mut start = line_start;
        while self.end - start >= 50 {
            start += self.text[start..].chars().next().map_or(1, char::len_utf8);
        }
        if start - line_start <= 3 {
            start = line_start;
        }
        let prefix = if start > line_start { "..." } else { "" };
        let next = self.text.as_bytes().get(self.end);
        let suffix = if matches!(next, None | Some(b'\n' | b'\r')) { "" } else { "..." };
        SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
            .detail(detail)
            .context(format!("JSON data, line {line}: {prefix}{}{suffix}", &self.text[start..self.end]))
    }
}
