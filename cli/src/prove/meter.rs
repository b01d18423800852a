//! How far a proof is, for those who watch.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use indicatif::{ProgressBar, ProgressStyle};
use mach_prove::Progress;

/// A progress bar by segment on a terminal, a line a segment elsewhere, nothing beside JSON.
pub(super) struct Meter {
    bar: ProgressBar,
    is_terminal: bool,
    is_silent: bool,
    /// Segments at the first look: those were proved by an earlier run.
    before: AtomicU64,
}

impl Meter {
    pub(super) fn new(is_silent: bool) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            is_terminal: std::io::stderr().is_terminal(),
            is_silent,
            before: AtomicU64::new(u64::MAX),
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
        if self.before.load(Relaxed) == u64::MAX {
            self.before.store(done, Relaxed);
            let template = "{bar:30} {pos}/{len} segments  {elapsed}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            // Time left is that of the segments of this run.
            self.bar.reset_eta();
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
        if !self.is_terminal {
            say(&format!("{done}/{total} segments"));
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

#[expect(clippy::print_stderr, reason = "what a person waits for")]
fn say(line: &str) {
    eprintln!("{line}");
}
