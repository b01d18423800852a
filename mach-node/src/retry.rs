//! How often and how fast something is tried again.

use std::time::Duration;

use backon::ExponentialBuilder;

/// Bound and pace of retries: delays double from the shortest to the longest, with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most tries after the first.
    pub retries: usize,
    /// Delay before the first retry.
    pub min_delay: Duration,
    /// Longest delay.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    /// Eight retries from 100 ms to 10 s: about half a minute in all.
    fn default() -> Self {
        Self {
            retries: 8,
            min_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    pub(crate) const fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_max_times(self.retries)
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay)
            .with_jitter()
    }
}
