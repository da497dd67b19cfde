//! Memory: bounded by the kernel where it does, by the helper where not.

use crate::harness::{Node, runner, shell};

/// Takes 200 MB.
const HOG: &str = "head -c 200000000 /dev/zero | tail | wc -c";

fn nodes() -> [Node; 2] {
    let watched = Node::with(|options| options.runner = runner(&["--no-control-groups"]));
    assert!(!watched.worker.as_ref().unwrap().confinement().memory_by_kernel);
    [Node::start(), watched]
}

#[test]
fn a_task_over_its_memory_is_ended_and_told() {
    for mut node in nodes() {
        let mut spec = shell("head -c 200000000 /dev/zero | tail > /dev/null");
        spec.memory = 32 << 20;
        let ended = node.run(&spec).failed("it used more than its 32 MiB of memory: raise `memory`");
        assert!(ended.peak_memory > 16 << 20, "{ended:?}");
        // The next one is not blamed for it.
        node.run(&shell("exit 3")).failed("exit code 3");
    }
}

/// The last command of a pipe succeeds when the one before it was ended: with less than all of its input.
#[test]
fn a_task_over_its_memory_is_never_done() {
    for mut node in nodes() {
        node.put("/home/ada/kept", b"whole");
        let mut spec = shell(&format!("{HOG} > counted"));
        spec.outputs = serde_json::json!([{"from": "counted", "path": "/home/ada/kept"}]);
        spec.memory = 64 << 20;
        node.run(&spec).failed("it used more than its 64 MiB of memory: raise `memory`");
        assert_eq!(node.get("/home/ada/kept").as_deref(), Some("whole"));
    }
}

#[test]
fn a_task_within_its_memory_runs() {
    for mut node in nodes() {
        let mut spec = shell(HOG);
        spec.memory = 512 << 20;
        let ended = node.run(&spec).done();
        assert!(ended.peak_memory > 150 << 20, "{ended:?}");
    }
}

#[test]
fn memory_files_count() {
    for mut node in nodes() {
        if node.is_isolated() {
            let by_kernel = node.worker.as_ref().unwrap().confinement().memory_by_kernel;
            let mut spec = shell("head -c 200000000 /dev/zero > /tmp/large");
            spec.memory = 32 << 20;
            let said =
                if by_kernel { "it used more than its 32 MiB of memory" } else { "No space left on device" };
            node.run(&spec).failed(said);
        }
    }
}
