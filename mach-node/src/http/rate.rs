//! How often one address asks.

use std::{net::IpAddr, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use super::Rate;

/// Requests of every host.
#[derive(Debug)]
pub(super) struct Requests {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Requests {
    pub(super) fn new(rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(quota),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request.
    ///
    /// Errors: how long the host has to wait.
    pub(super) fn admit(&self, host: IpAddr) -> Result<(), Duration> {
        (self.limiter.check_key(&host)).map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// Forgets hosts that may ask as often as any other.
    pub(super) fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_pauses_may_ask_again_and_is_forgotten() {
        let requests = Requests::new(Rate::new(4, 2).unwrap());
        let host = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(requests.admit(host), Ok(()));
        assert_eq!(requests.admit(host), Ok(()));
        let wait = requests.admit(host).unwrap_err();
        assert!(wait <= Duration::from_millis(250), "{wait:?}");
        assert_eq!(requests.admit(IpAddr::from([10, 0, 0, 2])), Ok(()));
        requests.forget();
        assert!(requests.admit(host).is_err(), "forgotten too early");
        std::thread::sleep(Duration::from_secs(1));
        requests.forget();
        assert!(requests.limiter.is_empty());
    }
}
