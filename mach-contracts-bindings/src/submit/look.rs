//! One look at the chain, and what follows from it for everything under way.

use alloy_consensus::TxEnvelope;
use alloy_eips::{BlockNumberOrTag, Encodable2718};
use alloy_network::NetworkTransactionBuilder;
use alloy_primitives::{B256, BlockNumber, Bytes, TxKind, U256, keccak256};
use alloy_provider::{Provider, utils::Eip1559Estimator};
use alloy_rpc_types_eth::{TransactionInput, TransactionReceipt, TransactionRequest};
use alloy_transport::{RpcError, TransportError};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{
    Relay, SubmitError, Submitter,
    answer::{Answer, answer},
    flight::{Attempt, Body, Entry, Flight, Stage},
    log::{Finished, Outcome},
    policy::{Fees, estimate_fees},
};

/// How often in a row a node has to say something about nonces before it is acted upon.
const LOOKS: u32 = 20;
/// Most nonces that are filled in with empty transactions.
const MAX_GAP: u64 = 16;
/// Most replacements in one look, and of one transaction.
const REPLACEMENTS: usize = 8;
const MAX_ATTEMPTS: usize = 64;
/// Gas of a transaction that does nothing.
const EMPTY_GAS: u64 = 21_000;

/// What the submitter knows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) flight: Flight,
    pub(super) head: Head,
    /// When the last look ended well.
    looked: Option<Instant>,
    gap_looks: u32,
}

/// The newest block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    pub(super) number: BlockNumber,
    hash: B256,
    pub(super) base_fee: u64,
}

impl State {
    pub(super) fn new(flight: Flight) -> Self {
        Self {
            flight,
            head: Head::default(),
            looked: None,
            gap_looks: 0,
        }
    }
}

impl Submitter {
    /// Looks, unless somebody else has just done so.
    pub(super) async fn refresh(&self, state: &mut State) -> Result<(), SubmitError> {
        let recent = self.policy.poll_interval / 2;
        if state.looked.is_some_and(|looked| looked.elapsed() < recent) {
            return Ok(());
        }
        self.look(state).await
    }

    /// Finds out how the chain stands to each transaction, and sends what has to be sent.
    pub(super) async fn look(&self, state: &mut State) -> Result<(), SubmitError> {
        state.looked = None;
        if state.flight.entries.is_empty() {
            return Ok(());
        }
        // Asked first: a nonce that was used before the receipts were looked for is not ours if there
        // is no receipt.
        let count = self.provider.get_transaction_count(self.sender).await?;
        let head = self.head().await?;
        let is_new = head.hash != state.head.hash;
        state.head = head;
        let mut failure = None;
        let nonces: Vec<u64> = state.flight.entries.keys().copied().collect();
        for nonce in nonces {
            // One transaction's trouble is not the next one's.
            if let Err(error) = self.look_at(state, nonce, count, is_new).await {
                failure.get_or_insert(error);
            }
        }
        if let Err(error) = self.close_gap(state, count).await {
            failure.get_or_insert(error);
        }
        match failure {
            Some(error) => Err(error),
            None => {
                state.looked = Some(Instant::now());
                Ok(())
            }
        }
    }

    async fn look_at(
        &self,
        state: &mut State,
        nonce: u64,
        count: u64,
        is_new: bool,
    ) -> Result<(), SubmitError> {
        let head = state.head;
        let Some(entry) = state.flight.entries.get_mut(&nonce) else {
            return Ok(());
        };
        let was_included = matches!(entry.stage, Stage::Included { .. });
        if was_included && !is_new {
            return Ok(());
        }
        if let Some(receipt) = self.receipt_of(entry, head).await? {
            let block = receipt.block_number.unwrap_or(head.number);
            let depth = head.number.saturating_sub(block);
            let finished = Finished {
                intent: entry.intent,
                nonce,
                transaction: receipt.transaction_hash,
                outcome: if receipt.status() {
                    Outcome::Succeeded
                } else {
                    Outcome::Reverted
                },
            };
            entry.displaced_looks = 0;
            entry.stage = Stage::Included {
                receipt: Box::new(receipt),
                depth,
            };
            let finality = self.policy.finality.max(self.policy.confirmations);
            if depth >= finality && !entry.is_waited_for() {
                state.flight.finish(finished)?;
            }
            return Ok(());
        }
        if was_included {
            warn!(nonce, "a reorganisation dropped the transaction");
            entry.stage = Stage::Waiting;
            entry.sent = None;
        }
        if count <= nonce {
            entry.displaced_looks = 0;
            return self.push(state, nonce).await;
        }
        // Nodes, and those behind one address even more, know of the nonce before the receipt.
        entry.displaced_looks += 1;
        if entry.displaced_looks < LOOKS {
            return Ok(());
        }
        entry.displaced_looks = 0;
        let displaced = Finished {
            intent: entry.intent,
            nonce,
            transaction: entry.newest.hash,
            outcome: Outcome::Displaced,
        };
        // A node that would still take the transaction contradicts itself.
        let (answer, _) = self.send(&entry.newest, entry.since, head).await;
        match answer {
            Answer::Spent => Ok(state.flight.finish(displaced)?),
            _ => Ok(()),
        }
    }

