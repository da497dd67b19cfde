//! CREATE FUNCTION and CREATE PROCEDURE (`functioncmds.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{CreateFunctionStmt, DefElem, FunctionParameter, FunctionParameterMode, Node};
use tuplix_catalog::{ArgumentDef, ArgumentMode, FunctionHints, FunctionVolatility, Language};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Analyzer, nodes, text};
use crate::plan::{AlterRoutine, CreateFunction, FunctionSetting};
use crate::{parser, plpgsql};

/// The clauses after the arguments.
#[derive(Default)]
struct Clauses {
    language: Option<Language>,
    body: Option<(String, i32)>,
    volatility: Option<FunctionVolatility>,
    strict: Option<bool>,
    security_definer: Option<bool>,
    settings: Vec<FunctionSetting>,
    hints: FunctionHints,
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::INVALID_FUNCTION_DEFINITION, message)
}

impl Analyzer<'_> {
    pub(super) fn create_function(&mut self, stmt: &CreateFunctionStmt) -> Result<CreateFunction> {
        let name = self.listed_name(&stmt.funcname, -1)?;
        let arguments = self.arguments(&stmt.parameters)?;
        let (returns, returns_set) = self.result_type(stmt, &arguments)?;
        check_polymorphic(&arguments, returns)?;
        let mut clauses = self.function_clauses(&stmt.options)?;
        if let Some(body) = stmt.sql_body.as_deref() {
            self.standard_body(body, &arguments, &mut clauses)?;
        }
        let language = clauses.language.ok_or_else(|| invalid("no language specified"))?;
        let (body, location) = clauses.body.ok_or_else(|| invalid("no function body specified"))?;
        if stmt.is_procedure && clauses.volatility.is_some() {
            return Err(invalid("invalid attribute in procedure definition"));
        }
        self.check_body(&name.name, language, &body)?;
        Ok(CreateFunction {
            name,
            or_replace: stmt.replace,
            is_procedure: stmt.is_procedure,
            arguments,
            returns,
            returns_set,
            language,
            body_position: self.body_position(location),
            body,
            volatility: clauses.volatility.unwrap_or(FunctionVolatility::Volatile),
            strict: clauses.strict.unwrap_or(false),
            security_definer: clauses.security_definer.unwrap_or(false),
            settings: clauses.settings,
            hints: clauses.hints,
        })
    }

    /// RETURN value, or BEGIN ATOMIC statements END, as the text of a function in SQL.
    fn standard_body(&self, body: &Node, arguments: &[ArgumentDef], clauses: &mut Clauses) -> Result<()> {
        if clauses.body.is_some() {
            return Err(invalid("duplicate function body specified"));
        }
        if *clauses.language.get_or_insert(Language::Sql) != Language::Sql {
            return Err(invalid("inline SQL function body only valid for language SQL"));
        }
        if arguments.iter().any(|argument| tuplix_functions::is_polymorphic(argument.ty)) {
            let message = "SQL function with unquoted function body cannot have polymorphic arguments";
            return Err(invalid(message));
        }
        let statements = match nodes::inner(body)? {
            returned @ NodeEnum::ReturnStmt(_) => vec![standard_statement(returned)?],
            NodeEnum::List(list) => {
                let mut statements = Vec::new();
                for node in &list.items {
                    let NodeEnum::List(inner) = nodes::inner(node)? else { return Err(nodes::missing()) };
                    for statement in &inner.items {
                        statements.push(standard_statement(nodes::inner(statement)?)?);
                    }
                }
                statements
            }
            _ => return Err(nodes::missing()),
        };
        clauses.body = Some((statements.join(";\n"), -1));
        Ok(())
    }

    fn arguments(&mut self, list: &[Node]) -> Result<Vec<ArgumentDef>> {
        let mut arguments: Vec<ArgumentDef> = Vec::with_capacity(list.len());
        let mut defaults = false;
        for (index, node) in list.iter().enumerate() {
            let NodeEnum::FunctionParameter(parameter) = nodes::inner(node)? else {
                return Err(nodes::missing());
            };
            let argument = self.argument(parameter)?;
            let later_inputs = list[index + 1..].iter().any(|node| {
                matches!(&node.node, Some(NodeEnum::FunctionParameter(other))
                    if !matches!(mode_of(other), Ok(ArgumentMode::Out | ArgumentMode::Table)))
            });
            if argument.mode == ArgumentMode::Variadic {
                if later_inputs {
                    return Err(invalid("VARIADIC parameter must be the last input parameter"));
                }
                let polymorphic = matches!(argument.ty, TypeId::ANYARRAY | TypeId::ANYCOMPATIBLEARRAY);
                if argument.ty.element().is_none() && !polymorphic {
                    return Err(invalid("VARIADIC parameter must be an array"));
                }
            }
            let is_input = !matches!(argument.mode, ArgumentMode::Out | ArgumentMode::Table);
            if argument.default.is_some() && !is_input {
                return Err(invalid("only input parameters can have default values"));
            }
            if is_input && defaults && argument.default.is_none() {
                let message = "input parameters after one with a default value must also have defaults";
                return Err(invalid(message));
            }
            defaults |= argument.default.is_some();
            if let Some(twin) =
                arguments.iter().find(|other| !other.name.is_empty() && other.name == argument.name)
            {
                // An input and a table column are different names only to PL/pgSQL's caller: refused as in PostgreSQL.
                return Err(invalid(format!("parameter name \"{}\" used more than once", twin.name)));
            }
            arguments.push(argument);
        }
        Ok(arguments)
    }

    fn argument(&mut self, parameter: &FunctionParameter) -> Result<ArgumentDef> {
        let type_name = parameter.arg_type.as_ref().ok_or_else(nodes::missing)?;
        if type_name.setof {
            return Err(invalid("functions cannot accept set arguments"));
        }
        let (ty, typmod) = self.type_name(type_name)?;
        if ty == TypeId::ANY {
            return Err(self.unsupported(format_args!("an argument of type {ty}"), type_name.location));
        }
        if matches!(ty, TypeId::RECORD | TypeId::VOID | TypeId::TRIGGER | TypeId::UNKNOWN) {
            return Err(self.unsupported(format_args!("an argument of type {ty}"), type_name.location));
        }
        let default = match parameter.defexpr.as_deref() {
            Some(value) => {
                if !tuplix_functions::is_polymorphic(ty) {
                    self.check_default(value, &parameter.name, ty, typmod)?;
                }
                Some(text::expression(value)?)
            }
            None => None,
        };
        Ok(ArgumentDef { name: parameter.name.clone(), ty, mode: mode_of(parameter)?, default })
    }

    /// RETURNS, or what OUT arguments make of it.
    fn result_type(
        &mut self,
        stmt: &CreateFunctionStmt,
        arguments: &[ArgumentDef],
    ) -> Result<(TypeId, bool)> {
        let is_output = |argument: &&ArgumentDef| {
            matches!(argument.mode, ArgumentMode::Out | ArgumentMode::InOut | ArgumentMode::Table)
        };
        let outputs: Vec<&ArgumentDef> = arguments.iter().filter(is_output).collect();
        let implied = match outputs[..] {
            [] => None,
            [only] if !stmt.is_procedure => Some(only.ty),
            _ => Some(TypeId::RECORD),
        };
        let Some(name) = &stmt.return_type else {
            return match implied {
                Some(ty) => Ok((ty, false)),
                None if stmt.is_procedure => Ok((TypeId::VOID, false)),
                None => Err(invalid("function result type must be specified")),
            };
        };
        let bare = pg_query::protobuf::TypeName { setof: false, ..name.clone() };
        let (ty, _) = self.type_name(&bare)?;
        if matches!(ty, TypeId::ANY | TypeId::UNKNOWN) {
            return Err(self.unsupported(format_args!("a function returning {ty}"), name.location));
        }
        if let Some(implied) = implied.filter(|implied| *implied != ty) {
            return Err(invalid(format!("function result type must be {implied} because of OUT parameters")));
        }
        Ok((ty, name.setof))
    }

    fn function_clauses(&mut self, options: &[Node]) -> Result<Clauses> {
        let mut clauses = Clauses::default();
        for node in options {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let twice = match option.defname.as_str() {
                "as" => clauses.body.replace(self.body(option)?).is_some(),
                "language" => clauses.language.replace(self.language(option)?).is_some(),
                "volatility" => clauses.volatility.replace(volatility(option)?).is_some(),
                "strict" => clauses.strict.replace(truth(option)).is_some(),
                "security" => clauses.security_definer.replace(truth(option)).is_some(),
                "set" => {
                    clauses.settings.push(self.function_setting(option)?);
                    false
                }
                "parallel" => clauses.hints.parallel.replace(parallel(option)?).is_some(),
                "cost" => clauses.hints.cost.replace(positive(option, "COST")?).is_some(),
                "rows" => clauses.hints.rows.replace(positive(option, "ROWS")?).is_some(),
                "leakproof" => clauses.hints.leakproof.replace(truth(option)).is_some(),
                other => {
                    let what = format!("CREATE FUNCTION ... {}", other.to_uppercase());
                    return Err(self.unsupported(what, option.location));
                }
            };
            if twice {
                let error = SqlError::new(sqlstate::SYNTAX_ERROR, "conflicting or redundant options");
                return Err(error.at(self.at(option.location)));
            }
        }
        Ok(clauses)
    }

    /// The attributes of ALTER FUNCTION.
    pub(super) fn routine_attributes(&mut self, options: &[Node]) -> Result<AlterRoutine> {
        let clauses = self.function_clauses(options)?;
        Ok(AlterRoutine::Attributes {
            volatility: clauses.volatility,
            strict: clauses.strict,
            security_definer: clauses.security_definer,
            settings: clauses.settings,
            hints: clauses.hints,
        })
    }

    fn function_setting(&self, option: &DefElem) -> Result<FunctionSetting> {
        match option.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
            Some(NodeEnum::VariableSetStmt(stmt)) => self.setting_of_function(stmt),
            _ => Err(nodes::missing()),
        }
    }

    fn body(&self, option: &DefElem) -> Result<(String, i32)> {
        match option.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
            Some(NodeEnum::List(list)) => match nodes::strings(&list.items)[..] {
                [body] => Ok((body.to_owned(), option.arg_location)),
                _ => Err(self.unsupported("a function in C", option.location)),
            },
            Some(NodeEnum::String(body)) => Ok((body.sval.clone(), option.arg_location)),
            _ => Err(nodes::missing()),
        }
    }

    fn language(&self, option: &DefElem) -> Result<Language> {
        let Some(name) = option.arg.as_deref().and_then(nodes::string) else { return Err(nodes::missing()) };
        match name.to_lowercase().as_str() {
            "sql" => Ok(Language::Sql),
            "plpgsql" => Ok(Language::Plpgsql),
            "c" | "internal" => Err(self.unsupported(format_args!("language \"{name}\""), option.location)),
            _ => {
                let message = format!("language \"{name}\" does not exist");
                Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
            }
        }
    }

    /// Where the text of a body begins: after the quote or the dollar tag at `location`.
    fn body_position(&self, location: i32) -> Option<u32> {
        let source = self.source?;
        let start = usize::try_from(location).ok()?.checked_sub(source.offset)?;
        let rest = source.text.get(start..)?;
        let skip = if let Some(tagged) = rest.strip_prefix('$') {
            tagged.find('$')? + 2
        } else if rest.starts_with('\'') {
            1
        } else if rest.get(1..2) == Some("'") {
            2
        } else {
            return None;
        };
        self.at(location + i32::try_from(skip).ok()?)
    }

    /// A body's syntax; names are looked up when it is bound.
    fn check_body(&self, name: &str, language: Language, body: &str) -> Result<()> {
        let result = match language {
            Language::Plpgsql => plpgsql::parse_body(body, name).map(|_| ()),
            Language::Sql => parser::parse(body).map(|_| ()),
        };
        result.map_err(|error| match self.source {
            Some(source) => plpgsql::place_error(error, source.text, body, name),
            None => error,
        })
    }
}

