//! Changing rows, in place or in the overlay, with unique constraints and locks.

use tuplix_catalog::{IndexDef, OnCommit};
use tuplix_sql::plan::{LockStrength, LockWait};
use tuplix_storage::{Refused, RowId};
use tuplix_types::{SqlError, Value, sqlstate};

use super::{RestartCause, RowRef, Transaction, Undo, bucket_of_value};
use crate::layout::{Domain, Placement, TableAccess};
use crate::lock_table::{LockKey, TransactionId};
use crate::redo;
use crate::session_locks::SessionLock;
use crate::stop::{Run, Stop};

/// What follows from which columns a change assigns; found once, when the statement is compiled.
#[derive(Clone, Debug)]
pub struct Effects {
    /// The columns of its redo.
    logged: Vec<u16>,
    /// A column of a unique index is among them.
    keys: bool,
    /// The distribution column is among them.
    bucket: bool,
}

impl Effects {
    /// The effects of changing these columns.
    pub fn of(access: &TableAccess, columns: &[usize]) -> Effects {
        let plain = access.table.indexes.iter().filter(|index| index.unique && index.is_plain());
        let mut keys = plain.flat_map(|index| &index.columns);
        let computed = access.computed.iter().flatten();
        let mut computed = computed.filter(|keys| columns.iter().any(|column| keys.reads(*column)));
        Effects {
            logged: redo::update_columns(access, columns.iter().copied()),
            keys: keys.any(|key| columns.contains(&key.column)) || computed.next().is_some(),
            bucket: matches!(access.placement, Placement::Hash { column } if columns.contains(&column)),
        }
    }
}

impl Effects {
    /// What locks such a change respects and takes: foreign keys to the row do not mind it while its keys stay.
    #[inline]
    fn strength(&self) -> LockStrength {
        if self.keys { LockStrength::Update } else { LockStrength::NoKeyUpdate }
    }
}

