//! Transactions that wait for a block.

use std::collections::BTreeMap;

use alloy_consensus::{
    Transaction,
    transaction::{Recovered, TxHashRef},
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, TxKind, U256};
use revm::{context_interface::cfg::gas::calculate_initial_tx_gas, primitives::hardfork::SpecId};

/// Most transactions that wait.
const MAX_PENDING: usize = 4096;

/// Largest encoding of a transaction, in bytes, as in geth's pool.
pub(crate) const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

/// Share of the old fee that a replacement must add, in percent.
const PRICE_BUMP: u128 = 10;

/// Why a transaction is not taken. The messages are geth's, since clients tell them apart by text.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The bytes are not a transaction of this chain.
    #[error("invalid transaction: {0}")]
    Decode(String),
    /// The encoding is longer than 128 KiB.
    #[error("oversized data: transaction size {0}, limit {MAX_TRANSACTION_BYTES}")]
    TooLarge(usize),
    /// The signature gives no sender.
    #[error("invalid sender")]
    Sender,
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// Chain that the transaction is for.
        have: u64,
        /// This chain.
        want: u64,
    },
    /// The same transaction waits already.
    #[error("already known")]
    AlreadyKnown,
    /// The nonce is used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's next nonce.
        next: u64,
        /// Nonce of the transaction.
        nonce: u64,
    },
    /// Another transaction with this nonce waits and pays nearly as much or more.
    #[error("replacement transaction underpriced")]
    Underpriced,
    /// The tip is higher than the fee.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFee,
    /// Less gas than the transaction needs before any code runs.
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas {
        /// Gas limit of the transaction.
        have: u64,
        /// Least gas.
        want: u64,
    },
    /// More gas than a block or a transaction may have.
    #[error("exceeds block gas limit")]
    GasLimit,
    /// The sender cannot pay.
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}")]
    Funds {
        /// Balance of the sender, in wei.
        balance: U256,
        /// Most that the transaction can cost, in wei.
        cost: U256,
    },
    /// Only the protocol makes such transactions.
    #[error("transaction type not supported")]
    Type,
    /// Too many transactions wait.
    #[error("txpool is full")]
    Full,
    /// The state of the sender is not available.
    #[error("state of the sender is not available: {0}")]
    State(String),
}

/// What admission looks at besides the transaction itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) chain_id: u64,
    pub(crate) gas_cap: u64,
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
}

/// Waiting transactions, by sender and nonce.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    by_sender: BTreeMap<Address, BTreeMap<u64, Waiting<T>>>,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    arrival: u64,
    transaction: Recovered<T>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            by_sender: BTreeMap::new(),
            arrivals: 0,
        }
    }
}

impl<T: Transaction + Encodable2718 + TxHashRef + Clone> Pool<T> {
    /// Takes a transaction, or the replacement of one.
    pub(crate) fn insert(
        &mut self,
        transaction: Recovered<T>,
        terms: Terms,
    ) -> Result<(), PoolError> {
        check(&transaction, terms)?;
        let room = self.len() < MAX_PENDING;
        let queue = self.by_sender.entry(transaction.signer()).or_default();
        match queue.get(&transaction.nonce()) {
            Some(old) if old.transaction.tx_hash() == transaction.tx_hash() => {
                return Err(PoolError::AlreadyKnown);
            }
            Some(old) if !outbids(transaction.inner(), old.transaction.inner()) => {
                return Err(PoolError::Underpriced);
            }
            None if !room => return Err(PoolError::Full),
            _ => {}
        }
        self.arrivals += 1;
        queue.insert(
            transaction.nonce(),
            Waiting {
                arrival: self.arrivals,
                transaction,
            },
        );
        Ok(())
    }

    /// Removes what is in a block or can never be, given each sender's next nonce.
    pub(crate) fn prune(&mut self, mut next_nonce: impl FnMut(Address) -> Option<u64>) {
        self.by_sender.retain(|sender, queue| {
            if let Some(next) = next_nonce(*sender) {
                *queue = queue.split_off(&next);
            }
            !queue.is_empty()
        });
    }

    /// What may stand in a block with this base fee: by arrival, each sender's in nonce order.
    pub(crate) fn ready(
        &self,
        base_fee: u64,
        mut next_nonce: impl FnMut(Address) -> Option<u64>,
    ) -> Vec<Recovered<T>> {
        let mut ready = Vec::new();
        for (sender, queue) in &self.by_sender {
            let Some(first) = next_nonce(*sender) else {
                continue;
            };
            // A transaction cannot overtake the one before it, however early it came.
            let mut after = 0;
            for (expected, (nonce, waiting)) in (first..).zip(queue.range(first..)) {
                if *nonce != expected || waiting.transaction.max_fee_per_gas() < base_fee.into() {
                    break;
                }
                after = after.max(waiting.arrival);
                ready.push((after, *nonce, waiting.transaction.clone()));
            }
        }
        ready.sort_by_key(|(arrival, nonce, _)| (*arrival, *nonce));
        ready
            .into_iter()
            .map(|(_, _, transaction)| transaction)
            .collect()
    }

