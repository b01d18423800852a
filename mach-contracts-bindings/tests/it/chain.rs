//! A chain of one transaction a block, without consensus or network.

use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};
use alloy_sol_types::{SolCall, SolConstructor, SolEvent};
use mach_contracts_bindings::{Artifact, Revert};
use revm::{
    Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext, MainnetEvm,
    bytecode::Bytecode,
    context::{
        TxEnv,
        result::{ExecutionResult, Output},
    },
    database::{CacheDB, EmptyDB},
    handler::MainnetContext,
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

pub(crate) const CHAIN_ID: u64 = 31337;

pub(crate) struct Chain {
    evm: MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>,
}

/// A transaction that succeeded.
pub(crate) struct Done {
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
}

impl Done {
    /// The only event of its type.
    pub(crate) fn event<E: SolEvent>(&self) -> E {
        let mut events = self
            .logs
            .iter()
            .filter_map(|log| E::decode_log(log).ok().map(|log| log.data));
        let event = events.next().expect(E::SIGNATURE);
        assert!(events.next().is_none(), "two {}", E::SIGNATURE);
        event
    }
}

impl Chain {
    pub(crate) fn new() -> Self {
        let context = Context::mainnet()
            .with_db(CacheDB::<EmptyDB>::default())
            .modify_cfg_chained(|config| {
                config.chain_id = CHAIN_ID;
                config.disable_nonce_check = true;
            })
            .modify_block_chained(|block| {
                block.number = U256::from(1);
                block.timestamp = U256::from(1_700_000_000);
                block.gas_limit = u64::MAX;
            });
        Self {
            evm: context.build_mainnet(),
        }
    }

    /// Number of the block that the next transaction is in.
    pub(crate) fn block(&self) -> u32 {
        self.evm.ctx.block.number.to()
    }

    pub(crate) fn timestamp(&self) -> u64 {
        self.evm.ctx.block.timestamp.to()
    }

    pub(crate) fn mine(&mut self, blocks: u64) {
        self.evm.ctx.modify_block(|block| {
            block.number += U256::from(blocks);
            block.timestamp += U256::from(12 * blocks);
        });
    }

    /// Takes the last transaction's block as not closed yet: the next one is in it too.
    pub(crate) fn reopen_block(&mut self) {
        self.evm.ctx.modify_block(|block| {
            block.number -= U256::from(1);
            block.timestamp -= U256::from(12);
        });
    }

    /// Puts the chain under the rules of an earlier hard fork.
    pub(crate) fn set_spec(&mut self, spec: SpecId) {
        self.evm
            .ctx
            .modify_cfg(|config| config.set_spec_and_mainnet_gas_params(spec));
    }

    pub(crate) fn set_chain_id(&mut self, chain_id: u64) {
        self.evm.ctx.modify_cfg(|config| config.chain_id = chain_id);
    }

    /// Puts code at an address.
    pub(crate) fn set_code(&mut self, address: Address, code: Vec<u8>) {
        let info = AccountInfo::default().with_code(Bytecode::new_raw(code.into()));
        self.evm
            .ctx
            .journaled_state
            .database
            .insert_account_info(address, info);
    }

    pub(crate) fn set_nonce(&mut self, address: Address, nonce: u64) {
        let info = AccountInfo {
            nonce,
            ..Default::default()
        };
        self.evm
            .ctx
            .journaled_state
            .database
            .insert_account_info(address, info);
    }

    pub(crate) fn deploy(
        &mut self,
        from: Address,
        artifact: Artifact,
        arguments: &impl SolConstructor,
    ) -> Result<Address, Revert> {
        let code = [artifact.bytecode().as_ref(), &arguments.abi_encode()].concat();
        let (result, _) = self.transact(from, TxKind::Create, code.into(), true)?;
        match result {
            Output::Create(_, Some(address)) => Ok(address),
            other => panic!("not a deployment: {other:?}"),
        }
    }

    /// Sends a transaction in a block of its own.
    pub(crate) fn send(
        &mut self,
        from: Address,
        to: Address,
        call: &impl SolCall,
    ) -> Result<Done, Revert> {
        self.send_raw(from, to, call.abi_encode().into())
    }

    pub(crate) fn send_raw(
        &mut self,
        from: Address,
        to: Address,
        data: Bytes,
    ) -> Result<Done, Revert> {
        self.transact(from, TxKind::Call(to), data, true)
            .map(|(_, done)| done)
    }

    pub(crate) fn call<C: SolCall>(&mut self, to: Address, call: &C) -> Result<C::Return, Revert> {
        let data = call.abi_encode().into();
        let (output, _) = self.transact(Address::ZERO, TxKind::Call(to), data, false)?;
        Ok(C::abi_decode_returns(output.data()).expect(C::SIGNATURE))
    }

    /// The answer, if `gas` is enough for one.
    pub(crate) fn call_with_gas<C: SolCall>(
        &mut self,
        to: Address,
        call: &C,
        gas: u64,
    ) -> Option<C::Return> {
        let transaction = self.transaction(
            Address::ZERO,
            TxKind::Call(to),
            call.abi_encode().into(),
            gas,
        );
        match self.evm.transact(transaction).unwrap().result {
            ExecutionResult::Success { output, .. } => {
                Some(C::abi_decode_returns(output.data()).expect(C::SIGNATURE))
            }
            _ => None,
        }
    }

    fn transact(
        &mut self,
        from: Address,
        kind: TxKind,
        data: Bytes,
        commit: bool,
    ) -> Result<(Output, Done), Revert> {
        let transaction = self.transaction(from, kind, data, 16_000_000);
        let result = if commit {
            self.evm.transact_commit(transaction).unwrap()
        } else {
            self.evm.transact(transaction).unwrap().result
        };
        if commit {
            self.mine(1);
        }
        match result {
            ExecutionResult::Success {
                gas, logs, output, ..
            } => {
                let gas_used = gas.tx_gas_used();
                Ok((output, Done { gas_used, logs }))
            }
            ExecutionResult::Revert { output, .. } => Err(Revert::decode(&output)),
            ExecutionResult::Halt { reason, .. } => panic!("halt: {reason:?}"),
        }
    }

    /// Gas that a call burns before it reverts.
    pub(crate) fn gas_of_refusal(&mut self, to: Address, call: &impl SolCall) -> u64 {
        let data = call.abi_encode().into();
        let transaction = self.transaction(Address::ZERO, TxKind::Call(to), data, 16_000_000);
        match self.evm.transact(transaction).unwrap().result {
            ExecutionResult::Revert { gas, .. } => gas.tx_gas_used(),
            other => panic!("not a revert: {other:?}"),
        }
    }

    fn transaction(&self, from: Address, kind: TxKind, data: Bytes, gas: u64) -> TxEnv {
        TxEnv::builder()
            .caller(from)
            .kind(kind)
            .data(data)
            .gas_limit(gas)
            .gas_price(0)
            .chain_id(Some(self.evm.ctx.cfg.chain_id))
            .build_fill()
    }
}

/// Code that answers one selector with a word and passes every other call on to `target`.
pub(crate) fn answer_or_forward(selector: [u8; 4], answer: B256, target: Address) -> Vec<u8> {
    let forward = [
        // calldatacopy(0, 0, calldatasize)
        &[0x36, 0x5f, 0x5f, 0x37][..],
        // call(gas, target, 0, 0, calldatasize, 0, 0)
        &[0x5f, 0x5f, 0x36, 0x5f, 0x5f, 0x73],
        target.as_slice(),
        &[0x5a, 0xf1],
        // returndatacopy(0, 0, returndatasize)
        &[0x3d, 0x5f, 0x5f, 0x3e],
    ]
    .concat();
    let head = 14 + forward.len() as u8;
    [
        // if selector == calldata >> 224, answer
        &[0x5f, 0x35, 0x60, 0xe0, 0x1c, 0x63][..],
        &selector,
        &[0x14, 0x60, head + 10, 0x57],
        &forward,
        // if the call succeeded return else revert
        &[0x60, head + 6, 0x57, 0x3d, 0x5f, 0xfd],
        &[0x5b, 0x3d, 0x5f, 0xf3],
        &[0x5b, 0x7f],
        answer.as_slice(),
        &[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3],
    ]
    .concat()
}
