//! Row values: which columns a record has, and its fields.

use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Analyzer;
use crate::plan::{Expr, ExprKind, From, OutputColumn, Query, QueryBody, Select, SubqueryKind};

impl Analyzer<'_> {
    /// The columns of a row value, when they are known before it is computed.
    pub(super) fn record_columns(&self, record: &Expr) -> Option<Vec<OutputColumn>> {
        match &record.kind {
            _ if self.base(record.ty).is_composite() && !matches!(record.kind, ExprKind::WholeRow(_)) => {
                self.named_columns(record.ty)
            }
            ExprKind::Populate { columns, .. } => Some(columns.clone()),
            ExprKind::WholeRow(relation) => Some(self.relation(*relation).columns.clone()),
            ExprKind::Column { relation, column } => self.record_shapes.get(&(*relation, *column)).cloned(),
            ExprKind::Row(fields) => {
                let column = |(index, field): (usize, &Expr)| OutputColumn {
                    name: format!("f{}", index + 1),
                    ty: field.ty,
                    typmod: field.typmod,
                };
                Some(fields.iter().enumerate().map(column).collect())
            }
            ExprKind::UserCall { function, .. } => self
                .context
                .catalog
                .function(*function)
                .map(|function| {
                    let column = |argument: &tuplix_catalog::ArgumentDef| OutputColumn {
                        name: argument.name.clone(),
                        ty: argument.ty,
                        typmod: -1,
                    };
                    function.outputs().map(column).collect::<Vec<_>>()
                })
                .filter(|columns| !columns.is_empty()),
            ExprKind::Call { function, arguments } if !function.columns.is_empty() => {
                Some(output_columns(function, arguments))
            }
            ExprKind::Variable(variable) => self.variables.and_then(|variables| variables.shape(*variable)),
            ExprKind::Subquery { kind: SubqueryKind::Scalar, query } => match &query.body {
                crate::plan::QueryBody::Select(select) => {
                    select.targets.first().and_then(|target| self.record_columns(target))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// `SELECT (x).* FROM (query) x`, for a query of one column, a row of these columns.
    pub(super) fn expand_row_column(&mut self, query: &mut Query, columns: Vec<OutputColumn>) {
        let inner = query.columns.clone();
        let ty = inner.first().map_or(TypeId::RECORD, |column| column.ty);
        let relation = self.add_relation("", inner, None);
        let whole = Expr::new(ExprKind::Column { relation, column: 0 }, ty);
        let fields = columns.iter().enumerate();
        let targets = fields.map(|(index, column)| field_of(&whole, index, column)).collect();
        let placeholder = Query::plain(QueryBody::Values(Vec::new()), Vec::new());
        let nested = Box::new(std::mem::replace(query, placeholder));
        let select = Select::plain(vec![From::Subquery { relation, query: nested, lateral: false }], targets);
        *query = Query::plain(QueryBody::Select(Box::new(select)), columns);
    }

    /// `(record).name`
    pub(super) fn field(&mut self, record: Expr, name: &str, position: Option<u32>) -> Result<Expr> {
        if !self.base(record.ty).is_row() {
            let message = format!(
                "column notation .{name} applied to type {}, which is not a composite type",
                record.ty
            );
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).at(position));
        }
        let columns = self.record_columns(&record);
        let found =
            columns.as_ref().and_then(|columns| columns.iter().position(|column| column.name == name));
        match (found, columns) {
            (Some(index), Some(columns)) => {
                Ok(Expr { position, ..field_of(&record, index, &columns[index]) })
            }
            _ if let ExprKind::WholeRow(relation) = record.kind => {
                let message = format!("column {}.{name} does not exist", self.relation(relation).name);
                Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(position))
            }
            _ if self.base(record.ty).is_composite() => {
                let message = format!("column \"{name}\" not found in data type {}", record.ty);
                Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(position))
            }
            _ => {
                let message = format!("could not identify column \"{name}\" in record data type");
                Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(position))
            }
        }
    }
}

/// A field of a record by its position.
pub(super) fn field_of(record: &Expr, index: usize, column: &OutputColumn) -> Expr {
    let kind = match &record.kind {
        ExprKind::WholeRow(relation) => ExprKind::Column { relation: *relation, column: index },
        ExprKind::Row(fields) => return fields[index].clone(),
        _ => ExprKind::Field { record: Box::new(record.clone()), index },
    };
    Expr { kind, ty: column.ty, typmod: column.typmod, position: record.position }
}

/// The columns of a built-in function with OUT arguments; `anyelement` is that of its first argument.
pub(super) fn output_columns(function: &tuplix_functions::Function, arguments: &[Expr]) -> Vec<OutputColumn> {
    let element = arguments.first().and_then(|argument| match argument.ty {
        TypeId::INT2VECTOR => Some(TypeId::INT2),
        TypeId::OIDVECTOR => Some(TypeId::OID),
        ty => ty.element(),
    });
    let column = |(name, ty): &(&str, TypeId)| OutputColumn {
        name: (*name).to_owned(),
        ty: if *ty == TypeId::ANYELEMENT { element.unwrap_or(*ty) } else { *ty },
        typmod: -1,
    };
    function.columns.iter().map(column).collect()
}
