//! The generator: random schemas, statements and procedures on the engine and on PostgreSQL.
//!
//! A seed is a [`program::Program`]: tables with rows, then statements of every kind. Each statement runs on the engine in
//! process and on PostgreSQL; values as text, column types, row counts and SQLSTATEs are compared. A difference is shrunk
//! and printed as a file for `testing/slt`. What the engine refuses with 0A000 is counted, not a difference.
//!
//! ```text
//!   values, schema, catalogue ─► expression ─► query, change, procedure ─► program
//!                                                                            │ trees that know what may go
//!   engines: both, side by side ◄── compare ◄── run ──► shrink ──► report ◄──┘
//! ```

pub mod catalogue;
mod change;
pub mod compare;
pub mod engines;
pub mod expression;
mod procedure;
pub mod program;
mod query;
pub mod report;
pub mod run;
pub mod schema;
pub mod shrink;
pub mod tree;
pub mod values;
