//! Collects signatures, makes certificates, has them confirmed.

mod config;
mod ledger;
mod rounds;
mod tend;
mod view;

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use async_trait::async_trait;
use backon::Retryable;
use mach_bls::{OperatorKeys, Scheme, Tally, TallyError};
use mach_core::{
    Bn254, Certificate, Confirmation, G1Bytes, OperatorId, Round, SignedStatement, Statement,
    ports::{
        AggregateError, BoxError, ConfirmError, OperatorRegistry, Progress, RegistryError,
        SignatureAggregator, StatementConfirmer,
    },
};
use tokio::{
    sync::{Mutex, broadcast},
    task::JoinError,
};
use tracing::{error, info, warn};

use crate::{
    L1Head,
    store::{Store, StoreError},
};
use ledger::{Ledger, StoredRound};
use rounds::{OpenRound, Rounds};
use view::Events;

pub use config::AggregatorConfig;
pub(crate) use ledger::record;
pub use view::{QuorumView, RoundEvent, RoundState, RoundView};

/// Most rounds that are shown.
const VIEWED_ROUNDS: usize = 64;

/// An aggregator on one of the curves. Clones share their rounds.
///
/// There is one round for a statement, however many operators ask at once. Operator keys are
/// proved once and kept from round to round. The first signature of a round is checked by itself,
/// the sum of all when it might be enough. A certificate is brought to L1 in a task of its own, so
/// that a slow L1 holds up nobody.
///
/// A signature is durable before it is acknowledged, and so is its round. After a crash
/// [`Self::tend`] goes on where the process ended; a round that somebody asks for comes back by
/// itself. If the store cannot be written, no signature is acknowledged.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct Aggregator<S: Scheme = Bn254>(Arc<Shared<S>>);

struct Shared<S: Scheme> {
    config: AggregatorConfig,
    registry: Box<dyn OperatorRegistry<S>>,
    l1: Arc<dyn L1Head>,
    confirmer: Box<dyn StatementConfirmer<S>>,
    rounds: Rounds<S>,
    ledger: Ledger,
    /// Keys of the newest operator set.
    keys: Mutex<Option<Arc<OperatorKeys<S>>>>,
    events: Events<S>,
}

impl<S: Scheme> Aggregator<S> {
    /// An aggregator with the rounds of `store`. One process at a time works on them.
    pub fn new(
        store: impl Store + 'static,
        registry: impl OperatorRegistry<S> + 'static,
        l1: Arc<dyn L1Head>,
        confirmer: impl StatementConfirmer<S> + 'static,
        config: AggregatorConfig,
    ) -> Self {
        Self(Arc::new(Shared {
            rounds: Rounds::new(config.max_rounds, config.round_lifetime),
            ledger: Ledger::new(store, config.domain),
            config,
            registry: Box::new(registry),
            l1,
            confirmer: Box::new(confirmer),
            keys: Mutex::new(None),
            events: Events::new(),
        }))
    }

    /// How far the round of the statement with this digest is; `None` if there is no round.
    pub fn progress(&self, digest: B256) -> Option<Progress> {
        Some(self.0.rounds.get(&digest).ok()?.progress())
    }

    /// What happens from now on. Who is too slow misses events, and is told how many.
    pub fn events(&self) -> broadcast::Receiver<RoundEvent<S>> {
        self.0.events.subscribe()
    }

    /// The newest 64 rounds in memory, newest first.
    pub fn rounds(&self) -> Vec<RoundView> {
        let rounds = self.0.rounds.newest(VIEWED_ROUNDS).into_iter();
        rounds.map(|(digest, round)| round.view(digest)).collect()
    }

    /// The best certificate of the statement with this digest, however long ago it was made.
    ///
    /// Errors: [`StoreError`].
    pub async fn certificate(&self, digest: B256) -> Result<Option<Certificate<S>>, StoreError> {
        self.0.ledger.certificate(&digest).await
    }

    /// Number of rounds in memory, open or confirmed.
    pub fn open_rounds(&self) -> usize {
        self.0.rounds.len()
    }