    /// Sends what no node has, and what was waited for too long with a higher fee.
    pub(super) async fn push(&self, state: &mut State, nonce: u64) -> Result<(), SubmitError> {
        let head = state.head;
        let Some(entry) = state.flight.entries.get_mut(&nonce) else {
            return Ok(());
        };
        entry.since.get_or_insert(head.number);
        match entry.sent {
            None => {}
            Some(sent) if head.number < sent => {
                entry.sent = Some(head.number);
                return Ok(());
            }
            Some(sent) if head.number - sent < self.policy.resend_after => return Ok(()),
            Some(_) => {
                self.raise(state, nonce).await?;
            }
        }
        for _ in 0..REPLACEMENTS {
            let is_first = is_first(&state.flight, nonce);
            let Some(entry) = state.flight.entries.get_mut(&nonce) else {
                return Ok(());
            };
            let (answer, reason) = self.send(&entry.newest, entry.since, head).await;
            match answer {
                Answer::Known | Answer::Spent => {
                    entry.refusals = 0;
                    entry.sent = Some(head.number);
                    return Ok(());
                }
                // It is sent again at the next look.
                Answer::Unheard => {
                    entry.sent = None;
                    return Ok(());
                }
                Answer::Refused => {
                    entry.sent = None;
                    // Behind others it may only be too early.
                    entry.refusals += u32::from(is_first);
                    entry.refusal = reason;
                    // What the account cannot pay any more it may have paid before.
                    for attempt in entry.attempts().skip(1) {
                        if self.send(attempt, entry.since, head).await.0 != Answer::Refused {
                            break;
                        }
                    }
                    return Ok(());
                }
                Answer::Underpriced => {
                    entry.sent = Some(head.number);
                    if !self.raise(state, nonce).await? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Signs a replacement, unless it would pay more than it may.
    async fn raise(&self, state: &mut State, nonce: u64) -> Result<bool, SubmitError> {
        let Some(entry) = state.flight.entries.get(&nonce) else {
            return Ok(false);
        };
        let old = entry.newest.fees;
        let fresh = self.fees().await.unwrap_or(old);
        let Some(fees) = self.policy.raised(old, fresh) else {
            return Ok(false);
        };
        if entry.attempts().count() >= MAX_ATTEMPTS {
            return Ok(false);
        }
        warn!(
            nonce,
            max_fee_per_gas = fees.max,
            "transaction is not included, sending it with a higher fee"
        );
        let (intent, body) = (entry.intent, entry.body.clone());
        self.sign(state, intent, nonce, &body, fees).await?;
        Ok(true)
    }

    /// Signs an attempt and puts it on record.
    pub(super) async fn sign(
        &self,
        state: &mut State,
        intent: B256,
        nonce: u64,
        body: &Body,
        fees: Fees,
    ) -> Result<(), SubmitError> {
        let mut request = self.request(body.to, body.input.clone(), body.value);
        request.gas = Some(body.gas);
        request.nonce = Some(nonce);
        request.max_fee_per_gas = Some(fees.max);
        request.max_priority_fee_per_gas = Some(fees.tip);
        let transaction: TxEnvelope = request
            .build(&self.wallet)
            .await
            .map_err(|error| SubmitError::Sign(Box::new(error)))?;
        let raw = Bytes::from(transaction.encoded_2718());
        Ok(state.flight.record(intent, &transaction, raw)?)
    }

    pub(super) fn request(&self, to: TxKind, input: Bytes, value: U256) -> TransactionRequest {
        TransactionRequest {
            from: Some(self.sender),
            to: Some(to),
            input: TransactionInput::new(input),
            value: (!value.is_zero()).then_some(value),
            chain_id: Some(self.chain_id),
            ..Default::default()
        }
    }

    /// Sends to the relay if there is one, and to everybody when its time is over.
    async fn send(&self, attempt: &Attempt, since: Option<u64>, head: Head) -> (Answer, String) {
        debug!(hash = %attempt.hash, "sending a transaction");
        let waited = since.map_or(0, |since| head.number.saturating_sub(since));
        let mut answers = Vec::new();
        let is_public = match &self.relay {
            Some(Relay {
                provider,
                public_after,
            }) => {
                answers.push(provider.send_raw_transaction(&attempt.raw).await.err());
                public_after.is_some_and(|blocks| waited >= blocks)
            }
            None => true,
        };
        if is_public {
            answers.push(self.provider.send_raw_transaction(&attempt.raw).await.err());
        }
        // The pool that everybody sees has the last word.
        match answers.pop().flatten() {
            None => (Answer::Known, String::new()),
            Some(error) => {
                let answer = answer(&error);
                debug!(hash = %attempt.hash, %error, ?answer, "the node did not take it");
                (answer, error.to_string())
            }
        }
    }

    /// The receipt of whichever attempt is in a block of the canonical chain.
    async fn receipt_of(
        &self,
        entry: &Entry,
        head: Head,
    ) -> Result<Option<TransactionReceipt>, TransportError> {
        for attempt in entry.attempts() {
            let Some(receipt) = self.provider.get_transaction_receipt(attempt.hash).await? else {
                continue;
            };
            let (Some(number), Some(hash)) = (receipt.block_number, receipt.block_hash) else {
                continue;
            };
            let canonical = if number == head.number {
                Some(head.hash)
            } else {
                let block = self.provider.get_block_by_number(number.into()).await?;
                block.map(|block| block.header.hash)
            };
            // Nodes keep receipts of blocks that they have left.
            if receipt.transaction_hash == attempt.hash && canonical == Some(hash) {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    /// Fills nonces in before the first transaction that is waiting: it could never be included.
    ///
    /// There are such after a node has counted too many transactions of an account without a log.
    async fn close_gap(&self, state: &mut State, count: u64) -> Result<(), SubmitError> {
        let mut waiting = state.flight.entries.values();
        let first = waiting.find(|entry| matches!(entry.stage, Stage::Waiting));
        let Some(nonce) = first.map(|entry| entry.nonce) else {
            state.gap_looks = 0;
            return Ok(());
        };
        let is_missing = |missing: &u64| !state.flight.entries.contains_key(missing);
        if !(count..nonce)
            .take(MAX_GAP as usize + 1)
            .any(|missing| is_missing(&missing))
        {
            state.gap_looks = 0;
            return Ok(());
        }
        state.gap_looks = state.gap_looks.saturating_add(1);
        if state.gap_looks < LOOKS {
            return Ok(());
        }
        let is_lost = |missing| state.flight.finished(missing).is_some();
        if nonce - count > MAX_GAP || (count..nonce).any(is_lost) {
            return Err(SubmitError::NonceGap {
                nonce,
                counted: count,
            });
        }
        state.gap_looks = 0;
        let fees = self.fees().await?;
        let missing: Vec<u64> = (count..nonce).filter(is_missing).collect();
        for nonce in missing {
            warn!(nonce, "filling in a nonce with an empty transaction");
            let intent =
                keccak256([b"mach: empty transaction".as_slice(), &nonce.to_be_bytes()].concat());
            let body = Body {
                to: TxKind::Call(self.sender),
                input: Bytes::new(),
                value: U256::ZERO,
                gas: EMPTY_GAS,
            };
            self.sign(state, intent, nonce, &body, fees).await?;
            self.push(state, nonce).await?;
        }
        Ok(())
    }

    /// What the next blocks probably cost, below the ceiling.
    pub(super) async fn fees(&self) -> Result<Fees, TransportError> {
        let estimator = Eip1559Estimator::new(estimate_fees);
        let fees = self.provider.estimate_eip1559_fees_with(estimator).await?;
        Ok(self.policy.capped(Fees {
            max: fees.max_fee_per_gas,
            tip: fees.max_priority_fee_per_gas,
        }))
    }

    pub(super) async fn head(&self) -> Result<Head, TransportError> {
        let latest = self
            .provider
            .get_block_by_number(BlockNumberOrTag::Latest)
            .await?
            .ok_or(RpcError::NullResp)?;
        Ok(Head {
            number: latest.header.number,
            hash: latest.header.hash,
            base_fee: latest.header.base_fee_per_gas.unwrap_or_default(),
        })
    }
}

/// Whether nothing that waits comes before `nonce`.
fn is_first(flight: &Flight, nonce: u64) -> bool {
    let mut before = flight.entries.range(..nonce);
    !before.any(|(_, entry)| matches!(entry.stage, Stage::Waiting))
}
