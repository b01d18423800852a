//! Execution of a block: what its header must say afterwards.

mod ethereum;
mod machine;
mod optimism;
mod overlay;
mod receipts;
mod vault;

use core::fmt::Debug;

use alloy_consensus::{
    crypto::RecoveryError,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error};
use alloy_evm::block::BlockExecutionError;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bloom, Bytes, keccak256};
use mach_core::{Fault, L2Block, ports::BoxError};
use op_alloy_consensus::OpTxEnvelope;
#[cfg(feature = "parallel")]
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use revm::Database;

use crate::{
    ChainSpec, Unsupported,
    phases::{Phase, Watch},
    state::{AccountUpdate, StateError, StateStore, TrieState},
};

pub(crate) use optimism::MESSAGE_PASSER;
use overlay::Overlay;

/// State that a block is executed on.
pub(crate) trait State: Database<Error: Debug> + Debug {
    /// Moves the state on by what transactions changed, and gives the root of its trie.
    fn advance(&mut self, changes: Changes) -> Result<B256, Self::Error>;

    /// Root of an account's storage; that of an empty trie if there is no account.
    fn storage_root(&mut self, address: Address) -> Result<B256, Self::Error>;

    /// Whether the error says that the path to an account is not known.
    fn is_missing_node(error: &Self::Error) -> bool;
}

/// What transactions did to the state.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) accounts: Vec<AccountUpdate>,
    /// Codes of new contracts.
    pub(crate) codes: Vec<Bytes>,
}

impl<S: StateStore + Debug> State for TrieState<S> {
    fn advance(&mut self, changes: Changes) -> Result<B256, StateError> {
        for code in changes.codes {
            self.insert_code(code);
        }
        self.apply(changes.accounts)?;
        self.root()
    }

    fn storage_root(&mut self, address: Address) -> Result<B256, StateError> {
        Self::storage_root(self, address)
    }

    fn is_missing_node(error: &StateError) -> bool {
        matches!(error, StateError::MissingNode { .. })
    }
}

impl<S: State> State for &mut S {
    fn advance(&mut self, changes: Changes) -> Result<B256, S::Error> {
        (**self).advance(changes)
    }

    fn storage_root(&mut self, address: Address) -> Result<B256, S::Error> {
        (**self).storage_root(address)
    }

    fn is_missing_node(error: &S::Error) -> bool {
        S::is_missing_node(error)
    }
}

/// What the header must hold after execution.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) state_root: B256,
    pub(crate) receipts_root: B256,
    pub(crate) logs_bloom: Bloom,
    pub(crate) gas_used: u64,
    /// `None` where `header.rs` has already compared it.
    pub(crate) withdrawals_root: Option<B256>,
    /// Blob gas of the transactions, or their data-availability footprint.
    pub(crate) blob_gas_used: Option<u64>,
    /// Hash of the requests; `None` also where no list of requests would be valid.
    pub(crate) requests_hash: Option<B256>,
    /// Storage root of the message passer on a rollup, as far as the state holds it.
    pub(crate) message_passer_root: Option<B256>,
}

/// Why execution ended early.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    /// The block breaks a rule.
    Fault(Fault),
    /// The state did not answer.
    State(E),
    /// The rules of a transaction are not known.
    Unsupported(Unsupported),
    /// A part of the body cannot be judged.
    Body(&'static str, BoxError),
    /// The machine failed.
    Evm(BoxError),
}

/// Executes `block` on `state`, which is the state after it then. The header has passed
/// `header::check`. `transactions` are those of the block, if they were decoded before.
pub(crate) fn execute<S: State>(
    spec: &ChainSpec,
    block: &L2Block,
    transactions: Option<Transactions>,
    state: &mut S,
    watch: &Watch,
) -> Result<Execution, Stop<S::Error>> {
    let mut overlay = Overlay::new(state).with_watch(watch.clone());
    let transactions = transactions.unwrap_or_else(|| {
        watch.during(Phase::Recovery, || {
            Transactions::of(spec, block, Threads::Pool)
        })
    });
    match transactions {
        Transactions::Optimism(decoded) => optimism::execute(spec, block, decoded, &mut overlay),
        Transactions::Ethereum(decoded) => ethereum::execute(spec, block, decoded, &mut overlay),
    }
}

/// The transaction at `index` cannot stand where it stands.
fn invalid<E>(block: &L2Block, index: usize, reason: impl ToString) -> Stop<E> {
    let bytes = block.transactions.get(index).map_or(&[][..], |bytes| bytes);
    Stop::Fault(Fault::Transaction {
        index: index as u64,
        hash: keccak256(bytes),
        reason: reason.to_string(),
    })
}

/// Most gas that a block may use and still be executed: over forty times that of the largest blocks
/// of public chains.
///
/// A sequencer sets the gas limit and gives deposits as much gas as it likes. Without a bound it
/// could keep verifiers busy for ever, or take their memory, with the block that they should accuse.
pub(crate) const MAX_GAS: u64 = 1 << 34;

