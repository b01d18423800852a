//! A chain in memory: every block, every receipt, every state since genesis.

mod blobs;
mod block;
mod call;
mod error;
mod ethereum;
mod genesis;
mod ledger;
mod pool;
mod ports;
mod produce;
mod query;
mod receipt;
mod role;
mod settling;
mod state;
mod transact;
mod witness;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use alloy_primitives::{B256, BlockNumber, ChainId};
use tokio::sync::watch;

pub use error::ChainError;
pub use ethereum::{Ethereum, EthereumFork};
pub use genesis::{GENESIS_BALANCE, Genesis, GenesisFields};
pub use pool::PoolError;
pub use role::Role;
pub use settling::Settling;

pub(crate) use block::Block;
pub(crate) use call::Call;
pub(crate) use pool::intrinsic_gas;
pub(crate) use produce::Draft;
pub(crate) use query::QueryError;
pub(crate) use receipt::ReceiptContext;
pub(crate) use role::{CallError, Execution, Planned, Rules, run};
pub(crate) use state::States;
pub(crate) use transact::{MAX_FEE, TIP, sign};

use ledger::Ledger;
use pool::Pool;

/// When blocks are made.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mining {
    /// A block for each transaction that arrives, at once.
    #[default]
    Auto,
    /// Only by [`Chain::mine`] or `evm_mine`.
    Manual,
}

/// A handle to a chain; clones share it.
#[derive(Debug)]
pub struct Chain<R: Role> {
    shared: Arc<Shared<R>>,
}

impl<R: Role> Clone for Chain<R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

#[derive(Debug)]
struct Shared<R: Role> {
    role: R,
    states: States,
    inner: RwLock<Inner<R>>,
    head: watch::Sender<BlockNumber>,
}

#[derive(Debug)]
struct Inner<R: Role> {
    ledger: Ledger<R>,
    pool: Pool<R::Transaction>,
    mining: Mining,
    /// Seconds between blocks.
    block_time: u64,
    /// Seconds that the next block is later than it would be.
    skip: u64,
}

impl<R: Role> Chain<R> {
    /// A chain that has its genesis block only.
    pub(crate) fn new(role: R, genesis: &Genesis, mining: Mining) -> Result<Self, ChainError> {
        let states = States::default();
        let block = genesis.block(&states)?;
        let inner = Inner {
            ledger: Ledger::new(block),
            pool: Pool::default(),
            mining,
            block_time: genesis.block_time,
            skip: 0,
        };
        let (head, _) = watch::channel(0);
        Ok(Self {
            shared: Arc::new(Shared {
                role,
                states,
                inner: RwLock::new(inner),
                head,
            }),
        })
    }

    /// EIP-155 id of the chain.
    pub fn chain_id(&self) -> ChainId {
        self.shared.role.chain_id()
    }

    /// The kind of chain.
    pub fn role(&self) -> &R {
        &self.shared.role
    }

    /// Number of the newest block.
    pub fn head(&self) -> BlockNumber {
        self.read().ledger.head().number()
    }

    /// Hash of a block.
    pub fn block_hash(&self, number: BlockNumber) -> Option<B256> {
        self.read().ledger.block(number).map(|block| block.hash())
    }

    /// Seconds between blocks, on the chain's own clock.
    pub fn block_time(&self) -> u64 {
        self.read().block_time
    }

    /// Follows the number of the newest block.
    pub fn subscribe(&self) -> watch::Receiver<BlockNumber> {
        self.shared.head.subscribe()
    }

    /// Chooses when blocks are made from now on.
    pub fn set_mining(&self, mining: Mining) {
        self.write().mining = mining;
    }

    /// Chooses which blocks count as safe and final from now on.
    pub fn set_settling(&self, settling: Settling) {
        self.write().ledger.settling = settling;
    }

    /// Lets `seconds` more pass before the next block, at most about 136 years in all.
    pub fn increase_time(&self, seconds: u64) {
        let mut inner = self.write();
        inner.skip = inner.skip.saturating_add(seconds).min(u32::MAX.into());
    }

    pub(crate) fn states(&self) -> &States {
        &self.shared.states
    }

    // Nothing between lock and unlock leaves the chain half changed, so a panic elsewhere in the
    // holder's thread is no reason to stop serving.
    fn read(&self) -> RwLockReadGuard<'_, Inner<R>> {
        self.shared
            .inner
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<R>> {
        self.shared
            .inner
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
