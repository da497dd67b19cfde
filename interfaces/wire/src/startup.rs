//! The first packet of a connection: who wants what session, or a request to cancel.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, BytesMut};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, SecretKey};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tuplix::{Session, SessionOptions, Tuplix};
use tuplix_types::binary_io::utf8;
use tuplix_types::{Result, Severity, SqlError, sqlstate};

use crate::backend;
use crate::limits::SMALL_MESSAGE_BYTES_MAX;

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_ENCRYPTION_REQUEST: u32 = 80_877_104;

/// What a connection's first packets asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A session.
    Session(Parameters),
    /// Cancel what a session is doing.
    Cancel {
        /// The session.
        id: u32,
        /// Its secret.
        secret: i32,
    },
    /// Encryption, and has been told that it may begin.
    Encrypt,
    /// The client went away.
    Gone,
}

/// The start-up packet's parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// The user's name.
    pub user: String,
    /// The database's name, the user's unless given.
    pub database: String,
    /// Everything else, settings of the session.
    pub settings: BTreeMap<String, String>,
    /// Protocol options (`_pq_....`), none of which we know.
    unknown_options: Vec<String>,
    minor_version: u16,
}

/// Reads packets until one says what the client wants; a wish for TLS is granted where it is offered.
///
/// # Errors
/// A fatal error to send before the connection is closed.
pub(crate) async fn read_request(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    input: &mut BytesMut,
    offers_tls: bool,
) -> Result<Request> {
    loop {
        let Some(packet) = read_packet(stream, input).await? else {
            return Ok(Request::Gone);
        };
        let code = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]);
        match code {
            SSL_REQUEST | GSS_ENCRYPTION_REQUEST => {
                let granted = offers_tls && code == SSL_REQUEST;
                if stream.write_all(if granted { b"S" } else { b"N" }).await.is_err() {
                    return Ok(Request::Gone);
                }
                if granted {
                    return Ok(Request::Encrypt);
                }
            }
            CANCEL_REQUEST => {
                let mut body = &packet[4..];
                if body.len() != 8 {
                    return Err(violation("invalid length of cancel request packet"));
                }
                return Ok(Request::Cancel { id: body.get_u32(), secret: body.get_i32() });
            }
            version => return parameters(version, &packet[4..]).map(Request::Session),
        }
    }
}

/// One packet without its length; at least four bytes. `None` when the client is gone.
async fn read_packet(
    reader: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
) -> Result<Option<BytesMut>> {
    loop {
        if let Some(length) = input.get(..4) {
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
            if !(8..=SMALL_MESSAGE_BYTES_MAX).contains(&length) {
                return Err(violation("invalid length of startup packet"));
            }
            if input.len() >= length {
                let mut packet = input.split_to(length);
                packet.advance(4);
                return Ok(Some(packet));
            }
        }
        match reader.read_buf(input).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

pub(crate) fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::PROTOCOL_VIOLATION, message).severity(Severity::Fatal)
}

/// Decodes a start-up packet.
fn parameters(version: u32, mut body: &[u8]) -> Result<Parameters> {
    let (major, minor) = (version >> 16, version as u16);
    if major != 3 {
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
        return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).severity(Severity::Fatal));
    }
    let mut found = Parameters { minor_version: minor, ..Parameters::default() };
    loop {
        let name = text(&mut body)?;
        if name.is_empty() {
            break;
        }
        let value = text(&mut body)?;
        match name {
            "user" => found.user = value.to_owned(),
            "database" => found.database = value.to_owned(),
            "replication" if !matches!(value, "false" | "off" | "no" | "0") => {
                return Err(SqlError::unsupported("the replication protocol").severity(Severity::Fatal));
            }
            "replication" => {}
            "options" => options(value, &mut found.settings)?,
            _ if name.starts_with("_pq_.") => found.unknown_options.push(name.to_owned()),
            _ => drop(found.settings.insert(name.to_owned(), value.to_owned())),
        }
    }
    if found.user.is_empty() {
        return Err(SqlError::new(
            sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
            "no PostgreSQL user name specified in startup packet",
        )
        .severity(Severity::Fatal));
    }
    if found.database.is_empty() {
        found.database = found.user.clone();
    }
    Ok(found)
}

