//! Views, and what may not be dropped because a view reads it.

use std::sync::Arc;

use tuplix_catalog::{
    CatalogChange, ColumnDef, Dependency, FunctionId, OnCommit, TableDef, TableId, ViewDef,
};
use tuplix_sql::parser::{RelationEdit, edit_relation};
use tuplix_sql::plan::{AlterTable, CreateView, Drop, OutputColumn, QualifiedName, RelationKind};
use tuplix_types::{Result, Severity, SqlError, sqlstate, typmod};

use super::comment::{kind_name, kind_of, not_a};
use super::names::relation_exists;
use super::{Work, undefined_table};
use crate::bind::Binder;
use crate::layout::Layout;
use crate::node::Schema;
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn create_view(&mut self, create: &CreateView) -> Run<&'static str> {
        let name = &create.name.name;
        let temporary = create.temporary || self.reads_temporary(&create.definition);
        let schema = match temporary {
            true => {
                let named = create.name.schema.as_deref();
                if named.is_some_and(|schema| !schema.starts_with("pg_temp")) {
                    let message = "cannot create temporary relation in non-temporary schema";
                    return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message).into());
                }
                if !create.temporary {
                    let message = format!("view \"{name}\" will be a temporary view");
                    self.skip(sqlstate::SUCCESSFUL_COMPLETION, message);
                }
                self.temporary_schema()
            }
            false => self.target_schema(&create.name)?,
        };
        self.check_still_there(&create.definition)?;
        let old = self.catalog.table_named(&schema, name).cloned();
        let id = match old {
            Some(old) if create.or_replace => {
                if old.view.is_none() {
                    let message = format!("\"{name}\" is not a view");
                    return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).into());
                }
                check_replacement(&old, &create.columns)?;
                old.id
            }
            _ if relation_exists(&self.catalog, &schema, name) => {
                let message = format!("relation \"{name}\" already exists");
                return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message).into());
            }
            _ => TableId(self.catalog.allocate_oid()),
        };
        let column = |column: &OutputColumn| ColumnDef::new(column.name.clone(), column.ty, column.typmod);
        let columns = create.columns.iter().map(column).collect();
        let view = TableDef {
            view: Some(create.definition.clone()),
            temporary: temporary.then_some(OnCommit::Preserve),
            ..TableDef::new(id, schema, name.clone(), columns)
        };
        self.check_text(&view)?;
        self.change(CatalogChange::PutTable(view));
        Ok("CREATE VIEW")
    }

    /// Whether a query reads something temporary.
    pub(super) fn reads_temporary(&self, definition: &ViewDef) -> bool {
        definition.dependencies.iter().any(|dependency| match dependency {
            Dependency::Relation(id, _) => {
                self.catalog.table(*id).is_some_and(|table| table.temporary.is_some())
            }
            Dependency::Function(_) => false,
        })
    }

    /// What the query names may have gone since it was analysed.
    fn check_still_there(&self, definition: &ViewDef) -> Result<()> {
        for dependency in &definition.dependencies {
            let there = match dependency {
                Dependency::Relation(id, columns) => self
                    .catalog
                    .table(*id)
                    .is_some_and(|table| columns.iter().all(|column| *column < table.columns.len())),
                Dependency::Function(id) => self.catalog.function(*id).is_some(),
            };
            if !there {
                let message = "what the view reads was dropped meanwhile";
                return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
            }
        }
        Ok(())
    }

    /// The kept text must mean what was written.
    pub(super) fn check_text(&self, view: &TableDef) -> Result<()> {
        let mut catalog = self.catalog.clone();
        // A materialized view's query binds as a view's does.
        catalog.apply(CatalogChange::PutTable(TableDef { view: view.query().cloned(), ..view.clone() }));
        let schema = Schema { catalog, layout: Layout::default(), version: 0 };
        let path = Vec::new();
        let text = format!(
            "SELECT * FROM {}.{}",
            tuplix_sql::parser::quote_ident(&view.schema),
            tuplix_sql::parser::quote_ident(&view.name)
        );
        let parsed = tuplix_sql::parser::parse(&text)?;
        for statement in &parsed {
            Binder::new(&schema, &path).analyze(statement, &[])?;
        }
        Ok(())
    }

    /// DROP VIEW and DROP MATERIALIZED VIEW
    pub(super) fn drop_view(&mut self, drop: &Drop, name: &QualifiedName, kind: RelationKind) -> Result<()> {
        match self.find_table(name) {
            Ok(view) if kind_of(&view) != kind => {
                let (what, hint) = match kind_of(&view) {
                    RelationKind::Table => ("Use DROP TABLE to remove a table.", kind),
                    RelationKind::View => ("Use DROP VIEW to remove a view.", kind),
                    RelationKind::MaterializedView => {
                        ("Use DROP MATERIALIZED VIEW to remove a materialized view.", kind)
                    }
                };
                Err(not_a(&view.name, kind_name(hint)).hint(what))
            }
            Ok(view) => {
                self.refuse_in_use(&view, "DROP VIEW")?;
                self.drop_relation_dependents(drop.cascade, &view)?;
                self.going.push(view.id);
                self.remove_table(view.id);
                Ok(())
            }
            Err(_) => {
                let word = if kind == RelationKind::View { "view" } else { "materialized view" };
                let message = undefined_table(name).message().replace("relation", word);
                self.missing(drop, SqlError::new(sqlstate::UNDEFINED_TABLE, message))
            }
        }
    }

    /// 42809 when a view stands where a table must.
    pub(super) fn refuse_view(&self, table: &TableDef, wanted: &str, hint: Option<&str>) -> Result<()> {
        if table.view.is_none() && (table.materialized.is_none() || wanted != "a table") {
            return Ok(());
        }
        let hint = hint.map(|hint| match table.materialized {
            Some(_) => "Use DROP MATERIALIZED VIEW to remove a materialized view.",
            None => hint,
        });
        let error = SqlError::new(sqlstate::WRONG_OBJECT_TYPE, format!("\"{}\" is not {wanted}", table.name));
        Err(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    /// ALTER TABLE of a view, or of a table that a view reads.
    pub(super) fn refuse_altering_view(&self, table: &TableDef, actions: &[AlterTable]) -> Result<()> {
        for action in actions {
            match action {
                AlterTable::SetDefault { .. } if table.view.is_some() => {
                    return Err(SqlError::unsupported("a default of a view's column"));
                }
                AlterTable::Rename(_) | AlterTable::RenameColumn { .. } | AlterTable::SetSchema(_) => {}
                AlterTable::Owner(_) | AlterTable::Options { .. } => {}
                AlterTable::SetType { column, .. } if table.query().is_none() => {
                    self.refuse_new_type(table, column)?;
                }
                _ => self.refuse_view(table, "a table", None)?,
            }
        }
        Ok(())
    }

    /// ALTER VIEW, and ALTER TABLE of a view.
    pub(super) fn alter_view(&mut self, old: &TableDef, actions: &[AlterTable]) -> Run<()> {
        let mut view = old.clone();
        for action in actions {
            match action {
                AlterTable::Rename(to) => {
                    self.refuse_name(&view.schema, to)?;
                    to.clone_into(&mut view.name);
                }
                AlterTable::RenameColumn { from, to } => super::alter::rename_column(&mut view, from, to)?,
                AlterTable::SetSchema(schema) => self.move_to_schema(&mut view, schema)?,
                AlterTable::Owner(role) => self.check_role(role)?,
                AlterTable::Options { set, reset } => {
                    super::index::change_options(&mut view.options, set, reset);
                }
                _ => self.refuse_view(&view, "a table", None)?,
            }
        }
        self.change(CatalogChange::PutTable(view.clone()));
        Ok(self.follow_names(old, &view)?)
    }

    /// Lets the views that read a relation go on meaning it after it, or a column of it, was given another name.
    pub(super) fn follow_names(&mut self, old: &TableDef, new: &TableDef) -> Result<()> {
        let names =
            |table: &TableDef| table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        let (before, after) = (names(old), names(new));
        if before.len() == after.len() && before != after {
            self.edit_readers(old.id, (&new.schema, &new.name), RelationEdit::Columns(&before))?;
        }
        if (&old.schema, &old.name) != (&new.schema, &new.name) {
            let edit = RelationEdit::Name(&new.schema, &new.name);
            self.edit_readers(old.id, (&old.schema, &old.name), edit)?;
        }
        let readers: Vec<Arc<TableDef>> = self.readers(old.id).cloned().collect();
        for view in readers {
            // `schema.table.column` would have to be written anew.
            self.check_text(&view).map_err(|error| {
                let what = format!("renaming what the query of \"{}\" names with its schema", view.name);
                SqlError::unsupported(what)
                    .detail(error.message().to_owned())
                    .hint("Drop the view first and create it again.")
            })?;
        }
        Ok(())
    }

    /// A new column may have a name that a view still calls another column by, since that one was renamed: to the view the new
    /// one is called otherwise.
    pub(super) fn keep_names_apart(&mut self, table: &TableDef, actions: &[AlterTable]) -> Result<()> {
        let added = |name: &str| {
            actions
                .iter()
                .any(|action| matches!(action, AlterTable::AddColumn { column, .. } if column.name == name))
        };
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        for position in (0..names.len()).filter(|position| added(&names[*position])) {
            let edit = RelationEdit::Added(&names[..=position]);
            self.edit_readers(table.id, (&table.schema, &table.name), edit)?;
        }
        Ok(())
    }

    /// The views that read a relation themselves.
    fn readers(&self, id: TableId) -> impl Iterator<Item = &Arc<TableDef>> {
        let reads = move |view: &&Arc<TableDef>| {
            let mut on = definition(view).dependencies.iter();
            on.any(|on| matches!(on, Dependency::Relation(other, _) if *other == id))
        };
        self.views().filter(reads)
    }

    /// Changes what the queries of views call a relation.
    fn edit_readers(&mut self, id: TableId, name: (&str, &str), edit: RelationEdit<'_>) -> Result<()> {
        let views: Vec<Arc<TableDef>> = self.readers(id).cloned().collect();
        for view in views {
            let mut changed = TableDef::clone(&view);
            if let Some(definition) = query_mut(&mut changed) {
                definition.query = edit_relation(&definition.query, name, edit)?;
            }
            self.change(CatalogChange::PutTable(changed));
        }
        Ok(())
    }

    /// A column that a view reads keeps its type.
    fn refuse_new_type(&self, table: &TableDef, column: &str) -> Result<()> {
        let Some(position) = table.column(column) else { return Ok(()) };
        let reads = |view: &&Arc<TableDef>| {
            definition(view).dependencies.iter().any(
                |on| matches!(on, Dependency::Relation(id, columns) if *id == table.id && columns.contains(&position)),
            )
        };
        let Some(view) = self.views().find(reads) else { return Ok(()) };
        let message = "cannot alter type of a column used by a view or rule";
        let detail = format!("rule _RETURN on {} depends on column \"{column}\"", self.relation_text(view));
        Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).detail(detail))
    }

    /// Drops the views that read a relation, or refuses when there are any.
    pub(crate) fn drop_relation_dependents(&mut self, cascade: bool, table: &TableDef) -> Result<()> {
        let what = self.relation_text(table);
        self.drop_dependents(cascade, &what, &[table.id], &[])
    }

    /// Drops the views that call a function, or refuses when there are any.
    pub(crate) fn drop_function_dependents(&mut self, cascade: bool, id: FunctionId) -> Result<()> {
        let Some(function) = self.catalog.function(id) else { return Ok(()) };
        let what = format!("function {}", function.signature());
        self.drop_dependents(cascade, &what, &[], &[id])
    }

    /// Drops the views that read a column, or refuses when there are any.
    pub(crate) fn drop_column_dependents(
        &mut self,
        cascade: bool,
        table: &TableDef,
        column: usize,
    ) -> Result<()> {
        let of_table = self.relation_text(table);
        let what = format!("column {} of {of_table}", table.columns[column].name);
        let direct = self.readers_of(table.id, column);
        let mut lines: Vec<(Arc<TableDef>, String)> =
            direct.iter().map(|view| (view.clone(), what.clone())).collect();
        for view in direct {
            let on = self.relation_text(&view);
            let next = self.dependents(&[view.id], &[]);
            lines.extend(next.into_iter().map(|(view, of)| (view, of.unwrap_or_else(|| on.clone()))));
        }
        self.refuse_or_drop(cascade, &what, lines)
    }

    /// The views that read a column themselves.
    fn readers_of(&self, table: TableId, column: usize) -> Vec<Arc<TableDef>> {
        let reads = |on: &Dependency| matches!(on, Dependency::Relation(id, columns) if *id == table && columns.contains(&column));
        self.views().filter(|view| definition(view).dependencies.iter().any(reads)).cloned().collect()
    }

    /// The columns behind one that is dropped move up.
    pub(super) fn shift_dependencies(&mut self, of: &TableDef, dropped: usize) -> Result<()> {
        let table = of.id;
        self.edit_readers(table, (&of.schema, &of.name), RelationEdit::Without(dropped))?;
        let views: Vec<Arc<TableDef>> = self.views().cloned().collect();
        for view in views {
            let mut shifted = TableDef::clone(&view);
            for on in query_mut(&mut shifted).into_iter().flat_map(|definition| &mut definition.dependencies)
            {
                if let Dependency::Relation(id, columns) = on
                    && *id == table
                {
                    columns.iter_mut().for_each(|column| *column -= usize::from(*column > dropped));
                }
            }
            if shifted != *view {
                self.change(CatalogChange::PutTable(shifted));
            }
        }
        Ok(())
    }

    /// 0A000 when a view reads a column whose type is to change.
    pub(super) fn refuse_type_of_viewed(&self, table: &TableDef, column: usize) -> Result<()> {
        let Some(view) = self.readers_of(table.id, column).into_iter().next() else { return Ok(()) };
        let message = "cannot alter type of a column used by a view or rule";
        let detail = format!(
            "rule _RETURN on {} depends on column \"{}\"",
            self.relation_text(&view),
            table.columns[column].name
        );
        Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).detail(detail))
    }

    fn drop_dependents(
        &mut self,
        cascade: bool,
        what: &str,
        tables: &[TableId],
        functions: &[FunctionId],
    ) -> Result<()> {
        let lines = self.dependents(tables, functions).into_iter();
        let lines = lines.map(|(view, on)| (view, on.unwrap_or_else(|| what.to_owned()))).collect();
        self.refuse_or_drop(cascade, what, lines)
    }

    fn refuse_or_drop(
        &mut self,
        cascade: bool,
        what: &str,
        lines: Vec<(Arc<TableDef>, String)>,
    ) -> Result<()> {
        let mut views: Vec<Arc<TableDef>> = Vec::new();
        let named = |view: &TableDef| self.dropping.contains(&view.id);
        let lines: Vec<_> = lines.into_iter().filter(|(view, _)| !named(view)).collect();
        for (view, _) in &lines {
            if !views.iter().any(|other| other.id == view.id) {
                views.push(view.clone());
            }
        }
        if views.is_empty() {
            return Ok(());
        }
        if !cascade {
            let lines: Vec<String> = lines
                .iter()
                .map(|(view, on)| format!("{} depends on {on}", self.relation_text(view)))
                .collect();
            let message = format!("cannot drop {what} because other objects depend on it");
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(lines.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let names: Vec<String> = views.iter().map(|view| self.relation_text(view)).collect();
        let notice = match &names[..] {
            [only] => SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, format!("drop cascades to {only}")),
            many => {
                let lines: Vec<String> = many.iter().map(|name| format!("drop cascades to {name}")).collect();
                let message = format!("drop cascades to {} other objects", many.len());
                SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, message).detail(lines.join("\n"))
            }
        };
        self.tx.notice(notice.severity(Severity::Notice));
        for view in views {
            self.going.push(view.id);
            self.remove_table(view.id);
        }
        Ok(())
    }

    fn views(&self) -> impl Iterator<Item = &Arc<TableDef>> {
        self.catalog.tables().filter(|table| table.query().is_some())
    }

    /// The views that depend on objects, those of views too, each with what it depends on unless that is one of these objects.
    pub(super) fn dependents(
        &self,
        tables: &[TableId],
        functions: &[FunctionId],
    ) -> Vec<(Arc<TableDef>, Option<String>)> {
        let on = |view: &TableDef, tables: &[TableId], functions: &[FunctionId]| {
            definition(view).dependencies.iter().any(|dependency| match dependency {
                Dependency::Relation(id, _) => tables.contains(id),
                Dependency::Function(id) => functions.contains(id),
            })
        };
        let direct: Vec<Arc<TableDef>> =
            self.views().filter(|view| on(view, tables, functions)).cloned().collect();
        let mut found = Vec::new();
        for view in direct {
            let text = self.relation_text(&view);
            let above = self.dependents(&[view.id], &[]);
            found.push((view, None));
            found
                .extend(above.into_iter().map(|(view, of)| (view, Some(of.unwrap_or_else(|| text.clone())))));
        }
        found
    }

    /// `table t`, `view other.v`
    fn relation_text(&self, table: &TableDef) -> String {
        let kind = &kind_name(kind_of(table))["a ".len()..];
        let visible = self.catalog.table_on_path(&self.search_path, &table.name);
        match visible {
            Some(visible) if visible.id == table.id => format!("{kind} {}", table.name),
            _ => format!("{kind} {}", table.qualified_name()),
        }
    }
}

