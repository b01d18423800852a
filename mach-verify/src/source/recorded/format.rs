//! Blocks as JSON.

use std::path::Path;

use alloy_primitives::{B256, BlockNumber, Bytes, ChainId};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use super::{MAX_FILE_BYTES, RecordError, RecordedBlock, read_file};
use crate::{
    Witness,
    source::{
        bounded::{AtMost, MAX_ITEMS, decode_block},
        packed::Packed,
    },
};

impl RecordedBlock {
    /// Reads the JSON object.
    ///
    /// Errors: [`RecordError`].
    pub fn parse(json: &[u8]) -> Result<Self, RecordError> {
        Self::parse_with_evidence(json).map(|(recorded, _)| recorded)
    }

    /// The block, and what the file says against it.
    pub(crate) fn parse_with_evidence(
        json: &[u8],
    ) -> Result<(Self, Option<&RawValue>), RecordError> {
        if json.len() as u64 > MAX_FILE_BYTES {
            return Err(RecordError::TooLarge);
        }
        let raw: RawRecord<'_> = serde_json::from_slice(json).map_err(RecordError::Json)?;
        let number: BlockNumber = field(None, "number", raw.number).map(|Number(it)| it)?;
        let at = Some(number);
        let Number(chain_id) = field(at, "chain_id", raw.chain_id)?;
        let rlp: Bytes = field(at, "block_rlp", raw.block_rlp)?;
        let block = decode_block(chain_id, &rlp).map_err(|source| RecordError::Block {
            block: number,
            source,
        })?;
        let says = Says { number };
        says.same("number", number, block.number())?;
        says.same("hash", field::<B256>(at, "hash", raw.hash)?, block.hash())?;
        let Number(timestamp) = field(at, "timestamp", raw.timestamp)?;
        says.same("timestamp", timestamp, block.header.timestamp)?;
        let Number(gas_used) = field(at, "gas_used", raw.gas_used)?;
        says.same("gas_used", gas_used, block.header.gas_used)?;
        let Number(tx_count) = field(at, "tx_count", raw.tx_count)?;
        says.same("tx_count", tx_count, block.transactions.len() as u64)?;

        let mut witness = witness(at, raw.witness)?;
        witness.parent_state_root =
            optional::<B256>(at, "parent_state_root", raw.parent_state_root)?;
        let hashes: Option<AtMost<(Number, B256), MAX_ITEMS>> =
            optional(at, "block_hashes", raw.block_hashes)?;
        for (Number(height), hash) in hashes.unwrap_or_default().0 {
            if witness
                .block_hashes
                .insert(height, hash)
                .is_some_and(|it| it != hash)
            {
                return Err(RecordError::Field {
                    block: at,
                    field: "block_hashes",
                    source: format!("two hashes for block {height}").into(),
                });
            }
        }
        let source = optional(at, "source", raw.source)?;
        let recorded = Self {
            block,
            witness,
            source,
        };
        Ok((recorded, raw.evidence))
    }

    /// The JSON object.
    pub fn to_json(&self) -> Vec<u8> {
        self.to_json_with(None::<&()>)
    }

    /// The same with what is said against the block.
    pub(crate) fn to_json_with<E: Serialize>(&self, evidence: Option<&E>) -> Vec<u8> {
        let header = self.block.header.inner();
        let record = Record {
            chain_id: self.block.chain_id,
            number: header.number,
            hash: self.block.hash(),
            timestamp: header.timestamp,
            gas_used: header.gas_used,
            tx_count: self.block.transactions.len(),
            parent_state_root: self.witness.parent_state_root,
            block_rlp: self.block.encode_rlp().into(),
            block_hashes: &self.witness.block_hashes.iter().collect::<Vec<_>>(),
            source: self.source.as_deref(),
            evidence,
            witness: &self.witness,
        };
        // Numbers, hex strings and lists of them: nothing that JSON cannot say.
        serde_json::to_vec(&record).unwrap_or_default()
    }
}

