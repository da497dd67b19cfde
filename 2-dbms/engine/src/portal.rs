//! Cursors: results that a session reads in parts, by FETCH and MOVE of SQL and of PL/pgSQL.
//!
//! A cursor's rows are computed whole when it is opened, as of that moment, so it neither sees later changes nor
//! holds up anybody. What a run does to cursors is taken back when the run fails or starts over ([`Portals::end_run`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::TableId;
use tuplix_sql::plan::{CursorMove, CursorPlaces, CursorTable, OutputColumn};
use tuplix_types::{Result, SqlError, SqlState, Value, sqlstate};

use crate::exec::RowSet;
use crate::layout::{Layout, TableAccess};

/// 42P03
const DUPLICATE_CURSOR: SqlState = SqlState(*b"42P03");

/// A cursor.
#[derive(Clone, Debug)]
pub(crate) struct Portal {
    pub columns: Arc<[OutputColumn]>,
    pub rows: Arc<RowSet>,
    /// Which rows of tables each row was made of.
    places: Arc<Places>,
    /// A loop of PL/pgSQL runs over it.
    pinned: bool,
    /// Rows before and at the cursor: 0 is before the first row, one more than there are rows after the last.
    position: usize,
    /// NO SCROLL: only forwards.
    pub forward_only: bool,
    /// WITH HOLD: lives on after its transaction.
    pub hold: bool,
    /// The query, for `pg_cursors`.
    pub text: String,
    /// When it was opened, `timestamptz` microseconds.
    pub created_us: i64,
    /// Opened in the transaction under way, as the so-many-th.
    created: Option<u64>,
}

/// What WHERE CURRENT OF asks of a cursor.
#[derive(Debug, Default)]
pub(crate) struct Places {
    locked: bool,
    /// The tables, each with its slot when the cursor was opened.
    tables: Vec<(CursorTable, Option<u32>)>,
    /// For each row a place in each table.
    rows: RowSet,
}

/// The row of a table that a cursor stands on.
pub(crate) struct CurrentRow {
    /// The value of [`tuplix_sql::plan::ExprKind::Place`].
    pub value: Value,
    /// The columns whose values are in it.
    pub keys: Vec<usize>,
    /// They are a key.
    pub unique: bool,
}

impl Places {
    /// Takes the columns that say which rows they are away from a cursor's rows.
    pub(crate) fn split(places: &CursorPlaces, rows: RowSet, layout: &Layout) -> (RowSet, Places) {
        let slot = |table: TableId| layout.table(table).map(|access| access.slot);
        let tables = places.tables.iter().map(|table| (table.clone(), slot(table.table))).collect();
        let (mut shown, mut hidden) = (RowSet::new(places.visible), RowSet::new(places.tables.len()));
        if places.tables.is_empty() {
            return (rows, Places { locked: places.locked, tables, rows: hidden });
        }
        (shown.len, hidden.len) = (rows.len, rows.len);
        for (number, value) in rows.values.into_iter().enumerate() {
            let visible = number % rows.width < places.visible;
            if visible { shown.values.push(value) } else { hidden.values.push(value) }
        }
        (shown, Places { locked: places.locked, tables, rows: hidden })
    }
}

/// The cursors of a session.
#[derive(Debug, Default)]
pub(crate) struct Portals {
    open: BTreeMap<String, Portal>,
    /// What was there before the run under way changed something.
    before_run: Option<BTreeMap<String, Portal>>,
    next: u64,
}

/// What a new cursor is made of.
pub(crate) struct NewPortal {
    pub columns: Arc<[OutputColumn]>,
    pub rows: RowSet,
    pub places: Places,
    pub scroll: Option<bool>,
    pub hold: bool,
    pub text: String,
    pub created_us: i64,
}

impl Portals {
    fn changing(&mut self) {
        if self.before_run.is_none() {
            self.before_run = Some(self.open.clone());
        }
    }

    /// Opens a cursor.
    pub(crate) fn open(&mut self, name: &str, new: NewPortal) -> Result<()> {
        self.check_free(name)?;
        self.changing();
        let NewPortal { columns, rows, places, scroll, hold, text, created_us } = new;
        self.next += 1;
        let portal = Portal {
            columns,
            rows: Arc::new(rows),
            places: Arc::new(places),
            pinned: false,
            position: 0,
            forward_only: scroll == Some(false),
            hold,
            text,
            created_us,
            created: Some(self.next),
        };
        self.open.insert(name.to_owned(), portal);
        Ok(())
    }

