//! Running joins: nested loops and hash joins, inner, left and full.

use tuplix_types::{TypeId, Value};

use super::code::{Code, TestFn, run_all};
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet};
use super::hash_table::Keys;
use super::rows::{Next, Rows, RowsBox};
use crate::stop::Run;

/// For each outer row the inner side runs anew, reading the outer row's slots.
pub(crate) struct NestedLoop {
    pub outer: RowsBox,
    pub inner: RowsBox,
}

impl Rows for NestedLoop {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.outer.run(exec, &mut |exec| self.inner.run(exec, next))
    }

    fn explain(&self, out: &mut Explain) {
        out.line("Nested Loop");
        out.child(&*self.outer);
        out.child(&*self.inner);
    }
}

/// As [`NestedLoop`], and an outer row without inner rows comes once with NULLs.
pub(crate) struct LeftLoop {
    pub outer: RowsBox,
    pub inner: RowsBox,
    /// The slots of the inner side.
    pub inner_slots: Vec<usize>,
}

impl Rows for LeftLoop {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.outer.run(exec, &mut |exec| {
            let mut matched = false;
            let flow = self.inner.run(exec, &mut |exec| {
                matched = true;
                next(exec)
            })?;
            if matched {
                return Ok(flow);
            }
            exec.clear(&self.inner_slots);
            next(exec)
        })
    }

    fn explain(&self, out: &mut Explain) {
        out.line("Nested Loop Left Join");
        out.child(&*self.outer);
        out.child(&*self.inner);
    }
}

/// What a hash join does with rows that find no partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Drops them.
    None,
    /// Keeps outer ones.
    Outer,
    /// Keeps both sides'.
    Both,
}

/// The inner side is read once into a hash table by its keys; without keys into a list.
pub(crate) struct HashJoin {
    pub outer: RowsBox,
    pub inner: RowsBox,
    pub keep: Keep,
    pub types: Vec<TypeId>,
    pub outer_keys: Vec<Code>,
    pub inner_keys: Vec<Code>,
    /// What must hold beside the keys.
    pub residual: Option<TestFn>,
    pub outer_slots: Vec<usize>,
    pub inner_slots: Vec<usize>,
    pub text: String,
}

/// The inner side's rows; rows of one key are chained in their order.
struct Table {
    keys: Keys,
    first: Vec<usize>,
    last: Vec<usize>,
    next: Vec<usize>,
    rows: RowSet,
    matched: Vec<bool>,
}

const END: usize = usize::MAX;

impl HashJoin {
    fn build(&self, exec: &mut Exec<'_, '_>) -> Run<Table> {
        let mut table = Table {
            keys: Keys::new(&self.types),
            first: Vec::new(),
            last: Vec::new(),
            next: Vec::new(),
            rows: RowSet::new(self.inner_slots.len()),
            matched: Vec::new(),
        };
        let mut key = Vec::new();
        self.inner.run(exec, &mut |exec| {
            key.clear();
            run_all(&self.inner_keys, exec, &mut key)?;
            let joins = !key.iter().any(Value::is_null);
            if joins || self.keep == Keep::Both {
                exec.gather(&self.inner_slots, &mut table.rows.values);
                table.add(joins.then_some(&key));
            }
            Ok(Flow::Continue)
        })?;
        Ok(table)
    }

    fn probe(
        &self,
        exec: &mut Exec<'_, '_>,
        table: &mut Table,
        key: &mut Vec<Value>,
        next: &mut Next<'_>,
    ) -> Run<Flow> {
        key.clear();
        run_all(&self.outer_keys, exec, key)?;
        let mut matched = false;
        let number = if key.iter().any(Value::is_null) { None } else { table.keys.find(key) };
        let mut row = number.map_or(END, |number| table.first[number]);
        while row != END {
            exec.scatter(&self.inner_slots, table.rows.row(row));
            let passes = match &self.residual {
                Some(residual) => residual(exec)?,
                None => true,
            };
            if passes {
                matched = true;
                table.matched[row] = true;
                if next(exec)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
            row = table.next[row];
        }
        if matched || self.keep == Keep::None {
            return Ok(Flow::Continue);
        }
        exec.clear(&self.inner_slots);
        next(exec)
    }
}

impl Table {
    fn add(&mut self, key: Option<&Vec<Value>>) {
        let row = self.rows.len;
        self.rows.len += 1;
        self.next.push(END);
        self.matched.push(false);
        let Some(key) = key else { return };
        let (number, new) = self.keys.insert(key);
        if new {
            self.first.push(row);
            self.last.push(row);
        } else {
            self.next[self.last[number]] = row;
            self.last[number] = row;
        }
    }
}

impl Rows for HashJoin {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let mut table = None;
        if self.keep == Keep::Both {
            table = Some(self.build(exec)?);
        }
        let mut key = Vec::new();
        // The outer row's own slots are not the inner side's, so building in the middle of it does no harm.
        let flow = self.outer.run(exec, &mut |exec| {
            let table = match &mut table {
                Some(table) => table,
                empty => empty.insert(self.build(exec)?),
            };
            self.probe(exec, table, &mut key, next)
        })?;
        if flow == Flow::Stop || self.keep != Keep::Both {
            return Ok(flow);
        }
        let Some(table) = table else { return Ok(flow) };
        exec.clear(&self.outer_slots);
        for row in (0..table.rows.len).filter(|row| !table.matched[*row]) {
            exec.scatter(&self.inner_slots, table.rows.row(row));
            if next(exec)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn explain(&self, out: &mut Explain) {
        let kind = match self.keep {
            Keep::None => "",
            Keep::Outer => " Left",
            Keep::Both => " Full",
        };
        match self.types.is_empty() {
            true => out.line(format_args!("Nested Loop{kind} Join (inner side stored)")),
            false => out.line(format_args!("Hash{kind} Join")),
        }
        if !self.text.is_empty() {
            out.note(format_args!("Hash Cond: {}", self.text));
        }
        out.child(&*self.outer);
        out.child(&*self.inner);
    }
}
