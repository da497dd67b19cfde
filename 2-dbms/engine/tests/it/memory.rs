//! The limit on memory: what would grow is refused with 53200 and leaves nothing behind, everything else goes on.

use std::sync::Arc;

use tuplix_engine::{Node, Session, Shape, open_in_memory};
use tuplix_machine::{Faults, Machine, Simulation};
use tuplix_types::SqlError;

use super::{integers, open_node, session};

const LIMIT: u64 = 4 << 20;

fn limited_node() -> (Arc<Node>, Session) {
    let shape = Shape { partitions: 2, buckets: 8, log_segment_bytes: 1 << 20 };
    let node = open_in_memory(&Machine::linux_seeded(1), &shape).unwrap();
    node.memory().set_limit(LIMIT);
    let mut session = session(&node);
    session.execute("CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL, note text)").unwrap();
    (node, session)
}

fn state(error: &SqlError) -> String {
    error.sqlstate().to_string()
}

/// Inserts 1,000 rows a statement until one is refused; how many rows there are.
fn fill_batches(session: &mut Session, table: &str) -> i64 {
    (0..1_000).map(|batch| batch * 1_000).find(|first| !insert(session, table, *first, 1_000)).unwrap()
}

/// The same, and then row by row: nothing that grows is taken any more.
fn fill(session: &mut Session, table: &str) -> i64 {
    let rows = fill_batches(session, table);
    (rows..rows + 2_000).find(|first| !insert(session, table, *first, 1)).unwrap()
}

/// Inserts rows with long notes; false when that was refused, as it should be.
fn insert(session: &mut Session, table: &str, first: i64, rows: i64) -> bool {
    let text = format!(
        "INSERT INTO {table} SELECT i, 0, 'a note of more than fifteen bytes' FROM generate_series({first}, {}) i",
        first + rows - 1
    );
    let Err(error) = session.execute(&text) else { return true };
    assert_eq!(state(&error), "53200", "{error}");
    assert!(error.message().contains(&LIMIT.to_string()), "{error}");
    assert!(error.fields().hint.as_deref().is_some_and(|hint| hint.contains("--memory")), "{error:?}");
    false
}

fn refused(session: &mut Session, sql: &str) {
    match session.execute(sql) {
        Err(error) => assert_eq!(state(&error), "53200", "{sql}: {error}"),
        Ok(_) => panic!("{sql} was not refused"),
    }
}

#[test]
fn what_grows_is_refused_and_the_rest_goes_on() {
    let (node, mut session) = limited_node();
    let rows = fill(&mut session, "item");
    assert!(rows > 5_000, "{rows}");
    assert_eq!(integers(&mut session, "SELECT count(*) FROM item"), [rows], "the refused batch left nothing");
    assert!(node.memory().is_full() && node.memory().used() < LIMIT + LIMIT / 8, "{}", node.memory().used());
    session.execute("UPDATE item SET n = n + 1 WHERE id < 2000").unwrap();
    session.execute("UPDATE item SET note = 'short' WHERE id = 1").unwrap();
    refused(&mut session, "UPDATE item SET note = note || 'and some more of it' WHERE id = 2");
    refused(&mut session, "CREATE INDEX ON item (n)");
    refused(&mut session, "CREATE TABLE other AS SELECT * FROM item");
    refused(&mut session, "ALTER TABLE item ADD COLUMN k bigint DEFAULT 7");
    session.execute("CREATE TABLE small (id int)").unwrap();
    assert_eq!(integers(&mut session, "SELECT sum(n) FROM item"), [2_000]);
    session.execute("DELETE FROM item WHERE id % 2 = 0").unwrap();
    session.execute("INSERT INTO item SELECT i, 5, 'a note of more than fifteen bytes' FROM generate_series(0, 998, 2) i").unwrap();
    assert_eq!(integers(&mut session, "SELECT count(*) FROM item"), [rows / 2 + 500]);
    session.execute("DELETE FROM item WHERE id >= 1000").unwrap();
    session.execute("CREATE INDEX ON item (n)").unwrap();
    session.execute("CREATE TABLE second (id int PRIMARY KEY, n int, note text)").unwrap();
    assert!(fill(&mut session, "second") >= rows / 2, "what one table gave back, another one gets");
    session.execute("DROP TABLE second").unwrap();
    session.execute("TRUNCATE item").unwrap();
    assert!(node.memory().used() < LIMIT / 20, "{} bytes for no rows", node.memory().used());
}

