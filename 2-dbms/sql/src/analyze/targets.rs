//! The select list: its expressions and the names of its columns (`parse_target.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{MinMaxOp, Node, ResTarget, SqlValueFunctionOp, SubLinkType};
use tuplix_types::Result;

use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind, OutputColumn};

/// An entry of the select list.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Column name.
    pub name: String,
    /// Value.
    pub value: Expr,
    /// False for one that only ORDER BY needs.
    pub visible: bool,
}

impl Target {
    /// The column that it gives.
    pub(super) fn column(&self) -> OutputColumn {
        OutputColumn { name: self.name.clone(), ty: self.value.ty, typmod: self.value.typmod }
    }

    /// A target that stands for a column of a query that has no select list.
    pub(super) fn placeholder(column: &OutputColumn) -> Target {
        let value = Expr { typmod: column.typmod, ..Expr::new(ExprKind::Default, column.ty) };
        Target { name: column.name.clone(), value, visible: true }
    }
}

impl Analyzer<'_> {
    /// The select list, stars expanded.
    pub(super) fn target_list(&mut self, list: &[Node]) -> Result<Vec<Target>> {
        let mut targets = Vec::with_capacity(list.len());
        for node in list {
            let NodeEnum::ResTarget(target) = nodes::inner(node)? else { return Err(nodes::missing()) };
            match self.star(target)? {
                Some(columns) => {
                    let visible = |(name, value)| Target { name, value, visible: true };
                    targets.extend(columns.into_iter().map(visible));
                }
                None => {
                    let value = self.operand(target.val.as_deref())?;
                    let name = match nodes::non_empty(&target.name) {
                        Some(name) => name.to_owned(),
                        None => column_name(target.val.as_deref()),
                    };
                    targets.push(Target { name, value, visible: true });
                }
            }
        }
        Ok(targets)
    }

    /// The columns of `*`, `t.*`, `(record).*`; `None` for anything else.
    fn star(&mut self, target: &ResTarget) -> Result<Option<Vec<(String, Expr)>>> {
        match target.val.as_deref().and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::ColumnRef(reference)) if Analyzer::is_star(reference) => {
                self.expand_star(reference).map(Some)
            }
            Some(NodeEnum::AIndirection(indirection))
                if matches!(
                    indirection.indirection.last().and_then(|n| n.node.as_ref()),
                    Some(NodeEnum::AStar(_))
                ) =>
            {
                let mut without = (**indirection).clone();
                without.indirection.pop();
                let location = indirection.arg.as_deref().map_or(-1, nodes::location);
                let inner = Node { node: Some(NodeEnum::AIndirection(Box::new(without))) };
                let record = self.expression(&inner)?;
                self.record_fields(record, self.at(location)).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// The name of an unnamed column (`FigureColname`).
pub(super) fn column_name(node: Option<&Node>) -> String {
    figure(node).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name, and whether it is better than a type's name.
fn figure(node: Option<&Node>) -> Option<(String, bool)> {
    let good = |name: &str| Some((name.to_owned(), true));
    match node?.node.as_ref()? {
        NodeEnum::ColumnRef(reference) => {
            nodes::strings(&reference.fields).last().and_then(|name| good(name))
        }
        NodeEnum::AIndirection(indirection) => match nodes::strings(&indirection.indirection).last() {
            Some(name) => good(name),
            None => figure(indirection.arg.as_deref()),
        },
        NodeEnum::FuncCall(call) => nodes::strings(&call.funcname).last().and_then(|name| good(name)),
        NodeEnum::AExpr(expr) if expr.kind == pg_query::protobuf::AExprKind::AexprNullif as i32 => {
            good("nullif")
        }
        NodeEnum::TypeCast(cast) => match figure(cast.arg.as_deref()) {
            Some((name, true)) => Some((name, true)),
            weak => {
                let names = cast.type_name.as_ref().map(|name| nodes::strings(&name.names));
                let own = names.and_then(|names| names.last().map(|name| ((*name).to_owned(), false)));
                own.or(weak)
            }
        },
        NodeEnum::CollateClause(clause) => figure(clause.arg.as_deref()),
        NodeEnum::GroupingFunc(_) => good("grouping"),
        NodeEnum::SubLink(link) => match SubLinkType::try_from(link.sub_link_type) {
            Ok(SubLinkType::ExistsSublink) => good("exists"),
            Ok(SubLinkType::ArraySublink) => good("array"),
            Ok(SubLinkType::ExprSublink) => subquery_name(link.subselect.as_deref()),
            _ => None,
        },
        NodeEnum::CaseExpr(case) => match figure(case.defresult.as_deref()) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        NodeEnum::AArrayExpr(_) => good("array"),
        NodeEnum::RowExpr(_) => good("row"),
        NodeEnum::CoalesceExpr(_) => good("coalesce"),
        NodeEnum::MinMaxExpr(expr) => {
            good(if expr.op == MinMaxOp::IsGreatest as i32 { "greatest" } else { "least" })
        }
        NodeEnum::SqlvalueFunction(function) => good(sql_value_name(function.op)?),
        _ => None,
    }
}

fn subquery_name(node: Option<&Node>) -> Option<(String, bool)> {
    let NodeEnum::SelectStmt(select) = node?.node.as_ref()? else { return None };
    let mut select = &**select;
    while let Some(left) = select.larg.as_deref() {
        select = left;
    }
    let NodeEnum::ResTarget(target) = select.target_list.first()?.node.as_ref()? else { return None };
    match nodes::non_empty(&target.name) {
        Some(name) => Some((name.to_owned(), true)),
        None => figure(target.val.as_deref()),
    }
}

fn sql_value_name(op: i32) -> Option<&'static str> {
    use SqlValueFunctionOp as Op;
    Some(match Op::try_from(op).ok()? {
        Op::SvfopCurrentDate => "current_date",
        Op::SvfopCurrentTime | Op::SvfopCurrentTimeN => "current_time",
        Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN => "current_timestamp",
        Op::SvfopLocaltime | Op::SvfopLocaltimeN => "localtime",
        Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN => "localtimestamp",
        Op::SvfopCurrentRole => "current_role",
        Op::SvfopCurrentUser => "current_user",
        Op::SvfopUser => "user",
        Op::SvfopSessionUser => "session_user",
        Op::SvfopCurrentCatalog => "current_catalog",
        Op::SvfopCurrentSchema => "current_schema",
        Op::SqlvalueFunctionOpUndefined => return None,
    })
}
