//! One configuration file for every service: flags beat the environment, the environment beats the
//! file, the file beats the defaults.

mod breaker;
mod import;
mod layers;
mod schema;
mod show;
mod value;

use std::path::{Path, PathBuf};

use clap::Args;

pub(crate) use breaker::breaker_from_file;
pub(crate) use import::import;
pub(crate) use layers::Loaded;
#[cfg(test)]
pub(crate) use layers::keys_of_schema;
pub(crate) use schema::{Aggregator, Config, Head, L1, Log, LogFormat, Rollup, Start, Zk};
pub(crate) use show::{to_json, to_toml};
pub(crate) use value::{Endpoint, Ether, Size, Span};

/// Longest configuration file, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Where the configuration comes from.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file; `mach-cli init` writes one
    #[arg(
        long,
        env = "MACH_CONFIG",
        value_name = "FILE",
        default_value = "mach.toml"
    )]
    pub(crate) config: PathBuf,

    /// Sets one value: `--set l1.rpc=http://localhost:8545`, `--set rollup.10.start=120`; the
    /// environment twins are MACH_L1_RPC and MACH_ROLLUP_10_START
    #[arg(
        long,
        env = "MACH_SET",
        value_name = "KEY=VALUE",
        hide_env_values = true
    )]
    pub(crate) set: Vec<String>,
}

/// The configuration of a file that a command works without, too.
///
/// Errors: those of [`ConfigArgs::load`].
pub(crate) fn load(file: &Path) -> eyre::Result<Config> {
    let args = ConfigArgs {
        config: file.to_owned(),
        set: Vec::new(),
    };
    Ok(args.load()?.config)
}

impl ConfigArgs {
    /// All layers, merged and checked.
    ///
    /// Errors: names the key, where it was set, and for the file the line.
    pub(crate) fn load(&self) -> eyre::Result<Loaded> {
        Loaded::read(&self.config, &self.set, |name| std::env::var(name).ok())
    }
}

/// A file that is named in the configuration file is looked for beside it.
fn beside(file: &Path, path: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) => folder.join(path),
        None => path.to_owned(),
    }
}