/// Chain and height that a file says, without decoding the rest.
pub(crate) fn peek(path: &Path) -> Result<(ChainId, BlockNumber), RecordError> {
    let json = read_file(path)?;
    let raw: RawRecord<'_> = serde_json::from_slice(&json).map_err(RecordError::Json)?;
    let Number(number) = field(None, "number", raw.number)?;
    let Number(chain_id) = field(Some(number), "chain_id", raw.chain_id)?;
    Ok((chain_id, number))
}

/// The file as text, each field on its own, so that an error can name the field.
#[derive(Deserialize)]
struct RawRecord<'a> {
    #[serde(borrow)]
    chain_id: Option<&'a RawValue>,
    number: Option<&'a RawValue>,
    hash: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    gas_used: Option<&'a RawValue>,
    tx_count: Option<&'a RawValue>,
    parent_state_root: Option<&'a RawValue>,
    block_rlp: Option<&'a RawValue>,
    block_hashes: Option<&'a RawValue>,
    source: Option<&'a RawValue>,
    evidence: Option<&'a RawValue>,
    witness: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawWitness<'a> {
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    codes: Option<&'a RawValue>,
    keys: Option<&'a RawValue>,
    headers: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Record<'a, E> {
    chain_id: ChainId,
    number: BlockNumber,
    hash: B256,
    timestamp: u64,
    gas_used: u64,
    tx_count: usize,
    parent_state_root: Option<B256>,
    block_rlp: Bytes,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    block_hashes: &'a [(&'a BlockNumber, &'a B256)],
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a E>,
    witness: &'a Witness,
}

fn witness(at: Option<BlockNumber>, raw: Option<&RawValue>) -> Result<Witness, RecordError> {
    let raw: RawWitness<'_> = field(at, "witness", raw)?;
    Ok(Witness {
        state: field(at, "witness.state", raw.state).map(Packed::into_items)?,
        codes: field(at, "witness.codes", raw.codes).map(Packed::into_items)?,
        keys: optional(at, "witness.keys", raw.keys)?.map_or_else(Vec::new, Packed::into_items),
        headers: optional(at, "witness.headers", raw.headers)?
            .map_or_else(Vec::new, Packed::into_items),
        ..Default::default()
    })
}

fn field<'a, T: Deserialize<'a>>(
    block: Option<BlockNumber>,
    field: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<T, RecordError> {
    optional(block, field, raw)?.ok_or(RecordError::Missing { block, field })
}

fn optional<'a, T: Deserialize<'a>>(
    block: Option<BlockNumber>,
    field: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<T>, RecordError> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|source| RecordError::Field {
        block,
        field,
        source: Box::new(source),
    })
}

/// A number, written as one or as a string of decimal digits.
#[derive(Clone, Copy, Debug)]
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a number from 0 to 2^64-1, or one in a string of decimal digits")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Number, E> {
                let is_decimal = value.bytes().all(|byte| byte.is_ascii_digit());
                (value.parse().ok())
                    .filter(|_| is_decimal)
                    .map(Number)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Compares what the file says with what the block says.
struct Says {
    number: BlockNumber,
}

