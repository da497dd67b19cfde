//! GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, policies; and what a statement asks of who runs it.

use tuplix_catalog::{FunctionId, PolicyCommand, Privileges, RightsKind, RoleId, TableId};
use tuplix_types::TypeId;

use super::{QualifiedName, Role, RoutineKind};

/// A statement about rights.
#[derive(Clone, Debug)]
pub enum RightsDdl {
    /// GRANT and REVOKE on objects.
    Grant(Grant),
    /// ALTER DEFAULT PRIVILEGES
    Defaults {
        /// FOR ROLE; none: who asks.
        roles: Vec<Role>,
        /// IN SCHEMA; none: everywhere.
        schemas: Vec<String>,
        /// What; its objects are none.
        grant: Grant,
    },
    /// CREATE POLICY
    CreatePolicy(CreatePolicy),
    /// ALTER POLICY: what is `None` stays.
    AlterPolicy {
        /// Name.
        name: String,
        /// Table.
        table: QualifiedName,
        /// TO
        roles: Option<Vec<Grantee>>,
        /// USING, as SQL text.
        using: Option<String>,
        /// WITH CHECK, as SQL text.
        check: Option<String>,
    },
    /// DROP POLICY
    DropPolicy {
        /// Name.
        name: String,
        /// Table.
        table: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ALTER POLICY ... RENAME TO
    RenamePolicy {
        /// Name.
        name: String,
        /// Table.
        table: QualifiedName,
        /// New name.
        to: String,
    },
    /// REASSIGN OWNED
    Reassign {
        /// BY
        roles: Vec<Role>,
        /// TO
        to: Role,
    },
    /// DROP OWNED
    DropOwned {
        /// BY
        roles: Vec<Role>,
        /// CASCADE
        cascade: bool,
    },
}

/// GRANT or REVOKE.
#[derive(Clone, Debug)]
pub struct Grant {
    /// GRANT rather than REVOKE.
    pub is_grant: bool,
    /// The kind of objects, as written.
    pub kind: RightsKind,
    /// On what.
    pub objects: GrantObjects,
    /// Names in capitals, each with its columns; an empty name is ALL. None: ALL.
    pub privileges: Vec<(String, Vec<String>)>,
    /// To or from whom.
    pub grantees: Vec<Grantee>,
    /// WITH GRANT OPTION, GRANT OPTION FOR
    pub option: bool,
    /// GRANTED BY
    pub grantor: Option<Role>,
    /// CASCADE
    pub cascade: bool,
}

/// What GRANT is about.
#[derive(Clone, Debug)]
pub enum GrantObjects {
    /// Objects by name.
    Named(Vec<GrantObject>),
    /// ALL ... IN SCHEMA; of functions, which.
    AllIn(Vec<String>, Option<RoutineKind>),
}

/// An object of GRANT.
#[derive(Clone, Debug)]
pub enum GrantObject {
    /// A table, view or sequence.
    Relation(QualifiedName),
    /// A function or procedure, its argument types when written.
    Function(QualifiedName, Option<Vec<TypeId>>, RoutineKind),
    /// A schema.
    Schema(String),
    /// A database.
    Database(String),
}

/// A role, or everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// PUBLIC
    Public,
    /// A role.
    Role(Role),
}

/// CREATE POLICY
#[derive(Clone, Debug)]
pub struct CreatePolicy {
    /// Name.
    pub name: String,
    /// Table.
    pub table: QualifiedName,
    /// PERMISSIVE rather than RESTRICTIVE.
    pub permissive: bool,
    /// FOR
    pub command: PolicyCommand,
    /// TO
    pub roles: Vec<Grantee>,
    /// USING, as SQL text.
    pub using: Option<String>,
    /// WITH CHECK, as SQL text.
    pub check: Option<String>,
}

/// ALTER TABLE ... ROW LEVEL SECURITY
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSecurityChange {
    /// ENABLE or DISABLE
    Enabled(bool),
    /// FORCE or NO FORCE
    Forced(bool),
}

/// Something that a statement asks of who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Privileges on a table, view or materialized view.
    Table(TableAccess),
    /// USAGE of a schema that a name was written with.
    Schema(u32),
    /// EXECUTE of a function.
    Function(FunctionId),
    /// SELECT of a sequence that is read like a table.
    Sequence(u32),
    /// A system table that not everybody may read.
    System(String),
}

/// What a statement does with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableAccess {
    /// The table.
    pub table: TableId,
    /// As whom, where it is not who runs the statement: the owner of the view that names the table.
    pub role: Option<RoleId>,
    /// Privileges on the whole table.
    pub whole: Privileges,
    /// SELECT of these columns, by position.
    pub selected: Option<Vec<usize>>,
    /// INSERT into these columns.
    pub inserted: Option<Vec<usize>>,
    /// UPDATE of these columns.
    pub updated: Option<Vec<usize>>,
}

impl TableAccess {
    /// Nothing yet.
    pub fn new(table: TableId, role: Option<RoleId>) -> TableAccess {
        TableAccess { table, role, whole: Privileges::NONE, selected: None, inserted: None, updated: None }
    }

    /// The columns that a privilege is asked on.
    pub fn columns_mut(&mut self, privilege: Privileges) -> &mut Option<Vec<usize>> {
        match privilege {
            Privileges::INSERT => &mut self.inserted,
            Privileges::UPDATE => &mut self.updated,
            _ => &mut self.selected,
        }
    }

    /// Each privilege that is asked on columns, with the columns.
    pub fn on_columns(&self) -> impl Iterator<Item = (Privileges, &[usize])> {
        let all = [
            (Privileges::SELECT, &self.selected),
            (Privileges::INSERT, &self.inserted),
            (Privileges::UPDATE, &self.updated),
        ];
        all.into_iter().filter_map(|(privilege, columns)| Some((privilege, &columns.as_ref()?[..])))
    }
}
