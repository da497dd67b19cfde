//! work in progress
mod runner;
pub use runner::client::RunnerCommand;
pub use runner::run_task_runner;
