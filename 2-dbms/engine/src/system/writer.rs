//! Writes a typed expression as SQL the way PostgreSQL's `get_rule_expr` does: every operator in parentheses, or, when
//! pretty, only where they are needed; casts and the types of literals spelled out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use tuplix_functions::{Function, FunctionKind, quote_literal};
use tuplix_sql::parser::quote_ident;
use tuplix_sql::plan::{AggregateCall, Expr, ExprKind, RelationId, Select};
use tuplix_types::{TypeId, Value, text_io, typmod};

use super::view::View;

/// What stands around an expression, for the parentheses of pretty texts (`isSimpleNode`).
#[derive(Clone, Copy, PartialEq)]
enum Around<'a> {
    /// Nothing, or a list: a call's arguments, an array's elements.
    List,
    And,
    Or,
    Not,
    /// An operator, and whether we are its left operand.
    Operator(&'a str, bool),
    /// A cast or a test.
    Tight,
}

/// See the module.
pub(crate) struct Writer<'a> {
    view: &'a View<'a>,
    columns: Vec<String>,
    /// The columns of a query's relations, and the query.
    query: Option<(&'a BTreeMap<RelationId, Vec<String>>, &'a Select)>,
    pretty: bool,
    /// The text says CURRENT_TIMESTAMP or CURRENT_DATE, whose tree is that of `now()`.
    says_current: bool,
    out: String,
    indent: usize,
}

