//! What running code may ask of its session: catalogue, compiled functions, settings, the clock, cancellation.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ecow::EcoString;
use tuplix_catalog::{Catalog, FunctionDef, FunctionId, RoleId};
use tuplix_functions::{Function, SessionInfo};
use tuplix_sql::analyze::{Reader, analyze_do, analyze_procedure, analyze_trigger};
use tuplix_types::{EnumValue, Result, Row, SqlError, TypeId, Value, sqlstate};

use crate::bind::{Binder, bind_statement};
use crate::exec::{CompileContext, CompiledProcedure, CompiledStatement, Source, compile_procedure};
use crate::identity::Identity;
use crate::layout::Layout;
use crate::node::{Node, Schema, SessionFlags};
use crate::procedures::Procedures;
use crate::session_locks::SessionLocks;
use crate::settings::Settings;
use crate::stop::{Run, Stop};
use crate::transaction::Transaction;

/// Followed by the session's number: the schema of its temporary tables.
pub(crate) const TEMPORARY_SCHEMA: &str = "pg_temp_";
/// Dynamic statements (EXECUTE) kept compiled in a session.
const DYNAMIC_CACHE: usize = 200;

/// See the module.
pub struct Services {
    /// The node.
    pub node: Arc<Node>,
    /// The session's number.
    pub session_id: u32,
    /// Who the session is.
    pub(crate) identity: Identity,
    /// The database it asked for.
    pub database: String,
    /// Settings.
    pub settings: RefCell<Settings>,
    schema: RefCell<Arc<Schema>>,
    /// The transaction has a catalogue of its own: the version of the node's under which it is good; 0 without one.
    private_base: Cell<u64>,
    /// Functions compiled under it.
    private_procedures: RefCell<Procedures>,
    /// The schemas of the search path that are there, for a version of the catalogue and of the settings.
    pub(crate) path: RefCell<(u64, u64, Arc<[String]>)>,
    /// DO blocks, triggers' functions and functions that are no longer there, all of them running, compiled under it.
    private_sources: RefCell<Vec<Recompiled>>,
    pub(crate) flags: Arc<SessionFlags>,
    /// When the running statement is to be ended.
    pub(crate) deadline_ns: Cell<Option<u64>>,
    dynamic: RefCell<DynamicCache>,
    /// What PREPARE has prepared, for `pg_prepared_statements`.
    pub(crate) prepared: RefCell<BTreeMap<String, PreparedInfo>>,
    /// The sequences used so far.
    pub(crate) sequences: RefCell<crate::sequences::UsedSequences>,
    /// Transition tables of the triggers under way, innermost last.
    pub(crate) transitions: RefCell<Vec<Vec<crate::exec::Transition>>>,
    /// The tables whose triggers run, innermost last.
    pub(crate) firing: RefCell<Vec<tuplix_catalog::TableId>>,
    /// The client's rows, for the COPY FROM under way.
    pub(crate) copied: RefCell<Option<Vec<Vec<tuplix_types::Value>>>>,
    /// How far it has come.
    pub(crate) copy_progress: crate::session::CopyProgress,
    /// SET CONSTRAINTS of the block under way.
    pub(crate) constraint_modes: RefCell<crate::exec::ConstraintModes>,
    /// Cursors.
    pub(crate) portals: RefCell<crate::portal::Portals>,
    /// What `pg_locks` is made of, as the running statement has found it.
    pub(crate) seen_locks: RefCell<Vec<crate::system::HeldLock>>,
    /// `pg_sleep` of the statement under way.
    pub(crate) sleeps: crate::sleep::Sleeps,
    /// Advisory locks until they are given back.
    pub(crate) session_locks: RefCell<SessionLocks>,
}

/// A body that was compiled again.
struct Recompiled {
    version: u64,
    source: Source,
    compiled: Arc<CompiledProcedure>,
}

/// A statement of PREPARE.
pub(crate) struct PreparedInfo {
    pub text: String,
    pub parameters: Vec<TypeId>,
    /// When, `timestamptz` microseconds.
    pub time_us: i64,
}

