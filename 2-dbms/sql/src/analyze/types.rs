//! Type names: which type and modifier a spelling means (`parse_type.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{Node, TypeName, a_const};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Analyzer, nodes};

/// Types that PostgreSQL 15 has and Tuplix has not.
#[rustfmt::skip]
const MISSING: &[&str] = &[
    "anycompatiblemultirange", "anycompatiblerange", "anymultirange", "anyrange",
    "bit", "box", "cidr", "circle", "cid", "datemultirange", "daterange", "event_trigger", "inet",
    "int4multirange", "int4range", "int8multirange", "int8range", "internal", "line", "lseg", "macaddr",
    "macaddr8", "money", "nummultirange", "numrange", "path", "pg_lsn", "pg_snapshot", "point",
    "polygon", "regcollation", "regconfig", "regdictionary", "regoper", "regoperator",
    "tid", "timetz", "tsmultirange", "tsquery", "tsrange", "tstzmultirange", "tstzrange", "tsvector",
    "txid_snapshot", "varbit", "xid8", "xml",
];

fn is_missing(name: &str) -> bool {
    MISSING.contains(&name.trim_start_matches('_'))
}

/// `interval` without named fields, as the grammar numbers it.
const INTERVAL_ALL_FIELDS: i32 = 0x7fff;
/// The longest `varchar(n)` and `char(n)`.
const MAX_CHARACTERS: i32 = 10_485_760;

