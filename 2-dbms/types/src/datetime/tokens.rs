//! Cuts the text of a date, time or interval into fields, and knows the words in them
//! (`ParseDateTime` and the token tables of PostgreSQL's `datetime.c`).

/// What a field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits, perhaps with a decimal point.
    Number,
    /// Digits or words joined by `-`, `/` or `.`.
    Date,
    /// Digits joined by `:`.
    Time,
    /// A word.
    Word,
    /// A sign and digits: a zone's offset, or a signed number in an interval.
    Signed,
    /// A sign and a word: `-infinity`.
    SignedWord,
}

/// A field of the text, in lower case.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: String,
}

/// Most fields in a text.
const MAX_FIELDS: usize = 25;

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Moves bytes to `field` as long as `wanted` says so.
    fn take(&mut self, field: &mut String, wanted: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && wanted(self.peek()) {
            field.push(char::from(self.peek().to_ascii_lowercase()));
            self.at += 1;
        }
    }

    fn one(&mut self, field: &mut String) {
        field.push(char::from(self.peek().to_ascii_lowercase()));
        self.at += 1;
    }

    fn number(&mut self, field: &mut String) -> Kind {
        let digit = |b: u8| b.is_ascii_digit();
        self.take(field, digit);
        match self.peek() {
            b':' => {
                self.take(field, |b| digit(b) || b == b':' || b == b'.');
                Kind::Time
            }
            delimiter @ (b'-' | b'/' | b'.') => {
                self.one(field);
                if !digit(self.peek()) {
                    self.take(field, |b| b.is_ascii_alphanumeric() || b == delimiter);
                    return Kind::Date;
                }
                self.take(field, digit);
                // Three parts need the same delimiter twice.
                if self.peek() == delimiter {
                    self.take(field, |b| digit(b) || b == delimiter);
                    return Kind::Date;
                }
                if delimiter == b'.' { Kind::Number } else { Kind::Date }
            }
            _ => Kind::Number,
        }
    }

    fn word(&mut self, field: &mut String) -> Kind {
        self.take(field, |b| b.is_ascii_alphabetic());
        let next = self.peek();
        let joined = matches!(next, b'-' | b'/' | b'.')
            || ((next == b'+' || next.is_ascii_digit()) && Word::find(field).is_none());
        if !joined {
            return Kind::Word;
        }
        self.take(field, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
        });
        Kind::Date
    }

    fn signed(&mut self, field: &mut String) -> Option<Kind> {
        self.one(field);
        while crate::numeric::is_space(self.peek()) {
            self.at += 1;
        }
        if self.peek().is_ascii_digit() {
            self.take(field, |b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-'));
            Some(Kind::Signed)
        } else if self.peek().is_ascii_alphabetic() {
            self.take(field, |b| b.is_ascii_alphabetic());
            Some(Kind::SignedWord)
        } else {
            None
        }
    }
}

/// The fields of `text`; `None` for what has none of the right form.
pub(super) fn tokenize(text: &str) -> Option<Vec<Token>> {
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0 };
    let mut tokens = Vec::new();
    while scanner.at < scanner.bytes.len() {
        let byte = scanner.peek();
        if crate::numeric::is_space(byte) {
            scanner.at += 1;
            continue;
        }
        if tokens.len() >= MAX_FIELDS {
            return None;
        }
        let mut field = String::new();
        let kind = if byte.is_ascii_digit() {
            scanner.number(&mut field)
        } else if byte == b'.' {
            scanner.one(&mut field);
            scanner.take(&mut field, |b| b.is_ascii_digit());
            Kind::Number
        } else if byte.is_ascii_alphabetic() {
            scanner.word(&mut field)
        } else if byte == b'+' || byte == b'-' {
            scanner.signed(&mut field)?
        } else if byte.is_ascii_punctuation() {
            scanner.at += 1;
            continue;
        } else {
            return None;
        };
        tokens.push(Token { kind, text: field });
    }
    Some(tokens)
}

/// What a word in a date or time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Now,
    Today,
    Tomorrow,
    Yesterday,
    Epoch,
    Infinity,
    NegativeInfinity,
    AllBalls,
    Month(u32),
    Weekday,
    Am,
    Pm,
    Ad,
    Bc,
    /// `t` before an ISO time.
    IsoTime,
    /// `j` before a Julian day.
    Julian,
    /// A unit's letter, which only intervals use.
    Unit,
    /// `at`, `on`
    Filler,
}

impl Word {
    /// The meaning of a word in lower case.
    pub fn find(word: &str) -> Option<Word> {
        Some(match word {
            "now" => Word::Now,
            "today" => Word::Today,
            "tomorrow" => Word::Tomorrow,
            "yesterday" => Word::Yesterday,
            "epoch" => Word::Epoch,
            "infinity" => Word::Infinity,
            "-infinity" => Word::NegativeInfinity,
            "allballs" => Word::AllBalls,
            "jan" | "january" => Word::Month(1),
            "feb" | "february" => Word::Month(2),
            "mar" | "march" => Word::Month(3),
            "apr" | "april" => Word::Month(4),
            "may" => Word::Month(5),
            "jun" | "june" => Word::Month(6),
            "jul" | "july" => Word::Month(7),
            "aug" | "august" => Word::Month(8),
            "sep" | "sept" | "september" => Word::Month(9),
            "oct" | "october" => Word::Month(10),
            "nov" | "november" => Word::Month(11),
            "dec" | "december" => Word::Month(12),
            "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds"
            | "wednesday" | "thu" | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat" | "saturday" => {
                Word::Weekday
            }
            "am" => Word::Am,
            "pm" => Word::Pm,
            "ad" => Word::Ad,
            "bc" => Word::Bc,
            "t" => Word::IsoTime,
            "j" | "jd" => Word::Julian,
            "d" | "h" | "m" | "mm" | "s" | "y" | "dow" | "doy" | "isodow" | "isoyear" | "dst" => Word::Unit,
            "at" | "on" => Word::Filler,
            _ => return None,
        })
    }
}
