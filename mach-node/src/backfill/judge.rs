//! How one block is brought to its verdict.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, BlockNumber, ChainId};
use async_trait::async_trait;
use mach_core::{
    Fault, L2Block, Verdict,
    ports::{BlockValidator, L2Source, SourceError, ValidateError},
};
use mach_verify::{
    ChainSpec, Evidence, EvidenceFolder, Witness, check_body,
    source::{RecordedBlock, RecordedBlocks, WitnessSource},
    verify_block,
};
use tracing::{info, warn};

use crate::verifier::with_causes;

/// Brings blocks to verdicts in two steps: one that waits and one that computes, so that no core
/// waits for a socket.
#[async_trait]
pub trait Judge: Send + Sync + 'static {
    /// What is fetched for a block.
    type Fetched: Send + 'static;

    /// EIP-155 id of the chain of the blocks.
    fn chain_id(&self) -> ChainId;

    /// A hash of the rules that blocks are judged by, for a [`WorkPlan`](mach_core::WorkPlan) that
    /// asks for rules.
    fn rules(&self) -> Option<B256> {
        None
    }

    /// Gets what judging the block at this height needs.
    ///
    /// Errors: [`JudgeError`] if not even the block is had.
    async fn fetch(&self, number: BlockNumber) -> Result<Self::Fetched, JudgeError>;

    /// Judges the block. Runs on a thread that may be kept busy.
    fn judge(&self, number: BlockNumber, fetched: Self::Fetched) -> Judged;
}

/// What judging a block gave.
#[derive(Debug)]
pub struct Judged {
    /// The block, if there was one.
    pub block: Option<L2Block>,
    /// The verdict. An error accuses nobody.
    pub result: Result<Verdict, JudgeError>,
    /// Time of computing.
    pub computing: Duration,
}

/// Why there is no verdict.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The block, or what executing it needs, was not had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The block was had and cannot be judged.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// The same of a block on record, which is no other at the next try.
    #[error(transparent)]
    Recorded(ValidateError),
}

impl JudgeError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Validate(error) => error.is_transient(),
            Self::Recorded(_) => false,
        }
    }
}

/// Executes blocks with the witnesses of a source, a node for one.
#[derive(Clone, Debug)]
pub struct Stateless<S> {
    rules: Rules,
    source: S,
}

impl<S: L2Source + WitnessSource + 'static> Stateless<S> {
    /// Blocks of `source` by the rules of `spec`.
    pub const fn new(spec: ChainSpec, source: S) -> Self {
        Self {
            rules: Rules::new(spec),
            source,
        }
    }

    /// The same, with a bundle for every invalid block in `folder`.
    #[must_use]
    pub fn with_evidence(mut self, folder: EvidenceFolder) -> Self {
        self.rules.evidence = Some(folder);
        self
    }
}

#[async_trait]
impl<S: L2Source + WitnessSource + 'static> Judge for Stateless<S> {
    type Fetched = (L2Block, Result<Witness, SourceError>);

    fn chain_id(&self) -> ChainId {
        self.rules.spec.chain_id()
    }

    fn rules(&self) -> Option<B256> {
        Some(self.rules.spec.hash())
    }

    async fn fetch(&self, number: BlockNumber) -> Result<Self::Fetched, JudgeError> {
        let block = self.source.block(number).await?;
        let witness = self.source.witness(&block).await;
        Ok((block, witness))
    }

    fn judge(&self, _number: BlockNumber, (block, witness): Self::Fetched) -> Judged {
        let started = Instant::now();
        let (block, result) = match witness {
            Ok(witness) => {
                let record = RecordedBlock {
                    block,
                    witness,
                    source: None,
                };
                let (block, result) = self.rules.judge(&record);
                (block, result.map_err(JudgeError::Validate))
            }
            Err(error) => (block, Err(error.into())),
        };
        Judged {
            block: Some(block),
            result,
            computing: started.elapsed(),
        }
    }
}

