//! The objects of a catalogue, as plain data.

use serde::{Deserialize, Serialize};
use tuplix_types::TypeId;

use crate::{ForeignKeyDef, Identity, RowSecurity, TriggerDef};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);
    };
}

id! {
    /// A table's object id.
    TableId
}
id! {
    /// An index's object id.
    IndexId
}
id! {
    /// A function's object id.
    FunctionId
}

/// A schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaDef {
    /// Object id.
    pub oid: u32,
    /// Name.
    pub name: String,
}

/// Where the rows of a table live in Citus's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Whole, in a partition of its own: a table nobody distributed.
    Local,
    /// Whole, readable from every partition, written with all of them latched.
    Reference,
    /// By the bucket in an integer column.
    Hash {
        /// The distribution column's position.
        column: usize,
    },
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableDef {
    /// Object id.
    pub id: TableId,
    /// Schema name.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Columns by position.
    pub columns: Vec<ColumnDef>,
    /// Indexes, those of constraints too.
    pub indexes: Vec<IndexDef>,
    /// CHECK constraints.
    pub checks: Vec<CheckDef>,
    /// Where its rows live.
    pub distribution: Distribution,
    /// Foreign keys of this table to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKeyDef>,
    /// Triggers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerDef>,
    /// The query, when it is a view: it has no rows of its own then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<ViewDef>,
    /// What a temporary table's rows, or it itself, become when a transaction commits; `None`: it is not temporary.
    #[serde(default)]
    pub temporary: Option<OnCommit>,
    /// Storage parameters as `name=value`; nothing depends on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// DISABLE TRIGGER ALL: foreign keys of it and to it are not looked at when its rows change.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keys_off: bool,
    /// The query, when it is a materialized view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub materialized: Option<MaterializedDef>,
    /// Its full chunks leave memory with each checkpoint.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spooled: bool,
    /// Who sees and changes which of its rows.
    #[serde(default, skip_serializing_if = "RowSecurity::is_default")]
    pub row_security: RowSecurity,
    /// The numbers of dropped columns, rising: no other column ever gets them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<usize>,
}

/// What makes a table a materialized view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaterializedDef {
    /// Its query and what that names.
    pub definition: ViewDef,
    /// Whether it has the query's rows: WITH NO DATA says that it has not.
    pub populated: bool,
}

/// What makes a relation a view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewDef {
    /// The query as SQL text that means the same under every search path: relations and functions of users have their
    /// schemas, stars are written out. The columns' names are the relation's.
    pub query: String,
    /// What the query names.
    pub dependencies: Vec<Dependency>,
    /// WITH CHECK OPTION
    pub check_option: Option<CheckOption>,
    /// security_invoker: its tables are looked at as who asks, not as its owner.
    #[serde(default, skip_serializing_if = "is_false")]
    pub security_invoker: bool,
}

/// An object that a view's query names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependency {
    /// A table or view, and which of its columns.
    Relation(TableId, Vec<usize>),
    /// A function.
    Function(FunctionId),
}

/// Which rows a view lets in that it would not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOption {
    /// None that its own WHERE leaves out.
    Local,
    /// None that its own WHERE or that of a view below leaves out.
    Cascaded,
}

/// ON COMMIT of a temporary table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCommit {
    /// PRESERVE ROWS
    Preserve,
    /// DELETE ROWS
    Delete,
    /// DROP
    Drop,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: TypeId,
    /// PostgreSQL's type modifier (`varchar(10)` is 14), -1 for none.
    pub typmod: i32,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// DEFAULT as SQL text.
    pub default: Option<String>,
    /// GENERATED ... AS IDENTITY
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// GENERATED ALWAYS AS (expression) STORED, as SQL text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// ALTER COLUMN SET STATISTICS: how many common values and bounds ANALYZE looks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_target: Option<u32>,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckDef {
    /// Constraint name.
    pub name: String,
    /// The condition as SQL text.
    pub expression: String,
    /// Whether all rows keep it; NOT VALID says that old ones may not.
    #[serde(default = "yes")]
    pub valid: bool,
    /// Object id, from when something is said about it; 0 before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub oid: u32,
}