impl<'a> Writer<'a> {
    /// A writer of expressions over these columns.
    pub(crate) fn new(view: &'a View<'a>, columns: Vec<String>, written: &str, pretty: bool) -> Writer<'a> {
        let lower = written.to_ascii_lowercase();
        let says_current = lower.contains("current_timestamp") || lower.contains("current_date");
        Writer { view, columns, query: None, pretty, says_current, out: String::new(), indent: 0 }
    }

    /// Writes expressions of a query.
    pub(crate) fn over(
        mut self,
        names: &'a BTreeMap<RelationId, Vec<String>>,
        select: &'a Select,
    ) -> Writer<'a> {
        self.query = Some((names, select));
        self
    }

    /// An aggregate call.
    fn aggregate(&mut self, call: &AggregateCall) -> Option<()> {
        if !call.order_by.is_empty() || !call.direct.is_empty() {
            return None;
        }
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let name = quote_ident(call.aggregate.function.name);
        match call.arguments.is_empty() {
            true => {
                let _ = write!(self.out, "{name}(*)");
            }
            false => self.list(&format!("{name}({distinct}"), &call.arguments, ")")?,
        }
        if let Some(filter) = &call.filter {
            self.out.push_str(" FILTER (WHERE ");
            self.expr(filter, Around::List)?;
            self.out.push(')');
        }
        Some(())
    }

    /// The expression's text; `None` when it has a construct that is not written here.
    pub(crate) fn text(mut self, expr: &Expr) -> Option<String> {
        self.expr(expr, Around::List)?;
        Some(self.out)
    }

    fn expr(&mut self, expr: &Expr, around: Around<'_>) -> Option<()> {
        match &expr.kind {
            ExprKind::Constant(value) => self.constant(value, expr),
            ExprKind::Column { relation, column } => match self.query {
                Some((names, _)) => self.out.push_str(names.get(relation)?.get(*column)?),
                None => self.out.push_str(self.columns.get(*column)?),
            },
            ExprKind::GroupKey(key) => {
                let key = self.query.and_then(|(_, select)| select.group_by.get(*key))?;
                self.expr(key, around)?;
            }
            ExprKind::Aggregate(number) => {
                let call = self.query.and_then(|(_, select)| select.aggregates.get(*number))?;
                self.aggregate(call)?;
            }
            ExprKind::Call { function, arguments } => self.call(function, arguments, expr, around)?,
            ExprKind::UserCall { function, arguments } => {
                let name = super::names::function_name(self.view, function.0)?;
                self.list(&format!("{name}("), arguments, ")")?;
            }
            ExprKind::CastViaText(inner) => match &inner.kind {
                // A literal whose value depends on the session, such as a timestamptz.
                ExprKind::Constant(Value::Text(literal)) => {
                    let _ = write!(self.out, "{}::{}", quote_literal(literal), shown_type(expr.ty, -1));
                }
                _ => self.cast(inner, expr.ty, expr.typmod)?,
            },
            ExprKind::Domain { argument, .. } => self.cast(argument, expr.ty, -1)?,
            ExprKind::DomainValue => self.out.push_str("VALUE"),
            ExprKind::Relabel(inner) => self.cast(inner, expr.ty, expr.typmod)?,
            ExprKind::CastElements { array, .. } => self.cast(array, expr.ty, expr.typmod)?,
            ExprKind::And(list) => self.logic(list, " AND ", around)?,
            ExprKind::Or(list) => self.logic(list, " OR ", around)?,
            ExprKind::Not(inner) => {
                let open = self.open(!matches!(around, Around::List | Around::And | Around::Or));
                self.out.push_str("NOT ");
                self.expr(inner, Around::Not)?;
                self.close(open);
            }
            ExprKind::IsNull { argument, negated } => {
                self.test(argument, if *negated { " IS NOT NULL" } else { " IS NULL" }, around)?;
            }
            ExprKind::IsBoolean { argument, value, negated } => {
                let not = if *negated { "NOT " } else { "" };
                let what = match value {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                self.test(argument, &format!(" IS {not}{what}"), around)?;
            }
            ExprKind::IsDistinct { left, right, negated: false, .. } => {
                self.binary(left, "IS DISTINCT FROM", right, around)?;
            }
            ExprKind::Coalesce(arguments) => self.list("COALESCE(", arguments, ")")?,
            ExprKind::MinMax { greatest, arguments } => {
                self.list(if *greatest { "GREATEST(" } else { "LEAST(" }, arguments, ")")?;
            }
            ExprKind::Array { elements, .. } => self.list("ARRAY[", elements, "]")?,
            ExprKind::AnyAll { left, array, function, all } => {
                let operator = operator_of(function)?;
                let open = self.open(self.operator_needs_parentheses(operator, around));
                self.expr(left, Around::Operator(operator, true))?;
                let _ = write!(self.out, " {operator} {} (", if *all { "ALL" } else { "ANY" });
                self.expr(array, Around::List)?;
                self.out.push(')');
                self.close(open);
            }
            ExprKind::Case { operand: None, arms, otherwise } => self.case(arms, otherwise.as_deref())?,
            _ => return None,
        }
        Some(())
    }

    /// Opens a parenthesis: always, unless pretty, where only those that are `needed` are written.
    fn open(&mut self, needed: bool) -> bool {
        let open = !self.pretty || needed;
        if open {
            self.out.push('(');
        }
        open
    }

    fn close(&mut self, open: bool) {
        if open {
            self.out.push(')');
        }
    }

    fn list(&mut self, before: &str, items: &[Expr], after: &str) -> Option<()> {
        self.out.push_str(before);
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                self.out.push_str(", ");
            }
            self.expr(item, Around::List)?;
        }
        self.out.push_str(after);
        Some(())
    }

    fn logic(&mut self, list: &[Expr], word: &str, around: Around<'_>) -> Option<()> {
        let is_and = word == " AND ";
        let needed = match around {
            Around::List | Around::Or => false,
            Around::And => !is_and,
            Around::Not | Around::Operator(..) | Around::Tight => true,
        };
        let open = self.open(needed);
        for (number, item) in list.iter().enumerate() {
            if number > 0 {
                self.out.push_str(word);
            }
            self.expr(item, if is_and { Around::And } else { Around::Or })?;
        }
        self.close(open);
        Some(())
    }

    fn test(&mut self, argument: &Expr, words: &str, around: Around<'_>) -> Option<()> {
        let open = self.open(matches!(around, Around::Operator(..) | Around::Tight));
        self.expr(argument, Around::Tight)?;
        self.out.push_str(words);
        self.close(open);
        Some(())
    }

    fn binary(&mut self, left: &Expr, operator: &str, right: &Expr, around: Around<'_>) -> Option<()> {
        let open = self.open(self.operator_needs_parentheses(operator, around));
        self.expr(left, Around::Operator(operator, true))?;
        let _ = write!(self.out, " {operator} ");
        self.expr(right, Around::Operator(operator, false))?;
        self.close(open);
        Some(())
    }

    fn operator_needs_parentheses(&self, operator: &str, around: Around<'_>) -> bool {
        let low = |operator: &str| matches!(operator, "+" | "-");
        let high = |operator: &str| matches!(operator, "*" | "/" | "%");
        match around {
            Around::List | Around::And | Around::Or | Around::Not => false,
            Around::Tight => true,
            Around::Operator(parent, left) => {
                let stronger = high(operator) && low(parent);
                let same = low(operator) && low(parent) || high(operator) && high(parent);
                !(stronger || same && left)
            }
        }
    }

    fn call(
        &mut self,
        function: &'static Function,
        arguments: &[Expr],
        expr: &Expr,
        around: Around<'_>,
    ) -> Option<()> {
        if function.kind != FunctionKind::Scalar {
            return None;
        }
        if self.says_current && function.name == "now" {
            self.out.push_str("CURRENT_TIMESTAMP");
            return Some(());
        }
        if let (true, TypeId::DATE, [now]) = (self.says_current, expr.ty, arguments)
            && matches!(&now.kind, ExprKind::Call { function, .. } if function.name == "now")
        {
            self.out.push_str("CURRENT_DATE");
            return Some(());
        }
        if let Some(operator) = operator_of(function) {
            return match arguments {
                [left, right] => self.binary(left, operator, right, around),
                [only] => {
                    let open = self.open(self.operator_needs_parentheses(operator, around));
                    let _ = write!(self.out, "{operator} ");
                    self.expr(only, Around::Operator(operator, false))?;
                    self.close(open);
                    Some(())
                }
                _ => None,
            };
        }
        if let Some(first) = arguments.first()
            && is_cast(function, expr.ty)
        {
            return self.cast(first, expr.ty, typmod_argument(arguments).unwrap_or(expr.typmod));
        }
        match (function.name, arguments) {
            ("timezone", [zone, time]) => self.binary(time, "AT TIME ZONE", zone, around),
            ("extract", [field, from]) => {
                let ExprKind::Constant(Value::Text(field)) = &field.kind else { return None };
                let _ = write!(self.out, "EXTRACT({field} FROM ");
                self.list("", std::slice::from_ref(from), ")")
            }
            ("current_user", []) => self.word("CURRENT_USER"),
            ("session_user", []) => self.word("SESSION_USER"),
            (name, _) => self.list(&format!("{}(", quote_ident(name)), arguments, ")"),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.out.push_str(word);
        Some(())
    }

    fn cast(&mut self, inner: &Expr, ty: TypeId, typmod: i32) -> Option<()> {
        let open = !self.pretty;
        if open {
            self.out.push('(');
        }
        self.expr(inner, Around::Tight)?;
        self.close(open);
        let _ = write!(self.out, "::{}", shown_type(ty, typmod));
        Some(())
    }

    /// A constant; one that a number's implicit cast became, as that cast.
    fn constant(&mut self, value: &Value, expr: &Expr) {
        if let Value::Oid(oid) = value
            && let Some(name) = super::names::object_name(self.view, expr.ty, *oid)
        {
            let _ = write!(self.out, "{}::{}", quote_literal(&name), expr.ty);
            return;
        }
        let number = text_io::to_text(expr.ty, value, &text_io::IoContext::default());
        let from_integer = number.parse::<i32>().is_ok();
        let was_cast = match expr.ty {
            TypeId::NUMERIC => from_integer,
            TypeId::INT2 | TypeId::INT8 => from_integer,
            TypeId::FLOAT4 | TypeId::FLOAT8 => number.parse::<f64>().is_ok_and(f64::is_finite),
            _ => false,
        };
        if !was_cast || value.is_null() {
            self.out.push_str(&constant(value, expr.ty));
            return;
        }
        let written = match (number.starts_with('-'), from_integer) {
            (false, _) => number,
            (true, true) => format!("'{number}'::integer"),
            (true, false) => format!("'{number}'::numeric"),
        };
        let (before, after) = if self.pretty { ("", "") } else { ("(", ")") };
        let _ = write!(self.out, "{before}{written}{after}::{}", expr.ty);
    }

    fn case(&mut self, arms: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Option<()> {
        self.line("CASE");
        self.indent += 4;
        for (condition, result) in arms {
            self.line("WHEN ");
            self.expr(condition, Around::List)?;
            self.out.push_str(" THEN ");
            self.expr(result, Around::List)?;
        }
        self.line("ELSE ");
        match otherwise {
            Some(otherwise) => self.expr(otherwise, Around::List)?,
            None => {
                let ty = arms.first().map_or(TypeId::TEXT, |(_, result)| result.ty);
                let _ = write!(self.out, "NULL::{ty}");
            }
        }
        self.indent -= 4;
        self.line("END");
        Some(())
    }

    /// Begins a line.
    fn line(&mut self, word: &str) {
        let length = self.out.trim_end_matches(' ').len();
        self.out.truncate(length);
        let _ = write!(self.out, "\n{:indent$}{word}", "", indent = self.indent);
    }
}

/// A constant with the type that it needs to be read back (`get_const_expr`).
pub(crate) fn constant(value: &Value, ty: TypeId) -> String {
    if value.is_null() {
        return format!("NULL::{ty}");
    }
    let text = text_io::to_text(ty, value, &text_io::IoContext::default());
    match (ty, value) {
        (TypeId::BOOL, _) => if text == "t" { "true" } else { "false" }.to_owned(),
        (TypeId::INT4, _) if !text.starts_with('-') => text,
        (TypeId::NUMERIC, _)
            if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['.', 'e', 'E']) =>
        {
            text
        }
        _ => format!("{}::{}", quote_literal(&text), shown_type(ty, -1)),
    }
}

