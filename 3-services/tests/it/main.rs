//! Every procedure, on the embedded engine and on PostgreSQL.
#![allow(clippy::unwrap_used)]

mod engines;
mod installing;
mod tasks;
