//! PL/pgSQL variables as SQL sees them: names in nested blocks, records and their fields.

use tuplix_types::{Result, SqlError, sqlstate};

use super::{Analyzer, records};
use crate::plan::{Expr, ExprKind, OutputColumn, Variable};

/// What wins when a name is both a column and a variable (`#variable_conflict`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Conflict {
    /// Nothing: 42702.
    #[default]
    Error,
    /// The variable.
    Variable,
    /// The column; also what SQL functions do.
    Column,
}

/// The structure of a record variable at the place being analysed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Shape {
    /// Nothing was assigned to it yet.
    #[default]
    Unassigned,
    /// These columns.
    Known(Vec<OutputColumn>),
    /// Different ones on different ways to here.
    Unclear,
}

/// The names of one block.
#[derive(Clone, Debug, Default)]
pub(super) struct Namespace {
    /// The block's label, or the function's name.
    pub label: Option<String>,
    /// Names and variables.
    pub names: Vec<(String, usize)>,
}

/// The variables of a function.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    /// All of them.
    pub list: Vec<Variable>,
    /// The blocks around the current place, innermost last.
    pub namespaces: Vec<Namespace>,
    /// The variable of each `$n`.
    pub parameters: Vec<usize>,
    /// Who wins over columns.
    pub conflict: Conflict,
    /// The structure of each record variable at the current place.
    pub shapes: Vec<Shape>,
}

impl Variables {
    /// The variable of a bare name.
    pub(super) fn lookup(&self, name: &str) -> Option<usize> {
        self.namespaces.iter().rev().find_map(|namespace| namespace.get(name))
    }

    /// The variable of a name in the block with a label.
    pub(super) fn lookup_in(&self, label: &str, name: &str) -> Option<usize> {
        let block = self.namespaces.iter().rev().find(|namespace| namespace.label.as_deref() == Some(label));
        block.and_then(|namespace| namespace.get(name))
    }

    /// The columns of a record variable, when they are known here.
    pub(super) fn shape(&self, variable: usize) -> Option<Vec<OutputColumn>> {
        match self.shapes.get(variable)? {
            Shape::Known(columns) => Some(columns.clone()),
            Shape::Unassigned | Shape::Unclear => None,
        }
    }

    /// A reference to a variable.
    pub(super) fn reference(&self, variable: usize, position: Option<u32>) -> Expr {
        let Variable { ty, typmod, .. } = self.list[variable];
        Expr { kind: ExprKind::Variable(variable), ty, typmod, position }
    }
}

impl Namespace {
    fn get(&self, name: &str) -> Option<usize> {
        self.names.iter().rev().find(|(other, _)| other == name).map(|(_, variable)| *variable)
    }
}

impl Analyzer<'_> {
    /// The variable, or field of a record variable, that a chain of names means.
    pub(super) fn variable(&self, names: &[&str], position: Option<u32>) -> Result<Option<Expr>> {
        let Some(variables) = self.variables else { return Ok(None) };
        let field = |variable: usize, name: &str| -> Result<Option<Expr>> {
            if !variables.list[variable].ty.is_row() {
                return Ok(None);
            }
            self.variable_field(variable, name, position).map(Some)
        };
        match *names {
            [name] => Ok(variables.lookup(name).map(|variable| variables.reference(variable, position))),
            [first, second] => {
                if let Some(variable) = variables.lookup_in(first, second) {
                    return Ok(Some(variables.reference(variable, position)));
                }
                match variables.lookup(first) {
                    // A table of the same name in FROM wins over a record that lacks the field.
                    Some(variable) => match field(variable, second) {
                        Err(_) if self.find_item(None, first, position)?.is_some() => Ok(None),
                        result => result,
                    },
                    None => Ok(None),
                }
            }
            [label, record, name] => match variables.lookup_in(label, record) {
                Some(variable) => field(variable, name),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// A field of a record variable.
    pub(super) fn variable_field(&self, variable: usize, name: &str, position: Option<u32>) -> Result<Expr> {
        let variables =
            self.variables.ok_or_else(|| SqlError::internal("a variable outside of a function"))?;
        let record = variables.reference(variable, position);
        let record_name = &variables.list[variable].name;
        let columns = match &variables.shapes[variable] {
            Shape::Known(columns) => columns,
            Shape::Unassigned => {
                let message = format!("record \"{record_name}\" is not assigned yet");
                return Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                    .detail("The tuple structure of a not-yet-assigned record is indeterminate."));
            }
            Shape::Unclear => {
                let what =
                    format!("record \"{record_name}\" with a different structure on each way to this place");
                return Err(SqlError::unsupported(what).hint("Use a record variable for each structure."));
            }
        };
        match columns.iter().position(|column| column.name == name) {
            Some(index) => Ok(records::field_of(&record, index, &columns[index])),
            None => {
                let message = format!("record \"{record_name}\" has no field \"{name}\"");
                Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(position))
            }
        }
    }

    /// `$n` inside of a function body.
    pub(super) fn parameter_as_variable(&self, number: i32) -> Option<Expr> {
        let variables = self.variables?;
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let variable = *variables.parameters.get(index)?;
        Some(variables.reference(variable, None))
    }
}
