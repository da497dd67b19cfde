//! Procedures in short form.

use super::show::{Show, statement};
use crate::plan::*;

/// A procedure: its variables and statements, a line each.
pub(super) fn procedure(procedure: &Procedure) -> String {
    let mut text = procedure.signature.clone();
    for (index, variable) in procedure.variables.iter().enumerate() {
        let mark = if index < procedure.inputs { "in " } else { "" };
        let out = if procedure.outputs.contains(&index) { "out " } else { "" };
        text.push_str(&format!("\nv{index} {mark}{out}{} {}", variable.name, variable.ty));
    }
    block(&mut text, &procedure.body, 0);
    text
}

fn line(text: &mut String, depth: usize, content: &str) {
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push_str(content);
}

fn block(text: &mut String, block: &Block, depth: usize) {
    let label = block.label.as_ref().map_or_else(String::new, |label| format!(" <<{label}>>"));
    line(text, depth, &format!("begin{label}"));
    for (variable, value) in &block.initial {
        let value = value.as_ref().map_or_else(|| "null".to_owned(), |value| expr(value, &[]));
        line(text, depth + 1, &format!("v{variable} = {value}"));
    }
    statements(text, &block.statements, depth + 1);
    for handler in &block.handlers {
        line(text, depth, &format!("when {:?}", handler.conditions));
        statements(text, &handler.statements, depth + 1);
    }
}

fn statements(text: &mut String, list: &[Located<PlStatement>], depth: usize) {
    for located in list {
        one(text, &located.node, depth);
    }
}

fn expr(value: &Expr, relations: &[Relation]) -> String {
    Show { relations }.expr(value)
}

fn value(value: &Expression) -> String {
    match &value.failure {
        Some(error) => failure(error),
        None => expr(&value.expr, &value.relations),
    }
}

fn values(list: &[Expression]) -> String {
    list.iter().map(value).collect::<Vec<_>>().join(", ")
}

fn target(target: &Target) -> String {
    match target {
        Target::Variable(variable) => format!("v{variable}"),
        Target::Field(variable, index) => format!("v{variable}.{index}"),
        Target::Record(variable) => format!("v{variable}.*"),
        #[allow(unreachable_patterns)]
        other => format!("{other:?}"),
    }
}

fn into(into: &Into) -> String {
    let one = |(place, cast): &(Target, Option<Expr>)| match cast {
        Some(cast) => format!("{} via {}", target(place), expr(cast, &[])),
        None => target(place),
    };
    let targets = into.targets.iter().map(one).collect::<Vec<_>>().join(", ");
    format!("{}{targets}", if into.strict { "strict " } else { "" })
}

