//! The tables of functions, operators and casts, joined from PostgreSQL's catalogue and our code.
//!
//! `catalog/*.tsv` holds what PostgreSQL 15 knows of every function, operator and cast over the types
//! that Tuplix has (`catalog/extract.sql` writes them). `crate::builtin` maps `pg_proc.prosrc` symbols
//! to code. Functions without code stay in the table, so that resolution picks what PostgreSQL
//! would pick and then refuses it by name instead of silently picking something else.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tuplix_types::{Result, Row, TypeId, Value};

use crate::CallContext;

/// The code of a scalar function. Arguments have the declared types; for a strict function the
/// caller answers NULL itself when one of them is NULL.
pub type ScalarFn = fn(&mut CallContext<'_>, &[Value]) -> Result<Value>;

/// The code of a set-returning function.
pub type SetFn = fn(&mut CallContext<'_>, &[Value]) -> Result<Box<dyn SetRows>>;

/// The rows of a set-returning function, one at a time. It owns all it needs.
pub trait SetRows: Send {
    /// Replaces `row` by the next row; false when there is none.
    fn next(&mut self, row: &mut Row) -> Result<bool>;
}

/// When a function may be evaluated ahead of time (manual chapter 38.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// Same arguments, same result, forever.
    Immutable,
    /// Same result within one statement.
    Stable,
    /// Must be called each time.
    Volatile,
}

/// What kind of function it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// A function of one row's values.
    Scalar,
    /// A function of many rows: see [`crate::Aggregate`].
    Aggregate,
    /// A window function: the executor knows it by its symbol.
    Window,
}

/// A built-in function.
#[derive(Clone)]
pub struct Function {
    /// `pg_proc.oid`
    pub oid: u32,
    /// Name in SQL.
    pub name: &'static str,
    /// `pg_proc.prosrc`, such as `int4pl`; executors specialise by it. Functions that PostgreSQL writes
    /// in SQL are named by name and argument types: `lpad_text_int4`.
    pub symbol: &'static str,
    /// Kind of function.
    pub kind: FunctionKind,
    /// Declared argument types.
    pub args: &'static [TypeId],
    /// Argument names, empty when it has none.
    pub arg_names: &'static [&'static str],
    /// How many of the last arguments may be left out.
    pub defaults: usize,
    /// Whether the last argument takes any number of values: an array of them, or each by itself for `"any"`.
    pub variadic: bool,
    /// Declared result type.
    pub result: TypeId,
    /// Names and types of the result's columns, for functions with `OUT` arguments.
    pub columns: &'static [(&'static str, TypeId)],
    /// Whether a NULL argument makes the result NULL without a call.
    pub strict: bool,
    /// When it may be evaluated ahead of time.
    pub volatility: Volatility,
    /// Whether it returns a set, even one that is not implemented.
    pub returns_set: bool,
    /// Its code; refuses when there is none.
    pub call: ScalarFn,
    /// Its code when it returns a set.
    pub set_returning: Option<SetFn>,
    /// Whether there is code at all: here, or in the engine.
    pub implemented: bool,
    /// Whether the engine must run it ([`crate::SessionInfo::call_engine`]) because it needs the engine's state.
    pub engine: bool,
}

impl Function {
    /// Whether the code reads [`CallContext::arg_types`] or [`CallContext::result_type`].
    pub fn reads_types(&self) -> bool {
        self.args.iter().any(|a| *a == TypeId::ANY || crate::type_info::is_polymorphic(*a))
            || crate::type_info::is_polymorphic(self.result)
    }

    /// `name(type, type)`, as messages show it.
    pub fn signature(&self) -> String {
        let args: Vec<String> = self.args.iter().map(ToString::to_string).collect();
        format!("{}({})", self.name, args.join(", "))
    }

    /// The value of a left-out argument (PostgreSQL's `pg_proc.proargdefaults`).
    pub fn default_value(&self, argument: usize) -> Value {
        crate::builtin::default_value(self.symbol, argument)
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.signature())
    }
}

/// A built-in operator.
#[derive(Debug)]
pub struct Operator {
    /// `pg_operator.oid`
    pub oid: u32,
    /// Its name: `+`, `~~*`.
    pub name: &'static str,
    /// Type of the left operand, `None` for a prefix operator.
    pub left: Option<TypeId>,
    /// Type of the right operand.
    pub right: TypeId,
    /// Type of the result.
    pub result: TypeId,
    /// The function behind it.
    pub function: &'static Function,
    /// `pg_operator.oid` of the operator with operands swapped, 0 when there is none.
    pub commutator: u32,
    /// `pg_operator.oid` of the operator with the opposite answer, 0 when there is none.
    pub negator: u32,
}

