//! A server's address, sessions on it, and Citus's functions where there is no Citus.

use std::sync::Arc;
use std::time::Duration;

use postgres_protocol::message::frontend;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::connection::Connection;
use crate::session::Session;
use crate::startup::{Greeting, greet};

/// How long connecting may take unless the address says otherwise (`connect_timeout`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the functions of Citus are missing, and Citus with them.
const SHIMS_MISSING: &str =
    "SELECT to_regprocedure('create_distributed_function(regprocedure,text,text,boolean)') IS NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus')";

/// One transaction that installs them; the lock has connections that find them missing at once wait for each other.
const SHIMS: [&str; 4] = [
    "SELECT pg_catalog.pg_advisory_xact_lock(1953853304)",
    include_str!("../sql/create_distributed_table.sql"),
    include_str!("../sql/create_reference_table.sql"),
    include_str!("../sql/create_distributed_function.sql"),
];

/// Whether our own functions are missing, which Citus does not have either.
const HISTORY_MISSING: &str = "SELECT to_regprocedure('forget_spooled(regclass,text,timestamptz)') IS NULL";

/// One transaction that installs them.
const HISTORY: [&str; 3] =
    [SHIMS[0], include_str!("../sql/spool_table.sql"), include_str!("../sql/forget_spooled.sql")];

/// A PostgreSQL server, alone or a Citus coordinator. Cloning it is cheap and names the same server.
#[derive(Clone, Debug)]
pub struct Server {
    config: Arc<Config>,
}

impl Server {
    /// Checks that the server at `url` (`postgres://user:password@host:port/database?options`, or libpq's
    /// `host=... user=...`) lets us in, and installs the shims when they are missing and the user may.
    ///
    /// # Errors
    /// 22023 for what is no address, 08006 when the server cannot be reached, 28000 and 28P01 when it does not let us in.
    pub fn connect(url: &str) -> Result<Server> {
        let server = Server::at(url)?;
        match server.install_shims().map_err(|error| (error.sqlstate(), error)) {
            // Who may not make functions can still call procedures that others made.
            Ok(()) | Err((sqlstate::INSUFFICIENT_PRIVILEGE | sqlstate::READ_ONLY_SQL_TRANSACTION, _)) => {
                Ok(server)
            }
            Err((_, error)) => Err(error),
        }
    }

    /// The server at `url`, untried: for servers that only speak PostgreSQL's protocol.
    ///
    /// # Errors
    /// 22023 for what is no address.
    pub fn at(url: &str) -> Result<Server> {
        let config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let why =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let message = format!("invalid address of a PostgreSQL server: {why}");
            SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
                .hint("It looks like postgres://user:password@host:port/database.")
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(
                SqlError::unsupported("sslmode=require").hint("Connect over a local socket or a tunnel.")
            );
        }
        Ok(Server { config: Arc::new(config) })
    }

    /// A new session. It runs as the user that the address names, as `user` when the address names none.
    ///
    /// # Errors
    /// As [`Server::connect`].
    pub fn session(&self, user: &str, application_name: &str) -> Result<Session> {
        let config = &*self.config;
        let user = config.get_user().unwrap_or(user);
        let mut connection = self.open()?;
        let greeting = Greeting {
            user,
            password: config.get_password(),
            database: config.get_dbname().unwrap_or(user),
            application_name: config.get_application_name().unwrap_or(application_name),
            options: config.get_options(),
        };
        let (id, secret) = greet(&mut connection, &greeting)?;
        Ok(Session::new(connection, id, secret))
    }

    /// Asks the server to cancel what a session runs; it says nothing about it, whatever it does.
    ///
    /// # Errors
    /// 08006 when the server cannot be reached.
    pub fn cancel(&self, id: u32, secret: i32) -> Result<()> {
        let mut connection = self.open()?;
        frontend::cancel_request(id.cast_signed(), secret, &mut connection.output);
        connection.send()?;
        // The server hangs up when it has seen to it: what is asked of it next comes after that.
        while connection.receive().is_ok() {}
        Ok(())
    }

    /// Makes `create_distributed_table`, `create_reference_table` and `create_distributed_function` functions that check
    /// their arguments and do nothing else, in the schema `public`. They stay as they are where they exist already, and
    /// where Citus is installed. `spool_table` and `forget_spooled` come beside them, with Citus too.
    ///
    /// # Errors
    /// 42501 when the user may not, and what connecting finds.
    pub fn install_shims(&self) -> Result<()> {
        let mut session = self.session("postgres", "tuplix")?;
        for (missing, install) in [(SHIMS_MISSING, &SHIMS[..]), (HISTORY_MISSING, &HISTORY[..])] {
            let found = session.execute(missing)?;
            let missing = found.first().and_then(|rows| rows.get(0, 0)).and_then(|value| value.as_bool());
            if missing == Some(true) {
                session.execute(&install.join(";\n"))?;
            }
        }
        Ok(())
    }

    /// Connects to the first host that answers.
    fn open(&self) -> Result<Connection> {
        let config = &*self.config;
        let timeout = config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        let mut last = None;
        for (number, host) in config.get_hosts().iter().enumerate() {
            let ports = config.get_ports();
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
            let opened = match host {
                Host::Tcp(name) => {
                    // A number given beside the name spares looking the name up.
                    let address = config.get_hostaddrs().get(number).map(ToString::to_string);
                    Connection::tcp(address.as_deref().unwrap_or(name), port, timeout)
                }
                Host::Unix(folder) => Connection::unix(folder, port),
            };
            match opened {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            SqlError::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                "the address of the PostgreSQL server names no host",
            )
        }))
    }
}
