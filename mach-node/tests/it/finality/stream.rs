//! Events, as they arrive at a client.

use std::{net::Ipv4Addr, time::Duration};

use futures::{SinkExt, StreamExt};
use mach_node::{
    finality::{EventRecord, FinalityEvent, FinalityIndex, router},
    http::{HttpConfig, HttpServer, serve},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::world::{Node, accuse, attest, index, show};
use crate::ports::{ROLLUP, confirmation};

async fn served(index: &FinalityIndex) -> HttpServer {
    let config = HttpConfig::new((Ipv4Addr::LOCALHOST, 0).into());
    serve(router(index.clone(), None), config).await.unwrap()
}

/// Server-sent events, read by the letter of the WHATWG's specification.
struct Events {
    answer: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(url: &str, last: Option<u64>) -> Self {
        let mut request = reqwest::Client::new().get(url);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last.to_string());
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            answer,
            text: String::new(),
        }
    }

    async fn next(&mut self) -> EventRecord {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|line| line.trim().to_owned())
                };
                let (id, kind, data) = (field("id:"), field("event:"), field("data:"));
                let rest = rest.to_owned();
                self.text = rest;
                let Some(data) = data else {
                    continue;
                };
                let record: EventRecord = serde_json::from_str(&data).unwrap();
                assert_eq!(id, Some(record.id.to_string()));
                assert_eq!(kind.as_deref(), Some(record.event.name()));
                return record;
            }
            let wait = Duration::from_secs(20);
            let chunk = tokio::time::timeout(wait, self.answer.chunk()).await;
            let chunk = chunk.expect("an event in time").unwrap();
            self.text += std::str::from_utf8(&chunk.expect("more")).unwrap();
        }
    }
}

#[tokio::test]
async fn events_begin_with_how_things_stand_and_go_on() {
    let (node, index) = (Node::new(9), index().await);
    show(&index, &node, 0..=8).await;
    let server = served(&index).await;
    let url = format!("{}/v1/events", server.url());
    let mut events = Events::open(&url, None).await;
    let snapshot = events.next().await;
    let rollups = index.rollups();
    assert_eq!(snapshot.event, FinalityEvent::Snapshot { rollups });

    let digest = attest(&index, node.reference(5)).await;
    let attested = events.next().await;
    assert!(matches!(&attested.event, FinalityEvent::Attested(it) if it.digest == digest));
    let head = events.next().await;
    let heads = index.heads(ROLLUP).unwrap();
    assert_eq!(heads.finalized_by_stake, Some(node.reference(5)));
    assert_eq!(
        head.event,
        FinalityEvent::Head {
            rollup: ROLLUP,
            heads
        }
    );
    assert!(snapshot.id < attested.id && attested.id + 1 == head.id);

    index.confirmed(&confirmation(digest)).await.unwrap();
    let confirmed = events.next().await;
    assert_eq!(
        confirmed.event,
        FinalityEvent::Confirmed {
            rollup: ROLLUP,
            digest,
            block: node.reference(5),
            is_alert: false,
            confirmation: confirmation(digest),
        }
    );
    assert_eq!(events.next().await.event.name(), "head");
    index.unconfirmed(digest).await.unwrap();
    assert_eq!(
        events.next().await.event,
        FinalityEvent::Unconfirmed {
            rollup: ROLLUP,
            digest,
            block: node.reference(5),
            is_alert: false,
        }
    );
    let head = events.next().await;
    assert_eq!(
        head.event,
        FinalityEvent::Head {
            rollup: ROLLUP,
            heads
        }
    );
    let alert = accuse(&index, node.reference(3)).await;
    let alerted = events.next().await;
    assert!(matches!(&alerted.event, FinalityEvent::Alerted(it) if it.digest == alert));
    assert_eq!(events.next().await.event.name(), "head");
    index.resolved(alert).await.unwrap();
    let resolved = events.next().await;
    assert_eq!(
        resolved.event,
        FinalityEvent::Resolved {
            rollup: ROLLUP,
            digest: alert,
            block: node.reference(3),
        }
    );

    // Who was away gets the rest, and nothing twice.
    let mut again = Events::open(&url, Some(head.id)).await;
    assert_eq!(again.next().await, alerted);
    // Who was away for too long gets how things stand.
    let mut late = Events::open(&url, Some(1)).await;
    assert_eq!(late.next().await.event.name(), "snapshot");
}

#[tokio::test]
async fn a_web_socket_says_the_same() {
    let (node, index) = (Node::new(9), index().await);
    show(&index, &node, 0..=8).await;
    let server = served(&index).await;
    let url = format!("ws://{}/v1/ws?rollup={ROLLUP}", server.address());
    let (mut socket, _) = connect_async(&url).await.unwrap();
    socket.send(Message::text("whatever")).await.unwrap();
    let mut next = async || loop {
        let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await;
        if let Message::Text(text) = message.expect("an event in time").unwrap().unwrap() {
            return serde_json::from_str::<EventRecord>(&text).unwrap();
        }
    };
    assert_eq!(next().await.event.name(), "snapshot");
    let digest = attest(&index, node.reference(5)).await;
    let attested = next().await;
    assert!(matches!(&attested.event, FinalityEvent::Attested(it) if it.digest == digest));
}
