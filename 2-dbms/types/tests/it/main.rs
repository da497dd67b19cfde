//! Checks against answers of PostgreSQL 15, kept in `data/`.

#![allow(clippy::unwrap_used)]

mod binary_io;
mod datetime;
mod formats;
mod numeric;
mod round_trips;
mod text_io;
mod types;