/// The query of a view or materialized view.
fn query_mut(table: &mut TableDef) -> Option<&mut ViewDef> {
    match (&mut table.view, &mut table.materialized) {
        (Some(definition), _) => Some(definition),
        (None, made) => made.as_mut().map(|made| &mut made.definition),
    }
}

fn definition(view: &TableDef) -> &ViewDef {
    static NONE: ViewDef = ViewDef { query: String::new(), dependencies: Vec::new(), check_option: None };
    view.query().unwrap_or(&NONE)
}

/// A view that others may read already keeps its columns; new ones may follow (`checkViewTupleDesc`).
fn check_replacement(old: &TableDef, columns: &[OutputColumn]) -> Result<()> {
    let refuse = |message: String| SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message);
    if columns.len() < old.columns.len() {
        return Err(refuse("cannot drop columns from view".to_owned()));
    }
    for (before, after) in old.columns.iter().zip(columns) {
        if before.name != after.name {
            let message =
                format!("cannot change name of view column \"{}\" to \"{}\"", before.name, after.name);
            return Err(refuse(message)
                .hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
        }
        if before.ty != after.ty || before.typmod != after.typmod {
            let message = format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                before.name,
                typmod::format_type(before.ty, before.typmod),
                typmod::format_type(after.ty, after.typmod)
            );
            return Err(refuse(message));
        }
    }
    Ok(())
}
