//! The first block.

use std::collections::BTreeMap;

use alloy_consensus::{
    Header,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, EMPTY_WITHDRAWALS},
};
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
    eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, Sealed, U256, address, bytes};

use super::{Block, ChainError, Role, States};
use crate::DEV_ACCOUNTS;

/// Balance of each development account at genesis, in wei: 10,000 ether.
pub const GENESIS_BALANCE: U256 = U256::from_limbs([0x19e0c9bab2400000, 0x21e, 0, 0]);

/// Accounts and first header of a chain.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// Accounts, ordered so that the same accounts give the same steps.
    pub accounts: BTreeMap<Address, GenesisAccount>,
    /// Time of block 0, in seconds since 1970.
    pub timestamp: u64,
    /// Seconds between blocks.
    pub block_time: u64,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Base fee of block 0, in wei.
    pub base_fee: u64,
    /// `extraData` of block 0.
    pub extra_data: Bytes,
    /// Header fields of later forks that block 0 has.
    pub fields: GenesisFields,
}

/// Header fields that came with forks, as block 0 has them.
#[derive(Clone, Copy, Debug)]
pub struct GenesisFields {
    /// Whether there is a withdrawals root.
    pub withdrawals_root: bool,
    /// Account whose storage root is the withdrawals root.
    pub message_passer: Option<Address>,
    /// Whether there are blob gas and the root of a beacon block.
    pub blobs: bool,
    /// Whether there is a hash of requests.
    pub requests: bool,
}

impl Genesis {
    /// Development accounts, and the system contracts that both L1 and rollups have.
    pub fn new(timestamp: u64, block_time: u64) -> Self {
        let mut genesis = Self {
            accounts: BTreeMap::new(),
            timestamp,
            block_time,
            gas_limit: 60_000_000,
            base_fee: 1_000_000_000,
            extra_data: Bytes::new(),
            fields: GenesisFields {
                withdrawals_root: true,
                message_passer: None,
                blobs: true,
                requests: true,
            },
        };
        for account in DEV_ACCOUNTS {
            genesis.fund(account.address);
        }
        genesis.deploy(CREATE2_FACTORY, CREATE2_FACTORY_CODE.clone());
        genesis.deploy(BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone());
        genesis.deploy(HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone());
        genesis
    }

    /// The same with the system contracts of L1 for requests to the consensus layer.
    #[must_use]
    pub fn with_requests(mut self) -> Self {
        let (withdrawals, consolidations) = (
            WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
        );
        self.deploy(withdrawals, WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone());
        self.deploy(consolidations, CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone());
        self
    }

    /// Gives an account what each development account has.
    pub fn fund(&mut self, address: Address) {
        let funded = GenesisAccount::default().with_balance(GENESIS_BALANCE);
        self.accounts.insert(address, funded);
    }

    /// Puts a contract with nonce 1 at an address.
    pub fn deploy(&mut self, address: Address, code: Bytes) {
        let account = GenesisAccount::default()
            .with_nonce(Some(1))
            .with_code(Some(code));
        self.accounts.insert(address, account);
    }

    pub(super) fn block<R: Role>(&self, states: &States) -> Result<Block<R>, ChainError> {
        let state_root = states.genesis(&self.accounts)?;
        let fields = &self.fields;
        let withdrawals_root = match fields.message_passer {
            Some(address) => Some(states.storage_root(state_root, address)?),
            None => fields.withdrawals_root.then_some(EMPTY_WITHDRAWALS),
        };
        let header = Header {
            parent_hash: B256::ZERO,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            state_root,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            gas_limit: self.gas_limit,
            timestamp: self.timestamp,
            extra_data: self.extra_data.clone(),
            base_fee_per_gas: Some(self.base_fee),
            withdrawals_root,
            blob_gas_used: fields.blobs.then_some(0),
            excess_blob_gas: fields.blobs.then_some(0),
            parent_beacon_block_root: fields.blobs.then_some(B256::ZERO),
            requests_hash: fields.requests.then_some(EMPTY_REQUESTS_HASH),
            ..Default::default()
        };
        Ok(Block {
            header: Sealed::new(header),
            transactions: Vec::new(),
            receipts: Vec::new(),
        })
    }
}

/// The deterministic deployment proxy that tools expect on every chain.
const CREATE2_FACTORY: Address = address!("4e59b44847b379578588920ca78fbf26c0b4956c");

/// Source: <https://github.com/Arachnid/deterministic-deployment-proxy>.
static CREATE2_FACTORY_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);
