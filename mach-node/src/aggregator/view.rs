//! What others see of the rounds.

use std::sync::Arc;

use alloy_primitives::B256;
use mach_bls::{OperatorKeys, Scheme, Tally};
use mach_core::{Bn254, Certificate, Confirmation, Curve, OperatorId, Stake, Statement, Threshold};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// Events that are kept for whoever is slow in taking them.
const EVENTS: usize = 1024;

/// A round at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoundView {
    /// Digest of the statement.
    pub digest: B256,
    /// What is signed.
    pub statement: Statement,
    /// L1 block that operators and stakes are taken at.
    pub reference_block: u32,
    /// How far each quorum is, in the order of the round.
    pub quorums: Vec<QuorumView>,
    /// Operators whose signatures count, ascending by id.
    pub signers: Vec<OperatorId>,
    /// All other operators, ascending by id.
    pub absent: Vec<OperatorId>,
    /// How far the round is.
    pub state: RoundState,
}

/// Who has signed a round, as it was when signatures were counted last. Readers take this, and hold up
/// nobody who counts.
#[derive(Debug)]
pub(super) struct Shown<S: Scheme> {
    keys: Arc<OperatorKeys<S>>,
    /// `signed[i]` is of the i-th operator of `keys`.
    signed: Vec<bool>,
    quorums: Vec<QuorumView>,
    pub(super) is_met: bool,
}

impl<S: Scheme> Shown<S> {
    pub(super) fn of(tally: &Tally<S>) -> Self {
        let terms = tally.round().terms().zip(tally.quorums());
        Self {
            keys: Arc::clone(tally.keys()),
            signed: tally.members().map(|(_, signed)| signed).collect(),
            quorums: terms
                .map(|((quorum, threshold), outcome)| QuorumView {
                    quorum,
                    signed: outcome.signed,
                    total: outcome.total,
                    threshold,
                })
                .collect(),
            is_met: tally.is_met(),
        }
    }

    pub(super) fn view(
        &self,
        digest: B256,
        statement: &Statement,
        reference_block: u32,
        state: RoundState,
    ) -> RoundView {
        let members = self.keys.operators().zip(self.signed.iter().copied());
        let (signers, absent): (Vec<_>, Vec<_>) = members.partition(|(_, signed)| *signed);
        let ids = |members: Vec<(OperatorId, bool)>| members.into_iter().map(|(id, _)| id);
        RoundView {
            digest,
            statement: statement.clone(),
            reference_block,
            quorums: self.quorums.clone(),
            signers: ids(signers).collect(),
            absent: ids(absent).collect(),
            state,
        }
    }
}

/// How far one quorum of a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuorumView {
    /// Number of the quorum.
    pub quorum: u8,
    /// Stake of those who signed.
    pub signed: Stake,
    /// Stake of all its members.
    pub total: Stake,
    /// Share that is needed.
    pub threshold: Threshold,
}

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum RoundState {
    /// Some quorum is below its threshold.
    Collecting,
    /// There is a certificate.
    Certified,
    /// The statement stands on L1.
    Confirmed(Confirmation),
    /// It is an alert that the owner of the contract removed on L1. It is not tried again.
    Withdrawn,
}

/// What happens to rounds.
#[derive(Clone, Debug)]
pub enum RoundEvent<C: Curve = Bn254> {
    /// A round began, with its first signatures.
    Opened(RoundView),
    /// More operators have signed. Signatures that come together make one event.
    Signed(RoundView),
    /// There is a certificate, or a better one: late signatures extend it. It is in the store.
    Certified {
        /// The round.
        view: RoundView,
        /// The certificate.
        certificate: Arc<Certificate<C>>,
    },
    /// The statement stands on L1.
    Confirmed {
        /// Digest of the statement.
        digest: B256,
        /// Where it stands.
        confirmation: Confirmation,
    },
    /// L1 had the statement and has it no more: a reorganisation took it back, and L1 does not take it again
    /// as things are. The round goes on.
    Lost {
        /// Digest of the statement.
        digest: B256,
    },
    /// The statement is an alert that the owner of the contract removed on L1.
    Withdrawn {
        /// Digest of the statement.
        digest: B256,
        /// L1 block at which that was found.
        l1_block: u64,
    },
    /// The round ended before its threshold was reached.
    Expired {
        /// Digest of the statement.
        digest: B256,
    },
}

/// Tells of events. Whoever does not listen costs nothing.
#[derive(Debug)]
pub(super) struct Events<C: Curve>(broadcast::Sender<RoundEvent<C>>);

impl<C: Curve> Events<C> {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(EVENTS))
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<RoundEvent<C>> {
        self.0.subscribe()
    }

    /// Makes the event only if somebody listens.
    pub(super) fn tell(&self, event: impl FnOnce() -> RoundEvent<C>) {
        if self.0.receiver_count() > 0 {
            // The last one may have gone meanwhile.
            let _ = self.0.send(event());
        }
    }
}
