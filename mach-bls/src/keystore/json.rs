//! The JSON of the formats, and from there to values that are within bounds.

use alloy_primitives::hex;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    Kdf, KeyFileError,
    kdf::Function,
    sealed::{Family, Sealed},
};

/// Only what tells the formats apart.
#[derive(Deserialize)]
pub(super) struct Probe {
    #[serde(alias = "Crypto")]
    pub(super) crypto: ProbeCrypto,
}

#[derive(Deserialize)]
pub(super) struct ProbeCrypto {
    pub(super) kdf: ProbeKdf,
}

/// A name in V3, a module in EIP-2335.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ProbeKdf {
    Name(#[expect(dead_code, reason = "tells the formats apart")] String),
    Module(IgnoredAny),
}

/// geth's V3, and eigensdk's file, which has the same `crypto`.
#[derive(Serialize, Deserialize)]
pub(super) struct V3File {
    #[serde(rename = "pubKey", default, skip_serializing_if = "Option::is_none")]
    pub(super) public_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    #[serde(alias = "Crypto")]
    pub(super) crypto: V3Crypto,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct V3Crypto {
    cipher: String,
    ciphertext: String,
    cipherparams: CipherParams,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

/// EIP-2335, with the fields that say which curve.
#[derive(Serialize, Deserialize)]
pub(super) struct Eip2335File {
    pub(super) crypto: Eip2335Crypto,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) pubkey: String,
    #[serde(default)]
    pub(super) path: String,
    #[serde(default)]
    pub(super) uuid: String,
    #[serde(default)]
    pub(super) version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) curve: Option<String>,
    #[serde(rename = "curveType", default, skip_serializing_if = "Option::is_none")]
    pub(super) curve_type: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Eip2335Crypto {
    kdf: Module<KdfParams>,
    checksum: Module<NoParams>,
    cipher: Module<CipherParams>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Module<P> {
    function: String,
    params: P,
    #[serde(default)]
    message: String,
}

#[derive(Serialize, Deserialize)]
struct NoParams {}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Serialize, Deserialize)]
struct KdfParams {
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<u64>,
    dklen: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prf: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<u64>,
    salt: String,
}

const CIPHER: &str = "aes-128-ctr";
const PRF: &str = "hmac-sha256";
const SHA256: &str = "sha256";

/// Most bytes of a ciphertext: a key as text takes no more.
const MAX_CIPHERTEXT: usize = 128;

impl V3Crypto {
    pub(super) fn to_sealed(&self) -> Result<Sealed, KeyFileError> {
        expect("cipher", &self.cipher, CIPHER)?;
        let (kdf, salt) = self.kdfparams.to_kdf(&self.kdf)?;
        Ok(Sealed {
            family: Family::V3,
            kdf,
            salt,
            iv: exact("crypto.cipherparams.iv", &self.cipherparams.iv)?,
            ciphertext: bytes("crypto.ciphertext", &self.ciphertext, 1..=MAX_CIPHERTEXT)?,
            checksum: exact("crypto.mac", &self.mac)?,
        })
    }

    pub(super) fn from_sealed(sealed: &Sealed) -> Self {
        Self {
            cipher: CIPHER.to_owned(),
            ciphertext: hex::encode(&sealed.ciphertext),
            cipherparams: CipherParams {
                iv: hex::encode(sealed.iv),
            },
            kdf: sealed.kdf.name().to_owned(),
            kdfparams: KdfParams::from_kdf(&sealed.kdf, &sealed.salt),
            mac: hex::encode(sealed.checksum),
        }
    }
}

impl Eip2335Crypto {
    pub(super) fn to_sealed(&self) -> Result<Sealed, KeyFileError> {
        expect("cipher", &self.cipher.function, CIPHER)?;
        expect("checksum", &self.checksum.function, SHA256)?;
        let (kdf, salt) = self.kdf.params.to_kdf(&self.kdf.function)?;
        let ciphertext = &self.cipher.message;
        Ok(Sealed {
            family: Family::Eip2335,
            kdf,
            salt,
            iv: exact("crypto.cipher.params.iv", &self.cipher.params.iv)?,
            ciphertext: bytes("crypto.cipher.message", ciphertext, 1..=MAX_CIPHERTEXT)?,
            checksum: exact("crypto.checksum.message", &self.checksum.message)?,
        })
    }

