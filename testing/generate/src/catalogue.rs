//! What the engine can call, by the type of the result: read from its own catalogue, so that a function is generated as
//! soon as it is there.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tuplix_functions::{FunctionKind, Volatility, functions, is_polymorphic, operators};
use tuplix_types::TypeId;

/// How a call is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `name(a, b)`
    Function,
    /// `name(a, VARIADIC "any")`
    Variadic,
    /// `a op b` or `op a`
    Operator,
    /// An aggregate function.
    Aggregate,
}

/// A function, operator or aggregate.
#[derive(Clone, Debug)]
pub struct Callable {
    /// How it is written.
    pub form: Form,
    /// Its name, quoted.
    pub name: String,
    /// Types of its arguments, maybe polymorphic.
    pub args: &'static [TypeId],
    /// Type of its result, maybe polymorphic.
    pub result: TypeId,
    /// Whether the last argument is an array after VARIADIC.
    pub is_variadic: bool,
    /// An operator's operands.
    operands: Vec<TypeId>,
}

/// Callables by result.
#[derive(Debug, Default)]
pub struct Catalogue {
    by_result: BTreeMap<TypeId, Vec<Callable>>,
    aggregates: BTreeMap<TypeId, Vec<Callable>>,
    sets: Vec<Callable>,
}

/// Whose results depend on time, place or session, or that spend time or memory as their arguments say.
const LEFT_OUT: &[&str] = &[
    "age",
    "set_config",
    "current_setting",
    "to_regclass",
    "version",
    "format_type",
    "repeat",
    "factorial",
    "array_fill",
    "generate_series",
    "txid_current",
    "obj_description",
    "col_description",
    "setseed",
    "nextval",
    "setval",
    "lpad",
    "rpad",
    "quote_nullable",
    "unnest",
    "lo_get",
    "gen_random_uuid",
    "timezone",
    // PostgreSQL 15's overflows without a word.
    "make_interval",
    "hash_array",
    "hash_array_extended",
];

/// Their results differ in the last digit from one mathematical library to the next, or by the order of rows.
const INEXACT: &[&str] = &[
    "exp", "ln", "log", "log10", "power", "pow", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan",
    "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "cot", "dexp", "dlog1", "dlog10", "dpow",
    "dcbrt", "sind", "cosd", "tand", "cotd", "asind", "acosd", "atand", "atan2d", "degrees", "radians", "pi",
];

fn is_float(ty: TypeId) -> bool {
    matches!(ty, TypeId::FLOAT4 | TypeId::FLOAT8)
}

fn is_known(ty: TypeId) -> bool {
    crate::values::TYPES.contains(&ty) || (is_polymorphic(ty) && ty != TypeId::ANYENUM)
}

/// Comparisons, of whose result only the sign is promised, and the length coercions behind casts, whose second argument
/// is a type modifier.
fn is_internal(name: &str, args: &[TypeId]) -> bool {
    let coerced = ["varchar", "bpchar", "numeric", "interval", "time", "timestamp", "timestamptz"];
    name.ends_with("cmp")
        || name.contains("_cmp_")
        || (coerced.contains(&name) && args.get(1) == Some(&TypeId::INT4))
}

