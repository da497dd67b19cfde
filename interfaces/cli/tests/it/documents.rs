//! docs/graphs.md: its examples are graphs, and what it says of wrong ones is what the command says.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use crate::harness::{text, tuplix};

/// a fenced block: its language and text, and the lines (from 0) of its fence and after its end.
struct Block<'a> {
    language: &'a str,
    text: String,
    fence: usize,
    after: usize,
}

fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = document.lines().enumerate();
    while let Some((start, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let inside: Vec<(usize, &str)> = lines.by_ref().take_while(|(_, line)| *line != "```").collect();
        let text = inside.iter().map(|(_, line)| format!("{line}\n")).collect();
        let after = start + inside.len() + 2;
        blocks.push(Block { language, text, fence: start, after });
    }
    blocks
}

/// `tuplix run --check -`: whether it succeeded, and what it said.
fn checked(graph: &str) -> (bool, String) {
    let mut child = tuplix(&["run", "--check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(graph.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn examples_of_graphs_are_graphs() {
    let document = include_str!("../../../../docs/graphs.md");
    let blocks = blocks(document);
    let (mut good, mut wrong) = (0, 0);
    for (index, block) in blocks.iter().enumerate() {
        if block.language != "toml" {
            continue;
        }
        let (succeeded, said) = checked(&block.text);
        let complaint = blocks.get(index + 1).filter(|next| next.fence == block.after);
        let at = format!("docs/graphs.md:{}: {said}", block.fence + 1);
        match complaint {
            Some(complaint) => {
                assert!(!succeeded && said.contains(complaint.text.trim_end()), "{at}");
                wrong += 1;
            }
            None => {
                assert!(succeeded, "{at}");
                good += 1;
            }
        }
    }
    assert!(good >= 3 && wrong >= 6, "{good} and {wrong} examples");
}

/// Every key that the table of tasks names is one, and every key that there is, is named.
#[test]
fn the_tables_name_every_key() {
    let document = include_str!("../../../../docs/graphs.md");
    let (_, section) = document.split_once("## A task").unwrap();
    let keys: Vec<&str> = section
        .lines()
        .skip_while(|line| !line.starts_with("| `"))
        .take_while(|line| line.starts_with("| `"))
        .map(|line| line.split('`').nth(1).unwrap())
        .collect();
    let (_, said) = checked("[[task]]\nname = \"a\"\nprogram = \"b\"\ncolour = 1\n");
    let (_, expected) = said.split_once("expected one of ").unwrap();
    let known: Vec<&str> = expected.trim().split(", ").map(|key| key.trim_matches('`')).collect();
    let (keys, known) = (BTreeSet::from_iter(keys), BTreeSet::from_iter(known));
    assert_eq!(keys, known);
}
