//! A worker on a node in this process, with real programs.

#![allow(clippy::unwrap_used, missing_docs)]

mod endings;
mod files;
mod harness;
mod isolation;
mod limits;
mod memory;
mod postgres;
mod sql;
mod worker;
