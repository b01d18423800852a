//! What the network was asked for: written before it is asked, so that whoever was stopped goes on with
//! what is paid, and pays once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::{B256, Bytes};
use mach_prove::protocol::ProverError;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::wire::NewRequestBody;

/// An order, at one network, of one program; the folder is of one input.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    url: String,
    program: B256,
    /// What was signed: with its number, which the network takes once.
    body: Bytes,
    /// The network's name for it, once it has answered.
    request: Option<B256>,
}

pub(super) struct OrderFile {
    path: PathBuf,
    url: String,
    program: B256,
}

impl OrderFile {
    pub(super) fn new(folder: &Path, url: &str, program: B256) -> Self {
        Self {
            path: folder.join("sp1-network.json"),
            url: url.to_owned(),
            program,
        }
    }

    pub(super) fn read(&self) -> Option<(NewRequestBody, Option<B256>)> {
        let order: Order = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        let body = NewRequestBody::decode(order.body.as_ref()).ok()?;
        let is_same = order.url == self.url && order.program == self.program;
        is_same.then_some((body, order.request))
    }

    pub(super) fn write(
        &self,
        body: &NewRequestBody,
        request: Option<B256>,
    ) -> Result<(), ProverError> {
        let order = Order {
            url: self.url.clone(),
            program: self.program,
            body: body.encode_to_vec().into(),
            request,
        };
        let partial = self.path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec(&order)?)?;
        Ok(fs::rename(partial, &self.path)?)
    }

    pub(super) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}
