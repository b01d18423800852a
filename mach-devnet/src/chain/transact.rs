//! Transactions of accounts whose keys are known.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, transaction::Recovered};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;

use super::{Chain, ChainError, Ethereum};
use crate::DevAccount;

/// Most that a transaction pays for gas, in wei.
pub(crate) const MAX_FEE: u128 = 1_000_000_000_000;

/// Tip, in wei.
pub(crate) const TIP: u128 = 1_000_000_000;

/// Gas of a call that is not measured first.
const GAS: u64 = 5_000_000;

impl Chain<Ethereum> {
    /// Sends a call of a contract, and gives the hash of its transaction. Whether it is in a block
    /// then depends on [`Mining`](crate::Mining).
    ///
    /// Errors: [`ChainError::Pool`].
    pub fn transact(
        &self,
        account: &DevAccount,
        to: Address,
        value: U256,
        input: Bytes,
    ) -> Result<B256, ChainError> {
        let nonce = self.pending_nonce(account.address)?;
        self.send(self.call_of(account, nonce, to, value, input))
    }

    /// Calls without ether, one after the other.
    pub(crate) fn calls<const N: usize>(
        &self,
        account: &DevAccount,
        calls: [(Address, Vec<u8>); N],
    ) -> Result<Vec<Recovered<TxEnvelope>>, ChainError> {
        let first = self.pending_nonce(account.address)?;
        Ok((first..)
            .zip(calls)
            .map(|(nonce, (to, input))| self.call_of(account, nonce, to, U256::ZERO, input.into()))
            .collect())
    }

    fn call_of(
        &self,
        account: &DevAccount,
        nonce: u64,
        to: Address,
        value: U256,
        input: Bytes,
    ) -> Recovered<TxEnvelope> {
        let transaction = TxEip1559 {
            chain_id: self.chain_id(),
            nonce,
            gas_limit: GAS,
            max_fee_per_gas: MAX_FEE,
            max_priority_fee_per_gas: TIP,
            to: TxKind::Call(to),
            value,
            input,
            ..Default::default()
        };
        sign(account, transaction)
    }
}

/// `transaction` with the signature of `account`.
pub(crate) fn sign<T>(account: &DevAccount, transaction: T) -> Recovered<TxEnvelope>
where
    T: SignableTransaction<alloy_primitives::Signature>,
    alloy_consensus::Signed<T>: Into<TxEnvelope>,
{
    let signature = account
        .signer()
        .sign_hash_sync(&transaction.signature_hash())
        .expect("a local key signs every hash");
    Recovered::new_unchecked(transaction.into_signed(signature).into(), account.address)
}
