//! A chain file from genesis to its head.

use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_hardforks::EthereumHardfork;
use alloy_primitives::{B256, Sealed, U256};
use mach_core::{Fault, L2Block, Mismatch, Verdict};
use mach_verify::{
    ChainSpec, ChainVerifier, ExecuteError,
    source::{ChainFile, ChainFileError},
};

use crate::data;

/// Every fork from Frontier to BPO2, ommers, blobs, delegations and requests; state root of the
/// head as `headstate.json` of the data set says it.
#[test]
fn every_block_of_the_execution_apis_chain_is_valid() {
    let Some(folder) = data("execution-apis") else {
        return;
    };
    let head: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("headstate.json")).unwrap()).unwrap();
    let expected: B256 = head["root"].as_str().unwrap().parse().unwrap();
    let chain = ChainFile::open_directory(&folder).unwrap();
    assert_eq!(chain.blocks().len(), 54);
    let mut verifier = chain.verifier().unwrap();
    for block in chain.blocks() {
        let verdict = verifier.verify(block).unwrap();
        assert!(
            matches!(verdict, Verdict::Valid(_)),
            "block {}: {verdict:?}",
            block.number()
        );
    }
    assert_eq!(verifier.head().state_root, expected);
}

type Change = fn(&mut Header);

/// One change for each field that the parent, the body or execution decides. Where a field is not
/// there yet, the change puts it there.
const CHANGES: &[(&str, Change)] = &[
    ("ommersHash", |h| h.ommers_hash.0[0] ^= 1),
    ("stateRoot", |h| h.state_root.0[0] ^= 1),
    ("transactionsRoot", |h| h.transactions_root.0[0] ^= 1),
    ("receiptsRoot", |h| h.receipts_root.0[0] ^= 1),
    ("logsBloom", |h| h.logs_bloom.0[200] ^= 1),
    ("difficulty", |h| h.difficulty += U256::from(1)),
    ("number", |h| h.number += 1),
    ("gasLimit", |h| h.gas_limit += h.gas_limit / 1000),
    ("gasUsed", |h| h.gas_used ^= 1),
    ("timestamp", |h| h.timestamp = 0),
    ("extraData", |h| h.extra_data = vec![1; 33].into()),
    ("baseFeePerGas", |h| {
        h.base_fee_per_gas = Some(h.base_fee_per_gas.unwrap_or(6) + 1)
    }),
    ("withdrawalsRoot", |h| {
        h.withdrawals_root = Some(B256::repeat_byte(9))
    }),
    ("blobGasUsed", |h| {
        h.blob_gas_used = Some(h.blob_gas_used.unwrap_or(0) + 1)
    }),
    ("excessBlobGas", |h| {
        h.excess_blob_gas = Some(h.excess_blob_gas.unwrap_or(0) + 1)
    }),
    ("requestsHash", |h| {
        h.requests_hash = Some(B256::repeat_byte(9))
    }),
];

#[test]
fn every_field_of_every_fork_is_named_when_it_is_wrong() {
    let Some(folder) = data("execution-apis") else {
        return;
    };
    let chain = ChainFile::open_directory(&folder).unwrap();
    let mut verifier = chain.verifier().unwrap();
    for block in chain.blocks() {
        for (field, change) in CHANGES {
            let mut header = block.header.inner().clone();
            change(&mut header);
            let mut lie = block.clone();
            lie.header = Sealed::new(header);
            let verdict = verifier.verify(&lie).unwrap();
            let named = verdict.fault().map(Fault::name);
            assert_eq!(named, Some(*field), "block {}: {verdict:?}", block.number());
        }
        assert_eq!(verifier.verify(block).unwrap().fault(), None);
    }
}

/// A header that leaves out what its fork demands, or an unbacked request.
#[test]
fn fields_must_be_there_from_their_fork_on() {
    let Some(folder) = data("execution-apis") else {
        return;
    };
    let chain = ChainFile::open_directory(&folder).unwrap();
    let mut verifier = chain.verifier().unwrap();
    let (head, before) = chain.blocks().split_last().unwrap();
    for block in before {
        assert_eq!(verifier.verify(block).unwrap().fault(), None);
    }
    let changes: [(&str, Change); 6] = [
        ("baseFeePerGas", |h| h.base_fee_per_gas = None),
        ("withdrawalsRoot", |h| h.withdrawals_root = None),
        ("blobGasUsed", |h| h.blob_gas_used = None),
        ("excessBlobGas", |h| h.excess_blob_gas = None),
        ("parentBeaconBlockRoot", |h| {
            h.parent_beacon_block_root = None
        }),
        ("requestsHash", |h| h.requests_hash = None),
    ];
    for (field, change) in changes {
        let mut header = head.header.inner().clone();
        change(&mut header);
        let mut lie = head.clone();
        lie.header = Sealed::new(header);
        let verdict = verifier.verify(&lie).unwrap();
        assert_eq!(verdict.fault().map(Fault::name), Some(field), "{verdict:?}");
    }
    // A withdrawal more than the header's root says.
    let mut lie = head.clone();
    let list = lie.withdrawals.get_or_insert_default();
    list.0.push(alloy_eips::eip4895::Withdrawal::default());
    let verdict = verifier.verify(&lie).unwrap();
    assert_eq!(verdict.fault().map(Fault::name), Some("withdrawalsRoot"));
}

