//! Key files: what the tools of EigenLayer, Ethereum's validators and geth write, in and out.
//!
//! | [`Format`] | keys | who writes it | password |
//! |---|---|---|---|
//! | [`EigenSdk`](Format::EigenSdk) | BN254 | eigensdk-go, eigenlayer-cli, the original MACH | bytes as they are |
//! | [`Eip2335`](Format::Eip2335) | BN254, BLS12-381 | bn254-keystore-go, Cerberus, crypto-libs; validators' tools | text, normalized |
//! | [`Eip2335Text`](Format::Eip2335Text) | BN254 | eigensdk-rs: the key is encrypted as its decimal text | text, normalized |
//! | [`GethV3`](Format::GethV3) | ECDSA | geth, foundry, eigenlayer-cli | bytes as they are |
//!
//! [`KeyFile::parse`] reads any of them and says what is in it without the password. What a file
//! asks for is bounded before any work is done: its size, the cost of the key derivation
//! ([`Kdf`]), the lengths of salt and ciphertext.
//!
//! ```
//! use mach_bls::keystore::{Format, Kdf, KeyFile, KeyKind, Password, Secret};
//!
//! let secret = Secret::random(KeyKind::Bn254)?;
//! let password = Password::new("correct horse");
//! let file = KeyFile::encrypt(&secret, Format::EigenSdk, &password, Kdf::LIGHT)?;
//!
//! let read = KeyFile::parse(file.to_json().as_bytes())?;
//! assert_eq!(read.public(), Some(&secret.public()));
//! assert_eq!(read.decrypt(&password)?.public(), secret.public());
//! # Ok::<_, mach_bls::keystore::KeyFileError>(())
//! ```
//!
//! What the public key in an EIP-2335 file is depends on who wrote it: a point in G1 or in G2,
//! compressed or not. Each is accepted where it belongs to the key. Ours have the compressed point
//! in G1: with gnark's flags for BN254 (Cerberus), 48 bytes for BLS12-381 (the standard), whichever
//! group the key is used in. `Eip2335Text` has what rust-bls-bn254 puts there, which is computed
//! from the text's bytes instead of the number that they write.

mod derivation;
mod error;
mod file;
mod json;
mod kdf;
mod password;
mod public;
mod sealed;
mod secret;

use core::fmt;

use alloy_primitives::{Address, hex};
use ark_bn254::Fr;
use ark_ff::PrimeField;
use zeroize::Zeroizing;

pub use derivation::{DerivationError, DerivationPath, Language, Mnemonic};
pub use error::KeyFileError;
pub use file::Overwrite;
pub use kdf::Kdf;
pub use password::Password;
pub use public::PublicPart;
pub use secret::{Bls12381Key, EcdsaKey, KeyKind, Secret};

use json::{Eip2335Crypto, Eip2335File, Probe, ProbeKdf, V3Crypto, V3File, bytes, unsupported};
use sealed::{Family, Sealed, random};

/// Most bytes of a key file. Real ones have about 600.
pub const MAX_FILE_BYTES: usize = 16 * 1024;

