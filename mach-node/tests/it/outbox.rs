//! What an operator has to say, through aggregators that are away and processes that die.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::{BufRead, BufReader, Write},
    num::NonZeroU64,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::B256;
use async_trait::async_trait;
use mach_core::{
    Attestation, BlockRef, Round, SignedStatement, Statement,
    ports::{
        AggregateError, AlertSink, ConfirmError, L1Standing, Progress, RegistryError,
        SignatureAggregator, SinkError, StatementReader,
    },
};
use mach_node::{
    Aggregator, Operator, OperatorConfig, Outbox, OutboxConfig, StoredGuard, TermsPolicy,
    store::{Change, Expected, MemoryStore, RedbStore, Store, StoreError, Table, Written},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    ports::{
        Confirmer, DOMAIN, FixedHead, HEAD, RETRY, ROLLUP, Unwritable, aggregator, alert,
        confirmed, digest, id, key, percent, quorums, until,
    },
    writes::{Writes, WrittenBy},
};

/// Some of all statements.
type Which = fn(&Statement) -> bool;

/// An aggregator that is away for the first tries, and records what it gets. There is a certificate with the
/// first signature, unless it is to wait for more.
#[derive(Clone, Default)]
struct Recorder {
    away: Arc<AtomicUsize>,
    refuses: bool,
    /// How often it answers that others have to sign.
    collects: Arc<AtomicUsize>,
    /// How many L1 blocks ago its rounds began, beside one.
    age: Arc<AtomicU64>,
    /// What it answers to the first signatures.
    errors: Arc<Mutex<VecDeque<AggregateError>>>,
    /// Nothing extends its certificates any more.
    is_late: bool,
    /// What it lets wait until whoever sends it gives up, as if its host were gone.
    hangs: Arc<Mutex<Option<Which>>>,
    /// How long it takes to answer.
    takes: Duration,
    /// Says what it gets before it acknowledges it.
    tells: bool,
    got: Arc<Mutex<Vec<SignedStatement>>>,
}

impl Recorder {
    fn away(tries: usize) -> Self {
        let this = Self::default();
        this.away.store(tries, Ordering::SeqCst);
        this
    }

    fn collecting(answers: usize) -> Self {
        let this = Self::default();
        this.collects.store(answers, Ordering::SeqCst);
        this
    }

    fn hanging(hangs: Which) -> Self {
        let this = Self::default();
        *this.hangs.lock().unwrap() = Some(hangs);
        this
    }

    /// Whether it is not there, this time.
    async fn is_away(&self, statement: &Statement) -> Result<(), AggregateError> {
        let hangs = *self.hangs.lock().unwrap();
        if hangs.is_some_and(|hangs| hangs(statement)) {
            // As long as `RemoteAggregator` waits.
            tokio::time::sleep(Duration::from_secs(30)).await;
            return Err(AggregateError::Backend("timed out".into()));
        }
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        let left = |tries: usize| tries.checked_sub(1);
        match (self.away).fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => Err(AggregateError::Backend("connection refused".into())),
            Err(_) => Ok(()),
        }
    }

    /// Heights of what it got, in order.
    fn got(&self) -> Vec<u64> {
        let got = self.got.lock().unwrap();
        got.iter().map(|it| it.statement.block().number).collect()
    }
}

#[async_trait]
impl SignatureAggregator for Recorder {
    async fn open(&self, statement: &Statement) -> Result<Round, AggregateError> {
        if self.refuses {
            return Err(AggregateError::UnknownRollup(statement.rollup_chain_id()));
        }
        self.is_away(statement).await?;
        let age = self.age.load(Ordering::SeqCst);
        let reference_block = u32::try_from(HEAD - 1 - age).unwrap();
        Ok(Round::new(quorums(), vec![percent(66)], reference_block).unwrap())
    }

    async fn submit(&self, signed: SignedStatement) -> Result<Progress, AggregateError> {
        self.is_away(&signed.statement).await?;
        if let Some(error) = self.errors.lock().unwrap().pop_front() {
            return Err(error);
        }
        if self.tells {
            let signature = alloy_primitives::hex::encode(signed.signature.0);
            say(&format!("got {} {signature}", signed.digest()));
        }
        let digest = signed.digest();
        self.got.lock().unwrap().push(signed);
        if self.is_late {
            return Err(AggregateError::TooLate(digest));
        }
        let left = |answers: usize| answers.checked_sub(1);
        let collects = (self.collects).fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        Ok(match collects {
            Ok(_) => Progress::Collecting { signers: 1 },
            Err(_) => Progress::Reached { signers: 3 },
        })
    }
}

