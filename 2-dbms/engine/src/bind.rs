//! From text to compiled code: parser, analyzer and compiler in a row.

use std::cell::Cell;

use tuplix_catalog::TableDef;
use tuplix_machine::Machine;
use tuplix_sql::analyze::{
    AnalyzeContext, Reader, SystemRelations, TableExpression, add_places, analyze_statement,
    analyze_table_expression, analyze_trigger_condition,
};
use tuplix_sql::parser::{self, ParsedStatement};
use tuplix_sql::plan::{Expr, Relation, Statement};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use crate::exec::{CompileContext, CompiledStatement, compile_statement};
use crate::node::Schema;
use crate::statistics::Statistics;
use crate::system::SystemTables;

/// Binds text under one catalogue and search path.
pub struct Binder<'a> {
    schema: &'a Schema,
    search_path: &'a [String],
    system: &'a dyn SystemRelations,
    automatic: bool,
    reader: Reader,
    role_matters: Cell<bool>,
}

impl<'a> Binder<'a> {
    /// A binder.
    pub fn new(schema: &'a Schema, search_path: &'a [String]) -> Binder<'a> {
        Binder::with_system(schema, search_path, &SystemTables)
    }

    /// A binder that knows other relations than those of the catalogue and the system.
    pub fn with_system(
        schema: &'a Schema,
        search_path: &'a [String],
        system: &'a dyn SystemRelations,
    ) -> Binder<'a> {
        let (reader, role_matters) = (Reader::default(), Cell::new(false));
        Binder { schema, search_path, system, automatic: true, reader, role_matters }
    }

    /// Whether columns are sampled that nobody has analysed.
    pub(crate) fn automatic_statistics(self, automatic: bool) -> Binder<'a> {
        Binder { automatic, ..self }
    }

    /// As whom it binds: row-level security hides other rows from others.
    pub(crate) fn read_by(self, reader: Reader) -> Binder<'a> {
        Binder { reader, ..self }
    }

    /// The reader, when what was bound is good for it alone.
    pub(crate) fn bound_to(&self) -> Option<Reader> {
        self.role_matters.get().then_some(self.reader)
    }

    /// What the analyzer takes.
    pub fn context(&self) -> AnalyzeContext<'_> {
        AnalyzeContext {
            catalog: &self.schema.catalog,
            search_path: self.search_path,
            system: self.system,
            reader: self.reader,
            role_matters: Some(&self.role_matters),
        }
    }

    /// The typed plan of a statement.
    ///
    /// # Errors
    /// The analyzer's.
    pub fn analyze(&self, parsed: &ParsedStatement, types: &[TypeId]) -> Result<Statement> {
        analyze_statement(&self.context(), parsed, types)
    }

    /// Calls `compile` with what the compiler takes.
    pub fn with_compiler<T>(&self, compile: impl FnOnce(&CompileContext<'_>) -> T) -> T {
        self.compiler(None, compile)
    }

    /// The same for code that measures itself.
    pub fn with_measuring_compiler<T>(
        &self,
        machine: &Machine,
        compile: impl FnOnce(&CompileContext<'_>) -> T,
    ) -> T {
        self.compiler(Some(machine), compile)
    }

    fn compiler<T>(&self, measure: Option<&Machine>, compile: impl FnOnce(&CompileContext<'_>) -> T) -> T {
        let bind =
            |table: &TableDef, text: &str, kind: TableExpression| self.table_expression(table, text, kind);
        let condition =
            |table: &TableDef, text: &str| analyze_trigger_condition(&self.context(), table, text);
        compile(&CompileContext {
            catalog: &self.schema.catalog,
            layout: &self.schema.layout,
            bind_expression: &bind,
            bind_condition: &condition,
            statistics: Statistics {
                catalog: &self.schema.catalog,
                layout: &self.schema.layout,
                automatic: self.automatic,
            },
            measure,
        })
    }

    /// An expression that the catalogue keeps as text: a default, a check.
    ///
    /// # Errors
    /// The analyzer's: what the expression used may have been dropped.
    pub fn table_expression(
        &self,
        table: &TableDef,
        text: &str,
        kind: TableExpression,
    ) -> Result<(Expr, Vec<Relation>)> {
        analyze_table_expression(&self.context(), table, text, kind)
    }
}

/// Compiles the one statement in `text`; utility statements are refused.
///
/// # Errors
/// The parser's, analyzer's and compiler's; 42601 when there is not exactly one statement.
pub fn bind_statement(
    schema: &Schema,
    path: &[String],
    reader: Reader,
    text: &str,
    types: &[TypeId],
    for_cursor: bool,
) -> Result<(CompiledStatement, Option<Reader>)> {
    let mut parsed = parser::parse(text)?;
    let (Some(one), true) = (parsed.pop(), parsed.is_empty()) else {
        return Err(SqlError::new(sqlstate::SYNTAX_ERROR, "EXECUTE takes exactly one statement"));
    };
    let binder = Binder::new(schema, path).read_by(reader);
    let mut statement = binder.analyze(&one, types)?;
    let places = for_cursor.then(|| Box::new(add_places(&schema.catalog, &mut statement)));
    let mut compiled = binder.with_compiler(|compiler| compile_statement(compiler, &statement))?;
    compiled.places = places;
    Ok((compiled, binder.bound_to()))
}
