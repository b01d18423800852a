//! Blocks from what stands on L1.

mod blobs;
mod devnet;
mod driver;
mod encode;
mod mutations;
mod properties;
mod world;

use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{B256, Bytes, keccak256};
use mach_core::{Fault, Mismatch};
use mach_verify::{
    ChainSpec,
    derive::{Derivation, DeriveError, Origin, Step},
};

use encode::{data, frames, transaction};
use world::{START, Stop, World};

const FORKS: [OpHardfork; 8] = [
    OpHardfork::Regolith,
    OpHardfork::Canyon,
    OpHardfork::Ecotone,
    OpHardfork::Fjord,
    OpHardfork::Granite,
    OpHardfork::Holocene,
    OpHardfork::Isthmus,
    OpHardfork::Jovian,
];

/// Twelve blocks in two epochs, with 0, 1 or 2 transactions each.
fn two_epochs(fork: OpHardfork) -> World {
    let mut world = World::new(fork);
    world.idle(1);
    for number in 1..=12_u64 {
        let origin = usize::from(number >= 6);
        let transactions = (0..number % 3).map(|index| transaction(10 * number + index));
        world.sequence(origin, transactions.collect());
    }
    world
}

fn numbers(derived: &[mach_verify::derive::DerivedBlock]) -> Vec<u64> {
    derived.iter().map(|block| block.number()).collect()
}

#[test]
fn singular_batches_give_every_block_under_every_fork() {
    for fork in FORKS {
        let mut world = two_epochs(fork);
        let channel = world.singular(1..=12);
        world.post(&[data(&frames(1, &channel, 1_000_000))]);
        let derived = world.follow(&mut world.derivation()).unwrap();
        assert_eq!(numbers(&derived), (1..=12).collect::<Vec<_>>(), "{fork:?}");
        assert!(derived.iter().all(|block| block.origin == Origin::Batch));
        // Number 8 is the second transaction of block 8.
        assert_eq!(derived[7].transactions, [transaction(80), transaction(81)]);
        assert_eq!(derived[7].attributes.timestamp, START + 16);
        assert_eq!(derived[7].attributes.l1.number, 101);
        assert_eq!(derived[7].attributes.l1.sequence_number, 2);
        assert_eq!(derived[7].inclusion.number, 102);
    }
}

#[test]
fn a_span_gives_every_block_under_every_fork() {
    for fork in FORKS {
        let mut world = two_epochs(fork);
        let channel = world.span(1..=12);
        world.post(&[data(&frames(1, &channel, 1_000_000))]);
        let derived = world.follow(&mut world.derivation()).unwrap();
        assert_eq!(numbers(&derived), (1..=12).collect::<Vec<_>>(), "{fork:?}");
    }
}

#[test]
fn a_span_before_delta_does_not_count() {
    let mut world = two_epochs(OpHardfork::Canyon);
    world.rollup.config.forks.delta_time = Some(START + 1_000);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    let derived = world.follow(&mut world.derivation()).unwrap();
    assert!(derived.is_empty());
}

/// op-node decodes from a stream, kona ignores what is left.
#[test]
fn bytes_behind_a_batch_do_not_count() {
    for fork in FORKS {
        let mut world = two_epochs(fork);
        let batches: Vec<_> = (world.blocks(1..=12).iter())
            .map(|block| [encode::singular(block), vec![0xff, 0]].concat())
            .collect();
        world.post(&[data(&frames(1, &encode::channel(&batches), 1_000_000))]);
        let derived = world.follow(&mut world.derivation()).unwrap();
        assert_eq!(numbers(&derived), (1..=12).collect::<Vec<_>>(), "{fork:?}");
    }
}

/// op-node reads on behind a span whose transactions are none, kona ends its channel: whoever follows
/// either is not accused.
#[test]
fn behind_a_span_that_makes_no_sense_a_difference_is_a_doubt() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        let mut world = two_epochs(fork);
        let blocks = world.blocks(1..=12);
        let nonsense = encode::span_of_type(5, &blocks, 100, START);
        let batches: Vec<_> = (blocks.iter().map(encode::singular)).collect();
        let batches = [vec![nonsense], batches].concat();
        world.post(&[data(&frames(1, &encode::channel(&batches), 1_000_000))]);
        let derived = world.follow(&mut world.derivation()).unwrap();
        assert_eq!(numbers(&derived), (1..=12).collect::<Vec<_>>(), "{fork:?}");

        world.l2.truncate(8);
        world.sequence(1, vec![transaction(99)]);
        let stop = world.follow(&mut world.derivation()).unwrap_err();
        assert_eq!(stop, Stop::Error(DeriveError::Conflict(102)), "{fork:?}");
    }
}

