//! Counting signatures of one statement.

use std::sync::Arc;

use mach_core::{
    Bn254, Certificate, Domain, OperatorId, QuorumTally, Round, SignedStatement, Stake, Statement,
};

use crate::batch::mismatches;
use crate::operators::{Outcome, repeated_sum};
use crate::scheme::same_discrete_log;
use crate::{MessagePoint, OperatorKeys, PointError, Scheme, Signature};

/// What is proved before there is a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The certificate: the sum of the signatures is the signature of the sum of the keys. One
    /// pairing check for any number of operators, and all that a contract asks.
    ///
    /// That is no proof of who signed: two who collude can send `a + d` and `b - d`. Nobody's stake
    /// can be forged so, but before a share is kept, attributed, rewarded or used in another sum,
    /// call [`Tally::prove`].
    #[default]
    Optimistic,
    /// Every share, with random weights of 128 bits. Costs ten times more, and leaves nothing open.
    Weighted,
}

/// Signatures of one statement on the terms of one round. No clock, no I/O.
///
/// Signatures are collected unproved, and what [`Mode`] asks is checked when they might be enough.
/// If that fails, [`Self::prove`] finds the wrong shares and drops them, and no others.
#[derive(Debug)]
pub struct Tally<S: Scheme = Bn254> {
    statement: Statement,
    domain: Domain,
    round: Round,
    message: MessagePoint<S>,
    keys: Arc<OperatorKeys<S>>,
    mode: Mode,
    /// `shares[i]` is of the i-th operator of `keys`.
    shares: Vec<Slot<S>>,
    /// Sum of the signatures that are [`Slot::Summed`], each once for every quorum that its signer is
    /// in; `None` if there is none.
    summed: Option<S::G1Point>,
    signers: usize,
    unproved: usize,
    /// `signed` is the stake of all shares.
    quorums: Vec<QuorumTally<S>>,
}

/// What there is of one operator. Most of a set signs, and most sets are large: a share that is in the
/// sum takes no room of its own.
#[derive(Clone, Debug, Default)]
enum Slot<S: Scheme> {
    #[default]
    Absent,
    /// Its signature, which is right, is in the sum.
    Summed,
    Own(Box<Share<S>>),
}

