//! Every procedure, on the embedded engine and on PostgreSQL.
#![allow(clippy::unwrap_used)]

mod engines;
mod files;
mod graphs;
mod history;
mod installing;
mod messages;
mod tasks;
mod together;
mod workers;
