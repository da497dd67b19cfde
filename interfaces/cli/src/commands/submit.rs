//! `tuplix submit`: one task.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use serde_json::json;
use tuplix_services::ReceiverId;
use tuplix_services::scheduler::{Scheduler, TaskSpec};

use super::files::{absolute, base_name};
use super::offer::resource;
use super::parked::Parked;
use super::said::Said;
use crate::graph::{INPUT_NAME, KINDS, OUTPUT_NAME, units};
use crate::node::{Target, explain};

/// Arguments of `submit`.
#[derive(Args)]
#[command(after_help = "\
Prints the task's number. Inputs and outputs are paths in Tuplix; the task finds and leaves them in its working
directory under their last names.

Examples:
  tuplix submit /bin/echo hello
  tuplix submit --input notes.txt --output count.txt -- /bin/sh -c 'wc -w < notes.txt > count.txt'
  tuplix submit --memory 256MB --timeout 30s --max-attempts 3 /usr/bin/make
  tuplix submit --kind sql -- app.close_month 2026 11     a function in the database, exactly once
  tuplix submit --delay 1h --json /usr/bin/backup")]
pub(crate) struct Submit {
    /// The program.
    #[arg(value_name = "PROGRAM")]
    program: String,
    /// Its arguments.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// What runs it: exec, a Linux process; sql, a function or procedure in the database, by its name.
    #[arg(long, value_name = "KIND", default_value = KINDS[0], value_parser = PossibleValuesParser::new(KINDS))]
    kind: String,
    /// Not before so long from now.
    #[arg(long, value_name = "TIME", value_parser = units::time, default_value = "0s")]
    delay: i64,
    /// A name for people; the program's if left out.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A file that it reads.
    #[arg(long = "input", value_name = "PATH")]
    inputs: Vec<String>,
    /// A file that it writes.
    #[arg(long = "output", value_name = "PATH")]
    outputs: Vec<String>,
    /// A variable of its environment.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// Memory that it takes.
    #[arg(long, value_name = "SIZE", value_parser = units::size, default_value = "0")]
    memory: i64,
    /// Cores that it takes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    cores: i32,
    /// Failures after which it fails for good.
    #[arg(long, value_name = "N", default_value_t = 1)]
    max_attempts: i32,
    /// How long an attempt may take.
    #[arg(long, value_name = "TIME", value_parser = units::time)]
    timeout: Option<i64>,
    /// Higher ones run first.
    #[arg(long, value_name = "N", default_value_t = 0, allow_hyphen_values = true)]
    priority: i32,
    /// A named resource that it takes, as gpu=1; as often as needed.
    #[arg(long = "resource", value_name = "NAME=N", value_parser = resource)]
    resources: Vec<(String, i64)>,
    /// A queue with limits, in which it waits.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// The same key with the same arguments is the same task: its number is printed again.
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// It begins only after tuplix resume.
    #[arg(long)]
    paused: bool,
    /// Who gets a message when it ends; stands in the user's home bucket.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    reply_to: Option<String>,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(submit: &Submit) -> anyhow::Result<ExitCode> {
    let mut node = submit.target.connect()?;
    let home = node.home()?;
    let name = submit.name.as_deref().unwrap_or_else(|| base_name(&submit.program));
    let mut spec = TaskSpec::new(&node.user, name, &submit.program);
    spec.arguments.clone_from(&submit.arguments);
    for variable in &submit.environment {
        let (name, value) = variable
            .split_once('=')
            .with_context(|| format!("--env {variable} has no value\n  It looks like --env NAME=VALUE."))?;
        spec.environment.insert(name.to_owned(), value.to_owned());
    }
    let paths = |paths: &[String], name_key: &str| -> serde_json::Value {
        let entry = |path: &String| json!({"path": absolute(&node.user, path), name_key: base_name(path)});
        paths.iter().map(entry).collect()
    };
    (spec.inputs, spec.outputs) = (paths(&submit.inputs, INPUT_NAME), paths(&submit.outputs, OUTPUT_NAME));
    (spec.memory, spec.cores, spec.priority) = (submit.memory, submit.cores, submit.priority);
    spec.max_attempts = submit.max_attempts;
    spec.options.resources = submit.resources.iter().cloned().collect();
    spec.options.queue.clone_from(&submit.queue);
    spec.options.key.clone_from(&submit.key);
    spec.options.paused = submit.paused;
    spec.kind.clone_from(&submit.kind);
    spec.delay_ms = i32::try_from(submit.delay)?;
    spec.timeout_ms = submit.timeout.map(i32::try_from).transpose()?;
    spec.reply_to = submit.reply_to.as_deref().map(ReceiverId::of_name);
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    let task = scheduler.submit_task(&mut node.session, home, &spec).map_err(explain)?;
    submit.said.print(task, &json!({"task": task.0}))?;
    for line in Parked::default().look(&mut node, task, task).map_err(explain)? {
        eprintln!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}
