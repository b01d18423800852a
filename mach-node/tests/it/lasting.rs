//! What stays when others come hours later, when L1 refuses or forgets, and when a round ends at the wrong
//! moment: an alert goes on until L1 has it for good, and nothing that was acknowledged is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use mach_bls::verify_self_contained;
use mach_core::{
    Certificate, Confirmation, Operator, OperatorSet, QuorumNumbers, Stake, Statement,
    ports::{
        AggregateError, ConfirmError, L1Standing, OperatorRegistry, Progress, RegistryError,
        SignatureAggregator, StatementConfirmer, StatementReader,
    },
};
use mach_node::{
    Aggregator, AggregatorConfig, RetryPolicy, RoundEvent, RoundState, ToL1,
    store::{Change, MemoryStore, Store, StoreError, Table, Written},
};
use tokio::sync::Notify;

use crate::{
    ports::{
        Answer, Confirmer, DOMAIN, FixedHead, FixedRegistry, HEAD, RETRY, Unwritable,
        aggregator_on, attestation, config, confirmed, digest, id, key, percent, sign_all, signed,
        signed_as, until,
    },
    writes::{Writes, WrittenBy},
};

const HOUR: Duration = Duration::from_secs(3600);
/// Blocks of L1 in an hour.
const BLOCKS: u64 = 300;

async fn count(store: &impl Store, table: Table) -> usize {
    store.scan(table, &[], None, 1000).await.unwrap().len()
}

/// Four operators of whom three are enough, with what is in `store`.
fn on(
    store: &MemoryStore,
    l1: &Arc<FixedHead>,
    confirmer: impl StatementConfirmer + 'static,
) -> Aggregator {
    let registry = FixedRegistry::new(4);
    Aggregator::new(store.clone(), registry, l1.clone(), confirmer, config())
}

