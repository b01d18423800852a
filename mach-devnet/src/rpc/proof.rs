//! `eth_getProof`.

use alloy_primitives::{Address, U256};
use alloy_serde::JsonStorageKey;
use serde_json::Value;

use super::{Params, Rpc, RpcError, json};
use crate::chain::Role;

/// Most slots of one request, as in geth.
const MAX_KEYS: usize = 1024;

impl<R: Role> Rpc<R> {
    pub(super) fn proof(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let block = self.block_param(params, 2)?;
        let address: Address = params.required(0)?;
        let keys: Vec<JsonStorageKey> = params.required(1)?;
        if keys.len() > MAX_KEYS {
            return Err(RpcError::limit(format!(
                "too many keys, at most {MAX_KEYS}"
            )));
        }
        let slots: Vec<U256> = keys.iter().map(|key| key.as_b256().into()).collect();
        let root = block.header.state_root;
        let mut proof = self.chain.states().prove(root, address, &slots)?;
        // Each key is given back as it was written.
        for (slot, key) in proof.storage_proof.iter_mut().zip(keys) {
            slot.key = key;
        }
        json(proof)
    }
}
