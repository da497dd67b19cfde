//! The three backends: a database for each file, and clients on it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use sqllogictest::{DB, DBOutput};
use tuplix::{SessionOptions, Tuplix};
use tuplix_postgres::Server;
use tuplix_support::PostgresCluster;
use tuplix_types::text_io::{self, IoContext};
use tuplix_types::{OutputColumn, SqlError, Tag};

use crate::Column;

/// Between the columns of a row in a file.
pub const SEPARATOR: &str = "|";

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// The embedded engine, in this process.
    Engine,
    /// The embedded engine through the PostgreSQL protocol.
    Wire,
    /// A PostgreSQL cluster, the oracle.
    Postgres,
}

impl Backend {
    /// Its name in `known-failures.txt`, on the command line and in `onlyif` and `skipif`.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Engine => "engine",
            Backend::Wire => "wire",
            Backend::Postgres => "postgres",
        }
    }

    /// The backend with this name.
    pub fn parse(name: &str) -> Option<Backend> {
        [Backend::Engine, Backend::Wire, Backend::Postgres].into_iter().find(|backend| backend.name() == name)
    }
}

/// Where databases come from: started once, used for all files.
pub enum Host {
    /// A node for each file.
    Engine,
    /// A node and a server for each file.
    Wire(tokio::runtime::Runtime),
    /// A database of the cluster for each file.
    Postgres(PostgresCluster),
}

impl Host {
    /// Starts what the backend needs.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(backend: Backend) -> Result<Host> {
        Ok(match backend {
            Backend::Engine => Host::Engine,
            Backend::Wire => Host::Wire(tokio::runtime::Runtime::new()?),
            Backend::Postgres => Host::Postgres(PostgresCluster::start()?),
        })
    }

    /// Which backend it is.
    pub fn backend(&self) -> Backend {
        match self {
            Host::Engine => Backend::Engine,
            Host::Wire(_) => Backend::Wire,
            Host::Postgres(_) => Backend::Postgres,
        }
    }

    /// A fresh, empty database.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(&self, name: &str) -> Result<Database> {
        Ok(match self {
            Host::Engine => Database { kind: Kind::Engine(Tuplix::open_with(&tuplix::Options::default())?) },
            Host::Wire(runtime) => Database { kind: serve(runtime)? },
            Host::Postgres(cluster) => {
                let name = format!("slt_{name}");
                let mut admin = Server::at(&cluster.url())?.session("", "tuplix-slt")?;
                admin.execute(&format!("DROP DATABASE IF EXISTS {name}"))?;
                admin.execute(&format!("CREATE DATABASE {name}"))?;
                let url = format!("postgres://postgres@127.0.0.1:{}/{name}", cluster.port());
                Database {
                    kind: Kind::Remote { server: Server::connect(&url)?, name: "postgres", stop: None },
                }
            }
        })
    }
}

/// A node and a server on a free port.
fn serve(runtime: &tokio::runtime::Runtime) -> Result<Kind> {
    let node = Tuplix::open_with(&tuplix::Options::default())?;
    node.session(&SessionOptions::default())?.execute(tuplix_wire::TRUST_LOOPBACK)?;
    let options = tuplix_wire::ServerOptions {
        tcp: Some(([127, 0, 0, 1], 0).into()),
        ..tuplix_wire::ServerOptions::default()
    };
    let server = runtime.block_on(tuplix_wire::Server::bind(options))?;
    let address = server.tcp_address().context("the server has no port")?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    runtime.spawn(server.serve(node, async move {
        // Both a message and the sender's end are the end.
        let _ = stopped.await;
    }));
    let server = Server::at(&format!("postgres://tuplix@127.0.0.1:{}/tuplix", address.port()))?;
    Ok(Kind::Remote { server, name: "wire", stop: Some(stop) })
}

/// The database of one file.
pub struct Database {
    kind: Kind,
}

enum Kind {
    Engine(Tuplix),
    Remote {
        server: Server,
        name: &'static str,
        /// Ends the server when it is dropped.
        stop: Option<tokio::sync::oneshot::Sender<()>>,
    },
}

