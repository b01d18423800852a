#![doc = include_str!("../README.md")]

pub mod abi;
mod alerts;
mod artifact;
mod bls12381;
mod call;
mod confirmer;
mod convert;
mod deploy;
mod deployments;
pub mod doctor;
mod eigenlayer;
mod http;
mod plan;
mod registration;
mod registry;
mod revert;
mod service_manager;
mod service_managers;
mod submit;
mod web3signer;
pub mod zk;

pub use alerts::ContractAlerts;
pub use artifact::Artifact;
pub use bls12381::{Bls12381Verifier, bls12381_key_digest};
pub use call::CallError;
pub use confirmer::{ContractConfirmer, DryRun, proof};
pub use deploy::{
    Admission, DeployConfig, DeployError, Quorum, RegistryChoice, admit, deploy,
    estimate_deployment,
};
pub use deployments::{
    Deployment, DeploymentError, DeploymentFile, EigenLayer, KnownDeployment, Status,
};
pub use eigenlayer::{EigenLayerCore, EigenLayerError, EigenLayerStatus, OperatorProfile};
pub use http::{MAX_RESPONSE_BYTES, http_provider};
pub use plan::{Plan, PlanError, Step, Unsigned};
pub use registration::{
    AllocationDelay, Avs, Churn, Consent, KeyProof, M2Registration, OperatorSetRegistration,
    OperatorStatus, OptIn, QuorumStatus, Registration, RegistrationError, Standing, Target, World,
    key_digest,
};
pub use registry::{ContractRegistry, KeyCache, KeyCacheError, Registered};
pub use revert::{CustomError, Revert};
pub use service_manager::{
    Action, ActiveAlert, Admin, AdminCommand, AdminError, DigestKind, Generation, Probe,
    ProbeError, Role, RollupStanding, ServiceManager, Terms, TermsError,
};
pub use service_managers::{RollupStatus, ServiceManagers};
pub use submit::{
    Account, AttemptLog, FileLog, Finished, LogError, MemoryLog, Outcome, Record, SubmitError,
    SubmitPolicy, Submitter,
};
pub use web3signer::{Web3Signer, Web3SignerError};
