//! JSON-RPC. One dispatch serves the in-process transport and the server.

mod beacon;
mod connect;
mod debug;
mod error;
mod eth;
mod fees;
mod filters;
mod params;
mod proof;
mod server;
mod subscribe;
mod transport;

use std::{fmt::Debug, sync::Mutex};

use serde::Serialize;
use serde_json::Value;

use crate::chain::{Chain, Role};

pub use error::RpcError;
pub use server::{RpcServer, ServeError};
pub use transport::DevnetTransport;

pub(crate) use beacon::Answer;
pub(crate) use params::Params;

use filters::Filters;

/// Answers JSON-RPC requests.
pub(crate) trait Handler: Debug + Send + Sync {
    /// Result of one request; `params` is the JSON array of its parameters.
    fn handle(&self, method: &str, params: Option<&str>) -> Result<Value, RpcError>;

    /// Follows the number of the newest block.
    fn heads(&self) -> tokio::sync::watch::Receiver<u64>;

    /// Answers a GET request of the consensus layer's API, on a chain that has one.
    fn beacon(&self, path: &str, query: &str) -> Option<Answer>;
}

/// The RPC of one chain.
#[derive(Debug)]
pub(crate) struct Rpc<R: Role> {
    chain: Chain<R>,
    filters: Mutex<Filters>,
}

impl<R: Role> Rpc<R> {
    pub(crate) fn new(chain: Chain<R>) -> Self {
        Self {
            chain,
            filters: Mutex::default(),
        }
    }
}

/// Every method that both roles answer; a rollup has more.
pub(crate) const METHODS: &[&str] = &[
    "debug_executionWitness",
    "debug_getRawBlock",
    "debug_getRawHeader",
    "debug_getRawReceipts",
    "debug_getRawTransaction",
    "eth_accounts",
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getBlockTransactionCountByHash",
    "eth_getBlockTransactionCountByNumber",
    "eth_getCode",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_getLogs",
    "eth_getProof",
    "eth_getStorageAt",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    "eth_newBlockFilter",
    "eth_newFilter",
    "eth_sendRawTransaction",
    "eth_syncing",
    "eth_uninstallFilter",
    "evm_increaseTime",
    "evm_mine",
    "evm_setAutomine",
    "net_version",
    "web3_clientVersion",
];

/// Methods of op-node that a rollup's RPC answers too.
pub(crate) const ROLLUP_METHODS: &[&str] = &["optimism_outputAtBlock", "optimism_syncStatus"];

impl<R: Role> Handler for Rpc<R> {
    fn handle(&self, method: &str, params: Option<&str>) -> Result<Value, RpcError> {
        let params = &Params::new(params)?;
        match method {
            "debug_executionWitness" => self.execution_witness(params),
            "debug_getRawBlock" => self.raw_block(params),
            "debug_getRawHeader" => self.raw_header(params),
            "debug_getRawReceipts" => self.raw_receipts(params),
            "debug_getRawTransaction" => self.raw_transaction(params),
            "eth_accounts" => json(Vec::<()>::new()),
            "eth_blobBaseFee" => self.blob_base_fee(),
            "eth_blockNumber" => quantity(self.chain.head()),
            "eth_call" => self.call(params),
            "eth_chainId" => quantity(self.chain.chain_id()),
            "eth_estimateGas" => self.estimate_gas(params),
            "eth_feeHistory" => self.fee_history(params),
            "eth_gasPrice" => self.gas_price(),
            "eth_getBalance" => self.balance(params),
            "eth_getBlockByHash" | "eth_getBlockByNumber" => self.block(params),
            "eth_getBlockReceipts" => self.block_receipts(params),
            "eth_getBlockTransactionCountByHash" | "eth_getBlockTransactionCountByNumber" => {
                self.block_transaction_count(params)
            }
            "eth_getCode" => self.code(params),
            "eth_getFilterChanges" => self.filter_changes(params),
            "eth_getFilterLogs" => self.filter_logs(params),
            "eth_getLogs" => self.logs(params),
            "eth_getProof" => self.proof(params),
            "eth_getStorageAt" => self.storage(params),
            "eth_getTransactionByBlockNumberAndIndex" => self.transaction_at(params),
            "eth_getTransactionByHash" => self.transaction(params),
            "eth_getTransactionCount" => self.transaction_count(params),
            "eth_getTransactionReceipt" => self.transaction_receipt(params),
            "eth_maxPriorityFeePerGas" => quantity(fees::SUGGESTED_TIP),
            "eth_newBlockFilter" => self.new_block_filter(),
            "eth_newFilter" => self.new_log_filter(params),
            "eth_sendRawTransaction" => self.send_raw_transaction(params),
            "eth_syncing" => json(false),
            "eth_uninstallFilter" => self.uninstall_filter(params),
            "evm_increaseTime" => self.increase_time(params),
            "evm_mine" => self.mine(),
            "evm_setAutomine" => self.set_automine(params),
            "net_version" => json(self.chain.chain_id().to_string()),
            "web3_clientVersion" => json(concat!("mach-devnet/", env!("CARGO_PKG_VERSION"))),
            method => R::extra_method(&self.chain, method, params),
        }
    }

