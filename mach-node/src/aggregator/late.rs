//! Signatures of statements whose rounds are closed.

use std::sync::Arc;

use alloy_primitives::B256;
use mach_bls::{Scheme, Signature, Tally};
use mach_core::{
    Certificate, Round, SignedStatement,
    ports::{AggregateError, BoxError, Progress},
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
    /// One without a certificate, whose alert others brought to L1, needs the signature should L1 lose that.
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
        let is_certified = certificate.is_some();
        if !is_certified && !self.is_watched(&digest).await? {
            return Err(too_late(
                "L1 keeps it, and there is no certificate to extend",
            ));
        }
        // Of a round that may be needed once more nobody is sent away for good.
        let unheard = |error: BoxError, reason: &str| {
            warn!(%digest, error = &*error, "operators of the round");
            match is_certified {
                true => too_late(reason),
                false => AggregateError::Backend(error),
            }
        };
        // One of an earlier round that covers more stake is extended in its own terms.
        let terms = certificate.as_ref().map(|it| &it.round);
        let terms = terms.unwrap_or(&closed.round.terms).clone();
        let keys = match self.keys(terms.reference_block()).await {
            Ok(keys) => keys,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                return Err(unheard(
                    error.into(),
                    "L1 does not know its operators any more",
                ));
            }
        };
        if keys.key(&operator).is_none() {
            return Err(AggregateError::UnknownOperator(operator));
        }
        let absent = certificate.as_ref().map(|it| &it.non_signers);
        if absent.is_some_and(|absent| absent.iter().all(|it| it.id != operator)) {
            return Ok(None);
        }
        let row = match closed.row {
            Some(bytes) => StoredRow {
                round: closed.round,
                bytes,
            },
            None => {
                let signers = keys.len().saturating_sub(absent.map_or(0, Vec::len));
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
        let (statement, domain) = (signed.statement.clone(), self.config.domain);
        let reopened = blocking(move || {
            let tally = match &certificate {
                Some(certificate) => Tally::resume(certificate, keys)?,
                None => Tally::new(statement, domain, terms, keys)?,
            };
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
            Err(error) => Err(unheard(error.into(), "L1 knows other operators by now")),
        }
    }

    /// Whether L1 is looked at again for what it has of this statement.
    pub(super) async fn is_watched(&self, digest: &B256) -> Result<bool, AggregateError> {
        self.ledger.is_watched(digest).await.map_err(unstored)
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

    /// Terms that operators sign a closed statement in.
    ///
    /// Errors: [`AggregateError::TooLate`] if those of an alert with a certificate are too old for it. Whoever has
    /// signed already is heard.
    pub(super) async fn late_terms(
        &self,
        digest: B256,
        round: &StoredRound,
    ) -> Result<Round, AggregateError> {
        let reference_block = u64::from(round.terms.reference_block());
        let is_old = round.is_lasting()
            && self.head().await?.saturating_sub(reference_block) > self.config.round_blocks.into();
        if !is_old {
            return Ok(round.terms.clone());
        }
        let certificate = self.ledger.certificate::<S>(&digest).await;
        if certificate.map_err(unstored)?.is_some() || !self.is_watched(&digest).await? {
            return Err(AggregateError::TooLate(digest));
        }
        // Should L1 lose it, its round goes on in terms of then.
        self.terms().await
    }

    /// Makes a round of what its certificate says.
    async fn adopt(&self, digest: &B256, round: StoredRound) -> Result<StoredRow, AggregateError> {
        match self.ledger.adopt(digest, &round).await.map_err(unstored)? {
            Recorded::Durable | Recorded::Beside => StoredRow::new(round).map_err(unstored),
            Recorded::NotLeading => Err(AggregateError::Standby),
            // Somebody was faster: it is looked at once more.
            Recorded::Elsewise => Err(AggregateError::Expired(*digest)),
        }
    }
}
