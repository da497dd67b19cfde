//! A server's address, sessions on it, and Citus's functions where there is no Citus.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tuplix_types::{Result, sqlstate};

use crate::address::Address;
use crate::connection::Connection;
use crate::session::Session;
use crate::startup::{FIXED_SETTINGS, Greeting, greet};
use crate::stream::Stream;

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
    address: Arc<Address>,
}

/// A session that was let in, as bytes: for clients that show what a server says.
#[derive(Debug)]
pub struct RawSession {
    /// What comes and goes.
    pub stream: Stream,
    /// What came behind the greeting.
    pub received: BytesMut,
    /// The session's number, and the secret that cancels its statements.
    pub key: (i32, i32),
    /// What the server told of its settings.
    pub parameters: BTreeMap<String, String>,
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
        Ok(Server::of(url.parse()?))
    }

    /// The server at an address, untried as well.
    pub fn of(address: Address) -> Server {
        Server { address: Arc::new(address) }
    }

    /// A new session. It runs as the user that the address names, as `user` when the address names none.
    ///
    /// # Errors
    /// As [`Server::connect`].
    pub fn session(&self, user: &str, application_name: &str) -> Result<Session> {
        let (connection, key) = self.enter(user, application_name, &FIXED_SETTINGS)?;
        Ok(Session::new(connection, key.0.unsigned_abs(), key.1))
    }

    /// The same for a client that reads the server's messages by itself.
    ///
    /// # Errors
    /// As [`Server::connect`].
    pub fn raw_session(&self, user: &str, application_name: &str) -> Result<RawSession> {
        let (connection, key) = self.enter(user, application_name, &[])?;
        let Connection { stream, input, parameters, .. } = connection;
        Ok(RawSession { stream, received: input, key, parameters })
    }

    fn enter(
        &self,
        user: &str,
        application_name: &str,
        settings: &[(&str, &str)],
    ) -> Result<(Connection, (i32, i32))> {
        let config = &self.address.config;
        let user = config.get_user().unwrap_or(user);
        let mut connection = Connection::new(self.address.open()?);
        let greeting = Greeting {
            user,
            password: config.get_password(),
            database: config.get_dbname().unwrap_or(user),
            application_name: config.get_application_name().unwrap_or(application_name),
            options: config.get_options(),
            binding: config.get_channel_binding(),
            settings,
        };
        let key = greet(&mut connection, &greeting)?;
        Ok((connection, key))
    }

    /// Asks the server to cancel what a session runs; it says nothing about it, whatever it does.
    ///
    /// # Errors
    /// 08006 when the server cannot be reached.
    pub fn cancel(&self, id: u32, secret: i32) -> Result<()> {
        let mut connection = Connection::new(self.address.open()?);
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
}
