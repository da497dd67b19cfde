//! Where statements end and backslash commands begin, as psql sees it: quotes, dollar quotes, nested comments, parentheses
//! and bodies between BEGIN ATOMIC and END keep their semicolons.
//!
//! Text is pushed line by line and looked at once.

/// A whole statement, or a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A statement without its semicolon, and the line of the input (from 1) where it begins.
    Statement(String, usize),
    /// What follows a backslash to the end of the line, and the line's number.
    Command(String, usize),
}

/// What the text is in the middle of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    /// `'...'`; whether backslashes escape in it.
    Quote(bool),
    Identifier,
    Dollar(String),
    /// Depth of `/*`.
    Comment(usize),
}

/// See the module.
#[derive(Default)]
pub(super) struct Scanner {
    /// The statement so far.
    text: String,
    /// The line where it begins.
    begins: usize,
    lines: usize,
    inside: Inside,
    parentheses: usize,
    /// First letters of the statement's first words.
    words: String,
    /// BEGIN ATOMIC and CASE that are open in the body of a function.
    blocks: usize,
}

impl Scanner {
    /// Looks at one more line, without its end.
    pub(super) fn push(&mut self, line: &str) -> Vec<Piece> {
        self.lines += 1;
        let mut pieces = Vec::new();
        let mut rest = line;
        while !rest.is_empty() {
            rest = match &self.inside {
                Inside::Nothing => match self.plain(rest) {
                    Step::Rest(rest) => rest,
                    Step::Ended(rest) => {
                        pieces.extend(self.end());
                        rest
                    }
                    Step::Command(command) => {
                        pieces.push(Piece::Command(command.to_owned(), self.lines));
                        break;
                    }
                },
                _ => self.quoted(rest),
            };
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        pieces
    }

    /// The statement that the input ends in, if it has one.
    pub(super) fn end(&mut self) -> Option<Piece> {
        let text = std::mem::take(&mut self.text);
        let begins = self.begins;
        self.clear();
        let text = text.trim_end();
        (!text.is_empty()).then(|| Piece::Statement(text.to_owned(), begins))
    }

    /// Forgets the statement so far.
    pub(super) fn clear(&mut self) {
        let lines = self.lines;
        *self = Scanner { lines, ..Scanner::default() };
    }

    /// Counts lines from the first again: what is typed has no file.
    pub(super) fn restart(&mut self) {
        self.lines = 0;
    }

    /// Lines that were read beside the statements: data of COPY.
    pub(super) fn skip_lines(&mut self, lines: usize) {
        self.lines += lines;
    }

    /// The statement so far.
    pub(super) fn pending(&self) -> &str {
        self.text.trim_end()
    }

    /// The mark in the prompt: `=` for a new statement, or what the text is in the middle of.
    pub(super) fn mark(&self) -> char {
        match &self.inside {
            Inside::Quote(_) => '\'',
            Inside::Identifier => '"',
            Inside::Dollar(_) => '$',
            Inside::Comment(_) => '*',
            Inside::Nothing if self.parentheses > 0 => '(',
            Inside::Nothing if self.text.is_empty() => '=',
            Inside::Nothing => '-',
        }
    }

    /// Takes the next token outside quotes.
    fn plain<'a>(&mut self, rest: &'a str) -> Step<'a> {
        let Some(first) = rest.chars().next() else { return Step::Rest("") };
        if rest.starts_with("--") {
            self.keep(rest, rest.len(), false);
            return Step::Rest("");
        }
        if rest.starts_with("/*") {
            self.inside = Inside::Comment(1);
            return self.keep(rest, 2, false);
        }
        match first {
            ';' if self.parentheses == 0 && self.blocks == 0 => Step::Ended(&rest[1..]),
            '\\' => Step::Command(&rest[1..]),
            '\'' => {
                self.inside = Inside::Quote(false);
                self.keep(rest, 1, true)
            }
            '"' => {
                self.inside = Inside::Identifier;
                self.keep(rest, 1, true)
            }
            '$' => match dollar_tag(rest) {
                Some(tag) => {
                    let length = tag.len();
                    self.inside = Inside::Dollar(tag.to_owned());
                    self.keep(rest, length, true)
                }
                None => self.keep(rest, 1, true),
            },
            '(' => {
                self.parentheses += 1;
                self.keep(rest, 1, true)
            }
            ')' => {
                self.parentheses = self.parentheses.saturating_sub(1);
                self.keep(rest, 1, true)
            }
            _ if begins_word(first) => self.word(rest),
            _ if first.is_whitespace() => self.keep(rest, first.len_utf8(), false),
            _ => self.keep(rest, first.len_utf8(), true),
        }
    }

    /// A word, or the `E` of a string with escapes.
    fn word<'a>(&mut self, rest: &'a str) -> Step<'a> {
        let length = rest.find(|char| !in_word(char)).unwrap_or(rest.len());
        let word = &rest[..length];
        if word.eq_ignore_ascii_case("e") && rest[length..].starts_with('\'') {
            self.inside = Inside::Quote(true);
            return self.keep(rest, length + 1, true);
        }
        if self.words.len() < 4 {
            self.words.extend(word.chars().next().map(|first| first.to_ascii_lowercase()));
        }
        // CREATE [OR REPLACE] FUNCTION or PROCEDURE
        let routine = ["cf", "cp", "corf", "corp"].iter().any(|shape| self.words.starts_with(shape));
        if routine && self.parentheses == 0 {
            match word.to_ascii_lowercase().as_str() {
                "begin" => self.blocks += 1,
                "case" if self.blocks > 0 => self.blocks += 1,
                "end" => self.blocks = self.blocks.saturating_sub(1),
                _ => {}
            }
        }
        self.keep(rest, length, true)
    }

    /// Goes on in a quote or comment to its end, or that of the line.
    fn quoted<'a>(&mut self, rest: &'a str) -> &'a str {
        let (length, inside) = match self.inside.clone() {
            Inside::Nothing => (0, Inside::Nothing),
            Inside::Quote(escapes) => match end_of_quote(rest, escapes) {
                Some(end) => (end, Inside::Nothing),
                None => (rest.len(), Inside::Quote(escapes)),
            },
            Inside::Identifier => closed(rest, "\"", Inside::Identifier),
            Inside::Dollar(tag) => closed(rest, &tag, Inside::Dollar(tag.clone())),
            Inside::Comment(depth) => comment(rest, depth),
        };
        let is_comment = matches!(self.inside, Inside::Comment(_));
        self.inside = inside;
        match self.keep(rest, length, !is_comment) {
            Step::Rest(rest) | Step::Ended(rest) | Step::Command(rest) => rest,
        }
    }

    /// Moves so many bytes to the statement; what is no token does not begin one.
    fn keep<'a>(&mut self, rest: &'a str, length: usize, token: bool) -> Step<'a> {
        if self.text.is_empty() && token {
            self.begins = self.lines;
        }
        if token || !self.text.is_empty() {
            self.text.push_str(&rest[..length]);
        }
        Step::Rest(&rest[length..])
    }
}

