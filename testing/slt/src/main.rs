//! `tuplix-slt complete|bless FILE...` writes PostgreSQL's answers into files; `tuplix-slt run BACKEND [FILE...]` shows what
//! fails there; `tuplix-slt known` prints the list of known failures as it would have to be now.
#![allow(clippy::print_stdout, reason = "this is a program's output")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tuplix_slt::backend::{Backend, Host};
use tuplix_slt::known::Known;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [command @ ("complete" | "bless"), ref files @ ..] => complete(&paths(files)?, command == "bless"),
        ["run", backend, ref files @ ..] => run(backend, &paths(files)?),
        ["known"] => known(),
        _ => bail!("usage: tuplix-slt complete|bless [FILE...] | run engine|wire|postgres [FILE...] | known"),
    }
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
