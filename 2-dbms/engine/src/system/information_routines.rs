//! `information_schema.routines` and `parameters`. Built-in functions are left out.

use tuplix_catalog::{ArgumentMode, FunctionDef, FunctionVolatility, Language};
use tuplix_types::{Row, Value};

use super::information::{Values, catalog_name};
use super::relations::SystemRelation;
use super::view::{View, int, maybe_text, text, yes_or_no};

/// `routines`
pub(crate) fn routines(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    view.catalog().functions().map(|function| routine(view, relation, function)).collect()
}

fn routine_values(view: &View<'_>, function: &FunctionDef) -> Values {
    vec![
        ("specific_catalog", catalog_name(view)),
        ("specific_schema", text(&function.schema)),
        ("specific_name", Value::text(format!("{}_{}", function.name, function.id.0))),
    ]
}

fn routine(view: &View<'_>, relation: &SystemRelation, function: &FunctionDef) -> Row {
    let is_sql = function.language == Language::Sql;
    let mut values = routine_values(view, function);
    values.extend([
        ("routine_catalog", catalog_name(view)),
        ("routine_schema", text(&function.schema)),
        ("routine_name", text(&function.name)),
        ("routine_type", text(if function.is_procedure { "PROCEDURE" } else { "FUNCTION" })),
        ("routine_body", text(if is_sql { "SQL" } else { "EXTERNAL" })),
        ("routine_definition", text(&function.body)),
        ("external_language", text(if is_sql { "SQL" } else { "PLPGSQL" })),
        ("parameter_style", text("GENERAL")),
        ("is_deterministic", yes_or_no(function.volatility == FunctionVolatility::Immutable)),
        ("sql_data_access", text("MODIFIES")),
        ("schema_level_routine", yes_or_no(true)),
        ("max_dynamic_result_sets", int(0)),
        ("security_type", text(if function.security_definer { "DEFINER" } else { "INVOKER" })),
        ("as_locator", yes_or_no(false)),
        ("is_udt_dependent", yes_or_no(false)),
    ]);
    if !function.is_procedure {
        let is_array = function.returns.element().is_some();
        let shown = if is_array { "ARRAY".to_owned() } else { function.returns.to_string() };
        values.extend([
            ("data_type", Value::text(shown)),
            ("type_udt_catalog", catalog_name(view)),
            ("type_udt_schema", text("pg_catalog")),
            ("type_udt_name", maybe_text(function.returns.internal_name())),
            ("dtd_identifier", text("0")),
            ("is_null_call", yes_or_no(function.strict)),
        ]);
    }
    relation.row(&values)
}

/// `parameters`
pub(crate) fn parameters(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for function in view.catalog().functions() {
        for (number, argument) in function.arguments.iter().enumerate() {
            let mode = match argument.mode {
                ArgumentMode::In | ArgumentMode::Variadic => "IN",
                ArgumentMode::Out | ArgumentMode::Table => "OUT",
                ArgumentMode::InOut => "INOUT",
            };
            let default = super::routine::default_text(view, argument);
            let is_array = argument.ty.element().is_some();
            let shown = if is_array { "ARRAY".to_owned() } else { argument.ty.to_string() };
            let mut values = routine_values(view, function);
            values.extend([
                ("ordinal_position", int(number + 1)),
                ("parameter_mode", text(mode)),
                ("is_result", yes_or_no(false)),
                ("as_locator", yes_or_no(false)),
                ("parameter_name", maybe_text(Some(argument.name.as_str()).filter(|name| !name.is_empty()))),
                ("data_type", Value::text(shown)),
                ("udt_catalog", catalog_name(view)),
                ("udt_schema", text("pg_catalog")),
                ("udt_name", maybe_text(argument.ty.internal_name())),
                ("dtd_identifier", Value::text((number + 1).to_string())),
                ("parameter_default", maybe_text(default.as_deref())),
            ]);
            rows.push(relation.row(&values));
        }
    }
    rows
}
