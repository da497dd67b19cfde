//! Calls out of compiled code: built-in functions and the surroundings that they ask for.

use tuplix_catalog::FunctionId;
use tuplix_functions::{CallContext, Function, Moment, NoMoment, NoSession, SessionInfo};
use tuplix_types::text_io::{IoContext, parse_text};
use tuplix_types::{Array, Result, SqlError, TypeId, Value};

use super::frame::Exec;
use crate::stop::{Run, Stop};
use crate::user_types;

/// What a polymorphic function wants to know of a call.
#[derive(Clone, Debug)]
pub(crate) struct CallTypes {
    /// The arguments' types.
    pub arguments: Box<[TypeId]>,
    /// The result's type.
    pub result: TypeId,
}

/// Runs `body` with the surroundings of a call.
#[inline]
pub(crate) fn with_context<T>(
    exec: &mut Exec<'_, '_>,
    types: &CallTypes,
    body: impl FnOnce(&mut CallContext<'_>) -> Result<T>,
) -> Run<T> {
    let moment = Running(exec);
    let mut context = CallContext {
        moment: &moment,
        session: exec.services,
        arg_types: &types.arguments,
        result_type: types.result,
    };
    Ok(body(&mut context)?)
}

/// Calls a scalar function whose NULL arguments were dealt with.
#[inline]
pub(crate) fn call(
    exec: &mut Exec<'_, '_>,
    function: &Function,
    types: &CallTypes,
    arguments: &[Value],
) -> Run<Value> {
    if function.engine {
        let services = exec.services;
        let value = services.engine_function(function.symbol, arguments, exec.tx)?;
        // The one value of type `void` has an empty text.
        return Ok(if function.result == TypeId::VOID { Value::text("") } else { value });
    }
    with_context(exec, types, |context| (function.call)(context, arguments))
}

/// Calls an immutable function when code is compiled; `None` when it fails, so that running it says why.
pub(crate) fn fold(function: &Function, types: &CallTypes, arguments: &[Value]) -> Option<Value> {
    if function.strict && arguments.iter().any(Value::is_null) {
        return Some(Value::Null);
    }
    let mut context = CallContext {
        moment: &NoMoment::default(),
        session: &NoSession,
        arg_types: &types.arguments,
        result_type: types.result,
    };
    (function.call)(&mut context, arguments).ok()
}

/// A running call as its functions see it.
struct Running<'r, 'e, 't>(&'r Exec<'e, 't>);

impl Moment for Running<'_, '_, '_> {
    fn now_us(&self) -> i64 {
        self.0.tx.now_us()
    }

    fn statement_us(&self) -> i64 {
        self.0.tx.statement_us()
    }

    fn random(&self) -> u64 {
        self.0.tx.random()
    }

    fn io(&self) -> &IoContext {
        io(self.0)
    }
}

/// What reading and writing the text form of values depends on, looked up at first use.
#[inline]
fn io<'r>(exec: &'r Exec<'_, '_>) -> &'r IoContext {
    exec.io.get_or_init(|| io_context(exec))
}

#[cold]
fn io_context(exec: &Exec<'_, '_>) -> IoContext {
    let labels = Some(exec.services.schema() as std::sync::Arc<dyn tuplix_types::EnumLabels>);
    let settings = IoContext::of_settings(|name| exec.services.setting(name).map(String::from));
    IoContext { now: exec.tx.now_us(), labels, ..settings }
}

/// The text form of a value; the names of tables and other objects for their ids.
pub(crate) fn to_text(exec: &Exec<'_, '_>, ty: TypeId, value: &Value) -> String {
    if let Value::Oid(oid) = value
        && ty.is_object_name()
        && let Some(name) = exec.services.object_name(ty, *oid)
    {
        return name.to_string();
    }
    tuplix_types::text_io::to_text(ty, value, io(exec))
}

