//! `mach-cli breaker`: a circuit breaker in front of a node.

use std::{net::SocketAddr, path::PathBuf};

use alloy_primitives::{Address, ChainId};
use clap::Args;
use eyre::WrapErr;
use mach_node::{
    SETTLE_ALERTS,
    breaker::{Breaker, BreakerConfig, BreakerLimits, MethodRule, Policy, WhenLost},
    http::{HttpConfig, serve},
    metrics::Metrics,
};
use tracing::warn;
use url::Url;

use crate::{
    outcome::Outcome,
    remote::{runtime, shown},
    signals::Ended,
};

/// Stand between clients and a node of the rollup, and serve less while an alert stands
///
/// While no alert stands everything is handed on as it is. While one stands, writes are refused, or
/// the chain ends at the last attested block, or all is refused; the error (code -32050) names the
/// alert. HTTP and WebSocket are on the same port, /health and /breaker/status say what is in force.
///
/// Exit code: 0 after Ctrl-C or SIGTERM, 2 failure.
///
/// Examples:
///   mach-cli breaker --config mach.toml
///   mach-cli breaker --upstream http://localhost:9545 --rollup 901 --events http://localhost:8080
///   mach-cli breaker --upstream http://localhost:8545 --upstream-ws ws://localhost:8546 --rollup 10 \
///       --l1-rpc $L1 --service-manager 0x71a77037870169d47aad6c2C9360861A4C0df2bF --policy pin-latest
///   mach-cli breaker --upstream $NODE --rollup 10 --events $AGGREGATOR --method 'trace_*=refuse'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("feed").args(["events", "l1_rpc"]).required(true))]
pub(crate) struct BreakerArgs {
    /// Configuration file, as `mach-cli init` writes it, whose section `[breaker]` has a key for each of
    /// the flags below; --l1-rpc is `l1.rpc`, --metrics is `metrics.breaker`
    #[arg(long, env = "MACH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// JSON-RPC of the node over HTTP
    #[arg(
        long,
        env = "MACH_UPSTREAM",
        value_name = "URL",
        hide_env_values = true
    )]
    upstream: Url,

    /// JSON-RPC of the node over WebSocket [default: where --upstream is]
    #[arg(
        long,
        env = "MACH_UPSTREAM_WS",
        value_name = "URL",
        hide_env_values = true
    )]
    upstream_ws: Option<Url>,

    /// EIP-155 id of the rollup
    #[arg(long, env = "MACH_ROLLUP", value_name = "CHAIN ID")]
    rollup: ChainId,

    /// Where the breaker listens
    #[arg(
        long,
        env = "MACH_BREAKER_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8645"
    )]
    listen: SocketAddr,

    /// What is done while an alert stands: refuse-writes, pin-latest or refuse-all
    #[arg(long, env = "MACH_BREAKER_POLICY", default_value_t)]
    policy: Policy,

    /// What a method, or all methods with this beginning, has instead: serve, refuse or pin
    #[arg(
        long = "method",
        env = "MACH_BREAKER_METHODS",
        value_name = "NAME=RULE",
        value_delimiter = ',',
        value_parser = method_rule
    )]
    methods: Vec<(String, MethodRule)>,

    /// What is done while it is not known whether an alert stands: open, closed-for-writes or closed
    #[arg(long, env = "MACH_BREAKER_WHEN_LOST", default_value_t)]
    when_lost: WhenLost,

    /// Seconds after which alerts that are not heard of count as not known
    #[arg(long, env = "MACH_BREAKER_LOST_AFTER", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    lost_after: u64,

    /// An aggregator, whose events are followed
    #[arg(
        long,
        env = "MACH_EVENTS",
        value_name = "URL",
        hide_env_values = true,
        conflicts_with_all = ["l1_rpc", "service_manager"]
    )]
    events: Option<Url>,

    /// JSON-RPC of L1, where the service manager is read
    #[arg(
        long,
        env = "MACH_L1_RPC",
        value_name = "URL",
        hide_env_values = true,
        requires = "service_manager"
    )]
    l1_rpc: Option<Url>,

    /// Address of the service manager on L1, of any generation
    #[arg(long, env = "MACH_SERVICE_MANAGER", value_name = "ADDRESS")]
    service_manager: Option<Address>,

    /// Milliseconds between two looks at L1
    #[arg(long, env = "MACH_POLL_INTERVAL", value_name = "MILLISECONDS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    poll_interval: u64,

    /// Seconds that the newest L1 block may be old, or its node counts as not heard; 0 for any age
    #[arg(
        long,
        env = "MACH_MAX_L1_AGE",
        value_name = "SECONDS",
        default_value_t = 600
    )]
    max_l1_age: u64,

    /// L1 blocks without an alert after which it is gone: what a reorganisation takes away stays in force
    /// until then; with --events the aggregator's api.settle_alerts counts
    #[arg(long, env = "MACH_BREAKER_SETTLE_ALERTS", value_name = "BLOCKS", default_value_t = SETTLE_ALERTS)]
    settle_alerts: u64,

    /// File for the alerts that are in force, so that a restart forgets none [default: none, which is said at
    /// the start; with --config breaker-ROLLUP.json in store.folder]
    #[arg(long, env = "MACH_BREAKER_STATE", value_name = "FILE")]
    state: Option<PathBuf>,

    /// Where Prometheus finds the breaker, at /metrics [default: nowhere]
    #[arg(long, env = "MACH_METRICS_BREAKER", value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
}

