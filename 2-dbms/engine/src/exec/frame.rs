//! What running code works on: windows of values, one an activation, and the transaction.
//!
//! The compiler gives everything that a statement or procedure keeps a slot of its window: parameters,
//! variables, the needed columns of each relation, results of aggregates, output columns. A correlated
//! subquery reads the slots of the outer query, an embedded statement the variables of its procedure. A call
//! opens a new window, a vector of its own that is recycled: a slot is one bounds check away. Things that outlive a row but not a statement (a materialised CTE, the answer of a
//! subquery that depends on nothing) are [`State`]s in a stack.

use std::cell::OnceCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use tuplix_storage::RowId;
use tuplix_types::{IoContext, SqlError, SqlState, Value};

use super::compare::holds;
use super::hash_table::Keys;
use super::scan::Compared;
use crate::layout::TableAccess;
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

/// What a session's activations are made of; kept between transactions, so that a run allocates nothing.
#[derive(Debug, Default)]
pub struct FrameStack {
    pub(crate) states: Vec<State>,
    /// Empty buffers.
    spare: Vec<Vec<Value>>,
    /// Windows that nobody uses: their values are leftovers that own nothing.
    windows: Vec<Box<[Value]>>,
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
    /// The errors being handled, innermost last, and the place of the statement that failed.
    pub errors: Vec<(SqlError, usize)>,
}

impl Activation {
    /// Of a function that returns a set of rows of this width.
    pub(crate) fn of_set(width: usize) -> Activation {
        let kept = Kept { rows: RowSet::new(width), errors: Vec::new() };
        Activation { kept: Some(Box::new(kept)), ..Activation::default() }
    }

    /// Begins another one; gives the one that [`Activation::leave_to`] returns to. As for a [`Window`], a panic leaks it.
    #[inline(always)]
    pub(crate) fn enter(&mut self, activation: Activation) -> ManuallyDrop<Activation> {
        ManuallyDrop::new(std::mem::replace(self, activation))
    }

    /// Ends this one: the caller's goes on.
    #[inline(always)]
    pub(crate) fn leave_to(&mut self, caller: ManuallyDrop<Activation>) {
        let ended = std::mem::replace(self, ManuallyDrop::into_inner(caller));
        if let Some(kept) = ended.kept {
            drop(kept);
        }
    }

    /// Rows and errors.
    pub(crate) fn kept(&mut self) -> &mut Kept {
        self.kept.get_or_insert_default()
    }

    /// The error being handled.
    pub(crate) fn error(&self) -> Option<&SqlError> {
        Some(&self.kept.as_ref()?.errors.last()?.0)
    }

    /// Where in this activation the error being handled came up.
    pub(crate) fn error_place(&self) -> Option<usize> {
        Some(self.kept.as_ref()?.errors.last()?.1)
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
    pub(crate) io: OnceCell<IoContext>,
    /// What waits for the end of the statement: nothing in most runs, so that there is nothing to be dropped.
    events: Option<Box<super::events::Events>>,
    /// The window's slots.
    frame: Box<[Value]>,
    state_base: usize,
    machine_stack: usize,
}

/// What came of looking at the next row.
pub(crate) enum Looked {
    /// There is none.
    End,
    /// It does not pass.
    Over,
    /// Its columns are in their slots.
    At(RowRef),
}

/// A window to return to. Nothing is to be dropped on the way of a panic, which leaks it: so the compiler need not keep it in one
/// piece in memory.
#[derive(Debug)]
pub(crate) struct Window {
    frame: ManuallyDrop<Box<[Value]>>,
    /// Slots of the window that was opened.
    values: usize,
    state_base: usize,
    states: usize,
}

fn machine_stack_address() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

impl<'t, 'n> Exec<'t, 'n> {
    /// Starts with an empty stack.
    #[inline(always)]
    pub fn new(tx: &'t mut Transaction<'n>, stack: &'t mut FrameStack) -> Exec<'t, 'n> {
        let services = tx.services();
        stack.states.clear();
        Exec {
            tx,
            stack,
            services,
            activation: Activation::default(),
            affected: 0,
            io: OnceCell::new(),
            events: None,
            frame: Box::default(),
            state_base: 0,
            machine_stack: machine_stack_address(),
        }
    }

