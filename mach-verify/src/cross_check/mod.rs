//! What can be checked of a block whose stack nothing here executes.
//!
//! [`check_consistency`] is pure: it compares a header with its parent, its transactions and its
//! receipts. [`CrossCheckValidator`] adds what other sources and L1 say. Nothing of it says that
//! the state is right, so a verdict is [`Assurance::CrossChecked`](mach_core::Assurance) and is
//! never signed.
//!
//! | stack | checked | not checked |
//! |---|---|---|
//! | Ethereum's block format (any chain) | header hash, parent link, transactions root and signatures, receipts root, bloom, gas; agreement; L1 | state root, execution |
//! | Arbitrum (Nitro) | the same; transactions of its own types (`0x64` to `0x6a`, `0x78`) by their bytes and root only, since they carry no signature; hashes in `AssertionConfirmed` and `NodeConfirmed` | state root, execution, send root |
//! | ZKsync | agreement on the hash of a height | everything else: its block hashes are not hashes of headers, its headers hold no roots, and L1 holds hashes of batches, not of blocks |

mod commitment;
mod consistency;
mod evidence;
mod validator;

pub use commitment::{Commitment, CommitmentEvent, L1Commitment, L1CommitmentEvents, Word};
pub use consistency::{check_consistency, recovered_sender};
pub use evidence::{ConsistencyEvidence, ConsistencyEvidenceError};
pub use validator::{BlockHashes, CrossCheckError, CrossCheckValidator, SenderSource};
