//! Values of types that users created, where they enter and leave the engine.
//!
//! Inside, a value of an enum is its place in the order; outside it is the label's text. A statement whose
//! parameters or columns can hold such a value is marked when it is bound, so that others pay nothing.

use std::sync::Arc;

use tuplix_catalog::{
    ArgumentDef, ArgumentMode, Catalog, FunctionDef, FunctionId, FunctionVolatility, Language,
};
use tuplix_types::text_io::{IoContext, parse_array_with, parse_text, split_record};
use tuplix_types::{Array, EnumLabels as _, Result, SqlError, TypeId, Value, sqlstate};

use crate::stop::{Run, Stop};

/// Says whether a value is one of a domain.
pub(crate) type CheckDomain<'c> = &'c mut dyn FnMut(TypeId, &Value) -> Run<()>;

/// The value that a text spells.
///
/// # Errors
/// The input function's: 22P02 and its kin.
pub(crate) fn parse(
    catalog: &Catalog,
    io: &IoContext,
    (ty, typmod): (TypeId, i32),
    text: &str,
    check: CheckDomain<'_>,
) -> Run<Value> {
    if ty.is_enum() {
        return Ok(label(catalog, ty, text)?);
    }
    if let Some(domain) = catalog.domain(ty) {
        let value = parse(catalog, io, (domain.base, domain.typmod), text, check)?;
        check(ty, &value)?;
        return Ok(value);
    }
    if let Some(element) = ty.element().filter(|_| ty.is_user()) {
        let mut restart = false;
        let mut read = |item: &str| match parse(catalog, io, (element, typmod), item, check) {
            Ok(value) => Ok(value),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Restart) => {
                restart = true;
                Err(SqlError::internal("a restart"))
            }
        };
        let array = parse_array_with(element, text, &mut read);
        return if restart { Err(Stop::Restart) } else { Ok(array?) };
    }
    match catalog.row_fields(ty) {
        Some(fields) => {
            let columns: Vec<(TypeId, i32)> = fields.iter().map(|field| (field.ty, field.typmod)).collect();
            record(catalog, io, &columns, text, check)
        }
        None => Ok(parse_text(ty, typmod, text, io)?),
    }
}

fn label(catalog: &Catalog, ty: TypeId, text: &str) -> Result<Value> {
    catalog.enum_value(ty, text).ok_or_else(|| {
        let message = format!("invalid input value for enum {ty}: \"{text}\"");
        SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, message)
    })
}

fn record(
    catalog: &Catalog,
    io: &IoContext,
    columns: &[(TypeId, i32)],
    text: &str,
    check: CheckDomain<'_>,
) -> Run<Value> {
    let texts = split_record(text)?;
    if texts.len() != columns.len() {
        let message = format!("malformed record literal: \"{text}\"");
        let many = if texts.len() < columns.len() { "few" } else { "many" };
        return Err(SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, message)
            .detail(format!("Too {many} columns."))
            .into());
    }
    let mut values = Vec::with_capacity(columns.len());
    for (text, column) in texts.iter().zip(columns) {
        values.push(match text {
            Some(text) => parse(catalog, io, *column, text, check)?,
            None => {
                if column.0.is_domain() {
                    check(column.0, &Value::Null)?;
                }
                Value::Null
            }
        });
    }
    Ok(Value::Record(values.into()))
}

/// Whether values of the type may hold labels of enums.
pub(crate) fn may_hold_labels(ty: TypeId) -> bool {
    ty.is_user() || ty == TypeId::RECORD || ty.element() == Some(TypeId::RECORD)
}

/// Puts labels in the place of enum values; `None` when there are none.
pub(crate) fn labelled(catalog: &Catalog, value: &Value) -> Option<Value> {
    match value {
        Value::Enum(value) => {
            Some(Value::Text(catalog.label(*value).unwrap_or_else(|| value.to_string().into())))
        }
        Value::Array(array) => {
            let elements = labelled_all(catalog, &array.elements)?;
            let (element, dimensions) = (array.element, array.dimensions.clone());
            Some(Value::Array(Arc::new(Array { element, dimensions, elements })))
        }
        Value::Record(fields) => labelled_all(catalog, fields).map(|fields| Value::Record(fields.into())),
        _ => None,
    }
}

fn labelled_all(catalog: &Catalog, values: &[Value]) -> Option<Vec<Value>> {
    let changed: Vec<Option<Value>> = values.iter().map(|value| labelled(catalog, value)).collect();
    if changed.iter().all(Option::is_none) {
        return None;
    }
    Some(changed.into_iter().zip(values).map(|(new, old)| new.unwrap_or_else(|| old.clone())).collect())
}

