//! A path as text (`printJsonPathItem`).

use std::fmt::Write as _;

use super::{Binary, Head, Item, JsonPath, Step};
use crate::jsonb::escape_json;

pub(super) fn text(path: &JsonPath) -> String {
    let mut out = String::new();
    if path.strict {
        out.push_str("strict ");
    }
    item(&path.root, true, &mut out);
    out
}

/// How tightly something binds.
fn priority(head: &Head) -> u8 {
    match head {
        Head::Binary(operator, ..) => match operator {
            Binary::Or => 0,
            Binary::And => 1,
            Binary::Add | Binary::Subtract => 3,
            Binary::Multiply | Binary::Divide | Binary::Modulo => 4,
            _ => 2,
        },
        Head::Sign { .. } => 5,
        _ => 6,
    }
}

fn operand(of: &Item, around: &Head, out: &mut String) {
    item(of, priority(&of.head) <= priority(around), out);
}

fn item(item: &Item, brackets: bool, out: &mut String) {
    match &item.head {
        // A point behind a number would be its own.
        Head::Number(number) if !item.steps.is_empty() => {
            let _ = write!(out, "({number})");
        }
        this => head(this, brackets, out),
    }
    for next in &item.steps {
        step(next, out);
    }
}

fn head(this: &Head, brackets: bool, out: &mut String) {
    let (open, close) = if brackets { ("(", ")") } else { ("", "") };
    match this {
        Head::Root => out.push('$'),
        Head::Current => out.push('@'),
        Head::Last => out.push_str("last"),
        Head::Variable(name) => {
            out.push('$');
            escape_json(name, out);
        }
        Head::Null => out.push_str("null"),
        Head::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Head::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Head::String(text) => escape_json(text, out),
        Head::Binary(operator, left, right) => {
            out.push_str(open);
            operand(left, this, out);
            let _ = write!(out, " {} ", operator.symbol());
            operand(right, this, out);
            out.push_str(close);
        }
        Head::Sign { minus, of } => {
            out.push_str(open);
            out.push(if *minus { '-' } else { '+' });
            operand(of, this, out);
            out.push_str(close);
        }
        Head::Not(of) => wrapped("!(", of, ")", out),
        Head::IsUnknown(of) => wrapped("(", of, ") is unknown", out),
        Head::Exists(of) => wrapped("exists (", of, ")", out),
        Head::LikeRegex { of, pattern, flags } => {
            out.push_str(open);
            operand(of, this, out);
            out.push_str(" like_regex ");
            escape_json(pattern, out);
            let set = [
                (flags.ignore_case, 'i'),
                (flags.dot_all, 's'),
                (flags.multi_line, 'm'),
                (flags.expanded, 'x'),
                (flags.quote, 'q'),
            ];
            if set.iter().any(|(on, _)| *on) {
                out.push_str(" flag \"");
                out.extend(set.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter));
                out.push('"');
            }
            out.push_str(close);
        }
    }
}

fn wrapped(open: &str, of: &Item, close: &str, out: &mut String) {
    out.push_str(open);
    item(of, false, out);
    out.push_str(close);
}

fn step(step: &Step, out: &mut String) {
    match step {
        Step::Key(key) => {
            out.push('.');
            escape_json(key, out);
        }
        Step::AnyKey => out.push_str(".*"),
        Step::AnyElement => out.push_str("[*]"),
        Step::Elements(list) => {
            out.push('[');
            for (number, (from, to)) in list.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                item(from, false, out);
                if let Some(to) = to {
                    out.push_str(" to ");
                    item(to, false, out);
                }
            }
            out.push(']');
        }
        Step::Deep(first, last) => {
            out.push_str(".**");
            let level =
                |level: &Option<u32>| level.map_or_else(|| "last".to_owned(), |level| level.to_string());
            if first == last {
                let _ = write!(out, "{{{}}}", level(first));
            } else if (first, last) != (&Some(0), &None) {
                let _ = write!(out, "{{{} to {}}}", level(first), level(last));
            }
        }
        Step::Filter(condition) => wrapped("?(", condition, ")", out),
        Step::Method(method) => {
            let _ = write!(out, ".{}(", method.name());
            if let super::Method::DateTime(Some(template)) = method {
                escape_json(template, out);
            }
            out.push(')');
        }
    }
}
