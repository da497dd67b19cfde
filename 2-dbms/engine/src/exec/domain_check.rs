//! A value as one of a domain: NOT NULL, then each CHECK in the order of their names.

use tuplix_sql::plan::Expr;
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::builder::Builder;
use super::code::Code;
use crate::stop::Stop;

impl Builder<'_> {
    pub(crate) fn domain(
        &mut self,
        ty: TypeId,
        argument: &Expr,
        not_null: bool,
        checks: &[(String, Expr)],
    ) -> Result<Code> {
        let argument = self.expr(argument)?;
        let slot = self.slot();
        self.domain_values.push(slot);
        let compiled: Result<Vec<(String, Code)>> =
            checks.iter().map(|(name, check)| Ok((name.clone(), self.expr(check)?))).collect();
        self.domain_values.pop();
        let mut checks = compiled?;
        checks.sort_by(|(a, _), (b, _)| a.cmp(b));
        let schema =
            self.context.catalog.type_names(ty).map_or_else(String::new, |(schema, _)| schema.into());
        Ok(Code::new(move |exec| {
            let value = argument.run(exec)?;
            if not_null && value.is_null() {
                return Err(null_value(ty, &schema));
            }
            exec.set(slot, value);
            for (name, check) in &checks {
                if matches!(check.run(exec)?, Value::Bool(false)) {
                    return Err(violated(ty, &schema, name));
                }
            }
            Ok(exec.take(slot))
        }))
    }
}

#[cold]
fn null_value(ty: TypeId, schema: &str) -> Stop {
    let message = format!("domain {ty} does not allow null values");
    of_type(SqlError::new(sqlstate::NOT_NULL_VIOLATION, message), schema).into()
}

#[cold]
fn violated(ty: TypeId, schema: &str, name: &str) -> Stop {
    let message = format!("value for domain {ty} violates check constraint \"{name}\"");
    of_type(SqlError::new(sqlstate::CHECK_VIOLATION, message), schema).constraint(name).into()
}

fn of_type(mut error: SqlError, schema: &str) -> SqlError {
    error.fields_mut().schema = Some(schema.to_owned());
    error
}
