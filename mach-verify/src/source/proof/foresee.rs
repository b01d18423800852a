//! What can be told without executing.

use std::collections::BTreeSet;

use alloy_consensus::{EthereumTxEnvelope, Transaction, TxEip4844, transaction::SignerRecoverable};
use alloy_eips::{
    eip2718::Decodable2718, eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, B256, U256, address, b256, map::AddressSet};
use mach_core::L2Block;
use op_alloy_consensus::OpTxEnvelope;

use super::Wanted;
use crate::{
    ChainSpec,
    execute::{self, MESSAGE_PASSER},
};

/// Contracts that every block of a rollup reads or pays: the L1 attributes, and the vaults of base
/// fee, L1 fee and operator fee. The sequencer's vault is the beneficiary.
///
/// Source: OP Stack specification, "Predeploys".
const PREDEPLOYS: [Address; 5] = [
    address!("4200000000000000000000000000000000000015"),
    address!("4200000000000000000000000000000000000019"),
    address!("420000000000000000000000000000000000001a"),
    address!("420000000000000000000000000000000000001b"),
    MESSAGE_PASSER,
];

/// Slots in which proxies keep what they delegate to.
const PROXY_SLOTS: [B256; 5] = [
    // ERC-1967: implementation, beacon, admin.
    b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"),
    b256!("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50"),
    b256!("b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103"),
    // ERC-1822, and `org.zeppelinos.proxy.implementation` before it.
    b256!("c5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7"),
    b256!("7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3"),
];

/// Most slots, and most addresses, that are asked for because one code names them.
const MAX_NAMED: usize = 32;

/// What is known of the transactions before they are executed.
#[derive(Debug, Default)]
pub(super) struct Foreseen {
    pub(super) senders: AddressSet,
    /// Their gas limits together.
    gas: u64,
    /// The gas limits of those that take nothing from the block's.
    free_gas: u64,
}

/// Wants what the transactions name, and answers who sends them, with how much gas.
pub(super) fn from_block(spec: &ChainSpec, block: &L2Block, wanted: &mut Wanted) -> Foreseen {
    wanted.account(block.header.beneficiary);
    let system = [
        BEACON_ROOTS_ADDRESS,
        HISTORY_STORAGE_ADDRESS,
        WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
        CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    ];
    let count = if spec.is_optimism() { 2 } else { system.len() };
    for address in system.into_iter().take(count) {
        wanted.contract(address);
    }
    if spec.is_optimism() {
        for address in PREDEPLOYS {
            wanted.contract(address);
        }
    }
    for withdrawal in block.withdrawals.iter().flatten() {
        wanted.account(withdrawal.address);
    }
    let is_regolith = spec.is_regolith_active_at_timestamp(block.header.timestamp);
    let mut foreseen = Foreseen::default();
    for bytes in &block.transactions {
        if let Ok(transaction) = OpTxEnvelope::decode_2718_exact(bytes) {
            let is_free = matches!(&transaction, OpTxEnvelope::Deposit(deposit)
                if deposit.is_system_transaction && !is_regolith);
            foreseen.add(&transaction, is_free, wanted);
        } else if let Ok(transaction) = EthereumTxEnvelope::<TxEip4844>::decode_2718_exact(bytes) {
            foreseen.add(&transaction, false, wanted);
        }
    }
    foreseen
}

impl Foreseen {
    /// Most gas that executing `block` uses.
    pub(super) fn gas(&self, block: &L2Block) -> u64 {
        let of_block = self.gas.min(block.header.gas_limit);
        of_block.saturating_add(self.free_gas).min(execute::MAX_GAS)
    }

    fn add<T: SignerRecoverable + Transaction>(
        &mut self,
        transaction: &T,
        is_free: bool,
        wanted: &mut Wanted,
    ) {
        from_transaction(transaction, wanted);
        self.senders.extend(sender(transaction, wanted));
        let gas = if is_free {
            &mut self.free_gas
        } else {
            &mut self.gas
        };
        *gas = gas.saturating_add(transaction.gas_limit());
    }
}

fn sender<T: SignerRecoverable + Transaction>(
    transaction: &T,
    wanted: &mut Wanted,
) -> Option<Address> {
    let sender = transaction.recover_signer_unchecked().ok()?;
    wanted.contract(sender);
    if transaction.is_create() {
        wanted.contract(sender.create(transaction.nonce()));
    }
    Some(sender)
}

fn from_transaction(transaction: &impl Transaction, wanted: &mut Wanted) {
    if let Some(to) = transaction.to() {
        wanted.contract(to);
    }
    for item in transaction
        .access_list()
        .into_iter()
        .flat_map(|list| &list.0)
    {
        wanted.contract(item.address);
        for key in &item.storage_keys {
            wanted.slot(item.address, (*key).into());
        }
    }
    for authorization in transaction.authorization_list().into_iter().flatten() {
        wanted.contract(authorization.address);
        if let Ok(authority) = authorization.recover_authority() {
            wanted.contract(authority);
        }
    }
}

/// Slots of a contract about which nothing else is known: the first, and those of proxies.
pub(super) fn first_slots() -> impl Iterator<Item = U256> {
    let proxies = PROXY_SLOTS.into_iter().map(|slot| slot.into());
    (0..5).map(U256::from).chain(proxies)
}

/// What a code names.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Slots that it reads by constants, and those in which proxies keep their target.
    pub(super) slots: BTreeSet<U256>,
    /// What may be addresses of other contracts.
    pub(super) addresses: BTreeSet<Address>,
}

/// Looks for constants. They may be anything: what they lead to is asked for and need not be used.
pub(super) fn named(code: &[u8]) -> Named {
    const SLOAD: u8 = 0x54;
    const PUSH1: u8 = 0x60;
    const PUSH20: u8 = 0x73;
    const PUSH32: u8 = 0x7f;
    let mut named = Named::default();
    let mut rest = code;
    while let Some((&operation, after)) = rest.split_first() {
        rest = after;
        if !(PUSH1..=PUSH32).contains(&operation) {
            continue;
        }
        let length = usize::from(operation - PUSH1) + 1;
        let Some((constant, after)) = rest.split_at_checked(length) else {
            break;
        };
        rest = after;
        let value = U256::from_be_slice(constant);
        if after.first() == Some(&SLOAD) || PROXY_SLOTS.contains(&value.into()) {
            if named.slots.len() < MAX_NAMED {
                named.slots.insert(value);
            }
        } else if matches!(operation, PUSH20 | PUSH32)
            && let Some(address) = as_address(value)
            && named.addresses.len() < MAX_NAMED
        {
            named.addresses.insert(address);
        }
    }
    named
}

/// The address that a word may be: neither small, nor a mask, nor more than 20 bytes.
pub(super) fn as_address(word: U256) -> Option<Address> {
    let is_likely = (129..=160).contains(&word.bit_len()) && word.count_ones() < 128;
    is_likely.then(|| Address::from_word(word.into()))
}
