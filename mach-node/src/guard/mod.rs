//! What an operator may still say, given what it said.

mod history;
mod interchange;
mod memory;
mod stored;

pub use interchange::{
    GuardFile, GuardFileError, GuardFileMetadata, INTERCHANGE_VERSION, RollupHistory,
};
pub use memory::MemoryGuard;
pub(crate) use stored::record;
pub use stored::{ImportSummary, StoredGuard};
