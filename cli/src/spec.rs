//! Which rules hold on which chain.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use alloy_genesis::Genesis;
use alloy_primitives::ChainId;
use eyre::{ContextCompat, WrapErr};
use mach_verify::ChainSpec;

use crate::args::ChainArgs;

/// Largest genesis file that is read, in bytes.
const MAX_GENESIS_BYTES: u64 = 256 * 1024 * 1024;

/// The rules of the built-in chains, of the local devnet, and of the chain of `--genesis`.
pub(crate) struct Specs(BTreeMap<ChainId, ChainSpec>);

impl Specs {
    pub(crate) fn load(args: &ChainArgs) -> eyre::Result<Self> {
        let devnet = mach_devnet::DevnetConfig::default();
        let built_in = [
            ChainSpec::mainnet(),
            ChainSpec::holesky(),
            ChainSpec::sepolia(),
            ChainSpec::hoodi(),
            ChainSpec::op_mainnet(),
            ChainSpec::op_sepolia(),
            ChainSpec::base(),
            ChainSpec::base_sepolia(),
            ChainSpec::celo_sepolia(),
            devnet.l1_spec(),
            devnet.l2_spec(),
        ];
        let custom = args.genesis.as_deref().map(from_file).transpose()?;
        let specs = built_in.into_iter().chain(custom);
        Ok(Self(specs.map(|spec| (spec.chain_id(), spec)).collect()))
    }

    pub(crate) fn of(&self, chain_id: ChainId) -> eyre::Result<&ChainSpec> {
        self.0.get(&chain_id).wrap_err_with(|| {
            format!("the rules of chain {chain_id} are not built in: name its genesis file with --genesis")
        })
    }
}

fn from_file(path: &Path) -> eyre::Result<ChainSpec> {
    let read = || -> eyre::Result<ChainSpec> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(MAX_GENESIS_BYTES + 1)
            .read_to_end(&mut bytes)?;
        eyre::ensure!(
            bytes.len() as u64 <= MAX_GENESIS_BYTES,
            "more than {MAX_GENESIS_BYTES} bytes"
        );
        let genesis: Genesis = serde_json::from_slice(&bytes)?;
        Ok(ChainSpec::from_genesis(&genesis)?)
    };
    read().wrap_err_with(|| format!("genesis file {}", path.display()))
}