/// Whether an error has the id of a type where its name belongs.
pub(crate) fn names_types(error: &SqlError) -> bool {
    let fields = error.fields();
    let texts =
        [Some(&fields.message), fields.detail.as_ref(), fields.hint.as_ref(), fields.context.as_ref()];
    texts.into_iter().flatten().any(|text| text.contains("type#"))
}

/// An error with the names of types in the place of their ids.
pub(crate) fn named(catalog: &Catalog, path: &[String], mut error: SqlError) -> SqlError {
    let fields = error.fields_mut();
    let name = |text: &mut String| {
        if let Some(named) = catalog.name_types(text, Some(path)) {
            *text = named;
        }
    };
    name(&mut fields.message);
    fields.detail.iter_mut().for_each(name);
    fields.hint.iter_mut().for_each(name);
    fields.context.iter_mut().for_each(name);
    error
}

/// A function that checks a value: `SELECT $1::domain`. It has the domain's own id, which no function has.
pub(crate) fn domain_function(catalog: &Catalog, id: FunctionId) -> Option<FunctionDef> {
    let ty = TypeId(id.0);
    let domain = catalog.domain(ty)?;
    let (schema, name) = catalog.type_names(ty)?;
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let value = ArgumentDef { name: String::new(), ty: domain.base, mode: ArgumentMode::In, default: None };
    Some(FunctionDef {
        id,
        schema: schema.to_owned(),
        name: name.to_owned(),
        version: 1,
        arguments: vec![value],
        returns: ty,
        returns_set: false,
        is_procedure: false,
        language: Language::Sql,
        body: format!("SELECT $1::{}.{}", quote(schema), quote(name)),
        volatility: FunctionVolatility::Stable,
        strict: false,
        security_definer: false,
        distribution_argument: None,
        settings: Vec::new(),
        hints: Default::default(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tuplix_catalog::{CatalogChange, FieldDef, LabelDef, TypeBody, TypeDef};
    use tuplix_types::UserKind;

    use super::*;

    fn catalog() -> (Catalog, TypeId, TypeId) {
        let mut catalog = Catalog::new();
        let mood = TypeId::user(UserKind::Enum, 16_400);
        let pair = TypeId::user(UserKind::Composite, 16_401);
        let labels = ["sad", "a \"b\""].iter().zip([1.0, 2.0]);
        let labels = labels.map(|(label, order)| LabelDef { order, label: (*label).to_owned() }).collect();
        let field = |name: &str, ty| FieldDef { name: name.to_owned(), ty, typmod: -1 };
        let fields = vec![field("n", TypeId::INT4), field("m", mood.array_of().unwrap())];
        for (id, name, body) in
            [(mood, "mood", TypeBody::Enum(labels)), (pair, "pair", TypeBody::Composite(fields))]
        {
            let (schema, name) = ("public".to_owned(), name.to_owned());
            catalog.apply(CatalogChange::PutType(TypeDef { id, schema, name, body }));
        }
        (catalog, mood, pair)
    }

    #[test]
    fn texts_become_values_and_labels_again() {
        let (catalog, mood, pair) = catalog();
        let io = IoContext { labels: Some(Arc::new(catalog.clone())), ..IoContext::default() };
        let mut check = |_, _: &Value| Ok(());
        for (ty, text) in [
            (mood, "sad"),
            (mood.array_of().unwrap(), r#"{sad,NULL,"a \"b\""}"#),
            (pair, r#"(3,"{sad,""a \\""b\\""""}")"#),
            (pair, "(,)"),
            (pair.array_of().unwrap(), r#"{"(1,{sad})"}"#),
        ] {
            let value = parse(&catalog, &io, (ty, -1), text, &mut check).unwrap();
            assert_eq!(tuplix_types::text_io::to_text(ty, &value, &io), text);
            // Outside nobody needs the labels to show it.
            let outside = labelled(&catalog, &value).unwrap_or(value);
            assert_eq!(tuplix_types::text_io::to_text(ty, &outside, &IoContext::default()), text);
        }
        for (ty, text) in [(mood, "glad"), (pair, "(1)"), (pair, "(1,{},2)"), (pair, "(x,{})"), (pair, "1")] {
            let Err(Stop::Error(error)) = parse(&catalog, &io, (ty, -1), text, &mut check) else {
                panic!("{text}")
            };
            assert_eq!(error.sqlstate(), sqlstate::INVALID_TEXT_REPRESENTATION, "{text}");
        }
    }
}
