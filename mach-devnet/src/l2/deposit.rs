//! Deposits of users.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use op_alloy_consensus::{TxDeposit, UserDepositSource};

/// A transaction that a user sends through L1, as an `OptimismPortal` would record it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDeposit {
    /// Sender on the rollup.
    pub from: Address,
    /// Receiver; `TxKind::Create` makes a contract.
    pub to: TxKind,
    /// Ether locked on L1 and minted for the sender, in wei.
    pub mint: u128,
    /// Ether that the transaction carries, in wei.
    pub value: U256,
    /// Gas bought on L1.
    pub gas_limit: u64,
    /// Calldata or init code.
    pub data: Bytes,
}

impl UserDeposit {
    /// Mints `value` wei for `to` and nothing else.
    pub const fn ether(to: Address, value: u128) -> Self {
        Self {
            from: to,
            to: TxKind::Call(to),
            mint: value,
            value: U256::ZERO,
            gas_limit: 100_000,
            data: Bytes::new(),
        }
    }

    /// The deposit as transaction number `log_index` of the L1 block `origin`.
    pub(super) fn to_transaction(&self, origin: B256, log_index: u64) -> TxDeposit {
        TxDeposit {
            source_hash: UserDepositSource::new(origin, log_index).source_hash(),
            from: self.from,
            to: self.to,
            mint: self.mint,
            value: self.value,
            gas_limit: self.gas_limit,
            is_system_transaction: false,
            input: self.data.clone(),
        }
    }
}
