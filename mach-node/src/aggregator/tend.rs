//! Going on with the rounds of the store.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use alloy_primitives::B256;
use mach_bls::{Scheme, Tally, TallyError};
use mach_core::{Round, ports::AggregateError};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Aggregator, Shared, blocking,
    config::Retention,
    leader::{Leadership, Seen, Turn},
    ledger::{Closing, Kept, Recorded, StoredRound, StoredRow},
    malformed,
    round::OpenRound,
    rounds::Inserted,
    unstored,
    view::RoundEvent,
};
use crate::store::StoreError;

/// How often [`Aggregator::run`] tends to the rounds.
const TEND_EVERY: Duration = Duration::from_secs(30);

impl<S: Scheme> Aggregator<S> {
    /// Tends to the rounds now and then, and sees to which instance leads, until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        match &self.0.leadership {
            None => self.run_alone(&shutdown).await,
            Some(leadership) => self.run_among_others(leadership, &shutdown).await,
        }
    }

    async fn run_alone(&self, shutdown: &CancellationToken) {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.tend_or_say().await;
        }
    }

    async fn run_among_others(&self, leadership: &Leadership, shutdown: &CancellationToken) {
        let mut ticks = tokio::time::interval(leadership.pause());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Seen::nothing();
        let (mut is_due, mut tended) = (false, Instant::now());
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            match leadership.look(&mut seen).await {
                Ok(Turn::Begins) => {
                    self.0.ledger.forget_watched();
                    is_due = true;
                }
                Ok(Turn::Stays) => {
                    is_due |= self.0.leads() && tended.elapsed() >= TEND_EVERY;
                }
                Ok(Turn::Ends) => {
                    self.0.step_down();
                    is_due = false;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(error, "it is not known which instance leads");
                }
            }
            // The heartbeat does not wait for it, and the next one waits until it is done.
            if is_due && let Ok(turn) = Arc::clone(&self.0.tending).try_acquire_owned() {
                (is_due, tended) = (false, Instant::now());
                let this = self.clone();
                tokio::spawn(async move {
                    let _turn = turn;
                    this.tend_or_say().await;
                });
            }
        }
        if let Err(error) = leadership.give_up().await {
            let error = &error as &dyn std::error::Error;
            warn!(error, "the others wait until they take over");
        }
    }

    async fn tend_or_say(&self) {
        if let Err(error) = self.tend().await {
            error!(
                error = &error as &dyn std::error::Error,
                "not every round goes on"
            );
        }
        if let Err(error) = self.prune().await {
            let error = &error as &dyn std::error::Error;
            warn!(error, "what is old is kept");
        }
    }

    /// Forgets what the configuration does not keep any longer. Gives of how many statements that was;
    /// [`Self::run`] sees to it.
    ///
    /// Errors: [`AggregateError::Backend`], [`AggregateError::Standby`] if another instance leads.
    pub async fn prune(&self) -> Result<usize, AggregateError> {
        if !self.0.leads() {
            return Err(AggregateError::Standby);
        }
        let head = self.0.head().await?;
        let Retention {
            rounds,
            certificates,
        } = self.0.config.retention;
        let before = head.saturating_sub(certificates.max(rounds));
        let mut count = 0;
        for kept in [Kept::Round, Kept::Certificate] {
            loop {
                let removed = self.0.ledger.prune(kept, before).await.map_err(unstored)?;
                if removed.is_empty() {
                    break;
                }
                count += removed.len();
                for digest in &removed {
                    if let Some((round, _)) = self.0.rounds.get(digest) {
                        self.0.rounds.remove(digest, &round);
                    }
                }
            }
        }
        Ok(count)
    }

    /// Goes on with the rounds of the store that are not confirmed: ends those that are over,
    /// makes the certificates that are due and brings them to L1; looks again at what L1 confirmed a moment
    /// ago, and asks L1 for alerts that wait for signatures. Gives how many rounds are open.
    ///
    /// To be called when a service starts, and now and then: [`Self::run`] does.
    ///
    /// Errors: [`AggregateError::Backend`] if the store does not serve, [`AggregateError::Registry`]
    /// if L1 does not; [`AggregateError::Full`] if there are more rounds than the limit. It is the
    /// error of the last round that does not go on; the others do. [`AggregateError::Standby`] if
    /// another instance leads.
    pub async fn tend(&self) -> Result<usize, AggregateError> {
        if !self.0.leads() {
            return Err(AggregateError::Standby);
        }
        let mut open = 0;
        let mut failure = None;
        for round in self.0.rounds.over() {
            match self.0.expire(&round).await {
                Ok(()) => self.complete_or_say(round.digest()).await,
                Err(error) => failure = Some(error),
            }
        }
        self.look_at_l1();
        let mut after = None;
        loop {
            let page = self.0.ledger.unconfirmed(after).await.map_err(unstored)?;
            let Some(last) = page.last().copied() else {
                return failure.map_or(Ok(open), Err);
            };
            let mut stored = Vec::with_capacity(page.len());
            for digest in page {
                match self.0.outlived(&digest).await {
                    Ok(Some(row)) => stored.push((row.round.terms.reference_block(), digest, row)),
                    // Over, or closed meanwhile.
                    Ok(None) => self.complete_or_say(digest).await,
                    Err(error) => failure = Some(error),
                }
            }
            // Those of one reference block together, so that its operators are read once.
            stored.sort_by_key(|(reference_block, digest, _)| (*reference_block, *digest));
            for (_, digest, row) in stored {
                match self.0.take_up(digest, row).await {
                    Ok(Some(round)) => {
                        self.poke(round);
                        open += 1;
                    }
                    Ok(None) => {}
                    Err(error) => failure = Some(error),
                }
            }
            after = Some(last);
        }
    }

    async fn complete_or_say(&self, digest: B256) {
        if let Err(error) = self.complete(&digest).await {
            let error = &error as &dyn std::error::Error;
            warn!(%digest, error, "the certificate lacks who signed last, until another one is late");
        }
    }

    /// Has the certificate of a round that ended take in who was acknowledged after it was made.
    async fn complete(&self, digest: &B256) -> Result<(), AggregateError> {
        let Shared { ledger, .. } = &*self.0;
        let row = ledger.row(digest).await.map_err(unstored)?;
        let Some(row) = row.filter(|it| it.round.certified.is_some()) else {
            return Ok(());
        };
        let certificate = ledger.certificate::<S>(digest).await.map_err(unstored)?;
        let absent = certificate.map_or_else(Vec::new, |it| it.non_signers);
        let signatures = ledger.signatures::<S>(digest, &row.round).await;
        let mut signers = signatures.map_err(unstored)?.into_iter().map(|(it, _)| it);
        if !signers.any(|it| absent.binary_search_by_key(&it, |it| it.id).is_ok()) {
            return Ok(());
        }
        if let Some(round) = self.closed(row).await? {
            match self.0.keep(round).await? {
                Inserted::New(round) | Inserted::Known(round) => self.poke(round),
            }
        }
        Ok(())
    }
}

