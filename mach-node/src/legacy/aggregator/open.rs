//! One task in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{B256, TxHash};
use mach_bls::{OperatorKeys, Signature};
use mach_core::{G1Bytes, OperatorId, Round, legacy::AlertCertificate};
use tokio::{sync::OnceCell, time::Instant};

use super::{AlertTask, DigestRule, TaskError, rows::StoredTask, tasks::lock};

/// A task. What it takes is stored before it is counted here.
pub(super) struct Task {
    pub(super) alert_hash: B256,
    pub(super) index: u32,
    pub(super) round: Round,
    /// Those of its operators, once they are needed.
    pub(super) keys: OnceCell<Arc<OperatorKeys>>,
    /// When this process opened it or took it from the store.
    pub(super) opened: Instant,
    /// Whether the store may have signatures that are not counted here: another instance's, or of before a restart.
    is_signed: AtomicBool,
    phase: Mutex<Phase>,
}

/// Signatures of one task, each of which is right.
pub(super) type Signatures = BTreeMap<OperatorId, Signature>;

enum Phase {
    Collecting(Signatures),
    /// On the way to L1.
    Confirming,
    Finished(TxHash),
}

impl Task {
    /// A task as it is stored, without its signatures.
    pub(super) fn new(alert_hash: B256, stored: StoredTask) -> Self {
        let phase = match stored.finished {
            Some(transaction) => Phase::Finished(transaction),
            None => Phase::Collecting(BTreeMap::new()),
        };
        Self {
            alert_hash,
            index: stored.index,
            round: stored.round,
            keys: OnceCell::new(),
            opened: Instant::now(),
            is_signed: AtomicBool::new(stored.is_signed),
            phase: Mutex::new(phase),
        }
    }

    /// What operators are told of it.
    ///
    /// Errors: [`TaskError::AlreadyFinished`].
    pub(super) fn info(&self) -> Result<AlertTask, TaskError> {
        let phase = self.phase();
        if let Phase::Finished(_) = *phase {
            return Err(self.closed(&phase));
        }
        let round = &self.round;
        let thresholds = round.terms().map(|(_, threshold)| threshold.value());
        Ok(AlertTask {
            alert_hash: self.alert_hash,
            quorum_numbers: round.quorums().as_bytes().to_vec(),
            quorum_threshold_percentages: thresholds.collect(),
            task_index: self.index,
            reference_block_number: round.reference_block().into(),
        })
    }

    /// Whether it ended without having reached its thresholds.
    pub(super) fn is_over(&self, lifetime: Duration) -> bool {
        match *self.phase() {
            Phase::Collecting(_) => self.opened.elapsed() >= lifetime,
            Phase::Confirming | Phase::Finished(_) => false,
        }
    }

    /// Whether another one may take its place: L1 has its alert, or nobody has signed it as far as is known here.
    pub(super) fn makes_room(&self) -> bool {
        match &*self.phase() {
            Phase::Collecting(signatures) => {
                signatures.is_empty() && !self.is_signed.load(Ordering::Relaxed)
            }
            Phase::Confirming => false,
            Phase::Finished(_) => true,
        }
    }

    /// Whether L1 has its alert.
    pub(super) fn is_finished(&self) -> bool {
        matches!(*self.phase(), Phase::Finished(_))
    }

    /// Takes that the store has signatures of it.
    pub(super) fn signed(&self) {
        self.is_signed.store(true, Ordering::Relaxed);
    }

    /// Checks a signature.
    pub(super) fn prove(
        &self,
        keys: &OperatorKeys,
        digest: B256,
        operator: OperatorId,
        signature: &G1Bytes,
    ) -> Result<Signature, TaskError> {
        let key = keys.key(&operator).ok_or(TaskError::NotInQuorum {
            task: self.index,
            operator,
        })?;
        let signature = Signature::from_bytes(signature)
            .map_err(|error| TaskError::Malformed(Box::new(error)))?;
        key.verify(digest, &signature)
            .map_err(|_| TaskError::WrongSignature)?;
        Ok(signature)
    }

    /// Whether this operator's signature counts; it has but one.
    ///
    /// Errors: [`TaskError`] if the task takes no signatures.
    pub(super) fn has(&self, operator: &OperatorId) -> Result<bool, TaskError> {
        let phase = self.phase();
        match &*phase {
            Phase::Collecting(signatures) => Ok(signatures.contains_key(operator)),
            other => Err(self.closed(other)),
        }
    }

    /// Counts a signature that was checked and is durable.
    ///
    /// Errors: as [`Self::has`].
    pub(super) fn insert(
        &self,
        operator: OperatorId,
        signature: Signature,
    ) -> Result<(), TaskError> {
        let mut phase = self.phase();
        match &mut *phase {
            Phase::Collecting(signatures) => {
                signatures.insert(operator, signature);
                Ok(())
            }
            other => Err(self.closed(other)),
        }
    }

    /// Counts what is stored: each that is not known is proved, for who wrote it is not known either. Gives all
    /// signatures if they are enough, once.
    pub(super) fn count(
        &self,
        keys: &OperatorKeys,
        digest: B256,
        stored: &[(OperatorId, G1Bytes)],
    ) -> Option<Signatures> {
        for (operator, signature) in stored {
            if !self.has(operator).ok()?
                && let Ok(signature) = self.prove(keys, digest, *operator, signature)
            {
                self.insert(*operator, signature).ok()?;
            }
        }
        let mut phase = self.phase();
        let Phase::Collecting(signatures) = &mut *phase else {
            return None;
        };
        let quorums = keys.aggregate(signatures).quorums;
        let is_met = (self.round.terms().zip(&quorums))
            .all(|((_, threshold), tally)| threshold.is_met(tally.signed, tally.total));
        if !is_met {
            return None;
        }
        let signatures = std::mem::take(signatures);
        *phase = Phase::Confirming;
        Some(signatures)
    }

    /// Takes that the alert stands on L1.
    pub(super) fn finished(&self, transaction: TxHash) {
        *self.phase() = Phase::Finished(transaction);
    }

    /// Takes that L1 did not take the certificate of these.
    pub(super) fn refused(&self, signatures: Signatures) {
        let mut phase = self.phase();
        if let Phase::Confirming = *phase {
            *phase = Phase::Collecting(signatures);
        }
    }

    pub(super) fn certificate(
        &self,
        keys: &OperatorKeys,
        digest: &DigestRule,
        signatures: &Signatures,
    ) -> AlertCertificate {
        let aggregate = keys.aggregate(signatures);
        AlertCertificate {
            message_hash: self.alert_hash,
            rollup_chain_id: match digest {
                DigestRule::V1 => None,
                DigestRule::V2(rollup) => Some(*rollup),
            },
            round: self.round.clone(),
            non_signers: aggregate.non_signers,
            quorums: aggregate.quorums,
            apk_g2: aggregate.apk_g2,
            sigma: aggregate.sigma,
        }
    }

    /// Why a task in this phase takes no signatures.
    const fn closed(&self, phase: &Phase) -> TaskError {
        match phase {
            Phase::Finished(transaction) => TaskError::AlreadyFinished {
                alert_hash: self.alert_hash,
                transaction: *transaction,
            },
            Phase::Collecting(_) | Phase::Confirming => TaskError::NotOpen(self.index),
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        lock(&self.phase)
    }
}