/// Whether a flag is not set.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Whether an object id is none.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(oid: &u32) -> bool {
    *oid == 0
}

/// What a log without the field means.
pub(crate) fn yes() -> bool {
    true
}

/// How an index finds rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexMethod {
    /// Equality only; what PRIMARY KEY and UNIQUE build.
    Hash,
    /// Ranges and order; what CREATE INDEX builds unless told otherwise.
    Ordered,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexDef {
    /// Object id.
    pub id: IndexId,
    /// Name, also of the constraint it stands for.
    pub name: String,
    /// How it finds rows.
    pub method: IndexMethod,
    /// Indexed columns in key order.
    pub columns: Vec<IndexColumn>,
    /// Whether two rows may not have the same key.
    pub unique: bool,
    /// Whether it is the primary key.
    pub primary: bool,
    /// Whether it stands for a PRIMARY KEY or UNIQUE constraint.
    pub constraint: bool,
    /// WHERE of a partial index, as SQL text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// INCLUDE: columns that it lists and that nothing is looked up by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub included: Vec<usize>,
    /// Storage parameters as `name=value`; nothing depends on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// A column of an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexColumn {
    /// The table column's position.
    pub column: usize,
    /// Descending order.
    pub descending: bool,
    /// NULLs before values.
    pub nulls_first: bool,
    /// An expression as SQL text in place of the column, whose position means nothing then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// An operator class that is not the type's own (`text_pattern_ops`): under the C collation it orders the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

/// In what language a function's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// SQL statements; the last one's result is the function's.
    Sql,
    /// PL/pgSQL.
    Plpgsql,
}

/// Whether calls with equal arguments may be folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionVolatility {
    /// Depends on its arguments only.
    Immutable,
    /// Fixed within a statement.
    Stable,
    /// May do anything.
    Volatile,
}

/// How an argument is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentMode {
    /// IN
    In,
    /// OUT
    Out,
    /// INOUT
    InOut,
    /// VARIADIC
    Variadic,
    /// A column of RETURNS TABLE
    Table,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArgumentDef {
    /// Name, empty when it has none.
    pub name: String,
    /// Type.
    pub ty: TypeId,
    /// How it is passed.
    pub mode: ArgumentMode,
    /// DEFAULT as SQL text.
    pub default: Option<String>,
}

/// A function or procedure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionDef {
    /// Object id.
    pub id: FunctionId,
    /// Schema name.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Grows with CREATE OR REPLACE; the log says which version wrote a row.
    pub version: u32,
    /// Arguments in order, OUT and TABLE ones too.
    pub arguments: Vec<ArgumentDef>,
    /// Declared result type; `RECORD` for several OUT or TABLE columns.
    pub returns: TypeId,
    /// RETURNS SETOF or TABLE.
    pub returns_set: bool,
    /// PROCEDURE rather than FUNCTION.
    pub is_procedure: bool,
    /// Body's language.
    pub language: Language,
    /// Body as written.
    pub body: String,
    /// Volatility.
    pub volatility: FunctionVolatility,
    /// NULL in, NULL out.
    pub strict: bool,
    /// Runs with the owner's rights.
    pub security_definer: bool,
    /// The input argument that names the bucket (create_distributed_function).
    pub distribution_argument: Option<usize>,
    /// SET: settings while it runs, as they are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<(String, String)>,
    /// What is said to planners.
    #[serde(default)]
    pub hints: FunctionHints,
}

/// COST, ROWS, PARALLEL and LEAKPROOF of a function: kept and shown, nothing depends on them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionHints {
    /// COST
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f32>,
    /// ROWS
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<f32>,
    /// PARALLEL: `safe`, `restricted` or `unsafe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<String>,
    /// LEAKPROOF
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leakproof: Option<bool>,
}

impl FunctionHints {
    /// These, and what they do not say as before.
    #[must_use]
    pub fn or(self, before: &FunctionHints) -> FunctionHints {
        FunctionHints {
            cost: self.cost.or(before.cost),
            rows: self.rows.or(before.rows),
            parallel: self.parallel.or_else(|| before.parallel.clone()),
            leakproof: self.leakproof.or(before.leakproof),
        }
    }
}

