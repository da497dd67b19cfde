//! `tuplix recv`: takes messages.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tuplix::Value;
use tuplix_machine::Machine;
use tuplix_services::ReceiverId;
use tuplix_services::ipc::{Ipc, Message};

use crate::client::{Answer, Column};
use crate::graph::units;
use crate::node::{Node, Target, explain};
use crate::render::{Format, show, type_id};

const SENDER: &str = include_str!("sender.sql");

/// The object id of `text`.
const TEXT: u32 = 25;

/// Arguments of `recv`.
#[derive(Args)]
#[command(after_help = "\
A message is consumed when it was printed; after an interruption it comes again. The sender is a user, a task's number, or the
number that another name has.

Examples:
  tuplix recv                        the user's next message; exit status 1 when there is none
  tuplix recv --all ada
  tuplix recv --wait 30s 1067        waits up to 30 s for a message to task 1067
  tuplix recv --raw ada > report.txt")]
pub(crate) struct Recv {
    /// Whose messages: a name or a number; the user's if left out.
    #[arg(value_name = "RECEIVER", value_parser = NonEmptyStringValueParser::new())]
    receiver: Option<String>,
    /// Only from this sender.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    from: Option<String>,
    /// All that wait.
    #[arg(long)]
    all: bool,
    /// Wait so long for a message, as 30s.
    #[arg(long, value_name = "TIME", value_parser = units::time)]
    wait: Option<i64>,
    /// Print the bytes of the messages and nothing else.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(recv: &Recv) -> anyhow::Result<ExitCode> {
    let mut node = recv.target.connect()?;
    let ipc = Ipc::new(&mut node.session).map_err(explain)?;
    let receiver = ReceiverId::of_name(recv.receiver.as_deref().unwrap_or(&node.user));
    node.session.execute(&format!("LISTEN os_mailbox_{receiver}")).map_err(explain)?;
    let mut found = take(recv, &mut node, &ipc, receiver)?;
    if let Some(wait) = recv.wait {
        let machine = Machine::linux();
        let deadline = machine.monotonic_ns().saturating_add(wait.unsigned_abs().saturating_mul(1_000_000));
        // What comes may be from another sender than the one asked for, or go to another receiver.
        while !found {
            let left = deadline.saturating_sub(machine.monotonic_ns());
            if left == 0 {
                break;
            }
            node.session.wait_notifications(Duration::from_nanos(left)).map_err(explain)?;
            found = take(recv, &mut node, &ipc, receiver)?;
        }
    }
    if !found {
        eprintln!("tuplix: no message waits for {}", recv.receiver.as_deref().unwrap_or(&node.user));
    }
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what waits, then consumes it; whether there was any.
fn take(recv: &Recv, node: &mut Node, ipc: &Ipc, receiver: ReceiverId) -> anyhow::Result<bool> {
    let count = if recv.all { i32::MAX } else { 1 };
    let only_from = recv.from.as_deref().map(ReceiverId::of_name);
    node.session.execute("BEGIN").map_err(explain)?;
    let messages = ipc.receive(&mut node.session, receiver, count, only_from).map_err(explain)?;
    if !messages.is_empty() {
        let senders = senders(node, &messages)?;
        print(recv, &messages, &senders)?;
    }
    node.session.execute("COMMIT").map_err(explain)?;
    Ok(!messages.is_empty())
}

/// What the senders are called.
fn senders(node: &mut Node, messages: &[Message]) -> anyhow::Result<BTreeMap<i64, String>> {
    let mut names = BTreeMap::new();
    for sender in messages.iter().map(|message| message.sender.0) {
        if let Entry::Vacant(place) = names.entry(sender) {
            let rows = node.session.query(SENDER, &[Value::Int8(sender)]).map_err(explain)?;
            let name = rows.get(0, 0).and_then(Value::as_str).unwrap_or_default();
            place.insert(name.to_owned());
        }
    }
    Ok(names)
}

fn print(recv: &Recv, messages: &[Message], senders: &BTreeMap<i64, String>) -> anyhow::Result<()> {
    if recv.raw {
        let mut out = std::io::stdout().lock();
        for message in messages {
            out.write_all(&message.data)?;
        }
        return Ok(out.flush()?);
    }
    let column = |name: &str, type_id| Column { name: name.to_owned(), type_id };
    let columns = vec![column("message", type_id::NUMBERS[0]), column("sender", TEXT), column("text", TEXT)];
    show(&recv.format, "", |each| {
        each(Answer::Columns(columns))?;
        for message in messages {
            let text = String::from_utf8_lossy(&message.data).into_owned();
            each(Answer::Row(vec![
                Some(message.number.to_string()),
                senders.get(&message.sender.0).cloned(),
                Some(text),
            ]))?;
        }
        Ok(each(Answer::Complete(format!("SELECT {}", messages.len())))?)
    })?;
    Ok(())
}
