//! A prover elsewhere that speaks the REST API of Bonsai, as RISC Zero's Bento does: it is given the
//! guest and its input, and gives a Groth16 receipt, which the contracts take.
//!
//! Nothing that it says is believed: the receipt is verified here, and its journal is the one that
//! native code gave.

use std::{
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use bonsai_sdk::{
    API_KEY_HEADER, SdkErr,
    blocking::{Client, SessionId, SnarkId},
};
use mach_prove::{Progress, protocol::ProverError};
use reqwest::redirect::Policy;
use risc0_zkvm::{Digest, InnerReceipt, Receipt};
use serde::{Deserialize, Serialize};

use crate::{guest::framed, seal};

/// URL of the service.
pub const URL: &str = "BONSAI_API_URL";
/// Its key, or the file that has it.
pub const KEY: &str = "BONSAI_API_KEY";
/// File with the key.
pub const KEY_FILE: &str = "BONSAI_API_KEY_FILE";

/// Most bytes of a receipt that are read: one has about a kilobyte, with its journal.
const MAX_RECEIPT_BYTES: u64 = 1024 * 1024;
/// Longest word of the service that is passed on, in characters.
const MAX_WORDS: usize = 200;
/// Answers that may fail one after the other while it proves.
const MAX_FAILURES: u32 = 30;

/// Where the prover is.
pub struct Service {
    url: String,
    key: String,
    poll: Duration,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// The service at `url`, which is asked every `poll` how far it is.
    ///
    /// Errors: [`ProverError`], if the key would pass through the network in the clear.
    pub fn new(url: &str, key: &str, poll: Duration) -> Result<Self, ProverError> {
        let url = url.trim_end_matches('/');
        let host = url.strip_prefix("http://").map(|rest| {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let host = &rest[..end];
            match host.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
                _ => host,
            }
        });
        match host {
            Some("127.0.0.1" | "localhost" | "[::1]") => {}
            None if url.starts_with("https://") => {}
            _ => {
                return Err(ProverError::other(format!(
                    "{URL} has to begin with https://, or the key is seen by others"
                )));
            }
        }
        Ok(Self {
            url: url.to_owned(),
            key: key.to_owned(),
            poll,
        })
    }

    /// The service that the environment names, if it names one.
    ///
    /// Errors: [`ProverError`], of a URL without a key.
    pub fn from_env(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ProverError> {
        let Some(url) = variable(URL) else {
            return Ok(None);
        };
        let key = match (variable(KEY), variable(KEY_FILE)) {
            (Some(key), _) => key,
            (None, Some(file)) => fs::read_to_string(&file)
                .map_err(|error| ProverError::other(format!("{file}: {error}")))?,
            (None, None) => {
                let reason = format!("{URL} is set, and neither {KEY} nor {KEY_FILE}");
                return Err(ProverError::other(reason));
            }
        };
        Self::new(&url, key.trim(), Duration::from_secs(5)).map(Some)
    }

    fn client(&self) -> Result<Client, ProverError> {
        let client = Client::from_parts(self.url.clone(), self.key.clone(), risc0_zkvm::VERSION);
        client.map_err(failed)
    }

    /// A receipt. The key goes to the service only, wherever the receipt lies: no redirect is followed,
    /// which would take it along.
    fn download(&self, url: &str) -> Result<Vec<u8>, ProverError> {
        let client = reqwest::blocking::Client::builder().redirect(Policy::none());
        let client = client.build().map_err(ProverError::other)?;
        let mut request = client.get(url);
        if url
            .strip_prefix(&self.url)
            .is_some_and(|rest| rest.starts_with('/'))
        {
            request = request.header(API_KEY_HEADER, &self.key);
        }
        let answer = request.send().and_then(|it| it.error_for_status());
        let mut bytes = Vec::new();
        let answer = answer.map_err(|error| ProverError::other(error.without_url()))?;
        answer.take(MAX_RECEIPT_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_RECEIPT_BYTES {
            return Err(ProverError::other("the service's receipt is too large"));
        }
        Ok(bytes)
    }
}

/// What the service is to prove.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What runs, and its id.
    pub binary: &'a [u8],
    /// The id of the binary.
    pub id: Digest,
    /// What it reads.
    pub input: &'a [u8],
    /// What it has to commit to.
    pub journal: &'a [u8],
    /// Folder for what lets the work go on after it was stopped.
    pub work_dir: &'a Path,
}

/// Has a run proved by the service. What it was asked for is kept in the work folder, so that a run that
/// was stopped does not ask, and pay, twice.
///
/// Errors: [`ProverError`]; with [`Failure::Invalid`](mach_prove::protocol::Failure::Invalid) if the
/// receipt proves something else.
pub fn prove(
    service: &Service,
    request: Request<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, ProverError> {
    let Request {
        binary,
        id,
        input,
        journal,
        work_dir,
    } = request;
    let client = service.client()?;
    let order = OrderFile::new(work_dir, &service.url, id);
    let mut step = |name: &str| progress(Progress::Step { name: clip(name) });
    let session = match order.session() {
        Some(session) => {
            step("asking for what was ordered");
            session
        }
        None => {
            step("handing over the guest and its input");
            let image = id.to_string();
            client.upload_img(&image, binary.to_vec()).map_err(failed)?;
            let input = client.upload_input(framed(input)?).map_err(failed)?;
            let session = client.create_session(image, input, Vec::new(), false);
            let session = session.map_err(failed)?;
            order.write(&session)?;
            session
        }
    };
    let done = wait(
        service,
        || {
            let status = session.status(&client)?;
            Ok((
                status.status,
                status.state,
                status.receipt_url,
                status.error_msg,
            ))
        },
        progress,
    );
    if let Err(Stopped::Failed(_) | Stopped::Silent(SdkErr::InternalServerErr(_))) = &done {
        // It failed, or is not known any more: the next run orders again.
        order.remove();
    }
    done.map_err(ProverError::from)?;

    progress(Progress::Step {
        name: "turning the proof into one for the EVM".to_owned(),
    });
    let snark: SnarkId = client.create_snark(session.uuid).map_err(failed)?;
    let url = wait(
        service,
        || {
            let status = snark.status(&client)?;
            Ok((status.status, None, status.output, status.error_msg))
        },
        progress,
    )
    .map_err(ProverError::from)?;
    let url = url.ok_or_else(|| ProverError::other("the service names no receipt"))?;
    let receipt: Receipt =
        bincode::Options::deserialize(seal::codec(), &service.download(&url)?)
            .map_err(|_| ProverError::invalid("the service's receipt is malformed"))?;
    if receipt.journal.bytes != journal {
        return Err(ProverError::invalid(
            "the service proved another journal than native code gives",
        ));
    }
    if !matches!(receipt.inner, InnerReceipt::Groth16(_)) {
        return Err(ProverError::invalid("the service gave no Groth16 receipt"));
    }
    let bytes = seal::encode(&receipt.inner).map_err(ProverError::invalid)?;
    seal::verify(id, journal, &bytes).map_err(ProverError::invalid)?;
    Ok(bytes)
}

/// Status, state, URL of the receipt, reason of a failure.
type Status = (String, Option<String>, Option<String>, Option<String>);

/// Why there is no receipt.
enum Stopped {
    /// The service says so.
    Failed(String),
    /// It does not answer.
    Silent(SdkErr),
}

impl From<Stopped> for ProverError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Failed(reason) => Self::other(reason),
            Stopped::Silent(error) => failed(error),
        }
    }
}

