//! What the fuzz targets call: one function for each decoder that reads what others wrote.
//!
//! None of them may panic, whatever the bytes. Where there is more to promise, they assert it.

mod answers;
mod blocks;
mod certificates;
mod derivation;
mod evidences;
mod keys;
mod messages;
mod points;
mod tries;
mod witnesses;

pub use answers::node_answers;
pub use blocks::{block_rlp, chain_file, genesis, recorded_block};
pub use certificates::certificate_file;
pub use derivation::derivation;
pub use evidences::evidence;
pub use keys::{key_file, key_text};
pub use messages::rpc_messages;
pub use points::points;
pub use tries::trie;
pub use witnesses::witness;
