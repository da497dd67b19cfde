//! Sessions on a node: what every command but `up` begins with.
//!
//! A node is named by its data directory, where its socket is, by host and port, or by a URL. The session is the same
//! [`Session`] that programs use in process, so the services' typed calls work on it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use clap::Args;
use tuplix::{Address, Session, SessionOptions, SqlError, SslMode, Tuplix, sqlstate};
use tuplix_services::Bucket;
use tuplix_services::fs::Fs;

use crate::client::{Client, socket_address};
use crate::commands::DataDirectory;
use crate::password;

/// The one database of a node.
const DATABASE: &str = "tuplix";

/// Which node a command talks to, as whom and how.
#[derive(Args, Clone)]
pub(crate) struct Target {
    #[command(flatten)]
    data: DataDirectory,
    /// Connect by TCP to this host instead of the data directory's socket.
    #[arg(long, value_name = "NAME", env = "TUPLIX_HOST", help_heading = CONNECTION)]
    host: Option<String>,
    /// Connect by TCP to this port, on 127.0.0.1 unless --host names another machine.
    #[arg(long, value_name = "N", env = "TUPLIX_PORT", help_heading = CONNECTION)]
    port: Option<u16>,
    /// Connect to this address, as postgres://USER@HOST:PORT or host=... port=..., in place of --host and --port.
    #[arg(long, value_name = "URL", env = "TUPLIX_URL", hide_env_values = true, conflicts_with_all = ["host", "port"],
          help_heading = CONNECTION)]
    url: Option<Address>,
    /// The role to log in as, whose files, tasks and messages are meant. By default the user in USER or LOGNAME, else the account.
    #[arg(short = 'U', long, value_name = "NAME", env = "TUPLIX_USER", help_heading = CONNECTION)]
    user: Option<String>,
    /// Encryption by TCP: disable, prefer (the default), require, verify-ca or verify-full.
    #[arg(long, value_name = "MODE", env = "PGSSLMODE", help_heading = CONNECTION)]
    sslmode: Option<SslMode>,
    /// The root certificates for verify-ca and verify-full, in PEM. By default ~/.postgresql/root.crt.
    #[arg(long, value_name = "FILE", env = "PGSSLROOTCERT", help_heading = CONNECTION)]
    sslrootcert: Option<PathBuf>,
    /// What somebody typed, so that nobody is asked twice.
    #[arg(skip)]
    typed: Arc<Mutex<Option<String>>>,
}

/// Where help lists what says how to connect.
const CONNECTION: &str =
    "Connection (the password is that of PGPASSWORD, PGPASSFILE or ~/.pgpass, or asked for)";

/// A session, and who it belongs to.
pub(crate) struct Node {
    pub(crate) session: Session,
    pub(crate) user: String,
}

impl Target {
    /// The role that the command logs in as.
    pub(crate) fn user(&self) -> String {
        let of_url = || self.url.as_ref().and_then(|url| url.user().map(str::to_owned));
        self.user.clone().or_else(of_url).unwrap_or_else(user)
    }

    /// Whether the node is named by something else than its data directory.
    fn is_elsewhere(&self) -> bool {
        self.host.is_some() || self.port.is_some() || self.url.is_some()
    }

    /// Where the node listens. A directory without a socket is never another node's: whoever listens on the usual port may be
    /// anybody's.
    ///
    /// # Errors
    /// There is no socket in the data directory, and neither host, port nor URL are given.
    fn address(&self) -> anyhow::Result<Address> {
        let mut address = match &self.url {
            Some(url) => url.clone(),
            None if self.is_elsewhere() => {
                let host = self.host.as_deref().unwrap_or("127.0.0.1");
                Address::tcp(host, self.port.unwrap_or(tuplix_wire::DEFAULT_PORT))
            }
            None => {
                let directory = self.data.path();
                let socket = crate::client::find_socket(directory);
                let address = socket.and_then(|socket| socket_address(&socket));
                address.with_context(|| {
                    format!(
                        "no node runs on {0}: it has no socket\n  Start one: tuplix up --data {0}\n  \
                         Or name the node's directory with --data or TUPLIX_DATA, or its port with --port.",
                        directory.display()
                    )
                })?
            }
        };
        address.set_user(&self.user());
        if address.database().is_none() {
            address.set_database(DATABASE);
        }
        if let Some(mode) = self.sslmode {
            address.set_ssl_mode(mode);
        }
        if let Some(file) = &self.sslrootcert {
            address.set_root_certificates(file);
        }
        Ok(address)
    }

    /// The data directory, unless the node is named otherwise.
    pub(crate) fn directory(&self) -> Option<&Path> {
        let path = self.data.path();
        (!self.is_elsewhere() && path.is_dir()).then_some(path)
    }

    /// Opens a session.
    ///
    /// # Errors
    /// Where nobody answers, and how to start a node; why nobody is let in.
    pub(crate) fn connect(&self) -> anyhow::Result<Node> {
        let session = self.enter(|address| {
            let options =
                SessionOptions { application_name: "tuplix".to_owned(), ..SessionOptions::default() };
            Tuplix::at_address(address).session(&options)
        })?;
        Ok(Node { session, user: self.user() })
    }

    /// Opens a connection that gives answers as text, for showing them.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.enter(Client::connect)
    }

    /// Goes in with the password that is known, and with one that is asked for when the node wants one.
    fn enter<T>(&self, open: impl Fn(Address) -> Result<T, SqlError>) -> anyhow::Result<T> {
        let mut address = self.address()?;
        if !address.has_password() {
            let typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(password) = typed.or_else(|| password::known(&address)) {
                address.set_password(&password);
            }
        }
        match open(address.clone()) {
            Err(error) if error.sqlstate() == sqlstate::INVALID_PASSWORD && !address.has_password() => {
                let user = self.user();
                let password = password::ask(&user)?.with_context(|| {
                    format!(
                        "the node asks for a password of user \"{user}\"\n  \
                         Put it into PGPASSWORD or ~/.pgpass, or connect by the socket of the data directory."
                    )
                })?;
                address.set_password(&password);
                let opened = open(address.clone()).map_err(|error| self.refused(&address, error))?;
                *self.typed.lock().unwrap_or_else(PoisonError::into_inner) = Some(password);
                Ok(opened)
            }
            opened => opened.map_err(|error| self.refused(&address, error)),
        }
    }

    /// Why there is no session.
    fn refused(&self, address: &Address, error: SqlError) -> anyhow::Error {
        if error.sqlstate() != sqlstate::CONNECTION_FAILURE {
            return explain(error);
        }
        let said = &error.fields().message;
        let why = said.rsplit_once(": ").map_or(said.as_str(), |(_, why)| why);
        let start = match (&self.host, self.port) {
            _ if self.url.is_some() => "there: tuplix up".to_owned(),
            (Some(host), _) => format!("on {host}: tuplix up"),
            (None, Some(port)) => format!("tuplix up --port {port}"),
            (None, None) => format!("tuplix up --data {}", self.data.path().display()),
        };
        anyhow::anyhow!("no node answers at {address}: {why}\n  Start one: {start}")
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
pub(crate) fn running(directory: &Path) -> Option<Address> {
    let socket = crate::client::find_socket(directory)?;
    std::os::unix::net::UnixStream::connect(&socket).ok()?;
    let mut address = socket_address(&socket)?;
    address.set_user(&user());
    address.set_database(DATABASE);
    Some(address)
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
