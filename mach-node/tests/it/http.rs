//! The HTTP server, and clients that do not behave.

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{
        ConnectInfo,
        ws::{Message, WebSocketUpgrade},
    },
    http::{Request, Response, StatusCode},
    routing::{any, get, post},
};
use futures::stream;
use h2::{RecvStream, client::SendRequest};
use mach_node::http::{
    HttpConfig, HttpLimits, HttpServer, Rate, ServeError, Streamed, TlsConfig, serve,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const BIG: usize = 64 << 20;

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "here" }))
        .route(
            "/from",
            get(|ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.to_string() }),
        )
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/big", get(|| async { vec![7u8; BIG] }))
        .route("/unknown", get(|| async { of_unknown_length() }))
        .route("/ticks", get(|| async { (Extension(Streamed), ticks()) }))
        .route("/never", get(std::future::pending::<String>))
        .route("/panic", get(panics))
        .route(
            "/ws",
            any(|upgrade: WebSocketUpgrade| async {
                upgrade.on_upgrade(|mut socket| async move {
                    let _ = socket.send(Message::Text("hello".into())).await;
                    let _ = socket.recv().await;
                })
            }),
        )
}

fn of_unknown_length() -> Body {
    let chunk = || Ok::<_, Infallible>(Bytes::from(vec![7u8; 1 << 18]));
    Body::from_stream(stream::iter(std::iter::repeat_with(chunk).take(8)))
}

fn ticks() -> Body {
    Body::from_stream(stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, Infallible>("tick"), ()))
    }))
}

async fn panics() -> String {
    panic!("a handler panics")
}

fn limits() -> HttpLimits {
    HttpLimits {
        rate: None,
        ..HttpLimits::default()
    }
}

async fn server(limits: HttpLimits) -> HttpServer {
    let config = HttpConfig::new(ANY_PORT).with_limits(limits);
    serve(router(), config).await.unwrap()
}

fn connect(server: &HttpServer) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream.set_write_timeout(patience).unwrap();
    stream
}

/// What comes until the server closes.
fn rest(stream: &mut impl Read) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Runs what blocks beside the server.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn ask(server: &HttpServer, request: impl Into<Vec<u8>>) -> String {
    let (mut stream, request) = (connect(server), request.into());
    blocking(move || {
        let _ = stream.write_all(&request);
        rest(&mut stream)
    })
    .await
}