    /// 42P03 when a name is taken.
    pub(crate) fn check_free(&self, name: &str) -> Result<()> {
        if !self.open.contains_key(name) {
            return Ok(());
        }
        Err(SqlError::new(DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")))
    }

    /// A name that no cursor has.
    pub(crate) fn unnamed(&mut self) -> String {
        self.next += 1;
        format!("<unnamed portal {}>", self.next)
    }

    /// The cursor of a name.
    pub(crate) fn get(&self, name: &str) -> Result<&Portal> {
        self.open.get(name).ok_or_else(|| no_such_cursor(name))
    }

    /// All cursors by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Portal)> {
        self.open.iter()
    }

    /// Moves a cursor and gives the rows that it passes, `None` for one that it only jumps to or finds missing.
    pub(crate) fn fetch(&mut self, name: &str, by: CursorMove) -> Result<(Arc<RowSet>, Vec<usize>)> {
        self.get(name)?;
        self.changing();
        let portal = self.open.get_mut(name).ok_or_else(|| no_such_cursor(name))?;
        let rows = portal.advance(by)?;
        Ok((portal.rows.clone(), rows))
    }

    /// CLOSE
    pub(crate) fn close(&mut self, name: &str) -> Result<()> {
        if self.get(name)?.pinned {
            let message = format!("cannot drop pinned portal \"{name}\"");
            return Err(SqlError::new(sqlstate::INVALID_CURSOR_STATE, message));
        }
        self.changing();
        self.open.remove(name);
        Ok(())
    }

    /// A loop runs over the cursor, which nobody may close.
    pub(crate) fn pin(&mut self, name: &str, pinned: bool) {
        if let Some(portal) = self.open.get_mut(name) {
            portal.pinned = pinned;
        }
    }

    /// CLOSE ALL
    pub(crate) fn close_all(&mut self) {
        self.changing();
        self.open.clear();
    }

    /// A run has ended: when it failed, it has done nothing to cursors.
    #[inline]
    pub(crate) fn end_run(&mut self, succeeded: bool) {
        if self.before_run.is_some() {
            let before = self.before_run.take().unwrap_or_default();
            if !succeeded {
                self.open = before;
            }
        }
    }

    /// A transaction has ended: cursors that it opened are gone, but for those WITH HOLD when it committed.
    #[inline]
    pub(crate) fn end_transaction(&mut self, committed: bool) {
        if !self.open.is_empty() {
            self.close_those_of_transaction(committed);
        }
    }

    #[cold]
    fn close_those_of_transaction(&mut self, committed: bool) {
        self.open.retain(|_, portal| portal.created.is_none() || (committed && portal.hold));
        self.open.values_mut().for_each(|portal| portal.created = None);
    }

    /// How many have been opened so far, for a savepoint.
    pub(crate) fn mark(&self) -> u64 {
        self.next
    }

    /// ROLLBACK TO: what was opened since the savepoint is gone.
    pub(crate) fn rollback_to(&mut self, mark: u64) {
        self.open.retain(|_, portal| portal.created.is_none_or(|created| created <= mark));
    }
}

impl Portal {
    /// Moves, and gives the numbers of the rows met (`PortalRunFetch`).
    fn advance(&mut self, by: CursorMove) -> Result<Vec<usize>> {
        let len = self.rows.len;
        match by {
            CursorMove::Forward(None) => self.forward(usize::MAX),
            CursorMove::Backward(None) => self.backward(usize::MAX),
            CursorMove::Forward(Some(0)) | CursorMove::Backward(Some(0)) => self.again(),
            CursorMove::Forward(Some(count)) if count > 0 => self.forward(count.unsigned_abs() as usize),
            CursorMove::Forward(Some(count)) => self.backward(count.unsigned_abs() as usize),
            CursorMove::Backward(Some(count)) if count > 0 => self.backward(count.unsigned_abs() as usize),
            CursorMove::Backward(Some(count)) => self.forward(count.unsigned_abs() as usize),
            CursorMove::Absolute(number) => {
                let place = match number {
                    0.. => usize::try_from(number).unwrap_or(usize::MAX).min(len + 1),
                    _ => (len + 1).saturating_sub(number.unsigned_abs() as usize),
                };
                self.jump(place)
            }
            CursorMove::Relative(0) => self.again(),
            CursorMove::Relative(count) => {
                let place = i128::from(self.position as u64) + i128::from(count);
                let place = usize::try_from(place.max(0)).unwrap_or(usize::MAX);
                self.jump(place.min(len + 1))
            }
        }
    }

    /// The row at the cursor once more, which is a step back.
    fn again(&self) -> Result<Vec<usize>> {
        let current = self.at_row();
        if !current.is_empty() {
            self.check_backward()?;
        }
        Ok(current)
    }

