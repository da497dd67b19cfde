//! Names in sight: the relations, CTEs and clauses of each query around an expression (`parse_relation.c`).

use tuplix_catalog::{IndexId, TableDef};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::Analyzer;
use crate::plan::{AggregateCall, CteId, Expr, ExprKind, From, OutputColumn, RelationId, WindowCall};

/// One query level.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// The FROM items in sight.
    pub items: Vec<ScopeItem>,
    /// Every FROM item, also those out of sight, for hints.
    pub seen: Vec<Seen>,
    /// Whether the items can't be referenced from where we are: inside a FROM subquery without LATERAL.
    pub hidden: bool,
    /// The WITH queries.
    pub ctes: Vec<CteEntry>,
    /// The clause being analysed.
    pub clause: Clause,
    /// Aggregates found so far.
    pub aggregates: Vec<AggregateCall>,
    /// How many GROUPING(...) were found so far.
    pub groupings: usize,
    /// Window calls found so far.
    pub windows: Vec<WindowCall>,
    /// The windows of WINDOW, then those of OVER (...), as written.
    pub window_definitions: Vec<pg_query::protobuf::WindowDef>,
    /// Of a changed view: what is done, the table's column behind each of its columns, and what is in sight.
    pub target_columns: Option<(super::updatable::Verb, Vec<Option<usize>>, ScopeItem)>,
    /// Set-returning functions of the select list, to be joined laterally.
    pub set_functions: Vec<From>,
}

/// A FROM item that was seen, in sight or not.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Its alias.
    pub alias: String,
    /// The table behind an alias.
    pub table: Option<String>,
    /// Its columns.
    pub relation: Option<RelationId>,
}

/// A FROM item, or one side of a join.
#[derive(Clone, Debug)]
pub(super) struct ScopeItem {
    /// Its name; `None` for a join or subquery without alias.
    pub name: Option<String>,
    /// Its schema when it is a table without alias: `schema.table.column` is allowed then.
    pub schema: Option<String>,
    /// Its columns.
    pub columns: Vec<ScopeColumn>,
    /// The relation of which these are the columns, when it is one.
    pub relation: Option<RelationId>,
    /// Whether bare column names find its columns.
    pub bare_columns: bool,
    /// Whether its name can be used at all.
    pub named: bool,
    /// Whether it is a function giving one value a row: its name then stands for that value.
    pub scalar: bool,
    /// What `tableoid` is in its rows, for system tables.
    pub table_oid: Option<u32>,
}

/// A column in sight.
#[derive(Clone, Debug)]
pub(super) struct ScopeColumn {
    /// Name.
    pub name: String,
    /// Its value.
    pub value: Expr,
}

/// A WITH query in sight.
#[derive(Clone, Debug)]
pub(super) struct CteEntry {
    /// Name.
    pub name: String,
    /// Its number.
    pub id: CteId,
    /// Its columns.
    pub columns: Vec<OutputColumn>,
    /// How often it was referenced.
    pub references: usize,
    /// Why it can't be used here: it is still being analysed.
    pub forbidden: Option<&'static str>,
}

/// The clause of a query, for what it allows and how errors name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum Clause {
    #[default]
    Target,
    Where,
    CopyWhere,
    Having,
    GroupBy,
    OrderBy,
    DistinctOn,
    Filter,
    JoinOn,
    FromFunction,
    Limit,
    Offset,
    Values,
    Update,
    Returning,
    ConflictWhere,
    WindowPartition,
    WindowOrder,
    FrameRows,
    FrameRange,
    FrameGroups,
    Default,
    Check,
    Generated,
    TriggerWhen,
    Index,
    IndexPredicate,
    Transform,
    Call,
    Execute,
    MergeWhen,
    Policy,
}

