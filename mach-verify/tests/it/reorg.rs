//! L1 is reorganised, lags or does not fit together while it is followed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use alloy_consensus::Header;
use alloy_primitives::{B256, BlockNumber, Bytes, ChainId, Sealed};
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block,
    ports::{L1Head, L1Source, SourceError},
};
use mach_devnet::{Chain, DISPUTE_GAME_FACTORY, Devnet, Ethereum, Lie, Settling};
use mach_verify::{
    cross_check::{Commitment, L1Commitment, L1CommitmentEvents},
    op::Settlement,
    proposals::{L1Proposals, ProposalContract},
};

use crate::{
    cross_check::OUTPUT_PROPOSED,
    proposals::{devnet, propose},
};

const GAMES: ProposalContract = ProposalContract::DisputeGames(DISPUTE_GAME_FACTORY);

/// An L1 that is one chain for so many requests, and then another.
#[derive(Clone)]
struct Reorganised {
    before: Chain<Ethereum>,
    after: Chain<Ethereum>,
    left: Arc<AtomicUsize>,
}

impl Reorganised {
    fn new(before: &Devnet, after: &Devnet, left: usize) -> Self {
        Self {
            before: before.l1().clone(),
            after: after.l1().clone(),
            left: Arc::new(left.into()),
        }
    }

    fn now(&self) -> &Chain<Ethereum> {
        let left = self.left.load(Relaxed);
        self.left.store(left.saturating_sub(1), Relaxed);
        if left == 0 { &self.after } else { &self.before }
    }
}

#[async_trait]
impl L1Source for Reorganised {
    fn chain_id(&self) -> ChainId {
        L1Source::chain_id(&self.after)
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        L1Source::head(self.now(), head).await
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        self.now().header(number).await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        L1Source::block(self.now(), number).await
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        self.now().receipts(header).await
    }
}

/// Two chains with a first proposal in common. The second has another and a longer end.
fn fork() -> (Devnet, Devnet) {
    let (before, after) = (devnet(), devnet());
    for (chain, lie) in [(&before, None), (&after, Some(Lie::OutputRoot))] {
        propose(chain, None);
        propose(chain, lie);
    }
    after.l1().mine().unwrap();
    let hash = |chain: &Devnet, number| chain.l1().block_hash(number);
    assert_eq!(hash(&before, 1), hash(&after, 1));
    let end = before.l1().head();
    assert_ne!(hash(&before, end), hash(&after, end));
    (before, after)
}

fn games<L: L1Source>(l1: L) -> L1Proposals<L> {
    L1Proposals::new(l1, GAMES, 0).with_settlement(Settlement::Depth(0))
}

