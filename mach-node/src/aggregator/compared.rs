//! Which of two certificates of a statement is kept.

use mach_core::{Certificate, Curve};

use crate::stake::by_least_share;

/// What a new certificate is beside an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// It takes the place of the earlier one.
    CoversMore,
    /// The earlier one has all of its signatures.
    CoversNoMore,
    /// The earlier one is of another round, and has as much stake.
    Lesser,
    /// Each has signatures of the same operators that the other lacks.
    Apart,
}

/// Of one round, the one whose signers include those of the other covers more; of two rounds, the
/// one with more stake.
pub(super) fn compare<C: Curve>(new: &Certificate<C>, earlier: &Certificate<C>) -> Compared {
    if !is_one_round(new, earlier) {
        let shares = |it: &Certificate<C>| {
            let quorums = it.quorums.clone().into_iter();
            quorums.map(|quorum| (quorum.signed, quorum.total))
        };
        return if by_least_share(shares(new), shares(earlier)).is_gt() {
            Compared::CoversMore
        } else {
            Compared::Lesser
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
