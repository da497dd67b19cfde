//! GROUP BY and aggregates: one hash table over the keys, groups in the order in which they first came.

use std::collections::BTreeSet;

use tuplix_functions::{Aggregate, AggregateState};
use tuplix_sql::plan::{AggregateCall, Expr, ExprKind, Query, Select, SortTarget};
use tuplix_types::{Result, SqlError, TypeId, Value};

use super::builder::{Builder, GroupScope};
use super::code::{Code, TestFn, run_all};
use super::columnar;
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet};
use super::from::visible;
use super::hash_table::Keys;
use super::host::{self, CallTypes};
use super::ordered_set::OrderedSetCode;
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
        let sets = self.set_codes(select, &keys);
        let types: Vec<TypeId> = select.group_by.iter().map(|key| key.ty).collect();
        let carried = self.carried(select)?;
        let first_key = self.slots(keys.len());
        let set_slot = select.grouping_sets.is_some().then(|| self.slot());
        let mut scope = GroupScope {
            keys: (first_key..first_key + keys.len()).collect(),
            sets: set_slot.zip(select.grouping_sets.clone().map(std::sync::Arc::new)),
            ..GroupScope::default()
        };
        let calls = select.aggregates.iter().map(|call| self.aggregate_call(call, &scope));
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let first_aggregate = self.slots(calls.len());
        scope.aggregates = (first_aggregate..first_aggregate + calls.len()).collect();
        let names: Vec<String> = select.group_by.iter().map(|key| self.text(key)).collect();
        let text = names.join(", ");
        let rows = GroupRows {
            source,
            keys,
            types,
            sets,
            set_slot,
            calls,
            carried,
            first_key,
            first_aggregate,
            text,
        };
        if self.context.measure.is_some() {
            let groups = match select.group_by.is_empty() {
                true => 1.0,
                false => self.estimator().groups(&select.group_by, self.estimate.rows),
            };
            self.estimate = self.estimate.grouped(groups);
        }
        Ok((self.measured(columnar::boxed(rows)), scope))
    }

    /// Columns that the select list and HAVING read beside keys and aggregates; they depend on the keys, so the group's
    /// first row tells them.
    fn carried(&self, select: &Select) -> Result<Vec<usize>> {
        let mut relations = Vec::new();
        select.from.iter().for_each(|from| visible(from, &mut relations));
        let mut slots = BTreeSet::new();
        let mut whole = Vec::new();
        let mut note = |node: walk::Node<'_>| match node {
            walk::Node::Expr(node) => match &node.kind {
                ExprKind::Column { relation, column } if relations.contains(relation) => {
                    slots.extend(self.column(*relation, *column).ok());
                }
                ExprKind::WholeRow(relation) if relations.contains(relation) => whole.push(*relation),
                _ => {}
            },
            walk::Node::From(_) | walk::Node::Query(_) => {}
        };
        select.targets.iter().chain(&select.having).for_each(|node| walk::expr(node, &mut note));
        walk::windows(select, &mut note);
        for relation in whole {
            if let Some(relation) = self.relations.get(&relation) {
                slots.extend(relation.columns.iter().flatten().chain(&relation.present));
            }
        }
        Ok(slots.into_iter().collect())
    }

    fn aggregate_call(&mut self, call: &AggregateCall, scope: &GroupScope) -> Result<CallCode> {
        self.groups.push(scope.clone());
        let direct = self.exprs(&call.direct);
        self.groups.pop();
        let ordered = OrderedSetCode::of(call.aggregate.function, direct?);
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
            ordered,
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
    /// WITHIN GROUP
    ordered: Option<OrderedSetCode>,
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
            if let Some(ordered) = &self.ordered {
                return ordered.finish(exec, &rows, &order, columns);
            }
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
    /// The grouping sets; one of all keys where there are none.
    sets: Vec<SetCode>,
    /// Where the number of a group's set is put.
    pub set_slot: Option<usize>,
    pub calls: Vec<CallCode>,
    pub carried: Vec<usize>,
    pub first_key: usize,
    pub first_aggregate: usize,
    text: String,
}

/// A grouping set.
struct SetCode {
    /// Positions of its keys; `None` for all.
    keys: Option<Vec<usize>>,
    /// Slots of columns that are keys of other sets: NULL in this one's groups.
    absent: Vec<usize>,
}

/// The groups of a set so far.
struct Groups {
    keys: Keys,
    /// As many as there are calls a group.
    progress: Vec<Progress>,
    carried: RowSet,
}

