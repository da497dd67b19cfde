//! RAISE and GET DIAGNOSTICS.

use tuplix_sql::plan::{Diagnostic, Raise, RaiseOption, Target};
use tuplix_types::{Result, Severity, SqlError, SqlState, Value, sqlstate};

use super::super::frame::Exec;
use super::statement::{Place1, Value1};
use super::{Body, Control, Step, context_line, signature, step};
use crate::stop::{Run, Stop};

struct RaiseCode {
    severity: Severity,
    sqlstate: Option<SqlState>,
    condition: Option<String>,
    format: Option<String>,
    arguments: Vec<Value1>,
    options: Vec<(RaiseOption, Value1)>,
    /// The context line of a notice.
    context: String,
}

impl Body<'_, '_> {
    /// RAISE
    pub(super) fn raise(&mut self, raise: &Raise, place: usize) -> Result<Step> {
        if raise.rethrow {
            return Ok(step(|exec| match exec.activation.error() {
                Some(error) => Err(Stop::Error(error.clone())),
                None => {
                    let message = "RAISE without parameters cannot be used outside an exception handler";
                    Err(SqlError::new(SqlState(*b"0Z002"), message).into())
                }
            }));
        }
        let arguments =
            raise.arguments.iter().map(|argument| self.value(argument)).collect::<Result<Vec<_>>>()?;
        let options = raise.options.iter().map(|(option, value)| Ok((*option, self.value(value)?)));
        let code = RaiseCode {
            severity: raise.severity,
            sqlstate: raise.sqlstate,
            condition: raise.condition.clone(),
            format: raise.format.clone(),
            arguments,
            options: options.collect::<Result<Vec<_>>>()?,
            context: context_line(&signature(self.procedure), self.places.get(place)),
        };
        Ok(step(move |exec| {
            let error = code.error(exec)?;
            if code.severity == Severity::Error {
                return Err(error.into());
            }
            exec.tx.notice(error.severity(code.severity).context(&code.context));
            Ok(Control::Next)
        }))
    }

    /// GET DIAGNOSTICS
    pub(super) fn get_diagnostics(&mut self, items: &[(Target, Diagnostic)], place: usize) -> Result<Step> {
        let mut codes: Vec<(Place1, Diagnostic, bool)> = Vec::new();
        for (target, item) in items {
            let (place, ty, _) = self.target(target)?;
            codes.push((place, *item, ty == tuplix_types::TypeId::INT4));
        }
        let context = context_line(&signature(self.procedure), self.places.get(place));
        // What a handler handles stands before it, so its line is known here.
        let stacked = items.iter().any(|(_, item)| matches!(item, Diagnostic::ExceptionContext));
        let lines: Vec<String> = (self.places.iter().filter(|_| stacked))
            .map(|place| context_line(&signature(self.procedure), Some(place)))
            .collect();
        Ok(step(move |exec| {
            for (place, item, narrow) in &codes {
                let value = match item {
                    Diagnostic::ExceptionContext => error_context(exec, &lines)?,
                    _ => diagnostic(exec, *item, &context)?,
                };
                let value = match value {
                    Value::Int8(count) if *narrow => Value::Int4(i32::try_from(count).unwrap_or(i32::MAX)),
                    other => other,
                };
                place.set(exec, value)?;
            }
            Ok(Control::Next)
        }))
    }
}

/// The context of the error being handled: what ran inside of this function, and this function's own line.
fn error_context(exec: &Exec<'_, '_>, lines: &[String]) -> Run<Value> {
    let Some(error) = exec.activation.error() else { return Err(no_error().into()) };
    let own = exec.activation.error_place().and_then(|place| lines.get(place));
    let inner = error.fields().context.as_ref();
    let all: Vec<&str> = inner.into_iter().chain(own).map(String::as_str).collect();
    Ok(Value::text(all.join("\n")))
}

