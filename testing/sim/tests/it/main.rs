//! The seeds and the real processes that CI runs.

#![allow(clippy::unwrap_used)]

mod damage;
mod ddl_waits;
mod histories;
mod migrations;
mod real_process;
mod seeds;
