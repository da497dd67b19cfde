//! What waits for the end of a statement: checks and actions of foreign keys, AFTER triggers.
//!
//! Events are in the order of the changes that made them. The statement that began the queue works it off when it has
//! ended ([`Fire`]); the statements of a foreign key's actions append theirs to the same queue, those of a trigger's
//! function have a queue of their own, as in PostgreSQL (`AfterTriggerBeginQuery`).

use std::sync::Arc;

use tuplix_catalog::TriggerEvent;
use tuplix_types::Value;

use super::explain::Explain;
use super::frame::{Exec, Flow};
use super::hooks::AfterHooks;
use super::rows::{Next, Rows, RowsBox};
use super::sort::SortColumn;
use crate::stop::Run;

/// The rows of an event and what of the hooks they set off, as sets of numbers.
pub(crate) struct Rows2 {
    pub old: Option<Arc<[Value]>>,
    pub new: Option<Arc<[Value]>>,
    pub references: u64,
    pub referrers: u64,
    pub triggers: u64,
}

/// A change that has consequences.
pub(crate) struct Event {
    pub hooks: Arc<AfterHooks>,
    pub event: TriggerEvent,
    /// Which statement made it: rows of one statement share their transition tables.
    pub statement: u64,
    /// The row; `None` stands for the whole statement.
    pub rows: Option<Rows2>,
}

impl Event {
    /// The end of a statement.
    pub(crate) fn of_statement(hooks: Arc<AfterHooks>, event: TriggerEvent, statement: u64) -> Event {
        Event { hooks, event, statement, rows: None }
    }
}

/// The queue of a run.
#[derive(Default)]
pub(crate) struct Events {
    queue: Vec<Event>,
    /// The number of the statement under way.
    pub statement: u64,
    /// The last number given.
    last_statement: u64,
    /// Statements leave their events to the one around them.
    pub holds: bool,
}

impl Events {
    /// Begins a statement; gives the number of the one around it, to be put back.
    pub(crate) fn enter(&mut self) -> u64 {
        self.last_statement += 1;
        std::mem::replace(&mut self.statement, self.last_statement)
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.queue.push(event);
    }

    /// Rows of one change for its transition tables.
    pub(crate) fn transition(
        &self,
        of: &AfterHooks,
        kind: TriggerEvent,
        statement: u64,
        new: bool,
    ) -> Vec<Arc<[Value]>> {
        let table = of.access.table.id;
        let same = self.queue.iter().filter(|event| {
            event.statement == statement && event.event == kind && event.hooks.access.table.id == table
        });
        let side = |event: &Event| {
            let rows = event.rows.as_ref()?;
            if new { rows.new.clone() } else { rows.old.clone() }
        };
        same.filter_map(side).collect()
    }
}

/// A statement whose changes have consequences.
pub(crate) struct Fire {
    source: RowsBox,
}

impl Fire {
    /// Around the statement's own code.
    pub(crate) fn around(source: RowsBox) -> RowsBox {
        Box::new(Fire { source })
    }
}

impl Rows for Fire {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let base = exec.events.queue.len();
        let outcome = self.source.run(exec, next);
        if exec.events.holds && outcome.is_ok() {
            return outcome;
        }
        let affected = exec.affected;
        let outcome = outcome.and_then(|flow| work_off(exec, base).map(|()| flow));
        exec.events.queue.truncate(base);
        exec.affected = affected;
        outcome
    }

    fn run_first(
        &self,
        exec: &mut Exec<'_, '_>,
        order: &[SortColumn],
        saved: &[usize],
        next: &mut Next<'_>,
    ) -> Option<Run<Flow>> {
        self.source.run_first(exec, order, saved, next)
    }

    fn explain(&self, out: &mut Explain) {
        self.source.explain(out);
    }
}

fn work_off(exec: &mut Exec<'_, '_>, base: usize) -> Run<()> {
    let mut place = base;
    while place < exec.events.queue.len() {
        let event = &exec.events.queue[place];
        let (hooks, kind, statement) = (event.hooks.clone(), event.event, event.statement);
        place += 1;
        let Some(rows) = &event.rows else {
            for call in &hooks.statement {
                call.after(exec, kind, (None, None), &hooks, statement)?;
            }
            continue;
        };
        let (old, new) = (rows.old.clone(), rows.new.clone());
        let (references, referrers, triggers) = (rows.references, rows.referrers, rows.triggers);
        let is_in = |set: u64| move |number: &usize| set >> number & 1 == 1;
        for number in (0..hooks.referrers.len()).filter(is_in(referrers)) {
            if let Some(old) = &old {
                hooks.referrers[number].act(exec, old, new.as_deref())?;
            }
        }
        for number in (0..hooks.references.len()).filter(is_in(references)) {
            if let Some(new) = &new {
                hooks.references[number].check(exec, new)?;
            }
        }
        for number in (0..hooks.rows.len()).filter(is_in(triggers)) {
            hooks.rows[number].after(exec, kind, (old.as_ref(), new.as_ref()), &hooks, statement)?;
        }
        exec.check_interrupts()?;
    }
    Ok(())
}
