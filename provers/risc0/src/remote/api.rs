//! The calls of the REST API that a proof takes.
//!
//! The client of `bonsai-sdk` would send the key wherever the service sends it, and does not say with which
//! status it was refused; its types are used.

use std::{io::Read, time::Duration};

use bonsai_sdk::{
    API_KEY_HEADER, VERSION_HEADER,
    responses::{
        CreateSessRes, ImgUploadRes, ProofReq, SessionStatusRes, SnarkReq, SnarkStatusRes,
        UploadRes, VersionInfo,
    },
};
use mach_prove::protocol::ProverError;
use reqwest::{
    StatusCode, Url,
    blocking::{Client, RequestBuilder, Response},
    header::CONTENT_TYPE,
    redirect::Policy,
};
use serde::de::DeserializeOwned;

use super::{Service, clip, is_here};
use crate::guest::framed;

/// Most bytes of an answer that are read.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
/// Most bytes of a receipt that are read: one has about a kilobyte, with its journal.
const MAX_RECEIPT_BYTES: u64 = 1024 * 1024;
/// How long a call may take.
const CALL_WITHIN: Duration = Duration::from_secs(60);
/// How long an upload may take.
const UPLOAD_WITHIN: Duration = Duration::from_secs(600);

/// What can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A run of the guest and its proof.
    Session,
    /// The proof as one for the EVM.
    Snark,
}

impl Work {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Snark => "snark",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Session => "sessions",
            Self::Snark => "snark",
        }
    }
}

/// How far it is.
pub(super) enum Status {
    Running(Option<String>),
    /// Where the receipt is.
    Succeeded(Option<String>),
    /// Nothing comes of it any more.
    Failed(String),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The service says so.
    #[error("the service refuses: {words} ({status})")]
    Refused { status: StatusCode, words: String },
    /// It does not answer, or not in its words.
    #[error("the service does not answer: {0}")]
    Silent(String),
}

impl ApiError {
    /// Whether it was understood and not done. What answers so in front of a service that is away says
    /// nothing of what that did.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_client_error()
            && *status != StatusCode::REQUEST_TIMEOUT)
    }

    /// Whether there is nothing of that name.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: StatusCode::NOT_FOUND | StatusCode::GONE,
                ..
            }
        )
    }
}

/// Without the URL, which may be a signed one.
impl From<reqwest::Error> for ApiError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut words = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        Self::Silent(clip(&words))
    }
}

pub(super) struct Api<'a> {
    pub(super) service: &'a Service,
    client: Client,
    /// The same past the proxy that the environment may name: for this machine.
    direct: Client,
}

impl<'a> Api<'a> {
    pub(super) fn new(service: &'a Service) -> Result<Self, ProverError> {
        // A redirect would take the key along.
        let client = || {
            Client::builder()
                .redirect(Policy::none())
                .timeout(CALL_WITHIN)
        };
        Ok(Self {
            service,
            client: client().build()?,
            direct: client().no_proxy().build()?,
        })
    }

    /// Uploads the guest, unless the service has it.
    pub(super) fn upload_image(&self, image: &str, binary: &[u8]) -> Result<(), ApiError> {
        let answer = self.call(self.client.get(self.url(&format!("images/upload/{image}"))))?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        let place: ImgUploadRes = parsed(answer)?;
        self.put(&place.url, binary.to_vec())
    }

    /// Uploads an input, and answers what the service calls it.
    pub(super) fn upload_input(&self, input: &[u8]) -> Result<String, ProverError> {
        let framed = framed(input)?;
        let place: UploadRes = parsed(self.call(self.client.get(self.url("inputs/upload")))?)?;
        self.put(&place.url, framed)?;
        Ok(place.uuid)
    }

    /// Places an order, and answers what the service calls it.
    pub(super) fn create(&self, work: Work, body: Vec<u8>) -> Result<String, ApiError> {
        let url = self.url(&format!("{}/create", work.path()));
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json");
        let created: CreateSessRes = parsed(self.call(request.body(body))?)?;
        Ok(created.uuid)
    }

    /// How far an order is.
    pub(super) fn status(&self, work: Work, id: &str) -> Result<Status, ApiError> {
        let url = self.url_of(&[work.path(), "status", id]);
        let answer = self.call(self.client.get(url))?;
        let (status, state, output, reason) = match work {
            Work::Session => {
                let it: SessionStatusRes = parsed(answer)?;
                (it.status, it.state, it.receipt_url, it.error_msg)
            }
            Work::Snark => {
                let it: SnarkStatusRes = parsed(answer)?;
                (it.status, None, it.output, it.error_msg)
            }
        };
        Ok(match status.as_str() {
            "SUCCEEDED" => Status::Succeeded(output),
            "FAILED" | "TIMED_OUT" | "ABORTED" => {
                let reason = reason.unwrap_or_default();
                Status::Failed(format!("the service stopped with {status}: {reason}"))
            }
            // Whatever it calls it, it has not ended.
            _ => Status::Running(state.filter(|it| !it.is_empty())),
        })
    }

    /// Has the service stop a session, if it can.
    pub(super) fn stop(&self, work: Work, id: &str) {
        if work == Work::Session {
            let _ = self.call(self.client.get(self.url_of(&[work.path(), "stop", id])));
        }
    }

