//! Expressions that the catalogue keeps, as PostgreSQL shows them (`ruleutils.c`): `(balance >= (0)::numeric)`.
//!
//! The text is analysed again and the typed tree is written out. Where the tree has a construct that is not written here,
//! the text stays as the catalogue has it; it means the same.

use tuplix_catalog::{ColumnDef, TableDef, TableId};
use tuplix_sql::analyze::{TableExpression, analyze_trigger_condition, map_columns};
use tuplix_sql::parser;
use tuplix_sql::plan::{Expr, ExprKind};
use tuplix_types::{TypeId, Value};

use super::view::View;
use super::writer::{Writer, constant};
use crate::bind::Binder;

/// A column's default, as `pg_get_expr` shows it.
pub(crate) fn default_text(view: &View<'_>, table: &TableDef, column: usize, written: &str) -> String {
    let Some(plain) = analyze(view, table, written, TableExpression::Index) else {
        return written.to_owned();
    };
    if let ExprKind::Constant(value) = &plain.kind {
        if is_literal(written) {
            return literal_default(view, table, column, written, (value, &plain));
        }
        if !is_cast_literal(written) {
            return written.to_owned();
        }
    }
    if let ExprKind::CastViaText(inner) = &plain.kind
        && let ExprKind::Constant(value) = &inner.kind
        && let Some(text) = value.as_str()
    {
        return format!("{}::{}", tuplix_functions::quote_literal(text), plain.ty);
    }
    write(view, table, written, &plain, false).unwrap_or_else(|| written.to_owned())
}

/// A literal in quotes takes the column's type, any other keeps its own: its cast is implicit and not shown.
fn literal_default(
    view: &View<'_>,
    table: &TableDef,
    column: usize,
    written: &str,
    (value, plain): (&Value, &Expr),
) -> String {
    let ty = table.columns[column].ty;
    if value.is_null() {
        return format!("NULL::{ty}");
    }
    if plain.ty != TypeId::TEXT {
        return constant(value, plain.ty);
    }
    // What the literal becomes as a value of the column's type, without its modifier.
    let mut bare = table.clone();
    bare.columns[column].typmod = -1;
    let assigned = analyze(view, &bare, written, TableExpression::Default(column));
    match assigned.map(|expr| expr.kind) {
        Some(ExprKind::Constant(value)) => constant(&value, ty),
        _ => format!("{}::{ty}", tuplix_functions::quote_literal(value.as_str().unwrap_or_default())),
    }
}

/// A column's generation expression.
pub(crate) fn generated_text(view: &View<'_>, table: &TableDef, column: usize, written: &str) -> String {
    let shown = analyze(view, table, written, TableExpression::Generated(column))
        .and_then(|expr| write(view, table, written, &expr, false));
    shown.unwrap_or_else(|| written.to_owned())
}

/// An expression of an index key.
pub(crate) fn key_text(view: &View<'_>, table: &TableDef, written: &str, pretty: bool) -> String {
    let shown = analyze(view, table, written, TableExpression::Index)
        .and_then(|expr| write(view, table, written, &expr, pretty));
    shown.unwrap_or_else(|| written.to_owned())
}

/// The predicate of a partial index.
pub(crate) fn predicate_text(view: &View<'_>, table: &TableDef, written: &str, pretty: bool) -> String {
    let shown = analyze(view, table, written, TableExpression::IndexPredicate)
        .and_then(|expr| write(view, table, written, &expr, pretty));
    shown.unwrap_or_else(|| written.to_owned())
}

/// The type of a part of an index key.
pub(crate) fn key_type(view: &View<'_>, table: &TableDef, key: &tuplix_catalog::IndexColumn) -> TypeId {
    match &key.expression {
        Some(text) => analyze(view, table, text, TableExpression::Index).map_or(TypeId::TEXT, |expr| expr.ty),
        None => table.columns[key.column].ty,
    }
}

/// A table whose one column is a value that stands alone.
pub(super) fn table_of_value(name: &str, ty: TypeId, typmod: i32) -> TableDef {
    TableDef::new(TableId(0), "", "", vec![ColumnDef::new(name, ty, typmod)])
}

/// An argument's default.
pub(crate) fn argument_default(view: &View<'_>, ty: TypeId, written: &str) -> String {
    let table = table_of_value("argument", ty, -1);
    default_text(view, &table, 0, written)
}

