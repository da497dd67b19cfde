//! `tuplix worker`: a worker of a node that runs elsewhere, and what is to be done about workers.

mod drain;
mod list;
mod place;
mod token;
mod work;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Arguments of `worker`.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
A worker runs tasks of a node elsewhere, or of a PostgreSQL server that has the services. It comes in as a role, by the token
that the node's superuser made for it:

  tuplix worker token builder > token          on the node: the role, its rights, and NAME:PASSWORD
  tuplix worker --connect postgres://node.example:5433/tuplix --token-file token

As many as wanted on one machine, each with a directory of its own (--dir), which also has its number. When the node is away,
what runs goes on for as long as the leases hold; a worker that was killed finds what it ran when it starts again in time.

SIGTERM or Ctrl-C drains it: what runs may end within --drain, the rest goes back to the queue. A second one ends it at once.

Examples:
  tuplix worker --connect postgres://node.example:5433/tuplix --token-file token --cores 4 --dir /srv/worker-1
  tuplix worker --connect 'host=/srv/tuplix port=5433' --dir /srv/worker-2     by the node's socket
  tuplix worker list
  tuplix worker drain 81237"
)]
pub(crate) struct Worker {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    work: work::Work,
}

/// What to do about workers.
#[derive(Subcommand)]
enum Command {
    /// List workers.
    List(list::List),
    /// Have a worker take no more tasks; it ends when what it runs has ended.
    Drain(drain::Drain),
    /// Make a role for workers, with a new password, and print its token.
    Token(token::Token),
}

pub(super) fn run(worker: &Worker) -> anyhow::Result<ExitCode> {
    match &worker.command {
        Some(Command::List(list)) => list::run(list),
        Some(Command::Drain(drain)) => drain::run(drain),
        Some(Command::Token(token)) => token::run(token),
        None => work::run(&worker.work),
    }
}
