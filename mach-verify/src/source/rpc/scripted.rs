//! An HTTP server on loopback that answers as a test says, and worse than any node.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// What comes back for one HTTP request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Status 200 and this.
    Json(Value),
    /// A status, header lines, and a body.
    Raw(u16, Vec<String>, Vec<u8>),
    /// Nothing, for ever.
    Hang,
    /// The head and half of what it announces, then the connection ends.
    Cut,
    /// The head and a body without an end.
    Endless,
}

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Scripted {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scripted {
    /// Answers each request with what `script` makes of its body and of how many came before.
    pub(crate) async fn serve(
        script: impl Fn(usize, &Value) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let script = Arc::new(script);
        let counter = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, counter) = (Arc::clone(&script), Arc::clone(&counter));
                tokio::spawn(async move {
                    let _ = connection(stream, &*script, &counter).await;
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    /// Answers each call, alone or in a batch, with the result or error object of `method`.
    pub(crate) async fn node(
        method: impl Fn(&str, &Value) -> Result<Value, Value> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(move |_, body| Reply::Json(answer(body, &method))).await
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://{}/key-that-is-secret", self.address)
            .parse()
            .unwrap()
    }

    /// HTTP requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// The JSON-RPC answer to a body.
pub(crate) fn answer(body: &Value, method: impl Fn(&str, &Value) -> Result<Value, Value>) -> Value {
    let one = |call: &Value| {
        let name = call["method"].as_str().unwrap_or_default();
        match method(name, &call["params"]) {
            Ok(result) => json!({"jsonrpc": "2.0", "id": call["id"], "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": call["id"], "error": error}),
        }
    };
    match body {
        Value::Array(calls) => calls.iter().map(one).collect(),
        call => one(call),
    }
}

/// The error of a node that has no such method.
pub(crate) fn not_found() -> Value {
    json!({"code": -32601, "message": "the method does not exist/is not available"})
}

async fn connection(
    stream: TcpStream,
    script: &(impl Fn(usize, &Value) -> Reply + Send + Sync),
    counter: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let number = counter.fetch_add(1, Ordering::SeqCst);
        match script(number, &body) {
            Reply::Json(value) => {
                let body = serde_json::to_vec(&value).unwrap();
                head(&mut stream, 200, &[], Some(body.len())).await?;
                stream.write_all(&body).await?;
            }
            Reply::Raw(status, lines, body) => {
                head(&mut stream, status, &lines, Some(body.len())).await?;
                stream.write_all(&body).await?;
            }
            Reply::Hang => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            Reply::Cut => {
                head(&mut stream, 200, &[], Some(1000)).await?;
                stream
                    .write_all(br#"{"jsonrpc":"2.0","id":0,"result":"#)
                    .await?;
                return Ok(());
            }
            Reply::Endless => {
                head(&mut stream, 200, &[], None).await?;
                loop {
                    stream.write_all(&[b' '; 4096]).await?;
                }
            }
        }
        stream.flush().await?;
    }
}

async fn head(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    lines: &[String],
    length: Option<usize>,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} As Told\r\ncontent-type: application/json\r\n");
    for line in lines {
        head.push_str(line);
        head.push_str("\r\n");
    }
    match length {
        Some(length) => head.push_str(&format!("content-length: {length}\r\n\r\n")),
        None => head.push_str("connection: close\r\n\r\n"),
    }
    stream.write_all(head.as_bytes()).await
}