/// Where a cast may happen without being written, weakest demand first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// In assignments to columns and variables.
    Assignment,
    /// Only where written.
    Explicit,
}

/// How a cast is done.
#[derive(Clone, Copy, Debug)]
pub enum CastMethod {
    /// Nothing to do: the values have one representation.
    Binary,
    /// By a function; one with two or three arguments also takes the type modifier and whether the cast was written.
    Function(&'static Function),
    /// Through the text form: output of the one, input of the other.
    InOut,
    /// Element by element, each as [`crate::find_cast`] says for the element types.
    Array,
}

/// A cast between two types.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// Type before.
    pub from: TypeId,
    /// Type after.
    pub to: TypeId,
    /// Where it may happen.
    pub context: CastContext,
    /// How it is done.
    pub method: CastMethod,
}

/// Every function, in the order of object ids.
static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let code = crate::builtin::implementations();
    // PostgreSQL's, then ours: distribution in Citus's words.
    let lines = include_str!("../catalog/pg_proc.tsv")
        .lines()
        .chain(include_str!("../catalog/tuplix_proc.tsv").lines());
    let mut functions: Vec<Function> = lines.map(|line| read_function(line, &code)).collect();
    functions.sort_by_key(|function| function.oid);
    functions
});

static BY_NAME: LazyLock<BTreeMap<&'static str, Vec<&'static Function>>> = LazyLock::new(|| {
    let mut map: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for function in FUNCTIONS.iter() {
        map.entry(function.name).or_default().push(function);
    }
    map
});

/// Whether PostgreSQL has functions of this name, and Tuplix none: they speak in types that are not there.
pub(crate) fn is_left_out(name: &str) -> bool {
    include_str!("../catalog/left_out.txt").lines().any(|line| line == name)
}

static BY_SYMBOL: LazyLock<BTreeMap<&'static str, &'static Function>> =
    LazyLock::new(|| FUNCTIONS.iter().rev().map(|function| (function.symbol, function)).collect());

static OPERATORS: LazyLock<Vec<Operator>> =
    LazyLock::new(|| include_str!("../catalog/pg_operator.tsv").lines().map(read_operator).collect());

static OPERATORS_BY_NAME: LazyLock<BTreeMap<&'static str, Vec<&'static Operator>>> = LazyLock::new(|| {
    let mut map: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for operator in OPERATORS.iter() {
        map.entry(operator.name).or_default().push(operator);
    }
    map
});

static CASTS: LazyLock<BTreeMap<(TypeId, TypeId), Cast>> = LazyLock::new(|| {
    include_str!("../catalog/pg_cast.tsv")
        .lines()
        .map(read_cast)
        .map(|cast| ((cast.from, cast.to), cast))
        .collect()
});

fn number(field: &str) -> u32 {
    field.parse().expect("catalog: a number")
}

fn leak<T>(items: Vec<T>) -> &'static [T] {
    Vec::leak(items)
}

fn type_list(field: &str) -> &'static [TypeId] {
    leak(field.split(',').filter(|f| !f.is_empty()).map(|f| TypeId(number(f))).collect())
}

fn read_function(line: &'static str, code: &crate::builtin::Implementations) -> Function {
    let f: Vec<&'static str> = line.split('\t').collect();
    let symbol = f[2];
    let kind = match f[3] {
        "a" => FunctionKind::Aggregate,
        "w" => FunctionKind::Window,
        _ => FunctionKind::Scalar,
    };
    let columns =
        f[10].split(',').filter_map(|c| c.rsplit_once(':')).map(|(name, oid)| (name, TypeId(number(oid))));
    let returns_set = f[6] == "r";
    let scalar = code.scalar.get(symbol).copied();
    let set_returning = code.sets.get(symbol).copied();
    let engine = kind == FunctionKind::Scalar && code.engine.contains(symbol);
    let implemented = match kind {
        FunctionKind::Scalar => {
            engine || if returns_set { set_returning.is_some() } else { scalar.is_some() }
        }
        FunctionKind::Aggregate => crate::aggregate::find(symbol).is_some(),
        FunctionKind::Window => true,
    };
    Function {
        oid: number(f[0]),
        name: f[1],
        symbol,
        kind,
        strict: f[4] == "s",
        volatility: match f[5] {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            _ => Volatility::Volatile,
        },
        returns_set,
        variadic: f[7] == "v",
        result: TypeId(number(f[8])),
        args: type_list(f[9]),
        columns: leak(columns.collect()),
        arg_names: leak(if f[11].is_empty() { Vec::new() } else { f[11].split(',').collect() }),
        defaults: number(f[12]) as usize,
        call: scalar.unwrap_or(crate::builtin::refuse),
        set_returning,
        implemented,
        engine,
    }
}

