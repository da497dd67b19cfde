//! Rows made of JSON: `json_populate_record`, `jsonb_to_recordset` and their kin (`jsonfuncs.c`, `populate_record`).

use std::sync::Arc;

use tuplix_catalog::Catalog;
use tuplix_sql::plan::{Expr, OutputColumn};
use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Array, Result, SqlError, TypeId, Value, sqlstate};

use super::builder::Builder;
use super::code::Code;
use super::expression_more::nest;
use super::frame::Exec;
use super::host::{self, CallTypes};
use crate::stop::Run;

impl Builder<'_> {
    pub(crate) fn populate(
        &mut self,
        source: &Expr,
        base: Option<&Expr>,
        columns: &[OutputColumn],
    ) -> Result<Code> {
        let source = self.expr(source)?;
        let base = base.map(|base| self.expr(base)).transpose()?;
        let columns: Vec<Column> = columns.iter().map(Column::of).collect();
        Ok(Code::new(move |exec| {
            let base = match &base {
                Some(base) => base.run(exec)?,
                None => Value::Null,
            };
            let source = source.run(exec)?;
            if source.is_null() {
                return Ok(base);
            }
            row(exec, &source, &columns, &base)
        }))
    }
}

struct Column {
    name: String,
    ty: TypeId,
    typmod: i32,
}

impl Column {
    fn of(column: &OutputColumn) -> Column {
        Column { name: column.name.clone(), ty: column.ty, typmod: column.typmod }
    }
}

fn json_of(value: &Value) -> Result<Jsonb> {
    match value {
        Value::Jsonb(value) => Ok(Jsonb::clone(value)),
        Value::Text(text) => Jsonb::parse(text),
        _ => Err(SqlError::internal("a JSON function met a value that is none")),
    }
}

/// A row of the members of an object; `source` is a `json` or `jsonb`.
fn row(exec: &mut Exec<'_, '_>, source: &Value, columns: &[Column], base: &Value) -> Run<Value> {
    let document = json_of(source)?;
    let Jsonb::Object(members) = &document else {
        let kind = if let Jsonb::Array(_) = document { "an array" } else { "a scalar" };
        let message = format!("cannot call populate_composite on {kind}");
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message).into());
    };
    let before = match base {
        Value::Record(fields) => &fields[..],
        _ => &[],
    };
    let mut fields = Vec::with_capacity(columns.len());
    for (number, column) in columns.iter().enumerate() {
        let member = members.iter().find(|(name, _)| *name == column.name);
        fields.push(match member {
            Some((_, member)) => {
                let raw = raw_member(exec, source, column)?;
                populated(exec, member, raw, column.ty, column.typmod)?
            }
            None => match before.get(number) {
                Some(value) => value.clone(),
                None => populated(exec, &Jsonb::Null, None, column.ty, column.typmod)?,
            },
        });
    }
    Ok(Value::Record(fields.into()))
}

/// The text of a member of a `json` as it was written, for columns of that type and rows that may have some.
fn raw_member(exec: &mut Exec<'_, '_>, source: &Value, column: &Column) -> Run<Option<Value>> {
    if !matches!(source, Value::Text(_)) || !(column.ty == TypeId::JSON || column.ty.is_composite()) {
        return Ok(None);
    }
    let function = tuplix_functions::lookup_symbol("json_object_field");
    let types = CallTypes { arguments: [TypeId::JSON, TypeId::TEXT].into(), result: TypeId::JSON };
    let arguments = [source.clone(), Value::text(column.name.as_str())];
    host::call(exec, function, &types, &arguments).map(Some)
}

/// A JSON value as one of a type.
fn populated(
    exec: &mut Exec<'_, '_>,
    value: &Jsonb,
    raw: Option<Value>,
    ty: TypeId,
    typmod: i32,
) -> Run<Value> {
    let schema = exec.services.schema();
    let catalog: &Catalog = &schema.catalog;
    if let Jsonb::Null = value
        && !ty.is_domain()
    {
        return Ok(Value::Null);
    }
    if let Some(domain) = catalog.domain(ty) {
        let inner = populated(exec, value, raw, domain.base, domain.typmod)?;
        host::check_domain(exec, ty, &inner)?;
        return Ok(inner);
    }
    let element = ty.element().filter(|_| !matches!(ty, TypeId::INT2VECTOR | TypeId::OIDVECTOR));
    match (value, element) {
        _ if ty == TypeId::JSONB => Ok(Value::Jsonb(Arc::new(value.clone()))),
        _ if ty == TypeId::JSON => Ok(raw.unwrap_or_else(|| Value::text(shown(value)))),
        (Jsonb::String(text), _) => host::from_text(exec, ty, typmod, text),
        (Jsonb::Array(items), Some(element)) => array(exec, items, element, typmod),
        (_, Some(_)) => {
            Err(SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, "expected JSON array").into())
        }
        _ => match catalog.row_fields(ty) {
            Some(fields) => {
                let columns: Vec<Column> = fields
                    .into_iter()
                    .map(|field| Column { name: field.name, ty: field.ty, typmod: field.typmod })
                    .collect();
                let source = raw.unwrap_or_else(|| Value::Jsonb(Arc::new(value.clone())));
                row(exec, &source, &columns, &Value::Null)
            }
            None => host::from_text(exec, ty, typmod, &shown(value)),
        },
    }
}

/// A JSON array as an array; arrays in it are its further dimensions.
fn array(exec: &mut Exec<'_, '_>, items: &[Jsonb], element: TypeId, typmod: i32) -> Run<Value> {
    let nested = items.iter().any(|item| matches!(item, Jsonb::Array(_)))
        && !matches!(element, TypeId::JSON | TypeId::JSONB);
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        values.push(match item {
            Jsonb::Array(inner) if nested => array(exec, inner, element, typmod)?,
            _ if nested => {
                let message = "expected JSON array";
                return Err(SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, message).into());
            }
            item => populated(exec, item, None, element, typmod)?,
        });
    }
    let array = if nested { nest(element, &values)? } else { Array::from_elements(element, values) };
    Ok(Value::Array(Arc::new(array)))
}

fn shown(value: &Jsonb) -> String {
    let mut text = String::new();
    value.format(&mut text);
    text
}
