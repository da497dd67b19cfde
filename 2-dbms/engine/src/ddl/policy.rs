//! CREATE, ALTER and DROP POLICY; ROW LEVEL SECURITY of ALTER TABLE.

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, PolicyCommand, PolicyDef, RoleId, TableDef};
use tuplix_sql::plan::{CreatePolicy, Grantee, QualifiedName, RowSecurityChange};
use tuplix_types::{Result, SqlError, sqlstate};

use super::Work;
use crate::stop::Run;

/// Changes what a table says about its rows.
pub(super) fn change_row_security(table: &mut TableDef, change: RowSecurityChange) {
    match change {
        RowSecurityChange::Enabled(on) => table.row_security.enabled = on,
        RowSecurityChange::Forced(on) => table.row_security.forced = on,
    }
}

impl Work<'_, '_> {
    /// A table whose policies are to be changed.
    fn guarded_table(&mut self, name: &QualifiedName) -> Run<TableDef> {
        self.check_usage(name)?;
        let table = self.find_table(name)?;
        let holder = self.services.holder(&self.catalog);
        self.need_relation(&holder, &table)?;
        if table.query().is_some() {
            let message = format!("\"{}\" is not a table", table.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).into());
        }
        self.tx.lock_for_ddl(&[table.id])?;
        Ok(TableDef::clone(&table))
    }

    /// Whom a policy binds: everybody unless roles are named.
    fn bound_roles(&mut self, roles: &[Grantee]) -> Result<Vec<RoleId>> {
        let mut ids = self.grantees(roles)?;
        if ids.is_empty() || ids.contains(&RoleId::PUBLIC) {
            if ids.len() > 1 {
                let message = "ignoring specified roles other than PUBLIC";
                let warning = SqlError::new(sqlstate::SqlState(*b"01000"), message)
                    .hint("All roles are members of the PUBLIC role.");
                self.tx.notice(warning.severity(tuplix_types::Severity::Warning));
            }
            ids = vec![RoleId::PUBLIC];
        }
        Ok(ids)
    }

    fn put_policies(&mut self, mut table: TableDef) {
        table.row_security.policies.sort_by(|a, b| a.name.cmp(&b.name));
        self.change(CatalogChange::PutTable(table));
    }

    pub(super) fn create_policy(&mut self, create: &CreatePolicy) -> Run<()> {
        let mut table = self.guarded_table(&create.table)?;
        if table.policy(&create.name).is_some() {
            return Err(already_there(&create.name, &table).into());
        }
        let roles = self.bound_roles(&create.roles)?;
        table.row_security.policies.push(PolicyDef {
            id: self.catalog.allocate_oid(),
            name: create.name.clone(),
            permissive: create.permissive,
            command: create.command,
            roles,
            using: create.using.clone(),
            check: create.check.clone(),
        });
        self.put_policies(table);
        Ok(())
    }

    pub(super) fn alter_policy(
        &mut self,
        name: &str,
        table: &QualifiedName,
        roles: Option<&[Grantee]>,
        using: &Option<String>,
        check: &Option<String>,
    ) -> Run<()> {
        let mut table = self.guarded_table(table)?;
        let roles = roles.map(|roles| self.bound_roles(roles)).transpose()?;
        let missing = undefined(name, &table);
        let policy = table.row_security.policies.iter_mut().find(|policy| policy.name == name);
        let policy = policy.ok_or(missing)?;
        let refused = match policy.command {
            PolicyCommand::Select | PolicyCommand::Delete if check.is_some() => {
                Some("only USING expression allowed for SELECT, DELETE")
            }
            PolicyCommand::Insert if using.is_some() => Some("only WITH CHECK expression allowed for INSERT"),
            _ => None,
        };
        if let Some(message) = refused {
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).into());
        }
        policy.roles = roles.unwrap_or_else(|| policy.roles.clone());
        if using.is_some() {
            policy.using.clone_from(using);
        }
        if check.is_some() {
            policy.check.clone_from(check);
        }
        self.put_policies(table);
        Ok(())
    }

    pub(super) fn drop_policy(&mut self, name: &str, table: &QualifiedName, if_exists: bool) -> Run<()> {
        self.check_usage(table)?;
        let found = self.find_table(table);
        let known = found.as_ref().is_ok_and(|table: &Arc<TableDef>| table.policy(name).is_some());
        if if_exists && !known {
            let message = match found {
                Ok(table) => {
                    format!("policy \"{name}\" for relation \"{}\" does not exist, skipping", table.name)
                }
                Err(error) => format!("{}, skipping", error.message()),
            };
            self.skip(sqlstate::SUCCESSFUL_COMPLETION, message);
            return Ok(());
        }
        let mut table = self.guarded_table(table)?;
        if table.policy(name).is_none() {
            return Err(undefined(name, &table).into());
        }
        table.row_security.policies.retain(|policy| policy.name != name);
        self.put_policies(table);
        Ok(())
    }

    pub(super) fn rename_policy(&mut self, name: &str, table: &QualifiedName, to: &str) -> Run<()> {
        let mut table = self.guarded_table(table)?;
        if table.policy(to).is_some() {
            return Err(already_there(to, &table).into());
        }
        let missing = undefined(name, &table);
        let policy = table.row_security.policies.iter_mut().find(|policy| policy.name == name);
        to.clone_into(&mut policy.ok_or(missing)?.name);
        self.put_policies(table);
        Ok(())
    }
}

fn already_there(name: &str, table: &TableDef) -> SqlError {
    let message = format!("policy \"{name}\" for table \"{}\" already exists", table.name);
    SqlError::new(sqlstate::DUPLICATE_OBJECT, message)
}

fn undefined(name: &str, table: &TableDef) -> SqlError {
    let message = format!("policy \"{name}\" for table \"{}\" does not exist", table.name);
    SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
}
