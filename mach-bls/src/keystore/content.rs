//! From a file's content to a [`KeyFile`] and back.

use alloy_primitives::{Address, hex};

use super::{
    Format, KeyFile, KeyFileError, KeyKind, MAX_FILE_BYTES, PublicPart,
    json::{Eip2335Crypto, Eip2335File, Probe, ProbeKdf, V3Crypto, V3File, bytes, unsupported},
};

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
                let is_bn254 = self.kind == KeyKind::Bn254;
                let is_said = self.format == Format::Eip2335 || public.is_none();
                let curve = (is_bn254 && is_said).then(|| "bn254".to_owned());
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
            // Where the format has no place for it, it would not be written again.
            id: match format {
                Format::GethV3 => short(file.id.unwrap_or_default()),
                _ => String::new(),
            },
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
}

/// What a file says of itself, cut to what is shown.
fn short(text: String) -> String {
    text.chars().take(128).filter(|c| !c.is_control()).collect()
}
