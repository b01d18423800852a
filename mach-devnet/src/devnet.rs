//! An L1 and a rollup on it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, U256};
use mach_verify::{
    ChainSpec,
    op::{ChainOpConfig, ForkTimes, Rollup, RollupConfig, RollupGenesis},
};

use crate::{
    Batcher, BatcherConfig, Chain, ChainError, Ethereum, EthereumFork, FeeConfig, ForkSchedule,
    Genesis, L1View, Mining, Optimism, OptimismFork, Proposer, RpcServer, Sequencer, ServeError,
    Settling, SystemConfig, Traffic,
    l2::{self, ContractsConfig},
};

/// What a devnet is made of. The default is what most tests want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevnetConfig {
    /// EIP-155 id of L1.
    pub l1_chain_id: u64,
    /// EIP-155 id of the rollup.
    pub l2_chain_id: u64,
    /// Newest fork of L1.
    pub l1_fork: EthereumFork,
    /// Newest fork of the rollup at genesis.
    pub l2_fork: OptimismFork,
    /// Later forks of the rollup, with the seconds from genesis after which each is active.
    pub l2_upgrades: Vec<(OptimismFork, u64)>,
    /// Seconds between L1 blocks, on the chain's own clock.
    pub l1_block_time: u64,
    /// Seconds between rollup blocks, on the chain's own clock.
    pub l2_block_time: u64,
    /// Time of both genesis blocks, in seconds since 1970.
    pub genesis_timestamp: u64,
    /// When L1 makes blocks.
    pub l1_mining: Mining,
    /// Fees of the rollup.
    pub fees: FeeConfig,
    /// Gas limit of the rollup's blocks.
    pub l2_gas_limit: u64,
    /// What others do on the rollup.
    pub traffic: Traffic,
    /// Seconds after its L1 block until which a rollup block may have transactions, before Fjord.
    pub max_sequencer_drift: u64,
    /// L1 blocks in which the batches of a rollup block may appear.
    pub sequencing_window: u64,
    /// How the batcher posts; `None` for what fits the fork.
    pub batcher: Option<BatcherConfig>,
    /// Which L1 blocks are safe and final.
    pub l1_settling: Settling,
    /// Rollup blocks between proposals of their output root; at least 1.
    pub output_interval: u64,
}

impl Default for DevnetConfig {
    /// Chains 31337 and 901 at Osaka and Jovian, a block per L1 transaction, 1 January 2026.
    fn default() -> Self {
        Self {
            l1_chain_id: 31_337,
            l2_chain_id: 901,
            l1_fork: EthereumFork::default(),
            l2_fork: OptimismFork::default(),
            l2_upgrades: Vec::new(),
            l1_block_time: 12,
            l2_block_time: 2,
            genesis_timestamp: 1_767_225_600,
            l1_mining: Mining::Auto,
            fees: FeeConfig::default(),
            l2_gas_limit: 60_000_000,
            traffic: Traffic::new(),
            max_sequencer_drift: 600,
            sequencing_window: 3_600,
            batcher: None,
            l1_settling: Settling::AtOnce,
            output_interval: 12,
        }
    }
}

impl DevnetConfig {
    /// L1 alone.
    ///
    /// Errors: [`ChainError`].
    pub fn l1(&self) -> Result<Chain<Ethereum>, ChainError> {
        let mut genesis = Genesis::new(self.genesis_timestamp, self.l1_block_time).with_requests();
        let contracts = ContractsConfig {
            system: self.system_config(),
            timestamp: self.genesis_timestamp,
            block_time: self.l2_block_time,
            submission_interval: self.output_interval,
        };
        l2::deploy_contracts(&mut genesis, &contracts);
        let role = Ethereum::new(self.l1_chain_id, self.l1_fork);
        let chain = Chain::new(role, &genesis, self.l1_mining)?;
        chain.set_settling(self.l1_settling);
        Ok(chain)
    }

    /// The rollup alone, on an L1 of your choice.
    ///
    /// Errors: [`ChainError`].
    pub fn l2(&self, l1: L1View) -> Result<Sequencer, ChainError> {
        let config = self.system_config();
        let (timestamp, block_time) = (self.genesis_timestamp, self.l2_block_time);
        let genesis = l2::genesis(self.l2_fork, &config, timestamp, block_time);
        let times = (block_time, self.max_sequencer_drift);
        let role = Optimism::new(self.l2_chain_id, self.forks(), times, config, l1);
        let chain = Chain::new(role, &genesis, Mining::Manual)?;
        Ok(Sequencer::new(chain, self.traffic))
    }

