//! Nodes that a command asks: one, or several that have to agree.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::{BlockNumber, ChainId};
use clap::{Args, ValueEnum};
use eyre::{ContextCompat, WrapErr};
use mach_core::{L2Block, ports::L2Source};
use mach_verify::{
    ChainSpec, Witness,
    source::{Disagreement, Quorum, RecordedBlock, RpcOptions, RpcSource, WitnessSource},
    verify_block,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::spec::Specs;

/// Nodes of the rollup, and how they are asked.
#[derive(Debug, Args)]
pub(crate) struct RpcArgs {
    /// JSON-RPC endpoint; of several, more than half have to agree
    #[arg(
        long,
        env = "MACH_RPC",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) rpc: Vec<Url>,

    /// Where witnesses come from
    #[arg(long, env = "MACH_WITNESS", value_enum, default_value_t)]
    pub(crate) witness: WitnessMethod,

    /// Endpoints that have to agree [default: more than half]
    #[arg(long, env = "MACH_AGREE", value_name = "COUNT")]
    pub(crate) agree: Option<NonZeroUsize>,

    /// Seconds that an answer is waited for
    #[arg(long, env = "MACH_RPC_TIMEOUT", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    rpc_timeout: u64,

    /// Largest answer that is read, in MiB
    #[arg(long, env = "MACH_RPC_MAX_RESPONSE", value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=2048))]
    rpc_max_response: u32,

    /// Requests in a second to one endpoint, a batch being one [default: no limit]
    #[arg(long, env = "MACH_RPC_RATE", value_name = "COUNT")]
    rpc_rate: Option<NonZeroU32>,

    /// Requests under way at once to one endpoint
    #[arg(
        long,
        env = "MACH_RPC_CONCURRENCY",
        value_name = "COUNT",
        default_value = "16"
    )]
    rpc_concurrency: NonZeroUsize,

    /// How often a request is sent again if a node is busy or not reached
    #[arg(long, env = "MACH_RPC_RETRIES", value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u8).range(..=20))]
    rpc_retries: u8,

    /// Calls in a batch; a node that takes fewer gets fewer
    #[arg(
        long,
        env = "MACH_RPC_BATCH",
        value_name = "COUNT",
        default_value = "1000"
    )]
    rpc_batch: NonZeroUsize,
}

/// Where witnesses come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WitnessMethod {
    /// `debug_executionWitness`, and proofs where a node does not serve that
    #[default]
    Auto,
    /// `debug_executionWitness`
    Debug,
    /// Gathered from `eth_getProof` and `eth_getCode`
    Proofs,
}

impl RpcArgs {
    /// What the flags are by default, for these endpoints, with at most `rate` requests in a second.
    pub(crate) fn of(rpc: Vec<Url>, rate: Option<NonZeroU32>) -> Self {
        let options = RpcOptions::default();
        Self {
            rpc,
            witness: WitnessMethod::default(),
            agree: None,
            rpc_timeout: 60,
            rpc_max_response: 512,
            rpc_rate: rate,
            rpc_concurrency: options.concurrent_requests,
            rpc_retries: 4,
            rpc_batch: options.batch_size,
        }
    }

    pub(crate) fn options(&self) -> RpcOptions {
        RpcOptions {
            timeout: Duration::from_secs(self.rpc_timeout),
            max_response_bytes: (self.rpc_max_response as usize) << 20,
            requests_per_second: self.rpc_rate,
            concurrent_requests: self.rpc_concurrency,
            retries: self.rpc_retries.into(),
            batch_size: self.rpc_batch,
        }
    }
}

/// What a command asks of nodes.
pub(crate) trait Node: L2Source + WitnessSource {}
impl<T: L2Source + WitnessSource> Node for T {}

/// Nodes of one chain.
pub(crate) struct Nodes {
    pub(crate) source: Arc<dyn Node>,
    pub(crate) spec: ChainSpec,
    /// The endpoints, without what may be secret.
    pub(crate) name: String,
    endpoints: Vec<(String, RpcSource)>,
    /// If several have to agree.
    quorum: Option<Quorum<RpcSource>>,
}

impl Nodes {
    /// Asks every node for its chain. Of several, as many have to answer as have to agree: the
    /// others may come later.
    pub(crate) async fn connect(args: &RpcArgs, specs: &Specs) -> eyre::Result<Self> {
        let needed = args.agree.unwrap_or_else(|| more_than_half(args.rpc.len()));
        let (chain_id, mut endpoints) = reach(&args.rpc, &args.options(), needed).await?;
        let spec = specs.of(chain_id)?.clone();
        for (_, source) in &mut endpoints {
            *source = match args.witness {
                WitnessMethod::Auto => source.clone().with_proofs(spec.clone()),
                WitnessMethod::Debug => source.clone(),
                WitnessMethod::Proofs => source.clone().with_proofs_only(spec.clone()),
            };
        }
        let names: Vec<_> = endpoints.iter().map(|(name, _)| name.as_str()).collect();
        let name = names.join(", ");
        let (source, quorum): (Arc<dyn Node>, _) = match endpoints.as_slice() {
            [(_, source)] if needed.get() == 1 => (Arc::new(source.clone()), None),
            _ => {
                let quorum = Quorum::new(needed, endpoints.iter().cloned()).wrap_err("--agree")?;
                (Arc::new(quorum.clone()), Some(quorum))
            }
        };
        Ok(Self {
            source,
            spec,
            name,
            endpoints,
            quorum,
        })
    }