/// A statement of BEGIN ATOMIC, in which RETURN is SELECT.
fn standard_statement(node: &NodeEnum) -> Result<String> {
    match node {
        NodeEnum::ReturnStmt(value) => {
            let value = value.returnval.as_deref().ok_or_else(nodes::missing)?;
            Ok(format!("SELECT {}", text::expression(value)?))
        }
        other => text::statement(other),
    }
}

/// Refuses a polymorphic result that no argument decides.
fn check_polymorphic(arguments: &[ArgumentDef], returns: TypeId) -> Result<()> {
    use tuplix_functions::{ANYCOMPATIBLENONARRAY, is_polymorphic};
    let compatible =
        |ty: TypeId| matches!(ty, TypeId::ANYCOMPATIBLE | TypeId::ANYCOMPATIBLEARRAY | ANYCOMPATIBLENONARRAY);
    let is_input =
        |argument: &&ArgumentDef| !matches!(argument.mode, ArgumentMode::Out | ArgumentMode::Table);
    let inputs: Vec<TypeId> = arguments.iter().filter(is_input).map(|argument| argument.ty).collect();
    let outputs = arguments.iter().filter(|argument| !is_input(argument)).map(|argument| argument.ty);
    for ty in outputs.chain([returns]).filter(|ty| is_polymorphic(*ty)) {
        let decides = |input: &TypeId| is_polymorphic(*input) && compatible(*input) == compatible(ty);
        if !inputs.iter().any(decides) {
            let family = match compatible(ty) {
                true => {
                    "anycompatible, anycompatiblearray, anycompatiblenonarray, anycompatiblerange, or anycompatiblemultirange"
                }
                false => "anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange",
            };
            let detail = format!("A result of type {ty} requires at least one input of type {family}.");
            return Err(invalid("cannot determine result data type").detail(detail));
        }
    }
    Ok(())
}

