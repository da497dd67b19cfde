//! `OPEN`, `FETCH`, `MOVE` and the arguments of bound cursors.

use tuplix_types::{Result, SqlError};

use super::Parser;
use super::ast::{Expression, FetchDirection, Name, OpenSource, StatementKind};
use super::scope::Known;
use super::sql::Stop;
use crate::parser::lexer::Token;

const FROM_OR_IN: [Stop; 2] = [Stop::Word("from"), Stop::Word("in")];

impl Parser<'_> {
    /// The cursor variable of this body that comes next, if one does.
    pub(super) fn peek_cursor(&mut self) -> Result<Option<(Name, Known)>> {
        let length = self.tokens.name_length(0)?;
        if length == 0 {
            return Ok(None);
        }
        let name = self.name()?;
        for _ in 0..length {
            self.tokens.put_back();
        }
        let known = self.scopes.find(&name.parts).filter(|known| **known != Known::Variable).cloned();
        Ok(known.map(|known| (name, known)))
    }

    /// `OPEN cursor ...;`
    pub(super) fn open(&mut self) -> Result<StatementKind> {
        let known = self.peek_cursor()?.map(|(_, known)| known);
        let cursor = self.name()?;
        if let Some(Known::BoundCursor(parameters)) = known {
            let arguments = self.cursor_arguments(&cursor, &parameters, Stop::Semicolon)?;
            return Ok(StatementKind::Open { cursor, source: OpenSource::Bound { arguments } });
        }
        let scroll = self.open_scroll()?;
        if !self.tokens.take_word("for")? {
            return Err(self.tokens.error("syntax error, expected \"FOR\""));
        }
        let source = if self.tokens.take_word("execute")? {
            let (query, stop) = self.expression(&[Stop::Word("using"), Stop::Semicolon], "USING or ;")?;
            let using = match stop {
                Stop::Word(_) => self.expressions(Stop::Semicolon, ", or ;")?,
                _ => Vec::new(),
            };
            OpenSource::Execute { scroll, query, using }
        } else {
            OpenSource::Query { scroll, query: self.query_until_semicolon()? }
        };
        Ok(StatementKind::Open { cursor, source })
    }

    /// `[[NO] SCROLL]` before `FOR`; a lone `NO` is forgiven, as PostgreSQL does.
    fn open_scroll(&mut self) -> Result<Option<bool>> {
        let no = self.tokens.take_word("no")?;
        Ok(if self.tokens.take_word("scroll")? { Some(!no) } else { None })
    }

    /// `[(argument, ...)]` of a bound cursor and what must follow, in the order of its declaration.
    pub(super) fn cursor_arguments(
        &mut self,
        cursor: &Name,
        parameters: &[String],
        until: Stop,
    ) -> Result<Vec<Expression>> {
        let offset = self.tokens.offset()?;
        let parenthesis = self.tokens.is_char(0, '(')?;
        if parameters.is_empty() {
            if parenthesis {
                let message = format!("cursor \"{cursor}\" has no arguments");
                return Err(self.tokens.error_plain(&message, offset));
            }
            self.expect_stop(until)?;
            return Ok(Vec::new());
        }
        if !self.tokens.take_char('(')? {
            let message = format!("cursor \"{cursor}\" has arguments");
            return Err(self.tokens.error_plain(&message, offset));
        }
        let mut values: Vec<Option<Expression>> = vec![None; parameters.len()];
        for index in 0..parameters.len() {
            let offset = self.tokens.offset()?;
            let place = self.named_argument(cursor, parameters)?.unwrap_or(index);
            if values[place].is_some() {
                let name = &parameters[place];
                let message =
                    format!("value for parameter \"{name}\" of cursor \"{cursor}\" specified more than once");
                return Err(self.tokens.error_plain(&message, offset));
            }
            let (value, stop) = self.expression(&[Stop::Comma, Stop::RightParenthesis], ",\" or \")")?;
            values[place] = Some(value);
            self.check_count(cursor, stop, index + 1 == parameters.len())?;
        }
        self.expect_stop(until)?;
        Ok(values.into_iter().flatten().collect())
    }

    /// Whether the list ends with its last argument.
    fn check_count(&mut self, cursor: &Name, stop: Stop, last: bool) -> Result<()> {
        let wrong = match (stop, last) {
            (Stop::RightParenthesis, false) => "not enough",
            (Stop::Comma, true) => "too many",
            _ => return Ok(()),
        };
        self.tokens.put_back();
        let offset = self.tokens.offset()?;
        Err(self.tokens.error_plain(&format!("{wrong} arguments for cursor \"{cursor}\""), offset))
    }

    /// `name :=`: which parameter it is.
    fn named_argument(&mut self, cursor: &Name, parameters: &[String]) -> Result<Option<usize>> {
        // `name =>` is newer than PostgreSQL 15.
        let named = self.tokens.peek(1)?.is_some_and(|lexeme| lexeme.token == Token::ColonEquals);
        if !named || !self.tokens.is_name(0)? {
            return Ok(None);
        }
        let offset = self.tokens.offset()?;
        let name = self.tokens.take_identifier()?;
        self.tokens.take()?;
        match parameters.iter().position(|parameter| *parameter == name) {
            Some(place) => Ok(Some(place)),
            None => {
                let message = format!("cursor \"{cursor}\" has no argument named \"{name}\"");
                Err(self.tokens.error_plain(&message, offset))
            }
        }
    }

    fn expect_stop(&mut self, stop: Stop) -> Result<()> {
        match stop {
            Stop::Word(word) => self.tokens.expect_word(word),
            _ => self.tokens.expect_char(';'),
        }
    }

    /// `FETCH [direction {FROM | IN}] cursor INTO target;`
    pub(super) fn fetch(&mut self, offset: usize) -> Result<StatementKind> {
        let direction = self.direction("into")?;
        let cursor = self.name()?;
        self.tokens.expect_word("into")?;
        let targets = self.target_of_into(false)?.targets;
        self.tokens.expect_char(';')?;
        if direction.is_many() {
            let error = SqlError::new(
                tuplix_types::sqlstate::FEATURE_NOT_SUPPORTED,
                "FETCH statement cannot return multiple rows",
            );
            return Err(error.at(Some(crate::parser::position(self.tokens.body(), offset))));
        }
        Ok(StatementKind::Fetch { cursor, direction, targets })
    }

    /// `MOVE [direction {FROM | IN}] cursor;`
    pub(super) fn move_statement(&mut self) -> Result<StatementKind> {
        let direction = self.direction(";")?;
        let cursor = self.name()?;
        self.tokens.expect_char(';')?;
        Ok(StatementKind::Fetch { cursor, direction, targets: Vec::new() })
    }

    /// The direction and the `FROM` or `IN` after it. Without one the cursor follows at once, which
    /// shows by what comes after its name.
    fn direction(&mut self, after_cursor: &str) -> Result<FetchDirection> {
        if self.tokens.peek(0)?.is_none() {
            return Err(self.tokens.error("unexpected end of function definition"));
        }
        let length = self.tokens.name_length(0)?;
        let bare = length > 0
            && match after_cursor {
                ";" => self.tokens.is_char(length, ';')?,
                word => self.tokens.is_word(length, word)?,
            };
        if bare || self.take_from_or_in()? {
            return Ok(FetchDirection::Next);
        }
        let word = self.tokens.word(0)?.unwrap_or_default().to_owned();
        let simple = match word.as_str() {
            "next" => FetchDirection::Next,
            "prior" => FetchDirection::Prior,
            "first" => FetchDirection::First,
            "last" => FetchDirection::Last,
            "all" => FetchDirection::ForwardAll,
            "absolute" | "relative" | "forward" | "backward" => {
                self.tokens.take()?;
                return self.counted_direction(&word);
            }
            _ => return Ok(FetchDirection::Forward(self.expression(&FROM_OR_IN, "FROM or IN")?.0)),
        };
        self.tokens.take()?;
        self.expect_from_or_in()?;
        Ok(simple)
    }

    /// What follows `ABSOLUTE`, `RELATIVE`, `FORWARD` or `BACKWARD`.
    fn counted_direction(&mut self, word: &str) -> Result<FetchDirection> {
        if matches!(word, "forward" | "backward") {
            let forward = word == "forward";
            if self.take_from_or_in()? {
                return Ok(if forward { FetchDirection::Next } else { FetchDirection::Prior });
            }
            if self.tokens.take_word("all")? {
                self.expect_from_or_in()?;
                return Ok(if forward { FetchDirection::ForwardAll } else { FetchDirection::BackwardAll });
            }
        }
        let (count, _) = self.expression(&FROM_OR_IN, "FROM or IN")?;
        Ok(match word {
            "absolute" => FetchDirection::Absolute(count),
            "relative" => FetchDirection::Relative(count),
            "forward" => FetchDirection::Forward(count),
            _ => FetchDirection::Backward(count),
        })
    }

    fn take_from_or_in(&mut self) -> Result<bool> {
        Ok(self.tokens.take_word("from")? || self.tokens.take_word("in")?)
    }

    fn expect_from_or_in(&mut self) -> Result<()> {
        if self.take_from_or_in()? { Ok(()) } else { Err(self.tokens.error("expected FROM or IN")) }
    }
}

impl FetchDirection {
    /// Whether it may mean more than one row.
    fn is_many(&self) -> bool {
        matches!(
            self,
            FetchDirection::Forward(_)
                | FetchDirection::Backward(_)
                | FetchDirection::ForwardAll
                | FetchDirection::BackwardAll
        )
    }
}
