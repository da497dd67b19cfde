//! `pg_proc`, and functions as SQL: `pg_get_functiondef` and its kin (`ruleutils.c`).

use tuplix_catalog::{ArgumentDef, ArgumentMode, FunctionDef, FunctionVolatility, Language};
use tuplix_functions::{Function, FunctionKind, Volatility};
use tuplix_sql::parser::quote_ident;
use tuplix_types::{Row, TypeId, Value};

use super::deparse;
use super::relations::{self, SystemRelation};
use super::view::{OWNER, View, array, int, oid, text, truth, vector};

const INTERNAL: u32 = 12;
const SQL: u32 = 14;
const PLPGSQL: u32 = 13_563;

/// `pg_proc`: the functions of the catalogue, and the built-in ones that can be called.
pub(crate) fn functions(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let users = view.catalog().functions().map(|function| user_function(view, relation, function));
    let built_in = tuplix_functions::functions().iter().filter(|function| function.implemented);
    let built_in = built_in.map(|function| built_in_function(view, relation, function));
    users.chain(built_in).chain(support_functions()).collect()
}

/// The functions that rows of `pg_type` and others name, such as a type's input function; nobody can call them.
fn support_functions() -> impl Iterator<Item = Row> {
    let callable = |row: &&Row| match row.first() {
        Some(Value::Oid(oid)) => {
            tuplix_functions::lookup_function(*oid).is_some_and(|function| function.implemented)
        }
        _ => false,
    };
    relations::own_rows("pg_proc").iter().filter(move |row| !callable(row)).cloned()
}

/// The object id of a function of that kind, and its name.
pub(crate) fn support_names() -> impl Iterator<Item = (u32, &'static str)> {
    relations::own_rows("pg_proc").iter().filter_map(|row| match (&row[0], &row[1]) {
        (Value::Oid(oid), Value::Text(name)) => Some((*oid, name.as_str())),
        _ => None,
    })
}

fn user_function(view: &View<'_>, relation: &SystemRelation, function: &FunctionDef) -> Row {
    let inputs: Vec<&ArgumentDef> = function.inputs().collect();
    let defaults: Vec<String> = inputs.iter().filter_map(|input| default_text(view, input)).collect();
    let variadic = inputs.last().filter(|last| last.mode == ArgumentMode::Variadic);
    let all = &function.arguments;
    let only_inputs = all.iter().all(|argument| argument.mode == ArgumentMode::In);
    let of_all = |element, value: fn(&ArgumentDef) -> Value| match only_inputs {
        true => Value::Null,
        false => array(element, all.iter().map(value).collect()),
    };
    let named = all.iter().any(|argument| !argument.name.is_empty());
    let names = if named {
        array(TypeId::TEXT, all.iter().map(|argument| text(&argument.name)).collect())
    } else {
        Value::Null
    };
    relation.row(&[
        ("oid", oid(function.id.0)),
        ("proname", text(&function.name)),
        ("pronamespace", oid(view.schema_oid(&function.schema))),
        ("proowner", super::rights::owner(view, tuplix_catalog::CLASS_FUNCTION, function.id.0)),
        ("proacl", super::rights::acl(view, tuplix_catalog::CLASS_FUNCTION, function.id.0)),
        ("prolang", oid(if function.language == Language::Sql { SQL } else { PLPGSQL })),
        ("procost", Value::Float4(function.hints.cost.unwrap_or(100.0))),
        ("prorows", Value::Float4(rows(function))),
        ("proleakproof", truth(function.hints.leakproof.unwrap_or(false))),
        ("proconfig", settings(function)),
        ("provariadic", oid(variadic.and_then(|last| last.ty.element()).map_or(0, |element| element.0))),
        ("prokind", text(if function.is_procedure { "p" } else { "f" })),
        ("prosecdef", truth(function.security_definer)),
        ("proisstrict", truth(function.strict)),
        ("proretset", truth(function.returns_set)),
        ("provolatile", text(volatility(function).0)),
        ("proparallel", text(&parallel(function)[..1])),
        ("pronargs", int(inputs.len())),
        ("pronargdefaults", int(defaults.len())),
        ("prorettype", oid(function.returns.0)),
        ("proargtypes", vector(TypeId::OID, inputs.iter().map(|input| oid(input.ty.0)).collect())),
        ("proallargtypes", of_all(TypeId::OID, |argument| oid(argument.ty.0))),
        ("proargmodes", of_all(TypeId::CHAR, |argument| text(mode(argument.mode)))),
        ("proargnames", names),
        ("proargdefaults", if defaults.is_empty() { Value::Null } else { Value::text(defaults.join(", ")) }),
        ("prosrc", text(&function.body)),
    ])
}

fn parallel(function: &FunctionDef) -> &str {
    function.hints.parallel.as_deref().unwrap_or("unsafe")
}

/// How many rows a set is taken to have; 0 of what gives no set.
fn rows(function: &FunctionDef) -> f32 {
    if function.returns_set { function.hints.rows.unwrap_or(1000.0) } else { 0.0 }
}