    /// Who said something else than the others, each handed out once.
    pub(crate) fn take_disagreements(&self) -> Vec<Disagreement> {
        (self.quorum.as_ref()).map_or_else(Vec::new, Quorum::take_disagreements)
    }

    pub(crate) const fn chain_id(&self) -> ChainId {
        self.spec.chain_id()
    }

    /// How often a block is tried: each endpoint may have a witness that is of use.
    pub(crate) const fn tries(&self) -> usize {
        self.endpoints.len()
    }

    /// Endpoints that were found to serve no witnesses of their own.
    pub(crate) fn without_witnesses(&self) -> impl Iterator<Item = &str> {
        let without = (self.endpoints.iter()).filter(|(_, source)| source.gathers_witnesses());
        without.map(|(name, _)| name.as_str())
    }

    /// Block and witness at a height, to be kept: a witness with which the block can be judged. Where
    /// it cannot be executed here at all, any.
    pub(crate) async fn record(&self, number: BlockNumber) -> eyre::Result<RecordedBlock> {
        let mut tries = self.tries();
        loop {
            tries -= 1;
            let block: L2Block = self.source.block(number).await?;
            let witness: Witness = self.source.witness(&block).await?;
            let spec = self.spec.clone();
            // Away from the threads that wait for sockets.
            let executed = tokio::task::spawn_blocking(move || {
                let verdict = verify_block(&spec, &block, &witness);
                (block, witness, verdict)
            });
            let (block, witness, verdict) = executed.await?;
            match verdict {
                Err(error) if error.is_transient() => {
                    if tries == 0 {
                        let what = format!("the witness of block {number} is of no use");
                        return Err(eyre::Report::new(error).wrap_err(what));
                    }
                }
                _ => {
                    return Ok(RecordedBlock {
                        block,
                        witness,
                        source: None,
                    });
                }
            }
        }
    }
}

/// How many of so many endpoints have to agree, unless it is said.
pub(crate) const fn more_than_half(endpoints: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(endpoints / 2)
}

/// Asks every endpoint for its chain, which is the same for all. As many as `needed` have to answer:
/// the others may come later.
pub(crate) async fn reach(
    urls: &[Url],
    options: &RpcOptions,
    needed: NonZeroUsize,
) -> eyre::Result<(ChainId, Vec<(String, RpcSource)>)> {
    let tries = urls
        .iter()
        .map(|url| RpcSource::connect_with(url.clone(), options));
    let answers = futures::future::join_all(tries).await;
    let mut chain_id = None;
    for (url, answer) in urls.iter().zip(&answers) {
        let Ok(source) = answer else { continue };
        let actual = source.chain_id();
        let expected = *chain_id.get_or_insert(actual);
        eyre::ensure!(
            actual == expected,
            "{} is on chain {actual}, another endpoint on chain {expected}",
            shown(url)
        );
    }
    let mut endpoints = Vec::new();
    let mut last_error = None;
    let answering = answers.iter().filter(|answer| answer.is_ok()).count();
    for (url, answer) in urls.iter().zip(answers) {
        let name = shown(url);
        let source = match (answer, chain_id) {
            (Ok(source), _) => source,
            (Err(error), Some(chain_id)) if answering >= needed.get() => {
                tracing::warn!(endpoint = name, error = ?eyre::Report::new(error), "not reached");
                RpcSource::at(url.clone(), chain_id, options)?
            }
            (Err(error), _) => {
                last_error = Some(eyre::Report::new(error).wrap_err(name));
                continue;
            }
        };
        endpoints.push((name, source));
    }
    if let Some(error) = last_error {
        return Err(error);
    }
    let chain_id = chain_id.wrap_err("no endpoint is named")?;
    Ok((chain_id, endpoints))
}

/// The URL without what may be a secret: user, password, path and query.
pub(crate) fn shown(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}", url.scheme()),
        (Some(host), None) => format!("{}://{host}", url.scheme()),
        _ => url.scheme().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_secret() {
        let url = "https://user:pass@node.example:8545/v2/key?token=secret"
            .parse()
            .unwrap();
        assert_eq!(shown(&url), "https://node.example:8545");
    }
}
