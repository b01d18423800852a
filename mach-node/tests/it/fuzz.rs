//! Every listener against what nobody expects: each request has an answer, none is an error of the
//! server, nothing panics, and memory stays what it is. The finality API has a test of its own,
//! `finality::fuzz`, the original's JSON-RPC another, `legacy::damaged_requests_break_nothing`, and so have
//! WebSockets: `frames`.

use std::{
    process::Command,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderValue, Method, Request},
};
use mach_devnet::Devnet;
use mach_node::{
    VerifierStatus,
    breaker::{
        Breaker, BreakerConfig, BreakerLimits, FeedEvent, LocalFeed, LocalFeedSender, Policy,
    },
    dashboard,
    finality::{VerifiedView, rpc_module, verified_router},
    grpc,
    http::{JsonRpcLimits, json_rpc},
    legacy::aggregator_grpc,
    metrics::Metrics,
    node_api::{NodeApi, Service, ServiceState},
    rpc::aggregator_router,
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::{
    finality::world,
    ports::{Confirmer, aggregator, signed, statement},
};

/// Requests of each kind: `MACH_FUZZ_CASES`, or 400.
pub(crate) static CASES: LazyLock<u32> =
    LazyLock::new(|| std::env::var("MACH_FUZZ_CASES").map_or(400, |it| it.parse().unwrap()));
/// How much larger the process may be after all requests than it was after a quarter of them, in KiB.
const MAX_GROWTH: u64 = 64 * 1024;
/// Set in the process that runs one test and nothing else.
const ALONE: &str = "MACH_ALONE";
/// How long a stream is listened to that does not end.
const SOON: Duration = Duration::from_millis(20);

/// Has the test of this name run in a process of its own, whose memory no other test takes.
pub(crate) fn alone(test: &str, run: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some_and(|it| it == test) {
        return run();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let command = command.args(["--exact", test, "--nocapture"]);
    let ended = command.env(ALONE, test).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// Does something so many times, and looks at the memory of the process after a quarter of them.
pub(crate) fn in_bounded_memory(times: u32, run: impl Fn(ProptestConfig)) {
    let first = times / 4;
    run(ProptestConfig::with_cases(first));
    let before = resident();
    run(ProptestConfig::with_cases(times - first));
    let after = resident();
    println!("{before} KiB after {first} of {times}, {after} KiB after all");
    assert!(after <= before + MAX_GROWTH, "{before} KiB, then {after}");
}

/// Memory of this process in KiB, where the system tells it.
fn resident() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return 0;
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap())
}

/// A request as it comes over the wire.
#[derive(Clone, Debug)]
struct Junk {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// Bytes of which some were changed, left out or put in.
fn damaged(whole: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<usize>(), any::<u8>(), 0..4_u8);
    proptest::collection::vec(change, 0..6).prop_map(move |changes| {
        let mut bytes = whole.clone();
        for (at, byte, what) in changes {
            let at = at % bytes.len().max(1);
            match what {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => bytes[at] = byte,
                _ => bytes.extend_from_within(at.min(bytes.len())..),
            }
        }
        bytes
    })
}

fn body(right: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => select(right).prop_flat_map(damaged),
        1 => proptest::collection::vec(any::<u8>(), 0..256),
    ]
}

