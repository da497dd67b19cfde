//! The analyzer: from the parse tree to the typed plan.
//!
//! ```text
//!   parser::ParsedStatement ──analyze_statement──> plan::Statement
//!   catalog::FunctionDef ────analyze_procedure──> plan::Procedure
//!   catalog::TableDef + text ─analyze_table_expression─> plan::Expr
//! ```
//!
//! It follows PostgreSQL's `parse_*.c` in order and wording: names are resolved through [`scope`], types through
//! `tuplix_functions`' rules and [`coerce`]; every error carries PostgreSQL's SQLSTATE, message and position. A
//! construct that is not analysed is refused with 0A000, never skipped.

mod alter;
mod alter_routine;
mod assign_part;
mod coerce;
mod columns;
mod comment;
mod copy;
mod copy_options;
mod create_function;
mod create_table;
mod create_table_as;
mod create_type;
mod current_of;
mod cursors;
mod ddl;
mod equal;
mod expression;
mod foreign_key;
mod from;
mod functions;
mod generated;
mod grouping;
mod grouping_sets;
mod inference;
mod insert;
mod join;
mod lock;
mod lockstep;
mod materialized;
mod merge;
mod nodes;
mod operators;
mod options;
mod ordered_sets;
mod parameters;
mod procedure;
mod records;
mod rights;
mod roles;
mod row_security;
mod rows;
mod sample;
mod scope;
mod search_cycle;
mod select;
mod sequence;
mod set_operation;
mod sort;
mod special;
mod subquery;
mod table;
mod targets;
#[cfg(test)]
mod tests;
mod text;
mod trigger;
mod types;
mod updatable;
mod update;
mod user_types;
mod utility;
mod vacuum;
mod variables;
mod views;
mod walk;
mod windows;
mod with;

use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_catalog::{Catalog, RoleId, TableId};
use tuplix_functions::Resolver;
use tuplix_types::{Result, SqlError, TypeId};

use crate::parser;
use crate::plan::{OutputColumn, Relation, RelationAccess, RelationId, Statement, StatementKind};
pub use create_type::check_domain;
pub use current_of::add_places;
pub use equal::same as same_expression;
use parameters::Parameters;
pub use procedure::{analyze_do, analyze_procedure, analyze_trigger};
use scope::Scope;
pub use table::{TableExpression, analyze_table_expression, located_table_expression};
pub use trigger::{analyze_trigger_condition, located_trigger_condition};
use user_types::CatalogTypes;
use variables::Variables;
pub use walk::map_columns;

/// The system tables: relations that the engine computes and that no catalogue lists.
pub trait SystemRelations {
    /// The columns of the system table of this schema and name.
    fn columns(&self, schema: &str, name: &str) -> Option<Vec<OutputColumn>>;

    /// The object id of the system table of this schema and name.
    fn oid(&self, _schema: &str, _name: &str) -> Option<u32> {
        None
    }

    /// Whether the system tables of a schema are found only under their full names, even if it is on the search path.
    fn qualified_only(&self, _schema: &str) -> bool {
        false
    }
}

/// No system tables at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSystemRelations;

impl SystemRelations for NoSystemRelations {
    fn columns(&self, _schema: &str, _name: &str) -> Option<Vec<OutputColumn>> {
        None
    }
}

/// What a statement is analysed against.
#[derive(Clone, Copy)]
pub struct AnalyzeContext<'a> {
    /// What exists.
    pub catalog: &'a Catalog,
    /// The schemas in which bare names are looked up, in order; `pg_catalog` comes before them unless listed.
    pub search_path: &'a [String],
    /// The engine's own tables.
    pub system: &'a dyn SystemRelations,
    /// Who runs it.
    pub reader: Reader,
    /// Set when what the analyzer makes depends on the role.
    pub role_matters: Option<&'a std::cell::Cell<bool>>,
}

/// As whom a statement is analysed: row-level security asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The role that runs it.
    pub role: RoleId,
    /// `row_security`: policies hide rows rather than fail the statement.
    pub row_security: bool,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader { role: RoleId::BOOTSTRAP, row_security: true }
    }
}

impl AnalyzeContext<'_> {
    /// The schema that a name means: `pg_temp` is the session's own, which is first on its path.
    fn temporary_schema<'s>(&'s self, schema: &'s str) -> &'s str {
        match self.search_path.first() {
            Some(first) if schema == "pg_temp" && first.starts_with("pg_temp_") => first,
            _ => schema,
        }
    }
}

/// Analyses one statement; positions, also those of its errors, are in its own text. `parameter_types` are those that the client declared; [`TypeId::UNKNOWN`] and missing
/// ones are inferred from where the parameter stands.
///
/// # Errors
/// What PostgreSQL reports at parse analysis; 0A000 for what is not supported.
pub fn analyze_statement(
    context: &AnalyzeContext<'_>,
    parsed: &parser::ParsedStatement,
    parameter_types: &[TypeId],
) -> Result<Statement> {
    let mut analyzer = Analyzer::new(context, Some(Source { text: &parsed.text, offset: parsed.offset }));
    analyzer.parameters = Parameters::inferred(parameter_types);
    let kind = analyzer.statement(&parsed.node)?;
    analyzer.finish(kind)
}

