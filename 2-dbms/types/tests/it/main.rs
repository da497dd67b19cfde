//! Checks against answers of PostgreSQL 15, kept in `data/`.

#![allow(clippy::unwrap_used)]

mod text_io;
mod types;
