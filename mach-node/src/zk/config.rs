use std::time::Duration;

use alloy_primitives::{B256, U256};
use mach_prove::{BackendName, Program, ProofBackend, ProveError, Worth};

use crate::store::StoreError;

/// How often something is tried again, and whether it is in earnest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZkConfig {
    /// Shortest and longest wait before a step is tried again; it doubles in between.
    pub delays: (Duration, Duration),
    /// How long the evidence of an alert is waited for before anything is raised: it is made beside
    /// the verdict. Once a bond is paid it is waited for as everything else is.
    pub evidence_within: Duration,
    /// After how long without a step a case is told aloud, in the log, the metrics and the health.
    pub escalate_after: Duration,
    /// After how long without a step, in one process, a case is given up.
    pub give_up_after: Duration,
    /// Most alerts of ours that wait for their proof at one contract at a time. One of each contract is proved
    /// at a time, the bonds of the others are locked meanwhile. The oldest cases come first.
    pub max_bonded: usize,
    /// Most that is paid as the bond of one alert, in wei. What costs more is waited for, and told aloud.
    pub max_bond: U256,
    /// How long a prover may take for one proof before it is stopped, and the next case has its turn.
    pub proof_within: Duration,
    /// After how many failures of the prover, without a step in between, a case is given up.
    pub prover_tries: u32,
    /// After how many proofs that were not made in time, without a step in between.
    pub prover_hangs: u32,
    /// How long something is waited for on L1 that leads to a block that was shown to be wrong.
    pub published_within: Duration,
    /// How long a case is kept once nothing is left to do.
    pub keep_ended: Duration,
    /// Most of these that are kept; the oldest are forgotten first.
    pub max_ended: usize,
    /// Most wrong output roots that wait to be opened, and most that wait to be proposed. An op-node that lies claims
    /// one for every block, so that a new one takes the place of the oldest; those that were seen on L1 go last.
    pub max_outputs: usize,
    /// Whether a backend may be used whose proofs no contract takes, for development: every alert
    /// loses its bond.
    pub allow_development: bool,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for ZkConfig {
    /// From one second to five minutes, an hour for the evidence, ten minutes until people are told,
    /// thirty days or a hundred failures of the prover until a case is given up, thirty days for an
    /// output root, thirty days that ended cases are kept, 4,096 of them at most, 1,024 wrong output roots that wait, and in
    /// earnest. Four alerts that wait for a proof, of at most one ether each; a day for a proof, three times.
    fn default() -> Self {
        Self {
            delays: (Duration::from_secs(1), Duration::from_secs(300)),
            evidence_within: Duration::from_secs(3600),
            escalate_after: Duration::from_secs(600),
            give_up_after: DAY.saturating_mul(30),
            max_bonded: 4,
            max_bond: U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]),
            proof_within: DAY,
            prover_tries: 100,
            prover_hangs: 3,
            published_within: DAY.saturating_mul(30),
            keep_ended: DAY.saturating_mul(30),
            max_ended: 4_096,
            max_outputs: 1_024,
            allow_development: false,
        }
    }
}

/// How long a prover may take to say what it is.
const ASKED_WITHIN: Duration = Duration::from_secs(300);

/// Whether proofs of `backend` are of use on L1. Asked before anything that costs something.
///
/// Errors: [`ZkError::NotAProof`], [`ZkError::NotForL1`], [`ZkError::Prover`], which is also what comes of five
/// minutes without an answer.
pub async fn check_backend(backend: &dyn ProofBackend) -> Result<(), ZkError> {
    let worth = answered(backend.worth()).await;
    match worth.map_err(ZkError::Prover)? {
        Worth::NotAProof => Err(ZkError::NotAProof(backend.name())),
        Worth::OnChain => Ok(()),
        _ => Err(ZkError::NotForL1(backend.name())),
    }
}

/// The id that `backend` has for the code of `program`.
///
/// Errors: as [`ProofBackend::program_id`], and five minutes without an answer.
pub async fn program_of(backend: &dyn ProofBackend, program: Program) -> Result<B256, ProveError> {
    answered(backend.program_id(program)).await
}

async fn answered<T>(asked: impl Future<Output = Result<T, ProveError>>) -> Result<T, ProveError> {
    let within = tokio::time::timeout(ASKED_WITHIN, asked).await;
    within.unwrap_or_else(|_| {
        let reason = format!("it has not answered in {} seconds", ASKED_WITHIN.as_secs());
        Err(ProveError::Backend(reason.into()))
    })
}

/// Why ZK mode does not start.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ZkError {
    /// The backend is for development.
    #[error("the backend {0} proves nothing, and every alert would lose its bond")]
    NotAProof(BackendName),
    /// The proofs are genuine, and no contract takes them.
    #[error(
        "the proofs of {0}, as it is set up, are genuine but not of the form that a contract on L1 \
         verifies, and every alert would lose its bond: a prover is needed that wraps them for the EVM"
    )]
    NotForL1(BackendName),
    /// The prover does not say what its proofs are worth.
    #[error("the prover does not answer")]
    Prover(#[source] ProveError),
    /// The contract's L1 chain has a larger id than chains have.
    #[error("the L1 chain id is too large")]
    ChainId,
    /// The store does not serve.
    #[error("the store of the cases")]
    Store(#[from] StoreError),
}
