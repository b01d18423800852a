//! What proves that L1 contradicts a block, to whoever was not there.

use alloy_consensus::Header;
use alloy_primitives::{BlockNumber, Bytes, Sealed};
use alloy_rlp::Decodable;
use mach_core::{Fault, L2Block};
use serde::{Deserialize, Serialize};

use super::{
    L1Error, L1View, Parent, Rollup, RollupConfig, bounded_config, proven_receipts,
    verify_against_l1,
};
use crate::{
    Bundle, ChainSpec, evidence,
    header::transactions_root,
    source::{
        RecordError,
        bounded::{AtMost, MAX_TRANSACTIONS, decode_block},
    },
};

/// Format that is written, and the only one that is read.
const VERSION: u64 = 1;
/// Most L1 blocks behind an L1 origin that are read.
const MAX_FOLLOWING: usize = 8;

/// What was asked of L1 to judge a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L1Facts {
    /// L1's block at the height of the claimed L1 origin.
    pub origin: Option<Sealed<Header>>,
    /// EIP-2718 encodings of the receipts of [`Self::origin`].
    pub receipts: Option<Vec<Bytes>>,
    /// L1's blocks after [`Self::origin`], in order.
    pub following: Vec<Sealed<Header>>,
    /// Highest L1 block that could no longer be replaced.
    pub settled: Option<BlockNumber>,
}

/// A bundle that anybody replays offline to the same fault: the block, its parent, what L1 said,
/// and how the rollup follows from it.
///
/// Blocks, headers and receipts prove themselves: bodies to their headers, the parent by its hash,
/// receipts to the receipts root of the L1 block whose hash the block itself names. What is left to
/// look at: [`Self::rollup`], the L1 blocks of [`Fault::L1Origin`] and [`Fault::SequencerDrift`],
/// and that they were settled.
#[derive(Clone, Debug, PartialEq)]
pub struct L1Evidence {
    rollup: Rollup,
    parent: L2Block,
    block: L2Block,
    facts: L1Facts,
    fault: Fault,
}