/// With nothing behind it in its channel both make nothing of it, and nobody hides behind it.
#[test]
fn a_span_that_makes_no_sense_alone_in_its_channel_excuses_nobody() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        let mut world = two_epochs(fork);
        let blocks = world.blocks(1..=12);
        let nonsense = encode::span_of_type(5, &blocks, 100, START);
        let batches: Vec<_> = (blocks.iter().map(encode::singular)).collect();
        world.post(&[
            data(&frames(1, &encode::channel(&[nonsense]), 1_000_000)),
            data(&frames(2, &encode::channel(&batches), 1_000_000)),
        ]);
        let derived = world.follow(&mut world.derivation()).unwrap();
        assert_eq!(numbers(&derived), (1..=12).collect::<Vec<_>>(), "{fork:?}");

        world.l2.truncate(8);
        world.sequence(1, vec![transaction(99)]);
        let stop = world.follow(&mut world.derivation()).unwrap_err();
        assert!(
            matches!(stop, Stop::Fault(Fault::BatchTransactions { .. })),
            "{fork:?}: {stop:?}"
        );
    }
}

/// Every name that op-node has had for it, and the values with which it writes its absence.
#[test]
fn what_is_elsewhere_than_on_l1_is_not_derived() {
    let zero = "0x0000000000000000000000000000000000000000";
    for (name, value, is_elsewhere) in [
        ("use_plasma", serde_json::json!(true), true),
        ("use_plasma", serde_json::json!(false), false),
        (
            "plasma_config",
            serde_json::json!({"da_resolve_window": 1}),
            true,
        ),
        ("plasma_config", serde_json::Value::Null, false),
        ("da_challenge_window", serde_json::json!(7), true),
        ("da_challenge_window", serde_json::json!(0), false),
        (
            "da_challenge_contract_address",
            serde_json::json!(zero),
            false,
        ),
        (
            "da_challenge_contract_address",
            serde_json::json!("0x00000000000000000000000000000000000000da"),
            true,
        ),
        ("verkle_time", serde_json::json!(9), false),
    ] {
        let mut world = two_epochs(OpHardfork::Jovian);
        (world.rollup.config.other).insert(name.to_owned(), value.clone());
        let derivation = Derivation::new(world.rollup.clone(), &world.l2[0]);
        let error = derivation.err();
        assert_eq!(
            error,
            is_elsewhere.then_some(DeriveError::AltDa),
            "{name}: {value}"
        );
    }
    let mut world = two_epochs(OpHardfork::Jovian);
    world.rollup.l1 = ChainSpec::op_mainnet();
    let error = Derivation::new(world.rollup, &world.l2[0]).unwrap_err();
    assert_eq!(error, DeriveError::NestedL1(10));
}

#[test]
fn blobs_carry_frames_from_ecotone_on() {
    let mut world = two_epochs(OpHardfork::Ecotone);
    let frames = frames(1, &world.span(1..=12), 100);
    assert!(frames.len() > 2);
    world.post_blobs(&[data(&frames[..2]), data(&frames[2..])]);
    let derived = world.follow(&mut world.derivation()).unwrap();
    assert_eq!(numbers(&derived), (1..=12).collect::<Vec<_>>());

    // A blob that is missing or another one is no verdict.
    let number = 102;
    let mut broken = world.clone();
    broken.blobs[1][40] ^= 1;
    let stop = broken.follow(&mut world.derivation()).unwrap_err();
    let Stop::Error(error @ DeriveError::Blob { block, .. }) = stop else {
        panic!("{stop:?}");
    };
    assert_eq!(block, number);
    assert!(error.is_transient());

    let mut before = two_epochs(OpHardfork::Canyon);
    before.post_blobs(&[data(&frames)]);
    let derived = before.follow(&mut before.derivation()).unwrap();
    assert!(derived.is_empty());
}

