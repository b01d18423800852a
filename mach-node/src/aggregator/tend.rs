//! Going on with the rounds of the store.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use mach_bls::{Scheme, Tally};
use mach_core::ports::AggregateError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{
    Aggregator, RoundEvent, Shared, blocking, ledger::StoredRound, malformed, rounds::OpenRound,
    unstored,
};

/// How often [`Aggregator::run`] tends to the rounds.
const TEND_EVERY: Duration = Duration::from_secs(30);

impl<S: Scheme> Aggregator<S> {
    /// Tends to the rounds now and then, until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.tend().await {
                error!(
                    error = &error as &dyn std::error::Error,
                    "not every round goes on"
                );
            }
        }
    }

    /// Goes on with the rounds of the store that are not confirmed: forgets those that are over,
    /// makes the certificates that are due and brings them to L1. Gives how many rounds are open.
    ///
    /// To be called when a service starts, and now and then: [`Self::run`] does.
    ///
    /// Errors: [`AggregateError::Backend`] if the store does not serve, [`AggregateError::Registry`]
    /// if L1 does not; [`AggregateError::Full`] if there are more rounds than the limit. It is the
    /// error of the last round that does not go on; the others do.
    pub async fn tend(&self) -> Result<usize, AggregateError> {
        let mut open = 0;
        let mut failure = None;
        let mut after = None;
        loop {
            let page = self.0.ledger.unconfirmed(after).await.map_err(unstored)?;
            let Some(last) = page.last().copied() else {
                return failure.map_or(Ok(open), Err);
            };
            let mut stored = Vec::with_capacity(page.len());
            for digest in page {
                match self.0.outlived(&digest).await {
                    Ok(Some(round)) => stored.push((digest, round.terms.reference_block())),
                    // Over, or confirmed meanwhile.
                    Ok(None) => {}
                    Err(error) => failure = Some(error),
                }
            }
            // Those of one reference block together, so that its operators are read once.
            stored.sort_by_key(|(_, reference_block)| *reference_block);
            for (digest, _) in stored {
                match self.0.take_up(digest).await {
                    Ok(round) => {
                        self.try_certify(digest, &round).await?;
                        open += 1;
                    }
                    Err(AggregateError::UnknownRound(_)) => {}
                    Err(error) => failure = Some(error),
                }
            }
            after = Some(last);
        }
    }
}

impl<S: Scheme> Shared<S> {
    /// The stored round, if it is neither confirmed nor over; one that is over is forgotten.
    async fn outlived(&self, digest: &B256) -> Result<Option<StoredRound>, AggregateError> {
        let Some(stored) = self.ledger.round(digest).await.map_err(unstored)? else {
            return Ok(None);
        };
        if stored.confirmation.is_some() {
            return Ok(None);
        }
        // In memory it goes by the clock that does not jump.
        let is_over = match self.rounds.get(digest) {
            Ok(_) => false,
            Err(AggregateError::Expired(_)) => true,
            Err(_) => stored.is_over(self.config.round_lifetime),
        };
        if is_over {
            let digest = *digest;
            self.events.tell(|| RoundEvent::Expired { digest });
            let forgotten = self.ledger.forget(&digest, &stored).await;
            return forgotten.map(|()| None).map_err(unstored);
        }
        Ok(Some(stored))
    }

    /// Brings a stored round back into memory.
    pub(super) async fn take_up(&self, digest: B256) -> Result<Arc<OpenRound<S>>, AggregateError> {
        let slot = self.rounds.slot(digest)?;
        let round = slot.get_or_try_init(|| async {
            let stored = self.ledger.round(&digest).await.map_err(unstored)?;
            let open = stored.filter(|round| round.confirmation.is_none());
            let open = open.ok_or(AggregateError::UnknownRound(digest))?;
            self.restore(&digest, open).await
        });
        Ok(Arc::clone(round.await?))
    }

    pub(super) async fn restore(
        &self,
        digest: &B256,
        stored: StoredRound,
    ) -> Result<Arc<OpenRound<S>>, AggregateError> {
        let keys = self.keys(stored.terms.reference_block()).await?;
        let signatures = self.ledger.signatures(digest, &stored).await;
        let signatures = signatures.map_err(unstored)?;
        let tally = Tally::new(stored.statement, self.config.domain, stored.terms, keys)
            .map_err(malformed)?;
        // Its signatures are proved.
        let round =
            blocking(move || OpenRound::restore(tally, stored.opened_at, &signatures)).await?;
        info!(%digest, "round taken up again");
        Ok(Arc::new(round))
    }
}