    /// Counts a signature, makes it durable, and certifies if it was the last that was needed.
    async fn take(&self, signed: SignedStatement<S>) -> Result<Progress, AggregateError> {
        let digest = signed.digest();
        let round = match self.0.find(&digest).await? {
            Found::Open(round) => round,
            Found::Closed(_, confirmation) => return Ok(Progress::Confirmed(confirmation)),
        };
        let (operator, signature) = (signed.operator, signed.signature);
        let counting = Arc::clone(&round);
        let counted = blocking(move || counting.add(&signed)).await?;
        counted.map_err(|error| match error {
            TallyError::UnknownOperator(operator) => AggregateError::UnknownOperator(operator),
            error => {
                warn!(%digest, %operator, %error, "signature refused");
                AggregateError::BadSignature(operator)
            }
        })?;
        self.0.record(&digest, &round, operator, signature).await?;
        self.0
            .events
            .tell(|| RoundEvent::Signed(round.view(digest)));
        if self.try_certify(digest, &round).await?.contains(&operator) {
            return Err(AggregateError::BadSignature(operator));
        }
        Ok(round.progress())
    }

    /// Makes the certificate if the round is ready for it, and starts its confirmation.
    /// Gives whose signatures turned out wrong.
    async fn try_certify(
        &self,
        digest: B256,
        round: &Arc<OpenRound<S>>,
    ) -> Result<Vec<OperatorId>, AggregateError> {
        let certifying = Arc::clone(round);
        let Some(attempt) = blocking(move || certifying.try_certify()).await? else {
            return Ok(Vec::new());
        };
        for operator in &attempt.rejected {
            warn!(%digest, %operator, "signature dropped, it is not valid");
        }
        if let Some(certificate) = attempt.certificate {
            info!(%digest, absent = certificate.non_signers.len(), "threshold reached");
            let (this, round) = (self.clone(), Arc::clone(round));
            tokio::spawn(async move { this.confirm(round, certificate).await });
        }
        if !attempt.rejected.is_empty() {
            self.0.prune(&digest, round).await;
        }
        Ok(attempt.rejected)
    }

    /// Brings `certificate` to L1, for as long as the round lives if L1 does not answer.
    async fn confirm(&self, round: Arc<OpenRound<S>>, certificate: Certificate<S>) {
        // However this ends, by a panic of the confirmer too, the round is not stuck.
        let _ended = Confirming(&round);
        let Shared {
            confirmer, config, ..
        } = &*self.0;
        let digest = certificate.digest();
        if let Err(error) = self.0.ledger.keep(&digest, &certificate).await {
            error!(
                %digest,
                error = &error as &dyn std::error::Error,
                "the certificate was not stored"
            );
            return;
        }
        let certificate = Arc::new(certificate);
        self.0.events.tell(|| RoundEvent::Certified {
            view: round.view(digest),
            certificate: Arc::clone(&certificate),
        });
        loop {
            let outcome = (|| confirmer.confirm(&certificate))
                .retry(config.retry.backoff())
                .when(ConfirmError::is_transient)
                .notify(|error: &ConfirmError, delay: Duration| {
                    warn!(
                        ?delay,
                        error = error as &dyn std::error::Error,
                        "trying again to confirm"
                    );
                })
                .await;
            let error = match outcome {
                Ok(confirmation) => {
                    round.confirmed(confirmation);
                    let confirmed = RoundEvent::Confirmed {
                        digest,
                        confirmation,
                    };
                    self.0.events.tell(|| confirmed);
                    return self.0.close(&digest, &round).await;
                }
                Err(error) => error,
            };
            error!(
                %digest,
                error = &error as &dyn std::error::Error,
                "the certificate was not confirmed"
            );
            if !error.is_transient() || round.is_expired(config.round_lifetime) {
                return;
            }
            tokio::time::sleep(config.retry.max_delay).await;
        }
    }
}

/// A confirmation in progress.
struct Confirming<'a, S: Scheme>(&'a OpenRound<S>);

