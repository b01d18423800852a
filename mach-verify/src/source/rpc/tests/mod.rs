//! A node that is as bad as the script says, over a real socket.

mod lies;

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::atomic::AtomicUsize,
    time::{Duration, Instant},
};

use alloy_primitives::U64;
use mach_core::ports::L2Source;
use serde_json::{Value, json};

use super::{
    scripted::{Reply, Scripted, answer, not_found},
    *,
};

/// Long enough for a machine that is busy, and no retries.
fn options() -> RpcOptions {
    RpcOptions {
        timeout: Duration::from_secs(60),
        max_response_bytes: 100_000,
        retries: 0,
        ..Default::default()
    }
}

fn source(server: &Scripted, options: &RpcOptions) -> RpcSource {
    RpcSource::at(server.url(), 10, options).unwrap()
}

fn http_error(error: &SourceError) -> Option<&HttpError> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// The error with all its causes.
fn shown(error: &SourceError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn block(number: BlockNumber) -> L2Block {
    let header = Header {
        number,
        transactions_root: alloy_consensus::EMPTY_ROOT_HASH,
        ..Default::default()
    };
    L2Block::new(10, header, Vec::new())
}

/// An honest node with empty blocks up to `head`.
fn honest(method: &str, params: &Value, head: BlockNumber) -> Result<Value, Value> {
    let number = params[0].as_str().and_then(|it| it.strip_prefix("0x"));
    let number = number
        .and_then(|it| u64::from_str_radix(it, 16).ok())
        .unwrap_or(head);
    let found = block(number);
    match method {
        "eth_chainId" => Ok(json!("0xa")),
        "eth_getBlockByNumber" if number > head => Ok(Value::Null),
        "eth_getBlockByNumber" => {
            let mut json = serde_json::to_value(found.header.inner()).unwrap();
            json["hash"] = json!(found.hash());
            json["transactions"] = json!([]);
            json["uncles"] = json!([]);
            Ok(json)
        }
        "debug_getRawBlock" => Ok(json!(Bytes::from(found.encode_rlp()))),
        _ => Err(not_found()),
    }
}

#[tokio::test]
async fn every_bad_answer_has_a_name_and_ends_soon() {
    type IsNamed = fn(&HttpError) -> bool;
    let raw = |status, body: &str| Reply::Raw(status, Vec::new(), body.as_bytes().to_vec());
    let cases: [(&str, Reply, IsNamed); 9] = [
        ("hangs", Reply::Hang, |it| {
            matches!(it, HttpError::Timeout(_))
        }),
        ("cuts", Reply::Cut, |it| {
            matches!(it, HttpError::Connection(_))
        }),
        ("never ends", Reply::Endless, |it| {
            matches!(it, HttpError::TooLarge(100_000))
        }),
        (
            "is huge",
            Reply::Raw(200, Vec::new(), vec![b'['; 200_000]),
            |it| matches!(it, HttpError::TooLarge(100_000)),
        ),
        (
            "is HTML",
            raw(200, "<html>Welcome</html>"),
            |it| matches!(it, HttpError::NotJsonRpc { body, .. } if body.contains("Welcome")),
        ),
        ("is not JSON", raw(200, "{\"jsonrpc\":"), |it| {
            matches!(it, HttpError::NotJsonRpc { .. })
        }),
        ("is deep", raw(200, &"[".repeat(50_000)), |it| {
            matches!(it, HttpError::NotJsonRpc { .. })
        }),
        (
            "redirects",
            Reply::Raw(
                307,
                vec!["location: http://127.0.0.1:9/".to_owned()],
                Vec::new(),
            ),
            |it| matches!(it, HttpError::Status { status: 307, .. }),
        ),
        (
            "breaks",
            raw(500, "oops"),
            |it| matches!(it, HttpError::Status { status: 500, body, .. } if body == "oops"),
        ),
    ];
    for (name, reply, is_named) in cases {
        let server = Scripted::serve(move |_, _| reply.clone()).await;
        let mut options = options();
        if name == "hangs" {
            options.timeout = Duration::from_millis(300);
        }
        let started = Instant::now();
        let error = source(&server, &options).block(7).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(30), "{name}");
        assert!(error.is_transient(), "{name}: {error:?}");
        assert!(
            http_error(&error).is_some_and(is_named),
            "{name}: {error:?}"
        );
        assert!(
            !shown(&error).contains("secret"),
            "{name}: {}",
            shown(&error)
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_without_its_url() {
    let url = "http://127.0.0.1:9/key-that-is-secret".parse().unwrap();
    let error = RpcSource::connect_with(url, &options()).await.unwrap_err();
    assert!(matches!(http_error(&error), Some(HttpError::Connection(_))));
    assert!(!shown(&error).contains("secret"), "{}", shown(&error));
    let url = "ftp://127.0.0.1/".parse().unwrap();
    assert!(RpcSource::connect(url).await.is_err());
}

#[tokio::test]
async fn a_busy_node_is_asked_again_when_it_says() {
    for (line, least) in [("retry-after: 1", 1000), ("x-nothing: 1", 250)] {
        let server = Scripted::serve(move |number, body| match number {
            0 => Reply::Raw(429, vec![line.to_owned()], b"slow down".to_vec()),
            1 => Reply::Json(json!({
                "jsonrpc": "2.0", "id": body["id"],
                "error": {"code": -32005, "message": "request rate limited"}
            })),
            _ => Reply::Json(answer(body, |method, params| honest(method, params, 9))),
        })
        .await;
        let options = RpcOptions {
            retries: 3,
            timeout: Duration::from_secs(5),
            ..options()
        };
        let started = Instant::now();
        let head = source(&server, &options)
            .head(L2Head::Unsafe)
            .await
            .unwrap();
        assert_eq!(head, block(9).reference());
        assert!(started.elapsed() >= Duration::from_millis(least));
        assert_eq!(server.requests(), 3);
    }
}

#[tokio::test]
async fn a_node_that_stays_busy_is_given_up() {
    let busy = |line: &'static str| {
        move |_: usize, _: &Value| Reply::Raw(429, vec![line.to_owned()], b"{}".to_vec())
    };
    // An hour is too long, and so is every second time.
    for (line, retries, requests) in [("retry-after: 3600", 3, 1), ("x-nothing: 1", 1, 2)] {
        let server = Scripted::serve(busy(line)).await;
        let options = RpcOptions {
            retries,
            ..options()
        };
        let error = source(&server, &options).block(7).await.unwrap_err();
        assert!(
            matches!(
                http_error(&error),
                Some(HttpError::Status { status: 429, .. })
            ),
            "{error:?}"
        );
        assert!(error.is_transient());
        assert_eq!(server.requests(), requests, "{line}");
    }
}

#[tokio::test]
async fn answers_of_other_requests_are_refused() {
    let server = Scripted::serve(|_, body| {
        let mut answer = answer(body, |method, params| honest(method, params, 9));
        match &mut answer {
            Value::Array(items) => items.iter_mut().for_each(|item| item["id"] = json!(77)),
            item => item["id"] = json!(77),
        }
        Reply::Json(answer)
    })
    .await;
    let source = source(&server, &options());
    let error = source.head(L2Head::Unsafe).await.unwrap_err();
    assert!(
        matches!(http_error(&error), Some(HttpError::WrongId)),
        "{error:?}"
    );
    assert!(source.block(7).await.is_err());
}

/// Nobody has asked for the rest: it is not even looked at.
#[tokio::test]
async fn more_answers_than_calls_are_refused() {
    let server = Scripted::serve(|_, body| {
        let mut answer = answer(body, |method, params| honest(method, params, 9));
        if let Value::Array(items) = &mut answer {
            items.push(items[0].clone());
        }
        Reply::Json(answer)
    })
    .await;
    let client = http::client(server.url(), &options()).unwrap();
    let mut batch = client.new_batch();
    let waiting = ["latest", "safe"].map(|tag| {
        batch
            .add_call::<_, Value>("eth_getBlockByNumber", &(tag, false))
            .unwrap()
    });
    let error = batch.send().await.unwrap_err();
    let shown = format!("{error:?}");
    assert!(shown.contains("more than 2 items"), "{shown}");
    drop(waiting);
    // One at a time they are what was asked for.
    assert_eq!(
        source(&server, &options()).block(7).await.unwrap(),
        block(7)
    );
}

#[tokio::test]
async fn the_order_of_a_batch_does_not_matter() {
    let server = Scripted::serve(|_, body| {
        let mut answer = answer(body, |method, params| honest(method, params, 9));
        if let Value::Array(items) = &mut answer {
            items.reverse();
        }
        Reply::Json(answer)
    })
    .await;
    let found = source(&server, &options()).block(7).await.unwrap();
    assert_eq!(found, block(7));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn what_a_batch_leaves_out_is_asked_for_again() {
    // Half of every batch is lost.
    let losing = Scripted::serve(|_, body| {
        let mut answer = answer(body, |method, params| honest(method, params, 9));
        if let Value::Array(items) = &mut answer {
            items.truncate(items.len() / 2);
        }
        Reply::Json(answer)
    })
    .await;
    // Batches are refused, in the ways of geth, of nginx, and of servers that know none.
    let refused = |reply: Reply| {
        move |_: usize, body: &Value| match body {
            Value::Array(_) => reply.clone(),
            _ => Reply::Json(answer(body, |method, params| honest(method, params, 9))),
        }
    };
    let too_large = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "batch too large"}});
    let servers = [
        losing,
        Scripted::serve(refused(Reply::Json(too_large))).await,
        Scripted::serve(refused(Reply::Raw(413, Vec::new(), b"too large".to_vec()))).await,
        Scripted::serve(refused(Reply::Raw(400, Vec::new(), Vec::new()))).await,
    ];
    for server in &servers {
        let source = source(server, &options());
        assert_eq!(source.block(7).await.unwrap(), block(7));
        assert_eq!(source.block(8).await.unwrap(), block(8));
    }
}

