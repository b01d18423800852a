//! Evidence: written by whoever found a fault, replayed by everybody else.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy_consensus::Header;
use alloy_primitives::{B256, Sealed, keccak256};
use async_trait::async_trait;
use mach_core::{
    Fault, L2Block, Mismatch, Verdict,
    ports::{BlockValidator, L2Source, SourceError, ValidateError},
};
use mach_devnet::{Devnet, DevnetConfig, Lie};
use mach_verify::{
    Bundle, ChainSpec, Evidence, EvidenceError, EvidenceFolder, EvidenceValidator, ExecuteError,
    ReplayError, Witness, WitnessMemory,
    op::{L1Evidence, OpL1Validator},
    source::{
        ChainFile, OpNode, ProposalValidator, RecordedBlock, RpcSource, StatelessValidator,
        WitnessSource, recorded_files,
    },
    verify_block, verify_child, verify_output_proposal,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{data, devnet::recorded};

const LIES: [Lie; 6] = [
    Lie::StateRoot,
    Lie::ReceiptsRoot,
    Lie::GasUsed,
    Lie::DroppedTransaction,
    Lie::AlteredTransaction,
    Lie::MintedBalance,
];

fn fault_of(spec: &ChainSpec, recorded: &RecordedBlock) -> Fault {
    let verdict = verify_block(spec, &recorded.block, &recorded.witness).unwrap();
    verdict.fault().unwrap().clone()
}

/// A lie of the devnet as evidence.
fn evidence(lie: Lie) -> Evidence {
    let (spec, recorded) = recorded(&format!("lie-{lie}"));
    let fault = fault_of(&spec, &recorded);
    Evidence::new(spec, recorded, fault).unwrap()
}

#[test]
fn every_lie_is_found_again_from_its_file_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = EvidenceFolder::new(folder.path().join("evidence"));
    for lie in LIES {
        let made = evidence(lie);
        let file = bundles.keep(&made).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let hash = made.block().hash().to_string();
        let what = keccak256(serde_json::to_vec(made.fault()).unwrap()).to_string();
        let (hash, what) = (&hash[2..10], &what[2..10]);
        assert_eq!(name, format!("901-8-{hash}-{}-{what}.json.gz", lie.fault()));

        let read = Evidence::read(&file).unwrap();
        assert_eq!(read.to_json().unwrap(), made.to_json().unwrap());
        let verdict = read.replay().unwrap();
        assert_eq!(
            serde_json::to_string(verdict.fault().unwrap()).unwrap(),
            serde_json::to_string(made.fault()).unwrap()
        );
        assert_eq!(verdict.fault().unwrap().name(), lie.fault());

        // A program that knows recorded blocks and no evidence says the same of it.
        let block = RecordedBlock::read(&file).unwrap();
        let (spec, _) = recorded(&format!("lie-{lie}"));
        assert_eq!(fault_of(&spec, &block), *made.fault());
        // Keeping it again changes nothing.
        assert_eq!(bundles.keep(&made).unwrap(), file);
    }
    // Nothing but whole files.
    let files = std::fs::read_dir(bundles.path()).unwrap().count();
    assert_eq!(recorded_files(bundles.path()).unwrap().len(), files);
}

