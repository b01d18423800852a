//! Real blocks, recorded with their witnesses.

use alloy_primitives::b256;
use mach_core::{
    Assurance, Verdict,
    ports::{BlockValidator, L2Head, L2Source, SourceError},
};
use mach_verify::{
    ChainSpec,
    source::{RecordedBlock, RecordedBlocks, StatelessValidator, recorded_files},
    verify_block, verify_output_proposal,
};

use crate::data;

#[test]
fn every_recorded_block_is_valid() {
    let Some(folder) = data("blocks") else { return };
    let files = recorded_files(folder).unwrap();
    assert_eq!(files.len(), 27);
    for file in files {
        let RecordedBlock { block, witness, .. } = RecordedBlock::read(&file).unwrap();
        let spec = ChainSpec::known(block.chain_id).unwrap();
        let verdict = verify_block(&spec, &block, &witness).unwrap();
        let Verdict::Valid(summary) = verdict else {
            panic!("{}: {verdict:?}", file.display());
        };
        assert_eq!(summary.block, block.reference());
        assert_eq!(summary.gas_used, block.header.gas_used);
        assert_eq!(summary.state_root, block.header.state_root);
        assert_eq!(summary.transactions, block.transactions.len() as u64);
        // Only the two blocks of Holesky come without their parent's header.
        let expected = if block.chain_id == 17_000 {
            Assurance::ExecutedOnClaim
        } else {
            Assurance::Executed
        };
        assert_eq!(summary.assurance, expected, "{}", file.display());
    }
}

/// From Isthmus the header itself holds the message passer's root, so the output root can be
/// computed from the header alone.
#[test]
fn the_output_root_follows_from_the_header() {
    let Some(folder) = data("blocks") else { return };
    let file = folder.join("op-11142220-2346038.json.gz");
    let RecordedBlock { block, witness, .. } = RecordedBlock::read(file).unwrap();
    let spec = ChainSpec::celo_sepolia();
    let verdict = verify_block(&spec, &block, &witness).unwrap();
    let summary = verdict.summary().unwrap();
    let header = block.header.inner();
    let expected = mach_verify::output_root(
        header.state_root,
        header.withdrawals_root.unwrap(),
        block.hash(),
    );
    assert_eq!(summary.output_root, Some(expected));
    assert_eq!(verify_output_proposal(summary, expected), None);
    let wrong = b256!("00000000000000000000000000000000000000000000000000000000000000aa");
    let fault = verify_output_proposal(summary, wrong).unwrap();
    assert_eq!(fault.name(), "outputRoot");
}

#[test]
fn a_written_record_reads_back() {
    let Some(folder) = data("blocks") else { return };
    let directory = tempfile::tempdir().unwrap();
    for name in ["eth-17000-2971844.json.gz", "op-11142220-2346038.json.gz"] {
        let record = RecordedBlock::read(folder.join(name)).unwrap();
        for file in [record.file_name(), "plain.json".to_owned()] {
            let path = directory.path().join(file);
            record.write(&path).unwrap();
            assert_eq!(RecordedBlock::read(&path).unwrap(), record);
        }
    }
}

#[tokio::test]
async fn a_directory_serves_one_chain() {
    let Some(folder) = data("blocks") else { return };
    let source = RecordedBlocks::open(folder, 10).unwrap();
    assert_eq!(source.numbers().count(), 12);
    let head = source.head(L2Head::Unsafe).await.unwrap();
    assert_eq!(head.number, 132_799_000);
    assert!(matches!(
        source.block(132_799_001).await,
        Err(SourceError::NotYet(132_799_001))
    ));
    assert!(matches!(
        source.block(5).await,
        Err(SourceError::NotHeld(5))
    ));
    let block = source.block(109_279_682).await.unwrap();
    let validator = StatelessValidator::new(ChainSpec::op_mainnet(), source);
    let verdict = validator.validate(&block).await.unwrap();
    assert_eq!(verdict.fault(), None);
}
