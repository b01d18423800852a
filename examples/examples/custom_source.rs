//! Blocks from a place of your own: implement `L2Source`, keep everything else.
//!
//! ```sh
//! cargo run --release --example custom_source
//! ```

#![allow(clippy::print_stdout, reason = "the example tells what happens")]

use std::{sync::Mutex, time::Duration};

use alloy_primitives::{BlockNumber, ChainId};
use async_trait::async_trait;
use mach_core::{
    Alert, Attestation, BlockRef, L2Block,
    ports::{AlertSink, L2Head, L2Source, SinkError, SourceError},
};
use mach_devnet::{Devnet, Lie};
use mach_node::{Verifier, VerifierConfig};
use mach_verify::source::{RpcSource, StatelessValidator};
use tokio_util::sync::CancellationToken;

/// Blocks that somebody handed over, in memory.
struct Inbox {
    chain_id: ChainId,
    /// Block `n` is at position `n - 1`.
    blocks: Vec<L2Block>,
}

#[async_trait]
impl L2Source for Inbox {
    fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
        self.blocks
            .last()
            .map(L2Block::reference)
            .ok_or(SourceError::NotYet(1))
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let position = number
            .checked_sub(1)
            .and_then(|position| usize::try_from(position).ok());
        let block = position.and_then(|position| self.blocks.get(position));
        block.cloned().ok_or(SourceError::NotYet(number))
    }
}

/// Counts outcomes.
#[derive(Default)]
struct Tally(Mutex<(u64, u64)>);

#[async_trait]
impl AlertSink for &Tally {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        println!("block {} is wrong, rule {}", alert.block.number, alert.rule);
        if let Ok(mut counts) = self.0.lock() {
            counts.1 += 1;
        }
        Ok(())
    }

    async fn attest(&self, attestation: &Attestation) -> Result<(), SinkError> {
        println!("block {} is valid", attestation.block.number);
        if let Ok(mut counts) = self.0.lock() {
            counts.0 += 1;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let devnet = Devnet::new()?;
    let node = RpcSource::new(devnet.l2().client(), devnet.l2().chain_id());
    let mut inbox = Inbox {
        chain_id: devnet.l2().chain_id(),
        blocks: Vec::new(),
    };
    for lie in [None, None, Some(Lie::GasUsed), None] {
        if let Some(lie) = lie {
            devnet.sequencer().lie_next(lie);
        }
        let number = devnet.sequencer().produce()?;
        inbox.blocks.push(node.block(number).await?);
    }

    // Witnesses still come from the node; what it says of a block is checked all the same.
    let validator = StatelessValidator::new(devnet.l2().role().spec().clone(), node);
    let tally = Tally::default();
    let count = inbox.blocks.len() as u64;
    let verifier = Verifier::new(inbox, validator, &tally, VerifierConfig::new(1));
    let shutdown = CancellationToken::new();
    let mut status = verifier.status();
    tokio::select! {
        () = verifier.run(shutdown) => {}
        done = status.wait_for(|status| status.valid + status.invalid == count) => drop(done?),
    }
    // Outcomes are delivered beside the verdicts: give the last one its turn.
    tokio::time::sleep(Duration::from_millis(10)).await;
    Ok(())
}
