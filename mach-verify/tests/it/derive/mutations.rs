//! Whatever a sequencer publishes otherwise than its batcher posted it is named, under every fork;
//! whatever is damaged about what L1 gives accuses nobody.

use alloy_consensus::Header;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{B256, Bytes};
use mach_core::{Fault, L2Block};
use mach_verify::derive::{Derivation, Step};

use super::{
    FORKS,
    encode::{data, frames, transaction},
    two_epochs,
    world::{Stop, World, root},
};

/// A rollup whose twelve blocks are posted, as batches of one block each or as a span.
fn posted(fork: OpHardfork, is_span: bool) -> World {
    let mut world = two_epochs(fork);
    let channel = match is_span {
        true => world.span(1..=12),
        false => world.singular(1..=12),
    };
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world
}

/// The derivation that says what the block at this height has to be.
fn before(world: &World, number: usize) -> Derivation {
    let mut known = world.clone();
    known.l2.truncate(number);
    let mut derivation = known.derivation();
    known.follow(&mut derivation).unwrap();
    assert!(matches!(derivation.step(), Ok(Step::Block(_))));
    derivation
}

/// The same header over another body.
fn with(block: &L2Block, change: impl FnOnce(&mut Vec<Bytes>)) -> L2Block {
    let mut transactions = block.transactions.clone();
    change(&mut transactions);
    let header = Header {
        transactions_root: root(&transactions),
        ..block.header.inner().clone()
    };
    L2Block::new(block.chain_id, header, transactions)
}

fn with_header(block: &L2Block, change: impl FnOnce(&mut Header)) -> L2Block {
    let mut header = block.header.inner().clone();
    change(&mut header);
    L2Block::new(block.chain_id, header, block.transactions.clone())
}

/// Every change of a published block, with the name of the rule that it breaks.
fn mutations(fork: OpHardfork, block: &L2Block) -> Vec<(String, L2Block, &'static str)> {
    let mut all = Vec::new();
    let mut push = |what: String, changed, fault| all.push((what, changed, fault));
    // Behind the one deposit are those of the batch.
    let count = block.transactions.len();
    for at in 1..count {
        let other = with(block, |all| all[at] = transaction(9_000));
        push(format!("{at} is another"), other, "batchTransactions");
        let bytes = block.transactions[at].len();
        for byte in 0..bytes {
            let bent = with(block, |all| {
                let mut bytes = all[at].to_vec();
                bytes[byte] ^= 1;
                all[at] = bytes.into();
            });
            // A first byte of 0x7e would be a deposit.
            push(
                format!("byte {byte} of {at}"),
                bent,
                match block.transactions[at][byte] ^ 1 {
                    0x7e if byte == 0 => "userDeposits",
                    _ => "batchTransactions",
                },
            );
        }
        let cut = with(block, |all| all[at] = all[at].slice(..bytes - 1));
        push(format!("{at} is cut"), cut, "batchTransactions");
        let gone = with(block, |all| drop(all.remove(at)));
        push(format!("{at} is left out"), gone, "batchTransactions");
        let twice = with(block, |all| all.insert(at, all[at].clone()));
        push(format!("{at} is there twice"), twice, "batchTransactions");
        if at > 1 {
            let swapped = with(block, |all| all.swap(at - 1, at));
            push(format!("{at} comes earlier"), swapped, "batchTransactions");
        }
    }
    for at in 1..=count {
        let more = with(block, |all| all.insert(at, transaction(9_001)));
        push(format!("one more at {at}"), more, "batchTransactions");
    }
    for (what, timestamp) in [("later", 1), ("earlier", -1_i64)] {
        let moved = with_header(block, |header| {
            header.timestamp = header.timestamp.saturating_add_signed(timestamp);
        });
        push(what.to_owned(), moved, "payloadAttributes");
    }
    let beneficiary = with_header(block, |header| header.beneficiary.0[0] ^= 1);
    push("beneficiary".to_owned(), beneficiary, "payloadAttributes");
    let randomness = with_header(block, |header| header.mix_hash.0[31] ^= 1);
    push("mixHash".to_owned(), randomness, "payloadAttributes");
    let limit = with_header(block, |header| header.gas_limit += 1);
    push("gasLimit".to_owned(), limit, "systemConfig");
    if fork >= OpHardfork::Ecotone {
        let root = with_header(block, |header| {
            header.parent_beacon_block_root = Some(B256::repeat_byte(0xee));
        });
        push("beacon root".to_owned(), root, "payloadAttributes");
    }
    if fork >= OpHardfork::Holocene {
        for at in 0..block.header.extra_data.len() {
            let changed = with_header(block, |header| {
                let mut bytes = header.extra_data.to_vec();
                bytes[at] ^= 1;
                header.extra_data = bytes.into();
            });
            push(format!("extraData {at}"), changed, "systemConfig");
        }
    }
    all
}

