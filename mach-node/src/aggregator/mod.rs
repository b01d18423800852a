//! Collects signatures, makes certificates, has them confirmed.

mod ledger;
mod rounds;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use alloy_primitives::{B256, ChainId};
use async_trait::async_trait;
use backon::Retryable;
use mach_bls::{OperatorKeys, Scheme, Tally, TallyError};
use mach_core::{
    Bn254, Certificate, Confirmation, Domain, G1Bytes, OperatorId, QuorumNumbers, Round,
    SignedStatement, Statement, Threshold,
    ports::{
        AggregateError, BoxError, ConfirmError, OperatorRegistry, Progress, RegistryError,
        SignatureAggregator, StatementConfirmer,
    },
};
use tokio::{sync::Mutex, task::JoinError, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    L1Head, RetryPolicy,
    store::{Store, StoreError},
};
use ledger::{Ledger, StoredRound};
use rounds::{OpenRound, Rounds};

pub(crate) use ledger::record;

/// How often [`Aggregator::run`] tends to the rounds.
const TEND_EVERY: Duration = Duration::from_secs(30);

/// What an [`Aggregator`] serves, on which terms, within which limits.
#[derive(Clone, Debug)]
pub struct AggregatorConfig {
    /// The service manager that certificates go to.
    pub domain: Domain,
    /// Rollups that statements may be about.
    pub rollups: BTreeSet<ChainId>,
    /// Quorums that have to sign.
    pub quorums: QuorumNumbers,
    /// Threshold of each quorum, in the same order.
    pub thresholds: Vec<Threshold>,
    /// L1 blocks that the reference block lies behind the head, at least one: a reorganisation that
    /// is not deeper changes nothing.
    pub reference_margin: u32,
    /// Most rounds at a time. At the limit, a new round takes the place of one that is over, of a
    /// confirmed one, or of one that no operator has signed.
    pub max_rounds: usize,
    /// How long signatures of a round are taken.
    pub round_lifetime: Duration,
    /// For L1 when it does not answer. While its round lives, a certificate is not given up.
    pub retry: RetryPolicy,
}

impl AggregatorConfig {
    /// Rounds of an hour, at most 1,024 of them, one L1 block behind the head.
    pub fn new(
        domain: Domain,
        rollups: impl IntoIterator<Item = ChainId>,
        quorums: QuorumNumbers,
        thresholds: Vec<Threshold>,
    ) -> Self {
        Self {
            domain,
            rollups: rollups.into_iter().collect(),
            quorums,
            thresholds,
            reference_margin: 1,
            max_rounds: 1024,
            round_lifetime: Duration::from_secs(3600),
            retry: RetryPolicy::default(),
        }
    }
}

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
        }))
    }

    /// How far the round of the statement with this digest is; `None` if there is no round.
    pub fn progress(&self, digest: B256) -> Option<Progress> {
        Some(self.0.rounds.get(&digest).ok()?.progress())
    }

    /// Number of rounds in memory, open or confirmed.
    pub fn open_rounds(&self) -> usize {
        self.0.rounds.len()
    }

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
                    return self.0.close(&certificate.digest(), &round).await;
                }
                Err(error) => error,
            };
            error!(
                digest = %certificate.digest(),
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
            let forgotten = self.ledger.forget(digest, &stored).await;
            return forgotten.map(|()| None).map_err(unstored);
        }
        Ok(Some(stored))
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

    /// Brings a stored round back into memory.
    async fn take_up(&self, digest: B256) -> Result<Arc<OpenRound<S>>, AggregateError> {
        let slot = self.rounds.slot(digest)?;
        let round = slot.get_or_try_init(|| async {
            let stored = self.ledger.round(&digest).await.map_err(unstored)?;
            let open = stored.filter(|round| round.confirmation.is_none());
            let open = open.ok_or(AggregateError::UnknownRound(digest))?;
            self.restore(&digest, open).await
        });
        Ok(Arc::clone(round.await?))
    }

    async fn restore(
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
