//! Metrics and health of a node over HTTP: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever starts and
//! stops nodes.
//!
//! ```text
//!   server   the three addresses, and the state of the node between its start and its end
//!   collect  counters of the wire, the log, checkpoints and recovery; tasks and workers by SQL
//!   text     Prometheus's text format
//! ```
//! It listens before the node reads its log, so that a long start can be told from a node that is not there. Nothing that
//! it tells holds a value of a row. docs/metrics.md lists what it tells; a test holds both lists together.

mod collect;
mod few;
mod server;
mod text;

pub use collect::{Checkpoints, Metrics};
pub use few::{CONNECTIONS_MAX, SILENCE_MAX};
pub use server::{BindError, Monitor, State};
