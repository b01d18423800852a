//! What a rollup block takes from L1.

use alloy_consensus::{BlockHeader, Header, TxReceipt, constants::EMPTY_OMMER_ROOT_HASH};
use alloy_primitives::{B256, Sealed, keccak256};
use op_alloy_consensus::TxDeposit;

use super::{
    L1Origin, SystemConfig,
    contracts::{self, SYSTEM_CONFIG},
};
use crate::chain::{Block, Chain, Ethereum, Rules};

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

/// The L1 block that a rollup block follows, and what the rollup's owner has set until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    pub(crate) origin: L1Origin,
    /// Blocks of this origin before this one.
    pub(crate) sequence_number: u64,
    pub(crate) config: SystemConfig,
}

impl Epoch {
    /// The same for the block after this one.
    pub(super) const fn stay(self) -> Self {
        Self {
            sequence_number: self.sequence_number + 1,
            ..self
        }
    }
}

impl L1View {
    /// What the genesis block follows.
    pub(super) fn genesis(&self, config: SystemConfig) -> Epoch {
        let origin = match self {
            Self::Chain(chain) => chain.block(0.into()).map(|block| origin(chain, &block)),
            Self::Invented { genesis_timestamp } => Some(invented(*genesis_timestamp, 0)),
        };
        Epoch {
            origin: origin.unwrap_or_default(),
            sequence_number: 0,
            config,
        }
    }

    /// What the block after one of `epoch` follows, and the deposits that it brings: the next L1
    /// block as soon as it is not from the future.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#l2-chain-derivation-pipeline>.
    pub(super) fn next(
        &self,
        epoch: &Epoch,
        timestamp: u64,
        is_ecotone: impl Fn(u64) -> bool,
    ) -> (Epoch, Vec<TxDeposit>) {
        let stay = epoch.stay();
        let number = epoch.origin.number + 1;
        let mut next = Epoch {
            sequence_number: 0,
            ..*epoch
        };
        match self {
            Self::Invented { genesis_timestamp } => {
                next.origin = invented(*genesis_timestamp, number);
                if next.origin.timestamp > timestamp {
                    return (stay, Vec::new());
                }
                (next, Vec::new())
            }
            Self::Chain(chain) => {
                let block = chain.block(number.into()).filter(|block| {
                    // After a reorganisation of L1 the next block is on another chain.
                    block.header.timestamp <= timestamp
                        && block.header.parent_hash == epoch.origin.hash
                });
                let Some(block) = block else {
                    return (stay, Vec::new());
                };
                next.origin = origin(chain, &block);
                let is_ecotone = is_ecotone(block.header.timestamp);
                let logs = block.receipts.iter().flat_map(TxReceipt::logs);
                let mut deposits = Vec::new();
                for (log, index) in logs.zip(0..) {
                    if log.address == SYSTEM_CONFIG {
                        next.config.follow(log, is_ecotone);
                    }
                    deposits.extend(contracts::deposit(block.hash(), index, log));
                }
                (next, deposits)
            }
        }
    }
}

fn origin(chain: &Chain<Ethereum>, block: &Block<Ethereum>) -> L1Origin {
    L1Origin::of(&block.header, chain.role().blob_base_fee(&block.header))
}

fn invented(genesis_timestamp: u64, number: u64) -> L1Origin {
    let header = Header {
        number,
        timestamp: genesis_timestamp + 12 * number,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        base_fee_per_gas: Some(1_000_000_000),
        mix_hash: keccak256(number.to_be_bytes()),
        parent_beacon_block_root: Some(B256::ZERO),
        ..Default::default()
    };
    L1Origin::of(&Sealed::new(header), 1)
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
            beacon_root: header.parent_beacon_block_root().unwrap_or_default(),
        }
    }
}
