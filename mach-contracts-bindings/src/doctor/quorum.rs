//! Quorums and stakes.

use alloy_primitives::U256;

use super::{Candidate, Doctor, Finding, Intent, QuorumStanding, Standing, Subject, amount};

impl Doctor {
    /// What the quorums that are meant say.
    pub(super) fn quorums(&mut self, candidate: &Candidate, standing: &Standing) {
        for number in candidate.quorums.iter() {
            let quorum = standing.quorums.iter().find(|one| one.quorum == number);
            match (quorum, candidate.intent) {
                (None, _) => self.found(Finding::blocker(
                    Subject::Quorum,
                    format!(
                        "there is no quorum {number}: the deployment has {}",
                        standing.quorum_count
                    ),
                    "leave it out of --quorums; quorums are counted from 0",
                )),
                (Some(quorum), Intent::Join) => {
                    self.found(room(quorum));
                    self.found(stake(quorum));
                }
                (Some(quorum), Intent::Leave) => self.found(membership(quorum)),
            }
        }
    }
}

fn room(quorum: &QuorumStanding) -> Finding {
    let (number, members) = (quorum.quorum, quorum.members);
    if quorum.member {
        return Finding::blocker(
            Subject::Quorum,
            format!("the operator is in quorum {number} already"),
            "leave it out of --quorums; there is nothing to do for it",
        );
    }
    match quorum.room {
        Some(room) if members >= room => Finding::blocker(
            Subject::Quorum,
            format!("quorum {number} is full: it has {members} of {room} operators"),
            "wait for a place; where the AVS runs a churn approver, ask it for an approval to replace \
             the operator with the least stake",
        ),
        Some(room) => Finding::passed(
            Subject::Quorum,
            format!("quorum {number} has {members} of {room} operators"),
        ),
        None => Finding::passed(
            Subject::Quorum,
            format!("quorum {number} has {members} operators"),
        ),
    }
}

fn stake(quorum: &QuorumStanding) -> Finding {
    let (weight, minimum) = (
        U256::from(quorum.weight.weight()),
        U256::from(quorum.minimum.weight()),
    );
    let (has, needs) = (amount(weight, minimum), amount(minimum, weight));
    let number = quorum.quorum;
    if quorum.weight < quorum.minimum {
        return Finding::blocker(
            Subject::Stake,
            format!("below the minimum stake of quorum {number}: has {has}, needs {needs}"),
            "deposit into a strategy of the quorum (mach-cli eigenlayer deposit) or have more delegated \
             to the operator; a stand-alone registry's owner sets stakes itself",
        );
    }
    if weight.is_zero() {
        return Finding::warning(
            Subject::Stake,
            format!("no stake in quorum {number}, which asks for none"),
            "signatures without stake count for nothing: deposit into a strategy of the quorum",
        );
    }
    Finding::passed(
        Subject::Stake,
        format!("{has} in quorum {number}, which asks for {needs}"),
    )
}

fn membership(quorum: &QuorumStanding) -> Finding {
    let number = quorum.quorum;
    if quorum.member {
        let (stake, total) = (
            U256::from(quorum.stake.weight()),
            U256::from(quorum.total.weight()),
        );
        return Finding::passed(
            Subject::Quorum,
            format!(
                "in quorum {number} with {} of {}",
                amount(stake, total),
                amount(total, stake)
            ),
        );
    }
    Finding::blocker(
        Subject::Quorum,
        format!("the operator is not in quorum {number}"),
        "leave it out of --quorums",
    )
}
