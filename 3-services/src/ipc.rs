//! Messages between tasks, graphs, users and whoever has a name.
//!
//! A receiver is a [`ReceiverId`]; its low six bits are its bucket. Sending never waits for the receiver: what is full refuses.
//! A receiver that is away finds its messages when it comes; one that waits listens to `os_mailbox_ID`.

use std::sync::Arc;

use tuplix::{Result, Session, Value};

use crate::ids::{Bucket, ReceiverId, Timestamp};
use crate::procedure::{Procedure, or_null, text};
use crate::service::{Service, service};

/// The messages' SQL.
pub const SERVICE: Service = service!(
    "ipc",
    1,
    [
        "address",
        "post_message",
        "send_message",
        "receive_messages",
        "open_mailbox",
        "sweep_messages",
        "send",
        "receive"
    ]
);

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number at its receiver: 1, 2, 3.
    pub number: i64,
    /// Who sent it.
    pub sender: ReceiverId,
    /// What it says.
    pub data: Arc<[u8]>,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// The messages' calls, prepared in one session; every call takes that session.
#[derive(Debug)]
pub struct Ipc {
    send: Procedure,
    receive: Procedure,
    open_mailbox: Procedure,
    sweep: Procedure,
}

impl Ipc {
    /// Prepares the calls.
    ///
    /// # Errors
    /// 42883 where the services are not installed.
    pub fn new(session: &mut Session) -> Result<Ipc> {
        let mut prepare = |sql| Procedure::new(session, sql);
        Ok(Ipc {
            send: prepare("SELECT os.send_message($1, $2, $3, $4, $5)")?,
            receive: prepare(
                "SELECT message_id, sender_id, data, sent_at FROM os.receive_messages($1, $2, $3, $4)",
            )?,
            open_mailbox: prepare("SELECT os.open_mailbox($1, $2, $3, $4)")?,
            sweep: prepare("SELECT os.sweep_messages($1)")?,
        })
    }

    /// Sends; the message's number at its receiver. A second send under the same key is the first one.
    ///
    /// # Errors
    /// `TXM01` when the receiver's mailbox is full, `TXM02` for a message that is too large.
    pub fn send(
        &self,
        session: &mut Session,
        sender: ReceiverId,
        receiver: ReceiverId,
        data: &[u8],
        idempotency_key: Option<&str>,
    ) -> Result<i64> {
        let (data, key) = (Value::bytea(data), or_null(idempotency_key, text));
        let arguments = [receiver.bucket().value(), sender.value(), receiver.value(), data, key];
        self.send.call_row(session, &arguments, |row| row.int(0))
    }

    /// Takes up to `count` messages in order, from one sender or from all. In a transaction they are consumed when it commits.
    ///
    /// # Errors
    /// The database's.
    pub fn receive(
        &self,
        session: &mut Session,
        receiver: ReceiverId,
        count: i32,
        only_from: Option<ReceiverId>,
    ) -> Result<Vec<Message>> {
        let only_from = or_null(only_from, ReceiverId::value);
        let arguments = [receiver.bucket().value(), receiver.value(), Value::Int4(count), only_from];
        self.receive.call_rows(session, &arguments, |row| {
            let sender = ReceiverId(row.int(1)?);
            Ok(Message { number: row.int(0)?, sender, data: row.bytes(2)?, sent_at: row.time(3)? })
        })
    }

    /// Gives a receiver a name to be shown and a bound of its own.
    ///
    /// # Errors
    /// The database's.
    pub fn open_mailbox(
        &self,
        session: &mut Session,
        receiver: ReceiverId,
        name: Option<&str>,
        messages_max: Option<i32>,
    ) -> Result<()> {
        let (name, most) = (or_null(name, text), or_null(messages_max, Value::Int4));
        self.open_mailbox.call(session, &[receiver.bucket().value(), receiver.value(), name, most]).map(drop)
    }

    /// Forgets received messages of a bucket that are older than the setting `ipc.history_ms`; how many.
    ///
    /// # Errors
    /// The database's.
    pub fn sweep(&self, session: &mut Session, bucket: Bucket) -> Result<i64> {
        self.sweep.call_row(session, &[bucket.value()], |row| row.int(0))
    }
}
