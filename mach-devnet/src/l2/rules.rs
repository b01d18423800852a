//! How blocks of a rollup are made and executed.

use alloy_consensus::{
    Header,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS},
    proofs::calculate_receipt_root,
    transaction::{Recovered, TransactionInfo},
};
use alloy_eips::{eip2718::Decodable2718, eip7685::EMPTY_REQUESTS_HASH};
use alloy_evm::{EvmFactory, rpc::TryIntoTxEnv};
use alloy_op_evm::{
    OpBlockExecutionCtx, OpBlockExecutor, OpEvmFactory, OpTx,
    block::receipt_builder::OpAlloyReceiptBuilder, evm_env_for_op_block,
};
use alloy_primitives::{Address, B256, Bytes, ChainId, Sealed};
use alloy_rpc_types_eth::TransactionRequest;
use op_alloy_consensus::{OpReceiptEnvelope, OpTxEnvelope};
use op_alloy_rpc_types::OpTransactionReceipt;
use op_revm::OpTransaction;
use revm::{context_interface::result::ExecutionResult, database::State};
use serde_json::Value;

use super::{
    Check, Epoch, Lie, Optimism, OptimismFork, l1_info, output,
    predeploys::{MESSAGE_PASSER, SEQUENCER_FEE_VAULT},
    rpc_types,
};
use crate::{
    chain::{
        Block, Call, CallError, Chain, ChainError, Draft, Execution, Planned, PoolError,
        ReceiptContext, Rules, States, run,
    },
    rpc::{Params, RpcError},
};

impl Rules for Optimism {
    type Transaction = OpTxEnvelope;
    type Receipt = OpReceiptEnvelope;
    type RpcTransaction = op_alloy_rpc_types::Transaction;
    type RpcReceipt = OpTransactionReceipt;
    type Plan = Plan;

    fn chain_id(&self) -> ChainId {
        self.spec().chain_id()
    }

    fn next_base_fee(&self, parent: &Header) -> u64 {
        self.base_fee_after(parent)
    }

    fn plan(
        &self,
        parent: &Sealed<Header>,
        timestamp: u64,
    ) -> Result<Planned<OpTxEnvelope, Plan>, ChainError> {
        let told = self.sequencing().lies.front().copied();
        let (mut epoch, mut deposits) = match told {
            // Until the lie is told the sequencer stays where it is, which it may.
            Some(Lie::ExcessDrift) => (self.epoch_of(parent).stay(), Vec::new()),
            _ => self.next_epoch(parent, timestamp),
        };
        let fork = self.forks().active(timestamp);
        // A block that activates a fork speaks to the contracts of the fork before it.
        let form = self.forks().active(parent.timestamp);
        let honest = epoch;
        let is_late = timestamp > epoch.origin.timestamp + self.max_drift(epoch.origin.timestamp);
        let lie = told.filter(|lie| match lie {
            Lie::ExcessDrift => is_late,
            lie => lie.bend(&mut epoch, &mut deposits),
        });
        let info = l1_info::deposit(fork, form, &epoch);
        let first = std::iter::once(info)
            .chain(deposits)
            .map(|deposit| {
                let sender = deposit.from;
                Recovered::new_unchecked(OpTxEnvelope::from(deposit), sender)
            })
            .collect();
        let since = |first: OptimismFork| fork >= first;
        let header = Header {
            parent_hash: parent.seal(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: SEQUENCER_FEE_VAULT,
            number: parent.number + 1,
            gas_limit: honest.config.gas_limit,
            timestamp,
            mix_hash: honest.origin.randao,
            extra_data: Self::extra_data(fork, &honest.config),
            base_fee_per_gas: Some(self.base_fee_after(parent)),
            withdrawals_root: since(OptimismFork::Canyon).then_some(EMPTY_WITHDRAWALS),
            blob_gas_used: since(OptimismFork::Ecotone).then_some(0),
            excess_blob_gas: since(OptimismFork::Ecotone).then_some(0),
            parent_beacon_block_root: since(OptimismFork::Ecotone)
                .then_some(honest.origin.beacon_root),
            requests_hash: since(OptimismFork::Isthmus).then_some(EMPTY_REQUESTS_HASH),
            ..Default::default()
        };
        let plan = Plan { epoch: honest, lie };
        Ok(Planned {
            header,
            first,
            plan,
        })
    }

    fn publish(
        &self,
        mut draft: Draft<Self>,
        plan: Plan,
        parent: &Sealed<Header>,
        states: &States,
    ) -> Result<Block<Self>, ChainError> {
        let signed = draft.transactions.iter();
        let signed = signed
            .filter(|transaction| !transaction.is_deposit())
            .count();
        let mut sequencing = self.sequencing();
        // A rewind leaves what was told of blocks that are no more.
        sequencing.wrong_outputs.split_off(&draft.header.number);
        sequencing.batch_lies.split_off(&draft.header.number);
        let told = sequencing.lies.front().copied();
        if plan.lie.is_some() {
            sequencing.lies.pop_front();
        } else if let Some(lie) = told.filter(|lie| lie.fits(signed)) {
            lie.tell(&mut draft, parent.state_root, states)?;
            sequencing.lies.pop_front();
            match lie.check() {
                Check::Proposal => {
                    sequencing.wrong_outputs.insert(draft.header.number);
                }
                Check::Batches => {
                    sequencing.batch_lies.insert(draft.header.number, lie);
                }
                _ => {}
            }
        }
        let height = usize::try_from(draft.header.number).unwrap_or(usize::MAX);
        sequencing.epochs.truncate(height);
        sequencing.epochs.push(plan.epoch);
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
        let environment = evm_env_for_op_block(header, self.spec(), self.spec().chain_id());
        let evm = OpEvmFactory::<OpTx>::default().create_evm(db, environment);
        let context = OpBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            extra_data: header.extra_data.clone(),
        };
        let builder = OpAlloyReceiptBuilder::default();
        run(
            OpBlockExecutor::new(evm, context, self.spec(), builder),
            transactions,
        )
    }

    fn complete_header(
        &self,
        header: &mut Header,
        execution: &Execution<OpReceiptEnvelope>,
        storage_root: &dyn Fn(Address) -> Result<B256, ChainError>,
    ) -> Result<(), ChainError> {
        let fork = self.forks().active(header.timestamp);
        if fork == OptimismFork::Regolith {
            header.receipts_root = regolith_receipts_root(&execution.receipts);
        }
        if fork >= OptimismFork::Isthmus {
            header.withdrawals_root = Some(storage_root(MESSAGE_PASSER)?);
        }
        if fork >= OptimismFork::Jovian {
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
        let environment = evm_env_for_op_block(header, self.spec(), self.spec().chain_id());
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
        let fork = self.forks().active(context.header.timestamp);
        let epoch = self.epoch(context.header.number);
        rpc_types::receipt(context, fork, epoch.as_ref())
    }
}

/// Receipts have the nonce of a deposit from Regolith on, and commit to it from Canyon on.
///
/// Source: <https://specs.optimism.io/protocol/deposits.html#deposit-receipt>.
fn regolith_receipts_root(receipts: &[OpReceiptEnvelope]) -> B256 {
    let mut receipts = receipts.to_vec();
    for receipt in &mut receipts {
        if let OpReceiptEnvelope::Deposit(deposit) = receipt {
            deposit.receipt.deposit_nonce = None;
        }
    }
    calculate_receipt_root(&receipts)
}

/// What the sequencer has decided about a block before its execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// What the block should follow.
    epoch: Epoch,
    /// The lie that its first transactions tell.
    lie: Option<Lie>,
}
