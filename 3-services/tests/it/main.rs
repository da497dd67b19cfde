//! Every procedure, on the embedded engine and on PostgreSQL.
#![allow(clippy::unwrap_used)]

mod engines;
mod files;
mod gangs;
mod graphs;
mod history;
mod insight;
mod installing;
mod messages;
mod policies;
mod queues;
mod steering;
mod tasks;
mod together;
mod upgrades;
mod workers;