#[test]
fn what_is_damaged_or_foreign_is_named() {
    type Change = fn(&mut Value);
    let good: Value = serde_json::from_slice(&evidence(Lie::GasUsed).to_json().unwrap()).unwrap();
    let parse = |change: Change| {
        let mut json = good.clone();
        change(&mut json);
        Evidence::parse(json.to_string().as_bytes())
    };
    assert!(parse(|_| {}).is_ok());
    let cases: [(Change, &str); 12] = [
        (
            |json| drop(json.as_object_mut().unwrap().remove("evidence")),
            "a recorded block without evidence against it",
        ),
        (
            |json| json["evidence"]["version"] = json!(2),
            "evidence of format 2 is not known, only of format 1",
        ),
        (
            |json| json["evidence"] = json!({"version": 7, "unheard": "of"}),
            "evidence of format 7 is not known, only of format 1",
        ),
        (
            |json| json["evidence"] = json!([]),
            "field evidence. is malformed",
        ),
        (
            |json| json["evidence"]["fault"] = Value::Null,
            "field evidence.fault is missing",
        ),
        (
            |json| json["evidence"]["fault"]["rule"] = json!("taste"),
            "field evidence.fault is malformed",
        ),
        (
            |json| json["evidence"]["software"] = json!("\u{1b}[2J"),
            "field evidence.software is malformed",
        ),
        (
            |json| json["evidence"]["rules"]["stack"] = json!("solana"),
            "field evidence.rules is malformed",
        ),
        (
            |json| json["evidence"]["other_parent"] = json!("0xc0"),
            "field evidence.other_parent is malformed",
        ),
        (
            |json| json["chain_id"] = json!(902),
            "the block belongs to chain 902, the rules to chain 901",
        ),
        (
            |json| json["gas_used"] = json!(1),
            "block 8: field gas_used is 1, the block says",
        ),
        (
            |json| json["witness"]["state"] = json!("all"),
            "block 8: field witness.state is malformed",
        ),
    ];
    for (change, message) in cases {
        let error = parse(change).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    }
    let forged = parse(|json| json["evidence"]["rules"]["horizon"] = json!(7));
    assert!(matches!(forged, Err(EvidenceError::RulesHash { .. })));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.json.gz");
    evidence(Lie::GasUsed).write(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(
        Evidence::read(&path),
        Err(EvidenceError::Record(_))
    ));
}

#[test]
fn an_honest_block_cannot_be_accused() {
    let (spec, honest) = recorded("jovian");
    let fault = Fault::GasUsed(Mismatch {
        claimed: honest.block.header.gas_used,
        computed: 7,
    });
    let refused = Evidence::new(spec, honest, fault).unwrap_err();
    assert!(matches!(&refused, ReplayError::Differs { replayed, .. }
        if matches!(**replayed, Verdict::Valid(_))));
    assert!(refused.to_string().ends_with("this program nothing"));

    // A file that says so is read, and accuses nobody: another fault, another body, less witness.
    let good: Value = serde_json::from_slice(&evidence(Lie::StateRoot).to_json().unwrap()).unwrap();
    let replay = |change: fn(&mut Value)| {
        let mut json = good.clone();
        change(&mut json);
        let read = Evidence::parse(json.to_string().as_bytes()).unwrap();
        read.replay().unwrap_err()
    };
    let other = replay(|json| {
        json["evidence"]["fault"] = json!({"rule": "gasUsed", "claimed": 1, "computed": 2});
    });
    assert!(matches!(other, ReplayError::Differs { .. }));
    let values = replay(|json| json["evidence"]["fault"]["computed"] = json!(B256::ZERO));
    assert!(matches!(values, ReplayError::Differs { .. }));
    let poor = replay(|json| json["witness"]["state"] = json!([]));
    assert!(matches!(
        poor,
        ReplayError::Undecided(ExecuteError::MissingNode { block: 8, .. })
    ));

    let (spec, RecordedBlock { mut block, .. }) = recorded("lie-state-root");
    block.transactions.pop();
    let foreign = RecordedBlock {
        block,
        ..evidence(Lie::StateRoot).recorded().clone()
    };
    let fault = fault_of(&spec, &foreign);
    assert_eq!(fault.name(), "transactionsRoot");
    assert!(matches!(
        Evidence::new(spec, foreign, fault),
        Err(ReplayError::Undecided(ExecuteError::Body { .. }))
    ));
}

/// Made by another version, words may differ and rule and values may not.
#[test]
fn another_version_may_explain_it_otherwise() {
    let good: Value =
        serde_json::from_slice(&evidence(Lie::AlteredTransaction).to_json().unwrap()).unwrap();
    let replay = |software: &str, index: u64| {
        let mut json = good.clone();
        json["evidence"]["software"] = json!(software);
        json["evidence"]["fault"]["reason"] = json!("in other words");
        json["evidence"]["fault"]["index"] = json!(index);
        let read = Evidence::parse(json.to_string().as_bytes()).unwrap();
        read.replay()
    };
    let index = good["evidence"]["fault"]["index"].as_u64().unwrap();
    let own = good["evidence"]["software"].as_str().unwrap();
    assert!(replay("mach-verify 9.9.9", index).is_ok());
    assert!(replay("mach-verify 9.9.9", index + 1).is_err());
    assert!(replay(own, index).is_err());
}

