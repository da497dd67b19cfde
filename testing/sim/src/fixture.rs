//! Data directories that are kept: `testing/fixtures/FORMAT/` has one of each released format, the SQL that made it, and questions with the
//! answers that it gives for good.
//!
//! One is made on a simulated machine, so that the same SQL gives the same bytes but for what the engine has changed since.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use tuplix::{Durability, Machine, Options, Session, SqlError, Tuplix, Value};
use tuplix_machine::{DiskImage, Faults, Simulation};
use tuplix_types::TypeId;
use tuplix_types::text_io::{IoContext, to_text};

/// The data directory's name, in the fixture's folder and on the machine.
pub const DATA: &str = "data";
/// What makes it.
const MAKE: &str = "make.sql";
/// What is asked.
const LOOK: &str = "look.sql";
/// What is answered.
const EXPECTED: &str = "expected.txt";

/// A fixture as it is kept.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The data directory, as [`DATA`].
    pub disk: DiskImage,
    /// Statements.
    pub look: Vec<String>,
    /// What they give, one after the other.
    pub expected: String,
}

/// How the node of a fixture is opened.
pub fn options(machine: Option<Machine>, directory: &Path) -> Options {
    Options {
        dir: Some(directory.to_owned()),
        partitions: 2,
        log_segment_bytes: 16 << 10,
        durability: Durability {
            checkpoint_log_bytes: 0,
            log_retention_us: i64::MAX / 2,
            spool_chunks: 1,
            ..Durability::default()
        },
        machine,
        ..Options::default()
    }
}

/// Opens the data directory of a simulated machine.
///
/// # Errors
/// The engine's.
pub fn open(machine: &Machine) -> tuplix::Result<Tuplix> {
    Tuplix::open_with(&options(Some(machine.clone()), Path::new(DATA)))
}

/// Reads a fixture.
///
/// # Errors
/// When a file is missing.
pub fn read(folder: &Path) -> Result<Fixture> {
    let mut disk = DiskImage::default();
    for part in ["", "log", "checkpoint", "history"] {
        let directory = folder.join(DATA).join(part);
        // Formats before the second know no rows that have left memory, and git no empty folder.
        if part == "history" && !directory.exists() {
            continue;
        }
        let entries =
            std::fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()) {
                let at = Path::new(DATA).join(part).join(name);
                disk.insert(&at.to_string_lossy(), std::fs::read(&path)?);
            }
        }
    }
    let text = |name: &str| {
        std::fs::read_to_string(folder.join(name)).with_context(|| format!("cannot read {name}"))
    };
    Ok(Fixture { disk, look: statements(&text(LOOK)?), expected: text(EXPECTED)? })
}

/// Makes the data directory and the answers of a folder that has the two SQL files; what was there is replaced.
///
/// # Errors
/// A statement that fails, and what the file system says.
pub fn make(folder: &Path) -> Result<()> {
    let script = std::fs::read_to_string(folder.join(MAKE))?;
    let look = statements(&std::fs::read_to_string(folder.join(LOOK))?);
    let outcome = Simulation::new(1, Faults::none()).run(move |machine| {
        let node = open(&machine)?;
        let mut session = node.session(&Default::default())?;
        for part in script.split("\n\n").map(str::trim) {
            match part {
                "-- checkpoint" => drop(node.checkpoint()?),
                "" => {}
                sql => drop(session.execute(sql).map_err(|error| placed(sql, error))?),
            }
        }
        drop(session);
        node.close()
    });
    outcome.value.context("the machine ended")??;
    let data = folder.join(DATA);
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    for path in outcome.disk.paths().into_iter().filter(|path| !path.ends_with("/lock")) {
        let to = folder.join(path);
        std::fs::create_dir_all(to.parent().unwrap_or(folder))?;
        std::fs::write(&to, outcome.disk.file(path).unwrap_or_default())?;
    }
    let answers = answers_of(outcome.disk, look)?;
    std::fs::write(folder.join(EXPECTED), answers)?;
    Ok(())
}

fn placed(sql: &str, error: SqlError) -> SqlError {
    let first = sql.lines().find(|line| !line.starts_with("--")).unwrap_or_default();
    SqlError::new(error.sqlstate(), format!("{first}: {error}"))
}

/// What a disk's node answers.
///
/// # Errors
/// When it does not open.
pub fn answers_of(disk: DiskImage, look: Vec<String>) -> Result<String> {
    let outcome = Simulation::new(2, Faults::none()).with_disk(disk).run(move |machine| {
        let node = open(&machine)?;
        let answers = answers(&mut node.session(&Default::default())?, &look);
        node.close()?;
        Ok::<String, SqlError>(answers)
    });
    match outcome.value {
        Some(Ok(answers)) => Ok(answers),
        Some(Err(error)) => bail!("the node does not open: {error:?}"),
        None => bail!("the machine ended"),
    }
}

/// The statements of a text, one a line.
fn statements(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("--")).map(str::to_owned).collect()
}

/// Each statement with what it gives: rows as text, or its error.
pub fn answers(session: &mut Session, look: &[String]) -> String {
    let mut text = String::new();
    for sql in look {
        let _ = writeln!(text, "> {sql}");
        match session.query(sql, &[]) {
            Ok(rows) => {
                let text_of = IoContext::of_settings(|name| session.setting(name));
                for row in rows.iter() {
                    let cells = row.iter().zip(&*rows.columns);
                    let values: Vec<String> =
                        cells.map(|(value, column)| shown(value, column.ty, &text_of)).collect();
                    let _ = writeln!(text, "{}", values.join("|"));
                }
            }
            Err(error) => {
                let _ = writeln!(text, "SQLSTATE {}", error.sqlstate());
            }
        }
    }
    text
}

/// A value as text, without line breaks.
fn shown(value: &Value, ty: TypeId, context: &IoContext) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        value => to_text(ty, value, context).replace('\n', "\\n"),
    }
}
