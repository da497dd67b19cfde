//! Migrations, many DDL statements and row changes in one transaction, on a machine that loses its power in the middle of them:
//! what is there afterwards is one version of the schema, whole, and none that was acknowledged is lost.

use std::sync::{Arc, Mutex};

use tuplix::{Machine, Options, Result, Session, Tuplix};
use tuplix_machine::{DiskImage, Faults, Simulation};
use tuplix_sim::random::Random;

const SEEDS: u64 = 12;
const ROUNDS: u64 = 5;
/// Tables and indexes of this many versions are kept.
const KEPT: i64 = 3;

/// What is known outside of the machine.
#[derive(Debug, Default)]
struct Known {
    /// The newest version whose COMMIT was acknowledged.
    acknowledged: i64,
    /// The newest version whose COMMIT was asked for.
    asked: i64,
    wrong: Option<String>,
    checked: u64,
}

#[test]
fn a_migration_is_there_whole_or_not_at_all() {
    let mut versions = 0;
    let mut crashes = 0;
    let mut cut_short = 0;
    for seed in 0..SEEDS {
        let known = Arc::new(Mutex::new(Known::default()));
        let mut disk = DiskImage::default();
        let mut now = 0;
        for round in 0..ROUNDS {
            let mut random = Random::new(seed, round);
            let faults = Faults {
                reorder: random.chance(1, 2),
                latency_ns: random.below(3_000_000),
                crash_at_io: random.chance(1, 2).then(|| 1 + random.below(90)),
                max_steps: 3_000_000,
                ..Faults::none()
            };
            let inside = known.clone();
            let body = move |machine: Machine| {
                if let Err(error) = live(&machine, &mut random, &inside) {
                    inside.lock().unwrap().wrong.get_or_insert(format!("{error:?}"));
                }
            };
            let outcome =
                Simulation::new(seed * 1000 + round, faults).with_disk(disk).starting_at(now).run(body);
            crashes += u64::from(outcome.crashed());
            (disk, now) = (outcome.disk, outcome.now_ns);
            let known = known.lock().unwrap();
            assert_eq!(known.wrong, None, "seed {seed}, round {round}");
            cut_short += u64::from(known.asked > known.acknowledged);
        }
        let known = known.lock().unwrap();
        versions += known.acknowledged;
        assert!(known.checked > 0, "seed {seed} never came up");
    }
    // A test in which nothing is cut short shows nothing.
    assert!(
        versions > 30 && crashes > 20 && cut_short > 0,
        "{versions} versions, {crashes} crashes, {cut_short} cut short"
    );
}

fn live(machine: &Machine, random: &mut Random, known: &Arc<Mutex<Known>>) -> Result<()> {
    let options = Options {
        dir: Some("data".into()),
        partitions: 2,
        machine: Some(machine.clone()),
        ..Options::default()
    };
    let node = Tuplix::open_with(&options)?;
    let mut session = node.session(&Default::default())?;
    session.execute(
        "CREATE TABLE IF NOT EXISTS version (v bigint);
         INSERT INTO version SELECT 0 WHERE NOT EXISTS (SELECT FROM version);
         CREATE TABLE IF NOT EXISTS grown (id bigint PRIMARY KEY)",
    )?;
    check(&mut session, known)?;
    for _ in 0..1 + random.below(5) {
        let version = number(&mut session, "SELECT v FROM version")? + 1;
        let statements = migration(version);
        if random.chance(1, 4) {
            // The same, given up somewhere.
            session.execute("BEGIN")?;
            for sql in &statements[..random.below(statements.len() as u64) as usize] {
                session.execute(sql)?;
            }
            session.execute("ROLLBACK")?;
            check(&mut session, known)?;
        }
        session.execute("BEGIN")?;
        let last = random.chance(1, 6).then(|| random.below(statements.len() as u64) as usize);
        for (place, sql) in statements.iter().enumerate() {
            if Some(place) == last {
                machine.crash();
            }
            session.execute(sql)?;
        }
        known.lock().unwrap().asked = version;
        session.execute("COMMIT")?;
        known.lock().unwrap().acknowledged = version;
        check(&mut session, known)?;
    }
    machine.crash()
}

