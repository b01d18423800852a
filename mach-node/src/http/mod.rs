//! The HTTP server of every service: HTTP/1.1, HTTP/2, WebSockets, TLS on request, and bounds on
//! everything that a stranger can take up.
//!
//! What is served is an [`axum::Router`]; JSON-RPC methods become one with [`json_rpc`].

mod activity;
mod admission;
mod config;
mod connection;
mod json_rpc;
mod rate;
mod server;
mod socket;
mod tls;

pub use activity::Streamed;
pub use config::{HttpConfig, HttpLimits, Rate, TlsConfig};
pub use json_rpc::{JsonRpcLimits, json_rpc};
pub use server::{HttpServer, ServeError, serve};
pub use tls::TlsError;

pub(crate) use admission::{Places, host};
