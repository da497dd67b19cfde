//! Who may do DDL: owners, and who has CREATE where something is made. Objects belong to who makes them.

use tuplix_catalog::{
    CLASS_DATABASE, CLASS_RELATION, CLASS_TYPE, CatalogChange, Described, Holder, Owned, Privileges, Rights,
    RightsKind, TableDef,
};
use tuplix_sql::plan::{
    AlterRoutine, AlterTable, Constraint, ConstraintKind, Ddl, DropKind, ObjectName, QualifiedName,
    RoutineKind, TypeDdl,
};
use tuplix_types::{Result, SqlError, sqlstate};

use super::Work;
use crate::exec::{Refused, relation_kind};
use crate::rights::{THE_DATABASE, schema as owned_schema, sequence as owned_sequence};

impl Work<'_, '_> {
    /// Whether the current role may execute a statement, as far as that does not depend on what it finds.
    pub(super) fn check_rights(&self, ddl: &Ddl) -> Result<()> {
        let holder = self.services.holder(&self.catalog);
        if holder.superuser {
            return Ok(());
        }
        match ddl {
            Ddl::Type(statement) => self.check_type_rights(&holder, statement),
            Ddl::CreateSchema { .. } => self.need_database(&holder, Privileges::CREATE),
            Ddl::CreateTable(create) => {
                self.check_keys(&holder, &create.constraints)?;
                match create.temporary {
                    Some(_) => self.need_database(&holder, Privileges::TEMPORARY),
                    None => self.need_create(&holder, &create.name),
                }
            }
            Ddl::CreateTableAs(create) => match create.temporary {
                Some(_) => self.need_database(&holder, Privileges::TEMPORARY),
                None => self.need_create(&holder, &create.name),
            },
            Ddl::CreateView(create) => {
                if create.or_replace {
                    self.need_table(&holder, &create.name)?;
                }
                match create.temporary {
                    true => self.need_database(&holder, Privileges::TEMPORARY),
                    false => self.need_create(&holder, &create.name),
                }
            }
            Ddl::CreateFunction(create) => {
                let types: Vec<_> = inputs(&create.arguments);
                if let Ok(id) = self.find_function(&create.name, Some(&types), RoutineKind::Routine)
                    && self.in_target(&create.name, id)
                {
                    self.need_function(&holder, id)?;
                }
                self.need_create(&holder, &create.name)
            }
            Ddl::CreateSequence { name, .. } => self.need_create(&holder, name),
            Ddl::CreateIndex(create) => self.need_table(&holder, &create.table),
            Ddl::CreateTrigger(create) => {
                self.need_privilege(&holder, &create.table, Privileges::TRIGGER)?;
                match self.find_function(&create.function, Some(&[]), RoutineKind::Function) {
                    Ok(id) => self.need_execute(&holder, id),
                    Err(_) => Ok(()),
                }
            }
            Ddl::Drop(drop) => drop
                .names
                .iter()
                .try_for_each(|(name, types)| self.check_drop(&holder, drop.kind, name, types.as_deref())),
            Ddl::Truncate { tables, .. } => {
                tables.iter().try_for_each(|table| self.need_privilege(&holder, table, Privileges::TRUNCATE))
            }
            Ddl::AlterSequence { name, .. } | Ddl::RenameSequence { name, .. } => {
                self.need_sequence(&holder, name)
            }
            Ddl::MoveSequence { name, schema, .. } => {
                self.need_sequence(&holder, name)?;
                self.need_create_in(&holder, schema)
            }
            Ddl::DropTrigger { name, table, if_exists } => {
                let gone = |table: &TableDef| !table.triggers.iter().any(|trigger| trigger.name == *name);
                match self.find_table(table) {
                    Ok(table) if *if_exists && gone(&table) => Ok(()),
                    _ => self.need_table(&holder, table),
                }
            }
            Ddl::RenameTrigger { table, .. } => self.need_table(&holder, table),
            Ddl::AlterTable { table, actions, .. } => self.check_alter(&holder, table, actions),
            Ddl::Refresh(refresh) => match self.catalog.table(refresh.table) {
                Some(table) => self.need_relation(&holder, table),
                None => Ok(()),
            },
            Ddl::Comment { target, .. } | Ddl::Owner { target, .. } => self.need_owner(&holder, target),
            Ddl::AlterRoutine { name, types, kind, change } => {
                let Ok(id) = self.find_function(name, types.as_deref(), *kind) else { return Ok(()) };
                self.need_function(&holder, id)?;
                match change {
                    AlterRoutine::SetSchema(schema) => self.need_create_in(&holder, schema),
                    AlterRoutine::Rename(_) => match self.catalog.function(id) {
                        Some(function) => self.need_create_in(&holder, &function.schema),
                        None => Ok(()),
                    },
                    AlterRoutine::Attributes { .. } => Ok(()),
                }
            }
            Ddl::RenameIndex { index, .. } | Ddl::IndexOptions { index, .. } => {
                self.need_index(&holder, index)
            }
            Ddl::Reindex { of_table: Some(true), name, .. } => self.need_table(&holder, name),
            Ddl::Reindex { of_table: Some(false), name, .. } => self.need_index(&holder, name),
            Ddl::Reindex { .. } => self.need_database_owner(&holder),
            Ddl::RenameSchema { from, .. } => {
                self.need_schema(&holder, from)?;
                self.need_database(&holder, Privileges::CREATE)
            }
            Ddl::Extension { name, create, .. } => {
                let doing = if *create { "create" } else { "drop" };
                let message = format!("permission denied to {doing} extension \"{name}\"");
                let error = SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message)
                    .hint(format!("Must be superuser to {doing} this extension."));
                Err(self.services.note_refusal(error, "SUPERUSER"))
            }
            Ddl::Analyze(statement) => {
                statement.tables.iter().try_for_each(|table| self.need_table(&holder, &table.name))?;
                if statement.tables.is_empty() { self.need_database_owner(&holder) } else { Ok(()) }
            }
            Ddl::Lock(lock) => {
                let writes = Privileges::UPDATE | Privileges::DELETE | Privileges::TRUNCATE;
                let weaker =
                    if lock.excludes { Privileges::NONE } else { Privileges::INSERT | Privileges::SELECT };
                lock.tables.iter().try_for_each(|name| self.need_any(&holder, name, writes | weaker))
            }
            // These ask themselves.
            Ddl::Role(_) | Ddl::Rights(_) => Ok(()),
        }
    }

    fn check_type_rights(&self, holder: &Holder, statement: &TypeDdl) -> Result<()> {
        match statement {
            TypeDdl::CreateEnum { name, .. } | TypeDdl::CreateComposite { name, .. } => {
                self.need_create(holder, name)
            }
            TypeDdl::CreateDomain(create) => self.need_create(holder, &create.name),
            TypeDdl::AddValue { name, .. }
            | TypeDdl::RenameValue { name, .. }
            | TypeDdl::Rename { name, .. }
            | TypeDdl::AlterDomain { name, .. }
            | TypeDdl::AlterFields { name, .. } => self.need_type(holder, name),
            TypeDdl::SetSchema { name, schema, .. } => {
                self.need_type(holder, name)?;
                self.need_create_in(holder, schema)
            }
            TypeDdl::Drop { names, .. } => names.iter().try_for_each(|name| self.need_type(holder, name)),
        }
    }

    fn check_alter(&self, holder: &Holder, name: &QualifiedName, actions: &[AlterTable]) -> Result<()> {
        let Ok(table) = self.find_table(name) else {
            // ALTER TABLE knows indexes and sequences too.
            self.need_index(holder, name)?;
            return self.need_sequence(holder, name);
        };
        self.need_relation(holder, &table)?;
        for action in actions {
            match action {
                AlterTable::AddConstraint(constraint) => {
                    self.check_keys(holder, std::slice::from_ref(constraint))?;
                }
                AlterTable::AddColumn { constraints, .. } => self.check_keys(holder, constraints)?,
                AlterTable::SetSchema(schema) => self.need_create_in(holder, schema)?,
                AlterTable::Rename(_) => self.need_create_in(holder, &table.schema)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn check_drop(
        &self,
        holder: &Holder,
        kind: DropKind,
        name: &QualifiedName,
        types: Option<&[tuplix_types::TypeId]>,
    ) -> Result<()> {
        self.check_usage(name)?;
        let routine = match kind {
            DropKind::Table | DropKind::View | DropKind::MaterializedView => {
                return match self.find_table(name) {
                    Ok(table) if !self.owns_schema(holder, &table.schema) => {
                        self.need_relation(holder, &table)
                    }
                    _ => Ok(()),
                };
            }
            DropKind::Sequence => {
                return match self.find_sequence(name) {
                    Ok(sequence) if !self.owns_schema(holder, &sequence.schema) => {
                        self.need_sequence(holder, name)
                    }
                    _ => Ok(()),
                };
            }
            DropKind::Index => return self.need_index(holder, name),
            DropKind::Schema => return self.need_schema(holder, &name.name),
            DropKind::Function => RoutineKind::Function,
            DropKind::Procedure => RoutineKind::Procedure,
            DropKind::Routine => RoutineKind::Routine,
        };
        let Ok(id) = self.find_function(name, types, routine) else { return Ok(()) };
        match self.catalog.function(id) {
            Some(function) if !self.owns_schema(holder, &function.schema) => self.need_function(holder, id),
            _ => Ok(()),
        }
    }

    /// Refuses who may not look into the schema that a name is written with.
    pub(super) fn check_usage(&self, name: &QualifiedName) -> Result<()> {
        let Some(schema) = name.schema.as_ref().and_then(|schema| self.catalog.schema(schema)) else {
            return Ok(());
        };
        let holder = self.services.holder(&self.catalog);
        if holder.may(&self.catalog, RightsKind::Schema, owned_schema(schema.oid), Privileges::USAGE) {
            return Ok(());
        }
        Err(self.services.refuse(Refused::new(&holder, "schema", &schema.name, "USAGE")))
    }

    fn owns_schema(&self, holder: &Holder, schema: &str) -> bool {
        let schema = self.catalog.schema(schema);
        schema.is_some_and(|schema| holder.has_rights_of(self.catalog.owner(owned_schema(schema.oid))))
    }

    fn need(&self, holder: &Holder, on: Owned, kind: &'static str, name: &str) -> Result<()> {
        match holder.has_rights_of(self.catalog.owner(on)) {
            true => Ok(()),
            false => Err(self.services.refuse(Refused::new(holder, kind, name, "OWNER"))),
        }
    }

    /// Refuses who does not own a table.
    pub(crate) fn need_relation(&self, holder: &Holder, table: &TableDef) -> Result<()> {
        self.need(holder, table.owned(), relation_kind(table), &table.name)
    }

    fn need_table(&self, holder: &Holder, name: &QualifiedName) -> Result<()> {
        self.find_table(name).map_or(Ok(()), |table| self.need_relation(holder, &table))
    }

    fn need_index(&self, holder: &Holder, name: &QualifiedName) -> Result<()> {
        match self.find_index(name) {
            Some(table) => self.need(holder, table.owned(), "index", &name.name),
            None => Ok(()),
        }
    }

    fn need_sequence(&self, holder: &Holder, name: &QualifiedName) -> Result<()> {
        match self.find_sequence(name) {
            Ok(found) => self.need(holder, owned_sequence(&found), "sequence", &found.name),
            Err(_) => Ok(()),
        }
    }

    /// Refuses who does not own a function.
    pub(crate) fn need_function(&self, holder: &Holder, id: tuplix_catalog::FunctionId) -> Result<()> {
        let Some(function) = self.catalog.function(id) else { return Ok(()) };
        let kind = if function.is_procedure { "procedure" } else { "function" };
        self.need(holder, function.owned(), kind, &function.name)
    }

    fn need_execute(&self, holder: &Holder, id: tuplix_catalog::FunctionId) -> Result<()> {
        let Some(function) = self.catalog.function(id) else { return Ok(()) };
        match holder.may(&self.catalog, RightsKind::Function, function.owned(), Privileges::EXECUTE) {
            true => Ok(()),
            false => Err(self.services.refuse(Refused::new(holder, "function", &function.name, "EXECUTE"))),
        }
    }

    fn need_type(&self, holder: &Holder, name: &QualifiedName) -> Result<()> {
        let Ok(found) = self.find_type(name) else { return Ok(()) };
        let on = Owned { class: CLASS_TYPE, object: found.id.0 };
        self.need(holder, on, "type", &found.name)
    }

    fn need_schema(&self, holder: &Holder, name: &str) -> Result<()> {
        match self.catalog.schema(name) {
            Some(schema) => self.need(holder, owned_schema(schema.oid), "schema", name),
            None => Ok(()),
        }
    }

    fn need_database_owner(&self, holder: &Holder) -> Result<()> {
        self.need(holder, THE_DATABASE, "database", &self.services.database)
    }

    /// Refuses who does not own what a statement names.
    fn need_owner(&self, holder: &Holder, target: &ObjectName) -> Result<()> {
        match target {
            ObjectName::Table(name)
            | ObjectName::View(name)
            | ObjectName::MaterializedView(name)
            | ObjectName::Column(name, _)
            | ObjectName::Constraint(name, _)
            | ObjectName::Trigger(name, _) => self.need_table(holder, name),
            ObjectName::Index(name) => self.need_index(holder, name),
            ObjectName::Sequence(name) => self.need_sequence(holder, name),
            ObjectName::Type(name) | ObjectName::Domain(name) | ObjectName::DomainConstraint(name, _) => {
                self.need_type(holder, name)
            }
            ObjectName::Schema(name) => self.need_schema(holder, name),
            ObjectName::Database(_) => self.need_database_owner(holder),
            ObjectName::Function(name, types, kind) => {
                match self.find_function(name, types.as_deref(), *kind) {
                    Ok(id) => self.need_function(holder, id),
                    Err(_) => Ok(()),
                }
            }
        }
    }

    fn need_database(&self, holder: &Holder, wanted: Privileges) -> Result<()> {
        if holder.may(&self.catalog, RightsKind::Database, THE_DATABASE, wanted) {
            return Ok(());
        }
        let name = if wanted == Privileges::CREATE { "CREATE" } else { "TEMPORARY" };
        Err(self.services.refuse(Refused::new(holder, "database", &self.services.database, name)))
    }

    /// Refuses who may not create in the schema that a new object goes into.
    fn need_create(&self, holder: &Holder, name: &QualifiedName) -> Result<()> {
        match self.target_schema(name) {
            Ok(schema) => self.need_create_in(holder, &schema),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn need_create_in(&self, holder: &Holder, schema: &str) -> Result<()> {
        let Some(found) = self.catalog.schema(schema) else { return Ok(()) };
        if holder.may(&self.catalog, RightsKind::Schema, owned_schema(found.oid), Privileges::CREATE) {
            return Ok(());
        }
        Err(self.services.refuse(Refused::new(holder, "schema", schema, "CREATE")))
    }

    fn need_privilege(&self, holder: &Holder, name: &QualifiedName, wanted: Privileges) -> Result<()> {
        self.need_any(holder, name, wanted)
    }

    fn need_any(&self, holder: &Holder, name: &QualifiedName, any: Privileges) -> Result<()> {
        let Ok(table) = self.find_table(name) else { return Ok(()) };
        let has = holder.privileges_on(&self.catalog, RightsKind::Table, table.owned());
        if !(has & any).is_empty() {
            return Ok(());
        }
        let lacks = any.each().next().map_or("", |(_, _, name)| name);
        Err(self.services.refuse(Refused::new(holder, relation_kind(&table), &table.name, lacks)))
    }

    /// REFERENCES on the columns that foreign keys refer to.
    fn check_keys(&self, holder: &Holder, constraints: &[Constraint]) -> Result<()> {
        for constraint in constraints {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
            let Ok(parent) = self.find_table(&key.parent) else { continue };
            let has = holder.privileges_on(&self.catalog, RightsKind::Table, parent.owned());
            if has.contains(Privileges::REFERENCES) {
                continue;
            }
            let columns: Vec<usize> = match &key.parent_columns[..] {
                [] => {
                    parent.primary_key().iter().flat_map(|key| &key.columns).map(|key| key.column).collect()
                }
                names => names.iter().filter_map(|name| parent.column(name)).collect(),
            };
            let on_column = |column: &usize| {
                let number = *column as u32 + 1;
                let has = holder.privileges_on_column(&self.catalog, parent.owned(), number);
                has.contains(Privileges::REFERENCES)
            };
            if columns.is_empty() || !columns.iter().all(on_column) {
                let refused = Refused::new(holder, relation_kind(&parent), &parent.name, "REFERENCES");
                return Err(self.services.refuse(refused));
            }
        }
        Ok(())
    }

    fn in_target(&self, name: &QualifiedName, id: tuplix_catalog::FunctionId) -> bool {
        let schema = self.target_schema(name).ok();
        self.catalog.function(id).is_some_and(|function| Some(&function.schema) == schema.as_ref())
    }

    /// What a change makes that is not there yet, with its kind and the schema that it is in.
    pub(super) fn made_by(&self, change: &CatalogChange) -> Option<(Owned, RightsKind, Option<u32>)> {
        let in_schema = |name: &str| self.catalog.schema(name).map(|schema| schema.oid);
        match change {
            CatalogChange::PutTable(table) | CatalogChange::RewriteTable(table) => {
                let is_new = self.catalog.table(table.id).is_none();
                is_new.then(|| (table.owned(), RightsKind::Table, in_schema(&table.schema)))
            }
            CatalogChange::PutFunction(function) => {
                let is_new = self.catalog.function(function.id).is_none();
                is_new.then(|| (function.owned(), RightsKind::Function, in_schema(&function.schema)))
            }
            CatalogChange::PutSequence(sequence) => {
                let is_new = self.catalog.sequence(sequence.id).is_none();
                is_new.then(|| (owned_sequence(sequence), RightsKind::Sequence, in_schema(&sequence.schema)))
            }
            CatalogChange::PutSchema(schema) => {
                let is_new = !self.catalog.schemas().any(|other| other.oid == schema.oid);
                is_new.then(|| (owned_schema(schema.oid), RightsKind::Schema, None))
            }
            CatalogChange::PutType(ty) => {
                let is_new = self.catalog.user_type(ty.id).is_none();
                let on = Owned { class: CLASS_TYPE, object: ty.id.0 };
                is_new.then(|| (on, RightsKind::Type, in_schema(&ty.schema)))
            }
            _ => None,
        }
    }

    /// Gives a new object to who has made it.
    pub(super) fn own(&mut self, on: Owned, kind: RightsKind, schema: Option<u32>) {
        let owner = self.services.current_role();
        let acl = self.catalog.acl_of_new(owner, schema, kind);
        if owner != self.catalog.owner(on) || acl.is_some() {
            self.change(CatalogChange::PutRights(Rights { on, owner, acl, columns: Default::default() }));
        }
    }

    /// Whether rights are of something temporary.
    pub(super) fn is_of_temporary(&self, on: Owned) -> bool {
        let temporary = |schema: &str| schema.starts_with(crate::services::TEMPORARY_SCHEMA);
        match on.class {
            CLASS_RELATION => {
                let table = self.catalog.table(tuplix_catalog::TableId(on.object));
                let sequence = self.catalog.sequence(tuplix_catalog::SequenceId(on.object));
                table.is_some_and(|table| table.temporary.is_some())
                    || sequence.is_some_and(|sequence| temporary(&sequence.schema))
            }
            tuplix_catalog::CLASS_SCHEMA => {
                let mut schemas = self.catalog.schemas();
                schemas.any(|schema| schema.oid == on.object && temporary(&schema.name))
            }
            _ => false,
        }
    }

    /// The object of a statement about an owner; `None`: it has no owner of its own.
    pub(super) fn owned_by_name(&mut self, target: &ObjectName) -> Result<Option<Owned>> {
        let Described { class, object, .. } = self.described(target)?;
        let is_index = matches!(target, ObjectName::Index(_));
        Ok((!is_index && class != CLASS_DATABASE).then_some(Owned { class, object }))
    }
}

fn inputs(arguments: &[tuplix_catalog::ArgumentDef]) -> Vec<tuplix_types::TypeId> {
    use tuplix_catalog::ArgumentMode::{In, InOut, Variadic};
    let given = arguments.iter().filter(|argument| matches!(argument.mode, In | InOut | Variadic));
    given.map(|argument| argument.ty).collect()
}
