//! Brings transactions into L1 blocks.

use std::time::Duration;

use alloy_network::{Ethereum, EthereumWallet, NetworkTransactionBuilder, NetworkWallet};
use alloy_primitives::{Address, Bytes, ChainId, TxHash, TxKind};
use alloy_provider::{
    DynProvider, Provider,
    utils::{Eip1559Estimation, Eip1559Estimator},
};
use alloy_rpc_types_eth::{BlockId, TransactionInput, TransactionReceipt, TransactionRequest};
use alloy_sol_types::SolCall;
use alloy_transport::TransportError;
use tokio::sync::Mutex;
use tracing::{debug, warn};

use crate::{CallError, Revert, call::revert_data};

/// How often in a row the nonce is found used and no receipt is there before the transaction counts as
/// lost.
const LOOKS_FOR_A_RECEIPT: u32 = 20;
/// How often in a row the node may fail to answer while a transaction is waited for.
const FAILED_LOOKS: u32 = 30;

/// How long a transaction is waited for, and what is done about it meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct SubmitPolicy {
    /// Time between two looks at the chain.
    pub poll_interval: Duration,
    /// L1 blocks to wait for inclusion before the transaction is resent with a higher fee.
    pub resend_after: u64,
    /// L1 blocks after which a transaction counts as not included.
    pub give_up_after: u64,
    /// L1 blocks on top of the transaction's before it counts as included; a transaction that a
    /// reorganisation drops meanwhile is sent again.
    pub confirmations: u64,
    /// What is added to both fees at each resend, in percent; nodes refuse replacements below 10.
    pub fee_bump: u64,
    /// What is added to the estimated gas, in percent. Nodes estimate as if in the newest block, where
    /// a registry overwrites the history entries of that block; in the next one it writes new ones.
    pub gas_margin: u64,
    /// Most that is ever paid for a unit of gas, in wei.
    pub max_fee_per_gas: Option<u128>,
}

impl Default for SubmitPolicy {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(2),
            resend_after: 3,
            give_up_after: 50,
            confirmations: 0,
            fee_bump: 20,
            gas_margin: 50,
            max_fee_per_gas: None,
        }
    }
}

/// Sends the transactions of one account, one after the other.
#[derive(Debug)]
pub struct Submitter {
    provider: DynProvider,
    wallet: EthereumWallet,
    sender: Address,
    chain_id: ChainId,
    policy: SubmitPolicy,
    // Two transactions at a time would race for the nonce.
    turn: Mutex<()>,
}

impl Submitter {
    /// Sends through `provider`, signed by the default key of `wallet`.
    pub async fn connect(
        provider: impl Provider + 'static,
        wallet: impl Into<EthereumWallet>,
        policy: SubmitPolicy,
    ) -> Result<Self, TransportError> {
        let wallet = wallet.into();
        Ok(Self {
            chain_id: provider.get_chain_id().await?,
            sender: NetworkWallet::<Ethereum>::default_signer_address(&wallet),
            provider: provider.erased(),
            wallet,
            policy,
            turn: Mutex::new(()),
        })
    }

    /// The account that pays.
    pub const fn sender(&self) -> Address {
        self.sender
    }

    /// The chain that is sent to.
    pub const fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Where transactions are sent through.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Calls a contract in a transaction, and returns once that is in a block.
    ///
    /// Errors: [`SubmitError`]; after [`SubmitError::NotIncluded`] it may still come to be included.
    pub async fn call<C: SolCall>(
        &self,
        to: Address,
        call: &C,
    ) -> Result<TransactionReceipt, SubmitError> {
        self.send(TxKind::Call(to), call.abi_encode().into()).await
    }

    /// Deploys `code`, to which constructor arguments are appended already.
    pub async fn deploy(&self, code: Bytes) -> Result<(Address, TransactionReceipt), SubmitError> {
        let receipt = self.send(TxKind::Create, code).await?;
        let address = receipt
            .contract_address
            .ok_or(SubmitError::NoContract(receipt.transaction_hash))?;
        Ok((address, receipt))
    }