    /// Whether the service itself answers.
    pub(super) fn is_there(&self) -> bool {
        let answer = self.call(self.client.get(self.url("version")));
        answer.and_then(parsed::<VersionInfo>).is_ok()
    }

    /// A receipt.
    pub(super) fn download(&self, url: &str) -> Result<Vec<u8>, ProverError> {
        let url = url
            .parse()
            .map_err(|_| ApiError::Silent("no URL of a receipt".to_owned()))?;
        let answer = self.call(self.client.get::<Url>(url))?;
        let mut bytes = Vec::new();
        answer.take(MAX_RECEIPT_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_RECEIPT_BYTES {
            return Err(ProverError::other("the service's receipt is too large"));
        }
        Ok(bytes)
    }

    fn put(&self, url: &str, body: Vec<u8>) -> Result<(), ApiError> {
        let url: Url = url
            .parse()
            .map_err(|_| ApiError::Silent("no URL to upload to".to_owned()))?;
        self.call(self.client.put(url).body(body).timeout(UPLOAD_WITHIN))
            .map(drop)
    }

    /// Sends a request; the key goes along only to the service itself.
    fn call(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let mut request = request.build()?;
        if self.is_own(request.url()) {
            let headers = request.headers_mut();
            let mut key: reqwest::header::HeaderValue = (self.service.key.parse())
                .map_err(|_| ApiError::Silent("the key is none".to_owned()))?;
            key.set_sensitive(true);
            headers.insert(API_KEY_HEADER, key);
            if let Ok(version) = risc0_zkvm::VERSION.parse() {
                headers.insert(VERSION_HEADER, version);
            }
        }
        let client = match is_here(request.url()) {
            true => &self.direct,
            false => &self.client,
        };
        let answer = client.execute(request)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let mut words = Vec::new();
        let _ = answer.take(MAX_ANSWER_BYTES).read_to_end(&mut words);
        let words = clip(&String::from_utf8_lossy(&words));
        Err(ApiError::Refused { status, words })
    }

    /// Whether a URL is one of the service: of its origin, and below its path.
    fn is_own(&self, url: &Url) -> bool {
        let base = &self.service.url;
        let path = base.path().trim_end_matches('/');
        let below = url.path().strip_prefix(path);
        base.origin() == url.origin() && below.is_some_and(|rest| rest.starts_with('/'))
    }

    fn url(&self, path: &str) -> Url {
        self.url_of(&path.split('/').collect::<Vec<_>>())
    }

    /// What the service calls something cannot lead elsewhere.
    fn url_of(&self, path: &[&str]) -> Url {
        let mut url = self.service.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// An order of a session.
pub(super) fn session(image: &str, input: &str) -> Vec<u8> {
    let order = ProofReq {
        img: image.to_owned(),
        input: input.to_owned(),
        assumptions: Vec::new(),
        execute_only: false,
        exec_cycle_limit: None,
    };
    serde_json::to_vec(&order).unwrap_or_default()
}

/// An order of a proof for the EVM.
pub(super) fn snark(session: &str) -> Vec<u8> {
    let order = SnarkReq {
        session_id: session.to_owned(),
    };
    serde_json::to_vec(&order).unwrap_or_default()
}

fn parsed<T: DeserializeOwned>(answer: Response) -> Result<T, ApiError> {
    let mut bytes = Vec::new();
    let read = answer.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| ApiError::Silent(clip(&error.to_string())))?;
    serde_json::from_slice(&bytes)
        .map_err(|_| ApiError::Silent("an answer that cannot be read".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_for_the_service_alone() {
        let own = |base: &str, url: &str| {
            let service = Service::new(base, "key", Duration::ZERO).unwrap();
            Api::new(&service).unwrap().is_own(&url.parse().unwrap())
        };
        let base = "https://api.example.org/bonsai/";
        assert!(own(base, "https://api.example.org/bonsai/inputs/1"));
        assert!(own(base, "https://API.example.org:443/bonsai/inputs/1"));
        assert!(own("https://api.example.org", "https://api.example.org/x"));
        for other in [
            "https://storage.example.org/bonsai/inputs/1",
            "https://api.example.org.evil.org/bonsai/inputs/1",
            "https://api.example.org@evil.org/bonsai/inputs/1",
            "https://api.example.org:8443/bonsai/inputs/1",
            // In the clear.
            "http://api.example.org/bonsai/inputs/1",
            "https://api.example.org/bonsai-of-another/inputs/1",
            "https://api.example.org/bonsai/../inputs/1",
        ] {
            assert!(!own(base, other), "{other}");
        }
    }

    #[test]
    fn what_the_service_calls_an_order_leads_nowhere_else() {
        let service = Service::new("https://api.example.org/v1/", "key", Duration::ZERO).unwrap();
        let api = Api::new(&service).unwrap();
        let url = api.url_of(&["sessions", "status", "../../x?y#z"]);
        assert_eq!(
            url.as_str(),
            "https://api.example.org/v1/sessions/status/..%2F..%2Fx%3Fy%23z"
        );
    }
}
