//! What is wrong with a block.

use alloy_primitives::{B256, Bloom, Bytes, U256, keccak256};
use serde::{Deserialize, Serialize};

/// A value that was published beside the value that we got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch<T> {
    /// What the sequencer or proposer published.
    pub claimed: T,
    /// What the rule gives.
    pub computed: T,
}

impl<T: PartialEq> Mismatch<T> {
    /// `Some` if the two differ.
    pub fn check(claimed: T, computed: T) -> Option<Self> {
        (claimed != computed).then_some(Self { claimed, computed })
    }
}

impl<T: core::fmt::Debug> core::fmt::Display for Mismatch<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "claimed {:?}, computed {:?}",
            self.claimed, self.computed
        )
    }
}

/// One broken rule of a block, with the claimed and the computed value.
///
/// Rules are checked in a fixed order: first what the header must hold before execution (in header
/// order), then each transaction, then what execution gives (in header order). All honest operators
/// therefore name the same fault, and their signatures add up.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "camelCase")]
pub enum Fault {
    /// `parentHash` is not the hash of the parent.
    ParentHash(Mismatch<B256>),
    /// `ommersHash` is not the hash of the ommers.
    OmmersHash(Mismatch<B256>),
    /// `stateRoot` is not the root of the state after execution.
    StateRoot(Mismatch<B256>),
    /// `transactionsRoot` is not the root of the body's transactions.
    TransactionsRoot(Mismatch<B256>),
    /// `receiptsRoot` is not the root of the receipts of execution.
    ReceiptsRoot(Mismatch<B256>),
    /// `logsBloom` is not the bloom of the logs of execution.
    LogsBloom(Box<Mismatch<Bloom>>),
    /// `difficulty` is not what the fork demands.
    Difficulty(Mismatch<U256>),
    /// `number` is not the parent's plus one.
    Number(Mismatch<u64>),
    /// `gasLimit` is outside what the parent permits; computed is the nearest permitted value.
    GasLimit(Mismatch<u64>),
    /// `gasUsed` is not the gas of execution.
    GasUsed(Mismatch<u64>),
    /// `timestamp` is not permitted after the parent's; computed is the least that is.
    Timestamp(Mismatch<u64>),
    /// `extraData` is not of the form that the fork demands; computed is the nearest valid form.
    ///
    /// Source: <https://specs.optimism.io/protocol/holocene/exec-engine.html#encoding>
    /// Source: <https://specs.optimism.io/protocol/jovian/exec-engine.html#minimum-base-fee-in-block-header>
    ExtraData(Mismatch<Bytes>),
    /// `nonce` is not zero after the merge.
    Nonce(Mismatch<u64>),
    /// `baseFeePerGas` does not follow from the parent, in wei.
    ///
    /// Source: EIP-1559.
    /// Source: <https://specs.optimism.io/protocol/holocene/exec-engine.html#base-fee-computation>
    /// Source: <https://specs.optimism.io/protocol/jovian/exec-engine.html#da-footprint-block-limit>
    BaseFee(Mismatch<Option<u64>>),
    /// `withdrawalsRoot` is not the root of the withdrawals, or of the message passer's storage.
    ///
    /// Source: EIP-4895.
    /// Source: <https://specs.optimism.io/protocol/isthmus/exec-engine.html#l2tol1messagepasser-storage-root-in-header>
    WithdrawalsRoot(Mismatch<Option<B256>>),
    /// `blobGasUsed` is not the blob gas, or data-availability footprint, of the transactions.
    ///
    /// Source: EIP-4844.
    /// Source: <https://specs.optimism.io/protocol/jovian/exec-engine.html#da-footprint-block-limit>
    BlobGasUsed(Mismatch<Option<u64>>),
    /// `excessBlobGas` does not follow from the parent.
    ExcessBlobGas(Mismatch<Option<u64>>),
    /// `parentBeaconBlockRoot` is there before its fork, or missing after it.
    ParentBeaconBlockRoot(Mismatch<Option<B256>>),
    /// `requestsHash` is not the hash of the requests of execution (EIP-7685).
    RequestsHash(Mismatch<Option<B256>>),
    /// A transaction cannot stand where it stands.
    Transaction {
        /// Position in the block, from 0.
        index: u64,
        /// Keccak-256 of the transaction's EIP-2718 bytes.
        hash: B256,
        /// The broken rule, for people; never signed.
        reason: String,
    },
    /// A proposal on L1 is not the output root of its block.
    ///
    /// Source: <https://specs.optimism.io/protocol/proposals.html#l2-output-commitment-construction>
    OutputRoot(Mismatch<B256>),
    /// The published hash is not the header's.
    BlockHash(Mismatch<B256>),
    /// The first transaction is not the L1-attributes deposit that the L1 origin gives.
    ///
    /// Source: <https://specs.optimism.io/protocol/deposits.html#l1-attributes-deposited-transaction>
    L1Attributes {
        /// First part that differs, for people; never signed.
        field: String,
        /// EIP-2718 bytes; computed is empty where the claimed ones do not say an L1 origin.
        values: Mismatch<Bytes>,
    },
    /// The L1 origin is not the L1 block at its height, or not the child of the parent's origin.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#batch-queue>
    L1Origin(Mismatch<B256>),
    /// The L1 origin is neither the parent's nor the next one; computed is the nearest of the two.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#batch-queue>
    L1OriginNumber(Mismatch<u64>),
    /// `timestamp` lies before that of the L1 origin, which is computed.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#batch-queue>
    BeforeL1Origin(Mismatch<u64>),
    /// `timestamp` lies too far behind the L1 origin; computed is the last that is permitted.
    ///
    /// Source: <https://specs.optimism.io/protocol/fjord/derivation.html#constant-maximum-sequencer-drift>
    SequencerDrift(Mismatch<u64>),
    /// The deposits of users are not those of the L1 origin, in its order.
    ///
    /// Source: <https://specs.optimism.io/protocol/deposits.html#user-deposited-transactions>
    UserDeposits {
        /// First position in the block that differs, from 0.
        index: u64,
        /// Keccak-256 of the transaction there; `None` if there is none, or should be none.
        values: Mismatch<Option<B256>>,
    },
    /// The deposits that upgrade the chain's contracts are not those of the fork that activates.
    ///
    /// Source: <https://specs.optimism.io/protocol/ecotone/derivation.html#network-upgrade-automation-transactions>
    UpgradeDeposits {
        /// First position in the block that differs, from 0.
        index: u64,
        /// Keccak-256 of the transaction there; `None` if there is none, or should be none.
        values: Mismatch<Option<B256>>,
    },
    /// A transaction of the sequencer stands in a block that activates a fork and has none.
    ///
    /// Source: <https://specs.optimism.io/protocol/jovian/derivation.html#activation-block-rules>
    SequencerTransaction {
        /// Position in the block, from 0.
        index: u64,
        /// Keccak-256 of the transaction's EIP-2718 bytes.
        hash: B256,
    },
    /// A header field is not what the rollup's configuration and the L1 origin give.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#building-individual-payload-attributes>
    PayloadAttributes {
        /// Name of the field, for people; never signed.
        field: String,
        /// The field as a word.
        values: Mismatch<B256>,
    },
    /// A header field is not what the `SystemConfig` on L1 says.
    ///
    /// Source: <https://specs.optimism.io/protocol/system-config.html>
    SystemConfig {
        /// Name of the field, for people; never signed.
        field: String,
        /// The field as a word.
        values: Mismatch<B256>,
    },
    /// The height of the L1 origin is not the one that the batcher posted for this block.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#batch-queue>
    BatchOrigin(Mismatch<u64>),
    /// The transactions are not those that follow from L1 and from what the batcher posted.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html>
    BatchTransactions {
        /// First position in the block that differs, from 0.
        index: u64,
        /// Keccak-256 of the transaction there; `None` if there is none, or should be none.
        values: Mismatch<Option<B256>>,
    },
}

