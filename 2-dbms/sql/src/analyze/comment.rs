//! COMMENT ON.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{CommentStmt, Node, ObjectType};
use tuplix_types::{Result, SqlError, sqlstate};

use super::alter_routine::routine_kind;
use super::ddl::object_name;
use super::{Analyzer, nodes};
use crate::plan::{Ddl, ObjectName, QualifiedName};

impl Analyzer<'_> {
    pub(super) fn comment(&mut self, stmt: &CommentStmt) -> Result<Ddl> {
        let kind = ObjectType::try_from(stmt.objtype).map_err(|_| nodes::missing())?;
        let object = nodes::required(stmt.object.as_deref())?;
        let target = match object {
            NodeEnum::List(name) => self.commented(kind, &name.items)?,
            NodeEnum::String(name) if kind == ObjectType::ObjectSchema => {
                ObjectName::Schema(name.sval.clone())
            }
            NodeEnum::String(name) if kind == ObjectType::ObjectDatabase => {
                ObjectName::Database(name.sval.clone())
            }
            NodeEnum::TypeName(name) => {
                let listed = self.listed_name(&name.names, name.location)?;
                if kind == ObjectType::ObjectDomain {
                    ObjectName::Domain(listed)
                } else {
                    ObjectName::Type(listed)
                }
            }
            NodeEnum::ObjectWithArgs(object) => match routine_kind(kind) {
                Some(kind) => {
                    let (name, types) = self.routine_name(object)?;
                    ObjectName::Function(name, types, kind)
                }
                None => return Err(refused(kind)),
            },
            _ => return Err(refused(kind)),
        };
        let text = nodes::non_empty(&stmt.comment).map(str::to_owned);
        Ok(Ddl::Comment { target, text })
    }

    /// An object whose name is a list.
    fn commented(&mut self, kind: ObjectType, names: &[Node]) -> Result<ObjectName> {
        let name = |analyzer: &Self| analyzer.listed_name(names, -1);
        Ok(match kind {
            ObjectType::ObjectTable => ObjectName::Table(name(self)?),
            ObjectType::ObjectView => ObjectName::View(name(self)?),
            ObjectType::ObjectMatview => ObjectName::MaterializedView(name(self)?),
            ObjectType::ObjectIndex => ObjectName::Index(name(self)?),
            ObjectType::ObjectSequence => ObjectName::Sequence(name(self)?),
            ObjectType::ObjectColumn => {
                let (table, column) = self.name_and_part(names, "column name must be qualified")?;
                ObjectName::Column(table, column)
            }
            ObjectType::ObjectTabconstraint => {
                let (table, constraint) = self.name_and_part(names, "constraint name must be qualified")?;
                ObjectName::Constraint(table, constraint)
            }
            ObjectType::ObjectTrigger => {
                let (table, trigger) = self.name_and_part(names, "trigger name must be qualified")?;
                ObjectName::Trigger(table, trigger)
            }
            ObjectType::ObjectDomconstraint => match names {
                [domain, constraint] => {
                    let NodeEnum::TypeName(domain) = nodes::inner(domain)? else {
                        return Err(nodes::missing());
                    };
                    let domain = self.listed_name(&domain.names, domain.location)?;
                    ObjectName::DomainConstraint(
                        domain,
                        nodes::strings(std::slice::from_ref(constraint)).concat(),
                    )
                }
                _ => return Err(nodes::missing()),
            },
            other => return Err(refused(other)),
        })
    }

    fn name_and_part(&self, names: &[Node], unqualified: &str) -> Result<(QualifiedName, String)> {
        match names.split_last() {
            Some((part, of)) if !of.is_empty() => {
                let part = nodes::strings(std::slice::from_ref(part)).concat();
                Ok((self.listed_name(of, -1)?, part))
            }
            _ => Err(SqlError::new(sqlstate::SYNTAX_ERROR, unqualified)),
        }
    }
}

fn refused(kind: ObjectType) -> SqlError {
    SqlError::unsupported(format_args!("COMMENT ON {}", object_name(kind)))
}