#[test]
fn frames_out_of_order_count_before_holocene_only() {
    for (fork, expected) in [(OpHardfork::Granite, 12), (OpHardfork::Holocene, 0)] {
        let mut world = two_epochs(fork);
        let mut frames = frames(1, &world.span(1..=12), 60);
        frames.reverse();
        assert!(frames.len() > 2);
        world.post(&[data(&frames[..1])]);
        world.post(&[data(&frames[1..])]);
        let mut derivation = world.derivation();
        let derived = world.follow(&mut derivation).unwrap();
        assert_eq!(derived.len(), expected, "{fork:?}");
        // The batcher posts them again, in order.
        frames.reverse();
        world.post(&[data(&frames)]);
        let derived = world.follow(&mut derivation).unwrap();
        assert_eq!(derived.len(), 12 - expected, "{fork:?}");
    }
}

#[test]
fn channels_interleave_and_batches_wait_before_holocene_only() {
    for (fork, expected) in [(OpHardfork::Granite, 12), (OpHardfork::Holocene, 6)] {
        let mut world = two_epochs(fork);
        let late = frames(2, &world.singular(7..=12), 1_000_000);
        let early = frames(1, &world.singular(1..=6), 1_000_000);
        world.post(&[data(&late)]);
        world.post(&[data(&early)]);
        let derived = world.follow(&mut world.derivation()).unwrap();
        assert_eq!(derived.len(), expected, "{fork:?}");
    }
}

#[test]
fn a_channel_has_to_end_in_time() {
    for (blocks_between, expected) in [(3, 12), (4, 0)] {
        let mut world = two_epochs(OpHardfork::Fjord);
        let frames = frames(1, &world.span(1..=12), 200);
        world.post(&[data(&frames[..1])]);
        // A channel may take 4 L1 blocks before Granite in these tests.
        world.idle(blocks_between);
        world.post(&[data(&frames[1..])]);
        let mut derivation = world.derivation();
        // The window ends as well: whatever is derived then has no transactions.
        let derived = match world.follow(&mut derivation) {
            Ok(derived) => derived,
            Err(Stop::Fault(_)) => Vec::new(),
            Err(stop) => panic!("{stop:?}"),
        };
        assert_eq!(derived.len(), expected);
    }
}

#[test]
fn blocks_are_made_up_when_the_window_ends() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        let mut world = World::new(fork);
        world.idle(9);
        // Epochs 100, 101 and 102: from the one whose time has come, or 5, 6 and 6 blocks.
        for number in 1..=17 {
            world.sequence(number / 6, Vec::new());
        }
        // The window of 102 ends with 108, and the time of 103 is needed to know its end.
        let mut derivation = world.derivation();
        let derived = world.follow(&mut derivation).unwrap();
        assert_eq!(numbers(&derived), (1..=17).collect::<Vec<_>>(), "{fork:?}");
        assert!(derived.iter().all(|block| block.origin == Origin::Empty));
        // A batch that comes after that says nothing.
        world.sequence(3, vec![transaction(1)]);
        let late = world.singular(12..=17);
        world.post(&[data(&frames(1, &late, 1_000_000))]);
        let stop = world.follow(&mut derivation).unwrap_err();
        assert!(
            matches!(stop, Stop::Fault(Fault::BatchTransactions { index: 1, .. })),
            "{fork:?}: {stop:?}"
        );
    }
}

#[test]
fn lies_are_named() {
    let mut honest = two_epochs(OpHardfork::Jovian);
    let channel = honest.span(1..=12);
    honest.post(&[data(&frames(1, &channel, 1_000_000))]);
    let hash = |transaction: Bytes| Some(keccak256(transaction));

    // The batch of block 8 has two transactions behind the deposit.
    let publish = |transactions: Vec<Bytes>| {
        let mut lying = honest.clone();
        lying.l2.truncate(8);
        lying.sequence(1, transactions);
        lying.follow(&mut lying.derivation()).unwrap_err()
    };
    for (transactions, index, claimed, computed) in [
        // One that was not posted, one that was left out, another order, another one.
        (vec![80, 81, 82], 3, Some(82), None),
        (vec![80], 2, None, Some(81)),
        (vec![81, 80], 1, Some(81), Some(80)),
        (vec![80, 99], 2, Some(99), Some(81)),
    ] {
        let values = Mismatch {
            claimed: claimed.map(transaction).and_then(hash),
            computed: computed.map(transaction).and_then(hash),
        };
        let fault = Fault::BatchTransactions { index, values };
        assert_eq!(
            publish(transactions.into_iter().map(transaction).collect()),
            Stop::Fault(fault)
        );
    }

    // A block with another L1 origin than the batcher says: 6 is the first of epoch 101.
    let mut lying = honest.clone();
    lying.l2.truncate(6);
    lying.sequence(0, vec![]);
    let stop = lying.follow(&mut lying.derivation()).unwrap_err();
    let values = Mismatch {
        claimed: 100,
        computed: 101,
    };
    assert_eq!(stop, Stop::Fault(Fault::BatchOrigin(values)));
    let Stop::Fault(fault) = stop else { panic!() };
    assert_eq!(
        mach_core::Alert::new(&honest.l2[6], &fault).kind,
        mach_core::AlertKind::NotDerivable
    );
}

