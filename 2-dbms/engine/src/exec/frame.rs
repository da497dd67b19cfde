//! What running code works on: a stack of values in windows, one an activation, and the transaction.
//!
//! The compiler gives everything that a statement or procedure keeps a slot of its window: parameters,
//! variables, the needed columns of each relation, results of aggregates, output columns. A correlated
//! subquery reads the slots of the outer query, an embedded statement the variables of its procedure. A call
//! pushes a new window. Things that outlive a row but not a statement (a materialised CTE, the answer of a
//! subquery that depends on nothing) are [`State`]s in a second stack of the same shape.

use std::sync::Arc;

use tuplix_storage::RowId;
use tuplix_types::{IoContext, SqlError, SqlState, Value};

use super::hash_table::Keys;
use crate::services::Services;
use crate::stop::{Run, Stop};
use crate::transaction::{RowRef, SHARED_REFERENCE, Transaction};

/// Stack of machine memory that nested calls may use; PostgreSQL's `max_stack_depth` is 2 MB.
const MAX_STACK_BYTES: usize = 1 << 20;

/// Whether the producer of rows goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The consumer wants more rows.
    Continue,
    /// The consumer has all it wants.
    Stop,
}

/// Rows of one width, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowSet {
    /// Columns of a row; rows without columns are counted by `len`.
    pub width: usize,
    /// All values.
    pub values: Vec<Value>,
    /// Number of rows.
    pub len: usize,
}

impl RowSet {
    pub(crate) fn new(width: usize) -> RowSet {
        RowSet { width, values: Vec::new(), len: 0 }
    }

    pub(crate) fn push(&mut self, row: &[Value]) {
        debug_assert_eq!(row.len(), self.width);
        self.values.extend_from_slice(row);
        self.len += 1;
    }

    #[inline]
    pub(crate) fn row(&self, number: usize) -> &[Value] {
        &self.values[number * self.width..(number + 1) * self.width]
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &[Value]> {
        (0..self.len).map(|number| self.row(number))
    }
}

/// What a statement keeps beside the values of its slots.
#[derive(Clone, Debug, Default)]
pub(crate) enum State {
    /// Nothing yet.
    #[default]
    Empty,
    /// The rows of a CTE or of the last round of a recursive one.
    Rows(Arc<RowSet>),
    /// The value of a subquery that depends on nothing outside it.
    Value(Value),
    /// The rows of `IN (subquery)`, hashed; whether one of them has a NULL.
    Set(Arc<Keys>, bool),
}

/// The stacks of a session's activations; kept between transactions, so that a run allocates nothing.
#[derive(Debug, Default)]
pub struct FrameStack {
    pub(crate) values: Vec<Value>,
    pub(crate) states: Vec<State>,
    spare: Vec<Vec<Value>>,
    pub(crate) changes: Vec<(usize, Value)>,
    pub(crate) rows: Vec<Vec<RowRef>>,
}

/// A procedure's activation: what its statements share beside the variables.
#[derive(Debug, Default)]
pub(crate) struct Activation {
    /// The statement being run, an index into the procedure's list of places.
    pub place: usize,
    /// ROW_COUNT of the last statement.
    pub row_count: u64,
    /// What most activations never have.
    kept: Option<Box<Kept>>,
}

/// Rows and errors of an activation.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Rows that RETURN NEXT and RETURN QUERY gave.
    pub rows: RowSet,
    /// The errors being handled, innermost last.
    pub errors: Vec<SqlError>,
}

impl Activation {
    /// Of a function that returns a set of rows of this width.
    pub(crate) fn of_set(width: usize) -> Activation {
        let kept = Kept { rows: RowSet::new(width), errors: Vec::new() };
        Activation { kept: Some(Box::new(kept)), ..Activation::default() }
    }

    /// Rows and errors.
    pub(crate) fn kept(&mut self) -> &mut Kept {
        self.kept.get_or_insert_default()
    }

    /// The error being handled.
    pub(crate) fn error(&self) -> Option<&SqlError> {
        self.kept.as_ref()?.errors.last()
    }
}

