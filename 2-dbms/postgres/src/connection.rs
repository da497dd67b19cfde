//! One socket to a server: messages in and out.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::backend::Message;
use tuplix_types::datetime::TimeZone;
use tuplix_types::text_io::IoContext;
use tuplix_types::{Result, SqlError, sqlstate};

use crate::errors;
use crate::stream::Stream;

/// Notices kept until somebody takes them; the oldest go first.
const MAX_NOTICES: usize = 1000;

/// Notifications kept until somebody takes them; the oldest go first.
const MAX_NOTIFICATIONS: usize = 100_000;

/// Bytes asked of the socket at once.
const READ_SIZE: usize = 32 * 1024;

/// Bytes of a buffer kept from call to call.
const KEPT_SIZE: usize = 1024 * 1024;

/// What NOTIFY sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Channel.
    pub channel: String,
    /// Payload.
    pub payload: String,
    /// The session that sent it.
    pub session_id: u32,
}

/// A socket to a server and what was said about the session on the way.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) input: BytesMut,
    chunk: Box<[u8]>,
    /// What is to be sent; [`Connection::send`] sends it.
    pub(crate) output: BytesMut,
    broken: bool,
    /// Somebody waits for a notification, and whether its time is over.
    waiting: bool,
    timed_out: bool,
    notices: VecDeque<SqlError>,
    notifications: VecDeque<Notification>,
    /// What the server told of its settings.
    pub(crate) parameters: BTreeMap<String, String>,
    /// How the server writes and reads times in text.
    pub(crate) text: IoContext,
}

/// 08006: the connection is gone.
pub(crate) fn lost(why: impl std::fmt::Display) -> SqlError {
    SqlError::new(sqlstate::CONNECTION_FAILURE, format!("the connection to the server was lost: {why}"))
}

/// 08P01: the server sent what it must not send here.
pub(crate) fn unexpected(what: &str) -> SqlError {
    SqlError::new(
        sqlstate::PROTOCOL_VIOLATION,
        format!("unexpected message from the PostgreSQL server {what}"),
    )
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Connection {
        Connection {
            stream,
            input: BytesMut::new(),
            chunk: vec![0; READ_SIZE].into_boxed_slice(),
            output: BytesMut::new(),
            broken: false,
            waiting: false,
            timed_out: false,
            notices: VecDeque::new(),
            notifications: VecDeque::new(),
            parameters: BTreeMap::new(),
            text: IoContext::default(),
        }
    }

    /// Sends what was put into `output`.
    pub(crate) fn send(&mut self) -> Result<()> {
        if self.broken {
            self.output.clear();
            return Err(lost("an earlier call found it closed"));
        }
        let written = self.stream.write_all(&self.output);
        self.output.clear();
        if self.output.capacity() > KEPT_SIZE {
            self.output = BytesMut::new();
        }
        match written {
            Ok(()) => Ok(()),
            // The server may have said why before it hung up.
            Err(error) => Err(self.farewell().unwrap_or_else(|| self.fail(error))),
        }
    }

    /// The next message; notices and settings are kept aside.
    pub(crate) fn receive(&mut self) -> Result<Message> {
        loop {
            let message = match Message::parse(&mut self.input) {
                Ok(Some(message)) => message,
                Ok(None) => {
                    self.fill()?;
                    continue;
                }
                Err(error) => return Err(self.fail(error)),
            };
            match message {
                Message::NoticeResponse(body) => {
                    let notice = errors::from_fields(body.fields()).unwrap_or_else(|error| self.fail(error));
                    if self.notices.len() == MAX_NOTICES {
                        self.notices.pop_front();
                    }
                    self.notices.push_back(notice);
                }
                Message::ParameterStatus(body) => {
                    let (Ok(name), Ok(value)) = (body.name(), body.value()) else {
                        return Err(self.fail("a setting that is no UTF-8"));
                    };
                    if name == "TimeZone" {
                        self.text.zone = TimeZone::parse(value).unwrap_or(TimeZone::UTC);
                    }
                    self.parameters.insert(name.to_owned(), value.to_owned());
                }
                Message::NotificationResponse(body) => {
                    let (channel, payload) = (body.channel(), body.message());
                    let (Ok(channel), Ok(payload)) = (channel, payload) else {
                        return Err(self.fail("a notification that is no UTF-8"));
                    };
                    if self.notifications.len() == MAX_NOTIFICATIONS {
                        self.notifications.pop_front();
                    }
                    let session_id = body.process_id().cast_unsigned();
                    let (channel, payload) = (channel.to_owned(), payload.to_owned());
                    self.notifications.push_back(Notification { channel, payload, session_id });
                    if self.waiting {
                        return Ok(Message::EmptyQueryResponse);
                    }
                }
                message => return Ok(message),
            }
        }
    }

    /// Takes the notifications that came.
    pub(crate) fn take_notifications(&mut self) -> Vec<Notification> {
        self.notifications.drain(..).collect()
    }

    /// Waits until a notification has come or the time is over.
    pub(crate) fn wait_notification(&mut self, timeout: Duration) -> Result<()> {
        if !self.notifications.is_empty() {
            return Ok(());
        }
        // A timeout of nothing would be none at all.
        self.set_read_timeout(Some(timeout.max(Duration::from_millis(1))))?;
        self.waiting = true;
        let came = self.receive();
        self.waiting = false;
        let timed_out = std::mem::take(&mut self.timed_out);
        self.set_read_timeout(None)?;
        match came {
            Ok(Message::ErrorResponse(body)) => {
                let said = errors::from_fields(body.fields());
                self.broken = true;
                Err(said.unwrap_or_else(lost))
            }
            Ok(_) => Ok(()),
            Err(_) if timed_out => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.stream.set_read_timeout(timeout).map_err(|error| self.fail(error))
    }

    /// Takes the notices since the last call.
    pub(crate) fn take_notices(&mut self) -> Vec<SqlError> {
        self.notices.drain(..).collect()
    }

    fn fill(&mut self) -> Result<()> {
        match self.stream.read(&mut self.chunk) {
            Ok(0) => Err(self.fail("it closed it")),
            Ok(length) => {
                self.input.extend_from_slice(&self.chunk[..length]);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) if self.waiting && error.kind() == std::io::ErrorKind::WouldBlock => {
                self.timed_out = true;
                Err(lost("no notification came in time"))
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// The error with which the server ended the connection, when it said one.
    fn farewell(&mut self) -> Option<SqlError> {
        while let Ok(message) = self.receive() {
            if let Message::ErrorResponse(body) = message {
                self.broken = true;
                return errors::from_fields(body.fields()).ok();
            }
        }
        None
    }

    /// Marks the connection unusable.
    pub(crate) fn fail(&mut self, why: impl std::fmt::Display) -> SqlError {
        self.broken = true;
        lost(why)
    }

    /// Tells the server that the session ends.
    pub(crate) fn goodbye(&mut self) {
        if self.broken {
            return;
        }
        self.output.clear();
        postgres_protocol::message::frontend::terminate(&mut self.output);
        // A courtesy: the server sees the closed socket too.
        drop(self.stream.write_all(&self.output));
    }
}
