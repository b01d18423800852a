//! Values as the original writes and reads them.

use alloy_primitives::{B256, hex};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes as go-ethereum's `hexutil.Bytes`: `0x` is required, and an even number of digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HexBytes(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = without_prefix(&text)
            .ok_or_else(|| de::Error::custom("hex string without 0x prefix"))?;
        hex::decode(digits).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode_prefixed(&self.0))
    }
}

/// Bytes as Go's `[]uint8`: written in base64, and read from that or from an array of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GoBytes(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for GoBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Numbers(Vec<u8>),
            Null(()),
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => BASE64_STANDARD
                .decode(text)
                .map(Self)
                .map_err(de::Error::custom),
            Form::Numbers(bytes) => Ok(Self(bytes)),
            Form::Null(()) => Ok(Self(Vec::new())),
        }
    }
}

impl Serialize for GoBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

/// 32 bytes in hex, with or without `0x` or `0X`.
pub(super) fn root<'de, D: Deserializer<'de>>(deserializer: D) -> Result<B256, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = without_prefix(&text).unwrap_or(&text);
    hex::decode_to_array(digits)
        .map(B256::new)
        .map_err(de::Error::custom)
}

/// A number as go-ethereum's `hexutil.Big` where it fits 64 bits: `0x`, then digits without a leading
/// zero. A plain number is what it was until v0.2.1.
pub(super) fn height<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(u64),
        Text(String),
    }
    let text = match Form::deserialize(deserializer)? {
        Form::Number(number) => return Ok(number),
        Form::Text(text) => text,
    };
    let digits =
        without_prefix(&text).ok_or_else(|| de::Error::custom("hex string without 0x prefix"))?;
    let is_plain = digits == "0" || !digits.starts_with(['0', '+']);
    match u64::from_str_radix(digits, 16) {
        Ok(number) if is_plain => Ok(number),
        Ok(_) => Err(de::Error::custom("hex number with leading zero digits")),
        Err(error) => Err(de::Error::custom(error)),
    }
}

/// `true` for an address as go-ethereum's `IsHexAddress` takes it.
pub(super) fn is_address(text: &str) -> bool {
    let digits = without_prefix(text).unwrap_or(text);
    digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn without_prefix(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_go_reads_them() {
        let read = |json: &str| {
            serde_json::from_str::<GoBytes>(json)
                .map(|bytes| bytes.0)
                .ok()
        };
        // Values of COMPAT 3.1: quorum 0 and threshold 66.
        assert_eq!(read(r#""AA==""#), Some(vec![0]));
        assert_eq!(read(r#""Qg==""#), Some(vec![66]));
        assert_eq!(read("[0,66]"), Some(vec![0, 66]));
        assert_eq!(read("null"), Some(vec![]));
        for json in [r#""0x""#, r#""A""#, "[256]", "[-1]", "7", "{}"] {
            assert_eq!(read(json), None, "{json}");
        }
        let zeros = serde_json::to_string(&GoBytes(vec![0; 32])).unwrap();
        assert_eq!(zeros, format!("\"{}=\"", "A".repeat(43)));
        let hex = |json: &str| {
            serde_json::from_str::<HexBytes>(json)
                .map(|bytes| bytes.0)
                .ok()
        };
        assert_eq!(hex(r#""0x""#), Some(vec![]));
        assert_eq!(hex(r#""0X0aFF""#), Some(vec![10, 255]));
        for json in [r#""0a""#, r#""0x1""#, r#""0xzz""#, "1", "null"] {
            assert_eq!(hex(json), None, "{json}");
        }
    }

    #[test]
    fn roots_and_heights_have_opposite_rules() {
        #[derive(Deserialize)]
        struct Root(#[serde(deserialize_with = "root")] B256);
        #[derive(Deserialize)]
        struct Height(#[serde(deserialize_with = "height")] u64);
        let digits = "5F".repeat(32);
        for prefix in ["", "0x", "0X"] {
            let json = format!("\"{prefix}{digits}\"");
            let Root(read) = serde_json::from_str(&json).unwrap();
            assert_eq!(read, B256::repeat_byte(0x5f), "{json}");
        }
        for json in [
            "\"0x5f\"".to_owned(),
            format!("\"0x{digits}00\""),
            "95".to_owned(),
        ] {
            assert!(serde_json::from_str::<Root>(&json).is_err(), "{json}");
        }
        let height = |json: &str| {
            serde_json::from_str::<Height>(json)
                .map(|height| height.0)
                .ok()
        };
        assert_eq!(height(r#""0x7d0""#), Some(2000));
        assert_eq!(height(r#""0x0""#), Some(0));
        assert_eq!(height("2000"), Some(2000));
        assert_eq!(height(r#""0xffffffffffffffff""#), Some(u64::MAX));
        for json in [
            r#""2000""#,
            r#""0x""#,
            r#""0x07d0""#,
            r#""0x+1""#,
            r#""0x10000000000000000""#,
            "-1",
            "1.5",
        ] {
            assert_eq!(height(json), None, "{json}");
        }
    }

    #[test]
    fn addresses_need_no_prefix() {
        let digits = "aE".repeat(20);
        for (text, expected) in [
            (format!("0x{digits}"), true),
            (format!("0X{digits}"), true),
            (digits.clone(), true),
            (format!("0x{}", &digits[1..]), false),
            (format!("0x{}g", &digits[1..]), false),
            (String::new(), false),
        ] {
            assert_eq!(is_address(&text), expected, "{text}");
        }
    }
}
