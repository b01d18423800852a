//! Answers of a node.

use alloy_rpc_client::RpcClient;
use alloy_transport::mock::{Asserter, MockTransport};
use futures::executor::block_on;
use mach_core::{
    L2Block,
    ports::{L2Head, L2Source},
};
use mach_verify::source::{OpNode, ProposalSource, RecordedBlock, RpcSource};
use serde_json::value::RawValue;

/// Height that is asked for.
const NUMBER: u64 = 8;

/// Chain that the node is said to be on.
const CHAIN_ID: u64 = 901;

/// Lines that are given; no question needs more.
const MAX_LINES: usize = 16;

/// A node whose answers are the lines of `data`, one after another; a line that is not JSON is a
/// refusal. What it makes of a block and a witness can be recorded and read.
pub fn node_answers(data: &[u8]) {
    let source = RpcSource::new(node(data), CHAIN_ID);
    if let Ok(record) = block_on(source.record(NUMBER)) {
        assert_eq!(record.block.number(), NUMBER);
        assert_eq!(RecordedBlock::parse(&record.to_json()).ok(), Some(record));
    }
    // Other questions to the same node, from its first answer on.
    let _ = block_on(RpcSource::new(node(data), CHAIN_ID).head(L2Head::Safe));
    let block = L2Block::new(CHAIN_ID, Default::default(), Vec::new());
    let _ = block_on(OpNode::new(node(data)).claimed_output_root(&block));
}

fn node(data: &[u8]) -> RpcClient {
    let answers = Asserter::new();
    for line in data.split(|byte| *byte == b'\n').take(MAX_LINES) {
        match serde_json::from_slice::<Box<RawValue>>(line) {
            Ok(json) => answers.push_success(&json),
            Err(_) => answers.push_failure_msg("refused"),
        }
    }
    RpcClient::new(MockTransport::new(answers), true)
}