/// Running code's view of the world.
pub struct Exec<'t, 'n> {
    /// The door to rows.
    pub tx: &'t mut Transaction<'n>,
    pub(crate) stack: &'t mut FrameStack,
    pub(crate) services: &'n Services,
    pub(crate) activation: Activation,
    /// Rows that the last data-modifying statement changed.
    pub(crate) affected: u64,
    /// What text forms depend on, once something asked.
    pub(crate) io: Option<IoContext>,
    /// What waits for the end of the statement.
    pub(crate) events: super::events::Events,
    base: usize,
    state_base: usize,
    machine_stack: usize,
}

/// A window to return to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    base: usize,
    state_base: usize,
    values: usize,
    states: usize,
}

fn machine_stack_address() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

impl<'t, 'n> Exec<'t, 'n> {
    /// Starts with an empty stack.
    pub fn new(tx: &'t mut Transaction<'n>, stack: &'t mut FrameStack) -> Exec<'t, 'n> {
        let services = tx.services();
        stack.values.clear();
        stack.states.clear();
        Exec {
            tx,
            stack,
            services,
            activation: Activation::default(),
            affected: 0,
            io: None,
            events: super::events::Events::default(),
            base: 0,
            state_base: 0,
            machine_stack: machine_stack_address(),
        }
    }

    /// Refuses to nest deeper than the machine's stack allows.
    #[inline]
    pub(crate) fn check_depth(&self) -> Run<()> {
        if self.machine_stack.abs_diff(machine_stack_address()) > MAX_STACK_BYTES {
            return Err(too_deep());
        }
        Ok(())
    }

    /// Opens a window of `values` slots, all NULL, and of `states` states.
    #[inline]
    pub(crate) fn enter(&mut self, values: usize, states: usize) -> Window {
        let window = Window {
            base: self.base,
            state_base: self.state_base,
            values: self.stack.values.len(),
            states: self.stack.states.len(),
        };
        self.base = window.values;
        self.state_base = window.states;
        self.stack.values.resize_with(window.values + values, || Value::Null);
        if states > 0 {
            self.stack.states.resize(window.states + states, State::Empty);
        }
        window
    }

    /// Closes a window.
    #[inline]
    pub(crate) fn leave(&mut self, window: Window) {
        shorten(&mut self.stack.values, window.values);
        self.stack.states.truncate(window.states);
        self.base = window.base;
        self.state_base = window.state_base;
    }

    /// The value in a slot.
    #[inline]
    pub(crate) fn get(&self, slot: usize) -> &Value {
        &self.stack.values[self.base + slot]
    }

    /// A copy of the value in a slot.
    #[inline]
    pub(crate) fn copy(&self, slot: usize) -> Value {
        self.get(slot).clone()
    }

    /// Copies the value of a slot into another.
    #[inline]
    pub(crate) fn copy_to(&mut self, from: usize, to: usize) {
        let value = self.copy(from);
        self.set(to, value);
    }

    /// Puts a value into a slot.
    #[inline]
    pub(crate) fn set(&mut self, slot: usize, value: Value) {
        put(&mut self.stack.values[self.base + slot], value);
    }

    /// Takes the value out of a slot, leaving NULL.
    #[inline]
    pub(crate) fn take(&mut self, slot: usize) -> Value {
        std::mem::take(&mut self.stack.values[self.base + slot])
    }

    /// Some slots in a row.
    #[inline]
    pub(crate) fn slots(&self, first: usize, count: usize) -> &[Value] {
        &self.stack.values[self.base + first..self.base + first + count]
    }

    /// Puts values into slots that follow each other.
    #[inline]
    pub(crate) fn fill(&mut self, first: usize, values: &[Value]) {
        for (number, value) in values.iter().enumerate() {
            self.set(first + number, value.clone());
        }
    }

    /// Puts values into slots anywhere.
    #[inline]
    pub(crate) fn scatter(&mut self, slots: &[usize], values: &[Value]) {
        for (slot, value) in slots.iter().zip(values) {
            put(&mut self.stack.values[self.base + slot], value.clone());
        }
    }

    /// Appends the values of slots.
    #[inline]
    pub(crate) fn gather(&self, slots: &[usize], out: &mut Vec<Value>) {
        out.extend(slots.iter().map(|slot| self.stack.values[self.base + slot].clone()));
    }

