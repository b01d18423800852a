//! Output roots proposed on the devnet's L1, in its oracle and as dispute games.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use alloy_consensus::Header;
use alloy_primitives::{
    Address, B256, BlockNumber, Bytes, ChainId, Sealed, U256, address, keccak256,
};
use async_trait::async_trait;
use mach_core::{
    BlockRef, Fault, L2Block, Verdict,
    ports::{BlockValidator, L1Head, L1Source, L2Head, L2Source, SourceError, ValidateError},
};
use mach_devnet::{
    Chain, DEV_ACCOUNTS, DISPUTE_GAME_FACTORY, Devnet, DevnetConfig, Ethereum, L2_OUTPUT_ORACLE,
    Lie, OptimismFork, Traffic,
};
use mach_verify::{
    Bundle, Evidence, Witness,
    op::Settlement,
    proposals::{
        L1Proposals, Proposal, ProposalChecker, ProposalContract, ProposalEvents, ProposalKind,
        ProposalStatus,
    },
    source::{
        OpNode, ProposalValidator, RecordedBlock, RpcSource, StatelessValidator, WitnessSource,
    },
};

const MESSAGE_PASSER: Address = address!("4200000000000000000000000000000000000016");

const CONTRACTS: [ProposalContract; 2] = [
    ProposalContract::OutputOracle(L2_OUTPUT_ORACLE),
    ProposalContract::DisputeGames(DISPUTE_GAME_FACTORY),
];

/// Produces until the next proposal is due, tells the lie if there is one, and proposes.
pub(crate) fn propose(devnet: &Devnet, lie: Option<Lie>) -> BlockNumber {
    let interval = devnet.proposer().interval();
    for _ in 1..interval {
        devnet.sequencer().produce().unwrap();
    }
    if let Some(lie) = lie {
        devnet.sequencer().lie_next(lie);
    }
    let number = devnet.sequencer().produce().unwrap();
    devnet.proposer().propose(number).unwrap();
    number
}

pub(crate) fn devnet() -> Devnet {
    let devnet = Devnet::new().unwrap();
    devnet.l1().increase_time(3_600);
    devnet
}

fn follow<L: L1Source>(l1: L, contract: ProposalContract) -> L1Proposals<L> {
    L1Proposals::new(l1, contract, 0).with_settlement(Settlement::Depth(0))
}

/// Witnesses without what belongs to one account alone.
struct Without<S>(S, Bytes);

#[async_trait]
impl<S: WitnessSource> WitnessSource for Without<S> {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let mut witness = self.0.witness(block).await?;
        witness.state.retain(|node| *node != self.1);
        Ok(witness)
    }
}

/// Before Isthmus a witness need not hold the account that an output root needs.
#[tokio::test]
async fn a_proposal_whose_output_root_is_not_known_is_neither_right_nor_wrong() {
    let config = DevnetConfig {
        l2_fork: OptimismFork::Granite,
        // Nobody withdraws in the last block: its execution reads nothing of the message passer.
        output_interval: 13,
        ..Default::default()
    };
    let devnet = config.build().unwrap();
    devnet.l1().increase_time(3_600);
    let lying = propose(&devnet, Some(Lie::OutputRoot));
    let proposals = follow(devnet.l1().clone(), CONTRACTS[0]);
    let found = proposals.advance().await.unwrap();
    let block = devnet.l2().l2_block(lying).unwrap();
    let node = RpcSource::new(devnet.l2().client(), block.chain_id);
    let spec = || devnet.l2().role().spec().clone();
    let check = async |validator| {
        let checker = ProposalChecker::new(devnet.l2().clone(), validator);
        checker.check(&found[0]).await
    };

    let whole: Arc<dyn WitnessSource> = Arc::new(node.clone());
    let verdict = check(StatelessValidator::new(spec(), whole)).await.unwrap();
    assert_eq!(verdict.fault().map(Fault::name), Some("outputRoot"));

    let params = (MESSAGE_PASSER, [(); 0], format!("{:#x}", lying - 1));
    let proof: serde_json::Value =
        (devnet.l2().client().request("eth_getProof", params).await).unwrap();
    let nodes: Vec<Bytes> = serde_json::from_value(proof["accountProof"].clone()).unwrap();
    let poor: Arc<dyn WitnessSource> = Arc::new(Without(node, nodes.last().unwrap().clone()));
    let validator = StatelessValidator::new(spec(), poor);
    assert!(matches!(
        validator.validate(&block).await.unwrap(),
        Verdict::Valid(summary) if summary.output_root.is_none()
    ));
    let claims = ProposalValidator::new(&validator, OpNode::new(devnet.l2().client()));
    for error in [
        claims.validate(&block).await.unwrap_err(),
        check(validator).await.unwrap_err(),
    ] {
        assert!(
            matches!(error, ValidateError::Incomplete { .. }),
            "{error:?}"
        );
    }
}

