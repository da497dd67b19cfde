//! What a reply waits for: all that the statement could have seen, and where it went by unique keys, no more than that.

use tuplix_engine::Session;
use tuplix_machine::{Faults, Simulation};
use tuplix_types::Rows;

use super::{open_node, session};

/// The epoch that a statement's reply waits for.
fn waits_for(session: &mut Session, sql: &str) -> u64 {
    let statement = session.prepare(sql, &[]).unwrap();
    session.call(&statement, &[], &mut Rows::new()).unwrap().epoch()
}

/// What other sessions write last, and a statement of which the reply shows it, or does not.
struct Case {
    write: &'static [&'static str],
    read: &'static str,
    waits: bool,
}

const fn case(write: &'static [&'static str], read: &'static str, waits: bool) -> Case {
    Case { write, read, waits }
}

const CASES: &[Case] = &[
    // Another row's epoch is nothing to who finds his by a key.
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "SELECT v FROM t WHERE id = 2", false),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "SELECT v FROM t WHERE id = 1", true),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "SELECT v FROM t WHERE id = 2 FOR UPDATE", false),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "SELECT v FROM t WHERE id = 1 FOR UPDATE", true),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "UPDATE t SET v = v + 1 WHERE id = 2", false),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "UPDATE t SET v = v + 1 WHERE id = 1", true),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "DELETE FROM t WHERE id = 2 RETURNING v", false),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "INSERT INTO t VALUES (50, 50, 0)", false),
    // A block's commit is no different from a statement's.
    case(&["BEGIN", "UPDATE t SET v = 1 WHERE id = 1", "COMMIT"], "SELECT v FROM t WHERE id = 1", true),
    case(&["BEGIN", "UPDATE t SET v = 1 WHERE id = 1", "COMMIT"], "SELECT v FROM t WHERE id = 2", false),
    // A row that came.
    case(&["INSERT INTO t VALUES (60, 60, 0)"], "SELECT v FROM t WHERE id = 60", true),
    case(&["INSERT INTO t VALUES (61, 61, 0)"], "SELECT v FROM t WHERE id = 62", false),
    // Only what takes keys away makes a row absent.
    case(&["DELETE FROM t WHERE id = 3"], "SELECT v FROM t WHERE id = 3", true),
    case(&["DELETE FROM t WHERE id = 4"], "INSERT INTO t VALUES (4, 4, 0)", true),
    case(&["DELETE FROM t WHERE id = 5"], "SELECT v FROM t WHERE id = 2", false),
    case(&["UPDATE t SET u = 77 WHERE id = 6"], "SELECT v FROM t WHERE u = 6", true),
    case(&["BEGIN", "UPDATE t SET u = 78 WHERE id = 7", "COMMIT"], "SELECT v FROM t WHERE u = 7", true),
    case(&["BEGIN", "DELETE FROM t WHERE id = 8", "COMMIT"], "SELECT v FROM t WHERE id = 8", true),
    case(&["TRUNCATE s"], "SELECT v FROM s WHERE id = 1", true),
    case(&["ALTER TABLE s ADD w int DEFAULT 3"], "SELECT v FROM s WHERE id = 1", true),
    // Whoever looks at more rows waits for all of them.
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "SELECT v FROM t WHERE v = -1", true),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "SELECT count(*) FROM t", true),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "SELECT (SELECT max(v) FROM t) FROM t WHERE id = 2", true),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "SELECT most() FROM t WHERE id = 2", true),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "UPDATE t SET v = most() WHERE id = 2", true),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "INSERT INTO t VALUES (1, 1, 0) ON CONFLICT DO NOTHING", true),
    case(&["UPDATE t SET v = 1 WHERE id = 1"], "INSERT INTO watched VALUES (1)", true),
    case(&["UPDATE parent SET v = 1 WHERE id = 1"], "INSERT INTO child VALUES (2)", true),
];

const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v int);
    INSERT INTO t SELECT i, i, 0 FROM generate_series(1, 20) i;
    CREATE TABLE s (id int PRIMARY KEY, v int);
    INSERT INTO s VALUES (1, 1);
    CREATE FUNCTION most() RETURNS int LANGUAGE sql AS 'SELECT max(v) FROM t';
    CREATE TABLE watched (id int);
    CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM 1 FROM t WHERE v = 1; RETURN NEW; END $$;
    CREATE TRIGGER watching BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION seen();
    CREATE TABLE parent (id int PRIMARY KEY, v int);
    INSERT INTO parent VALUES (1, 1), (2, 2);
    CREATE TABLE child (parent_id int REFERENCES parent)";

/// Tries each case in a node of its own, with a reader that has been made ready.
fn try_cases(cases: impl Iterator<Item = &'static Case>, ready: &'static [&'static str]) {
    for (number, case) in cases.enumerate() {
        Simulation::new(number as u64, Faults::none()).run(move |machine| {
            let node = open_node(&machine);
            let (mut writer, mut reader) = (session(&node), session(&node));
            // The epochs of what is there are over when its commits return.
            writer.execute(SCHEMA).unwrap();
            ready.iter().for_each(|sql| drop(reader.execute(sql).unwrap()));
            let written = case.write.iter().map(|sql| waits_for(&mut writer, sql)).max().unwrap();
            let epoch = waits_for(&mut reader, case.read);
            assert_eq!(epoch >= written, case.waits, "{:?}, {}: {epoch}, {written}", case.write, case.read);
        });
    }
}

#[test]
fn a_statement_of_a_block_waits_for_what_it_has_seen() {
    try_cases(CASES.iter(), &["BEGIN"]);
}

#[test]
fn so_does_a_statement_of_its_own_that_reads() {
    // Others wait for their own commit.
    let reads = CASES.iter().filter(|case| case.read.starts_with("SELECT"));
    assert!(reads.clone().count() > 10);
    try_cases(reads, &[]);
}
