//! Every field of the header.

use alloy_consensus::Header;
use alloy_primitives::{B64, B256, Bytes, Sealed, U256, keccak256};
use mach_core::{Fault, Verdict};
use mach_verify::{ExecuteError, verify_block, verify_child};

use super::{Fixture, flip, names};

/// What is changed, and the fault that has to name it.
type Change = (&'static str, Box<dyn Fn(&mut Header)>);

fn change(name: &'static str, change: impl Fn(&mut Header) + 'static) -> Change {
    (name, Box::new(change))
}

/// Every field that rules bind, and the fields that the block must not have.
pub(super) fn changes(it: &Fixture) -> Vec<Change> {
    let original = it.block.header.inner();
    let parent_time = it.parent().timestamp;
    let mut all = vec![
        change("ommersHash", |h| h.ommers_hash = flip(h.ommers_hash)),
        change("stateRoot", |h| h.state_root = flip(h.state_root)),
        change("transactionsRoot", |h| {
            h.transactions_root = flip(h.transactions_root);
        }),
        change("receiptsRoot", |h| h.receipts_root = flip(h.receipts_root)),
        change("logsBloom", |h| h.logs_bloom.0[7] ^= 4),
        change("difficulty", |h| h.difficulty += U256::from(1)),
        change("number", |h| h.number += 1),
        change("gasLimit", |h| h.gas_limit = u64::MAX),
        change("gasUsed", |h| h.gas_used += 1),
        change("timestamp", move |h| h.timestamp = parent_time),
        change("extraData", |h| h.extra_data = vec![0; 33].into()),
        change("baseFeePerGas", |h| {
            h.base_fee_per_gas = Some(h.base_fee_per_gas.map_or(7, |fee| fee + 1));
        }),
        change("withdrawalsRoot", |h| {
            h.withdrawals_root = Some(flip(h.withdrawals_root.unwrap_or_default()));
        }),
        change("blobGasUsed", |h| {
            h.blob_gas_used = Some(h.blob_gas_used.map_or(0, |gas| gas + 1));
        }),
        change("excessBlobGas", |h| {
            h.excess_blob_gas = Some(h.excess_blob_gas.map_or(0, |gas| gas + 1));
        }),
        change("parentBeaconBlockRoot", |h| {
            h.parent_beacon_block_root = match h.parent_beacon_block_root {
                Some(_) => None,
                None => Some(B256::ZERO),
            };
        }),
        change("requestsHash", |h| h.requests_hash = Some(B256::ZERO)),
    ];
    if original.difficulty.is_zero() {
        all.push(change("nonce", |h| h.nonce = B64::with_last_byte(1)));
    }
    if original.base_fee_per_gas.is_some() {
        all.push(change("baseFeePerGas", |h| h.base_fee_per_gas = None));
    }
    if original.withdrawals_root.is_some() {
        all.push(change("withdrawalsRoot", |h| h.withdrawals_root = None));
    }
    if original.excess_blob_gas.is_some() {
        all.push(change("blobGasUsed", |h| h.blob_gas_used = None));
        all.push(change("excessBlobGas", |h| h.excess_blob_gas = None));
    }
    if original.requests_hash.is_some() {
        all.push(change("requestsHash", |h| h.requests_hash = None));
    }
    all
}

/// Names every change; gives how many there were.
pub(super) fn check(it: &Fixture) -> usize {
    let changes = changes(it);
    for (field, change) in &changes {
        names(it, it.with_header(change), field);
    }
    changes.len()
}

#[test]
fn every_field_of_the_header_is_named_when_it_is_wrong() {
    for it in Fixture::all() {
        assert!(check(&it) >= 17, "{}", it.name);
    }
}

/// A parent that is only named by the block cannot be judged; one that is known can.
#[test]
fn another_parent_is_named_where_the_parent_is_known() {
    for it in Fixture::all() {
        let mut header = it.block.header.inner().clone();
        header.parent_hash = flip(header.parent_hash);
        let mut block = it.block.clone();
        block.header = Sealed::new(header);
        assert!(matches!(
            verify_block(&it.spec, &block, &it.witness),
            Err(ExecuteError::MissingParent { .. })
        ));
        names(
            &it,
            verify_child(&it.spec, &it.parent(), &block, &it.witness),
            "parentHash",
        );
        let mut without_parent = it.witness.clone();
        let parent = it.block.header.parent_hash;
        (without_parent.headers).retain(|header| keccak256(header) != parent);
        let verdict = verify_child(&it.spec, &it.parent(), &it.block, &without_parent);
        assert_eq!(verdict.unwrap().fault(), None);
    }
}

#[test]
fn holocene_fee_parameters_are_named_when_they_are_wrong() {
    // Both chains have the parameters of OP Mainnet since Canyon.
    let blocks = ["isthmus", "op-11155420-22884230"];
    for it in blocks.into_iter().filter_map(Fixture::load) {
        for (extra, computed) in [
            // The configuration's parameters take the place of what has no form.
            ("", "00000000fa00000006"),
            ("00000000fa000006", "00000000fa00000006"),
            ("01000000fa00000006", "00000000fa00000006"),
            ("000000000000000006", "00000000fa00000006"),
            ("00000000fa0000000600", "00000000fa00000006"),
        ] {
            let extra: Bytes = extra.parse().unwrap();
            match it.with_header(|h| h.extra_data = extra.clone()) {
                Ok(Verdict::Invalid(Fault::ExtraData(values))) => {
                    assert_eq!(values.claimed, extra);
                    assert_eq!(values.computed, computed.parse::<Bytes>().unwrap());
                }
                other => panic!("{extra}: {other:?}"),
            }
        }
    }
}
