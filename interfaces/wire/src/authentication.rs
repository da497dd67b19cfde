//! Who may come in: the host rule that fits decides how a client proves who it is.
//!
//! ```text
//!   node.entry ──> trust   nothing      reject  no
//!                  peer    the user at the other end of the local socket, as the kernel says
//!                  scram   SCRAM-SHA-256, over TLS bound to the server's certificate; pgwire's state machine
//! ```
//! A role that is not there, has no password or whose password has expired goes through the same exchange with a
//! verifier that nothing fits, and fails with the same words: a stranger does not learn which names exist.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth};
use pgwire::messages::startup::Authentication;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tuplix::password::Verifier;
use tuplix::{Caller, LoginMethod, Tuplix};
use tuplix_types::{Result, Severity, SqlError, SqlState, sqlstate};

use crate::backend;
use crate::frontend::first_frame;
use crate::guesses::Guesses;
use crate::startup::Parameters;

const MECHANISM: &str = "SCRAM-SHA-256";
const MECHANISM_BOUND: &str = "SCRAM-SHA-256-PLUS";

/// Where a connection comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The local socket; the user id at the other end.
    Socket(io::Result<u32>),
    /// TCP.
    Tcp {
        /// The other end.
        address: SocketAddr,
        /// The server's certificates, in PEM, when the connection is encrypted.
        certificate: Option<Vec<u8>>,
    },
}

impl Origin {
    /// The address as refusals are remembered by it.
    pub(crate) fn address(&self) -> Option<String> {
        match self {
            Origin::Socket(_) => None,
            Origin::Tcp { address, .. } => Some(address.ip().to_canonical().to_string()),
        }
    }

    fn certificate(&self) -> Option<&[u8]> {
        match self {
            Origin::Tcp { certificate, .. } => certificate.as_deref(),
            Origin::Socket(_) => None,
        }
    }
}

/// What all connections share at the door.
#[derive(Debug)]
pub(crate) struct Door {
    secret: [u8; 32],
    guesses: Guesses,
    /// Host rules count for nothing: the node's own user comes in by the local socket, and nobody else.
    rescue: bool,
}

impl Door {
    /// A door; `secret` makes the verifiers that nothing fits.
    pub(crate) fn new(secret: [u8; 32], rescue: bool) -> Door {
        Door { secret, guesses: Guesses::default(), rescue }
    }

    /// Lets a client in, or does not.
    ///
    /// # Errors
    /// 28000 and 28P01: the fatal error that the client is to be sent.
    pub(crate) async fn admit(
        &self,
        node: &Tuplix,
        stream: Stream<'_, impl AsyncRead + Unpin, impl AsyncWrite + Unpin>,
        parameters: &Parameters,
        origin: &Origin,
    ) -> Result<()> {
        let (user, database) = (parameters.user.as_str(), parameters.database.as_str());
        let address = match origin {
            Origin::Socket(_) => None,
            Origin::Tcp { address, .. } => Some(address.ip().to_canonical()),
        };
        let caller = Caller { address, tls: origin.certificate().is_some(), database, user };
        let entry = node.entry(&caller);
        let method = match (self.rescue, address) {
            (false, _) => entry.method,
            (true, None) => Some(LoginMethod::Peer),
            (true, Some(_)) => None,
        };
        match method {
            None => return Err(no_rule(&caller)),
            Some(LoginMethod::Reject) => return Err(rejected(&caller)),
            Some(LoginMethod::Trust) => {}
            Some(LoginMethod::Peer) => check_peer(origin, user)?,
            Some(LoginMethod::Scram) => {
                let password = entry.role.as_ref().and_then(|role| role.password.as_deref());
                let verifier = password.filter(|_| !entry.expired).and_then(Verifier::parse);
                let verifier = verifier.unwrap_or_else(|| Verifier::mock(user, &self.secret));
                self.exchange(stream, verifier, user, origin).await?;
            }
        }
        match entry.role {
            Some(role) if !role.login && !self.rescue => {
                Err(invalid(format!("role \"{user}\" is not permitted to log in")))
            }
            _ => Ok(()),
        }
    }

