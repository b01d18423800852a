//! What there is to do once a proof is there, or where none is needed.

use std::{mem, ops::RangeInclusive, time::Duration};

use alloy_primitives::B256;
use mach_core::AlertKind;
use tracing::info;

use super::{
    AlertState, Case, Clock, Descent, Held, Inner, Stage, Target, ZkContractError,
    rows::Kept,
    step::{Step, chain},
};
use crate::store::{Store, StoreError};

/// Why a wrong output root is not convicted.
const NOT_OPENED: &str = "no op-node says what the output root is the hash of, so that the EVM cannot see that it is wrong";

impl<S: Store> Inner<S> {
    /// Looks for something on L1 that leads to a block that was shown to be wrong, and accuses it.
    pub(super) async fn follow(&self, digest: &B256, case: &Case, id: B256) -> Result<Step, Step> {
        let Some(basis) = &case.basis else {
            return Ok(Step::next(Stage::Done { id }));
        };
        let Some(accusation) = case.accusation() else {
            return Err(Step::never("the header that was kept is damaged"));
        };
        let block = basis.block();
        if let Some(step) = self.taken_back(case, id, &block).await? {
            return Ok(step);
        }
        let (target, descent) = self.chosen(&accusation).await?;
        if !target.is_published() {
            if self.is_within(case, self.config.published_within) {
                return Ok(Step::Wait);
            }
            info!(block = %case.alert.block, "nothing on L1 leads to the block any more");
            return Ok(Step::next(Stage::Convicted { id, target: block }));
        }
        let proof = self.rows.proof(digest).await?;
        let found = self.contract.find(&target).await?;
        let stage = match (found, &proof) {
            (Some(id), Some(_)) => Stage::Proved { id, target },
            (Some(id), None) => Stage::Raised { id, target },
            // Somebody else's proof has shown the block, and this takes one of ours.
            (None, None) => Stage::Chosen { target },
            (None, Some(proof)) => {
                let accused = self.contract.accuse(&target, &descent, proof).await;
                let id = accused.map_err(|error| match error {
                    // Something else is there by now, or nothing: looked for again.
                    ZkContractError::Gone(_) => Step::Later(Box::new(error)),
                    error => error.into(),
                })?;
                Stage::Convicted { id, target }
            }
        };
        Ok(Step::next(stage).with_descent(descent))
    }

    /// Finds out what a wrong output root is the hash of, for as long as somebody says.
    pub(super) async fn open(&self, case: &Case) -> Result<Step, Step> {
        let opened = self.contract.open(&case.alert).await;
        match opened.map_err(|error| match error {
            ZkContractError::Refused(_) => Step::never(chain(&error)),
            error => error.into(),
        })? {
            Some(opened) => Ok(Step::next(Stage::Opened).with_descent(opened)),
            None if self.is_within(case, self.config.evidence_within) => Ok(Step::Wait),
            // Somebody may say so yet, the proposer at the latest when it withdraws by it.
            None => Err(Step::Later(NOT_OPENED.into())),
        }
    }

    /// Convicts a wrong output root once it stands on L1.
    pub(super) async fn convict(&self, digest: &B256, case: &Case) -> Result<Step, Step> {
        let Some(opened) = self.rows.descent(digest).await? else {
            let reason = "what the output root is the hash of cannot be read";
            return Ok(Step::Back(Stage::Found, reason.into()));
        };
        self.held(digest, |held| held.again = false);
        match self.contract.convict(&case.alert, &opened).await {
            Ok(Some((id, target))) => Ok(Step::next(Stage::Convicted { id, target })),
            Ok(None) if self.is_within(case, self.config.published_within) => Ok(Step::Wait),
            Ok(None) => Err(Step::never("the output root was not proposed on L1")),
            // Looked for again.
            Err(error @ ZkContractError::Gone(_)) => Err(Step::Later(Box::new(error))),
            Err(error) => Err(error.into()),
        }
    }

    fn is_within(&self, case: &Case, span: Duration) -> bool {
        self.clock.since(case.found_at) < span
    }

