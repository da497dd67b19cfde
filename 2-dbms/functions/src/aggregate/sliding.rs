//! How an aggregate follows a window frame that loses rows at its start (`aggminvtransfn` in PostgreSQL).
//!
//! Where PostgreSQL has an inverse transition we have one, with the same results; the extremes and `bool_and` and its
//! kin are kept by a queue of candidates instead. Floats and collections have neither there nor here: taking a
//! float away again does not give the sum that was before.

use tuplix_types::{Result, Value};

use super::{Aggregate, AggregateState, mixed_up};
use crate::builtin::args::{from_interval, interval, numeric};

/// Takes a row that a step added out of a state again; false when only starting over gives the right result.
pub type RemoveFn = fn(&mut AggregateState, &[Value]) -> Result<bool>;

/// See the module.
#[derive(Clone, Copy)]
pub enum Sliding {
    /// By taking rows out. Rows whose first argument is NULL were never in; the state without rows is the first one.
    Remove(RemoveFn),
    /// The least or greatest of the frame's values.
    Extreme {
        /// Whether the greatest.
        greatest: bool,
    },
}

/// How an aggregate slides; `None`: it is computed anew for each frame.
pub fn sliding(aggregate: &Aggregate) -> Option<Sliding> {
    let function = aggregate.function;
    let first = function.symbol.rsplit_once('_').map_or("", |(_, first)| first);
    match function.name {
        "count" => Some(Sliding::Remove(remove_count)),
        "min" | "bool_and" | "every" if first != "anyenum" => Some(Sliding::Extreme { greatest: false }),
        "max" | "bool_or" if first != "anyenum" => Some(Sliding::Extreme { greatest: true }),
        "sum" | "avg" | "variance" | "var_samp" | "var_pop" | "stddev" | "stddev_samp" | "stddev_pop" => {
            match first {
                "int2" | "int4" if function.name == "sum" => Some(Sliding::Remove(remove_from_int8)),
                "int2" | "int4" | "int8" => Some(Sliding::Remove(remove_integer)),
                "numeric" => Some(Sliding::Remove(remove_numeric)),
                "interval" => Some(Sliding::Remove(remove_interval)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn remove_count(state: &mut AggregateState, _: &[Value]) -> Result<bool> {
    let AggregateState::Count(count) = state else { return Err(mixed_up()) };
    *count -= 1;
    Ok(true)
}

fn remove_from_int8(state: &mut AggregateState, args: &[Value]) -> Result<bool> {
    let (AggregateState::Count(sum), Some(value)) = (state, args[0].as_i64()) else { return Err(mixed_up()) };
    *sum -= value;
    Ok(true)
}

fn remove_integer(state: &mut AggregateState, args: &[Value]) -> Result<bool> {
    let (AggregateState::Integers { sum, squares, count }, Some(value)) = (state, args[0].as_i64()) else {
        return Err(mixed_up());
    };
    *sum -= i128::from(value);
    *count -= 1;
    if let Some(squares) = squares {
        *squares -= i128::from(value) * i128::from(value);
    }
    Ok(true)
}

fn remove_numeric(state: &mut AggregateState, args: &[Value]) -> Result<bool> {
    let AggregateState::Numerics { sum, squares, count, of_scale } = state else { return Err(mixed_up()) };
    let value = numeric(args, 0)?;
    let (Some(scale), Some(shown)) = (value.scale(), sum.scale()) else { return Ok(false) };
    if scale == shown && scale > 0 {
        // The sum shows as many digits as its longest number, which this may be.
        if *of_scale == 1 {
            return Ok(false);
        }
        *of_scale -= 1;
    }
    *sum = sum.sub(value)?;
    *count -= 1;
    if let Some(squares) = squares {
        *squares = squares.sub(&value.mul(value)?)?;
    }
    Ok(true)
}

fn remove_interval(state: &mut AggregateState, args: &[Value]) -> Result<bool> {
    let AggregateState::Counted(sum, count) = state else { return Err(mixed_up()) };
    let both = [sum.clone(), args[0].clone()];
    *sum = from_interval(interval(&both, 0)?.subtract(interval(&both, 1)?)?);
    *count -= 1;
    Ok(true)
}
