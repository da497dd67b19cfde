//! The command as users run it: processes, signals, exit statuses.

#![allow(clippy::unwrap_used)]
// Real processes, outside the simulation.
#![allow(clippy::disallowed_methods)]

mod backups;
mod connecting;
mod disk;
mod documents;
mod door;
mod faults;
mod files;
mod full_disk;
mod harness;
mod idle;
mod kills;
mod messages;
mod metrics;
mod runs;
mod shell;
mod sql;
mod steering;
mod tasks;
mod terminal;
mod together;
mod up;
mod wordcount;
mod worker;
mod workers;
