//! What a worker and its helper process say to each other: JSON texts, each after its length in four bytes.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of one text; a larger one is a mistake.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Run a program; one at a time.
    Run(Box<Request>),
    /// End it, if it is the one that runs.
    Kill(u64),
}

/// A program to run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Counts the requests to a helper.
    pub(crate) number: u64,
    /// The program; empty: only try the isolation.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its whole environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// The private folder.
    pub(crate) folder: PathBuf,
    /// Bytes of memory it may take; `None`: as many as there are.
    pub(crate) memory: Option<u64>,
    /// Bytes of the largest file it may write.
    pub(crate) file_bytes_max: u64,
    /// Processes and threads that it may have at a time; 0: as many as there can be.
    pub(crate) processes_max: u64,
    /// The processors that it may run on; none: all.
    pub(crate) processors: Vec<usize>,
    /// How long it may take.
    pub(crate) timeout_ms: Option<u64>,
    /// What it sees of the machine; `None`: everything.
    pub(crate) isolation: Option<View>,
    /// The file that says until when the worker's leases hold; the attempt ends when they do not any more.
    pub(crate) lease: Option<PathBuf>,
}

/// What an isolated program sees beside the system's programs and its own folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View {
    /// Whether it reaches the network.
    pub(crate) network: bool,
    /// Folders and files that it may read.
    pub(crate) readable: Vec<PathBuf>,
    /// Folders that it never sees, also where they are in a readable one.
    pub(crate) hidden: Vec<PathBuf>,
    /// Programs, shown in [`super::TOOLS_FOLDER`].
    pub(crate) tools: Vec<PathBuf>,
    /// A socket, shown in [`super::SOCKET_FOLDER`].
    pub(crate) socket: Option<PathBuf>,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// How it ended.
    pub(crate) end: End,
    /// Microseconds of processor time in the program.
    pub(crate) user_time_us: i64,
    /// Microseconds of processor time in the kernel.
    pub(crate) system_time_us: i64,
    /// Bytes of memory at the peak.
    pub(crate) peak_memory: i64,
    /// It, or one of its processes, was ended for its memory.
    pub(crate) out_of_memory: bool,
    /// How the memory was bounded.
    pub(crate) bound: Bound,
    /// Whether the kernel bounds how many processes it has.
    pub(crate) counted: bool,
    /// It wanted more processes and threads than this, which it may have.
    pub(crate) processes_over: Option<u64>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// By itself.
    Exited(i32),
    /// By a signal that nobody here sent.
    Signalled(i32),
    /// By [`Command::Kill`].
    Killed,
    /// By its time limit.
    TimedOut,
    /// Its worker was silent until its leases ended.
    LeaseEnded,
    /// It never ran.
    NotStarted(String),
}

/// How the memory of a program is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Bound {
    /// Not at all.
    None,
    /// By a control group: all its processes together.
    Group,
    /// By looking at its processes from time to time.
    Watched,
}

/// Sends a text.
pub(crate) fn send(to: &mut impl Write, text: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(text)?;
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::other("a text of more than 4 GB"))?;
    to.write_all(&[&length.to_le_bytes()[..], &bytes].concat())?;
    to.flush()
}

/// Receives a text; `None` at the end.
pub(crate) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > TEXT_BYTES_MAX {
        return Err(io::Error::other(format!("a text of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_go_there_and_back() {
        let mut pipe = Vec::new();
        let request = Request { program: "/bin/echo".to_owned(), memory: Some(7), ..Request::default() };
        send(&mut pipe, &Command::Run(Box::new(request))).unwrap();
        send(&mut pipe, &Command::Kill(7)).unwrap();
        let mut pipe = pipe.as_slice();
        let Some(Command::Run(request)) = receive(&mut pipe).unwrap() else { panic!("no request") };
        assert_eq!((request.program.as_str(), request.memory), ("/bin/echo", Some(7)));
        assert!(matches!(receive(&mut pipe).unwrap(), Some(Command::Kill(7))));
        assert!(receive::<Command>(&mut pipe).unwrap().is_none());
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        assert!(receive::<Command>(&mut &[255; 8][..]).is_err());
    }
}
