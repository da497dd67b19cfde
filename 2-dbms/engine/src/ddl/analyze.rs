//! ANALYZE and VACUUM.
//!
//! ANALYZE looks at committed rows, and at those that its own transaction has put into tables it made: each fragment is
//! snapshotted for itself, so nobody waits. There are no dead row versions, so VACUUM finds nothing to do.

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, TableDef, TableStatistics};
use tuplix_sql::analyze::SystemRelations;
use tuplix_sql::plan::{Analyze, AnalyzeTable};
use tuplix_types::{Result, Severity, SqlError, sqlstate};

use super::Work;
use crate::layout::{Domain, Placement};
use crate::statistics::analyze_columns;
use crate::stop::{Run, Stop};

/// The most that SET STATISTICS and `default_statistics_target` take.
pub(super) const TARGET_MAX: u32 = 10_000;

impl Work<'_, '_> {
    pub(super) fn analyze(&mut self, statement: &Analyze) -> Run<&'static str> {
        let mut tables: Vec<(Arc<TableDef>, &[String])> = Vec::new();
        for named in &statement.tables {
            tables.extend(self.analyzed_table(statement, named)?);
        }
        if statement.tables.is_empty() {
            let own = self.services.temporary_schema();
            let all = self
                .catalog
                .tables()
                .filter(|table| table.view.is_none() && (table.temporary.is_none() || table.schema == own));
            tables = all.map(|table| (table.clone(), &[][..])).collect();
        }
        for (table, columns) in tables {
            if statement.analyze {
                let change = self.analyze_table(&table, columns, statement.verbose)?;
                self.change(change);
            } else if statement.verbose {
                self.say(format!("vacuuming \"{}\"", table.qualified_name()));
            }
        }
        Ok(if statement.vacuum { "VACUUM" } else { "ANALYZE" })
    }

    /// The table that a name means; `None` for what has no statistics.
    fn analyzed_table<'s>(
        &mut self,
        statement: &Analyze,
        named: &'s AnalyzeTable,
    ) -> Result<Option<(Arc<TableDef>, &'s [String])>> {
        let name = &named.name;
        let skipped = |work: &mut Self| {
            let verb = if statement.analyze { "analyze" } else { "vacuum" };
            let message =
                format!("skipping \"{}\" --- cannot {verb} non-tables or special system tables", name.name);
            let warning = SqlError::new(sqlstate::WARNING, message).severity(Severity::Warning);
            work.tx.notice(warning);
        };
        match self.find_table(name) {
            Ok(table) if table.view.is_some() => {
                skipped(self);
                Ok(None)
            }
            Ok(table) => Ok(Some((table, &named.columns))),
            Err(error) => {
                let schema = name.schema.as_deref().unwrap_or("pg_catalog");
                let is_system = crate::system::SystemTables.columns(schema, &name.name).is_some();
                if is_system {
                    return Ok(None);
                }
                if self.find_index(name).is_some() || self.find_sequence(name).is_ok() {
                    skipped(self);
                    return Ok(None);
                }
                Err(error)
            }
        }
    }

    fn analyze_table(&mut self, table: &TableDef, names: &[String], verbose: bool) -> Run<CatalogChange> {
        let columns = columns_of(table, names)?;
        if verbose {
            self.say(format!("analyzing \"{}\"", table.qualified_name()));
        }
        let default = self.services.settings.borrow().integer("default_statistics_target").unwrap_or(100);
        let looked_at = columns.iter().filter_map(|column| {
            let def = &table.columns[*column];
            let target = def.statistics_target.unwrap_or(default.clamp(1, i64::from(TARGET_MAX)) as u32);
            let (ty, _) = self.catalog.base_type(def.ty, -1);
            (target > 0).then_some((*column, ty, target as usize))
        });
        let looked_at: Vec<_> = looked_at.collect();
        let Some(access) = self.access(table.id)? else {
            return Err(SqlError::internal(format!("table {} has no place", table.id.0)).into());
        };
        let (mut fragments, mut changes) = (Vec::new(), 0);
        for bucket in 0..access.buckets {
            let domain = match access.placement {
                Placement::Local(domain) => domain,
                Placement::Reference => Domain::REFERENCE,
                Placement::Hash { .. } => self.tx.node.domain_of_bucket(bucket),
                Placement::Locked(_) => return Err(Stop::Restart),
            };
            let seen = self.tx.in_domain(domain, |state| {
                state.fragment(access.slot, bucket).map(|fragment| (fragment.snapshot(), fragment.version()))
            })?;
            if let Some((fragment, version)) = seen {
                fragments.push(fragment);
                changes += version;
            }
        }
        let rows: usize = fragments.iter().map(|fragment| fragment.row_count()).sum();
        let machine = self.tx.node.machine();
        let (seed, analyzed_us) = (machine.random_u64(), machine.now_us());
        let mut found = analyze_columns(&self.catalog, &fragments, &looked_at, seed);
        drop(fragments);
        if let Some(before) = self.catalog.statistics(table.id) {
            // ANALYZE of some columns leaves those of the others as they were.
            let kept = |column: usize| !names.is_empty() && !columns.contains(&column);
            found.extend(before.columns.iter().filter(|known| kept(known.column)).cloned());
            found.sort_by_key(|known| known.column);
        }
        if verbose {
            self.say(format!("\"{}\": {rows} rows", table.name));
        }
        Ok(CatalogChange::PutStatistics(TableStatistics {
            table: table.id,
            rows: rows as f64,
            changes,
            analyzed_us,
            columns: found,
        }))
    }

    /// What SET STATISTICS makes of a number: `None` for -1, the setting's.
    pub(super) fn statistics_target(&mut self, target: i32) -> Result<Option<u32>> {
        if target == -1 {
            return Ok(None);
        }
        let target = u32::try_from(target).map_err(|_| {
            let message = format!("statistics target {target} is too low");
            SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
        })?;
        if target > TARGET_MAX {
            let message = format!("lowering statistics target to {TARGET_MAX}");
            self.tx.notice(SqlError::new(sqlstate::WARNING, message).severity(Severity::Warning));
        }
        Ok(Some(target.min(TARGET_MAX)))
    }

    fn say(&mut self, message: String) {
        self.tx.notice(SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, message).severity(Severity::Info));
    }
}

fn columns_of(table: &TableDef, names: &[String]) -> Result<Vec<usize>> {
    if names.is_empty() {
        return Ok((0..table.columns.len()).collect());
    }
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let column = super::alter::column_of(table, name)?;
        if columns.contains(&column) {
            let message = format!("column \"{name}\" of relation \"{}\" appears more than once", table.name);
            return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
        }
        columns.push(column);
    }
    Ok(columns)
}