    /// The row of a table that the cursor stands on (`execCurrentOf`); `None` when an outer join has made it up.
    ///
    /// # Errors
    /// 24000 when the cursor's rows are not rows of the table, or it stands on none.
    pub(crate) fn current(&self, name: &str, access: &TableAccess) -> Result<Option<CurrentRow>> {
        let table = &access.table.name;
        let invalid =
            |what: String| SqlError::new(sqlstate::INVALID_CURSOR_STATE, format!("cursor \"{name}\" {what}"));
        if self.created.is_none() {
            return Err(invalid("is held from a previous transaction".to_owned()));
        }
        let Places { locked, tables, rows } = &*self.places;
        let mut found = tables.iter().enumerate().filter(|(_, (known, _))| known.table == access.table.id);
        let (at, (known, slot)) = match (found.next(), found.next()) {
            (Some(found), None) => found,
            (Some(_), Some(_)) => {
                return Err(invalid(format!(
                    "has multiple FOR UPDATE/SHARE references to table \"{table}\""
                )));
            }
            (None, _) if *locked => {
                return Err(invalid(format!(
                    "does not have a FOR UPDATE/SHARE reference to table \"{table}\""
                )));
            }
            (None, _) => return Err(invalid(format!("is not a simply updatable scan of table \"{table}\""))),
        };
        let Some(number) = self.at_row().first().copied() else {
            return Err(invalid("is not positioned on a row".to_owned()));
        };
        if *slot != Some(access.slot) {
            let message =
                format!("the rows of table \"{table}\" were rebuilt since cursor \"{name}\" was opened");
            return Err(SqlError::new(sqlstate::OBJECT_IN_USE, message).hint("Open the cursor once more."));
        }
        let value = rows.row(number)[at].clone();
        let row = CurrentRow { keys: known.keys.clone(), unique: known.unique, value };
        Ok((!row.value.is_null()).then_some(row))
    }

    fn at_row(&self) -> Vec<usize> {
        (1..=self.rows.len).contains(&self.position).then(|| self.position - 1).into_iter().collect()
    }

    fn jump(&mut self, place: usize) -> Result<Vec<usize>> {
        if place < self.position {
            self.check_backward()?;
        }
        self.position = place;
        Ok(self.at_row())
    }

    fn forward(&mut self, count: usize) -> Result<Vec<usize>> {
        let len = self.rows.len;
        let first = self.position.min(len);
        let last = first.saturating_add(count).min(len);
        self.position = if last - first < count { len + 1 } else { last };
        Ok((first..last).collect())
    }

    fn backward(&mut self, count: usize) -> Result<Vec<usize>> {
        self.check_backward()?;
        let end = self.position.saturating_sub(1).min(self.rows.len);
        let start = end.saturating_sub(count);
        self.position = if end - start < count { 0 } else { start + 1 };
        Ok((start..end).rev().collect())
    }

    fn check_backward(&self) -> Result<()> {
        if !self.forward_only {
            return Ok(());
        }
        let message = "cursor can only scan forward";
        Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint("Declare it with SCROLL option to enable backward scan."))
    }
}

/// 34000
pub(crate) fn no_such_cursor(name: &str) -> SqlError {
    SqlError::new(sqlstate::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn portal(rows: usize, scroll: Option<bool>) -> Portals {
        let mut portals = Portals::default();
        let rows = RowSet { width: 0, values: Vec::new(), len: rows };
        let (columns, text) = (Arc::default(), String::new());
        let places = Places::default();
        portals
            .open("c", NewPortal { columns, rows, places, scroll, hold: false, text, created_us: 0 })
            .unwrap();
        portals
    }

    fn fetch(portals: &mut Portals, by: CursorMove) -> Vec<usize> {
        portals.fetch("c", by).unwrap().1
    }

    #[test]
    fn moves_as_postgresql_does() {
        use CursorMove::{Absolute, Backward, Forward, Relative};
        let mut c = portal(3, None);
        let steps: &[(CursorMove, &[usize])] = &[
            (Backward(Some(1)), &[]),
            (Forward(Some(2)), &[0, 1]),
            (Forward(Some(0)), &[1]),
            (Forward(Some(1)), &[2]),
            (Forward(Some(1)), &[]),
            (Forward(Some(0)), &[]),
            (Backward(Some(2)), &[2, 1]),
            (Forward(Some(-1)), &[0]),
            (Backward(Some(-5)), &[1, 2]),
            (Absolute(-3), &[0]),
            (Absolute(-4), &[]),
            (Relative(2), &[1]),
            (Relative(i64::MAX), &[]),
            (Relative(-1), &[2]),
            (Relative(i64::MIN), &[]),
            (Forward(None), &[0, 1, 2]),
            (Backward(None), &[2, 1, 0]),
            (Absolute(i64::MAX), &[]),
            (Absolute(i64::MIN), &[]),
        ];
        for (by, expected) in steps {
            assert_eq!(fetch(&mut c, *by), *expected, "{by:?}");
        }
    }

    #[test]
    fn no_scroll_goes_forward_only() {
        let mut c = portal(2, Some(false));
        assert_eq!(fetch(&mut c, CursorMove::Absolute(2)), [1]);
        assert_eq!(c.fetch("c", CursorMove::Absolute(1)).unwrap_err().sqlstate().as_str(), "55000");
        assert_eq!(c.fetch("c", CursorMove::Relative(0)).unwrap_err().sqlstate().as_str(), "55000");
    }

    #[test]
    fn a_failed_run_has_done_nothing() {
        let mut c = portal(2, None);
        c.end_run(true);
        fetch(&mut c, CursorMove::Forward(Some(1)));
        c.close("c").unwrap();
        c.end_run(false);
        assert_eq!(fetch(&mut c, CursorMove::Forward(Some(1))), [0]);
        c.end_run(true);
        c.end_transaction(true);
        assert_eq!(c.get("c").unwrap_err().sqlstate().as_str(), "34000");
    }
}
