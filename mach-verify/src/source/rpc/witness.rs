//! The shapes of `debug_executionWitness`.

use std::collections::BTreeMap;

use alloy_consensus::Header;
use alloy_primitives::{BlockNumber, Bytes};
use mach_core::ports::SourceError;
use serde::Deserialize;

use crate::{MAX_ANCESTORS, Witness};

/// What nodes answer: lists, or maps from hash to bytes; headers as RLP (reth) or as JSON objects
/// (geth). Some leave out what is empty, or say `null`.
#[derive(Debug, Deserialize)]
pub(super) struct RawWitness {
    state: Items,
    #[serde(default)]
    codes: Option<Items>,
    #[serde(default)]
    keys: Option<Items>,
    #[serde(default)]
    headers: Option<Vec<RawHeader>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Items {
    List(Vec<Bytes>),
    // The key is a hash, which is not believed.
    Map(BTreeMap<String, Bytes>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawHeader {
    Rlp(Bytes),
    Object(Box<Header>),
}

impl Items {
    fn into_bytes(self) -> Vec<Bytes> {
        match self {
            Self::List(items) => items,
            Self::Map(items) => items.into_values().collect(),
        }
    }
}

impl RawWitness {
    pub(super) fn into_witness(self, number: BlockNumber) -> Result<Witness, SourceError> {
        let headers = self.headers.unwrap_or_default();
        if headers.len() > MAX_ANCESTORS {
            return Err(SourceError::Malformed {
                number,
                field: "headers",
                source: format!("{} headers, {MAX_ANCESTORS} are read", headers.len()).into(),
            });
        }
        let bytes = |items: Option<Items>| items.map(Items::into_bytes).unwrap_or_default();
        Ok(Witness {
            state: self.state.into_bytes(),
            codes: bytes(self.codes),
            keys: bytes(self.keys),
            headers: headers
                .into_iter()
                .map(|header| match header {
                    RawHeader::Rlp(bytes) => bytes,
                    RawHeader::Object(header) => alloy_rlp::encode(*header).into(),
                })
                .collect(),
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::bytes;

    fn read(json: &str) -> Witness {
        serde_json::from_str::<RawWitness>(json)
            .unwrap()
            .into_witness(1)
            .unwrap()
    }

    #[test]
    fn every_shape_gives_the_same_witness() {
        let header = Header {
            number: 7,
            ..Default::default()
        };
        let rlp = Bytes::from(alloy_rlp::encode(&header));
        let object = serde_json::to_string(&header).unwrap();
        let reth = read(&format!(
            r#"{{"state":["0x80"],"codes":["0x6000"],"keys":[],"headers":["{rlp}"]}}"#
        ));
        let geth = read(&format!(
            r#"{{"headers":[{object}],"codes":["0x6000"],"state":["0x80"],"keys":null}}"#
        ));
        let mapped = read(&format!(
            r#"{{"state":{{"0x12":"0x80"}},"codes":{{"0x34":"0x6000"}},"headers":["{rlp}"]}}"#
        ));
        assert_eq!(reth.state, [bytes!("80")]);
        assert_eq!(reth.codes, [bytes!("6000")]);
        assert_eq!(reth.headers, [rlp]);
        assert_eq!(geth, reth);
        assert_eq!(mapped, reth);
    }

    #[test]
    fn what_is_no_witness_is_an_error() {
        for json in [
            "null",
            "[]",
            "{}",
            r#"{"state":1}"#,
            r#"{"state":["0xzz"]}"#,
        ] {
            assert!(serde_json::from_str::<RawWitness>(json).is_err(), "{json}");
        }
        let headers = vec![r#""0x80""#; MAX_ANCESTORS + 1].join(",");
        let many = format!(r#"{{"state":[],"headers":[{headers}]}}"#);
        let many: RawWitness = serde_json::from_str(&many).unwrap();
        assert!(matches!(
            many.into_witness(1),
            Err(SourceError::Malformed {
                field: "headers",
                ..
            })
        ));
    }
}
