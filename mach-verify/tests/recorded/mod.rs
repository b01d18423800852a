//! Real blocks, recorded with their witnesses.

use std::path::PathBuf;

use mach_core::{Assurance, Verdict};
use mach_verify::{
    ChainSpec,
    source::{RecordedBlock, recorded_files},
    verify_block,
};

/// Folder of the data set with real blocks; tests that need it are skipped without it.
pub(crate) fn data(folder: &str) -> Option<PathBuf> {
    let found = std::env::var_os("MACH_DATA").map(|root| PathBuf::from(root).join(folder));
    if found.is_none() {
        eprintln!("skipped: MACH_DATA is not set");
    }
    found
}

#[test]
fn every_recorded_block_is_valid() {
    let Some(folder) = data("blocks") else { return };
    let files = recorded_files(folder).unwrap();
    assert_eq!(files.len(), 27);
    for file in files {
        let record = RecordedBlock::read(&file).unwrap();
        let spec = ChainSpec::known(record.block.chain_id).unwrap();
        let start = std::time::Instant::now();
        let verdict = verify_block(&spec, &record.block, &record.witness);
        eprintln!("{} {:?} {verdict:?}", file.display(), start.elapsed());
    }
}
