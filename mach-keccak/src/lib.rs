#![doc = include_str!("../README.md")]

mod batch;
#[cfg(target_arch = "x86_64")]
mod lanes;

pub use batch::{Backend, keccak256_batch};
