//! Statements about types that users create.

use tuplix_catalog::FieldDef;
use tuplix_types::TypeId;

use super::QualifiedName;

/// CREATE, ALTER and DROP of types and domains.
#[derive(Clone, Debug)]
pub enum TypeDdl {
    /// CREATE TYPE ... AS ENUM
    CreateEnum {
        /// Name.
        name: QualifiedName,
        /// Labels in order.
        labels: Vec<String>,
    },
    /// CREATE TYPE ... AS (...)
    CreateComposite {
        /// Name.
        name: QualifiedName,
        /// Columns.
        fields: Vec<FieldDef>,
    },
    /// CREATE DOMAIN
    CreateDomain(CreateDomain),
    /// ALTER TYPE ... ADD VALUE
    AddValue {
        /// Enum.
        name: QualifiedName,
        /// New label.
        label: String,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// The label next to it, and whether it comes after that one.
        neighbor: Option<(String, bool)>,
    },
    /// ALTER TYPE ... RENAME VALUE
    RenameValue {
        /// Enum.
        name: QualifiedName,
        /// Old label.
        from: String,
        /// New label.
        to: String,
    },
    /// ALTER TYPE / DOMAIN ... RENAME TO
    Rename {
        /// Type.
        name: QualifiedName,
        /// New name.
        to: String,
        /// ALTER DOMAIN
        domain: bool,
    },
    /// ALTER TYPE / DOMAIN ... SET SCHEMA
    SetSchema {
        /// Type.
        name: QualifiedName,
        /// New schema.
        schema: String,
        /// ALTER DOMAIN
        domain: bool,
    },
    /// ALTER DOMAIN
    AlterDomain {
        /// Domain.
        name: QualifiedName,
        /// What changes.
        action: AlterDomain,
    },
    /// ALTER TYPE of a composite type.
    AlterFields {
        /// Type.
        name: QualifiedName,
        /// Changes in order.
        actions: Vec<AlterField>,
    },
    /// DROP TYPE / DOMAIN
    Drop {
        /// Names.
        names: Vec<QualifiedName>,
        /// IF EXISTS
        if_exists: bool,
        /// CASCADE
        cascade: bool,
        /// DROP DOMAIN
        domain: bool,
    },
}

/// CREATE DOMAIN
#[derive(Clone, Debug)]
pub struct CreateDomain {
    /// Name.
    pub name: QualifiedName,
    /// The type under it.
    pub base: TypeId,
    /// Its modifier.
    pub typmod: i32,
    /// NOT NULL
    pub not_null: bool,
    /// DEFAULT as SQL text.
    pub default: Option<String>,
    /// Name, when written, and condition of each CHECK.
    pub checks: Vec<(Option<String>, String)>,
}

/// What ALTER DOMAIN changes.
#[derive(Clone, Debug)]
pub enum AlterDomain {
    /// SET / DROP DEFAULT
    Default(Option<String>),
    /// SET / DROP NOT NULL
    NotNull(bool),
    /// ADD CONSTRAINT
    AddCheck {
        /// Name, when written.
        name: Option<String>,
        /// Condition as SQL text.
        expression: String,
        /// NOT VALID: what is there is not looked at.
        not_valid: bool,
    },
    /// DROP CONSTRAINT
    DropConstraint {
        /// Name.
        name: String,
        /// IF EXISTS
        if_exists: bool,
    },
    /// RENAME CONSTRAINT
    RenameConstraint {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
    /// VALIDATE CONSTRAINT
    Validate(String),
}

/// A change of a composite type.
#[derive(Clone, Debug)]
pub enum AlterField {
    /// ADD ATTRIBUTE
    Add(FieldDef),
    /// DROP ATTRIBUTE
    Drop {
        /// Name.
        name: String,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ALTER ATTRIBUTE ... TYPE
    SetType(FieldDef),
    /// RENAME ATTRIBUTE
    Rename {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
}
