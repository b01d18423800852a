//! What there is to do in each stage.

use alloy_consensus::Header;
use alloy_primitives::B256;
use mach_core::{AlertKind, ports::BoxError};
use mach_prove::{Progress, ProofRequest, ProveError};
use tracing::debug;

use super::{
    Accusation, AlertState, Basis, Case, Descent, EvidenceMissing, Held, Inner, Stage, Target,
    ZkContractError, program_of, rows::Kept,
};
use crate::store::{Store, StoreError};

/// Why there is nothing to do about some alerts.
pub(super) const NO_CASE: &str =
    "neither a proof of execution nor the EVM shows it: it takes a quorum of operators";

/// What comes of a step.
pub(super) enum Step {
    /// The case goes on.
    Next {
        stage: Stage,
        basis: Option<Box<Basis>>,
        kept: Kept,
    },
    /// It goes back, and tries from there what did not succeed here.
    Back(Stage, BoxError),
    /// Something outside is not as it has to be: later.
    Later(BoxError),
    /// The prover did not do it: later, and not for ever.
    Prover(ProveError),
    /// The prover gave nothing in its time, and was stopped.
    Hung,
    /// Nothing is wrong, and there is nothing to do yet.
    Wait,
    /// Another case is at it: soon.
    Busy,
    /// It will not become otherwise by itself.
    Never {
        reason: String,
        /// Whether people may mend it.
        is_mendable: bool,
    },
}

impl Step {
    pub(super) fn next(stage: Stage) -> Self {
        Self::Next {
            stage,
            basis: None,
            kept: Kept::default(),
        }
    }

    /// The same with the way to the block kept.
    pub(super) fn with_descent(mut self, descent: Descent) -> Self {
        if let Self::Next { kept, .. } = &mut self {
            kept.descent = Some(Box::new(descent));
        }
        self
    }

    pub(super) fn never(reason: impl Into<String>) -> Self {
        Self::Never {
            reason: reason.into(),
            is_mendable: false,
        }
    }
}

impl From<StoreError> for Step {
    fn from(error: StoreError) -> Self {
        Self::Later(Box::new(error))
    }
}

impl From<ZkContractError> for Step {
    /// Of a call after which nothing else is to be accused.
    fn from(error: ZkContractError) -> Self {
        if error.is_transient() {
            Self::Later(Box::new(error))
        } else {
            Self::Never {
                reason: chain(&error),
                is_mendable: true,
            }
        }
    }
}

impl From<ProveError> for Step {
    fn from(error: ProveError) -> Self {
        match error {
            // The guest has run on the same input here, and did not refuse it.
            ProveError::Refused(_) => Self::Never {
                reason: chain(&error),
                is_mendable: true,
            },
            error => Self::Prover(error),
        }
    }
}

impl<S: Store> Inner<S> {
    pub(super) async fn step(&self, digest: &B256, case: &Case) -> Step {
        let step = match &case.stage {
            Stage::Found => self.choose(digest, case).await,
            Stage::Chosen { target } => self.raise(digest, case, target).await,
            Stage::Raised { id, target } => self.prove(case, *id, target).await,
            // What was proved needs nothing any more but to be handed in.
            Stage::Proved { id, target } => self.submit(digest, *id, target).await,
            Stage::Shown { id } => self.follow(digest, case, *id).await,
            Stage::Opened => self.convict(digest, case).await,
            Stage::Convicted { id, target } => self.settle(digest, case, *id, target).await,
            Stage::Done { .. } | Stage::GivenUp { .. } => Err(Step::Wait),
        };
        step.unwrap_or_else(|step| step)
    }

