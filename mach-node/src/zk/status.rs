use std::iter::Sum;

use metrics::gauge;

use super::{Case, Stage};
use crate::node_api::ServiceState;

/// How the cases are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZkStatus {
    /// Cases in each stage, in the order of [`Stage::NAMES`].
    pub cases: [usize; Stage::NAMES.len()],
    /// Open cases that have made no step for so long that people have to look.
    pub stuck: usize,
    /// Age of the oldest case that is open and not only waiting for the rollup's proposer, or for L1 to be
    /// final, in seconds.
    pub oldest: u64,
}

impl Sum for ZkStatus {
    /// How the cases of several contracts are.
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            for (count, more) in sum.cases.iter_mut().zip(one.cases) {
                *count += more;
            }
            sum.stuck += one.stuck;
            sum.oldest = sum.oldest.max(one.oldest);
            sum
        })
    }
}

impl ZkStatus {
    pub(super) fn of<'a>(
        cases: impl Iterator<Item = &'a Case>,
        escalate_after: u64,
        now: u64,
    ) -> Self {
        let mut status = Self::default();
        for case in cases {
            if let Some(count) = status.cases.get_mut(case.stage.rank()) {
                *count += 1;
            }
            if !case.stage.is_open() {
                continue;
            }
            let is_stuck = |since: u64| now.saturating_sub(since) >= escalate_after;
            if case.trouble.as_ref().is_some_and(|it| is_stuck(it.since)) {
                status.stuck += 1;
            }
            let is_waiting = matches!(
                case.stage,
                Stage::Shown { .. } | Stage::Opened | Stage::Convicted { .. }
            );
            if !is_waiting {
                status.oldest = status.oldest.max(now.saturating_sub(case.found_at));
            }
        }
        status
    }

    /// Cases in the stage of this name.
    pub fn in_stage(&self, name: &str) -> usize {
        let mut all = Stage::NAMES.into_iter().zip(self.cases);
        all.find_map(|(it, count)| (it == name).then_some(count))
            .unwrap_or_default()
    }

    /// Down while a case is stuck.
    pub const fn state(&self) -> ServiceState {
        match self.stuck {
            0 => ServiceState::Up,
            _ => ServiceState::Down,
        }
    }

    /// Sets the numbers for Prometheus, to be called from
    /// [`Metrics::watch`](crate::metrics::Metrics::watch).
    #[expect(
        clippy::cast_precision_loss,
        reason = "bounded by the limit of cases, and by the time since 1970"
    )]
    pub fn record(&self) {
        for (stage, count) in Stage::NAMES.into_iter().zip(self.cases) {
            gauge!("mach_zk_cases", "stage" => stage).set(count as f64);
        }
        gauge!("mach_zk_stuck_cases").set(self.stuck as f64);
        gauge!("mach_zk_oldest_seconds").set(self.oldest as f64);
    }
}