/// Whichever request it comes before: what is known in the end is what stands on L1.
#[tokio::test]
async fn a_reorganisation_may_come_before_any_request() {
    let (before, after) = fork();
    let expected = games(after.l1().clone());
    expected.catch_up().await.unwrap();
    let expected = expected.proposals();
    assert_eq!(expected.len(), 2);
    let mut tried = 0;
    for left in 0.. {
        let l1 = Reorganised::new(&before, &after, left);
        let followed = games(l1.clone());
        for _ in 0..4 {
            // A body of one chain for a header of the other is an error, and no more.
            let _ = followed.advance().await;
        }
        if l1.left.load(Relaxed) > 0 {
            break;
        }
        followed.catch_up().await.unwrap();
        assert_eq!(followed.proposals(), expected, "before request {left}");
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
}

#[tokio::test]
async fn commitments_move_with_a_reorganised_l1() {
    let (before, after) = fork();
    let number = after.l2().head();
    let [gone, stands] =
        [&before, &after].map(|chain| chain.l2().claimed_output_root(number).unwrap().unwrap());
    assert_ne!(gone, stands);
    let of = |hash: B256| BlockRef { number, hash };
    let mut tried = 0;
    for left in 0.. {
        let l1 = Reorganised::new(&before, &after, left);
        let events = L1CommitmentEvents::new(l1.clone(), OUTPUT_PROPOSED, 0)
            .with_settlement(Settlement::Depth(0));
        for _ in 0..4 {
            let _ = events.committed(of(gone)).await;
        }
        if l1.left.load(Relaxed) > 0 {
            break;
        }
        let said = async |hash| events.committed(of(hash)).await.unwrap();
        assert_eq!(
            said(stands).await,
            Commitment::Same,
            "before request {left}"
        );
        assert_eq!(said(gone).await, Commitment::Other(stands));
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
}

/// Deeper than hashes are remembered: all of L1 is read again.
#[tokio::test]
async fn a_reorganisation_of_hundreds_of_blocks_is_survived() {
    let (before, after) = fork();
    for chain in [&before, &after] {
        for _ in 0..300 {
            chain.l1().mine().unwrap();
        }
    }
    let l1 = Reorganised::new(&before, &after, usize::MAX);
    let followed = games(l1.clone());
    followed.catch_up().await.unwrap();
    assert_eq!(followed.proposals().len(), 2);
    l1.left.store(0, Relaxed);
    followed.catch_up().await.unwrap();
    followed.advance().await.unwrap();
    let expected = games(after.l1().clone());
    expected.catch_up().await.unwrap();
    assert_eq!(followed.proposals(), expected.proposals());
}

/// What was final is not gone because a node lags.
#[tokio::test]
async fn a_final_head_that_jumps_back_takes_nothing_back() {
    let devnet = devnet();
    propose(&devnet, None);
    let head = devnet.l1().head();
    let games = L1Proposals::new(devnet.l1().clone(), GAMES, 0);
    let outputs = L1CommitmentEvents::new(devnet.l1().clone(), OUTPUT_PROPOSED, 0);
    let block = BlockRef {
        number: devnet.l2().head(),
        hash: B256::ZERO,
    };
    games.catch_up().await.unwrap();
    let said = outputs.committed(block).await.unwrap();
    assert!(matches!(said, Commitment::Other(_)));
    let found = games.proposals();
    assert_eq!(found.len(), 1);

    let settle = |finalized| {
        let safe = finalized;
        (devnet.l1()).set_settling(Settling::At { safe, finalized });
    };
    settle(1);
    let error = games.advance().await.unwrap_err();
    assert!(
        matches!(error, SourceError::NotYet(at) if at == head),
        "{error}"
    );
    assert!(error.is_transient());
    assert!(outputs.committed(block).await.is_err());
    settle(head);
    assert!(games.advance().await.unwrap().is_empty());
    assert_eq!(games.proposals(), found);
    assert_eq!(outputs.committed(block).await.unwrap(), said);
}

/// Blocks of one chain up to a height, and of another from there on.
struct Torn {
    below: Chain<Ethereum>,
    above: Chain<Ethereum>,
    at: BlockNumber,
}

impl Torn {
    const fn of(&self, number: BlockNumber) -> &Chain<Ethereum> {
        if number < self.at {
            &self.below
        } else {
            &self.above
        }
    }
}

#[async_trait]
impl L1Source for Torn {
    fn chain_id(&self) -> ChainId {
        L1Source::chain_id(&self.above)
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        L1Source::head(&self.above, head).await
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        self.of(number).header(number).await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        L1Source::block(self.of(number), number).await
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        self.of(header.number).receipts(header).await
    }
}

#[tokio::test]
async fn an_l1_that_does_not_fit_together_is_an_error_and_no_endless_loop() {
    let (before, after) = fork();
    let at = before.l1().head() + 1;
    let torn = Torn {
        below: before.l1().clone(),
        above: after.l1().clone(),
        at,
    };
    let followed = games(torn);
    let caught_up = tokio::time::timeout(Duration::from_secs(30), followed.catch_up());
    let error = caught_up.await.unwrap().unwrap_err();
    assert!(
        matches!(error, SourceError::Malformed { number, field: "parentHash", .. } if number == at),
        "{error}"
    );
    // What was found before stays.
    assert_eq!(followed.proposals().len(), 2);
}
