//! What is shown of a key file: lines for people, JSON for scripts.

use std::path::Path;

use alloy_primitives::hex;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use mach_bls::keystore::{
    Format, KeyFile, KeyFileError, PublicPart, Secret, compressed_g1, compressed_g2,
};
use serde_json::{Map, Value};

/// Names and values in the order in which they are shown.
pub(super) struct Description(Vec<(&'static str, String)>);

impl Description {
    /// What the file says of itself.
    pub(super) fn of(path: &Path, file: &KeyFile) -> Self {
        let mut lines = Self(Vec::new());
        lines.add("file", path.display());
        lines.add("format", file.format());
        lines.add("kind", file.kind());
        lines.add("kdf", file.kdf());
        if !file.id().is_empty() {
            lines.add("uuid", file.id());
        }
        if !file.path().is_empty() {
            lines.add("path", file.path());
        }
        // In that format it is computed from the digits' bytes, and belongs to no key of anybody's.
        let public = file
            .public()
            .filter(|_| file.format() != Format::Eip2335Text);
        match public {
            Some(PublicPart::Address(address)) => lines.add("address", address),
            Some(public) => lines.add("publicKey", public),
            None => {}
        }
        if let Some(operator) = public.and_then(PublicPart::operator_id) {
            lines.add("operatorId", operator);
        }
        lines
    }

    /// What is known once the file is open.
    pub(super) fn with_secret(mut self, secret: &Secret) -> Self {
        self.0
            .retain(|(name, _)| !matches!(*name, "publicKey" | "operatorId" | "address"));
        match secret {
            Secret::Bn254(key) => {
                let key = key.public_key();
                self.add("g1", key.g1_bytes().0);
                self.add("g2", key.g2_bytes().0);
                self.add("operatorId", key.operator_id());
            }
            Secret::Bls12381(key) => {
                self.add("g1", hex::encode_prefixed(compressed_g1(key)));
                self.add("g2", hex::encode_prefixed(compressed_g2(key)));
                self.add("operatorId", key.public_key().operator_id());
            }
            Secret::Ecdsa(key) => self.add("address", key.address()),
        }
        self
    }

    pub(super) fn add(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.0.push((name, value.to_string()));
    }

    pub(super) fn to_json(&self) -> Map<String, Value> {
        let pairs = self.0.iter();
        pairs
            .map(|(name, value)| {
                let value = match *name {
                    "opens" => true.into(),
                    _ => value.clone().into(),
                };
                ((*name).to_owned(), value)
            })
            .collect()
    }
}

/// Names in one column, values in the other.
impl std::fmt::Display for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let name = match *name {
                "publicKey" => "public key",
                "g1" => "key in G1",
                "g2" => "key in G2",
                "operatorId" => "operator id",
                name => name,
            };
            let end = if index + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "{name:<12} {value}{end}")?;
        }
        Ok(())
    }
}

/// The key files of a folder.
pub(super) fn table(files: &[(String, KeyFile)]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header([
        "file",
        "format",
        "kind",
        "operator id, address or public key",
    ]);
    for (name, file) in files {
        let public = file
            .public()
            .filter(|_| file.format() != Format::Eip2335Text);
        let id = public.map(|public| match public.operator_id() {
            Some(operator) => operator.to_string(),
            None => public.to_string(),
        });
        table.add_row([
            name.clone(),
            file.format().to_string(),
            file.kind().to_string(),
            id.unwrap_or_else(|| "not said".to_owned()),
        ]);
    }
    table
}

/// One word for scripts: which of the errors it is.
pub(super) const fn error_name(error: &KeyFileError) -> &'static str {
    match error {
        KeyFileError::WrongPassword => "wrongPassword",
        KeyFileError::Json(_) | KeyFileError::Damaged { .. } | KeyFileError::TooLarge(_) => {
            "damaged"
        }
        KeyFileError::Unsupported { .. } => "unsupported",
        KeyFileError::OutOfBounds { .. } => "outOfBounds",
        KeyFileError::Mismatch { .. } => "mismatch",
        KeyFileError::NoKey(_) => "noKey",
        KeyFileError::PasswordNotUtf8 => "passwordNotUtf8",
        KeyFileError::Io { .. } => "io",
        _ => "other",
    }
}
