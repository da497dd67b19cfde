//! Calls of functions whose types the call decides: polymorphic ones, and those that return `record`
//! with a column definition list.

use tuplix_catalog::{ArgumentDef, ArgumentMode, FieldDef, FunctionDef, FunctionId};
use tuplix_functions::{ANYCOMPATIBLENONARRAY, is_polymorphic};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind, OutputColumn};

/// What the polymorphic types of a call stand for.
#[derive(Default)]
struct Meaning {
    element: Option<TypeId>,
    common: Option<TypeId>,
}

impl Meaning {
    fn of(&self, ty: TypeId) -> Option<TypeId> {
        match ty {
            TypeId::ANYELEMENT | TypeId::ANYNONARRAY | TypeId::ANYENUM => self.element,
            TypeId::ANYARRAY => self.element.and_then(TypeId::array_of),
            TypeId::ANYCOMPATIBLE | ANYCOMPATIBLENONARRAY => self.common,
            TypeId::ANYCOMPATIBLEARRAY => self.common.and_then(TypeId::array_of),
            _ => Some(ty),
        }
    }
}

/// Whether a call decides types of the function.
pub(super) fn has_polymorphic(function: &FunctionDef) -> bool {
    is_polymorphic(function.returns) || function.arguments.iter().any(|argument| is_polymorphic(argument.ty))
}

impl Analyzer<'_> {
    /// The function with the types of a call's arguments in the place of polymorphic ones.
    pub(super) fn specialised(&self, function: &FunctionDef, arguments: &[Expr]) -> Result<FunctionId> {
        if !has_polymorphic(function) {
            return Ok(function.id);
        }
        let mut meaning = Meaning::default();
        for (declared, given) in function.inputs().zip(arguments) {
            let array = || self.element(given.ty);
            match declared.ty {
                TypeId::ANYELEMENT | TypeId::ANYNONARRAY | TypeId::ANYENUM => {
                    meaning.element = Some(given.ty)
                }
                TypeId::ANYARRAY => meaning.element = meaning.element.or_else(array),
                TypeId::ANYCOMPATIBLE | ANYCOMPATIBLENONARRAY => meaning.common = Some(given.ty),
                TypeId::ANYCOMPATIBLEARRAY => meaning.common = meaning.common.or_else(array),
                _ => {}
            }
        }
        let settle = |ty: TypeId| {
            meaning.of(ty).ok_or_else(|| {
                let message = "could not determine polymorphic type because input has type unknown";
                SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
            })
        };
        let mut special = function.clone();
        special.returns = settle(function.returns)?;
        for argument in &mut special.arguments {
            argument.ty = settle(argument.ty)?;
        }
        self.made_special(special)
    }

    fn made_special(&self, special: FunctionDef) -> Result<FunctionId> {
        self.context.catalog.specialise(special).ok_or_else(|| {
            let message = "too many kinds of calls of polymorphic functions";
            SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message)
        })
    }

    /// A call of a function that returns `record`, with the columns that its FROM item lists.
    pub(super) fn with_columns(&self, call: Expr, columns: &[FieldDef]) -> Result<Expr> {
        let position = call.position;
        let refused = |message: &str| Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
        let ExprKind::UserCall { function, arguments } = call.kind else {
            return refused("a column definition list is only allowed for functions returning \"record\"");
        };
        let def = self.context.catalog.function(function).ok_or_else(nodes::missing)?;
        if def.outputs().next().is_some() {
            return refused("a column definition list is redundant for a function with OUT parameters");
        }
        if def.returns.is_composite() {
            return refused(
                "a column definition list is redundant for a function returning a named composite type",
            );
        }
        if def.returns != TypeId::RECORD {
            return refused("a column definition list is only allowed for functions returning \"record\"");
        }
        let mut special = FunctionDef::clone(def);
        special.arguments.extend(columns.iter().map(|column| ArgumentDef {
            // No variable of the body has such a name.
            name: column.name.clone(),
            ty: column.ty,
            mode: ArgumentMode::Table,
            default: None,
        }));
        let function = self.made_special(special)?;
        Ok(Expr {
            kind: ExprKind::UserCall { function, arguments },
            position,
            ..Expr::new(ExprKind::Default, call.ty)
        })
    }

    /// Gives a record, for a function that shows the names of its columns, a type that has them.
    pub(super) fn name_columns(&self, record: &mut Expr) {
        if record.ty != TypeId::RECORD {
            return;
        }
        if let ExprKind::Relabel(inner) = &record.kind
            && inner.ty.is_composite()
        {
            *record = Expr::clone(inner);
            return;
        }
        // The names of ROW(...) are f1, f2, ... anyway.
        let Some(columns) = self.record_columns(record).filter(|_| !matches!(record.kind, ExprKind::Row(_)))
        else {
            return;
        };
        let field = |column: &OutputColumn| FieldDef {
            name: column.name.clone(),
            ty: column.ty,
            typmod: column.typmod,
        };
        let fields: Vec<FieldDef> = columns.iter().map(field).collect();
        if let Some(ty) = self.context.catalog.anonymous_row(&fields) {
            let plain = std::mem::replace(record, Expr::new(ExprKind::Default, ty));
            *record = super::coerce::relabel(plain, ty);
        }
    }

    /// The columns that a column definition list names.
    pub(super) fn defined_columns(&mut self, list: &[pg_query::protobuf::Node]) -> Result<Vec<FieldDef>> {
        let mut columns: Vec<FieldDef> = Vec::with_capacity(list.len());
        for node in list {
            let column = self.composite_field(node)?;
            if columns.iter().any(|other| other.name == column.name) {
                let message = format!("column name \"{}\" specified more than once", column.name);
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
            }
            columns.push(column);
        }
        Ok(columns)
    }

    /// `json_populate_record` and its kin: the first argument's type says which columns the row has.
    pub(super) fn populated(
        &mut self,
        symbol: &str,
        mut arguments: Vec<Expr>,
        columns: Option<Vec<OutputColumn>>,
        position: Option<u32>,
    ) -> Result<Expr> {
        let takes_base = symbol.contains("populate");
        arguments.truncate(2);
        let source = arguments.pop().ok_or_else(nodes::missing)?;
        let base = if takes_base { Some(arguments.pop().ok_or_else(nodes::missing)?) } else { None };
        let ty = base.as_ref().map_or(TypeId::RECORD, |base| base.ty);
        let named = columns.or_else(|| self.named_columns(ty));
        let columns = match named {
            Some(columns) => columns,
            None if !takes_base => {
                let message = "a column definition list is required for functions returning \"record\"";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
            }
            None if !self.base(ty).is_row() => {
                let function = symbol.trim_start_matches("jsonb_").trim_start_matches("json_");
                let message = format!("first argument of {function} must be a row type");
                return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
            }
            None => {
                let message = format!("could not determine row type for result of {symbol}");
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
                    .hint("Provide a non-null record argument, or call the function in the FROM clause using a column definition list.")
                    .at(position));
            }
        };
        let base = base.filter(|base| !matches!(base.kind, ExprKind::Constant(_))).map(Box::new);
        let kind = ExprKind::Populate { source: Box::new(source), base, columns };
        Ok(Expr { kind, ty, typmod: -1, position })
    }
}
