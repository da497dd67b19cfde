//! The system tables: the catalogue, the session and the node as rows, and the functions that tell of them.
//!
//! Nothing is stored. A table is computed whole when a statement reads it, from the catalogue of that statement, so DDL
//! has nothing to keep up to date. Columns, types and object ids are PostgreSQL 15's, so that its clients find what they
//! ask for; a table without a `compute` function has no rows because Tuplix has nothing of its kind.
//!
//! ```text
//!   analyzer --name--> relations::find --> columns          data/relations.tsv
//!   executor --name--> rows --> compute function of a topic  relation, index, routine, server, information, own
//!                          \--> relations::own_rows          data/rows.tsv: pg_type, pg_operator, ...
//! ```

mod deparse;
mod depend;
mod foreign_key;
mod functions;
mod index;
mod information;
mod information_routines;
mod locks;
pub(crate) mod names;
mod own;
mod privileges;
mod relation;
mod relations;
mod rights;
mod roles;
mod routine;
mod sequence;
mod server;
mod statistics;
mod trigger;
mod user_types;
mod view;
mod views;
mod writer;

use tuplix_sql::analyze::SystemRelations;
use tuplix_sql::plan::OutputColumn;
use tuplix_types::{Result, Row, SqlError, TypeId, Value, sqlstate};

pub(crate) use functions::call;
pub(crate) use locks::HeldLock;
pub use names::function_by_signature;
use relations::SystemRelation;
use view::View;
pub(crate) use view::{ClassUse, DATABASE, class_use};

use crate::services::Services;

/// Whether a table of the schema `tuplix` is for superusers alone: it says what others run and are refused.
pub(crate) fn is_confidential(schema: &str, name: &str) -> bool {
    match schema {
        "tuplix" => name == "plans",
        _ => false,
    }
}

/// The columns of the computed tables, for the analyzer.
#[derive(Clone, Copy, Debug)]
pub struct SystemTables;

impl SystemRelations for SystemTables {
    fn columns(&self, schema: &str, name: &str) -> Option<Vec<OutputColumn>> {
        let column = |column: &relations::SystemColumn| OutputColumn {
            name: column.name.to_owned(),
            ty: column.ty,
            typmod: -1,
        };
        Some(relations::find(schema, name)?.columns.iter().map(column).collect())
    }

    fn oid(&self, schema: &str, name: &str) -> Option<u32> {
        relations::find(schema, name).map(|relation| relation.oid)
    }

    /// `tuplix` is also the name of a user, whose schema is on the default path: `log` there is a user's table.
    fn qualified_only(&self, schema: &str) -> bool {
        schema == "tuplix"
    }
}

/// The system tables, and the transition tables of a trigger under no schema at all.
pub(crate) struct WithTransitions {
    names: Vec<String>,
    columns: Vec<OutputColumn>,
}

impl WithTransitions {
    /// The transition tables of these names of a table.
    pub(crate) fn new(names: Vec<String>, table: &tuplix_catalog::TableDef) -> WithTransitions {
        let column = |column: &tuplix_catalog::ColumnDef| OutputColumn {
            name: column.name.clone(),
            ty: column.ty,
            typmod: column.typmod,
        };
        WithTransitions { names, columns: table.columns.iter().map(column).collect() }
    }
}

impl SystemRelations for WithTransitions {
    fn columns(&self, schema: &str, name: &str) -> Option<Vec<OutputColumn>> {
        match schema {
            "" => self.names.iter().any(|known| known == name).then(|| self.columns.clone()),
            _ => SystemTables.columns(schema, name),
        }
    }

    fn oid(&self, schema: &str, name: &str) -> Option<u32> {
        SystemTables.oid(schema, name)
    }

    fn qualified_only(&self, schema: &str) -> bool {
        SystemTables.qualified_only(schema)
    }
}

