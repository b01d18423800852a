//! Every endpoint against what nobody expects: there is an answer, and it is no 5xx.

use std::{env, net::Ipv4Addr, process::Command};

use alloy_primitives::B256;
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use mach_node::{
    finality::{FinalityIndex, openapi, router},
    http::{HttpConfig, HttpLimits, serve},
};
use proptest::prelude::*;
use tower::ServiceExt;

use super::world::{Node, accuse, attest, index, show, transaction};
use crate::{
    fuzz::{CASES, alone, in_bounded_memory},
    ports::ROLLUP,
};

async fn world() -> FinalityIndex {
    let (node, index) = (Node::new(9), index().await);
    show(&index, &node, 0..=9).await;
    attest(&index, node.reference(4)).await;
    accuse(&index, node.reference(8)).await;
    index
}

/// What a place in a path or a query may hold: right, nearly right, or anything.
fn value() -> impl Strategy<Value = String> {
    let right = [
        ROLLUP.to_string(),
        "4".to_owned(),
        "0".to_owned(),
        u64::MAX.to_string(),
        transaction(3).to_string(),
        B256::ZERO.to_string(),
        "18446744073709551616".to_owned(),
        "0x".to_owned(),
        "%00".to_owned(),
        "%ff%fe".to_owned(),
        "..".to_owned(),
        String::new(),
    ];
    prop_oneof![
        proptest::sample::select(right.to_vec()),
        "[0-9]{1,40}",
        "0x[0-9a-fA-F]{0,80}",
        "[!-~&&[^#?/ %\"<>`{}|\\\\^]]{0,200}",
        "(%[0-9a-f]{2}){0,40}",
    ]
}

fn paths() -> Vec<String> {
    openapi().paths.paths.keys().cloned().collect()
}

/// A path of the document with something in its places.
fn path() -> impl Strategy<Value = String> {
    let values = proptest::collection::vec(value(), 3);
    (proptest::sample::select(paths()), values).prop_map(|(path, values)| {
        let mut values = values.into_iter();
        let segments = path.split('/').map(|segment| match segment {
            place if place.starts_with('{') => values.next().unwrap_or_default(),
            segment => segment.to_owned(),
        });
        segments.collect::<Vec<_>>().join("/")
    })
}

fn query() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "rollup",
        "limit",
        "before",
        "lastEventId",
        "other",
        "",
    ]);
    let pair = (name, value()).prop_map(|(name, value)| format!("{name}={value}"));
    proptest::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"))
}

#[test]
fn no_request_makes_a_server_error() {
    alone("finality::fuzz::no_request_makes_a_server_error", || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let router = runtime.block_on(async { router(world().await, None) });
        let methods = [
            Method::GET,
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::OPTIONS,
        ];
        let header = proptest::option::of("[ -~]{0,40}");
        let body = proptest::collection::vec(any::<u8>(), 0..64);
        let request = (
            proptest::sample::select(methods.to_vec()),
            path(),
            query(),
            header,
            body,
        );
        in_bounded_memory(*CASES * 15 / 2, |config| {
            proptest!(config, |((method, path, query, header, body) in &request)| {
                let uri = format!("{path}?{query}");
                let mut request = Request::builder().method(method).uri(&uri);
                for name in ["last-event-id", "upgrade", "origin"] {
                    if let Some(header) = &header {
                        request = request.header(name, header);
                    }
                }
                // What is no URI does not get here.
                let Ok(request) = request.body(Body::from(body)) else {
                    return Ok(());
                };
                let answer = runtime.block_on(async { router.clone().oneshot(request).await.unwrap() });
                let status = answer.status();
                prop_assert!(!status.is_server_error(), "{uri}: {status}");
                if status.is_client_error() {
                    prop_assert_eq!(&answer.headers()["content-type"], "application/problem+json");
                }
            })
        });
        let request = Request::get("/v1/rollups").body(Body::empty()).unwrap();
        let answer = runtime.block_on(async { router.oneshot(request).await.unwrap() });
        assert_eq!(answer.status(), StatusCode::OK);
    });
}

/// Schemathesis makes requests from the document, and holds the answers against it. `MACH_SCHEMATHESIS`
/// is the program, `MACH_SCHEMATHESIS_EXAMPLES` how many requests it makes of each kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_as_the_document_says() {
    let Some(program) = env::var_os("MACH_SCHEMATHESIS") else {
        println!("skipped: MACH_SCHEMATHESIS is not set");
        return;
    };
    let examples = env::var("MACH_SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "20".to_owned());
    let limits = HttpLimits {
        rate: None,
        ..HttpLimits::default()
    };
    let config = HttpConfig::new((Ipv4Addr::LOCALHOST, 0).into()).with_limits(limits);
    let server = serve(router(world().await, None), config).await.unwrap();
    let document = format!("{}/v1/openapi.json", server.url());
    let folder = tempfile::tempdir().unwrap();
    let run = move || {
        let mut command = Command::new(program);
        command.args(["run", &document, "--max-examples", &examples, "--seed", "1"]);
        // Streams do not end.
        command.args(["--exclude-path", "/v1/events", "--exclude-path", "/v1/ws"]);
        command.current_dir(folder.path()).output()
    };
    let run = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}");
}
