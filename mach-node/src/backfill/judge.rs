//! How one block is brought to its verdict.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, BlockNumber, ChainId, keccak256};
use async_trait::async_trait;
use mach_core::{
    BlockRef, Fault, L2Block, Verdict,
    ports::{BlockValidator, L2Source, SourceError, ValidateError},
};
use mach_verify::{
    Accuser, ChainSpec, Evidence, EvidenceFolder, Witness, check_body,
    op::L1Evidence,
    source::{RecordedBlock, RecordedBlocks, WitnessSource},
    verify_block,
};
use tracing::{info, warn};

use crate::verifier::with_causes;

/// [`Judge::rules`] of [`Stateless`] for a chain by the rules of `spec`, whose comparison with L1 goes
/// by what hashes to `l1`.
pub fn rules_with_l1(spec: &ChainSpec, l1: B256) -> B256 {
    keccak256([spec.hash(), l1].concat())
}

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
#[derive(Clone)]
pub struct Stateless<S> {
    rules: Rules,
    source: S,
    l1: Option<AgainstL1>,
}

/// Who says what L1 has against a block, and a hash of the rules of that.
#[derive(Clone)]
struct AgainstL1 {
    accuser: Arc<dyn Accuser>,
    rules: B256,
}

impl<S: core::fmt::Debug> core::fmt::Debug for Stateless<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stateless")
            .field("rules", &self.rules)
            .field("source", &self.source)
            .field("l1", &self.l1.as_ref().map(|l1| l1.rules))
            .finish()
    }
}

/// What [`Stateless`] fetches for a block.
#[derive(Debug)]
pub struct Fetched {
    block: L2Block,
    witness: Result<Witness, SourceError>,
    /// What L1 has against the block, if it is asked.
    l1: Option<Result<Option<L1Evidence>, ValidateError>>,
}

impl<S: L2Source + WitnessSource + 'static> Stateless<S> {
    /// Blocks of `source` by the rules of `spec`.
    pub const fn new(spec: ChainSpec, source: S) -> Self {
        Self {
            rules: Rules::new(spec),
            source,
            l1: None,
        }
    }

    /// The same, and what executes as it says is compared with L1: by
    /// [`OpL1Validator`](mach_verify::op::OpL1Validator), for one, which is not asked to execute. A
    /// block that cannot be compared has no verdict.
    ///
    /// `rules` is a hash of what the comparison goes by.
    #[must_use]
    pub fn with_l1(mut self, accuser: Arc<dyn Accuser>, rules: B256) -> Self {
        self.l1 = Some(AgainstL1 { accuser, rules });
        self
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
    type Fetched = Fetched;

    fn chain_id(&self) -> ChainId {
        self.rules.spec.chain_id()
    }

    fn rules(&self) -> Option<B256> {
        Some(match &self.l1 {
            Some(l1) => rules_with_l1(&self.rules.spec, l1.rules),
            None => self.rules.spec.hash(),
        })
    }

    async fn fetch(&self, number: BlockNumber) -> Result<Self::Fetched, JudgeError> {
        let block = self.source.block(number).await?;
        let accused = async {
            let l1 = self.l1.as_ref()?;
            Some(l1.accuser.accuse(&block).await)
        };
        let (witness, l1) = futures::join!(self.source.witness(&block), accused);
        Ok(Fetched { block, witness, l1 })
    }

    fn judge(&self, _number: BlockNumber, fetched: Fetched) -> Judged {
        let started = Instant::now();
        let Fetched { block, witness, l1 } = fetched;
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
        let result = match (result, l1) {
            (Ok(Verdict::Valid(_)), Some(Err(error))) => Err(JudgeError::Validate(error)),
            (Ok(Verdict::Valid(_)), Some(Ok(Some(evidence)))) => {
                self.rules.keep_l1(&evidence);
                Ok(Verdict::Invalid(evidence.fault().clone()))
            }
            (result, _) => result,
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
    pub fn new(spec: ChainSpec, blocks: impl Into<Arc<RecordedBlocks>>) -> Self {
        Self {
            rules: Rules::new(spec),
            blocks: blocks.into(),
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
        let evidence = Evidence::new(self.spec.clone(), record.clone(), fault.clone());
        let kept = evidence
            .map_err(|error| with_causes(&error))
            .and_then(|evidence| folder.keep(&evidence).map_err(|error| with_causes(&error)));
        tell(record.block.reference(), kept);
    }

    /// The same for what L1 has against a block.
    fn keep_l1(&self, evidence: &L1Evidence) {
        if let Some(folder) = &self.evidence {
            let kept = folder.keep(evidence);
            let block = evidence.block().reference();
            tell(block, kept.map_err(|error| with_causes(&error)));
        }
    }
}

fn tell(block: BlockRef, kept: Result<PathBuf, String>) {
    match kept {
        Ok(file) => info!(%block, file = %file.display(), "evidence"),
        Err(reason) => warn!(%block, reason, "no evidence"),
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
