//! GROUP BY and aggregates: one hash table over the keys, groups in the order in which they first came.

use std::collections::BTreeSet;

use tuplix_functions::{Aggregate, AggregateState};
use tuplix_sql::plan::{AggregateCall, ExprKind, Query, Select, SortTarget};
use tuplix_types::{Result, SqlError, TypeId, Value};

use super::builder::{Builder, GroupScope};
use super::code::{Code, TestFn, run_all};
use super::columnar;
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet};
use super::from::visible;
use super::hash_table::Keys;
use super::host::{self, CallTypes};
use super::rows::{Next, Rows, RowsBox};
use super::sort::{SortColumn, compare_rows};
use super::walk;
use crate::stop::Run;

impl Builder<'_> {
    /// Groups the rows of a source.
    pub(crate) fn aggregate(
        &mut self,
        source: RowsBox,
        _query: &Query,
        select: &Select,
    ) -> Result<(RowsBox, GroupScope)> {
        let keys = self.exprs(&select.group_by)?;
        let types: Vec<TypeId> = select.group_by.iter().map(|key| key.ty).collect();
        let calls =
            select.aggregates.iter().map(|call| self.aggregate_call(call)).collect::<Result<Vec<_>>>()?;
        let carried = self.carried(select)?;
        let first_key = self.slots(keys.len());
        let first_aggregate = self.slots(calls.len());
        let scope = GroupScope {
            keys: (first_key..first_key + keys.len()).collect(),
            aggregates: (first_aggregate..first_aggregate + calls.len()).collect(),
            windows: Vec::new(),
        };
        let names: Vec<String> = select.group_by.iter().map(|key| self.text(key)).collect();
        let text = names.join(", ");
        let rows = GroupRows { source, keys, types, calls, carried, first_key, first_aggregate, text };
        Ok((self.measured(columnar::boxed(rows)), scope))
    }

    /// Columns that the select list and HAVING read beside keys and aggregates; they depend on the keys, so the group's
    /// first row tells them.
    fn carried(&self, select: &Select) -> Result<Vec<usize>> {
        let mut relations = Vec::new();
        select.from.iter().for_each(|from| visible(from, &mut relations));
        let mut slots = BTreeSet::new();
        let mut whole = Vec::new();
        for node in select.targets.iter().chain(&select.having) {
            walk::expr(node, &mut |node| match node {
                walk::Node::Expr(node) => match &node.kind {
                    ExprKind::Column { relation, column } if relations.contains(relation) => {
                        slots.extend(self.column(*relation, *column).ok());
                    }
                    ExprKind::WholeRow(relation) if relations.contains(relation) => whole.push(*relation),
                    _ => {}
                },
                walk::Node::From(_) | walk::Node::Query(_) => {}
            });
        }
        for relation in whole {
            if let Some(relation) = self.relations.get(&relation) {
                slots.extend(relation.columns.iter().flatten().chain(&relation.present));
            }
        }
        Ok(slots.into_iter().collect())
    }

    fn aggregate_call(&mut self, call: &AggregateCall) -> Result<CallCode> {
        let arguments = self.exprs(&call.arguments)?;
        let types = CallTypes {
            arguments: call.arguments.iter().map(|argument| argument.ty).collect(),
            result: call.ty,
        };
        let filter = call.filter.as_ref().map(|filter| self.test(filter)).transpose()?;
        let mut order = Vec::new();
        let mut order_codes = Vec::new();
        for key in &call.order_by {
            let SortTarget::Expr(node) = &key.key else {
                return Err(SqlError::internal("an aggregate's ORDER BY names a target"));
            };
            let at = arguments.len() + order_codes.len();
            order.push(SortColumn {
                at,
                ty: node.ty,
                descending: key.descending,
                nulls_first: key.nulls_first,
            });
            order_codes.push(self.expr(node)?);
        }
        let collects = call.distinct || !order.is_empty();
        Ok(CallCode {
            aggregate: call.aggregate,
            arguments,
            types,
            filter,
            distinct: call.distinct,
            order,
            order_codes,
            collects,
        })
    }
}

/// A compiled aggregate call.
pub(super) struct CallCode {
    pub aggregate: &'static Aggregate,
    pub arguments: Vec<Code>,
    pub types: CallTypes,
    pub filter: Option<TestFn>,
    distinct: bool,
    order: Vec<SortColumn>,
    order_codes: Vec<Code>,
    /// DISTINCT or ORDER BY: rows are kept until the group is complete.
    pub collects: bool,
}

/// A call's progress in one group.
struct Progress {
    state: AggregateState,
    rows: Option<RowSet>,
}

