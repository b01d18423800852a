//! Damaged inputs.

use alloy_primitives::Bytes;
use mach_prove::{
    InputError, Journal, MAX_INPUT_BYTES, Program, Task,
    guest::{self, Refusal, run_block},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::fixture::{encoded, input};

/// Where the context stands: what the guest copies and the contract compares.
const CONTEXT: std::ops::Range<usize> = 6..6 + 32 + 20 + 20;

/// Everything but the context.
fn said(journal: Journal) -> Journal {
    let none = Journal::decode(&{
        let mut bytes = [0; mach_prove::JOURNAL_BYTES];
        bytes[31] = 1;
        bytes
    })
    .unwrap();
    Journal {
        l1_chain_id: none.l1_chain_id,
        service_manager: none.service_manager,
        prover: none.prover,
        ..journal
    }
}

#[test]
fn a_flipped_bit_gives_a_refusal_or_the_very_same_journal() {
    let mut random = StdRng::seed_from_u64(7);
    for (name, task) in [
        ("lie-gas-used", Task::Accuse),
        ("jovian", Task::Accuse),
        ("jovian", Task::Affirm),
        ("osaka", Task::Affirm),
    ] {
        let good = encoded(name, task);
        let expected = run_block(&good).ok();
        let (mut same, mut refused) = (0, 0);
        for _ in 0..1000 {
            let bit = random.random_range(0..good.len() * 8);
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            match run_block(&bad) {
                Err(_) => refused += 1,
                Ok(journal) if CONTEXT.contains(&(bit / 8)) => {
                    assert_ne!(Some(journal), expected);
                    assert_eq!(Some(said(journal)), expected.map(said), "{name}: bit {bit}");
                }
                Ok(journal) => {
                    assert_eq!(Some(journal), expected, "{name}: bit {bit}");
                    same += 1;
                }
            }
        }
        assert!(refused > 0, "{name}: {same} the same");
    }
}

#[test]
fn a_task_cannot_be_flipped_into_the_other() {
    let at = CONTEXT.end + 64;
    let mut accuse = encoded("jovian", Task::Affirm).to_vec();
    accuse[at] ^= 1;
    assert!(matches!(run_block(&accuse), Err(Refusal::RightBlock(_))));
    let mut affirm = encoded("lie-gas-used", Task::Accuse).to_vec();
    affirm[at] ^= 1;
    assert!(matches!(run_block(&affirm), Err(Refusal::WrongBlock(_))));
    accuse[at] = 2;
    let refused = run_block(&accuse);
    assert!(matches!(refused, Err(Refusal::Input(InputError::Task(2)))));
}

/// Each node that execution needs is needed, and none can be replaced.
#[test]
fn a_damaged_witness_stops_the_guest() {
    for (name, task) in [
        ("lie-minted-balance", Task::Accuse),
        ("isthmus", Task::Affirm),
    ] {
        let good = input(name, task);
        let expected = run_block(&good.encode().unwrap()).unwrap();
        let mut needed = 0;
        for index in 0..good.witness.state.len() {
            for damage in [Bytes::new(), Bytes::from_static(&[0x80])] {
                let mut bad = good.clone();
                bad.witness.state[index] = damage;
                match run_block(&bad.encode().unwrap()) {
                    Ok(journal) => assert_eq!(journal, expected, "{name}: node {index}"),
                    Err(Refusal::Undecided(error)) => {
                        assert!(error.is_transient(), "{error:?}");
                        needed += 1;
                    }
                    Err(error) => panic!("{name}: node {index}: {error:?}"),
                }
            }
        }
        assert!(needed > 0);
        let mut bad = good.clone();
        bad.witness.codes.clear();
        let refused = run_block(&bad.encode().unwrap());
        assert!(matches!(refused, Err(Refusal::Undecided(_))), "{refused:?}");
    }
}

#[test]
fn an_input_that_is_cut_or_has_more_is_refused() {
    let good = encoded("lie-state-root", Task::Accuse);
    for length in (0..good.len()).step_by(97) {
        let refused = run_block(&good[..length]);
        assert!(
            matches!(refused, Err(Refusal::Input(_))),
            "{length}: {refused:?}"
        );
    }
    let more = [&good[..], &[0]].concat();
    let refused = run_block(&more);
    assert!(matches!(
        refused,
        Err(Refusal::Input(InputError::TrailingBytes(1)))
    ));
    let refused = guest::run(Program::Output, &good);
    assert!(matches!(
        refused,
        Err(Refusal::Input(InputError::Format(Program::Output)))
    ));
}

/// A length says more than there is: no room is taken for it.
#[test]
fn lengths_are_not_believed() {
    let good = encoded("lie-state-root", Task::Accuse);
    let rules = CONTEXT.end + 64 + 1;
    let mut bad = good.to_vec();
    bad[rules..rules + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let refused = run_block(&bad);
    assert!(matches!(
        refused,
        Err(Refusal::Input(InputError::TooLong("rules")))
    ));
    let length = u32::from_le_bytes(good[rules..rules + 4].try_into().unwrap());
    let block = rules + 4 + length as usize;
    let mut bad = good.to_vec();
    bad[block..block + 4].copy_from_slice(&(100 * 1024 * 1024 + 1_u32).to_le_bytes());
    let refused = run_block(&bad);
    assert!(matches!(
        refused,
        Err(Refusal::Input(InputError::TooLong("block")))
    ));
    // The list of headers is the last: its count stands before their bytes.
    let headers = input("lie-state-root", Task::Accuse).witness.headers;
    let bytes: usize = headers.iter().map(|it| it.len() + 4).sum();
    let at = good.len() - bytes - 4;
    for (count, part) in [(257, "headers"), (u32::MAX, "headers")] {
        let mut bad = good.to_vec();
        bad[at..at + 4].copy_from_slice(&count.to_le_bytes());
        let refused = run_block(&bad);
        assert!(
            matches!(refused, Err(Refusal::Input(InputError::TooLong(it))) if it == part),
            "{refused:?}"
        );
    }
    let refused = run_block(&vec![0; MAX_INPUT_BYTES + 1]);
    assert!(matches!(
        refused,
        Err(Refusal::Input(InputError::TooLarge(_)))
    ));
}
