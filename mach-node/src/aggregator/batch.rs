//! Working on a round: signatures that come together are proved together, become durable together,
//! and are answered then.

use std::{collections::HashSet, sync::Arc, time::Duration};

use mach_bls::{Scheme, TallyError};
use mach_core::{
    G1Bytes, OperatorId, SignedStatement,
    ports::{AggregateError, Progress},
};
use tokio::{
    sync::{AcquireError, SemaphorePermit, oneshot},
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{
    Aggregator, blocking, failed,
    ledger::{Batch, Closing, Recorded},
    recheck::look_again,
    round::{Counted, OpenRound, Pending, Phase, Work},
    view::RoundEvent,
};

/// Most signatures that are proved together.
const MAX_BATCH: usize = 4096;
/// Late signatures make a better certificate at most this often.
const EXTEND_EVERY: Duration = Duration::from_millis(250);
/// How long a round whose certificate is not brought to L1 stays open for those who are late.
const SETTLE: Duration = Duration::from_secs(2);

impl<S: Scheme> Aggregator<S> {
    /// Has a signature counted with those that come at the same time.
    pub(super) async fn count(
        &self,
        round: Arc<OpenRound<S>>,
        signed: &SignedStatement<S>,
    ) -> Result<Progress, AggregateError> {
        if round.is_withdrawn() {
            return Ok(Progress::Withdrawn);
        }
        let (answer, answered) = oneshot::channel();
        let begins = round.push(Pending {
            operator: signed.operator,
            signature: signed.signature,
            answer,
        })?;
        if begins {
            self.work_on(round);
        }
        answered.await.map_err(failed)?
    }

    /// Has the round looked at: its certificate may be due, or its end.
    pub(super) fn poke(&self, round: Arc<OpenRound<S>>) {
        if round.poke() {
            self.work_on(round);
        }
    }

    /// Who goes away meanwhile does not stop what was begun.
    fn work_on(&self, round: Arc<OpenRound<S>>) {
        let this = self.clone();
        tokio::spawn(async move {
            let working = Working(round);
            this.work(&working.0).await;
        });
    }

    async fn work(&self, round: &Arc<OpenRound<S>>) {
        let mut work = round.work.lock().await;
        let mut extend_at: Option<Instant> = None;
        loop {
            let is_due = extend_at.is_some_and(|at| at <= Instant::now());
            // Each certificate of a closed round is written whole: who comes late comes together with others.
            if let Some((_, made)) = work.certificate.as_ref().filter(|_| work.is_closed) {
                sleep_until(*made + EXTEND_EVERY).await;
            }
            // While others are at it, more signatures come together.
            let permit = self.0.proving.acquire().await;
            match round.take_waiting(MAX_BATCH) {
                Some(batch) => {
                    extend_at = self.batch(round, &mut work, batch, is_due, permit).await;
                }
                None if is_due => {
                    extend_at = self.batch(round, &mut work, Vec::new(), true, permit).await;
                }
                None => {
                    drop(permit);
                    match extend_at {
                        Some(at) => {
                            tokio::select! {
                                () = sleep_until(at) => {}
                                () = round.arrival.notified() => {}
                            }
                        }
                        None if round.rest() => return,
                        None => {}
                    }
                }
            }
        }
    }

    /// Works on some signatures, or none, and answers when the certificate is to be extended.
    async fn batch(
        &self,
        round: &Arc<OpenRound<S>>,
        work: &mut Work<S>,
        batch: Vec<Pending<S>>,
        extend: bool,
        permit: Result<SemaphorePermit<'_>, AcquireError>,
    ) -> Option<Instant> {
        let shares: Vec<_> = (batch.iter())
            .map(|pending| (pending.operator, pending.signature))
            .collect();
        let certified = (work.certificate.as_ref()).map_or(0, |(it, _)| signers(round, it));
        // What comes to a closed round is in the certificate or nowhere.
        let is_closed = round.is_closed();
        let extend = extend || is_closed;
        let counting = Arc::clone(round);
        let counted = blocking(move || counting.count(&shares, certified, extend)).await;
        drop(permit);
        let mut counted = match counted {
            Ok(counted) => counted,
            Err(error) => {
                refuse(batch, || AggregateError::Backend(error.to_string().into()));
                return None;
            }
        };
        work.unrecorded.extend(counted.new.iter().copied());
        if is_closed && !work.is_closed {
            self.look_at_row(round, work).await;
        }
        let recorded = self.record(round, work, &mut counted).await;
        if let Err(error) = recorded {
            return self.fail(round, batch, &counted, error);
        }
        self.tell(round, &counted, work);
        if let Some((certificate, _)) = &work.certificate
            && round.confirm()
        {
            let (this, round) = (self.clone(), Arc::clone(round));
            let certificate = Arc::clone(certificate);
            if self.0.config.confirm.takes(round.statement()) {
                tokio::spawn(async move { this.confirm(round, certificate).await });
            } else {
                tokio::spawn(async move { this.settle(round).await });
            }
        }
        // Closed meanwhile? Then once more, for the certificate may not have all signatures yet.
        if is_closed {
            self.close(round, work).await;
        }
        let progress = round.progress();
        for (pending, outcome) in batch.into_iter().zip(counted.outcomes) {
            let answer = outcome.map(|()| progress.clone());
            // Whoever went away does not want to know.
            let _ = pending.answer.send(answer.map_err(refused(round)));
        }
        let made = work.certificate.as_ref().map(|(_, made)| *made);
        made.filter(|_| counted.is_better_possible)
            .map(|made| made + EXTEND_EVERY)
    }

    /// Takes the row as it is by now: the round may have become too old while its certificate was on its way to
    /// L1, and have been closed without its confirmation.
    async fn look_at_row(&self, round: &OpenRound<S>, work: &mut Work<S>) {
        // What the store does not tell is seen when it is written.
        let row = self.0.ledger.row(&round.digest()).await.ok().flatten();
        if let Some(row) = row.filter(|it| round.is_copy_of(&it.round))
            && row.round.on_l1_since().is_none()
            && !row.round.is_leaving
        {
            work.row = Some(row.bytes);
        }
    }

    /// Makes durable what is not.
    async fn record(
        &self,
        round: &OpenRound<S>,
        work: &mut Work<S>,
        counted: &mut Counted<S>,
    ) -> Result<(), AggregateError> {
        // The certificate of a closed round has its late signatures, unless that of another round is kept.
        let is_covered = work.is_closed
            && work.certificate.is_some()
            && !work.is_beside
            && self.is_settled(round).await;
        let signatures: Vec<(OperatorId, G1Bytes<S>)> = match is_covered {
            true => Vec::new(),
            false => work.unrecorded.iter().copied().collect(),
        };
        let batch = Batch {
            row: work.row.as_deref(),
            signatures: &signatures,
            certificate: counted.certificate.as_ref(),
        };
        let (digest, stored) = (round.digest(), round.to_open());
        let recorded = self.0.ledger.record(&digest, &stored, &batch).await;
        match recorded.map_err(super::unstored)? {
            recorded @ (Recorded::Durable | Recorded::Beside) => {
                counted.is_opened = work.row.is_none();
                if work.row.is_none() {
                    work.row = Some(stored.encode().map_err(super::unstored)?);
                }
                work.unrecorded.clear();
                if let Some(certificate) = counted.certificate.take() {
                    info!(%digest, absent = certificate.non_signers.len(), "certified");
                    work.is_beside = recorded == Recorded::Beside;
                    work.certificate = Some((Arc::new(certificate), Instant::now()));
                    round.certified();
                    counted.is_better_possible = false;
                    counted.is_certified = true;
                }
                Ok(())
            }
            Recorded::Elsewise => Err(AggregateError::Expired(digest)),
            Recorded::NotLeading => Err(AggregateError::Standby),
        }
    }

    /// Whether a closed round needs its signatures no more. An alert's are needed once more, in other terms, if
    /// L1 takes its confirmation back.
    async fn is_settled(&self, round: &OpenRound<S>) -> bool {
        match round.phase() {
            Phase::Confirmed(_) if round.is_lasting() => {
                let is_watched = self.0.is_watched(&round.digest()).await;
                is_watched.is_ok_and(|is_watched| !is_watched)
            }
            _ => true,
        }
    }

    /// Nothing is acknowledged that is not durable.
    fn fail(
        &self,
        round: &Arc<OpenRound<S>>,
        batch: Vec<Pending<S>>,
        counted: &Counted<S>,
        error: AggregateError,
    ) -> Option<Instant> {
        warn!(digest = %round.digest(), %error, "signatures are not recorded");
        match error {
            // What is in memory is not what counts.
            AggregateError::Expired(_) => self.0.rounds.remove(&round.digest(), round),
            AggregateError::Standby => self.0.step_down(),
            _ => {}
        }
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        for (pending, outcome) in batch.into_iter().zip(&counted.outcomes) {
            let error = match outcome {
                Err(wrong) => refused(round)(*wrong),
                Ok(()) => match error {
                    AggregateError::Expired(digest) => AggregateError::Expired(digest),
                    AggregateError::Standby => AggregateError::Standby,
                    _ => AggregateError::Backend(cause.clone().unwrap_or_default().into()),
                },
            };
            let _ = pending.answer.send(Err(error));
        }
        None
    }

    fn tell(&self, round: &OpenRound<S>, counted: &Counted<S>, work: &Work<S>) {
        if counted.is_opened {
            self.0.events.tell(|| RoundEvent::Opened(round.view()));
        } else if !counted.new.is_empty() {
            self.0.events.tell(|| RoundEvent::Signed(round.view()));
        }
        if let Some((certificate, _)) = work.certificate.as_ref().filter(|_| counted.is_certified) {
            self.0.events.tell(|| RoundEvent::Certified {
                view: round.view(),
                certificate: Arc::clone(certificate),
            });
        }
    }

    /// Leaves it at the certificate when everybody has signed, or the others had their time: while the
    /// round is open, a late signature is a row of its own, and after that a certificate each.
    async fn settle(&self, round: Arc<OpenRound<S>>) {
        let until = Instant::now() + SETTLE;
        while Instant::now() < until && !round.is_complete() {
            tokio::time::sleep(EXTEND_EVERY).await;
        }
        round.leave_certified();
        self.poke(round);
    }

    /// Keeps that the round is closed. If that fails, [`Aggregator::tend`] tries again.
    async fn close(&self, round: &Arc<OpenRound<S>>, work: &mut Work<S>) {
        if work.is_closed || !round.is_closed() {
            return;
        }
        match self.put_away(round, work).await {
            Ok(true) => {
                work.is_closed = true;
                work.unrecorded = HashSet::new();
                round.put_away();
                let round = Arc::clone(round);
                // What a panic leaves is as good.
                let _ = blocking(move || round.condense()).await;
            }
            // Another round is what counts.
            Ok(false) => self.0.rounds.remove(&round.digest(), round),
            Err(AggregateError::Standby) => self.0.step_down(),
            Err(error) => warn!(
                digest = %round.digest(),
                error = &error as &dyn std::error::Error,
                "that the round is closed was not stored"
            ),
        }
    }

    /// Answers `false` if the store has another round of the statement.
    async fn put_away(
        &self,
        round: &OpenRound<S>,
        work: &mut Work<S>,
    ) -> Result<bool, AggregateError> {
        let (digest, closed) = (round.digest(), round.to_stored());
        let confirmations = self.0.config.confirmations;
        let look_again =
            (closed.on_l1_since()).and_then(|since| look_again(since, since, confirmations));
        let closing = Closing {
            // An alert's may be needed once more, until its confirmation is deep enough.
            is_covered: !work.is_beside && (look_again.is_none() || !closed.is_lasting()),
            look_again,
        };
        // It may have become too old meanwhile, and have been closed without its confirmation.
        for _ in 0..super::MAX_TRIES {
            let Some(row) = &work.row else {
                return Ok(false);
            };
            let ledger = &self.0.ledger;
            let recorded = ledger.close::<S>(&digest, row, &closed, closing).await;
            match recorded.map_err(super::unstored)? {
                Recorded::Durable | Recorded::Beside => {
                    work.row = Some(closed.encode().map_err(super::unstored)?);
                    return Ok(true);
                }
                Recorded::NotLeading => return Err(AggregateError::Standby),
                Recorded::Elsewise => {
                    let row = self.0.ledger.row(&digest).await.map_err(super::unstored)?;
                    let row = row.filter(|it| round.is_copy_of(&it.round));
                    match row.filter(|it| it.round.on_l1_since().is_none()) {
                        Some(row) => work.row = Some(row.bytes),
                        None => return Ok(false),
                    }
                }
            }
        }
        Ok(false)
    }
}

/// Number of operators whose signatures are in a certificate of this round.
const fn signers<S: Scheme>(
    round: &OpenRound<S>,
    certificate: &mach_core::Certificate<S>,
) -> usize {
    round
        .operators()
        .saturating_sub(certificate.non_signers.len())
}

fn refuse<S: Scheme>(batch: Vec<Pending<S>>, error: impl Fn() -> AggregateError) {
    for pending in batch {
        let _ = pending.answer.send(Err(error()));
    }
}

/// Why a signature is not counted.
fn refused<S: Scheme>(round: &OpenRound<S>) -> impl Fn(TallyError) -> AggregateError {
    let digest = round.digest();
    move |error| match error {
        TallyError::UnknownOperator(operator) => AggregateError::UnknownOperator(operator),
        TallyError::Malformed { operator, .. } | TallyError::BadSignature(operator) => {
            warn!(%digest, %operator, %error, "signature refused");
            AggregateError::BadSignature(operator)
        }
        error => AggregateError::Backend(error.into()),
    }
}

/// Work on a round, which somebody else takes up again if it ends by a panic.
struct Working<S: Scheme>(Arc<OpenRound<S>>);

impl<S: Scheme> Drop for Working<S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}
