//! Blocks that stay with an L1 origin for too long, and L1 that is not understood.

use alloy_consensus::{Receipt, ReceiptEnvelope};
use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256, keccak256};
use mach_core::{Fault, L2Block, Mismatch};
use mach_verify::op::{L1Error, L1View, Parent, verify_against_l1};

use super::{
    judge,
    world::{PORTAL, START, SYSTEM_CONFIG, World},
};

/// Seconds, where the chain's own constant does not hold yet.
const DRIFT: u64 = 4;
/// From then on it does: Fjord, on L1's clock.
const FJORD: u64 = START + 120;

/// The block with or without transactions of the sequencer.
fn variants(world: &World, index: usize) -> [(bool, L2Block); 2] {
    let position = world.positions[index];
    let given = 1 + position.users + position.upgrades;
    [false, true].map(|is_full| {
        let mut block = world.l2[index].clone();
        block.transactions.truncate(given);
        if is_full {
            block.transactions.push(Bytes::from_static(&[2, 1]));
        }
        (is_full, block)
    })
}

#[test]
fn a_block_too_far_ahead_of_l1_is_empty_and_moves_on_when_it_can() {
    let mut world = World::new(21, 120);
    world.rollup.config.max_sequencer_drift = DRIFT;
    let mut seen = [0; 4];
    for index in 1..world.l2.len() {
        let origin = world.positions[index].origin;
        let stays = world.positions[index - 1].origin == origin;
        let time = world.l2[index].header.timestamp;
        let [l1, next] = [origin, origin + 1].map(|at| world.l1[at].header.timestamp);
        let last = l1 + if l1 >= FJORD { 1800 } else { DRIFT };
        for (is_full, block) in variants(&world, index) {
            let last = if time <= last {
                None
            } else if is_full {
                Some(last)
            } else if stays && time >= next {
                Some(last.max(next - 1))
            } else {
                None
            };
            let expected = last.map(|computed| {
                Fault::SequencerDrift(Mismatch {
                    claimed: time,
                    computed,
                })
            });
            seen[usize::from(is_full) * 2 + usize::from(expected.is_some())] += 1;
            assert_eq!(judge(&world, index, &block), Ok(expected), "{index}");
        }
    }
    assert!(seen.into_iter().all(|count| count > 2), "{seen:?}");
}

#[test]
fn whether_a_block_could_have_moved_on_is_known_when_l1_is_settled() {
    let mut world = World::new(21, 60);
    world.rollup.config.max_sequencer_drift = DRIFT;
    let index = (1..world.l2.len())
        .find(|index| {
            let origin = world.positions[*index].origin;
            let time = world.l2[*index].header.timestamp;
            world.positions[index - 1].origin == origin
                && time > world.l1[origin].header.timestamp + DRIFT
                && time >= world.l1[origin + 1].header.timestamp
        })
        .unwrap();
    let [(_, empty), _] = variants(&world, index);
    let parent = Parent::of_block(&world.rollup, &world.l2[index - 1]).unwrap();
    let origin = world.positions[index].origin;
    let number = world.l1[origin].header.number;
    let following: Vec<_> = (1..3)
        .map(|at| world.l1[origin + at].header.clone())
        .collect();
    let judge = |following: &[_], settled| {
        let view = L1View {
            origin: Some(&world.l1[origin].header),
            receipts: None,
            following,
            settled,
        };
        verify_against_l1(&world.rollup, &parent, &empty, &view)
    };
    assert_eq!(judge(&[], None), Err(L1Error::MissingNext(number + 1)));
    assert_eq!(judge(&following, None), Err(L1Error::Unsettled(number + 1)));
    assert_eq!(
        judge(&following, Some(number)),
        Err(L1Error::Unsettled(number + 1))
    );
    let settled = Some(number + 1);
    assert_eq!(
        judge(&following[..1], settled),
        Err(L1Error::MissingNext(number + 2))
    );
    assert_eq!(
        judge(&following[1..], settled),
        Err(L1Error::Unsettled(number + 1))
    );
    let fault = judge(&following, settled).unwrap().unwrap();
    assert_eq!(fault.name(), "sequencerDrift");
}

