//! The seeded simulator and the kill -9 loop: nothing acknowledged is lost, and no reply is one that a serial execution could
//! not give.
//!
//! ```text
//! seed -> plan -> machine, machine, machine ...   each opens the node from the disk that the last one left
//!                    |  clients: one-shots, blocks; synchronous or not    -> history
//!                    |  a disk that loses, tears, fails and is slow
//!                    `  crash, kill, close                                -> disk
//!         checkers: history + rows before + rows after -> right or wrong
//! ```
//!
//! [`serial`] runs without faults, and checks every answer for strict serializability.
//!
//! `docs/testing.md` says what is checked and how to replay a seed.

pub mod check;
mod client;
pub mod fixture;
pub mod fuzz;
pub mod history;
mod interactive;
pub mod kill;
pub mod lines;
mod machine_run;
mod one_shot;
pub mod plan;
pub mod random;
pub mod run;
pub mod schema;
pub mod serial;
