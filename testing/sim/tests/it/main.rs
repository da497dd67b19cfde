//! The seeds and the real processes that CI runs.

#![allow(clippy::unwrap_used)]

mod backup_sweep;
mod backups;
mod check_finds;
mod checkpoint_damage;
mod checkpoint_sweep;
mod damage;
mod ddl_waits;
mod fixtures;
mod fuzz;
mod histories;
mod many_segments;
mod migrations;
mod real_process;
mod removed_meanwhile;
mod seeds;
