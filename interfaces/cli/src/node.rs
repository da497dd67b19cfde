//! Sessions on a node: what every command but `up` begins with.
//!
//! A node is named by its data directory, where its socket is, or by host and port. The session is the same
//! [`Session`] that programs use in process, so the services' typed calls work on it.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tuplix::{Session, SessionOptions, SqlError, Tuplix, sqlstate};
use tuplix_services::Bucket;
use tuplix_services::fs::Fs;

use crate::client::{Client, ClientError, Place};
use crate::commands::DataDirectory;

/// Which node a command talks to.
#[derive(Args, Clone)]
pub(crate) struct Target {
    #[command(flatten)]
    data: DataDirectory,
    /// Connect by TCP to this host instead of the data directory's socket.
    #[arg(long, value_name = "NAME", env = "TUPLIX_HOST")]
    host: Option<String>,
    /// Connect by TCP to this port, on 127.0.0.1 unless --host names another machine.
    #[arg(long, value_name = "N", env = "TUPLIX_PORT")]
    port: Option<u16>,
}

/// A session, and who it belongs to.
pub(crate) struct Node {
    pub(crate) session: Session,
    pub(crate) user: String,
}

impl Target {
    /// Where the node listens. A directory without a socket is never another node's: whoever listens on the usual port may be
    /// anybody's.
    ///
    /// # Errors
    /// There is no socket in the data directory, and neither host nor port are given.
    pub(crate) fn place(&self) -> anyhow::Result<Place> {
        if self.host.is_some() || self.port.is_some() {
            let host = self.host.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
            return Ok(Place::Tcp(host, self.port.unwrap_or(tuplix_wire::DEFAULT_PORT)));
        }
        let directory = self.data.path();
        let socket = crate::client::find_socket(directory).map(Place::Socket);
        socket.with_context(|| {
            format!(
                "no node runs on {0}: it has no socket\n  Start one: tuplix up --data {0}\n  \
                 Or name the node's directory with --data or TUPLIX_DATA, or its port with --port.",
                directory.display()
            )
        })
    }

    /// The data directory, unless the node is named by host or port.
    pub(crate) fn directory(&self) -> Option<&std::path::Path> {
        let path = self.data.path();
        (self.host.is_none() && self.port.is_none() && path.is_dir()).then_some(path)
    }

    /// Opens a session.
    ///
    /// # Errors
    /// Where nobody answers, and how to start a node.
    pub(crate) fn connect(&self) -> anyhow::Result<Node> {
        let place = self.place()?;
        let user = user();
        let url = url(&place, &user)?;
        let reached = Tuplix::at(&url).and_then(|node| {
            let options = SessionOptions {
                user: user.clone(),
                application_name: "tuplix".to_owned(),
                ..SessionOptions::default()
            };
            node.session(&options)
        });
        match reached {
            Ok(session) => Ok(Node { session, user }),
            Err(error) if error.sqlstate() == sqlstate::CONNECTION_FAILURE => {
                let said = &error.fields().message;
                let why = said.rsplit_once(": ").map_or(said.as_str(), |(_, why)| why);
                Err(self.unreachable(&place, why))
            }
            Err(error) => Err(explain(error)),
        }
    }

    /// Opens a connection that gives answers as text, for showing them.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let place = self.place()?;
        Client::connect(&place).map_err(|error| match error {
            ClientError::Unreachable(why) => self.unreachable(&place, &why.to_string()),
            other => other.into(),
        })
    }

    fn unreachable(&self, place: &Place, why: &str) -> anyhow::Error {
        let start = match (&self.host, self.port) {
            (Some(host), _) => format!("on {host}: tuplix up"),
            (None, Some(port)) => format!("tuplix up --port {port}"),
            (None, None) => format!("tuplix up --data {}", self.data.path().display()),
        };
        anyhow::anyhow!("no node answers at {place}: {why}\n  Start one: {start}")
    }
}

impl Node {
    /// The user's home bucket; the user is made at first.
    pub(crate) fn home(&mut self) -> anyhow::Result<Bucket> {
        let fs = self.fs()?;
        fs.add_user(&mut self.session, &self.user, None).map_err(explain)
    }

    /// The calls of files.
    pub(crate) fn fs(&mut self) -> anyhow::Result<Fs> {
        Fs::new(&mut self.session).map_err(explain)
    }
}

/// The address of the node that runs on a data directory; `None` when none does.
pub(crate) fn running(directory: &std::path::Path) -> anyhow::Result<Option<String>> {
    match crate::client::find_socket(directory) {
        Some(socket) if std::os::unix::net::UnixStream::connect(&socket).is_ok() => {
            url(&Place::Socket(socket), &user()).map(Some)
        }
        _ => Ok(None),
    }
}

/// Who runs the command, as a name that a user of Tuplix can have.
pub(crate) fn user() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).or_else(account);
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    named
        .map(|name| name.to_ascii_lowercase())
        .filter(|name| name.len() <= 63 && name.bytes().all(valid))
        .filter(|name| name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_'))
        .unwrap_or_else(|| "tuplix".to_owned())
}

/// The name of the account that the command runs under, as this machine's own list has it.
fn account() -> Option<String> {
    let list = std::fs::read_to_string("/etc/passwd").ok()?;
    account_of(&list, rustix::process::getuid().as_raw())
}

/// name:password:number:...
fn account_of(list: &str, number: u32) -> Option<String> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

/// libpq's form, which takes any path.
fn url(place: &Place, user: &str) -> anyhow::Result<String> {
    let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let (host, port) = match place {
        Place::Tcp(host, port) => (host.clone(), *port),
        Place::Socket(path) => {
            let port = path.extension().and_then(|port| port.to_str()?.parse().ok());
            let folder = path.parent().map_or_else(PathBuf::new, PathBuf::from);
            let folder =
                folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
            let folder = folder.to_str().with_context(|| format!("{} is not UTF-8", folder.display()))?;
            (folder.to_owned(), port.context("the node's socket has no port in its name")?)
        }
    };
    let password = crate::client::password().map(|password| format!(" password={}", quote(&password)));
    let password = password.unwrap_or_default();
    Ok(format!("host={} port={port} user={} dbname=tuplix{password}", quote(&host), quote(user)))
}

/// An SQL error as `anyhow` carries it: message, detail, hint and SQLSTATE, a line each.
pub(crate) fn explain(error: SqlError) -> anyhow::Error {
    crate::commands::explain(&error)
}

#[cfg(test)]
mod tests {
    use super::account_of;

    #[test]
    fn accounts_have_names() {
        let list = "root:x:0:0:root:/root:/bin/bash\nodd line\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n";
        assert_eq!(account_of(list, 1000).as_deref(), Some("ada"));
        assert_eq!(account_of(list, 7), None);
    }
}
