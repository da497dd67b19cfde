//! Partial indexes and indexes on expressions: what key a row has in one.
//!
//! Storage asks for the key whenever a row comes, changes, goes, or comes back by an undo or from the log, where no
//! transaction is at hand. So the expressions, which are immutable, are interpreted over the row alone. An expression
//! that fails for a row is found before the row is written, when its keys are looked up for conflicts.

use std::sync::Arc;

use tuplix_catalog::{Catalog, IndexDef, TableDef};
use tuplix_functions::{CallContext, Function, NoMoment, NoSession};
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::plan::{Expr, ExprKind};
use tuplix_storage::{IndexKeys, RowView};
use tuplix_types::text_io::{IoContext, parse_text, to_text};
use tuplix_types::{Result, SqlError, TypeId, Value};

use crate::bind::Binder;
use crate::exec::visit_expr;
use crate::layout::Layout;
use crate::node::Schema;

/// The keys of one index.
pub struct ComputedKeys {
    /// The definition, by which two are the same.
    text: String,
    /// Table columns that keys and predicate read.
    columns: Vec<usize>,
    parts: Vec<Part>,
    predicate: Option<Expr>,
}

enum Part {
    Column(usize),
    Expression(Expr),
}

impl std::fmt::Debug for ComputedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl ComputedKeys {
    /// The keys of an index; `None` for one over plain columns.
    ///
    /// # Errors
    /// What binding its expressions finds; 0A000 for an expression that cannot be interpreted.
    pub(crate) fn of(catalog: &Catalog, table: &TableDef, index: &IndexDef) -> Result<Option<ComputedKeys>> {
        if index.is_plain() {
            return Ok(None);
        }
        let schema = Schema { catalog: catalog.clone(), layout: Layout::default(), version: 0 };
        let path = [table.schema.clone()];
        let binder = Binder::new(&schema, &path);
        let mut columns = Vec::new();
        let mut bind = |text: &str, kind: TableExpression| {
            let (expr, _) = binder.table_expression(table, text, kind)?;
            check(&expr)?;
            visit_expr(&expr, &mut |expr| {
                if let ExprKind::Column { column, .. } = expr.kind {
                    columns.push(column);
                }
            });
            Ok::<Expr, SqlError>(expr)
        };
        let mut parts = Vec::with_capacity(index.columns.len());
        for key in &index.columns {
            parts.push(match &key.expression {
                Some(text) => Part::Expression(bind(text, TableExpression::Index)?),
                None => Part::Column(key.column),
            });
        }
        let predicate =
            index.predicate.as_deref().map(|text| bind(text, TableExpression::IndexPredicate)).transpose()?;
        columns.extend(index.columns.iter().filter(|key| key.expression.is_none()).map(|key| key.column));
        columns.sort_unstable();
        columns.dedup();
        let text = format!("{:?} where {:?} over {:?}", index.columns, index.predicate, table.columns);
        Ok(Some(ComputedKeys { text, columns, parts, predicate }))
    }

    /// The type of a part of the key that is an expression.
    pub(crate) fn expression_type(&self, place: usize) -> Option<TypeId> {
        match self.parts.get(place)? {
            Part::Expression(expr) => Some(expr.ty),
            Part::Column(_) => None,
        }
    }

    /// Whether a change of these columns can change a key.
    pub(crate) fn reads(&self, column: usize) -> bool {
        self.columns.binary_search(&column).is_ok()
    }

    /// The key of a row; `None` when the row is not in the index.
    ///
    /// # Errors
    /// Those of the expressions.
    pub(crate) fn key_of(&self, row: &[Value]) -> Result<Option<Vec<Value>>> {
        self.compute(&|column| row[column].clone())
    }

    fn compute(&self, row: &dyn Fn(usize) -> Value) -> Result<Option<Vec<Value>>> {
        if let Some(predicate) = &self.predicate
            && evaluate(predicate, row, &Value::Null)?.as_bool() != Some(true)
        {
            return Ok(None);
        }
        let part = |part: &Part| match part {
            Part::Column(column) => Ok(row(*column)),
            Part::Expression(expr) => evaluate(expr, row, &Value::Null),
        };
        self.parts.iter().map(part).collect::<Result<Vec<_>>>().map(Some)
    }
}

impl IndexKeys for ComputedKeys {
    fn columns(&self) -> &[usize] {
        &self.columns
    }

    fn key(&self, row: RowView<'_>, key: &mut Vec<Value>) -> bool {
        match self.compute(&|column| row.value(column)) {
            Ok(Some(values)) => {
                key.extend(values);
                true
            }
            Ok(None) | Err(_) => false,
        }
    }
}

/// Refuses what [`evaluate`] does not interpret.
fn check(expr: &Expr) -> Result<()> {
    let mut refused = None;
    visit_expr(expr, &mut |expr| {
        let known = match &expr.kind {
            ExprKind::Call { function, .. } => !function.engine && !function.returns_set,
            ExprKind::CastViaText(_) => !expr.ty.is_object_name(),
            ExprKind::Constant(_)
            | ExprKind::Column { .. }
            | ExprKind::Relabel(_)
            | ExprKind::And(_)
            | ExprKind::Or(_)
            | ExprKind::Not(_)
            | ExprKind::IsBoolean { .. }
            | ExprKind::IsDistinct { .. }
            | ExprKind::Case { .. }
            | ExprKind::CaseOperand
            | ExprKind::Coalesce(_)
            | ExprKind::NullIf { .. }
            | ExprKind::AnyAll { .. } => true,
            ExprKind::Array { multidimensional, .. } => !multidimensional,
            ExprKind::IsNull { argument, .. } => argument.ty != TypeId::RECORD,
            _ => false,
        };
        if !known {
            refused = Some(match &expr.kind {
                ExprKind::UserCall { .. } => "an index on a function of one's own",
                _ => "an index on this expression",
            });
        }
    });
    match refused {
        None => Ok(()),
        Some(what) => {
            Err(SqlError::unsupported(what).hint("Keep the value in a generated column and index that one."))
        }
    }
}

