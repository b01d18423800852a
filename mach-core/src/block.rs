//! A rollup block as it was published.

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{B256, BlockNumber, Bytes, ChainId, Sealed};
use alloy_rlp::{BufMut, Decodable, Encodable, Header as RlpHeader};
use serde::{Deserialize, Serialize};

/// Largest RLP encoding of a block that is decoded, in bytes.
///
/// Ten times the largest block that EIP-7934 permits leaves room for rollups with bigger ones.
pub const MAX_BLOCK_BYTES: usize = 100 * 1024 * 1024;

/// Most ommers that are decoded; consensus permits two.
const MAX_OMMERS: usize = 16;

/// Number and hash of a block: what survives talk about reorgs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockRef {
    /// Height of the block.
    pub number: BlockNumber,
    /// Keccak-256 of the header's RLP encoding.
    pub hash: B256,
}

impl core::fmt::Display for BlockRef {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// A published block: header and body, nothing computed but the header's hash.
///
/// Transactions stay EIP-2718 bytes in block order, so that a new transaction type changes no type
/// here. An Ethereum L1 block is the same thing with ommers and withdrawals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L2Block {
    /// EIP-155 id of the chain that the block belongs to.
    pub chain_id: ChainId,
    /// Header with its hash.
    pub header: Sealed<Header>,
    /// EIP-2718 encodings in block order; a legacy transaction is its RLP list.
    pub transactions: Vec<Bytes>,
    /// Ommer headers; empty since the merge and on every rollup.
    pub ommers: Vec<Header>,
    /// Withdrawals from the consensus layer; `None` before Shanghai.
    pub withdrawals: Option<Withdrawals>,
}

impl L2Block {
    /// A block without ommers and withdrawals. The hash is computed here.
    pub fn new(chain_id: ChainId, header: Header, transactions: Vec<Bytes>) -> Self {
        Self {
            chain_id,
            header: Sealed::new(header),
            transactions,
            ommers: Vec::new(),
            withdrawals: None,
        }
    }

    /// The same block with the withdrawals of its body.
    #[must_use]
    pub fn with_withdrawals(mut self, withdrawals: Option<Withdrawals>) -> Self {
        self.withdrawals = withdrawals;
        self
    }

    /// Height of the block.
    pub fn number(&self) -> BlockNumber {
        self.header.number
    }

    /// Keccak-256 of the header.
    pub const fn hash(&self) -> B256 {
        self.header.seal()
    }

    /// Number and hash.
    pub fn reference(&self) -> BlockRef {
        BlockRef {
            number: self.number(),
            hash: self.hash(),
        }
    }

    /// Decodes `[header, transactions, ommers, withdrawals?]`, the RLP form of devp2p and of
    /// `debug_getRawBlock`. Bytes after the list are an error.
    ///
    /// Errors: [`BlockError`].
    pub fn decode_rlp(chain_id: ChainId, bytes: &[u8]) -> Result<Self, BlockError> {
        let mut rest = bytes;
        let block = Self::decode_rlp_prefix(chain_id, &mut rest)?;
        if !rest.is_empty() {
            return Err(BlockError::TrailingBytes(rest.len()));
        }
        Ok(block)
    }

    /// Decodes one block and leaves `bytes` behind it: a chain file is one block after another.
    ///
    /// Errors: [`BlockError`].
    pub fn decode_rlp_prefix(chain_id: ChainId, bytes: &mut &[u8]) -> Result<Self, BlockError> {
        let mut body = RlpHeader::decode_bytes(bytes, true).map_err(BlockError::field("block"))?;
        if body.len() > MAX_BLOCK_BYTES {
            return Err(BlockError::TooLarge(body.len()));
        }
        let body = &mut body;
        let header = Header::decode(body).map_err(BlockError::field("header"))?;
        let transactions = decode_transactions(body)?;
        let ommers = decode_ommers(body)?;
        let withdrawals = if body.is_empty() {
            None
        } else {
            Some(Withdrawals::decode(body).map_err(BlockError::field("withdrawals"))?)
        };
        if !body.is_empty() {
            return Err(BlockError::TrailingBytes(body.len()));
        }
        Ok(Self {
            chain_id,
            header: Sealed::new(header),
            transactions,
            ommers,
            withdrawals,
        })
    }

    /// The inverse of [`Self::decode_rlp`].
    pub fn encode_rlp(&self) -> Vec<u8> {
        let mut transactions = Vec::new();
        for transaction in &self.transactions {
            // A legacy transaction travels as the list that it is, everything else as a byte string:
            // typed transactions, and what a lying sequencer publishes in their place.
            if is_list(transaction) {
                transactions.put_slice(transaction);
            } else {
                transaction.encode(&mut transactions);
            }
        }
        let mut body = Vec::new();
        self.header.encode(&mut body);
        RlpHeader {
            list: true,
            payload_length: transactions.len(),
        }
        .encode(&mut body);
        body.put_slice(&transactions);
        self.ommers.encode(&mut body);
        if let Some(withdrawals) = &self.withdrawals {
            withdrawals.encode(&mut body);
        }
        let mut block = Vec::with_capacity(body.len() + 9);
        RlpHeader {
            list: true,
            payload_length: body.len(),
        }
        .encode(&mut block);
        block.put_slice(&body);
        block
    }
}

/// Whether the bytes are one RLP list and nothing else.
fn is_list(mut bytes: &[u8]) -> bool {
    RlpHeader::decode(&mut bytes).is_ok_and(|item| item.list && item.payload_length == bytes.len())
}

