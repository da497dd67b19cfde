//! A small client of the PostgreSQL protocol, for commands that show answers as they come.
//!
//! tokio-postgres hides column types, command tags and notices of the simple protocol, all of which are
//! printed here; so this speaks through postgres-protocol, the library below it, over a blocking socket.

mod answer;
mod place;

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::IsNull;
use postgres_protocol::authentication::sasl;
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub(crate) use answer::{Answer, Column, Complaint};
use place::Stream;
pub(crate) use place::{Place, find_socket};

/// Most bytes in one message of COPY's data.
const COPY_MESSAGE_BYTES: usize = 64 << 10;

/// Why there is no conversation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no node answers: {0}")]
    Unreachable(io::Error),
    #[error("the node refused the connection: {0}")]
    Refused(String),
    #[error(
        "the node asks for a password of user \"{0}\"\n  Put it into PGPASSWORD, or connect by the socket of the data directory."
    )]
    Password(String),
    #[error("the node asks for an authentication that tuplix does not know")]
    Authentication,
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
    place: Place,
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
        self.place.reach()?.write_all(&message)
    }
}

/// The password for nodes that ask for one.
pub(crate) fn password() -> Option<String> {
    std::env::var("PGPASSWORD").ok()
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
    /// [`ClientError`] says where nobody answers, or what the node said.
    pub(crate) fn connect(place: &Place) -> Result<Client, ClientError> {
        let stream = place.reach().map_err(ClientError::Unreachable)?;
        let mut client = Client {
            stream,
            received: BytesMut::new(),
            key: CancelKey { place: place.clone(), id: 0, secret: 0 },
            status: b'I',
            parameters: BTreeMap::new(),
        };
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
                Message::ReadyForQuery(body) => {
                    self.status = body.status();
                    return Ok(());
                }
                Message::ErrorResponse(body) => {
                    return Err(ClientError::Refused(Complaint::read(body.fields())?.message));
                }
                Message::BackendKeyData(body) => {
                    (self.key.id, self.key.secret) = (body.process_id(), body.secret_key());
                }
                Message::ParameterStatus(body) => self.set_parameter(body.name()?, body.value()?),
                Message::AuthenticationSasl(body) => self.prove(&user, &body)?,
                Message::AuthenticationOk | Message::NoticeResponse(_) => {}
                _ => return Err(ClientError::Authentication),
            }
        }
    }

    /// Proves by SCRAM that the password is known.
    fn prove(&mut self, user: &str, offered: &AuthenticationSaslBody) -> Result<(), ClientError> {
        if offered.mechanisms().all(|mechanism| Ok(mechanism != sasl::SCRAM_SHA_256))? {
            return Err(ClientError::Authentication);
        }
        let password = password().ok_or_else(|| ClientError::Password(user.to_owned()))?;
        let mut scram = sasl::ScramSha256::new(password.as_bytes(), sasl::ChannelBinding::unsupported());
        let mut message = BytesMut::new();
        frontend::sasl_initial_response(sasl::SCRAM_SHA_256, scram.message(), &mut message)?;
        self.stream.write_all(&message)?;
        loop {
            match self.receive()? {
                Message::AuthenticationSaslContinue(body) => {
                    scram.update(body.data())?;
                    message.clear();
                    frontend::sasl_response(scram.message(), &mut message)?;
                    self.stream.write_all(&message)?;
                }
                Message::AuthenticationSaslFinal(body) => return Ok(scram.finish(body.data())?),
                Message::ErrorResponse(body) => {
                    return Err(ClientError::Refused(Complaint::read(body.fields())?.message));
                }
                _ => return Err(ClientError::Authentication),
            }
        }
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

    /// Where the node listens.
    pub(crate) fn place(&self) -> &Place {
        &self.key.place
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

    fn has_input(&self) -> io::Result<bool> {
        if !self.received.is_empty() {
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
