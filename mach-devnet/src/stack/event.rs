//! What happens in a stack, as it happens.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mach_core::{
    BlockRef, Certificate, Confirmation, L2Block, OperatorId, Round, SignedStatement, Statement,
    Verdict,
    ports::{
        AggregateError, BlockValidator, ConfirmError, L1Standing, Progress, SignatureAggregator,
        StatementConfirmer, StatementReader, ValidateError,
    },
};
use tokio::{sync::mpsc, time::Instant};

/// One step on the way from a block to its confirmation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An operator judged a block.
    Judged {
        /// Who.
        operator: OperatorId,
        /// Which block.
        block: BlockRef,
        /// The verdict, or why there is none.
        outcome: Result<Verdict, Arc<ValidateError>>,
        /// From the block to the verdict.
        elapsed: Duration,
    },
    /// An operator's signature was taken.
    Signed {
        /// Who.
        operator: OperatorId,
        /// What.
        statement: Statement,
        /// How far the round is with it.
        progress: Progress,
    },
    /// Enough stake has signed.
    Certified(Arc<Certificate>),
    /// The certificate stands on L1.
    Confirmed {
        /// What.
        statement: Statement,
        /// Where.
        confirmation: Confirmation,
        /// When.
        at: Instant,
    },
    /// The certificate was not confirmed at this try.
    NotConfirmed {
        /// What.
        statement: Statement,
        /// Why.
        error: Arc<ConfirmError>,
    },
}

/// Tells of what passes through a port, and changes nothing.
pub(super) struct Told<P> {
    inner: P,
    events: mpsc::UnboundedSender<Event>,
}

impl<P> Told<P> {
    pub(super) const fn new(inner: P, events: mpsc::UnboundedSender<Event>) -> Self {
        Self { inner, events }
    }

    /// That nobody listens any more is no reason to stop.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

/// An operator's validator.
pub(super) struct Judge<V> {
    pub(super) validator: V,
    pub(super) operator: OperatorId,
}

#[async_trait]
impl<V: BlockValidator> BlockValidator for Told<Judge<V>> {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let started = Instant::now();
        let outcome = self.inner.validator.validate(block).await;
        let told = match &outcome {
            Ok(verdict) => Ok(verdict.clone()),
            // The causes go on to the verifier, the listener gets the words.
            Err(error) => Err(Arc::new(ValidateError::Internal {
                block: block.number(),
                source: error.to_string().into(),
            })),
        };
        self.tell(Event::Judged {
            operator: self.inner.operator,
            block: block.reference(),
            outcome: told,
            elapsed: started.elapsed(),
        });
        outcome
    }
}

#[async_trait]
impl<A: SignatureAggregator> SignatureAggregator for Told<A> {
    async fn open(&self, statement: &Statement) -> Result<Round, AggregateError> {
        self.inner.open(statement).await
    }

    async fn submit(&self, signed: SignedStatement) -> Result<Progress, AggregateError> {
        let (operator, statement) = (signed.operator, signed.statement.clone());
        let progress = self.inner.submit(signed).await?;
        self.tell(Event::Signed {
            operator,
            statement,
            progress: progress.clone(),
        });
        Ok(progress)
    }
}

#[async_trait]
impl<C: StatementReader> StatementReader for Told<C> {
    async fn standing(&self, statement: &Statement) -> Result<L1Standing, ConfirmError> {
        self.inner.standing(statement).await
    }
}

#[async_trait]
impl<C: StatementConfirmer> StatementConfirmer for Told<C> {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        self.tell(Event::Certified(Arc::new(certificate.clone())));
        let statement = certificate.statement.clone();
        let outcome = self.inner.confirm(certificate).await;
        match &outcome {
            Ok(confirmation) => self.tell(Event::Confirmed {
                statement,
                confirmation: *confirmation,
                at: Instant::now(),
            }),
            Err(error) => self.tell(Event::NotConfirmed {
                statement,
                error: Arc::new(ConfirmError::Backend(error.to_string().into())),
            }),
        }
        outcome
    }
}
