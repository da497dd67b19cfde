//! EXPLAIN: operators as a tree with their estimates and what they really did, expressions as text.

use std::fmt::Display;

use tuplix_functions::operators;
use tuplix_sql::plan::{Expr, ExprKind};
use tuplix_types::{IoContext, Value, text_io};

use super::builder::Builder;
use super::cost::Estimate;
use super::rows::Rows;

/// What an operator's runs came to, of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actual {
    /// Runs; 0: it was never reached.
    pub loops: u64,
    /// Rows.
    pub rows: f64,
    /// Milliseconds until the first row.
    pub first_ms: f64,
    /// Milliseconds until the last one.
    pub total_ms: f64,
}

/// An operator of a plan.
#[derive(Debug)]
pub(crate) struct PlanNode {
    /// How deep it lies.
    pub depth: usize,
    /// What it is: `Seq Scan on t`.
    pub line: String,
    /// What else there is to say, each `Name: value`, and behind how many nodes it is said.
    pub notes: Vec<(usize, String)>,
    /// What it was estimated to do.
    pub estimate: Option<Estimate>,
    /// What it did; none before it ran.
    pub actual: Option<Actual>,
}

/// The operators of a plan, each before its sources.
#[derive(Debug, Default)]
pub(crate) struct Explain {
    depth: usize,
    nodes: Vec<PlanNode>,
}

impl Explain {
    /// An operator.
    pub(crate) fn line(&mut self, text: impl Display) {
        let (depth, line) = (self.depth, text.to_string());
        self.nodes.push(PlanNode { depth, line, notes: Vec::new(), estimate: None, actual: None });
    }

    /// Something about the last operator at this depth.
    pub(crate) fn note(&mut self, text: impl Display) {
        let (depth, behind) = (self.depth, self.nodes.len());
        if let Some(node) = self.nodes.iter_mut().rev().find(|node| node.depth == depth) {
            node.notes.push((behind, text.to_string()));
        }
    }

    /// The number of the operator that comes next.
    pub(crate) fn next_line(&self) -> usize {
        self.nodes.len()
    }

    /// Says what was estimated of an operator.
    pub(crate) fn estimated(&mut self, node: usize, estimate: Estimate) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.estimate = Some(estimate);
        }
    }

    /// Says what an operator did.
    pub(crate) fn measured(&mut self, node: usize, actual: Actual) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.actual = Some(actual);
        }
    }

    /// A source of the operator above.
    pub(crate) fn child(&mut self, source: &dyn Rows) {
        self.depth += 1;
        source.explain(self);
        self.depth -= 1;
    }

    /// All operators.
    pub(crate) fn finish(self) -> Vec<PlanNode> {
        self.nodes
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
            ExprKind::WholeRow(relation) | ExprKind::Place { relation, .. } => {
                format!("{}.*", self.name(*relation))
            }
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
