//! The shapes of `debug_executionWitness`.

use core::fmt;

use alloy_consensus::Header;
use alloy_primitives::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{
        Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::MapAccessDeserializer,
    },
};

use crate::{
    MAX_ANCESTORS, Witness,
    source::{bounded::AtMost, packed::Packed},
};

/// What nodes answer:
///
/// | node | `state`, `codes` | `headers` | `keys` |
/// |---|---|---|---|
/// | reth, op-reth, nethermind, erigon, the specification's draft | lists | RLP | filled in, empty or absent |
/// | geth, erigon on request | lists | JSON objects, with `null` for what a fork lacks | `null` |
/// | reth in 2024 | maps from hash to bytes | absent, or RLP | map from hash to bytes |
///
/// The clients are compared in [execution-apis 845][issue]; what geth changes to is in [go-ethereum
/// 35606][geth].
/// State and codes are found by their hashes, so what a map says of them is not looked at; the
/// parent's header is fetched where it is absent.
///
/// [issue]: https://github.com/ethereum/execution-apis/issues/845
/// [geth]: https://github.com/ethereum/go-ethereum/pull/35606
#[derive(Debug, Deserialize)]
pub(super) struct RawWitness {
    state: Items,
    #[serde(default)]
    codes: Option<Items>,
    #[serde(default)]
    keys: Option<Items>,
    #[serde(default)]
    headers: Option<AtMost<RawHeader, MAX_ANCESTORS>>,
}

/// A list of byte strings, or a map to them whose keys are hashes, which are not believed.
#[derive(Debug, Default)]
struct Items(Packed);

impl<'de> Deserialize<'de> for Items {
    // By hand, since the derive for either of two shapes holds a copy of the whole in between.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemsVisitor)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of byte strings, or a map to them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
        let mut items = Items::default();
        while list.next_element_seed(&mut items.0)?.is_some() {}
        Ok(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Items, A::Error> {
        let mut items = Items::default();
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(&mut items.0)?;
        }
        Ok(items)
    }
}

/// The RLP of a header.
#[derive(Debug)]
struct RawHeader(Bytes);

impl<'de> Deserialize<'de> for RawHeader {
    // By hand, since the derive for either of two shapes holds a copy of whatever is there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header in RLP, or as an object")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawHeader, E> {
        Bytes::deserialize(text.into_deserializer()).map(RawHeader)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawHeader, A::Error> {
        let header = Header::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RawHeader(alloy_rlp::encode(header).into()))
    }
}

impl RawWitness {
    pub(super) fn into_witness(self) -> Witness {
        let headers = self.headers.unwrap_or_default().0;
        let bytes = |items: Option<Items>| items.unwrap_or_default().0.into_items();
        Witness {
            state: self.state.0.into_items(),
            codes: bytes(self.codes),
            keys: bytes(self.keys),
            headers: headers.into_iter().map(|RawHeader(rlp)| rlp).collect(),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::bounded::MAX_ITEMS;
    use alloy_primitives::bytes;

    fn read(json: &str) -> Witness {
        serde_json::from_str::<RawWitness>(json)
            .unwrap()
            .into_witness()
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
        // Of the specification: no keys at all.
        let plain = read(&format!(
            r#"{{"state":["0x80"],"codes":["0x6000"],"headers":["{rlp}"]}}"#
        ));
        assert_eq!(plain, reth);
        // Of geth: every field of later forks is there, and null.
        let nulls = object.replacen(
            '{',
            r#"{"blobGasUsed":null,"excessBlobGas":null,"parentBeaconBlockRoot":null,"requestsHash":null,"withdrawalsRoot":null,"slotNumber":null,"balHash":null,"#,
            1,
        );
        let geth_nulls = read(&format!(
            r#"{{"headers":[{nulls}],"codes":["0x6000"],"state":["0x80"],"keys":null}}"#
        ));
        assert_eq!(geth_nulls, reth);
        // Of reth in 2024: maps everywhere, and no headers.
        let legacy = read(
            r#"{"state":{"0x12":"0x80"},"codes":{"0x34":"0x6000"},"keys":{"0x56":"0x4200000000000000000000000000000000000015"}}"#,
        );
        assert_eq!((&legacy.state, &legacy.codes), (&reth.state, &reth.codes));
        assert!(legacy.headers.is_empty());
        assert_eq!(legacy.keys.len(), 1);
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
        // Counted while they are read: what follows is no JSON any more.
        let headers = vec![r#""0x80""#; MAX_ANCESTORS + 1].join(",");
        let many = format!(r#"{{"state":[],"headers":[{headers},?"#);
        let error = serde_json::from_str::<RawWitness>(&many).unwrap_err();
        assert!(error.to_string().contains("more than 256"), "{error}");
        let nodes = vec![r#""0x""#; MAX_ITEMS + 1];
        for (open, nodes) in [
            ("[", nodes.join(",")),
            ("{", format!(r#""0x1":{}"#, nodes.join(r#","0x1":"#))),
        ] {
            let many = format!(r#"{{"state":{open}{nodes},?"#);
            let error = serde_json::from_str::<RawWitness>(&many).unwrap_err();
            assert!(error.to_string().contains("more than 4000000"), "{error}");
        }
    }
}
