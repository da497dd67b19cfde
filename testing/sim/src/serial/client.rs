//! A client: random transactions on a session of its own, recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix::{
    Machine, Prepared, Result, Rows, Session, SqlError, TransactionStatus, Tuplix, TypeId, Value, sqlstate,
};

use super::operation::{Operation, Seen};
use super::run::{Levels, Record};
use super::{Promise, Step, Transaction};
use crate::client::prepared;
use crate::random::Random;

/// Why a client stops.
pub(super) type Wrong = String;

pub(super) struct Client {
    pub(super) index: u64,
    pub(super) machine: Machine,
    pub(super) node: Tuplix,
    pub(super) session: Session,
    pub(super) random: Random,
    pub(super) record: Arc<Record>,
    pub(super) levels: Levels,
    pub(super) statements: BTreeMap<String, Prepared>,
}

/// How a step of a block ended.
enum Failed {
    /// The engine said so, and the block has failed.
    Sql(SqlError),
    Wrong(Wrong),
}

impl From<SqlError> for Failed {
    fn from(error: SqlError) -> Failed {
        Failed::Sql(error)
    }
}

fn unexpected(what: &str, error: &SqlError) -> Wrong {
    format!("{what}: unexpected error {error:?}")
}

fn is_value_error(error: &SqlError) -> bool {
    [sqlstate::UNIQUE_VIOLATION, sqlstate::CHECK_VIOLATION].contains(&error.sqlstate())
}

impl Client {
    /// Runs one transaction.
    pub(super) fn run_one(&mut self) -> std::result::Result<(), Wrong> {
        self.pause(3);
        match self.random.below(10) {
            _ if self.levels == Levels::ReadCommitted => self.block(),
            0..=2 => self.plain(),
            3..=5 => self.procedure(),
            _ => self.block(),
        }
    }

    /// On a simulated machine time passes by sleeping only.
    fn pause(&mut self, one_in: u64) {
        if self.random.chance(1, one_in) {
            match self.machine.is_simulated() {
                true => {
                    let nanoseconds = self.random.below(2_000_000);
                    self.machine.sleep_until(self.machine.monotonic_ns() + nanoseconds);
                }
                false => std::thread::yield_now(),
            }
        }
    }

    fn operation(&mut self) -> Operation {
        let item = self.record.next_item();
        Operation::random(&mut self.random, item)
    }

    fn transaction(&self, promise: Promise) -> Transaction {
        let began = self.record.tick();
        Transaction {
            client: self.index,
            promise,
            began,
            called: began,
            returned: began,
            number: None,
            committed: false,
            steps: Vec::new(),
        }
    }

    fn end(&self, mut transaction: Transaction, committed: bool) {
        transaction.returned = self.record.tick();
        transaction.committed = committed;
        self.record.push(transaction);
    }

    fn call(&mut self, sql: &str, arguments: &[i64]) -> Result<Rows> {
        let prepared = prepared(&mut self.session, &mut self.statements, sql)?;
        let types = prepared.parameters().iter();
        let values: Vec<Value> = types
            .zip(arguments)
            .map(|(kind, value)| match i32::try_from(*value) {
                Ok(small) if *kind == TypeId::INT4 => Value::Int4(small),
                _ => Value::Int8(*value),
            })
            .collect();
        let mut rows = Rows::new();
        let commit = self.session.call(&prepared, &values, &mut rows)?;
        if self.random.chance(1, 8) {
            commit.wait()?;
        }
        Ok(rows)
    }

    /// Runs an operation as a statement, with parameters or without.
    fn perform(&mut self, operation: &Operation) -> std::result::Result<Seen, Failed> {
        let statement = operation.statement();
        let rows = match self.random.chance(3, 4) {
            true => self.call(&statement.sql, &statement.arguments)?,
            false => self.session.query(&statement.literal(), &[])?,
        };
        let answer = match rows.len() {
            0 => None,
            1 => rows.get(0, 0).and_then(Value::as_str),
            count => return Err(Failed::Wrong(format!("{operation:?} answered {count} rows"))),
        };
        operation.read(answer).map_err(Failed::Wrong)
    }

    /// One statement by itself.
    fn plain(&mut self) -> std::result::Result<(), Wrong> {
        let operation = self.operation();
        let mut transaction = self.transaction(Promise::Serializable);
        let seen = match self.perform(&operation) {
            Ok(seen) => seen,
            Err(Failed::Sql(error)) if error.sqlstate() == sqlstate::UNIQUE_VIOLATION => Seen::Duplicate,
            Err(Failed::Sql(error)) if error.sqlstate() == sqlstate::CHECK_VIOLATION => Seen::Refused,
            Err(Failed::Sql(error)) => return Err(unexpected(&format!("{operation:?}"), &error)),
            Err(Failed::Wrong(what)) => return Err(what),
        };
        transaction.steps.push(Step::Operation(operation, seen));
        self.end(transaction, true);
        Ok(())
    }

