//! Where a server listens, and what it puts up with.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

/// Where a server listens, with TLS or without, within which limits.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where it listens; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Certificate and key, if it speaks TLS.
    pub tls: Option<TlsConfig>,
    /// What it puts up with.
    pub limits: HttpLimits,
}

impl HttpConfig {
    /// Without TLS, within the default limits.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            limits: HttpLimits::default(),
        }
    }

    /// Sets the certificate: the server speaks TLS and nothing else.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl From<SocketAddr> for HttpConfig {
    fn from(address: SocketAddr) -> Self {
        Self::new(address)
    }
}

/// Files that a server's identity is in, read when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM file of the certificate chain, the server's own certificate first.
    pub certificates: PathBuf,
    /// PEM file of the private key (PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
}

/// What one server puts up with.
///
/// An address is one IPv4 address, or the 64-bit prefix of an IPv6 address, which one host has for
/// itself. Behind a reverse proxy all requests come from one: leave the limits per address to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Most connections at a time, WebSockets included; more are closed at once. And most requests whose
    /// answers are not taken, of which an HTTP/2 connection has many; more are answered with status 429.
    pub connections: usize,
    /// Most of them from one address, of either.
    pub connections_per_address: usize,
    /// How long a connection may be without a request: before the head of the first one is complete,
    /// TLS handshake included, and between an answer and the next request. What is left of an answer
    /// when all of it has been made has to be taken in that time.
    pub head_timeout: Duration,
    /// How long a request may take until its answer begins; then it is answered with status 408. The
    /// answer has to be taken within the same time again, unless it is [`Streamed`](super::Streamed).
    pub request_timeout: Duration,
    /// How long a client may take nothing at all of what is sent to it, and for each part of an answer
    /// that is [`Streamed`](super::Streamed).
    pub write_timeout: Duration,
    /// Largest body of a request, in bytes; a larger one is answered with status 413.
    pub body: usize,
    /// How often one address may ask; what is more is answered with status 429 and the time after
    /// which to try again. `None` for no bound.
    pub rate: Option<Rate>,
    /// How long what goes on may take to end when the server stops.
    pub grace: Duration,
}

impl Default for HttpLimits {
    /// 1,024 connections, 256 from one address, each with a request every 30 seconds; 30 seconds
    /// for a request, 10 for a client that takes nothing, 1 MiB for a body; 250 requests a second
    /// from one address, 1,000 at once.
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 256,
            head_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            body: 1 << 20,
            rate: Rate::new(250, 1000),
            grace: Duration::from_secs(5),
        }
    }
}

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Every second, in the long run.
    pub per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

impl Rate {
    /// `None` if one of them is zero.
    pub fn new(per_second: u32, burst: u32) -> Option<Self> {
        Some(Self {
            per_second: NonZeroU32::new(per_second)?,
            burst: NonZeroU32::new(burst)?,
        })
    }
}
