//! Which of two sums of signatures has more stake: one rule for whoever keeps the better one.

use std::cmp::Ordering;

use alloy_primitives::U256;
use mach_core::Stake;

/// Stake of a quorum that signed, and all of its stake.
pub(crate) type Share = (Stake, Stake);

/// Compares by the share of the quorum that has the least, exactly; where that is the same, by the next
/// one. Of any number of sums, in whatever order they come, the same one is the greatest.
pub(crate) fn by_least_share(
    one: impl IntoIterator<Item = Share>,
    other: impl IntoIterator<Item = Share>,
) -> Ordering {
    let (one, other) = (ascending(one), ascending(other));
    let mut pairs = one
        .iter()
        .zip(&other)
        .map(|(one, other)| by_share(one, other));
    let first = pairs.find(|order| order.is_ne());
    first.unwrap_or_else(|| one.len().cmp(&other.len()))
}

fn ascending(shares: impl IntoIterator<Item = Share>) -> Vec<(U256, U256)> {
    let weight = |stake: Stake| U256::from(stake.weight());
    let share = |(signed, total)| match weight(total) {
        // Nobody has signed for a quorum without stake.
        total if total.is_zero() => (U256::ZERO, U256::ONE),
        total => (weight(signed), total),
    };
    let mut shares: Vec<_> = shares.into_iter().map(share).collect();
    shares.sort_by(by_share);
    shares
}

/// Stakes have 96 bits, so that products fit.
fn by_share((signed, total): &(U256, U256), (of, all): &(U256, U256)) -> Ordering {
    (signed * all).cmp(&(of * total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share((signed, total): (u128, u128)) -> Share {
        (Stake::new(signed).unwrap(), Stake::new(total).unwrap())
    }

    fn compare(one: &[(u128, u128)], other: &[(u128, u128)]) -> Ordering {
        let shares = |it: &[(u128, u128)]| it.iter().copied().map(share).collect::<Vec<_>>();
        by_least_share(shares(one), shares(other))
    }

    #[test]
    fn the_quorum_with_the_least_decides_and_then_the_next() {
        use Ordering::{Equal, Greater, Less};
        // Exactly: one wei of 2^90.
        let much = 1 << 90;
        assert_eq!(compare(&[(much - 1, much)], &[(much, much)]), Less);
        // 75 % and 80 % are more than 70 % and 90 %, whichever quorum is which.
        assert_eq!(compare(&[(75, 100), (8, 10)], &[(9, 10), (7, 10)]), Greater);
        assert_eq!(compare(&[(7, 10), (9, 10)], &[(70, 100), (91, 100)]), Less);
        assert_eq!(compare(&[(7, 10), (9, 10)], &[(90, 100), (70, 100)]), Equal);
        // More quorums are more, and one without stake has none.
        assert_eq!(compare(&[(1, 2)], &[]), Greater);
        assert_eq!(compare(&[(0, 0), (1, 1)], &[(1, 1), (1, 2)]), Less);
    }

    /// Of three, each beats another one by quorum, and still one is the greatest for everybody.
    #[test]
    fn the_order_in_which_they_come_changes_nothing() {
        let all: [&[(u128, u128)]; 3] = [
            &[(70, 100), (90, 100)],
            &[(75, 100), (80, 100)],
            &[(90, 100), (72, 100)],
        ];
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut kept = all[order[0]];
            for next in &order[1..] {
                if compare(all[*next], kept).is_gt() {
                    kept = all[*next];
                }
            }
            assert_eq!(kept, all[1]);
        }
    }
}
