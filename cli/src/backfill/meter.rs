//! How far a backfill is, for those who watch.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use mach_core::{WorkPlan, ports::QueueProgress};
use mach_node::backfill::BackfillStatus;

/// Time between two lines where no terminal shows a bar.
const LINE_PERIOD: Duration = Duration::from_secs(30);

/// A progress bar on a terminal, a line now and then elsewhere.
pub(super) struct Meter {
    bar: ProgressBar,
    started: Instant,
    /// What was done before.
    blocks: u64,
    gas_used: u64,
    total: u64,
    last_line: Instant,
    is_terminal: bool,
}

impl Meter {
    /// A meter of `plan`, of which `before` was done when this run began.
    pub(super) fn new(plan: &WorkPlan, before: &QueueProgress) -> Self {
        let template = "{bar:30} {pos}/{len} blocks  {msg}";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let now = Instant::now();
        Self {
            bar: ProgressBar::new(plan.block_count()).with_style(style),
            started: now,
            blocks: before.blocks,
            gas_used: before.gas_used,
            total: plan.block_count(),
            last_line: now,
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows what this process did.
    pub(super) fn show_status(&mut self, status: &BackfillStatus) {
        self.show(
            self.blocks.saturating_add(status.blocks()),
            self.gas_used.saturating_add(status.gas_used),
            status.invalid,
            status.undecided,
        );
    }

    /// Shows what everybody did.
    pub(super) fn show_progress(&mut self, progress: &QueueProgress) {
        self.show(progress.blocks, progress.gas_used, 0, 0);
    }

    fn show(&mut self, blocks: u64, gas_used: u64, invalid: u64, undecided: u64) {
        // What is in work when a unit is done by somebody else first is counted twice for a moment.
        let blocks = blocks.min(self.total);
        let elapsed = self.started.elapsed();
        let mut text = rates(
            elapsed,
            blocks.saturating_sub(self.blocks),
            gas_used.saturating_sub(self.gas_used),
            self.total - blocks,
        );
        if invalid > 0 {
            text = format!("{text}  {invalid} INVALID");
        }
        if undecided > 0 {
            text = format!("{text}  {undecided} without a verdict");
        }
        if !self.is_terminal && self.last_line.elapsed() >= LINE_PERIOD {
            self.last_line = Instant::now();
            say(&format!("{blocks}/{} blocks  {text}", self.total));
        }
        self.bar.set_position(blocks);
        self.bar.set_message(text);
    }

    /// Shows a line above the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// Speed and time left.
fn rates(elapsed: Duration, blocks: u64, gas_used: u64, left: u64) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let speed = format!("{:.1} Mgas/s", gas_used as f64 / 1e6 / seconds);
    if blocks == 0 || left == 0 {
        return speed;
    }
    // Far more than an age of the universe is no `Duration`.
    let left = seconds * left as f64 / blocks as f64;
    let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
    format!("{speed}, {} left", HumanDuration(left))
}

#[expect(clippy::print_stderr, reason = "what a person waits for")]
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_blocks_of_this_run() {
        let hour = Duration::from_secs(3600);
        assert_eq!(
            rates(hour, 1000, 36_000_000_000, 2000),
            "10.0 Mgas/s, 2 hours left"
        );
        assert_eq!(rates(Duration::ZERO, 0, 0, 2000), "0.0 Mgas/s");
        assert_eq!(rates(hour, 1000, 3_600_000_000, 0), "1.0 Mgas/s");
        assert!(rates(hour, 1, 1, u64::MAX).ends_with("left"));
    }
}
