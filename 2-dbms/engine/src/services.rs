//! What running code may ask of its session: catalogue, compiled functions, settings, the clock, cancellation.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ecow::EcoString;
use tuplix_catalog::{Catalog, FunctionId};
use tuplix_functions::{Function, SessionInfo};
use tuplix_sql::analyze::{analyze_procedure, analyze_trigger};
use tuplix_types::{Result, Row, SqlError, TypeId, Value, sqlstate};

use crate::bind::{Binder, bind_statement};
use crate::exec::{CompiledProcedure, CompiledStatement, compile_procedure};
use crate::layout::Layout;
use crate::node::{Node, Schema, SessionFlags};
use crate::settings::Settings;
use crate::stop::{Run, Stop};
use crate::transaction::Transaction;

/// Dynamic statements (EXECUTE) kept compiled in a session.
const DYNAMIC_CACHE: usize = 200;

/// See the module.
pub struct Services {
    /// The node.
    pub node: Arc<Node>,
    /// The session's number.
    pub session_id: u32,
    /// The session's user.
    pub user: String,
    /// The database it asked for.
    pub database: String,
    /// Settings.
    pub settings: RefCell<Settings>,
    schema: RefCell<Arc<Schema>>,
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
    /// SET CONSTRAINTS of the block under way.
    pub(crate) constraint_modes: RefCell<crate::exec::ConstraintModes>,
}

/// A statement of PREPARE.
pub(crate) struct PreparedInfo {
    pub text: String,
    pub parameters: Vec<TypeId>,
    /// When, `timestamptz` microseconds.
    pub time_us: i64,
}

type DynamicCache = BTreeMap<(String, Vec<TypeId>), (u64, Arc<CompiledStatement>)>;

impl Services {
    /// The services of a new session.
    pub(crate) fn new(
        node: Arc<Node>,
        session_id: u32,
        user: String,
        database: String,
        flags: Arc<SessionFlags>,
    ) -> Services {
        let schema = node.schema();
        Services {
            node,
            session_id,
            user,
            database,
            settings: RefCell::new(Settings::default()),
            schema: RefCell::new(schema),
            flags,
            deadline_ns: Cell::new(None),
            dynamic: RefCell::new(BTreeMap::new()),
            prepared: RefCell::new(BTreeMap::new()),
            sequences: RefCell::default(),
            transitions: RefCell::default(),
            constraint_modes: RefCell::default(),
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
        if self.schema.borrow().version != self.node.catalog_version() {
            *self.schema.borrow_mut() = self.node.schema();
        }
    }

    /// Calls `use_it` with the catalogue.
    pub fn with_catalog<T>(&self, use_it: impl FnOnce(&Catalog) -> T) -> T {
        use_it(&self.schema().catalog)
    }

    /// Calls `use_it` with the layout.
    pub fn with_layout<T>(&self, use_it: impl FnOnce(&Layout) -> T) -> T {
        use_it(&self.schema.borrow().layout)
    }

    /// The schemas to look in.
    pub fn search_path(&self) -> Vec<String> {
        self.settings.borrow().search_path(&self.user)
    }

    /// A function, compiled under the catalogue of now.
    ///
    /// # Errors
    /// What binding the body finds; 42883 when the function was dropped.
    pub fn compiled_function(&self, id: FunctionId) -> Result<Arc<CompiledProcedure>> {
        let schema = self.schema();
        if let Some((version, compiled)) = self.node.procedures.lock().get(&id)
            && *version == schema.version
        {
            return Ok(compiled.clone());
        }
        let Some(function) = schema.catalog.function(id).cloned() else {
            let message = format!("function with OID {} does not exist", id.0);
            return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
        };
        if function.returns == TypeId::TRIGGER {
            let message = "trigger functions can only be called as triggers";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let path = self.search_path();
        let binder = Binder::new(&schema, &path);
        let procedure = analyze_procedure(&binder.context(), &function)?;
        let compiled = Arc::new(binder.with_compiler(|compiler| compile_procedure(compiler, &procedure))?);
        self.node.procedures.lock().insert(id, (schema.version, compiled.clone()));
        Ok(compiled)
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
        let path = self.search_path();
        let names = [&trigger.old_table, &trigger.new_table].into_iter().flatten().cloned().collect();
        let system = crate::system::WithTransitions::new(names, table);
        let binder = Binder::with_system(&schema, &path, &system);
        let procedure = analyze_trigger(&binder.context(), function, table)?;
        binder.with_compiler(|compiler| compile_procedure(compiler, &procedure))
    }

    /// A statement of EXECUTE, compiled and kept.
    ///
    /// # Errors
    /// What parsing, binding and compiling find.
    pub fn prepare_dynamic(&self, text: &str, types: &[TypeId]) -> Result<Arc<CompiledStatement>> {
        let schema = self.schema();
        let key = (text.to_owned(), types.to_vec());
        if let Some((version, compiled)) = self.dynamic.borrow().get(&key)
            && *version == schema.version
        {
            return Ok(compiled.clone());
        }
        let compiled = Arc::new(bind_statement(&schema, &self.search_path(), text, types)?);
        let mut cache = self.dynamic.borrow_mut();
        if cache.len() >= DYNAMIC_CACHE {
            cache.clear();
        }
        cache.insert(key, (schema.version, compiled.clone()));
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
        self.user.as_str().into()
    }

    fn current_database(&self) -> EcoString {
        self.database.as_str().into()
    }

    fn search_path(&self) -> Vec<EcoString> {
        let schema = self.schema();
        let path = Services::search_path(self);
        path.iter()
            .filter(|name| schema.catalog.schema(name).is_some())
            .map(|name| name.as_str().into())
            .collect()
    }

    fn setting(&self, name: &str) -> Option<EcoString> {
        self.settings.borrow().get(name).map(EcoString::from)
    }

    fn set_setting(&self, name: &str, value: Option<&str>, local: bool) -> Result<EcoString> {
        let mut settings = self.settings.borrow_mut();
        match value {
            Some(value) => settings.set(name, value, local, true)?,
            None => settings.reset(Some(name), true)?,
        }
        Ok(settings.get(name).unwrap_or_default().into())
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

    fn call_engine(&self, function: &Function, _args: &[Value]) -> Result<Value> {
        Err(SqlError::internal(format!("function {} was not dispatched to the engine", function.name)))
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Services(session {})", self.session_id)
    }
}
