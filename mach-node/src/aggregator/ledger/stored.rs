//! A round as it is stored.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::B256;
use mach_core::{Confirmation, Curve, G1Bytes, OperatorId, Round, Statement, ports::Progress};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// A round as it is stored, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::aggregator) struct StoredRound {
    pub(in crate::aggregator) statement: Statement,
    pub(in crate::aggregator) terms: Round,
    pub(in crate::aggregator) opened_at: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::aggregator) confirmation: Option<Confirmation>,
    /// Of a round that is not brought to L1: how many had signed when it had its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::aggregator) certified: Option<u64>,
    /// L1 block at which the alert was found to be removed by the owner of the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::aggregator) withdrawn: Option<u64>,
    /// Whether L1 had its statement and has it no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::aggregator) is_lost: bool,
    /// Whether it is being forgotten, and its signatures may be gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::aggregator) is_leaving: bool,
    /// Whether it has outlived its first terms.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::aggregator) is_renewed: bool,
}

impl StoredRound {
    /// A round that begins now.
    pub(in crate::aggregator) fn new(statement: Statement, terms: Round) -> Self {
        Self {
            statement,
            terms,
            opened_at: UnixTime::now(),
            confirmation: None,
            certified: None,
            withdrawn: None,
            is_lost: false,
            is_leaving: false,
            is_renewed: false,
        }
    }

    /// What the round has come to, if all that is to come is a better certificate.
    pub(in crate::aggregator) const fn closed(&self) -> Option<Progress> {
        match (self.withdrawn, self.confirmation, self.certified) {
            (Some(_), ..) => Some(Progress::Withdrawn),
            (None, Some(confirmation), _) => Some(Progress::Confirmed(confirmation)),
            (None, None, Some(signers)) => Some(Progress::Reached { signers }),
            (None, None, None) => None,
        }
    }

    /// L1 block since which L1 has what closed the round, for as long as it is known.
    pub(in crate::aggregator) fn on_l1_since(&self) -> Option<u64> {
        self.withdrawn
            .or_else(|| self.confirmation.map(|it| it.l1_block))
    }

    /// Whether L1 at this height is too far past the round.
    pub(in crate::aggregator) fn is_over(&self, head: u64, blocks: u32) -> bool {
        let reference_block = u64::from(self.terms.reference_block());
        self.closed().is_none() && head.saturating_sub(reference_block) > u64::from(blocks)
    }

    /// Whether the round goes on until L1 has its statement, however long that takes.
    pub(in crate::aggregator) const fn is_lasting(&self) -> bool {
        matches!(self.statement, Statement::Alert(_))
    }

    /// L1 block from which on what is kept of it grows old; `None` for what is kept for ever.
    pub(in crate::aggregator) const fn aged_from(&self) -> Option<u64> {
        match (&self.statement, &self.confirmation) {
            (Statement::Alert(_), _) => None,
            (_, Some(confirmation)) => Some(confirmation.l1_block),
            (_, None) => Some(self.terms.reference_block() as u64),
        }
    }

    /// Whether these are two copies of one round.
    pub(in crate::aggregator) fn is_same(&self, other: &Self) -> bool {
        self.opened_at == other.opened_at && self.terms == other.terms
    }

    /// Whether this is the other round in later terms.
    pub(in crate::aggregator) fn follows(&self, other: &Self) -> bool {
        self.opened_at == other.opened_at
            && self.terms.reference_block() > other.terms.reference_block()
    }

    /// Errors: [`StoreError::Backend`].
    pub(in crate::aggregator) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(StoreError::backend)
    }

    pub(super) fn signature<C: Curve>(
        &self,
        digest: &B256,
        operator: OperatorId,
        signature: &G1Bytes<C>,
    ) -> Vec<u8> {
        let mut key = self.signatures(digest);
        key.extend(operator.0);
        key.extend(signature.0.as_ref());
        key
    }

    /// What the keys of its signatures begin with.
    pub(super) fn signatures(&self, digest: &B256) -> Vec<u8> {
        [digest.as_slice(), &self.opened_at.0.to_be_bytes()].concat()
    }
}

/// A round with the bytes that it is stored as: whoever changes it expects them.
#[derive(Clone, Debug)]
pub(in crate::aggregator) struct StoredRow {
    pub(in crate::aggregator) round: StoredRound,
    pub(in crate::aggregator) bytes: Vec<u8>,
}

impl StoredRow {
    /// Errors: [`StoreError::Backend`].
    pub(in crate::aggregator) fn new(round: StoredRound) -> Result<Self, StoreError> {
        let bytes = round.encode()?;
        Ok(Self { round, bytes })
    }
}

/// Seconds since 1970. It tells rounds of one statement apart and nothing else: clocks jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::aggregator) struct UnixTime(u64);

impl UnixTime {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(since.unwrap_or_default().as_secs())
    }
}
