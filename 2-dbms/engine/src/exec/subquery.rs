//! Subqueries in expressions. One that depends on nothing outside it runs once a statement.

use std::sync::Arc;

use tuplix_functions::Function;
use tuplix_sql::plan::{Expr, Query, SubqueryKind};
use tuplix_storage::Comparison;
use tuplix_types::{Array, Result, SqlError, TypeId, Value, sqlstate};

use super::builder::Builder;
use super::code::{Code, run_all};
use super::compare::comparison_of;
use super::expression_more::compare_one;
use super::frame::{Exec, Flow, State};
use super::hash_table::Keys;
use super::host::CallTypes;
use super::query::QueryCode;
use super::walk::Facts;
use crate::stop::Run;

impl Builder<'_> {
    /// Compiles a subquery.
    pub(crate) fn subquery(&mut self, kind: &SubqueryKind, query: &Query) -> Result<Code> {
        let facts = Facts::of_query(query);
        let once = facts.outer().is_empty()
            && facts.ctes.is_disjoint(&self.changing_ctes)
            && !self.in_row_scope(&facts);
        let left = match kind {
            SubqueryKind::Compare { left, .. } => self.exprs(left)?,
            _ => Vec::new(),
        };
        let operands = std::mem::take(&mut self.case_operands);
        let code = self.query(query);
        self.case_operands = operands;
        let code = code?;
        let state = once.then(|| self.state());
        let value = match kind {
            SubqueryKind::Scalar => scalar(code),
            SubqueryKind::Exists => exists(code),
            SubqueryKind::Array => array(code),
            SubqueryKind::Compare { left: nodes, functions, all } => {
                return Ok(self.compare_subquery(nodes, left, functions, *all, code, state));
            }
        };
        Ok(match state {
            Some(state) => Code::new(move |exec| {
                if let State::Value(value) = exec.state(state) {
                    return Ok(value.clone());
                }
                let value = value.run(exec)?;
                exec.set_state(state, State::Value(value.clone()));
                Ok(value)
            }),
            None => value,
        })
    }

    /// Whether the subquery may answer differently for different rows although it names none of their columns.
    fn in_row_scope(&self, facts: &Facts) -> bool {
        facts.user_calls
    }

    fn compare_subquery(
        &mut self,
        nodes: &[Expr],
        left: Vec<Code>,
        functions: &[&'static Function],
        all: bool,
        code: QueryCode,
        state: Option<usize>,
    ) -> Code {
        let hashable = functions
            .iter()
            .zip(nodes)
            .all(|(function, node)| comparison_of(function) == Some(Comparison::Equal) && !node.ty.is_row());
        if let (Some(state), false, true) = (state, all, hashable) {
            let types = functions.iter().map(|function| function.args[0]).collect();
            return in_hashed(InHashed { left, types, code, state });
        }
        let comparisons =
            functions.iter().map(|function| comparison_of(function).map(|c| (c, function.args[0])));
        let types = nodes.iter().zip(&code.types);
        let types =
            types.map(|(node, ty)| CallTypes { arguments: [node.ty, *ty].into(), result: TypeId::BOOL });
        let columns: Vec<_> = functions.iter().copied().zip(comparisons).zip(types).collect();
        Code::new(move |exec| {
            let mut values = Vec::with_capacity(left.len());
            run_all(&left, exec, &mut values)?;
            let mut answer = Some(all);
            code.run(exec, &mut |exec| {
                let mut holds = Some(true);
                for (number, ((function, comparison), types)) in columns.iter().enumerate() {
                    let right = exec.get(code.first + number).clone();
                    match compare_one(exec, function, *comparison, types, &values[number], &right)? {
                        Some(true) => {}
                        Some(false) => {
                            holds = Some(false);
                            break;
                        }
                        None => holds = None,
                    }
                }
                match holds {
                    Some(holds) if holds != all => {
                        answer = Some(!all);
                        return Ok(Flow::Stop);
                    }
                    Some(_) => {}
                    None => answer = None,
                }
                Ok(Flow::Continue)
            })?;
            Ok(answer.map_or(Value::Null, Value::Bool))
        })
    }
}

fn scalar(code: QueryCode) -> Code {
    Code::new(move |exec| {
        let mut value = None;
        code.run(exec, &mut |exec| {
            if value.is_some() {
                let message = "more than one row returned by a subquery used as an expression";
                return Err(SqlError::new(sqlstate::CARDINALITY_VIOLATION, message).into());
            }
            value = Some(exec.get(code.first).clone());
            Ok(Flow::Continue)
        })?;
        Ok(value.unwrap_or_default())
    })
}

fn exists(code: QueryCode) -> Code {
    Code::new(move |exec| {
        let mut found = false;
        code.run(exec, &mut |_| {
            found = true;
            Ok(Flow::Stop)
        })?;
        Ok(Value::Bool(found))
    })
}

fn array(code: QueryCode) -> Code {
    Code::new(move |exec| {
        let mut elements = Vec::new();
        code.run(exec, &mut |exec| {
            elements.push(exec.get(code.first).clone());
            Ok(Flow::Continue)
        })?;
        let element = code.types.first().copied().unwrap_or(TypeId::UNKNOWN);
        if elements.iter().any(|element| matches!(element, Value::Array(_))) {
            return Ok(Value::Array(Arc::new(super::expression_more::nest(
                element.element().unwrap_or(element),
                &elements,
            )?)));
        }
        Ok(Value::Array(Arc::new(Array::from_elements(element, elements))))
    })
}

/// `left IN (subquery)` over a hash table of the subquery's rows.
struct InHashed {
    left: Vec<Code>,
    types: Vec<TypeId>,
    code: QueryCode,
    state: usize,
}

impl InHashed {
    fn rows(&self, exec: &mut Exec<'_, '_>) -> Run<(Arc<Keys>, bool)> {
        if let State::Set(keys, nulls) = exec.state(self.state) {
            return Ok((keys.clone(), *nulls));
        }
        let mut keys = Keys::new(&self.types);
        let mut nulls = false;
        self.code.run(exec, &mut |exec| {
            let row = exec.slots(self.code.first, self.code.width);
            nulls |= row.iter().any(Value::is_null);
            keys.insert(row);
            Ok(Flow::Continue)
        })?;
        let keys = Arc::new(keys);
        exec.set_state(self.state, State::Set(keys.clone(), nulls));
        Ok((keys, nulls))
    }

    fn answer(&self, exec: &mut Exec<'_, '_>) -> Run<Value> {
        let (keys, nulls) = self.rows(exec)?;
        let mut left = Vec::with_capacity(self.left.len());
        run_all(&self.left, exec, &mut left)?;
        if keys.len() == 0 {
            return Ok(Value::Bool(false));
        }
        let has_null = left.iter().any(Value::is_null);
        if !has_null && keys.find(&left).is_some() {
            return Ok(Value::Bool(true));
        }
        if !has_null && !nulls {
            return Ok(Value::Bool(false));
        }
        // A NULL on one side leaves the answer open unless another column differs.
        let may_match = (0..keys.len()).any(|number| {
            let columns = self.types.iter().zip(keys.key(number).iter().zip(&left));
            columns
                .into_iter()
                .all(|(ty, (a, b))| a.is_null() || b.is_null() || tuplix_types::equal_typed(*ty, a, b))
        });
        Ok(if may_match { Value::Null } else { Value::Bool(false) })
    }
}

fn in_hashed(code: InHashed) -> Code {
    Code::new(move |exec| code.answer(exec))
}
