//! CREATE, ALTER and DROP SEQUENCE; the sequences of `serial` and identity columns (`sequence.c`).

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, SequenceDef, SequenceId, SequenceOwner, TableDef, TableId};
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::parser::quote_ident;
use tuplix_sql::plan::{AlterIdentity, ColumnSequence, Drop, Expr, ExprKind, QualifiedName, SequenceOption};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::Work;
use super::names::{object_name, relation_exists, unused};
use crate::bind::Binder;
use crate::exec::visit_expr;
use crate::layout::Layout;
use crate::node::Schema;
use crate::stop::Run;

/// What options say beside the definition.
#[derive(Default)]
struct Extra<'o> {
    restart: Option<i64>,
    owner: Option<&'o Option<(QualifiedName, String)>>,
}

impl Work<'_, '_> {
    pub(super) fn create_sequence(
        &mut self,
        name: &QualifiedName,
        if_not_exists: bool,
        options: &[SequenceOption],
    ) -> Run<&'static str> {
        let schema = self.target_schema(name)?;
        if relation_exists(&self.catalog, &schema, &name.name) {
            let message = format!("relation \"{}\" already exists", name.name);
            if if_not_exists {
                self.skip(sqlstate::DUPLICATE_TABLE, format!("{message}, skipping"));
                return Ok("CREATE SEQUENCE");
            }
            return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message).into());
        }
        let mut def = self.new_sequence(schema, name.name.clone());
        let extra = apply_options(&mut def, options, true)?;
        def.owner = self.owner(&def, extra.owner)?;
        self.change(CatalogChange::PutSequence(def));
        Ok("CREATE SEQUENCE")
    }

    fn new_sequence(&mut self, schema: String, name: String) -> SequenceDef {
        SequenceDef {
            id: SequenceId(self.catalog.allocate_oid()),
            schema,
            name,
            ty: TypeId::INT8,
            start: 1,
            increment: 1,
            min: 1,
            max: i64::MAX,
            cache: 1,
            cycle: false,
            owner: None,
        }
    }

    pub(super) fn find_sequence(&self, name: &QualifiedName) -> Result<Arc<SequenceDef>> {
        let path = match &name.schema {
            Some(schema) => std::slice::from_ref(schema),
            None => &self.search_path[..],
        };
        for schema in path {
            if let Some(found) = self.catalog.sequence_named(schema, &name.name) {
                return Ok(found.clone());
            }
            if relation_exists(&self.catalog, schema, &name.name) {
                let message = format!("\"{}\" is not a sequence", name.name);
                return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
            }
        }
        Err(super::undefined_table(name))
    }

    pub(super) fn alter_sequence(
        &mut self,
        name: &QualifiedName,
        if_exists: bool,
        options: &[SequenceOption],
    ) -> Run<&'static str> {
        let Some(found) = self.sequence_or_skip(name, if_exists)? else { return Ok("ALTER SEQUENCE") };
        self.change_sequence(&found, options, false)?;
        Ok("ALTER SEQUENCE")
    }

    fn sequence_or_skip(
        &mut self,
        name: &QualifiedName,
        if_exists: bool,
    ) -> Result<Option<Arc<SequenceDef>>> {
        match self.find_sequence(name) {
            Ok(found) => Ok(Some(found)),
            Err(error) if if_exists && error.sqlstate() == sqlstate::UNDEFINED_TABLE => {
                self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{}, skipping", error.message()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn change_sequence(
        &mut self,
        found: &SequenceDef,
        options: &[SequenceOption],
        of_column: bool,
    ) -> Result<()> {
        let mut def = found.clone();
        let extra = apply_options(&mut def, options, false)?;
        let place = self.services.with_layout(|layout| layout.sequence(def.id).map(|s| s.state.place()));
        let stands = extra.restart.or(place.map(|place| place.last)).unwrap_or(def.start);
        check_bounds("RESTART", stands, &def)?;
        if extra.owner.is_some() {
            if found.owner.is_some_and(|owner| owner.identity) && !of_column {
                let message = "cannot change ownership of identity sequence";
                let table = found.owner.and_then(|owner| self.catalog.table(owner.table));
                let detail = format!(
                    "Sequence \"{}\" is linked to table \"{}\".",
                    found.name,
                    table.map_or("", |table| table.name.as_str())
                );
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).detail(detail));
            }
            def.owner = self.owner(&def, extra.owner)?;
        }
        let id = def.id;
        self.change(CatalogChange::PutSequence(def));
        if let Some(value) = extra.restart {
            self.change(CatalogChange::SetSequence { id, value, called: false });
        }
        Ok(())
    }

    pub(super) fn rename_sequence(
        &mut self,
        name: &QualifiedName,
        if_exists: bool,
        to: &str,
    ) -> Run<&'static str> {
        let Some(found) = self.sequence_or_skip(name, if_exists)? else { return Ok("ALTER SEQUENCE") };
        if relation_exists(&self.catalog, &found.schema, to) {
            let message = format!("relation \"{to}\" already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message).into());
        }
        let moved = SequenceDef { name: to.to_owned(), ..(*found).clone() };
        self.put_sequence_elsewhere(&found, moved);
        Ok("ALTER SEQUENCE")
    }

    /// ALTER SEQUENCE ... SET SCHEMA
    pub(super) fn move_sequence(
        &mut self,
        name: &QualifiedName,
        if_exists: bool,
        schema: &str,
    ) -> Run<&'static str> {
        let Some(found) = self.sequence_or_skip(name, if_exists)? else { return Ok("ALTER SEQUENCE") };
        if let Some(table) = found.owner.and_then(|owner| self.catalog.table(owner.table)) {
            let message = "cannot move an owned sequence into another schema";
            let detail = format!("Sequence \"{}\" is linked to table \"{}\".", found.name, table.name);
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).detail(detail).into());
        }
        let target =
            QualifiedName { schema: Some(schema.to_owned()), name: found.name.clone(), position: None };
        let schema = self.target_schema(&target)?;
        if schema == found.schema {
            return Ok("ALTER SEQUENCE");
        }
        if relation_exists(&self.catalog, &schema, &found.name) {
            let message = format!("relation \"{}\" already exists in schema \"{schema}\"", found.name);
            return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message).into());
        }
        self.put_sequence_elsewhere(&found, SequenceDef { schema, ..SequenceDef::clone(&found) });
        Ok("ALTER SEQUENCE")
    }

    /// Gives a sequence another name or schema, also in the defaults that draw from it.
    fn put_sequence_elsewhere(&mut self, found: &SequenceDef, moved: SequenceDef) {
        let new = format!("{}.{}", quote_ident(&moved.schema), quote_ident(&moved.name));
        let renamed = |id: SequenceId| (id == found.id).then(|| new.clone());
        for (id, column) in self.defaults_with(found.id) {
            let Some(table) = self.catalog.table(id) else { continue };
            let mut table = TableDef::clone(table);
            if let Some(default) = &mut table.columns[column].default {
                *default = self.default_with(default, &renamed);
            }
            self.change(CatalogChange::PutTable(table));
        }
        self.change(CatalogChange::PutSequence(moved));
    }

    fn owner(
        &self,
        def: &SequenceDef,
        wanted: Option<&Option<(QualifiedName, String)>>,
    ) -> Result<Option<SequenceOwner>> {
        let Some((table_name, column)) = wanted.and_then(Option::as_ref) else { return Ok(None) };
        let table = self.find_table(table_name)?;
        if table.schema != def.schema {
            let message = "sequence must be in same schema as table it is linked to";
            return Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        let column = table.column(column).ok_or_else(|| {
            let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
            SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
        })?;
        Ok(Some(SequenceOwner { table: table.id, column, identity: false }))
    }

    /// Makes the sequence of a `serial` or identity column.
    pub(crate) fn create_column_sequence(
        &mut self,
        table: &mut TableDef,
        wanted: &ColumnSequence,
    ) -> Result<()> {
        let Some(column) = table.column(&wanted.column) else { return Ok(()) };
        let made = object_name(&table.name, Some(&wanted.column), "seq");
        let taken = |name: &str| name == table.name || relation_exists(&self.catalog, &table.schema, name);
        let name = match &wanted.name {
            Some(name) if taken(&name.name) => {
                let message = format!("relation \"{}\" already exists", name.name);
                return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message));
            }
            Some(name) => name.name.clone(),
            None => unused(made, taken),
        };
        let mut def = self.new_sequence(table.schema.clone(), name);
        apply_options(&mut def, &wanted.options, true)?;
        let identity = wanted.identity.is_some();
        def.owner = Some(SequenceOwner { table: table.id, column, identity });
        if identity {
            table.columns[column].identity = wanted.identity;
            table.columns[column].not_null = true;
        } else {
            let name = qualified(&def.schema, &def.name);
            table.columns[column].default = Some(format!("nextval({name}::regclass)"));
        }
        self.change(CatalogChange::PutSequence(def));
        Ok(())
    }

    /// ALTER COLUMN ADD / SET / DROP IDENTITY.
    pub(super) fn alter_identity(
        &mut self,
        table: &mut TableDef,
        column: &str,
        change: &AlterIdentity,
    ) -> Result<()> {
        let position = super::alter::column_of(table, column)?;
        let of = |what: &str| format!("column \"{column}\" of relation \"{}\" {what}", table.name);
        let state = |message: String| SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
        let def = &table.columns[position];
        match change {
            AlterIdentity::Add(wanted) => {
                if !matches!(def.ty, TypeId::INT2 | TypeId::INT4 | TypeId::INT8) {
                    let message = "identity column type must be smallint, integer, or bigint";
                    return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
                }
                if !def.not_null {
                    return Err(state(of("must be declared NOT NULL before identity can be added")));
                }
                if def.identity.is_some() {
                    return Err(state(of("is already an identity column")));
                }
                if def.default.is_some() {
                    return Err(state(of("already has a default value")));
                }
                let mut wanted = wanted.clone();
                if !wanted.options.iter().any(|option| matches!(option, SequenceOption::As(_))) {
                    wanted.options.push(SequenceOption::As(def.ty));
                }
                self.create_column_sequence(table, &wanted)?;
            }
            AlterIdentity::Set { identity, options } => {
                if def.identity.is_none() {
                    return Err(state(of("is not an identity column")));
                }
                table.columns[position].identity = identity.or(table.columns[position].identity);
                let found = self.catalog.identity_sequence(table.id, position).cloned();
                if let (Some(found), false) = (found, options.is_empty()) {
                    self.change_sequence(&found, options, true)?;
                }
            }
            AlterIdentity::Drop { if_exists } => {
                if def.identity.is_none() {
                    let message = of("is not an identity column");
                    if *if_exists {
                        self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
                        return Ok(());
                    }
                    return Err(state(message));
                }
                table.columns[position].identity = None;
                if let Some(found) = self.catalog.identity_sequence(table.id, position).cloned() {
                    self.change(CatalogChange::DropSequence(found.id));
                }
            }
        }
        Ok(())
    }

    pub(super) fn drop_sequence(&mut self, drop: &Drop, name: &QualifiedName) -> Result<()> {
        let found = match self.find_sequence(name) {
            Ok(found) => found,
            Err(error) if error.sqlstate() == sqlstate::UNDEFINED_TABLE => {
                let message = error.message().replace("relation", "sequence");
                return self.missing(drop, SqlError::new(sqlstate::UNDEFINED_TABLE, message));
            }
            Err(error) => return Err(error),
        };
        if let Some(owner) = found.owner.filter(|owner| owner.identity)
            && let Some(table) = self.catalog.table(owner.table)
        {
            let column = &table.columns[owner.column].name;
            let what = format!("column {column} of table {}", table.name);
            let message = format!("cannot drop sequence {} because {what} requires it", found.name);
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .hint(format!("You can drop {what} instead.")));
        }
        self.drop_defaults_with(
            &format!("sequence {}", found.name),
            std::slice::from_ref(&found),
            &[],
            drop.cascade,
        )?;
        self.change(CatalogChange::DropSequence(found.id));
        Ok(())
    }

    /// Drops the defaults that draw from sequences which are about to go, of all tables but those that go with them.
    ///
    /// # Errors
    /// 2BP01 without CASCADE.
    pub(super) fn drop_defaults_with(
        &mut self,
        what: &str,
        sequences: &[Arc<SequenceDef>],
        going: &[TableId],
        cascade: bool,
    ) -> Result<()> {
        let mut lines = Vec::new();
        let mut changed = Vec::new();
        for sequence in sequences {
            for (id, column) in self.defaults_with(sequence.id) {
                let Some(table) = self.catalog.table(id).filter(|_| !going.contains(&id)) else { continue };
                let name = &table.columns[column].name;
                let default = format!("default value for column {name} of table {}", table.name);
                lines.push((default, format!("sequence {}", sequence.name)));
                changed.push((id, column));
            }
        }
        self.refuse_dependents(what, &lines, cascade)?;
        for (id, column) in changed {
            let Some(table) = self.catalog.table(id) else { continue };
            let mut table = TableDef::clone(table);
            table.columns[column].default = None;
            self.change(CatalogChange::PutTable(table));
        }
        Ok(())
    }

    /// The columns whose defaults name a sequence.
    fn defaults_with(&self, id: SequenceId) -> Vec<(TableId, usize)> {
        let schema = Schema { catalog: self.catalog.clone(), layout: Layout::default(), version: 0 };
        let binder = Binder::new(&schema, &self.search_path);
        let mut found = Vec::new();
        for table in self.catalog.tables() {
            for (column, def) in table.columns.iter().enumerate() {
                let Some(default) = def.default.as_deref().filter(|text| text.contains("val(")) else {
                    continue;
                };
                let bound = binder.table_expression(table, default, TableExpression::Default(column));
                let mut names = false;
                if let Ok((expr, _)) = bound {
                    visit_expr(&expr, &mut |expr: &Expr| {
                        names |= expr.ty == TypeId::REGCLASS
                            && matches!(&expr.kind, ExprKind::Constant(Value::Oid(oid)) if *oid == id.0);
                    });
                }
                if names {
                    found.push((table.id, column));
                }
            }
        }
        found
    }
}

