//! Whatever is changed about a block is named as exactly that; whatever is changed about a witness
//! accuses nobody.

use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bytes, Sealed, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::root::ordered_trie_root_with_encoder;
use mach_core::{Assurance, Fault, L2Block, Verdict};
use mach_verify::{
    ChainSpec, ExecuteError, Witness, source::RecordedBlock, verify_block, verify_child,
};

use crate::{
    data,
    devnet::{HONEST, recorded},
};

/// A recorded block that is valid, with the rules of its chain.
struct Fixture {
    name: String,
    spec: ChainSpec,
    block: L2Block,
    witness: Witness,
}

impl Fixture {
    /// A block of the devnet, or of the data set; `None` where that is missing.
    fn load(name: &str) -> Option<Self> {
        let (spec, record) = if HONEST.contains(&name) {
            recorded(name)
        } else {
            let file = data("blocks")?.join(format!("{name}.json.gz"));
            let record = RecordedBlock::read(file).unwrap();
            (ChainSpec::known(record.block.chain_id).unwrap(), record)
        };
        Some(Self {
            name: name.to_owned(),
            spec,
            block: record.block,
            witness: record.witness,
        })
    }

    /// The same block with claims in the place of headers.
    fn on_claim(mut self) -> Self {
        let headers = std::mem::take(&mut self.witness.headers);
        for bytes in &headers {
            let header = Header::decode(&mut &bytes[..]).unwrap();
            if keccak256(bytes) == self.block.header.parent_hash {
                self.witness.parent_state_root = Some(header.state_root);
            }
            (self.witness.block_hashes).insert(header.number, keccak256(bytes));
        }
        self
    }

    fn parent(&self) -> Sealed<Header> {
        self.witness.header(self.block.header.parent_hash).unwrap()
    }

    /// The verdict after a change to the header.
    fn with_header(&self, change: impl FnOnce(&mut Header)) -> Result<Verdict, ExecuteError> {
        let mut header = self.block.header.inner().clone();
        change(&mut header);
        let mut block = self.block.clone();
        block.header = Sealed::new(header);
        verify_block(&self.spec, &block, &self.witness)
    }

    /// The verdict after a change to the body, with a header that fits the new body.
    fn with_transactions(
        &self,
        change: impl FnOnce(&mut Vec<Bytes>),
    ) -> Result<Verdict, ExecuteError> {
        let mut block = self.block.clone();
        change(&mut block.transactions);
        let mut header = block.header.inner().clone();
        header.transactions_root =
            ordered_trie_root_with_encoder(&block.transactions, |item, out| {
                out.extend_from_slice(item);
            });
        block.header = Sealed::new(header);
        verify_block(&self.spec, &block, &self.witness)
    }

    fn with_witness(&self, change: impl FnOnce(&mut Witness)) -> Result<Verdict, ExecuteError> {
        let mut witness = self.witness.clone();
        change(&mut witness);
        verify_block(&self.spec, &self.block, &witness)
    }
}

/// One block of each kind of rules: the devnet's Isthmus, Jovian and Osaka; proof of work with and
/// without receipts' status, Paris, Cancun, Regolith, Granite, Holocene.
const BLOCKS: [&str; 10] = [
    "isthmus",
    "jovian",
    "osaka",
    "eth-1-1920000",
    "eth-1-4370000",
    "eth-1-15537394",
    "eth-1-19426587",
    "op-10-109279682",
    "op-11155420-17664000",
    "op-11155420-22884230",
];

#[track_caller]
fn names(fixture: &Fixture, verdict: Result<Verdict, ExecuteError>, field: &str) {
    match &verdict {
        Ok(Verdict::Invalid(fault)) if fault.name() == field => {}
        _ => panic!("{}: expected {field}, got {verdict:?}", fixture.name),
    }
}

fn flip(hash: B256) -> B256 {
    let mut hash = hash;
    hash.0[31] ^= 1;
    hash
}

