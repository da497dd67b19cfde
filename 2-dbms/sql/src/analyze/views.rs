//! Views: CREATE VIEW and what a view's name stands for in FROM (`view.c`, `fireRIRrules`).
//!
//! The catalogue keeps a view's query as text. While CREATE VIEW is analysed, a [`Recorder`] notes where the text has a bare
//! name of a table or function and where a star, so that the kept text names schemas and columns and means the same for
//! ever. A view in FROM is its query, analysed under an empty search path and out of sight of the statement around it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{RangeVar, SelectStmt, ViewCheckOption, ViewStmt};
use tuplix_catalog::{CheckOption, Dependency, FunctionId, TableDef, TableId, ViewDef};
use tuplix_types::{Result, SqlError, SqlState, TypeId, sqlstate};

use super::from::Joined;
use super::parameters::Parameters;
use super::scope::{Scope, ScopeItem, table_columns};
use super::walk::{operands, query_expressions, subquery};
use super::{Analyzer, nodes};
use crate::parser::{self, lexer, quote_ident};
use crate::plan::{CreateView, Expr, ExprKind, From, OutputColumn, Query};

/// What makes the text of a view's query independent of the search path.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// Bytes of the statement's text, and what stands there instead.
    edits: Vec<(Range<usize>, String)>,
}

