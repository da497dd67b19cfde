//! GRAPH.toml: tasks and what they need. docs/graphs.md describes every key.
//!
//! What is wrong is said with the file and the line before anything is submitted: unknown keys, values of another
//! kind or out of bounds, two tasks of one name, a need that no task has, a cycle.

mod cycle;
pub(crate) mod units;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Spanned;

use units::{Size, Time};

/// How the worker calls an input's and an output's name in the task's folder.
pub(crate) const INPUT_NAME: &str = "as";
pub(crate) const OUTPUT_NAME: &str = "from";

/// What the scheduler accepts (`3-services/scheduler/procedures/check_spec.sql`).
const NAME_MAX: i64 = 200;
const PROGRAM_MAX: i64 = 4096;
const CORES_MAX: i64 = 4096;
const ATTEMPTS_MAX: i64 = 1000;
const DAY_MS: i64 = 86_400_000;

/// What workers run: Linux processes, and functions in the database.
pub(crate) const KINDS: [&str; 2] = ["exec", "sql"];

/// A graph as its file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    reply_to: Option<String>,
    #[serde(default)]
    task: Vec<Task>,
}

/// A `[[task]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    name: Spanned<String>,
    program: Spanned<String>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    needs: Vec<Spanned<String>>,
    #[serde(default)]
    inputs: Paths,
    #[serde(default)]
    outputs: Paths,
    memory: Option<Size>,
    cores: Option<Spanned<i64>>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    max_attempts: Option<Spanned<i64>>,
    timeout: Option<Spanned<Time>>,
    backoff: Option<Spanned<Time>>,
    priority: Option<i32>,
    policy: Option<String>,
    kind: Option<Spanned<String>>,
}

/// Paths in Tuplix: a list, or a table from names in the task's folder to them.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "paths: [\"a/b\", ...] or { name = \"a/b\", ... }")]
enum Paths {
    List(Vec<String>),
    Named(BTreeMap<String, String>),
}

impl Default for Paths {
    fn default() -> Paths {
        Paths::List(Vec::new())
    }
}

/// A graph that is ready to be submitted.
#[derive(Debug)]
pub(crate) struct Graph {
    /// For people.
    pub(crate) name: String,
    /// Who gets a message for every task that ends.
    pub(crate) reply_to: Option<String>,
    /// What `os.submit_graph` takes.
    pub(crate) description: Value,
    /// How many tasks it has.
    pub(crate) tasks: usize,
}

impl Graph {
    /// Reads and checks a file. Paths that do not begin with / are below the home of `user`.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub(crate) fn read(path: &Path, user: &str) -> anyhow::Result<Graph> {
        let (text, otherwise) = if path == Path::new("-") {
            let text = std::io::read_to_string(std::io::stdin());
            (text.context("cannot read the graph from standard input")?, "graph".to_owned())
        } else {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read the graph {}", path.display()))?;
            (text, path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()))
        };
        let named = if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
        Graph::parse(&text, &otherwise, user).with_context(|| format!("{named} is no graph that can run"))
    }

    fn parse(text: &str, otherwise: &str, user: &str) -> anyhow::Result<Graph> {
        let file: File =
            toml::from_str(text).map_err(|error| anyhow::anyhow!("{}", error.to_string().trim_end()))?;
        if file.task.is_empty() {
            bail!("it has no tasks\n  A task begins with [[task]] and has a name and a program.");
        }
        check(&file, text)?;
        let name = file.name.unwrap_or_else(|| otherwise.to_owned());
        let tasks: Vec<Value> = file.task.iter().map(|task| describe(task, user)).collect();
        Ok(Graph {
            reply_to: file.reply_to,
            tasks: tasks.len(),
            description: json!({"name": name, "tasks": tasks}),
            name,
        })
    }
}

