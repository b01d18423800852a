//! What is served, and what is refused, over HTTP.

use std::time::Duration;

use mach_devnet::{DEV_ACCOUNTS, STORE};
use mach_node::breaker::{
    ALERT_STANDS, BreakerLimits, FEED_LOST, FeedEvent, GateState, LocalFeed, MethodRule, Policy,
    WhenLost,
};
use serde_json::{Value, json};

use super::{ROLLUP, Served, alert, block, config, post, rollup};

/// Calls that read, each with what the chain says at block 3.
fn reads(tag: &str) -> Vec<(&'static str, Value)> {
    let account = DEV_ACCOUNTS[0].address;
    vec![
        ("eth_getBlockByNumber", json!([tag, false])),
        ("eth_getBlockReceipts", json!([tag])),
        ("eth_getBlockTransactionCountByNumber", json!([tag])),
        (
            "eth_getTransactionByBlockNumberAndIndex",
            json!([tag, "0x0"]),
        ),
        ("eth_getBalance", json!([account, tag])),
        ("eth_getTransactionCount", json!([account, tag])),
        ("eth_getCode", json!([STORE, tag])),
        ("eth_getStorageAt", json!([STORE, "0x0", tag])),
        ("eth_getProof", json!([STORE, ["0x0"], tag])),
        ("eth_call", json!([{ "to": account }, tag])),
        ("eth_feeHistory", json!(["0x2", tag, []])),
        ("eth_getLogs", json!([{ "fromBlock": tag, "toBlock": tag }])),
        ("debug_getRawHeader", json!([tag])),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_chain_is_served_as_if_nothing_stood_in_between() {
    let (devnet, node) = rollup(3).await;
    let served = Served::with(&node.http_url(), Policy::RefuseAll).await;
    served.tell(vec![], None).await;
    let mut bodies: Vec<String> = reads("latest")
        .into_iter()
        .map(|(method, params)| {
            json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params }).to_string()
        })
        .collect();
    bodies.push(format!("[{},{}]", bodies[0], bodies[4]));
    for odd in [
        "",
        "{",
        "[]",
        "[1]",
        r#"{"id":1}"#,
        r#"{"method":"nope","id":1,"jsonrpc":"2.0"}"#,
    ] {
        bodies.push(odd.to_owned());
    }
    for body in bodies {
        let through = served.post(&body).await;
        assert_eq!(through, post(&node.http_url(), &body).await, "{body}");
    }
    drop(devnet);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_names_the_alert_and_ends_with_it() {
    let (devnet, node) = rollup(3).await;
    let served = Served::with(&node.http_url(), Policy::RefuseWrites).await;
    let bad = block(&devnet, 3);
    served.tell(vec![alert(bad)], Some(block(&devnet, 2))).await;
    let answer = served.ask("eth_sendRawTransaction", json!(["0x00"])).await;
    let error = &answer["error"];
    assert_eq!(
        (&answer["id"], &error["code"]),
        (&json!(7), &json!(ALERT_STANDS))
    );
    let digest = alert(bad).digest;
    assert_eq!(
        error["message"],
        format!(
            "rollup {ROLLUP}: alert {digest} against block {bad} stands, eth_sendRawTransaction is refused"
        )
    );
    let data = &error["data"];
    assert_eq!(data["digest"], json!(digest));
    assert_eq!(data["block"], json!(bad));
    assert_eq!(data["statement"], json!(alert(bad).statement));
    assert_eq!(data["confirmation"]["l1Block"], 99);
    assert_eq!(data["attested"], json!(block(&devnet, 2)));
    // Reads go on, at the head.
    let number = served.ask("eth_blockNumber", json!([])).await;
    assert_eq!(number["result"], "0x3");
    // The first call after the alert is gone reaches the node, which judges it itself.
    served.tell(vec![], None).await;
    let answer = served.ask("eth_sendRawTransaction", json!(["0x00"])).await;
    assert_ne!(answer["error"]["code"], ALERT_STANDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_ends_at_the_last_attested_block() {
    let (devnet, node) = rollup(5).await;
    let served = Served::with(&node.http_url(), Policy::PinLatest).await;
    let attested = block(&devnet, 3);
    served
        .tell(vec![alert(block(&devnet, 5))], Some(attested))
        .await;
    let number = served.ask("eth_blockNumber", json!([])).await;
    assert_eq!(number["result"], "0x3");
    let direct = async |method: &str, params: Value| {
        let call = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let text = post(&node.http_url(), &call.to_string()).await.1;
        serde_json::from_str::<Value>(&text).unwrap()
    };
    for tag in ["latest", "pending"] {
        for ((method, params), (_, at_three)) in reads(tag).into_iter().zip(reads("0x3")) {
            let expected = direct(method, at_three).await;
            assert!(!expected["result"].is_null(), "{method}");
            assert_eq!(served.ask(method, params).await, expected, "{method} {tag}");
        }
    }
    // What is missing means the newest.
    let account = DEV_ACCOUNTS[0].address;
    let balance = served.ask("eth_getBalance", json!([account])).await;
    let at_three = direct("eth_getBalance", json!([account, "0x3"])).await;
    assert_eq!(balance, at_three);
    // Later blocks are not there, under no name.
    for params in [
        json!(["0x4", false]),
        json!(["0x05", false]),
        json!([5, false]),
    ] {
        let answer = served.ask("eth_getBlockByNumber", params).await;
        assert_eq!(answer["error"]["code"], ALERT_STANDS, "{answer}");
    }
    let later = block(&devnet, 4).hash;
    let answer = served
        .ask("eth_getBlockByHash", json!([later, false]))
        .await;
    assert_eq!(answer["result"], Value::Null);
    let earlier = block(&devnet, 2).hash;
    let answer = served
        .ask("eth_getBlockByHash", json!([earlier, false]))
        .await;
    assert_eq!(answer["result"]["number"], "0x2");
    // Nor are the transactions in them.
    let transaction = async |number: &str| {
        let block = direct("eth_getBlockByNumber", json!([number, false])).await;
        block["result"]["transactions"][0].clone()
    };
    for method in ["eth_getTransactionReceipt", "eth_getTransactionByHash"] {
        let above = served.ask(method, json!([transaction("0x4").await])).await;
        assert_eq!(above["result"], Value::Null, "{method}");
        let below = served.ask(method, json!([transaction("0x3").await])).await;
        assert_eq!(below["result"]["blockNumber"], "0x3", "{method}");
    }
    // The end moves with what is attested.
    served
        .feed
        .send(FeedEvent::Attested(Some(block(&devnet, 4))))
        .await;
    while served.breaker.gate().status().attested != Some(block(&devnet, 4)) {
        tokio::task::yield_now().await;
    }
    let number = served.ask("eth_blockNumber", json!([])).await;
    assert_eq!(number["result"], "0x4");
    // A node on another branch than the attested one answers nothing under its name.
    devnet.l2().rewind(2).unwrap();
    let deposit = mach_devnet::UserDeposit::ether(Default::default(), 5);
    devnet.sequencer().deposit(deposit).unwrap();
    for _ in 0..3 {
        devnet.sequencer().produce().unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let answer = served.ask("eth_blockNumber", json!([])).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("where 4 ("), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_pinned_to_what_nobody_attested() {
    let (devnet, node) = rollup(2).await;
    let served = Served::with(&node.http_url(), Policy::PinLatest).await;
    served.tell(vec![alert(block(&devnet, 2))], None).await;
    let answer = served.ask("eth_blockNumber", json!([])).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("no block is attested"), "{message}");
    // What does not depend on a block is.
    let answer = served.ask("eth_chainId", json!([])).await;
    assert_eq!(answer["result"], "0x385");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_of_a_batch_is_judged_alone() {
    let (devnet, node) = rollup(4).await;
    let served = Served::with(&node.http_url(), Policy::PinLatest).await;
    served
        .tell(vec![alert(block(&devnet, 4))], Some(block(&devnet, 2)))
        .await;
    let body = r#"[
        {"jsonrpc":"2.0","id":"a","method":"eth_sendRawTransaction","params":["0x00"]},
        {"jsonrpc":"2.0","id":1e2,"method":"eth_getBlockByNumber","params":["latest",false]},
        {"jsonrpc":"2.0","id":1e2,"method":"eth_chainId"},
        {"jsonrpc":"2.0","method":"eth_sendRawTransaction","params":["0x00"]},
        {"jsonrpc":"2.0","id":null,"method":"eth_blockNumber"},
        7,
        {"jsonrpc":"2.0","id":5,"method":"eth_getBlockByNumber","params":["0x4",false]},
        {"jsonrpc":"2.0","id":6,"method":"eth_getBlockByNumber"}
    ]"#;
    let (status, text) = served.post(body).await;
    assert_eq!(status, 200);
    // Ids are kept to the letter.
    assert!(text.contains(r#""id":1e2,"#), "{text}");
    let answers: Vec<Value> = serde_json::from_str(&text).unwrap();
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(
        ids,
        [
            json!("a"),
            json!(100.0),
            json!(100.0),
            json!(null),
            json!(null),
            json!(5),
            json!(6)
        ]
    );
    assert_eq!(answers[0]["error"]["code"], ALERT_STANDS);
    assert_eq!(answers[1]["result"]["number"], "0x2");
    assert_eq!(answers[2]["result"], "0x385");
    assert_eq!(answers[3]["result"], "0x2");
    assert_eq!(answers[4]["error"]["code"], -32600);
    assert_eq!(answers[5]["error"]["code"], ALERT_STANDS);
    // A parameter that is missing is the newest block here too.
    assert_eq!(answers[6]["result"]["number"], "0x2");

    // A notification that is refused has no answer, alone or in a batch.
    let notification = r#"{"jsonrpc":"2.0","method":"eth_sendRawTransaction","params":["0x00"]}"#;
    assert_eq!(served.post(notification).await, (200, String::new()));
    let batch = format!("[{notification}]");
    assert_eq!(served.post(&batch).await, (200, String::new()));
}

/// Nodes that read keys without regard to case, or the last of several, see what was judged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_reading_of_a_request_does_not_get_it_past() {
    let (devnet, node) = rollup(4).await;
    let served = Served::with(&node.http_url(), Policy::PinLatest).await;
    served
        .tell(vec![alert(block(&devnet, 4))], Some(block(&devnet, 2)))
        .await;
    for (body, code) in [
        (
            r#"{"id":1,"method":"eth_chainId","method":"eth_sendRawTransaction"}"#,
            -32600,
        ),
        (
            r#"{"id":1,"method":"eth_getBlockByNumber","params":["Latest",false]}"#,
            -32602,
        ),
        (
            r#"{"id":1,"method":"eth_call","params":[{},{"BLOCKNUMBER":"latest"}]}"#,
            -32602,
        ),
        (
            r#"{"id":1,"method":"eth_getLogs","params":[{"toblock":"latest"}]}"#,
            -32602,
        ),
        (
            r#"{"id":1,"method":"eth_getLogs","params":{"toBlock":"latest"}}"#,
            -32602,
        ),
        (
            r#"{"id":1,"method":"Eth_SendRawTransaction","params":["0x00"]}"#,
            ALERT_STANDS,
        ),
    ] {
        let (_, text) = served.post(body).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
    }
    // A body that is not looked into is not handed on.
    let request = reqwest::Client::new().post(&served.url);
    let request = request.header("content-encoding", "gzip").body("x");
    assert_eq!(request.send().await.unwrap().status(), 415);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_methods_have_rules_of_their_own() {
    let (devnet, node) = rollup(2).await;
    let mut config = config(&node.http_url(), Policy::RefuseAll);
    config.methods.insert("net_*".to_owned(), MethodRule::Serve);
    config
        .methods
        .insert("eth_getBalance".to_owned(), MethodRule::Pin);
    let served = Served::start(&config, BreakerLimits::default()).await;
    served
        .tell(vec![alert(block(&devnet, 2))], Some(block(&devnet, 1)))
        .await;
    assert_eq!(served.ask("net_version", json!([])).await["result"], "901");
    let balance = served.ask("eth_getBalance", json!([DEV_ACCOUNTS[0].address]));
    assert!(balance.await["result"].is_string());
    let answer = served.ask("eth_chainId", json!([])).await;
    assert_eq!(answer["error"]["code"], ALERT_STANDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_that_knows_nothing_refuses_writes_and_says_so() {
    let (_devnet, node) = rollup(2).await;
    let mut config = config(&node.http_url(), Policy::RefuseAll);
    config.lost_after = 5;
    let mut served = Served::start(&config, BreakerLimits::default()).await;
    let url = served.url.clone();
    let write = async || {
        let call = r#"{"id":1,"method":"eth_sendRawTransaction","params":["0x00"]}"#;
        let answer: Value = serde_json::from_str(&post(&url, call).await.1).unwrap();
        answer["error"]["code"].clone()
    };
    // Before anything was heard.
    assert_eq!(write().await, FEED_LOST);
    assert_eq!(
        served.get("/health").await,
        (503, json!({"isHealthy": false, "state": "starting"}))
    );
    assert_eq!(
        served.ask("eth_blockNumber", json!([])).await["result"],
        "0x2"
    );
    served.tell(vec![], None).await;
    assert_ne!(write().await, FEED_LOST);
    assert_eq!(
        served.get("/health").await,
        (200, json!({"isHealthy": true, "state": "serving"}))
    );
    let (_, status) = served.get("/breaker/status").await;
    assert_eq!(status["whenLost"], json!(WhenLost::ClosedForWrites));
    assert_eq!(status["policyOnAlert"], "refuse-all");
    assert_eq!(status["policy"], Value::Null);
    // The other end of the feed goes.
    drop(std::mem::replace(&mut served.feed, LocalFeed::new().0));
    while served.breaker.gate().state() != GateState::Lost {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(write().await, FEED_LOST);
    let (_, status) = served.get("/breaker/status").await;
    assert_eq!(
        (&status["state"], &status["policy"]),
        (&json!("lost"), &json!("refuse-writes"))
    );
    let error = status["feedError"].as_str().unwrap();
    assert_eq!(error, "the alert feed was not heard: nobody sends any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_else_of_the_node_is_reachable() {
    let (_devnet, node) = rollup(1).await;
    let served = Served::with(&node.http_url(), Policy::RefuseWrites).await;
    served.tell(vec![], None).await;
    let client = reqwest::Client::new();
    for path in ["/graphql", "//", "/breaker", "/rpc"] {
        let response = client.post(format!("{}{path}", served.url)).body("{}");
        assert_eq!(response.send().await.unwrap().status(), 404, "{path}");
    }
    let response = client.get(&served.url).send().await.unwrap();
    assert_eq!(response.status(), 405);
    let response = client.put(&served.url).send().await.unwrap();
    assert_eq!(response.status(), 405);
}
