//! What stands between an operator and its registration, found before anything is sent.

mod account;
mod chain;
mod finding;
mod operator;
mod quorum;
mod text;

use alloy_primitives::Address;
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{BlockId, BlockNumberOrTag};
use alloy_sol_types::SolCall;
use mach_core::{G1Bytes, QuorumNumbers};

pub use finding::{Finding, Severity, Subject};
pub use operator::allowlisted;
pub use text::{amount, ether};

use crate::{CallError, Consent, Deployment, DeploymentFile, call::call};

/// Who is examined, and for what.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Account of the operator.
    pub operator: Address,
    /// Its BLS key in G1, if it is at hand.
    pub key: Option<G1Bytes>,
    /// Quorums that are meant.
    pub quorums: QuorumNumbers,
    /// Account that pays, if it is at hand.
    pub payer: Option<Address>,
    /// What the operator means to do.
    pub intent: Intent,
    /// Consent that is going to be used, if it is made already.
    pub consent: Option<Consent>,
}

/// What an operator means to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Join the quorums.
    Join,
    /// Leave the quorums.
    Leave,
}

/// What an examination found.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The deployment as it is on the chain; `None` if it cannot be used, which a finding explains.
    pub deployment: Option<Deployment>,
    /// Everything that was looked at, in order.
    pub findings: Vec<Finding>,
}

impl Examination {
    /// Worst of the findings.
    pub fn severity(&self) -> Severity {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().unwrap_or(Severity::Passed)
    }

    /// What has to be solved before anything can be sent.
    pub fn blockers(&self) -> impl Iterator<Item = &Finding> {
        let blocks = |finding: &&Finding| finding.severity == Severity::Blocker;
        self.findings.iter().filter(blocks)
    }
}

/// Looks at the chain behind `provider`, the contracts that `file` names and, if there is one, the
/// operator. Nothing is sent.
///
/// What cannot be asked is a finding too, so that one dumb answer does not hide the others.
///
/// `now` is the machine's clock, in seconds since the Unix epoch.
pub async fn examine(
    provider: impl Provider + 'static,
    file: &DeploymentFile,
    candidate: Option<&Candidate>,
    now: u64,
) -> Examination {
    let mut doctor = Doctor {
        provider: provider.erased(),
        findings: Vec::new(),
    };
    let deployment = doctor.contracts(file).await;
    let Some(deployment) = deployment else {
        return Examination {
            deployment,
            findings: doctor.findings,
        };
    };
    let head = doctor.head(now).await;
    if let Some(head) = head {
        doctor.limits(&deployment, head.number).await;
    }
    doctor.service_manager(&deployment).await;
    if let Some(candidate) = candidate {
        doctor.candidate(&deployment, candidate, head).await;
    }
    Examination {
        deployment: Some(deployment),
        findings: doctor.findings,
    }
}

/// Height and time of the newest block.
#[derive(Clone, Copy, Debug)]
struct Head {
    number: u64,
    timestamp: u64,
}

#[derive(Debug)]
struct Doctor {
    provider: DynProvider,
    findings: Vec<Finding>,
}

impl Doctor {
    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Takes an answer, or notes that there is none.
    fn heard<T>(&mut self, subject: Subject, answer: Result<T, CallError>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                let told = text::chain_of(&error);
                self.found(if error.is_transient() {
                    Finding::warning(
                        subject,
                        format!("cannot be checked: {told}"),
                        "try again, or another --l1-rpc",
                    )
                } else {
                    Finding::blocker(
                        Subject::Functions,
                        format!("the contracts are not as this tool knows them: {told}"),
                        "check the deployment; if it is right, the contracts are newer: update this tool",
                    )
                });
                None
            }
        }
    }

    async fn ask<C: SolCall>(&self, to: Address, request: C) -> Result<C::Return, CallError> {
        call(&self.provider, to, &request).await
    }

    async fn candidate(
        &mut self,
        deployment: &Deployment,
        candidate: &Candidate,
        head: Option<Head>,
    ) {
        if let Some(registration) = self.registration(deployment, &candidate.quorums).await {
            let status = registration.status(candidate.operator).await;
            if let Some(status) = self.heard(Subject::Registration, status) {
                let time = head.map(|head| head.timestamp);
                self.operator(registration.avs(), candidate, &status, time)
                    .await;
                self.quorums(candidate, &status);
            }
        }
        self.balance(candidate).await;
    }

    async fn head(&mut self, now: u64) -> Option<Head> {
        let latest = BlockId::Number(BlockNumberOrTag::Latest);
        let block = self.provider.get_block(latest).await;
        let block = self.heard(Subject::Clock, block.map_err(CallError::from))?;
        let head = block.map(|block| Head {
            number: block.header.number,
            timestamp: block.header.timestamp,
        });
        match head {
            Some(head) => self.clock(head, now),
            None => self.found(Finding::warning(
                Subject::Clock,
                "the node has no newest block",
                "wait until it is in sync, or use another --l1-rpc",
            )),
        }
        head
    }
}
