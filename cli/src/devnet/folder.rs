//! What the other commands need to work on the devnet: a deployment file and the keys of an operator that
//! may join.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_network::EthereumWallet;
use alloy_primitives::{ChainId, keccak256};
use eyre::{ContextCompat, WrapErr};
use mach_bls::bn254::SecretKey;
use mach_bls::keystore::{Format, Kdf, KeyFile, KeyKind, Password, Secret};
use mach_contracts_bindings::{Admission, DeploymentFile, SubmitPolicy, Submitter, admit};
use mach_core::Stake;
use mach_devnet::{DEV_ACCOUNTS, DevAccount, DevnetConfig, stack::Stack};

/// File with the password of every key file.
pub(super) const PASSWORD_FILE: &str = "password.txt";
/// Opens every key file of the devnet: all of their keys are public anyway.
const PASSWORD: &str = "devnet";
/// Where the backfill that is to be pasted keeps what is done.
const CHECKPOINT: &str = "backfill.redb";
/// Stake of the operator that may join: little, so that the others can go on without it.
const STAKE: u128 = 5;

/// The folder; one of its own is gone when this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    pub(super) urls: Urls,
    _temporary: Option<tempfile::TempDir>,
}

/// Where the parts of the devnet are reached.
pub(super) struct Urls {
    /// The L1 that mach's contracts are on.
    pub(super) contracts: String,
    /// The L1 that the rollup follows, if it is served.
    pub(super) l1: Option<String>,
    /// The rollup.
    pub(super) l2: String,
}

impl Folder {
    /// Lets one more operator join, and writes its keys and the deployment into `path`, or into a new
    /// folder among the system's temporary ones.
    pub(super) async fn write(
        path: Option<&Path>,
        stack: &Stack,
        config: &DevnetConfig,
        urls: Urls,
    ) -> eyre::Result<Self> {
        let owner = DEV_ACCOUNTS.first().wrap_err("there is an owner")?;
        // The first account is the owner's, then come those of the operators that run.
        let spare = DEV_ACCOUNTS
            .get(stack.operators().len() + 1)
            .wrap_err("there is no account for one more operator")?;
        let submitter = Submitter::connect(
            stack.l1().clone(),
            EthereumWallet::from(owner.signer()),
            SubmitPolicy {
                poll_interval: Duration::from_millis(5),
                ..SubmitPolicy::default()
            },
        )
        .await?;
        let admission = Admission {
            address: spare.address,
            stakes: vec![(0, Stake::new(STAKE)?)],
        };
        admit(&submitter, stack.deployment(), &[admission]).await?;

        let (path, temporary) = match path {
            Some(path) => {
                fs::create_dir_all(path)?;
                (std::path::absolute(path)?, None)
            }
            None => {
                let folder = tempfile::Builder::new().prefix("mach-devnet-").tempdir()?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let folder = Self {
            path,
            urls,
            _temporary: temporary,
        };
        // It is of the blocks of an earlier devnet.
        match fs::remove_file(folder.path.join(CHECKPOINT)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).wrap_err(CHECKPOINT);
            }
            _ => {}
        }
        let deployment = DeploymentFile::from(stack.deployment());
        folder.put("deployment.json", &deployment.to_json())?;
        folder.put(PASSWORD_FILE, PASSWORD)?;
        folder.put("operator.ecdsa.json", &account_file(spare)?)?;
        folder.put("operator.bls.json", &bls_file(spare)?)?;
        folder.put("owner.ecdsa.json", &account_file(owner)?)?;
        let rollup = &stack.devnet().rollup().config;
        folder.put("rollup.json", &serde_json::to_string_pretty(rollup)?)?;
        let genesis = config.l2_genesis();
        folder.put("genesis.json", &serde_json::to_string_pretty(&genesis)?)?;
        folder.put("env.sh", &folder.environment())?;
        Ok(folder)
    }

