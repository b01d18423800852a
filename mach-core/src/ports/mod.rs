//! The doors between the stages: what users implement and services hold.
//!
//! Every port can be a trait object, since it is chosen at run time, and has one error enum with
//! `is_transient`, which says whether a later try may succeed.

mod aggregator;
mod confirmer;
mod guard;
mod l1;
mod queue;
mod registry;
mod signer;
mod sink;
mod source;
mod validator;

pub use aggregator::{AggregateError, Progress, SignatureAggregator};
pub use confirmer::{
    AlertConfirmer, ConfirmError, L1Standing, StatementConfirmer, StatementReader,
};
pub use guard::{GuardError, SigningGuard};
pub use l1::{BlobSource, L1Head, L1Source};
pub use queue::{Claim, Completion, Lease, QueueError, QueueProgress, Release, WorkQueue};
pub use registry::{OperatorRegistry, RegistryError};
pub use signer::{SignError, StatementSigner};
pub use sink::{AlertSink, SinkError};
pub use source::{L2Head, L2Source, SourceError};
pub use validator::{BlockValidator, ValidateError};

/// Any error of an adapter, kept as the cause of a port's error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bls12381;

    /// Fails to compile when a port can no longer be a trait object.
    #[expect(dead_code, reason = "compiling it is the test")]
    struct Ports {
        source: Box<dyn L2Source>,
        l1: Box<dyn L1Source>,
        blobs: Box<dyn BlobSource>,
        validator: Box<dyn BlockValidator>,
        sink: Box<dyn AlertSink>,
        queue: Box<dyn WorkQueue>,
        signer: Box<dyn StatementSigner>,
        guard: Box<dyn SigningGuard>,
        registry: Box<dyn OperatorRegistry>,
        aggregator: Box<dyn SignatureAggregator>,
        reader: Box<dyn StatementReader>,
        confirmer: Box<dyn StatementConfirmer>,
        alert_confirmer: Box<dyn AlertConfirmer>,
        other_signer: Box<dyn StatementSigner<Bls12381>>,
        other_registry: Box<dyn OperatorRegistry<Bls12381>>,
        other_aggregator: Box<dyn SignatureAggregator<Bls12381>>,
        other_confirmer: Box<dyn StatementConfirmer<Bls12381>>,
    }

    #[test]
    fn errors_name_what_is_true() {
        let error = SourceError::NotYet(5);
        assert_eq!(error.to_string(), "block 5 is not available yet");
        assert!(error.is_transient());
        let cause: BoxError = "connection refused".into();
        let error = RegistryError::Backend(cause);
        assert_eq!(error.to_string(), "operator registry request failed");
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "connection refused"
        );
    }
}
