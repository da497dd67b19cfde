//! TABLESAMPLE: a subquery that numbers the table's rows and keeps those whose number hashes below the share that is wanted.
//!
//! BERNOULLI draws row by row, SYSTEM blocks of [`BLOCK_ROWS`]. The same seed gives the same rows as long as the table is
//! unchanged, since a table is read in the same order then.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{Alias, Node, RangeSubselect, RangeTableSample, RangeVar};
use tuplix_functions::CastContext;
use tuplix_types::{Result, SqlError, SqlState, TypeId, Value, sqlstate};

use super::from::Joined;
use super::scope::Found;
use super::{Analyzer, nodes};
use crate::parser::{self, quote_ident};
use crate::plan::ExprKind;

/// Rows that SYSTEM takes or leaves together.
const BLOCK_ROWS: u32 = 64;
const INVALID_ARGUMENT: SqlState = SqlState(*b"2202H");
const INVALID_REPEAT: SqlState = SqlState(*b"2202G");

impl Analyzer<'_> {
    pub(super) fn sample_in_from(&mut self, sample: &RangeTableSample) -> Result<Joined> {
        let position = self.at(sample.location);
        let NodeEnum::RangeVar(name) = nodes::required(sample.relation.as_deref())? else {
            return Err(nodes::missing());
        };
        let methods = nodes::strings(&sample.method);
        let unit = match methods.last().copied() {
            Some("bernoulli") => 1,
            Some("system") => BLOCK_ROWS,
            other => {
                let message = format!("tablesample method {} does not exist", other.unwrap_or_default());
                return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message).at(position));
            }
        };
        let [percent] = &sample.args[..] else {
            let method = methods.last().copied().unwrap_or_default();
            let message =
                format!("tablesample method {method} requires 1 argument, not {}", sample.args.len());
            return Err(SqlError::new(INVALID_ARGUMENT, message).at(position));
        };
        let Some(percent) = self.sample_number(percent)? else {
            let message = "TABLESAMPLE parameter cannot be null";
            return Err(SqlError::new(INVALID_ARGUMENT, message).at(position));
        };
        if !(0.0..=100.0).contains(&percent) {
            let message = "sample percentage must be between 0 and 100";
            return Err(SqlError::new(INVALID_ARGUMENT, message));
        }
        let seed = match sample.repeatable.as_deref() {
            None => "(SELECT (pg_catalog.random() * 9e15)::bigint)".to_owned(),
            Some(seed) => match self.sample_number(seed)? {
                Some(seed) => format!("({})::bigint", (seed + 0.0).to_bits() as i64),
                None => {
                    let message = "TABLESAMPLE REPEATABLE parameter cannot be null";
                    return Err(SqlError::new(INVALID_REPEAT, message).at(position));
                }
            },
        };
        let cutoff = (percent / 100.0 * 4_294_967_296.0).round_ties_even();
        self.sampled(name, &format!(
            "pg_catalog.hashint8extended((\"?row?\" - 1) / {unit}, {seed}) & 4294967295 < {cutoff}::bigint"
        ))
    }

    /// The rows of a table of which a condition on `"?row?"`, their number, holds.
    fn sampled(&mut self, name: &RangeVar, condition: &str) -> Result<Joined> {
        let schema = nodes::non_empty(&name.schemaname);
        let position = self.at(name.location);
        let refused = || {
            let message = "TABLESAMPLE clause can only be applied to tables and materialized views";
            SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(position)
        };
        if schema.is_none() && self.is_cte(&name.relname) {
            return Err(refused());
        }
        let Found::Table(table) = self.find_relation(schema, &name.relname, position)? else {
            return Err(refused());
        };
        if table.view.is_some() {
            return Err(refused());
        }
        if schema.is_none() {
            self.record_schema(&table.schema, name.location);
        }
        let columns: Vec<String> = table.columns.iter().map(|column| quote_ident(&column.name)).collect();
        let text = format!(
            "SELECT {} FROM (SELECT *, pg_catalog.row_number() OVER () AS \"?row?\" FROM {}.{}) AS \"?sample?\" WHERE {condition}",
            columns.join(", "),
            quote_ident(&table.schema),
            quote_ident(&table.name)
        );
        let parsed = parser::parse(&text)?.into_iter().next().ok_or_else(nodes::missing)?;
        let own = || Alias { aliasname: name.relname.clone(), colnames: Vec::new() };
        let subselect = RangeSubselect {
            lateral: false,
            subquery: Some(Box::new(Node { node: Some(parsed.node) })),
            alias: Some(name.alias.clone().unwrap_or_else(own)),
        };
        // Places in that text are none of the client's.
        let source = self.source.take();
        let joined = self.subquery_in_from(&subselect);
        self.source = source;
        joined
    }

    /// A constant of TABLESAMPLE.
    fn sample_number(&mut self, node: &Node) -> Result<Option<f64>> {
        let value = self.expression(node)?;
        let (position, from) = (value.position, value.ty);
        let Some(number) = self.coerce(value, TypeId::FLOAT8, -1, CastContext::Assignment)? else {
            let message = format!("argument of TABLESAMPLE must be type real, not type {from}");
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
        };
        match number.kind {
            ExprKind::Constant(Value::Float8(number)) => Ok(Some(number)),
            ExprKind::Constant(Value::Null) => Ok(None),
            _ => Err(SqlError::unsupported("an argument of TABLESAMPLE that is not a constant").at(position)),
        }
    }
}
