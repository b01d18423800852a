//! The devnet as its users see it: through alloy, and through mach-verify.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod l1;
mod pool;

use alloy_primitives::{Bytes, bytes};

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