/// It is no reason to ask for one thing at a time from then on.
#[tokio::test]
async fn one_failure_makes_no_batch_smaller() {
    let server = Scripted::serve(|request, body| match request {
        0 => Reply::Raw(500, Vec::new(), b"oops".to_vec()),
        2 => Reply::Json(Value::String("no JSON-RPC".to_owned())),
        _ => Reply::Json(answer(body, |method, params| honest(method, params, 9))),
    })
    .await;
    let source = source(&server, &options());
    for (number, requests) in [(7, 2), (8, 4), (9, 5)] {
        assert_eq!(source.block(number).await.unwrap(), block(number));
        assert_eq!(server.requests(), requests);
    }
}

/// Another block took its place between the two answers.
#[tokio::test]
async fn a_block_that_changes_while_it_is_asked_for_is_asked_for_again() {
    let server = Scripted::serve(|request, body| {
        let mut answer = answer(body, |method, params| honest(method, params, 9));
        if request == 0 {
            answer[0]["result"]["hash"] = json!(B256::repeat_byte(7));
        }
        Reply::Json(answer)
    })
    .await;
    let found = source(&server, &options()).block(7).await.unwrap();
    assert_eq!(found, block(7));
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn the_rate_and_the_number_at_once_are_bounded() {
    let server = Scripted::node(|method, params| honest(method, params, 9)).await;
    let options = RpcOptions {
        requests_per_second: NonZeroU32::new(2),
        concurrent_requests: NonZeroUsize::MIN,
        timeout: Duration::from_secs(5),
        ..options()
    };
    let source = source(&server, &options);
    let started = Instant::now();
    let blocks = (1..=5).map(|number| source.block(number));
    let blocks = futures::future::join_all(blocks).await;
    assert!(blocks.into_iter().all(|it| it.is_ok()));
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_node_of_another_chain_says_so() {
    let server = Scripted::node(|method, params| match method {
        "eth_chainId" => Ok(json!(U64::from(7))),
        _ => honest(method, params, 9),
    })
    .await;
    let source = RpcSource::connect(server.url()).await.unwrap();
    assert_eq!(source.chain_id(), 7);
}

/// What a node says of a method that it does not serve, and of one that failed.
#[tokio::test]
async fn only_what_is_not_served_is_gathered_from_proofs_for_ever() {
    for (code, message, is_unserved) in [
        (-32601, "whatever it says", true),
        (
            -32000,
            "the method debug_executionWitness does not exist/is not available",
            true,
        ),
        (
            -32600,
            "debug_executionWitness is not available on the Free tier",
            true,
        ),
        (
            -32600,
            "Unsupported method: debug_executionWitness on OPT_MAINNET",
            true,
        ),
        // Of something else than the method.
        (-32000, "block #7 not found", false),
        (-32000, "historical state is not available", false),
        (
            -32000,
            "state at block 7 does not exist: pruning is not disabled",
            false,
        ),
        (
            -32000,
            "debug_executionWitness: block 7 is not available",
            false,
        ),
    ] {
        let server = Scripted::node(move |method, params| match method {
            "debug_executionWitness" => Err(json!({"code": code, "message": message})),
            _ => honest(method, params, 9),
        })
        .await;
        let spec = ChainSpec::op_mainnet();
        let plain = source(&server, &options());
        let gathering = plain.clone().with_proofs(spec);
        assert!(plain.witness(&block(7)).await.is_err());
        assert!(gathering.witness(&block(7)).await.is_err());
        assert_eq!(gathering.gathers_witnesses(), is_unserved, "{message}");
    }
}

/// A node without `debug` methods is asked for each of them once, and one that fails every time.
#[tokio::test]
async fn what_is_not_served_is_not_asked_for_again() {
    for (error, asked) in [
        (not_found(), 1),
        (
            json!({"code": -32000, "message": "busy with something else"}),
            5,
        ),
    ] {
        let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let counter = Arc::clone(&counts);
        let server = Scripted::node(move |method, params| {
            let raw = ["debug_getRawHeader", "debug_getRawReceipts"];
            if let Some(index) = raw.iter().position(|it| *it == method) {
                counter[index].fetch_add(1, Relaxed);
                return Err(error.clone());
            }
            match method {
                "eth_getBlockReceipts" => Ok(json!([])),
                _ => honest(method, params, 9),
            }
        })
        .await;
        let source = source(&server, &options());
        for number in 1..=5 {
            let header = source.header_at(number).await.unwrap();
            assert_eq!(header.seal(), block(number).hash());
            let mut empty = header.into_inner();
            empty.receipts_root = alloy_consensus::EMPTY_ROOT_HASH;
            let receipts = source.block_receipts(&Sealed::new(empty)).await.unwrap();
            assert_eq!(receipts.len(), 0);
        }
        for count in &*counts {
            assert_eq!(count.load(Relaxed), asked);
        }
    }
}

/// Lists of nothing that are many times as large in memory: refused at the first item too many, and
/// named like everything else that is malformed.
#[tokio::test]
async fn lists_without_an_end_are_refused_while_they_are_read() {
    let many = |item: Value, count: usize| Value::Array(vec![item; count]);
    let proof = |account: usize, slots: usize, nodes: usize| {
        let slot = json!({"value": "0x0", "proof": vec!["0x"; nodes]});
        json!({"accountProof": vec!["0x"; account], "storageProof": vec![slot; slots]})
    };
    let read = |proof: Value| super::proofs::is_proof(&proof.to_string());
    assert!(read(proof(65, 512, 65)));
    for too_many in [proof(66, 1, 1), proof(1, 513, 1), proof(1, 1, 66)] {
        assert!(!read(too_many));
    }

    let options = RpcOptions {
        max_response_bytes: 10_000_000,
        timeout: Duration::from_secs(20),
        ..options()
    };
    let server = Scripted::node(move |method, params| match method {
        "debug_getRawBlock" => Err(not_found()),
        "debug_getRawReceipts" => Ok(many(json!("0x"), 100_001)),
        "eth_getBlockReceipts" => Ok(many(json!({}), 100_001)),
        _ => honest(method, params, 9).map(|mut block| {
            block["transactions"] = many(json!(0), 100_001);
            block
        }),
    })
    .await;
    let source = source(&server, &options);
    let error = source.block(7).await.unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::Malformed {
                field: "transactions",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        shown(&error).contains("more than 100000 items"),
        "{}",
        shown(&error)
    );
    let error = source.block_receipts(&block(7).header).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");

    // The block as the node encodes it: transactions of no byte, a hundred million in as many bytes.
    let server = Scripted::node(|method, params| match method {
        "debug_getRawBlock" => {
            let mut block = block(7);
            block.transactions = vec![Bytes::new(); 100_001];
            Ok(json!(Bytes::from(block.encode_rlp())))
        }
        _ => honest(method, params, 9),
    })
    .await;
    let source = RpcSource::at(server.url(), 10, &options).unwrap();
    let error = source.block(7).await.unwrap_err();
    assert!(
        matches!(error, SourceError::Block { number: 7, .. }),
        "{error:?}"
    );
    assert!(
        shown(&error).contains("more items than are read"),
        "{}",
        shown(&error)
    );
}
