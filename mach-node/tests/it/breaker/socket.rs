//! WebSocket.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use mach_node::breaker::{ALERT_STANDS, Policy};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::{Served, alert, block, rollup};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(url: &str) -> Self {
        let url = url.replace("http://", "ws://");
        Self(connect_async(url).await.unwrap().0)
    }

    async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = timeout(Duration::from_secs(20), self.0.next()).await;
            match message.unwrap().unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn ask(&mut self, text: &str) -> Value {
        self.send(text).await;
        self.next().await
    }
}

const HEADS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
const NUMBER: &str = r#"{"jsonrpc":"2.0","id":"n","method":"eth_blockNumber","params":[]}"#;
const WRITE: &str =
    r#"{"jsonrpc":"2.0","id":2,"method":"eth_sendRawTransaction","params":["0x00"]}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_pauses_while_the_chain_is_pinned_and_goes_on_afterwards() {
    let (devnet, node) = rollup(3).await;
    let served = Served::with(&node.http_url(), Policy::PinLatest).await;
    served.tell(vec![], None).await;
    let mut client = Client::connect(&served.url).await;
    assert_eq!(served.get("/breaker/status").await.1["sockets"], 1);
    let subscription = client.ask(HEADS).await["result"].clone();
    devnet.sequencer().produce().unwrap();
    let head = client.next().await;
    assert_eq!(head["params"]["subscription"], subscription);
    assert_eq!(head["params"]["result"]["number"], "0x4");

    served
        .tell(vec![alert(block(&devnet, 4))], Some(block(&devnet, 2)))
        .await;
    devnet.sequencer().produce().unwrap();
    // The head of block 5 is not told: the next message answers the next call.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = client.ask(NUMBER).await;
    assert_eq!(
        (&answer["id"], &answer["result"]),
        (&json!("n"), &json!("0x2"))
    );
    assert_eq!(client.ask(WRITE).await["error"]["code"], ALERT_STANDS);
    // Each call of a batch alone, and bytes are taken for what they say.
    let batch = format!("[{NUMBER},{WRITE}]");
    client
        .0
        .send(Message::binary(batch.into_bytes()))
        .await
        .unwrap();
    let answers = client.next().await;
    assert_eq!(answers[0]["result"], "0x2");
    assert_eq!(answers[1]["error"]["code"], ALERT_STANDS);
    // One more subscription, which is paused like the first.
    let second = client.ask(&HEADS.replace("\"id\":1", "\"id\":\"s\"")).await;
    assert_eq!(second["id"], "s");
    let mut unpinned = Client::connect(&node.http_url()).await;
    unpinned.ask(HEADS).await;
    devnet.sequencer().produce().unwrap();
    // The node has told this head, and the breaker has had the time to drop it.
    assert_eq!(unpinned.next().await["params"]["result"]["number"], "0x6");
    tokio::time::sleep(Duration::from_secs(1)).await;

    served.tell(vec![], None).await;
    devnet.sequencer().produce().unwrap();
    let mut told = [client.next().await, client.next().await].map(|head| {
        (
            head["params"]["subscription"].clone(),
            head["params"]["result"]["number"].clone(),
        )
    });
    told.sort_by_key(|(subscription, _)| *subscription != json!(subscription.clone()));
    let of = |subscription: &Value| {
        let (_, number) = told.iter().find(|(of, _)| of == subscription).unwrap();
        number.clone()
    };
    assert_eq!(
        (of(&subscription), of(&second["result"])),
        (json!("0x7"), json!("0x7"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_open_is_judged_from_the_next_message_on() {
    let (devnet, node) = rollup(2).await;
    for policy in [Policy::RefuseWrites, Policy::RefuseAll] {
        let served = Served::with(&node.http_url(), policy).await;
        served.tell(vec![], None).await;
        let mut client = Client::connect(&served.url).await;
        assert_ne!(client.ask(WRITE).await["error"]["code"], ALERT_STANDS);
        served.tell(vec![alert(block(&devnet, 2))], None).await;
        assert_eq!(client.ask(WRITE).await["error"]["code"], ALERT_STANDS);
        let number = client.ask(NUMBER).await;
        let subscribed = client.ask(HEADS).await;
        match policy {
            Policy::RefuseAll => {
                assert_eq!(number["error"]["code"], ALERT_STANDS);
                assert_eq!(subscribed["error"]["code"], ALERT_STANDS);
            }
            _ => {
                assert_eq!(number["result"], "0x2");
                // Heads are read, and go on.
                assert!(subscribed["result"].is_string() || subscribed["result"].is_number());
                devnet.sequencer().produce().unwrap();
                assert_eq!(client.next().await["method"], "eth_subscription");
                devnet.l2().rewind(2).unwrap();
            }
        }
        served.tell(vec![], None).await;
        assert_ne!(client.ask(WRITE).await["error"]["code"], ALERT_STANDS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_ends_when_the_node_does() {
    let (_devnet, node) = rollup(1).await;
    let served = Served::with(&node.http_url(), Policy::RefuseWrites).await;
    served.tell(vec![], None).await;
    let mut client = Client::connect(&served.url).await;
    client.ask(NUMBER).await;
    drop(node);
    let end = loop {
        match timeout(Duration::from_secs(20), client.0.next())
            .await
            .unwrap()
        {
            Some(Ok(Message::Close(frame))) => break frame.unwrap(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(u16::from(end.code), 1001);
    assert!(
        end.reason.contains("closed the connection"),
        "{}",
        end.reason
    );
    // And none begins.
    let url = served.url.replace("http://", "ws://");
    let refused = connect_async(url).await.unwrap_err();
    assert!(refused.to_string().contains("502"), "{refused}");
    let left = async {
        while served.get("/breaker/status").await.1["sockets"] != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), left).await.unwrap();
}
