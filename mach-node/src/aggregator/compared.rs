//! Which of two certificates of a statement is kept.

use alloy_primitives::U256;
use mach_core::{Certificate, Curve, QuorumTally};

/// What a new certificate is beside an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// It takes the place of the earlier one.
    CoversMore,
    /// The earlier one is as good.
    CoversNoMore,
    /// Each has signatures of the same operators that the other lacks.
    Apart,
}

/// Of one round, the one whose signers include those of the other covers more; of two rounds, the
/// one with the greater share of stake in the quorum that has the least.
pub(super) fn compare<C: Curve>(new: &Certificate<C>, earlier: &Certificate<C>) -> Compared {
    if !is_one_round(new, earlier) {
        return if has_more_stake(&new.quorums, &earlier.quorums) {
            Compared::CoversMore
        } else {
            Compared::CoversNoMore
        };
    }
    match (lacks_none(new, earlier), lacks_none(earlier, new)) {
        (true, false) => Compared::CoversMore,
        (_, true) => Compared::CoversNoMore,
        (false, false) => Compared::Apart,
    }
}

/// Whether both are of the same operators with the same stakes. A reorganisation of L1 may have put
/// others at the reference block.
fn is_one_round<C: Curve>(one: &Certificate<C>, other: &Certificate<C>) -> bool {
    let quorums = || one.quorums.iter().zip(&other.quorums);
    one.round == other.round
        && one.quorums.len() == other.quorums.len()
        && quorums().all(|(one, other)| (one.apk, one.total) == (other.apk, other.total))
}

/// Whether everybody who signed `other` signed `one`.
fn lacks_none<C: Curve>(one: &Certificate<C>, other: &Certificate<C>) -> bool {
    let is_absent = |id| {
        other
            .non_signers
            .binary_search_by_key(id, |it| it.id)
            .is_ok()
    };
    one.non_signers.iter().all(|absent| is_absent(&absent.id))
}

fn has_more_stake<C: Curve>(new: &[QuorumTally<C>], earlier: &[QuorumTally<C>]) -> bool {
    match (least_share(new), least_share(earlier)) {
        (Some((signed, total)), Some((of, all))) => signed * all > of * total,
        (new, earlier) => new.is_some() && earlier.is_none(),
    }
}

/// Signed and all stake of the quorum with the least share. Stakes have 96 bits, so that products fit.
fn least_share<C: Curve>(quorums: &[QuorumTally<C>]) -> Option<(U256, U256)> {
    let shares = quorums.iter().map(|quorum| {
        let weight = |stake: mach_core::Stake| U256::from(stake.weight());
        (weight(quorum.signed), weight(quorum.total))
    });
    shares.min_by(|(signed, total), (of, all)| (signed * all).cmp(&(of * total)))
}
