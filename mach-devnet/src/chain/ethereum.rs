//! Ethereum, as L1.

use alloy_consensus::{
    Header, ReceiptEnvelope, SignableTransaction, Transaction, TxEip4844Variant, TxEnvelope,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS},
    transaction::{Recovered, TransactionInfo},
};
use alloy_eips::{
    eip1559::BaseFeeParams, eip2718::Decodable2718, eip7594::BlobTransactionSidecarVariant,
    eip7825::MAX_TX_GAS_LIMIT_OSAKA, eip7840::BlobParams,
};
use alloy_evm::{
    EvmEnv, EvmFactory,
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor, EthEvmFactory, receipt_builder::AlloyReceiptBuilder,
    },
    rpc::TryIntoTxEnv,
};
use alloy_hardforks::EthereumHardfork;
use alloy_primitives::{Address, B256, Bytes, ChainId, Sealed, keccak256};
use alloy_rpc_types_eth::{Log as RpcLog, TransactionReceipt, TransactionRequest};
use mach_verify::ChainSpec;
use revm::{context_interface::result::ExecutionResult, database::State};

use crate::rpc::Answer;

use super::{
    Chain, ChainError, PoolError,
    blobs::Blobs,
    call::Call,
    receipt::ReceiptContext,
    role::{CallError, Execution, Planned, Rules, run},
};

/// Who receives the tips of L1 blocks.
const FEE_RECIPIENT: Address = Address::with_last_byte(0xfe);

/// Newest fork that is active on the L1, from genesis on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum EthereumFork {
    /// Prague (May 2025).
    Prague,
    /// Osaka (December 2025).
    #[default]
    Osaka,
}

/// An Ethereum chain with every fork up to one active from genesis on.
#[derive(Clone, Debug)]
pub struct Ethereum {
    fork: EthereumFork,
    spec: ChainSpec,
    blobs: Blobs,
}

impl EthereumFork {
    /// Rules of a chain on which every fork up to this one is active from genesis on.
    pub fn spec(self, chain_id: ChainId) -> ChainSpec {
        let last = match self {
            Self::Prague => EthereumHardfork::Prague,
            Self::Osaka => EthereumHardfork::Osaka,
        };
        ChainSpec::ethereum(chain_id).with_forks_from_genesis(last)
    }
}

impl Ethereum {
    /// A chain with the given id.
    pub fn new(chain_id: ChainId, fork: EthereumFork) -> Self {
        let spec = fork.spec(chain_id);
        Self {
            fork,
            spec,
            blobs: Blobs::default(),
        }
    }

    /// Newest active fork.
    pub const fn fork(&self) -> EthereumFork {
        self.fork
    }

    /// Rules of the chain, for verifiers.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The blobs of transactions.
    pub(crate) const fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Target, limit and price of blobs.
    pub(crate) const fn blob_params(&self) -> BlobParams {
        match self.fork {
            EthereumFork::Prague => BlobParams::prague(),
            EthereumFork::Osaka => BlobParams::osaka(),
        }
    }

    fn keep(&self, sidecar: BlobTransactionSidecarVariant) {
        let (blobs, commitments) = match sidecar {
            BlobTransactionSidecarVariant::Eip4844(it) => (it.blobs, it.commitments),
            BlobTransactionSidecarVariant::Eip7594(it) => (it.blobs, it.commitments),
        };
        for (blob, commitment) in blobs.into_iter().zip(commitments) {
            self.blobs.insert(Box::new(blob), commitment);
        }
    }

    fn environment(&self, header: &Header) -> EvmEnv {
        EvmEnv::for_eth_block(
            header,
            &self.spec,
            self.spec.chain_id(),
            Some(self.blob_params()),
        )
    }
}

impl Rules for Ethereum {
    type Transaction = TxEnvelope;
    type Receipt = ReceiptEnvelope;
    type RpcTransaction = alloy_rpc_types_eth::Transaction<TxEnvelope>;
    type RpcReceipt = TransactionReceipt<ReceiptEnvelope<RpcLog>>;
    type Plan = ();

    fn chain_id(&self) -> ChainId {
        self.spec.chain_id()
    }

    fn next_base_fee(&self, parent: &Header) -> u64 {
        let next = parent.next_block_base_fee(BaseFeeParams::ethereum());
        next.unwrap_or_default()
    }

