//! EXPLAIN's options, and its formats: TEXT, JSON, YAML and XML, with PostgreSQL's names, so that its tools read them.

use std::fmt::Write as _;

use tuplix_types::{Result, Rows, SqlError, Value, sqlstate};

use crate::exec::PlanNode;

/// How a plan is written.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    Text,
    Json,
    Yaml,
    Xml,
}

const XML_BEGIN: &str = "<explain xmlns=\"http://www.postgresql.org/2009/explain\">";

/// What EXPLAIN shows.
pub(super) struct Options {
    format: Format,
    analyze: bool,
    costs: bool,
    timing: bool,
    summary: bool,
}

/// Whether the answer is a `json`.
pub(super) fn is_json(options: &[(String, String)]) -> bool {
    options.iter().any(|(name, value)| name == "format" && value == "json")
}

impl Options {
    /// # Errors
    /// 42601 for an unknown option, 22023 for an unknown format or an option that needs ANALYZE.
    pub(super) fn new(analyze: bool, options: &[(String, String)]) -> Result<Options> {
        let mut found =
            Options { format: Format::Text, analyze, costs: true, timing: analyze, summary: analyze };
        for (name, value) in options {
            let on = || match value.to_lowercase().as_str() {
                "on" | "true" | "1" => Ok(true),
                "off" | "false" | "0" => Ok(false),
                _ => {
                    let message = format!("{name} requires a Boolean value");
                    Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
                }
            };
            let needs_analyze = |on: bool| match on && !analyze {
                true => {
                    let message = format!("EXPLAIN option {} requires ANALYZE", name.to_uppercase());
                    Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message))
                }
                false => Ok(on),
            };
            match name.as_str() {
                "format" => found.format = format_named(value)?,
                "costs" => found.costs = on()?,
                "timing" => found.timing = needs_analyze(on()?)?,
                "summary" => found.summary = on()?,
                "wal" => {
                    needs_analyze(on()?)?;
                }
                // There are no buffers, and nothing is hidden.
                "buffers" | "verbose" | "settings" => {
                    on()?;
                }
                _ => {
                    let message = format!("unrecognized EXPLAIN option \"{name}\"");
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
                }
            }
        }
        Ok(found)
    }

    /// Writes a statement that has no plan.
    pub(super) fn show_utility(&self, out: &mut Rows) {
        match self.format {
            Format::Text => out.push(&[Value::text("Utility Statement")]),
            Format::Json => out.push(&[Value::text("[\n  \"Utility Statement\"\n]")]),
            Format::Yaml => out.push(&[Value::text("- \"Utility Statement\"")]),
            Format::Xml => {
                out.push(&[Value::text(format!("{XML_BEGIN}\n  <Utility-Statement />\n</explain>"))]);
            }
        }
    }

    /// Writes a plan with the time that planning and running it took.
    pub(super) fn show(
        &self,
        nodes: &[PlanNode],
        planning_ms: f64,
        execution_ms: Option<f64>,
        out: &mut Rows,
    ) {
        if self.format != Format::Text {
            let mut at = 0;
            let mut whole = vec![("Plan".to_owned(), self.object(nodes, &mut at, None))];
            if self.summary {
                whole.push(("Planning Time".to_owned(), Item::Plain(format!("{planning_ms:.3}"))));
            }
            if let Some(execution) = execution_ms.filter(|_| self.summary) {
                whole.push(("Execution Time".to_owned(), Item::Plain(format!("{execution:.3}"))));
            }
            let whole = Item::Object(whole);
            let mut text = String::new();
            match self.format {
                Format::Json => Item::List(vec![whole]).json(0, &mut text),
                Format::Xml => {
                    let _ = writeln!(text, "{XML_BEGIN}");
                    whole.xml("Query", 2, &mut text);
                    text.push_str("</explain>");
                }
                _ => Item::List(vec![whole]).yaml(0, &mut text),
            }
            return out.push(&[Value::text(text.trim_end())]);
        }
        for line in self.lines(nodes) {
            out.push(&[Value::text(line)]);
        }
        if self.summary {
            out.push(&[Value::text(format!("Planning Time: {planning_ms:.3} ms"))]);
            if let Some(execution) = execution_ms {
                out.push(&[Value::text(format!("Execution Time: {execution:.3} ms"))]);
            }
        }
    }

    fn lines(&self, nodes: &[PlanNode]) -> Vec<String> {
        // What is said of an operator behind its sources comes behind them.
        let mut lines = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            let mut line = match node.depth {
                0 => node.line.clone(),
                depth => format!("{:indent$}->  {}", "", node.line, indent = depth * 6 - 4),
            };
            line.push_str(&self.figures(node));
            lines.push(line);
            // The source has said all before the operator over it says more.
            let said = nodes.iter().flat_map(|node| node.notes.iter().map(move |said| (node.depth, said)));
            let mut said: Vec<(usize, &(usize, String))> =
                said.filter(|(_, (behind, _))| *behind == number + 1).collect();
            said.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
            lines.extend(
                said.into_iter()
                    .map(|(depth, (_, text))| format!("{:indent$}{text}", "", indent = depth * 6 + 2)),
            );
        }
        lines
    }

    fn figures(&self, node: &PlanNode) -> String {
        let mut text = String::new();
        if let Some(e) = node.estimate.filter(|_| self.costs) {
            let (startup, cost) = (e.startup.min(e.cost) / 1e3, e.cost / 1e3);
            let _ = write!(text, "  (cost={startup:.2}..{cost:.2} rows={:.0} width={:.0})", e.rows, e.width);
        }
        match node.actual.filter(|_| self.analyze) {
            None => {}
            Some(actual) if actual.loops == 0 => text.push_str(" (never executed)"),
            Some(actual) => {
                text.push_str(" (actual ");
                if self.timing {
                    let _ = write!(text, "time={:.3}..{:.3} ", actual.first_ms, actual.total_ms);
                }
                let _ = write!(text, "rows={:.0} loops={})", actual.rows, actual.loops);
            }
        }
        text
    }

    /// The operator at `at` with its sources; `at` is behind them then.
    fn object(&self, nodes: &[PlanNode], at: &mut usize, place: Option<usize>) -> Item {
        let Some(node) = nodes.get(*at) else { return Item::Object(Vec::new()) };
        *at += 1;
        let mut items = described(&node.line);
        let side = place.map(|place| if place == 0 { "Outer" } else { "Inner" });
        let behind = items.iter().position(|(name, _)| name != "Node Type" && name != "Operation");
        let behind = behind.unwrap_or(items.len());
        let flag = |name: &str| (name.to_owned(), Item::Plain("false".to_owned()));
        items.insert(behind, flag("Async Capable"));
        items.insert(behind, flag("Parallel Aware"));
        if let Some(side) = side {
            items.insert(behind, ("Parent Relationship".to_owned(), Item::Text(side.to_owned())));
        }
        let mut number = |name: &str, value: String| items.push((name.to_owned(), Item::Plain(value)));
        if let Some(e) = node.estimate.filter(|_| self.costs) {
            number("Startup Cost", format!("{:.2}", e.startup.min(e.cost) / 1e3));
            number("Total Cost", format!("{:.2}", e.cost / 1e3));
            number("Plan Rows", format!("{:.0}", e.rows));
            number("Plan Width", format!("{:.0}", e.width));
        }
        if let Some(actual) = node.actual.filter(|_| self.analyze) {
            if self.timing {
                number("Actual Startup Time", format!("{:.3}", actual.first_ms));
                number("Actual Total Time", format!("{:.3}", actual.total_ms));
            }
            number("Actual Rows", format!("{:.0}", actual.rows));
            number("Actual Loops", actual.loops.to_string());
        }
        for (_, note) in &node.notes {
            let (name, value) = note.split_once(": ").unwrap_or(("Note", note));
            items.push((name.to_owned(), Item::Text(value.to_owned())));
        }
        let mut sources = Vec::new();
        while nodes.get(*at).is_some_and(|source| source.depth > node.depth) {
            sources.push(self.object(nodes, at, Some(sources.len())));
        }
        if !sources.is_empty() {
            items.push(("Plans".to_owned(), Item::List(sources)));
        }
        Item::Object(items)
    }
}

