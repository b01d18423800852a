use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_primitives::{BlockNumber, Bytes, ChainId};
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block,
    ports::{
        L2Head, L2Source,
        SourceError::{self, NotHeld, NotYet},
    },
};
use tokio::time::Instant;

use super::*;
use crate::{Witness, source::WitnessSource};

/// What an endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Holds the true chain up to this height.
    Holds(BlockNumber),
    /// Holds a chain of its own, told apart by the number, up to block 1,000.
    Lies(u8),
    /// Says a true hash with a transaction that is not the block's.
    Alters,
    /// Answers 3 of 100 requests.
    Stumbles,
    Hangs,
    /// Answers after so many milliseconds.
    Takes(u64),
    /// Holds no block any more.
    IsPruned,
    IsOnChain(ChainId),
}

#[derive(Debug)]
struct Node {
    does: Does,
    asked: AtomicUsize,
}

fn block(number: BlockNumber, version: u8) -> L2Block {
    let header = Header {
        number,
        extra_data: vec![version].into(),
        transactions_root: EMPTY_ROOT_HASH,
        ..Default::default()
    };
    L2Block::new(10, header, Vec::new())
}

impl Node {
    async fn at(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        match self.does {
            Does::Holds(head) if number > head => Err(NotYet(number)),
            Does::Stumbles if !asked.is_multiple_of(33) => {
                Err(SourceError::Backend("connection reset".into()))
            }
            Does::Hangs => std::future::pending().await,
            Does::Takes(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                Ok(block(number, 0))
            }
            Does::IsPruned => Err(NotHeld(number)),
            Does::Lies(version) => Ok(block(number, version)),
            Does::Alters => {
                let mut altered = block(number, 0);
                altered.transactions.push(Bytes::from_static(&[1]));
                Ok(altered)
            }
            Does::Holds(_) | Does::Stumbles | Does::IsOnChain(_) => Ok(block(number, 0)),
        }
    }
}

#[async_trait]
impl L2Source for Node {
    fn chain_id(&self) -> ChainId {
        match self.does {
            Does::IsOnChain(chain) => chain,
            _ => 10,
        }
    }

    async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
        let number = match self.does {
            Does::Holds(head) => head,
            _ => 1000,
        };
        Ok(self.at(number).await?.reference())
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        self.at(number).await
    }
}

#[async_trait]
impl WitnessSource for Node {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        self.at(block.number()).await?;
        let witness = match self.does {
            Does::Lies(_) => Witness::default(),
            _ => Witness {
                keys: vec![Bytes::from_static(b"true")],
                ..Default::default()
            },
        };
        Ok(witness)
    }
}

