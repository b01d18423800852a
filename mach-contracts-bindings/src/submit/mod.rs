//! Brings transactions into L1 blocks.

mod answer;
mod error;
mod file;
mod flight;
mod log;
mod look;
mod policy;

use alloy_network::{Ethereum, EthereumWallet, NetworkWallet};
use alloy_primitives::{Address, B256, Bytes, ChainId, TxHash, TxKind, U256, keccak256};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{BlockId, TransactionReceipt};
use alloy_sol_types::SolCall;
use alloy_transport::TransportError;
use tokio::sync::Mutex;
use tracing::warn;

pub use self::{
    error::SubmitError,
    file::FileLog,
    log::{Account, AttemptLog, Finished, LogError, MemoryLog, Outcome, Record},
    policy::SubmitPolicy,
};
use self::{
    flight::{Body, Entry, Flight, Waiter},
    look::State,
    policy::Fees,
};
use crate::{Revert, call::revert_data};

/// How often in a row the node may fail to answer while a transaction is waited for.
const FAILED_LOOKS: u32 = 30;
/// How often in a row a node may refuse a transaction before the caller is told.
const REFUSALS: u32 = 5;
/// Most transactions under way; nodes keep 16 or 64 of one account.
const MAX_IN_FLIGHT: usize = 64;
/// How often the account's nonce is asked for when the node says more than is on record.
const NONCE_READS: usize = 3;
/// Nonces from here on cannot be in use: an account would have sent a million transactions a second
/// for ten years.
const ABSURD_NONCE: u64 = 1 << 48;

/// Sends the transactions of one account.
///
/// Several may be under way. Each has a nonce of its own that it keeps until the nonce is used, is put on
/// record before it is sent, and is pushed on by whoever waits for any of them, or by
/// [`Self::tend`].
#[derive(Debug)]
pub struct Submitter {
    provider: DynProvider,
    relay: Option<Relay>,
    wallet: EthereumWallet,
    sender: Address,
    chain_id: ChainId,
    policy: SubmitPolicy,
    state: Mutex<State>,
}

/// Most gas that a transaction may have on L1 since Osaka: EIP-7825.
const TRANSACTION_GAS: u64 = 1 << 24;

/// Takes transactions and keeps them from everybody else.
#[derive(Clone, Debug)]
struct Relay {
    provider: DynProvider,
    public_after: Option<u64>,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug)]
enum Intent {
    /// There is one transaction for it, ever.
    Named(B256),
    /// There is one transaction for each caller.
    Anonymous(B256),
}

/// What came of looking for an earlier transaction with the same intent.
enum Earlier {
    None,
    UnderWay(Waiter),
    Done(Finished),
}

impl Submitter {
    /// Sends through `provider`, signed by the default key of `wallet`, and remembers what it sent for
    /// as long as it lives.
    pub async fn connect(
        provider: impl Provider + 'static,
        wallet: impl Into<EthereumWallet>,
        policy: SubmitPolicy,
    ) -> Result<Self, TransportError> {
        let wallet = wallet.into();
        let chain_id = provider.get_chain_id().await?;
        let flight = Flight::new(Box::new(MemoryLog::default()));
        Ok(Self::assemble(provider, wallet, chain_id, policy, flight))
    }

    /// Like [`Self::connect`], and takes up what stands in `log` from an earlier process: with the same
    /// nonces, the same calls, and fees that follow on from the recorded ones.
    ///
    /// Nothing is sent before the first [`Self::tend`] or transaction.
    pub async fn resume(
        provider: impl Provider + 'static,
        wallet: impl Into<EthereumWallet>,
        policy: SubmitPolicy,
        mut log: impl AttemptLog + 'static,
    ) -> Result<Self, SubmitError> {
        let wallet = wallet.into();
        let chain_id = provider.get_chain_id().await?;
        let records = log.load(Account {
            chain_id,
            address: sender(&wallet),
        })?;
        let flight = Flight::resume(Box::new(log), records, chain_id)?;
        Ok(Self::assemble(provider, wallet, chain_id, policy, flight))
    }

    fn assemble(
        provider: impl Provider + 'static,
        wallet: EthereumWallet,
        chain_id: ChainId,
        policy: SubmitPolicy,
        flight: Flight,
    ) -> Self {
        Self {
            provider: provider.erased(),
            relay: None,
            sender: sender(&wallet),
            wallet,
            chain_id,
            policy,
            state: Mutex::new(State::new(flight)),
        }
    }

