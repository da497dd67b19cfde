//! A program at a terminal: `script` (bsdutils, on every Debian) makes one, the test types and reads.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::harness::as_ada;

/// How long something expected may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the program has written, and whether more will come.
#[derive(Default)]
struct Written {
    text: String,
    ended: bool,
}

/// A program at a terminal; killed when dropped.
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    written: Arc<(Mutex<Written>, Condvar)>,
    /// What was read of it.
    read: usize,
}

impl Terminal {
    /// Runs `tuplix` with these arguments, as ada, with its history in this file.
    pub fn tuplix(arguments: &str, data: &Path, history: &Path) -> Terminal {
        let mut command = Command::new("script");
        as_ada(&mut command);
        command
            .args([
                "-q",
                "-e",
                "-f",
                "-c",
                // In place of the shell, which would end with 130 behind a Ctrl-C that the program lived through.
                &format!("exec {} {arguments}", env!("CARGO_BIN_EXE_tuplix")),
                "/dev/null",
            ])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .env("TUPLIX_DATA", data)
            .env("TUPLIX_HISTORY", history);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let written = Arc::new((Mutex::new(Written::default()), Condvar::new()));
        let writer = Arc::clone(&written);
        std::thread::spawn(move || {
            let (mut bytes, mut all) = ([0; 4096], Vec::new());
            loop {
                let length = screen.read(&mut bytes).unwrap_or(0);
                all.extend_from_slice(&bytes[..length]);
                let mut written = writer.0.lock().unwrap();
                // All of it: a sequence may have come in two parts.
                written.text = plain(&all);
                written.ended = length == 0;
                writer.1.notify_all();
                if length == 0 {
                    break;
                }
            }
        });
        Terminal { child, keyboard, written, read: 0 }
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits until `what` stands behind all that was read, and returns what stands before it.
    pub fn reads(&mut self, what: &str) -> String {
        let read = self.try_reads(what, PATIENCE);
        let written = self.written.0.lock().unwrap();
        read.unwrap_or_else(|| panic!("no {what:?} in {:?}", &written.text[self.read..]))
    }

    /// The same; `None` when it does not come for so long.
    pub fn try_reads(&mut self, what: &str, patience: Duration) -> Option<String> {
        let deadline = Instant::now() + patience;
        let mut written = self.written.0.lock().unwrap();
        loop {
            if let Some(at) = written.text[self.read..].find(what) {
                let before = written.text[self.read..self.read + at].to_owned();
                self.read += at + what.len();
                return Some(before);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if written.ended || left.is_zero() {
                return None;
            }
            written = self.written.1.wait_timeout(written, left).unwrap().0;
        }
    }

    /// Waits until the program has ended; its exit status.
    pub fn ends(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Text without what moves the cursor and colours it, and without carriage returns.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(char) = characters.next() {
        match char {
            '\u{1b}' => {
                // ESC [ numbers letter
                if characters.next() == Some('[') {
                    for char in characters.by_ref() {
                        if char.is_ascii_alphabetic() {
                            break;
                        }
                    }
                }
            }
            '\r' => {}
            char => plain.push(char),
        }
    }
    plain
}
