//! What stateless execution of one block needs besides the block.

use std::collections::BTreeMap;

use alloy_consensus::Header;
use alloy_primitives::{B256, BlockNumber, Bytes, Sealed};
use alloy_rlp::Decodable;
use mach_core::{Assurance, L2Block};
use serde::{Deserialize, Serialize};

use crate::{ExecuteError, state::BlockHashes};

/// Most ancestor headers that are read: `BLOCKHASH` reaches 256 blocks back.
pub const MAX_ANCESTORS: usize = 256;

/// Answer of `debug_executionWitness`, and what a source may claim beyond it.
///
/// Nothing in it is trusted: trie nodes and codes are found by their hash, headers by the hash
/// that the block, or the header after them, names. What nothing proves is a claim, and a verdict
/// that rests on a claim says so ([`Assurance::ExecutedOnClaim`]) and never accuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Nodes of the state trie and of storage tries, RLP, in any order.
    #[serde(default)]
    pub state: Vec<Bytes>,
    /// Codes of contracts, in any order.
    #[serde(default)]
    pub codes: Vec<Bytes>,
    /// Addresses and slots that were read; not needed.
    #[serde(default)]
    pub keys: Vec<Bytes>,
    /// Headers of ancestors, RLP, in any order.
    #[serde(default)]
    pub headers: Vec<Bytes>,
    /// State root of the parent, claimed; used if there are no headers at all.
    #[serde(skip)]
    pub parent_state_root: Option<B256>,
    /// Hashes of ancestors by height, claimed; used for heights that no header proves.
    #[serde(skip)]
    pub block_hashes: BTreeMap<BlockNumber, B256>,
}

impl Witness {
    /// Bytes of nodes, codes and headers.
    pub fn size(&self) -> usize {
        let bytes = |items: &[Bytes]| items.iter().map(|it| it.len()).sum::<usize>();
        bytes(&self.state) + bytes(&self.codes) + bytes(&self.headers)
    }

    /// Header whose hash is `hash`, if the witness has it.
    pub fn header(&self, hash: B256) -> Option<Sealed<Header>> {
        self.headers.iter().find_map(|bytes| {
            let header = decode_header(bytes).ok()?;
            (header.seal() == hash).then_some(header)
        })
    }
}

/// What the block follows, as far as it is known.
#[derive(Debug)]
pub(crate) struct Ancestry {
    /// Header whose hash is the block's `parentHash`.
    pub(crate) parent: Option<Sealed<Header>>,
    /// State root that the block is executed on.
    pub(crate) state_root: B256,
    /// Whether the state root is the parent's or a claim.
    pub(crate) assurance: Assurance,
    /// Hashes that follow from the block by hashing, and those that are only claimed.
    pub(crate) block_hashes: BlockHashes,
}

impl Ancestry {
    /// Follows `parentHash` from the block through the headers of the witness and those that are
    /// known: `parent` is the block's, and `known` gives the `parentHash` of a header by its hash.
    pub(crate) fn of(
        block: &L2Block,
        parent: Option<&Sealed<Header>>,
        witness: &Witness,
        known: impl Fn(&B256) -> Option<B256>,
    ) -> Result<Self, ExecuteError> {
        let number = block.number();
        let malformed = |field: &'static str, what: &str| ExecuteError::Witness {
            block: number,
            field,
            source: what.into(),
        };
        if witness.headers.len() > MAX_ANCESTORS {
            return Err(malformed("headers", "more than 256 headers"));
        }
        let mut headers = BTreeMap::new();
        for bytes in &witness.headers {
            let header = decode_header(bytes).map_err(|source| ExecuteError::Witness {
                block: number,
                field: "headers",
                source: Box::new(source),
            })?;
            headers.insert(header.seal(), header);
        }
        let parent = (headers.remove(&block.header.parent_hash)).or_else(|| parent.cloned());

        let mut block_hashes = BlockHashes::new();
        for (height, hash) in &witness.block_hashes {
            block_hashes.claim(*height, *hash);
        }
        let mut hash = block.header.parent_hash;
        let mut above = parent.as_ref().map(|parent| parent.parent_hash);
        for at in (0..number).rev().take(MAX_ANCESTORS) {
            if block_hashes.get(at).is_some_and(|claimed| claimed != hash) {
                return Err(malformed("blockHashes", "the headers say otherwise"));
            }
            block_hashes.prove(at, hash);
            let Some(next) = above else { break };
            hash = next;
            above = match headers.get(&hash) {
                Some(header) => Some(header.parent_hash),
                None => known(&hash),
            };
        }

