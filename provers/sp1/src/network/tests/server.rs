//! A network that says what it is told to say: gRPC for the messages, HTTP for the artifacts.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use alloy_primitives::{Address, Signature};
use h2::{RecvStream, server::SendResponse};
use prost::{Message, bytes::Bytes};
use tonic::{Code, Status, codegen::http};

use crate::network::wire;

/// What it says, and what it was asked.
#[derive(Clone)]
pub(super) struct Script {
    /// Whose signatures it takes.
    pub(super) account: Address,
    pub(super) knows_program: bool,
    pub(super) terms: wire::Terms,
    /// What becomes of orders, one after the other; after that they are taken.
    pub(super) orders: VecDeque<Taken>,
    /// Answers about the request, the last of them for ever.
    pub(super) statuses: Vec<wire::Status>,
    /// What is to be fetched.
    pub(super) proof: Vec<u8>,
    /// Where artifacts go, if not to itself.
    pub(super) upload_url: Option<String>,
    pub(super) nonce: u64,
    /// Method of what it was asked.
    pub(super) asked: Vec<String>,
    /// Requests of the account that are listed before what was taken.
    pub(super) others: usize,
    /// Lists that do not have what was taken yet.
    pub(super) unlisted: usize,
    /// What was uploaded, unpacked.
    pub(super) uploaded: BTreeMap<String, Vec<u8>>,
    /// Programs that it was told of.
    pub(super) programs: Vec<wire::NewProgramBody>,
    /// Orders that it was sent, and those of them that it has taken.
    pub(super) sent: Vec<wire::NewRequestBody>,
    pub(super) taken: Vec<wire::NewRequestBody>,
}

/// What becomes of an order.
#[derive(Clone, Copy)]
pub(super) enum Taken {
    Refused(Code),
    /// Lost on the way there.
    Lost,
    /// Taken, and the answer is lost.
    Unheard,
}

pub(super) const REQUEST: [u8; 32] = [7; 32];

#[derive(Clone)]
pub(super) struct Network {
    pub(super) url: String,
    http: String,
    pub(super) script: Arc<Mutex<Script>>,
}

