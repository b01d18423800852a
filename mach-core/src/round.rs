//! A round of signatures: its terms, and what operators send to it.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::{
    Bn254, Curve, Domain, G1Bytes, OperatorId, QuorumError, QuorumNumbers, Statement, Threshold,
};

/// Terms on which signatures of one statement are collected.
///
/// An aggregator announces them, an operator checks them; neither sends a hash to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawRound")]
pub struct Round {
    reference_block: u32,
    quorums: QuorumNumbers,
    thresholds: Vec<Threshold>,
}

impl Round {
    /// `thresholds[i]` belongs to the i-th quorum.
    ///
    /// Errors: [`QuorumError::ThresholdCount`] if they are not equally many.
    pub fn new(
        quorums: QuorumNumbers,
        thresholds: Vec<Threshold>,
        reference_block: u32,
    ) -> Result<Self, QuorumError> {
        if quorums.len() != thresholds.len() {
            return Err(QuorumError::ThresholdCount {
                quorums: quorums.len(),
                thresholds: thresholds.len(),
            });
        }
        Ok(Self {
            reference_block,
            quorums,
            thresholds,
        })
    }

    /// L1 block that operators and stakes are taken at.
    pub const fn reference_block(&self) -> u32 {
        self.reference_block
    }

    /// Quorums that have to sign.
    pub const fn quorums(&self) -> &QuorumNumbers {
        &self.quorums
    }

    /// Each quorum with its threshold.
    pub fn terms(&self) -> impl Iterator<Item = (u8, Threshold)> + '_ {
        self.quorums.iter().zip(self.thresholds.iter().copied())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRound {
    reference_block: u32,
    quorums: QuorumNumbers,
    thresholds: Vec<Threshold>,
}

impl TryFrom<RawRound> for Round {
    type Error = QuorumError;

    fn try_from(raw: RawRound) -> Result<Self, QuorumError> {
        Self::new(raw.quorums, raw.thresholds, raw.reference_block)
    }
}

/// One operator's signature of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub struct SignedStatement<C: Curve = Bn254> {
    /// What is signed.
    pub statement: Statement,
    /// Where the signature counts.
    pub domain: Domain,
    /// Who signed.
    pub operator: OperatorId,
    /// BLS signature of [`Self::digest`], not yet checked.
    pub signature: G1Bytes<C>,
}

impl<C: Curve> SignedStatement<C> {
    /// The digest that the signature is of.
    pub fn digest(&self) -> B256 {
        self.statement.digest(&self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quorum_has_one_threshold() {
        let quorums = QuorumNumbers::new([0, 1]).unwrap();
        let half = Threshold::percent(50).unwrap();
        assert_eq!(
            Round::new(quorums.clone(), vec![half], 1),
            Err(QuorumError::ThresholdCount {
                quorums: 2,
                thresholds: 1
            })
        );
        let round = Round::new(quorums, vec![half, half], 1).unwrap();
        let json = serde_json::to_string(&round).unwrap();
        assert_eq!(
            json,
            r#"{"referenceBlock":1,"quorums":[0,1],"thresholds":[50,50]}"#
        );
        assert_eq!(serde_json::from_str::<Round>(&json).unwrap(), round);
        let missing = r#"{"referenceBlock":1,"quorums":[0,1],"thresholds":[50]}"#;
        assert!(serde_json::from_str::<Round>(missing).is_err());
    }
}
