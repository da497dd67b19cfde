//! SQL types and values.
//!
//! What every crate of level 2 speaks: [`Value`], the SQL value in transit between storage, the
//! executor and the client; [`TypeId`], a type named by PostgreSQL's own object id; and
//! [`SqlError`], an error with SQLSTATE, position and PostgreSQL's wording.

mod error;
pub mod jsonb;
pub mod numeric;
pub mod sqlstate;
mod type_id;
mod value;

pub use error::{Result, Severity, SqlError};
pub use sqlstate::SqlState;
pub use type_id::TypeId;
pub use value::{Array, ArrayDimension, Interval, Row, Value};
