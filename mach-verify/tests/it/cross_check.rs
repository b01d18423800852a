//! Blocks that are not executed: what they say of themselves, what others say of them.

use std::path::Path;

use alloy_consensus::{Header, SignableTransaction, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, BlockNumber, Bytes, Sealed, Signature, b256, bytes};
use async_trait::async_trait;
use mach_core::{
    Assurance, BlockRef, Fault, L2Block, Mismatch, Verdict,
    ports::{BlockValidator, L1Source, L2Source, SourceError, ValidateError},
};
use mach_devnet::{Chain, DEV_ACCOUNTS, Devnet, Ethereum, L2_OUTPUT_ORACLE, Lie};
use mach_verify::{
    Bundle, EvidenceFolder, ExecuteError,
    cross_check::{
        BlockHashes, Commitment, CommitmentEvent, ConsistencyEvidence, ConsistencyEvidenceError,
        CrossCheckError, CrossCheckValidator, L1Commitment, L1CommitmentEvents, SenderSource, Word,
        check_consistency, recovered_sender,
    },
    op::Settlement,
    source::{RpcHashes, RpcSource, recorded_files},
};
use serde_json::Value;

/// An L1 with a contract call that logs, and its block.
fn chain() -> (Devnet, L2Block) {
    let devnet = Devnet::new().unwrap();
    devnet.l1().increase_time(3_600);
    for _ in 0..devnet.proposer().interval() {
        devnet.sequencer().produce().unwrap();
    }
    let number = devnet.l2().head();
    devnet.proposer().propose(number).unwrap();
    // The oracle's block: the factory's is the last.
    let block = devnet.l1().l2_block(devnet.l1().head() - 1).unwrap();
    assert!(!block.header.logs_bloom.is_zero());
    (devnet, block)
}

async fn context(l1: &Chain<Ethereum>, block: &L2Block) -> (Sealed<Header>, Vec<Bytes>) {
    let parent = l1.header(block.number() - 1).await.unwrap();
    let receipts = l1.receipts(&block.header).await.unwrap();
    (parent, receipts)
}

fn with_header(block: &L2Block, change: impl FnOnce(&mut Header)) -> L2Block {
    let mut header = block.header.inner().clone();
    change(&mut header);
    L2Block {
        header: Sealed::new(header),
        ..block.clone()
    }
}

#[tokio::test]
async fn what_a_header_contradicts_of_its_own_is_a_fault() {
    let (devnet, block) = chain();
    let (parent, receipts) = context(devnet.l1(), &block).await;
    assert!(matches!(
        check_consistency(&block, &parent, &receipts),
        Ok(None)
    ));
    type Change = fn(&mut Header);
    let lies: [(&str, Change); 4] = [
        ("number", |header| header.number += 1),
        ("timestamp", |header| header.timestamp = 1),
        ("logsBloom", |header| header.logs_bloom = Default::default()),
        ("gasUsed", |header| header.gas_used += 1),
    ];
    for (name, change) in lies {
        let lie = with_header(&block, change);
        let fault = check_consistency(&lie, &parent, &receipts).unwrap();
        assert_eq!(fault.as_ref().map(Fault::name), Some(name));
    }
    // A body or receipts that the header does not commit to, and a parent that it does not name.
    let foreign: [(&str, Change); 2] = [
        ("transactions", |header| {
            header.transactions_root = B256::ZERO
        }),
        ("receipts", |header| header.receipts_root = B256::ZERO),
    ];
    for (name, change) in foreign {
        let result = check_consistency(&with_header(&block, change), &parent, &receipts);
        assert!(
            matches!(&result, Err(ExecuteError::Body { field, .. }) if *field == name),
            "{result:?}"
        );
    }
    let other = Sealed::new(Header::default());
    assert!(matches!(
        check_consistency(&block, &other, &receipts),
        Err(ExecuteError::MissingParent { .. })
    ));
    assert!(matches!(
        check_consistency(&block, &parent, &[]),
        Err(ExecuteError::Body { .. })
    ));
}

