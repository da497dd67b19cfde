//! GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, policies, REASSIGN and DROP OWNED.

use std::ops::Range;

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    AlterDefaultPrivilegesStmt, AlterPolicyStmt, CreatePolicyStmt, DropBehavior, DropStmt, GrantStmt,
    GrantTargetType, Node, ObjectType, RangeVar, RenameStmt, RoleSpec, RoleSpecType,
};
use tuplix_catalog::{PolicyCommand, RightsKind, TableDef};
use tuplix_types::{Result, SqlError, sqlstate};

use super::alter_routine::{role_of, routine_kind};
use super::scope::{Clause, Found, ScopeItem, table_columns};
use super::{Analyzer, nodes};
use crate::parser::lexer;
use crate::plan::{CreatePolicy, Ddl, Grant, GrantObject, GrantObjects, Grantee, RightsDdl, Role};

impl Analyzer<'_> {
    /// A statement about rights; `None` for any other.
    pub(super) fn rights_statement(&mut self, node: &NodeEnum) -> Result<Option<Ddl>> {
        let statement = match node {
            NodeEnum::GrantStmt(stmt) => RightsDdl::Grant(self.grant(stmt)?),
            NodeEnum::AlterDefaultPrivilegesStmt(stmt) => self.default_privileges(stmt)?,
            NodeEnum::CreatePolicyStmt(stmt) => RightsDdl::CreatePolicy(self.create_policy(stmt)?),
            NodeEnum::AlterPolicyStmt(stmt) => self.alter_policy(stmt)?,
            NodeEnum::DropStmt(stmt) if stmt.remove_type == ObjectType::ObjectPolicy as i32 => {
                self.drop_policy(stmt)?
            }
            NodeEnum::RenameStmt(stmt) if stmt.rename_type == ObjectType::ObjectPolicy as i32 => {
                self.rename_policy(stmt)?
            }
            NodeEnum::ReassignOwnedStmt(stmt) => {
                RightsDdl::Reassign { roles: roles_of(&stmt.roles)?, to: role_of(stmt.newrole.as_ref())? }
            }
            NodeEnum::DropOwnedStmt(stmt) => RightsDdl::DropOwned {
                roles: roles_of(&stmt.roles)?,
                cascade: stmt.behavior == DropBehavior::DropCascade as i32,
            },
            _ => return Ok(None),
        };
        Ok(Some(Ddl::Rights(Box::new(statement))))
    }

    fn grant(&mut self, stmt: &GrantStmt) -> Result<Grant> {
        let object_type = ObjectType::try_from(stmt.objtype).map_err(|_| nodes::missing())?;
        let kind = match object_type {
            ObjectType::ObjectTable => RightsKind::Table,
            ObjectType::ObjectSequence => RightsKind::Sequence,
            ObjectType::ObjectSchema => RightsKind::Schema,
            ObjectType::ObjectDatabase => RightsKind::Database,
            other if routine_kind(other).is_some() => RightsKind::Function,
            other => {
                let what = format!("GRANT or REVOKE ON {}", super::ddl::object_name(other));
                return Err(SqlError::unsupported(what));
            }
        };
        let objects = match GrantTargetType::try_from(stmt.targtype) {
            Ok(GrantTargetType::AclTargetAllInSchema) => {
                let schemas = nodes::strings(&stmt.objects).into_iter().map(str::to_owned).collect();
                GrantObjects::AllIn(schemas, routine_kind(object_type))
            }
            Ok(GrantTargetType::AclTargetDefaults) => GrantObjects::Named(Vec::new()),
            _ => {
                let objects = stmt.objects.iter().map(|node| self.grant_object(node, object_type));
                GrantObjects::Named(objects.collect::<Result<_>>()?)
            }
        };
        let mut privileges = Vec::with_capacity(stmt.privileges.len());
        for node in &stmt.privileges {
            let NodeEnum::AccessPriv(privilege) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let columns = nodes::strings(&privilege.cols).into_iter().map(str::to_owned).collect();
            privileges.push((privilege.priv_name.to_ascii_uppercase(), columns));
        }
        Ok(Grant {
            is_grant: stmt.is_grant,
            kind,
            objects,
            privileges,
            grantees: grantees_of(&stmt.grantees)?,
            option: stmt.grant_option,
            grantor: stmt.grantor.as_ref().map(|role| role_of(Some(role))).transpose()?,
            cascade: stmt.behavior == DropBehavior::DropCascade as i32,
        })
    }

    fn grant_object(&mut self, node: &Node, kind: ObjectType) -> Result<GrantObject> {
        Ok(match nodes::inner(node)? {
            NodeEnum::RangeVar(name) => GrantObject::Relation(self.qualified_name(name)?),
            NodeEnum::ObjectWithArgs(object) => {
                let (name, types) = self.routine_name(object)?;
                GrantObject::Function(name, types, routine_kind(kind).ok_or_else(nodes::missing)?)
            }
            NodeEnum::String(name) if kind == ObjectType::ObjectSchema => {
                GrantObject::Schema(name.sval.clone())
            }
            NodeEnum::String(name) => GrantObject::Database(name.sval.clone()),
            _ => return Err(nodes::missing()),
        })
    }

    fn default_privileges(&mut self, stmt: &AlterDefaultPrivilegesStmt) -> Result<RightsDdl> {
        let (mut roles, mut schemas) = (Vec::new(), Vec::new());
        for node in &stmt.options {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let NodeEnum::List(list) = nodes::required(option.arg.as_deref())? else {
                return Err(nodes::missing());
            };
            match option.defname.as_str() {
                "roles" => roles = roles_of(&list.items)?,
                _ => schemas = nodes::strings(&list.items).into_iter().map(str::to_owned).collect(),
            }
        }
        let grant = self.grant(stmt.action.as_ref().ok_or_else(nodes::missing)?)?;
        Ok(RightsDdl::Defaults { roles, schemas, grant })
    }

    fn create_policy(&mut self, stmt: &CreatePolicyStmt) -> Result<CreatePolicy> {
        let table = stmt.table.as_ref().ok_or_else(nodes::missing)?;
        let command = match stmt.cmd_name.as_str() {
            "select" => PolicyCommand::Select,
            "insert" => PolicyCommand::Insert,
            "update" => PolicyCommand::Update,
            "delete" => PolicyCommand::Delete,
            _ => PolicyCommand::All,
        };
        if command == PolicyCommand::Insert && stmt.qual.is_some() {
            let message = "only WITH CHECK expression allowed for INSERT";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        if matches!(command, PolicyCommand::Select | PolicyCommand::Delete) && stmt.with_check.is_some() {
            let message = "WITH CHECK cannot be applied to SELECT or DELETE";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let (using, check) = self.policy_texts(table, stmt.qual.as_deref(), stmt.with_check.as_deref())?;
        Ok(CreatePolicy {
            name: stmt.policy_name.clone(),
            table: self.qualified_name(table)?,
            permissive: stmt.permissive,
            command,
            roles: grantees_of(&stmt.roles)?,
            using,
            check,
        })
    }

    fn alter_policy(&mut self, stmt: &AlterPolicyStmt) -> Result<RightsDdl> {
        let table = stmt.table.as_ref().ok_or_else(nodes::missing)?;
        let (using, check) = self.policy_texts(table, stmt.qual.as_deref(), stmt.with_check.as_deref())?;
        Ok(RightsDdl::AlterPolicy {
            name: stmt.policy_name.clone(),
            table: self.qualified_name(table)?,
            roles: (!stmt.roles.is_empty()).then(|| grantees_of(&stmt.roles)).transpose()?,
            using,
            check,
        })
    }

    fn drop_policy(&mut self, stmt: &DropStmt) -> Result<RightsDdl> {
        let [object] = &stmt.objects[..] else { return Err(nodes::missing()) };
        let NodeEnum::List(list) = nodes::inner(object)? else { return Err(nodes::missing()) };
        let (name, table) = list.items.split_last().ok_or_else(nodes::missing)?;
        let name = nodes::string(name).ok_or_else(nodes::missing)?.to_owned();
        Ok(RightsDdl::DropPolicy { name, table: self.listed_name(table, -1)?, if_exists: stmt.missing_ok })
    }

    fn rename_policy(&mut self, stmt: &RenameStmt) -> Result<RightsDdl> {
        let table = self.qualified_name(stmt.relation.as_ref().ok_or_else(nodes::missing)?)?;
        Ok(RightsDdl::RenamePolicy { name: stmt.subname.clone(), table, to: stmt.newname.clone() })
    }

    /// The texts of USING and WITH CHECK, with all names written out.
    fn policy_texts(
        &mut self,
        name: &RangeVar,
        using: Option<&Node>,
        check: Option<&Node>,
    ) -> Result<(Option<String>, Option<String>)> {
        let position = self.at(name.location);
        let found = self.find_relation(nodes::non_empty(&name.schemaname), &name.relname, position)?;
        let Found::Table(table) = found else {
            let message = format!("\"{}\" is not a table", name.relname);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
        };
        if table.query().is_some() {
            let message = format!("\"{}\" is not a table", table.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
        }
        let table = std::sync::Arc::clone(table);
        let mut text =
            |node: Option<&Node>, word| node.map(|node| self.policy_text(&table, node, word)).transpose();
        Ok((text(using, "using")?, text(check, "check")?))
    }

    fn policy_text(&mut self, table: &TableDef, node: &Node, word: &str) -> Result<String> {
        let recorded = self.recorded(|analyzer| {
            let scope = analyzer.in_scope(|analyzer| {
                let columns = table_columns(table);
                let relation = analyzer.add_relation(&table.name, columns.clone(), Some(table.id));
                let mut item = ScopeItem::of_relation(&table.name, relation, &columns);
                item.schema = Some(table.schema.clone());
                analyzer.scope().items.push(item);
                analyzer.condition(Some(node), Clause::Policy)
            });
            scope.map(|_| ())
        });
        let ((), recorder) = recorded?;
        self.kept_text(&|text| clause_body(text, word), recorder)
    }
}

/// Where the expression of a clause lies: between the brackets after its word.
fn clause_body(text: &str, word: &str) -> Result<Range<usize>> {
    let mut lexer = lexer::Lexer::new(text);
    let (mut depth, mut start, mut awaited) = (0, None, false);
    while let Some(lexeme) = lexer.next_token()? {
        match &lexeme.token {
            lexer::Token::Other('(') => {
                if awaited && depth == 0 {
                    start = Some(lexeme.end);
                }
                depth += 1;
            }
            lexer::Token::Other(')') => {
                depth -= 1;
                if let Some(start) = start.filter(|_| depth == 0) {
                    return Ok(start..lexeme.start);
                }
            }
            lexer::Token::Ident { name, quoted: false } if depth == 0 => awaited = name == word,
            _ => {}
        }
    }
    Err(nodes::missing())
}

fn roles_of(list: &[Node]) -> Result<Vec<Role>> {
    list.iter().map(|node| role_of(Some(role_spec(node)?))).collect()
}

fn role_spec(node: &Node) -> Result<&RoleSpec> {
    match nodes::inner(node)? {
        NodeEnum::RoleSpec(role) => Ok(role),
        _ => Err(nodes::missing()),
    }
}

/// Roles, or everybody.
fn grantees_of(list: &[Node]) -> Result<Vec<Grantee>> {
    let grantee = |node: &Node| {
        let role = role_spec(node)?;
        match RoleSpecType::try_from(role.roletype) {
            Ok(RoleSpecType::RolespecPublic) => Ok(Grantee::Public),
            _ => Ok(Grantee::Role(role_of(Some(role))?)),
        }
    };
    list.iter().map(grantee).collect()
}
