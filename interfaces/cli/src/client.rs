//! A small client of the PostgreSQL protocol, for commands that show answers as they come.
//!
//! tokio-postgres hides column types, command tags and notices of the simple protocol, all of which are
//! printed here; so this speaks through postgres-protocol, the library below it, over a blocking socket.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub name: String,
    /// Its type's object id.
    pub type_id: u32,
}

/// What a server says when something is wrong, or worth a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub severity: String,
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// In characters from 1.
    pub position: Option<usize>,
    pub context: Option<String>,
}

/// A part of the answer to a text of statements.
pub(crate) enum Answer {
    /// A result with rows begins.
    Columns(Vec<Column>),
    /// A row of it, as text.
    Row(Vec<Option<String>>),
    /// The statement is done.
    Complete(String),
    /// The server said something beside the answer.
    Notice(Complaint),
    /// The text failed here.
    Error(Complaint),
}

/// Why there is no conversation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no node answers: {0}")]
    Unreachable(io::Error),
    #[error("the node refused the connection: {0}")]
    Refused(String),
    #[error("the node asks for a password, which this version of tuplix cannot give")]
    Password,
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
}

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The socket in its data directory.
    Socket(PathBuf),
    /// Host and port.
    Tcp(String, u16),
}

impl Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Socket(path) => path.display().fmt(f),
            Place::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection to a node.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    received: BytesMut,
}

impl Client {
    /// Connects to a node.
    ///
    /// # Errors
    /// [`ClientError`] says where nobody answers, or what the node said.
    pub(crate) fn connect(place: &Place) -> Result<Client, ClientError> {
        let stream: Box<dyn Stream> = match place {
            Place::Socket(path) => Box::new(UnixStream::connect(path).map_err(ClientError::Unreachable)?),
            Place::Tcp(host, port) => {
                Box::new(TcpStream::connect((host.as_str(), *port)).map_err(ClientError::Unreachable)?)
            }
        };
        let mut client = Client { stream, received: BytesMut::new() };
        client.start()?;
        Ok(client)
    }

    fn start(&mut self) -> Result<(), ClientError> {
        let user = crate::node::user();
        let parameters = [
            ("user", user.as_str()),
            ("database", "tuplix"),
            ("application_name", "tuplix"),
            ("client_encoding", "UTF8"),
        ];
        let mut message = BytesMut::new();
        frontend::startup_message(parameters, &mut message)?;
        self.stream.write_all(&message)?;
        loop {
            match self.receive()? {
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => {
                    return Err(ClientError::Refused(complaint(body.fields())?.message));
                }
                Message::AuthenticationOk | Message::ParameterStatus(_) | Message::BackendKeyData(_) => {}
                Message::NoticeResponse(_) => {}
                _ => return Err(ClientError::Password),
            }
        }
    }

    /// Sends a text of statements and hands each part of the answer to `each`.
    ///
    /// # Errors
    /// When the connection breaks, or `each` fails.
    pub(crate) fn query(
        &mut self,
        text: &str,
        each: &mut dyn FnMut(Answer) -> io::Result<()>,
    ) -> Result<(), ClientError> {
        let mut message = BytesMut::new();
        frontend::query(text, &mut message)?;
        self.stream.write_all(&message)?;
        self.answers(each)
    }

    /// Sends one statement with parameters, as text; the answer comes as that of [`Client::query`].
    ///
    /// # Errors
    /// When the connection breaks, or `each` fails.
    pub(crate) fn query_with(
        &mut self,
        text: &str,
        parameters: &[Option<String>],
        each: &mut dyn FnMut(Answer) -> io::Result<()>,
    ) -> Result<(), ClientError> {
        let mut message = BytesMut::new();
        frontend::parse("", text, [], &mut message)?;
        let put = |value: &Option<String>, buffer: &mut BytesMut| {
            let Some(value) = value else { return Ok(IsNull::Yes) };
            buffer.extend_from_slice(value.as_bytes());
            Ok(IsNull::No)
        };
        frontend::bind("", "", [], parameters, put, [], &mut message)
            .map_err(|_| io::Error::other("the parameters are larger than a message can be"))?;
        frontend::describe(b'P', "", &mut message)?;
        frontend::execute("", 0, &mut message)?;
        frontend::sync(&mut message);
        self.stream.write_all(&message)?;
        self.answers(each)
    }

    fn answers(&mut self, each: &mut dyn FnMut(Answer) -> io::Result<()>) -> Result<(), ClientError> {
        loop {
            let answer = match self.receive()? {
                Message::RowDescription(body) => Answer::Columns(
                    body.fields()
                        .map(|field| Ok(Column { name: field.name().to_owned(), type_id: field.type_oid() }))
                        .collect()?,
                ),
                Message::DataRow(body) => {
                    let buffer = body.buffer();
                    let text = |range| String::from_utf8_lossy(&buffer[range]).into_owned();
                    Answer::Row(body.ranges().map(|range| Ok(range.map(text))).collect()?)
                }
                Message::CommandComplete(body) => Answer::Complete(body.tag()?.to_owned()),
                Message::EmptyQueryResponse => continue,
                Message::ErrorResponse(body) => {
                    let complaint = complaint(body.fields())?;
                    let fatal = complaint.severity == "FATAL" || complaint.severity == "PANIC";
                    each(Answer::Error(complaint))?;
                    if fatal {
                        return Ok(());
                    }
                    continue;
                }
                Message::NoticeResponse(body) => Answer::Notice(complaint(body.fields())?),
                Message::ReadyForQuery(_) => return Ok(()),
                _ => continue,
            };
            each(answer)?;
        }
    }

    fn receive(&mut self) -> io::Result<Message> {
        let mut chunk = [0; 16 << 10];
        loop {
            if let Some(message) = Message::parse(&mut self.received)? {
                return Ok(message);
            }
            let length = self.stream.read(&mut chunk)?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.received.extend_from_slice(&chunk[..length]);
        }
    }
}

/// The socket of the node on a data directory; its name ends in the port.
pub(crate) fn find_socket(data: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(data)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".s.PGSQL.")))
        .collect();
    found.sort();
    // A socket whose node was killed stays behind; the one that answers is meant.
    let alive = found.iter().position(|path| UnixStream::connect(path).is_ok());
    match alive {
        Some(index) => Some(found.swap_remove(index)),
        None => found.into_iter().next(),
    }
}

fn complaint(mut fields: ErrorFields<'_>) -> io::Result<Complaint> {
    let mut complaint = Complaint::default();
    while let Some(field) = fields.next()? {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'V' => complaint.severity = value,
            b'C' => complaint.sqlstate = value,
            b'M' => complaint.message = value,
            b'D' => complaint.detail = Some(value),
            b'H' => complaint.hint = Some(value),
            b'P' => complaint.position = value.parse().ok(),
            b'W' => complaint.context = Some(value),
            _ => {}
        }
    }
    Ok(complaint)
}
