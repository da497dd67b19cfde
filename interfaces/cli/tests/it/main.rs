//! The command as users run it: processes, signals, exit statuses.

#![allow(clippy::unwrap_used)]
// Real processes, outside the simulation.
#![allow(clippy::disallowed_methods)]

mod harness;
mod kills;
mod sql;
mod up;
