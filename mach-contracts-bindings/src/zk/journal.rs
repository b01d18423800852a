//! The journal, as the contract rebuilds it.

use alloy_primitives::{Address, B256, ChainId, U256};
use alloy_sol_types::SolValue;
use sha2::{Digest, Sha256};

use super::abi::{Claim, Journal};

/// Layout that the contract knows.
const VERSION: u16 = 1;

impl Claim {
    /// The whole journal of `prover`'s proof for the service manager at `service_manager`.
    pub fn journal(
        &self,
        prover: Address,
        service_manager: Address,
        rollup: ChainId,
        l1_chain_id: ChainId,
    ) -> Journal {
        Journal {
            version: VERSION,
            l1ChainId: U256::from(l1_chain_id),
            serviceManager: service_manager,
            prover,
            rollupChainId: U256::from(rollup),
            configHash: self.configHash,
            parentHash: self.parentHash,
            blockHash: self.blockHash,
            blockNumber: self.blockNumber,
            fault: self.fault,
            claimed: self.claimed,
            computed: self.computed,
            outputRoot: self.outputRoot,
        }
    }
}

impl From<&Journal> for Claim {
    fn from(journal: &Journal) -> Self {
        Self {
            configHash: journal.configHash,
            parentHash: journal.parentHash,
            blockHash: journal.blockHash,
            blockNumber: journal.blockNumber,
            fault: journal.fault,
            claimed: journal.claimed,
            computed: journal.computed,
            outputRoot: journal.outputRoot,
        }
    }
}

impl Journal {
    /// What a proof commits to: sha256 of the 416 bytes of the ABI encoding.
    pub fn digest(&self) -> B256 {
        B256::new(Sha256::digest(self.abi_encode()).into())
    }
}
