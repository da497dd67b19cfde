//! Single tasks: submit, claim, end, be refused.

use tuplix::Session;
use tuplix_services::scheduler::{Claim, Scheduler, TaskSpec, Usage, WorkerOffer};
use tuplix_services::{Bucket, TaskId, WorkerId, errors, os};

use crate::engines::{both, refused, rows};

pub const HOME: Bucket = Bucket(5);
pub const WORKER: WorkerId = WorkerId(69);

/// A worker of so many cores in the home bucket.
pub fn join(session: &mut Session, scheduler: &Scheduler, worker: WorkerId, cores: i32) {
    let offer = WorkerOffer { cores, memory: 1000, ..WorkerOffer::default() };
    scheduler.join_worker(session, HOME, worker, &offer).unwrap();
}

/// A task of one core.
pub fn spec(name: &str) -> TaskSpec {
    TaskSpec::new("alice", name, "/bin/true")
}

/// Submits a task of one core.
pub fn submit(session: &mut Session, scheduler: &Scheduler, name: &str) -> TaskId {
    scheduler.submit_task(session, HOME, &spec(name)).unwrap()
}

/// Claims what is assigned to the worker.
pub fn claim(session: &mut Session, scheduler: &Scheduler) -> Vec<Claim> {
    scheduler.claim_tasks(session, HOME, WORKER, 100).unwrap()
}

/// Ends the attempt of a claim well.
pub fn finish(session: &mut Session, scheduler: &Scheduler, claim: &Claim) {
    scheduler.finish_task(session, claim.task, claim.attempt, 0, &Usage::default()).unwrap();
}

/// A task's state.
pub fn state(session: &mut Session, task: TaskId) -> String {
    let sql = format!("SELECT state FROM os.task WHERE p_key = {} AND task_id = {task}", task.bucket());
    rows(session, &sql).concat()
}

/// Lets all that waits for time in the home bucket be due.
pub fn pass_time(session: &mut Session, scheduler: &Scheduler) {
    session.execute("UPDATE os.task_timer SET due_at = now() - interval '1 s' WHERE p_key = 5").unwrap();
    scheduler.tick(session, HOME).unwrap();
}

#[test]
fn a_task_lives() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        let mut spec = TaskSpec::new("alice", "greet", "/bin/echo").argument("hello").argument("w'ö rld");
        spec.environment.insert("K".to_owned(), "V".to_owned());
        spec.inputs = serde_json::json!(["/in"]);
        let task = scheduler.submit_task(session, HOME, &spec).unwrap();
        assert_eq!(task.bucket(), HOME);
        let claims = claim(session, &scheduler);
        assert_eq!(claims.len(), 1);
        let claimed = &claims[0];
        assert_eq!((claimed.task, claimed.attempt, claimed.owner.as_str()), (task, 1, "alice"));
        assert_eq!((claimed.program.as_str(), &claimed.arguments), ("/bin/echo", &spec.arguments));
        assert_eq!((&claimed.environment, &claimed.inputs), (&spec.environment, &spec.inputs));
        assert_eq!(claim(session, &scheduler), []);
        let usage = Usage { user_time_us: Some(10), system_time_us: Some(20), peak_memory: Some(30) };
        scheduler.finish_task(session, task, 1, 0, &usage).unwrap();
        let result = "SELECT attempt, outcome, worker_id, exit_code, user_time_us, system_time_us, peak_memory FROM os.task_result";
        assert_eq!(rows(session, result), ["1|done|69|0|10|20|30"]);
        assert_eq!(rows(session, "SELECT state, finished_at IS NOT NULL FROM os.task"), ["done|true"]);
    });
}

#[test]
fn queued_tasks_get_room_in_order() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        // Nobody works: they wait.
        let tasks: Vec<TaskId> = (0..4).map(|n| submit(session, &scheduler, &format!("t{n}"))).collect();
        let mut urgent = spec("urgent");
        urgent.priority = 1;
        let urgent = scheduler.submit_task(session, HOME, &urgent).unwrap();
        assert_eq!(
            rows(session, "SELECT count(*), count(worker_id) FROM os.task WHERE state = 'queued'"),
            ["5|0"]
        );
        join(session, &scheduler, WORKER, 2);
        let mut order = Vec::new();
        loop {
            let claims = claim(session, &scheduler);
            let Some(first) = claims.first() else { break };
            order.extend(claims.iter().map(|claim| claim.task));
            finish(session, &scheduler, first);
            if let Some(second) = claims.get(1) {
                finish(session, &scheduler, second);
            }
        }
        assert_eq!(order, [tasks[0], urgent, tasks[1], tasks[2], tasks[3]]);
    });
}

