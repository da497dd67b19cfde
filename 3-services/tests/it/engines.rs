//! Both engines: each test runs once on each, in a database of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tuplix::{Result, Session, SqlError, SqlState, Tuplix, Value};
use tuplix_support::PostgresCluster;

/// An empty database of one of the engines.
pub struct Engine {
    /// Which, for messages.
    pub name: &'static str,
    /// Reaches it.
    pub node: Tuplix,
    folder: Option<tempfile::TempDir>,
}

/// One cluster for all tests; its keeper ends it with the process.
fn cluster() -> &'static PostgresCluster {
    static CLUSTER: OnceLock<PostgresCluster> = OnceLock::new();
    CLUSTER.get_or_init(|| PostgresCluster::start().unwrap())
}

/// An empty embedded engine, logged to a folder of its own.
fn embedded() -> Engine {
    let folder = tempfile::tempdir().unwrap();
    Engine { name: "engine", node: Tuplix::open(folder.path()).unwrap(), folder: Some(folder) }
}

/// An empty database in the cluster.
fn postgres() -> Engine {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("services_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let admin = Tuplix::connect(&cluster().url()).unwrap();
    admin.session(&Default::default()).unwrap().execute(&format!("CREATE DATABASE {name}")).unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}", cluster().port());
    Engine { name: "postgres", node: Tuplix::connect(&url).unwrap(), folder: None }
}

impl Engine {
    /// A new session.
    pub fn session(&self) -> Session {
        self.node.session(&Default::default()).unwrap()
    }

    /// Closes the embedded engine and opens it again from its folder.
    pub fn reopen(&mut self) {
        if let Some(folder) = &self.folder {
            self.node.close().unwrap();
            // The last handle holds the folder's lock.
            self.node = Tuplix::open_with(&Default::default()).unwrap();
            self.node = Tuplix::open(folder.path()).unwrap();
        }
    }
}

/// Runs a test on both engines, with nothing installed.
pub fn bare(test: impl Fn(&mut Engine)) {
    for mut engine in [embedded(), postgres()] {
        eprintln!("on {}", engine.name);
        test(&mut engine);
    }
}

/// Runs a test on both engines with the services installed, and checks all invariants after it.
pub fn both(test: impl Fn(&Engine, &mut Session)) {
    bare(|engine| {
        let mut session = engine.session();
        tuplix_services::install(&mut session).unwrap();
        test(engine, &mut session);
        let violations = tuplix_services::check(&mut session).unwrap();
        assert_eq!(violations, [], "on {}", engine.name);
    });
}

/// The rows of a query as text, columns joined by `|`.
pub fn rows(session: &mut Session, sql: &str) -> Vec<String> {
    let rows = session.query(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let one = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Text(text) => text.to_string(),
        Value::Bool(value) => value.to_string(),
        value => value.as_i64().map_or_else(|| format!("{value:?}"), |number| number.to_string()),
    };
    rows.iter().map(|row| row.iter().map(one).collect::<Vec<_>>().join("|")).collect()
}

/// Asserts that a call is refused with an SQLSTATE; the error.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T>, sqlstate: SqlState) -> SqlError {
    let error = result.unwrap_err();
    assert_eq!(error.sqlstate(), sqlstate, "{error:?}");
    error
}