/// A type's name in a cast: `bpchar` rather than `character`, which would mean `character(1)`.
fn shown_type(ty: TypeId, modifier: i32) -> String {
    typmod::format_type(ty, modifier)
}

/// The operator that a function stands behind.
fn operator_of(function: &Function) -> Option<&'static str> {
    let operators = tuplix_functions::operators().iter();
    operators.filter(|operator| operator.function.oid == function.oid).map(|operator| operator.name).next()
}

/// Whether the function is what a cast to this type calls.
fn is_cast(function: &Function, ty: TypeId) -> bool {
    let named = TypeId::from_internal_name(function.name) == Some(ty);
    named || tuplix_functions::casts().any(|cast| {
        matches!(cast.method, tuplix_functions::CastMethod::Function(of) if of.oid == function.oid && of.oid != 0)
    })
}

/// The type modifier that a casting function is given.
fn typmod_argument(arguments: &[Expr]) -> Option<i32> {
    match arguments.get(1).map(|argument| &argument.kind) {
        Some(ExprKind::Constant(Value::Int4(typmod))) => Some(*typmod),
        _ => None,
    }
}

/// Gathers the columns that an expression reads.
pub(crate) fn read_columns(expr: &Expr, columns: &mut BTreeSet<usize>) {
    let mut all = |list: &[Expr]| list.iter().for_each(|item| read_columns(item, columns));
    match &expr.kind {
        ExprKind::Column { column, .. } => drop(columns.insert(*column)),
        ExprKind::Call { arguments, .. }
        | ExprKind::UserCall { arguments, .. }
        | ExprKind::MinMax { arguments, .. } => all(arguments),
        ExprKind::And(list) | ExprKind::Or(list) | ExprKind::Coalesce(list) | ExprKind::Row(list) => {
            all(list)
        }
        ExprKind::Array { elements, .. } => all(elements),
        ExprKind::Relabel(inner) | ExprKind::CastViaText(inner) | ExprKind::Not(inner) => {
            read_columns(inner, columns);
        }
        ExprKind::CastElements { array: inner, .. }
        | ExprKind::IsNull { argument: inner, .. }
        | ExprKind::IsBoolean { argument: inner, .. }
        | ExprKind::Field { record: inner, .. } => read_columns(inner, columns),
        ExprKind::IsDistinct { left, right, .. }
        | ExprKind::NullIf { left, equal: right }
        | ExprKind::AnyAll { left, array: right, .. } => {
            read_columns(left, columns);
            read_columns(right, columns);
        }
        ExprKind::Case { operand, arms, otherwise } => {
            operand.iter().chain(otherwise).for_each(|part| read_columns(part, columns));
            for (condition, result) in arms {
                read_columns(condition, columns);
                read_columns(result, columns);
            }
        }
        ExprKind::Subscript { array, subscripts, .. } => {
            read_columns(array, columns);
            for subscript in subscripts {
                subscript.lower.iter().chain(&subscript.upper).for_each(|part| read_columns(part, columns));
            }
        }
        _ => {}
    }
}
