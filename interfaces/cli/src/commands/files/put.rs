//! `tuplix put`: copies files and directories into Tuplix.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use tuplix_services::fs::Kind;

use super::Files;
use crate::node::Target;

/// Arguments of `put`.
#[derive(Args)]
#[command(after_help = "\
A file that is there is replaced at once for its readers. Directories above are made.

Examples:
  tuplix put notes.txt                     to ~/notes.txt
  tuplix put notes.txt texts/monday        to ~/texts/monday, or into it where it is a directory
  tuplix put *.txt texts/                  into a directory
  tuplix put -r /usr/share/doc/bash texts/ with all below it, to ~/texts/bash
  echo hello | tuplix put - greeting")]
pub(crate) struct Put {
    /// Local files, - for standard input; the last one is the place in Tuplix when there are two or more.
    #[arg(value_name = "LOCAL... PATH", required = true)]
    paths: Vec<String>,
    /// Directories too, with all below them.
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(put: &Put) -> anyhow::Result<ExitCode> {
    let (sources, to) = match put.paths.split_last() {
        Some((to, sources)) if !sources.is_empty() => (sources, to.as_str()),
        _ => (put.paths.as_slice(), "."),
    };
    let mut files = Files::open(&put.target)?;
    let path = files.path(to);
    let there = files.stat_if_there(&path)?;
    let into =
        sources.len() > 1 || to.ends_with('/') || there.is_some_and(|stat| stat.kind == Kind::Directory);
    if into {
        files.make_directories(&path)?;
    } else if let Some((above, _)) = path.rsplit_once('/').filter(|(above, _)| !above.is_empty()) {
        files.make_directories(above)?;
    }
    let mut out = std::io::stdout().lock();
    for source in sources {
        let to =
            if into { format!("{}/{}", path.trim_end_matches('/'), name_of(source)?) } else { path.clone() };
        copy(&mut files, put.recursive, source, &to, &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The last name of a local path.
fn name_of(source: &str) -> anyhow::Result<String> {
    ensure!(source != "-", "standard input has no name of its own\n  Name the file: tuplix put - PATH");
    let path = Path::new(source);
    let name = path
        .file_name()
        .map_or_else(|| path.canonicalize().ok()?.file_name().map(Into::into), |name| Some(name.to_owned()));
    name.and_then(|name| name.into_string().ok()).with_context(|| format!("{source} has no name"))
}

fn copy(
    files: &mut Files,
    recursive: bool,
    source: &str,
    to: &str,
    out: &mut dyn std::io::Write,
) -> anyhow::Result<()> {
    if source == "-" {
        let written = files.write(to, &mut std::io::stdin().lock())?;
        return Ok(writeln!(out, "{to}: {written} bytes")?);
    }
    copy_path(files, recursive, &PathBuf::from(source), to, out)
}

fn copy_path(
    files: &mut Files,
    recursive: bool,
    source: &Path,
    to: &str,
    out: &mut dyn std::io::Write,
) -> anyhow::Result<()> {
    let unread = || format!("cannot read {}", source.display());
    let kind = std::fs::metadata(source).with_context(unread)?;
    if kind.is_dir() {
        if !recursive {
            bail!("{} is a directory\n  With all below it: tuplix put -r {0} PATH", source.display());
        }
        files.make_directories(to)?;
        let entries = std::fs::read_dir(source).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = entries.with_context(unread)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().into_string();
            let name = name.map_err(|name| anyhow::anyhow!("the name {} is not UTF-8", name.display()))?;
            copy_path(files, recursive, &entry.path(), &format!("{to}/{name}"), out)?;
        }
        return Ok(());
    }
    let mut file = File::open(source).with_context(unread)?;
    let written = files.write(to, &mut file).with_context(|| format!("cannot put {}", source.display()))?;
    Ok(writeln!(out, "{to}: {written} bytes")?)
}
