//! SQL types and values.
//!
//! What every crate of level 2 speaks: [`Value`], the SQL value in transit between storage, the
//! executor and the client; [`TypeId`], a type named by PostgreSQL's own object id; and
//! [`SqlError`], an error with SQLSTATE, position and PostgreSQL's wording.
//!
//! Around a value: [`compare`](mod@compare) orders and hashes it, [`key`] makes index keys of it,
//! [`encoding`] writes it to the log, [`text_io`] and [`binary_io`] are its forms for clients, and
//! [`typmod`] fits it to a column. [`numeric`], [`datetime`] and [`jsonb`] compute.
//! `tests/it/data` holds PostgreSQL 15's answers, against which all of it is checked.

pub mod binary_io;
pub mod compare;
pub mod copy;
pub mod datetime;
pub mod encoding;
mod error;
pub mod jsonb;
pub mod jsonpath;
pub mod key;
pub mod numeric;
mod rows;
pub mod sqlstate;
pub mod text_io;
mod type_id;
pub mod typmod;
mod user_type;
mod value;

pub use compare::{compare, compare_typed, equal, equal_typed, hash, hash_typed};
pub use encoding::DecodeError;
pub use error::{Result, Severity, SqlError};
pub use key::{encode_key, encode_key_typed};
pub use numeric::Numeric;
pub use rows::{OutputColumn, Rows, Tag};
pub use sqlstate::SqlState;
pub use text_io::{IoContext, format_text, parse_text};
pub use type_id::TypeId;
pub use user_type::{EnumLabels, EnumValue, UserKind};
pub use value::{Array, ArrayDimension, Interval, MAX_DIMENSIONS, Row, Value};
