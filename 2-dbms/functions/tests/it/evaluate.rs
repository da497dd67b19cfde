//! Evaluates an expression by the crate's public API, as an analyzer and an executor would.

use tuplix_functions::{
    Aggregate, BUILT_IN, CallContext, CallShape, Callee, CastContext, NoMoment, NoSession, ResolvedCall,
    to_text,
};
use tuplix_types::{Array, Result, SqlError, TypeId, Value};

use crate::parse::{Node, Parser};

type Typed = (TypeId, Value);

/// The answer's lines: a type and a text for each row, or the error.
pub fn answer(case: &str) -> Vec<String> {
    match try_answer(case) {
        Ok(lines) => lines,
        Err(error) => vec![error_line(&error)],
    }
}

fn error_line(error: &SqlError) -> String {
    let fields = error.fields();
    let (detail, hint) = (fields.detail.as_deref().unwrap_or(""), fields.hint.as_deref().unwrap_or(""));
    format!("ERROR\t{}\t{}\t{detail}\t{hint}", fields.sqlstate, fields.message).replace('\n', "\\n")
}

fn try_answer(case: &str) -> Result<Vec<String>> {
    let moment = NoMoment::default();
    let mut context =
        CallContext { moment: &moment, session: &NoSession, arg_types: &[], result_type: TypeId::UNKNOWN };
    let rows = match case.split_once(" FROM ") {
        Some((aggregate, values)) => {
            let (_, values) = evaluate(&Parser::parse(values), &mut context, &None)?;
            vec![aggregated(&Parser::parse(aggregate), values, &mut context)?]
        }
        None => evaluate_set(&Parser::parse(case), &mut context)?,
    };
    let show = |(id, value): &Typed| {
        let text = if value.is_null() { "NULL".to_owned() } else { to_text(&context, value, *id) };
        format!("{id}\t{text}").replace('\n', "\\n")
    };
    Ok(rows.iter().map(show).collect())
}

fn evaluate_set(node: &Node, context: &mut CallContext<'_>) -> Result<Vec<Typed>> {
    if let Node::Call(name, args, names, variadic) = node {
        let args = args.iter().map(|arg| evaluate(arg, context, &None)).collect::<Result<Vec<_>>>()?;
        let call = resolve(name, &args, names, *variadic)?;
        if let Some(function) = call.function()
            && let Some(code) = function.set_returning
        {
            let values = arguments(&call, &args, context)?;
            if function.strict && values.iter().any(Value::is_null) {
                return Ok(Vec::new());
            }
            let mut set = code(context, &values)?;
            let (mut rows, mut row) = (Vec::new(), Vec::new());
            while set.next(&mut row)? {
                rows.push(if row.len() > 1 {
                    (TypeId::RECORD, Value::Record(row.clone().into()))
                } else {
                    (call.result, row[0].clone())
                });
            }
            return Ok(rows);
        }
    }
    let (id, value) = evaluate(node, context, &None)?;
    // A literal on its own is text at last.
    Ok(vec![(if id == TypeId::UNKNOWN { TypeId::TEXT } else { id }, value)])
}

fn aggregated(node: &Node, values: Value, context: &mut CallContext<'_>) -> Result<Typed> {
    let (Node::Call(name, args, names, variadic), Value::Array(values)) = (node, values) else {
        panic!("an aggregate over an array");
    };
    let sample = Some((values.element, Value::Null));
    let types = args
        .iter()
        .map(|arg| Ok((type_of(arg, context, &sample)?, Value::Null)))
        .collect::<Result<Vec<_>>>()?;
    let call = resolve(name, &types, names, *variadic)?;
    let Callee::Aggregate(aggregate) = call.callee else { panic!("an aggregate") };
    let aggregate: &Aggregate = aggregate;
    let mut state = (aggregate.init)();
    let declared = call.args.clone();
    for value in &values.elements {
        let row = Some((values.element, value.clone()));
        let args = args.iter().map(|arg| evaluate(arg, context, &row)).collect::<Result<Vec<_>>>()?;
        let args = arguments(&call, &args, context)?;
        let mut inner = CallContext { arg_types: &declared, result_type: call.result, ..*context };
        (aggregate.step)(&mut state, &mut inner, &args)?;
    }
    let mut inner = CallContext { arg_types: &declared, result_type: call.result, ..*context };
    Ok((call.result, (aggregate.finish)(state, &mut inner)?))
}

fn type_of(node: &Node, context: &mut CallContext<'_>, variable: &Option<Typed>) -> Result<TypeId> {
    evaluate(node, context, variable).map(|(id, _)| id)
}

fn resolve(name: &str, args: &[Typed], names: &[String], variadic: bool) -> Result<ResolvedCall> {
    let types: Vec<TypeId> = args.iter().map(|(id, _)| *id).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    BUILT_IN.function(name, CallShape { args: &types, names: &names, variadic }, &[])
}

