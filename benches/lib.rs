//! What mach is measured against, kept beside the benches that use it.

mod measure;
#[cfg(feature = "evm")]
mod raw_evm;

pub use measure::{Bar, Clock, Pair, Rounds, head, median, row};
#[cfg(feature = "evm")]
pub use raw_evm::RawEvm;
