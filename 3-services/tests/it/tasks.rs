//! Single tasks: submit, claim, end.

use tuplix_services::scheduler::{Scheduler, TaskSpec, Usage, WorkerOffer};
use tuplix_services::{Bucket, WorkerId, errors};

use crate::engines::{both, refused, rows};

const HOME: Bucket = Bucket(5);
const WORKER: WorkerId = WorkerId(69);

#[test]
fn a_task_lives() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        scheduler.join_worker(session, HOME, WORKER, &WorkerOffer::default()).unwrap();
        let mut spec = TaskSpec::new("alice", "greet", "/bin/echo").argument("hello").argument("w'ö rld");
        spec.environment.insert("K".to_owned(), "V".to_owned());
        spec.inputs = serde_json::json!(["/in"]);
        let task = scheduler.submit_task(session, HOME, &spec).unwrap();
        assert_eq!(task.bucket(), HOME);
        let claims = scheduler.claim_tasks(session, HOME, WORKER, 10).unwrap();
        assert_eq!(claims.len(), 1);
        let claim = &claims[0];
        assert_eq!((claim.task, claim.attempt, claim.owner.as_str()), (task, 1, "alice"));
        assert_eq!((claim.program.as_str(), &claim.arguments), ("/bin/echo", &spec.arguments));
        assert_eq!((&claim.environment, &claim.inputs), (&spec.environment, &spec.inputs));
        assert_eq!(scheduler.claim_tasks(session, HOME, WORKER, 10).unwrap(), []);
        let usage = Usage { user_time_us: Some(10), system_time_us: Some(20), peak_memory: Some(30) };
        scheduler.finish_task(session, task, 1, 0, &usage).unwrap();
        let result = "SELECT attempt, outcome, worker_id, exit_code, user_time_us, system_time_us, peak_memory FROM os.task_result";
        assert_eq!(rows(session, result), ["1|done|69|0|10|20|30"]);
        assert_eq!(rows(session, "SELECT state, finished_at IS NOT NULL FROM os.task"), ["done|true"]);
        refused(scheduler.finish_task(session, task, 1, 0, &usage), errors::STALE_ATTEMPT);
    });
}
