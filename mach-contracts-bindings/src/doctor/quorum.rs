//! Quorums and stakes.

use alloy_primitives::U256;
use mach_core::QuorumNumbers;

use super::{Candidate, Doctor, Finding, Intent, Subject, amount, text};
use crate::{Avs, Deployment, OperatorStatus, QuorumStatus, Registration, Target, World};

impl Doctor {
    /// The way to join and leave the quorums.
    pub(super) async fn registration(
        &mut self,
        deployment: &Deployment,
        quorums: &QuorumNumbers,
    ) -> Option<Box<dyn Registration>> {
        let target = Target {
            coordinator: deployment.registry_coordinator,
            // Of one that only counts the coordinator's stake, operators know nothing.
            service_manager: None,
            l1_chain_id: Some(deployment.l1_chain_id),
        };
        let avs = Avs::connect(self.provider.clone(), &target).await;
        match avs.and_then(|avs| avs.registration(quorums)) {
            Ok(registration) => {
                let found = match registration.world() {
                    World::M2 => "operators register with the coordinator (M2)",
                    World::OperatorSets => "operators register with the AllocationManager",
                };
                self.found(Finding::passed(Subject::Functions, found));
                Some(registration)
            }
            Err(error) if error.is_transient() => {
                let problem = format!("cannot be checked: {}", text::chain_of(&error));
                let fix = "try again, or another --l1-rpc";
                self.found(Finding::warning(Subject::Functions, problem, fix));
                None
            }
            Err(error) => {
                let fix = "check --deployment and --quorums";
                let problem = text::chain_of(&error);
                self.found(Finding::blocker(Subject::Functions, problem, fix));
                None
            }
        }
    }

    /// What the quorums that are meant say.
    pub(super) fn quorums(&mut self, candidate: &Candidate, status: &OperatorStatus) {
        for number in candidate.quorums.iter() {
            let quorum = status.quorums.iter().find(|one| one.quorum == number);
            match (quorum, candidate.intent) {
                (None, _) => self.found(Finding::blocker(
                    Subject::Quorum,
                    format!(
                        "there is no quorum {number}: the deployment has {}",
                        status.quorums.len()
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

fn room(quorum: &QuorumStatus) -> Finding {
    let (number, members) = (quorum.quorum, quorum.operators);
    if quorum.member {
        return Finding::blocker(
            Subject::Quorum,
            format!("the operator is in quorum {number} already"),
            "leave it out of --quorums; there is nothing to do for it",
        );
    }
    match quorum.max_operators {
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

fn stake(quorum: &QuorumStatus) -> Finding {
    let (weight, minimum) = (
        U256::from(quorum.weight.weight()),
        U256::from(quorum.minimum_stake.weight()),
    );
    let (has, needs) = (amount(weight, minimum), amount(minimum, weight));
    let number = quorum.quorum;
    if quorum.weight < quorum.minimum_stake {
        return Finding::blocker(
            Subject::Stake,
            format!("below the minimum stake of quorum {number}: has {has}, needs {needs}"),
            "deposit into a strategy of the quorum (mach-cli eigenlayer deposit) or have more delegated \
             to the operator, and allocate it where slashable stake counts; a stand-alone registry's owner sets stakes itself",
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

fn membership(quorum: &QuorumStatus) -> Finding {
    let number = quorum.quorum;
    if quorum.member {
        let stake = amount(U256::from(quorum.stake.weight()), U256::ZERO);
        let found = format!("in quorum {number} with stake {stake}");
        return Finding::passed(Subject::Quorum, found);
    }
    Finding::blocker(
        Subject::Quorum,
        format!("the operator is not in quorum {number}"),
        "leave it out of --quorums",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;
    use mach_core::Stake;

    fn quorum() -> QuorumStatus {
        let ether = |tenths: u128| Stake::new(tenths * 10_u128.pow(17)).unwrap();
        QuorumStatus {
            quorum: 0,
            member: false,
            slashable: false,
            stake: Stake::ZERO,
            weight: ether(125),
            minimum_stake: ether(320),
            operators: 49,
            max_operators: Some(50),
        }
    }

    #[test]
    fn too_little_stake_is_told_in_tokens() {
        let found = stake(&quorum());
        assert_eq!(found.severity, Severity::Blocker);
        assert_eq!(
            found.problem,
            "below the minimum stake of quorum 0: has 12.5, needs 32"
        );
        let enough = QuorumStatus {
            weight: quorum().minimum_stake,
            ..quorum()
        };
        assert_eq!(stake(&enough).severity, Severity::Passed);
        let nothing_asked = QuorumStatus {
            weight: Stake::ZERO,
            minimum_stake: Stake::ZERO,
            ..quorum()
        };
        assert_eq!(stake(&nothing_asked).severity, Severity::Warning);
    }

    #[test]
    fn a_quorum_is_full_at_its_last_place() {
        assert_eq!(room(&quorum()).severity, Severity::Passed);
        let full = QuorumStatus {
            operators: 50,
            ..quorum()
        };
        assert_eq!(room(&full).severity, Severity::Blocker);
        let member = QuorumStatus {
            member: true,
            ..quorum()
        };
        assert!(room(&member).problem.contains("already"));
    }
}
