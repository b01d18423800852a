//! An L1 and a rollup on it.

use std::{net::SocketAddr, time::Duration};

use mach_verify::ChainSpec;

use crate::{
    Chain, ChainError, Ethereum, EthereumFork, FeeConfig, ForkSchedule, Genesis, L1View, Mining,
    Optimism, OptimismFork, Proposer, RpcServer, Sequencer, ServeError, SystemConfig,
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
    /// Rollup blocks between proposals of their output root.
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
        Chain::new(
            Ethereum::new(self.l1_chain_id, self.l1_fork),
            &genesis,
            self.l1_mining,
        )
    }

    /// The rollup alone, on an L1 of your choice.
    ///
    /// Errors: [`ChainError`].
    pub fn l2(&self, l1: L1View) -> Result<Sequencer, ChainError> {
        let config = self.system_config();
        let (timestamp, block_time) = (self.genesis_timestamp, self.l2_block_time);
        let genesis = l2::genesis(self.l2_fork, &config, timestamp, block_time);
        let role = Optimism::new(self.l2_chain_id, self.forks(), block_time, config, l1);
        Ok(Sequencer::new(Chain::new(role, &genesis, Mining::Manual)?))
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
        let proposer = Proposer::new(l1.clone(), l2, self.output_interval);
        Ok(Devnet {
            l1,
            sequencer,
            proposer,
        })
    }
}

/// An L1 and a rollup on it, in this process. The same steps give the same blocks in every run.
#[derive(Clone, Debug)]
pub struct Devnet {
    l1: Chain<Ethereum>,
    sequencer: Sequencer,
    proposer: Proposer,
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

    /// One rollup block, and L1 blocks if L1 has fallen behind the rollup's clock.
    ///
    /// Errors: [`ChainError`].
    pub fn step(&self) -> Result<(), ChainError> {
        self.sequencer.produce()?;
        let now = self.l2().latest().header.timestamp;
        while self.l1.latest().header.timestamp + self.l1.block_time() <= now {
            self.l1.mine()?;
        }
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
