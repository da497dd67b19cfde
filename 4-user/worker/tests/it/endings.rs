//! How programs end, and what is said of it.

use tuplix_services::scheduler::TaskSpec;
use tuplix_worker::Stream;

use crate::harness::{Node, OWNER, find, shell, unique};

#[test]
fn a_program_runs_with_its_arguments_and_environment() {
    let mut node = Node::start();
    let mut spec = shell("printf '%s|' \"$0\" \"$@\" \"$GREETING\" \"$USER\" \"$TUPLIX_TASK_NAME\"; cat; echo end; echo aside >&2")
        .argument("zero")
        .argument("one two")
        .argument("*");
    spec.environment.insert("GREETING".to_owned(), "hello there".to_owned());
    spec.environment.insert("TUPLIX_TASK_NAME".to_owned(), "no declaration changes this".to_owned());
    let task = node.submit(&spec);
    let ended = node.wait(task).done();
    // `cat` ends at once: standard input is empty.
    assert_eq!(node.output(task), "zero|one two|*|hello there|ada|script|end\n");
    assert_eq!(node.log(task, 1, Stream::Stderr).unwrap(), "aside\n");
    assert_eq!((ended.exit_code, ended.error.as_str()), (Some(0), ""));
    assert!(ended.cpu_us >= 0 && ended.peak_memory > 0, "{ended:?}");
}

#[test]
fn a_task_knows_who_it_is() {
    let mut node = Node::start();
    let first = node
        .submit(&shell("echo $TUPLIX_TASK_ID $TUPLIX_TASK_ATTEMPT ${#TUPLIX_TASK_TOKEN} $TUPLIX_TASK_TOKEN"));
    let second = node
        .submit(&shell("echo $TUPLIX_TASK_ID $TUPLIX_TASK_ATTEMPT ${#TUPLIX_TASK_TOKEN} $TUPLIX_TASK_TOKEN"));
    let mut said = |task| {
        node.wait(task).done();
        let output = node.output(task);
        assert!(output.starts_with(&format!("{task} 1 32 ")), "{output}");
        output
    };
    assert_ne!(said(first), said(second));
}

#[test]
fn processor_time_is_counted() {
    let mut node = Node::start();
    let ended = node.run(&shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")).done();
    assert!(ended.cpu_us > 10_000, "{ended:?}");
}

#[test]
fn an_exit_code_is_kept_with_the_last_words() {
    let mut node = Node::start();
    let ended = node
        .run(&shell("echo first >&2; echo 'no such luck' >&2; exit 7"))
        .failed("exit code 7: no such luck");
    assert_eq!(ended.exit_code, Some(7));
}

#[test]
fn a_signal_is_kept_as_shells_do() {
    let mut node = Node::start();
    let ended = node.run(&shell("kill -TERM $$")).failed("signal 15 (SIGTERM)");
    assert_eq!(ended.exit_code, Some(128 + 15));
}

#[test]
fn a_missing_program_is_named() {
    let mut node = Node::start();
    for (program, said) in [
        ("/usr/bin/no-such-program", "there is no program /usr/bin/no-such-program"),
        ("no-such-program", "there is no program \"no-such-program\" in "),
        ("not/here.sh", "there is no program not/here.sh"),
        ("/usr", "the program /usr is a directory"),
        ("/etc/passwd", "the program /etc/passwd may not be executed"),
    ] {
        let mut spec = TaskSpec::new(OWNER, "missing", program);
        spec.max_attempts = 3;
        let ended = node.run(&spec).failed(said);
        // Another attempt would find no more.
        assert_eq!((ended.attempt, ended.exit_code), (1, None), "{ended:?}");
    }
}

#[test]
fn a_script_without_its_interpreter_is_explained() {
    let mut node = Node::start();
    node.put("/home/ada/strange.sh", b"#!/usr/bin/no-such-shell\n");
    let mut spec = TaskSpec::new(OWNER, "strange", "./strange.sh");
    spec.inputs = serde_json::json!(["strange.sh"]);
    node.run(&spec).failed("not the interpreter that it names");
}

#[test]
fn a_program_that_takes_too_long_is_ended() {
    let mut node = Node::start();
    let mut spec = shell("echo begun; sleep 1000");
    spec.timeout_ms = Some(1000);
    let task = node.submit(&spec);
    node.wait(task).failed("it ran longer than its 1000 ms: raise `timeout`");
    assert_eq!(node.output(task), "begun\n");
}

#[test]
fn a_failed_task_is_tried_again_as_it_asks() {
    let mut node = Node::start();
    let mut spec = shell("echo attempt $TUPLIX_TASK_ATTEMPT; test $TUPLIX_TASK_ATTEMPT = 3");
    (spec.max_attempts, spec.backoff_ms) = (5, 10);
    let task = node.submit(&spec);
    assert_eq!(node.wait(task).done().attempt, 3);
    for attempt in 1..=3 {
        assert_eq!(node.log(task, attempt, Stream::Stdout).unwrap(), format!("attempt {attempt}\n"));
    }
    assert_eq!(
        node.results(task),
        ["1|failed|it ended with exit code 1", "2|failed|it ended with exit code 1", "3|done|"]
    );
}

#[test]
fn other_kinds_of_tasks_are_refused() {
    let mut node = Node::start();
    let mut spec = shell("true");
    spec.kind = "wasm".to_owned();
    spec.max_attempts = 3;
    let ended = node.run(&spec).failed("no runtime of kind \"wasm\" here; this worker has exec, sql");
    assert_eq!(ended.attempt, 1);
}

#[test]
fn what_a_task_leaves_behind_ends_with_it() {
    for isolation in [tuplix_worker::Isolation::Auto, tuplix_worker::Isolation::Off] {
        let mut node = Node::with(|options| options.isolation = isolation);
        // The second one leaves its parent's session, too.
        let (first, second) = (unique(3), unique(4));
        node.run(&shell(&format!("sleep {first} & setsid sleep {second} & exit 0"))).done();
        assert_eq!(find(&["sleep", &first]), None, "{isolation:?}");
        assert_eq!(find(&["sleep", &second]), None, "{isolation:?}");
    }
}