impl<S: Scheme> Shared<S> {
    /// Whether this instance works on the rounds.
    pub(super) fn leads(&self) -> bool {
        self.leadership.as_ref().is_none_or(Leadership::leads)
    }

    /// Leaves the rounds to another instance.
    pub(super) fn step_down(&self) {
        if let Some(leadership) = &self.leadership {
            leadership.step_down();
            self.ledger.forget_watched();
            self.rounds.clear();
            self.shows_closed.store(false, Ordering::Release);
        }
    }

    /// Ends a round in memory whose time is up.
    pub(super) async fn expire(&self, round: &Arc<OpenRound<S>>) -> Result<(), AggregateError> {
        let digest = round.digest();
        let row = self.ledger.row(&digest).await.map_err(unstored)?;
        if let Some(row) =
            row.filter(|it| round.is_copy_of(&it.round) && it.round.closed().is_none())
        {
            self.end(&digest, &row).await?;
        }
        self.rounds.remove(&digest, round);
        Ok(())
    }

    /// Ends a stored round: one with a certificate is closed with it, another one is forgotten.
    async fn end(&self, digest: &B256, row: &StoredRow) -> Result<(), AggregateError> {
        let leaving = StoredRow::new(StoredRound {
            is_leaving: true,
            ..row.round.clone()
        });
        let leaving = leaving.map_err(unstored)?;
        let left = self.ledger.replace(digest, &row.bytes, &leaving).await;
        let recorded = match left.map_err(unstored)? {
            // Nothing more is recorded for a round that leaves: only now is it known what there is.
            Recorded::Durable => self.decide(digest, &leaving).await.map_err(unstored)?,
            other => other,
        };
        match recorded {
            Recorded::NotLeading => Err(AggregateError::Standby),
            // Changed meanwhile: then it is not over.
            Recorded::Durable | Recorded::Beside | Recorded::Elsewise => Ok(()),
        }
    }

