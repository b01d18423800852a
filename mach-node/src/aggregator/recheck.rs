//! Looking at what L1 has: it may leave the block that held a confirmation, its contract's owner may remove
//! an alert, and others may bring one there.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use mach_bls::Scheme;
use mach_core::{
    Certificate, Confirmation, Statement,
    ports::{AggregateError, ConfirmError, L1Standing},
};
use tracing::{error, info, warn};

use super::{
    Aggregator,
    ledger::{Closing, Due, Recorded, StoredRound, StoredRow},
    unstored,
    view::RoundEvent,
};

/// L1 blocks after which a confirmation is looked at for the first time.
const FIRST: u64 = 2;
/// Most alerts that L1 is asked about in one turn, how soon it is asked again about the same, and how seldom
/// at last.
const MAX_ASKED: usize = 32;
const ASK_AGAIN: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// When what L1 had in block `since` is looked at next, seen from `head`: after as long as
/// it has been there, until it is `confirmations` blocks deep. `None` if it is.
pub(super) fn look_again(since: u64, head: u64, confirmations: u32) -> Option<u64> {
    let last = since.saturating_add(confirmations.into());
    let age = head.saturating_sub(since).max(FIRST / 2);
    (head < last).then(|| since.saturating_add(2 * age).min(last))
}

impl<S: Scheme> Aggregator<S> {
    /// Looks at what L1 has, beside everything else: what was taken back is sent again, which takes its time.
    pub(super) fn look_at_l1(&self) {
        let Ok(turn) = Arc::clone(&self.0.looking).try_acquire_owned() else {
            return;
        };
        let this = self.clone();
        tokio::spawn(async move {
            let _turn = turn;
            this.show_closed().await;
            if let Err(error) = this.look_at_all().await {
                let error = &error as &dyn std::error::Error;
                warn!(
                    error,
                    "it is not known whether L1 still has what it confirmed"
                );
            }
            this.ask_about_alerts().await;
        });
    }