    /// Sends to `relay`, which keeps transactions from the public, and reads from the node as before.
    ///
    /// What is not included within `public_after` L1 blocks is sent to the node as well; `None` means
    /// that nothing ever is.
    #[must_use]
    pub fn with_relay(mut self, relay: impl Provider + 'static, public_after: Option<u64>) -> Self {
        self.relay = Some(Relay {
            provider: relay.erased(),
            public_after,
        });
        self
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
    /// Each call is a transaction of its own; but one that was given up, or that an earlier process
    /// left behind, and does the same is waited for instead. [`Self::submit`] promises more.
    ///
    /// Errors: [`SubmitError`]; after [`SubmitError::NotIncluded`] it may still come to be included.
    pub async fn call<C: SolCall>(
        &self,
        to: Address,
        call: &C,
    ) -> Result<TransactionReceipt, SubmitError> {
        self.send_to(to, call.abi_encode().into()).await
    }

    /// [`Self::call`] with calldata that is encoded already.
    ///
    /// Errors: as those of [`Self::call`].
    pub async fn send_to(
        &self,
        to: Address,
        calldata: Bytes,
    ) -> Result<TransactionReceipt, SubmitError> {
        let intent = anonymous(TxKind::Call(to), &calldata);
        self.include(intent, TxKind::Call(to), calldata, U256::ZERO)
            .await
    }

    /// Deploys `code`, to which constructor arguments are appended already.
    pub async fn deploy(&self, code: Bytes) -> Result<(Address, TransactionReceipt), SubmitError> {
        let intent = anonymous(TxKind::Create, &code);
        let receipt = self
            .include(intent, TxKind::Create, code, U256::ZERO)
            .await?;
        let address = receipt
            .contract_address
            .ok_or(SubmitError::NoContract(receipt.transaction_hash))?;
        Ok((address, receipt))
    }

    /// Has `intent` done by one transaction, ever: calls `to` with `input` if there is none yet, else waits
    /// for the one that there is, whatever it is called with, or returns its receipt.
    ///
    /// A transaction that was included without effect, or lost its nonce to another one, is followed
    /// by a new one when the intent is submitted again. An intent is remembered while it is one of the
    /// last 1024 of the account.
    ///
    /// Errors: [`SubmitError`]; the transaction may still come to be included.
    pub async fn submit(
        &self,
        intent: B256,
        to: Address,
        input: Bytes,
    ) -> Result<TransactionReceipt, SubmitError> {
        self.pay(intent, to, input, U256::ZERO).await
    }

    /// [`Self::submit`] with `value` wei.
    ///
    /// Errors: as those of [`Self::submit`].
    pub async fn pay(
        &self,
        intent: B256,
        to: Address,
        input: Bytes,
        value: U256,
    ) -> Result<TransactionReceipt, SubmitError> {
        self.include(Intent::Named(intent), TxKind::Call(to), input, value)
            .await
    }

    /// Looks after everything under way, once: what is not included is sent again, with a higher fee
    /// when it is time, and what a reorganisation dropped as well. Returns how many transactions
    /// are not final yet.
    ///
    /// To be called every few seconds for as long as that is not 0, if nobody waits for a transaction.
    pub async fn tend(&self) -> Result<usize, SubmitError> {
        let mut state = self.state.lock().await;
        self.look(&mut state).await?;
        Ok(state.flight.entries.len())
    }

    /// Whether a transaction for `intent` was sent and is not included yet, as far as is known.
    pub async fn is_under_way(&self, intent: B256) -> bool {
        let state = self.state.lock().await;
        let entry = state.flight.entry_for(intent);
        entry.is_some_and(|entry| entry.settled(self.policy.confirmations).is_none())
    }

    /// The final transaction that had `intent` done, if there is one.
    pub async fn done(&self, intent: B256) -> Option<TxHash> {
        let state = self.state.lock().await;
        let finished = state.flight.finished_for(intent)?;
        (finished.outcome == Outcome::Succeeded).then_some(finished.transaction)
    }

    async fn include(
        &self,
        intent: Intent,
        to: TxKind,
        input: Bytes,
        value: U256,
    ) -> Result<TransactionReceipt, SubmitError> {
        let earlier = self.earlier(&mut *self.state.lock().await, intent).await?;
        let waiter = match earlier {
            Earlier::UnderWay(waiter) => waiter,
            Earlier::Done(finished) => return self.receipt(finished).await,
            Earlier::None => {
                let (body, fees) = self.prepare(to, input, value).await?;
                let mut state = self.state.lock().await;
                // Somebody may have been faster.
                match self.earlier(&mut state, intent).await? {
                    Earlier::UnderWay(waiter) => waiter,
                    Earlier::Done(finished) => return self.receipt(finished).await,
                    Earlier::None => self.launch(&mut state, intent, &body, fees).await?,
                }
            }
        };
        self.wait(&waiter).await
    }

    /// The transaction that is, or did, what is wanted.
    async fn earlier(&self, state: &mut State, intent: Intent) -> Result<Earlier, SubmitError> {
        let (Intent::Named(id) | Intent::Anonymous(id)) = intent;
        if matches!(intent, Intent::Anonymous(_)) {
            let is_orphan = |entry: &Entry| !entry.is_waited_for() && entry.settled(0).is_none();
            if state
                .flight
                .entry_for(id)
                .is_none_or(|entry| !is_orphan(entry))
            {
                return Ok(Earlier::None);
            }
            // It may have been included unnoticed.
            self.look(state).await?;
            let entry = state.flight.entry_for(id).filter(|entry| is_orphan(entry));
            return Ok(entry.map_or(Earlier::None, |entry| Earlier::UnderWay(entry.wait())));
        }
        if let Some(entry) = state.flight.entry_for(id) {
            let failed = entry
                .settled(self.policy.confirmations)
                .is_some_and(|receipt| !receipt.status());
            return Ok(if failed {
                Earlier::None
            } else {
                Earlier::UnderWay(entry.wait())
            });
        }
        Ok(match state.flight.finished_for(id) {
            Some(finished) if finished.outcome == Outcome::Succeeded => Earlier::Done(finished),
            _ => Earlier::None,
        })
    }

    /// Tries the call, and says what it takes to send it.
    async fn prepare(
        &self,
        to: TxKind,
        input: Bytes,
        value: U256,
    ) -> Result<(Body, Fees), SubmitError> {
        let request = self.request(to, input.clone(), value);
        self.provider
            .call(request.clone())
            .await
            .map_err(SubmitError::simulated)?;
        let gas = self
            .provider
            .estimate_gas(request)
            .await
            .map_err(SubmitError::simulated)?;
        let margin = (gas / 100).saturating_mul(self.policy.gas_margin);
        let generous = gas.saturating_add(margin);
        // A margin is not worth a refusal.
        let gas = match gas {
            ..=TRANSACTION_GAS => generous.min(TRANSACTION_GAS),
            _ => generous,
        };
        let fees = self.fees().await?;
        let fee = U256::from(gas) * U256::from(fees.max);
        let needed = fee.saturating_add(value);
        let balance = self.provider.get_balance(self.sender).await?;
        if balance < needed {
            return Err(SubmitError::Underfunded {
                account: self.sender,
                balance,
                needed,
            });
        }
        let body = Body {
            to,
            input,
            value,
            gas,
        };
        Ok((body, fees))
    }

    /// Gives the transaction a nonce, and sends it for the first time.
    async fn launch(
        &self,
        state: &mut State,
        intent: Intent,
        body: &Body,
        fees: Fees,
    ) -> Result<Waiter, SubmitError> {
        let (Intent::Named(intent) | Intent::Anonymous(intent)) = intent;
        let waiting = state.flight.entries.len();
        if waiting >= MAX_IN_FLIGHT {
            return Err(SubmitError::Busy(waiting));
        }
        state.head = self.head().await?;
        let nonce = self.next_nonce(&state.flight).await?;
        self.sign(state, intent, nonce, body, fees).await?;
        let waiter = state.flight.entries.get(&nonce).map(Entry::wait);
        // On record, it is sent at the next look if it was not now.
        if let Err(error) = self.push(state, nonce).await {
            warn!(nonce, %error, "the transaction is not sent yet");
        }
        waiter.ok_or(SubmitError::AbsurdNonce(nonce))
    }

    /// The nonce after all on record, or a higher one that the node insists on.
    ///
    /// A nonce that is too low is found out, and costs nothing; one that is too high leaves a gap. So
    /// the lowest answer counts.
    async fn next_nonce(&self, flight: &Flight) -> Result<u64, SubmitError> {
        let own = flight.next_nonce();
        let mut counted = u64::MAX;
        for _ in 0..NONCE_READS {
            counted = counted.min(self.provider.get_transaction_count(self.sender).await?);
            if counted <= own {
                break;
            }
        }
        let nonce = own.max(counted);
        if nonce >= ABSURD_NONCE {
            return Err(SubmitError::AbsurdNonce(nonce));
        }
        Ok(nonce)
    }

    /// Looks until the transaction is where the policy wants it, or there is no use in waiting.
    async fn wait(&self, waiter: &Waiter) -> Result<TransactionReceipt, SubmitError> {
        let mut started = None;
        let mut deaf_for = 0;
        loop {
            let mut state = self.state.lock().await;
            match self.refresh(&mut state).await {
                Ok(()) => deaf_for = 0,
                // It is on its way: a node that does not answer for a moment changes nothing about that.
                Err(error) if deaf_for < FAILED_LOOKS => {
                    deaf_for += 1;
                    warn!(nonce = waiter.nonce, %error, "cannot see whether the transaction is included");
                }
                Err(error) => return Err(error),
            }
            let head = state.head;
            let Some(entry) = state.flight.entries.get(&waiter.nonce) else {
                let finished = state.flight.finished(waiter.nonce);
                drop(state);
                let finished = finished.ok_or(SubmitError::AbsurdNonce(waiter.nonce))?;
                return self.receipt(finished).await;
            };
            let transaction = entry.newest.hash;
            if let Some(receipt) = entry.settled(self.policy.confirmations) {
                let (receipt, body) = (receipt.clone(), entry.body.clone());
                drop(state);
                return self.outcome(body, receipt).await;
            }
            if entry.refusals >= REFUSALS {
                return Err(SubmitError::Refused {
                    transaction,
                    reason: entry.refusal.clone(),
                });
            }
            let blocks = head
                .number
                .saturating_sub(*started.get_or_insert(head.number));
            if blocks >= self.policy.give_up_after {
                let fees = entry.newest.fees;
                let is_capped = self.policy.raised(fees, Fees::default()).is_none();
                return Err(if is_capped && fees.max < head.base_fee.into() {
                    SubmitError::FeeCeiling {
                        transaction,
                        blocks,
                        base_fee: head.base_fee,
                        ceiling: self.policy.max_fee_per_gas,
                    }
                } else {
                    SubmitError::NotIncluded {
                        transaction,
                        blocks,
                    }
                });
            }
            drop(state);
            tokio::time::sleep(self.policy.poll_interval).await;
        }
    }

    /// What became of a transaction that is no longer looked after.
    async fn receipt(&self, finished: Finished) -> Result<TransactionReceipt, SubmitError> {
        let Finished {
            nonce, transaction, ..
        } = finished;
        if finished.outcome == Outcome::Displaced {
            return Err(SubmitError::NonceTaken { nonce, transaction });
        }
        self.provider
            .get_transaction_receipt(transaction)
            .await?
            .filter(|receipt| receipt.transaction_hash == transaction)
            .ok_or(SubmitError::NoReceipt(transaction))
    }

    async fn outcome(
        &self,
        body: Body,
        receipt: TransactionReceipt,
    ) -> Result<TransactionReceipt, SubmitError> {
        if receipt.status() {
            return Ok(receipt);
        }
        // A receipt does not say why: ask what the same call gives on the block's state.
        let request = self.request(body.to, body.input, body.value);
        let block = receipt
            .block_number
            .map_or(BlockId::latest(), BlockId::number);
        let (transaction, gas) = (receipt.transaction_hash, body.gas);
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
}

fn sender(wallet: &EthereumWallet) -> Address {
    NetworkWallet::<Ethereum>::default_signer_address(wallet)
}

fn anonymous(to: TxKind, input: &Bytes) -> Intent {
    let to = to.to().copied().unwrap_or_default();
    Intent::Anonymous(keccak256([to.as_slice(), input].concat()))
}
