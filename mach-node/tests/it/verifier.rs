use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_consensus::Header;
use alloy_primitives::B256;
use async_trait::async_trait;
use mach_core::{
    Alert, Assurance, Attestation, BlockRef, ExecutionSummary, Fault, L2Block, Mismatch, Verdict,
    ports::{AlertSink, BlockValidator, L2Head, L2Source, SinkError, SourceError, ValidateError},
};
use mach_node::{MAX_DELIVERIES, SHUTDOWN_GRACE, Verifier, VerifierConfig, VerifierStatus};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ports::{RETRY, ROLLUP, until};

/// What happens at one look at a block.
#[derive(Clone, Copy, Debug)]
enum Look {
    Valid,
    /// Valid on a parent that the source did not give before.
    Orphan,
    OnClaim,
    Invalid,
    NotYet,
    NotHeld,
    SourceDown,
    Incomplete,
    Unsupported,
}

/// A rollup of which every look at a block has its script; without one, a block is valid.
#[derive(Clone, Default)]
struct Rollup(Arc<RollupState>);

#[derive(Default)]
struct RollupState {
    head: AtomicU64,
    script: Mutex<BTreeMap<u64, VecDeque<Look>>>,
    looks: Mutex<BTreeMap<u64, usize>>,
}

impl Rollup {
    fn new(head: u64, script: impl IntoIterator<Item = (u64, Vec<Look>)>) -> Self {
        let rollup = Self::default();
        rollup.0.head.store(head, Ordering::SeqCst);
        let script = script
            .into_iter()
            .map(|(number, looks)| (number, looks.into()));
        rollup.0.script.lock().unwrap().extend(script);
        rollup
    }

    fn looks(&self, number: u64) -> usize {
        let looks = self.0.looks.lock().unwrap();
        looks.get(&number).copied().unwrap_or_default()
    }

    fn next_look(&self, number: u64) -> Option<Look> {
        let script = self.0.script.lock().unwrap();
        script.get(&number)?.front().copied()
    }

    fn done_looking(&self, number: u64) {
        if let Some(looks) = self.0.script.lock().unwrap().get_mut(&number) {
            looks.pop_front();
        }
    }
}

/// Header of a chain in which each block names the one before it.
fn header(number: u64) -> Header {
    (1..=number).fold(Header::default(), |parent, number| Header {
        number,
        parent_hash: parent.hash_slow(),
        ..Default::default()
    })
}

#[async_trait]
impl L2Source for Rollup {
    fn chain_id(&self) -> u64 {
        ROLLUP
    }

    async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
        let number = self.0.head.load(Ordering::SeqCst);
        Ok(L2Block::new(ROLLUP, header(number), Vec::new()).reference())
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        *self.0.looks.lock().unwrap().entry(number).or_default() += 1;
        let error = match self.next_look(number) {
            Some(Look::NotYet) => SourceError::NotYet(number),
            Some(Look::NotHeld) => SourceError::NotHeld(number),
            Some(Look::SourceDown) => SourceError::Backend("no answer".into()),
            Some(Look::Orphan) => {
                let parent_hash = B256::repeat_byte(9);
                let header = Header {
                    parent_hash,
                    ..header(number)
                };
                return Ok(L2Block::new(ROLLUP, header, Vec::new()));
            }
            _ => {
                return Ok(L2Block::new(ROLLUP, header(number), Vec::new()));
            }
        };
        self.done_looking(number);
        Err(error)
    }
}

