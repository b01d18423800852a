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

mod content;
mod derivation;
mod error;
mod file;
mod json;
mod kdf;
mod password;
mod plaintext;
mod public;
mod sealed;
mod secret;

use core::fmt;

use alloy_primitives::hex;
use zeroize::Zeroizing;

pub use derivation::{DerivationError, DerivationPath, Language, Mnemonic};
pub use error::KeyFileError;
pub use file::Overwrite;
pub use kdf::Kdf;
pub use password::Password;
pub use public::{PublicPart, compressed_g1, compressed_g2};
pub use secret::{EcdsaKey, KeyKind, Secret};

use sealed::{Family, Sealed, fill};

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
            Format::Eip2335Text => plaintext::text_public(&plaintext)?,
            _ => secret.public(),
        };
        Ok(Self {
            format,
            kind,
            public: Some(public),
            id: match format {
                Format::EigenSdk => String::new(),
                _ => uuid()?,
            },
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

    /// The file's UUID; empty where there is none, as in eigensdk's format.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How the key was derived; empty where the file does not say.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> Result<String, KeyFileError> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    let [.., _, _, version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    Ok(parts
        .map(|part| digits.get(part).unwrap_or_default())
        .join("-"))
}