impl Transaction<'_> {
    /// Adds a row: values of all columns in order. NOT NULL and CHECK are the caller's.
    ///
    /// # Errors
    /// 23505 when a unique constraint has the key already; 23502 for a NULL distribution column.
    pub fn insert(&mut self, access: &TableAccess, values: &[Value]) -> Run<RowRef> {
        if access.temporary {
            self.begin_temporary(access)?;
        } else {
            self.refuse_read_only("INSERT")?;
        }
        let bucket = self.bucket_of_row(access, values)?;
        let held = self.place_for_write(access, bucket)?;
        if self.node.memory().is_full() {
            self.refuse_grown(held, access, bucket, values)?;
        }
        if access.computed.is_empty() && !self.is_interactive() && self.no_locks(held) {
            return self.insert_in_place(held, access, bucket, values);
        }
        self.insert_beside_others(held, access, bucket, values)
    }

    /// Adds a row where others may have locked its keys.
    #[inline(never)]
    fn insert_beside_others(
        &mut self,
        held: u16,
        access: &TableAccess,
        bucket: u16,
        values: &[Value],
    ) -> Run<RowRef> {
        self.check_unique(held, access, bucket, values)?;
        if self.is_interactive() {
            return self.insert_private(held, access, bucket, values);
        }
        let fragment = self.held.get_mut(held).fragment_mut(access.slot, bucket);
        let row = fragment.insert(values).map_err(SqlError::from)?;
        Ok(self.inserted(held, access, bucket, row, values))
    }

    /// Adds a row whose keys nobody can have locked, all of them of columns.
    #[inline]
    fn insert_in_place(
        &mut self,
        held: u16,
        access: &TableAccess,
        bucket: u16,
        values: &[Value],
    ) -> Run<RowRef> {
        let fragment = self.held.get_mut(held).fragment_mut(access.slot, bucket);
        match fragment.insert_unless_taken(values) {
            Ok(row) => Ok(self.inserted(held, access, bucket, row, values)),
            Err(Refused::Taken { index, .. }) => {
                Err(self.conflict_error(access, &access.table.indexes[index], values))
            }
            Err(Refused::Full(full)) => Err(SqlError::from(full).into()),
        }
    }

    /// Notes that a row came.
    #[inline]
    fn inserted(
        &mut self,
        held: u16,
        access: &TableAccess,
        bucket: u16,
        row: RowId,
        values: &[Value],
    ) -> RowRef {
        if self.logs && !access.temporary {
            redo::insert(&mut self.scratch.redo, access.table.id, bucket, row, values);
        }
        let row = RowRef { slot: access.slot, bucket, held, private: false, row };
        self.scratch.undo.push(Undo::Inserted(row));
        row
    }

    /// Checks each unique index, and that the expressions of all indexes can be computed.
    fn check_unique(&mut self, held: u16, access: &TableAccess, bucket: u16, values: &[Value]) -> Run<()> {
        for (number, index) in access.table.indexes.iter().enumerate() {
            if !index.unique {
                // An expression that fails is found before the row is there.
                if let Some(Some(keys)) = access.computed.get(number) {
                    keys.key_of(values)?;
                }
                continue;
            }
            if self.conflicting(held, access, bucket, number, index, values, None)?.is_some() {
                return Err(self.conflict_error(access, index, values));
            }
        }
        Ok(())
    }

    /// Rows that go when the transaction ends are never in place: they stay in an overlay.
    #[cold]
    fn begin_temporary(&mut self, access: &TableAccess) -> Run<()> {
        if access.table.temporary == Some(OnCommit::Delete) && !self.is_interactive() {
            self.cause = RestartCause::NeedsBlock;
            return Err(Stop::Restart);
        }
        Ok(())
    }

    #[inline(always)]
    fn bucket_of_row(&self, access: &TableAccess, values: &[Value]) -> Run<u16> {
        let Placement::Hash { column } = access.placement else { return Ok(0) };
        if values[column].is_null() {
            return Err(no_bucket(access, column));
        }
        Ok(bucket_of_value(access, &values[column]))
    }

    /// A row that has the key that `values` would have in unique index number `index`, or in any unique index.
    pub fn find_conflict(
        &mut self,
        access: &TableAccess,
        values: &[Value],
        index: Option<usize>,
    ) -> Run<Option<RowRef>> {
        let bucket = self.bucket_of_row(access, values)?;
        let held = self.place_for_write(access, bucket)?;
        for (number, definition) in access.table.indexes.iter().enumerate() {
            if definition.unique && index.is_none_or(|index| index == number) {
                let found = self.conflicting(held, access, bucket, number, definition, values, None)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// The row in the way of `values` in one unique index. Waits (by restart) when whether it is in the way
    /// depends on somebody else's interactive transaction.
    #[allow(clippy::too_many_arguments)]
    fn conflicting(
        &mut self,
        held: u16,
        access: &TableAccess,
        bucket: u16,
        number: usize,
        index: &IndexDef,
        values: &[Value],
        except: Option<RowRef>,
    ) -> Run<Option<RowRef>> {
        self.saw_key(held, None);
        if let Some(Some(keys)) = access.computed.get(number) {
            return match keys.key_of(values)?.filter(|key| !key.iter().any(Value::is_null)) {
                Some(key) => self.conflicting_key(held, access, bucket, number, &key, except),
                None => Ok(None),
            };
        }
        if self.no_locks(held) && !self.is_interactive() {
            let fragment = self.domain_state(held).fragment(access.slot, bucket);
            let except = except.map(|row| row.row);
            let found = fragment.and_then(|fragment| fragment.find_conflict(number, values, except));
            return Ok(found.map(|row| RowRef { slot: access.slot, bucket, held, private: false, row }));
        }
        let mut key = std::mem::take(&mut self.scratch.key);
        key.clear();
        let mut has_null = false;
        for column in &index.columns {
            let value = &values[column.column];
            has_null |= value.is_null();
            key.push(value.clone());
        }
        let outcome = if has_null {
            Ok(None)
        } else {
            self.conflicting_key(held, access, bucket, number, &key, except)
        };
        key.clear();
        self.scratch.key = key;
        outcome
    }

    fn conflicting_key(
        &mut self,
        held: u16,
        access: &TableAccess,
        bucket: u16,
        number: usize,
        key: &[Value],
        except: Option<RowRef>,
    ) -> Run<Option<RowRef>> {
        let found = self.find_key(held, access, bucket, number, key).filter(|found| Some(*found) != except);
        if let Some(found) = found.filter(|found| !found.private) {
            // Its holder may be about to delete it or change its key.
            self.wait_unless_free(held, row_lock(found), LockStrength::KeyShare)?;
        }
        let hash = crate::hash::of_values(key);
        let lock = LockKey::Key { slot: access.slot, bucket, index: number as u16, hash };
        self.wait_unless_free(held, lock, LockStrength::Update)?;
        Ok(found)
    }

    fn no_locks(&self, held: u16) -> bool {
        self.domain_state(held).locks.is_empty()
    }

    fn wait_unless_free(&mut self, held: u16, key: LockKey, strength: LockStrength) -> Run<()> {
        match self.domain_state(held).locks.conflict(&key, self.id(), strength) {
            Some(holder) => Err(self.restart_after(holder)),
            None => Ok(()),
        }
    }

    #[cold]
    fn conflict_error(&self, access: &TableAccess, index: &IndexDef, values: &[Value]) -> Stop {
        let (names, shown) = shown_key(access, index, values);
        SqlError::new(
            sqlstate::UNIQUE_VIOLATION,
            format!("duplicate key value violates unique constraint \"{}\"", index.name),
        )
        .detail(format!("Key ({})=({}) already exists.", names.join(", "), shown.join(", ")))
        .table(&access.table.schema, &access.table.name)
        .constraint(&index.name)
        .into()
    }

    /// Changes columns of a row, and gives the row as it is to be named from now on. `effects` are those of the
    /// changed columns.
    ///
    /// # Errors
    /// 23505; 0A000 when the change would move the row to another bucket.
    pub fn update(
        &mut self,
        access: &TableAccess,
        row: RowRef,
        changes: &[(usize, Value)],
        effects: &Effects,
    ) -> Run<RowRef> {
        if !access.temporary {
            self.refuse_read_only("UPDATE")?;
        }
        let row = self.place_row_for_write(access, row)?;
        if self.node.memory().is_full() {
            self.refuse_grown_by(row, changes)?;
        }
        if effects.bucket {
            self.refuse_move(access, row, changes)?;
        }
        if effects.keys {
            self.check_unique_after(access, row, changes)?;
            self.takes_keys = true;
        }
        if self.is_interactive() {
            return self.update_private(access, row, changes, effects.strength());
        }
        self.update_in_place(access, row, changes.iter().cloned(), effects)
    }

    /// As [`Transaction::update`], of columns with a value each: from their slots straight to where undo keeps the old ones.
    #[inline(always)]
    pub(crate) fn update_columns(
        &mut self,
        access: &TableAccess,
        row: RowRef,
        columns: &[usize],
        values: &[Value],
        effects: &Effects,
    ) -> Run<RowRef> {
        let simple =
            access.placement != Placement::Reference && !access.temporary && !effects.keys && !effects.bucket;
        if !simple || self.is_interactive() || self.node.memory().is_full() {
            return self.update_otherwise(access, row, columns, values, effects);
        }
        self.refuse_read_only("UPDATE")?;
        let changes = columns.iter().enumerate().map(|(number, column)| (*column, values[number].clone()));
        self.update_in_place(access, row, changes, effects)
    }

    #[inline(never)]
    fn update_otherwise(
        &mut self,
        access: &TableAccess,
        row: RowRef,
        columns: &[usize],
        values: &[Value],
        effects: &Effects,
    ) -> Run<RowRef> {
        let changes: Vec<(usize, Value)> = columns.iter().copied().zip(values.iter().cloned()).collect();
        self.update(access, row, &changes, effects)
    }

    #[inline(always)]
    fn update_in_place(
        &mut self,
        access: &TableAccess,
        row: RowRef,
        changes: impl Iterator<Item = (usize, Value)>,
        effects: &Effects,
    ) -> Run<RowRef> {
        self.wait_for_row(row, effects.strength())?;
        let first = self.scratch.undo_values.len();
        self.scratch.undo_values.extend(changes);
        self.exchange_in_place(access, row, first, effects);
        Ok(row)
    }

    /// Exchanges a row's values with those that undo keeps from `first` on, and notes it.
    #[inline(always)]
    fn exchange_in_place(&mut self, access: &TableAccess, row: RowRef, first: usize, effects: &Effects) {
        let logs = self.logs && !access.temporary;
        let Transaction { held, scratch, .. } = self;
        let super::Scratch { undo, undo_values, redo, .. } = &mut **scratch;
        let values = &mut undo_values[first..];
        let count = values.len() as u32;
        let fragment = held.get_mut(row.held).fragment_mut(row.slot, row.bucket);
        fragment.exchange_then(row.row, values, |view| {
            if logs {
                redo::update(redo, access, view, row, &effects.logged);
            }
        });
        undo.push(Undo::Updated { row, first: first as u32, count });
    }

    fn refuse_move(&self, access: &TableAccess, row: RowRef, changes: &[(usize, Value)]) -> Run<()> {
        let Placement::Hash { column } = access.placement else { return Ok(()) };
        let moved = changes.iter().find(|(changed, value)| {
            *changed == column && !tuplix_types::equal(value, &self.read(row, column))
        });
        match moved {
            None => Ok(()),
            Some(_) => {
                let message = "modifying the partition value of rows is not allowed";
                let hint = "Move a row with DELETE ... RETURNING and INSERT.";
                Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).hint(hint).into())
            }
        }
    }

    fn check_unique_after(
        &mut self,
        access: &TableAccess,
        row: RowRef,
        changes: &[(usize, Value)],
    ) -> Run<()> {
        for (number, index) in access.table.indexes.iter().enumerate() {
            let computed = access.computed.get(number).and_then(Option::as_ref);
            let touched = |(column, _): &(usize, Value)| match computed {
                Some(keys) => keys.reads(*column),
                None => index.columns.iter().any(|key| *column == key.column),
            };
            if !(index.unique || computed.is_some()) || !changes.iter().any(touched) {
                continue;
            }
            let mut values = self.read_row(row);
            for (column, value) in changes {
                values[*column] = value.clone();
            }
            if let (Some(keys), false) = (computed, index.unique) {
                keys.key_of(&values)?;
                continue;
            }
            let found = self.conflicting(row.held, access, row.bucket, number, index, &values, Some(row))?;
            if found.is_some() {
                return Err(self.conflict_error(access, index, &values));
            }
        }
        Ok(())
    }

    /// Deletes a row.
    pub fn delete(&mut self, access: &TableAccess, row: RowRef) -> Run<()> {
        if !access.temporary {
            self.refuse_read_only("DELETE")?;
        }
        let row = self.place_row_for_write(access, row)?;
        if self.is_interactive() {
            return self.delete_private(access, row);
        }
        self.wait_for_row(row, LockStrength::Update)?;
        let fragment = self.held.get_mut(row.held).fragment_mut(row.slot, row.bucket);
        if self.logs && !access.temporary {
            redo::delete(&mut self.scratch.redo, access, fragment, row);
        }
        fragment.delete(row.row);
        self.scratch.undo.push(Undo::Deleted(row));
        Ok(())
    }

    /// Waits (by restart) for whoever has locked the row.
    #[inline(always)]
    fn wait_for_row(&mut self, row: RowRef, strength: LockStrength) -> Run<()> {
        if self.no_locks(row.held) {
            return Ok(());
        }
        self.wait_unless_free(row.held, row_lock(row), strength)
    }

    /// FOR UPDATE and FOR SHARE. `None`: the row is locked and was to be skipped.
    ///
    /// A one-shot takes no lock, since nothing can come between its statements.
    ///
    /// # Errors
    /// 55P03 when the row is locked and waiting was refused.
    #[inline]
    pub fn lock_row(
        &mut self,
        access: &TableAccess,
        row: RowRef,
        strength: LockStrength,
        wait: LockWait,
    ) -> Run<Option<RowRef>> {
        // The locks of a reference table are looked at under its own latch only.
        let reference = access.placement == Placement::Reference;
        if row.private || (!reference && self.no_locks(row.held) && !self.is_interactive()) {
            return Ok(Some(row));
        }
        self.lock_row_slowly(access, row, strength, wait)
    }

    fn lock_row_slowly(
        &mut self,
        access: &TableAccess,
        row: RowRef,
        strength: LockStrength,
        wait: LockWait,
    ) -> Run<Option<RowRef>> {
        if access.placement == Placement::Reference {
            self.hold_all()?;
        }
        let row = RowRef { held: self.place(access, row.bucket)?, ..row };
        let holder = self.domain_state(row.held).locks.conflict(&row_lock(row), self.id(), strength);
        match (holder, wait) {
            (Some(_), LockWait::Skip) => Ok(None),
            (Some(_), LockWait::Error) => {
                let message = format!("could not obtain lock on row in relation \"{}\"", access.table.name);
                Err(SqlError::new(sqlstate::LOCK_NOT_AVAILABLE, message).into())
            }
            (Some(holder), LockWait::Block) => Err(self.restart_after(holder)),
            (None, _) => {
                self.lock_table(row.held, access);
                self.take_lock(row.held, row_lock(row), strength);
                Ok(Some(row))
            }
        }
    }
}

