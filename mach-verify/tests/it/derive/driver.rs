//! Derivation over ports.

use std::sync::{Arc, Mutex};

use alloy_op_hardforks::OpHardfork;
use async_trait::async_trait;
use mach_core::{
    Fault, L2Block, Mismatch, Verdict,
    ports::{BlockValidator, L1Head, SourceError, ValidateError},
};
use mach_verify::{
    Bundle,
    derive::{
        DerivationEvidence, DerivationEvidenceError, DeriveError, Driver, DriverError, Finding,
        Origin,
    },
};

use super::{
    encode::{data, frames, transaction},
    two_epochs,
    world::{L1, World},
};

fn driver(world: &World) -> Driver<L1, L1, L1> {
    driver_of(&L1::new(world.clone()))
}

fn driver_of(source: &L1) -> Driver<L1, L1, L1> {
    let world = source.world();
    Driver::new(
        world.rollup.clone(),
        &world.l2[0],
        source.clone(),
        source.clone(),
        source.clone(),
    )
    .unwrap()
}

/// A driver behind block 7.
async fn at_seven(source: &L1) -> Driver<L1, L1, L1> {
    let mut driver = driver_of(source);
    for number in 1..=7 {
        let (block, finding) = driver.next().await.unwrap();
        assert_eq!(block.number(), number);
        assert!(matches!(finding, Finding::Derived(_)));
    }
    driver
}

#[tokio::test]
async fn the_chain_is_followed_as_far_as_it_is_posted() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=9);
    world.post_blobs(&[data(&frames(1, &channel, 1_000_000))]);
    let mut driver = driver(&world);
    for number in 1..=9 {
        let (block, finding) = driver.next().await.unwrap();
        assert_eq!(block, world.l2[number]);
        assert!(matches!(finding, Finding::Derived(_)));
    }
    let error = driver.next().await.unwrap_err();
    assert!(error.is_not_yet() && error.is_transient(), "{error:?}");

    let mut without = world.clone();
    without.blobs.clear();
    let error = self::driver(&without).next().await.unwrap_err();
    assert!(matches!(
        error,
        DriverError::Source(SourceError::NotHeld(102))
    ));
}

#[tokio::test]
async fn a_block_that_was_not_posted_is_a_fault() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.l2.truncate(8);
    world.sequence(1, vec![transaction(80)]);
    let mut driver = driver(&world);
    for _ in 1..8 {
        assert!(matches!(
            driver.next().await.unwrap().1,
            Finding::Derived(_)
        ));
    }
    // And stays one.
    for _ in 0..2 {
        let (block, finding) = driver.next().await.unwrap();
        assert_eq!(block.number(), 8);
        assert!(matches!(
            finding,
            Finding::NotDerivable(Fault::BatchTransactions { index: 2, .. })
        ));
    }
}