/// Requests to `paths`, or to others, with one of these bodies or nearly.
fn junk(paths: &[&str], kind: &'static str, right: Vec<Vec<u8>>) -> impl Strategy<Value = Junk> {
    let methods = vec![
        Method::POST,
        Method::POST,
        Method::POST,
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::OPTIONS,
        Method::DELETE,
    ];
    let known: Vec<String> = paths.iter().map(|&it| it.to_owned()).collect();
    let path = prop_oneof![
        4 => select(known.clone()),
        1 => (select(known), "[!-~&&[^#? %\"<>`{}|\\\\^]]{0,40}").prop_map(|(path, more)| path + &more),
    ];
    let kinds = vec![kind.to_owned(), "text/plain".to_owned(), String::new()];
    let headers = (
        prop_oneof![4 => Just(kind.to_owned()), 1 => select(kinds)],
        proptest::option::of("[ -~]{0,40}"),
    )
        .prop_map(|(kind, other)| {
            let mut headers = vec![("content-type", kind), ("te", "trailers".to_owned())];
            if let Some(other) = other {
                for name in ["origin", "grpc-timeout", "grpc-encoding", "x-forwarded-for"] {
                    headers.push((name, other.clone()));
                }
            }
            headers
        });
    (select(methods), path, headers, body(right)).prop_map(|(method, path, headers, body)| Junk {
        method,
        path,
        headers,
        body,
    })
}

impl Junk {
    /// What is no request at all does not get to a service.
    fn request(self) -> Option<Request<Body>> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, HeaderValue::from_str(&value).ok()?);
        }
        request.body(Body::from(self.body)).ok()
    }
}

/// Shows `router` junk, and then something right to which `is_right` has to be the answer.
fn shown(
    router: &Router,
    runtime: &tokio::runtime::Runtime,
    junk: impl Strategy<Value = Junk>,
    right: impl Fn() -> Request<Body>,
    is_right: impl Fn(u16, &[u8]) -> bool,
) {
    let ask = |request: Request<Body>| {
        runtime.block_on(async {
            let is_stream = request.uri().path() == WATCH;
            let answer = router.clone().oneshot(request).await.unwrap();
            let (head, body) = answer.into_parts();
            let body = async { to_bytes(body, 1 << 22).await.unwrap_or_default() };
            let body = match is_stream {
                true => timeout(SOON, body).await.unwrap_or_default(),
                false => body.await,
            };
            (head, body)
        })
    };
    in_bounded_memory(*CASES, |config| {
        proptest!(config, |(junk in &junk)| {
            let told = format!("{junk:?}");
            let Some(request) = junk.request() else {
                return Ok(());
            };
            let (head, body) = ask(request);
            prop_assert!(!head.status.is_server_error(), "{told}: {}", head.status);
            // The same in the words of gRPC, unknown, internal and data loss, and of JSON-RPC.
            let header = |name| head.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
            let (status, message) = (header("grpc-status"), header("grpc-message"));
            // Of a message that cannot be read gRPC itself says "internal".
            let is_unread = ["failed%20to%20decode", "protocol%20error", "Unexpected%20EOF", "Missing%20request"];
            let is_unread = is_unread.iter().any(|words| has(message, words));
            // The original has no other code for anything; what is the server's fault it says in words.
            let is_fault = ["cannot%20be%20kept", "task%20info%20failed"];
            let is_fault = is_fault.iter().any(|words| has(message, words));
            let is_legacy = status == b"2" && told.contains("/aggregator.Aggregator/") && !is_fault;
            prop_assert!(
                !matches!(status, b"2" | b"13" | b"15") || is_unread || is_legacy,
                "{told}: {head:?}"
            );
            prop_assert!(!has(&body, "-32603"), "{told}: {body:?}");
        })
    });
    let (head, body) = ask(right());
    assert!(is_right(head.status.as_u16(), &body), "{head:?} {body:?}");
}

