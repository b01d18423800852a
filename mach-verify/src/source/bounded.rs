//! Lists from outside, counted while they are read.

use core::{fmt, marker::PhantomData};

use alloy_primitives::ChainId;
use alloy_rlp::{BufMut, Decodable, Encodable, Header as RlpHeader};
use mach_core::{BlockError, L2Block};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

/// Most nodes, codes, keys or headers of a witness that are read: a hundred times those of a large
/// block. An empty one takes a few bytes of a file and many times that in memory.
pub(crate) const MAX_ITEMS: usize = 4_000_000;

/// Most transactions or receipts of one block that are read: fifty times those of a large block.
pub(crate) const MAX_TRANSACTIONS: usize = 100_000;

/// Why a list of RLP is not read.
const TOO_MANY: alloy_rlp::Error = alloy_rlp::Error::Custom("more items than are read");

/// A list of at most `N` items. One more is an error, before the rest is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct AtMost<T, const N: usize>(pub(crate) Vec<T>);

impl<T, const N: usize> Default for AtMost<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        List::of_at_most(N).deserialize(deserializer).map(Self)
    }
}

/// Reads a list whose length is found out at run time.
pub(crate) struct List<T> {
    most: usize,
    items: PhantomData<T>,
}

impl<T> List<T> {
    pub(crate) const fn of_at_most(most: usize) -> Self {
        let items = PhantomData;
        Self { most, items }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for List<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} items", self.most)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == self.most {
                let most = self.most;
                return Err(A::Error::custom(format_args!("more than {most} items")));
            }
            items.push(item);
        }
        Ok(items)
    }
}

impl<T: Decodable, const N: usize> Decodable for AtMost<T, N> {
    fn decode(bytes: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut list = RlpHeader::decode_bytes(bytes, true)?;
        let mut items = Vec::new();
        while !list.is_empty() {
            if items.len() == N {
                return Err(TOO_MANY);
            }
            items.push(T::decode(&mut list)?);
        }
        Ok(Self(items))
    }
}

impl<T: Encodable, const N: usize> Encodable for AtMost<T, N> {
    fn encode(&self, out: &mut dyn BufMut) {
        self.0.encode(out);
    }

    fn length(&self) -> usize {
        self.0.length()
    }
}

/// The block of `rlp`, if it has not more than [`MAX_TRANSACTIONS`]: one of a byte takes many times
/// that in memory.
///
/// Errors: [`BlockError`].
pub(crate) fn decode_block(chain_id: ChainId, rlp: &[u8]) -> Result<L2Block, BlockError> {
    if is_list_above(MAX_TRANSACTIONS, 1, rlp) {
        return Err(BlockError::Rlp {
            field: "transactions",
            source: TOO_MANY,
        });
    }
    L2Block::decode_rlp(chain_id, rlp)
}

/// Whether the item at `place` of the RLP list that `rlp` begins with is a list of more than `most`
/// items. Nothing is kept of them. What is no RLP is for whoever decodes it to say.
pub(crate) fn is_list_above(most: usize, place: usize, mut rlp: &[u8]) -> bool {
    let mut walk = || -> alloy_rlp::Result<bool> {
        let mut list = RlpHeader::decode_bytes(&mut rlp, true)?;
        for _ in 0..place {
            skip(&mut list)?;
        }
        let mut items = RlpHeader::decode_bytes(&mut list, true)?;
        for _ in 0..most {
            skip(&mut items)?;
        }
        Ok(!items.is_empty())
    };
    walk().unwrap_or(false)
}

/// Goes past an item.
fn skip(list: &mut &[u8]) -> alloy_rlp::Result<()> {
    let item = RlpHeader::decode(list)?;
    let payload = list.split_off(..item.payload_length);
    payload.map(drop).ok_or(alloy_rlp::Error::InputTooShort)
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;

    use super::*;

    #[test]
    fn an_item_too_many_is_an_error_in_json_and_rlp() {
        type Two = AtMost<u64, 2>;
        for (items, is_read) in [
            (vec![], true),
            (vec![1], true),
            (vec![1, 2], true),
            (vec![1, 2, 3], false),
        ] {
            let json = serde_json::to_string(&items).unwrap();
            let read = serde_json::from_str::<Two>(&json);
            assert_eq!(read.is_ok(), is_read, "{json}");
            let rlp = alloy_rlp::encode(&items);
            let decoded = alloy_rlp::decode_exact::<Two>(&rlp);
            assert_eq!(decoded.is_ok(), is_read, "{json}");
            if let (Ok(read), Ok(decoded)) = (read, decoded) {
                assert_eq!((&read.0, &decoded.0), (&items, &items));
                assert_eq!(alloy_rlp::encode(&decoded), rlp);
            }
        }
        // What follows is not looked at: it is not even JSON.
        let error = serde_json::from_str::<Two>("[1,2,3,?").unwrap_err();
        assert!(error.to_string().contains("more than 2 items"), "{error}");
    }

    /// Transactions of a byte: as a list of RLP each, as nothing, and as one that is a byte.
    #[test]
    fn a_transaction_too_many_is_an_error_before_any_is_kept() {
        for byte in [0x01, 0x80, 0xc0] {
            for (count, is_read) in [
                (0, true),
                (1, true),
                (MAX_TRANSACTIONS, true),
                (MAX_TRANSACTIONS + 1, false),
            ] {
                let mut body = alloy_rlp::encode(Header::default());
                let list = RlpHeader {
                    list: true,
                    payload_length: count,
                };
                list.encode(&mut body);
                body.resize(body.len() + count, byte);
                // No ommers.
                body.push(0xc0);
                let mut block = Vec::new();
                let list = RlpHeader {
                    list: true,
                    payload_length: body.len(),
                };
                list.encode(&mut block);
                block.extend(body);
                match decode_block(10, &block) {
                    Ok(block) if is_read => assert_eq!(block.transactions.len(), count),
                    Err(BlockError::Rlp { field, source }) if !is_read => {
                        assert_eq!((field, source), ("transactions", TOO_MANY));
                    }
                    other => panic!("{byte:x} {count}: {:?}", other.map(|it| it.hash())),
                }
            }
        }
        // What is no block is for the decoder to name.
        for bytes in [&[][..], &[0xc0], &[0x80], &[0xc2, 0xc0, 0xc5]] {
            assert_eq!(decode_block(10, bytes), L2Block::decode_rlp(10, bytes));
        }
    }
}
