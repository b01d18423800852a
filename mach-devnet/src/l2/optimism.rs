//! The rules of an OP Stack rollup.

use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_consensus::{
    Header,
    constants::EMPTY_OMMER_ROOT_HASH,
    transaction::{Recovered, TransactionInfo},
};
use alloy_eips::{
    eip1559::{BaseFeeParams, calc_next_block_base_fee},
    eip2718::Decodable2718,
    eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_evm::{EvmFactory, rpc::TryIntoTxEnv};
use alloy_op_evm::{
    OpBlockExecutionCtx, OpBlockExecutor, OpEvmFactory, OpTx,
    block::receipt_builder::OpAlloyReceiptBuilder, evm_env_for_op_block,
};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B64, B256, Bytes, ChainId, Sealed};
use alloy_rpc_types_eth::TransactionRequest;
use mach_verify::ChainSpec;
use op_alloy_consensus::{
    OpReceiptEnvelope, OpTxEnvelope, decode_holocene_extra_data, decode_jovian_extra_data,
    encode_holocene_extra_data, encode_jovian_extra_data,
};
use op_alloy_rpc_types::OpTransactionReceipt;
use op_revm::OpTransaction;
use revm::{context_interface::result::ExecutionResult, database::State};
use serde_json::Value;

use super::{
    FeeConfig, L1Origin, L1View, Lie, UserDeposit, l1_info, output,
    predeploys::{MESSAGE_PASSER, SEQUENCER_FEE_VAULT},
    rpc_types,
};
use crate::{
    chain::{
        Block, Call, CallError, Chain, ChainError, Draft, Execution, PoolError, ReceiptContext,
        Rules, States, run,
    },
    rpc::{Params, RpcError},
};

/// Newest fork that is active on the rollup, from genesis on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptimismFork {
    /// Isthmus (May 2025).
    Isthmus,
    /// Jovian (December 2025).
    #[default]
    Jovian,
}

/// Denominator and elasticity of the base fee, as on OP Mainnet since Canyon.
const BASE_FEE: BaseFeeParams = BaseFeeParams::optimism_canyon();

/// Least base fee from Jovian on, in wei.
const MIN_BASE_FEE: u64 = 1_000;

/// A rollup with every fork up to one active from genesis on, and its sequencer.
#[derive(Debug)]
pub struct Optimism {
    fork: OptimismFork,
    spec: ChainSpec,
    fees: FeeConfig,
    l1: L1View,
    sequencer: Mutex<Sequencing>,
}

/// What the sequencer has in mind.
#[derive(Debug, Default)]
pub(super) struct Sequencing {
    /// L1 origin and sequence number of each block, by height.
    pub(super) origins: Vec<(L1Origin, u64)>,
    /// Deposits of users that wait for a block.
    pub(super) deposits: Vec<UserDeposit>,
    /// Deposits of users so far.
    pub(super) deposit_count: u64,
    /// Lies in the order in which they will be told.
    pub(super) lies: std::collections::VecDeque<Lie>,
    /// Blocks whose output root is lied about.
    pub(super) wrong_outputs: std::collections::BTreeSet<u64>,
}

impl Optimism {
    /// A rollup with the given id that follows `l1`.
    pub fn new(chain_id: ChainId, fork: OptimismFork, fees: FeeConfig, l1: L1View) -> Self {
        let last = match fork {
            OptimismFork::Isthmus => OpHardfork::Isthmus,
            OptimismFork::Jovian => OpHardfork::Jovian,
        };
        let spec = ChainSpec::optimism(chain_id).with_op_forks_from_genesis(last);
        let genesis_origin = (l1.origin(0).unwrap_or_default(), 0);
        let sequencer = Mutex::new(Sequencing {
            origins: vec![genesis_origin],
            ..Default::default()
        });
        Self {
            fork,
            spec,
            fees,
            l1,
            sequencer,
        }
    }

    /// Newest active fork.
    pub const fn fork(&self) -> OptimismFork {
        self.fork
    }

    /// Rules of the chain, for verifiers.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// `extraData` of every block: the parameters of the base fee.
    ///
    /// Source: <https://specs.optimism.io/protocol/jovian/exec-engine.html>.
    pub(super) fn extra_data(fork: OptimismFork) -> Bytes {
        let encoded = match fork {
            OptimismFork::Isthmus => encode_holocene_extra_data(B64::ZERO, BASE_FEE),
            OptimismFork::Jovian => encode_jovian_extra_data(B64::ZERO, BASE_FEE, MIN_BASE_FEE),
        };
        encoded.expect("both parameters fit into 32 bits")
    }

