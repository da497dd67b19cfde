//! Where a server is and as whom it is reached: URLs and libpq's `key=value`.
//!
//! tokio-postgres reads both, but knows no certificates: `sslmode` and `sslrootcert` are taken out of the text first.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tuplix_types::{Result, SqlError, sqlstate};

use crate::stream::Stream;
use crate::tls::{SslMode, Tls};

/// How long connecting may take unless the address says otherwise (`connect_timeout`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a server is, as whom it is reached, and whether encrypted.
#[derive(Clone, Debug)]
pub struct Address {
    pub(crate) config: Config,
    tls: Tls,
}

fn invalid(why: &str) -> SqlError {
    let message = format!("invalid address of a PostgreSQL server: {why}");
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
        .hint("It looks like postgres://user:password@host:port/database.")
}

impl FromStr for Address {
    type Err = SqlError;

    /// Reads `postgres://user:password@host:port/database?options`, or libpq's `host=... user=...`.
    ///
    /// # Errors
    /// 22023
    fn from_str(text: &str) -> Result<Address> {
        let mut tls = Tls::default();
        let mut take = |key: &str, value: Cow<'_, str>| {
            match key {
                "sslmode" => tls.mode = value.parse()?,
                "sslrootcert" => tls.root = Some(PathBuf::from(value.as_ref())),
                _ => return Ok(false),
            }
            Ok(true)
        };
        let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        let rest = if is_url { of_url(text, &mut take)? } else { of_pairs(text, &mut take)? };
        let config: Config = rest.parse().map_err(|error: tokio_postgres::Error| {
            invalid(&std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        Ok(Address { config, tls })
    }
}

/// Takes a parameter; false leaves it where it is.
type Take<'a> = &'a mut dyn FnMut(&str, Cow<'_, str>) -> Result<bool>;

/// A URL without the parameters that were taken.
fn of_url(text: &str, take: Take<'_>) -> Result<String> {
    let Some((place, parameters)) = text.split_once('?') else { return Ok(text.to_owned()) };
    let mut kept = Vec::new();
    for parameter in parameters.split('&') {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !take(key, decoded(value)?)? {
            kept.push(parameter);
        }
    }
    Ok(if kept.is_empty() { place.to_owned() } else { format!("{place}?{}", kept.join("&")) })
}

/// `%2f` and its kin, as bytes.
fn decoded(text: &str) -> Result<Cow<'_, str>> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(digits.ok_or_else(|| invalid("two digits have to follow a percent sign"))?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| invalid("it is not UTF-8"))
}

/// `key=value` pairs without those that were taken. What is no pair is left for the parser to refuse.
fn of_pairs(text: &str, take: Take<'_>) -> Result<String> {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((key, behind)) = rest.split_once('=') {
        let (value, length) = pair_value(behind);
        if !take(key.trim(), Cow::Owned(value))? {
            kept.push_str(&rest[..key.len() + 1 + length]);
            kept.push(' ');
        }
        rest = &behind[length..];
    }
    Ok(kept + rest)
}

/// A value, and how many bytes it takes: up to a space, or in quotes; a backslash stands before what is literal.
fn pair_value(text: &str) -> (String, usize) {
    let leading = text.len() - text.trim_start().len();
    let mut characters = text[leading..].char_indices().peekable();
    let quoted = characters.next_if(|(_, character)| *character == '\'').is_some();
    let mut value = String::new();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, character)| character)),
            '\'' if quoted => return (value, leading + at + 1),
            character if !quoted && character.is_whitespace() => return (value, leading + at),
            character => value.push(character),
        }
    }
    (value, text.len())
}

impl Address {
    /// A server that listens by TCP.
    pub fn tcp(host: &str, port: u16) -> Address {
        let mut config = Config::new();
        config.host(host).port(port);
        Address { config, tls: Tls::default() }
    }