impl ColumnDef {
    /// A column that may be NULL and has no default.
    pub fn new(name: impl Into<String>, ty: TypeId, typmod: i32) -> ColumnDef {
        let name = name.into();
        ColumnDef {
            name,
            ty,
            typmod,
            not_null: false,
            default: None,
            identity: None,
            generated: None,
            statistics_target: None,
        }
    }
}

impl TableDef {
    /// An undistributed table of these columns and nothing else.
    pub fn new(
        id: TableId,
        schema: impl Into<String>,
        name: impl Into<String>,
        columns: Vec<ColumnDef>,
    ) -> TableDef {
        TableDef {
            id,
            schema: schema.into(),
            name: name.into(),
            columns,
            indexes: Vec::new(),
            checks: Vec::new(),
            distribution: Distribution::Local,
            foreign_keys: Vec::new(),
            triggers: Vec::new(),
            view: None,
            temporary: None,
            options: Vec::new(),
            keys_off: false,
            materialized: None,
            spooled: false,
            row_security: RowSecurity::default(),
            dropped: Vec::new(),
        }
    }

    /// The query of a view or materialized view.
    pub fn query(&self) -> Option<&ViewDef> {
        self.view.as_ref().or(self.materialized.as_ref().map(|made| &made.definition))
    }

    /// The position of the column of this name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The number of the column at a position: `pg_attribute.attnum`, which it keeps when others are dropped.
    pub fn number(&self, position: usize) -> usize {
        self.dropped.iter().fold(position + 1, |number, gone| number + usize::from(*gone <= number))
    }

    /// The position of the column with this number.
    pub fn position(&self, number: usize) -> Option<usize> {
        let before = self.dropped.iter().filter(|gone| **gone < number).count();
        let position = number.checked_sub(before + 1)?;
        (position < self.columns.len() && !self.dropped.contains(&number)).then_some(position)
    }

    /// Takes a column away for good.
    pub fn remove_column(&mut self, position: usize) {
        let number = self.number(position);
        self.columns.remove(position);
        self.dropped.push(number);
        self.dropped.sort_unstable();
    }

    /// How many columns it has had.
    pub fn columns_ever(&self) -> usize {
        self.columns.len() + self.dropped.len()
    }

    /// The primary key.
    pub fn primary_key(&self) -> Option<&IndexDef> {
        self.indexes.iter().find(|index| index.primary)
    }

    /// The index with this id.
    pub fn index(&self, id: IndexId) -> Option<&IndexDef> {
        self.indexes.iter().find(|index| index.id == id)
    }

    /// `schema.name`
    pub fn qualified_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

impl IndexColumn {
    /// A column in rising order, NULLs last.
    pub fn plain(column: usize) -> IndexColumn {
        IndexColumn { column, descending: false, nulls_first: false, expression: None, class: None }
    }
}

impl IndexDef {
    /// Whether it has every row under plain columns: what a foreign key may refer to.
    pub fn is_plain(&self) -> bool {
        self.predicate.is_none() && self.columns.iter().all(|column| column.expression.is_none())
    }
}

impl FunctionDef {
    /// The arguments that a caller passes.
    pub fn inputs(&self) -> impl Iterator<Item = &ArgumentDef> {
        self.arguments.iter().filter(|argument| {
            matches!(argument.mode, ArgumentMode::In | ArgumentMode::InOut | ArgumentMode::Variadic)
        })
    }

    /// The columns that a caller gets: OUT, INOUT and TABLE arguments.
    pub fn outputs(&self) -> impl Iterator<Item = &ArgumentDef> {
        self.arguments.iter().filter(|argument| {
            matches!(argument.mode, ArgumentMode::Out | ArgumentMode::InOut | ArgumentMode::Table)
        })
    }

    /// `name(type, type)`, as error messages write it.
    pub fn signature(&self) -> String {
        let types: Vec<String> = self.inputs().map(|argument| argument.ty.to_string()).collect();
        format!("{}({})", self.name, types.join(", "))
    }
}