/// Asks until it is done, and answers where the receipt is.
fn wait(
    service: &Service,
    status: impl Fn() -> Result<Status, SdkErr>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<String>, Stopped> {
    let mut failures = 0;
    loop {
        match status() {
            Ok((status, state, url, reason)) => match status.as_str() {
                "RUNNING" => {
                    failures = 0;
                    if let Some(state) = state {
                        progress(progress_of(&state));
                    }
                }
                "SUCCEEDED" => return Ok(url),
                _ => {
                    let reason = reason.unwrap_or_default();
                    let reason = format!("the service stopped with {status}: {reason}");
                    return Err(Stopped::Failed(clip(&reason)));
                }
            },
            Err(error) if failures == MAX_FAILURES => return Err(Stopped::Silent(error)),
            Err(_) => failures += 1,
        }
        sleep(service.poll);
    }
}

/// `ProveSegments: 3/7`, or a step by name.
fn progress_of(state: &str) -> Progress {
    let counts = state
        .strip_prefix("ProveSegments: ")
        .and_then(|it| it.split_once('/'));
    let counts = counts.map(|(done, total)| (done.trim().parse(), total.trim().parse()));
    match counts {
        Some((Ok(done), Ok(total))) => Progress::Segment { done, total },
        _ => Progress::Step { name: clip(state) },
    }
}

fn clip(words: &str) -> String {
    words
        .chars()
        .filter(|it| !it.is_control())
        .take(MAX_WORDS)
        .collect()
}

/// Without the URL, which may be a signed one.
fn failed(error: SdkErr) -> ProverError {
    match error {
        SdkErr::HttpErr(error) => ProverError::other(error.without_url()),
        SdkErr::InternalServerErr(words) => {
            ProverError::other(format!("the service refuses: {}", clip(&words)))
        }
        error => ProverError::other(error),
    }
}

/// What the service was asked for.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    url: String,
    image: String,
    session: String,
}

