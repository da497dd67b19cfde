//! A worker on a node in this process, with real programs.

mod endings;
mod files;
mod harness;
mod isolation;
mod memory;
mod worker;
