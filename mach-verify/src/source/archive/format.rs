//! The bytes of an archive.

use std::io::{Read, Write};

use alloy_primitives::{B256, BlockNumber, Bytes, ChainId};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use flate2::{Compression, Crc, read::GzDecoder, write::GzEncoder};
use mach_core::ports::BoxError;

use crate::{
    Witness,
    source::{
        MAX_FILE_BYTES, RecordedBlock,
        bounded::{AtMost, MAX_ITEMS, decode_block},
    },
};

pub(super) const FILE_HEADER_BYTES: u64 = 24;
pub(super) const RECORD_HEADER_BYTES: u64 = 52;

const MAGIC: [u8; 8] = *b"mach-arc";
const VERSION: u32 = 1;

pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

pub(super) fn file_header(chain_id: ChainId) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(chain_id.to_be_bytes());
    bytes.extend(checksum(&bytes).to_be_bytes());
    bytes
}

/// The chain; `None` if this is no header, `Err` with the version if that is not known.
pub(super) fn parse_file_header(
    bytes: &[u8; FILE_HEADER_BYTES as usize],
) -> Option<Result<ChainId, u32>> {
    let mut fields = Fields(bytes);
    let magic: [u8; 8] = fields.take()?;
    let version = u32::from_be_bytes(fields.take()?);
    let chain_id = ChainId::from_be_bytes(fields.take()?);
    if magic != MAGIC || !fields.ends_with_checksum_of(bytes) {
        return None;
    }
    Some(if version == VERSION {
        Ok(chain_id)
    } else {
        Err(version)
    })
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) number: BlockNumber,
    pub(super) hash: B256,
    pub(super) length: u32,
    /// Of the payload.
    pub(super) checksum: u32,
}

impl RecordHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.number.to_be_bytes().to_vec();
        bytes.extend(self.hash);
        bytes.extend(self.length.to_be_bytes());
        bytes.extend(self.checksum.to_be_bytes());
        bytes.extend(checksum(&bytes).to_be_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8; RECORD_HEADER_BYTES as usize]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let header = Self {
            number: BlockNumber::from_be_bytes(fields.take()?),
            hash: B256::from(fields.take::<32>()?),
            length: u32::from_be_bytes(fields.take()?),
            checksum: u32::from_be_bytes(fields.take()?),
        };
        fields.ends_with_checksum_of(bytes).then_some(header)
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    /// Whether what is left is the checksum of what came before it.
    fn ends_with_checksum_of(&self, bytes: &[u8]) -> bool {
        let covered = bytes.len().saturating_sub(self.0.len());
        bytes
            .get(..covered)
            .is_some_and(|it| self.0 == checksum(it).to_be_bytes())
    }
}

type Items<T> = AtMost<T, MAX_ITEMS>;

#[derive(RlpEncodable, RlpDecodable)]
struct Payload {
    block: Bytes,
    /// Empty if nobody claims it.
    parent_state_root: Bytes,
    state: Items<Bytes>,
    codes: Items<Bytes>,
    keys: Items<Bytes>,
    headers: Items<Bytes>,
    block_hashes: Items<ClaimedHash>,
    /// Empty if the record does not say.
    source: String,
}

#[derive(RlpEncodable, RlpDecodable)]
struct ClaimedHash {
    number: BlockNumber,
    hash: B256,
}

pub(super) fn encode(record: &RecordedBlock) -> Result<Vec<u8>, BoxError> {
    let witness = record.witness.clone();
    let block_hashes =
        (witness.block_hashes.into_iter()).map(|(number, hash)| ClaimedHash { number, hash });
    let payload = Payload {
        block: record.block.encode_rlp().into(),
        parent_state_root: witness
            .parent_state_root
            .map_or_else(Bytes::new, |root| Bytes::copy_from_slice(root.as_slice())),
        state: AtMost(witness.state),
        codes: AtMost(witness.codes),
        keys: AtMost(witness.keys),
        headers: AtMost(witness.headers),
        block_hashes: AtMost(block_hashes.collect()),
        source: record.source.clone().unwrap_or_default(),
    };
    let mut rlp = Vec::new();
    payload.encode(&mut rlp);
    if rlp.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is larger than {MAX_FILE_BYTES} bytes").into());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&rlp)?;
    Ok(encoder.finish()?)
}

pub(super) fn decode(chain_id: ChainId, payload: &[u8]) -> Result<RecordedBlock, BoxError> {
    let mut rlp = Vec::new();
    GzDecoder::new(payload)
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut rlp)?;
    if rlp.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is larger than {MAX_FILE_BYTES} bytes").into());
    }
    let mut rest = rlp.as_slice();
    let payload = Payload::decode(&mut rest)?;
    if !rest.is_empty() {
        return Err("bytes follow the record".into());
    }
    let block = decode_block(chain_id, &payload.block)?;
    let parent_state_root = match payload.parent_state_root.len() {
        0 => None,
        _ => Some(B256::try_from(payload.parent_state_root.as_ref())?),
    };
    let witness = Witness {
        state: payload.state.0,
        codes: payload.codes.0,
        keys: payload.keys.0,
        headers: payload.headers.0,
        parent_state_root,
        block_hashes: (payload.block_hashes.0.into_iter())
            .map(|claim| (claim.number, claim.hash))
            .collect(),
    };
    Ok(RecordedBlock {
        block,
        witness,
        source: Some(payload.source).filter(|source| !source.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each list with an item too many: a few bytes in the file, over a hundred megabytes in memory.
    #[test]
    fn a_record_of_too_many_items_is_refused_while_it_is_read() {
        let empty = vec![0x80; MAX_ITEMS + 1];
        let mut many = Vec::new();
        alloy_rlp::Header {
            list: true,
            payload_length: empty.len(),
        }
        .encode(&mut many);
        many.extend(&empty);
        for place in 0..4 {
            let mut fields = vec![vec![0x80], vec![0x80]];
            fields.extend((0..5).map(|it| {
                if it == place {
                    many.clone()
                } else {
                    vec![0xc0]
                }
            }));
            fields.push(vec![0x80]);
            let fields = fields.concat();
            let mut rlp = Vec::new();
            alloy_rlp::Header {
                list: true,
                payload_length: fields.len(),
            }
            .encode(&mut rlp);
            rlp.extend(fields);
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&rlp).unwrap();
            let error = decode(10, &encoder.finish().unwrap()).unwrap_err();
            assert!(error.to_string().contains("more items"), "{place}: {error}");
        }
    }
}