impl Network {
    pub(super) fn start(script: Script) -> Self {
        let files = TcpListener::bind("127.0.0.1:0").unwrap();
        let messages = TcpListener::bind("127.0.0.1:0").unwrap();
        messages.set_nonblocking(true).unwrap();
        let network = Self {
            url: format!("http://{}", messages.local_addr().unwrap()),
            http: format!("http://{}", files.local_addr().unwrap()),
            script: Arc::new(Mutex::new(script)),
        };
        let served = network.clone();
        thread::spawn(move || {
            for stream in files.incoming() {
                served.pass(stream.unwrap());
            }
        });
        let served = network.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(messages).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let served = served.clone();
                    tokio::spawn(async move {
                        let mut connection = h2::server::handshake(stream).await.unwrap();
                        while let Some(Ok((request, respond))) = connection.accept().await {
                            tokio::spawn(serve(served.clone(), request, respond));
                        }
                    });
                }
            });
        });
        network
    }

    pub(super) fn count(&self, method: &str) -> usize {
        let script = self.script.lock().unwrap();
        script.asked.iter().filter(|it| *it == method).count()
    }

    fn answer(&self, method: &str, query: &[u8]) -> Result<Vec<u8>, Status> {
        let mut script = self.script.lock().unwrap();
        let script = &mut *script;
        script.asked.push(method.to_owned());
        Ok(match method {
            "GetNonce" => {
                let query = wire::NonceQuery::decode(query).unwrap();
                assert_eq!(query.address, script.account.as_slice());
                let nonce = script.nonce;
                wire::Nonce { nonce }.encode_to_vec()
            }
            "GetProgram" if script.knows_program => Vec::new(),
            "GetProgram" => return Err(Status::not_found("no such program")),
            "CreateProgram" => {
                let query = wire::NewProgram::decode(query).unwrap();
                let body = query.body.unwrap();
                script.signed(&body.encode_to_vec(), &query.signature);
                script.number(body.nonce)?;
                script.knows_program = true;
                script.programs.push(body);
                Vec::new()
            }
            "GetProofRequestParams" => script.terms.encode_to_vec(),
            "GetProversByUptime" => {
                let provers = vec![vec![9; 20]];
                wire::Provers { provers }.encode_to_vec()
            }
            "RequestProof" => {
                let query = wire::NewRequest::decode(query).unwrap();
                let body = query.body.unwrap();
                script.signed(&body.encode_to_vec(), &query.signature);
                script.sent.push(body.clone());
                let outcome = script.orders.pop_front();
                match outcome {
                    Some(Taken::Refused(code)) => return Err(Status::new(code, "not\u{1b} this")),
                    Some(Taken::Lost) => return Err(Status::unavailable("lost")),
                    _ => {}
                }
                script.number(body.nonce)?;
                script.taken.push(body);
                if outcome.is_some() {
                    return Err(Status::unavailable("unheard"));
                }
                let body = Some(wire::Request {
                    request_id: REQUEST.to_vec(),
                });
                let tx_hash = vec![1; 32];
                wire::Ordered { tx_hash, body }.encode_to_vec()
            }
            "GetFilteredProofRequests" => {
                let query = wire::RequestsQuery::decode(query).unwrap();
                assert_eq!(query.requester.unwrap(), script.account.as_slice());
                let listed = if script.unlisted > 0 { 0 } else { usize::MAX };
                script.unlisted = script.unlisted.saturating_sub(1);
                let taken = script.taken.iter().take(listed);
                let taken = taken.filter(|it| it.deadline > query.minimum_deadline.unwrap());
                let uris = taken.map(|it| it.stdin_uri.clone());
                let others = (0..script.others).map(|it| format!("artifacts/other/{it}"));
                let limit = query.limit.unwrap() as usize;
                let before = (query.page.unwrap() as usize - 1) * limit;
                let page = others.chain(uris).skip(before).take(limit);
                let requests = page.map(|stdin_uri| wire::Listed {
                    request_id: REQUEST.to_vec(),
                    stdin_uri,
                });
                let requests = requests.collect();
                wire::Requests { requests }.encode_to_vec()
            }
            "GetProofRequestStatus" => {
                let query = wire::Request::decode(query).unwrap();
                assert_eq!(query.request_id, REQUEST);
                let mut status = match &script.statuses[..] {
                    [last] => last.clone(),
                    _ => script.statuses.remove(0),
                };
                if status.fulfillment == wire::FULFILLED {
                    status.proof_uri = Some(format!("{}/proof", self.http));
                }
                status.encode_to_vec()
            }
            "CreateArtifact" => {
                let query = wire::NewArtifact::decode(query).unwrap();
                let mut signature = query.signature;
                signature[64] -= 27;
                script.signed(b"create_artifact", &signature);
                let uri = format!("artifacts/{}/{}", query.kind, script.asked.len());
                let here = format!("{}/{uri}", self.http);
                let upload_url = script.upload_url.clone().unwrap_or(here);
                wire::Artifact { uri, upload_url }.encode_to_vec()
            }
            _ => return Err(Status::unimplemented(method)),
        })
    }

    /// Answers one request of HTTP and closes.
    fn pass(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim().split_once(": ") else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut script = self.script.lock().unwrap();
        let answer = match line.split(' ').collect::<Vec<_>>()[..] {
            ["PUT", path, _] => {
                let unpacked = zstd::decode_all(&body[..]).unwrap();
                script.uploaded.insert(path[1..].to_owned(), unpacked);
                Vec::new()
            }
            _ => script.proof.clone(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        let mut stream = reader.into_inner();
        // Whoever asked may have heard enough.
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&answer));
    }
}

impl Script {
    /// By the account, as wallets sign (EIP-191).
    fn signed(&self, message: &[u8], signature: &[u8]) {
        let signature = Signature::from_raw(signature).unwrap();
        let signer = signature.recover_address_from_msg(message).unwrap();
        assert_eq!(signer, self.account);
    }

    /// Each number is taken once.
    fn number(&mut self, nonce: u64) -> Result<(), Status> {
        if nonce != self.nonce {
            return Err(Status::failed_precondition("another number"));
        }
        self.nonce += 1;
        Ok(())
    }
}

/// Answers one request of gRPC: a message has five bytes before it, which say that it is not packed, and
/// how long it is.
async fn serve(
    network: Network,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    let (mut body, mut query) = (request.into_body(), Vec::new());
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        query.extend_from_slice(&chunk);
    }
    let answer = network.answer(&method, &query[5..]);
    let head = http::Response::builder().header("content-type", "application/grpc");
    let mut stream = respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    let mut trailers = http::HeaderMap::new();
    let (code, words) = match &answer {
        Ok(_) => (Code::Ok, String::new()),
        // What no header may have.
        Err(status) => (status.code(), status.message().replace('\u{1b}', "%1B")),
    };
    if let Ok(message) = answer {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed = [&[0][..], &length, &message].concat();
        stream.send_data(framed.into(), false).unwrap();
    }
    trailers.insert("grpc-status", (code as i32).into());
    trailers.insert("grpc-message", words.parse().unwrap());
    stream.send_trailers(trailers).unwrap();
}
