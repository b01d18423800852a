//! Derivation as a port.

use async_trait::async_trait;
use mach_core::{
    Assurance, L2Block, Verdict,
    ports::{BlobSource, BlockValidator, L1Source, L2Source, ValidateError},
};
use tokio::sync::Mutex;

use super::{Driver, DriverError, Finding};

/// Validates with `V`, and then compares with what follows from L1: the verdict on a block that
/// holds is [`Assurance::Derived`].
///
/// Blocks come in order, from the one behind the start of the driver. A block that the batcher has
/// not posted yet is [`ValidateError::Incomplete`]: this validator is for safe blocks.
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
        let mut summary = match self.inner.validate(block).await? {
            Verdict::Valid(summary) => summary,
            invalid => return Ok(invalid),
        };
        let finding = driver.check(block).await;
        match finding.map_err(|error| from_driver(block.number(), error))? {
            Finding::NotDerivable(fault) => return Ok(Verdict::Invalid(fault)),
            // What was executed on a claim stays that.
            Finding::Derived(_) if summary.assurance == Assurance::Executed => {
                summary.assurance = Assurance::Derived;
            }
            Finding::Derived(_) => {}
        }
        Ok(Verdict::Valid(summary))
    }
}

fn from_driver(block: u64, error: DriverError) -> ValidateError {
    let is_transient = error.is_transient();
    let source = Box::new(error);
    if is_transient {
        ValidateError::Incomplete { block, source }
    } else {
        ValidateError::Unsupported { block, source }
    }
}
