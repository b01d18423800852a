//! What L1 says of blocks that execute as they say.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::{B256, ChainId, keccak256};
use clap::Args;
use eyre::WrapErr;
use mach_core::{L2Block, Verdict, ports::L1Source};
use mach_verify::{
    Accuser, ChainSpec,
    op::{OpL1Validator, Rollup, Settlement},
    source::{Quorum, StatelessValidator},
};
use url::Url;

use crate::{
    evidence::Bundles,
    nodes::{Node, Nodes, RpcArgs, more_than_half, reach},
    report::Row,
    spec::{Specs, read_genesis},
};

/// The L1 that blocks are compared with.
#[derive(Debug, Args)]
pub(crate) struct AgainstL1Args {
    /// JSON-RPC endpoint of L1: what it says of a block (attributes, deposits, configuration, drift)
    /// is compared, too; of several, more than half have to agree
    #[arg(
        long,
        env = "MACH_L1",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    l1: Vec<Url>,

    /// L1 blocks behind one that settle it, so that it can accuse [default: L1 finalizes it]
    #[arg(long, env = "MACH_L1_DEPTH", value_name = "COUNT", requires = "l1")]
    l1_depth: Option<u64>,

    /// Genesis file of an L1 that is not built in
    #[arg(long, env = "MACH_L1_GENESIS", value_name = "FILE", requires = "l1")]
    l1_genesis: Option<PathBuf>,
}

/// The comparison with L1. What executes blocks is not asked.
type Validator = OpL1Validator<StatelessValidator<Arc<dyn Node>>, Box<dyn L1Source>, Arc<dyn Node>>;

/// A rollup's L1.
pub(crate) struct AgainstL1 {
    validator: Validator,
    /// A hash of what the comparison goes by.
    rules: B256,
}

impl AgainstL1Args {
    /// A hash of what the comparison goes by; `None` if there is none. No endpoint is asked.
    pub(crate) fn rules(&self, specs: &Specs, chain_id: ChainId) -> eyre::Result<Option<B256>> {
        if self.l1.is_empty() {
            return Ok(None);
        }
        let config = specs.rollup_of(chain_id)?;
        let l1 = l1_rules(specs, self.l1_genesis.as_deref(), config.l1_chain_id)?;
        let l2 = specs.of(config.l2_chain_id)?.clone();
        self.hash(&Rollup::new(config, l2, l1)).map(Some)
    }

    fn hash(&self, rollup: &Rollup) -> eyre::Result<B256> {
        let config = keccak256(serde_json::to_vec(&rollup.config)?);
        // A block that a shallow L1 block makes valid may be accused by the final one.
        let depth = match self.settlement() {
            Settlement::Finalized => u64::MAX,
            Settlement::Depth(depth) => depth,
        };
        let parts = [&config[..], &rollup.l1.hash()[..], &depth.to_be_bytes()];
        Ok(keccak256(parts.concat()))
    }

    fn settlement(&self) -> Settlement {
        (self.l1_depth).map_or(Settlement::Finalized, Settlement::Depth)
    }
}

impl AgainstL1 {
    /// Asks every endpoint of L1 for its chain; `None` if there is none.
    pub(crate) async fn connect(
        args: &AgainstL1Args,
        rpc: &RpcArgs,
        specs: &Specs,
        nodes: &Nodes,
    ) -> eyre::Result<Option<Self>> {
        if args.l1.is_empty() {
            return Ok(None);
        }
        let config = specs.rollup_of(nodes.chain_id())?;
        let rules = l1_rules(specs, args.l1_genesis.as_deref(), config.l1_chain_id)?;
        let l1 = connect_l1(&args.l1, rpc, config.l1_chain_id).await?;
        let executing = StatelessValidator::new(nodes.spec.clone(), Arc::clone(&nodes.source));
        let rollup = Rollup::new(config, nodes.spec.clone(), rules);
        let settlement = args.settlement();
        let validator = OpL1Validator::new(executing, rollup, l1, Arc::clone(&nodes.source));
        Ok(Some(Self {
            rules: args.hash(validator.rollup())?,
            validator: validator.with_settlement(settlement),
        }))
    }

    /// Who compares, for others to ask, and a hash of what it goes by.
    pub(crate) fn into_accuser(self) -> (Arc<dyn Accuser>, B256) {
        (Arc::new(self.validator), self.rules)
    }

    /// Compares a block with L1, whose row says that it executes as it says. What L1 has against it
    /// leaves a bundle.
    ///
    /// Returns whether a later try may find what this one did not.
    pub(crate) async fn compare(&self, block: &L2Block, bundles: &Bundles, row: &mut Row) -> bool {
        match self.validator.accuse(block).await {
            Ok(evidence) => {
                row.with_l1 = true;
                if let Some(evidence) = evidence {
                    bundles.keep_bundle(&evidence, row);
                    row.result = Ok(Verdict::Invalid(evidence.fault().clone()));
                }
                false
            }
            Err(error) => {
                let is_transient = error.is_transient();
                row.result = Err(error.into());
                is_transient
            }
        }
    }
}

/// Rules of the L1 of a rollup.
pub(crate) fn l1_rules(
    specs: &Specs,
    genesis: Option<&Path>,
    l1_chain: ChainId,
) -> eyre::Result<ChainSpec> {
    let rules = match genesis {
        Some(path) => ChainSpec::from_genesis(&read_genesis(path)?)?.or_built_in()?,
        None => (specs.of(l1_chain))
            .map_err(|_| eyre::eyre!("the rules of L1 chain {l1_chain} are not built in: name its genesis file with --l1-genesis"))?
            .clone(),
    };
    eyre::ensure!(
        rules.chain_id() == l1_chain,
        "--l1-genesis is of chain {}, the L1 of the rollup is chain {l1_chain}",
        rules.chain_id()
    );
    eyre::ensure!(
        !rules.is_optimism(),
        "chain {l1_chain} is a rollup itself: what follows from such an L1 is not known here"
    );
    Ok(rules)
}

/// Asks the endpoints of L1 for their chain; of several, more than half have to answer, and to agree.
pub(crate) async fn connect_l1(
    urls: &[Url],
    rpc: &RpcArgs,
    l1_chain: ChainId,
) -> eyre::Result<Box<dyn L1Source>> {
    let (actual, endpoints) = reach(urls, &rpc.options(), more_than_half(urls.len()))
        .await
        .wrap_err("L1 is not reached")?;
    eyre::ensure!(
        actual == l1_chain,
        "--l1 is on chain {actual}, the L1 of the rollup is chain {l1_chain}"
    );
    Ok(match endpoints.as_slice() {
        [(_, source)] => Box::new(source.clone()),
        _ => Box::new(Quorum::majority(endpoints)?),
    })
}
