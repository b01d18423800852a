//! Judges a block by executing it.

#[cfg(feature = "openvm")]
extern crate alloc;

/// Signatures are for this program alone: OpenVM's machine of the other has no instructions for them.
#[cfg_attr(feature = "openvm", path = "openvm.rs")]
#[cfg_attr(feature = "risc0", path = "risc0.rs")]
#[cfg_attr(feature = "sp1", path = "sp1.rs")]
mod machine;
mod signatures;

fn main() {
    signatures::install();
    #[cfg(not(feature = "phases"))]
    mach_guests::main(mach_prove::guest::run_block);
    #[cfg(feature = "phases")]
    mach_guests::tell_phases();
}
