//! Derivation as a port.

use std::error::Error;

use async_trait::async_trait;
use mach_core::{
    Assurance, ExecutionSummary, L2Block, Verdict,
    ports::{BlobSource, BlockValidator, L1Source, L2Source, ValidateError},
};
use tokio::sync::Mutex;
use tracing::debug;

use super::{DerivationAccuser, DerivationEvidence, DeriveError, Driver, DriverError, Finding};

/// Validates with `V`, and then compares with what follows from L1: the verdict on a block that
/// holds is [`Assurance::Derived`].
///
/// Blocks come in order, from the one behind the start of the driver; a block that was derived is
/// so again when it is asked for once more. One that the batcher has not posted yet is
/// [`ValidateError::Incomplete`]: this validator is for safe blocks. So is the block that comes after
/// L1 or the rollup was reorganised; asked for once more it is derived from behind the last block
/// that a final L1 block decided ([`Driver::recover`]), or from where [`Self::restart`] says. Blocks that are skipped, because whoever asks
/// gave up on them for example, are taken from the source of the driver and derived on the way, without
/// being executed.
#[derive(Debug)]
pub struct DerivationValidator<V, L, B, S> {
    inner: V,
    driver: Mutex<Driver<L, B, S>>,
}

impl<V, L, B, S> DerivationValidator<V, L, B, S> {
    /// Validator of the blocks behind the one at which `driver` is.
    pub fn new(inner: V, driver: Driver<L, B, S>) -> Self {
        Self {
            inner,
            driver: Mutex::new(driver),
        }
    }
}

impl<V, L: L1Source, B: BlobSource, S: L2Source> DerivationValidator<V, L, B, S> {
    /// Begins again behind `start`, which is trusted: after L1 or the rollup was reorganised, or to
    /// skip blocks.
    ///
    /// Errors: [`DriverError`]; it goes on where it was then.
    pub async fn restart(&self, start: &L2Block) -> Result<(), DriverError> {
        self.driver.lock().await.restart(start)
    }
}

#[async_trait]
impl<V, L, B, S> BlockValidator for DerivationValidator<V, L, B, S>
where
    V: BlockValidator,
    L: L1Source,
    B: BlobSource,
    S: L2Source,
{
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let mut driver = self.driver.lock().await;
        let summary = match self.inner.validate(block).await? {
            Verdict::Valid(summary) => summary,
            invalid => return Ok(invalid),
        };
        let is_known = driver.derivation().has_derived(block.reference())
            && block.header.hash_slow() == block.hash();
        if is_known {
            return Ok(Verdict::Valid(derived(summary)));
        }
        match find(&mut driver, block).await {
            Ok(Finding::NotDerivable(fault)) => Ok(Verdict::Invalid(fault)),
            Ok(Finding::Derived(_)) => Ok(Verdict::Valid(derived(summary))),
            Err(error) => {
                if let Err(error) = recover(&mut driver, &error).await {
                    debug!(error = &error as &dyn Error, "derivation does not go back");
                }
                Err(from_driver(block.number(), error))
            }
        }
    }
}

#[async_trait]
impl<V, L, B, S> DerivationAccuser for DerivationValidator<V, L, B, S>
where
    V: BlockValidator,
    L: L1Source,
    B: BlobSource,
    S: L2Source,
{
    async fn accuse(&self, block: &L2Block) -> Result<Option<DerivationEvidence>, ValidateError> {
        let driver = self.driver.lock().await;
        let evidence = driver.accuse(block).await;
        evidence.map_err(|error| from_driver(block.number(), error))
    }
}

/// Derives what lies between the last derived block and `block`, and compares `block`.
async fn find<L: L1Source, B: BlobSource, S: L2Source>(
    driver: &mut Driver<L, B, S>,
    block: &L2Block,
) -> Result<Finding, DriverError> {
    while driver.derivation().head().number.saturating_add(1) < block.number() {
        let (_, finding) = driver.next().await?;
        if let Finding::NotDerivable(_) = finding {
            let (block, parent) = (block.reference(), driver.derivation().head());
            return Err(DeriveError::WrongParent { block, parent }.into());
        }
    }
    driver.check(block).await
}

/// Goes back if that is why there is no answer. A block that merely stands on another parent, or
/// behind an invalid block, is none of the driver's.
async fn recover<L: L1Source, B: BlobSource, S: L2Source>(
    driver: &mut Driver<L, B, S>,
    error: &DriverError,
) -> Result<(), DriverError> {
    if error.is_l1_reorg() || (error.is_reorg() && driver.is_left().await?) {
        driver.recover().await?;
    }
    Ok(())
}

/// What was executed on a claim stays that.
const fn derived(mut summary: ExecutionSummary) -> ExecutionSummary {
    if matches!(summary.assurance, Assurance::Executed) {
        summary.assurance = Assurance::Derived;
    }
    summary
}

fn from_driver(block: u64, error: DriverError) -> ValidateError {
    let is_incomplete = error.is_transient() || error.is_reorg();
    let source = Box::new(error);
    if is_incomplete {
        ValidateError::Incomplete { block, source }
    } else {
        ValidateError::Unsupported { block, source }
    }
}
