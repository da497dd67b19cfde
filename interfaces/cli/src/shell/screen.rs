//! Where the parts of an answer go while they come: the terminal, a file of `\o`, the far end of `\copy`.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::input::{Input, Line};
use super::interrupts::Interrupts;
use crate::client::Answer;
use crate::render::{Render, print};

/// Bytes of COPY's data that are sent at a time.
const COPY_PIECE: usize = 64 << 10;

/// Shows one answer. What cannot be written is told at the end: the answer has to be read to its end all the same.
pub(super) struct Screen<'a> {
    render: Box<dyn Render>,
    out: Box<dyn Write + 'a>,
    /// Takes the data of COPY TO, in place of `out`.
    data: Option<Box<dyn Write + 'a>>,
    text: &'a str,
    /// The line of the input where the text begins.
    line: usize,
    /// The input's name, for complaints.
    file: Option<String>,
    failed: bool,
    broken: Option<io::Error>,
    copied: bool,
}

impl<'a> Screen<'a> {
    pub(super) fn new(render: Box<dyn Render>, out: Box<dyn Write + 'a>) -> Screen<'a> {
        let (data, text, line, file) = (None, "", 1, None);
        Screen { render, out, data, text, line, file, failed: false, broken: None, copied: false }
    }

    /// The text that is answered, and where it stands.
    pub(super) fn of(mut self, text: &'a str, line: usize, file: Option<String>) -> Screen<'a> {
        (self.text, self.line, self.file) = (text, line, file);
        self
    }

    /// Sends the data of COPY TO elsewhere.
    pub(super) fn with_data(mut self, data: Option<Box<dyn Write + 'a>>) -> Screen<'a> {
        self.data = data;
        self
    }

    /// Shows a part.
    pub(super) fn show(&mut self, answer: Answer) {
        if self.broken.is_none()
            && let Err(error) = self.try_show(answer)
        {
            self.broken = Some(error);
        }
    }

    fn try_show(&mut self, answer: Answer) -> io::Result<()> {
        match (&answer, &mut self.data) {
            (Answer::CopyData(bytes), Some(data)) => return data.write_all(bytes),
            (Answer::CopyData(_), None) => self.copied = true,
            // The data were the answer, as in psql.
            (Answer::Complete(_), _) if std::mem::take(&mut self.copied) => return Ok(()),
            (Answer::Error(_), _) => {
                self.failed = true;
                if let Some(file) = &self.file {
                    self.out.flush()?;
                    eprint!("{file}:{}: ", self.line);
                }
            }
            _ => {}
        }
        print(answer, self.render.as_mut(), &mut self.out, self.text, self.line)
    }

    /// Whether the answer had an error.
    ///
    /// # Errors
    /// When it could not be written.
    pub(super) fn finish(mut self) -> io::Result<bool> {
        match self.broken.take() {
            Some(error) => Err(error),
            None => self.out.flush().map(|()| self.failed),
        }
    }
}

/// Where answers go.
pub(super) fn output<'a>(redirected: Option<&'a File>, stop: Option<&'a Interrupts>) -> Box<dyn Write + 'a> {
    match (redirected, stop) {
        (Some(file), _) => Box::new(BufWriter::new(file)),
        (None, Some(stop)) => Box::new(BufWriter::new(Stoppable(io::stdout().lock(), stop))),
        (None, None) => Box::new(BufWriter::new(io::stdout().lock())),
    }
}

/// The terminal, until Ctrl-C: a long answer that is being printed can be stopped.
struct Stoppable<'a, W>(W, &'a Interrupts);

impl<W: Write> Write for Stoppable<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.1.seen() { Ok(bytes.len()) } else { self.0.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The data of a COPY FROM STDIN: the input's lines up to `\.` or its end.
pub(super) struct CopyLines<'a> {
    input: &'a mut dyn Input,
    begun: bool,
    ended: bool,
    /// How many were read.
    pub(super) lines: usize,
}

impl<'a> CopyLines<'a> {
    pub(super) fn new(input: &'a mut dyn Input) -> CopyLines<'a> {
        CopyLines { input, begun: false, ended: false, lines: 0 }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Ctrl-C, and lines that cannot be read.
    pub(super) fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        let terminal = self.input.is_terminal();
        if terminal && !self.begun {
            eprintln!("Rows, a line each. \\. on a line of its own or Ctrl-D ends them, Ctrl-C cancels.");
        }
        self.begun = true;
        let mut piece = Vec::new();
        while !self.ended && piece.len() < if terminal { 1 } else { COPY_PIECE } {
            match self.input.line(">> ") {
                Ok(Line::Text(line)) => {
                    self.lines += 1;
                    self.ended = line == "\\.";
                    if !self.ended {
                        piece.extend_from_slice(line.as_bytes());
                        piece.push(b'\n');
                    }
                }
                Ok(Line::End) => self.ended = true,
                Ok(Line::Interrupted) => return Err("canceled by user".to_owned()),
                Err(error) => return Err(format!("{error:#}")),
            }
        }
        Ok((!piece.is_empty()).then_some(piece))
    }
}
