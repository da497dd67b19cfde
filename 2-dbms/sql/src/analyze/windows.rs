//! Window calls (`transformWindowFuncCall`, `transformWindowDefinitions`).

use pg_query::protobuf::WindowDef;
use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_functions::{Function, ResolvedCall, functions_named};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::functions::Call;
use super::scope::Clause;
use super::{Analyzer, nodes};
use crate::plan::{
    Expr, ExprKind, Frame, FrameBound, FrameExclusion, FrameMode, SortKey, SortTarget, Window, WindowCall,
    WindowFunction,
};

// Bits of `frameOptions` (`parsenodes.h`).
const NON_DEFAULT: i32 = 0x1;
const RANGE: i32 = 0x2;
const ROWS: i32 = 0x4;
const GROUPS: i32 = 0x8;
const START_CURRENT: i32 = 0x200;
const END_CURRENT: i32 = 0x400;
const START_PRECEDING: i32 = 0x800;
const END_PRECEDING: i32 = 0x1000;
const START_FOLLOWING: i32 = 0x2000;
const END_FOLLOWING: i32 = 0x4000;
const EXCLUDE_CURRENT: i32 = 0x8000;
const EXCLUDE_GROUP: i32 = 0x10000;
const EXCLUDE_TIES: i32 = 0x20000;
const OFFSETS: i32 = START_PRECEDING | END_PRECEDING | START_FOLLOWING | END_FOLLOWING;

fn windowing(message: impl Into<String>, position: Option<u32>) -> SqlError {
    SqlError::new(sqlstate::WINDOWING_ERROR, message).at(position)
}

