//! PostgreSQL's advanced regular expressions in the syntax of the crate `regex-automata`.
//!
//! Everything that crate cannot do (back references, lookahead and lookbehind) is refused.

use tuplix_types::{Result, SqlError, sqlstate};

/// How a pattern is to be read (`regexp_match`'s flags).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flags {
    /// `g`
    pub global: bool,
    /// `i`
    pub ignore_case: bool,
    /// `.` and `[^...]` do not match a newline.
    pub newline_stops: bool,
    /// `^` and `$` match at newlines.
    pub newline_anchors: bool,
    /// `x`
    pub expanded: bool,
    /// `q`
    pub literal: bool,
}

impl Flags {
    /// The flags that letters spell.
    pub(crate) fn parse(letters: &str) -> Result<Flags> {
        let mut flags = Flags::default();
        for letter in letters.chars() {
            flags.set(letter, letters)?;
        }
        Ok(flags)
    }

    fn set(&mut self, letter: char, all: &str) -> Result<()> {
        match letter {
            'g' => self.global = true,
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.newline_stops, self.newline_anchors) = (true, true),
            's' => (self.newline_stops, self.newline_anchors) = (false, false),
            'p' => (self.newline_stops, self.newline_anchors) = (true, false),
            'w' => (self.newline_stops, self.newline_anchors) = (false, true),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'b' | 'e' => {
                return Err(SqlError::unsupported(format_args!(
                    "the regular expression option \"{letter}\""
                )));
            }
            _ => {
                let message = format!("invalid regular expression option: \"{all}\"");
                return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
            }
        }
        Ok(())
    }
}

/// 2201B with PostgreSQL's reason.
pub(crate) fn invalid(reason: &str) -> SqlError {
    SqlError::new(sqlstate::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {reason}"))
}

fn refused(what: &str) -> SqlError {
    SqlError::unsupported(format_args!("{what} in a regular expression"))
}

/// A pattern in the crate's syntax.
pub(crate) struct Translated {
    pub pattern: String,
    pub flags: Flags,
    /// Whether the whole prefers the shortest match: its first quantified atom is a non-greedy one.
    pub shortest: bool,
}

struct Translator<'p> {
    rest: std::iter::Peekable<std::str::Chars<'p>>,
    out: String,
    flags: Flags,
    /// Of each open group: where it starts in `out`, and the preference before it.
    groups: Vec<(Option<bool>, bool)>,
    /// The preference of the branch so far: `Some(true)` for shortest.
    preference: Option<bool>,
    /// Whether the group so far has an alternation, which makes it greedy.
    alternation: bool,
    /// Whether a quantifier may follow.
    atom: bool,
}

/// Translates a pattern, its embedded options (`(?i)`, `***=`) included.
pub(crate) fn translate(pattern: &str, flags: Flags) -> Result<Translated> {
    let mut flags = flags;
    let mut pattern = pattern;
    if let Some(literal) = pattern.strip_prefix("***=") {
        (flags.literal, pattern) = (true, literal);
    } else if let Some(rest) = pattern.strip_prefix("***:") {
        pattern = rest;
    }
    if flags.literal {
        return Ok(Translated { pattern: regex_syntax::escape(pattern), flags, shortest: false });
    }
    if let Some((letters, rest)) = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'))
        && !letters.is_empty()
        && letters.chars().all(|c| c.is_ascii_alphabetic())
    {
        for letter in letters.chars() {
            flags.set(letter, letters)?;
        }
        pattern = rest;
    }
    let mut translator = Translator {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len() + 8),
        flags,
        groups: Vec::new(),
        preference: None,
        alternation: false,
        atom: false,
    };
    translator.run()?;
    let shortest = translator.preference == Some(true) && !translator.alternation;
    Ok(Translated { pattern: translator.out, flags, shortest })
}

