//! Key files and their passwords.

use std::path::Path;

use alloy_network::EthereumWallet;
use alloy_primitives::Address;
use alloy_signer_local::PrivateKeySigner;
use eyre::{WrapErr, bail};
use mach_bls::{
    bn254::SecretKey,
    keystore::{KeyFile, KeyFileError, KeyKind, Password, PublicPart, Secret},
};
use mach_core::G1Bytes;

use crate::password::{self, password_args};

use super::{
    args::{EcdsaArgs, WhoArgs},
    connect::read,
};

// The environment variables with passwords are those of the original's tools.
password_args!(
    BlsPasswordArgs,
    "bls-password-file",
    "MACH_BLS_PASSWORD_FILE",
    "OPERATOR_BLS_KEY_PASSWORD",
    "the BLS key file"
);
password_args!(
    EcdsaPasswordArgs,
    "ecdsa-password-file",
    "MACH_ECDSA_PASSWORD_FILE",
    "OPERATOR_ECDSA_KEY_PASSWORD",
    "the ECDSA key file"
);

/// What the key files say without their passwords.
pub(crate) struct Keys {
    /// Account of the operator.
    pub(crate) operator: Option<Address>,
    bls: Option<KeyFile>,
}

impl Keys {
    pub(crate) fn open(who: &WhoArgs) -> eyre::Result<Self> {
        let account = account(&who.ecdsa)?;
        Ok(Self {
            operator: who.operator.or(account),
            bls: match &who.bls_key {
                Some(path) => Some(open(path, KeyKind::Bn254)?),
                None => None,
            },
        })
    }

    /// Account of the operator, without which nothing can be sent for it.
    pub(crate) fn operator(&self) -> eyre::Result<Address> {
        self.operator.ok_or_else(unknown)
    }

    /// The public key that the BLS key file names.
    pub(crate) fn bls_key(&self) -> Option<G1Bytes> {
        match self.bls.as_ref()?.public()? {
            PublicPart::Bn254G1(point) => Some(*point),
            _ => None,
        }
    }
}

/// Account of the operator: `named`, or that of the key file.
pub(crate) fn operator(named: Option<Address>, args: &EcdsaArgs) -> eyre::Result<Address> {
    named.or(account(args)?).ok_or_else(unknown)
}

fn unknown() -> eyre::Report {
    eyre::eyre!(
        "whose account is it? give --operator, or an --ecdsa-key whose file names its account"
    )
}

/// The account of the ECDSA key file, as far as the file says it.
pub(crate) fn account(args: &EcdsaArgs) -> eyre::Result<Option<Address>> {
    let Some(path) = &args.ecdsa_key else {
        return Ok(None);
    };
    Ok(match open(path, KeyKind::Ecdsa)?.public() {
        Some(PublicPart::Address(address)) => Some(*address),
        _ => None,
    })
}

/// The signer of the ECDSA key file, whose password is asked for.
pub(crate) fn signer(args: &EcdsaArgs) -> eyre::Result<Option<PrivateKeySigner>> {
    let Some(path) = &args.ecdsa_key else {
        return Ok(None);
    };
    match unlock(path, KeyKind::Ecdsa, || args.password.read())? {
        Secret::Ecdsa(key) => Ok(Some(PrivateKeySigner::from_slice(
            key.to_bytes().as_slice(),
        )?)),
        _ => bail!("{} holds no ECDSA key", path.display()),
    }
}

/// A wallet with the key of the ECDSA key file.
pub(crate) fn wallet(args: &EcdsaArgs) -> eyre::Result<Option<EthereumWallet>> {
    Ok(signer(args)?.map(EthereumWallet::from))
}

/// The BLS key, whose password is asked for.
pub(crate) fn bls(path: &Path, password: &BlsPasswordArgs) -> eyre::Result<SecretKey> {
    match unlock(path, KeyKind::Bn254, || password.read())? {
        Secret::Bn254(key) => Ok(key),
        _ => bail!("{} holds no BN254 key", path.display()),
    }
}

/// The BLS key of a service. Its password is in the file, in the environment, or asked for.
pub(crate) fn bls_with(path: &Path, password_file: Option<&Path>) -> eyre::Result<SecretKey> {
    let variable = "OPERATOR_BLS_KEY_PASSWORD";
    let password = || password_of("the BLS key file", password_file, variable);
    match unlock(path, KeyKind::Bn254, password)? {
        Secret::Bn254(key) => Ok(key),
        _ => bail!("{} holds no BN254 key", path.display()),
    }
}

/// The account of a service that pays for transactions, likewise.
pub(crate) fn ecdsa_with(
    path: &Path,
    password_file: Option<&Path>,
) -> eyre::Result<PrivateKeySigner> {
    let variable = "OPERATOR_ECDSA_KEY_PASSWORD";
    let password = || password_of("the ECDSA key file", password_file, variable);
    match unlock(path, KeyKind::Ecdsa, password)? {
        Secret::Ecdsa(key) => Ok(PrivateKeySigner::from_slice(key.to_bytes().as_slice())?),
        _ => bail!("{} holds no ECDSA key", path.display()),
    }
}

fn password_of(what: &str, file: Option<&Path>, variable: &str) -> eyre::Result<Password> {
    match password::given(file, variable)? {
        Some(password) => Ok(password),
        None => password::prompt(what, "a password file in the configuration", variable),
    }
}

fn open(path: &Path, kind: KeyKind) -> eyre::Result<KeyFile> {
    let file = read(path)
        .and_then(|bytes| Ok(KeyFile::parse(&bytes)?))
        .wrap_err_with(|| format!("key file {}", path.display()))?;
    if file.kind() != kind {
        bail!(
            "{} holds a key of kind {}, not {}: give the other key file",
            path.display(),
            file.kind().name(),
            kind.name()
        );
    }
    Ok(file)
}

fn unlock(
    path: &Path,
    kind: KeyKind,
    password: impl FnOnce() -> eyre::Result<Password>,
) -> eyre::Result<Secret> {
    let file = open(path, kind)?;
    match file.decrypt(&password()?) {
        Err(KeyFileError::WrongPassword) => bail!(
            "the password does not open {}: check the password file or the environment",
            path.display()
        ),
        secret => secret.wrap_err_with(|| format!("key file {}", path.display())),
    }
}
