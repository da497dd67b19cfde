//! What several tests share.
//!
//! [`arrows`] checks the architecture that the folder tree shows; [`postgres`] runs a PostgreSQL cluster of
//! a test's own.

pub mod arrows;
pub mod postgres;

pub use postgres::{PostgresCluster, PostgresOptions};