    async fn send(&self, to: TxKind, input: Bytes) -> Result<TransactionReceipt, SubmitError> {
        let _turn = self.turn.lock().await;
        let mut request = TransactionRequest {
            from: Some(self.sender),
            to: Some(to),
            input: TransactionInput::new(input),
            chain_id: Some(self.chain_id),
            ..Default::default()
        };
        let gas = self
            .provider
            .estimate_gas(request.clone())
            .await
            .map_err(|error| refusal(error, None))?;
        let margin = (gas / 100).saturating_mul(self.policy.gas_margin);
        request.gas = Some(gas.saturating_add(margin));
        let estimator = Eip1559Estimator::new(estimate_fees);
        let fees = self.provider.estimate_eip1559_fees_with(estimator).await?;
        request.max_fee_per_gas = Some(fees.max_fee_per_gas);
        request.max_priority_fee_per_gas = Some(fees.max_priority_fee_per_gas);
        self.cap_fees(&mut request);
        let nonce = self.provider.get_transaction_count(self.sender).await?;
        request.nonce = Some(nonce);
        self.include(request, nonce).await
    }

    /// Sends until one of the attempts is in a block.
    async fn include(
        &self,
        mut request: TransactionRequest,
        nonce: u64,
    ) -> Result<TransactionReceipt, SubmitError> {
        let started = self.provider.get_block_number().await?;
        let mut sent_at = started;
        let mut lost_for = 0;
        let mut deaf_for = 0;
        let mut attempts = Vec::new();
        let mut transaction = self.attempt(&mut request, &mut attempts).await?;
        loop {
            let look = match self.look(nonce, &attempts).await {
                Ok(look) => look,
                // It is on its way: a node that does not answer for a moment changes nothing about that.
                Err(error) if deaf_for < FAILED_LOOKS => {
                    deaf_for += 1;
                    warn!(%transaction, %error, "cannot see whether the transaction is included");
                    tokio::time::sleep(self.policy.poll_interval).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            deaf_for = 0;
            let head = look.head;
            match look.receipt {
                Some(receipt) if self.is_settled(&receipt, head) => {
                    return self.outcome(request, receipt).await;
                }
                Some(_) => lost_for = 0,
                // Nodes, and those behind one address even more, know of the nonce first.
                None if look.used && lost_for < LOOKS_FOR_A_RECEIPT => lost_for += 1,
                None if look.used => return Err(SubmitError::NonceTaken { nonce, transaction }),
                None if head.saturating_sub(sent_at) >= self.policy.resend_after => {
                    self.bump_fees(&mut request);
                    warn!(
                        nonce,
                        max_fee_per_gas = request.max_fee_per_gas,
                        "transaction is not included, sending it with a higher fee"
                    );
                    match self.attempt(&mut request, &mut attempts).await {
                        Ok(hash) => transaction = hash,
                        // The earlier attempts stay as good as they were.
                        Err(error) => warn!(%transaction, %error, "cannot raise the fee"),
                    }
                    sent_at = head;
                }
                None => {}
            }
            let blocks = head.saturating_sub(started);
            if blocks >= self.policy.give_up_after {
                return Err(SubmitError::NotIncluded {
                    transaction,
                    blocks,
                });
            }
            tokio::time::sleep(self.policy.poll_interval).await;
        }
    }

    /// Signs and sends, with a higher fee if another transaction with the nonce waits already, such as
    /// one that an earlier process left behind. Gives the hash of the last try.
    ///
    /// A hash is noted before the node answers, so that it is never lost.
    async fn attempt(
        &self,
        request: &mut TransactionRequest,
        attempts: &mut Vec<TxHash>,
    ) -> Result<TxHash, SubmitError> {
        const REPLACEMENTS: usize = 8;
        let mut tries = 0;
        loop {
            let envelope = request
                .clone()
                .build(&self.wallet)
                .await
                .map_err(|error| SubmitError::Sign(Box::new(error)))?;
            let hash = *envelope.tx_hash();
            attempts.push(hash);
            debug!(%hash, nonce = request.nonce, "sending a transaction");
            let raw = alloy_eips::Encodable2718::encoded_2718(&envelope);
            let Err(error) = self.provider.send_raw_transaction(&raw).await else {
                return Ok(hash);
            };
            tries += 1;
            match answer(&error) {
                Answer::Underpriced if tries < REPLACEMENTS => self.bump_fees(request),
                // Waiting for a receipt is right: of this attempt or of the one that it is up against.
                Answer::Underpriced | Answer::Known => {
                    debug!(%hash, %error, "the node has the transaction or a rival of it");
                    return Ok(hash);
                }
                Answer::Refused => return Err(refusal(error, Some(hash))),
            }
        }
    }

    /// How the chain stands to the transaction.
    async fn look(&self, nonce: u64, attempts: &[TxHash]) -> Result<Look, TransportError> {
        Ok(Look {
            // Asked first: a nonce that was used before the receipts were looked for is not ours if
            // there is no receipt.
            used: self.provider.get_transaction_count(self.sender).await? > nonce,
            head: self.provider.get_block_number().await?,
            receipt: self.receipt_of(attempts).await?,
        })
    }

    /// The receipt of whichever attempt is in a block.
    async fn receipt_of(
        &self,
        attempts: &[TxHash],
    ) -> Result<Option<TransactionReceipt>, TransportError> {
        for hash in attempts {
            let receipt = self.provider.get_transaction_receipt(*hash).await?;
            if receipt.as_ref().is_some_and(|r| r.block_number.is_some()) {
                return Ok(receipt);
            }
        }
        Ok(None)
    }

    /// Whether enough blocks are on top of the receipt's; the receipt is read anew each time, so that
    /// one that a reorganisation dropped does not count.
    fn is_settled(&self, receipt: &TransactionReceipt, head: u64) -> bool {
        receipt
            .block_number
            .is_some_and(|block| head >= block.saturating_add(self.policy.confirmations))
    }

    async fn outcome(
        &self,
        mut request: TransactionRequest,
        receipt: TransactionReceipt,
    ) -> Result<TransactionReceipt, SubmitError> {
        if receipt.status() {
            return Ok(receipt);
        }
        // A receipt does not say why: ask what the same call gives on the block's state.
        request.nonce = None;
        let block = receipt
            .block_number
            .map_or(BlockId::latest(), BlockId::number);
        let gas = request.gas.take().unwrap_or_default();
        let transaction = receipt.transaction_hash;
        let data = match self.provider.call(request).block(block).await {
            // A call keeps a 64th of its gas back, so that running out leaves some.
            Ok(_) if receipt.gas_used >= gas - gas / 32 => {
                return Err(SubmitError::OutOfGas { transaction, gas });
            }
            Ok(_) => Bytes::new(),
            Err(error) => revert_data(&error).unwrap_or_default(),
        };
        Err(SubmitError::Reverted {
            transaction: Some(transaction),
            revert: Revert::decode(&data),
            data,
        })
    }

    fn bump_fees(&self, request: &mut TransactionRequest) {
        let bump = |fee: Option<u128>| {
            fee.map(|fee| {
                let bump = fee.saturating_mul(u128::from(self.policy.fee_bump));
                fee.saturating_add(bump.div_ceil(100))
            })
        };
        request.max_fee_per_gas = bump(request.max_fee_per_gas);
        request.max_priority_fee_per_gas = bump(request.max_priority_fee_per_gas);
        self.cap_fees(request);
    }

    fn cap_fees(&self, request: &mut TransactionRequest) {
        let Some(cap) = self.policy.max_fee_per_gas else {
            return;
        };
        request.max_fee_per_gas = request.max_fee_per_gas.map(|fee| fee.min(cap));
        request.max_priority_fee_per_gas = request.max_priority_fee_per_gas.map(|fee| fee.min(cap));
    }
}

struct Look {
    used: bool,
    head: u64,
    receipt: Option<TransactionReceipt>,
}

/// Twice the base fee, which lasts for six full blocks, and the median of what was paid on top of it.
fn estimate_fees(base_fee: u128, rewards: &[Vec<u128>]) -> Eip1559Estimation {
    let mut rewards: Vec<u128> = rewards
        .iter()
        .filter_map(|block| block.first().copied())
        .filter(|reward| *reward > 0)
        .collect();
    rewards.sort_unstable();
    let max_priority_fee_per_gas = rewards.get(rewards.len() / 2).copied().unwrap_or(1);
    Eip1559Estimation {
        // A node may name any fees, and must not make this overflow.
        max_fee_per_gas: base_fee
            .saturating_mul(2)
            .saturating_add(max_priority_fee_per_gas),
        max_priority_fee_per_gas,
    }
}

/// What a node means when it does not take a transaction.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It has the transaction, or another with its nonce is in a block.
    Known,
    /// Another with its nonce waits and pays nearly as much or more.
    Underpriced,
    /// It will not have it.
    Refused,
}

/// Nodes tell these apart by text only.
fn answer(error: &TransportError) -> Answer {
    let message = error
        .as_error_resp()
        .map(|payload| payload.message.to_lowercase())
        .unwrap_or_default();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    // Geth, Reth, Anvil; then Besu, Erigon, Nethermind.
    if says(&[
        "already known",
        "already imported",
        "nonce too low",
        "known transaction",
        "existing tx with same hash",
        "alreadyknown",
        "oldnonce",
    ]) {
        Answer::Known
    } else if says(&[
        "underpriced",
        "could not replace existing tx",
        "replacementnotallowed",
    ]) {
        Answer::Underpriced
    } else {
        Answer::Refused
    }
}

fn refusal(error: TransportError, transaction: Option<TxHash>) -> SubmitError {
    match revert_data(&error) {
        Some(data) => SubmitError::Reverted {
            transaction,
            revert: Revert::decode(&data),
            data,
        },
        None => SubmitError::Transport(error),
    }
}

/// Why a transaction has no effect.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The contract refuses: in the node's estimate if there is no transaction, else in a block.
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
    /// The transaction was sent and is not included yet.
    #[error("transaction {transaction} was not included within {blocks} blocks")]
    NotIncluded {
        /// Hash of the last attempt.
        transaction: TxHash,
        /// L1 blocks waited.
        blocks: u64,
    },
    /// Another transaction of the account was included in this one's place.
    #[error("transaction {transaction} lost nonce {nonce} to another transaction of the account")]
    NonceTaken {
        /// The nonce.
        nonce: u64,
        /// Hash of the last attempt.
        transaction: TxHash,
    },
    /// The receipt of a deployment names no contract.
    #[error("transaction {0} deployed no contract")]
    NoContract(TxHash),
    /// The account's key could not be used.
    #[error("the transaction could not be signed")]
    Sign(#[source] Box<dyn std::error::Error + Send + Sync>),
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
            | Self::NonceTaken { .. }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_understood() {
        // As the nodes' sources have them.
        let cases = [
            ("already known", Answer::Known),
            ("nonce too low: next nonce 5, tx nonce 4", Answer::Known),
            ("transaction already imported", Answer::Known),
            ("Known transaction", Answer::Known),
            ("INTERNAL_ERROR: existing tx with same hash", Answer::Known),
            ("AlreadyKnown", Answer::Known),
            (
                "OldNonce, Current nonce: 5, nonce of rejected tx: 3",
                Answer::Known,
            ),
            ("replacement transaction underpriced", Answer::Underpriced),
            ("Replacement transaction underpriced", Answer::Underpriced),
            (
                "INTERNAL_ERROR: could not replace existing tx",
                Answer::Underpriced,
            ),
            ("ReplacementNotAllowed", Answer::Underpriced),
            (
                "insufficient funds for gas * price + value",
                Answer::Refused,
            ),
            ("max fee per gas less than block base fee", Answer::Refused),
        ];
        for (message, meaning) in cases {
            let payload = serde_json::json!({"code": -32000, "message": message});
            let error = TransportError::ErrorResp(serde_json::from_value(payload).unwrap());
            assert_eq!(answer(&error), meaning, "{message}");
        }
    }

    #[test]
    fn absurd_fees_do_not_overflow() {
        let absurd = estimate_fees(u128::MAX, &[vec![u128::MAX], vec![u128::MAX], vec![]]);
        assert_eq!(absurd.max_fee_per_gas, u128::MAX);
        // 10 gwei, and tips of 1, 2 and 3; a block without transactions paid none.
        let usual = estimate_fees(10, &[vec![3], vec![1], vec![0], vec![2]]);
        assert_eq!(
            (usual.max_fee_per_gas, usual.max_priority_fee_per_gas),
            (22, 2)
        );
        assert_eq!(estimate_fees(10, &[]).max_fee_per_gas, 21);
    }
}
