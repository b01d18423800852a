//! Counting signatures of one statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use ark_bn254::{G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::Zero;
use mach_core::{
    Certificate, Domain, OperatorId, QuorumTally, Round, SignedStatement, Stake, Statement,
};

use crate::OperatorKeys;
use crate::bn254::{
    MessagePoint, PointError, Signature, encode_g1, hash_to_g1, invalid_shares, same_discrete_log,
};
use crate::operators::Member;

/// Signatures of one statement on the terms of one round. No clock, no I/O.
///
/// Signatures are collected unproved, and their sum is checked when it might be enough: one pairing
/// check for any number of operators. If the sum is wrong, [`Self::prove`] finds the wrong shares
/// and drops them, and no others.
#[derive(Debug)]
pub struct Tally {
    statement: Statement,
    domain: Domain,
    round: Round,
    message: MessagePoint,
    keys: Arc<OperatorKeys>,
    /// Shares that were checked by themselves.
    proved: BTreeMap<OperatorId, Signature>,
    /// Shares that count until they turn out wrong.
    unproved: BTreeMap<OperatorId, Signature>,
    /// `signed` is the stake of both maps.
    quorums: Vec<QuorumTally>,
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is counted, and not proved yet.
    New,
    /// It was counted before, and is not counted again.
    Duplicate,
}

/// Outcome of [`Tally::certificate`].
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The certificate, if every quorum reached its threshold.
    pub certificate: Option<Certificate>,
    /// Operators whose signatures turned out wrong and were dropped.
    pub rejected: Vec<OperatorId>,
}

impl Tally {
    /// Counts signatures of `statement` in `domain` by the operators of `keys`.
    ///
    /// Errors: [`TallyError::OtherSet`] if `keys` is not the operator set of `round`.
    pub fn new(
        statement: Statement,
        domain: Domain,
        round: Round,
        keys: Arc<OperatorKeys>,
    ) -> Result<Self, TallyError> {
        if keys.reference_block() != round.reference_block() || keys.quorums() != round.quorums() {
            return Err(TallyError::OtherSet);
        }
        Ok(Self {
            message: hash_to_g1(statement.digest(&domain)),
            quorums: keys.tallies().to_vec(),
            statement,
            domain,
            round,
            keys,
            proved: BTreeMap::new(),
            unproved: BTreeMap::new(),
        })
    }

    /// Counts a signature. A second one of the same operator never counts.
    ///
    /// Two different signatures of one operator cannot both be right, so that nobody keeps an
    /// operator out by sending a wrong one in its name: the later one is checked at once.
    ///
    /// Errors: [`TallyError`]; the tally is as it was.
    pub fn add(&mut self, signed: &SignedStatement) -> Result<Added, TallyError> {
        if signed.statement != self.statement || signed.domain != self.domain {
            return Err(TallyError::OtherStatement);
        }
        let operator = signed.operator;
        let keys = Arc::clone(&self.keys);
        let member = keys
            .member(&operator)
            .ok_or(TallyError::UnknownOperator(operator))?;
        let signature = Signature::from_bytes(&signed.signature)
            .map_err(|source| TallyError::Malformed { operator, source })?;

        if let Some(earlier) = self.proved.get(&operator) {
            return if *earlier == signature {
                Ok(Added::Duplicate)
            } else {
                Err(TallyError::BadSignature(operator))
            };
        }
        match self.unproved.get(&operator) {
            Some(earlier) if *earlier == signature => Ok(Added::Duplicate),
            Some(_) => {
                member
                    .key
                    .verify_point(&self.message, &signature)
                    .map_err(|_| TallyError::BadSignature(operator))?;
                self.unproved.remove(&operator);
                self.proved.insert(operator, signature);
                Ok(Added::New)
            }
            None => {
                self.unproved.insert(operator, signature);
                self.count(member);
                Ok(Added::New)
            }
        }
    }

