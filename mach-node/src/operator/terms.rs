//! On which terms an operator signs.

use mach_core::{QuorumNumbers, Round, Threshold};

/// Terms that an operator accepts from an aggregator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermsPolicy {
    /// Quorums of the service manager.
    pub quorums: QuorumNumbers,
    /// Least threshold of each quorum.
    pub least_threshold: Threshold,
    /// Most L1 blocks that the reference block may lie behind the head.
    pub max_age: u64,
}

impl TermsPolicy {
    /// Whether `round` is acceptable when L1 is at `head`.
    ///
    /// Errors: [`TermsError`] names the term that is not.
    pub fn check(&self, round: &Round, head: u64) -> Result<(), TermsError> {
        let reference_block = u64::from(round.reference_block());
        if reference_block >= head {
            return Err(TermsError::Future {
                reference_block,
                head,
            });
        }
        if head - reference_block > self.max_age {
            return Err(TermsError::Old {
                reference_block,
                head,
            });
        }
        if round.quorums() != &self.quorums {
            return Err(TermsError::Quorums(round.quorums().as_bytes().to_vec()));
        }
        match round
            .terms()
            .find(|(_, threshold)| *threshold < self.least_threshold)
        {
            Some((quorum, threshold)) => Err(TermsError::Threshold {
                quorum,
                threshold: threshold.value(),
            }),
            None => Ok(()),
        }
    }
}

/// Why the terms of a round are not accepted.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// The reference block is not in the past.
    #[error("reference block {reference_block} is not before L1's head {head}")]
    Future {
        /// Reference block of the round.
        reference_block: u64,
        /// Height of L1.
        head: u64,
    },
    /// The reference block is too old.
    #[error("reference block {reference_block} is too far behind L1's head {head}")]
    Old {
        /// Reference block of the round.
        reference_block: u64,
        /// Height of L1.
        head: u64,
    },
    /// The quorums are not those of the service manager.
    #[error("quorums {0:?} are not those of the service manager")]
    Quorums(Vec<u8>),
    /// A threshold is below the least that is accepted.
    #[error("threshold {threshold} % of quorum {quorum} is too low")]
    Threshold {
        /// Number of the quorum.
        quorum: u8,
        /// Its threshold, in percent.
        threshold: u8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(reference_block: u32, threshold: u8) -> Round {
        let quorums = QuorumNumbers::new([0]).unwrap();
        Round::new(
            quorums,
            vec![Threshold::percent(threshold).unwrap()],
            reference_block,
        )
        .unwrap()
    }

    #[test]
    fn terms_that_weaken_a_signature_are_refused() {
        let policy = TermsPolicy {
            quorums: QuorumNumbers::new([0]).unwrap(),
            least_threshold: Threshold::percent(66).unwrap(),
            max_age: 10,
        };
        assert_eq!(policy.check(&round(99, 66), 100), Ok(()));
        assert_eq!(policy.check(&round(90, 66), 100), Ok(()));
        assert_eq!(
            policy.check(&round(89, 66), 100),
            Err(TermsError::Old {
                reference_block: 89,
                head: 100
            })
        );
        assert_eq!(
            policy.check(&round(100, 66), 100),
            Err(TermsError::Future {
                reference_block: 100,
                head: 100
            })
        );
        assert_eq!(
            policy.check(&round(99, 65), 100),
            Err(TermsError::Threshold {
                quorum: 0,
                threshold: 65
            })
        );
        let other = Round::new(
            QuorumNumbers::new([1]).unwrap(),
            vec![Threshold::percent(100).unwrap()],
            99,
        );
        assert_eq!(
            policy.check(&other.unwrap(), 100),
            Err(TermsError::Quorums(vec![1]))
        );
    }
}