/// What was compiled, under which path, and for whom alone.
type Dynamic = (u64, Arc<[String]>, Option<Reader>, Arc<CompiledStatement>);
/// By text, types of parameters, and whether it is a cursor's.
type DynamicCache = BTreeMap<(String, Vec<TypeId>, bool), Dynamic>;

impl Services {
    /// The services of a new session.
    pub(crate) fn new(
        node: Arc<Node>,
        session_id: u32,
        role: RoleId,
        database: String,
        flags: Arc<SessionFlags>,
    ) -> Services {
        let schema = node.schema();
        Services {
            node,
            session_id,
            identity: Identity::new(role),
            database,
            settings: RefCell::new(Settings::default()),
            schema: RefCell::new(schema),
            private_base: Cell::new(0),
            private_procedures: RefCell::default(),
            path: RefCell::new((0, 0, Arc::default())),
            private_sources: RefCell::default(),
            flags,
            deadline_ns: Cell::new(None),
            dynamic: RefCell::new(BTreeMap::new()),
            prepared: RefCell::new(BTreeMap::new()),
            sequences: RefCell::default(),
            transitions: RefCell::default(),
            firing: RefCell::default(),
            copied: RefCell::default(),
            copy_progress: Default::default(),
            constraint_modes: RefCell::default(),
            portals: RefCell::default(),
            seen_locks: RefCell::default(),
            sleeps: Default::default(),
            session_locks: RefCell::default(),
        }
    }

    /// The catalogue and layout as of the last [`Services::refresh`].
    pub fn schema(&self) -> Arc<Schema> {
        self.schema.borrow().clone()
    }

    /// The version of [`Services::schema`].
    #[inline]
    pub fn schema_version(&self) -> u64 {
        self.schema.borrow().version
    }

    /// Looks at the node's catalogue as it is now.
    pub(crate) fn refresh(&self) {
        if self.private_base.get() == 0 && self.schema.borrow().version != self.node.catalog_version() {
            *self.schema.borrow_mut() = self.node.schema();
        }
    }

    /// The version that code has to be compiled under to run now.
    #[inline]
    pub(crate) fn current_version(&self) -> u64 {
        if self.private_base.get() == 0 { self.node.catalog_version() } else { self.schema_version() }
    }

    /// The node's version under which code compiled under `version` may run.
    #[inline]
    pub(crate) fn base_of(&self, version: u64) -> u64 {
        match self.private_base.get() {
            0 => version,
            base => base,
        }
    }

    /// Whether code of this version is of another catalogue than the transaction's own.
    #[inline]
    pub(crate) fn is_stale(&self, version: u64) -> bool {
        self.private_base.get() != 0 && self.schema_version() != version
    }

    /// Looks at a transaction's own catalogue from now on, good under `base`.
    pub(crate) fn use_private(&self, schema: Arc<Schema>, base: u64) {
        self.private_base.set(base);
        self.show_private(schema);
    }

    /// The node's catalogue has changed in a way that the own one knows of.
    pub(crate) fn rebase_private(&self, base: u64) {
        self.private_base.set(base);
    }

    /// The transaction's own catalogue has changed.
    pub(crate) fn show_private(&self, schema: Arc<Schema>) {
        *self.schema.borrow_mut() = schema;
    }

    /// Looks at the node's catalogue again.
    pub(crate) fn use_shared(&self) {
        self.private_base.set(0);
        self.private_procedures.borrow_mut().clear();
        self.private_sources.borrow_mut().clear();
        // Its versions may be given to other catalogues.
        self.path.borrow_mut().0 = 0;
        self.refresh();
    }

    /// An error with the names of types in the place of their ids.
    pub(crate) fn named(&self, error: SqlError) -> SqlError {
        if !crate::user_types::names_types(&error) {
            return error;
        }
        let path = Services::search_path(self);
        self.with_catalog(|catalog| crate::user_types::named(catalog, &path, error))
    }

