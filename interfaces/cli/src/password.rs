//! Where a password comes from: `PGPASSWORD`, a file as `~/.pgpass`, or whoever sits at the terminal.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tuplix::Address;

use crate::commands::INTERRUPTED;

/// The password that needs no question: that of `PGPASSWORD`, else the one of the password file (manual chapter 34.16).
pub(crate) fn known(address: &Address) -> Option<String> {
    std::env::var("PGPASSWORD").ok().or_else(|| of_file(&file()?, address))
}

fn file() -> Option<PathBuf> {
    match std::env::var_os("PGPASSFILE") {
        Some(named) => Some(named.into()),
        None => Some(Path::new(&std::env::var_os("HOME")?).join(".pgpass")),
    }
}

fn of_file(path: &Path, address: &Address) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        eprintln!("tuplix: {} is not used, since others can read it\n  chmod 600 it", path.display());
        return None;
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("tuplix: {} cannot be read: {error}", path.display());
            return None;
        }
    };
    let (host, port) = address.hosts().into_iter().next()?;
    let port = port.to_string();
    let sought = [&host, &port, address.database().unwrap_or_default(), address.user().unwrap_or_default()];
    text.lines().find_map(|line| of_line(line, &sought))
}

/// `host:port:database:user:password`, each but the last may be `*`; a backslash stands before a colon or a backslash.
fn of_line(line: &str, sought: &[&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![(String::new(), false)];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let number = fields.len();
        let last = fields.last_mut()?;
        match character {
            '\\' => {
                last.0.extend(characters.next());
                last.1 = true;
            }
            // What stands behind the fourth is all password.
            ':' if number <= sought.len() => fields.push((String::new(), false)),
            character => last.0.push(character),
        }
    }
    let password = fields.pop().filter(|_| fields.len() == sought.len())?;
    let fits =
        |((field, escaped), sought): (&(String, bool), &&str)| field == sought || (field == "*" && !escaped);
    fields.iter().zip(sought).all(fits).then_some(password.0)
}

/// Asks whoever sits at the terminal, without showing what is typed; `None` where nobody sits. Ctrl-C ends the program.
///
/// # Errors
/// When the terminal cannot be read.
pub(crate) fn ask(user: &str) -> anyhow::Result<Option<String>> {
    if !io::stderr().is_terminal() {
        return Ok(None);
    }
    let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else { return Ok(None) };
    let typed = read(&mut terminal, user).context("cannot read a password from the terminal")?;
    match typed {
        Typed::Line(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Typed::Interrupted => std::process::exit(INTERRUPTED.into()),
    }
}

enum Typed {
    Line(Vec<u8>),
    Interrupted,
}

/// A terminal that shows nothing and lets each key through, until it is dropped.
struct Silent<'a> {
    terminal: &'a mut File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn new(terminal: &'a mut File) -> io::Result<Silent<'a>> {
        let before = tcgetattr(&*terminal)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(&*terminal, OptionalActions::Flush, &silent)?;
        Ok(Silent { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // There is nobody to tell that the terminal is gone.
        let _ = tcsetattr(&*self.terminal, OptionalActions::Now, &self.before);
        drop(self.terminal.write_all(b"\n"));
    }
}

fn read(terminal: &mut File, user: &str) -> io::Result<Typed> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const CTRL_U: u8 = 0x15;
    const BACKSPACE: u8 = 8;
    const DELETE: u8 = 0x7f;
    let silent = Silent::new(terminal)?;
    // Only now: whoever sees the question may type.
    write!(silent.terminal, "Password for user {user}: ")?;
    let (mut line, mut key) = (Vec::new(), [0]);
    loop {
        if silent.terminal.read(&mut key)? == 0 {
            return Ok(Typed::Line(line));
        }
        match key[0] {
            b'\n' | b'\r' | CTRL_D => return Ok(Typed::Line(line)),
            CTRL_C => return Ok(Typed::Interrupted),
            CTRL_U => line.clear(),
            BACKSPACE | DELETE => {
                // A character has one byte that does not continue another.
                while line.pop().is_some_and(|byte: u8| byte & 0xc0 == 0x80) {}
            }
            key => line.push(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of_line;

    #[test]
    fn lines_of_the_password_file_fit_their_place() {
        let sought = ["db", "5433", "tuplix", "ada"];
        for (line, password) in [
            ("db:5433:tuplix:ada:w:o\\:r\\\\d", Some("w:o:r\\d")),
            ("*:*:*:*:any", Some("any")),
            ("db:*:tuplix:ada:", Some("")),
            ("other:*:*:*:x", None),
            ("\\*:*:*:*:x", None),
            ("db:5433:tuplix", None),
            ("# db:5433:tuplix:ada:x", None),
            ("", None),
        ] {
            assert_eq!(of_line(line, &sought).as_deref(), password, "{line}");
        }
    }
}
