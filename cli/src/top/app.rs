//! What is shown, what is chosen, and what keys do.

use mach_node::finality::{AlertView, RollupView, RoundReport};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::picture::Picture;

/// The lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    Rounds,
    Alerts,
}

#[derive(Debug)]
pub(super) struct App {
    /// Where the picture is from.
    pub(super) source: String,
    pub(super) picture: Picture,
    /// Why the last look failed; what was seen before is still shown.
    pub(super) error: Option<String>,
    pub(super) focus: Focus,
    rollup: usize,
    chosen: usize,
}

impl App {
    pub(super) fn new(source: String) -> Self {
        Self {
            source,
            picture: Picture::default(),
            error: None,
            focus: Focus::Rounds,
            rollup: 0,
            chosen: 0,
        }
    }

    pub(super) fn take(&mut self, picture: eyre::Result<Picture>) {
        match picture {
            Ok(picture) => {
                self.picture = picture;
                self.error = None;
            }
            Err(error) => self.error = Some(format!("{error:#}")),
        }
    }

    /// Returns whether this ends it.
    pub(super) fn press(&mut self, key: KeyEvent) -> bool {
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Tab => self.next_rollup(),
            KeyCode::BackTab => {
                let count = self.picture.rollups.len().max(1);
                self.rollup = (self.rollup() + count - 1) % count;
                self.chosen = 0;
            }
            KeyCode::Left | KeyCode::Right => {
                self.focus = match self.focus {
                    Focus::Rounds => Focus::Alerts,
                    Focus::Alerts => Focus::Rounds,
                };
                self.chosen = 0;
            }
            KeyCode::Up => self.chosen = self.chosen().unwrap_or(0).saturating_sub(1),
            KeyCode::Down => self.chosen = self.chosen().map_or(0, |chosen| chosen + 1),
            _ => {}
        }
        false
    }

    pub(super) fn next_rollup(&mut self) {
        self.rollup = (self.rollup() + 1) % self.picture.rollups.len().max(1);
        self.chosen = 0;
    }

    /// Number of the rollup that is shown; there may be fewer than there were.
    pub(super) fn rollup(&self) -> usize {
        self.rollup
            .min(self.picture.rollups.len().saturating_sub(1))
    }

    pub(super) fn shown(&self) -> Option<&RollupView> {
        self.picture.rollups.get(self.rollup())
    }

    /// Of the rollup that is shown.
    pub(super) fn rounds(&self) -> Vec<&RoundReport> {
        let rollup = self.shown().map(|rollup| rollup.rollup);
        let rounds = self.picture.rounds.iter();
        rounds
            .filter(|report| Some(report.round.statement.rollup_chain_id()) == rollup)
            .collect()
    }

    /// Of the rollup that is shown, the newest first.
    pub(super) fn alerts(&self) -> Vec<&AlertView> {
        let rollup = self.shown().map(|rollup| rollup.rollup);
        let alerts = self.picture.alerts.iter();
        let mut alerts: Vec<_> = alerts
            .filter(|alert| Some(alert.rollup) == rollup)
            .collect();
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.block.number));
        alerts
    }

    /// Number of what is chosen in the list that has the focus.
    pub(super) fn chosen(&self) -> Option<usize> {
        let count = match self.focus {
            Focus::Rounds => self.rounds().len(),
            Focus::Alerts => self.alerts().len(),
        };
        Some(self.chosen.min(count.checked_sub(1)?))
    }
}
