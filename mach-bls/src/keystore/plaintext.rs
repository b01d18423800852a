//! The key in what a file's decryption gives: a number in bytes, or its digits.

use ark_bn254::Fr;
use ark_ff::PrimeField;
use zeroize::Zeroizing;

use super::{
    KeyFile, KeyFileError, KeyKind, PublicPart, Secret,
    public::ark_g2,
    sealed::Family,
    secret::{from_decimal, number},
};

impl KeyFile {
    /// The key, and whether the file's public part is that of it.
    pub(super) fn secret(&self, plaintext: &[u8]) -> Result<(Secret, bool), KeyFileError> {
        let is_text = is_text(plaintext);
        let no_key = || KeyFileError::NoKey(self.kind);
        if self.sealed.family == Family::V3 || self.kind != KeyKind::Bn254 {
            let number = padded(plaintext).ok_or_else(no_key)?;
            let secret = Secret::from_bytes(self.kind, &number)?;
            let is_named = self.names(&secret);
            return Ok((secret, is_named));
        }
        // No random key looks like digits.
        let number = if is_text {
            text_number(plaintext.trim_ascii())
        } else {
            // bn254-keystore-go leaves out leading zeros.
            padded(plaintext)
        };
        let number = number.ok_or_else(no_key)?;
        let names = |secret: &Secret| {
            let text =
                || text_public(plaintext).is_ok_and(|text| self.public.as_ref() == Some(&text));
            self.names(secret) || is_text && text()
        };
        if let Ok(secret) = Secret::from_bytes(self.kind, &number) {
            let is_named = names(&secret);
            return Ok((secret, is_named));
        }
        // eigensdk-rs takes any number for a key and reduces it; so do the readers of
        // bn254-keystore-go's files, whose keys from mnemonics are below the order of BLS12-381.
        let secret = reduced(number.as_slice())?;
        if self.public.is_some() && names(&secret) {
            Ok((secret, true))
        } else {
            Err(no_key())
        }
    }

    fn names(&self, secret: &Secret) -> bool {
        let public = self.public.as_ref();
        public.is_none_or(|public| public.belongs_to(secret))
    }
}

/// Decimal digits, or hexadecimal ones after `0x`.
fn is_text(plaintext: &[u8]) -> bool {
    match plaintext.trim_ascii() {
        [] => false,
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits if digits.len() == 64 => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

/// Decimal where it can be, as eigensdk-rs reads it: 64 digits are hexadecimal only if one is a letter.
fn text_number(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    from_decimal(text).or_else(|| number(text))
}

/// `pubkey` of a file with the key's text, as rust-bls-bn254 computes it: the text's bytes are
/// taken for the number.
pub(super) fn text_public(text: &[u8]) -> Result<PublicPart, KeyFileError> {
    match reduced(text)? {
        Secret::Bn254(key) => {
            let point = key.public_key().g2_bytes();
            Ok(PublicPart::Encoded(ark_g2(&point)))
        }
        _ => Err(KeyFileError::NoKey(KeyKind::Bn254)),
    }
}

/// The key of BN254 that is this number modulo the group order.
pub(super) fn reduced(number: &[u8]) -> Result<Secret, KeyFileError> {
    let scalar = Zeroizing::new(Fr::from_be_bytes_mod_order(number));
    let mut bytes = Zeroizing::new([0; 32]);
    let (chunks, _) = bytes.as_chunks_mut();
    for (chunk, limb) in chunks.iter_mut().rev().zip(scalar.into_bigint().0) {
        *chunk = limb.to_be_bytes();
    }
    Secret::from_bytes(KeyKind::Bn254, &bytes)
}

fn padded(number: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    let start = bytes.len().checked_sub(number.len())?;
    bytes.get_mut(start..)?.copy_from_slice(number);
    Some(bytes)
}