#[async_trait]
impl BlockValidator for Rollup {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let block = block.reference();
        let look = self.next_look(block.number).unwrap_or(Look::Valid);
        self.done_looking(block.number);
        let source = "as the script says".into();
        let summary = |assurance| {
            Verdict::Valid(ExecutionSummary {
                block,
                gas_used: 21_000,
                transactions: 1,
                state_root: B256::repeat_byte(1),
                output_root: None,
                assurance,
            })
        };
        match look {
            Look::Valid | Look::Orphan => Ok(summary(Assurance::Executed)),
            Look::OnClaim => Ok(summary(Assurance::ExecutedOnClaim)),
            Look::Invalid => Ok(Verdict::Invalid(Fault::GasUsed(Mismatch {
                claimed: 1,
                computed: 2,
            }))),
            Look::Incomplete => Err(ValidateError::Incomplete {
                block: block.number,
                source,
            }),
            Look::Unsupported => Err(ValidateError::Unsupported {
                block: block.number,
                source,
            }),
            other => unreachable!("{other:?} is the source's"),
        }
    }
}

/// Records what it takes; fails as often as it is told; takes nothing while it hangs.
#[derive(Clone, Default)]
struct Sink(Arc<SinkState>);

#[derive(Default)]
struct SinkState {
    alerts: Mutex<Vec<u64>>,
    attestations: Mutex<Vec<u64>>,
    transient_failures: AtomicUsize,
    refuses: bool,
    hangs: bool,
    held: AtomicUsize,
}

impl Sink {
    fn with(change: impl FnOnce(&mut SinkState)) -> Self {
        let mut state = SinkState::default();
        change(&mut state);
        Self(Arc::new(state))
    }

    fn alerts(&self) -> Vec<u64> {
        self.0.alerts.lock().unwrap().clone()
    }

    fn attestations(&self) -> Vec<u64> {
        self.0.attestations.lock().unwrap().clone()
    }

    async fn admit(&self) -> Result<(), SinkError> {
        if self.0.hangs {
            self.0.held.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        if self.0.refuses {
            return Err(SinkError::Refused("no".into()));
        }
        let left = |failures: usize| failures.checked_sub(1);
        match (self.0.transient_failures).fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => Err(SinkError::Backend("not now".into())),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl AlertSink for Sink {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        self.admit().await?;
        self.0.alerts.lock().unwrap().push(alert.block.number);
        Ok(())
    }

    async fn attest(&self, attestation: &Attestation) -> Result<(), SinkError> {
        self.admit().await?;
        let mut attestations = self.0.attestations.lock().unwrap();
        attestations.push(attestation.block.number);
        Ok(())
    }
}

fn verifier(rollup: &Rollup, sink: &Sink) -> Arc<Verifier<Rollup, Rollup, Sink>> {
    let config = VerifierConfig {
        retry: RETRY,
        ..VerifierConfig::new(1)
    };
    Arc::new(Verifier::new(
        rollup.clone(),
        rollup.clone(),
        sink.clone(),
        config,
    ))
}

/// Runs until block `last` is behind, then shuts down.
async fn run_to(verifier: &Arc<Verifier<Rollup, Rollup, Sink>>, last: u64) -> VerifierStatus {
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (verifier, shutdown) = (Arc::clone(verifier), shutdown.clone());
        async move { verifier.run(shutdown).await }
    });
    let status = verifier.status();
    until(|| status.borrow().next > last).await;
    shutdown.cancel();
    running.await.unwrap();
    status.borrow().clone()
}

#[tokio::test(start_paused = true)]
async fn every_block_up_to_the_head_gets_its_verdict() {
    let rollup = Rollup::new(5, [(3, vec![Look::Invalid])]);
    let sink = Sink::default();
    let status = run_to(&verifier(&rollup, &sink), 5).await;
    assert_eq!((status.next, status.valid, status.invalid), (6, 4, 1));
    assert_eq!(status.last.unwrap().number, 5);
    assert_eq!(sink.alerts(), [3]);
    // What is built on an invalid block is not vouched for.
    assert_eq!(sink.attestations(), [1, 2]);
    assert_eq!(
        (status.unlinked, status.undecided_count, status.undelivered),
        (2, 0, 0)
    );
}

