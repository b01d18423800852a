//! Questions over HTTP and JSON-RPC.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use alloy_primitives::B256;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use futures::future::{join, join_all};
use mach_bls::verify_self_contained;
use mach_core::CertificateFile;
use mach_node::{
    RoundView,
    finality::{
        AlertView, Beside, BlockView, Finality, FinalityIndex, RollupView, Rounds, openapi, router,
        router_with, rpc_module,
    },
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::world::{Node, accuse, attest, attestation, index, show, signed, transaction};
use crate::ports::{Confirmer, ROLLUP, aggregator, confirmation, id};
use mach_core::ports::SignatureAggregator;

struct Answer {
    status: StatusCode,
    kind: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn ask(router: &Router, method: Method, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let kind = answer.headers().get("content-type");
    let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let body = to_bytes(answer.into_body(), 1 << 20)
        .await
        .unwrap()
        .to_vec();
    Answer { status, kind, body }
}

async fn get(router: &Router, path: &str) -> Value {
    let answer = ask(router, Method::GET, path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.json());
    answer.json()
}

/// Blocks 0 to 9, of which the fourth is attested and on L1, and the eighth is wrong.
async fn world() -> (Node, FinalityIndex, [B256; 2]) {
    let (node, index) = (Node::new(9), index().await);
    show(&index, &node, 0..=9).await;
    let digest = attest(&index, node.reference(4)).await;
    index.confirmed(&confirmation(digest)).await.unwrap();
    let alert = accuse(&index, node.reference(8)).await;
    (node, index, [digest, alert])
}

#[tokio::test]
async fn what_is_asked_over_rest_is_what_the_index_says() {
    let (node, index, [digest, alert]) = world().await;
    let router = router(index.clone(), None);
    let rollups: Vec<RollupView> =
        serde_json::from_value(get(&router, "/v1/rollups").await).unwrap();
    assert_eq!(rollups, index.rollups());
    assert_eq!(
        get(&router, "/v1/rollups/10").await,
        serde_json::to_value(&rollups[0]).unwrap()
    );

    let head = get(&router, "/v1/rollups/10/head").await;
    let block = |number| json!({ "number": number, "hash": node.get(number).hash() });
    assert_eq!(
        head,
        json!({ "seen": block(9), "finalizedByStake": block(4), "confirmed": block(4) })
    );
    for (which, status) in [
        ("3".to_owned(), "confirmed"),
        ("5".to_owned(), "seen"),
        (node.get(9).hash().to_string(), "alerted"),
        ("77".to_owned(), "unknown"),
        (B256::ZERO.to_string(), "unknown"),
    ] {
        let path = format!("/v1/rollups/10/blocks/{which}");
        assert_eq!(get(&router, &path).await["status"], status, "{which}");
    }
    let path = format!("/v1/rollups/10/transactions/{}", transaction(3));
    let view = get(&router, &path).await;
    assert_eq!(view["status"], "confirmed");
    assert_eq!(view["block"], block(3));
    assert_eq!(view["transaction"], transaction(3).to_string());
    assert_eq!(view["stake"]["percent"], 75);
    assert_eq!(view["stake"]["quorums"][0]["signed"], "300");

    let alerts: Vec<AlertView> =
        serde_json::from_value(get(&router, "/v1/alerts?rollup=10").await).unwrap();
    assert_eq!(alerts, index.alerts(ROLLUP).unwrap());
    assert_eq!(alerts[0].digest, alert);
    for which in [digest.to_string(), "4".to_owned(), alert.to_string()] {
        let path = format!("/v1/rollups/10/certificates/{which}");
        let answer = ask(&router, Method::GET, &path).await;
        assert_eq!(answer.kind, "application/json");
        let file: CertificateFile = CertificateFile::from_json(&answer.body).unwrap();
        verify_self_contained(&file.0).unwrap();
    }
}

#[tokio::test]
async fn certificates_come_in_parts() {
    let (node, index) = (Node::new(9), index().await);
    for number in [1, 3, 5, 7, 9] {
        attest(&index, node.reference(number)).await;
    }
    // Of one height there are two, and none of them falls between two parts.
    let other = Node::new(9);
    other.fork(7, 1);
    attest(&index, other.reference(7)).await;
    let router = router(index, None);
    let mut parts = Vec::new();
    let mut path = "/v1/rollups/10/certificates?limit=2".to_owned();
    loop {
        let page = get(&router, &path).await;
        let part = page["attestations"].as_array().unwrap().iter();
        let part = part.map(|it| it["block"]["number"].as_u64().unwrap());
        parts.push(part.collect::<Vec<_>>());
        let Some(next) = page["next"].as_u64() else {
            break;
        };
        path = format!("/v1/rollups/10/certificates?limit=2&before={next}");
    }
    assert_eq!(parts, [vec![9, 7, 7], vec![5, 3], vec![1]]);
}

#[tokio::test]
async fn rounds_are_those_of_the_aggregator() {
    let (node, index, _) = world().await;
    let aggregator = aggregator(&Confirmer::default());
    let statement = attestation(node.reference(6));
    aggregator.open(&statement).await.unwrap();
    aggregator.submit(signed(&statement, 2)).await.unwrap();
    let rounds = Rounds::new(move || aggregator.rounds());
    let router = router(index, Some(rounds));
    let rounds = get(&router, "/v1/rounds").await;
    assert_eq!(rounds[0]["signers"], json!([id(2)]));
    assert_eq!(rounds[0]["absent"].as_array().unwrap().len(), 3);
    assert_eq!(rounds[0]["state"], json!({ "state": "collecting" }));
    assert_eq!(rounds, get(&router, "/v1/rounds?rollup=10").await);
}

/// However many ask, and in whichever way: of thousands of operators they are long.
#[tokio::test(start_paused = true)]
async fn reports_of_rounds_are_made_once_in_half_a_second() {
    let (node, index, _) = world().await;
    let aggregator = aggregator(&Confirmer::default());
    let statement = attestation(node.reference(6));
    aggregator.open(&statement).await.unwrap();
    aggregator.submit(signed(&statement, 2)).await.unwrap();
    let round = aggregator.rounds().remove(0);
    let made = Arc::new(AtomicU32::new(0));
    let making = Arc::clone(&made);
    let rounds = Rounds::new(move || {
        vec![RoundView {
            reference_block: making.fetch_add(1, Ordering::SeqCst),
            ..round.clone()
        }]
    });
    let module = rpc_module(index.clone(), Some(rounds.clone()));
    let router = router(index, Some(rounds));
    let over_rest = || get(&router, "/v1/rounds");
    let over_rpc = || module.call::<_, Value>("mach_rounds", [(); 0]);

    let many = join(
        join_all((0..20).map(|_| over_rest())),
        join_all((0..20).map(|_| over_rpc())),
    );
    let (rest, rpc) = many.await;
    let first = rest[0].clone();
    assert_eq!(first[0]["signers"], json!([id(2)]));
    assert_eq!(first[0]["referenceBlock"], 0);
    assert!(rest.iter().all(|it| *it == first));
    assert!(rpc.into_iter().all(|it| it.unwrap() == first));
    assert_eq!(made.load(Ordering::SeqCst), 1);

    tokio::time::advance(Duration::from_millis(499)).await;
    assert_eq!(over_rest().await, first);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(over_rpc().await.unwrap()[0]["referenceBlock"], 1);
    assert_eq!(over_rest().await[0]["referenceBlock"], 1);
    // Those of one rollup are others.
    let of_rollup: Value = module.call("mach_rounds", [ROLLUP]).await.unwrap();
    assert_eq!(of_rollup[0]["referenceBlock"], 2);
    assert_eq!(get(&router, "/v1/rounds?rollup=10").await, of_rollup);
    assert_eq!(made.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_a_problem() {
    let (_, index, _) = world().await;
    let router = router(index, None);
    let hash = "0x".to_owned() + &"1".repeat(64);
    let malformed = StatusCode::BAD_REQUEST;
    let missing = StatusCode::NOT_FOUND;
    let cases = [
        ("/v1".to_owned(), missing),
        ("/v1/".to_owned(), missing),
        ("/v1/nothing".to_owned(), missing),
        ("/v1/rollups/11".to_owned(), missing),
        ("/v1/rollups/11/head".to_owned(), missing),
        ("/v1/rollups/x/head".to_owned(), malformed),
        ("/v1/rollups/-1/head".to_owned(), malformed),
        ("/v1/rollups/+10/head".to_owned(), malformed),
        (
            "/v1/rollups/18446744073709551616/head".to_owned(),
            malformed,
        ),
        ("/v1/rollups/%ff/head".to_owned(), malformed),
        ("/v1/rollups/10/blocks/0x1".to_owned(), malformed),
        ("/v1/rollups/10/blocks/latest".to_owned(), malformed),
        (format!("/v1/rollups/10/blocks/{hash}0"), malformed),
        (format!("/v1/rollups/11/blocks/{hash}"), missing),
        ("/v1/rollups/10/transactions/5".to_owned(), malformed),
        (format!("/v1/rollups/10/certificates/{hash}"), missing),
        ("/v1/rollups/10/certificates/5".to_owned(), missing),
        ("/v1/rollups/10/certificates?limit=0".to_owned(), malformed),
        (
            "/v1/rollups/10/certificates?limit=101".to_owned(),
            malformed,
        ),
        (
            "/v1/rollups/10/certificates?before=-1".to_owned(),
            malformed,
        ),
        (
            "/v1/rollups/10/certificates?before=9223372036854775808".to_owned(),
            malformed,
        ),
        ("/v1/rollups/10/certificates?other=1".to_owned(), malformed),
        ("/v1/alerts?rollup=".to_owned(), malformed),
        ("/v1/alerts?rollup=11".to_owned(), missing),
        ("/v1/rounds?rollup=11".to_owned(), missing),
        ("/v1/events?rollup=11".to_owned(), missing),
        ("/v1/events?lastEventId=x".to_owned(), malformed),
        ("/v1/ws".to_owned(), malformed),
    ];
    for (path, status) in cases {
        let answer = ask(&router, Method::GET, &path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.kind, "application/problem+json", "{path}");
        assert_eq!(answer.json()["status"], status.as_u16(), "{path}");
        assert!(
            answer.json()["detail"]
                .as_str()
                .is_some_and(|it| !it.is_empty()),
            "{path}"
        );
    }
    for method in [Method::POST, Method::DELETE, Method::PUT] {
        let answer = ask(&router, method, "/v1/rollups").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.kind, "application/problem+json");
    }
}

/// Every path of the document is served, and no other is in it.
#[tokio::test]
async fn the_document_is_about_what_is_served() {
    let (_, index, _) = world().await;
    let router = router(index, None);
    let document = get(&router, "/v1/openapi.json").await;
    assert_eq!(document, serde_json::to_value(openapi()).unwrap());
    let paths: BTreeSet<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths.len(), 14);
    for path in paths {
        let asked = path
            .replace("{rollup}", "10")
            .replace("{block}", "4")
            .replace("{statement}", "4")
            .replace("{hash}", &transaction(4).to_string());
        // Streams do not end, so that another method is asked for.
        let answer = ask(&router, Method::PATCH, &asked).await;
        let is_served = answer.status != StatusCode::NOT_FOUND;
        assert!(is_served, "{path}");
    }
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is described");
    }
}

/// It knows what is certified as the others do, and the rounds are not its own.
#[tokio::test]
async fn an_instance_that_stands_by_says_so() {
    let (_, index, _) = world().await;
    let alone = get(&router(index.clone(), None), "/v1/node").await;
    assert_eq!(
        (&alone["leads"], &alone["verifiers"]),
        (&json!(true), &json!([]))
    );
    let beside = Beside {
        leads: Some(Arc::new(|| false)),
        ..Beside::default()
    };
    let standing_by = router_with(index, beside);
    assert_eq!(get(&standing_by, "/v1/node").await["leads"], false);
    assert_eq!(get(&standing_by, "/v1/rounds").await, json!([]));
    let head = get(&standing_by, &format!("/v1/rollups/{ROLLUP}/head")).await;
    assert!(head["finalizedByStake"]["number"].is_u64(), "{head}");
}

#[tokio::test]
async fn json_rpc_says_the_same() {
    let (node, index, [digest, _]) = world().await;
    let module = rpc_module(index.clone(), None);
    let head: Value = module.call("mach_head", [ROLLUP]).await.unwrap();
    assert_eq!(
        head,
        serde_json::to_value(index.heads(ROLLUP).unwrap()).unwrap()
    );
    let view: BlockView = module.call("mach_block", (ROLLUP, "3")).await.unwrap();
    assert_eq!(view.status, Finality::Confirmed);
    let hash = node.get(9).hash();
    let view: BlockView = module.call("mach_block", (ROLLUP, hash)).await.unwrap();
    assert_eq!(view.status, Finality::Alerted);
    let view: Value = (module
        .call("mach_transaction", (ROLLUP, transaction(3)))
        .await)
        .unwrap();
    assert_eq!(view["status"], "confirmed");
    let certificate: mach_core::Certificate = module
        .call("mach_certificate", (ROLLUP, digest))
        .await
        .unwrap();
    verify_self_contained(&certificate).unwrap();
    let alerts: Vec<AlertView> = module.call("mach_alerts", [(); 0]).await.unwrap();
    assert_eq!(alerts, index.alerts(ROLLUP).unwrap());
    let rollups: Vec<RollupView> = module.call("mach_rollups", [(); 0]).await.unwrap();
    assert_eq!(rollups, index.rollups());
    for (request, code) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"mach_head","params":[11]}"#,
            1,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"mach_block","params":[10,"x"]}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"mach_block","params":[10]}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"mach_head","params":["10"]}"#,
            -32602,
        ),
    ] {
        let (answer, _) = module.raw_json_request(request, 1).await.unwrap();
        let answer: Value = serde_json::from_str(answer.get()).unwrap();
        assert_eq!(answer["error"]["code"], code, "{request}");
    }
}
