//! AES-128-CTR under a key from a password, with a checksum: the part that all formats share.

use aes::{
    Aes128,
    cipher::{KeyIvInit, StreamCipher},
};
use alloy_primitives::Keccak256;
use ctr::Ctr128BE;
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Kdf, KeyFileError, Password};

/// In what geth's V3 and EIP-2335 differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Password as it is, keccak256.
    V3,
    /// Password normalized, SHA-256.
    Eip2335,
}

/// An encrypted secret.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) family: Family,
    pub(super) kdf: Kdf,
    pub(super) salt: Vec<u8>,
    pub(super) iv: [u8; 16],
    pub(super) ciphertext: Vec<u8>,
    pub(super) checksum: [u8; 32],
}

impl Sealed {
    /// Encrypts with a new salt and a new initial counter.
    pub(super) fn seal(
        family: Family,
        secret: &[u8],
        password: &Password,
        kdf: Kdf,
    ) -> Result<Self, KeyFileError> {
        let (mut salt, mut iv) = (vec![0; 32], [0; 16]);
        fill(&mut salt)?;
        fill(&mut iv)?;
        let key = derive(family, &kdf, password, &salt)?;
        let mut ciphertext = secret.to_vec();
        apply(&key, &iv, &mut ciphertext);
        let checksum = checksum(family, &key, &ciphertext);
        Ok(Self {
            family,
            kdf,
            salt,
            iv,
            ciphertext,
            checksum,
        })
    }

    /// Decrypts. The checksum is the only witness of the password: a password that is wrong and a
    /// ciphertext, salt or checksum whose bits flipped are the same to it.
    pub(super) fn open(&self, password: &Password) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
        let key = derive(self.family, &self.kdf, password, &self.salt)?;
        if checksum(self.family, &key, &self.ciphertext) != self.checksum {
            return Err(KeyFileError::WrongPassword);
        }
        let mut secret = Zeroizing::new(self.ciphertext.clone());
        apply(&key, &self.iv, &mut secret);
        Ok(secret)
    }
}

/// Bytes from the operating system.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), KeyFileError> {
    let filled = OsRng.try_fill_bytes(bytes);
    filled.map_err(|_| KeyFileError::Randomness)
}

/// 32 bytes: the first half encrypts, the second is hashed with the ciphertext.
type Key = Zeroizing<[[u8; 16]; 2]>;

fn derive(
    family: Family,
    kdf: &Kdf,
    password: &Password,
    salt: &[u8],
) -> Result<Key, KeyFileError> {
    let mut key = Key::default();
    match family {
        Family::V3 => kdf.derive(password.as_bytes(), salt, key.as_flattened_mut())?,
        Family::Eip2335 => kdf.derive(&password.normalized()?, salt, key.as_flattened_mut())?,
    }
    Ok(key)
}

fn apply([key, _]: &[[u8; 16]; 2], iv: &[u8; 16], bytes: &mut [u8]) {
    Ctr128BE::<Aes128>::new(key.into(), iv.into()).apply_keystream(bytes);
}

fn checksum(family: Family, [_, key]: &[[u8; 16]; 2], ciphertext: &[u8]) -> [u8; 32] {
    match family {
        Family::V3 => {
            let mut hasher = Keccak256::new();
            hasher.update(key);
            hasher.update(ciphertext);
            hasher.finalize().0
        }
        Family::Eip2335 => Sha256::new()
            .chain_update(key)
            .chain_update(ciphertext)
            .finalize()
            .into(),
    }
}