    /// What waits for the end of the statement.
    #[inline]
    pub(crate) fn events(&mut self) -> &mut super::events::Events {
        self.events.get_or_insert_default()
    }

    /// Refuses to nest deeper than the machine's stack allows.
    #[inline(always)]
    pub(crate) fn check_depth(&self) -> Run<()> {
        if self.machine_stack.abs_diff(machine_stack_address()) > MAX_STACK_BYTES {
            return Err(too_deep());
        }
        Ok(())
    }

    /// Opens a window of `values` slots, all NULL, and of `states` states.
    #[inline]
    pub(crate) fn enter(&mut self, values: usize, states: usize) -> Window {
        self.enter_with(&[], values, values, states)
    }

    /// Opens a window whose first slots have values. The slots up to `clear` are NULL then, those behind it undefined: for
    /// what writes each of them before it reads it.
    #[inline(always)]
    pub(crate) fn enter_with(
        &mut self,
        first: &[Value],
        clear: usize,
        values: usize,
        states: usize,
    ) -> Window {
        debug_assert!(first.len() <= values && clear <= values, "a slot a value");
        let mut frame = self.stack.windows.pop().unwrap_or_default();
        if frame.len() < values {
            lengthen(&mut frame, values);
        }
        for (number, value) in first.iter().enumerate() {
            put(&mut frame[number], value.clone());
        }
        for slot in frame.get_mut(first.len()..clear).unwrap_or_default() {
            put(slot, Value::Null);
        }
        let window = Window {
            frame: ManuallyDrop::new(std::mem::replace(&mut self.frame, frame)),
            values,
            state_base: self.state_base,
            states: self.stack.states.len(),
        };
        self.state_base = window.states;
        if states > 0 {
            self.stack.states.resize(window.states + states, State::Empty);
        }
        window
    }

    /// Closes a window.
    #[inline(always)]
    pub(crate) fn leave(&mut self, window: Window) {
        if self.stack.states.len() > window.states {
            self.stack.states.truncate(window.states);
        }
        self.state_base = window.state_base;
        let mut frame = std::mem::replace(&mut self.frame, ManuallyDrop::into_inner(window.frame));
        for value in frame.get_mut(..window.values).unwrap_or_default() {
            if !value.is_plain() {
                *value = Value::Null;
            }
        }
        self.stack.windows.push(frame);
    }

    /// The value in a slot.
    #[inline]
    pub(crate) fn get(&self, slot: usize) -> &Value {
        &self.frame[slot]
    }

    /// A copy of the value in a slot.
    #[inline]
    pub(crate) fn copy(&self, slot: usize) -> Value {
        self.get(slot).clone()
    }

    /// Copies the value of a slot into another.
    #[inline(always)]
    pub(crate) fn copy_to(&mut self, from: usize, to: usize) {
        let frame = &mut self.frame[..];
        if frame[from].is_plain() && frame[to].is_plain() {
            let value = frame[from].clone();
            std::mem::forget(std::mem::replace(&mut frame[to], value));
        } else {
            copy_slowly(frame, from, to);
        }
    }

    /// Puts a value into a slot.
    #[inline(always)]
    pub(crate) fn set(&mut self, slot: usize, value: Value) {
        put(&mut self.frame[slot], value);
    }

    /// Takes the value out of a slot, leaving NULL.
    #[inline]
    pub(crate) fn take(&mut self, slot: usize) -> Value {
        std::mem::take(&mut self.frame[slot])
    }

    /// Some slots in a row.
    #[inline]
    pub(crate) fn slots(&self, first: usize, count: usize) -> &[Value] {
        &self.frame[first..first + count]
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
            put(&mut self.frame[*slot], value.clone());
        }
    }

