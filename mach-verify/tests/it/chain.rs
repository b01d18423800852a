//! A chain file from genesis to its head.

use alloy_primitives::B256;
use mach_core::{Fault, Mismatch, Verdict};
use mach_verify::{ExecuteError, source::ChainFile};

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
    lie.header = alloy_primitives::Sealed::new(header);
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
