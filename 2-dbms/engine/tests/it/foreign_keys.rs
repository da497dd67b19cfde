//! Nobody is left an orphan, whatever two interactive transactions and one-shots do to parents and children at once.

use tuplix_machine::{Faults, Simulation};

use super::{Random, integers, open_node, session};

/// What a client does to parents and children, in blocks and one-shots.
const STATEMENTS: [&str; 10] = [
    "INSERT INTO child VALUES (nextval('ids'), $p)",
    "INSERT INTO child VALUES (nextval('ids'), $p)",
    "INSERT INTO parent VALUES ($p, 0) ON CONFLICT DO NOTHING",
    "DELETE FROM parent WHERE id = $p",
    "UPDATE parent SET id = id + 10 WHERE id = $p",
    "UPDATE parent SET n = n + 1 WHERE id = $p",
    "INSERT INTO parent VALUES ($p, 0) ON CONFLICT DO NOTHING",
    "UPDATE child SET p = $p WHERE id % 3 = 0",
    "DELETE FROM child WHERE p = $p",
    "INSERT INTO grandchild VALUES ($p, (SELECT max(id) FROM child))",
];

fn work(node: &std::sync::Arc<tuplix_engine::Node>, seed: u64) -> (u64, u64) {
    let mut session = session(node);
    let mut random = Random(seed);
    let (mut done, mut refused) = (0, 0);
    for _ in 0..30 {
        let in_block = random.below(3) > 0;
        if in_block {
            session.execute("BEGIN").unwrap();
        }
        for _ in 0..=random.below(3) {
            let statement = STATEMENTS[random.below(STATEMENTS.len() as u64) as usize];
            let text = statement.replace("$p", &(1 + random.below(4)).to_string());
            match session.execute(&text) {
                Ok(_) => done += 1,
                Err(error) => {
                    let code = error.sqlstate().to_string();
                    assert!(["23503", "23505", "40P01", "25P02"].contains(&code.as_str()), "{text}: {error}");
                    refused += u64::from(code == "23503");
                }
            }
        }
        if in_block {
            session.execute(if random.below(4) == 0 { "ROLLBACK" } else { "COMMIT" }).unwrap();
        }
    }
    (done, refused)
}

fn run(seed: u64, tables: &str) -> (u64, u64) {
    let tables = tables.to_owned();
    let outcome = Simulation::new(seed, Faults::none()).run(move |machine| {
        let node = open_node(&machine);
        let mut first = session(&node);
        for statement in tables.split(';') {
            first.execute(statement).unwrap();
        }
        first.execute("INSERT INTO parent SELECT i, 0 FROM generate_series(1, 4) i").unwrap();
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let node = node.clone();
                machine.spawn("client", move || work(&node, seed * 7 + number))
            })
            .collect();
        let mut counts = (0, 0);
        for thread in threads {
            let (done, refused) = thread.join().unwrap();
            counts = (counts.0 + done, counts.1 + refused);
        }
        let orphans = "SELECT count(*) FROM child WHERE p IS NOT NULL AND p NOT IN (SELECT id FROM parent)";
        assert_eq!(integers(&mut first, orphans), [0], "seed {seed}: orphans");
        let orphans =
            "SELECT count(*) FROM grandchild WHERE c IS NOT NULL AND c NOT IN (SELECT id FROM child)";
        assert_eq!(integers(&mut first, orphans), [0], "seed {seed}: orphans of children");
        counts
    });
    outcome.value.unwrap()
}

fn check(tables: &str) {
    let (mut done, mut refused) = (0, 0);
    for seed in 0..25 {
        let counts = run(seed, tables);
        (done, refused) = (done + counts.0, refused + counts.1);
    }
    assert!(done > 500 && refused > 50, "the test did too little: {done} done, {refused} refused");
}

#[test]
fn no_orphans_among_local_tables() {
    check(
        "CREATE SEQUENCE ids; CREATE TABLE parent (id int PRIMARY KEY, n int); \
         CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent); \
         CREATE TABLE grandchild (p int, c int REFERENCES child ON DELETE CASCADE)",
    );
}

#[test]
fn no_orphans_with_actions() {
    check(
        "CREATE SEQUENCE ids; CREATE TABLE parent (id int PRIMARY KEY, n int); \
         CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE); \
         CREATE TABLE grandchild (p int REFERENCES parent, c int REFERENCES child)",
    );
}

#[test]
fn no_orphans_under_a_reference_table() {
    check(
        "CREATE SEQUENCE ids; CREATE TABLE parent (id int PRIMARY KEY, n int); \
         SELECT create_reference_table('parent'); \
         CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE SET NULL); \
         CREATE TABLE grandchild (p int REFERENCES parent, c int REFERENCES child)",
    );
}

#[test]
fn distributed_tables_pair_their_distribution_columns() {
    Simulation::new(1, Faults::none()).run(|machine| {
        let node = open_node(&machine);
        let mut session = session(&node);
        let mut run =
            |sql: &str| session.execute(sql).map(|_| ()).map_err(|error| error.sqlstate().to_string());
        run("CREATE TABLE parent (b int, id int, PRIMARY KEY (b, id))").unwrap();
        run("CREATE TABLE child (b int, id int, p int, PRIMARY KEY (b, id))").unwrap();
        run("SELECT create_distributed_table('parent', 'b')").unwrap();
        assert_eq!(
            run("ALTER TABLE child ADD FOREIGN KEY (b, p) REFERENCES parent"),
            Err("0A000".to_owned())
        );
        run("SELECT create_distributed_table('child', 'b')").unwrap();
        assert_eq!(
            run("ALTER TABLE child ADD FOREIGN KEY (p, b) REFERENCES parent"),
            Err("0A000".to_owned())
        );
        run("ALTER TABLE child ADD FOREIGN KEY (b, p) REFERENCES parent ON DELETE CASCADE").unwrap();
        run("INSERT INTO parent VALUES (1, 1), (2, 1)").unwrap();
        run("INSERT INTO child VALUES (1, 1, 1), (2, 1, 1)").unwrap();
        assert_eq!(run("INSERT INTO child VALUES (3, 1, 1)"), Err("23503".to_owned()));
        run("DELETE FROM parent WHERE b = 1 AND id = 1").unwrap();
        assert_eq!(integers(&mut session, "SELECT b FROM child"), [2]);
    });
}
