#![doc = include_str!("../README.md")]

pub mod machine;
pub mod prove;
pub mod verify;
pub mod work;