impl CallCode {
    fn start(&self) -> Progress {
        let width = self.arguments.len() + self.order_codes.len();
        Progress { state: (self.aggregate.init)(), rows: self.collects.then(|| RowSet::new(width)) }
    }

    fn step(&self, exec: &mut Exec<'_, '_>, progress: &mut Progress, values: &mut Vec<Value>) -> Run<()> {
        if let Some(filter) = &self.filter
            && !filter(exec)?
        {
            return Ok(());
        }
        values.clear();
        run_all(&self.arguments, exec, values)?;
        match &mut progress.rows {
            Some(rows) => {
                run_all(&self.order_codes, exec, values)?;
                rows.push(values);
                Ok(())
            }
            None => self.add(exec, &mut progress.state, values),
        }
    }

    fn add(&self, exec: &mut Exec<'_, '_>, state: &mut AggregateState, values: &[Value]) -> Run<()> {
        host::with_context(exec, &self.types, |context| (self.aggregate.step)(state, context, values))
    }

    fn finish(&self, exec: &mut Exec<'_, '_>, progress: Progress) -> Run<Value> {
        let Progress { mut state, rows } = progress;
        if let Some(rows) = rows {
            let width = self.arguments.len();
            let mut order: Vec<usize> = (0..rows.len).collect();
            // DISTINCT alone sorts by the arguments, as PostgreSQL does.
            let argument = |(at, ty): (usize, &TypeId)| SortColumn {
                at,
                ty: *ty,
                descending: false,
                nulls_first: false,
            };
            let by_arguments: Vec<SortColumn> =
                self.types.arguments.iter().enumerate().map(argument).collect();
            let columns = if self.order.is_empty() { &by_arguments } else { &self.order };
            order.sort_by(|a, b| compare_rows(columns, rows.row(*a), rows.row(*b)));
            let mut seen = Keys::new(&self.types.arguments);
            for row in order {
                let values = &rows.row(row)[..width];
                if !self.distinct || seen.insert(values).1 {
                    self.add(exec, &mut state, values)?;
                }
            }
        }
        host::with_context(exec, &self.types, |context| (self.aggregate.finish)(state, context))
    }
}

/// Grouped rows.
pub(super) struct GroupRows {
    pub source: RowsBox,
    pub keys: Vec<Code>,
    types: Vec<TypeId>,
    pub calls: Vec<CallCode>,
    pub carried: Vec<usize>,
    pub first_key: usize,
    pub first_aggregate: usize,
    text: String,
}

/// The groups so far.
struct Groups {
    keys: Keys,
    /// As many as there are calls a group.
    progress: Vec<Progress>,
    carried: RowSet,
}

impl GroupRows {
    fn collect(&self, exec: &mut Exec<'_, '_>) -> Run<Groups> {
        let mut groups = Groups {
            keys: Keys::new(&self.types),
            progress: Vec::new(),
            carried: RowSet::new(self.carried.len()),
        };
        let mut key = Vec::new();
        let mut values = Vec::new();
        self.source.run(exec, &mut |exec| {
            key.clear();
            run_all(&self.keys, exec, &mut key)?;
            let (number, new) = groups.keys.insert(&key);
            if new {
                groups.progress.extend(self.calls.iter().map(CallCode::start));
                exec.gather(&self.carried, &mut groups.carried.values);
                groups.carried.len += 1;
            }
            let first = number * self.calls.len();
            for (call, progress) in self.calls.iter().zip(&mut groups.progress[first..]) {
                call.step(exec, progress, &mut values)?;
            }
            Ok(Flow::Continue)
        })?;
        if self.keys.is_empty() && groups.keys.len() == 0 {
            groups.keys.insert(&[]);
            groups.progress.extend(self.calls.iter().map(CallCode::start));
            groups.carried.values.resize(self.carried.len(), Value::Null);
            groups.carried.len = 1;
        }
        Ok(groups)
    }
}

impl Rows for GroupRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let Groups { keys, progress, carried } = self.collect(exec)?;
        let mut progress = progress.into_iter();
        for number in 0..keys.len() {
            exec.scatter(&self.carried, carried.row(number));
            exec.fill(self.first_key, keys.key(number));
            for (place, call) in self.calls.iter().enumerate() {
                let Some(progress) = progress.next() else { break };
                let value = call.finish(exec, progress)?;
                exec.set(self.first_aggregate + place, value);
            }
            if next(exec)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn explain(&self, out: &mut Explain) {
        match self.keys.is_empty() {
            true => out.line("Aggregate"),
            false => {
                out.line("HashAggregate");
                out.note(format_args!("Group Key: {}", self.text));
            }
        }
        out.child(&*self.source);
    }
}