impl Builder<'_> {
    fn set_codes(&self, select: &Select, keys: &[Code]) -> Vec<SetCode> {
        let Some(sets) = &select.grouping_sets else {
            return vec![SetCode { keys: None, absent: Vec::new() }];
        };
        let code = |set: &Vec<usize>| {
            let absent = (0..keys.len()).filter(|key| !set.contains(key));
            SetCode { keys: Some(set.clone()), absent: absent.filter_map(|key| keys[key].slot()).collect() }
        };
        sets.iter().map(code).collect()
    }

    /// GROUPING: a number a set.
    pub(crate) fn grouping(&mut self, keys: &[Expr]) -> Result<Code> {
        let Some((slot, sets)) = self.groups.last().and_then(|scope| scope.sets.clone()) else {
            return Ok(Code::Constant(Value::Int4(0)));
        };
        let bits = |set: &Vec<usize>| {
            keys.iter().fold(0, |bits, key| {
                let absent = matches!(key.kind, ExprKind::GroupKey(number) if !set.contains(&number));
                bits << 1 | i32::from(absent)
            })
        };
        let numbers: Vec<i32> = sets.iter().map(bits).collect();
        Ok(Code::new(move |exec| {
            let set = exec.get(slot).as_i64().and_then(|set| usize::try_from(set).ok()).unwrap_or_default();
            Ok(numbers.get(set).map_or(Value::Null, |bits| Value::Int4(*bits)))
        }))
    }
}

impl Groups {
    fn new(types: &[TypeId], carried: usize) -> Groups {
        Groups { keys: Keys::new(types), progress: Vec::new(), carried: RowSet::new(carried) }
    }
}

impl GroupRows {
    /// The groups of each set.
    fn collect(&self, exec: &mut Exec<'_, '_>) -> Run<Vec<Groups>> {
        let types = |set: &SetCode| match &set.keys {
            None => self.types.clone(),
            Some(keys) => keys.iter().map(|key| self.types[*key]).collect(),
        };
        let groups = self.sets.iter().map(|set| Groups::new(&types(set), self.carried.len()));
        let mut groups: Vec<Groups> = groups.collect();
        let mut key = Vec::new();
        let mut part = Vec::new();
        let mut values = Vec::new();
        self.source.run(exec, &mut |exec| {
            key.clear();
            run_all(&self.keys, exec, &mut key)?;
            for (set, groups) in self.sets.iter().zip(&mut groups) {
                match &set.keys {
                    None => self.add(exec, groups, &key, &mut values)?,
                    Some(keys) => {
                        part.clear();
                        part.extend(keys.iter().map(|at| key[*at].clone()));
                        self.add(exec, groups, &part, &mut values)?;
                    }
                }
            }
            Ok(Flow::Continue)
        })?;
        for (set, groups) in self.sets.iter().zip(&mut groups) {
            let whole = set.keys.as_ref().map_or(self.keys.is_empty(), Vec::is_empty);
            if whole && groups.keys.len() == 0 {
                groups.keys.insert(&[]);
                groups.progress.extend(self.calls.iter().map(CallCode::start));
                groups.carried.values.resize(self.carried.len(), Value::Null);
                groups.carried.len = 1;
            }
        }
        Ok(groups)
    }

    /// Adds the current row to its group.
    fn add(
        &self,
        exec: &mut Exec<'_, '_>,
        groups: &mut Groups,
        key: &[Value],
        values: &mut Vec<Value>,
    ) -> Run<()> {
        let (number, new) = groups.keys.insert(key);
        if new {
            groups.progress.extend(self.calls.iter().map(CallCode::start));
            exec.gather(&self.carried, &mut groups.carried.values);
            groups.carried.len += 1;
        }
        let first = number * self.calls.len();
        for (call, progress) in self.calls.iter().zip(&mut groups.progress[first..]) {
            call.step(exec, progress, values)?;
        }
        Ok(())
    }

    /// Puts a group's keys into their slots.
    fn put_keys(&self, exec: &mut Exec<'_, '_>, number: usize, set: &SetCode, key: &[Value]) {
        let Some(keys) = &set.keys else { return exec.fill(self.first_key, key) };
        (0..self.keys.len()).for_each(|at| exec.set(self.first_key + at, Value::Null));
        for (at, value) in keys.iter().zip(key) {
            exec.set(self.first_key + at, value.clone());
        }
        exec.clear(&set.absent);
        if let Some(slot) = self.set_slot {
            exec.set(slot, Value::Int8(number as i64));
        }
    }
}

impl Rows for GroupRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let all = self.collect(exec)?;
        for (set_number, (set, groups)) in self.sets.iter().zip(all).enumerate() {
            let Groups { keys, progress, carried } = groups;
            let mut progress = progress.into_iter();
            for number in 0..keys.len() {
                exec.scatter(&self.carried, carried.row(number));
                self.put_keys(exec, set_number, set, keys.key(number));
                for (place, call) in self.calls.iter().enumerate() {
                    let Some(progress) = progress.next() else { break };
                    let value = call.finish(exec, progress)?;
                    exec.set(self.first_aggregate + place, value);
                }
                if next(exec)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
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
