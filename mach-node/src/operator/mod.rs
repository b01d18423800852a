//! An operator: from what was verified to signatures.

mod outbox;
mod terms;

use std::{num::NonZeroU64, sync::Arc};

use async_trait::async_trait;
use backon::Retryable;
use mach_core::{
    Alert, Attestation, Domain, SignedStatement, Statement,
    ports::{
        AggregateError, AlertSink, BoxError, Progress, SignatureAggregator, SigningGuard,
        SinkError, StatementSigner,
    },
};
use tokio::{sync::OnceCell, task::JoinSet};
use tracing::{info, warn};

use crate::{L1Head, RetryPolicy};

pub(crate) use outbox::record;
pub use outbox::{Outbox, OutboxConfig, OutboxSink, OutboxStatus};
pub use terms::{TermsError, TermsPolicy};

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

/// Makes statements of what was verified, guards them, signs them, and brings the signatures to
/// every aggregator. Clones share their parts.
///
/// As an [`AlertSink`] it stands behind a [`Verifier`](crate::Verifier). It signs digests that it
/// computes itself; an aggregator never sends one. One aggregator that takes a signature is enough;
/// the others get it in the background. An [`Outbox`] in between sends until there is a certificate.
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

    /// Sends `statement` once to the aggregator at this position, as it is `signed` or will be.
    async fn offer(
        &self,
        statement: &Statement,
        signed: &Signed,
        index: usize,
    ) -> Result<Progress, Unsent> {
        match self.0.aggregators.get(index) {
            Some(aggregator) => self.0.send(statement, signed, aggregator).await,
            None => Err(refused("no aggregator is named").into()),
        }
    }

    /// Signs `statement` and sends it, until one aggregator has taken it.
    async fn speak(&self, statement: Statement) -> Result<(), SinkError> {
        let said = Arc::new((statement, Signed::new()));
        let mut sending = JoinSet::new();
        for aggregator in &self.0.aggregators {
            let (parts, said) = (Arc::clone(&self.0), Arc::clone(&said));
            let aggregator = Arc::clone(aggregator);
            sending.spawn(async move { parts.bring(&said.0, &said.1, &aggregator).await });
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

/// The one signature of a statement, once it is made.
type Signed = OnceCell<SignedStatement>;

/// Why an aggregator did not take a statement.
#[derive(Debug)]
enum Unsent {
    /// It does not need it any more, and nothing is wrong with it.
    TooLate(AggregateError),
    /// Its round is of long ago: one that is closed, or whose aggregator does not see L1.
    Old(TermsError),
    /// It does not take it as things are, or on terms that are not accepted: the operator may be registered
    /// after the round's terms, L1 may have answered with nonsense, and either side may be set up wrongly.
    NotYet(BoxError),
    /// It did not get through, or is not to be signed.
    Failed(SinkError),
}

impl From<SinkError> for Unsent {
    fn from(error: SinkError) -> Self {
        Self::Failed(error)
    }
}

impl Unsent {
    const fn is_transient(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_transient())
    }
}

impl Parts {
    /// Signs `statement` and sends it to one aggregator, again if that may help.
    async fn bring(
        &self,
        statement: &Statement,
        signed: &Signed,
        aggregator: &dyn SignatureAggregator,
    ) -> Result<(), SinkError> {
        let operator = self.signer.operator();
        let digest = statement.digest(&self.config.domain);
        let sent = (|| self.send(statement, signed, aggregator))
            .retry(self.config.retry.backoff())
            .when(Unsent::is_transient)
            .await;
        let error = match sent {
            Ok(progress) => {
                info!(%operator, %digest, ?progress, "signature taken");
                return Ok(());
            }
            Err(Unsent::TooLate(error)) => {
                info!(%operator, %digest, %error, "signature not needed");
                return Ok(());
            }
            Err(Unsent::Old(error)) => refused(error),
            Err(Unsent::NotYet(error)) => refused(error),
            Err(Unsent::Failed(error)) => error,
        };
        warn!(
            %operator, %digest,
            error = &error as &dyn std::error::Error,
            "signature not taken"
        );
        Err(error)
    }

    async fn send(
        &self,
        statement: &Statement,
        signed: &Signed,
        aggregator: &dyn SignatureAggregator,
    ) -> Result<Progress, Unsent> {
        // The terms are not in a signature that is made.
        if let Some(signed) = signed.get() {
            return aggregator.submit(signed.clone()).await.map_err(unsent);
        }
        let round = aggregator.open(statement).await.map_err(unsent)?;
        let head = self.l1.block_number().await.map_err(SinkError::Backend)?;
        self.config
            .terms
            .check(&round, head)
            .map_err(|error| match error {
                // Our L1 node may be the one that is behind.
                TermsError::Future { .. } => SinkError::Backend(error.into()).into(),
                TermsError::Old { .. } => Unsent::Old(error),
                _ => Unsent::NotYet(error.into()),
            })?;
        let signed = signed.get_or_try_init(|| self.sign(statement)).await?;
        aggregator.submit(signed.clone()).await.map_err(unsent)
    }

    /// Asks the guard, and signs what it permits.
    async fn sign(&self, statement: &Statement) -> Result<SignedStatement, SinkError> {
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
        self.signer
            .sign(statement, &self.config.domain)
            .await
            .map_err(|error| SinkError::Backend(error.into()))
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

fn unsent(error: AggregateError) -> Unsent {
    match error {
        error @ AggregateError::TooLate(_) => Unsent::TooLate(error),
        // The round went between opening it and sending: the next try begins another.
        AggregateError::UnknownRound(_) | AggregateError::Expired(_) => {
            SinkError::Backend(error.into()).into()
        }
        error if error.is_transient() => SinkError::Backend(error.into()).into(),
        error => Unsent::NotYet(error.into()),
    }
}
