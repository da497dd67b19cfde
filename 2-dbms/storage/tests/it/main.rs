//! A fragment against a model of it: random writes, undo, snapshots, lookups, ranges and scans.
#![allow(clippy::unwrap_used)]

mod model;
mod shapes;
