//! Random queries.

use tuplix_types::TypeId;

use crate::catalogue::CATALOGUE;
use crate::expression::{Generator, Scope};
use crate::tree::{Sort, Tree, list, optional, seq, text, value};
use crate::values;

fn node(sort: Sort, body: Tree) -> Tree {
    Tree::Node(sort, Box::new(body))
}

impl Generator {
    /// A query with columns of these types, or of any, and their types. Its rows do not depend on chance.
    pub fn query(&mut self, want: Option<&[TypeId]>, depth: usize, outer: &Scope) -> (Tree, Vec<TypeId>) {
        let (body, types) = if depth > 0 && self.chance(1, 8) {
            self.set_operation(want, depth, outer)
        } else {
            self.select(want, depth, outer)
        };
        (node(Sort::Query(types.clone()), body), types)
    }

    fn set_operation(&mut self, want: Option<&[TypeId]>, depth: usize, outer: &Scope) -> (Tree, Vec<TypeId>) {
        let (left, types) = self.query(want, depth - 1, outer);
        let (right, _) = self.query(Some(&types), depth - 1, outer);
        let word = self.pick(&[
            "UNION",
            "UNION ALL",
            "UNION ALL",
            "INTERSECT",
            "EXCEPT",
            "EXCEPT ALL",
            "INTERSECT ALL",
        ]);
        (seq([text("("), left, text(format!(") {word} (")), right, text(")")]), types)
    }

    fn select(&mut self, want: Option<&[TypeId]>, depth: usize, outer: &Scope) -> (Tree, Vec<TypeId>) {
        let (from, inner) = self.from(depth, outer);
        let scope = inner.with(outer);
        let types = match want {
            Some(types) => types.to_vec(),
            None => (0..1 + self.below(3)).map(|_| self.scope_type(&inner)).collect(),
        };
        let condition = self.expression(TypeId::BOOL, depth + 1, &scope);
        let condition =
            if self.chance(2, 3) { optional(seq([text(" WHERE "), condition])) } else { text("") };
        if self.chance(1, 4) {
            let (items, tail) = self.grouped(&types, depth, &inner, outer);
            return (self.assembled("", items, from, condition, tail), types);
        }
        let items: Vec<Tree> = types.iter().map(|ty| self.expression(*ty, depth + 1, &scope)).collect();
        let distinct = if self.chance(1, 8) { "DISTINCT " } else { "" };
        (self.assembled(distinct, items, from, condition, text("")), types)
    }

    fn assembled(
        &mut self,
        distinct: &str,
        items: Vec<Tree>,
        from: Tree,
        condition: Tree,
        tail: Tree,
    ) -> Tree {
        let outputs = items.iter().map(|_| self.fresh()).collect();
        self.outputs = outputs;
        let numbered = items.into_iter().zip(&self.outputs).enumerate().map(|(at, (item, tag))| {
            let body = seq([item, text(format!(" AS o{}", at + 1))]);
            Tree::Tagged(*tag, Box::new(body))
        });
        let numbered = numbered.collect();
        let distinct = if distinct.is_empty() { text("") } else { optional(text(distinct)) };
        seq([text("SELECT "), distinct, list(numbered), text(" FROM "), from, condition, tail])
    }

    /// Items and the GROUP BY of a grouped query.
    fn grouped(&mut self, types: &[TypeId], depth: usize, inner: &Scope, outer: &Scope) -> (Vec<Tree>, Tree) {
        let mut keys: Vec<(TypeId, Tree)> = Vec::new();
        for _ in 0..self.below(3) {
            let ty = self.scope_type(inner);
            // Without subqueries: the engine does not see that two are equal.
            let subqueries = std::mem::replace(&mut self.subqueries, false);
            let key = self.expression(ty, depth.min(1), inner);
            self.subqueries = subqueries;
            // A constant or a number would be a key of another kind.
            if matches!(&key, Tree::Node(_, body) if !matches!(**body, Tree::Literal(..))) {
                keys.push((ty, key));
            }
        }
        let mut items = Vec::new();
        for ty in types {
            let key = keys.iter().find(|key| key.0 == *ty).map(|key| key.1.clone());
            let key = key.filter(|_| self.chance(2, 3));
            let item = match key {
                Some(key) => key,
                None => match self.aggregate(*ty, depth, inner) {
                    Some(aggregate) => aggregate,
                    None => self.leaf(*ty, outer),
                },
            };
            items.push(item);
        }
        let mut tail = Vec::new();
        if !keys.is_empty() {
            let keys = keys.iter().map(|key| key.1.clone()).collect();
            tail.push(seq([text(" GROUP BY "), list(keys)]));
        }
        if self.chance(1, 4) {
            let count = self.aggregate(TypeId::INT8, depth, inner).unwrap_or_else(|| text("count(*)"));
            let operator = self.pick(&[">", "<", "=", ">="]);
            tail.push(optional(seq([text(" HAVING "), count, text(format!(" {operator} 1"))])));
        }
        (items, seq(tail))
    }

