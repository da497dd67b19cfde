//! EXPLAIN and EXPLAIN ANALYZE: the plan of a statement, and what each operator of it really did.

use tuplix_sql::plan::{Statement, StatementKind};
use tuplix_types::{Result, Rows, Tag, Value};

use super::Session;
use super::plan_text::Options;
use super::utility::{evaluate, no_such_statement};
use crate::exec::compile_statement;
use crate::redo::Origin;
use crate::stop::Stop;

impl Session {
    /// Fills `out` with the lines; gives the epoch of what an ANALYZE has changed.
    pub(super) fn explain(
        &mut self,
        analyze: bool,
        options: &[(String, String)],
        statement: &Statement,
        out: &mut Rows,
    ) -> Result<u64> {
        let options = Options::new(analyze, options)?;
        out.tag = Tag { command: "EXPLAIN", rows: None };
        let (statement, values) = match &statement.kind {
            StatementKind::Execute { name, arguments } => {
                let prepared = self.named.get(name).cloned().ok_or_else(|| no_such_statement(name))?;
                let schema = self.services.schema();
                let binder = self.binder(&schema, &prepared.inner.search_path);
                let inner = binder.analyze(&prepared.inner.parsed.statement, &prepared.inner.given)?;
                (inner, evaluate(arguments, &[])?)
            }
            _ => (statement.clone(), Vec::new()),
        };
        if !matches!(statement.kind, StatementKind::Query(_)) {
            options.show_utility(out);
            return Ok(0);
        }
        if analyze {
            return self.explain_analyze(&statement, &values, &options, out);
        }
        self.services.refresh();
        let schema = self.services.schema();
        let path = self.services.search_path();
        let machine = self.node.machine().clone();
        let began = machine.monotonic_ns();
        let compiled = self
            .binder(&schema, &path)
            .with_measuring_compiler(&machine, |compiler| compile_statement(compiler, &statement))?;
        let planned = machine.monotonic_ns();
        compiled.check_rights(&self.services)?;
        options.show(&compiled.explain(), milliseconds(began, planned), None, out);
        Ok(0)
    }

    /// Runs the statement, and does what it does: EXPLAIN ANALYZE of an INSERT inserts, as in PostgreSQL.
    fn explain_analyze(
        &mut self,
        statement: &Statement,
        values: &[Value],
        options: &Options,
        out: &mut Rows,
    ) -> Result<u64> {
        let machine = self.node.machine().clone();
        loop {
            self.services.refresh();
            let schema = self.services.schema();
            let path = self.services.search_path();
            let began = machine.monotonic_ns();
            let compiled = self
                .binder(&schema, &path)
                .with_measuring_compiler(&machine, |compiler| compile_statement(compiler, statement))?;
            let planned = machine.monotonic_ns();
            let origin = Origin { context: self.context.id(), procedure: 0, version: 0 };
            let outcome = self.run_once(
                schema.version,
                &origin,
                |exec, _| compiled.run(exec, values, &mut |_| Ok(())),
                &mut Rows::new(),
            );
            match outcome {
                Ok((_, committed)) => {
                    let ended = machine.monotonic_ns();
                    let times = (milliseconds(began, planned), milliseconds(planned, ended));
                    options.show(&compiled.explain(), times.0, Some(times.1), out);
                    return Ok(committed.epoch);
                }
                Err(Stop::Error(error)) => return Err(error),
                // Begun again with more latches, and measured anew.
                Err(Stop::Restart) => {}
            }
        }
    }
}