/// By forged rules every block is wrong; a built-in chain is judged by its own.
#[test]
fn the_rules_of_a_built_in_chain_are_not_the_bundles_to_say() {
    let Some(folder) = data("blocks") else { return };
    let recorded = RecordedBlock::read(folder.join("op-10-132797000.json.gz")).unwrap();
    let forged = ChainSpec::op_mainnet().with_base_fee_floor(1 << 40);
    let fault = fault_of(&forged, &recorded);
    assert_eq!(fault.name(), "baseFeePerGas");
    let evidence = Evidence::new(forged.clone(), recorded, fault).unwrap();
    let evidence = Evidence::parse(&evidence.to_json().unwrap()).unwrap();
    assert_eq!(evidence.spec().hash(), forged.hash());
    assert!(matches!(
        evidence.replay(),
        Err(ReplayError::Differs { .. })
    ));
    assert!(evidence.replay_by(&forged).is_ok());
}

#[test]
fn a_wrong_parent_is_shown_beside_the_right_one() {
    let (spec, recorded) = recorded("jovian");
    let RecordedBlock { block, witness, .. } = &recorded;
    let parent = witness.header(block.header.parent_hash).unwrap();
    let mut other = parent.inner().clone();
    other.gas_used += 1;
    let other = Sealed::new(other);
    let verdict = verify_child(&spec, &other, block, witness).unwrap();
    let fault = verdict.fault().unwrap().clone();
    assert_eq!(fault.name(), "parentHash");
    let made =
        Evidence::on_parent(spec.clone(), Some(other), recorded.clone(), fault.clone()).unwrap();
    let read = Evidence::parse(&made.to_json().unwrap()).unwrap();
    assert_eq!(read.replay().unwrap(), verdict);
    // The parent that the block names is no reproach.
    let error = Evidence::on_parent(spec, Some(parent), recorded, fault).unwrap_err();
    assert!(matches!(error, ReplayError::Differs { .. }));
}

/// What a node serves once and then no more.
struct Once {
    node: RpcSource,
    asked: std::sync::atomic::AtomicU32,
}

#[async_trait]
impl WitnessSource for Once {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let earlier = self
            .asked
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if earlier > 0 {
            return Err(SourceError::NotHeld(block.number()));
        }
        self.node.witness(block).await
    }
}

/// The sequencer lies in a block and beside one; either leaves a bundle that is replayed without
/// the devnet, though its node gave the witness only once.
#[tokio::test]
async fn a_validator_leaves_a_bundle_of_every_lie() {
    for lie in LIES.into_iter().chain([Lie::OutputRoot]) {
        let devnet = Devnet::new().unwrap();
        let honest = devnet.sequencer().produce().unwrap();
        devnet.sequencer().lie_next(lie);
        let lying = devnet.sequencer().produce().unwrap();

        let folder = tempfile::tempdir().unwrap();
        let spec = DevnetConfig::default().l2_spec();
        let node = RpcSource::new(devnet.l2().client(), 901);
        let validate = async |number| {
            let witnesses = Arc::new(WitnessMemory::new(Once {
                node: node.clone(),
                asked: 0.into(),
            }));
            let blocks = StatelessValidator::new(spec.clone(), witnesses.clone());
            let proposals = ProposalValidator::new(blocks, OpNode::new(devnet.l2().client()));
            let bundles = EvidenceFolder::new(folder.path());
            let validator = EvidenceValidator::new(spec.clone(), proposals, witnesses, bundles);
            let block = node.block(number).await.unwrap();
            let verdict = validator.validate(&block).await.unwrap();
            validator.pending().finished().await;
            verdict
        };
        assert!(matches!(validate(honest).await, Verdict::Valid(_)));
        assert!(recorded_files(folder.path()).unwrap().is_empty());

        let verdict = validate(lying).await;
        assert_eq!(verdict.fault().map(Fault::name), Some(lie.fault()));
        drop(devnet);
        let evidence = Evidence::read(bundle(folder.path())).unwrap();
        assert_eq!(evidence.replay().unwrap(), verdict);
    }
}

