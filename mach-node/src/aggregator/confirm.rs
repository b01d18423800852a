//! Bringing certificates to L1.

use std::{sync::Arc, time::Duration};

use backon::Retryable;
use mach_bls::Scheme;
use mach_core::{Certificate, ports::ConfirmError};
use tracing::{error, warn};

use super::{Aggregator, Shared, round::OpenRound, view::RoundEvent};

impl<S: Scheme> Aggregator<S> {
    /// Brings `certificate` to L1, for as long as the round lives if L1 does not answer.
    pub(super) async fn confirm(&self, round: Arc<OpenRound<S>>, certificate: Arc<Certificate<S>>) {
        // However this ends, by a panic of the confirmer too, the round is not stuck.
        let _ended = Confirming(&round);
        let Shared {
            confirmer, config, ..
        } = &*self.0;
        let digest = round.digest();
        loop {
            let outcome = (|| confirmer.confirm(&certificate))
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
                Ok(confirmation) => {
                    round.confirmed(confirmation);
                    self.0.events.tell(|| RoundEvent::Confirmed {
                        digest,
                        confirmation,
                    });
                    return self.poke(Arc::clone(&round));
                }
                Err(error) => error,
            };
            error!(
                %digest,
                error = &error as &dyn std::error::Error,
                "the certificate was not confirmed"
            );
            let goes_on = error.is_transient() && self.0.leads();
            if !goes_on || round.is_expired(config.round_lifetime) {
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
