//! Closed rounds that are shown, after a restart as before it.

use std::sync::{Arc, atomic::Ordering};

use mach_bls::{Scheme, Tally};
use mach_core::ports::AggregateError;
use tracing::warn;

use super::{Aggregator, VIEWED_ROUNDS, blocking, ledger::StoredRow, round::OpenRound, unstored};

impl<S: Scheme> Aggregator<S> {
    /// Brings the newest closed rounds back into memory, once since this instance leads: whoever looks sees what
    /// was there before the restart. Of alerts those that L1 has had for long are not among them.
    pub(super) async fn show_closed(&self) {
        if self.0.shows_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(error) = self.bring_back().await {
            self.0.shows_closed.store(false, Ordering::Release);
            let error = &error as &dyn std::error::Error;
            warn!(error, "closed rounds are not shown yet");
        }
    }

    async fn bring_back(&self) -> Result<(), AggregateError> {
        let head = self.0.head().await?;
        let newest = self.0.ledger.newest_closed(head, VIEWED_ROUNDS);
        let newest = newest.await.map_err(unstored)?;
        // Those that began since are newer, and the newest comes first.
        for (age, row) in (1..).zip(newest) {
            if !self.0.leads() || !self.0.rounds.has_room_for_closed() {
                return Ok(());
            }
            if let Some(round) = self.closed(row).await? {
                self.0.rounds.show(round.aged(age));
            }
        }
        Ok(())
    }

    /// A closed round as it is stored, with the signatures that its certificate lacks; `None` if that is not
    /// enough to show it.
    pub(super) async fn closed(
        &self,
        row: StoredRow,
    ) -> Result<Option<OpenRound<S>>, AggregateError> {
        let shared = &self.0;
        let digest = row.round.statement.digest(&shared.config.domain);
        let certificate = shared.ledger.certificate(&digest).await;
        let Some(certificate) = certificate.map_err(unstored)? else {
            return Ok(None);
        };
        let keys = match shared.keys(certificate.round.reference_block()).await {
            Ok(keys) => keys,
            Err(error) if error.is_transient() => return Err(error),
            // L1 does not know its operators any more.
            Err(_) => return Ok(None),
        };
        let beside = shared.ledger.signatures(&digest, &row.round).await;
        let beside = beside.map_err(unstored)?;
        let _turn = shared.proving.acquire().await;
        let restored = blocking(move || {
            let tally = Tally::resume(&certificate, Arc::clone(&keys)).ok()?;
            let certificate = Some(certificate);
            Some(OpenRound::reopen(digest, tally, row, &beside, certificate))
        });
        restored.await
    }
}
