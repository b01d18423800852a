//! One round in memory.
//!
//! Locks are taken in one order: the tally, then the phase, then what waits. Only the tally's is
//! held for longer than an instant, on a thread for what takes long.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::B256;
use mach_bls::{Added, Scheme, Signature, Tally, TallyError};
use mach_core::{
    Certificate, Confirmation, G1Bytes, OperatorId, Round, Statement,
    ports::{AggregateError, Progress},
};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    ledger::{StoredRound, StoredRow},
    rounds::lock,
    view::{RoundState, RoundView},
};

/// Most signatures of one round that wait.
const MAX_WAITING: usize = 32 * 1024;

/// One round.
pub(super) struct OpenRound<S: Scheme> {
    digest: B256,
    opened: Instant,
    /// Without its confirmation.
    stored: StoredRound,
    /// Who begins it; `None` if it was stored before.
    opener: Option<OperatorId>,
    /// Who has signed it, until there is a certificate: it counts in their shares.
    charged: Mutex<HashSet<OperatorId>>,
    operators: usize,
    signers: AtomicUsize,
    /// Whether there is a certificate.
    is_certified: AtomicBool,
    /// Whether the store has the round as closed, so that memory may do without it.
    is_put_away: AtomicBool,
    tally: Mutex<Tally<S>>,
    phase: Mutex<Phase>,
    refusals: Mutex<Refusals>,
    waiting: Mutex<Waiting<S>>,
    /// Something waits.
    pub(super) arrival: Notify,
    /// What the one who works on the round keeps.
    pub(super) work: tokio::sync::Mutex<Work<S>>,
}

/// What waits to be worked on.
struct Waiting<S: Scheme> {
    signatures: VecDeque<Pending<S>>,
    /// Somebody works on the round and will look again.
    is_worked_on: bool,
    /// There is something to do beside the signatures.
    is_poked: bool,
}

/// A signature that waits for its answer.
pub(super) struct Pending<S: Scheme> {
    pub(super) operator: OperatorId,
    pub(super) signature: G1Bytes<S>,
    pub(super) answer: oneshot::Sender<Result<Progress, AggregateError>>,
}

/// What is known of the round's rows, and its certificate.
pub(super) struct Work<S: Scheme> {
    /// The round as the store has it; `None` if it does not.
    pub(super) row: Option<Vec<u8>>,
    /// Signatures that count and are not known to be durable.
    pub(super) unrecorded: HashSet<(OperatorId, G1Bytes<S>)>,
    /// The best certificate, and when it was made.
    pub(super) certificate: Option<(Arc<Certificate<S>>, Instant)>,
    /// Whether the certificate that the store keeps is of another round of the statement.
    pub(super) is_beside: bool,
    /// Whether the store knows that the round is closed.
    pub(super) is_closed: bool,
}

/// How often a certificate was refused in a row, and until when it is not tried again.
#[derive(Clone, Copy, Debug, Default)]
struct Refusals {
    count: u32,
    until: Option<Instant>,
}

/// How far a round is beyond its tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Signatures are counted; the threshold may be reached.
    Collecting,
    /// The certificate is on its way to L1, or waits for those who are late.
    Confirming,
    /// The statement stands on L1.
    Confirmed(Confirmation),
    /// The certificate is all there is to it: it is not brought to L1.
    Certified,
}

/// What counting signatures came to.
pub(super) struct Counted<S: Scheme> {
    /// What became of each.
    pub(super) outcomes: Vec<Result<(), TallyError>>,
    /// Those that were not counted before.
    pub(super) new: Vec<(OperatorId, G1Bytes<S>)>,
    /// The certificate, if one was due.
    pub(super) certificate: Option<Certificate<S>>,
    /// Whether there could be a better certificate.
    pub(super) is_better_possible: bool,
    /// Whether the round was made durable now.
    pub(super) is_opened: bool,
    /// Whether the certificate that there is was made now.
    pub(super) is_certified: bool,
}

impl<S: Scheme> OpenRound<S> {
    /// A round that begins with what is proved in `tally`.
    pub(super) fn new(digest: B256, tally: Tally<S>) -> Self {
        let stored = StoredRound::new(tally.statement().clone(), tally.round().clone());
        let signatures: HashSet<_> = tally
            .proved()
            .filter_map(|operator| Some((operator, tally.signature(&operator)?.to_bytes())))
            .collect();
        let charged: HashSet<_> = signatures.iter().map(|(operator, _)| *operator).collect();
        Self {
            digest,
            opened: Instant::now(),
            stored,
            opener: charged.iter().next().copied(),
            charged: Mutex::new(charged),
            operators: tally.members().count(),
            signers: AtomicUsize::new(tally.signers()),
            is_certified: AtomicBool::new(false),
            is_put_away: AtomicBool::new(false),
            tally: Mutex::new(tally),
            phase: Mutex::new(Phase::Collecting),
            refusals: Mutex::default(),
            waiting: Mutex::new(Waiting {
                signatures: VecDeque::new(),
                is_worked_on: false,
                is_poked: false,
            }),
            arrival: Notify::new(),
            work: tokio::sync::Mutex::new(Work {
                row: None,
                unrecorded: signatures,
                certificate: None,
                is_beside: false,
                is_closed: false,
            }),
        }
    }

