//! Requests, counted by what they ask for.

use std::time::Instant;

use axum::{extract::Request, middleware::Next, response::Response};
use metrics::{counter, histogram};

/// Counts a request, and how long it takes until its answer begins.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let route = route(request.uri().path());
    let started = Instant::now();
    let answer = next.run(request).await;
    let status = answer.status().as_u16().to_string();
    counter!("mach_api_requests", "route" => route, "status" => status).increment(1);
    let times = histogram!("mach_api_request_duration_seconds", "route" => route);
    times.record(started.elapsed());
    answer
}

/// What is asked for. There are only so many, whatever anybody asks for.
fn route(path: &str) -> &'static str {
    let path = path.trim_start_matches('/');
    let path = path.strip_prefix("v1/").unwrap_or(path);
    let parts: Vec<_> = path.split('/').take(6).collect();
    match parts.as_slice() {
        ["openapi.json"] => "openapi",
        ["rollups"] => "rollups",
        ["rollups", _] => "rollup",
        ["rollups", _, "head"] => "head",
        ["rollups", _, "blocks", _] => "block",
        ["rollups", _, "transactions", _] => "transaction",
        ["rollups", _, "certificates"] => "certificates",
        ["rollups", _, "certificates", _] => "certificate",
        ["rollups", _, "evidence", _] => "bundles",
        ["rollups", _, "evidence", _, _] => "bundle",
        ["node"] => "node",
        ["rounds"] => "rounds",
        ["alerts"] => "alerts",
        ["events"] => "events",
        ["ws"] => "ws",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::route;
    use crate::{
        finality::{FinalityConfig, FinalityIndex, openapi, router},
        metrics::Metrics,
        store::MemoryStore,
    };
    use axum::{body::Body, http::Request};
    use mach_core::Domain;
    use tower::ServiceExt;

    #[test]
    fn every_path_of_the_document_is_counted_by_itself() {
        let document = openapi();
        let paths = document.paths.paths.keys();
        let routes: BTreeSet<_> = paths.map(|path| route(path)).collect();
        assert_eq!(routes.len(), document.paths.paths.len(), "{routes:?}");
        assert!(!routes.contains("other"), "{routes:?}");
    }

    #[test]
    fn requests_are_counted_by_what_they_ask_for() {
        // What counts is the recorder of the thread.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let metrics = Metrics::new().unwrap();
        let domain = Domain {
            l1_chain_id: 1,
            service_manager: Default::default(),
        };
        let ask = async {
            let config = FinalityConfig::new(domain, [10]);
            let index = FinalityIndex::open(MemoryStore::new(), config)
                .await
                .unwrap();
            for path in [
                "/v1/rollups",
                "/v1/rollups/10/blocks/5",
                "/v1/rollups/10/blocks/6",
                "/v1/rollups/11/head",
                "/v1/no/such/thing",
                "/v1/nor/this",
            ] {
                let request = Request::get(path).body(Body::empty()).unwrap();
                router(index.clone(), None).oneshot(request).await.unwrap();
            }
        };
        metrics.locally(|| runtime.block_on(ask));
        let text = metrics.render();
        for line in [
            r#"mach_api_requests{route="rollups",status="200"} 1"#,
            r#"mach_api_requests{route="block",status="200"} 2"#,
            r#"mach_api_requests{route="head",status="404"} 1"#,
            r#"mach_api_requests{route="other",status="404"} 2"#,
            r#"mach_api_request_duration_seconds_count{route="block"} 2"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
    }
}