/// What executes well and is not what L1 says leaves a bundle too.
#[tokio::test]
async fn a_validator_leaves_a_bundle_of_what_l1_contradicts() {
    let devnet = Devnet::new().unwrap();
    devnet.sequencer().lie_next(Lie::SystemConfig);
    let number = devnet.sequencer().produce().unwrap();
    let (l1, l2) = (devnet.l1().clone(), devnet.l2().clone());
    let block = l2.block(number).await.unwrap();
    let (spec, rollup) = (devnet.l2().role().spec().clone(), devnet.rollup().clone());
    let folder = tempfile::tempdir().unwrap();
    let witnesses = Arc::new(WitnessMemory::new(RpcSource::new(l2.client(), 901)));
    let blocks = StatelessValidator::new(spec.clone(), witnesses.clone());
    let against_l1 = Arc::new(OpL1Validator::new(blocks, rollup.clone(), l1, l2));
    let bundles = EvidenceFolder::new(folder.path());
    let validator = EvidenceValidator::new(spec, against_l1.clone(), witnesses, bundles.clone())
        .with_l1(against_l1);
    let verdict = validator.validate(&block).await.unwrap();
    let fault = verdict.fault().unwrap();
    assert_eq!(fault.name(), Lie::SystemConfig.fault());

    validator.pending().finished().await;
    let file = bundle(folder.path());
    let evidence = L1Evidence::read(&file).unwrap();
    assert_eq!(evidence.replay_by(&rollup).unwrap(), *fault);
    assert_eq!(bundles.keep(&evidence).unwrap(), file);
}

/// The only file in a folder.
fn bundle(folder: &Path) -> PathBuf {
    let mut files = recorded_files(folder).unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Several games for one block, each with another root: none takes the place of another.
#[test]
fn every_wrong_output_root_of_a_block_has_its_file() {
    let (spec, recorded) = recorded("jovian");
    let Verdict::Valid(summary) = verify_block(&spec, &recorded.block, &recorded.witness).unwrap()
    else {
        panic!("the block is honest");
    };
    let folder = tempfile::tempdir().unwrap();
    let bundles = EvidenceFolder::new(folder.path());
    let roots = [1, 2, 3].map(B256::repeat_byte);
    for claimed in roots {
        let fault = verify_output_proposal(&summary, claimed).unwrap();
        let evidence = Evidence::new(spec.clone(), recorded.clone(), fault).unwrap();
        bundles.keep(&evidence).unwrap();
    }
    let claimed = |file: PathBuf| match Evidence::read(file).unwrap().fault() {
        Fault::OutputRoot(values) => values.claimed,
        other => panic!("{other}"),
    };
    let files = recorded_files(folder.path()).unwrap();
    let mut found: Vec<_> = files.into_iter().map(claimed).collect();
    found.sort();
    assert_eq!(found, roots);
}

/// Calls everything invalid.
struct Accuses;

#[async_trait]
impl BlockValidator for Accuses {
    async fn validate(&self, _block: &L2Block) -> Result<Verdict, ValidateError> {
        Ok(Verdict::Invalid(Fault::StateRoot(Mismatch {
            claimed: B256::ZERO,
            computed: B256::repeat_byte(1),
        })))
    }
}

/// Gives no witness before it is told to.
struct Slow(Arc<tokio::sync::Semaphore>);

#[async_trait]
impl WitnessSource for Slow {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let _ = self.0.acquire().await;
        Err(SourceError::NotHeld(block.number()))
    }
}

