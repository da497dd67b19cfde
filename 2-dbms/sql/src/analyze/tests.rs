//! What statements mean: plans in short form, and PostgreSQL's errors.

#![allow(clippy::unwrap_used)]

mod data;
mod show;
mod show_procedure;

use tuplix_catalog::{
    Catalog, CatalogChange, FunctionDef, FunctionId, IndexDef, IndexId, IndexMethod, SchemaDef, TableDef,
    TableId,
};
use tuplix_types::{Result, SqlError, TypeId};

use super::*;
use crate::plan::{ConstraintKind, CreateFunction, CreateTable, Ddl, Statement, StatementKind};

/// The schema that the tests look at.
const SCHEMA: &str = "
    CREATE SCHEMA s;
    CREATE TABLE t (a int PRIMARY KEY, b text, c bigint NOT NULL DEFAULT 7, d boolean);
    CREATE TABLE u (a int, e numeric(10,2), f varchar(5), PRIMARY KEY (a));
    CREATE TABLE s.w (k int PRIMARY KEY, v jsonb, arr int[], ts timestamptz, UNIQUE (v));
    CREATE FUNCTION one(x int, y int DEFAULT 5) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN x; END';
    CREATE FUNCTION pair(x int, OUT p int, OUT q text) LANGUAGE plpgsql AS 'BEGIN END';
    CREATE FUNCTION rows(x int) RETURNS TABLE (p int, q text) LANGUAGE plpgsql AS 'BEGIN END';
    CREATE FUNCTION many(x int) RETURNS SETOF int LANGUAGE plpgsql AS 'BEGIN END';
    CREATE PROCEDURE work(x int, INOUT y int) LANGUAGE plpgsql AS 'BEGIN END';
";

pub(super) fn catalog(ddl: &str) -> Catalog {
    let mut catalog = Catalog::new();
    for parsed in parser::parse(ddl).unwrap() {
        let statement = in_context(&catalog, |context| analyze_statement(context, &parsed, &[])).unwrap();
        let StatementKind::Ddl(ddl) = statement.kind else { panic!("no DDL: {}", parsed.text) };
        let change = match *ddl {
            Ddl::CreateSchema { name, .. } => {
                CatalogChange::PutSchema(SchemaDef { oid: catalog.allocate_oid(), name })
            }
            Ddl::CreateTable(table) => CatalogChange::PutTable(table_def(&mut catalog, table)),
            Ddl::CreateFunction(function) => CatalogChange::PutFunction(function_def(&mut catalog, function)),
            other => panic!("{other:?}"),
        };
        catalog.apply(change);
    }
    catalog
}

