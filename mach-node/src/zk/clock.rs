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

    /// As the system says now, for what is kept: the next process does not know what this one began with.
    pub(super) fn date() -> u64 {
        let date = SystemTime::now().duration_since(UNIX_EPOCH);
        date.unwrap_or_default().as_secs()
    }

    /// What was kept that long ago or earlier, whichever of the two is right.
    pub(super) fn before(&self, age: Duration) -> u64 {
        self.now().min(Self::date()).saturating_sub(age.as_secs())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock is set after the process began, or while it runs.
    #[test]
    fn what_is_kept_is_not_old_by_one_clock_alone() {
        let (date, hour) = (Clock::date(), Duration::from_secs(3600));
        let began = |at: u64| Clock {
            began: Instant::now(),
            at: Duration::from_secs(at),
        };
        assert_eq!(began(0).before(hour), 0);
        let ahead = began(date + 30 * 86_400).before(hour);
        assert!((date - 3600..date - 3500).contains(&ahead), "{ahead}");
    }
}