impl Clause {
    /// Its name in PostgreSQL's messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Clause::Target => "SELECT",
            Clause::Where | Clause::ConflictWhere => "WHERE",
            Clause::CopyWhere => "COPY FROM WHERE conditions",
            Clause::MergeWhen => "MERGE WHEN",
            Clause::Policy => "policy expressions",
            Clause::Having => "HAVING",
            Clause::GroupBy => "GROUP BY",
            Clause::OrderBy => "ORDER BY",
            Clause::DistinctOn => "DISTINCT ON",
            Clause::Filter => "FILTER",
            Clause::JoinOn => "JOIN conditions",
            Clause::FromFunction => "functions in FROM",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::Values => "VALUES",
            Clause::Update => "UPDATE",
            Clause::Returning => "RETURNING",
            Clause::WindowPartition => "window PARTITION BY",
            Clause::WindowOrder => "window ORDER BY",
            Clause::FrameRows => "ROWS",
            Clause::FrameRange => "RANGE",
            Clause::FrameGroups => "GROUPS",
            Clause::Default => "DEFAULT expressions",
            Clause::Check => "check constraints",
            Clause::Generated => "column generation expressions",
            Clause::TriggerWhen => "trigger WHEN conditions",
            Clause::Index => "index expressions",
            Clause::IndexPredicate => "index predicates",
            Clause::Transform => "transform expressions",
            Clause::Call => "CALL arguments",
            Clause::Execute => "EXECUTE parameters",
        }
    }

    /// Whether aggregates may stand here.
    pub(super) fn takes_aggregates(self) -> bool {
        use Clause::{DistinctOn, Having, OrderBy, Target, WindowOrder, WindowPartition};
        matches!(self, Target | Having | OrderBy | DistinctOn | WindowPartition | WindowOrder)
    }

    /// Whether window calls may stand here.
    pub(super) fn takes_windows(self) -> bool {
        matches!(self, Clause::Target | Clause::OrderBy | Clause::DistinctOn)
    }

    /// Why no subquery may stand here.
    pub(super) fn no_subquery(self) -> Option<&'static str> {
        match self {
            Clause::CopyWhere => Some("cannot use subquery in COPY FROM WHERE condition"),
            Clause::Default => Some("cannot use subquery in DEFAULT expression"),
            Clause::Check => Some("cannot use subquery in check constraint"),
            Clause::Generated => Some("cannot use subquery in column generation expression"),
            Clause::TriggerWhen => Some("cannot use subquery in trigger WHEN condition"),
            Clause::Index => Some("cannot use subquery in index expression"),
            Clause::IndexPredicate => Some("cannot use subquery in index predicate"),
            Clause::Transform => Some("cannot use subquery in transform expression"),
            Clause::Call => Some("cannot use subquery in CALL argument"),
            Clause::Execute => Some("cannot use subquery in EXECUTE parameter"),
            _ => None,
        }
    }
}

/// A table or system table by name.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Table(&'a std::sync::Arc<TableDef>),
    System { schema: String, columns: Vec<OutputColumn> },
}

impl Found<'_> {
    /// Its columns.
    pub(super) fn columns(&self, _analyzer: &Analyzer<'_>) -> Vec<OutputColumn> {
        match self {
            Found::Table(table) => table_columns(table),
            Found::System { columns, .. } => columns.clone(),
        }
    }
}

/// The columns of a table as a relation's.
pub(super) fn table_columns(table: &TableDef) -> Vec<OutputColumn> {
    defined_columns(&table.columns)
}

/// Columns of a definition, as those of its rows.
pub(super) fn defined_columns(columns: &[tuplix_catalog::ColumnDef]) -> Vec<OutputColumn> {
    let column = |column: &tuplix_catalog::ColumnDef| OutputColumn {
        name: column.name.clone(),
        ty: column.ty,
        typmod: column.typmod,
    };
    columns.iter().map(column).collect()
}

impl ScopeItem {
    /// An item whose columns are those of a relation.
    pub(super) fn of_relation(name: &str, relation: RelationId, columns: &[OutputColumn]) -> ScopeItem {
        let column = |(index, column): (usize, &OutputColumn)| ScopeColumn {
            name: column.name.clone(),
            value: Expr {
                kind: ExprKind::Column { relation, column: index },
                ty: column.ty,
                typmod: column.typmod,
                position: None,
            },
        };
        ScopeItem {
            name: Some(name.to_owned()),
            schema: None,
            columns: columns.iter().enumerate().map(column).collect(),
            relation: Some(relation),
            bare_columns: true,
            named: true,
            scalar: false,
            table_oid: None,
        }
    }

    /// The system column `tableoid`; NULL in a row that an outer join made up, where the first column, which is never
    /// NULL in a system table, is NULL.
    pub(super) fn table_oid_column(&self) -> Option<Expr> {
        let oid = Expr::constant(Value::Oid(self.table_oid?), TypeId::OID);
        let first = Box::new(self.columns.first()?.value.clone());
        let exists = Expr::new(ExprKind::IsNull { argument: first, negated: true }, TypeId::BOOL);
        let case = ExprKind::Case { operand: None, arms: vec![(exists, oid)], otherwise: None };
        Some(Expr::new(case, TypeId::OID))
    }
}

impl<'a> Analyzer<'a> {
    /// The current query level.
    pub(super) fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// The clause being analysed.
    pub(super) fn clause(&self) -> Clause {
        self.scopes.last().map_or(Clause::Target, |scope| scope.clause)
    }

