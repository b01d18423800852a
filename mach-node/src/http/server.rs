//! Accepting connections.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::DefaultBodyLimit, http::StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{
    catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, timeout::TimeoutLayer,
};
use tracing::{debug, warn};

use super::{
    HttpConfig, TlsError,
    admission::{Places, host},
    connection::Served,
    rate::Requests,
    socket::Socket,
    tls,
};

/// How often hosts that have not asked for a while are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted, for example because there are too many files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Something that is served over HTTP; it stops when this is dropped.
///
/// Requests that are being answered then have [`HttpLimits::grace`](super::HttpLimits::grace) to
/// end.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    is_tls: bool,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl HttpServer {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Stops, and waits until the last request is answered.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves `router`.
///
/// A handler that panics answers with status 500, and the server lives on. Handlers find the
/// client's address as [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo).
///
/// Errors: [`ServeError`].
pub async fn serve(
    router: Router,
    config: impl Into<HttpConfig>,
) -> Result<HttpServer, ServeError> {
    let config = config.into();
    let limits = config.limits;
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let listen = |source| ServeError::Listen {
        address: config.address,
        source,
    };
    let listener = TcpListener::bind(config.address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let stop = CancellationToken::new();
    let is_tls = tls.is_some();
    let served = Arc::new(Served {
        router: router
            .layer(DefaultBodyLimit::disable())
            .layer(RequestBodyLimitLayer::new(limits.body))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                limits.request_timeout,
            ))
            .layer(CatchPanicLayer::new()),
        requests: limits.rate.map(Requests::new),
        in_progress: Arc::new(Places::new(
            limits.connections,
            limits.connections_per_address,
        )),
        stop: stop.clone(),
        limits,
        tls,
    });
    let tasks = TaskTracker::new();
    tasks.spawn(accept(listener, served, tasks.clone()));
    tasks.close();
    Ok(HttpServer {
        address,
        is_tls,
        stop,
        tasks,
    })
}

/// Accepts connections until the server stops.
async fn accept(listener: TcpListener, served: Arc<Served>, tasks: TaskTracker) {
    let limits = served.limits;
    let connections = Arc::new(Places::new(
        limits.connections,
        limits.connections_per_address,
    ));
    let mut forget = tokio::time::interval(FORGET_EVERY);
    let take = |stream: TcpStream, peer: SocketAddr| {
        let Some(admission) = connections.admit(host(peer.ip())) else {
            debug!(%peer, "too many connections");
            return;
        };
        // Answers are small and awaited.
        let _ = stream.set_nodelay(true);
        let socket = Socket::new(stream, admission, limits.write_timeout);
        tasks.spawn(Arc::clone(&served).connection(socket, peer));
    };
    loop {
        tokio::select! {
            () = served.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => take(stream, peer),
                Err(error) => {
                    warn!(%error, "no connection accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = forget.tick() => if let Some(requests) = &served.requests {
                requests.forget();
            },
        }
    }
}

/// Why nothing is served.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not one of this machine.
    #[error("{address} cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}
