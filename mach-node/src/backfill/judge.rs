//! How one block is brought to its verdict.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{BlockNumber, ChainId};
use async_trait::async_trait;
use mach_core::{
    L2Block, Verdict,
    ports::{BlockValidator, L2Source, SourceError, ValidateError},
};
use mach_verify::{
    ChainSpec, Witness, check_body,
    source::{RecordedBlocks, WitnessSource},
    verify_block,
};

/// Brings blocks to verdicts in two steps: one that waits and one that computes, so that no core
/// waits for a socket.
#[async_trait]
pub trait Judge: Send + Sync + 'static {
    /// What is fetched for a block.
    type Fetched: Send + 'static;

    /// EIP-155 id of the chain of the blocks.
    fn chain_id(&self) -> ChainId;

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
}

impl JudgeError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Validate(error) => error.is_transient(),
        }
    }
}

/// Executes blocks with the witnesses of a source, a node for one.
#[derive(Clone, Debug)]
pub struct Stateless<S> {
    spec: ChainSpec,
    source: S,
}

impl<S: L2Source + WitnessSource + 'static> Stateless<S> {
    /// Blocks of `source` by the rules of `spec`.
    pub const fn new(spec: ChainSpec, source: S) -> Self {
        Self { spec, source }
    }
}

#[async_trait]
impl<S: L2Source + WitnessSource + 'static> Judge for Stateless<S> {
    type Fetched = (L2Block, Result<Witness, SourceError>);

    fn chain_id(&self) -> ChainId {
        self.spec.chain_id()
    }

    async fn fetch(&self, number: BlockNumber) -> Result<Self::Fetched, JudgeError> {
        let block = self.source.block(number).await?;
        let witness = self.source.witness(&block).await;
        Ok((block, witness))
    }

    fn judge(&self, _number: BlockNumber, (block, witness): Self::Fetched) -> Judged {
        let started = Instant::now();
        let result = witness
            .map_err(JudgeError::from)
            .and_then(|witness| execute(&self.spec, &block, &witness));
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
    spec: ChainSpec,
    blocks: Arc<RecordedBlocks>,
}

impl Recorded {
    /// Recorded blocks by the rules of `spec`.
    pub fn new(spec: ChainSpec, blocks: RecordedBlocks) -> Self {
        Self {
            spec,
            blocks: Arc::new(blocks),
        }
    }
}

#[async_trait]
impl Judge for Recorded {
    type Fetched = ();

    fn chain_id(&self) -> ChainId {
        self.spec.chain_id()
    }

    async fn fetch(&self, _number: BlockNumber) -> Result<(), JudgeError> {
        Ok(())
    }

    fn judge(&self, number: BlockNumber, (): ()) -> Judged {
        let started = Instant::now();
        let (block, result) = match self.blocks.record(number) {
            Ok(record) => (
                Some(record.block.clone()),
                execute(&self.spec, &record.block, &record.witness),
            ),
            Err(error) => (None, Err(error.into())),
        };
        Judged {
            block,
            result,
            computing: started.elapsed(),
        }
    }
}

fn execute(spec: &ChainSpec, block: &L2Block, witness: &Witness) -> Result<Verdict, JudgeError> {
    check_body(spec, block).map_err(ValidateError::from)?;
    Ok(verify_block(spec, block, witness).map_err(ValidateError::from)?)
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