    /// Calls `use_it` with the catalogue.
    pub fn with_catalog<T>(&self, use_it: impl FnOnce(&Catalog) -> T) -> T {
        use_it(&self.schema().catalog)
    }

    /// Calls `use_it` with the layout.
    pub fn with_layout<T>(&self, use_it: impl FnOnce(&Layout) -> T) -> T {
        use_it(&self.schema.borrow().layout)
    }

    /// The schemas to look in: that of the session's temporary tables first, when it has any.
    pub fn search_path(&self) -> Vec<String> {
        let schema = self.schema();
        let user = schema.catalog.role(self.current_role()).map_or("", |role| &role.name);
        self.with_temporary(self.settings.borrow().search_path(user))
    }

    /// As whom a statement is bound now.
    pub(crate) fn reader(&self) -> Reader {
        let row_security = self.settings.borrow().get("row_security") != Some("off");
        Reader { role: self.current_role(), row_security }
    }

    /// Whether what was bound may run as who the session is now.
    #[inline(always)]
    pub(crate) fn fits(&self, bound_to: Option<Reader>) -> bool {
        bound_to.is_none_or(|reader| reader == self.reader())
    }

    /// A binder with the session's settings.
    pub(crate) fn binder<'s>(&self, schema: &'s Schema, path: &'s [String]) -> Binder<'s> {
        Binder::new(schema, path).automatic_statistics(self.automatic_statistics()).read_by(self.reader())
    }

    /// Whether columns are sampled for plans that nobody has analysed.
    pub(crate) fn automatic_statistics(&self) -> bool {
        self.settings.borrow().automatic_statistics()
    }

    /// The schema of the session's temporary tables, whether it is there or not.
    pub(crate) fn temporary_schema(&self) -> String {
        format!("{TEMPORARY_SCHEMA}{}", self.session_id)
    }

    /// A path with the schema of the session's temporary tables at its head, when there is one.
    pub(crate) fn with_temporary(&self, mut path: Vec<String>) -> Vec<String> {
        let temporary = self.temporary_schema();
        path.retain(|schema| *schema != temporary && schema != "pg_temp");
        if self.schema.borrow().catalog.schema(&temporary).is_some() {
            path.insert(0, temporary);
        }
        path
    }

