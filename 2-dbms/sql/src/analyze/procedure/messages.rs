//! RETURN, RAISE, GET DIAGNOSTICS.

use tuplix_types::{Result, Severity, SqlError, SqlState, TypeId, sqlstate};

use super::Binder;
use super::embedded::statement_columns;
use super::refusal::{Bound, OfTheWhole as _, Refusal};
use super::statements::state_of;
use crate::analyze::Analyzer;
use crate::plan::{
    Diagnostic, Embedded, Expr, ExprKind, Expression, OutputColumn, PlStatement, Raise, RaiseOption,
};
use crate::plpgsql::{self, DiagnosticsItem, Name, RaiseLevel, RaiseMessage};

impl Binder<'_> {
    pub(super) fn return_value(&mut self, value: Option<&plpgsql::Expression>) -> Bound<PlStatement> {
        let refused = |message: &str| SqlError::new(sqlstate::DATATYPE_MISMATCH, message);
        let whole = |error: SqlError| Err(Refusal::Whole(error));
        let Some(value) = value else {
            let needs_value = !self.returns_set && self.outputs.is_empty() && self.returns != TypeId::VOID;
            if needs_value {
                return whole(SqlError::new(sqlstate::SYNTAX_ERROR, "missing expression at or near \";\""));
            }
            return Ok(PlStatement::Return(None));
        };
        if self.returns_set {
            let error = refused("RETURN cannot have a parameter in function returning set");
            return whole(error.hint("Use RETURN NEXT or RETURN QUERY."));
        }
        if !self.outputs.is_empty() {
            return whole(refused("RETURN cannot have a parameter in function with OUT parameters"));
        }
        if self.returns == TypeId::VOID {
            return whole(if self.is_procedure() {
                SqlError::new(sqlstate::SYNTAX_ERROR, "RETURN cannot have a parameter in a procedure")
            } else {
                refused("RETURN cannot have a parameter in function returning void")
            });
        }
        let (returns, listed) = (self.returns, self.listed.then_some(&self.columns[..]));
        let value = self.converted(value, |analyzer, value| returned(analyzer, value, returns, listed));
        Ok(PlStatement::Return(Some(value)))
    }

    pub(super) fn return_next(&mut self, value: Option<&plpgsql::Expression>) -> Bound<PlStatement> {
        self.returns_rows("RETURN NEXT").of_the_whole()?;
        let whole = |code, message: &str| Err(Refusal::Whole(SqlError::new(code, message)));
        match value {
            None if self.outputs.is_empty() => {
                whole(sqlstate::SYNTAX_ERROR, "RETURN NEXT must have a parameter")
            }
            None => Ok(PlStatement::ReturnNext(Vec::new())),
            Some(_) if !self.outputs.is_empty() => {
                let message = "RETURN NEXT cannot have a parameter in function with OUT parameters";
                whole(sqlstate::DATATYPE_MISMATCH, message)
            }
            Some(value) => {
                let (returns, listed) = (self.returns, self.listed.then_some(&self.columns[..]));
                let value =
                    self.converted(value, |analyzer, value| returned(analyzer, value, returns, listed));
                Ok(PlStatement::ReturnNext(vec![value]))
            }
        }
    }

    /// Refuses a statement that only functions returning sets have.
    pub(super) fn returns_rows(&self, statement: &str) -> Result<()> {
        if self.returns_set {
            return Ok(());
        }
        let message = format!("cannot use {statement} in a non-SETOF function");
        Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message))
    }

    pub(super) fn return_query(&mut self, query: &plpgsql::Query) -> Bound<PlStatement> {
        self.returns_rows("RETURN QUERY").of_the_whole()?;
        let embedded: Embedded = self.embedded(query)?;
        let given = statement_columns(&embedded.statement);
        if given.is_empty() {
            return Err(SqlError::new(
                sqlstate::SYNTAX_ERROR,
                "query returns no rows as result of RETURN QUERY",
            )
            .into());
        }
        self.same_structure(&given)?;
        Ok(PlStatement::ReturnQuery(embedded))
    }

    /// Refuses rows that are not of the function's result type.
    fn same_structure(&self, given: &[OutputColumn]) -> Result<()> {
        let mismatch = |detail: String| {
            let message = "structure of query does not match function result type";
            Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).detail(detail))
        };
        if given.len() != self.columns.len() {
            let (given, wanted) = (given.len(), self.columns.len());
            return mismatch(format!(
                "Number of returned columns ({given}) does not match expected column count ({wanted})."
            ));
        }
        for (index, (given, wanted)) in given.iter().zip(&self.columns).enumerate() {
            if given.ty != wanted.ty {
                return mismatch(format!(
                    "Returned type {} does not match expected type {} in column {}.",
                    given.ty,
                    wanted.ty,
                    index + 1
                ));
            }
        }
        Ok(())
    }

    pub(super) fn raise(&mut self, raise: &plpgsql::Raise) -> Bound<PlStatement> {
        let (mut sqlstate, mut condition, mut format, mut arguments) = (None, None, None, Vec::new());
        match &raise.message {
            RaiseMessage::Nothing => {}
            RaiseMessage::Format { format: text, arguments: list } => {
                format = Some(text.clone());
                arguments = list.iter().map(|argument| self.shown(argument)).collect();
            }
            RaiseMessage::Condition(name) => {
                let state = SqlState::from_condition_name(name).ok_or_else(|| {
                    let message = format!("unrecognized exception condition \"{name}\"");
                    Refusal::Whole(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
                })?;
                sqlstate = Some(state);
                condition = Some(name.clone());
            }
            RaiseMessage::SqlState(code) => sqlstate = Some(state_of(code).of_the_whole()?),
        }
        let mut options = Vec::with_capacity(raise.options.len());
        for (option, value) in &raise.options {
            options.push((raise_option(*option), self.text(value)));
        }
        Ok(PlStatement::Raise(Box::new(Raise {
            severity: severity(raise.level),
            rethrow: raise.is_again(),
            sqlstate,
            condition,
            format,
            arguments,
            options,
        })))
    }

    /// A value as the text that RAISE shows.
    fn shown(&self, value: &plpgsql::Expression) -> Expression {
        self.converted(value, |analyzer, value| {
            let value = analyzer.settle_unknown(value)?;
            if value.ty.is_text_like() {
                return analyzer.variable_cast(value, TypeId::TEXT, -1);
            }
            // By the type's output function, not by a cast to text, which some types do otherwise (boolean).
            Ok(Expr::new(ExprKind::CastViaText(Box::new(value)), TypeId::TEXT))
        })
    }

    pub(super) fn diagnostics(&mut self, items: &[(Name, DiagnosticsItem)]) -> Bound<PlStatement> {
        let mut targets = Vec::with_capacity(items.len());
        for (name, item) in items {
            targets.push((self.target(name)?, diagnostic(*item)));
        }
        Ok(PlStatement::GetDiagnostics(targets))
    }
}

