//! `tuplix ls`: the entries of a directory.

use std::process::ExitCode;

use clap::Args;
use tuplix_services::fs::Kind;

use super::absolute;
use crate::node::Target;
use crate::render::{Format, show};

const ENTRIES: &str = include_str!("ls.sql");
const TREE: &str = include_str!("ls_tree.sql");

/// Arguments of `ls`.
#[derive(Args)]
#[command(after_help = "\
A path that does not begin with / is below the user's home directory, as with every command on files.

Examples:
  tuplix ls
  tuplix ls /home
  tuplix ls --tree results
  tuplix ls --json results | jq '.[].size'")]
pub(crate) struct Ls {
    /// The directory; the home directory if left out.
    #[arg(value_name = "PATH", default_value = "")]
    path: String,
    /// Everything below it.
    #[arg(long)]
    tree: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(ls: &Ls) -> anyhow::Result<ExitCode> {
    let mut files = super::Files::open(&ls.target)?;
    let path = absolute(&files.node.user, &ls.path);
    // Says what is wrong with the path in the words of all commands.
    let stat = files.stat(&path)?;
    let bucket = files.bucket(&path)?;
    if stat.kind != Kind::Directory {
        anyhow::bail!("{path} is no directory\n  Its properties: tuplix stat {path}");
    }
    let mut client = ls.target.client()?;
    let text = if ls.tree { TREE } else { ENTRIES };
    let parameters = [Some(bucket.to_string()), Some(path)];
    show(&ls.format, text, |each| client.query_with(text, &parameters, each))
}