    /// Decides what is accused. Nothing is sent.
    async fn choose(&self, digest: &B256, case: &Case) -> Result<Step, Step> {
        match case.alert.kind {
            AlertKind::InvalidBlock => {}
            AlertKind::InvalidOutputProposal => return self.open(case).await,
            // Of an earlier version, which made cases of them.
            _ => return Err(Step::never(NO_CASE)),
        }
        // What was accused is there no more. A proof that is kept takes no evidence.
        if let Some(accusation) = case.accusation()
            && self.rows.proof(digest).await?.is_some()
        {
            let (target, descent) = self.chosen(&accusation).await?;
            return Ok(Step::next(Stage::Chosen { target }).with_descent(descent));
        }
        let (request, header) = self.request(case).await?;
        let basis = Basis {
            header: alloy_rlp::encode(&header).into(),
            journal: *request.journal(),
            program: request.program(),
        };
        self.admit(&basis).await?;
        let accusation = Accusation {
            alert: case.alert.clone(),
            journal: basis.journal,
            header,
        };
        let (target, descent) = self.chosen(&accusation).await?;
        let next = Step::Next {
            stage: Stage::Chosen { target },
            basis: Some(Box::new(basis)),
            kept: Kept::default(),
        };
        Ok(next.with_descent(descent))
    }

    pub(super) async fn chosen(&self, accusation: &Accusation) -> Result<(Target, Descent), Step> {
        self.contract
            .choose(accusation)
            .await
            .map_err(|error| match error {
                ZkContractError::Refused(_) => Step::never(chain(&error)),
                ZkContractError::Gone(_) => Step::Later(Box::new(error)),
                error => error.into(),
            })
    }

    /// Whether a proof would count, before a bond is paid for it.
    async fn admit(&self, basis: &Basis) -> Result<(), Step> {
        let program_id = program_of(&*self.backend, basis.program).await?;
        let config_hash = basis.journal.config_hash;
        let admitted = self.contract.admit(basis.program, program_id, config_hash);
        Ok(admitted.await?)
    }

    async fn raise(&self, digest: &B256, case: &Case, target: &Target) -> Result<Step, Step> {
        let (proof, target) = (self.rows.proof(digest).await?, *target);
        // Nothing is proved twice, and no bond waits for that.
        let raised = |id| match proof {
            Some(_) => Stage::Proved { id, target },
            None => Stage::Raised { id, target },
        };
        // It may be there: of an earlier process, or of somebody else.
        if let Some(proof) = &proof {
            if let Some(id) = self.contract.find(&target).await? {
                return Ok(Step::next(raised(id)));
            }
            if target.is_published() {
                let descent = self.rows.descent(digest).await?.unwrap_or_default();
                return match self.contract.accuse(&target, &descent, proof).await {
                    Ok(id) => Ok(Step::next(Stage::Convicted { id, target })),
                    Err(error) => Self::not_there(error),
                };
            }
        }
        if !self.may_raise(digest) {
            return Ok(Step::Busy);
        }
        if let Some(id) = self.contract.find(&target).await? {
            return Ok(Step::next(raised(id)));
        }
        if let Some(basis) = &case.basis {
            self.admit(basis).await?;
        }
        match self.contract.raise(&target, self.config.max_bond).await {
            Ok(id) => Ok(Step::next(raised(id))),
            Err(error) => Self::not_there(error),
        }
    }

    /// What was chosen may have gone: chosen anew then.
    fn not_there(error: ZkContractError) -> Result<Step, Step> {
        match error {
            ZkContractError::Gone(_) => Ok(Step::Back(Stage::Found, Box::new(error))),
            error => Err(error.into()),
        }
    }

    /// Whether one more bond may be paid: few alerts of ours wait for a proof, and with the older cases
    /// that wait to be raised they still are few. The case counts as raised for as long as it is worked on.
    fn may_raise(&self, digest: &B256) -> bool {
        let cases = self.cases();
        let mut raising = self.raising();
        let age = |digest: &B256, case: &Case| (case.found_at, case.alert.block.number, *digest);
        let Some(own) = cases.get(digest).map(|held| age(digest, &held.case)) else {
            return false;
        };
        let before = cases.iter().filter(|(other, Held { case, .. })| {
            let waits = matches!(case.stage, Stage::Chosen { .. }) && age(other, case) < own;
            *other != digest && (case.stage.is_bonded() || raising.contains(*other) || waits)
        });
        before.count() < self.config.max_bonded.max(1) && raising.insert(*digest)
    }

