use alloy_consensus::Header;
use alloy_primitives::{Address, B256, BlockNumber, Bytes, Sealed};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{
    Assurance, BlockRef, ExecutionSummary, Fault, L2Block, Verdict,
    ports::{BlockValidator, BoxError, L1Source, L2Source, SourceError, ValidateError},
};
use tracing::{info, warn};

use super::{Commitment, ConsistencyEvidence, L1Commitment, check_consistency, recovered_sender};
use crate::{EvidenceFolder, source::run_blocking};

/// Knows the hash of the block at a height. Every [`L2Source`] does.
#[async_trait]
pub trait BlockHashes: Send + Sync {
    /// Hash of the block at this height.
    ///
    /// Errors: [`SourceError::NotYet`] above the head.
    async fn block_hash(&self, number: BlockNumber) -> Result<B256, SourceError>;
}

#[async_trait]
impl<S: L2Source> BlockHashes for S {
    async fn block_hash(&self, number: BlockNumber) -> Result<B256, SourceError> {
        Ok(self.block(number).await?.hash())
    }
}

/// Claims who sent the transactions of a block.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait SenderSource: Send + Sync {
    /// One address for each transaction, in block order.
    async fn senders(&self, block: BlockRef) -> Result<Vec<Address>, SourceError>;
}

/// Why a block that contradicts nothing in itself was not found valid. It accuses nobody: a source
/// may be wrong, or behind, or on another branch.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrossCheckError {
    /// Too few sources have the block.
    #[error("{agreeing} of {required} sources have block {block}; {} have another", others.len())]
    Disagreement {
        /// The block.
        block: BlockRef,
        /// Sources that have it.
        agreeing: usize,
        /// Sources that have to have it.
        required: usize,
        /// Sources that have another block at its height, and which.
        others: Vec<(String, B256)>,
    },
    /// L1 holds another block at this height.
    #[error("L1 commits to {committed} at the height of block {block}")]
    Commitment {
        /// The block.
        block: BlockRef,
        /// The hash on L1.
        committed: B256,
    },
    /// A source claims another sender than the signature gives.
    #[error("transaction {index}: signed by {signed:?}, the source says {claimed:?}")]
    Sender {
        /// Position in the block, from 0.
        index: usize,
        /// Whom the signature gives.
        signed: Option<Address>,
        /// Whom the source says.
        claimed: Option<Address>,
    },
}

/// Validates blocks without executing them: by what they say of themselves, what other sources
/// have at their height, and what L1 holds.
///
/// `P` is where the blocks come from; it gives headers and receipts too, which the hash of the
/// block proves. A fault is only what [`check_consistency`] finds. That sources or L1 differ is an
/// error, and [`CrossCheckError`] is its cause.
pub struct CrossCheckValidator<P> {
    primary: P,
    others: Vec<(String, Box<dyn BlockHashes>)>,
    required: usize,
    senders: Option<Box<dyn SenderSource>>,
    l1: Option<Box<dyn L1Commitment>>,
    evidence: Option<EvidenceFolder>,
}

