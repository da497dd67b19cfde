//! Transactions of several statements: blocks with BEGIN and COMMIT, and texts of several statements.

use tuplix::{TransactionStatus, sqlstate};

use crate::client::{Client, Failure, Running, Step, Stop, big, id_value, int, is_stop};
use crate::history::{Event, IDS, Level, Outcome};
use crate::schema::{COUNTED_LISTS, PARTITION_KEYS, id_of, integer};

/// How a client ends a block.
#[derive(Clone, Copy)]
enum Ending {
    Commit,
    Rollback,
    /// The session goes away.
    Disconnect,
}

impl Client {
    /// A text of two statements is one transaction.
    pub(crate) fn two_statements(&mut self) -> Result<(), Stop> {
        let mut running = self.begin(Level::ReadCommitted);
        let list = self.random.below(COUNTED_LISTS as u64) as i32;
        let id = self.fresh(&mut running);
        let text = format!(
            "UPDATE list SET len = len + 1 WHERE p_key = {list} RETURNING len; \
             INSERT INTO item SELECT p_key, len, {id} FROM list WHERE p_key = {list} RETURNING pos"
        );
        let outcome = self.session.execute(&text);
        self.still_alive();
        self.note(format!("{text} -> {:?}", outcome.as_ref().err().map(ToString::to_string)));
        let result = outcome.map_err(Failure::Sql).and_then(|rows| {
            let Some(last) = rows.get(1) else {
                return Err(Failure::Wrong("one reply to two statements".to_owned()));
            };
            self.place(id, list, id_of(last, 0, 0)?);
            Ok(())
        });
        match result {
            Ok(()) => {
                self.end(&running, Outcome::Committed);
                Ok(())
            }
            Err(failure) => self.failed(&running, failure),
        }
    }

    pub(crate) fn interactive(&mut self) -> Result<(), Stop> {
        let (level, words) = match self.random.below(5) {
            0 | 1 => (Level::ReadCommitted, "READ COMMITTED"),
            2 => (Level::RepeatableRead, "REPEATABLE READ"),
            _ => (Level::Serializable, "SERIALIZABLE"),
        };
        let mut running = self.begin(level);
        if let Err(failure) = self.ask(&format!("BEGIN ISOLATION LEVEL {words}"), &[]) {
            return self.failed(&running, failure);
        }
        for _ in 0..1 + self.random.below(4) {
            if let Err(failure) = self.step(&mut running) {
                return self.give_up(&running, failure);
            }
            self.pause(3);
        }
        let ending = match self.random.below(12) {
            0 => Ending::Rollback,
            1 => Ending::Disconnect,
            _ => Ending::Commit,
        };
        self.finish_block(&running, ending)
    }

    fn finish_block(&mut self, running: &Running, ending: Ending) -> Result<(), Stop> {
        match ending {
            Ending::Commit => match self.ask("COMMIT", &[]) {
                Ok(rows) if rows.tag.command == "COMMIT" => {
                    self.end(running, Outcome::Committed);
                    Ok(())
                }
                Ok(rows) => {
                    self.failed(running, Failure::Wrong(format!("COMMIT was answered by {}", rows.tag)))
                }
                Err(failure) => {
                    let open = self.session.transaction_status() != TransactionStatus::Idle;
                    self.failed(running, failure)?;
                    if open {
                        Err(Stop::Wrong("a failed COMMIT left the transaction open".to_owned()))
                    } else {
                        Ok(())
                    }
                }
            },
            Ending::Rollback => {
                let outcome = self.ask("ROLLBACK", &[]);
                self.rolled_back(running, outcome.map(|_| ()))
            }
            Ending::Disconnect => {
                self.note("disconnects".to_owned());
                let outcome = self.reconnect().map_err(Failure::Sql);
                self.still_alive();
                self.rolled_back(running, outcome)
            }
        }
    }