impl Fault {
    /// Stable number of the rule: what a V3 alert carries on L1.
    ///
    /// 1 to 21 are positions in the header (1 is `parentHash`); 64 is a transaction; from 128 on
    /// are claims outside the block; from 160 on is what L1 says of the block.
    pub const fn code(&self) -> u16 {
        match self {
            Self::ParentHash(_) => 1,
            Self::OmmersHash(_) => 2,
            Self::StateRoot(_) => 4,
            Self::TransactionsRoot(_) => 5,
            Self::ReceiptsRoot(_) => 6,
            Self::LogsBloom(_) => 7,
            Self::Difficulty(_) => 8,
            Self::Number(_) => 9,
            Self::GasLimit(_) => 10,
            Self::GasUsed(_) => 11,
            Self::Timestamp(_) => 12,
            Self::ExtraData(_) => 13,
            Self::Nonce(_) => 15,
            Self::BaseFee(_) => 16,
            Self::WithdrawalsRoot(_) => 17,
            Self::BlobGasUsed(_) => 18,
            Self::ExcessBlobGas(_) => 19,
            Self::ParentBeaconBlockRoot(_) => 20,
            Self::RequestsHash(_) => 21,
            Self::Transaction { .. } => 64,
            Self::OutputRoot(_) => 128,
            Self::BlockHash(_) => 129,
            Self::L1Attributes { .. } => 160,
            Self::L1Origin(_) => 161,
            Self::L1OriginNumber(_) => 162,
            Self::BeforeL1Origin(_) => 163,
            Self::SequencerDrift(_) => 164,
            Self::UserDeposits { .. } => 165,
            Self::UpgradeDeposits { .. } => 166,
            Self::SequencerTransaction { .. } => 167,
            Self::PayloadAttributes { .. } => 168,
            Self::SystemConfig { .. } => 169,
            Self::BatchOrigin(_) => 170,
            Self::BatchTransactions { .. } => 171,
        }
    }