#[test]
fn what_is_not_a_chain_file_is_an_error() {
    let Some(folder) = data("execution-apis") else {
        return;
    };
    let bytes = std::fs::read(folder.join("chain.rlp")).unwrap();
    let genesis: alloy_genesis::Genesis =
        serde_json::from_slice(&std::fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let parse = |bytes: &[u8]| ChainFile::parse(bytes, genesis.clone());
    let whole = parse(&bytes).unwrap();
    assert!(matches!(
        parse(&bytes[..bytes.len() - 1]),
        Err(ChainFileError::Block { .. })
    ));
    let first = whole.blocks()[0].encode_rlp();
    let twice = [&bytes[..], &first].concat();
    assert!(matches!(
        parse(&twice),
        Err(ChainFileError::Order { number: 1, .. })
    ));
    assert!(parse(&[]).unwrap().blocks().is_empty());
}

#[test]
fn a_block_that_is_not_valid_leaves_no_trace() {
    let Some(folder) = data("execution-apis") else {
        return;
    };
    let chain = ChainFile::open_directory(&folder).unwrap();
    let mut verifier = chain.verifier().unwrap();
    let first = &chain.blocks()[0];
    let mut header = first.header.inner().clone();
    let computed = header.state_root;
    header.state_root = B256::ZERO;
    let mut lie = first.clone();
    lie.header = Sealed::new(header);
    assert_eq!(
        verifier.verify(&lie).unwrap(),
        Verdict::Invalid(Fault::StateRoot(Mismatch {
            claimed: B256::ZERO,
            computed
        }))
    );
    assert!(matches!(
        verifier.verify(&chain.blocks()[1]),
        Err(ExecuteError::MissingParent { block: 2, .. })
    ));
    assert!(matches!(
        verifier.verify(first),
        Ok(Verdict::Valid(summary)) if summary.block == first.reference()
    ));
}

/// Block 1 without transactions of a chain in Prague, in whose genesis the contract for withdrawal
/// requests (EIP-7002) has this code.
fn first_block_of_prague(code: &str) -> (ChainVerifier, L2Block) {
    let genesis = format!(
        r#"{{"config":{{}},"difficulty":"0x0","gasLimit":"0x1c9c380","timestamp":"0x0","alloc":{{
            "0x00000961Ef480Eb55e80D19ad83579A64c007002":{{"balance":"0x1","code":"{code}"}}}}}}"#
    );
    let genesis = serde_json::from_str(&genesis).unwrap();
    let spec = ChainSpec::ethereum(1337).with_forks_from_genesis(EthereumHardfork::Prague);
    let verifier = ChainVerifier::new(spec, &genesis).unwrap();
    let parent = verifier.head();
    let header = Header {
        parent_hash: parent.seal(),
        state_root: parent.state_root,
        gas_limit: parent.gas_limit,
        number: 1,
        timestamp: 12,
        // EIP-1559: an eighth less than a gwei after an empty block.
        base_fee_per_gas: Some(875_000_000),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    };
    (verifier, L2Block::new(1337, header, vec![]))
}

/// EIP-7002: if the call fails, the block is invalid, whatever its header holds or leaves out.
#[test]
fn no_block_is_valid_when_a_system_contract_fails() {
    let (mut verifier, honest) = first_block_of_prague("0x00");
    assert_eq!(verifier.verify(&honest).unwrap().fault(), None);

    let (mut verifier, block) = first_block_of_prague("0x5f5ffd");
    for requests_hash in [None, Some(EMPTY_REQUESTS_HASH), Some(B256::ZERO)] {
        let mut lie = block.header.inner().clone();
        lie.requests_hash = requests_hash;
        let verdict = verifier.verify(&L2Block::new(1337, lie, vec![])).unwrap();
        assert_eq!(
            verdict.fault().map(Fault::name),
            Some("requestsHash"),
            "{requests_hash:?}: {verdict:?}"
        );
    }
}

#[test]
fn a_body_with_ommers_after_the_merge_is_an_error() {
    let (mut verifier, mut block) = first_block_of_prague("0x00");
    block.ommers.push(verifier.head().inner().clone());
    assert!(matches!(
        verifier.verify(&block),
        Err(ExecuteError::Body {
            field: "ommers",
            ..
        })
    ));
}