/// Refuses the transaction at `index` if it could bring the gas of the block above [`MAX_GAS`].
///
/// More gas than the block permits is a fault, which the machine finds without executing: but for a
/// transaction `beyond_limit`, which may have more.
fn check_gas<E>(
    block: &L2Block,
    index: usize,
    used: u64,
    limit: u64,
    beyond_limit: bool,
) -> Result<(), Stop<E>> {
    let total = used.saturating_add(limit);
    if total <= MAX_GAS || (total > block.header.gas_limit && !beyond_limit) {
        return Ok(());
    }
    let reason = format!("number {index} may use more gas than is executed");
    Err(Stop::Body("transactions", reason.into()))
}

/// What stopped the machine at transaction `index`: the state before anything else.
fn stopped<S: State>(
    overlay: &mut Overlay<S>,
    block: &L2Block,
    index: usize,
    error: BlockExecutionError,
) -> Stop<S::Error> {
    if let Some(error) = overlay.take_error() {
        return Stop::State(error);
    }
    match error {
        BlockExecutionError::Validation(error) => invalid(block, index, error),
        BlockExecutionError::Internal(error) => Stop::Evm(Box::new(error)),
    }
}

/// The same outside of transactions, where no rule can be broken.
fn failed<S: State>(
    overlay: &mut Overlay<S>,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Stop<S::Error> {
    overlay
        .take_error()
        .map_or_else(|| Stop::Evm(Box::new(error)), Stop::State)
}

/// The transactions of a block, decoded, with who sent them. Each error waits for its turn: what a
/// transaction before it breaks comes first.
#[derive(Debug)]
pub(crate) enum Transactions {
    Ethereum(Vec<Decoded<ethereum::Transaction>>),
    Optimism(Vec<Decoded<OpTxEnvelope>>),
}

impl Transactions {
    /// Decodes those of `block` by the rules of its stack; needs no state.
    pub(crate) fn of(spec: &ChainSpec, block: &L2Block, threads: Threads) -> Self {
        if spec.is_optimism() {
            return Self::Optimism(decode_all(block, true, threads));
        }
        let strict = spec.is_homestead_active_at_block(block.number());
        Self::Ethereum(decode_all(block, strict, threads))
    }
}

/// Where senders are recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// On those of the rayon pool, with the feature `parallel`.
    Pool,
    /// On the caller's: other blocks are at work on the others.
    Own,
}

/// One transaction of the body, decoded, or why it is none.
type Decoded<T> = Result<Recovered<T>, DecodeError>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("{0}")]
    Encoding(Eip2718Error),
    #[error("{0}")]
    Signature(RecoveryError),
}

/// Decodes `bytes` and recovers who sent it.
///
/// `strict` refuses signatures in the upper half of the curve's order (EIP-2).
fn decode<T: Decodable2718 + SignerRecoverable>(bytes: &Bytes, strict: bool) -> Decoded<T> {
    let transaction = T::decode_2718_exact(bytes).map_err(DecodeError::Encoding)?;
    let sender = if strict {
        transaction.recover_signer()
    } else {
        transaction.recover_signer_unchecked()
    };
    let sender = sender.map_err(DecodeError::Signature)?;
    Ok(Recovered::new_unchecked(transaction, sender))
}

/// [`decode`] for all transactions of `block`.
fn decode_all<T: Decodable2718 + SignerRecoverable + Send>(
    block: &L2Block,
    strict: bool,
    threads: Threads,
) -> Vec<Decoded<T>> {
    #[cfg(feature = "parallel")]
    if threads == Threads::Pool {
        let transactions = block.transactions.par_iter();
        return transactions.map(|bytes| decode(bytes, strict)).collect();
    }
    let _ = threads;
    let transactions = block.transactions.iter();
    transactions.map(|bytes| decode(bytes, strict)).collect()
}

