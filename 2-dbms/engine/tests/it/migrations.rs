//! What migration tools rely on: definitions that survive a restart, by the log and by a checkpoint.

use tuplix_engine::Session;
use tuplix_machine::{Faults, Simulation};
use tuplix_types::Value;

use super::{integers, open_node, session};

fn text(session: &mut Session, sql: &str) -> String {
    let rows = session.query(sql, &[]).unwrap();
    let shown = |value: &Value| value.as_str().map_or_else(|| format!("{value:?}"), str::to_owned);
    let lines: Vec<String> =
        rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join("|")).collect();
    lines.join("\n")
}

fn define(session: &mut Session) {
    let statements = "CREATE SCHEMA lib;
        CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT positive CHECK (a > 0), b text) WITH (fillfactor = 70);
        INSERT INTO t SELECT g, g, 'x' || g FROM generate_series(1, 5) g;
        CREATE UNIQUE INDEX t_b ON t (b text_pattern_ops) INCLUDE (a) WITH (fillfactor = 80);
        CREATE VIEW v AS SELECT id, a FROM t WHERE a > 1;
        CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM v;
        CREATE MATERIALIZED VIEW empty AS SELECT id FROM t WITH NO DATA;
        CREATE TABLE child (id int PRIMARY KEY REFERENCES t);
        ALTER TABLE child DISABLE TRIGGER ALL;
        CREATE FUNCTION f(n int) RETURNS int LANGUAGE sql AS 'SELECT n + 1';
        ALTER FUNCTION f(int) RENAME TO g; ALTER FUNCTION g(int) SET SCHEMA lib;
        COMMENT ON CONSTRAINT positive ON t IS 'a check'; COMMENT ON MATERIALIZED VIEW m IS 'kept';
        ALTER TABLE t RENAME COLUMN a TO amount; ALTER TABLE t RENAME TO thing; ALTER TABLE thing SET SCHEMA lib;
        ALTER TABLE lib.thing ADD COLUMN twice int GENERATED ALWAYS AS (amount * 2) STORED;
        INSERT INTO lib.thing VALUES (6, 6, 'x6'); REFRESH MATERIALIZED VIEW m; DELETE FROM lib.thing WHERE id = 2";
    session.execute(statements).unwrap();
}

fn check(session: &mut Session) {
    assert_eq!(integers(session, "SELECT a FROM v ORDER BY id"), [3, 4, 5, 6]);
    assert_eq!(integers(session, "SELECT n FROM m"), [5], "as it was refreshed last");
    let error = session.execute("SELECT * FROM empty").unwrap_err();
    assert_eq!(error.sqlstate().to_string(), "55000");
    assert_eq!(integers(session, "SELECT twice FROM lib.thing WHERE id > 4 ORDER BY id"), [10, 12]);
    assert_eq!(integers(session, "SELECT lib.g(1)"), [2]);
    session.execute("BEGIN; INSERT INTO child VALUES (99); ROLLBACK").unwrap();
    let options =
        "SELECT relname::text, reloptions::text FROM pg_class WHERE reloptions IS NOT NULL ORDER BY 1";
    assert_eq!(text(session, options), "t_b|{fillfactor=80}\nthing|{fillfactor=70}");
    let comments = "SELECT description FROM pg_description WHERE objoid >= 16384 ORDER BY 1";
    assert_eq!(text(session, comments), "a check\nkept");
    let error = session.execute("INSERT INTO lib.thing VALUES (7, 7, 'x6')").unwrap_err();
    assert_eq!(error.sqlstate().to_string(), "23505");
    let definition = text(session, "SELECT indexdef FROM pg_indexes WHERE indexname = 't_b'");
    assert_eq!(
        definition,
        "CREATE UNIQUE INDEX t_b ON lib.thing USING btree (b text_pattern_ops) INCLUDE (amount) WITH (fillfactor='80')"
    );
}

#[test]
fn definitions_survive_a_restart() {
    for checkpoint in [false, true] {
        let outcome = Simulation::new(1, Faults::none()).run(move |machine| {
            let node = open_node(&machine);
            let mut session = session(&node);
            define(&mut session);
            check(&mut session);
            if checkpoint {
                session.execute("CHECKPOINT").unwrap();
            }
            tuplix_engine::close(&node).unwrap();
        });
        Simulation::new(2, Faults::none()).with_disk(outcome.disk).run(|machine| {
            let node = open_node(&machine);
            let mut session = session(&node);
            check(&mut session);
            session.execute("REFRESH MATERIALIZED VIEW m; REFRESH MATERIALIZED VIEW empty").unwrap();
            assert_eq!(integers(&mut session, "SELECT n FROM m"), [4]);
            assert_eq!(integers(&mut session, "SELECT count(*) FROM empty"), [5]);
        });
    }
}

/// What a change of the catalogue reads is looked up again when another one was waited for: places of columns have moved.
#[test]
fn a_query_in_ddl_is_bound_again() {
    for seed in 0..5 {
        let outcome = Simulation::new(seed, Faults::none()).run(|machine| {
            let node = open_node(&machine);
            let mut first = session(&node);
            first
                .execute(
                    "CREATE TABLE t (a int, b int, c text); INSERT INTO t VALUES (1, 2, 'three');
                     CREATE MATERIALIZED VIEW m AS SELECT b FROM t; CREATE TABLE log (what text)",
                )
                .unwrap();
            first.execute("BEGIN; ALTER TABLE t DROP COLUMN a").unwrap();
            let threads = ["REFRESH MATERIALIZED VIEW m", "CREATE TABLE copied AS SELECT b FROM t"].map(|sql| {
                let node = node.clone();
                machine.spawn("waits", move || session(&node).execute(sql).map(|_| ()).unwrap())
            });
            machine.sleep_until(machine.monotonic_ns() + 10_000_000);
            first.execute("COMMIT").unwrap();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(integers(&mut first, "SELECT b FROM m UNION ALL SELECT b FROM copied"), [2, 2]);
        });
        outcome.value.unwrap();
    }
}
