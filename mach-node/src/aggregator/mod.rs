//! Collects signatures, makes certificates, has them confirmed.

mod rounds;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use alloy_primitives::{B256, ChainId};
use async_trait::async_trait;
use backon::Retryable;
use mach_bls::{Added, OperatorKeys, Scheme, Tally, TallyError};
use mach_core::{
    Bn254, Certificate, Domain, OperatorId, QuorumNumbers, Round, SignedStatement, Statement,
    Threshold,
    ports::{
        AggregateError, BoxError, ConfirmError, OperatorRegistry, Progress, RegistryError,
        SignatureAggregator, StatementConfirmer,
    },
};
use tokio::sync::Mutex;
use tracing::{error, info, warn};

use crate::{L1Head, RetryPolicy};
use rounds::{OpenRound, Rounds};

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

/// An aggregator with its rounds in memory, on one of the curves. Clones share them.
///
/// There is one round for a statement, however many operators ask at once. Operator keys are
/// proved once and kept from round to round. The first signature of a round is checked by itself,
/// the sum of all when it might be enough. A certificate is brought to L1 in a task of its own, so
/// that a slow L1 holds up nobody.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct Aggregator<S: Scheme = Bn254>(Arc<Shared<S>>);

struct Shared<S: Scheme> {
    config: AggregatorConfig,
    registry: Box<dyn OperatorRegistry<S>>,
    l1: Arc<dyn L1Head>,
    confirmer: Box<dyn StatementConfirmer<S>>,
    rounds: Rounds<S>,
    /// Keys of the newest operator set.
    keys: Mutex<Option<Arc<OperatorKeys<S>>>>,
}

impl<S: Scheme> Aggregator<S> {
    /// An aggregator without rounds.
    pub fn new(
        registry: impl OperatorRegistry<S> + 'static,
        l1: Arc<dyn L1Head>,
        confirmer: impl StatementConfirmer<S> + 'static,
        config: AggregatorConfig,
    ) -> Self {
        Self(Arc::new(Shared {
            rounds: Rounds::new(config.max_rounds, config.round_lifetime),
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

    /// Number of rounds that are open or remembered.
    pub fn open_rounds(&self) -> usize {
        self.0.rounds.len()
    }

    /// Makes the certificate if the round is ready for it, and starts its confirmation.
    fn try_certify(&self, digest: B256, round: &Arc<OpenRound<S>>) -> Vec<OperatorId> {
        let Some(attempt) = round.try_certify() else {
            return Vec::new();
        };
        for operator in &attempt.rejected {
            warn!(%digest, %operator, "signature dropped, it is not valid");
        }
        if let Some(certificate) = attempt.certificate {
            info!(%digest, absent = certificate.non_signers.len(), "threshold reached");
            let (this, round) = (self.clone(), Arc::clone(round));
            tokio::spawn(async move { this.confirm(round, certificate).await });
        }
        attempt.rejected
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
                Ok(confirmation) => return round.confirmed(confirmation),
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
        let keys = tokio::task::spawn_blocking(prove)
            .await
            .map_err(|error| AggregateError::Backend(error.into()))?;
        let keys = Arc::new(keys.map_err(malformed)?);
        *newest = Some(Arc::clone(&keys));
        Ok(keys)
    }
}

fn malformed(error: impl Into<BoxError>) -> AggregateError {
    AggregateError::Registry(RegistryError::Malformed(error.into()))
}

#[async_trait]
impl<S: Scheme> SignatureAggregator<S> for Aggregator<S> {
    async fn open(&self, statement: &Statement) -> Result<Round, AggregateError> {
        self.0.check(statement)?;
        let digest = statement.digest(&self.0.config.domain);
        let slot = self.0.rounds.slot(digest)?;
        let round = slot.get_or_try_init(|| async {
            let round = self.0.begin(statement).await?;
            info!(%digest, block = %statement.block(), "round opened");
            Ok::<_, AggregateError>(Arc::new(round))
        });
        Ok(round.await?.terms())
    }

    async fn submit(&self, signed: SignedStatement<S>) -> Result<Progress, AggregateError> {
        if signed.domain != self.0.config.domain {
            return Err(AggregateError::WrongDomain);
        }
        let digest = signed.digest();
        let round = self.0.rounds.get(&digest)?;
        let operator = signed.operator;
        match round.add(&signed) {
            Ok(Added::New | Added::Duplicate) => {}
            Err(TallyError::UnknownOperator(operator)) => {
                return Err(AggregateError::UnknownOperator(operator));
            }
            Err(error) => {
                warn!(%digest, %operator, %error, "signature refused");
                return Err(AggregateError::BadSignature(operator));
            }
        }
        if self.try_certify(digest, &round).contains(&operator) {
            return Err(AggregateError::BadSignature(operator));
        }
        Ok(round.progress())
    }
}
