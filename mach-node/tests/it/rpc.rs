use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use mach_core::{
    Domain, Round, SignedStatement, Statement,
    ports::{AggregateError, Progress, RegistryError, SignatureAggregator},
};
use mach_node::{
    AggregatorConfig,
    http::HttpServer,
    rpc::{MAX_MESSAGE_BYTES, RemoteAggregator, serve_aggregator},
};

use crate::ports::{
    Confirmer, DOMAIN, FixedRegistry, aggregator, aggregator_with, alert, config, confirmed, id,
    signed, signed_by, statement,
};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn serve(aggregator: impl SignatureAggregator + 'static) -> (HttpServer, RemoteAggregator) {
    let server = serve_aggregator(aggregator, ANY_PORT).await.unwrap();
    let remote = RemoteAggregator::new(&server.url()).unwrap();
    (server, remote)
}

/// Everything that an aggregator answers short of a confirmation, in words.
pub(crate) async fn answers(aggregator: &dyn SignatureAggregator) -> Vec<String> {
    let foreign = Statement::from(mach_core::Alert {
        rollup_chain_id: 11,
        ..alert(1)
    });
    let elsewhere = SignedStatement {
        domain: Domain {
            l1_chain_id: 5,
            ..DOMAIN
        },
        ..signed(1, 0)
    };
    let mut answers = Vec::new();
    for statement in [foreign, statement(1), statement(1)] {
        answers.push(format!("{:?}", aggregator.open(&statement).await));
    }
    let sent = [
        elsewhere,
        signed_by(2, 0, 3),
        signed(1, 9),
        signed_by(1, 0, 9),
        signed(1, 0),
        signed(1, 0),
        signed(1, 1),
        signed_by(1, 1, 9),
        signed_by(1, 2, 9),
    ];
    for signed in sent {
        answers.push(format!("{:?}", aggregator.submit(signed).await));
    }
    // There is room for one round.
    answers.push(format!("{:?}", aggregator.submit(signed(3, 0)).await));
    answers
}

pub(crate) fn one_round(confirmer: &Confirmer) -> mach_node::Aggregator {
    let config = AggregatorConfig {
        max_rounds: 1,
        ..config()
    };
    aggregator_with(FixedRegistry::new(4), confirmer, config)
}

#[tokio::test]
async fn a_remote_aggregator_answers_what_one_in_the_process_does() {
    let confirmer = Confirmer::default();
    let near = answers(&one_round(&confirmer)).await;
    let (_server, remote) = serve(one_round(&confirmer)).await;
    let far = answers(&remote).await;
    assert_eq!(near, far);
    for (answer, expected) in near.iter().zip([
        "Err(UnknownRollup(11))".to_owned(),
        "Ok(Round {".to_owned(),
        "Ok(Round {".to_owned(),
        "Err(WrongDomain)".to_owned(),
        format!("Err(BadSignature({:?}))", id(0)),
        format!("Err(UnknownOperator({:?}))", id(9)),
        format!("Err(BadSignature({:?}))", id(0)),
        "Ok(Collecting { signers: 1 })".to_owned(),
        "Ok(Collecting { signers: 1 })".to_owned(),
        "Ok(Collecting { signers: 2 })".to_owned(),
        format!("Err(BadSignature({:?}))", id(1)),
        format!("Err(BadSignature({:?}))", id(2)),
        "Err(Full(1))".to_owned(),
    ]) {
        assert!(answer.starts_with(&expected), "{answer}, not {expected}");
    }
    assert_eq!(near.len(), 13);
}

