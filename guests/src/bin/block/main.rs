//! Judges a block by executing it.

#[cfg(feature = "openvm")]
extern crate alloc;

/// Signatures are for this program alone: the machine of the other has no instructions for them.
#[cfg(feature = "openvm")]
#[path = "openvm.rs"]
mod signatures;

fn main() {
    #[cfg(feature = "openvm")]
    signatures::install();
    mach_guests::main(mach_prove::guest::run_block);
}
