use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Seconds since 1970: as the system says when the process begins, and evenly from there on. Whoever sets the system's clock
/// makes no case older.
#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    /// The time then.
    at: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            began: Instant::now(),
            at: at.unwrap_or_default(),
        }
    }

    pub(super) fn now(&self) -> u64 {
        (self.at + self.began.elapsed()).as_secs()
    }

    /// How long that is ago.
    pub(super) fn since(&self, time: u64) -> Duration {
        Duration::from_secs(self.now().saturating_sub(time))
    }

    /// How much of that was while this process ran: of another one it is not known whether its clock was the same.
    pub(super) fn since_here(&self, time: u64) -> Duration {
        self.since(time.max(self.at.as_secs()))
    }
}
