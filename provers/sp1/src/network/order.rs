//! What the network was asked for: written before it is asked, so that whoever was stopped goes on with
//! what is paid, and pays once.

use std::{
    fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, Bytes, hex};
use mach_prove::protocol::{ProverError, write_whole};
use prost::Message;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{Job, Service, wire::NewRequestBody};

/// An order that was sent, or is about to be.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// What was signed: with its number, which the network takes once.
    body: Bytes,
    /// The network's name for it, once it has answered.
    request: Option<B256>,
}

impl Order {
    fn body(&self, path: &Path) -> Result<NewRequestBody, ProverError> {
        let body = NewRequestBody::decode(self.body.as_ref());
        body.map_err(|error| damaged(path, &error))
    }
}

/// Whose orders they are: of one account at one network, of one program on one input.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    url: String,
    account: Address,
    program: B256,
    /// SHA-256 of the input.
    input: B256,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    owner: Owner,
    /// How many were sent, but for those that the network refused.
    placed: u32,
    /// The one that stands.
    order: Option<Order>,
}

/// An order as it was written before notes had owners: the folder is of one input.
#[derive(Deserialize)]
struct OldOrder {
    url: String,
    program: B256,
    #[serde(flatten)]
    order: Order,
}

/// Where it stands.
const OLD: &str = "sp1-network.json";

/// The orders of one proof.
#[derive(Debug)]
pub(super) struct OrderFile {
    path: PathBuf,
    row: Row,
}

impl OrderFile {
    /// Errors: [`ProverError`], also if the file is damaged: who does not know what was ordered orders
    /// nothing.
    pub(super) fn open(service: &Service, job: Job<'_>) -> Result<Self, ProverError> {
        let owner = Owner {
            url: service.url.clone(),
            account: service.address(),
            program: job.program,
            input: B256::new(Sha256::digest(job.input).into()),
        };
        let name = Sha256::digest(serde_json::to_vec(&owner)?);
        let name = hex::encode(name.get(..8).unwrap_or_default());
        let path = job.work_dir.join(format!("sp1-{name}.json"));
        let row = read(&path)?.unwrap_or(Row {
            owner,
            placed: 0,
            order: None,
        });
        let mut file = Self { path, row };
        file.adopt(&job.work_dir.join(OLD))?;
        // So that what is damaged is seen before anything is asked.
        file.standing()?;
        Ok(file)
    }

    /// Takes over what was noted in the old way, if it is an order for this proof and none is known that
    /// came after it.
    fn adopt(&mut self, old: &Path) -> Result<(), ProverError> {
        let Some(noted) = read::<OldOrder>(old)? else {
            return Ok(());
        };
        let owner = &self.row.owner;
        if (&noted.url, noted.program) != (&owner.url, owner.program) {
            return Ok(());
        }
        if self.row.placed == 0 && self.row.order.is_none() {
            noted.order.body(old)?;
            self.row.placed = 1;
            self.row.order = Some(noted.order);
            self.write()?;
        }
        Ok(fs::remove_file(old)?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How often it was ordered.
    pub(super) const fn placed(&self) -> u32 {
        self.row.placed
    }

    /// What was asked for, and the network's name for it if it has answered.
    pub(super) fn standing(&self) -> Result<Option<(NewRequestBody, Option<B256>)>, ProverError> {
        let Some(order) = &self.row.order else {
            return Ok(None);
        };
        Ok(Some((order.body(&self.path)?, order.request)))
    }

    /// Notes an order that is about to be sent for the first time.
    pub(super) fn place(&mut self, body: &NewRequestBody) -> Result<(), ProverError> {
        self.row.placed = self.row.placed.saturating_add(1);
        self.row.order = Some(Order {
            body: body.encode_to_vec().into(),
            request: None,
        });
        self.write()
    }

    /// Notes the network's name for the order that stands.
    pub(super) fn taken(&mut self, request: B256) -> Result<(), ProverError> {
        if let Some(order) = &mut self.row.order {
            order.request = Some(request);
        }
        self.write()
    }

    /// Forgets the order that stands: the network did not take it.
    pub(super) fn refused(&mut self) -> Result<(), ProverError> {
        self.row.placed = self.row.placed.saturating_sub(1);
        self.ended()
    }

    /// Forgets the order that stands: the network says that no proof comes of it.
    pub(super) fn ended(&mut self) -> Result<(), ProverError> {
        self.row.order = None;
        self.write()
    }

    /// On disk before anything follows from it.
    fn write(&self) -> Result<(), ProverError> {
        Ok(write_whole(&self.path, &serde_json::to_vec(&self.row)?)?)
    }
}

/// What is noted in a file, if there is one.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ProverError> {
    match fs::read(path) {
        Ok(bytes) => {
            let noted = serde_json::from_slice(&bytes);
            noted.map(Some).map_err(|error| damaged(path, &error))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(damaged(path, &error)),
    }
}

fn damaged(path: &Path, reason: &dyn fmt::Display) -> ProverError {
    let path = path.display();
    ProverError::other(format!(
        "{path} says what was ordered, and cannot be read: {reason}"
    ))
}
