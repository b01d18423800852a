//! What is known of methods: whether they write, and where they name a block.

/// What a method does, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its answer depends on no head, or on blocks and transactions that it names by hash.
    Plain,
    /// Reads at the block that the parameter at this position names, or at the newest.
    Block(usize),
    /// Reads the range of blocks that the filter in its first parameter names.
    Range,
    /// The newest block's number.
    Head,
    /// What is new since the last call.
    Changes,
    /// A transaction or receipt, whose `blockNumber` says where it is.
    Inclusion,
    /// A block by its hash, whose `number` says where it is.
    BlockByHash,
    /// Subscribes to what is new.
    Subscribe,
    /// Reads something newest that no parameter names.
    Unpinnable,
    /// Writes; or not known here, and so it may.
    Write,
}

impl Kind {
    /// What `method` does. Names are compared exactly: another spelling is another method.
    ///
    /// Source of the positions: <https://github.com/ethereum/execution-apis> for `eth_`, the
    /// documentation of geth for `debug_`, of OpenEthereum and reth for `trace_`.
    pub(super) fn of(method: &str) -> Self {
        match method {
            "eth_blockNumber" => Self::Head,

            "eth_getBlockByNumber"
            | "eth_getHeaderByNumber"
            | "eth_getBlockReceipts"
            | "eth_getBlockTransactionCountByNumber"
            | "eth_getTransactionByBlockNumberAndIndex"
            | "eth_getRawTransactionByBlockNumberAndIndex"
            | "eth_getUncleByBlockNumberAndIndex"
            | "eth_getUncleCountByBlockNumber"
            | "eth_getBlockAccessListByBlockNumber"
            | "debug_accountRange"
            | "debug_dumpBlock"
            | "debug_executionWitness"
            | "debug_getRawBlock"
            | "debug_getRawHeader"
            | "debug_getRawReceipts"
            | "debug_traceBlockByNumber"
            | "optimism_outputAtBlock"
            | "trace_block"
            | "trace_replayBlockTransactions" => Self::Block(0),

            "eth_call"
            | "eth_callMany"
            | "eth_createAccessList"
            | "eth_estimateGas"
            | "eth_feeHistory"
            | "eth_getAccount"
            | "eth_getAccountInfo"
            | "eth_getBalance"
            | "eth_getCode"
            | "eth_getStorageValues"
            | "eth_getTransactionCount"
            | "eth_simulateV1"
            | "debug_traceCall"
            | "debug_traceCallMany"
            | "trace_callMany" => Self::Block(1),

            "eth_getProof" | "eth_getStorageAt" | "trace_call" => Self::Block(2),

            "eth_getLogs" | "trace_filter" => Self::Range,

            "eth_getFilterChanges" => Self::Changes,

            "eth_getTransactionByHash"
            | "eth_getTransactionByBlockHashAndIndex"
            | "eth_getTransactionReceipt" => Self::Inclusion,

            "eth_getBlockByHash" | "eth_getHeaderByHash" => Self::BlockByHash,

            "eth_subscribe" => Self::Subscribe,

            "eth_getFilterLogs"
            | "eth_pendingTransactions"
            | "optimism_syncStatus"
            | "trace_rawTransaction" => Self::Unpinnable,

            "eth_accounts"
            | "eth_baseFee"
            | "eth_blobBaseFee"
            | "eth_chainId"
            | "eth_config"
            | "eth_gasPrice"
            | "eth_getBlockAccessListByBlockHash"
            | "eth_getBlockTransactionCountByHash"
            | "eth_getRawTransactionByBlockHashAndIndex"
            | "eth_getRawTransactionByHash"
            | "eth_getUncleByBlockHashAndIndex"
            | "eth_getUncleCountByBlockHash"
            | "eth_hashrate"
            | "eth_maxPriorityFeePerGas"
            | "eth_mining"
            | "eth_newBlockFilter"
            | "eth_newFilter"
            | "eth_newPendingTransactionFilter"
            | "eth_protocolVersion"
            | "eth_syncing"
            | "eth_uninstallFilter"
            | "eth_unsubscribe"
            | "debug_getRawTransaction"
            | "debug_traceBlockByHash"
            | "debug_traceTransaction"
            | "net_listening"
            | "net_peerCount"
            | "net_version"
            | "optimism_rollupConfig"
            | "optimism_version"
            | "rpc_modules"
            | "trace_get"
            | "trace_replayTransaction"
            | "trace_transaction"
            | "txpool_content"
            | "txpool_contentFrom"
            | "txpool_inspect"
            | "txpool_status"
            | "web3_clientVersion"
            | "web3_sha3" => Self::Plain,

            _ => Self::Write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signatures of the execution API's OpenRPC document, for the methods with a block.
    #[test]
    fn positions_are_those_of_the_specification() {
        let signatures = [
            ("eth_call", "transaction block"),
            ("eth_createAccessList", "transaction block"),
            ("eth_estimateGas", "transaction block"),
            ("eth_feeHistory", "count block percentiles"),
            ("eth_getBalance", "address block"),
            ("eth_getBlockByNumber", "block hydrated"),
            ("eth_getBlockReceipts", "block"),
            ("eth_getBlockTransactionCountByNumber", "block"),
            ("eth_getCode", "address block"),
            ("eth_getProof", "address keys block"),
            ("eth_getStorageAt", "address slot block"),
            ("eth_getTransactionByBlockNumberAndIndex", "block index"),
            ("eth_getTransactionCount", "address block"),
            ("eth_getUncleCountByBlockNumber", "block"),
            ("eth_simulateV1", "payload block"),
        ];
        for (method, parameters) in signatures {
            let position = parameters.split(' ').position(|name| name == "block");
            assert_eq!(Kind::of(method), Kind::Block(position.unwrap()), "{method}");
        }
    }

    #[test]
    fn what_is_not_known_may_write() {
        for method in [
            "eth_sendRawTransaction",
            "eth_sendRawTransactionSync",
            "eth_sendRawTransactionConditional",
            "eth_sendTransaction",
            "eth_sendBundle",
            "eth_sendUserOperation",
            "eth_sign",
            "personal_sendTransaction",
            "admin_addPeer",
            "miner_start",
            "debug_setHead",
            "engine_newPayloadV4",
            "evm_mine",
            "ETH_CALL",
            "eth_call ",
            "",
        ] {
            assert_eq!(Kind::of(method), Kind::Write, "{method}");
        }
    }
}
