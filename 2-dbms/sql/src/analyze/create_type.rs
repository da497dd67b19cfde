//! CREATE, ALTER and DROP of types and domains (`typecmds.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    AlterDomainStmt, AlterEnumStmt, AlterObjectSchemaStmt, AlterTableStmt, AlterTableType, CompositeTypeStmt,
    ConstrType, Constraint as ParsedConstraint, CreateDomainStmt, CreateEnumStmt, DropBehavior, DropStmt,
    Node, ObjectType, RenameStmt,
};
use tuplix_catalog::FieldDef;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::create_table::is_pseudo;
use super::scope::Clause;
use super::{Analyzer, nodes, text};
use crate::plan::{
    AlterDomain, AlterField, CreateDomain, Expr, ExprKind, OutputColumn, QualifiedName, TypeDdl,
};

/// The longest label, in bytes.
const LABEL_BYTES: usize = 63;

impl Analyzer<'_> {
    /// A statement about types; `None` for any other.
    pub(super) fn type_statement(&mut self, node: &NodeEnum) -> Result<Option<TypeDdl>> {
        Ok(Some(match node {
            NodeEnum::CreateEnumStmt(stmt) => self.create_enum(stmt)?,
            NodeEnum::AlterEnumStmt(stmt) => self.alter_enum(stmt)?,
            NodeEnum::CreateDomainStmt(stmt) => self.create_domain(stmt)?,
            NodeEnum::AlterDomainStmt(stmt) => self.alter_domain(stmt)?,
            NodeEnum::CompositeTypeStmt(stmt) => self.create_composite(stmt)?,
            NodeEnum::AlterTableStmt(stmt) if stmt.objtype == ObjectType::ObjectType as i32 => {
                self.alter_composite(stmt)?
            }
            NodeEnum::RenameStmt(stmt) => return self.rename_type(stmt),
            NodeEnum::AlterObjectSchemaStmt(stmt) => return self.set_type_schema(stmt),
            NodeEnum::DropStmt(stmt) => return self.drop_types(stmt),
            _ => return Ok(None),
        }))
    }

    fn create_enum(&mut self, stmt: &CreateEnumStmt) -> Result<TypeDdl> {
        let name = self.listed_name(&stmt.type_name, -1)?;
        let labels: Vec<String> = nodes::strings(&stmt.vals).into_iter().map(str::to_owned).collect();
        for (index, label) in labels.iter().enumerate() {
            check_label(label)?;
            if labels[..index].contains(label) {
                let message = format!(
                    "duplicate key value violates unique constraint \"pg_enum_typid_label_index\": \"{label}\""
                );
                return Err(SqlError::new(sqlstate::UNIQUE_VIOLATION, message));
            }
        }
        Ok(TypeDdl::CreateEnum { name, labels })
    }

    fn alter_enum(&mut self, stmt: &AlterEnumStmt) -> Result<TypeDdl> {
        let name = self.listed_name(&stmt.type_name, -1)?;
        check_label(&stmt.new_val)?;
        if let Some(from) = nodes::non_empty(&stmt.old_val) {
            return Ok(TypeDdl::RenameValue { name, from: from.to_owned(), to: stmt.new_val.clone() });
        }
        let neighbor = nodes::non_empty(&stmt.new_val_neighbor);
        Ok(TypeDdl::AddValue {
            name,
            label: stmt.new_val.clone(),
            if_not_exists: stmt.skip_if_new_val_exists,
            neighbor: neighbor.map(|label| (label.to_owned(), stmt.new_val_is_after)),
        })
    }

    fn create_domain(&mut self, stmt: &CreateDomainStmt) -> Result<TypeDdl> {
        let name = self.listed_name(&stmt.domainname, -1)?;
        let type_name = stmt.type_name.as_ref().ok_or_else(nodes::missing)?;
        let (base, typmod) = self.type_name(type_name)?;
        let position = self.at(type_name.location);
        if is_pseudo(base) {
            let message = format!("\"{base}\" is not a valid base type for a domain");
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
        }
        if base.is_catalogue_only() {
            return Err(self.unsupported(format_args!("type \"{base}\""), type_name.location));
        }
        if let Some(clause) = stmt.coll_clause.as_deref()
            && !matches!(nodes::strings(&clause.collname).last(), Some(&("C" | "POSIX" | "default")))
        {
            return Err(self.unsupported("COLLATE", clause.location));
        }
        let mut domain =
            CreateDomain { name, base, typmod, not_null: false, default: None, checks: Vec::new() };
        let mut said_null: Option<bool> = None;
        let mut said_default = false;
        for node in &stmt.constraints {
            let NodeEnum::Constraint(constraint) = nodes::inner(node)? else { return Err(nodes::missing()) };
            match ConstrType::try_from(constraint.contype) {
                Ok(kind @ (ConstrType::ConstrNotnull | ConstrType::ConstrNull)) => {
                    let not_null = kind == ConstrType::ConstrNotnull;
                    if said_null.is_some_and(|said| said != not_null) {
                        return Err(syntax("conflicting NULL/NOT NULL constraints"));
                    }
                    said_null = Some(not_null);
                    domain.not_null = not_null;
                }
                Ok(ConstrType::ConstrDefault) => {
                    if std::mem::replace(&mut said_default, true) {
                        return Err(syntax("multiple default expressions"));
                    }
                    let value = constraint.raw_expr.as_deref().ok_or_else(nodes::missing)?;
                    domain.default = self.new_domain_default(&domain.name.name, value, base, typmod)?;
                }
                _ => {
                    let expression = self.domain_constraint(constraint, base, typmod)?;
                    let name = nodes::non_empty(&constraint.conname).map(str::to_owned);
                    domain.checks.push((name, expression));
                }
            }
        }
        Ok(TypeDdl::CreateDomain(domain))
    }

    /// DEFAULT's text; `None` for NULL.
    fn new_domain_default(
        &mut self,
        name: &str,
        value: &Node,
        base: TypeId,
        typmod: i32,
    ) -> Result<Option<String>> {
        self.check_default(value, name, base, typmod)?;
        let is_null = matches!(&value.node, Some(NodeEnum::AConst(constant)) if constant.isnull);
        if is_null { Ok(None) } else { text::expression(value).map(Some) }
    }

    /// The condition of a domain's CHECK as text, after it was looked at.
    fn domain_constraint(
        &mut self,
        constraint: &ParsedConstraint,
        base: TypeId,
        typmod: i32,
    ) -> Result<String> {
        let position = self.at(constraint.location);
        let refused = |what: &str| {
            let message = format!("{what} constraints not possible for domains");
            Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position))
        };
        match ConstrType::try_from(constraint.contype) {
            Ok(ConstrType::ConstrCheck) if constraint.is_no_inherit => {
                let message = "check constraints for domains cannot be marked NO INHERIT";
                return Err(SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message).at(position));
            }
            Ok(ConstrType::ConstrCheck) => {}
            Ok(ConstrType::ConstrUnique) => return refused("unique"),
            Ok(ConstrType::ConstrPrimary) => return refused("primary key"),
            Ok(ConstrType::ConstrExclusion) => return refused("exclusion"),
            Ok(ConstrType::ConstrForeign) => return refused("foreign key"),
            _ => {
                let message = "specifying constraint deferrability not supported for domains";
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(position));
            }
        }
        let condition = constraint.raw_expr.as_deref().ok_or_else(nodes::missing)?;
        let outer = self.domain_value.replace((base, typmod));
        let checked = self.in_scope(|analyzer| {
            analyzer.in_clause(Clause::Check, |analyzer| {
                let condition = analyzer.expression(condition)?;
                analyzer.boolean(condition, "CHECK")
            })
        });
        self.domain_value = outer;
        checked?;
        text::expression(condition)
    }

    fn alter_domain(&mut self, stmt: &AlterDomainStmt) -> Result<TypeDdl> {
        let name = self.listed_name(&stmt.type_name, -1)?;
        let domain = self.find_domain(&name)?;
        let (base, typmod) = (domain.base, domain.typmod);
        let action = match stmt.subtype.as_str() {
            "T" => AlterDomain::Default(match stmt.def.as_deref() {
                Some(value) => self.new_domain_default(&name.name, value, base, typmod)?,
                None => None,
            }),
            "N" => AlterDomain::NotNull(false),
            "O" => AlterDomain::NotNull(true),
            "C" => {
                let NodeEnum::Constraint(constraint) = nodes::required(stmt.def.as_deref())? else {
                    return Err(nodes::missing());
                };
                AlterDomain::AddCheck {
                    name: nodes::non_empty(&constraint.conname).map(str::to_owned),
                    expression: self.domain_constraint(constraint, base, typmod)?,
                    not_valid: constraint.skip_validation,
                }
            }
            "X" => AlterDomain::DropConstraint { name: stmt.name.clone(), if_exists: stmt.missing_ok },
            "V" => AlterDomain::Validate(stmt.name.clone()),
            _ => return Err(SqlError::unsupported("this form of ALTER DOMAIN")),
        };
        Ok(TypeDdl::AlterDomain { name, action })
    }

    fn find_domain(&self, name: &QualifiedName) -> Result<&tuplix_catalog::DomainDef> {
        let catalog = self.context.catalog;
        let found = match &name.schema {
            Some(schema) => {
                self.existing_schema(schema)?;
                catalog.type_named(schema, &name.name)
            }
            None => {
                let path = self.search_path().iter();
                path.into_iter().find_map(|schema| catalog.type_named(schema, &name.name))
            }
        };
        let found =
            found.or_else(|| TypeId::from_internal_name(&name.name).filter(|_| name.schema.is_none()));
        match found.map(|id| (catalog.domain(id), id)) {
            Some((Some(domain), _)) => Ok(domain),
            Some((None, id)) => {
                Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, format!("{id} is not a domain")))
            }
            None => {
                let message = format!("type \"{}\" does not exist", name.name);
                Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
            }
        }
    }

    fn create_composite(&mut self, stmt: &CompositeTypeStmt) -> Result<TypeDdl> {
        let name = self.qualified_name(stmt.typevar.as_ref().ok_or_else(nodes::missing)?)?;
        let mut fields: Vec<FieldDef> = Vec::with_capacity(stmt.coldeflist.len());
        for node in &stmt.coldeflist {
            let field = self.composite_field(node)?;
            if fields.iter().any(|other| other.name == field.name) {
                let message = format!("column \"{}\" specified more than once", field.name);
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
            }
            fields.push(field);
        }
        Ok(TypeDdl::CreateComposite { name, fields })
    }

    /// A column of a row type, as CREATE TYPE and column definition lists write it.
    pub(super) fn composite_field(&mut self, node: &Node) -> Result<FieldDef> {
        let NodeEnum::ColumnDef(column) = nodes::inner(node)? else { return Err(nodes::missing()) };
        let type_name = column.type_name.as_ref().ok_or_else(nodes::missing)?;
        let (ty, typmod) = self.type_name(type_name)?;
        if is_pseudo(ty) {
            let message = format!("column \"{}\" has pseudo-type {ty}", column.colname);
            return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message));
        }
        Ok(FieldDef { name: column.colname.clone(), ty, typmod })
    }

    fn alter_composite(&mut self, stmt: &AlterTableStmt) -> Result<TypeDdl> {
        let relation = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        let name = self.qualified_name(relation)?;
        let mut actions = Vec::with_capacity(stmt.cmds.len());
        for node in &stmt.cmds {
            let NodeEnum::AlterTableCmd(command) = nodes::inner(node)? else { return Err(nodes::missing()) };
            actions.push(match AlterTableType::try_from(command.subtype) {
                Ok(AlterTableType::AtAddColumn) => {
                    AlterField::Add(self.composite_field(command.def.as_deref().ok_or_else(nodes::missing)?)?)
                }
                Ok(AlterTableType::AtDropColumn) => {
                    AlterField::Drop { name: command.name.clone(), if_exists: command.missing_ok }
                }
                Ok(AlterTableType::AtAlterColumnType) => {
                    let field = self.composite_field(command.def.as_deref().ok_or_else(nodes::missing)?)?;
                    AlterField::SetType(FieldDef { name: command.name.clone(), ..field })
                }
                _ => return Err(self.unsupported("this form of ALTER TYPE", relation.location)),
            });
        }
        Ok(TypeDdl::AlterFields { name, actions })
    }

    fn rename_type(&mut self, stmt: &RenameStmt) -> Result<Option<TypeDdl>> {
        let listed = |analyzer: &Self| match stmt.object.as_deref().and_then(|object| object.node.as_ref()) {
            Some(NodeEnum::List(list)) => analyzer.listed_name(&list.items, -1),
            Some(NodeEnum::TypeName(name)) => analyzer.listed_name(&name.names, name.location),
            _ => Err(nodes::missing()),
        };
        Ok(Some(match ObjectType::try_from(stmt.rename_type) {
            Ok(kind @ (ObjectType::ObjectType | ObjectType::ObjectDomain)) => TypeDdl::Rename {
                name: listed(self)?,
                to: stmt.newname.clone(),
                domain: kind == ObjectType::ObjectDomain,
            },
            Ok(ObjectType::ObjectDomconstraint) => TypeDdl::AlterDomain {
                name: listed(self)?,
                action: AlterDomain::RenameConstraint {
                    from: stmt.subname.clone(),
                    to: stmt.newname.clone(),
                },
            },
            Ok(ObjectType::ObjectAttribute) => TypeDdl::AlterFields {
                name: self.qualified_name(stmt.relation.as_ref().ok_or_else(nodes::missing)?)?,
                actions: vec![AlterField::Rename { from: stmt.subname.clone(), to: stmt.newname.clone() }],
            },
            _ => return Ok(None),
        }))
    }

    fn set_type_schema(&mut self, stmt: &AlterObjectSchemaStmt) -> Result<Option<TypeDdl>> {
        let domain = match ObjectType::try_from(stmt.object_type) {
            Ok(ObjectType::ObjectType) => false,
            Ok(ObjectType::ObjectDomain) => true,
            _ => return Ok(None),
        };
        let Some(NodeEnum::List(list)) = stmt.object.as_deref().and_then(|object| object.node.as_ref())
        else {
            return Err(nodes::missing());
        };
        self.existing_schema(&stmt.newschema)?;
        let name = self.listed_name(&list.items, -1)?;
        Ok(Some(TypeDdl::SetSchema { name, schema: stmt.newschema.clone(), domain }))
    }

    fn drop_types(&mut self, stmt: &DropStmt) -> Result<Option<TypeDdl>> {
        let domain = match ObjectType::try_from(stmt.remove_type) {
            Ok(ObjectType::ObjectType) => false,
            Ok(ObjectType::ObjectDomain) => true,
            _ => return Ok(None),
        };
        let mut names = Vec::with_capacity(stmt.objects.len());
        for node in &stmt.objects {
            let NodeEnum::TypeName(name) = nodes::inner(node)? else { return Err(nodes::missing()) };
            names.push(self.listed_name(&name.names, name.location)?);
        }
        let cascade = stmt.behavior == DropBehavior::DropCascade as i32;
        Ok(Some(TypeDdl::Drop { names, if_exists: stmt.missing_ok, cascade, domain }))
    }
}

