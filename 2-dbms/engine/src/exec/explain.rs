//! EXPLAIN: operators as indented lines, expressions as text.

use std::fmt::Display;

use tuplix_functions::operators;
use tuplix_sql::plan::{Expr, ExprKind};
use tuplix_types::{IoContext, Value, text_io};

use super::builder::Builder;
use super::rows::Rows;

/// The lines of a plan.
#[derive(Debug, Default)]
pub(crate) struct Explain {
    depth: usize,
    lines: Vec<String>,
}

impl Explain {
    /// An operator's line.
    pub(crate) fn line(&mut self, text: impl Display) {
        let line = match self.depth {
            0 => text.to_string(),
            depth => format!("{:indent$}->  {text}", "", indent = depth * 6 - 4),
        };
        self.lines.push(line);
    }

    /// A line about the operator above.
    pub(crate) fn note(&mut self, text: impl Display) {
        self.lines.push(format!("{:indent$}{text}", "", indent = self.depth * 6 + 2));
    }

    /// The number of the line that comes next.
    pub(crate) fn next_line(&self) -> usize {
        self.lines.len()
    }

    /// Adds to a line.
    pub(crate) fn amend(&mut self, line: usize, text: impl Display) {
        if let Some(line) = self.lines.get_mut(line) {
            line.push_str(&text.to_string());
        }
    }

    /// A source of the operator above.
    pub(crate) fn child(&mut self, source: &dyn Rows) {
        self.depth += 1;
        source.explain(self);
        self.depth -= 1;
    }

    /// All lines.
    pub(crate) fn finish(self) -> Vec<String> {
        self.lines
    }
}

impl Builder<'_> {
    /// An expression as EXPLAIN shows it: near to SQL, for people.
    pub(crate) fn text(&self, node: &Expr) -> String {
        let list = |nodes: &[Expr], between: &str| {
            nodes.iter().map(|n| self.text(n)).collect::<Vec<_>>().join(between)
        };
        match &node.kind {
            ExprKind::Constant(Value::Null) => "NULL".to_owned(),
            ExprKind::Constant(value) => {
                let labelled = crate::user_types::labelled(self.context.catalog, value);
                let value = labelled.as_ref().unwrap_or(value);
                let text = text_io::to_text(node.ty, value, &IoContext::default());
                if value.as_i64().is_some() || value.as_bool().is_some() { text } else { format!("'{text}'") }
            }
            ExprKind::Column { relation, column } => self.column_text(*relation, *column),
            ExprKind::WholeRow(relation) => format!("{}.*", self.name(*relation)),
            ExprKind::Parameter(number) => format!("${}", number + 1),
            ExprKind::Variable(number) => format!("variable {number}"),
            ExprKind::Call { function, arguments } => match &arguments[..] {
                [left, right] if operator_name(function.oid).is_some() => {
                    let operator = operator_name(function.oid).unwrap_or_default();
                    format!("({} {operator} {})", self.text(left), self.text(right))
                }
                _ => format!("{}({})", function.name, list(arguments, ", ")),
            },
            ExprKind::UserCall { function, arguments } => {
                let name =
                    self.context.catalog.function(*function).map_or("?", |function| function.name.as_str());
                format!("{name}({})", list(arguments, ", "))
            }
            ExprKind::Relabel(inner) | ExprKind::CastViaText(inner) => {
                format!("{}::{}", self.text(inner), node.ty)
            }
            ExprKind::And(parts) => format!("({})", list(parts, " AND ")),
            ExprKind::Or(parts) => format!("({})", list(parts, " OR ")),
            ExprKind::Not(inner) => format!("(NOT {})", self.text(inner)),
            ExprKind::IsNull { argument, negated } => {
                format!("({} IS {}NULL)", self.text(argument), if *negated { "NOT " } else { "" })
            }
            ExprKind::Coalesce(parts) => format!("COALESCE({})", list(parts, ", ")),
            ExprKind::Array { elements, .. } => format!("ARRAY[{}]", list(elements, ", ")),
            ExprKind::Row(parts) => format!("ROW({})", list(parts, ", ")),
            ExprKind::AnyAll { left, array, function, all } => {
                let operator = operator_name(function.oid).unwrap_or(function.name);
                let quantifier = if *all { "ALL" } else { "ANY" };
                format!("({} {operator} {quantifier} ({}))", self.text(left), self.text(array))
            }
            ExprKind::Subquery { .. } => "(SubPlan)".to_owned(),
            ExprKind::Case { .. } => "CASE ... END".to_owned(),
            _ => "(...)".to_owned(),
        }
    }

    fn column_text(&self, relation: tuplix_sql::plan::RelationId, column: usize) -> String {
        let table = self.relations.get(&relation).and_then(|slots| slots.table.as_ref());
        match table.and_then(|access| access.table.columns.get(column)) {
            Some(definition) => definition.name.clone(),
            None => format!("{}.{}", self.name(relation), column + 1),
        }
    }
}

fn operator_name(function: u32) -> Option<&'static str> {
    let operator =
        operators().iter().find(|operator| operator.function.oid == function && operator.left.is_some());
    operator.map(|operator| operator.name)
}