/// Executes recorded blocks: those of a folder or of an archive. Reading and decompressing them
/// counts as computing.
#[derive(Clone, Debug)]
pub struct Recorded {
    rules: Rules,
    blocks: Arc<RecordedBlocks>,
}

impl Recorded {
    /// Recorded blocks by the rules of `spec`.
    pub fn new(spec: ChainSpec, blocks: RecordedBlocks) -> Self {
        Self {
            rules: Rules::new(spec),
            blocks: Arc::new(blocks),
        }
    }

    /// The same, with a bundle for every invalid block in `folder`.
    #[must_use]
    pub fn with_evidence(mut self, folder: EvidenceFolder) -> Self {
        self.rules.evidence = Some(folder);
        self
    }
}

#[async_trait]
impl Judge for Recorded {
    type Fetched = ();

    fn chain_id(&self) -> ChainId {
        self.rules.spec.chain_id()
    }

    fn rules(&self) -> Option<B256> {
        Some(self.rules.spec.hash())
    }

    async fn fetch(&self, _number: BlockNumber) -> Result<(), JudgeError> {
        Ok(())
    }

    fn judge(&self, number: BlockNumber, (): ()) -> Judged {
        let started = Instant::now();
        let (block, result) = match self.blocks.record(number) {
            Ok(record) => {
                let (block, result) = self.rules.judge(&record);
                (Some(block), result.map_err(JudgeError::Recorded))
            }
            Err(error) => (None, Err(error.into())),
        };
        Judged {
            block,
            result,
            computing: started.elapsed(),
        }
    }
}

/// By what blocks are judged, and where the evidence goes.
#[derive(Clone, Debug)]
struct Rules {
    spec: ChainSpec,
    evidence: Option<EvidenceFolder>,
}

impl Rules {
    const fn new(spec: ChainSpec) -> Self {
        Self {
            spec,
            evidence: None,
        }
    }

    fn judge(&self, record: &RecordedBlock) -> (L2Block, Result<Verdict, ValidateError>) {
        let RecordedBlock { block, witness, .. } = record;
        let verdict =
            check_body(&self.spec, block).and_then(|()| verify_block(&self.spec, block, witness));
        if let Ok(Verdict::Invalid(fault)) = &verdict
            && let Some(folder) = &self.evidence
        {
            self.keep(folder, record, fault);
        }
        (block.clone(), verdict.map_err(ValidateError::from))
    }

    /// Leaves a bundle. That there is none changes no verdict.
    fn keep(&self, folder: &EvidenceFolder, record: &RecordedBlock, fault: &Fault) {
        let block = record.block.reference();
        let evidence = Evidence::new(self.spec.clone(), record.clone(), fault.clone());
        let kept = evidence
            .map_err(|error| with_causes(&error))
            .and_then(|evidence| folder.keep(&evidence).map_err(|error| with_causes(&error)));
        match kept {
            Ok(file) => info!(%block, file = %file.display(), "evidence"),
            Err(reason) => warn!(%block, reason, "no evidence"),
        }
    }
}

/// Has blocks judged by any [`BlockValidator`], which computes where and when it likes.
#[derive(Clone, Debug)]
pub struct Validated<S, V> {
    source: S,
    validator: V,
}

impl<S: L2Source + 'static, V: BlockValidator + 'static> Validated<S, V> {
    /// Blocks of `source` by the rules of `validator`.
    pub const fn new(source: S, validator: V) -> Self {
        Self { source, validator }
    }
}

#[async_trait]
impl<S: L2Source + 'static, V: BlockValidator + 'static> Judge for Validated<S, V> {
    type Fetched = Judged;

    fn chain_id(&self) -> ChainId {
        self.source.chain_id()
    }

    async fn fetch(&self, number: BlockNumber) -> Result<Judged, JudgeError> {
        let block = self.source.block(number).await?;
        let started = Instant::now();
        let result = self.validator.validate(&block).await;
        Ok(Judged {
            block: Some(block),
            result: result.map_err(JudgeError::from),
            computing: started.elapsed(),
        })
    }

    fn judge(&self, _number: BlockNumber, fetched: Judged) -> Judged {
        fetched
    }
}
