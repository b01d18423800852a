//! The devnet as its users see it: through alloy, and through mach-verify.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod batcher;
mod l1;
mod l2;
mod lies;
mod origin;
mod pool;
mod ports;
mod precompiles;
mod rollup;
mod served;
#[cfg(feature = "stack")]
mod stack;

use alloy_network::AnyNetwork;
use alloy_primitives::{Bytes, bytes};
use alloy_provider::Provider;
use mach_core::{L2Block, Verdict};
use mach_devnet::{Chain, Role};
use mach_verify::{ChainSpec, ExecuteError, Witness, verify_block};

/// The verdict on a block, from nothing but what the RPC gives.
async fn verify<R: Role>(
    chain: &Chain<R>,
    spec: &ChainSpec,
    number: u64,
) -> Result<Verdict, ExecuteError> {
    let provider = chain.provider::<AnyNetwork>();
    let tag = (format!("{number:#x}"),);
    let raw: Bytes = provider
        .raw_request("debug_getRawBlock".into(), &tag)
        .await
        .unwrap();
    let witness: Witness = provider
        .raw_request("debug_executionWitness".into(), &tag)
        .await
        .unwrap();
    let block = L2Block::decode_rlp(chain.chain_id(), &raw).unwrap();
    assert_eq!(Some(block.hash()), chain.block_hash(number));
    verify_block(spec, &block, &witness)
}

/// Init code of a contract that counts its calls in slot 0, logs the count as topic and data and
/// returns it; with ether it reverts with `Error("nope")`.
fn counter() -> Bytes {
    // With ether jump to 0x17; count up; log; return. At 0x17: the revert.
    let runtime = bytes!(
        "34 6017 57"
        "5f54 6001 01 80 5f55 80 5f52 6020 5f a1"
        "6020 5f f3"
        "5b"
        "7f 08c379a000000000000000000000000000000000000000000000000000000000 5f 52"
        "6020 6004 52"
        "6004 6024 52"
        "7f 6e6f706500000000000000000000000000000000000000000000000000000000 6044 52"
        "6064 5f fd"
    );
    // Copy what stands behind these eleven bytes into memory and return it.
    let length = u8::try_from(runtime.len()).unwrap();
    let init = [
        0x60, length, 0x80, 0x60, 0x0b, 0x5f, 0x39, 0x5f, 0xf3, 0x00, 0x00,
    ];
    [&init[..], &runtime].concat().into()
}