fn mode_of(parameter: &FunctionParameter) -> Result<ArgumentMode> {
    use FunctionParameterMode as Mode;
    Ok(match Mode::try_from(parameter.mode).map_err(|_| nodes::missing())? {
        Mode::FuncParamIn | Mode::FuncParamDefault | Mode::Undefined => ArgumentMode::In,
        Mode::FuncParamOut => ArgumentMode::Out,
        Mode::FuncParamInout => ArgumentMode::InOut,
        Mode::FuncParamVariadic => ArgumentMode::Variadic,
        Mode::FuncParamTable => ArgumentMode::Table,
    })
}

fn volatility(option: &DefElem) -> Result<FunctionVolatility> {
    match option.arg.as_deref().and_then(nodes::string) {
        Some("immutable") => Ok(FunctionVolatility::Immutable),
        Some("stable") => Ok(FunctionVolatility::Stable),
        Some("volatile") => Ok(FunctionVolatility::Volatile),
        _ => Err(nodes::missing()),
    }
}

fn parallel(option: &DefElem) -> Result<String> {
    match option.arg.as_deref().and_then(nodes::string) {
        Some(word @ ("safe" | "restricted" | "unsafe")) => Ok(word.to_owned()),
        _ => {
            let message = "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE";
            Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
        }
    }
}

/// The number of COST or ROWS.
fn positive(option: &DefElem, what: &str) -> Result<f32> {
    let number = match option.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::Integer(number)) => number.ival as f32,
        Some(NodeEnum::Float(number)) => number.fval.parse().unwrap_or(f32::NAN),
        _ => return Err(nodes::missing()),
    };
    if number > 0.0 {
        return Ok(number);
    }
    Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, format!("{what} must be positive")))
}

fn truth(option: &DefElem) -> bool {
    matches!(option.arg.as_deref().and_then(|arg| arg.node.as_ref()), Some(NodeEnum::Boolean(truth)) if truth.boolval)
}
