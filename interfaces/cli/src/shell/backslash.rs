//! The backslash commands.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::input::{Input, Script};
use super::scan::Scanner;
use super::{Flow, Shell, copy, describe};
use crate::render::{Expanded, Layout};

/// Name, arguments and meaning of each, as `\?` lists them.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    ("?", "", "this list"),
    ("q", "", "leave; Ctrl-D too"),
    ("d", "[NAME]", "list tables, views and sequences, or describe one; d+ shows a view's text"),
    ("dt", "[PATTERN]", "list tables; os.* are those of the schema os"),
    ("dv", "[PATTERN]", "list views"),
    ("di", "[PATTERN]", "list indexes"),
    ("ds", "[PATTERN]", "list sequences"),
    ("df", "[PATTERN]", "list functions and procedures"),
    ("dT", "[PATTERN]", "list types"),
    ("dn", "[PATTERN]", "list schemas"),
    ("du", "[PATTERN]", "list roles"),
    ("l", "", "list databases"),
    ("g", "[FILE]", "run the statement, its answer into a file"),
    ("gx", "[FILE]", "run the statement, a line a value"),
    ("watch", "[SECONDS]", "run the statement again and again, until Ctrl-C"),
    ("p", "", "print the statement so far"),
    ("r", "", "forget the statement so far"),
    ("e", "", "edit the statement with EDITOR"),
    ("x", "[on|off|auto]", "a line a value"),
    ("timing", "[on|off]", "say how long statements take"),
    ("pset", "NAME VALUE", "null TEXT, format aligned|csv|json, expanded on|off|auto"),
    ("i", "FILE", "run a file"),
    ("ir", "FILE", "run a file, named from the folder of the one that runs"),
    ("o", "[FILE]", "answers go to a file; without one, here again"),
    ("copy", "TABLE from|to FILE", "copy rows from or to a file of this machine"),
    ("echo", "[TEXT]", "print a text"),
    ("conninfo", "", "say which node this is"),
    ("restrict", "KEY", "take no command but unrestrict from here on, as dumps begin"),
    ("unrestrict", "KEY", "take all commands again"),
    ("!", "[COMMAND]", "run a command of the system's shell"),
];

/// Runs what stands behind a backslash.
///
/// # Errors
/// What was wrong with it; nothing has happened then.
pub(super) fn run(
    shell: &mut Shell,
    text: &str,
    scanner: &mut Scanner,
    input: &mut dyn Input,
) -> anyhow::Result<Flow> {
    let (name, argument) = split(text);
    if shell.restricted.is_some() && name != "unrestrict" {
        bail!("backslash commands are restricted; only \\unrestrict is allowed");
    }
    match name {
        "restrict" => {
            ensure!(!argument.is_empty(), "\\restrict needs a key");
            shell.restricted = Some(unquoted(argument));
        }
        "unrestrict" => {
            let key = shell.restricted.take();
            if key.as_deref() != Some(&*unquoted(argument)) {
                shell.restricted = key;
                bail!("\\unrestrict: wrong key, or not in restricted mode");
            }
        }
        "q" | "quit" => return Ok(Flow::Quit),
        "?" | "help" => help(shell)?,
        "g" | "gx" => return go(shell, scanner, argument, name == "gx"),
        "watch" => return watch(shell, scanner, argument),
        "p" => {
            let text = statement(shell, scanner);
            shell.say(&text)?;
        }
        "r" => scanner.clear(),
        "e" => return edit(shell, scanner, input),
        "x" => shell.style.expanded = expanded(argument, shell.style.expanded)?,
        "timing" => {
            shell.timing = switch(argument, shell.timing)?;
            shell.say(if shell.timing { "Timing is on." } else { "Timing is off." })?;
        }
        "pset" => pset(shell, argument)?,
        "i" | "include" => return include(shell, Path::new(&unquoted(argument))),
        "ir" => {
            let beside = shell.file.as_deref().and_then(Path::parent).map(PathBuf::from).unwrap_or_default();
            return include(shell, &beside.join(unquoted(argument)));
        }
        "o" => shell.redirect(&unquoted(argument))?,
        "copy" => return copy::run(shell, argument, scanner, input),
        "echo" => {
            let text = unquoted(argument);
            shell.say(&text)?;
        }
        "conninfo" => {
            let said = shell.connection()?;
            shell.say(&said)?;
        }
        "!" => system(argument)?,
        // Ends what psql would expand; here it is nothing.
        "\\" | "" => {}
        _ => match describe::run(shell, name, &argument.replace(';', "")) {
            Some(done) => done?,
            None => bail!("\\{name} is no command; \\? lists them"),
        },
    }
    Ok(Flow::Go)
}

/// A command's name and the rest of its line. `\!ls` needs no space.
fn split(text: &str) -> (&str, &str) {
    let end = match text.chars().next() {
        Some(first @ ('!' | '?' | '\\')) => first.len_utf8(),
        _ => text.find(char::is_whitespace).unwrap_or(text.len()),
    };
    let name = text[..end].trim_end_matches(';');
    (name, text[end..].trim())
}

/// An argument without the quotes around it.
fn unquoted(text: &str) -> String {
    match text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        Some(inside) => inside.replace("''", "'"),
        None => text.to_owned(),
    }
}

fn help(shell: &mut Shell) -> anyhow::Result<()> {
    let mut text = String::new();
    for (name, arguments, meaning) in COMMANDS {
        text.push_str(&format!("  {:<26}{meaning}\n", format!("\\{name} {arguments}")));
    }
    text.push_str(
        "\nStatements end with a semicolon. Tab completes, Ctrl-R searches the history, Ctrl-C cancels.",
    );
    shell.say(&text)
}

