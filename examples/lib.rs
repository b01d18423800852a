//! Examples of mach, each a program: `cargo run --release --example devnet`.