pub(crate) fn method_rule(text: &str) -> Result<(String, MethodRule), String> {
    let (name, rule) = text.split_once('=').ok_or("NAME=RULE is expected")?;
    let rule = match rule {
        "serve" => MethodRule::Serve,
        "refuse" => MethodRule::Refuse,
        "pin" => MethodRule::Pin,
        _ => return Err("the rule is serve, refuse or pin".to_owned()),
    };
    Ok((name.to_owned(), rule))
}

impl From<&BreakerArgs> for BreakerConfig {
    fn from(args: &BreakerArgs) -> Self {
        Self {
            upstream_ws: args.upstream_ws.clone(),
            listen: args.listen,
            policy: args.policy,
            methods: args.methods.iter().cloned().collect(),
            when_lost: args.when_lost,
            lost_after: args.lost_after,
            events: args.events.clone(),
            l1_rpc: args.l1_rpc.clone(),
            service_manager: args.service_manager,
            poll_interval: args.poll_interval,
            max_l1_age: args.max_l1_age,
            settle_alerts: args.settle_alerts,
            state: args.state.clone(),
            ..Self::new(args.rollup, args.upstream.clone())
        }
    }
}

pub(crate) fn run(args: &BreakerArgs) -> eyre::Result<Outcome> {
    runtime()?.block_on(serve_breaker(&args.into(), args.metrics))
}

/// Runs the breaker of a configuration until a signal.
async fn serve_breaker(
    config: &BreakerConfig,
    numbers: Option<SocketAddr>,
) -> eyre::Result<Outcome> {
    let metrics = Metrics::new()?;
    metrics.install();
    let limits = BreakerLimits::default();
    let breaker = Breaker::new(config, limits, config.connect()?)?;
    match breaker.check_node().await {
        Ok(()) => {}
        // It may come later, and clients are told until then.
        Err(error) if error.is_transient() => warn!(error = %error, "the node is not checked"),
        Err(error) => return Err(error.into()),
    }
    let mut ended = Ended::new()?;
    let gate = breaker.gate().clone();
    metrics.watch_breaker(move || gate.status());
    let numbers = match numbers {
        Some(address) => Some(
            serve(metrics.router(), address)
                .await
                .wrap_err("--metrics")?,
        ),
        None => None,
    };
    let http = HttpConfig::new(config.listen).with_limits(limits.http());
    let server = serve(breaker.router(), http).await;
    let server = server.wrap_err("choose another --listen")?;
    say(&format!("breaker   {}", server.url()));
    if let Some(server) = &numbers {
        say(&format!("metrics   {}/metrics", server.url()));
    }
    say(&format!("upstream  {}", shown(&config.upstream)));
    say(&format!(
        "policy    {}, and {} where alerts are not heard of",
        config.policy, config.when_lost
    ));
    match &config.state {
        Some(file) => say(&format!("state     {}", file.display())),
        None => {
            say("state     none");
            warn!("no --state: a restart forgets alerts that its feed does not tell at once");
        }
    }
    ended.wait().await;
    server.stop().await;
    Ok(Outcome::Valid)
}

#[expect(clippy::print_stdout, reason = "what the command shows")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_methods_are_read() {
        assert_eq!(
            method_rule("trace_*=refuse"),
            Ok(("trace_*".to_owned(), MethodRule::Refuse))
        );
        assert!(method_rule("trace_*").is_err());
        assert!(method_rule("trace_*=never").is_err());
    }
}
