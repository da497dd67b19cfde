//! The calls: window functions proper, and aggregates over frames.

use tuplix_sql::plan::{WindowCall, WindowFunction};
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::super::builder::Builder;
use super::super::frame::Exec;
use super::Inputs;
use super::frame::{Frames, Partition};
use super::slide::AggregateCode;
use crate::stop::Run;

/// A compiled window call.
pub(super) enum CallCode {
    /// A window function proper; its arguments' places in a kept row.
    Native(Native, Vec<usize>),
    /// An aggregate over the frame.
    Aggregate(Box<AggregateCode>),
}

/// The window functions of PostgreSQL 15.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Native {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
}

impl Native {
    fn named(name: &str) -> Option<Native> {
        Some(match name {
            "row_number" => Native::RowNumber,
            "rank" => Native::Rank,
            "dense_rank" => Native::DenseRank,
            "percent_rank" => Native::PercentRank,
            "cume_dist" => Native::CumeDist,
            "ntile" => Native::Ntile,
            "lag" => Native::Lag,
            "lead" => Native::Lead,
            "first_value" => Native::FirstValue,
            "last_value" => Native::LastValue,
            "nth_value" => Native::NthValue,
            _ => return None,
        })
    }
}

/// Takes the value of a row, by its number among all rows.
pub(super) type Give<'g> = dyn FnMut(usize, Value) + 'g;

impl Builder<'_> {
    pub(super) fn window_call_code(&mut self, call: &WindowCall, inputs: &mut Inputs) -> Result<CallCode> {
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            arguments.push(inputs.add(self.expr(argument)?));
        }
        let filter = match &call.filter {
            Some(filter) => Some(inputs.add(self.expr(filter)?)),
            None => None,
        };
        match call.function {
            WindowFunction::Native(function) => match Native::named(function.name) {
                Some(native) => Ok(CallCode::Native(native, arguments)),
                None => {
                    let what = format!("window function {}", function.signature());
                    Err(SqlError::unsupported(what).at(call.position))
                }
            },
            WindowFunction::Aggregate(aggregate) => {
                let types = super::call_types(call);
                Ok(CallCode::Aggregate(Box::new(AggregateCode::new(aggregate, arguments, filter, types))))
            }
        }
    }
}

impl CallCode {
    /// Whether it looks at the frame.
    pub(super) fn reads_frame(&self) -> bool {
        match self {
            CallCode::Native(native, _) => {
                matches!(native, Native::FirstValue | Native::LastValue | Native::NthValue)
            }
            CallCode::Aggregate(_) => true,
        }
    }

    /// Gives the value of each row of a partition.
    pub(super) fn run(
        &self,
        exec: &mut Exec<'_, '_>,
        partition: &Partition<'_>,
        frames: Option<&Frames>,
        give: &mut Give<'_>,
    ) -> Run<()> {
        match (self, frames) {
            (CallCode::Aggregate(aggregate), Some(frames)) => aggregate.run(exec, partition, frames, give),
            (CallCode::Native(Native::Ntile, arguments), _) => Ok(ntile(partition, arguments, give)?),
            (CallCode::Native(native, arguments), frames) => {
                for position in 0..partition.len() {
                    let value = native.value(partition, frames, arguments, position)?;
                    give(partition.number(position), value);
                }
                Ok(())
            }
            (CallCode::Aggregate(_), None) => Err(SqlError::internal("an aggregate without a frame").into()),
        }
    }
}

fn integer(value: usize) -> Value {
    Value::Int8(value as i64)
}