/// What stands in a factory and is not read is counted, so that nobody takes it for right.
#[tokio::test]
async fn games_of_other_types_are_counted() {
    let devnet = devnet();
    propose(&devnet, None);
    let events = ProposalEvents::new(CONTRACTS[1]).with_game_types([99]);
    let proposals = follow(devnet.l1().clone(), CONTRACTS[1]).with_events(events);
    proposals.catch_up().await.unwrap();
    assert!(proposals.proposals().is_empty());
    assert_eq!(proposals.games_of_other_types(), 1);
}

type Validator = StatelessValidator<Chain<mach_devnet::Optimism>>;

fn validator(devnet: &Devnet) -> Validator {
    StatelessValidator::new(devnet.l2().role().spec().clone(), devnet.l2().clone())
}

#[tokio::test]
async fn a_wrong_proposal_is_found_in_either_contract() {
    let devnet = devnet();
    let honest = propose(&devnet, None);
    let lying = propose(&devnet, Some(Lie::OutputRoot));
    for contract in CONTRACTS {
        let proposals = follow(devnet.l1().clone(), contract);
        let found = proposals.advance().await.unwrap();
        let blocks: Vec<_> = found.iter().map(|it| it.block).collect();
        assert_eq!(blocks, [honest, lying], "{contract:?}");
        for proposal in &found {
            let claimed = devnet.l2().claimed_output_root(proposal.block).unwrap();
            assert_eq!(Some(proposal.output_root), claimed);
            let l1 = devnet.l1().l2_block(proposal.l1.number).unwrap();
            assert_eq!(proposal.l1, l1.reference());
        }
        assert!(!proposals.is_behind().await.unwrap());
        assert_eq!(proposals.opaque_games(), 0);
        // Nothing new, nothing twice.
        assert!(proposals.advance().await.unwrap().is_empty());

        let checker = ProposalChecker::new(devnet.l2().clone(), validator(&devnet));
        let verdict = checker.check(&found[0]).await.unwrap();
        assert!(matches!(verdict, Verdict::Valid(_)));
        let verdict = checker.check(&found[1]).await.unwrap();
        let Verdict::Invalid(Fault::OutputRoot(values)) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(values.claimed, found[1].output_root);

        // Offline, from a bundle.
        let block = devnet.l2().l2_block(lying).unwrap();
        // The devnet's lie is the storage root of other withdrawals.
        let opening = |withdrawals| {
            let header = &block.header;
            keccak256([B256::ZERO, header.state_root, withdrawals, header.seal()].concat())
        };
        let withdrawals = block.header.withdrawals_root.unwrap();
        assert_eq!(values.computed, opening(withdrawals));
        assert_eq!(values.claimed, opening(keccak256(withdrawals)));
        let recorded = RecordedBlock {
            witness: devnet.l2().witness(&block).await.unwrap(),
            block,
            source: None,
        };
        let spec = devnet.l2().role().spec().clone();
        let evidence = Evidence::new(spec, recorded, Fault::OutputRoot(values)).unwrap();
        let read = Evidence::parse(&evidence.to_json().unwrap()).unwrap();
        assert_eq!(
            read.replay().unwrap(),
            Verdict::Invalid(Fault::OutputRoot(values))
        );
    }
}

