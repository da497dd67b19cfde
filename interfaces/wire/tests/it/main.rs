//! The server through public doors: tokio-postgres as a driver, and raw messages where a driver is too polite.

#![allow(clippy::unwrap_used)]

mod copy;
mod door;
mod dump;
mod harness;
mod malformed;
mod messages;
mod psql;
mod sessions;
mod sharing;
mod sleep;
mod statements;
mod statistics;
mod tools;
