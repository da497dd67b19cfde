//! Row-level security: which rows of a table whom it lets see and change (`policy.c`).

use serde::{Deserialize, Serialize};

use crate::{CLASS_FUNCTION, CLASS_RELATION, FunctionDef, Owned, RoleId, TableDef};

/// What a table says about its rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowSecurity {
    /// ENABLE ROW LEVEL SECURITY: roles that no policy lets in see nothing.
    pub enabled: bool,
    /// FORCE ROW LEVEL SECURITY: the owner is bound too.
    pub forced: bool,
    /// The policies, by name.
    pub policies: Vec<PolicyDef>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyDef {
    /// Object id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// PERMISSIVE: one of these has to let a row through; every RESTRICTIVE one has to.
    pub permissive: bool,
    /// Of which statements.
    pub command: PolicyCommand,
    /// Of which roles; [`RoleId::PUBLIC`]: of all.
    pub roles: Vec<RoleId>,
    /// USING over the rows that are there, as SQL text.
    pub using: Option<String>,
    /// WITH CHECK over new rows, as SQL text.
    pub check: Option<String>,
}

/// The statements that a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyCommand {
    /// All.
    All,
    /// SELECT
    Select,
    /// INSERT
    Insert,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
}

impl PolicyCommand {
    /// The letter of `pg_policy.polcmd`.
    pub fn letter(self) -> char {
        match self {
            PolicyCommand::All => '*',
            PolicyCommand::Select => 'r',
            PolicyCommand::Insert => 'a',
            PolicyCommand::Update => 'w',
            PolicyCommand::Delete => 'd',
        }
    }

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            PolicyCommand::All => "ALL",
            PolicyCommand::Select => "SELECT",
            PolicyCommand::Insert => "INSERT",
            PolicyCommand::Update => "UPDATE",
            PolicyCommand::Delete => "DELETE",
        }
    }
}

impl RowSecurity {
    /// Whether nothing was ever said.
    pub(crate) fn is_default(&self) -> bool {
        *self == RowSecurity::default()
    }
}

impl PolicyDef {
    /// Whether it is about a statement of some roles.
    pub fn applies(&self, command: PolicyCommand, of: impl Fn(RoleId) -> bool) -> bool {
        (self.command == PolicyCommand::All || self.command == command)
            && self.roles.iter().any(|role| *role == RoleId::PUBLIC || of(*role))
    }
}

impl FunctionDef {
    /// It, as something that is owned.
    pub fn owned(&self) -> Owned {
        Owned { class: CLASS_FUNCTION, object: self.id.0 }
    }
}

impl TableDef {
    /// It, as something that is owned.
    pub fn owned(&self) -> Owned {
        Owned { class: CLASS_RELATION, object: self.id.0 }
    }

    /// The policy of this name.
    pub fn policy(&self, name: &str) -> Option<&PolicyDef> {
        self.row_security.policies.iter().find(|policy| policy.name == name)
    }
}
