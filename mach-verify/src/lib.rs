#![doc = include_str!("../README.md")]

mod body;
mod chain;
mod compare;
pub mod cross_check;
pub mod derive;
mod error;
mod evidence;
mod execute;
pub mod follow;
mod header;
pub mod op;
mod output_root;
mod phases;
pub mod proposals;
pub mod source;
mod spec;
pub mod state;
pub mod trie;
mod verify;
mod witness;

pub use body::check_body;
pub use chain::ChainVerifier;
pub use error::ExecuteError;
pub use evidence::{
    Accuser, Bundle, EVIDENCE_VERSION, Evidence, EvidenceError, EvidenceFolder, EvidenceValidator,
    MAX_BUNDLES, PendingEvidence, ReplayError, WitnessMemory,
};
pub use output_root::{output_root, verify_output_proposal};
pub use phases::Phases;
pub use spec::{ChainSpec, SpecError, Stack, Unsupported};
pub use verify::{verify_block, verify_block_in_phases, verify_block_timed, verify_child};
pub use witness::{MAX_ANCESTORS, Witness};
