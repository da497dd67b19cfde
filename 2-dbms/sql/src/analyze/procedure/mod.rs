//! Function bodies: from the PL/pgSQL tree, or SQL text, to a [`Procedure`].
//!
//! Every expression and statement of SQL inside is analysed where it stands, with the variables that are visible
//! there. A record variable has the structure of what was last assigned to it in the order of the text
//! ([`super::variables::Shape`]); where ways with different structures meet, using its fields is refused.

mod assignments;
mod context;
mod cursors;
mod declarations;
mod embedded;
mod loops;
mod messages;
mod refusal;
mod sql_body;
mod statements;

use tuplix_catalog::{ArgumentMode, FunctionDef, Language, TableDef};
use tuplix_types::{Result, SqlError, TypeId};

use refusal::Refusal;

use super::variables::{Conflict, Namespace, Shape, Variables};
use super::{AnalyzeContext, nodes};
use crate::plan::{Block, Located, OutputColumn, PlStatement, Procedure, Variable};
use crate::plpgsql::{self, VariableConflict};

/// Analyses the body of a function or procedure of the catalogue.
///
/// # Errors
/// Those of PL/pgSQL, with the line as context. Errors of the SQL inside become part of the plan: reaching them raises
/// them. A function in SQL has all of its errors here.
pub fn analyze_procedure(context: &AnalyzeContext<'_>, function: &FunctionDef) -> Result<Procedure> {
    let binder = Binder::of_function(context, function);
    match function.language {
        Language::Plpgsql => {
            let body = plpgsql::parse_body(&function.body, &function.name)?;
            binder.plpgsql_body(&body)
        }
        Language::Sql => binder.sql_body(&function.body),
    }
}

/// The variables of a trigger's function beside NEW and OLD, in the order of its arguments.
const TRIGGER_VARIABLES: [(&str, TypeId); 10] = [
    ("tg_name", TypeId::NAME),
    ("tg_when", TypeId::TEXT),
    ("tg_level", TypeId::TEXT),
    ("tg_op", TypeId::TEXT),
    ("tg_relid", TypeId::OID),
    ("tg_relname", TypeId::NAME),
    ("tg_table_name", TypeId::NAME),
    ("tg_table_schema", TypeId::NAME),
    ("tg_nargs", TypeId::INT4),
    ("tg_argv", TypeId(1009)),
];

/// Analyses the body of a trigger's function for a table. Its arguments are NEW, OLD, then `TG_NAME`, `TG_WHEN`,
/// `TG_LEVEL`, `TG_OP`, `TG_RELID`, `TG_RELNAME`, `TG_TABLE_NAME`, `TG_TABLE_SCHEMA`, `TG_NARGS`, `TG_ARGV`.
///
/// # Errors
/// As [`analyze_procedure`].
pub fn analyze_trigger(
    context: &AnalyzeContext<'_>,
    function: &FunctionDef,
    table: &TableDef,
) -> Result<Procedure> {
    let body = plpgsql::parse_body(&function.body, &function.name)?;
    Binder::of_trigger(context, function, table).plpgsql_body(&body)
}

/// Analyses the block of a DO statement.
///
/// # Errors
/// As [`analyze_procedure`].
pub fn analyze_do(context: &AnalyzeContext<'_>, body: &str) -> Result<Procedure> {
    let parsed = plpgsql::parse_body(body, plpgsql::INLINE_NAME)?;
    Binder::new(context, plpgsql::INLINE_NAME.to_owned()).plpgsql_body(&parsed)
}

/// The state of one body's analysis.
struct Binder<'a> {
    context: &'a AnalyzeContext<'a>,
    function: Option<&'a FunctionDef>,
    signature: String,
    variables: Variables,
    /// The structure of each record variable wherever it is assigned to.
    structures: Vec<Shape>,
    /// The variables that may not be assigned to.
    constants: Vec<usize>,
    /// The cursor variables.
    cursors: std::collections::BTreeMap<usize, cursors::Cursor>,
    inputs: usize,
    outputs: Vec<usize>,
    found: usize,
    /// The type of RETURN's value; `VOID` for none.
    returns: TypeId,
    returns_set: bool,
    gives_void: bool,
    is_trigger: bool,
    columns: Vec<OutputColumn>,
    /// A function that returns `record`, called with a list of columns: it gives rows of them.
    listed: bool,
    place: Place,
}