impl Analyzer<'_> {
    /// CREATE VIEW
    pub(super) fn create_view(&mut self, stmt: &ViewStmt) -> Result<CreateView> {
        let name = stmt.view.as_ref().ok_or_else(nodes::missing)?;
        let node = nodes::required(stmt.query.as_deref())?;
        let NodeEnum::SelectStmt(select) = node else {
            return Err(SqlError::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "views must not contain data-modifying statements in WITH",
            ));
        };
        let (check_option, security_invoker) = self.view_options(stmt)?;
        let with_check = stmt.with_check_option > ViewCheckOption::NoCheckOption as i32;
        let (query, mut definition) = self.kept_query(node, &|text| view_body(text, with_check))?;
        refuse_changes(select, "views must not contain data-modifying statements in WITH")?;
        let columns = view_columns(stmt, &query)?;
        definition.query = with_recursion(stmt, definition.query, self.source.map(|source| source.text));
        definition.check_option = check_option;
        definition.security_invoker = security_invoker;
        let view = CreateView {
            name: self.qualified_name(name)?,
            or_replace: stmt.replace,
            temporary: name.relpersistence == "t",
            columns,
            definition,
        };
        if check_option.is_some() {
            self.refuse_check_option(select)?;
        }
        Ok(view)
    }

    /// A query, and as the catalogue keeps it; `body` says where in the statement it stands.
    pub(super) fn kept_query(
        &mut self,
        node: &NodeEnum,
        body: &dyn Fn(&str) -> Result<Range<usize>>,
    ) -> Result<(Query, ViewDef)> {
        let first = self.relations.len();
        let (mut query, recorder) = self.recorded(|analyzer| analyzer.query(node))?;
        let dependencies = self.dependencies(&mut query, first);
        let text = self.kept_text(body, recorder)?;
        let definition = ViewDef { query: text, dependencies, check_option: None, security_invoker: false };
        Ok((query, definition))
    }

    /// Runs `work` while what it finds by bare names is noted.
    pub(super) fn recorded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<(T, Recorder)> {
        self.recorder = Some(Recorder::default());
        // A view reads neither parameters nor the variables of the function that creates it.
        let parameters = std::mem::replace(&mut self.parameters, Parameters::none());
        let variables = self.variables.take();
        let result = work(self);
        self.variables = variables;
        self.parameters = parameters;
        let recorder = self.recorder.take().unwrap_or_default();
        Ok((result?, recorder))
    }

    /// The check option, and whether the view is looked through as who asks.
    fn view_options(&self, stmt: &ViewStmt) -> Result<(Option<CheckOption>, bool)> {
        let mut invoker = false;
        let mut check = match ViewCheckOption::try_from(stmt.with_check_option) {
            Ok(ViewCheckOption::LocalCheckOption) => Some(CheckOption::Local),
            Ok(ViewCheckOption::CascadedCheckOption) => Some(CheckOption::Cascaded),
            _ => None,
        };
        for node in &stmt.options {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let value = match option.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
                Some(NodeEnum::String(text)) => text.sval.clone(),
                _ => String::new(),
            };
            match (option.defname.as_str(), value.as_str()) {
                ("check_option", "local") => check = Some(CheckOption::Local),
                ("check_option", "cascaded") => check = Some(CheckOption::Cascaded),
                ("check_option", _) => {
                    let message = format!("invalid value for enum option \"check_option\": {value}");
                    return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
                        .detail("Valid values are \"local\" and \"cascaded\"."));
                }
                ("security_invoker", "" | "true" | "on" | "1" | "yes") => invoker = true,
                ("security_invoker", _) => invoker = false,
                // Conditions of a statement are never tested below a view's own.
                ("security_barrier", _) => {}
                (other, _) => {
                    let message = format!("unrecognized parameter \"{other}\"");
                    return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
                }
            }
        }
        Ok((check, invoker))
    }

    /// The query's text with all names written out.
    pub(super) fn kept_text(
        &self,
        body: &dyn Fn(&str) -> Result<Range<usize>>,
        recorder: Recorder,
    ) -> Result<String> {
        let refused = || SqlError::unsupported("CREATE VIEW or POLICY inside of a function");
        let source = self.source.ok_or_else(refused)?;
        let body = body(source.text)?;
        let mut edits = recorder.edits;
        edits.sort_by_key(|(place, _)| place.start);
        let mut text = String::new();
        let mut at = body.start;
        for (place, instead) in edits {
            if place.start < at || place.end > body.end {
                continue;
            }
            text.push_str(&source.text[at..place.start]);
            text.push_str(&instead);
            at = place.end;
        }
        text.push_str(&source.text[at..body.end]);
        Ok(text.trim().to_owned())
    }

    /// What a query names, of the relations from `first` on.
    fn dependencies(&self, query: &mut Query, first: usize) -> Vec<Dependency> {
        let inside = |relation: usize| self.view_relations.iter().any(|(_, range)| range.contains(&relation));
        let mut relations: BTreeMap<TableId, BTreeSet<usize>> = BTreeMap::new();
        for relation in (first..self.origins.len()).filter(|relation| !inside(*relation)) {
            if let Some(table) = self.origins[relation].table {
                relations.entry(table).or_default();
            }
        }
        let mut functions = BTreeSet::new();
        query_expressions(query, &mut |expr| {
            self.named_in(
                expr,
                &mut |relation, column| {
                    if !inside(relation)
                        && let Some(table) = self.origins.get(relation).and_then(|origin| origin.table)
                    {
                        relations.entry(table).or_default().insert(column);
                    }
                },
                &mut functions,
            );
        });
        let relations = relations
            .into_iter()
            .map(|(table, columns)| Dependency::Relation(table, columns.into_iter().collect()));
        relations.chain(functions.into_iter().map(Dependency::Function)).collect()
    }

    fn named_in(
        &self,
        expr: &mut Expr,
        column: &mut dyn FnMut(usize, usize),
        functions: &mut BTreeSet<FunctionId>,
    ) {
        match &expr.kind {
            ExprKind::Column { relation, column: number } => column(relation.0 as usize, *number),
            ExprKind::UserCall { function, .. } => {
                functions.insert(self.context.catalog.known_function(*function));
            }
            _ => {}
        }
        operands(expr, &mut |operand| self.named_in(operand, column, functions));
        if let Some(query) = subquery(expr) {
            query_expressions(query, &mut |inner| self.named_in(inner, column, functions));
        }
    }

    /// Notes that a bare name at a location is one of a schema.
    pub(super) fn record_schema(&mut self, schema: &str, location: i32) {
        let Some((at, recorder)) = self.recording(location) else { return };
        recorder.edits.push((at..at, format!("{}.", quote_ident(schema))));
    }

    /// Notes what a star at a location stands for.
    pub(super) fn record_star(&mut self, location: i32, items: &[ScopeItem]) {
        let Some(text) = self.source.map(|source| source.text) else { return };
        if self.recorder.is_none() {
            return;
        }
        let names: Vec<String> = items.iter().flat_map(|item| self.star_names(item)).collect();
        let Some((at, recorder)) = self.recording(location) else { return };
        let mut lexer = lexer::Lexer::new(&text[at..]);
        while let Ok(Some(lexeme)) = lexer.next_token() {
            let star = match &lexeme.token {
                lexer::Token::Other('*') => true,
                lexer::Token::Operator(operator) => operator.starts_with('*'),
                _ => false,
            };
            if star {
                recorder.edits.push((at..at + lexeme.start + 1, names.join(", ")));
                return;
            }
        }
    }

    /// The columns of a FROM item as they can be named.
    fn star_names(&self, item: &ScopeItem) -> Vec<String> {
        let scope_items = self.scopes.last().map_or(&[][..], |scope| &scope.items[..]);
        let same_column = |a: &Expr, b: &Expr| match (&a.kind, &b.kind) {
            (ExprKind::Column { relation: r, column: c }, ExprKind::Column { relation: s, column: d }) => {
                r == s && c == d
            }
            _ => false,
        };
        let name = |column: &super::scope::ScopeColumn| {
            let bare = quote_ident(&column.name);
            let own = item.name.as_ref().filter(|_| item.named);
            let named = own.or_else(|| {
                let holds = |other: &&ScopeItem| {
                    other.named && other.columns.iter().any(|c| same_column(&c.value, &column.value))
                };
                scope_items.iter().find(holds).and_then(|other| other.name.as_ref())
            });
            named.map_or(bare.clone(), |name| format!("{}.{bare}", quote_ident(name)))
        };
        item.columns.iter().map(name).collect()
    }

    fn recording(&mut self, location: i32) -> Option<(usize, &mut Recorder)> {
        let offset = self.source?.offset;
        let at = usize::try_from(location).ok()?.checked_sub(offset)?;
        self.recorder.as_mut().map(|recorder| (at, recorder))
    }

    /// A view in FROM.
    pub(super) fn view_in_from(&mut self, view: &Arc<TableDef>, name: &RangeVar) -> Result<Joined> {
        let alias = name.alias.as_ref();
        let shown = alias.map_or(name.relname.as_str(), |alias| alias.aliasname.as_str()).to_owned();
        let columns = self.aliased(&shown, table_columns(view), alias)?;
        let first = self.relations.len();
        let mut query = self.in_view(view, |analyzer, node| analyzer.query(&NodeEnum::SelectStmt(node)))?;
        self.view_relations.push((view.id, first..self.relations.len()));
        query.columns = columns.clone();
        let relation = self.add_relation(&shown, columns.clone(), Some(view.id));
        self.saw(&shown, Some(&name.relname), Some(relation));
        let mut item = ScopeItem::of_relation(&shown, relation, &columns);
        item.schema = alias.is_none().then(|| view.schema.clone());
        let from = From::Subquery { relation, query: Box::new(query), lateral: false };
        Ok(Joined { from, columns: item.columns.clone(), items: vec![item] })
    }

    /// Runs `work` with a view's query, which sees nothing of the statement around it.
    pub(super) fn in_view<T>(
        &mut self,
        view: &Arc<TableDef>,
        work: impl FnOnce(&mut Self, Box<SelectStmt>) -> Result<T>,
    ) -> Result<T> {
        if self.views.contains(&view.id) {
            let message = format!("infinite recursion detected in rules for relation \"{}\"", view.name);
            return Err(SqlError::new(SqlState(*b"42P17"), message));
        }
        let definition = view.query().ok_or_else(nodes::missing)?;
        let parsed = parser::parse(&definition.query)?.into_iter().next().ok_or_else(nodes::missing)?;
        let NodeEnum::SelectStmt(select) = parsed.node else { return Err(nodes::missing()) };
        let source = self.source.take();
        let variables = self.variables.take();
        let recorder = self.recorder.take();
        let parameters = std::mem::replace(&mut self.parameters, Parameters::none());
        // Hidden levels keep what belongs to the outer queries apart from what belongs to the view's.
        let hidden = || Scope { hidden: true, ..Scope::default() };
        let levels = (0..self.scopes.len()).map(|_| hidden()).collect();
        let scopes = std::mem::replace(&mut self.scopes, levels);
        let acting = self.role_inside(view);
        self.views.push(view.id);
        self.acting.push(acting);
        let result = work(self, select);
        self.acting.pop();
        self.views.pop();
        self.scopes = scopes;
        self.parameters = parameters;
        self.recorder = recorder;
        self.variables = variables;
        self.source = source;
        result
    }

    /// The schemas in which bare names are looked up here.
    pub(super) fn search_path(&self) -> &[String] {
        if self.views.is_empty() && self.policies.is_empty() { self.context.search_path } else { &[] }
    }
}