    /// The four messages of SCRAM.
    async fn exchange(
        &self,
        mut stream: Stream<'_, impl AsyncRead + Unpin, impl AsyncWrite + Unpin>,
        verifier: Verifier,
        user: &str,
        origin: &Origin,
    ) -> Result<()> {
        let mut scram = ScramServerAuth::new();
        if let Some(certificate) = origin.certificate()
            && let Err(error) = scram.configure_certificate(certificate)
        {
            // Signatures without a hash of their own, as Ed25519's, have no channel binding.
            tracing::debug!(event = "no_channel_binding", %error, "the certificate does not bind channels");
        }
        let bound = scram.supports_channel_binding();
        let offered = [(bound, MECHANISM_BOUND), (true, MECHANISM)];
        let offered = offered.into_iter().filter(|(on, _)| *on).map(|(_, name)| name.to_owned()).collect();
        stream.send(&Authentication::SASL(offered)).await?;

        let first = stream.password_message().await?;
        let (mechanism, first) = initial_response(&first)?;
        // A client that could bind says so by its choice of mechanism and its flag, and both have to agree.
        let binds = first.starts_with(b"p=");
        if !(mechanism == MECHANISM && !binds || mechanism == MECHANISM_BOUND && bound && binds) {
            return Err(violation("client selected an invalid SASL authentication mechanism"));
        }
        let secret = ScramSecret::Verifier {
            salt: verifier.salt,
            iterations: verifier.iterations as usize,
            stored_key: verifier.stored_key,
            server_key: verifier.server_key,
        };
        let malformed = |_| violation("malformed SCRAM message");
        let (challenge, waiting) =
            scram.on_client_first_message_with_secret(first, secret).map_err(malformed)?;
        stream.send(&Authentication::SASLContinue(challenge.into())).await?;
        let last = stream.password_message().await?;
        let turn = self.guesses.turn(origin.address(), user).await;
        let Ok(proof) = waiting.on_client_final_message(&last) else {
            turn.failed();
            let message = format!("password authentication failed for user \"{user}\"");
            return Err(fatal(sqlstate::INVALID_PASSWORD, message));
        };
        turn.succeeded();
        stream.send(&Authentication::SASLFinal(proof.into())).await
    }
}

/// A connection's two directions, and what was read and not looked at.
pub(crate) struct Stream<'a, R, W> {
    /// From the client.
    pub reader: &'a mut R,
    /// To the client.
    pub writer: &'a mut W,
    /// Read already.
    pub input: &'a mut BytesMut,
}

fn fatal(state: SqlState, message: String) -> SqlError {
    SqlError::new(state, message).severity(Severity::Fatal)
}

fn invalid(message: String) -> SqlError {
    fatal(sqlstate::INVALID_AUTHORIZATION_SPECIFICATION, message)
}

/// Who asks for what, as PostgreSQL says it.
fn described(caller: &Caller<'_>) -> String {
    let host = caller.address.map_or_else(|| "[local]".to_owned(), |address| address.to_string());
    let encryption = if caller.tls { "SSL encryption" } else { "no encryption" };
    format!("host \"{host}\", user \"{}\", database \"{}\", {encryption}", caller.user, caller.database)
}

fn no_rule(caller: &Caller<'_>) -> SqlError {
    invalid(format!("no host rule for {}", described(caller)))
        .hint("A superuser makes one with set_host_rule().")
}

fn rejected(caller: &Caller<'_>) -> SqlError {
    invalid(format!("a host rule rejects connection for {}", described(caller)))
}

