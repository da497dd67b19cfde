//! `\copy`: COPY with a file of this machine, or a program of it, at the other end.

use std::fs::File;
use std::io::{self, Read};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use super::input::Input;
use super::scan::Scanner;
use super::{Flow, Shell};

/// Bytes sent at a time.
const PIECE: usize = 1 << 20;

/// What a `\copy` says.
#[derive(Debug, PartialEq, Eq)]
struct Copy {
    /// A table with columns, or a query in parentheses.
    what: String,
    from: bool,
    end: End,
    options: String,
}

/// The other end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    File(String),
    Program(String),
    /// stdin and stdout: this shell's input and output.
    Here,
}

/// Runs `\copy`.
///
/// # Errors
/// When it is none, or its file cannot be used.
pub(super) fn run(
    shell: &mut Shell,
    text: &str,
    scanner: &mut Scanner,
    input: &mut dyn Input,
) -> anyhow::Result<Flow> {
    let copy = parse(text).context("\\copy TABLE [(COLUMNS)] from|to FILE [OPTIONS]")?;
    let direction = if copy.from { "FROM STDIN" } else { "TO STDOUT" };
    let sql = format!("COPY {} {direction} {}", copy.what, copy.options);
    let done = match (copy.from, copy.end) {
        (true, End::Here) => {
            let (done, lines) = shell.run_statement(&sql, 1, input)?;
            scanner.skip_lines(lines);
            done
        }
        (false, End::Here) => shell.run_text(&sql, 1)?,
        (true, End::File(path)) => {
            let file = File::open(&path).with_context(|| format!("cannot read {path}"))?;
            send(shell, &sql, file)?
        }
        (true, End::Program(command)) => {
            let mut program = Command::new("sh").args(["-c", &command]).stdout(Stdio::piped()).spawn()?;
            let output = program.stdout.take().context("the program has no output")?;
            let done = send(shell, &sql, output)?;
            let ended = program.wait()?;
            ensure!(ended.success(), "the program ended with {ended}");
            done
        }
        (false, End::File(path)) => {
            let mut file = File::create(&path).with_context(|| format!("cannot write {path}"))?;
            let done = shell.copy_out(&sql, &mut file)?;
            file.sync_all().or_else(not_a_file).with_context(|| format!("cannot write {path}"))?;
            done
        }
        (false, End::Program(command)) => {
            let mut program = Command::new("sh").args(["-c", &command]).stdin(Stdio::piped()).spawn()?;
            let mut feed = program.stdin.take().context("the program takes no input")?;
            let done = shell.copy_out(&sql, &mut feed)?;
            drop(feed);
            let ended = program.wait()?;
            ensure!(ended.success(), "the program ended with {ended}");
            done
        }
    };
    shell.after(done)
}

/// Pipes and devices have nothing to be synced.
fn not_a_file(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::InvalidInput { Ok(()) } else { Err(error) }
}

fn send(shell: &mut Shell, sql: &str, mut from: impl Read) -> anyhow::Result<bool> {
    let mut source = || {
        let mut piece = vec![0; PIECE];
        let length = from.read(&mut piece).map_err(|error| error.to_string())?;
        piece.truncate(length);
        Ok((length > 0).then_some(piece))
    };
    shell.execute(sql, 1, &mut source, None)
}

/// Reads what stands behind `\copy`.
fn parse(text: &str) -> anyhow::Result<Copy> {
    let words = words(text)?;
    let at = words.iter().position(|word| matches!(word.to_ascii_lowercase().as_str(), "from" | "to"));
    let at = at.context("it needs from or to")?;
    ensure!(at > 0, "it needs a table or a query in parentheses");
    let mut rest = words[at + 1..].iter();
    let end = rest.next().context("it needs a file")?;
    let end = match end.to_ascii_lowercase().as_str() {
        "stdin" | "stdout" | "pstdin" | "pstdout" => End::Here,
        "program" => End::Program(unquoted(rest.next().context("it needs a program")?)),
        _ => End::File(unquoted(end)),
    };
    let from = words[at].eq_ignore_ascii_case("from");
    if let End::File(name) = &end
        && name.is_empty()
    {
        bail!("it needs the name of a file");
    }
    let options: Vec<&str> = rest.map(String::as_str).collect();
    let options = options.join(" ");
    Ok(Copy { what: words[..at].join(" "), from, end, options: options.trim_end_matches(';').to_owned() })
}

fn unquoted(word: &str) -> String {
    match word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')) {
        Some(inside) => inside.replace("''", "'"),
        None => word.trim_end_matches(';').to_owned(),
    }
}

/// Words; what stands in quotes or parentheses is one.
fn words(text: &str) -> anyhow::Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut depth) = (None, 0_usize);
    for char in text.chars() {
        match (quote, char) {
            (Some(open), _) => {
                word.push(char);
                if char == open {
                    quote = None;
                }
            }
            (None, '\'' | '"') => {
                quote = Some(char);
                word.push(char);
            }
            (None, _) => {
                match char {
                    '(' => depth += 1,
                    ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if char.is_whitespace() && depth == 0 {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                } else {
                    word.push(char);
                }
            }
        }
    }
    ensure!(quote.is_none() && depth == 0, "a quote or parenthesis is not closed");
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_ends_and_options_are_read() {
        let file = |name: &str| End::File(name.to_owned());
        for (text, what, from, end, options) in [
            ("t from 'a b.csv' csv header", "t", true, file("a b.csv"), "csv header"),
            ("t (a, b) FROM /tmp/x WITH (FORMAT csv)", "t (a, b)", true, file("/tmp/x"), "WITH (FORMAT csv)"),
            ("(select 1 from t) to stdout", "(select 1 from t)", false, End::Here, ""),
            ("t to program 'gzip > a' csv;", "t", false, End::Program("gzip > a".into()), "csv"),
            ("\"from\" to x;", "\"from\"", false, file("x"), ""),
        ] {
            let expected = Copy { what: what.into(), from, end, options: options.into() };
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        for text in ["", "t", "from x", "t to", "t from 'x", "(t to x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
