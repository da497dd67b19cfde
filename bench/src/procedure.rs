//! `procedure`: what a call costs in process: nothing, a point read, an update, an insert; and what preparing a statement does.

use tuplix::{LogMode, Options, Rows, SessionOptions, Tuplix, TypeId, Value};

use crate::Plan;
use crate::measure::{Case, Client, Draw, measure};
use crate::report::Report;

const SCHEMA: &str = "
    CREATE TABLE item (p_key integer NOT NULL, id integer NOT NULL, value bigint NOT NULL, PRIMARY KEY (p_key, id));
    CREATE TABLE event (p_key integer NOT NULL, id bigint NOT NULL, value integer, PRIMARY KEY (p_key, id));
    SELECT create_distributed_table('item', 'p_key');
    SELECT create_distributed_table('event', 'p_key');
    INSERT INTO item SELECT p, i, 0 FROM generate_series(0, 63) p, generate_series(0, 999) i;
    CREATE FUNCTION nothing(p integer, i bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN i; END $$;
    CREATE FUNCTION point_read(p integer, i bigint) RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE v bigint;
    BEGIN SELECT value INTO v FROM item WHERE p_key = p AND id = i::integer; RETURN v; END $$;
    CREATE FUNCTION point_update(p integer, i bigint) RETURNS bigint LANGUAGE plpgsql AS $$
    BEGIN UPDATE item SET value = value + 1 WHERE p_key = p AND id = i::integer; RETURN 1; END $$;
    CREATE FUNCTION one_insert(p integer, i bigint) RETURNS bigint LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO event VALUES (p, i, 1); RETURN 1; END $$;
";

/// Runs the suite.
///
/// # Errors
/// What opening, preparing and calling find.
pub fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for (case, function) in [
        ("empty_call", "nothing"),
        ("point_read", "point_read"),
        ("update", "point_update"),
        ("insert", "one_insert"),
    ] {
        for (log, synchronous) in [("off", "on"), ("async", "off")] {
            let labels =
                Case { suite: "procedure", case: case.to_owned(), system: "tuplix", log, clients: 1 };
            let folder = tempfile::tempdir_in(&plan.dir)?;
            let mode = if log == "off" { LogMode::Off } else { LogMode::On };
            let node = Tuplix::open_with(&Options {
                dir: Some(folder.path().to_owned()),
                partitions: 1,
                log: mode,
                ..Options::default()
            })?;
            node.session(&SessionOptions::default())?.execute(SCHEMA)?;
            let mut next = 0_i64;
            measure(plan, report, &labels, || {
                let mut session = node.session(&SessionOptions::default())?;
                session.set("synchronous_commit", synchronous)?;
                let call =
                    session.prepare(&format!("SELECT {function}($1, $2)"), &[TypeId::INT4, TypeId::INT8])?;
                let mut rows = Rows::new();
                let mut draw = Draw::new(7);
                let is_insert = function == "one_insert";
                next += 1 << 40;
                let mut id = next;
                let client: Client<'_> = Box::new(move || {
                    id += 1;
                    let item = if is_insert { id } else { i64::from(draw.below(1000)) };
                    let bucket = draw.below(64) as i32;
                    session.call(&call, &[Value::Int4(bucket), Value::Int8(item)], &mut rows)?;
                    Ok(())
                });
                Ok(vec![client])
            })?;
            node.close()?;
        }
    }
    prepare(plan, report)
}

/// Parsing, analysing, planning and compiling one statement after the other.
fn prepare(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let node = Tuplix::open_with(&Options { log: LogMode::Off, partitions: 1, ..Options::default() })?;
    node.session(&SessionOptions::default())?.execute(SCHEMA)?;
    for (case, text) in [
        ("prepare_select", "SELECT value FROM item WHERE p_key = $1 AND id = $2"),
        ("prepare_insert", "INSERT INTO event VALUES ($1, $2, $3)"),
    ] {
        let labels =
            Case { suite: "procedure", case: case.to_owned(), system: "tuplix", log: "off", clients: 1 };
        measure(plan, report, &labels, || {
            let mut session = node.session(&SessionOptions::default())?;
            let client: Client<'_> = Box::new(move || {
                session.prepare(text, &[])?;
                Ok(())
            });
            Ok(vec![client])
        })?;
    }
    node.close()?;
    Ok(())
}