/// What came of a token, and what is left of the line.
enum Step<'a> {
    Rest(&'a str),
    Ended(&'a str),
    Command(&'a str),
}

fn begins_word(char: char) -> bool {
    char.is_ascii_alphabetic() || char == '_' || !char.is_ascii()
}

fn in_word(char: char) -> bool {
    begins_word(char) || char.is_ascii_digit() || char == '$'
}

/// `$tag$` at the beginning of a text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = 1 + text[1..].find('$')?;
    let tag = &text[1..end];
    let word = tag.chars().all(|char| in_word(char) && char != '$');
    (word && !tag.starts_with(|first: char| first.is_ascii_digit())).then(|| &text[..=end])
}

/// Where a quote's end is behind; two quotes are an end and a beginning.
fn end_of_quote(text: &str, escapes: bool) -> Option<usize> {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if escapes => escaped = true,
            b'\'' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn closed(text: &str, end: &str, inside: Inside) -> (usize, Inside) {
    match text.find(end) {
        Some(index) => (index + end.len(), Inside::Nothing),
        None => (text.len(), inside),
    }
}

/// The first end or beginning of a comment.
fn comment(text: &str, depth: usize) -> (usize, Inside) {
    match (text.find("/*"), text.find("*/")) {
        (Some(open), close) if close.is_none_or(|close| open < close) => {
            (open + 2, Inside::Comment(depth + 1))
        }
        (_, Some(close)) if depth > 1 => (close + 2, Inside::Comment(depth - 1)),
        (_, Some(close)) => (close + 2, Inside::Nothing),
        (_, None) => (text.len(), Inside::Comment(depth)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statements and commands of a text, a line each; what is left open stands behind `...`.
    fn shown(text: &str) -> String {
        let mut scanner = Scanner::default();
        let mut shown = Vec::new();
        for line in text.split('\n') {
            for piece in scanner.push(line) {
                shown.push(match piece {
                    Piece::Statement(text, line) => format!("{line}: {text}"),
                    Piece::Command(text, line) => format!("{line}: \\{text}"),
                });
            }
        }
        let mark = scanner.mark();
        if mark != '=' {
            shown.push(format!("{mark} {}", scanner.pending()));
        }
        shown.join(" | ")
    }

    #[test]
    fn statements_end_where_psql_ends_them() {
        for (text, expected) in [
            ("SELECT 1;", "1: SELECT 1"),
            ("SELECT 1; SELECT 2;", "1: SELECT 1 | 1: SELECT 2"),
            ("SELECT\n  1\n;", "1: SELECT\n  1"),
            (";;  ;", ""),
            ("-- only a comment\n/* and\nanother */\nSELECT 1;", "4: SELECT 1"),
            ("SELECT ';';", "1: SELECT ';'"),
            ("SELECT 'it''s';", "1: SELECT 'it''s'"),
            ("SELECT 'a\\'; SELECT 2;", "1: SELECT 'a\\' | 1: SELECT 2"),
            ("SELECT E'a\\';'; SELECT 2;", "1: SELECT E'a\\';' | 1: SELECT 2"),
            ("SELECT \"a;b\";", "1: SELECT \"a;b\""),
            ("SELECT $$a;b$$, $x$;$$;$x$;", "1: SELECT $$a;b$$, $x$;$$;$x$"),
            ("SELECT $1, a$b$ FROM c;", "1: SELECT $1, a$b$ FROM c"),
            ("SELECT /* ; /* ; */ ; */ 1;", "1: SELECT /* ; /* ; */ ; */ 1"),
            ("SELECT 1 -- ; no\n;", "1: SELECT 1 -- ; no"),
            (
                "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
                "1: CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
            ),
            (
                "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;",
                "1: CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END",
            ),
            ("BEGIN; SELECT 1; END;", "1: BEGIN | 1: SELECT 1 | 1: END"),
            ("\\d account", "1: \\d account"),
            ("SELECT 1 \\g out", "1: \\g out | - SELECT 1"),
            ("SELECT '\\d';", "1: SELECT '\\d'"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn the_prompt_says_what_is_open() {
        for (text, mark) in [
            ("SELECT", '-'),
            ("SELECT 'a", '\''),
            ("SELECT E'a\\'", '\''),
            ("SELECT \"a", '"'),
            ("SELECT $f$ ;", '$'),
            ("SELECT /* ;", '*'),
            ("SELECT (1;", '('),
            ("SELECT 1;", '='),
            ("  -- nothing", '='),
        ] {
            let mut scanner = Scanner::default();
            scanner.push(text);
            assert_eq!(scanner.mark(), mark, "{text}");
        }
    }
}