    /// A round as it was stored. Its signatures are proved here, for who wrote them is not known.
    /// It lasts as long again: how long the process was gone is not known either.
    pub(super) fn restore(
        digest: B256,
        mut tally: Tally<S>,
        row: StoredRow,
        signatures: &[(OperatorId, G1Bytes<S>)],
        certificate: Option<Certificate<S>>,
    ) -> Self {
        add_all(&mut tally, signatures);
        let mut round = Self::new(digest, tally);
        round.take_row(row);
        if certificate.is_some() {
            round.certified();
        }
        let work = round.work.get_mut();
        work.unrecorded.clear();
        work.certificate = certificate.map(|it| (Arc::new(it), round.opened));
        round
    }

    /// A closed round as it was stored, with all that is left of it: its certificate, behind which
    /// `tally` goes on, and signatures that the certificate does not have.
    pub(super) fn reopen(
        digest: B256,
        mut tally: Tally<S>,
        row: StoredRow,
        signatures: &[(OperatorId, G1Bytes<S>)],
        certificate: Certificate<S>,
    ) -> Self {
        add_all(&mut tally, signatures);
        let mut round = Self::new(digest, tally);
        let phase = (row.round.confirmation).map_or(Phase::Certified, Phase::Confirmed);
        round.take_row(row);
        round.phase = Mutex::new(phase);
        round.certified();
        round.is_put_away = AtomicBool::new(true);
        let work = round.work.get_mut();
        work.unrecorded.clear();
        work.is_closed = true;
        work.certificate = Some((Arc::new(certificate), round.opened));
        round
    }

    fn take_row(&mut self, row: StoredRow) {
        self.stored.opened_at = row.round.opened_at;
        self.stored.is_renewed = row.round.is_renewed;
        self.opener = None;
        self.work.get_mut().row = Some(row.bytes);
    }

    pub(super) const fn digest(&self) -> B256 {
        self.digest
    }

    pub(super) const fn opened(&self) -> Instant {
        self.opened
    }

    /// Number of all operators.
    pub(super) const fn operators(&self) -> usize {
        self.operators
    }

    /// Whether it has outlived its first terms.
    pub(super) const fn is_renewed(&self) -> bool {
        self.stored.is_renewed
    }

    pub(super) fn terms(&self) -> Round {
        self.stored.terms.clone()
    }

    /// The operator who begins the round; `None` if it was stored before.
    pub(super) const fn opener(&self) -> Option<OperatorId> {
        self.opener
    }

    /// Whether the round counts in the share of this operator, who signed it: it has no certificate.
    pub(super) fn is_charged_to(&self, operator: &OperatorId) -> bool {
        lock(&self.charged).contains(operator)
    }

    /// The round as it is stored while it is open.
    pub(super) fn to_open(&self) -> StoredRound {
        self.stored.clone()
    }

    /// The round as it is to be stored.
    pub(super) fn to_stored(&self) -> StoredRound {
        let (confirmation, certified) = match self.phase() {
            Phase::Confirmed(confirmation) => (Some(confirmation), None),
            Phase::Certified => (None, Some(self.signers())),
            Phase::Collecting | Phase::Confirming => (None, None),
        };
        StoredRound {
            confirmation,
            certified,
            ..self.stored.clone()
        }
    }

    /// Puts a signature to those that wait. Answers whether somebody has to begin working on them.
    ///
    /// Errors: [`AggregateError::Full`].
    pub(super) fn push(&self, pending: Pending<S>) -> Result<bool, AggregateError> {
        let mut waiting = lock(&self.waiting);
        if waiting.signatures.len() >= MAX_WAITING {
            return Err(AggregateError::Full(MAX_WAITING));
        }
        waiting.signatures.push_back(pending);
        Ok(self.called(&mut waiting))
    }

    /// Has somebody look at the round. Answers whether somebody has to begin.
    pub(super) fn poke(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.is_poked = true;
        self.called(&mut waiting)
    }

    fn called(&self, waiting: &mut Waiting<S>) -> bool {
        self.arrival.notify_one();
        !std::mem::replace(&mut waiting.is_worked_on, true)
    }

