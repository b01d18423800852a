//! The original's interfaces, with the bytes that are recorded of it.

pub(crate) mod aggregator;
mod grpc;
mod verifier;

use reqwest::{Client, Response};

/// Posts `body` as it stands, and gives status and answer.
async fn post(url: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let answer = sent(url, body).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn sent(url: &str, body: impl Into<reqwest::Body>) -> Response {
    let request = Client::new().post(url).body(body);
    let request = request.header("content-type", "application/json");
    request.send().await.unwrap()
}

/// Tasks of V1 that nobody has opened.
pub(crate) fn tasks() -> std::sync::Arc<dyn mach_node::legacy::LegacyTasks> {
    let config = aggregator::config(mach_node::legacy::DigestRule::V1);
    aggregator::tasks(&aggregator::Kept::default(), config)
}

/// A call with some bytes changed, left out or repeated.
fn damaged(call: &str, seed: u64) -> Vec<u8> {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut below = |limit: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % limit.max(1)
    };
    let mut bytes = call.as_bytes().to_vec();
    for _ in 0..=below(3) {
        let at = below(bytes.len());
        match below(4) {
            0 => bytes[at] = below(256) as u8,
            1 => bytes.truncate(at.max(1)),
            2 => bytes[at] = b"0[]{}\",:"[below(8)],
            _ => {
                let copy = bytes[at..].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

/// Whatever comes, it is answered with an error of the client's, and the server lives on.
#[tokio::test]
async fn damaged_requests_break_nothing() {
    let rpc = mach_node::legacy::aggregator_rpc(tasks(), Default::default(), &[]);
    let servers = [crate::grpc::served(rpc).await, verifier::any().await];
    let calls = [aggregator::calls(), verifier::calls()];
    let client = Client::new();
    for (server, calls) in servers.iter().zip(calls) {
        for (seed, call) in (0..400).zip(calls.iter().cycle()) {
            let body = damaged(call, seed);
            let request = client.post(server.url()).body(body.clone());
            let request = request.header("content-type", "application/json");
            let status = request.send().await.unwrap().status().as_u16();
            let body = String::from_utf8_lossy(&body);
            assert!(matches!(status, 200 | 400 | 404 | 413), "{status}: {body}");
        }
        for call in calls {
            let (status, answer) = post(&server.url(), call.clone()).await;
            assert!(
                status == 200 && answer.contains("\"result\""),
                "{call}: {answer}"
            );
        }
    }
}
