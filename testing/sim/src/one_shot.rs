//! Transactions of one statement or call.

use tuplix::{Rows, Value};

use crate::client::{Client, Failure, Running, Step, Stop, big, id_value, int};
use crate::history::{Event, Id, Level, Outcome, Seen};
use crate::schema::{
    ACCOUNTS, BALANCE, CAPACITY, COPIES, COUNTED_LISTS, KEPT_LISTS, LISTS, PARTITION_KEYS, WORKERS, id_of,
    integer, table_of,
};

impl Client {
    pub(crate) fn one_shot(&mut self) -> Result<(), Stop> {
        let mut running = self.begin(Level::OneShot);
        let outcome = match self.random.below(11) {
            0 | 1 => self.call_append(&mut running),
            2 => self.append_two(&mut running),
            3 => self.append_after(&mut running),
            4 => self.append_blind(&mut running),
            5 => self.read_list(&running),
            6 => self.read_all(&running),
            7 => self.call_transfer(&mut running),
            8 => self.read_totals(),
            9 => self.call_scheduler(&mut running),
            _ => self.use_queue(&mut running),
        };
        match outcome {
            Ok(()) => {
                self.end(&running, Outcome::Committed);
                Ok(())
            }
            Err(failure) => self.failed(&running, failure),
        }
    }

    fn counted(&mut self) -> i32 {
        self.random.below(COUNTED_LISTS as u64) as i32
    }

    fn blind(&mut self) -> i32 {
        COUNTED_LISTS + self.random.below((LISTS - COUNTED_LISTS) as u64) as i32
    }

    pub(crate) fn place(&mut self, id: Id, list: i32, position: u64) {
        self.recorder.record(Event::Place { id, list, position });
    }

    pub(crate) fn saw(&mut self, running: &Running, list: i32, seen: Seen) {
        let durable = self.habits.synchronous;
        self.recorder.record(Event::Read { number: running.number, list, seen, durable });
    }

    fn call_append(&mut self, running: &mut Running) -> Step {
        let list = self.counted();
        let id = self.fresh(running);
        let rows = self.ask("SELECT append($1, $2)", &[int(list), id_value(id)])?;
        self.place(id, list, id_of(&rows, 0, 0)?);
        Ok(())
    }

    /// Two lists, usually of two partitions.
    pub(crate) fn append_two(&mut self, running: &mut Running) -> Step {
        let (first, second) = (self.counted(), self.counted());
        let (one, two) = (self.fresh(running), self.fresh(running));
        let arguments = [int(first), id_value(one), int(second), id_value(two)];
        let rows = self.ask("SELECT append_two($1, $2, $3, $4)", &arguments)?;
        let (at_one, at_two) = two_numbers(&rows)?;
        self.place(one, first, at_one);
        self.place(two, second, at_two);
        Ok(())
    }

    fn append_after(&mut self, running: &mut Running) -> Step {
        let (read, list) = (self.counted(), self.counted());
        let id = self.fresh(running);
        let rows = self.ask("SELECT append_after($1, $2, $3)", &[int(read), int(list), id_value(id)])?;
        let (last, position) = two_numbers(&rows)?;
        self.saw(running, read, Seen::Last((last != 0).then_some(last)));
        self.place(id, list, position);
        Ok(())
    }

    /// An append that finds its place by looking at the list, in one statement.
    pub(crate) fn append_blind(&mut self, running: &mut Running) -> Step {
        let list = self.blind();
        let id = self.fresh(running);
        let table = table_of(list);
        let sql = format!(
            "INSERT INTO {table} SELECT $1::int, coalesce(max(pos), 0) + 1, $2::bigint FROM {table} WHERE p_key = $1 RETURNING pos"
        );
        let rows = self.ask(&sql, &[int(list), id_value(id)])?;
        self.place(id, list, id_of(&rows, 0, 0)?);
        Ok(())
    }

    pub(crate) fn read_list(&mut self, running: &Running) -> Step {
        let list = self.random.below(LISTS as u64) as i32;
        self.read_one(running, list).map(|_| ())
    }

    pub(crate) fn read_one(&mut self, running: &Running, list: i32) -> Step<usize> {
        let sql = if list < KEPT_LISTS && self.random.chance(1, 2) {
            // The same by the copies, those in memory and those that have left it.
            format!(
                "SELECT id FROM past WHERE p_key = $1 GROUP BY pos, id HAVING count(*) = {COPIES} ORDER BY pos"
            )
        } else {
            format!("SELECT id FROM {} WHERE p_key = $1 ORDER BY pos", table_of(list))
        };
        let rows = self.ask(&sql, &[int(list)])?;
        let ids: Result<Vec<Id>, _> = (0..rows.len()).map(|row| id_of(&rows, row, 0)).collect();
        self.saw(running, list, Seen::All(ids?));
        Ok(rows.len())
    }