    /// Makes slots NULL.
    pub(crate) fn clear(&mut self, slots: &[usize]) {
        for slot in slots {
            self.stack.values[self.base + slot] = Value::Null;
        }
    }

    /// Reads columns of a row into slots.
    #[inline]
    pub(crate) fn read_row(&mut self, row: RowRef, columns: &[(usize, usize)]) {
        if columns.is_empty() {
            return;
        }
        let view = self.tx.fragment_of(row).row(row.row);
        let frame = &mut self.stack.values[self.base..];
        for (column, slot) in columns {
            let value = match view {
                Some(view) => view.value(*column),
                None => Value::Null,
            };
            put(&mut frame[*slot], value);
        }
    }

    /// The transaction together with slots that follow each other, for writes.
    #[inline]
    pub(crate) fn tx_and_slots(&mut self, first: usize, count: usize) -> (&mut Transaction<'n>, &[Value]) {
        let first = self.base + first;
        (&mut *self.tx, &self.stack.values[first..first + count])
    }

    /// A state of the window.
    #[inline]
    pub(crate) fn state(&self, number: usize) -> &State {
        &self.stack.states[self.state_base + number]
    }

    /// Replaces a state of the window.
    pub(crate) fn set_state(&mut self, number: usize, state: State) {
        self.stack.states[self.state_base + number] = state;
    }

    /// Forgets the states of a statement that is about to run.
    #[inline]
    pub(crate) fn reset_states(&mut self, first: usize, count: usize) {
        for state in &mut self.stack.states[self.state_base + first..][..count] {
            *state = State::Empty;
        }
    }

    /// An empty buffer, recycled.
    #[inline]
    pub(crate) fn take_buffer(&mut self) -> Vec<Value> {
        self.stack.spare.pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    #[inline]
    pub(crate) fn give_buffer(&mut self, mut buffer: Vec<Value>) {
        shorten(&mut buffer, 0);
        self.stack.spare.push(buffer);
    }

    /// Stops when the client cancelled or the statement ran out of time; called at every loop edge.
    #[inline]
    pub(crate) fn check_interrupts(&self) -> Run<()> {
        self.services.check_interrupts()
    }
}

/// Replaces a value, without a call to drop what needs no drop.
#[inline]
pub(crate) fn put(place: &mut Value, value: Value) {
    if place.is_plain() {
        std::mem::forget(std::mem::replace(place, value));
    } else {
        *place = value;
    }
}

/// Drops what is beyond a length, without a call for what needs no drop.
#[inline]
fn shorten(values: &mut Vec<Value>, length: usize) {
    let Some(beyond) = values.get_mut(length..) else { return };
    for value in beyond {
        if !value.is_plain() {
            *value = Value::Null;
        }
    }
    // SAFETY: `length` is not beyond the end, and what lies after it is plain now: it needs no drop.
    unsafe { values.set_len(length) };
}

#[cold]
fn too_deep() -> Stop {
    let code = SqlState(*b"54001");
    SqlError::new(code, "stack depth limit exceeded")
        .hint("Functions call each other without end, or through more levels than the 1024 kB of stack that one session has.")
        .into()
}

const PRIVATE: u64 = 1 << 63;
const SHARED: u64 = 0x7fff;

/// A row as a value, so that it travels with the columns of its row through sorts and joins.
#[inline]
pub(crate) fn pack_row(row: RowRef) -> Value {
    let held = if row.held == SHARED_REFERENCE { SHARED } else { u64::from(row.held) & SHARED };
    let private = if row.private { PRIVATE } else { 0 };
    let word = private | held << 48 | u64::from(row.bucket) << 32 | u64::from(row.row.0);
    Value::Int8(word as i64)
}

/// The row behind [`pack_row`]'s value; `None` for the NULL of an outer join.
#[inline]
pub(crate) fn unpack_row(slot: u32, value: &Value) -> Option<RowRef> {
    let Value::Int8(word) = value else { return None };
    let word = *word as u64;
    let held = (word >> 48) & SHARED;
    Some(RowRef {
        slot,
        bucket: (word >> 32) as u16,
        held: if held == SHARED { SHARED_REFERENCE } else { held as u16 },
        private: word & PRIVATE != 0,
        row: RowId(word as u32),
    })
}
