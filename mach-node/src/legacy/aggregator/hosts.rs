//! Which names the server goes by.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header::HOST},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

/// Host names that requests may be made to, as go-ethereum's `vhosts`: an address is always one, a
/// name only if it is in the list, or if `*` is. It keeps web pages from reaching a server inside a
/// network under a name of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualHosts(Vec<String>);

impl VirtualHosts {
    /// Whether a request to `host`, with or without a port, is answered.
    pub fn permits(&self, host: &str) -> bool {
        // A port is behind the last colon, unless that is one of an IPv6 address.
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        host.is_empty()
            || is_address(bare.unwrap_or(name))
            || is_address(host)
            || (self.0.iter()).any(|it| it == "*" || it.eq_ignore_ascii_case(name))
    }

    /// `router`, for permitted hosts only: others get 403.
    pub(super) fn guard(self, router: Router) -> Router {
        let hosts = Arc::new(self);
        router.layer(middleware::from_fn(move |request: Request, next: Next| {
            guard(Arc::clone(&hosts), request, next)
        }))
    }
}

impl<T: Into<String>> FromIterator<T> for VirtualHosts {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

async fn guard(hosts: Arc<VirtualHosts>, request: Request, next: Next) -> Response {
    // HTTP/2 has it in the address.
    let named = request.uri().authority().map(|it| it.as_str().to_owned());
    let header = || Some(request.headers().get(HOST)?.to_str().ok()?.to_owned());
    let host = named.or_else(header).unwrap_or_default();
    if hosts.permits(&host) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "invalid host specified\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_always_hosts_and_names_only_if_they_are_listed() {
        let none = VirtualHosts::default();
        let some: VirtualHosts = ["Aggregator.example"].into_iter().collect();
        let all: VirtualHosts = ["*"].into_iter().collect();
        for (host, by_none, by_some) in [
            ("", true, true),
            ("127.0.0.1", true, true),
            ("127.0.0.1:8290", true, true),
            ("[::1]:8290", true, true),
            ("::1", true, true),
            ("aggregator.example", false, true),
            ("AGGREGATOR.example:8290", false, true),
            ("localhost:8290", false, false),
            ("aggregator.example.evil", false, false),
        ] {
            assert_eq!(none.permits(host), by_none, "{host}");
            assert_eq!(some.permits(host), by_some, "{host}");
            assert!(all.permits(host), "{host}");
        }
    }
}