/// The line, from 1, in which a byte stands.
fn line(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

/// What no task can have, and the byte where it stands: the bounds of `os.check_spec`, and the kinds that workers run.
fn outside(task: &Task) -> Option<(usize, String)> {
    let number =
        |value: &Option<Spanned<i64>>| Some((value.as_ref()?.span().start, *value.as_ref()?.get_ref()));
    let time =
        |value: &Option<Spanned<Time>>| Some((value.as_ref()?.span().start, value.as_ref()?.get_ref().0));
    let length = |value: &Spanned<String>| Some((value.span().start, value.get_ref().chars().count() as i64));
    let bounded = [
        (length(&task.name), 1..=NAME_MAX, "its name must have 1 to 200 characters"),
        (length(&task.program), 1..=PROGRAM_MAX, "its program must have 1 to 4096 characters"),
        (number(&task.cores), 1..=CORES_MAX, "cores must be 1 to 4096"),
        (number(&task.max_attempts), 1..=ATTEMPTS_MAX, "max_attempts must be 1 to 1000"),
        (time(&task.timeout), 1..=i64::MAX, "timeout must be longer than nothing"),
        (time(&task.backoff), 0..=DAY_MS, "backoff must not be longer than a day"),
    ];
    let found = bounded.into_iter().find_map(|(value, bounds, must)| {
        let (byte, value) = value?;
        (!bounds.contains(&value)).then(|| (byte, must.to_owned()))
    });
    found.or_else(|| {
        let kind = task.kind.as_ref().filter(|kind| !KINDS.contains(&kind.get_ref().as_str()))?;
        let said = format!("there is no kind \"{}\"; workers run {}", kind.get_ref(), KINDS.join(", "));
        Some((kind.span().start, said))
    })
}

/// Names and needs.
fn check(file: &File, text: &str) -> anyhow::Result<()> {
    let mut numbers = BTreeMap::new();
    for (number, task) in file.task.iter().enumerate() {
        let name = task.name.get_ref().as_str();
        let at = line(text, task.name.span().start);
        if name.is_empty() {
            bail!("line {at}: a task has an empty name");
        }
        if let Some(first) = numbers.insert(name, number) {
            let first = line(text, file.task[first].name.span().start);
            bail!("line {at}: two tasks are named \"{name}\"\n  The first is in line {first}.");
        }
        if task.program.get_ref().is_empty() {
            bail!("line {at}: task \"{name}\" has an empty program");
        }
        if let Some((byte, wrong)) = outside(task) {
            bail!("line {}: task \"{name}\": {wrong}", line(text, byte));
        }
    }
    let mut needs = Vec::new();
    for task in &file.task {
        let mut of_task = Vec::new();
        for need in &task.needs {
            let Some(number) = numbers.get(need.get_ref().as_str()) else {
                let at = line(text, need.span().start);
                bail!(
                    "line {at}: task \"{}\" needs \"{}\", and no task has this name",
                    task.name.get_ref(),
                    need.get_ref()
                );
            };
            of_task.push(*number);
        }
        needs.push(of_task);
    }
    if let Some(cycle) = cycle::find(&needs) {
        let names: Vec<&str> =
            cycle.iter().map(|number| file.task[*number].name.get_ref().as_str()).collect();
        let first = &file.task[cycle[0]].name;
        bail!(
            "line {}: these tasks need each other in a cycle: {} -> {}\n  (a -> b: a needs b) None of them could ever begin.",
            line(text, first.span().start),
            names.join(" -> "),
            first.get_ref()
        );
    }
    Ok(())
}

/// The task as `os.submit_graph` takes it; keys that were left out keep the service's defaults.
fn describe(task: &Task, user: &str) -> Value {
    let mut described = json!({
        "name": task.name.get_ref(),
        "program": task.program.get_ref(),
        "arguments": task.arguments,
        "after": task.needs.iter().map(|need| need.get_ref().as_str()).collect::<Vec<_>>(),
        "inputs": paths(&task.inputs, INPUT_NAME, user),
        "outputs": paths(&task.outputs, OUTPUT_NAME, user),
        "environment": task.environment,
    });
    let optional = [
        ("memory", task.memory.map(|size| json!(size.0))),
        ("cores", task.cores.as_ref().map(|cores| json!(cores.get_ref()))),
        ("max_attempts", task.max_attempts.as_ref().map(|attempts| json!(attempts.get_ref()))),
        ("timeout_ms", task.timeout.as_ref().map(|time| json!(time.get_ref().0))),
        ("backoff_ms", task.backoff.as_ref().map(|time| json!(time.get_ref().0))),
        ("priority", task.priority.map(|priority| json!(priority))),
        ("policy", task.policy.as_ref().map(|policy| json!(policy))),
        ("kind", task.kind.as_ref().map(|kind| json!(kind.get_ref()))),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            described[key] = value;
        }
    }
    described
}

