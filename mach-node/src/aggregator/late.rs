//! Signatures of statements whose rounds are closed.

use std::sync::Arc;

use alloy_primitives::B256;
use mach_bls::{Scheme, Signature, Tally};
use mach_core::{
    Certificate, SignedStatement,
    ports::{AggregateError, Progress},
};
use tracing::warn;

use super::{
    Shared, blocking,
    ledger::{Recorded, StoredRound, StoredRow},
    round::OpenRound,
    rounds::Inserted,
    unstored,
};

/// A round of which only the store knows, and all that is to come is a better certificate.
pub(super) struct Closed<S: Scheme> {
    pub(super) round: StoredRound,
    pub(super) progress: Progress,
    /// Its bytes; `None` if there is a certificate and no round to it.
    row: Option<Vec<u8>>,
    certificate: Option<Certificate<S>>,
}

impl<S: Scheme> Closed<S> {
    /// As it is stored; `None` if it is open.
    pub(super) fn new(row: StoredRow) -> Option<Self> {
        Some(Self {
            progress: row.round.closed()?,
            round: row.round,
            row: Some(row.bytes),
            certificate: None,
        })
    }

    /// What a certificate is left of.
    pub(super) fn of(certificate: Certificate<S>) -> Self {
        // How many there are L1 knows, and is not asked for it.
        let signers = 0;
        let round = StoredRound::new(certificate.statement.clone(), certificate.round.clone());
        Self {
            round: StoredRound {
                certified: Some(signers),
                ..round
            },
            progress: Progress::Reached { signers },
            row: None,
            certificate: Some(certificate),
        }
    }
}

impl<S: Scheme> Shared<S> {
    /// A closed round back in memory, for a signature that its certificate does not have; `None` if it has.
    ///
    /// Who sends it may be anybody. L1 is asked for operators of long ago only once it is known that
    /// the signature is right.
    ///
    /// Errors: [`AggregateError::TooLate`] if the signature cannot be kept any more, [`AggregateError::Busy`] if
    /// too many come.
    pub(super) async fn late(
        &self,
        digest: B256,
        closed: Closed<S>,
        signed: &SignedStatement<S>,
        is_paid: &mut bool,
    ) -> Result<Option<Arc<OpenRound<S>>>, AggregateError> {
        let operator = signed.operator;
        let too_late = |reason: &str| {
            warn!(%digest, %operator, reason, "a signature comes too late and is not kept");
            AggregateError::TooLate(digest)
        };
        let certificate = match closed.certificate {
            Some(certificate) => Some(certificate),
            None => self.ledger.certificate(&digest).await.map_err(unstored)?,
        };
        let Some(certificate) = certificate else {
            return Err(too_late("there is no certificate to extend"));
        };
        self.check_age(digest, &closed.round).await?;
        let newest = self.keys(self.terms().await?.reference_block()).await?;
        let Some(key) = newest.key(&operator).cloned() else {
            return Err(AggregateError::UnknownOperator(operator));
        };
        let wrong = || AggregateError::BadSignature(operator);
        let signature = Signature::from_bytes(&signed.signature).map_err(|_| wrong())?;
        let permit = self.proving.acquire().await;
        let verified = blocking(move || key.verify(digest, &signature)).await?;
        drop(permit);
        verified.map_err(|_| wrong())?;
        if !*is_paid && !self.pace.take(operator) {
            return Err(AggregateError::Busy);
        }
        *is_paid = true;
        // One of an earlier round that covers more stake is extended in its own terms.
        let keys = match self.keys(certificate.round.reference_block()).await {
            Ok(keys) => keys,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                warn!(%digest, %error, "operators of the round");
                return Err(too_late("L1 does not know its operators any more"));
            }
        };
        if keys.key(&operator).is_none() {
            return Err(AggregateError::UnknownOperator(operator));
        }
        if certificate.non_signers.iter().all(|it| it.id != operator) {
            return Ok(None);
        }
        let row = match closed.row {
            Some(bytes) => StoredRow {
                round: closed.round,
                bytes,
            },
            None => {
                let signers = keys.len().saturating_sub(certificate.non_signers.len());
                let round = StoredRound {
                    certified: Some(signers as u64),
                    ..closed.round
                };
                self.adopt(&digest, round).await?
            }
        };
        let beside = self.ledger.signatures(&digest, &row.round).await;
        let beside = beside.map_err(unstored)?;
        let permit = self.proving.acquire().await;
        let reopened = blocking(move || {
            let tally = Tally::resume(&certificate, keys)?;
            Ok::<_, mach_bls::TallyError>(OpenRound::reopen(
                digest,
                tally,
                row,
                &beside,
                certificate,
            ))
        });
        let reopened = reopened.await?;
        drop(permit);
        match reopened {
            Ok(round) => match self.keep(round).await? {
                Inserted::New(round) | Inserted::Known(round) => Ok(Some(round)),
            },
            Err(error) => {
                warn!(%digest, %error, "operators of the round");
                Err(too_late("L1 knows other operators by now"))
            }
        }
    }

    /// Errors: [`AggregateError::TooLate`] if late signatures do not extend the certificate any more.
    pub(super) async fn check_age(
        &self,
        digest: B256,
        round: &StoredRound,
    ) -> Result<(), AggregateError> {
        let Some(since) = round.aged_from() else {
            return Ok(());
        };
        if self.head().await?.saturating_sub(since) > self.config.retention.rounds {
            return Err(AggregateError::TooLate(digest));
        }
        Ok(())
    }

    /// Errors: [`AggregateError::TooLate`] if the terms of a closed alert are too old for operators to sign in
    /// them. Whoever has signed already is heard.
    pub(super) async fn check_terms(
        &self,
        digest: B256,
        round: &StoredRound,
    ) -> Result<(), AggregateError> {
        let reference_block = u64::from(round.terms.reference_block());
        if round.is_lasting()
            && self.head().await?.saturating_sub(reference_block) > self.config.round_blocks.into()
        {
            return Err(AggregateError::TooLate(digest));
        }
        Ok(())
    }

    /// Makes a round of what its certificate says.
    async fn adopt(&self, digest: &B256, round: StoredRound) -> Result<StoredRow, AggregateError> {
        let bytes = round.encode().map_err(unstored)?;
        match self.ledger.adopt(digest, &round).await.map_err(unstored)? {
            Recorded::Durable | Recorded::Beside => Ok(StoredRow { round, bytes }),
            Recorded::NotLeading => Err(AggregateError::Standby),
            // Somebody was faster: it is looked at once more.
            Recorded::Elsewise => Err(AggregateError::Expired(*digest)),
        }
    }
}
