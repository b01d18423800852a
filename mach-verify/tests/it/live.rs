//! A chain that goes on, lies, jumps, and hides its witnesses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::Address;
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block, Verdict,
    ports::{BlockValidator, L2Head, L2Source, SourceError},
};
use mach_devnet::{Chain, Devnet, DevnetConfig, Lie, Mining, Optimism, UserDeposit};
use mach_verify::{
    Witness,
    follow::{FollowConfig, FollowLimits, FollowValidator, Followed, Follower, Following},
    source::WitnessSource,
    verify_block,
};

pub(crate) fn devnet() -> Devnet {
    let config = DevnetConfig {
        l1_mining: Mining::Manual,
        ..Default::default()
    };
    config.build().unwrap()
}

pub(crate) fn produce(devnet: &Devnet, blocks: u64, salt: u8) {
    for _ in 0..blocks {
        let deposit = UserDeposit::ether(Address::repeat_byte(salt), 1);
        devnet.sequencer().deposit(deposit).unwrap();
        devnet.sequencer().produce().unwrap();
    }
}

/// The devnet's rollup, of which every request may fail a few times before it succeeds.
struct Source {
    chain: Chain<Optimism>,
    failures: AtomicUsize,
    /// Witnesses that come without their nodes.
    poor: AtomicUsize,
    witnesses: Arc<AtomicUsize>,
}

impl Source {
    fn new(devnet: &Devnet) -> Self {
        Self {
            chain: devnet.l2().clone(),
            failures: AtomicUsize::new(0),
            poor: AtomicUsize::new(0),
            witnesses: Arc::default(),
        }
    }

    fn fails(counter: &AtomicUsize) -> bool {
        let left = |left: usize| left.checked_sub(1);
        let before = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        before.is_ok()
    }

    fn try_now(&self) -> Result<(), SourceError> {
        match Self::fails(&self.failures) {
            true => Err(SourceError::Backend("not now".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl L2Source for Source {
    fn chain_id(&self) -> u64 {
        self.chain.chain_id()
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        self.try_now()?;
        L2Source::head(&self.chain, head).await
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        self.try_now()?;
        L2Source::block(&self.chain, number).await
    }
}

#[async_trait]
impl WitnessSource for Source {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        self.try_now()?;
        self.witnesses.fetch_add(1, Ordering::SeqCst);
        let mut witness = self.chain.witness(block).await?;
        if Self::fails(&self.poor) {
            witness.state.clear();
        }
        Ok(witness)
    }
}

fn start(devnet: &Devnet, source: Source) -> Following {
    let spec = devnet.l2().role().spec().clone();
    let config = FollowConfig {
        poll_interval: Duration::from_millis(5),
        ..FollowConfig::new(1)
    };
    Following::start(source, Follower::new(spec, FollowLimits::default()), config)
}

/// What happens, in words: `3` is valid, `3!` invalid, `3?` undecided, `~3` follows nothing, `3-` is
/// missing, `6>3` a reorg, `6>` one that is deeper than is known, `head-` a head that is not known.
pub(crate) async fn events(following: &mut Following, count: usize) -> String {
    let mut words = Vec::new();
    while words.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(30), following.next());
        words.push(match next.await.unwrap().unwrap() {
            Followed::Judged {
                block,
                result,
                is_linked,
                ..
            } => {
                let sign = match result {
                    Ok(Verdict::Valid(summary)) => {
                        assert_eq!(summary.block, block.reference());
                        ""
                    }
                    Ok(Verdict::Invalid(_)) => "!",
                    Err(_) => "?",
                };
                let link = if is_linked { "" } else { "~" };
                format!("{link}{}{sign}", block.number())
            }
            Followed::Reorg { left, fork } => match fork {
                Some(fork) => format!("{}>{fork}", left.number),
                None => format!("{}>", left.number),
            },
            Followed::Missing { number, .. } => format!("{number}-"),
            Followed::NoHead { .. } => "head-".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    words.join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_come_in_order_through_reorgs_and_lies() {
    let devnet = devnet();
    produce(&devnet, 6, 1);
    let mut following = start(&devnet, Source::new(&devnet));
    assert_eq!(events(&mut following, 6).await, "1 2 3 4 5 6");

    devnet.l2().rewind(3).unwrap();
    produce(&devnet, 5, 2);
    assert_eq!(events(&mut following, 6).await, "6>3 4 5 6 7 8");

    devnet.sequencer().lie_next(Lie::StateRoot);
    produce(&devnet, 3, 3);
    assert_eq!(events(&mut following, 3).await, "9! 10 11");
    // Away from the lie, to a branch that is shorter.
    devnet.l2().rewind(8).unwrap();
    produce(&devnet, 2, 4);
    assert_eq!(events(&mut following, 3).await, "11>8 9 10");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_for_a_while_leaves_no_block_out() {
    let devnet = devnet();
    produce(&devnet, 5, 1);
    let source = Source::new(&devnet);
    source.failures.store(3, Ordering::SeqCst);
    source.poor.store(4, Ordering::SeqCst);
    let witnesses = Arc::clone(&source.witnesses);
    let mut following = start(&devnet, source);
    // Told once, though it was not known three times.
    assert_eq!(events(&mut following, 6).await, "head- 1 2 3 4 5");
    // At least that of the first block had to be asked for again.
    assert!(witnesses.load(Ordering::SeqCst) > 5);

    // What never comes is undecided, and what stands on it is not.
    let source = Source::new(&devnet);
    source.poor.store(usize::MAX, Ordering::SeqCst);
    let mut following = start(&devnet, source);
    assert_eq!(events(&mut following, 2).await, "1? 2?");
}

/// Nobody takes what happens: fetching stops too.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_bounded() {
    let devnet = devnet();
    produce(&devnet, 30, 1);
    let source = Source::new(&devnet);
    let witnesses = Arc::clone(&source.witnesses);
    let mut following = start(&devnet, source);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ahead = FollowConfig::new(1).ahead;
    let fetched = witnesses.load(Ordering::SeqCst);
    assert!(fetched <= ahead + 4, "{fetched} witnesses are waiting");
    assert!(events(&mut following, 30).await.ends_with("29 30"));
    drop(following);
    // Who has dropped it is asked no more.
    tokio::time::sleep(Duration::from_millis(100)).await;
    produce(&devnet, 1, 2);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(witnesses.load(Ordering::SeqCst), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_validator_says_what_verify_block_says() {
    let devnet = devnet();
    let spec = devnet.l2().role().spec().clone();
    let follower = Follower::new(spec.clone(), FollowLimits::default());
    let validator = FollowValidator::new(follower, devnet.l2().clone());
    for round in 0..6 {
        if round == 3 {
            devnet.sequencer().lie_next(Lie::GasUsed);
        }
        produce(&devnet, 1, round);
        let block = devnet.l2().l2_block(devnet.l2().head()).unwrap();
        let witness = devnet.l2().witness(&block).await.unwrap();
        let verdict = validator.validate(&block).await.unwrap();
        assert_eq!(verdict, verify_block(&spec, &block, &witness).unwrap());
        // A body that the header does not commit to is hearsay.
        let mut foreign = block;
        foreign.transactions.pop();
        assert!(
            validator
                .validate(&foreign)
                .await
                .unwrap_err()
                .is_transient()
        );
    }
    assert_eq!(validator.follower().size().headers, 7);
}