fn format_named(value: &str) -> Result<Format> {
    match value {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "yaml" => Ok(Format::Yaml),
        "xml" => Ok(Format::Xml),
        _ => {
            let message = format!("unrecognized value for EXPLAIN option \"format\": \"{value}\"");
            Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message))
        }
    }
}

/// The line of an operator, as TEXT shows it, under PostgreSQL's names of its parts.
fn described(line: &str) -> Vec<(String, Item)> {
    let mut items = Vec::new();
    let mut text = |name: &str, value: &str| items.push((name.to_owned(), Item::Text(value.to_owned())));
    let (kind, object) = line.split_once(" on ").map_or((line, None), |(kind, object)| (kind, Some(object)));
    let (kind, index) = kind.split_once(" using ").map_or((kind, None), |(kind, index)| (kind, Some(index)));
    if let operation @ ("Insert" | "Update" | "Delete") = kind {
        text("Node Type", "ModifyTable");
        text("Operation", operation);
    } else if let Some(condition) = kind.strip_prefix("Filter: ") {
        text("Node Type", "Result");
        text("Filter", condition);
    } else if kind.starts_with("Nested Loop") || kind.starts_with("Hash ") && kind.ends_with("Join") {
        text("Node Type", if kind.starts_with("Hash") { "Hash Join" } else { "Nested Loop" });
        let join = ["Left", "Full"].into_iter().find(|join| kind.contains(join));
        text("Join Type", join.unwrap_or("Inner"));
    } else {
        text("Node Type", kind);
    }
    if let Some(index) = index {
        text("Index Name", index);
    }
    if let Some(object) = object {
        let (name, alias) = object.split_once(' ').unwrap_or((object, object));
        let what = match kind {
            "Function Scan" => "Function Name",
            "CTE Scan" => "CTE Name",
            _ => "Relation Name",
        };
        text(what, name);
        text("Alias", alias);
    }
    items
}

