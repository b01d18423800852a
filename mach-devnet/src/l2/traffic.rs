//! What others do on the rollup meanwhile.

use alloy_consensus::{SignableTransaction, TxEip1559, transaction::Recovered};
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use op_alloy_consensus::OpTxEnvelope;

use super::{
    Optimism, UserDeposit,
    asm::selector,
    predeploys::{INITIATE_WITHDRAWAL, MESSAGE_PASSER, STORE, STORE_FUNCTION},
    varied,
};
use crate::{
    DEV_ACCOUNTS, DevAccount,
    chain::{Chain, ChainError},
};

/// Blocks after which a stored value is deleted.
const LIFETIME: u64 = 3;

/// Every how many blocks somebody withdraws.
const WITHDRAWAL_PERIOD: u64 = 4;

/// Makes the same transactions for the same height in every run: two transfers, one of them to a
/// new account; two calls that write storage and log; one that deletes what was written
/// three blocks ago; now and then a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    account: DevAccount,
    /// Traffic of every kind instead, from this seed.
    seed: Option<u64>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self::new()
    }
}

impl Traffic {
    /// Traffic from the last development account.
    pub const fn new() -> Self {
        let [.., account] = DEV_ACCOUNTS;
        Self {
            account,
            seed: None,
        }
    }

    /// Traffic of every kind, the same for the same seed and height: contracts that are made, called
    /// and destroyed, storage that is written and cleared, reverts, endless loops, precompiles, every
    /// type of transaction, EIP-7702, and deposits on L1, some of which fail.
    pub const fn varied(seed: u64) -> Self {
        Self {
            seed: Some(seed),
            ..Self::new()
        }
    }

    /// What is to be deposited on L1 before the next block.
    pub(super) fn deposit(&self, chain: &Chain<Optimism>) -> Option<UserDeposit> {
        varied::deposits(self.seed?, chain.head() + 1)
    }

    /// Puts the transactions of the next block where they wait for it.
    ///
    /// Errors: [`ChainError`].
    pub fn send(&self, chain: &Chain<Optimism>) -> Result<(), ChainError> {
        if let Some(seed) = self.seed {
            return varied::send(chain, seed);
        }
        let height = chain.head() + 1;
        let mut calls = vec![
            (
                Address::from_word(keccak256(height.to_be_bytes())),
                U256::from(height),
                Bytes::new(),
            ),
            (DEV_ACCOUNTS[0].address, U256::from(1), Bytes::new()),
            (STORE, U256::ZERO, store(key(height, 0), U256::from(height))),
            (
                STORE,
                U256::ZERO,
                store(key(height, 1), U256::MAX - U256::from(height)),
            ),
        ];
        if let Some(old) = height.checked_sub(LIFETIME).filter(|old| *old > 0) {
            calls.push((STORE, U256::ZERO, store(key(old, 0), U256::ZERO)));
        }
        if height.is_multiple_of(WITHDRAWAL_PERIOD) {
            calls.push((
                MESSAGE_PASSER,
                U256::from(7),
                withdrawal(self.account.address),
            ));
        }
        let first = chain.pending_nonce(self.account.address)?;
        for ((to, value, input), nonce) in calls.into_iter().zip(first..) {
            chain.send(self.sign(chain.chain_id(), nonce, to, value, input))?;
        }
        Ok(())
    }

    /// Puts one more transfer where it waits, to an account that gets no other.
    pub(super) fn send_once(&self, chain: &Chain<Optimism>) -> Result<(), ChainError> {
        let nonce = chain.pending_nonce(self.account.address)?;
        let to = Address::from_word(keccak256([nonce.to_be_bytes(), *b"one more"].concat()));
        let value = U256::from(1);
        chain.send(self.sign(chain.chain_id(), nonce, to, value, Bytes::new()))?;
        Ok(())
    }

    fn sign(
        &self,
        chain_id: u64,
        nonce: u64,
        to: Address,
        value: U256,
        input: Bytes,
    ) -> Recovered<OpTxEnvelope> {
        let transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit: 200_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000,
            to: TxKind::Call(to),
            value,
            input,
            ..Default::default()
        };
        let signature = self
            .account
            .signer()
            .sign_hash_sync(&transaction.signature_hash())
            .expect("a local key signs every hash");
        let signed = transaction.into_signed(signature);
        Recovered::new_unchecked(signed.into(), self.account.address)
    }
}

fn key(height: u64, index: u64) -> U256 {
    keccak256([height.to_be_bytes(), index.to_be_bytes()].concat()).into()
}

pub(super) fn store(key: U256, value: U256) -> Bytes {
    [
        &selector(STORE_FUNCTION)[..],
        &key.to_be_bytes::<32>(),
        &value.to_be_bytes::<32>(),
    ]
    .concat()
    .into()
}

/// A withdrawal to `target` with no data.
pub(super) fn withdrawal(target: Address) -> Bytes {
    let words = [target.into_word(), word(100_000), word(0x60), word(0)].concat();
    [&selector(INITIATE_WITHDRAWAL)[..], &words].concat().into()
}

fn word(value: u64) -> alloy_primitives::B256 {
    U256::from(value).into()
}