/// The rows of a transition table of the innermost trigger.
fn transition_rows(services: &Services, name: &str) -> Option<Vec<Row>> {
    let transitions = services.transitions.borrow();
    let (_, rows) = transitions.last()?.iter().find(|(known, _)| known == name)?;
    Some(rows.iter().map(|row| row.iter().cloned().collect()).collect())
}

type Compute = fn(&View<'_>, &SystemRelation) -> Vec<Row>;

fn compute(schema: &str, name: &str) -> Option<Compute> {
    Some(match (schema, name) {
        ("pg_catalog", "pg_class") => relation::classes,
        ("pg_catalog", "pg_attribute") => relation::attributes,
        ("pg_catalog", "pg_attrdef") => relation::defaults,
        ("pg_catalog", "pg_type") => user_types::types,
        ("pg_catalog", "pg_enum") => user_types::labels,
        ("pg_catalog", "pg_tables") => relation::tables,
        ("pg_catalog", "pg_views") => views::views,
        ("pg_catalog", "pg_matviews") => views::materialized,
        ("pg_catalog", "pg_index") => index::indexes,
        ("pg_catalog", "pg_constraint") => index::constraint_rows,
        ("pg_catalog", "pg_indexes") => index::index_names,
        ("pg_catalog", "pg_proc") => routine::functions,
        ("pg_catalog", "pg_namespace") => server::namespaces,
        ("pg_catalog", "pg_database") => server::databases,
        ("pg_catalog", "pg_authid" | "pg_roles") => roles::roles,
        ("pg_catalog", "pg_user" | "pg_shadow") => roles::users,
        ("pg_catalog", "pg_group") => roles::groups,
        ("pg_catalog", "pg_hba_file_rules") => roles::host_rules,
        ("pg_catalog", "pg_auth_members") => roles::members,
        ("pg_catalog", "pg_db_role_setting") => roles::kept_settings,
        ("pg_catalog", "pg_settings") => server::settings,
        ("pg_catalog", "pg_timezone_names") => server::timezone_names,
        ("pg_catalog", "pg_timezone_abbrevs") => server::timezone_abbreviations,
        ("pg_catalog", "pg_stat_activity") => server::activity,
        ("pg_catalog", "pg_available_extensions") => server::available_extensions,
        ("pg_catalog", "pg_stats") => statistics::columns,
        ("pg_catalog", "pg_stat_all_tables" | "pg_stat_user_tables") => statistics::tables,
        ("pg_catalog", "pg_locks") => locks::locks,
        ("pg_catalog", "pg_cursors") => server::cursors,
        ("pg_catalog", "pg_prepared_statements") => server::prepared_statements,
        ("pg_catalog", "pg_operator") => operators,
        ("pg_catalog", "pg_sequence") => sequence::definitions,
        ("pg_catalog", "pg_sequences") => sequence::places,
        ("pg_catalog", "pg_extension") => own::extensions,
        ("pg_catalog", "pg_depend") => depend::dependencies,
        ("pg_catalog", "pg_rewrite") => depend::rules,
        ("pg_catalog", "pg_trigger") => trigger::triggers,
        ("information_schema", "sequences") => sequence::standard,
        ("information_schema", "triggers") => trigger::standard,
        ("information_schema", "referential_constraints") => foreign_key::standard,
        ("pg_catalog", "pg_description") => descriptions,
        ("information_schema", "information_schema_catalog_name") => information::name,
        ("information_schema", "enabled_roles") => roles::enabled,
        ("information_schema", "applicable_roles") => roles::applicable,
        ("information_schema", "schemata") => information::schemata,
        ("information_schema", "tables") => information::tables,
        ("information_schema", "columns") => information::columns,
        ("information_schema", "views") => views::information_views,
        ("information_schema", "table_constraints") => information::table_constraints,
        ("information_schema", "check_constraints") => information::check_constraints,
        ("information_schema", "key_column_usage") => information::key_columns,
        ("information_schema", "constraint_column_usage") => information::constraint_columns,
        ("information_schema", "table_privileges" | "role_table_grants") => rights::table_privileges,
        ("information_schema", "column_privileges" | "role_column_grants") => rights::column_privileges,
        ("pg_catalog", "pg_policy") => rights::policy_rows,
        ("pg_catalog", "pg_policies") => rights::policy_view,
        ("pg_catalog", "pg_default_acl") => rights::defaults,
        ("information_schema", "routines") => information_routines::routines,
        ("information_schema", "parameters") => information_routines::parameters,
        ("tuplix", "tables") => own::tables,
        ("tuplix", "buckets") => own::buckets,
        ("tuplix", "history") => own::history,
        ("tuplix", "log") => own::log,
        ("tuplix", "log_segments") => own::log_segments,
        ("tuplix", "checkpoints") => own::checkpoints,
        ("tuplix", "memory") => own::memory,
        ("tuplix", "plans") => own::plans,
        ("tuplix", "refusals") => roles::refusals,
        _ => return None,
    })
}

/// `pg_operator`: PostgreSQL's, as far as they work here.
fn operators(_: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let works = |row: &&Row| match &row[relation.column("oid")] {
        Value::Oid(oid) => {
            tuplix_functions::lookup_operator(*oid).is_some_and(|operator| operator.function.implemented)
        }
        _ => false,
    };
    relations::own_rows("pg_operator").iter().filter(works).cloned().collect()
}

/// `pg_description`: PostgreSQL's, and those of COMMENT.
fn descriptions(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let own = view.catalog().comments().map(|(about, text)| {
        relation.row(&[
            ("objoid", Value::Oid(about.object)),
            ("classoid", Value::Oid(about.class)),
            ("objsubid", Value::Int4(about.part as i32)),
            ("description", Value::text(text)),
        ])
    });
    relations::own_rows("pg_description").iter().cloned().chain(own).collect()
}

/// The rows of a computed table, as of now.
///
/// # Errors
/// 42P01 when there is none of this name.
pub fn rows(services: &Services, schema: &str, name: &str) -> Result<Vec<Row>> {
    if schema.is_empty() && name == tuplix_sql::plan::COPY_SOURCE {
        return services.copied.borrow_mut().take().ok_or_else(crate::session::no_copy_data);
    }
    if schema.is_empty()
        && let Some(rows) = transition_rows(services, name)
    {
        return Ok(rows);
    }
    let Some(relation) = relations::find(schema, name) else {
        if let Some(row) = sequence::own_row(services, schema, name) {
            return Ok(vec![row]);
        }
        let message = format!("relation \"{schema}.{name}\" does not exist");
        return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message));
    };
    Ok(match compute(schema, name) {
        Some(compute) => {
            let view = View::new(services);
            roles::check_secret(&view, name)?;
            let mut rows = compute(&view, relation);
            rows.iter_mut().flatten().for_each(|value| user_types::name_types(&view, value));
            rows
        }
        None if schema == "pg_catalog" => relations::own_rows(name).to_vec(),
        None => Vec::new(),
    })
}

/// The text of an object id of type `regclass`, `regproc`, ...; `None` when there is no such object.
pub(crate) fn object_name(services: &Services, reg_type: TypeId, oid: u32) -> Option<String> {
    names::object_name(&View::new(services), reg_type, oid)
}

/// The object id that such a text means.
///
/// # Errors
/// PostgreSQL's for each type when there is no such object.
pub(crate) fn object_id(services: &Services, reg_type: TypeId, text: &str) -> Result<u32> {
    names::object_id(&View::new(services), reg_type, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_computed_table_is_listed_with_its_columns() {
        let named = |relation: &&SystemRelation| compute(relation.schema, relation.name).is_some();
        assert_eq!(relations::all().filter(named).count(), 73);
    }

    #[test]
    fn rows_of_postgresql_have_the_columns_of_their_tables() {
        for relation in relations::all().filter(|relation| relation.schema == "pg_catalog") {
            for row in relations::own_rows(relation.name) {
                assert_eq!(row.len(), relation.columns.len(), "{}", relation.name);
            }
        }
    }
}
