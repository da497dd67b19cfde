//! COMMENT ON.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{CommentStmt, Node, ObjectType};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::ddl::object_name;
use super::{Analyzer, nodes};
use crate::plan::{CommentTarget, Ddl, DropKind, QualifiedName};

impl Analyzer<'_> {
    pub(super) fn comment(&mut self, stmt: &CommentStmt) -> Result<Ddl> {
        let kind = ObjectType::try_from(stmt.objtype).map_err(|_| nodes::missing())?;
        let object = nodes::required(stmt.object.as_deref())?;
        let target = match (kind, object) {
            (ObjectType::ObjectTable, NodeEnum::List(name)) => {
                CommentTarget::Table(self.listed_name(&name.items, -1)?)
            }
            (ObjectType::ObjectIndex, NodeEnum::List(name)) => {
                CommentTarget::Index(self.listed_name(&name.items, -1)?)
            }
            (ObjectType::ObjectColumn, NodeEnum::List(name)) => {
                let (table, column) = self.column_name(&name.items)?;
                CommentTarget::Column(table, column)
            }
            (ObjectType::ObjectSchema, NodeEnum::String(name)) => CommentTarget::Schema(name.sval.clone()),
            (
                ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine,
                NodeEnum::ObjectWithArgs(object),
            ) => {
                let name = self.listed_name(&object.objname, -1)?;
                let types: Result<Vec<TypeId>> =
                    object.objargs.iter().map(|argument| self.argument_type(argument)).collect();
                let kind = match kind {
                    ObjectType::ObjectProcedure => DropKind::Procedure,
                    _ => DropKind::Function,
                };
                CommentTarget::Function(name, (!object.args_unspecified).then_some(types?), kind)
            }
            (other, _) => {
                return Err(SqlError::unsupported(format_args!("COMMENT ON {}", object_name(other))));
            }
        };
        let text = nodes::non_empty(&stmt.comment).map(str::to_owned);
        Ok(Ddl::Comment { target, text })
    }

    fn argument_type(&mut self, node: &Node) -> Result<TypeId> {
        match nodes::inner(node)? {
            NodeEnum::TypeName(name) => Ok(self.type_name(name)?.0),
            _ => Err(nodes::missing()),
        }
    }

    fn column_name(&self, names: &[Node]) -> Result<(QualifiedName, String)> {
        match names.split_last() {
            Some((column, table)) if !table.is_empty() => {
                let column = nodes::strings(std::slice::from_ref(column)).concat();
                Ok((self.listed_name(table, -1)?, column))
            }
            _ => Err(SqlError::new(sqlstate::SYNTAX_ERROR, "column name must be qualified")),
        }
    }
}