    /// Several statements in one call of a procedure.
    fn procedure(&mut self) -> std::result::Result<(), Wrong> {
        let operations: Vec<Operation> = (0..1 + self.random.below(4)).map(|_| self.operation()).collect();
        let guarded = self.random.chance(1, 2);
        let texts = operations.iter().map(|operation| format!("$q${}$q$", operation.statement().literal()));
        let texts: Vec<String> = texts.collect();
        let name = if guarded { "run_guarded" } else { "run" };
        let sql = format!("SELECT unnest({name}(ARRAY[{}]))", texts.join(", "));
        let mut transaction = self.transaction(Promise::Serializable);
        let rows = match self.session.query(&sql, &[]) {
            Ok(rows) => rows,
            Err(error) if !guarded && is_value_error(&error) => {
                self.end(transaction, false);
                return Ok(());
            }
            Err(error) => return Err(unexpected(&sql, &error)),
        };
        let text = |row: usize| rows.get(row, 0).and_then(Value::as_str);
        for (row, operation) in operations.into_iter().enumerate() {
            let seen = operation.read(text(row))?;
            transaction.steps.push(Step::Operation(operation, seen));
        }
        let last = rows.len().checked_sub(1).and_then(text);
        transaction.number = last.and_then(|number| number.parse().ok());
        if transaction.number.is_none() || rows.len() != transaction.steps.len() + 1 {
            return Err(format!("{sql} answered {} rows, the last is {last:?}", rows.len()));
        }
        self.end(transaction, true);
        Ok(())
    }

    /// BEGIN, a few statements, COMMIT.
    fn block(&mut self) -> std::result::Result<(), Wrong> {
        let (promise, level) = match (self.levels, self.random.below(6)) {
            (Levels::ReadCommitted, _) | (Levels::All, 0 | 1) => (Promise::ReadCommitted, "READ COMMITTED"),
            (_, 2 | 3) => (Promise::Serializable, "REPEATABLE READ"),
            _ => (Promise::Serializable, "SERIALIZABLE"),
        };
        let mut transaction = self.transaction(promise);
        let begin = format!("BEGIN ISOLATION LEVEL {level}");
        self.call(&begin, &[]).map_err(|error| unexpected(&begin, &error))?;
        for _ in 0..1 + self.random.below(5) {
            self.pause(2);
            let outcome = match self.random.below(6) {
                0 => self.savepoint(&mut transaction),
                _ => self.step(&mut transaction),
            };
            match outcome {
                Ok(()) => {}
                Err(Failed::Wrong(what)) => return Err(what),
                Err(Failed::Sql(error)) => return self.give_up(transaction, &error),
            }
        }
        self.finish(transaction)
    }

    fn step(&mut self, transaction: &mut Transaction) -> std::result::Result<(), Failed> {
        let operation = self.operation();
        let seen = self.perform(&operation)?;
        transaction.steps.push(Step::Operation(operation, seen));
        Ok(())
    }

    /// Steps that are undone, by wish or because one fails, or kept.
    fn savepoint(&mut self, transaction: &mut Transaction) -> std::result::Result<(), Failed> {
        self.call("SAVEPOINT s", &[])?;
        transaction.steps.push(Step::Savepoint);
        let mut undo = self.random.chance(1, 3);
        for _ in 0..1 + self.random.below(2) {
            match self.step(transaction) {
                Err(Failed::Sql(error)) if is_value_error(&error) => {
                    undo = true;
                    break;
                }
                other => other?,
            }
        }
        if undo {
            self.call("ROLLBACK TO SAVEPOINT s", &[])?;
            transaction.steps.push(Step::RollbackTo);
        } else {
            transaction.steps.push(Step::Release);
        }
        self.call("RELEASE SAVEPOINT s", &[])?;
        Ok(())
    }

    fn finish(&mut self, mut transaction: Transaction) -> std::result::Result<(), Wrong> {
        match self.random.below(12) {
            0 => {
                self.call("ROLLBACK", &[]).map_err(|error| unexpected("ROLLBACK", &error))?;
                self.end(transaction, false);
            }
            1 => {
                self.statements.clear();
                self.session = self
                    .node
                    .session(&Default::default())
                    .map_err(|error| unexpected("a session", &error))?;
                self.end(transaction, false);
            }
            _ => {
                transaction.called = self.record.tick();
                match self.call("COMMIT", &[]) {
                    Ok(rows) if rows.tag.command == "COMMIT" => self.end(transaction, true),
                    Ok(rows) => return Err(format!("COMMIT was answered by {}", rows.tag)),
                    Err(error) if self.may_fail(&transaction, &error) => self.end(transaction, false),
                    Err(error) => return Err(unexpected("COMMIT", &error)),
                }
            }
        }
        Ok(())
    }

    fn may_fail(&self, transaction: &Transaction, error: &SqlError) -> bool {
        match error.sqlstate() {
            sqlstate::SERIALIZATION_FAILURE => transaction.promise == Promise::Serializable,
            sqlstate::DEADLOCK_DETECTED => true,
            _ => false,
        }
    }

    fn give_up(&mut self, transaction: Transaction, error: &SqlError) -> std::result::Result<(), Wrong> {
        if !self.may_fail(&transaction, error) && !is_value_error(error) {
            return Err(unexpected(&format!("{:?}", transaction.steps), error));
        }
        if self.session.transaction_status() != TransactionStatus::Failed {
            return Err(format!("the block goes on after {error}"));
        }
        self.call("ROLLBACK", &[]).map_err(|error| unexpected("ROLLBACK", &error))?;
        self.end(transaction, false);
        Ok(())
    }
}
