//! A source that goes to and fro between branches, hides and contradicts, and counts what it is
//! asked for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_primitives::{B256, Bytes, keccak256, map::B256Set};
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block, Verdict,
    ports::{BlockValidator, L2Head, L2Source, SourceError},
};
use mach_devnet::{Devnet, Lie};
use mach_verify::{
    Bundle, ChainSpec, Evidence, EvidenceFolder, EvidenceValidator, Witness, WitnessMemory,
    follow::{
        FollowConfig, FollowError, FollowLimits, FollowValidator, Followed, Follower, Following,
    },
    source::{RecordedBlock, WitnessSource, recorded_files},
    verify_block,
};

use crate::live::{devnet, events, produce};

#[derive(Clone, Default)]
struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The branch that the source is on, from block 1.
    blocks: Vec<L2Block>,
    witnesses: HashMap<B256, Witness>,
    /// The safe and the finalized head.
    settled: Option<BlockRef>,
    /// A height that is below the head and not there.
    hides: Option<u64>,
    /// A height at which a witness is a panic.
    panics: Option<u64>,
    /// The witness of the first block is given when that of this height was asked for.
    waits_for: Option<u64>,
    asked_blocks: Vec<u64>,
    asked_witnesses: Vec<u64>,
}

impl Script {
    fn edit(&self, edit: impl FnOnce(&mut State)) {
        edit(&mut self.0.lock().unwrap());
    }

    /// Goes to another branch at once.
    fn show(&self, branch: &[L2Block]) {
        self.edit(|state| state.blocks = branch.to_vec());
    }

    /// Heights of blocks and of witnesses that were asked for since the last time.
    fn asked(&self) -> (Vec<u64>, Vec<u64>) {
        let mut state = self.0.lock().unwrap();
        let mut witnesses = std::mem::take(&mut state.asked_witnesses);
        // Those of blocks ahead are asked for at the same time.
        witnesses.sort_unstable();
        (std::mem::take(&mut state.asked_blocks), witnesses)
    }

    /// The devnet's blocks from 1 on; their witnesses are learnt.
    async fn learn(&self, devnet: &Devnet) -> Vec<L2Block> {
        let mut blocks = Vec::new();
        for number in 1..=devnet.l2().head() {
            let block: L2Block = devnet.l2().l2_block(number).unwrap();
            let is_known = self.0.lock().unwrap().witnesses.contains_key(&block.hash());
            if !is_known {
                let witness = devnet.l2().witness(&block).await.unwrap();
                self.edit(|state| drop(state.witnesses.insert(block.hash(), witness)));
            }
            blocks.push(block);
        }
        blocks
    }
}

#[async_trait]
impl L2Source for Script {
    fn chain_id(&self) -> u64 {
        unreachable!("nobody asks")
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        let state = self.0.lock().unwrap();
        let found = match head {
            L2Head::Unsafe => state.blocks.last().map(L2Block::reference),
            L2Head::Safe | L2Head::Finalized => state.settled,
        };
        found.ok_or_else(|| SourceError::Backend("no head".into()))
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        let index = usize::try_from(number).unwrap() - 1;
        let mut state = self.0.lock().unwrap();
        state.asked_blocks.push(number);
        let is_hidden = state.hides == Some(number);
        let block = state.blocks.get(index).filter(|_| !is_hidden);
        block.cloned().ok_or(SourceError::NotYet(number))
    }
}

