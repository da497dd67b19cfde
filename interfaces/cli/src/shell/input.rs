//! Where the shell's lines come from: a terminal with an editor, or a file.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use super::complete::Assistant;

/// Statements kept in the history.
const HISTORY_MAX: usize = 5_000;

/// A line, or why there is none.
pub(super) enum Line {
    Text(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    End,
}

/// A source of lines.
pub(super) trait Input {
    /// The next line, without its end.
    ///
    /// # Errors
    /// When it cannot be read.
    fn line(&mut self, prompt: &str) -> anyhow::Result<Line>;

    /// Takes a statement into the history, where there is one.
    fn remember(&mut self, _text: &str) {}

    /// Whether a person is asked.
    fn is_terminal(&self) -> bool {
        false
    }
}

/// A file or standard input.
pub(super) struct Script {
    reader: Box<dyn BufRead>,
    name: String,
    lines: usize,
}

impl Script {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(path: &Path) -> anyhow::Result<Script> {
        let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Script::of(Box::new(io::BufReader::new(file)), &path.display().to_string()))
    }

    /// Reads what somebody else has opened.
    pub(super) fn of(reader: Box<dyn BufRead>, name: &str) -> Script {
        Script { reader, name: name.to_owned(), lines: 0 }
    }
}

impl Input for Script {
    fn line(&mut self, _: &str) -> anyhow::Result<Line> {
        let mut bytes = Vec::new();
        let length = self
            .reader
            .read_until(b'\n', &mut bytes)
            .with_context(|| format!("cannot read {}", self.name))?;
        if length == 0 {
            return Ok(Line::End);
        }
        self.lines += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| anyhow::anyhow!("{}, line {} is not UTF-8", self.name, self.lines))?;
        // A mark of its encoding, as some editors leave it.
        let text = match (self.lines, text.strip_prefix('\u{feff}')) {
            (1, Some(text)) => text.to_owned(),
            _ => text,
        };
        Ok(Line::Text(text))
    }
}

/// A person at a terminal.
pub(super) struct Terminal {
    editor: Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
}

impl Terminal {
    /// # Errors
    /// When this is no terminal that a line can be edited on.
    pub(super) fn open(assistant: Assistant) -> anyhow::Result<Terminal> {
        let config = Config::builder()
            .max_history_size(HISTORY_MAX)?
            .history_ignore_dups(true)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(assistant));
        let history = history_file();
        if let Some(path) = &history
            && path.exists()
            && let Err(error) = editor.load_history(path)
        {
            eprintln!("tuplix: cannot read the history in {}: {error}", path.display());
        }
        Ok(Terminal { editor, history })
    }
}

impl Input for Terminal {
    fn line(&mut self, prompt: &str) -> anyhow::Result<Line> {
        match self.editor.readline(prompt) {
            Ok(line) => Ok(Line::Text(line)),
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(error).context("cannot read from the terminal"),
        }
    }

    fn remember(&mut self, text: &str) {
        // Passwords are no history.
        if text.to_ascii_lowercase().contains("password '") {
            return;
        }
        let added = self.editor.add_history_entry(text).unwrap_or(false);
        let Some(path) = self.history.clone().filter(|_| added) else { return };
        if let Some(folder) = path.parent()
            && let Err(error) = std::fs::create_dir_all(folder)
        {
            return self.no_history(&path, &error);
        }
        if let Err(error) = self.editor.append_history(&path) {
            self.no_history(&path, &error);
        }
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

impl Terminal {
    /// Says once that nothing is kept.
    fn no_history(&mut self, path: &Path, error: &dyn std::fmt::Display) {
        eprintln!("tuplix: cannot keep the history in {}: {error}", path.display());
        self.history = None;
    }
}

/// `TUPLIX_HISTORY`, empty for none; else where XDG's rules put the state of programs.
fn history_file() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("TUPLIX_HISTORY") {
        return (!path.is_empty()).then(|| PathBuf::from(path));
    }
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    state.map(|state| state.join("tuplix/history"))
}