impl<P> core::fmt::Debug for CrossCheckValidator<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names: Vec<_> = self.others.iter().map(|(name, _)| name).collect();
        f.debug_struct("CrossCheckValidator")
            .field("others", &names)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl<P: L1Source> CrossCheckValidator<P> {
    /// By what blocks say of themselves alone.
    pub const fn new(primary: P) -> Self {
        Self {
            primary,
            others: Vec::new(),
            required: 0,
            senders: None,
            l1: None,
            evidence: None,
        }
    }

    /// The same with named sources, of which `required` have to have the same block.
    #[must_use]
    pub fn with_sources(
        mut self,
        others: Vec<(String, Box<dyn BlockHashes>)>,
        required: usize,
    ) -> Self {
        self.others = others;
        self.required = required;
        self
    }

    /// The same with a source whose claimed senders are compared with the signatures.
    #[must_use]
    pub fn with_senders(mut self, senders: impl SenderSource + 'static) -> Self {
        self.senders = Some(Box::new(senders));
        self
    }

    /// The same with what L1 holds. That L1 is silent on a block is no objection.
    #[must_use]
    pub fn with_commitment(mut self, l1: impl L1Commitment + 'static) -> Self {
        self.l1 = Some(Box::new(l1));
        self
    }

    /// The same with a bundle for every invalid block in `folder`, which
    /// [`ConsistencyEvidence`] replays. That there is none changes no verdict, and is logged.
    #[must_use]
    pub fn with_evidence(mut self, folder: EvidenceFolder) -> Self {
        self.evidence = Some(folder);
        self
    }

    /// What the other sources and L1 say of a block: all that can be asked about a chain whose
    /// blocks have a format of their own.
    ///
    /// Errors: [`ValidateError::Incomplete`] with the [`CrossCheckError`].
    pub async fn agree(&self, block: BlockRef) -> Result<(), ValidateError> {
        let mut agreeing = 0;
        let mut others = Vec::new();
        for (name, source) in &self.others {
            match source.block_hash(block.number).await {
                Ok(hash) if hash == block.hash => agreeing += 1,
                Ok(hash) => others.push((name.clone(), hash)),
                // Behind or out of reach: it says nothing.
                Err(error) => warn!(
                    source = name,
                    block = block.number,
                    error = &error as &dyn std::error::Error,
                    "a source does not answer"
                ),
            }
        }
        if agreeing < self.required {
            return Err(incomplete(
                block.number,
                CrossCheckError::Disagreement {
                    block,
                    agreeing,
                    required: self.required,
                    others,
                },
            ));
        }
        for (name, hash) in others {
            warn!(source = name, %block, %hash, "a source has another block");
        }
        if let Some(l1) = &self.l1 {
            let said = l1.committed(block).await;
            if let Commitment::Other(committed) =
                said.map_err(|error| incomplete(block.number, error))?
            {
                let error = CrossCheckError::Commitment { block, committed };
                return Err(incomplete(block.number, error));
            }
        }
        Ok(())
    }

    /// Leaves a bundle of the very parts that the verdict follows from.
    async fn keep(
        &self,
        block: &L2Block,
        parent: Sealed<Header>,
        receipts: Vec<Bytes>,
        fault: &Fault,
    ) {
        let Some(folder) = self.evidence.clone() else {
            return;
        };
        let (accused, fault, block) = (block.reference(), fault.clone(), block.clone());
        let kept = run_blocking(move || -> Result<_, BoxError> {
            let evidence = ConsistencyEvidence::new(block, parent, receipts, fault)?;
            Ok(folder.keep(&evidence)?)
        });
        match kept.await.flatten() {
            Ok(file) => info!(block = %accused, file = %file.display(), "evidence kept"),
            Err(error) => warn!(
                block = %accused,
                error = &*error as &dyn std::error::Error,
                "no evidence"
            ),
        }
    }

    async fn check_senders(&self, block: &L2Block) -> Result<(), ValidateError> {
        let Some(senders) = &self.senders else {
            return Ok(());
        };
        let number = block.number();
        let claims = senders.senders(block.reference()).await;
        let claims = claims.map_err(|error| incomplete(number, error))?;
        let count = block.transactions.len().max(claims.len());
        for index in 0..count {
            let bytes = block.transactions.get(index);
            let signed = bytes.map(|bytes| recovered_sender(block.chain_id, bytes));
            let claimed = claims.get(index).copied();
            let signed = match signed {
                // Of a type without a signature: there is nothing to compare.
                Some(Ok(None)) if claimed.is_some() => continue,
                Some(Ok(signed)) => signed,
                Some(Err(_)) | None => None,
            };
            if signed != claimed {
                let error = CrossCheckError::Sender {
                    index,
                    signed,
                    claimed,
                };
                return Err(incomplete(number, error));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl<P: L1Source> BlockValidator for CrossCheckValidator<P> {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let number = block.number();
        let Some(height) = number.checked_sub(1) else {
            let what = "the first block follows from the genesis file";
            return Err(ValidateError::Unsupported {
                block: number,
                source: what.into(),
            });
        };
        let parent = self.primary.header(height).await;
        let parent = parent.map_err(|error| incomplete(number, error))?;
        let receipts = self.primary.receipts(&block.header).await;
        let receipts = receipts.map_err(|error| incomplete(number, error))?;
        if let Some(fault) = check_consistency(block, &parent, &receipts)? {
            self.keep(block, parent, receipts, &fault).await;
            return Ok(Verdict::Invalid(fault));
        }
        self.check_senders(block).await?;
        self.agree(block.reference()).await?;
        Ok(Verdict::Valid(ExecutionSummary {
            block: block.reference(),
            gas_used: block.header.gas_used,
            transactions: block.transactions.len() as u64,
            state_root: block.header.state_root,
            output_root: None,
            assurance: Assurance::CrossChecked,
        }))
    }
}

fn incomplete(block: BlockNumber, error: impl Into<BoxError>) -> ValidateError {
    ValidateError::Incomplete {
        block,
        source: error.into(),
    }
}
