//! Rights and policies: they survive a restart, a refusal survives its transaction, and policies of others cost a plan nothing.

use tuplix_engine::{Session, close};
use tuplix_machine::{DiskImage, Faults, Simulation};

use super::{integers, open_node, session};

/// What the test leaves behind, and may not forget.
const MADE: &str = "
    CREATE ROLE ann; CREATE ROLE ben; CREATE ROLE team; GRANT team TO ben;
    CREATE SCHEMA app; GRANT USAGE, CREATE ON SCHEMA app TO ann; GRANT USAGE ON SCHEMA app TO team;
    SET ROLE ann;
    CREATE TABLE app.doc (id int PRIMARY KEY, owner text, gone int, body text);
    INSERT INTO app.doc VALUES (1, 'ann', 0, 'a'), (2, 'ben', 0, 'b'), (3, 'ben', 0, 'c');
    CREATE FUNCTION app.seen() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN RETURN (SELECT count(*) FROM app.doc); END $$;
    REVOKE ALL ON FUNCTION app.seen() FROM PUBLIC; GRANT EXECUTE ON FUNCTION app.seen() TO team;
    GRANT SELECT (id, owner, gone), UPDATE (body) ON app.doc TO team;
    ALTER TABLE app.doc DROP COLUMN gone;
    ALTER TABLE app.doc ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON app.doc TO team USING (owner = current_user);
    ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO team;
    RESET ROLE";

fn state(session: &mut Session, sql: &str) -> String {
    match session.execute(sql) {
        Ok(_) => "00000".to_owned(),
        Err(error) => error.sqlstate().to_string(),
    }
}

/// Everything that [`MADE`] permits and refuses.
fn check(session: &mut Session) {
    session.execute("SET ROLE ben").unwrap();
    assert_eq!(integers(session, "SELECT id FROM app.doc ORDER BY id"), [2, 3]);
    assert_eq!(integers(session, "SELECT app.seen()"), [3]);
    for refused in [
        "SELECT body FROM app.doc",
        "DELETE FROM app.doc",
        "UPDATE app.doc SET owner = 'ann'",
        "UPDATE app.doc SET body = 'x' WHERE body = 'b'",
        "CREATE TABLE app.mine (a int)",
        "ALTER TABLE app.doc DISABLE ROW LEVEL SECURITY",
    ] {
        assert_eq!(state(session, refused), "42501", "{refused}");
    }
    session.execute("UPDATE app.doc SET body = 'x' WHERE id = 3").unwrap();
    session.execute("SET ROLE ann; CREATE TABLE app.later (a int); RESET ROLE").unwrap();
    session.execute("SET ROLE ben; SELECT * FROM app.later; RESET ROLE").unwrap();
    session.execute("DROP TABLE app.later").unwrap();
}

fn reopened(disk: DiskImage, seed: u64, checkpoints: bool) -> DiskImage {
    let outcome = Simulation::new(seed, Faults::none()).with_disk(disk).run(move |machine| {
        let node = open_node(&machine);
        let mut session = session(&node);
        check(&mut session);
        if checkpoints {
            session.execute("CHECKPOINT").unwrap();
        }
        close(&node).unwrap();
    });
    outcome.disk
}

#[test]
fn rights_and_policies_survive_restarts() {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        let node = open_node(&machine);
        let mut session = session(&node);
        session.execute(MADE).unwrap();
        check(&mut session);
        close(&node).unwrap();
    });
    // From the log, then from a checkpoint.
    let disk = reopened(outcome.disk, 2, true);
    reopened(disk, 3, false);
}

#[test]
fn a_refusal_outlives_its_transaction() {
    Simulation::new(4, Faults::none()).run(|machine| {
        let node = open_node(&machine);
        let mut session = session(&node);
        session.execute("CREATE TABLE secret (a int); CREATE ROLE ann").unwrap();
        session.execute("BEGIN; SET LOCAL ROLE ann").unwrap();
        assert_eq!(state(&mut session, "SELECT * FROM secret"), "42501");
        session.execute("ROLLBACK").unwrap();
        let handled = "SET ROLE ann; DO $$ BEGIN DELETE FROM secret; EXCEPTION WHEN OTHERS THEN NULL; END $$; RESET ROLE";
        session.execute(handled).unwrap();
        let rows = session
            .query("SELECT action, user_name, sqlstate, message FROM tuplix.refusals ORDER BY refusal", &[])
            .unwrap();
        let rows: Vec<String> = rows
            .iter()
            .map(|row| row.iter().map(|value| value.as_str().unwrap_or("?")).collect::<Vec<_>>().join("|"))
            .collect();
        let expected = ["SELECT", "DELETE"].map(|action| {
            format!("{action}|ann|42501|permission denied for table secret")
        });
        assert_eq!(rows, expected);
    });
}