/// The catalogue.
pub static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut catalogue = Catalogue::default();
    for function in functions().iter().filter(|function| function.implemented && !function.engine) {
        let any = function.variadic && function.args.last() == Some(&TypeId::ANY);
        let args = if any { &function.args[..function.args.len() - 1] } else { function.args };
        let usable = args.iter().all(|arg| is_known(*arg))
            && (is_known(function.result) || function.returns_set)
            && function.volatility != Volatility::Volatile
            && !LEFT_OUT.contains(&function.name)
            && !is_internal(function.name, args)
            && !function.name.starts_with("pg_")
            && !function.name.starts_with("has_")
            && !function.name.starts_with("hash")
            && !(INEXACT.contains(&function.name) && is_float(function.result));
        if !usable || (args.is_empty() && !any && function.kind == FunctionKind::Scalar) {
            continue;
        }
        let callable = |form| Callable {
            form,
            name: tuplix_functions::quote_ident(function.name).to_string(),
            args,
            result: function.result,
            is_variadic: function.variadic && !any,
            operands: Vec::new(),
        };
        match function.kind {
            // They take WITHIN GROUP, which the programs have not.
            FunctionKind::Aggregate if tuplix_functions::ordered_set(function).is_some() => {}
            FunctionKind::Aggregate => {
                let inexact = is_float(function.result) || args.iter().any(|arg| is_float(*arg));
                let exact = matches!(function.name, "min" | "max" | "count" | "array_agg");
                if !inexact || exact {
                    catalogue.aggregates.entry(function.result).or_default().push(callable(Form::Aggregate));
                }
            }
            FunctionKind::Scalar if function.returns_set => {
                if function.columns.is_empty() && is_known(function.result) {
                    catalogue.sets.push(callable(Form::Function));
                }
            }
            FunctionKind::Scalar => {
                let form = if any { Form::Variadic } else { Form::Function };
                catalogue.by_result.entry(function.result).or_default().push(callable(form));
            }
            FunctionKind::Window => {}
        }
    }
    add_operators(&mut catalogue);
    catalogue
});

fn add_operators(catalogue: &mut Catalogue) {
    for operator in operators().iter().filter(|operator| operator.function.implemented) {
        let operands: Vec<TypeId> = operator.left.into_iter().chain([operator.right]).collect();
        let inexact = INEXACT.contains(&operator.function.symbol);
        if !operands.iter().all(|operand| is_known(*operand)) || !is_known(operator.result) || inexact {
            continue;
        }
        let callable = Callable {
            form: Form::Operator,
            name: operator.name.to_owned(),
            args: &[],
            result: operator.result,
            is_variadic: false,
            operands,
        };
        // Operators are what people write: they come more often than functions.
        for _ in 0..3 {
            catalogue.by_result.entry(operator.result).or_default().push(callable.clone());
        }
    }
}

impl Callable {
    /// Types of the arguments.
    pub fn arguments(&self) -> &[TypeId] {
        if self.form == Form::Operator { &self.operands } else { self.args }
    }

    /// Whether types have to be chosen.
    pub fn is_polymorphic(&self) -> bool {
        self.arguments().iter().any(|arg| is_polymorphic(*arg)) || is_polymorphic(self.result)
    }
}

/// Whether a type stands for arrays.
pub fn is_array_like(ty: TypeId) -> bool {
    matches!(ty, TypeId::ANYARRAY | TypeId::ANYCOMPATIBLEARRAY)
}

/// What gives a type, among the callables of a map.
fn giving(map: &BTreeMap<TypeId, Vec<Callable>>, ty: TypeId) -> Vec<&Callable> {
    let polymorphic = [TypeId::ANYELEMENT, TypeId::ANYCOMPATIBLE, TypeId::ANYNONARRAY].into_iter();
    let arrays = [TypeId::ANYARRAY, TypeId::ANYCOMPATIBLEARRAY].into_iter();
    let mut wanted = vec![ty];
    wanted.extend(polymorphic.filter(|_| ty.element().is_none()));
    wanted.extend(arrays.filter(|_| ty.element().is_some()));
    wanted.iter().filter_map(|ty| map.get(ty)).flatten().collect()
}

impl Catalogue {
    /// Functions and operators that give a type.
    pub fn giving(&self, ty: TypeId) -> Vec<&Callable> {
        giving(&self.by_result, ty)
    }

    /// Aggregates that give a type.
    pub fn aggregates_giving(&self, ty: TypeId) -> Vec<&Callable> {
        giving(&self.aggregates, ty)
    }

    /// Functions that return sets.
    pub fn sets(&self) -> &[Callable] {
        &self.sets
    }
}
