//! Which rules hold on which chain.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use alloy_genesis::Genesis;
use alloy_primitives::ChainId;
use eyre::{ContextCompat, WrapErr};
use mach_verify::{ChainSpec, op::RollupConfig};
use serde::de::DeserializeOwned;

use crate::{args::ChainArgs, config::Rollup};

/// Largest genesis file or configuration that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 256 * 1024 * 1024;

/// The rules of the built-in chains, of the local devnet, and of the chain of
/// `--genesis` or `--rollup-config`. Of a built-in chain a file may say where its batches are; its
/// rules stay those of this version, which knows until when it knows them.
pub(crate) struct Specs {
    rules: BTreeMap<ChainId, ChainSpec>,
    /// Configuration of `--rollup-config`.
    pub(crate) rollup: Option<RollupConfig>,
}

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
        let custom = custom(args)?.map(|spec| {
            let chain_id = spec.chain_id();
            spec.or_built_in().wrap_err_with(|| {
                format!("the rules of chain {chain_id} are built in, and the file has others")
            })
        });
        let specs = built_in.into_iter().chain(custom.transpose()?);
        Ok(Self {
            rules: specs.map(|spec| (spec.chain_id(), spec)).collect(),
            rollup: (args.rollup_config.as_deref())
                .map(read_rollup_config)
                .transpose()?,
        })
    }

    /// Those of a rollup of the configuration file, and its own among them.
    pub(crate) fn of_rollup(rollup: &Rollup) -> eyre::Result<(Self, ChainSpec)> {
        let specs = Self::load(&ChainArgs {
            genesis: rollup.genesis.clone(),
            rollup_config: rollup.rollup_config.clone(),
        })?;
        let spec = specs.rules.get(&rollup.chain_id).cloned();
        let spec = spec.wrap_err(
            "its rules are not built in: set genesis or rollup_config of this [[rollup]]",
        )?;
        Ok((specs, spec))
    }

    /// How the rollup follows from L1: as `--rollup-config` says, or as is built in.
    pub(crate) fn rollup_of(&self, chain_id: ChainId) -> eyre::Result<RollupConfig> {
        let given = self.rollup.clone();
        let config = given.or_else(|| RollupConfig::known(chain_id)).wrap_err_with(|| {
            format!("where the batches of chain {chain_id} are on L1 is not built in: name its rollup.json with --rollup-config")
        })?;
        eyre::ensure!(
            config.l2_chain_id == chain_id,
            "--rollup-config is of chain {}, the rollup is chain {chain_id}",
            config.l2_chain_id
        );
        Ok(config)
    }

    pub(crate) fn of(&self, chain_id: ChainId) -> eyre::Result<&ChainSpec> {
        self.rules.get(&chain_id).wrap_err_with(|| {
            format!("the rules of chain {chain_id} are not built in: name its genesis file with --genesis, or its rollup.json with --rollup-config")
        })
    }
}

/// The chain of `--genesis` or `--rollup-config`; both have to say the same.
fn custom(args: &ChainArgs) -> eyre::Result<Option<ChainSpec>> {
    let genesis = (args.genesis.as_deref()).map(read_genesis).transpose()?;
    let rollup = (args.rollup_config.as_deref())
        .map(read_rollup_config)
        .transpose()?;
    Ok(match (genesis, rollup) {
        (Some(genesis), rollup) => {
            let spec = ChainSpec::from_genesis(&genesis)?;
            if let Some(rollup) = &rollup {
                spec.check_rollup_config(rollup)?;
            }
            Some(spec)
        }
        (None, Some(rollup)) => Some(ChainSpec::from_rollup_config(&rollup)?),
        (None, None) => None,
    })
}

pub(crate) fn read_genesis(path: &Path) -> eyre::Result<Genesis> {
    read(path).wrap_err_with(|| format!("genesis file {}", path.display()))
}

/// What decides how a built-in rollup is derived is not left to the age of a file either.
fn read_rollup_config(path: &Path) -> eyre::Result<RollupConfig> {
    let mut config: RollupConfig =
        read(path).wrap_err_with(|| format!("rollup config {}", path.display()))?;
    if let Some(known) = RollupConfig::known(config.l2_chain_id) {
        let (given, known) = (&mut config.forks, known.forks);
        for (name, given, known) in [
            ("delta_time", &mut given.delta_time, known.delta_time),
            (
                "pectra_blob_schedule_time",
                &mut given.pectra_blob_schedule_time,
                known.pectra_blob_schedule_time,
            ),
        ] {
            eyre::ensure!(
                given.is_none() || *given == known,
                "{} differs from what is built in on {name}",
                path.display()
            );
            *given = known;
        }
    }
    Ok(config)
}

fn read<T: DeserializeOwned>(path: &Path) -> eyre::Result<T> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_CONFIG_BYTES + 1)
        .read_to_end(&mut bytes)?;
    eyre::ensure!(
        bytes.len() as u64 <= MAX_CONFIG_BYTES,
        "more than {MAX_CONFIG_BYTES} bytes"
    );
    Ok(serde_json::from_slice(&bytes)?)
}
