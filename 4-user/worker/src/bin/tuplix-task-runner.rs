//! The helper process by itself: `tuplix task-runner` is the same.

fn main() -> std::process::ExitCode {
    tuplix_worker::run_task_runner()
}
