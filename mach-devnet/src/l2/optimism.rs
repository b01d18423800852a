//! An OP Stack rollup and its sequencer's mind.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_consensus::Header;
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_primitives::{Bytes, ChainId};
use mach_verify::ChainSpec;
use op_alloy_consensus::{
    TxDeposit, decode_holocene_extra_data, decode_jovian_extra_data, encode_holocene_extra_data,
    encode_jovian_extra_data,
};

use super::{Epoch, ForkSchedule, L1View, Lie, OptimismFork, SystemConfig, UserDeposit};

/// Denominator and elasticity of the base fee, as on OP Mainnet since Canyon.
const CANYON_BASE_FEE: BaseFeeParams = BaseFeeParams::optimism_canyon();

/// Denominator and elasticity of the base fee before Canyon.
const BEDROCK_BASE_FEE: BaseFeeParams = BaseFeeParams::optimism();

/// Seconds after its L1 block until which a block may have transactions from Fjord on.
const FJORD_MAX_DRIFT: u64 = 1_800;

/// A rollup and its sequencer.
#[derive(Debug)]
pub struct Optimism {
    forks: ForkSchedule,
    spec: ChainSpec,
    block_time: u64,
    /// Seconds after its L1 block until which a block may have transactions, before Fjord.
    max_drift: u64,
    l1: L1View,
    sequencer: Mutex<Sequencing>,
}

/// What the sequencer has in mind.
#[derive(Debug)]
pub(super) struct Sequencing {
    /// What each block follows, by height.
    pub(super) epochs: Vec<Epoch>,
    /// Deposits that wait for a block, on an L1 that is made up.
    pub(super) deposits: Vec<UserDeposit>,
    /// Deposits so far, on an L1 that is made up.
    pub(super) deposit_count: u64,
    /// Lies in the order in which they will be told.
    pub(super) lies: VecDeque<Lie>,
    /// Blocks whose output root is lied about.
    pub(super) wrong_outputs: BTreeSet<u64>,
    /// Lies that the batcher is to tell, by block.
    pub(super) batch_lies: BTreeMap<u64, Lie>,
}

impl Optimism {
    /// A rollup with the given id that follows `l1`.
    pub(crate) fn new(
        chain_id: ChainId,
        forks: ForkSchedule,
        (block_time, max_drift): (u64, u64),
        config: SystemConfig,
        l1: L1View,
    ) -> Self {
        let spec = forks.spec(chain_id);
        let sequencer = Mutex::new(Sequencing {
            epochs: vec![l1.genesis(config)],
            deposits: Vec::new(),
            deposit_count: 0,
            lies: VecDeque::new(),
            wrong_outputs: BTreeSet::new(),
            batch_lies: BTreeMap::new(),
        });
        Self {
            forks,
            spec,
            block_time,
            max_drift,
            l1,
            sequencer,
        }
    }

    /// Which fork is active when.
    pub const fn forks(&self) -> &ForkSchedule {
        &self.forks
    }

    /// Rules of the chain, for verifiers.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The L1 that the rollup follows.
    pub const fn l1(&self) -> &L1View {
        &self.l1
    }

    /// The L1 block that the block at this height follows, and what held then.
    pub(crate) fn epoch(&self, number: u64) -> Option<Epoch> {
        let index = usize::try_from(number).ok()?;
        self.sequencing().epochs.get(index).copied()
    }

    /// What `SystemConfig` says at the block of this height.
    pub fn system_config(&self, number: u64) -> Option<SystemConfig> {
        self.epoch(number).map(|epoch| epoch.config)
    }

    /// The lie that the batcher is to tell of the block at this height.
    pub(super) fn batch_lie(&self, number: u64) -> Option<Lie> {
        self.sequencing().batch_lies.get(&number).copied()
    }

    /// `extraData` of a block: the parameters of the base fee from Holocene on.
    ///
    /// Source: <https://specs.optimism.io/protocol/jovian/exec-engine.html>.
    pub(super) fn extra_data(fork: OptimismFork, config: &SystemConfig) -> Bytes {
        let params = config.eip1559_params();
        let encoded = if fork >= OptimismFork::Jovian {
            encode_jovian_extra_data(params, CANYON_BASE_FEE, config.min_base_fee)
        } else if fork >= OptimismFork::Holocene {
            encode_holocene_extra_data(params, CANYON_BASE_FEE)
        } else {
            return Bytes::new();
        };
        encoded.expect("both parameters fit into 32 bits")
    }

    /// What the block after `parent` follows, with the deposits that it brings.
    pub(super) fn next_epoch(&self, parent: &Header, timestamp: u64) -> (Epoch, Vec<TxDeposit>) {
        let before = self.epoch_of(parent);
        let is_ecotone = |time| self.forks.active(time) >= OptimismFork::Ecotone;
        let (epoch, mut deposits) = self.l1.next(&before, timestamp, is_ecotone);
        let sequencing = self.sequencing();
        deposits.extend(
            (sequencing.deposits.iter())
                .zip(sequencing.deposit_count..)
                .map(|(deposit, index)| deposit.to_transaction(epoch.origin.hash, index)),
        );
        (epoch, deposits)
    }

    /// What the block of `header` follows.
    pub(super) fn epoch_of(&self, header: &Header) -> Epoch {
        let sequencing = self.sequencing();
        let index = usize::try_from(header.number).unwrap_or(usize::MAX);
        let known = sequencing.epochs.get(index).or(sequencing.epochs.last());
        *known.expect("there is one of the genesis block")
    }

    /// Seconds after its L1 block until which a block may have transactions.
    ///
    /// Source: <https://specs.optimism.io/protocol/fjord/derivation.html#constant-maximum-sequencer-drift>.
    pub(crate) fn max_drift(&self, timestamp: u64) -> u64 {
        if self.forks.active(timestamp) >= OptimismFork::Fjord {
            FJORD_MAX_DRIFT
        } else {
            self.max_drift
        }
    }

    pub(super) fn sequencing(&self) -> MutexGuard<'_, Sequencing> {
        self.sequencer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The base fee after `parent`, from Holocene on by the parameters in the parent's `extraData`.
    ///
    /// Source: <https://specs.optimism.io/protocol/holocene/exec-engine.html>; Jovian counts the
    /// data-availability footprint like gas and sets a floor.
    pub(super) fn base_fee_after(&self, parent: &Header) -> u64 {
        let fork = self.forks.active(parent.timestamp);
        // The fork of the new block counts where the parent says nothing.
        let next = self.forks.active(parent.timestamp + self.block_time);
        let mut used = parent.gas_used;
        let (params, floor) = if fork >= OptimismFork::Jovian {
            used = used.max(parent.blob_gas_used.unwrap_or_default());
            let decoded = decode_jovian_extra_data(&parent.extra_data);
            let (elasticity, denominator, floor) =
                decoded.expect("every block of Jovian carries the parameters");
            (
                BaseFeeParams::new(denominator.into(), elasticity.into()),
                floor,
            )
        } else if fork >= OptimismFork::Holocene {
            let decoded = decode_holocene_extra_data(&parent.extra_data);
            let (elasticity, denominator) =
                decoded.expect("every block of Holocene carries the parameters");
            (BaseFeeParams::new(denominator.into(), elasticity.into()), 0)
        } else if next >= OptimismFork::Canyon {
            (CANYON_BASE_FEE, 0)
        } else {
            (BEDROCK_BASE_FEE, 0)
        };
        let base_fee = parent.base_fee_per_gas.unwrap_or_default();
        calc_next_block_base_fee(used, parent.gas_limit, base_fee, params).max(floor)
    }
}