/// `pg_proc.proconfig`
fn settings(function: &FunctionDef) -> Value {
    if function.settings.is_empty() {
        return Value::Null;
    }
    let lines = function.settings.iter().map(|(name, value)| Value::text(format!("{name}={value}")));
    array(TypeId::TEXT, lines.collect())
}

fn volatility(function: &FunctionDef) -> (&'static str, &'static str) {
    match function.volatility {
        FunctionVolatility::Immutable => ("i", "IMMUTABLE"),
        FunctionVolatility::Stable => ("s", "STABLE"),
        FunctionVolatility::Volatile => ("v", ""),
    }
}

fn mode(mode: ArgumentMode) -> &'static str {
    match mode {
        ArgumentMode::In => "i",
        ArgumentMode::Out => "o",
        ArgumentMode::InOut => "b",
        ArgumentMode::Variadic => "v",
        ArgumentMode::Table => "t",
    }
}

fn built_in_function(view: &View<'_>, relation: &SystemRelation, function: &Function) -> Row {
    let types = function.args.iter().map(|ty| oid(ty.0)).collect();
    let outputs = function.columns;
    let all = function.args.iter().copied().chain(outputs.iter().map(|(_, ty)| *ty));
    let modes = function.args.iter().map(|_| "i").chain(outputs.iter().map(|_| "o"));
    let inputs =
        function.args.iter().enumerate().map(|(at, _)| function.arg_names.get(at).copied().unwrap_or(""));
    let names: Vec<Value> = inputs.chain(outputs.iter().map(|(name, _)| *name)).map(text).collect();
    let named = !function.arg_names.is_empty() || !outputs.is_empty();
    let or_null = |given: bool, value: Value| if given { value } else { Value::Null };
    let variadic = function.args.last().filter(|_| function.variadic);
    relation.row(&[
        ("oid", oid(function.oid)),
        ("proname", text(function.name)),
        ("pronamespace", oid(view.schema_oid("pg_catalog"))),
        ("proowner", oid(OWNER)),
        ("prolang", oid(INTERNAL)),
        ("procost", Value::Float4(1.0)),
        ("prorows", Value::Float4(if function.returns_set { 1000.0 } else { 0.0 })),
        ("provariadic", oid(variadic.map_or(0, |last| last.element().unwrap_or(*last).0))),
        ("prokind", text(kind(function.kind))),
        ("proisstrict", truth(function.strict)),
        ("proretset", truth(function.returns_set)),
        ("provolatile", text(built_in_volatility(function.volatility))),
        ("proparallel", text("s")),
        ("pronargs", int(function.args.len())),
        ("pronargdefaults", int(function.defaults)),
        ("prorettype", oid(function.result.0)),
        ("proargtypes", vector(TypeId::OID, types)),
        (
            "proallargtypes",
            or_null(!outputs.is_empty(), array(TypeId::OID, all.map(|ty| oid(ty.0)).collect())),
        ),
        ("proargmodes", or_null(!outputs.is_empty(), array(TypeId::CHAR, modes.map(text).collect()))),
        ("proargnames", or_null(named, array(TypeId::TEXT, names))),
        ("prosrc", text(function.symbol)),
    ])
}

fn kind(kind: FunctionKind) -> &'static str {
    match kind {
        FunctionKind::Scalar => "f",
        FunctionKind::Aggregate => "a",
        FunctionKind::Window => "w",
    }
}

fn built_in_volatility(volatility: Volatility) -> &'static str {
    match volatility {
        Volatility::Immutable => "i",
        Volatility::Stable => "s",
        Volatility::Volatile => "v",
    }
}

