//! What the service was asked for, as it is kept in the work folder.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mach_prove::protocol::{ProverError, write_whole};
use risc0_zkvm::{
    Digest,
    sha::{Impl, Sha256},
};
use serde::{Deserialize, Serialize};

use super::{Service, api::Work};

/// An order that the service has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// What the service calls it.
    pub(super) id: String,
    /// Seconds since 1970.
    at: u64,
}

impl Order {
    pub(super) fn now(id: String) -> Self {
        Self { id, at: now() }
    }

    pub(super) fn age(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.at))
    }
}

/// Orders of one kind.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Orders {
    /// How many were placed, also those whose answer did not come.
    placed: u32,
    /// Whether the last was placed and not answered.
    is_unanswered: bool,
    /// The one that the service works on.
    order: Option<Order>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    url: String,
    image: String,
    /// What the service calls the input.
    input: Option<String>,
    session: Orders,
    snark: Orders,
}

/// The orders of one guest at one service; the folder is of one input.
#[derive(Debug)]
pub(super) struct OrderFile {
    path: PathBuf,
    row: Row,
    /// What the service calls the input, once it is uploaded.
    pub(super) input: Option<String>,
}

impl OrderFile {
    /// Errors: [`ProverError`], also if the file is damaged: who does not know what was ordered orders
    /// nothing.
    pub(super) fn open(folder: &Path, service: &Service, id: Digest) -> Result<Self, ProverError> {
        let (url, image) = (service.url.to_string(), id.to_string());
        let name = Impl::hash_bytes(format!("{url} {image}").as_bytes()).to_string();
        let name = name.get(..16).unwrap_or(&name);
        let path = folder.join(format!("bonsai-{name}.json"));
        let row = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let path = path.display();
                ProverError::other(format!(
                    "{path} says what was ordered, and is damaged: {error}"
                ))
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => Row {
                url,
                image,
                ..Row::default()
            },
            Err(error) => return Err(ProverError::other(format!("{}: {error}", path.display()))),
        };
        let input = row.input.clone();
        Ok(Self { path, row, input })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the service works on.
    pub(super) fn order(&self, work: Work) -> Option<&Order> {
        self.of(work).order.as_ref()
    }

    /// How often it was ordered.
    pub(super) fn placed(&self, work: Work) -> u32 {
        self.of(work).placed
    }

    /// Whether it is not known if the last order arrived.
    pub(super) fn is_unanswered(&self, work: Work) -> bool {
        self.of(work).is_unanswered
    }

    /// Notes an order that is about to be placed.
    pub(super) fn place(&mut self, work: Work) -> Result<(), ProverError> {
        let orders = self.of_mut(work);
        orders.placed = orders.placed.saturating_add(1);
        orders.is_unanswered = true;
        self.write()
    }

    /// Notes that the last order was not taken.
    pub(super) fn refused(&mut self, work: Work) -> Result<(), ProverError> {
        let orders = self.of_mut(work);
        orders.placed = orders.placed.saturating_sub(1);
        orders.is_unanswered = false;
        self.write()
    }

    /// Notes what the service works on, or that it does not any more.
    pub(super) fn answered(&mut self, work: Work, order: Option<Order>) -> Result<(), ProverError> {
        // What it was given may be gone too.
        if order.is_none() && work == Work::Session {
            self.input = None;
        }
        let orders = self.of_mut(work);
        orders.is_unanswered = false;
        orders.order = order;
        self.write()
    }

    /// On disk before anything follows from it.
    pub(super) fn write(&mut self) -> Result<(), ProverError> {
        self.row.input.clone_from(&self.input);
        Ok(write_whole(&self.path, &serde_json::to_vec(&self.row)?)?)
    }

    const fn of(&self, work: Work) -> &Orders {
        match work {
            Work::Session => &self.row.session,
            Work::Snark => &self.row.snark,
        }
    }

    const fn of_mut(&mut self, work: Work) -> &mut Orders {
        match work {
            Work::Session => &mut self.row.session,
            Work::Snark => &mut self.row.snark,
        }
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
