//! Coercions: making a value the type that a place demands (`parse_coerce.c`).

use tuplix_functions::{CallContext, CastContext, CastMethod, Function, NoMoment, NoSession, Volatility};
use tuplix_types::text_io::{self, IoContext};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::Analyzer;
use crate::plan::{Expr, ExprKind};

impl Analyzer<'_> {
    /// `expr` as a `to` with a modifier; `None` when the context does not allow that.
    pub(super) fn coerce(
        &mut self,
        expr: Expr,
        to: TypeId,
        typmod: i32,
        context: CastContext,
    ) -> Result<Option<Expr>> {
        let given = (expr.ty, expr.typmod);
        let Some(coerced) = self.coerce_type(expr, to, typmod, context)? else { return Ok(None) };
        if typmod < 0 || given == (to, typmod) {
            return Ok(Some(coerced));
        }
        self.apply_modifier(coerced, typmod, context == CastContext::Explicit).map(Some)
    }

    /// As [`Self::coerce`] without the modifier, which only functions that do both at once get to see.
    fn coerce_type(
        &mut self,
        expr: Expr,
        to: TypeId,
        typmod: i32,
        context: CastContext,
    ) -> Result<Option<Expr>> {
        if expr.ty == to || to == TypeId::ANY {
            return Ok(Some(expr));
        }
        let position = expr.position;
        if to.is_domain() {
            return self.cast_to_domain(expr, to, context);
        }
        let expr = self.without_domain(expr);
        if expr.ty == to {
            return Ok(Some(expr));
        }
        if expr.ty == TypeId::UNKNOWN {
            match expr.kind {
                ExprKind::Constant(value) => {
                    // `interval '5' month`: the fields say what the number is.
                    let typmod = if to == TypeId::INTERVAL { typmod } else { -1 };
                    return self.literal(value, (to, typmod), position).map(Some);
                }
                ExprKind::Parameter(index) => {
                    self.settle_parameter(index, to, position)?;
                    return Ok(Some(Expr { ty: to, ..expr }));
                }
                _ => {}
            }
        }
        if to.is_composite() && expr.ty.is_row() {
            return self.cast_to_composite(expr, to, context);
        }
        let Some(method) = self.resolver().find_cast(expr.ty, to, context) else { return Ok(None) };
        let kind = match method {
            CastMethod::Binary => return Ok(Some(relabel(expr, to))),
            CastMethod::InOut => ExprKind::CastViaText(Box::new(expr)),
            CastMethod::Function(function) => {
                let explicit = context == CastContext::Explicit;
                let mut arguments = vec![expr];
                if function.args.len() > 1 {
                    arguments.push(Expr::constant(Value::Int4(typmod), TypeId::INT4));
                }
                if function.args.len() > 2 {
                    arguments.push(Expr::constant(Value::Bool(explicit), TypeId::BOOL));
                }
                let call = call(function, arguments, to);
                return Ok(Some(Expr { position, ..call }));
            }
            CastMethod::Array => {
                let (Some(from_element), Some(to_element)) = (expr.ty.element(), to.element()) else {
                    return Ok(None);
                };
                let operand = Expr::new(ExprKind::CaseOperand, from_element);
                let Some(element) = self.coerce(operand, to_element, typmod, context)? else {
                    return Ok(None);
                };
                ExprKind::CastElements { array: Box::new(expr), element: Box::new(element) }
            }
        };
        Ok(Some(Expr { kind, ty: to, typmod: -1, position }))
    }

    /// Cuts or checks a value by a type modifier.
    fn apply_modifier(&mut self, expr: Expr, typmod: i32, explicit: bool) -> Result<Expr> {
        let position = expr.position;
        if let Some(element) = expr.ty.element() {
            let Some(_) = self.resolver().length_coercion(element) else { return Ok(expr) };
            let cast = self.apply_modifier(Expr::new(ExprKind::CaseOperand, element), typmod, explicit)?;
            let ty = expr.ty;
            let kind = ExprKind::CastElements { array: Box::new(expr), element: Box::new(cast) };
            return Ok(Expr { kind, ty, typmod, position });
        }
        let Some(function) = self.resolver().length_coercion(expr.ty) else {
            return Ok(Expr { typmod, ..expr });
        };
        if !function.implemented {
            return Err(SqlError::unsupported(format_args!("a type modifier of {}", expr.ty)).at(position));
        }
        let ty = expr.ty;
        let mut arguments = vec![expr, Expr::constant(Value::Int4(typmod), TypeId::INT4)];
        if function.args.len() > 2 {
            arguments.push(Expr::constant(Value::Bool(explicit), TypeId::BOOL));
        }
        let call = call(function, arguments, ty);
        Ok(Expr { typmod, position, ..call })
    }

    /// An untyped literal as a value of a type.
    fn literal(&mut self, value: Value, (to, typmod): (TypeId, i32), position: Option<u32>) -> Result<Expr> {
        let made = |value| Ok(Expr { position, ..Expr::constant(value, to) });
        let Some(text) = value.as_str() else { return made(Value::Null) };
        if let Some(constant) = self.user_literal(text, to, position)? {
            return made(constant);
        }
        match to {
            TypeId::TEXT | TypeId::VARCHAR | TypeId::UNKNOWN => return made(value),
            TypeId::REGCLASS => {
                if let Some(constant) = self.regclass(text, position)? {
                    return made(constant);
                }
            }
            _ if reads_session(to, text) => {}
            _ => {
                let read = text_io::parse_text(to, typmod, text, &IoContext::default());
                return made(read.map_err(|error| error.at(position))?);
            }
        }
        let kind = ExprKind::CastViaText(Box::new(Expr { position, ..Expr::constant(value, TypeId::TEXT) }));
        Ok(Expr { kind, ty: to, typmod: -1, position })
    }

    /// The object id of a relation's name; `None` when only the engine knows it.
    fn regclass(&self, text: &str, position: Option<u32>) -> Result<Option<Value>> {
        if let Ok(oid) = text.trim().parse::<u32>() {
            return Ok(Some(Value::Oid(oid)));
        }
        if text == "-" {
            return Ok(Some(Value::Oid(0)));
        }
        if let Some(oid) = self.relation_oid(text) {
            return Ok(Some(Value::Oid(oid)));
        }
        let names = super::scope::split_identifier(text)
            .ok_or_else(|| SqlError::new(sqlstate::INVALID_NAME, "invalid name syntax").at(position))?;
        let (schema, name) = match &names[..] {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            _ => {
                let message = format!("improper relation name (too many dotted names): {text}");
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
            }
        };
        self.find_relation(schema, name, position).map(|_| None)
    }

    /// `expr` implicitly as a `to`, which the rules said is possible.
    pub(super) fn implicit(&mut self, expr: Expr, to: TypeId) -> Result<Expr> {
        let (from, position) = (expr.ty, expr.position);
        self.coerce(expr, to, -1, CastContext::Implicit)?.ok_or_else(|| {
            let message = format!("cannot cast type {from} to {to}");
            SqlError::new(sqlstate::CANNOT_COERCE, message).at(position)
        })
    }

    /// A written cast.
    pub(super) fn explicit(
        &mut self,
        expr: Expr,
        to: TypeId,
        typmod: i32,
        position: Option<u32>,
    ) -> Result<Expr> {
        let from = expr.ty;
        let coerced = self.coerce(expr, to, typmod, CastContext::Explicit)?;
        coerced.ok_or_else(|| {
            let message = format!("cannot cast type {from} to {to}");
            SqlError::new(sqlstate::CANNOT_COERCE, message).at(position)
        })
    }

    /// A value for a column, with PostgreSQL's error when it does not fit.
    pub(super) fn assign(&mut self, expr: Expr, name: &str, to: TypeId, typmod: i32) -> Result<Expr> {
        let (from, position) = (expr.ty, expr.position);
        let coerced = self.coerce(expr, to, typmod, CastContext::Assignment)?;
        coerced.ok_or_else(|| {
            let message = format!("column \"{name}\" is of type {to} but expression is of type {from}");
            SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(position)
        })
    }

    /// A value that must be of one type: `argument of WHERE must be type boolean, not type integer`.
    pub(super) fn specific(&mut self, expr: Expr, to: TypeId, construct: &str) -> Result<Expr> {
        let (from, position) = (expr.ty, expr.position);
        if returns_set(&expr) {
            let message = format!("argument of {construct} must not return a set");
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
        }
        let coerced = self.coerce(expr, to, -1, CastContext::Assignment)?;
        coerced.ok_or_else(|| {
            let message = format!("argument of {construct} must be type {to}, not type {from}");
            SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position)
        })
    }

    /// A condition.
    pub(super) fn boolean(&mut self, expr: Expr, construct: &str) -> Result<Expr> {
        self.specific(expr, TypeId::BOOL, construct)
    }

    /// Expressions coerced to their common type.
    pub(super) fn common(&mut self, construct: &str, exprs: Vec<Expr>) -> Result<(TypeId, Vec<Expr>)> {
        let types: Vec<TypeId> = exprs.iter().map(|expr| expr.ty).collect();
        let chosen = self.common_type(construct, &types, |index| exprs[index].position)?;
        let coerced: Result<Vec<Expr>> = exprs.into_iter().map(|expr| self.implicit(expr, chosen)).collect();
        Ok((chosen, coerced?))
    }

    /// The common type of expressions, with the error at the first that does not fit.
    pub(super) fn common_type(
        &self,
        construct: &str,
        types: &[TypeId],
        position: impl Fn(usize) -> Option<u32>,
    ) -> Result<TypeId> {
        self.resolver().common_type(construct, types).map_err(|error| {
            let fails = |count: &usize| self.resolver().common_type(construct, &types[..*count]).is_err();
            let culprit = (1..types.len()).find(fails).unwrap_or(types.len());
            error.at(position(culprit.saturating_sub(1)))
        })
    }

    /// An untyped literal or parameter that nothing else decides is `text`.
    pub(super) fn settle_unknown(&mut self, expr: Expr) -> Result<Expr> {
        if expr.ty == TypeId::UNKNOWN { self.implicit(expr, TypeId::TEXT) } else { Ok(expr) }
    }
}

