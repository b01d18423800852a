//! A prover elsewhere that speaks the REST API of Bonsai, as RISC Zero's Bento does: it is given the
//! guest and its input, and gives a Groth16 receipt, which the contracts take.
//!
//! Nothing that it says is believed: the receipt is verified here, and its journal is the one that
//! native code gave.

mod api;
mod order;

use std::{fmt, fs, path::Path, thread::sleep, time::Duration};

use mach_prove::{
    Progress,
    protocol::{Failure, ProverError},
};
use reqwest::Url;
use risc0_zkvm::{Digest, InnerReceipt, Receipt};

use self::{
    api::{Api, ApiError, Status, Work},
    order::{Order, OrderFile},
};
use crate::seal;

/// URL of the service.
pub const URL: &str = "BONSAI_API_URL";
/// Its key, or the file that has it.
pub const KEY: &str = "BONSAI_API_KEY";
/// File with the key.
pub const KEY_FILE: &str = "BONSAI_API_KEY_FILE";
/// Seconds that the service may take from an order on; a day by default.
pub const DEADLINE: &str = "BONSAI_DEADLINE";
/// How often the same is ordered, and may have to be paid, before people are asked; 3 by default.
pub const MAX_ORDERS: &str = "BONSAI_MAX_ORDERS";

/// Longest word of the service that is passed on, in characters.
const MAX_WORDS: usize = 200;
/// Answers that may fail one after the other while it proves.
const MAX_FAILURES: u32 = 30;

