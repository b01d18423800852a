//! Nodes that answer anything over HTTP.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use alloy_provider::Provider;
use alloy_transport::TransportError;
use mach_contracts_bindings::{MAX_RESPONSE_BYTES, http_provider};

/// Serves `answer` to one request, and then `filler` for as long as anybody reads.
fn server(answer: String, filler: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/secret-key", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let mut sent = stream.write_all(answer.as_bytes()).is_ok();
        while sent && !filler.is_empty() {
            sent = stream.write_all(filler).is_ok();
        }
    });
    url
}

async fn chain_id(url: &str) -> Result<u64, TransportError> {
    http_provider(url.parse().unwrap())?.get_chain_id().await
}

fn response(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn answers_are_read_as_far_as_they_may_go() {
    let answer = r#"{"jsonrpc":"2.0","id":0,"result":"0x7a69"}"#;
    let url = server(response("200 OK", answer), b"");
    assert_eq!(chain_id(&url).await.unwrap(), 31337);
    // With a status of failure, it is an answer all the same.
    let url = server(response("500 Internal Server Error", answer), b"");
    assert_eq!(chain_id(&url).await.unwrap(), 31337);

    let length = MAX_RESPONSE_BYTES * 2;
    let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let error = chain_id(&server(endless, &[b' '; 65536]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("too large"), "{error}");
}

#[tokio::test]
async fn failures_do_not_tell_the_url() {
    let elsewhere =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    let cases = [
        server(response("503 Service Unavailable", "<html>"), b""),
        server(elsewhere.to_owned(), b""),
        server(response("200 OK", "[]]"), b""),
        "http://127.0.0.1:9/secret-key".to_owned(),
    ];
    for url in cases {
        let error = chain_id(&url).await.unwrap_err();
        assert!(
            !format!("{error:?} {error}").contains("secret-key"),
            "{error:?}"
        );
    }
    assert!(http_provider("ftp://127.0.0.1/".parse().unwrap()).is_err());
}
