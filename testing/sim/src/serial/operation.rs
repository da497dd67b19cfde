//! Operations: what a statement does, its SQL, and how its answer reads. Every statement answers with one text.

use crate::random::Random;

/// Places of rows: buckets of the distributed table, then the local and the reference table.
pub const PLACES: i32 = 6;
/// The place whose rows lie in the local table.
const LOCAL: i32 = 4;
/// The place whose rows lie in the reference table.
const REFERENCE: i32 = 5;
/// Rows that a place may have.
const KEYS: u64 = 5;

/// Place and key.
pub type Key = (i32, i32);

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads a number.
    Get(Key),
    /// Count and sum of a place.
    Sum(i32),
    /// Count and sum over all distributed places of the numbers with this remainder by 3.
    Where(i64),
    /// Adds to a number; the row may not be there.
    Add(Key, i64),
    /// Inserts a row; 23505 when it is there.
    Put(Key, i64),
    /// Inserts a row or adds to it.
    Upsert(Key, i64),
    /// Removes a row.
    Remove(Key),
    /// Removes the rows of a place whose number is at least this.
    RemoveFrom(i32, i64),
    /// Adds to all rows of a place.
    AddAll(i32, i64),
    /// Gives the second row the first one's number, or 0.
    Copy(Key, Key),
    /// Appends to a list; it begins with its first entry.
    Append(Key, u64),
    /// Reads a list.
    List(Key),
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No row, or nothing was there.
    None,
    /// A number: the row's, after the change if there was one.
    Number(i64),
    /// Count and sum.
    Total(i64, i64),
    /// Keys and numbers of the rows changed, by key: after an addition, before a removal.
    Rows(Vec<(i32, i64)>),
    /// A list.
    Items(Vec<u64>),
    /// 23505: the key is there already.
    Duplicate,
    /// 23514: a number would be below 0.
    Refused,
}

/// A statement with its parameters, all integers.
#[derive(Clone, Debug)]
pub struct Statement {
    /// With `$1` and so on.
    pub sql: String,
    /// Their values.
    pub arguments: Vec<i64>,
}

impl Statement {
    /// The text with its parameters in place.
    pub fn literal(&self) -> String {
        let mut text = self.sql.clone();
        for (index, value) in self.arguments.iter().enumerate().rev() {
            text = text.replace(&format!("${}", index + 1), &value.to_string());
        }
        text
    }
}

fn table(place: i32) -> &'static str {
    match place {
        LOCAL => "local_entry",
        REFERENCE => "reference_entry",
        _ => "entry",
    }
}

fn chain(place: i32) -> &'static str {
    match place {
        LOCAL => "local_chain",
        REFERENCE => "reference_chain",
        _ => "chain",
    }
}

/// Whether the model's place lies in the distributed table.
pub fn is_distributed(place: i32) -> bool {
    place < LOCAL
}

impl Operation {
    /// A random one. `item` is a number that nobody has appended yet; lists change over time, so that they stay short.
    pub fn random(random: &mut Random, item: u64) -> Operation {
        let key = |random: &mut Random| (random.below(PLACES as u64) as i32, random.below(KEYS) as i32);
        let one = key(random);
        let list = (one.0, (item / 250 * 2 + random.below(2)) as i32);
        match random.below(24) {
            0..=2 => Operation::Get(one),
            3 => Operation::Sum(one.0),
            4 => Operation::Where(random.below(3) as i64),
            5..=7 => Operation::Add(one, random.below(12) as i64 - 4),
            8 | 9 => Operation::Put(one, random.below(20) as i64),
            10 | 11 => Operation::Upsert(one, random.below(9) as i64),
            12 => Operation::Remove(one),
            13 => Operation::RemoveFrom(one.0, 15 + random.below(30) as i64),
            14 => Operation::AddAll(one.0, random.below(4) as i64),
            15 => Operation::Copy(one, key(random)),
            16..=19 => Operation::Append(list, item),
            _ => Operation::List(list),
        }
    }

    /// Whether it changed something.
    pub fn changes(&self, seen: &Seen) -> bool {
        let reads =
            matches!(self, Operation::Get(_) | Operation::Sum(_) | Operation::Where(_) | Operation::List(_));
        !reads && matches!(seen, Seen::Number(_) | Seen::Rows(_) | Seen::Items(_))
    }