impl<S: Scheme> Drop for Confirming<'_, S> {
    fn drop(&mut self) {
        self.0.not_confirmed();
    }
}

impl<S: Scheme> Shared<S> {
    fn check(&self, statement: &Statement) -> Result<(), AggregateError> {
        let rollup = statement.rollup_chain_id();
        if self.config.rollups.contains(&rollup) {
            Ok(())
        } else {
            Err(AggregateError::UnknownRollup(rollup))
        }
    }

    /// The round of a statement that was opened, from memory or from the store.
    async fn find(&self, digest: &B256) -> Result<Found<S>, AggregateError> {
        let unknown = match self.rounds.get(digest) {
            Ok(round) => return Ok(Found::Open(round)),
            Err(error @ AggregateError::UnknownRound(_)) => error,
            Err(error) => return Err(error),
        };
        let stored = self.ledger.round(digest).await.map_err(unstored)?;
        let stored = stored.ok_or(unknown)?;
        match stored.confirmation {
            Some(confirmation) => Ok(Found::Closed(Box::new(stored), confirmation)),
            None if stored.is_over(self.config.round_lifetime) => {
                Err(AggregateError::Expired(*digest))
            }
            None => self.take_up(*digest).await.map(Found::Open),
        }
    }

    /// Makes the signature durable that was counted.
    async fn record(
        &self,
        digest: &B256,
        round: &OpenRound<S>,
        operator: OperatorId,
        signature: G1Bytes<S>,
    ) -> Result<(), AggregateError> {
        while round.is_unrecorded(operator, signature) {
            let (stored, is_stored) = (round.to_stored(), round.is_stored());
            let share = (operator, signature);
            let recorded = self.ledger.record(digest, &stored, is_stored, share).await;
            if !recorded.map_err(unstored)? {
                match self.ledger.round(digest).await.map_err(unstored)? {
                    // What is left of an earlier round does not stand in the way.
                    Some(other) if other.is_over(self.config.round_lifetime) => {
                        self.ledger.forget(digest, &other).await.map_err(unstored)?;
                    }
                    Some(_) => return Err(AggregateError::Expired(*digest)),
                    None => {}
                }
                continue;
            }
            round.recorded(operator, signature);
            // It turned out wrong while it was written.
            if !round.counts(operator, &signature) {
                let removed = self.ledger.remove(digest, &stored, &[share]).await;
                removed.map_err(unstored)?;
                return Err(AggregateError::BadSignature(operator));
            }
        }
        Ok(())
    }

    /// Removes signatures from the store that do not count: anybody can send such, in every
    /// operator's name.
    async fn prune(&self, digest: &B256, round: &OpenRound<S>) {
        let stored = round.to_stored();
        let pruned = async {
            let mut signatures = self.ledger.signatures::<S>(digest, &stored).await?;
            signatures.retain(|(operator, signature)| !round.counts(*operator, signature));
            self.ledger.remove(digest, &stored, &signatures).await
        };
        if let Err(error) = pruned.await {
            warn!(
                %digest,
                error = &error as &dyn std::error::Error,
                "wrong signatures stay in the store"
            );
        }
    }

    /// Keeps that the round is confirmed. If that fails, [`Aggregator::tend`] finds it out on L1.
    async fn close(&self, digest: &B256, round: &OpenRound<S>) {
        if let Err(error) = self.ledger.close(digest, &round.to_stored()).await {
            warn!(
                %digest,
                error = &error as &dyn std::error::Error,
                "the confirmation was not stored"
            );
        }
    }

    async fn begin(&self, statement: &Statement) -> Result<OpenRound<S>, AggregateError> {
        let head = self
            .l1
            .block_number()
            .await
            .map_err(AggregateError::Backend)?;
        let reference_block = head.saturating_sub(u64::from(self.config.reference_margin.max(1)));
        let reference_block = u32::try_from(reference_block)
            .map_err(|error| AggregateError::Backend(error.into()))?;
        let round = Round::new(
            self.config.quorums.clone(),
            self.config.thresholds.clone(),
            reference_block,
        )
        .map_err(|error| AggregateError::Backend(error.into()))?;
        let keys = self.keys(reference_block).await?;
        let tally =
            Tally::new(statement.clone(), self.config.domain, round, keys).map_err(malformed)?;
        Ok(OpenRound::new(tally))
    }