#[test]
fn a_batch_that_may_not_be_is_dropped() {
    for fork in [OpHardfork::Granite, OpHardfork::Holocene] {
        let mut world = two_epochs(fork);
        let channel = |batches: &[Vec<u8>]| data(&frames(7, &encode::channel(batches), 1_000_000));
        let good = world.blocks(1..=1).pop().unwrap();
        let with = |change: &dyn Fn(&mut encode::Block)| {
            let mut block = world.blocks(1..=1).pop().unwrap();
            change(&mut block);
            encode::singular(&block)
        };
        let bad = [
            with(&|block| block.parent_hash = B256::ZERO),
            with(&|block| block.epoch.0 = 99),
            with(&|block| block.epoch.0 = 102),
            with(&|block| block.epoch.1 = B256::ZERO),
            with(&|block| block.transactions = vec![Bytes::new()]),
            with(&|block| block.transactions = vec![Bytes::from_static(&[0x7e, 1])]),
            // Nobody can delegate before Isthmus.
            with(&|block| block.transactions = vec![Bytes::from_static(&[4, 1])]),
            // Block 2's time is not yet, and never for a batch of Holocene.
            with(&|block| block.timestamp -= 1),
            vec![9, 9, 9],
        ];
        for (index, bad) in bad.iter().enumerate() {
            // What follows in the same channel: before Holocene it counts, unless the batch
            // cannot be read.
            let mut together = world.clone();
            together.post(&[channel(&[bad.clone(), encode::singular(&good)])]);
            let derived = together.follow(&mut together.derivation()).unwrap();
            let is_past = fork == OpHardfork::Holocene && index == 7;
            let is_read = (fork == OpHardfork::Granite && index < 8) || is_past;
            assert_eq!(derived.len(), usize::from(is_read), "{fork:?}: {index}");
            // What follows in another one always does.
            let mut apart = world.clone();
            apart.post(&[
                channel(std::slice::from_ref(bad)),
                channel(&[encode::singular(&good)]),
            ]);
            let derived = apart.follow(&mut apart.derivation()).unwrap();
            assert_eq!(derived.len(), 1, "{fork:?}: {index}");
        }
        world.idle(1);
    }
}

#[test]
fn a_span_may_say_again_what_is_known() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        let mut world = two_epochs(fork);
        let (first, second) = (world.span(1..=8), world.span(5..=12));
        world.post(&[data(&frames(1, &first, 1_000_000))]);
        world.post(&[data(&frames(2, &second, 1_000_000))]);
        let derived = world.follow(&mut world.derivation()).unwrap();
        assert_eq!(numbers(&derived), (1..=12).collect::<Vec<_>>(), "{fork:?}");

        // It may not say something else: it is dropped, and so is the rest of its channel.
        let mut other = world.clone();
        other.l1.truncate(3);
        other.post(&[data(&frames(2, &contradiction(&other), 1_000_000))]);
        let mut derivation = other.derivation();
        let derived = other.follow(&mut derivation).unwrap();
        assert_eq!(numbers(&derived), (1..=8).collect::<Vec<_>>(), "{fork:?}");
        // What comes after it counts.
        let rest = other.span(9..=12);
        other.post(&[data(&frames(3, &rest, 1_000_000))]);
        let derived = other.follow(&mut derivation).unwrap();
        assert_eq!(numbers(&derived), (9..=12).collect::<Vec<_>>(), "{fork:?}");
    }
}

/// A span of blocks 5 to 12 that adds a transaction to block 5.
fn contradiction(world: &World) -> Vec<u8> {
    let mut blocks = world.blocks(5..=12);
    blocks[0].transactions.push(transaction(200));
    encode::channel(&[encode::span(&blocks, 100, START)])
}