/// The columns under the names that CREATE VIEW gives them.
fn view_columns(stmt: &ViewStmt, query: &Query) -> Result<Vec<OutputColumn>> {
    let names = nodes::strings(&stmt.aliases);
    if names.len() > query.columns.len() {
        let message = "CREATE VIEW specifies more column names than columns";
        return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
    }
    let mut columns = query.columns.clone();
    columns.iter_mut().zip(names).for_each(|(column, name)| column.name = name.to_owned());
    for (number, column) in columns.iter().enumerate() {
        if columns[..number].iter().any(|other| other.name == column.name) {
            let message = format!("column \"{}\" specified more than once", column.name);
            return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
        }
        if column.ty == TypeId::RECORD {
            let message = format!("column \"{}\" has pseudo-type record", column.name);
            return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message));
        }
    }
    Ok(columns)
}

/// The query of CREATE RECURSIVE VIEW.
fn with_recursion(stmt: &ViewStmt, text: String, source: Option<&str>) -> String {
    let recursive = stmt.query.as_deref().and_then(|node| node.node.as_ref()).and_then(recursive_name);
    match recursive {
        Some(name) if source.is_some_and(is_recursive_view) => {
            let columns: Vec<String> = nodes::strings(&stmt.aliases).into_iter().map(quote_ident).collect();
            let (name, columns) = (quote_ident(name), columns.join(", "));
            format!("WITH RECURSIVE {name}({columns}) AS ({text}) SELECT {columns} FROM {name}")
        }
        _ => text,
    }
}

