//! One connection: bytes in, bytes out, and the session's blocking work between.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tokio::task::block_in_place;
use tuplix::with_hand_off;
use tuplix_types::{Result, Severity, SqlError, sqlstate};

use crate::backend;
use crate::limits::{READ_BYTES, SHORT_BYTES};
use crate::output::Output;
use crate::protocol::{Protocol, Step};
use crate::startup::error_message;

/// How long a client that is being shut out may take to read its last answers.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// How a connection ended.
enum End {
    /// The client left.
    Gone,
    /// We end it, for this reason.
    Refused(SqlError),
}

/// Serves a greeted session until the client leaves, an error ends it or `shutdown` turns true.
///
/// `input` holds what the client sent behind its start-up packet, `greeting` what it has not been sent.
pub(crate) async fn serve(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    mut protocol: Protocol,
    mut input: BytesMut,
    greeting: BytesMut,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut output = Output::default();
    output.ready = greeting;
    let end = converse(&mut reader, &mut writer, &mut protocol, &mut input, &mut output, &mut shutdown).await;
    if let Ok(End::Refused(error)) = &end {
        protocol.count_error(error);
    }
    // What is open is rolled back before the client can see that its connection has ended.
    block_in_place(|| drop(protocol));
    match end {
        Ok(End::Gone) => {}
        Ok(End::Refused(error)) => farewell(&mut writer, &mut output, &error).await,
        Err(error) => tracing::debug!(event = "connection_lost", %error, "connection lost"),
    }
}

async fn converse(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    protocol: &mut Protocol,
    input: &mut BytesMut,
    output: &mut Output,
    shutdown: &mut watch::Receiver<bool>,
) -> io::Result<End> {
    let mut step = Step::NeedsInput;
    let notified = Arc::new(Notify::new());
    let waker = Arc::clone(&notified);
    protocol.on_notification(Arc::new(move || waker.notify_one()));
    let mut fresh_input = !input.is_empty();
    let mut client_left = false;
    loop {
        if fresh_input || (step == Step::OutputFull && !output.is_full()) {
            let handled = handle(protocol, input, output);
            protocol.count();
            match handled {
                Ok(next) => step = next,
                Err(error) => return Ok(End::Refused(error)),
            }
            fresh_input = false;
        }
        if let Err(error) = output.release() {
            return Ok(End::Refused(lost_commit(error)));
        }
        let settled = output.ready.is_empty() && !output.waits();
        if settled && (client_left || step == Step::Terminated) {
            return Ok(End::Gone);
        }
        if *shutdown.borrow_and_update() {
            return Ok(End::Refused(administrator_command()));
        }
        let reads = step == Step::NeedsInput && !client_left && !output.is_full();
        input.reserve(if reads { READ_BYTES } else { 0 });
        let (waits, decided) = (output.waits(), output.decided());
        // Time counts from the last answer, and a part of a message is not nothing.
        let idle = protocol.idle_limit().filter(|_| reads && settled && input.is_empty());
        let idle_over = async {
            if let Some(limit) = idle {
                tokio::time::sleep(limit).await;
            }
        };
        tokio::select! {
            biased;
            written = writer.write_buf(&mut output.ready), if output.ready.has_remaining() => {
                match written? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    length => protocol.tally.sent += length as u64,
                }
            }
            () = decided, if waits => {}
            () = notified.notified(), if step == Step::NeedsInput => {
                if let Err(error) = protocol.notifications(output) {
                    return Ok(End::Refused(error));
                }
            }
            read = reader.read_buf(input), if reads => match read? {
                // Requests that were whole have been answered; their answers still leave.
                0 => client_left = true,
                length => {
                    protocol.tally.received += length as u64;
                    fresh_input = true;
                }
            },
            () = idle_over, if idle.is_some() => {
                return Ok(End::Refused(protocol.idle_too_long()));
            }
            changed = shutdown.changed() => {
                if changed.is_err() {
                    return Ok(End::Refused(administrator_command()));
                }
            }
        }
    }
}

/// Answers what has come. Short statements run here, on a thread that many connections share; one that waits after all gives the
/// others to another thread first.
fn handle(protocol: &mut Protocol, input: &mut BytesMut, output: &mut Output) -> Result<Step> {
    apart(input.len() <= SHORT_BYTES, || {
        with_hand_off(|wait| block_in_place(wait), || protocol.handle(input, output))
    })
}

/// Runs what is not short where no other connection waits for it.
pub(crate) fn apart<T>(short: bool, work: impl FnOnce() -> T) -> T {
    if short { work() } else { block_in_place(work) }
}

/// Sends what may still be sent, and why the connection ends.
async fn farewell(writer: &mut (impl AsyncWrite + Unpin), output: &mut Output, error: &SqlError) {
    let send = async {
        while output.waits() && output.release().is_ok() {
            if output.waits() {
                output.decided().await;
            }
        }
        if backend::error(&mut output.ready, error).is_err() {
            output.ready.extend_from_slice(&error_message(error));
        }
        writer.write_all(&output.ready).await?;
        writer.shutdown().await
    };
    match tokio::time::timeout(FAREWELL_TIMEOUT, send).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(event = "client_left", %error, "the client left before it heard why")
        }
        Err(_) => tracing::debug!(event = "client_deaf", "the client did not read why its connection ended"),
    }
}

/// 57P01, as PostgreSQL says it.
pub(crate) fn administrator_command() -> SqlError {
    SqlError::new(sqlstate::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
        .severity(Severity::Fatal)
}

/// The log could not make a commit durable. Nobody may be told that it happened.
fn lost_commit(error: SqlError) -> SqlError {
    tracing::error!(event = "commit_lost", %error, "a commit did not reach the log; connection ended");
    error.severity(Severity::Fatal)
}

/// Waits for nothing longer than `limit`.
///
/// # Errors
/// The fatal error for a client that takes too long to start.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(SqlError::new(sqlstate::QUERY_CANCELED, "canceling authentication due to timeout")
            .severity(Severity::Fatal)),
    }
}