    /// An item of FROM and its columns.
    fn from(&mut self, depth: usize, outer: &Scope) -> (Tree, Scope) {
        if depth > 0 && self.chance(2, 5) {
            let (left, left_scope) = self.one_item(depth - 1, outer);
            return self.join(left, left_scope, depth - 1, outer);
        }
        self.one_item(depth, outer)
    }

    fn join(&mut self, left: Tree, left_scope: Scope, depth: usize, outer: &Scope) -> (Tree, Scope) {
        if self.chance(1, 8) {
            let seen = left_scope.with(outer);
            let (query, types) = self.query(None, depth, &seen);
            let (tree, scope) = self.derived(query, &types);
            let word = self.pick(&[", LATERAL ", " CROSS JOIN LATERAL "]);
            let joined = node(Sort::From, seq([left, text(word), tree]));
            return (joined, left_scope.with(&scope));
        }
        let (right, right_scope) = if depth > 0 && self.chance(1, 4) {
            self.from(depth, outer)
        } else {
            self.one_item(depth, outer)
        };
        let both = left_scope.with(&right_scope);
        let word = self.pick(&[
            " JOIN ",
            " JOIN ",
            " LEFT JOIN ",
            " LEFT JOIN ",
            " RIGHT JOIN ",
            " FULL JOIN ",
            " CROSS JOIN ",
        ]);
        let mut parts = vec![text("("), left, text(word), right];
        if word != " CROSS JOIN " {
            parts.push(text(" ON "));
            parts.push(self.join_condition(&left_scope, &right_scope, &both, word == " FULL JOIN "));
        }
        parts.push(text(")"));
        (node(Sort::From, seq(parts)), both)
    }

    /// Mostly equal columns; PostgreSQL makes a FULL JOIN by nothing else.
    fn join_condition(&mut self, left: &Scope, right: &Scope, both: &Scope, is_full: bool) -> Tree {
        let mut pairs = Vec::new();
        for a in &left.columns {
            pairs.extend(right.columns.iter().filter(|b| b.1 == a.1 && a.1 != TypeId::JSON).map(|b| (a, b)));
        }
        if pairs.is_empty() || (!is_full && self.chance(1, 5)) {
            return if is_full { text("true") } else { self.expression(TypeId::BOOL, 1, both) };
        }
        let (a, b) = pairs[self.below(pairs.len())];
        let equal = text(format!("{} = {}", a.0, b.0));
        if is_full || self.chance(2, 3) {
            return equal;
        }
        let more = self.expression(TypeId::BOOL, 1, both);
        seq([equal, optional(seq([text(" AND "), more]))])
    }

    fn one_item(&mut self, depth: usize, outer: &Scope) -> (Tree, Scope) {
        match self.below(12) {
            0 | 1 if depth > 0 => {
                let (query, types) = self.query(None, depth - 1, &Scope::default());
                self.derived(query, &types)
            }
            2 => {
                let types: Vec<TypeId> = (0..1 + self.below(2)).map(|_| self.any_type()).collect();
                let rows = (0..1 + self.below(3)).map(|_| {
                    let fields: Vec<Tree> = types.iter().map(|ty| self.constant(*ty)).collect();
                    let least = fields.len();
                    seq([text("("), Tree::List(fields, ", ", least), text(")")])
                });
                let rows = seq([text("VALUES "), list(rows.collect())]);
                self.derived(node(Sort::Query(types.clone()), rows), &types)
            }
            3 => self.set_function(outer),
            _ => self.table_item(),
        }
    }

    fn table_item(&mut self) -> (Tree, Scope) {
        let at = self.below(self.schema.tables.len());
        let alias = format!("a{}", self.fresh());
        let table = &self.schema.tables[at];
        (node(Sort::From, text(format!("{} {alias}", table.name))), table.scope(&alias))
    }

    fn derived(&mut self, query: Tree, types: &[TypeId]) -> (Tree, Scope) {
        let alias = format!("s{}", self.fresh());
        let names: Vec<String> = (1..=types.len()).map(|at| format!("d{at}")).collect();
        let columns = names.iter().zip(types).map(|(name, ty)| (format!("{alias}.{name}"), *ty)).collect();
        let tree = seq([text("("), query, text(format!(") {alias}({})", names.join(", ")))]);
        (node(Sort::From, tree), Scope { columns })
    }