fn read_operator(line: &'static str) -> Operator {
    let f: Vec<&'static str> = line.split('\t').collect();
    Operator {
        oid: number(f[0]),
        name: f[1],
        left: Some(TypeId(number(f[2]))).filter(|id| id.0 != 0),
        right: TypeId(number(f[3])),
        result: TypeId(number(f[4])),
        function: lookup_function(number(f[5])).expect("pg_operator.tsv: a function of pg_proc.tsv"),
        commutator: number(f[6]),
        negator: number(f[7]),
    }
}

/// `integer` to `oid` and its kin and back; PostgreSQL has no functions for them.
static OID_CASTS: LazyLock<[Function; 3]> = LazyLock::new(|| {
    let code = crate::builtin::implementations();
    [
        "0\toid\tint4_oid\tf\ts\ti\t-\t-\t26\t23\t\t\t0\t",
        "0\tint4\toid_int4\tf\ts\ti\t-\t-\t23\t26\t\t\t0\t",
        "0\toid\tint2_oid\tf\ts\ti\t-\t-\t26\t21\t\t\t0\t",
    ]
    .map(|line| read_function(line, &code))
});

fn read_cast(line: &'static str) -> Cast {
    let f: Vec<&'static str> = line.split('\t').collect();
    Cast {
        from: TypeId(number(f[0])),
        to: TypeId(number(f[1])),
        context: match f[3] {
            "i" => CastContext::Implicit,
            "a" => CastContext::Assignment,
            _ => CastContext::Explicit,
        },
        method: match f[4] {
            // One representation in PostgreSQL, two in `Value`.
            "b" if f[0] == "23" => CastMethod::Function(&OID_CASTS[0]),
            "b" if f[1] == "23" => CastMethod::Function(&OID_CASTS[1]),
            "b" => CastMethod::Binary,
            // PostgreSQL's function from smallint makes an integer, and takes it for an oid.
            "f" if f[0] == "21" && f[2] == "313" && f[1] != "23" => CastMethod::Function(&OID_CASTS[2]),
            "i" => CastMethod::InOut,
            _ => CastMethod::Function(
                lookup_function(number(f[2])).expect("pg_cast.tsv: a function of pg_proc.tsv"),
            ),
        },
    }
}

/// Every built-in function in the order of object ids, also those that are refused when called.
pub fn functions() -> &'static [Function] {
    &FUNCTIONS
}

/// Every built-in operator in the order of object ids.
pub fn operators() -> &'static [Operator] {
    &OPERATORS
}

/// Every cast of `pg_cast`.
pub fn casts() -> impl Iterator<Item = &'static Cast> {
    CASTS.values()
}

/// The functions of a name.
pub fn functions_named(name: &str) -> &'static [&'static Function] {
    BY_NAME.get(name).map_or(&[], Vec::as_slice)
}

/// The operators of a name.
pub fn operators_named(name: &str) -> &'static [&'static Operator] {
    OPERATORS_BY_NAME.get(name).map_or(&[], Vec::as_slice)
}

/// The function with an object id.
pub fn lookup_function(oid: u32) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by_key(&oid, |f| f.oid).ok().map(|at| &FUNCTIONS[at])
}

/// The first function with this `pg_proc.prosrc`.
///
/// # Panics
/// When there is none: callers name symbols of the tables.
pub fn lookup_symbol(symbol: &str) -> &'static Function {
    find_symbol(symbol).unwrap_or_else(|| panic!("invariant: {symbol} is a built-in function"))
}

/// The first function with this `pg_proc.prosrc`, if there is one.
pub fn find_symbol(symbol: &str) -> Option<&'static Function> {
    BY_SYMBOL.get(symbol).copied()
}

/// The operator with an object id.
pub fn lookup_operator(oid: u32) -> Option<&'static Operator> {
    OPERATORS.binary_search_by_key(&oid, |o| o.oid).ok().map(|at| &OPERATORS[at])
}

/// The cast of `pg_cast` between two types.
pub(crate) fn listed_cast(from: TypeId, to: TypeId) -> Option<&'static Cast> {
    CASTS.get(&(from, to))
}