#[test]
fn large_tasks_are_not_passed_by_for_ever() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 2);
        let first = submit(session, &scheduler, "first");
        let mut large = spec("large");
        large.cores = 2;
        let large = scheduler.submit_task(session, HOME, &large).unwrap();
        let small = submit(session, &scheduler, "small");
        let mut giant = spec("giant");
        giant.memory = 5000;
        giant.priority = 9;
        let giant = scheduler.submit_task(session, HOME, &giant).unwrap();
        // One core is free, but the large one stands before the small one. The giant fits nowhere and lets all pass.
        let claims = claim(session, &scheduler);
        assert_eq!(claims.iter().map(|claim| claim.task).collect::<Vec<_>>(), [first]);
        finish(session, &scheduler, &claims[0]);
        let claims = claim(session, &scheduler);
        assert_eq!(claims.iter().map(|claim| claim.task).collect::<Vec<_>>(), [large]);
        finish(session, &scheduler, &claims[0]);
        assert_eq!(claim(session, &scheduler)[0].task, small);
        assert_eq!(state(session, giant), "queued");
        let offer = WorkerOffer { cores: 1, memory: 9000, ..WorkerOffer::default() };
        scheduler.join_worker(session, HOME, WorkerId(133), &offer).unwrap();
        assert_eq!(scheduler.claim_tasks(session, HOME, WorkerId(133), 1).unwrap()[0].task, giant);
    });
}

#[test]
fn a_stale_attempt_is_refused_and_leaves_nothing() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        let task = submit(session, &scheduler, "t");
        let usage = Usage::default();
        refused(scheduler.finish_task(session, task, 0, 0, &usage), errors::STALE_ATTEMPT);
        let first = claim(session, &scheduler).remove(0);
        // The worker begins anew: what it held is lost and comes back as another attempt.
        join(session, &scheduler, WORKER, 1);
        let second = claim(session, &scheduler).remove(0);
        assert_eq!((second.task, second.attempt), (task, 2));
        let before = rows(session, "SELECT state, attempt, worker_id, started_at::text FROM os.task");
        refused(scheduler.heartbeat_task(session, task, first.attempt), errors::STALE_ATTEMPT);
        refused(scheduler.finish_task(session, task, first.attempt, 0, &usage), errors::STALE_ATTEMPT);
        refused(scheduler.fail_task(session, task, 1, "late", None, &usage, true), errors::STALE_ATTEMPT);
        refused(scheduler.heartbeat_task(session, TaskId(5), 1), errors::UNKNOWN_TASK);
        assert_eq!(rows(session, "SELECT state, attempt, worker_id, started_at::text FROM os.task"), before);
        assert_eq!(rows(session, "SELECT attempt, outcome FROM os.task_result"), ["1|lost"]);
        assert!(!scheduler.heartbeat_task(session, task, 2).unwrap().cancelling);
        finish(session, &scheduler, &second);
        refused(scheduler.finish_task(session, task, 2, 0, &usage), errors::STALE_ATTEMPT);
    });
}

#[test]
fn a_failed_task_is_tried_again_after_a_pause() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        let mut flaky = spec("flaky");
        (flaky.max_attempts, flaky.backoff_ms) = (3, 1000);
        let task = scheduler.submit_task(session, HOME, &flaky).unwrap();
        let pause = "SELECT extract(epoch FROM due_at - now())::int FROM os.task_timer";
        for (attempt, (expected, seconds)) in
            [("delayed", Some("1")), ("delayed", Some("2")), ("failed", None)].into_iter().enumerate()
        {
            let claimed = claim(session, &scheduler).remove(0);
            let (attempt, usage) = (attempt as i32 + 1, Usage::default());
            assert_eq!((claimed.task, claimed.attempt), (task, attempt));
            let new = scheduler.fail_task(session, task, attempt, "exit 3", Some(3), &usage, true).unwrap();
            assert_eq!(new, expected);
            assert_eq!(rows(session, pause).first().map(String::as_str), seconds);
            assert_eq!(claim(session, &scheduler), []);
            pass_time(session, &scheduler);
        }
        let results = "SELECT attempt, outcome, exit_code, error FROM os.task_result ORDER BY attempt";
        assert_eq!(rows(session, results), ["1|failed|3|exit 3", "2|failed|3|exit 3", "3|failed|3|exit 3"]);
        assert_eq!(scheduler.retry_task(session, task).unwrap(), "assigned");
        let claimed = claim(session, &scheduler).remove(0);
        assert_eq!(claimed.attempt, 4);
        let answer = scheduler.fail_task(session, task, 4, "no", None, &Usage::default(), false).unwrap();
        assert_eq!(answer, "failed");
        scheduler.retry_task(session, task).unwrap();
        let claimed = claim(session, &scheduler).remove(0);
        finish(session, &scheduler, &claimed);
        refused(scheduler.retry_task(session, task), errors::WRONG_STATE);
        refused(scheduler.retry_task(session, TaskId(5)), errors::UNKNOWN_TASK);
    });
}

