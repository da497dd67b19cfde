//! `tuplix send`: a message to a name, a task or a graph.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tuplix_services::ReceiverId;
use tuplix_services::ipc::Ipc;

use crate::node::{Target, explain};

/// Arguments of `send`.
#[derive(Args)]
#[command(after_help = "\
A receiver is any name, or the number of a task or graph. It need not be there; what waits is kept in order.
In a task the sender is the task itself.

Examples:
  tuplix send ada 'the report is ready'
  tuplix send --from bob --key report-7 ada - < report.txt   sent twice under one key, it is there once")]
pub(crate) struct Send {
    /// Who gets it.
    #[arg(value_name = "RECEIVER", value_parser = NonEmptyStringValueParser::new())]
    receiver: String,
    /// What it says, - for standard input.
    #[arg(value_name = "TEXT")]
    text: String,
    /// Who sends it: a name or a number. The task that runs the command, or else its user.
    #[arg(long, value_name = "NAME", env = "TUPLIX_TASK_ID", value_parser = NonEmptyStringValueParser::new())]
    from: Option<String>,
    /// A second message of one sender under the same key is the first one.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(send: &Send) -> anyhow::Result<ExitCode> {
    let mut node = send.target.connect()?;
    let mut data = Vec::new();
    match send.text.as_str() {
        "-" => drop(std::io::stdin().read_to_end(&mut data).context("cannot read standard input")?),
        text => data.extend_from_slice(text.as_bytes()),
    }
    let sender = ReceiverId::of_name(send.from.as_deref().unwrap_or(&node.user));
    let receiver = ReceiverId::of_name(&send.receiver);
    let ipc = Ipc::new(&mut node.session).map_err(explain)?;
    let number =
        ipc.send(&mut node.session, sender, receiver, &data, send.key.as_deref()).map_err(explain)?;
    writeln!(std::io::stdout(), "message {number} of {}", send.receiver)?;
    Ok(ExitCode::SUCCESS)
}