#[test]
fn every_field_of_the_header_is_named_when_it_is_wrong() {
    for name in BLOCKS {
        let Some(fixture) = Fixture::load(name) else {
            return;
        };
        let it = &fixture;
        let original = it.block.header.inner();
        let parent = it.parent();
        let merged = original.difficulty.is_zero();

        names(
            it,
            it.with_header(|h| h.ommers_hash = flip(h.ommers_hash)),
            "ommersHash",
        );
        names(
            it,
            it.with_header(|h| h.state_root = flip(h.state_root)),
            "stateRoot",
        );
        names(
            it,
            it.with_header(|h| h.transactions_root = flip(h.transactions_root)),
            "transactionsRoot",
        );
        names(
            it,
            it.with_header(|h| h.receipts_root = flip(h.receipts_root)),
            "receiptsRoot",
        );
        names(it, it.with_header(|h| h.logs_bloom.0[7] ^= 4), "logsBloom");
        names(
            it,
            it.with_header(|h| h.difficulty += U256::from(1)),
            "difficulty",
        );
        names(it, it.with_header(|h| h.number -= 1), "number");
        names(it, it.with_header(|h| h.gas_limit = u64::MAX), "gasLimit");
        names(it, it.with_header(|h| h.gas_used += 1), "gasUsed");
        names(
            it,
            it.with_header(|h| h.timestamp = parent.timestamp),
            "timestamp",
        );
        names(
            it,
            it.with_header(|h| h.extra_data = vec![0; 33].into()),
            "extraData",
        );
        if merged {
            names(
                it,
                it.with_header(|h| h.nonce = B64::with_last_byte(1)),
                "nonce",
            );
        }
        names(
            it,
            it.with_header(|h| {
                h.base_fee_per_gas = Some(h.base_fee_per_gas.map_or(7, |fee| fee + 1));
            }),
            "baseFeePerGas",
        );
        if original.base_fee_per_gas.is_some() {
            names(
                it,
                it.with_header(|h| h.base_fee_per_gas = None),
                "baseFeePerGas",
            );
        }
        names(
            it,
            it.with_header(|h| {
                h.withdrawals_root = Some(flip(h.withdrawals_root.unwrap_or_default()));
            }),
            "withdrawalsRoot",
        );
        names(
            it,
            it.with_header(|h| h.blob_gas_used = Some(h.blob_gas_used.map_or(0, |gas| gas + 1))),
            "blobGasUsed",
        );
        names(
            it,
            it.with_header(|h| {
                h.excess_blob_gas = Some(h.excess_blob_gas.map_or(0, |gas| gas + 1));
            }),
            "excessBlobGas",
        );
        names(
            it,
            it.with_header(|h| {
                h.parent_beacon_block_root = match h.parent_beacon_block_root {
                    Some(_) => None,
                    None => Some(B256::ZERO),
                };
            }),
            "parentBeaconBlockRoot",
        );
        names(
            it,
            it.with_header(|h| h.requests_hash = Some(B256::ZERO)),
            "requestsHash",
        );
        if original.withdrawals_root.is_some() {
            names(
                it,
                it.with_header(|h| h.withdrawals_root = None),
                "withdrawalsRoot",
            );
        }
        if original.excess_blob_gas.is_some() {
            names(
                it,
                it.with_header(|h| h.blob_gas_used = None),
                "blobGasUsed",
            );
            names(
                it,
                it.with_header(|h| h.excess_blob_gas = None),
                "excessBlobGas",
            );
        }
    }
}