/// So much is in memory at once: a verdict waits for its own bundle then, and none is left out.
#[tokio::test(start_paused = true)]
async fn bundles_that_are_made_beside_are_bounded() {
    let (spec, recorded) = recorded("jovian");
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let folder = tempfile::tempdir().unwrap();
    let validator = EvidenceValidator::new(
        spec,
        Accuses,
        Arc::new(WitnessMemory::new(Slow(gate.clone()))),
        EvidenceFolder::new(folder.path()),
    );
    for _ in 0..8 {
        let verdict = validator.validate(&recorded.block).await.unwrap();
        assert!(verdict.fault().is_some());
    }
    let mut ninth = Box::pin(validator.validate(&recorded.block));
    let second = Duration::from_secs(1);
    assert!(tokio::time::timeout(second, &mut ninth).await.is_err());
    gate.add_permits(1);
    assert!(ninth.await.unwrap().fault().is_some());
    // There is room again.
    tokio::time::sleep(second).await;
    assert!(validator.validate(&recorded.block).await.is_ok());
}

/// Validators that work side by side need as much room as they are many.
#[tokio::test]
async fn a_memory_keeps_as_many_witnesses_as_it_was_told() {
    let (_, recorded) = recorded("jovian");
    let block = |number| {
        let mut header = recorded.block.header.inner().clone();
        header.number = number;
        L2Block::new(901, header, vec![])
    };
    for (room, kept) in [(None, 4), (NonZeroUsize::new(6), 6)] {
        let memory = WitnessMemory::new(Fixed(recorded.witness.clone()));
        let memory = match room {
            Some(room) => memory.with_capacity(room),
            None => memory,
        };
        for number in 0..10 {
            memory.witness(&block(number)).await.unwrap();
        }
        for number in 0..10 {
            let found = memory.remembered(block(number).hash());
            assert_eq!(found.is_some(), number >= 10 - kept, "{number} of {kept}");
        }
    }
}

/// Gives one witness for every block.
struct Fixed(Witness);

#[async_trait]
impl WitnessSource for Fixed {
    async fn witness(&self, _block: &L2Block) -> Result<Witness, SourceError> {
        Ok(self.0.clone())
    }
}

#[test]
fn a_full_folder_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = EvidenceFolder::new(folder.path()).with_limit(1);
    let first = evidence(Lie::GasUsed);
    bundles.keep(&first).unwrap();
    assert!(matches!(
        bundles.keep(&evidence(Lie::StateRoot)),
        Err(EvidenceError::Full { count: 1, .. })
    ));
    assert!(bundles.keep(&first).is_ok());
}

/// A chain file has no witnesses: the chain gives them, and they are whole.
#[test]
fn a_chain_gives_the_witness_of_a_block() {
    let Some(folder) = data("execution-apis") else {
        return;
    };
    let chain = ChainFile::open_directory(&folder).unwrap();
    let mut verifier = chain.verifier().unwrap();
    let changes: [fn(&mut Header); 3] = [
        |header| header.state_root.0[0] ^= 1,
        |header| header.gas_used ^= 1,
        |header| header.gas_limit *= 2,
    ];
    for block in chain.blocks() {
        let witness = verifier.witness(block).unwrap();
        let verdict = verify_block(chain.spec(), block, &witness).unwrap();
        assert_eq!(verdict, verifier.clone().verify(block).unwrap());
        for change in changes {
            let mut header = block.header.inner().clone();
            change(&mut header);
            let mut lie = block.clone();
            lie.header = Sealed::new(header);
            let fault = verifier.verify(&lie).unwrap().fault().unwrap().clone();
            let recorded = RecordedBlock {
                witness: verifier.witness(&lie).unwrap(),
                block: lie,
                source: None,
            };
            Evidence::new(chain.spec().clone(), recorded, fault).unwrap();
        }
        assert!(matches!(verifier.verify(block), Ok(Verdict::Valid(_))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Wherever a bundle is damaged: it says the same, or nothing.
    #[test]
    fn a_damaged_bundle_accuses_of_nothing_else(at: prop::sample::Index, bit in 0u8..8) {
        let good = evidence(Lie::ReceiptsRoot);
        let mut json = good.to_json().unwrap();
        let at = at.index(json.len());
        json[at] ^= 1 << bit;
        if let Ok(Ok(verdict)) = Evidence::parse(&json).map(|it| it.replay()) {
            prop_assert_eq!(verdict.fault(), Some(good.fault()));
        }
    }
}