/// Where in the text the binder is: what numbers statements and variables so that another binding finds them again.
#[derive(Clone, Copy, Default)]
struct Place {
    statement: u64,
    lists: u64,
    variables: u64,
}

impl Place {
    /// A number for a part of this place.
    fn part(self, kind: u64, number: u64) -> u64 {
        let mut mixed = self.statement.rotate_left(23) ^ kind.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ number).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed ^ (mixed >> 32)) | 1
    }
}

impl<'a> Binder<'a> {
    fn new(context: &'a AnalyzeContext<'a>, signature: String) -> Binder<'a> {
        let mut binder = Binder {
            context,
            function: None,
            signature,
            variables: Variables::default(),
            structures: Vec::new(),
            constants: Vec::new(),
            cursors: std::collections::BTreeMap::new(),
            inputs: 0,
            outputs: Vec::new(),
            found: 0,
            returns: TypeId::VOID,
            returns_set: false,
            gives_void: false,
            is_trigger: false,
            columns: Vec::new(),
            listed: false,
            place: Place::default(),
        };
        binder.variables.namespaces.push(Namespace::default());
        binder.found = binder.add_found();
        binder
    }

    fn of_function(context: &'a AnalyzeContext<'a>, function: &'a FunctionDef) -> Binder<'a> {
        let mut binder = Binder::new(context, function.signature());
        binder.variables = Variables::default();
        binder.structures.clear();
        binder.variables.namespaces.push(Namespace { label: Some(function.name.clone()), names: Vec::new() });
        binder.listed = lists_columns(context, function);
        // Input arguments first, then those that only go out: `$n` counts them as declared.
        let mut places: Vec<Option<usize>> = vec![None; function.arguments.len()];
        for inputs in [true, false] {
            for (index, argument) in function.arguments.iter().enumerate() {
                let is_input =
                    matches!(argument.mode, ArgumentMode::In | ArgumentMode::InOut | ArgumentMode::Variadic);
                if is_input == inputs {
                    let is_hidden = binder.listed && !is_input;
                    let name = if is_hidden { "" } else { &argument.name };
                    places[index] = Some(binder.add_variable(name, argument.ty, -1));
                }
            }
        }
        binder.inputs = function.inputs().count();
        binder.variables.parameters = places.iter().flatten().copied().collect();
        let is_output = |mode: ArgumentMode| {
            matches!(mode, ArgumentMode::Out | ArgumentMode::InOut | ArgumentMode::Table)
        };
        let outputs = function.arguments.iter().zip(&places).filter(|(argument, _)| is_output(argument.mode));
        binder.outputs = outputs.filter_map(|(_, place)| *place).filter(|_| !binder.listed).collect();
        binder.found = binder.add_found();
        binder.returns = function.returns;
        binder.returns_set = function.returns_set;
        binder.columns = result_columns(context, function);
        binder.function = Some(function);
        binder
    }

    fn of_trigger(
        context: &'a AnalyzeContext<'a>,
        function: &'a FunctionDef,
        table: &TableDef,
    ) -> Binder<'a> {
        let mut binder = Binder::new(context, function.signature());
        binder.variables = Variables::default();
        binder.structures.clear();
        binder.variables.namespaces.push(Namespace { label: Some(function.name.clone()), names: Vec::new() });
        for name in ["new", "old"] {
            binder.add_row(name, TypeId::RECORD, super::scope::table_columns(table));
        }
        for (name, ty) in TRIGGER_VARIABLES {
            binder.add_variable(name, ty, -1);
        }
        binder.inputs = binder.variables.list.len();
        binder.found = binder.add_found();
        binder.returns = TypeId::RECORD;
        binder.columns = vec![OutputColumn { name: function.name.clone(), ty: TypeId::RECORD, typmod: -1 }];
        binder.function = Some(function);
        binder.is_trigger = true;
        binder
    }

    fn add_found(&mut self) -> usize {
        self.add_variable("found", TypeId::BOOL, -1)
    }

    /// A new variable, in sight under its name unless that is empty.
    fn add_variable(&mut self, name: &str, ty: TypeId, typmod: i32) -> usize {
        let index = self.variables.list.len();
        let id = self.place.part(0, self.place.variables);
        self.place.variables += 1;
        self.variables.list.push(Variable {
            name: name.to_owned(),
            id,
            ty,
            typmod,
            not_null: false,
            fields: None,
        });
        self.variables.shapes.push(Shape::Unassigned);
        self.structures.push(Shape::Unassigned);
        if ty.is_composite()
            && let Some(fields) = self.context.catalog.row_fields(ty)
        {
            let columns = crate::analyze::create_type::outputs(fields);
            self.variables.list[index].fields = Some(columns.clone());
            self.variables.shapes[index] = Shape::Known(columns);
        }
        if !name.is_empty()
            && let Some(namespace) = self.variables.namespaces.last_mut()
        {
            namespace.names.push((name.to_owned(), index));
        }
        index
    }

    /// A new record variable of a fixed structure.
    fn add_row(&mut self, name: &str, ty: TypeId, columns: Vec<OutputColumn>) -> usize {
        let index = self.add_variable(name, ty, -1);
        self.variables.list[index].fields = Some(columns.clone());
        self.variables.shapes[index] = Shape::Known(columns);
        index
    }

    /// Whether a record variable was declared with its structure.
    fn is_row(&self, variable: usize) -> bool {
        self.variables.list[variable].fields.is_some()
    }

    fn plpgsql_body(mut self, body: &plpgsql::Body) -> Result<Procedure> {
        self.gives_void = self.returns == TypeId::VOID;
        self.variables.conflict = match body.variable_conflict {
            VariableConflict::Error => Conflict::Error,
            VariableConflict::UseVariable => Conflict::Variable,
            VariableConflict::UseColumn => Conflict::Column,
        };
        let line = body.block.line;
        let block = match self.block(&body.block) {
            Ok(block) => block,
            Err(Refusal::Whole(error)) => return Err(error),
            Err(Refusal::Reached(error)) => failing_block(line, error),
        };
        Ok(self.finish(block))
    }

    fn finish(mut self, body: Block) -> Procedure {
        for (variable, structure) in self.variables.list.iter_mut().zip(self.structures) {
            if let (None, Shape::Known(columns)) = (&variable.fields, structure) {
                variable.fields = Some(columns);
            }
        }
        Procedure {
            function: self.function.map(|function| function.id),
            signature: self.signature,
            variables: self.variables.list,
            inputs: self.inputs,
            returns_row: self.listed || self.returns.is_composite() && self.outputs.is_empty(),
            outputs: self.outputs,
            found: self.found,
            gives_void: self.gives_void,
            is_trigger: self.is_trigger,
            columns: self.columns,
            returns_set: self.returns_set,
            settings: self.function.map(|function| function.settings.clone()).unwrap_or_default(),
            body,
        }
    }

    /// The function, for what only functions have.
    fn is_procedure(&self) -> bool {
        self.function.is_none_or(|function| function.is_procedure)
    }
}