/// A CHECK's condition without the parentheses that `CHECK (...)` puts around it.
pub(crate) fn check_text(view: &View<'_>, table: &TableDef, written: &str, pretty: bool) -> String {
    let shown = analyze(view, table, written, TableExpression::Check)
        .and_then(|expr| write(view, table, written, &expr, pretty));
    shown.unwrap_or_else(|| written.to_owned())
}

/// A policy's expression, in parentheses where PostgreSQL puts them.
pub(crate) fn policy_text(view: &View<'_>, table: &TableDef, written: &str) -> String {
    let shown = analyze(view, table, written, TableExpression::Policy)
        .and_then(|expr| write(view, table, written, &expr, false));
    shown.unwrap_or_else(|| written.to_owned())
}

/// As [`check_text`] of a domain, whose value is the one column of `table`.
pub(crate) fn domain_check_text(view: &View<'_>, table: &TableDef, written: &str, pretty: bool) -> String {
    let shown = analyze(view, table, written, TableExpression::Check)
        .and_then(|expr| Writer::new(view, vec!["VALUE".to_owned()], written, pretty).text(&expr));
    shown.unwrap_or_else(|| written.to_owned())
}

/// A trigger's WHEN: `(new.a > old.a)`.
pub(crate) fn condition_text(view: &View<'_>, table: &TableDef, written: &str, pretty: bool) -> String {
    let binder = Binder::new(view.schema(), &view.path);
    let Ok((mut expr, _)) = analyze_trigger_condition(&binder.context(), table, written) else {
        return written.to_owned();
    };
    // NEW's columns follow OLD's.
    let width = table.columns.len();
    map_columns(&mut expr, &mut |relation, column| *column += relation.0 as usize * width);
    let names = |of: &'static str| {
        table.columns.iter().map(move |column| format!("{of}.{}", parser::quote_ident(&column.name)))
    };
    let columns = names("old").chain(names("new")).collect();
    Writer::new(view, columns, written, pretty).text(&expr).unwrap_or_else(|| written.to_owned())
}

/// An expression of a table that [`default_text`] or [`check_text`] wrote, with fewer parentheses.
pub(crate) fn pretty_text(view: &View<'_>, table: &TableDef, written: &str) -> String {
    let Some(expr) = analyze(view, table, written, TableExpression::Index) else { return written.to_owned() };
    match &expr.kind {
        ExprKind::Constant(_) | ExprKind::CastViaText(_) => written.to_owned(),
        _ => write(view, table, written, &expr, true).unwrap_or_else(|| written.to_owned()),
    }
}

/// The columns that an expression reads, in order.
pub(crate) fn columns_of(view: &View<'_>, table: &TableDef, written: &str) -> Vec<usize> {
    let mut columns = std::collections::BTreeSet::new();
    if let Some(expr) = analyze(view, table, written, TableExpression::Check) {
        super::writer::read_columns(&expr, &mut columns);
    }
    columns.into_iter().collect()
}

fn analyze(view: &View<'_>, table: &TableDef, written: &str, purpose: TableExpression) -> Option<Expr> {
    let binder = Binder::new(view.schema(), &view.path);
    binder.table_expression(table, written, purpose).ok().map(|(expr, _)| expr)
}

fn write(view: &View<'_>, table: &TableDef, written: &str, expr: &Expr, pretty: bool) -> Option<String> {
    let columns = table.columns.iter().map(|column| parser::quote_ident(&column.name)).collect();
    Writer::new(view, columns, written, pretty).text(expr)
}

/// Whether the text is one constant: `5`, `-1.5`, `'x'`, `true`, `NULL`.
fn is_literal(written: &str) -> bool {
    let text = written.trim();
    let number = text.strip_prefix('-').unwrap_or(text);
    let quoted = text.len() >= 2
        && text.starts_with('\'')
        && text.ends_with('\'')
        && !text[1..text.len() - 1].replace("''", "").contains('\'');
    let word = ["true", "false", "null"].iter().any(|word| text.eq_ignore_ascii_case(word));
    quoted || word || number.starts_with(|c: char| c.is_ascii_digit()) && number.parse::<f64>().is_ok()
}

/// Whether the text is a constant with a cast: `'x'::text`.
fn is_cast_literal(written: &str) -> bool {
    written.rsplit_once("::").is_some_and(|(literal, _)| is_literal(literal))
}