/// Where the prover is.
pub struct Service {
    url: Url,
    key: String,
    poll: Duration,
    deadline: Duration,
    max_orders: u32,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl Service {
    /// The service at `url`, which is asked every `poll` how far it is.
    ///
    /// Errors: [`ProverError`], if the key would pass through the network in the clear.
    pub fn new(url: &str, key: &str, poll: Duration) -> Result<Self, ProverError> {
        let parsed = Url::parse(url).map_err(|error| ProverError::other(format!("{URL}: {error}")));
        let url = parsed?;
        let is_private = match url.scheme() {
            "https" => true,
            "http" => is_here(&url),
            _ => false,
        };
        if !is_private || !url.username().is_empty() || url.password().is_some() {
            return Err(ProverError::other(format!(
                "{URL} has to begin with https:// and a host, or the key is seen by others"
            )));
        }
        Ok(Self {
            url,
            key: key.to_owned(),
            poll,
            deadline: Duration::from_secs(24 * 3600),
            max_orders: 3,
        })
    }

    /// The same with another time that it may take from an order on.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same with another number of times that the same is ordered.
    #[must_use]
    pub fn with_max_orders(mut self, orders: u32) -> Self {
        self.max_orders = orders;
        self
    }

    /// The service that the environment names, if it names one.
    ///
    /// Errors: [`ProverError`], of a URL without a key, or a number that is none.
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
        let number = |name: &str| match variable(name) {
            Some(text) => {
                let number = text.trim().parse::<u32>();
                let number = number.map_err(|_| ProverError::other(format!("{name}: no number")));
                number.map(Some)
            }
            None => Ok(None),
        };
        let mut service = Self::new(&url, key.trim(), Duration::from_secs(5))?;
        if let Some(seconds) = number(DEADLINE)? {
            service = service.with_deadline(Duration::from_secs(seconds.into()));
        }
        if let Some(orders) = number(MAX_ORDERS)? {
            service = service.with_max_orders(orders);
        }
        Ok(Some(service))
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

/// Has a run proved by the service. What it was asked for is kept in the work folder: a run that was
/// stopped does not ask, and pay, twice for what the service still has. An order is noted before it is
/// placed, since nobody can ask the service which orders it has: one whose answer did not come is placed
/// again, and no more than [`MAX_ORDERS`] are.
///
/// Errors: [`ProverError`]; with [`Failure::Invalid`] if the receipt proves something else, with
/// [`Failure::Unable`] if it was ordered too often.
pub fn prove(
    service: &Service,
    request: Request<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, ProverError> {
    let Request {
        id,
        journal,
        work_dir,
        ..
    } = request;
    let api = Api::new(service)?;
    let mut orders = OrderFile::open(work_dir, service, id)?;
    // Once that is ordered, nothing else is asked for.
    if orders.order(Work::Snark).is_none() {
        proved(&api, &mut orders, &request, progress)?;
    }
    step(progress, "turning the proof into one for the EVM");
    let url = wait(&api, &mut orders, Work::Snark, progress)?;
    let url = url.ok_or_else(|| ProverError::other("the service names no receipt"))?;
    let receipt: Receipt = bincode::Options::deserialize(seal::codec(), &api.download(&url)?)
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

/// Has the run proved, and orders the last step of it.
fn proved(
    api: &Api<'_>,
    orders: &mut OrderFile,
    request: &Request<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ProverError> {
    let image = request.id.to_string();
    let session = ordered(api, orders, Work::Session, progress, |orders| {
        api.upload_image(&image, request.binary)?;
        let input = match &orders.input {
            Some(input) => input.clone(),
            None => {
                let uploaded = api.upload_input(request.input)?;
                orders.input = Some(uploaded.clone());
                orders.write()?;
                uploaded
            }
        };
        Ok(api::session(&image, &input))
    })?;
    wait(api, orders, Work::Session, progress)?;
    ordered(api, orders, Work::Snark, progress, |_| {
        Ok(api::snark(&session))
    })
    .map(drop)
}

/// The id of what the service works on: of an earlier order, or of one that is placed now.
fn ordered(
    api: &Api<'_>,
    orders: &mut OrderFile,
    work: Work,
    progress: &mut dyn FnMut(Progress),
    prepare: impl FnOnce(&mut OrderFile) -> Result<Vec<u8>, ProverError>,
) -> Result<String, ProverError> {
    if let Some(order) = orders.order(work) {
        step(progress, "asking for what was ordered");
        return Ok(order.id.clone());
    }
    let placed = orders.placed(work);
    if placed >= api.service.max_orders {
        let reason = format!(
            "a {} was ordered {placed} times without a proof: look at the service, and delete {} to \
             order again",
            work.name(),
            orders.path().display()
        );
        return Err(ProverError::new(Failure::Unable, reason));
    }
    if work == Work::Session {
        step(progress, "handing over the guest and its input");
    }
    let body = prepare(orders)?;
    if orders.is_unanswered(work) {
        step(
            progress,
            "ordering once more: the last order was not answered, and may have to be paid too",
        );
    }
    orders.place(work)?;
    match api.create(work, body) {
        Ok(id) => {
            orders.answered(work, Some(Order::now(id.clone())))?;
            Ok(id)
        }
        Err(error) => {
            // A refusal is no order. Of anything else it is not known.
            if error.is_refusal() {
                orders.refused(work)?;
            }
            Err(error.into())
        }
    }
}

/// Asks until it is done, and answers where the receipt is. What was ordered is forgotten only if the
/// service says that nothing comes of it, or if its time is over.
fn wait(
    api: &Api<'_>,
    orders: &mut OrderFile,
    work: Work,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<String>, ProverError> {
    let Some(order) = orders.order(work).cloned() else {
        return Err(ProverError::other("nothing is ordered"));
    };
    let (mut failures, mut unknown) = (0, 0);
    loop {
        match api.status(work, &order.id) {
            Ok(Status::Succeeded(url)) => return Ok(url),
            Ok(Status::Failed(reason)) => {
                orders.answered(work, None)?;
                return Err(ProverError::other(clip(&reason)));
            }
            Ok(Status::Running(state)) => {
                failures = 0;
                unknown = 0;
                if let Some(state) = state {
                    progress(progress_of(&state));
                }
                if order.age() >= api.service.deadline {
                    api.stop(work, &order.id);
                    orders.answered(work, None)?;
                    let end = match work {
                        Work::Session => "is told to stop it",
                        Work::Snark => "is not waited for any more",
                    };
                    return Err(ProverError::other(format!(
                        "the service was at the {} {} for {} seconds, and {end}",
                        work.name(),
                        clip(&order.id),
                        order.age().as_secs()
                    )));
                }
            }
            Err(error) => {
                failures += 1;
                unknown += u32::from(error.is_unknown());
                if failures > MAX_FAILURES {
                    // Nothing else was heard, and the service itself is there.
                    if unknown == failures && api.is_there() {
                        orders.answered(work, None)?;
                        return Err(ProverError::other(format!(
                            "the service does not know the {} {} any more",
                            work.name(),
                            clip(&order.id)
                        )));
                    }
                    return Err(kept(error, orders));
                }
            }
        }
        sleep(api.service.poll);
    }
}

/// An outage forgets nothing: the next run asks again.
fn kept(error: ApiError, orders: &OrderFile) -> ProverError {
    let path = orders.path().display();
    ProverError::other(format!(
        "{error}; what was ordered is kept in {path} and asked for again"
    ))
}

/// Whether `url` is one of this machine.
fn is_here(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

fn step(progress: &mut dyn FnMut(Progress), name: &str) {
    progress(Progress::Step { name: clip(name) });
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
            "https://user:password@api.bonsai.xyz",
            "ftp://localhost",
            "",
        ] {
            assert!(service(bad).is_err(), "{bad}");
        }
        let service = service("https://api.bonsai.xyz/").unwrap();
        assert_eq!(
            format!("{service:?}"),
            r#"Service { url: "https://api.bonsai.xyz/", .. }"#
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
        assert_eq!(service.deadline, Duration::from_secs(86_400));
        assert_eq!(service.max_orders, 3);
        let limits = [url, (KEY, "key"), (DEADLINE, "60"), (MAX_ORDERS, "1")];
        let service = from(&limits).unwrap().unwrap();
        assert_eq!(service.deadline, Duration::from_secs(60));
        assert_eq!(service.max_orders, 1);
        for wrong in [DEADLINE, MAX_ORDERS] {
            assert!(from(&[url, (KEY, "key"), (wrong, "many")]).is_err());
        }
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
