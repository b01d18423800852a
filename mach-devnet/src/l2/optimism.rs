//! An OP Stack rollup and its sequencer's mind.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_consensus::Header;
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{B64, Bytes, ChainId};
use mach_verify::ChainSpec;
use op_alloy_consensus::{
    decode_holocene_extra_data, decode_jovian_extra_data, encode_holocene_extra_data,
    encode_jovian_extra_data,
};

use super::{FeeConfig, L1Origin, L1View, Lie, UserDeposit};

/// Newest fork that is active on the rollup, from genesis on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptimismFork {
    /// Isthmus (May 2025).
    Isthmus,
    /// Jovian (December 2025).
    #[default]
    Jovian,
}

/// Denominator and elasticity of the base fee, as on OP Mainnet since Canyon.
const BASE_FEE: BaseFeeParams = BaseFeeParams::optimism_canyon();

/// Least base fee from Jovian on, in wei.
const MIN_BASE_FEE: u64 = 1_000;

impl OptimismFork {
    /// Rules of a chain on which every fork up to this one is active from genesis on.
    pub fn spec(self, chain_id: ChainId) -> ChainSpec {
        let last = match self {
            Self::Isthmus => OpHardfork::Isthmus,
            Self::Jovian => OpHardfork::Jovian,
        };
        ChainSpec::optimism(chain_id).with_op_forks_from_genesis(last)
    }
}

/// A rollup with every fork up to one active from genesis on, and its sequencer.
#[derive(Debug)]
pub struct Optimism {
    fork: OptimismFork,
    spec: ChainSpec,
    pub(super) fees: FeeConfig,
    l1: L1View,
    sequencer: Mutex<Sequencing>,
}

/// What the sequencer has in mind.
#[derive(Debug, Default)]
pub(super) struct Sequencing {
    /// L1 origin and sequence number of each block, by height.
    pub(super) origins: Vec<(L1Origin, u64)>,
    /// Deposits of users that wait for a block.
    pub(super) deposits: Vec<UserDeposit>,
    /// Deposits of users so far.
    pub(super) deposit_count: u64,
    /// Lies in the order in which they will be told.
    pub(super) lies: VecDeque<Lie>,
    /// Blocks whose output root is lied about.
    pub(super) wrong_outputs: BTreeSet<u64>,
}

impl Optimism {
    /// A rollup with the given id that follows `l1`.
    pub fn new(chain_id: ChainId, fork: OptimismFork, fees: FeeConfig, l1: L1View) -> Self {
        let spec = fork.spec(chain_id);
        let genesis_origin = (l1.origin(0).unwrap_or_default(), 0);
        let sequencer = Mutex::new(Sequencing {
            origins: vec![genesis_origin],
            ..Default::default()
        });
        Self {
            fork,
            spec,
            fees,
            l1,
            sequencer,
        }
    }

    /// Newest active fork.
    pub const fn fork(&self) -> OptimismFork {
        self.fork
    }

    /// Rules of the chain, for verifiers.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// `extraData` of every block: the parameters of the base fee.
    ///
    /// Source: <https://specs.optimism.io/protocol/jovian/exec-engine.html>.
    pub(super) fn extra_data(fork: OptimismFork) -> Bytes {
        let encoded = match fork {
            OptimismFork::Isthmus => encode_holocene_extra_data(B64::ZERO, BASE_FEE),
            OptimismFork::Jovian => encode_jovian_extra_data(B64::ZERO, BASE_FEE, MIN_BASE_FEE),
        };
        encoded.expect("both parameters fit into 32 bits")
    }

    /// Origin and sequence number of the block after height `parent`.
    pub(super) fn next_origin(&self, parent: u64, timestamp: u64) -> (L1Origin, u64) {
        let (number, sequence_number) = {
            let sequencer = self.sequencing();
            let index = usize::try_from(parent).unwrap_or(usize::MAX);
            let known = sequencer.origins.get(index).or(sequencer.origins.last());
            known.map_or((0, 0), |(origin, sequence)| (origin.number, *sequence))
        };
        match self.l1.next(number, timestamp) {
            (origin, true) => (origin, 0),
            (origin, false) => (origin, sequence_number + 1),
        }
    }

    pub(super) fn sequencing(&self) -> MutexGuard<'_, Sequencing> {
        self.sequencer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The base fee after `parent`, by the parameters in the parent's `extraData`.
    ///
    /// Source: <https://specs.optimism.io/protocol/holocene/exec-engine.html>; Jovian counts the
    /// data-availability footprint like gas and sets a floor.
    pub(super) fn next_base_fee(&self, parent: &Header) -> u64 {
        let (elasticity, denominator, floor) = match self.fork {
            OptimismFork::Isthmus => decode_holocene_extra_data(&parent.extra_data)
                .map(|(elasticity, denominator)| (elasticity, denominator, 0)),
            OptimismFork::Jovian => decode_jovian_extra_data(&parent.extra_data),
        }
        .expect("every block of this chain carries the parameters");
        let params = BaseFeeParams::new(denominator.into(), elasticity.into());
        let used = match self.fork {
            OptimismFork::Isthmus => parent.gas_used,
            OptimismFork::Jovian => parent
                .gas_used
                .max(parent.blob_gas_used.unwrap_or_default()),
        };
        let base_fee = parent.base_fee_per_gas.unwrap_or_default();
        calc_next_block_base_fee(used, parent.gas_limit, base_fee, params).max(floor)
    }
}
