use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// First and longest rest of an endpoint that failed.
const RESTS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// How long an endpoint may leave everything that it is asked unanswered before that is a failure.
const SILENCE: Duration = Duration::from_secs(5);

/// How an endpoint does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHealth {
    /// Its label.
    pub endpoint: String,
    /// Requests that it answered.
    pub answered: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Answers that were not the quorum's.
    pub disagreed: u64,
    /// Whether it is asked only if it is needed.
    pub is_resting: bool,
}

#[derive(Debug, Default)]
pub(super) struct Health {
    answered: u64,
    failed: u64,
    disagreed: u64,
    /// Failures since the last answer.
    in_a_row: u32,
    rests_until: Option<Instant>,
    /// When it was asked first what it has not answered, nor anything since.
    silent_since: Option<Instant>,
}

/// Smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) is_resting: bool,
    disagreed: u64,
    in_a_row: u32,
}

impl Health {
    pub(super) const fn answered(&mut self) {
        self.answered += 1;
        self.in_a_row = 0;
        self.rests_until = None;
        self.silent_since = None;
    }

    pub(super) fn failed(&mut self) {
        self.failed += 1;
        let (first, longest) = RESTS;
        let rest = first
            .saturating_mul(1 << self.in_a_row.min(10))
            .min(longest);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.rests_until = Instant::now().checked_add(rest);
        self.silent_since = None;
    }

    /// Nobody waits any longer for what was asked at `asked`. That is no failure of an endpoint that
    /// is merely slower than the others, once.
    pub(super) fn unanswered(&mut self, asked: Instant) {
        let since = *self.silent_since.get_or_insert(asked);
        if since.elapsed() >= SILENCE {
            self.failed();
        }
    }

    pub(super) const fn disagreed(&mut self) {
        self.disagreed += 1;
    }

    pub(super) fn rank(&self) -> Rank {
        Rank {
            is_resting: self.is_resting(),
            disagreed: self.disagreed,
            in_a_row: self.in_a_row,
        }
    }

    pub(super) fn shown(&self, label: &str) -> EndpointHealth {
        EndpointHealth {
            endpoint: label.to_owned(),
            answered: self.answered,
            failed: self.failed,
            disagreed: self.disagreed,
            is_resting: self.is_resting(),
        }
    }

    fn is_resting(&self) -> bool {
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }
}