fn operator_config() -> OperatorConfig {
    OperatorConfig {
        domain: DOMAIN,
        attest_every: None,
        terms: TermsPolicy {
            quorums: quorums(),
            least_threshold: percent(66),
            max_age: 100,
        },
        retry: RETRY,
    }
}

fn operator(store: impl Store + 'static, aggregators: &[Recorder]) -> Operator {
    let config = operator_config();
    let signer = mach_bls::LocalSigner::new(key(0));
    let aggregators = aggregators.iter().cloned();
    let aggregators = aggregators.map(|it| Arc::new(it) as Arc<dyn SignatureAggregator>);
    let guard = StoredGuard::new(store);
    Operator::new(
        signer,
        guard,
        aggregators.collect(),
        FixedHead::new(),
        config,
    )
}

/// An outbox that sends, until the guard is dropped.
async fn outbox<S: Store + Clone + 'static>(
    store: &S,
    aggregators: &[Recorder],
    config: OutboxConfig,
) -> (Outbox<S>, tokio_util::sync::DropGuard) {
    let operator = operator(store.clone(), aggregators);
    let outbox = Outbox::open(store.clone(), operator, None, config)
        .await
        .unwrap();
    let shutdown = CancellationToken::new();
    let (running, ended) = (outbox.clone(), shutdown.clone());
    tokio::spawn(async move { running.run(ended).await });
    (outbox, shutdown.drop_guard())
}

fn attestation(number: u64) -> Attestation {
    Attestation {
        rollup_chain_id: ROLLUP,
        block: BlockRef {
            number,
            hash: B256::from(alloy_primitives::U256::from(number)),
        },
        state_root: B256::ZERO,
        output_root: B256::ZERO,
    }
}

const EVERY: Option<NonZeroU64> = NonZeroU64::new(10);
const FOR_EVER: usize = usize::MAX;