#[test]
fn a_procedure_catches_the_refusal() {
    let (_node, mut session) = limited_node();
    session.execute("CREATE TABLE seen (what text); INSERT INTO seen VALUES ('nothing')").unwrap();
    fill(&mut session, "item");
    let body = "BEGIN
        INSERT INTO item SELECT i, 0, 'a note of more than fifteen bytes' FROM generate_series(1000001, 1002000) i;
      EXCEPTION WHEN out_of_memory THEN DELETE FROM item WHERE id < 100; UPDATE seen SET what = 'full'; END";
    session.execute(&format!("DO $$ {body} $$")).unwrap();
    let caught = "SELECT count(*) FROM seen WHERE what = 'full'";
    assert_eq!(integers(&mut session, caught), [1]);
    assert_eq!(integers(&mut session, "SELECT count(*) FROM item WHERE id > 1000000 OR id < 100"), [0]);
}

#[test]
fn it_is_shown_by_sql() {
    let (node, mut session) = limited_node();
    session
        .execute("INSERT INTO item SELECT i, i, repeat('x', 100) FROM generate_series(1, 5000) i")
        .unwrap();
    let shown = "SELECT row_bytes, index_bytes FROM tuplix.tables WHERE name = 'item'";
    let table = session.query(shown, &[]).unwrap();
    let [rows, indexes] = [0, 1].map(|column| table.get(0, column).and_then(|value| value.as_i64()).unwrap());
    assert!(rows > 5000 * 100 && indexes > 5000 * 8, "{rows} {indexes}");
    let exact = integers(&mut session, "SELECT pg_total_relation_size('item')")[0];
    assert!(
        (rows + indexes).abs_diff(exact) < 64 * 1024 + exact.unsigned_abs() / 20,
        "{rows} {indexes} {exact}"
    );
    assert_eq!(integers(&mut session, "SELECT limit_bytes FROM tuplix.memory"), [LIMIT as i64]);
    assert_eq!(integers(&mut session, "SELECT used_bytes - row_bytes - index_bytes FROM tuplix.memory"), [0]);
    assert!(node.memory().used() as i64 >= rows + indexes);
}

#[test]
fn a_transaction_refused_leaves_nothing() {
    let (node, mut session) = limited_node();
    let before = node.memory().used();
    session.execute("BEGIN").unwrap();
    let rows = fill_batches(&mut session, "item");
    assert!(rows > 1_000);
    refused_block(&mut session);
    session.execute("ROLLBACK").unwrap();
    assert_eq!(integers(&mut session, "SELECT count(*) FROM item"), [0]);
    assert!(node.memory().used() < before + 64 * 1024, "{}", node.memory().used());
    // At COMMIT the rows lie twice in memory for a moment.
    session.execute("BEGIN").unwrap();
    let insert = "INSERT INTO item SELECT i, 0, 'a note of more than fifteen bytes' FROM generate_series(1, 3 * $ / 4) i";
    session.execute(&insert.replace('$', &rows.to_string())).unwrap();
    refused(&mut session, "COMMIT");
    assert_eq!(integers(&mut session, "SELECT count(*) FROM item"), [0]);
    session.execute("BEGIN; INSERT INTO item VALUES (1, 1, 'x'); COMMIT").unwrap();
    // A savepoint gives back what it took.
    session.execute("BEGIN; SAVEPOINT s").unwrap();
    let refusal =
        session.execute("INSERT INTO item SELECT i, 0, repeat('x', 1000) FROM generate_series(2, 100000) i");
    assert_eq!(state(&refusal.unwrap_err()), "53200");
    session.execute("ROLLBACK TO s; INSERT INTO item VALUES (2, 1, 'x'); COMMIT").unwrap();
    assert_eq!(integers(&mut session, "SELECT count(*) FROM item"), [2]);
}

/// After an error the block does nothing more.
fn refused_block(session: &mut Session) {
    assert_eq!(state(&session.execute("SELECT 1").unwrap_err()), "25P02");
}

