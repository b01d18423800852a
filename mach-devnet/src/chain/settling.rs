//! Which blocks are safe and final.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::BlockNumber;

/// How far behind the newest block the safe and the final one are.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settling {
    /// Every block is safe and final as soon as it is made.
    #[default]
    AtOnce,
    /// So many blocks behind the newest one.
    Behind {
        /// Blocks from the safe one to the newest.
        safe: u64,
        /// Blocks from the final one to the newest.
        finalized: u64,
    },
    /// At these heights, or at the newest block if that is lower.
    At {
        /// Height of the safe block.
        safe: BlockNumber,
        /// Height of the final block.
        finalized: BlockNumber,
    },
}

impl Settling {
    /// Height of `tag` on a chain with this newest block. Pending is the newest.
    pub(super) fn height(self, tag: BlockNumberOrTag, newest: BlockNumber) -> BlockNumber {
        let (safe, finalized) = match self {
            Self::AtOnce => (newest, newest),
            Self::Behind { safe, finalized } => (
                newest.saturating_sub(safe),
                newest.saturating_sub(finalized),
            ),
            Self::At { safe, finalized } => (safe.min(newest), finalized.min(newest)),
        };
        match tag {
            BlockNumberOrTag::Number(number) => number,
            BlockNumberOrTag::Earliest => 0,
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => newest,
            BlockNumberOrTag::Safe => safe,
            BlockNumberOrTag::Finalized => finalized,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_never_lie_above_the_newest_block() {
        use BlockNumberOrTag::{Finalized, Latest, Safe};
        let behind = Settling::Behind {
            safe: 3,
            finalized: 8,
        };
        let at = Settling::At {
            safe: 6,
            finalized: 2,
        };
        for (settling, newest, safe, finalized) in [
            (Settling::AtOnce, 5, 5, 5),
            (behind, 10, 7, 2),
            (behind, 2, 0, 0),
            (at, 10, 6, 2),
            (at, 1, 1, 1),
        ] {
            assert_eq!(settling.height(Latest, newest), newest);
            assert_eq!(settling.height(Safe, newest), safe, "{settling:?}");
            assert_eq!(
                settling.height(Finalized, newest),
                finalized,
                "{settling:?}"
            );
        }
    }
}
