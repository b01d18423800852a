//! A whole mach on a devnet: contracts deployed, operators registered, services ready to run.

mod actors;
mod deploy;
mod services;

pub use actors::StackOperator;
pub use deploy::{Stack, StackConfig, StackError};
pub use services::{Services, Tap};
