//! What each fuzz target does with its bytes. Nothing may panic, hang or answer with an internal error, whatever they are; a panic on any
//! thread ends the process, as libFuzzer wants it.
//!
//! Files are tried as they are and with their checksums put right, so that mutations get behind these. Those that the readers take are
//! given to a whole node, in the data directory of `testing/fixtures`.

#![allow(missing_docs)]

mod files;
mod wire;

use std::sync::Mutex;

use tuplix::{Options, Session, SqlError, TransactionStatus, Tuplix, sqlstate};
use tuplix_sim::fuzz::{ROWS, SCHEMA};

pub use files::{checkpoint, log, segment};
pub use wire::wire;

/// The longest text of statements: beyond it nothing new happens, only later.
const TEXT_BYTES_MAX: usize = 2048;

/// A node in memory, small enough to be made for each input.
fn node() -> Tuplix {
    let opened = Tuplix::open_with(&Options {
        partitions: 1,
        buckets: 2,
        memory: Some(64 << 20),
        ..Options::default()
    });
    opened.expect("a node in memory")
}

/// Refuses what no input may cause.
fn expected(what: &str, error: &SqlError) {
    assert!(error.sqlstate() != sqlstate::INTERNAL_ERROR, "{what}: {error:?}");
}

fn prepared(node: &Tuplix) -> Session {
    let mut session = node.session(&Default::default()).expect("a session");
    session.execute(SCHEMA).expect("the schema");
    session.execute(ROWS).expect("the rows");
    session.set("statement_timeout", "1000").expect("the setting");
    session
}

/// A node whose tables are as they were made, for as long as inputs leave them so.
static SHARED: Mutex<Option<(Tuplix, Session)>> = Mutex::new(None);

/// A text of statements, on a few tables with rows: most in a transaction that is rolled back, on a node that was there before; one in
/// eight, by its length, as one-shots on a new one.
pub fn sql(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.len() > TEXT_BYTES_MAX {
        return;
    }
    let told = |session: &mut Session, text: &str| {
        if let Err(error) = session.execute(text) {
            expected(text, &error);
        }
    };
    let in_a_block = text.len() % 8 != 0;
    let mut shared = SHARED.lock().expect("a panic ends the process");
    let (node, mut session) = shared.take().filter(|_| in_a_block).unwrap_or_else(|| {
        let node = node();
        let session = prepared(&node);
        (node, session)
    });
    if in_a_block {
        told(&mut session, "BEGIN");
        told(&mut session, text);
        let is_as_before = session.transaction_status() != TransactionStatus::Idle;
        told(&mut session, "ROLLBACK");
        // Names, settings and what was listened to.
        told(&mut session, "DISCARD ALL");
        told(&mut session, "SET statement_timeout = 1000");
        if is_as_before {
            *shared = Some((node, session));
            return;
        }
    } else {
        for _ in 0..2 {
            // The second time the plans are there, and perhaps the tables are not.
            told(&mut session, text);
        }
    }
    drop(session);
    node.close().expect("the node ends");
}
