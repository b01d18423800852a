//! One round in memory.
//!
//! Locks are taken in one order: the tally, then all others. Only the tally's is held for longer than an
//! instant, on a thread for what takes long; whoever only wants to see takes what was shown last.

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
    view::{RoundState, RoundView, Shown},
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
    /// The tally as it was when signatures were counted last.
    shown: Mutex<Arc<Shown<S>>>,
    phase: Mutex<Phase>,
    /// When a certificate that L1 refused is brought there again.
    refusals: Mutex<Pauses>,
    /// When L1 is asked next what it has of a statement that has no certificate here.
    questions: Mutex<Pauses>,
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

/// How often something was tried in a row, and until when it is not tried again.
#[derive(Clone, Copy, Debug, Default)]
struct Pauses {
    count: u32,
    until: Option<Instant>,
}

impl Pauses {
    fn is_over(&self) -> bool {
        self.until.is_none_or(|it| it <= Instant::now())
    }

    /// Begins a pause that is twice as long each time, up to `longest`.
    fn begin(&mut self, shortest: Duration, longest: Duration) {
        let pause = shortest.saturating_mul(1 << self.count.min(16));
        self.count = self.count.saturating_add(1);
        self.until = Some(Instant::now() + pause.min(longest));
    }
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
    /// The owner of the contract has removed the alert, as L1 had it in this block.
    Withdrawn(u64),
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
            shown: Mutex::new(Arc::new(Shown::of(&tally))),
            tally: Mutex::new(tally),
            phase: Mutex::new(Phase::Collecting),
            refusals: Mutex::default(),
            questions: Mutex::default(),
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

    /// A closed round as it was stored, with all that is left of it: its certificate, if it has one, behind
    /// which `tally` goes on, and signatures that the certificate does not have.
    pub(super) fn reopen(
        digest: B256,
        mut tally: Tally<S>,
        row: StoredRow,
        signatures: &[(OperatorId, G1Bytes<S>)],
        certificate: Option<Certificate<S>>,
    ) -> Self {
        add_all(&mut tally, signatures);
        let mut round = Self::new(digest, tally);
        let phase = match (row.round.withdrawn, row.round.confirmation) {
            (Some(l1_block), _) => Phase::Withdrawn(l1_block),
            (None, Some(confirmation)) => Phase::Confirmed(confirmation),
            (None, None) => Phase::Certified,
        };
        round.take_row(row);
        round.phase = Mutex::new(phase);
        round.charged = Mutex::default();
        if certificate.is_some() {
            round.certified();
        }
        round.is_put_away = AtomicBool::new(true);
        let work = round.work.get_mut();
        work.unrecorded.clear();
        work.is_closed = true;
        work.certificate = certificate.map(|it| (Arc::new(it), round.opened));
        round
    }

    /// The round as if it had been opened so many seconds ago.
    pub(super) fn aged(mut self, seconds: u64) -> Self {
        let opened = self.opened.checked_sub(Duration::from_secs(seconds));
        self.opened = opened.unwrap_or(self.opened);
        self
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
        let mut stored = self.stored.clone();
        match self.phase() {
            Phase::Confirmed(confirmation) => stored.confirmation = Some(confirmation),
            Phase::Certified => stored.certified = Some(self.signers()),
            Phase::Withdrawn(l1_block) => stored.withdrawn = Some(l1_block),
            Phase::Collecting | Phase::Confirming => {}
        }
        stored
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
        if !new.is_empty() {
            *lock(&self.shown) = Arc::new(Shown::of(&tally));
        }
        if !self.is_certified() && !self.is_closed() {
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
        let is_time = lock(&self.refusals).is_over();
        let mut phase = lock(&self.phase);
        let begins = *phase == Phase::Collecting && is_time;
        if begins {
            *phase = Phase::Confirming;
        }
        begins
    }

    /// Takes that the certificate was refused: it is tried again after `pause`, and after twice as long
    /// each time, up to `longest`.
    pub(super) fn refused(&self, pause: Duration, longest: Duration) {
        lock(&self.refusals).begin(pause, longest);
    }

    /// Whether it is time to ask L1 what it has of the alert: another aggregator may have brought it there.
    /// Of one with a certificate L1 says so when it gets that.
    pub(super) fn is_question_due(&self) -> bool {
        self.stored.is_lasting()
            && self.phase() == Phase::Collecting
            && !self.is_certified()
            && lock(&self.questions).is_over()
    }

    /// Takes that L1 is asked: the next time is after `pause`, and after twice as long each time, up to
    /// `longest`.
    pub(super) fn asked(&self, pause: Duration, longest: Duration) {
        lock(&self.questions).begin(pause, longest);
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
        self.close(Phase::Confirmed(confirmation));
    }

    /// Takes that the owner of the contract has removed the alert, as L1 has it in this block.
    pub(super) fn withdrawn(&self, l1_block: u64) {
        self.close(Phase::Withdrawn(l1_block));
    }

    fn close(&self, phase: Phase) {
        *lock(&self.phase) = phase;
        *lock(&self.charged) = HashSet::new();
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        matches!(self.phase(), Phase::Withdrawn(_))
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
            Phase::Withdrawn(_) => Progress::Withdrawn,
        }
    }