    /// The signatures that wait, at most so many; `None` if there is nothing to do at all.
    pub(super) fn take_waiting(&self, most: usize) -> Option<Vec<Pending<S>>> {
        let mut waiting = lock(&self.waiting);
        let is_poked = std::mem::take(&mut waiting.is_poked);
        let count = waiting.signatures.len().min(most);
        (is_poked || count > 0).then(|| waiting.signatures.drain(..count).collect())
    }

    /// Ends the work on the round, unless something came meanwhile.
    pub(super) fn rest(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        let is_done = waiting.signatures.is_empty() && !waiting.is_poked;
        if is_done {
            waiting.is_worked_on = false;
            // It was as long as the longest queue.
            waiting.signatures = VecDeque::new();
        }
        is_done
    }

    /// Whoever worked on the round is gone, with a panic perhaps.
    pub(super) fn abandon(&self) {
        lock(&self.waiting).is_worked_on = false;
    }

    /// Counts signatures of which each is proved, all of them in one check with random weights, and
    /// makes the certificate if there is none or `extend` says so.
    pub(super) fn count(
        &self,
        batch: &[(OperatorId, G1Bytes<S>)],
        certified: usize,
        extend: bool,
    ) -> Counted<S> {
        let mut tally = lock(&self.tally);
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut new = Vec::new();
        for (position, (operator, bytes)) in batch.iter().enumerate() {
            // Who is in the sum has signed. Whatever else comes in its name changes nothing, and costs
            // no pairing.
            if tally.is_summed(operator) {
                outcomes.push(Ok(()));
                continue;
            }
            let added = match Signature::from_bytes(bytes) {
                Ok(signature) => tally.add_signature(*operator, signature),
                Err(source) => Err(TallyError::Malformed {
                    operator: *operator,
                    source,
                }),
            };
            if added == Ok(Added::New) {
                new.push(position);
            }
            outcomes.push(added.map(|_| ()));
        }
        tally.prove();
        // Of two in one operator's name one is wrong, and others may be.
        for ((operator, bytes), outcome) in batch.iter().zip(&mut outcomes) {
            let counts = |signature: &Signature<S>| signature.to_bytes() == *bytes;
            let is_in = tally.is_summed(operator) || tally.signature(operator).is_some_and(counts);
            if outcome.is_ok() && !is_in {
                *outcome = Err(TallyError::BadSignature(*operator));
            }
        }
        let is_valid = |position: &usize| outcomes.get(*position).is_some_and(Result::is_ok);
        let new: Vec<_> = (new.into_iter().filter(is_valid))
            .filter_map(|position| batch.get(position).copied())
            .collect();
        self.signers.store(tally.signers(), Ordering::Relaxed);
        if !self.is_certified() {
            let charged = new.iter().map(|(operator, _)| *operator);
            lock(&self.charged).extend(charged);
        }
        let is_better_possible = tally.is_met() && tally.signers() > certified;
        let is_due = certified == 0 || extend || tally.members().all(|(_, has_signed)| has_signed);
        let certificate = (is_better_possible && is_due)
            .then(|| tally.certificate().certificate)
            .flatten();
        Counted {
            outcomes,
            new,
            is_better_possible: is_better_possible && certificate.is_none(),
            is_opened: false,
            is_certified: false,
            certificate,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    /// Begins a confirmation, unless there is one, or another was refused a moment ago.
    pub(super) fn confirm(&self) -> bool {
        let is_too_early = lock(&self.refusals)
            .until
            .is_some_and(|it| it > Instant::now());
        let mut phase = lock(&self.phase);
        let begins = *phase == Phase::Collecting && !is_too_early;
        if begins {
            *phase = Phase::Confirming;
        }
        begins
    }

    /// Takes that the certificate was refused: it is tried again after `pause`, and after twice as long
    /// each time, up to `longest`.
    pub(super) fn refused(&self, pause: Duration, longest: Duration) {
        let mut refusals = lock(&self.refusals);
        let pause = pause.saturating_mul(1 << refusals.count.min(16));
        refusals.count = refusals.count.saturating_add(1);
        refusals.until = Some(Instant::now() + pause.min(longest));
    }

    /// Takes that there is a certificate.
    pub(super) fn certified(&self) {
        self.is_certified.store(true, Ordering::Relaxed);
        *lock(&self.charged) = HashSet::new();
    }

    pub(super) fn is_certified(&self) -> bool {
        self.is_certified.load(Ordering::Relaxed)
    }

    /// Takes that the store has the round as closed.
    pub(super) fn put_away(&self) {
        self.is_put_away.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_put_away(&self) -> bool {
        self.is_put_away.load(Ordering::Relaxed)
    }

    /// Leaves it at the certificate.
    pub(super) fn leave_certified(&self) {
        let mut phase = lock(&self.phase);
        if *phase == Phase::Confirming {
            *phase = Phase::Certified;
        }
    }

    /// Whether every operator has signed.
    pub(super) fn is_complete(&self) -> bool {
        self.signers.load(Ordering::Relaxed) >= self.operators
    }

    /// Keeps of the signatures their sum, for a round that is closed: that is what it is remembered by.
    pub(super) fn condense(&self) {
        lock(&self.tally).condense();
    }

    pub(super) fn confirmed(&self, confirmation: Confirmation) {
        *lock(&self.phase) = Phase::Confirmed(confirmation);
    }

    /// Ends a confirmation that came to nothing: the next signature starts another.
    pub(super) fn not_confirmed(&self) {
        let mut phase = lock(&self.phase);
        if *phase == Phase::Confirming {
            *phase = Phase::Collecting;
        }
    }

    pub(super) fn signers(&self) -> u64 {
        self.signers.load(Ordering::Relaxed) as u64
    }

    pub(super) fn progress(&self) -> Progress {
        let signers = self.signers();
        match self.phase() {
            Phase::Collecting if !self.is_certified() => Progress::Collecting { signers },
            Phase::Collecting | Phase::Confirming | Phase::Certified => {
                Progress::Reached { signers }
            }
            Phase::Confirmed(confirmation) => Progress::Confirmed(confirmation),
        }
    }

    pub(super) fn view(&self) -> RoundView {
        let tally = lock(&self.tally);
        let state = match self.phase() {
            Phase::Confirmed(confirmation) => RoundState::Confirmed(confirmation),
            Phase::Confirming | Phase::Certified => RoundState::Certified,
            Phase::Collecting if tally.is_met() => RoundState::Certified,
            Phase::Collecting => RoundState::Collecting,
        };
        RoundView::new(self.digest, &tally, state)
    }

    pub(super) const fn statement(&self) -> &Statement {
        &self.stored.statement
    }

    /// Whether all that is to come is a better certificate.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase(), Phase::Confirmed(_) | Phase::Certified)
    }

    /// Whether the time of the round is up.
    pub(super) fn is_expired(&self, lifetime: Duration) -> bool {
        self.opened.elapsed() >= lifetime
    }

    /// Whether the round is over. One whose certificate is on its way is not, nor is one that goes on
    /// until L1 has its statement, or of which the store does not know yet that it is closed.
    pub(super) fn is_over(&self, lifetime: Duration) -> bool {
        let is_over = match self.phase() {
            Phase::Collecting => !self.stored.is_lasting(),
            Phase::Confirming => false,
            Phase::Confirmed(_) | Phase::Certified => self.is_put_away(),
        };
        is_over && self.is_expired(lifetime)
    }

    /// Whether the terms of a round that goes on are to be those of now.
    pub(super) fn is_aged(&self, lifetime: Duration) -> bool {
        self.is_expired(lifetime) && self.goes_on()
    }

    /// Whether a round that goes on has been there for longer than a lifetime, in this process or before.
    pub(super) fn has_outlived(&self, lifetime: Duration) -> bool {
        (self.stored.is_renewed || self.is_expired(lifetime)) && self.goes_on()
    }

    /// Whether it goes on until L1 has its statement, and its certificate is not on its way there.
    pub(super) fn goes_on(&self) -> bool {
        self.stored.is_lasting() && self.phase() == Phase::Collecting
    }

    /// Whether it goes on until L1 has its statement.
    pub(super) const fn is_lasting(&self) -> bool {
        self.stored.is_lasting()
    }

    /// Whether this is the same round in later terms.
    pub(super) fn follows(&self, other: &Self) -> bool {
        self.opener.is_none() && self.stored.follows(&other.stored)
    }

    /// Whether this is a copy of the stored round.
    pub(super) fn is_copy_of(&self, stored: &StoredRound) -> bool {
        self.stored.is_same(stored)
    }
}

/// Adds signatures of which it is not known whether they are right, and keeps those that are.
fn add_all<S: Scheme>(tally: &mut Tally<S>, signatures: &[(OperatorId, G1Bytes<S>)]) {
    for (operator, signature) in signatures {
        // The certificate, behind which the tally goes on, has it.
        if tally.is_summed(operator) {
            continue;
        }
        let added = Signature::from_bytes(signature).map(|it| tally.add_signature(*operator, it));
        if !matches!(added, Ok(Ok(_))) {
            tracing::debug!(%operator, "stored signature dropped");
        }
    }
    for operator in tally.prove() {
        tracing::debug!(%operator, "stored signature dropped, it is not valid");
    }
}