    /// Where a file of this name is.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where services keep what they must not forget.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Where the log of a service goes.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(name).with_extension("log")
    }

    /// Removes what services of an earlier devnet remember: it is of other blocks.
    pub(super) fn forget_services(&self) -> eyre::Result<()> {
        match fs::remove_dir_all(self.data()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).wrap_err("data");
            }
            _ => {}
        }
        fs::create_dir_all(self.path.join("logs")).wrap_err("logs")
    }

    pub(super) fn put_account(&self, name: &str, account: &DevAccount) -> eyre::Result<()> {
        self.put(name, &account_file(account)?)
    }

    pub(super) fn put_bls(&self, name: &str, key: SecretKey) -> eyre::Result<()> {
        self.put(name, &key_file(&Secret::Bn254(key))?)
    }

    pub(super) fn put(&self, name: &str, content: &str) -> eyre::Result<()> {
        let path = self.path.join(name);
        fs::write(&path, content).wrap_err_with(|| format!("cannot write {}", path.display()))
    }

    /// Every flag that the commands need, as its environment twin.
    fn environment(&self) -> String {
        let file = |name: &str| self.path.join(name).display().to_string();
        [
            ("MACH_L1_RPC", self.urls.contracts.clone()),
            ("MACH_DEPLOYMENT", file("deployment.json")),
            ("MACH_ECDSA_KEY", file("operator.ecdsa.json")),
            ("MACH_ECDSA_PASSWORD_FILE", file("password.txt")),
            ("MACH_BLS_KEY", file("operator.bls.json")),
            ("MACH_BLS_PASSWORD_FILE", file("password.txt")),
        ]
        .iter()
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect()
    }

    /// Where bundles of invalid blocks go.
    pub(super) fn evidence(&self) -> PathBuf {
        self.path.join("evidence")
    }

    /// What to paste into another terminal, with the rollup's first `blocks`.
    pub(super) fn told(&self, blocks: u64) -> String {
        let path = self.path.display();
        let Urls { l1, l2, .. } = &self.urls;
        let derive = l1.as_ref().map_or(String::new(), |l1| {
            format!(
                "  mach-cli derive --l1 {l1} --beacon {l1} --l2 {l2} --rollup-config '{path}/rollup.json' --blocks 1..={blocks}\n"
            )
        });
        format!(
            "folder           {path}\n\
             evidence         {path}/evidence, once a block is invalid: mach-cli verify FILE\n\n\
             to verify the rollup, in another terminal:\n  \
               mach-cli verify --rpc {l2} --blocks 1..={blocks}\n{derive}  \
               mach-cli backfill --rpc {l2} --blocks 1..={blocks} --checkpoint '{path}/{CHECKPOINT}'\n  \
               mach-cli follow --rpc {l2} --from 1      # until Ctrl-C\n\n\
             one more operator may join; in another terminal:\n  \
               . '{path}/env.sh'\n  \
               mach-cli doctor\n  \
               mach-cli opt-in           # shows what it would send\n  \
               mach-cli opt-in --yes\n  \
               mach-cli status\n  \
               mach-cli opt-out --yes\n  \
               mach-cli admin allowlist disable --ecdsa-key '{path}/owner.ecdsa.json'\n"
        )
    }

    /// What to paste to look at what services did, and to check it for block `number` of `rollup`.
    pub(super) fn told_of_services(&self, api: &str, rollup: ChainId, number: u64) -> String {
        let path = self.path.display();
        format!(
            "to see what the services say, in another terminal:\n  \
               mach-cli top --config '{path}/aggregator.toml'\n  \
               curl -so '{path}/certificate.json' {api}/v1/rollups/{rollup}/certificates/{number}\n  \
               mach-cli certificate verify '{path}/certificate.json' --config '{path}/aggregator.toml'\n"
        )
    }
}

fn account_file(account: &DevAccount) -> eyre::Result<String> {
    let secret = Secret::from_bytes(KeyKind::Ecdsa, &account.key.0)?;
    key_file(&secret)
}

/// The BLS key of an account's operator, the same on every devnet.
fn bls_file(account: &DevAccount) -> eyre::Result<String> {
    let mut seed = keccak256(format!("mach devnet spare operator {}", account.address));
    // Below the order of the curve.
    seed.0[0] &= 0x0f;
    key_file(&Secret::from_bytes(KeyKind::Bn254, &seed.0)?)
}

fn key_file(secret: &Secret) -> eyre::Result<String> {
    let format = Format::usual(secret.kind());
    let file = KeyFile::encrypt(secret, format, &Password::new(PASSWORD), Kdf::LIGHT)?;
    Ok(file.to_json())
}