/// The sequencer may have published the block that replaces a batch, or may have left the
/// transactions out: only who executes the batch knows.
#[tokio::test]
async fn a_block_that_may_replace_a_batch_is_no_fault() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.l2.truncate(8);
    world.sequence(1, vec![]);
    let mut driver = driver(&world);
    for _ in 1..8 {
        let _ = driver.next().await.unwrap();
    }
    for _ in 0..2 {
        let error = driver.next().await.unwrap_err();
        assert!(matches!(
            error,
            DriverError::Derive(DeriveError::Replaced(8))
        ));
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn sources_of_other_chains_are_refused() {
    let world = two_epochs(OpHardfork::Jovian);
    let mut rollup = world.rollup.clone();
    rollup.config.l1_chain_id = 5;
    let source = L1::new(world.clone());
    let error = Driver::new(rollup, &world.l2[0], source.clone(), source.clone(), source);
    assert!(matches!(
        error,
        Err(DriverError::Source(SourceError::WrongChain {
            expected: 5,
            actual: 1
        }))
    ));
}

/// What is said of one block says nothing of another one at its height.
#[tokio::test]
async fn a_wrong_block_is_not_held_against_the_right_one() {
    for fork in [OpHardfork::Fjord, OpHardfork::Jovian] {
        // The batch of block 8 has transactions, or none.
        for is_empty in [false, true] {
            let mut world = two_epochs(fork);
            if is_empty {
                world.l2.truncate(8);
                world.sequence(1, vec![]);
            }
            let last = world.l2.len() - 1;
            let channel = world.span(1..=last);
            world.post(&[data(&frames(1, &channel, 1_000_000))]);
            let honest = world.l2[8].clone();
            world.l2.truncate(8);
            world.sequence(1, vec![transaction(90)]);
            let wrong = world.l2.pop().unwrap();
            world.sequence(1, vec![transaction(91), transaction(92)]);
            let other = world.l2.pop().unwrap();
            let empty = {
                world.sequence(1, vec![]);
                world.l2.pop().unwrap()
            };

            let source = L1::new(world);
            let mut driver = at_seven(&source).await;
            let serve = |block: &L2Block| {
                let mut world = source.world();
                world.l2.truncate(8);
                world.l2.push(block.clone());
            };
            for block in [&wrong, &other, &wrong] {
                serve(block);
                let finding = driver.check(block).await;
                let is_accused = matches!(
                    finding,
                    Ok(Finding::NotDerivable(Fault::BatchTransactions { .. }))
                );
                // Before Holocene another batch may still come.
                let is_open = matches!(&finding, Err(error) if error.is_not_yet());
                let waits = fork == OpHardfork::Fjord && !is_empty;
                assert_eq!((is_accused, is_open), (!waits, waits), "{fork:?}");
            }
            if fork == OpHardfork::Jovian && !is_empty {
                serve(&empty);
                let error = driver.check(&empty).await.unwrap_err();
                assert!(matches!(
                    error,
                    DriverError::Derive(DeriveError::Replaced(8))
                ));
            }
            // The source exchanges its block for the right one.
            serve(&honest);
            let (block, finding) = driver.next().await.unwrap();
            assert_eq!(block, honest);
            assert!(matches!(finding, Finding::Derived(_)), "{fork:?}");
        }
    }
}

/// L1 may still decide otherwise, or has done so.
#[tokio::test]
async fn only_a_final_l1_accuses() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.l2.truncate(8);
    world.sequence(1, vec![transaction(80)]);
    world.finalized = Some(101);
    let source = L1::new(world.clone());
    let mut driver = driver_of(&source).with_head(L1Head::Latest);
    for _ in 1..8 {
        assert!(matches!(
            driver.next().await.unwrap().1,
            Finding::Derived(_)
        ));
    }
    let inclusion = world.l1[2].reference();
    for _ in 0..2 {
        let error = driver.next().await.unwrap_err();
        assert!(matches!(
            error,
            DriverError::Derive(DeriveError::Unsettled(block)) if block == inclusion
        ));
        assert!(error.is_transient() && !error.is_not_yet());
    }

    // What becomes final is another block.
    source.world().l1.pop();
    source.world().post(&[vec![1]]);
    source.world().finalized = Some(102);
    let replaced = source.world().l1[2].reference();
    let error = driver.next().await.unwrap_err();
    assert!(matches!(
        error,
        DriverError::Derive(DeriveError::L1Replaced { block, inclusion: before })
            if block == replaced && before == inclusion
    ));

    // Or it is the one that was read.
    *source.world() = World {
        finalized: Some(102),
        ..world
    };
    let (block, finding) = driver.next().await.unwrap();
    assert_eq!(block.number(), 8);
    assert!(matches!(finding, Finding::NotDerivable(_)));
}