fn get_once(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: mach\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_handler_sees_who_asks() {
    let server = server(limits()).await;
    let answer = ask(&server, get_once("/from")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\r\n\r\n127.0.0.1:"), "{answer}");
    assert_eq!(server.url(), format!("http://{}", server.address()));
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let server = server(limits()).await;
    let answer = ask(&server, get_once("/panic")).await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(!answer.contains("a handler panics"), "{answer}");
    let answer = ask(&server, get_once("/")).await;
    assert!(answer.ends_with("here"), "{answer}");
}

/// Heads that never end: nothing, a letter now and then, a half HTTP/2 preface, a whole one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_loris_is_cut_off() {
    let server = server(HttpLimits {
        head_timeout: Duration::from_millis(400),
        ..limits()
    })
    .await;
    let beginnings = [
        &b""[..],
        b"GET / HTTP/1.1\r\nX: ",
        b"PRI * HTT",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ];
    for beginning in beginnings {
        let start = Instant::now();
        let mut stream = connect(&server);
        let lived = blocking(move || {
            stream
                .set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            stream.write_all(beginning).unwrap();
            let mut buffer = [0; 1024];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    // HTTP/2 settings.
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        if beginning.ends_with(b": ") && stream.write_all(b"a").is_err() {
                            break;
                        }
                    }
                    Err(_) => break,
                }
                assert!(start.elapsed() < Duration::from_secs(15), "never cut off");
            }
            start.elapsed()
        })
        .await;
        assert!(lived >= Duration::from_millis(300), "{lived:?}");
    }
    assert!(ask(&server, get_once("/")).await.ends_with("here"));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = server(HttpLimits {
        body: 1000,
        ..limits()
    })
    .await;
    let request = |length: usize| {
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: mach\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), &vec![b'a'; length]].concat()
    };
    assert!(
        ask(&server, request(1000))
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        ask(&server, request(1001))
            .await
            .starts_with("HTTP/1.1 413 ")
    );
    // Of which nobody knows the length.
    let chunk = format!("1f4\r\n{}\r\n", "a".repeat(500));
    let head = "POST /echo HTTP/1.1\r\nHost: mach\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (chunks, status) in [(2, "200"), (3, "413")] {
        let answer = ask(&server, format!("{head}{}0\r\n\r\n", chunk.repeat(chunks))).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered() {
    let server = server(HttpLimits {
        request_timeout: Duration::from_millis(200),
        ..limits()
    })
    .await;
    let answer = ask(&server, get_once("/never")).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // A body that does not come.
    let half = "POST /echo HTTP/1.1\r\nHost: mach\r\nContent-Length: 9\r\n\r\nhalf";
    let answer = ask(&server, half).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let server = server(HttpLimits {
        rate: Rate::new(1, 3),
        ..limits()
    })
    .await;
    let (start, mut taken) = (Instant::now(), 0);
    let answer = loop {
        let answer = ask(&server, get_once("/")).await.to_lowercase();
        if !answer.starts_with("http/1.1 200 ") {
            break answer;
        }
        taken += 1;
        assert!(taken <= 3 + start.elapsed().as_secs(), "{taken}");
    };
    assert!(taken >= 3, "{taken}");
    assert!(answer.starts_with("http/1.1 429 "), "{answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let answer = ask(&server, get_once("/")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_no_more_connections_than_allowed() {
    for limits in [
        HttpLimits {
            connections: 3,
            ..limits()
        },
        HttpLimits {
            connections_per_address: 3,
            ..limits()
        },
    ] {
        let server = server(limits).await;
        let mut held: Vec<_> = (0..3).map(|_| connect(&server)).collect();
        // Each of them is served.
        for stream in &mut held {
            let mut stream = stream.try_clone().unwrap();
            blocking(move || {
                stream
                    .write_all(b"GET / HTTP/1.1\r\nHost: mach\r\n\r\n")
                    .unwrap();
                let mut answer = [0; 8];
                stream.read_exact(&mut answer).unwrap();
            })
            .await;
        }
        assert_eq!(ask(&server, get_once("/")).await, "");
        drop(held.pop());
        let mut answer = String::new();
        while answer.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            answer = ask(&server, get_once("/")).await;
        }
        assert!(answer.ends_with("here"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_cut_off() {
    let server = server(HttpLimits {
        connections: 1,
        write_timeout: Duration::from_millis(300),
        ..limits()
    })
    .await;
    let start = Instant::now();
    let mut slow = connect(&server);
    slow.write_all(get_once("/big").as_bytes()).unwrap();
    // The only place is free when it is cut off.
    let mut answer = String::new();
    while answer.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(15), "never cut off");
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = ask(&server, get_once("/")).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(200));
    let taken = blocking(move || rest(&mut slow).len()).await;
    assert!(taken < BIG, "{taken}");
}

/// One byte now and then is something, and yet not enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_little_is_cut_off() {
    let server = server(HttpLimits {
        connections: 1,
        head_timeout: Duration::from_millis(400),
        request_timeout: Duration::from_millis(400),
        ..limits()
    })
    .await;
    let mut slow = connect(&server);
    let reading = tokio::task::spawn_blocking(move || {
        slow.write_all(get_once("/big").as_bytes()).unwrap();
        let mut buffer = [0; 100_000];
        let mut taken = 0;
        while let Ok(count @ 1..) = slow.read(&mut buffer) {
            taken += count;
            std::thread::sleep(Duration::from_millis(5));
        }
        taken
    });
    let taken = reading.await.unwrap();
    assert!(taken < BIG, "{taken}");
    assert!(ask(&server, get_once("/")).await.ends_with("here"));
}

/// A client of HTTP/2 that makes room for so many bytes of each answer, and the end of its connection.
async fn room_for(server: &HttpServer, bytes: u32) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let stream = tokio::net::TcpStream::connect(server.address());
    let mut builder = h2::client::Builder::new();
    let handshake = builder.initial_window_size(bytes);
    let handshake = handshake.handshake(stream.await.unwrap());
    let (client, connection) = handshake.await.unwrap();
    let ended = async {
        let _ = connection.await;
    };
    (client, tokio::spawn(ended))
}

