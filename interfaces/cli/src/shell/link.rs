//! The shell's connection, made again when the node has restarted.

use std::io;
use std::time::Duration;

use super::interrupts::Interrupts;
use crate::client::{Answer, CancelKey, Client, ClientError, CopySource, Each};
use crate::node::Target;

/// How long a lost node is looked for, and how often.
const RETRY: Duration = Duration::from_millis(200);
const RETRIES: u32 = 50;

/// A node, and the connection to it while there is one.
pub(super) struct Link {
    target: Target,
    client: Option<Client>,
    /// A transaction was open in a connection that is gone, and what followed it has not been refused yet.
    lost_block: bool,
}

impl Link {
    /// # Errors
    /// Where nobody answers, and how to start a node.
    pub(super) fn open(target: Target) -> anyhow::Result<Link> {
        let client = Some(target.client()?);
        Ok(Link { target, client, lost_block: false })
    }

    /// The connection.
    ///
    /// # Errors
    /// When it was lost and could not be made again.
    pub(super) fn client(&mut self) -> anyhow::Result<&mut Client> {
        match &mut self.client {
            Some(client) => Ok(client),
            lost => Ok(lost.insert(self.target.client()?)),
        }
    }

    /// What cancels its statements; `None` while it is lost.
    pub(super) fn cancel_key(&self) -> Option<CancelKey> {
        self.client.as_ref().map(|client| client.cancel_key().clone())
    }

    /// A setting that the node told of.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.client.as_ref()?.parameter(name)
    }

    /// `I`, `T`, `E`; `None` while it is lost.
    pub(super) fn status(&self) -> Option<u8> {
        self.client.as_ref().map(Client::status)
    }

    /// Whether a transaction was lost with its connection; said once, for the statement that it refuses.
    pub(super) fn take_lost_block(&mut self) -> bool {
        std::mem::take(&mut self.lost_block)
    }

    /// Sends a text of statements.
    ///
    /// # Errors
    /// When there is no connection any more.
    pub(super) fn query(
        &mut self,
        text: &str,
        source: CopySource<'_>,
        each: Each<'_>,
    ) -> anyhow::Result<Result<(), ClientError>> {
        Ok(self.client()?.query_copying(text, source, each))
    }

    /// The rows of one statement with parameters, for the shell's own questions.
    ///
    /// # Errors
    /// What the node says against it, and when there is no connection any more.
    pub(super) fn rows(
        &mut self,
        text: &str,
        parameters: &[Option<String>],
    ) -> anyhow::Result<Vec<Vec<Option<String>>>> {
        let (mut rows, mut error) = (Vec::new(), None);
        self.client()?.query_with(text, parameters, &mut |answer| {
            match answer {
                Answer::Row(row) => rows.push(row),
                Answer::Error(said) => error = Some(said.message),
                _ => {}
            }
            Ok(())
        })?;
        match error {
            Some(error) => anyhow::bail!("{error}"),
            None => Ok(rows),
        }
    }

    /// Hands over what the node said since the last statement; false when it has ended the connection.
    pub(super) fn is_alive(&mut self, each: &mut dyn FnMut(Answer) -> io::Result<()>) -> bool {
        self.client.as_mut().is_some_and(|client| client.idle(each).is_ok())
    }

    /// Looks for the node again for a while, or until Ctrl-C; whether there is a connection.
    pub(super) fn restore(&mut self, interrupts: &Interrupts) -> bool {
        self.lost_block |= matches!(self.status(), Some(b'T' | b'E'));
        self.client = None;
        interrupts.forget();
        for _ in 0..RETRIES {
            if self.client().is_ok() {
                return true;
            }
            if interrupts.wait(RETRY) {
                break;
            }
        }
        false
    }
}