fn milliseconds(from: u64, to: u64) -> f64 {
    (to - from) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tuplix_machine::Machine;

    use crate::{Session, SessionOptions, Shape, open_in_memory};

    fn lines(session: &mut Session, sql: &str) -> Vec<String> {
        let rows = session.query(sql, &[]).unwrap();
        rows.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
    }

    /// Each line with its rows and loops, without times.
    fn counts(session: &mut Session, sql: &str) -> Vec<String> {
        let without_time = |line: String| match (line.find("(actual time="), line.find("rows=")) {
            (Some(from), Some(to)) => format!("{}({}", &line[..from], &line[to..]),
            _ => line,
        };
        let kept = lines(session, sql).into_iter().filter(|line| !line.contains(" Time: "));
        kept.map(without_time).collect()
    }

    #[test]
    fn analyze_counts_what_really_happened() {
        let shape = Shape { partitions: 2, buckets: 8, log_segment_bytes: 64 << 20 };
        let node = open_in_memory(&Machine::linux_seeded(1), &shape).unwrap();
        let mut session = Session::new(&node, &SessionOptions::default()).unwrap();
        session
            .execute(
                "CREATE TABLE item (p_key integer, id integer, v integer, PRIMARY KEY (p_key, id));
                 CREATE INDEX item_v ON item (p_key, v);
                 SELECT create_distributed_table('item', 'p_key');
                 INSERT INTO item SELECT k % 8, k, k % 10 FROM generate_series(0, 799) k",
            )
            .unwrap();
        let join =
            "EXPLAIN (ANALYZE, COSTS OFF) SELECT count(*) FROM item a JOIN item b ON b.p_key = a.p_key AND b.id = a.id + 8
                    WHERE a.p_key = 3 AND a.v > 5";
        assert_eq!(
            counts(&mut session, join),
            [
                "Aggregate (rows=1 loops=1)",
                "  ->  Nested Loop (rows=40 loops=1)",
                "        ->  Index Scan using item_v on item a (rows=40 loops=1)",
                "              Bucket: of 3",
                "              Index Cond: (p_key = 3) AND (v > 5)",
                "        ->  Index Scan using item_pkey on item b (rows=1 loops=40)",
                "              Bucket: of p_key",
                "              Index Cond: (p_key = p_key) AND (id = (id + 8))",
            ]
        );
        assert_eq!(
            counts(&mut session, "EXPLAIN (ANALYZE, COSTS OFF) SELECT sum(v) FROM item WHERE v < 2"),
            [
                "Aggregate (rows=1 loops=1)",
                "  ->  Seq Scan on item (rows=160 loops=1)",
                "        Buckets: all 8",
                "        Chunk Test: (v < 2)",
                "  Computed: by column",
            ]
        );
        // It does what the statement does.
        let delete = "EXPLAIN (ANALYZE, COSTS OFF) DELETE FROM item WHERE p_key = 0 AND id = 8 RETURNING id";
        assert_eq!(
            counts(&mut session, delete)[..2],
            ["Delete on item (rows=1 loops=1)", "  ->  Index Scan using item_pkey on item (rows=1 loops=1)"]
        );
        assert_eq!(lines(&mut session, "SELECT count(*)::text FROM item"), ["799"]);
        session.execute("PREPARE p (int) AS SELECT id FROM item WHERE p_key = $1").unwrap();
        assert_eq!(
            counts(&mut session, "EXPLAIN (ANALYZE, COSTS OFF) EXECUTE p (1)")[0],
            "Index Scan using item_v on item (rows=100 loops=1)"
        );
        session.execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE felt (m mood)").unwrap();
        let by_label = lines(&mut session, "EXPLAIN SELECT * FROM felt WHERE m = 'ok'");
        assert!(by_label.iter().any(|line| line.contains("(m = 'ok')")), "{by_label:?}");
        let times = lines(&mut session, "EXPLAIN ANALYZE SELECT 1");
        assert!(times.iter().any(|line| line.starts_with("Planning Time: ")), "{times:?}");
        assert!(times.iter().any(|line| line.starts_with("Execution Time: ")), "{times:?}");
        let refused = session.query("EXPLAIN (ANALYSE_THIS) SELECT 1", &[]).unwrap_err();
        assert_eq!(refused.message(), "unrecognized EXPLAIN option \"analyse_this\"");
    }
}
