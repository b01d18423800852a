//! When an alert that stood on L1 counts as gone from it.

use std::collections::BTreeMap;

use alloy_primitives::{B256, BlockNumber};

/// L1 blocks that an alert has to be gone for by default: the two epochs that Ethereum takes to make a
/// block final.
pub const SETTLE_ALERTS: u64 = 64;

/// So often in a row L1 has to be lower than it was until that is believed. Behind one address are
/// several nodes, some of which lag; but a height that no node reaches again was never one of L1's.
const BELIEVED_AFTER: u32 = 10;

/// What looks at L1 have shown of the alerts that are in force.
///
/// An alert is in force from the first look on that shows it. It counts as gone once L1 was without it
/// for some blocks at every look: a reorganisation takes an alert away, too, and brings it back.
#[derive(Debug)]
pub(crate) struct Settling {
    blocks: u64,
    /// Height of the newest look that is believed.
    newest: BlockNumber,
    /// Looks below it since.
    lower: u32,
    /// Alerts in force that L1 has not, and since which height.
    gone: BTreeMap<B256, BlockNumber>,
}

impl Settling {
    /// An alert has to be gone for `blocks`; with 0 a single look is enough.
    pub(crate) const fn new(blocks: u64) -> Self {
        Self {
            blocks,
            newest: 0,
            lower: 0,
            gone: BTreeMap::new(),
        }
    }

    pub(crate) const fn newest(&self) -> BlockNumber {
        self.newest
    }

    /// Takes note of a look at L1 of this height. Answers whether it says what L1 has not: one that lags
    /// knows nothing of the newest alerts.
    pub(crate) const fn look(&mut self, l1_block: BlockNumber) -> bool {
        if l1_block < self.newest && self.lower + 1 < BELIEVED_AFTER {
            self.lower += 1;
            return false;
        }
        self.newest = l1_block;
        self.lower = 0;
        true
    }

    /// L1 has the alert.
    pub(crate) fn stands(&mut self, digest: &B256) {
        self.gone.remove(digest);
    }

    /// L1 has not the alert at this height, which [`Self::look`] believes. Answers whether it is gone for
    /// good; then it is forgotten.
    pub(crate) fn is_gone(&mut self, digest: B256, l1_block: BlockNumber) -> bool {
        let since = self.gone.entry(digest).or_insert(l1_block);
        // What was counted above is not of this branch.
        *since = l1_block.min(*since);
        let is_gone = l1_block - *since >= self.blocks;
        if is_gone {
            self.gone.remove(&digest);
        }
        is_gone
    }

    /// Since which height L1 has not an alert that is in force.
    pub(crate) fn since(&self, digest: &B256) -> Option<BlockNumber> {
        self.gone.get(digest).copied()
    }

    /// What [`Self::since`] said in an earlier process.
    pub(crate) fn resume(&mut self, digest: B256, since: BlockNumber) {
        self.gone.insert(digest, since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERT: B256 = B256::repeat_byte(1);

    #[test]
    fn an_alert_is_gone_after_so_many_blocks_without_it() {
        let mut settling = Settling::new(3);
        for (l1_block, expected) in [(100, false), (100, false), (102, false), (103, true)] {
            assert!(settling.look(l1_block));
            assert_eq!(settling.is_gone(ALERT, l1_block), expected, "{l1_block}");
        }
        // It comes back, and the count begins anew.
        assert!(!settling.is_gone(ALERT, 104));
        settling.stands(&ALERT);
        assert!(!settling.is_gone(ALERT, 107));
        assert_eq!(settling.since(&ALERT), Some(107));
        assert!(settling.is_gone(ALERT, 110));
        assert!(Settling::new(0).is_gone(ALERT, 5));
    }

    #[test]
    fn a_height_that_is_never_reached_again_is_forgotten() {
        let mut settling = Settling::new(2);
        assert!(settling.look(100));
        assert!(settling.look(1 << 40));
        assert!(!settling.is_gone(ALERT, 1 << 40));
        let believed: Vec<_> = (101..=112).map(|block| settling.look(block)).collect();
        assert_eq!(
            believed,
            [vec![false; 9], vec![true; 3]].concat(),
            "nine looks in doubt"
        );
        // Nothing of that height counts.
        assert!(!settling.is_gone(ALERT, 110));
        assert!(!settling.is_gone(ALERT, 111));
        assert!(settling.is_gone(ALERT, 112));
    }

    #[test]
    fn one_node_of_several_that_lags_is_never_believed() {
        let mut settling = Settling::new(2);
        for block in 100..200 {
            assert!(settling.look(block));
            for _ in 0..9 {
                assert!(!settling.look(block - 1));
            }
        }
    }
}