        let claimed = witness.parent_state_root;
        let (state_root, assurance) = match (&parent, claimed) {
            (Some(parent), Some(claimed)) if parent.state_root != claimed => {
                return Err(malformed(
                    "parentStateRoot",
                    "the parent's header says otherwise",
                ));
            }
            (Some(parent), _) => (parent.state_root, Assurance::Executed),
            (None, Some(claimed)) if witness.headers.is_empty() => {
                (claimed, Assurance::ExecutedOnClaim)
            }
            (None, _) => {
                return Err(ExecuteError::MissingParent {
                    block: number,
                    parent: block.header.parent_hash,
                });
            }
        };
        Ok(Self {
            parent,
            state_root,
            assurance,
            block_hashes,
        })
    }
}

fn decode_header(bytes: &Bytes) -> Result<Sealed<Header>, alloy_rlp::Error> {
    let mut rest = bytes.as_ref();
    let header = Header::decode(&mut rest)?;
    if !rest.is_empty() {
        return Err(alloy_rlp::Error::UnexpectedLength);
    }
    // Of the encoding that was sent, so that a header that encodes otherwise is not found.
    Ok(Sealed::new_unchecked(
        header,
        alloy_primitives::keccak256(bytes),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers 1 to 4, each the parent of the next, and block 5 on top.
    fn chain() -> (L2Block, Vec<Bytes>) {
        let mut parent_hash = B256::ZERO;
        let mut headers = Vec::new();
        for number in 1..5 {
            let header = Header {
                number,
                parent_hash,
                state_root: B256::with_last_byte(u8::try_from(number).unwrap()),
                ..Default::default()
            };
            parent_hash = header.hash_slow();
            headers.push(alloy_rlp::encode(&header).into());
        }
        let header = Header {
            number: 5,
            parent_hash,
            ..Default::default()
        };
        (L2Block::new(10, header, Vec::new()), headers)
    }

    fn of(block: &L2Block, witness: &Witness) -> Result<Ancestry, ExecuteError> {
        Ancestry::of(block, None, witness, |_| None)
    }

    #[test]
    fn headers_prove_the_hashes_of_their_parents() {
        let (block, headers) = chain();
        let all = Witness {
            headers: headers.clone(),
            ..Default::default()
        };
        let ancestry = of(&block, &all).unwrap();
        assert_eq!(ancestry.state_root, B256::with_last_byte(4));
        assert_eq!(ancestry.assurance, Assurance::Executed);
        assert!((0..5).all(|height| ancestry.block_hashes.get(height).is_some()));

        // Header 2 is missing: what lies before it is not proven.
        let gap = Witness {
            headers: [&headers[..1], &headers[2..]].concat(),
            ..Default::default()
        };
        let ancestry = of(&block, &gap).unwrap();
        assert!((2..5).all(|height| ancestry.block_hashes.get(height).is_some()));
        assert_eq!(ancestry.block_hashes.get(1), None);
    }

    #[test]
    fn without_the_parent_a_state_root_is_a_claim() {
        let (block, headers) = chain();
        let mut witness = Witness {
            headers: headers[..3].to_vec(),
            ..Default::default()
        };
        assert!(matches!(
            of(&block, &witness),
            Err(ExecuteError::MissingParent { block: 5, .. })
        ));
        witness.parent_state_root = Some(B256::with_last_byte(4));
        // Headers without the parent's belong to another block.
        assert!(matches!(
            of(&block, &witness),
            Err(ExecuteError::MissingParent { block: 5, .. })
        ));
        witness.headers.clear();
        let ancestry = of(&block, &witness).unwrap();
        assert_eq!(ancestry.assurance, Assurance::ExecutedOnClaim);
        assert_eq!(ancestry.parent, None);
    }

    #[test]
    fn a_witness_that_contradicts_itself_is_refused() {
        let (block, headers) = chain();
        let witness = Witness {
            headers: headers.clone(),
            parent_state_root: Some(B256::ZERO),
            ..Default::default()
        };
        let error = of(&block, &witness).unwrap_err();
        assert_eq!(
            error.to_string(),
            "block 5: witness parentStateRoot is malformed"
        );
        let witness = Witness {
            headers,
            block_hashes: BTreeMap::from([(3, B256::ZERO)]),
            ..Default::default()
        };
        assert!(matches!(
            of(&block, &witness),
            Err(ExecuteError::Witness {
                field: "blockHashes",
                ..
            })
        ));
    }
}