/// Whoever opens a second game with the truth does not hide the lie, and a block that is not there
/// yet makes its proposal neither right nor wrong.
#[tokio::test]
async fn every_game_of_a_block_counts_and_the_future_does_not() {
    let devnet = devnet();
    let number = propose(&devnet, Some(Lie::OutputRoot));
    let create = |root: [u8; 32], number: u64| {
        let mut input = keccak256("create(uint32,bytes32,bytes)")[..4].to_vec();
        input.extend(U256::ZERO.to_be_bytes::<32>());
        input.extend(root);
        for word in [96, 32, number] {
            input.extend(U256::from(word).to_be_bytes::<32>());
        }
        let from = &DEV_ACCOUNTS[3];
        (devnet.l1())
            .transact(from, DISPUTE_GAME_FACTORY, U256::ZERO, input.into())
            .unwrap();
    };
    let block = devnet.l2().l2_block(number).unwrap();
    let verdict = validator(&devnet).validate(&block).await.unwrap();
    let truth = verdict.summary().unwrap().output_root.unwrap();
    create(truth.0, number);
    create([7; 32], 1_000_000);

    let proposals = follow(devnet.l1().clone(), CONTRACTS[1]);
    let found = proposals.advance().await.unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found[1].output_root, truth);

    let checker = ProposalChecker::new(devnet.l2().clone(), validator(&devnet));
    let verdict = checker.check(&found[0]).await.unwrap();
    assert_eq!(verdict.fault().map(Fault::name), Some("outputRoot"));
    assert!(matches!(
        checker.check(&found[1]).await.unwrap(),
        Verdict::Valid(_)
    ));
    assert!(matches!(
        checker.check(&found[2]).await,
        Err(ValidateError::Incomplete {
            block: 1_000_000,
            ..
        })
    ));

    // Games of a type whose claims are something else are not looked at.
    let events = ProposalEvents::new(CONTRACTS[1]).with_game_types([1]);
    let others = follow(devnet.l1().clone(), CONTRACTS[1]).with_events(events);
    assert!(others.advance().await.unwrap().is_empty());
}

/// A node that has another block at each height until it was asked so often, and another head.
struct Reorged {
    to: Chain<mach_devnet::Optimism>,
    from: L2Block,
    left: AtomicUsize,
    finalized: BlockNumber,
}

#[async_trait]
impl L2Source for Reorged {
    fn chain_id(&self) -> ChainId {
        L2Source::chain_id(&self.to)
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        let mut reference = L2Source::head(&self.to, head).await?;
        if head == L2Head::Finalized {
            reference.number = self.finalized;
        }
        Ok(reference)
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return L2Source::block(&self.to, number).await;
        }
        self.left.store(left - 1, Ordering::Relaxed);
        Ok(self.from.clone())
    }
}