    /// A function, compiled under the catalogue of now.
    ///
    /// # Errors
    /// What binding the body finds; 42883 when the function was dropped.
    pub fn compiled_function(&self, id: FunctionId) -> Result<Arc<CompiledProcedure>> {
        let schema = self.schema();
        if let Some(compiled) = self.kept_function(id, schema.version) {
            return Ok(compiled);
        }
        if id.is_special()
            && schema.catalog.function(id).is_none()
            && let Some(again) = self.special_again(id)
        {
            return again;
        }
        let domain = || crate::user_types::domain_function(&schema.catalog, id).map(Arc::new);
        let Some(function) = schema.catalog.function(id).cloned().or_else(domain) else {
            let message = format!("function with OID {} does not exist", id.0);
            return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
        };
        if function.returns == TypeId::TRIGGER {
            let message = "trigger functions can only be called as triggers";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let compiled = self.compile_function(&schema, &function, None)?;
        let path = self.effective_path();
        if self.private_base.get() == 0 {
            self.node.procedures.lock().put(id, schema.version, path, compiled.clone());
        } else {
            self.private_procedures.borrow_mut().put(id, schema.version, path, compiled.clone());
        }
        Ok(compiled)
    }

    fn compile_function(
        &self,
        schema: &Schema,
        function: &FunctionDef,
        source: Option<Source>,
    ) -> Result<Arc<CompiledProcedure>> {
        let path = self.path_of_function(function).unwrap_or_else(|| self.search_path());
        let definer = function.security_definer.then(|| schema.catalog.owner(function.owned()));
        let reader = definer.map_or_else(|| self.reader(), |role| Reader { role, row_security: true });
        let binder = self.binder(schema, &path).read_by(reader);
        let procedure = analyze_procedure(&binder.context(), function)?;
        let compile =
            |compiler: &CompileContext<'_>| compile_procedure(compiler, &procedure, schema.version, source);
        let mut compiled = binder.with_compiler(compile)?;
        compiled.runs_as = definer;
        compiled.bound_to = binder.bound_to().filter(|_| definer.is_none());
        Ok(Arc::new(compiled))
    }

    /// A function made for a kind of call, also when the catalogue has another version than the call.
    ///
    /// # Errors
    /// As [`Services::compiled_function`].
    pub(crate) fn compiled_special(&self, id: FunctionId, source: &Source) -> Result<Arc<CompiledProcedure>> {
        let is_known = self.schema().catalog.function(id).is_some();
        if is_known { self.compiled_function(id) } else { self.recompiled(source) }
    }

    /// A function made for a kind of call, which the catalogue has forgotten since the call was compiled.
    fn special_again(&self, id: FunctionId) -> Option<Result<Arc<CompiledProcedure>>> {
        let of = |procedures: &Procedures| procedures.any(id).and_then(|compiled| compiled.source().cloned());
        let own = of(&self.private_procedures.borrow());
        let source = own.or_else(|| of(&self.node.procedures.lock()))?;
        Some(self.recompiled(&source))
    }

    /// A trigger's function, compiled for its table.
    ///
    /// # Errors
    /// What binding the body finds.
    pub(crate) fn compile_trigger(
        &self,
        trigger: &tuplix_catalog::TriggerDef,
        table: &tuplix_catalog::TableDef,
    ) -> Result<CompiledProcedure> {
        let schema = self.schema();
        let Some(function) = schema.catalog.function(trigger.function) else {
            let message = format!("function with OID {} does not exist", trigger.function.0);
            return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
        };
        self.compile_trigger_of(&schema, function, trigger, table)
    }

    fn compile_trigger_of(
        &self,
        schema: &Schema,
        function: &FunctionDef,
        trigger: &tuplix_catalog::TriggerDef,
        table: &tuplix_catalog::TableDef,
    ) -> Result<CompiledProcedure> {
        let path = self.path_of_function(function).unwrap_or_else(|| self.search_path());
        let names = [&trigger.old_table, &trigger.new_table].into_iter().flatten().cloned().collect();
        let system = crate::system::WithTransitions::new(names, table);
        let definer = function.security_definer.then(|| schema.catalog.owner(function.owned()));
        let reader = definer.map_or_else(|| self.reader(), |role| Reader { role, row_security: true });
        let binder = Binder::with_system(schema, &path, &system)
            .automatic_statistics(self.automatic_statistics())
            .read_by(reader);
        let procedure = analyze_trigger(&binder.context(), function, table)?;
        let source = Source::Trigger(Arc::new((function.clone(), trigger.clone(), table.id)));
        let compile = |compiler: &CompileContext<'_>| {
            compile_procedure(compiler, &procedure, schema.version, Some(source))
        };
        let mut compiled = binder.with_compiler(compile)?;
        compiled.runs_as = definer;
        compiled.bound_to = binder.bound_to().filter(|_| definer.is_none());
        Ok(compiled)
    }