/// A function of the catalogue or a built-in one.
pub(crate) enum Routine<'a> {
    User(&'a FunctionDef),
    BuiltIn(&'static Function),
}

/// The function with this object id.
pub(crate) fn routine<'a>(view: &'a View<'_>, oid: u32) -> Option<Routine<'a>> {
    match view.catalog().function(tuplix_catalog::FunctionId(oid)) {
        Some(function) => Some(Routine::User(function)),
        None => tuplix_functions::lookup_function(oid).map(Routine::BuiltIn),
    }
}

/// The default of an argument as SQL.
pub(crate) fn default_text(view: &View<'_>, argument: &ArgumentDef) -> Option<String> {
    let written = argument.default.as_deref()?;
    Some(deparse::argument_default(view, argument.ty, written))
}

/// `pg_get_function_arguments`; without defaults `pg_get_function_identity_arguments`.
pub(crate) fn arguments(view: &View<'_>, routine: &Routine<'_>, defaults: bool) -> String {
    let function = match routine {
        Routine::User(function) => function,
        Routine::BuiltIn(function) => return built_in_arguments(function),
    };
    let shown = function.arguments.iter().filter(|argument| argument.mode != ArgumentMode::Table);
    let list: Vec<String> = shown.map(|argument| argument_text(view, function, argument, defaults)).collect();
    list.join(", ")
}

fn argument_text(view: &View<'_>, function: &FunctionDef, argument: &ArgumentDef, defaults: bool) -> String {
    let mode = match argument.mode {
        // A procedure's OUT arguments are passed too, so its plain ones are marked where there are others.
        ArgumentMode::In if function.is_procedure => "IN ",
        ArgumentMode::In | ArgumentMode::Table => "",
        ArgumentMode::Out => "OUT ",
        ArgumentMode::InOut => "INOUT ",
        ArgumentMode::Variadic => "VARIADIC ",
    };
    let name = match argument.name.as_str() {
        "" => String::new(),
        name => format!("{} ", quote_ident(name)),
    };
    let default = match default_text(view, argument).filter(|_| defaults) {
        Some(default) => format!(" DEFAULT {default}"),
        None => String::new(),
    };
    format!("{mode}{name}{}{default}", argument.ty)
}

fn built_in_arguments(function: &Function) -> String {
    let input = |(at, ty): (usize, &TypeId)| {
        let variadic = if function.variadic && at + 1 == function.args.len() { "VARIADIC " } else { "" };
        match function.arg_names.get(at).copied().unwrap_or("") {
            "" => format!("{variadic}{ty}"),
            name => format!("{variadic}{} {ty}", quote_ident(name)),
        }
    };
    let output = |(name, ty): &(&str, TypeId)| match *name {
        "" => format!("OUT {ty}"),
        name => format!("OUT {} {ty}", quote_ident(name)),
    };
    let inputs = function.args.iter().enumerate().map(input);
    inputs.chain(function.columns.iter().map(output)).collect::<Vec<_>>().join(", ")
}

/// `pg_get_function_result`; `None` for procedures.
pub(crate) fn result(routine: &Routine<'_>) -> Option<String> {
    let set =
        |returns_set: bool, ty: TypeId| if returns_set { format!("SETOF {ty}") } else { ty.to_string() };
    let function = match routine {
        Routine::BuiltIn(function) => return Some(set(function.returns_set, function.result)),
        Routine::User(function) if function.is_procedure => return None,
        Routine::User(function) => function,
    };
    let columns: Vec<String> = function
        .arguments
        .iter()
        .filter(|argument| argument.mode == ArgumentMode::Table)
        .map(|column| format!("{} {}", quote_ident(&column.name), column.ty))
        .collect();
    if !columns.is_empty() {
        return Some(format!("TABLE({})", columns.join(", ")));
    }
    Some(set(function.returns_set, function.returns))
}

/// What stands between language and body: a line of attributes, a line for each setting.
fn clauses(function: &FunctionDef) -> String {
    let hints = &function.hints;
    let given = |given: bool, clause: String| if given { clause } else { String::new() };
    let parallel = parallel(function).to_uppercase();
    let default_rows = if function.returns_set { 1000.0 } else { 0.0 };
    let words = [
        volatility(function).1.to_owned(),
        given(parallel != "UNSAFE", format!("PARALLEL {parallel}")),
        given(function.strict, "STRICT".to_owned()),
        given(function.security_definer, "SECURITY DEFINER".to_owned()),
        given(hints.leakproof == Some(true), "LEAKPROOF".to_owned()),
        given(
            hints.cost.is_some_and(|cost| cost != 100.0),
            format!("COST {}", hints.cost.unwrap_or_default()),
        ),
        given(rows(function) != default_rows, format!("ROWS {}", rows(function))),
    ];
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let mut sql = if words.is_empty() { String::new() } else { format!(" {}\n", words.join(" ")) };
    for (name, value) in &function.settings {
        let quote = |text: &str| tuplix_functions::quote_literal(text).to_string();
        let values: Vec<String> = match name.as_str() {
            "search_path" => value.split(", ").map(|part| quote(&part.replace('"', ""))).collect(),
            _ => vec![quote(value)],
        };
        sql.push_str(&format!(" SET {} TO {}\n", quote_ident(name), values.join(", ")));
    }
    sql
}

/// `pg_get_functiondef`
pub(crate) fn definition(view: &View<'_>, function: &FunctionDef) -> String {
    let (kind, quote) =
        if function.is_procedure { ("PROCEDURE", "procedure") } else { ("FUNCTION", "function") };
    let name = format!("{}.{}", quote_ident(&function.schema), quote_ident(&function.name));
    let routine = Routine::User(function);
    let mut sql = format!("CREATE OR REPLACE {kind} {name}({})\n", arguments(view, &routine, true));
    if let Some(result) = result(&routine) {
        sql.push_str(&format!(" RETURNS {result}\n"));
    }
    let language = if function.language == Language::Sql { "sql" } else { "plpgsql" };
    sql.push_str(&format!(" LANGUAGE {language}\n"));
    sql.push_str(&clauses(function));
    let mut quote = quote.to_owned();
    while function.body.contains(&format!("${quote}$")) {
        quote.push('x');
    }
    sql.push_str(&format!("AS ${quote}${}${quote}$\n", function.body));
    sql
}