    /// Closes a round that is leaving, or forgets it.
    async fn decide(&self, digest: &B256, leaving: &StoredRow) -> Result<Recorded, StoreError> {
        let ledger = &self.ledger;
        let Some(certificate) = ledger.certificate::<S>(digest).await? else {
            let forgotten = ledger.forget(digest, leaving).await?;
            if forgotten == Recorded::Durable {
                let digest = *digest;
                info!(%digest, "round expired");
                self.events.tell(|| RoundEvent::Expired { digest });
            }
            return Ok(forgotten);
        };
        let open = StoredRound {
            is_leaving: false,
            ..leaving.round.clone()
        };
        if open.is_lasting() {
            // It has its certificate since a moment ago, and goes on until L1 has it.
            return (ledger.replace(digest, &leaving.bytes, &StoredRow::new(open)?)).await;
        }
        let signatures = ledger.signatures::<S>(digest, &open).await?;
        let signers: BTreeSet<_> = signatures.into_iter().map(|(it, _)| it).collect();
        let closing = Closing {
            is_covered: certificate.round == open.terms,
            look_again: None,
        };
        let closed = StoredRound {
            certified: Some(signers.len() as u64),
            ..open
        };
        warn!(%digest, "L1 did not take the certificate in its time, it is kept");
        (ledger.close::<S>(digest, &leaving.bytes, &closed, closing)).await
    }

    /// Makes room at the cost of a round that goes on beyond its lifetime. What has a certificate comes back
    /// from the store; what has none is forgotten, and is sent again by those who signed it.
    pub(super) async fn give_way(&self, round: &Arc<OpenRound<S>>) -> Result<(), AggregateError> {
        let digest = round.digest();
        // One that it had in earlier terms is as good.
        let certificate = self.ledger.certificate::<S>(&digest).await;
        if certificate.map_err(unstored)?.is_none()
            && let Some(row) = self.ledger.row(&digest).await.map_err(unstored)?
            && round.is_copy_of(&row.round)
        {
            warn!(%digest, signers = round.signers(), "too many rounds: an alert gives way");
            self.end(&digest, &row).await?;
        }
        self.rounds.remove(&digest, round);
        Ok(())
    }

    /// The stored round, if it is neither closed nor over; one that is over is ended. One that goes on has
    /// terms of its day.
    pub(super) async fn outlived(
        &self,
        digest: &B256,
    ) -> Result<Option<StoredRow>, AggregateError> {
        let row = self.ledger.row(digest).await.map_err(unstored)?;
        let Some(row) = row.filter(|it| it.round.closed().is_none()) else {
            return Ok(None);
        };
        let known = self.rounds.get(digest).map(|(round, _)| round);
        let is_old = match &known {
            // In memory an attestation's goes by the time that it has been there.
            Some(round) if !round.goes_on() => false,
            Some(round) if round.is_expired(self.config.round_lifetime) => true,
            Some(_) => self.is_over(&row).await.unwrap_or(false),
            None => self.is_over(&row).await?,
        };
        if row.round.is_leaving || (is_old && !row.round.is_lasting()) {
            self.end(digest, &row).await?;
            return Ok(None);
        }
        if is_old {
            return self.renew(digest, row, known.as_deref()).await;
        }
        Ok(Some(row))
    }

    async fn is_over(&self, row: &StoredRow) -> Result<bool, AggregateError> {
        let head = self.head().await?;
        Ok(row.round.is_over(head, self.config.round_blocks))
    }

