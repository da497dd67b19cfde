//! What a task may take beside memory: processors of its own, and so many processes.

use tuplix_services::TaskId;
use tuplix_worker::{Isolation, WorkerOptions};

use crate::harness::{Node, shell};

/// Says on which processors it may run.
const SAY_PROCESSORS: &str = "sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status";

/// Two tasks that run side by side: what each said.
fn side_by_side(node: &mut Node) -> [String; 2] {
    let script = format!("{SAY_PROCESSORS}; sleep 1");
    let tasks: [TaskId; 2] = [(); 2].map(|()| node.submit(&shell(&script)));
    tasks.map(|task| {
        node.wait(task).done();
        node.output(task).trim().to_owned()
    })
}

#[test]
fn processors_belong_to_one_task_at_a_time() {
    let all = WorkerOptions::own_processors();
    for isolation in [Isolation::Auto, Isolation::Off] {
        let mut node = Node::with(|options| {
            options.isolation = isolation;
            options.processors.clone_from(&all);
            options.cores = i32::try_from(all.len()).unwrap();
        });
        let single: Vec<String> = all.iter().map(ToString::to_string).collect();
        // Each round gets those back that the one before had.
        for _ in 0..2 {
            if let [_, _, ..] = all[..] {
                let [first, second] = side_by_side(&mut node);
                assert!(single.contains(&first) && single.contains(&second), "{first}, {second} of {all:?}");
                assert_ne!(first, second);
            }
            let mut spec = shell(SAY_PROCESSORS);
            spec.cores = i32::try_from(all.len()).unwrap();
            let every = node.output_of(&spec);
            assert_eq!(count(every.trim()), all.len(), "{every}");
        }
    }
}

/// How many processors a list as `0-3,5` names.
fn count(list: &str) -> usize {
    let numbers = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1
    };
    list.split(',').map(numbers).sum()
}

#[test]
fn so_many_processes_and_no_more() {
    let mut node = Node::with(|options| options.processes_max = 20);
    if !node.worker.as_ref().unwrap().confinement().processes_by_kernel {
        eprintln!("nothing on this machine bounds how many processes a task has");
        return;
    }
    let bomb = "for i in $(seq 60); do sleep 1 & done; wait; echo all";
    let ended = node.run(&shell(bomb));
    assert_eq!(ended.state, "failed", "{ended:?}");
    assert!(ended.error.contains("its 20 processes") || ended.error.contains("fork"), "{ended:?}");
    // The next one has its own number.
    node.run(&shell("for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; wait")).done();
}
