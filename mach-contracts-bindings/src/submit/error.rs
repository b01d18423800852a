//! Why a transaction has no effect.

use alloy_primitives::{Address, Bytes, TxHash, U256};
use alloy_transport::TransportError;

use super::LogError;
use crate::{CallError, Revert, call::revert_data};

/// Why a transaction has no effect.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The contract refuses: when the call is tried if there is no transaction, else in a block.
    #[error("the contract refuses: {revert}")]
    Reverted {
        /// The transaction in the block.
        transaction: Option<TxHash>,
        /// Why, decoded.
        revert: Revert,
        /// Revert data as it was returned.
        data: Bytes,
    },
    /// The transaction needed more than its estimate and the margin.
    #[error("transaction {transaction} ran out of its {gas} gas")]
    OutOfGas {
        /// The transaction in the block.
        transaction: TxHash,
        /// Its gas limit.
        gas: u64,
    },
    /// The account cannot pay. Nothing was sent.
    #[error("{account} has {balance} wei and needs up to {needed}: send it some")]
    Underfunded {
        /// The sender.
        account: Address,
        /// What it has, in wei.
        balance: U256,
        /// Gas limit times highest fee, in wei.
        needed: U256,
    },
    /// The transaction was sent and is not included yet.
    #[error("transaction {transaction} was not included within {blocks} blocks")]
    NotIncluded {
        /// Hash of the last attempt.
        transaction: TxHash,
        /// L1 blocks waited.
        blocks: u64,
    },
    /// The transaction was sent, is not included yet, and must not pay what the next block costs.
    #[error(
        "transaction {transaction} was not included within {blocks} blocks: the base fee is {base_fee} wei, \
         the ceiling (max_fee_per_gas) is {ceiling}"
    )]
    FeeCeiling {
        /// Hash of the last attempt.
        transaction: TxHash,
        /// L1 blocks waited.
        blocks: u64,
        /// Base fee of the newest block, in wei.
        base_fee: u64,
        /// Most that the policy allows to pay, in wei.
        ceiling: u128,
    },
    /// The node will not have the transaction. It is on record with its nonce and may still be included.
    #[error("the node does not take transaction {transaction}: {reason}")]
    Refused {
        /// Hash of the last attempt.
        transaction: TxHash,
        /// The node's words.
        reason: String,
    },
    /// Another transaction of the account was included in this one's place.
    #[error("transaction {transaction} lost nonce {nonce} to another transaction of the account")]
    NonceTaken {
        /// The nonce.
        nonce: u64,
        /// Hash of the last attempt.
        transaction: TxHash,
    },
    /// Too many transactions are missing before the next one on record for it ever to be included.
    #[error(
        "the node counts {counted} transactions of the account, the next one on record has nonce {nonce}: \
         the node is behind, or the log is of another chain"
    )]
    NonceGap {
        /// Nonce of the transaction.
        nonce: u64,
        /// What the node says.
        counted: u64,
    },
    /// The node says that the account has sent more than an account can.
    #[error("the node counts {0} transactions of the account, which cannot be")]
    AbsurdNonce(u64),
    /// Too many transactions are in flight.
    #[error("{0} transactions are waiting for a block already")]
    Busy(usize),
    /// The transaction was included, and the node has no receipt any more.
    #[error("the node has no receipt of transaction {0}, which was included")]
    NoReceipt(TxHash),
    /// The receipt of a deployment names no contract.
    #[error("transaction {0} deployed no contract")]
    NoContract(TxHash),
    /// The account's key could not be used.
    #[error("the transaction could not be signed")]
    Sign(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing is sent that is not on record.
    #[error("the transaction could not be put on record")]
    Log(#[from] LogError),
    /// A read beside the transaction failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The request did not get through.
    #[error("L1 request failed")]
    Transport(#[from] TransportError),
}

impl SubmitError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::OutOfGas { .. }
            | Self::NotIncluded { .. }
            | Self::FeeCeiling { .. }
            | Self::NonceTaken { .. }
            | Self::NonceGap { .. }
            | Self::Busy(_)
            | Self::NoReceipt(_)
            | Self::Transport(_) => true,
            Self::Call(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Why the contract refuses, if it does.
    pub const fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Reverted { revert, .. } => Some(revert),
            Self::Call(error) => error.revert(),
            _ => None,
        }
    }

    /// Before anything was sent.
    pub(crate) fn simulated(error: TransportError) -> Self {
        match revert_data(&error) {
            Some(data) => Self::Reverted {
                transaction: None,
                revert: Revert::decode(&data),
                data,
            },
            None => Self::Transport(error),
        }
    }
}
