//! Temporary tables: in a schema of their session, known to the node's catalogue but not to the log.

use tuplix_catalog::{CLASS_RELATION, CatalogChange, OnCommit, SchemaDef, TableId};

use super::Work;
use crate::services::TEMPORARY_SCHEMA;
use crate::stop::Run;
use crate::transaction::Transaction;

impl Work<'_, '_> {
    /// Whether a change is of temporary things alone.
    pub(super) fn is_temporary(&self, change: &CatalogChange) -> bool {
        let temporary = |id: &TableId| self.catalog.table(*id).is_some_and(|table| table.temporary.is_some());
        match change {
            CatalogChange::PutSchema(schema) => schema.name.starts_with(TEMPORARY_SCHEMA),
            CatalogChange::DropSchema(name) => name.starts_with(TEMPORARY_SCHEMA),
            CatalogChange::PutSequence(sequence) => sequence.schema.starts_with(TEMPORARY_SCHEMA),
            CatalogChange::DropSequence(id) | CatalogChange::SetSequence { id, .. } => self
                .catalog
                .sequence(*id)
                .is_some_and(|sequence| sequence.schema.starts_with(TEMPORARY_SCHEMA)),
            CatalogChange::PutTable(table) | CatalogChange::RewriteTable(table) => table.temporary.is_some(),
            CatalogChange::DropTable(id) | CatalogChange::TruncateTable(id) => temporary(id),
            CatalogChange::PutStatistics(statistics) => temporary(&statistics.table),
            CatalogChange::PutRights(rights) => self.is_of_temporary(rights.on),
            CatalogChange::Comment { about, .. } if about.class == CLASS_RELATION => {
                let mut tables = self.catalog.tables().filter(|table| table.temporary.is_some());
                tables.any(|table| {
                    table.id.0 == about.object || table.indexes.iter().any(|index| index.id.0 == about.object)
                })
            }
            _ => false,
        }
    }

    /// The schema of the session's temporary tables, made when it is not there yet.
    pub(super) fn temporary_schema(&mut self) -> String {
        let name = self.services.temporary_schema();
        if self.catalog.schema(&name).is_none() {
            let oid = self.catalog.allocate_oid();
            self.change(CatalogChange::PutSchema(SchemaDef { oid, name: name.clone() }));
            self.search_path.insert(0, name.clone());
        }
        name
    }

    /// Drops what sessions that have ended could not drop themselves, before the first change of a transaction.
    pub(super) fn sweep_temporary(&mut self) -> Run<()> {
        if self.tx.private_catalog_mut().is_changed() {
            return Ok(());
        }
        let sessions = self.tx.node.sessions.lock();
        let number = |name: &str| name.strip_prefix(TEMPORARY_SCHEMA)?.parse::<u32>().ok();
        let left: Vec<String> = self
            .catalog
            .schemas()
            .filter(|schema| number(&schema.name).is_some_and(|number| !sessions.contains_key(&number)))
            .map(|schema| schema.name.clone())
            .collect();
        drop(sessions);
        left.iter().try_for_each(|schema| self.drop_schema_of(schema, true))
    }

    fn drop_schema_of(&mut self, schema: &str, all: bool) -> Run<()> {
        let goes = |on_commit: Option<OnCommit>| all || on_commit == Some(OnCommit::Drop);
        let tables: Vec<TableId> = self
            .catalog
            .tables()
            .filter(|table| table.schema == schema && goes(table.temporary))
            .map(|table| table.id)
            .collect();
        let mut tables = tables;
        let views: Vec<TableId> = self.dependents(&tables, &[]).iter().map(|(view, _)| view.id).collect();
        tables.extend(views);
        tables.sort_unstable();
        tables.dedup();
        self.tx.lock_for_ddl(&tables)?;
        tables.into_iter().for_each(|id| self.remove_table(id));
        if all && self.catalog.schema(schema).is_some() {
            self.change(CatalogChange::DropSchema(schema.to_owned()));
        }
        self.show()
    }
}

/// Drops the session's tables that are ON COMMIT DROP.
pub(crate) fn drop_on_commit(tx: &mut Transaction<'_>) -> Run<()> {
    let mut work = Work::start(tx)?;
    let schema = work.services.temporary_schema();
    work.drop_schema_of(&schema, false)
}

/// Drops all temporary tables of the session.
pub(crate) fn drop_temporary(tx: &mut Transaction<'_>) -> Run<()> {
    let mut work = Work::start(tx)?;
    let schema = work.services.temporary_schema();
    work.drop_schema_of(&schema, true)
}
