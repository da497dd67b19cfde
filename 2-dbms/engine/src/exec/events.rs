//! What waits for the end of a statement: checks and actions of foreign keys, AFTER triggers.
//!
//! Events are in the order of the changes that made them. The statement that began the queue works it off when it has
//! ended ([`Fire`]); the statements of a foreign key's actions append theirs to the same queue, those of a trigger's
//! function have a queue of their own, as in PostgreSQL (`AfterTriggerBeginQuery`).

use std::sync::Arc;

use tuplix_catalog::{TableId, TriggerEvent};
use tuplix_types::Value;

use super::explain::Explain;
use super::frame::{Exec, Flow};
use super::hooks::AfterHooks;
use super::numbers::Numbers;
use super::rows::{Next, Rows, RowsBox};
use super::sort::SortColumn;
use crate::stop::{Run, Stop};

/// The rows of an event and what of the hooks they set off, as sets of numbers.
pub(crate) struct Rows2 {
    pub old: Option<Arc<[Value]>>,
    pub new: Option<Arc<[Value]>>,
    pub references: Numbers,
    pub referrers: Numbers,
    pub triggers: Numbers,
}

/// A change that has consequences.
pub(crate) struct Event {
    hooks: Arc<AfterHooks>,
    event: TriggerEvent,
    /// Whose rows are one transition table, see [`Group`].
    group: u64,
    /// The row; `None` stands for the end of a statement.
    rows: Option<Rows2>,
    /// A later statement of the group ends for this one too.
    is_void: bool,
}

/// What the statements that change one table in one way share in a queue, those of a foreign key's actions for
/// many rows above all: the triggers for the whole statement fire once, and see the rows of all of them
/// (`AfterTriggersTableData`).
struct Group {
    table: TableId,
    event: TriggerEvent,
    number: u64,
    /// BEFORE STATEMENT triggers have fired.
    has_begun: bool,
    /// Where in the queue the end of the statement lies.
    end: Option<usize>,
    /// A trigger has seen the rows: later ones are another table.
    is_closed: bool,
}

/// The queue of a run.
#[derive(Default)]
pub(crate) struct Events {
    queue: Vec<Event>,
    groups: Vec<Group>,
    /// Where the groups of the queue under way begin.
    level: usize,
    last_group: u64,
    /// Statements leave their events to the one around them.
    pub holds: bool,
}

impl Events {
    /// The group of a change, by its place.
    fn group(&mut self, table: TableId, event: TriggerEvent) -> usize {
        let open = |group: &Group| group.table == table && group.event == event && !group.is_closed;
        if let Some(place) = self.groups[self.level..].iter().position(open) {
            return self.level + place;
        }
        self.last_group += 1;
        let number = self.last_group;
        self.groups.push(Group { table, event, number, has_begun: false, end: None, is_closed: false });
        self.groups.len() - 1
    }

    /// Whether a statement has to fire its BEFORE STATEMENT triggers.
    pub(crate) fn begins(&mut self, table: TableId, event: TriggerEvent) -> bool {
        let place = self.group(table, event);
        !std::mem::replace(&mut self.groups[place].has_begun, true)
    }

    /// Appends the event of a row.
    pub(crate) fn push(&mut self, hooks: &Arc<AfterHooks>, event: TriggerEvent, rows: Rows2) {
        let place = self.group(hooks.access.table.id, event);
        let group = self.groups[place].number;
        self.queue.push(Event { hooks: hooks.clone(), event, group, rows: Some(rows), is_void: false });
    }

    /// Appends the end of a statement; it stands for the ends before it in the group.
    pub(crate) fn push_end(&mut self, hooks: &Arc<AfterHooks>, event: TriggerEvent) {
        let place = self.group(hooks.access.table.id, event);
        let group = &mut self.groups[place];
        if let Some(before) = group.end.replace(self.queue.len()).and_then(|end| self.queue.get_mut(end)) {
            before.is_void = true;
        }
        let group = group.number;
        self.queue.push(Event { hooks: hooks.clone(), event, group, rows: None, is_void: false });
    }

    /// Rows of a group for its transition tables.
    pub(crate) fn transition(&self, group: u64, new: bool) -> Vec<Arc<[Value]>> {
        let side = |event: &Event| {
            let rows = event.rows.as_ref()?;
            if new { rows.new.clone() } else { rows.old.clone() }
        };
        self.queue.iter().filter(|event| event.group == group).filter_map(side).collect()
    }

    /// A trigger has seen the rows of a group.
    pub(crate) fn close(&mut self, group: u64) {
        for group in self.groups.iter_mut().filter(|other| other.number == group) {
            group.is_closed = true;
        }
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
        if exec.events().holds {
            return self.source.run(exec, next);
        }
        let base = exec.events().queue.len();
        let groups = exec.events().groups.len();
        let level = std::mem::replace(&mut exec.events().level, groups);
        let outcome = self.source.run(exec, next);
        let affected = exec.affected;
        let outcome = outcome.and_then(|flow| work_off(exec, base).map(|()| flow));
        let groups = exec.events().level;
        exec.events().groups.truncate(groups);
        exec.events().level = level;
        exec.events().queue.truncate(base);
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
    while place < exec.events().queue.len() {
        let event = &exec.events().queue[place];
        let (hooks, kind, group, is_void) = (event.hooks.clone(), event.event, event.group, event.is_void);
        place += 1;
        let Some(rows) = &event.rows else {
            for call in hooks.statement.iter().filter(|_| !is_void) {
                call.after(exec, kind, (None, None), group)?;
            }
            continue;
        };
        let (old, new) = (rows.old.clone(), rows.new.clone());
        let (references, referrers) = (rows.references.clone(), rows.referrers.clone());
        let triggers = rows.triggers.clone();
        let fire = |exec: &mut Exec<'_, '_>, numbers: std::ops::Range<usize>| {
            for number in numbers.filter(|number| triggers.contains(*number)) {
                hooks.rows[number].after(exec, kind, (old.as_ref(), new.as_ref()), group)?;
            }
            Ok::<(), Stop>(())
        };
        fire(exec, 0..hooks.first_rows)?;
        for number in (0..hooks.referrers.len()).filter(|number| referrers.contains(*number)) {
            if let Some(old) = &old {
                hooks.referrers[number].act(exec, old, new.as_deref())?;
            }
        }
        for number in (0..hooks.references.len()).filter(|number| references.contains(*number)) {
            if let Some(new) = &new {
                hooks.references[number].check(exec, new)?;
            }
        }
        fire(exec, hooks.first_rows..hooks.rows.len())?;
        exec.check_interrupts()?;
    }
    Ok(())
}