impl Analyzer<'_> {
    /// The type and modifier that a name means.
    pub(super) fn type_name(&mut self, name: &TypeName) -> Result<(TypeId, i32)> {
        let position = self.at(name.location);
        if name.setof {
            let message = "type name cannot be SETOF here";
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
        }
        if name.pct_type {
            return self.column_type(name);
        }
        let (element, typmod) = self.element_type(name).map_err(|error| error.at(position))?;
        if name.array_bounds.is_empty() {
            return Ok((element, typmod));
        }
        let array = element.array_of().ok_or_else(|| {
            let message = format!("could not find array type for data type {element}");
            SqlError::new(sqlstate::UNDEFINED_OBJECT, message).at(position)
        })?;
        Ok((array, typmod))
    }

    fn element_type(&mut self, name: &TypeName) -> Result<(TypeId, i32)> {
        let names = nodes::strings(&name.names);
        let (schema, bare) = match names[..] {
            [bare] => (None, bare),
            [schema, bare] | [_, schema, bare] => (Some(schema), bare),
            _ => return Err(nodes::missing()),
        };
        if let Some(schema) = schema.filter(|schema| *schema != "pg_catalog") {
            self.existing_schema(schema)?;
            let id = self.context.catalog.type_named(schema, bare);
            let id = id.ok_or_else(|| self.no_type(Some(schema), bare))?;
            return Ok((id, self.type_modifier(id, &name.typmods)?));
        }
        // The catalogue's own tables have columns of some of the missing ones.
        let built_in = TypeId::from_internal_name(bare).filter(|_| !is_missing(bare));
        let id = built_in.or_else(|| {
            let path = self.search_path().iter().filter(|_| schema.is_none());
            path.into_iter().find_map(|schema| self.context.catalog.type_named(schema, bare))
        });
        let id = id.ok_or_else(|| self.no_type(schema, bare))?;
        if id.is_user()
            && let Some((schema, _)) = self.context.catalog.type_names(id)
        {
            self.record_schema(schema, name.location);
        }
        Ok((id, self.type_modifier(id, &name.typmods)?))
    }

    fn no_type(&self, schema: Option<&str>, name: &str) -> SqlError {
        if is_missing(name) && schema.is_none_or(|schema| schema == "pg_catalog") {
            return SqlError::unsupported(format_args!("type \"{name}\""));
        }
        let shown = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
        SqlError::new(sqlstate::UNDEFINED_OBJECT, format!("type \"{shown}\" does not exist"))
    }

    /// `table.column%TYPE`
    fn column_type(&self, name: &TypeName) -> Result<(TypeId, i32)> {
        let position = self.at(name.location);
        let names = nodes::strings(&name.names);
        let (schema, table, column) = match names[..] {
            [table, column] => (None, table, column),
            [schema, table, column] | [_, schema, table, column] => (Some(schema), table, column),
            _ => {
                let message = format!(
                    "improper %TYPE reference (too few dotted names): {}",
                    names.first().copied().unwrap_or_default()
                );
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
            }
        };
        let found = self.find_relation(schema, table, position)?;
        let column_def =
            found.columns(self).into_iter().find(|other| other.name == column).ok_or_else(|| {
                let message = format!("column \"{column}\" of relation \"{table}\" does not exist");
                SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(position)
            })?;
        let ty = if name.array_bounds.is_empty() {
            column_def.ty
        } else {
            column_def
                .ty
                .array_of()
                .ok_or_else(|| self.unsupported("an array of arrays as %TYPE", name.location))?
        };
        Ok((ty, column_def.typmod))
    }

    /// PostgreSQL's number for the modifiers in parentheses.
    fn type_modifier(&self, id: TypeId, modifiers: &[Node]) -> Result<i32> {
        if modifiers.is_empty() {
            return Ok(-1);
        }
        let invalid = |message: String| SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message);
        let numbers: Vec<i32> = modifiers.iter().filter_map(integer).collect();
        if numbers.len() != modifiers.len() {
            let message = "type modifiers must be simple constants or identifiers";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        match (id, &numbers[..]) {
            (TypeId::VARCHAR | TypeId::BPCHAR, &[length]) => {
                let shown = if id == TypeId::VARCHAR { "varchar" } else { "char" };
                if length < 1 {
                    return Err(invalid(format!("length for type {shown} must be at least 1")));
                }
                if length > MAX_CHARACTERS {
                    return Err(invalid(format!("length for type {shown} cannot exceed {MAX_CHARACTERS}")));
                }
                Ok(length + 4)
            }
            (TypeId::NUMERIC, &[precision]) => numeric_modifier(precision, 0),
            (TypeId::NUMERIC, &[precision, scale]) => numeric_modifier(precision, scale),
            (TypeId::NUMERIC, _) => Err(invalid("invalid NUMERIC type modifier".to_owned())),
            (TypeId::TIME | TypeId::TIMESTAMP | TypeId::TIMESTAMPTZ, &[precision]) => {
                let shown = if id == TypeId::TIME { "TIME" } else { "TIMESTAMP" };
                if precision < 0 {
                    let zone = if id == TypeId::TIMESTAMPTZ { " WITH TIME ZONE" } else { "" };
                    return Err(invalid(format!(
                        "{shown}({precision}){zone} precision must not be negative"
                    )));
                }
                Ok(precision.min(6))
            }
            // The fields that are kept, as the grammar numbers them, then the digits of seconds.
            (TypeId::INTERVAL, &[INTERVAL_ALL_FIELDS]) => Ok(-1),
            (TypeId::INTERVAL, &[fields]) => Ok(fields << 16 | 0xffff),
            (TypeId::INTERVAL, &[fields, precision]) if precision >= 0 => Ok(fields << 16 | precision.min(6)),
            (TypeId::INTERVAL, &[_, precision]) => {
                Err(invalid(format!("INTERVAL({precision}) precision must not be negative")))
            }
            (TypeId::INTERVAL, _) => Err(invalid("invalid INTERVAL type modifier".to_owned())),
            (
                TypeId::VARCHAR | TypeId::BPCHAR | TypeId::TIME | TypeId::TIMESTAMP | TypeId::TIMESTAMPTZ,
                _,
            ) => Err(invalid("invalid type modifier".to_owned())),
            _ => {
                let name = id.internal_name().map_or_else(|| id.to_string(), str::to_owned);
                let message = format!("type modifier is not allowed for type \"{name}\"");
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
            }
        }
    }

    /// Refuses a schema that does not exist, with 3F000.
    pub(super) fn existing_schema(&self, name: &str) -> Result<()> {
        match self.context.catalog.schema(name) {
            Some(_) => Ok(()),
            None => {
                let message = format!("schema \"{name}\" does not exist");
                Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message))
            }
        }
    }
}

/// The number in an integer constant.
pub(super) fn integer(node: &Node) -> Option<i32> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(a_const::Val::Ival(number)) => Some(number.ival),
            _ => None,
        },
        Some(NodeEnum::Integer(number)) => Some(number.ival),
        _ => None,
    }
}

fn numeric_modifier(precision: i32, scale: i32) -> Result<i32> {
    if !(1..=1000).contains(&precision) {
        let message = format!("NUMERIC precision {precision} must be between 1 and 1000");
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
    }
    if !(-1000..=1000).contains(&scale) {
        let message = format!("NUMERIC scale {scale} must be between -1000 and 1000");
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
    }
    Ok(((precision << 16) | (scale & 0x7ff)) + 4)
}