impl Analyzer<'_> {
    /// WINDOW name AS (...); they are analysed after everything that names them.
    pub(super) fn name_windows(&mut self, clauses: &[pg_query::protobuf::Node]) -> Result<()> {
        for node in clauses {
            let NodeEnum::WindowDef(window) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let position = self.at(window.location);
            let definitions = &mut self.scope().window_definitions;
            if definitions.iter().any(|other| other.name == window.name) {
                return Err(windowing(format!("window \"{}\" is already defined", window.name), position));
            }
            definitions.push((**window).clone());
        }
        Ok(())
    }

    /// `f(...) OVER ...`
    pub(super) fn window_call(
        &mut self,
        function: WindowFunction,
        call: Call<'_>,
        resolved: &ResolvedCall,
    ) -> Result<Expr> {
        let node = call.node;
        let position = self.at(node.location);
        self.check_window_clause(position)?;
        if let Some(inner) = self.scope().windows.get(call.windows_before) {
            return Err(windowing("window function calls cannot be nested", inner.position));
        }
        if node.agg_distinct {
            return Err(self.unsupported("DISTINCT in a window function", node.location));
        }
        let aggregate = matches!(function, WindowFunction::Aggregate(_));
        if node.agg_within_group {
            let what = format!("OVER for the ordered-set aggregate {}", call.name);
            return Err(self.unsupported(what, node.location));
        }
        if !node.agg_order.is_empty() {
            return Err(self.unsupported("ORDER BY in a window function's arguments", node.location));
        }
        if node.agg_filter.is_some() && !aggregate {
            return Err(self.unsupported("FILTER for a window function that is no aggregate", node.location));
        }
        if aggregate && node.args.is_empty() && !node.agg_star {
            let message = format!("{}(*) must be used to call a parameterless aggregate function", call.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).at(position));
        }
        let arguments = self.builtin_arguments(function.function(), call.arguments, resolved)?;
        let filter = match node.agg_filter.as_deref() {
            Some(filter) => Some(self.in_clause(Clause::Filter, |analyzer| {
                let filter = analyzer.expression(filter)?;
                analyzer.boolean(filter, "FILTER")
            })?),
            None => None,
        };
        let window = self.window_of(node.over.as_deref().ok_or_else(nodes::missing)?)?;
        let ty = resolved.result;
        let windows = &mut self.scope().windows;
        let index = windows.len();
        windows.push(WindowCall { function, arguments, filter, window, ty, position });
        Ok(Expr { kind: ExprKind::Window(index), ty, typmod: -1, position })
    }

    /// Refuses window calls where none may stand.
    fn check_window_clause(&self, position: Option<u32>) -> Result<()> {
        use Clause::{FrameGroups, FrameRange, FrameRows, WindowOrder, WindowPartition};
        let clause = self.clause();
        if clause.takes_windows() {
            return Ok(());
        }
        Err(match clause {
            WindowPartition | WindowOrder | FrameRows | FrameRange | FrameGroups => {
                windowing("window functions are not allowed in window definitions", position)
            }
            other => windowing(format!("window functions are not allowed in {}", other.name()), position),
        })
    }

    /// The number of the window that OVER names or brings.
    fn window_of(&mut self, over: &WindowDef) -> Result<usize> {
        if let Some(name) = nodes::non_empty(&over.name) {
            return self.named_window(name, over.location);
        }
        let definitions = &mut self.scope().window_definitions;
        definitions.push(over.clone());
        Ok(definitions.len() - 1)
    }

    fn named_window(&mut self, name: &str, location: i32) -> Result<usize> {
        let found = self.scope().window_definitions.iter().position(|other| other.name == name);
        found.ok_or_else(|| {
            let message = format!("window \"{name}\" does not exist");
            SqlError::new(sqlstate::UNDEFINED_OBJECT, message).at(self.at(location))
        })
    }

    /// Analyses all windows of the query.
    pub(super) fn window_definitions(&mut self) -> Result<Vec<Window>> {
        let definitions = std::mem::take(&mut self.scope().window_definitions);
        let mut windows: Vec<Window> = Vec::with_capacity(definitions.len());
        for (number, definition) in definitions.iter().enumerate() {
            let base = match nodes::non_empty(&definition.refname) {
                None => None,
                Some(name) => {
                    // WINDOW may only refine windows before, OVER all.
                    let seen = definitions.iter().take(number).position(|other| other.name == name);
                    let Some(seen) = seen else {
                        let message = format!("window \"{name}\" does not exist");
                        let error = SqlError::new(sqlstate::UNDEFINED_OBJECT, message);
                        return Err(error.at(self.at(definition.location)));
                    };
                    Some((&definitions[seen], &windows[seen]))
                }
            };
            let window = self.window_definition(definition, base)?;
            windows.push(window);
        }
        Ok(windows)
    }

    fn window_definition(&mut self, node: &WindowDef, base: Option<(&WindowDef, &Window)>) -> Result<Window> {
        let position = self.at(node.location);
        let order_by =
            self.in_clause(Clause::WindowOrder, |analyzer| analyzer.expression_order(&node.order_clause))?;
        let partition_by = self.in_clause(Clause::WindowPartition, |analyzer| {
            let mut keys = Vec::with_capacity(node.partition_clause.len());
            for part in &node.partition_clause {
                let key = analyzer.expression(part)?;
                let key = analyzer.settle_unknown(key)?;
                analyzer.ordered(key.ty, key.position)?;
                keys.push(key);
            }
            Ok(keys)
        })?;
        let (mut partition, mut order) = (partition_by, order_by);
        if let Some((written, base)) = base {
            let name = &node.refname;
            if !partition.is_empty() {
                let message = format!("cannot override PARTITION BY clause of window \"{name}\"");
                return Err(windowing(message, position));
            }
            if !order.is_empty() && !base.order_by.is_empty() {
                let message = format!("cannot override ORDER BY clause of window \"{name}\"");
                return Err(windowing(message, position));
            }
            if written.frame_options & NON_DEFAULT != 0 {
                let message = format!("cannot copy window \"{name}\" because it has a frame clause");
                let error = windowing(message, position);
                let plain = node.order_clause.is_empty() && node.frame_options & NON_DEFAULT == 0;
                return Err(match plain && node.name.is_empty() {
                    true => error.hint("Omit the parentheses in this OVER clause."),
                    false => error,
                });
            }
            partition = base.partition_by.clone();
            if order.is_empty() {
                order = base.order_by.clone();
            }
        }
        let frame = self.frame(node, &order, position)?;
        Ok(Window { partition_by: partition, order_by: order, frame })
    }

    fn frame(&mut self, node: &WindowDef, order: &[SortKey], position: Option<u32>) -> Result<Frame> {
        let options = node.frame_options;
        let mut mode = FrameMode::Range(None);
        let mut key = None;
        let mut clause = Clause::FrameRange;
        if options & GROUPS != 0 {
            if order.is_empty() {
                return Err(windowing("GROUPS mode requires an ORDER BY clause", position));
            }
            (mode, clause) = (FrameMode::Groups, Clause::FrameGroups);
        } else if options & ROWS != 0 {
            (mode, clause) = (FrameMode::Rows, Clause::FrameRows);
        } else if options & RANGE != 0 && options & OFFSETS != 0 {
            let [SortKey { key: SortTarget::Expr(only), .. }] = order else {
                let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
                return Err(windowing(message, position));
            };
            key = Some(only.ty);
        }
        let mut in_range = None;
        let mut bound = |analyzer: &mut Self, offset: Option<&pg_query::protobuf::Node>, bits: [i32; 3]| {
            let [current, preceding, following] = bits;
            if options & current != 0 {
                return Ok(FrameBound::Current);
            }
            if options & (preceding | following) == 0 {
                return Ok(FrameBound::Unbounded);
            }
            let offset = analyzer.frame_offset(offset, clause, key, &mut in_range)?;
            Ok(match options & preceding != 0 {
                true => FrameBound::Preceding(offset),
                false => FrameBound::Following(offset),
            })
        };
        let start =
            bound(self, node.start_offset.as_deref(), [START_CURRENT, START_PRECEDING, START_FOLLOWING])?;
        let end = bound(self, node.end_offset.as_deref(), [END_CURRENT, END_PRECEDING, END_FOLLOWING])?;
        if let FrameMode::Range(function) = &mut mode {
            *function = in_range;
        }
        let exclude = match options {
            _ if options & EXCLUDE_CURRENT != 0 => FrameExclusion::Current,
            _ if options & EXCLUDE_GROUP != 0 => FrameExclusion::Group,
            _ if options & EXCLUDE_TIES != 0 => FrameExclusion::Ties,
            _ => FrameExclusion::None,
        };
        Ok(Frame { mode, start, end, exclude })
    }

    /// The offset of a bound: a number of rows, or what `in_range` takes beside the ORDER BY key.
    fn frame_offset(
        &mut self,
        node: Option<&pg_query::protobuf::Node>,
        clause: Clause,
        key: Option<TypeId>,
        in_range: &mut Option<&'static Function>,
    ) -> Result<Expr> {
        let offset = self.in_clause(clause, |analyzer| {
            let offset = analyzer.operand(node)?;
            match key {
                None => analyzer.specific(offset, TypeId::INT8, clause.name()),
                Some(key) => {
                    let function = analyzer.in_range(key, &offset)?;
                    *in_range = Some(function);
                    analyzer.specific(offset, function.args[2], clause.name())
                }
            }
        })?;
        let level = self.scopes.len().saturating_sub(1);
        let mut own = false;
        self.visit_columns(&mut offset.clone(), &mut |relation| own |= self.origin(relation).level == level);
        if own {
            let message = format!("argument of {} must not contain variables", clause.name());
            return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message).at(offset.position));
        }
        Ok(offset)
    }

    /// The `in_range` function for a key and an offset.
    fn in_range(&self, key: TypeId, offset: &Expr) -> Result<&'static Function> {
        let what = "RANGE with offset PRECEDING/FOLLOWING";
        let refuse =
            |message: String| SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(offset.position);
        let of_key: Vec<&'static Function> = functions_named("in_range")
            .iter()
            .copied()
            .filter(|function| function.args[0] == key && function.implemented)
            .collect();
        if of_key.is_empty() {
            return Err(refuse(format!("{what} is not supported for column type {key}")));
        }
        let preferred = if offset.ty == TypeId::UNKNOWN { key } else { offset.ty };
        if let Some(exact) = of_key.iter().find(|function| function.args[2] == preferred) {
            return Ok(exact);
        }
        let fits = |function: &&&'static Function| {
            offset.ty == TypeId::UNKNOWN
                || tuplix_functions::find_cast(
                    offset.ty,
                    function.args[2],
                    tuplix_functions::CastContext::Implicit,
                )
                .is_some()
        };
        let both = format!("for column type {key} and offset type {}", offset.ty);
        match of_key.iter().filter(fits).collect::<Vec<_>>()[..] {
            [only] => Ok(only),
            [] => Err(refuse(format!("{what} is not supported {both}"))
                .hint("Cast the offset value to an appropriate type.")),
            _ => Err(refuse(format!("{what} has multiple interpretations {both}"))
                .hint("Cast the offset value to the exact intended type.")),
        }
    }
}