    fn rolled_back(&mut self, running: &Running, outcome: Step) -> Result<(), Stop> {
        // Whatever the reply is, it was not committed.
        self.end(running, Outcome::Aborted);
        match outcome {
            Ok(()) => Ok(()),
            Err(Failure::Sql(error) | Failure::Wait(error)) if is_stop(error.sqlstate()) => {
                Err(Stop::Node(error.to_string()))
            }
            Err(Failure::Sql(error) | Failure::Wait(error)) => Err(Stop::Wrong(format!(
                "transaction {} could not be rolled back: {error:?}",
                running.number
            ))),
            Err(Failure::Wrong(what)) => Err(Stop::Wrong(what)),
        }
    }

    /// A statement failed: the block accepts nothing but its end.
    fn give_up(&mut self, running: &Running, failure: Failure) -> Result<(), Stop> {
        if let Failure::Sql(error) = &failure
            && !is_stop(error.sqlstate())
        {
            if self.session.transaction_status() != TransactionStatus::Failed {
                return self.failed(running, Failure::Wrong(format!("the block goes on after {error}")));
            }
            if self.random.chance(1, 3) {
                match self.ask("SELECT len FROM list WHERE p_key = 0", &[]) {
                    Err(Failure::Sql(error)) if error.sqlstate() == sqlstate::IN_FAILED_SQL_TRANSACTION => {}
                    Err(Failure::Sql(error)) if is_stop(error.sqlstate()) => {}
                    _ => {
                        return self
                            .failed(running, Failure::Wrong("a failed block took a statement".to_owned()));
                    }
                }
            }
        }
        let outcome = self.failed(running, failure);
        let sql = if self.random.chance(1, 2) { "ROLLBACK" } else { "COMMIT" };
        match self.ask(sql, &[]) {
            Ok(rows) if rows.tag.command == "ROLLBACK" || outcome.is_err() => outcome,
            Ok(rows) => Err(Stop::Wrong(format!("{sql} of a failed block was answered by {}", rows.tag))),
            Err(Failure::Sql(error) | Failure::Wait(error)) if is_stop(error.sqlstate()) => {
                outcome.and(Err(Stop::Node(error.to_string())))
            }
            Err(_) => outcome.and(Err(Stop::Wrong(format!("{sql} of a failed block failed")))),
        }
    }

    fn step(&mut self, running: &mut Running) -> Step {
        match self.random.below(13) {
            0 => self.read_list(running),
            1 | 2 => self.append_by_hand(running),
            3 => self.append_blind(running),
            4 => self.lock_and_append(running),
            5 => self.transfer_by_hand(running),
            6 => self.read_all(running),
            7 => self.read_totals(),
            8 => self.take_by_hand(running),
            9 => self.savepoint(running),
            10 => self.append_two(running),
            11 => self.call_transfer(running),
            _ => self.call_scheduler_once(running),
        }
    }

    /// In a block a task is scheduled, but never finished by this client: it may be rolled back.
    fn call_scheduler_once(&mut self, running: &mut Running) -> Step {
        let tasks = std::mem::take(&mut self.tasks);
        let outcome = self.call_scheduler(running);
        self.tasks = tasks;
        outcome
    }

    fn append_by_hand(&mut self, running: &mut Running) -> Step {
        let list = self.random.below(COUNTED_LISTS as u64) as i32;
        self.append_to(running, list).map(|_| ())
    }

    fn append_to(&mut self, running: &mut Running, list: i32) -> Step<u64> {
        let rows = self.ask("UPDATE list SET len = len + 1 WHERE p_key = $1 RETURNING len", &[int(list)])?;
        let position = id_of(&rows, 0, 0)?;
        self.pause(4);
        let id = self.fresh(running);
        self.ask("INSERT INTO item VALUES ($1, $2, $3)", &[int(list), id_value(position), id_value(id)])?;
        self.place(id, list, position);
        Ok(position)
    }

