//! The ways in which the sequencer lies.

use std::{fmt, str::FromStr};

use alloy_consensus::{
    SignableTransaction, Signed, Transaction,
    proofs::{calculate_receipt_root, calculate_transaction_root},
    transaction::{Recovered, RlpEcdsaEncodableTx, SignerRecoverable},
};
use alloy_primitives::{Address, B256, TxKind, U256, address, keccak256};
use op_alloy_consensus::{OpTxEnvelope, TxDeposit, UserDepositSource};

use super::{Epoch, Optimism};
use crate::chain::{ChainError, Draft, States};

/// Who gets the ether of [`Lie::MintedBalance`].
const THIEF: Address = address!("00000000000000000000000000000000000bad00");

/// Ether that [`Lie::MintedBalance`] mints, in wei: 1,000,000 ether.
const LOOT: U256 = U256::from_limbs([0x1bcecceda1000000, 0xd3c2, 0, 0]);

/// Gas that [`Lie::GasUsed`] adds.
const PHANTOM_GAS: u64 = 21_000;

/// A lie of the sequencer, and the fault that a correct verifier names for it.
///
/// Whatever the lie, the header hashes to the published block hash, and the block after it builds
/// on what the lying header says: its own state root, its own gas. It is valid again.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lie {
    /// The header keeps the parent's state root, as if nothing had happened: `Fault::StateRoot`.
    StateRoot,
    /// The receipts root leaves out the last receipt: `Fault::ReceiptsRoot`.
    ReceiptsRoot,
    /// The header claims 21,000 gas more than was used: `Fault::GasUsed`.
    GasUsed,
    /// The last signed transaction is left out of the block, but its effects are not:
    /// `Fault::StateRoot`.
    DroppedTransaction,
    /// The last signed transaction has another value under its old signature, and the header
    /// commits to that: `Fault::Transaction`, since the signature now belongs to an account that
    /// does not exist and cannot pay.
    AlteredTransaction,
    /// The state root is that of a state in which an account got a million ether for nothing:
    /// `Fault::StateRoot`.
    MintedBalance,
    /// The block is right and the output root that is proposed for it is not: `Fault::OutputRoot`
    /// when `optimism_outputAtBlock` is checked, and a valid block.
    OutputRoot,
    /// The L1 attributes name an L1 block that does not exist.
    L1Origin,
    /// The L1 attributes have another fee scalar than `SystemConfig`.
    SystemConfig,
    /// The last deposit of the L1 block is left out.
    DroppedDeposit,
    /// The last deposit of the L1 block mints a million ether more.
    AlteredDeposit,
    /// A deposit that nobody made mints a million ether.
    ForgedDeposit,
    /// The sequencer stays with its L1 block until a block is too late after it to have
    /// transactions, and has some.
    ExcessDrift,
    /// The batcher posts the block without its last transaction.
    BatchDropped,
    /// The batcher posts the block with another last transaction.
    BatchAltered,
    /// The batcher posts the block with its last two transactions the other way round.
    BatchReordered,
}

/// What it takes to find a lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// Executing the block.
    Execution,
    /// Comparing the proposal with the output root of the block.
    Proposal,
    /// Comparing the block with the L1 block that it follows.
    Origin,
    /// Deriving the block from what the batcher posted.
    Batches,
}

impl Lie {
    /// Every lie.
    pub const ALL: [Self; 16] = [
        Self::StateRoot,
        Self::ReceiptsRoot,
        Self::GasUsed,
        Self::DroppedTransaction,
        Self::AlteredTransaction,
        Self::MintedBalance,
        Self::OutputRoot,
        Self::L1Origin,
        Self::SystemConfig,
        Self::DroppedDeposit,
        Self::AlteredDeposit,
        Self::ForgedDeposit,
        Self::ExcessDrift,
        Self::BatchDropped,
        Self::BatchAltered,
        Self::BatchReordered,
    ];