/// The value that a text spells.
pub(crate) fn from_text(exec: &mut Exec<'_, '_>, ty: TypeId, typmod: i32, text: &str) -> Run<Value> {
    if ty.is_user() {
        let (schema, io) = (exec.services.schema(), io(exec).clone());
        let mut check = |domain, value: &Value| check_domain(exec, domain, value);
        return user_types::parse(&schema.catalog, &io, (ty, typmod), text, &mut check);
    }
    if ty.is_object_name()
        && let Some(oid) = exec.services.object_id(ty, text)?
    {
        return Ok(Value::Oid(oid));
    }
    Ok(parse_text(ty, typmod, text, io(exec))?)
}

/// Whether a value is one of a domain; its constraints run as a function.
pub(crate) fn check_domain(exec: &mut Exec<'_, '_>, domain: TypeId, value: &Value) -> Run<()> {
    let function = exec.services.compiled_function(FunctionId(domain.0))?;
    let called = function.call_scalar(exec, std::slice::from_ref(value));
    called.map(|_| ()).map_err(|stop| match stop {
        Stop::Error(error) => Stop::Error(without_own_lines(error)),
        Stop::Restart => Stop::Restart,
    })
}

/// That a domain's constraints run as a function is nobody's business: its lines are taken out of the context.
fn without_own_lines(mut error: SqlError) -> SqlError {
    if let Some(context) = &mut error.fields_mut().context
        && let Some(at) = context.rfind("SQL statement \"SELECT $1::")
    {
        context.truncate(at.saturating_sub(1));
        if context.is_empty() {
            error.fields_mut().context = None;
        }
    }
    error
}

/// A client's argument as the engine keeps it: it gives values of users' types as texts.
pub(crate) fn argument(exec: &mut Exec<'_, '_>, ty: TypeId, value: &Value) -> Run<Value> {
    match value {
        Value::Text(text) if ty.is_user() => from_text(exec, ty, -1, text),
        Value::Array(array) if ty.is_user() => {
            let element = ty.element().unwrap_or(ty);
            let elements: Run<Vec<Value>> =
                array.elements.iter().map(|item| argument(exec, element, item)).collect();
            let dimensions = array.dimensions.clone();
            Ok(Value::Array(std::sync::Arc::new(Array { element, dimensions, elements: elements? })))
        }
        _ if ty.is_domain() => check_domain(exec, ty, value).map(|()| value.clone()),
        _ => Ok(value.clone()),
    }
}

/// A value as another type through its text form.
pub(crate) fn via_text(
    exec: &mut Exec<'_, '_>,
    value: &Value,
    from: TypeId,
    to: TypeId,
    typmod: i32,
) -> Run<Value> {
    if value.is_null() && !to.is_domain() {
        return Ok(Value::Null);
    }
    if value.is_null() {
        return check_domain(exec, to, value).map(|()| Value::Null);
    }
    match value {
        Value::Text(text) if from.is_text_like() || from == TypeId::UNKNOWN => {
            from_text(exec, to, typmod, text)
        }
        _ => {
            let text = to_text(exec, from, value);
            from_text(exec, to, typmod, &text)
        }
    }
}

/// A value as another type where the types are known only when code runs (EXECUTE ... INTO): an assignment's cast.
pub(crate) fn coerce(
    exec: &mut Exec<'_, '_>,
    value: Value,
    from: TypeId,
    to: TypeId,
    typmod: i32,
) -> Run<Value> {
    let keeps = value.is_null() && !to.is_domain();
    if keeps || (from == to && typmod < 0) || to == TypeId::RECORD {
        return Ok(value);
    }
    let both_text = from.is_text_like() && to.is_text_like();
    if both_text && typmod < 0 {
        return Ok(value);
    }
    if to.is_user() || from.is_user() {
        return via_text(exec, &value, from, to, typmod);
    }
    match tuplix_functions::find_cast(from, to, tuplix_functions::CastContext::Assignment) {
        Some(tuplix_functions::CastMethod::Binary) if typmod < 0 => Ok(value),
        Some(tuplix_functions::CastMethod::Function(function)) if function.args.len() == 1 && typmod < 0 => {
            let types = CallTypes { arguments: [from].into(), result: to };
            call(exec, function, &types, &[value])
        }
        _ => Ok(via_text(exec, &value, from, to, typmod)?),
    }
}
