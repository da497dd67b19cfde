//! CREATE TABLE: columns and constraints (`parse_utilcmd.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    ColumnDef as ParsedColumn, ConstrType, Constraint as ParsedConstraint, CreateStmt, Node, TypeName,
};
use tuplix_catalog::ColumnDef;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::scope::Clause;
use super::{Analyzer, nodes, sequence, text};
use crate::parser;
use crate::plan::{ColumnSequence, Constraint, ConstraintKind, CreateTable};

/// What one column says about itself besides its type.
#[derive(Default)]
pub(super) struct ColumnClauses {
    pub not_null: Option<bool>,
    pub default: Option<String>,
    pub sequence: Option<ColumnSequence>,
    pub generated: Option<String>,
}

impl Analyzer<'_> {
    pub(super) fn create_table(&mut self, stmt: &CreateStmt) -> Result<CreateTable> {
        let relation = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        self.refuse_table_clauses(stmt)?;
        let mut columns: Vec<ColumnDef> = Vec::new();
        let mut constraints: Vec<Constraint> = Vec::new();
        let mut checks: Vec<&Node> = Vec::new();
        let mut likes = Vec::new();
        for node in &stmt.table_elts {
            match nodes::inner(node)? {
                NodeEnum::ColumnDef(column) => {
                    if columns.iter().any(|other| other.name == column.colname) {
                        let message = format!("column \"{}\" specified more than once", column.colname);
                        return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
                    }
                    let def =
                        self.column_definition(&relation.relname, column, &mut constraints, &mut checks)?;
                    columns.push(def);
                }
                NodeEnum::Constraint(constraint) => {
                    checks.extend(constraint.raw_expr.as_deref());
                    constraints.push(self.table_constraint(constraint)?);
                }
                NodeEnum::TableLikeClause(like) => {
                    likes.push((columns.len(), self.like_clause(like)?));
                }
                _ => return Err(self.unsupported("this table element", nodes::location(node))),
            }
        }
        if likes.is_empty() {
            check_keys(&relation.relname, &mut columns, &constraints)?;
            self.check_generated(&relation.relname, &columns, &stmt.table_elts)?;
            for check in checks {
                self.check_condition(&relation.relname, &columns, check)?;
            }
        }
        Ok(CreateTable {
            name: self.qualified_name(relation)?,
            if_not_exists: stmt.if_not_exists,
            columns,
            constraints,
            sequences: std::mem::take(&mut self.column_sequences),
            likes,
            temporary: self.temporary(relation, stmt.oncommit)?,
            options: self.storage_options(&stmt.options, super::options::OptionsOf::Table)?,
        })
    }

    fn refuse_table_clauses(&self, stmt: &CreateStmt) -> Result<()> {
        let relation = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        let refused = [
            (relation.relpersistence == "u", "an unlogged table"),
            (!stmt.inh_relations.is_empty() && stmt.partbound.is_none(), "INHERITS"),
            (stmt.partbound.is_some(), "PARTITION OF"),
            (stmt.partspec.is_some(), "PARTITION BY"),
            (stmt.of_typename.is_some(), "CREATE TABLE OF"),
            (!stmt.tablespacename.is_empty(), "TABLESPACE"),
            (!stmt.access_method.is_empty(), "CREATE TABLE ... USING"),
        ];
        match refused.iter().find(|(given, _)| *given) {
            Some((_, what)) => Err(self.unsupported(what, relation.location)),
            None => Ok(()),
        }
    }

    /// A type that a column can have.
    pub(super) fn type_of_column(&mut self, column: &str, type_name: &TypeName) -> Result<(TypeId, i32)> {
        let (ty, typmod) = self.type_name(type_name)?;
        if is_pseudo(ty) {
            let message = format!("column \"{column}\" has pseudo-type {ty}");
            return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message));
        }
        if ty.is_catalogue_only() {
            return Err(self.unsupported(format_args!("type \"{ty}\""), type_name.location));
        }
        Ok((ty, typmod))
    }

    pub(super) fn column_definition<'n>(
        &mut self,
        table: &str,
        column: &'n ParsedColumn,
        constraints: &mut Vec<Constraint>,
        checks: &mut Vec<&'n Node>,
    ) -> Result<ColumnDef> {
        let type_name = column.type_name.as_ref().ok_or_else(nodes::missing)?;
        let serial = sequence::serial_type(type_name);
        if serial.is_some() && !type_name.array_bounds.is_empty() {
            let message = "array of serial is not implemented";
            let error = SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message);
            return Err(error.at(self.at(type_name.location)));
        }
        let (ty, typmod) = match serial {
            Some(ty) => (ty, -1),
            None => self.type_of_column(&column.colname, type_name)?,
        };
        if let Some(clause) = column.coll_clause.as_deref() {
            let names = nodes::strings(&clause.collname);
            if !matches!(names.last(), Some(&("C" | "POSIX" | "default" | "ucs_basic"))) {
                return Err(self.unsupported("COLLATE", clause.location));
            }
        }
        if !column.storage_name.is_empty() || !column.compression.is_empty() {
            return Err(self.unsupported("STORAGE and COMPRESSION", column.location));
        }
        let mut clauses = ColumnClauses::default();
        if serial.is_some() {
            clauses.not_null = Some(true);
            clauses.default = Some(String::new());
            clauses.sequence = Some(ColumnSequence {
                column: column.colname.clone(),
                identity: None,
                name: None,
                options: vec![crate::plan::SequenceOption::As(ty)],
            });
        }
        for node in &column.constraints {
            let NodeEnum::Constraint(constraint) = nodes::inner(node)? else { return Err(nodes::missing()) };
            self.column_clause(table, column, constraint, (ty, typmod), &mut clauses, constraints)?;
            checks.extend(match ConstrType::try_from(constraint.contype) {
                Ok(ConstrType::ConstrCheck) => constraint.raw_expr.as_deref(),
                _ => None,
            });
        }
        let ColumnClauses { not_null, default, sequence, generated } = clauses;
        let identity = sequence.as_ref().and_then(|sequence| sequence.identity);
        let default = default.filter(|_| serial.is_none());
        self.column_sequences.extend(sequence);
        Ok(ColumnDef {
            name: column.colname.clone(),
            ty,
            typmod,
            not_null: not_null == Some(true),
            default,
            identity,
            generated,
            statistics_target: None,
        })
    }

    fn column_clause(
        &mut self,
        table: &str,
        column: &ParsedColumn,
        constraint: &ParsedConstraint,
        (ty, typmod): (TypeId, i32),
        clauses: &mut ColumnClauses,
        constraints: &mut Vec<Constraint>,
    ) -> Result<()> {
        let name = &column.colname;
        let position = self.at(constraint.location);
        let syntax = |message: String| SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position);
        let kind = ConstrType::try_from(constraint.contype).map_err(|_| nodes::missing())?;
        match kind {
            ConstrType::ConstrNull | ConstrType::ConstrNotnull => {
                let wanted = kind == ConstrType::ConstrNotnull;
                if clauses.not_null.is_some_and(|said| said != wanted) {
                    let message = format!(
                        "conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{table}\""
                    );
                    return Err(syntax(message));
                }
                if constraint.is_no_inherit {
                    return Err(self.unsupported("NO INHERIT", constraint.location));
                }
                clauses.not_null = Some(wanted);
            }
            ConstrType::ConstrDefault => {
                if clauses.default.is_some() {
                    let message = format!(
                        "multiple default values specified for column \"{name}\" of table \"{table}\""
                    );
                    return Err(syntax(message));
                }
                let value = constraint.raw_expr.as_deref().ok_or_else(nodes::missing)?;
                self.check_default(value, name, ty, typmod)?;
                clauses.default = Some(text::expression(value)?);
                self.one_source_of_values(table, name, clauses, position)?;
            }
            ConstrType::ConstrIdentity => {
                if clauses.sequence.as_ref().is_some_and(|sequence| sequence.identity.is_some()) {
                    let message = format!(
                        "multiple identity specifications for column \"{name}\" of table \"{table}\""
                    );
                    return Err(syntax(message));
                }
                let mut made =
                    self.identity_sequence(name, &constraint.generated_when, &constraint.options)?;
                super::generated::check_identity_type(ty)?;
                if !made.options.iter().any(|option| matches!(option, crate::plan::SequenceOption::As(_))) {
                    made.options.push(crate::plan::SequenceOption::As(ty));
                }
                if clauses.not_null == Some(false) {
                    let message = format!(
                        "conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{table}\""
                    );
                    return Err(syntax(message));
                }
                clauses.not_null = Some(true);
                clauses.sequence = Some(made);
                self.one_source_of_values(table, name, clauses, position)?;
            }
            ConstrType::ConstrGenerated => {
                if clauses.generated.is_some() {
                    let message = format!(
                        "multiple generation clauses specified for column \"{name}\" of table \"{table}\""
                    );
                    return Err(syntax(message));
                }
                if constraint.generated_kind == "v" {
                    return Err(self.unsupported("a virtual generated column", constraint.location));
                }
                let value = constraint.raw_expr.as_deref().ok_or_else(nodes::missing)?;
                clauses.generated = Some(text::expression(value)?);
                self.one_source_of_values(table, name, clauses, position)?;
            }
            ConstrType::ConstrForeign => {
                let mut made = self.table_constraint(constraint)?;
                if let ConstraintKind::ForeignKey(key) = &mut made.kind {
                    key.columns = vec![name.clone()];
                }
                constraints.push(made);
            }
            ConstrType::ConstrAttrDeferrable
            | ConstrType::ConstrAttrNotDeferrable
            | ConstrType::ConstrAttrDeferred
            | ConstrType::ConstrAttrImmediate => {
                self.constraint_attribute(kind, constraint.location, constraints)?;
            }
            ConstrType::ConstrPrimary | ConstrType::ConstrUnique | ConstrType::ConstrCheck => {
                let mut made = self.table_constraint(constraint)?;
                match &mut made.kind {
                    ConstraintKind::PrimaryKey(keys) | ConstraintKind::Unique(keys) => {
                        *keys = vec![name.clone()]
                    }
                    ConstraintKind::Check { .. }
                    | ConstraintKind::ForeignKey(_)
                    | ConstraintKind::UsingIndex { .. } => {}
                }
                constraints.push(made);
            }
            other => return Err(self.unsupported(constraint_name(other), constraint.location)),
        }
        Ok(())
    }

    /// A PRIMARY KEY, UNIQUE, CHECK or FOREIGN KEY constraint.
    pub(super) fn table_constraint(&mut self, constraint: &ParsedConstraint) -> Result<Constraint> {
        let location = constraint.location;
        if constraint.contype == ConstrType::ConstrForeign as i32 {
            return self.foreign_key(constraint);
        }
        let refused = [
            (constraint.deferrable || constraint.initdeferred, "DEFERRABLE"),
            (constraint.is_no_inherit, "NO INHERIT"),
            (constraint.nulls_not_distinct, "NULLS NOT DISTINCT"),
            (constraint.without_overlaps, "WITHOUT OVERLAPS"),
            (!constraint.options.is_empty(), "WITH in a constraint"),
            (!constraint.indexspace.is_empty(), "USING INDEX TABLESPACE"),
            (constraint.where_clause.is_some(), "WHERE in a constraint"),
        ];
        if let Some((_, what)) = refused.iter().find(|(given, _)| *given) {
            return Err(self.unsupported(what, location));
        }
        let keys = || nodes::strings(&constraint.keys).into_iter().map(str::to_owned).collect();
        let kind = match ConstrType::try_from(constraint.contype) {
            Ok(kind @ (ConstrType::ConstrPrimary | ConstrType::ConstrUnique))
                if !constraint.indexname.is_empty() =>
            {
                let primary = kind == ConstrType::ConstrPrimary;
                ConstraintKind::UsingIndex { index: constraint.indexname.clone(), primary }
            }
            Ok(ConstrType::ConstrPrimary) => ConstraintKind::PrimaryKey(keys()),
            Ok(ConstrType::ConstrUnique) => ConstraintKind::Unique(keys()),
            Ok(ConstrType::ConstrCheck) => {
                let condition = constraint.raw_expr.as_deref().ok_or_else(nodes::missing)?;
                // A condition over one column is named by it, wherever it was written.
                let mut columns = parser::column_names(condition).into_iter();
                let column = columns.next().filter(|_| columns.next().is_none());
                ConstraintKind::Check { expression: text::expression(condition)?, column }
            }
            Ok(other) => return Err(self.unsupported(constraint_name(other), location)),
            Err(_) => return Err(nodes::missing()),
        };
        let name = nodes::non_empty(&constraint.conname).map(str::to_owned);
        // Elsewhere NOT VALID is a syntax error; the parser also sets it for what cannot be invalid.
        let not_valid = constraint.skip_validation && matches!(kind, ConstraintKind::Check { .. });
        let included = super::ddl::included_columns(&constraint.including)?;
        Ok(Constraint { name, position: self.at(location), not_valid, kind, included })
    }

    /// Refuses a default that does not fit its column.
    pub(super) fn check_default(
        &mut self,
        value: &Node,
        column: &str,
        ty: TypeId,
        typmod: i32,
    ) -> Result<()> {
        self.in_scope(|analyzer| {
            analyzer.in_clause(Clause::Default, |analyzer| {
                let value = analyzer.expression(value)?;
                let from = value.ty;
                match analyzer.assign(value, column, ty, typmod) {
                    Ok(_) => Ok(()),
                    Err(error) if error.sqlstate() == sqlstate::DATATYPE_MISMATCH => {
                        let message = format!(
                            "column \"{column}\" is of type {ty} but default expression is of type {from}"
                        );
                        Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
                            .hint("You will need to rewrite or cast the expression."))
                    }
                    Err(error) => Err(error),
                }
            })
        })
        .map(|_| ())
    }

    /// Refuses a CHECK that is no condition over the table's columns.
    pub(super) fn check_condition(
        &mut self,
        table: &str,
        columns: &[ColumnDef],
        condition: &Node,
    ) -> Result<()> {
        self.over_columns(table, columns, Clause::Check, |analyzer| {
            let condition = analyzer.expression(condition)?;
            analyzer.boolean(condition, "CHECK")
        })
        .map(|_| ())
    }
}

