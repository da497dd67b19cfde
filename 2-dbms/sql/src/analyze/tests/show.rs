//! Plans in short form.

use crate::plan::*;
use tuplix_types::Value;

/// A statement: its query, parameters if any.
pub(super) fn statement(statement: &Statement) -> String {
    let show = Show { relations: &statement.relations };
    let mut text = match &statement.kind {
        StatementKind::Query(query) => show.query(query),
        StatementKind::Explain { analyze, options, statement: inner } => {
            format!("explain analyze={analyze} {options:?} {}", super::show::statement(inner))
        }
        StatementKind::Call { function, arguments } => {
            format!("call #{} ({})", function.0, show.list(arguments))
        }
        StatementKind::Execute { name, arguments } => format!("execute {name} ({})", show.list(arguments)),
        other => format!("{other:?}"),
    };
    if !statement.parameters.is_empty() {
        text.push_str(&format!(" params {:?}", statement.parameters));
    }
    text
}

pub(super) struct Show<'a> {
    pub relations: &'a [Relation],
}

impl Show<'_> {
    pub(super) fn query(&self, query: &Query) -> String {
        let mut text = String::new();
        for cte in &query.ctes {
            let kept = if cte.materialized { " materialized" } else { "" };
            text.push_str(&format!("with {}#{}{kept} ({}", cte.name, cte.id.0, self.query(&cte.query)));
            if let Some(part) = &cte.recursive {
                let all = if part.all { " all" } else { "" };
                text.push_str(&format!(" recursive{all} ({})", self.query(&part.query)));
            }
            text.push_str(") ");
        }
        text.push_str(&self.body(&query.body));
        if !query.order_by.is_empty() {
            text.push_str(&format!(" order {}", self.keys(&query.order_by)));
        }
        if let Some(limit) = &query.limit {
            text.push_str(&format!(" limit {}", self.expr(limit)));
            if query.with_ties {
                text.push_str(" with ties");
            }
        }
        if let Some(offset) = &query.offset {
            text.push_str(&format!(" offset {}", self.expr(offset)));
        }
        for lock in &query.locking {
            let names: Vec<String> = lock.relations.iter().map(|id| self.name(*id)).collect();
            text.push_str(&format!(" lock {:?} {:?} [{}]", lock.strength, lock.wait, names.join(",")));
        }
        let columns: Vec<String> = query.columns.iter().map(column).collect();
        if columns.is_empty() { text } else { format!("{text} -> ({})", columns.join(", ")) }
    }

    fn body(&self, body: &QueryBody) -> String {
        match body {
            QueryBody::Select(select) => self.select(select),
            QueryBody::Values(rows) => format!("values {}", self.rows(rows)),
            QueryBody::SetOperation { operation, all, left, right } => {
                let all = if *all { " all" } else { "" };
                format!(
                    "({}) {}{all} ({})",
                    self.query(left),
                    operation.name().to_lowercase(),
                    self.query(right)
                )
            }
            QueryBody::Insert(insert) => self.insert(insert),
            QueryBody::Update(update) => {
                let mut text =
                    format!("update {} set {}", self.name(update.relation), self.sets(&update.assignments));
                self.tail(&mut text, "from", &update.from, update.filter.as_ref(), &update.returning);
                text
            }
            QueryBody::Delete(delete) => {
                let mut text = format!("delete {}", self.name(delete.relation));
                self.tail(&mut text, "using", &delete.using, delete.filter.as_ref(), &delete.returning);
                text
            }
            QueryBody::Merge(merge) => format!("merge {}", self.name(merge.relation)),
        }
    }

    fn tail(&self, text: &mut String, word: &str, from: &[From], filter: Option<&Expr>, returning: &[Expr]) {
        if !from.is_empty() {
            text.push_str(&format!(" {word} {}", self.froms(from)));
        }
        if let Some(filter) = filter {
            text.push_str(&format!(" where {}", self.expr(filter)));
        }
        if !returning.is_empty() {
            text.push_str(&format!(" returning {}", self.list(returning)));
        }
    }

    fn insert(&self, insert: &Insert) -> String {
        let mut text = format!("insert {} {:?} ", self.name(insert.relation), insert.columns);
        text.push_str(&match &insert.source {
            InsertSource::Values(rows) => format!("values {}", self.rows(rows)),
            InsertSource::Query(query) => self.query(query),
            InsertSource::Defaults => "defaults".to_owned(),
        });
        if !insert.defaults.is_empty() {
            text.push_str(&format!(" default {}", self.sets(&insert.defaults)));
        }
        if let Some(conflict) = &insert.on_conflict {
            let index = conflict.index.map_or_else(String::new, |index| format!(" #{}", index.0));
            text.push_str(&format!(" conflict{index} "));
            match &conflict.action {
                ConflictAction::Nothing => text.push_str("nothing"),
                ConflictAction::Update { assignments, filter, .. } => {
                    text.push_str(&format!("set {}", self.sets(assignments)));
                    self.tail(&mut text, "", &[], filter.as_ref(), &[]);
                }
            }
        }
        self.tail(&mut text, "", &[], None, &insert.returning);
        text
    }

    fn select(&self, select: &Select) -> String {
        let mut text = "select ".to_owned();
        match &select.distinct {
            Distinct::No => {}
            Distinct::All => text.push_str("distinct "),
            Distinct::On(keys) => text.push_str(&format!("distinct on {keys:?} ")),
        }
        text.push_str(&self.list(&select.targets));
        self.tail(&mut text, "from", &select.from, select.filter.as_ref(), &[]);
        if select.grouped {
            text.push_str(&format!(" group [{}]", self.list(&select.group_by)));
        }
        for call in &select.aggregates {
            let distinct = if call.distinct { "distinct " } else { "" };
            text.push_str(&format!(
                " agg {}({distinct}{}",
                call.aggregate.function.symbol,
                self.list(&call.arguments)
            ));
            if !call.order_by.is_empty() {
                text.push_str(&format!(" order {}", self.keys(&call.order_by)));
            }
            text.push(')');
            if let Some(filter) = &call.filter {
                text.push_str(&format!(" filter {}", self.expr(filter)));
            }
        }
        if let Some(having) = &select.having {
            text.push_str(&format!(" having {}", self.expr(having)));
        }
        for call in &select.windows {
            text.push_str(&format!(
                " window {}({})",
                call.function.function().name,
                self.list(&call.arguments)
            ));
            if let Some(filter) = &call.filter {
                text.push_str(&format!(" filter {}", self.expr(filter)));
            }
            let window = &select.window_definitions[call.window];
            text.push_str(&format!(
                " by [{}] order [{}]",
                self.list(&window.partition_by),
                self.keys(&window.order_by)
            ));
        }
        text
    }

    fn froms(&self, from: &[From]) -> String {
        from.iter().map(|from| self.from(from)).collect::<Vec<_>>().join(", ")
    }

    fn from(&self, from: &From) -> String {
        match from {
            From::Table { relation, .. } => self.name(*relation),
            From::System { schema, name, .. } => format!("{schema}.{name}"),
            From::Subquery { relation, query, lateral } => {
                let lateral = if *lateral { "lateral " } else { "" };
                format!("{lateral}({}) {}", self.query(query), self.name(*relation))
            }
            From::RowsFrom { relations, calls, ordinality } => {
                let calls: Vec<String> = calls.iter().map(|(call, _)| self.expr(call)).collect();
                let ordinality = if *ordinality { " ordinality" } else { "" };
                let relations: Vec<u32> = relations.iter().map(|relation| relation.0).collect();
                format!("rows from ({}){ordinality}:{relations:?}", calls.join(", "))
            }
            From::Function { relation, call, ordinality } => {
                let numbered = if *ordinality { " ordinality" } else { "" };
                format!("{}{numbered} {}", self.expr(call), self.name(*relation))
            }
            From::Cte { relation, cte } => format!("#{} {}", cte.0, self.name(*relation)),
            From::Join { kind, left, right, on } => {
                let on = on.as_ref().map_or_else(String::new, |on| format!(" on {}", self.expr(on)));
                format!("({} {kind:?} {}{on})", self.from(left), self.from(right))
            }
        }
    }

    fn name(&self, id: RelationId) -> String {
        format!("{}:{}", self.relations[id.0 as usize].name, id.0)
    }

    fn rows(&self, rows: &[Vec<Expr>]) -> String {
        rows.iter().map(|row| format!("({})", self.list(row))).collect::<Vec<_>>().join(" ")
    }

    fn sets(&self, sets: &[(usize, Expr)]) -> String {
        sets.iter()
            .map(|(column, value)| format!("{column}={}", self.expr(value)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn keys(&self, keys: &[SortKey]) -> String {
        let key = |key: &SortKey| {
            let mut text = match &key.key {
                SortTarget::Target(target) => format!("{target}"),
                SortTarget::Expr(expr) => self.expr(expr),
            };
            text.push_str(if key.descending { " desc" } else { "" });
            text.push_str(if key.nulls_first == key.descending { "" } else { " nulls" });
            text
        };
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn list(&self, list: &[Expr]) -> String {
        list.iter().map(|expr| self.expr(expr)).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn expr(&self, expr: &Expr) -> String {
        let join = |list: &[Expr], by: &str| list.iter().map(|e| self.expr(e)).collect::<Vec<_>>().join(by);
        match &expr.kind {
            ExprKind::Constant(value) => constant(value, expr),
            ExprKind::Column { relation, column } => {
                let relation = &self.relations[relation.0 as usize];
                format!("{}.{}", relation.name, relation.columns[*column].name)
            }
            ExprKind::WholeRow(relation) => format!("{}.*", self.name(*relation)),
            ExprKind::Place { relation, keys } => format!("place({}, {keys:?})", self.name(*relation)),
            ExprKind::Parameter(index) => format!("${}::{}", index + 1, expr.ty),
            ExprKind::Variable(variable) => format!("v{variable}"),
            ExprKind::Call { function, arguments } => {
                format!("{}({})", function.symbol, self.list(arguments))
            }
            ExprKind::UserCall { function, arguments } => {
                format!("#{}({})", function.0, self.list(arguments))
            }
            ExprKind::Relabel(inner) => format!("{}~{}", self.expr(inner), expr.ty),
            ExprKind::CastViaText(inner) => format!("{}=>{}", self.expr(inner), expr.ty),
            ExprKind::CastElements { array, element } => {
                format!("each({}, {})", self.expr(array), self.expr(element))
            }
            ExprKind::And(list) => format!("({})", join(list, " and ")),
            ExprKind::Or(list) => format!("({})", join(list, " or ")),
            ExprKind::Not(inner) => format!("not {}", self.expr(inner)),
            ExprKind::IsNull { argument, negated } => {
                format!("{} is {}null", self.expr(argument), if *negated { "not " } else { "" })
            }
            ExprKind::IsBoolean { argument, value, negated } => {
                format!("{} is {}{value:?}", self.expr(argument), if *negated { "not " } else { "" })
            }
            ExprKind::IsDistinct { left, right, equal, negated } => {
                let word = if *negated { "same" } else { "distinct" };
                format!("{word}[{}]({}, {})", equal.symbol, self.expr(left), self.expr(right))
            }
            ExprKind::Case { operand, arms, otherwise } => {
                let mut text = "case".to_owned();
                if let Some(operand) = operand {
                    text.push_str(&format!(" {}", self.expr(operand)));
                }
                for (condition, result) in arms {
                    text.push_str(&format!(" when {} then {}", self.expr(condition), self.expr(result)));
                }
                if let Some(otherwise) = otherwise {
                    text.push_str(&format!(" else {}", self.expr(otherwise)));
                }
                format!("{text} end")
            }
            ExprKind::CaseOperand => "_".to_owned(),
            ExprKind::DomainValue => "value".to_owned(),
            ExprKind::Domain { argument, not_null, checks } => {
                let checks: Vec<String> = checks.iter().map(|(_, check)| self.expr(check)).collect();
                let null = if *not_null { " not null" } else { "" };
                format!("domain({}{null} [{}])", self.expr(argument), checks.join(", "))
            }
            ExprKind::SetElement { array, value, .. } => {
                format!("set({}, {})", self.expr(array), self.expr(value))
            }
            ExprKind::SetField { record, index, value, .. } => {
                format!("set({}.{index}, {})", self.expr(record), self.expr(value))
            }
            ExprKind::SetJson { target, path, value } => {
                format!("set({}[{}], {})", self.expr(target), join(path, ", "), self.expr(value))
            }
            ExprKind::Populate { source, .. } => format!("populate({})", self.expr(source)),
            ExprKind::Coalesce(list) => format!("coalesce({})", join(list, ", ")),
            ExprKind::NullIf { left, equal } => format!("nullif({}, {})", self.expr(left), self.expr(equal)),
            ExprKind::MinMax { greatest, arguments } => {
                format!("{}({})", if *greatest { "greatest" } else { "least" }, join(arguments, ", "))
            }
            ExprKind::Array { elements, multidimensional } => {
                format!("array{}[{}]", if *multidimensional { "*" } else { "" }, join(elements, ", "))
            }
            ExprKind::Subscript { array, subscripts, slice } => {
                let one = |subscript: &Subscript| {
                    let bound =
                        |bound: &Option<Expr>| bound.as_ref().map_or_else(String::new, |e| self.expr(e));
                    if *slice {
                        format!("[{}:{}]", bound(&subscript.lower), bound(&subscript.upper))
                    } else {
                        format!("[{}]", bound(&subscript.upper))
                    }
                };
                format!("{}{}", self.expr(array), subscripts.iter().map(one).collect::<String>())
            }
            ExprKind::Row(fields) => format!("row({})", join(fields, ", ")),
            ExprKind::Field { record, index } => format!("{}.{index}", self.expr(record)),
            ExprKind::AnyAll { left, array, function, all } => {
                let word = if *all { "all" } else { "any" };
                format!("{} {} {word}({})", self.expr(left), function.symbol, self.expr(array))
            }
            ExprKind::Subquery { kind, query } => {
                let query = self.query(query);
                match kind {
                    SubqueryKind::Scalar => format!("({query})"),
                    SubqueryKind::Exists => format!("exists({query})"),
                    SubqueryKind::Array => format!("array({query})"),
                    SubqueryKind::Compare { left, functions, all } => {
                        let symbols: Vec<&str> = functions.iter().map(|function| function.symbol).collect();
                        let word = if *all { "all" } else { "any" };
                        format!("({}) {} {word}({query})", self.list(left), symbols.join(","))
                    }
                }
            }
            ExprKind::Aggregate(index) => format!("agg{index}"),
            ExprKind::GroupKey(index) => format!("key{index}"),
            ExprKind::Grouping(list) => format!("grouping({})", self.list(list)),
            ExprKind::Window(index) => format!("window{index}"),
            ExprKind::Default => "default".to_owned(),
        }
    }
}

fn constant(value: &Value, expr: &Expr) -> String {
    match value {
        Value::Null => format!("null::{}", expr.ty),
        Value::Text(text) if expr.ty == tuplix_types::TypeId::TEXT => format!("'{text}'"),
        Value::Int4(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        other => {
            let text =
                tuplix_types::text_io::to_text(expr.ty, other, &tuplix_types::text_io::IoContext::default());
            format!("'{text}'::{}", expr.ty)
        }
    }
}

fn column(column: &OutputColumn) -> String {
    let typmod = if column.typmod < 0 { String::new() } else { format!("({})", column.typmod) };
    format!("{} {}{typmod}", column.name, column.ty)
}
