//! Going on with the rounds of the store.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use mach_bls::{Scheme, Signature, Tally, TallyError};
use mach_core::{SignedStatement, ports::AggregateError};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Aggregator, Shared, blocking,
    config::Retention,
    leader::{Leadership, Seen, Turn},
    ledger::{Kept, StoredRound},
    malformed,
    round::OpenRound,
    rounds::Inserted,
    unstored,
    view::RoundEvent,
};

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
        let mut tended = Instant::now();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let is_due = match leadership.look(&mut seen).await {
                Ok(Turn::Begins) => true,
                Ok(Turn::Stays) => self.0.leads() && tended.elapsed() >= TEND_EVERY,
                Ok(Turn::Ends) => {
                    self.0.step_down();
                    false
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(error, "it is not known which instance leads");
                    false
                }
            };
            if is_due {
                tended = Instant::now();
                // The heartbeat does not wait for it.
                let this = self.clone();
                tokio::spawn(async move { this.tend_or_say().await });
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

    /// Goes on with the rounds of the store that are not confirmed: forgets those that are over,
    /// makes the certificates that are due and brings them to L1. Gives how many rounds are open.
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
            if let Err(error) = self.0.expire(&round).await {
                failure = Some(error);
            }
        }
        let mut after = None;
        loop {
            let page = self.0.ledger.unconfirmed(after).await.map_err(unstored)?;
            let Some(last) = page.last().copied() else {
                return failure.map_or(Ok(open), Err);
            };
            let mut stored = Vec::with_capacity(page.len());
            for digest in page {
                match self.0.outlived(&digest).await {
                    Ok(Some(round)) => stored.push((round.terms.reference_block(), digest, round)),
                    // Over, or confirmed meanwhile.
                    Ok(None) => {}
                    Err(error) => failure = Some(error),
                }
            }
            // Those of one reference block together, so that its operators are read once.
            stored.sort_by_key(|(reference_block, digest, _)| (*reference_block, *digest));
            for (_, digest, round) in stored {
                match self.0.take_up(digest, round).await {
                    Ok(round) => {
                        self.poke(round);
                        open += 1;
                    }
                    Err(error) => failure = Some(error),
                }
            }
            after = Some(last);
        }
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
            self.rounds.clear();
        }
    }

    /// Forgets a round whose time is up. What is confirmed stays in the store.
    pub(super) async fn expire(&self, round: &Arc<OpenRound<S>>) -> Result<(), AggregateError> {
        let digest = round.digest();
        if !round.is_closed() {
            self.forget(&digest, &round.to_stored()).await?;
        }
        self.rounds.remove(&digest, round);
        Ok(())
    }

    async fn forget(&self, digest: &B256, stored: &StoredRound) -> Result<(), AggregateError> {
        let _ = self.ledger.forget(digest, stored).await.map_err(unstored)?;
        let digest = *digest;
        info!(%digest, "round expired");
        self.events.tell(|| RoundEvent::Expired { digest });
        Ok(())
    }

    /// The stored round, if it is neither closed nor over; one that is over is forgotten.
    pub(super) async fn outlived(
        &self,
        digest: &B256,
    ) -> Result<Option<StoredRound>, AggregateError> {
        let stored = self.ledger.round(digest).await.map_err(unstored)?;
        let Some(stored) = stored.filter(|it| it.closed().is_none()) else {
            return Ok(None);
        };
        // In memory it goes by the time that it has been there.
        if self.rounds.get(digest).is_none()
            && stored.is_over(self.head().await?, self.config.round_blocks)
        {
            self.forget(digest, &stored).await?;
            return Ok(None);
        }
        Ok(Some(stored))
    }

    /// Brings a stored round back into memory.
    pub(super) async fn take_up(
        &self,
        digest: B256,
        stored: StoredRound,
    ) -> Result<Arc<OpenRound<S>>, AggregateError> {
        if let Some((round, _)) = self.rounds.get(&digest) {
            return Ok(round);
        }
        let keys = self.keys(stored.terms.reference_block()).await?;
        let _permit = self.proving.acquire().await;
        // Somebody may have been faster.
        if let Some((round, _)) = self.rounds.get(&digest) {
            return Ok(round);
        }
        let signatures = self.ledger.signatures(&digest, &stored).await;
        let signatures = signatures.map_err(unstored)?;
        let certificate = self.ledger.certificate(&digest).await.map_err(unstored)?;
        let (domain, opened_at) = (self.config.domain, stored.opened_at);
        let restored = blocking(move || {
            // One of an earlier round of the statement has other terms.
            let certificate = certificate.filter(|it| it.round == stored.terms);
            let resumed = certificate.and_then(|it| {
                let tally = Tally::resume(&it, Arc::clone(&keys)).ok()?;
                Some((tally, it))
            });
            // A signature that came when the round was closing is in the certificate and nowhere else.
            let (tally, certificate) = match resumed {
                Some((tally, certificate)) => (tally, Some(certificate)),
                None => {
                    let tally = Tally::new(stored.statement, domain, stored.terms, keys)?;
                    (tally, None)
                }
            };
            let signatures = &signatures;
            Ok::<_, TallyError>(OpenRound::restore(
                digest,
                tally,
                opened_at,
                signatures,
                certificate,
            ))
        });
        let restored = restored.await?.map_err(malformed)?;
        match self.keep(restored).await? {
            Inserted::New(round) => {
                info!(%digest, "round taken up again");
                Ok(round)
            }
            Inserted::Known(round) => Ok(round),
        }
    }

    /// A closed round back in memory, for a signature that its certificate does not have; `None` if
    /// there is nothing to extend, or it is not extended any more.
    ///
    /// Who sends it may be anybody. L1 is asked for operators of long ago only once it is known that
    /// the signature is right.
    pub(super) async fn late(
        &self,
        digest: B256,
        stored: &StoredRound,
        signed: &SignedStatement<S>,
    ) -> Result<Option<Arc<OpenRound<S>>>, AggregateError> {
        let operator = signed.operator;
        let certificate = self.ledger.certificate(&digest).await.map_err(unstored)?;
        let Some(certificate) = certificate else {
            return Ok(None);
        };
        // One of an earlier round that covers more stake is extended in its own terms.
        let terms = certificate.round.clone();
        if certificate.non_signers.iter().all(|it| it.id != operator) {
            return Ok(None);
        }
        let age = |since: u64, head: u64| head.saturating_sub(since);
        if let Some(since) = stored.aged_from()
            && age(since, self.head().await?) > self.config.retention.rounds
        {
            return Ok(None);
        }
        let newest = self.keys(self.terms().await?.reference_block()).await?;
        let Some(key) = newest.key(&operator).cloned() else {
            return Ok(None);
        };
        let wrong = || AggregateError::BadSignature(operator);
        let signature = Signature::from_bytes(&signed.signature).map_err(|_| wrong())?;
        let permit = self.proving.acquire().await;
        let verified = blocking(move || key.verify(digest, &signature)).await?;
        drop(permit);
        verified.map_err(|_| wrong())?;
        let keys = match self.keys(terms.reference_block()).await {
            Ok(keys) => keys,
            // Nobody is told that it is kept before it is.
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                warn!(%digest, %error, "a late signature comes too late: L1 does not know its operators");
                return Ok(None);
            }
        };
        let behind = certificate.clone();
        let _permit = self.proving.acquire().await;
        let tally = match blocking(move || Tally::resume(&behind, keys)).await? {
            Ok(tally) => tally,
            Err(error) => {
                warn!(%digest, %error, "a late signature comes too late: L1 knows other operators");
                return Ok(None);
            }
        };
        let round = OpenRound::reopen(digest, tally, stored, certificate);
        match self.keep(round).await? {
            Inserted::New(round) | Inserted::Known(round) => Ok(Some(round)),
        }
    }
}
