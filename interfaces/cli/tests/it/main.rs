//! The command as users run it: processes, signals, exit statuses.

#![allow(clippy::unwrap_used)]
// Real processes, outside the simulation.
#![allow(clippy::disallowed_methods)]

mod backups;
mod disk;
mod documents;
mod files;
mod full_disk;
mod harness;
mod kills;
mod messages;
mod runs;
mod sql;
mod tasks;
mod up;
mod wordcount;
mod worker;