/// A world whose block 6 has a new L1 origin, and that block as it was on an L1 block that is gone.
/// The batch of block 6 keeps the L1 origin before, if `is_early`, and was posted to the new one.
fn reorganised(is_early: bool) -> (World, L2Block) {
    let mut world = two_epochs(OpHardfork::Jovian);
    world.l2.truncate(6);
    let mut before = world.clone();
    before.l1.truncate(1);
    before.post(&[vec![9]]);
    before.sequence(1, vec![transaction(60)]);
    let orphan = before.l2.pop().unwrap();
    world.sequence(usize::from(!is_early), vec![transaction(60)]);
    if is_early {
        world.l1.truncate(1);
    }
    let channel = world.span(1..=6);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    (world, orphan)
}

/// Until it notices, such a node serves blocks that were right; it does not call them safe.
#[tokio::test]
async fn a_node_that_missed_a_reorganisation_accuses_nobody() {
    for is_early in [false, true] {
        let (mut world, orphan) = reorganised(is_early);
        let right = std::mem::replace(&mut world.l2[6], orphan.clone());
        world.safe = Some(5);
        let source = L1::new(world);
        let mut driver = driver_of(&source);
        for _ in 1..=5 {
            assert!(matches!(
                driver.next().await.unwrap().1,
                Finding::Derived(_)
            ));
        }
        for _ in 0..2 {
            let error = driver.next().await.unwrap_err();
            assert!(error.is_transient() && !error.is_not_yet(), "{error:?}");
            assert!(matches!(
                error,
                DriverError::Derive(DeriveError::Orphaned(block)) if block == orphan.reference()
            ));
            assert!(driver.accuse(&orphan).await.is_err());
        }
        // The node notices. Who asks of the block that it had does not get an accusation either.
        source.world().l2[6] = right.clone();
        source.world().safe = None;
        let error = driver.check(&orphan).await.unwrap_err();
        assert!(matches!(
            error,
            DriverError::Derive(DeriveError::Orphaned(_))
        ));
        let (block, finding) = driver.next().await.unwrap();
        assert_eq!(block, right);
        assert!(matches!(finding, Finding::Derived(_)));
    }
}

/// A sequencer that crashes may build a block again that it has not posted, on the same L1 origin. A
/// node that misses it serves the first one, and not as safe.
#[tokio::test]
async fn a_block_that_its_sequencer_replaced_before_it_was_posted_is_not_accused() {
    let mut world = two_epochs(OpHardfork::Jovian);
    world.l2.truncate(6);
    let mut before = world.clone();
    before.sequence(1, vec![transaction(61)]);
    let replaced = before.l2.pop().unwrap();
    world.sequence(1, vec![transaction(60)]);
    let channel = world.span(1..=6);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.l2[6] = replaced.clone();
    world.safe = Some(5);
    let source = L1::new(world);
    let mut driver = driver_of(&source);
    for _ in 1..=5 {
        let _ = driver.next().await.unwrap();
    }
    let error = driver.next().await.unwrap_err();
    assert!(
        matches!(
            error,
            DriverError::Derive(DeriveError::Orphaned(block)) if block == replaced.reference()
        ),
        "{error:?}"
    );
    // Whoever calls it safe stands by it.
    source.world().safe = Some(6);
    let (_, finding) = driver.next().await.unwrap();
    assert!(
        matches!(
            finding,
            Finding::NotDerivable(mach_core::Fault::BatchTransactions { .. })
        ),
        "{finding:?}"
    );
}

/// What is served as safe is not left over.
#[tokio::test]
async fn a_safe_block_whose_l1_origin_is_not_on_l1_is_accused() {
    for (is_early, name) in [(false, "l1Origin"), (true, "batchOrigin")] {
        let (mut world, orphan) = reorganised(is_early);
        world.l2[6] = orphan.clone();
        world.safe = Some(6);
        let source = L1::new(world);
        let mut driver = driver_of(&source);
        for _ in 1..=5 {
            let _ = driver.next().await.unwrap();
        }
        let (_, finding) = driver.next().await.unwrap();
        let Finding::NotDerivable(fault) = finding else {
            panic!("{finding:?}");
        };
        assert_eq!(fault.name(), name);
        let evidence = driver.accuse(&orphan).await.unwrap().unwrap();
        assert_eq!(evidence.block(), &orphan);
        let json = evidence.to_json().unwrap();
        let read = DerivationEvidence::parse(&json).unwrap();
        assert_eq!(read.replay().unwrap(), fault);
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let ancestors = value["ancestors"].as_array().unwrap();
        assert!(!ancestors.contains(&value["block"]));
    }
}

