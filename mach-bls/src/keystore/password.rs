//! Passwords and what the formats make of them.

use core::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::KeyFileError;

/// A password: bytes, wiped from memory when dropped. May be empty.
///
/// `Debug` shows nothing of it. A trailing line break is part of it: whoever reads a password from
/// a file or a terminal takes it off.
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// The password with these bytes, which it takes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Whether it has no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes as they are, which is what geth's V3 format uses.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn as_text(&self) -> Result<&str, KeyFileError> {
        core::str::from_utf8(&self.0).map_err(|_| KeyFileError::PasswordNotUtf8)
    }

    /// NFKD without the control characters C0, C1 and Delete, as UTF-8.
    ///
    /// Source: EIP-2335, "Password requirements".
    pub(super) fn normalized(&self) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
        let text = self.as_text()?;
        let characters = || text.nfkd().filter(|character| !character.is_control());
        // Of the right size at once: a buffer that grows leaves copies behind.
        let length = characters().map(char::len_utf8).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        for character in characters() {
            let mut buffer = Zeroizing::new([0; 4]);
            bytes.extend_from_slice(character.encode_utf8(buffer.as_mut_slice()).as_bytes());
        }
        Ok(bytes)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    /// EIP-2335, "Test cases": the password of the published files and its encoding.
    #[test]
    fn the_password_of_the_standard_is_encoded_as_the_standard_says() {
        let password = Password::new("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑");
        assert_eq!(
            **password.normalized().unwrap(),
            hex!("7465737470617373776f7264f09f9491")
        );
    }

    #[test]
    fn control_characters_are_left_out_and_other_bytes_refused() {
        let normalized = |bytes: &[u8]| Password::new(bytes).normalized().map(|b| b.to_vec());
        assert_eq!(
            normalized("a\0b\n\u{7f}\u{85}c\t".as_bytes()).unwrap(),
            b"abc"
        );
        assert_eq!(normalized(b"").unwrap(), b"");
        assert!(matches!(
            normalized(&[0xff]),
            Err(KeyFileError::PasswordNotUtf8)
        ));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Password::new("hunter2")), "Password");
    }
}