/// The statement so far, or else the last one.
fn statement(shell: &Shell, scanner: &Scanner) -> String {
    match scanner.pending() {
        "" => shell.last.clone(),
        pending => pending.to_owned(),
    }
}

fn go(shell: &mut Shell, scanner: &mut Scanner, file: &str, expanded: bool) -> anyhow::Result<Flow> {
    let text = statement(shell, scanner);
    scanner.clear();
    ensure!(!text.is_empty(), "there is no statement to run yet");
    let before = shell.style.expanded;
    if expanded {
        shell.style.expanded = Expanded::On;
    }
    let done = match unquoted(file).as_str() {
        "" => shell.run_text(&text, 1),
        file => shell.run_text_to(&text, Path::new(file)),
    };
    shell.style.expanded = before;
    shell.after(done?)
}

fn watch(shell: &mut Shell, scanner: &mut Scanner, argument: &str) -> anyhow::Result<Flow> {
    let seconds: f64 = match argument {
        "" => 2.0,
        given => given
            .parse()
            .ok()
            .filter(|seconds| (0.01..=86_400.0).contains(seconds))
            .with_context(|| format!("\\watch takes seconds between 0.01 and 86400, not \"{given}\""))?,
    };
    let text = statement(shell, scanner);
    scanner.clear();
    ensure!(!text.is_empty(), "\\watch needs a statement before it: SELECT count(*) FROM os.task \\watch 1");
    loop {
        let now = jiff::Timestamp::now().strftime("%F %T UTC");
        shell.say(&format!("{now} (every {seconds}s)\n"))?;
        if !shell.run_text(&text, 1)? {
            // Ctrl-C in the middle of a statement ends it as it should.
            return if shell.interrupts.seen() { Ok(shell.interrupted()) } else { shell.after(false) };
        }
        if shell.interrupts.seen() || shell.interrupts.wait(Duration::from_secs_f64(seconds)) {
            return Ok(shell.interrupted());
        }
    }
}

fn edit(shell: &mut Shell, scanner: &mut Scanner, input: &mut dyn Input) -> anyhow::Result<Flow> {
    ensure!(input.is_terminal(), "\\e needs a terminal");
    let text = statement(shell, scanner);
    scanner.clear();
    // Nobody else's, and for nobody else to read.
    let folder = std::env::temp_dir();
    let file = tempfile::Builder::new().prefix("tuplix-edit-").suffix(".sql").tempfile_in(&folder);
    let file = file.with_context(|| format!("cannot create a file in {}", folder.display()))?;
    let path = file.path();
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    let editor = ["TUPLIX_EDITOR", "VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok());
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let ended = Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(path).status();
    let edited = std::fs::read_to_string(path);
    ensure!(ended.with_context(|| format!("cannot start {editor}"))?.success(), "{editor} failed");
    let edited = edited.with_context(|| format!("cannot read {}", path.display()))?;
    input.remember(edited.trim());
    shell.read_text(&edited)
}

fn expanded(argument: &str, now: Expanded) -> anyhow::Result<Expanded> {
    match argument {
        "auto" => Ok(Expanded::Auto(super::terminal_columns())),
        _ => Ok(if switch(argument, now != Expanded::Off)? { Expanded::On } else { Expanded::Off }),
    }
}

/// on, off, or the other one.
fn switch(argument: &str, now: bool) -> anyhow::Result<bool> {
    match argument {
        "" => Ok(!now),
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        other => bail!("it takes on or off, not \"{other}\""),
    }
}

fn pset(shell: &mut Shell, argument: &str) -> anyhow::Result<()> {
    let (name, value) = split(argument);
    match (name, unquoted(value).as_str()) {
        ("null", text) => shell.style.null = text.to_owned(),
        ("expanded" | "x", value) => shell.style.expanded = expanded(value, shell.style.expanded)?,
        ("format", "aligned") => shell.style.layout = Layout::Aligned,
        ("format", "csv") => shell.style.layout = Layout::Csv,
        ("format", "json") => shell.style.layout = Layout::Json,
        ("format", other) => bail!("the formats are aligned, csv and json, not \"{other}\""),
        _ => bail!("\\pset knows null, format and expanded, not \"{name}\""),
    }
    Ok(())
}

/// Files within files within files have an end.
const DEPTH_MAX: usize = 32;

fn include(shell: &mut Shell, path: &Path) -> anyhow::Result<Flow> {
    ensure!(!path.as_os_str().is_empty(), "\\i takes the name of a file");
    ensure!(shell.depth < DEPTH_MAX, "files include one another {DEPTH_MAX} deep");
    let mut script = Script::open(path)?;
    let outer = shell.file.replace(path.to_owned());
    shell.depth += 1;
    let flow = shell.read(&mut script);
    shell.depth -= 1;
    shell.file = outer;
    match flow? {
        // \q in a file ends that file.
        Flow::Quit => Ok(Flow::Go),
        other => Ok(other),
    }
}

fn system(command: &str) -> anyhow::Result<()> {
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
    let mut program = Command::new(&shell);
    if !command.is_empty() {
        program.args(["-c", command]);
    }
    let ended = program.status().with_context(|| format!("cannot start {shell}"))?;
    ensure!(ended.success(), "the command ended with {ended}");
    Ok(())
}
