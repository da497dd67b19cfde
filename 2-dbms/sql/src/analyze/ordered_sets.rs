//! `f(direct) WITHIN GROUP (ORDER BY ordered)`: ordered-set and hypothetical-set aggregates (`ParseFuncOrColumn`).

use tuplix_functions::{Aggregate, OrderedSet, ResolvedCall, ordered_set};
use tuplix_types::{Result, SqlError, sqlstate};

use super::functions::Call;
use super::{Analyzer, nodes};
use crate::plan::{Expr, SortKey, SortTarget};

/// The arguments of an aggregate call.
#[derive(Debug, Default)]
pub(super) struct AggregateArguments {
    /// Those before WITHIN GROUP.
    pub direct: Vec<Expr>,
    /// What each row brings.
    pub arguments: Vec<Expr>,
    /// ORDER BY.
    pub order_by: Vec<SortKey>,
}

impl Analyzer<'_> {
    /// The ORDER BY values of WITHIN GROUP: arguments like those before it when the function is chosen.
    pub(super) fn within_group_arguments(
        &mut self,
        call: &pg_query::protobuf::FuncCall,
    ) -> Result<Vec<Expr>> {
        let mut values = Vec::with_capacity(call.agg_order.len());
        for node in &call.agg_order {
            let pg_query::protobuf::node::Node::SortBy(sort) = nodes::inner(node)? else {
                return Err(nodes::missing());
            };
            values.push(self.operand(sort.node.as_deref())?);
        }
        Ok(values)
    }

    /// Splits and coerces the arguments of an aggregate call.
    pub(super) fn aggregate_arguments(
        &mut self,
        call: Call<'_>,
        aggregate: &'static Aggregate,
        resolved: &ResolvedCall,
    ) -> Result<AggregateArguments> {
        let node = call.node;
        let position = self.at(node.location);
        let kind = ordered_set(aggregate.function);
        let wrong = |message: String| SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).at(position);
        let Some(kind) = kind else {
            if node.agg_within_group {
                let message =
                    format!("{} is not an ordered-set aggregate, so it cannot have WITHIN GROUP", call.name);
                return Err(wrong(message));
            }
            let arguments = self.builtin_arguments(aggregate.function, call.arguments, resolved)?;
            let order_by = self.aggregate_order(&node.agg_order, &arguments, node.agg_distinct)?;
            return Ok(AggregateArguments { direct: Vec::new(), arguments, order_by });
        };
        if !node.agg_within_group {
            return Err(wrong(format!("WITHIN GROUP is required for ordered-set aggregate {}", call.name)));
        }
        let (given, ordered) = (node.args.len(), node.agg_order.len());
        let missing = |hint: String| {
            let types: Vec<String> = call.arguments.iter().map(|argument| argument.ty.to_string()).collect();
            let message = format!("function {}({}) does not exist", call.name, types.join(", "));
            SqlError::new(sqlstate::UNDEFINED_FUNCTION, message).hint(hint).at(position)
        };
        let values = match kind {
            OrderedSet::Direct(wanted) if wanted != given => {
                return Err(missing(format!(
                    "There is an ordered-set aggregate {}, but it requires {wanted} direct arguments, not {given}.",
                    call.name
                )));
            }
            OrderedSet::Hypothetical if given != ordered => {
                return Err(missing(format!(
                    "To use the hypothetical-set aggregate {}, the number of hypothetical direct arguments (here {given}) must match the number of ordering columns (here {ordered}).",
                    call.name
                )));
            }
            OrderedSet::Direct(_) => self.builtin_arguments(aggregate.function, call.arguments, resolved)?,
            OrderedSet::Hypothetical => self.hypothetical_arguments(call.arguments)?,
        };
        let mut direct = values;
        let arguments = direct.split_off(given);
        let order_by = self.within_group_keys(node, &arguments)?;
        Ok(AggregateArguments { direct, arguments, order_by })
    }

    /// Each direct argument gets one type with its ORDER BY key.
    fn hypothetical_arguments(&mut self, values: Vec<Expr>) -> Result<Vec<Expr>> {
        let mut direct = values;
        let ordered = direct.split_off(direct.len() / 2);
        let (mut left, mut right) = (Vec::with_capacity(direct.len()), Vec::with_capacity(ordered.len()));
        for pair in direct.into_iter().zip(ordered) {
            let (_, both) = self.common("WITHIN GROUP", vec![pair.0, pair.1])?;
            let mut both = both.into_iter();
            left.extend(both.next());
            right.extend(both.next());
        }
        left.append(&mut right);
        Ok(left)
    }

    /// The sort keys over the coerced values.
    fn within_group_keys(
        &mut self,
        node: &pg_query::protobuf::FuncCall,
        values: &[Expr],
    ) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(values.len());
        for (sort, value) in node.agg_order.iter().zip(values) {
            let pg_query::protobuf::node::Node::SortBy(sort) = nodes::inner(sort)? else {
                return Err(nodes::missing());
            };
            let key = SortTarget::Expr(Box::new(value.clone()));
            self.add_key(&mut keys, key, value.ty, value.position, sort)?;
        }
        Ok(keys)
    }
}
