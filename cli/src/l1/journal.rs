//! Memory of what was sent, for the command after one that did not end well.

use std::path::{Path, PathBuf};

use alloy_network::{Ethereum, EthereumWallet, NetworkWallet};
use alloy_primitives::{Address, B256, Keccak256};
use clap::Args;
use eyre::{WrapErr, bail};
use mach_contracts_bindings::{FileLog, LogError, SubmitError, Submitter};
use rand::RngCore;
use serde_json::{Value, json};

use super::{connect::L1, connect::read, send::policy, step::Step};

/// Chains of tools for developers, which start over with the same number.
const FLEETING: [u64; 2] = [1337, 31_337];

#[derive(Clone, Debug, Args)]
pub(crate) struct JournalArgs {
    /// Where every transaction is on record before it is sent. The same command, run again after a
    /// crash, goes on with it instead of sending twice [default: mach/CHAIN-ACCOUNT.jsonl in
    /// $XDG_STATE_HOME or ~/.local/state; none on chains 1337 and 31337, which start over]
    #[arg(
        long,
        env = "MACH_JOURNAL",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub(crate) journal: Option<PathBuf>,
}

/// The submitter of an account, and what its last command left behind.
pub(crate) struct Journal {
    pub(crate) submitter: Submitter,
    unfinished: Option<PathBuf>,
}

impl Journal {
    /// Errors: the journal cannot be used, and what to do about it.
    pub(crate) async fn open(
        l1: &L1,
        wallet: EthereumWallet,
        args: &JournalArgs,
    ) -> eyre::Result<Self> {
        let account = NetworkWallet::<Ethereum>::default_signer_address(&wallet);
        let Some(path) = path(l1.chain_id, account, args)? else {
            let submitter = Submitter::connect(l1.provider.clone(), wallet, policy()).await;
            return Ok(Self {
                submitter: submitter.map_err(|error| l1.told(&error))?,
                unfinished: None,
            });
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .wrap_err_with(|| format!("folder of the --journal {}", path.display()))?;
        }
        let log = FileLog::open(&path).map_err(|error| advised(error, &path))?;
        let submitter = Submitter::resume(l1.provider.clone(), wallet, policy(), log).await;
        Ok(Self {
            submitter: submitter.map_err(|error| match error {
                SubmitError::Log(error) => advised(error, &path),
                error => l1.told(&error),
            })?,
            unfinished: Some(path.with_extension("unfinished")),
        })
    }

    /// What tells the transactions of this run from those of others; the run that did not end is gone
    /// on with if it was about the same steps.
    ///
    /// Errors: another command did not end. Its transactions are in blocks by then.
    pub(crate) async fn begin(&self, l1: &L1, steps: &[Step]) -> eyre::Result<Run> {
        let Some(path) = &self.unfinished else {
            return Ok(Run::new(steps));
        };
        let run = match Run::load(path)? {
            Some(run) if run.steps == key(steps) => return Ok(run),
            Some(other) => {
                self.settle(l1, &other).await?;
                std::fs::remove_file(path)?;
                bail!(
                    "an earlier command did not end; what it had sent is in a block now: look with \
                     mach-cli status what it did, then run this again"
                );
            }
            None => Run::new(steps),
        };
        std::fs::write(path, run.to_json().to_string())
            .wrap_err_with(|| format!("cannot write {}", path.display()))?;
        Ok(run)
    }

    /// Nothing of the run is under way any more.
    pub(crate) fn end(&self) -> eyre::Result<()> {
        match &self.unfinished {
            Some(path) => std::fs::remove_file(path)
                .wrap_err_with(|| format!("everything is sent; remove {}", path.display())),
            None => Ok(()),
        }
    }

    async fn settle(&self, l1: &L1, run: &Run) -> eyre::Result<()> {
        loop {
            self.submitter
                .tend()
                .await
                .map_err(|error| l1.told(&error))?;
            let mut waiting = false;
            for step in 0..run.count {
                waiting |= self.submitter.is_under_way(run.intent(step)).await;
            }
            if !waiting {
                return Ok(());
            }
            tokio::time::sleep(policy().poll_interval).await;
        }
    }
}

/// One command's steps, carried out once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    id: B256,
    steps: B256,
    count: usize,
}

impl Run {
    fn new(steps: &[Step]) -> Self {
        let mut id = B256::ZERO;
        rand::rng().fill_bytes(id.as_mut_slice());
        Self {
            id,
            steps: key(steps),
            count: steps.len(),
        }
    }

    /// What the transaction of a step is for.
    pub(crate) fn intent(&self, step: usize) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(self.id);
        hasher.update((step as u64).to_be_bytes());
        hasher.finalize()
    }

    fn load(path: &Path) -> eyre::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
        // It is written before anything is sent: what a crash tore is about nothing.
        Ok(serde_json::from_slice(&bytes)
            .ok()
            .and_then(|json| Self::from_json(&json)))
    }

    fn from_json(json: &Value) -> Option<Self> {
        let hash = |name: &str| json.get(name)?.as_str()?.parse().ok();
        let count = json.get("count")?.as_u64()?;
        Some(Self {
            id: hash("run")?,
            steps: hash("steps")?,
            // More than any command has.
            count: usize::try_from(count.min(1000)).ok()?,
        })
    }

    fn to_json(&self) -> Value {
        json!({ "run": self.id, "steps": self.steps, "count": self.count })
    }
}

fn key(steps: &[Step]) -> B256 {
    let mut hasher = Keccak256::new();
    for step in steps {
        hasher.update(step.to);
        hasher.update(step.value.to_be_bytes::<32>());
        hasher.update((step.calldata.len() as u64).to_be_bytes());
        hasher.update(&step.calldata);
    }
    hasher.finalize()
}

fn path(chain_id: u64, account: Address, args: &JournalArgs) -> eyre::Result<Option<PathBuf>> {
    if let Some(path) = &args.journal {
        return Ok(Some(path.clone()));
    }
    if FLEETING.contains(&chain_id) {
        return Ok(None);
    }
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = set("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    match state {
        Some(state) => Ok(Some(
            state
                .join("mach")
                .join(format!("{chain_id}-{account}.jsonl")),
        )),
        None => bail!("there is no home folder to keep a record of what is sent: give --journal"),
    }
}

fn advised(error: LogError, path: &Path) -> eyre::Report {
    let advice = match &error {
        LogError::InUse(_) => "another command of the account is running: wait for it",
        LogError::Account { .. } => "name another --journal",
        LogError::Damaged { .. } | LogError::Transaction { .. } => {
            "check that nothing of the account is under way, move the file away and run this again"
        }
        LogError::Full(_) => "move the file away once nothing of the account is under way",
        _ => "check that the file can be written, or name another --journal",
    };
    let path = path.display().to_string();
    eyre::Report::new(error).wrap_err(format!("journal {path} ({advice}); nothing was sent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_again_by_its_steps() {
        let step = |input: u8| Step {
            what: String::new(),
            to: Address::ZERO,
            value: alloy_primitives::U256::ZERO,
            calldata: vec![input].into(),
        };
        let run = Run::new(&[step(1), step(2)]);
        assert_eq!(Run::from_json(&run.to_json()), Some(run));
        let run = Run::new(&[step(1)]);
        assert_eq!(run.steps, key(&[step(1)]));
        assert_ne!(run.steps, key(&[step(2)]));
        assert_ne!(run.intent(0), run.intent(1));
        // The same steps, meant twice.
        assert_ne!(run.intent(0), Run::new(&[step(1)]).intent(0));
        assert_eq!(Run::from_json(&json!({ "run": 1 })), None);
    }
}
