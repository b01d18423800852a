use std::path::PathBuf;

use alloy_primitives::{B256, ChainId};
use mach_core::{Fault, Verdict, ports::BoxError};

use super::EVIDENCE_VERSION;
use crate::{
    ExecuteError,
    cross_check::ConsistencyEvidenceError,
    derive::DerivationEvidenceError,
    op::L1EvidenceError,
    source::{RecordError, RecordedBlock},
};

/// Why a file is no evidence, or evidence no file.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The file cannot be read or written, or what it holds is no block with a witness.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The file holds this block and nothing against it.
    #[error("a recorded block without evidence against it")]
    NoEvidence(Box<RecordedBlock>),
    /// The file was written in another format.
    #[error("evidence of format {0} is not known, only of format {EVIDENCE_VERSION}")]
    Version(u64),
    /// A field is missing.
    #[error("field evidence.{0} is missing")]
    Missing(&'static str),
    /// A field does not have its type.
    #[error("field evidence.{field} is malformed")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The rules are not those that the bundle was made with.
    #[error("the rules hash to {computed}, field evidence.rules_hash says {claimed}")]
    RulesHash {
        /// What the file says.
        claimed: B256,
        /// What its rules hash to.
        computed: B256,
    },
    /// The rules are another chain's.
    #[error("the block belongs to chain {block}, the rules to chain {rules}")]
    WrongChain {
        /// Chain of the block.
        block: ChainId,
        /// Chain of the rules.
        rules: ChainId,
    },
    /// Evidence of what L1 says cannot be written.
    #[error(transparent)]
    L1(#[from] L1EvidenceError),
    /// Evidence of derivation cannot be written.
    #[error(transparent)]
    Derivation(#[from] DerivationEvidenceError),
    /// Evidence of a contradiction cannot be written.
    #[error(transparent)]
    Consistency(#[from] ConsistencyEvidenceError),
    /// The folder is full.
    #[error("{} holds {count} bundles already", path.display())]
    Full {
        /// The folder.
        path: PathBuf,
        /// How many are in it.
        count: usize,
    },
}

/// Why a bundle accuses nobody.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no verdict.
    #[error(transparent)]
    Undecided(#[from] ExecuteError),
    /// The verdict is not the recorded one.
    #[error(
        "{software} found {}, this program {}",
        recorded.name(),
        replayed.fault().map_or("nothing", Fault::name)
    )]
    Differs {
        /// What the bundle says.
        recorded: Box<Fault>,
        /// What the block is by the rules that it was replayed by.
        replayed: Box<Verdict>,
        /// Which program made the bundle.
        software: String,
    },
}