impl Transaction<'_> {
    /// An advisory lock until the transaction ends; false when it was not to wait and somebody holds it.
    pub(crate) fn advisory_lock(
        &mut self,
        domain: Domain,
        key: LockKey,
        strength: LockStrength,
        waits: bool,
    ) -> Run<bool> {
        let held = self.hold(domain)?;
        match self.advisory_holder(held, &key, strength) {
            Some(holder) if waits => Err(self.restart_after(holder)),
            Some(_) => Ok(false),
            None => {
                self.take_lock(held, key, strength);
                Ok(true)
            }
        }
    }

    /// An advisory lock until the session gives it back; false when it was not to wait and somebody holds it.
    pub(crate) fn session_lock(
        &mut self,
        domain: Domain,
        key: LockKey,
        strength: LockStrength,
        waits: bool,
    ) -> Run<bool> {
        let services = self.services;
        let held = self.hold(domain)?;
        if services.session_locks.borrow_mut().take_again(key, strength) {
            return Ok(true);
        }
        match self.advisory_holder(held, &key, strength) {
            Some(holder) if waits => Err(self.restart_after(holder)),
            Some(_) => Ok(false),
            None => {
                let owner = self.node.waits.begin(services.session_id);
                self.held.get_mut(held).locks.acquire(key, owner, strength);
                services.session_locks.borrow_mut().add(SessionLock {
                    domain,
                    key,
                    strength,
                    owner,
                    count: 1,
                });
                Ok(true)
            }
        }
    }

    /// Another session that has the lock, by itself or for its transaction.
    fn advisory_holder(&self, held: u16, key: &LockKey, strength: LockStrength) -> Option<TransactionId> {
        let own = self.services.session_locks.borrow();
        let is_me = |holder| Some(holder) == self.id() || own.owns(holder);
        self.domain_state(held).locks.conflict_with_others(key, strength, is_me)
    }

    /// Frees locks of the session; their domains are latched.
    pub(crate) fn free_session_locks(&mut self, locks: &[SessionLock]) {
        for lock in locks {
            match self.held.position(lock.domain) {
                Some(held) => self.held.get_mut(held).locks.release(lock.key, lock.owner),
                None => panic!("{:?} of a lock is not latched", lock.domain),
            }
        }
        self.held.release();
    }
}