    fn plan(
        &self,
        parent: &Sealed<Header>,
        timestamp: u64,
    ) -> Result<Planned<TxEnvelope, ()>, ChainError> {
        let number = parent.number + 1;
        let header = Header {
            parent_hash: parent.seal(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: FEE_RECIPIENT,
            number,
            gas_limit: parent.gas_limit,
            timestamp,
            mix_hash: beacon_word("randao", number),
            extra_data: Bytes::from_static(b"mach-devnet"),
            base_fee_per_gas: Some(self.next_base_fee(parent)),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            blob_gas_used: Some(0),
            excess_blob_gas: parent.next_block_excess_blob_gas(self.blob_params()),
            parent_beacon_block_root: Some(beacon_word("block", number)),
            ..Default::default()
        };
        Ok(Planned {
            header,
            first: Vec::new(),
            plan: (),
        })
    }

    fn execute<DB>(
        &self,
        db: &mut State<DB>,
        header: &Header,
        transactions: &[Recovered<TxEnvelope>],
    ) -> Result<Execution<ReceiptEnvelope>, ChainError>
    where
        DB: alloy_evm::Database,
    {
        let evm = EthEvmFactory::default().create_evm(db, self.environment(header));
        let context = EthBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers: &[],
            withdrawals: None,
            extra_data: header.extra_data.clone(),
            tx_count_hint: Some(transactions.len()),
            slot_number: None,
        };
        run(
            EthBlockExecutor::new(evm, context, &self.spec, AlloyReceiptBuilder::default()),
            transactions,
        )
    }

    fn complete_header(
        &self,
        header: &mut Header,
        execution: &Execution<ReceiptEnvelope>,
        _storage_root: &dyn Fn(Address) -> Result<B256, ChainError>,
    ) -> Result<(), ChainError> {
        header.blob_gas_used = Some(execution.blob_gas_used);
        header.requests_hash = Some(execution.requests.requests_hash());
        Ok(())
    }

    fn call<DB>(
        &self,
        db: DB,
        header: &Header,
        request: TransactionRequest,
    ) -> Result<ExecutionResult, CallError>
    where
        DB: alloy_evm::Database,
    {
        let call = Call::new(self.environment(header), &request);
        let transaction = request
            .try_into_tx_env(call.environment())
            .map_err(|error| CallError::Request(error.to_string()))?;
        call.run(EthEvmFactory::default(), db, transaction)
    }

    fn decode_pooled(&self, bytes: &[u8]) -> Result<TxEnvelope, PoolError> {
        let mut rest = bytes;
        let transaction = TxEnvelope::decode_2718(&mut rest)
            .map_err(|error| PoolError::Decode(error.to_string()))?;
        if !rest.is_empty() {
            return Err(PoolError::Decode(
                "bytes stand behind the transaction".to_owned(),
            ));
        }
        match transaction {
            TxEnvelope::Eip4844(signed) => {
                let (transaction, signature, _) = signed.into_parts();
                let TxEip4844Variant::TxEip4844WithSidecar(transaction) = transaction else {
                    return Err(PoolError::Decode(
                        "blob transaction without its blobs".to_owned(),
                    ));
                };
                let (transaction, sidecar) = transaction.into_parts();
                if !sidecar
                    .versioned_hashes()
                    .eq(transaction.blob_versioned_hashes.iter().copied())
                {
                    return Err(PoolError::Decode(
                        "blobs do not have the given hashes".to_owned(),
                    ));
                }
                self.keep(sidecar);
                let body = TxEip4844Variant::TxEip4844(transaction);
                Ok(TxEnvelope::Eip4844(body.into_signed(signature)))
            }
            transaction => Ok(transaction),
        }
    }

    fn transaction_gas_cap(&self) -> u64 {
        match self.fork {
            EthereumFork::Prague => u64::MAX,
            EthereumFork::Osaka => MAX_TX_GAS_LIMIT_OSAKA,
        }
    }

    fn blob_gas_limit(&self) -> Option<u64> {
        Some(self.blob_params().max_blob_gas_per_block())
    }

    fn blob_base_fee(&self, header: &Header) -> u128 {
        self.blob_params()
            .calc_blob_fee(header.excess_blob_gas.unwrap_or_default())
    }

    fn beacon(chain: &Chain<Self>, path: &str, query: &str) -> Option<Answer> {
        Some(chain.beacon(path, query))
    }

    fn rpc_transaction(
        &self,
        transaction: Recovered<TxEnvelope>,
        _receipt: &ReceiptEnvelope,
        info: TransactionInfo,
    ) -> Self::RpcTransaction {
        alloy_rpc_types_eth::Transaction::from_transaction(transaction, info)
    }

    fn rpc_receipt(&self, context: ReceiptContext<'_, Self>) -> Self::RpcReceipt {
        let blob_gas_used = context.transaction.blob_gas_used();
        let blob_gas_price = blob_gas_used.map(|_| self.blob_base_fee(context.header));
        let inner = context.receipt.clone().map_logs(context.rpc_log());
        TransactionReceipt {
            blob_gas_used,
            blob_gas_price,
            ..context.rpc_receipt(inner)
        }
    }
}

/// A word that the consensus layer would choose, the same in every run.
fn beacon_word(purpose: &str, number: u64) -> B256 {
    keccak256(format!("mach-devnet {purpose} {number}"))
}
