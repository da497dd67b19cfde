//! Words of a path (`jsonpath_scan.l`).

use ecow::EcoString;

use crate::error::{Result, SqlError};
use crate::numeric::Numeric;
use crate::sqlstate;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A bare word: a keyword where one can stand.
    Word(EcoString),
    /// In quotes.
    String(EcoString),
    /// `$name`
    Variable(EcoString),
    /// Digits alone.
    Integer(EcoString),
    Number(EcoString),
    /// `$`, `@`, `==`, ...
    Sign(&'static str),
}

/// The longest first.
const SIGNS: [&str; 31] = [
    "**", "&&", "||", "==", "!=", "<>", "<=", ">=", "$", "@", "<", ">", "!", "(", ")", "[", "]", "{", "}",
    ".", ",", "*", "/", "%", "+", "-", "?", "#", ":", "|", "&",
];

/// The tokens of a text, each with what it is in the text.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, String)>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut found = Vec::new();
    while let Some(token) = lexer.next()? {
        found.push(token);
    }
    Ok(found)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

pub(super) fn syntax_error(message: &str, near: &str) -> SqlError {
    let place = if near.is_empty() {
        "at end of jsonpath input".to_owned()
    } else {
        format!("at or near \"{near}\" of jsonpath input")
    };
    SqlError::new(sqlstate::SYNTAX_ERROR, format!("{message} {place}"))
}

fn is_special(c: char) -> bool {
    "?%$.[]{}()|&!=<>@#,*:-+/\\\"".contains(c) || c.is_ascii_whitespace()
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Result<Option<(Token, String)>> {
        self.skip()?;
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let token = match first {
            '"' => Token::String(self.quoted()?),
            '0'..='9' => self.number()?,
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            '$' => {
                self.at += 1;
                match self.rest().chars().next() {
                    Some('"') => Token::Variable(self.quoted()?),
                    Some(c) if !is_special(c) || c == '\\' => Token::Variable(self.word()?),
                    _ => Token::Sign("$"),
                }
            }
            c if !is_special(c) || c == '\\' => Token::Word(self.word()?),
            _ => {
                let sign = SIGNS.iter().find(|sign| self.rest().starts_with(**sign));
                let Some(sign) = sign else { return Err(syntax_error("syntax error", &first.to_string())) };
                self.at += sign.len();
                Token::Sign(sign)
            }
        };
        Ok(Some((token, self.text[start..self.at].to_owned())))
    }

    /// White space and comments.
    fn skip(&mut self) -> Result<()> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
            self.at += rest.len() - trimmed.len();
            if !self.rest().starts_with("/*") {
                return Ok(());
            }
            match self.rest()[2..].find("*/") {
                Some(end) => self.at += end + 4,
                None => return Err(syntax_error("unexpected end of comment", "")),
            }
        }
    }

    fn word(&mut self) -> Result<EcoString> {
        let mut out = EcoString::new();
        while let Some(c) = self.rest().chars().next() {
            if c == '\\' {
                self.escape(&mut out)?;
            } else if is_special(c) {
                break;
            } else {
                out.push(c);
                self.at += c.len_utf8();
            }
        }
        Ok(out)
    }

    fn quoted(&mut self) -> Result<EcoString> {
        let start = self.at;
        self.at += 1;
        let mut out = EcoString::new();
        loop {
            match self.rest().chars().next() {
                None => return Err(syntax_error("unterminated quoted string", &self.text[start..])),
                Some('"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') => self.escape(&mut out)?,
                Some(c) => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    /// An escape; surrogates come in pairs.
    fn escape(&mut self, out: &mut EcoString) -> Result<()> {
        let start = self.at;
        let Some(kind) = self.rest()[1..].chars().next() else {
            return Err(syntax_error("unexpected end after backslash", ""));
        };
        self.at += 1 + kind.len_utf8();
        let plain = match kind {
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => {
                let code = self.hex(2).ok_or_else(|| {
                    syntax_error("invalid hexadecimal character sequence", &self.text[start..self.at])
                })?;
                self.character(code)?
            }
            'u' => {
                let code = self.unicode(start)?;
                let code = match code {
                    0xD800..=0xDBFF => {
                        if !self.rest().starts_with("\\u") {
                            return Err(surrogate("Unicode low surrogate must follow a high surrogate."));
                        }
                        let at = self.at;
                        self.at += 2;
                        let low = self.unicode(at)?;
                        if !(0xDC00..=0xDFFF).contains(&low) {
                            return Err(surrogate("Unicode low surrogate must follow a high surrogate."));
                        }
                        0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                    }
                    0xDC00..=0xDFFF => {
                        return Err(surrogate("Unicode low surrogate must follow a high surrogate."));
                    }
                    code => code,
                };
                self.character(code)?
            }
            other => other,
        };
        out.push(plain);
        Ok(())
    }

    fn character(&self, code: u32) -> Result<char> {
        if code == 0 {
            return Err(SqlError::new(
                sqlstate::UNTRANSLATABLE_CHARACTER,
                "unsupported Unicode escape sequence",
            )
            .detail("\\u0000 cannot be converted to text."));
        }
        char::from_u32(code).ok_or_else(|| syntax_error("invalid Unicode escape sequence", ""))
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text = self.rest().get(..digits)?;
        let code = u32::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))?;
        self.at += digits;
        Some(code)
    }

    /// What follows `\u`: four digits, or one to six in braces.
    fn unicode(&mut self, start: usize) -> Result<u32> {
        let wrong = |lexer: &Self| {
            let end =
                lexer.text[start..].char_indices().nth(6).map_or(lexer.text.len(), |(at, _)| start + at);
            syntax_error("invalid Unicode escape sequence", &lexer.text[start..end])
        };
        if let Some(rest) = self.rest().strip_prefix('{') {
            let end = rest.find('}').filter(|end| (1..=6).contains(end));
            let Some(end) = end else { return Err(wrong(self)) };
            let code = u32::from_str_radix(&rest[..end], 16).map_err(|_| wrong(self))?;
            self.at += end + 2;
            return Ok(code);
        }
        self.hex(4).ok_or_else(|| wrong(self))
    }

    fn number(&mut self) -> Result<Token> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(start);
        let whole = end;
        let leading_zero = whole > start + 1 && bytes[start] == b'0';
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        self.at = end;
        let junk = self.rest().chars().next().filter(|c| !is_special(*c));
        if leading_zero || junk.is_some() {
            let shown = if leading_zero { start + 2 } else { end + junk.map_or(0, char::len_utf8) };
            return Err(syntax_error("trailing junk after numeric literal", &self.text[start..shown]));
        }
        let text = &self.text[start..end];
        if end == whole {
            return Ok(Token::Integer(text.into()));
        }
        Numeric::parse(text)?;
        Ok(Token::Number(text.into()))
    }
}

fn surrogate(detail: &str) -> SqlError {
    let message = "invalid input syntax for type jsonpath";
    SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, message).detail(detail.to_owned())
}
