//! What the network is asked: gRPC, and HTTP for what is too large for it. No answer is longer than a
//! megabyte, and none is waited for without an end.

use std::time::Duration;

use alloy_primitives::{Address, B256, hex};
use mach_prove::protocol::ProverError;
use prost::Message;
use reqwest::{Client, Response, redirect::Policy};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{
    clip,
    service::{Service, is_here, is_private},
    wire,
};

/// Most bytes of an answer: a proof has about four kilobytes.
const MAX_ANSWER: usize = 1024 * 1024;
/// Longest wait for a connection, an answer, and for an artifact to pass.
const CONNECT: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_secs(60);
const TRANSFER: Duration = Duration::from_secs(600);
/// Requests of a page: most that the network lists at once.
const LISTED: u32 = 100;
/// Pages that are looked through for a request that may have arrived.
const MAX_PAGES: u32 = 20;

/// The network, as one account talks to it.
pub(super) struct Network<'a> {
    service: &'a Service,
    channel: Channel,
    http: Client,
    /// The same past the proxy that the environment may name: for this machine.
    direct: Client,
}

impl<'a> Network<'a> {
    pub(super) fn new(service: &'a Service) -> Result<Self, ProverError> {
        let mut endpoint = Endpoint::from_shared(service.url.clone())?
            .connect_timeout(CONNECT)
            .timeout(ANSWER);
        if service.url.starts_with("https://") {
            endpoint = endpoint.tls_config(ClientTlsConfig::new().with_webpki_roots())?;
        }
        let http = || {
            Client::builder()
                .redirect(Policy::none())
                .connect_timeout(CONNECT)
                .timeout(TRANSFER)
        };
        Ok(Self {
            service,
            channel: endpoint.connect_lazy(),
            http: http().build()?,
            direct: http().no_proxy().build()?,
        })
    }

    fn http(&self, url: &str) -> &Client {
        if is_here(url) {
            &self.direct
        } else {
            &self.http
        }
    }

