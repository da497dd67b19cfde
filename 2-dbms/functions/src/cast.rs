//! Doing a cast: what [`CastMethod`] says, on a value.
//!
//! Executors compile casts themselves; this is the plain way, which they may call for all but the hottest.

use tuplix_types::{Array, Result, SqlError, TypeId, Value, sqlstate, text_io};

use crate::CallContext;
use crate::registry::{CastContext, CastMethod};
use crate::resolve::Resolver;

impl Resolver<'_> {
    /// Casts a value from one type to another, without a type modifier.
    ///
    /// # Errors
    /// 42846 when there is no such cast in this context, and whatever the conversion itself says.
    pub fn cast_value(
        &self,
        context: &mut CallContext<'_>,
        value: &Value,
        from: TypeId,
        to: TypeId,
        allowed: CastContext,
    ) -> Result<Value> {
        let method = self.find_cast(from, to, allowed).ok_or_else(|| {
            let message = format!("cannot cast type {} to {}", self.types.name(from), self.types.name(to));
            SqlError::new(sqlstate::CANNOT_COERCE, message)
        })?;
        self.apply_cast(context, value, from, to, method, allowed == CastContext::Explicit)
    }

    /// Does a cast that [`Resolver::find_cast`] has found.
    pub fn apply_cast(
        &self,
        context: &mut CallContext<'_>,
        value: &Value,
        from: TypeId,
        to: TypeId,
        method: CastMethod,
        explicit: bool,
    ) -> Result<Value> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        match method {
            CastMethod::Binary => Ok(value.clone()),
            CastMethod::Function(function) => {
                let args = [value.clone(), Value::Int4(-1), Value::Bool(explicit)];
                (function.call)(context, &args[..function.args.len().min(3)])
            }
            CastMethod::InOut => from_text(context, &to_text(context, value, from), to),
            CastMethod::Array => self.cast_elements(context, value, (from, to), explicit),
        }
    }

    fn cast_elements(
        &self,
        context: &mut CallContext<'_>,
        value: &Value,
        types: (TypeId, TypeId),
        explicit: bool,
    ) -> Result<Value> {
        let elements =
            (self.types.element(self.types.base(types.0)), self.types.element(self.types.base(types.1)));
        let (Value::Array(array), (Some(from), Some(to))) = (value, elements) else {
            return Err(SqlError::internal("an array cast met a value that is no array"));
        };
        let allowed = if explicit { CastContext::Explicit } else { CastContext::Assignment };
        let cast = |element: &Value| self.cast_value(context, element, from, to, allowed);
        let elements = array.elements.iter().map(cast).collect::<Result<_>>()?;
        Ok(Value::Array(std::sync::Arc::new(Array {
            element: to,
            dimensions: array.dimensions.clone(),
            elements,
        })))
    }
}

/// A value's output text, names of objects by the session.
pub fn to_text(context: &CallContext<'_>, value: &Value, id: TypeId) -> String {
    if let Value::Oid(oid) = value
        && id.is_object_name()
        && let Some(name) = context.session.object_name(id, *oid)
    {
        return name.into();
    }
    text_io::to_text(id, value, context.moment.io())
}

/// The value of a type that a text spells; types of users and names of objects by the session.
///
/// # Errors
/// The input function's.
pub fn from_text(context: &CallContext<'_>, text: &str, id: TypeId) -> Result<Value> {
    if id.is_object_name()
        && let Some(oid) = context.session.object_id(id, text)?
    {
        return Ok(Value::Oid(oid));
    }
    if id.display_name().is_none() {
        return context.session.parse_user_type(id, text);
    }
    text_io::parse_text(id, -1, text, context.moment.io())
}
