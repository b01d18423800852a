//! Kinds of values.

use std::{fmt, str::FromStr, time::Duration};

use alloy_primitives::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use crate::nodes::shown;

/// The URL of a node or service. Keys may stand in it: it is shown without user, password, path and
/// query.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(pub(crate) Url);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // What cannot be read may be a key: it stands in no error.
        let url =
            Url::parse(&text).map_err(|error| de::Error::custom(format!("no URL: {error}")))?;
        if url.host_str().is_none() {
            return Err(de::Error::custom("no URL of a server"));
        }
        Ok(Self(url))
    }
}

/// A list, also written as one value or, in the environment, with commas between them.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        Many(Vec<String>),
    }

    let texts = match Given::deserialize(deserializer)? {
        Given::One(text) => text.split(',').map(|it| it.trim().to_owned()).collect(),
        Given::Many(texts) => texts,
    };
    let values = texts.into_iter().filter(|text| !text.is_empty());
    values
        .map(|text| T::deserialize(de::value::StringDeserializer::new(text)))
        .collect()
}

/// An amount of memory: `5GiB`, `512MB`, or a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let unit = units
            .into_iter()
            .find(|(_, size)| self.0.is_multiple_of(*size));
        match unit {
            Some((unit, size)) => serializer.collect_str(&format_args!("{}{unit}", self.0 / size)),
            None => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::prove::bytes(&text)
            .map(Self)
            .map_err(de::Error::custom)
    }
}

/// An amount of ether: `0.5 ether`, `30 gwei`, or a number of wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ether(pub(crate) U256);

/// Decimals of each unit, the largest first.
const ETHER_UNITS: [(&str, usize); 3] = [("ether", 18), ("gwei", 9), ("wei", 0)];

impl fmt::Display for Ether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = ETHER_UNITS.into_iter().find_map(|(unit, decimals)| {
            let scale = U256::from(10).pow(U256::from(decimals));
            (self.0 % scale).is_zero().then(|| (self.0 / scale, unit))
        });
        let (count, unit) = scaled.unwrap_or((self.0, "wei"));
        write!(f, "{count} {unit}")
    }
}

impl FromStr for Ether {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "no amount such as 0.5 ether, 30 gwei, or a number of wei";
        let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
        let unit = match text.get(digits.len()..).unwrap_or_default() {
            "" => "wei",
            unit => unit,
        };
        let (_, decimals) =
            (ETHER_UNITS.into_iter().find(|(name, _)| *name == unit)).ok_or(WRONG)?;
        let digits = digits.trim_end();
        let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let wei = part.trim_end_matches('0');
        // What the unit cannot say would be cut off.
        if !is_number(whole) || !is_number(part) || wei.len() > decimals {
            return Err(WRONG);
        }
        let digits = format!("{whole}{wei:0<decimals$}");
        U256::from_str_radix(&digits, 10)
            .map(Self)
            .map_err(|_| WRONG)
    }
}

impl Serialize for Ether {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ether {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// A span of time: `500ms`, `12s`, `5m`, `1h`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// Milliseconds of each unit, the longest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, length) = (UNITS.into_iter())
            .find(|(_, length)| milliseconds >= *length && milliseconds.is_multiple_of(*length))
            .unwrap_or(("ms", 1));
        write!(f, "{}{unit}", milliseconds / length)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "no span of time such as 500ms, 12s, 5m or 1h";
        let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
        let unit = text.get(digits.len()..).unwrap_or_default();
        let length = UNITS.iter().find(|(name, _)| *name == unit).ok_or(WRONG)?.1;
        let count: u64 = digits.parse().map_err(|_| WRONG)?;
        let milliseconds = count.checked_mul(length).ok_or(WRONG)?;
        Ok(Self(Duration::from_millis(milliseconds)))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_and_written_with_its_unit() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("12s", 12_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(milliseconds));
            assert_eq!(span.to_string(), text);
        }
        for wrong in ["", "12", "s", "-1s", "1.5s", "1 s", "99999999999999999d"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_amount_is_read_and_written_with_its_unit() {
        for (text, wei, shown) in [
            ("1 ether", 1_000_000_000_000_000_000_u64, "1 ether"),
            ("0.5 ether", 500_000_000_000_000_000, "500000000 gwei"),
            ("30gwei", 30_000_000_000, "30 gwei"),
            ("1.50 gwei", 1_500_000_000, "1500000000 wei"),
            ("1000000007", 1_000_000_007, "1000000007 wei"),
            ("7.0", 7, "7 wei"),
            ("0", 0, "0 ether"),
        ] {
            let amount: Ether = text.parse().unwrap();
            assert_eq!(amount.0, U256::from(wei), "{text}");
            assert_eq!(amount.to_string(), shown);
            assert_eq!(shown.parse::<Ether>().unwrap(), amount);
        }
        let most = U256::MAX.to_string();
        for wrong in [
            "",
            "ether",
            "-1 ether",
            "1.5",
            "0.0000000001 gwei",
            "1 eth",
            "1e18",
            ". ether",
            "0x10",
            &format!("{most}0"),
            &format!("{most} ether"),
        ] {
            assert!(wrong.parse::<Ether>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_endpoint_keeps_its_key() {
        let endpoint: Endpoint =
            serde_json::from_str(r#""https://u:p@node.example/v2/key""#).unwrap();
        assert_eq!(endpoint.0.as_str(), "https://u:p@node.example/v2/key");
        for told in [
            endpoint.to_string(),
            format!("{endpoint:?}"),
            serde_json::to_string(&endpoint).unwrap().replace('"', ""),
        ] {
            assert_eq!(told, "https://node.example");
        }
        let error = serde_json::from_str::<Endpoint>(r#""my-secret""#).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
