//! `kill -9` of a real process on a real directory, again and again.
//!
//! The child opens the directory, runs clients in threads and writes each event to its standard output before it goes on. The parent
//! kills it after a number of events that the seed says, opens the directory itself and lets the same checkers judge that
//! the simulator uses: the pipe holds all that the child said before it died. In every other round a backup is made meanwhile, restored, and
//! judged as well.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use tuplix::{Durability, Machine, Options, Tuplix};
use tuplix_backup::{Scope, Until};
use tuplix_machine::Disk;

use crate::check::{Round, State};
use crate::client::{Client, Habits, Recorder, Stop};
use crate::history::{Event, History, Outcome};
use crate::lines::{from_line, to_line};
use crate::random::{Random, mix};
use crate::schema;

/// Threads of the child, each with a client.
const CLIENTS: u32 = 3;
/// Transaction numbers of a round.
const NUMBERS: u64 = 1_000_000;
/// What the child says once it has opened the directory.
const READY: &str = "ready";

/// What the loop came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Processes killed.
    pub kills: u64,
    /// Transactions that were acknowledged before.
    pub committed: u64,
    /// Transactions that were under way.
    pub unknown: u64,
    /// Torn tails that were cut.
    pub cuts: u64,
    /// Starts that began with a checkpoint.
    pub checkpoints: u64,
    /// Backups made while a process worked and was killed, each restored and checked.
    pub backups: u64,
}

struct Output {
    number: AtomicU64,
    broken: AtomicBool,
}

impl Recorder for Output {
    fn record(&self, event: Event) {
        let Some(line) = to_line(&event) else { return };
        let mut output = std::io::stdout().lock();
        if writeln!(output, "{line}").and_then(|()| output.flush()).is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
    }

    fn next_number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }
}

/// Checkpoints all the time, so that many kills hit one; small segments, so that the log is cut short often.
fn options(directory: &Path) -> Options {
    let durability = Durability { checkpoint_log_bytes: 20_000, ..Durability::default() };
    Options {
        dir: Some(directory.to_owned()),
        log_segment_bytes: 256 << 10,
        durability,
        ..Options::default()
    }
}

/// The child: works until it is killed, or its parent is gone.
///
/// # Errors
/// When the node does not open, or a reply is wrong.
pub fn child(directory: &Path, seed: u64, first: u64) -> Result<()> {
    let machine = Machine::linux();
    let node = Tuplix::open_with(&options(directory))?;
    let output = Arc::new(Output { number: AtomicU64::new(first), broken: AtomicBool::new(false) });
    writeln!(std::io::stdout(), "{READY}")?;
    std::io::stdout().flush()?;
    let mut threads = Vec::new();
    for index in 0..CLIENTS {
        let habits = Habits {
            synchronous: index > 0,
            lock_timeout: false,
            changes_schema: index == 1,
            checkpoints: index == 2,
            disk_fails: false,
        };
        let random = Random::new(seed, u64::from(index));
        let mut client = Client::new(index, &node, &machine, random, output.clone(), habits)?;
        let output = output.clone();
        threads.push(machine.spawn("client", move || {
            while !output.broken.load(Ordering::Relaxed) {
                client.run_one()?;
            }
            Ok::<(), Stop>(())
        }));
    }
    for thread in threads {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(stop)) => bail!("{stop:?}"),
            Err(_) => bail!("a client panicked"),
        }
    }
    Ok(())
}

/// A child that works.
pub struct Working {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Working {
    /// Starts `program` as a child on `directory` and waits until it has opened it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path, directory: &Path, seed: u64, first: u64) -> Result<Working> {
        let mut child = Command::new(program)
            .arg("child")
            .arg(directory)
            .args(["--seed", &seed.to_string(), "--first", &first.to_string()])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        let output = child.stdout.take().context("the child has no output")?;
        let mut working = Working { child, output: BufReader::new(output) };
        let line = working.line()?;
        if line.as_deref() != Some(READY) {
            let status = working.child.wait()?;
            bail!("the child did not open the directory: {line:?}, {status}");
        }
        Ok(working)
    }