    /// Keys at `reference_block`. Reading them is one at a time, so that rounds which open together
    /// read them once.
    async fn keys(&self, reference_block: u32) -> Result<Arc<OperatorKeys<S>>, AggregateError> {
        let mut newest = self.keys.lock().await;
        if let Some(keys) = newest
            .as_ref()
            .filter(|it| it.reference_block() == reference_block)
        {
            return Ok(Arc::clone(keys));
        }
        let set = self
            .registry
            .operator_set(&self.config.quorums, reference_block)
            .await
            .map_err(AggregateError::Registry)?;
        // Thousands of keys take seconds.
        let earlier = newest.clone();
        let prove = move || match earlier {
            Some(earlier) => earlier.next(&set),
            None => OperatorKeys::new(&set),
        };
        let keys = Arc::new(blocking(prove).await?.map_err(malformed)?);
        *newest = Some(Arc::clone(&keys));
        Ok(keys)
    }
}

/// A round that was opened.
enum Found<S: Scheme> {
    Open(Arc<OpenRound<S>>),
    /// Confirmed, and not in memory any more.
    Closed(Box<StoredRound>, Confirmation),
}

/// Pairings take milliseconds, and some thousands of them seconds.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AggregateError> {
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// What does not end as it should: a panic, or the runtime is going down.
fn failed(error: JoinError) -> AggregateError {
    AggregateError::Backend(error.into())
}

fn unstored(error: StoreError) -> AggregateError {
    AggregateError::Backend(error.into())
}

fn malformed(error: impl Into<BoxError>) -> AggregateError {
    AggregateError::Registry(RegistryError::Malformed(error.into()))
}

#[async_trait]
impl<S: Scheme> SignatureAggregator<S> for Aggregator<S> {
    async fn open(&self, statement: &Statement) -> Result<Round, AggregateError> {
        self.0.check(statement)?;
        let digest = statement.digest(&self.0.config.domain);
        let lifetime = self.0.config.round_lifetime;
        match self.0.find(&digest).await {
            Ok(Found::Open(round)) if !round.is_over(lifetime) => return Ok(round.terms()),
            Ok(Found::Closed(round, _)) if !round.is_over(lifetime) => return Ok(round.terms),
            // One that was confirmed long ago may have to be confirmed again.
            Ok(_) | Err(AggregateError::UnknownRound(_) | AggregateError::Expired(_)) => {}
            Err(error) => return Err(error),
        }
        let slot = self.0.rounds.slot(digest)?;
        let round = slot.get_or_try_init(|| async {
            match self.0.ledger.round(&digest).await.map_err(unstored)? {
                Some(round) if round.confirmation.is_none() && !round.is_over(lifetime) => {
                    return self.0.restore(&digest, round).await;
                }
                // Nothing of a round that is over belongs to the new one.
                Some(over) => {
                    let forgotten = self.0.ledger.forget(&digest, &over).await;
                    forgotten.map_err(unstored)?;
                }
                None => {}
            }
            let round = self.0.begin(statement).await?;
            info!(%digest, block = %statement.block(), "round opened");
            self.0
                .events
                .tell(|| RoundEvent::Opened(round.view(digest)));
            Ok(Arc::new(round))
        });
        Ok(round.await?.terms())
    }

    async fn submit(&self, signed: SignedStatement<S>) -> Result<Progress, AggregateError> {
        if signed.domain != self.0.config.domain {
            return Err(AggregateError::WrongDomain);
        }
        // Who goes away meanwhile does not stop what was begun.
        let this = self.clone();
        let taken = tokio::spawn(async move { this.take(signed).await });
        taken.await.map_err(failed)?
    }
}