    /// Has a round go on in terms of now, with the signatures that it has: operators sign the statement, and
    /// the terms are not in it. One that is `known` goes on in its old terms for as long as L1 does not tell
    /// others.
    async fn renew(
        &self,
        digest: &B256,
        row: StoredRow,
        known: Option<&OpenRound<S>>,
    ) -> Result<Option<StoredRow>, AggregateError> {
        let terms = match self.terms_with_keys().await {
            Ok(terms) => terms,
            Err(error) if known.is_some_and(|it| it.is_copy_of(&row.round)) => {
                let error = &error as &dyn std::error::Error;
                warn!(%digest, error, "L1 does not tell terms of now, the round keeps its own");
                return Ok(Some(row));
            }
            Err(error) => return Err(error),
        };
        if terms.reference_block() <= row.round.terms.reference_block() {
            return Ok(Some(row));
        }
        let renewed = StoredRow::new(StoredRound {
            terms,
            is_renewed: true,
            ..row.round
        });
        let renewed = renewed.map_err(unstored)?;
        let recorded = self.ledger.replace(digest, &row.bytes, &renewed).await;
        match recorded.map_err(unstored)? {
            Recorded::NotLeading => return Err(AggregateError::Standby),
            // Somebody was faster, and what is in memory knows it.
            Recorded::Elsewise => return Ok(None),
            Recorded::Durable | Recorded::Beside => {}
        }
        info!(%digest, reference_block = renewed.round.terms.reference_block(), "round goes on");
        Ok(Some(renewed))
    }

    /// Terms of now, whose operators are known.
    async fn terms_with_keys(&self) -> Result<Round, AggregateError> {
        let terms = self.terms().await?;
        self.keys(terms.reference_block()).await?;
        Ok(terms)
    }

    /// Brings a stored round back into memory, in the place of what it was in earlier terms; `None` if nobody
    /// who signed it is an operator any more, which ends it.
    pub(super) async fn take_up(
        &self,
        digest: B256,
        row: StoredRow,
    ) -> Result<Option<Arc<OpenRound<S>>>, AggregateError> {
        let known = || {
            let round = self.rounds.get(&digest).map(|(round, _)| round);
            round.filter(|it| it.is_copy_of(&row.round))
        };
        if let Some(round) = known() {
            return Ok(Some(round));
        }
        let keys = self.keys(row.round.terms.reference_block()).await?;
        let permit = self.proving.acquire().await;
        // Somebody may have been faster.
        if let Some(round) = known() {
            return Ok(Some(round));
        }
        let signatures = self.ledger.signatures(&digest, &row.round).await;
        let signatures = signatures.map_err(unstored)?;
        let certificate = self.ledger.certificate(&digest).await.map_err(unstored)?;
        let is_certified = certificate.is_some();
        let (domain, stored) = (self.config.domain, row.clone());
        let restored = blocking(move || {
            let StoredRound {
                statement, terms, ..
            } = stored.round.clone();
            // One of an earlier round of the statement has other terms.
            let certificate = certificate.filter(|it| it.round == terms);
            let resumed = certificate.and_then(|it| {
                let tally = Tally::resume(&it, Arc::clone(&keys)).ok()?;
                Some((tally, it))
            });
            let (tally, certificate) = match resumed {
                Some((tally, certificate)) => (tally, Some(certificate)),
                None => (Tally::new(statement, domain, terms, keys)?, None),
            };
            let signatures = &signatures;
            Ok::<_, TallyError>(OpenRound::restore(
                digest,
                tally,
                stored,
                signatures,
                certificate,
            ))
        });
        let restored = restored.await?.map_err(malformed)?;
        drop(permit);
        if restored.is_renewed() && restored.signers() == 0 && !is_certified {
            if let Some((round, _)) = self.rounds.get(&digest) {
                self.rounds.remove(&digest, &round);
            }
            self.end(&digest, &row).await?;
            return Ok(None);
        }
        match self.keep(restored).await? {
            Inserted::New(round) => {
                info!(%digest, "round taken up again");
                Ok(Some(round))
            }
            Inserted::Known(round) => Ok(Some(round)),
        }
    }
}
