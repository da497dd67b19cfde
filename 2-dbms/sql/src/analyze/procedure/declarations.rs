//! DECLARE: variables, their types and first values.

use tuplix_types::{SqlError, TypeId, sqlstate};

use super::Binder;
use super::refusal::{Bound, OfTheWhole as _};
use crate::analyze::nodes;
use crate::parser::protobuf::TypeName;
use crate::plan::{ExprKind, Expression, OutputColumn};
use crate::plpgsql::{self, DataTypeKind, DeclarationKind};

impl Binder<'_> {
    /// Declares one name; the variable with its default when it has a value of its own.
    pub(super) fn declare(
        &mut self,
        declaration: &plpgsql::Declaration,
    ) -> Bound<Option<(usize, Option<Expression>)>> {
        let (data_type, constant, not_null, default) = match &declaration.kind {
            DeclarationKind::Alias { target, .. } => {
                let variable = self.alias_target(target).of_the_whole()?;
                if let Some(namespace) = self.variables.namespaces.last_mut() {
                    namespace.names.push((declaration.name.clone(), variable));
                }
                return Ok(None);
            }
            DeclarationKind::Cursor { scroll, arguments, query } => {
                return self.declare_cursor(&declaration.name, *scroll, arguments, query).map(Some);
            }
            DeclarationKind::Variable { data_type, constant, not_null, collation, default } => {
                if let Some(collation) = collation
                    && !matches!(collation.last().map(String::as_str), Some("C" | "POSIX" | "default"))
                {
                    return Err(SqlError::unsupported("COLLATE of a variable").into());
                }
                (data_type, *constant, *not_null, default)
            }
        };
        // The default does not see the variable itself.
        let resolved = self.data_type(data_type).of_the_whole()?;
        let value = match (&resolved, default) {
            // A domain may refuse the NULL that a variable is without a value.
            (Resolved::Scalar(ty, typmod), None) if ty.is_domain() => {
                let null = |analyzer: &mut crate::analyze::Analyzer<'_>| {
                    analyzer.variable_cast(crate::analyze::functions::null(TypeId::UNKNOWN), *ty, *typmod)
                };
                Some(self.computed("NULL", null))
            }
            (_, None) => None,
            (Resolved::Scalar(ty, typmod), Some(default)) => Some(self.typed(default, *ty, *typmod)),
            (Resolved::Row(ty, _), Some(default)) if ty.is_composite() => {
                Some(self.converted(default, |analyzer, value| analyzer.row_cast(value, *ty)))
            }
            (_, Some(default)) => Some(self.expression(default)),
        };
        let variable = match resolved {
            Resolved::Scalar(ty, typmod) => self.add_variable(&declaration.name, ty, typmod),
            Resolved::Record => self.add_variable(&declaration.name, TypeId::RECORD, -1),
            Resolved::Row(ty, columns) => self.add_row(&declaration.name, ty, columns),
        };
        if let (TypeId::RECORD, Some(value)) = (self.variables.list[variable].ty, &value) {
            let columns = self.analyze(|analyzer| Ok(analyzer.record_columns(&value.expr)))?.0;
            self.assign_shape(variable, columns)?;
        }
        self.variables.list[variable].not_null = not_null;
        if constant {
            self.constants.push(variable);
        }
        Ok(Some((variable, value)))
    }

    fn alias_target(&self, target: &[String]) -> Result<usize, SqlError> {
        let variables = &self.variables;
        let found = match target {
            [name] => match name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()) {
                Some(number) => {
                    number.checked_sub(1).and_then(|index| variables.parameters.get(index).copied())
                }
                None => variables.lookup(name),
            },
            [label, name] => variables.lookup_in(label, name),
            _ => None,
        };
        found.ok_or_else(|| {
            let message = format!("variable \"{}\" does not exist", target.join("."));
            SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
        })
    }

    pub(super) fn data_type(&self, data_type: &plpgsql::DataType) -> Result<Resolved, SqlError> {
        match &data_type.kind {
            DataTypeKind::Record => Ok(Resolved::Record),
            DataTypeKind::RowOf(parts) => self.row_type(parts),
            DataTypeKind::OfVariable(parts) => {
                let names: Vec<&str> = parts.iter().map(String::as_str).collect();
                if let Some(variable) = self.analyze(|analyzer| analyzer.variable(&names, None))?.0 {
                    return Ok(match variable.kind {
                        ExprKind::Variable(index) if variable.ty.is_row() => {
                            match &self.variables.list[index].fields {
                                Some(columns) => Resolved::Row(variable.ty, columns.clone()),
                                None => Resolved::Record,
                            }
                        }
                        _ => Resolved::Scalar(variable.ty, variable.typmod),
                    });
                }
                let names = parts.iter().map(|part| string_node(part)).collect();
                let name =
                    TypeName { names, pct_type: true, typemod: -1, location: -1, ..TypeName::default() };
                let ((ty, typmod), _) = self.analyze(|analyzer| analyzer.type_name(&name))?;
                Ok(Resolved::Scalar(ty, typmod))
            }
            DataTypeKind::Named(name) => match self.analyze(|analyzer| analyzer.type_name(name)) {
                Ok(((TypeId::RECORD, _), _)) => Ok(Resolved::Record),
                Ok(((ty, _), _)) if ty.is_composite() => {
                    let columns = self.analyze(|analyzer| Ok(analyzer.named_columns(ty)))?.0;
                    Ok(Resolved::Row(ty, columns.ok_or_else(nodes::missing)?))
                }
                Ok(((ty, typmod), _)) => {
                    if crate::analyze::create_table::is_pseudo(ty) {
                        let message = format!("variable has pseudo-type {ty}");
                        return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
                    }
                    Ok(Resolved::Scalar(ty, typmod))
                }
                Err(error) => {
                    // A table's name is that of its row type.
                    let parts: Vec<String> =
                        nodes::strings(&name.names).into_iter().map(str::to_owned).collect();
                    let plain = name.array_bounds.is_empty() && name.typmods.is_empty() && !name.pct_type;
                    match self.row_type(&parts) {
                        Ok(row) if plain => Ok(row),
                        _ => Err(error),
                    }
                }
            },
        }
    }

    fn row_type(&self, parts: &[String]) -> Result<Resolved, SqlError> {
        let (schema, table) = match parts {
            [table] => (None, table),
            [schema, table] | [_, schema, table] => (Some(schema.as_str()), table),
            _ => return Err(nodes::missing()),
        };
        let (row, _) = self.analyze(|analyzer| {
            let composite = analyzer.composite_named(schema, table);
            if let Some((ty, columns)) = composite {
                return Ok(Resolved::Row(ty, columns));
            }
            let found = analyzer.find_relation(schema, table, None)?;
            Ok(Resolved::Row(TypeId::RECORD, found.columns(analyzer)))
        })?;
        Ok(row)
    }
}

/// A variable's type.
pub(super) enum Resolved {
    Scalar(TypeId, i32),
    Record,
    Row(TypeId, Vec<OutputColumn>),
}

fn string_node(text: &str) -> crate::parser::protobuf::Node {
    let text = crate::parser::protobuf::String { sval: text.to_owned() };
    crate::parser::protobuf::Node { node: Some(crate::parser::NodeEnum::String(text)) }
}