    /// Between FOR UPDATE and the append nobody else appends, under any level.
    fn lock_and_append(&mut self, running: &mut Running) -> Step {
        let list = self.random.below(COUNTED_LISTS as u64) as i32;
        let rows = self.ask("SELECT len FROM list WHERE p_key = $1 FOR UPDATE", &[int(list)])?;
        let length = id_of(&rows, 0, 0)?;
        self.pause(2);
        let read = self.read_one(running, list)?;
        let position = self.append_to(running, list)?;
        if read as u64 != length || position != length + 1 {
            let what = format!(
                "list {list} was locked at {length}, then had {read} entries, then one came at {position}"
            );
            return Err(Failure::Wrong(what));
        }
        Ok(())
    }

    /// Reads both balances under lock, then writes what they are to be.
    fn transfer_by_hand(&mut self, running: &mut Running) -> Step {
        let (from, to) = self.two_accounts();
        let lock = "SELECT balance FROM account WHERE p_key = $1 FOR UPDATE";
        let has = integer(&self.ask(lock, &[int(from)])?, 0, 0)?;
        let other = integer(&self.ask(lock, &[int(to)])?, 0, 0)?;
        self.pause(3);
        let money = (1 + self.random.below(40) as i64).min(has);
        let write = "UPDATE account SET balance = $2 WHERE p_key = $1";
        let journal = "INSERT INTO journal VALUES ($1, $2, 'bank', $3, $4)";
        for (account, balance, change) in [(from, has - money, -money), (to, other + money, money)] {
            self.ask(write, &[int(account), big(balance)])?;
            let id = self.fresh(running);
            self.ask(journal, &[int(account), id_value(id), big(i64::from(account)), big(change)])?;
        }
        Ok(())
    }

    fn take_by_hand(&mut self, running: &mut Running) -> Step {
        let p_key = self.random.below(PARTITION_KEYS as u64) as i32;
        let sql = "SELECT n FROM queue WHERE p_key = $1 ORDER BY n LIMIT 1 FOR UPDATE SKIP LOCKED";
        let rows = self.ask(sql, &[int(p_key)])?;
        if rows.is_empty() {
            return Ok(());
        }
        let entry = integer(&rows, 0, 0)?;
        self.pause(2);
        let deleted = self.ask("DELETE FROM queue WHERE p_key = $1 AND n = $2", &[int(p_key), big(entry)])?;
        if deleted.affected() != 1 {
            return Err(Failure::Wrong(format!(
                "entry {entry} was locked, then {} were deleted",
                deleted.affected()
            )));
        }
        let id = self.fresh(running);
        let journal = "INSERT INTO journal VALUES ($1, $2, 'take', 0, $3)";
        self.ask(journal, &[int(p_key), id_value(id), big(entry)]).map(|_| ())
    }

    /// Part of the transaction is undone, by wish or after an error.
    fn savepoint(&mut self, running: &mut Running) -> Step {
        self.ask("SAVEPOINT s", &[])?;
        let first = running.number * IDS + running.written();
        let fails = self.random.chance(1, 3);
        let outcome = if fails { self.overdraw(running) } else { self.append_by_hand(running) };
        if !fails && outcome.is_ok() && self.random.chance(1, 2) {
            return self.ask("RELEASE SAVEPOINT s", &[]).map(|_| ());
        }
        match outcome {
            Err(Failure::Sql(error)) if fails && error.sqlstate() == sqlstate::CHECK_VIOLATION => {}
            Ok(()) if fails => return Err(Failure::Wrong("an account was overdrawn".to_owned())),
            other => other?,
        }
        self.ask("ROLLBACK TO SAVEPOINT s", &[])?;
        for id in first..running.number * IDS + running.written() {
            self.recorder.record(Event::Undo { id });
        }
        Ok(())
    }

    fn overdraw(&mut self, running: &mut Running) -> Step {
        let (from, to) = self.two_accounts();
        let id = self.fresh(running);
        self.fresh(running);
        let arguments = [int(from), int(to), big(100_000), id_value(id)];
        self.ask("SELECT transfer($1, $2, $3, $4)", &arguments).map(|_| ())
    }
}