    pub(super) async fn knows(&self, program: B256) -> Result<bool, ProverError> {
        let vk_hash = program.to_vec();
        let answer: Result<wire::Known, _> = self
            .call("GetProgram", wire::ProgramQuery { vk_hash })
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(refused(&status)),
        }
    }

    pub(super) async fn nonce(&self) -> Result<u64, ProverError> {
        let address = self.service.address().to_vec();
        let answer: Result<wire::Nonce, _> =
            self.call("GetNonce", wire::NonceQuery { address }).await;
        answer.map(|it| it.nonce).map_err(|status| refused(&status))
    }

    pub(super) async fn create(&self, body: wire::NewProgramBody) -> Result<(), ProverError> {
        let query = wire::NewProgram {
            format: wire::BINARY,
            signature: self.service.sign(&body.encode_to_vec())?.to_vec(),
            body: Some(body),
        };
        let answer: Result<wire::Known, _> = self.call("CreateProgram", query).await;
        answer.map(|_| ()).map_err(|status| refused(&status))
    }

    pub(super) async fn terms(&self) -> Result<wire::Terms, ProverError> {
        let mode = wire::GROTH16;
        let answer = self
            .call("GetProofRequestParams", wire::TermsQuery { mode })
            .await;
        answer.map_err(|status| refused(&status))
    }

    /// Addresses of the provers that the network finds reliable.
    pub(super) async fn provers(&self) -> Result<Vec<Vec<u8>>, ProverError> {
        let query = wire::ProversQuery {
            high_availability_only: false,
        };
        let answer: Result<wire::Provers, _> = self.call("GetProversByUptime", query).await;
        let provers = answer.map_err(|status| refused(&status))?.provers;
        match provers.iter().all(|it| it.len() == Address::len_bytes()) {
            true => Ok(provers),
            false => Err(ProverError::other("the network names no provers")),
        }
    }

    /// Orders a proof, and answers its id.
    pub(super) async fn order(&self, body: wire::NewRequestBody) -> Result<B256, NotOrdered> {
        let signature = self.service.sign(&body.encode_to_vec());
        let query = wire::NewRequest {
            format: wire::BINARY,
            signature: signature.map_err(NotOrdered::Refused)?.to_vec(),
            body: Some(body),
        };
        let answer: Result<wire::Ordered, _> = self.call("RequestProof", query).await;
        let answer = answer.map_err(|status| match status.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => NotOrdered::Refused(refused(&status)),
            _ => NotOrdered::Unknown(refused(&status)),
        })?;
        let id = answer.body.and_then(|it| id(&it.request_id));
        let nameless = "the network gives no id for the request";
        id.ok_or_else(|| NotOrdered::Unknown(ProverError::other(nameless)))
    }

    /// The request that `body` asked for, if it has arrived: nothing has its input but it.
    pub(super) async fn find(
        &self,
        body: &wire::NewRequestBody,
    ) -> Result<Option<B256>, ProverError> {
        for page in 1..=MAX_PAGES {
            let query = wire::RequestsQuery {
                // Those that end after this.
                minimum_deadline: Some(body.deadline.saturating_sub(1)),
                vk_hash: Some(body.vk_hash.clone()),
                requester: Some(self.service.address().to_vec()),
                limit: Some(LISTED),
                page: Some(page),
            };
            let answer: Result<wire::Requests, _> =
                self.call("GetFilteredProofRequests", query).await;
            let requests = answer.map_err(|status| refused(&status))?.requests;
            let found = requests.iter().find(|it| it.stdin_uri == body.stdin_uri);
            if let Some(found) = found {
                let nameless = || ProverError::other("the network lists a request without an id");
                return id(&found.request_id).map(Some).ok_or_else(nameless);
            }
            if requests.is_empty() {
                return Ok(None);
            }
        }
        Err(ProverError::other("the network lists requests without end"))
    }

    pub(super) async fn status(&self, request: B256) -> Result<wire::Status, ProverError> {
        let request_id = request.to_vec();
        let answer = self
            .call("GetProofRequestStatus", wire::Request { request_id })
            .await;
        answer.map_err(|status| refused(&status))
    }

    /// Hands over what is too large for a message, and answers its name.
    pub(super) async fn upload(&self, kind: i32, bytes: &[u8]) -> Result<String, ProverError> {
        let mut signature = self.service.sign(b"create_artifact")?;
        // `sp1-sdk` adds 27 here, to what has it already: that is what the network takes.
        signature[64] += 27;
        let query = wire::NewArtifact {
            signature: signature.to_vec(),
            kind,
        };
        let answer: Result<wire::Artifact, _> =
            (self.ask("/artifact.ArtifactStore/CreateArtifact", query)).await;
        let artifact = answer.map_err(|status| refused(&status))?;
        let body = zstd::encode_all(bytes, 3)?;
        if !is_private(&artifact.upload_url) {
            return Err(ProverError::other(
                "the network wants an upload in the clear",
            ));
        }
        let url = &artifact.upload_url;
        let request = self.http(url).put(url).body(body);
        request
            .send()
            .await
            .and_then(Response::error_for_status)
            .map_err(|error| error.without_url())?;
        Ok(artifact.uri)
    }

    pub(super) async fn download(&self, url: &str) -> Result<Vec<u8>, ProverError> {
        if !is_private(url) {
            return Err(ProverError::other("the network's proof lies at no URL"));
        }
        let request = self.http(url).get(url);
        let mut answer = request
            .send()
            .await
            .and_then(Response::error_for_status)
            .map_err(|error| error.without_url())?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|it| it.without_url())? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(ProverError::other("the network's proof is too large"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn call<Q, A>(&self, method: &str, query: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.ask(&format!("/network.ProverNetwork/{method}"), query)
            .await
    }

    async fn ask<Q, A>(&self, path: &str, query: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = PathAndQuery::try_from(path).map_err(|_| Status::internal("no path"))?;
        let mut client = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        client
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let answer = client.unary(Request::new(query), path, ProstCodec::default());
        Ok(answer.await?.into_inner())
    }
}

/// Why there is no id of a request.
pub(super) enum NotOrdered {
    /// The network does not do it.
    Refused(ProverError),
    /// It may do it: the answer did not come.
    Unknown(ProverError),
}

fn id(bytes: &[u8]) -> Option<B256> {
    B256::try_from(bytes).ok()
}

fn refused(status: &Status) -> ProverError {
    let (code, words) = (status.code(), clip(status.message()));
    ProverError::other(format!("the network answers {code:?}: {words}"))
}

/// For people.
pub(super) fn name(request: B256) -> String {
    format!("request {}", hex::encode_prefixed(request))
}