fn no_error() -> SqlError {
    let message = "GET STACKED DIAGNOSTICS cannot be used outside an exception handler";
    SqlError::new(SqlState(*b"0Z002"), message)
}

fn diagnostic(exec: &Exec<'_, '_>, item: Diagnostic, context: &str) -> Run<Value> {
    match item {
        Diagnostic::RowCount => return Ok(Value::Int8(exec.activation.row_count as i64)),
        Diagnostic::Context => return Ok(Value::text(context)),
        _ => {}
    }
    let Some(error) = exec.activation.error() else { return Err(no_error().into()) };
    let fields = error.fields();
    let optional = |text: &Option<String>| Value::text(text.as_deref().unwrap_or_default());
    Ok(match item {
        Diagnostic::ReturnedSqlstate => Value::text(fields.sqlstate.as_str()),
        Diagnostic::MessageText => Value::text(fields.message.as_str()),
        Diagnostic::ExceptionDetail => optional(&fields.detail),
        Diagnostic::ExceptionHint => optional(&fields.hint),
        Diagnostic::ConstraintName => optional(&fields.constraint),
        Diagnostic::ColumnName => optional(&fields.column),
        Diagnostic::TableName => optional(&fields.table),
        Diagnostic::SchemaName => optional(&fields.schema),
        Diagnostic::DatatypeName
        | Diagnostic::ExceptionContext
        | Diagnostic::RowCount
        | Diagnostic::Context => Value::text(""),
    })
}

impl RaiseCode {
    fn error(&self, exec: &mut Exec<'_, '_>) -> Run<SqlError> {
        let mut message = match &self.format {
            Some(format) => Some(self.message(exec, format)?),
            None => None,
        };
        let mut code = self.sqlstate;
        let mut condition = self.condition.clone();
        let mut fields = Vec::new();
        for (option, value) in &self.options {
            let value = value.run(exec)?;
            let Some(text) = value.as_str() else {
                let message = "RAISE statement option cannot be null";
                return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).into());
            };
            match option {
                RaiseOption::Errcode => {
                    code = Some(condition_code(text)?);
                    condition = Some(text.to_owned());
                }
                RaiseOption::Message => message = Some(text.to_owned()),
                _ => fields.push((*option, text.to_owned())),
            }
        }
        let code = code.unwrap_or(sqlstate::RAISE_EXCEPTION);
        let message = message.or(condition).unwrap_or_else(|| code.to_string());
        let mut error = SqlError::new(code, message);
        for (option, text) in fields {
            let fields = error.fields_mut();
            match option {
                RaiseOption::Detail => fields.detail = Some(text),
                RaiseOption::Hint => fields.hint = Some(text),
                RaiseOption::Column => fields.column = Some(text),
                RaiseOption::Constraint => fields.constraint = Some(text),
                RaiseOption::Table => fields.table = Some(text),
                RaiseOption::Schema => fields.schema = Some(text),
                RaiseOption::Datatype | RaiseOption::Errcode | RaiseOption::Message => {}
            }
        }
        Ok(error)
    }

    /// The format with each `%` replaced by the next argument.
    fn message(&self, exec: &mut Exec<'_, '_>, format: &str) -> Run<String> {
        let mut message = String::with_capacity(format.len());
        let mut arguments = self.arguments.iter();
        let mut characters = format.chars().peekable();
        while let Some(character) = characters.next() {
            if character != '%' {
                message.push(character);
            } else if characters.next_if_eq(&'%').is_some() {
                message.push('%');
            } else if let Some(argument) = arguments.next() {
                let value = argument.run(exec)?;
                message.push_str(value.as_str().unwrap_or("<NULL>"));
            }
        }
        Ok(message)
    }
}

/// The code that ERRCODE names: five characters, or a condition's name.
fn condition_code(text: &str) -> Result<SqlState> {
    SqlState::parse(text).or_else(|| SqlState::from_condition_name(text)).ok_or_else(|| {
        let message = format!("unrecognized exception condition \"{text}\"");
        SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
    })
}
