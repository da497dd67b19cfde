//! What a command that does one thing says of it: a line for people, an object for programs.

use std::io::Write as _;

use clap::Args;
use serde_json::Value;

/// How it is said.
#[derive(Args)]
pub(super) struct Said {
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

impl Said {
    /// Prints a line for people, or an object for programs.
    ///
    /// # Errors
    /// Nobody reads it.
    pub(super) fn print(&self, line: impl std::fmt::Display, object: &Value) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json { writeln!(out, "{object}") } else { writeln!(out, "{line}") }
    }
}
