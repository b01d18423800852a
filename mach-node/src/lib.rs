#![doc = include_str!("../README.md")]

mod aggregator;
pub mod backfill;
pub mod breaker;
pub mod dashboard;
pub mod finality;
pub mod grpc;
mod guard;
pub mod http;
mod l1_head;
pub mod legacy;
pub mod metrics;
pub mod node_api;
mod operator;
mod retry;
pub mod rpc;
mod settling;
pub mod signers;
mod stake;
pub mod store;
mod verified;
mod verifier;
pub mod zk;

pub use aggregator::{
    Aggregator, AggregatorConfig, InstanceConfig, QuorumView, Retention, RoundEvent, RoundState,
    RoundView, ToL1,
};
pub use guard::{
    GuardFile, GuardFileError, GuardFileMetadata, INTERCHANGE_VERSION, ImportSummary, MemoryGuard,
    RollupHistory, StoredGuard,
};
pub use l1_head::{L1Head, ProviderHead};
pub use operator::{
    Operator, OperatorConfig, Outbox, OutboxConfig, OutboxSink, OutboxStatus, TermsError,
    TermsPolicy,
};
pub use retry::RetryPolicy;
pub use settling::SETTLE_ALERTS;
pub use verified::{ResumeError, VerifiedBlocks};
pub use verifier::{
    MAX_DELIVERIES, Reorg, SHUTDOWN_GRACE, Undecided, Verifier, VerifierConfig, VerifierStatus,
};