/// Whether an expression gives a set.
pub(super) fn returns_set(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call { function, .. } if function.returns_set)
}

/// The same value seen as another type.
pub(super) fn relabel(expr: Expr, to: TypeId) -> Expr {
    let position = expr.position;
    let from_text = expr.ty.is_text_like() && to.is_text_like();
    match expr.kind {
        ExprKind::Constant(value) if from_text || value.is_null() => {
            Expr { position, ..Expr::constant(value, to) }
        }
        // A relabelled integer is an object id's value.
        ExprKind::Constant(Value::Int4(number)) if to == TypeId::OID || to.is_object_name() => {
            Expr { position, ..Expr::constant(Value::Oid(number.cast_unsigned()), to) }
        }
        ExprKind::Relabel(inner) => Expr { kind: ExprKind::Relabel(inner), ty: to, typmod: -1, position },
        kind => {
            let inner = Expr { kind, ..Expr::constant(Value::Null, expr.ty) };
            let inner = Expr { typmod: expr.typmod, position, ..inner };
            Expr { kind: ExprKind::Relabel(Box::new(inner)), ty: to, typmod: -1, position }
        }
    }
}

/// A call, done now when its answer can never change; errors are left to happen when it runs.
pub(super) fn call(function: &'static Function, arguments: Vec<Expr>, ty: TypeId) -> Expr {
    if let Some(value) = fold(function, &arguments, ty) {
        return Expr::constant(value, ty);
    }
    Expr::new(ExprKind::Call { function, arguments }, ty)
}

