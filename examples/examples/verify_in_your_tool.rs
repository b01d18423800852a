//! Is what a rollup published true? Twenty lines in a tool of your own: mach-verify and alloy.
//!
//! ```sh
//! cargo run --release --example verify_in_your_tool -- http://localhost:8545
//! ```
//!
//! Without a URL it asks a devnet in this process, whose sequencer lies.

#![allow(clippy::print_stdout, reason = "the example tells what happens")]

use std::error::Error;

use alloy_provider::{Provider, ProviderBuilder};
use mach_verify::{
    ChainSpec, check_body,
    source::{RecordedBlock, RpcSource},
    verify_block,
};

/// The newest blocks of the node at `url`. This is all that a tool needs.
async fn verify(url: &str, own_rules: Option<ChainSpec>) -> Result<(), Box<dyn Error>> {
    let provider = ProviderBuilder::new().connect_http(url.parse()?);
    let chain_id = provider.get_chain_id().await?;
    let rules = own_rules.or_else(|| ChainSpec::known(chain_id));
    let rules = rules.ok_or_else(|| format!("chain {chain_id} is not built in"))?;
    let source = RpcSource::connect(url.parse()?).await?;
    let head = provider.get_block_number().await?;
    for number in head.saturating_sub(2).max(1)..=head {
        let RecordedBlock { block, witness, .. } = source.record(number).await?;
        check_body(&rules, &block)?;
        let verdict = verify_block(&rules, &block, &witness)?;
        match verdict.fault() {
            None => println!("block {number} is valid"),
            Some(fault) => println!("block {number} is INVALID: {fault}"),
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if let Some(url) = std::env::args().nth(1) {
        return verify(&url, None).await;
    }
    let devnet = mach_devnet::Devnet::new()?;
    devnet.sequencer().produce()?;
    devnet.sequencer().lie_next(mach_devnet::Lie::ReceiptsRoot);
    devnet.sequencer().produce()?;
    let loopback = ([127, 0, 0, 1], 0).into();
    let servers = devnet.serve(loopback, loopback).await?;
    let rules = devnet.l2().role().spec().clone();
    verify(&servers.l2.http_url(), Some(rules)).await
}
