//! The seeds and the real processes that CI runs.

#![allow(clippy::unwrap_used)]

mod damage;
mod migrations;
mod real_process;
mod seeds;