    /// The socket of the server with this port in a folder.
    pub fn unix(folder: &Path, port: u16) -> Address {
        let mut config = Config::new();
        config.host_path(folder).port(port);
        Address { config, tls: Tls::default() }
    }

    /// The user that it names.
    pub fn user(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// The database that it names.
    pub fn database(&self) -> Option<&str> {
        self.config.get_dbname()
    }

    /// Whether it has a password.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// As this user.
    pub fn set_user(&mut self, user: &str) {
        self.config.user(user);
    }

    /// Into this database.
    pub fn set_database(&mut self, database: &str) {
        self.config.dbname(database);
    }

    /// With this password.
    pub fn set_password(&mut self, password: &str) {
        self.config.password(password);
    }

    /// Encrypted so.
    pub fn set_ssl_mode(&mut self, mode: SslMode) {
        self.tls.mode = mode;
    }

    /// With these root certificates, a file in PEM.
    pub fn set_root_certificates(&mut self, file: &Path) {
        self.tls.root = Some(file.to_owned());
    }

    /// Its hosts with their ports; a socket's host is its folder.
    pub fn hosts(&self) -> Vec<(String, u16)> {
        let name = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        };
        self.config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(number, host)| (name(host), self.port(number)))
            .collect()
    }

    fn port(&self, number: usize) -> u16 {
        let ports = self.config.get_ports();
        ports.get(number).or(ports.first()).copied().unwrap_or(5432)
    }

    /// Connects to the first host that answers.
    ///
    /// # Errors
    /// 08006 when nobody answers; 08001 for an unknown host, and where TLS is not as the address wants it; 22023 without a host.
    pub fn open(&self) -> Result<Stream> {
        let config = &self.config;
        let timeout = config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        let mut last = None;
        for (number, host) in config.get_hosts().iter().enumerate() {
            let port = self.port(number);
            let opened = match host {
                Host::Tcp(name) => {
                    let address = config.get_hostaddrs().get(number).map(ToString::to_string);
                    Stream::tcp(name, address, port, &self.tls, timeout)
                }
                Host::Unix(folder) => Stream::unix(folder, port),
            };
            match opened {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| invalid("it names no host")))
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, host) in self.config.get_hosts().iter().enumerate() {
            f.write_str(if number == 0 { "" } else { ", " })?;
            let port = self.port(number);
            match host {
                Host::Tcp(name) => write!(f, "{name}:{port}")?,
                Host::Unix(folder) => folder.join(format!(".s.PGSQL.{port}")).display().fmt(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_say_how_they_are_encrypted() {
        let url =
            "postgres://ada:w%20d@db:5433/tuplix?sslmode=verify-full&application_name=x&sslrootcert=%2fa%20b";
        let pairs = r"host=db port = 5433 user='ada' password='w d' sslmode = 'verify-full' sslrootcert='/a b' dbname=tuplix";
        for text in [url, pairs] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.tls.mode, SslMode::VerifyFull, "{text}");
            assert_eq!(address.tls.root.as_deref(), Some(Path::new("/a b")));
            assert_eq!((address.user(), address.database()), (Some("ada"), Some("tuplix")));
            assert_eq!(address.config.get_password(), Some(&b"w d"[..]));
            assert_eq!(address.to_string(), "db:5433");
        }
        let socket: Address = r"host='/a\'b' port=1 user=x sslmode=disable".parse().unwrap();
        assert_eq!(socket.to_string(), "/a'b/.s.PGSQL.1");
        assert_eq!(socket.tls.mode, SslMode::Disable);
        for text in [
            "postgres://h/d?sslmode=maybe",
            "sslmode=maybe",
            "nonsense",
            "host=h sslmode",
            "postgres://h?sslrootcert=%2",
        ] {
            let refused = text.parse::<Address>().map_err(|error| error.sqlstate());
            assert_eq!(refused.err(), Some(sqlstate::INVALID_PARAMETER_VALUE), "{text}");
        }
    }
}