fn migration(version: i64) -> Vec<String> {
    let mut statements = vec![
        format!("CREATE TABLE m{version} (id bigint, v text, p_key int)"),
        format!("INSERT INTO m{version} SELECT x, 'row ' || x, x FROM generate_series(1, 4) x"),
        format!("SELECT create_distributed_table('m{version}', 'p_key')"),
        format!("ALTER TABLE m{version} ADD PRIMARY KEY (p_key, id), ALTER COLUMN v SET NOT NULL"),
        format!("INSERT INTO m{version} VALUES (5, 'row 5', 5)"),
        format!("INSERT INTO grown (id) VALUES ({version})"),
        format!("ALTER TABLE grown ADD COLUMN c{version} int NOT NULL DEFAULT {version}"),
        format!("CREATE INDEX grown_{version} ON grown (c{version}, id)"),
        format!("UPDATE version SET v = {version}"),
        format!(
            "CREATE OR REPLACE FUNCTION newest() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN \
             RETURN (SELECT c{version} FROM grown WHERE id = {version}); END $$"
        ),
        format!("COMMENT ON TABLE grown IS 'version {version}'"),
    ];
    if version > KEPT {
        let old = version - KEPT;
        statements.push(format!("DROP TABLE m{old}"));
        statements.push(format!("DROP INDEX grown_{old}"));
        statements.push(format!("ALTER TABLE grown ALTER COLUMN c{old} TYPE text USING 'was ' || c{old}"));
    }
    statements
}

fn number(session: &mut Session, sql: &str) -> Result<i64> {
    Ok(session.query(sql, &[])?.get(0, 0).and_then(|value| value.as_i64()).unwrap_or(-1))
}

/// Everything is of one version, which is not older than what was acknowledged nor newer than what was asked for.
fn check(session: &mut Session, known: &Arc<Mutex<Known>>) -> Result<()> {
    let version = number(session, "SELECT v FROM version")?;
    let wrong = |holds: bool, what: &str| {
        if !holds {
            known.lock().unwrap().wrong.get_or_insert(format!("version {version}: {what}"));
        }
    };
    {
        let known = known.lock().unwrap();
        let (low, high) = (known.acknowledged, known.asked);
        drop(known);
        wrong((low..=high).contains(&version), &format!("not within {low}..={high}"));
    }
    let kept = version.min(KEPT);
    wrong(number(session, "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'm%'")? == kept, "tables");
    let indexes = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'grown\\__'";
    let indexes = indexes.replace("__'", "_%' AND indexname <> 'grown_pkey'");
    wrong(number(session, &indexes)? == kept, "indexes");
    for table in version - kept + 1..=version {
        let sum = format!("SELECT sum(id * 100 + p_key)::bigint FROM m{table} WHERE v = 'row ' || id");
        wrong(number(session, &sum)? == 1515, &format!("rows of m{table}"));
        let found = format!("SELECT count(*) FROM grown WHERE c{table} = {table}");
        wrong(number(session, &found)? == version, &format!("column c{table}"));
    }
    for old in 1..=version - kept {
        let found = format!("SELECT count(*) FROM grown WHERE c{old} = 'was {old}'");
        // Rows that came after the rewrite have the default as it was.
        wrong(number(session, &found)? == old + KEPT, &format!("column c{old}"));
    }
    let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'grown'::regclass AND attnum > 0";
    wrong(number(session, columns)? == version + 1, "columns");
    if version > 0 {
        wrong(number(session, "SELECT newest()")? == version, "function");
        let comment = "SELECT substr(obj_description('grown'::regclass, 'pg_class'), 9)::int";
        wrong(number(session, comment)? == version, "comment");
    }
    known.lock().unwrap().checked += 1;
    Ok(())
}