    pub(super) fn view(&self) -> RoundView {
        let shown = Arc::clone(&lock(&self.shown));
        let state = match self.phase() {
            Phase::Confirmed(confirmation) => RoundState::Confirmed(confirmation),
            Phase::Withdrawn(_) => RoundState::Withdrawn,
            Phase::Confirming | Phase::Certified => RoundState::Certified,
            Phase::Collecting if shown.is_met => RoundState::Certified,
            Phase::Collecting => RoundState::Collecting,
        };
        let StoredRound {
            statement, terms, ..
        } = &self.stored;
        shown.view(self.digest, statement, terms.reference_block(), state)
    }

    pub(super) const fn statement(&self) -> &Statement {
        &self.stored.statement
    }

    /// Whether all that is to come is a better certificate.
    pub(super) fn is_closed(&self) -> bool {
        matches!(
            self.phase(),
            Phase::Confirmed(_) | Phase::Certified | Phase::Withdrawn(_)
        )
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
            Phase::Confirmed(_) | Phase::Certified | Phase::Withdrawn(_) => self.is_put_away(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use mach_bls::{OperatorKeys, SecretKey};
    use mach_core::{
        Attestation, BlockRef, Bn254, Domain, Operator, OperatorSet, QuorumNumbers, Stake,
        Threshold,
    };

    /// Some thousand signatures are proved with the tally, which takes seconds; readers are served meanwhile, by
    /// the threads that serve all others.
    #[test]
    fn whoever_wants_to_see_does_not_wait_for_what_is_counted() {
        let key = SecretKey::<Bn254>::random();
        let public = key.public_key();
        let quorums = QuorumNumbers::new([0]).unwrap();
        let mut set = OperatorSet::new(quorums.clone(), 7);
        let operator = Operator {
            address: Address::ZERO,
            key_g1: public.g1_bytes(),
            key_g2: public.g2_bytes(),
        };
        set.insert(0, operator, Stake::new(100).unwrap());
        let keys = Arc::new(OperatorKeys::new(&set).unwrap());
        let statement = Statement::from(Attestation {
            rollup_chain_id: 10,
            block: BlockRef {
                number: 1,
                hash: B256::repeat_byte(1),
            },
            state_root: B256::ZERO,
            output_root: B256::ZERO,
        });
        let domain = Domain {
            l1_chain_id: 1,
            service_manager: Address::ZERO,
        };
        let terms = Round::new(quorums, vec![Threshold::percent(66).unwrap()], 7).unwrap();
        let digest = statement.digest(&domain);
        let tally = Tally::new(statement, domain, terms, keys).unwrap();
        let round = Arc::new(OpenRound::new(digest, tally));

        let counting = lock(&round.tally);
        let (told, seen) = std::sync::mpsc::channel();
        let reader = Arc::clone(&round);
        std::thread::spawn(move || {
            // Whether anybody still waits is for the receiver to say.
            let _ = told.send((reader.view(), reader.progress()));
        });
        let (view, progress) = seen.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(progress, Progress::Collecting { signers: 0 });
        let absent = vec![public.operator_id()];
        assert_eq!((view.signers, view.absent), (vec![], absent.clone()));
        assert_eq!(view.reference_block, 7);
        drop(counting);

        // What was counted is seen.
        let signature = key.sign(digest).to_bytes();
        let counted = round.count(&[(absent[0], signature)], 0, false);
        assert_eq!(counted.outcomes, [Ok(())]);
        let view = round.view();
        assert_eq!((view.signers, view.absent), (absent, vec![]));
        assert_eq!(view.state, RoundState::Certified);
    }
}