    /// Appends the values of slots.
    #[inline]
    pub(crate) fn gather(&self, slots: &[usize], out: &mut Vec<Value>) {
        out.extend(slots.iter().map(|slot| self.frame[*slot].clone()));
    }

    /// Makes slots NULL.
    pub(crate) fn clear(&mut self, slots: &[usize]) {
        for slot in slots {
            self.frame[*slot] = Value::Null;
        }
    }

    /// Reads columns of a row into slots.
    #[inline]
    pub(crate) fn read_row(&mut self, row: RowRef, columns: &[(usize, usize)]) {
        if columns.is_empty() {
            return;
        }
        let view = self.tx.fragment_of(row).row(row.row);
        let frame = &mut self.frame[..];
        for (column, slot) in columns {
            let value = match view {
                Some(view) => view.value(*column),
                None => Value::Null,
            };
            put(&mut frame[*slot], value);
        }
    }

    /// Looks at the next row of a bucket that passes the constant tests: where its integers compare as they should, its
    /// columns are read into slots.
    #[inline(always)]
    pub(crate) fn look_at_next(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        from: &mut u64,
        tests: &Compared,
        columns: &[(usize, usize)],
    ) -> Run<Looked> {
        let Some((row, view)) = self.tx.next_match(access, bucket, from, &tests.fixed)? else {
            return Ok(Looked::End);
        };
        for (column, comparison, slot) in &tests.numbers {
            // A NULL on either side compares as nothing does.
            let (Some(left), Some(right)) = (view.integer(*column), self.frame[*slot].as_i64()) else {
                return Ok(Looked::Over);
            };
            if !holds(*comparison, left.cmp(&right)) {
                return Ok(Looked::Over);
            }
        }
        for (column, slot) in columns {
            put(&mut self.frame[*slot], view.value(*column));
        }
        Ok(Looked::At(row))
    }

    /// The transaction together with slots that follow each other, for writes.
    #[inline(always)]
    pub(crate) fn tx_and_slots(&mut self, first: usize, count: usize) -> (&mut Transaction<'n>, &[Value]) {
        (&mut *self.tx, &self.frame[first..first + count])
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
        empty(&mut buffer);
        self.stack.spare.push(buffer);
    }

    /// Stops when the client cancelled or the statement ran out of time; called at every loop edge.
    #[inline]
    pub(crate) fn check_interrupts(&self) -> Run<()> {
        self.services.check_interrupts()
    }
}

/// Replaces a value, without a call to drop what needs no drop.
#[inline(always)]
pub(crate) fn put(place: &mut Value, value: Value) {
    if place.is_plain() {
        std::mem::forget(std::mem::replace(place, value));
    } else {
        put_slowly(place, value);
    }
}

/// Not inlined: the drop that may panic would keep the new value in memory on the way that has none.
#[inline(never)]
fn put_slowly(place: &mut Value, value: Value) {
    *place = value;
}

#[cold]
fn lengthen(frame: &mut Box<[Value]>, values: usize) {
    let mut slots = std::mem::take(frame).into_vec();
    slots.resize(values, Value::Null);
    *frame = slots.into();
}

/// Drops a value, without a call for what needs no drop.
#[inline]
pub(crate) fn discard(value: Value) {
    if value.is_plain() {
        std::mem::forget(value);
    }
}

/// Copies a value within a window where it or what it replaces owns something.
#[inline(never)]
fn copy_slowly(frame: &mut [Value], from: usize, to: usize) {
    frame[to] = frame[from].clone();
}

/// Drops all values, without a call for what needs no drop.
#[inline]
fn empty(values: &mut Vec<Value>) {
    for value in values.iter_mut() {
        if !value.is_plain() {
            *value = Value::Null;
        }
    }
    // SAFETY: all values are plain now: they need no drop.
    unsafe { values.set_len(0) };
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