    /// The nonce after the waiting transactions of `sender` that follow on from `next`.
    pub(crate) fn next_nonce(&self, sender: Address, next: u64) -> u64 {
        let queue = self.by_sender.get(&sender);
        let following = queue.into_iter().flat_map(|queue| queue.range(next..));
        let count = (next..)
            .zip(following)
            .take_while(|(expected, (nonce, _))| expected == *nonce);
        next + count.count() as u64
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<&Recovered<T>> {
        let waiting = self.by_sender.values().flat_map(BTreeMap::values);
        waiting
            .map(|waiting| &waiting.transaction)
            .find(|transaction| transaction.tx_hash() == hash)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_sender.values().map(BTreeMap::len).sum()
    }
}

/// Checks everything that holds or fails whatever else waits.
fn check<T>(transaction: &Recovered<T>, terms: Terms) -> Result<(), PoolError>
where
    T: Transaction + Encodable2718,
{
    let size = transaction.encode_2718_len();
    if size > MAX_TRANSACTION_BYTES {
        return Err(PoolError::TooLarge(size));
    }
    if let Some(have) = transaction.chain_id().filter(|id| *id != terms.chain_id) {
        return Err(PoolError::ChainId {
            have,
            want: terms.chain_id,
        });
    }
    let gas = transaction.gas_limit();
    if gas > terms.gas_cap {
        return Err(PoolError::GasLimit);
    }
    let tip = transaction.max_priority_fee_per_gas().unwrap_or_default();
    if tip > transaction.max_fee_per_gas() {
        return Err(PoolError::TipAboveFee);
    }
    let want = intrinsic_gas(transaction.inner());
    if gas < want {
        return Err(PoolError::IntrinsicGas { have: gas, want });
    }
    let nonce = transaction.nonce();
    if nonce < terms.nonce {
        return Err(PoolError::NonceTooLow {
            next: terms.nonce,
            nonce,
        });
    }
    let blobs = U256::from(transaction.blob_gas_used().unwrap_or_default())
        * U256::from(transaction.max_fee_per_blob_gas().unwrap_or_default());
    let cost = (U256::from(gas) * U256::from(transaction.max_fee_per_gas()))
        .saturating_add(blobs)
        .saturating_add(transaction.value());
    if cost > terms.balance {
        return Err(PoolError::Funds {
            balance: terms.balance,
            cost,
        });
    }
    Ok(())
}

/// Gas that a transaction needs before any code runs (EIP-2028, EIP-2930, EIP-3860, EIP-7623,
/// EIP-7702), by the rules of Prague.
pub(crate) fn intrinsic_gas(transaction: &impl Transaction) -> u64 {
    let (accounts, slots) = transaction.access_list().map_or((0, 0), |list| {
        (
            list.len(),
            list.iter()
                .map(|item| item.storage_keys.len())
                .sum::<usize>(),
        )
    });
    let gas = calculate_initial_tx_gas(
        SpecId::PRAGUE,
        transaction.input(),
        transaction.kind() == TxKind::Create,
        accounts as u64,
        slots as u64,
        transaction.authorization_count().unwrap_or_default(),
    );
    gas.initial_total_gas.max(gas.floor_gas)
}

/// Whether `new` pays at least a tenth more than `old`, in fee and in tip.
fn outbids(new: &impl Transaction, old: &impl Transaction) -> bool {
    let enough = |new: u128, old: u128| new >= old.saturating_mul(100 + PRICE_BUMP).div_ceil(100);
    let tip = |tip: Option<u128>, fee: u128| tip.unwrap_or(fee);
    enough(new.max_fee_per_gas(), old.max_fee_per_gas())
        && enough(
            tip(new.max_priority_fee_per_gas(), new.max_fee_per_gas()),
            tip(old.max_priority_fee_per_gas(), old.max_fee_per_gas()),
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
    use alloy_primitives::Signature;

    const TERMS: Terms = Terms {
        chain_id: 1,
        gas_cap: 30_000_000,
        nonce: 5,
        balance: U256::from_limbs([0, 1, 0, 0]),
    };

    fn transaction(sender: u8, nonce: u64, fee: u128) -> Recovered<TxEnvelope> {
        let body = TxEip1559 {
            chain_id: 1,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(Address::ZERO),
            ..Default::default()
        };
        let signed = body.into_signed(Signature::test_signature()).into();
        Recovered::new_unchecked(signed, Address::repeat_byte(sender))
    }

    fn nonces(ready: &[Recovered<TxEnvelope>]) -> Vec<(u8, u64)> {
        ready
            .iter()
            .map(|tx| (tx.signer()[0], tx.nonce()))
            .collect()
    }

    #[test]
    fn a_gap_holds_back_what_follows_it() {
        let mut pool = Pool::default();
        for nonce in [7, 5, 8] {
            pool.insert(transaction(1, nonce, 10), TERMS).unwrap();
        }
        assert_eq!(nonces(&pool.ready(1, |_| Some(5))), [(1, 5)]);
        assert_eq!(pool.next_nonce(Address::repeat_byte(1), 5), 6);
        pool.insert(transaction(1, 6, 10), TERMS).unwrap();
        assert_eq!(
            nonces(&pool.ready(1, |_| Some(5))),
            [(1, 5), (1, 6), (1, 7), (1, 8)]
        );
        assert_eq!(pool.next_nonce(Address::repeat_byte(1), 5), 9);
    }

    #[test]
    fn the_order_is_by_arrival_and_never_against_the_nonce() {
        let mut pool = Pool::default();
        for (sender, nonce) in [(1, 6), (2, 5), (1, 5)] {
            pool.insert(transaction(sender, nonce, 10), TERMS).unwrap();
        }
        assert_eq!(
            nonces(&pool.ready(1, |_| Some(5))),
            [(2, 5), (1, 5), (1, 6)]
        );
    }

    #[test]
    fn what_pays_less_than_the_base_fee_waits() {
        let mut pool = Pool::default();
        pool.insert(transaction(1, 5, 10), TERMS).unwrap();
        assert_eq!(pool.ready(11, |_| Some(5)).len(), 0);
        assert_eq!(pool.ready(10, |_| Some(5)).len(), 1);
    }

    #[test]
    fn a_replacement_pays_a_tenth_more() {
        let mut pool = Pool::default();
        pool.insert(transaction(1, 5, 100), TERMS).unwrap();
        assert_eq!(
            pool.insert(transaction(1, 5, 100), TERMS),
            Err(PoolError::AlreadyKnown)
        );
        let mut higher = transaction(1, 5, 109);
        assert_eq!(
            pool.insert(higher.clone(), TERMS),
            Err(PoolError::Underpriced)
        );
        // The fee is enough, the tip is not.
        higher = transaction(1, 5, 110);
        assert_eq!(pool.insert(higher, TERMS), Err(PoolError::Underpriced));
        let body = TxEip1559 {
            chain_id: 1,
            nonce: 5,
            gas_limit: 21_000,
            max_fee_per_gas: 110,
            max_priority_fee_per_gas: 2,
            to: TxKind::Call(Address::ZERO),
            ..Default::default()
        };
        let better: TxEnvelope = body.into_signed(Signature::test_signature()).into();
        let better = Recovered::new_unchecked(better, Address::repeat_byte(1));
        pool.insert(better, TERMS).unwrap();
        assert_eq!(pool.len(), 1);
    }

    #[test]
    fn what_is_mined_is_forgotten() {
        let mut pool = Pool::default();
        pool.insert(transaction(1, 5, 10), TERMS).unwrap();
        pool.insert(transaction(1, 6, 10), TERMS).unwrap();
        pool.prune(|_| Some(6));
        assert_eq!(nonces(&pool.ready(1, |_| Some(6))), [(1, 6)]);
        pool.prune(|_| Some(7));
        assert_eq!(pool.len(), 0);
    }

    #[test]
    fn each_rule_has_its_error() {
        let mut pool = Pool::default();
        let poor = Terms {
            balance: U256::from(1),
            ..TERMS
        };
        let cases = [
            (
                transaction(1, 4, 10),
                TERMS,
                PoolError::NonceTooLow { next: 5, nonce: 4 },
            ),
            (transaction(1, 5, 0), TERMS, PoolError::TipAboveFee),
            (
                transaction(1, 5, 10),
                Terms {
                    gas_cap: 20_999,
                    ..TERMS
                },
                PoolError::GasLimit,
            ),
            (
                transaction(1, 5, 10),
                Terms {
                    chain_id: 2,
                    ..TERMS
                },
                PoolError::ChainId { have: 1, want: 2 },
            ),
            (
                transaction(1, 5, 10),
                poor,
                PoolError::Funds {
                    balance: U256::from(1),
                    cost: U256::from(210_000),
                },
            ),
        ];
        for (transaction, terms, error) in cases {
            assert_eq!(pool.insert(transaction, terms), Err(error));
        }
        assert_eq!(pool.len(), 0);
    }
}
