//! What mach is measured against, kept beside the benches that use it.

#[cfg(feature = "evm")]
mod floor;
mod measure;
#[cfg(feature = "evm")]
mod raw_evm;

#[cfg(feature = "evm")]
pub use floor::Floor;
pub use measure::{Bar, Clock, Pair, Rounds, head, median, row};
#[cfg(feature = "evm")]
pub use raw_evm::RawEvm;
