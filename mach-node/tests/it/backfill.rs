//! A range of blocks whose judge has a script.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use mach_core::{
    Assurance, BlockOutcome, BlockReport, ExecutionSummary, Fault, L2Block, Mismatch, UnitReport,
    Verdict, WorkPlan,
    ports::{
        BlockValidator, Claim, Completion, L2Head, L2Source, Lease, QueueError, QueueProgress,
        Release, SourceError, ValidateError, WorkQueue,
    },
};
use mach_node::{
    RetryPolicy,
    backfill::{
        Backfill, BackfillConfig, BackfillError, BackfillReport, Judge, JudgeError, Judged,
        Recorded, StoredQueue, Validated,
    },
    store::MemoryStore,
};
use mach_verify::{
    ChainSpec,
    source::{RecordedBlock, RecordedBlocks},
};
use tokio_util::sync::CancellationToken;

const CHAIN: u64 = 10;
const RULES: B256 = B256::repeat_byte(0x77);

/// What is wrong with a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The source answers at the third time only.
    Late,
    /// The source never answers.
    Away,
    /// The source has no such block.
    NotHeld,
    /// The block is there, L1 never answers.
    L1Away,
    /// The block is there, its rules are not known.
    Unsupported,
    /// Judging it panics.
    Panics,
    /// It is invalid.
    Invalid,
    /// It is invalid in a way that takes pages to say.
    VerboselyInvalid,
    /// It names another parent.
    Orphan,
}

/// A chain of empty blocks, some of them in trouble.
struct Script {
    blocks: BTreeMap<u64, L2Block>,
    trouble: BTreeMap<u64, Trouble>,
    looks: Mutex<BTreeMap<u64, usize>>,
    fetched: AtomicUsize,
    most_fetched: AtomicUsize,
    judged: AtomicUsize,
    most_judged: AtomicUsize,
    computing: Duration,
}

impl Script {
    fn new(last: u64, trouble: impl IntoIterator<Item = (u64, Trouble)>) -> Arc<Self> {
        Self::slow(last, trouble, Duration::ZERO)
    }

    fn slow(
        last: u64,
        trouble: impl IntoIterator<Item = (u64, Trouble)>,
        computing: Duration,
    ) -> Arc<Self> {
        let trouble: BTreeMap<_, _> = trouble.into_iter().collect();
        let (mut blocks, mut parent_hash) = (BTreeMap::new(), B256::ZERO);
        for number in 1..=last {
            if trouble.get(&number) == Some(&Trouble::Orphan) {
                parent_hash = B256::repeat_byte(0xee);
            }
            let header = Header {
                number,
                parent_hash,
                gas_used: number,
                ..Default::default()
            };
            let block = L2Block::new(CHAIN, header, vec![Bytes::from_static(&[1])]);
            parent_hash = block.hash();
            blocks.insert(number, block);
        }
        Arc::new(Self {
            blocks,
            trouble,
            looks: Mutex::default(),
            fetched: AtomicUsize::new(0),
            most_fetched: AtomicUsize::new(0),
            judged: AtomicUsize::new(0),
            most_judged: AtomicUsize::new(0),
            computing,
        })
    }

    fn looks(&self, number: u64) -> usize {
        self.looks
            .lock()
            .unwrap()
            .get(&number)
            .copied()
            .unwrap_or(0)
    }
}

struct Scripted(Arc<Script>);

#[async_trait]
impl Judge for Scripted {
    type Fetched = L2Block;

    fn chain_id(&self) -> u64 {
        CHAIN
    }

    fn rules(&self) -> Option<B256> {
        Some(RULES)
    }

