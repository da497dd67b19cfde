//! The contract on a real PostgreSQL.
#![allow(clippy::unwrap_used)]

mod connecting;
mod contract;
mod values;

use std::sync::OnceLock;

use tuplix_postgres::{Server, Session};
use tuplix_support::PostgresCluster;
use tuplix_types::{Rows, Value};

/// One cluster for all tests; its keeper ends it with the process.
fn cluster() -> &'static PostgresCluster {
    static CLUSTER: OnceLock<PostgresCluster> = OnceLock::new();
    CLUSTER.get_or_init(|| PostgresCluster::start().unwrap())
}

fn server() -> Server {
    Server::connect(&cluster().url()).unwrap()
}

/// A session in a schema of its own.
fn session(schema: &str) -> Session {
    let mut session = server().session("", "tests").unwrap();
    session.execute(&format!("CREATE SCHEMA {schema}; SET search_path = {schema}, public")).unwrap();
    session.take_notices();
    session
}

fn query(session: &mut Session, sql: &str, arguments: &[Value]) -> tuplix_types::Result<Rows> {
    let prepared = session.prepare(sql, &[])?;
    let mut rows = Rows::new();
    session.call(&prepared, arguments, &mut rows)?;
    Ok(rows)
}
