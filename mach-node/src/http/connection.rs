//! One connection, from its first byte to its last.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, Response, StatusCode, header::RETRY_AFTER},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::debug;

use super::{
    HttpLimits,
    activity::{self, Activity},
    admission::{Places, host},
    rate::Requests,
    socket::Socket,
};

/// Most bytes of the head of a request.
const HEAD_BYTES: u32 = 64 * 1024;
/// Most requests that one HTTP/2 connection has at a time.
const STREAMS: u32 = 64;

/// What all connections of a server share.
pub(super) struct Served {
    pub(super) router: Router,
    pub(super) limits: HttpLimits,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) requests: Option<Requests>,
    pub(super) in_progress: Arc<Places>,
    pub(super) stop: CancellationToken,
}

impl Served {
    /// Serves a connection until it ends, has to end, or the server stops.
    pub(super) async fn connection(self: Arc<Self>, socket: Socket, peer: SocketAddr) {
        let activity = Activity::new();
        let serving = async {
            match &self.tls {
                None => self.serve(socket, peer, &activity).await,
                Some(acceptor) => {
                    let handshake = acceptor.accept(socket);
                    match self.stop.run_until_cancelled(handshake).await {
                        Some(Ok(stream)) => self.serve(stream, peer, &activity).await,
                        Some(Err(error)) => debug!(%peer, %error, "no TLS"),
                        None => {}
                    }
                }
            }
        };
        tokio::select! {
            () = serving => {}
            () = activity.overdue(&self.limits) => debug!(%peer, "connection cut off"),
        }
    }

    async fn serve(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        activity: &Arc<Activity>,
    ) {
        let mut builder = Builder::new(TokioExecutor::new());
        // When a head takes too long is seen to for both versions alike.
        builder
            .http1()
            .max_buf_size(HEAD_BYTES as usize)
            .header_read_timeout(None);
        // A peer that is gone without a word is found out.
        builder
            .http2()
            .max_header_list_size(HEAD_BYTES)
            .max_concurrent_streams(STREAMS)
            .max_send_buf_size(activity::PART)
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.write_timeout)
            .keep_alive_timeout(self.limits.write_timeout);
        let service = service_fn(|request| {
            let (this, active) = (Arc::clone(self), activity.begin());
            async move { Ok::<_, Infallible>(this.answer(request, peer, active).await) }
        });
        let mut connection =
            std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let ending = tokio::time::timeout(self.limits.grace, connection);
                ending.await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = served {
            debug!(%peer, error = &*error, "connection ended");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        active: activity::Request,
    ) -> Response<Body> {
        let from = host(peer.ip());
        let admitted = (self.requests.as_ref()).map_or(Ok(()), |it| it.admit(from));
        let admitted = admitted.and_then(|()| (self.in_progress.admit(from)).ok_or(Duration::ZERO));
        let (answer, place) = match admitted {
            Ok(place) => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                let Ok(answer) = self.router.clone().oneshot(request).await;
                (answer, Some(place))
            }
            Err(wait) => {
                let mut answer = Response::new(Body::from("too many requests"));
                *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                // Whole seconds, rounded up.
                let seconds = HeaderValue::from(wait.as_secs() + 1);
                answer.headers_mut().insert(RETRY_AFTER, seconds);
                (answer, None)
            }
        };
        active.answer(answer, place, &self.limits)
    }
}