/// Says the same of every block, and keeps them.
struct Says(Option<Fault>, Mutex<Vec<L2Block>>);

#[async_trait]
impl BlockValidator for Says {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        self.1.lock().unwrap().push(block.clone());
        self.0
            .clone()
            .map(Verdict::Invalid)
            .ok_or_else(|| ValidateError::Incomplete {
                block: block.number(),
                source: "no witness".into(),
            })
    }
}

/// A world whose batcher posted blocks 1 to 12, and whose block 8 has nothing but deposits.
fn replaced() -> World {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.l2.truncate(8);
    world.sequence(1, vec![]);
    world
}

#[tokio::test]
async fn a_batch_that_cannot_be_executed_is_replaced() {
    let failed = |index| Fault::Transaction {
        index,
        hash: alloy_primitives::B256::ZERO,
        reason: "nonce too low".to_owned(),
    };
    let differs = Fault::GasUsed(Mismatch {
        claimed: 1,
        computed: 2,
    });
    // The deposit of the L1 attributes is transaction 0, the batch has two.
    for (verdict, is_replaced) in [
        (Some(failed(1)), true),
        (Some(failed(2)), true),
        (Some(failed(0)), false),
        // It can be executed, or nobody knows: no verdict either way.
        (Some(differs), false),
        (None, false),
    ] {
        let mut world = replaced();
        let rest = {
            for number in 9..=10 {
                world.sequence(1, vec![transaction(400 + number)]);
            }
            world.span(9..=10)
        };
        world.post(&[data(&frames(2, &rest, 1_000_000))]);
        let executor = Arc::new(Says(verdict.clone(), Mutex::default()));
        let mut driver = at_seven(&L1::new(world.clone()))
            .await
            .with_executor(executor.clone());
        let result = driver.next().await;
        let asked = executor.1.lock().unwrap().clone();
        let [asked] = asked.as_slice() else {
            panic!("asked {} times", asked.len());
        };
        let expected = [
            &world.l2[8].transactions[..],
            &[transaction(80), transaction(81)],
        ];
        assert_eq!(asked.transactions, expected.concat());
        assert_eq!(
            asked.header.transactions_root,
            super::world::root(&asked.transactions)
        );
        assert_eq!(asked.header.state_root, world.l2[8].header.state_root);
        if is_replaced {
            let Ok((_, Finding::Derived(derived))) = result else {
                panic!("{result:?}");
            };
            assert_eq!(derived.origin, Origin::Replacement);
            // The rest of that channel is lost, the next one counts.
            for number in 9..=10 {
                let (block, finding) = driver.next().await.unwrap();
                assert_eq!(block.number(), number);
                assert!(matches!(finding, Finding::Derived(_)));
            }
        } else {
            let error = result.unwrap_err();
            assert_eq!(error.is_transient(), verdict.is_none(), "{error:?}");
        }
    }
}

#[tokio::test]
async fn whoever_knows_says_that_a_batch_is_replaced() {
    let source = L1::new(replaced());
    let mut driver = at_seven(&source).await;
    let block = source.world().l2[8].clone();
    assert!(driver.next().await.is_err());
    assert!(matches!(
        driver.accept_replacement(&block).await,
        Ok(Finding::Derived(derived)) if derived.origin == Origin::Replacement
    ));
    assert_eq!(driver.derivation().head(), block.reference());
    assert!(driver.derivation().has_derived(block.reference()));

    // Of a block that the batch contradicts nobody can say so.
    let mut world = replaced();
    world.l2.truncate(8);
    world.sequence(1, vec![transaction(5)]);
    let wrong = world.l2[8].clone();
    let mut driver = at_seven(&L1::new(world)).await;
    let finding = driver.accept_replacement(&wrong).await.unwrap();
    assert!(matches!(finding, Finding::NotDerivable(_)));
}

