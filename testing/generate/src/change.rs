//! Random INSERT, UPDATE and DELETE whose effect does not depend on chance.

use crate::expression::{Generator, Scope};
use crate::schema::Table;
use crate::tree::{Tree, list, optional, seq, text};

impl Generator {
    /// A statement that changes a table.
    pub fn change(&mut self, outer: &Scope, with_returning: bool) -> Tree {
        let at = self.below(self.schema.tables.len());
        let table = self.schema.tables[at].clone();
        let body = match self.below(10) {
            0..=2 => self.insert_values(&table),
            3 => self.insert_select(&table, outer),
            4..=7 => self.update(&table, outer),
            _ => self.delete(&table, outer),
        };
        if !with_returning || self.chance(1, 2) {
            return body;
        }
        let scope = table.scope(&table.name);
        let items = (0..1 + self.below(2)).map(|_| {
            let ty = self.scope_type(&scope);
            self.expression(ty, 1, &scope)
        });
        let items = items.collect();
        seq([body, optional(seq([text(" RETURNING "), list(items)]))])
    }

    fn insert_values(&mut self, table: &Table) -> Tree {
        let names: Vec<Tree> = table.columns.iter().map(|column| text(column.name.clone())).collect();
        let count = names.len();
        let rows = (0..1 + self.below(3)).map(|_| {
            let row = self.below(60);
            let fields = self.fields(table, row);
            seq([text("("), Tree::List(fields, ", ", count), text(")")])
        });
        let rows = rows.collect();
        let mut parts = vec![
            text(format!("INSERT INTO {} (", table.name)),
            Tree::List(names, ", ", count),
            text(") VALUES "),
            list(rows),
        ];
        if table.key > 0 && self.chance(1, 2) {
            parts.push(self.on_conflict(table));
        }
        seq(parts)
    }

    fn on_conflict(&mut self, table: &Table) -> Tree {
        let key: Vec<&str> = table.columns[..table.key].iter().map(|column| column.name.as_str()).collect();
        if self.chance(1, 3) {
            let target = if self.chance(1, 2) { format!(" ({})", key.join(", ")) } else { String::new() };
            return optional(text(format!(" ON CONFLICT{target} DO NOTHING")));
        }
        let scope = table.scope(&table.name).with(&table.scope("excluded"));
        let Some(assignments) = self.assignments(table, &scope) else { return text("") };
        let mut parts = vec![text(format!(" ON CONFLICT ({}) DO UPDATE SET ", key.join(", "))), assignments];
        if self.chance(1, 3) {
            let condition = self.expression(tuplix_types::TypeId::BOOL, 1, &scope);
            parts.push(optional(seq([text(" WHERE "), condition])));
        }
        optional(seq(parts))
    }

    fn insert_select(&mut self, table: &Table, outer: &Scope) -> Tree {
        let types: Vec<_> = table.columns.iter().map(|column| column.ty).collect();
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let (query, _) = self.query(Some(&types), 1, outer);
        let conflict = if self.chance(1, 2) { " ON CONFLICT DO NOTHING" } else { "" };
        // Which of two rows with one key comes first is open otherwise.
        let order: Vec<String> = (1..=types.len()).map(|at| at.to_string()).collect();
        let head = format!("INSERT INTO {} ({}) SELECT * FROM (", table.name, names.join(", "));
        let tail = format!(") i ORDER BY {}{conflict}", order.join(", "));
        seq([text(head), query, text(tail)])
    }

    /// `column = expression, ...` of columns outside of keys.
    fn assignments(&mut self, table: &Table, scope: &Scope) -> Option<Tree> {
        let free: Vec<usize> = (0..table.columns.len()).filter(|at| !table.is_key(*at)).collect();
        if free.is_empty() {
            return None;
        }
        let first = self.below(free.len());
        let count = 1 + self.below(2.min(free.len()));
        let mut items = Vec::new();
        for step in 0..count.min(free.len()) {
            let column = &table.columns[free[(first + step) % free.len()]];
            let value = self.expression(column.ty, 2, scope);
            items.push(seq([text(format!("{} = ", column.name)), value]));
        }
        Some(list(items))
    }

    fn condition_on(&mut self, table: &Table, scope: &Scope) -> Tree {
        if self.chance(1, 2) {
            let column = &table.columns[self.below(table.columns.len().min(2))];
            let constant = self.constant(column.ty);
            let operator = self.pick(&["=", "=", "<", ">="]);
            let name = format!("{}.{} {operator} ", table.name, column.name);
            return seq([text(name), constant]);
        }
        self.expression(tuplix_types::TypeId::BOOL, 2, scope)
    }

    fn update(&mut self, table: &Table, outer: &Scope) -> Tree {
        let own = table.scope(&table.name).with(outer);
        let (from, scope) = self.other(table, &own, "FROM");
        let Some(assignments) = self.assignments(table, &scope) else { return self.delete(table, outer) };
        let condition = self.condition_on(table, &own);
        let condition = match from {
            Some((from, join)) => seq([text(from), text(format!(" WHERE {join} AND ")), condition]),
            None => optional(seq([text(" WHERE "), condition])),
        };
        seq([text(format!("UPDATE {} SET ", table.name)), assignments, condition])
    }

    fn delete(&mut self, table: &Table, outer: &Scope) -> Tree {
        let own = table.scope(&table.name).with(outer);
        let (from, _) = self.other(table, &own, "USING");
        let condition = self.condition_on(table, &own);
        let condition = match from {
            Some((from, join)) => seq([text(from), text(format!(" WHERE {join} AND ")), condition]),
            None => optional(seq([text(" WHERE "), condition])),
        };
        seq([text(format!("DELETE FROM {}", table.name)), condition])
    }

    /// Another table's rows, one at most for each row: grouped by the column they are joined by.
    fn other(&mut self, table: &Table, own: &Scope, word: &str) -> (Option<(String, String)>, Scope) {
        if !self.chance(1, 4) {
            return (None, own.clone());
        }
        let at = self.below(self.schema.tables.len());
        let other = &self.schema.tables[at];
        let alias = "g";
        let from = format!(" {word} (SELECT k, count(*) AS n FROM {} GROUP BY k) {alias}", other.name);
        let columns = vec![
            ("g.k".to_owned(), tuplix_types::TypeId::INT4),
            ("g.n".to_owned(), tuplix_types::TypeId::INT8),
        ];
        let scope = own.with(&Scope { columns });
        (Some((from, format!("{}.k = {alias}.k", table.name))), scope)
    }

    /// A query over the rows that a change returns.
    pub fn changing_cte(&mut self) -> Tree {
        let at = self.below(self.schema.tables.len());
        let table = self.schema.tables[at].clone();
        let change = match self.below(3) {
            0 => self.insert_values(&table),
            1 => self.update(&table, &Scope::default()),
            _ => self.delete(&table, &Scope::default()),
        };
        seq([text("WITH m AS ("), change, text(format!(" RETURNING {0}.*) SELECT * FROM m", table.name))])
    }
}