    /// Forks of the rollup by time.
    pub fn forks(&self) -> ForkSchedule {
        let forks = ForkSchedule::new(self.l2_fork);
        self.l2_upgrades.iter().fold(forks, |forks, (fork, after)| {
            forks.with_upgrade(*fork, self.genesis_timestamp.saturating_add(*after))
        })
    }

    /// What `SystemConfig` says at genesis.
    pub fn system_config(&self) -> SystemConfig {
        SystemConfig::new(
            self.l2_fork,
            l2::BATCHER.address,
            &self.fees,
            self.l2_gas_limit,
        )
    }

    /// What a verifier has to know of the rollup.
    fn rollup(&self, l1: &Chain<Ethereum>, l2: &Chain<Optimism>) -> Rollup {
        let first = |hash: Option<B256>| BlockNumHash::new(0, hash.unwrap_or_default());
        let forks = self.forks();
        let time = |fork| forks.activation(fork);
        let system = self.system_config();
        let operator_fee = (U256::from(system.operator_fee_scalar) << 64usize)
            | U256::from(system.operator_fee_constant);
        let config = RollupConfig {
            genesis: RollupGenesis {
                l1: first(l1.block_hash(0)),
                l2: first(l2.block_hash(0)),
                l2_time: self.genesis_timestamp,
                system_config: mach_verify::op::SystemConfig {
                    batcher: system.batcher,
                    overhead: system.overhead.into(),
                    scalar: system.scalar.into(),
                    gas_limit: system.gas_limit,
                    eip1559_params: Default::default(),
                    operator_fee_params: operator_fee.into(),
                    min_base_fee: system.min_base_fee,
                    da_footprint_gas_scalar: system.da_footprint_gas_scalar,
                },
            },
            block_time: self.l2_block_time,
            max_sequencer_drift: self.max_sequencer_drift,
            seq_window_size: self.sequencing_window,
            channel_timeout: 300,
            l1_chain_id: self.l1_chain_id,
            l2_chain_id: self.l2_chain_id,
            forks: ForkTimes {
                regolith_time: time(OptimismFork::Regolith),
                canyon_time: time(OptimismFork::Canyon),
                delta_time: time(OptimismFork::Delta),
                ecotone_time: time(OptimismFork::Ecotone),
                fjord_time: time(OptimismFork::Fjord),
                granite_time: time(OptimismFork::Granite),
                holocene_time: time(OptimismFork::Holocene),
                isthmus_time: time(OptimismFork::Isthmus),
                jovian_time: time(OptimismFork::Jovian),
                ..Default::default()
            },
            batch_inbox_address: l2::BATCH_INBOX,
            deposit_contract_address: l2::OPTIMISM_PORTAL,
            l1_system_config_address: l2::SYSTEM_CONFIG,
            chain_op_config: Some(ChainOpConfig {
                elasticity: 6,
                denominator: 50,
                denominator_canyon: Some(250),
            }),
            alt_da: None,
            keep_karst_upgrade_gas: false,
            other: Default::default(),
        };
        Rollup::new(config, self.l2_spec(), self.l1_spec())
    }

    /// Rules of L1, for verifiers.
    pub fn l1_spec(&self) -> ChainSpec {
        self.l1_fork.spec(self.l1_chain_id)
    }

    /// Rules of the rollup, for verifiers.
    pub fn l2_spec(&self) -> ChainSpec {
        self.forks().spec(self.l2_chain_id)
    }

    /// Both.
    ///
    /// Errors: [`ChainError`].
    pub fn build(&self) -> Result<Devnet, ChainError> {
        let l1 = self.l1()?;
        let sequencer = self.l2(L1View::Chain(l1.clone()))?;
        let l2 = sequencer.chain().clone();
        let batcher = Batcher::new(l1.clone(), l2.clone(), self.batcher);
        let proposer = Proposer::new(l1.clone(), l2, self.output_interval);
        let rollup = self.rollup(&l1, sequencer.chain());
        Ok(Devnet {
            l1,
            sequencer,
            batcher,
            proposer,
            rollup: Arc::new(rollup),
        })
    }
}

/// An L1 and a rollup on it, in this process. The same steps give the same blocks in every run.
#[derive(Clone, Debug)]
pub struct Devnet {
    l1: Chain<Ethereum>,
    sequencer: Sequencer,
    batcher: Batcher,
    proposer: Proposer,
    rollup: Arc<Rollup>,
}

