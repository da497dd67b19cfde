//! Rows in a new shape: forks with other indexes, rewritten columns, other distributions.

use std::sync::Arc;

use tuplix_catalog::{Catalog, CatalogChange, Distribution, IndexDef, TableDef, TableId};
use tuplix_storage::{Fragment, FragmentSchema, RowBatch as IdBatch, ScanCursor};
use tuplix_types::{SqlError, Value, sqlstate};

use super::Work;
use crate::bind::Binder;
use crate::computed_index::{ComputedKeys, computed_of};
use crate::domain::same_index;
use crate::exec::{ColumnSource, Exec, FrameStack, RowProgram, compile_rows};
use crate::layout::TableAccess;
use crate::stop::Run;
use crate::transaction::{CatalogEntry, Fragments, RowBatch, Scan, fragment_schema, refuse_growth};

impl Work<'_, '_> {
    /// Creates or changes a table whose columns stay as they are. Its indexes are built over the rows that are there.
    ///
    /// # Errors
    /// 23505 when a new unique key does not hold.
    pub(crate) fn put_table(&mut self, table: TableDef) -> Run<()> {
        if table.spooled {
            crate::history::check_spooled(&table)?;
        }
        let id = table.id;
        let Some(old) = self.catalog.table(id).cloned() else {
            self.fresh_table(&table, Vec::new())?;
            self.change(CatalogChange::PutTable(table));
            return Ok(());
        };
        let before = self.storage_of(&old)?;
        let after = self.storage_of(&table)?;
        assert!(before.columns == after.columns && old.distribution == table.distribution, "no rewrite");
        let same = before.indexes.len() == after.indexes.len()
            && before.indexes.iter().zip(&after.indexes).all(|(before, after)| same_index(before, after));
        if !same && let Some(access) = self.access(id)? {
            self.fork(&access, &table, &after, &access.table.indexes)?;
        }
        self.change(CatalogChange::PutTable(table));
        Ok(())
    }

    /// Builds a table's indexes anew, over the rows that are there.
    ///
    /// # Errors
    /// 23505 when a unique key does not hold.
    pub(super) fn rebuild_indexes(&mut self, table: &Arc<TableDef>) -> Run<()> {
        if table.indexes.is_empty() {
            return Ok(());
        }
        self.refuse_in_use(table, "REINDEX")?;
        self.tx.lock_for_ddl(&[table.id])?;
        if let Some(access) = self.access(table.id)? {
            let schema = self.storage_of(table)?;
            self.fork(&access, table, &schema, &[])?;
        }
        self.change(CatalogChange::PutTable(TableDef::clone(table)));
        Ok(())
    }

    /// The same rows under other indexes, of which the keys of those in `known` are known to hold.
    fn fork(
        &mut self,
        access: &TableAccess,
        table: &TableDef,
        schema: &Arc<FragmentSchema>,
        known: &[IndexDef],
    ) -> Run<()> {
        let mut fragments: Fragments = Vec::with_capacity(usize::from(access.buckets));
        let mut redo = Vec::new();
        for bucket in 0..access.buckets {
            let mut fragment = self.tx.fork_bucket(access, bucket, &mut redo)?;
            if let Some(fragment) = &mut fragment {
                self.services.check_interrupts()?;
                if schema.indexes.len() > access.table.indexes.len() {
                    // An index that is dropped makes room.
                    refuse_growth(self.tx.node)?;
                }
                index_rows(&self.catalog, fragment, table, schema, known)?;
            }
            fragments.push(fragment);
        }
        if !self.fresh.contains(&table.id) && !redo.is_empty() && table.temporary.is_none() {
            self.tx.private_catalog_mut().entries.push(CatalogEntry::Rows(redo));
        }
        self.settle(table, schema, fragments)
    }

    /// Puts a generation of a table into a home of its own.
    fn settle(&mut self, table: &TableDef, schema: &Arc<FragmentSchema>, fragments: Fragments) -> Run<()> {
        let home = self.tx.node.make_home(&table.distribution, self.homes.get(&table.id))?;
        self.tx.private_catalog_mut().made.push((table.id, home.clone()));
        self.tx.fill_home(&home, schema, fragments)?;
        Arc::make_mut(&mut self.homes).insert(table.id, home);
        self.unseen = true;
        Ok(())
    }