impl Native {
    fn value(
        self,
        partition: &Partition<'_>,
        frames: Option<&Frames>,
        arguments: &[usize],
        position: usize,
    ) -> Result<Value> {
        Ok(match self {
            Native::RowNumber => integer(position + 1),
            Native::Rank => integer(partition.peers().of(position).start + 1),
            Native::DenseRank => integer(partition.peers().group(position) + 1),
            Native::PercentRank if partition.len() == 1 => Value::Float8(0.0),
            Native::PercentRank => {
                let before = partition.peers().of(position).start;
                Value::Float8(before as f64 / (partition.len() - 1) as f64)
            }
            Native::CumeDist => {
                Value::Float8(partition.peers().of(position).end as f64 / partition.len() as f64)
            }
            Native::Lag | Native::Lead => self.neighbour(partition, arguments, position),
            Native::FirstValue | Native::LastValue | Native::NthValue => {
                let Some(frames) = frames else { return Err(SqlError::internal("a call without a frame")) };
                self.in_frame(partition, frames, arguments, position)?
            }
            Native::Ntile => return Err(SqlError::internal("ntile is computed for a whole partition")),
        })
    }

    /// The value of the row some rows before or after.
    fn neighbour(self, partition: &Partition<'_>, arguments: &[usize], position: usize) -> Value {
        let offset = match arguments.get(1) {
            None => 1,
            Some(at) => match partition.value(position, *at).as_i64() {
                Some(offset) => offset,
                None => return Value::Null,
            },
        };
        let offset = if self == Native::Lag { -i128::from(offset) } else { i128::from(offset) };
        let wanted = usize::try_from(position as i128 + offset).ok().filter(|row| *row < partition.len());
        match (wanted, arguments.get(2)) {
            (Some(row), _) => partition.value(row, arguments[0]).clone(),
            (None, Some(default)) => partition.value(position, *default).clone(),
            (None, None) => Value::Null,
        }
    }

    fn in_frame(
        self,
        partition: &Partition<'_>,
        frames: &Frames,
        arguments: &[usize],
        position: usize,
    ) -> Result<Value> {
        let pieces = frames.pieces(partition, position);
        let row = match self {
            Native::FirstValue => pieces.iter().find(|piece| !piece.is_empty()).map(|piece| piece.start),
            Native::LastValue => pieces.iter().rfind(|piece| !piece.is_empty()).map(|piece| piece.end - 1),
            _ => {
                let Some(wanted) = partition.value(position, arguments[1]).as_i64() else {
                    return Ok(Value::Null);
                };
                if wanted <= 0 {
                    let message = "argument of nth_value must be greater than zero";
                    let code = sqlstate::INVALID_ARGUMENT_FOR_NTH_VALUE_FUNCTION;
                    return Err(SqlError::new(code, message));
                }
                let mut left = usize::try_from(wanted - 1).unwrap_or(usize::MAX);
                pieces.into_iter().find_map(|piece| {
                    let len = piece.len();
                    let found = (left < len).then(|| piece.start + left);
                    left = left.saturating_sub(len);
                    found
                })
            }
        };
        Ok(row.map_or(Value::Null, |row| partition.value(row, arguments[0]).clone()))
    }
}

/// Buckets of sizes that differ by one at most, the larger ones first.
fn ntile(partition: &Partition<'_>, arguments: &[usize], give: &mut Give<'_>) -> Result<()> {
    let len = partition.len();
    let Some(buckets) = partition.value(0, arguments[0]).as_i64() else {
        (0..len).for_each(|position| give(partition.number(position), Value::Null));
        return Ok(());
    };
    if buckets <= 0 {
        let message = "argument of ntile must be greater than zero";
        return Err(SqlError::new(sqlstate::INVALID_ARGUMENT_FOR_NTILE_FUNCTION, message));
    }
    let buckets = usize::try_from(buckets).unwrap_or(usize::MAX);
    let (size, larger) = (len / buckets, len % buckets);
    for position in 0..len {
        let in_larger = larger * (size + 1);
        let bucket = match position < in_larger {
            true => position / (size + 1),
            false => larger + (position - in_larger) / size.max(1),
        };
        give(partition.number(position), Value::Int4(bucket as i32 + 1));
    }
    Ok(())
}