impl Devnet {
    /// The devnet of [`DevnetConfig::default`].
    ///
    /// Errors: [`ChainError`].
    pub fn new() -> Result<Self, ChainError> {
        DevnetConfig::default().build()
    }

    /// The L1.
    pub const fn l1(&self) -> &Chain<Ethereum> {
        &self.l1
    }

    /// The rollup.
    pub const fn l2(&self) -> &Chain<Optimism> {
        self.sequencer.chain()
    }

    /// The rollup's sequencer.
    pub const fn sequencer(&self) -> &Sequencer {
        &self.sequencer
    }

    /// Who posts the rollup's blocks on L1.
    pub const fn batcher(&self) -> &Batcher {
        &self.batcher
    }

    /// How the rollup follows from L1, for verifiers: `rollup.json` with the rules of both chains.
    pub fn rollup(&self) -> &Rollup {
        &self.rollup
    }

    /// Who proposes the rollup's output roots on L1.
    pub const fn proposer(&self) -> &Proposer {
        &self.proposer
    }

    /// Serves both chains over HTTP and WebSocket until the result is dropped; port 0 lets the
    /// system choose.
    ///
    /// Errors: [`ServeError`].
    pub async fn serve(&self, l1: SocketAddr, l2: SocketAddr) -> Result<DevnetServers, ServeError> {
        Ok(DevnetServers {
            l1: self.l1.serve(l1).await?,
            l2: self.l2().serve(l2).await?,
        })
    }

    /// Makes a rollup block with background traffic every `period` of real time, and as many empty
    /// L1 blocks as keep the clocks of both chains together, until the result is dropped.
    ///
    /// Has to be called within a tokio runtime.
    pub fn run(&self, period: Duration) -> RunningDevnet {
        let devnet = self.clone();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Err(error) = devnet.step() {
                    tracing::error!(%error, "no block was made");
                }
            }
        });
        RunningDevnet { task }
    }

    /// One rollup block, and L1 blocks if L1 has fallen behind the rollup's clock. The batcher posts
    /// what waits before an L1 block that is due, or when there is as much as between two of them.
    /// The proposer proposes what has become safe, at its interval.
    ///
    /// Errors: [`ChainError`].
    pub fn step(&self) -> Result<(), ChainError> {
        self.sequencer.produce()?;
        let now = self.l2().latest().header.timestamp;
        let is_due = || self.l1.latest().header.timestamp + self.l1.block_time() <= now;
        let period = self.l1.block_time() / self.l2().block_time().max(1);
        if is_due() || self.batcher.waiting() >= period {
            self.batcher.post()?;
        }
        while is_due() {
            self.l1.mine()?;
        }
        self.batcher.settle();
        self.proposer.propose_safe()
    }

    /// Posts every rollup block that waits, makes an L1 block with it, and settles what has become
    /// safe or final.
    ///
    /// Errors: [`ChainError`].
    pub fn publish(&self) -> Result<(), ChainError> {
        self.batcher.post()?;
        self.l1.mine()?;
        self.batcher.settle();
        Ok(())
    }

    /// Replaces the newest `depth` L1 blocks by as many others, with their transactions in the first
    /// of them, and lets the rollup go back to the last block that follows what is left.
    ///
    /// Errors: [`ChainError`].
    pub fn reorg_l1(&self, depth: u64) -> Result<(), ChainError> {
        let head = self.l1.head();
        let ancestor = head.saturating_sub(depth);
        self.l1.rewind(ancestor)?;
        // Another time makes another block.
        self.l1.increase_time(1);
        for _ in ancestor..head {
            self.l1.mine()?;
        }
        let role = self.l2().role();
        let kept = (0..=self.l2().head()).rev().find(|number| {
            let origin = role.epoch(*number).map(|epoch| epoch.origin);
            origin.is_some_and(|origin| self.l1.block_hash(origin.number) == Some(origin.hash))
        });
        self.l2().rewind(kept.unwrap_or_default())?;
        self.batcher.settle();
        Ok(())
    }
}

/// Servers of both chains.
#[derive(Debug)]
pub struct DevnetServers {
    /// The L1.
    pub l1: RpcServer,
    /// The rollup.
    pub l2: RpcServer,
}

/// Block production in the background; it ends when this is dropped.
#[derive(Debug)]
pub struct RunningDevnet {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for RunningDevnet {
    fn drop(&mut self) {
        self.task.abort();
    }
}
