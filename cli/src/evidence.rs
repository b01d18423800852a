//! Bundles: replayed where they are given, left where a block is invalid.

use std::path::{Path, PathBuf};

use mach_core::{Fault, Verdict};
use mach_verify::{
    ChainSpec, Evidence, EvidenceError, EvidenceFolder, check_body, source::RecordedBlock,
    verify_block,
};

use crate::{report::Row, spec::Specs};

/// Where bundles of a run go.
pub(crate) struct Bundles(EvidenceFolder);

impl Bundles {
    pub(crate) fn new(folder: &Path) -> Self {
        Self(EvidenceFolder::new(folder))
    }

    /// Judges what a file holds: a block, or what somebody has against one.
    pub(crate) fn judge_file(&self, specs: &Specs, path: &Path, row: &mut Row) {
        match Evidence::read(path) {
            Ok(evidence) => replay(specs, &evidence, row),
            Err(EvidenceError::NoEvidence(recorded)) => self.judge(specs, Ok(*recorded), row),
            Err(error) => row.result = Err(error.into()),
        }
    }

    /// Judges a block by its witness.
    pub(crate) fn judge(
        &self,
        specs: &Specs,
        recorded: eyre::Result<RecordedBlock>,
        row: &mut Row,
    ) {
        row.result = recorded.and_then(|recorded| {
            row.set_block(&recorded.block);
            let spec = specs.of(recorded.block.chain_id)?;
            check_body(spec, &recorded.block)?;
            let verdict = verify_block(spec, &recorded.block, &recorded.witness)?;
            if let Verdict::Invalid(fault) = &verdict {
                self.keep(spec, recorded, fault, row);
            }
            Ok(verdict)
        });
    }

    /// Leaves a bundle. That there is none changes no verdict, and is said.
    pub(crate) fn keep(
        &self,
        spec: &ChainSpec,
        recorded: RecordedBlock,
        fault: &Fault,
        row: &mut Row,
    ) {
        let keep = || -> eyre::Result<PathBuf> {
            let evidence = Evidence::new(spec.clone(), recorded, fault.clone())?;
            Ok(self.0.keep(&evidence)?)
        };
        match keep() {
            Ok(file) => row.evidence = Some(file),
            Err(error) => row.note = Some(format!("no evidence: {error:#}")),
        }
    }
}

/// Judges by the rules that are known here, or else by those of the bundle, and says so.
fn replay(specs: &Specs, evidence: &Evidence, row: &mut Row) {
    row.set_block(evidence.block());
    let spec = specs.of(evidence.block().chain_id);
    let carried = evidence.spec();
    // What a bundle cannot prove is the reader's to look at.
    row.note = match (&spec, evidence.fault()) {
        (Err(_), _) => Some(format!(
            "by rules that the bundle brings, which hash to {}",
            carried.hash()
        )),
        (_, Fault::OutputRoot(_)) => Some("if this proposal was made".to_owned()),
        (_, Fault::ParentHash(_)) => Some("if the bundle's parent is the chain's".to_owned()),
        _ => None,
    };
    row.result = (evidence.replay_by(spec.unwrap_or(carried))).map_err(eyre::Report::new);
}
