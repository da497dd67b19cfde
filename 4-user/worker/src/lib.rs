//! work in progress
mod logs;
mod runner;
pub use logs::{Stream, log_path};
pub use runner::client::RunnerCommand;
pub use runner::run_task_runner;
