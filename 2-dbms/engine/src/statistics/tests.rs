//! Statistics decide about plans: what EXPLAIN says before and after, and that results stay what they are.

#![allow(clippy::unwrap_used)]

use tuplix_machine::Machine;

use crate::{Session, SessionOptions, Shape, open_in_memory};

fn session() -> Session {
    let shape = Shape { partitions: 2, buckets: 8, log_segment_bytes: 64 << 20 };
    let node = open_in_memory(&Machine::linux_seeded(1), &shape).unwrap();
    Session::new(&node, &SessionOptions::default()).unwrap()
}

fn plan(session: &mut Session, sql: &str) -> serde_json::Value {
    let rows = session.query(&format!("EXPLAIN (FORMAT JSON) {sql}"), &[]).unwrap();
    let text = rows.iter().next().unwrap()[0].as_str().unwrap().to_owned();
    let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    whole[0]["Plan"].clone()
}

/// The operator that finds rows of a relation: its kind, its index, its estimated rows.
fn path(plan: &serde_json::Value, alias: &str) -> Option<(String, Option<String>, f64)> {
    if plan["Alias"] == alias {
        let text = |name: &str| plan[name].as_str().map(str::to_owned);
        return Some((text("Node Type")?, text("Index Name"), plan["Plan Rows"].as_f64()?));
    }
    plan["Plans"].as_array()?.iter().find_map(|source| path(source, alias))
}

fn index(session: &mut Session, sql: &str) -> Option<String> {
    path(&plan(session, sql), "t").unwrap().1
}

