//! String constants: `'...'` and `E'...'`, continued over lines.

use tuplix_types::{Result, SqlError, sqlstate};

use super::lexer::{Lexer, Token};
use super::text::position;

impl Lexer<'_> {
    /// Reads a string whose quote stands `prefix` bytes after `start`.
    pub(super) fn quoted_string(&mut self, start: usize, prefix: usize, escapes: bool) -> Result<Token> {
        self.advance(prefix + 1);
        let mut value: Vec<u8> = Vec::new();
        loop {
            match self.rest() {
                [] => return Err(self.error("unterminated quoted string", start, self.text().len())),
                [b'\'', b'\'', ..] => {
                    value.push(b'\'');
                    self.advance(2);
                }
                [b'\'', ..] => {
                    self.advance(1);
                    match self.continuation() {
                        Some(length) => self.advance(length),
                        None => break,
                    }
                }
                [b'\\', ..] if escapes => self.escape(start, &mut value)?,
                [byte, ..] => {
                    value.push(*byte);
                    self.advance(1);
                }
            }
        }
        match String::from_utf8(value) {
            Ok(value) => Ok(Token::String(value)),
            Err(error) => Err(invalid_bytes(
                error.as_bytes().get(error.utf8_error().valid_up_to()..).unwrap_or_default(),
            )),
        }
    }

    /// How many bytes lead to a string that continues this one: white space with a newline, where
    /// `--` comments count as white space, and a quote.
    pub(super) fn continuation(&self) -> Option<usize> {
        let rest = self.rest();
        let mut at = 0;
        let mut newline = false;
        loop {
            match rest.get(at..)? {
                [b'\n' | b'\r', ..] => {
                    newline = true;
                    at += 1;
                }
                [b' ' | b'\t' | 0x0C, ..] => at += 1,
                [b'-', b'-', comment @ ..] => {
                    at += 2 + comment.iter().position(|b| matches!(b, b'\n' | b'\r'))?;
                }
                [b'\'', ..] if newline => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Decodes one backslash escape into `value`.
    fn escape(&mut self, start: usize, value: &mut Vec<u8>) -> Result<()> {
        let digits = |from: usize, most: usize, radix: u32| {
            let text = &self.rest()[from..];
            let count = text.iter().take(most).take_while(|b| char::from(**b).is_digit(radix)).count();
            let number =
                std::str::from_utf8(&text[..count]).ok().and_then(|t| u32::from_str_radix(t, radix).ok());
            number.map(|number| (number, count))
        };
        let (length, bytes) = match self.rest() {
            [_] => return Err(self.error("unterminated quoted string", start, self.text().len())),
            [_, b'u' | b'U', ..] => return self.unicode_escape(start, value),
            [_, b'x', ..] if digits(2, 2, 16).is_some() => {
                let (number, count) = digits(2, 2, 16).unwrap_or_default();
                (2 + count, vec![number as u8])
            }
            [_, b'0'..=b'7', ..] => {
                let (number, count) = digits(1, 3, 8).unwrap_or_default();
                (1 + count, vec![number as u8])
            }
            [_, b'b', ..] => (2, vec![0x08]),
            [_, b'f', ..] => (2, vec![0x0C]),
            [_, b'n', ..] => (2, vec![b'\n']),
            [_, b'r', ..] => (2, vec![b'\r']),
            [_, b't', ..] => (2, vec![b'\t']),
            [_, other, ..] => (2, vec![*other]),
            [] => (0, Vec::new()),
        };
        if bytes == [0] {
            return Err(invalid_bytes(&[0]));
        }
        self.advance(length);
        value.extend_from_slice(&bytes);
        Ok(())
    }

    /// `\uXXXX` or `\UXXXXXXXX`, a surrogate pair of them for one character.
    fn unicode_escape(&mut self, start: usize, value: &mut Vec<u8>) -> Result<()> {
        let first = self.unicode_number()?;
        let code = match first {
            0xD800..=0xDBFF => {
                let pair = matches!(self.rest(), [b'\\', b'u' | b'U', ..]);
                let second = if pair { self.unicode_number()? } else { 0 };
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(self.error_here("invalid Unicode surrogate pair"));
                }
                0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            0xDC00..=0xDFFF => return Err(self.error_here("invalid Unicode surrogate pair")),
            code => code,
        };
        match char::from_u32(code).filter(|character| *character != '\0') {
            Some(character) => {
                value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                Ok(())
            }
            None => Err(self.error("invalid Unicode escape value", start, self.at())),
        }
    }

    /// The number of the escape here, which is skipped.
    fn unicode_number(&mut self) -> Result<u32> {
        let most = if self.rest().get(1) == Some(&b'u') { 4 } else { 8 };
        let digits = self.rest().get(2..2 + most).and_then(|digits| std::str::from_utf8(digits).ok());
        let number = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match number.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(number) => {
                self.advance(2 + most);
                Ok(number)
            }
            None => Err(SqlError::new(sqlstate::INVALID_ESCAPE_SEQUENCE, "invalid Unicode escape")
                .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                .at(Some(position(self.text(), self.at())))),
        }
    }

    fn error_here(&self, message: &str) -> SqlError {
        let end = self.text()[self.at()..].chars().next().map_or(0, char::len_utf8);
        self.error(message, self.at(), self.at() + end)
    }
}

/// SQLSTATE 22021 for bytes that are no UTF-8.
fn invalid_bytes(bytes: &[u8]) -> SqlError {
    let shown: Vec<String> = bytes.iter().take(1).map(|byte| format!("0x{byte:02x}")).collect();
    SqlError::new(
        sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
    )
}