/// A view's WITH changes nothing.
pub(super) fn refuse_changes(select: &SelectStmt, message: &str) -> Result<()> {
    for node in select.with_clause.iter().flat_map(|with| &with.ctes) {
        let NodeEnum::CommonTableExpr(cte) = nodes::inner(node)? else { return Err(nodes::missing()) };
        if !matches!(nodes::required(cte.ctequery.as_deref())?, NodeEnum::SelectStmt(_)) {
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
    }
    Ok(())
}

/// The name of the one WITH query of CREATE RECURSIVE VIEW.
fn recursive_name(node: &NodeEnum) -> Option<&str> {
    let NodeEnum::SelectStmt(select) = node else { return None };
    let with = select.with_clause.as_ref().filter(|with| with.recursive)?;
    match with.ctes.first().and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::CommonTableExpr(cte)) => Some(&cte.ctename),
        _ => None,
    }
}

/// Whether a statement begins with CREATE ... RECURSIVE VIEW.
fn is_recursive_view(text: &str) -> bool {
    let mut lexer = lexer::Lexer::new(text);
    while let Ok(Some(lexeme)) = lexer.next_token() {
        match lexeme.token {
            lexer::Token::Ident { name, quoted: false } if name == "recursive" => return true,
            lexer::Token::Ident { name, quoted: false } if name == "view" => return false,
            _ => {}
        }
    }
    false
}

/// Where the query of CREATE VIEW lies: after AS, before WITH CHECK OPTION.
fn view_body(text: &str, with_check: bool) -> Result<Range<usize>> {
    let mut lexer = lexer::Lexer::new(text);
    let (mut depth, mut start, mut last_with) = (0, None, None);
    while let Some(lexeme) = lexer.next_token()? {
        match &lexeme.token {
            lexer::Token::Other('(') => depth += 1,
            lexer::Token::Other(')') => depth -= 1,
            lexer::Token::Ident { name, quoted: false } if depth == 0 => match name.as_str() {
                "as" if start.is_none() => start = Some(lexeme.end),
                "with" if start.is_some() => last_with = Some(lexeme.start),
                _ => {}
            },
            _ => {}
        }
    }
    let start = start.ok_or_else(nodes::missing)?;
    let end = last_with.filter(|_| with_check).unwrap_or(text.len());
    Ok(start..end)
}

/// Where the query of CREATE MATERIALIZED VIEW lies: after AS, before WITH [NO] DATA.
pub(super) fn materialized_body(text: &str) -> Result<Range<usize>> {
    let body = view_body(text, false)?;
    let mut lexer = lexer::Lexer::new(&text[body.clone()]);
    // The last words, and where the first of them begins.
    let mut last: Vec<(String, usize)> = Vec::new();
    while let Some(lexeme) = lexer.next_token()? {
        let word = match &lexeme.token {
            lexer::Token::Ident { name, quoted: false } => name.clone(),
            _ => String::new(),
        };
        last.push((word, lexeme.start));
        if last.len() > 3 {
            last.remove(0);
        }
    }
    let words: Vec<&str> = last.iter().map(|(word, _)| word.as_str()).collect();
    let clause = match words[..] {
        [.., "with", "data"] => last.get(last.len() - 2),
        ["with", "no", "data"] => last.first(),
        _ => None,
    };
    Ok(body.start..clause.map_or(body.end, |(_, start)| body.start + start))
}
