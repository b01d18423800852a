//! Judges an output root by a header.

fn main() {
    mach_guests::main(mach_prove::guest::run_output);
}
