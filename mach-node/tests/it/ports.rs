//! Ports in memory: a registry that always has the same operators, an L1 whose head is set, a
//! confirmer that checks and records certificates and answers as it is told.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use mach_bls::{OperatorKeys, bn254::SecretKey, verify_certificate};
use mach_core::{
    Alert, AlertKind, Attestation, BlockRef, Certificate, Confirmation, Domain, Operator,
    OperatorId, OperatorSet, QuorumNumbers, SignedStatement, Stake, Statement, Threshold,
    ports::{
        BoxError, ConfirmError, L1Standing, OperatorRegistry, Progress, RegistryError,
        SignatureAggregator, StatementConfirmer, StatementReader,
    },
};
use mach_node::{
    Aggregator, AggregatorConfig, L1Head, RetryPolicy,
    store::{Change, MemoryStore, Store, StoreError, Written},
};
use tokio::sync::Notify;

use crate::writes::{Writes, WrittenBy};

pub(crate) const ROLLUP: u64 = 10;
pub(crate) const HEAD: u64 = 1000;
pub(crate) const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::repeat_byte(0x5e),
};

/// Two retries at once.
pub(crate) const RETRY: RetryPolicy = RetryPolicy {
    retries: 2,
    min_delay: Duration::from_millis(1),
    max_delay: Duration::from_millis(2),
};

pub(crate) fn key(index: u64) -> SecretKey {
    SecretKey::from_bytes(&U256::from(index + 1).to_be_bytes()).unwrap()
}

pub(crate) fn id(index: u64) -> OperatorId {
    key(index).public_key().operator_id()
}

pub(crate) fn quorums() -> QuorumNumbers {
    QuorumNumbers::new([0]).unwrap()
}

pub(crate) fn percent(value: u8) -> Threshold {
    Threshold::percent(value).unwrap()
}

/// An alert about the block with this number.
pub(crate) fn alert(number: u64) -> Alert {
    Alert {
        kind: AlertKind::InvalidBlock,
        rollup_chain_id: ROLLUP,
        block: BlockRef {
            number,
            hash: B256::from(U256::from(number)),
        },
        rule: 4,
        claimed: B256::repeat_byte(1),
        computed: B256::repeat_byte(2),
    }
}

pub(crate) fn statement(number: u64) -> Statement {
    Statement::from(alert(number))
}

pub(crate) fn digest(number: u64) -> B256 {
    statement(number).digest(&DOMAIN)
}

/// What operator `index` should send.
pub(crate) fn signed(number: u64, index: u64) -> SignedStatement {
    signed_by(number, index, index)
}

/// What arrives in the name of operator `index`, signed by another.
pub(crate) fn signed_by(number: u64, index: u64, signer: u64) -> SignedStatement {
    SignedStatement {
        statement: statement(number),
        domain: DOMAIN,
        operator: id(index),
        signature: key(signer).sign(digest(number)).to_bytes(),
    }
}

/// That the block with this number is right.
pub(crate) fn attestation(number: u64) -> Statement {
    let Alert {
        rollup_chain_id,
        block,
        ..
    } = alert(number);
    Statement::from(Attestation {
        rollup_chain_id,
        block,
        state_root: B256::repeat_byte(3),
        output_root: B256::repeat_byte(4),
    })
}

/// What operator `index` should send about `statement`.
pub(crate) fn signed_as(statement: &Statement, index: u64) -> SignedStatement {
    SignedStatement {
        statement: statement.clone(),
        domain: DOMAIN,
        operator: id(index),
        signature: key(index).sign(statement.digest(&DOMAIN)).to_bytes(),
    }
}

/// Operators 0 to `count` - 1 with equal stakes, at every reference block.
pub(crate) struct FixedRegistry {
    pub(crate) count: u64,
    pub(crate) delay: Duration,
    pub(crate) reads: AtomicUsize,
    /// Reads that fail before the others succeed.
    pub(crate) failures: AtomicUsize,
}

impl FixedRegistry {
    pub(crate) const fn new(count: u64) -> Self {
        Self {
            count,
            delay: Duration::ZERO,
            reads: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
        }
    }

    fn set(&self, quorums: &QuorumNumbers, reference_block: u32) -> OperatorSet {
        let mut set = OperatorSet::new(quorums.clone(), reference_block);
        for index in 0..self.count {
            let key = key(index);
            let operator = Operator {
                address: Address::with_last_byte(index as u8),
                key_g1: key.public_key().g1_bytes(),
                key_g2: key.public_key().g2_bytes(),
            };
            set.insert(0, operator, Stake::new(100).unwrap());
        }
        set
    }
}

#[async_trait]
impl OperatorRegistry for FixedRegistry {
    async fn operator_set(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet, RegistryError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.delay).await;
        let left = |failures: usize| failures.checked_sub(1);
        if (self.failures)
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_ok()
        {
            return Err(RegistryError::Backend("no answer".into()));
        }
        Ok(self.set(quorums, reference_block))
    }
}

/// An L1 whose head is set by hand.
pub(crate) struct FixedHead(pub(crate) AtomicU64);

impl FixedHead {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(HEAD)))
    }
}

