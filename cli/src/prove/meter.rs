//! How far a proof is, for those who watch.

use std::{
    io::IsTerminal,
    sync::OnceLock,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use mach_prove::Progress;

/// A progress bar by segment on a terminal, a line a segment elsewhere, nothing beside JSON.
pub(super) struct Meter {
    bar: ProgressBar,
    is_terminal: bool,
    is_silent: bool,
    /// When segments were first told of, and how many an earlier run had proved.
    begun: OnceLock<(Instant, u64)>,
}

impl Meter {
    pub(super) fn new(is_silent: bool) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            is_terminal: std::io::stderr().is_terminal(),
            is_silent,
            begun: OnceLock::new(),
        }
        .shown()
    }

    fn shown(mut self) -> Self {
        if self.is_terminal && !self.is_silent {
            let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
            self.bar = ProgressBar::new_spinner();
            self.bar
                .set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        }
        self
    }

    pub(super) fn show(&self, progress: &Progress) {
        if self.is_silent {
            return;
        }
        match progress {
            Progress::Executed { instructions } => {
                self.say(&format!("executed: {instructions} instructions"));
            }
            Progress::Step { name } => self.say(name),
            Progress::Segment { done, total } => self.segment(*done, *total),
            _ => {}
        }
    }

    fn segment(&self, done: u64, total: u64) {
        let (since, before) = *self.begun.get_or_init(|| {
            let template = "{bar:30} {pos}/{len} segments  {elapsed}  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            (Instant::now(), done)
        });
        let left = left(
            since.elapsed(),
            done.saturating_sub(before),
            total.saturating_sub(done),
        );
        let left = left.map(|left| format!("{} left", HumanDuration(left)));
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(left.clone().unwrap_or_default());
        if !self.is_terminal {
            let left = left.map_or_else(String::new, |left| format!(", {left}"));
            say(&format!("{done}/{total} segments{left}"));
        }
    }

    fn say(&self, line: &str) {
        self.bar.set_message(line.to_owned());
        if !self.is_terminal {
            say(line);
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Time that so many segments will take, if each takes as long as those that this run has proved.
fn left(elapsed: Duration, proved: u64, missing: u64) -> Option<Duration> {
    let each = elapsed.checked_div(proved.try_into().ok()?)?;
    each.checked_mul(missing.try_into().ok()?)
        .filter(|left| !left.is_zero())
}

#[expect(clippy::print_stderr, reason = "what a person waits for")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_segments_of_this_run() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        assert_eq!(left(minutes(6), 2, 3), Some(minutes(9)));
        // Nothing is known yet, or nothing is left.
        assert_eq!(left(minutes(6), 0, 3), None);
        assert_eq!(left(minutes(6), 2, 0), None);
        assert_eq!(left(Duration::MAX, 1, u64::MAX), None);
    }
}