fn text<'a>(body: &mut &'a [u8]) -> Result<&'a str> {
    let end = body.iter().position(|&byte| byte == 0);
    let end =
        end.ok_or_else(|| violation("invalid startup packet layout: expected terminator as last byte"))?;
    let text = utf8(&body[..end]).map_err(|error| error.severity(Severity::Fatal))?;
    *body = &body[end + 1..];
    Ok(text)
}

/// Reads the `options` parameter: `-c name=value` and `--name=value`, a backslash before what is literal.
fn options(text: &str, settings: &mut BTreeMap<String, String>) -> Result<()> {
    let mut words = split_options(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting.to_owned(),
            None => match word.strip_prefix("-c") {
                Some("") => words.next().unwrap_or_default(),
                Some(setting) => setting.to_owned(),
                None => String::new(),
            },
        };
        let Some((name, value)) = setting.split_once('=') else {
            return Err(SqlError::new(
                sqlstate::SYNTAX_ERROR,
                format!("invalid command-line argument for server process: {word}"),
            )
            .severity(Severity::Fatal));
        };
        settings.insert(name.replace('-', "_"), value.to_owned());
    }
    Ok(())
}

fn split_options(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            character if character.is_ascii_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            character => word.push(character),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Opens the session and applies the settings that the client started with.
///
/// # Errors
/// What the node or a setting says against it; fatal.
pub(crate) fn open_session(node: &Tuplix, parameters: &Parameters) -> Result<Session> {
    let open = || {
        let mut session = node.session(&SessionOptions {
            user: parameters.user.clone(),
            database: parameters.database.clone(),
            application_name: parameters.settings.get("application_name").cloned().unwrap_or_default(),
        })?;
        for (name, value) in &parameters.settings {
            match name.to_ascii_lowercase().as_str() {
                "application_name" => {}
                "client_encoding" => check_encoding(value)?,
                name => session.set(name, value)?,
            }
        }
        drop(session.take_changed_settings());
        Ok(session)
    };
    open().map_err(|error: SqlError| error.severity(Severity::Fatal))
}

/// All text is UTF-8 inside and on the wire.
fn check_encoding(name: &str) -> Result<()> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Ok(()),
        _ => Err(SqlError::unsupported(format_args!("client encoding \"{name}\"")).hint("Use UTF8.")),
    }
}

/// The greeting of a session: authenticated, its settings, its cancel key, ready.
///
/// # Errors
/// None that a client can cause.
pub(crate) fn greeting(session: &Session, parameters: &Parameters) -> Result<BytesMut> {
    let mut buffer = BytesMut::with_capacity(1024);
    if parameters.minor_version > 0 || !parameters.unknown_options.is_empty() {
        let options = parameters.unknown_options.clone();
        backend::put(&mut buffer, &NegotiateProtocolVersion::new(0, options))?;
    }
    backend::put(&mut buffer, &Authentication::Ok)?;
    for (name, value) in session.reported_settings() {
        backend::parameter_status(&mut buffer, name, value)?;
    }
    let secret = SecretKey::I32(session.secret());
    backend::put(&mut buffer, &BackendKeyData::new(session.id() as i32, secret))?;
    backend::ready(&mut buffer, session.transaction_status())?;
    Ok(buffer)
}

/// The bytes of an error alone.
pub(crate) fn error_message(error: &SqlError) -> BytesMut {
    let mut buffer = BytesMut::new();
    if backend::error(&mut buffer, error).is_err() {
        buffer.clear();
        buffer.put_slice(b"E\0\0\0\x05\0");
    }
    buffer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const VERSION_3_0: u32 = 3 << 16;

    #[test]
    fn parameters_are_read() {
        let body = b"user\0ada\0options\0-c search_path=a\\ b --work-mem=4MB\0application_name\0psql\0\0";
        let found = parameters(VERSION_3_0, body).unwrap();
        assert_eq!((found.user.as_str(), found.database.as_str()), ("ada", "ada"));
        let settings: Vec<_> = found.settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(settings, [("application_name", "psql"), ("search_path", "a b"), ("work_mem", "4MB")]);
    }

    #[test]
    fn damaged_packets_are_refused() {
        for body in [&b""[..], b"user\0", b"user\0ada", b"\0", b"user\0\xff\0\0"] {
            let error = parameters(VERSION_3_0, body).unwrap_err();
            assert_eq!(error.fields().severity, Severity::Fatal, "{body:?}");
        }
        assert_eq!(parameters(2 << 16, b"\0").unwrap_err().sqlstate(), sqlstate::FEATURE_NOT_SUPPORTED);
    }
}
