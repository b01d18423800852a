//! Bringing certificates to L1.

use std::{sync::Arc, time::Duration};

use backon::Retryable;
use mach_bls::Scheme;
use mach_core::{
    Certificate, Confirmation, Statement,
    ports::{ConfirmError, L1Standing, StatementConfirmer, StatementReader},
};
use tokio::time::timeout;
use tracing::{error, warn};

use super::{Aggregator, Shared, round::OpenRound, view::RoundEvent};

/// The longest pause between two tries, in the longest delays of the configuration.
const LONGEST_PAUSE: u32 = 60;
/// The same while L1 does not answer at all.
const LONGEST_SILENCE: u32 = 6;
/// How long L1 has to say what it has of a statement.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

impl<S: Scheme> Aggregator<S> {
    /// Brings `certificate` to L1: an alert for as long as it takes, an attestation for as long as its round
    /// lives. What is refused [`Self::tend`] tries again, ever more seldom.
    pub(super) async fn confirm(&self, round: Arc<OpenRound<S>>, certificate: Arc<Certificate<S>>) {
        // However this ends the round is not stuck.
        let _ended = Confirming(&round);
        let Shared { config, .. } = &*self.0;
        let digest = round.digest();
        let longest = config.retry.max_delay;
        let mut pause = longest;
        loop {
            let outcome = (|| self.bring(&certificate))
                .retry(config.retry.backoff())
                .when(|error: &ConfirmError| error.is_transient() && self.0.leads())
                .notify(|error: &ConfirmError, delay: Duration| {
                    warn!(
                        ?delay,
                        error = error as &dyn std::error::Error,
                        "trying again to confirm"
                    );
                })
                .await;
            let error = match outcome {
                Ok(confirmation) => return self.stands(&round, confirmation),
                Err(ConfirmError::Withdrawn(_)) => {
                    // What it was signed for is below, and L1 has that.
                    let signed_at = round.terms().reference_block().into();
                    let l1_block = self.0.head().await.unwrap_or(signed_at);
                    return self.withdrawn(&round, l1_block);
                }
                Err(error) => error,
            };
            error!(
                %digest,
                error = &error as &dyn std::error::Error,
                "the certificate was not confirmed"
            );
            if !error.is_transient() {
                return round.refused(longest, longest.saturating_mul(LONGEST_PAUSE));
            }
            let is_given_up = !round.is_lasting() && round.is_expired(config.round_lifetime);
            if is_given_up || !self.0.leads() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest.saturating_mul(LONGEST_SILENCE));
        }
    }

    /// Closes the round of a statement that stands on L1.
    pub(super) fn stands(&self, round: &Arc<OpenRound<S>>, confirmation: Confirmation) {
        let digest = round.digest();
        round.confirmed(confirmation);
        self.0.events.tell(|| RoundEvent::Confirmed {
            digest,
            confirmation,
        });
        self.poke(Arc::clone(round));
    }

    /// Closes the round of an alert that was removed on L1.
    pub(super) fn withdrawn(&self, round: &Arc<OpenRound<S>>, l1_block: u64) {
        let digest = round.digest();
        warn!(%digest, "the owner of the contract has removed the alert, it is not tried again");
        round.withdrawn(l1_block);
        (self.0.events).tell(|| RoundEvent::Withdrawn { digest, l1_block });
        self.poke(Arc::clone(round));
    }

    /// What L1 has of a statement. If the reader panics, that is no answer.
    pub(super) async fn standing(&self, statement: &Statement) -> Result<L1Standing, ConfirmError> {
        let (this, statement) = (self.clone(), statement.clone());
        let asked = tokio::spawn(async move {
            let answer = timeout(READ_TIMEOUT, this.0.confirmer.standing(&statement)).await;
            answer.unwrap_or_else(|silent| Err(ConfirmError::Backend(silent.into())))
        });
        let answer = asked.await;
        answer.unwrap_or_else(|panicked| Err(ConfirmError::Backend(panicked.into())))
    }

    /// Asks the confirmer. If it panics, that is no answer.
    pub(super) async fn bring(
        &self,
        certificate: &Arc<Certificate<S>>,
    ) -> Result<Confirmation, ConfirmError> {
        let (this, certificate) = (self.clone(), Arc::clone(certificate));
        let asked = tokio::spawn(async move { this.0.confirmer.confirm(&certificate).await });
        let answer = asked.await;
        answer.unwrap_or_else(|panicked| Err(ConfirmError::Backend(panicked.into())))
    }
}

/// A confirmation in progress.
struct Confirming<'a, S: Scheme>(&'a OpenRound<S>);

impl<S: Scheme> Drop for Confirming<'_, S> {
    fn drop(&mut self) {
        self.0.not_confirmed();
    }
}