fn decode_transactions(body: &mut &[u8]) -> Result<Vec<Bytes>, BlockError> {
    let wrong = BlockError::field("transactions");
    let mut list = RlpHeader::decode_bytes(body, true).map_err(wrong)?;
    let mut transactions = Vec::new();
    while !list.is_empty() {
        let whole = list;
        let item = RlpHeader::decode(&mut list).map_err(wrong)?;
        let payload = list
            .split_off(..item.payload_length)
            .ok_or(BlockError::Truncated("transactions"))?;
        // The bytes of a legacy transaction include its list header.
        let bytes = if item.list {
            whole.get(..whole.len() - list.len()).unwrap_or_default()
        } else {
            payload
        };
        transactions.push(Bytes::copy_from_slice(bytes));
    }
    Ok(transactions)
}

fn decode_ommers(body: &mut &[u8]) -> Result<Vec<Header>, BlockError> {
    let wrong = BlockError::field("ommers");
    let mut list = RlpHeader::decode_bytes(body, true).map_err(wrong)?;
    let mut ommers = Vec::new();
    while !list.is_empty() {
        if ommers.len() == MAX_OMMERS {
            return Err(BlockError::TooManyOmmers);
        }
        ommers.push(Header::decode(&mut list).map_err(wrong)?);
    }
    Ok(ommers)
}

/// Why bytes are not a block.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A part is not valid RLP of its type.
    #[error("{field} is not valid RLP")]
    Rlp {
        /// The part: `block`, `header`, `transactions`, `ommers` or `withdrawals`.
        field: &'static str,
        /// What the decoder says.
        #[source]
        source: alloy_rlp::Error,
    },
    /// A part ends before its stated length.
    #[error("{0} ends too early")]
    Truncated(&'static str),
    /// Bytes stand behind the end of the block.
    #[error("{0} bytes stand behind the end of the block")]
    TrailingBytes(usize),
    /// More bytes than [`MAX_BLOCK_BYTES`].
    #[error("block has {0} bytes, at most {MAX_BLOCK_BYTES} are read")]
    TooLarge(usize),
    /// More ommers than any chain permits.
    #[error("block has more than {MAX_OMMERS} ommers")]
    TooManyOmmers,
}

impl BlockError {
    const fn field(field: &'static str) -> impl Fn(alloy_rlp::Error) -> Self + Copy {
        move |source| Self::Rlp { field, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{bytes, hex};
    use proptest::prelude::*;

    /// Block 1 of Ethereum mainnet's header hash, as every client knows it.
    #[test]
    fn mainnet_genesis_header_hashes_to_its_published_hash() {
        // Header of block 0: the values of go-ethereum's mainnet genesis.
        let header = Header {
            ommers_hash: alloy_consensus::EMPTY_OMMER_ROOT_HASH,
            state_root: hex!("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544")
                .into(),
            transactions_root: alloy_consensus::EMPTY_ROOT_HASH,
            receipts_root: alloy_consensus::EMPTY_ROOT_HASH,
            difficulty: alloy_primitives::U256::from(0x4_0000_0000u64),
            gas_limit: 5000,
            extra_data: bytes!("11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa"),
            nonce: hex!("0000000000000042").into(),
            ..Default::default()
        };
        let block = L2Block::new(1, header, Vec::new());
        let expected: B256 =
            hex!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3").into();
        assert_eq!(block.hash(), expected);
        assert_eq!(L2Block::decode_rlp(1, &block.encode_rlp()).unwrap(), block);
    }

    #[test]
    fn what_is_not_a_block_is_named() {
        let block = L2Block::new(1, Header::default(), vec![bytes!("02c0")]).encode_rlp();
        assert!(matches!(
            L2Block::decode_rlp(1, &block[..block.len() - 1]),
            Err(BlockError::Rlp { field: "block", .. })
        ));
        let longer = [block.as_slice(), &[0]].concat();
        assert_eq!(
            L2Block::decode_rlp(1, &longer),
            Err(BlockError::TrailingBytes(1))
        );
        assert_eq!(
            L2Block::decode_rlp(1, &[0xc0]).unwrap_err().to_string(),
            "header is not valid RLP"
        );
    }

    /// Evidence of a lie has to survive being written down.
    #[test]
    fn what_is_no_transaction_keeps_its_bytes_too() {
        let transactions = vec![
            bytes!(),
            bytes!("80"),
            bytes!("8180"),
            bytes!("c0"),
            bytes!("c180c0"),
            bytes!("c2"),
            bytes!("f800"),
            bytes!("02c0"),
        ];
        let block = L2Block::new(10, Header::default(), transactions);
        let decoded = L2Block::decode_rlp(10, &block.encode_rlp()).unwrap();
        assert_eq!(decoded, block);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_block_or_an_error(bytes: Vec<u8>) {
            let _ = L2Block::decode_rlp(1, &bytes);
        }

        #[test]
        fn decoding_is_the_inverse_of_encoding(
            number: u64,
            typed in proptest::collection::vec((1u8..0x7f, any::<Vec<u8>>()), 0..4),
            ommers in 0usize..3,
        ) {
            let transactions = typed
                .into_iter()
                .map(|(kind, payload)| [vec![kind], payload].concat().into())
                .collect();
            let mut block =
                L2Block::new(10, Header { number, ..Default::default() }, transactions);
            block.ommers = vec![Header::default(); ommers];
            let decoded = L2Block::decode_rlp(10, &block.encode_rlp()).unwrap();
            prop_assert_eq!(decoded, block);
        }
    }
}
