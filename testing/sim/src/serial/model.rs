//! The model: what every operation does to a few maps, and what it must answer. It shares no code with the engine.

use std::collections::BTreeMap;

use super::operation::{Key, Operation, Seen, is_distributed};
use super::{Promise, Step, Transaction};

/// All rows and lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Model {
    /// Numbers.
    pub rows: BTreeMap<Key, i64>,
    /// Lists.
    pub lists: BTreeMap<Key, Vec<u64>>,
}

/// How to take a change back.
#[derive(Clone, Debug)]
pub enum Undo {
    /// The row had this number.
    Row(Key, Option<i64>),
    /// The list had no last entry.
    Pop(Key),
}

impl Model {
    /// Runs a transaction at this point of the order. What it changed goes into `undo`.
    ///
    /// # Errors
    /// The first answer that it could not have had here; the model is as before.
    pub fn apply(&mut self, transaction: &Transaction, undo: &mut Vec<Undo>) -> Result<(), String> {
        let start = undo.len();
        let mut savepoints = Vec::new();
        for step in &transaction.steps {
            let outcome = match step {
                Step::Operation(operation, seen) => self.step(transaction.promise, operation, seen, undo),
                Step::Savepoint => {
                    savepoints.push(undo.len());
                    Ok(())
                }
                Step::RollbackTo => {
                    self.take_back(undo, savepoints.pop().unwrap_or(start));
                    Ok(())
                }
                Step::Release => {
                    savepoints.pop();
                    Ok(())
                }
            };
            if let Err(what) = outcome {
                self.take_back(undo, start);
                return Err(what);
            }
        }
        Ok(())
    }

    /// Takes changes back until `undo` has this length.
    pub fn take_back(&mut self, undo: &mut Vec<Undo>, length: usize) {
        while undo.len() > length {
            match undo.pop() {
                Some(Undo::Row(key, Some(value))) => {
                    self.rows.insert(key, value);
                }
                Some(Undo::Row(key, None)) => {
                    self.rows.remove(&key);
                }
                Some(Undo::Pop(key)) => {
                    if let Some(list) = self.lists.get_mut(&key) {
                        list.pop();
                        if list.is_empty() {
                            self.lists.remove(&key);
                        }
                    }
                }
                None => {}
            }
        }
    }

    fn step(
        &mut self,
        promise: Promise,
        operation: &Operation,
        seen: &Seen,
        undo: &mut Vec<Undo>,
    ) -> Result<(), String> {
        match promise {
            Promise::Serializable => self.step_serializable(operation, seen, undo),
            Promise::ReadCommitted => self.step_read_committed(operation, seen, undo),
        }
    }

    fn set(&mut self, key: Key, value: Option<i64>, undo: &mut Vec<Undo>) {
        let before = match value {
            Some(value) => self.rows.insert(key, value),
            None => self.rows.remove(&key),
        };
        undo.push(Undo::Row(key, before));
    }

    /// What the operation answers here, and what it changes.
    fn step_serializable(
        &mut self,
        operation: &Operation,
        seen: &Seen,
        undo: &mut Vec<Undo>,
    ) -> Result<(), String> {
        let (answer, changes) = self.answer(operation);
        if answer != *seen {
            return Err(format!("{operation:?} answered {seen:?}, but the model says {answer:?}"));
        }
        for (key, value) in changes {
            self.set(key, value, undo);
        }
        if let Operation::Append(list, item) = operation {
            self.lists.entry(*list).or_default().push(*item);
            undo.push(Undo::Pop(*list));
        }
        Ok(())
    }

