//! An operator: from what was verified to signatures.

mod outbox;

use std::{num::NonZeroU64, sync::Arc};

use async_trait::async_trait;
use backon::Retryable;
use mach_core::{
    Alert, Attestation, Domain, QuorumNumbers, Round, Statement, Threshold,
    ports::{
        AggregateError, AlertSink, BoxError, Progress, SignatureAggregator, SigningGuard,
        SinkError, StatementSigner,
    },
};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::{L1Head, RetryPolicy};

pub(crate) use outbox::record;
pub use outbox::{Outbox, OutboxConfig, OutboxSink, OutboxStatus};

/// What an operator says, to whom, and on which terms.
#[derive(Clone, Debug)]
pub struct OperatorConfig {
    /// The service manager that signatures count at.
    pub domain: Domain,
    /// Every how many blocks a valid block is attested; the ones between are covered by their
    /// descendants' parent hashes. `None` attests nothing.
    pub attest_every: Option<NonZeroU64>,
    /// Rounds that are taken part in.
    pub terms: TermsPolicy,
    /// For aggregators that do not answer.
    pub retry: RetryPolicy,
}

/// Terms that an operator accepts from an aggregator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermsPolicy {
    /// Quorums of the service manager.
    pub quorums: QuorumNumbers,
    /// Least threshold of each quorum.
    pub least_threshold: Threshold,
    /// Most L1 blocks that the reference block may lie behind the head.
    pub max_age: u64,
}

impl TermsPolicy {
    /// Whether `round` is acceptable when L1 is at `head`.
    ///
    /// Errors: [`TermsError`] names the term that is not.
    pub fn check(&self, round: &Round, head: u64) -> Result<(), TermsError> {
        let reference_block = u64::from(round.reference_block());
        if reference_block >= head {
            return Err(TermsError::Future {
                reference_block,
                head,
            });
        }
        if head - reference_block > self.max_age {
            return Err(TermsError::Old {
                reference_block,
                head,
            });
        }
        if round.quorums() != &self.quorums {
            return Err(TermsError::Quorums(round.quorums().as_bytes().to_vec()));
        }
        match round
            .terms()
            .find(|(_, threshold)| *threshold < self.least_threshold)
        {
            Some((quorum, threshold)) => Err(TermsError::Threshold {
                quorum,
                threshold: threshold.value(),
            }),
            None => Ok(()),
        }
    }
}

/// Why the terms of a round are not accepted.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// The reference block is not in the past.
    #[error("reference block {reference_block} is not before L1's head {head}")]
    Future {
        /// Reference block of the round.
        reference_block: u64,
        /// Height of L1.
        head: u64,
    },
    /// The reference block is too old.
    #[error("reference block {reference_block} is too far behind L1's head {head}")]
    Old {
        /// Reference block of the round.
        reference_block: u64,
        /// Height of L1.
        head: u64,
    },
    /// The quorums are not those of the service manager.
    #[error("quorums {0:?} are not those of the service manager")]
    Quorums(Vec<u8>),
    /// A threshold is below the least that is accepted.
    #[error("threshold {threshold} % of quorum {quorum} is too low")]
    Threshold {
        /// Number of the quorum.
        quorum: u8,
        /// Its threshold, in percent.
        threshold: u8,
    },
}

/// Makes statements of what was verified, guards them, signs them, and brings the signatures to
/// every aggregator. Clones share their parts.
///
/// As an [`AlertSink`] it stands behind a [`Verifier`](crate::Verifier). It signs digests that it
/// computes itself; an aggregator never sends one. One aggregator that takes a signature is enough;
/// the others get it in the background.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct Operator(Arc<Parts>);

struct Parts {
    signer: Box<dyn StatementSigner>,
    guard: Box<dyn SigningGuard>,
    aggregators: Vec<Arc<dyn SignatureAggregator>>,
    l1: Arc<dyn L1Head>,
    config: OperatorConfig,
}

impl Operator {
    /// An operator that sends to all of `aggregators`.
    pub fn new(
        signer: impl StatementSigner + 'static,
        guard: impl SigningGuard + 'static,
        aggregators: Vec<Arc<dyn SignatureAggregator>>,
        l1: Arc<dyn L1Head>,
        config: OperatorConfig,
    ) -> Self {
        Self(Arc::new(Parts {
            signer: Box::new(signer),
            guard: Box::new(guard),
            aggregators,
            l1,
            config,
        }))
    }

    /// Where its signatures count.
    pub(crate) fn domain(&self) -> Domain {
        self.0.config.domain
    }

    /// How many aggregators it sends to.
    pub(crate) fn aggregators(&self) -> usize {
        self.0.aggregators.len()
    }

    /// Signs `statement` and sends it once to the aggregator at this position.
    pub(crate) async fn offer(
        &self,
        statement: &Statement,
        index: usize,
    ) -> Result<Progress, SinkError> {
        match self.0.aggregators.get(index) {
            Some(aggregator) => self.0.send(statement, aggregator).await,
            None => Err(refused("no aggregator is named")),
        }
    }