    /// A body as the transaction's own catalogue makes it now.
    ///
    /// # Errors
    /// As [`Services::compiled_function`].
    pub(crate) fn recompiled(&self, source: &Source) -> Result<Arc<CompiledProcedure>> {
        let schema = self.schema();
        if let Source::Function { definition, is_special } = source {
            if *is_special && let Some(id) = schema.catalog.specialise(FunctionDef::clone(definition)) {
                return self.compiled_function(id);
            }
            let now = schema.catalog.function(definition.id);
            if now.is_some_and(|now| now.version == definition.version) {
                return self.compiled_function(definition.id);
            }
        }
        let known = |entry: &&Recompiled| {
            entry.version == schema.version && entry.source.is(source) && self.fits(entry.compiled.bound_to)
        };
        if let Some(entry) = self.private_sources.borrow().iter().find(known) {
            return Ok(entry.compiled.clone());
        }
        let compiled = match source {
            Source::Function { definition, .. } => {
                self.compile_function(&schema, definition, Some(source.clone()))?
            }
            Source::Trigger(made) => {
                let (function, trigger, table) = &**made;
                let Some(table) = schema.catalog.table(*table) else {
                    let message = format!("relation with OID {} does not exist", table.0);
                    return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message));
                };
                Arc::new(self.compile_trigger_of(&schema, function, trigger, table)?)
            }
            Source::Do(text) => Arc::new(self.compile_do(&schema, text)?),
        };
        let mut sources = self.private_sources.borrow_mut();
        sources.retain(|entry| entry.version == schema.version);
        let entry =
            Recompiled { version: schema.version, source: source.clone(), compiled: compiled.clone() };
        sources.push(entry);
        Ok(compiled)
    }

    /// The block of a DO statement.
    ///
    /// # Errors
    /// What analysing and compiling find.
    pub(crate) fn compile_do(&self, schema: &Schema, text: &str) -> Result<CompiledProcedure> {
        let path = self.search_path();
        let binder = self.binder(schema, &path);
        let procedure = analyze_do(&binder.context(), text)?;
        let source = Some(Source::Do(text.into()));
        let compile =
            |compiler: &CompileContext<'_>| compile_procedure(compiler, &procedure, schema.version, source);
        let mut compiled = binder.with_compiler(compile)?;
        compiled.bound_to = binder.bound_to();
        Ok(compiled)
    }

    fn kept_function(&self, id: FunctionId, version: u64) -> Option<Arc<CompiledProcedure>> {
        self.with_effective_path(|path| {
            let fits = |bound_to| self.fits(bound_to);
            if self.private_base.get() == 0 {
                self.node.procedures.lock().get(id, version, path, fits)
            } else {
                self.private_procedures.borrow().get(id, version, path, fits)
            }
        })
    }

    /// A statement of EXECUTE, compiled and kept; with `for_cursor` that of a cursor.
    ///
    /// # Errors
    /// What parsing, binding and compiling find.
    pub fn prepare_dynamic(
        &self,
        text: &str,
        types: &[TypeId],
        for_cursor: bool,
    ) -> Result<Arc<CompiledStatement>> {
        let schema = self.schema();
        let key = (text.to_owned(), types.to_vec(), for_cursor);
        let path = self.effective_path();
        if let Some((version, under, bound_to, compiled)) = self.dynamic.borrow().get(&key)
            && *version == schema.version
            && *under == path
            && self.fits(*bound_to)
        {
            return Ok(compiled.clone());
        }
        let all = self.search_path();
        let (compiled, bound_to) = bind_statement(&schema, &all, self.reader(), text, types, for_cursor)?;
        let compiled = Arc::new(compiled);
        let mut cache = self.dynamic.borrow_mut();
        if cache.len() >= DYNAMIC_CACHE {
            cache.clear();
        }
        cache.insert(key, (schema.version, path, bound_to, compiled.clone()));
        Ok(compiled)
    }

    /// The rows of a table that the engine computes.
    ///
    /// # Errors
    /// 42P01 when there is none of this name.
    pub fn system_table(&self, schema: &str, name: &str) -> Result<Vec<Row>> {
        crate::system::rows(self, schema, name)
    }

    /// Ends the statement when it was cancelled or its time is over. Cheap: called at every loop edge.
    #[inline]
    pub fn check_interrupts(&self) -> Run<()> {
        if self.flags.cancel.load(Ordering::Relaxed) || self.deadline_ns.get().is_some() {
            return self.check_interrupts_slowly();
        }
        Ok(())
    }

    #[cold]
    fn check_interrupts_slowly(&self) -> Run<()> {
        if self.flags.cancel.load(Ordering::Relaxed) {
            let message = "canceling statement due to user request";
            return Err(SqlError::new(sqlstate::QUERY_CANCELED, message).into());
        }
        match self.deadline_ns.get() {
            Some(deadline) if self.node.machine().monotonic_ns() >= deadline => Err(Stop::Error(timed_out())),
            _ => Ok(()),
        }
    }

    /// A built-in function that needs the transaction or the node.
    ///
    /// # Errors
    /// The function's own; 0A000 when the engine has none of this symbol.
    pub fn engine_function(&self, symbol: &str, args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
        crate::engine_functions::call(self, symbol, args, tx)
    }
}