struct OrderFile {
    path: PathBuf,
    url: String,
    image: String,
}

impl OrderFile {
    fn new(folder: &Path, url: &str, id: Digest) -> Self {
        Self {
            path: folder.join("bonsai.json"),
            url: url.to_owned(),
            image: id.to_string(),
        }
    }

    /// The session at the same service, of the same guest; the folder is of one input.
    fn session(&self) -> Option<SessionId> {
        let order: Order = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        let is_same = order.url == self.url && order.image == self.image;
        is_same.then(|| SessionId::new(order.session))
    }

    fn write(&self, session: &SessionId) -> Result<(), ProverError> {
        let order = Order {
            url: self.url.clone(),
            image: self.image.clone(),
            session: session.uuid.clone(),
        };
        let partial = self.path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec(&order)?)?;
        Ok(fs::rename(partial, &self.path)?)
    }

    fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_not_sent_in_the_clear() {
        let service = |url: &str| Service::new(url, "key", Duration::ZERO);
        for good in [
            "https://api.bonsai.xyz/",
            "http://127.0.0.1:8081",
            "http://localhost/",
            "http://[::1]:1",
        ] {
            assert!(service(good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.bonsai.xyz",
            "http://127.0.0.1.example.org",
            "http://localhost@example.org",
            "http://localhost:1@example.org",
            "http://example.org:80/localhost",
            "ftp://localhost",
            "",
        ] {
            assert!(service(bad).is_err(), "{bad}");
        }
        let service = service("https://api.bonsai.xyz/").unwrap();
        assert_eq!(
            format!("{service:?}"),
            r#"Service { url: "https://api.bonsai.xyz", .. }"#
        );
    }

    #[test]
    fn the_environment_says_where_and_with_which_key() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "from a file\n").unwrap();
        let file = file.path().display().to_string();
        let from = |pairs: &[(&str, &str)]| {
            Service::from_env(|name| {
                let pair = pairs.iter().find(|(it, _)| *it == name);
                pair.map(|(_, value)| (*value).to_owned())
            })
        };
        let url = (URL, "https://api.bonsai.xyz");
        assert!(from(&[]).unwrap().is_none());
        assert!(from(&[(KEY, "key")]).unwrap().is_none());
        assert!(from(&[url]).is_err());
        assert!(from(&[url, (KEY_FILE, "/absent")]).is_err());
        assert_eq!(from(&[url, (KEY, "key")]).unwrap().unwrap().key, "key");
        let service = from(&[url, (KEY_FILE, &file)]).unwrap().unwrap();
        assert_eq!(service.key, "from a file");
    }

    #[test]
    fn what_the_service_says_becomes_progress() {
        let segment = Progress::Segment { done: 3, total: 7 };
        assert_eq!(progress_of("ProveSegments: 3/7"), segment);
        let step = |name: &str| Progress::Step {
            name: name.to_owned(),
        };
        assert_eq!(progress_of("Executor"), step("Executor"));
        assert_eq!(
            progress_of("ProveSegments: \n3/x"),
            step("ProveSegments: 3/x")
        );
        assert_eq!(progress_of(&"x".repeat(1000)), step(&"x".repeat(MAX_WORDS)));
    }
}
