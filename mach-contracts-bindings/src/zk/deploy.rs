//! Deployment of the service manager and of the adapters.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, ChainId, FixedBytes, U256, aliases::U96};
use alloy_sol_types::SolConstructor;

use super::{
    ZkServiceManager,
    abi::{
        BlockTimes, Games, IMachZkServiceManager, IOpenVmVerifierAdapter, IRiscZeroVerifierAdapter,
        ISp1VerifierAdapter, NewConfig, NewProgram, ProgramKind, Setup,
    },
};
use crate::{Artifact, SubmitError, Submitter};

/// What a service manager is deployed with.
///
/// The delays are those of a cautious owner: a week to prove, a week until a change takes effect.
#[derive(Clone, Debug)]
pub struct ZkConfig {
    /// Chain id of the rollup.
    pub rollup: ChainId,
    /// May change programs and configurations, with a delay.
    pub owner: Address,
    /// May pause, as the owner may.
    pub guardian: Address,
    /// Gets forfeited bonds.
    pub beneficiary: Address,
    /// The rollup's `L2OutputOracle`, if it has one.
    pub oracle: Option<Address>,
    /// The rollup's `DisputeGameFactory`, if it has one.
    pub game_factory: Option<Address>,
    /// Type of the games whose root claims are output roots.
    pub game_type: u32,
    /// Whose games count as published by the rollup: needed with a factory, since anybody may make one.
    pub proposer: Option<Address>,
    /// The times of the rollup's blocks, if they follow one rule for ever.
    pub times: Option<ZkBlockTimes>,
    /// The `MachServiceManager` whose attestations are believed, if any is.
    pub attestations: Option<Address>,
    /// Time that an alert has to be proved, 90 days at most.
    pub proving_window: Duration,
    /// Time until a change of programs, configurations or games takes effect; at least the window, and 90
    /// days at most.
    pub delay: Duration,
    /// What an alert costs until it is proved, in wei.
    pub bond: u128,
    /// Whether only those on the allowlist may raise alerts.
    pub is_allowlist_enabled: bool,
    /// Configurations under which proofs count from the start.
    pub configs: Vec<ZkRules>,
    /// Programs whose proofs count from the start.
    pub programs: Vec<ZkProgram>,
}

/// A configuration of the rollup, and the blocks that it judges.
///
/// Rules say nothing of forks that come later. What such a fork makes right is wrong by them, so that whoever
/// enters them says how far they are known to hold, and extends them in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZkRules {
    /// Hash of the rules: `ChainSpec::hash` in mach-verify.
    pub hash: B256,
    /// Number of the last block that they judge.
    pub last_block: u64,
}

impl ZkRules {
    /// Rules that are said to be those of all blocks to come.
    pub const fn without_horizon(hash: B256) -> Self {
        Self {
            hash,
            last_block: u64::MAX,
        }
    }

    /// Rules of the blocks up to `last_block`.
    pub const fn up_to(hash: B256, last_block: u64) -> Self {
        Self { hash, last_block }
    }
}

/// When the blocks of the rollup are: a header with another time convicts itself, also one that no program
/// judges because its rules are known for earlier times only.
///
/// Source: `genesis.l2.number`, `genesis.l2_time` and `block_time` of the rollup's `rollup.json`, and
/// <https://specs.optimism.io/protocol/derivation.html#batch-queue>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZkBlockTimes {
    /// Number of the first block that has the rule.
    pub first_block: u64,
    /// Its time, in seconds since 1970.
    pub first_timestamp: u64,
    /// Seconds between two blocks.
    pub block_time: u64,
}

/// A program and the adapter that verifies its proofs.
#[derive(Clone, Copy, Debug)]
pub struct ZkProgram {
    /// RISC Zero image id, SP1 verification key hash, or OpenVM commitment of the executable.
    pub id: B256,
    /// The adapter.
    pub verifier: Address,
    /// What it proves.
    pub kind: ProgramKind,
}