    /// Name of the field or rule, as the execution API spells it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ParentHash(_) => "parentHash",
            Self::OmmersHash(_) => "ommersHash",
            Self::StateRoot(_) => "stateRoot",
            Self::TransactionsRoot(_) => "transactionsRoot",
            Self::ReceiptsRoot(_) => "receiptsRoot",
            Self::LogsBloom(_) => "logsBloom",
            Self::Difficulty(_) => "difficulty",
            Self::Number(_) => "number",
            Self::GasLimit(_) => "gasLimit",
            Self::GasUsed(_) => "gasUsed",
            Self::Timestamp(_) => "timestamp",
            Self::ExtraData(_) => "extraData",
            Self::Nonce(_) => "nonce",
            Self::BaseFee(_) => "baseFeePerGas",
            Self::WithdrawalsRoot(_) => "withdrawalsRoot",
            Self::BlobGasUsed(_) => "blobGasUsed",
            Self::ExcessBlobGas(_) => "excessBlobGas",
            Self::ParentBeaconBlockRoot(_) => "parentBeaconBlockRoot",
            Self::RequestsHash(_) => "requestsHash",
            Self::Transaction { .. } => "transaction",
            Self::OutputRoot(_) => "outputRoot",
            Self::BlockHash(_) => "blockHash",
            Self::L1Attributes { .. } => "l1Attributes",
            Self::L1Origin(_) => "l1Origin",
            Self::L1OriginNumber(_) => "l1OriginNumber",
            Self::BeforeL1Origin(_) => "beforeL1Origin",
            Self::SequencerDrift(_) => "sequencerDrift",
            Self::UserDeposits { .. } => "userDeposits",
            Self::UpgradeDeposits { .. } => "upgradeDeposits",
            Self::SequencerTransaction { .. } => "sequencerTransaction",
            Self::PayloadAttributes { .. } => "payloadAttributes",
            Self::SystemConfig { .. } => "systemConfig",
            Self::BatchOrigin(_) => "batchOrigin",
            Self::BatchTransactions { .. } => "batchTransactions",
        }
    }

    /// Claimed and computed value as the 32-byte words that a statement carries.
    ///
    /// A 32-byte value is itself, a number its big-endian word, a longer byte string its
    /// keccak-256, an absent value zero. A transaction's words are its hash and its index.
    pub fn words(&self) -> Mismatch<B256> {
        match self {
            Self::ParentHash(values)
            | Self::OmmersHash(values)
            | Self::StateRoot(values)
            | Self::TransactionsRoot(values)
            | Self::ReceiptsRoot(values)
            | Self::OutputRoot(values)
            | Self::BlockHash(values)
            | Self::L1Origin(values)
            | Self::PayloadAttributes { values, .. }
            | Self::SystemConfig { values, .. } => *values,
            Self::LogsBloom(values) => values.map(|bloom| keccak256(bloom)),
            Self::Difficulty(values) => values.map(|value| B256::from(*value)),
            Self::Number(values)
            | Self::GasLimit(values)
            | Self::GasUsed(values)
            | Self::Timestamp(values)
            | Self::Nonce(values)
            | Self::L1OriginNumber(values)
            | Self::BeforeL1Origin(values)
            | Self::SequencerDrift(values)
            | Self::BatchOrigin(values) => values.map(|value| word(*value)),
            Self::ExtraData(values) | Self::L1Attributes { values, .. } => {
                values.map(|bytes| keccak256(bytes))
            }
            Self::BaseFee(values) | Self::BlobGasUsed(values) | Self::ExcessBlobGas(values) => {
                values.map(|value| value.map(word).unwrap_or_default())
            }
            Self::WithdrawalsRoot(values)
            | Self::ParentBeaconBlockRoot(values)
            | Self::RequestsHash(values)
            | Self::UserDeposits { values, .. }
            | Self::UpgradeDeposits { values, .. }
            | Self::BatchTransactions { values, .. } => {
                values.map(|value| value.unwrap_or_default())
            }
            Self::Transaction { index, hash, .. } | Self::SequencerTransaction { index, hash } => {
                Mismatch {
                    claimed: *hash,
                    computed: word(*index),
                }
            }
        }
    }
}

