//! Which operator an expression means (manual 10.2, `parse_oper.c`).

use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::select::Signature;
use super::{ResolvedOperator, Resolver};
use crate::registry::{Operator, operators_named};

impl Resolver<'_> {
    /// Resolves `left name right`, or the prefix operator when `left` is `None`.
    ///
    /// # Errors
    /// 42883 when no operator fits, 42725 when several do equally well, 0A000 when PostgreSQL has
    /// the operator and Tuplix does not.
    pub fn operator(&self, name: &str, left: Option<TypeId>, right: TypeId) -> Result<ResolvedOperator> {
        let name = if name == "!=" { "<>" } else { name };
        let candidates: Vec<(&'static Operator, Vec<TypeId>)> = operators_named(name)
            .iter()
            .filter(|operator| operator.left.is_some() == left.is_some())
            .map(|operator| (*operator, operator.left.into_iter().chain([operator.right]).collect()))
            .collect();
        let inputs: Vec<TypeId> = left.into_iter().chain([right]).collect();
        let operator = match self.exact_operator(&candidates, &inputs) {
            Some(operator) => operator,
            None => {
                let matching = self.matching(&inputs, &candidates);
                match matching[..] {
                    [] => return Err(self.no_operator(name, left, right)),
                    [only] => only.0,
                    _ => match self.select(&inputs, matching) {
                        Some(chosen) => chosen.0,
                        None => return Err(self.ambiguous_operator(name, left, right)),
                    },
                }
            }
        };
        if !operator.function.implemented {
            return Err(SqlError::unsupported(format_args!(
                "operator {}",
                self.operator_text(name, left, right)
            )));
        }
        let declared: Vec<TypeId> = operator.left.into_iter().chain([operator.right]).collect();
        let (args, result) = self.settle_polymorphic(&inputs, &declared, operator.result)?;
        Ok(ResolvedOperator { function: operator.function, operator, args, result })
    }

    /// The operator declared for exactly these types, an untyped literal taking the other side's.
    fn exact_operator(
        &self,
        candidates: &[(&'static Operator, Vec<TypeId>)],
        inputs: &[TypeId],
    ) -> Option<&'static Operator> {
        let find = |types: &[TypeId]| {
            candidates.iter().find(|(_, args)| args == types).map(|(operator, _)| *operator)
        };
        let assumed = match *inputs {
            [TypeId::UNKNOWN, right] if right != TypeId::UNKNOWN => Some(right),
            [left, TypeId::UNKNOWN] if left != TypeId::UNKNOWN => Some(left),
            _ => None,
        };
        match assumed {
            None => find(inputs),
            Some(id) => find(&[id, id]).or_else(|| {
                let base = self.types.base(id);
                find(&[base, base])
            }),
        }
    }

    fn operator_text(&self, name: &str, left: Option<TypeId>, right: TypeId) -> String {
        match left {
            Some(left) => format!("{} {name} {}", self.name(left), self.name(right)),
            None => format!("{name} {}", self.name(right)),
        }
    }

    fn no_operator(&self, name: &str, left: Option<TypeId>, right: TypeId) -> SqlError {
        let message = format!("operator does not exist: {}", self.operator_text(name, left, right));
        SqlError::new(sqlstate::UNDEFINED_FUNCTION, message).hint(match left {
            Some(_) => {
                "No operator matches the given name and argument types. You might need to add explicit type casts."
            }
            None => "No operator matches the given name and argument type. You might need to add an explicit type cast.",
        })
    }

    fn ambiguous_operator(&self, name: &str, left: Option<TypeId>, right: TypeId) -> SqlError {
        let message = format!("operator is not unique: {}", self.operator_text(name, left, right));
        SqlError::new(sqlstate::AMBIGUOUS_FUNCTION, message)
            .hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
    }
}

impl Signature for (&'static Operator, Vec<TypeId>) {
    fn args(&self) -> &[TypeId] {
        &self.1
    }
}