/// A proof system's verifier that is on the chain already, and the version that is taken from it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub enum Verifier {
    /// A verifier or router of RISC Zero, and the first four bytes of the seals.
    RiscZero(Address, FixedBytes<4>),
    /// A verifier or gateway of SP1, and the first four bytes of the proofs.
    Sp1(Address, FixedBytes<4>),
    /// A verifier of OpenVM, and the commitment of the virtual machine.
    OpenVm(Address, B256),
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl ZkConfig {
    /// A rollup without contracts, programs or bond; `owner` is guardian and beneficiary too.
    pub const fn new(rollup: ChainId, owner: Address) -> Self {
        Self {
            rollup,
            owner,
            guardian: owner,
            beneficiary: owner,
            oracle: None,
            game_factory: None,
            game_type: 0,
            proposer: None,
            times: None,
            attestations: None,
            proving_window: WEEK,
            delay: WEEK,
            bond: 0,
            is_allowlist_enabled: false,
            configs: Vec::new(),
            programs: Vec::new(),
        }
    }

    /// What the constructor takes.
    pub fn setup(&self) -> Setup {
        Setup {
            rollupChainId: U256::from(self.rollup),
            owner: self.owner,
            guardian: self.guardian,
            beneficiary: self.beneficiary,
            oracle: self.oracle.unwrap_or_default(),
            gameFactory: self.game_factory.unwrap_or_default(),
            games: Games {
                gameType: self.game_type,
                proposer: self.proposer.unwrap_or_default(),
            },
            times: self.times.map_or(NO_TIMES, BlockTimes::from),
            attestations: self.attestations.unwrap_or_default(),
            provingWindow: self.proving_window.as_secs(),
            delay: self.delay.as_secs(),
            bond: U96::saturating_from(self.bond),
            allowlistEnabled: self.is_allowlist_enabled,
            configs: self.configs.iter().map(NewConfig::from).collect(),
            programs: self.programs.iter().map(NewProgram::from).collect(),
        }
    }
}

impl From<&ZkRules> for NewConfig {
    fn from(rules: &ZkRules) -> Self {
        Self {
            configHash: rules.hash,
            lastBlock: rules.last_block,
        }
    }
}

/// What leaves the rule out.
const NO_TIMES: BlockTimes = BlockTimes {
    firstBlock: 0,
    firstTimestamp: 0,
    blockTime: 0,
};

impl From<ZkBlockTimes> for BlockTimes {
    fn from(times: ZkBlockTimes) -> Self {
        Self {
            firstBlock: times.first_block,
            firstTimestamp: times.first_timestamp,
            blockTime: times.block_time,
        }
    }
}

impl From<&ZkProgram> for NewProgram {
    fn from(program: &ZkProgram) -> Self {
        Self {
            program: program.id,
            verifier: program.verifier,
            kind: program.kind,
        }
    }
}

impl ZkServiceManager {
    /// Deploys a service manager.
    pub async fn deploy(submitter: &Submitter, config: &ZkConfig) -> Result<Self, SubmitError> {
        let constructor = IMachZkServiceManager::constructorCall {
            setup: config.setup(),
        };
        let address = deploy(submitter, Artifact::MachZkServiceManager, &constructor).await?;
        Ok(Self::new(submitter.provider().clone(), address))
    }
}

/// Deploys the adapter of a verifier.
pub async fn deploy_verifier(
    submitter: &Submitter,
    verifier: Verifier,
) -> Result<Address, SubmitError> {
    match verifier {
        Verifier::RiscZero(verifier, selector) => {
            let constructor = IRiscZeroVerifierAdapter::constructorCall { verifier, selector };
            deploy(submitter, Artifact::RiscZeroVerifierAdapter, &constructor).await
        }
        Verifier::Sp1(verifier, selector) => {
            let constructor = ISp1VerifierAdapter::constructorCall { verifier, selector };
            deploy(submitter, Artifact::Sp1VerifierAdapter, &constructor).await
        }
        Verifier::OpenVm(verifier, vm_commitment) => {
            let constructor = IOpenVmVerifierAdapter::constructorCall {
                verifier,
                vmCommitment: vm_commitment,
            };
            deploy(submitter, Artifact::OpenVmVerifierAdapter, &constructor).await
        }
    }
}

async fn deploy(
    submitter: &Submitter,
    artifact: Artifact,
    constructor: &impl SolConstructor,
) -> Result<Address, SubmitError> {
    let code: Bytes = [artifact.bytecode().as_ref(), &constructor.abi_encode()]
        .concat()
        .into();
    Ok(submitter.deploy(code).await?.0)
}