#[test]
fn cancelling_waits_for_the_process_to_end() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        let running = submit(session, &scheduler, "running");
        let queued = submit(session, &scheduler, "queued");
        let mut late = spec("late");
        late.delay_ms = 60_000;
        let late = scheduler.submit_task(session, HOME, &late).unwrap();
        assert_eq!(state(session, late), "delayed");
        claim(session, &scheduler);
        assert_eq!(scheduler.cancel_task(session, queued, "no need").unwrap(), "cancelled");
        assert_eq!(scheduler.cancel_task(session, late, "no need").unwrap(), "cancelled");
        assert_eq!(scheduler.cancel_task(session, running, "no need").unwrap(), "cancelling");
        assert!(scheduler.heartbeat_task(session, running, 1).unwrap().cancelling);
        let usage = Usage::default();
        refused(scheduler.finish_task(session, running, 1, 0, &usage), errors::STALE_ATTEMPT);
        assert_eq!(rows(session, "SELECT unused_capacity FROM os.worker"), ["0"]);
        let answer = scheduler.fail_task(session, running, 1, "killed", Some(137), &usage, true).unwrap();
        assert_eq!(answer, "cancelled");
        assert_eq!(rows(session, "SELECT unused_capacity FROM os.worker"), ["1"]);
        refused(scheduler.cancel_task(session, running, ""), errors::WRONG_STATE);
        refused(scheduler.cancel_task(session, TaskId(5), ""), errors::UNKNOWN_TASK);
        // One that was cancelled may live again.
        assert_eq!(scheduler.retry_task(session, queued).unwrap(), "assigned");
    });
}

#[test]
fn what_no_task_can_be_is_refused() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let wrong: [fn(&mut TaskSpec); 8] = [
            |spec| spec.name = String::new(),
            |spec| spec.program = "x".repeat(5000),
            |spec| spec.cores = 0,
            |spec| spec.memory = -1,
            |spec| spec.max_attempts = 0,
            |spec| spec.backoff_ms = -1,
            |spec| spec.timeout_ms = Some(0),
            |spec| spec.reply_to = Some(tuplix_services::ReceiverId(6)),
        ];
        for change in wrong {
            let mut spec = spec("t");
            change(&mut spec);
            refused(scheduler.submit_task(session, HOME, &spec), errors::INVALID_TASK);
        }
        refused(scheduler.submit_task(session, Bucket(64), &spec("t")), errors::UNKNOWN_BUCKET);
        os::set(session, "scheduler.queued_max", 2).unwrap();
        submit(session, &scheduler, "one");
        submit(session, &scheduler, "two");
        refused(scheduler.submit_task(session, HOME, &spec("three")), errors::QUEUE_FULL);
        assert_eq!(rows(session, "SELECT count(*) FROM os.task_spec"), ["2"]);
    });
}

#[test]
fn an_ended_task_tells_who_asked() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let ipc = tuplix_services::ipc::Ipc::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        let receiver = tuplix_services::ReceiverId(64 + 5);
        let mut asked = spec("asked");
        asked.reply_to = Some(receiver);
        let task = scheduler.submit_task(session, HOME, &asked).unwrap();
        let claimed = claim(session, &scheduler).remove(0);
        finish(session, &scheduler, &claimed);
        let messages = ipc.receive(session, receiver, 10, None).unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].sender, task.into());
        let said: serde_json::Value = serde_json::from_slice(&messages[0].data).unwrap();
        assert_eq!(said, serde_json::json!({"task": task.0, "state": "done"}));
    });
}