#[async_trait]
impl WitnessSource for Script {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let mut panics = None;
        self.edit(|state| {
            state.asked_witnesses.push(block.number());
            panics = state.panics;
        });
        assert_ne!(panics, Some(block.number()), "as the test wants");
        loop {
            {
                let state = self.0.lock().unwrap();
                let is_waiting = (state.waits_for)
                    .is_some_and(|it| block.number() == 1 && !state.asked_witnesses.contains(&it));
                if !is_waiting {
                    return Ok(state.witnesses[&block.hash()].clone());
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn spec(devnet: &Devnet) -> ChainSpec {
    devnet.l2().role().spec().clone()
}

const CONFIG: FollowConfig = FollowConfig {
    poll_interval: Duration::from_millis(5),
    ..FollowConfig::new(1)
};

fn start(devnet: &Devnet, script: &Script, config: FollowConfig) -> Following {
    let follower = Follower::new(spec(devnet), FollowLimits::default());
    Following::start(script.clone(), follower, config)
}

/// Blocks 1 to 6, and 1 to 8 of a branch that leaves behind block 3.
async fn branches(devnet: &Devnet, script: &Script) -> (Vec<L2Block>, Vec<L2Block>) {
    produce(devnet, 6, 1);
    let first = script.learn(devnet).await;
    devnet.l2().rewind(3).unwrap();
    produce(devnet, 5, 2);
    let second = script.learn(devnet).await;
    assert_eq!(first[..3], second[..3]);
    assert_ne!(first[3], second[3]);
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_asks_for_nothing_that_is_known() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, second) = branches(&devnet, &script).await;
    script.show(&first);
    let mut following = start(&devnet, &script, CONFIG);
    assert_eq!(events(&mut following, 6).await, "1 2 3 4 5 6");
    assert_eq!(
        script.asked(),
        (vec![1, 2, 3, 4, 5, 6], vec![1, 2, 3, 4, 5, 6])
    );

    // Down to the fork, and not asked for again on the way up.
    script.show(&second);
    assert_eq!(events(&mut following, 6).await, "6>3 4 5 6 7 8");
    assert_eq!(script.asked(), (vec![7, 6, 5, 4, 8], vec![4, 5, 6, 7, 8]));

    // Back, to a head that is lower: the blocks are executed again, on what is retained.
    script.show(&first);
    assert_eq!(events(&mut following, 4).await, "8>3 4 5 6");
    assert_eq!(script.asked(), (vec![6, 5, 4], vec![]));
    // And to the other, whose first block differs at the height that is next.
    script.show(&second);
    assert_eq!(events(&mut following, 6).await, "6>3 4 5 6 7 8");
    assert_eq!(script.asked(), (vec![7, 6, 5, 4, 8], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_asks_for_no_witness_of_a_block_that_it_has_validated() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, second) = branches(&devnet, &script).await;
    let follower = Follower::new(spec(&devnet), FollowLimits::default());
    let validator = FollowValidator::new(follower, script.clone());
    for (blocks, asked) in [
        (&first[..], &[1, 2, 3, 4, 5, 6][..]),
        (&second[3..], &[4, 5, 6, 7, 8]),
        (&first[3..], &[]),
        (&second[3..], &[]),
    ] {
        for block in blocks {
            let verdict = validator.validate(block).await.unwrap();
            assert_eq!(verdict.summary().unwrap().block, block.reference());
        }
        assert_eq!(script.asked().1, asked);
    }
}

/// What was retained is gone: the source is asked, and no block is left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_back_and_was_forgotten_is_asked_for() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, second) = branches(&devnet, &script).await;
    script.show(&first);
    let limits = FollowLimits {
        node_bytes: 0,
        code_bytes: 0,
        ..FollowLimits::default()
    };
    let follower = Follower::new(spec(&devnet), limits);
    let mut following = Following::start(script.clone(), follower, CONFIG);
    assert_eq!(events(&mut following, 6).await, "1 2 3 4 5 6");
    script.show(&second);
    assert_eq!(events(&mut following, 6).await, "6>3 4 5 6 7 8");
    let _ = script.asked();
    script.show(&first);
    assert_eq!(events(&mut following, 4).await, "8>3 4 5 6");
    assert_eq!(script.asked(), (vec![6, 5, 4], vec![4, 5, 6]));
}

/// A fork below all that is known: told, what is known is verified again on the other branch, and
/// the hole below is told too.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_that_is_deeper_than_is_known_is_told_and_leaves_a_hole_that_is_told() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, second) = branches(&devnet, &script).await;
    let config = FollowConfig {
        window: 2,
        ..CONFIG
    };
    script.show(&first);
    let mut following = start(&devnet, &script, config);
    assert_eq!(events(&mut following, 6).await, "1 2 3 4 5 6");
    let _ = script.asked();
    script.show(&second);
    assert_eq!(events(&mut following, 5).await, "6> ~5 6 7 8");
    assert_eq!(script.asked(), (vec![7, 6, 5, 8], vec![5, 6, 7, 8]));

    // The same where the trusted parent of the first block is on the other branch.
    script.show(&first);
    let config = FollowConfig { start: 5, ..CONFIG };
    let mut following = start(&devnet, &script, config);
    assert_eq!(events(&mut following, 2).await, "5 6");
    script.show(&second);
    assert_eq!(events(&mut following, 5).await, "6> ~5 6 7 8");
}

/// All that was verified goes, and the other branch begins on the trusted block; then that goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_of_all_blocks_leaves_the_trusted_parent() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, second) = branches(&devnet, &script).await;
    devnet.l2().rewind(2).unwrap();
    produce(&devnet, 7, 3);
    let third = script.learn(&devnet).await;
    let config = FollowConfig { start: 4, ..CONFIG };
    script.show(&first);
    let mut following = start(&devnet, &script, config);
    assert_eq!(events(&mut following, 3).await, "4 5 6");
    script.show(&second);
    assert_eq!(events(&mut following, 6).await, "6>3 4 5 6 7 8");
    script.show(&third);
    assert_eq!(events(&mut following, 7).await, "8> ~4 5 6 7 8 9");
}

/// What is above a settled head is not asked for, and a reorg of it goes unnoticed.
#[tokio::test(flavor = "multi_thread")]
async fn a_settled_head_is_followed_no_further_than_it_is() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, second) = branches(&devnet, &script).await;
    for head in [L2Head::Safe, L2Head::Finalized] {
        script.show(&first);
        script.edit(|state| state.settled = Some(first[2].reference()));
        let config = FollowConfig { head, ..CONFIG };
        let mut following = start(&devnet, &script, config);
        assert_eq!(events(&mut following, 3).await, "1 2 3");
        script.show(&second);
        script.edit(|state| state.settled = Some(second[4].reference()));
        assert_eq!(events(&mut following, 2).await, "4 5");
        tokio::time::sleep(10 * CONFIG.poll_interval).await;
        drop(following);
        assert_eq!(script.asked().0, [1, 2, 3, 4, 5], "{head:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_nothing_is_told() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, second) = branches(&devnet, &script).await;
    // A source that has two branches at once.
    let mixed = [&first[..4], &second[4..6]].concat();
    script.show(&mixed);
    let mut following = start(&devnet, &script, CONFIG);
    assert_eq!(events(&mut following, 6).await, "1 2 3 4 ~5 6");

    // And one that says that a block is there, and never gives it.
    script.edit(|state| state.hides = Some(3));
    script.show(&second);
    let mut following = start(&devnet, &script, CONFIG);
    assert_eq!(events(&mut following, 6).await, "1 2 3- ~4 5 6");
    script.edit(|state| state.hides = Some(1));
    let mut following = start(&devnet, &script, CONFIG);
    assert_eq!(events(&mut following, 3).await, "1- ~2 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_not_known_is_told_once() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, _) = branches(&devnet, &script).await;
    let mut following = start(&devnet, &script, CONFIG);
    assert_eq!(events(&mut following, 1).await, "head-");
    tokio::time::sleep(10 * CONFIG.poll_interval).await;
    script.show(&first[..2]);
    assert_eq!(events(&mut following, 2).await, "1 2");
    script.show(&[]);
    assert_eq!(events(&mut following, 1).await, "head-");
    script.show(&first);
    assert_eq!(events(&mut following, 4).await, "3 4 5 6");
}

/// Nobody is to take a follower that has died for one that has nothing to say.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_panics_is_an_error() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, _) = branches(&devnet, &script).await;
    script.show(&first);
    script.edit(|state| state.panics = Some(3));
    let mut following = start(&devnet, &script, CONFIG);
    assert_eq!(events(&mut following, 2).await, "1 2");
    let error = following.next().await.unwrap_err();
    assert!(matches!(error, FollowError::Task(_)), "{error:?}");
    // It stays so.
    assert!(matches!(following.next().await, Err(FollowError::Ended)));

    // The other task: block 0 is one that the script does not know.
    let config = FollowConfig { start: 0, ..CONFIG };
    let mut following = start(&devnet, &script, config);
    let error = following.next().await.unwrap_err();
    assert!(matches!(error, FollowError::Task(_)), "{error:?}");
}

/// The witness of a block is given after that of the next was asked for: it would never come if
/// blocks were fetched one after another.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_blocks_are_fetched_before_the_first_is_executed() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, _) = branches(&devnet, &script).await;
    script.show(&first);
    script.edit(|state| state.waits_for = Some(CONFIG.ahead as u64));
    let mut following = start(&devnet, &script, CONFIG);
    assert_eq!(events(&mut following, 6).await, "1 2 3 4 5 6");
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_that_finality_rules_out_are_forgotten() {
    let (devnet, script) = (devnet(), Script::default());
    let (first, _) = branches(&devnet, &script).await;
    produce(&devnet, 62, 2);
    let second = script.learn(&devnet).await;
    assert_eq!(second.len(), 70);
    script.edit(|state| state.settled = Some(second[59].reference()));
    script.show(&first);
    let follower = Arc::new(Follower::new(spec(&devnet), FollowLimits::default()));
    let mut following = Following::start(script.clone(), Arc::clone(&follower), CONFIG);
    assert_eq!(events(&mut following, 6).await, "1 2 3 4 5 6");
    assert!(follower.header(&first[5].hash()).is_some());
    script.show(&second);
    assert!(events(&mut following, 68).await.ends_with("69 70"));
    // Genesis and the 70 blocks stay.
    let forgotten = async {
        while follower.size().headers > 71 {
            tokio::time::sleep(CONFIG.poll_interval).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), forgotten)
        .await
        .unwrap();
    assert_eq!(follower.header(&first[5].hash()), None);
    assert!(follower.header(&second[69].hash()).is_some());
}

/// Witnesses without what came before: as little as a follower needs.
fn shrink(script: &Script, blocks: &[L2Block]) {
    script.edit(|state| {
        let mut seen = B256Set::default();
        for block in blocks {
            let witness = state.witnesses.get_mut(&block.hash()).unwrap();
            let mut is_new = |it: &Bytes| seen.insert(keccak256(it));
            witness.state.retain(&mut is_new);
            witness.codes.retain(is_new);
            if block.number() > 1 {
                witness.headers.clear();
            }
        }
    });
}

/// Six blocks, of which the last lies, with witnesses that suffice for a follower only.
async fn lying(script: &Script) -> (Devnet, Vec<L2Block>) {
    let devnet = devnet();
    produce(&devnet, 5, 1);
    devnet.sequencer().lie_next(Lie::StateRoot);
    produce(&devnet, 1, 1);
    let blocks = script.learn(&devnet).await;
    shrink(script, &blocks);
    let partial = script.witness(&blocks[5]).await.unwrap();
    let alone = verify_block(&spec(&devnet), &blocks[5], &partial);
    assert!(alone.is_err_and(|error| error.is_transient()));
    (devnet, blocks)
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_a_followed_block_needs_nothing_else() {
    let script = Script::default();
    let (devnet, blocks) = lying(&script).await;
    script.show(&blocks);
    let mut following = start(&devnet, &script, CONFIG);
    assert_eq!(events(&mut following, 5).await, "1 2 3 4 5");
    let Followed::Judged {
        block,
        result: Ok(Verdict::Invalid(fault)),
        witness,
        ..
    } = following.next().await.unwrap()
    else {
        panic!("block 6 lies");
    };
    let recorded = RecordedBlock {
        block: *block,
        witness: *witness,
        source: None,
    };
    let evidence = Evidence::new(spec(&devnet), recorded, fault.clone()).unwrap();
    let read = Evidence::parse(&evidence.to_json().unwrap()).unwrap();
    assert_eq!(
        read.replay_by(&spec(&devnet)).unwrap(),
        Verdict::Invalid(fault)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_follows_leaves_evidence_that_needs_nothing_else() {
    let script = Script::default();
    let (devnet, blocks) = lying(&script).await;
    let folder = tempfile::tempdir().unwrap();
    let follower = Arc::new(Follower::new(spec(&devnet), FollowLimits::default()));
    let witnesses = Arc::new(WitnessMemory::new(script.clone()));
    let validator = EvidenceValidator::new(
        spec(&devnet),
        FollowValidator::new(Arc::clone(&follower), Arc::clone(&witnesses)),
        witnesses,
        EvidenceFolder::new(folder.path()),
    );
    let validator = validator.with_follower(follower);
    for block in &blocks[..5] {
        assert_eq!(validator.validate(block).await.unwrap().fault(), None);
    }
    let verdict = validator.validate(&blocks[5]).await.unwrap();
    assert!(verdict.fault().is_some());
    let bundle = async {
        loop {
            if let [file] = recorded_files(folder.path()).unwrap().as_slice() {
                break file.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let bundle = tokio::time::timeout(Duration::from_secs(30), bundle)
        .await
        .unwrap();
    let replayed = Evidence::read(bundle).unwrap().replay_by(&spec(&devnet));
    assert_eq!(replayed.unwrap(), verdict);
}