/// A sequence's name as `nextval` takes it: `'public.a_b_seq'`.
fn qualified(schema: &str, name: &str) -> String {
    tuplix_functions::quote_literal(&format!("{}.{}", quote_ident(schema), quote_ident(name)))
}

fn invalid(message: String) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

fn type_bounds(ty: TypeId) -> (i64, i64) {
    match ty {
        TypeId::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        TypeId::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

/// `init_params`
fn apply_options<'o>(
    def: &mut SequenceDef,
    options: &'o [SequenceOption],
    creates: bool,
) -> Result<Extra<'o>> {
    use SequenceOption as O;
    let mut extra = Extra::default();
    let (mut min, mut max, mut start, mut restart) = (None, None, None, None);
    let old = type_bounds(def.ty);
    let mut new_type = false;
    for option in options {
        match option {
            O::As(ty) => (new_type, def.ty) = (true, *ty),
            O::Increment(0) => return Err(invalid("INCREMENT must not be zero".to_owned())),
            O::Increment(by) => def.increment = *by,
            O::Min(value) => min = Some(*value),
            O::Max(value) => max = Some(*value),
            O::Start(value) => start = Some(*value),
            O::Restart(value) => restart = Some(*value),
            O::Cache(value) if *value <= 0 => {
                return Err(invalid(format!("CACHE ({value}) must be greater than zero")));
            }
            O::Cache(value) => def.cache = *value,
            O::Cycle(cycle) => def.cycle = *cycle,
            O::OwnedBy(owner) => extra.owner = Some(owner),
        }
    }
    let bounds = type_bounds(def.ty);
    let rises = def.increment > 0;
    // A bound that was the old type's becomes the new one's.
    let reset_max = creates || new_type && def.max == old.1;
    let reset_min = creates || new_type && def.min == old.0;
    def.max = match max {
        Some(Some(value)) => value,
        None if !reset_max => def.max,
        _ if rises => bounds.1,
        _ => -1,
    };
    def.min = match min {
        Some(Some(value)) => value,
        None if !reset_min => def.min,
        _ if rises => 1,
        _ => bounds.0,
    };
    for (what, value) in [("MAXVALUE", def.max), ("MINVALUE", def.min)] {
        if !(bounds.0..=bounds.1).contains(&value) {
            return Err(invalid(format!(
                "{what} ({value}) is out of range for sequence data type {}",
                def.ty
            )));
        }
    }
    if def.min >= def.max {
        return Err(invalid(format!("MINVALUE ({}) must be less than MAXVALUE ({})", def.min, def.max)));
    }
    def.start = match start {
        Some(start) => start,
        None if !creates => def.start,
        None if rises => def.min,
        None => def.max,
    };
    check_bounds("START", def.start, def)?;
    extra.restart = restart.map(|value| value.unwrap_or(def.start));
    Ok(extra)
}

fn check_bounds(what: &str, value: i64, def: &SequenceDef) -> Result<()> {
    if value < def.min {
        return Err(invalid(format!("{what} value ({value}) cannot be less than MINVALUE ({})", def.min)));
    }
    if value > def.max {
        return Err(invalid(format!("{what} value ({value}) cannot be greater than MAXVALUE ({})", def.max)));
    }
    Ok(())
}