/// A value as the function's result.
fn returned(
    analyzer: &mut Analyzer<'_>,
    value: Expr,
    returns: TypeId,
    listed: Option<&[OutputColumn]>,
) -> Result<Expr> {
    let is_null = matches!(value.kind, ExprKind::Constant(tuplix_types::Value::Null));
    if returns.is_row() && !value.ty.is_row() && !is_null {
        let message = "cannot return non-composite value from function returning composite type";
        return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message));
    }
    if let (Some(wanted), Some(given)) = (listed, analyzer.record_columns(&value))
        && !given.iter().map(|column| column.ty).eq(wanted.iter().map(|column| column.ty))
    {
        let message = "returned record type does not match expected record type";
        return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message));
    }
    analyzer.variable_cast(value, returns, -1)
}

fn severity(level: RaiseLevel) -> Severity {
    match level {
        RaiseLevel::Exception => Severity::Error,
        RaiseLevel::Warning => Severity::Warning,
        RaiseLevel::Notice => Severity::Notice,
        RaiseLevel::Info => Severity::Info,
        RaiseLevel::Log => Severity::Log,
        RaiseLevel::Debug => Severity::Debug,
    }
}

fn raise_option(option: plpgsql::RaiseOption) -> RaiseOption {
    match option {
        plpgsql::RaiseOption::ErrCode => RaiseOption::Errcode,
        plpgsql::RaiseOption::Message => RaiseOption::Message,
        plpgsql::RaiseOption::Detail => RaiseOption::Detail,
        plpgsql::RaiseOption::Hint => RaiseOption::Hint,
        plpgsql::RaiseOption::Column => RaiseOption::Column,
        plpgsql::RaiseOption::Constraint => RaiseOption::Constraint,
        plpgsql::RaiseOption::DataType => RaiseOption::Datatype,
        plpgsql::RaiseOption::Table => RaiseOption::Table,
        plpgsql::RaiseOption::Schema => RaiseOption::Schema,
    }
}

fn diagnostic(item: DiagnosticsItem) -> Diagnostic {
    match item {
        DiagnosticsItem::RowCount => Diagnostic::RowCount,
        DiagnosticsItem::Context => Diagnostic::Context,
        DiagnosticsItem::ReturnedSqlState => Diagnostic::ReturnedSqlstate,
        DiagnosticsItem::MessageText => Diagnostic::MessageText,
        DiagnosticsItem::ExceptionDetail => Diagnostic::ExceptionDetail,
        DiagnosticsItem::ExceptionHint => Diagnostic::ExceptionHint,
        DiagnosticsItem::ExceptionContext => Diagnostic::ExceptionContext,
        DiagnosticsItem::ColumnName => Diagnostic::ColumnName,
        DiagnosticsItem::ConstraintName => Diagnostic::ConstraintName,
        DiagnosticsItem::DataTypeName => Diagnostic::DatatypeName,
        DiagnosticsItem::TableName => Diagnostic::TableName,
        DiagnosticsItem::SchemaName => Diagnostic::SchemaName,
    }
}