/// The value of an expression that [`check`] let pass.
fn evaluate(expr: &Expr, row: &dyn Fn(usize) -> Value, operand: &Value) -> Result<Value> {
    let value = |expr: &Expr| evaluate(expr, row, operand);
    let truth = |truth: Option<bool>| truth.map_or(Value::Null, Value::Bool);
    Ok(match &expr.kind {
        ExprKind::Constant(value) => value.clone(),
        ExprKind::Column { column, .. } => row(*column),
        ExprKind::CaseOperand => operand.clone(),
        ExprKind::Relabel(inner) => value(inner)?,
        ExprKind::CastViaText(inner) => {
            let given = value(inner)?;
            if given.is_null() {
                return Ok(Value::Null);
            }
            let context = IoContext::default();
            match &given {
                Value::Text(text) if inner.ty.is_text_like() => {
                    parse_text(expr.ty, expr.typmod, text, &context)?
                }
                _ => parse_text(expr.ty, expr.typmod, &to_text(inner.ty, &given, &context), &context)?,
            }
        }
        ExprKind::Call { function, arguments } => {
            let values = arguments.iter().map(value).collect::<Result<Vec<_>>>()?;
            let types: Vec<TypeId> = arguments.iter().map(|argument| argument.ty).collect();
            call(function, &types, expr.ty, &values)?
        }
        ExprKind::And(parts) => {
            let mut all = Some(true);
            for part in parts {
                match value(part)?.as_bool() {
                    Some(false) => return Ok(Value::Bool(false)),
                    None => all = None,
                    Some(true) => {}
                }
            }
            truth(all)
        }
        ExprKind::Or(parts) => {
            let mut any = Some(false);
            for part in parts {
                match value(part)?.as_bool() {
                    Some(true) => return Ok(Value::Bool(true)),
                    None => any = None,
                    Some(false) => {}
                }
            }
            truth(any)
        }
        ExprKind::Not(inner) => truth(value(inner)?.as_bool().map(|value| !value)),
        ExprKind::IsNull { argument, negated } => Value::Bool(value(argument)?.is_null() != *negated),
        ExprKind::IsBoolean { argument, value: wanted, negated } => {
            Value::Bool((value(argument)?.as_bool() == *wanted) != *negated)
        }
        ExprKind::IsDistinct { left, right, equal, negated } => {
            let (left_value, right_value) = (value(left)?, value(right)?);
            let distinct = match (left_value.is_null(), right_value.is_null()) {
                (true, true) => false,
                (false, false) => {
                    let types = [left.ty, right.ty];
                    call(equal, &types, TypeId::BOOL, &[left_value, right_value])?.as_bool() != Some(true)
                }
                _ => true,
            };
            Value::Bool(distinct != *negated)
        }
        ExprKind::Case { operand: tested, arms, otherwise } => {
            let tested = tested.as_deref().map(value).transpose()?.unwrap_or_default();
            for (condition, result) in arms {
                if evaluate(condition, row, &tested)?.as_bool() == Some(true) {
                    return value(result);
                }
            }
            otherwise.as_deref().map(value).transpose()?.unwrap_or_default()
        }
        ExprKind::Coalesce(parts) => {
            for part in parts {
                let given = value(part)?;
                if !given.is_null() {
                    return Ok(given);
                }
            }
            Value::Null
        }
        ExprKind::NullIf { left, equal } => match value(equal)?.as_bool() {
            Some(true) => Value::Null,
            _ => value(left)?,
        },
        ExprKind::AnyAll { left, array, function, all } => {
            let left_value = value(left)?;
            let Value::Array(elements) = value(array)? else { return Ok(Value::Null) };
            let types = [left.ty, elements.element];
            let mut result = Some(*all);
            for element in &elements.elements {
                let holds = call(function, &types, TypeId::BOOL, &[left_value.clone(), element.clone()])?;
                match holds.as_bool() {
                    Some(holds) if holds != *all => return Ok(Value::Bool(holds)),
                    Some(_) => {}
                    None => result = None,
                }
            }
            truth(result)
        }
        ExprKind::Array { elements, .. } => {
            let element = expr.ty.element().unwrap_or(TypeId::TEXT);
            let values = elements.iter().map(value).collect::<Result<Vec<_>>>()?;
            Value::Array(Arc::new(tuplix_types::Array::from_elements(element, values)))
        }
        _ => return Err(SqlError::internal("an index expression that is not interpreted")),
    })
}

fn call(function: &Function, types: &[TypeId], result: TypeId, values: &[Value]) -> Result<Value> {
    if function.strict && values.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let moment = NoMoment::default();
    let mut context =
        CallContext { moment: &moment, session: &NoSession, arg_types: types, result_type: result };
    (function.call)(&mut context, values)
}

/// The computed keys of each index of a table; empty when all indexes are over plain columns.
pub(crate) type Computed = Arc<[Option<Arc<ComputedKeys>>]>;

/// See [`Computed`].
///
/// # Errors
/// As [`ComputedKeys::of`].
pub(crate) fn computed_of(catalog: &Catalog, table: &TableDef) -> Result<Computed> {
    if table.indexes.iter().all(IndexDef::is_plain) {
        return Ok(Arc::new([]));
    }
    let keys = table.indexes.iter().map(|index| Ok(ComputedKeys::of(catalog, table, index)?.map(Arc::new)));
    keys.collect()
}