impl Translator<'_> {
    fn run(&mut self) -> Result<()> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.bracket()?,
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.out.push('|');
                    (self.alternation, self.atom) = (true, false);
                }
                '*' | '+' | '?' => self.quantifier(c.to_string())?,
                '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => self.bounds()?,
                '.' => self.push_atom(if self.flags.newline_stops { "[^\\n]" } else { "(?s:.)" }),
                '^' => self.push_assertion(if self.flags.newline_anchors { "(?m:^)" } else { "\\A" }),
                '$' => self.push_assertion(if self.flags.newline_anchors { "(?m:$)" } else { "\\z" }),
                c if self.flags.expanded && c.is_ascii_whitespace() => {}
                '#' if self.flags.expanded => while self.rest.next().is_some_and(|c| c != '\n') {},
                c => self.literal(c),
            }
        }
        if self.groups.is_empty() { Ok(()) } else { Err(invalid("parentheses () not balanced")) }
    }

    fn push_atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.atom = true;
    }

    fn push_assertion(&mut self, text: &str) {
        self.out.push_str(text);
        self.atom = false;
    }

    fn literal(&mut self, c: char) {
        self.push_atom(&regex_syntax::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn open(&mut self) -> Result<()> {
        let mut opening = "(";
        if self.rest.peek() == Some(&'?') {
            self.rest.next();
            match self.rest.next() {
                Some(':') => opening = "(?:",
                Some('=' | '!' | '<') => return Err(refused("a lookaround constraint")),
                Some('#') => {
                    while self.rest.next().is_some_and(|c| c != ')') {}
                    return Ok(());
                }
                _ => return Err(invalid("quantifier operand invalid")),
            }
        }
        self.out.push_str(opening);
        self.groups.push((self.preference.take(), self.alternation));
        (self.alternation, self.atom) = (false, false);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some((before, alternation)) = self.groups.pop() else {
            return Err(invalid("parentheses () not balanced"));
        };
        let inner = if self.alternation { Some(false) } else { self.preference };
        (self.preference, self.alternation) = (before.or(inner), alternation);
        self.push_atom(")");
        Ok(())
    }

    fn quantifier(&mut self, text: String) -> Result<()> {
        if !self.atom {
            return Err(invalid("quantifier operand invalid"));
        }
        let shortest = self.rest.peek() == Some(&'?');
        self.out.push_str(&text);
        if shortest {
            self.rest.next();
            self.out.push('?');
        }
        self.preference = self.preference.or(Some(shortest));
        self.atom = false;
        Ok(())
    }

    fn bounds(&mut self) -> Result<()> {
        let mut text = String::from("{");
        loop {
            match self.rest.next() {
                Some(c @ ('0'..='9' | ',')) => text.push(c),
                Some('}') => break,
                _ => return Err(invalid("invalid repetition count(s)")),
            }
        }
        let numbers: Vec<Option<u32>> = text[1..].split(',').map(|n| n.parse().ok()).collect();
        let valid = match numbers[..] {
            [Some(exact)] => exact <= 255,
            [Some(low), Some(high)] => low <= high && high <= 255,
            [Some(low), None] => low <= 255 && text.ends_with(','),
            _ => false,
        };
        if !valid {
            return Err(invalid("invalid repetition count(s)"));
        }
        text.push('}');
        self.quantifier(text)
    }

    fn escape(&mut self) -> Result<()> {
        let Some(c) = self.rest.next() else { return Err(invalid("invalid escape \\ sequence")) };
        match c {
            'd' => self.push_atom("[0-9]"),
            'D' => self.push_atom(if self.flags.newline_stops { "[^0-9\\n]" } else { "[^0-9]" }),
            's' => self.push_atom("\\s"),
            'S' => self.push_atom("\\S"),
            'w' => self.push_atom("[\\p{Alphabetic}\\p{N}_]"),
            'W' => self.push_atom(if self.flags.newline_stops {
                "[^\\p{Alphabetic}\\p{N}_\\n]"
            } else {
                "[^\\p{Alphabetic}\\p{N}_]"
            }),
            'm' => self.push_assertion("\\b{start}"),
            'M' => self.push_assertion("\\b{end}"),
            'y' => self.push_assertion("\\b"),
            'Y' => self.push_assertion("\\B"),
            'A' => self.push_assertion("\\A"),
            'Z' => self.push_assertion("\\z"),
            '1'..='9' => return Err(refused("a back reference")),
            c if c.is_ascii_alphanumeric() => {
                let literal = self.character_escape(c)?;
                self.literal(literal);
            }
            c => self.literal(c),
        }
        Ok(())
    }

    /// The escapes that stand for one character.
    fn character_escape(&mut self, c: char) -> Result<char> {
        let code = match c {
            'a' => 7,
            'b' => 8,
            'B' => u32::from('\\'),
            'e' => 27,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'c' => self.rest.next().map_or(0, |c| u32::from(c) & 31),
            'u' => self.digits(16, 4)?,
            'U' => self.digits(16, 8)?,
            'x' => self.digits(16, 255)?,
            '0' => 0,
            _ => return Err(invalid("invalid escape \\ sequence")),
        };
        char::from_u32(code).ok_or_else(|| invalid("invalid escape \\ sequence"))
    }

    fn digits(&mut self, radix: u32, most: usize) -> Result<u32> {
        let (mut value, mut count) = (0u32, 0);
        while count < most
            && let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(radix))
        {
            value = value
                .checked_mul(radix)
                .and_then(|v| v.checked_add(digit))
                .ok_or_else(|| invalid("invalid escape \\ sequence"))?;
            self.rest.next();
            count += 1;
        }
        let exact = most == 255 || count == most;
        if count > 0 && exact { Ok(value) } else { Err(invalid("invalid escape \\ sequence")) }
    }

    fn bracket(&mut self) -> Result<()> {
        let unbalanced = || invalid("brackets [] not balanced");
        let mut set = String::from("[");
        if self.rest.peek() == Some(&'^') {
            self.rest.next();
            set.push('^');
            if self.flags.newline_stops {
                set.push_str("\\n");
            }
        }
        let mut first = true;
        loop {
            match self.rest.next().ok_or_else(unbalanced)? {
                ']' if !first => break,
                '[' if matches!(self.rest.peek(), Some(':' | '.' | '=')) => {
                    if let Some(assertion) = self.named_class(&mut set)? {
                        // `[[:<:]]` and `[[:>:]]` are word boundaries.
                        if self.rest.next() != Some(']') || set.len() > 1 {
                            return Err(invalid("invalid character class"));
                        }
                        self.push_assertion(assertion);
                        return Ok(());
                    }
                }
                '\\' => self.bracket_escape(&mut set)?,
                '-' if !first && self.rest.peek() != Some(&']') => set.push('-'),
                c => push_member(&mut set, c),
            }
            first = false;
        }
        set.push(']');
        self.push_atom(&set);
        Ok(())
    }

    fn bracket_escape(&mut self, set: &mut String) -> Result<()> {
        match self.rest.next().ok_or_else(|| invalid("brackets [] not balanced"))? {
            'd' => set.push_str("0-9"),
            's' => set.push_str("\\s"),
            'w' => set.push_str("\\p{Alphabetic}\\p{N}_"),
            c @ ('D' | 'S' | 'W') => return Err(refused(&format!("\\{c} within brackets"))),
            c if c.is_ascii_alphanumeric() => {
                let member = self.character_escape(c)?;
                push_member(set, member);
            }
            c => push_member(set, c),
        }
        Ok(())
    }

    /// `[:alpha:]`, `[.x.]`, `[=x=]` after the bracket; the boundary when it is one.
    fn named_class(&mut self, set: &mut String) -> Result<Option<&'static str>> {
        let kind = self.rest.next().unwrap_or(':');
        let mut name = String::new();
        loop {
            match self.rest.next().ok_or_else(|| invalid("brackets [] not balanced"))? {
                c if c == kind && self.rest.peek() == Some(&']') => break,
                c => name.push(c),
            }
        }
        self.rest.next();
        if kind != ':' {
            let mut chars = name.chars();
            return match (chars.next(), chars.next()) {
                (Some(c), None) => {
                    push_member(set, c);
                    Ok(None)
                }
                _ => Err(invalid("invalid collating element")),
            };
        }
        set.push_str(match name.as_str() {
            "alpha" => "\\p{Alphabetic}",
            "upper" => "\\p{Uppercase}",
            "lower" => "\\p{Lowercase}",
            "digit" => "0-9",
            "alnum" => "\\p{Alphabetic}\\p{N}",
            "word" => "\\p{Alphabetic}\\p{N}_",
            "space" => "\\s",
            "blank" => "\\t ",
            "xdigit" => "0-9A-Fa-f",
            "cntrl" => "\\p{Cc}",
            "punct" => "\\p{P}\\p{S}",
            "ascii" => "\\x00-\\x7F",
            "print" => "[^\\p{Cc}]",
            "graph" => "[^\\p{Cc}\\s]",
            "<" => return Ok(Some("\\b{start}")),
            ">" => return Ok(Some("\\b{end}")),
            _ => return Err(invalid("invalid character class")),
        });
        Ok(None)
    }
}

fn push_member(set: &mut String, c: char) {
    if c.is_ascii_punctuation() && c != '_' {
        set.push('\\');
    }
    match c {
        '<' | '>' | '"' | '\'' | '%' | ',' | '/' | ':' | ';' | '=' | '@' | '`' | '!' => {
            set.pop();
            set.push(c);
        }
        _ => set.push(c),
    }
}
