//! The shell of `tuplix sql`: statements and backslash commands from a terminal or a file, answers as tables, JSON or CSV.
//!
//! ```text
//!   input      lines: a terminal with history (rustyline), or a file
//!   scan       lines -> statements and commands
//!   backslash  \? and its kin     describe  \d and its kin     copy  \copy
//!   complete   what Tab offers    interrupts  Ctrl-C cancels    link  the connection, made again when the node restarts
//! ```

mod backslash;
mod complete;
mod connection;
mod copy;
mod describe;
mod input;
mod interrupts;
mod link;
mod pattern;
mod scan;
mod screen;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Context as _;
use tuplix_machine::Machine;

use crate::client::CopySource;
use crate::commands::INTERRUPTED;
use crate::node::Target;
use crate::render::Style;
use complete::{Assistant, Place};
use input::{Input, Line, Script, Terminal};
use interrupts::Interrupts;
use link::Link;
use scan::{Piece, Scanner};
use screen::{CopyLines, Screen, output};

/// What the shell is started with.
pub(crate) struct Settings {
    pub target: Target,
    pub style: Style,
    pub timing: bool,
    /// Go on behind an error.
    pub keep_going: bool,
}

/// What the shell does.
pub(crate) enum Work {
    /// A text, sent as one: its statements are one transaction.
    Text(String),
    /// A file, statement by statement.
    File(PathBuf),
    /// The same from somebody else's output.
    Lines(Box<dyn BufRead>),
    /// A person at a terminal.
    Terminal,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Go,
    /// \q
    Quit,
    /// An error ends the script.
    Stop,
}

/// See the module.
struct Shell {
    link: Rc<RefCell<Link>>,
    place: Rc<Place>,
    style: Style,
    timing: bool,
    /// The key of `\restrict`: no other command is taken until `\unrestrict` with it.
    restricted: Option<String>,
    interactive: bool,
    keep_going: bool,
    failed: bool,
    interrupts: Interrupts,
    machine: Machine,
    /// Where answers go, if not to standard output.
    redirected: Option<File>,
    /// The last statement.
    last: String,
    /// The file that runs, and how deep it is within others.
    file: Option<PathBuf>,
    depth: usize,
}

/// Runs the shell; what it returns is the exit status: 0 when all went well or a person left, 1 behind an error, 130 behind Ctrl-C.
///
/// # Errors
/// When there is no node, or no connection to it any more.
pub(crate) fn run(settings: Settings, works: Vec<Work>) -> anyhow::Result<ExitCode> {
    let interactive = matches!(works.as_slice(), [Work::Terminal]);
    let link = Rc::new(RefCell::new(Link::open(settings.target)?));
    let mut shell = Shell {
        link,
        place: Rc::default(),
        style: settings.style,
        timing: settings.timing,
        restricted: None,
        interactive,
        keep_going: settings.keep_going || interactive,
        failed: false,
        interrupts: Interrupts::take(interactive)?,
        machine: Machine::linux(),
        redirected: None,
        last: String::new(),
        file: None,
        depth: 0,
    };
    for work in works {
        if shell.work(work)? != Flow::Go {
            break;
        }
    }
    Ok(match (shell.interactive, shell.interrupts.seen(), shell.failed) {
        (true, ..) | (_, _, false) => ExitCode::SUCCESS,
        (_, true, true) => ExitCode::from(INTERRUPTED),
        (_, false, true) => ExitCode::FAILURE,
    })
}

/// The width of the terminal.
fn terminal_columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.map(|size| usize::from(size.ws_col)).ok().filter(|columns| *columns > 0).unwrap_or(80)
}

