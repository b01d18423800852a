#![doc = include_str!("../README.md")]

mod block;
mod certificate;
mod certificate_file;
mod curve;
mod fault;
pub mod legacy;
mod operator;
pub mod ports;
mod quorum;
mod round;
mod statement;
mod verdict;
mod work;

pub use block::{BlockError, BlockRef, L2Block, MAX_BLOCK_BYTES};
pub use certificate::{Certificate, Confirmation, NonSigner, QuorumStake, QuorumTally};
pub use certificate_file::{
    CERTIFICATE_VERSION, CertificateFile, CertificateFileError, MAX_CERTIFICATE_BYTES,
    OperatorsFile,
};
pub use curve::{Bls12381, Bn254, Curve, G1Bytes, G2Bytes, WireBytes};
pub use fault::{Fault, Mismatch};
pub use operator::{Operator, OperatorId, OperatorSet};
pub use quorum::{MAX_QUORUM_NUMBER, QuorumError, QuorumNumbers, Stake, Threshold};
pub use round::{Round, SignedStatement};
pub use statement::{Alert, AlertKind, Attestation, Domain, Statement, StatementError};
pub use verdict::{Assurance, ExecutionSummary, Verdict};
pub use work::{
    BlockOutcome, BlockReport, MAX_REASON_BYTES, MAX_UNIT_BLOCKS, Published, UnitReport, WorkError,
    WorkPlan, WorkUnit,
};
