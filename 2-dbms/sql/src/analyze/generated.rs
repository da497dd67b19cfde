//! Where a column's values come from: identity, generation expressions; and what index expressions may be.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableType, IndexStmt, Node, RangeVar};
use tuplix_catalog::{ColumnDef, FunctionVolatility, Identity, TableDef};
use tuplix_functions::Volatility;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::create_table::ColumnClauses;
use super::scope::{Clause, ScopeItem};
use super::{Analyzer, nodes, sequence, walk};
use crate::plan::{AlterIdentity, AlterTable, Expr, ExprKind};

/// Refuses an identity column of another type than an integer.
pub(super) fn check_identity_type(ty: TypeId) -> Result<()> {
    if matches!(ty, TypeId::INT2 | TypeId::INT4 | TypeId::INT8) {
        return Ok(());
    }
    let message = "identity column type must be smallint, integer, or bigint";
    Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message))
}

impl Analyzer<'_> {
    /// Refuses a column with two of DEFAULT, identity and a generation expression.
    pub(super) fn one_source_of_values(
        &self,
        table: &str,
        column: &str,
        clauses: &ColumnClauses,
        position: Option<u32>,
    ) -> Result<()> {
        let identity = clauses.sequence.as_ref().is_some_and(|sequence| sequence.identity.is_some());
        let both = match (clauses.default.is_some(), identity, clauses.generated.is_some()) {
            (true, true, _) => "default and identity",
            (true, _, true) => "default and generation expression",
            (_, true, true) => "identity and generation expression",
            _ => return Ok(()),
        };
        let message = format!("both {both} specified for column \"{column}\" of table \"{table}\"");
        Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position))
    }

    /// Checks the generation expressions of a new table.
    pub(super) fn check_generated(
        &mut self,
        table: &str,
        columns: &[ColumnDef],
        elements: &[Node],
    ) -> Result<()> {
        for element in elements {
            let NodeEnum::ColumnDef(column) = nodes::inner(element)? else { continue };
            let Some(def) = columns.iter().find(|def| def.name == column.colname) else { continue };
            for clause in &column.constraints {
                if let NodeEnum::Constraint(clause) = nodes::inner(clause)?
                    && clause.contype == pg_query::protobuf::ConstrType::ConstrGenerated as i32
                    && let Some(value) = clause.raw_expr.as_deref()
                {
                    self.check_generation(table, columns, def, value)?;
                }
            }
        }
        Ok(())
    }

    fn check_generation(
        &mut self,
        table: &str,
        columns: &[ColumnDef],
        def: &ColumnDef,
        value: &Node,
    ) -> Result<()> {
        let (mut expr, _) = self.over_columns(table, columns, Clause::Generated, |analyzer| {
            let value = analyzer.expression(value)?;
            let from = value.ty;
            analyzer.assign(value, &def.name, def.ty, def.typmod).map_err(|error| {
                if error.sqlstate() != sqlstate::DATATYPE_MISMATCH {
                    return error;
                }
                let message = format!(
                    "column \"{}\" is of type {} but default expression is of type {from}",
                    def.name, def.ty
                );
                SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
                    .hint("You will need to rewrite or cast the expression.")
            })
        })?;
        let mut generated = None;
        each_column(&mut expr, &mut |column, position| {
            if columns.get(column).is_some_and(|column| column.generated.is_some()) {
                generated = Some((columns[column].name.clone(), position));
            }
        });
        if let Some((name, position)) = generated {
            let message = format!("cannot use generated column \"{name}\" in column generation expression");
            return Err(SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message)
                .detail("A generated column cannot reference another generated column.")
                .at(position));
        }
        if !self.is_immutable(&mut expr) {
            let message = "generation expression is not immutable";
            return Err(SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message));
        }
        Ok(())
    }

    /// Analyses something over the columns of a table that may not be there yet.
    pub(super) fn over_columns<T>(
        &mut self,
        table: &str,
        columns: &[ColumnDef],
        clause: Clause,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, super::scope::Scope)> {
        let columns = super::scope::defined_columns(columns);
        self.in_scope(|analyzer| {
            let relation = analyzer.add_relation(table, columns.clone(), None);
            analyzer.scope().items.push(ScopeItem::of_relation(table, relation, &columns));
            analyzer.in_clause(clause, work)
        })
    }

    /// Checks the expressions and the predicate of a new index; what the table lacks is the engine's to say.
    pub(super) fn check_index_expressions(&mut self, table: &RangeVar, stmt: &IndexStmt) -> Result<()> {
        let schema = nodes::non_empty(&table.schemaname);
        let Ok(super::scope::Found::Table(def)) = self.find_relation(schema, &table.relname, None) else {
            return Ok(());
        };
        let def = std::sync::Arc::clone(def);
        let immutable = |what: &str| {
            let message = format!("functions in index {what} must be marked IMMUTABLE");
            SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message)
        };
        for node in &stmt.index_params {
            let NodeEnum::IndexElem(element) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let Some(value) = element.expr.as_deref() else { continue };
            let (mut expr, _) = self.over_columns(&def.name, &def.columns, Clause::Index, |analyzer| {
                let value = analyzer.expression(value)?;
                analyzer.settle_unknown(value)
            })?;
            if !self.is_immutable(&mut expr) {
                return Err(immutable("expression"));
            }
        }
        if let Some(condition) = stmt.where_clause.as_deref() {
            let (mut expr, _) =
                self.over_columns(&def.name, &def.columns, Clause::IndexPredicate, |analyzer| {
                    let condition = analyzer.expression(condition)?;
                    analyzer.boolean(condition, "WHERE")
                })?;
            if !self.is_immutable(&mut expr) {
                return Err(immutable("predicate"));
            }
        }
        Ok(())
    }

    /// Whether an expression gives the same for the same row forever.
    fn is_immutable(&self, expr: &mut Expr) -> bool {
        let own = match &expr.kind {
            // PostgreSQL puts the body of these in their place: what counts is the text of the operand.
            ExprKind::Call { function, arguments }
                if matches!(function.name, "textanycat" | "anytextcat") =>
            {
                arguments.iter().all(|argument| has_one_text(argument.ty))
            }
            ExprKind::Call { function, .. } => function.volatility == Volatility::Immutable,
            ExprKind::UserCall { function, .. } => {
                let function = self.context.catalog.function(*function);
                function.is_some_and(|function| function.volatility == FunctionVolatility::Immutable)
            }
            ExprKind::CastViaText(operand) => {
                !depends_on_settings(operand.ty) && !depends_on_settings(expr.ty)
            }
            _ => true,
        };
        let mut immutable = own;
        walk::operands(expr, &mut |operand| immutable &= self.is_immutable(operand));
        immutable
    }

    /// ALTER COLUMN ADD / SET / DROP IDENTITY.
    pub(super) fn alter_identity(
        &mut self,
        kind: AlterTableType,
        command: &AlterTableCmd,
    ) -> Result<AlterTable> {
        let change = match (kind, command.def.as_deref().map(nodes::inner).transpose()?) {
            (AlterTableType::AtAddIdentity, Some(NodeEnum::Constraint(constraint))) => AlterIdentity::Add(
                self.identity_sequence(&command.name, &constraint.generated_when, &constraint.options)?,
            ),
            (AlterTableType::AtSetIdentity, Some(NodeEnum::List(list))) => {
                let mut identity: Option<Identity> = None;
                let mut others: Vec<Node> = Vec::new();
                for node in &list.items {
                    match nodes::inner(node)? {
                        NodeEnum::DefElem(element) if element.defname == "generated" => {
                            let kind = match nodes::required(element.arg.as_deref())? {
                                NodeEnum::Integer(code) => u8::try_from(code.ival).unwrap_or_default(),
                                _ => return Err(nodes::missing()),
                            };
                            identity = Some(sequence::identity_kind(if kind == b'a' { "a" } else { "d" }));
                        }
                        _ => others.push(node.clone()),
                    }
                }
                AlterIdentity::Set { identity, options: self.sequence_options(&others, false)?.0 }
            }
            (AlterTableType::AtDropIdentity, _) => AlterIdentity::Drop { if_exists: command.missing_ok },
            _ => return Err(nodes::missing()),
        };
        Ok(AlterTable::Identity { column: command.name.clone(), change })
    }

    /// Refuses a value for a column that makes its own; whether the value is to be replaced by the column's.
    pub(super) fn refuse_given_value(
        &self,
        table: &TableDef,
        column: usize,
        overriding: Overriding,
    ) -> Result<bool> {
        let def = &table.columns[column];
        let detail = match (&def.generated, def.identity) {
            (Some(_), _) => format!("Column \"{}\" is a generated column.", def.name),
            (None, Some(_)) if overriding == Overriding::User => return Ok(true),
            (None, Some(Identity::Always)) if overriding != Overriding::System => {
                format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", def.name)
            }
            _ => return Ok(false),
        };
        let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", def.name);
        let error = SqlError::new(sqlstate::SqlState(*b"428C9"), message).detail(detail);
        Err(match def.generated {
            Some(_) => error,
            None => error.hint("Use OVERRIDING SYSTEM VALUE to override."),
        })
    }

    /// Refuses SET of such a column to anything but DEFAULT.
    pub(super) fn refuse_set_value(&self, table: &TableDef, column: usize) -> Result<()> {
        let def = &table.columns[column];
        let detail = match (&def.generated, def.identity) {
            (Some(_), _) => format!("Column \"{}\" is a generated column.", def.name),
            (None, Some(Identity::Always)) => {
                format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", def.name)
            }
            _ => return Ok(()),
        };
        let message = format!("column \"{}\" can only be updated to DEFAULT", def.name);
        Err(SqlError::new(sqlstate::SqlState(*b"428C9"), message).detail(detail))
    }
}

