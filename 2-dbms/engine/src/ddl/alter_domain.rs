//! ALTER DOMAIN. A new constraint is checked against the values that are there.

use tuplix_catalog::{CatalogChange, CheckDef, DomainDef, FunctionId, TypeBody, TypeDef};
use tuplix_sql::analyze::{Reader, analyze_procedure};
use tuplix_sql::parser::quote_ident;
use tuplix_sql::plan::{AlterDomain, QualifiedName};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::Work;
use super::types::{domain_check_name, holds};
use crate::bind::{Binder, bind_statement};
use crate::exec::{CompiledProcedure, Exec, FrameStack, compile_procedure};
use crate::node::Schema;
use crate::stop::{Run, Stop};

impl Work<'_, '_> {
    pub(super) fn alter_domain(&mut self, name: &QualifiedName, action: &AlterDomain) -> Run<()> {
        let mut found = self.find_type(name)?;
        let TypeBody::Domain(domain) = &mut found.body else {
            let message = format!("{} is not a domain", name.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).into());
        };
        let mut validates = false;
        match action {
            AlterDomain::Default(default) => domain.default.clone_from(default),
            AlterDomain::NotNull(not_null) => {
                validates = *not_null && !domain.not_null;
                domain.not_null = *not_null;
            }
            AlterDomain::AddCheck { name: given, expression, not_valid } => {
                let name = domain_check_name(&name.name, domain, given.as_deref())?;
                domain.checks.push(CheckDef {
                    name,
                    expression: expression.clone(),
                    valid: !not_valid,
                    oid: 0,
                });
                validates = !not_valid;
            }
            AlterDomain::DropConstraint { name: check, if_exists } => {
                if !drop_check(domain, check) {
                    let message = no_constraint(check, &name.name);
                    if !if_exists {
                        return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message).into());
                    }
                    self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
                    return Ok(());
                }
            }
            AlterDomain::RenameConstraint { from, to } => rename_check(domain, from, to, &name.name)?,
            AlterDomain::Validate(check) => {
                if !domain.checks.iter().any(|known| known.name == *check) {
                    let message = no_constraint(check, &name.name);
                    return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message).into());
                }
                validates = true;
                domain
                    .checks
                    .iter_mut()
                    .filter(|known| known.name == *check)
                    .for_each(|known| known.valid = true);
            }
        }
        self.change(CatalogChange::PutType(found.clone()));
        if validates {
            self.check_values(&found)?;
        }
        Ok(())
    }

    /// Whether the values of a domain that tables hold keep its constraints.
    fn check_values(&mut self, domain: &TypeDef) -> Run<()> {
        self.show()?;
        let schema = self.services.schema();
        let uses = |table: &&std::sync::Arc<tuplix_catalog::TableDef>| {
            table.columns.iter().any(|column| holds(&schema.catalog, column.ty, domain.id))
        };
        let used: Vec<_> = schema.catalog.tables().filter(uses).map(|table| table.id).collect();
        self.tx.lock_for_ddl(&used)?;
        let check = self.compiled_check(&schema, domain.id)?;
        self.refuse_containers(&schema, domain)?;
        for table in schema.catalog.tables().filter(|table| table.view.is_none()) {
            for column in &table.columns {
                if !holds(&schema.catalog, column.ty, domain.id) {
                    continue;
                }
                let text = format!(
                    "SELECT {} FROM {}.{}",
                    quote_ident(&column.name),
                    quote_ident(&table.schema),
                    quote_ident(&table.name)
                );
                let values = self.column_values(&schema, &text)?;
                let mut frames = FrameStack::default();
                let mut exec = Exec::new(self.tx, &mut frames);
                for value in values {
                    let checked = check.call_scalar(&mut exec, std::slice::from_ref(&value));
                    checked.map_err(|stop| about_column(stop, &table.name, &column.name))?;
                }
            }
        }
        Ok(())
    }

    /// What a column of a domain gets where it has no default of its own: the domain's, else NULL, which it may refuse.
    pub(super) fn domain_default(&self, ty: TypeId) -> Option<String> {
        let domain = self.catalog.domain(ty)?;
        let inherited = || self.domain_default(domain.base);
        domain.default.clone().or_else(inherited).or_else(|| Some("NULL".to_owned()))
    }

    /// Values inside of arrays and rows are not looked at, as in PostgreSQL.
    fn refuse_containers(&self, schema: &Schema, domain: &TypeDef) -> Result<()> {
        for table in schema.catalog.tables() {
            let inside = table.columns.iter().find(|column| {
                holds(&schema.catalog, column.ty, domain.id) && !is_over(schema, column.ty, domain.id)
            });
            if let Some(column) = inside {
                let message = format!(
                    "cannot alter type \"{}\" because column \"{}.{}\" uses it",
                    domain.name, table.name, column.name
                );
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
            }
        }
        Ok(())
    }

    fn compiled_check(&self, schema: &Schema, domain: TypeId) -> Result<CompiledProcedure> {
        let function = crate::user_types::domain_function(&schema.catalog, FunctionId(domain.0))
            .ok_or_else(|| SqlError::internal("a domain without definition"))?;
        let binder = Binder::new(schema, &self.search_path);
        let procedure = analyze_procedure(&binder.context(), &function)?;
        binder.with_compiler(|compiler| compile_procedure(compiler, &procedure, schema.version, None))
    }

    fn column_values(&mut self, schema: &Schema, text: &str) -> Run<Vec<Value>> {
        let (statement, _) = bind_statement(schema, &self.search_path, Reader::default(), text, &[], false)?;
        let statement = statement.trusted();
        let mut frames = FrameStack::default();
        let mut exec = Exec::new(self.tx, &mut frames);
        let mut values = Vec::new();
        statement.run(&mut exec, &[], &mut |row| {
            values.extend(row.first().cloned());
            Ok(())
        })?;
        Ok(values)
    }
}

fn no_constraint(check: &str, domain: &str) -> String {
    format!("constraint \"{check}\" of domain \"{domain}\" does not exist")
}

fn drop_check(domain: &mut DomainDef, name: &str) -> bool {
    let before = domain.checks.len();
    domain.checks.retain(|check| check.name != name);
    domain.checks.len() < before
}

fn rename_check(domain: &mut DomainDef, from: &str, to: &str, of: &str) -> Result<()> {
    if domain.checks.iter().any(|check| check.name == to) {
        let message = format!("constraint \"{to}\" for domain {of} already exists");
        return Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message));
    }
    match domain.checks.iter_mut().find(|check| check.name == from) {
        Some(check) => {
            to.clone_into(&mut check.name);
            Ok(())
        }
        None => {
            let message = format!("constraint \"{from}\" for domain {of} does not exist");
            Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
        }
    }
}

/// Whether a type is a domain, or one over it.
fn is_over(schema: &Schema, ty: TypeId, domain: TypeId) -> bool {
    ty == domain || schema.catalog.domain(ty).is_some_and(|found| is_over(schema, found.base, domain))
}

fn about_column(stop: Stop, table: &str, column: &str) -> Stop {
    let Stop::Error(error) = stop else { return stop };
    let what = match error.sqlstate() {
        sqlstate::NOT_NULL_VIOLATION => "null values",
        sqlstate::CHECK_VIOLATION => "values that violate the new constraint",
        _ => return Stop::Error(error),
    };
    let message = format!("column \"{column}\" of table \"{table}\" contains {what}");
    SqlError::new(error.sqlstate(), message).into()
}
