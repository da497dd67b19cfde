//! PostgreSQL (alone or with Citus) as the second engine, behind the same contract as the embedded one.
//!
//! A [`Session`] is one connection, a [`Prepared`] one of its prepared statements. Values travel in binary wherever
//! their type has a binary form here, as text otherwise, so that a caller sees the same [`Value`](tuplix_types::Value)s
//! as from the embedded engine.
//!
//! ```text
//!   address     where, as whom, whether encrypted            stream, tls  a socket's bytes, rustls over them
//!   server      how sessions are made, Citus's functions on a plain PostgreSQL
//!   session     prepare, call, execute: the contract          prepared   a statement's types and columns
//!   connection  one socket: messages in and out, notices      startup    greeting and authentication
//!   values      arguments and columns on the wire             errors, tags   what the server says
//! ```
//! Calls block the caller's thread: no task, no channel between caller and socket. That is why this is a loop over the
//! messages of `postgres-protocol` and not `tokio-postgres`, of which only the address parser is used: that client
//! tells neither command tags nor the column types of the simple protocol, and the contract promises both.

mod address;
mod connection;
mod errors;
mod prepared;
mod server;
mod session;
mod startup;
mod stream;
mod tags;
mod tls;
mod values;

pub use address::Address;
pub use connection::Notification;
pub use prepared::Prepared;
pub use server::{RawSession, Server};
pub use session::{Session, TextRows};
pub use stream::Stream;
pub use tls::SslMode;
