//! The keys of an operator set, decoded and proved once.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{B256, map::B256Map};
use mach_core::{
    Bn254, G1Bytes, G2Bytes, NonSigner, OperatorId, OperatorSet, QuorumNumbers, QuorumStake,
    QuorumTally, Stake,
};

use crate::batch::mismatches;
use crate::{KeyError, Scheme, Signature, ValidKey};

/// An [`OperatorSet`] whose keys are proved, with the sums that certificates need.
///
/// The sum of all keys is kept, so that the key of the signers costs as many additions as operators
/// are absent.
#[derive(Clone, Debug)]
pub struct OperatorKeys<S: Scheme = Bn254> {
    reference_block: u32,
    quorums: QuorumNumbers,
    /// Ascending by id.
    members: Vec<Member<S>>,
    positions: B256Map<usize>,
    /// Nobody has signed yet: `signed` is zero.
    tallies: Vec<QuorumTally<S>>,
    /// Sum of all G2 keys, each once for every quorum that it is in.
    total_g2: S::G2Point,
}

/// Signatures of one digest, summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate<S: Scheme = Bn254> {
    /// Members who did not sign, strictly ascending by id.
    pub non_signers: Vec<NonSigner<S>>,
    /// One entry for each quorum of the set, in its order.
    pub quorums: Vec<QuorumTally<S>>,
    /// Sum of the signers' G2 keys, each counted once for every quorum that it is in.
    pub apk_g2: G2Bytes<S>,
    /// Sum of the signatures, each counted once for every quorum that its signer is in.
    pub sigma: G1Bytes<S>,
}

/// One operator with its places in the quorums of the set.
#[derive(Clone, Debug)]
pub(crate) struct Member<S: Scheme> {
    /// Shared with the sets before and after.
    pub(crate) key: Arc<ValidKey<S>>,
    /// Position of the quorum in the set, and stake in it.
    pub(crate) stakes: Vec<(usize, Stake)>,
}

/// What follows from who signed and who did not.
pub(crate) struct Outcome<S: Scheme> {
    pub(crate) non_signers: Vec<NonSigner<S>>,
    pub(crate) quorums: Vec<QuorumTally<S>>,
    pub(crate) apk_g2: S::G2Point,
}

impl<S: Scheme> OperatorKeys<S> {
    /// Decodes every key and checks that its halves belong together: for all keys one pairing
    /// check, and for each a subgroup check.
    ///
    /// The set comes from a registry, which is trusted to have checked the proofs of possession as
    /// in [`ValidKey::from_registry`].
    ///
    /// Errors: [`OperatorKeysError`] names the first operator whose key is not valid.
    pub fn new(set: &OperatorSet<S>) -> Result<Self, OperatorKeysError> {
        Self::build(set, |_| None)
    }

    /// The keys of a later set. What this set proved is not proved again.
    ///
    /// Errors: as [`Self::new`].
    pub fn next(&self, set: &OperatorSet<S>) -> Result<Self, OperatorKeysError> {
        Self::build(set, |id| {
            let member = self.members.get(self.position(id)?)?;
            Some(Arc::clone(&member.key))
        })
    }

    /// L1 block of the set.
    pub const fn reference_block(&self) -> u32 {
        self.reference_block
    }

    /// Quorums of the set.
    pub const fn quorums(&self) -> &QuorumNumbers {
        &self.quorums
    }

    /// Number of operators.
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no operator.
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// All operators, ascending by id.
    pub fn operators(&self) -> impl Iterator<Item = OperatorId> {
        self.members.iter().map(|member| member.key.operator_id())
    }

    /// Key of an operator, if it is in any of the quorums.
    pub fn key(&self, operator: &OperatorId) -> Option<&ValidKey<S>> {
        let position = self.position(operator)?;
        self.members.get(position).map(|member| &*member.key)
    }

    /// What a contract checks of signatures of one digest, which have to be right: see
    /// [`Tally`](crate::Tally) where that is not known.
    pub fn aggregate(&self, signatures: &BTreeMap<OperatorId, Signature<S>>) -> Aggregate<S> {
        let members = || self.members.iter();
        let signature = |member: &Member<S>| signatures.get(&member.key.operator_id());
        let has_signed: Vec<_> = members().map(|it| signature(it).is_some()).collect();
        let outcome = self.outcome(|position| has_signed.get(position) == Some(&true));
        let shares: Vec<_> = members()
            .filter_map(|member| Some((signature(member)?.0, member.stakes.len())))
            .collect();
        Aggregate {
            apk_g2: outcome.apk_g2_bytes(),
            non_signers: outcome.non_signers,
            quorums: outcome.quorums,
            sigma: S::encode_g1(&repeated_sum(&shares, S::sum_g1)),
        }
    }

    pub(crate) fn position(&self, operator: &OperatorId) -> Option<usize> {
        self.positions.get(&operator.0).copied()
    }

    /// Ascending by id.
    pub(crate) fn members(&self) -> &[Member<S>] {
        &self.members
    }

    /// Tallies with all stake in `total` and none in `signed`.
    pub(crate) fn tallies(&self) -> &[QuorumTally<S>] {
        &self.tallies
    }

