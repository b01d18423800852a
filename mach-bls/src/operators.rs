//! The keys of an operator set, decoded and proved once.

use std::collections::BTreeMap;

use ark_bn254::{G1Projective, G2Affine, G2Projective};
use ark_ec::CurveGroup;
use ark_ff::Zero;
use mach_core::{G2Bytes, NonSigner, OperatorId, OperatorSet, QuorumNumbers, QuorumTally, Stake};

use crate::bn254::{KeyError, PublicKey, encode_g1, encode_g2, links_hold};

/// An [`OperatorSet`] whose keys are proved, with the sums that certificates need.
#[derive(Clone, Debug)]
pub struct OperatorKeys {
    reference_block: u32,
    quorums: QuorumNumbers,
    members: BTreeMap<OperatorId, Member>,
    /// Nobody has signed yet: `signed` is zero.
    tallies: Vec<QuorumTally>,
    /// Sum of all G2 keys, each once for every quorum that it is in.
    total_g2: G2Projective,
}

/// One operator with its places in the quorums of the set.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) key: PublicKey,
    /// Position of the quorum in the set, and stake in it.
    pub(crate) stakes: Vec<(usize, Stake)>,
}

/// What follows from who signed and who did not.
pub(crate) struct Outcome {
    pub(crate) non_signers: Vec<NonSigner>,
    pub(crate) quorums: Vec<QuorumTally>,
    pub(crate) apk_g2: G2Affine,
}

impl OperatorKeys {
    /// Decodes every key and checks that its halves belong together: for all keys one pairing
    /// check, and for each a subgroup check.
    ///
    /// Errors: [`OperatorKeysError`] names the first operator whose key is not valid.
    pub fn new(set: &OperatorSet) -> Result<Self, OperatorKeysError> {
        Self::build(set, &BTreeMap::new())
    }

    /// The keys of a later set. What this set proved is not proved again.
    ///
    /// Errors: as [`Self::new`].
    pub fn next(&self, set: &OperatorSet) -> Result<Self, OperatorKeysError> {
        Self::build(set, &self.members)
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
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no operator.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Key of an operator, if it is in any of the quorums.
    pub fn key(&self, operator: &OperatorId) -> Option<&PublicKey> {
        self.member(operator).map(|member| &member.key)
    }

    pub(crate) fn member(&self, operator: &OperatorId) -> Option<&Member> {
        self.members.get(operator)
    }

    /// Tallies with all stake in `total` and none in `signed`.
    pub(crate) fn tallies(&self) -> &[QuorumTally] {
        &self.tallies
    }

    pub(crate) fn outcome(&self, has_signed: impl Fn(&OperatorId) -> bool) -> Outcome {
        let mut quorums = self.tallies.clone();
        let mut non_signers = Vec::new();
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for (id, member) in &self.members {
            if has_signed(id) {
                present.push(member);
                for (position, stake) in &member.stakes {
                    if let Some(tally) = quorums.get_mut(*position) {
                        tally.signed = tally.signed.saturating_add(*stake);
                    }
                }
            } else {
                absent.push(member);
                non_signers.push(NonSigner {
                    id: *id,
                    key_g1: member.key.g1_bytes(),
                });
            }
        }
        // The smaller side is summed.
        let apk_g2 = if absent.len() < present.len() {
            self.total_g2 - sum_g2(absent)
        } else {
            sum_g2(present)
        };
        Outcome {
            non_signers,
            quorums,
            apk_g2: apk_g2.into_affine(),
        }
    }

    fn build(
        set: &OperatorSet,
        proved: &BTreeMap<OperatorId, Member>,
    ) -> Result<Self, OperatorKeysError> {
        let mut members = BTreeMap::new();
        let mut unproved = Vec::new();
        for (id, operator) in set.operators() {
            let known = proved.get(id).map(|member| member.key);
            let key = match known.filter(|key| key.g2_bytes() == operator.key_g2) {
                Some(key) => key,
                None => {
                    let key = PublicKey::decode(&operator.key_g1, &operator.key_g2)
                        .map_err(OperatorKeysError::of(*id))?;
                    unproved.push((*id, key));
                    key
                }
            };
            let stakes = Vec::new();
            members.insert(*id, Member { key, stakes });
        }
        check_links(&unproved)?;

        let mut tallies = Vec::with_capacity(set.quorums().len());
        for (position, quorum) in set.quorums().iter().enumerate() {
            let mut apk = G1Projective::zero();
            for (id, stake) in set.members(quorum) {
                if let Some(member) = members.get_mut(id) {
                    apk += member.key.g1;
                    member.stakes.push((position, stake));
                }
            }
            tallies.push(QuorumTally {
                quorum,
                apk: encode_g1(&apk.into_affine()),
                signed: Stake::ZERO,
                total: set.total_stake(quorum),
            });
        }
        Ok(Self {
            reference_block: set.reference_block(),
            quorums: set.quorums().clone(),
            total_g2: sum_g2(members.values()),
            members,
            tallies,
        })
    }
}

impl Outcome {
    pub(crate) fn apk_g2_bytes(&self) -> G2Bytes {
        encode_g2(&self.apk_g2)
    }
}

/// Sum of the members' G2 keys, each once for every quorum that it is in.
fn sum_g2<'a>(members: impl IntoIterator<Item = &'a Member>) -> G2Projective {
    let mut sum = G2Projective::zero();
    for member in members {
        for _ in &member.stakes {
            sum += member.key.g2;
        }
    }
    sum
}

fn check_links(keys: &[(OperatorId, PublicKey)]) -> Result<(), OperatorKeysError> {
    let all: Vec<_> = keys.iter().map(|(_, key)| *key).collect();
    if links_hold(&all) {
        return Ok(());
    }
    for (id, key) in keys {
        if !key.is_linked() {
            return Err(OperatorKeysError::of(*id)(KeyError::Unlinked));
        }
    }
    Ok(())
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
    const fn of(operator: OperatorId) -> impl Fn(KeyError) -> Self {
        move |source| Self { operator, source }
    }
}