/// OVERRIDING of an INSERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overriding {
    /// None.
    No,
    /// OVERRIDING SYSTEM VALUE
    System,
    /// OVERRIDING USER VALUE
    User,
}

/// Calls `visit` with each column that an expression reads.
fn each_column(expr: &mut Expr, visit: &mut dyn FnMut(usize, Option<u32>)) {
    if let ExprKind::Column { column, .. } = expr.kind {
        visit(column, expr.position);
    }
    walk::operands(expr, &mut |operand| each_column(operand, visit));
}

/// Whether the output function of a type is immutable.
fn has_one_text(ty: TypeId) -> bool {
    matches!(
        ty,
        TypeId::INT2
            | TypeId::INT4
            | TypeId::INT8
            | TypeId::BOOL
            | TypeId::NUMERIC
            | TypeId::FLOAT4
            | TypeId::FLOAT8
            | TypeId::TEXT
            | TypeId::VARCHAR
            | TypeId::UUID
    )
}

/// Types whose text depends on the session or the catalogue.
fn depends_on_settings(ty: TypeId) -> bool {
    ty.is_object_name()
        || matches!(
            ty,
            TypeId::DATE | TypeId::TIME | TypeId::TIMESTAMP | TypeId::TIMESTAMPTZ | TypeId::INTERVAL
        )
}