fn has(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn call(method: &str, params: &Value) -> Vec<u8> {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    call.to_string().into_bytes()
}

fn post(body: Vec<u8>) -> Request<Body> {
    let request = Request::post("/").header("content-type", "application/json");
    request.body(Body::from(body)).unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[test]
fn the_aggregators_json_rpc() {
    alone("fuzz::the_aggregators_json_rpc", || {
        let runtime = runtime();
        let confirmer = Confirmer::default();
        let router = runtime.block_on(async { aggregator_router(aggregator(&confirmer)) });
        let open = call("mach_openRound", &json!([statement(1)]));
        let submit = call("mach_submitSignature", &json!([signed(1, 0)]));
        let batch = [b"[", &open[..], b",", &submit, b"]"].concat();
        let bodies = vec![open.clone(), submit, batch];
        let junk = junk(&["/"], "application/json", bodies);
        shown(
            &router,
            &runtime,
            junk,
            || post(open.clone()),
            |status, body| status == 200 && has(body, "\"result\""),
        );
    });
}

#[test]
fn the_finality_json_rpc() {
    alone("fuzz::the_finality_json_rpc", || {
        let runtime = runtime();
        let router = runtime.block_on(async {
            let (node, index) = (world::Node::new(9), world::index().await);
            world::show(&index, &node, 0..=9).await;
            world::attest(&index, node.reference(4)).await;
            world::accuse(&index, node.reference(8)).await;
            let limits = JsonRpcLimits {
                request: 1 << 20,
                response: 1 << 20,
                batch: 16,
            };
            json_rpc(rpc_module(index, None), limits)
        });
        let hash = format!("0x{}", "11".repeat(32));
        let bodies = vec![
            call("mach_rollups", &json!([])),
            call("mach_head", &json!([10])),
            call("mach_block", &json!([10, "4"])),
            call("mach_block", &json!([10, hash])),
            call("mach_transaction", &json!([10, hash])),
            call("mach_certificate", &json!([10, hash])),
            call("mach_alerts", &json!([10])),
            call("mach_rounds", &json!([])),
        ];
        let right = bodies[1].clone();
        let junk = junk(&["/"], "application/json", bodies);
        shown(
            &router,
            &runtime,
            junk,
            || post(right.clone()),
            |status, body| status == 200 && has(body, "finalizedByStake"),
        );
    });
}

/// A message of gRPC: not compressed, its length, its bytes.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// Messages that are read to some depth: fields 1 to 4, bytes and numbers, one in another.
fn messages() -> Vec<Vec<u8>> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let word = [7; 32];
    let block = [vec![0x08, 5], field(2, &word)].concat();
    let attestation = [
        vec![0x08, 10],
        field(2, &block),
        field(3, &word),
        field(4, &word),
    ]
    .concat();
    let inner = [field(1, &attestation), field(2, &attestation)].concat();
    let statements = [field(1, &attestation), field(2, &attestation)].map(|it| field(1, &it));
    let all = [
        statements.to_vec(),
        vec![Vec::new(), field(1, &inner), field(1, &word)],
    ]
    .concat();
    all.iter().map(|message| framed(message)).collect()
}

#[test]
fn the_aggregators_grpc() {
    alone("fuzz::the_aggregators_grpc", || {
        let runtime = runtime();
        let confirmer = Confirmer::default();
        let router = runtime.block_on(async {
            let aggregator = aggregator(&confirmer);
            let legacy = aggregator_grpc(crate::legacy::tasks());
            grpc::aggregator_router(aggregator.clone())
                .merge(grpc::rounds_router(aggregator))
                .merge(legacy)
        });
        let paths = [
            "/mach.v1.Aggregator/OpenRound",
            "/mach.v1.Aggregator/SubmitSignature",
            WATCH,
            "/mach.v1.Rounds/ListRounds",
            "/mach.v1.Rounds/GetCertificate",
            "/aggregator.Aggregator/InitOperator",
            "/aggregator.Aggregator/CreateTask",
            "/aggregator.Aggregator/ProcessSignedTaskResponse",
        ];
        let junk = junk(&paths, "application/grpc", messages());
        let right = |path: &str| {
            let request = Request::post(path);
            let request = request.header("content-type", "application/grpc");
            request.body(Body::from(framed(&[]))).unwrap()
        };
        let list = || right("/mach.v1.Rounds/ListRounds");
        shown(&router, &runtime, junk, list, |status, _| status == 200);
        // Whoever went away has left its place: there are 256.
        runtime.block_on(async {
            for _ in 0..300 {
                let answer = router.clone().oneshot(right(WATCH)).await.unwrap();
                let refused = answer.headers().get("grpc-status");
                assert!(
                    answer.status().is_success() && refused.is_none(),
                    "{answer:?}"
                );
            }
        });
    });
}

/// A stream of events, which does not end.
const WATCH: &str = "/mach.v1.Rounds/WatchRounds";

#[test]
fn the_node_api_the_metrics_and_the_dashboard() {
    alone("fuzz::the_node_api_the_metrics_and_the_dashboard", || {
        let runtime = runtime();
        let service = Service {
            id: "ServiceVerifier",
            name: "Verifier",
            description: "verifies",
            is_vital: true,
            state: Arc::new(|| ServiceState::Up),
        };
        let node = NodeApi {
            name: "mach".to_owned(),
            version: "0.1.0",
            services: vec![service],
        };
        let metrics = Metrics::new().unwrap();
        let rollup = VerifiedView::new(10, &VerifierStatus::default());
        let router = (node.router())
            .merge(metrics.router())
            .merge(verified_router("mach".to_owned(), move || {
                vec![rollup.clone()]
            }))
            .merge(dashboard::router());
        let paths = [
            "/eigen/node",
            "/eigen/node/health",
            "/eigen/node/services",
            "/eigen/node/services/ServiceVerifier/health",
            "/eigen/node/services/",
            "/metrics",
            "/v1/verified",
            "/",
            "/dashboard/app.js",
        ];
        let junk = junk(&paths, "application/json", vec![b"{}".to_vec()]);
        let right = || get("/eigen/node/health");
        shown(&router, &runtime, junk, right, |status, _| status == 200);
    });
}

/// While it serves and while it refuses.
#[test]
fn the_breaker() {
    alone("fuzz::the_breaker", || {
        let runtime = runtime();
        let (_devnet, server, serving, tripped) = runtime.block_on(async {
            let devnet = Devnet::new().unwrap();
            devnet.sequencer().produce().unwrap();
            let server = devnet.l2().serve("127.0.0.1:0".parse().unwrap()).await;
            let server = server.unwrap();
            let serving = breaker(&server.http_url(), false).await;
            let tripped = breaker(&server.http_url(), true).await;
            (devnet, server, serving, tripped)
        });
        let raw = json!(["0x02f8"]);
        let bodies = vec![
            call("eth_blockNumber", &json!([])),
            call("eth_getBlockByNumber", &json!(["latest", false])),
            call("eth_call", &json!([{ "to": null }, "latest"])),
            call("eth_sendRawTransaction", &raw),
            call(
                "eth_getLogs",
                &json!([{ "fromBlock": "0x0", "toBlock": "latest" }]),
            ),
            [&b"["[..], &call("eth_chainId", &json!([])), b"]"].concat(),
        ];
        for (breaker, _feed) in [serving, tripped] {
            let router = breaker.router();
            let paths = ["/", "/breaker/status", "/health"];
            let junk = junk(&paths, "application/json", bodies.clone());
            let right = || get("/breaker/status");
            shown(&router, &runtime, junk, right, |status, body| {
                status == 200 && has(body, "\"state\"")
            });
        }
        drop(server);
    });
}

async fn breaker(upstream: &str, is_tripped: bool) -> (Breaker, LocalFeedSender) {
    let mut config = BreakerConfig::new(901, upstream.parse().unwrap());
    config.policy = Policy::RefuseWrites;
    let (feed, receiver) = LocalFeed::new();
    let breaker = Breaker::new(&config, BreakerLimits::default(), receiver).unwrap();
    let alert = || mach_node::breaker::StandingAlert {
        digest: crate::ports::digest(1),
        statement: None,
        confirmation: None,
    };
    let alerts = is_tripped.then(alert).into_iter().collect();
    let attested = None;
    feed.send(FeedEvent::Snapshot { alerts, attested }).await;
    let state = match is_tripped {
        true => mach_node::breaker::GateState::Tripped,
        false => mach_node::breaker::GateState::Serving,
    };
    breaker.gate().reach(state).await;
    (breaker, feed)
}