/// Until August 2026 op-node and kona took the blocks behind a contradiction (optimism#22215): a
/// rollup that has done so accuses nobody, and one that has not is judged from there on.
#[test]
fn a_span_that_contradicts_is_a_doubt_until_its_end() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let first = world.span(1..=8);
    world.post(&[data(&frames(1, &first, 1_000_000))]);
    world.post(&[data(&frames(2, &contradiction(&world), 1_000_000))]);
    // The batcher posts a block 9 with other transactions, and goes on from there.
    let published = world.clone();
    world.l2.truncate(9);
    for number in 9..=14 {
        world.sequence(1, vec![transaction(300 + number)]);
    }
    let rest = world.span(9..=14);
    world.post(&[data(&frames(3, &rest, 1_000_000))]);
    assert_eq!(world.follow(&mut world.derivation()).unwrap().len(), 14);

    let mut spliced = world.clone();
    spliced.l2 = published.l2;
    let stop = spliced.follow(&mut spliced.derivation()).unwrap_err();
    assert_eq!(stop, Stop::Error(DeriveError::Conflict(103)));

    // Blocks up to 12 are those of the span, 13 is not.
    world.l2.truncate(13);
    world.sequence(1, vec![transaction(1)]);
    let stop = world.follow(&mut world.derivation()).unwrap_err();
    assert!(
        matches!(stop, Stop::Fault(Fault::BatchTransactions { .. })),
        "{stop:?}"
    );
}

/// op-node: `BatchUndecided` in its `BatchStage` skips the span and flushes nothing.
#[test]
fn a_span_beyond_l1_is_skipped_and_the_rest_of_its_channel_read() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let mut blocks = world.blocks(1..=4);
    for (epoch, block) in (100..).zip(&mut blocks) {
        block.epoch = (epoch, B256::repeat_byte(epoch as u8));
        block.transactions.clear();
    }
    // 103 does not exist when 102 carries the span.
    let span = encode::span(&blocks, 100, START);
    let good = encode::singular(&world.blocks(1..=1)[0]);
    world.post(&[data(&frames(
        1,
        &encode::channel(&[span.clone(), good.clone()]),
        1_000_000,
    ))]);
    let mut derivation = world.derivation();
    assert_eq!(numbers(&world.follow(&mut derivation).unwrap()), [1]);

    // One that names another block where L1 has one is dropped, with its channel.
    let mut later = two_epochs(OpHardfork::Jovian);
    later.idle(1);
    later.post(&[data(&frames(1, &encode::channel(&[span, good]), 1_000_000))]);
    assert!(later.follow(&mut later.derivation()).unwrap().is_empty());
}

/// Six blocks for each L1 block; those of an L1 block are posted as a span two L1 blocks later.
fn posted_at_once(fork: OpHardfork, l1_blocks: usize) -> World {
    let mut world = two_epochs(fork);
    while world.l1.len() < l1_blocks {
        let epoch = world.l1.len() - 2;
        let channel = world.span((epoch * 6).max(1)..=epoch * 6 + 5);
        world.post(&[data(&frames(epoch as u8, &channel, 1_000_000))]);
        let newest = world.l1.len() - 1;
        world.l2.truncate(newest * 6);
        for _ in 0..6 {
            world.sequence(newest, vec![]);
        }
    }
    world.l2.truncate((l1_blocks - 2) * 6);
    world
}

/// The batcher chooses the second of a span and its L1 origin: one may be old and the other not.
#[test]
fn a_span_with_an_old_second_and_a_new_origin_is_dropped() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        let mut world = posted_at_once(fork, 70);
        let mut derivation = world.derivation();
        assert_eq!(world.follow(&mut derivation).unwrap().len(), 407);
        for _ in 0..6 {
            world.sequence(68, vec![]);
        }
        let mut blocks = world.blocks(1..=410);
        let origin = world.l1[68].reference();
        for block in &mut blocks {
            block.epoch = (origin.number, origin.hash);
        }
        let bad = encode::channel(&[encode::span(&blocks, origin.number, START)]);
        world.post(&[data(&frames(200, &bad, 1_000_000))]);
        let good = world.span(408..=413);
        world.post(&[data(&frames(201, &good, 1_000_000))]);
        let derived = world.follow(&mut derivation).unwrap();
        assert_eq!(
            numbers(&derived),
            (408..=413).collect::<Vec<_>>(),
            "{fork:?}"
        );
    }
}

/// The span began before all blocks that are looked at to find where channels begin.
#[test]
fn derivation_goes_on_from_the_middle_of_a_long_span() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        let mut world = World::new(fork);
        world.rollup.config.seq_window_size = 100;
        world.idle(70);
        for number in 1..=380 {
            world.sequence(number / 6, vec![]);
        }
        let channel = world.span(1..=380);
        world.post(&[data(&frames(1, &channel, 1_000_000))]);
        let start = &world.l2[370];
        let mut derivation =
            mach_verify::derive::Derivation::new(world.rollup.clone(), start).unwrap();
        let derived = world.follow(&mut derivation).unwrap();
        assert_eq!(
            numbers(&derived),
            (371..=380).collect::<Vec<_>>(),
            "{fork:?}"
        );
    }
}

