//! Verification as a port: a witness is fetched, the block executed.

use alloy_primitives::BlockNumber;
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{
    L2Block, Verdict,
    ports::{BlockValidator, BoxError, SourceError, ValidateError},
};

use crate::{ChainSpec, Witness, check_body, verify_block};

/// Where witnesses come from.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait WitnessSource: Send + Sync {
    /// What executing `block` needs.
    ///
    /// Errors: [`SourceError`]; also if the source has another block at this height.
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError>;
}

/// Validates blocks with the witnesses of `W`.
#[derive(Clone, Debug)]
pub struct StatelessValidator<W> {
    spec: ChainSpec,
    witnesses: W,
}

impl<W: WitnessSource> StatelessValidator<W> {
    /// Validator of the chain of `spec`.
    pub const fn new(spec: ChainSpec, witnesses: W) -> Self {
        Self { spec, witnesses }
    }

    /// Rules of the chain.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }
}

#[async_trait]
impl<W: WitnessSource> BlockValidator for StatelessValidator<W> {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let number = block.number();
        check_body(&self.spec, block)?;
        let witness =
            (self.witnesses.witness(block).await).map_err(|error| from_source(number, error))?;
        execute(&self.spec, block, witness).await
    }
}

pub(crate) fn from_source(block: BlockNumber, error: SourceError) -> ValidateError {
    let source = Box::new(error);
    match *source {
        SourceError::WrongChain { .. } => ValidateError::Internal { block, source },
        _ => ValidateError::Incomplete { block, source },
    }
}

async fn execute(
    spec: &ChainSpec,
    block: &L2Block,
    witness: Witness,
) -> Result<Verdict, ValidateError> {
    let number = block.number();
    let (spec, block) = (spec.clone(), block.clone());
    let verdict = run_blocking(move || verify_block(&spec, &block, &witness))
        .await
        .map_err(|source| ValidateError::Internal {
            block: number,
            source,
        })?;
    Ok(verdict?)
}

/// Works away from the threads that wait for sockets, if there are such threads.
///
/// Errors: if `work` panicked.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BoxError> {
    #[cfg(feature = "rpc")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        return Ok(runtime.spawn_blocking(work).await?);
    }
    Ok(work())
}

/// Does work whose end nobody waits for: beside the caller if there is a runtime, else at once.
pub(crate) async fn run_beside(work: impl Future<Output = ()> + Send + 'static) {
    #[cfg(feature = "rpc")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(work));
        return;
    }
    work.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile when the trait can no longer be a trait object.
    #[expect(dead_code, reason = "compiling it is the test")]
    struct DynCompatible(Box<dyn WitnessSource>);
}
