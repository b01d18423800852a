//! A line to a node that loses, doubles and invents.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use alloy_json_rpc::{RequestPacket, ResponsePacket, ResponsePayload};
use alloy_primitives::{Bytes, keccak256};
use alloy_provider::{Provider, RootProvider};
use alloy_rpc_client::RpcClient;
use alloy_transport::{BoxTransport, TransportError, TransportErrorKind, TransportFut};
use rand::{Rng, rngs::StdRng};
use serde_json::json;
use tower::Service;

use crate::node::{failure, success};

/// What goes wrong, drawn anew for each request.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The request never arrives.
    Lost,
    /// The request arrives, the answer does not.
    AnswerLost,
    /// A gateway answers instead of the node.
    Unavailable,
    Busy,
    /// The node gets a transaction twice.
    Twice,
    /// The node says that it has taken a transaction, and has not.
    Swallowed,
    /// The node has not heard of a transaction that is in a block.
    NoReceipt,
    /// The node miscounts the transactions of an account.
    WrongNonce(i64),
}

/// Faults of all lines of one schedule.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    rng: Arc<Mutex<StdRng>>,
    over: Arc<AtomicBool>,
}

impl Faults {
    pub(crate) fn new(rng: StdRng) -> Self {
        Self {
            rng: Arc::new(Mutex::new(rng)),
            over: Arc::default(),
        }
    }

    /// From now on everything goes well.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The node behind `provider`, through a bad line.
    pub(crate) fn line(&self, provider: &RootProvider) -> RootProvider {
        let line = Line {
            inner: provider.client().transport().clone(),
            faults: self.clone(),
        };
        RootProvider::new(RpcClient::new(line, true))
    }

    fn draw(&self, method: &str) -> Option<Fault> {
        if self.is_over() {
            return None;
        }
        let mut rng = self.rng.lock().unwrap();
        let any = match rng.random_range(0..100) {
            0 | 1 => Some(Fault::Lost),
            2 | 3 => Some(Fault::AnswerLost),
            4 => Some(Fault::Unavailable),
            5 => Some(Fault::Busy),
            _ => None,
        };
        let special = match (method, rng.random_range(0..100)) {
            ("eth_sendRawTransaction", 0..15) => Some(Fault::AnswerLost),
            ("eth_sendRawTransaction", 15..25) => Some(Fault::Twice),
            ("eth_sendRawTransaction", 25..40) => Some(Fault::Swallowed),
            ("eth_getTransactionReceipt", 0..15) => Some(Fault::NoReceipt),
            ("eth_getTransactionCount", 0..30) => Some(Fault::WrongNonce(
                *[-5, -1, 1, 3].get(rng.random_range(0..4)).unwrap(),
            )),
            _ => None,
        };
        special.or(any)
    }
}

#[derive(Clone)]
struct Line {
    inner: BoxTransport,
    faults: Faults,
}

impl Line {
    async fn pass(mut self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let request = packet.as_single().unwrap();
        let fault = self.faults.draw(request.method());
        let params = request.params().map(|params| params.get().to_owned());
        let id = request.id().clone();
        let instead = |payload: ResponsePayload| {
            Ok(ResponsePacket::Single(alloy_json_rpc::Response {
                id: id.clone(),
                payload,
            }))
        };
        match fault {
            None => self.inner.call(packet).await,
            Some(Fault::Lost) => Err(TransportErrorKind::custom_str("timed out")),
            Some(Fault::AnswerLost) => {
                self.inner.call(packet).await?;
                Err(TransportErrorKind::custom_str("connection reset"))
            }
            Some(Fault::Unavailable) => {
                Err(TransportErrorKind::http_error(503, "no backend".to_owned()))
            }
            Some(Fault::Busy) => instead(failure(-32005, "limit exceeded")),
            Some(Fault::Twice) => {
                self.inner.call(packet.clone()).await?;
                self.inner.call(packet).await
            }
            Some(Fault::Swallowed) => {
                let (raw,): (Bytes,) = serde_json::from_str(&params.unwrap()).unwrap();
                instead(success(&json!(keccak256(raw))))
            }
            Some(Fault::NoReceipt) => instead(success(&json!(null))),
            Some(Fault::WrongNonce(by)) => {
                let ResponsePacket::Single(answer) = self.inner.call(packet).await? else {
                    panic!("no batch was sent")
                };
                let ResponsePayload::Success(count) = &answer.payload else {
                    return Ok(ResponsePacket::Single(answer));
                };
                let count: alloy_primitives::U64 = serde_json::from_str(count.get()).unwrap();
                let wrong = count.to::<u64>().saturating_add_signed(by);
                instead(success(&json!(format!("{wrong:#x}"))))
            }
        }
    }
}

impl Service<RequestPacket> for Line {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().pass(packet))
    }
}