#[tokio::test]
async fn what_no_aggregator_has_taken_is_sent_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operator.redb");
    {
        let store = RedbStore::open(&path).unwrap();
        let (outbox, running) =
            outbox(&store, &[Recorder::away(FOR_EVER)], OutboxConfig::default()).await;
        let sink = outbox.sink(EVERY);
        sink.attest(&attestation(10)).await.unwrap();
        // Only every tenth is said.
        sink.attest(&attestation(11)).await.unwrap();
        sink.raise(&alert(12)).await.unwrap();
        sink.raise(&alert(12)).await.unwrap();
        assert_eq!(outbox.status().waiting, 2);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!((outbox.status().waiting, outbox.status().accepted), (2, 0));
        drop(running);
        drop((outbox, sink));
    }
    // Its task ends, and with it the store.
    until(|| RedbStore::open(&path).is_ok()).await;
    let recorder = Recorder::default();
    {
        let store = RedbStore::open(&path).unwrap();
        let (outbox, _running) = outbox(
            &store,
            std::slice::from_ref(&recorder),
            OutboxConfig::default(),
        )
        .await;
        assert_eq!(outbox.status().waiting, 2);
        until(|| outbox.status().waiting == 0).await;
        // The alert was said later, and goes first.
        assert_eq!(recorder.got(), [12, 10]);
        assert_eq!(outbox.status().accepted, 2);
        let signed = recorder.got.lock().unwrap()[0].clone();
        assert_eq!(signed.operator, id(0));
        assert_eq!(signed.signature, key(0).sign(signed.digest()).to_bytes());
    }
    until(|| RedbStore::open(&path).is_ok()).await;
    let store = RedbStore::open(&path).unwrap();
    let (outbox, _running) = outbox(&store, &[], OutboxConfig::default()).await;
    assert_eq!(outbox.status().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn every_aggregator_gets_it_once_it_is_back() {
    let (near, far) = (Recorder::default(), Recorder::away(5));
    let aggregators = [near.clone(), far.clone()];
    let (outbox, _running) = outbox(
        &Arc::new(MemoryStore::new()),
        &aggregators,
        OutboxConfig::default(),
    )
    .await;
    outbox.sink(None).raise(&alert(1)).await.unwrap();
    until(|| outbox.status().waiting == 0).await;
    assert_eq!((near.got(), far.got()), (vec![1], vec![1]));
    let status = outbox.status();
    assert_eq!(
        (status.received, status.accepted, status.refused),
        (1, 1, 0)
    );
}

/// The host of one of them is gone, for five minutes: what is sent there nobody answers.
#[tokio::test(start_paused = true)]
async fn an_aggregator_that_does_not_answer_holds_up_no_other() {
    let near = Recorder::collecting(FOR_EVER);
    let far = Recorder {
        collects: Arc::new(AtomicUsize::new(FOR_EVER)),
        ..Recorder::hanging(|_| true)
    };
    let aggregators = [near.clone(), far.clone()];
    let store = Arc::new(MemoryStore::new());
    let (outbox, _running) = outbox(&store, &aggregators, OutboxConfig::default()).await;
    let sink = outbox.sink(NonZeroU64::new(1));
    let begun = tokio::time::Instant::now();
    let mut all: HashSet<u64> = (0..200).collect();
    for number in 0..200 {
        sink.attest(&attestation(number)).await.unwrap();
    }
    let has_all = |it: &Recorder, all: &HashSet<u64>| HashSet::from_iter(it.got()) == *all;
    until(|| has_all(&near, &all)).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    for number in 200..500 {
        let begun = tokio::time::Instant::now();
        sink.attest(&attestation(number)).await.unwrap();
        all.insert(number);
        until(|| has_all(&near, &all)).await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{number}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(far.got(), [0; 0]);
    *far.hangs.lock().unwrap() = None;
    until(|| has_all(&far, &all)).await;
    let status = outbox.status();
    assert_eq!((status.waiting, status.accepted), (500, 500));
    assert_eq!((status.refused, status.given_up), (0, 0));
}

/// Whether the only one that there is does not answer, or one of two.
#[tokio::test(start_paused = true)]
async fn an_alert_does_not_wait_behind_attestations_that_are_stuck() {
    for others in [0, 1] {
        let recorder = Recorder::hanging(|it| matches!(it, Statement::Attestation(_)));
        let mut aggregators = vec![recorder.clone()];
        aggregators.extend((0..others).map(|_| Recorder::hanging(|_| true)));
        let store = Arc::new(MemoryStore::new());
        let (outbox, _running) = outbox(&store, &aggregators, OutboxConfig::default()).await;
        let sink = outbox.sink(NonZeroU64::new(1));
        for number in 0..200 {
            sink.attest(&attestation(number)).await.unwrap();
        }
        for number in 200..220 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            sink.raise(&alert(number)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert_eq!(recorder.got(), (200..=number).collect::<Vec<_>>());
        }
    }
}

/// What is answered after a while counts, and is not sent twice.
#[tokio::test(start_paused = true)]
async fn a_slow_aggregator_is_heard() {
    let (near, far) = (
        Recorder::default(),
        Recorder {
            takes: Duration::from_secs(5),
            ..Recorder::default()
        },
    );
    let aggregators = [near.clone(), far.clone()];
    let store = Arc::new(MemoryStore::new());
    let (outbox, _running) = outbox(&store, &aggregators, OutboxConfig::default()).await;
    let sink = outbox.sink(None);
    for number in 0..100 {
        sink.raise(&alert(number)).await.unwrap();
    }
    until(|| outbox.status().waiting == 0).await;
    for recorder in [near, far] {
        let mut got = recorder.got();
        got.sort_unstable();
        assert_eq!(got, (0..100).collect::<Vec<_>>());
    }
    let status = outbox.status();
    assert_eq!((status.accepted, status.given_up), (100, 0));
    assert!(
        store
            .scan(Table::Outbox, &[], None, 1)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn an_aggregator_that_stays_away_is_given_up_once_another_has_it() {
    let (near, far) = (Recorder::default(), Recorder::away(FOR_EVER));
    let config = OutboxConfig {
        resend_for: Duration::ZERO,
        ..OutboxConfig::default()
    };
    let (outbox, _running) =
        outbox(&Arc::new(MemoryStore::new()), &[near.clone(), far], config).await;
    outbox.sink(None).raise(&alert(1)).await.unwrap();
    until(|| outbox.status().waiting == 0).await;
    assert_eq!(near.got(), [1]);
    assert_eq!(outbox.status().accepted, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_not_sent_again() {
    let store = Arc::new(MemoryStore::new());
    let refusing = Recorder {
        refuses: true,
        ..Recorder::default()
    };
    let (outbox, _running) = outbox(&store, &[refusing], OutboxConfig::default()).await;
    let sink = outbox.sink(NonZeroU64::new(1));
    sink.attest(&attestation(1)).await.unwrap();
    until(|| outbox.status().refused == 1).await;
    assert_eq!(outbox.status().waiting, 0);
}

/// The operator has said something else, and says no more, whoever would take it.
#[tokio::test(start_paused = true)]
async fn an_alert_that_contradicts_what_was_signed_is_not_sent() {
    let store = Arc::new(MemoryStore::new());
    let recorder = Recorder::default();
    let aggregators = std::slice::from_ref(&recorder);
    let (outbox, _running) = outbox(&store, aggregators, OutboxConfig::default()).await;
    let sink = outbox.sink(NonZeroU64::new(1));
    sink.attest(&attestation(1)).await.unwrap();
    until(|| recorder.got() == [1]).await;
    sink.raise(&alert(1)).await.unwrap();
    until(|| outbox.status().refused == 1).await;
    assert_eq!((outbox.status().waiting, recorder.got()), (0, vec![1]));
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_old_attestations_give_way_and_alerts_do_not() {
    let config = OutboxConfig {
        limit: 2,
        ..OutboxConfig::default()
    };
    let recorder = Recorder::away(FOR_EVER);
    let operator = operator(
        Arc::new(MemoryStore::new()),
        std::slice::from_ref(&recorder),
    );
    let store = Arc::new(MemoryStore::new());
    let outbox = Outbox::open(Arc::clone(&store), operator, None, config)
        .await
        .unwrap();
    let sink = outbox.sink(NonZeroU64::new(1));
    sink.attest(&attestation(1)).await.unwrap();
    sink.attest(&attestation(2)).await.unwrap();
    sink.raise(&alert(3)).await.unwrap();
    sink.raise(&alert(4)).await.unwrap();
    let status = outbox.status();
    assert_eq!((status.waiting, status.given_up), (2, 2));
    let error = sink.raise(&alert(5)).await.unwrap_err();
    assert!(matches!(error, SinkError::Backend(_)), "{error}");
}

/// A full disk costs nothing of what waits, however often it is tried.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_takes_nobodys_place() {
    let store = Arc::new(Unwritable::default());
    let recorder = Recorder::away(FOR_EVER);
    let config = OutboxConfig {
        limit: 2,
        ..OutboxConfig::default()
    };
    let aggregators = std::slice::from_ref(&recorder);
    let (outbox, _running) = outbox(&store, aggregators, config).await;
    let sink = outbox.sink(NonZeroU64::new(1));
    sink.attest(&attestation(1)).await.unwrap();
    sink.attest(&attestation(2)).await.unwrap();
    store.fail(true);
    for _ in 0..3 {
        sink.attest(&attestation(3)).await.unwrap_err();
    }
    let status = outbox.status();
    assert_eq!((status.waiting, status.given_up), (2, 0));
    store.fail(false);
    recorder.away.store(0, Ordering::SeqCst);
    until(|| outbox.status().waiting == 0).await;
    assert_eq!(HashSet::from_iter(recorder.got()), HashSet::from([1, 2]));
}

/// A removal is taken, and made later, while others write.
struct SlowRemoval {
    begun: Semaphore,
    /// As many removals are made as there are permits.
    made: Semaphore,
    ended: Semaphore,
}

#[async_trait]
impl Writes for SlowRemoval {
    async fn write(
        &self,
        store: &MemoryStore,
        changes: Vec<Change>,
    ) -> Result<Written, StoreError> {
        if !changes.iter().any(|change| change.value.is_none()) {
            return store.write(changes).await;
        }
        self.begun.add_permits(1);
        self.made.acquire().await.unwrap().forget();
        let written = store.write(changes).await;
        self.ended.add_permits(1);
        written
    }
}

/// The rollup goes back to the same block while the outbox is done with it: what is said again is there
/// after a crash.
#[tokio::test(start_paused = true)]
async fn what_is_said_again_while_it_is_removed_is_durable() {
    let store = Arc::new(WrittenBy::from(SlowRemoval {
        begun: Semaphore::new(0),
        made: Semaphore::new(0),
        ended: Semaphore::new(0),
    }));
    let recorder = Recorder::default();
    let aggregators = std::slice::from_ref(&recorder);
    let (outbox, running) = outbox(&store, aggregators, OutboxConfig::default()).await;
    outbox.sink(None).raise(&alert(1)).await.unwrap();
    let _ = store.begun.acquire().await.unwrap();
    assert_eq!(recorder.got(), [1]);
    // Nobody is there to take it the second time.
    recorder.away.store(FOR_EVER, Ordering::SeqCst);
    let (sink, said) = (outbox.sink(None), alert(1));
    let mut again = tokio::spawn(async move { sink.raise(&said).await });
    // It may be accepted before the removal is made, and if so is durable all the same.
    let early = tokio::time::timeout(Duration::from_secs(1), &mut again).await;
    store.made.add_permits(1);
    match early {
        Ok(accepted) => accepted.unwrap().unwrap(),
        Err(_) => again.await.unwrap().unwrap(),
    }
    let _ = store.ended.acquire().await.unwrap();
    drop((running, outbox));
    let rows = store.scan(Table::Outbox, &[], None, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
}

/// What an aggregator has acknowledged it may still forget, until there is a certificate.
#[tokio::test(start_paused = true)]
async fn an_alert_is_sent_until_there_is_a_certificate() {
    let recorder = Recorder::collecting(5);
    let aggregators = std::slice::from_ref(&recorder);
    // Its time is over at once, which an alert does not mind.
    let config = OutboxConfig {
        resend_for: Duration::ZERO,
        ..OutboxConfig::default()
    };
    let store = Arc::new(MemoryStore::new());
    let (outbox, _running) = outbox(&store, aggregators, config).await;
    outbox.sink(None).raise(&alert(1)).await.unwrap();
    until(|| recorder.got().len() == 1).await;
    let status = outbox.status();
    assert_eq!((status.waiting, status.accepted), (1, 1));
    for (minutes, expected) in [(1, 2..=2), (60, 6..=6), (600, 6..=6)] {
        tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
        assert!(
            expected.contains(&recorder.got().len()),
            "{}",
            recorder.got().len()
        );
    }
    let status = outbox.status();
    assert_eq!((status.waiting, status.held, status.accepted), (0, 0, 1));
    // The remote signer was asked once, and it is the same signature all the time.
    let got = recorder.got.lock().unwrap();
    assert!(got.iter().all(|it| *it == got[0]));
}

/// The aggregator has it: it is reminded ever more seldom, by the next process too, for as long as it takes.
#[tokio::test(start_paused = true)]
async fn an_alert_that_nobody_joins_costs_little() {
    let recorder = Recorder::collecting(FOR_EVER);
    let aggregators = std::slice::from_ref(&recorder);
    let store = Arc::new(MemoryStore::new());
    for day in 1..=2 {
        let (outbox, _running) = outbox(&store, aggregators, OutboxConfig::default()).await;
        outbox.sink(None).raise(&alert(1)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        let status = outbox.status();
        assert_eq!((status.waiting, status.held, status.given_up), (1, 1, 0));
        let sent = recorder.got().len() / day;
        assert!((80..120).contains(&sent), "{sent} in a day");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attestation_is_given_up_when_it_can_no_longer_matter() {
    // A later one of its rollup has a certificate, and this one has none.
    let recorder = Recorder::collecting(2);
    let aggregators = std::slice::from_ref(&recorder);
    let store = Arc::new(MemoryStore::new());
    {
        let (outbox, _running) = outbox(&store, aggregators, OutboxConfig::default()).await;
        let sink = outbox.sink(NonZeroU64::new(1));
        for number in [1, 3] {
            sink.attest(&attestation(number)).await.unwrap();
        }
        until(|| recorder.got().len() == 2).await;
        for number in [4, 2] {
            sink.attest(&attestation(number)).await.unwrap();
        }
        until(|| recorder.got().len() == 4).await;
        assert_eq!(outbox.status().held, 2);
        until(|| outbox.status().waiting == 0).await;
        assert_eq!((recorder.got().len(), outbox.status().given_up), (4, 2));
    }
    // Its time is over.
    let recorder = Recorder::collecting(FOR_EVER);
    let config = OutboxConfig {
        resend_for: Duration::ZERO,
        ..OutboxConfig::default()
    };
    let aggregators = std::slice::from_ref(&recorder);
    let (outbox, _running) = outbox(&store, aggregators, config).await;
    outbox
        .sink(NonZeroU64::new(1))
        .attest(&attestation(7))
        .await
        .unwrap();
    until(|| outbox.status().given_up == 1).await;
    assert_eq!((outbox.status().waiting, recorder.got().len()), (0, 1));
}

/// The clock went an hour forward since, or back: what an aggregator waits with is sent for as long as ever.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_nothing_early_or_late() {
    let seconds = |row: &serde_json::Value| row["queuedAt"].as_u64().unwrap();
    for jump in [3600_i64, -3600] {
        let store = Arc::new(MemoryStore::new());
        let away = Recorder::away(FOR_EVER);
        let (before, running) = outbox(&store, &[away], OutboxConfig::default()).await;
        let sink = before.sink(NonZeroU64::new(1));
        sink.attest(&attestation(1)).await.unwrap();
        drop(running);
        let (key, value) = store
            .scan(Table::Outbox, &[], None, 1)
            .await
            .unwrap()
            .remove(0);
        let mut row: serde_json::Value = serde_json::from_slice(&value).unwrap();
        row["queuedAt"] = seconds(&row).saturating_add_signed(-jump).into();
        let change = Change {
            table: Table::Outbox,
            key,
            expected: Expected::Value(value),
            value: Some(serde_json::to_vec(&row).unwrap()),
        };
        assert_eq!(store.write(vec![change]).await.unwrap(), Written::Applied);

        let recorder = Recorder::collecting(FOR_EVER);
        let aggregators = std::slice::from_ref(&recorder);
        let (outbox, _running) = outbox(&store, aggregators, OutboxConfig::default()).await;
        tokio::time::sleep(Duration::from_secs(3500)).await;
        let status = outbox.status();
        assert_eq!((status.waiting, status.given_up), (1, 0), "{jump}");
        // The next reminder is a quarter of an hour later, more or less.
        tokio::time::sleep(Duration::from_secs(1300)).await;
        let status = outbox.status();
        assert_eq!((status.waiting, status.given_up), (0, 1), "{jump}");
    }
}

/// Operators who were away for long are told so, and nothing is wrong.
#[tokio::test(start_paused = true)]
async fn what_comes_too_late_is_settled_without_alarm() {
    let too_old = Recorder {
        age: Arc::new(AtomicU64::new(101)),
        ..Recorder::default()
    };
    let too_late = Recorder {
        is_late: true,
        ..Recorder::default()
    };
    for recorder in [too_old, too_late] {
        let aggregators = std::slice::from_ref(&recorder);
        let store = Arc::new(MemoryStore::new());
        let (outbox, _running) = outbox(&store, aggregators, OutboxConfig::default()).await;
        outbox
            .sink(NonZeroU64::new(1))
            .attest(&attestation(1))
            .await
            .unwrap();
        until(|| outbox.status().waiting == 0).await;
        let status = outbox.status();
        assert_eq!((status.refused, status.given_up), (0, 0));
        assert_eq!(recorder.got().len(), usize::from(recorder.is_late));
    }
}

/// Terms of long ago, because its aggregator does not see L1: what is signed is not in them, and what is not
/// waits for others.
#[tokio::test(start_paused = true)]
async fn an_alert_outlasts_terms_of_long_ago() {
    // Its time is over at once, which an alert does not mind.
    let config = OutboxConfig {
        resend_for: Duration::ZERO,
        ..OutboxConfig::default()
    };
    for is_signed in [true, false] {
        let recorder = Recorder::collecting(FOR_EVER);
        let aggregators = std::slice::from_ref(&recorder);
        let store = Arc::new(MemoryStore::new());
        let (outbox, _running) = outbox(&store, aggregators, config).await;
        let age = |blocks| recorder.age.store(blocks, Ordering::SeqCst);
        age(if is_signed { 0 } else { 101 });
        outbox.sink(None).raise(&alert(1)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        age(101);
        tokio::time::sleep(Duration::from_secs(7200)).await;
        let status = outbox.status();
        assert_eq!((status.waiting, status.refused, status.given_up), (1, 0, 0));
        assert_eq!(status.held, usize::from(is_signed));
        let got = recorder.got().len();
        assert_eq!(got > 5, is_signed, "{got}");
        age(0);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(recorder.got().len() > got);
        assert_eq!(outbox.status().held, 1);
    }
}

/// An operator that registers now, an L1 that answered with nonsense, an aggregator that is set up wrongly.
#[tokio::test(start_paused = true)]
async fn an_alert_is_sent_again_after_refusals_that_pass() {
    let (quorum, reference_block) = (0, 7);
    let passing = || {
        [
            AggregateError::Registry(RegistryError::Malformed("nonsense".into())),
            AggregateError::Registry(RegistryError::UnknownQuorum {
                quorum,
                reference_block,
            }),
            AggregateError::UnknownOperator(id(0)),
            AggregateError::UnknownRollup(ROLLUP),
            AggregateError::BadSignature(id(0)),
        ]
    };
    let recorder = Recorder::default();
    recorder.errors.lock().unwrap().extend(passing());
    let aggregators = std::slice::from_ref(&recorder);
    let store = Arc::new(MemoryStore::new());
    let (outbox, _running) = outbox(&store, aggregators, OutboxConfig::default()).await;
    let sink = outbox.sink(NonZeroU64::new(1));
    sink.raise(&alert(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    // It is not in a hurry.
    let left = recorder.errors.lock().unwrap().len();
    let status = outbox.status();
    assert_eq!((left, status.waiting, status.held), (4, 1, 0));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let status = outbox.status();
    assert_eq!((status.waiting, status.accepted, status.refused), (0, 1, 0));
    assert_eq!(recorder.got(), [1]);
    // An attestation is not worth it: a later one covers it.
    recorder.errors.lock().unwrap().extend(passing());
    sink.attest(&attestation(2)).await.unwrap();
    until(|| outbox.status().refused == 1).await;
    assert_eq!(outbox.status().waiting, 0);
}

/// Three operators, one of whom alerts before the aggregator loses all that it has, and two after it.
#[tokio::test(start_paused = true)]
async fn an_aggregator_that_lost_an_alert_is_told_again() {
    let confirmer = Confirmer::default();
    let replaced = Replaced(Arc::new(Mutex::new(aggregator(&confirmer))));
    let mut running = Vec::new();
    for index in 0..3 {
        let operator = Operator::new(
            mach_bls::LocalSigner::new(key(index)),
            StoredGuard::new(MemoryStore::new()),
            vec![Arc::new(replaced.clone())],
            FixedHead::new(),
            operator_config(),
        );
        let config = OutboxConfig::default();
        let outbox = Outbox::open(MemoryStore::new(), operator, None, config)
            .await
            .unwrap();
        let shutdown = CancellationToken::new();
        let (sending, ended) = (outbox.clone(), shutdown.clone());
        tokio::spawn(async move { sending.run(ended).await });
        running.push(shutdown.drop_guard());
        outbox.sink(None).raise(&alert(1)).await.unwrap();
        let collecting = Some(Progress::Collecting { signers: 1 });
        if index == 0 {
            until(|| replaced.now().progress(digest(1)) == collecting).await;
            *replaced.0.lock().unwrap() = aggregator(&confirmer);
            assert_eq!(replaced.now().progress(digest(1)), None);
        }
    }
    confirmed(&replaced.now(), 1).await;
    assert_eq!(confirmer.certificates().len(), 1);
}

/// An aggregator in whose place comes another one.
#[derive(Clone)]
struct Replaced(Arc<Mutex<Aggregator>>);

impl Replaced {
    fn now(&self) -> Aggregator {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl SignatureAggregator for Replaced {
    async fn open(&self, statement: &Statement) -> Result<Round, AggregateError> {
        self.now().open(statement).await
    }

    async fn submit(&self, signed: SignedStatement) -> Result<Progress, AggregateError> {
        self.now().submit(signed).await
    }
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_taken() {
    let store = Arc::new(Unwritable::default());
    store.fail(true);
    let operator = operator(MemoryStore::new(), &[Recorder::default()]);
    let outbox = Outbox::open(Arc::clone(&store), operator, None, OutboxConfig::default()).await;
    let outbox = outbox.unwrap();
    let error = outbox.sink(None).raise(&alert(1)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(outbox.status().waiting, 0);
}

/// An L1 that has one thing to say at a time, and counts how often it is asked.
struct Says(Mutex<L1Standing>, AtomicUsize);

#[async_trait]
impl StatementReader for Says {
    async fn standing(&self, _: &Statement) -> Result<L1Standing, ConfirmError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(*self.0.lock().unwrap())
    }
}

/// Two aggregators have the alert and wait for others to sign, while L1 has it by a third one, or has had it.
/// Attestations are not asked for: a later one covers them.
#[tokio::test(start_paused = true)]
async fn l1_says_when_an_alert_is_needed_no_more() {
    for (standing, expected) in [
        (L1Standing::Stands, Some(0)),
        (L1Standing::Withdrawn, Some(1)),
        (L1Standing::Absent, None),
    ] {
        let store = MemoryStore::new();
        let recorders = [Recorder::collecting(1000), Recorder::collecting(1000)];
        let l1 = Arc::new(Says(Mutex::new(standing), AtomicUsize::new(0)));
        let operator = operator(store.clone(), &recorders);
        let reader = Some(Arc::<Says>::clone(&l1) as Arc<dyn StatementReader>);
        let config = OutboxConfig {
            resend_for: Duration::MAX,
            ..OutboxConfig::default()
        };
        let outbox = Outbox::open(store.clone(), operator, reader, config);
        let outbox = outbox.await.unwrap();
        let (running, shutdown) = (outbox.clone(), CancellationToken::new());
        let ended = shutdown.clone();
        tokio::spawn(async move { running.run(ended).await });
        let _running = shutdown.drop_guard();
        let sink = outbox.sink(NonZeroU64::new(1));
        sink.raise(&alert(1)).await.unwrap();
        sink.attest(&attestation(2)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
        let sent = |number| {
            let got = recorders.iter().flat_map(Recorder::got);
            got.filter(|it| *it == number).count()
        };
        // A short while says nothing: L1 may take it back.
        assert_eq!(outbox.status().waiting, 2, "{standing:?}");
        let asked = l1.1.load(Ordering::SeqCst);
        match expected {
            Some(withdrawn) => {
                assert_eq!(sent(1), 2, "{standing:?}");
                assert!((3..=6).contains(&asked), "{asked}");
                assert_eq!(outbox.status().withdrawn, 0);
                tokio::time::sleep(Duration::from_secs(1800)).await;
                assert_eq!(sent(1), 2, "{standing:?}");
                assert_eq!(outbox.status().withdrawn, withdrawn);
                assert_eq!(outbox.status().waiting, 1);
            }
            None => {
                // Before each reminder, and no oftener.
                assert_eq!(sent(1), 2 * (asked + 1), "{standing:?}");
                assert!((3..=6).contains(&asked), "{asked}");
                assert_eq!(outbox.status().waiting, 2);
            }
        }
        assert!(sent(2) > 4);
    }
}

/// That there is a certificate is easily said. The other aggregator, which waits for signatures, is reminded
/// until L1 has the alert, and so is whoever said so alone.
#[tokio::test(start_paused = true)]
async fn no_aggregator_makes_an_alert_forgotten() {
    let honest = Recorder::collecting(FOR_EVER);
    let late = Recorder {
        is_late: true,
        ..Recorder::default()
    };
    for recorders in [
        vec![Recorder::default(), honest.clone()],
        vec![Recorder::default()],
        vec![late],
    ] {
        let store = MemoryStore::new();
        let l1 = Arc::new(Says(Mutex::new(L1Standing::Absent), AtomicUsize::new(0)));
        let operator = operator(store.clone(), &recorders);
        let reader = Some(Arc::<Says>::clone(&l1) as Arc<dyn StatementReader>);
        // Its time is over at once, which an alert does not mind.
        let config = OutboxConfig {
            resend_for: Duration::ZERO,
            ..OutboxConfig::default()
        };
        let outbox = Outbox::open(store, operator, reader, config).await.unwrap();
        let (running, shutdown) = (outbox.clone(), CancellationToken::new());
        let ended = shutdown.clone();
        tokio::spawn(async move { running.run(ended).await });
        let _running = shutdown.drop_guard();
        outbox.sink(None).raise(&alert(1)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(7200)).await;
        assert_eq!(outbox.status().waiting, 1);
        for recorder in &recorders {
            assert!(recorder.got().len() > 5, "{:?}", recorder.got());
        }
        *l1.0.lock().unwrap() = L1Standing::Stands;
        tokio::time::sleep(Duration::from_secs(7200)).await;
        let status = outbox.status();
        assert_eq!((status.waiting, status.given_up), (0, 0));
    }
}

const STORE: &str = "MACH_OUTBOX_STORE";

/// The process that is killed: says what is durable, and what its aggregator got.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test below"]
async fn child() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let store = RedbStore::open(path).unwrap();
    let recorder = Recorder {
        tells: true,
        ..Recorder::away(3)
    };
    let aggregators = std::slice::from_ref(&recorder);
    let (outbox, _running) = outbox(&store, aggregators, OutboxConfig::default()).await;
    let sink = outbox.sink(NonZeroU64::new(1));
    let first = u64::from(std::process::id()) << 20;
    for number in first.. {
        sink.attest(&attestation(number)).await.unwrap();
        say(&format!("put {number}"));
    }
}

/// One write a line: a line is whole or not there.
fn say(line: &str) {
    let line = format!("\n{line}.\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// Nothing that was durable is lost, and a statement that comes twice comes with one signature.
#[tokio::test]
async fn a_killed_operator_says_all_that_it_had_to_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operator.redb");
    let mut put = HashSet::new();
    let mut signatures: HashMap<String, String> = HashMap::new();
    let mut note = |digest: String, signature: String| {
        let earlier = signatures
            .entry(digest)
            .or_insert_with(|| signature.clone());
        assert_eq!(*earlier, signature);
    };
    let kills = std::env::var("MACH_KILLS").map_or(10, |it| it.parse().unwrap());
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "outbox::child", "--ignored", "--nocapture"])
            .env(STORE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = output.lines().map_while(Result::ok);
        let mut said = Vec::new();
        for line in lines.by_ref() {
            let is_put = line.starts_with("put ");
            said.push(line);
            if is_put {
                break;
            }
        }
        let reader = std::thread::spawn(move || lines.collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(kill % 10 * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in said.into_iter().chain(reader.join().unwrap()) {
            let Some(line) = line.strip_suffix('.') else {
                continue;
            };
            if let Some(number) = line.strip_prefix("put ") {
                put.insert(number.parse::<u64>().unwrap());
            } else if let Some((digest, signature)) =
                line.strip_prefix("got ").and_then(|it| it.split_once(' '))
            {
                note(digest.to_owned(), signature.to_owned());
            }
        }
    }
    assert!(put.len() >= 10, "{}", put.len());
    let recorder = Recorder::default();
    let store = RedbStore::open(&path).unwrap();
    let aggregators = std::slice::from_ref(&recorder);
    let (outbox, _running) = outbox(&store, aggregators, OutboxConfig::default()).await;
    until(|| outbox.status().waiting == 0).await;
    for signed in recorder.got.lock().unwrap().iter() {
        let signature = alloy_primitives::hex::encode(signed.signature.0);
        note(signed.digest().to_string(), signature);
    }
    for number in put {
        let digest = Statement::from(attestation(number)).digest(&DOMAIN);
        assert!(
            signatures.contains_key(&digest.to_string()),
            "{number} is lost"
        );
    }
}