/// A parent that is only named by the block cannot be judged; one that is known can.
#[test]
fn another_parent_is_named_where_the_parent_is_known() {
    for name in BLOCKS {
        let Some(it) = Fixture::load(name) else {
            return;
        };
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

/// What transactions can read changes what they do, and is no rule by itself: the block is not
/// valid any more, or the witness of the honest block does not cover it.
#[test]
fn inputs_of_execution_are_part_of_what_is_verified() {
    for name in ["isthmus", "eth-1-15537394", "op-11155420-22884230"] {
        let Some(it) = Fixture::load(name) else {
            return;
        };
        let verdict = it.with_header(|h| h.beneficiary = Address::repeat_byte(0x77));
        assert!(
            !matches!(verdict, Ok(Verdict::Valid(_))),
            "{name}: {verdict:?}"
        );
    }
    let Some(it) = Fixture::load("eth-1-19426587") else {
        return;
    };
    let verdict = it.with_header(|h| h.parent_beacon_block_root = Some(B256::repeat_byte(1)));
    names(&it, verdict, "stateRoot");
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

#[test]
fn every_transaction_is_bound_by_the_header() {
    for name in BLOCKS {
        let Some(it) = Fixture::load(name) else {
            return;
        };
        for index in 0..it.block.transactions.len() {
            let mut block = it.block.clone();
            block.transactions.remove(index);
            let verdict = verify_block(&it.spec, &block, &it.witness);
            names(&it, verdict, "transactionsRoot");

            let mut block = it.block.clone();
            let mut bytes = block.transactions[index].to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            block.transactions[index] = bytes.into();
            let verdict = verify_block(&it.spec, &block, &it.witness);
            names(&it, verdict, "transactionsRoot");
        }
    }
}

/// The sequencer can make the transactions root fit. Then execution tells.
#[test]
fn a_changed_transaction_under_a_fitting_root_is_not_valid() {
    for name in BLOCKS {
        let Some(it) = Fixture::load(name) else {
            return;
        };
        for index in 0..it.block.transactions.len() {
            let dropped = it.with_transactions(|list| drop(list.remove(index)));
            assert!(
                !matches!(dropped, Ok(Verdict::Valid(_))),
                "{name} {index}: {dropped:?}"
            );

            let cut = it.with_transactions(|list| {
                let length = list[index].len() - 1;
                list[index] = list[index].slice(..length);
            });
            match cut {
                Ok(Verdict::Invalid(Fault::Transaction { index: at, .. })) => {
                    assert_eq!(at, index as u64, "{name}");
                }
                other => panic!("{name} {index}: {other:?}"),
            }

            // One bit of the signature: another sender, or none.
            let forged = it.with_transactions(|list| {
                let mut bytes = list[index].to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                list[index] = bytes.into();
            });
            match forged {
                Ok(Verdict::Valid(summary)) => panic!("{name} {index}: {summary:?}"),
                Ok(Verdict::Invalid(Fault::Transaction { index: at, .. })) => {
                    assert!(at >= index as u64, "{name} {index}: {at}");
                }
                Ok(Verdict::Invalid(_)) | Err(_) => {}
            }
        }
        let twice = it.with_transactions(|list| list.push(list[list.len() - 1].clone()));
        match twice {
            Ok(Verdict::Invalid(Fault::Transaction { index, .. })) => {
                assert_eq!(index, it.block.transactions.len() as u64, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Without a node, with a damaged one: an error, or the same verdict if nothing needed it.
#[test]
fn no_damage_to_a_witness_accuses() {
    for name in [
        "isthmus",
        "jovian",
        "osaka",
        "eth-17000-2971844",
        "op-11142220-2346038",
        "op-10-109279682",
        "op-11155420-22884230",
    ] {
        let Some(it) = Fixture::load(name) else {
            return;
        };
        let honest = verify_block(&it.spec, &it.block, &it.witness).unwrap();
        let mut errors = 0;
        let mut judge = |what: &str, index: usize, verdict: Result<Verdict, ExecuteError>| {
            match verdict {
                Ok(Verdict::Valid(mut summary)) => {
                    // Without headers the file's own claim takes the parent's place.
                    if what == "without header" && it.witness.headers.len() == 1 {
                        assert_eq!(summary.assurance, Assurance::ExecutedOnClaim);
                        summary.assurance = Assurance::Executed;
                    }
                    assert_eq!(Verdict::Valid(summary), honest, "{name} {what} {index}");
                }
                Ok(verdict) => panic!("{name} {what} {index}: {verdict:?}"),
                Err(error) => {
                    assert_eq!(error.block(), it.block.number());
                    assert!(error.is_transient(), "{name} {what} {index}: {error}");
                    errors += 1;
                }
            }
        };
        for index in 0..it.witness.state.len() {
            judge(
                "without node",
                index,
                it.with_witness(|w| drop(w.state.remove(index))),
            );
            let damaged = it.with_witness(|w| damage(&mut w.state[index], index));
            judge("damaged node", index, damaged);
        }
        for index in 0..it.witness.codes.len() {
            judge(
                "without code",
                index,
                it.with_witness(|w| drop(w.codes.remove(index))),
            );
            let damaged = it.with_witness(|w| damage(&mut w.codes[index], index));
            judge("damaged code", index, damaged);
        }
        for index in 0..it.witness.headers.len() {
            judge(
                "without header",
                index,
                it.with_witness(|w| drop(w.headers.remove(index))),
            );
            for byte in [0, 5, 40, 90, 300, 500] {
                let damaged = it.with_witness(|w| damage(&mut w.headers[index], byte));
                judge("damaged header", index, damaged);
            }
        }
        // Witnesses hold little that is not needed.
        let parts = it.witness.state.len() + it.witness.codes.len();
        assert!(errors > parts, "{name}: {errors} errors of {parts} parts");
    }
}

fn damage(bytes: &mut Bytes, seed: usize) {
    let mut copy = bytes.to_vec();
    let at = seed.wrapping_mul(31) % copy.len();
    copy[at] ^= 1 << (seed % 8);
    *bytes = copy.into();
}

/// A claim may confirm a block and may not contradict it.
#[test]
fn a_wrong_claim_accuses_nobody() {
    let of_devnet = HONEST
        .into_iter()
        .filter_map(Fixture::load)
        .map(Fixture::on_claim);
    // These two files come without headers.
    let of_holesky = ["eth-17000-2971844", "eth-17000-2971846"];
    for it in of_devnet.chain(of_holesky.into_iter().filter_map(Fixture::load)) {
        assert!(matches!(
            it.with_witness(|w| w.parent_state_root = None),
            Err(ExecuteError::MissingParent { .. })
        ));
        assert!(matches!(
            it.with_witness(|w| w.parent_state_root = Some(B256::ZERO)),
            Err(ExecuteError::MissingNode { .. })
        ));
        assert!(matches!(
            it.with_header(|h| h.state_root = flip(h.state_root)),
            Err(ExecuteError::Unproven { fault, .. }) if fault.name() == "stateRoot"
        ));
        // What the block says about itself needs no parent.
        names(
            &it,
            it.with_header(|h| h.transactions_root = flip(h.transactions_root)),
            "transactionsRoot",
        );
        let verdict = it.with_witness(|w| {
            w.block_hashes
                .values_mut()
                .for_each(|hash| *hash = flip(*hash));
        });
        // The parent's hash is proven, so a set of claims that contradicts it is refused.
        assert!(matches!(
            verdict,
            Err(ExecuteError::Witness {
                field: "blockHashes",
                ..
            })
        ));
    }
}

#[test]
fn other_rules_and_other_chains_are_errors() {
    let it = Fixture::load("jovian").unwrap();
    assert!(matches!(
        verify_block(&ChainSpec::base(), &it.block, &it.witness),
        Err(ExecuteError::WrongChain {
            expected: 8453,
            actual: 901,
            ..
        })
    ));
    assert!(matches!(
        it.with_header(|h| h.slot_number = Some(1)),
        Err(ExecuteError::Unsupported { .. })
    ));
}

/// On a chain with rules that are not known, a contradiction may be such a rule.
#[test]
fn a_chain_with_unknown_extensions_is_never_accused() {
    let Some(it) = Fixture::load("op-11142220-2346038") else {
        return;
    };
    let changes: [fn(&mut Header); 3] = [
        |h| h.state_root = flip(h.state_root),
        |h| h.base_fee_per_gas = Some(1),
        |h| h.gas_used += 1,
    ];
    for change in changes {
        assert!(matches!(
            it.with_header(change),
            Err(ExecuteError::Unsupported { .. })
        ));
    }
}