async fn sent(client: &SendRequest<Bytes>, path: &str) -> h2::client::ResponseFuture {
    let request = Request::get(format!("http://mach{path}")).body(()).unwrap();
    let mut client = client.clone().ready().await.unwrap();
    client.send_request(request, true).unwrap().0
}

async fn asked(client: &SendRequest<Bytes>, path: &str) -> Response<RecvStream> {
    sent(client, path).await.await.unwrap()
}

const PATIENCE: Duration = Duration::from_secs(20);

/// TCP and pings go on, and it is not idle either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_makes_no_room_for_an_answer_is_cut_off() {
    let server = server(HttpLimits {
        head_timeout: Duration::from_secs(600),
        request_timeout: Duration::from_secs(3),
        ..limits()
    })
    .await;
    // After a first byte the rest is not left to the connection, which would be idle.
    for (path, bytes) in [("/big", 0), ("/big", 1), ("/unknown", 0), ("/unknown", 1)] {
        let (client, ended) = room_for(&server, bytes).await;
        let start = Instant::now();
        let answer = asked(&client, path).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        assert!(ended.is_ok(), "{path} {bytes}: never cut off");
        assert!(start.elapsed() >= Duration::from_secs(3));
    }
}

/// What goes on for ever has to be taken bit by bit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_makes_no_room_is_cut_off_and_one_that_reads_is_not() {
    let server = server(HttpLimits {
        head_timeout: Duration::from_secs(600),
        request_timeout: Duration::from_secs(1),
        write_timeout: Duration::from_secs(3),
        ..limits()
    })
    .await;
    let (reader, _ended) = room_for(&server, 1000).await;
    let mut ticks = asked(&reader, "/ticks").await.into_body();
    let reading = tokio::spawn(async move {
        while let Some(Ok(tick)) = ticks.data().await {
            ticks.flow_control().release_capacity(tick.len()).unwrap();
        }
    });
    for bytes in [0, 1] {
        let (client, ended) = room_for(&server, bytes).await;
        let answer = asked(&client, "/ticks").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        assert!(ended.is_ok(), "{bytes}: never cut off");
    }
    assert!(!reading.is_finished());
}