fn quorum<const N: usize>(does: [Does; N]) -> Quorum<Node> {
    let nodes = does.map(|does| Node {
        does,
        asked: AtomicUsize::new(0),
    });
    Quorum::majority((0..).map(|index: u8| format!("node-{index}")).zip(nodes)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn two_of_three_outvote_a_liar_who_is_named() {
    let quorum = quorum([Does::Lies(7), Does::Holds(100), Does::Holds(100)]);
    for number in 1..=3 {
        let agreed = quorum.block(number).await.unwrap();
        assert_eq!(agreed, block(number, 0));
    }
    let evidence = quorum.take_disagreements();
    assert_eq!(evidence.len(), 3);
    assert_eq!(
        evidence[0],
        Disagreement {
            endpoint: "node-0".to_owned(),
            matter: Matter::Block,
            number: 1,
            said: block(1, 7).hash(),
            agreed: Some(block(1, 0).hash()),
        }
    );
    assert!(quorum.take_disagreements().is_empty());
    assert_eq!(quorum.health()[0].disagreed, 3);
}

#[tokio::test(start_paused = true)]
async fn who_lags_is_not_there_yet_and_contradicts_nobody() {
    let quorum = quorum([Does::Holds(9), Does::Holds(12), Does::Holds(8)]);
    assert_eq!(quorum.block(8).await.unwrap(), block(8, 0));
    assert_eq!(quorum.block(9).await.unwrap(), block(9, 0));
    let error = quorum.block(10).await.unwrap_err();
    assert!(
        matches!(error, NotYet(10)) && error.is_transient(),
        "{error:?}"
    );
    assert!(quorum.take_disagreements().is_empty());
    // Two have reached 9, and one is at 12.
    let head = quorum.head(L2Head::Unsafe).await.unwrap();
    assert_eq!(head, block(9, 0).reference());
    assert_eq!(quorum.health()[2].failed, 0);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_97_of_100_times_stops_nothing() {
    let quorum = quorum([Does::Stumbles, Does::Holds(200), Does::Holds(200)]);
    for number in 1..=100 {
        assert_eq!(quorum.block(number).await.unwrap(), block(number, 0));
    }
    let health = &quorum.health()[0];
    assert!(health.failed > 0 && health.is_resting, "{health:?}");
    // It rests, and so is asked far less often than the others.
    assert!(health.failed + health.answered < 20, "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resting_endpoint_is_asked_where_it_is_needed() {
    let quorum = quorum([Does::Stumbles, Does::Stumbles, Does::Holds(200)]);
    let mut agreed = 0;
    for number in 1..=200 {
        match quorum.block(number).await {
            Ok(found) => {
                assert_eq!(found, block(number, 0));
                agreed += 1;
            }
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
    assert!(agreed >= 4, "{agreed}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_costs_a_moment() {
    let quorum = quorum([Does::Hangs, Does::Holds(100), Does::Holds(100)]);
    let started = Instant::now();
    assert_eq!(quorum.block(5).await.unwrap(), block(5, 0));
    assert_eq!(
        quorum.head(L2Head::Safe).await.unwrap(),
        block(100, 0).reference()
    );
    assert!(started.elapsed() < Duration::from_secs(1));
}

/// Nor where the others are a block apart, as they mostly are: not the whole time-out.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_while_another_lags_costs_a_moment() {
    let quorum = quorum([Does::Hangs, Does::Holds(100), Does::Holds(99)]);
    let started = Instant::now();
    let head = quorum.head(L2Head::Safe).await.unwrap();
    assert_eq!(head, block(99, 0).reference());
    let error = quorum.block(100).await.unwrap_err();
    assert!(matches!(error, NotYet(100)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(6));

    // After some looks it rests, and costs nothing.
    for _ in 0..3 {
        quorum.head(L2Head::Safe).await.unwrap();
    }
    assert!(quorum.health()[0].is_resting);
    let started = Instant::now();
    quorum.head(L2Head::Safe).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

/// One that is slow, and not late, is heard.
#[tokio::test(start_paused = true)]
async fn who_is_slow_outvotes_who_lags_for_good() {
    let quorum = quorum([Does::Takes(1500), Does::Holds(100), Does::Holds(9)]);
    assert_eq!(quorum.block(50).await.unwrap(), block(50, 0));
    let head = quorum.head(L2Head::Unsafe).await.unwrap();
    assert_eq!(head, block(100, 0).reference());
}

/// The others answer before anybody would call it late.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_goes_on_hanging_fails_and_rests() {
    let quorum = quorum([Does::Hangs, Does::Holds(1000), Does::Holds(1000)]);
    let started = Instant::now();
    for number in 1..=200 {
        assert_eq!(quorum.block(number).await.unwrap(), block(number, 0));
    }
    let health = &quorum.health()[0];
    assert!(health.failed > 0 && health.is_resting, "{health:?}");
    // The others are not waited with: some seconds until it is noticed, and seldom again.
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
}

/// Who says that it is far ahead need not be there.
#[tokio::test(start_paused = true)]
async fn a_liar_far_ahead_does_not_hide_the_head_of_the_others() {
    let quorum = quorum([Does::Lies(7), Does::Holds(100), Does::Holds(98)]);
    let head = quorum.head(L2Head::Unsafe).await.unwrap();
    assert_eq!(head, block(98, 0).reference());
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_all_differ_decide_nothing() {
    let quorum = quorum([Does::Lies(1), Does::Lies(2), Does::Holds(100)]);
    let error = quorum.block(5).await.unwrap_err();
    assert!(error.is_transient());
    let SourceError::Backend(source) = &error else {
        panic!("{error:?}");
    };
    let source = source.downcast_ref::<QuorumError>();
    assert!(matches!(
        source,
        Some(QuorumError::Split {
            number: 5,
            needed: 2
        })
    ));
    let evidence = quorum.take_disagreements();
    assert_eq!(evidence.len(), 3);
    assert!(evidence.iter().all(|it| it.agreed.is_none()));
}

/// It neither outvotes anybody nor makes honest endpoints look like liars.
#[tokio::test(start_paused = true)]
async fn another_body_under_a_true_hash_is_no_answer() {
    let quorum = quorum([Does::Alters, Does::Holds(100), Does::Holds(100)]);
    assert_eq!(quorum.block(5).await.unwrap(), block(5, 0));
    assert!(quorum.health()[0].failed > 0);

    let quorum = self::quorum([Does::Alters, Does::Holds(100), Does::Holds(4)]);
    let error = quorum.block(5).await.unwrap_err();
    assert!(matches!(error, NotYet(5)), "{error:?}");
    assert!(quorum.take_disagreements().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_has_another_head_at_the_same_height_is_named() {
    let quorum = quorum([Does::Lies(7), Does::Holds(1000), Does::Holds(1000)]);
    let head = quorum.head(L2Head::Unsafe).await.unwrap();
    assert_eq!(head, block(1000, 0).reference());
    let evidence = quorum.take_disagreements();
    assert_eq!(evidence.len(), 1);
    assert_eq!(
        (evidence[0].said, evidence[0].agreed),
        (block(1000, 7).hash(), Some(head.hash))
    );
}

#[tokio::test(start_paused = true)]
async fn a_foreign_chain_has_no_voice() {
    let quorum = quorum([Does::Holds(100), Does::IsOnChain(1), Does::Holds(100)]);
    assert_eq!(quorum.block(5).await.unwrap(), block(5, 0));
    assert_eq!(quorum.health()[1].answered, 0);
    let lonely = self::quorum([Does::Holds(100), Does::IsOnChain(1)]);
    let error = lonely.block(5).await.unwrap_err();
    assert!(matches!(error, SourceError::Backend(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn endpoints_share_the_witnesses() {
    let quorum = quorum([Does::Holds(100), Does::Holds(100), Does::Holds(100)]);
    for number in 1..=30 {
        quorum.witness(&block(number, 0)).await.unwrap();
    }
    let asked = (quorum.0.endpoints.iter()).map(|it| it.source.asked.load(Ordering::Relaxed));
    assert_eq!(asked.collect::<Vec<_>>(), [10, 10, 10]);

    // One that serves blocks and no witnesses is not asked first again and again.
    let quorum = self::quorum([Does::Holds(100), Does::Stumbles, Does::Holds(100)]);
    for number in 1..=100 {
        quorum.witness(&block(number, 0)).await.unwrap();
    }
    let health = &quorum.health()[1];
    assert!(health.failed > 0 && health.failed < 10, "{health:?}");
}

/// One may answer later, the other never.
#[tokio::test(start_paused = true)]
async fn a_node_that_may_answer_later_is_waited_for() {
    for first in [0, 1] {
        let quorum = quorum([Does::Stumbles, Does::IsPruned]);
        for _ in 0..first {
            quorum.turn();
        }
        // The one that stumbles answers its first.
        let _ = quorum.0.endpoints[0].source.at(1).await;
        let error = quorum.witness(&block(5, 0)).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_witness_comes_from_whoever_has_it() {
    let quorum = quorum([Does::Holds(1), Does::Holds(100), Does::Holds(100)]);
    assert_eq!(quorum.witness(&block(5, 0)).await.unwrap().keys.len(), 1);

    // The first endpoint's is of no use, which only execution can find out: asked again, the
    // quorum has another.
    let quorum = self::quorum([Does::Lies(1), Does::Holds(100), Does::Holds(100)]);
    assert_eq!(quorum.witness(&block(5, 0)).await.unwrap().keys.len(), 0);
    assert_eq!(quorum.witness(&block(5, 0)).await.unwrap().keys.len(), 1);

    // The same while other blocks are verified.
    let quorum = self::quorum([Does::Lies(1), Does::Holds(100), Does::Holds(100)]);
    let mut of_use = [0; 10];
    for _ in 0..2 {
        for (number, count) in (5..).zip(&mut of_use) {
            let witness = quorum.witness(&block(number, 0)).await.unwrap();
            *count += witness.keys.len();
        }
    }
    assert!(of_use.iter().all(|count| *count > 0), "{of_use:?}");

    let quorum = self::quorum([Does::Holds(1), Does::Holds(1)]);
    let error = quorum.witness(&block(5, 0)).await.unwrap_err();
    assert!(matches!(error, NotYet(5)));
}

#[test]
fn more_voices_than_endpoints_are_impossible() {
    let needed = NonZeroUsize::new(2).unwrap();
    let endpoint = Node {
        does: Does::Hangs,
        asked: AtomicUsize::new(0),
    };
    let error = Quorum::new(needed, [("a".to_owned(), endpoint)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 endpoints have to agree, and there are 1"
    );
    let none: [(String, Node); 0] = [];
    assert!(Quorum::majority(none).is_err());
}

#[tokio::test(start_paused = true)]
async fn what_enough_do_not_hold_is_not_held() {
    struct Pruned;
    #[async_trait]
    impl L2Source for Pruned {
        fn chain_id(&self) -> ChainId {
            10
        }
        async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
            Err(NotHeld(0))
        }
        async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
            Err(NotHeld(number))
        }
    }
    let nodes = [("a".to_owned(), Pruned), ("b".to_owned(), Pruned)];
    let quorum = Quorum::majority(nodes).unwrap();
    assert!(matches!(quorum.block(3).await, Err(NotHeld(3))));
}
