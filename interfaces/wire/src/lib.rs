//! The PostgreSQL wire protocol over a Tuplix node, so that psql and every driver are its clients.
//!
//! ```text
//!   server     listens on TCP and a local socket, accepts, drains at shutdown
//!   startup    the first packet: session, encryption, cancel request; settings; greeting
//!   authentication  who may come in, by host rules: peer, SCRAM-SHA-256      guesses  a bound on wrong passwords
//!   tls        certificate and key for encryption by rustls
//!   connection one client's bytes in and out, around the session's blocking work
//!   protocol   simple and extended protocol, implicit transactions, error until Sync
//!   frontend   checked decoding of what clients send      backend  what is answered (pgwire's messages)
//!   output     answers wait for their commits             values   text and binary formats
//!   statistics what was done, in numbers
//! ```
//! pgwire's message types are used with a loop of our own: its handlers know no implicit transaction
//! blocks, answer row by row, and cannot hold an answer back until its commit is on disk while the next
//! request of the pipeline runs.

mod authentication;
mod backend;
mod connection;
mod frontend;
mod guesses;
pub mod limits;
mod output;
mod protocol;
mod running;
mod server;
mod startup;
mod statistics;
mod tls;
mod values;

pub use server::{BindError, Server, ServerOptions};
pub use statistics::{Counts, Statistics};
pub use tls::{Tls, TlsError, TlsFiles};

/// A statement that lets every role in from this machine without a password: for tests and benchmarks.
pub const TRUST_LOOPBACK: &str = "SELECT set_host_rule(1, 'host', 'all', 'all', '127.0.0.1/32', 'trust')";

/// Where a node listens unless told otherwise: PostgreSQL's port and one.
pub const DEFAULT_PORT: u16 = 5433;
