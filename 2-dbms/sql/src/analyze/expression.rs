//! Expressions: constants, casts, conditions, arrays, rows (`parse_expr.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    AArrayExpr, AConst, AIndirection, BoolExpr, BoolExprType, BoolTestType, BooleanTest, CaseExpr, MinMaxOp,
    Node, NullTest, NullTestType, SqlValueFunction, SqlValueFunctionOp, TypeCast, a_const,
};
use tuplix_functions::CastContext;
use tuplix_types::{Numeric, Result, SqlError, TypeId, Value, sqlstate};

use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind, Subscript};

impl Analyzer<'_> {
    /// Analyses an expression. Untyped literals stay [`TypeId::UNKNOWN`] until their place decides.
    pub(super) fn expression(&mut self, node: &Node) -> Result<Expr> {
        match nodes::inner(node)? {
            NodeEnum::AConst(constant) => self.constant(constant),
            NodeEnum::ColumnRef(reference) => self.column_reference(reference),
            NodeEnum::ParamRef(parameter) => self.parameter(parameter),
            NodeEnum::AExpr(operator) => self.operator_expression(operator),
            NodeEnum::BoolExpr(expr) => self.logic(expr),
            NodeEnum::FuncCall(call) => self.function_call(call),
            NodeEnum::TypeCast(cast) => self.type_cast(cast),
            NodeEnum::NullTest(test) => self.null_test(test),
            NodeEnum::BooleanTest(test) => self.boolean_test(test),
            NodeEnum::CaseExpr(case) => self.case(case),
            NodeEnum::CoalesceExpr(expr) => self.coalesce(&expr.args, expr.location),
            NodeEnum::MinMaxExpr(expr) => {
                let greatest = expr.op == MinMaxOp::IsGreatest as i32;
                let arguments = self.expressions(&expr.args)?;
                let (ty, arguments) = self.common(if greatest { "GREATEST" } else { "LEAST" }, arguments)?;
                // The type must have an order.
                self.resolver()
                    .operator("<", Some(ty), ty)
                    .map_err(|_| no_comparison(ty).at(self.at(expr.location)))?;
                Ok(self.made(ExprKind::MinMax { greatest, arguments }, ty, expr.location))
            }
            NodeEnum::SqlvalueFunction(function) => self.sql_value(function),
            NodeEnum::AArrayExpr(array) => self.array(array, None),
            NodeEnum::RowExpr(row) => {
                let fields = self.row_fields(&row.args)?;
                Ok(self.made(ExprKind::Row(fields), TypeId::RECORD, row.location))
            }
            NodeEnum::AIndirection(indirection) => self.indirection(indirection),
            NodeEnum::SubLink(link) => self.sublink(link),
            NodeEnum::SetToDefault(default) => {
                let message = "DEFAULT is not allowed in this context";
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(default.location)))
            }
            NodeEnum::CollateClause(clause) => self.collate(clause),
            NodeEnum::NamedArgExpr(argument) => {
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, "named argument is not allowed here")
                    .at(self.at(argument.location)))
            }
            NodeEnum::GroupingFunc(function) => self.grouping_function(function),
            NodeEnum::XmlExpr(_) | NodeEnum::XmlSerialize(_) => Err(SqlError::unsupported("XML")),
            NodeEnum::List(list) => {
                let fields = self.row_fields(&list.items)?;
                Ok(Expr::new(ExprKind::Row(fields), TypeId::RECORD))
            }
            other => Err(self.unsupported("this expression", nodes::location_of(other))),
        }
    }

    /// Analyses a list of expressions.
    pub(super) fn expressions(&mut self, list: &[Node]) -> Result<Vec<Expr>> {
        list.iter().map(|node| self.expression(node)).collect()
    }

    /// An expression of a field that the grammar always fills.
    pub(super) fn operand(&mut self, node: Option<&Node>) -> Result<Expr> {
        self.expression(node.ok_or_else(nodes::missing)?)
    }

    /// An expression with its place.
    pub(super) fn made(&self, kind: ExprKind, ty: TypeId, location: i32) -> Expr {
        Expr { kind, ty, typmod: -1, position: self.at(location) }
    }

    fn constant(&mut self, constant: &AConst) -> Result<Expr> {
        let (value, ty) = match &constant.val {
            _ if constant.isnull => (Value::Null, TypeId::UNKNOWN),
            None => (Value::Null, TypeId::UNKNOWN),
            Some(a_const::Val::Ival(number)) => (Value::Int4(number.ival), TypeId::INT4),
            Some(a_const::Val::Fval(number)) => match number.fval.parse::<i64>() {
                // The grammar's `-2147483648` is one constant, written as a float.
                Ok(number) => match i32::try_from(number) {
                    Ok(number) => (Value::Int4(number), TypeId::INT4),
                    Err(_) => (Value::Int8(number), TypeId::INT8),
                },
                Err(_) => {
                    let numeric =
                        Numeric::parse(&number.fval).map_err(|e| e.at(self.at(constant.location)))?;
                    (Value::Numeric(numeric.into()), TypeId::NUMERIC)
                }
            },
            Some(a_const::Val::Boolval(truth)) => (Value::Bool(truth.boolval), TypeId::BOOL),
            Some(a_const::Val::Sval(text)) => (Value::text(text.sval.as_str()), TypeId::UNKNOWN),
            Some(a_const::Val::Bsval(_)) => return Err(self.unsupported("type \"bit\"", constant.location)),
        };
        Ok(self.made(ExprKind::Constant(value), ty, constant.location))
    }

    fn type_cast(&mut self, cast: &TypeCast) -> Result<Expr> {
        let name = cast.type_name.as_ref().ok_or_else(nodes::missing)?;
        let (ty, typmod) = self.type_name(name)?;
        let argument = match cast.arg.as_deref().and_then(|node| node.node.as_ref()) {
            // ARRAY[]::int[] gives its elements their type.
            Some(NodeEnum::AArrayExpr(array)) if self.element(ty).is_some() => {
                self.array(array, Some(self.base(ty)))?
            }
            _ => self.operand(cast.arg.as_deref())?,
        };
        // The location of an error: that of `::` or CAST, as in PostgreSQL.
        let position = if cast.location < 0 { self.at(name.location) } else { self.at(cast.location) };
        let place = argument.position;
        let cast = self.explicit(argument, ty, typmod, position)?;
        Ok(Expr { position: place.or(position), ..cast })
    }

    fn logic(&mut self, expr: &BoolExpr) -> Result<Expr> {
        let (construct, is_not) = match BoolExprType::try_from(expr.boolop) {
            Ok(BoolExprType::AndExpr) => ("AND", false),
            Ok(BoolExprType::OrExpr) => ("OR", false),
            _ => ("NOT", true),
        };
        let mut arguments = Vec::with_capacity(expr.args.len());
        for node in &expr.args {
            let argument = self.expression(node)?;
            arguments.push(self.boolean(argument, construct)?);
        }
        let position = arguments.first().and_then(|first| first.position).or(self.at(expr.location));
        let kind = match (is_not, arguments.pop()) {
            (true, Some(only)) => ExprKind::Not(Box::new(only)),
            (_, Some(last)) => {
                arguments.push(last);
                if construct == "AND" { ExprKind::And(arguments) } else { ExprKind::Or(arguments) }
            }
            (_, None) => return Err(nodes::missing()),
        };
        Ok(Expr { kind, ty: TypeId::BOOL, typmod: -1, position })
    }

    fn null_test(&mut self, test: &NullTest) -> Result<Expr> {
        let argument = self.operand(test.arg.as_deref())?;
        let negated = test.nulltesttype == NullTestType::IsNotNull as i32;
        let location = test.arg.as_deref().map_or(-1, nodes::location);
        Ok(self.made(ExprKind::IsNull { argument: Box::new(argument), negated }, TypeId::BOOL, location))
    }

    fn boolean_test(&mut self, test: &BooleanTest) -> Result<Expr> {
        let (value, negated, construct) = match BoolTestType::try_from(test.booltesttype) {
            Ok(BoolTestType::IsTrue) => (Some(true), false, "IS TRUE"),
            Ok(BoolTestType::IsNotTrue) => (Some(true), true, "IS NOT TRUE"),
            Ok(BoolTestType::IsFalse) => (Some(false), false, "IS FALSE"),
            Ok(BoolTestType::IsNotFalse) => (Some(false), true, "IS NOT FALSE"),
            Ok(BoolTestType::IsUnknown) => (None, false, "IS UNKNOWN"),
            Ok(BoolTestType::IsNotUnknown) => (None, true, "IS NOT UNKNOWN"),
            _ => return Err(nodes::missing()),
        };
        let argument = self.operand(test.arg.as_deref())?;
        let argument = Box::new(self.boolean(argument, construct)?);
        let location = test.arg.as_deref().map_or(-1, nodes::location);
        Ok(self.made(ExprKind::IsBoolean { argument, value, negated }, TypeId::BOOL, location))
    }

    fn case(&mut self, case: &CaseExpr) -> Result<Expr> {
        let operand = case.arg.as_deref().map(|node| self.expression(node)).transpose()?;
        let operand = operand.map(|operand| self.settle_unknown(operand)).transpose()?;
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for node in &case.args {
            let NodeEnum::CaseWhen(when) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let condition = self.operand(when.expr.as_deref())?;
            conditions.push(match &operand {
                Some(operand) => {
                    let left =
                        Expr { position: operand.position, ..Expr::new(ExprKind::CaseOperand, operand.ty) };
                    self.operator("=", Some(left), condition, when.location)?
                }
                None => self.boolean(condition, "CASE/WHEN")?,
            });
            results.push(self.operand(when.result.as_deref())?);
        }
        let otherwise = case.defresult.as_deref().map(|node| self.expression(node)).transpose()?;
        // As in PostgreSQL, ELSE has the first say on the type.
        let has_else = otherwise.is_some();
        let all = otherwise.into_iter().chain(results).collect();
        let (ty, mut all) = self.common("CASE", all)?;
        let otherwise = has_else.then(|| Box::new(all.remove(0)));
        let arms = conditions.into_iter().zip(all).collect();
        Ok(self.made(ExprKind::Case { operand: operand.map(Box::new), arms, otherwise }, ty, case.location))
    }

    fn coalesce(&mut self, args: &[Node], location: i32) -> Result<Expr> {
        let arguments = self.expressions(args)?;
        let (ty, arguments) = self.common("COALESCE", arguments)?;
        Ok(self.made(ExprKind::Coalesce(arguments), ty, location))
    }

    fn sql_value(&mut self, function: &SqlValueFunction) -> Result<Expr> {
        use SqlValueFunctionOp as Op;
        let op = Op::try_from(function.op).map_err(|_| nodes::missing())?;
        let (name, ty) = match op {
            Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN => ("now", TypeId::TIMESTAMPTZ),
            Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN => ("now", TypeId::TIMESTAMP),
            Op::SvfopCurrentDate => ("now", TypeId::DATE),
            Op::SvfopLocaltime | Op::SvfopLocaltimeN => ("now", TypeId::TIME),
            Op::SvfopCurrentRole | Op::SvfopCurrentUser | Op::SvfopUser => ("current_user", TypeId::NAME),
            Op::SvfopSessionUser => ("session_user", TypeId::NAME),
            Op::SvfopCurrentCatalog => ("current_database", TypeId::NAME),
            Op::SvfopCurrentSchema => ("current_schema", TypeId::NAME),
            Op::SvfopCurrentTime | Op::SvfopCurrentTimeN => {
                return Err(self.unsupported("CURRENT_TIME", function.location));
            }
            Op::SqlvalueFunctionOpUndefined => return Err(nodes::missing()),
        };
        let position = self.at(function.location);
        let resolved = self.resolver().function(name, tuplix_functions::CallShape::default(), &[]);
        let resolved = resolved.map_err(|error| error.at(position))?;
        let callee = resolved.function().ok_or_else(nodes::missing)?;
        let value = Expr { position, ..super::coerce::call(callee, Vec::new(), callee.result) };
        self.explicit(value, ty, function.typmod, position)
    }

    /// ARRAY[...]; nested ones make one array of more dimensions.
    fn array(&mut self, array: &AArrayExpr, target: Option<TypeId>) -> Result<Expr> {
        let mut elements = Vec::with_capacity(array.elements.len());
        for node in &array.elements {
            elements.push(match nodes::inner(node)? {
                NodeEnum::AArrayExpr(inner) => self.array(inner, target)?,
                _ => self.expression(node)?,
            });
        }
        let position = self.at(array.location);
        let nested = |expr: &Expr| expr.ty.element().is_some();
        let multidimensional = elements.iter().any(nested);
        let element = match target {
            Some(target) if multidimensional => target,
            Some(target) => target.element().ok_or_else(nodes::missing)?,
            None if elements.is_empty() => {
                return Err(SqlError::new(
                    sqlstate::INDETERMINATE_DATATYPE,
                    "cannot determine type of empty array",
                )
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
                .at(position));
            }
            None => {
                let types: Vec<TypeId> = elements.iter().map(|element| element.ty).collect();
                self.common_type("ARRAY", &types, |index| elements[index].position)?
            }
        };
        let ty = if multidimensional { Some(element) } else { element.array_of() }.ok_or_else(|| {
            let message = format!("could not find array type for data type {element}");
            SqlError::new(sqlstate::UNDEFINED_OBJECT, message).at(position)
        })?;
        let mut coerced = Vec::with_capacity(elements.len());
        for expr in elements {
            coerced.push(match target {
                Some(_) => {
                    let place = expr.position;
                    self.explicit(expr, element, -1, place)?
                }
                None => self.implicit(expr, element)?,
            });
        }
        Ok(Expr { kind: ExprKind::Array { elements: coerced, multidimensional }, ty, typmod: -1, position })
    }

    /// `x[1]`, `(x).f`, `(x).*`
    fn indirection(&mut self, node: &AIndirection) -> Result<Expr> {
        let mut value = self.operand(node.arg.as_deref())?;
        let location = node.arg.as_deref().map_or(-1, nodes::location);
        let mut rest = &node.indirection[..];
        while let Some(first) = rest.first() {
            match nodes::inner(first)? {
                NodeEnum::String(name) => {
                    value = self.field(value, &name.sval, self.at(location))?;
                    rest = &rest[1..];
                }
                NodeEnum::AIndices(_) => {
                    let is_index = |node: &&Node| matches!(node.node, Some(NodeEnum::AIndices(_)));
                    let count = rest.iter().take_while(is_index).count();
                    value = self.subscripts(value, &rest[..count], location)?;
                    rest = &rest[count..];
                }
                _ => {
                    let message = "row expansion via \"*\" is not supported here";
                    return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(self.at(location)));
                }
            }
        }
        Ok(value)
    }

    /// The subscripts in `[...]` after a value, and whether one of them is a slice.
    pub(super) fn subscript_list(&mut self, indices: &[Node]) -> Result<(Vec<Subscript>, bool)> {
        let mut subscripts = Vec::with_capacity(indices.len());
        let mut slice = false;
        for node in indices {
            let NodeEnum::AIndices(index) = nodes::inner(node)? else { return Err(nodes::missing()) };
            slice |= index.is_slice;
            let lower = self.subscript(index.lidx.as_deref())?;
            let upper = self.subscript(index.uidx.as_deref())?;
            subscripts.push(Subscript { lower, upper });
        }
        Ok((subscripts, slice))
    }

    /// `array[i][j]`, `array[a:b]`, `name[i]`
    fn subscripts(&mut self, array: Expr, indices: &[Node], location: i32) -> Result<Expr> {
        let position = self.at(location);
        let array = self.without_domain(array);
        // A name is an array of bytes to PostgreSQL, from 0 on.
        let element = array.ty.element().or((array.ty == TypeId::NAME).then_some(TypeId::CHAR));
        let Some(element) = element else {
            if array.ty == TypeId::JSONB {
                return self.json_subscripts(array, indices);
            }
            let message =
                format!("cannot subscript type {} because it does not support subscripting", array.ty);
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
        };
        let (subscripts, slice) = self.subscript_list(indices)?;
        if slice && array.ty == TypeId::NAME {
            let message = "slices of fixed-length arrays not implemented";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let (ty, typmod) = (if slice { array.ty } else { element }, array.typmod);
        let kind = ExprKind::Subscript { array: Box::new(array), subscripts, slice };
        Ok(Expr { kind, ty, typmod, position })
    }

    pub(super) fn subscript(&mut self, node: Option<&Node>) -> Result<Option<Expr>> {
        let Some(node) = node else { return Ok(None) };
        let expr = self.expression(node)?;
        let position = expr.position;
        match self.coerce(expr, TypeId::INT4, -1, CastContext::Assignment)? {
            Some(index) => Ok(Some(index)),
            None => {
                let message = "array subscript must have type integer";
                Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position))
            }
        }
    }

    /// `jsonb['key'][0]` is `jsonb #> '{key,0}'`.
    fn json_subscripts(&mut self, value: Expr, indices: &[Node]) -> Result<Expr> {
        let mut keys = Vec::with_capacity(indices.len());
        for node in indices {
            let NodeEnum::AIndices(index) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if index.is_slice {
                let message = "jsonb subscript does not support slices";
                return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(value.position));
            }
            let key = self.operand(index.uidx.as_deref())?;
            let key = self.settle_unknown(key)?;
            let (ty, position) = (key.ty, key.position);
            keys.push(match ty {
                TypeId::INT2 | TypeId::INT4 => self.explicit(key, TypeId::TEXT, -1, position)?,
                _ => self.coerce(key, TypeId::TEXT, -1, CastContext::Implicit)?.ok_or_else(|| {
                    let message = format!("subscript type {ty} is not supported");
                    SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
                        .hint("jsonb subscript must be coercible to either integer or text.")
                        .at(position)
                })?,
            });
        }
        let ty = TypeId::TEXT.array_of().ok_or_else(nodes::missing)?;
        let path = Expr::new(ExprKind::Array { elements: keys, multidimensional: false }, ty);
        self.operator("#>", Some(value), path, -1)
    }

    fn collate(&mut self, clause: &pg_query::protobuf::CollateClause) -> Result<Expr> {
        let names = nodes::strings(&clause.collname);
        let argument = self.operand(clause.arg.as_deref())?;
        match names.last() {
            // All text is ordered by bytes.
            Some(&("C" | "POSIX" | "default" | "ucs_basic")) => Ok(argument),
            Some(name) => Err(self.unsupported(format_args!("collation \"{name}\""), clause.location)),
            None => Err(nodes::missing()),
        }
    }
}

/// 42883 for a type that has no order.
pub(super) fn no_comparison(ty: TypeId) -> SqlError {
    let message = format!("could not identify a comparison function for type {ty}");
    SqlError::new(sqlstate::UNDEFINED_FUNCTION, message)
}