/// The state of one statement's analysis.
struct Analyzer<'a> {
    context: &'a AnalyzeContext<'a>,
    types: CatalogTypes<'a>,
    /// The text that locations point into; `None` where they mean nothing to the client.
    source: Option<Source<'a>>,
    relations: Vec<Relation>,
    /// For each relation the query level that it belongs to, and its table.
    origins: Vec<Origin>,
    parameters: Parameters,
    /// The queries around the current place, innermost last.
    scopes: Vec<Scope>,
    next_cte: u32,
    /// The PL/pgSQL variables that are visible.
    variables: Option<&'a Variables>,
    /// Sequences of the columns defined so far.
    column_sequences: Vec<crate::plan::ColumnSequence>,
    /// The columns of subqueries' columns that are rows, where they are known.
    record_shapes: std::collections::BTreeMap<(RelationId, usize), Vec<OutputColumn>>,
    /// The views being read, outermost first.
    views: Vec<TableId>,
    /// The tables whose policies are being read, outermost first.
    policies: Vec<TableId>,
    /// As whom relations are looked at, innermost last; `None`: as who runs the statement.
    acting: Vec<Option<RoleId>>,
    /// Views that were read, with the relations inside of each.
    view_relations: Vec<(TableId, std::ops::Range<usize>)>,
    /// Set while CREATE VIEW is analysed.
    recorder: Option<views::Recorder>,
    /// Type and modifier of VALUE, in a domain's CHECK.
    domain_value: Option<(TypeId, i32)>,
    /// The column definition list of the FROM item under way.
    listed_columns: Option<Vec<OutputColumn>>,
    /// The columns of the client's rows, while COPY FROM is analysed.
    copy_source: Option<Vec<OutputColumn>>,
}

/// The text of a statement and where in the client's text it begins.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    text: &'a str,
    offset: usize,
}

/// Where a relation comes from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// Index in [`Analyzer::scopes`] of the query that lists it.
    level: usize,
    /// The table behind it.
    table: Option<TableId>,
}

impl<'a> Analyzer<'a> {
    fn new(context: &'a AnalyzeContext<'a>, source: Option<Source<'a>>) -> Analyzer<'a> {
        Analyzer {
            context,
            types: CatalogTypes(context.catalog),
            source,
            relations: Vec::new(),
            origins: Vec::new(),
            parameters: Parameters::none(),
            scopes: Vec::new(),
            next_cte: 0,
            variables: None,
            column_sequences: Vec::new(),
            record_shapes: std::collections::BTreeMap::new(),
            views: Vec::new(),
            policies: Vec::new(),
            acting: Vec::new(),
            view_relations: Vec::new(),
            recorder: None,
            domain_value: None,
            listed_columns: None,
            copy_source: None,
        }
    }

    /// PostgreSQL's resolution rules over the types that exist.
    fn resolver(&self) -> Resolver<'_> {
        Resolver::new(&self.types)
    }

    /// The position in the statement's own text of a location in the parse tree, in characters from 1.
    fn at(&self, location: i32) -> Option<u32> {
        let location = usize::try_from(location).ok()?;
        let Source { text, offset } = self.source?;
        Some(parser::position(text, location.checked_sub(offset)?))
    }

    /// The refusal of a construct that PostgreSQL has and this analyzer has not.
    fn unsupported(&self, what: impl std::fmt::Display, location: i32) -> SqlError {
        SqlError::unsupported(what).at(self.at(location))
    }

    /// A new relation of the current query.
    fn add_relation(&mut self, name: &str, columns: Vec<OutputColumn>, table: Option<TableId>) -> RelationId {
        let id = RelationId(u32::try_from(self.relations.len()).unwrap_or(u32::MAX));
        let role = self.acting_role();
        let access =
            table.map(|table| Box::new(RelationAccess { table, role, through: Vec::new(), security: None }));
        self.relations.push(Relation { name: name.to_owned(), columns, access });
        self.origins.push(Origin { level: self.scopes.len().saturating_sub(1), table });
        id
    }

    /// Goes on with the relations of a statement analysed before.
    fn adopt_relations(&mut self, relations: Vec<Relation>) {
        self.origins = vec![Origin { level: 0, table: None }; relations.len()];
        self.relations = relations;
    }

    fn relation(&self, id: RelationId) -> &Relation {
        &self.relations[id.0 as usize]
    }

    fn origin(&self, id: RelationId) -> Origin {
        self.origins[id.0 as usize]
    }

    fn statement(&mut self, node: &NodeEnum) -> Result<StatementKind> {
        match node {
            NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_) => {
                if let NodeEnum::SelectStmt(select) = node
                    && let Some(ddl) = self.select_into(select)?
                {
                    return Ok(StatementKind::Ddl(Box::new(ddl)));
                }
                let query = self.query(node)?;
                Ok(StatementKind::Query(Box::new(query)))
            }
            other => match self.ddl(other)? {
                Some(ddl) => Ok(StatementKind::Ddl(Box::new(ddl))),
                None => self.utility(other),
            },
        }
    }

    fn finish(self, kind: StatementKind) -> Result<Statement> {
        let parameters = self.parameters.settle()?;
        Ok(Statement { kind, parameters, relations: self.relations })
    }
}
