//! How far a graph is: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// Plain lines are this many at most, however many tasks there are.
const LINES_MAX: i64 = 20;

/// How many tasks there are, are over, failed and run.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    pub(super) tasks: i64,
    pub(super) over: i64,
    pub(super) failed: i64,
    pub(super) running: i64,
}

/// Shows counts as they change.
pub(super) struct Progress {
    bar: ProgressBar,
    plain: bool,
    said: i64,
}

impl Progress {
    pub(super) fn begin() -> anyhow::Result<Progress> {
        let bar = ProgressBar::new(0);
        let style = "{spinner} {elapsed_precise} [{bar:40}] {pos}/{len} {msg}";
        bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
        Ok(Progress { bar, plain: !std::io::stderr().is_terminal(), said: 0 })
    }

    /// What else writes to the terminal, through [`ProgressBar::suspend`].
    pub(super) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    pub(super) fn show(&mut self, counts: Counts) {
        let failed = if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() };
        if !self.plain {
            self.bar.set_length(counts.tasks.unsigned_abs());
            self.bar.set_position(counts.over.unsigned_abs());
            self.bar.set_message(format!("{} running{failed}", counts.running));
            return;
        }
        let step = (counts.tasks / LINES_MAX).max(1);
        if counts.over >= self.said + step && counts.over < counts.tasks {
            self.said = counts.over;
            eprintln!(
                "{} of {} tasks are over, {} running{failed}",
                counts.over, counts.tasks, counts.running
            );
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