/// A span of a few bytes may name months of blocks. And a version that keeps a span until L1 decides
/// it (optimism#22629) loses the rest of its channel, and may take other blocks than we do.
#[test]
fn a_doubt_ends_with_what_the_last_l1_origin_permits() {
    let mut start = World::new(OpHardfork::Jovian);
    start.idle(1);
    for number in 1..=5 {
        start.sequence(0, vec![transaction(number)]);
    }
    let first = start.span(1..=4);
    start.post(&[data(&frames(1, &first, 1_000_000))]);
    let mut blocks = start.blocks(4..=4);
    blocks[0].transactions.clear();
    let contradicts = millions(encode::span(&blocks, 100, START));
    let mut blocks = start.blocks(2..=5);
    for (epoch, block) in (101..).zip(&mut blocks) {
        block.epoch = (epoch, B256::repeat_byte(1));
    }
    let is_beyond = encode::span(&blocks, 100, START);
    // 1,800 seconds after L1 block 100, which has the second of block 0, and after L1 block 104.
    for (span, end) in [(contradicts, 900), (is_beyond, 924)] {
        let mut world = start.clone();
        world.post(&[data(&frames(2, &encode::channel(&[span]), 1_000_000))]);
        let mut posted = 4;
        for number in 6..=940 {
            if world.l1.len() <= number / 6 {
                let channel = world.span(posted + 1..=number - 1);
                world.post(&[data(&frames(number as u8, &channel, 1_000_000))]);
                posted = number - 1;
            }
            world.sequence(number / 6, vec![]);
        }
        let channel = world.span(posted + 1..=940);
        world.post(&[data(&frames(3, &channel, 1_000_000))]);
        assert_eq!(world.follow(&mut world.derivation()).unwrap().len(), 940);

        for different in [5, end, end + 1] {
            let mut lying = world.clone();
            lying.l2.truncate(different);
            lying.sequence(different / 6, vec![transaction(999)]);
            let stop = lying.follow(&mut lying.derivation()).unwrap_err();
            if different <= end {
                assert_eq!(stop, Stop::Error(DeriveError::Conflict(103)), "{different}");
            } else {
                assert!(matches!(stop, Stop::Fault(_)), "{different}: {stop:?}");
            }
        }
    }
}

/// A span of one block without transactions, with 9,999,999 of them behind it.
fn millions(mut span: Vec<u8>) -> Vec<u8> {
    // The count of blocks, their bits, and the count of transactions of each of them.
    let head = span.len() - 3;
    assert_eq!(span[head..], [1, 0, 0]);
    span.truncate(head);
    span.extend([0x80, 0xad, 0xe2, 0x04]);
    span.resize(span.len() + 10_000_000 / 8 + 10_000_000, 0);
    span
}

/// A span says ten million blocks in as many bytes, which compress to almost nothing.
#[test]
fn a_span_of_millions_of_blocks_gives_them_one_at_a_time() {
    let mut world = World::new(OpHardfork::Jovian);
    world.idle(1);
    for _ in 1..=5 {
        world.sequence(0, vec![]);
    }
    let span = millions(encode::span(&world.blocks(1..=1), 100, START));
    let channel = encode::channel(&[span]);
    assert!(channel.len() < 20_000);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    let mut derivation = world.derivation();
    let derived = world.follow(&mut derivation).unwrap();
    assert_eq!(numbers(&derived), (1..=5).collect::<Vec<_>>());
    assert!(matches!(derivation.step(), Ok(Step::Block(block)) if block.number() == 6));
}

