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
            (_, None) => None,
            (Resolved::Scalar(ty, typmod), Some(default)) => Some(self.typed(default, *ty, *typmod)),
            (_, Some(default)) => Some(self.expression(default)),
        };
        let variable = match resolved {
            Resolved::Scalar(ty, typmod) => self.add_variable(&declaration.name, ty, typmod),
            Resolved::Record => self.add_variable(&declaration.name, TypeId::RECORD, -1),
            Resolved::Row(columns) => self.add_row(&declaration.name, columns),
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
            DataTypeKind::RowOf(parts) => self.row_type(parts).map(Resolved::Row),
            DataTypeKind::OfVariable(parts) => {
                let names: Vec<&str> = parts.iter().map(String::as_str).collect();
                if let Some(variable) = self.analyze(|analyzer| analyzer.variable(&names, None))?.0 {
                    return Ok(match variable.kind {
                        ExprKind::Variable(index) if variable.ty == TypeId::RECORD => {
                            match &self.variables.list[index].fields {
                                Some(columns) => Resolved::Row(columns.clone()),
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
                        Ok(columns) if plain => Ok(Resolved::Row(columns)),
                        _ => Err(error),
                    }
                }
            },
        }
    }

    fn row_type(&self, parts: &[String]) -> Result<Vec<OutputColumn>, SqlError> {
        let (schema, table) = match parts {
            [table] => (None, table),
            [schema, table] | [_, schema, table] => (Some(schema.as_str()), table),
            _ => return Err(nodes::missing()),
        };
        let (columns, _) = self.analyze(|analyzer| {
            let found = analyzer.find_relation(schema, table, None)?;
            Ok(found.columns(analyzer))
        })?;
        Ok(columns)
    }
}

/// A variable's type.
pub(super) enum Resolved {
    Scalar(TypeId, i32),
    Record,
    Row(Vec<OutputColumn>),
}

fn string_node(text: &str) -> crate::parser::protobuf::Node {
    let text = crate::parser::protobuf::String { sval: text.to_owned() };
    crate::parser::protobuf::Node { node: Some(crate::parser::NodeEnum::String(text)) }
}
