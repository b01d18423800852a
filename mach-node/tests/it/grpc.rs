//! gRPC: the same answers as in the process, for clients of any make.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use axum::Router;
use mach_core::ports::SignatureAggregator;
use mach_node::{
    grpc::{GrpcAggregator, aggregator_router, rounds_router},
    http::{HttpConfig, HttpLimits, HttpServer, serve},
};
use prost::Message;
use tonic::{Code, Request, Status, Streaming, transport::Channel};

use crate::{
    ports::{Confirmer, aggregator, confirmed, digest, signed, statement},
    rpc::{answers, one_round},
};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) async fn served(router: Router) -> HttpServer {
    serve(router, ANY_PORT).await.unwrap()
}

/// A call as any client makes it, knowing nothing but the path and the message.
pub(crate) async fn call<Q, A>(
    server: &HttpServer,
    path: &'static str,
    message: Q,
) -> Result<A, Status>
where
    Q: Message + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    let channel = channel(server).await;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    let answer = client.unary(Request::new(message), path, codec).await;
    answer.map(tonic::Response::into_inner)
}

async fn channel(server: &HttpServer) -> Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(server.url()).unwrap();
    endpoint.connect().await.unwrap()
}

#[tokio::test]
async fn a_grpc_aggregator_answers_what_one_in_the_process_does() {
    let confirmer = Confirmer::default();
    let near = answers(&one_round(&confirmer)).await;
    let server = served(aggregator_router(one_round(&confirmer))).await;
    let remote = GrpcAggregator::new(&server.url()).unwrap();
    assert_eq!(answers(&remote).await, near);
    assert_eq!(near.len(), 13);
    for url in ["", "ftp://127.0.0.1:1", "no url"] {
        assert!(GrpcAggregator::new(url).is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_confirmation_reaches_who_signs_over_grpc() {
    let confirmer = Confirmer::default();
    let inside = aggregator(&confirmer);
    let server = served(aggregator_router(inside.clone())).await;
    let remote = GrpcAggregator::new(&server.url()).unwrap();
    let round = remote.open(&statement(1)).await.unwrap();
    assert_eq!(round, inside.open(&statement(1)).await.unwrap());
    for index in 0..3 {
        remote.submit(signed(1, index)).await.unwrap();
    }
    confirmed(&inside, 1).await;
    assert_eq!(
        remote.submit(signed(1, 3)).await.unwrap(),
        inside.submit(signed(1, 3)).await.unwrap()
    );
}

#[tokio::test]
async fn an_aggregator_that_is_not_reached_over_grpc_may_be_tried_again() {
    let server = served(aggregator_router(aggregator(&Confirmer::default()))).await;
    let remote = GrpcAggregator::new(&server.url()).unwrap();
    remote.open(&statement(1)).await.unwrap();
    server.stop().await;
    let error = remote.open(&statement(1)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

/// Messages with the numbers of `proto/mach/v1/aggregator.proto`, written out.
mod by_hand {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct OpenRound {
        #[prost(message, optional, tag = "1")]
        pub(super) statement: Option<Statement>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Statement {
        #[prost(message, optional, tag = "1")]
        pub(super) alert: Option<Alert>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Alert {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint64, tag = "2")]
        pub(super) rollup_chain_id: u64,
        #[prost(message, optional, tag = "3")]
        pub(super) block: Option<Block>,
        #[prost(uint32, tag = "4")]
        pub(super) rule: u32,
        #[prost(bytes = "vec", tag = "5")]
        pub(super) claimed: Vec<u8>,
        #[prost(bytes = "vec", tag = "6")]
        pub(super) computed: Vec<u8>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Block {
        #[prost(uint64, tag = "1")]
        pub(super) number: u64,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) hash: Vec<u8>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Opened {
        #[prost(message, optional, tag = "1")]
        pub(super) round: Option<Round>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Round {
        #[prost(uint32, tag = "1")]
        pub(super) reference_block: u32,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) quorums: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub(super) thresholds: Vec<u8>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Digest {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) digest: Vec<u8>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Text {
        #[prost(string, tag = "1")]
        pub(super) text: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Empty {}
    /// Of an event, which kind it is: each is a message, bytes or a number.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Event {
        #[prost(message, optional, tag = "1")]
        pub(super) opened: Option<Digest>,
        #[prost(message, optional, tag = "2")]
        pub(super) signed: Option<Digest>,
        #[prost(message, optional, tag = "3")]
        pub(super) certified: Option<Certified>,
        #[prost(message, optional, tag = "4")]
        pub(super) confirmed: Option<Digest>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Certified {
        #[prost(message, optional, tag = "1")]
        pub(super) round: Option<Digest>,
        #[prost(string, tag = "2")]
        pub(super) certificate: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Rounds {
        #[prost(message, repeated, tag = "1")]
        pub(super) rounds: Vec<Digest>,
    }
}
use by_hand::{Alert, Block, Digest, Empty, Event, OpenRound, Opened, Rounds, Text};

fn open_round() -> OpenRound {
    let alert = crate::ports::alert(1);
    let block = Block {
        number: alert.block.number,
        hash: alert.block.hash.to_vec(),
    };
    OpenRound {
        statement: Some(by_hand::Statement {
            alert: Some(Alert {
                kind: alert.kind as i32,
                rollup_chain_id: alert.rollup_chain_id,
                block: Some(block),
                rule: alert.rule.into(),
                claimed: alert.claimed.to_vec(),
                computed: alert.computed.to_vec(),
            }),
        }),
    }
}

const OPEN: &str = "/mach.v1.Aggregator/OpenRound";

#[tokio::test]
async fn the_messages_are_those_that_are_described() {
    let server = served(aggregator_router(aggregator(&Confirmer::default()))).await;
    let opened: Opened = call(&server, OPEN, open_round()).await.unwrap();
    let round = opened.round.unwrap();
    assert_eq!((round.reference_block, round.quorums), (999, vec![0]));
    assert_eq!(round.thresholds, [66]);
}

#[tokio::test]
async fn messages_that_are_none_get_errors_and_the_server_lives_on() {
    type Change = fn(&mut Alert);
    let server = served(aggregator_router(aggregator(&Confirmer::default()))).await;
    let changes: [Change; 8] = [
        |alert| alert.kind = 0,
        |alert| alert.kind = 9,
        |alert| alert.rule = 65_536,
        |alert| alert.claimed.truncate(31),
        |alert| alert.computed.push(0),
        |alert| alert.block = None,
        |alert| alert.block.as_mut().unwrap().hash.clear(),
        |alert| alert.claimed = vec![0; 10_000],
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut request = open_round();
        let alert = request.statement.as_mut().unwrap().alert.as_mut().unwrap();
        change(alert);
        let error = call::<_, Opened>(&server, OPEN, request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{index}: {error:?}");
    }
    for request in [
        OpenRound::default(),
        OpenRound {
            statement: Some(Default::default()),
        },
    ] {
        let error = call::<_, Opened>(&server, OPEN, request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
    }
    // Longer than anything that is read; no such method; bytes that are no message.
    let long = Text {
        text: "a".repeat(20_000),
    };
    let error = call::<_, Opened>(&server, OPEN, long).await.unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange, "{error:?}");
    let unknown = "/mach.v1.Aggregator/CloseRound";
    let error = call::<_, Opened>(&server, unknown, open_round())
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented, "{error:?}");
    let garbage = Text {
        text: "\u{ff}\u{ff}".to_owned(),
    };
    let error = call::<_, Opened>(&server, OPEN, garbage).await.unwrap_err();
    assert!(
        matches!(error.code(), Code::Internal | Code::InvalidArgument),
        "{error:?}"
    );
    let _: Opened = call(&server, OPEN, open_round()).await.unwrap();
}

const WATCH: &str = "/mach.v1.Rounds/WatchRounds";

async fn watch(channel: Channel) -> Result<Streaming<Event>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(WATCH);
    let codec = tonic_prost::ProstCodec::<Empty, Event>::default();
    let request = Request::new(Empty {});
    let events = client.server_streaming(request, path, codec).await;
    events.map(tonic::Response::into_inner)
}

/// As of answers that are not taken: one event is enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_and_takes_nothing_is_cut_off() {
    let inside = aggregator(&Confirmer::default());
    let limits = HttpLimits {
        write_timeout: Duration::from_secs(3),
        ..HttpLimits::default()
    };
    let config = HttpConfig::new(ANY_PORT).with_limits(limits);
    let server = serve(rounds_router(inside.clone()), config).await.unwrap();
    let mut reading = watch(channel(&server).await).await.unwrap();

    let stream = tokio::net::TcpStream::connect(server.address()).await;
    let mut builder = h2::client::Builder::new();
    let handshake = builder.initial_window_size(0).handshake(stream.unwrap());
    let (mut client, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let request = tonic::codegen::http::Request::post(format!("http://mach{WATCH}"));
    let request = request.header("content-type", "application/grpc");
    let (answer, mut body) = client
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    // An empty message: not compressed, no bytes.
    let message = axum::body::Bytes::from_static(&[0; 5]);
    body.send_data(message, true).unwrap();
    let _answer = answer.await.unwrap();

    inside.open(&statement(1)).await.unwrap();
    inside.submit(signed(1, 0)).await.unwrap();
    let cut_off = tokio::time::timeout(Duration::from_secs(20), connection).await;
    assert!(cut_off.is_ok(), "never cut off");
    let event = reading.message().await.unwrap().unwrap();
    assert!(event.opened.is_some(), "{event:?}");
    inside.submit(signed(1, 1)).await.unwrap();
    let event = reading.message().await.unwrap().unwrap();
    assert!(event.signed.is_some(), "{event:?}");
}

#[tokio::test]
async fn one_host_does_not_watch_from_every_place() {
    let inside = aggregator(&Confirmer::default());
    let server = served(rounds_router(inside)).await;
    // As many as go over one connection.
    let (first, second) = (channel(&server).await, channel(&server).await);
    let mut watching = Vec::new();
    for _ in 0..64 {
        watching.push(watch(first.clone()).await.unwrap());
    }
    let refused = watch(second.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(watching.pop());
    let start = Instant::now();
    while let Err(refused) = watch(second.clone()).await {
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(start.elapsed() < Duration::from_secs(20), "never free");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn rounds_are_listed_and_watched_as_they_go() {
    let confirmer = Confirmer::default();
    let inside = aggregator(&confirmer);
    let router = aggregator_router(inside.clone()).merge(rounds_router(inside.clone()));
    let server = served(router).await;
    let mut events = watch(channel(&server).await).await.unwrap();

    let remote = GrpcAggregator::new(&server.url()).unwrap();
    remote.open(&statement(1)).await.unwrap();
    for index in 0..3 {
        remote.submit(signed(1, index)).await.unwrap();
    }
    let mut kinds = Vec::new();
    let mut file = None;
    while kinds.last() != Some(&"confirmed") {
        let event = events.message().await.unwrap().unwrap();
        let (kind, round) = match event {
            Event {
                opened: Some(round),
                ..
            } => ("opened", round),
            Event {
                signed: Some(round),
                ..
            } => ("signed", round),
            Event {
                certified: Some(certified),
                ..
            } => {
                file = Some(certified.certificate);
                ("certified", certified.round.unwrap())
            }
            Event {
                confirmed: Some(round),
                ..
            } => ("confirmed", round),
            other => panic!("{other:?}"),
        };
        assert_eq!(round.digest, digest(1).to_vec());
        kinds.push(kind);
    }
    kinds.dedup();
    assert_eq!(kinds, ["opened", "signed", "certified", "confirmed"]);
    let list = "/mach.v1.Rounds/ListRounds";
    let listed: Rounds = call(&server, list, Empty {}).await.unwrap();
    assert_eq!(
        listed.rounds,
        [Digest {
            digest: digest(1).to_vec()
        }]
    );

    let get = "/mach.v1.Rounds/GetCertificate";
    let wanted = |digest: Vec<u8>| Digest { digest };
    let found: Text = call(&server, get, wanted(digest(1).to_vec()))
        .await
        .unwrap();
    assert_eq!(Some(&found.text), file.as_ref());
    let certificate: mach_core::Certificate = serde_json::from_str(&found.text).unwrap();
    assert_eq!(certificate.digest(), digest(1));
    for (asked, code) in [
        (digest(2).to_vec(), Code::NotFound),
        (vec![1], Code::InvalidArgument),
    ] {
        let error = call::<_, Text>(&server, get, wanted(asked))
            .await
            .unwrap_err();
        assert_eq!(error.code(), code);
    }
}

/// By `@grpc/grpc-js`, which reads the descriptions. `MACH_GRPC_JS` names a folder in which
/// `npm install` of `tests/grpc-js/package.json` was run; without it this is skipped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_implementation_of_grpc_is_understood() {
    let Some(modules) = std::env::var_os("MACH_GRPC_JS") else {
        println!("skipped: MACH_GRPC_JS is not set");
        return;
    };
    let inside = aggregator(&Confirmer::default());
    let tasks = crate::legacy::tasks();
    let router = aggregator_router(inside.clone())
        .merge(rounds_router(inside))
        .merge(mach_node::legacy::aggregator_grpc(tasks));
    let server = served(router).await;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = std::process::Command::new("node");
    node.arg(root.join("tests/grpc-js/client.mjs"))
        .arg(server.url())
        .arg(modules)
        .arg(root.join("proto"));
    let output = tokio::task::spawn_blocking(move || node.output()).await;
    let output = output.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // Base64 of quorum 0 and of 66 %.
    let round =
        serde_json::json!({ "referenceBlock": 999, "quorums": "AA==", "thresholds": "Qg==" });
    assert_eq!(said["opened"]["round"], round);
    assert_eq!(said["short"]["code"], Code::InvalidArgument as i32);
    assert_eq!(said["short"]["message"], "claimed is malformed");
    assert_eq!(said["stranger"]["code"], Code::PermissionDenied as i32);
    let info = &said["created"]["info"];
    assert_eq!(
        (&info["referenceBlockNumber"], &info["quorumNumbers"]),
        (&"999".into(), &"AA==".into())
    );
    let words = "createTask parse request falied: alertHash len should be 32";
    assert_eq!(
        said["wrong"],
        serde_json::json!({ "code": 2, "message": words })
    );
    assert_eq!(said["missing"]["code"], Code::NotFound as i32);
}
