//! The workload's tables: making them, filling them, reading them in whole.

use std::collections::{BTreeMap, BTreeSet};

use tuplix::{Result, Rows, Session, SqlError, Value};

use crate::check::{Entry, State};
use crate::history::Id;

/// Lists whose length is kept in a row of its own; they lie in a distributed table.
pub const COUNTED_LISTS: i32 = 5;
/// All lists: after the counted ones two more in the same table, one in a local and one in a reference table.
pub const LISTS: i32 = 9;
/// Bank accounts, each in a bucket of its own.
pub const ACCOUNTS: i32 = 6;
/// Lists before this one lie in a table of which a trigger writes each row [`COPIES`] times into a spooled table, whose rows leave memory.
pub const KEPT_LISTS: i32 = 7;
/// See [`KEPT_LISTS`]: the copies are numbered from 1.
pub const COPIES: i64 = 100;
/// Money on each account at first.
pub const BALANCE: i64 = 100;
/// Partition keys that have workers and queues.
pub const PARTITION_KEYS: i32 = 3;
/// Workers of each.
pub const WORKERS: i32 = 2;
/// Tasks that a worker runs at once.
pub const CAPACITY: i64 = 3;

const SCHEMA: &str = include_str!("schema.sql");

/// The table that a list lies in.
pub fn table_of(list: i32) -> &'static str {
    match list {
        7 => "local_item",
        8 => "reference_item",
        _ => "item",
    }
}

/// Makes the tables and procedures, a statement at a time, then fills them in one transaction. `created` is told how many of
/// [`objects`] are there.
///
/// # Errors
/// The engine's.
pub fn create(session: &mut Session, mut created: impl FnMut(usize)) -> Result<()> {
    let mut count = 0;
    for statement in session.parse(SCHEMA)? {
        session.execute(statement.text())?;
        count += usize::from(statement.text().contains("CREATE"));
        created(count);
    }
    let mut fill = String::new();
    for list in 0..COUNTED_LISTS {
        fill.push_str(&format!("INSERT INTO list VALUES ({list}, 0);\n"));
    }
    for account in 0..ACCOUNTS {
        fill.push_str(&format!("INSERT INTO account VALUES ({account}, {BALANCE});\n"));
    }
    for p_key in 0..PARTITION_KEYS {
        for worker in 1..=WORKERS {
            fill.push_str(&format!("INSERT INTO worker VALUES ({p_key}, {worker}, {CAPACITY});\n"));
        }
    }
    session.execute(&fill).map(|_| ())
}

/// Kind and name of the tables and functions of the schema, in the order in which they are made.
pub fn objects() -> Vec<(&'static str, &'static str)> {
    let objects = SCHEMA.lines().filter_map(|line| {
        let (kind, rest) = line.strip_prefix("CREATE ")?.split_once(' ')?;
        Some((kind, rest.split([' ', '(']).next()?))
    });
    objects.collect()
}

/// An integer of a row.
///
/// # Errors
/// XX000 when it is none.
pub fn integer(rows: &Rows, row: usize, column: usize) -> Result<i64> {
    let value = rows.get(row, column).and_then(Value::as_i64);
    value.ok_or_else(|| {
        SqlError::internal(format!("no integer in row {row}, column {column}: {:?}", rows.get(row, column)))
    })
}

/// An id of a row.
///
/// # Errors
/// XX000 when it is none.
pub fn id_of(rows: &Rows, row: usize, column: usize) -> Result<Id> {
    let number = integer(rows, row, column)?;
    Id::try_from(number).map_err(|_| SqlError::internal(format!("{number} is no id")))
}

fn int(rows: &Rows, row: usize, column: usize) -> Result<i32> {
    let number = integer(rows, row, column)?;
    i32::try_from(number).map_err(|_| SqlError::internal(format!("{number} is no int")))
}

/// Reads all tables.
///
/// # Errors
/// The engine's.
pub fn read_state(session: &mut Session) -> Result<State> {
    let mut state = State { lists: read_lists(session)?, past: read_past(session)?, ..State::default() };
    let rows = session.query("SELECT p_key, len FROM list ORDER BY p_key", &[])?;
    for row in 0..rows.len() {
        state.lengths.insert(int(&rows, row, 0)?, id_of(&rows, row, 1)?);
    }
    let rows =
        session.query("SELECT p_key, id, what, subject, amount FROM journal ORDER BY p_key, id", &[])?;
    for row in 0..rows.len() {
        let what = rows.get(row, 2).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (p_key, id) = (int(&rows, row, 0)?, id_of(&rows, row, 1)?);
        state.journal.push(Entry {
            p_key,
            id,
            what,
            subject: integer(&rows, row, 3)?,
            amount: integer(&rows, row, 4)?,
        });
    }
    state.accounts = pairs(session, "SELECT p_key, balance FROM account", |rows, row| {
        Ok((int(rows, row, 0)?, integer(rows, row, 1)?))
    })?;
    state.workers = pairs(session, "SELECT p_key, worker_id, unused_capacity FROM worker", |rows, row| {
        Ok(((int(rows, row, 0)?, int(rows, row, 1)?), integer(rows, row, 2)?))
    })?;
    state.tasks = pairs(session, "SELECT p_key, task_id, worker_id FROM task", |rows, row| {
        Ok(((int(rows, row, 0)?, integer(rows, row, 1)?), int(rows, row, 2)?))
    })?;
    let rows = session.query("SELECT p_key, n FROM queue", &[])?;
    let queue: Result<BTreeSet<(i32, i64)>> =
        (0..rows.len()).map(|row| Ok((int(&rows, row, 0)?, integer(&rows, row, 1)?))).collect();
    state.queue = queue?;
    Ok(state)
}

/// The copies of each entry: its id, how many there are, and the sum of their numbers.
fn read_past(session: &mut Session) -> Result<BTreeMap<(i32, u64, Id), (i64, i64)>> {
    let sql = "SELECT p_key, pos, id, count(*), sum(n)::bigint FROM past GROUP BY p_key, pos, id";
    pairs(session, sql, |rows, row| {
        let key = (int(rows, row, 0)?, id_of(rows, row, 1)?, id_of(rows, row, 2)?);
        Ok((key, (integer(rows, row, 3)?, integer(rows, row, 4)?)))
    })
}

fn pairs<K: Ord, V>(
    session: &mut Session,
    sql: &str,
    pair: impl Fn(&Rows, usize) -> Result<(K, V)>,
) -> Result<BTreeMap<K, V>> {
    let rows = session.query(sql, &[])?;
    let mut map = BTreeMap::new();
    for row in 0..rows.len() {
        let (key, value) = pair(&rows, row)?;
        if map.insert(key, value).is_some() {
            return Err(SqlError::internal(format!("a primary key occurs twice in the rows of: {sql}")));
        }
    }
    Ok(map)
}

fn read_lists(session: &mut Session) -> Result<BTreeMap<i32, Vec<(u64, Id)>>> {
    let mut lists: BTreeMap<i32, Vec<(u64, Id)>> = BTreeMap::new();
    for table in ["item", "local_item", "reference_item"] {
        let rows = session.query(&format!("SELECT p_key, pos, id FROM {table} ORDER BY p_key, pos"), &[])?;
        for row in 0..rows.len() {
            let entry = (id_of(&rows, row, 1)?, id_of(&rows, row, 2)?);
            lists.entry(int(&rows, row, 0)?).or_default().push(entry);
        }
    }
    Ok(lists)
}
