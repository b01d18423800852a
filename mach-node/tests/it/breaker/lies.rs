//! Nodes that hang, cut off, send too much, or answer something else.

use std::{sync::Arc, time::Duration};

use mach_node::breaker::{BreakerLimits, Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use alloy_primitives::B256;
use mach_core::BlockRef;

use super::{Served, alert, config};

const NOWHERE: BlockRef = BlockRef {
    number: 1,
    hash: B256::ZERO,
};

fn limits() -> BreakerLimits {
    BreakerLimits {
        max_request_bytes: 4_096,
        max_response_bytes: 65_536,
        max_batch: 3,
        max_in_flight: 2,
        connect_timeout: Duration::from_millis(500),
        request_timeout: Duration::from_secs(2),
        client_timeout: Duration::from_millis(500),
        ..BreakerLimits::default()
    }
}

/// A node that answers every request with these bytes, and then closes or, with `hang`, does not.
async fn node(answer: impl Into<Vec<u8>>, hang: bool) -> (String, JoinHandle<()>) {
    let answer = Arc::new(answer.into());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                read_request(&mut stream).await;
                // The breaker may have hung up.
                let _ = stream.write_all(&answer).await;
                if hang {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
            });
        }
    });
    (url, task)
}

async fn read_request(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        seen.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&seen);
        if count == 0 || text.contains("\r\n\r\n") && text.trim_end().ends_with(['}', ']']) {
            return;
        }
    }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":"me","method":"eth_chainId"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_fails_is_told_of_in_json_rpc() {
    let huge = "x".repeat(70_000);
    let chunks = format!("{:x}\r\n{huge}\r\n0\r\n\r\n", huge.len());
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
    let cases: Vec<(&str, String, bool, u16, i32, &str)> = vec![
        (
            "says nothing",
            String::new(),
            true,
            504,
            -32002,
            "did not answer within 2 s",
        ),
        ("hangs up", String::new(), false, 502, -32002, "was cut off"),
        (
            "stops in the middle",
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"id\":".to_owned(),
            false,
            502,
            -32002,
            "was cut off",
        ),
        (
            "hangs in the middle",
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"id\":".to_owned(),
            true,
            504,
            -32002,
            "did not answer within 2 s",
        ),
        (
            "sends too much",
            http("200 OK", "", &huge),
            false,
            502,
            -32005,
            "more than 65536 bytes",
        ),
        (
            "sends without an end",
            chunked,
            false,
            502,
            -32005,
            "more than 65536 bytes",
        ),
        (
            "claims too much",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_owned(),
            true,
            502,
            -32005,
            "more than 65536 bytes",
        ),
        (
            "is no HTTP",
            "SSH-2.0-OpenSSH\r\n".to_owned(),
            false,
            502,
            -32002,
            "was cut off",
        ),
        (
            "redirects",
            http(
                "307 Temporary Redirect",
                "location: http://127.0.0.1:1/\r\n",
                "",
            ),
            false,
            502,
            -32002,
            "redirects",
        ),
    ];
    for (what, answer, hang, status, code, message) in cases {
        let (url, _node) = node(answer, hang).await;
        for tripped in [false, true] {
            let served = Served::start(&config(&url, Policy::RefuseWrites), limits()).await;
            let alerts = if tripped {
                vec![alert(NOWHERE)]
            } else {
                vec![]
            };
            served.tell(alerts, None).await;
            let (got, text) = served.post(CALL).await;
            let body: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((got, &body["id"]), (status, &json!("me")), "{what}: {body}");
            let error = &body["error"];
            assert!(
                error["message"].as_str().unwrap().contains(message),
                "{what}: {error}"
            );
            // Where the calls were judged the node is not available; the size is the client's matter
            // where it asked for so much.
            assert!(tripped || error["code"] == code, "{what}: {error}");
        }
    }
    // Nobody is there.
    let served = Served::start(
        &config("http://127.0.0.1:1", Policy::RefuseWrites),
        limits(),
    )
    .await;
    served.tell(vec![], None).await;
    let batch = format!("[{CALL},{CALL}]");
    let (status, text) = served.post(&batch).await;
    let answers: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!((status, answers.len()), (502, 2));
    assert_eq!(
        answers[1]["error"]["message"],
        "the node behind the breaker cannot be reached"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_do_not_fit_are_not_handed_on_while_an_alert_stands() {
    let json = "content-type: application/json\r\nx-own: 1\r\n";
    for (answer, messages) in [
        ("nonsense", ["is no JSON-RPC"; 2]),
        ("[]", ["did not answer this call"; 2]),
        ("[{}]", ["did not answer this call"; 2]),
        (
            r#"[{"id":0,"result":1},{"id":"1","result":2}]"#,
            ["", "did not answer this call"],
        ),
        (r#"[{"id":1,"result":2},{"id":0,"result":1}]"#, ["", ""]),
        (r#"[{"id":0},{"id":1,"result":2}]"#, ["gave no answer", ""]),
        (
            r#"{"id":null,"error":{"code":-32005,"message":"too many"}}"#,
            ["too many"; 2],
        ),
    ] {
        let (url, _node) = node(http("200 OK", json, answer), false).await;
        let served = Served::start(&config(&url, Policy::RefuseWrites), limits()).await;
        served.tell(vec![alert(NOWHERE)], None).await;
        let (status, text) = served.post(&format!("[{CALL},{CALL}]")).await;
        let answers: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!((status, answers.len()), (200, 2), "{answer}: {text}");
        for (index, message) in messages.into_iter().enumerate() {
            let got = &answers[index];
            assert_eq!(got["id"], "me");
            match message {
                "" => assert_eq!(got["result"], index + 1, "{answer}"),
                message => {
                    let error = got["error"]["message"].as_str().unwrap();
                    assert!(error.contains(message), "{answer}: {error}");
                }
            }
        }
    }
    let (url, _node) = node(http("429 Too Many Requests", json, "slow down"), false).await;
    let served = Served::start(&config(&url, Policy::RefuseWrites), limits()).await;
    served.tell(vec![alert(NOWHERE)], None).await;
    let (_, text) = served.post(CALL).await;
    assert!(text.contains("HTTP status 429"), "{text}");
}

/// A node that has just started knows its blocks, and not yet which of them are final.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_attested_is_not_said_to_be_final() {
    let hash = NOWHERE.hash;
    let answer = json!([
        { "jsonrpc": "2.0", "id": 0, "result": { "number": "0x1", "hash": hash } },
        { "jsonrpc": "2.0", "id": 1, "result": { "number": "0x0", "hash": hash } },
        { "jsonrpc": "2.0", "id": 2,
          "error": { "code": -39001, "message": "finalized block not found" } },
    ]);
    let (url, _node) = node(http("200 OK", "", &answer.to_string()), false).await;
    let served = Served::start(&config(&url, Policy::PinLatest), limits()).await;
    let bad = BlockRef {
        number: 2,
        hash: B256::repeat_byte(2),
    };
    served.tell(vec![alert(bad)], Some(NOWHERE)).await;
    let block = async |name: &str| {
        let params = json!([name, false]);
        served.ask("eth_getBlockByNumber", params).await
    };
    let finalized = block("finalized").await;
    let message = finalized["error"]["message"].as_str().unwrap();
    assert!(message.contains("names no finalized block"), "{message}");
    for name in ["safe", "latest"] {
        let named = block(name).await;
        assert_eq!(named["result"]["hash"], json!(hash), "{name}: {named}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_bounded() {
    let (url, _node) = node("", true).await;
    let served = Served::start(&config(&url, Policy::RefuseWrites), limits()).await;
    served.tell(vec![], None).await;
    // Size.
    let (status, text) = served.post(&"x".repeat(4_097)).await;
    assert_eq!(status, 413);
    assert!(text.contains("at most 4096 bytes"), "{text}");
    // Time.
    let address = served.url.strip_prefix("http://").unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    // How many wait for the node at a time.
    let waiting = async || served.post(CALL).await.0;
    let (a, b, c) = tokio::join!(waiting(), waiting(), waiting());
    let mut statuses = [a, b, c];
    statuses.sort_unstable();
    assert_eq!(statuses, [503, 504, 504]);
    // How many calls a batch has, once they are looked at.
    served.tell(vec![alert(NOWHERE)], None).await;
    let (_, text) = served.post(&format!("[{CALL},{CALL},{CALL},{CALL}]")).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["error"]["code"], -32005, "{text}");
}

/// What the node says of itself is handed on, what belongs to the connection is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_are_handed_on_unless_they_belong_to_the_connection() {
    let body = r#"{"jsonrpc":"2.0","id":0,"result":"0x1"}"#;
    let headers = "access-control-allow-origin: https://a.example\r\nx-own: 1\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n";
    let (url, _node) = node(http("200 OK", headers, body), false).await;
    let served = Served::start(&config(&url, Policy::RefuseWrites), limits()).await;
    for alerts in [vec![], vec![alert(NOWHERE)]] {
        served.tell(alerts, None).await;
        let request = reqwest::Client::new().post(&served.url).body(CALL);
        let response = request.send().await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], "https://a.example");
        assert_eq!(headers["x-own"], "1");
        for name in ["x-hop", "keep-alive", "connection"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }
}