fn fold(function: &'static Function, arguments: &[Expr], ty: TypeId) -> Option<Value> {
    let foldable = function.volatility == Volatility::Immutable
        && function.implemented
        && !function.engine
        && !function.returns_set
        && function.kind == tuplix_functions::FunctionKind::Scalar;
    if !foldable {
        return None;
    }
    let constant = |expr: &Expr| match &expr.kind {
        ExprKind::Constant(value) => Some(value.clone()),
        _ => None,
    };
    let values: Vec<Value> = arguments.iter().map(constant).collect::<Option<_>>()?;
    if function.strict && values.iter().any(Value::is_null) {
        return Some(Value::Null);
    }
    let arg_types: Vec<TypeId> = arguments.iter().map(|argument| argument.ty).collect();
    // An immutable function asks neither for the clock nor for randomness.
    let moment = NoMoment::default();
    let mut context =
        CallContext { moment: &moment, session: &NoSession, arg_types: &arg_types, result_type: ty };
    (function.call)(&mut context, &values).ok()
}

/// Whether reading a literal of this type needs the session: its clock, time zone, `DateStyle` or object names.
fn reads_session(to: TypeId, text: &str) -> bool {
    let bytes = text.as_bytes();
    let iso = bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-';
    match to {
        TypeId::TIMESTAMPTZ => true,
        _ if to.is_user() => true,
        _ if to.is_object_name() => true,
        TypeId::DATE | TypeId::TIMESTAMP => !iso,
        // 'now' and 'allballs'.
        TypeId::TIME => !bytes.iter().any(u8::is_ascii_digit),
        TypeId::RECORD => true,
        other => other.element().is_some_and(|element| {
            let dated = matches!(element, TypeId::DATE | TypeId::TIME | TypeId::TIMESTAMP);
            dated || reads_session(element, text)
        }),
    }
}