/// A role's plan has the policies that bind it and no others, and finds a row by its key as before.
#[test]
fn policies_of_others_cost_nothing() {
    Simulation::new(5, Faults::none()).run(|machine| {
        let node = open_node(&machine);
        let mut session = session(&node);
        session.execute("CREATE TABLE t (id int PRIMARY KEY, tenant int, v int)").unwrap();
        session.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO PUBLIC").unwrap();
        session.execute("INSERT INTO t SELECT i, i % 100, i FROM generate_series(1, 1000) i").unwrap();
        for number in 0..100 {
            let made = format!(
                "CREATE ROLE r{number}; CREATE POLICY p{number} ON t TO r{number} USING (tenant = {number})"
            );
            session.execute(&made).unwrap();
        }
        session.execute("SET ROLE r7").unwrap();
        let rows = session.query("EXPLAIN SELECT v FROM t WHERE id = 107", &[]).unwrap();
        let plan: Vec<&str> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
        assert!(plan.iter().any(|line| line.contains("Index Scan using t_pkey")), "{plan:?}");
        let filters: Vec<&&str> = plan.iter().filter(|line| line.contains("Filter:")).collect();
        assert!(matches!(filters[..], [only] if only.matches("tenant").count() == 1), "{plan:?}");
        assert_eq!(integers(&mut session, "SELECT v FROM t WHERE id IN (107, 108)"), [107]);
        assert_eq!(integers(&mut session, "SELECT count(*) FROM t"), [10]);
    });
}

/// A hundred policies for everybody that differ in a constant are one condition, in which the value is looked for.
#[test]
fn policies_that_are_alike_cost_what_one_does() {
    Simulation::new(7, Faults::none()).run(|machine| {
        let node = open_node(&machine);
        let mut session = session(&node);
        session.execute("CREATE TABLE t (id int PRIMARY KEY, tenant int, v int); CREATE ROLE ann").unwrap();
        session.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO ann").unwrap();
        session.execute("INSERT INTO t SELECT i, i % 200, i FROM generate_series(1, 1000) i").unwrap();
        for number in 0..100 {
            let made = format!("CREATE POLICY p{number} ON t USING (tenant = {number})");
            session.execute(&made).unwrap();
        }
        session.execute("SET ROLE ann").unwrap();
        let rows = session.query("EXPLAIN SELECT v FROM t WHERE id = 7", &[]).unwrap();
        let filters: Vec<&str> =
            rows.iter().map(|row| row[0].as_str().unwrap()).filter(|line| line.contains("Filter:")).collect();
        assert!(matches!(filters[..], [only] if only.matches("tenant").count() == 1), "{filters:?}");
        assert_eq!(integers(&mut session, "SELECT count(*) FROM t"), [500]);
        assert_eq!(integers(&mut session, "SELECT v FROM t WHERE id IN (7, 107, 207) ORDER BY v"), [7, 207]);
    });
}

/// A statement prepared as one role asks anew, and shows other rows, as another.
#[test]
fn prepared_statements_follow_the_role() {
    Simulation::new(6, Faults::none()).run(|machine| {
        let node = open_node(&machine);
        let mut session = session(&node);
        session.execute(MADE).unwrap();
        let count = session.prepare("SELECT count(*) FROM app.doc", &[]).unwrap();
        let counted = |session: &mut Session, role: &str| {
            session.execute(&format!("SET ROLE {role}")).unwrap();
            let mut rows = tuplix_types::Rows::new();
            let outcome = session.call(&count, &[], &mut rows).map(|_| ());
            outcome.map(|()| rows.row(0)[0].as_i64().unwrap()).map_err(|error| error.sqlstate().to_string())
        };
        assert_eq!(counted(&mut session, "tuplix"), Ok(3));
        assert_eq!(counted(&mut session, "ben"), Ok(2));
        assert_eq!(counted(&mut session, "ann"), Ok(3));
        session.execute("RESET ROLE; REVOKE ALL ON app.doc FROM team").unwrap();
        assert_eq!(counted(&mut session, "ben"), Err("42501".to_owned()));
        assert_eq!(counted(&mut session, "ann"), Ok(3));
    });
}