fn syntax(message: &str) -> SqlError {
    SqlError::new(sqlstate::SYNTAX_ERROR, message)
}

fn check_label(label: &str) -> Result<()> {
    if label.len() > LABEL_BYTES {
        return Err(SqlError::new(sqlstate::INVALID_NAME, format!("invalid enum label \"{label}\""))
            .detail(format!("Labels must be {LABEL_BYTES} bytes or less.")));
    }
    Ok(())
}

/// Analyses a domain's CHECK or default again, as of the context's catalogue.
///
/// # Errors
/// Why it means nothing there.
pub fn check_domain(context: &super::AnalyzeContext<'_>, domain: TypeId) -> Result<()> {
    let mut analyzer = Analyzer::new(context, None);
    let value = Expr::new(ExprKind::Constant(tuplix_types::Value::Null), TypeId::UNKNOWN);
    analyzer.in_scope(|analyzer| {
        analyzer.assign(value, "value", domain, -1)?;
        analyzer.domain_default(domain)
    })?;
    Ok(())
}

/// Columns as outputs.
pub(super) fn outputs(fields: Vec<FieldDef>) -> Vec<OutputColumn> {
    let column = |field: FieldDef| OutputColumn { name: field.name, ty: field.ty, typmod: field.typmod };
    fields.into_iter().map(column).collect()
}