/// The node's own user and root may be any role: they could read the data directory as well. Everybody else is the role
/// of his own name.
fn check_peer(origin: &Origin, user: &str) -> Result<()> {
    let failed = |detail: String| {
        Err(invalid(format!("Peer authentication failed for user \"{user}\"")).detail(detail))
    };
    let own = rustix::process::geteuid().as_raw();
    match origin {
        Origin::Socket(Ok(uid)) if *uid == own || *uid == 0 => Ok(()),
        Origin::Socket(Ok(uid)) => match account(*uid) {
            Some(name) if name == user => Ok(()),
            Some(name) => failed(format!("The client runs as system user \"{name}\".")),
            None => failed(format!("The client runs as user id {uid}, which /etc/passwd does not list.")),
        },
        Origin::Socket(Err(error)) => failed(format!("The client's user id cannot be read: {error}.")),
        Origin::Tcp { .. } => failed("The client came by TCP.".to_owned()),
    }
}

/// The name of an account of this machine.
fn account(uid: u32) -> Option<String> {
    let list = std::fs::read_to_string("/etc/passwd").ok()?;
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Mechanism and data of a `SASLInitialResponse`.
fn initial_response(mut body: &[u8]) -> Result<(&str, &[u8])> {
    let malformed = || violation("malformed SASL response");
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
    let mechanism = std::str::from_utf8(&body[..end]).map_err(|_| malformed())?;
    body.advance(end + 1);
    if body.remaining() < 4 {
        return Err(malformed());
    }
    let length = body.get_i32();
    match usize::try_from(length) {
        Ok(length) if length == body.len() => Ok((mechanism, body)),
        _ => Err(malformed()),
    }
}

fn violation(message: &str) -> SqlError {
    fatal(sqlstate::PROTOCOL_VIOLATION, message.to_owned())
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Stream<'_, R, W> {
    async fn send(&mut self, message: &Authentication) -> Result<()> {
        let mut buffer = BytesMut::new();
        backend::put(&mut buffer, message)?;
        let sent = async {
            self.writer.write_all(&buffer).await?;
            self.writer.flush().await
        };
        sent.await.map_err(|_| left())
    }

    /// The body of the next message, which has to be one of passwords.
    async fn password_message(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(frame) = first_frame(self.input)? {
                if frame.kind != b'p' {
                    let message = format!("expected SASL response, got message type {}", frame.kind);
                    return Err(violation(&message));
                }
                let (body, length) = (frame.body.to_vec(), frame.length());
                self.input.advance(length);
                return Ok(body);
            }
            match self.reader.read_buf(self.input).await {
                Ok(0) | Err(_) => return Err(left()),
                Ok(_) => {}
            }
        }
    }
}

/// The client went away, as psql does to ask for a password: no refusal, nobody was told anything.
fn left() -> SqlError {
    fatal(sqlstate::CONNECTION_FAILURE, "the client left before it had proved who it is".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn peers_are_checked_by_user_id() {
        let own = rustix::process::geteuid().as_raw();
        assert!(check_peer(&Origin::Socket(Ok(own)), "ada").is_ok());
        assert!(check_peer(&Origin::Socket(Ok(0)), "ada").is_ok());
        // `daemon` is 1 everywhere.
        let daemon = Origin::Socket(Ok(if own == 1 { 2 } else { 1 }));
        let name = account(if own == 1 { 2 } else { 1 }).unwrap();
        assert!(check_peer(&daemon, &name).is_ok());
        let error = check_peer(&daemon, "ada").unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate::INVALID_AUTHORIZATION_SPECIFICATION);
        assert_eq!(error.message(), "Peer authentication failed for user \"ada\"");
    }

    #[test]
    fn initial_responses_are_read() {
        assert_eq!(initial_response(b"M\0\0\0\0\x02ab").unwrap(), ("M", &b"ab"[..]));
        for damaged in [&b""[..], b"M", b"M\0", b"M\0\0\0\0\x03ab", b"M\0\xff\xff\xff\xff", b"\xff\0\0\0\0\0"]
        {
            assert!(initial_response(damaged).is_err(), "{damaged:?}");
        }
    }
}