/// The relations of a plan as it reads them, outer ones first.
fn order(plan: &serde_json::Value) -> Vec<String> {
    match plan["Plans"].as_array() {
        Some(sources) => sources.iter().flat_map(order).collect(),
        None => plan["Alias"].as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// 100,000 rows: `v` is 1 in 90 % of them and rare else, `w` has 1,000 values.
const SKEWED: &str = "CREATE TABLE t (id int PRIMARY KEY, v int, w int, label text);
    INSERT INTO t SELECT i, CASE WHEN i % 10 = 0 THEN i ELSE 1 END, i * 7919 % 1000, 'label ' || i % 1000
      FROM generate_series(1, 100000) i;
    CREATE INDEX t_v ON t (v); CREATE INDEX t_w ON t (w); CREATE INDEX t_label ON t (label)";

#[test]
fn skew_flips_the_plan() {
    let mut session = session();
    session.execute(SKEWED).unwrap();
    session.execute("ANALYZE t; SET tuplix.automatic_statistics = off").unwrap();
    // Nine rows of ten: reading them all is cheaper than looking each up.
    let all = path(&plan(&mut session, "SELECT * FROM t WHERE v = 1"), "t").unwrap();
    assert_eq!((all.0.as_str(), all.1), ("Seq Scan", None));
    assert!((85_000.0..95_000.0).contains(&all.2), "{}", all.2);
    let rare = path(&plan(&mut session, "SELECT * FROM t WHERE v = 70"), "t").unwrap();
    assert_eq!(rare.1.as_deref(), Some("t_v"));
    assert!(rare.2 < 20.0, "{}", rare.2);
    // Between two indexes: the one whose value is rare.
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE v = 1 AND w = 5").as_deref(), Some("t_w"));
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE v = 70 AND w = 5").as_deref(), Some("t_v"));
    // Ranges, lists, and what most rows have.
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE w < 3").as_deref(), Some("t_w"));
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE w < 900"), None);
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE w BETWEEN 10 AND 12").as_deref(), Some("t_w"));
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE v IN (20, 30)").as_deref(), Some("t_v"));
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE v IN (1, 30)"), None);
    // A value that is not known yet: the index that finds fewest rows in the mean, never a scan.
    session.execute("PREPARE one (int) AS SELECT * FROM t WHERE v = $1").unwrap();
    assert_eq!(index(&mut session, "EXECUTE one (1)").as_deref(), Some("t_v"));
    let estimated = |session: &mut Session, condition: &str| {
        path(&plan(session, &format!("SELECT * FROM t WHERE {condition}")), "t").unwrap().2
    };
    let like = estimated(&mut session, "label LIKE 'label 99%'");
    assert!((300.0..5_000.0).contains(&like), "{like}");
    let nulls = estimated(&mut session, "v IS NULL");
    assert!(nulls < 2.0, "{nulls}");
    let either = estimated(&mut session, "v = 1 OR w = 3");
    assert!((85_000.0..95_000.0).contains(&either), "{either}");
    assert!(estimated(&mut session, "NOT v = 1") < 15_000.0);
}

#[test]
fn without_analyze_a_sample_shows_the_skew() {
    let mut session = session();
    session.execute("SET tuplix.automatic_statistics = off").unwrap();
    session.execute(SKEWED).unwrap();
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE v = 1").as_deref(), Some("t_v"));
    session.execute("SET tuplix.automatic_statistics = on").unwrap();
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE v = 1"), None);
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE v = 70").as_deref(), Some("t_v"));
    // Other values after many writes: seen without anybody's ANALYZE.
    session.execute("DELETE FROM t WHERE v = 1").unwrap();
    assert_eq!(index(&mut session, "SELECT * FROM t WHERE v = 1").as_deref(), Some("t_v"));
    let known =
        session.query("SELECT count(*)::text FROM pg_stats WHERE tablename = 't' AND attname = 'v'", &[]);
    assert_eq!(known.unwrap().iter().next().unwrap()[0].as_str(), Some("1"));
}

#[test]
fn sizes_flip_the_order_of_joins() {
    let mut session = session();
    let fill = |session: &mut Session, a: usize, b: usize| {
        session
            .execute(&format!(
                "CREATE TABLE a (id int PRIMARY KEY, b_id int, x int); CREATE TABLE b (id int PRIMARY KEY, a_id int, y int);
                 CREATE INDEX a_b ON a (b_id); CREATE INDEX b_a ON b (a_id);
                 INSERT INTO a SELECT i, i % {b} + 1, i % 50 FROM generate_series(1, {a}) i;
                 INSERT INTO b SELECT i, i % {a} + 1, i % 50 FROM generate_series(1, {b}) i; ANALYZE a, b"
            ))
            .unwrap();
    };
    let query = "SELECT count(*) FROM a, b WHERE a.id = b.a_id";
    fill(&mut session, 20, 50_000);
    let small = plan(&mut session, query);
    let all = "SELECT count(*), sum(y) FROM a, b WHERE a.b_id = b.id AND a.x = b.y";
    let first = order(&plan(&mut session, all));
    session.execute("DROP TABLE a, b").unwrap();
    fill(&mut session, 50_000, 20);
    let other = order(&plan(&mut session, all));
    assert_eq!(first, ["a", "b"], "{small}");
    assert_eq!(other, ["b", "a"]);
    // A chain: the filtered end comes first, whichever it is.
    session
        .execute(
            "CREATE TABLE c (id int PRIMARY KEY, b_id int, z int); CREATE INDEX c_b ON c (b_id);
             INSERT INTO c SELECT i, i % 20 + 1, i % 1000 FROM generate_series(1, 20000) i; ANALYZE c",
        )
        .unwrap();
    let chain = "SELECT count(*) FROM a JOIN b ON a.b_id = b.id JOIN c ON c.b_id = b.id WHERE";
    assert_eq!(order(&plan(&mut session, &format!("{chain} c.id = 5")))[0], "c");
    assert_eq!(order(&plan(&mut session, &format!("{chain} a.id = 5")))[0], "a");
}

#[test]
fn results_are_the_same_before_and_after() {
    let mut session = session();
    session.execute("SET tuplix.automatic_statistics = off").unwrap();
    session.execute(SKEWED).unwrap();
    session
        .execute(
            "CREATE TABLE u (id int PRIMARY KEY, w int, name text);
             INSERT INTO u SELECT i, i, 'u' || i FROM generate_series(1, 300) i",
        )
        .unwrap();
    let queries = [
        "SELECT count(*), sum(id) FROM t WHERE v = 1 AND w = 5",
        "SELECT count(*), sum(t.id) FROM t JOIN u ON t.w = u.w WHERE u.id < 4",
        "SELECT count(*), sum(t.id), min(u.name) FROM u LEFT JOIN t ON t.w = u.w AND t.v = 70",
        "SELECT count(*) FROM t a JOIN t b ON a.w = b.w JOIN u ON u.w = b.w WHERE a.v = 70 AND b.id % 2 = 0",
        "SELECT id, v FROM t WHERE w < 5 ORDER BY id LIMIT 7",
        "SELECT id FROM t WHERE v <> 1 ORDER BY v DESC LIMIT 3",
        "SELECT count(*) FROM t, LATERAL (SELECT u.id FROM u WHERE u.w = t.w LIMIT 1) x WHERE t.v = 70",
        "SELECT count(*) FROM t WHERE label LIKE 'label 1%' AND w BETWEEN 100 AND 200",
    ];
    let answers = |session: &mut Session| -> Vec<String> {
        queries
            .iter()
            .map(|query| format!("{:?}", session.query(query, &[]).unwrap().iter().collect::<Vec<_>>()))
            .collect()
    };
    let before = answers(&mut session);
    session.execute("ANALYZE").unwrap();
    assert_eq!(before, answers(&mut session));
}

#[test]
fn statistics_survive_a_restart() {
    let folder = std::env::temp_dir().join(format!("tuplix-statistics-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let shape = Shape { partitions: 1, buckets: 8, log_segment_bytes: 1 << 20 };
    let machine = Machine::linux_seeded(1);
    let open = || {
        let disk = machine.disk(folder.to_str().unwrap());
        crate::open(&machine, disk, &shape, &crate::Durability::default()).unwrap().node
    };
    let known = |node: &std::sync::Arc<crate::Node>| {
        let mut session = Session::new(node, &SessionOptions::default()).unwrap();
        let rows = session.query("SELECT * FROM pg_stats ORDER BY tablename, attname", &[]).unwrap();
        let tuples = session.query("SELECT reltuples FROM pg_class WHERE relname = 't'", &[]).unwrap();
        format!("{:?} {:?}", rows.iter().collect::<Vec<_>>(), tuples.iter().collect::<Vec<_>>())
    };
    let node = open();
    let mut session = Session::new(&node, &SessionOptions::default()).unwrap();
    session
        .execute(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (id int PRIMARY KEY, v text, m mood);
             CREATE TABLE gone (a int); CREATE TABLE empty (a int);
             INSERT INTO t SELECT i, 'v' || i % 3, CASE WHEN i % 4 = 0 THEN 'sad' ELSE 'ok' END::mood FROM generate_series(1, 500) i;
             INSERT INTO gone VALUES (1); ALTER TABLE t ALTER v SET STATISTICS 2",
        )
        .unwrap();
    session.execute("ANALYZE").unwrap();
    session.execute("DROP TABLE gone; ALTER TABLE t RENAME v TO w").unwrap();
    drop(session);
    let before = known(&node);
    assert!(before.contains("sad") && before.contains("500") && !before.contains("gone"), "{before}");
    crate::close(&node).unwrap();
    drop(node);
    let node = open();
    assert_eq!(before, known(&node));
    let mut session = Session::new(&node, &SessionOptions::default()).unwrap();
    let rare = path(&plan(&mut session, "SELECT * FROM t WHERE m = 'sad'"), "t").unwrap();
    assert_eq!(rare.2, 125.0);
    drop(session);
    crate::close(&node).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
