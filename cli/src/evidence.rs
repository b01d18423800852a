//! Bundles: replayed where they are given, left where a block is invalid.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use mach_core::{Fault, Verdict};
use mach_verify::{
    Bundle, ChainSpec, Evidence, EvidenceError, EvidenceFolder, MAX_BUNDLES, check_body,
    cross_check::{ConsistencyEvidence, ConsistencyEvidenceError},
    derive::{DerivationEvidence, DerivationEvidenceError},
    op::{L1Evidence, L1EvidenceError, Rollup, RollupConfig},
    source::RecordedBlock,
    verify_block,
};

use crate::{report::Row, spec::Specs};

/// Where evidence goes.
#[derive(Debug, Args)]
pub(crate) struct EvidenceArgs {
    /// Folder for evidence: of everything invalid a bundle that `verify` replays offline
    #[arg(
        long = "evidence",
        env = "MACH_EVIDENCE",
        value_name = "FOLDER",
        default_value = "evidence"
    )]
    pub(crate) folder: PathBuf,

    /// Most bundles in that folder; what is found invalid beyond is told, and leaves none
    #[arg(
        long = "evidence-limit",
        env = "MACH_EVIDENCE_LIMIT",
        value_name = "BUNDLES",
        default_value_t = MAX_BUNDLES
    )]
    pub(crate) limit: usize,
}

impl EvidenceArgs {
    /// The folder with its limit.
    pub(crate) fn open(&self) -> EvidenceFolder {
        EvidenceFolder::new(&self.folder).with_limit(self.limit)
    }
}

/// Where bundles of a run go.
pub(crate) struct Bundles(EvidenceFolder);

impl Bundles {
    pub(crate) fn new(args: &EvidenceArgs) -> Self {
        Self(args.open())
    }

    /// Judges what a file holds: a block, or what somebody has against one.
    pub(crate) fn judge_file(&self, specs: &Specs, path: &Path, row: &mut Row) {
        match Evidence::read(path) {
            Ok(evidence) => replay(specs, &evidence, row),
            Err(EvidenceError::NoEvidence(recorded)) => self.judge(specs, Ok(*recorded), row),
            // What is no block may be what L1 or derivation has against one, or it itself.
            Err(error) => match L1Evidence::read(path) {
                Ok(evidence) => replay_l1(specs, &evidence, row),
                Err(L1EvidenceError::Json(_)) => match DerivationEvidence::read(path) {
                    Ok(evidence) => replay_derivation(specs, &evidence, row),
                    Err(DerivationEvidenceError::Json(_)) => {
                        match ConsistencyEvidence::read(path) {
                            Ok(evidence) => replay_consistency(&evidence, row),
                            Err(ConsistencyEvidenceError::Json(_)) => {
                                row.result = Err(error.into())
                            }
                            Err(error) => row.result = Err(error.into()),
                        }
                    }
                    Err(error) => row.result = Err(error.into()),
                },
                Err(L1EvidenceError::File(_)) => row.result = Err(error.into()),
                Err(error) => row.result = Err(error.into()),
            },
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
        tell(keep(), row);
    }

    /// The same for a bundle that is there.
    pub(crate) fn keep_bundle(&self, evidence: &impl Bundle, row: &mut Row) {
        tell(self.0.keep(evidence).map_err(eyre::Report::new), row);
    }
}

fn tell(kept: eyre::Result<PathBuf>, row: &mut Row) {
    match kept {
        Ok(file) => row.evidence = Some(file),
        Err(error) => row.note(format!("no evidence: {error:#}")),
    }
}

/// Judges by the rules that are known here, or else by those of the bundle, and says so.
fn replay(specs: &Specs, evidence: &Evidence, row: &mut Row) {
    row.set_block(evidence.block());
    let spec = specs.of(evidence.block().chain_id);
    let carried = evidence.spec();
    // What a bundle cannot prove is the reader's to look at: anybody can write a wrong header.
    let chain = evidence.block().chain_id;
    row.note(format!(
        "if the block was published as one of chain {chain}"
    ));
    if spec.is_err() {
        let hash = carried.hash();
        row.note(format!(
            "by rules that the bundle brings, which hash to {hash}"
        ));
    }
    match evidence.fault() {
        Fault::OutputRoot(_) => row.note("if this proposal was made"),
        Fault::ParentHash(_) => row.note("if the bundle's parent is the chain's"),
        _ => {}
    }
    row.result = (evidence.replay_by(spec.unwrap_or(carried))).map_err(eyre::Report::new);
}

/// Judges by the `rollup.json` that is given here or is built in, or else by that of the bundle, and
/// says so.
fn replay_l1(specs: &Specs, evidence: &L1Evidence, row: &mut Row) {
    row.set_block(evidence.block());
    row.with_l1 = true;
    let (rollup, is_known) = rollup(specs, evidence.rollup());
    row.note(whose(
        "published",
        is_known,
        Some("its L1 blocks are".into()),
    ));
    row.result = (evidence.replay_by(&rollup))
        .map(Verdict::Invalid)
        .map_err(eyre::Report::new);
}

fn replay_consistency(evidence: &ConsistencyEvidence, row: &mut Row) {
    let block = evidence.block();
    row.set_block(block);
    let chain = block.chain_id;
    row.note(format!(
        "if the block was published as one of chain {chain}"
    ));
    row.result = (evidence.replay())
        .map(Verdict::Invalid)
        .map_err(eyre::Report::new);
}

fn replay_derivation(specs: &Specs, evidence: &DerivationEvidence, row: &mut Row) {
    row.set_block(evidence.block());
    row.with_l1 = true;
    let (rollup, is_known) = rollup(specs, evidence.rollup());
    let last = (evidence.decided_by()).map(|block| format!("block {block} is"));
    // What was never safe may have given way to another block.
    row.note(whose("served as safe", is_known, last));
    row.result = (evidence.replay_by(&rollup))
        .map(Verdict::Invalid)
        .map_err(eyre::Report::new);
}

/// What a verdict rests on that a bundle cannot prove. `l1` are blocks that have to be L1's.
fn whose(published: &str, is_known: bool, l1: Option<String>) -> String {
    let mut note = format!("if the block was {published} as one of the rollup");
    if !is_known {
        note.push_str(", the rollup.json of the bundle is the rollup's");
    }
    if let Some(l1) = l1 {
        let _ = write!(note, ", and {l1} L1's");
    }
    note
}

/// The rollup as it is known here, or else as a bundle has it; and whether it is known.
fn rollup(specs: &Specs, carried: &Rollup) -> (Rollup, bool) {
    let chain_id = carried.config.l2_chain_id;
    let given = specs.rollup.clone().filter(|it| it.l2_chain_id == chain_id);
    let known = given.or_else(|| RollupConfig::known(chain_id));
    let is_known = known.is_some();
    let config = known.unwrap_or_else(|| carried.config.clone());
    let rules = |chain_id, carried| specs.of(chain_id).unwrap_or(carried).clone();
    let (l2, l1) = (
        rules(config.l2_chain_id, &carried.l2),
        rules(config.l1_chain_id, &carried.l1),
    );
    (Rollup::new(config, l2, l1), is_known)
}