#[async_trait]
impl L1Head for FixedHead {
    async fn block_number(&self) -> Result<u64, BoxError> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

/// What the confirmer does with a certificate.
pub(crate) enum Answer {
    Revert,
    /// The owner of the contract has removed the alert.
    Withdrawn,
    Silence,
    Wait(Arc<Notify>),
    Panic,
}

/// Confirms every valid certificate, unless it is told otherwise. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Confirmer(Arc<ConfirmerState>);

#[derive(Default)]
struct ConfirmerState {
    answers: Mutex<VecDeque<Answer>>,
    certificates: Mutex<Vec<Certificate>>,
}

impl Confirmer {
    /// What happens to the next certificates; those after them are confirmed.
    pub(crate) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let confirmer = Self::default();
        confirmer.0.answers.lock().unwrap().extend(answers);
        confirmer
    }

    /// What happens to the next certificates, in the place of what was said before.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        *self.0.answers.lock().unwrap() = answers.into_iter().collect();
    }

    /// What it was asked to confirm, in order, whatever came of it.
    pub(crate) fn certificates(&self) -> Vec<Certificate> {
        self.0.certificates.lock().unwrap().clone()
    }
}

#[async_trait]
impl StatementReader for Confirmer {
    async fn standing(&self, _: &Statement) -> Result<L1Standing, ConfirmError> {
        Ok(L1Standing::Absent)
    }
}

#[async_trait]
impl StatementConfirmer for Confirmer {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        let reference_block = certificate.round.reference_block();
        let members = (certificate.non_signers.len() as u64..).find(|count| {
            let set = FixedRegistry::new(*count).set(certificate.round.quorums(), reference_block);
            set.total_stake(0) == certificate.quorums[0].total
        });
        let set =
            FixedRegistry::new(members.unwrap()).set(certificate.round.quorums(), reference_block);
        verify_certificate(certificate, &OperatorKeys::new(&set).unwrap()).unwrap();
        self.0
            .certificates
            .lock()
            .unwrap()
            .push(certificate.clone());
        let answer = self.0.answers.lock().unwrap().pop_front();
        match answer {
            Some(Answer::Revert) => {
                return Err(ConfirmError::Reverted {
                    reason: "paused".into(),
                    data: Default::default(),
                });
            }
            Some(Answer::Withdrawn) => {
                return Err(ConfirmError::Withdrawn(certificate.digest()));
            }
            Some(Answer::Silence) => return Err(ConfirmError::Backend("no answer".into())),
            Some(Answer::Panic) => panic!("the confirmer panics"),
            Some(Answer::Wait(until)) => until.notified().await,
            None => {}
        }
        Ok(confirmation(certificate.digest()))
    }
}

pub(crate) const fn confirmation(digest: B256) -> Confirmation {
    Confirmation {
        digest,
        transaction: Some(B256::repeat_byte(7)),
        l1_block: HEAD,
        gas_used: Some(300_000),
    }
}

pub(crate) fn config() -> AggregatorConfig {
    AggregatorConfig {
        retry: RETRY,
        ..AggregatorConfig::new(DOMAIN, [ROLLUP], quorums(), vec![percent(66)])
    }
}

/// Four operators of whom three are enough.
pub(crate) fn aggregator(confirmer: &Confirmer) -> Aggregator {
    aggregator_with(FixedRegistry::new(4), confirmer, config())
}

pub(crate) fn aggregator_with(
    registry: impl OperatorRegistry + 'static,
    confirmer: &Confirmer,
    config: AggregatorConfig,
) -> Aggregator {
    aggregator_on(MemoryStore::new(), registry, confirmer, config)
}

/// What an aggregator on `store` remembers is in `store`.
pub(crate) fn aggregator_on(
    store: impl Store + 'static,
    registry: impl OperatorRegistry + 'static,
    confirmer: &Confirmer,
    config: AggregatorConfig,
) -> Aggregator {
    Aggregator::new(store, registry, FixedHead::new(), confirmer.clone(), config)
}

/// Opens the round and sends the signatures of these operators.
pub(crate) async fn sign_all(
    aggregator: &Aggregator,
    number: u64,
    operators: impl IntoIterator<Item = u64>,
) {
    aggregator.open(&statement(number)).await.unwrap();
    for index in operators {
        aggregator.submit(signed(number, index)).await.unwrap();
    }
}

pub(crate) async fn confirmed(aggregator: &Aggregator, number: u64) {
    until(|| {
        matches!(
            aggregator.progress(digest(number)),
            Some(Progress::Confirmed(_))
        )
    })
    .await;
}

/// Waits until `condition` holds, for a minute and a half of the test's clock.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), wait)
        .await
        .expect("the condition holds in time");
}

/// A store whose disk is full, when it is told so.
pub(crate) type Unwritable = WrittenBy<Full>;

/// A disk that is full, when it is told so.
#[derive(Debug, Default)]
pub(crate) struct Full {
    fails: AtomicBool,
    /// Writes that succeed before it fails, and one.
    left: AtomicUsize,
    refused: AtomicUsize,
}

impl Full {
    /// How many writes it has refused.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// Fails after so many writes.
    pub(crate) fn fail_after(&self, writes: usize) {
        self.left.store(writes + 1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Writes for Full {
    async fn write(
        &self,
        store: &MemoryStore,
        changes: Vec<Change>,
    ) -> Result<Written, StoreError> {
        let left = |writes: usize| writes.checked_sub(1);
        let left = (self.left).fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        if left == Ok(1) {
            self.fail(true);
        }
        if self.fails.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Backend("no space left on device".into()));
        }
        store.write(changes).await
    }
}