    /// Its statement.
    pub fn statement(&self) -> Statement {
        let row = |key: &Key| vec![i64::from(key.0), i64::from(key.1)];
        let with = |mut arguments: Vec<i64>, last: i64| {
            arguments.push(last);
            arguments
        };
        let at = "WHERE p_key = $1 AND k = $2";
        let (sql, arguments) = match self {
            Operation::Get(key) => (format!("SELECT v::text FROM {} {at}", table(key.0)), row(key)),
            Operation::Sum(place) => (
                format!(
                    "SELECT count(*)::text || ',' || coalesce(sum(v), 0)::text FROM {} WHERE p_key = $1",
                    table(*place)
                ),
                vec![i64::from(*place)],
            ),
            Operation::Where(remainder) => (
                "SELECT count(*)::text || ',' || coalesce(sum(v), 0)::text FROM entry WHERE v % 3 = $1"
                    .to_owned(),
                vec![*remainder],
            ),
            Operation::Add(key, by) => (
                format!("UPDATE {} SET v = v + ($3) {at} RETURNING v::text", table(key.0)),
                with(row(key), *by),
            ),
            Operation::Put(key, value) => (
                format!("INSERT INTO {} VALUES ($1, $2, $3) RETURNING v::text", table(key.0)),
                with(row(key), *value),
            ),
            Operation::Upsert(key, by) => {
                let table = table(key.0);
                let sql = format!(
                    "INSERT INTO {table} VALUES ($1, $2, $3) \
                     ON CONFLICT (p_key, k) DO UPDATE SET v = {table}.v + excluded.v RETURNING v::text"
                );
                (sql, with(row(key), *by))
            }
            Operation::Remove(key) => {
                (format!("DELETE FROM {} {at} RETURNING v::text", table(key.0)), row(key))
            }
            Operation::RemoveFrom(place, least) => (
                format!(
                    "WITH d AS (DELETE FROM {} WHERE p_key = $1 AND v >= $2 RETURNING k, v) \
                     SELECT string_agg(k || ':' || v, ',' ORDER BY k) FROM d",
                    table(*place)
                ),
                vec![i64::from(*place), *least],
            ),
            Operation::AddAll(place, by) => (
                format!(
                    "WITH d AS (UPDATE {} SET v = v + $2 WHERE p_key = $1 RETURNING k, v) \
                     SELECT string_agg(k || ':' || v, ',' ORDER BY k) FROM d",
                    table(*place)
                ),
                vec![i64::from(*place), *by],
            ),
            Operation::Copy(from, to) => (
                format!(
                    "UPDATE {} SET v = coalesce((SELECT x.v FROM {} x WHERE x.p_key = $3 AND x.k = $4), 0) {at} \
                     RETURNING v::text",
                    table(to.0),
                    table(from.0)
                ),
                [row(to), row(from)].concat(),
            ),
            Operation::Append(list, item) => {
                let chain = chain(list.0);
                let sql = format!(
                    "INSERT INTO {chain} VALUES ($1, $2, ($3)::bigint::text) \
                     ON CONFLICT (p_key, k) DO UPDATE SET items = {chain}.items || ',' || excluded.items RETURNING items"
                );
                (sql, with(row(list), *item as i64))
            }
            Operation::List(list) => (format!("SELECT items FROM {} {at}", chain(list.0)), row(list)),
        };
        Statement { sql, arguments }
    }

    /// Reads its answer; `None` stands for no row or NULL.
    ///
    /// # Errors
    /// What can't be read.
    pub fn read(&self, answer: Option<&str>) -> Result<Seen, String> {
        let Some(text) = answer.filter(|text| *text != "(none)") else { return Ok(Seen::None) };
        let wrong = || format!("{self:?} was answered by \"{text}\"");
        let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
        match text {
            "23505" => return Ok(Seen::Duplicate),
            "23514" => return Ok(Seen::Refused),
            _ => {}
        }
        Ok(match self {
            Operation::Sum(_) | Operation::Where(_) => {
                let (count, sum) = text.split_once(',').ok_or_else(wrong)?;
                Seen::Total(number(count)?, number(sum)?)
            }
            Operation::RemoveFrom(..) | Operation::AddAll(..) => {
                let rows = text.split(',').map(|row| {
                    let (k, v) = row.split_once(':').ok_or_else(wrong)?;
                    Ok((k.parse::<i32>().map_err(|_| wrong())?, number(v)?))
                });
                Seen::Rows(rows.collect::<Result<_, String>>()?)
            }
            Operation::Append(..) | Operation::List(_) => {
                let items = text.split(',').map(|item| item.parse::<u64>().map_err(|_| wrong()));
                Seen::Items(items.collect::<Result<_, _>>()?)
            }
            _ => Seen::Number(number(text)?),
        })
    }
}