/// Logs of the two contracts that no specification has.
#[test]
fn what_l1_says_and_nobody_understands_is_undecided() {
    let world = World::new(22, 60);
    let index = (2..world.l2.len())
        .find(|index| world.positions[*index].sequence_number == 0)
        .unwrap();
    let parent = Parent::of_block(&world.rollup, &world.l2[index - 1]).unwrap();
    let origin = &world.l1[world.positions[index].origin].header;
    let word = |value: u64| B256::from(U256::from(value));
    let deposited = keccak256("TransactionDeposited(address,address,uint256,bytes)");
    let updated = keccak256("ConfigUpdate(uint256,uint8,bytes)");
    let bytes = |length: u64, words: &[B256]| -> Bytes {
        let head = [word(32), word(length)];
        head.iter()
            .chain(words)
            .flat_map(|word| word.0)
            .collect::<Vec<_>>()
            .into()
    };
    let opaque = [word(0), word(0), word(0)];
    let address = Address::repeat_byte(1).into_word();
    let odd = [
        // Another version, other topics, an address that is none, too little, badly padded.
        (
            PORTAL,
            vec![deposited, address, address, word(1)],
            bytes(73, &opaque),
        ),
        (
            PORTAL,
            vec![deposited, address, address],
            bytes(73, &opaque),
        ),
        (
            PORTAL,
            vec![deposited, B256::repeat_byte(1), address, word(0)],
            bytes(73, &opaque),
        ),
        (
            PORTAL,
            vec![deposited, address, address, word(0)],
            bytes(72, &opaque),
        ),
        (
            PORTAL,
            vec![deposited, address, address, word(0)],
            bytes(73, &opaque[..2]),
        ),
        (
            PORTAL,
            vec![deposited, address, address, word(0)],
            bytes(u64::MAX, &opaque),
        ),
        (
            PORTAL,
            vec![deposited, address, address, word(0)],
            Bytes::new(),
        ),
        // Mints more than 128 bits hold.
        (
            PORTAL,
            vec![deposited, address, address, word(0)],
            bytes(73, &[B256::repeat_byte(1), word(0), word(0)]),
        ),
        // Another kind, another version, a value that does not fit.
        (
            SYSTEM_CONFIG,
            vec![updated, word(0), word(8)],
            bytes(32, &[word(1)]),
        ),
        (
            SYSTEM_CONFIG,
            vec![updated, word(1), word(2)],
            bytes(32, &[word(1)]),
        ),
        (
            SYSTEM_CONFIG,
            vec![updated, word(0), word(2)],
            bytes(32, &[B256::repeat_byte(1)]),
        ),
        (
            SYSTEM_CONFIG,
            vec![updated, word(0), word(2)],
            bytes(64, &[word(1), word(1)]),
        ),
        (
            SYSTEM_CONFIG,
            vec![updated, word(0), word(7)],
            bytes(32, &[word(1 << 16)]),
        ),
        (
            SYSTEM_CONFIG,
            vec![updated, word(0), word(4)],
            bytes(32, &[word(6)]),
        ),
        (
            SYSTEM_CONFIG,
            vec![updated, word(0), B256::repeat_byte(1)],
            bytes(32, &[word(6)]),
        ),
    ];
    for (address, topics, data) in odd {
        let is_deposit = address == PORTAL;
        let log = Log {
            address,
            data: LogData::new_unchecked(topics, data),
        };
        let receipt = Receipt {
            status: true.into(),
            cumulative_gas_used: 1,
            logs: vec![log.clone()],
        };
        let receipts = [ReceiptEnvelope::Eip1559(receipt.with_bloom())];
        let view = L1View {
            origin: Some(origin),
            receipts: Some(&receipts),
            following: &[],
            settled: None,
        };
        let verdict = verify_against_l1(&world.rollup, &parent, &world.l2[index], &view);
        match verdict {
            Err(L1Error::Deposit(error)) if is_deposit => assert_eq!(error.log, 0),
            Err(L1Error::ConfigUpdate { log: 0, .. }) if !is_deposit => {}
            other => panic!("{log:?}: {other:?}"),
        }
    }
}
