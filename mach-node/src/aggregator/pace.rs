//! How fast signatures of statements of long ago are taken.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mach_core::OperatorId;
use tokio::time::Instant;

/// What one operator may send, and all of them together: so many at once, and one in each gap after that.
const OF_ONE: Rate = Rate {
    burst: 64,
    gap: Duration::from_millis(50),
};
const OF_ALL: Rate = Rate {
    burst: 256,
    gap: Duration::from_millis(10),
};
/// Operators that are remembered at most, as long as any of them is not at rest.
const MAX_REMEMBERED: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: u32,
    gap: Duration,
}

impl Rate {
    /// When one more is paid for, if it may come now; `paid` is when all before it are.
    fn take(self, paid: Instant, now: Instant) -> Option<Instant> {
        let next = paid.max(now) + self.gap;
        (next <= now + self.gap * self.burst).then_some(next)
    }
}

/// Bounds what is taken of closed rounds that are not in memory: each brings one back, with operators of long
/// ago and a certificate that is written anew.
///
/// To be asked for signatures that are proved: nobody uses up what an operator may send.
#[derive(Debug)]
pub(super) struct Pace(Mutex<Paid>);

/// When all that was taken is paid for.
#[derive(Debug)]
struct Paid {
    all: Instant,
    operators: HashMap<OperatorId, Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Paid {
            all: Instant::now(),
            operators: HashMap::new(),
        }))
    }

    /// Whether a signature of this operator may be taken now.
    pub(super) fn take(&self, operator: OperatorId) -> bool {
        let now = Instant::now();
        let mut paid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paid.operators.len() >= MAX_REMEMBERED {
            paid.operators.retain(|_, paid| *paid > now);
        }
        let of_one = paid.operators.get(&operator).copied().unwrap_or(now);
        let (Some(of_one), Some(of_all)) = (OF_ONE.take(of_one, now), OF_ALL.take(paid.all, now))
        else {
            return false;
        };
        paid.all = of_all;
        paid.operators.insert(operator, of_one);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, U256};

    fn id(index: u64) -> OperatorId {
        OperatorId(B256::from(U256::from(index)))
    }

    fn taken(pace: &Pace, operator: u64, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(pace.take(id(operator)))).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn one_operator_leaves_room_for_others_and_all_have_a_limit() {
        let pace = Pace::new();
        assert_eq!(taken(&pace, 1, 1000), 64);
        assert_eq!(taken(&pace, 2, 1000), 64);
        // Of one operator 20 in a second.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(&pace, 1, 1000), 20);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(taken(&pace, 1, 1000), 64);
        tokio::time::advance(Duration::from_secs(60)).await;
        // Of all together 256 at once, and 100 in a second.
        let all = |tries| (10..1010).map(|it| taken(&pace, it, tries)).sum::<u32>();
        assert_eq!(all(1), 256);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(all(1), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn operators_at_rest_are_not_remembered() {
        let pace = Pace::new();
        for index in 0..10_000 {
            assert!(pace.take(id(index)));
            tokio::time::advance(Duration::from_millis(60)).await;
        }
        let remembered = pace.0.lock().unwrap().operators.len();
        assert!(remembered <= MAX_REMEMBERED, "{remembered}");
    }
}