    /// Its process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The next whole line; `None` at the end.
    fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.strip_suffix('\n').map(str::to_owned))
    }

    /// Reads so many events, kills the process, and reads what it had said before it died.
    ///
    /// # Errors
    /// When it ends by itself, or says what nobody understands.
    pub fn kill_after(mut self, events: u64) -> Result<History> {
        let mut history = History::default();
        self.read(&mut history, events)?;
        self.kill(history)
    }

    fn read(&mut self, history: &mut History, events: u64) -> Result<()> {
        for _ in 0..events {
            let Some(line) = self.line()? else {
                let status = self.child.wait()?;
                bail!("the child ended by itself: {status}\n{}", history.story(30));
            };
            history.record(from_line(&line).with_context(|| format!("what is \"{line}\"?"))?);
        }
        Ok(())
    }

    fn kill(mut self, mut history: History) -> Result<History> {
        self.child.kill()?;
        while let Some(line) = self.line()? {
            history.record(from_line(&line).with_context(|| format!("what is \"{line}\"?"))?);
        }
        self.child.wait()?;
        Ok(history)
    }

    /// As [`Working::kill_after`]; in the middle a backup is begun, which the kill may interrupt nothing of. Gives how many events had been
    /// read when it began.
    fn kill_during_backup(mut self, events: u64, from: &Path, to: &Path) -> Result<(History, usize)> {
        let mut history = History::default();
        self.read(&mut history, events / 2)?;
        let before = history.events.len();
        let machine = Machine::linux();
        let (from, to) = (disk(&machine, from)?, disk(&machine, to)?);
        let backup = machine
            .clone()
            .spawn("backup", move || tuplix_backup::backup_to_directory(&machine, &from, to, Scope::Newest));
        self.read(&mut history, events - events / 2)?;
        let history = self.kill(history)?;
        backup.join().map_err(|panic| anyhow!("the backup panicked: {panic}"))??;
        Ok((history, before))
    }
}

fn disk(machine: &Machine, folder: &Path) -> Result<Arc<dyn Disk>> {
    Ok(machine.disk(folder.to_str().context("the path is not UTF-8")?))
}

/// Restores a backup and checks it: it has all that was acknowledged before it began, and nothing by halves.
fn check_backup(folder: &Path, round: &Round<'_>) -> Result<()> {
    let machine = Machine::linux();
    let restored = folder.join("restored");
    std::fs::create_dir(&restored)?;
    let (from, to) = (disk(&machine, &folder.join("backup"))?, disk(&machine, &restored)?);
    tuplix_backup::restore_directory(&machine, &from, &to, Until::End)?;
    let (after, ..) = look(&restored)?;
    Round { after: &after, ..*round }.check().map_err(|what| anyhow!("{what}\n{}", round.history.story(60)))
}

impl Drop for Working {
    fn drop(&mut self) {
        // Also when a check failed before; a child that has ended already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes the schema in an empty directory.
///
/// # Errors
/// The engine's.
pub fn prepare(directory: &Path) -> Result<State> {
    let node = Tuplix::open(directory)?;
    let mut session = node.session(&Default::default())?;
    schema::create(&mut session, |_| ())?;
    let state = schema::read_state(&mut session)?;
    drop(session);
    node.close()?;
    ensure!(state == State::initial(), "the schema was made, but what is there is {state:?}");
    Ok(state)
}

/// Kills processes on one directory, which is empty.
///
/// # Errors
/// The first thing that is wrong, with its round.
pub fn kill_rounds(program: &Path, directory: &Path, seed: u64, rounds: u64) -> Result<Summary> {
    let mut before = prepare(directory)?;
    let mut summary = Summary::default();
    for round in 0..rounds {
        let mut random = Random::new(seed, round);
        let working = Working::start(program, directory, mix(seed ^ round), round * NUMBERS + 1)?;
        let events = random.below(1500);
        let copies = tempfile::tempdir()?;
        let backed_up = round % 2 == 1;
        let (history, seen) = if backed_up {
            let to = copies.path().join("backup");
            std::fs::create_dir(&to)?;
            working.kill_during_backup(events, directory, &to)?
        } else {
            (working.kill_after(events)?, 0)
        };
        let (after, cut, checkpoint) =
            look(directory).with_context(|| format!("after kill {round} of seed {seed}"))?;
        let judged = Round { before: &before, history: &history, after: &after, closed: false }.check();
        judged.map_err(|what| anyhow!("kill {round} of seed {seed}: {what}\n{}", history.story(60)))?;
        if backed_up {
            let known = history.as_of(seen);
            let copied = Round { before: &before, history: &known, after: &after, closed: false };
            check_backup(copies.path(), &copied)
                .with_context(|| format!("the backup during round {round} of seed {seed}"))?;
            summary.backups += 1;
        }
        summary.kills += 1;
        summary.cuts += u64::from(cut);
        summary.checkpoints += u64::from(checkpoint);
        for transaction in history.transactions.values() {
            summary.committed += u64::from(transaction.outcome == Outcome::Committed);
            summary.unknown += u64::from(transaction.outcome == Outcome::Unknown);
        }
        before = after;
    }
    Ok(summary)
}

/// What is in the directory, whether a torn tail was cut, and whether the start began with a checkpoint.
fn look(directory: &Path) -> Result<(State, bool, bool)> {
    let node = Tuplix::open_with(&options(directory))?;
    let report = node.recovery_report();
    ensure!(report.damaged.is_empty(), "a checkpoint is damaged: {:?}", report.damaged);
    let mut session = node.session(&Default::default())?;
    let state = schema::read_state(&mut session)?;
    drop(session);
    node.close()?;
    Ok((state, report.cut.is_some(), report.checkpoint.is_some()))
}
