//! Reading the chain.

use std::sync::Arc;

use alloy_consensus::transaction::Recovered;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, BlockNumber, Bytes, U256};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log as RpcLog, TransactionRequest};
use alloy_trie::TrieAccount;
use mach_core::L2Block;
use revm::context_interface::result::{ExecutionResult, HaltReason, OutOfGasError};

use super::{Block, CallError, Chain, ChainError, Role, call::allowance, state::block_hashes};

/// Gas of a transfer, the least that any transaction needs.
const TRANSFER_GAS: u64 = 21_000;

/// Gas that a call with ether gives the receiver for free.
const CALL_STIPEND: u64 = 2_300;

/// Most blocks that one query for logs goes through.
const MAX_LOG_BLOCKS: u64 = 10_000;

/// Most logs that one query gives.
const MAX_LOGS: usize = 20_000;

impl<R: Role> Chain<R> {
    /// A block as verifiers read it.
    pub fn l2_block(&self, number: BlockNumber) -> Option<L2Block> {
        let block = self.read().ledger.block(number).cloned()?;
        Some(block.to_l2_block(self.chain_id()))
    }

    /// Balance of an account after the newest block, in wei.
    ///
    /// Errors: [`ChainError::State`].
    pub fn balance(&self, address: Address) -> Result<U256, ChainError> {
        Ok(self.account(&self.latest(), address)?.balance)
    }

    /// Nonce of an account after the newest block and what waits.
    ///
    /// Errors: [`ChainError::State`].
    pub fn pending_nonce(&self, address: Address) -> Result<u64, ChainError> {
        let inner = self.read();
        let root = inner.ledger.head().header.state_root;
        let nonce = self
            .states()
            .account(root, address)?
            .unwrap_or_default()
            .nonce;
        Ok(inner.pool.next_nonce(address, nonce))
    }

    pub(crate) fn latest(&self) -> Arc<Block<R>> {
        Arc::clone(self.read().ledger.head())
    }

    pub(crate) fn block(&self, id: BlockId) -> Option<Arc<Block<R>>> {
        self.read().ledger.by_id(id).cloned()
    }

    /// The block of a transaction, and its index there.
    pub(crate) fn transaction(&self, hash: &B256) -> Option<(Arc<Block<R>>, usize)> {
        let inner = self.read();
        let (block, index) = inner.ledger.transaction(hash)?;
        Some((Arc::clone(block), index))
    }

    pub(crate) fn waiting(&self, hash: &B256) -> Option<Recovered<R::Transaction>> {
        self.read().pool.get(hash).cloned()
    }

    pub(crate) fn account(
        &self,
        block: &Block<R>,
        address: Address,
    ) -> Result<TrieAccount, ChainError> {
        Ok(self
            .states()
            .account(block.header.state_root, address)?
            .unwrap_or_default())
    }

    pub(crate) fn code(&self, block: &Block<R>, address: Address) -> Result<Bytes, ChainError> {
        let account = self.account(block, address)?;
        Ok(self.states().code(&account.code_hash).unwrap_or_default())
    }

    /// Executes `request` on top of `block`.
    pub(crate) fn call(
        &self,
        block: &Block<R>,
        mut request: TransactionRequest,
    ) -> Result<ExecutionResult, QueryError> {
        let cap = self.gas_allowed(block, &request)?;
        request.gas = Some(request.gas.map_or(cap, |gas| gas.min(cap)));
        // As if in the block itself: its own hash is out of reach.
        let hashes = block_hashes(&self.read().ledger, block.number());
        let db = self
            .states()
            .at(block.header.state_root)
            .with_block_hashes(hashes);
        Ok(self.role().call(db, &block.header, request)?)
    }