impl<S: Scheme> Slot<S> {
    const fn has_signed(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    fn own(&self) -> Option<&Share<S>> {
        match self {
            Self::Own(share) => Some(share),
            Self::Absent | Self::Summed => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Share<S: Scheme> {
    signature: Signature<S>,
    /// Whether it was checked by itself. Until then it counts, and may turn out wrong.
    is_proved: bool,
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is counted. If it took the place of an earlier, wrong one of the operator, it is proved, too.
    New,
    /// It was counted before, and is not counted again.
    Duplicate,
}

/// Outcome of [`Tally::certificate`].
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt<S: Scheme = Bn254> {
    /// The certificate, if every quorum reached its threshold.
    pub certificate: Option<Certificate<S>>,
    /// Operators whose signatures turned out wrong and were dropped, ascending by id.
    pub rejected: Vec<OperatorId>,
}

impl<S: Scheme> Tally<S> {
    /// Counts signatures of `statement` in `domain` by the operators of `keys`.
    ///
    /// Errors: [`TallyError::OtherSet`] if `keys` is not the operator set of `round`.
    pub fn new(
        statement: Statement,
        domain: Domain,
        round: Round,
        keys: Arc<OperatorKeys<S>>,
    ) -> Result<Self, TallyError> {
        if keys.reference_block() != round.reference_block() || keys.quorums() != round.quorums() {
            return Err(TallyError::OtherSet);
        }
        Ok(Self {
            message: MessagePoint::of(statement.digest(&domain)),
            quorums: keys.tallies().to_vec(),
            shares: vec![Slot::Absent; keys.len()],
            summed: None,
            signers: 0,
            unproved: 0,
            mode: Mode::default(),
            statement,
            domain,
            round,
            keys,
        })
    }

    /// Goes on counting behind a certificate: who signed it counts, and whoever did not may come late.
    ///
    /// Errors: [`TallyError::OtherSet`] if `keys` is not the operator set of the certificate's round,
    /// [`TallyError::BadCertificate`] if the certificate is not right for it.
    pub fn resume(
        certificate: &Certificate<S>,
        keys: Arc<OperatorKeys<S>>,
    ) -> Result<Self, TallyError> {
        let (statement, round) = (certificate.statement.clone(), certificate.round.clone());
        let mut tally = Self::new(statement, certificate.domain, round, keys)?;
        tally.shares.fill(Slot::Summed);
        for absent in &certificate.non_signers {
            let position = tally.keys.position(&absent.id);
            let slot = position.and_then(|position| tally.shares.get_mut(position));
            *slot.ok_or(TallyError::BadCertificate)? = Slot::Absent;
        }
        tally.signers = tally.shares.iter().filter(|slot| slot.has_signed()).count();
        tally.recount();
        let sigma = Signature::from_bytes(&certificate.sigma);
        let sigma = sigma.map_err(|_| TallyError::BadCertificate)?.0;
        let outcome = tally.outcome();
        if !same_discrete_log::<S>(&sigma, &tally.message.0, &S::lines(&outcome.apk_g2)) {
            return Err(TallyError::BadCertificate);
        }
        tally.summed = Some(sigma);
        Ok(tally)
    }

    /// Keeps of the shares that are proved their sum alone, which takes a fraction of the memory. No
    /// share can be had by itself from then on.
    pub fn condense(&mut self) {
        let mut sum = Vec::new();
        for (slot, member) in self.shares.iter_mut().zip(self.keys.members()) {
            if let Slot::Own(share) = slot
                && share.is_proved
            {
                sum.push((share.signature.0, member.stakes.len()));
                *slot = Slot::Summed;
            }
        }
        if sum.is_empty() {
            return;
        }
        sum.extend(self.summed.map(|summed| (summed, 1)));
        self.summed = Some(repeated_sum(&sum, S::sum_g1));
    }

    /// Sets what is proved before there is a certificate.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Counts a signature; of each operator one.
    ///
    /// Two different signatures of one operator cannot both be right. The later one is checked at
    /// once and, if it is right, takes the place of the earlier: nobody keeps an operator out by
    /// sending a wrong one in its name.
    ///
    /// Errors: [`TallyError`]; the tally is as it was.
    pub fn add(&mut self, signed: &SignedStatement<S>) -> Result<Added, TallyError> {
        if signed.statement != self.statement || signed.domain != self.domain {
            return Err(TallyError::OtherStatement);
        }
        let operator = signed.operator;
        if self.keys.position(&operator).is_none() {
            return Err(TallyError::UnknownOperator(operator));
        }
        let signature = Signature::from_bytes(&signed.signature)
            .map_err(|source| TallyError::Malformed { operator, source })?;
        self.add_signature(operator, signature)
    }

    /// [`Self::add`] for a signature of this tally's statement that was decoded before.
    ///
    /// Errors: [`TallyError`]; the tally is as it was.
    pub fn add_signature(
        &mut self,
        operator: OperatorId,
        signature: Signature<S>,
    ) -> Result<Added, TallyError> {
        let unknown = TallyError::UnknownOperator(operator);
        let position = self.keys.position(&operator).ok_or(unknown)?;
        let member = self.keys.members().get(position).ok_or(unknown)?;
        let slot = self.shares.get_mut(position).ok_or(unknown)?;
        let is_right = || member.key.verify_point(&self.message, &signature).is_ok();
        match slot {
            Slot::Own(earlier) if earlier.signature == signature => Ok(Added::Duplicate),
            Slot::Own(earlier) => {
                if earlier.is_proved || !is_right() {
                    return Err(TallyError::BadSignature(operator));
                }
                **earlier = Share {
                    signature,
                    is_proved: true,
                };
                self.unproved -= 1;
                Ok(Added::New)
            }
            // A statement has one signature of a key.
            Slot::Summed if is_right() => Ok(Added::Duplicate),
            Slot::Summed => Err(TallyError::BadSignature(operator)),
            Slot::Absent => {
                *slot = Slot::Own(Box::new(Share {
                    signature,
                    is_proved: false,
                }));
                self.signers += 1;
                self.unproved += 1;
                member.count(&mut self.quorums);
                Ok(Added::New)
            }
        }
    }

    /// Checks each unproved share by itself, in batches. Drops the wrong ones and answers whose
    /// they were, ascending by id.
    pub fn prove(&mut self) -> Vec<OperatorId> {
        if self.unproved == 0 {
            return Vec::new();
        }
        let members = self.keys.members();
        let mut positions = Vec::with_capacity(self.unproved);
        let mut signatures = Vec::with_capacity(self.unproved);
        let mut keys = Vec::with_capacity(self.unproved);
        for (position, (slot, member)) in self.shares.iter_mut().zip(members).enumerate() {
            if let Slot::Own(share) = slot
                && !share.is_proved
            {
                positions.push(position);
                signatures.push(share.signature.0);
                keys.push(*member.key.g2());
                share.is_proved = true;
            }
        }
        self.unproved = 0;
        let mut rejected = Vec::new();
        for invalid in mismatches::<S>(&self.message.0, &signatures, &keys) {
            if let Some(position) = positions.get(invalid)
                && let Some(slot) = self.shares.get_mut(*position)
                && let Some(member) = members.get(*position)
            {
                *slot = Slot::Absent;
                rejected.push(member.key.operator_id());
            }
        }
        self.signers -= rejected.len();
        if !rejected.is_empty() {
            self.recount();
        }
        rejected
    }

    /// Makes the certificate if every quorum reached its threshold with signatures that are right.
    pub fn certificate(&mut self) -> Attempt<S> {
        let mut rejected = Vec::new();
        if self.is_met() && self.mode == Mode::Weighted {
            rejected = self.prove();
        }
        let mut certificate = self.certify();
        if certificate.is_none() && self.is_met() && self.unproved > 0 {
            rejected = self.prove();
            certificate = self.certify();
        }
        Attempt {
            certificate,
            rejected,
        }
    }

    /// Whether every quorum reaches its threshold, should all counted signatures be right.
    pub fn is_met(&self) -> bool {
        let mut terms = self.round.terms().zip(&self.quorums);
        terms.all(|((_, threshold), tally)| threshold.is_met(tally.signed, tally.total))
    }

    /// Number of operators whose signatures count, proved or not.
    pub const fn signers(&self) -> usize {
        self.signers
    }

    /// Number of operators whose signatures were checked by themselves.
    pub const fn proved_signers(&self) -> usize {
        self.signers - self.unproved
    }

    /// Operators whose signatures were checked by themselves, ascending by id.
    pub fn proved(&self) -> impl Iterator<Item = OperatorId> {
        let shares = self.shares.iter().zip(self.keys.members());
        shares
            .filter(|(slot, _)| match slot {
                Slot::Own(share) => share.is_proved,
                slot => slot.has_signed(),
            })
            .map(|(_, member)| member.key.operator_id())
    }

    /// The signature of this operator that counts, proved or not; `None` also if only a sum has it.
    pub fn signature(&self, operator: &OperatorId) -> Option<&Signature<S>> {
        let slot = self.shares.get(self.keys.position(operator)?)?;
        slot.own().map(|share| &share.signature)
    }

    /// Whether the signature of this operator counts, and only a sum has it: of [`Self::resume`] or
    /// [`Self::condense`].
    pub fn is_summed(&self, operator: &OperatorId) -> bool {
        let position = self.keys.position(operator);
        let slot = position.and_then(|position| self.shares.get(position));
        matches!(slot, Some(Slot::Summed))
    }

    /// All operators of the round, ascending by id, and whether their signatures count.
    pub fn members(&self) -> impl Iterator<Item = (OperatorId, bool)> {
        let members = self.shares.iter().zip(self.keys.members());
        members.map(|(slot, member)| (member.key.operator_id(), slot.has_signed()))
    }

    /// Stake that signed and all stake, for each quorum of the round in its order.
    pub fn quorums(&self) -> &[QuorumTally<S>] {
        &self.quorums
    }

    /// Keys of the operators.
    pub const fn keys(&self) -> &Arc<OperatorKeys<S>> {
        &self.keys
    }

    /// The statement.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The terms.
    pub const fn round(&self) -> &Round {
        &self.round
    }

    /// What is proved before there is a certificate.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The certificate, if the thresholds are reached and the sum of the signatures is right.
    fn certify(&self) -> Option<Certificate<S>> {
        if !self.is_met() {
            return None;
        }
        let outcome = self.outcome();
        // Keys that sum up to the identity have one signature of every message: the identity.
        if outcome.apk_g2 == S::sum_g2(&[]) {
            return None;
        }
        let sigma = self.sigma();
        // A sum of shares that are right is right.
        let lines = || S::lines(&outcome.apk_g2);
        if self.unproved > 0 && !same_discrete_log::<S>(&sigma, &self.message.0, &lines()) {
            return None;
        }
        Some(Certificate {
            statement: self.statement.clone(),
            domain: self.domain,
            round: self.round.clone(),
            apk_g2: outcome.apk_g2_bytes(),
            non_signers: outcome.non_signers,
            quorums: outcome.quorums,
            sigma: S::encode_g1(&sigma),
        })
    }

    /// Sum of the signatures, each once for every quorum that its signer is in, as
    /// `checkSignatures` sums the keys.
    fn sigma(&self) -> S::G1Point {
        let shares = self.shares.iter().zip(self.keys.members());
        let own = shares
            .filter_map(|(slot, member)| Some((slot.own()?.signature.0, member.stakes.len())));
        let summed = self.summed.map(|summed| (summed, 1));
        let shares: Vec<_> = own.chain(summed).collect();
        repeated_sum(&shares, S::sum_g1)
    }

    fn outcome(&self) -> Outcome<S> {
        let has_signed = |position| self.shares.get(position).is_some_and(Slot::has_signed);
        self.keys.outcome(has_signed)
    }

    fn recount(&mut self) {
        for tally in &mut self.quorums {
            tally.signed = Stake::ZERO;
        }
        for (slot, member) in self.shares.iter().zip(self.keys.members()) {
            if slot.has_signed() {
                member.count(&mut self.quorums);
            }
        }
    }
}

/// Why a signature is not counted.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TallyError {
    /// The operator keys are not those of the round's reference block and quorums.
    #[error("the operator set is not that of the round")]
    OtherSet,
    /// The certificate is not one of this operator set.
    #[error("the certificate is not one of this operator set")]
    BadCertificate,
    /// The signature is of another statement, or for another domain.
    #[error("the signature is of another statement")]
    OtherStatement,
    /// The operator is in none of the round's quorums.
    #[error("operator {0} is in none of the round's quorums")]
    UnknownOperator(OperatorId),
    /// The signature is no point that can be one.
    #[error("the signature of operator {operator} is malformed")]
    Malformed {
        /// Who is said to have signed.
        operator: OperatorId,
        /// Which rule the bytes break.
        #[source]
        source: PointError,
    },
    /// The signature is not the operator's signature of the statement.
    #[error("the signature of operator {0} is not valid")]
    BadSignature(OperatorId),
}
