//! Verifies one recorded block, offline.
//!
//! ```sh
//! cargo run --release --example verify_block -- op-10-132799000.json.gz
//! ```
//!
//! Without a file, a block of a devnet is recorded first.

#![allow(clippy::print_stdout, reason = "the example tells what happens")]

use std::path::PathBuf;

use eyre::ContextCompat;
use mach_core::Verdict;
use mach_devnet::{Devnet, DevnetConfig};
use mach_verify::{
    ChainSpec, check_body,
    source::{RecordedBlock, RpcSource},
    verify_block,
};

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let recorded = match std::env::args_os().nth(1).map(PathBuf::from) {
        Some(path) => RecordedBlock::read(path)?,
        None => record().await?,
    };
    let block = &recorded.block;

    // The rules of the chain: built in, or from its genesis file with `ChainSpec::from_genesis`.
    let devnet = DevnetConfig::default().l2_spec();
    let spec = ChainSpec::known(block.chain_id)
        .or_else(|| (block.chain_id == devnet.chain_id()).then_some(devnet))
        .wrap_err("the rules of this chain are not built in")?;

    // A file is hearsay: is this the body that the block hash binds?
    check_body(&spec, block)?;
    match verify_block(&spec, block, &recorded.witness)? {
        Verdict::Valid(summary) => {
            println!("block {} is valid", summary.block);
            println!("  gas used     {}", summary.gas_used);
            println!("  state root   {}", summary.state_root);
            if let Some(output_root) = summary.output_root {
                println!("  output root  {output_root}");
            }
        }
        Verdict::Invalid(fault) => println!("block {} is INVALID: {fault}", block.reference()),
    }
    Ok(())
}

/// A block of a devnet, as `mach-cli record` would save it.
async fn record() -> eyre::Result<RecordedBlock> {
    let devnet = Devnet::new()?;
    let number = devnet.sequencer().produce()?;
    let source = RpcSource::new(devnet.l2().client(), devnet.l2().chain_id());
    Ok(source.record(number).await?)
}
