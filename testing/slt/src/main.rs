//! `tuplix-slt complete|bless FILE...` writes PostgreSQL's answers into files; `tuplix-slt run BACKEND [FILE...]` shows what
//! fails there; `tuplix-slt known` prints the list of known failures as it would have to be now; `tuplix-slt corpus [--log FILE]
//! [--before FILE]... FILE...` runs scripts on the engine and on PostgreSQL and prints how much of each agrees.
#![allow(clippy::print_stdout, reason = "this is a program's output")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tuplix_slt::backend::{Backend, Host};
use tuplix_slt::known::Known;

const USAGE: &str = "usage: tuplix-slt complete|bless [FILE...] | run engine|wire|postgres [FILE...] | known | corpus [--log FILE] [--before FILE]... FILE...";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if words.iter().any(|word| matches!(*word, "--help" | "-h")) {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    match words[..] {
        [command @ ("complete" | "bless"), ref files @ ..] => complete(&paths(files)?, command == "bless")?,
        ["run", backend, ref files @ ..] => run(backend, &paths(files)?)?,
        ["known"] => known()?,
        ["corpus", ref rest @ ..] if !rest.is_empty() => corpus(rest)?,
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn paths(words: &[&str]) -> Result<Vec<PathBuf>> {
    if words.is_empty() { Ok(tuplix_slt::files()?) } else { Ok(words.iter().map(PathBuf::from).collect()) }
}

fn complete(files: &[PathBuf], bless: bool) -> Result<()> {
    let host = Host::start(Backend::Postgres)?;
    for file in files {
        for surprise in tuplix_slt::complete::complete(&host, file, bless)? {
            println!("{surprise}");
        }
    }
    Ok(())
}

fn run(backend: &str, files: &[PathBuf]) -> Result<()> {
    let backend = Backend::parse(backend).context("backends are engine, wire and postgres")?;
    let host = Host::start(backend)?;
    let mut count = 0;
    for file in files {
        for failure in tuplix_slt::run_file(&host, file)? {
            println!("{}:{}: {}\n", failure.file, failure.line, failure.message);
            count += 1;
        }
    }
    println!("{count} records fail");
    Ok(())
}

/// Prints a row of a table a script; what does not agree goes to the log.
fn corpus(words: &[&str]) -> Result<()> {
    let (mut log, mut before, mut scripts) = (None, Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--log" => log = Some(PathBuf::from(words.next().context("--log takes a file")?)),
            "--before" => before.push(Path::new(*words.next().context("--before takes a file")?)),
            script => scripts.push(PathBuf::from(script)),
        }
    }
    let (engine, postgres) = (Host::start(Backend::Engine)?, Host::start(Backend::Postgres)?);
    let mut log = log.map(std::fs::File::create).transpose()?;
    let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
    let mut total = [0; 3];
    println!(
        "| script | statements | agree | refused (0A000) | differ | agree % |\n|---|---|---|---|---|---|"
    );
    for script in &scripts {
        let outcome = tuplix_slt::corpus::run(&engine, &postgres, &before, script)?;
        let name = script.file_name().unwrap_or_default().to_string_lossy();
        let counts = [outcome.same, outcome.refused, outcome.different];
        println!("{}", corpus_row(&name, counts));
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        for line in outcome.log {
            if let Some(log) = &mut log {
                writeln!(log, "-- {name}\n{line}\n")?;
            }
        }
        for (what, count) in outcome.refusals {
            *refusals.entry(what).or_default() += count;
        }
    }
    println!("{}", corpus_row("all", total));
    let mut refusals: Vec<(String, usize)> = refusals.into_iter().collect();
    refusals.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    println!("\n| refused | times |\n|---|---|");
    refusals.iter().for_each(|(what, count)| println!("| {} | {count} |", what.replace('|', "\\|")));
    Ok(())
}

fn corpus_row(name: &str, [same, refused, different]: [usize; 3]) -> String {
    let all = same + refused + different;
    let share = 100.0 * same as f64 / all.max(1) as f64;
    format!("| {name} | {all} | {same} | {refused} | {different} | {share:.1} |")
}

/// Reasons are kept; a new failure's is the first line of what came instead.
fn known() -> Result<()> {
    let mut lines: BTreeMap<(String, u32, String), (Vec<&str>, String)> = BTreeMap::new();
    for backend in [Backend::Engine, Backend::Wire] {
        let listed = Known::read(&tuplix_slt::known_failures_path(), backend)?;
        let host = Host::start(backend)?;
        for file in tuplix_slt::files()? {
            for failure in tuplix_slt::run_file(&host, &file)? {
                let reason =
                    listed.reason(&failure).map_or_else(|| first_line(&failure.message), str::to_owned);
                let key = (failure.file, failure.line, failure.statement);
                lines.entry(key).or_insert((Vec::new(), reason)).0.push(backend.name());
            }
        }
    }
    for ((file, _, statement), (backends, reason)) in lines {
        println!("{}\t{file}\t{statement}\t{reason}", backends.join(","));
    }
    Ok(())
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().replace('\t', " ")
}
