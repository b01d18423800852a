//! What mach is measured against, kept beside the benches that use it.

mod raw_evm;

pub use raw_evm::RawEvm;
