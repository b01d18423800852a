//! Compiles the protocol buffers of the gRPC services, without a `protoc`.

use std::error::Error;

/// Every service that is spoken; relative to `proto/`.
const PROTOS: [&str; 3] = [
    "cerberus/signer.proto",
    "legacy/aggregator.proto",
    "mach/v1/aggregator.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
