//! A service that speaks as much of Bonsai's REST API as a proof takes, by script.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;

/// What it answers, and what it was asked.
#[derive(Default)]
pub(crate) struct Script {
    /// Answers about the session, the last of them for ever.
    pub(crate) states: Vec<serde_json::Value>,
    /// Answers about the Groth16 proof, the last of them for ever.
    pub(crate) snarks: Vec<serde_json::Value>,
    pub(crate) receipt: Vec<u8>,
    /// Where inputs, guests and receipts lie, if it is not the service itself.
    pub(crate) storage: Option<String>,
    /// Answers that do not come: the orders before have their effect.
    pub(crate) silent: usize,
    /// Answers of a service that is out of order, to whatever is asked.
    pub(crate) outage: usize,
    /// What it does not know any more.
    pub(crate) forgotten: Vec<&'static str>,
    /// Method and path of what it was asked.
    pub(crate) asked: Vec<String>,
    /// The same of what came without a key.
    pub(crate) keyless: Vec<String>,
    /// What it was given, by path.
    pub(crate) given: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone)]
pub(crate) struct Bonsai {
    pub(crate) url: String,
    pub(crate) script: Arc<Mutex<Script>>,
}

pub(crate) const KEY: &str = "a key";

impl Bonsai {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bonsai = Self {
            url,
            script: Arc::new(Mutex::new(script)),
        };
        let served = bonsai.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                served.answer(stream.unwrap());
            }
        });
        bonsai
    }

    /// How often something was asked that begins so.
    pub(crate) fn count(&self, of: &str) -> usize {
        let script = self.script.lock().unwrap();
        script.asked.iter().filter(|it| it.starts_with(of)).count()
    }

    /// Answers one request and closes.
    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let mut words = line.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return;
        };
        let request = format!("{method} {path}");
        let (mut length, mut key) = (0, None);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim().split_once(": ") else {
                break;
            };
            match name.to_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "x-api-key" => key = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let (status, answer) = match key.as_deref() {
            Some(KEY) => self.respond(&request, body),
            None if request.contains(" /stored/") => self.store(&request, body),
            _ => ("401 Unauthorized", b"who are you".to_vec()),
        };
        if method == "POST" && self.is_left(|script| &mut script.silent) {
            return;
        }
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        let mut stream = reader.into_inner();
        // Whoever asked may have heard enough.
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&answer));
    }

    fn is_left(&self, of: impl FnOnce(&mut Script) -> &mut usize) -> bool {
        let mut script = self.script.lock().unwrap();
        let left = of(&mut script);
        let is_left = *left > 0;
        *left = left.saturating_sub(1);
        is_left
    }

    /// As a storage that gives everybody leave by the URL.
    fn store(&self, request: &str, body: Vec<u8>) -> (&'static str, Vec<u8>) {
        let mut script = self.script.lock().unwrap();
        script.keyless.push(request.to_owned());
        match request.rsplit_once('/') {
            Some((_, "receipt")) => ("200 OK", script.receipt.clone()),
            Some((_, name)) => {
                script.given.insert(name.to_owned(), body);
                ("200 OK", Vec::new())
            }
            None => ("404 Not Found", Vec::new()),
        }
    }

    fn respond(&self, request: &str, body: Vec<u8>) -> (&'static str, Vec<u8>) {
        if self.is_left(|script| &mut script.outage) {
            return ("503 Service Unavailable", b"later".to_vec());
        }
        let mut script = self.script.lock().unwrap();
        script.asked.push(request.to_owned());
        let (url, place) = match script.storage.clone() {
            Some(storage) => (format!("{storage}/stored"), format!("{storage}/stored")),
            None => (self.url.clone(), format!("{}/put", self.url)),
        };
        if script.forgotten.iter().any(|it| request.contains(it)) {
            return ("404 Not Found", b"no such session".to_vec());
        }
        let next = |answers: &mut Vec<serde_json::Value>| match &answers[..] {
            [last] => last.clone(),
            _ => answers.remove(0),
        };
        let answer = match request.split(['/', ' ']).collect::<Vec<_>>()[..] {
            ["GET", "", "images", "upload", _] => json!({ "url": format!("{place}/image") }),
            ["GET", "", "inputs", "upload"] => {
                json!({ "url": format!("{place}/input"), "uuid": "input-1" })
            }
            ["PUT", "", "put", name] => {
                script.given.insert(name.to_owned(), body);
                json!({})
            }
            ["POST", "", what @ ("sessions" | "snark"), "create"] => {
                script.given.insert(what.to_owned(), body);
                json!({ "uuid": format!("{what}-1") })
            }
            ["GET", "", "sessions", "status", "sessions-1"] => next(&mut script.states),
            ["GET", "", "snark", "status", "snark-1"] => {
                let mut answer = next(&mut script.snarks);
                answer["output"] = json!(format!("{url}/receipt"));
                answer
            }
            ["GET", "", "version"] => json!({ "risc0_zkvm": ["3.0"] }),
            ["GET", "", "sessions", "stop", _] => json!({}),
            ["GET", "", "receipt"] => return ("200 OK", script.receipt.clone()),
            _ => return ("404 Not Found", b"not found".to_vec()),
        };
        ("200 OK", serde_json::to_vec(&answer).unwrap())
    }
}