/// A block that cannot be entered.
fn failing_block(line: u32, error: SqlError) -> Block {
    let node = PlStatement::Fail { error, what: "statement block" };
    Block {
        label: None,
        initial: Vec::new(),
        statements: vec![Located { line, id: 0, node }],
        handlers: Vec::new(),
        error_variables: None,
    }
}

/// Whether the columns of a PL/pgSQL function are a call's list rather than its own.
fn lists_columns(context: &AnalyzeContext<'_>, function: &FunctionDef) -> bool {
    let base = || context.catalog.function(context.catalog.known_function(function.id));
    function.language == Language::Plpgsql
        && function.returns == TypeId::RECORD
        && function.id.is_special()
        && function.outputs().next().is_some()
        && base().is_some_and(|base| base.outputs().next().is_none())
}

/// What a call of the function gives.
fn result_columns(context: &AnalyzeContext<'_>, function: &FunctionDef) -> Vec<OutputColumn> {
    let mut columns: Vec<OutputColumn> = function
        .outputs()
        .enumerate()
        .map(|(index, argument)| OutputColumn {
            name: nodes::non_empty(&argument.name)
                .map_or_else(|| format!("column{}", index + 1), str::to_owned),
            ty: argument.ty,
            typmod: -1,
        })
        .collect();
    if columns.is_empty()
        && let Some(fields) = context.catalog.row_fields(function.returns)
    {
        return crate::analyze::create_type::outputs(fields);
    }
    if columns.is_empty() && function.returns != TypeId::VOID {
        columns.push(OutputColumn { name: function.name.clone(), ty: function.returns, typmod: -1 });
    }
    columns
}
