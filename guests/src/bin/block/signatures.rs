//! Signatures are recovered by the machine: those of transactions, and by the precompile.

use std::sync::Arc;

use alloy_consensus::crypto::{
    backend::{install_default_provider, CryptoProvider},
    RecoveryError,
};
use alloy_primitives::{hex, Address};
use revm::precompile::{install_crypto, Crypto, PrecompileHalt};

use crate::machine::recover;

/// Order of the curve, big-endian.
pub const ORDER: [u8; 32] =
    hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

/// For every transaction, and for the precompile at address 1.
pub fn install() {
    let installed =
        install_default_provider(Arc::new(Accelerated)).is_ok() & install_crypto(Accelerated);
    assert!(installed, "nothing has been recovered yet");
}

#[derive(Debug)]
struct Accelerated;

impl CryptoProvider for Accelerated {
    fn recover_signer_unchecked(
        &self,
        signature: &[u8; 65],
        message: &[u8; 32],
    ) -> Result<Address, RecoveryError> {
        let [scalars @ .., recovery] = signature;
        recover(scalars, *recovery, message).ok_or_else(RecoveryError::new)
    }

    fn verify_and_compute_signer_unchecked(
        &self,
        _: &[u8; 65],
        _: &[u8; 64],
        _: &[u8; 32],
    ) -> Result<Address, RecoveryError> {
        Err(RecoveryError::new())
    }
}

impl Crypto for Accelerated {
    fn secp256k1_ecrecover(
        &self,
        signature: &[u8; 64],
        recovery: u8,
        message: &[u8; 32],
    ) -> Result<[u8; 32], PrecompileHalt> {
        let signer = recover(signature, recovery, message);
        let signer = signer.ok_or(PrecompileHalt::Secp256k1RecoverFailed)?;
        Ok(signer.into_word().0)
    }
}

/// The sum with the order, or `None` above 32 bytes.
pub fn plus_order(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut sum = [0; 32];
    let mut carry = 0;
    for ((to, a), b) in sum.iter_mut().zip(bytes).zip(ORDER).rev() {
        let digit = u16::from(*a) + u16::from(b) + carry;
        *to = digit as u8;
        carry = digit >> 8;
    }
    (carry == 0).then_some(sum)
}