    fn heads(&self) -> tokio::sync::watch::Receiver<u64> {
        self.chain.subscribe()
    }

    fn beacon(&self, path: &str, query: &str) -> Option<Answer> {
        R::beacon(&self.chain, path, query)
    }
}

pub(crate) fn json(value: impl Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(value).map_err(|error| RpcError::internal(error.to_string()))
}

/// A number as the execution API writes it: `0x`, no leading zeros.
pub(crate) fn quantity(value: impl Into<u128>) -> Result<Value, RpcError> {
    Ok(Value::String(format!("{:#x}", value.into())))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, U256};
    use serde_json::json;

    use super::*;
    use crate::{DEV_ACCOUNTS, Devnet};

    /// Every method, with every pair of these, gets an answer or an error, and the chains go on.
    #[test]
    fn odd_parameters_do_no_harm() {
        let [account, other, ..] = DEV_ACCOUNTS.map(|account| account.address);
        let values = [
            json!(null),
            json!(true),
            json!(-1),
            json!(u64::MAX),
            json!(1.5e300),
            json!(""),
            json!("0x"),
            json!("0x0"),
            json!("0xffffffffffffffff"),
            json!(B256::repeat_byte(0xff)),
            json!(format!("0x{}", "ff".repeat(33))),
            json!("pending"),
            json!("\0"),
            json!(account),
            json!([]),
            json!([[[[]]]]),
            json!({}),
            json!({ "from": account, "value": U256::MAX, "gasPrice": u128_max() }),
            json!({ "gas": "0xffffffffffffffff", "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2" }),
            json!({ "blobVersionedHashes": [B256::ZERO], "maxFeePerBlobGas": "0x1", "to": other }),
            json!({ "fromBlock": "0xffffffffffffffff", "topics": [null, [], [B256::ZERO]] }),
        ];
        let devnet = Devnet::new().unwrap();
        devnet.step().unwrap();
        for handler in [devnet.l1().handler(), devnet.l2().handler()] {
            for method in METHODS.iter().chain(ROLLUP_METHODS) {
                for (first, second) in values
                    .iter()
                    .flat_map(|first| values.iter().map(move |second| (first, second)))
                {
                    let params = json!([first, second]).to_string();
                    if let Err(error) = handler.handle(method, Some(&params)) {
                        assert!(
                            error.code < 0 || error.data.is_some(),
                            "{method} {params}: {error}"
                        );
                    }
                }
            }
        }
        devnet.l1().mine().unwrap();
        devnet.step().unwrap();
    }

    fn u128_max() -> String {
        format!("{:#x}", u128::MAX)
    }

    #[test]
    fn every_method_of_the_list_is_answered() {
        let devnet = Devnet::new().unwrap();
        let handler = devnet.l2().handler();
        for method in METHODS.iter().chain(ROLLUP_METHODS) {
            let answer = handler.handle(method, None);
            assert_ne!(answer.map_err(|error| error.code), Err(-32601), "{method}");
        }
        assert_eq!(
            handler.handle("eth_coinbase", None).unwrap_err().code,
            -32601
        );
    }
}
