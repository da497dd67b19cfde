//! Dates and times: arithmetic, comparison between the types, fields, construction, conversion.

mod arithmetic;
mod compare;
mod fields;
mod from_char;
mod make;
mod series;
mod to_char;

pub(crate) use series::SETS;

use tuplix_types::datetime::TimeZone;

use super::Scalars;
use crate::CallContext;

/// The topic's tables.
pub(crate) const FUNCTIONS: [Scalars; 6] = [
    arithmetic::FUNCTIONS,
    compare::FUNCTIONS.as_flattened(),
    fields::FUNCTIONS,
    from_char::FUNCTIONS,
    make::FUNCTIONS,
    to_char::FUNCTIONS,
];

/// The session's time zone.
fn zone(context: &CallContext<'_>) -> TimeZone {
    context.moment.io().zone
}