#[test]
fn threads_stop_at_the_limit_together() {
    let (node, mut session) = limited_node();
    session.execute("CREATE TABLE shared (p_key int, id int, note text, PRIMARY KEY (p_key, id))").unwrap();
    session.execute("SELECT create_distributed_table('shared', 'p_key')").unwrap();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let node = node.clone();
            node.machine().clone().spawn("writer", move || {
                let mut session = super::session(&node);
                for id in 0.. {
                    let bucket = (number + id * 4) % 8;
                    let insert = format!(
                        "INSERT INTO shared VALUES ({bucket}, {id} * 4 + {number}, repeat('x', 500))"
                    );
                    if let Err(error) = session.execute(&insert) {
                        assert_eq!(state(&error), "53200", "{error}");
                        return id;
                    }
                }
                0
            })
        })
        .collect();
    let inserted: i64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(integers(&mut session, "SELECT count(*) FROM shared"), [inserted]);
    assert!(node.memory().used() < LIMIT + LIMIT / 8, "{}", node.memory().used());
    session.execute("DELETE FROM shared WHERE p_key < 4").unwrap();
    session.execute("INSERT INTO shared VALUES (0, -1, repeat('x', 500))").unwrap();
}

/// A log with more rows than the limit lets in is replayed; then the limit holds.
#[test]
fn a_node_with_more_than_the_limit_starts() {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        let node = open_node(&machine);
        let mut first = session(&node);
        first.execute("CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL, note text)").unwrap();
        first
            .execute("INSERT INTO item SELECT i, 0, repeat('x', 200) FROM generate_series(1, 5000) i")
            .unwrap();
        tuplix_engine::close(&node).unwrap();
    });
    let outcome = Simulation::new(1, Faults::none()).with_disk(outcome.disk).run(|machine| {
        let node = open_node(&machine);
        node.memory().set_limit(500_000);
        let mut session = session(&node);
        assert!(node.memory().is_full());
        assert_eq!(integers(&mut session, "SELECT count(*) FROM item"), [5000]);
        refused(&mut session, "INSERT INTO item VALUES (0, 0, repeat('x', 200))");
        session.execute("DELETE FROM item WHERE id > 500").unwrap();
        session.execute("INSERT INTO item VALUES (0, 0, repeat('x', 200))").unwrap();
        tuplix_engine::close(&node).unwrap();
    });
    outcome.value.unwrap();
}

/// What only snapshots hold is counted and shown; beyond an eighth of the limit the oldest is cancelled, and its memory comes back.
#[test]
fn a_snapshot_that_holds_too_much_is_cancelled() {
    let (node, mut session) = limited_node();
    session.execute("INSERT INTO item SELECT i, 0 FROM generate_series(1, 30000) i").unwrap();
    let item = node.schema().catalog.table_named("public", "item").unwrap().id;
    let shown = |session: &mut Session| {
        let rows =
            session.query("SELECT snapshots, snapshot_bytes, snapshot_limit_bytes FROM tuplix.memory", &[]);
        let rows = rows.unwrap();
        [0, 1, 2].map(|column| rows.get(0, column).and_then(|value| value.as_i64()).unwrap() as u64)
    };
    assert_eq!(shown(&mut session), [0, 0, LIMIT / 8]);
    let first = node.snapshot();
    session.execute("UPDATE item SET n = 1 WHERE id <= 10000").unwrap();
    let [count, bytes, _] = shown(&mut session);
    assert!(count == 1 && (40_000..LIMIT / 8).contains(&bytes), "{bytes}");
    session.execute("UPDATE item SET n = 1").unwrap();
    // One after the other holds what the others have written; beyond the limit it is the oldest that goes.
    let mut snapshots = vec![first];
    for round in 2.. {
        snapshots.push(node.snapshot());
        if snapshots[0].row_count().is_err() {
            break;
        }
        let [count, bytes, _] = shown(&mut session);
        assert!(round < 30 && count == round && bytes <= LIMIT / 8, "{count} hold {bytes} bytes");
        session.execute(&format!("UPDATE item SET n = {round}")).unwrap();
    }
    assert!(snapshots.len() > 3, "{} snapshots", snapshots.len());
    let error = snapshots[0].fragments(item).unwrap_err();
    assert_eq!(state(&error), "72000");
    assert!(error.fields().hint.as_deref().is_some_and(|hint| hint.contains("--memory")), "{error:?}");
    let [_, bytes, _] = shown(&mut session);
    assert!((100_000..=LIMIT / 8).contains(&bytes), "{bytes}");
    // The others read on, each as it was.
    for (number, snapshot) in snapshots.iter().enumerate().skip(1) {
        let fragments = snapshot.fragments(item).unwrap();
        let mut values =
            fragments.iter().flat_map(|(_, fragment)| fragment.rows().map(|(_, row)| row.integer(1)));
        assert!(values.all(|value| value == Some(number as i64)), "snapshot {number}");
    }
    drop(snapshots);
    let [count, bytes, _] = shown(&mut session);
    assert_eq!((count, bytes), (0, 0));
}
