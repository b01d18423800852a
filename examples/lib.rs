//! Examples of mach, each a program: `cargo run --release --example devnet`.

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