/// What `verify_against_l1` names, it names here too, so that signatures of both add up.
#[tokio::test]
async fn a_rule_of_l1_keeps_its_name() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    let honest = world.l2[8].clone();
    let check =
        |change: &dyn Fn(&mut alloy_consensus::Header, &mut Vec<alloy_primitives::Bytes>)| {
            let mut header = honest.header.inner().clone();
            let mut transactions = honest.transactions.clone();
            change(&mut header, &mut transactions);
            header.transactions_root = super::world::root(&transactions);
            L2Block::new(901, header, transactions)
        };
    for (block, name) in [
        (
            check(&|_, transactions| {
                let mut deposit = transactions[0].to_vec();
                let selector = deposit
                    .windows(4)
                    .position(|it| it == [0x3d, 0xb6, 0xbe, 0x2b]);
                let at = selector.expect("the selector of setL1BlockValuesJovian");
                deposit[at + 4] ^= 1;
                transactions[0] = deposit.into();
            }),
            "l1Attributes",
        ),
        (check(&|header, _| header.gas_limit += 1), "systemConfig"),
        (
            check(&|header, _| header.mix_hash.0[0] ^= 1),
            "payloadAttributes",
        ),
        (
            check(&|_, transactions| transactions.insert(1, transactions[0].clone())),
            "userDeposits",
        ),
        (
            check(&|_, transactions| drop(transactions.pop())),
            "batchTransactions",
        ),
    ] {
        let mut serving = world.clone();
        serving.l2.truncate(8);
        serving.l2.push(block.clone());
        let mut driver = at_seven(&L1::new(serving)).await;
        match driver.check(&block).await.unwrap() {
            Finding::NotDerivable(fault) => assert_eq!(fault.name(), name),
            finding => panic!("{name}: {finding:?}"),
        }
    }
}

#[tokio::test]
async fn a_fault_leaves_a_bundle_that_gives_it_again() {
    for fork in [OpHardfork::Ecotone, OpHardfork::Jovian] {
        let mut world = two_epochs(fork);
        let channel = world.span(1..=12);
        world.post_blobs(&[data(&frames(1, &channel, 1_000_000))]);
        world.idle(10);
        let honest = world.l2[8].clone();
        world.l2.truncate(8);
        // With this L1 origin the window is over before it is known what else could be there.
        world.sequence(1, vec![transaction(90)]);
        let source = L1::new(world.clone());
        let driver = at_seven(&source).await;
        let evidence = driver.accuse(&world.l2[8]).await.unwrap().unwrap();
        assert_eq!(evidence.block(), &world.l2[8]);
        assert!(driver.accuse(&honest).await.unwrap().is_none());

        let json = evidence.to_json().unwrap();
        let read = DerivationEvidence::parse(&json).unwrap();
        assert_eq!(read, evidence);
        assert_eq!(read.to_json().unwrap(), json);
        let fault = read.replay().unwrap();
        assert_eq!(&fault, evidence.fault());
        assert!(matches!(fault, Fault::BatchTransactions { .. }));
        let folder = tempfile::tempdir().unwrap();
        let file = mach_verify::EvidenceFolder::new(folder.path())
            .keep(&evidence)
            .unwrap();
        let read = DerivationEvidence::read(&file).unwrap();
        assert_eq!(read.replay().unwrap(), fault);
        assert_eq!(
            file.file_name().unwrap().to_str().unwrap(),
            evidence.file_name()
        );
        // Every part is needed, and none can be exchanged.
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let damage = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut value = value.clone();
            change(&mut value);
            let json = serde_json::to_vec(&value).unwrap();
            let Ok(evidence) = DerivationEvidence::parse(&json) else {
                return;
            };
            let error = evidence.replay().unwrap_err();
            assert!(
                matches!(
                    error,
                    DerivationEvidenceError::Undecided(_) | DerivationEvidenceError::Differs { .. }
                ),
                "{error:?}"
            );
        };
        for index in 0..value["derivedFrom"].as_array().unwrap().len() {
            damage(&|value| drop(value["derivedFrom"].as_array_mut().unwrap().remove(index)));
            damage(&|value| value["derivedFrom"][index]["receipts"] = serde_json::json!(["0x01"]));
        }
        damage(&|value| value["derivedFrom"][2]["blobs"] = serde_json::json!([]));
        damage(&|value| {
            let blob = &mut value["derivedFrom"][2]["blobs"][0];
            let mut text = blob.as_str().unwrap().to_owned();
            let other = if text.ends_with('0') { "1" } else { "0" };
            text.replace_range(text.len() - 1.., other);
            *blob = text.into();
        });
        damage(&|value| value["ancestors"] = serde_json::json!([]));
        damage(&|value| value["finalized"] = 101.into());
        damage(&|value| {
            value["rollup"]["batch_inbox_address"] =
                serde_json::json!("0x00000000000000000000000000000000000000aa")
        });
        damage(&|value| {
            let honest = honest.encode_rlp();
            value["block"] = alloy_primitives::hex::encode_prefixed(honest).into();
        });
        damage(&|value| value["version"] = 2.into());
    }
}

