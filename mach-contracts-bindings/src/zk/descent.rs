//! From a header down to one of its ancestors, in as many transactions as it takes.

use alloy_primitives::{B256, Bytes, keccak256};

use super::{
    ZkServiceManager,
    abi::{IMachZkServiceManager as Z, IZkEvidence as E},
};
use crate::{SubmitError, Submitter, call::call};

/// Most bytes of headers in one call: nodes take no transactions above 128 KiB, and a proof may stand beside the last headers.
const STEP_BYTES: usize = 100_000;
/// `MAX_HEADERS` of `ZkEvidence`.
const STEP_HEADERS: usize = 512;

impl ZkServiceManager {
    /// Puts the way from a header to a far ancestor on record, and returns the headers that are left to be given with the call
    /// that uses it: for [`Path::headers`](super::abi::Path), or to judge by an attestation.
    ///
    /// `headers` are RLP, from that with hash `block_hash` on, each the parent of the one before. A short way costs no
    /// transaction. What is on record already, of whomever, is not sent again: an interrupted descent goes on where it was.
    ///
    /// Errors: [`SubmitError`].
    pub async fn descend(
        &self,
        submitter: &Submitter,
        block_hash: B256,
        headers: &[Bytes],
    ) -> Result<Vec<Bytes>, SubmitError> {
        let steps = steps(headers);
        let Some((last, recorded)) = steps.split_last() else {
            return Ok(Vec::new());
        };
        if recorded.is_empty() {
            return Ok(last.to_vec());
        }
        let evidence = call(self.provider(), self.address(), &Z::evidenceCall {}).await?;
        let ends = steps.iter().skip(1).filter_map(|step| step.first());
        for (step, next) in recorded.iter().zip(ends) {
            let known = E::isAncestorCall {
                blockHash: block_hash,
                ancestor: keccak256(next),
            };
            if call(self.provider(), evidence, &known).await? {
                continue;
            }
            let record = E::recordDescentCall {
                blockHash: block_hash,
                headers: step.to_vec(),
            };
            submitter.call(evidence, &record).await?;
        }
        Ok(last.to_vec())
    }

    /// Makes one way of two that are on record, so that a later output uses the way of an earlier one.
    ///
    /// Errors: [`SubmitError`].
    pub async fn join_descents(
        &self,
        submitter: &Submitter,
        block_hash: B256,
        between: B256,
        ancestor: B256,
    ) -> Result<(), SubmitError> {
        let evidence = call(self.provider(), self.address(), &Z::evidenceCall {}).await?;
        let join = E::joinDescentsCall {
            blockHash: block_hash,
            between,
            ancestor,
        };
        submitter.call(evidence, &join).await.map(drop)
    }
}

/// What fits into one call each.
fn steps(headers: &[Bytes]) -> Vec<&[Bytes]> {
    let mut steps = Vec::new();
    let mut rest = headers;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest.iter().take(STEP_HEADERS).take_while(|header| {
            bytes += header.len();
            bytes <= STEP_BYTES
        });
        // One that is too long alone is for the contract to refuse.
        let (step, left) = rest.split_at(fit.count().max(1));
        steps.push(step);
        rest = left;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_divided_by_what_a_call_takes() {
        let header = |length: usize| Bytes::from(vec![0; length]);
        let lengths = |headers: &[Bytes]| {
            steps(headers)
                .iter()
                .map(|step| step.len())
                .collect::<Vec<_>>()
        };
        assert!(lengths(&[]).is_empty());
        assert_eq!(lengths(&vec![header(500); 200]), [200]);
        assert_eq!(lengths(&vec![header(500); 1800]), [vec![200; 9]].concat());
        assert_eq!(lengths(&vec![header(600); 167]), [166, 1]);
        assert_eq!(lengths(&vec![header(1); 1025]), [512, 512, 1]);
        assert_eq!(lengths(&vec![header(200_000); 2]), [1, 1]);
    }
}