/// A batch of a megabyte, some hundred bytes on L1, with more transactions than any block executes.
/// op-node reads it, so that nobody is accused by what follows, whatever comes later.
#[test]
fn a_batch_of_more_transactions_than_are_read_ends_derivation() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        let mut world = World::new(fork);
        let huge = encode::Block {
            parent_hash: world.l2[0].hash(),
            epoch: (100, world.l1[0].hash()),
            timestamp: START + 2,
            transactions: vec![Bytes::new(); 1_000_001],
        };
        let channel = encode::channel(&[encode::singular(&huge)]);
        assert!(channel.len() < 2_000, "{}", channel.len());
        world.post(&[data(&frames(1, &channel, 1_000_000))]);
        world.idle(1);
        for number in 1..=13 {
            world.sequence(number / 6, vec![]);
        }
        let channel = world.singular(1..=13);
        world.post(&[data(&frames(2, &channel, 1_000_000))]);

        let mut derivation = world.derivation();
        let unread = DeriveError::TooManyTransactions(world.l1[1].reference());
        assert!(!unread.is_transient());
        for _ in 0..2 {
            let stop = world.follow(&mut derivation).unwrap_err();
            assert_eq!(stop, Stop::Error(unread.clone()), "{fork:?}");
        }
        // Behind a block whose L1 origin comes later it does not count, and goes on.
        let start = &world.l2[12];
        let mut derivation = Derivation::new(world.rollup.clone(), start).unwrap();
        let derived = world.follow(&mut derivation).unwrap();
        assert_eq!(numbers(&derived), [13], "{fork:?}");
    }
}

/// What the L1 block that activates Holocene does to what waits: frames, channels and batches from
/// before it are discarded, and what comes from then on counts by the new rules.
///
/// Source: <https://specs.optimism.io/protocol/holocene/derivation.html#activation>
#[test]
fn what_waits_when_holocene_activates_is_lost() {
    // Under Granite the channel is completed by L1 block 103, and the batches of 7 to 12 wait.
    for (holocene, counts) in [(None, [4, 8]), (Some(103), [0, 6])] {
        let mut world = World::new(OpHardfork::Granite);
        if let Some(block) = holocene {
            let at = alloy_hardforks::ForkCondition::Timestamp(START + 12 * (block - 100));
            world.rollup.l2 = (world.rollup.l2).with_op_fork(OpHardfork::Holocene, at);
        }
        world.idle(1);
        for number in 1..=12_u64 {
            world.sequence(usize::from(number >= 6), vec![transaction(number)]);
        }
        let open = frames(1, &world.singular(1..=4), 100);
        let waiting = frames(2, &world.singular(7..=12), 1_000_000);
        assert!(open.len() > 1);
        let mut derivation = world.derivation();
        world.post(&[data(&open[..1]), data(&waiting)]);
        assert_eq!(world.follow(&mut derivation).unwrap().len(), 0);
        world.post(&[data(&open[1..])]);
        let derived = world.follow(&mut derivation).unwrap();
        assert_eq!(derived.len(), counts[0], "{holocene:?}");
        let again = frames(3, &world.singular(1..=6), 1_000_000);
        world.post(&[data(&again)]);
        let derived = world.follow(&mut derivation).unwrap();
        assert_eq!(derived.len(), counts[1], "{holocene:?}");
        let rest = frames(4, &world.singular(7..=12), 1_000_000);
        world.post(&[data(&rest)]);
        world.follow(&mut derivation).unwrap();
        assert_eq!(derivation.head(), world.l2[12].reference(), "{holocene:?}");
    }
}

/// With Granite a channel may suddenly take longer, where it was less than 50 L1 blocks before.
#[test]
fn channels_are_looked_for_as_far_back_as_any_time_out_reaches() {
    let mut world = World::new(OpHardfork::Fjord);
    let granite = alloy_hardforks::ForkCondition::Timestamp(START + 12 * 8);
    world.rollup.l2 = world.rollup.l2.with_op_fork(OpHardfork::Granite, granite);
    world.rollup.config.seq_window_size = 100;
    world.idle(2);
    // Every channel begins with the two bytes of zlib.
    let frame = |number: u16, data: &[u8], is_last| {
        let mut frame = vec![7; 16];
        frame.extend_from_slice(&number.to_be_bytes());
        frame.extend_from_slice(&(data.len() as u32).to_be_bytes());
        frame.extend_from_slice(data);
        frame.push(u8::from(is_last));
        frame
    };
    let begin = encode::channel(&[])[..2].to_vec();
    world.post(&[data(&[frame(0, &begin, false)])]);
    world.idle(6);
    for number in 1..=60 {
        world.sequence(number / 6, vec![]);
        if world.l1.len() <= number / 6 + 1 {
            world.idle(1);
        }
    }
    // Block 57 has 109 for its L1 origin, under Granite.
    let start = world.l2[57].clone();
    let channel = world.span(58..=60);
    assert_eq!(channel[..2], begin);
    world.post(&[data(&[frame(1, &channel[2..], true)])]);
    let mut derivation =
        mach_verify::derive::Derivation::new(world.rollup.clone(), &start).unwrap();
    let derived = world.follow(&mut derivation).unwrap();
    assert_eq!(numbers(&derived), [58, 59, 60]);
}

