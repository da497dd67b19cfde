//! The engine in process and PostgreSQL, side by side.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tuplix::{SessionOptions, TransactionStatus, Tuplix};
use tuplix_postgres::Server;
use tuplix_support::PostgresCluster;
use tuplix_types::text_io::{self, IoContext};
use tuplix_types::{SqlError, TypeId};

/// What a statement gave.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Types of the columns.
    pub columns: Vec<TypeId>,
    /// Rows as texts.
    pub rows: Vec<Vec<Option<String>>>,
    /// The command's tag.
    pub tag: String,
}

/// The two.
pub struct Engines {
    cluster: PostgresCluster,
    postgres: tuplix_postgres::Session,
    node: Tuplix,
    engine: tuplix::Session,
}

/// Where the last panic was, and what it said.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Longest time of a statement.
const LIMIT: &str = "10s";

fn node() -> Result<(Tuplix, tuplix::Session)> {
    let options = tuplix::Options { partitions: 2, buckets: 8, ..tuplix::Options::default() };
    let node = Tuplix::open_with(&options)?;
    let mut session = node.session(&SessionOptions::default())?;
    session.set("statement_timeout", LIMIT)?;
    Ok((node, session))
}

fn connect(cluster: &PostgresCluster) -> Result<tuplix_postgres::Session> {
    let mut session = Server::connect(&cluster.url())?.session("", "tuplix-generate")?;
    session.execute(&format!("SET statement_timeout = '{LIMIT}'"))?;
    session.execute("SET client_min_messages = error")?;
    Ok(session)
}

impl Engines {
    /// Starts both.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start() -> Result<Engines> {
        // A panic is a finding; where it was is part of it.
        std::panic::set_hook(Box::new(|said| {
            *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = said.to_string().replace('\n', " ");
        }));
        let cluster = PostgresCluster::start()?;
        let postgres = connect(&cluster)?;
        let (node, engine) = node()?;
        Ok(Engines { cluster, postgres, node, engine })
    }

    /// Empties both.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub fn reset(&mut self) -> Result<()> {
        let (node, engine) = node()?;
        let old = std::mem::replace(&mut self.engine, engine);
        drop(old);
        let old = std::mem::replace(&mut self.node, node);
        // After a panic a node may not close; it goes with the process.
        let _ = old.close();
        if self.empty().is_err() {
            self.postgres = connect(&self.cluster)?;
            self.empty().context("PostgreSQL cannot be emptied")?;
        }
        Ok(())
    }

    fn empty(&mut self) -> Result<(), SqlError> {
        self.postgres.execute("ROLLBACK")?;
        self.postgres.execute("DEALLOCATE ALL")?;
        self.postgres.execute("DROP TABLE IF EXISTS t0, t1, t2, t3 CASCADE")?;
        let functions = "SELECT proname FROM pg_proc WHERE proname ~ '^p[0-9]+$' AND oid > 16383";
        for row in self.postgres.execute_text(functions)?.pop().unwrap_or_default().rows {
            let name = row.into_iter().next().flatten().unwrap_or_default();
            self.postgres.execute(&format!("DROP FUNCTION {name}"))?;
        }
        Ok(())
    }

    /// The engine's answer.
    ///
    /// # Errors
    /// The statement's; XX000 for a panic.
    pub fn engine(&mut self, sql: &str) -> Result<Answer, SqlError> {
        let session = &mut self.engine;
        let mut results = std::panic::catch_unwind(AssertUnwindSafe(|| session.execute(sql)))
            .unwrap_or_else(|_| {
                let said = PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Err(SqlError::internal(format!("panic: {said}")))
            })?;
        let Some(rows) = results.pop() else { return Ok(Answer::default()) };
        let io = IoContext::default();
        let columns: Vec<TypeId> = rows.columns.iter().map(|column| column.ty).collect();
        let text = |(value, ty): (&tuplix::Value, &TypeId)| {
            (!value.is_null()).then(|| text_io::to_text(*ty, value, &io))
        };
        let texts = rows.iter().map(|row| row.iter().zip(&columns).map(text).collect()).collect();
        Ok(Answer { rows: texts, tag: rows.tag.to_string(), columns })
    }

    /// PostgreSQL's answer.
    ///
    /// # Errors
    /// The statement's.
    pub fn postgres(&mut self, sql: &str) -> Result<Answer, SqlError> {
        let last = self.postgres.execute_text(sql)?.pop().unwrap_or_default();
        let columns = last.columns.iter().map(|column| column.ty).collect();
        Ok(Answer { columns, rows: last.rows, tag: last.tag.to_string() })
    }

    /// Whether the engine is inside of a transaction.
    pub fn in_transaction(&self) -> bool {
        self.engine.transaction_status() != TransactionStatus::Idle
    }
}
