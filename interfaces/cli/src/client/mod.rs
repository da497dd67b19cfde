//! A small client of the PostgreSQL protocol, for commands that show answers as they come.
//!
//! tokio-postgres hides column types, command tags and notices of the simple protocol, all of which are
//! printed here; so this speaks through postgres-protocol, the library below it, over a blocking socket.

mod answer;
mod socket;

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tuplix::{Address, SqlError};
use tuplix_postgres::{RawSession, Server, Stream};

pub(crate) use answer::{Answer, Column, Complaint};
pub(crate) use socket::{find_socket, socket_address};

/// Most bytes in one message of COPY's data.
const COPY_MESSAGE_BYTES: usize = 64 << 10;

/// Why there is no conversation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the node ended the connection: {0}")]
    Ended(String),
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
}

/// What a COPY FROM STDIN sends, a piece at a time until `None`; an error fails the COPY.
pub(crate) type CopySource<'a> = &'a mut dyn FnMut() -> Result<Option<Vec<u8>>, String>;

/// Takes each part of an answer.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Answer) -> io::Result<()>;

/// What it takes to cancel a statement from another connection.
#[derive(Clone, Debug)]
pub(crate) struct CancelKey {
    address: Address,
    id: i32,
    secret: i32,
}

impl CancelKey {
    /// Asks the node to cancel what the session runs. The node does not say whether it did.
    ///
    /// # Errors
    /// When the node cannot be reached.
    pub(crate) fn cancel(&self) -> io::Result<()> {
        let mut message = BytesMut::new();
        frontend::cancel_request(self.id, self.secret, &mut message);
        let mut stream = self.address.open().map_err(io::Error::other)?;
        stream.write_all(&message)
    }
}

/// A connection to a node.
pub(crate) struct Client {
    stream: Stream,
    received: BytesMut,
    key: CancelKey,
    /// `I`, `T` in a transaction block, `E` in a failed one.
    status: u8,
    parameters: BTreeMap<String, String>,
}

impl Client {
    /// Connects to a node.
    ///
    /// # Errors
    /// 08006 where nobody answers, 08001 without the TLS that the address wants, and what the node says.
    pub(crate) fn connect(address: Address) -> Result<Client, SqlError> {
        let session = Server::of(address.clone()).raw_session("", "tuplix")?;
        let RawSession { stream, received, key: (id, secret), parameters } = session;
        Ok(Client { stream, received, key: CancelKey { address, id, secret }, status: b'I', parameters })
    }

    fn set_parameter(&mut self, name: &str, value: &str) {
        self.parameters.insert(name.to_owned(), value.to_owned());
    }

    /// A setting that the node tells of by itself.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// `I`: no transaction block, `T`: in one, `E`: in one that has failed.
    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    /// What cancels this session's statements.
    pub(crate) fn cancel_key(&self) -> &CancelKey {
        &self.key
    }

    /// The session's number, as `pg_backend_pid()` says it.
    pub(crate) fn session(&self) -> i32 {
        self.key.id
    }

    /// Where the node listens, and as whom the session was made.
    pub(crate) fn address(&self) -> &Address {
        &self.key.address
    }

    /// The version of TLS, on an encrypted connection.
    pub(crate) fn encryption(&self) -> Option<String> {
        self.stream.encryption()
    }

    /// Sends a text of statements and hands each part of the answer to `each`; a COPY FROM STDIN gets its rows from `source`.
    ///
    /// # Errors
    /// When the connection breaks, or `each` fails.
    pub(crate) fn query_copying(
        &mut self,
        text: &str,
        source: CopySource<'_>,
        each: Each<'_>,
    ) -> Result<(), ClientError> {
        let mut message = BytesMut::new();
        frontend::query(text, &mut message)?;
        self.stream.write_all(&message)?;
        self.answers(source, each)
    }

    /// Sends one statement with parameters, as text; the answer comes as that of [`Client::query_copying`].
    ///
    /// # Errors
    /// When the connection breaks, or `each` fails.
    pub(crate) fn query_with(
        &mut self,
        text: &str,
        parameters: &[Option<String>],
        each: Each<'_>,
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
        self.answers(&mut || Err("a statement with parameters is no COPY".to_owned()), each)
    }

    fn answers(&mut self, source: CopySource<'_>, each: Each<'_>) -> Result<(), ClientError> {
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
                Message::CopyData(body) => Answer::CopyData(body.into_bytes()),
                Message::CopyInResponse(_) => {
                    self.send_copy(source)?;
                    continue;
                }
                Message::ErrorResponse(body) => {
                    let complaint = Complaint::read(body.fields())?;
                    if complaint.is_fatal() {
                        return Err(ClientError::Ended(complaint.message));
                    }
                    Answer::Error(complaint)
                }
                Message::ReadyForQuery(body) => {
                    self.status = body.status();
                    return Ok(());
                }
                other => match self.beside(other)? {
                    Some(answer) => answer,
                    None => continue,
                },
            };
            each(answer)?;
        }
    }

    /// What a node may say at any time.
    fn beside(&mut self, message: Message) -> io::Result<Option<Answer>> {
        Ok(match message {
            Message::NoticeResponse(body) => Some(Answer::Notice(Complaint::read(body.fields())?)),
            Message::NotificationResponse(body) => Some(Answer::Notification {
                channel: body.channel()?.to_owned(),
                payload: body.message()?.to_owned(),
                process: body.process_id(),
            }),
            Message::ParameterStatus(body) => {
                self.set_parameter(body.name()?, body.value()?);
                None
            }
            _ => None,
        })
    }

    fn send_copy(&mut self, source: CopySource<'_>) -> io::Result<()> {
        let mut message = BytesMut::new();
        loop {
            match source() {
                Ok(Some(data)) => {
                    for piece in data.chunks(COPY_MESSAGE_BYTES) {
                        frontend::CopyData::new(piece)?.write(&mut message);
                        self.stream.write_all(&message)?;
                        message.clear();
                    }
                }
                Ok(None) => {
                    frontend::copy_done(&mut message);
                    return self.stream.write_all(&message);
                }
                Err(why) => {
                    frontend::copy_fail(&why, &mut message)?;
                    return self.stream.write_all(&message);
                }
            }
        }
    }

    /// Hands over what came since the last answer, waiting for nothing: notifications, notices, the connection's end.
    ///
    /// # Errors
    /// When the connection has ended.
    pub(crate) fn idle(&mut self, each: Each<'_>) -> Result<(), ClientError> {
        while self.has_input()? {
            let message = self.receive()?;
            if let Message::ErrorResponse(body) = message {
                return Err(ClientError::Ended(Complaint::read(body.fields())?.message));
            }
            if let Some(answer) = self.beside(message)? {
                each(answer)?;
            }
        }
        Ok(())
    }

    fn has_input(&mut self) -> io::Result<bool> {
        if !self.received.is_empty() || self.stream.has_received()? {
            return Ok(true);
        }
        let mut sockets = [PollFd::new(&self.stream, PollFlags::IN)];
        Ok(poll(&mut sockets, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
    }

    fn receive(&mut self) -> io::Result<Message> {
        let mut chunk = [0; 16 << 10];
        loop {
            if let Some(message) = Message::parse(&mut self.received)? {
                return Ok(message);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.received.extend_from_slice(&chunk[..length]),
                // Ctrl-C, which somebody else has taken.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