#[test]
fn every_difference_from_what_was_posted_is_named() {
    let mut changes = 0;
    for fork in FORKS {
        for is_span in [false, true] {
            let world = posted(fork, is_span);
            for (number, block) in world.l2.iter().enumerate().skip(1) {
                let derivation = before(&world, number);
                assert_eq!(derivation.check(block), Ok(None), "{fork:?} {number}");
                for (what, changed, expected) in mutations(fork, block) {
                    let fault = derivation.check(&changed);
                    let named = fault.as_ref().ok().and_then(Option::as_ref);
                    assert_eq!(
                        named.map(Fault::name),
                        Some(expected),
                        "{fork:?}, span {is_span}, block {number}, {what}: {fault:?}"
                    );
                    changes += 1;
                }
            }
        }
    }
    eprintln!("{changes} changes, all named");
    assert!(changes > 10_000);
}

/// Each byte of what the batcher posted, in a body that its header does not commit to: a node that
/// lies about L1, or a disk that does.
#[test]
fn damage_to_what_l1_gives_accuses_nobody() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        let world = posted(fork, true);
        let batcher = world.l1.len() - 1;
        let bytes = world.l1[batcher].transactions[0].len();
        for at in 0..bytes {
            let mut damaged = world.clone();
            let body = &mut damaged.l1[batcher].transactions;
            let mut bytes = body[0].to_vec();
            bytes[at] ^= 0x20;
            body[0] = bytes.into();
            let stop = damaged.follow(&mut world.derivation()).unwrap_err();
            assert!(
                matches!(&stop, Stop::Error(error) if error.is_transient()),
                "{fork:?}, byte {at}: {stop:?}"
            );
        }
        let damages: [fn(&mut World, usize); 4] = [
            |world, at| drop(world.l1[at].transactions.pop()),
            |world, at| world.l1[at].transactions.push(transaction(1)),
            |world, at| {
                let other = with_header(&world.l1[at], |header| header.timestamp += 1);
                world.l1[at] = other;
                let next = with_header(&world.l1[at], |header| header.gas_used += 1);
                world.l1.push(next);
            },
            |world, at| world.l1.swap(at - 1, at),
        ];
        for (index, damage) in damages.into_iter().enumerate() {
            let mut damaged = world.clone();
            damage(&mut damaged, batcher);
            let stop = damaged.follow(&mut world.derivation());
            assert!(
                !matches!(stop, Err(Stop::Fault(_))),
                "{fork:?}, damage {index}: {stop:?}"
            );
        }
    }
}

/// What the batcher posts is L1's word, whatever it is: blocks that follow it are right.
#[test]
fn a_batch_with_other_bytes_gives_other_blocks_and_not_a_panic() {
    for fork in [OpHardfork::Granite, OpHardfork::Jovian] {
        for is_span in [false, true] {
            let honest = two_epochs(fork);
            let channel = match is_span {
                true => honest.span(1..=12),
                false => honest.singular(1..=12),
            };
            for at in 0..channel.len() {
                let mut world = honest.clone();
                let mut channel = channel.clone();
                channel[at] ^= 0x10;
                world.post(&[data(&frames(1, &channel, 1_000_000))]);
                // The published blocks may contradict it now, by what is posted and nothing else.
                match world.follow(&mut world.derivation()) {
                    Ok(_) | Err(Stop::Error(_)) => {}
                    Err(Stop::Fault(fault)) => assert!(
                        matches!(
                            fault,
                            Fault::BatchTransactions { .. } | Fault::BatchOrigin(_)
                        ),
                        "{fork:?}, byte {at}: {fault:?}"
                    ),
                }
            }
        }
    }
}