impl Shell {
    fn work(&mut self, work: Work) -> anyhow::Result<Flow> {
        match work {
            Work::Text(text) if text.trim_start().starts_with('\\') => self.read_text(&text),
            Work::Text(text) => {
                let mut input = Script::of(Box::new(io::BufReader::new(io::stdin())), "standard input");
                let (done, _) = self.run_statement(&text, 1, &mut input)?;
                self.after(done)
            }
            Work::File(path) => {
                let mut script = Script::open(&path)?;
                self.file = Some(path);
                self.read(&mut script)
            }
            Work::Lines(reader) => self.read(&mut Script::of(reader, "standard input")),
            Work::Terminal => self.converse(),
        }
    }

    /// A person at a terminal, until \q or Ctrl-D.
    fn converse(&mut self) -> anyhow::Result<Flow> {
        self.place.before.borrow_mut().clear();
        let greeting = self.greeting()?;
        self.say(&greeting)?;
        let assistant = Assistant::new(Rc::clone(&self.link), Rc::clone(&self.place));
        self.read(&mut Terminal::open(assistant)?)
    }

    fn greeting(&self) -> anyhow::Result<String> {
        let mut link = self.link.borrow_mut();
        let place = link.client()?.address().to_string();
        Ok(format!("tuplix {} on {place}. \\? lists commands, \\q leaves.\n", env!("CARGO_PKG_VERSION")))
    }

    /// Runs everything that an input has.
    fn read(&mut self, input: &mut dyn Input) -> anyhow::Result<Flow> {
        let mut scanner = Scanner::default();
        let mut typed = String::new();
        loop {
            if input.is_terminal() && scanner.mark() == '=' {
                scanner.restart();
                self.listen();
            }
            scanner.pending().clone_into(&mut self.place.before.borrow_mut());
            let line = match input.line(&self.prompt(scanner.mark()))? {
                Line::Text(line) => line,
                Line::Interrupted => {
                    scanner.clear();
                    typed.clear();
                    continue;
                }
                Line::End => break,
            };
            let pieces = scanner.push(&line);
            if input.is_terminal() {
                typed = if typed.is_empty() { line } else { format!("{typed}\n{line}") };
                if scanner.mark() == '=' || matches!(pieces.last(), Some(Piece::Command(..))) {
                    input.remember(&std::mem::take(&mut typed));
                }
            }
            for piece in pieces {
                let flow = self.piece(piece, &mut scanner, input)?;
                if flow != Flow::Go {
                    return Ok(flow);
                }
            }
        }
        match scanner.end() {
            // A person who leaves in the middle of a statement does not mean it.
            Some(piece) if !input.is_terminal() => self.piece(piece, &mut scanner, input),
            _ => Ok(Flow::Go),
        }
    }

    /// Runs a text as if it were typed.
    fn read_text(&mut self, text: &str) -> anyhow::Result<Flow> {
        let reader = io::Cursor::new(text.to_owned().into_bytes());
        self.read(&mut Script::of(Box::new(reader), "the text"))
    }

    fn piece(&mut self, piece: Piece, scanner: &mut Scanner, input: &mut dyn Input) -> anyhow::Result<Flow> {
        // Once for each thing that is typed: \watch runs many statements, and Ctrl-C between two of them ends it too.
        self.interrupts.forget();
        match piece {
            Piece::Statement(text, line) => {
                let (done, lines) = self.run_statement(&text, line, input)?;
                scanner.skip_lines(lines);
                self.last = text;
                self.after(done)
            }
            Piece::Command(text, line) => match backslash::run(self, &text, scanner, input) {
                Ok(flow) => Ok(flow),
                Err(error) if is_broken_pipe(&error) => Err(error),
                Err(error) => {
                    let place = match &self.file {
                        Some(file) => format!("{}:{line}: ", file.display()),
                        None => String::new(),
                    };
                    eprintln!("tuplix: {place}{error:#}");
                    self.after(false)
                }
            },
        }
    }

    /// What follows Ctrl-C: a script ends.
    fn interrupted(&mut self) -> Flow {
        self.failed |= !self.interactive;
        if self.interactive { Flow::Go } else { Flow::Stop }
    }