pub(super) fn in_context<T>(catalog: &Catalog, work: impl FnOnce(&AnalyzeContext<'_>) -> T) -> T {
    let path = ["public".to_owned()];
    work(&AnalyzeContext {
        catalog,
        search_path: &path,
        system: &NoSystemRelations,
        reader: Default::default(),
        role_matters: None,
    })
}

fn table_def(catalog: &mut Catalog, table: CreateTable) -> TableDef {
    let mut def = TableDef {
        view: None,
        id: TableId(catalog.allocate_oid()),
        schema: table.name.schema.unwrap_or_else(|| "public".to_owned()),
        name: table.name.name,
        columns: table.columns,
        indexes: Vec::new(),
        checks: Vec::new(),
        distribution: tuplix_catalog::Distribution::Local,
        foreign_keys: Vec::new(),
        triggers: Vec::new(),
        temporary: None,
        options: Vec::new(),
        keys_off: false,
        materialized: None,
        spooled: false,
        row_security: Default::default(),
        dropped: Vec::new(),
    };
    for constraint in table.constraints {
        let (keys, primary) = match constraint.kind {
            ConstraintKind::PrimaryKey(keys) => (keys, true),
            ConstraintKind::Unique(keys) => (keys, false),
            ConstraintKind::Check { .. }
            | ConstraintKind::ForeignKey(_)
            | ConstraintKind::UsingIndex { .. } => continue,
        };
        let column = |key: &String| tuplix_catalog::IndexColumn::plain(def.column(key).unwrap());
        let columns = keys.iter().map(column).collect();
        let suffix = if primary { "pkey" } else { "key" };
        def.indexes.push(IndexDef {
            id: IndexId(catalog.allocate_oid()),
            name: format!("{}_{suffix}", def.name),
            method: IndexMethod::Hash,
            columns,
            unique: true,
            primary,
            constraint: true,
            predicate: None,
            included: Vec::new(),
            options: Vec::new(),
        });
    }
    def
}

fn function_def(catalog: &mut Catalog, function: CreateFunction) -> FunctionDef {
    FunctionDef {
        id: FunctionId(catalog.allocate_oid()),
        schema: function.name.schema.unwrap_or_else(|| "public".to_owned()),
        name: function.name.name,
        version: 1,
        arguments: function.arguments,
        returns: function.returns,
        returns_set: function.returns_set,
        is_procedure: function.is_procedure,
        language: function.language,
        body: function.body,
        volatility: function.volatility,
        strict: function.strict,
        security_definer: function.security_definer,
        distribution_argument: None,
        settings: Vec::new(),
        hints: function.hints,
    }
}

fn analyze(catalog: &Catalog, sql: &str) -> Result<Statement> {
    let parsed = parser::parse(sql)?;
    let types: &[TypeId] = &[];
    in_context(catalog, |context| analyze_statement(context, parsed.first().unwrap(), types))
}

/// An error as one line: SQLSTATE, message, and what else it has.
pub(super) fn error_text(error: &SqlError) -> String {
    let fields = error.fields();
    let mut text = format!("ERROR {} {}", fields.sqlstate, fields.message);
    if let Some(position) = fields.position {
        text.push_str(&format!(" @{position}"));
    }
    if let Some(detail) = &fields.detail {
        text.push_str(&format!(" DETAIL {detail}"));
    }
    if let Some(hint) = &fields.hint {
        text.push_str(&format!(" HINT {hint}"));
    }
    text
}

/// What each statement of the data files means; `UPDATE_EXPECT=1` rewrites the files.
#[test]
fn statements() {
    let catalog = catalog(SCHEMA);
    for file in ["statements.txt", "more.txt"] {
        data::check_file(file, |sql| {
            let text = match analyze(&catalog, sql) {
                Ok(statement) => show::statement(&statement),
                Err(error) => error_text(&error),
            };
            catalog.name_types(&text, None).unwrap_or(text)
        });
    }
}

/// What each function of a data file means.
#[test]
fn procedures() {
    let catalog = catalog(SCHEMA);
    let bind = |sql: &str| -> Result<String> {
        let statement = analyze(&catalog, sql)?;
        let function = match statement.kind {
            StatementKind::Do { body } => {
                let procedure = in_context(&catalog, |context| analyze_do(context, &body))?;
                return Ok(show_procedure::procedure(&procedure));
            }
            StatementKind::Ddl(ddl) => match *ddl {
                Ddl::CreateFunction(function) => function_def(&mut Catalog::new(), function),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        let procedure = in_context(&catalog, |context| analyze_procedure(context, &function))?;
        Ok(show_procedure::procedure(&procedure))
    };
    data::check_file("procedures.txt", |sql| {
        let text = match bind(sql) {
            Ok(text) => text,
            Err(error) => {
                let context = error.fields().context.clone().unwrap_or_default();
                format!("{}\n{context}", error_text(&error))
            }
        };
        catalog.name_types(&text, None).unwrap_or(text)
    });
}

/// Statements with a word (every third in turn) left out, doubled or moved are analysed or refused, and never panic.
#[test]
fn broken_statements() {
    let catalog = catalog(SCHEMA);
    let bind = |sql: &str| -> Result<()> {
        for parsed in parser::parse(sql)? {
            let statement = in_context(&catalog, |context| analyze_statement(context, &parsed, &[]))?;
            if let StatementKind::Ddl(ddl) = statement.kind
                && let Ddl::CreateFunction(function) = *ddl
            {
                let function = function_def(&mut Catalog::new(), function);
                in_context(&catalog, |context| analyze_procedure(context, &function))?;
            }
        }
        Ok(())
    };
    let (mut fine, mut refused) = (0, 0);
    for file in ["statements.txt", "more.txt", "procedures.txt"] {
        for sql in data::statements(file) {
            let words: Vec<&str> = sql.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_').collect();
            for at in (0..words.len()).step_by(3) {
                let mut without = words.clone();
                let word = without.remove(at);
                let mut moved = without.clone();
                moved.insert((at + 2).min(without.len()), word);
                let mut doubled = words.clone();
                doubled.insert(at, word);
                for broken in [without.concat(), moved.concat(), doubled.concat()] {
                    match bind(&broken) {
                        Ok(()) => fine += 1,
                        Err(error) => {
                            refused += 1;
                            let internal = error.sqlstate() == tuplix_types::sqlstate::INTERNAL_ERROR;
                            assert!(!internal, "{broken}: {error:?}");
                        }
                    }
                }
            }
        }
    }
    assert!(fine > 100 && refused > 100, "{fine} {refused}");
}
