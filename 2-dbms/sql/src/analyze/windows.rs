//! Window calls (`transformWindowFuncCall`, `transformWindowDefinitions`).

use pg_query::protobuf::{FuncCall, WindowDef};
use tuplix_functions::{Function, ResolvedCall};
use tuplix_types::{Result, SqlError, sqlstate};

use super::scope::Clause;
use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind, WindowCall};

/// `RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW`: what a window without frame has (`FRAMEOPTION_DEFAULTS`).
const DEFAULT_FRAME: i32 = 0x2 | 0x20 | 0x400;
/// Bits that only say how a frame was written (`FRAMEOPTION_NONDEFAULT`, `FRAMEOPTION_BETWEEN`).
const FRAME_SPELLING: i32 = 0x1 | 0x10;

impl Analyzer<'_> {
    /// `f(...) OVER ...`
    pub(super) fn window_call(
        &mut self,
        node: &FuncCall,
        function: &'static Function,
        arguments: Vec<Expr>,
        resolved: &ResolvedCall,
    ) -> Result<Expr> {
        let position = self.at(node.location);
        let clause = self.clause();
        if !clause.takes_windows() {
            let message = format!("window functions are not allowed in {}", clause.name());
            return Err(SqlError::new(sqlstate::WINDOWING_ERROR, message).at(position));
        }
        if node.agg_distinct {
            return Err(self.unsupported("DISTINCT in a window function", node.location));
        }
        if !node.agg_order.is_empty() || node.agg_filter.is_some() || node.agg_within_group {
            return Err(
                self.unsupported("ORDER BY, FILTER or WITHIN GROUP in a window function", node.location)
            );
        }
        let arguments = self.builtin_arguments(function, arguments, resolved)?;
        let over = node.over.as_deref().ok_or_else(nodes::missing)?;
        let definition = self.window_definition(over)?;
        let windows_before = self.scope().windows.len();
        let partition_by = self.in_clause(Clause::WindowPartition, |analyzer| {
            let keys = analyzer.expressions(&definition.partition_clause)?;
            keys.into_iter().map(|key| analyzer.settle_unknown(key)).collect::<Result<Vec<_>>>()
        })?;
        let order_by = self
            .in_clause(Clause::WindowOrder, |analyzer| analyzer.expression_order(&definition.order_clause))?;
        debug_assert_eq!(windows_before, self.scope().windows.len(), "window clauses take no window calls");
        let windows = &mut self.scope().windows;
        let index = windows.len();
        let (name, ty) = (function.name.to_owned(), resolved.result);
        windows.push(WindowCall { name, arguments, partition_by, order_by, ty, position });
        Ok(Expr { kind: ExprKind::Window(index), ty, typmod: -1, position })
    }

    /// The definition behind `OVER name` or `OVER (...)`.
    fn window_definition(&mut self, over: &WindowDef) -> Result<WindowDef> {
        let wanted = nodes::non_empty(&over.name).or(nodes::non_empty(&over.refname));
        let mut definition = over.clone();
        if let Some(name) = wanted {
            let named = self.scope().named_windows.iter().find(|(other, _)| other == name);
            let Some((_, base)) = named.cloned() else {
                let message = format!("window \"{name}\" does not exist");
                return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message).at(self.at(over.location)));
            };
            definition = base;
            if !over.refname.is_empty() {
                definition.frame_options = over.frame_options;
                if !over.order_clause.is_empty() {
                    definition.order_clause.clone_from(&over.order_clause);
                }
            }
        }
        if definition.frame_options & !FRAME_SPELLING != DEFAULT_FRAME {
            return Err(self.unsupported("this window frame", definition.location));
        }
        Ok(definition)
    }
}