    fn set_function(&mut self, outer: &Scope) -> (Tree, Scope) {
        let alias = format!("f{}", self.fresh());
        let sets = CATALOGUE.sets();
        let (call, ty) = match self.below(3) {
            0 => {
                let numbers = self.pick(&["1, 3", "0, 5, 2", "3, 1", "3, 1, -1", "NULL, 3", "5, 5"]);
                (text(format!("generate_series({numbers})")), TypeId::INT4)
            }
            1 => {
                let array = self.pick(&[TypeId(1007), TypeId(1009), TypeId(1231)]);
                let array_value = self.expression(array, 1, outer);
                (seq([text("unnest("), array_value, text(")")]), array.element().unwrap_or(TypeId::INT4))
            }
            _ => {
                let set = &sets[self.below(sets.len())];
                let types = self.argument_types(set, None);
                let args = types.iter().map(|ty| self.expression(*ty, 1, outer)).collect::<Vec<_>>();
                if !values::TYPES.contains(&set.result) {
                    return self.table_item();
                }
                let least = args.len();
                let call = seq([text(format!("{}(", set.name)), Tree::List(args, ", ", least), text(")")]);
                (call, set.result)
            }
        };
        let tree = seq([call, text(format!(" AS {alias}(d1)"))]);
        (node(Sort::From, tree), Scope { columns: vec![(format!("{alias}.d1"), ty)] })
    }

    /// A query as a statement: perhaps with CTEs, an order, a limit.
    pub fn query_statement(&mut self, depth: usize) -> Tree {
        match self.below(12) {
            0 => return self.with_statement(depth),
            1 => return self.recursive_statement(),
            2 => return self.distinct_on(depth),
            3 | 4 => return self.simple_statement(),
            _ => {}
        }
        let (query, types) = self.query(None, depth, &Scope::default());
        let tail = self.tail(types.len());
        seq([query, tail])
    }