    /// Origin and sequence number of the block after height `parent`.
    fn next_origin(&self, parent: u64, timestamp: u64) -> (L1Origin, u64) {
        let (number, sequence_number) = {
            let sequencer = self.sequencing();
            let index = usize::try_from(parent).unwrap_or(usize::MAX);
            let known = sequencer.origins.get(index).or(sequencer.origins.last());
            known.map_or((0, 0), |(origin, sequence)| (origin.number, *sequence))
        };
        match self.l1.next(number, timestamp) {
            (origin, true) => (origin, 0),
            (origin, false) => (origin, sequence_number + 1),
        }
    }

    pub(super) fn sequencing(&self) -> MutexGuard<'_, Sequencing> {
        self.sequencer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The base fee after `parent`, by the parameters in the parent's `extraData`.
    ///
    /// Source: <https://specs.optimism.io/protocol/holocene/exec-engine.html>; Jovian counts the
    /// data-availability footprint like gas and sets a floor.
    fn next_base_fee(&self, parent: &Header) -> u64 {
        let (elasticity, denominator, floor) = match self.fork {
            OptimismFork::Isthmus => decode_holocene_extra_data(&parent.extra_data)
                .map(|(elasticity, denominator)| (elasticity, denominator, 0)),
            OptimismFork::Jovian => decode_jovian_extra_data(&parent.extra_data),
        }
        .expect("every block of this chain carries the parameters");
        let params = BaseFeeParams::new(denominator.into(), elasticity.into());
        let used = match self.fork {
            OptimismFork::Isthmus => parent.gas_used,
            OptimismFork::Jovian => parent
                .gas_used
                .max(parent.blob_gas_used.unwrap_or_default()),
        };
        let base_fee = parent.base_fee_per_gas.unwrap_or_default();
        calc_next_block_base_fee(used, parent.gas_limit, base_fee, params).max(floor)
    }
}

impl Rules for Optimism {
    type Transaction = OpTxEnvelope;
    type Receipt = OpReceiptEnvelope;
    type RpcTransaction = op_alloy_rpc_types::Transaction;
    type RpcReceipt = OpTransactionReceipt;

    fn chain_id(&self) -> ChainId {
        self.spec.chain_id()
    }

    fn next_header(&self, parent: &Sealed<Header>, timestamp: u64) -> Header {
        let (origin, _) = self.next_origin(parent.number, timestamp);
        Header {
            parent_hash: parent.seal(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: SEQUENCER_FEE_VAULT,
            number: parent.number + 1,
            gas_limit: parent.gas_limit,
            timestamp,
            mix_hash: origin.randao,
            extra_data: Self::extra_data(self.fork),
            base_fee_per_gas: Some(self.next_base_fee(parent)),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(origin.beacon_root),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            ..Default::default()
        }
    }

    fn first_transactions(
        &self,
        parent: &Sealed<Header>,
        header: &Header,
    ) -> Result<Vec<Recovered<OpTxEnvelope>>, ChainError> {
        let (origin, sequence_number) = self.next_origin(parent.number, header.timestamp);
        let info = l1_info::deposit(self.fork, &self.fees, &origin, sequence_number);
        let sequencing = self.sequencing();
        let users = sequencing
            .deposits
            .iter()
            .zip(sequencing.deposit_count..)
            .map(|(deposit, index)| deposit.to_transaction(origin.hash, index));
        Ok(std::iter::once(info)
            .chain(users)
            .map(|deposit| {
                let sender = deposit.from;
                Recovered::new_unchecked(OpTxEnvelope::from(deposit), sender)
            })
            .collect())
    }

    fn publish(
        &self,
        mut draft: Draft<Self>,
        parent: &Sealed<Header>,
        states: &States,
    ) -> Result<Block<Self>, ChainError> {
        let origin = self.next_origin(parent.number, draft.header.timestamp);
        let has_signed = draft
            .transactions
            .last()
            .is_some_and(|last| !last.is_deposit());
        let mut sequencing = self.sequencing();
        // A rewind leaves what was told of blocks that are no more.
        sequencing.wrong_outputs.split_off(&draft.header.number);
        let told = sequencing.lies.front().copied();
        if let Some(lie) = told.filter(|lie| has_signed || !lie.needs_transaction()) {
            lie.tell(&mut draft, parent.state_root, states)?;
            sequencing.lies.pop_front();
            if lie == Lie::OutputRoot {
                sequencing.wrong_outputs.insert(draft.header.number);
            }
        }
        let height = usize::try_from(draft.header.number).unwrap_or(usize::MAX);
        sequencing.origins.truncate(height);
        sequencing.origins.push(origin);
        sequencing.deposit_count += sequencing.deposits.len() as u64;
        sequencing.deposits.clear();
        Ok(draft.seal())
    }

    fn execute<DB>(
        &self,
        db: &mut State<DB>,
        header: &Header,
        transactions: &[Recovered<OpTxEnvelope>],
    ) -> Result<Execution<OpReceiptEnvelope>, ChainError>
    where
        DB: alloy_evm::Database,
    {
        let environment = evm_env_for_op_block(header, &self.spec, self.spec.chain_id());
        let evm = OpEvmFactory::<OpTx>::default().create_evm(db, environment);
        let context = OpBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            extra_data: header.extra_data.clone(),
        };
        let builder = OpAlloyReceiptBuilder::default();
        run(
            OpBlockExecutor::new(evm, context, &self.spec, builder),
            transactions,
        )
    }