    pub(super) fn from_sealed(sealed: &Sealed) -> Self {
        Self {
            kdf: Module {
                function: sealed.kdf.name().to_owned(),
                params: KdfParams::from_kdf(&sealed.kdf, &sealed.salt),
                message: String::new(),
            },
            checksum: Module {
                function: SHA256.to_owned(),
                params: NoParams {},
                message: hex::encode(sealed.checksum),
            },
            cipher: Module {
                function: CIPHER.to_owned(),
                params: CipherParams {
                    iv: hex::encode(sealed.iv),
                },
                message: hex::encode(&sealed.ciphertext),
            },
        }
    }
}

impl KdfParams {
    fn to_kdf(&self, function: &str) -> Result<(Kdf, Vec<u8>), KeyFileError> {
        let required = |field, value: Option<u64>| {
            value.ok_or(KeyFileError::Damaged {
                field,
                problem: "is missing",
            })
        };
        let kdf = match function {
            "scrypt" => Kdf::scrypt(
                required("n of scrypt", self.n)?,
                required("r of scrypt", self.r)?,
                required("p of scrypt", self.p)?,
            )?,
            "pbkdf2" => {
                let prf = self.prf.as_deref().ok_or(KeyFileError::Damaged {
                    field: "prf of pbkdf2",
                    problem: "is missing",
                })?;
                expect("prf of pbkdf2", prf, PRF)?;
                Kdf::pbkdf2(required("c of pbkdf2", self.c)?)?
            }
            other => return Err(unsupported("kdf", other)),
        };
        if self.dklen != 32 {
            return Err(KeyFileError::OutOfBounds {
                parameter: "dklen",
                value: self.dklen,
                allowed: "32",
            });
        }
        let salt = bytes("salt of the kdf", &self.salt, 16..=64)?;
        Ok((kdf, salt))
    }

    fn from_kdf(kdf: &Kdf, salt: &[u8]) -> Self {
        let mut params = Self {
            c: None,
            dklen: 32,
            n: None,
            p: None,
            prf: None,
            r: None,
            salt: hex::encode(salt),
        };
        match kdf.0 {
            Function::Scrypt { log_n, r, p } => {
                params.n = Some(1 << log_n);
                params.r = Some(r.into());
                params.p = Some(p.into());
            }
            Function::Pbkdf2 { rounds } => {
                params.c = Some(rounds.into());
                params.prf = Some(PRF.to_owned());
            }
        }
        params
    }
}

fn expect(what: &'static str, value: &str, supported: &str) -> Result<(), KeyFileError> {
    if value != supported {
        return Err(unsupported(what, value));
    }
    Ok(())
}

/// Names from a file are cut before they go into a message.
pub(super) fn unsupported(what: &'static str, value: &str) -> KeyFileError {
    let value = value.chars().take(40).flat_map(char::escape_debug);
    KeyFileError::Unsupported {
        what,
        value: value.collect(),
    }
}

/// Hexadecimal digits, with or without `0x`.
pub(super) fn bytes(
    field: &'static str,
    digits: &str,
    lengths: core::ops::RangeInclusive<usize>,
) -> Result<Vec<u8>, KeyFileError> {
    let bytes = hex::decode(digits).map_err(|_| KeyFileError::Damaged {
        field,
        problem: "is not hexadecimal",
    })?;
    if !lengths.contains(&bytes.len()) {
        return Err(KeyFileError::Damaged {
            field,
            problem: "has the wrong length",
        });
    }
    Ok(bytes)
}

fn exact<const N: usize>(field: &'static str, digits: &str) -> Result<[u8; N], KeyFileError> {
    bytes(field, digits, N..=N)?
        .try_into()
        .map_err(|_| KeyFileError::Damaged {
            field,
            problem: "has the wrong length",
        })
}