/// Each path with the name under which the task sees it.
fn paths(paths: &Paths, name_key: &str, user: &str) -> Value {
    let entry = |name: &str, path: &str| {
        let path = crate::commands::absolute(user, path);
        json!({"path": path, name_key: name})
    };
    match paths {
        Paths::List(list) => list.iter().map(|path| entry(crate::commands::base_name(path), path)).collect(),
        Paths::Named(named) => named.iter().map(|(name, path)| entry(name, path)).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wrong(text: &str) -> String {
        format!("{:#}", Graph::parse(text, "graph", "ada").unwrap_err())
    }

    const TWO: &str =
        "[[task]]\nname = \"a\"\nprogram = \"/bin/a\"\n[[task]]\nname = \"b\"\nprogram = \"/bin/b\"\n";

    #[test]
    fn a_graph_becomes_what_the_service_takes() {
        let text = format!(
            "{TWO}needs = [\"a\"]\ninputs = [\"in.txt\"]\noutputs = {{ out = \"/tmp/out.txt\" }}\nmemory = \"64MB\"\ntimeout = \"2min\"\n"
        );
        let graph = Graph::parse(&text, "graph", "ada").unwrap();
        assert_eq!((graph.name.as_str(), graph.tasks), ("graph", 2));
        let b = &graph.description["tasks"][1];
        assert_eq!(b["after"], json!(["a"]));
        assert_eq!(b["inputs"], json!([{"as": "in.txt", "path": "/home/ada/in.txt"}]));
        assert_eq!(b["outputs"], json!([{"from": "out", "path": "/tmp/out.txt"}]));
        assert_eq!((b["memory"].as_i64(), b["timeout_ms"].as_i64()), (Some(64_000_000), Some(120_000)));
        assert!(b.get("cores").is_none());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (more, expected) in [
            ("colour = \"red\"", "unknown field `colour`"),
            ("memory = \"much\"", "much"),
            ("cores = -1", "line 7: task \"b\": cores must be 1 to 4096"),
            ("cores = 0", "line 7: task \"b\": cores"),
            ("\ncores = 5000", "line 8: task \"b\": cores"),
            ("max_attempts = 0", "line 7: task \"b\": max_attempts must be 1 to 1000"),
            ("max_attempts = 1001", "line 7: task \"b\": max_attempts"),
            ("backoff = \"2d\"", "line 7: task \"b\": backoff must not be longer than a day"),
            ("timeout = 0", "line 7: task \"b\": timeout must be longer than nothing"),
            ("kind = \"wasm\"", "line 7: task \"b\": there is no kind \"wasm\""),
            ("needs = [\"c\"]", "line 7: task \"b\" needs \"c\""),
            ("needs = [\"b\"]", "b -> b"),
            ("[[task]]\nname = \"a\"\nprogram = \"x\"", "line 8: two tasks are named \"a\""),
        ] {
            let said = wrong(&format!("{TWO}{more}\n"));
            assert!(said.contains(expected), "{more}: {said}");
        }
        let said = wrong(&format!("{}needs = [\"a\"]\n", TWO.replacen("\n[[", "\nneeds = [\"b\"]\n[[", 1)));
        assert!(said.contains("line 2: these tasks need each other in a cycle: a -> b -> a"), "{said}");
        assert!(wrong("").contains("no tasks"));
    }
}
