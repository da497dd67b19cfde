//! Foreign keys: whether a row's references exist, and what happens to those who refer to a row that goes.

use std::sync::Arc;

use tuplix_catalog::{ForeignKeyDef, ReferentialAction, TableDef, TableId};
use tuplix_sql::parser::quote_ident;
use tuplix_sql::plan::{LockStrength, LockWait};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::frame::Exec;
use crate::layout::{Layout, Placement, TableAccess};
use crate::stop::Run;
use crate::transaction::bucket_of_value;

/// The referenced table's index by number, and the key to look up there, for values of the referencing columns without
/// NULL. `None` when no row can have the key: it is out of the column's range.
pub(crate) fn parent_key(
    parent: &TableDef,
    key: &ForeignKeyDef,
    values: &[Value],
) -> Option<(usize, Vec<Value>)> {
    let number = parent.indexes.iter().position(|index| index.id == key.parent_index)?;
    let mut found = Vec::with_capacity(values.len());
    for part in &parent.indexes[number].columns {
        let place = key.parent_columns.iter().position(|column| *column == part.column)?;
        found.push(as_type(&values[place], parent.columns[part.column].ty)?);
    }
    Some((number, found))
}

/// A key's value as a value of the referenced column's type.
fn as_type(value: &Value, ty: TypeId) -> Option<Value> {
    match (ty, value.as_i64()) {
        (TypeId::INT2, Some(number)) => i16::try_from(number).ok().map(Value::Int2),
        (TypeId::INT4, Some(number)) => i32::try_from(number).ok().map(Value::Int4),
        (TypeId::INT8, Some(number)) => Some(Value::Int8(number)),
        (TypeId::NUMERIC, Some(number)) => Some(Value::Numeric(std::sync::Arc::new(number.into()))),
        _ => Some(value.clone()),
    }
}

/// The bucket in which a key of a unique index lies.
pub(crate) fn parent_bucket(parent: &TableAccess, index: usize, key: &[Value]) -> u16 {
    let Placement::Hash { column } = parent.placement else { return 0 };
    let place = parent.table.indexes[index].columns.iter().position(|part| part.column == column);
    place.map_or(0, |place| bucket_of_value(parent, &key[place]))
}

fn key_text(table: &TableDef, columns: &[usize], values: &[Value]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| table.columns[*column].name.as_str()).collect();
    let shown: Vec<String> = columns
        .iter()
        .zip(values)
        .map(|(column, value)| crate::text::show(table.columns[*column].ty, value))
        .collect();
    format!("Key ({})=({})", names.join(", "), shown.join(", "))
}

/// 23503 for a row whose referenced row does not exist.
pub(crate) fn child_error(table: &TableDef, key: &ForeignKeyDef, parent: &str, values: &[Value]) -> SqlError {
    let message = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        table.name, key.name
    );
    let detail = format!("{} is not present in table \"{parent}\".", key_text(table, &key.columns, values));
    SqlError::new(sqlstate::FOREIGN_KEY_VIOLATION, message)
        .detail(detail)
        .table(&table.schema, &table.name)
        .constraint(&key.name)
}

/// 23503 for a row of a MATCH FULL key that is NULL in part.
pub(crate) fn match_full_error(table: &TableDef, key: &ForeignKeyDef) -> SqlError {
    let message = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        table.name, key.name
    );
    SqlError::new(sqlstate::FOREIGN_KEY_VIOLATION, message)
        .detail("MATCH FULL does not allow mixing of null and nonnull key values.")
        .table(&table.schema, &table.name)
        .constraint(&key.name)
}

/// A foreign key of a table whose rows are inserted or updated.
pub(crate) struct Reference {
    child: Arc<TableDef>,
    key: Arc<ForeignKeyDef>,
    parent: TableAccess,
    /// Asks whether a row with the referencing values is still there.
    still_there: String,
    types: Vec<TypeId>,
}

impl Reference {
    pub(crate) fn new(layout: &Layout, child: &TableAccess, key: &ForeignKeyDef) -> Result<Reference> {
        let parent = layout.table(key.parent);
        let parent = parent.ok_or_else(|| SqlError::internal("a referenced table has no place"))?.clone();
        let types: Vec<TypeId> = key.columns.iter().map(|column| child.table.columns[*column].ty).collect();
        let still_there = format!(
            "SELECT 1 FROM {} x WHERE {} LIMIT 1",
            name_of(&child.table),
            // A key that is NULL in part is no match of any other, and still its row's.
            comparisons(
                &child.table,
                &key.columns,
                if key.match_full { "IS NOT DISTINCT FROM" } else { "=" }
            )
        );
        let key = Arc::new(key.clone());
        Ok(Reference { child: child.table.clone(), key, parent, still_there, types })
    }

    /// The constraint.
    pub(crate) fn key(&self) -> &ForeignKeyDef {
        &self.key
    }

