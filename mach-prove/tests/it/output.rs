//! Output roots.

use alloy_consensus::Header;
use alloy_hardforks::ForkCondition;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{B256, Bytes, Sealed, U256, address, keccak256};
use mach_prove::{
    OutputInput,
    guest::{Refusal, run_output},
};
use mach_verify::{
    ChainSpec,
    state::{Account, AccountUpdate, MemoryStore, TrieState},
};

use crate::fixture::{CONTEXT, recorded};

fn isthmus() -> OutputInput {
    let (spec, record) = recorded("isthmus");
    OutputInput {
        context: CONTEXT,
        spec,
        header: record.block.header,
        claimed: B256::repeat_byte(9),
        proof: vec![],
    }
}

/// keccak256(0 || stateRoot || withdrawalsRoot || hash), written out.
pub(crate) fn expected(header: &Header, message_passer_root: B256) -> B256 {
    let words = [
        B256::ZERO,
        header.state_root,
        message_passer_root,
        header.hash_slow(),
    ];
    keccak256(words.map(|word| word.0).concat())
}

#[test]
fn a_wrong_root_is_accused_by_the_header() {
    let input = isthmus();
    let journal = run_output(&input.encode().unwrap()).unwrap();
    let header = input.header.inner();
    let computed = expected(header, header.withdrawals_root.unwrap());
    assert_eq!(journal.fault, 128);
    assert_eq!(journal.claimed, B256::repeat_byte(9));
    assert_eq!(
        (journal.computed, journal.output_root),
        (computed, computed)
    );
    assert_eq!(journal.context(), CONTEXT);
    assert_eq!(journal.config_hash, input.spec.hash());
    assert_eq!(journal.rollup_chain_id, U256::from(input.spec.chain_id()));
    assert_eq!(journal.block_hash, header.hash_slow());
    assert_eq!(journal.parent_hash, header.parent_hash);
    assert_eq!(journal.block_number, header.number);
}

#[test]
fn a_right_root_is_not_accused() {
    let mut input = isthmus();
    let header = input.header.inner();
    input.claimed = expected(header, header.withdrawals_root.unwrap());
    let refused = run_output(&input.encode().unwrap());
    assert!(matches!(refused, Err(Refusal::RightOutput(root)) if root == input.claimed));
}

#[test]
fn before_isthmus_the_message_passer_is_proved() {
    let passer = address!("0x4200000000000000000000000000000000000016");
    let mut state = TrieState::new(MemoryStore::new(), alloy_consensus::EMPTY_ROOT_HASH);
    let account = |address, nonce, storage| AccountUpdate {
        address,
        account: Some(Account {
            nonce,
            ..Default::default()
        }),
        wipe_storage: false,
        storage,
    };
    let others =
        (1..40).map(|byte| account(alloy_primitives::Address::repeat_byte(byte), 1, vec![]));
    let slots = vec![(U256::from(1), U256::from(7))];
    state
        .apply(others.chain([account(passer, 1, slots)]))
        .unwrap();
    let proof = state.prove(passer, &[]).unwrap();
    let header = Header {
        state_root: state.root().unwrap(),
        number: 5,
        timestamp: 10,
        ..Default::default()
    };
    let mut input = OutputInput {
        context: CONTEXT,
        spec: ChainSpec::optimism(901).with_op_forks_from_genesis(OpHardfork::Granite),
        header: Sealed::new(header.clone()),
        claimed: B256::ZERO,
        proof: proof.nodes,
    };
    let journal = run_output(&input.encode().unwrap()).unwrap();
    let computed = expected(&header, proof.account.unwrap().storage_root);
    assert_eq!(journal.computed, computed);

    let whole = input.proof.clone();
    for index in 0..whole.len() {
        input.proof = whole.clone();
        input.proof[index] = Bytes::from_static(&[0xc0]);
        let refused = run_output(&input.encode().unwrap());
        assert!(
            matches!(refused, Err(Refusal::MessagePasser(_))),
            "{refused:?}"
        );
    }
    input.proof = whole;
    input.claimed = expected(&header, proof.account.unwrap().storage_root);
    let refused = run_output(&input.encode().unwrap());
    assert!(matches!(refused, Err(Refusal::RightOutput(_))));
}

#[test]
fn where_the_rules_are_in_doubt_no_root_is_accused() {
    let good = isthmus();
    let time = good.header.timestamp;
    let doubtful: [(&str, ChainSpec); 4] = [
        ("horizon", good.spec.clone().with_horizon(time - 1)),
        ("extensions", good.spec.clone().with_extensions("another")),
        (
            "fork",
            good.spec
                .clone()
                .with_op_fork(OpHardfork::Interop, ForkCondition::Timestamp(time)),
        ),
        ("stack", ChainSpec::ethereum(good.spec.chain_id())),
    ];
    for (name, spec) in doubtful {
        let input = OutputInput {
            spec,
            ..good.clone()
        };
        let refused = run_output(&input.encode().unwrap());
        assert!(
            matches!(
                refused,
                Err(Refusal::Unsupported(_) | Refusal::NoOutputRoots)
            ),
            "{name}: {refused:?}"
        );
    }
    let input = OutputInput {
        spec: good.spec.clone().with_horizon(time),
        ..good.clone()
    };
    assert!(run_output(&input.encode().unwrap()).is_ok());
    let mut header = good.header.inner().clone();
    header.withdrawals_root = None;
    header.parent_beacon_block_root = None;
    header.blob_gas_used = None;
    header.excess_blob_gas = None;
    header.requests_hash = None;
    let input = OutputInput {
        header: Sealed::new(header),
        ..good
    };
    let refused = run_output(&input.encode().unwrap());
    assert!(
        matches!(refused, Err(Refusal::NoWithdrawalsRoot)),
        "{refused:?}"
    );
}

/// Every bit of the input: the posted root is what is accused, so it is the journal's.
#[test]
fn a_flipped_bit_accuses_no_other_header() {
    let good = isthmus();
    let bytes = good.encode().unwrap();
    let journal = run_output(&bytes).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = run_output(&bad) {
            assert_eq!(other.config_hash, journal.config_hash, "bit {bit}");
            assert_eq!(other.block_hash, journal.block_hash, "bit {bit}");
            assert_eq!(other.computed, journal.computed, "bit {bit}");
            assert_eq!(other.fault, 128, "bit {bit}");
        }
    }
}
