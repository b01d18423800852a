use std::time::Duration;

use tokio::time::Instant;

use super::ZkConfig;

/// When a case is looked at again. Not durable: a new process tries at once.
#[derive(Debug, Default)]
pub(super) struct Pace {
    due: Option<Instant>,
    delay: Duration,
    /// Age at which people are told next, in seconds.
    told: u64,
}

impl Pace {
    pub(super) fn due_now() -> Self {
        Self {
            due: Some(Instant::now()),
            ..Self::default()
        }
    }

    /// Since when it is to be looked at, or when it will be; none is longest ago.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// After a wait that doubles.
    pub(super) fn later(&mut self, config: &ZkConfig) {
        let (shortest, longest) = config.delays;
        self.delay = self
            .delay
            .saturating_mul(2)
            .clamp(shortest, longest.max(shortest));
        self.due = Some(Instant::now() + self.delay);
    }

    /// After the shortest wait.
    pub(super) fn soon(&mut self, config: &ZkConfig) {
        self.due = Some(Instant::now() + config.delays.0);
    }

    /// Whether people are to be told of a trouble of this age: first at once, then whenever the age has
    /// doubled.
    pub(super) const fn escalates(&mut self, age: u64) -> bool {
        if age < self.told {
            return false;
        }
        self.told = age.saturating_mul(2);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_less_and_less_often() {
        let mut pace = Pace::default();
        let told: Vec<u64> = (600..6000).filter(|age| pace.escalates(*age)).collect();
        assert_eq!(told, [600, 1200, 2400, 4800]);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_the_longest() {
        let config = ZkConfig {
            delays: (Duration::from_secs(1), Duration::from_secs(5)),
            ..ZkConfig::default()
        };
        let mut pace = Pace::default();
        assert!(pace.is_due(Instant::now()));
        for seconds in [1, 2, 4, 5, 5] {
            pace.later(&config);
            let wait = Duration::from_secs(seconds);
            assert!(!pace.is_due(Instant::now() + wait - Duration::from_millis(1)));
            assert!(pace.is_due(Instant::now() + wait));
        }
    }
}