    async fn prove(&self, case: &Case, id: B256, target: &Target) -> Result<Step, Step> {
        let Ok(_turn) = self.proving.try_acquire() else {
            return Ok(Step::Busy);
        };
        if let Some(step) = self.over(id, target).await? {
            return Ok(step);
        }
        let (request, _) = self.request(case).await?;
        let hear = |progress| {
            if let Progress::Segment { done, total } = progress {
                debug!(done, total, "proving");
            }
        };
        // When its time is over it is dropped, which stops it.
        let proving = self.backend.prove(&request, &hear);
        let proof = match tokio::time::timeout(self.config.proof_within, proving).await {
            Ok(proof) => proof?,
            Err(_) => return Err(Step::Hung),
        };
        if proof.journal != *request.journal() {
            let reason = "the prover proved something else";
            return Err(Step::Prover(ProveError::Backend(reason.into())));
        }
        let target = *target;
        Ok(Step::Next {
            stage: Stage::Proved { id, target },
            basis: None,
            kept: Kept {
                proof: Some(Box::new(proof)),
                descent: None,
            },
        })
    }

    async fn submit(&self, digest: &B256, id: B256, target: &Target) -> Result<Step, Step> {
        if let Some(step) = self.over(id, target).await? {
            return Ok(step);
        }
        let target = *target;
        let Some(proof) = self.rows.proof(digest).await? else {
            // Made again, or found again by the prover.
            let reason = "the proof that was kept cannot be read";
            return Ok(Step::Back(Stage::Raised { id, target }, reason.into()));
        };
        let descent = self.rows.descent(digest).await?.unwrap_or_default();
        let sent = self.contract.submit(id, &target, &descent, &proof);
        match sent.await {
            Ok(()) => Ok(Step::next(after(id, &target))),
            Err(error @ ZkContractError::Gone(_)) => {
                Ok(Step::Back(Stage::Chosen { target }, Box::new(error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is to be proved. The guest has to say the very fault of the alert.
    async fn request(&self, case: &Case) -> Result<(ProofRequest, Header), Step> {
        // Once a bond is paid, what is not as it was is not final.
        let is_bonded = case.basis.is_some() && !matches!(case.stage, Stage::Found);
        let refuse = |reason: String| match is_bonded {
            true => Step::Later(reason.into()),
            false => Step::never(reason),
        };
        let evidence = match self.evidence.evidence(&case.alert).await {
            Ok(evidence) => evidence,
            Err(error) => {
                let age = self.clock.since_here(case.found_at);
                let is_late = age >= self.config.evidence_within;
                return Err(match error {
                    error if is_late && !is_bonded => Step::never(chain(&error)),
                    EvidenceMissing::NotYet if !is_bonded => Step::Wait,
                    error => Step::Later(Box::new(error)),
                });
            }
        };
        let context = self.context;
        let header = evidence.block().header.inner().clone();
        let request = tokio::task::spawn_blocking(move || {
            ProofRequest::from_evidence(context, &evidence).map_err(|error| chain(&error))
        });
        let request = match request.await {
            Ok(Ok(request)) => request,
            Ok(Err(reason)) => return Err(refuse(reason)),
            Err(error) => return Err(Step::Later(Box::new(error))),
        };
        let (journal, alert) = (request.journal(), &case.alert);
        let is_same = journal.block_hash == alert.block.hash
            && journal.fault == alert.rule
            && journal.claimed == alert.claimed
            && journal.computed == alert.computed;
        if is_same {
            Ok((request, header))
        } else {
            Err(refuse(
                "the evidence says something else than the alert".to_owned(),
            ))
        }
    }

    /// What there is to do about an alert that takes no proof, if it does not.
    async fn over(&self, id: B256, target: &Target) -> Result<Option<Step>, Step> {
        match self.contract.state(id, target).await? {
            // The bond of an expired one, or of one that was refuted, is lost; the proof convicts all
            // the same.
            AlertState::Raised | AlertState::Expired | AlertState::Refuted => Ok(None),
            AlertState::Proved => Ok(Some(Step::next(after(id, target)))),
            AlertState::Missing => {
                let target = *target;
                let reason = "the alert is not where it was";
                Ok(Some(Step::Back(Stage::Chosen { target }, reason.into())))
            }
        }
    }
}

/// Where a case goes on when its alert is decided.
const fn after(id: B256, target: &Target) -> Stage {
    match target {
        Target::Block { .. } => Stage::Shown { id },
        Target::Published(_) => Stage::Convicted {
            id,
            target: *target,
        },
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
