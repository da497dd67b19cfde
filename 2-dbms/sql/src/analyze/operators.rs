//! Operators and the constructs that the grammar writes as one: IN, LIKE, BETWEEN, ANY (`transformAExpr*`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, Node};
use tuplix_functions::Function;
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::{Analyzer, coerce, nodes};
use crate::plan::{Expr, ExprKind};

impl Analyzer<'_> {
    pub(super) fn operator_expression(&mut self, node: &AExpr) -> Result<Expr> {
        let names = nodes::strings(&node.name);
        let name = names.last().copied().unwrap_or_default();
        let (left, right) = (node.lexpr.as_deref(), node.rexpr.as_deref());
        match AExprKind::try_from(node.kind) {
            Ok(
                AExprKind::AexprOp | AExprKind::AexprLike | AExprKind::AexprIlike | AExprKind::AexprSimilar,
            ) => self.plain_operator(name, left, right, node.location),
            Ok(AExprKind::AexprOpAny) => self.any_all(name, left, right, false, node.location),
            Ok(AExprKind::AexprOpAll) => self.any_all(name, left, right, true, node.location),
            Ok(AExprKind::AexprDistinct) => self.distinct_from(left, right, false, node.location),
            Ok(AExprKind::AexprNotDistinct) => self.distinct_from(left, right, true, node.location),
            Ok(AExprKind::AexprNullif) => self.null_if(left, right, node.location),
            Ok(AExprKind::AexprIn) => self.in_list(left, right, name == "<>", node.location),
            Ok(
                kind @ (AExprKind::AexprBetween
                | AExprKind::AexprNotBetween
                | AExprKind::AexprBetweenSym
                | AExprKind::AexprNotBetweenSym),
            ) => self.between(kind, left, right, node.location),
            _ => Err(self.unsupported("this operator expression", node.location)),
        }
    }

    fn plain_operator(
        &mut self,
        name: &str,
        left: Option<&Node>,
        right: Option<&Node>,
        location: i32,
    ) -> Result<Expr> {
        if let (Some(left), Some(right)) = (left, right)
            && let (Some(NodeEnum::RowExpr(_)), Some(kind)) = (&left.node, &right.node)
        {
            match kind {
                NodeEnum::SubLink(link)
                    if link.sub_link_type == pg_query::protobuf::SubLinkType::ExprSublink as i32 =>
                {
                    return self.row_subquery(name, left, link, location);
                }
                NodeEnum::RowExpr(_) => {
                    let left = self.row(left)?;
                    let right = self.row(right)?;
                    return self.compare_rows(name, left, right, location);
                }
                _ => {}
            }
        }
        let left = left.map(|node| self.expression(node)).transpose()?;
        let right = self.operand(right)?;
        self.operator(name, left, right, location)
    }

    /// Two analysed operands joined by an operator; one for a prefix operator.
    pub(super) fn operator(
        &mut self,
        name: &str,
        left: Option<Expr>,
        right: Expr,
        location: i32,
    ) -> Result<Expr> {
        let at = self.at(location);
        if let (Some(left), ExprKind::Row(_)) = (&left, &right.kind)
            && let ExprKind::Row(_) = &left.kind
        {
            let (left, right) = (left.clone(), right);
            return match (left.kind, right.kind) {
                (ExprKind::Row(left), ExprKind::Row(right)) => self.compare_rows(name, left, right, location),
                _ => Err(nodes::missing()),
            };
        }
        let left_type = left.as_ref().map(|left| left.ty);
        let resolved = self.resolver().operator(name, left_type, right.ty).map_err(|error| error.at(at))?;
        let position = left.as_ref().and_then(|left| left.position).or(at).or(right.position);
        let mut arguments = Vec::with_capacity(2);
        for (operand, ty) in left.into_iter().chain([right]).zip(&resolved.args) {
            arguments.push(self.implicit(operand, *ty)?);
        }
        let call = coerce::call(resolved.function, arguments, resolved.result);
        Ok(Expr { position, ..call })
    }

    /// The function of an operator over two types that need no coercion.
    pub(super) fn equality(&self, ty: TypeId, position: Option<u32>) -> Result<&'static Function> {
        let resolved = self.resolver().operator("=", Some(ty), ty).map_err(|error| error.at(position))?;
        Ok(resolved.function)
    }

    /// `left op ANY (array)`
    fn any_all(
        &mut self,
        name: &str,
        left: Option<&Node>,
        right: Option<&Node>,
        all: bool,
        location: i32,
    ) -> Result<Expr> {
        let left = self.operand(left)?;
        let array = self.operand(right)?;
        self.array_operator(name, left, array, all, location)
    }

    /// As [`Self::any_all`] over analysed operands.
    pub(super) fn array_operator(
        &mut self,
        name: &str,
        left: Expr,
        array: Expr,
        all: bool,
        location: i32,
    ) -> Result<Expr> {
        let at = self.at(location);
        let wrong = |message: &str| SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).at(at);
        let element = match array.ty {
            TypeId::UNKNOWN => TypeId::UNKNOWN,
            ty => self.element(ty).ok_or_else(|| wrong("op ANY/ALL (array) requires array on right side"))?,
        };
        let resolved =
            self.resolver().operator(name, Some(left.ty), element).map_err(|error| error.at(at))?;
        if resolved.result != TypeId::BOOL {
            return Err(wrong("op ANY/ALL (array) requires operator to yield boolean"));
        }
        let position = left.position.or(at);
        let left = self.implicit(left, resolved.args[0])?;
        let wanted = resolved.args[1].array_of().ok_or_else(|| {
            let message = format!("could not find array type for data type {}", resolved.args[1]);
            SqlError::new(sqlstate::UNDEFINED_OBJECT, message).at(at)
        })?;
        let array = self.implicit(array, wanted)?;
        let function = resolved.function;
        let kind = ExprKind::AnyAll { left: Box::new(left), array: Box::new(array), function, all };
        Ok(Expr { kind, ty: TypeId::BOOL, typmod: -1, position })
    }

    fn distinct_from(
        &mut self,
        left: Option<&Node>,
        right: Option<&Node>,
        negated: bool,
        location: i32,
    ) -> Result<Expr> {
        let left = self.operand(left)?;
        let right = self.operand(right)?;
        let is_null = |expr: &Expr| matches!(expr.kind, ExprKind::Constant(Value::Null));
        // IS DISTINCT FROM NULL is IS NOT NULL.
        if is_null(&right) || is_null(&left) {
            let argument = if is_null(&right) { left } else { right };
            let kind = ExprKind::IsNull { argument: Box::new(argument), negated: !negated };
            return Ok(self.made(kind, TypeId::BOOL, location));
        }
        if let (ExprKind::Row(lefts), ExprKind::Row(rights)) = (&left.kind, &right.kind) {
            if lefts.len() != rights.len() {
                let message = "unequal number of entries in row expressions";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(location)));
            }
            let pairs: Vec<(Expr, Expr)> = lefts.iter().cloned().zip(rights.iter().cloned()).collect();
            let fields: Result<Vec<Expr>> =
                pairs.into_iter().map(|(l, r)| self.distinct_values(l, r, negated, location)).collect();
            let kind = if negated { ExprKind::And(fields?) } else { ExprKind::Or(fields?) };
            return Ok(self.made(kind, TypeId::BOOL, location));
        }
        self.distinct_values(left, right, negated, location)
    }

    fn distinct_values(&mut self, left: Expr, right: Expr, negated: bool, location: i32) -> Result<Expr> {
        let at = self.at(location);
        let resolved =
            self.resolver().operator("=", Some(left.ty), right.ty).map_err(|error| error.at(at))?;
        let position = left.position.or(at);
        let left = Box::new(self.implicit(left, resolved.args[0])?);
        let right = Box::new(self.implicit(right, resolved.args[1])?);
        let kind = ExprKind::IsDistinct { left, right, equal: resolved.function, negated };
        Ok(Expr { kind, ty: TypeId::BOOL, typmod: -1, position })
    }

    fn null_if(&mut self, left: Option<&Node>, right: Option<&Node>, location: i32) -> Result<Expr> {
        let left = self.operand(left)?;
        let right = self.operand(right)?;
        let at = self.at(location);
        let resolved =
            self.resolver().operator("=", Some(left.ty), right.ty).map_err(|error| error.at(at))?;
        // The result is the left side as the comparison sees it.
        let left = self.implicit(left, resolved.args[0])?;
        let equal = self.operator("=", Some(left.clone()), right, location)?;
        let ty = left.ty;
        Ok(Expr {
            kind: ExprKind::NullIf { left: Box::new(left), equal: Box::new(equal) },
            ty,
            typmod: -1,
            position: at,
        })
    }

    /// `x IN (a, b, c)`: one array operator where all have one type, else a chain of comparisons.
    fn in_list(
        &mut self,
        left: Option<&Node>,
        right: Option<&Node>,
        negated: bool,
        location: i32,
    ) -> Result<Expr> {
        let NodeEnum::List(list) = nodes::required(right)? else { return Err(nodes::missing()) };
        let left_node = left.ok_or_else(nodes::missing)?;
        let left = self.expression(left_node)?;
        let items = self.expressions(&list.items)?;
        let name = if negated { "<>" } else { "=" };
        let types: Vec<TypeId> = items.iter().map(|item| item.ty).chain([left.ty]).collect();
        let simple = |ty: &TypeId| !ty.is_row() && ty.element().is_none();
        if items.len() > 1
            && types.iter().all(simple)
            && let Ok(common) = self.resolver().common_type("IN", &types)
            && let Some(array_type) = common.array_of()
        {
            let position = items[0].position;
            let elements: Result<Vec<Expr>> =
                items.into_iter().map(|item| self.implicit(item, common)).collect();
            let kind = ExprKind::Array { elements: elements?, multidimensional: false };
            let array = Expr { kind, ty: array_type, typmod: -1, position };
            return self.array_operator(name, left, array, negated, location);
        }
        let position = left.position;
        let mut comparisons = Vec::with_capacity(items.len());
        for item in items {
            let comparison = self.operator(name, Some(left.clone()), item, location)?;
            comparisons.push(self.boolean(comparison, "IN")?);
        }
        let kind = match (comparisons.pop(), comparisons.is_empty()) {
            (Some(only), true) => return Ok(only),
            (Some(last), false) => {
                comparisons.push(last);
                if negated { ExprKind::And(comparisons) } else { ExprKind::Or(comparisons) }
            }
            (None, _) => return Err(nodes::missing()),
        };
        Ok(Expr { kind, ty: TypeId::BOOL, typmod: -1, position })
    }

    fn between(
        &mut self,
        kind: AExprKind,
        left: Option<&Node>,
        right: Option<&Node>,
        location: i32,
    ) -> Result<Expr> {
        let NodeEnum::List(list) = nodes::required(right)? else { return Err(nodes::missing()) };
        let [low, high] = &list.items[..] else { return Err(nodes::missing()) };
        let left = left.ok_or_else(nodes::missing)?;
        // Analysed once for each comparison, so that a subquery in it has relations of its own.
        let mut one = |a: &Node, op: &str, b: &Node| -> Result<Expr> {
            let a = self.expression(a)?;
            let b = self.expression(b)?;
            self.operator(op, Some(a), b, location)
        };
        let mut bounds = |low: &Node, high: &Node, outside: bool| -> Result<ExprKind> {
            let (above, below) = if outside { ("<", ">") } else { (">=", "<=") };
            let both = vec![one(left, above, low)?, one(left, below, high)?];
            Ok(if outside { ExprKind::Or(both) } else { ExprKind::And(both) })
        };
        let whole = match kind {
            AExprKind::AexprBetween => bounds(low, high, false)?,
            AExprKind::AexprNotBetween => bounds(low, high, true)?,
            _ => {
                let outside = kind == AExprKind::AexprNotBetweenSym;
                let first = Expr::new(bounds(low, high, outside)?, TypeId::BOOL);
                let second = Expr::new(bounds(high, low, outside)?, TypeId::BOOL);
                if outside { ExprKind::And(vec![first, second]) } else { ExprKind::Or(vec![first, second]) }
            }
        };
        Ok(self.made(whole, TypeId::BOOL, nodes::location(left)))
    }
}