    /// Signs `statement` and sends it, until one aggregator has taken it.
    async fn speak(&self, statement: Statement) -> Result<(), SinkError> {
        let statement = Arc::new(statement);
        let mut sending = JoinSet::new();
        for aggregator in &self.0.aggregators {
            let (parts, statement) = (Arc::clone(&self.0), Arc::clone(&statement));
            let aggregator = Arc::clone(aggregator);
            sending.spawn(async move { parts.bring(&statement, &aggregator).await });
        }
        let mut error = refused("no aggregator is named");
        while let Some(outcome) = sending.join_next().await {
            match outcome.unwrap_or_else(|panicked| Err(SinkError::Backend(panicked.into()))) {
                Ok(()) => {
                    sending.detach_all();
                    return Ok(());
                }
                // Where a later try may succeed, that is the news.
                Err(other) if !error.is_transient() => error = other,
                Err(_) => {}
            }
        }
        Err(error)
    }
}

impl Parts {
    /// Signs `statement` and sends it to one aggregator, again if that may help.
    async fn bring(
        &self,
        statement: &Statement,
        aggregator: &dyn SignatureAggregator,
    ) -> Result<(), SinkError> {
        let operator = self.signer.operator();
        let digest = statement.digest(&self.config.domain);
        let sent = (|| self.send(statement, aggregator))
            .retry(self.config.retry.backoff())
            .when(SinkError::is_transient)
            .await;
        match sent {
            Ok(progress) => {
                info!(%operator, %digest, ?progress, "signature taken");
                Ok(())
            }
            Err(error) => {
                warn!(
                    %operator, %digest,
                    error = &error as &dyn std::error::Error,
                    "signature not taken"
                );
                Err(error)
            }
        }
    }

    async fn send(
        &self,
        statement: &Statement,
        aggregator: &dyn SignatureAggregator,
    ) -> Result<Progress, SinkError> {
        let round = aggregator.open(statement).await.map_err(unsent)?;
        let head = self.l1.block_number().await.map_err(SinkError::Backend)?;
        self.config
            .terms
            .check(&round, head)
            .map_err(|error| match error {
                // Our L1 node may be the one that is behind.
                TermsError::Future { .. } => SinkError::Backend(error.into()),
                _ => refused(error),
            })?;
        self.guard
            .permit(statement, &self.config.domain)
            .await
            .map_err(|error| {
                if error.is_transient() {
                    SinkError::Backend(error.into())
                } else {
                    refused(error)
                }
            })?;
        let signed = self
            .signer
            .sign(statement, &self.config.domain)
            .await
            .map_err(|error| SinkError::Backend(error.into()))?;
        aggregator.submit(signed).await.map_err(unsent)
    }
}

#[async_trait]
impl AlertSink for Operator {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        self.speak(Statement::from(alert.clone())).await
    }

    async fn attest(&self, attestation: &Attestation) -> Result<(), SinkError> {
        match self.0.config.attest_every {
            Some(every) if attestation.block.number.is_multiple_of(every.get()) => {
                self.speak(Statement::from(attestation.clone())).await
            }
            _ => Ok(()),
        }
    }
}

fn refused(error: impl Into<BoxError>) -> SinkError {
    SinkError::Refused(error.into())
}

fn unsent(error: AggregateError) -> SinkError {
    match error {
        // The round went between opening it and sending: the next try opens another.
        AggregateError::UnknownRound(_) | AggregateError::Expired(_) => {
            SinkError::Backend(error.into())
        }
        error if error.is_transient() => SinkError::Backend(error.into()),
        error => refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(reference_block: u32, threshold: u8) -> Round {
        let quorums = QuorumNumbers::new([0]).unwrap();
        Round::new(
            quorums,
            vec![Threshold::percent(threshold).unwrap()],
            reference_block,
        )
        .unwrap()
    }

    #[test]
    fn terms_that_weaken_a_signature_are_refused() {
        let policy = TermsPolicy {
            quorums: QuorumNumbers::new([0]).unwrap(),
            least_threshold: Threshold::percent(66).unwrap(),
            max_age: 10,
        };
        assert_eq!(policy.check(&round(99, 66), 100), Ok(()));
        assert_eq!(policy.check(&round(90, 66), 100), Ok(()));
        assert_eq!(
            policy.check(&round(89, 66), 100),
            Err(TermsError::Old {
                reference_block: 89,
                head: 100
            })
        );
        assert_eq!(
            policy.check(&round(100, 66), 100),
            Err(TermsError::Future {
                reference_block: 100,
                head: 100
            })
        );
        assert_eq!(
            policy.check(&round(99, 65), 100),
            Err(TermsError::Threshold {
                quorum: 0,
                threshold: 65
            })
        );
        let other = Round::new(
            QuorumNumbers::new([1]).unwrap(),
            vec![Threshold::percent(100).unwrap()],
            99,
        );
        assert_eq!(
            policy.check(&other.unwrap(), 100),
            Err(TermsError::Quorums(vec![1]))
        );
    }
}
