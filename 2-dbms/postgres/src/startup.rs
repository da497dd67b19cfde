//! Greeting and authentication.

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use tokio_postgres::config::ChannelBinding;
use tuplix_types::{Result, SqlError, sqlstate};

use crate::connection::{Connection, unexpected};
use crate::errors;

/// Who connects to what.
pub(crate) struct Greeting<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: Option<&'a [u8]>,
    pub(crate) database: &'a str,
    pub(crate) application_name: &'a str,
    pub(crate) options: Option<&'a str>,
    /// Whether a password has to be bound to the server's certificate.
    pub(crate) binding: ChannelBinding,
    pub(crate) settings: &'a [(&'a str, &'a str)],
}

/// Settings that shape text, fixed to the embedded engine's defaults, so that one text means one value on both.
pub(crate) const FIXED_SETTINGS: [(&str, &str); 3] =
    [("DateStyle", "ISO, MDY"), ("IntervalStyle", "postgres"), ("TimeZone", "UTC")];

/// Greets the server and authenticates; the backend's process id and its secret.
pub(crate) fn greet(connection: &mut Connection, greeting: &Greeting<'_>) -> Result<(i32, i32)> {
    let mut parameters = vec![
        ("user", greeting.user),
        ("database", greeting.database),
        ("application_name", greeting.application_name),
        ("client_encoding", "UTF8"),
    ];
    parameters.extend_from_slice(greeting.settings);
    parameters.extend(greeting.options.map(|options| ("options", options)));
    frontend::startup_message(parameters, &mut connection.output).map_err(zero_byte)?;
    connection.send()?;
    let mut key = (0, 0);
    loop {
        match connection.receive()? {
            Message::AuthenticationOk => {}
            Message::AuthenticationCleartextPassword => {
                let password = password(greeting)?;
                frontend::password_message(password, &mut connection.output).map_err(zero_byte)?;
                connection.send()?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(greeting.user.as_bytes(), password(greeting)?, body.salt());
                frontend::password_message(hash.as_bytes(), &mut connection.output).map_err(zero_byte)?;
                connection.send()?;
            }
            Message::AuthenticationSasl(body) => scram(connection, greeting, &body)?,
            Message::BackendKeyData(body) => key = (body.process_id(), body.secret_key()),
            Message::ReadyForQuery(_) => return Ok(key),
            Message::ErrorResponse(body) => {
                return Err(errors::from_fields(body.fields()).unwrap_or_else(|error| connection.fail(error)));
            }
            Message::AuthenticationGss | Message::AuthenticationKerberosV5 | Message::AuthenticationSspi => {
                return Err(SqlError::unsupported("the authentication that the PostgreSQL server asks for"));
            }
            _ => return Err(unexpected("while connecting")),
        }
    }
}

fn password<'a>(greeting: &Greeting<'a>) -> Result<&'a [u8]> {
    greeting.password.ok_or_else(|| {
        let message = format!("the PostgreSQL server asks for a password of user \"{}\"", greeting.user);
        SqlError::new(sqlstate::INVALID_PASSWORD, message)
            .hint("Put it into the address: postgres://user:password@host.")
    })
}

/// The mechanism, and what binds the password to the connection.
fn mechanism(
    connection: &mut Connection,
    greeting: &Greeting<'_>,
    body: &AuthenticationSaslBody,
) -> Result<(&'static str, sasl::ChannelBinding)> {
    let (mut plain, mut plus) = (false, false);
    let mut mechanisms = body.mechanisms();
    while let Some(mechanism) = mechanisms.next().map_err(|error| connection.fail(error))? {
        plain |= mechanism == sasl::SCRAM_SHA_256;
        plus |= mechanism == sasl::SCRAM_SHA_256_PLUS;
    }
    let end_point = connection.stream.end_point().filter(|_| greeting.binding != ChannelBinding::Disable);
    match end_point {
        Some(hash) if plus => {
            Ok((sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(hash)))
        }
        _ if greeting.binding == ChannelBinding::Require => {
            let message = "channel binding is required, but the connection or the server has none";
            Err(SqlError::new(sqlstate::INVALID_AUTHORIZATION_SPECIFICATION, message))
        }
        Some(_) if plain => Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested())),
        None if plain => Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported())),
        _ => Err(SqlError::unsupported("the authentication that the PostgreSQL server asks for")),
    }
}

fn scram(connection: &mut Connection, greeting: &Greeting<'_>, body: &AuthenticationSaslBody) -> Result<()> {
    let (mechanism, binding) = mechanism(connection, greeting, body)?;
    let mut scram = sasl::ScramSha256::new(password(greeting)?, binding);
    let output = &mut connection.output;
    frontend::sasl_initial_response(mechanism, scram.message(), output).map_err(zero_byte)?;
    connection.send()?;
    loop {
        match connection.receive()? {
            Message::AuthenticationSaslContinue(body) => {
                scram.update(body.data()).map_err(|error| refused(&error))?;
                frontend::sasl_response(scram.message(), &mut connection.output).map_err(zero_byte)?;
                connection.send()?;
            }
            Message::AuthenticationSaslFinal(body) => {
                return scram.finish(body.data()).map_err(|error| refused(&error));
            }
            Message::ErrorResponse(body) => {
                return Err(errors::from_fields(body.fields()).unwrap_or_else(|error| connection.fail(error)));
            }
            _ => return Err(unexpected("while authenticating")),
        }
    }
}

fn refused(error: &std::io::Error) -> SqlError {
    SqlError::new(
        sqlstate::INVALID_PASSWORD,
        format!("the PostgreSQL server did not prove who it is: {error}"),
    )
}

/// 22021: the protocol ends texts with a zero byte, none can hold one.
pub(crate) fn zero_byte(_: std::io::Error) -> SqlError {
    SqlError::new(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\": 0x00")
}
