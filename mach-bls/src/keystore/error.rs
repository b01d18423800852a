//! What can be wrong with a key file.

use super::{Format, KeyKind, PublicPart};

/// Why a key file gives no key, or is not written.
///
/// Nothing in it is secret.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The password is not the one that the file was encrypted with, or the encrypted part was
    /// altered: the checksum, which is all there is to go by, cannot tell the two apart.
    #[error("the password is wrong, or the encrypted part of the file was altered")]
    WrongPassword,
    /// The file is cut, not JSON, or lacks a field of the formats.
    #[error("the key file is damaged")]
    Json(#[source] serde_json::Error),
    /// A field does not hold what it must.
    #[error("the key file is damaged: {field} {problem}")]
    Damaged {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file is larger than any key file.
    #[error("{0} bytes are too many for a key file")]
    TooLarge(u64),
    /// The file uses an algorithm or a version that is not known here.
    #[error("{what} `{value}` is not supported")]
    Unsupported {
        /// Which part: `kdf`, `cipher`, `prf`, `checksum`, `version`, `curve`.
        what: &'static str,
        /// What the file asks for.
        value: String,
    },
    /// A cost that would take too long or too much memory, or protects nothing. No work was done.
    #[error("{parameter} is {value}, allowed is {allowed}")]
    OutOfBounds {
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        value: u64,
        /// What is accepted.
        allowed: &'static str,
    },
    /// The decrypted key has another public part than the file says.
    #[error("the file names the public key {named}, its secret key belongs to {computed}")]
    Mismatch {
        /// What the file says.
        named: Box<PublicPart>,
        /// What the key says.
        computed: Box<PublicPart>,
    },
    /// Not a secret key of this kind: no number, zero, or not below the group order.
    #[error("not a secret key of {0}")]
    NoKey(KeyKind),
    /// EIP-2335 defines passwords as text.
    #[error("the password is not UTF-8, which this format needs")]
    PasswordNotUtf8,
    /// The format is for other keys.
    #[error("the format {format} does not hold keys of {kind}")]
    WrongKind {
        /// The format asked for.
        format: Format,
        /// The key's kind.
        kind: KeyKind,
    },
    /// The operating system gave no random numbers.
    #[error("no random numbers from the operating system")]
    Randomness,
    /// There is a file already, and nobody asked to replace it.
    #[error("{} exists already", .0.display())]
    Exists(std::path::PathBuf),
    /// The file could not be read or written.
    #[error("{}", path.display())]
    Io {
        /// Which file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