/// What is in a bundle gives the same fault again, and with any part changed none at all.
fn replays_to(file: &Path, fault: &Fault) {
    let evidence = ConsistencyEvidence::read(file).unwrap();
    let replayed = evidence.replay().unwrap();
    let json = |fault: &Fault| serde_json::to_string(fault).unwrap();
    assert_eq!(json(&replayed), json(fault));
    let bytes = evidence.to_json().unwrap();
    let again = ConsistencyEvidence::parse(&bytes).unwrap();
    assert_eq!(again, evidence);
    assert_eq!(again.to_json().unwrap(), bytes);

    let change = |field: &str, value: Value| {
        let mut object: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(object.get(field).is_some(), "{field}");
        object[field] = value;
        let bytes = serde_json::to_vec(&object).unwrap();
        ConsistencyEvidence::parse(&bytes).and_then(|evidence| evidence.replay())
    };
    use ConsistencyEvidenceError as Error;
    let other = Fault::Number(Mismatch {
        claimed: 1,
        computed: 2,
    });
    let other = serde_json::to_value(other).unwrap();
    assert!(matches!(change("fault", other), Err(Error::Differs { .. })));
    assert!(matches!(
        change("version", 2.into()),
        Err(Error::Version(2))
    ));
    assert!(matches!(
        change("ownReceipts", Value::Array(vec![])),
        Err(Error::Parts(ExecuteError::Body { .. }))
    ));
    // Counted while they are read.
    let receipts = vec![Value::from("0x"); 100_001];
    let error = change("ownReceipts", Value::Array(receipts)).unwrap_err();
    assert!(
        matches!(&error, Error::Json(error) if error.to_string().contains("more than 100000 items")),
        "{error:?}"
    );
    let header = Bytes::from(alloy_rlp::encode(Header::default()));
    assert!(matches!(
        change("parentHeader", serde_json::to_value(header).unwrap()),
        Err(Error::Parts(ExecuteError::MissingParent { .. }))
    ));
    for field in ["parentHeader", "block"] {
        assert!(matches!(
            change(field, "0xc0".into()),
            Err(Error::Field(name)) if name == field
        ));
    }
    let mut many = evidence.block().clone();
    many.transactions = vec![Bytes::new(); 100_001];
    let many = Bytes::from(many.encode_rlp()).to_string();
    assert!(matches!(
        change("block", many.into()),
        Err(Error::Field("block"))
    ));
}

/// Deposits of a rollup carry no signature, its other transactions do.
#[tokio::test]
async fn a_rollups_blocks_are_consistent_and_lies_about_logs_and_gas_are_not() {
    for (lie, fault) in [
        (None, None),
        (Some(Lie::GasUsed), Some("gasUsed")),
        // Only execution finds a wrong state.
        (Some(Lie::StateRoot), None),
    ] {
        let devnet = Devnet::new().unwrap();
        devnet.sequencer().produce().unwrap();
        if let Some(lie) = lie {
            devnet.sequencer().lie_next(lie);
        }
        let number = devnet.sequencer().produce().unwrap();
        let node = RpcSource::new(devnet.l2().client(), 901);
        let block = L2Source::block(&node, number).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let evidence = EvidenceFolder::new(folder.path());
        let verdict = CrossCheckValidator::new(node.clone())
            .with_senders(node)
            .with_evidence(evidence)
            .validate(&block)
            .await
            .unwrap();
        assert_eq!(verdict.fault().map(Fault::name), fault, "{lie:?}");
        let bundles = recorded_files(folder.path()).unwrap();
        if let Verdict::Invalid(fault) = &verdict {
            let [file] = &bundles[..] else {
                panic!("{bundles:?}");
            };
            replays_to(file, fault);
        } else {
            assert_eq!(bundles.len(), 0);
        }
        if let Verdict::Valid(summary) = verdict {
            assert_eq!(summary.assurance, Assurance::CrossChecked);
            assert!(!summary.assurance.is_proven());
            assert_eq!(summary.block, block.reference());
        }
    }
}

#[test]
fn a_transaction_that_nobody_signed_is_found_by_its_bytes() {
    let legacy = |chain_id, signature| {
        let transaction = TxLegacy {
            chain_id,
            ..Default::default()
        };
        TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
    };
    let nobody = Signature::from_scalars_and_parity(B256::ZERO, B256::with_last_byte(1), false);
    assert_eq!(
        recovered_sender(1, &legacy(Some(1), nobody)),
        Err("the signature is nobody's")
    );
    // Without a signature, as rollups once had them from L1.
    let unsigned = Signature::from_scalars_and_parity(B256::ZERO, B256::ZERO, false);
    for chain in [None, Some(1), Some(2)] {
        assert_eq!(recovered_sender(1, &legacy(chain, unsigned)), Ok(None));
    }
    let good = Signature::test_signature();
    assert!(matches!(
        recovered_sender(1, &legacy(Some(1), good)),
        Ok(Some(_))
    ));
    assert_eq!(
        recovered_sender(2, &legacy(Some(1), good)),
        Err("signed for another chain")
    );
    assert!(recovered_sender(2, &legacy(None, good)).is_ok());
    // Forms that are not Ethereum's: too few fields, and one more than a legacy transaction has.
    let mut longer = vec![0xca];
    longer.resize(11, 0x80);
    for form in [&bytes!("02c0")[..], &[], &longer] {
        assert_eq!(recovered_sender(1, form), Ok(None));
    }
    // Arbitrum's own types, ZKsync's, a deposit, Celo's, Polygon's: no signature that anybody here
    // knows.
    for kind in [0x64, 0x69, 0x6a, 0x71, 0x78, 0x7e, 0xfe, 0xff] {
        assert_eq!(recovered_sender(1, &[kind, 0xc0]), Ok(None));
    }
    // The example of EIP-155: key 0x46…46, chain 1.
    let signed = bytes!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );
    let sender: Address = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
        .parse()
        .unwrap();
    assert_eq!(recovered_sender(1, &signed), Ok(Some(sender)));
}