/// Checks the columns of keys, and makes those of the primary key NOT NULL.
fn check_keys(table: &str, columns: &mut [ColumnDef], constraints: &[Constraint]) -> Result<()> {
    let mut has_primary = false;
    for constraint in constraints {
        let (keys, what, primary) = match &constraint.kind {
            ConstraintKind::PrimaryKey(keys) => (keys, "primary key", true),
            ConstraintKind::Unique(keys) => (keys, "unique", false),
            ConstraintKind::UsingIndex { .. } => {
                let message = "cannot use an existing index in CREATE TABLE";
                let error = SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message);
                return Err(error.at(constraint.position));
            }
            ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => continue,
        };
        if primary && std::mem::replace(&mut has_primary, true) {
            let message = format!("multiple primary keys for table \"{table}\" are not allowed");
            return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message).at(constraint.position));
        }
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].contains(key) {
                let message = format!("column \"{key}\" appears twice in {what} constraint");
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message).at(constraint.position));
            }
            let Some(column) = columns.iter_mut().find(|column| column.name == *key) else {
                let message = format!("column \"{key}\" named in key does not exist");
                return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(constraint.position));
            };
            column.not_null |= primary;
        }
    }
    Ok(())
}

/// Whether no column can have this type.
pub(super) fn is_pseudo(ty: TypeId) -> bool {
    tuplix_functions::is_polymorphic(ty)
        || matches!(
            ty,
            TypeId::RECORD | TypeId::VOID | TypeId::TRIGGER | TypeId::ANY | TypeId::UNKNOWN | TypeId::CSTRING
        )
}

/// The words of a constraint that is refused.
fn constraint_name(kind: ConstrType) -> &'static str {
    match kind {
        ConstrType::ConstrIdentity => "GENERATED ... AS IDENTITY",
        ConstrType::ConstrGenerated => "a generated column",
        ConstrType::ConstrForeign => "a foreign key",
        ConstrType::ConstrExclusion => "EXCLUDE",
        ConstrType::ConstrNotnull | ConstrType::ConstrNull => "NOT NULL as a table constraint",
        ConstrType::ConstrAttrDeferrable
        | ConstrType::ConstrAttrNotDeferrable
        | ConstrType::ConstrAttrDeferred
        | ConstrType::ConstrAttrImmediate => "DEFERRABLE",
        _ => "this constraint",
    }
}
