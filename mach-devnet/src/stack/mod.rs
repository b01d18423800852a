//! A whole mach on a devnet: contracts deployed, operators registered, services running.

mod actors;
mod deploy;
mod event;
mod services;

pub use actors::StackOperator;
pub use deploy::{Stack, StackConfig, StackError};
pub use event::Event;
pub use services::{ServiceConfig, Services, ServicesError};
