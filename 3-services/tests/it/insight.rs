//! Views: stragglers, load, decisions; and what a row takes.

use tuplix_services::WorkerId;
use tuplix_services::scheduler::Scheduler;

use crate::engines::{both, rows};
use crate::tasks::{WORKER, claim, finish, join, submit};

/// 9,995 tasks of a name that took 1 to 3 hours, five that run for 8, and ten decoys: five young ones, and five of another name that
/// takes longer.
const PLANTED: &str = "
    INSERT INTO os.task_spec
    SELECT 5, n * 64 + 5, 'alice', CASE WHEN n > 10005 THEN 'long' ELSE 'map' END, 'exec', 'x', '{}', '{}', '[]', '[]', 1, 0, 0, 'fifo', 1,
           1000, NULL, NULL, 0 FROM generate_series(1, 10020) n;
    INSERT INTO os.task (p_key, task_id, worker_id, state, attempt, started_at, finished_at, submitted_at)
    SELECT 5, n * 64 + 5, 69,
           CASE WHEN n <= 9995 OR n > 10010 THEN 'done' ELSE 'running' END, 1,
           now() - CASE WHEN n <= 9995 OR n > 10010 THEN interval '99 h' WHEN n <= 10000 THEN interval '8 h' WHEN n <= 10005 THEN interval '1 h'
                        ELSE interval '20 h' END,
           CASE WHEN n <= 9995 THEN now() - interval '99 h' + make_interval(hours => 1 + n % 3) WHEN n > 10010
                THEN now() - interval '99 h' + interval '30 h' END, now() - interval '100 h'
      FROM generate_series(1, 10020) n;
    INSERT INTO os.task_lease
    SELECT 5, n * 64 + 5, 69, 1, 0, 1, now() + interval '1 h', NULL FROM generate_series(9996, 10010) n;
    UPDATE os.worker SET unused_capacity = 5 WHERE p_key = 5;
    INSERT INTO os.counter VALUES (5, 'task', 20000)";

#[test]
fn five_stragglers_of_ten_thousand_are_found_exactly() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 20);
        session.execute(PLANTED).unwrap();
        let expected: Vec<String> = (9996..=10000).map(|n| (n * 64 + 5).to_string()).collect();
        let found = "SELECT task_id FROM os.task_straggler WHERE p_key = 5 ORDER BY task_id";
        assert_eq!(rows(session, found), expected);
        let one = "SELECT name, worker_id, typical_s::int, ratio BETWEEN 4 AND 5 FROM os.task_straggler ORDER BY task_id LIMIT 1";
        assert_eq!(rows(session, one), ["map|69|7200|true"]);
    });
}

#[test]
fn load_and_decisions_are_views() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        join(session, &scheduler, WorkerId(133), 4);
        for name in ["a", "b"] {
            submit(session, &scheduler, name);
        }
        let first = claim(session, &scheduler).remove(0);
        let loads = "SELECT worker_id, used, capacity, utilisation::text, load FROM os.worker_load ORDER BY worker_id";
        assert_eq!(rows(session, loads), ["69|1|1|1.000|over", "133|1|4|0.250|normal"]);
        let buckets = "SELECT p_key, workers, capacity, used, queued, running, utilisation::text FROM os.bucket_load WHERE workers > 0";
        assert_eq!(rows(session, buckets), ["5|2|5|2|0|1|0.400"]);
        finish(session, &scheduler, &first);
        let decision = "SELECT policy, worker_id, decision, waited_ms >= 0, ran_ms >= 0 FROM os.task_decision ORDER BY task_id";
        assert_eq!(rows(session, decision), ["fifo|69|fifo|true|true", "fifo|133|fifo|true|NULL"]);
        assert_eq!(scheduler.why_pending(session, first.task).unwrap()[0].reason, "over");
    });
}

/// The budget of a task's row: 160 bytes with all indexes.
#[test]
fn a_task_row_stays_small() {
    both(|engine, session| {
        session
            .execute(
                "INSERT INTO os.task (p_key, task_id, worker_id, state, attempt, decided_at, started_at, finished_at)
                 SELECT n % 64, n * 64 + n % 64, 69, 'done', 1, now(), now(), now() FROM generate_series(1, 200000) n",
            )
            .unwrap();
        let bytes = if engine.name == "engine" {
            "SELECT (row_bytes + index_bytes) / 200000 FROM tuplix.tables WHERE schema = 'os' AND name = 'task'"
        } else {
            "SELECT (pg_total_relation_size('os.task') / 200000)::int"
        };
        let bytes: i64 = rows(session, bytes).concat().parse().unwrap();
        eprintln!("{}: {bytes} bytes a row", engine.name);
        assert!(bytes < 160, "{bytes}");
        session
            .execute("INSERT INTO os.counter SELECT p, 'task', 1000000 FROM generate_series(0, 63) p")
            .unwrap();
    });
}