#[tokio::test]
async fn a_confirmation_reaches_who_signs_over_http() {
    let confirmer = Confirmer::default();
    let inside = aggregator(&confirmer);
    let (_server, remote) = serve(inside.clone()).await;
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

/// An aggregator whose registry has an error of each kind.
struct Failing(fn() -> RegistryError);

#[async_trait]
impl SignatureAggregator for Failing {
    async fn open(&self, _statement: &Statement) -> Result<Round, AggregateError> {
        Err(AggregateError::Registry((self.0)()))
    }

    async fn submit(&self, signed: SignedStatement) -> Result<Progress, AggregateError> {
        Err(AggregateError::Expired(signed.digest()))
    }
}

#[tokio::test]
async fn what_may_be_tried_again_is_the_same_on_both_sides() {
    let failures: [fn() -> RegistryError; 3] = [
        || RegistryError::Backend("https://user:password@node".into()),
        || RegistryError::Malformed("detail".into()),
        || RegistryError::UnknownQuorum {
            quorum: 3,
            reference_block: 4,
        },
    ];
    for failure in failures {
        let near = Failing(failure).open(&statement(1)).await.unwrap_err();
        let (_server, remote) = serve(Failing(failure)).await;
        let far = remote.open(&statement(1)).await.unwrap_err();
        assert_eq!(far.is_transient(), near.is_transient(), "{near:?}");
        assert!(!format!("{far:?}").contains("password"));
        let expired = remote.submit(signed(1, 0)).await.unwrap_err();
        assert!(matches!(expired, AggregateError::Expired(_)));
    }
}

#[tokio::test]
async fn an_aggregator_that_is_not_reached_may_be_tried_again() {
    let (server, remote) = serve(aggregator(&Confirmer::default())).await;
    remote.open(&statement(1)).await.unwrap();
    drop(server);
    let gone = || async {
        loop {
            // The server's last connection may live a moment longer.
            match remote.open(&statement(1)).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(20), gone()).await;
    let error = error.expect("the server stops");
    assert!(matches!(error, AggregateError::Backend(_)), "{error:?}");
    assert!(error.is_transient());
    for url in ["", "ftp://127.0.0.1:1", "no url"] {
        assert!(RemoteAggregator::new(url).is_err(), "{url}");
    }
}

/// Sends the bytes of one HTTP request and reads the answer.
fn post(address: SocketAddr, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A server that has seen enough closes before it has read all.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_get_errors_and_the_server_lives_on() {
    let (server, remote) = serve(aggregator(&Confirmer::default())).await;
    let open = |params: &str| call("mach_openRound", params).into_bytes();
    let submit = |params: &str| call("mach_submitSignature", params).into_bytes();
    let changed = |field: &str, value: serde_json::Value| {
        let mut json = serde_json::to_value([statement(1)]).unwrap();
        json[0][field] = value;
        open(&json.to_string())
    };
    let mut short = serde_json::to_value([signed(1, 0)]).unwrap();
    short[0]["signature"] = "0x00".into();
    let good = open(&serde_json::to_string(&[statement(1)]).unwrap());
    let too_many = vec![String::from_utf8(good.clone()).unwrap(); 17].join(",");
    let bad: [(&str, Vec<u8>, &str); 15] = [
        ("nothing", vec![], "-32700"),
        ("no JSON", b"no json".to_vec(), "-32700"),
        ("no UTF-8", b"\xff\xfe\x00".to_vec(), "-32700"),
        ("half of a call", good[..good.len() / 2].to_vec(), "-32700"),
        ("deep nesting", "[".repeat(8000).into_bytes(), "-32700"),
        (
            "another method",
            call("mach_unknown", "[]").into_bytes(),
            "-32601",
        ),
        ("no statement", open("[]"), "-32602"),
        ("a number", open("[1]"), "-32602"),
        (
            "deep nesting in a call",
            open(&("[".repeat(4000) + &"]".repeat(4000))),
            "-32",
        ),
        ("another type", changed("type", "x".into()), "-32602"),
        (
            "a rule above 16 bits",
            changed("rule", 65536.into()),
            "-32602",
        ),
        ("a negative rule", changed("rule", (-1).into()), "-32602"),
        ("a short signature", submit(&short.to_string()), "-32602"),
        (
            "too long",
            open(&format!(
                r#"["{}"]"#,
                "a".repeat(MAX_MESSAGE_BYTES as usize)
            )),
            " 413 ",
        ),
        ("too many", format!("[{too_many}]").into_bytes(), "-32010"),
    ];
    let address = server.address();
    for (name, body, expected) in bad {
        let answer = tokio::task::spawn_blocking(move || post(address, &body)).await;
        let answer = answer.unwrap();
        assert!(answer.contains(expected), "{name}: {answer}");
        assert!(!answer.contains(r#""result""#), "{name}: {answer}");
    }
    // Half a request, and then nothing.
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        .unwrap();
    remote.open(&statement(1)).await.unwrap();
    remote.submit(signed(1, 0)).await.unwrap();
    drop(half);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_operators_over_http_make_one_certificate() {
    let confirmer = Confirmer::default();
    let inside = aggregator(&confirmer);
    let (_server, remote) = serve(inside.clone()).await;
    let remote = Arc::new(remote);
    let mut sending = tokio::task::JoinSet::new();
    for turn in 0..64 {
        let remote = Arc::clone(&remote);
        sending.spawn(async move {
            remote.open(&statement(1)).await.unwrap();
            remote.submit(signed(1, turn % 4)).await.unwrap();
        });
    }
    sending.join_all().await;
    confirmed(&inside, 1).await;
    assert_eq!(confirmer.certificates().len(), 1);
}