    /// What follows a statement that went well, or did not.
    fn after(&mut self, done: bool) -> anyhow::Result<Flow> {
        self.failed |= !done;
        Ok(if done || self.keep_going { Flow::Go } else { Flow::Stop })
    }

    /// `tuplix=> `, as psql's: what is open, and the transaction's state.
    fn prompt(&self, mark: char) -> String {
        let link = self.link.borrow();
        let state = match link.status() {
            Some(b'T') => "*",
            Some(b'E') => "!",
            Some(_) => "",
            None => "?",
        };
        let end = if link.parameter("is_superuser") == Some("on") { '#' } else { '>' };
        format!("tuplix{mark}{state}{end} ")
    }

    /// Runs a statement whose data, if it is a COPY FROM STDIN, follow in the input; also how many lines these were.
    fn run_statement(
        &mut self,
        text: &str,
        line: usize,
        input: &mut dyn Input,
    ) -> anyhow::Result<(bool, usize)> {
        let mut data = CopyLines::new(input);
        let done = self.execute(text, line, &mut || data.piece(), None)?;
        Ok((done, data.lines))
    }

    /// Runs a text that has no data.
    fn run_text(&mut self, text: &str, line: usize) -> anyhow::Result<bool> {
        self.execute(text, line, &mut || Err("there are no data here".to_owned()), None)
    }

    /// The same with the answer in a file.
    fn run_text_to(&mut self, text: &str, path: &Path) -> anyhow::Result<bool> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let before = self.redirected.replace(file);
        let done = self.run_text(text, 1);
        self.redirected = before;
        done
    }

    /// Runs a COPY TO STDOUT whose data go elsewhere.
    fn copy_out(&mut self, sql: &str, to: &mut dyn Write) -> anyhow::Result<bool> {
        self.execute(sql, 1, &mut || Err("COPY TO takes no data".to_owned()), Some(to))
    }

    /// Runs a text, shows what comes, and says how long it took; false when something was wrong.
    ///
    /// # Errors
    /// When the answer cannot be printed, and when a script has lost its node.
    fn execute(
        &mut self,
        text: &str,
        line: usize,
        source: CopySource<'_>,
        data: Option<&mut dyn Write>,
    ) -> anyhow::Result<bool> {
        if !self.is_connected()? {
            return Ok(false);
        }
        let started = self.machine.monotonic_ns();
        self.place.changed.set(true);
        let out = output(self.redirected.as_ref(), self.interactive.then_some(&self.interrupts));
        let file = self.file.as_ref().map(|file| file.display().to_string());
        let mut screen = Screen::new(self.style.render(), out).of(text, line, file);
        screen = screen.with_data(data.map(|data| Box::new(data) as Box<dyn Write>));
        let mut link = self.link.borrow_mut();
        if let Some(key) = link.cancel_key() {
            self.interrupts.runs(key);
        }
        let answered = link.query(text, source, &mut |answer| {
            screen.show(answer);
            Ok(())
        });
        self.interrupts.done();
        drop(link);
        let failed = screen.finish()?;
        match answered? {
            Ok(()) => {}
            Err(error) => return self.lost(error),
        }
        if self.timing {
            let took = (self.machine.monotonic_ns() - started) as f64 / 1e6;
            eprintln!("Time: {took:.3} ms");
        }
        Ok(!failed)
    }

    fn style(&self) -> &Style {
        &self.style
    }

    /// Programs get empty lists as they are.
    fn shows_empty_lists(&self) -> bool {
        self.style.layout != crate::render::Layout::Aligned
    }

    /// Prints a line where answers go.
    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        self.write(|out| writeln!(out, "{text}"))
    }

    fn write(&mut self, body: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
        let mut out = output(self.redirected.as_ref(), None);
        body(&mut out)?;
        Ok(out.flush()?)
    }

    /// `\o`
    fn redirect(&mut self, path: &str) -> anyhow::Result<()> {
        self.redirected = match path {
            "" => None,
            path => Some(File::create(path).with_context(|| format!("cannot write {path}"))?),
        };
        Ok(())
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