impl Database {
    /// A client.
    ///
    /// # Errors
    /// When it cannot connect.
    pub fn client(&self) -> Result<Client, SqlError> {
        Ok(match &self.kind {
            Kind::Engine(node) => Client::Engine(Box::new(node.session(&SessionOptions::default())?)),
            Kind::Remote { server, name, .. } => {
                Client::Remote(Box::new(server.session("", "tuplix-slt")?), name)
            }
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        match &mut self.kind {
            Kind::Engine(node) => {
                if let Err(error) = node.close() {
                    eprintln!("the node does not close: {error}");
                }
            }
            Kind::Remote { stop, .. } => drop(stop.take()),
        }
    }
}

/// One connection of a file.
pub enum Client {
    /// In this process.
    Engine(Box<tuplix::Session>),
    /// Over the protocol; with the backend's name.
    Remote(Box<tuplix_postgres::Session>, &'static str),
}

/// The result of a text's last statement.
struct Answer {
    columns: Vec<OutputColumn>,
    rows: Vec<Vec<Option<String>>>,
    tag: Tag,
}

impl Client {
    fn answer(&mut self, sql: &str) -> Result<Option<Answer>, SqlError> {
        match self {
            Client::Engine(session) => {
                // A panic is a failure of this statement, not of the whole run.
                let run = AssertUnwindSafe(|| session.execute(sql));
                let mut results = std::panic::catch_unwind(run)
                    .unwrap_or_else(|_| Err(SqlError::internal("the engine panicked")))?;
                let text = IoContext::of_settings(|name| session.setting(name));
                Ok(results.pop().map(|rows| {
                    let columns = rows.columns.to_vec();
                    let cell = |(value, column): (&tuplix::Value, &OutputColumn)| match value {
                        tuplix::Value::Null => None,
                        tuplix::Value::Oid(oid) if column.ty.is_object_name() => session
                            .object_name(column.ty, *oid)
                            .or_else(|| Some(text_io::to_text(column.ty, value, &text))),
                        _ => Some(text_io::to_text(column.ty, value, &text)),
                    };
                    let texts = rows.iter().map(|row| row.iter().zip(&columns).map(cell).collect()).collect();
                    Answer { rows: texts, tag: rows.tag, columns }
                }))
            }
            Client::Remote(session, _) => {
                let mut results = session.execute_text(sql)?;
                let answer = results.pop();
                Ok(answer.map(|last| Answer { columns: last.columns, rows: last.rows, tag: last.tag }))
            }
        }
    }
}

/// A row as files show it.
fn shown_row(row: Vec<Option<String>>) -> Vec<String> {
    if row.is_empty() { vec!["(no columns)".to_owned()] } else { row.into_iter().map(shown).collect() }
}

/// A value as files show it: on one line, never empty.
fn shown(cell: Option<String>) -> String {
    match cell {
        None => "NULL".to_owned(),
        Some(text) if text.is_empty() => "(empty)".to_owned(),
        Some(text) => text.replace('\n', "\\n"),
    }
}

impl DB for Client {
    type Error = SqlError;
    type ColumnType = Column;

    fn run(&mut self, sql: &str) -> Result<DBOutput<Column>, SqlError> {
        Ok(match self.answer(sql)? {
            Some(answer) if !answer.columns.is_empty() || answer.tag.command == "SELECT" => DBOutput::Rows {
                types: answer.columns.iter().map(|column| Column::of(column.ty)).collect(),
                rows: answer.rows.into_iter().map(shown_row).collect(),
            },
            Some(answer) => DBOutput::StatementComplete(answer.tag.rows.unwrap_or(0)),
            None => DBOutput::StatementComplete(0),
        })
    }

    fn engine_name(&self) -> &str {
        match self {
            Client::Engine(_) => "engine",
            Client::Remote(_, name) => name,
        }
    }

    fn error_sql_state(error: &SqlError) -> Option<String> {
        Some(error.sqlstate().as_str().to_owned())
    }
}

/// Makes the clients of a file.
pub(crate) fn connector(
    database: Arc<Database>,
) -> impl FnMut() -> std::future::Ready<Result<Client, SqlError>> {
    move || std::future::ready(database.client())
}