/// NULL in the distribution column.
#[cold]
fn no_bucket(access: &TableAccess, column: usize) -> Stop {
    let name = &access.table.columns[column].name;
    let message = "cannot perform an INSERT with NULL in the partition column";
    SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).column(name).into()
}

/// The key that a row has in an index; `None` when it has a NULL or the row is not in the index.
pub(super) fn index_key(
    access: &TableAccess,
    number: usize,
    index: &IndexDef,
    values: &[Value],
) -> Result<Option<Vec<Value>>, SqlError> {
    let key = match access.computed.get(number) {
        Some(Some(keys)) => keys.key_of(values)?,
        _ => Some(index.columns.iter().map(|column| values[column.column].clone()).collect()),
    };
    Ok(key.filter(|key: &Vec<Value>| !key.iter().any(Value::is_null)))
}

/// The parts of a key and its values, for messages.
pub(crate) fn shown_key(
    access: &TableAccess,
    index: &IndexDef,
    values: &[Value],
) -> (Vec<String>, Vec<String>) {
    let number = access.table.indexes.iter().position(|other| other.id == index.id);
    let keys = number.and_then(|number| access.computed.get(number)).and_then(Option::as_ref);
    let computed = keys.and_then(|keys| keys.key_of(values).ok().flatten());
    let mut parts = (Vec::new(), Vec::new());
    for (place, key) in index.columns.iter().enumerate() {
        let column = access.table.columns.get(key.column);
        let expression = keys.and_then(|keys| keys.expression_type(place)).zip(key.expression.as_ref());
        let (name, ty) = match (expression, column) {
            (Some((ty, expression)), _) => (expression.clone(), ty),
            (None, Some(column)) => (column.name.clone(), column.ty),
            (None, None) => continue,
        };
        let value = computed.as_ref().map_or_else(|| &values[key.column], |key| &key[place]);
        parts.0.push(name);
        parts.1.push(crate::text::show(ty, value));
    }
    parts
}

/// The lock of a committed row.
pub(super) fn row_lock(row: RowRef) -> LockKey {
    LockKey::Row { slot: row.slot, bucket: row.bucket, row: row.row }
}