    fn answer(&self, operation: &Operation) -> (Seen, Vec<(Key, Option<i64>)>) {
        let at = |key: &Key| self.rows.get(key).copied();
        let number = |value: Option<i64>| value.map_or(Seen::None, Seen::Number);
        let total = |matches: &dyn Fn(&Key, i64) -> bool| {
            let found = self.rows.iter().filter(|(key, value)| matches(key, **value));
            let (count, sum) = found.fold((0, 0), |(count, sum), (_, value)| (count + 1, sum + value));
            Seen::Total(count, sum)
        };
        let read = |seen: Seen| (seen, Vec::new());
        let write = |key: &Key, value: Option<i64>| match value {
            None => (Seen::None, Vec::new()),
            Some(value) if value < 0 => (Seen::Refused, Vec::new()),
            Some(value) => (Seen::Number(value), vec![(*key, Some(value))]),
        };
        match operation {
            Operation::Get(key) => read(number(at(key))),
            Operation::Sum(place) => read(total(&|key, _| key.0 == *place)),
            Operation::Where(remainder) => {
                read(total(&|key, value| is_distributed(key.0) && value % 3 == *remainder))
            }
            Operation::Add(key, by) => write(key, at(key).map(|value| value + by)),
            Operation::Put(key, _) if at(key).is_some() => read(Seen::Duplicate),
            Operation::Put(key, value) => write(key, Some(*value)),
            Operation::Upsert(key, by) => write(key, Some(at(key).unwrap_or(0) + by)),
            Operation::Remove(key) => match at(key) {
                None => read(Seen::None),
                Some(value) => (Seen::Number(value), vec![(*key, None)]),
            },
            Operation::RemoveFrom(place, least) => {
                self.rows_changed(*place, |value| if value >= *least { Some((value, None)) } else { None })
            }
            Operation::AddAll(place, by) => {
                self.rows_changed(*place, |value| Some((value + by, Some(value + by))))
            }
            Operation::Copy(from, to) => write(to, at(to).map(|_| at(from).unwrap_or(0))),
            Operation::Append(list, item) => {
                let mut items = self.lists.get(list).cloned().unwrap_or_default();
                items.push(*item);
                read(Seen::Items(items))
            }
            Operation::List(list) => read(self.lists.get(list).cloned().map_or(Seen::None, Seen::Items)),
        }
    }

    fn rows_changed(
        &self,
        place: i32,
        change: impl Fn(i64) -> Option<(i64, Option<i64>)>,
    ) -> (Seen, Vec<(Key, Option<i64>)>) {
        let mut rows = Vec::new();
        let mut changes = Vec::new();
        for (key, value) in self.rows.iter().filter(|(key, _)| key.0 == place) {
            if let Some((shown, becomes)) = change(*value) {
                rows.push((key.1, shown));
                changes.push((*key, becomes));
            }
        }
        (if rows.is_empty() { Seen::None } else { Seen::Rows(rows) }, changes)
    }

    /// READ COMMITTED: reads may be of any moment, but a row that was changed stayed locked until COMMIT, so what was changed must
    /// still be as the statement found it.
    fn step_read_committed(
        &mut self,
        operation: &Operation,
        seen: &Seen,
        undo: &mut Vec<Undo>,
    ) -> Result<(), String> {
        let lost = |what: &str| Err(format!("{operation:?} answered {seen:?}, but at COMMIT {what}"));
        let at = |model: &Model, key: &Key| model.rows.get(key).copied();
        match (operation, seen) {
            (Operation::Copy(_, to), Seen::Number(value)) => match at(self, to) {
                None => return lost("the row is not there"),
                Some(_) => self.set(*to, Some(*value), undo),
            },
            (Operation::RemoveFrom(place, _) | Operation::AddAll(place, _), Seen::Rows(rows)) => {
                for (k, shown) in rows {
                    let key = (*place, *k);
                    let (before, after) = match operation {
                        Operation::AddAll(_, by) => (shown - by, Some(*shown)),
                        _ => (*shown, None),
                    };
                    if at(self, &key) != Some(before) {
                        return lost(&format!("row {k} is {:?}", at(self, &key)));
                    }
                    self.set(key, after, undo);
                }
            }
            (
                Operation::Add(..)
                | Operation::Put(..)
                | Operation::Upsert(..)
                | Operation::Remove(_)
                | Operation::Append(..),
                Seen::Number(_) | Seen::Items(_),
            ) => return self.step_serializable(operation, seen, undo),
            _ => {}
        }
        Ok(())
    }
}
