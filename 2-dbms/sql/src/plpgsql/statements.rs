//! Blocks and the statements that are no loop.

use tuplix_types::{Result, SqlError, sqlstate};

use super::ast::{Block, Branch, Condition, Handler, Statement, StatementKind};
use super::scope::{Known, ScopeKind};
use super::sql::Stop;
use super::{NESTING_MAX, Parser};
use crate::parser::lexer::Token;

/// Words that end a list of statements.
const ENDS: &[&str] = &["end", "else", "elsif", "elseif", "when", "exception"];

impl Parser<'_> {
    /// A block up to its `END` and label; its own label was taken already.
    pub(super) fn block(&mut self, label: Option<String>) -> Result<Block> {
        self.scopes.push(ScopeKind::Block, label.clone());
        let declarations = if self.tokens.take_word("declare")? { self.declarations()? } else { Vec::new() };
        let begin = self.tokens.offset()?;
        self.tokens.expect_word("begin")?;
        let statements = self.statements()?;
        let handlers = if self.tokens.take_word("exception")? { Some(self.handlers()?) } else { None };
        self.tokens.expect_word("end")?;
        self.end_label(&label)?;
        self.scopes.pop();
        Ok(Block { label, line: self.tokens.line(begin), declarations, statements, handlers })
    }

    /// `<<label>>`, if there is one.
    pub(super) fn label(&mut self) -> Result<Option<String>> {
        if !self.tokens.take_operator("<<")? {
            return Ok(None);
        }
        let label = self.tokens.take_identifier()?;
        self.tokens.expect_operator(">>")?;
        Ok(Some(label))
    }

    /// The label after an `END`, which must be that of the beginning.
    pub(super) fn end_label(&mut self, label: &Option<String>) -> Result<()> {
        if !self.tokens.is_name(0)? {
            return Ok(());
        }
        let offset = self.tokens.offset()?;
        let end = self.tokens.take_identifier()?;
        let message = match label {
            None => format!("end label \"{end}\" specified for unlabeled block"),
            Some(label) if *label != end => {
                format!("end label \"{end}\" differs from block's label \"{label}\"")
            }
            Some(_) => return Ok(()),
        };
        Err(self.tokens.error_plain(&message, offset))
    }

    /// Statements up to a word that ends them, which is left.
    pub(super) fn statements(&mut self) -> Result<Vec<Statement>> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(SqlError::new(
                sqlstate::STATEMENT_TOO_COMPLEX,
                format!("statements of PL/pgSQL nest more than {NESTING_MAX} levels deep"),
            ));
        }
        let mut statements = Vec::new();
        while !self.at_end_of_statements()? {
            statements.push(self.statement()?);
        }
        self.depth -= 1;
        Ok(statements)
    }

    fn at_end_of_statements(&mut self) -> Result<bool> {
        let ends = match self.tokens.word(0)? {
            Some(word) => ENDS.contains(&word),
            None => self.tokens.peek(0)?.is_none(),
        };
        // A variable may be named like the one word of these that is not reserved.
        Ok(ends && !(self.tokens.is_word(0, "exception")? && self.is_assignment()?))
    }

    fn statement(&mut self) -> Result<Statement> {
        let mut offset = self.tokens.offset()?;
        let label = self.label()?;
        let kind = if label.is_some() || self.starts_block_or_loop()? {
            // A loop's line is that of its own word, a block's that of BEGIN.
            offset = self.tokens.offset()?;
            self.block_or_loop(label)?
        } else if self.is_assignment()? {
            StatementKind::Assign(self.assignment()?)
        } else {
            self.simple_statement(offset)?
        };
        let line = match &kind {
            StatementKind::Block(block) => block.line,
            _ => self.tokens.line(offset),
        };
        Ok(Statement { offset, line, kind })
    }

    fn starts_block_or_loop(&mut self) -> Result<bool> {
        let word = self.tokens.word(0)?;
        Ok(word.is_some_and(|w| matches!(w, "declare" | "begin" | "loop" | "while" | "for" | "foreach")))
    }

    fn block_or_loop(&mut self, label: Option<String>) -> Result<StatementKind> {
        if self.tokens.is_word(0, "declare")? || self.tokens.is_word(0, "begin")? {
            let block = self.block(label)?;
            self.tokens.expect_char(';')?;
            return Ok(StatementKind::Block(block));
        }
        self.loop_statement(label)
    }

    /// Whether a name with `:=`, `=` or a subscript comes.
    fn is_assignment(&mut self) -> Result<bool> {
        let length = self.tokens.path_length(0)?;
        Ok(length > 0 && (self.tokens.is_assign(length)? || self.tokens.is_char(length, '[')?))
    }

    fn simple_statement(&mut self, offset: usize) -> Result<StatementKind> {
        let word = self.tokens.word(0)?.unwrap_or_default().to_owned();
        // PERFORM, CALL and DO stay part of their SQL.
        match word.as_str() {
            "perform" => return Ok(StatementKind::Perform(self.perform()?)),
            "call" => return Ok(StatementKind::Call(self.query_until_semicolon()?)),
            "do" => return Ok(StatementKind::Do(self.query_until_semicolon()?)),
            "import" | "insert" | "merge" => return self.sql(),
            _ if !self.tokens.is_keyword()? => {
                return if self.tokens.is_name(0)? { self.sql() } else { Err(self.tokens.syntax_error()) };
            }
            _ => {}
        }
        self.tokens.take()?;
        match word.as_str() {
            "if" => self.if_statement(),
            "case" => self.case_statement(),
            "exit" | "continue" => self.exit(word == "continue", offset),
            "return" => self.return_statement(),
            "raise" => self.raise(),
            "assert" => self.assert_statement(),
            "execute" => self.execute(),
            "get" => self.get_diagnostics(offset),
            "open" => self.open(),
            "fetch" => self.fetch(offset),
            "move" => self.move_statement(),
            "close" => {
                let cursor = self.name()?;
                self.tokens.expect_char(';')?;
                Ok(StatementKind::Close(cursor))
            }
            "null" => self.tokens.expect_char(';').map(|()| StatementKind::Null),
            "commit" => Ok(StatementKind::Commit { chain: self.chain()? }),
            "rollback" => Ok(StatementKind::Rollback { chain: self.chain()? }),
            _ => {
                self.tokens.put_back();
                Err(self.tokens.syntax_error())
            }
        }
    }

    fn sql(&mut self) -> Result<StatementKind> {
        let (query, into) = self.sql_statement()?;
        Ok(StatementKind::Sql { query, into })
    }

    fn if_statement(&mut self) -> Result<StatementKind> {
        let mut branches = vec![self.branch()?];
        while self.tokens.is_word(0, "elsif")? || self.tokens.is_word(0, "elseif")? {
            self.tokens.take()?;
            branches.push(self.branch()?);
        }
        let otherwise = if self.tokens.take_word("else")? { self.statements()? } else { Vec::new() };
        self.end_of("if")?;
        Ok(StatementKind::If { branches, otherwise })
    }

    /// `condition THEN statements`; the word before it was taken.
    fn branch(&mut self) -> Result<Branch> {
        let line = self.tokens.line_taken();
        let (condition, _) = self.expression(&[Stop::Word("then")], "THEN")?;
        Ok(Branch { line, condition, statements: self.statements()? })
    }

    /// `END word;`
    fn end_of(&mut self, word: &str) -> Result<()> {
        self.tokens.expect_word("end")?;
        self.tokens.expect_word(word)?;
        self.tokens.expect_char(';')
    }

    fn case_statement(&mut self) -> Result<StatementKind> {
        let subject = if self.tokens.take_word("when")? {
            None
        } else {
            Some(self.expression(&[Stop::Word("when")], "WHEN")?.0)
        };
        let mut branches = vec![self.branch()?];
        while self.tokens.take_word("when")? {
            branches.push(self.branch()?);
        }
        let otherwise = if self.tokens.take_word("else")? { Some(self.statements()?) } else { None };
        self.end_of("case")?;
        Ok(StatementKind::Case { subject, branches, otherwise })
    }

    /// `EXIT` or `CONTINUE`, whose word was taken.
    fn exit(&mut self, next: bool, offset: usize) -> Result<StatementKind> {
        let label_offset = self.tokens.offset()?;
        let label = if self.tokens.is_name(0)? { Some(self.tokens.take_identifier()?) } else { None };
        let condition = if self.tokens.take_word("when")? {
            Some(self.expression_until_semicolon()?)
        } else {
            self.tokens.expect_char(';')?;
            None
        };
        let wrong = match label.as_deref().map(|label| (label, self.scopes.label(label))) {
            Some((label, None)) => Some((
                format!(
                    "there is no label \"{label}\" attached to any block or loop enclosing this statement"
                ),
                label_offset,
            )),
            Some((label, Some(ScopeKind::Block))) if next => {
                Some((format!("block label \"{label}\" cannot be used in CONTINUE"), label_offset))
            }
            None if !self.scopes.in_loop() => {
                let message = if next {
                    "CONTINUE cannot be used outside a loop"
                } else {
                    "EXIT cannot be used outside a loop, unless it has a label"
                };
                Some((message.to_owned(), offset))
            }
            _ => None,
        };
        match wrong {
            Some((message, offset)) => Err(self.tokens.error_plain(&message, offset)),
            None => Ok(StatementKind::Exit { next, label, condition }),
        }
    }

    fn return_statement(&mut self) -> Result<StatementKind> {
        if self.tokens.peek(0)?.is_none() {
            return Err(self.tokens.error("unexpected end of function definition"));
        }
        if self.tokens.take_word("next")? {
            return Ok(StatementKind::ReturnNext(self.optional_expression()?));
        }
        if !self.tokens.take_word("query")? {
            return Ok(StatementKind::Return(self.optional_expression()?));
        }
        if !self.tokens.take_word("execute")? {
            return Ok(StatementKind::ReturnQuery(self.query_until_semicolon()?));
        }
        let (query, stop) = self.expression(&[Stop::Semicolon, Stop::Word("using")], "; or USING")?;
        let using = match stop {
            Stop::Word(_) => self.expressions(Stop::Semicolon, ", or ;")?,
            _ => Vec::new(),
        };
        Ok(StatementKind::ReturnQueryExecute { query, using })
    }

    /// `[expression];`
    fn optional_expression(&mut self) -> Result<Option<super::ast::Expression>> {
        if self.tokens.take_char(';')? {
            return Ok(None);
        }
        self.expression_until_semicolon().map(Some)
    }

    fn assert_statement(&mut self) -> Result<StatementKind> {
        let (condition, stop) = self.expression(&[Stop::Comma, Stop::Semicolon], ", or ;")?;
        let message = if stop == Stop::Comma { Some(self.expression_until_semicolon()?) } else { None };
        Ok(StatementKind::Assert { condition, message })
    }

    /// `EXECUTE`, whose `INTO` and `USING` may come in either order.
    fn execute(&mut self) -> Result<StatementKind> {
        let stops = [Stop::Word("into"), Stop::Word("using"), Stop::Semicolon];
        let (query, mut stop) = self.expression(&stops, "INTO or USING or ;")?;
        let (mut into, mut using) = (None, Vec::new());
        loop {
            match stop {
                Stop::Word("into") if into.is_none() => {
                    into = Some(self.target_of_into(true)?);
                    stop = self.next_of_execute()?;
                }
                Stop::Word("using") if using.is_empty() => {
                    stop = Stop::Comma;
                    while stop == Stop::Comma {
                        let stops = [Stop::Comma, Stop::Semicolon, Stop::Word("into")];
                        let (expression, found) = self.expression(&stops, ", or ; or INTO")?;
                        using.push(expression);
                        stop = found;
                    }
                }
                Stop::Semicolon => return Ok(StatementKind::Execute { query, into, using }),
                _ => {
                    self.tokens.put_back();
                    return Err(self.tokens.syntax_error());
                }
            }
        }
    }

    fn next_of_execute(&mut self) -> Result<Stop> {
        if self.tokens.take_char(';')? {
            Ok(Stop::Semicolon)
        } else if self.tokens.take_word("using")? {
            Ok(Stop::Word("using"))
        } else if self.tokens.take_word("into")? {
            Ok(Stop::Word("into"))
        } else {
            Err(self.tokens.syntax_error())
        }
    }

    /// `[AND [NO] CHAIN];`
    fn chain(&mut self) -> Result<bool> {
        let mut chain = false;
        if self.tokens.take_word("and")? {
            chain = !self.tokens.take_word("no")?;
            self.tokens.expect_word("chain")?;
        }
        self.tokens.expect_char(';')?;
        Ok(chain)
    }

    /// Exception handlers, up to the block's `END`.
    fn handlers(&mut self) -> Result<Vec<Handler>> {
        // Both are constants of the handlers.
        self.scopes.declare("sqlstate", Known::Variable);
        self.scopes.declare("sqlerrm", Known::Variable);
        let mut handlers = Vec::new();
        while handlers.is_empty() || self.tokens.is_word(0, "when")? {
            self.tokens.expect_word("when")?;
            let line = self.tokens.line_taken();
            let mut conditions = vec![self.condition()?];
            while self.tokens.take_word("or")? {
                conditions.push(self.condition()?);
            }
            self.tokens.expect_word("then")?;
            handlers.push(Handler { line, conditions, statements: self.statements()? });
        }
        Ok(handlers)
    }

    fn condition(&mut self) -> Result<Condition> {
        if self.tokens.take_word("sqlstate")? {
            return Ok(Condition::SqlState(self.sqlstate()?));
        }
        let name = self.tokens.take_identifier()?;
        if name == "others" {
            return Ok(Condition::Others);
        }
        self.known_condition(&name)?;
        Ok(Condition::Named(name))
    }

    /// 42704 unless there is a condition of this name.
    pub(super) fn known_condition(&self, name: &str) -> Result<()> {
        match tuplix_types::SqlState::from_condition_name(name) {
            Some(_) => Ok(()),
            None => Err(SqlError::new(
                sqlstate::UNDEFINED_OBJECT,
                format!("unrecognized exception condition \"{name}\""),
            )),
        }
    }

    /// The string after `SQLSTATE`.
    pub(super) fn sqlstate(&mut self) -> Result<String> {
        let Some(Token::String(code)) = self.tokens.peek(0)?.map(|lexeme| lexeme.token.clone()) else {
            return Err(self.tokens.syntax_error());
        };
        if tuplix_types::SqlState::parse(&code).is_none() {
            return Err(self.tokens.error("invalid SQLSTATE code"));
        }
        self.tokens.take()?;
        Ok(code)
    }
}
