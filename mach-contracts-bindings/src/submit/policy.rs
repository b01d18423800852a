//! How long is waited, and what is paid.

use std::time::Duration;

use alloy_provider::utils::Eip1559Estimation;

/// How long a transaction is waited for, and what is done about it meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct SubmitPolicy {
    /// Time between two looks at the chain.
    pub poll_interval: Duration,
    /// L1 blocks to wait for inclusion before the transaction is resent with a higher fee.
    pub resend_after: u64,
    /// L1 blocks after which the caller is told that the transaction is not included. It keeps its
    /// nonce, and is pushed on with whatever is sent after it.
    pub give_up_after: u64,
    /// L1 blocks on top of the transaction's before it counts as included; a transaction that a
    /// reorganisation drops meanwhile is sent again.
    pub confirmations: u64,
    /// L1 blocks on top of the transaction's before it is forgotten. Until then
    /// [`Submitter::tend`](crate::Submitter::tend) sends it again if a reorganisation drops it. Ethereum
    /// finalises within 96.
    pub finality: u64,
    /// What is added to both fees at each resend, in percent; at least 12.5 is added, since nodes refuse
    /// replacements that pay little more.
    pub fee_bump: u64,
    /// What is added to the estimated gas, in percent. Nodes estimate as if in the newest block, where
    /// a registry overwrites the history entries of that block; in the next one it writes new ones:
    /// leaving EigenLayer's M2 quorum right after joining it takes twice the estimate.
    pub gas_margin: u64,
    /// Most that is ever paid for a unit of gas, in wei. No node can make a transaction cost more.
    pub max_fee_per_gas: u128,
}

impl Default for SubmitPolicy {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(2),
            resend_after: 3,
            give_up_after: 50,
            confirmations: 0,
            finality: 96,
            fee_bump: 20,
            gas_margin: 150,
            max_fee_per_gas: Self::MAX_FEE_PER_GAS,
        }
    }
}

impl SubmitPolicy {
    /// Default ceiling, in wei: 500 gwei, at which an alert costs 0.16 ETH.
    pub const MAX_FEE_PER_GAS: u128 = 500_000_000_000;

    /// `fees`, and not more than the ceiling.
    pub(super) fn capped(&self, fees: Fees) -> Fees {
        let max = fees.max.min(self.max_fee_per_gas);
        Fees {
            max,
            tip: fees.tip.min(max),
        }
    }

    /// Fees that replace `old` ones everywhere: `fresh` ones if these are higher than the least
    /// replacement. `None` if the ceiling leaves no room for that.
    pub(super) fn raised(&self, old: Fees, fresh: Fees) -> Option<Fees> {
        let wanted = Fees {
            max: fresh.max.max(grow(old.max, self.fee_bump)),
            tip: fresh.tip.max(grow(old.tip, self.fee_bump)),
        };
        let raised = self.capped(wanted);
        (raised.max >= grow(old.max, 0) && raised.tip >= grow(old.tip, 0)).then_some(raised)
    }
}

/// What a transaction pays for a unit of gas, in wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fees {
    /// Most for both, base fee and tip.
    pub(super) max: u128,
    /// Most for the tip.
    pub(super) tip: u128,
}

/// `fee` and `percent` of it, or 12.5 percent if that is more.
fn grow(fee: u128, percent: u64) -> u128 {
    let per_mille = u128::from(percent).saturating_mul(10).max(125);
    let growth = fee.saturating_mul(per_mille).div_ceil(1000);
    fee.saturating_add(growth)
}

/// Twice the base fee, which lasts for six full blocks, and the median of what was paid on top of it.
pub(super) fn estimate_fees(base_fee: u128, rewards: &[Vec<u128>]) -> Eip1559Estimation {
    let mut rewards: Vec<u128> = rewards
        .iter()
        .filter_map(|block| block.first().copied())
        .filter(|reward| *reward > 0)
        .collect();
    rewards.sort_unstable();
    let max_priority_fee_per_gas = rewards.get(rewards.len() / 2).copied().unwrap_or(1);
    Eip1559Estimation {
        // A node may name any fees, and must not make this overflow.
        max_fee_per_gas: base_fee
            .saturating_mul(2)
            .saturating_add(max_priority_fee_per_gas),
        max_priority_fee_per_gas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn fees(max: u128, tip: u128) -> Fees {
        Fees { max, tip }
    }

    #[test]
    fn a_replacement_pays_an_eighth_more_or_is_none() {
        let policy = SubmitPolicy {
            fee_bump: 1,
            max_fee_per_gas: 1000,
            ..SubmitPolicy::default()
        };
        let cases = [
            (fees(100, 8), fees(0, 0), Some(fees(113, 9))),
            (fees(100, 8), fees(300, 0), Some(fees(300, 9))),
            (fees(100, 8), fees(5000, 5000), Some(fees(1000, 1000))),
            (fees(888, 1), fees(0, 0), Some(fees(999, 2))),
            (fees(900, 1), fees(5000, 1), None),
            (fees(100, 900), fees(5000, 1), None),
        ];
        for (old, fresh, raised) in cases {
            assert_eq!(policy.raised(old, fresh), raised, "{old:?} {fresh:?}");
        }
        let usual = SubmitPolicy::default();
        assert_eq!(usual.raised(fees(100, 10), fees(0, 0)), Some(fees(120, 12)));
    }

    #[test]
    fn absurd_fees_do_not_overflow() {
        let absurd = estimate_fees(u128::MAX, &[vec![u128::MAX], vec![u128::MAX], vec![]]);
        assert_eq!(absurd.max_fee_per_gas, u128::MAX);
        let policy = SubmitPolicy::default();
        let ceiling = SubmitPolicy::MAX_FEE_PER_GAS;
        let highest = fees(u128::MAX, u128::MAX);
        assert_eq!(policy.capped(highest), fees(ceiling, ceiling));
        assert_eq!(policy.raised(highest, highest), None);
        // 10 gwei, and tips of 1, 2 and 3; a block without transactions paid none.
        let usual = estimate_fees(10, &[vec![3], vec![1], vec![0], vec![2]]);
        assert_eq!(
            (usual.max_fee_per_gas, usual.max_priority_fee_per_gas),
            (22, 2)
        );
        assert_eq!(estimate_fees(10, &[]).max_fee_per_gas, 21);
    }
}