    /// A table that has these rows and none besides; the log gets all of them at the commit.
    pub(super) fn fresh_table(&mut self, table: &TableDef, mut fragments: Fragments) -> Run<()> {
        fragments.resize_with(self.tx.node.fragments_of(&table.distribution), || None);
        let schema = self.storage_of(table)?;
        self.settle(table, &schema, fragments)?;
        Arc::make_mut(&mut self.fresh).insert(table.id);
        Ok(())
    }

    /// Changes a table whose rows become what `program` makes of them.
    ///
    /// # Errors
    /// What evaluating finds; 23502, 23505, 23514 when the new rows break a constraint.
    pub(crate) fn rewrite_table(&mut self, table: TableDef, program: &RowProgram) -> Run<()> {
        crate::history::refuse_change(&table, "a change of the rows' shape")?;
        let Some(access) = self.access(table.id)? else { return self.put_table(table) };
        let count = self.tx.node.fragments_of(&table.distribution);
        let mut fragments: Fragments = std::iter::repeat_with(|| None).take(count).collect();
        let schema = self.storage_of(&table)?;
        let bare = FragmentSchema { indexes: Vec::new(), ..FragmentSchema::clone(&schema) };
        let node = self.tx.node;
        self.each_row(&access, program, &mut |values| {
            let bucket = match table.distribution {
                Distribution::Hash { column } => {
                    values[column].as_i64().map_or(0, |key| key.rem_euclid(count as i64) as usize)
                }
                Distribution::Local | Distribution::Reference => 0,
            };
            let fragment = fragments[bucket].get_or_insert_with(|| Box::new(Fragment::new(&bare)));
            refuse_growth(node)?;
            fragment.insert(&values).map_err(SqlError::from)?;
            Ok(())
        })?;
        for fragment in fragments.iter_mut().flatten() {
            index_rows(&self.catalog, fragment, &table, &schema, &[])?;
        }
        self.fresh_table(&table, fragments)?;
        self.change(CatalogChange::RewriteTable(table));
        Ok(())
    }

    /// Calls `each` with what `program` makes of each row.
    ///
    /// # Errors
    /// What evaluating finds; a constraint's that a row breaks.
    pub(crate) fn each_row(
        &mut self,
        access: &TableAccess,
        program: &RowProgram,
        each: &mut dyn FnMut(Vec<Value>) -> Run<()>,
    ) -> Run<()> {
        crate::history::refuse_change(&access.table, "a new condition on all rows")?;
        let nested = self.tx.holds_latches();
        self.tx.require_all(access)?;
        let mut stack = FrameStack::default();
        let mut exec = Exec::new(self.tx, &mut stack);
        let mut batch = RowBatch::new();
        program.run(&mut exec, |exec, run| {
            for bucket in 0..access.buckets {
                let mut scan = Scan::default();
                loop {
                    let more = exec.tx.scan(access, bucket, &mut scan, &[], &mut batch)?;
                    exec.services.check_interrupts()?;
                    for row in &batch {
                        let values = exec.tx.read_row(*row);
                        each(run(exec, values)?)?;
                    }
                    if !more {
                        break;
                    }
                }
            }
            Ok(())
        })?;
        if !nested {
            self.tx.release_latches();
        }
        Ok(())
    }

    /// Distributes a table anew.
    ///
    /// # Errors
    /// As [`Work::rewrite_table`].
    pub(crate) fn move_table(&mut self, table: TableDef) -> Run<Value> {
        let keep: Vec<_> = (0..table.columns.len()).map(ColumnSource::Keep).collect();
        let schema = self.services.schema();
        let binder = Binder::new(&schema, &self.search_path);
        let program =
            binder.with_compiler(|compiler| compile_rows(compiler, &table, &table, &keep, &[], &[]))?;
        self.rewrite_table(table, &program)?;
        self.show()?;
        Ok(Value::Null)
    }

