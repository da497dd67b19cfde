//! The parameters `$1`, `$2`, ... and what their types turn out to be (`parse_param.c`).

use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Analyzer;
use crate::plan::{Expr, ExprKind};
use pg_query::protobuf::ParamRef;

/// PostgreSQL's limit on the number of parameters.
const MAX_PARAMETERS: i32 = 65_535;

/// The parameters of a statement.
#[derive(Debug)]
pub(super) struct Parameters {
    types: Vec<TypeId>,
    /// Whether there may be more than were declared.
    open: bool,
    /// Places where a parameter stood whose type was not known there and then.
    unsettled: Vec<(usize, Option<u32>)>,
}

impl Parameters {
    /// A statement that may have no parameters.
    pub(super) fn none() -> Parameters {
        Parameters { types: Vec::new(), open: false, unsettled: Vec::new() }
    }

    /// A client's statement: declared types first, the rest as found.
    pub(super) fn inferred(declared: &[TypeId]) -> Parameters {
        let types = declared.iter().map(|id| if id.0 == 0 { TypeId::UNKNOWN } else { *id }).collect();
        Parameters { types, open: true, ..Parameters::none() }
    }

    /// The types in the end.
    ///
    /// # Errors
    /// 42P18 for one that nothing determines, 42P08 for one that was determined too late.
    pub(super) fn settle(self) -> Result<Vec<TypeId>> {
        let undetermined = |state, index: usize, position| {
            let message = format!("could not determine data type of parameter ${}", index + 1);
            SqlError::new(state, message).at(position)
        };
        for &(index, position) in &self.unsettled {
            if self.types[index] != TypeId::UNKNOWN {
                return Err(undetermined(sqlstate::AMBIGUOUS_PARAMETER, index, position));
            }
        }
        match self.types.iter().position(|id| *id == TypeId::UNKNOWN) {
            Some(index) => Err(undetermined(sqlstate::INDETERMINATE_DATATYPE, index, None)),
            None => Ok(self.types),
        }
    }
}

impl Analyzer<'_> {
    /// `$n`
    pub(super) fn parameter(&mut self, node: &ParamRef) -> Result<Expr> {
        let position = self.at(node.location);
        let number = node.number;
        if let Some(expr) = self.parameter_as_variable(number) {
            return Ok(Expr { position, ..expr });
        }
        let unknown = || {
            SqlError::new(sqlstate::UNDEFINED_PARAMETER, format!("there is no parameter ${number}"))
                .at(position)
        };
        if number <= 0 || number > MAX_PARAMETERS {
            return Err(unknown());
        }
        let index = usize::try_from(number - 1).map_err(|_| unknown())?;
        if index >= self.parameters.types.len() {
            if !self.parameters.open {
                return Err(unknown());
            }
            self.parameters.types.resize(index + 1, TypeId::UNKNOWN);
        }
        let ty = self.parameters.types[index];
        if ty == TypeId::UNKNOWN {
            self.parameters.unsettled.push((index, position));
        }
        Ok(Expr { kind: ExprKind::Parameter(index), ty, typmod: -1, position })
    }

    /// Gives an undetermined parameter its type.
    pub(super) fn settle_parameter(&mut self, index: usize, ty: TypeId, position: Option<u32>) -> Result<()> {
        let known = self.parameters.types[index];
        if known != TypeId::UNKNOWN && known != ty {
            let message = format!("inconsistent types deduced for parameter ${}", index + 1);
            let error =
                SqlError::new(sqlstate::AMBIGUOUS_PARAMETER, message).detail(format!("{known} versus {ty}"));
            return Err(error.at(position));
        }
        self.parameters.types[index] = ty;
        let at = self.parameters.unsettled.iter().position(|place| *place == (index, position));
        if let Some(at) = at {
            self.parameters.unsettled.remove(at);
        }
        Ok(())
    }
}
