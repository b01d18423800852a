//! Alerts to a place of your own: implement `AlertSink`, keep everything else.
//!
//! ```sh
//! cargo run --release --example custom_sink
//! ```

#![allow(clippy::print_stdout, reason = "the example tells what happens")]

use std::time::Duration;

use async_trait::async_trait;
use eyre::ContextCompat;
use mach_core::{
    Alert,
    ports::{AlertSink, SinkError},
};
use mach_devnet::{Devnet, Lie};
use mach_node::{Verifier, VerifierConfig};
use mach_verify::source::{RpcSource, StatelessValidator};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

/// Hands alerts to whoever is on call. Attestations are left to the default, which ignores them.
struct Pager(mpsc::Sender<Alert>);

#[async_trait]
impl AlertSink for Pager {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        // A pager that does not answer is worth another try, hence `Backend`.
        self.0
            .send(alert.clone())
            .await
            .map_err(|error| SinkError::Backend(Box::new(error)))
    }
}

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let devnet = Devnet::new()?;
    devnet.sequencer().produce()?;
    devnet.sequencer().lie_next(Lie::MintedBalance);
    devnet.sequencer().produce()?;

    let node = RpcSource::new(devnet.l2().client(), devnet.l2().chain_id());
    let validator = StatelessValidator::new(devnet.l2().role().spec().clone(), node.clone());
    let (pager, mut on_call) = mpsc::channel(16);
    let verifier = Verifier::new(node, validator, Pager(pager), VerifierConfig::new(1));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { verifier.run(shutdown).await }
    });

    let alert = timeout(Duration::from_secs(30), on_call.recv())
        .await?
        .wrap_err("nobody was called")?;
    println!(
        "block {}: {:?}, rule {}",
        alert.block, alert.kind, alert.rule
    );
    println!("  claimed   {}", alert.claimed);
    println!("  computed  {}", alert.computed);
    shutdown.cancel();
    running.await?;
    Ok(())
}