/// statement_timeout's error.
pub(crate) fn timed_out() -> SqlError {
    SqlError::new(sqlstate::QUERY_CANCELED, "canceling statement due to statement timeout")
}

impl SessionInfo for Services {
    fn current_user(&self) -> EcoString {
        self.role_name(self.current_role()).into()
    }

    fn session_user(&self) -> EcoString {
        self.role_name(self.session_role()).into()
    }

    fn current_database(&self) -> EcoString {
        self.database.as_str().into()
    }

    fn search_path(&self) -> Vec<EcoString> {
        let schema = self.schema();
        let path = Services::search_path(self);
        path.iter()
            .filter(|name| schema.catalog.schema(name).is_some() && !name.starts_with(TEMPORARY_SCHEMA))
            .map(|name| name.as_str().into())
            .collect()
    }

    fn setting(&self, name: &str) -> Option<EcoString> {
        self.settings.borrow().get(name).map(EcoString::from)
    }

    fn set_setting(&self, name: &str, value: Option<&str>, local: bool) -> Result<EcoString> {
        self.assign(name, value, local, true)?;
        Ok(self.settings.borrow().get(name).unwrap_or_default().into())
    }

    fn clock_us(&self) -> i64 {
        self.node.machine().now_us()
    }

    fn backend_pid(&self) -> i32 {
        self.session_id as i32
    }

    fn object_name(&self, reg_type: TypeId, oid: u32) -> Option<EcoString> {
        crate::system::object_name(self, reg_type, oid).map(EcoString::from)
    }

    fn object_id(&self, reg_type: TypeId, name: &str) -> Result<Option<u32>> {
        crate::system::object_id(self, reg_type, name).map(Some)
    }

    fn listening_channels(&self) -> Vec<String> {
        self.node.listeners.channels(self.session_id)
    }

    fn enum_values(&self, enum_type: TypeId) -> Option<Vec<EnumValue>> {
        let schema = self.schema();
        let labels = schema.catalog.user_type(enum_type)?.labels()?;
        Some(labels.iter().map(|label| EnumValue { order: label.order, ty: enum_type }).collect())
    }

    fn composite_columns(&self, composite: TypeId) -> Option<Vec<(EcoString, TypeId)>> {
        let fields = self.schema().catalog.row_fields(composite)?;
        Some(fields.into_iter().map(|field| (field.name.into(), field.ty)).collect())
    }

    fn type_name(&self, user_type: TypeId) -> Option<EcoString> {
        let path = Services::search_path(self);
        self.schema().catalog.type_name(user_type, Some(&path)).map(EcoString::from)
    }

    fn parse_user_type(&self, id: TypeId, text: &str) -> Result<Value> {
        let schema = self.schema();
        let io = tuplix_types::IoContext { labels: Some(schema.clone()), ..Default::default() };
        let mut check = |domain: TypeId, value: &Value| {
            let def = schema.catalog.domain(domain);
            let free = def.is_some_and(|def| def.checks.is_empty() && !(def.not_null && value.is_null()));
            let refused = || SqlError::unsupported(format_args!("a value of the domain {domain} here"));
            if free { Ok(()) } else { Err(Stop::Error(refused())) }
        };
        match crate::user_types::parse(&schema.catalog, &io, (id, -1), text, &mut check) {
            Ok(value) => Ok(value),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Restart) => Err(SqlError::internal("reading a text does not restart")),
        }
    }

    fn call_engine(&self, function: &Function, _args: &[Value]) -> Result<Value> {
        Err(SqlError::internal(format!("function {} was not dispatched to the engine", function.name)))
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Services(session {})", self.session_id)
    }
}
