//! What is old is forgotten: tasks and graphs that ended, and trees of files.

use serde_json::json;
use tuplix_services::errors;
use tuplix_services::fs::{Fs, Writer};
use tuplix_services::os;
use tuplix_services::scheduler::Scheduler;

use crate::engines::{both, refused, rows};
use crate::tasks::{HOME, WORKER, claim, finish, join, submit};

const LEFT: &str = "SELECT (SELECT count(*) FROM os.task), (SELECT count(*) FROM os.task_spec), (SELECT count(*) FROM os.task_result),
                           (SELECT count(*) FROM os.task_dependency), (SELECT count(*) FROM os.graph)";

#[test]
fn old_tasks_and_graphs_are_forgotten() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 8);
        let pair =
            json!({"tasks": [{"name": "a", "program": "x"}, {"name": "b", "program": "x", "after": ["a"]}]});
        let ended = submit(session, &scheduler, "ended");
        scheduler.submit_graph(session, HOME, "alice", &pair, None).unwrap();
        for claim in claim(session, &scheduler) {
            finish(session, &scheduler, &claim);
        }
        for claim in claim(session, &scheduler) {
            finish(session, &scheduler, &claim);
        }
        // One that goes on, alone and in a graph.
        let running = submit(session, &scheduler, "running");
        scheduler.submit_graph(session, HOME, "alice", &pair, None).unwrap();
        let claims = claim(session, &scheduler);
        finish(session, &scheduler, claims.iter().find(|claim| claim.task != running).unwrap());
        assert_eq!(rows(session, LEFT), ["6|6|4|2|2"]);

        assert_eq!(scheduler.sweep_tasks(session, HOME, 100).unwrap(), [], "all of it is young");
        os::set(session, "scheduler.history_ms", -1000).unwrap();
        let swept = scheduler.sweep_tasks(session, HOME, 1).unwrap();
        assert_eq!(swept, [(ended, Some("alice".to_owned()))]);
        // A graph goes as a whole, however few are asked for.
        assert_eq!(scheduler.sweep_tasks(session, HOME, 1).unwrap().len(), 2);
        assert_eq!(scheduler.sweep_tasks(session, HOME, 1).unwrap(), []);
        assert_eq!(rows(session, LEFT), ["3|3|1|1|1"]);
        refused(scheduler.retry_task(session, ended), errors::UNKNOWN_TASK);
    });
}

#[test]
fn a_tree_is_removed_at_once() {
    both(|_, session| {
        let fs = Fs::new(session).unwrap();
        let alice = Writer::user("alice");
        for path in ["/t/a/b", "/t/a", "/t/a-b"] {
            fs.make_directory(session, HOME, path, alice, true).unwrap();
        }
        for path in ["/t/f", "/t/a/f", "/t/a/b/f", "/t-f"] {
            fs.put(session, HOME, path, b"x", alice).unwrap();
        }
        assert_eq!(fs.remove_tree(session, HOME, "/t").unwrap(), 7);
        assert_eq!(fs.remove_tree(session, HOME, "/t").unwrap(), 0);
        assert_eq!(fs.remove_tree(session, HOME, "/t/a/b").unwrap(), 0);
        assert_eq!(fs.remove_tree(session, HOME, "/t-f/below").unwrap(), 0);
        assert_eq!(fs.remove_tree(session, HOME, "/t-f").unwrap(), 1);
        assert_eq!(rows(session, "SELECT count(*) FROM os.file_block"), ["0"]);
        refused(fs.remove_tree(session, HOME, "/"), errors::INVALID);
    });
}