    /// Waits until L1 does not take back what it has decided.
    pub(super) async fn settle(
        &self,
        digest: &B256,
        case: &Case,
        id: B256,
        target: &Target,
    ) -> Result<Step, Step> {
        if let Some(step) = self.taken_back(case, id, target).await? {
            return Ok(step);
        }
        if !self.contract.is_settled(id, target).await? {
            return Ok(Step::Wait);
        }
        if self.held(digest, |held| mem::take(&mut held.again)) != Some(true) {
            return Ok(Step::next(Stage::Done { id }));
        }
        // Proposed once more, it may: what it takes to convict it is still there.
        if case.basis.is_none() {
            return Ok(Step::next(Stage::Opened));
        }
        let again = self.proposed_again(digest, case).await;
        if !matches!(again, Ok(None)) {
            // There may be more.
            self.held(digest, |held| held.again = true);
        }
        Ok(match again? {
            Some((target, descent)) => Step::next(Stage::Chosen { target }).with_descent(descent),
            None => Step::next(Stage::Done { id }),
        })
    }

    /// Takes up the cases of wrong blocks of these heights that are over, where something leads to one by now that is not
    /// convicted; the others look for that before they are over.
    ///
    /// Errors: it is not known whether something does.
    pub(super) async fn take_up(
        &self,
        heights: RangeInclusive<u64>,
    ) -> Result<(), ZkContractError> {
        let mut over = Vec::new();
        // None is over while this is said to it.
        let writing = self.writing.lock().await;
        for (digest, held) in self.cases().iter_mut() {
            let Held { case, again, .. } = held;
            let alert = &case.alert;
            if alert.kind != AlertKind::InvalidBlock || !heights.contains(&alert.block.number) {
                continue;
            }
            match case.stage {
                Stage::Done { .. } => over.push((*digest, case.clone())),
                _ => *again = true,
            }
        }
        drop(writing);
        let mut failure = None;
        for (digest, case) in over {
            let (target, descent) = match self.proposed_again(&digest, &case).await {
                Ok(Some(again)) => again,
                Ok(None) => continue,
                // One that is not known about hides no other.
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            info!(block = %case.alert.block, ?target, "what leads to a wrong block is proposed again");
            let case = Case {
                found_at: Clock::date(),
                stage: Stage::Chosen { target },
                ended_at: None,
                ..case
            };
            let kept = Kept {
                proof: None,
                descent: Some(Box::new(descent)),
            };
            if !self.keep(digest, case, &kept).await {
                failure = Some(ZkContractError::Backend("the case is not kept".into()));
            }
            self.queued.notify_one();
        }
        failure.map_or(Ok(()), Err)
    }

    /// What leads to a wrong block on L1, if it is not convicted yet and a proof is kept that does it: without one it would
    /// cost another bond, and evidence that may be away by now.
    async fn proposed_again(
        &self,
        digest: &B256,
        case: &Case,
    ) -> Result<Option<(Target, Descent)>, ZkContractError> {
        let Some(accusation) = case.accusation() else {
            return Ok(None);
        };
        let unread = |error: StoreError| ZkContractError::Backend(error.into());
        if self.rows.proof(digest).await.map_err(unread)?.is_none() {
            return Ok(None);
        }
        self.contract.unconvicted(&accusation).await
    }

    /// Where a case goes on whose alert was decided, if L1 says no more that it was.
    async fn taken_back(
        &self,
        case: &Case,
        id: B256,
        target: &Target,
    ) -> Result<Option<Step>, Step> {
        let target = *target;
        let stage = match self.contract.state(id, &target).await? {
            AlertState::Proved => return Ok(None),
            // It took no proof.
            _ if case.basis.is_none() => Stage::Opened,
            AlertState::Missing => Stage::Chosen { target },
            AlertState::Raised | AlertState::Expired | AlertState::Refuted => {
                Stage::Proved { id, target }
            }
        };
        let reason = "L1 was reorganised, and the proof is not there any more";
        Ok(Some(Step::Back(stage, reason.into())))
    }
}