/// Lets the state take what has changed, and gives its root.
fn commit<S: State>(overlay: &mut Overlay<S>) -> Result<B256, Stop<S::Error>> {
    let changes = overlay.take_changes();
    let watch = overlay.watch().clone();
    let root = watch.during(Phase::Roots, || overlay.state_mut().advance(changes));
    root.map_err(Stop::State)
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{EMPTY_ROOT_HASH, Header};
    use alloy_eips::eip2718::Encodable2718;
    use alloy_hardforks::ForkCondition;
    use alloy_op_hardforks::{OpHardfork, OpHardforks};
    use alloy_primitives::{TxKind, U256, bytes};
    use mach_core::Verdict;
    use op_alloy_consensus::TxDeposit;

    use super::*;
    use crate::{ExecuteError, Witness, header::transactions_root, verify_block};

    /// A block with one deposit that has `gas`, in a state without accounts.
    fn deposit_with(gas: u64, gas_limit: u64) -> Result<Verdict, ExecuteError> {
        let deposit = TxDeposit {
            from: Address::repeat_byte(1),
            to: TxKind::Call(Address::repeat_byte(2)),
            value: U256::ZERO,
            gas_limit: gas,
            ..Default::default()
        };
        let spec = ChainSpec::optimism(901).with_op_forks_from_genesis(OpHardfork::Canyon);
        verdict_on(&spec, deposit, gas_limit)
    }

    fn verdict_on(
        spec: &ChainSpec,
        deposit: TxDeposit,
        gas_limit: u64,
    ) -> Result<Verdict, ExecuteError> {
        verdict_on_all(spec, &[deposit], gas_limit)
    }

    fn verdict_on_all(
        spec: &ChainSpec,
        deposits: &[TxDeposit],
        gas_limit: u64,
    ) -> Result<Verdict, ExecuteError> {
        let is_canyon = spec.is_canyon_active_at_timestamp(2);
        let transactions: Vec<Bytes> = (deposits.iter())
            .map(|deposit| deposit.encoded_2718().into())
            .collect();
        let parent = Header {
            state_root: EMPTY_ROOT_HASH,
            gas_limit: 30_000_000,
            gas_used: 5_000_000,
            base_fee_per_gas: Some(1_000_000_000),
            withdrawals_root: is_canyon.then_some(EMPTY_ROOT_HASH),
            ..Default::default()
        };
        let header = Header {
            parent_hash: parent.hash_slow(),
            transactions_root: transactions_root(&transactions),
            number: 1,
            timestamp: 2,
            gas_limit,
            ..parent.clone()
        };
        let witness = Witness {
            headers: vec![alloy_rlp::encode(&parent).into()],
            ..Default::default()
        };
        verify_block(spec, &L2Block::new(901, header, transactions), &witness)
    }

    #[test]
    fn a_block_that_would_run_for_ever_is_not_executed() {
        let limit = i64::MAX as u64;
        // The state root is that of the parent, and the deposit changes a nonce.
        let executed = deposit_with(MAX_GAS, limit);
        assert!(matches!(
            executed,
            Ok(Verdict::Invalid(Fault::StateRoot(_)))
        ));
        for gas in [MAX_GAS + 1, limit] {
            let refused = deposit_with(gas, limit);
            assert!(
                matches!(
                    refused,
                    Err(ExecuteError::Body {
                        field: "transactions",
                        ..
                    })
                ),
                "{refused:?}"
            );
        }
        for gas in [limit + 1, u64::MAX] {
            assert!(matches!(
                deposit_with(gas, limit),
                Ok(Verdict::Invalid(Fault::Transaction { index: 0, .. }))
            ));
        }
    }

    /// Before Regolith a deposit of the system takes nothing from the block's gas, and may have more
    /// than there is.
    #[test]
    fn a_system_deposit_before_regolith_is_bounded_too() {
        let spec =
            ChainSpec::optimism(901).with_op_fork(OpHardfork::Bedrock, ForkCondition::Block(0));
        let loops = bytes!("5b600056");
        let grows = bytes!("60016501000000000052");
        for (gas, input, is_refused) in [
            (1_000_000, bytes!("00"), false),
            (MAX_GAS + 1, loops.clone(), true),
            (u64::MAX, loops, true),
            (u64::MAX, grows, true),
        ] {
            let deposit = TxDeposit {
                from: Address::repeat_byte(1),
                to: TxKind::Create,
                gas_limit: gas,
                is_system_transaction: true,
                input,
                ..Default::default()
            };
            let verdict = verdict_on(&spec, deposit, 30_000_000);
            let refused = matches!(
                verdict,
                Err(ExecuteError::Body {
                    field: "transactions",
                    ..
                })
            );
            assert_eq!(refused, is_refused, "{gas}: {verdict:?}");
        }
    }
    /// Two of them would add up to any amount of work, and op-geth and op-revm disagree about the gas
    /// of one that reverts.
    #[test]
    fn before_regolith_the_system_has_one_deposit_that_succeeds() {
        let spec =
            ChainSpec::optimism(901).with_op_fork(OpHardfork::Bedrock, ForkCondition::Block(0));
        let deposit = |input| TxDeposit {
            from: Address::repeat_byte(1),
            to: TxKind::Create,
            gas_limit: 1_000_000,
            is_system_transaction: true,
            input,
            ..Default::default()
        };
        let (stops, reverts) = (bytes!("00"), bytes!("60006000fd"));
        for (deposits, reason) in [
            (vec![deposit(stops.clone())], None),
            (
                vec![deposit(stops.clone()), deposit(stops)],
                Some("number 1 is of the system, and not the first"),
            ),
            (
                vec![deposit(reverts)],
                Some("the deposit of the system fails before Regolith"),
            ),
        ] {
            let refused = match verdict_on_all(&spec, &deposits, 30_000_000) {
                Ok(_) => None,
                Err(ExecuteError::Body { source, .. }) => Some(source.to_string()),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(refused.as_deref(), reason);
        }
    }
}