impl Says {
    fn same<T: PartialEq + ToString>(
        &self,
        field: &'static str,
        file: T,
        actual: T,
    ) -> Result<(), RecordError> {
        if file == actual {
            return Ok(());
        }
        Err(RecordError::Contradiction {
            block: self.number,
            field,
            file: file.to_string(),
            actual: actual.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;
    use alloy_primitives::{B256, bytes};
    use mach_core::L2Block;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn record() -> RecordedBlock {
        let header = Header {
            number: 7,
            timestamp: 70,
            gas_used: 21_000,
            ..Default::default()
        };
        RecordedBlock {
            block: L2Block::new(10, header, vec![bytes!("02c0")]),
            witness: Witness {
                state: vec![bytes!("80")],
                codes: vec![bytes!("6000")],
                headers: vec![bytes!("c0")],
                parent_state_root: Some(B256::repeat_byte(3)),
                block_hashes: [(5, B256::repeat_byte(5))].into(),
                ..Default::default()
            },
            source: Some("a node".to_owned()),
        }
    }

    fn parse(change: impl FnOnce(&mut Value)) -> Result<RecordedBlock, RecordError> {
        let mut json: Value = serde_json::from_slice(&record().to_json()).unwrap();
        change(&mut json);
        RecordedBlock::parse(json.to_string().as_bytes())
    }

    #[test]
    fn parsing_is_the_inverse_of_writing() {
        assert_eq!(parse(|_| {}).unwrap(), record());
    }

    #[test]
    fn numbers_may_be_decimal_strings() {
        let read = parse(|json| {
            json["number"] = json!("7");
            json["gas_used"] = json!("21000");
            json["block_hashes"] = json!([["5", B256::repeat_byte(5)]]);
        });
        assert_eq!(read.unwrap(), record());
    }

    /// What the message has to say: the block and the field.
    #[test]
    fn every_defect_is_named() {
        type Change = fn(&mut Value);
        let cases: &[(Change, &str)] = &[
            (
                |json| json["number"] = json!("0x7"),
                "field number is malformed",
            ),
            (
                |json| json["number"] = json!(-7),
                "field number is malformed",
            ),
            (
                |json| json["number"] = json!(8),
                "block 8: field number is 8, the block says 7",
            ),
            (
                |json| json["timestamp"] = json!(71),
                "block 7: field timestamp is 71, the block says 70",
            ),
            (
                |json| json["gas_used"] = json!("20999"),
                "block 7: field gas_used is 20999, the block says 21000",
            ),
            (
                |json| json["tx_count"] = json!(0),
                "block 7: field tx_count is 0, the block says 1",
            ),
            (
                |json| json["chain_id"] = json!([]),
                "block 7: field chain_id is malformed",
            ),
            (
                |json| json["hash"] = json!("0x12"),
                "block 7: field hash is malformed",
            ),
            (
                |json| json["block_rlp"] = json!("0xc0"),
                "block 7: field block_rlp is malformed",
            ),
            (
                |json| json["block_rlp"] = Value::Null,
                "block 7: field block_rlp is missing",
            ),
            (
                |json| json["witness"] = json!("none"),
                "block 7: field witness is malformed",
            ),
            (
                |json| json["witness"]["state"] = json!(["0x8"]),
                "block 7: field witness.state is malformed",
            ),
            (
                |json| json["witness"]["codes"] = Value::Null,
                "block 7: field witness.codes is missing",
            ),
            (
                |json| json["parent_state_root"] = json!(3),
                "block 7: field parent_state_root is malformed",
            ),
            (
                |json| {
                    json["block_hashes"] = json!([[5, B256::ZERO], [5, B256::repeat_byte(1)]]);
                },
                "block 7: field block_hashes is malformed",
            ),
        ];
        for (change, message) in cases {
            let error = parse(change).unwrap_err();
            assert_eq!(error.to_string(), *message);
        }
        let wrong = parse(|json| json["hash"] = json!(B256::ZERO)).unwrap_err();
        assert!(matches!(
            wrong,
            RecordError::Contradiction { field: "hash", .. }
        ));
        for bytes in ["", "[]", "{", "null", "{}x"] {
            let error = RecordedBlock::parse(bytes.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "not a JSON object", "{bytes}");
        }
        let empty = RecordedBlock::parse(b"{}").unwrap_err();
        assert_eq!(empty.to_string(), "field number is missing");
    }

    /// Transactions of no byte, which take many times that in memory.
    #[test]
    fn a_block_of_more_transactions_than_any_has_is_not_read() {
        let mut block = record().block;
        block.transactions = vec![Bytes::new(); 100_001];
        let rlp = Bytes::from(block.encode_rlp());
        let error = parse(|json| json["block_rlp"] = json!(rlp)).unwrap_err();
        let RecordError::Block { source, .. } = error else {
            panic!("{error:?}");
        };
        let cause = std::error::Error::source(&source).unwrap();
        assert_eq!(cause.to_string(), "more items than are read");
    }

    proptest! {
        #[test]
        fn any_text_is_a_record_or_an_error(at in 0usize..900, byte: u8) {
            let mut json = record().to_json();
            let length = json.len();
            json[at % length] = byte;
            let _ = RecordedBlock::parse(&json);
            let _ = RecordedBlock::parse(&json[..at % length]);
        }
    }
}