    /// Checks each unproved share by itself, in batches. Drops the wrong ones and answers whose
    /// they were.
    pub fn prove(&mut self) -> Vec<OperatorId> {
        let unproved = std::mem::take(&mut self.unproved);
        let (operators, shares): (Vec<_>, Vec<_>) = unproved
            .into_iter()
            .filter_map(|(id, signature)| Some((id, (*self.keys.key(&id)?, signature))))
            .unzip();
        let invalid = invalid_shares(&self.message, &shares);
        let mut rejected = Vec::with_capacity(invalid.len());
        for (position, (operator, (_, signature))) in operators.into_iter().zip(shares).enumerate()
        {
            if invalid.binary_search(&position).is_ok() {
                rejected.push(operator);
            } else {
                self.proved.insert(operator, signature);
            }
        }
        if !rejected.is_empty() {
            self.recount();
        }
        rejected
    }

    /// Makes the certificate if every quorum reached its threshold with signatures that are right.
    ///
    /// The sum is checked, not each share: that proves the certificate, and is no proof of who
    /// signed. For that, call [`Self::prove`].
    pub fn certificate(&mut self) -> Attempt {
        let mut rejected = Vec::new();
        if !self.is_met() {
            return Attempt {
                certificate: None,
                rejected,
            };
        }
        let (certificate, holds) = self.assemble();
        if holds {
            return Attempt {
                certificate: Some(certificate),
                rejected,
            };
        }
        rejected = self.prove();
        let certificate = self.is_met().then(|| self.assemble());
        Attempt {
            certificate: certificate.and_then(|(certificate, holds)| holds.then_some(certificate)),
            rejected,
        }
    }

    /// Whether every quorum reaches its threshold, should all counted signatures be right.
    pub fn is_met(&self) -> bool {
        let mut terms = self.round.terms().zip(&self.quorums);
        terms.all(|((_, threshold), tally)| threshold.is_met(tally.signed, tally.total))
    }

    /// Number of operators whose signatures count, proved or not.
    pub fn signers(&self) -> usize {
        self.proved.len() + self.unproved.len()
    }

    /// Operators whose signatures were checked by themselves, ascending by id.
    pub fn proved(&self) -> impl ExactSizeIterator<Item = &OperatorId> {
        self.proved.keys()
    }

    /// Stake that signed and all stake, for each quorum of the round in its order.
    pub fn quorums(&self) -> &[QuorumTally] {
        &self.quorums
    }

    /// The statement.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The terms.
    pub const fn round(&self) -> &Round {
        &self.round
    }

    fn assemble(&self) -> (Certificate, bool) {
        let signature = |id: &OperatorId| self.proved.get(id).or_else(|| self.unproved.get(id));
        let outcome = self.keys.outcome(|id| signature(id).is_some());
        let sigma = self.sigma();
        // Keys that sum up to the identity have one signature of every message: the identity.
        let holds =
            !outcome.apk_g2.is_zero() && same_discrete_log(sigma, self.message.0, outcome.apk_g2);
        let certificate = Certificate {
            statement: self.statement.clone(),
            domain: self.domain,
            round: self.round.clone(),
            apk_g2: outcome.apk_g2_bytes(),
            non_signers: outcome.non_signers,
            quorums: outcome.quorums,
            sigma: encode_g1(&sigma),
        };
        (certificate, holds)
    }

    /// Sum of the signatures, each once for every quorum that its signer is in, as
    /// `checkSignatures` sums the keys.
    fn sigma(&self) -> G1Affine {
        let mut sum = G1Projective::zero();
        for (operator, signature) in self.proved.iter().chain(&self.unproved) {
            let quorums = self
                .keys
                .member(operator)
                .map_or(0, |member| member.stakes.len());
            for _ in 0..quorums {
                sum += signature.0;
            }
        }
        sum.into_affine()
    }

    fn count(&mut self, member: &Member) {
        for (position, stake) in &member.stakes {
            if let Some(tally) = self.quorums.get_mut(*position) {
                tally.signed = tally.signed.saturating_add(*stake);
            }
        }
    }

    fn recount(&mut self) {
        for tally in &mut self.quorums {
            tally.signed = Stake::ZERO;
        }
        let keys = Arc::clone(&self.keys);
        let operators: Vec<_> = self
            .proved
            .keys()
            .chain(self.unproved.keys())
            .copied()
            .collect();
        for member in operators.iter().filter_map(|id| keys.member(id)) {
            self.count(member);
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