/// How a key file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `{"pubKey":"E([X,Y])","crypto":…}` with geth's V3 `crypto`.
    EigenSdk,
    /// EIP-2335 with the key's 32 bytes.
    Eip2335,
    /// EIP-2335 with the key's decimal digits.
    Eip2335Text,
    /// geth's V3, also called Web3 Secret Storage.
    GethV3,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::EigenSdk,
        Self::Eip2335,
        Self::Eip2335Text,
        Self::GethV3,
    ];

    /// `eigensdk`, `eip2335`, `eip2335-text` or `geth-v3`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EigenSdk => "eigensdk",
            Self::Eip2335 => "eip2335",
            Self::Eip2335Text => "eip2335-text",
            Self::GethV3 => "geth-v3",
        }
    }

    /// Whether keys of this kind go into it.
    pub const fn holds(self, kind: KeyKind) -> bool {
        match self {
            Self::EigenSdk | Self::Eip2335Text => matches!(kind, KeyKind::Bn254),
            Self::Eip2335 => matches!(kind, KeyKind::Bn254 | KeyKind::Bls12381),
            Self::GethV3 => matches!(kind, KeyKind::Ecdsa),
        }
    }

    /// What most tools expect for keys of this kind.
    pub const fn usual(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Bn254 => Self::EigenSdk,
            KeyKind::Bls12381 => Self::Eip2335,
            KeyKind::Ecdsa => Self::GethV3,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A key file: a secret key, encrypted under a password.
#[derive(Clone, Debug)]
pub struct KeyFile {
    format: Format,
    kind: KeyKind,
    public: Option<PublicPart>,
    id: String,
    path: String,
    sealed: Sealed,
}

impl KeyFile {
    /// Reads a key file of any [`Format`], without the password.
    ///
    /// Errors: [`KeyFileError::TooLarge`], [`KeyFileError::Json`], [`KeyFileError::Damaged`],
    /// [`KeyFileError::Unsupported`], [`KeyFileError::OutOfBounds`].
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(KeyFileError::TooLarge(bytes.len() as u64));
        }
        let probe: Probe = serde_json::from_slice(bytes).map_err(KeyFileError::Json)?;
        match probe.crypto.kdf {
            ProbeKdf::Name(_) => Self::from_v3(serde_json::from_slice(bytes)),
            ProbeKdf::Module(_) => Self::from_eip2335(serde_json::from_slice(bytes)),
        }
    }

    /// Encrypts a key with a new salt.
    ///
    /// Errors: [`KeyFileError::WrongKind`], [`KeyFileError::PasswordNotUtf8`],
    /// [`KeyFileError::Randomness`].
    pub fn encrypt(
        secret: &Secret,
        format: Format,
        password: &Password,
        kdf: Kdf,
    ) -> Result<Self, KeyFileError> {
        let kind = secret.kind();
        if !format.holds(kind) {
            return Err(KeyFileError::WrongKind { format, kind });
        }
        let bytes = secret.to_bytes();
        let (family, plaintext) = match format {
            Format::EigenSdk | Format::GethV3 => (Family::V3, Zeroizing::new(bytes.to_vec())),
            Format::Eip2335 => (Family::Eip2335, Zeroizing::new(bytes.to_vec())),
            Format::Eip2335Text => (Family::Eip2335, secret::decimal(&bytes)),
        };
        let public = match format {
            Format::Eip2335Text => text_public(&plaintext)?,
            _ => secret.public(),
        };
        Ok(Self {
            format,
            kind,
            public: Some(public),
            id: uuid()?,
            path: String::new(),
            sealed: Sealed::seal(family, &plaintext, password, kdf)?,
        })
    }

    /// Notes how the key was derived, for formats that have a place for it (EIP-2335).
    pub fn with_path(mut self, path: &DerivationPath) -> Self {
        self.path = path.to_string();
        self
    }

    /// Decrypts the key and checks it against the public key that the file names.
    ///
    /// Takes as long as [`KeyFile::kdf`] says: call it where blocking is allowed.
    ///
    /// Errors: [`KeyFileError::WrongPassword`], [`KeyFileError::Mismatch`],
    /// [`KeyFileError::NoKey`], [`KeyFileError::PasswordNotUtf8`].
    pub fn decrypt(&self, password: &Password) -> Result<Secret, KeyFileError> {
        let plaintext = self.sealed.open(password)?;
        let (secret, is_named) = self.secret(&plaintext)?;
        match &self.public {
            Some(named) if !is_named => Err(KeyFileError::Mismatch {
                named: Box::new(named.clone()),
                computed: Box::new(secret.public()),
            }),
            _ => Ok(secret),
        }
    }

    /// How the file is laid out. Of EIP-2335's two variants the text is known by its length.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// What the key signs with.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whose key it is, as the file says; some tools leave it out.
    pub const fn public(&self) -> Option<&PublicPart> {
        self.public.as_ref()
    }

    /// What turns the password into the file's key, and at what cost.
    pub const fn kdf(&self) -> Kdf {
        self.sealed.kdf
    }

    /// The file's UUID; empty where there is none.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How the key was derived; empty where the file does not say.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file's content.
    pub fn to_json(&self) -> String {
        let public = self.public.as_ref();
        let json = match self.format {
            Format::EigenSdk | Format::GethV3 => {
                let is_geth = self.format == Format::GethV3;
                serde_json::to_string(&V3File {
                    public_key: match public {
                        Some(PublicPart::Bn254G1(point)) => Some(PublicPart::to_gnark_text(point)),
                        _ => None,
                    },
                    address: match public {
                        Some(PublicPart::Address(address)) => Some(hex::encode(address)),
                        _ => None,
                    },
                    crypto: V3Crypto::from_sealed(&self.sealed),
                    id: is_geth.then(|| self.id.clone()),
                    version: is_geth.then_some(3),
                })
            }
            Format::Eip2335 | Format::Eip2335Text => {
                // Validators' tools refuse fields that the standard does not have; eigensdk-rs
                // writes none either.
                let curve = (self.kind == KeyKind::Bn254 && self.format == Format::Eip2335)
                    .then(|| "bn254".to_owned());
                serde_json::to_string(&Eip2335File {
                    crypto: Eip2335Crypto::from_sealed(&self.sealed),
                    description: String::new(),
                    pubkey: hex::encode(public.map(PublicPart::to_eip2335).unwrap_or_default()),
                    path: self.path.clone(),
                    uuid: self.id.clone(),
                    version: 4,
                    curve: curve.clone(),
                    curve_type: curve,
                })
            }
        };
        // Strings and numbers only: nothing that JSON cannot say.
        json.unwrap_or_default()
    }

    fn from_v3(file: serde_json::Result<V3File>) -> Result<Self, KeyFileError> {
        let file = file.map_err(KeyFileError::Json)?;
        let sealed = file.crypto.to_sealed()?;
        if sealed.ciphertext.len() != 32 {
            return Err(KeyFileError::Damaged {
                field: "crypto.ciphertext",
                problem: "has the wrong length",
            });
        }
        let (format, kind, public) = match (&file.public_key, file.version) {
            (Some(key), _) => {
                let point = PublicPart::from_gnark_text(key).ok_or(KeyFileError::Damaged {
                    field: "pubKey",
                    problem: "is no point of BN254",
                })?;
                (Format::EigenSdk, KeyKind::Bn254, Some(point))
            }
            (None, Some(3)) => {
                let address = file
                    .address
                    .as_deref()
                    .filter(|address| !address.is_empty());
                let address = address
                    .map(|digits| bytes("address", digits, 20..=20))
                    .transpose()?
                    .map(|bytes| PublicPart::Address(Address::from_slice(&bytes)));
                (Format::GethV3, KeyKind::Ecdsa, address)
            }
            (None, Some(other)) => return Err(unsupported("version", &other.to_string())),
            (None, None) => {
                return Err(KeyFileError::Damaged {
                    field: "pubKey or version",
                    problem: "is missing",
                });
            }
        };
        Ok(Self {
            format,
            kind,
            public,
            id: short(file.id.unwrap_or_default()),
            path: String::new(),
            sealed,
        })
    }

    fn from_eip2335(file: serde_json::Result<Eip2335File>) -> Result<Self, KeyFileError> {
        let file = file.map_err(KeyFileError::Json)?;
        // Cerberus writes version 0.
        if !matches!(file.version, 0 | 4) {
            return Err(unsupported("version", &file.version.to_string()));
        }
        let sealed = file.crypto.to_sealed()?;
        let pubkey = bytes("pubkey", &file.pubkey, 0..=192)?;
        let curve = [&file.curve_type, &file.curve];
        let curve = curve.into_iter().flatten().find(|name| !name.is_empty());
        let kind = match (curve.map(String::as_str), pubkey.len()) {
            (Some("bn254"), _) | (None, 32 | 64 | 128) => KeyKind::Bn254,
            (Some("bls12-381" | "bls381"), _) | (None, _) => KeyKind::Bls12381,
            (Some(other), _) => return Err(unsupported("curve", other)),
        };
        let format = match (kind, sealed.ciphertext.len()) {
            (KeyKind::Bn254, 33..) => Format::Eip2335Text,
            (KeyKind::Bn254, _) | (_, 32) => Format::Eip2335,
            _ => {
                return Err(KeyFileError::Damaged {
                    field: "crypto.cipher.message",
                    problem: "has the wrong length",
                });
            }
        };
        let public = if pubkey.is_empty() {
            None
        } else {
            let point = PublicPart::from_eip2335(kind, pubkey);
            Some(point.ok_or(KeyFileError::Damaged {
                field: "pubkey",
                problem: "is no public key of the file's curve",
            })?)
        };
        Ok(Self {
            format,
            kind,
            public,
            id: short(file.uuid),
            path: short(file.path),
            sealed,
        })
    }

    /// The key in a decrypted text or number, and whether the file's public part is that of it.
    fn secret(&self, plaintext: &[u8]) -> Result<(Secret, bool), KeyFileError> {
        let names = |secret: &Secret| {
            let public = self.public.as_ref();
            public.is_none_or(|public| public.belongs_to(secret))
        };
        let no_key = KeyFileError::NoKey(self.kind);
        let is_eip2335 = self.sealed.family == Family::Eip2335;
        if is_eip2335 && self.kind == KeyKind::Bn254 {
            // No random key looks like this.
            if is_text(plaintext) {
                let number = secret::number(plaintext.trim_ascii()).ok_or(no_key)?;
                let secret = Secret::from_bytes(self.kind, &number)?;
                let is_named =
                    names(&secret) || self.public.as_ref() == Some(&text_public(plaintext)?);
                return Ok((secret, is_named));
            }
            // bn254-keystore-go writes numbers without leading zeros, and the keys that it derives
            // from mnemonics below the order of BLS12-381, which its readers then reduce.
            let number = padded(plaintext).ok_or(no_key)?;
            if let Ok(secret) = Secret::from_bytes(self.kind, &number) {
                let is_named = names(&secret);
                return Ok((secret, is_named));
            }
            let secret = reduced(&*number)?;
            return if self.public.is_some() && names(&secret) {
                Ok((secret, true))
            } else {
                Err(KeyFileError::NoKey(self.kind))
            };
        }
        let secret = Secret::from_bytes(self.kind, &*padded(plaintext).ok_or(no_key)?)?;
        let is_named = names(&secret);
        Ok((secret, is_named))
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

/// `pubkey` of a file with the key's text, as rust-bls-bn254 computes it: the text's bytes are
/// taken for the number.
fn text_public(text: &[u8]) -> Result<PublicPart, KeyFileError> {
    match reduced(text)? {
        Secret::Bn254(key) => {
            let point = key.public_key().g2_bytes();
            Ok(PublicPart::Encoded(public::ark_g2(&point)))
        }
        _ => Err(KeyFileError::NoKey(KeyKind::Bn254)),
    }
}

/// The key of BN254 that is this number modulo the group order.
fn reduced(number: &[u8]) -> Result<Secret, KeyFileError> {
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

/// What a file says of itself, cut to what is shown.
fn short(text: String) -> String {
    text.chars().take(128).filter(|c| !c.is_control()).collect()
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> Result<String, KeyFileError> {
    let mut bytes = random::<16>()?;
    let [.., _, _, version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    Ok(parts
        .map(|part| digits.get(part).unwrap_or_default())
        .join("-"))
}