/// What a source has at a height: a hash, nothing yet, or no answer.
struct Fixed(Option<B256>);

#[async_trait]
impl BlockHashes for Fixed {
    async fn block_hash(&self, number: BlockNumber) -> Result<B256, SourceError> {
        self.0.ok_or(SourceError::NotYet(number))
    }
}

#[tokio::test]
async fn sources_that_differ_accuse_nobody() {
    let (devnet, block) = chain();
    let same = || Fixed(Some(block.hash()));
    let other = || Fixed(Some(B256::repeat_byte(1)));
    let behind = || Fixed(None);
    let validate = async |sources: Vec<Fixed>| {
        let named = |(index, source)| {
            let source: Box<dyn BlockHashes> = Box::new(source);
            (format!("node {index}"), source)
        };
        let sources = sources.into_iter().enumerate().map(named).collect();
        let validator = CrossCheckValidator::new(devnet.l1().clone()).with_sources(sources, 2);
        validator.validate(&block).await
    };
    for sources in [
        vec![same(), same(), same()],
        vec![same(), other(), same()],
        vec![behind(), same(), same()],
    ] {
        assert!(matches!(validate(sources).await, Ok(Verdict::Valid(_))));
    }
    for (sources, agreeing, disagreeing) in [
        (vec![same(), other(), other()], 1, 2),
        (vec![same(), behind(), behind()], 1, 0),
        (vec![], 0, 0),
    ] {
        let Err(ValidateError::Incomplete { source, .. }) = validate(sources).await else {
            panic!("{agreeing} agree");
        };
        let error = source.downcast_ref::<CrossCheckError>().unwrap();
        assert!(
            matches!(error, CrossCheckError::Disagreement { agreeing: found, others, .. }
                if *found == agreeing && others.len() == disagreeing),
            "{error}"
        );
    }
    // A node that is asked for hashes only.
    let node = RpcHashes::new(RpcSource::new(devnet.l1().client(), 31_337));
    assert_eq!(node.block_hash(block.number()).await.unwrap(), block.hash());
}

/// Senders as somebody claims them.
struct Claimed(Vec<Address>);

#[async_trait]
impl SenderSource for Claimed {
    async fn senders(&self, _block: BlockRef) -> Result<Vec<Address>, SourceError> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn a_source_that_claims_another_sender_is_found_out() {
    let (devnet, block) = chain();
    let sender = mach_devnet::PROPOSER.address;
    for (claims, is_right) in [
        (vec![sender], true),
        (vec![DEV_ACCOUNTS[0].address], false),
        (vec![], false),
        (vec![sender, sender], false),
    ] {
        let validator = CrossCheckValidator::new(devnet.l1().clone()).with_senders(Claimed(claims));
        let verdict = validator.validate(&block).await;
        assert_eq!(verdict.is_ok(), is_right, "{verdict:?}");
    }
}

/// The oracle's event stands for any that says a height and a hash.
pub(crate) const OUTPUT_PROPOSED: CommitmentEvent = CommitmentEvent {
    contract: L2_OUTPUT_ORACLE,
    event: b256!("a7aaf2512769da4e444e3de247be2564225c2e7a8f74cfe528e46e17d24868e2"),
    hash: Word::Topic(1),
    number: Some(Word::Topic(3)),
};

#[tokio::test]
async fn what_l1_commits_to_is_compared() {
    let (devnet, block) = chain();
    let on_l1 = || {
        L1CommitmentEvents::new(devnet.l1().clone(), OUTPUT_PROPOSED, 0)
            .with_settlement(Settlement::Depth(0))
    };
    let number = devnet.l2().head();
    let committed = devnet.l2().claimed_output_root(number).unwrap().unwrap();
    let of = |number, hash| BlockRef { number, hash };
    let l1 = on_l1();
    let said = async |block| l1.committed(block).await.unwrap();
    assert_eq!(said(of(number, committed)).await, Commitment::Same);
    assert_eq!(
        said(of(number, B256::ZERO)).await,
        Commitment::Other(committed)
    );
    assert_eq!(said(of(number + 1, B256::ZERO)).await, Commitment::Silent);

    let validator = CrossCheckValidator::new(devnet.l1().clone()).with_commitment(on_l1());
    // It says nothing of the blocks of L1 itself, unless they have that height.
    assert!(validator.agree(of(number + 1, block.hash())).await.is_ok());
    let error = validator.agree(of(number, block.hash())).await.unwrap_err();
    let ValidateError::Incomplete { source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(
        source.downcast_ref::<CrossCheckError>(),
        Some(&CrossCheckError::Commitment {
            block: of(number, block.hash()),
            committed
        })
    );
}