    async fn fetch(&self, number: u64) -> Result<L2Block, JudgeError> {
        let script = &self.0;
        *script.looks.lock().unwrap().entry(number).or_default() += 1;
        let fetched = script.fetched.fetch_add(1, Ordering::SeqCst) + 1;
        script.most_fetched.fetch_max(fetched, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let error = match script.trouble.get(&number) {
            Some(Trouble::Late) if script.looks(number) < 3 => SourceError::NotYet(number),
            Some(Trouble::Away) => SourceError::Backend("connection refused".into()),
            Some(Trouble::NotHeld) => SourceError::NotHeld(number),
            _ => return Ok(script.blocks[&number].clone()),
        };
        script.fetched.fetch_sub(1, Ordering::SeqCst);
        Err(error.into())
    }

    fn judge(&self, number: u64, block: L2Block) -> Judged {
        let script = &self.0;
        let judged = script.judged.fetch_add(1, Ordering::SeqCst) + 1;
        script.most_judged.fetch_max(judged, Ordering::SeqCst);
        std::thread::sleep(script.computing);
        script.judged.fetch_sub(1, Ordering::SeqCst);
        script.fetched.fetch_sub(1, Ordering::SeqCst);
        let result = match script.trouble.get(&number) {
            Some(Trouble::Panics) => panic!("block {number} is poison"),
            Some(Trouble::Unsupported) => Err(ValidateError::Unsupported {
                block: number,
                source: "a fork of tomorrow".into(),
            }
            .into()),
            Some(Trouble::L1Away) => Err(ValidateError::Incomplete {
                block: number,
                source: Box::new(SourceError::Backend("L1 refuses".into())),
            }
            .into()),
            Some(Trouble::Invalid) => Ok(Verdict::Invalid(fault(1))),
            Some(Trouble::VerboselyInvalid) => Ok(Verdict::Invalid(fault(100_000))),
            _ => Ok(Verdict::Valid(summary(&block))),
        };
        Judged {
            block: Some(block),
            result,
            computing: Duration::from_micros(3),
        }
    }
}

fn summary(block: &L2Block) -> ExecutionSummary {
    ExecutionSummary {
        block: block.reference(),
        gas_used: block.header.gas_used,
        transactions: 1,
        state_root: block.header.state_root,
        output_root: None,
        assurance: Assurance::Executed,
    }
}

fn fault(length: usize) -> Fault {
    Fault::ExtraData(Mismatch {
        claimed: vec![7; length].into(),
        computed: Bytes::new(),
    })
}

fn config() -> BackfillConfig {
    BackfillConfig {
        retry: RetryPolicy {
            retries: 3,
            min_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(2),
        },
        idle: Duration::from_millis(2),
        worker: "here".to_owned(),
        ..BackfillConfig::with_jobs(NonZeroUsize::new(2).unwrap())
    }
}

type Queue = Arc<StoredQueue<MemoryStore>>;

async fn queue(last: u64) -> Queue {
    let store = MemoryStore::new();
    let queue = StoredQueue::open(store).await.unwrap();
    let plan = WorkPlan::new(CHAIN, 1..=last).unwrap();
    let plan = plan.with_unit_blocks(NonZeroU32::new(4).unwrap()).unwrap();
    queue.plan(&plan).await.unwrap();
    Arc::new(queue)
}

async fn run(queue: &Queue, script: &Arc<Script>) -> Result<(), BackfillError> {
    let backfill =
        Backfill::new(Arc::clone(queue), Scripted(Arc::clone(script)), config()).unwrap();
    Arc::new(backfill).run(&CancellationToken::new()).await
}

async fn collected(queue: &Queue) -> (BackfillReport, Vec<BlockReport>) {
    let mut blocks = Vec::new();
    let report = BackfillReport::collect(queue, |block| {
        blocks.push(block.clone());
        Ok::<(), std::convert::Infallible>(())
    })
    .await
    .unwrap();
    (report, blocks)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_block_is_judged_once_and_none_is_accused_of_what_went_wrong_here() {
    let trouble = [
        (3, Trouble::Late),
        (5, Trouble::Away),
        (9, Trouble::NotHeld),
        (14, Trouble::Unsupported),
        (15, Trouble::Panics),
        (22, Trouble::Invalid),
    ];
    let (queue, script) = (queue(30).await, Script::new(30, trouble));
    run(&queue, &script).await.unwrap();
    let (report, blocks) = collected(&queue).await;

    let numbers: Vec<_> = blocks.iter().map(|block| block.number).collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    assert_eq!((report.valid, report.invalid, report.undecided), (25, 1, 4));
    assert_eq!(report.faults[0].block, script.blocks[&22].reference());
    assert_eq!(report.faults[0].fault, fault(1));
    let reasons: BTreeMap<_, _> = (report.undecided_blocks.iter())
        .map(|block| (block.number, block.reason.as_str()))
        .collect();
    assert_eq!(reasons.keys().copied().collect::<Vec<_>>(), [5, 9, 14, 15]);
    assert_eq!(reasons[&5], "source request failed: connection refused");
    assert_eq!(reasons[&9], "block 9 is not held by this source");
    assert_eq!(
        reasons[&14],
        "the rules of block 14 are not known: a fork of tomorrow"
    );
    assert!(
        reasons[&15].contains("block 15 is poison"),
        "{}",
        reasons[&15]
    );
    // What may pass is tried again, within bounds; what will not is not.
    let looks = [3, 5, 9, 14, 15, 22].map(|number| script.looks(number));
    assert_eq!(looks, [3, 4, 1, 1, 1, 1]);
    // A block that was had without a verdict still links; one that was not does not.
    assert_eq!(blocks[13].reference(), Some(script.blocks[&14].reference()));
    assert_eq!(blocks[4].published, None);
    assert!(!report.linked && report.gaps.is_empty());
    assert_eq!(report.workers["here"].blocks, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_linked_across_its_units() {
    let (queue, script) = (queue(41).await, Script::new(41, []));
    run(&queue, &script).await.unwrap();
    let (report, _) = collected(&queue).await;
    assert!(report.is_valid());
    assert_eq!(report.parent_hash, Some(B256::ZERO));
    assert_eq!(report.last_hash, Some(script.blocks[&41].hash()));
    assert_eq!((report.transactions, report.gas_used), (41, 41 * 42 / 2));
    assert_eq!(report.computing_microseconds, 41 * 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_two_chains_are_told_apart_where_units_meet() {
    // The first block of a unit, and one within.
    let trouble = [(9, Trouble::Orphan), (15, Trouble::Orphan)];
    let (queue, script) = (queue(16).await, Script::new(16, trouble));
    run(&queue, &script).await.unwrap();
    let (report, _) = collected(&queue).await;
    assert!(!report.linked && !report.is_valid());
    assert_eq!(report.valid, 16);
    let gaps: Vec<_> = report.gaps.iter().map(|gap| gap.block.number).collect();
    assert_eq!(gaps, [9, 15]);
    assert_eq!(report.gaps[0].parent_hash, B256::repeat_byte(0xee));
    assert_eq!(report.gaps[0].previous_hash, script.blocks[&8].hash());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_fetched_and_judged_at_a_time_than_was_said() {
    let script = Script::slow(80, [], Duration::from_millis(2));
    run(&queue(80).await, &script).await.unwrap();
    assert_eq!(script.most_judged.load(Ordering::SeqCst), 2);
    let most = script.most_fetched.load(Ordering::SeqCst);
    let bound = config().blocks_in_memory();
    assert!(most > 2 && most <= bound, "{most} of {bound}");
}

/// When nothing comes any more it is the source: its blocks are not written off.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_stops_the_run_and_loses_nothing() {
    stops_and_loses_nothing(Trouble::Away, "connection refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_l1_that_is_away_stops_the_run_and_loses_nothing() {
    stops_and_loses_nothing(Trouble::L1Away, "L1 refuses").await;
}

async fn stops_and_loses_nothing(trouble: Trouble, reason: &str) {
    let gone = (41..=400).map(|number| (number, trouble));
    let (queue, broken) = (queue(400).await, Script::new(400, gone));
    let error = run(&queue, &broken).await.unwrap_err();
    assert!(
        matches!(error, BackfillError::SourceAway { missed: 8.., .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(reason), "{error}");
    let (report, _) = collected(&queue).await;
    assert_eq!(report.undecided, 0);
    assert_eq!(report.valid + report.pending, 400);

    let whole = Script::new(400, []);
    run(&queue, &whole).await.unwrap();
    let (report, _) = collected(&queue).await;
    assert!(report.is_valid());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_gives_back_what_it_has() {
    let (queue, script) = (
        queue(400).await,
        Script::slow(400, [], Duration::from_millis(5)),
    );
    for _ in 0..3 {
        let backfill =
            Backfill::new(Arc::clone(&queue), Scripted(Arc::clone(&script)), config()).unwrap();
        let backfill = Arc::new(backfill);
        let (stop, mut status) = (CancellationToken::new(), backfill.status());
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { backfill.run(&stop).await }
        });
        status.wait_for(|status| status.units >= 10).await.unwrap();
        stop.cancel();
        running.await.unwrap().unwrap();
        let progress = queue.progress().await.unwrap();
        assert_eq!(progress.leased, 0);
        assert!(progress.done >= 10 && progress.done < 100, "{progress:?}");
    }
    run(&queue, &script).await.unwrap();
    let (report, _) = collected(&queue).await;
    assert!(report.is_valid(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_share_a_range() {
    let queue = queue(400).await;
    let (here, there) = (Script::new(400, []), Script::new(400, []));
    let (first, second) = tokio::join!(run(&queue, &here), run(&queue, &there));
    first.unwrap();
    second.unwrap();
    let (report, _) = collected(&queue).await;
    assert!(report.is_valid());
    for number in 1..=400 {
        assert_eq!(here.looks(number) + there.looks(number), 1, "{number}");
    }
}

/// Nobody sleeps beside the last unit longer than it takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_its_last_unit_does() {
    let queue = queue(6).await;
    let script = Script::slow(6, [], Duration::from_millis(20));
    let config = BackfillConfig {
        idle: Duration::from_secs(3600),
        ..config()
    };
    let backfill = Arc::new(Backfill::new(Arc::clone(&queue), Scripted(script), config).unwrap());
    let stop = CancellationToken::new();
    let run = tokio::time::timeout(Duration::from_secs(60), backfill.run(&stop));
    run.await.unwrap().unwrap();
    assert!(collected(&queue).await.0.is_valid());
}

#[tokio::test]
async fn a_queue_of_another_chain_is_refused() {
    let store = MemoryStore::new();
    let queue = Arc::new(StoredQueue::open(store).await.unwrap());
    assert!(matches!(
        run(&queue, &Script::new(4, [])).await,
        Err(BackfillError::Queue(QueueError::NoPlan))
    ));
    queue.plan(&WorkPlan::new(1, 1..=4).unwrap()).await.unwrap();
    assert!(matches!(
        run(&queue, &Script::new(4, [])).await,
        Err(BackfillError::OtherChain {
            queue: 1,
            judge: CHAIN
        })
    ));
}

/// Verdicts by other rules are other verdicts.
#[tokio::test]
async fn a_queue_that_asks_for_other_rules_is_refused() {
    for (rules, is_taken) in [(RULES, true), (B256::ZERO, false)] {
        let store = MemoryStore::new();
        let queue = Arc::new(StoredQueue::open(store).await.unwrap());
        let plan = WorkPlan::new(CHAIN, 1..=4).unwrap().with_rules(rules);
        queue.plan(&plan).await.unwrap();
        let outcome = run(&queue, &Script::new(4, [])).await;
        let refused = matches!(
            outcome,
            Err(BackfillError::OtherRules {
                queue: B256::ZERO,
                judge: RULES
            })
        );
        assert_eq!((outcome.is_ok(), refused), (is_taken, !is_taken));
    }
}

/// A queue whose messages have a length.
struct Narrow {
    queue: Queue,
    most: usize,
}

#[async_trait]
impl WorkQueue for Narrow {
    async fn plan(&self, plan: &WorkPlan) -> Result<WorkPlan, QueueError> {
        self.queue.plan(plan).await
    }
    async fn planned(&self) -> Result<Option<WorkPlan>, QueueError> {
        self.queue.planned().await
    }
    async fn claim(&self) -> Result<Claim, QueueError> {
        self.queue.claim().await
    }
    async fn extend(&self, lease: &Lease) -> Result<(), QueueError> {
        self.queue.extend(lease).await
    }
    async fn complete(&self, lease: &Lease, report: &UnitReport) -> Result<Completion, QueueError> {
        let bytes = serde_json::to_vec(report).unwrap().len();
        let most = self.most;
        if bytes > most {
            return Err(QueueError::TooLarge { bytes, most });
        }
        self.queue.complete(lease, report).await
    }
    async fn release(&self, lease: &Lease, reason: &Release) -> Result<(), QueueError> {
        self.queue.release(lease, reason).await
    }
    async fn progress(&self) -> Result<QueueProgress, QueueError> {
        self.queue.progress().await
    }
    async fn report(&self, index: u64) -> Result<Option<UnitReport>, QueueError> {
        self.queue.report(index).await
    }
    async fn reopen(&self, index: u64) -> Result<(), QueueError> {
        self.queue.reopen(index).await
    }
}

/// Whoever publishes an absurd header must not keep the blocks beside it from being reported.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_verdict_that_does_not_fit_only_the_values_are_cut() {
    let script = Script::new(8, [(2, Trouble::VerboselyInvalid), (3, Trouble::Invalid)]);
    let queue = queue(8).await;
    let narrow = Narrow {
        queue: Arc::clone(&queue),
        most: 8192,
    };
    let backfill = Arc::new(Backfill::new(narrow, Scripted(script), config()).unwrap());
    backfill.run(&CancellationToken::new()).await.unwrap();
    let (report, blocks) = collected(&queue).await;
    assert_eq!((report.valid, report.invalid, report.undecided), (6, 2, 0));
    let BlockOutcome::Invalid(Fault::ExtraData(values)) = &blocks[1].outcome else {
        panic!("{:?}", blocks[1].outcome);
    };
    assert_eq!((values.claimed.len(), values.computed.len()), (256, 0));
}

/// A report that nobody takes keeps no unit from others.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_cannot_be_handed_in_is_given_back() {
    let queue = queue(40).await;
    let narrow = Narrow {
        queue: Arc::clone(&queue),
        most: 1,
    };
    let backfill = Backfill::new(narrow, Scripted(Script::new(40, [])), config()).unwrap();
    let outcome = Arc::new(backfill).run(&CancellationToken::new()).await;
    assert!(matches!(
        outcome,
        Err(BackfillError::Queue(QueueError::TooLarge { most: 1, .. }))
    ));
    assert_eq!(queue.progress().await.unwrap().leased, 0);
    run(&queue, &Script::new(40, [])).await.unwrap();
    let (report, _) = collected(&queue).await;
    assert!(report.is_valid());
}

/// A file says the same however often it is read.
#[tokio::test]
async fn a_block_on_record_is_not_tried_again() {
    const NUMBER: u64 = 110_000_000;
    let folder = tempfile::tempdir().unwrap();
    let header = Header {
        number: NUMBER,
        transactions_root: EMPTY_ROOT_HASH,
        ..Default::default()
    };
    let record = RecordedBlock {
        block: L2Block::new(CHAIN, header, Vec::new()),
        witness: Default::default(),
        source: None,
    };
    record
        .write(folder.path().join(record.file_name()))
        .unwrap();
    let judge = || {
        let blocks = RecordedBlocks::open(folder.path(), CHAIN).unwrap();
        Recorded::new(ChainSpec::op_mainnet(), blocks)
    };
    let judged = judge().judge(NUMBER, ()).result.unwrap_err();
    let JudgeError::Recorded(error) = &judged else {
        panic!("{judged:?}");
    };
    assert!(error.is_transient(), "a node may give it later: {error}");
    assert!(!judged.is_transient());

    let store = MemoryStore::new();
    let queue = Arc::new(StoredQueue::open(store).await.unwrap());
    let plan = WorkPlan::new(CHAIN, NUMBER..=NUMBER).unwrap();
    queue.plan(&plan).await.unwrap();
    let mut config = config();
    config.retry.min_delay = Duration::from_secs(3600);
    let backfill = Arc::new(Backfill::new(Arc::clone(&queue), judge(), config).unwrap());
    let stop = CancellationToken::new();
    let run = tokio::time::timeout(Duration::from_secs(60), backfill.run(&stop));
    run.await.unwrap().unwrap();
    assert_eq!(collected(&queue).await.0.undecided, 1);
}

/// Blocks of the script, judged by somebody else.
struct Elsewhere(Arc<Script>);

#[async_trait]
impl L2Source for Elsewhere {
    fn chain_id(&self) -> u64 {
        CHAIN
    }
    async fn head(&self, _head: L2Head) -> Result<mach_core::BlockRef, SourceError> {
        Err(SourceError::NotYet(0))
    }
    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        (self.0.blocks.get(&number).cloned()).ok_or(SourceError::NotHeld(number))
    }
}

#[async_trait]
impl BlockValidator for Elsewhere {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        Ok(Verdict::Valid(ExecutionSummary {
            assurance: Assurance::CrossChecked,
            ..summary(block)
        }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_validator_judges_and_what_it_proves_is_said() {
    let (queue, script) = (queue(10).await, Script::new(10, []));
    let judge = Validated::new(Elsewhere(Arc::clone(&script)), Elsewhere(script));
    let backfill = Arc::new(Backfill::new(Arc::clone(&queue), judge, config()).unwrap());
    backfill.run(&CancellationToken::new()).await.unwrap();
    let (report, _) = collected(&queue).await;
    assert_eq!((report.valid, report.unproven), (10, 10));
    assert!(report.linked);
}