fn coerce(value: &Typed, to: TypeId, context: &mut CallContext<'_>) -> Result<Value> {
    if to == value.0 || to == TypeId::ANY {
        return Ok(value.1.clone());
    }
    BUILT_IN.cast_value(context, &value.1, value.0, to, CastContext::Implicit)
}

/// The arguments as the callee takes them: coerced, in its order, packed, defaults filled in.
fn arguments(call: &ResolvedCall, args: &[Typed], context: &mut CallContext<'_>) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    for (arg, to) in args.iter().zip(&call.args) {
        values.push(coerce(arg, *to, context)?);
    }
    if let Some((from, element)) = call.pack {
        let packed = values.split_off(from);
        values.push(Value::Array(Array::from_elements(element, packed).into()));
    }
    let Some(function) = call.function() else { return Ok(values) };
    if let Some(positions) = &call.positions {
        let mut ordered = vec![Value::Null; function.args.len()];
        for (value, position) in values.into_iter().zip(positions) {
            ordered[*position] = value;
        }
        values = ordered;
    } else {
        values.resize(values.len() + call.defaults.len(), Value::Null);
    }
    for position in &call.defaults {
        values[*position] = function.default_value(*position);
    }
    Ok(values)
}

fn number(digits: &str) -> Result<Typed> {
    if let Ok(value) = digits.parse::<i32>() {
        return Ok((TypeId::INT4, Value::Int4(value)));
    }
    if let Ok(value) = digits.parse::<i64>() {
        return Ok((TypeId::INT8, Value::Int8(value)));
    }
    let value = tuplix_types::text_io::parse_text(TypeId::NUMERIC, -1, digits, &Default::default())?;
    Ok((TypeId::NUMERIC, value))
}

fn evaluate(node: &Node, context: &mut CallContext<'_>, variable: &Option<Typed>) -> Result<Typed> {
    match node {
        Node::Literal(text) => Ok((TypeId::UNKNOWN, Value::text(text.as_str()))),
        Node::Number(digits) => number(digits),
        Node::Bool(value) => Ok((TypeId::BOOL, Value::Bool(*value))),
        Node::Null => Ok((TypeId::UNKNOWN, Value::Null)),
        Node::Variable => Ok(variable.clone().expect("a row")),
        Node::Cast(inner, name) => {
            let inner = evaluate(inner, context, variable)?;
            let to = TypeId::from_internal_name(name).expect("a type");
            let method = BUILT_IN.explicit_cast(inner.0, to)?;
            Ok((to, BUILT_IN.apply_cast(context, &inner.1, inner.0, to, method, true)?))
        }
        Node::Array(items) => {
            let items =
                items.iter().map(|item| evaluate(item, context, variable)).collect::<Result<Vec<_>>>()?;
            let types: Vec<TypeId> = items.iter().map(|(id, _)| *id).collect();
            let element = BUILT_IN.common_type("ARRAY", &types)?;
            let values =
                items.iter().map(|item| coerce(item, element, context)).collect::<Result<Vec<_>>>()?;
            let id = element.array_of().expect("an array type");
            Ok((id, Value::Array(Array::from_elements(element, values).into())))
        }
        Node::Operator(name, left, right) => {
            let left = left.as_ref().map(|left| evaluate(left, context, variable)).transpose()?;
            let right = evaluate(right, context, variable)?;
            let found = BUILT_IN.operator(name, left.as_ref().map(|(id, _)| *id), right.0)?;
            let args: Vec<Typed> = left.into_iter().chain([right]).collect();
            let values = args.iter().zip(&found.args).map(|(arg, to)| coerce(arg, *to, context));
            let values = values.collect::<Result<Vec<_>>>()?;
            call(found.function, &found.args, found.result, &values, context)
        }
        Node::Call(name, args, names, variadic) => {
            let args = args.iter().map(|arg| evaluate(arg, context, variable)).collect::<Result<Vec<_>>>()?;
            let found = resolve(name, &args, names, *variadic)?;
            match found.callee {
                Callee::Cast(to) => {
                    let method = BUILT_IN.explicit_cast(args[0].0, to)?;
                    Ok((to, BUILT_IN.apply_cast(context, &args[0].1, args[0].0, to, method, true)?))
                }
                Callee::Function(function) => {
                    let values = arguments(&found, &args, context)?;
                    call(function, &found.args, found.result, &values, context)
                }
                _ => Err(SqlError::internal("an aggregate without rows")),
            }
        }
    }
}

fn call(
    function: &tuplix_functions::Function,
    types: &[TypeId],
    result: TypeId,
    values: &[Value],
    context: &mut CallContext<'_>,
) -> Result<Typed> {
    if function.strict && values.iter().any(Value::is_null) {
        return Ok((result, Value::Null));
    }
    let mut inner = CallContext { arg_types: types, result_type: result, ..*context };
    Ok((result, (function.call)(&mut inner, values)?))
}