/// Why evidence accuses nobody.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum L1EvidenceError {
    /// The file cannot be read or written.
    #[error("the file cannot be read or written")]
    File(#[from] RecordError),
    /// The bytes are not such evidence.
    #[error("not evidence against L1")]
    Json(#[from] serde_json::Error),
    /// A part is not what it has to be.
    #[error("{0} is malformed")]
    Field(&'static str),
    /// The evidence is of another format.
    #[error("format {0} is not known")]
    Version(u64),
    /// The transactions are not those of the header.
    #[error("the transactions of block {0} are not those of its header")]
    Body(BlockNumber),
    /// L1 is not known well enough.
    #[error("what L1 says is not known")]
    L1(#[from] L1Error),
    /// The parts give another fault, or none.
    #[error("recorded is {recorded}, found is {found:?}")]
    Differs {
        /// Fault of the bundle.
        recorded: Box<Fault>,
        /// What the parts give.
        found: Box<Option<Fault>>,
    },
}

impl L1Evidence {
    /// Evidence of `fault`, which is found again before it is believed.
    ///
    /// Errors: [`L1EvidenceError`], if these parts do not give this fault.
    pub fn new(
        rollup: Rollup,
        parent: L2Block,
        block: L2Block,
        facts: L1Facts,
        fault: Fault,
    ) -> Result<Self, L1EvidenceError> {
        let evidence = Self {
            rollup,
            parent,
            block,
            facts,
            fault,
        };
        evidence.replay_by(&evidence.rollup)?;
        Ok(evidence)
    }

    /// Judges the block again, by the configuration of the bundle.
    ///
    /// Errors: [`L1EvidenceError`]; the bundle accuses nobody then.
    pub fn replay(&self) -> Result<Fault, L1EvidenceError> {
        self.replay_by(&self.rollup)
    }

    /// [`Self::replay`] by a configuration that the reader trusts.
    ///
    /// Errors: [`L1EvidenceError`].
    pub fn replay_by(&self, rollup: &Rollup) -> Result<Fault, L1EvidenceError> {
        for block in [&self.parent, &self.block] {
            if transactions_root(&block.transactions) != block.header.transactions_root {
                return Err(L1EvidenceError::Body(block.number()));
            }
        }
        let parent = Parent::of_block(rollup, &self.parent)?;
        let receipts = match (&self.facts.origin, &self.facts.receipts) {
            (Some(origin), Some(receipts)) => {
                let proven = proven_receipts(origin, receipts);
                Some(proven.map_err(|source| L1Error::Receipts {
                    block: origin.number,
                    source,
                })?)
            }
            _ => None,
        };
        let view = L1View {
            origin: self.facts.origin.as_ref(),
            receipts: receipts.as_deref(),
            following: &self.facts.following,
            settled: self.facts.settled,
        };
        match verify_against_l1(rollup, &parent, &self.block, &view)? {
            Some(fault) if fault == self.fault => Ok(fault),
            found => Err(L1EvidenceError::Differs {
                recorded: Box::new(self.fault.clone()),
                found: Box::new(found),
            }),
        }
    }

    /// How the rollup follows from L1, as the bundle says.
    pub const fn rollup(&self) -> &Rollup {
        &self.rollup
    }

    /// The accused block.
    pub const fn block(&self) -> &L2Block {
        &self.block
    }

    /// What L1 said.
    pub const fn facts(&self) -> &L1Facts {
        &self.facts
    }

    /// The fault that was found.
    pub const fn fault(&self) -> &Fault {
        &self.fault
    }
}

impl Bundle for L1Evidence {
    type Error = L1EvidenceError;

    fn file_name(&self) -> String {
        evidence::file_name(&self.block, &self.fault)
    }

    fn to_json(&self) -> Result<Vec<u8>, L1EvidenceError> {
        let header = |header: &Sealed<Header>| Bytes::from(alloy_rlp::encode(header.inner()));
        let wire = Wire {
            version: VERSION,
            software: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
            fault: self.fault.clone(),
            rollup: self.rollup.config.clone(),
            rules: self.rollup.l2.clone(),
            l1_rules: self.rollup.l1.clone(),
            parent: self.parent.encode_rlp().into(),
            block: self.block.encode_rlp().into(),
            origin: self.facts.origin.as_ref().map(header),
            receipts: self.facts.receipts.clone().map(AtMost),
            following: AtMost(self.facts.following.iter().map(header).collect()),
            settled: self.facts.settled,
        };
        Ok(serde_json::to_vec(&wire)?)
    }

    fn parse(json: &[u8]) -> Result<Self, L1EvidenceError> {
        let wire: Wire = serde_json::from_slice(json)?;
        if wire.version != VERSION {
            return Err(L1EvidenceError::Version(wire.version));
        }
        let chain_id = wire.rules.chain_id();
        let chains = (wire.rollup.l2_chain_id, wire.rollup.l1_chain_id);
        if chains != (chain_id, wire.l1_rules.chain_id()) {
            return Err(L1EvidenceError::Field("rollup"));
        }
        let block = |bytes: &Bytes, name| {
            decode_block(chain_id, bytes).map_err(|_| L1EvidenceError::Field(name))
        };
        let header = |bytes: &Bytes, name| {
            let mut rest = &bytes[..];
            match Header::decode(&mut rest) {
                Ok(header) if rest.is_empty() => Ok(Sealed::new(header)),
                _ => Err(L1EvidenceError::Field(name)),
            }
        };
        let origin = wire.origin.as_ref().map(|bytes| header(bytes, "origin"));
        let following = wire
            .following
            .0
            .iter()
            .map(|bytes| header(bytes, "following"));
        Ok(Self {
            parent: block(&wire.parent, "parent")?,
            block: block(&wire.block, "block")?,
            facts: L1Facts {
                origin: origin.transpose()?,
                receipts: wire.receipts.map(|list| list.0),
                following: following.collect::<Result<_, _>>()?,
                settled: wire.settled,
            },
            rollup: Rollup::new(wire.rollup, wire.rules, wire.l1_rules),
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
    #[serde(deserialize_with = "bounded_config")]
    rollup: RollupConfig,
    rules: ChainSpec,
    l1_rules: ChainSpec,
    parent: Bytes,
    block: Bytes,
    origin: Option<Bytes>,
    receipts: Option<AtMost<Bytes, MAX_TRANSACTIONS>>,
    following: AtMost<Bytes, MAX_FOLLOWING>,
    settled: Option<BlockNumber>,
}