/// The honest proposal is compared with a block that a reorg then replaces.
#[tokio::test]
async fn a_block_that_is_replaced_accuses_no_proposal() {
    let devnet = devnet();
    let number = propose(&devnet, None);
    let proposals = follow(devnet.l1().clone(), CONTRACTS[1]);
    let found = proposals.advance().await.unwrap();
    // Of another sequencer, on the same genesis, with other transactions.
    let config = DevnetConfig {
        traffic: Traffic::varied(1),
        ..Default::default()
    };
    let other = config.build().unwrap();
    for _ in 0..number {
        other.sequencer().produce().unwrap();
    }
    let orphan = other.l2().l2_block(number).unwrap();
    assert_ne!(orphan.hash(), devnet.l2().l2_block(number).unwrap().hash());
    let checker = |left, finalized| {
        let source = Reorged {
            to: devnet.l2().clone(),
            from: orphan.clone(),
            left: AtomicUsize::new(left),
            finalized,
        };
        ProposalChecker::new(source, validator(&other))
    };
    let verdict = checker(1, number).check(&found[0]).await;
    assert!(
        matches!(&verdict, Err(ValidateError::Incomplete { .. })),
        "{verdict:?}"
    );
    // Of a node that stays with its block, it is a fault.
    let verdict = checker(2, number).check(&found[0]).await.unwrap();
    assert_eq!(verdict.fault().map(Fault::name), Some("outputRoot"));
    // Nothing is compared before it is final, unless one is content with safe blocks.
    let early = checker(2, number - 1);
    assert!(matches!(
        early.check(&found[0]).await,
        Err(ValidateError::Incomplete { .. })
    ));
    let early = checker(2, number - 1).with_head(L2Head::Safe);
    assert!(early.check(&found[0]).await.is_ok());
}

#[tokio::test]
async fn what_becomes_of_a_proposal_is_followed() {
    let devnet = devnet();
    propose(&devnet, Some(Lie::OutputRoot));
    propose(&devnet, None);
    let games = follow(devnet.l1().clone(), CONTRACTS[1]);
    let outputs = follow(devnet.l1().clone(), CONTRACTS[0]);
    let found = games.advance().await.unwrap();
    outputs.advance().await.unwrap();
    let call = |to, signature: &str| {
        let input = keccak256(signature)[..4].to_vec();
        (devnet.l1())
            .transact(&DEV_ACCOUNTS[3], to, U256::ZERO, input.into())
            .unwrap();
    };
    let ProposalKind::Game { proxy, .. } = found[0].kind else {
        panic!("{found:?}");
    };
    let before = devnet.l1().head();
    call(proxy, "counter()");
    call(proxy, "resolve()");
    games.advance().await.unwrap();
    let status = |proposals: &L1Proposals<Chain<Ethereum>>| -> Vec<_> {
        let all = proposals.proposals();
        all.iter().map(|it| it.status).collect()
    };
    assert_eq!(
        status(&games),
        [ProposalStatus::Defeated, ProposalStatus::Open]
    );
    assert_eq!(status(&outputs), [ProposalStatus::Open; 2]);

    // L1 goes back: the game goes on, until what ended it is mined again.
    devnet.l1().rewind(before).unwrap();
    games.advance().await.unwrap();
    assert_eq!(status(&games), [ProposalStatus::Open; 2]);
    devnet.l1().mine().unwrap();
    games.advance().await.unwrap();
    let ended = games.proposals()[0];
    assert_eq!(ended.status, ProposalStatus::Defeated);
    assert_eq!(ended.since, before + 1);
    assert_eq!(status(&games)[1], ProposalStatus::Open);
}

/// What stood in L1 blocks that are gone is forgotten, and found once where it stands now.
#[tokio::test]
async fn proposals_move_with_a_reorganised_l1() {
    let devnet = devnet();
    propose(&devnet, Some(Lie::OutputRoot));
    propose(&devnet, None);
    let games = follow(devnet.l1().clone(), CONTRACTS[1]);
    let found = games.advance().await.unwrap();
    for (at, left) in [(found[1].l1, 1), (found[0].l1, 0)] {
        devnet.l1().rewind(at.number - 1).unwrap();
        assert!(games.advance().await.unwrap().is_empty());
        assert_eq!(games.proposals().len(), left);
    }

    // Both transactions are in the next block now.
    devnet.l1().increase_time(1);
    devnet.l1().mine().unwrap();
    let again = games.advance().await.unwrap();
    let at = devnet
        .l1()
        .l2_block(found[0].l1.number)
        .unwrap()
        .reference();
    let moved: Vec<_> = (found.iter())
        .map(|proposal| Proposal {
            l1: at,
            ..*proposal
        })
        .collect();
    assert_eq!(again, moved);
    assert_eq!(games.proposals().len(), 2);
}