    /// One table, a few conditions, an order by its own columns: what indexes are for.
    fn simple_statement(&mut self) -> Tree {
        let (from, scope) = self.table_item();
        let columns: Vec<(String, TypeId)> = scope.columns.clone();
        let items: Vec<Tree> = columns.iter().map(|column| value(column.1, text(column.0.clone()))).collect();
        let conditions = (0..self.below(4)).map(|_| {
            let (name, ty) = columns[self.below(columns.len())].clone();
            let operator =
                self.pick(&["=", "=", "=", "<", "<=", ">", ">=", "<>", "IS NULL", "IS NOT NULL", "IN"]);
            let constant = self.constant(ty);
            match operator {
                "IS NULL" | "IS NOT NULL" => text(format!("{name} {operator}")),
                "IN" => {
                    let more = self.constant(ty);
                    seq([text(format!("{name} IN (")), list(vec![constant, more]), text(")")])
                }
                _ => seq([text(format!("{name} {operator} ")), constant]),
            }
        });
        let conditions: Vec<Tree> = conditions.collect();
        let condition = if conditions.is_empty() {
            text("")
        } else {
            optional(seq([text(" WHERE "), Tree::List(conditions, " AND ", 1)]))
        };
        let count = items.len();
        let query = self.assembled("", items, from, condition, text(""));
        if self.chance(1, 3) {
            return seq([query, self.loose_limit()]);
        }
        // First by columns of the table, as an index may have them, then by all.
        let mut keys = Vec::new();
        for _ in 0..1 + self.below(2) {
            let order = self.pick(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            keys.push(text(format!("{}{order}", columns[self.below(columns.len())].0)));
        }
        let all = (1..=count).map(|at| Tree::Tagged(self.outputs[at - 1], Box::new(text(format!("o{at}")))));
        let all: Vec<Tree> = all.collect();
        let keys = keys.into_iter().chain(all).collect();
        let limit = self.limit();
        let order = Tree::TotalOrder(Box::new(seq([text(" ORDER BY "), list(keys)])));
        seq([query, seq([order, limit])])
    }

    fn loose_limit(&mut self) -> Tree {
        let limit = text(format!(" LIMIT {}", 1 + self.below(4)));
        Tree::LooseLimit(Box::new(limit))
    }

    fn limit(&mut self) -> Tree {
        let mut parts = Vec::new();
        if self.chance(1, 2) {
            let limit = self.pick(&["0", "1", "2", "3", "5", "100", "NULL", "ALL"]);
            parts.push(optional(text(format!(" LIMIT {limit}"))));
        }
        if self.chance(1, 4) {
            let offset = self.pick(&["0", "1", "2", "7", "NULL"]);
            parts.push(optional(text(format!(" OFFSET {offset}"))));
        }
        seq(parts)
    }

    /// ORDER BY all columns, with a limit; or nothing; or a limit of any rows.
    fn tail(&mut self, count: usize) -> Tree {
        match self.below(5) {
            0 | 1 => text(""),
            2 => self.loose_limit(),
            _ => {
                let mut places: Vec<usize> = (1..=count).collect();
                let turn = self.below(count);
                places.rotate_left(turn);
                let keys = places.into_iter().map(|at| {
                    let order = self.pick(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
                    let tag = self.outputs.get(at - 1).copied().unwrap_or(0);
                    Tree::Tagged(tag, Box::new(text(format!("o{at}{order}"))))
                });
                let keys = keys.collect();
                let order = seq([text(" ORDER BY "), list(keys)]);
                let limit = self.limit();
                seq([Tree::TotalOrder(Box::new(order)), limit])
            }
        }
    }

    fn distinct_on(&mut self, depth: usize) -> Tree {
        let (from, scope) = self.from(depth, &Scope::default());
        let types: Vec<TypeId> = (0..2 + self.below(2)).map(|_| self.scope_type(&scope)).collect();
        let items: Vec<Tree> = types.iter().map(|ty| self.expression(*ty, depth, &scope)).collect();
        let condition = self.expression(TypeId::BOOL, depth, &scope);
        let condition = optional(seq([text(" WHERE "), condition]));
        let query = self.assembled("", items, from, condition, text(""));
        let names: Vec<String> = (1..=types.len()).map(|at| format!("o{at}")).collect();
        let tail = format!(") z ORDER BY {}", names.join(", "));
        let order = Tree::TotalOrder(Box::new(text(tail)));
        seq([text("SELECT DISTINCT ON (o1) * FROM ("), query, order, self.limit()])
    }

    fn with_statement(&mut self, depth: usize) -> Tree {
        let mut parts = vec![text("WITH ")];
        let mut scopes = Vec::new();
        for at in 0..1 + self.below(2) {
            let (query, types) = self.query(None, depth.min(1), &Scope::default());
            let names: Vec<String> = (1..=types.len()).map(|at| format!("d{at}")).collect();
            let hint = self.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
            let comma = if at > 0 { ", " } else { "" };
            parts.push(text(format!("{comma}w{at}({}) AS {hint}(", names.join(", "))));
            parts.push(query);
            parts.push(text(")"));
            let columns = names.into_iter().zip(types).collect::<Vec<_>>();
            scopes.push((format!("w{at}"), columns));
        }
        let (name, columns) = scopes[self.below(scopes.len())].clone();
        let one = |alias: &str| {
            let columns = columns.iter().map(|(name, ty)| (format!("{alias}.{name}"), *ty)).collect();
            (node(Sort::From, text(format!("{name} {alias}"))), Scope { columns })
        };
        let (mut from, mut scope) = one("x");
        if self.chance(1, 2) {
            let (other, other_scope) = if self.chance(1, 2) { one("y") } else { self.table_item() };
            let condition = self.join_condition(&scope, &other_scope, &scope.with(&other_scope), false);
            from = node(Sort::From, seq([from, text(" LEFT JOIN "), other, text(" ON "), condition]));
            scope = scope.with(&other_scope);
        }
        let types: Vec<TypeId> = (0..1 + self.below(2)).map(|_| self.scope_type(&scope)).collect();
        let items: Vec<Tree> = types.iter().map(|ty| self.expression(*ty, 1, &scope)).collect();
        let condition = self.expression(TypeId::BOOL, 1, &scope);
        let condition = optional(seq([text(" WHERE "), condition]));
        let body = self.assembled("", items, from, condition, text(""));
        parts.push(text(" "));
        parts.push(body);
        parts.push(self.tail(types.len()));
        seq(parts)
    }

    fn recursive_statement(&mut self) -> Tree {
        let ty = self.pick(&[TypeId::TEXT, TypeId::INT8, TypeId::NUMERIC, TypeId::INT4]);
        let (start, _) = self.query(Some(&[ty]), 1, &Scope::default());
        let scope = Scope { columns: vec![("r.n".to_owned(), TypeId::INT4), ("r.v".to_owned(), ty)] };
        let step = self.expression(ty, 1, &scope);
        let condition = self.expression(TypeId::BOOL, 1, &scope);
        let union = self.pick(&["UNION", "UNION ALL"]);
        seq([
            text(format!("WITH RECURSIVE r(n, v) AS (SELECT 1, z.v::{} FROM (", crate::values::name(ty))),
            start,
            text(format!(") z(v) {union} SELECT r.n + 1, ")),
            step,
            text(" FROM r WHERE r.n < 4"),
            optional(seq([text(" AND "), condition])),
            text(") SELECT n AS o1, v AS o2 FROM r"),
            self.tail(2),
        ])
    }
}