/// A connection of HTTP/2 is not many times as much.
#[tokio::test]
async fn a_request_takes_a_place_until_its_answer_is_gone() {
    let server = server(HttpLimits {
        connections_per_address: 3,
        ..limits()
    })
    .await;
    let (client, _ended) = room_for(&server, 1).await;
    let mut held = Vec::new();
    for path in ["/unknown", "/big"] {
        held.push(asked(&client, path).await);
    }
    let waiting = sent(&client, "/never").await;
    let start = Instant::now();
    let refused = loop {
        let answer = asked(&client, "/").await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        assert!(start.elapsed() < PATIENCE, "never refused");
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    // Whichever goes makes room.
    drop(held.pop());
    while asked(&client, "/").await.status() != StatusCode::OK {
        assert!(start.elapsed() < PATIENCE, "never free");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_socket_has_a_place_of_its_own() {
    let server = server(HttpLimits {
        connections: 1,
        head_timeout: Duration::from_secs(1),
        ..limits()
    })
    .await;
    let url = server.url().replace("http", "ws") + "/ws";
    let stream = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let hello = futures::StreamExt::next(&mut socket).await;
    assert_eq!(hello.unwrap().unwrap().into_text().unwrap(), "hello");
    // It may be silent for longer than a connection without requests, and nobody else comes in.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(ask(&server, get_once("/")).await, "");
    socket.close(None).await.unwrap();
    drop(socket);
    let mut answer = String::new();
    while answer.is_empty() {
        answer = ask(&server, get_once("/")).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_may_end_when_the_server_stops() {
    let begun = Arc::new(Notify::new());
    let begins = Arc::clone(&begun);
    let slow = Router::new().route(
        "/",
        get(|| async move {
            begins.notify_one();
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        }),
    );
    let config = HttpConfig::new(ANY_PORT).with_limits(limits());
    let server = serve(slow, config).await.unwrap();
    let address = server.address();
    let mut idle = connect(&server);
    let mut busy = connect(&server);
    let answer = tokio::task::spawn_blocking(move || {
        busy.write_all(get_once("/").as_bytes()).unwrap();
        rest(&mut busy)
    });
    begun.notified().await;
    tokio::time::timeout(Duration::from_secs(4), server.stop())
        .await
        .unwrap();
    assert!(answer.await.unwrap().ends_with("done"));
    assert_eq!(blocking(move || rest(&mut idle)).await, "");
    assert!(TcpStream::connect(address).is_err());
}

struct Identity {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
}

impl Identity {
    fn new() -> Self {
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pem = identity.cert.pem();
        std::fs::write(folder.path().join("certificates.pem"), &pem).unwrap();
        std::fs::write(
            folder.path().join("key.pem"),
            identity.signing_key.serialize_pem(),
        )
        .unwrap();
        Self {
            folder,
            certificate: CertificateDer::from_pem_slice(pem.as_bytes()).unwrap(),
        }
    }

    fn config(&self) -> TlsConfig {
        let file = |name: &str| -> PathBuf { self.folder.path().join(name) };
        TlsConfig {
            certificates: file("certificates.pem"),
            key: file("key.pem"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_certificate_speaks_tls_and_nothing_else() {
    let identity = Identity::new();
    let config = HttpConfig::new(ANY_PORT)
        .with_tls(identity.config())
        .with_limits(HttpLimits {
            head_timeout: Duration::from_secs(2),
            ..limits()
        });
    let server = serve(router(), config).await.unwrap();
    assert!(server.url().starts_with("https://127.0.0.1:"));

    let mut roots = RootCertStore::empty();
    roots.add(identity.certificate.clone()).unwrap();
    let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let client = Arc::new(client);
    let socket = connect(&server);
    let (protocol, settings) = blocking(move || {
        let connection = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .unwrap();
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).unwrap();
        (stream.conn.alpn_protocol().map(<[u8]>::to_vec), frame[3])
    })
    .await;
    assert_eq!(protocol.as_deref(), Some(&b"h2"[..]));
    // The type of the first frame, RFC 9113 section 6.5.
    assert_eq!(settings, 4);

    // Without TLS, and with a handshake that does not go on.
    assert!(!ask(&server, get_once("/")).await.contains("HTTP"));
    let start = Instant::now();
    ask(&server, [0x16, 0x03, 0x01]).await;
    assert!(start.elapsed() >= Duration::from_millis(1900));
}

#[tokio::test]
async fn a_server_says_why_it_cannot_serve() {
    let taken = server(limits()).await;
    let error = serve(router(), taken.address()).await.unwrap_err();
    assert!(matches!(error, ServeError::Listen { .. }), "{error:?}");

    let (one, other) = (Identity::new(), Identity::new());
    let missing = TlsConfig {
        key: one.folder.path().join("no.pem"),
        ..one.config()
    };
    let foreign = TlsConfig {
        key: other.config().key,
        ..one.config()
    };
    let swapped = TlsConfig {
        key: one.config().certificates,
        ..one.config()
    };
    let empty = TlsConfig {
        certificates: one.config().key,
        ..one.config()
    };
    for (tls, expected) in [
        (missing, "no.pem cannot be read"),
        (foreign, "certificate and key cannot be used"),
        (swapped, "certificates.pem cannot be read"),
        (empty, "certificate and key cannot be used"),
    ] {
        let config = HttpConfig::new(ANY_PORT).with_tls(tls);
        let error = serve(router(), config).await.unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}, not {expected}");
    }
}