fn one(text: &mut String, node: &PlStatement, depth: usize) {
    match node {
        PlStatement::Block(inner) => block(text, inner, depth),
        PlStatement::Assign { target: place, value: given } => {
            line(text, depth, &format!("{} := {}", target(place), value(given)));
        }
        PlStatement::If { arms, otherwise } => {
            for (condition, body) in arms {
                line(text, depth, &format!("if {}", value(condition)));
                statements(text, body, depth + 1);
            }
            line(text, depth, "else");
            statements(text, otherwise, depth + 1);
        }
        PlStatement::Case { arms, otherwise } => {
            for (condition, body) in arms {
                line(text, depth, &format!("when {}", value(condition)));
                statements(text, body, depth + 1);
            }
            if let Some(otherwise) = otherwise {
                line(text, depth, "else");
                statements(text, otherwise, depth + 1);
            }
        }
        PlStatement::Loop { label, body } => {
            line(text, depth, &format!("loop {label:?}"));
            statements(text, body, depth + 1);
        }
        PlStatement::While { condition, body, .. } => {
            line(text, depth, &format!("while {}", value(condition)));
            statements(text, body, depth + 1);
        }
        PlStatement::ForRange { variable, reverse, from, to, step, body, .. } => {
            let step = step.as_ref().map_or_else(String::new, |step| format!(" by {}", value(step)));
            let reverse = if *reverse { "reverse " } else { "" };
            line(text, depth, &format!("for v{variable} in {reverse}{}..{}{step}", value(from), value(to)));
            statements(text, body, depth + 1);
        }
        PlStatement::ForQuery { into: targets, query, body, .. }
        | PlStatement::ForCursor { into: targets, query, body, .. } => {
            line(text, depth, &format!("for {} in {}", into(targets), statement(&query.statement)));
            statements(text, body, depth + 1);
        }
        PlStatement::ForExecute { into: targets, text: query, arguments, body, .. } => {
            let head =
                format!("for {} in execute {} using [{}]", into(targets), value(query), values(arguments));
            line(text, depth, &head);
            statements(text, body, depth + 1);
        }
        PlStatement::ForEach { target: (place, cast), array, body, .. } => {
            let cast = cast.as_ref().map_or_else(String::new, |cast| format!(" via {}", expr(cast, &[])));
            line(text, depth, &format!("foreach {}{cast} in {}", target(place), value(array)));
            statements(text, body, depth + 1);
        }
        PlStatement::OpenCursor { cursor, arguments, source, .. } => {
            let source = match source {
                crate::plan::CursorSource::Query(query, _) => query.text.clone(),
                crate::plan::CursorSource::Dynamic { text, .. } => format!("execute {}", value(text)),
            };
            line(text, depth, &format!("open {cursor} with {} arguments for {source}", arguments.len()));
        }
        PlStatement::FetchCursor { cursor, by, .. } => line(text, depth, &format!("fetch {by:?} {cursor}")),
        PlStatement::CloseCursor(cursor) => line(text, depth, &format!("close {cursor}")),
        PlStatement::Leave { next, label, condition } => {
            let word = if *next { "continue" } else { "exit" };
            let condition =
                condition.as_ref().map_or_else(String::new, |value_| format!(" when {}", value(value_)));
            line(text, depth, &format!("{word} {label:?}{condition}"));
        }
        PlStatement::Return(given) => {
            line(
                text,
                depth,
                &format!("return {}", given.as_ref().map_or_else(|| "outputs".to_owned(), value)),
            );
        }
        PlStatement::ReturnNext(given) => line(text, depth, &format!("return next [{}]", values(given))),
        PlStatement::ReturnQuery(query) => {
            line(text, depth, &format!("return query {}", statement(&query.statement)))
        }
        PlStatement::ReturnQueryExecute { text: query, arguments } => {
            line(
                text,
                depth,
                &format!("return query execute {} using [{}]", value(query), values(arguments)),
            );
        }
        PlStatement::Raise(raise) => {
            let options: Vec<String> =
                raise.options.iter().map(|(o, v)| format!("{o:?}={}", value(v))).collect();
            let head = format!(
                "raise {:?} {:?} {:?} [{}] [{}]{}",
                raise.severity,
                raise.sqlstate,
                raise.format,
                values(&raise.arguments),
                options.join(", "),
                if raise.rethrow { " again" } else { "" }
            );
            line(text, depth, &head);
        }
        PlStatement::Assert { condition, message } => {
            let message = message.as_ref().map_or_else(String::new, value);
            line(text, depth, &format!("assert {} {message}", value(condition)));
        }
        PlStatement::Sql { statement: embedded, into: targets, perform } => {
            let word = if *perform { "perform " } else { "" };
            let targets =
                targets.as_ref().map_or_else(String::new, |targets| format!(" into {}", into(targets)));
            line(text, depth, &format!("{word}{}{targets}", statement(&embedded.statement)));
        }
        PlStatement::Execute { text: query, into: targets, arguments } => {
            let targets =
                targets.as_ref().map_or_else(String::new, |targets| format!(" into {}", into(targets)));
            line(text, depth, &format!("execute {} using [{}]{targets}", value(query), values(arguments)));
        }
        PlStatement::GetDiagnostics(items) => line(text, depth, &format!("get {items:?}")),
        PlStatement::Null => line(text, depth, "null"),
        PlStatement::Fail { error, .. } => line(text, depth, &failure(error)),
    }
}

fn failure(error: &tuplix_types::SqlError) -> String {
    format!("fail: {}", super::error_text(error))
}