/// A part of a plan in JSON, YAML or XML.
enum Item {
    Plain(String),
    Text(String),
    List(Vec<Item>),
    Object(Vec<(String, Item)>),
}

impl Item {
    fn json(&self, indent: usize, out: &mut String) {
        let space = |out: &mut String, indent: usize| {
            let _ = write!(out, "\n{:indent$}", "");
        };
        match self {
            Item::Plain(text) => out.push_str(text),
            Item::Text(text) => out.push_str(&quoted(text)),
            Item::List(items) => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    space(out, indent + 2);
                    item.json(indent + 2, out);
                }
                space(out, indent);
                out.push(']');
            }
            Item::Object(items) => {
                out.push('{');
                for (number, (name, item)) in items.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    space(out, indent + 2);
                    let _ = write!(out, "{}: ", quoted(name));
                    item.json(indent + 2, out);
                }
                space(out, indent);
                out.push('}');
            }
        }
    }

    /// As the element of a name; those of a list have its name without the `s`.
    fn xml(&self, name: &str, indent: usize, out: &mut String) {
        let tag: String =
            name.replace(' ', "-").chars().filter(|c| c.is_alphanumeric() || "-_.".contains(*c)).collect();
        let _ = write!(out, "{:indent$}<{tag}>", "");
        match self {
            Item::Plain(text) => out.push_str(text),
            Item::Text(text) => {
                let escapes = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('\r', "&#x0d;")];
                let escaped = escapes.iter().fold(text.clone(), |text, (from, to)| text.replace(*from, to));
                out.push_str(&escaped);
            }
            Item::List(items) => {
                out.push('\n');
                items.iter().for_each(|item| item.xml(name.trim_end_matches('s'), indent + 2, out));
                let _ = write!(out, "{:indent$}", "");
            }
            Item::Object(items) => {
                out.push('\n');
                items.iter().for_each(|(name, item)| item.xml(name, indent + 2, out));
                let _ = write!(out, "{:indent$}", "");
            }
        }
        let _ = writeln!(out, "</{tag}>");
    }

    fn yaml(&self, indent: usize, out: &mut String) {
        match self {
            Item::Plain(text) => {
                let _ = writeln!(out, "{text}");
            }
            Item::Text(text) => {
                let _ = writeln!(out, "{}", quoted(text));
            }
            Item::List(items) => {
                for item in items {
                    let _ = write!(out, "{:indent$}- ", "");
                    item.yaml(indent + 2, out);
                }
            }
            Item::Object(items) => {
                for (number, (name, item)) in items.iter().enumerate() {
                    let indent_now = if number > 0 { indent } else { 0 };
                    let _ = write!(out, "{:indent_now$}{name}: ", "");
                    if matches!(item, Item::List(_) | Item::Object(_)) {
                        out.pop();
                        out.push('\n');
                        if matches!(item, Item::Object(_)) {
                            let _ = write!(out, "{:width$}", "", width = indent + 2);
                        }
                    }
                    item.yaml(indent + 2, out);
                }
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