    /// What storage is told of a table.
    pub(super) fn storage_of(&self, table: &TableDef) -> Result<Arc<FragmentSchema>, SqlError> {
        Ok(fragment_schema(table, &computed_of(&self.catalog, table)?, self.tx.node))
    }

    /// Takes all rows out of a table.
    pub(crate) fn empty_table(&mut self, id: TableId) -> Run<()> {
        let Some(table) = self.catalog.table(id).cloned() else { return Ok(()) };
        self.fresh_table(&table, Vec::new())?;
        self.change(CatalogChange::TruncateTable(id));
        Ok(())
    }

    /// Drops a table.
    pub(crate) fn remove_table(&mut self, id: TableId) {
        Arc::make_mut(&mut self.homes).remove(&id);
        Arc::make_mut(&mut self.fresh).remove(&id);
        self.change(CatalogChange::DropTable(id));
    }
}

/// Builds a table's indexes over rows that have none.
pub(super) fn index_rows(
    catalog: &Catalog,
    fragment: &mut Fragment,
    table: &TableDef,
    schema: &FragmentSchema,
    known: &[IndexDef],
) -> Run<()> {
    for (index, shape) in table.indexes.iter().zip(&schema.indexes) {
        let computed = ComputedKeys::of(catalog, table, index)?;
        let same = |known: &IndexDef| known.unique == index.unique && known.columns == index.columns;
        let is_known = known.iter().any(|known| same(known) && known.predicate == index.predicate);
        if (index.unique || computed.is_some()) && !is_known {
            check_keys(fragment, table, index, computed.as_ref())?;
        }
        let added = fragment.add_index(shape.clone());
        assert!(added.is_ok(), "DDL keeps the number of indexes in bounds");
    }
    Ok(())
}

/// Computes the keys of all rows; in a unique index no two may be the same.
fn check_keys(
    fragment: &Fragment,
    table: &TableDef,
    index: &IndexDef,
    computed: Option<&ComputedKeys>,
) -> Run<()> {
    let mut keys: Vec<(Vec<u8>, Vec<Value>)> = Vec::with_capacity(fragment.row_count());
    let (mut cursor, mut batch) = (ScanCursor::new(), IdBatch::new());
    let mut more = true;
    while more {
        batch.clear();
        more = fragment.scan_batch(&mut cursor, &[], &mut batch);
        for row in &batch {
            let key: Option<Vec<Value>> = match computed {
                Some(computed) => {
                    let columns = 0..fragment.column_types().len();
                    computed.key_of(&columns.map(|column| fragment.read(*row, column)).collect::<Vec<_>>())?
                }
                None => Some(index.columns.iter().map(|part| fragment.read(*row, part.column)).collect()),
            };
            let Some(key) = key.filter(|key| index.unique && !key.iter().any(Value::is_null)) else {
                continue;
            };
            let mut bytes = Vec::new();
            key.iter().for_each(|value| tuplix_types::encode_key(value, false, false, &mut bytes));
            keys.push((bytes, key));
        }
    }
    keys.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let Some(pair) = keys.windows(2).find(|pair| pair[0].0 == pair[1].0) else { return Ok(()) };
    let (mut names, mut shown) = (Vec::new(), Vec::new());
    for (place, part) in index.columns.iter().enumerate() {
        let expression = computed.and_then(|computed| computed.expression_type(place));
        let ty = expression.unwrap_or_else(|| table.columns[part.column].ty);
        names.push(part.expression.clone().unwrap_or_else(|| table.columns[part.column].name.clone()));
        shown.push(crate::text::show(ty, &pair[0].1[place]));
    }
    let detail = format!("Key ({})=({}) is duplicated.", names.join(", "), shown.join(", "));
    let message = format!("could not create unique index \"{}\"", index.name);
    Err(SqlError::new(sqlstate::UNIQUE_VIOLATION, message)
        .detail(detail)
        .table(&table.schema, &table.name)
        .constraint(&index.name)
        .into())
}
