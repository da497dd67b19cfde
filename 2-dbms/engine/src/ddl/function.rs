//! CREATE FUNCTION and CREATE PROCEDURE.

use tuplix_catalog::{CatalogChange, FunctionDef, FunctionId, Language};
use tuplix_sql::analyze::analyze_procedure;
use tuplix_sql::plan::{CreateFunction, FunctionSetting};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Work;
use crate::bind::Binder;
use crate::layout::Layout;
use crate::node::Schema;
use crate::settings::Settings;
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn create_function(&mut self, create: &CreateFunction) -> Run<&'static str> {
        let schema = self.target_schema(&create.name)?;
        let mut function = FunctionDef {
            id: FunctionId(0),
            schema,
            name: create.name.name.clone(),
            version: 1,
            arguments: create.arguments.clone(),
            returns: create.returns,
            returns_set: create.returns_set,
            is_procedure: create.is_procedure,
            language: create.language,
            body: create.body.clone(),
            volatility: create.volatility,
            strict: create.strict,
            security_definer: create.security_definer,
            distribution_argument: None,
            settings: self.function_settings(Vec::new(), &create.settings)?,
            hints: create.hints.clone(),
        };
        match self.existing(&function) {
            None => function.id = FunctionId(self.catalog.allocate_oid()),
            Some(old) => {
                check_replacement(create, &old)?;
                function.id = old.id;
                function.version = old.version + 1;
                function.distribution_argument = old.distribution_argument;
            }
        }
        self.check_body(&function)?;
        self.change(CatalogChange::PutFunction(function));
        Ok(if create.is_procedure { "CREATE PROCEDURE" } else { "CREATE FUNCTION" })
    }

    /// The settings of a function after SET and RESET clauses.
    pub(super) fn function_settings(
        &self,
        mut settings: Vec<(String, String)>,
        clauses: &[FunctionSetting],
    ) -> Result<Vec<(String, String)>> {
        let current = self.services.settings.borrow();
        for clause in clauses {
            let (name, value) = match clause {
                FunctionSetting::ResetAll => {
                    settings.clear();
                    continue;
                }
                FunctionSetting::Reset(name) => {
                    current.show(name)?;
                    (name, None)
                }
                FunctionSetting::Current(name) => (name, Some(current.show(name)?.to_owned())),
                FunctionSetting::Set(name, values) => (name, Some(Settings::listed(name, values))),
            };
            if matches!(name.to_ascii_lowercase().as_str(), "role" | "session_authorization") {
                let what = format!("{name} in a function's SET clause");
                return Err(SqlError::unsupported(what).hint("SECURITY DEFINER runs it as its owner."));
            }
            let place = settings.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
            match (place, value) {
                (Some(place), Some(value)) => settings[place].1 = value,
                (Some(place), None) => drop(settings.remove(place)),
                (None, Some(value)) => settings.push((current.checked_name(name, &value)?, value)),
                (None, None) => {}
            }
        }
        Ok(settings)
    }

    fn existing(&self, function: &FunctionDef) -> Option<FunctionDef> {
        let inputs = |function: &FunctionDef| function.inputs().map(|input| input.ty).collect::<Vec<_>>();
        let wanted = inputs(function);
        self.catalog
            .functions_named(&function.schema, &function.name)
            .find(|other| inputs(other) == wanted)
            .map(|other| FunctionDef::clone(other))
    }

    /// The body is analysed; the SQL inside of PL/pgSQL may be wrong until it is reached.
    fn check_body(&self, function: &FunctionDef) -> Result<()> {
        // A dump has functions before the tables that they read.
        if self.services.settings.borrow().get("check_function_bodies") == Some("off") {
            return Ok(());
        }
        if function.returns == TypeId::TRIGGER {
            return check_trigger_function(function);
        }
        let polymorphic = |ty| tuplix_functions::is_polymorphic(ty);
        let open = polymorphic(function.returns)
            || function.arguments.iter().any(|argument| polymorphic(argument.ty))
            || (function.returns == TypeId::RECORD && function.outputs().next().is_none());
        // A call decides what it means.
        if open {
            return Ok(());
        }
        let mut catalog = self.catalog.clone();
        catalog.apply(CatalogChange::PutFunction(function.clone()));
        let schema = Schema { catalog, layout: Layout::default(), version: 0 };
        let path = self.services.path_of_function(function);
        let binder = Binder::new(&schema, path.as_deref().unwrap_or(&self.search_path));
        analyze_procedure(&binder.context(), function).map(|_| ())
    }
}

/// What a trigger function's body means depends on the table: here it only has to be one.
fn check_trigger_function(function: &FunctionDef) -> Result<()> {
    let invalid = |message: &str| SqlError::new(sqlstate::INVALID_FUNCTION_DEFINITION, message);
    if function.language == Language::Sql {
        return Err(invalid("SQL functions cannot return type trigger"));
    }
    if !function.arguments.is_empty() {
        let hint = "The arguments of the trigger can be accessed through TG_NARGS and TG_ARGV instead.";
        return Err(invalid("trigger functions cannot have declared arguments").hint(hint));
    }
    tuplix_sql::plpgsql::parse_body(&function.body, &function.name).map(|_| ())
}

fn check_replacement(create: &CreateFunction, old: &FunctionDef) -> Result<()> {
    if !create.or_replace {
        let message = format!("function \"{}\" already exists with same argument types", create.name.name);
        return Err(SqlError::new(sqlstate::DUPLICATE_FUNCTION, message));
    }
    if create.is_procedure != old.is_procedure {
        let kind = if old.is_procedure { "procedure" } else { "function" };
        return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, "cannot change routine kind")
            .detail(format!("\"{}\" is a {kind}.", old.name)));
    }
    if create.returns != old.returns || create.returns_set != old.returns_set {
        let hint = format!("Use DROP FUNCTION {} first.", old.signature());
        let message = "cannot change return type of existing function";
        return Err(SqlError::new(sqlstate::INVALID_FUNCTION_DEFINITION, message).hint(hint));
    }
    Ok(())
}