    fn complete_header(
        &self,
        header: &mut Header,
        execution: &Execution<OpReceiptEnvelope>,
        storage_root: &dyn Fn(Address) -> Result<B256, ChainError>,
    ) -> Result<(), ChainError> {
        header.withdrawals_root = Some(storage_root(MESSAGE_PASSER)?);
        if self.fork >= OptimismFork::Jovian {
            header.blob_gas_used = Some(execution.blob_gas_used);
        }
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
        let environment = evm_env_for_op_block(header, &self.spec, self.spec.chain_id());
        let call = Call::new(environment, &request);
        let base = request
            .try_into_tx_env(call.environment())
            .map_err(|error| CallError::Request(error.to_string()))?;
        // An empty encoding costs nothing on L1.
        let transaction = OpTx(OpTransaction {
            base,
            enveloped_tx: Some(Bytes::new()),
            deposit: Default::default(),
        });
        call.run(OpEvmFactory::<OpTx>::default(), db, transaction)
    }

    fn decode_pooled(&self, bytes: &[u8]) -> Result<OpTxEnvelope, PoolError> {
        let mut rest = bytes;
        let transaction = OpTxEnvelope::decode_2718(&mut rest)
            .map_err(|error| PoolError::Decode(error.to_string()))?;
        if !rest.is_empty() {
            return Err(PoolError::Decode(
                "bytes stand behind the transaction".to_owned(),
            ));
        }
        match transaction {
            OpTxEnvelope::Deposit(_) | OpTxEnvelope::PostExec(_) => Err(PoolError::Type),
            transaction => Ok(transaction),
        }
    }

    fn transaction_gas_cap(&self) -> u64 {
        u64::MAX
    }

    fn blob_gas_limit(&self) -> Option<u64> {
        None
    }

    fn blob_base_fee(&self, _header: &Header) -> u128 {
        1
    }

    fn extra_method(
        chain: &Chain<Self>,
        method: &str,
        params: &Params<'_>,
    ) -> Result<Value, RpcError> {
        match method {
            "optimism_outputAtBlock" => output::output_at_block(chain, params),
            "optimism_syncStatus" => output::sync_status(chain),
            method => Err(RpcError::method(method)),
        }
    }

    fn rpc_transaction(
        &self,
        transaction: Recovered<OpTxEnvelope>,
        receipt: &OpReceiptEnvelope,
        info: TransactionInfo,
    ) -> Self::RpcTransaction {
        rpc_types::transaction(transaction, receipt, info)
    }

    fn rpc_receipt(&self, context: ReceiptContext<'_, Self>) -> Self::RpcReceipt {
        let number = usize::try_from(context.header.number).unwrap_or(usize::MAX);
        let origin = self
            .sequencing()
            .origins
            .get(number)
            .map(|(origin, _)| *origin);
        rpc_types::receipt(context, self.fork, &self.fees, &origin.unwrap_or_default())
    }
}