#[test]
fn derivation_goes_on_from_any_block() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        let world = posted_at_once(fork, 70);
        let start = &world.l2[63 * 6 + 2];
        let mut derivation =
            mach_verify::derive::Derivation::new(world.rollup.clone(), start).unwrap();
        assert!(matches!(
            derivation.step(),
            Ok(Step::NeedsAncestor(number)) if number == start.number() - 1
        ));
        let derived = world.follow(&mut derivation).unwrap();
        let expected = (start.number() + 1..68 * 6).collect::<Vec<_>>();
        assert_eq!(numbers(&derived), expected, "{fork:?}");

        // Ancestors prove themselves.
        let mut derivation =
            mach_verify::derive::Derivation::new(world.rollup.clone(), start).unwrap();
        let error = derivation.add_ancestor(&world.l2[5]).unwrap_err();
        assert_eq!(error, DeriveError::WrongAncestor(world.l2[5].reference()));
    }
}

#[test]
fn an_l1_that_changes_its_mind_is_no_fault() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let mut derivation = world.derivation();
    world.follow(&mut derivation).unwrap();
    // Another block at the height of the last, and one on top of it.
    let mut other = world.clone();
    other.l1.pop();
    other.post(&[vec![1]]);
    other.idle(1);
    let stop = other.follow(&mut derivation).unwrap_err();
    let reorg = DeriveError::L1Reorg {
        block: other.l1[2].reference(),
        parent: world.l1[1].hash(),
    };
    assert_eq!(stop, Stop::Error(reorg));
    // Nothing happened to the derivation.
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    assert_eq!(world.follow(&mut derivation).unwrap().len(), 12);
}

#[test]
fn l1_blocks_prove_themselves() {
    let mut world = two_epochs(OpHardfork::Jovian);
    world.post(&[vec![1]]);
    let mut derivation = world.derivation();
    assert_eq!(derivation.step(), Ok(Step::NeedsL1(100)));
    // Out of turn, with another body, with other receipts.
    assert!(matches!(
        derivation.open(&world.l1[1], &[]),
        Err(DeriveError::WrongL1Block {
            expected: Some(100),
            actual: 101
        })
    ));
    let mut body = world.l1[0].clone();
    body.transactions.push(Bytes::from_static(&[1]));
    assert!(matches!(
        derivation.open(&body, &[]),
        Err(DeriveError::Body(_, "transactions"))
    ));
    let receipt = Bytes::from_static(&[1]);
    assert!(matches!(
        derivation.open(&world.l1[0], &[receipt]),
        Err(DeriveError::L1(_))
    ));
    // The one that comes first is the L1 origin of the start, by its hash.
    let mut other = World::new(OpHardfork::Jovian);
    other.l1.clear();
    other.post(&[vec![1]]);
    assert!(matches!(
        derivation.open(&other.l1[0], &[]),
        Err(DeriveError::L1Reorg { .. })
    ));
}

#[test]
fn what_cannot_be_executed_is_replaced() {
    // From Holocene on by a block without transactions; the rest of the channel is lost.
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.l2.truncate(2);
    let mut derivation = world.derivation();
    world.follow(&mut derivation).unwrap();
    derivation.reject();
    let Ok(Step::Block(block)) = derivation.step() else {
        panic!("no block");
    };
    assert_eq!((block.number(), block.origin), (2, Origin::Replacement));
    assert_eq!(block.transactions, Vec::<Bytes>::new());
    world.sequence(0, vec![]);
    assert_eq!(numbers(&world.follow(&mut derivation).unwrap()), [2]);
    assert_eq!(derivation.step(), Ok(Step::NeedsL1(103)));

    // Before, by the next batch.
    let mut world = two_epochs(OpHardfork::Granite);
    let mut blocks = world.blocks(1..=1);
    let good = encode::singular(&blocks[0]);
    blocks[0].transactions = vec![transaction(77)];
    let batches = [encode::singular(&blocks[0]), good];
    world.post(&[data(&frames(1, &encode::channel(&batches), 1_000_000))]);
    let mut derivation = world.derivation();
    assert!(world.follow(&mut derivation).is_err());
    derivation.reject();
    assert_eq!(numbers(&world.follow(&mut derivation).unwrap()), [1]);
}