    /// Name on the command line.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StateRoot => "state-root",
            Self::ReceiptsRoot => "receipts-root",
            Self::GasUsed => "gas-used",
            Self::DroppedTransaction => "dropped-transaction",
            Self::AlteredTransaction => "altered-transaction",
            Self::MintedBalance => "minted-balance",
            Self::OutputRoot => "output-root",
            Self::L1Origin => "l1-origin",
            Self::SystemConfig => "system-config",
            Self::DroppedDeposit => "dropped-deposit",
            Self::AlteredDeposit => "altered-deposit",
            Self::ForgedDeposit => "forged-deposit",
            Self::ExcessDrift => "excess-drift",
            Self::BatchDropped => "batch-dropped",
            Self::BatchAltered => "batch-altered",
            Self::BatchReordered => "batch-reordered",
        }
    }

    /// What it takes to find the lie.
    pub const fn check(&self) -> Check {
        match self {
            Self::StateRoot
            | Self::ReceiptsRoot
            | Self::GasUsed
            | Self::DroppedTransaction
            | Self::AlteredTransaction
            | Self::MintedBalance => Check::Execution,
            Self::OutputRoot => Check::Proposal,
            Self::L1Origin
            | Self::SystemConfig
            | Self::DroppedDeposit
            | Self::AlteredDeposit
            | Self::ForgedDeposit
            | Self::ExcessDrift => Check::Origin,
            Self::BatchDropped | Self::BatchAltered | Self::BatchReordered => Check::Batches,
        }
    }

    /// Name of the fault that a correct verifier names, as `Fault::name` spells it.
    pub const fn fault(&self) -> &'static str {
        match self {
            Self::StateRoot | Self::DroppedTransaction | Self::MintedBalance => "stateRoot",
            Self::ReceiptsRoot => "receiptsRoot",
            Self::GasUsed => "gasUsed",
            Self::AlteredTransaction => "transaction",
            Self::OutputRoot => "outputRoot",
            Self::L1Origin => "l1Origin",
            Self::SystemConfig => "l1Attributes",
            Self::DroppedDeposit | Self::AlteredDeposit | Self::ForgedDeposit => "userDeposits",
            Self::ExcessDrift => "sequencerDrift",
            Self::BatchDropped | Self::BatchAltered | Self::BatchReordered => "batchTransactions",
        }
    }

    /// Whether the lie can be told in an executed block with so many signed transactions.
    pub(super) const fn fits(&self, signed: usize) -> bool {
        match self {
            Self::DroppedTransaction
            | Self::AlteredTransaction
            | Self::BatchDropped
            | Self::BatchAltered => signed >= 1,
            Self::BatchReordered => signed >= 2,
            _ => !matches!(self.check(), Check::Origin),
        }
    }

    /// Tells the lie in what a block takes from L1. `false` if it cannot be told there.
    pub(super) fn bend(self, epoch: &mut Epoch, deposits: &mut Vec<TxDeposit>) -> bool {
        match self {
            Self::L1Origin => epoch.origin.hash = keccak256(epoch.origin.hash),
            Self::SystemConfig => epoch.config.scalar += U256::from(1),
            Self::DroppedDeposit => return deposits.pop().is_some(),
            Self::AlteredDeposit => {
                let Some(last) = deposits.last_mut() else {
                    return false;
                };
                last.mint = last.mint.saturating_add(LOOT.saturating_to());
            }
            Self::ForgedDeposit => {
                let index = deposits.len() as u64;
                let source = UserDepositSource::new(epoch.origin.hash, index);
                deposits.push(TxDeposit {
                    source_hash: source.source_hash(),
                    from: THIEF,
                    to: TxKind::Call(THIEF),
                    mint: LOOT.saturating_to(),
                    gas_limit: 100_000,
                    ..Default::default()
                });
            }
            _ => return false,
        }
        true
    }

    /// Tells the lie in a block that was executed honestly. A proposal's lie is told elsewhere.
    pub(super) fn tell(
        self,
        draft: &mut Draft<Optimism>,
        parent_state_root: B256,
        states: &States,
    ) -> Result<(), ChainError> {
        match self {
            Self::StateRoot => draft.header.state_root = parent_state_root,
            Self::ReceiptsRoot => {
                let kept = draft.receipts.len().saturating_sub(1);
                let part = draft.receipts.get(..kept).unwrap_or_default();
                draft.header.receipts_root = calculate_receipt_root(part);
            }
            Self::GasUsed => draft.header.gas_used += PHANTOM_GAS,
            Self::DroppedTransaction => {
                draft.transactions.pop();
                draft.receipts.pop();
                draft.header.transactions_root = calculate_transaction_root(&draft.transactions);
            }
            Self::AlteredTransaction => {
                if let Some(altered) = draft.transactions.last().and_then(alter)
                    && let Some(last) = draft.transactions.last_mut()
                {
                    *last = altered;
                }
                draft.header.transactions_root = calculate_transaction_root(&draft.transactions);
            }
            Self::MintedBalance => {
                draft.header.state_root = states.credit(draft.header.state_root, THIEF, LOOT)?;
            }
            // Told elsewhere.
            _ => {}
        }
        Ok(())
    }
}

/// The same signature under another value. The signature gives some sender for nearly every value;
/// the first that does is taken.
pub(super) fn alter(original: &Recovered<OpTxEnvelope>) -> Option<Recovered<OpTxEnvelope>> {
    (1u64..64).find_map(|more| {
        let value = original.value() + U256::from(more);
        let altered: OpTxEnvelope = match original.inner().clone() {
            OpTxEnvelope::Legacy(signed) => resign(signed, |tx| tx.value = value).into(),
            OpTxEnvelope::Eip2930(signed) => resign(signed, |tx| tx.value = value).into(),
            OpTxEnvelope::Eip1559(signed) => resign(signed, |tx| tx.value = value).into(),
            OpTxEnvelope::Eip7702(signed) => resign(signed, |tx| tx.value = value).into(),
            OpTxEnvelope::Deposit(_) | OpTxEnvelope::PostExec(_) => return None,
        };
        let sender = altered.recover_signer().ok()?;
        Some(Recovered::new_unchecked(altered, sender))
    })
}

fn resign<T>(signed: Signed<T>, change: impl FnOnce(&mut T)) -> Signed<T>
where
    T: RlpEcdsaEncodableTx + SignableTransaction<alloy_primitives::Signature>,
{
    let (mut transaction, signature, _) = signed.into_parts();
    change(&mut transaction);
    transaction.into_signed(signature)
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Lie {
    type Err = UnknownLie;

    fn from_str(name: &str) -> Result<Self, UnknownLie> {
        Self::ALL
            .into_iter()
            .find(|lie| lie.name() == name)
            .ok_or_else(|| UnknownLie { name: name.into() })
    }
}

/// The text names no lie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no lie is called {name:?}; there are {}", Lie::ALL.map(|lie| lie.name()).join(", "))]
pub struct UnknownLie {
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lie_is_read_by_its_name() {
        for lie in Lie::ALL {
            assert_eq!(lie.to_string().parse(), Ok(lie));
        }
        let error = "truth".parse::<Lie>().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no lie is called \"truth\"; there are state-root, ")
        );
    }
}
