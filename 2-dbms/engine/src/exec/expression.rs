//! Expressions as closures: the frequent kinds. The others are in [`super::expression_more`].

use tuplix_functions::{Function, Volatility};
use tuplix_sql::plan::{Expr, ExprKind};
use tuplix_types::{Result, SqlError, TypeId, Value};

use super::builder::Builder;
use super::code::{Code, TestFn, test};
use super::fast;
use super::frame::Exec;
use super::host::{self, CallTypes};
use crate::stop::Run;

impl Builder<'_> {
    /// Compiles expressions.
    pub(crate) fn exprs(&mut self, nodes: &[Expr]) -> Result<Vec<Code>> {
        nodes.iter().map(|node| self.expr(node)).collect()
    }

    /// Compiles an expression.
    pub(crate) fn expr(&mut self, node: &Expr) -> Result<Code> {
        if let Some(slot) = self.set_calls.get(&std::ptr::from_ref(node).addr()) {
            return Ok(Code::Slot(*slot));
        }
        match &node.kind {
            ExprKind::Constant(value) => Ok(Code::Constant(value.clone())),
            ExprKind::Column { relation, column } => self.column(*relation, *column).map(Code::Slot),
            ExprKind::Parameter(number) => Ok(Code::Slot(self.first_parameter + number)),
            ExprKind::Variable(number) => self.variable(*number).map(Code::Slot),
            ExprKind::Call { function, arguments } => self.call(node, function, arguments),
            ExprKind::Relabel(inner) => self.expr(inner),
            ExprKind::And(parts) => self.logic(parts, false),
            ExprKind::Or(parts) => self.logic(parts, true),
            ExprKind::Not(inner) => {
                let inner = self.expr(inner)?;
                Ok(Code::new(move |exec| {
                    Ok(inner.run(exec)?.as_bool().map_or(Value::Null, |value| Value::Bool(!value)))
                }))
            }
            ExprKind::IsNull { .. } | ExprKind::IsBoolean { .. } | ExprKind::IsDistinct { .. } => {
                let test = self.test(node)?;
                Ok(Code::new(move |exec| test(exec).map(Value::Bool)))
            }
            ExprKind::Case { operand, arms, otherwise } => {
                self.case(operand.as_deref(), arms, otherwise.as_deref())
            }
            ExprKind::CaseOperand => match self.case_operands.last() {
                Some(slot) => Ok(Code::Slot(*slot)),
                None => Err(SqlError::internal("a CASE operand outside its CASE")),
            },
            ExprKind::Coalesce(parts) => {
                let parts = self.exprs(parts)?;
                Ok(Code::new(move |exec| {
                    for part in &parts {
                        let value = part.run(exec)?;
                        if !value.is_null() {
                            return Ok(value);
                        }
                    }
                    Ok(Value::Null)
                }))
            }
            ExprKind::Aggregate(number) => self.group(node, |scope| scope.aggregates.get(*number)),
            ExprKind::GroupKey(number) => self.group(node, |scope| scope.keys.get(*number)),
            ExprKind::Grouping(keys) => self.grouping(keys),
            ExprKind::Window(number) => self.group(node, |scope| scope.windows.get(*number)),
            ExprKind::Default => Err(SqlError::internal("DEFAULT reached the planner")),
            _ => self.expr_more(node),
        }
    }

    fn variable(&self, number: usize) -> Result<usize> {
        let slot = self.variables.get(number).copied();
        slot.ok_or_else(|| SqlError::internal(format!("variable {number} outside its procedure")))
    }

    fn group(
        &self,
        node: &Expr,
        slot: impl Fn(&super::builder::GroupScope) -> Option<&usize>,
    ) -> Result<Code> {
        let slot = self.groups.last().and_then(slot).copied();
        slot.map(Code::Slot)
            .ok_or_else(|| SqlError::internal("a group's value outside its group").at(node.position))
    }

    /// Compiles a condition; NULL counts as false.
    pub(crate) fn test(&mut self, node: &Expr) -> Result<TestFn> {
        if is_null(node) {
            return Ok(test(|_| Ok(false)));
        }
        match &node.kind {
            ExprKind::Call { function, arguments } if arguments.len() == 2 && node.ty == TypeId::BOOL => {
                let (left, right) = (self.expr(&arguments[0])?, self.expr(&arguments[1])?);
                match fast::comparison_test(function, left, right) {
                    Ok(test) => Ok(test),
                    Err((left, right)) => {
                        Ok(value_test(self.call_code(node, function, arguments, vec![left, right])?))
                    }
                }
            }
            ExprKind::AnyAll { left, array, function, all: false } => {
                match self.membership(left, array, function)? {
                    Some(test) => Ok(test),
                    None => Ok(value_test(self.expr(node)?)),
                }
            }
            ExprKind::And(parts) => self.all(parts),
            ExprKind::Or(parts) => {
                let parts = parts.iter().map(|part| self.test(part)).collect::<Result<Vec<_>>>()?;
                Ok(test(move |exec| {
                    for part in &parts {
                        if part(exec)? {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                }))
            }
            ExprKind::IsNull { argument, negated } => {
                let record = argument.ty.is_row();
                let (argument, negated) = (self.expr(argument)?, *negated);
                Ok(match argument {
                    Code::Slot(slot) if !record => test(move |exec| Ok(exec.get(slot).is_null() != negated)),
                    argument => test(move |exec| {
                        let value = argument.run(exec)?;
                        Ok(match &value {
                            Value::Record(fields) if record => {
                                fields.iter().all(|field| field.is_null() != negated)
                            }
                            other => other.is_null() != negated,
                        })
                    }),
                })
            }
            ExprKind::IsBoolean { argument, value, negated } => {
                let (argument, value, negated) = (self.expr(argument)?, *value, *negated);
                Ok(test(move |exec| Ok((argument.run(exec)?.as_bool() == value) != negated)))
            }
            ExprKind::IsDistinct { left, right, equal, negated } => {
                self.is_distinct(left, right, equal, *negated)
            }
            ExprKind::Not(inner) => {
                let inner = self.expr(inner)?;
                Ok(test(move |exec| Ok(inner.run(exec)?.as_bool() == Some(false))))
            }
            _ => Ok(value_test(self.expr(node)?)),
        }
    }

    /// A test that all conditions hold.
    pub(crate) fn all(&mut self, parts: &[Expr]) -> Result<TestFn> {
        let parts: Vec<&Expr> = parts.iter().collect();
        self.all_of(&parts)
    }

    /// A test that all conditions hold.
    pub(crate) fn all_of(&mut self, parts: &[&Expr]) -> Result<TestFn> {
        // As in PostgreSQL: what else stands there is not looked at, so it raises nothing.
        if parts.iter().any(|part| is_null(part)) {
            return Ok(test(|_| Ok(false)));
        }
        let mut tests = parts.iter().map(|part| self.test(part)).collect::<Result<Vec<_>>>()?;
        if tests.len() == 1 {
            return Ok(tests.remove(0));
        }
        Ok(test(move |exec| {
            for test in &tests {
                if !test(exec)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }))
    }

    /// As [`Builder::all_of`], `None` for no condition at all.
    pub(crate) fn filter(&mut self, parts: &[&Expr]) -> Result<Option<TestFn>> {
        if parts.is_empty() { Ok(None) } else { self.all_of(parts).map(Some) }
    }

    fn is_distinct(
        &mut self,
        left: &Expr,
        right: &Expr,
        equal: &'static Function,
        negated: bool,
    ) -> Result<TestFn> {
        let types = CallTypes { arguments: [left.ty, right.ty].into(), result: TypeId::BOOL };
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        Ok(test(move |exec| {
            let arguments = [left.run(exec)?, right.run(exec)?];
            let distinct = match (arguments[0].is_null(), arguments[1].is_null()) {
                (true, true) => false,
                (false, false) => host::call(exec, equal, &types, &arguments)?.as_bool() != Some(true),
                _ => true,
            };
            Ok(distinct != negated)
        }))
    }

    /// AND (`stops_at` false) or OR (`stops_at` true) in three-valued logic.
    fn logic(&mut self, parts: &[Expr], stops_at: bool) -> Result<Code> {
        let parts = self.exprs(parts)?;
        Ok(Code::new(move |exec| {
            let mut unknown = false;
            for part in &parts {
                match part.run(exec)?.as_bool() {
                    Some(value) if value == stops_at => return Ok(Value::Bool(stops_at)),
                    Some(_) => {}
                    None => unknown = true,
                }
            }
            Ok(if unknown { Value::Null } else { Value::Bool(!stops_at) })
        }))
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        arms: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<Code> {
        let operand = operand.map(|operand| self.expr(operand)).transpose()?;
        let slot = self.slot();
        if operand.is_some() {
            self.case_operands.push(slot);
        }
        let conditions = arms.iter().map(|(condition, _)| self.test(condition)).collect::<Result<Vec<_>>>();
        if operand.is_some() {
            self.case_operands.pop();
        }
        let results = arms.iter().map(|(_, result)| self.expr(result)).collect::<Result<Vec<_>>>()?;
        let arms: Vec<(TestFn, Code)> = conditions?.into_iter().zip(results).collect();
        let otherwise = otherwise.map(|otherwise| self.expr(otherwise)).transpose()?;
        Ok(Code::new(move |exec| {
            if let Some(operand) = &operand {
                operand.run_into(exec, slot)?;
            }
            for (condition, result) in &arms {
                if condition(exec)? {
                    return result.run(exec);
                }
            }
            otherwise.as_ref().map_or(Ok(Value::Null), |otherwise| otherwise.run(exec))
        }))
    }

    fn call(&mut self, node: &Expr, function: &'static Function, arguments: &[Expr]) -> Result<Code> {
        if function.returns_set {
            return Err(SqlError::unsupported("a set-returning function here").at(node.position));
        }
        self.reads_more |= function.engine && function.symbol != "nextval";
        let codes = self.exprs(arguments)?;
        self.call_code(node, function, arguments, codes)
    }

    /// A call over compiled arguments.
    fn call_code(
        &mut self,
        node: &Expr,
        function: &'static Function,
        arguments: &[Expr],
        mut codes: Vec<Code>,
    ) -> Result<Code> {
        let types =
            CallTypes { arguments: arguments.iter().map(|argument| argument.ty).collect(), result: node.ty };
        if function.volatility == Volatility::Immutable && !function.engine {
            let constants: Option<Vec<Value>> = codes.iter().map(|code| code.constant().cloned()).collect();
            if let Some(value) = constants.and_then(|constants| host::fold(function, &types, &constants)) {
                return Ok(Code::Constant(value));
            }
        }
        if function.strict && codes.iter().any(|code| code.constant().is_some_and(Value::is_null)) {
            return Ok(Code::Constant(Value::Null));
        }
        if codes.len() == 2 {
            let (left, right) = pair(&mut codes);
            let fast = fast::comparison_value(function, left, right)
                .or_else(|(left, right)| fast::arithmetic(function, left, right));
            match fast {
                Ok(code) => return Ok(code),
                Err((left, right)) => codes.extend([left, right]),
            }
        }
        Ok(general_call(function, types, codes))
    }
}

/// Whether an expression is NULL whatever the rows are: a strict function of NULL.
fn is_null(node: &Expr) -> bool {
    match &node.kind {
        ExprKind::Constant(value) => value.is_null(),
        ExprKind::Call { function, arguments } => {
            function.strict && !function.returns_set && arguments.iter().any(is_null)
        }
        _ => false,
    }
}

fn pair(codes: &mut Vec<Code>) -> (Code, Code) {
    let right = codes.pop().expect("invariant: two arguments");
    let left = codes.pop().expect("invariant: two arguments");
    (left, right)
}

/// A test of a boolean value.
fn value_test(code: Code) -> TestFn {
    match code {
        Code::Constant(value) => {
            let value = value.as_bool() == Some(true);
            test(move |_| Ok(value))
        }
        Code::Slot(slot) => test(move |exec| Ok(exec.get(slot).as_bool() == Some(true))),
        Code::Call(call) => test(move |exec| Ok(call(exec)?.as_bool() == Some(true))),
    }
}

/// Arguments of up to this number lie on the machine's stack.
const FEW: usize = 4;

fn general_call(function: &'static Function, types: CallTypes, codes: Vec<Code>) -> Code {
    match codes.len() {
        1 => {
            let mut codes = codes;
            let argument = codes.remove(0);
            Code::new(move |exec| {
                let argument = argument.run(exec)?;
                finish_call(exec, function, &types, &[argument])
            })
        }
        2 => {
            let mut codes = codes;
            let (left, right) = pair(&mut codes);
            Code::new(move |exec| {
                let arguments = [left.run(exec)?, right.run(exec)?];
                finish_call(exec, function, &types, &arguments)
            })
        }
        0..=FEW => Code::new(move |exec| {
            let mut arguments = arrayvec::ArrayVec::<Value, FEW>::new();
            for code in &codes {
                arguments.push(code.run(exec)?);
            }
            finish_call(exec, function, &types, &arguments)
        }),
        _ => Code::new(move |exec| {
            let mut arguments = exec.take_buffer();
            super::code::run_all(&codes, exec, &mut arguments)?;
            let result = finish_call(exec, function, &types, &arguments);
            exec.give_buffer(arguments);
            result
        }),
    }
}

#[inline]
fn finish_call(
    exec: &mut Exec<'_, '_>,
    function: &Function,
    types: &CallTypes,
    arguments: &[Value],
) -> Run<Value> {
    if function.strict && arguments.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    host::call(exec, function, types, arguments)
}
