//! `tuplix worker token`

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tuplix::{Machine, Value};

use crate::node::{Target, explain};

/// What a worker needs; `{role}` is its role.
const RIGHTS: &str = include_str!("rights.sql");

/// Bytes of a password.
const PASSWORD_BYTES: usize = 24;

/// Arguments of `worker token`.
#[derive(Args)]
#[command(after_help = "\
Said again it makes another password, with which workers come in from then on; those that are connected stay. A worker runs the
programs of all users of its node, and functions (kind sql) of those users whose roles it is a member of. From other machines
its role needs a host rule, docs/security.md:

  tuplix sql \"SELECT set_host_rule(400, 'host', 'all', 'builder', '10.0.0.0/8', 'scram-sha-256')\"

Examples:
  tuplix worker token builder > token
  tuplix worker token builder --runs-as ada --runs-as bob > token")]
pub(crate) struct Token {
    /// The role, which is made where it is missing.
    #[arg(value_name = "ROLE", value_parser = NonEmptyStringValueParser::new())]
    role: String,
    /// A role whose functions its workers may run; as often as needed.
    #[arg(long, value_name = "ROLE", value_parser = NonEmptyStringValueParser::new())]
    runs_as: Vec<String>,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(token: &Token) -> anyhow::Result<ExitCode> {
    let mut node = token.target.connect()?;
    let mut random = [0; PASSWORD_BYTES];
    Machine::linux().random_bytes(&mut random);
    let mut password = String::new();
    for byte in random {
        write!(password, "{byte:02x}")?;
    }
    let session = &mut node.session;
    let known =
        session.query("SELECT 1 FROM pg_roles WHERE rolname = $1", &[Value::text(token.role.as_str())]);
    let verb = if known.map_err(explain)?.is_empty() { "CREATE" } else { "ALTER" };
    let role = quoted(&token.role);
    let mut text = format!("BEGIN; {verb} ROLE {role} LOGIN PASSWORD '{password}';\n");
    text.push_str(&RIGHTS.replace("{role}", &role));
    for owner in &token.runs_as {
        writeln!(text, "GRANT {} TO {role};", quoted(owner))?;
    }
    text.push_str("COMMIT");
    session.execute(&text).map_err(explain)?;
    writeln!(std::io::stdout(), "{}:{password}", token.role)?;
    Ok(ExitCode::SUCCESS)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