    /// The same, to be kept.
    pub(super) fn shared_key(&self) -> Arc<ForeignKeyDef> {
        self.key.clone()
    }

    /// The table with the key.
    pub(super) fn child(&self) -> TableId {
        self.child.id
    }

    /// Whether a change has to be checked: the key is new.
    pub(crate) fn is_due(&self, old: Option<&[Value]>, new: &[Value]) -> bool {
        let changed =
            |column: &usize| old.is_none_or(|old| !tuplix_types::equal(&old[*column], &new[*column]));
        self.key.columns.iter().any(changed)
    }

    fn values(&self, row: &[Value]) -> Vec<Value> {
        self.key.columns.iter().map(|column| row[*column].clone()).collect()
    }

    /// Whether the referenced row is there now; it cannot go before this transaction ends then. A MATCH FULL key that
    /// is NULL in part refers to none.
    pub(crate) fn holds(&self, exec: &mut Exec<'_, '_>, row: &[Value]) -> Run<bool> {
        let values = self.values(row);
        let nulls = values.iter().filter(|value| value.is_null()).count();
        if nulls > 0 {
            return Ok(!self.key.match_full || nulls == values.len());
        }
        let Some((index, key)) = parent_key(&self.parent.table, &self.key, &values) else { return Ok(false) };
        let bucket = parent_bucket(&self.parent, index, &key);
        let Some(found) = exec.tx.lookup_unique(&self.parent, bucket, index, &key)? else { return Ok(false) };
        exec.tx.lock_row(&self.parent, found, LockStrength::KeyShare, LockWait::Block)?;
        Ok(true)
    }

    /// Checks a row whose referenced row was missing when it was written.
    ///
    /// # Errors
    /// 23503, unless the row itself has gone meanwhile.
    pub(crate) fn check(&self, exec: &mut Exec<'_, '_>, row: &[Value]) -> Run<()> {
        if self.holds(exec, row)? {
            return Ok(());
        }
        let values = self.values(row);
        if !any_row(exec, &self.still_there, &self.types, &values)? {
            return Ok(());
        }
        if values.iter().any(Value::is_null) {
            return Err(match_full_error(&self.child, &self.key).into());
        }
        Err(child_error(&self.child, &self.key, &self.parent.table.name, &values).into())
    }
}

/// A foreign key to a table whose rows are deleted or updated.
pub(crate) struct Referrer {
    parent: TableAccess,
    child: Arc<TableDef>,
    key: Arc<ForeignKeyDef>,
    types: Vec<TypeId>,
    /// Finds, and locks, a row that refers to a key.
    find: String,
    /// What ON DELETE and ON UPDATE run; empty for a mere check.
    on_delete: String,
    on_update: String,
}

impl Referrer {
    pub(crate) fn new(parent: &TableAccess, child: &Arc<TableDef>, key: &ForeignKeyDef) -> Referrer {
        let types: Vec<TypeId> =
            key.parent_columns.iter().map(|column| parent.table.columns[*column].ty).collect();
        let name = name_of(child);
        let matches = comparisons(child, &key.columns, "=");
        let set = |columns: &[usize], value: &dyn Fn(usize) -> String| {
            let one = |(place, column): (usize, &usize)| {
                format!("{} = {}", quote_ident(&child.columns[*column].name), value(place))
            };
            let list: Vec<String> = columns.iter().enumerate().map(one).collect();
            format!("UPDATE {name} x SET {} WHERE {matches}", list.join(", "))
        };
        let set_columns = if key.set_columns.is_empty() { &key.columns } else { &key.set_columns };
        let action = |action: ReferentialAction, on_delete: bool| match action {
            ReferentialAction::NoAction | ReferentialAction::Restrict => String::new(),
            ReferentialAction::Cascade if on_delete => format!("DELETE FROM {name} x WHERE {matches}"),
            // The new key follows the old one among the parameters.
            ReferentialAction::Cascade => set(&key.columns, &|place| format!("${}", types.len() + place + 1)),
            ReferentialAction::SetNull => {
                set(if on_delete { set_columns } else { &key.columns }, &|_| "NULL".to_owned())
            }
            ReferentialAction::SetDefault => {
                set(if on_delete { set_columns } else { &key.columns }, &|_| "DEFAULT".to_owned())
            }
        };
        Referrer {
            parent: parent.clone(),
            child: child.clone(),
            find: format!("SELECT 1 FROM {name} x WHERE {matches} LIMIT 1 FOR KEY SHARE OF x"),
            on_delete: action(key.on_delete, true),
            on_update: action(key.on_update, false),
            key: Arc::new(key.clone()),
            types,
        }
    }

    /// The constraint.
    pub(crate) fn key(&self) -> &ForeignKeyDef {
        &self.key
    }

    /// The same, to be kept.
    pub(super) fn shared_key(&self) -> Arc<ForeignKeyDef> {
        self.key.clone()
    }

