//! The check that no arrow points up: a crate depends on lower levels only.
//!
//! The folder tree is the architecture, so the level of a crate is read off its folder. Dependencies
//! come from `cargo metadata`, which sees renamed, optional and target-specific ones too.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Folders from the lowest level up; a crate may depend on those of smaller numbers only.
const LEVELS: [(&str, u32); 18] = [
    ("1-machine", 10),
    ("2-dbms/types", 20),
    ("2-dbms/functions", 21),
    ("2-dbms/catalog", 21),
    ("2-dbms/storage", 21),
    ("2-dbms/log", 21),
    ("2-dbms/checkpoint", 22),
    ("2-dbms/sql", 22),
    ("2-dbms/backup", 23),
    ("2-dbms/engine", 23),
    ("2-dbms/postgres", 23),
    ("2-dbms/tuplix", 24),
    ("3-services", 30),
    ("4-user", 40),
    ("interfaces/wire", 50),
    ("interfaces/http", 51),
    ("interfaces/cli", 52),
    ("interfaces", 50),
];

/// Folders on which nothing but tests depends.
const OUTSIDE: [&str; 2] = ["testing", "bench"];

/// A crate of the workspace: where it is and what it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its folder, relative to the workspace.
    pub folder: String,
    /// The workspace's crates that it depends on, with whether tests alone need them.
    pub dependencies: Vec<(String, bool)>,
}

/// Where a crate stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Level(u32),
    Outside,
}

/// The crates of the workspace at `root`, by name.
///
/// # Errors
/// When `cargo metadata` cannot read the workspace.
pub fn members(root: &Path) -> Result<BTreeMap<String, Member>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    packages.iter().map(|package| member(root, package)).collect()
}

fn member(root: &Path, package: &Value) -> Result<(String, Member)> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("cargo metadata: not a text");
    let manifest = text(&package["manifest_path"])?;
    let folder = Path::new(&manifest).parent().context("a manifest without a folder")?;
    let folder = folder.strip_prefix(root.canonicalize()?)?.to_string_lossy().into_owned();
    let mut dependencies = Vec::new();
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        if dependency["path"].is_string() {
            dependencies.push((text(&dependency["name"])?, dependency["kind"] == "dev"));
        }
    }
    Ok((text(&package["name"])?, Member { folder, dependencies }))
}

/// What is wrong with the arrows between `members`, a line each; nothing when all point down.
///
/// # Errors
/// When a crate stands in a folder that has no level.
pub fn violations(members: &BTreeMap<String, Member>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (name, member) in members {
        let own = place(&member.folder)?;
        for (dependency, for_tests) in &member.dependencies {
            let Some(target) = members.get(dependency) else {
                bail!("{name} depends on {dependency}, which is no member of the workspace");
            };
            let down = match (own, place(&target.folder)?) {
                (Place::Level(own), Place::Level(target)) => target < own,
                (Place::Outside, _) => true,
                (Place::Level(_), Place::Outside) => *for_tests,
            };
            if !down {
                found.push(format!(
                    "{name} ({}) depends on {dependency} ({}), which is not below it",
                    member.folder, target.folder
                ));
            }
        }
    }
    Ok(found)
}

fn place(folder: &str) -> Result<Place> {
    let inside = |parent: &str| folder == parent || folder.starts_with(&format!("{parent}/"));
    if OUTSIDE.iter().any(|outside| inside(outside)) {
        return Ok(Place::Outside);
    }
    match LEVELS.iter().find(|(parent, _)| inside(parent)) {
        Some((_, level)) => Ok(Place::Level(*level)),
        None => bail!("the folder {folder} has no level; testing/support/src/arrows.rs lists them"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Name, folder and dependencies of a crate.
    type Crate<'a> = (&'a str, &'a str, &'a [(&'a str, bool)]);

    fn workspace(crates: &[Crate<'_>]) -> BTreeMap<String, Member> {
        let member = |(name, folder, dependencies): &Crate<'_>| {
            let dependencies = dependencies.iter().map(|(name, dev)| ((*name).to_owned(), *dev)).collect();
            ((*name).to_owned(), Member { folder: (*folder).to_owned(), dependencies })
        };
        crates.iter().map(member).collect()
    }

    #[test]
    fn no_arrow_of_this_workspace_points_up() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let members = members(&root).unwrap();
        assert!(members.contains_key("tuplix-support"));
        assert_eq!(violations(&members).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_up_is_found() {
        let found = violations(&workspace(&[
            ("machine", "1-machine", &[("engine", false)]),
            ("engine", "2-dbms/engine", &[("machine", false)]),
            ("fs", "3-services/fs", &[("engine", false), ("wire", false)]),
            ("wire", "interfaces/wire", &[]),
        ]));
        assert_eq!(
            found.unwrap(),
            [
                "fs (3-services/fs) depends on wire (interfaces/wire), which is not below it",
                "machine (1-machine) depends on engine (2-dbms/engine), which is not below it",
            ]
        );
    }

    #[test]
    fn only_tests_reach_the_testing_folder() {
        let crates = |dev| {
            workspace(&[
                ("log", "2-dbms/log", &[("support", dev)]),
                ("support", "testing/support", &[("log", false)]),
            ])
        };
        assert_eq!(violations(&crates(true)).unwrap(), Vec::<String>::new());
        assert_eq!(violations(&crates(false)).unwrap().len(), 1);
    }

    #[test]
    fn a_folder_without_a_level_is_an_error() {
        assert!(violations(&workspace(&[("stray", "misc/stray", &[("stray", false)])])).is_err());
    }
}