impl<T> Mismatch<T> {
    /// Both values through one function.
    pub(crate) fn map<U>(&self, f: impl Fn(&T) -> U) -> Mismatch<U> {
        Mismatch {
            claimed: f(&self.claimed),
            computed: f(&self.computed),
        }
    }
}

fn word(value: u64) -> B256 {
    U256::from(value).into()
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::ParentHash(values)
            | Self::OmmersHash(values)
            | Self::StateRoot(values)
            | Self::TransactionsRoot(values)
            | Self::ReceiptsRoot(values)
            | Self::OutputRoot(values)
            | Self::BlockHash(values)
            | Self::L1Origin(values) => values.fmt(f),
            Self::LogsBloom(values) => values.fmt(f),
            Self::Difficulty(values) => values.fmt(f),
            Self::Number(values)
            | Self::GasLimit(values)
            | Self::GasUsed(values)
            | Self::Timestamp(values)
            | Self::Nonce(values)
            | Self::L1OriginNumber(values)
            | Self::BeforeL1Origin(values)
            | Self::SequencerDrift(values)
            | Self::BatchOrigin(values) => values.fmt(f),
            Self::ExtraData(values) => values.fmt(f),
            Self::BaseFee(values) | Self::BlobGasUsed(values) | Self::ExcessBlobGas(values) => {
                Optional(values).fmt(f)
            }
            Self::WithdrawalsRoot(values)
            | Self::ParentBeaconBlockRoot(values)
            | Self::RequestsHash(values) => Optional(values).fmt(f),
            Self::Transaction {
                index,
                hash,
                reason,
            } => {
                write!(f, "number {index} ({hash}) cannot be included: {reason}")
            }
            Self::L1Attributes { field, values } => {
                let shown = values.map(|bytes| keccak256(bytes));
                write!(f, "{field} differs: {shown}")
            }
            Self::UserDeposits { index, values }
            | Self::UpgradeDeposits { index, values }
            | Self::BatchTransactions { index, values } => {
                write!(f, "transaction {index}: {}", Optional(values))
            }
            Self::SequencerTransaction { index, hash } => {
                write!(f, "number {index} ({hash}) stands where only deposits may")
            }
            Self::PayloadAttributes { field, values } | Self::SystemConfig { field, values } => {
                write!(f, "{field}: {values}")
            }
        }
    }
}

/// Shows an absent value as `none`.
struct Optional<'a, T>(&'a Mismatch<Option<T>>);

impl<T: core::fmt::Debug> core::fmt::Display for Optional<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let show = |value: &Option<T>| match value {
            Some(value) => format!("{value:?}"),
            None => "none".to_owned(),
        };
        write!(
            f,
            "claimed {}, computed {}",
            show(&self.0.claimed),
            show(&self.0.computed)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_a_sentence() {
        let fault = Fault::GasUsed(Mismatch {
            claimed: 21_000,
            computed: 42_000,
        });
        assert_eq!(fault.to_string(), "gasUsed: claimed 21000, computed 42000");
        let fault = Fault::BaseFee(Mismatch {
            claimed: None,
            computed: Some(7),
        });
        assert_eq!(fault.to_string(), "baseFeePerGas: claimed none, computed 7");
    }

    #[test]
    fn what_l1_says_has_its_own_codes_and_words() {
        let hash = B256::repeat_byte(9);
        let values = Mismatch {
            claimed: Some(hash),
            computed: None,
        };
        let fault = Fault::UserDeposits { index: 3, values };
        assert_eq!((fault.code(), fault.name()), (165, "userDeposits"));
        assert_eq!(fault.words().claimed, hash);
        assert_eq!(fault.words().computed, B256::ZERO);
        let fault = Fault::L1Attributes {
            field: "baseFee".to_owned(),
            values: Mismatch {
                claimed: Bytes::from_static(b"a"),
                computed: Bytes::new(),
            },
        };
        assert_eq!(fault.words().claimed, keccak256("a"));
        assert!(
            fault
                .to_string()
                .starts_with("l1Attributes: baseFee differs")
        );
        let json = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&json).unwrap(), fault);
    }

    #[test]
    fn equal_values_are_no_mismatch() {
        assert_eq!(Mismatch::check(1, 1), None);
        assert_eq!(
            Mismatch::check(1, 2),
            Some(Mismatch {
                claimed: 1,
                computed: 2
            })
        );
    }
}