    /// Asks L1 about alerts that wait for signatures here: another aggregator may have had enough of them.
    async fn ask_about_alerts(&self) {
        for round in self.0.rounds.in_question(MAX_ASKED) {
            if !self.0.leads() {
                return;
            }
            let digest = round.digest();
            let head = self.0.head().await;
            let standing = self.standing(round.statement()).await;
            round.asked(ASK_AGAIN, LONGEST_PAUSE);
            match (head, standing) {
                (Ok(l1_block), Ok(L1Standing::Stands)) => {
                    info!(%digest, "another aggregator has brought the alert to L1");
                    let confirmation = found(digest, l1_block);
                    self.stands(&round, confirmation);
                }
                (Ok(l1_block), Ok(L1Standing::Withdrawn)) => self.withdrawn(&round, l1_block),
                (Ok(_), Ok(L1Standing::Absent)) => {}
                (Err(error), _) => return not_told(&error),
                (_, Err(error)) => return not_told(&error),
            }
        }
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
        let known = row.and_then(|row| Some((row.round.on_l1_since()?, row)));
        let Some((since, row)) = known else {
            // Forgotten meanwhile, or open again.
            let _ = ledger.looked(due, None).await.map_err(unstored)?;
            return Ok(true);
        };
        let certificate = ledger.certificate(&digest).await.map_err(unstored)?;
        let certificate: Option<Arc<Certificate<S>>> = certificate.map(Arc::new);
        let confirmations = self.0.config.confirmations;
        let seen = match self.look(&row.round.statement, certificate.as_ref()).await {
            Ok(seen) => seen,
            Err(error) => {
                warn!(
                    %digest,
                    error = &error as &dyn std::error::Error,
                    "it is not known whether L1 still has the statement"
                );
                return Ok(false);
            }
        };
        let recorded = match (seen, row.round.confirmation, row.round.withdrawn) {
            (Look::Stands(now), Some(known), None)
                if now.is_none_or(|now| !is_another(&known, &now)) =>
            {
                let is_covered = certificate.is_none_or(|it| it.round == row.round.terms);
                self.looked(due, &row, since, head, is_covered).await?
            }
            (Look::Stands(now), ..) => {
                warn!(%digest, "L1 had lost the statement, which is confirmed anew");
                let confirmation = now.unwrap_or_else(|| found(digest, head));
                let closed = StoredRound {
                    confirmation: Some(confirmation),
                    withdrawn: None,
                    is_lost: false,
                    ..row.round.clone()
                };
                let event = RoundEvent::Confirmed {
                    digest,
                    confirmation,
                };
                let again = look_again(confirmation.l1_block, confirmation.l1_block, confirmations);
                // In a block of the same height it would be due at that of this look, which is over.
                let again = again.map(|height| height.max(head.saturating_add(1)));
                self.close_anew(due, &row, &closed, again, event).await?
            }
            (Look::Withdrawn, _, Some(_)) => self.looked(due, &row, since, head, true).await?,
            (Look::Withdrawn, _, None) => {
                warn!(%digest, "the owner of the contract has removed the alert, it is not tried again");
                let closed = StoredRound {
                    withdrawn: Some(head),
                    ..row.round.clone()
                };
                let event = RoundEvent::Withdrawn {
                    digest,
                    l1_block: head,
                };
                let again = look_again(head, head, confirmations);
                self.close_anew(due, &row, &closed, again, event).await?
            }
            (Look::Absent, ..) => {
                error!(%digest, "L1 has lost the statement, its round goes on");
                let reopened = ledger.reopen(due, &row).await.map_err(unstored)?;
                if reopened == Recorded::Durable {
                    self.forget_round(&digest);
                    self.0.events.tell(|| RoundEvent::Lost { digest });
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

    /// What L1 has of a statement; one with a certificate is brought there once more, should L1 have lost it.
    ///
    /// Errors: L1 does not say.
    async fn look(
        &self,
        statement: &Statement,
        certificate: Option<&Arc<Certificate<S>>>,
    ) -> Result<Look, ConfirmError> {
        if let Some(certificate) = certificate {
            match self.bring(certificate).await {
                Ok(now) => return Ok(Look::Stands(Some(now))),
                Err(ConfirmError::Withdrawn(_)) => return Ok(Look::Withdrawn),
                Err(error @ ConfirmError::NotIncluded { .. }) => not_told(&error),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => not_told(&error),
            }
        }
        Ok(match self.standing(statement).await? {
            L1Standing::Stands => Look::Stands(None),
            L1Standing::Withdrawn => Look::Withdrawn,
            L1Standing::Absent => Look::Absent,
        })
    }

    /// Takes that nothing has changed since L1 block `since`.
    async fn looked(
        &self,
        due: &Due,
        row: &StoredRow,
        since: u64,
        head: u64,
        is_covered: bool,
    ) -> Result<Recorded, AggregateError> {
        let ledger = &self.0.ledger;
        let next = look_again(since, head, self.0.config.confirmations);
        if next.is_none() && row.round.is_lasting() && is_covered {
            let settled = ledger.settle::<S>(&due.digest, &row.round).await;
            let _ = settled.map_err(unstored)?;
        }
        ledger.looked(due, next).await.map_err(unstored)
    }

    /// Keeps and tells that L1 has something else than it had.
    async fn close_anew(
        &self,
        due: &Due,
        row: &StoredRow,
        closed: &StoredRound,
        look_again: Option<u64>,
        event: RoundEvent<S>,
    ) -> Result<Recorded, AggregateError> {
        let ledger = &self.0.ledger;
        let closing = Closing {
            is_covered: false,
            look_again,
        };
        let recorded = ledger.close::<S>(&due.digest, &row.bytes, closed, closing);
        let recorded = recorded.await.map_err(unstored)?;
        if recorded != Recorded::Durable {
            return Ok(recorded);
        }
        match (self.0.rounds.get(&due.digest), closed.withdrawn) {
            // It is shown as such.
            (Some((round, _)), Some(l1_block)) => round.withdrawn(l1_block),
            _ => self.forget_round(&due.digest),
        }
        self.0.events.tell(|| event);
        ledger.looked(due, None).await.map_err(unstored)
    }

    /// What is in memory knows the row as it was.
    fn forget_round(&self, digest: &B256) {
        if let Some((round, _)) = self.0.rounds.get(digest) {
            self.0.rounds.remove(digest, &round);
        }
    }
}

/// What a look at L1 has shown.
enum Look {
    /// The statement stands, where the confirmer says.
    Stands(Option<Confirmation>),
    Withdrawn,
    Absent,
}

fn not_told(error: &(dyn std::error::Error + 'static)) {
    warn!(error, "L1 does not have, or tell, what it is asked for");
}

/// A statement that somebody else brought to L1.
const fn found(digest: B256, l1_block: u64) -> Confirmation {
    Confirmation {
        digest,
        transaction: None,
        l1_block,
        gas_used: None,
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
