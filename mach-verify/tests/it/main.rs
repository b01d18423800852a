//! What the crate promises, through its public interface.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::missing_const_for_fn,
    reason = "a test stops at what it did not expect"
)]

mod archive;
mod chain;
mod cross_check;
mod derive;
mod devnet;
mod evidence;
mod follow;
mod l1;
mod live;
mod live_script;
mod mutation;
mod nodes;
mod op;
mod proofs;
mod proposals;
mod recorded;
mod reorg;

use std::path::PathBuf;

/// Folder of the data set with real blocks. It is not part of the repository: tests that need it
/// return without it.
fn data(folder: &str) -> Option<PathBuf> {
    let found = std::env::var_os("MACH_DATA").map(|root| PathBuf::from(root).join(folder));
    if found.is_none() {
        eprintln!("skipped: MACH_DATA is not set");
    }
    found
}