    /// The table with the key.
    pub(super) fn child(&self) -> TableId {
        self.child.id
    }

    /// Whether the check may wait: actions do not.
    pub(crate) fn may_wait(&self, updates: bool) -> bool {
        let action = if updates { self.key.on_update } else { self.key.on_delete };
        self.key.deferrable && action == ReferentialAction::NoAction
    }

    /// Whether rows may refer to what goes: the key is whole, and goes or changes.
    pub(crate) fn is_due(&self, old: &[Value], new: Option<&[Value]>) -> bool {
        let columns = &self.key.parent_columns;
        let changes = |column: &usize| new.is_none_or(|new| !is_same(&old[*column], &new[*column]));
        !columns.iter().any(|column| old[*column].is_null()) && columns.iter().any(changes)
    }

    /// Does what the constraint says.
    ///
    /// # Errors
    /// 23503 when rows still refer to the key; those of the action's changes.
    pub(crate) fn act(&self, exec: &mut Exec<'_, '_>, old: &[Value], new: Option<&[Value]>) -> Run<()> {
        let of = |row: &[Value]| -> Vec<Value> {
            self.key.parent_columns.iter().map(|column| row[*column].clone()).collect()
        };
        let values = of(old);
        let (action, text) = match new {
            None => (self.key.on_delete, &self.on_delete),
            Some(_) => (self.key.on_update, &self.on_update),
        };
        if action == ReferentialAction::NoAction && self.key_is_back(exec, &values)? {
            return Ok(());
        }
        if !text.is_empty() {
            let mut parameters = values.clone();
            let mut types = self.types.clone();
            if let (Some(new), ReferentialAction::Cascade) = (new, action) {
                parameters.extend(of(new));
                types.extend_from_slice(&self.types);
            }
            run(exec, text, &types, &parameters)?;
            if action != ReferentialAction::SetDefault || self.key_is_back(exec, &values)? {
                return Ok(());
            }
        }
        if any_row(exec, &self.find, &self.types, &values)? {
            return Err(self.error(&values).into());
        }
        Ok(())
    }

    /// Whether another row has taken the key.
    fn key_is_back(&self, exec: &mut Exec<'_, '_>, values: &[Value]) -> Run<bool> {
        let Some((index, key)) = parent_key(&self.parent.table, &self.key, values) else { return Ok(false) };
        let bucket = parent_bucket(&self.parent, index, &key);
        Ok(exec.tx.lookup_unique(&self.parent, bucket, index, &key)?.is_some())
    }

    fn error(&self, values: &[Value]) -> SqlError {
        let parent = &self.parent.table;
        let message = format!(
            "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
            parent.name, self.key.name, self.child.name
        );
        let detail = format!(
            "{} is still referenced from table \"{}\".",
            key_text(parent, &self.key.parent_columns, values),
            self.child.name
        );
        SqlError::new(sqlstate::FOREIGN_KEY_VIOLATION, message)
            .detail(detail)
            .table(&self.child.schema, &self.child.name)
            .constraint(&self.key.name)
    }
}

/// Whether two values of a key are the same, not merely equal: ON UPDATE CASCADE hands 1.0 on that was 1.
fn is_same(old: &Value, new: &Value) -> bool {
    tuplix_types::equal(old, new)
        && match (old, new) {
            (Value::Numeric(old), Value::Numeric(new)) => old.to_string() == new.to_string(),
            _ => true,
        }
}

fn name_of(table: &TableDef) -> String {
    format!("{}.{}", quote_ident(&table.schema), quote_ident(&table.name))
}

/// `x.a = $1 AND x.b = $2`
fn comparisons(table: &TableDef, columns: &[usize], operator: &str) -> String {
    let one = |(place, column): (usize, &usize)| {
        format!("x.{} {operator} ${}", quote_ident(&table.columns[*column].name), place + 1)
    };
    columns.iter().enumerate().map(one).collect::<Vec<_>>().join(" AND ")
}

fn any_row(exec: &mut Exec<'_, '_>, text: &str, types: &[TypeId], values: &[Value]) -> Run<bool> {
    let statement = exec.services.prepare_dynamic(text, types, false)?;
    let affected = exec.affected;
    let mut found = false;
    statement.run(exec, values, &mut |_| {
        found = true;
        Ok(())
    })?;
    exec.affected = affected;
    Ok(found)
}

/// Runs an action; its events join the queue under way.
fn run(exec: &mut Exec<'_, '_>, text: &str, types: &[TypeId], values: &[Value]) -> Run<()> {
    let statement = exec.services.prepare_dynamic(text, types, false)?;
    let holds = std::mem::replace(&mut exec.events().holds, true);
    let affected = exec.affected;
    let outcome = statement.run(exec, values, &mut |_| Ok(()));
    exec.affected = affected;
    exec.events().holds = holds;
    outcome.map(|_| ())
}
