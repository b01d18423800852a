//! Many byte strings in one buffer.

use core::fmt;

use alloy_primitives::{Bytes, hex};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

use super::bounded::MAX_ITEMS;

/// Strings of hex digits as they are read, each appended to one buffer.
///
/// A witness is thousands of them: this way they take one allocation, lie next to each other, and
/// count their users in one place. Each keeps the whole buffer, so what is to outlive the others has
/// to be copied. There are at most [`MAX_ITEMS`].
#[derive(Debug, Default)]
pub(super) struct Packed {
    buffer: Vec<u8>,
    ends: Vec<usize>,
}

impl Packed {
    /// All of them, in order.
    pub(super) fn into_items(self) -> Vec<Bytes> {
        let buffer = Bytes::from(self.buffer);
        let mut start = 0;
        (self.ends.into_iter())
            .map(|end| buffer.slice(core::mem::replace(&mut start, end)..end))
            .collect()
    }
}

/// Reads one string more.
impl<'de> DeserializeSeed<'de> for &mut Packed {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut Packed {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of hex digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.ends.len() == MAX_ITEMS {
            return Err(E::custom(format_args!("more than {MAX_ITEMS} items")));
        }
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let start = self.buffer.len();
        self.buffer.resize(start + digits.len() / 2, 0);
        let room = self.buffer.get_mut(start..).unwrap_or_default();
        hex::decode_to_slice(digits, room).map_err(E::custom)?;
        self.ends.push(self.buffer.len());
        Ok(())
    }
}

/// Reads a whole list.
impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Packed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings of hex digits")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Packed, A::Error> {
                let mut packed = Packed::default();
                while list.next_element_seed(&mut packed)?.is_some() {}
                Ok(packed)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strings_are_those_of_the_usual_type() {
        for json in [
            "[]",
            r#"["0x"]"#,
            r#"["0x", "0x00", "", "ff", "0xAbCd"]"#,
            r#"["\u0030x12"]"#,
        ] {
            let usual: Vec<Bytes> = serde_json::from_str(json).unwrap();
            let packed: Packed = serde_json::from_str(json).unwrap();
            assert_eq!(packed.into_items(), usual);
        }
        for json in [
            r#"["0x1"]"#,
            r#"["0xgg"]"#,
            r#"["0x0x12"]"#,
            "[1]",
            "{}",
            r#"["0x12""#,
        ] {
            assert!(serde_json::from_str::<Vec<Bytes>>(json).is_err(), "{json}");
            assert!(serde_json::from_str::<Packed>(json).is_err(), "{json}");
        }
        let many = format!("[{}]", vec![r#""""#; MAX_ITEMS + 1].join(","));
        let error = serde_json::from_str::<Packed>(&many).unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
    }
}
