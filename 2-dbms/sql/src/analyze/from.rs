//! FROM items: tables, CTEs, subqueries, functions (`transformFromClauseItem`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{Alias, Node, RangeFunction, RangeSubselect, RangeVar};
use tuplix_catalog::{ArgumentDef, PolicyCommand};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::scope::{Clause, Found, ScopeColumn, ScopeItem, Seen};
use super::targets::column_name;
use super::updatable::{Target, Verb};
use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind, From, OutputColumn, Query, QueryBody, RelationId, Select};

/// An analysed FROM item.
pub(super) struct Joined {
    /// For the plan.
    pub from: From,
    /// What it brings in sight.
    pub items: Vec<ScopeItem>,
    /// Its columns, for joins.
    pub columns: Vec<ScopeColumn>,
}

impl Joined {
    fn of(from: From, item: ScopeItem) -> Joined {
        Joined { from, columns: item.columns.clone(), items: vec![item] }
    }
}

impl Analyzer<'_> {
    /// FROM: afterwards its items are in sight.
    pub(super) fn read_from(&mut self, list: &[Node]) -> Result<Vec<From>> {
        let mut from = Vec::with_capacity(list.len());
        for node in list {
            let joined = self.joined_item(node)?;
            self.check_names(&joined.items)?;
            self.scope().items.extend(joined.items);
            from.push(joined.from);
        }
        Ok(from)
    }

    /// Refuses a second FROM item of the same name.
    pub(super) fn check_names(&mut self, items: &[ScopeItem]) -> Result<()> {
        for item in items.iter().filter(|item| item.named) {
            let Some(name) = &item.name else { continue };
            let clash = |other: &&ScopeItem| {
                let two_tables =
                    item.schema.is_some() && other.schema.is_some() && item.schema != other.schema;
                other.named && other.name.as_ref() == Some(name) && !two_tables
            };
            if self.scope().items.iter().any(|other| clash(&other)) {
                let message = format!("table name \"{name}\" specified more than once");
                return Err(SqlError::new(sqlstate::DUPLICATE_ALIAS, message));
            }
        }
        Ok(())
    }

    pub(super) fn joined_item(&mut self, node: &Node) -> Result<Joined> {
        match nodes::inner(node)? {
            NodeEnum::RangeVar(name) => self.named_relation(name),
            NodeEnum::RangeSubselect(subselect) => self.subquery_in_from(subselect),
            NodeEnum::RangeFunction(function) => self.function_in_from(function),
            NodeEnum::JoinExpr(join) => self.join(join),
            NodeEnum::RangeTableSample(sample) => self.sample_in_from(sample),
            NodeEnum::RangeTableFunc(table) => Err(self.unsupported("XMLTABLE", table.location)),
            other => Err(self.unsupported("this FROM item", nodes::location_of(other))),
        }
    }

    fn named_relation(&mut self, name: &RangeVar) -> Result<Joined> {
        let position = self.at(name.location);
        self.local_database(name)?;
        let schema = nodes::non_empty(&name.schemaname);
        if schema.is_none()
            && let Some(joined) = self.cte_reference(name)?
        {
            return Ok(joined);
        }
        let found = self.find_relation(schema, &name.relname, position)?;
        if let Found::Table(table) = &found {
            if schema.is_none() {
                self.record_schema(&table.schema, name.location);
            }
            if table.view.is_some() {
                return self.view_in_from(table, name);
            }
        }
        let alias = name.alias.as_ref();
        let shown = alias.map_or(name.relname.as_str(), |alias| alias.aliasname.as_str());
        let columns = self.aliased(shown, found.columns(self), alias)?;
        let table = match &found {
            Found::Table(table) => Some(table.id),
            Found::System { .. } => None,
        };
        let relation = self.add_relation(shown, columns.clone(), table);
        let mut item = ScopeItem::of_relation(shown, relation, &columns);
        self.saw(shown, Some(&name.relname), Some(relation));
        let from = match found {
            Found::Table(table) => {
                item.schema = alias.is_none().then(|| table.schema.clone());
                self.guard(relation, PolicyCommand::Select)?;
                From::Table { relation, table: table.id }
            }
            Found::System { schema, .. } => {
                item.schema = alias.is_none().then(|| schema.clone());
                item.table_oid = self.context.system.oid(&schema, &name.relname);
                From::System { relation, schema, name: name.relname.clone() }
            }
        };
        Ok(Joined::of(from, item))
    }

    /// Remembers a FROM item for hints.
    pub(super) fn saw(&mut self, alias: &str, table: Option<&str>, relation: Option<RelationId>) {
        let seen = Seen { alias: alias.to_owned(), table: table.map(str::to_owned), relation };
        self.scope().seen.push(seen);
    }

    /// Refuses a name in another database.
    pub(super) fn local_database(&self, name: &RangeVar) -> Result<()> {
        if name.catalogname.is_empty() {
            return Ok(());
        }
        let shown = format!("{}.{}.{}", name.catalogname, name.schemaname, name.relname);
        let message = format!("cross-database references are not implemented: \"{shown}\"");
        Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(self.at(name.location)))
    }

    /// Columns under the names of an alias.
    pub(super) fn aliased(
        &self,
        name: &str,
        mut columns: Vec<OutputColumn>,
        alias: Option<&Alias>,
    ) -> Result<Vec<OutputColumn>> {
        let names = nodes::alias_columns(alias);
        if names.len() > columns.len() {
            let message = format!(
                "table \"{name}\" has {} columns available but {} columns specified",
                columns.len(),
                names.len()
            );
            return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message));
        }
        for (column, name) in columns.iter_mut().zip(names) {
            column.name = name;
        }
        Ok(columns)
    }

    pub(super) fn subquery_in_from(&mut self, subselect: &RangeSubselect) -> Result<Joined> {
        let node = nodes::required(subselect.subquery.as_deref())?;
        let Some(alias) = subselect.alias.as_ref() else {
            let is_values = matches!(node, NodeEnum::SelectStmt(select) if !select.values_lists.is_empty());
            let (what, example) = if is_values { ("VALUES", "VALUES") } else { ("subquery", "SELECT") };
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, format!("{what} in FROM must have an alias"))
                .hint(format!("For example, FROM ({example} ...) [AS] foo.")));
        };
        let was_hidden = std::mem::replace(&mut self.scope().hidden, !subselect.lateral);
        let query = self.query(node);
        self.scope().hidden = was_hidden;
        let query = query?;
        let joined = self.subquery_item(query, &alias.aliasname, Some(alias), subselect.lateral)?;
        Ok(joined)
    }

    /// A query as a FROM item.
    pub(super) fn subquery_item(
        &mut self,
        query: Query,
        name: &str,
        alias: Option<&Alias>,
        lateral: bool,
    ) -> Result<Joined> {
        let columns = self.aliased(name, query.columns.clone(), alias)?;
        let relation = self.add_relation(name, columns.clone(), None);
        self.saw(name, None, Some(relation));
        if let QueryBody::Select(select) = &query.body {
            for (number, _) in columns.iter().enumerate().filter(|(_, c)| c.ty == TypeId::RECORD) {
                if let Some(shape) = select.targets.get(number).and_then(|target| self.record_columns(target))
                {
                    self.record_shapes.insert((relation, number), shape);
                }
            }
        }
        let item = ScopeItem::of_relation(name, relation, &columns);
        Ok(Joined::of(From::Subquery { relation, query: Box::new(query), lateral }, item))
    }

    fn function_in_from(&mut self, function: &RangeFunction) -> Result<Joined> {
        let several = self.functions_side_by_side(function)?;
        if several.len() > 1 {
            return self.rows_from(function, &several);
        }
        let [only] = &function.functions[..] else { return Err(nodes::missing()) };
        let NodeEnum::List(list) = nodes::inner(only)? else { return Err(nodes::missing()) };
        let node = list.items.first().ok_or_else(nodes::missing)?;
        let location = nodes::location(node);
        let definitions = list.items.get(1).is_some_and(|node| node.node.is_some());
        let list = match list.items.get(1).and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::List(list)) if definitions => &list.items,
            _ => &function.coldeflist,
        };
        let listed = self.defined_columns(list)?;
        self.listed_columns = (!listed.is_empty()).then(|| super::create_type::outputs(listed.clone()));
        let value = self.in_clause(Clause::FromFunction, |analyzer| match nodes::inner(node)? {
            NodeEnum::FuncCall(call) => analyzer.plain_call(call),
            _ => analyzer.expression(node),
        });
        let unused = self.listed_columns.take();
        let mut value = self.settle_unknown(value?)?;
        let mut rows_of_json = None;
        match &value.kind {
            ExprKind::Call { function: call, arguments } if super::functions::is_populating(call.symbol) => {
                rows_of_json = Some((call.symbol, arguments.clone()));
            }
            ExprKind::Populate { .. } if unused.is_none() => {}
            _ if unused.is_some() => value = self.with_columns(value, &listed)?,
            _ => {}
        }
        let alias = function.alias.as_ref();
        let own_name = column_name(Some(node));
        let name = alias.map_or(own_name.as_str(), |alias| alias.aliasname.as_str()).to_owned();
        if let Some((symbol, arguments)) = rows_of_json {
            if function.ordinality {
                return Err(self.unsupported("WITH ORDINALITY of this function", location));
            }
            return self.json_rows(symbol, arguments, unused, (&name, alias), self.at(location));
        }
        let (mut columns, scalar) = self.function_columns(&value, &name, self.at(location))?;
        if function.ordinality {
            columns.push(OutputColumn { name: "ordinality".to_owned(), ty: TypeId::INT8, typmod: -1 });
        }
        let columns = self.aliased(&name, columns, alias)?;
        let relation = self.add_relation(&name, columns.clone(), None);
        self.saw(&name, None, Some(relation));
        let mut item = ScopeItem::of_relation(&name, relation, &columns);
        item.scalar = scalar && !function.ordinality;
        let is_call = matches!(value.kind, ExprKind::Call { .. } | ExprKind::UserCall { .. });
        let from = if is_call {
            From::Function { relation, call: value, ordinality: function.ordinality }
        } else if function.ordinality {
            return Err(self.unsupported("WITH ORDINALITY of a value that is no function call", location));
        } else {
            // One row of one value: computed ahead of time, or no call at all.
            let is_row = !scalar;
            let own = vec![OutputColumn { name: "row".to_owned(), ty: value.ty, typmod: -1 }];
            let mut query = single_row(value, if is_row { own } else { columns.clone() });
            if is_row {
                self.expand_row_column(&mut query, columns);
            }
            From::Subquery { relation, query: Box::new(query), lateral: true }
        };
        Ok(Joined::of(from, item))
    }

    /// `jsonb_to_recordset(...) AS r(a int)`: a row for each element of a JSON array.
    fn json_rows(
        &mut self,
        symbol: &'static str,
        mut arguments: Vec<Expr>,
        listed: Option<Vec<OutputColumn>>,
        (name, alias): (&str, Option<&pg_query::protobuf::Alias>),
        position: Option<u32>,
    ) -> Result<Joined> {
        let place = usize::from(symbol.contains("populate"));
        let source = arguments.get(place).cloned().ok_or_else(nodes::missing)?;
        let elements =
            if source.ty == TypeId::JSONB { "jsonb_array_elements" } else { "json_array_elements" };
        let ty = source.ty;
        let call = super::coerce::call(tuplix_functions::lookup_symbol(elements), vec![source], ty);
        let element = vec![OutputColumn { name: "value".to_owned(), ty, typmod: -1 }];
        let inner = self.add_relation("", element, None);
        arguments[place] = Expr::new(ExprKind::Column { relation: inner, column: 0 }, ty);
        if listed.is_none() && place == 0 {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
        }
        let row = self.populated(symbol, arguments, listed, position)?;
        let columns = self.record_columns(&row).ok_or_else(nodes::missing)?;
        let own = vec![OutputColumn { name: "row".to_owned(), ty: row.ty, typmod: -1 }];
        let mut query = single_row(row, own);
        if let QueryBody::Select(select) = &mut query.body {
            select.from.push(From::Function { relation: inner, call, ordinality: false });
        }
        self.expand_row_column(&mut query, columns.clone());
        let columns = self.aliased(name, columns, alias)?;
        let relation = self.add_relation(name, columns.clone(), None);
        self.saw(name, None, Some(relation));
        let item = ScopeItem::of_relation(name, relation, &columns);
        Ok(Joined::of(From::Subquery { relation, query: Box::new(query), lateral: true }, item))
    }

    /// The calls of ROWS FROM; `unnest(a, b)` is one for each array.
    fn functions_side_by_side(&self, function: &RangeFunction) -> Result<Vec<Node>> {
        let mut calls = Vec::new();
        for item in &function.functions {
            let NodeEnum::List(list) = nodes::inner(item)? else { return Err(nodes::missing()) };
            let node = list.items.first().ok_or_else(nodes::missing)?;
            match nodes::inner(node)? {
                NodeEnum::FuncCall(call)
                    if call.args.len() > 1
                        && !call.func_variadic
                        && nodes::strings(&call.funcname).last() == Some(&"unnest") =>
                {
                    calls.extend(call.args.iter().map(|argument| {
                        let mut one = (**call).clone();
                        one.args = vec![argument.clone()];
                        Node { node: Some(NodeEnum::FuncCall(Box::new(one))) }
                    }));
                }
                _ => calls.push(node.clone()),
            }
        }
        Ok(calls)
    }

    /// `ROWS FROM (f(), g())`
    fn rows_from(&mut self, function: &RangeFunction, calls: &[Node]) -> Result<Joined> {
        let location = calls.first().map_or(-1, nodes::location);
        if !function.coldeflist.is_empty() {
            return Err(self.unsupported("a column list for several functions", location));
        }
        let mut items = Vec::with_capacity(calls.len());
        let mut columns = Vec::new();
        let mut first_name = None;
        for node in calls {
            let value = self.in_clause(Clause::FromFunction, |analyzer| match nodes::inner(node)? {
                NodeEnum::FuncCall(call) => analyzer.plain_call(call),
                _ => analyzer.expression(node),
            })?;
            let value = self.settle_unknown(value)?;
            let name = column_name(Some(node));
            let (own, _) = self.function_columns(&value, &name, self.at(location))?;
            items.push((value, own.len()));
            columns.extend(own);
            first_name.get_or_insert(name);
        }
        if function.ordinality {
            columns.push(OutputColumn { name: "ordinality".to_owned(), ty: TypeId::INT8, typmod: -1 });
        }
        let alias = function.alias.as_ref();
        let name = alias.map_or(first_name.unwrap_or_default(), |alias| alias.aliasname.clone());
        let columns = self.aliased(&name, columns, alias)?;
        let relation = self.add_relation(&name, columns.clone(), None);
        self.saw(&name, None, Some(relation));
        let item = ScopeItem::of_relation(&name, relation, &columns);
        let from =
            From::RowsFrom { relations: vec![relation], calls: items, ordinality: function.ordinality };
        Ok(Joined::of(from, item))
    }

    /// The columns that a function call gives as a FROM item, and whether it is one value a row.
    pub(super) fn function_columns(
        &self,
        call: &Expr,
        name: &str,
        position: Option<u32>,
    ) -> Result<(Vec<OutputColumn>, bool)> {
        let single =
            |name: &str| vec![OutputColumn { name: name.to_owned(), ty: call.ty, typmod: call.typmod }];
        let named: Vec<OutputColumn> = match &call.kind {
            ExprKind::UserCall { function, .. } => {
                let function = self.context.catalog.function(*function).ok_or_else(nodes::missing)?;
                let column = |(index, argument): (usize, &ArgumentDef)| OutputColumn {
                    name: match argument.name.as_str() {
                        "" => format!("column{}", index + 1),
                        name => name.to_owned(),
                    },
                    ty: argument.ty,
                    typmod: -1,
                };
                let nameless =
                    function.outputs().count() == 1 && function.outputs().all(|only| only.name.is_empty());
                if nameless { Vec::new() } else { function.outputs().enumerate().map(column).collect() }
            }
            ExprKind::Call { function, arguments } => super::records::output_columns(function, arguments),
            _ => Vec::new(),
        };
        match &named[..] {
            // One OUT argument makes no row, but names the column.
            [only] if !self.base(call.ty).is_row() => Ok((single(&only.name.clone()), true)),
            [] if self.base(call.ty).is_row() => match self.record_columns(call) {
                Some(columns) => Ok((columns, false)),
                None => {
                    let message = "a column definition list is required for functions returning \"record\"";
                    Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position))
                }
            },
            [] => Ok((single(name), true)),
            _ => Ok((named, false)),
        }
    }

    /// A table that a statement changes, as a relation in sight.
    pub(super) fn target_table(&mut self, name: &RangeVar, verb: Verb) -> Result<Target> {
        self.local_database(name)?;
        let position = self.at(name.location);
        let schema = nodes::non_empty(&name.schemaname);
        if schema.is_none() && self.is_cte(&name.relname) {
            let message =
                format!("relation \"{}\" cannot be the target of a modifying statement", name.relname);
            return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message).at(position));
        }
        let table = match self.find_relation(schema, &name.relname, position)? {
            Found::Table(table) => table,
            Found::System { schema, .. }
                if self.context.catalog.sequence_named(&schema, &name.relname).is_some() =>
            {
                let message = format!("cannot change sequence \"{}\"", name.relname);
                return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
            }
            Found::System { schema, .. } => {
                let message = format!("cannot change the system table {schema}.{}", name.relname);
                return Err(SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message).at(position));
            }
        };
        if table.view.is_some() {
            return self.target_view(table, name, verb);
        }
        if table.materialized.is_some() {
            let message = format!("cannot change materialized view \"{}\"", table.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
        }
        let table = std::sync::Arc::clone(table);
        Ok(self.plain_target(&table, name))
    }
}

/// `SELECT value`
fn single_row(value: Expr, columns: Vec<OutputColumn>) -> Query {
    let select = Select::plain(Vec::new(), vec![value]);
    Query::plain(QueryBody::Select(Box::new(select)), columns)
}