    /// `has_signed` is asked for each position once, in order.
    pub(crate) fn outcome(&self, mut has_signed: impl FnMut(usize) -> bool) -> Outcome<S> {
        let mut quorums = self.tallies.clone();
        let mut non_signers = Vec::new();
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for (position, member) in self.members.iter().enumerate() {
            let share = (*member.key.g2(), member.stakes.len());
            if has_signed(position) {
                present.push(share);
                member.count(&mut quorums);
            } else {
                absent.push(share);
                non_signers.push(NonSigner {
                    id: member.key.operator_id(),
                    key_g1: member.key.g1_bytes(),
                    stakes: self.stakes(member).collect(),
                });
            }
        }
        // The smaller side is summed.
        let apk_g2 = if absent.len() < present.len() {
            S::subtract_g2(&self.total_g2, &repeated_sum(&absent, S::sum_g2))
        } else {
            repeated_sum(&present, S::sum_g2)
        };
        Outcome {
            non_signers,
            quorums,
            apk_g2,
        }
    }

    fn stakes<'a>(&'a self, member: &'a Member<S>) -> impl Iterator<Item = QuorumStake> + 'a {
        let named = |(position, stake): &(usize, Stake)| {
            let quorum = self.tallies.get(*position)?.quorum;
            Some(QuorumStake {
                quorum,
                stake: *stake,
            })
        };
        member.stakes.iter().filter_map(named)
    }

    fn build(
        set: &OperatorSet<S>,
        proved: impl Fn(&OperatorId) -> Option<Arc<ValidKey<S>>>,
    ) -> Result<Self, OperatorKeysError> {
        let mut members = Vec::new();
        let mut positions = B256Map::<usize>::default();
        let mut unproved = Vec::new();
        for (id, operator) in set.operators() {
            let key = match proved(id).filter(|key| key.g2_bytes() == operator.key_g2) {
                Some(key) => key,
                None => {
                    let key = ValidKey::decode(&operator.key_g1, &operator.key_g2)
                        .map_err(|source| OperatorKeysError::new(*id, source))?;
                    let key = Arc::new(key);
                    unproved.push(Arc::clone(&key));
                    key
                }
            };
            positions.insert(id.0, members.len());
            members.push(Member {
                key,
                stakes: Vec::new(),
            });
        }
        check_links(&unproved)?;

        let mut tallies = Vec::with_capacity(set.quorums().len());
        for (number, quorum) in set.quorums().iter().enumerate() {
            let mut keys = Vec::new();
            for (id, stake) in set.members(quorum) {
                let position = positions.get::<B256>(&id.0);
                if let Some(member) = position.and_then(|position| members.get_mut(*position)) {
                    keys.push(*member.key.g1());
                    member.stakes.push((number, stake));
                }
            }
            tallies.push(QuorumTally {
                quorum,
                apk: S::encode_g1(&S::sum_g1(&keys)),
                signed: Stake::ZERO,
                total: set.total_stake(quorum),
            });
        }
        let all: Vec<_> = members
            .iter()
            .map(|member| (*member.key.g2(), member.stakes.len()))
            .collect();
        Ok(Self {
            reference_block: set.reference_block(),
            quorums: set.quorums().clone(),
            total_g2: repeated_sum(&all, S::sum_g2),
            members,
            positions,
            tallies,
        })
    }
}

impl<S: Scheme> Member<S> {
    /// Adds the operator's stakes to what has signed.
    pub(crate) fn count(&self, quorums: &mut [QuorumTally<S>]) {
        for (position, stake) in &self.stakes {
            if let Some(tally) = quorums.get_mut(*position) {
                tally.signed = tally.signed.saturating_add(*stake);
            }
        }
    }
}

impl<S: Scheme> Outcome<S> {
    pub(crate) fn apk_g2_bytes(&self) -> G2Bytes<S> {
        S::encode_g2(&self.apk_g2)
    }
}

/// The sum of points, each as many times as it says.
///
/// A signer counts once for every quorum that it is in, in key and signature, as `checkSignatures`
/// counts it. Those who are in the most quorums are summed the most often: a set with one quorum
/// costs one sum.
pub(crate) fn repeated_sum<P: Copy>(points: &[(P, usize)], sum: impl Fn(&[P]) -> P) -> P {
    let mut sums = Vec::new();
    for times in 1.. {
        let level: Vec<P> = points
            .iter()
            .filter(|(_, repeated)| *repeated >= times)
            .map(|(point, _)| *point)
            .collect();
        if level.is_empty() {
            break;
        }
        sums.push(sum(&level));
    }
    match sums.as_slice() {
        [only] => *only,
        all => sum(all),
    }
}

fn check_links<S: Scheme>(keys: &[Arc<ValidKey<S>>]) -> Result<(), OperatorKeysError> {
    let g1: Vec<_> = keys.iter().map(|key| *key.g1()).collect();
    let g2: Vec<_> = keys.iter().map(|key| *key.g2()).collect();
    let unlinked = mismatches::<S>(&S::generator_g1(), &g1, &g2);
    match unlinked.first().and_then(|first| keys.get(*first)) {
        Some(key) => Err(OperatorKeysError::new(
            key.operator_id(),
            KeyError::Unlinked,
        )),
        None => Ok(()),
    }
}

/// An operator's key is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of operator {operator} is not valid")]
pub struct OperatorKeysError {
    /// Whose key.
    pub operator: OperatorId,
    /// What is wrong with it.
    #[source]
    pub source: KeyError,
}

impl OperatorKeysError {
    const fn new(operator: OperatorId, source: KeyError) -> Self {
        Self { operator, source }
    }
}