    /// Runs `work` inside a clause of the current query.
    pub(super) fn in_clause<T>(
        &mut self,
        clause: Clause,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.scope().clause, clause);
        let result = work(self);
        self.scope().clause = before;
        result
    }

    /// Runs `work` inside a new query level and hands that level back.
    pub(super) fn in_scope<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<(T, Scope)> {
        self.scopes.push(Scope::default());
        let depth = self.scopes.len();
        let result = work(self);
        self.scopes.truncate(depth);
        let scope = self.scopes.pop().unwrap_or_default();
        result.map(|value| (value, scope))
    }

    /// The table, system table of that name.
    ///
    /// # Errors
    /// 42P01 `relation "x" does not exist`.
    pub(super) fn find_relation(
        &self,
        schema: Option<&str>,
        name: &str,
        position: Option<u32>,
    ) -> Result<Found<'a>> {
        if schema.is_none()
            && let Some(columns) = &self.copy_source
            && name == crate::plan::COPY_SOURCE
        {
            return Ok(Found::System { schema: String::new(), columns: columns.clone() });
        }
        if schema.is_none()
            && let Some(columns) = self.context.system.columns("", name)
        {
            // A transition table of the trigger whose function this is.
            return Ok(Found::System { schema: String::new(), columns });
        }
        let found = match schema {
            Some(schema) => self.relation_in(self.context.temporary_schema(schema), name),
            None => {
                let path = self.search_path();
                let listed = path.iter().any(|schema| schema == "pg_catalog");
                let first = (!listed).then_some("pg_catalog");
                first
                    .into_iter()
                    .chain(path.iter().map(String::as_str))
                    .find_map(|schema| self.relation_on_path(schema, name))
            }
        };
        found.ok_or_else(|| {
            let shown = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
            SqlError::new(sqlstate::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"))
                .at(position)
        })
    }

    fn relation_on_path(&self, schema: &str, name: &str) -> Option<Found<'a>> {
        self.relation_in(schema, name).filter(|found| match found {
            Found::Table(_) => true,
            Found::System { schema, .. } => !self.context.system.qualified_only(schema),
        })
    }

    fn relation_in(&self, schema: &str, name: &str) -> Option<Found<'a>> {
        if let Some(table) = self.context.catalog.table_named(schema, name) {
            return Some(Found::Table(table));
        }
        if self.context.catalog.sequence_named(schema, name).is_some() {
            let columns = super::sequence::relation_columns();
            return Some(Found::System { schema: schema.to_owned(), columns });
        }
        let columns = self.context.system.columns(schema, name)?;
        Some(Found::System { schema: schema.to_owned(), columns })
    }

    /// The id of a table's index by constraint name.
    pub(super) fn constraint_index(table: &TableDef, name: &str) -> Option<IndexId> {
        table.indexes.iter().find(|index| index.name == name).map(|index| index.id)
    }

    /// Where a schema-qualified type name such as `regclass` text points.
    pub(super) fn relation_oid(&self, text: &str) -> Option<u32> {
        let names = split_identifier(text)?;
        let (schema, name) = match &names[..] {
            [name] => (None, name.as_str()),
            [schema, name] => (Some(schema.as_str()), name.as_str()),
            _ => return None,
        };
        match self.find_relation(schema, name, None) {
            Ok(Found::Table(table)) => Some(table.id.0),
            Ok(Found::System { schema, .. }) => match self.context.catalog.sequence_named(&schema, name) {
                Some(sequence) => Some(sequence.id.0),
                None => self.context.system.oid(&schema, name),
            },
            Err(_) => {
                let path = self.search_path();
                let mut schemas: Vec<&str> = path.iter().map(String::as_str).collect();
                if let Some(schema) = schema {
                    schemas = vec![schema];
                }
                schemas.into_iter().find_map(|schema| {
                    let composite = self.context.catalog.user_type_named(schema, name);
                    if let Some(composite) = composite.filter(|ty| ty.id.is_composite()) {
                        return Some(composite.id.object());
                    }
                    let table = self.context.catalog.table_of_index(schema, name)?;
                    Analyzer::constraint_index(table, name).map(|index| index.0)
                })
            }
        }
    }

    /// The type of a relation's rows: a table's has a name.
    fn row_type(&self, relation: crate::plan::RelationId) -> TypeId {
        let table = self.origin(relation).table.and_then(|table| self.context.catalog.table(table));
        table.map_or(TypeId::RECORD, |table| table.row_type())
    }

    /// The type of the value that a whole-row reference of `item` gives.
    pub(super) fn whole_row(&self, item: &ScopeItem) -> Expr {
        match (item.relation, &item.columns[..]) {
            (_, [only]) if item.scalar => only.value.clone(),
            (Some(relation), _) => Expr::new(ExprKind::WholeRow(relation), self.row_type(relation)),
            (None, columns) => {
                let fields = columns.iter().map(|column| column.value.clone()).collect();
                Expr::new(ExprKind::Row(fields), TypeId::RECORD)
            }
        }
    }
}

/// The parts of a dotted name, folded to lower case unless quoted (`SplitIdentifierString`).
pub(super) fn split_identifier(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut tail = quoted;
            loop {
                let end = tail.find('"')?;
                part.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                match tail.strip_prefix('"') {
                    Some(more) => {
                        part.push('"');
                        tail = more;
                    }
                    None => break,
                }
            }
            (part, tail)
        } else {
            let end = rest.find(|c: char| c == '.' || c.is_whitespace()).unwrap_or(rest.len());
            (rest[..end].to_lowercase(), &rest[end..])
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        let after = after.trim_start();
        match after.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if after.is_empty() => return Some(parts),
            None => return None,
        }
    }
}