    /// Gas limit with which `request` succeeds on top of `block`: the least one, or at most 1.5 %
    /// more, like in geth. Each step executes the request, and pairings make that slow.
    pub(crate) fn estimate_gas(
        &self,
        block: &Block<R>,
        mut request: TransactionRequest,
    ) -> Result<u64, QueryError> {
        let cap = self
            .gas_allowed(block, &request)?
            .min(self.role().transaction_gas_cap());
        let cap = request.gas.map_or(cap, |gas| gas.min(cap));
        let mut attempt = |gas: u64| {
            request.gas = Some(gas);
            self.call(block, request.clone())
        };
        let (used, spent) = match attempt(cap)? {
            ExecutionResult::Success { gas, .. } => (gas.tx_gas_used(), gas.total_gas_spent()),
            ExecutionResult::Revert { output, .. } => return Err(QueryError::Revert(output)),
            ExecutionResult::Halt {
                reason: HaltReason::OutOfGas(_),
                ..
            } => {
                return Err(QueryError::Allowance(cap));
            }
            ExecutionResult::Halt { reason, .. } => return Err(QueryError::Halt(reason)),
        };
        // What is used is never too much. Before the refund, with a stipend and the 64th that a
        // call keeps back, it is mostly enough.
        let (mut low, mut high) = (used.saturating_sub(1), cap);
        let mut guess = match used {
            TRANSFER_GAS => TRANSFER_GAS,
            _ => (spent + CALL_STIPEND).saturating_mul(64) / 63,
        };
        while low + 1 < high && (used == TRANSFER_GAS || high - low > high / 66) {
            let gas = if guess > low && guess < high {
                guess
            } else {
                low + (high - low) / 2
            };
            match attempt(gas) {
                Ok(ExecutionResult::Success { .. }) => high = gas,
                // Below the intrinsic gas the transaction is not even valid.
                Ok(_) | Err(QueryError::Call(CallError::Invalid(_))) => low = gas,
                Err(error) => return Err(error),
            }
            guess = 0;
        }
        Ok(high)
    }

    /// The most gas that a call may be given.
    fn gas_allowed(
        &self,
        block: &Block<R>,
        request: &TransactionRequest,
    ) -> Result<u64, QueryError> {
        let balance = self
            .account(block, request.from.unwrap_or_default())?
            .balance;
        let allowed = allowance(request, balance).unwrap_or(u64::MAX);
        Ok(allowed.min(block.header.gas_limit))
    }

    /// Logs that `filter` selects, in chain order.
    pub(crate) fn logs(&self, filter: &Filter) -> Result<Vec<RpcLog>, QueryError> {
        let inner = self.read();
        let (from, to) = match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => {
                let block = inner
                    .ledger
                    .block_by_hash(&hash)
                    .ok_or(QueryError::UnknownBlock)?;
                (block.number(), block.number())
            }
            FilterBlockOption::Range {
                from_block,
                to_block,
            } => {
                let head = inner.ledger.head().number();
                let resolve = |tag: Option<_>| tag.map_or(head, |tag| inner.ledger.resolve(tag));
                (resolve(from_block), resolve(to_block).min(head))
            }
        };
        if to.saturating_sub(from) >= MAX_LOG_BLOCKS {
            return Err(QueryError::TooManyBlocks);
        }
        let mut logs = Vec::new();
        for block in (from..=to).filter_map(|number| inner.ledger.block(number)) {
            if !filter.matches_bloom(block.header.logs_bloom) {
                continue;
            }
            logs.extend(block.rpc_logs().filter(|log| {
                filter.matches_address(log.address()) && filter.matches_topics(log.topics())
            }));
            if logs.len() > MAX_LOGS {
                return Err(QueryError::TooManyLogs);
            }
        }
        Ok(logs)
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("execution reverted")]
    Revert(Bytes),
    #[error("{}", halt(.0))]
    Halt(HaltReason),
    #[error("gas required exceeds allowance ({0})")]
    Allowance(u64),
    #[error("unknown block")]
    UnknownBlock,
    #[error("query goes through more than {MAX_LOG_BLOCKS} blocks")]
    TooManyBlocks,
    #[error("query returned more than {MAX_LOGS} results")]
    TooManyLogs,
}

/// Geth's words for a halt.
fn halt(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(OutOfGasError::Basic | OutOfGasError::Memory) => "out of gas".into(),
        HaltReason::OutOfGas(_) => "out of gas".into(),
        HaltReason::InvalidFEOpcode | HaltReason::OpcodeNotFound => "invalid opcode".into(),
        HaltReason::StackUnderflow => "stack underflow".into(),
        HaltReason::InvalidJump => "invalid jump destination".into(),
        HaltReason::CreateCollision => "contract address collision".into(),
        reason => format!("{reason:?}"),
    }
}