/// A few hundred bytes that are compressed: each list is short enough, and there are many.
#[tokio::test]
async fn what_takes_memory_in_a_bundle_is_counted_over_all_of_it() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.idle(10);
    world.l2.truncate(8);
    world.sequence(1, vec![transaction(90)]);
    let driver = at_seven(&L1::new(world.clone())).await;
    let evidence = driver.accuse(&world.l2[8]).await.unwrap().unwrap();
    let honest: serde_json::Value = serde_json::from_slice(&evidence.to_json().unwrap()).unwrap();
    let parse = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = honest.clone();
        change(&mut json);
        DerivationEvidence::parse(json.to_string().as_bytes())
    };
    let block = |transactions| {
        let mut block = world.l2[1].clone();
        block.transactions = vec![alloy_primitives::Bytes::new(); transactions];
        alloy_primitives::hex::encode_prefixed(block.encode_rlp())
    };
    let (most, more) = (block(100_000), block(100_001));
    type Change<'a> = &'a dyn Fn(&mut serde_json::Value);
    let cases: [(&str, Change<'_>); 4] = [
        ("block", &|json| json["block"] = more.clone().into()),
        ("ancestors", &|json| {
            json["ancestors"][0] = more.clone().into()
        }),
        ("derivedFrom", &|json| {
            json["derivedFrom"][0]["block"] = more.clone().into()
        }),
        // Four millions in all, and one block more.
        ("ancestors", &|json| {
            json["ancestors"] = vec![most.clone(); 41].into()
        }),
    ];
    for (name, change) in cases {
        let error = parse(change).unwrap_err();
        assert!(
            matches!(error, DerivationEvidenceError::Field(field) if field == name),
            "{name}: {error:?}"
        );
    }
    assert!(parse(&|json| json["ancestors"] = vec![most.clone(); 39].into()).is_ok());

    for (blocks, is_read) in [(39, true), (41, false)] {
        let read = parse(&|json| {
            let mut l1 = json["derivedFrom"][0].clone();
            l1["receipts"] = vec!["0x"; 100_000].into();
            json["derivedFrom"] = vec![l1; blocks].into();
        });
        let error = read.map_or_else(|error| format!("{error:?}"), |_| String::new());
        assert_eq!(error.contains("more than 4000000 receipts"), !is_read);
        assert_eq!(error.is_empty(), is_read, "{error}");
    }
    let error = parse(&|json| json["rollup"]["nothing"] = vec![0; 600_000].into()).unwrap_err();
    assert!(format!("{error:?}").contains("more than 1048576 bytes"));
}