/// A node can invent a parent with any state, on which the block that it wants is valid.
#[tokio::test(start_paused = true)]
async fn a_block_on_a_parent_that_was_not_verified_is_not_attested() {
    let rollup = Rollup::new(3, [(2, vec![Look::Orphan; 100])]);
    let sink = Sink::default();
    let status = run_to(&verifier(&rollup, &sink), 3).await;
    assert_eq!(sink.attestations(), [1]);
    assert_eq!((status.valid, status.unlinked), (3, 2));
    // It had every chance to give the parent.
    assert!(rollup.looks(1) > RETRY.retries);
}

#[tokio::test(start_paused = true)]
async fn an_undecided_block_accuses_nobody() {
    let rollup = Rollup::new(3, [(2, vec![Look::Incomplete; 100])]);
    let sink = Sink::default();
    let status = run_to(&verifier(&rollup, &sink), 3).await;
    assert!(sink.alerts().is_empty());
    assert_eq!(sink.attestations(), [1]);
    assert_eq!(status.unlinked, 1);
    // The first try and as many retries as the policy has.
    assert_eq!(rollup.looks(2), 1 + RETRY.retries);
    assert_eq!(status.undecided_count, 1);
    assert_eq!(status.undecided[0].number, 2);
    assert_eq!(
        status.undecided[0].reason,
        "what block 2 needs is incomplete: as the script says"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_retry_cannot_mend_is_not_retried() {
    for look in [Look::Unsupported, Look::NotHeld] {
        let rollup = Rollup::new(2, [(1, vec![look; 100])]);
        let sink = Sink::default();
        let status = run_to(&verifier(&rollup, &sink), 2).await;
        assert_eq!(rollup.looks(1), 1, "{look:?}");
        assert_eq!(status.undecided_count, 1, "{look:?}");
        assert!(sink.alerts().is_empty());
        assert!(sink.attestations().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn errors_that_pass_lead_to_the_verdict() {
    for look in [Look::SourceDown, Look::NotYet, Look::Incomplete] {
        let script = vec![look, look, Look::Invalid];
        let rollup = Rollup::new(1, [(1, script)]);
        let sink = Sink::default();
        let status = run_to(&verifier(&rollup, &sink), 1).await;
        assert_eq!((status.invalid, status.undecided_count), (1, 0), "{look:?}");
        assert_eq!(sink.alerts(), [1], "{look:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_that_is_not_there_yet_is_waited_for() {
    let rollup = Rollup::new(0, []);
    let sink = Sink::default();
    let verifier = verifier(&rollup, &sink);
    let publish = tokio::spawn({
        let rollup = rollup.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert_eq!(rollup.looks(1), 0);
            rollup.0.head.store(1, Ordering::SeqCst);
        }
    });
    let status = run_to(&verifier, 1).await;
    publish.await.unwrap();
    assert_eq!((status.valid, status.undecided_count), (1, 0));
}

/// A node that says that a block is there and never gives it holds nobody up for ever.
#[tokio::test(start_paused = true)]
async fn a_block_that_the_source_hides_is_undecided() {
    let rollup = Rollup::new(2, [(1, vec![Look::NotYet; 100])]);
    let sink = Sink::default();
    let status = run_to(&verifier(&rollup, &sink), 2).await;
    assert_eq!(status.undecided_count, 1);
    assert_eq!(status.undecided[0].number, 1);
    assert!(sink.attestations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_block_that_the_head_went_back_from_is_verified_when_it_comes() {
    let rollup = Rollup::new(2, [(2, vec![Look::NotYet; 1000])]);
    let sink = Sink::default();
    let verifier = verifier(&rollup, &sink);
    let reorganise = tokio::spawn({
        let rollup = rollup.clone();
        async move {
            until(|| rollup.looks(2) == 1).await;
            rollup.0.head.store(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(60)).await;
            rollup.0.script.lock().unwrap().clear();
            rollup.0.head.store(2, Ordering::SeqCst);
        }
    });
    let status = run_to(&verifier, 2).await;
    reorganise.await.unwrap();
    assert_eq!((status.valid, status.undecided_count), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_record_of_undecided_blocks_is_bounded() {
    let script = (1..=50).map(|number| (number, vec![Look::Unsupported]));
    let rollup = Rollup::new(50, script);
    let config = VerifierConfig {
        retry: RETRY,
        max_undecided: 8,
        ..VerifierConfig::new(1)
    };
    let verifier = Verifier::new(rollup.clone(), rollup, Sink::default(), config);
    let status = run_to(&Arc::new(verifier), 50).await;
    assert_eq!(status.undecided_count, 50);
    let numbers: Vec<_> = status.undecided.iter().map(|it| it.number).collect();
    assert_eq!(numbers, (43..=50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_verdict_on_claimed_state_says_nothing() {
    let rollup = Rollup::new(2, [(1, vec![Look::OnClaim])]);
    let sink = Sink::default();
    let status = run_to(&verifier(&rollup, &sink), 2).await;
    assert_eq!((status.valid, status.undelivered), (2, 0));
    assert!(sink.attestations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_delivered_again_until_it_is_taken() {
    let rollup = Rollup::new(1, [(1, vec![Look::Invalid])]);
    let sink = Sink::with(|state| state.transient_failures = AtomicUsize::new(RETRY.retries));
    let verifier = verifier(&rollup, &sink);
    assert!(verifier.verify(1).await.unwrap().fault().is_some());
    assert_eq!(sink.alerts(), [1]);
    assert_eq!(verifier.status().borrow().undelivered, 0);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_refused_is_counted() {
    let rollup = Rollup::new(2, [(2, vec![Look::Invalid])]);
    let sink = Sink::with(|state| state.refuses = true);
    let status = run_to(&verifier(&rollup, &sink), 2).await;
    assert_eq!((status.valid, status.invalid), (1, 1));
    assert_eq!(status.undelivered, 2);
}

/// COMPAT 8.1, 23: one slow aggregator held up all alerts.
#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_holds_up_no_verdict_until_many_wait() {
    let rollup = Rollup::new(1000, []);
    let sink = Sink::with(|state| state.hangs = true);
    let verifier = verifier(&rollup, &sink);
    let status = run_to(&verifier, MAX_DELIVERIES as u64 - 1).await;
    assert!(status.valid >= MAX_DELIVERIES as u64 - 1);
    // What waits is bounded too.
    let held = sink.0.held.load(Ordering::SeqCst);
    assert!(held <= MAX_DELIVERIES, "{held}");
    assert!(rollup.looks(MAX_DELIVERIES as u64 + 10) == 0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_loop_whatever_it_waits_for() {
    let hidden = Rollup::new(1, [(1, vec![Look::SourceDown; 1_000_000])]);
    let patient = VerifierConfig {
        retry: mach_node::RetryPolicy {
            retries: 1_000_000,
            ..Default::default()
        },
        ..VerifierConfig::new(1)
    };
    let hanging = Sink::with(|state| state.hangs = true);
    let verifiers = [
        // At the head, in retries, and with a sink that takes nothing.
        Verifier::new(
            Rollup::new(0, []),
            Rollup::default(),
            Sink::default(),
            patient,
        ),
        Verifier::new(hidden, Rollup::default(), Sink::default(), patient),
        Verifier::new(Rollup::new(9, []), Rollup::default(), hanging, patient),
    ];
    for verifier in verifiers {
        let shutdown = CancellationToken::new();
        let running = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { verifier.run(shutdown).await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!running.is_finished());
        let asked = Instant::now();
        shutdown.cancel();
        running.await.unwrap();
        assert!(asked.elapsed() <= SHUTDOWN_GRACE + Duration::from_millis(10));
    }
}

#[tokio::test(start_paused = true)]
async fn an_alert_on_its_way_is_delivered_at_shutdown() {
    let rollup = Rollup::new(1, [(1, vec![Look::Invalid])]);
    // Two retries take some milliseconds.
    let sink = Sink::with(|state| state.transient_failures = AtomicUsize::new(2));
    run_to(&verifier(&rollup, &sink), 1).await;
    assert_eq!(sink.alerts(), [1]);
}