/// An hour after the other, in which the aggregator tends to its rounds.
async fn pass(aggregator: &Aggregator, l1: &FixedHead, hours: u64) {
    for _ in 0..hours {
        l1.0.fetch_add(BLOCKS, Ordering::SeqCst);
        tokio::time::advance(HOUR).await;
        aggregator.tend().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What was acknowledged counts, in terms of the day on which the last one signs.
#[tokio::test(start_paused = true)]
async fn an_alert_waits_for_signers_who_come_hours_apart() {
    for restarts in [false, true] {
        let (store, l1, confirmer) = (MemoryStore::new(), FixedHead::new(), Confirmer::default());
        let mut aggregator = on(&store, &l1, confirmer.clone());
        for index in 0..2 {
            let progress = aggregator.submit(signed(1, index)).await.unwrap();
            assert_eq!(progress, Progress::Collecting { signers: index + 1 });
            let mut events = aggregator.events();
            pass(&aggregator, &l1, 30).await;
            let told = std::iter::from_fn(|| events.try_recv().ok());
            assert!(
                !told
                    .into_iter()
                    .any(|it| matches!(it, RoundEvent::Expired { .. }))
            );
            if restarts {
                drop(aggregator);
                l1.0.fetch_add(10 * BLOCKS, Ordering::SeqCst);
                aggregator = on(&store, &l1, confirmer.clone());
            }
        }
        // Operators are asked to join a round of this hour, and so is L1.
        let head = l1.0.load(Ordering::SeqCst);
        let terms = aggregator.open(&signed(1, 2).statement).await.unwrap();
        assert!(head - u64::from(terms.reference_block()) <= BLOCKS + 1);
        let progress = aggregator.submit(signed(1, 2)).await.unwrap();
        assert_eq!(progress, Progress::Reached { signers: 3 });
        confirmed(&aggregator, 1).await;
        let certificates = confirmer.certificates();
        assert_eq!(certificates.len(), 1);
        assert_eq!(certificates[0].round, terms);
        assert_eq!(certificates[0].non_signers.len(), 1);
    }
}

/// For hours, in one process or in one each hour, and not more often than is of use.
#[tokio::test(start_paused = true)]
async fn an_alert_is_brought_to_an_l1_that_does_not_take_it() {
    type Silence = fn() -> Answer;
    let answers: [Silence; 2] = [|| Answer::Revert, || Answer::Silence];
    for (answer, restarts) in answers.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let (store, l1) = (MemoryStore::new(), FixedHead::new());
        let refusing = || Confirmer::answering((0..1000).map(|_| answer()));
        let config = || AggregatorConfig {
            retry: RetryPolicy {
                max_delay: Duration::from_secs(30),
                ..RETRY
            },
            ..config()
        };
        let start = |confirmer: &Confirmer| {
            let registry = FixedRegistry::new(4);
            let confirmer = confirmer.clone();
            Aggregator::new(store.clone(), registry, l1.clone(), confirmer, config())
        };
        let mut l1_says = refusing();
        let mut aggregator = start(&l1_says);
        sign_all(&aggregator, 1, 0..3).await;
        for hour in 0..3 {
            l1.0.fetch_add(BLOCKS, Ordering::SeqCst);
            let before = l1_says.certificates().len();
            for _ in 0..120 {
                aggregator.tend().await.unwrap();
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
            let tries = l1_says.certificates().len() - before;
            assert!((1..=70).contains(&tries), "{tries} tries in hour {hour}");
            // Nobody has to send it once more.
            let progress = aggregator.progress(digest(1));
            assert_eq!(progress, Some(Progress::Reached { signers: 3 }));
            if restarts {
                l1_says = refusing();
                aggregator = start(&l1_says);
                aggregator.tend().await.unwrap();
            }
        }
        drop(aggregator);
        let willing = Confirmer::default();
        let aggregator = start(&willing);
        aggregator.tend().await.unwrap();
        confirmed(&aggregator, 1).await;
        let reference_block = willing.certificates()[0].round.reference_block();
        let head = l1.0.load(Ordering::SeqCst);
        assert!(head - u64::from(reference_block) <= BLOCKS + 1);
    }
}

/// Operators who come and go: five of equal stake before block `HEAD + 100`, and then one of them has left
/// and another one is there.
struct Changing;

#[async_trait]
impl OperatorRegistry for Changing {
    async fn operator_set(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet, RegistryError> {
        let members: [u64; 5] = match u64::from(reference_block) < HEAD + 100 {
            true => [0, 1, 2, 3, 4],
            false => [0, 1, 3, 4, 5],
        };
        let mut set = OperatorSet::new(quorums.clone(), reference_block);
        for index in members {
            let key = key(index);
            let key = key.public_key();
            let operator = Operator {
                address: Address::with_last_byte(index as u8),
                key_g1: key.g1_bytes(),
                key_g2: key.g2_bytes(),
            };
            set.insert(0, operator, Stake::new(100).unwrap());
        }
        Ok(set)
    }
}

/// Confirms whatever comes, unless it is told to refuse.
#[derive(Clone, Default)]
struct Unchecked {
    refuses: Arc<AtomicBool>,
}

#[async_trait]
impl StatementReader for Unchecked {
    async fn standing(&self, _: &Statement) -> Result<L1Standing, ConfirmError> {
        Ok(L1Standing::Absent)
    }
}

#[async_trait]
impl StatementConfirmer for Unchecked {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        verify_self_contained(certificate).unwrap();
        if self.refuses.load(Ordering::SeqCst) {
            return Err(ConfirmError::Reverted {
                reason: "paused".into(),
                data: Default::default(),
            });
        }
        Ok(Confirmation {
            digest: certificate.digest(),
            transaction: Some(B256::repeat_byte(9)),
            l1_block: HEAD + BLOCKS,
            gas_used: None,
        })
    }
}

/// The second certificate of an alert has as much stake as the first one, and other signers: both are kept.
#[tokio::test(start_paused = true)]
async fn signatures_that_the_kept_certificate_does_not_have_are_kept() {
    let (store, l1, confirmer) = (MemoryStore::new(), FixedHead::new(), Unchecked::default());
    confirmer.refuses.store(true, Ordering::SeqCst);
    let start = || {
        let config = AggregatorConfig {
            thresholds: vec![percent(60)],
            ..config()
        };
        let confirmer = confirmer.clone();
        Aggregator::new(store.clone(), Changing, l1.clone(), confirmer, config)
    };
    let aggregator = start();
    for index in 0..3 {
        aggregator.submit(signed(1, index)).await.unwrap();
    }
    // L1 takes it only when operator 2 is gone.
    pass(&aggregator, &l1, 1).await;
    confirmer.refuses.store(false, Ordering::SeqCst);
    let progress = aggregator.submit(signed(1, 3)).await.unwrap();
    assert_eq!(progress, Progress::Reached { signers: 3 });
    confirmed(&aggregator, 1).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    let stored = async |aggregator: &Aggregator| {
        let certificate = aggregator.certificate(digest(1)).await.unwrap().unwrap();
        verify_self_contained(&certificate).unwrap();
        let absent: BTreeSet<_> = certificate.non_signers.iter().map(|it| it.id).collect();
        (u64::from(certificate.round.reference_block()), absent)
    };
    assert_eq!(stored(&aggregator).await, (HEAD - 1, [id(3), id(4)].into()));
    // However deep the confirmation is.
    for _ in 0..3 {
        pass(&aggregator, &l1, 1).await;
    }
    drop(aggregator);
    let aggregator = start();
    aggregator.submit(signed(1, 4)).await.unwrap();
    assert_eq!(stored(&aggregator).await, (HEAD - 1, [].into()));
}

/// Nobody who signed it is an operator any more: it takes up no room.
#[tokio::test(start_paused = true)]
async fn an_alert_whose_signers_have_left_ends() {
    let (store, l1, confirmer) = (MemoryStore::new(), FixedHead::new(), Unchecked::default());
    let aggregator = Aggregator::new(store.clone(), Changing, l1.clone(), confirmer, config());
    // Operator 2 leaves, 0 stays.
    for index in [0, 2] {
        aggregator.submit(signed(index, index)).await.unwrap();
    }
    pass(&aggregator, &l1, 1).await;
    let left = [0, 2].map(|number| aggregator.progress(digest(number)));
    assert_eq!(left, [Some(Progress::Collecting { signers: 1 }), None]);
    for table in [Table::Rounds, Table::Signatures, Table::Unconfirmed] {
        assert_eq!(count(&store, table).await, 1, "{table:?}");
    }
}

/// Four operators before block `HEAD + 100`, and forty from then on.
struct Growing;

#[async_trait]
impl OperatorRegistry for Growing {
    async fn operator_set(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet, RegistryError> {
        let count = if u64::from(reference_block) < HEAD + 100 {
            4
        } else {
            40
        };
        let registry = FixedRegistry::new(count);
        registry.operator_set(quorums, reference_block).await
    }
}

/// In the terms of now it has no certificate yet, and in earlier ones it had one.
#[tokio::test(start_paused = true)]
async fn an_alert_that_was_certified_gives_way_in_memory_alone() {
    let (store, l1) = (MemoryStore::new(), FixedHead::new());
    let start = |max_rounds: usize| {
        let config = AggregatorConfig {
            max_rounds,
            ..config()
        };
        let refusing = Confirmer::answering((0..100).map(|_| Answer::Revert));
        Aggregator::new(store.clone(), Growing, l1.clone(), refusing, config)
    };
    let aggregator = start(1);
    sign_all(&aggregator, 1, 0..3).await;
    pass(&aggregator, &l1, 1).await;
    let collecting = Some(Progress::Collecting { signers: 3 });
    assert_eq!(aggregator.progress(digest(1)), collecting);
    aggregator.submit(signed(2, 0)).await.unwrap();
    assert_eq!(aggregator.progress(digest(1)), None);
    drop(aggregator);
    let aggregator = start(10);
    assert_eq!(aggregator.tend().await.unwrap(), 2);
    assert_eq!(aggregator.progress(digest(1)), collecting);
}

/// What a process takes up grows old by the height of L1, as it did before.
#[tokio::test(start_paused = true)]
async fn a_round_that_is_taken_up_is_not_young_again() {
    let (store, l1) = (MemoryStore::new(), FixedHead::new());
    let before = on(&store, &l1, Confirmer::default());
    before.submit(signed(1, 0)).await.unwrap();
    drop(before);
    l1.0.fetch_add(BLOCKS - 10, Ordering::SeqCst);
    let after = on(&store, &l1, Confirmer::default());
    assert_eq!(after.tend().await.unwrap(), 1);
    l1.0.fetch_add(20, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(after.tend().await.unwrap(), 1);
    let terms = after.open(&signed(1, 1).statement).await.unwrap();
    assert_eq!(u64::from(terms.reference_block()), HEAD + BLOCKS + 9);
}

/// A dry run keeps the certificate of an alert, which has all signatures.
#[tokio::test(start_paused = true)]
async fn what_is_not_brought_to_l1_leaves_no_signatures_behind() {
    let store = MemoryStore::new();
    let config = AggregatorConfig {
        confirm: ToL1::Nothing,
        ..config()
    };
    let registry = FixedRegistry::new(4);
    let aggregator = aggregator_on(store.clone(), registry, &Confirmer::default(), config);
    sign_all(&aggregator, 1, 0..3).await;
    assert_eq!(count(&store, Table::Signatures).await, 3);
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&store, Table::Signatures).await, 0);
    aggregator.submit(signed(1, 3)).await.unwrap();
    let certificate = aggregator.certificate(digest(1)).await.unwrap().unwrap();
    assert!(certificate.non_signers.is_empty());
}

/// Nobody is asked to sign in terms of long ago; who has signed is heard.
#[tokio::test]
async fn whoever_has_not_signed_a_closed_alert_is_told_that_it_is_over() {
    let (store, l1) = (MemoryStore::new(), FixedHead::new());
    let before = on(&store, &l1, Confirmer::default());
    sign_all(&before, 1, 0..3).await;
    confirmed(&before, 1).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    l1.0.fetch_add(BLOCKS + 2, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(510)).await;
    let after = on(&store, &l1, Confirmer::default());
    for aggregator in [&before, &after] {
        let error = aggregator.open(&signed(1, 3).statement).await.unwrap_err();
        assert!(matches!(error, AggregateError::TooLate(it) if it == digest(1)));
    }
    after.submit(signed(1, 3)).await.unwrap();
    let certificate = after.certificate(digest(1)).await.unwrap().unwrap();
    assert!(certificate.non_signers.is_empty());
}

/// The store has always changed.
struct Contended;

#[async_trait]
impl Writes for Contended {
    async fn write(
        &self,
        _store: &MemoryStore,
        _changes: Vec<Change>,
    ) -> Result<Written, StoreError> {
        Ok(Written::Conflict { change: 0 })
    }
}

/// Whoever sends the signature is to send it again.
#[tokio::test]
async fn a_store_that_changes_all_the_time_refuses_no_signature_for_good() {
    let store = WrittenBy::from(Contended);
    let registry = FixedRegistry::new(4);
    let aggregator = aggregator_on(store, registry, &Confirmer::default(), config());
    let error = aggregator.submit(signed(1, 0)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

/// Another copy of the round forgets it at the moment at which a signature comes, or comes again.
#[tokio::test]
async fn what_comes_while_a_round_is_forgotten_begins_another() {
    for index in [0, 1] {
        forgotten_meanwhile(index).await;
    }
}

async fn forgotten_meanwhile(index: u64) {
    let (store, l1, confirmer) = (MemoryStore::new(), FixedHead::new(), Confirmer::default());
    let one = on(&store, &l1, confirmer.clone());
    one.submit(signed_as(&attestation(1), 0)).await.unwrap();
    let other = on(&store, &l1, confirmer.clone());
    l1.0.fetch_add(BLOCKS + 1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(other.tend().await.unwrap(), 0);
    assert_eq!(count(&store, Table::Signatures).await, 0);
    let progress = (one.submit(signed_as(&attestation(1), index)).await).unwrap();
    assert_eq!(progress, Progress::Collecting { signers: 1 });
    // What is acknowledged is there after a restart.
    let third = on(&store, &l1, confirmer);
    let progress = third.submit(signed_as(&attestation(1), 2)).await.unwrap();
    assert_eq!(progress, Progress::Collecting { signers: 2 });
}

/// A process dies while it forgets a round: the next one goes on with that, and takes nothing for it before.
#[tokio::test]
async fn a_round_that_was_half_forgotten_is_forgotten() {
    let (store, l1) = (Arc::new(Unwritable::default()), FixedHead::new());
    let start = || {
        let (store, registry) = (Arc::clone(&store), FixedRegistry::new(4));
        Aggregator::new(store, registry, l1.clone(), Confirmer::default(), config())
    };
    start().submit(signed_as(&attestation(1), 0)).await.unwrap();
    l1.0.fetch_add(BLOCKS + 1, Ordering::SeqCst);
    store.fail_after(1);
    start().tend().await.unwrap_err();
    assert_eq!(count(&store, Table::Signatures).await, 1);
    store.fail(false);
    let progress = start().submit(signed_as(&attestation(1), 1)).await.unwrap();
    assert_eq!(progress, Progress::Collecting { signers: 1 });
    assert_eq!(count(&store, Table::Signatures).await, 1);
    assert_eq!(start().tend().await.unwrap(), 1);
}

/// What the store does not have as closed stays in memory, whatever else needs room there, and is not over.
#[tokio::test]
async fn a_round_that_could_not_be_closed_is_not_thrown_out() {
    let (store, until_then) = (Arc::new(Unwritable::default()), Arc::new(Notify::new()));
    let confirmer = Confirmer::answering([Answer::Wait(Arc::clone(&until_then))]);
    let registry = FixedRegistry::new(4);
    let config = AggregatorConfig {
        round_lifetime: Duration::ZERO,
        ..config()
    };
    let aggregator = aggregator_on(Arc::clone(&store), registry, &confirmer, config);
    sign_all(&aggregator, 0, 0..3).await;
    until(|| confirmer.certificates().len() == 1).await;
    store.fail(true);
    until_then.notify_one();
    confirmed(&aggregator, 0).await;
    until(|| store.refused() > 0).await;
    store.fail(false);
    for number in 1..80 {
        sign_all(&aggregator, number, 0..3).await;
        confirmed(&aggregator, number).await;
    }
    let progress = aggregator.progress(digest(0));
    assert!(
        matches!(progress, Some(Progress::Confirmed(_))),
        "{progress:?}"
    );
    aggregator.tend().await.unwrap();
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    assert_eq!(confirmer.certificates().len(), 80);
}

/// An L1 that forgets: what stands there, in which transaction, and how often it was asked.
#[derive(Clone)]
struct Forgetful {
    head: Arc<FixedHead>,
    standing: Arc<Mutex<BTreeMap<B256, B256>>>,
    sent: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    refuses: Arc<AtomicBool>,
    /// Whether the owner of the contract has removed what was there.
    withdrawn: Arc<AtomicBool>,
}

impl Forgetful {
    fn new() -> Self {
        Self {
            head: FixedHead::new(),
            standing: Arc::default(),
            sent: Arc::default(),
            asked: Arc::default(),
            refuses: Arc::default(),
            withdrawn: Arc::default(),
        }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The owner removes what stands, or lets it be raised again.
    fn withdraw(&self, is_withdrawn: bool) {
        self.reorganize();
        self.withdrawn.store(is_withdrawn, Ordering::SeqCst);
    }

    /// Another branch, without what was confirmed.
    fn reorganize(&self) {
        self.standing.lock().unwrap().clear();
    }

    /// So many blocks later the aggregator tends to its rounds.
    async fn mine(&self, aggregator: &Aggregator, blocks: u64) {
        self.head.0.fetch_add(blocks, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        aggregator.tend().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[async_trait]
impl StatementReader for Forgetful {
    async fn standing(&self, statement: &Statement) -> Result<L1Standing, ConfirmError> {
        let standing = self.standing.lock().unwrap();
        Ok(match standing.contains_key(&statement.digest(&DOMAIN)) {
            true => L1Standing::Stands,
            false if self.withdrawn.load(Ordering::SeqCst) => L1Standing::Withdrawn,
            false => L1Standing::Absent,
        })
    }
}

#[async_trait]
impl StatementConfirmer for Forgetful {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let digest = certificate.digest();
        let mut standing = self.standing.lock().unwrap();
        let l1_block = self.head.0.load(Ordering::SeqCst);
        let confirmation = |transaction| Confirmation {
            digest,
            transaction,
            l1_block,
            gas_used: None,
        };
        if standing.contains_key(&digest) {
            return Ok(confirmation(None));
        }
        if self.withdrawn.load(Ordering::SeqCst) {
            return Err(ConfirmError::Withdrawn(digest));
        }
        if self.refuses.load(Ordering::SeqCst) {
            return Err(ConfirmError::Reverted {
                reason: "paused".into(),
                data: Default::default(),
            });
        }
        let sent = self.sent.fetch_add(1, Ordering::SeqCst);
        let transaction = B256::with_last_byte(sent as u8);
        standing.insert(digest, transaction);
        Ok(confirmation(Some(transaction)))
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_reorganisation_took_back_is_confirmed_again() {
    for statement in [signed(1, 0).statement, attestation(1)] {
        let (store, l1) = (MemoryStore::new(), Forgetful::new());
        let digest = statement.digest(&DOMAIN);
        let mut aggregator = on(&store, &l1.head, l1.clone());
        for index in 0..3 {
            aggregator
                .submit(signed_as(&statement, index))
                .await
                .unwrap();
        }
        until(|| l1.sent() == 1).await;
        let transactions = async |aggregator: &Aggregator| {
            let progress = aggregator.submit(signed_as(&statement, 0)).await.unwrap();
            match progress {
                Progress::Confirmed(it) => it.transaction.unwrap(),
                other => panic!("{other:?}"),
            }
        };
        // At once, and after a restart.
        l1.reorganize();
        l1.mine(&aggregator, 2).await;
        assert_eq!(l1.sent(), 2);
        assert_eq!(transactions(&aggregator).await, B256::with_last_byte(1));
        drop(aggregator);
        l1.reorganize();
        aggregator = on(&store, &l1.head, l1.clone());
        let mut events = aggregator.events();
        l1.mine(&aggregator, 3).await;
        assert_eq!(l1.sent(), 3);
        assert_eq!(transactions(&aggregator).await, B256::with_last_byte(2));
        let is_told =
            |event| matches!(event, RoundEvent::Confirmed { digest: it, .. } if it == digest);
        let mut told = std::iter::from_fn(|| events.try_recv().ok());
        assert!(told.any(is_told));
        // Until it is deep enough: that costs a few looks, and leaves nothing behind.
        let before = l1.asked();
        for _ in 0..100 {
            l1.mine(&aggregator, 1).await;
        }
        assert!(
            (5..=7).contains(&(l1.asked() - before)),
            "{}",
            l1.asked() - before
        );
        assert_eq!(l1.sent(), 3);
        assert_eq!(count(&store, Table::Signatures).await, 0);
        let kept = usize::from(statement == attestation(1));
        assert!(count(&store, Table::Aging).await <= 3 * kept);
    }
}

/// The alert is not in force, and everybody goes on until it is.
#[tokio::test(start_paused = true)]
async fn what_l1_lost_and_refuses_goes_on() {
    let (store, l1) = (MemoryStore::new(), Forgetful::new());
    let aggregator = on(&store, &l1.head, l1.clone());
    sign_all(&aggregator, 1, 0..3).await;
    confirmed(&aggregator, 1).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    // Who comes after that counts as well.
    aggregator.submit(signed(1, 3)).await.unwrap();
    l1.reorganize();
    l1.refuses.store(true, Ordering::SeqCst);
    let mut events = aggregator.events();
    l1.mine(&aggregator, 2).await;
    let mut told = std::iter::from_fn(|| events.try_recv().ok());
    assert!(told.any(|it| matches!(it, RoundEvent::Lost { digest: of } if of == digest(1))));
    l1.mine(&aggregator, 1).await;
    let reached = Some(Progress::Reached { signers: 4 });
    assert_eq!(aggregator.progress(digest(1)), reached);
    // Longer than the terms of the first certificate are good for.
    l1.head.0.fetch_add(10_000, Ordering::SeqCst);
    pass(&aggregator, &l1.head, 2).await;
    assert_eq!(aggregator.progress(digest(1)), reached);
    l1.refuses.store(false, Ordering::SeqCst);
    pass(&aggregator, &l1.head, 1).await;
    confirmed(&aggregator, 1).await;
    assert_eq!(l1.sent(), 2);
}

/// An owner removes an alert at once, hours later than it was raised but before it was brought to L1, or lets
/// it be raised again a moment later.
#[tokio::test(start_paused = true)]
async fn an_alert_that_was_removed_on_l1_is_not_tried_again() {
    for is_removed_before in [false, true] {
        let (store, l1) = (MemoryStore::new(), Forgetful::new());
        let mut aggregator = on(&store, &l1.head, l1.clone());
        let mut events = aggregator.events();
        if is_removed_before {
            l1.withdraw(true);
        }
        sign_all(&aggregator, 1, 0..3).await;
        if !is_removed_before {
            confirmed(&aggregator, 1).await;
            until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
            l1.withdraw(true);
            l1.mine(&aggregator, 2).await;
        }
        until(|| aggregator.progress(digest(1)) == Some(Progress::Withdrawn)).await;
        assert_eq!(aggregator.rounds()[0].state, RoundState::Withdrawn);
        let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        let is_withdrawn = |it: &RoundEvent| matches!(it, RoundEvent::Withdrawn { digest: of, .. } if *of == digest(1));
        assert_eq!(told.iter().filter(|it| is_withdrawn(it)).count(), 1);
        assert!(!told.iter().any(|it| matches!(it, RoundEvent::Lost { .. })));
        until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
        // Operators who come later are told so, here and after a restart.
        for restarts in [false, true] {
            if restarts {
                aggregator = on(&store, &l1.head, l1.clone());
            }
            aggregator.open(&signed(1, 3).statement).await.unwrap();
            let late = aggregator.submit(signed(1, 3)).await.unwrap();
            assert_eq!(late, Progress::Withdrawn);
        }
        // A few looks for a reorganisation that takes that back, and then none.
        let before = l1.asked();
        for _ in 0..100 {
            l1.mine(&aggregator, 1).await;
        }
        pass(&aggregator, &l1.head, 5).await;
        assert!(
            (4..=7).contains(&(l1.asked() - before)),
            "{}",
            l1.asked() - before
        );
        assert_eq!(l1.sent(), usize::from(!is_removed_before));
        assert_eq!(count(&store, Table::Signatures).await, 0);
        assert_eq!(count(&store, Table::Aging).await, 0);
    }
    let (store, l1) = (MemoryStore::new(), Forgetful::new());
    let aggregator = on(&store, &l1.head, l1.clone());
    sign_all(&aggregator, 1, 0..3).await;
    confirmed(&aggregator, 1).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    l1.withdraw(true);
    l1.mine(&aggregator, 2).await;
    assert_eq!(aggregator.progress(digest(1)), Some(Progress::Withdrawn));
    l1.withdraw(false);
    l1.mine(&aggregator, 2).await;
    assert_eq!(l1.sent(), 2);
    let progress = aggregator.submit(signed(1, 0)).await.unwrap();
    assert!(matches!(progress, Progress::Confirmed(_)), "{progress:?}");
}

/// Enough operators signed an alert elsewhere, and one of them here. That goes on if L1 loses it.
#[tokio::test(start_paused = true)]
async fn an_alert_that_others_brought_to_l1_is_not_waited_for() {
    for is_withdrawn in [false, true] {
        let (store, l1) = (MemoryStore::new(), Forgetful::new());
        let aggregator = on(&store, &l1.head, l1.clone());
        aggregator.submit(signed(1, 0)).await.unwrap();
        aggregator
            .submit(signed_as(&attestation(2), 0))
            .await
            .unwrap();
        l1.mine(&aggregator, 1).await;
        let collecting = Some(Progress::Collecting { signers: 1 });
        assert_eq!(aggregator.progress(digest(1)), collecting);
        match is_withdrawn {
            true => l1.withdraw(true),
            false => {
                let mut standing = l1.standing.lock().unwrap();
                standing.insert(digest(1), B256::repeat_byte(5));
            }
        }
        tokio::time::advance(Duration::from_secs(120)).await;
        l1.mine(&aggregator, 1).await;
        let progress = aggregator.submit(signed(1, 0)).await.unwrap();
        if is_withdrawn {
            assert_eq!(progress, Progress::Withdrawn);
            continue;
        }
        assert!(matches!(progress, Progress::Confirmed(_)), "{progress:?}");
        assert_eq!(count(&store, Table::Unconfirmed).await, 1);
        assert_eq!((l1.asked(), l1.sent()), (0, 0));
        l1.reorganize();
        l1.mine(&aggregator, 2).await;
        l1.mine(&aggregator, 1).await;
        assert_eq!(aggregator.progress(digest(1)), collecting);
        sign_all(&aggregator, 1, 1..3).await;
        confirmed(&aggregator, 1).await;
        assert_eq!(l1.sent(), 1);
    }
}

/// Others brought an alert to L1, with signatures that are not here. Whoever signs it here later is heard, and
/// counts when L1 loses it.
#[tokio::test(start_paused = true)]
async fn a_signature_of_an_alert_that_others_brought_to_l1_is_kept() {
    let (store, l1) = (MemoryStore::new(), Forgetful::new());
    let before = on(&store, &l1.head, l1.clone());
    before.submit(signed(1, 0)).await.unwrap();
    let bring = || l1.standing.lock().unwrap().insert(digest(1), B256::ZERO);
    bring();
    l1.mine(&before, BLOCKS - 10).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    drop(before);

    // Its terms have grown old meanwhile.
    l1.head.0.fetch_add(20, Ordering::SeqCst);
    let after = on(&store, &l1.head, l1.clone());
    let terms = after.open(&signed(1, 1).statement).await.unwrap();
    assert_eq!(u64::from(terms.reference_block()), HEAD + BLOCKS + 9);
    let progress = after.submit(signed(1, 1)).await.unwrap();
    assert!(matches!(progress, Progress::Confirmed(_)), "{progress:?}");
    drop(after);

    let last = on(&store, &l1.head, l1.clone());
    l1.reorganize();
    l1.mine(&last, 1).await;
    l1.mine(&last, 1).await;
    let collecting = Some(Progress::Collecting { signers: 2 });
    assert_eq!(last.progress(digest(1)), collecting);
    // Once L1 has had it for long enough, nobody is needed any more.
    bring();
    tokio::time::advance(Duration::from_secs(120)).await;
    for _ in 0..70 {
        l1.mine(&last, 1).await;
    }
    drop(last);
    let end = on(&store, &l1.head, l1.clone());
    let error = end.submit(signed(1, 2)).await.unwrap_err();
    assert!(matches!(error, AggregateError::TooLate(it) if it == digest(1)));
    assert_eq!(count(&store, Table::Signatures).await, 0);
    assert_eq!((l1.asked(), l1.sent()), (0, 0));
}

/// L1 lost an alert while no process looked, for longer than it is looked at. Who signs it before the first look
/// counts in terms of now, as all others do.
#[tokio::test(start_paused = true)]
async fn a_signature_that_comes_before_an_overdue_look_is_kept() {
    let (store, l1) = (MemoryStore::new(), Forgetful::new());
    let before = on(&store, &l1.head, l1.clone());
    sign_all(&before, 1, 0..3).await;
    confirmed(&before, 1).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    drop(before);
    l1.reorganize();
    l1.refuses.store(true, Ordering::SeqCst);
    l1.head.0.fetch_add(2 * BLOCKS, Ordering::SeqCst);
    let after = on(&store, &l1.head, l1.clone());
    let progress = after.submit(signed(1, 3)).await.unwrap();
    assert!(matches!(progress, Progress::Confirmed(_)), "{progress:?}");
    drop(after);
    let last = on(&store, &l1.head, l1.clone());
    for _ in 0..3 {
        l1.mine(&last, 1).await;
    }
    let reached = Some(Progress::Reached { signers: 4 });
    assert_eq!(last.progress(digest(1)), reached);
}

/// An L1 that replaces a block by another one of its height, which has the statement in another transaction.
struct Replacing {
    l1: Forgetful,
    replaces: Arc<AtomicBool>,
}

#[async_trait]
impl StatementReader for Replacing {
    async fn standing(&self, statement: &Statement) -> Result<L1Standing, ConfirmError> {
        self.l1.standing(statement).await
    }
}

#[async_trait]
impl StatementConfirmer for Replacing {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        let confirmation = self.l1.confirm(certificate).await?;
        Ok(match self.replaces.swap(false, Ordering::SeqCst) {
            true => Confirmation {
                transaction: Some(B256::repeat_byte(9)),
                l1_block: HEAD,
                ..confirmation
            },
            false => confirmation,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_in_another_block_of_its_height_is_looked_at_again() {
    let (store, l1, replaces) = (MemoryStore::new(), Forgetful::new(), Arc::default());
    let replacing = Replacing {
        l1: l1.clone(),
        replaces: Arc::clone(&replaces),
    };
    let aggregator = on(&store, &l1.head, replacing);
    sign_all(&aggregator, 1, 0..3).await;
    confirmed(&aggregator, 1).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    replaces.store(true, Ordering::SeqCst);
    l1.mine(&aggregator, 2).await;
    assert!(!replaces.load(Ordering::SeqCst));
    l1.reorganize();
    l1.mine(&aggregator, 2).await;
    assert_eq!(l1.sent(), 2);
    // A look at a time.
    assert_eq!(l1.asked(), 3);
}

/// Whom the aggregator cannot keep it tells so.
#[tokio::test]
async fn what_is_not_kept_is_not_acknowledged() {
    let (store, l1) = (MemoryStore::new(), FixedHead::new());
    let before = on(&store, &l1, Confirmer::default());
    sign_all(&before, 1, 0..3).await;
    confirmed(&before, 1).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    drop(before);
    l1.0.fetch_add(50, Ordering::SeqCst);
    let start = |registry: FixedRegistry, past: Past| {
        let registry = WithPast { registry, past };
        Aggregator::new(
            store.clone(),
            registry,
            l1.clone(),
            Confirmer::default(),
            config(),
        )
    };
    // Its certificate has no place for whoever came later, nor for strangers.
    let after = start(FixedRegistry::new(5), Past::Had(4));
    for index in [4, 9] {
        let error = after.submit(signed(1, index)).await.unwrap_err();
        assert!(matches!(error, AggregateError::UnknownOperator(it) if it == id(index)));
    }
    // Whoever is in it is not told otherwise.
    assert!(matches!(
        after.submit(signed(1, 0)).await,
        Ok(Progress::Confirmed(_))
    ));
    // L1 does not say any more who the operators were, or says another thing.
    for past in [Past::Unknown, Past::Had(6)] {
        let after = start(FixedRegistry::new(4), past);
        let error = after.submit(signed(1, 3)).await.unwrap_err();
        assert!(
            matches!(error, AggregateError::TooLate(it) if it == digest(1)),
            "{error}"
        );
        assert!(!error.is_transient());
    }
    let after = start(FixedRegistry::new(4), Past::Had(4));
    assert!(matches!(
        after.submit(signed(1, 3)).await,
        Ok(Progress::Confirmed(_))
    ));
    let certificate = after.certificate(digest(1)).await.unwrap().unwrap();
    assert!(certificate.non_signers.is_empty());
}

/// What a registry says of the blocks up to `HEAD`.
#[derive(Clone)]
enum Past {
    Unknown,
    Had(u64),
    /// It says nothing until then.
    Waits(Arc<Notify>),
}

struct WithPast {
    registry: FixedRegistry,
    past: Past,
}

#[async_trait]
impl OperatorRegistry for WithPast {
    async fn operator_set(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet, RegistryError> {
        if u64::from(reference_block) > HEAD {
            return self.registry.operator_set(quorums, reference_block).await;
        }
        match &self.past {
            Past::Unknown => Err(RegistryError::UnknownQuorum {
                quorum: 0,
                reference_block,
            }),
            Past::Had(count) => {
                let registry = FixedRegistry::new(*count);
                registry.operator_set(quorums, reference_block).await
            }
            Past::Waits(until) => {
                until.notified().await;
                self.registry.operator_set(quorums, reference_block).await
            }
        }
    }
}

/// Operators of long ago take L1 a while; rounds of now do not wait for that.
#[tokio::test]
async fn who_catches_up_holds_up_nobody() {
    let (store, l1) = (MemoryStore::new(), FixedHead::new());
    let before = on(&store, &l1, Confirmer::default());
    let old: Range<u64> = 0..3;
    for number in old.clone() {
        sign_all(&before, number, 0..3).await;
        confirmed(&before, number).await;
    }
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    drop(before);
    l1.0.fetch_add(50, Ordering::SeqCst);
    let until_then = Arc::new(Notify::new());
    let registry = WithPast {
        registry: FixedRegistry::new(4),
        past: Past::Waits(Arc::clone(&until_then)),
    };
    let after = Aggregator::new(
        store.clone(),
        registry,
        l1.clone(),
        Confirmer::default(),
        config(),
    );
    let late: Vec<_> = old
        .map(|number| {
            let after = after.clone();
            tokio::spawn(async move { after.submit(signed(number, 3)).await })
        })
        .collect();
    for number in 10..13 {
        tokio::time::sleep(Duration::from_millis(510)).await;
        // Each in a block of its own.
        l1.0.fetch_add(1, Ordering::SeqCst);
        let taken = tokio::time::timeout(Duration::from_secs(20), async {
            sign_all(&after, number, 0..3).await;
            confirmed(&after, number).await;
        });
        taken.await.expect("nobody waits for the past");
    }
    assert!(late.iter().all(|it| !it.is_finished()));
    // One read is enough for all who ask for the same block.
    until_then.notify_one();
    for late in late {
        assert!(matches!(late.await.unwrap(), Ok(Progress::Confirmed(_))));
    }
}
