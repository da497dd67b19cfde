//! `RAISE`.

use tuplix_types::{Result, SqlError, sqlstate};

use super::Parser;
use super::ast::{Expression, Raise, RaiseLevel, RaiseMessage, RaiseOption, StatementKind};
use super::sql::Stop;
use crate::parser::lexer::Token;

const USING: Stop = Stop::Word("using");

impl Parser<'_> {
    /// `RAISE`, whose word was taken.
    pub(super) fn raise(&mut self) -> Result<StatementKind> {
        self.more_must_come()?;
        let mut raise =
            Raise { level: RaiseLevel::Exception, message: RaiseMessage::Nothing, options: Vec::new() };
        if self.tokens.take_char(';')? {
            return Ok(StatementKind::Raise(raise));
        }
        if let Some(level) = self.tokens.word(0)?.and_then(RaiseLevel::from_word) {
            raise.level = level;
            self.tokens.take()?;
            self.more_must_come()?;
        }
        let using = match self.tokens.peek(0)?.map(|lexeme| lexeme.token.clone()) {
            Some(Token::String(format)) => {
                self.tokens.take()?;
                let (arguments, using) = self.raise_arguments()?;
                raise.message = RaiseMessage::Format { format, arguments };
                using
            }
            _ if self.tokens.take_word("using")? => true,
            _ => {
                raise.message = self.raise_condition()?;
                self.using_or_semicolon()?
            }
        };
        if using {
            raise.options = self.raise_options()?;
        }
        if let RaiseMessage::Format { format, arguments } = &raise.message {
            check_count(format, arguments.len())?;
        }
        Ok(StatementKind::Raise(raise))
    }

    fn more_must_come(&mut self) -> Result<()> {
        match self.tokens.peek(0)? {
            Some(_) => Ok(()),
            None => Err(self.tokens.error("unexpected end of function definition")),
        }
    }

    /// The arguments after a format, and whether `USING` ended them.
    fn raise_arguments(&mut self) -> Result<(Vec<Expression>, bool)> {
        let mut arguments = Vec::new();
        if !self.tokens.take_char(',')? {
            return Ok((arguments, self.using_or_semicolon()?));
        }
        loop {
            let (argument, stop) =
                self.expression(&[Stop::Comma, Stop::Semicolon, USING], ", or ; or USING")?;
            arguments.push(argument);
            if stop != Stop::Comma {
                return Ok((arguments, stop == USING));
            }
        }
    }

    /// Takes `USING` (true) or the semicolon (false).
    fn using_or_semicolon(&mut self) -> Result<bool> {
        if self.tokens.take_word("using")? {
            return Ok(true);
        }
        self.tokens.expect_char(';')?;
        Ok(false)
    }

    /// A condition's name, or `SQLSTATE 'xxxxx'`.
    fn raise_condition(&mut self) -> Result<RaiseMessage> {
        if self.tokens.take_word("sqlstate")? {
            return Ok(RaiseMessage::SqlState(self.sqlstate()?));
        }
        let name = self.tokens.take_identifier()?;
        self.known_condition(&name)?;
        Ok(RaiseMessage::Condition(name))
    }

    /// `option = expression, ...;`
    fn raise_options(&mut self) -> Result<Vec<(RaiseOption, Expression)>> {
        let mut options = Vec::new();
        loop {
            self.more_must_come()?;
            let option = self.tokens.word(0)?.and_then(RaiseOption::from_word);
            let Some(option) = option else {
                return Err(self.tokens.error("unrecognized RAISE statement option"));
            };
            self.tokens.take()?;
            if !self.tokens.take_assign()? {
                return Err(self.tokens.error("syntax error, expected \"=\""));
            }
            let (value, stop) = self.expression(&[Stop::Comma, Stop::Semicolon], ", or ;")?;
            options.push((option, value));
            if stop == Stop::Semicolon {
                return Ok(options);
            }
        }
    }
}

/// Checks that a format takes as many arguments as there are.
fn check_count(format: &str, arguments: usize) -> Result<()> {
    let mut places = 0;
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '%' && characters.next_if_eq(&'%').is_none() {
            places += 1;
        }
    }
    let wrong = match arguments.cmp(&places) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Greater => "many",
        std::cmp::Ordering::Less => "few",
    };
    Err(SqlError::new(sqlstate::SYNTAX_ERROR, format!("too {wrong} parameters specified for RAISE")))
}

impl RaiseLevel {
    fn from_word(word: &str) -> Option<RaiseLevel> {
        Some(match word {
            "exception" => RaiseLevel::Exception,
            "warning" => RaiseLevel::Warning,
            "notice" => RaiseLevel::Notice,
            "info" => RaiseLevel::Info,
            "log" => RaiseLevel::Log,
            "debug" => RaiseLevel::Debug,
            _ => return None,
        })
    }
}

impl RaiseOption {
    /// As PostgreSQL spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            RaiseOption::ErrCode => "ERRCODE",
            RaiseOption::Message => "MESSAGE",
            RaiseOption::Detail => "DETAIL",
            RaiseOption::Hint => "HINT",
            RaiseOption::Column => "COLUMN",
            RaiseOption::Constraint => "CONSTRAINT",
            RaiseOption::DataType => "DATATYPE",
            RaiseOption::Table => "TABLE",
            RaiseOption::Schema => "SCHEMA",
        }
    }

    fn from_word(word: &str) -> Option<RaiseOption> {
        use RaiseOption::*;
        [ErrCode, Message, Detail, Hint, Column, Constraint, DataType, Table, Schema]
            .into_iter()
            .find(|option| option.as_str().eq_ignore_ascii_case(word))
    }
}
