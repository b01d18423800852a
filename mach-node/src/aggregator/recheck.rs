//! Looking at confirmations again: L1 may leave the block that held one.

use std::sync::Arc;

use mach_bls::Scheme;
use mach_core::{Certificate, Confirmation, ports::AggregateError};
use tracing::{error, warn};

use super::{
    Aggregator,
    ledger::{Closing, Due, Recorded, StoredRound, StoredRow},
    unstored,
    view::RoundEvent,
};

/// L1 blocks after which a confirmation is looked at for the first time.
const FIRST: u64 = 2;

/// When a confirmation that L1 had in block `since` is looked at next, seen from `head`: after as long as
/// it has been there, until it is `confirmations` blocks deep. `None` if it is.
pub(super) fn look_again(since: u64, head: u64, confirmations: u32) -> Option<u64> {
    let last = since.saturating_add(confirmations.into());
    let age = head.saturating_sub(since).max(FIRST / 2);
    (head < last).then(|| since.saturating_add(2 * age).min(last))
}

impl<S: Scheme> Aggregator<S> {
    /// Looks at the confirmations that are due, beside everything else: what was taken back is sent
    /// again, which takes its time.
    pub(super) fn look_at_confirmations(&self) {
        let Ok(turn) = Arc::clone(&self.0.looking).try_acquire_owned() else {
            return;
        };
        let this = self.clone();
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = this.look_at_all().await {
                let error = &error as &dyn std::error::Error;
                warn!(
                    error,
                    "it is not known whether L1 still has what it confirmed"
                );
            }
        });
    }

    async fn look_at_all(&self) -> Result<(), AggregateError> {
        let head = self.0.head().await?;
        loop {
            let due = self.0.ledger.due(head).await.map_err(unstored)?;
            let mut looked = 0;
            for due in &due {
                if !self.0.leads() {
                    return Ok(());
                }
                looked += usize::from(self.look_at(due, head).await?);
            }
            // What L1 does not tell is asked again the next time.
            if looked == 0 || looked < due.len() {
                return Ok(());
            }
        }
    }

    /// Answers whether that was all there is to do now.
    async fn look_at(&self, due: &Due, head: u64) -> Result<bool, AggregateError> {
        let (digest, ledger) = (due.digest, &self.0.ledger);
        let row = ledger.row(&digest).await.map_err(unstored)?;
        let certificate = ledger.certificate(&digest).await.map_err(unstored)?;
        let known = row.and_then(|row| Some((row.round.confirmation?, row)));
        let (Some((known, row)), Some(certificate)) = (known, certificate) else {
            // Forgotten meanwhile.
            let _ = ledger.looked(due, None).await.map_err(unstored)?;
            return Ok(true);
        };
        let certificate: Arc<Certificate<S>> = Arc::new(certificate);
        let recorded = match self.bring(&certificate).await {
            Ok(now) if is_another(&known, &now) => {
                warn!(%digest, "L1 had lost the statement, which is confirmed anew");
                self.confirmed_anew(due, row, now).await?
            }
            Ok(_) => {
                let next = look_again(known.l1_block, head, self.0.config.confirmations);
                let is_covered = certificate.round == row.round.terms;
                if next.is_none() && row.round.is_lasting() && is_covered {
                    let _ = ledger.settle(&digest, &row.round).await.map_err(unstored)?;
                }
                ledger.looked(due, next).await.map_err(unstored)?
            }
            Err(error) if error.is_transient() => {
                warn!(
                    %digest,
                    error = &error as &dyn std::error::Error,
                    "it is not known whether L1 still has the statement"
                );
                return Ok(false);
            }
            Err(error) => {
                error!(
                    %digest,
                    error = &error as &dyn std::error::Error,
                    "L1 has lost the statement, its round goes on"
                );
                let reopened = ledger.reopen(due, &row).await.map_err(unstored)?;
                if let Some((round, _)) = self.0.rounds.get(&digest) {
                    self.0.rounds.remove(&digest, &round);
                }
                reopened
            }
        };
        match recorded {
            Recorded::NotLeading => Err(AggregateError::Standby),
            // Changed meanwhile: the next look sees it.
            Recorded::Elsewise => Ok(false),
            Recorded::Durable | Recorded::Beside => Ok(true),
        }
    }

    async fn confirmed_anew(
        &self,
        due: &Due,
        row: StoredRow,
        confirmation: Confirmation,
    ) -> Result<Recorded, AggregateError> {
        let (digest, ledger) = (due.digest, &self.0.ledger);
        let closed = StoredRound {
            confirmation: Some(confirmation),
            ..row.round
        };
        let closing = Closing {
            is_covered: false,
            look_again: look_again(
                confirmation.l1_block,
                confirmation.l1_block,
                self.0.config.confirmations,
            ),
        };
        let recorded = ledger.close(&digest, &row.bytes, &closed, closing).await;
        let recorded = recorded.map_err(unstored)?;
        if recorded != Recorded::Durable {
            return Ok(recorded);
        }
        // What is in memory knows the row as it was.
        if let Some((round, _)) = self.0.rounds.get(&digest) {
            self.0.rounds.remove(&digest, &round);
        }
        self.0.events.tell(|| RoundEvent::Confirmed {
            digest,
            confirmation,
        });
        ledger.looked(due, None).await.map_err(unstored)
    }
}

/// Whether the statement was confirmed in another transaction than is known, or in another block.
fn is_another(known: &Confirmation, now: &Confirmation) -> bool {
    let place = |it: &Confirmation| (it.transaction, it.l1_block);
    now.transaction.is_some() && place(now) != place(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_transaction_in_another_block_is_another_confirmation() {
        let at = |transaction: Option<u8>, l1_block| Confirmation {
            digest: Default::default(),
            transaction: transaction.map(alloy_primitives::B256::repeat_byte),
            l1_block,
            gas_used: None,
        };
        let known = at(Some(1), 10);
        assert!(is_another(&known, &at(Some(1), 12)));
        assert!(is_another(&known, &at(Some(2), 10)));
        assert!(!is_another(&known, &known));
        // L1 says that it stands, and not since when.
        assert!(!is_another(&known, &at(None, 12)));
    }

    #[test]
    fn a_confirmation_is_looked_at_until_it_is_deep_enough() {
        let mut looks = vec![];
        let mut head = 1000;
        while let Some(next) = look_again(1000, head, 64) {
            looks.push(next - 1000);
            head = next;
        }
        assert_eq!(looks, [2, 4, 8, 16, 32, 64]);
        assert_eq!(look_again(1000, 1000, 1), Some(1001));
        assert_eq!(look_again(1000, 1000, 0), None);
        // L1 went back.
        assert_eq!(look_again(1000, 990, 64), Some(1002));
        assert_eq!(look_again(u64::MAX, u64::MAX - 1, 64), Some(u64::MAX));
    }
}
