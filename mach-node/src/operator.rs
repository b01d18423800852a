//! An operator: from what was verified to signatures.

use std::{num::NonZeroU64, sync::Arc};

use async_trait::async_trait;
use backon::Retryable;
use futures::future::{FutureExt, join_all};
use mach_core::{
    Alert, Attestation, Domain, QuorumNumbers, Round, Statement, Threshold,
    ports::{
        AggregateError, AlertSink, BoxError, Progress, SignatureAggregator, SigningGuard,
        SinkError, StatementSigner,
    },
};
use tracing::{info, warn};

use crate::{L1Head, RetryPolicy};

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
/// every aggregator.
///
/// As an [`AlertSink`] it stands behind a [`Verifier`](crate::Verifier). It signs digests that it
/// computes itself; an aggregator never sends one.
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct Operator {
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
        Self {
            signer: Box::new(signer),
            guard: Box::new(guard),
            aggregators,
            l1,
            config,
        }
    }

    /// Signs `statement` and sends it. One aggregator that takes it is enough.
    async fn speak(&self, statement: &Statement) -> Result<(), SinkError> {
        let sent = self
            .aggregators
            .iter()
            .map(|one| self.send_with_retries(statement, one).boxed());
        let mut first_error = None;
        let mut is_taken = false;
        for outcome in join_all(sent).await {
            match outcome {
                Ok(progress) => {
                    is_taken = true;
                    info!(
                        operator = %self.signer.operator(),
                        digest = %statement.digest(&self.config.domain),
                        ?progress,
                        "signature taken"
                    );
                }
                Err(error) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "signature not taken"
                    );
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if !is_taken => Err(error),
            _ => Ok(()),
        }
    }

    async fn send_with_retries(
        &self,
        statement: &Statement,
        aggregator: &Arc<dyn SignatureAggregator>,
    ) -> Result<Progress, SinkError> {
        (|| self.send(statement, aggregator))
            .retry(self.config.retry.backoff())
            .when(SinkError::is_transient)
            .await
    }

    async fn send(
        &self,
        statement: &Statement,
        aggregator: &Arc<dyn SignatureAggregator>,
    ) -> Result<Progress, SinkError> {
        let round = aggregator.open(statement).await.map_err(unsent)?;
        let head = self.l1.block_number().await.map_err(SinkError::Backend)?;
        self.config.terms.check(&round, head).map_err(refused)?;
        self.guard
            .permit(statement, &self.config.domain)
            .await
            .map_err(|error| {
                if error.is_transient() {
                    SinkError::Backend(Box::new(error))
                } else {
                    refused(error)
                }
            })?;
        let signed = self
            .signer
            .sign(statement, &self.config.domain)
            .await
            .map_err(|error| SinkError::Backend(Box::new(error)))?;
        aggregator.submit(signed).await.map_err(unsent)
    }
}

#[async_trait]
impl AlertSink for Operator {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        self.speak(&Statement::from(alert.clone())).await
    }

    async fn attest(&self, attestation: &Attestation) -> Result<(), SinkError> {
        match self.config.attest_every {
            Some(every) if attestation.block.number.is_multiple_of(every.get()) => {
                self.speak(&Statement::from(attestation.clone())).await
            }
            _ => Ok(()),
        }
    }
}

fn refused(error: impl Into<BoxError>) -> SinkError {
    SinkError::Refused(error.into())
}

fn unsent(error: AggregateError) -> SinkError {
    if error.is_transient() {
        SinkError::Backend(Box::new(error))
    } else {
        refused(error)
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
