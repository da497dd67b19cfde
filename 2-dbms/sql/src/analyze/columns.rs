//! Column references: from `a`, `t.a`, `s.t.a` to a column, a variable or a whole row
//! (`transformColumnRef`, `colNameToVar`, PL/pgSQL's `resolve_column_ref`).

use pg_query::protobuf::ColumnRef;
use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_types::{Result, SqlError, sqlstate};

use super::scope::{Clause, ScopeItem, Seen};
use super::variables::Conflict;
use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind, OutputColumn};

impl Analyzer<'_> {
    /// A column reference without star.
    pub(super) fn column_reference(&mut self, node: &ColumnRef) -> Result<Expr> {
        let position = self.at(node.location);
        let names = nodes::strings(&node.fields);
        if names.len() != node.fields.len() {
            // `t.*` where one value is wanted: the whole row.
            return self.whole_row_reference(&names, node.location);
        }
        if self.clause() == Clause::Default {
            let message = "cannot use column reference in DEFAULT expression";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        if let (Some((ty, typmod)), ["value"]) = (self.domain_value, &names[..]) {
            return Ok(Expr { typmod, position, ..Expr::new(ExprKind::DomainValue, ty) });
        }
        let variable = self.variable(&names, position)?;
        let conflict = self.variables.map_or(Conflict::Column, |variables| variables.conflict);
        if let (Some(variable), Conflict::Variable) = (&variable, conflict) {
            return Ok(variable.clone());
        }
        let column = match self.find_reference(&names, position) {
            Ok(column) => column,
            Err(error) if variable.is_none() => return Err(error),
            Err(_) => None,
        };
        match (column, variable) {
            (Some(_), Some(_)) if conflict == Conflict::Error => {
                let shown = names.join(".");
                let message = format!("column reference \"{shown}\" is ambiguous");
                Err(SqlError::new(sqlstate::AMBIGUOUS_COLUMN, message)
                    .detail("It could refer to either a PL/pgSQL variable or a table column.")
                    .at(position))
            }
            (Some(column), _) => Ok(Expr { position, ..column }),
            (None, Some(variable)) => Ok(variable),
            (None, None) => Err(self.no_column(&names, position)),
        }
    }

    /// The value that a chain of names means among the FROM items, `None` when nothing has that name.
    fn find_reference(&mut self, names: &[&str], position: Option<u32>) -> Result<Option<Expr>> {
        match *names {
            [name] => {
                if let Some(column) = self.find_column(name, position)? {
                    return Ok(Some(column));
                }
                if let Some(column) = self.bare_table_oid(name) {
                    return Ok(Some(column));
                }
                Ok(self.find_item(None, name, position)?.map(|item| self.whole_row(&item)))
            }
            [table, column] => self.find_qualified(None, table, column, position),
            [schema, table, column] | [_, schema, table, column] => {
                self.find_qualified(Some(schema), table, column, position)
            }
            _ => {
                let message = format!("improper qualified name (too many dotted names): {}", names.join("."));
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position))
            }
        }
    }

    fn find_qualified(
        &mut self,
        schema: Option<&str>,
        table: &str,
        column: &str,
        position: Option<u32>,
    ) -> Result<Option<Expr>> {
        let Some(item) = self.find_item(schema, table, position)? else { return Ok(None) };
        let mut found = item.columns.iter().filter(|other| other.name == column);
        match (found.next(), found.next()) {
            (Some(found), None) => Ok(Some(found.value.clone())),
            (Some(_), Some(_)) => Err(ambiguous(column, position)),
            (None, _) => {
                if let Some(value) = item.table_oid_column().filter(|_| column == "tableoid") {
                    return Ok(Some(value));
                }
                // `x.f` of a composite value named x.
                if item.scalar
                    && let [only] = &item.columns[..]
                    && self.base(only.value.ty).is_row()
                {
                    return self.field(only.value.clone(), column, position).map(Some);
                }
                Err(self.no_column(&[table, column], position))
            }
        }
    }

    /// The column of a bare name: the innermost query that has one decides.
    pub(super) fn find_column(&self, name: &str, position: Option<u32>) -> Result<Option<Expr>> {
        for scope in self.scopes.iter().rev() {
            if scope.hidden {
                continue;
            }
            let items = scope.items.iter().filter(|item| item.bare_columns);
            let mut found = items.flat_map(|item| item.columns.iter().filter(|column| column.name == name));
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => return Err(ambiguous(name, position)),
                (Some(only), None) => return Ok(Some(only.value.clone())),
                _ => {}
            }
        }
        Ok(None)
    }

    /// `tableoid` of the innermost query, when it reads one table and that is a system table.
    fn bare_table_oid(&self, name: &str) -> Option<Expr> {
        let scope = self.scopes.iter().rev().find(|scope| !scope.hidden)?;
        match &scope.items[..] {
            [only] if name == "tableoid" => only.table_oid_column(),
            _ => None,
        }
    }

    /// The FROM item of a name.
    pub(super) fn find_item(
        &self,
        schema: Option<&str>,
        name: &str,
        position: Option<u32>,
    ) -> Result<Option<ScopeItem>> {
        for scope in self.scopes.iter().rev() {
            if scope.hidden {
                continue;
            }
            let fits = |item: &&ScopeItem| {
                item.named
                    && item.name.as_deref() == Some(name)
                    && (schema.is_none() || item.schema.as_deref() == schema)
            };
            let mut found = scope.items.iter().filter(fits);
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => {
                    let message = format!("table reference \"{name}\" is ambiguous");
                    return Err(SqlError::new(sqlstate::AMBIGUOUS_ALIAS, message).at(position));
                }
                (Some(only), None) => return Ok(Some(only.clone())),
                _ => {}
            }
        }
        Ok(None)
    }

    /// `t.*` as one value.
    fn whole_row_reference(&mut self, names: &[&str], location: i32) -> Result<Expr> {
        let position = self.at(location);
        let (schema, table) = match *names {
            [] => {
                let message = "row expansion via \"*\" is not supported here";
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(position));
            }
            [table] => (None, table),
            [schema, table] | [_, schema, table] => (Some(schema), table),
            _ => return Err(self.unsupported("this qualified name", location)),
        };
        match self.find_item(schema, table, position)? {
            Some(item) => Ok(Expr { position, ..self.whole_row(&item) }),
            None => match self.variable(names, position)? {
                Some(variable) => Ok(variable),
                None => Err(self.no_table(table, position)),
            },
        }
    }

    /// The columns that `*` or `t.*` stands for.
    pub(super) fn expand_star(&mut self, node: &ColumnRef) -> Result<Vec<(String, Expr)>> {
        let position = self.at(node.location);
        let names = nodes::strings(&node.fields);
        let items: Vec<ScopeItem> = match names[..] {
            [] => {
                let items =
                    self.scope().items.iter().filter(|item| item.bare_columns).cloned().collect::<Vec<_>>();
                if items.is_empty() {
                    let message = "SELECT * with no tables specified is not valid";
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
                }
                items
            }
            [table] => self.find_item(None, table, position)?.into_iter().collect(),
            [schema, table] | [_, schema, table] => {
                self.find_item(Some(schema), table, position)?.into_iter().collect()
            }
            _ => {
                let message =
                    format!("improper qualified name (too many dotted names): {}.*", names.join("."));
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
            }
        };
        if items.is_empty() {
            let name = names.last().copied().unwrap_or_default();
            return match self.variable(&names, position)? {
                Some(record) => self.record_fields(record, position),
                None => Err(self.no_table(name, position)),
            };
        }
        self.record_star(node.location, &items);
        let columns = items.into_iter().flat_map(|item| item.columns);
        Ok(columns.map(|column| (column.name, Expr { position, ..column.value })).collect())
    }

    /// Whether a column reference ends in a star.
    pub(super) fn is_star(node: &ColumnRef) -> bool {
        matches!(node.fields.last().and_then(|field| field.node.as_ref()), Some(NodeEnum::AStar(_)))
    }

    /// 42703, or 42P01 when the table is what is missing.
    fn no_column(&self, names: &[&str], position: Option<u32>) -> SqlError {
        match names {
            [name]
                if matches!(*name, "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid")
                    && self.has_table() =>
            {
                SqlError::unsupported(format_args!("the system column \"{name}\"")).at(position)
            }
            [name] => {
                let message = format!("column \"{name}\" does not exist");
                let error = SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(position);
                match self.hidden_column(name) {
                    Some(table) => error.hint(format!(
                        "There is a column named \"{name}\" in table \"{table}\", but it cannot be referenced from \
                         this part of the query."
                    )),
                    None => self.with_column_hint(error, None, name),
                }
            }
            [.., table, name] => match self.find_item(None, table, position) {
                Ok(Some(_)) => {
                    let message = format!("column {table}.{name} does not exist");
                    let error = SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(position);
                    self.with_column_hint(error, Some(table), name)
                }
                _ => self.no_table(table, position),
            },
            [] => nodes::missing(),
        }
    }

    /// A FROM item out of sight that has a column of this name.
    fn hidden_column(&self, name: &str) -> Option<&str> {
        let has = |seen: &&Seen| {
            let columns = seen.relation.map(|relation| &self.relation(relation).columns);
            columns.is_some_and(|columns| columns.iter().any(|column| column.name == name))
        };
        let mut seen = self.scopes.iter().rev().flat_map(|scope| scope.seen.iter());
        seen.find(has).map(|seen| seen.alias.as_str())
    }

    fn has_table(&self) -> bool {
        self.origins.iter().any(|origin| origin.table.is_some())
    }

    /// 42P01 `missing FROM-clause entry for table "x"`.
    pub(super) fn no_table(&self, name: &str, position: Option<u32>) -> SqlError {
        let fits = |seen: &&Seen| seen.alias == name || seen.table.as_deref() == Some(name);
        let mut seen = self.scopes.iter().rev().flat_map(|scope| scope.seen.iter());
        if let Some(Seen { alias, .. }) = seen.find(fits) {
            let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
            let error = SqlError::new(sqlstate::UNDEFINED_TABLE, message).at(position);
            return if alias == name {
                error.hint(format!(
                    "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
                ))
            } else {
                error.hint(format!("Perhaps you meant to reference the table alias \"{alias}\"."))
            };
        }
        let message = format!("missing FROM-clause entry for table \"{name}\"");
        SqlError::new(sqlstate::UNDEFINED_TABLE, message).at(position)
    }

    /// PostgreSQL's guess at what a misspelt column was meant to be.
    fn with_column_hint(&self, error: SqlError, table: Option<&str>, name: &str) -> SqlError {
        let Some(scope) = self.scopes.last() else { return error };
        if scope.hidden {
            return error;
        }
        let mut best: Vec<(usize, String)> = Vec::new();
        for item in &scope.items {
            let Some(alias) = item.name.as_deref() else { continue };
            if !item.named || item.relation.is_none() {
                continue;
            }
            let apart = table.map_or(0, |table| edit_distance(table, alias));
            for column in &item.columns {
                let distance = apart + edit_distance(name, &column.name);
                // As PostgreSQL: at most three edits and at most half of the letters.
                let limit = 3.min(name.chars().count() / 2 + usize::from(distance == apart));
                if distance <= limit {
                    best.push((distance, format!("{alias}.{}", column.name)));
                }
            }
        }
        best.sort();
        match &best[..] {
            [] => error,
            [(_, only)] => error.hint(format!("Perhaps you meant to reference the column \"{only}\".")),
            [(first, name), (second, other), rest @ ..] => {
                if first < second {
                    error.hint(format!("Perhaps you meant to reference the column \"{name}\"."))
                } else if rest.first().is_some_and(|(third, _)| third == first) {
                    error
                } else {
                    error.hint(format!(
                        "Perhaps you meant to reference the column \"{name}\" or the column \"{other}\"."
                    ))
                }
            }
        }
    }

    /// The fields of a record whose structure is known.
    pub(super) fn record_fields(
        &mut self,
        record: Expr,
        position: Option<u32>,
    ) -> Result<Vec<(String, Expr)>> {
        let columns: Vec<OutputColumn> = self.record_columns(&record).ok_or_else(|| {
            let message = "record type has not been registered";
            SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).at(position)
        })?;
        let fields = columns.into_iter().enumerate();
        Ok(fields
            .map(|(index, column)| (column.name.clone(), super::records::field_of(&record, index, &column)))
            .collect())
    }
}

fn ambiguous(name: &str, position: Option<u32>) -> SqlError {
    let message = format!("column reference \"{name}\" is ambiguous");
    SqlError::new(sqlstate::AMBIGUOUS_COLUMN, message).at(position)
}

/// Levenshtein's distance between two names.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