/// Whatever is changed about a proposal is named; a block that is not there is no proposal's fault.
#[tokio::test]
async fn every_change_of_a_proposal_is_named() {
    let devnet = devnet();
    let number = propose(&devnet, None);
    for contract in CONTRACTS {
        let found = follow(devnet.l1().clone(), contract).advance().await;
        let honest = found.unwrap()[0];
        let checker = ProposalChecker::new(devnet.l2().clone(), validator(&devnet));
        assert!(checker.check(&honest).await.unwrap().fault().is_none());
        for byte in 0..32 {
            let mut changed = honest;
            changed.output_root.0[byte] ^= 1;
            let verdict = checker.check(&changed).await.unwrap();
            let Some(Fault::OutputRoot(values)) = verdict.fault() else {
                panic!("byte {byte}: {verdict:?}");
            };
            assert_eq!(values.claimed, changed.output_root);
            assert_eq!(values.computed, honest.output_root);
        }
        for other in 1..number {
            let changed = Proposal {
                block: other,
                ..honest
            };
            let verdict = checker.check(&changed).await.unwrap();
            assert_eq!(verdict.fault().map(Fault::name), Some("outputRoot"));
        }
        for other in [number + 1, u64::MAX] {
            let changed = Proposal {
                block: other,
                ..honest
            };
            let verdict = checker.check(&changed).await;
            assert!(
                matches!(verdict, Err(ValidateError::Incomplete { .. })),
                "{verdict:?}"
            );
        }
    }
}

/// What an L1 node says otherwise than it is: the receipts of blocks that have some.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Nothing,
    /// The last is left out.
    Fewer,
    /// The last is there twice.
    More,
    /// This byte of the last is another.
    Byte(usize),
}

/// An L1 node that lies about receipts.
#[derive(Clone)]
struct Lying {
    l1: Chain<Ethereum>,
    damage: Arc<Mutex<Damage>>,
}

#[async_trait]
impl L1Source for Lying {
    fn chain_id(&self) -> ChainId {
        L1Source::chain_id(&self.l1)
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        L1Source::head(&self.l1, head).await
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        self.l1.header(number).await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        L1Source::block(&self.l1, number).await
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        let mut receipts = self.l1.receipts(header).await?;
        let Some(last) = receipts.pop() else {
            return Ok(receipts);
        };
        let mut bytes = last.to_vec();
        match *self.damage.lock().unwrap() {
            Damage::Nothing => receipts.push(last),
            Damage::Fewer => {}
            Damage::More => receipts.extend([last.clone(), last]),
            Damage::Byte(at) => {
                let at = at % bytes.len();
                bytes[at] ^= 1;
                receipts.push(bytes.into());
            }
        }
        Ok(receipts)
    }
}

#[tokio::test]
async fn a_node_cannot_hide_or_invent_a_proposal() {
    let devnet = devnet();
    propose(&devnet, None);
    let damage = Arc::new(Mutex::new(Damage::Nothing));
    let l1 = Lying {
        l1: devnet.l1().clone(),
        damage: damage.clone(),
    };
    let proposals = follow(l1.clone(), CONTRACTS[0]);
    let bytes = (0..2_000).step_by(7).map(Damage::Byte);
    for lie in [Damage::Fewer, Damage::More].into_iter().chain(bytes) {
        *damage.lock().unwrap() = lie;
        let error = proposals.advance().await.unwrap_err();
        assert!(
            matches!(
                &error,
                SourceError::Malformed {
                    field: "receipts",
                    ..
                }
            ),
            "{lie:?}: {error}"
        );
        assert!(proposals.proposals().is_empty());
    }
    // What was read before stays, and the rest is found when the node is honest.
    *damage.lock().unwrap() = Damage::Nothing;
    let found: Vec<Proposal> = proposals.advance().await.unwrap();
    assert_eq!(found.len(), 1);
}
