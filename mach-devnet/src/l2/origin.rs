//! Which L1 block a rollup block follows.

use alloy_consensus::{Header, constants::EMPTY_OMMER_ROOT_HASH};
use alloy_primitives::{B256, Sealed, keccak256};

use super::L1Origin;
use crate::chain::{Chain, Ethereum, Rules};

/// The L1 that a rollup follows.
#[derive(Clone, Debug)]
pub enum L1View {
    /// A chain of this process.
    Chain(Chain<Ethereum>),
    /// No chain at all: blocks are made up, one every 12 seconds, the same in every run. For a
    /// rollup whose L1 contracts live on some other node.
    Invented {
        /// Time of block 0, in seconds since 1970.
        genesis_timestamp: u64,
    },
}

impl L1View {
    pub(super) fn origin(&self, number: u64) -> Option<L1Origin> {
        match self {
            Self::Chain(chain) => {
                let block = chain.block(number.into())?;
                Some(L1Origin::of(
                    &block.header,
                    chain.role().blob_base_fee(&block.header),
                ))
            }
            Self::Invented { genesis_timestamp } => {
                let header = Header {
                    number,
                    timestamp: genesis_timestamp + 12 * number,
                    ommers_hash: EMPTY_OMMER_ROOT_HASH,
                    base_fee_per_gas: Some(1_000_000_000),
                    mix_hash: keccak256(number.to_be_bytes()),
                    parent_beacon_block_root: Some(B256::ZERO),
                    ..Default::default()
                };
                Some(L1Origin::of(&Sealed::new(header), 1))
            }
        }
    }

    /// The origin of the block after one with origin `number`, at `timestamp`, and whether it is a
    /// new one: the next L1 block as soon as it is not from the future.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#l2-chain-derivation-pipeline>.
    pub(super) fn next(&self, number: u64, timestamp: u64) -> (L1Origin, bool) {
        if let Some(next) = self
            .origin(number + 1)
            .filter(|next| next.timestamp <= timestamp)
        {
            return (next, true);
        }
        // After a reorganisation of L1 the old origin may be gone; its last ancestor is not.
        let known = (0..=number).rev().find_map(|number| self.origin(number));
        (known.unwrap_or_default(), false)
    }
}

impl L1Origin {
    fn of(header: &Sealed<Header>, blob_base_fee: u128) -> Self {
        Self {
            number: header.number,
            hash: header.seal(),
            timestamp: header.timestamp,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            blob_base_fee,
            randao: header.mix_hash,
            beacon_root: header.parent_beacon_block_root.unwrap_or_default(),
        }
    }
}
