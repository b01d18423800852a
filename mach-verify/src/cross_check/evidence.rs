//! What proves that a block contradicts itself, to whoever was not there.

use alloy_consensus::Header;
use alloy_primitives::{Bytes, ChainId, Sealed};
use alloy_rlp::Decodable;
use mach_core::{Fault, L2Block};
use serde::{Deserialize, Serialize};

use super::check_consistency;
use crate::{
    Bundle, ExecuteError, evidence,
    source::{
        RecordError,
        bounded::{AtMost, MAX_TRANSACTIONS, decode_block},
    },
};

/// Format that is written, and the only one that is read.
const VERSION: u64 = 1;

/// A bundle that anybody replays offline to the same fault, without rules and without a witness:
/// the block, the header of its parent, and its receipts.
///
/// All of it proves itself by the block's hash. What is left to look at is the chain, which a hash
/// does not say: a signature for another chain is nobody's on this one.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsistencyEvidence {
    block: L2Block,
    parent: Sealed<Header>,
    receipts: Vec<Bytes>,
    fault: Fault,
}

/// Why evidence accuses nobody.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ConsistencyEvidenceError {
    /// The file cannot be read or written.
    #[error("the file cannot be read or written")]
    File(#[from] RecordError),
    /// The bytes are not such evidence.
    #[error("not evidence of a contradiction")]
    Json(#[from] serde_json::Error),
    /// A part is not what it has to be.
    #[error("{0} is malformed")]
    Field(&'static str),
    /// The evidence is of another format.
    #[error("format {0} is not known")]
    Version(u64),
    /// The parts do not belong to the block.
    #[error(transparent)]
    Parts(#[from] ExecuteError),
    /// The parts give another fault, or none.
    #[error("recorded is {recorded}, found is {found:?}")]
    Differs {
        /// Fault of the bundle.
        recorded: Box<Fault>,
        /// What the parts give.
        found: Box<Option<Fault>>,
    },
}

impl ConsistencyEvidence {
    /// Evidence of `fault`, which is found again before it is believed.
    ///
    /// Errors: [`ConsistencyEvidenceError`], if these parts do not give this fault.
    pub fn new(
        block: L2Block,
        parent: Sealed<Header>,
        receipts: Vec<Bytes>,
        fault: Fault,
    ) -> Result<Self, ConsistencyEvidenceError> {
        let evidence = Self {
            block,
            parent,
            receipts,
            fault,
        };
        evidence.replay()?;
        Ok(evidence)
    }

    /// Judges the block again.
    ///
    /// Errors: [`ConsistencyEvidenceError`]; the bundle accuses nobody then.
    pub fn replay(&self) -> Result<Fault, ConsistencyEvidenceError> {
        match check_consistency(&self.block, &self.parent, &self.receipts)? {
            Some(fault) if fault == self.fault => Ok(fault),
            found => Err(ConsistencyEvidenceError::Differs {
                recorded: Box::new(self.fault.clone()),
                found: Box::new(found),
            }),
        }
    }

    /// The accused block.
    pub const fn block(&self) -> &L2Block {
        &self.block
    }

    /// The fault that was found.
    pub const fn fault(&self) -> &Fault {
        &self.fault
    }
}

impl Bundle for ConsistencyEvidence {
    type Error = ConsistencyEvidenceError;

    fn file_name(&self) -> String {
        evidence::file_name(&self.block, &self.fault)
    }

    fn to_json(&self) -> Result<Vec<u8>, ConsistencyEvidenceError> {
        let wire = Wire {
            version: VERSION,
            software: evidence::SOFTWARE.to_owned(),
            fault: self.fault.clone(),
            chain_id: self.block.chain_id,
            block: self.block.encode_rlp().into(),
            parent_header: alloy_rlp::encode(self.parent.inner()).into(),
            own_receipts: AtMost(self.receipts.clone()),
        };
        Ok(serde_json::to_vec(&wire)?)
    }

    fn parse(json: &[u8]) -> Result<Self, ConsistencyEvidenceError> {
        let wire: Wire = serde_json::from_slice(json)?;
        if wire.version != VERSION {
            return Err(ConsistencyEvidenceError::Version(wire.version));
        }
        let block = decode_block(wire.chain_id, &wire.block);
        let mut rest = &wire.parent_header[..];
        let parent = match Header::decode(&mut rest) {
            Ok(header) if rest.is_empty() => Sealed::new(header),
            _ => return Err(ConsistencyEvidenceError::Field("parentHeader")),
        };
        Ok(Self {
            block: block.map_err(|_| ConsistencyEvidenceError::Field("block"))?,
            parent,
            receipts: wire.own_receipts.0,
            fault: wire.fault,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    version: u64,
    software: String,
    fault: Fault,
    chain_id: ChainId,
    block: Bytes,
    parent_header: Bytes,
    /// Of the block itself, unlike those of L1 in other bundles.
    own_receipts: AtMost<Bytes, MAX_TRANSACTIONS>,
}
