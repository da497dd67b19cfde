//! Function calls: scalar, user-defined, aggregate, window, set-returning (`parse_func.c`, `parse_agg.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{FuncCall, Node};
use tuplix_catalog::{ArgumentMode, FunctionDef, FunctionId};
use tuplix_functions::{CallShape, Callee, Candidate, Function, FunctionKind, ResolvedCall};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::equal::same_call;
use super::ordered_sets::AggregateArguments;
use super::scope::Clause;
use super::{Analyzer, coerce, nodes};
use crate::plan::{AggregateCall, Expr, ExprKind, From, WindowFunction};

/// A call with its arguments analysed.
pub(super) struct Call<'n> {
    pub(super) node: &'n FuncCall,
    /// The name as errors show it: with its schema when that was written and is no builtin's.
    pub(super) name: String,
    pub(super) arguments: Vec<Expr>,
    names: Vec<String>,
    /// How many aggregates the query had before the arguments.
    aggregates_before: usize,
    /// How many window calls.
    pub(super) windows_before: usize,
    /// How many GROUPING(...).
    groupings_before: usize,
}

impl Analyzer<'_> {
    /// A call where one value is wanted; a set-returning one in a select list is joined laterally.
    pub(super) fn function_call(&mut self, node: &FuncCall) -> Result<Expr> {
        let call = self.plain_call(node)?;
        if !self.gives_set(&call) {
            return Ok(call);
        }
        let position = self.at(node.location);
        let clause = self.clause();
        if clause != Clause::Target {
            let message = match clause {
                Clause::FromFunction => "set-returning functions must appear at top level of FROM".to_owned(),
                other => format!("set-returning functions are not allowed in {}", other.name()),
            };
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        let name = nodes::strings(&node.funcname).last().map_or_else(String::new, |name| (*name).to_owned());
        let (columns, scalar) = self.function_columns(&call, &name, position)?;
        let (ty, typmod) = columns.first().map_or((TypeId::RECORD, -1), |column| (column.ty, column.typmod));
        let (row, is_composite) = (call.ty, call.ty.is_composite());
        let relation = self.add_relation(&name, columns, None);
        self.scope().set_functions.push(From::Function { relation, call, ordinality: false });
        Ok(if scalar {
            Expr { kind: ExprKind::Column { relation, column: 0 }, ty, typmod, position }
        } else {
            let ty = if is_composite { row } else { TypeId::RECORD };
            Expr { kind: ExprKind::WholeRow(relation), ty, typmod: -1, position }
        })
    }

    /// Whether a call gives any number of rows.
    pub(super) fn gives_set(&self, call: &Expr) -> bool {
        match &call.kind {
            ExprKind::Call { function, .. } => function.returns_set,
            ExprKind::UserCall { function, .. } => {
                self.context.catalog.function(*function).is_some_and(|function| function.returns_set)
            }
            _ => false,
        }
    }

    /// A call as it is.
    pub(super) fn plain_call(&mut self, node: &FuncCall) -> Result<Expr> {
        let aggregates_before = self.scope().aggregates.len();
        let windows_before = self.scope().windows.len();
        let groupings_before = self.scope().groupings;
        let mut arguments = Vec::with_capacity(node.args.len());
        let mut names = Vec::new();
        for argument in &node.args {
            match nodes::inner(argument)? {
                NodeEnum::NamedArgExpr(named) => {
                    if names.contains(&named.name) {
                        let message = format!("argument name \"{}\" used more than once", named.name);
                        let error = SqlError::new(sqlstate::SYNTAX_ERROR, message);
                        return Err(error.at(self.at(named.location)));
                    }
                    names.push(named.name.clone());
                    arguments.push(self.operand(named.arg.as_deref())?);
                }
                _ if !names.is_empty() => {
                    let message = "positional argument cannot follow named argument";
                    let error = SqlError::new(sqlstate::SYNTAX_ERROR, message);
                    return Err(error.at(self.at(nodes::location(argument))));
                }
                _ => {
                    let argument = self.expression(argument)?;
                    // A driver's place for what comes back, as of JDBC's `{? = call f(?)}`.
                    let is_place =
                        matches!(argument.kind, ExprKind::Parameter(_)) && argument.ty == TypeId::VOID;
                    if !is_place {
                        arguments.push(argument);
                    }
                }
            }
        }
        let (name, candidates) =
            self.candidates(&node.funcname, false).map_err(|e| e.at(self.at(node.location)))?;
        if node.agg_within_group {
            arguments.append(&mut self.within_group_arguments(node)?);
        }
        let call = Call { node, name, arguments, names, aggregates_before, windows_before, groupings_before };
        self.resolve_call(call, &candidates)
    }

    fn resolve_call(&mut self, call: Call<'_>, candidates: &[Candidate]) -> Result<Expr> {
        let position = self.at(call.node.location);
        let types: Vec<TypeId> = call.arguments.iter().map(|argument| argument.ty).collect();
        let names: Vec<&str> = call.names.iter().map(String::as_str).collect();
        let shape = CallShape { args: &types, names: &names, variadic: call.node.func_variadic };
        let resolved =
            self.resolver().function(&call.name, shape, candidates).map_err(|error| error.at(position))?;
        match resolved.callee {
            Callee::Aggregate(aggregate) => {
                if call.node.over.is_some() {
                    return self.window_call(WindowFunction::Aggregate(aggregate), call, &resolved);
                }
                self.aggregate_call(call, aggregate, &resolved)
            }
            Callee::Function(function) if function.kind == FunctionKind::Window => {
                if call.node.over.is_none() {
                    let message = format!("window function {} requires an OVER clause", function.name);
                    return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).at(position));
                }
                self.window_call(WindowFunction::Native(function), call, &resolved)
            }
            Callee::Function(function) => {
                self.refuse_aggregate_clauses(&call)?;
                let arguments = self.builtin_arguments(function, call.arguments, &resolved)?;
                if is_populating(function.symbol) && !function.returns_set {
                    let columns = self.listed_columns.take();
                    return self.populated(function.symbol, arguments, columns, position);
                }
                let made = coerce::call(function, arguments, resolved.result);
                Ok(Expr { position, ..made })
            }
            Callee::User(id) => {
                self.refuse_aggregate_clauses(&call)?;
                let id = FunctionId(u32::try_from(id).map_err(|_| nodes::missing())?);
                if call.node.funcname.len() == 1
                    && let Some(function) = self.context.catalog.function(id)
                {
                    self.record_schema(&function.schema, call.node.location);
                }
                self.user_call(id, call.arguments, &resolved, position)
            }
            Callee::Cast(target) => {
                self.refuse_aggregate_clauses(&call)?;
                let argument = call.arguments.into_iter().next().ok_or_else(nodes::missing)?;
                let cast = self.explicit(argument, target, -1, position)?;
                Ok(Expr { position, ..cast })
            }
        }
    }

    /// The user functions that a name may mean, and the name for the rules and errors.
    pub(super) fn candidates(&self, names: &[Node], procedures: bool) -> Result<(String, Vec<Candidate>)> {
        let names = nodes::strings(names);
        let candidate = |function: &std::sync::Arc<FunctionDef>| candidate(function, procedures);
        let catalog = self.context.catalog;
        match names[..] {
            [name] => {
                let path = self.search_path().iter();
                let found = path.flat_map(|schema| catalog.functions_named(schema, name)).map(candidate);
                Ok((name.to_owned(), found.collect()))
            }
            ["pg_catalog", name] => Ok((name.to_owned(), Vec::new())),
            ["information_schema", name] if name.starts_with("_pg_") => Ok((name.to_owned(), Vec::new())),
            [schema, name] | [_, schema, name] => {
                self.existing_schema(schema)?;
                let found = catalog.functions_named(schema, name).map(candidate);
                // No built-in function has a dot in its name.
                Ok((format!("{schema}.{name}"), found.collect()))
            }
            _ => {
                let message = format!("improper qualified name (too many dotted names): {}", names.join("."));
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
            }
        }
    }

    /// Clauses that only aggregates take.
    fn refuse_aggregate_clauses(&self, call: &Call<'_>) -> Result<()> {
        let node = call.node;
        let name = nodes::strings(&node.funcname).join(".");
        let what = if node.agg_star {
            format!("{name}(*) specified, but {name} is not an aggregate function")
        } else if node.agg_distinct {
            format!("DISTINCT specified, but {name} is not an aggregate function")
        } else if node.agg_within_group {
            format!("WITHIN GROUP specified, but {name} is not an aggregate function")
        } else if !node.agg_order.is_empty() {
            format!("ORDER BY specified, but {name} is not an aggregate function")
        } else if node.agg_filter.is_some() {
            format!("FILTER specified, but {name} is not an aggregate function")
        } else if node.over.is_some() {
            format!("OVER specified, but {name} is not a window function nor an aggregate function")
        } else {
            return Ok(());
        };
        Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, what).at(self.at(node.location)))
    }

    /// The arguments in the order of the parameters, coerced, packed and filled up.
    pub(super) fn builtin_arguments(
        &mut self,
        function: &'static Function,
        arguments: Vec<Expr>,
        resolved: &ResolvedCall,
    ) -> Result<Vec<Expr>> {
        // It tells of a literal that nothing has given a type.
        if function.symbol == "pg_typeof" {
            return Ok(arguments);
        }
        let mut slots = self.place_arguments(arguments, resolved)?;
        for &parameter in &resolved.defaults {
            let value = function.default_value(parameter);
            slots.push((parameter, Expr::constant(value, function.args[parameter])));
        }
        let mut arguments = in_order(slots);
        if function.name.contains("json") {
            arguments.iter_mut().for_each(|argument| self.name_columns(argument));
        }
        Ok(arguments)
    }

    /// Coerces the written arguments and says to which parameter each goes.
    pub(super) fn place_arguments(
        &mut self,
        arguments: Vec<Expr>,
        resolved: &ResolvedCall,
    ) -> Result<Vec<(usize, Expr)>> {
        let mut slots: Vec<(usize, Expr)> = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.into_iter().enumerate() {
            let wanted = resolved.args.get(index).copied().unwrap_or(argument.ty);
            let coerced = self.implicit(argument, wanted)?;
            let coerced = self.settle_unknown(coerced)?;
            let parameter = resolved.positions.as_ref().map_or(index, |positions| positions[index]);
            slots.push((parameter, coerced));
        }
        if let Some((from, element)) = resolved.pack {
            let packed: Vec<Expr> = slots.split_off(from).into_iter().map(|(_, value)| value).collect();
            let element = packed.first().map_or(element, |first| first.ty);
            let ty = element.array_of().ok_or_else(|| {
                let message = format!("could not find array type for data type {element}");
                SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
            })?;
            slots.push((from, Expr::new(ExprKind::Array { elements: packed, multidimensional: false }, ty)));
        }
        Ok(slots)
    }

    /// A call of a function of the catalogue.
    pub(super) fn user_call(
        &mut self,
        id: FunctionId,
        arguments: Vec<Expr>,
        resolved: &ResolvedCall,
        position: Option<u32>,
    ) -> Result<Expr> {
        let function = self.context.catalog.function(id).ok_or_else(nodes::missing)?;
        if function.is_procedure {
            let message = format!("{} is a procedure", function.signature());
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message)
                .hint("To call a procedure, use CALL.")
                .at(position));
        }
        let arguments = self.user_arguments(function, arguments, resolved)?;
        let function = self.specialised(function, &arguments).map_err(|error| error.at(position))?;
        Ok(Expr {
            kind: ExprKind::UserCall { function, arguments },
            ty: resolved.result,
            typmod: -1,
            position,
        })
    }

    /// As [`Self::builtin_arguments`] for a function of the catalogue.
    pub(super) fn user_arguments(
        &mut self,
        function: &FunctionDef,
        arguments: Vec<Expr>,
        resolved: &ResolvedCall,
    ) -> Result<Vec<Expr>> {
        let mut slots = self.place_arguments(arguments, resolved)?;
        let inputs: Vec<_> = function.inputs().collect();
        for &parameter in &resolved.defaults {
            let argument = inputs.get(parameter).ok_or_else(nodes::missing)?;
            let text = argument.default.as_deref().ok_or_else(nodes::missing)?;
            let value = self.stored_expression(text, Clause::Default)?;
            let value = match tuplix_functions::is_polymorphic(argument.ty) {
                true => self.settle_unknown(value)?,
                false => self.assign(value, &argument.name, argument.ty, -1)?,
            };
            slots.push((parameter, value));
        }
        Ok(in_order(slots))
    }

    fn aggregate_call(
        &mut self,
        call: Call<'_>,
        aggregate: &'static tuplix_functions::Aggregate,
        resolved: &ResolvedCall,
    ) -> Result<Expr> {
        let node = call.node;
        let position = self.at(node.location);
        let grouping = |message: &str| SqlError::new(sqlstate::GROUPING_ERROR, message).at(position);
        let clause = self.clause();
        if !clause.takes_aggregates() {
            let message = format!("aggregate functions are not allowed in {}", clause.name());
            return Err(grouping(&message));
        }
        if self.scope().aggregates.len() > call.aggregates_before
            || self.scope().groupings > call.groupings_before
        {
            let inner = call.arguments.iter().find_map(aggregate_position).or(position);
            let message = "aggregate function calls cannot be nested";
            return Err(SqlError::new(sqlstate::GROUPING_ERROR, message).at(inner));
        }
        if self.scope().windows.len() > call.windows_before {
            let inner = self.scope().windows.get(call.windows_before).and_then(|inner| inner.position);
            let message = "aggregate function calls cannot contain window function calls";
            return Err(SqlError::new(sqlstate::GROUPING_ERROR, message).at(inner));
        }
        if node.args.is_empty() && !node.agg_star && !node.agg_within_group {
            let message = format!("{}(*) must be used to call a parameterless aggregate function", call.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).at(position));
        }
        let AggregateArguments { direct, arguments, order_by } =
            self.aggregate_arguments(call, aggregate, resolved)?;
        self.refuse_outer_aggregate(&arguments, position)?;
        let filter = match node.agg_filter.as_deref() {
            Some(filter) => Some(self.in_clause(Clause::Filter, |analyzer| {
                let filter = analyzer.expression(filter)?;
                analyzer.boolean(filter, "FILTER")
            })?),
            None => None,
        };
        let ty = resolved.result;
        let distinct = node.agg_distinct;
        if distinct && let Some(first) = arguments.first() {
            self.equality(first.ty, position)?;
        }
        let call = AggregateCall { aggregate, direct, arguments, distinct, order_by, filter, ty };
        let aggregates = &mut self.scope().aggregates;
        // The same call twice is computed once, as in PostgreSQL.
        let index = aggregates.iter().position(|other| same_call(other, &call)).unwrap_or(aggregates.len());
        if index == aggregates.len() {
            aggregates.push(call);
        }
        Ok(Expr { kind: ExprKind::Aggregate(index), ty, typmod: -1, position })
    }

    /// An aggregate whose arguments are all of an outer query belongs to that one.
    fn refuse_outer_aggregate(&self, arguments: &[Expr], position: Option<u32>) -> Result<()> {
        let level = self.scopes.len().saturating_sub(1);
        let mut deepest: Option<usize> = None;
        for argument in arguments {
            let mut copy = argument.clone();
            self.visit_columns(&mut copy, &mut |relation| {
                let origin = self.origin(relation).level;
                deepest = Some(deepest.map_or(origin, |seen| seen.max(origin)));
            });
        }
        match deepest {
            Some(deepest) if deepest < level => {
                Err(SqlError::unsupported("an aggregate of an outer query inside a subquery").at(position))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a function makes rows of JSON objects, of a type that the call decides.
pub(super) fn is_populating(symbol: &str) -> bool {
    matches!(
        symbol,
        "json_populate_record"
            | "jsonb_populate_record"
            | "json_populate_recordset"
            | "jsonb_populate_recordset"
            | "json_to_record"
            | "jsonb_to_record"
            | "json_to_recordset"
            | "jsonb_to_recordset"
    )
}

/// A function of the catalogue as the rules see it; a procedure's OUT arguments are passed too.
fn candidate(function: &std::sync::Arc<FunctionDef>, procedures: bool) -> Candidate {
    let passed: Vec<_> = function
        .arguments
        .iter()
        .filter(|argument| match argument.mode {
            ArgumentMode::In | ArgumentMode::InOut | ArgumentMode::Variadic => true,
            ArgumentMode::Out => procedures,
            ArgumentMode::Table => false,
        })
        .collect();
    Candidate {
        id: u64::from(function.id.0),
        args: passed.iter().map(|argument| argument.ty).collect(),
        arg_names: passed.iter().map(|argument| argument.name.clone()).collect(),
        defaults: passed.iter().filter(|argument| argument.default.is_some()).count(),
        variadic: passed.last().is_some_and(|argument| argument.mode == ArgumentMode::Variadic),
        result: function.returns,
    }
}

fn in_order(mut slots: Vec<(usize, Expr)>) -> Vec<Expr> {
    slots.sort_by_key(|(parameter, _)| *parameter);
    slots.into_iter().map(|(_, value)| value).collect()
}

/// Where the first aggregate in an expression stands.
fn aggregate_position(expr: &Expr) -> Option<u32> {
    if let ExprKind::Aggregate(_) = expr.kind {
        return expr.position;
    }
    let mut found = None;
    super::walk::operands(&mut expr.clone(), &mut |operand| {
        if found.is_none() {
            found = aggregate_position(operand);
        }
    });
    found
}

/// A constant NULL of a type.
pub(super) fn null(ty: TypeId) -> Expr {
    Expr::constant(Value::Null, ty)
}
