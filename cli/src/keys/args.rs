//! Flags of `mach-cli keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use mach_bls::keystore::{DerivationPath, Format, Kdf, KeyKind, Overwrite};

use crate::password::{PasswordArgs, password_args};

/// Make, read and convert key files
///
/// Secrets come from prompts, files or the environment, never from arguments: everybody on the
/// machine can read those. A file is replaced only with --force.
///
/// Examples:
///   mach-cli keys new operator.bls.json
///   mach-cli keys new --kind ecdsa --password-file password.txt operator.ecdsa.json
///   mach-cli keys new --mnemonic operator.bls.json          (shows 24 words, once)
///   mach-cli keys import --from key.txt operator.bls.json
///   mach-cli keys import --mnemonic --format eip2335 operator.bls.json
///   mach-cli keys inspect operator.bls.json
///   MACH_KEY_PASSWORD= mach-cli keys inspect test1.bls.key.json   (the empty password)
///   mach-cli keys export operator.bls.json --format eip2335 --out operator.eip2335.json
///   mach-cli keys list keys/ --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    New(NewArgs),
    Import(ImportArgs),
    Export(ExportArgs),
    List(ListArgs),
    Inspect(InspectArgs),
}

/// Make a new key and encrypt it into a file
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// File to write
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) key: KeyArgs,

    /// Derive the key from 24 new words, which are shown once
    #[arg(long, env = "MACH_KEY_WITH_MNEMONIC")]
    pub(crate) mnemonic: bool,

    #[command(flatten)]
    pub(crate) derivation: DerivationArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// Encrypt a key that exists already: digits or words from a prompt, a file or standard input
///
/// The digits are 64 hexadecimal ones, with or without 0x, or a decimal number; with --mnemonic it is
/// the words of BIP-39.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File to write
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) key: KeyArgs,

    /// File with the secret key or the words, `-` for standard input [default: a prompt, or
    /// standard input if that is no terminal]
    #[arg(long, env = "MACH_KEY_FROM", value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,

    /// Derive the key from words
    #[arg(long, env = "MACH_KEY_WITH_MNEMONIC")]
    pub(crate) mnemonic: bool,

    #[command(flatten)]
    pub(crate) derivation: DerivationArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// Convert a key file to another format or password, or show the secret key
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Key file to read
    pub(crate) file: PathBuf,

    /// File to write
    #[arg(
        long,
        env = "MACH_KEY_OUT",
        value_name = "FILE",
        required_unless_present = "reveal"
    )]
    pub(crate) out: Option<PathBuf>,

    /// Format of the new file [default: the usual one of the key's kind]
    #[arg(long, env = "MACH_KEY_FORMAT", conflicts_with = "reveal")]
    pub(crate) format: Option<FormatArg>,

    /// Print the secret key itself to standard output
    #[arg(long, conflicts_with = "out")]
    pub(crate) reveal: bool,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,

    #[command(flatten)]
    pub(crate) new_password: NewPasswordArgs,
}

/// Show the key files of a folder
///
/// Each is a line; files that are none are named after the table.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Folder
    #[arg(env = "MACH_KEYS", default_value = ".")]
    pub(crate) folder: PathBuf,

    /// One JSON object a file on standard output
    #[arg(long, env = "MACH_JSON")]
    pub(crate) json: bool,
}

/// Show what key files say, and with the password whether they open
///
/// If a password is given in a file or the environment, or with --open, each file is opened with it
/// and its keys are checked; exit code 2 if one does not open.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Key files
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Ask for the password if it is given nowhere
    #[arg(long, env = "MACH_KEY_OPEN")]
    pub(crate) open: bool,

    /// One JSON object a file on standard output
    #[arg(long, env = "MACH_JSON")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// Which key, in which file format.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// What the key signs with
    #[arg(long, env = "MACH_KEY_KIND", default_value = "bn254")]
    pub(crate) kind: KindArg,

    /// Format of the file [default: eigensdk for bn254, eip2335 for bls12-381, geth-v3 for ecdsa]
    #[arg(long, env = "MACH_KEY_FORMAT")]
    pub(crate) format: Option<FormatArg>,
}

/// Where in the tree of a mnemonic.
#[derive(Debug, Args)]
pub(crate) struct DerivationArgs {
    /// Path of the key [default: m/254/60/0/0 for bn254, m/12381/3600/0/0/0 for bls12-381]
    #[arg(long, env = "MACH_KEY_PATH", requires = "mnemonic")]
    pub(crate) path: Option<DerivationPath>,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// How the file is written.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// How a password becomes a key: the more it costs, the longer guessing takes
    #[arg(long, env = "MACH_KEY_KDF", default_value = "scrypt")]
    pub(crate) kdf: KdfArg,

    /// Replace the file if there is one
    #[arg(long, env = "MACH_KEY_FORCE")]
    pub(crate) force: bool,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    pub(crate) json: bool,
}

impl OutputArgs {
    pub(crate) const fn overwrite(&self) -> Overwrite {
        if self.force {
            Overwrite::Replace
        } else {
            Overwrite::Refuse
        }
    }
}

password_args!(
    NewPasswordArgs,
    "new-password-file",
    "MACH_NEW_KEY_PASSWORD_FILE",
    "MACH_NEW_KEY_PASSWORD",
    "the new file"
);

password_args!(
    PassphraseArgs,
    "passphrase-file",
    "MACH_KEY_PASSPHRASE_FILE",
    "MACH_KEY_PASSPHRASE",
    "the mnemonic"
);

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindArg {
    /// BLS on BN254: operators of EigenLayer
    Bn254,
    /// BLS on BLS12-381
    #[value(name = "bls12-381")]
    Bls12381,
    /// ECDSA on secp256k1: accounts
    Ecdsa,
}

impl From<KindArg> for KeyKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Bn254 => Self::Bn254,
            KindArg::Bls12381 => Self::Bls12381,
            KindArg::Ecdsa => Self::Ecdsa,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FormatArg {
    /// eigensdk-go, eigenlayer-cli (bn254)
    Eigensdk,
    /// EIP-2335: Cerberus (bn254), validators' tools (bls12-381)
    Eip2335,
    /// EIP-2335 with the key's decimal text, as eigensdk-rs has it (bn254)
    Eip2335Text,
    /// geth, foundry, eigenlayer-cli (ecdsa)
    GethV3,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Eigensdk => Self::EigenSdk,
            FormatArg::Eip2335 => Self::Eip2335,
            FormatArg::Eip2335Text => Self::Eip2335Text,
            FormatArg::GethV3 => Self::GethV3,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KdfArg {
    /// n 262144, r 8, p 1: 256 MiB and about a second
    Scrypt,
    /// 262144 rounds of HMAC-SHA256
    Pbkdf2,
    /// scrypt with n 4096, r 8, p 6: for keys that are worth little
    Light,
}

impl From<KdfArg> for Kdf {
    fn from(kdf: KdfArg) -> Self {
        match kdf {
            KdfArg::Scrypt => Self::STANDARD,
            KdfArg::Pbkdf2 => Self::PBKDF2,
            KdfArg::Light => Self::LIGHT,
        }
    }
}
