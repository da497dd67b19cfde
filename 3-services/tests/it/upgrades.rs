//! An older schema with rows in it becomes the newest one in place.

use tuplix_services::scheduler::Scheduler;
use tuplix_services::{SERVICES, check, install};

use crate::engines::{bare, rows};
use crate::tasks::{HOME, WORKER, claim, finish};

/// What was installed at commit 25365cd: tables of version 1, and those of its procedures that have other parameters now.
const OLD_PROCEDURES: &str = include_str!("../fixtures/scheduler-1.sql");

/// A worker, a task that runs, one that waits and one that is over, as version 1 kept them.
const OLD_ROWS: &str = "
    INSERT INTO os.worker VALUES (5, 69, 0, 1, 1000, 1000, 'up', now() + interval '1 h', 30000, 'h', now());
    INSERT INTO os.counter VALUES (5, 'task', 3);
    INSERT INTO os.task (p_key, task_id, worker_id, state, attempt, started_at)
    VALUES (5, 69, 69, 'running', 1, now()), (5, 133, NULL, 'queued', 0, NULL), (5, 197, 69, 'done', 1, now());
    INSERT INTO os.task_spec
    SELECT 5, id, 'alice', 't' || id, 'exec', '/bin/true', '{}', '{}', '[]', '[]', 1, 0, 0, 'fifo', 1, 1000, NULL, NULL, 0
      FROM unnest(ARRAY[69, 133, 197]) id;
    INSERT INTO os.task_lease VALUES (5, 69, 69, 1, 0, 1, now() + interval '1 h');
    INSERT INTO os.task_queue VALUES (5, 133, 0, 1, 0, 'fifo', false);
    INSERT INTO os.task_result (p_key, task_id, attempt, outcome, worker_id) VALUES (5, 197, 1, 'done', 69);";

#[test]
fn an_older_schema_becomes_the_newest_in_place() {
    bare(|engine| {
        let mut session = engine.session();
        for service in SERVICES {
            for statement in session.parse(service.schema).unwrap() {
                session.execute(statement.text()).unwrap();
            }
            let version = format!("INSERT INTO os.version VALUES ('{}', 1, 'of 25365cd')", service.name);
            session.execute(&version).unwrap();
        }
        session.execute(OLD_PROCEDURES).unwrap();
        session.execute(OLD_ROWS).unwrap();

        let installed = install(&mut session).unwrap();
        assert_eq!((installed.created, installed.upgraded), (vec![], vec!["scheduler"]), "{}", engine.name);
        assert_eq!(check(&mut session).unwrap(), []);
        // Calls as they were written for the older procedures find one function each.
        session.execute("SELECT os.submit_task(5, 'alice', 'old', '/bin/true')").unwrap();
        let graph =
            "SELECT os.submit_graph(5, 'alice', '{\"tasks\": [{\"name\": \"a\", \"program\": \"x\"}]}')";
        session.execute(graph).unwrap();
        session.execute("SELECT os.finish_task(5, 69, 1, 0, NULL, NULL, NULL)").unwrap();
        let scheduler = Scheduler::new(&mut session).unwrap();
        let claimed = claim(&mut session, &scheduler).remove(0);
        assert_eq!((claimed.task.0, claimed.owner.as_str()), (133, "alice"));
        finish(&mut session, &scheduler, &claimed);
        let states = "SELECT state, count(*) FROM os.task GROUP BY 1 ORDER BY 1";
        assert_eq!(rows(&mut session, states), ["assigned|1", "done|3", "queued|1"]);
        session.execute("SELECT os.join_worker(5, 69, 1, 1000, 'h', 30000)").unwrap();
        assert_eq!(scheduler.claim_tasks(&mut session, HOME, WORKER, 9).unwrap().len(), 1);
        assert_eq!(check(&mut session).unwrap(), []);
    });
}

#[test]
fn an_upgrade_that_was_cut_off_is_completed() {
    bare(|engine| {
        let mut session = engine.session();
        install(&mut session).unwrap();
        // Whatever the last step had done, the next start does again.
        session.execute("UPDATE os.version SET version = 1 WHERE service = 'scheduler'").unwrap();
        session.execute("DROP TABLE os.cron").unwrap();
        assert_eq!(install(&mut session).unwrap().upgraded, ["scheduler"]);
        assert_eq!(rows(&mut session, "SELECT count(*) FROM os.cron"), ["0"]);
        assert_eq!(install(&mut session).unwrap().upgraded, [""; 0]);
    });
}
