//! CREATE and ALTER SEQUENCE, `serial` and identity columns (`sequence.c`, `parse_utilcmd.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{AlterSeqStmt, CreateSeqStmt, DefElem, Node, TypeName};
use tuplix_catalog::Identity;
use tuplix_types::text_io::{IoContext, parse_text};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Analyzer, nodes};
use crate::plan::{ColumnSequence, Ddl, OutputColumn, QualifiedName, SequenceOption};

/// The columns of a sequence as a relation.
pub(super) fn relation_columns() -> Vec<OutputColumn> {
    let column = |(name, ty): (&str, TypeId)| OutputColumn { name: name.to_owned(), ty, typmod: -1 };
    [("last_value", TypeId::INT8), ("log_cnt", TypeId::INT8), ("is_called", TypeId::BOOL)]
        .map(column)
        .into_iter()
        .collect()
}

/// The integer type that `serial` or its kin stands for.
pub(super) fn serial_type(name: &TypeName) -> Option<TypeId> {
    match nodes::strings(&name.names)[..] {
        ["smallserial" | "serial2"] => Some(TypeId::INT2),
        ["serial" | "serial4"] => Some(TypeId::INT4),
        ["bigserial" | "serial8"] => Some(TypeId::INT8),
        _ => None,
    }
}

/// GENERATED ALWAYS or BY DEFAULT, as the parser spells it.
pub(super) fn identity_kind(generated_when: &str) -> Identity {
    if generated_when == "a" { Identity::Always } else { Identity::ByDefault }
}

impl Analyzer<'_> {
    pub(super) fn create_sequence(&mut self, stmt: &CreateSeqStmt) -> Result<Ddl> {
        let name = stmt.sequence.as_ref().ok_or_else(nodes::missing)?;
        if name.relpersistence == "t" || name.relpersistence == "u" {
            return Err(self.unsupported("a temporary or unlogged sequence", name.location));
        }
        Ok(Ddl::CreateSequence {
            name: self.qualified_name(name)?,
            if_not_exists: stmt.if_not_exists,
            options: self.sequence_options(&stmt.options, true)?.0,
        })
    }

    pub(super) fn alter_sequence(&mut self, stmt: &AlterSeqStmt) -> Result<Ddl> {
        let name = stmt.sequence.as_ref().ok_or_else(nodes::missing)?;
        Ok(Ddl::AlterSequence {
            name: self.qualified_name(name)?,
            if_exists: stmt.missing_ok,
            options: self.sequence_options(&stmt.options, false)?.0,
        })
    }

    /// The sequence of an identity column.
    pub(super) fn identity_sequence(
        &mut self,
        column: &str,
        generated_when: &str,
        options: &[Node],
    ) -> Result<ColumnSequence> {
        let (options, name) = self.sequence_options(options, true)?;
        let identity = Some(identity_kind(generated_when));
        Ok(ColumnSequence { column: column.to_owned(), identity, name, options })
    }

    /// Options, and the name that SEQUENCE NAME gives.
    pub(super) fn sequence_options(
        &mut self,
        list: &[Node],
        creates: bool,
    ) -> Result<(Vec<SequenceOption>, Option<QualifiedName>)> {
        let mut options: Vec<SequenceOption> = Vec::with_capacity(list.len());
        let mut name = None;
        for node in list {
            let NodeEnum::DefElem(element) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if element.defname == "sequence_name" {
                let NodeEnum::List(names) = nodes::required(element.arg.as_deref())? else {
                    return Err(nodes::missing());
                };
                name = Some(self.listed_name(&names.items, element.location)?);
                continue;
            }
            if element.defname == "restart" && creates {
                let message = "syntax error at or near \"RESTART\"";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(element.location)));
            }
            let option = self.sequence_option(element)?;
            let same =
                |other: &SequenceOption| std::mem::discriminant(other) == std::mem::discriminant(&option);
            if options.iter().any(same) {
                let message = "conflicting or redundant options";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(element.location)));
            }
            options.push(option);
        }
        Ok((options, name))
    }

    fn sequence_option(&mut self, element: &DefElem) -> Result<SequenceOption> {
        use SequenceOption as O;
        let arg = element.arg.as_deref();
        let number = || number_of(nodes::required(arg)?);
        let maybe = || arg.map(|arg| number_of(nodes::inner(arg)?)).transpose();
        Ok(match element.defname.as_str() {
            "as" => {
                let NodeEnum::TypeName(name) = nodes::required(arg)? else { return Err(nodes::missing()) };
                let (ty, _) = self.type_name(name)?;
                if !matches!(ty, TypeId::INT2 | TypeId::INT4 | TypeId::INT8) {
                    let message = "sequence type must be smallint, integer, or bigint";
                    return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
                }
                O::As(ty)
            }
            "increment" => O::Increment(number()?),
            "start" => O::Start(number()?),
            "restart" => O::Restart(maybe()?),
            "maxvalue" => O::Max(maybe()?),
            "minvalue" => O::Min(maybe()?),
            "cache" => O::Cache(number()?),
            "cycle" => match nodes::required(arg)? {
                NodeEnum::Boolean(cycle) => O::Cycle(cycle.boolval),
                NodeEnum::Integer(cycle) => O::Cycle(cycle.ival != 0),
                _ => return Err(nodes::missing()),
            },
            "owned_by" => {
                let NodeEnum::List(names) = nodes::required(arg)? else { return Err(nodes::missing()) };
                O::OwnedBy(self.owner_column(&names.items)?)
            }
            other => {
                return Err(self.unsupported(format_args!("the sequence option {other}"), element.location));
            }
        })
    }

    fn owner_column(&self, names: &[Node]) -> Result<Option<(QualifiedName, String)>> {
        let (Some(column), rest) = (names.last().and_then(nodes::string), &names[..names.len().max(1) - 1])
        else {
            return Err(nodes::missing());
        };
        if rest.is_empty() {
            if column == "none" {
                return Ok(None);
            }
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, "invalid OWNED BY option")
                .hint("Specify OWNED BY table.column or OWNED BY NONE."));
        }
        Ok(Some((self.listed_name(rest, -1)?, column.to_owned())))
    }
}

/// An integer of 64 bits, which the parser gives as text when it needs more than 32.
fn number_of(node: &NodeEnum) -> Result<i64> {
    match node {
        NodeEnum::Integer(number) => Ok(i64::from(number.ival)),
        NodeEnum::Float(number) => {
            let value = parse_text(TypeId::INT8, -1, &number.fval, &IoContext::default())?;
            value.as_i64().ok_or_else(nodes::missing)
        }
        _ => Err(nodes::missing()),
    }
}