    /// All lists of all partitions in one statement.
    pub(crate) fn read_all(&mut self, running: &Running) -> Step {
        let sql = self.random.pick(&[
            "SELECT p_key, id FROM item ORDER BY p_key, pos",
            "SELECT p_key, id FROM past WHERE n = 17 ORDER BY p_key, pos",
        ]);
        let rows = self.ask(sql, &[])?;
        let mut lists = vec![Vec::new(); COUNTED_LISTS as usize + 2];
        for row in 0..rows.len() {
            let list = integer(&rows, row, 0)?;
            match usize::try_from(list).ok().and_then(|list| lists.get_mut(list)) {
                Some(ids) => ids.push(id_of(&rows, row, 1)?),
                None => return Err(Failure::Wrong(format!("list {list} does not exist"))),
            }
        }
        for (list, ids) in (0..).zip(lists) {
            self.saw(running, list, Seen::All(ids));
        }
        Ok(())
    }

    pub(crate) fn two_accounts(&mut self) -> (i32, i32) {
        let from = self.random.below(ACCOUNTS as u64) as i32;
        let to = (from + 1 + self.random.below(ACCOUNTS as u64 - 1) as i32) % ACCOUNTS;
        (from, to)
    }

    /// Sometimes of more than the account has: the CHECK undoes what was done before.
    pub(crate) fn call_transfer(&mut self, running: &mut Running) -> Step {
        let (from, to) = self.two_accounts();
        let money = 1 + self.random.below(60) as i64;
        let id = self.fresh(running);
        self.fresh(running);
        running.may_overdraw = true;
        let arguments = [int(from), int(to), big(money), id_value(id)];
        self.ask("SELECT transfer($1, $2, $3, $4)", &arguments).map(|_| ())
    }

    /// What is constant at any moment, in one statement each.
    pub(crate) fn read_totals(&mut self) -> Step {
        let rows = self.ask("SELECT sum(balance)::bigint, count(*), min(balance) FROM account", &[])?;
        let (sum, count, least) = (integer(&rows, 0, 0)?, integer(&rows, 0, 1)?, integer(&rows, 0, 2)?);
        if sum != i64::from(ACCOUNTS) * BALANCE || count != i64::from(ACCOUNTS) || least < 0 {
            return Err(Failure::Wrong(format!("{count} accounts with {sum} in all, the least has {least}")));
        }
        let p_key = self.random.below(PARTITION_KEYS as u64) as i32;
        let sql = "SELECT (SELECT sum(unused_capacity) FROM worker WHERE p_key = $1)::bigint \
                   + (SELECT count(*) FROM task WHERE p_key = $1)";
        let rows = self.ask(sql, &[int(p_key)])?;
        let total = integer(&rows, 0, 0)?;
        if total != i64::from(WORKERS) * CAPACITY {
            return Err(Failure::Wrong(format!("capacity and tasks of {p_key} are {total} together")));
        }
        Ok(())
    }

    pub(crate) fn call_scheduler(&mut self, running: &mut Running) -> Step {
        let id = self.fresh(running);
        let finishes = !self.tasks.is_empty() && self.random.chance(1, 2);
        if finishes {
            let (p_key, task) = self.tasks[0];
            let rows = self.ask("SELECT finish($1, $2, $3)", &[int(p_key), big(task), id_value(id)])?;
            // An asynchronous schedule is still there: only a crash takes it, and this is the same node.
            if integer(&rows, 0, 0)? < 0 {
                return Err(Failure::Wrong(format!(
                    "task {task} of {p_key} has gone before it was finished"
                )));
            }
            if running.level == Level::OneShot {
                self.tasks.remove(0);
            }
            return Ok(());
        }
        let p_key = self.random.below(PARTITION_KEYS as u64) as i32;
        let rows = self.ask("SELECT schedule($1, $2)", &[int(p_key), id_value(id)])?;
        if integer(&rows, 0, 0)? < 0 {
            self.recorder.record(Event::Undo { id });
        } else if running.level == Level::OneShot {
            self.tasks.push((p_key, id as i64));
        }
        Ok(())
    }

    fn use_queue(&mut self, running: &mut Running) -> Step {
        let p_key = self.random.below(PARTITION_KEYS as u64) as i32;
        let id = self.fresh(running);
        if self.random.chance(1, 2) {
            let sql = "WITH put AS (INSERT INTO queue VALUES ($1, $2) RETURNING p_key, n) \
                       INSERT INTO journal SELECT p_key, n, 'put', 0, n FROM put";
            return self.ask(sql, &[int(p_key), id_value(id)]).map(|_| ());
        }
        let rows = self.ask("SELECT take($1, $2)", &[int(p_key), id_value(id)])?;
        if integer(&rows, 0, 0)? < 0 {
            self.recorder.record(Event::Undo { id });
        }
        Ok(())
    }
}

/// The two numbers in a text of the form `1,2`.
fn two_numbers(rows: &Rows) -> Step<(u64, u64)> {
    let text = rows.get(0, 0).and_then(Value::as_str).unwrap_or_default();
    let numbers = text.split_once(',').and_then(|(one, two)| Some((one.parse().ok()?, two.parse().ok()?)));
    numbers.ok_or_else(|| Failure::Wrong(format!("\"{text}\" is not two numbers")))
}
